"""The refusals in OpenAPI."""

from typing import Any

from fastapi import FastAPI

import app as core

from .middleware import BY_ADDRESS, is_public

RATES = {"RateLimit": core.STR, "RateLimit-Policy": core.STR}


def document(app: FastAPI, quota: bool) -> None:
    """The new refusals in OpenAPI, those of later extras' routes too."""
    openapi = app.openapi
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}

    def with_refusals() -> dict[str, Any]:
        schema = openapi()
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                answers = operation["responses"]
                if quota and path in {"/addPost", "/editPost/{postID}"}:
                    answers["403"] = {"description": "Your quota is used up", "content": content}
                if path in BY_ADDRESS or is_public(path) or operation.get("security"):
                    answers["429"] = {"description": "Too many: try again after `Retry-After` seconds"} | {
                        "content": content,
                        "headers": {"Retry-After": core.SECS},
                    }
                    for answer in answers.values():
                        answer["headers"] = answer.get("headers", {}) | RATES
        return schema

    app.openapi = with_refusals  # type: ignore[method-assign]
