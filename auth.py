"""The Controller's guard: password hashes, access tokens, and `CurrentUser`, the dependency that asks for one."""

import asyncio
import hashlib
import hmac
import logging
import os
import re
import secrets
import sys
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPBearer
from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update
from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY

import models
from models import Token, User

R = TypeVar("R")

SCRYPT = "scrypt$14$8$5"  # log2(N), r, p; OWASP Password Storage: as strong as N=2^17, p=1 with an eighth of its memory
SALT_BYTES = 16
KEY_BYTES = 32
HASHES_WAITING = 64

log = logging.getLogger("uvicorn.posts")  # uvicorn's own handler prints it


def step_back() -> None:
    """Requests go before hashes. On Linux `nice` is a thread's own, elsewhere the process's."""
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may forbid it
            os.nice(10)


hashers = ThreadPoolExecutor(os.cpu_count(), "hasher", step_back)  # one hash a core


def read_token_ttl() -> int:
    """`TOKEN_TTL`, the lifetime of an access token in seconds; a bad value ends the start."""
    value = os.environ.get("TOKEN_TTL") or "86400"
    if not re.fullmatch("[1-9][0-9]{0,8}", value):
        models.stop("TOKEN_TTL is the lifetime of an access token in seconds: a whole number from 1 to 999999999.")
    return int(value)


TOKEN_TTL = read_token_ttl()


def derive_key(password: str, parameters: str, salt: bytes) -> bytes:
    n, r, p = map(int, parameters.split("$")[1:])
    return hashlib.scrypt(password.encode(), salt=salt, n=2**n, r=r, p=p, maxmem=2**30, dklen=KEY_BYTES)


def join_hash(salt: bytes, key: bytes) -> str:
    return f"{SCRYPT}${b64encode(salt).decode()}${b64encode(key).decode()}"


def hash_password(password: str) -> str:
    """`scrypt$log2(N)$r$p$salt$key`, the last two in Base64. Takes a core for tenths of a second: use `in_hasher`."""
    salt = os.urandom(SALT_BYTES)
    return join_hash(salt, derive_key(password, SCRYPT, salt))


NOBODYS_HASH = join_hash(os.urandom(SALT_BYTES), os.urandom(KEY_BYTES))  # an unknown address costs the same


def check_password(password: str, password_hash: str) -> str | None:
    """The hash to keep, a new one where the parameters have moved; None for a wrong password, any with no hash ('')."""
    parameters, salt, key = (password_hash or NOBODYS_HASH).rsplit("$", 2)
    if not hmac.compare_digest(derive_key(password, parameters, b64decode(salt)), b64decode(key)):
        return None
    if parameters == SCRYPT:
        return password_hash
    return join_hash(b64decode(salt), derive_key(password, SCRYPT, b64decode(salt)))  # two logins at once get the same


async def in_hasher(function: Callable[..., R], *args: Any) -> R:
    """Run what hashes a password, off the event loop and at most one a core; 503 if HASHES_WAITING are before it."""
    if hashers._work_queue.qsize() >= HASHES_WAITING:
        raise HTTPException(503, "Too many people log in at this moment. Try again soon.", {"Retry-After": "5"})
    return await asyncio.get_running_loop().run_in_executor(hashers, function, *args)


def digest(token: str) -> str:
    """SHA-256, hex. 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


# Built once: building a statement costs more than running it.
INSERT_USER, INSERT_TOKEN = insert(User), insert(Token)
FIND_USER = select(User.id, User.password_hash).where(User.email == bindparam("email"))
KEEP_HASH = (
    update(User)
    .where(User.id == bindparam("user_id"), User.password_hash.in_([bindparam("old_hash"), bindparam("new_hash")]))
    .values(password_hash=bindparam("new_hash"))
)
CLEAR_TOKENS = delete(Token).where(Token.user_id == bindparam("user_id"), Token.expires_at <= bindparam("now"))
LOOK_UP = (
    select(Token.digest, User.id, User.posts_version, Token.id)
    .join(User)
    .where(Token.digest.in_(bindparam("digests", expanding=True)), Token.expires_at > bindparam("now"))
)


def find_user(email: str) -> Row[int, str] | None:
    """The `id` and `password_hash` of an account."""
    with models.engine.connect() as connection:
        return connection.execute(FIND_USER, {"email": email}).one_or_none()


# Extras: (transaction, user id, token id) -> fields.
on_token: list[Callable[[Connection, int, int], dict[str, Any]]] = []


def issue_token(connection: Connection, user_id: int) -> dict[str, Any]:
    """Insert a new access token; returns the fields of the answer, those of `on_token` among them."""
    token, time = secrets.token_urlsafe(32), models.now()
    values = {"user_id": user_id, "digest": digest(token), "created_at": time, "expires_at": time + TOKEN_TTL * 1000}
    token_id = models.inserted_id(connection, INSERT_TOKEN, values)
    answer = {"access_token": token, "token_type": "bearer", "expires_in": TOKEN_TTL}
    for add_fields in on_token:
        answer |= add_fields(connection, user_id, token_id)
    return answer


def open_account(connection: Connection, email: str, password_hash: str) -> tuple[int, dict[str, Any]]:
    """Insert an account; returns its user id and first token. IntegrityError if the email is taken."""
    values = {"email": email, "password_hash": password_hash, "created_at": models.now()}
    user_id = models.inserted_id(connection, INSERT_USER, values)
    return user_id, issue_token(connection, user_id)


def open_session(connection: Connection, user_id: int, old_hash: str, new_hash: str) -> dict[str, Any] | None:
    """Issue a login's token and clear the account's expired ones; None if the password has changed meanwhile."""
    hashes = {"user_id": user_id, "old_hash": old_hash, "new_hash": new_hash}
    if not connection.execute(KEEP_HASH, hashes).rowcount:
        return None
    connection.execute(CLEAR_TOKENS, {"user_id": user_id, "now": models.now()})
    return issue_token(connection, user_id)


class Account(NamedTuple):
    """Whose request it is, as the one look-up of its token found it."""

    id: int
    posts_version: int
    token_id: int


def find_accounts(digests: list[str]) -> list[Account | None]:
    """The account of each token; None where it is unknown or has expired."""
    with models.engine.connect() as connection:
        rows = connection.execute(LOOK_UP, {"digests": digests, "now": models.now()}).all()
    accounts = {digest: Account(*account) for digest, *account in rows}
    return [accounts.get(digest) for digest in digests]


look_up: models.Batch[str, Account | None] = models.Batch(find_accounts, 512)

# Extras: told whose request it is; raises to refuse.
on_account: list[Callable[[Request, Account], Awaitable[None]]] = []


def unauthorized(detail: str, error: str = "") -> HTTPException:
    """401 as RFC 6750 section 3 has it: with an error code only if a token was sent."""
    return HTTPException(401, detail, {"WWW-Authenticate": f'Bearer error="{error}"' if error else "Bearer"})


class AccessTokenBearer(HTTPBearer):
    """Looks up the token of `Authorization: Bearer TOKEN` and gives its `Account`, or answers 401."""

    async def __call__(self, request: Request) -> Account:  # type: ignore[override]
        headers = request.headers.getlist("Authorization")
        scheme, _, token = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthorized("Send 'Authorization: Bearer TOKEN', with the access_token of /login.")
        if int(request.headers.get("Content-Length", 0)) > request.scope.get(MAX_BODY_SIZE_SCOPE_KEY, sys.maxsize):
            raise HTTPException(413)  # Starlette would only once the route has run, if that reads no body
        account = await look_up(digest(token.strip()))
        if not account:
            raise unauthorized("The access token is unknown or has expired: get one from /login.", "invalid_token")
        for tell in on_account:
            await tell(request, account)
        return account


current_user = AccessTokenBearer(description="The `access_token` that /signup and /login give.")
CurrentUser = Annotated[Account, Depends(current_user)]
