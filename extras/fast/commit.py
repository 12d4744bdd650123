"""One transaction for all posts that wait to be written, in which none can hurt another."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

from sqlalchemy import Connection, exc, select

import app as core
import models
import schemas
from models import User, hooks

from .shared import Shared

LARGE = 2**16  # characters of a text, from which it is written alone
BUDGET = 0.5  # seconds after which a transaction takes in no more


class Write(NamedTuple):
    user_id: int
    post: schemas.NewPost


ALONE = None  # the result of a write that the core has to do


async def save(write: Write) -> int:
    """The post's id, once it is durable."""
    post_id = await commit_together(write) if len(write.post.text) < LARGE else ALONE
    if post_id is not ALONE:
        return post_id
    return await models.write(lambda tx: core.write_post(tx, *write), write.user_id)


def commit(writes: list[Write]) -> Sequence[int | Exception | None]:
    """The id of each post, what refuses it, or ALONE; all of them ALONE if nothing was written."""
    deadline = time.monotonic() + models.DEADLINE
    with models.engine.connect() as connection:
        if models.SQLITE:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            results = write_posts(connection, writes)
            models.commit(connection, deadline)
        except models.CommitLost:
            raise
        except (exc.DBAPIError, models.Unavailable):
            return [ALONE] * len(writes)
    return results


def write_posts(connection: Connection, writes: list[Write]) -> list[int | Exception | None]:
    until = time.monotonic() + BUDGET
    accounts = {write.user_id for write in writes}
    free = set(connection.scalars(select(User.id).where(User.id.in_(accounts)).with_for_update(skip_locked=True)))
    results: list[int | Exception | None] = []
    for write in writes:
        late = time.monotonic() > until
        results.append(ALONE if late or write.user_id not in free else write_post(connection, write))
    return results


def write_post(connection: Connection, write: Write) -> int | Exception | None:
    savepoint: Any = connection.begin_nested() if hooks.on_post else nullcontext()  # a check may write, then refuse
    try:
        with savepoint:
            return core.write_post(connection, *write)
    except Exception as error:
        if isinstance(error, exc.DBAPIError) and ends_transaction(error):
            raise
        return error


def ends_transaction(error: exc.DBAPIError) -> bool:
    """Whether the others' posts are gone with this one: after a deadlock, but not after what the database refuses."""
    if models.SQLITE:
        return not isinstance(error, exc.IntegrityError)
    code = error.orig.args[0] if error.orig else 0
    return error.connection_invalidated or code in models.CONFLICTS | models.READ_ONLY


commit_together: Shared[Write, int | None] = Shared(models.writers, commit, 32)
