"""Sign-ups and logins, which have no token yet: counted by the client's address and by the account that they name."""

import hashlib
import ipaddress
import json
from contextlib import suppress
from types import SimpleNamespace

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import app as core
import schemas
from auth import log

from .store import Hit, Store

BY_ADDRESS = {"/signup": "signup", "/login": "login", "/refreshToken": "login"}
TOO_MANY = "Too many requests. Try again in {} seconds."


def describe(hits: list[Hit]) -> dict[str, str]:
    return {
        "RateLimit-Policy": ", ".join(f'"{hit.name}";q={hit.limit.amount};w={hit.limit.get_expiry()}' for hit in hits),
        "RateLimit": ", ".join(f'"{hit.name}";r={max(0, hit.limit.amount - hit.used)};t={hit.reset}' for hit in hits),
    }


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
    while len(body) <= core.OTHER_BODY and not (length.isdecimal() and int(length) > core.OTHER_BODY):
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


class Limits:
    """Counts sign-ups and logins, refuses those too many, and tells clients how things stand."""

    def __init__(self, app: ASGIApp, store: Store) -> None:
        self.app, self.store = app, store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        hits: list[Hit] = []
        scope["limits_hits"] = hits
        opened = ""  # the account and the address, if this request opens one

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                if opened and message["status"] in {200, 201}:
                    await self.store.welcome(opened)
                if hits:
                    MutableHeaders(scope=message).update(describe(hits))
            await send(message)

        path = path_of(scope)
        if scope["method"] == "POST" and path in BY_ADDRESS:
            address = origin(scope)
            if address and await self.count(hits, BY_ADDRESS[path], address):
                return await refuse(scope, hits[-1])(scope, receive, send_told)
            account = None
            if path != "/refreshToken":
                body, receive = await read_ahead(scope, receive)
                account = account_of(body)
            if account:
                key = f"{account}:{address}"
                known = await self.store.knows(key)
                # Not among the hits: how often others tried this account is nobody's business.
                tries: list[Hit] = []
                if await self.count(tries, "attempts", key) or (
                    not known and await self.count(tries, "guesses", account)
                ):
                    hits.append(tries[-1])
                    return await refuse(scope, tries[-1])(scope, receive, send_told)
                opened = key
        await self.app(scope, receive, send_told)

    async def count(self, hits: list[Hit], name: str, key: str) -> bool:
        """Whether it is one too many."""
        hit = await self.store.hit(name, key)
        if hit:
            hits.append(hit)
        return bool(hit and hit.exceeded)


def refuse(scope: Scope, hit: Hit) -> JSONResponse:
    path = path_of(scope)
    scope["route"] = SimpleNamespace(path=path)  # logs and metrics look for it, and no router is asked
    log.warning("limited %s by=%s", path[1:], hit.name)
    return JSONResponse({"detail": TOO_MANY.format(hit.reset)}, 429, {"Retry-After": str(hit.reset)})
