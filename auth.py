"""The Controller's guard: password hashes, access tokens, and `CurrentUser`, the dependency that asks for one."""

import hashlib
import logging
import os
import re
import secrets
import time
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPBearer
from sqlalchemy import Connection, delete, insert, select, update

import models
from models import Token, User, hooks

R = TypeVar("R")

SCRYPT = "scrypt$14$8$5"  # log2(N), r, p; OWASP Password Storage: as strong as N=2^17, p=1 with an eighth of its memory
PATIENCE = 30  # seconds that a password waits for a core

log = logging.getLogger("uvicorn.posts")  # uvicorn's own handler prints it


TTL = os.environ.get("TOKEN_TTL") or "86400"
if not re.fullmatch("[1-9][0-9]{0,8}", TTL):
    models.stop("TOKEN_TTL is the lifetime of an access token in seconds: a whole number from 1 to 999999999.")
TOKEN_TTL = int(TTL)


# What counts of a password (RFC 8265 section 4.2): composed characters, and each space as the ASCII space.
def opaque_string(password: str) -> str:
    return unicodedata.normalize("NFC", "".join(" " if unicodedata.category(c) == "Zs" else c for c in password))


def derive_key(password: str, parameters: str, salt: bytes) -> bytes:
    n, r, p = map(int, parameters.split("$")[1:])
    return hashlib.scrypt(password.encode(), salt=salt, n=2**n, r=r, p=p, maxmem=2**30, dklen=32)


def hash_password(password: str, salt: bytes = b"") -> str:
    """`scrypt$log2(N)$r$p$salt$key`, the last two in Base64. Takes a core for tenths of a second: use `in_hasher`."""
    salt = salt or os.urandom(16)
    key = derive_key(opaque_string(password), SCRYPT, salt)
    return f"{SCRYPT}${b64encode(salt).decode()}${b64encode(key).decode()}"


NOBODYS_HASH = f"{SCRYPT}${b64encode(os.urandom(16)).decode()}$"  # an unknown address costs the same


def check_password(password: str, password_hash: str) -> str | None:
    """The hash to keep, a new one where the parameters have moved; None for a wrong password, any with no hash ('')."""
    parameters, salt, key = (password_hash or NOBODYS_HASH).rsplit("$", 2)
    for form in dict.fromkeys((opaque_string(password), password)):  # as typed, too: so accounts were opened before
        if secrets.compare_digest(derive_key(form, parameters, b64decode(salt)), b64decode(key)):
            current = parameters == SCRYPT and form == opaque_string(password)
            return password_hash if current else hash_password(password, b64decode(salt))  # at two logins the same
    return None


hashers = ThreadPoolExecutor(os.cpu_count(), "hasher")  # one hash a core


async def in_hasher(function: Callable[..., R], *args: Any) -> R:
    """Run what hashes a password, at most one a core; Unavailable if its turn comes too late."""
    return await models.in_thread(hashers, time.monotonic() + PATIENCE, function, *args)


# SHA-256, hex. 256 random bits need no salt and no slow hash.
def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def open_account(connection: Connection, email: str, password_hash: str) -> tuple[int, dict[str, Any]]:
    """Insert an account; returns its user id and first token. IntegrityError if the email is taken."""
    new_user = insert(User).values(email=email, password_hash=password_hash, created_at=models.now())
    user_id = connection.execute(new_user).lastrowid
    return user_id, issue_token(connection, user_id)


def issue_token(connection: Connection, user_id: int) -> dict[str, Any]:
    """Insert a new access token; returns the fields of the answer, those of `on_token` among them."""
    token, now = secrets.token_urlsafe(32), models.now()
    values = {"user_id": user_id, "digest": digest(token), "created_at": now, "expires_at": now + TOKEN_TTL * 1000}
    token_id = connection.execute(insert(Token), values).lastrowid
    answer = {"access_token": token, "token_type": "bearer", "expires_in": TOKEN_TTL}
    for add_fields in hooks.on_token:
        answer |= add_fields(connection, user_id, token_id)
    return answer


def open_session(connection: Connection, user_id: int, old_hash: str, new_hash: str) -> dict[str, Any] | None:
    """Issue a login's token and clear the account's expired ones; None if the password has changed meanwhile."""
    if not keep_hash(connection, user_id, old_hash, new_hash):
        return None
    connection.execute(delete(Token).where(Token.user_id == user_id, Token.expires_at <= models.now()))
    return issue_token(connection, user_id)


# Replace the old hash; False if it is neither there nor already replaced by the new one.
def keep_hash(connection: Connection, user_id: int, old_hash: str, new_hash: str) -> bool:
    same = User.password_hash.in_([old_hash, new_hash])
    return bool(
        connection.execute(update(User).where(User.id == user_id, same).values(password_hash=new_hash)).rowcount
    )


# Whose request it is, as the one look-up of its token found it.
class Account(NamedTuple):
    id: int
    posts_version: int
    token_id: int


# The account of a token; None if it is unknown or has expired.
def find_account(digest: str) -> Account | None:
    query = select(User.id, User.posts_version, Token.id).join_from(Token, User)
    (row,) = models.fetch(query.where(Token.digest == digest, Token.expires_at > models.now())) or (None,)
    return Account(*row) if row else None


# 401 as RFC 6750 section 3 has it: with an error code only if a token was sent.
def unauthorized(detail: str, error: str = "") -> HTTPException:
    return HTTPException(401, detail, {"WWW-Authenticate": f'Bearer error="{error}"' if error else "Bearer"})


# The token of the only header `Authorization: Bearer TOKEN` (RFC 6750 section 2.1).
def read_token(request: Request) -> str:
    header = ", ".join(request.headers.getlist("Authorization"))
    match = re.fullmatch(r"bearer +([\w.~+/-]+=*) *", header, re.ASCII | re.IGNORECASE)
    if not match:
        raise unauthorized("Send 'Authorization: Bearer TOKEN': the access_token of /login alone, without quotes.")
    return match[1]


# The account, if there is one and all that listen to `on_account` let it pass.
async def admit(request: Request, account: Account | None) -> Account:
    if not account:
        raise unauthorized("The access token is unknown or has expired: get one from /login.", "invalid_token")
    for tell in hooks.on_account:
        await tell(request, account)
    return account


bearer = HTTPBearer(auto_error=False, description="The `access_token` of /signup or /login, the token alone.")


async def current_user(request: Request, _: Annotated[object, Depends(bearer)] = None) -> Account:
    """The account of the request's access token, or 401; it is looked up once for each request."""
    if "account" not in request.scope:
        account = await models.read(find_account, digest(read_token(request)))
        request.scope["account"] = await admit(request, account)
    outcome: Account | Exception = request.scope["account"]  # an extra that looked it up may have met an error
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


CurrentUser = Annotated[Account, Depends(current_user)]
