"""Accounts can be locked; and the operator's tool, `python -m extras.admin`, whose manual is `README.md` beside this.

    EXTRAS=+admin uvicorn app:app

    $ EXTRAS=+admin python -m extras.admin lock ada@example.com --yes
    ada@example.com is locked.
    $ curl -s localhost:8000/login -H "$json" -d '{"email": "ada@example.com", "password": "correct horse"}'
    {"detail":"This account is locked. Ask whoever runs this service."}

The tool needs nothing of this but for `lock` and `unlock`, which need it on, here and in the service. It has no
settings.

- A locked account's sessions and tokens end at once, and whoever has its password gets 403 from /login, as from
  `account`'s /refreshToken. To others it is an account like any: a wrong password is 401.
- Its posts stay. `unlock` gives the account back as it was; whoever was logged in logs in again.
- Take `admin` out of `EXTRAS` and locks hold no more; put it back and they do.
"""

from fastapi import FastAPI

import models
from extras.description import Node, changes, refuse

from .locks import refuse_locked


def document(whole: Node) -> None:
    """The refusal in OpenAPI, wherever a token is given to an account that is there."""
    for path in {"/login", "/refreshToken"} & whole["paths"].keys():
        refuse(whole["paths"][path]["post"], "403", "The account is locked")


def setup(_: FastAPI) -> None:
    models.hooks.on_token.append(refuse_locked)
    changes.append(document)
