"""What an account asks with its tokens, counted whatever the token and the address."""

from collections.abc import Callable
from typing import Any

from fastapi import HTTPException, Request

import auth

from .middleware import TOO_MANY, path_of
from .store import Store

CONFIRMED = {"/changePassword", "/deleteAccount"}  # `account`'s, which ask for the password again


def count_account(store: Store) -> Callable[[Request, auth.Account], Any]:
    async def count(request: Request, account: auth.Account) -> None:
        names = ["requests", "attempts"] if path_of(request.scope) in CONFIRMED else ["requests"]
        for name in names:
            hit = await store.hit(name, str(account.id))
            if not hit:
                return
            request.scope["limits_hits"].append(hit)
            if hit.exceeded:
                raise HTTPException(429, TOO_MANY.format(hit.reset), {"Retry-After": str(hit.reset)})

    return count
