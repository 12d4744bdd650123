"""Refresh tokens: given with each access token, and traded for a new pair."""

import secrets
from contextvars import ContextVar
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Response
from pydantic import Field
from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

import app as core
import auth
import models
import schemas
from auth import log
from extras.description import Node
from models import Token, write

from .sessions import end_session
from .tables import GRACE, RefreshToken, Session


class Trade(schemas.Input):
    refresh_token: Annotated[
        str, Field(min_length=1, max_length=128, repr=False, examples=["the refresh_token of /login"])
    ]


router = APIRouter(route_class=core.Route)

traded: ContextVar[int | None] = ContextVar("traded", default=None)  # the session that a trade goes on with


# Those beyond the 99 that last the longest; what one request deletes is bounded.
SURPLUS_SESSIONS = (
    select(Session.id).where(Session.user_id == bindparam("user_id")).order_by(Session.expires_at.desc())
).offset(99).limit(20)  # fmt: skip
PROLONG = (
    update(Session)
    .where(Session.id == bindparam("session"))
    .values(last_used_at=bindparam("now"), expires_at=bindparam("until"))
)


def give_refresh_token(connection: Connection, user_id: int, token_id: int, ttl: int) -> dict[str, Any]:
    """The refresh token of a new access token, in a new session unless it is a trade's."""
    time = models.now()
    until = time + max(ttl, auth.TOKEN_TTL) * 1000
    session_id = traded.get()
    if session_id:
        connection.execute(PROLONG, {"session": session_id, "now": time, "until": until})
    else:
        for surplus in connection.scalars(SURPLUS_SESSIONS, {"user_id": user_id}).all():
            end_session(connection, user_id, surplus)
        values = {"user_id": user_id, "created_at": time, "last_used_at": time, "expires_at": until}
        session_id = connection.execute(insert(Session), values).lastrowid
    token = secrets.token_urlsafe(32)
    values = {"session_id": session_id, "token_id": token_id, "expires_at": time + ttl * 1000}
    connection.execute(insert(RefreshToken), {**values, "digest": auth.digest(token)})
    return {"refresh_token": token}


class ShownAgain(NamedTuple):
    """A used refresh token, of the session that has ended for it."""

    user_id: int
    session_id: int


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
SURPLUS_REFRESH_TOKENS = (
    select(RefreshToken.id).where(RefreshToken.session_id == bindparam("session")).order_by(RefreshToken.id.desc())
).offset(99).limit(1000)  # fmt: skip


def trade(connection: Connection, shown: str) -> dict[str, Any] | str | ShownAgain:
    """The fields of the new pair, or why there is none."""
    time = models.now()
    won = connection.execute(USE, {"shown": shown, "now": time}).rowcount
    found = connection.execute(FIND, {"shown": shown}).one_or_none()
    if not found or (not won and not found.used_at):
        return "The refresh token is unknown or has expired: log in."
    # Of another worker's trade the time may be later; one from the far future was before the clock was set back.
    if not won and abs(models.now() - found.used_at) <= GRACE:
        return "The refresh token was used just now: go on with the pair that it gave."
    if not won:
        end_session(connection, found.user_id, found.id)
        return ShownAgain(found.user_id, found.id)
    connection.execute(SHORTEN, {"token_id": found.token_id, "until": time + GRACE})
    if surplus := connection.scalars(SURPLUS_REFRESH_TOKENS, {"session": found.id}).all():
        connection.execute(delete(RefreshToken).where(RefreshToken.id.in_(surplus)))
    context = traded.set(found.id)
    try:
        return auth.issue_token(connection, found.user_id)
    finally:
        traded.reset(context)


@router.post("/refreshToken", summary="Trade a refresh token for a new pair", responses={401: {}}, tags=["Account"])
async def refresh_token(body: Trade, response: Response) -> schemas.AccessToken:
    """It is good for one trade. Shown again later, it ends its session, as it may have been stolen."""
    shown = auth.digest(body.refresh_token)
    try:
        answer = await write(lambda tx: trade(tx, shown), shown)
    except IntegrityError:  # the session ended meanwhile
        answer = "The session has ended: log in."
    if isinstance(answer, ShownAgain):
        log.warning("refresh token shown again account=%d session=%d", *answer)
        answer = "The refresh token was used before, perhaps by a thief: its session has ended, log in."
    if isinstance(answer, str):
        raise auth.unauthorized(answer)
    response.headers["Cache-Control"] = "no-store"
    return schemas.AccessToken(**answer)


def document(whole: Node) -> None:
    """`refresh_token` in OpenAPI's answers of /signup, /login and /refreshToken."""
    answer = whole["components"]["schemas"]["AccessToken"]
    answer["properties"]["refresh_token"] = {"type": "string", "title": "Refresh Token"}
    answer["required"] = sorted({*answer["required"], "refresh_token"})
