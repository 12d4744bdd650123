"""One transaction for all posts that wait to be written, in which none can hurt another."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, exc

import app as core
import models
import schemas
from models import hooks

from .shared import Shared

T = TypeVar("T")

LARGE = 2**16  # characters of a text, from which it is written alone
DRIVER: Any = models.engine.dialect.loaded_dbapi
TOGETHER = 2**20  # bytes of the texts that one statement inserts: as many as those of the largest post
BUDGET = 0.5  # seconds after which a transaction takes in no more
APART = 60  # seconds that posts are inserted one by one, once one of them was refused or slow
# Of MySQL's errors, those that end a transaction: also that its lock table is full, and that there is no savepoint any
# more, as after a deadlock in it.
FATAL = models.CONFLICTS | models.READ_ONLY | {1206, 1305}
TOO_SLOW = 1969  # MariaDB's, for a statement that has reached its limit

apart = SimpleNamespace(until=0.0)


class Write(NamedTuple):
    user_id: int
    post: schemas.PostInput
    key: str  # of `idempotency`, "" for none


ALONE = None  # the result of a write that the core has to do
Result = int | Exception | None
Row = tuple[int, int, str, int, int, str]


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
            connection.begin()  # or the commit would be none, as SQLAlchemy does not see the driver's statements
            if models.SQLITE:
                execute(connection, "BEGIN IMMEDIATE")
            results = write_posts(connection, writes)
            models.commit(connection, deadline)
            return results
    except models.CommitLost:
        raise
    except (exc.DBAPIError, models.Unavailable, DRIVER.Error):
        return [ALONE] * len(writes)


def write_posts(connection: Connection, writes: list[Write]) -> list[Result]:
    free = unlocked(connection, {write.user_id for write in writes})
    ours = [write for write in writes if write.user_id in free]
    cursor, until = connection.connection.cursor(), time.monotonic() + BUDGET
    ask_each = partial(one_by_one, until, partial(ask_and_write, connection, cursor, until))
    write_ours = ask_each if hooks.on_post else partial(insert_posts, connection, cursor, until)
    written = hooks.once(connection, ours, write_ours) if any(write.key for write in ours) else write_ours(ours)
    accounts = {write.user_id for write, result in zip(ours, written, strict=True) if isinstance(result, int)}
    if accounts and not hooks.on_post:
        raise_versions(connection, accounts)
    results = iter(written)
    return [next(results) if write.user_id in free else ALONE for write in writes]


def raise_versions(connection: Connection, accounts: set[int]) -> None:
    """As `core.raise_version` does."""
    if models.SQLITE:
        newer = f"SET posts_version = max(posts_version + 1, ?) WHERE id IN ({marks(len(accounts))})"
        execute(connection, f"UPDATE users {newer}", [models.now(), *accounts])
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


def execute(connection: Connection, sql: str, values: Sequence[object] = ()) -> Any:
    """The driver's cursor, after its statement; errors are the driver's, too."""
    cursor = connection.connection.cursor()
    models.engine.dialect.do_execute(cursor, sql, values)
    return cursor


def marks(count: int) -> str:
    """As many of the driver's placeholders."""
    return ", ".join(["?" if models.SQLITE else "%s"] * count)


ROW = f"({marks(6)})"
INSERT = f"INSERT INTO posts (user_id, size, status, created_at, updated_at, text) VALUES {ROW}"  # noqa: S608


def insert_posts(connection: Connection, cursor: Any, until: float, writes: list[Write]) -> Sequence[Result]:
    """What `core.write_post` does but for the version: by one statement where it tells all ids, or by one for each."""
    rows = [row_of(write) for write in writes]
    if can_go_together(rows):
        try:
            return insert_together(connection, until, rows)
        except DRIVER.Error as error:
            if is_fatal(connection, error):
                raise  # the others' posts are gone with this one
            apart.until = time.monotonic() + APART
    return one_by_one(until, partial(insert_post, connection, cursor, until), rows)


def row_of(write: Write) -> Row:
    now, (user_id, post, _) = models.now(), write
    return user_id, len(post.text.encode()), post.status, now, now, post.text


def one_by_one(until: float, write: Callable[[T], Result], items: list[T]) -> list[Result]:
    return [write(item) if time.monotonic() <= until else ALONE for item in items]


def can_go_together(rows: list[Row]) -> bool:
    """On MariaDB, which tells all their ids."""
    fit = is_mariadb() and sum(size for _, size, *_ in rows) <= TOGETHER
    return fit and len(rows) > 1 and time.monotonic() > apart.until


def is_mariadb() -> bool:
    return not models.SQLITE and bool(models.engine.dialect.insert_returning)


def limit(sql: str, until: float) -> str:
    """On MariaDB a statement that is broken off then."""
    if not is_mariadb():
        return sql
    return f"SET STATEMENT max_statement_time = {max(until - time.monotonic(), 0.01):.3f} FOR {sql}"


def insert_together(connection: Connection, until: float, rows: list[Row]) -> Sequence[int]:
    """All or none, as one may be refused or too slow. The ids go up in the order of the rows."""
    sql = limit(INSERT + f", {ROW}" * (len(rows) - 1) + " RETURNING id", until)
    return sorted(post_id for (post_id,) in execute(connection, sql, [*chain.from_iterable(rows)]))


def insert_post(connection: Connection, cursor: Any, until: float, row: Row) -> Result:
    try:
        models.engine.dialect.do_execute(cursor, limit(INSERT, until), row)
        return int(cursor.lastrowid)
    except DRIVER.Error as error:
        if is_fatal(connection, error):
            raise  # the others' posts are gone with this one
        if isinstance(error, DRIVER.IntegrityError) or error.args[:1] == (TOO_SLOW,):
            return ALONE  # its account is gone, for instance
        return models.Unavailable(models.reason(error))


def is_fatal(connection: Connection, error: Any) -> bool:
    """Whether it ended the transaction, as SQLite does when its disk is full, or the connection."""
    driver: Any = None if connection.invalidated else connection.connection.dbapi_connection
    if not driver or (models.SQLITE and not driver.in_transaction):
        return True
    code = (*error.args, None)[0]
    return code in FATAL or models.engine.dialect.is_disconnect(error, None, None)


def ask_and_write(connection: Connection, cursor: Any, until: float, write: Write) -> Result:
    """In a savepoint, as a check may write before it refuses."""
    user_id, size, *_ = row = row_of(write)
    savepoint = connection.begin_nested()
    try:
        core.raise_version(connection, user_id, 1, size)
        result = insert_post(connection, cursor, until, row)
    except Exception as error:
        if is_fatal(connection, getattr(error, "orig", error)):
            raise  # the others' posts are gone with this one
        result = error
    # If this fails, nobody knows what is there, and all is rolled back.
    savepoint.commit() if isinstance(result, int) else savepoint.rollback()
    return result


# On MySQL in a thread of its own, or accounts that are locked could have all of the core's.
committer = models.writers if models.SQLITE else ThreadPoolExecutor(1, "committer")
commit_together: Shared[Write, int | None] = Shared(committer, commit, 32)
