"""What an account asks with its tokens, counted whatever the token and the address."""

from collections.abc import Callable
from typing import Any

from fastapi import HTTPException, Request
from starlette.types import Scope

import auth

from .middleware import TOO_MANY, path_of
from .store import Store

CONFIRMED = {"/changePassword", "/deleteAccount", "/changeEmail"}  # which ask for the password again
REVOKING = {"/logout", "/logoutAll", *CONFIRMED}  # who has a stolen token must not use up its owner's way out


def is_revocation(scope: Scope) -> bool:
    path = path_of(scope)
    return path in REVOKING or (scope["method"] == "DELETE" and path.startswith("/sessions/"))


def count_account(store: Store) -> Callable[[Request, auth.Account], Any]:
    async def count(request: Request, account: auth.Account) -> None:
        scope, key = request.scope, str(account.id)
        names = ["revocations" if is_revocation(scope) else "requests"]
        names += ["attempts"] if path_of(scope) in CONFIRMED else []
        for name in names:
            hit = await store.hit(name, key)
            scope["limits_hits"].append(hit)
            if hit.exceeded:
                raise HTTPException(429, TOO_MANY.format(hit.reset), {"Retry-After": str(hit.reset)})
            if name == "attempts":
                scope["limits_reserved"].append((name, key))

    return count
