"""What OpenAPI says beyond what FastAPI reads off the routes, the core's and every extra's.

These are rules, so that a new route has it all: one with a body may refuse it with 400 and 413, one that asks for a
token with 401, and so on. An extra says what is its own alone: `responses={404: {}}`, or a function in `changes`.
"""

from collections.abc import Callable, Iterator
from functools import cache
from http.client import responses as phrases
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel

Node = dict[str, Any]  # an object of the description

INTRODUCTION = "Sign up or log in, then press *Authorize* and paste the `access_token`."
TAGS = [{"name": "Account", "description": "Who you are"}, {"name": "Posts", "description": "Your posts"}]
SUMMARIES = {"/signup": "Sign up", "/login": "Get an access token"}
STR: Node = {"schema": {"type": "string"}}
SECONDS: Node = {"schema": {"type": "integer"}, "description": "seconds"}
IF_NONE_MATCH: Node = {"name": "If-None-Match", "in": "header", "required": False, **STR}
IF_NONE_MATCH["description"] = "an `ETag`: 304 if new"

changes: list[Callable[[Node], None]] = []  # that extras make in the whole description, once the rules are applied


class Refusal(BaseModel):
    detail: str


def refuse(operation: Node, status: str, words: str = "") -> None:
    """Say that the operation may be refused so; what it says of it already stays."""
    answer = operation["responses"].setdefault(status, {"description": words or phrases.get(int(status), "")})
    answer.setdefault("content", {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}})
    sent = {"401": {"WWW-Authenticate": STR}, "429": {"Retry-After": SECONDS}, "503": {"Retry-After": SECONDS}}
    add_headers(operation, status, sent.get(status, {}))


def add_headers(operation: Node, status: str, headers: Node) -> None:
    answer = operation["responses"][status]
    answer["headers"] = answer.get("headers", {}) | headers


def refusals(operation: Node) -> Iterator[str]:
    """Its own, and those of every operation like it; but for 422, which FastAPI describes."""
    yield from (each for each in operation["responses"] if each.isdecimal() and each >= "400" and each != "422")
    if "requestBody" in operation:
        yield from ("400", "413")
    if operation["security"]:
        yield "401"
    if operation["security"] or "422" in operation["responses"]:  # these ask the database
        yield "503"


def apply_rules(operation: Node) -> None:
    operation.setdefault("security", [])
    for status in {*refusals(operation)}:
        refuse(operation, status)
    parameters = operation.setdefault("parameters", [])
    if "304" in operation["responses"]:
        parameters.append(IF_NONE_MATCH)
        add_headers(operation, "200", {"ETag": STR})
        add_headers(operation, "304", {"ETag": STR})
    for parameter in parameters:
        if parameter["name"] == "limit":
            add_headers(operation, "200", {"Link": STR})
        if parameter["in"] == "path" and parameter["schema"].get("type") == "integer":
            parameter.setdefault("examples", {"the first": {"value": 1}})  # Swagger UI would begin with the largest
    for answer in operation["responses"].values():
        for media in answer.get("content", {}).values():
            media.get("schema", {}).pop("title", None)  # which FastAPI makes of a longer operationId
    operation["responses"] = dict(sorted(operation["responses"].items()))


def walk(node: Any) -> Iterator[Node]:
    """Each object of a JSON document."""
    if isinstance(node, dict):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(each)


def widen_integers(description: Node) -> None:
    """Generated clients would have 32 bits; and a maximum beyond 2**53 JavaScript would round up."""
    for node in walk(description):
        if node.get("type") == "integer":
            node["format"] = "int64"
            if node.get("maximum", 0) > 2**53:
                del node["maximum"]


def complete(app: FastAPI, description: Node) -> Node:
    """The description of the app, with all this."""
    paths, components = description["paths"], description["components"]
    for route in iter_route_contexts(app.routes):
        path = route.path_format or ""
        for method in {each.lower() for each in route.methods or ()} & paths.get(path, {}).keys():
            operation = paths[path][method]
            operation["operationId"] = route.operation_id or route.name  # clients name their functions so
            operation["summary"] = SUMMARIES.get(path, operation["summary"])
            apply_rules(operation)
    components["schemas"]["Refusal"] = Refusal.model_json_schema()
    for change in changes:
        change(description)
    widen_integers(description)
    return description


def introduce(app: FastAPI) -> None:
    """Before the extras, which may add to this."""
    app.description, app.openapi_tags = INTRODUCTION, TAGS
    app.swagger_ui_parameters = {"persistAuthorization": True}


def describe(app: FastAPI) -> None:
    """After the extras: `app.openapi()` gives the description with all that stands here."""
    generate = app.openapi
    app.openapi = cache(lambda: complete(app, generate()))  # type: ignore[method-assign]
