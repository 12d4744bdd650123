"""The end of an account."""

from fastapi import APIRouter, HTTPException
from sqlalchemy import Connection, delete, select

import app as core
import auth
import schemas
from auth import CurrentUser, log
from models import Post, User, write

from .password import WRONG_PASSWORD, confirm
from .sessions import end_some

POSTS_AT_ONCE = 50  # in one transaction of a deletion, as each may hold 1 MB


class Farewell(schemas.Input):
    password: schemas.Password


router = APIRouter(route_class=core.Route, tags=["Account"])


def remove_some_posts(connection: Connection, user_id: int) -> bool:
    """Whether there were any."""
    mine = select(Post.id, Post.size).where(Post.user_id == user_id)
    some = connection.execute(mine.limit(POSTS_AT_ONCE).with_for_update()).all()
    core.raise_version(connection, user_id, -len(some), -sum(post.size for post in some))
    connection.execute(delete(Post).where(Post.id.in_([post.id for post in some])))
    return bool(some)


def remove_account(connection: Connection, user_id: int) -> None:
    connection.execute(delete(User).where(User.id == user_id))  # the rest goes with it: ON DELETE CASCADE


@router.post(
    "/deleteAccount",
    status_code=204,
    summary="Delete your account, with all that it holds",
    responses=WRONG_PASSWORD,
)
async def delete_account(body: Farewell, user: CurrentUser) -> None:
    """At once, and for good."""
    old_hash = await confirm(user, body.password)
    if not await write(lambda tx: auth.keep_hash(tx, user.id, old_hash, old_hash), user.id):
        raise HTTPException(403, "The password has been changed meanwhile.")
    while await write(lambda tx: remove_some_posts(tx, user.id), user.id):
        pass
    while await write(lambda tx: end_some(tx, user.id, kept=[user.token_id]), user.id):
        pass
    await write(lambda tx: remove_account(tx, user.id), user.id)
    log.info("deleteAccount account=%d", user.id)
