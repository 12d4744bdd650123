"""One transaction for all posts that wait to be written, in which none can hurt another."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, exc, select, update

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
Result = int | Exception | None


async def save(write: Write) -> int:
    """The post's id, once it is durable."""
    post_id = await commit_together(write) if len(write.post.text) < LARGE else ALONE
    if post_id is not ALONE:
        return post_id
    return await models.write(lambda tx: core.write_post(tx, *write), write.user_id)


def commit(writes: list[Write]) -> Sequence[Result]:
    """The id of each post, what refuses it, or ALONE; all of them ALONE if nothing was written."""
    deadline = time.monotonic() + models.DEADLINE
    try:
        with models.engine.connect() as connection:
            if models.SQLITE:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            results = write_posts(connection, writes)
            models.commit(connection, deadline)
            return results
    except models.CommitLost:
        raise
    except (exc.DBAPIError, models.Unavailable):
        return [ALONE] * len(writes)


def write_posts(connection: Connection, writes: list[Write]) -> list[Result]:
    until = time.monotonic() + BUDGET
    write_post = ask_and_write if hooks.on_post else insert_post
    free = unlocked(connection, {write.user_id for write in writes})
    results: list[Result] = []
    for write in writes:
        late = time.monotonic() > until
        results.append(ALONE if late or write.user_id not in free else write_post(connection, write))
    written = {write.user_id for write, result in zip(writes, results, strict=True) if isinstance(result, int)}
    if written and not hooks.on_post:
        newer = update(User).where(User.id.in_(written)).values(posts_version=User.posts_version + 1)
        connection.execute(newer)
    return results


def unlocked(connection: Connection, accounts: set[int]) -> set[int]:
    """Those that nobody else writes to; now they are locked for this transaction."""
    if models.SQLITE:  # which is locked as a whole
        return accounts
    return set(connection.scalars(select(User.id).where(User.id.in_(accounts)).with_for_update(skip_locked=True)))


INSERT = "INSERT INTO posts (user_id, size, status, created_at, updated_at, text) VALUES (?, ?, ?, ?, ?, ?)"
SQL = INSERT if models.SQLITE else INSERT.replace("?", "%s")  # the driver's own placeholders


def insert_post(connection: Connection, write: Write) -> Result:
    """What `core.write_post` does but for the version, through the driver's own cursor."""
    now, (user_id, post) = models.now(), write
    dialect = models.engine.dialect
    cursor = connection.connection.cursor()
    try:
        dialect.do_execute(cursor, SQL, (user_id, len(post.text.encode()), post.status, now, now, post.text))
        return int(cursor.lastrowid or 0)
    except dialect.loaded_dbapi.IntegrityError:
        return ALONE  # its account is gone, for instance
    except dialect.loaded_dbapi.Error as error:
        refused = models.Unavailable(models.reason(error))
        if dialect.is_disconnect(error, None, None):
            connection.invalidate()
        if models.SQLITE or connection.invalidated or error.args[0] in models.CONFLICTS | models.READ_ONLY:
            raise refused from None  # the others' posts are gone with this one
        return refused


def ask_and_write(connection: Connection, write: Write) -> Result:
    """In a savepoint, as a check may write before it refuses."""
    try:
        with connection.begin_nested():
            return core.write_post(connection, *write)
    except Exception as error:
        code = error.orig.args[0] if isinstance(error, exc.DBAPIError) and error.orig else None
        if code in models.CONFLICTS | models.READ_ONLY or connection.invalidated or not connection.in_transaction():
            raise  # the others' posts are gone with this one
        return error


commit_together: Shared[Write, int | None] = Shared(models.writers, commit, 32)
