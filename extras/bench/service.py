"""Databases with accounts in them, and servers on them."""

import itertools
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import sqlalchemy as sa

import auth
import models

PASSWORD = "correct horse"
ROOT = Path(models.__file__).parent
ROWS = 5_000  # in one INSERT


def cores() -> tuple[int, int] | tuple[None, None]:
    """One for the servers and another for the load, where there are two and they can be chosen."""
    if not hasattr(os, "sched_setaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else (None, None)


@contextmanager
def new_database(server: str) -> Iterator[sa.Engine]:
    """An empty database with the service's tables, on a server of MySQL or in a new SQLite file."""
    with ExitStack() as stack:
        if server.startswith(("mysql", "mariadb")):
            url = sa.make_url(re.sub(r"^(mysql|mariadb)(?=:)", r"\1+pymysql", server))
            name = f"posts_bench_{secrets.token_hex(6)}"
            password = {"password": url.password.encode()} if url.password else {}  # PyMySQL takes Latin-1
            admin = sa.create_engine(url.set(database=None), isolation_level="AUTOCOMMIT", connect_args=password)
            with admin.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
            stack.callback(drop, admin, name)
            engine = models.make_engine(url.set(database=name).render_as_string(hide_password=False))
        else:
            engine = models.make_engine(f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/bench.db")
        stack.callback(engine.dispose)
        models.Base.metadata.create_all(engine)
        yield engine


def drop(admin: sa.Engine, name: str) -> None:
    with admin.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name}")
    admin.dispose()


def progress(what: str, done: int, total: int) -> None:
    """A bar on a terminal's standard error."""
    if sys.stderr.isatty():
        bar = "#" * (30 * done // total)
        print(f"\r{what} [{bar:30}] {done:,} of {total:,}", end="\n" if done == total else "", file=sys.stderr)


def seed(engine: sa.Engine, accounts: int, posts: int, size: int = 200) -> list[str]:
    """Insert accounts with as many posts each, of `size` bytes; returns their access tokens."""
    password_hash, time = auth.hash_password(PASSWORD), models.now()
    tokens = [secrets.token_urlsafe(32) for _ in range(accounts)]
    with engine.begin() as connection:
        first = (connection.execute(sa.select(sa.func.max(models.User.id))).scalar() or 0) + 1
        ids = range(first, first + accounts)
        users = [
            {"id": i, "email": f"{i}@example.com", "password_hash": password_hash, "created_at": time} for i in ids
        ]
        connection.execute(sa.insert(models.User), users)
        until = time + 86_400_000
        digests = [
            {"user_id": i, "digest": auth.digest(token), "created_at": time, "expires_at": until}
            for i, token in zip(ids, tokens, strict=True)
        ]
        connection.execute(sa.insert(models.Token), digests)
    text = {"text": "x" * size, "size": size, "status": "published", "created_at": time, "updated_at": time}
    owners = itertools.chain.from_iterable(itertools.repeat(ids, posts))  # as if all wrote at the same time
    total, done = accounts * posts, 0
    while batch := list(itertools.islice(owners, max(1, min(ROWS, 2**22 // size)))):
        with engine.begin() as connection:
            connection.execute(sa.insert(models.Post), [{"user_id": i, **text} for i in batch])
        done += len(batch)
        progress("posts", done, total)
    return tokens


class Server:
    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process, self.port, self.url = process, port, f"http://127.0.0.1:{port}"

    def memory(self) -> float:
        """Resident, in MB; 0 where it cannot be read."""
        status = Path(f"/proc/{self.process.pid}/status")
        found = re.search(r"VmRSS:\s*(\d+)", status.read_text()) if status.exists() else None
        return int(found[1]) / 1024 if found else 0


@contextmanager
def serve(
    target: str, engine: sa.Engine | None = None, *options: str, core: int | None = None, **environment: str
) -> Iterator[Server]:
    """Run uvicorn on a free port, and on one core if it is given, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = engine.url.render_as_string(hide_password=False) if engine else "sqlite://"
    command = [sys.executable, "-m", "uvicorn", target, "--port", str(port), "--no-access-log", *options]
    with pinned(core), tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=ROOT,
            env={**os.environ, **environment, "DATABASE_URL": url},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_ready(process, port)
        except TimeoutError:
            process.kill()
            log.seek(0)
            sys.exit(f"{target} did not start:\n{log.read().decode()}")
    try:
        yield Server(process, port)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """What is started meanwhile stays on this core."""
    if core is None:
        yield
        return
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)


def wait_until_ready(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
    raise TimeoutError
