"""A forgotten password: a link by mail, and what it is good for."""

import asyncio
import sys
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection, delete, select, update

import app as core
import auth
import models
import schemas
from auth import log
from models import Token, User, read, write

from .letters import language_of
from .links import UNKNOWN, end_links, find_link
from .outbox import put, put_link
from .sending import wake
from .tables import Unverified

AT_ONCE = 1000  # tokens that one transaction deletes
SECONDS = 0.25  # that an answer takes which must not tell whether there is an account: more than the work does

LinkToken = Annotated[str, Field(min_length=1, max_length=128, repr=False)]


class Address(schemas.Input):
    email: Annotated[schemas.Email, Field(examples=["ada@example.com"])]


class Reset(schemas.Input):
    token: Annotated[LinkToken, Field(examples=["what follows `#reset=` in the link"])]
    new_password: Annotated[schemas.Password, Field(examples=["battery staple correct"])]


class Accepted(BaseModel):
    detail: str


router = APIRouter(route_class=core.Route, tags=["Account"])


async def put_unseen(work: Callable[[Connection], None], email: str) -> None:
    """In a time that does not tell whether it puts a mail into the outbox: the sender begins before it is over."""
    late = asyncio.create_task(asyncio.sleep(SECONDS))
    await write(work, email)
    wake()
    await late


def put_reset(connection: Connection, email: str, language: str) -> None:
    query = select(User.id, User.email, User.password_hash).where(User.email == email).with_for_update()
    put_link(connection, connection.execute(query).one_or_none(), "reset", email, language)


@router.post("/forgotPassword", status_code=202, summary="Ask for a link to choose a new password")
async def forgot_password(body: Address, request: Request) -> Accepted:
    """It comes by mail, in the language of `Accept-Language`. The answer is the same if there is no such account."""
    language = language_of(request)
    await put_unseen(lambda tx: put_reset(tx, body.email, language), body.email)
    return Accepted(detail="If there is an account with this address, a link is on its way to it.")


def end_some(connection: Connection, user_id: int) -> bool:
    """End sessions and tokens of the account; whether more may be left."""
    account = sys.modules.get("extras.account.sessions")  # whose sessions end, too, if that extra is on
    if account:
        return bool(account.end_some(connection, user_id))
    tokens = select(Token.id).where(Token.user_id == user_id).order_by(Token.expires_at.desc()).limit(AT_ONCE)
    ids = connection.scalars(tokens.with_for_update()).all()
    connection.execute(delete(Token).where(Token.id.in_(ids)))
    return len(ids) == AT_ONCE


def look_up(token: str) -> Any:
    with models.engine.connect() as connection:
        return find_link(connection, token, "reset", lock=False)


def replace_password(connection: Connection, token: str, new_hash: str, language: str) -> bool:
    """False if the link was used meanwhile. Who has opened it has confirmed the address, too."""
    user = find_link(connection, token, "reset")
    if not user:
        return False
    connection.execute(update(User).where(User.id == user.id).values(password_hash=new_hash))
    end_links(connection, user.id, "reset", "verify", "change")
    connection.execute(delete(Unverified).where(Unverified.user_id == user.id))
    while end_some(connection, user.id):
        pass
    put(connection, user.id, user.email, "changed", language, None)
    return True


@router.post(
    "/resetPassword", status_code=204, summary="Choose a new password, with a link's token", responses={401: {}}
)
async def reset_password(body: Reset, request: Request) -> None:
    """All sessions and tokens of the account end, and a mail says so."""
    user, language = await read(look_up, body.token), language_of(request)
    if not user:
        raise auth.unauthorized(UNKNOWN)
    new_hash = await models.in_hasher(auth.hash_password, body.new_password)
    while await write(lambda tx: end_some(tx, user.id), user.id):  # in steps, and few are left for the last
        pass
    if not await write(lambda tx: replace_password(tx, body.token, new_hash, language), user.id):
        raise auth.unauthorized(UNKNOWN)
    wake()
    log.info("resetPassword account=%d", user.id)
