from typing import Any

import pytest
from fastapi import FastAPI

from . import description


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    app.get("/rows")(lambda limit: limit)
    description.introduce(app)
    return app


def described(app: FastAPI, path: str) -> Any:
    description.describe(app)
    return app.openapi()["paths"][path]["get"]


def test_what_a_route_says_of_itself_stays(app: FastAPI) -> None:
    csv = {"description": "As a table", "content": {"text/csv": {}}}
    said: dict[int | str, Any] = {404: csv, "4XX": {}, "default": {}}

    @app.get("/rows/{row}", operation_id="rows", summary="All rows", responses=said)
    def find(row: int) -> str:
        return "" * row

    operation = described(app, "/rows/{row}")
    assert (operation["operationId"], operation["summary"]) == ("rows", "All rows")
    assert {status: operation["responses"]["404"][status] for status in csv} == csv
    assert "content" not in operation["responses"]["4XX"]
    assert "content" not in operation["responses"]["default"]


def test_a_change_is_made_once_and_sees_what_the_rules_have_added(app: FastAPI) -> None:
    seen = []
    description.changes.append(lambda whole: seen.append(set(whole["paths"]["/rows"]["get"]["responses"])))
    try:
        assert described(app, "/rows")["security"] == []
        app.openapi()
    finally:
        description.changes.pop()
    assert seen == [{"200", "422", "503"}]
