"""Accounts can be locked; and the operator's tool, `python -m extras.admin`, whose manual is `README.md` beside this.

    EXTRAS=+admin uvicorn app:app

    $ python -m extras.admin lock ada@example.com --yes
    ada@example.com is locked.
    $ curl -s localhost:8000/login -H "$json" -d '{"email": "ada@example.com", "password": "correct horse"}'
    {"detail":"This account is locked. Ask whoever runs this service."}

The tool needs nothing of this but for `lock` and `unlock`, which only do so with it on. It has no settings.

- A locked account's sessions and tokens end at once, and whoever has its password gets 403 from /login, as from
  `account`'s /refreshToken. To others it is an account like any: a wrong password is 401.
- Its posts stay. `unlock` gives the account back as it was; whoever was logged in logs in again.
- Take `admin` out of `EXTRAS` and locks hold no more; put it back and they do.
"""

from typing import Any

from fastapi import FastAPI

import models
import schemas

from .locks import refuse_locked


def document(app: FastAPI) -> None:
    """Show the refusal in OpenAPI, wherever a token is given to an account that is there."""
    openapi = app.openapi
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schemas.Refusal.__name__}"}}}

    def with_refusal() -> dict[str, Any]:
        schema = openapi()
        for path in {"/login", "/refreshToken"} & schema["paths"].keys():
            schema["paths"][path]["post"]["responses"]["403"] = {
                "description": "The account is locked",
                "content": content,
            }
        return schema

    app.openapi = with_refusal  # type: ignore[method-assign]


def setup(app: FastAPI) -> None:
    models.hooks.on_token.append(refuse_locked)
    document(app)
