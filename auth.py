"""The Controller's guard: password hashes, access tokens, and `CurrentUser`, the dependency that asks for one."""

import hashlib
import logging
import os
import re
import secrets
import unicodedata
from base64 import b64decode, b64encode
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, HTTPException, Request, security
from sqlalchemy import Connection, bindparam, delete, insert, select, update

import models
from models import Token, User, hooks

SCRYPT = "scrypt$14$8$5"  # log2(N), r, p; OWASP Password Storage: as strong as N=2^17, p=1 with an eighth of its memory

log = logging.getLogger("uvicorn.posts")  # uvicorn's own handler prints it

TTL = os.environ.get("TOKEN_TTL") or "86400"
TOKEN_TTL = int(TTL if re.fullmatch("[1-9][0-9]{0,8}", TTL) else models.stop("TOKEN_TTL: 1 to 999999999 seconds."))


# What counts of a password (RFC 8265 section 4.2): composed characters, and each space as the ASCII space.
def opaque_string(password: str) -> str:
    return unicodedata.normalize("NFC", "".join(" " if unicodedata.category(c) == "Zs" else c for c in password))


def derive_key(password: str, parameters: str, salt: bytes) -> bytes:
    n, r, p = map(int, parameters.split("$")[1:])
    return hashlib.scrypt(password.encode(), salt=salt, n=2**n, r=r, p=p, maxmem=2**30, dklen=32)


# `scrypt$log2(N)$r$p$salt$key`, the last two in Base64. Takes a core for tenths of a second: use `in_hasher`.
def hash_password(password: str, salt: bytes = b"") -> str:
    key = derive_key(opaque_string(password), SCRYPT, salt := salt or os.urandom(16))
    return f"{SCRYPT}${b64encode(salt).decode()}${b64encode(key).decode()}"


NOBODYS_HASH = f"{SCRYPT}${b64encode(os.urandom(16)).decode()}$"  # an unknown address costs the same


# The hash to keep, a new one where the parameters have moved; None for a wrong password, any with no hash ('').
def check_password(password: str, password_hash: str) -> str | None:
    parameters, salt, key = (password_hash or NOBODYS_HASH).rsplit("$", 2)
    for form in dict.fromkeys((opaque_string(password), password)):  # as typed, too: so accounts were opened before
        if secrets.compare_digest(derive_key(form, parameters, b64decode(salt)), b64decode(key)):
            current = parameters == SCRYPT and form == opaque_string(password)
            return password_hash if current else hash_password(password, b64decode(salt))  # at two logins the same
    return None


# SHA-256, hex. 256 random bits need no salt and no slow hash.
def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


# A new account's user id and first token. IntegrityError if the email is taken.
def open_account(connection: Connection, email: str, password_hash: str) -> tuple[int, dict[str, Any]]:
    new_user = insert(User).values(email=email, password_hash=password_hash, created_at=models.now())
    user_id = connection.execute(new_user).lastrowid
    return user_id, issue_token(connection, user_id)


# The fields of the answer that tells a new access token, those of `on_token` among them. The 99 tokens that last the
# longest stay; of the others a thousand go, as what one request deletes is bounded.
def issue_token(connection: Connection, user_id: int) -> dict[str, Any]:
    by_end = select(Token.id).where(Token.user_id == user_id).order_by(Token.expires_at.desc())
    if surplus := connection.scalars(by_end.offset(99).limit(1000)).all():
        connection.execute(delete(Token).where(Token.id.in_(surplus)))
    token, now = secrets.token_urlsafe(32), models.now()
    values = {"user_id": user_id, "digest": digest(token), "created_at": now, "expires_at": now + TOKEN_TTL * 1000}
    token_id = connection.execute(insert(Token), values).lastrowid
    answer = {"access_token": token, "token_type": "bearer", "expires_in": TOKEN_TTL}
    for add_fields in hooks.on_token:
        answer |= add_fields(connection, user_id, token_id)
    return answer


# A login's token; None if the password has changed meanwhile.
def open_session(connection: Connection, user_id: int, old_hash: str, new_hash: str) -> dict[str, Any] | None:
    return issue_token(connection, user_id) if keep_hash(connection, user_id, old_hash, new_hash) else None


# Replace the old hash; False if it is neither there nor already replaced by the new one.
def keep_hash(connection: Connection, user_id: int, old_hash: str, new_hash: str) -> bool:
    same = update(User).where(User.id == user_id, User.password_hash.in_([old_hash, new_hash]))
    return connection.execute(same.values(password_hash=new_hash)).rowcount > 0


# Whose request it is, as the one look-up of its token found it.
class Account(NamedTuple):
    id: int
    posts_version: int
    token_id: int


# 401 as RFC 6750 section 3 has it: with an error code only if a token was sent.
def unauthorized(detail: str, error: str = "") -> HTTPException:
    return HTTPException(401, detail, {"WWW-Authenticate": f'Bearer error="{error}"' if error else "Bearer"})


# The token of the only header `Authorization: Bearer TOKEN` (RFC 6750 section 2.1).
def read_token(request: Request) -> str:
    header = ", ".join(request.headers.getlist("Authorization"))
    if not (match := re.fullmatch(r"bearer +([\w.~+/-]+=*) *", header, re.ASCII | re.IGNORECASE)):
        raise unauthorized("Send 'Authorization: Bearer TOKEN': the access_token of /login alone, without quotes.")
    return match[1]


# Made once: SQLAlchemy takes longer to make a statement than the database to run it.
LIVE = Token.digest == bindparam("digest"), Token.expires_at > bindparam("now")
LOOK_UP = select(User.id, User.posts_version, Token.id).join_from(Token, User).where(*LIVE)


def find_account(digest: str) -> Account:
    rows = models.fetch(LOOK_UP, digest=digest, now=models.now())
    if not rows:
        raise unauthorized("The access token is unknown or has expired: get one from /login.", "invalid_token")
    return Account(*rows[0])


bearer = security.HTTPBearer(auto_error=False, description="The `access_token` of /signup or /login, the token alone.")


# The account of the request's access token, or 401; it is looked up once for each request.
async def current_user(request: Request, _: Annotated[object, Depends(bearer)] = None) -> Account:
    if "account" not in request.scope:
        account = await models.read(find_account, digest(read_token(request)))
        for tell in hooks.on_account:
            await tell(request, account)
        request.scope["account"] = account
    return Account(*request.scope["account"])


CurrentUser = Annotated[Account, Depends(current_user)]
