from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Header, Response
from pydantic import BaseModel, ConfigDict

from . import description


class Row(BaseModel):
    model_config = ConfigDict(title="A row", json_schema_extra={"example": {"type": "integer", "maximum": "none"}})

    number: int


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    description.introduce(app)
    return app


def described(app: FastAPI) -> Any:
    description.describe(app)
    return app.openapi()["paths"]


def test_what_a_route_says_of_itself_stays(app: FastAPI) -> None:
    said: dict[int | str, Any] = {
        401: {"headers": {"WWW-Authenticate": {"schema": {"const": "Negotiate"}}}},
        404: {"description": "As a table", "content": {"text/csv": {}}},
        "4XX": {},
        "default": {},
    }

    @app.get("/rows/{row}", operation_id="rows", summary="All rows", responses=said)
    def find(row: int) -> Row:
        return Row(number=row)

    operation = described(app)["/rows/{row}"]["get"]
    assert (operation["operationId"], operation["summary"]) == ("rows", "All rows")
    assert operation["responses"]["401"]["headers"] == said[401]["headers"]
    assert operation["responses"]["404"] == said[404]
    assert "content" not in operation["responses"]["4XX"]
    assert app.openapi()["components"]["schemas"]["Row"]["example"] == {"type": "integer", "maximum": "none"}


def test_the_rules_hold_whatever_a_success_is(app: FastAPI) -> None:
    @app.get("/rows", status_code=206, responses={304: {}})
    def rows(limit: int, before: int, tag: Annotated[str, Header(alias="If-None-Match")]) -> Response:
        return Response()

    operation = described(app)["/rows"]["get"]
    assert operation["responses"]["206"]["headers"].keys() == {"ETag", "Link"}
    assert operation["responses"]["304"]["headers"].keys() == {"ETag"}
    assert [each["name"] for each in operation["parameters"]] == ["limit", "before", "If-None-Match"]


def test_a_change_sees_what_the_rules_have_added_and_is_made_once(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    app.get("/rows")(lambda row: row)
    change = lambda whole: seen.append(set(whole["paths"]["/rows"]["get"]["responses"]))  # noqa: E731
    monkeypatch.setattr(description, "changes", [change])
    described(app)
    app.openapi()
    assert seen == [{"200", "422", "503"}]


def test_a_route_that_is_added_later_is_described_too(app: FastAPI) -> None:
    described(app)
    app.get("/late")(lambda row: row)
    assert "503" in app.openapi()["paths"]["/late"]["get"]["responses"]


def test_two_refusals_with_one_status_are_both_told() -> None:
    operation: description.Node = {"responses": {}}
    for words in ("Locked", "Unconfirmed", "Locked"):
        description.refuse(operation, "403", words)
    assert operation["responses"]["403"]["description"] == "Locked / Unconfirmed"
