"""A new password, and the old one, which is asked for before anything that cannot be undone."""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException
from pydantic import Field
from sqlalchemy import Connection, select

import app as core
import auth
import models
import schemas
from auth import CurrentUser, log
from models import User, read, write

from .sessions import LOCK, current_session, end_some, live_tokens


class NewPassword(schemas.Input):
    current_password: schemas.Password
    new_password: Annotated[schemas.Password, Field(examples=["battery staple correct"])]


WRONG_PASSWORD: dict[int | str, dict[str, Any]] = {403: {"description": "The password is wrong"}}

router = APIRouter(route_class=core.Route, tags=["Account"])


def find_hash(user_id: int) -> str:
    with models.engine.connect() as connection:
        return connection.execute(select(User.password_hash).where(User.id == user_id)).scalar() or ""


async def confirm(user: auth.Account, password: str) -> str:
    """The hash of the account's password; 403 if that is another."""
    old_hash = await read(find_hash, user.id)
    if not await models.in_hasher(auth.check_password, password, old_hash):
        log.warning("wrong password account=%d", user.id)
        raise HTTPException(403, "The password is wrong.")
    return old_hash


def end_others(connection: Connection, user: auth.Account) -> bool:
    """End sessions and tokens other than those of the one that asks; whether more may be left."""
    session_id = current_session(connection, user.token_id) or 0
    connection.execute(LOCK, {"session": session_id, "owner_id": user.id})
    return end_some(connection, user.id, session_id, [user.token_id, *live_tokens(connection, session_id)])


def replace_password(connection: Connection, user: auth.Account, old_hash: str, new_hash: str) -> bool:
    if not auth.keep_hash(connection, user.id, old_hash, new_hash):
        return False
    while end_others(connection, user):
        pass
    return True


@router.post(
    "/changePassword",
    status_code=204,
    summary="Change your password",
    responses=WRONG_PASSWORD,
)
async def change_password(body: NewPassword, user: CurrentUser) -> None:
    """Your other sessions end, this one stays."""
    old_hash = await confirm(user, body.current_password)
    same = auth.opaque_string(body.new_password) == auth.opaque_string(body.current_password)
    # With another hash of the same password, a login that has just checked it would find it changed.
    new_hash = old_hash if same else await models.in_hasher(auth.hash_password, body.new_password)
    while await write(lambda tx: end_others(tx, user), user.id):  # in steps, and few are left for the last
        pass
    if not await write(lambda tx: replace_password(tx, user, old_hash, new_hash), user.id):
        raise HTTPException(403, "The password has been changed meanwhile.")
    log.info("changePassword account=%d", user.id)
