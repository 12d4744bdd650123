"""The Model: the engine, the tables, and the event loop's two ways to them, `read` and `write`."""

import asyncio
import os
import random
import re
import sys
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, NoReturn, TypeVar
from weakref import WeakValueDictionary

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import MEDIUMTEXT
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

R = TypeVar("R")

READERS = 8  # threads
WRITERS = 8  # threads, on MySQL; SQLite has one writer at a time
CONNECTIONS = READERS + WRITERS + 2  # one for each thread, and some for extras
TIMEOUT = 3  # seconds: to connect, for each answer of MySQL, for SQLite's lock and for a connection of the pool
DEADLINE = 5  # seconds after which nothing that waits for the database is begun, and no write is committed
IDLE = 50  # seconds after which MySQL gives up a silent connection, and with it the locks of a host that is frozen
PACKET = 2**21 + 2**12  # bytes of the largest post's statement, as each byte of its text may be escaped
CONFLICTS = {1020, 1205, 1213}  # record changed, lock wait timeout, deadlock (Galera's certification too)
READ_ONLY = {1290, 1792, 1836}


class Unavailable(Exception):
    """The database cannot do this now, for this reason; nothing was written."""

    advice = "The service is too busy, or its database is away: nothing was saved. Try again soon."


class CommitLost(Unavailable):
    advice = "The database broke off while it saved this. Look whether it is there before you send it again."


# Milliseconds since the epoch, UTC: the clock of tokens, posts and the cache.
def now() -> int:
    return time.time_ns() // 1_000_000


def stop(line: str) -> NoReturn:
    """End the start with one line; exit code 3 tells uvicorn's parent process not to try again."""
    print(line, file=sys.stderr)
    sys.exit(3)


def unusable(why: str) -> NoReturn:
    stop(f"DATABASE_URL {engine.url.set(query={}).render_as_string()} cannot be used: {why}")  # *** for the password


# What the driver said, in one line, without the SQL and its parameters.
def reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", error)).split()) or type(error).__name__


VARIABLES = f"sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), innodb_lock_wait_timeout = {TIMEOUT - 1}"
MYSQL: dict[str, Any] = {"charset": "utf8mb4", "init_command": f"SET SESSION {VARIABLES}, wait_timeout = {IDLE}"}
MYSQL |= dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), TIMEOUT)
# No more connections than threads can ask for; errors show no parameters, as these may be secret.
POOL: dict[str, Any] = {"poolclass": sa.QueuePool, "max_overflow": 0, "pool_timeout": TIMEOUT, "hide_parameters": True}


def make_engine(database_url: str) -> sa.Engine:
    """The engine of a sqlite, mysql or mariadb URL; anything else ends the start."""
    with suppress(sa.exc.ArgumentError, ValueError):  # whose texts may hold the password
        url = sa.make_url(database_url)
        if url.drivername == "sqlite":
            # A database in memory is as old as its connection: there is one, and the threads take turns.
            size = 1 if url.database in {None, "", ":memory:"} else CONNECTIONS
            options = {"timeout": TIMEOUT, "check_same_thread": False}
            return sa.create_engine(url, pool_size=size, connect_args=options, **POOL)
        if re.fullmatch(r"(mysql|mariadb)(\+pymysql)?", url.drivername) and url.database and "@" not in str(url.host):
            password = {"password": url.password.encode()} if url.password else {}  # PyMySQL would make Latin-1 of it
            url, options = url.set(drivername="mysql+pymysql"), MYSQL | password
            return sa.create_engine(url, pool_size=CONNECTIONS, pool_pre_ping=True, connect_args=options, **POOL)
    stop("DATABASE_URL is none of sqlite:///FILE, sqlite:// (in memory) and mysql://USER:PASSWORD@HOST/DATABASE.")


# Of the file that SQLite has at the database's path; 0 if there is none.
def inode() -> int:
    with suppress(OSError, TypeError):
        return os.stat(engine.url.database or "").st_ino
    return 0


inodes: set[int] = set()  # of the file that SQLite has opened


# What is written to another file than the one that was read, or to one that is nowhere, nobody would find again.
def check_file(*_: Any) -> None:
    if inodes - {inode()}:
        raise Unavailable(f"{engine.url.database} was deleted or replaced: restart the service")


@sa.event.listens_for(sa.Engine, "connect")
def set_pragmas(connection: Any, _: object) -> None:
    if hasattr(connection, "executescript"):  # SQLite's
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")


engine = make_engine(os.environ.get("DATABASE_URL") or f"sqlite:///{Path(__file__).with_name('blog.db')}")
SQLITE = engine.dialect.name == "sqlite"
MEMORY = SQLITE and engine.url.database in {None, "", ":memory:"}
if hasattr(os, "register_at_fork") and not MEMORY:
    os.register_at_fork(before=engine.dispose)  # nothing that is open crosses a fork
if SQLITE:
    sa.event.listen(engine, "do_connect", check_file)  # before it, or it would make an empty file
    sa.event.listen(engine, "connect", lambda *_: inodes.add(inode()))


TABLE = {"sqlite_autoincrement": True, "mysql_engine": "InnoDB", "mysql_collate": "utf8mb4_bin"}


# Ids are never used twice. Times are milliseconds since the epoch, UTC: exact on every database.
class Base(DeclarativeBase):
    type_annotation_map: ClassVar = {int: sa.BigInteger().with_variant(sa.Integer, "sqlite")}
    __table_args__: Any = TABLE

    id: Mapped[int] = mapped_column(primary_key=True, sort_order=-1)


class User(Base):
    __tablename__ = "users"

    email: Mapped[str] = mapped_column(sa.String(254), unique=True)
    password_hash: Mapped[str] = mapped_column(sa.String(255))
    posts_version: Mapped[int] = mapped_column(default=0)  # goes up with each write of the account's posts
    created_at: Mapped[int]


class Token(Base):
    __tablename__ = "tokens"

    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(sa.CHAR(64), unique=True)  # SHA-256, hex; the token itself is nowhere
    created_at: Mapped[int]
    expires_at: Mapped[int]


class Post(Base):
    __tablename__ = "posts"
    __table_args__ = (sa.Index("ix_posts_list", "user_id", "id", "size", "status"), TABLE)

    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"))
    size: Mapped[int]  # of the text, in UTF-8 bytes
    status: Mapped[str] = mapped_column(sa.String(9))
    created_at: Mapped[int]
    updated_at: Mapped[int]
    text: Mapped[str] = mapped_column(sa.Text().with_variant(MEDIUMTEXT(), "mysql"))


def create_tables() -> None:
    """Make the tables that are missing. Safe when processes start together; a failure ends the start."""
    deadline = time.monotonic() + 5
    while True:
        try:
            check_database()
            return Base.metadata.create_all(engine)
        except Exception as error:
            # Another process may have made a table since create_all looked, or be about to make the file a WAL one.
            racing = isinstance(error, sa.exc.DBAPIError) and (error.statement or "locked" in reason(error))
            if not racing or time.monotonic() > deadline:
                unusable(reason(error))
        time.sleep(random.uniform(0, 0.05))


# Tables that are there in another shape, or a server that refuses the largest post, would be a 503 for ever.
def check_database() -> None:
    tables = sa.inspect(engine).get_multi_columns(filter_names=list(Base.metadata.tables))
    there = {f"{table}.{column['name']}" for (_, table), columns in tables.items() for column in columns}
    needed = {str(column) for _, table in tables for column in Base.metadata.tables[table].columns}
    if lacking := sorted(needed - there):
        unusable(f"its tables are of another program or version and lack {', '.join(lacking)}: see EXTRAS=+migrations")
    with engine.connect() as connection:
        packet = PACKET if SQLITE else connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar_one()
    if packet < PACKET:
        unusable(f"the server's max_allowed_packet is {packet}, and {PACKET} is the least")


# The one seam for extras, which add to it or replace what it holds:
# on_token    functions of (transaction, user id, token id), which give fields of the token's answer
# on_account  async functions of (request, account), told whose request it is; they raise to refuse
# on_post     functions of (transaction, user id, bytes), asked before a post is inserted; they raise to refuse
# layers      ASGI middleware around the whole app, its answers to errors included; the last is outermost
# bodies      how many bytes a body may have, by its route's path
# post        the Pydantic model of a post, a subclass of schemas.Post
hooks = SimpleNamespace(on_token=[], on_account=[], on_post=[], layers=[], bodies={}, create_tables=create_tables)

readers = ThreadPoolExecutor(READERS, "reader")
writers = ThreadPoolExecutor(1 if SQLITE else WRITERS, "writer")
locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()


async def read(function: Callable[..., R], *args: Any) -> R:
    """Call what reads the database in a thread; Unavailable if its turn comes too late."""
    return await in_thread(readers, time.monotonic() + DEADLINE, function, *args)


# Of all writes with the same key, such as an account's id, one at a time has a thread. `work` may run again after a
# conflict, so it must leave nothing but what the transaction writes.
async def write(work: Callable[[sa.Connection], R], key: Hashable) -> R:
    """Run `work` in a transaction of its own, in a thread; what it returns is durable, what it raises rolls back."""
    deadline = time.monotonic() + DEADLINE
    async with locks.setdefault(key, asyncio.Lock()):
        return await in_thread(writers, deadline, transact, work, deadline)


async def in_thread(executor: Executor, deadline: float, function: Callable[..., R], *args: Any) -> R:
    def begin() -> R:
        if time.monotonic() > deadline:
            raise Unavailable("it waited too long for its turn")
        return function(*args)

    return await asyncio.get_running_loop().run_in_executor(executor, begin)


def fetch(statement: sa.Executable) -> Sequence[Any]:
    with engine.connect() as connection:
        return connection.execute(statement).all()


def transact(work: Callable[[sa.Connection], R], deadline: float) -> R:
    while True:
        try:
            with engine.connect() as connection:
                if SQLITE:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")  # waits its turn, where a late upgrade would fail
                result = work(connection)
                commit(connection, deadline)
                return result
        except sa.exc.DBAPIError as error:
            code = error.orig.args[0] if error.orig and error.orig.args else None
            if code in READ_ONLY:
                engine.dispose()  # or the pool's connections would keep to a server that was the primary
            if code not in CONFLICTS or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0, 0.05))


def commit(connection: sa.Connection, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise Unavailable("it took too long, and was rolled back")
    check_file()
    try:
        connection.commit()
    except Exception as error:
        connection.invalidate()  # SQLAlchemy does not roll back, and the next to get it would commit this, too
        if not getattr(error, "connection_invalidated", False):
            raise
        raise CommitLost(f"during COMMIT, so it may have been written: {reason(error)}") from None
