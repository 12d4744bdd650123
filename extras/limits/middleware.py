"""What has no token yet: sign-ups and logins, counted by the client's address and by the account that they name, and
readers of what is public, by their address.
"""

import asyncio
import email.message
import hashlib
import ipaddress
import json
from contextlib import suppress
from types import SimpleNamespace
from weakref import WeakValueDictionary

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import app as core
import schemas
from auth import log

from .store import Hit, Store

BY_ADDRESS = {"/signup": "signup", "/login": "login", "/refreshToken": "login"} | {
    "/forgotPassword": "signup",  # `mail`'s: two that send a mail, as sign-up does, and two that try a token
    "/resendVerification": "signup",
    "/resetPassword": "login",
    "/verifyEmail": "login",
}
FAILED = {401, 403, 409, 429}  # of a login, a confirmation and a sign-up; and what was not let try
TOO_MANY = "Too many requests. Try again in {} seconds."


def describe(hits: list[Hit]) -> dict[str, str]:
    return {
        "RateLimit-Policy": ", ".join(f'"{hit.name}";q={hit.limit.amount};w={hit.limit.get_expiry()}' for hit in hits),
        "RateLimit": ", ".join(f'"{hit.name}";r={max(0, hit.limit.amount - hit.used)};t={hit.reset}' for hit in hits),
    }


def is_public(path: str) -> bool:
    """What `public` shows to everybody."""
    return path.startswith(("/@", "/publicPosts/"))


def path_of(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def origin(scope: Scope) -> str | None:
    """The client's address, of IPv6 the network; None on a Unix socket."""
    if not scope.get("client"):
        return None
    try:
        address = ipaddress.ip_address(scope["client"][0])
    except ValueError:
        return str(scope["client"][0])
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)


async def read_ahead(scope: Scope, receive: Receive) -> tuple[bytes, Receive]:
    """The body as far as it may go, and a `receive` that begins with it."""
    messages: list[Message] = []
    body = b""
    length = Headers(scope=scope).get("Content-Length", "")
    while len(body) <= core.OTHER_BODY and not (length.isdecimal() and int(length.lstrip("0") or 0) > core.OTHER_BODY):
        messages.append(await receive())
        body += messages[-1].get("body", b"")
        if not messages[-1].get("more_body"):
            break

    async def replay() -> Message:
        return messages.pop(0) if messages else await receive()

    return body, replay


def account_of(body: bytes) -> str | None:
    """A hash of the email, whether it has an account or not; None if the request is no good anyway."""
    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        email = schemas.normalize_email(json.loads(body)["email"])
        return hashlib.sha256(email.encode()).hexdigest()
    return None


def is_json(scope: Scope) -> bool:
    """What another site's page can send, a form or a text, is no login (and FastAPI's 422)."""
    message = email.message.Message()
    message["Content-Type"] = Headers(scope=scope).get("Content-Type", "")
    subtype = message.get_content_subtype()  # as FastAPI asks
    return message.get_content_maintype() == "application" and (subtype == "json" or subtype.endswith("+json"))


class Limits:
    """Counts sign-ups, logins and readers, refuses those too many, and tells clients how things stand."""

    def __init__(self, app: ASGIApp, store: Store) -> None:
        self.app, self.store = app, store
        self.locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        scope["limits_hits"], scope["limits_reserved"] = [], []

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self.settle(scope, message["status"])
                if scope["limits_hits"]:
                    MutableHeaders(scope=message).update(describe(scope["limits_hits"]))
            await send(message)

        path = path_of(scope)
        if is_public(path):
            return await self.count_reader(scope, receive, send_told)
        if scope["method"] != "POST" or path not in BY_ADDRESS or not is_json(scope):
            return await self.app(scope, receive, send_told)
        address = origin(scope)
        if address and await self.is_one_too_many(scope["limits_hits"], BY_ADDRESS[path], address):
            return await refuse(scope, scope["limits_hits"][-1])(scope, receive, send_told)
        account = None
        if path in {"/signup", "/login"}:
            body, receive = await read_ahead(scope, receive)
            account = account_of(body)
        if not account:
            return await self.app(scope, receive, send_told)
        scope["limits_opens"] = f"{account}:{address}"
        # One at a time, as whether it fails is known at its end: right passwords at once must not use up the attempts.
        async with self.locks.setdefault(scope["limits_opens"], asyncio.Lock()):
            hit = await self.reserve(scope, account)
            answer = refuse(scope, hit) if hit else self.app
            await answer(scope, receive, send_told)

    async def count_reader(self, scope: Scope, receive: Receive, send: Send) -> None:
        address, hits = origin(scope), scope["limits_hits"]
        too_many = address and await self.is_one_too_many(hits, "readers", address)
        await (refuse(scope, hits[-1]) if too_many else self.app)(scope, receive, send)

    async def reserve(self, scope: Scope, account: str) -> Hit | None:
        """The limit that this sign-up or login is too many for."""
        key = scope["limits_opens"]
        wanted = [("attempts", key)] if await self.store.knows(key) else [("attempts", key), ("guesses", account)]
        for name, counted in wanted:
            hit = await self.store.hit(name, counted)
            if hit.exceeded:
                scope["limits_hits"].append(hit)
                return hit
            # Not among the hits: how often others tried this account is nobody's business.
            scope["limits_reserved"].append((name, counted))
        return None

    async def settle(self, scope: Scope, status: int) -> None:
        """What was reserved and did not fail is given back."""
        if status in FAILED:
            return
        for name, key in scope["limits_reserved"]:
            await self.store.give_back(name, key)
        if "limits_opens" in scope and status in {200, 201}:
            await self.store.welcome(scope["limits_opens"])

    async def is_one_too_many(self, hits: list[Hit], name: str, key: str) -> bool:
        hits.append(await self.store.hit(name, key))
        return hits[-1].exceeded


def refuse(scope: Scope, hit: Hit) -> JSONResponse:
    path = path_of(scope)
    if is_public(path):  # never what a client can choose
        path = "/publicPosts/{handle}" if path.startswith("/publicPosts/") else "/@{handle}"
    scope["route"] = SimpleNamespace(path=path)  # logs and metrics look for it, and no router is asked
    log.warning("limited %s by=%s", path[1:], hit.name)
    return JSONResponse({"detail": TOO_MANY.format(hit.reset)}, 429, {"Retry-After": str(hit.reset)})
