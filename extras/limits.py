"""Stops guessing of passwords and floods, and keeps accounts to a quota; no person should ever notice it.

    EXTRAS=limits uvicorn app:app                                            # one worker
    EXTRAS=limits LIMITS_STORE=redis://127.0.0.1:6379 uvicorn app:app --workers 4

| setting | default | counts | why this number |
|---|---|---|---|
| `LIMITS_SIGNUP` | `100/hour` | sign-ups from one address | a class or an office behind one address may join at once |
| `LIMITS_LOGIN` | `60/minute` | logins and /refreshToken from one address | as above; each costs a core a quarter of a second |
| `LIMITS_ATTEMPTS` | `10/15 minutes` | sign-ups and logins that fail, of one account from one address | nobody types a wrong password ten times; the right one starts anew |
| `LIMITS_GUESSES` | `100/hour` | sign-ups and logins of one account, from all addresses that it was not opened from | a year of guessing is 876,000 tries, where a million passwords are common |
| `LIMITS_REQUESTS` | `1200/minute` | all that one account asks with its tokens | 20 a second: more than any page, less than what hurts others |

A login's account counts whether there is one or not, so no limit tells whether there is. An address from which the
account was opened in the last 30 days is bound by its own LIMITS_ATTEMPTS only, never by others' guesses, and tokens
work on. From a new address the owner waits while somebody is guessing, up to an hour longer than the guessing lasts; a
stranger with three addresses can keep that up, which is the price of a bound that holds however many addresses guess.
Who share an address, behind NAT, share its LIMITS_SIGNUP and LIMITS_LOGIN, and one of them who tries another's account
uses up that one's LIMITS_ATTEMPTS from there. `account`'s /changePassword and /deleteAccount, which ask for the
password again, count as LIMITS_ATTEMPTS too, so that a stolen token is not a way to guess it. Windows are fixed: each
begins with its first request. An IPv6 address counts as its /64, as one customer has so many. Tokens are counted by
account, not each by itself, as anybody can have any number of them; an account is known once its token is looked up, so
this costs no further query.

A refusal is 429 with `Retry-After`. Answers say how things stand (draft-ietf-httpapi-ratelimit-headers): q requests
in w seconds are allowed, r remain for the next t seconds.

    $ curl -si localhost:8000/getPosts -H "Authorization: Bearer $TOKEN" | grep -i ratelimit
    ratelimit-policy: "requests";q=1200;w=60
    ratelimit: "requests";r=1199;t=60

Quotas of each account, none without a number: `LIMITS_POSTS`, and `LIMITS_BYTES` of the texts in UTF-8. A post too many
is 403, exactly, also if many are sent at once and whichever worker takes them:

    {"detail":"You have 100 posts, and no more than 100 are allowed."}

`LIMITS_STORE` is where it counts: `redis://` or `rediss://` for all workers and machines together, else the memory of
each worker, so that four workers allow up to four times as many. A request asks Redis twice. The store holds hashes of
emails, no email. If it is down, requests pass, uncounted, and the log says so once a minute.

Addresses: uvicorn takes them from `X-Forwarded-For` only if the proxy is among `--forwarded-allow-ips` (127.0.0.1 by
default). A proxy that is not, or that sends none, makes all clients one address: look at the access log once. On a Unix
socket without such a header nothing is counted by address.
"""  # noqa: E501

import hashlib
import ipaddress
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import limits
import redis.asyncio
from cachetools import TLRUCache
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from limits.aio.storage import RedisStorage, Storage
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy import Connection, bindparam, func, select
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import app as core
import auth
import models
import schemas
from auth import log
from models import Post

DEFAULTS = {
    "signup": "100/hour",
    "login": "60/minute",
    "attempts": "10/15 minutes",
    "guesses": "100/hour",
    "requests": "1200/minute",
}
REMEMBER = 30 * 86400  # seconds that an address stays known to an account
COUNTERS = 200_000  # in memory; the least recently used goes first
PATIENCE = 0.5  # seconds for the store to answer
PAUSE = 1  # seconds in which a store that failed is not asked
BY_ADDRESS = {"/signup": "signup", "/login": "login", "/refreshToken": "login"}
CONFIRMED = {"/changePassword", "/deleteAccount"}  # `account`'s, which ask for the password again
TOO_MANY = "Too many requests. Try again in {} seconds."


@dataclass
class Counter:
    expires: float
    count: int = 0


class Memory(Storage):
    """As the library's own walks through all its counters at each request."""

    def __init__(self) -> None:
        super().__init__()
        self.counters: TLRUCache[str, Counter] = TLRUCache(COUNTERS, lambda _, counter, __: counter.expires, time.time)

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        return ()

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        counter = self.counters.get(key)
        if not counter:
            counter = self.counters[key] = Counter(time.time() + expiry)
        counter.count += amount
        return counter.count

    async def get(self, key: str) -> int:
        counter = self.counters.get(key)
        return counter.count if counter else 0

    async def get_expiry(self, key: str) -> float:
        counter = self.counters.get(key)
        return counter.expires if counter else time.time()

    async def clear(self, key: str) -> None:
        self.counters.pop(key, None)

    async def reset(self) -> None:
        self.counters.clear()

    async def check(self) -> bool:
        return True


def open_store(url: str) -> Storage:
    """A lost answer is not asked for again, and a flood waits for a connection instead of failing for lack of one."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=32,
        timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        socket_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )
    return RedisStorage(f"async+{url}", implementation="redispy", key_prefix="posts", connection_pool=pool)  # type: ignore[arg-type]


class Hit(NamedTuple):
    """A request as one limit counted it."""

    name: str
    limit: limits.RateLimitItem
    used: int
    reset: int  # seconds until the count starts anew

    @property
    def exceeded(self) -> bool:
        return self.used > self.limit.amount


class Store:
    """Counts. While the storage is down nothing is counted, so nothing is refused."""

    def __init__(self, storage: Storage, rates: dict[str, limits.RateLimitItem]) -> None:
        self.storage, self.rates = storage, rates
        self.down_until = self.silent_until = 0.0

    @contextmanager
    def failing_open(self) -> Iterator[None]:
        try:
            yield
        except (redis.RedisError, OSError) as error:
            now = time.monotonic()
            self.down_until = now + PAUSE
            if now >= self.silent_until:
                self.silent_until = now + 60
                log.error("LIMITS_STORE is down, so nothing is limited: %s", type(error).__name__)

    @property
    def down(self) -> bool:
        return time.monotonic() < self.down_until

    async def hit(self, name: str, key: str) -> Hit | None:
        if self.down:
            return None
        limit = self.rates[name]
        with self.failing_open():
            count = await self.storage.incr(f"{name}:{key}", limit.get_expiry())
            reset = await self.storage.get_expiry(f"{name}:{key}") - time.time()
            return Hit(name, limit, count, max(1, math.ceil(reset)))
        return None

    async def knows(self, key: str) -> bool:
        if not self.down:
            with self.failing_open():
                return bool(await self.storage.get(f"known:{key}"))
        return True

    async def welcome(self, key: str) -> None:
        """The account was opened from this address: it is known, and its failures are forgotten."""
        if not self.down:
            with self.failing_open():
                await self.storage.clear(f"attempts:{key}")
                await self.storage.clear(f"known:{key}")
                await self.storage.incr(f"known:{key}", REMEMBER)


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


USED = select(func.count(), func.coalesce(func.sum(Post.size), 0)).where(Post.user_id == bindparam("user_id"))


def check_quota(posts: int | None, size: int | None) -> Callable[[Connection, int, int], None]:
    """Exact, as the transaction has locked the account before it asks."""

    def check(connection: Connection, user_id: int, new: int) -> None:
        count, used = connection.execute(USED, {"user_id": user_id}).one()
        if posts is not None and count >= posts:
            raise HTTPException(403, f"You have {count} posts, and no more than {posts} are allowed.")
        if size is not None and used + new > size:
            text = f"This post has {new} bytes and your others have {used}, and no more than {size} are allowed."
            raise HTTPException(403, text)

    return check


def read_rate(name: str) -> limits.RateLimitItem:
    variable = f"LIMITS_{name.upper()}"
    with suppress(ValueError):
        (limit,) = limits.parse_many(os.environ.get(variable) or DEFAULTS[name])
        if limit.amount:
            return limit
    models.stop(f"{variable} is a number of requests and a time, such as {DEFAULTS[name]}.")


def read_quota(variable: str) -> int | None:
    value = os.environ.get(variable)
    if value and not re.fullmatch("[1-9][0-9]{0,14}", value):
        models.stop(f"{variable} is how many an account may have: a whole number from 1.")
    return int(value) if value else None


def read_store() -> Storage:
    url = os.environ.get("LIMITS_STORE")
    if not url:
        return Memory()
    try:
        if url.startswith(("redis://", "rediss://")):
            return open_store(url)
    except (ValueError, limits.errors.ConfigurationError):  # whose text may hold the password
        pass
    models.stop("LIMITS_STORE is redis://HOST:PORT or rediss://HOST:PORT; without it each worker counts for itself.")


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


def setup(app: FastAPI) -> None:
    store = Store(read_store(), {name: read_rate(name) for name in DEFAULTS})
    posts, size = read_quota("LIMITS_POSTS"), read_quota("LIMITS_BYTES")
    # Innermost, whatever the order of extras: the others see what is refused here.
    app.user_middleware.append(Middleware(Limits, store))
    auth.on_account.append(count_account(store))
    if posts or size:
        core.on_post.append(check_quota(posts, size))
    document(app, bool(posts or size))
