"""One transaction for all posts that wait to be written, in which none can hurt another."""

import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, exc

import app as core
import models
import schemas
from models import hooks

from .shared import Shared

LARGE = 2**16  # characters of a text, from which it is written alone
DRIVER: Any = models.engine.dialect.loaded_dbapi
BUDGET = 0.5  # seconds after which a transaction takes in no more


class Write(NamedTuple):
    user_id: int
    post: schemas.PostInput
    key: str  # of `idempotency`, "" for none


ALONE = None  # the result of a write that the core has to do
Result = int | Exception | None


async def save(write: Write) -> int | None:
    """The post's id, once it is durable; ALONE if it has a key and FastAPI has to write it."""
    deadline = time.monotonic() + models.DEADLINE
    post_id = await commit_together(write) if len(write.post.text) < LARGE else ALONE
    if post_id is not ALONE or write.key:
        return post_id
    work = partial(core.write_post, user_id=write.user_id, post=write.post)
    return await models.write(work, write.user_id, deadline - time.monotonic())


def commit(writes: list[Write]) -> Sequence[Result]:
    """The id of each post, what refuses it, or ALONE; all of them ALONE if nothing was written."""
    deadline = time.monotonic() + models.DEADLINE
    try:
        with models.engine.connect() as connection:
            if models.SQLITE:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.begin()  # or the commit would be none, as SQLAlchemy does not see the driver's statements
            results = write_posts(connection, writes)
            models.commit(connection, deadline)
            return results
    except models.CommitLost:
        raise
    except (exc.DBAPIError, models.Unavailable, DRIVER.Error):
        return [ALONE] * len(writes)


def write_posts(connection: Connection, writes: list[Write]) -> list[Result]:
    until = time.monotonic() + BUDGET
    write_post = ask_and_write if hooks.on_post else insert_post
    free = unlocked(connection, {write.user_id for write in writes})

    def write_in_time(write: Write) -> Result:
        late = time.monotonic() > until
        return ALONE if late or write.user_id not in free else write_post(connection, write)

    results: list[Result]
    if any(write.key for write in writes):
        results = hooks.once(connection, writes, write_in_time)
    else:
        results = [write_in_time(write) for write in writes]
    written = {write.user_id for write, result in zip(writes, results, strict=True) if isinstance(result, int)}
    if written and not hooks.on_post:
        raise_versions(connection, written)
    return results


def raise_versions(connection: Connection, accounts: set[int]) -> None:
    """As `core.raise_version` does."""
    if models.SQLITE:
        newer = f"SET posts_version = max(posts_version + 1, {models.now()})"
        execute(connection, f"UPDATE users {newer} WHERE id IN (?)", accounts)
    else:
        newer = f"SET posts_version = greatest(posts_version + 1, {models.now()})"
        execute(connection, f"UPDATE {among(accounts)} {newer}")


def unlocked(connection: Connection, accounts: set[int]) -> set[int]:
    """Those that nobody else writes to; now they are locked for this transaction."""
    if models.SQLITE:  # which is locked as a whole
        return accounts
    lock = f"SELECT id FROM {among(accounts)} FOR UPDATE SKIP LOCKED"  # noqa: S608  numbers alone
    return {user_id for (user_id,) in execute(connection, lock).fetchall()}


def among(accounts: set[int]) -> str:
    """Their `users`, by the primary key alone: for `IN (...)` MySQL would read, and lock, all rows of a small table."""
    wanted = " UNION ALL ".join(f"SELECT {user_id} AS wanted" for user_id in accounts)
    return f"({wanted}) AS accounts STRAIGHT_JOIN users FORCE INDEX FOR JOIN (PRIMARY) ON id = wanted"


def execute(connection: Connection, sql: str, values: Collection[object] = ()) -> Any:
    """The driver's cursor, after a statement whose `?` stands for all the values; errors are the driver's, too."""
    cursor = connection.connection.cursor()
    placeholders = ", ".join(["?" if models.SQLITE else "%s"] * len(values))
    models.engine.dialect.do_execute(cursor, sql.replace("?", placeholders), tuple(values))
    return cursor


INSERT = "INSERT INTO posts (user_id, size, status, created_at, updated_at, text) VALUES (?)"


def insert_post(connection: Connection, write: Write) -> Result:
    """What `core.write_post` does but for the version."""
    now, (user_id, post, _) = models.now(), write
    try:
        values = (user_id, len(post.text.encode()), post.status, now, now, post.text)
        return int(execute(connection, INSERT, values).lastrowid)
    except DRIVER.Error as error:
        if is_fatal(connection, error):
            raise  # the others' posts are gone with this one
        if isinstance(error, DRIVER.IntegrityError):
            return ALONE  # its account is gone, for instance
        return models.Unavailable(models.reason(error))


def is_fatal(connection: Connection, error: Any) -> bool:
    """Whether it ends the transaction, as SQLite does when its disk is full, or the connection."""
    driver: Any = None if connection.invalidated else connection.connection.dbapi_connection
    if not driver or (models.SQLITE and not driver.in_transaction):
        return True
    code = (*error.args, None)[0]
    return code in models.CONFLICTS | models.READ_ONLY or models.engine.dialect.is_disconnect(error, None, None)


def ask_and_write(connection: Connection, write: Write) -> Result:
    """In a savepoint, as a check may write before it refuses."""
    try:
        with connection.begin_nested():
            return core.write_post(connection, write.user_id, write.post)
    except Exception as error:
        if is_fatal(connection, getattr(error, "orig", error)):
            raise  # the others' posts are gone with this one
        return error


# On MySQL in a thread of its own, or accounts that are locked could have all of the core's.
committer = models.writers if models.SQLITE else ThreadPoolExecutor(1, "committer")
commit_together: Shared[Write, int | None] = Shared(committer, commit, 32)
