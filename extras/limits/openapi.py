"""The refusals in OpenAPI."""

from typing import Any

from fastapi import FastAPI

from .middleware import BY_ADDRESS


def document(app: FastAPI, quota: bool) -> None:
    """The new refusals in OpenAPI, those of later extras' routes too."""
    openapi = app.openapi
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}

    def with_refusals() -> dict[str, Any]:
        schema = openapi()
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                answers = operation["responses"]
                if path in BY_ADDRESS or "security" in operation:
                    answers["429"] = {"description": "Too many: try again after `Retry-After` seconds"} | {
                        "content": content
                    }
                if quota and path in {"/addPost", "/editPost/{postID}"}:
                    answers["403"] = {"description": "Your quota is used up", "content": content}
        return schema

    app.openapi = with_refusals  # type: ignore[method-assign]
