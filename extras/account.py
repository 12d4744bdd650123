"""Sessions that last and can be ended, a new password, the end of an account, and a copy of all its data.

    EXTRAS=account uvicorn app:app

With it on, /signup and /login also give a `refresh_token`, and there are these routes. All but the first ask for the
access token.

    POST   /refreshToken   {"refresh_token"}                      200 a new pair, as /login's; 401
    POST   /logout                                                204 ends this session
    POST   /logoutAll                                             204 ends all sessions of the account
    GET    /sessions                                              200 the sessions, newest first, never a token
    DELETE /sessions/{sessionID}                                  204 ends that session; 404
    POST   /changePassword {"current_password", "new_password"}   204 ends the other sessions; 403 wrong
    POST   /deleteAccount  {"password"}                           204 nothing of the account is left; 403 wrong
    GET    /exportData                                            200 all that is held, as a JSON download

    $ json='Content-Type: application/json'
    $ curl -s localhost:8000/login -H "$json" -d '{"email": "ada@example.com", "password": "correct horse"}'
    {"access_token":"4SKv...","token_type":"bearer","expires_in":86400,"refresh_token":"y0Qe..."}
    $ curl -s localhost:8000/refreshToken -H "$json" -d '{"refresh_token": "y0Qe..."}'
    {"access_token":"c1Lp...","token_type":"bearer","expires_in":86400,"refresh_token":"Wm9d..."}
    $ curl -s localhost:8000/sessions -H 'Authorization: Bearer c1Lp...'
    [{"sessionID":1,"createdAt":"2026-11-23T08:00:00.125000Z","lastUsedAt":"2026-11-23T09:30:00.250000Z",
      "expiresAt":"2026-12-23T09:30:00.250000Z","current":true}]

Setting: `ACCOUNT_REFRESH_TTL`, the lifetime of a refresh token in seconds, 30 days (2592000) if unset.

A session is what one signup or login began, with all pairs of tokens that were traded since (the "family" of RFC 9700
section 4.14.2). What ends it holds from the next request on, in every process.

- A refresh token is good for one trade. The access token that came with it is good for 5 more seconds, so that
  requests under way are answered.
- A refresh token that is shown again within 5 seconds is refused with 401 and nothing else happens: of two trades at
  once one wins, and the client goes on with its pair. After that it is taken for stolen, and its session ends.
- So a client whose answer was lost on the way logs in again, and tabs that share a session share its newest pair.
- `lastUsedAt` is exact to a minute: a process writes it down at most once a minute for each access token.
- Access tokens from before this extra was on belong to no session. /logout, /logoutAll and /changePassword end them.
- A large account is deleted in steps, its posts first. If it breaks off with 503, the account is still there: repeat.
"""

import asyncio
import os
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from contextvars import ContextVar
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import sqlalchemy as sa
from cachetools import TTLCache
from fastapi import APIRouter, FastAPI, HTTPException, Path, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from sqlalchemy import Connection, bindparam, delete, insert, or_, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Mapped, mapped_column

import app as core
import auth
import models
import schemas
from auth import CurrentUser, log
from models import Post, Token, User, in_thread, write

GRACE = 5_000  # milliseconds
NOTE_EVERY = 60  # seconds
POSTS_AT_ONCE = 50  # in one transaction of a deletion, as each may hold 1 MB


class Session(models.Base):
    __tablename__ = "account_sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"), index=True)
    created_at: Mapped[int]
    last_used_at: Mapped[int]
    expires_at: Mapped[int]  # when the last of its tokens does


class RefreshToken(models.Base):
    """A used one is kept until it would expire, to be recognised."""

    __tablename__ = "account_refresh_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[int] = mapped_column(sa.ForeignKey(Session.id, ondelete="CASCADE"), index=True)
    token_id: Mapped[int] = mapped_column(index=True)  # the access token of the pair, whose row may be gone
    digest: Mapped[str] = mapped_column(sa.CHAR(64), unique=True)  # the token itself is nowhere
    expires_at: Mapped[int]
    used_at: Mapped[int | None]


Password = Annotated[str, Field(min_length=8, max_length=128, repr=False, examples=["correct horse battery"])]


class Trade(schemas.Input):
    refresh_token: Annotated[str, Field(min_length=1, max_length=128, repr=False)]


class NewPassword(schemas.Input):
    current_password: Password
    new_password: Annotated[Password, Field(examples=["battery staple correct"])]


class Farewell(schemas.Input):
    password: Password


class SessionOut(BaseModel):
    model_config = ConfigDict(val_temporal_unit="milliseconds")

    sessionID: int
    createdAt: datetime
    lastUsedAt: datetime
    expiresAt: datetime
    current: bool


class Owner(BaseModel):
    model_config = ConfigDict(val_temporal_unit="milliseconds")

    email: str
    createdAt: datetime


class Export(BaseModel):
    account: Owner
    sessions: list[SessionOut]
    posts: list[schemas.Post]


SESSIONS = TypeAdapter(list[SessionOut])
WRONG_PASSWORD: dict[int | str, dict[str, Any]] = {
    403: {"description": "The password is wrong", "model": schemas.Refusal}
}
NO_SESSION: dict[int | str, dict[str, Any]] = {
    404: {"description": "You have no such session", "model": schemas.Refusal}
}
UNTRADED: dict[int | str, dict[str, Any]] = {
    401: {"description": "The refresh token is unknown, used or expired", "model": schemas.Refusal}
}

router = APIRouter()

INSERT_SESSION, INSERT_REFRESH_TOKEN = insert(Session), insert(RefreshToken)
CLEAR_SESSIONS = delete(Session).where(Session.user_id == bindparam("user_id"), Session.expires_at <= bindparam("now"))
CLEAR_REFRESH_TOKENS = delete(RefreshToken).where(
    RefreshToken.session_id == bindparam("session"), RefreshToken.expires_at <= bindparam("now")
)
PROLONG = (
    update(Session)
    .where(Session.id == bindparam("session"))
    .values(last_used_at=bindparam("now"), expires_at=bindparam("until"))
)
USE = (
    update(RefreshToken)
    .where(RefreshToken.digest == bindparam("shown"))
    .where(RefreshToken.used_at.is_(None), RefreshToken.expires_at > bindparam("now"))
    .values(used_at=bindparam("now"))
)
FIND = (
    select(RefreshToken.used_at, RefreshToken.token_id, Session.id, Session.user_id)
    .join(Session)
    .where(RefreshToken.digest == bindparam("shown"))
    .with_for_update()
)
SHORTEN = (
    update(Token)
    .where(Token.id == bindparam("token_id"), Token.expires_at > bindparam("until"))
    .values(expires_at=bindparam("until"))
)
LOCK = (
    update(Session)
    .where(Session.id == bindparam("session"), Session.user_id == bindparam("owner_id"))
    .values(expires_at=Session.expires_at)
)
LIVE_TOKENS = (  # the others' access tokens have expired with the grace
    select(RefreshToken.token_id)
    .where(RefreshToken.session_id == bindparam("session"))
    .where(or_(RefreshToken.used_at.is_(None), RefreshToken.used_at >= bindparam("since")))
    .with_for_update()
)
SESSION_OF = select(RefreshToken.session_id).where(RefreshToken.token_id == bindparam("token_id"))
NOTE = (
    update(Session).where(Session.id == SESSION_OF.scalar_subquery()).values(last_used_at=bindparam("now"))
)  # fmt: skip
LIST = (
    select(Session.id, Session.created_at, Session.last_used_at, Session.expires_at)
    .where(Session.user_id == bindparam("user_id"), Session.expires_at > bindparam("now"))
    .order_by(Session.id.desc())
)

traded: ContextVar[int | None] = ContextVar("traded", default=None)  # the session that a trade goes on with


def give_refresh_token(connection: Connection, user_id: int, token_id: int, ttl: int) -> dict[str, Any]:
    """The refresh token of a new access token, in a new session unless it is a trade's."""
    time = models.now()
    until = time + max(ttl, auth.TOKEN_TTL) * 1000
    session_id = traded.get()
    if session_id:
        connection.execute(PROLONG, {"session": session_id, "now": time, "until": until})
    else:
        connection.execute(CLEAR_SESSIONS, {"user_id": user_id, "now": time})
        values = {"user_id": user_id, "created_at": time, "last_used_at": time, "expires_at": until}
        session_id = models.inserted_id(connection, INSERT_SESSION, values)
    token = secrets.token_urlsafe(32)
    values = {"session_id": session_id, "token_id": token_id, "expires_at": time + ttl * 1000}
    connection.execute(INSERT_REFRESH_TOKEN, {**values, "digest": auth.digest(token)})
    return {"refresh_token": token}


class ShownAgain(NamedTuple):
    """A used refresh token, of the session that has ended for it."""

    user_id: int
    session_id: int


def trade(connection: Connection, shown: str) -> dict[str, Any] | str | ShownAgain:
    """The fields of the new pair, or why there is none."""
    time = models.now()
    won = connection.execute(USE, {"shown": shown, "now": time}).rowcount
    found = connection.execute(FIND, {"shown": shown}).one_or_none()
    if not found or (not won and not found.used_at):
        return "The refresh token is unknown or has expired: log in."
    if not won and time - found.used_at <= GRACE:
        return "The refresh token was used just now: go on with the pair that it gave."
    if not won:
        end_session(connection, found.user_id, found.id)
        return ShownAgain(found.user_id, found.id)
    connection.execute(SHORTEN, {"token_id": found.token_id, "until": time + GRACE})
    connection.execute(auth.CLEAR_TOKENS, {"user_id": found.user_id, "now": time})
    connection.execute(CLEAR_REFRESH_TOKENS, {"session": found.id, "now": time})
    context = traded.set(found.id)
    try:
        return auth.issue_token(connection, found.user_id)
    finally:
        traded.reset(context)


def live_tokens(connection: Connection, session_id: int) -> list[int]:
    values = {"session": session_id, "since": models.now() - 2 * GRACE}
    return list(connection.execute(LIVE_TOKENS, values).scalars())


def end_session(connection: Connection, user_id: int, session_id: int) -> bool:
    """Whether there was one. The lock comes first: a trade has ended before its tokens are read, or finds none."""
    if not connection.execute(LOCK, {"session": session_id, "owner_id": user_id}).rowcount:
        return False
    connection.execute(delete(Token).where(Token.id.in_(live_tokens(connection, session_id))))
    connection.execute(delete(Session).where(Session.id == session_id))
    return True


def current_session(connection: Connection, token_id: int) -> int | None:
    session_id: int | None = connection.execute(SESSION_OF, {"token_id": token_id}).scalar()
    return session_id


def end_current(connection: Connection, user: auth.Account) -> None:
    end_session(connection, user.id, current_session(connection, user.token_id) or 0)
    connection.execute(delete(Token).where(Token.id == user.token_id))  # one of no session


def end_all(connection: Connection, user_id: int, but: int = 0, kept: list[int] | None = None) -> None:
    """End the account's sessions and access tokens, but for one session and some tokens."""
    connection.execute(delete(Session).where(Session.user_id == user_id, Session.id != but))
    connection.execute(delete(Token).where(Token.user_id == user_id, Token.id.not_in(kept or [])))


def replace_password(connection: Connection, user: auth.Account, old_hash: str, new_hash: str) -> bool:
    hashes = {"user_id": user.id, "old_hash": old_hash, "new_hash": new_hash}
    if not connection.execute(auth.KEEP_HASH, hashes).rowcount:
        return False
    session_id = current_session(connection, user.token_id) or 0
    connection.execute(LOCK, {"session": session_id, "owner_id": user.id})
    end_all(connection, user.id, session_id, [user.token_id, *live_tokens(connection, session_id)])
    return True


def remove_some_posts(connection: Connection, user_id: int) -> bool:
    """Whether there were any."""
    ids = connection.execute(select(Post.id).where(Post.user_id == user_id).limit(POSTS_AT_ONCE)).scalars().all()
    connection.execute(delete(Post).where(Post.id.in_(ids)))
    return bool(ids)


def remove_account(connection: Connection, user_id: int) -> None:
    connection.execute(delete(User).where(User.id == user_id))  # the rest goes with it: ON DELETE CASCADE


def find_hash(user_id: int) -> str:
    with models.engine.connect() as connection:
        return connection.execute(select(User.password_hash).where(User.id == user_id)).scalar() or ""


def read_sessions(user: auth.Account) -> list[SessionOut]:
    with models.engine.connect() as connection:
        rows = connection.execute(LIST, {"user_id": user.id, "now": models.now()}).all()
        current = current_session(connection, user.token_id)
    return SESSIONS.validate_python(
        [dict(zip(SessionOut.model_fields, (*row, row.id == current), strict=True)) for row in rows]
    )


def read_owner(user_id: int) -> Owner | None:
    with models.engine.connect() as connection:
        row = connection.execute(select(User.email, User.created_at).where(User.id == user_id)).one_or_none()
    return Owner.model_validate({"email": row.email, "createdAt": row.created_at}) if row else None


async def confirm(user: auth.Account, password: str) -> str:
    """The hash of the account's password; 403 if that is another."""
    old_hash = await in_thread(find_hash, user.id)
    if not await auth.in_hasher(auth.check_password, password, old_hash):
        log.warning("wrong password account=%d", user.id)
        raise HTTPException(403, "The password is wrong.")
    return old_hash


@router.post(
    "/refreshToken", summary="Trade a refresh token for a new pair", responses=core.refusals(400, 422) | UNTRADED
)
async def refresh(body: Trade, response: Response) -> schemas.AccessToken:
    """It is good for one trade. Shown again later, it ends its session, as it may have been stolen."""
    shown = auth.digest(body.refresh_token)
    try:
        answer = await write(lambda tx: trade(tx, shown))
    except IntegrityError:  # the session ended meanwhile
        answer = "The session has ended: log in."
    if isinstance(answer, ShownAgain):
        log.warning("refresh token shown again account=%d session=%d", *answer)
        answer = "The refresh token was used before, perhaps by a thief: its session has ended, log in."
    if isinstance(answer, str):
        raise auth.unauthorized(answer)
    response.headers["Cache-Control"] = "no-store"
    return schemas.AccessToken(**answer)


@router.post("/logout", status_code=204, summary="End this session", responses=core.refusals(401))
async def log_out(user: CurrentUser) -> None:
    """Its access tokens and its refresh token are good no more."""
    await write(lambda tx: end_current(tx, user))
    log.info("logout account=%d", user.id)


@router.post("/logoutAll", status_code=204, summary="End all your sessions", responses=core.refusals(401))
async def log_out_everywhere(user: CurrentUser) -> None:
    """This one too."""
    await write(lambda tx: end_all(tx, user.id))
    log.info("logoutAll account=%d", user.id)


@router.get("/sessions", summary="List your sessions, newest first", responses=core.refusals(401))
async def list_sessions(user: CurrentUser, response: Response) -> list[SessionOut]:
    """One for each signup or login that is still good; `current` is the one that asks."""
    response.headers["Cache-Control"] = "no-store"
    return await in_thread(read_sessions, user)


@router.delete(
    "/sessions/{sessionID}", status_code=204, summary="End a session", responses=core.refusals(401, 422) | NO_SESSION
)
async def delete_session(
    sessionID: Annotated[int, Path(ge=1, le=schemas.MAX_ID, openapi_examples={"the first": {"value": 1}})],
    user: CurrentUser,
) -> None:
    """Somebody else's session is as unknown as one that never was."""
    if not await write(lambda tx: end_session(tx, user.id, sessionID)):
        raise HTTPException(404, "You have no session with this id.")
    log.info("session ended account=%d session=%d", user.id, sessionID)


@router.post(
    "/changePassword",
    status_code=204,
    summary="Change your password",
    responses=core.refusals(400, 401, 422) | WRONG_PASSWORD,
)
async def change_password(body: NewPassword, user: CurrentUser) -> None:
    """Your other sessions end, this one stays."""
    old_hash = await confirm(user, body.current_password)
    new_hash = await auth.in_hasher(auth.hash_password, body.new_password)
    if not await write(lambda tx: replace_password(tx, user, old_hash, new_hash)):
        raise HTTPException(403, "The password has been changed meanwhile.")
    log.info("changePassword account=%d", user.id)


@router.post(
    "/deleteAccount",
    status_code=204,
    summary="Delete your account, with all that it holds",
    responses=core.refusals(400, 401, 422) | WRONG_PASSWORD,
)
async def delete_account(body: Farewell, user: CurrentUser) -> None:
    """At once, and for good."""
    await confirm(user, body.password)
    while await write(lambda tx: remove_some_posts(tx, user.id), posts_of=user.id):
        pass
    await write(lambda tx: remove_account(tx, user.id))
    log.info("deleteAccount account=%d", user.id)


@router.get(
    "/exportData", summary="Download all that is held about you", response_model=Export, responses=core.refusals(401)
)
async def export_data(user: CurrentUser) -> Response:
    """But for the password's hash and the tokens' digests."""
    owner, sessions = await in_thread(read_owner, user.id), await in_thread(read_sessions, user)
    if not owner:
        raise auth.unauthorized("The account is gone.", "invalid_token")
    headers = {"Content-Disposition": 'attachment; filename="posts-export.json"', "Cache-Control": "no-store"}
    return StreamingResponse(stream_export(user.id, owner, sessions), 200, headers, "application/json")


async def stream_export(user_id: int, owner: Owner, sessions: list[SessionOut]) -> AsyncIterator[bytes]:
    yield b'{"account":%b,"sessions":%b,"posts":' % (owner.model_dump_json().encode(), SESSIONS.dump_json(sessions))
    newest = (user_id, 0, None, core.PAGE_POSTS, schemas.MAX_ID)
    page = await in_thread(core.page_of_posts.__wrapped__, *newest)  # past the cache, which it would flush
    async for part in core.stream_posts(page, user_id, None):
        yield part
    yield b"}"


def note_use() -> None:
    """Have each look-up of a token write down its session's use: in the background, at most once a minute."""
    look_up = auth.look_up
    noted: TTLCache[int, bool] = TTLCache(2**14, NOTE_EVERY)
    tasks: set[asyncio.Task[None]] = set()  # or they may be collected before they have run

    async def note(token_id: int) -> None:
        with suppress(DBAPIError, PoolTimeoutError, TimeoutError):  # the next minute has its own
            await write(lambda tx: tx.execute(NOTE, {"token_id": token_id, "now": models.now()}).close())

    async def look_up_and_note(digest: str) -> auth.Account | None:
        account = await look_up(digest)
        if account and account.token_id not in noted:
            noted[account.token_id] = True
            tasks.add(task := asyncio.create_task(note(account.token_id)))
            task.add_done_callback(tasks.discard)
        return account

    auth.look_up = look_up_and_note  # type: ignore[assignment]


def document(app: FastAPI) -> None:
    """Show `refresh_token` in OpenAPI's answers of /signup, /login and /refreshToken."""
    openapi = app.openapi

    def with_refresh_token() -> dict[str, Any]:
        schema = openapi()
        answer = schema["components"]["schemas"]["AccessToken"]
        answer["properties"]["refresh_token"] = {"type": "string", "title": "Refresh Token"}
        answer["required"] = sorted({*answer["required"], "refresh_token"})
        return schema

    app.openapi = with_refresh_token  # type: ignore[method-assign]


def setup(app: FastAPI) -> None:
    value = os.environ.get("ACCOUNT_REFRESH_TTL") or "2592000"
    if not re.fullmatch("[1-9][0-9]{0,8}", value):
        models.stop("ACCOUNT_REFRESH_TTL is the lifetime of a refresh token in seconds: a number from 1 to 999999999.")
    ttl = int(value)
    auth.on_token.append(lambda tx, user_id, token_id: give_refresh_token(tx, user_id, token_id, ttl))
    note_use()
    document(app)
    app.include_router(router)
