"""A copy of all that is held about an account."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select

import app as core
import auth
import models
import schemas
from auth import CurrentUser
from extras.description import STR
from models import User, read

from .sessions import SESSIONS, SessionOut, read_sessions


class Owner(BaseModel):
    model_config = ConfigDict(val_temporal_unit="milliseconds")

    email: str
    createdAt: datetime


class Export(BaseModel):
    model_config = ConfigDict(extra="allow")  # what other extras hold

    account: Owner
    sessions: list[SessionOut]
    posts: list[schemas.Post]


router = APIRouter(route_class=core.Route, tags=["Account"])
others: dict[str, Callable[[int], BaseModel]] = {}  # what another extra holds about an account, by its id


def read_owner(user_id: int) -> Owner | None:
    with models.engine.connect() as connection:
        row = connection.execute(select(User.email, User.created_at).where(User.id == user_id)).one_or_none()
    return Owner.model_validate({"email": row.email, "createdAt": row.created_at}) if row else None


@router.get(
    "/exportData",
    summary="Download all that is held about you",
    response_model=Export,
    responses={200: {"headers": {"Content-Disposition": STR}}},
)
async def export_data(user: CurrentUser) -> Response:
    """But for the password's hash and the tokens' digests."""
    owner, sessions = await read(read_owner, user.id), await read(read_sessions, user)
    if not owner:
        raise auth.unauthorized("The account is gone.", "invalid_token")
    more = {name: await read(find, user.id) for name, find in others.items()}
    headers = {"Content-Disposition": 'attachment; filename="posts-export.json"', "Cache-Control": "no-store"}
    page = await read(core.page_of_posts, user.id, user.posts_version, "", core.PAGE_POSTS, schemas.MAX_ID)
    return StreamingResponse(stream_export(user, owner, sessions, more, page), 200, headers, "application/json")


async def stream_export(
    user: auth.Account, owner: Owner, sessions: list[SessionOut], more: dict[str, BaseModel], page: core.Page
) -> AsyncIterator[bytes | memoryview]:
    yield b'{"account":%b,"sessions":%b,' % (owner.model_dump_json().encode(), SESSIONS.dump_json(sessions))
    for name, held in more.items():
        yield b'"%b":%b,' % (name.encode(), held.model_dump_json().encode())
    yield b'"posts":'
    async for part in core.in_pieces(page, user, ""):
        yield part
    yield b"}"
