"""The layer around the app, and the two paths that it answers."""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import lru_cache
from typing import NamedTuple

from fastapi import FastAPI, Request
from fastapi.routing import iter_route_contexts
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import app as core
import schemas
from auth import Account, log
from models import hooks

from .commit import Write, save
from .lookup import look_up

BEARER = re.compile(rb"[Bb]earer ([\w.~+/-]+=*)")
KEY = re.compile(rb'("?)([\w-]{1,255})\1')
NOT_OURS = {b"upgrade", b"transfer-encoding", b"expect"}  # what FastAPI and the guard look at

Headers = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    status: int
    headers: Headers
    body: bytes


# Answers, or gives the `receive` that FastAPI is to go on with.
Path = Callable[[Scope, dict[bytes, bytes], Receive], Awaitable[Answer | Receive]]


class FastPaths:
    def __init__(self, app: FastAPI, stack: ASGIApp) -> None:
        self.app, self.stack = app, stack
        self.routes = {route.path: route.original_route for route in iter_route_contexts(app.routes)}
        self.paths: dict[tuple[str, str], Path] = {("GET", "/getPosts"): get_posts, ("POST", "/addPost"): add_post}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        find_answer = self.paths.get((scope.get("method", ""), path))
        headers = plain_headers(scope) if find_answer and not self.app.dependency_overrides else None
        if not find_answer or headers is None:
            return await self.stack(scope, receive, send)
        scope["route"] = self.routes[path]
        try:
            found = await find_answer(scope, headers, receive)
        except Exception as error:
            return await refuse(self.app, error, scope, receive, send)
        if not isinstance(found, Answer):
            return await self.stack(scope, found, send)
        await send({"type": "http.response.start", "status": found.status, "headers": found.headers})
        await send({"type": "http.response.body", "body": found.body})


async def refuse(app: FastAPI, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    """What FastAPI does when a route raises this; other extras may have handlers of their own."""

    async def fail(*_: object) -> None:
        raise error

    handlers = dict(app.exception_handlers)
    on_error = handlers.pop(500, None) or handlers.pop(Exception, None)
    await core.guard(ServerErrorMiddleware(ExceptionMiddleware(fail, handlers), on_error), scope, receive, send)


def plain_headers(scope: Scope) -> dict[bytes, bytes] | None:
    """The headers of a request without a query and with a token, each once; None if it is not as plain as that."""
    headers = dict(scope["headers"])
    if scope["query_string"] or len(headers) != len(scope["headers"]) or b"authorization" not in headers:
        return None
    return None if NOT_OURS & headers.keys() else headers


async def find_account(scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Account | None:
    """The account of the token, which the other extras have let pass; None if FastAPI has to say why not."""
    match = BEARER.fullmatch(headers[b"authorization"])
    account = await look_up(hashlib.sha256(match[1]).hexdigest()) if match else None
    if account:
        for tell in hooks.on_account:
            await tell(Request(scope, receive), account)
        scope["account"] = account
    return account


async def get_posts(scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Answer | Receive:
    """Answers from the cache."""
    account = None if b"content-length" in headers else await find_account(scope, headers, receive)
    if not account:
        return receive
    if b"if-none-match" in headers and is_unchanged(account, Request(scope)):
        return Answer(304, [*list_headers(account)], b"")
    page = cached_page(account)
    if page is None:
        return receive
    scope["from_cache"] = True  # for `metrics`
    return Answer(200, [*list_headers(account), *json_headers(page)], page)


def is_unchanged(account: Account, request: Request) -> bool:
    etag = core.list_headers(account)["ETag"]
    return bool({"*", etag, f"W/{etag}"} & core.tags_of(request, "If-None-Match"))


@lru_cache(4096)
def list_headers(account: Account) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.lower().encode(), value.encode()) for name, value in core.list_headers(account).items())


def json_headers(body: bytes) -> Headers:
    return [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]


def cached_page(account: Account) -> bytes | None:
    """The whole list, if it is in the cache and goes out in one piece."""
    key = core.page_of_posts.cache_key(account.id, account.posts_version, "", core.PAGE_POSTS, schemas.MAX_ID)
    try:
        with core.page_of_posts.cache_lock or nullcontext():
            page, following = core.pages[key]
    except KeyError:
        return None
    return None if following or len(page) > core.PIECE else page


async def add_post(scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Answer | Receive:
    """Writes the post, or gives a `receive` that begins with what was read."""
    key = key_of(headers)
    plain = headers.get(b"content-type") == b"application/json" and fits(headers.get(b"content-length", b""))
    account = await find_account(scope, headers, receive) if plain and key is not None else None
    if not account or key is None:
        return receive
    messages, post = await read_post(receive)
    post_id = await save(Write(account.id, post, key)) if post else None
    if post_id is not None:
        log.info("addPost account=%d post=%d", account.id, post_id)
        body = b'{"postID":%d}' % post_id
        return Answer(201, json_headers(body), body)

    async def replay() -> Message:
        return messages.pop(0) if messages else await receive()

    return replay


def fits(length: bytes) -> bool:
    """Whether a Content-Length is in the limit, and in as many digits as that takes."""
    return length.isdigit() and len(length) < 9 and int(length) <= core.POST_BODY


def key_of(headers: dict[bytes, bytes]) -> str | None:
    """The key that `idempotency` takes, "" without one; None if FastAPI has to look at it."""
    value = headers.get(b"idempotency-key") if hooks.once else None
    if value is None:
        return ""
    match = KEY.fullmatch(value)
    return match[2].decode() if match else None


async def read_post(receive: Receive) -> tuple[list[Message], schemas.PostInput | None]:
    """What was read, and the post, if it is one."""
    messages = [await receive()]
    size = len(messages[0].get("body", b""))
    while messages[-1].get("more_body") and size <= core.POST_BODY:
        messages.append(await receive())
        size += len(messages[-1].get("body", b""))
    try:
        body = b"".join(message["body"] for message in messages)
        return messages, schemas.PostInput.model_validate(json.loads(body.decode()) if body.startswith(b"{") else None)
    except (KeyError, ValueError, RecursionError):  # the client is gone, or FastAPI will find the same
        return messages, None
