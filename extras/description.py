"""What OpenAPI says beyond what FastAPI reads off the routes, the core's and every extra's.

These are rules, so that a new route has it all: one with a body may refuse it with 400 and 413, one that asks for a
token with 401, and so on. An extra says what is its own alone: `responses={404: {}}`, or a function in `changes`.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from http.client import responses as phrases
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

Node = dict[str, Any]  # an object of the description

INTRODUCTION = """Sign up or log in, and send the `access_token` as `Authorization: Bearer TOKEN`. In Swagger UI press
*Authorize* and paste it."""
TAGS = [{"name": "Account", "description": "Who you are"}, {"name": "Posts", "description": "Your posts"}]
SUMMARIES = {"signup": "Sign up", "login": "Get an access token"}
STR: Node = {"schema": {"type": "string"}}
SECONDS: Node = {"schema": {"type": "integer"}, "description": "seconds"}
SENT = {"401": {"WWW-Authenticate": STR}, "429": {"Retry-After": SECONDS}, "503": {"Retry-After": SECONDS}}
TOKEN: Node = {"HTTPBearer": []}
IF_NONE_MATCH: Node = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "an `ETag`: 304 if new",
    **STR,
}

changes: list[Callable[[Node], None]] = []  # that extras make in the whole description, once the rules are applied


class Refusal(BaseModel):
    detail: str


def refuse(operation: Node, status: str, words: str = "") -> None:
    """Say that the operation may be refused so, besides what it says of it already."""
    answer = operation["responses"].setdefault(status, {"description": words or phrases.get(int(status), "")})
    if words not in answer["description"]:
        answer["description"] += f" / {words}"
    answer.setdefault("content", {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}})
    add_headers(answer, SENT.get(status, {}))


def add_headers(answer: Node, headers: Node) -> None:
    if headers:
        answer["headers"] = deepcopy(headers) | answer.get("headers", {})


def refusals(operation: Node) -> Iterator[str]:
    """Its own, and those of every operation like it; but for 422, which FastAPI describes."""
    yield from (each for each in operation["responses"] if each.isdecimal() and each >= "400" and each != "422")
    if "requestBody" in operation:
        yield from ("400", "413")
    if TOKEN in operation["security"]:
        yield "401"
    if TOKEN in operation["security"] or "422" in operation["responses"]:  # these ask the database
        yield "503"


def apply_rules(operation: Node) -> None:
    answers, parameters = operation["responses"], operation.get("parameters", [])
    names = {parameter.get("name") for parameter in parameters}
    operation.setdefault("security", [])
    for status in {*refusals(operation)}:
        refuse(operation, status)
    for status, answer in answers.items():
        if "304" in answers and status < "400":
            add_headers(answer, {"ETag": STR})
        if {"limit", "before"} <= names and status < "300":
            add_headers(answer, {"Link": STR})
    if "304" in answers and "If-None-Match" not in names:
        operation["parameters"] = [*parameters, deepcopy(IF_NONE_MATCH)]
    for parameter in parameters:
        if parameter.get("in") == "path" and parameter.get("schema", {}).get("minimum") == 1:
            parameter.setdefault("examples", {"the first": {"value": 1}})  # Swagger UI would begin with the largest
    operation["responses"] = dict(sorted(answers.items()))


def schemas_in(node: Any) -> Iterator[Node]:
    """Each object of a JSON document, but for the examples."""
    if isinstance(node, dict):
        yield node
        node = [each for name, each in node.items() if name not in {"example", "examples"}]
    for each in node if isinstance(node, list) else ():
        yield from schemas_in(each)


def mend_schema(schema: Node) -> None:
    """Generated clients would have 32 bits; a maximum beyond 2**53 JavaScript would round up."""
    if schema.get("type") == "integer":
        schema.setdefault("format", "int64")
        if schema.get("maximum", 0) > 2**53:
            del schema["maximum"]
    if schema.get("type") == "array" and str(schema.get("title")).startswith("Response "):
        del schema["title"]  # FastAPI's, of a longer name than the operation has


def complete(description: Node) -> None:
    for operations in description["paths"].values():
        for operation in operations.values():
            apply_rules(operation)
    schemas = description.setdefault("components", {}).setdefault("schemas", {})
    schemas["Refusal"] = Refusal.model_json_schema()
    for never_sent in ("input", "ctx"):
        schemas.get("ValidationError", {}).get("properties", {}).pop(never_sent, None)
    for change in changes:
        change(description)
    for schema in schemas_in(description):
        mend_schema(schema)


def introduce(app: FastAPI) -> None:
    """Before the extras, which may add to this."""
    app.description, app.openapi_tags = INTRODUCTION, TAGS
    app.swagger_ui_parameters = {"persistAuthorization": True}
    name = app.router.generate_unique_id_function = lambda route: route.name  # so clients call their functions
    for route in app.routes:
        if isinstance(route, APIRoute):
            route.unique_id, route.summary = name(route), SUMMARIES.get(route.name, route.summary)


def describe(app: FastAPI) -> None:
    """After the extras: `app.openapi()` gives the description with all that stands here."""
    generate, completed = app.openapi, Node()

    def openapi() -> Node:
        nonlocal completed
        description = generate()
        if description is not completed:  # it is made anew after a route was added
            complete(description)
            completed = description
        return description

    app.openapi = openapi  # type: ignore[method-assign]
