"""The Model: the engine, the tables, and the event loop's two ways to them, `read` and `write`."""

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, NoReturn, TypeVar
from weakref import WeakValueDictionary

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import MEDIUMTEXT
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

R = TypeVar("R")

# Threads that read, and as many that write; on SQLite one at a time writes. Seconds to connect, for an answer of MySQL,
# for SQLite's lock and for a connection of the pool; after which nothing that waits is begun, and no write committed.
THREADS, TIMEOUT, DEADLINE = 8, 3, 5
# Of MySQL's errors. Conflicts are: record changed, lock wait timeout, deadlock (Galera's certification too)
READ_ONLY, CONFLICTS = {1290, 1792, 1836}, {1020, 1205, 1213}


# The database cannot do this now, for this reason; nothing was written.
class Unavailable(sa.exc.SQLAlchemyError):
    advice = "The service is too busy, or its database is away: nothing was saved. Try again soon."


class CommitLost(Unavailable):
    advice = "The database broke off while it saved this. Check whether it was saved before you send it again."


# Milliseconds since the epoch, UTC: the clock of tokens and posts.
def now() -> int:
    return time.time_ns() // 1_000_000


# End the start with one line; exit code 3 tells uvicorn's parent process not to try again.
def stop(line: str) -> NoReturn:
    print(line, file=sys.stderr)
    sys.exit(3)


def unusable(why: str) -> NoReturn:
    stop(f"DATABASE_URL {engine.url.set(query={}).render_as_string()} cannot be used: {why}")  # *** for the password


# What the driver said, in one line, without the SQL and its parameters.
def reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", error)).split()) or type(error).__name__


# A text that does not fit is an error. After 50 silent seconds MySQL gives a connection up, and with it the locks of a
# host that is frozen.
INIT = f"SET sql_mode = 'STRICT_ALL_TABLES', innodb_lock_wait_timeout = {TIMEOUT - 1}, wait_timeout = 50"
MYSQL = dict[str, Any](init_command=INIT, connect_timeout=TIMEOUT, read_timeout=TIMEOUT, write_timeout=TIMEOUT)
# One connection for each thread, and some for extras; errors show no parameters, as these may be secret.
POOL = dict[str, Any](pool_size=2 * THREADS + 2, max_overflow=0, pool_timeout=TIMEOUT, hide_parameters=True)


# The engine of a sqlite, mysql or mariadb URL; anything else ends the start.
def make_engine(database_url: str) -> sa.Engine:
    with suppress(sa.exc.ArgumentError, ValueError):  # whose texts may hold the password
        url = sa.make_url(database_url)
        if url.drivername == "sqlite":
            # A database in memory is as old as its connection: there is one, and the threads take turns.
            size = {"pool_size": 1, "poolclass": sa.QueuePool} if url.database in {None, "", ":memory:"} else {}
            return sa.create_engine(url, connect_args={"timeout": TIMEOUT, "check_same_thread": False}, **POOL | size)
        if re.fullmatch(r"(mysql|mariadb)(\+pymysql)?", url.drivername) and url.database and "@" not in str(url.host):
            args = MYSQL | ({"password": url.password.encode()} if url.password else {})  # PyMySQL takes Latin-1
            return sa.create_engine(url.set(drivername="mysql+pymysql"), connect_args=args, pool_pre_ping=True, **POOL)
    stop("DATABASE_URL is none of sqlite:///FILE, sqlite:// (in memory) and mysql://USER:PASSWORD@HOST/DATABASE.")


@sa.event.listens_for(sa.Engine, "connect")
def set_pragmas(connection: Any, _: object) -> None:
    if hasattr(connection, "executescript"):  # SQLite's
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")


engine = make_engine(os.environ.get("DATABASE_URL") or f"sqlite:///{os.path.dirname(__file__)}/blog.db")
SQLITE, MEMORY = engine.dialect.name == "sqlite", engine.url.database in {None, "", ":memory:"}
if hasattr(os, "register_at_fork") and not MEMORY:
    os.register_at_fork(before=engine.dispose)  # nothing that is open crosses a fork
inodes: set[int] = set()  # that SQLite's file has had, 0 for none


# What is written to another file than the one that was read, or to one that is nowhere, nobody would find again. And a
# connection to a file that is gone makes a new one, with which SQLite throws away the WAL of the old.
@sa.event.listens_for(engine, "do_connect")
@sa.event.listens_for(engine, "checkout")
def check_file(*_: object) -> None:
    file = str(engine.url.database)
    inode = os.stat(file).st_ino if SQLITE and not MEMORY and os.path.exists(file) else 0
    inodes.update({inode} if inode or inodes else ())
    if len(inodes) > 1:
        raise Unavailable(f"{file} was deleted or replaced: restart the service")


# What the columns mean, as MySQL shows it, too:
# users   `email` in lower case; `password_hash` as auth.py has it; `posts_version` goes up with each write of posts
# tokens  `digest` is the SHA-256 of the token, in hex; the token itself is nowhere
# posts   `size` of the text in bytes of UTF-8; `status` is published or draft
# all     `id` is never used twice; each `..._at` is milliseconds since 1970, UTC: exact on every database
Time = Annotated[int, mapped_column(comment="milliseconds since 1970, UTC")]


class Base(DeclarativeBase):
    type_annotation_map: ClassVar = {int: sa.BigInteger().with_variant(sa.Integer, "sqlite")}
    __table_args__: Any = ({"sqlite_autoincrement": True, "mysql_engine": "InnoDB", "mysql_collate": "utf8mb4_bin"},)

    id: Mapped[int] = mapped_column(primary_key=True, sort_order=-1, comment="never used twice")


class User(Base):
    __tablename__ = "users"

    email: Mapped[str] = mapped_column(sa.String(254), unique=True, comment="in lower case")
    password_hash: Mapped[str] = mapped_column(sa.String(255), comment="scrypt, log2(N), r, p, salt and key in Base64")
    posts_version: Mapped[int] = mapped_column(default=now, comment="goes up with each write of the account's posts")
    created_at: Mapped[Time]


class Token(Base):
    __tablename__ = "tokens"

    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(sa.CHAR(64), unique=True, comment="SHA-256 of the token, in hex")
    created_at: Mapped[Time]
    expires_at: Mapped[Time]


class Post(Base):
    __tablename__ = "posts"

    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"))
    size: Mapped[int] = mapped_column(comment="of the text, in bytes of UTF-8")
    status: Mapped[str] = mapped_column(sa.String(9), comment="published or draft")
    created_at: Mapped[Time]
    updated_at: Mapped[Time]
    text: Mapped[str] = mapped_column(sa.Text().with_variant(MEDIUMTEXT(), "mysql"))


sa.Index("ix_tokens_end", Token.user_id, Token.expires_at)
sa.Index("ix_posts_list", Post.user_id, Post.id, Post.size, Post.status)


# Make the tables that are missing. Safe when processes start together; a failure ends the start.
def create_tables() -> None:
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            check_shape()
            return Base.metadata.create_all(engine)
        except Exception as error:
            # Another process may have made a table since create_all looked, or be about to make the file a WAL one.
            if time.monotonic() > deadline or not (getattr(error, "statement", "") or "locked" in reason(error)):
                unusable(reason(error))
        time.sleep(0.02)


# Tables that are there in another shape would be a 503 for ever.
def check_shape() -> None:
    tables = sa.inspect(engine).get_multi_columns(filter_names=list(Base.metadata.tables))
    there = {f"{table}.{c['name']}": c["nullable"] or c["default"] for (_, table), each in tables.items() for c in each}
    needed = {str(column) for _, table in tables for column in Base.metadata.tables[table].columns}
    if wrong := sorted(needed - there.keys() | {name for name in there.keys() - needed if not there[name]}):
        unusable(f"its tables are of another program or version ({', '.join(wrong)}): see EXTRAS=+migrations")


# The one seam for extras, which add to it or replace what it holds:
# on_token    functions of (transaction, user id, token id), which give fields of the token's answer
# on_account  async functions of (request, account), told whose request it is; they raise to refuse
# on_post     functions of (transaction, user id, posts, bytes), told before an account's posts become so many more or,
#             negative, fewer, with its row locked; they raise to refuse
# once        None, or a function of (transaction, writes, write): `write`s those (user id, post, key) whose key is new
# layers      ASGI middleware around the whole app, its answers to errors included; the last is outermost
# post        the Pydantic model of a post, a subclass of schemas.Post
# create_tables  makes the tables before the service starts
hooks = SimpleNamespace(on_token=[], on_account=[], on_post=[], layers=[], once=None, create_tables=create_tables)

# One hash a core.
readers, hashers = ThreadPoolExecutor(THREADS, "reader"), ThreadPoolExecutor(os.cpu_count(), "hasher")
writers = ThreadPoolExecutor(1 if SQLITE else THREADS, "writer")
locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()


# Call what may block in a thread of the executor; Unavailable if its turn comes too late, in seconds.
async def in_thread(executor: Executor, patience: float, function: Callable[..., R], *args: Any) -> R:
    deadline = time.monotonic() + patience

    def begin() -> R:
        if time.monotonic() > deadline:
            raise Unavailable("it waited too long for its turn")
        return function(*args)

    return await asyncio.get_running_loop().run_in_executor(executor, begin)


# Call what reads the database; and what hashes a password, which waits at most 30 seconds for a core.
read, in_hasher = partial(in_thread, readers, DEADLINE), partial(in_thread, hashers, 30)


# Run `work` in a transaction of its own, in a thread; what it returns is durable, what it raises rolls back. Of all
# writes with the same key, such as an account's id, one at a time has a thread. `work` may run again after a conflict,
# so it must leave nothing but what the transaction writes.
async def write(work: Callable[[sa.Connection], R], key: Hashable, patience: float = DEADLINE) -> R:
    deadline = time.monotonic() + patience
    async with locks.setdefault(key, asyncio.Lock()):
        return await in_thread(writers, deadline - time.monotonic(), transact, work, deadline)


def fetch(statement: sa.Executable, **values: Any) -> Sequence[Any]:
    with engine.connect() as connection:
        return connection.execute(statement, values).all()


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
            code = (*getattr(error.orig, "args", ()), None)[0]
            if code in READ_ONLY:  # the pool would keep to a server that was the primary
                engine.dispose()
            if code not in CONFLICTS or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def commit(connection: sa.Connection, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise Unavailable("it took too long, and was rolled back")
    try:
        connection.commit()
    except sa.exc.DBAPIError as e:
        connection.invalidate()  # SQLAlchemy does not roll back, and the next to get it would commit this, too
        raise (CommitLost(f"COMMIT may have been written: {reason(e)}") if e.connection_invalidated else e) from None
