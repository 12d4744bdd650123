"""The sessions of an account: to be listed, and ended one by one or all at once."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from sqlalchemy import Connection, Select, bindparam, delete, or_, select, update

import app as core
import auth
import models
import schemas
from auth import CurrentUser, log
from models import Token, read, write

from .tables import GRACE, RefreshToken, Session


class SessionOut(BaseModel):
    model_config = ConfigDict(val_temporal_unit="milliseconds")

    sessionID: Annotated[int, Field(examples=[1])]
    createdAt: datetime
    lastUsedAt: datetime
    expiresAt: datetime
    current: bool


SESSIONS = TypeAdapter(list[SessionOut])

AT_ONCE = 1000  # rows of a table that one transaction deletes

router = APIRouter(route_class=core.Route, tags=["Account"])


LIVE_TOKENS = (  # the others' access tokens have expired with the grace
    select(RefreshToken.token_id)
    .where(RefreshToken.session_id == bindparam("session"))
    .where(or_(RefreshToken.used_at.is_(None), RefreshToken.used_at >= bindparam("since")))
    .with_for_update()
)


def live_tokens(connection: Connection, session_id: int) -> list[int]:
    values = {"session": session_id, "since": models.now() - 2 * GRACE}
    return list(connection.execute(LIVE_TOKENS, values).scalars())


LOCK = (
    update(Session)
    .where(Session.id == bindparam("session"), Session.user_id == bindparam("owner_id"))
    .values(expires_at=Session.expires_at)
)


def end_session(connection: Connection, user_id: int, session_id: int) -> bool:
    """Whether there was one. The lock comes first: a trade has ended before its tokens are read, or finds none."""
    if not connection.execute(LOCK, {"session": session_id, "owner_id": user_id}).rowcount:
        return False
    connection.execute(delete(Token).where(Token.id.in_(live_tokens(connection, session_id))))
    connection.execute(delete(Session).where(Session.id == session_id))
    return True


SESSION_OF = select(RefreshToken.session_id).where(RefreshToken.token_id == bindparam("token_id"))


def current_session(connection: Connection, token_id: int) -> int | None:
    session_id: int | None = connection.execute(SESSION_OF, {"token_id": token_id}).scalar()
    return session_id


def end_current(connection: Connection, user: auth.Account) -> None:
    end_session(connection, user.id, current_session(connection, user.token_id) or 0)
    connection.execute(delete(Token).where(Token.id == user.token_id))  # one of no session


def end_some(connection: Connection, user_id: int, but: int = 0, kept: Collection[int] = ()) -> bool:
    """End sessions and access tokens of the account, but for one session and some tokens; whether more may be left.

    Of each at most AT_ONCE, the good ones first, as there may be a million from before their number was bounded. The
    tokens come last: a trade has ended before its session is deleted, or finds none.
    """
    theirs = select(Session.id).where(Session.user_id == user_id, Session.id != but).order_by(Session.expires_at.desc())
    sessions = first(connection, theirs)
    refresh_tokens = first(connection, select(RefreshToken.id).where(RefreshToken.session_id.in_(sessions)))
    ended = sessions if len(refresh_tokens) < AT_ONCE else []  # or those that are left would go with them, all at once
    connection.execute(delete(RefreshToken).where(RefreshToken.id.in_(refresh_tokens)))
    connection.execute(delete(Session).where(Session.id.in_(ended)))
    mine = select(Token.id).where(Token.user_id == user_id, Token.id.not_in(kept)).order_by(Token.expires_at.desc())
    tokens = first(connection, mine)
    connection.execute(delete(Token).where(Token.id.in_(tokens)))
    return AT_ONCE in {len(sessions), len(refresh_tokens), len(tokens)}


def first(connection: Connection, ids: Select[int]) -> Sequence[int]:
    """At most AT_ONCE of them, locked."""
    return connection.scalars(ids.limit(AT_ONCE).with_for_update()).all()


LIST = (
    select(Session.id, Session.created_at, Session.last_used_at, Session.expires_at)
    .where(Session.user_id == bindparam("user_id"), Session.expires_at > bindparam("now"))
    .order_by(Session.id.desc())
    .limit(100)
)


def read_sessions(user: auth.Account) -> list[SessionOut]:
    with models.engine.connect() as connection:
        rows = connection.execute(LIST, {"user_id": user.id, "now": models.now()}).all()
        current = current_session(connection, user.token_id)
    return SESSIONS.validate_python(
        [dict(zip(SessionOut.model_fields, (*row, row.id == current), strict=True)) for row in rows]
    )


@router.post("/logout", status_code=204, summary="End this session")
async def log_out(user: CurrentUser) -> None:
    """Its access tokens and its refresh token are good no more."""
    await write(lambda tx: end_current(tx, user), user.id)
    log.info("logout account=%d", user.id)


@router.post("/logoutAll", status_code=204, summary="End all your sessions")
async def log_out_everywhere(user: CurrentUser) -> None:
    """This one too."""
    while await write(lambda tx: end_some(tx, user.id), user.id):
        pass
    log.info("logoutAll account=%d", user.id)


@router.get("/sessions", summary="List your sessions, newest first")
async def list_sessions(user: CurrentUser, response: Response) -> list[SessionOut]:
    """One for each signup or login that is still good; `current` is the one that asks."""
    response.headers["Cache-Control"] = "no-store"
    return await read(read_sessions, user)


@router.delete(
    "/sessions/{sessionID}",
    status_code=204,
    summary="End a session",
    responses={404: {"description": "You have no such session"}},
)
async def delete_session(sessionID: schemas.Id, user: CurrentUser) -> None:
    """Somebody else's session is as unknown as one that never was."""
    if not await write(lambda tx: end_session(tx, user.id, sessionID), user.id):
        raise HTTPException(404, "You have no session with this id.")
    log.info("session ended account=%d session=%d", user.id, sessionID)
