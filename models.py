"""The Model: the engine, the tables, and the event loop's ways to them: `in_thread`, `Batch` and `write`."""

import asyncio
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, Generic, NoReturn, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.mysql import MEDIUMTEXT
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

T = TypeVar("T")
R = TypeVar("R")

READERS = 7  # threads
CONNECTIONS = READERS + 3  # as many as threads can ask for one: the readers, the streamer and those of two batches
TIMEOUT = 3  # seconds: to connect, for each answer of MySQL, and for SQLite's lock
DEADLINE = 9  # seconds that a request waits for the database, in a queue or for its answer; then TimeoutError
WRITES = 32  # at most in one transaction, as each may carry 1 MB
PATIENCE = 4  # seconds that a transaction which loses conflicts is tried again
CONFLICTS = {1020, 1205, 1213}  # record changed, lock wait timeout, deadlock (Galera's certification too)


def stop(line: str) -> NoReturn:
    """End the start with one line; exit code 3 tells uvicorn's parent process not to try again."""
    print(line, file=sys.stderr)
    sys.exit(3)


def now() -> int:
    """Milliseconds since the epoch, UTC. The clock of tokens, posts and the cache."""
    return time.time_ns() // 1_000_000


def make_engine(database_url: str) -> sa.Engine:
    """The engine of a sqlite, mysql or mariadb URL; anything else ends the start."""
    with suppress(ArgumentError, ValueError):  # whose texts may hold the password
        url = sa.make_url(database_url)
        if url.drivername == "sqlite":
            return make_sqlite_engine(url)
        if url.drivername in {"mysql", "mariadb"}:
            url = url.set(drivername=f"{url.drivername}+pymysql")
        if url.drivername in {"mysql+pymysql", "mariadb+pymysql"} and url.database and "@" not in str(url.host):
            return make_mysql_engine(url)
    stop("DATABASE_URL is none of sqlite:///FILE, sqlite:// (in memory) and mysql://USER:PASSWORD@HOST/DATABASE.")


# No more connections than threads can ask for; errors show no parameters, as these may be secret.
POOL: dict[str, Any] = {"poolclass": sa.QueuePool, "max_overflow": 0, "hide_parameters": True}


def make_mysql_engine(url: sa.URL) -> sa.Engine:
    variables = f"sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), innodb_lock_wait_timeout = {TIMEOUT - 1}"
    timeouts = dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), TIMEOUT)
    options: dict[str, Any] = {"charset": "utf8mb4", "init_command": f"SET SESSION {variables}", **timeouts}
    if url.password:
        options["password"] = url.password.encode()  # PyMySQL itself would make Latin-1 of it
    return sa.create_engine(url, pool_size=CONNECTIONS, pool_pre_ping=True, connect_args=options, **POOL)


def make_sqlite_engine(url: sa.URL) -> sa.Engine:
    # A database in memory is as old as its connection: there is one, and the threads take turns.
    size = 1 if url.database in {None, "", ":memory:"} else CONNECTIONS
    options = {"timeout": TIMEOUT, "check_same_thread": False}
    engine = sa.create_engine(url, pool_size=size, connect_args=options, **POOL)

    @sa.event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _: object) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


engine = make_engine(os.environ.get("DATABASE_URL") or f"sqlite:///{Path(__file__).with_name('blog.db')}")


class Base(DeclarativeBase):
    """Ids are never used twice. Times are milliseconds since the epoch, UTC: exact on every database."""

    type_annotation_map: ClassVar = {int: sa.BigInteger().with_variant(sa.Integer, "sqlite")}
    __table_args__: Any = {"sqlite_autoincrement": True} | {
        f"{dialect}_{key}": value
        for dialect in ("mysql", "mariadb")
        for key, value in {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}.items()
    }


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254), unique=True)
    password_hash: Mapped[str] = mapped_column(sa.String(255))
    posts_version: Mapped[int] = mapped_column(default=0)  # goes up with each write of the account's posts
    created_at: Mapped[int]


class Token(Base):
    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(sa.CHAR(64), unique=True)  # SHA-256, hex; the token itself is nowhere
    created_at: Mapped[int]
    expires_at: Mapped[int]


class Post(Base):
    __tablename__ = "posts"
    __table_args__ = (sa.Index("ix_posts_list", "user_id", "id", "size", "status"), Base.__table_args__)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"))
    size: Mapped[int]  # of the text, in UTF-8 bytes
    status: Mapped[str] = mapped_column(sa.String(9))
    created_at: Mapped[int]
    updated_at: Mapped[int]
    text: Mapped[str] = mapped_column(sa.Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb"))


def create_tables() -> None:
    """Make the tables that are missing. Safe when processes start together; a failure ends the start."""
    deadline = time.monotonic() + 5
    while True:
        try:
            return Base.metadata.create_all(engine)
        except Exception as error:
            # Another process may have made a table since create_all looked, or be about to make the file a WAL one.
            racing = isinstance(error, DBAPIError) and (error.statement or "locked" in reason(error))
            if not racing or time.monotonic() > deadline:
                url = engine.url.set(query={}).render_as_string()  # with *** for the password
                stop(f"DATABASE_URL {url} cannot be used: {reason(error)}")
        time.sleep(random.uniform(0, 0.05))


def reason(error: Exception) -> str:
    """What the driver said, in one line, without the SQL and its parameters."""
    return " ".join(str(getattr(error, "orig", error)).split()) or type(error).__name__


readers = ThreadPoolExecutor(READERS, "reader")
streamer = ThreadPoolExecutor(1, "streamer")  # one large page at a time, or all others wait for the interpreter


async def in_thread(function: Callable[..., R], *args: Any, executor: Executor = readers) -> R:
    """Run what reads the database off the event loop."""
    async with asyncio.timeout(DEADLINE):
        return await asyncio.get_running_loop().run_in_executor(executor, function, *args)


class Batch(Generic[T, R]):
    """Answers all calls that wait at the same moment with one `run(items)`, in a thread of its own.

    `run` returns the results in the items' order; one that is an exception is raised to its caller alone. No call
    joins a batch that has started, so each sees all that was committed before it.
    """

    def __init__(self, run: Callable[[list[T]], list[R]], size: int) -> None:
        self.run, self.size = run, size
        self.waiting: SimpleQueue[tuple[T, asyncio.Future[R]]] = SimpleQueue()
        self.thread: threading.Thread | None = None

    async def __call__(self, item: T) -> R:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        loop.call_soon(self.waiting.put, (item, future))  # after all that is ready now, which so joins the same batch
        if not self.thread:
            self.thread = threading.Thread(target=self.serve, daemon=True)
            self.thread.start()
        deadline = loop.call_later(DEADLINE, resolve, future, TimeoutError())  # a quarter of asyncio.timeout's cost
        try:
            return await future
        finally:
            deadline.cancel()

    def serve(self) -> None:
        while True:
            batch = [self.waiting.get()]
            with suppress(Empty):
                while len(batch) < self.size:
                    batch.append(self.waiting.get_nowait())
            batch = [(item, future) for item, future in batch if not future.done()]  # the others gave up
            try:
                results: Sequence[R | Exception] = self.run([item for item, _ in batch])
            except Exception as error:
                results = [error] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                with suppress(RuntimeError):  # its loop is closed
                    future.get_loop().call_soon_threadsafe(resolve, future, result)


def resolve(future: asyncio.Future[R], result: R | Exception) -> None:
    if future.done():  # its caller was cancelled
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def transact(work: Callable[[Connection], R]) -> R:
    """Run `work` in a transaction and commit; one that lost a conflict is tried again from the start."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with engine.begin() as connection:
                if engine.dialect.name == "sqlite":
                    connection.exec_driver_sql("BEGIN IMMEDIATE")  # waits its turn, where a late upgrade would fail
                return work(connection)
        except OperationalError as error:
            if time.monotonic() > deadline or error.orig is None or error.orig.args[0] not in CONFLICTS:
                raise
        time.sleep(random.uniform(0, 0.05))


Write = tuple[int | None, Callable[[Connection], Any]]
NEW_VERSION = (
    sa.update(User).where(User.id.in_(sa.bindparam("ids", expanding=True))).values(posts_version=User.posts_version + 1)
)


def commit(writes: list[Write]) -> list[Any]:
    """All writes in one transaction; if one of them fails, each in its own, so that it fails alone."""
    owners = sorted({owner for owner, _ in writes if owner})

    def work(connection: Connection) -> list[Any]:
        if owners:  # one statement, before the others: transactions lock accounts in the same order
            connection.execute(NEW_VERSION, {"ids": owners})
        return [write(connection) for _, write in writes]

    try:
        return transact(work)
    except Exception as error:
        if len(writes) == 1 or isinstance(error, (OperationalError, InterfaceError)):  # or the database is away
            return [error] * len(writes)
        return [commit([write])[0] for write in writes]


committed: Batch[Write, Any] = Batch(commit, WRITES)


async def write(work: Callable[[Connection], R], posts_of: int | None = None) -> R:
    """Run `work` in a transaction, shared with all that waits to be written; its result is durable.

    `posts_of` is the id of the user whose posts it writes: their version goes up along with it.
    `work` may run again after a conflict, so it must leave nothing but what the transaction writes.
    """
    result: R = await committed((posts_of, work))
    return result


def inserted_id(connection: Connection, statement: sa.Insert, values: dict[str, Any]) -> int:
    result = connection.execute(statement, values)
    return int(result.inserted_primary_key[0]) if result.inserted_primary_key else 0
