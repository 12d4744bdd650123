"""What must hold where look-ups and commits are shared; all else is the contract's, which runs with it too."""

import asyncio
import copy
import importlib
import json
import pickle
import re
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

import test_app
from test_app import (
    LIMIT,
    Server,
    add,
    adding,
    as_root,
    at_once,
    body_of,
    listing,
    new_database,
    new_email,
    private_servers,
    serve,
    sign_up,
    texts,
    wait_until,
)

core, quick, client, ada, bob = test_app.core, test_app.quick, test_app.client, test_app.ada, test_app.bob

Job = Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    with serve(url, EXTRAS="fast", PYTHONHASHSEED="1") as server:
        yield server
        assert "Traceback" not in server.log


@pytest.fixture(scope="module")
def plain(url: str) -> Iterator[Server]:
    """The same service without the extra, on the same database, whose ids have seven digits from now on.

    One seed makes `Allow` name the methods in one order.
    """
    seven = "UPDATE sqlite_sequence SET seq = 1000000 WHERE name = 'posts'"
    with serve(url, EXTRAS="", PYTHONHASHSEED="1") as server, sa.create_engine(url).begin() as connection:
        connection.exec_driver_sql(seven if url.startswith("sqlite") else "ALTER TABLE posts AUTO_INCREMENT = 1000000")
        connection.commit()
        yield server
        assert "Traceback" not in server.log


@pytest.fixture(scope="module")
def accounts(server: Server) -> list[dict[str, str]]:
    """The headers of 14 accounts."""
    return [sign_up(server) for _ in range(14)]


@pytest.fixture
def fast(core: ModuleType, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A client of the app in this process, with the layer around it."""
    paths = importlib.import_module("extras.fast.paths")
    monkeypatch.setattr(core.app, "middleware_stack", paths.FastPaths(core.app, core.app.middleware_stack))
    return client


@pytest.fixture
def calm(url: str) -> Iterator[Server]:
    """A server to which nothing was refused yet, so that MariaDB inserts posts together."""
    with serve(url, EXTRAS="fast") as server:
        yield server


def answers_at_once(jobs: Sequence[Job], server: Server) -> list[httpx2.Response]:
    """What each is answered, all sent at the same moment, each on a connection of its own."""

    async def run() -> list[httpx2.Response]:
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(base_url=server.base_url, timeout=60, limits=limits) as client:
            return await asyncio.gather(*(job(client) for job in jobs))

    return asyncio.run(run())


def texts_in(url: str) -> Counter[str]:
    """The texts in the table, of all accounts, and how often each is there."""
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        return Counter(connection.scalars(sa.text("SELECT text FROM posts")).all())


@contextmanager
def before_each_insert(url: str, mysql: str, sqlite: str = "") -> Iterator[Callable[[str], Any]]:
    """A trigger on posts that does this, until the block ends; gives a way to run other statements."""
    do, when = (sqlite, "") if url.startswith("sqlite") else (mysql, "FOR EACH ROW")
    with sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool).connect() as connection:
        connection.exec_driver_sql(f"CREATE TRIGGER meddle BEFORE INSERT ON posts {when} BEGIN {do} END")
        try:
            yield connection.exec_driver_sql
        finally:
            connection.exec_driver_sql("DROP TRIGGER meddle")


def extra(folder: Path, source: str) -> str:
    """The folder, in which `odd.extra` now is an extra of this source."""
    (folder / "odd").mkdir()
    (folder / "odd" / "extra.py").write_text(source)
    return str(folder)


def test_a_list_and_a_post_are_answered_with_the_same_headers_as_without_it(url: str, server: Server) -> None:
    headers = sign_up(server)
    with serve(url, EXTRAS="") as plain:
        for client in (server, plain):
            add(client, headers)
        for _ in range(2):
            fast, slow = (client.get("/getPosts", headers=headers) for client in (server, plain))
            for answer in (fast, slow):
                del answer.headers["date"]
            assert (fast.content, dict(fast.headers)) == (slow.content, dict(slow.headers))


def test_posts_at_once_are_each_told_their_own_id(url: str, calm: Server, accounts: list[dict[str, str]]) -> None:
    sent = [f"{number} of 56, 100 %s?" for number in range(56)]
    answers = answers_at_once([adding(*each) for each in zip(accounts * 4, sent, strict=True)], calm)
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        there: dict[int, str] = dict(connection.execute(sa.text("SELECT id, text FROM posts")).fetchall())
    assert [there[answer.json()["postID"]] for answer in answers] == sent


def test_posts_at_once_are_all_written_and_listed(server: Server) -> None:
    accounts = [sign_up(server) for _ in range(8)]
    jobs = [adding(headers, str(number)) for number in range(8) for headers in accounts]
    assert at_once([*jobs, *map(listing, accounts)], str(server.base_url)) == {201: 64, 200: 8}
    for headers in accounts:
        assert sorted(texts(server, headers)) == list("01234567")


def test_an_account_that_is_locked_elsewhere_delays_no_other(url: str, server: Server) -> None:
    if url.startswith("sqlite"):
        pytest.skip("SQLite locks the whole file")
    locked, *others = [sign_up(server) for _ in range(8)]
    post_id = add(server, locked)
    with sa.create_engine(url).connect() as connection:
        owner = sa.text("SELECT id FROM users WHERE id = (SELECT user_id FROM posts WHERE id = :id) FOR UPDATE")
        connection.execute(owner, {"id": post_id})
        waiting = threading.Thread(target=lambda: server.post("/addPost", json={"text": "hi"}, headers=locked))
        waiting.start()
        assert at_once([adding(headers, "hi") for headers in others * 4], str(server.base_url)) == Counter({201: 28})
        assert waiting.is_alive()
    waiting.join(30)


def ids_used(answers: Sequence[httpx2.Response]) -> int:
    """How many MySQL gave out for these posts; one that was rolled back is among them."""
    ids = [int(answer.json()["postID"]) for answer in answers if answer.status_code == 201]
    return max(ids) - min(ids) + 1


REFUSE_BAD = """
IF LEFT(NEW.text, 3) = 'bad' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused'; END IF;
"""
REFUSE_BAD_SQLITE = "SELECT RAISE(ABORT, 'refused') WHERE NEW.text LIKE 'bad%';"


def test_a_post_that_the_database_refuses_is_refused_alone(
    url: str, server: Server, accounts: list[dict[str, str]]
) -> None:
    with before_each_insert(url, REFUSE_BAD, REFUSE_BAD_SQLITE):
        for bad in (7, 1):  # of seven one at least is inserted together with others, however they arrive
            good = 14 - bad
            sent = [f"beside {bad} bad {number}" for number in range(good)] + ["bad"] * bad
            answers = answers_at_once([adding(*each) for each in zip(accounts, sent, strict=True)], server)
            assert [answer.status_code for answer in answers] == [201] * good + [503] * bad
            there = texts_in(url)
            assert [there[text] for text in sent] == [1] * good + [0] * bad
    assert ids_used(answers) <= 14  # none beside it was written twice, now that one was refused lately


def test_a_transaction_that_sqlite_itself_rolls_back_loses_no_post_that_was_answered(
    url: str, server: Server, accounts: list[dict[str, str]], tmp_path: Path
) -> None:
    if not url.startswith("sqlite"):
        pytest.skip("of SQLite alone, when its disk is full for instance")
    rolls_back = REFUSE_BAD_SQLITE.replace("ABORT", "ROLLBACK")
    asked = serve(url, EXTRAS="fast,odd.extra", PYTHONPATH=extra(tmp_path, REFUSING))
    with asked as other, before_each_insert(url, "", rolls_back):
        for service in (server, other):
            name = f"beside {service.base_url.port} "
            sent = ["bad", *[f"{name}{number}" for number in range(12)], "bad too"]
            answers = answers_at_once([adding(*each) for each in zip(accounts, sent, strict=True)], service)
            assert [answer.status_code for answer in answers] == [503, *[201] * 12, 503]
            there = texts_in(url)
            assert [there[text] for text in sent] == [0, *[1] * 12, 0]
            ids = [answer.json()["postID"] for answer in answers[1:-1]]
            assert len(set(ids)) == 12


DEADLOCKED = """
import models

met = []

def check(connection, user_id, posts, size):
    if size == 3 and not met:
        met.append(user_id)
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found'")

def setup(app):
    models.hooks.on_post.append(check)
"""


def test_a_deadlock_that_a_check_of_another_extra_meets_loses_no_post_that_was_answered(
    url: str, accounts: list[dict[str, str]], tmp_path: Path
) -> None:
    if url.startswith("sqlite"):
        pytest.skip("of MySQL alone, which then rolls the transaction back, with its savepoints")
    with serve(url, EXTRAS="fast,odd.extra", PYTHONPATH=extra(tmp_path, DEADLOCKED)) as server:
        sent = [*[f"beside the deadlock {number}" for number in range(6)], "met", "after the deadlock"]
        answers = answers_at_once([adding(*each) for each in zip(accounts, sent, strict=False)], server)
        assert [answer.status_code for answer in answers] == [201] * 8
        there = texts_in(url)
        assert [there[text] for text in sent] == [1] * 8


def test_once_mysql_has_rolled_back_no_post_of_the_transaction_counts_as_written(
    core: ModuleType, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if core.models.SQLITE:
        pytest.skip("of MySQL alone, when its lock table is full for instance")
    commit, do_execute = importlib.import_module("extras.fast.commit"), core.models.engine.dialect.do_execute

    def roll_back(cursor: Any, sql: str, values: Any, *context: Any) -> None:
        if "one too many" in values:
            cursor.connection.rollback()
            raise commit.DRIVER.OperationalError(1206, "The total number of locks exceeds the lock table size")
        do_execute(cursor, sql, values, *context)

    monkeypatch.setattr(core.models.engine.dialect, "do_execute", roll_back)
    monkeypatch.setattr(commit.apart, "until", float("inf"))
    account = core.auth.find_account(core.auth.digest(ada["Authorization"].removeprefix("Bearer ")))
    posts = [core.schemas.PostInput(text=text) for text in ("hi", "one too many")]
    assert commit.commit([commit.Write(account.id, post, "") for post in posts]) == [commit.ALONE] * 2


@pytest.mark.parametrize("statement", ["release_savepoint", "rollback_savepoint"])
def test_a_savepoint_that_cannot_be_ended_ends_the_transaction(
    core: ModuleType, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    commit = importlib.import_module("extras.fast.commit")

    def refuse_long(connection: Any, user_id: int, posts: int, size: int) -> None:
        if size > 2:
            raise ValueError

    def fail(*_: object) -> None:
        raise sa.exc.OperationalError("", {}, commit.DRIVER.OperationalError(1317, "Query execution was interrupted"))

    monkeypatch.setattr(core.models.hooks, "on_post", [refuse_long])
    account = core.auth.find_account(core.auth.digest(ada["Authorization"].removeprefix("Bearer ")))
    posts = [core.schemas.PostInput(text=text) for text in ("hi", "refused", "ho")]
    sa.event.listen(core.models.engine, statement, fail)
    try:
        results = commit.commit([commit.Write(account.id, post, "") for post in posts])
    finally:
        sa.event.remove(core.models.engine, statement, fail)
    assert results == [commit.ALONE] * 3


@pytest.mark.parametrize("checks", [[], [lambda *_: None]], ids=["without a check", "with a check"])
def test_on_mariadb_a_post_that_is_inserted_by_itself_has_no_more_time_than_together_with_others(
    core: ModuleType, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch, checks: list[Callable[..., None]]
) -> None:
    if core.models.SQLITE or not core.models.engine.dialect.insert_returning:
        pytest.skip("of MariaDB alone")
    commit = importlib.import_module("extras.fast.commit")
    monkeypatch.setattr(commit.apart, "until", float("inf"))
    monkeypatch.setattr(core.models.hooks, "on_post", checks)
    account = core.auth.find_account(core.auth.digest(ada["Authorization"].removeprefix("Bearer ")))
    posts = [core.schemas.PostInput(text=text) for text in ("hi", "slow")]
    url = core.models.engine.url.render_as_string(hide_password=False)
    with before_each_insert(url, "IF NEW.text = 'slow' THEN DO SLEEP(1.5); END IF;"):
        post_id, slow = commit.commit([commit.Write(account.id, post, "") for post in posts])
    assert isinstance(post_id, int)
    assert slow is commit.ALONE


def test_on_mysql_a_transaction_locks_its_accounts_and_no_other(
    fast: TestClient, core: ModuleType, ada: dict[str, str]
) -> None:
    if core.models.SQLITE:
        pytest.skip("SQLite locks the whole file")
    commit = importlib.import_module("extras.fast.commit")
    for _ in range(3):
        sign_up(fast)
    with core.models.engine.connect() as one, core.models.engine.connect() as other:
        *mine, last = one.scalars(sa.select(core.User.id).order_by(core.User.id)).all()
        one.rollback()
        one.begin()
        assert commit.unlocked(one, set(mine)) == set(mine)
        commit.raise_versions(one, set(mine))
        locked = sa.text("SELECT id FROM users WHERE id = :id FOR UPDATE NOWAIT")
        assert other.execute(locked, {"id": last}).scalar_one() == last


def test_posts_that_are_inserted_together_fit_into_the_packet_that_the_start_asks_for(
    fast: TestClient, core: ModuleType, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if core.models.SQLITE:
        pytest.skip("SQLite has no packets")
    add(fast, ada)
    commit, do_execute = importlib.import_module("extras.fast.commit"), core.models.engine.dialect.do_execute
    sizes: list[int] = []

    def measure(cursor: Any, sql: str, values: Any, *context: Any) -> None:
        sizes.append(len(cursor.mogrify(sql, values).encode()))
        do_execute(cursor, sql, values, *context)

    monkeypatch.setattr(core.models.engine.dialect, "do_execute", measure)
    post = core.schemas.PostInput(text="'" * (commit.LARGE - 1))
    (user_id,) = core.models.fetch(sa.select(core.User.id).order_by(core.User.id.desc()).limit(1))[0]
    for count in (2, 16, 17, 32):
        results = commit.commit([commit.Write(user_id, post, "")] * count)
        assert all(result or result is commit.ALONE for result in results)
        assert max(sizes) <= importlib.import_module("extras.fast").PACKET


def test_a_post_that_has_waited_too_long_with_others_is_not_begun_alone(
    fast: TestClient, core: ModuleType, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.models, "DEADLINE", -1)
    for text in ("hi", "x" * 70_000):
        answer = fast.post("/addPost", json={"text": text}, headers=ada)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    monkeypatch.undo()
    assert texts(fast, ada) == []


def test_posts_that_the_database_is_slow_with_hold_no_other_up_and_none_is_written_twice(
    url: str, calm: Server, accounts: list[dict[str, str]]
) -> None:
    if url.startswith("sqlite"):
        pytest.skip("SQLite has no function that sleeps")
    sent = [f"slow {number}" for number in range(5)] + [f"beside the slow {number}" for number in range(9)]
    with before_each_insert(url, "IF LEFT(NEW.text, 4) = 'slow' THEN DO SLEEP(1.5); END IF;"):
        answers = answers_at_once([adding(*each) for each in zip(accounts, sent, strict=True)], calm)
    assert [answer.status_code for answer in answers] == [201] * 14
    there = texts_in(url)
    assert [there[text] for text in sent] == [1] * 14
    assert max(answer.elapsed.total_seconds() for answer in answers[5:]) < 5


RUNNING = """
SELECT COUNT(*) FROM information_schema.processlist LEFT JOIN information_schema.innodb_trx ON trx_mysql_thread_id = id
WHERE db = DATABASE() AND id <> CONNECTION_ID() AND (command <> 'Sleep' OR trx_id IS NOT NULL)
"""


def test_of_posts_that_take_too_long_those_that_are_503_are_not_there_neither_at_once_nor_later(
    url: str, calm: Server, accounts: list[dict[str, str]]
) -> None:
    if url.startswith("sqlite"):
        pytest.skip("SQLite has no function that sleeps")
    # An answer may take 3 seconds; MySQL goes on with what nobody waits for.
    sent = [f"{['takes 2', 'takes 4'][number % 2]}, {number}" for number in range(14)]
    with before_each_insert(url, "DO SLEEP(SUBSTRING(NEW.text, 7, 1));") as run:
        answers = answers_at_once([adding(*each) for each in zip(accounts, sent, strict=True)], calm)
        written = [int(answer.status_code == 201) for answer in answers]
        assert {answer.status_code for answer in answers} == {201, 503}
        for _ in range(2):
            there = texts_in(url)
            assert [there[text] for text in sent] == written
            wait_until(lambda: run(RUNNING).scalar_one() == 0)


REFUSING = """
import sqlalchemy as sa
from fastapi import HTTPException
import auth, models

class Asked(models.Base):
    __tablename__ = "asked"
    size: models.Mapped[int]

def check(connection, user_id, posts, size):
    auth.log.info("asked about %d bytes", size)
    connection.execute(sa.insert(Asked).values(size=size))
    email = connection.scalar(sa.select(models.User.email).where(models.User.id == user_id))
    if email.startswith("refused"):
        raise HTTPException(403, "Not you.")

def setup(app):
    models.hooks.on_post.append(check)
"""


def test_a_post_that_another_extra_refuses_is_refused_alone_and_each_is_asked_about_once(tmp_path: Path) -> None:
    with new_database() as url, serve(url, EXTRAS="fast,odd.extra", PYTHONPATH=extra(tmp_path, REFUSING)) as server:
        accounts = [sign_up(server, f"{'refused' * (number % 5 == 2)}{new_email()}") for number in range(10)]
        sent = ["x" * (100 + number) for number in range(10)]
        answers = answers_at_once([adding(*each) for each in zip(accounts, sent, strict=True)], server)
        statuses = [403 if number % 5 == 2 else 201 for number in range(10)]
        assert [answer.status_code for answer in answers] == statuses
        kept = {text: 1 for text, status in zip(sent, statuses, strict=True) if status == 201}
        assert texts_in(url) == kept
        asked = re.findall(r"asked about (\d+) bytes", server.log)
        assert sorted(asked) == [str(len(text)) for text in sent]
        with sa.create_engine(url).connect() as connection:  # what the check of a refused post wrote is gone
            assert sorted(connection.scalars(sa.text("SELECT size FROM asked"))) == [len(text) for text in kept]


def test_a_large_text_is_written_alone_by_the_core(
    fast: TestClient, core: ModuleType, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, by_the_core = importlib.import_module("extras.fast.commit"), []
    write_post = core.write_post

    def watch(connection: Any, user_id: int, post: Any) -> Any:
        by_the_core.append(len(post.text))
        return write_post(connection, user_id, post)

    monkeypatch.setattr(core, "write_post", watch)
    sent = ["x" * (commit.LARGE - 1), "x" * commit.LARGE]
    for text in sent:
        add(fast, ada, text)
    assert by_the_core == [commit.LARGE]
    assert texts(fast, ada) == sent[::-1]


@pytest.mark.parametrize(("key", "known_as"), [("8e-03_a", "8e-03_a"), ('"8e03"', "8e03"), ('"8e03', ""), ("8 e", "")])
def test_a_post_with_a_plain_key_is_written_here_and_any_other_is_handed_on(
    fast: TestClient,
    core: ModuleType,
    ada: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    known_as: str,
) -> None:
    keys: list[str] = []

    def once(_: Any, writes: list[Any], write: Callable[[list[Any]], list[Any]]) -> list[Any]:
        keys.extend(write.key for write in writes)
        return write(writes)

    monkeypatch.setattr(core.hooks, "once", once)
    add(fast, {**ada, "Idempotency-Key": key})
    add(fast, ada)
    assert keys == [known_as] * bool(known_as)
    assert texts(fast, ada) == ["hi", "hi"]


def test_a_post_with_a_key_that_cannot_be_written_with_others_is_handed_on_whole(
    fast: TestClient, core: ModuleType, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.hooks, "once", lambda _, writes, __: [None] * len(writes))
    for text in ("hi", "x" * 70_000):
        add(fast, {**ada, "Idempotency-Key": "8e03"}, text)
        assert texts(fast, ada)[0] == text


def test_a_look_up_whose_connection_is_gone_is_made_on_a_new_one(
    fast: TestClient, core: ModuleType, ada: dict[str, str]
) -> None:
    line = importlib.import_module("extras.fast.lookup").line
    for number in range(2):
        texts(fast, ada)
        held = line.connection
        if core.models.SQLITE:
            held.close()
        else:
            as_root(core.models.engine.url.port or 3306, f"KILL {held.thread_id()}")
        if number:
            add(fast, ada)
        else:
            assert texts(fast, ada) == []
        assert line.connection is not held


def test_a_server_that_takes_no_large_packet_ends_the_start_with_one_line() -> None:
    with (
        private_servers(1, "--max-allowed-packet=1M") as (port,),
        serve(f"mysql://posts@127.0.0.1:{port}/posts", wait=False, EXTRAS="fast") as server,
    ):
        assert server.process.wait(30) == 3
        (line,) = server.log.splitlines()
    assert "max_allowed_packet is 1048576" in line


def test_with_a_database_in_memory_all_works() -> None:
    with serve("sqlite://", EXTRAS="fast") as server:
        accounts = [sign_up(server) for _ in range(4)]
        jobs = [job for headers in accounts * 8 for job in (adding(headers, "hi"), listing(headers))]
        assert at_once(jobs, str(server.base_url)) == {200: 32, 201: 32}
        for headers in accounts:
            posts = server.get("/getPosts", headers=headers).json()
            assert [post["text"] for post in posts] == ["hi"] * 8
            assert server.delete(f"/deletePost/{posts[0]['postID']}", headers=headers).status_code == 204
            assert texts(server, headers) == ["hi"] * 7
        assert "Traceback" not in server.log


# Where it steps aside


MARKING = """
def setup(app):
    @app.middleware("http")
    async def mark(request, call_next):
        answer = await call_next(request)
        answer.headers["X-Seen"] = request.url.path
        return answer
"""


def test_middleware_of_fastapi_sees_every_request(tmp_path: Path) -> None:
    with new_database() as url, serve(url, EXTRAS="fast,odd.extra", PYTHONPATH=extra(tmp_path, MARKING)) as server:
        headers = sign_up(server)
        for _ in range(2):  # the second list could come from the cache
            assert server.get("/getPosts", headers=headers).headers["X-Seen"] == "/getPosts"
        answer = server.post("/addPost", json={"text": "hi"}, headers=headers)
        assert (answer.status_code, answer.headers["X-Seen"]) == (201, "/addPost")


def test_a_dependency_that_is_overridden_is_so_for_lists_and_posts(
    fast: TestClient, core: ModuleType, ada: dict[str, str], bob: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(fast, bob, "bob's")
    user_id, version, _ = fast.get("/getPosts", headers=bob).headers["etag"].strip('"').split("-")
    texts(fast, ada)  # now it is in the cache
    account = core.auth.Account(int(user_id), int(version) + 1, 0)
    monkeypatch.setitem(core.app.dependency_overrides, core.auth.current_user, lambda: account)
    add(fast, ada, "as bob")
    assert texts(fast, ada) == ["as bob", "bob's"]


def chunks_of(body: bytes, count: int) -> Iterator[dict[str, Any]]:
    """The messages that bring the body in so many pieces, and then that the client is gone."""
    size = -(-len(body) // count)
    for start in range(0, len(body), size):
        more = start + size < len(body)
        yield {"type": "http.request", "body": body[start : start + size], "more_body": more}
    yield {"type": "http.disconnect"}


def call(
    core: ModuleType,
    headers: dict[str, str],
    messages: Iterator[dict[str, Any]],
    send: Callable[[dict[str, Any]], Awaitable[None]] | None = None,
    path: str = "/addPost",
) -> list[dict[str, Any]]:
    """What is sent after a request whose body these messages bring; fails if it takes 10 seconds."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": "POST" if path == "/addPost" else "GET",
        "path": path,
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def keep(message: dict[str, Any]) -> None:
        sent.append(message)

    async def run() -> None:
        done, _ = await asyncio.wait({asyncio.ensure_future(core.app(scope, receive, send or keep))}, timeout=10)
        assert done
        await done.pop()

    asyncio.run(run())
    return sent


@pytest.mark.parametrize(
    ("body", "status"), [(b'\xef\xbb\xbf{"text": "a body with a mark of byte order"}', 201), (b'{"text": ""}', 422)]
)
def test_a_body_that_was_read_and_is_not_answered_reaches_fastapi_whole(
    fast: TestClient, core: ModuleType, ada: dict[str, str], body: bytes, status: int
) -> None:
    headers = {**ada, "Content-Type": "application/json", "Content-Length": str(len(body))}
    start, *rest = call(core, headers, chunks_of(body, 5))
    told = json.loads(b"".join(message["body"] for message in rest))
    assert (start["status"], list(told)) == (status, ["postID" if status == 201 else "detail"])
    assert texts(fast, ada) == ([json.loads(body)["text"]] if status == 201 else [])
    if status == 422:
        assert told["detail"][0]["loc"] == ["body", "text"]


def test_of_a_body_whose_client_leaves_nothing_is_written(
    fast: TestClient, core: ModuleType, ada: dict[str, str]
) -> None:
    headers = {**ada, "Content-Type": "application/json", "Content-Length": "99"}
    part = {"type": "http.request", "body": b'{"text": "hi"}', "more_body": True}
    start, *_ = call(core, headers, iter([part, {"type": "http.disconnect"}]))
    assert start["status"] == 400
    assert texts(fast, ada) == []


@pytest.mark.parametrize("path", ["/addPost", "/getPosts"])
def test_an_answer_that_cannot_be_sent_is_begun_once(
    fast: TestClient, core: ModuleType, ada: dict[str, str], path: str
) -> None:
    texts(fast, ada)  # now it is in the cache
    begun: list[int] = []

    async def break_off(message: dict[str, Any]) -> None:
        begun.append(message["status"])
        raise RuntimeError("the connection is closed")

    body = b'{"text": "hi"}' * (path == "/addPost")
    headers = {**ada, **({"Content-Type": "application/json", "Content-Length": str(len(body))} if body else {})}
    with pytest.raises(RuntimeError, match="is closed"):
        call(core, headers, chunks_of(body or b" ", 1), break_off, path)
    assert begun == [201 if body else 200]


# The same answers as without it


def request(line: str, *fields: str, body: bytes = b"") -> bytes:
    """As it is on the wire; TOKEN and ETAG stand for themselves until it is sent."""
    return "\r\n".join([f"{line} HTTP/1.1", "Host: x", *fields, "", ""]).encode() + body


AS, JSON = "Authorization: Bearer TOKEN", "Content-Type: application/json"
GOOD = b'{"text": "hi"}'
DEEP = b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def getting(*fields: str, body: bytes = b"", method: str = "GET", target: str = "/getPosts") -> list[bytes]:
    return [request(f"{method} {target}", *fields, body=body)]


def posting(body: bytes, *fields: str, target: str = "/addPost") -> list[bytes]:
    return [request(f"POST {target}", *(fields or (AS, JSON)), f"Content-Length: {len(body)}", body=body)]


def with_zeros(count: int) -> list[bytes]:
    fields = f"Content-Length: {len(GOOD):0{count}}", "Connection: close"
    return [request("POST /addPost", AS, JSON, *fields, body=GOOD)]


def in_two(body: bytes) -> list[bytes]:
    (whole,) = posting(body)
    return [whole[: 5 - len(body)], whole[5 - len(body) :]]


def chunked(*chunks: bytes) -> list[bytes]:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return [request("POST /addPost", AS, JSON, "Transfer-Encoding: chunked", body=body)]


# Each in the packets that it is sent in.
ODD = {
    "a list": getting(AS),
    "a list with a query": getting(AS, target="/getPosts?limit=1"),
    "a list with an empty query": getting(AS, target="/getPosts?"),
    "a list with a wrong query": getting(AS, target="/getPosts?limit=0"),
    "a list with a fragment": getting(AS, target="/getPosts#top"),
    "a list without a token": getting(),
    "a list with two tokens": getting(AS, AS),
    "a list with two tokens in one line": getting(f"{AS}, Bearer TOKEN"),
    "a list with an unknown token": getting("Authorization: Bearer " + "x" * 43),
    "a list with an expired token": getting("Authorization: Bearer EXPIRED"),
    "a list with an empty token": getting("Authorization: Bearer "),
    "a list with a token in quotes": getting('Authorization: Bearer "TOKEN"'),
    "a list with a token that is not ASCII": getting("Authorization: Bearer é"),
    "a list with a token in another scheme": getting("Authorization: Basic TOKEN"),
    "a list with a scheme in small letters": getting("Authorization: bearer TOKEN"),
    "a list with a scheme in large letters": getting("Authorization: BEARER TOKEN"),
    "a list with a token after spaces": getting("Authorization:   Bearer   TOKEN  "),
    "a list with a token after a tab": getting("Authorization: Bearer\tTOKEN"),
    "a list with a body": getting(AS, "Content-Length: 4", body=b"body"),
    "a list with an empty body": getting(AS, "Content-Length: 0"),
    "a list with a body that is too large": getting(AS, "Content-Length: 16385", body=b"x" * 16_385),
    "a list with a chunked body": getting(AS, "Transfer-Encoding: chunked", body=b"1\r\nx\r\n0\r\n\r\n"),
    "a list that expects": getting(AS, "Expect: 100-continue"),
    "a list that upgrades": getting(AS, "Connection: Upgrade", "Upgrade: h2c"),
    "a list's head": getting(AS, method="HEAD"),
    "a list's options": getting(AS, method="OPTIONS"),
    "a list that is posted": getting(AS, "Content-Length: 0", method="POST"),
    "a list that matches anything": getting(AS, "If-None-Match: *"),
    "a list that matches its tag": getting(AS, "If-None-Match: ETAG"),
    "a list that matches its weak tag": getting(AS, "If-None-Match: W/ETAG"),
    "a list that matches one of some": getting(AS, 'If-None-Match: "a", "b",ETAG , "c"'),
    "a list that matches one of two lines": getting(AS, 'If-None-Match: "a"', "If-None-Match: ETAG"),
    "a list that matches a star of some": getting(AS, 'If-None-Match: "a", *'),
    "a list that matches another tag": getting(AS, 'If-None-Match: "a"'),
    "a list that matches no tag": getting(AS, "If-None-Match: "),
    "a list that matches a tag that is not ASCII": getting(AS, 'If-None-Match: "é"'),
    "a list with a slash behind": getting(AS, target="/getPosts/"),
    "a list with two slashes": getting(AS, target="//getPosts"),
    "a list with a dot": getting(AS, target="/./getPosts"),
    "a list with an escape": getting(AS, target="/get%50osts"),
    "a list in other letters": getting(AS, target="/getposts"),
    "a list with its host": getting(AS, target="http://x/getPosts"),
    "a list in HTTP/1.0": [getting(AS)[0].replace(b"HTTP/1.1", b"HTTP/1.0")],
    "a post": posting(GOOD),
    "a draft": posting(b'{"status": "draft", "text": "hi"}'),
    "a post with a query": posting(GOOD, target="/addPost?text=no"),
    "a post without a token": posting(GOOD, JSON),
    "a post with two tokens": posting(GOOD, AS, AS, JSON),
    "a post with an unknown token": posting(GOOD, "Authorization: Bearer x", JSON),
    "a post with an expired token": posting(GOOD, "Authorization: Bearer EXPIRED", JSON),
    "a post with a slash behind": posting(GOOD, target="/addPost/"),
    "a post with two slashes": posting(GOOD, target="//addPost"),
    "a post that expects": posting(GOOD, AS, JSON, "Expect: 100-continue"),
    "a post that upgrades": posting(GOOD, AS, JSON, "Connection: Upgrade", "Upgrade: h2c"),
    "a post whose length has 9 digits": with_zeros(9),
    "a post whose length has 5,000 digits": with_zeros(5000),
    "a post in two packets": in_two(GOOD),
    "a post in chunks": chunked(GOOD[:5], GOOD[5:]),
    "a post of no type": posting(GOOD, AS),
    "a post of an empty type": posting(GOOD, AS, "Content-Type: "),
    "a post of a wrong type": posting(GOOD, AS, "Content-Type: text/plain"),
    "a post of two types": posting(GOOD, AS, JSON, "Content-Type: text/plain"),
    "a post of a type with a charset": posting(GOOD, AS, f"{JSON}; charset=utf-8"),
    "a post of a type with a wrong charset": posting(GOOD, AS, f"{JSON}; charset=utf-16"),
    "a post of a type in large letters": posting(GOOD, AS, JSON.upper()),
    "a post of a type of JSON": posting(GOOD, AS, "Content-Type: application/problem+json"),
    "a post in an encoding": posting(GOOD, AS, JSON, "Content-Encoding: gzip"),
    "a post of exactly the limit": posting(body_of(LIMIT, "x")),
    "a post of one byte more": posting(body_of(LIMIT + 1, "x")),
    "a post of exactly the limit in chunks": chunked(body_of(LIMIT, "x")[:99], body_of(LIMIT, "x")[99:]),
    "a post of one byte more in chunks": chunked(body_of(LIMIT, "x"), b" "),
    "a post of nothing": posting(b""),
    "a post with a mark of byte order": posting(b"\xef\xbb\xbf" + GOOD),
    "a post in UTF-16": posting(GOOD.decode().encode("utf-16")),
    "a post in UTF-16 without a mark": posting(GOOD.decode().encode("utf-16-le")),
    "a post in Latin-1": posting('{"text": "é"}'.encode("latin-1")),
    "a post with a surrogate in UTF-8": posting(b'{"text": "\xed\xa0\x80"}'),
    "a post with a lone surrogate": posting(rb'{"text": "\ud800"}'),
    "a post with a pair of surrogates": posting(rb'{"text": "\ud83d\ude00"}'),
    "a post with a surrogate for a field": posting(rb'{"text": "hi", "\udfff": 1}'),
    "a post with a NUL": posting(rb'{"text": "\u0000"}'),
    "a post between spaces": posting(b"\n\t " + GOOD + b" \n"),
    "a post and more": posting(GOOD + b"}"),
    "a post that ends too early": posting(GOOD[:-1]),
    "a post that is no JSON": posting(b"{text}"),
    "a post that is a list": posting(b'["text"]'),
    "a post that is null": posting(b"null"),
    "a post that is nested deep": posting(DEEP),
    "a post whose text is NaN": posting(b'{"text": NaN}'),
    "a post whose status is NaN": posting(b'{"text": "hi", "status": NaN}'),
    "a post whose text is a number": posting(b'{"text": 5}'),
    "a post whose text has 5,000 digits": posting(b'{"text": ' + b"9" * 5000 + b"}"),
    "a post whose text is empty": posting(b'{"text": ""}'),
    "a post without a text": posting(b'{"status": "draft"}'),
    "a post of two texts": posting(b'{"text": "one", "text": "two"}'),
    "a post of two texts, one wrong": posting(b'{"text": 1, "text": "two"}'),
    "a post whose status is wrong": posting(b'{"text": "hi", "status": "deleted"}'),
    "a post whose status is null": posting(b'{"text": "hi", "status": null}'),
    "a post with unknown fields": posting(b'{"text": "hi", "user_id": 1, "id": 1}'),
}


@pytest.fixture(scope="module")
def reader(server: Server) -> dict[str, str]:
    """The headers of an account with some posts."""
    headers = sign_up(server)
    for number in range(3):
        add(server, headers, str(number))
    return headers


@pytest.fixture(scope="module")
def expired(url: str, server: Server) -> str:
    """A token that was good."""
    email = new_email()
    token = sign_up(server, email)["Authorization"].removeprefix("Bearer ")
    with sa.create_engine(url).begin() as connection:
        whose = "(SELECT id FROM users WHERE email = :email)"
        connection.execute(sa.text(f"UPDATE tokens SET expires_at = 1 WHERE user_id = {whose}"), {"email": email})
    return token


def exchange(server: Server, packets: list[bytes]) -> tuple[list[bytes], list[str]]:
    """The lines of all that is answered on a connection, where one more request may follow, and those of the log."""
    logged, answer = len(server.log), b""
    with socket.create_connection(("127.0.0.1", server.base_url.port or 0)) as connection:
        connection.settimeout(10)
        for packet in packets:
            connection.sendall(packet)
            server.get("/nothing")  # by now the packet has been read
        if not re.search(rb"Connection: (close|Upgrade)|HTTP/1\.0", packets[0]):  # which end the connection
            connection.sendall(request("GET /last", "Connection: close"))
        while received := connection.recv(65_536):
            answer += received
    answer = re.sub(rb"(?<=\r\ndate: )[^\r]+", b"", answer)
    lines = [re.sub(r"127.0.0.1:\d+", "", line) for line in server.log[logged:].splitlines() if "/nothing" not in line]
    return answer.split(b"\r\n"), lines


def without_ids(told: tuple[list[bytes], list[str]]) -> tuple[list[bytes], list[str]]:
    answer, log = told
    return [re.sub(rb'"postID":\d+', b"", line) for line in answer], [re.sub(r"post=\d+", "", line) for line in log]


@pytest.mark.parametrize("name", ODD)
def test_an_odd_request_is_answered_and_logged_as_without_it(
    server: Server,
    plain: Server,
    reader: dict[str, str],
    accounts: list[dict[str, str]],
    expired: str,
    name: str,
) -> None:
    lists = name.startswith("a list")
    headers = reader if lists else accounts[0]
    values = {
        b"TOKEN": headers["Authorization"].removeprefix("Bearer "),
        b"ETAG": server.get("/getPosts", headers=reader).headers["etag"],  # and now the list is in the cache
        b"EXPIRED": expired,
    }
    pattern = re.compile(b"|".join(values))
    packets = [pattern.sub(lambda match: values[match[0]].encode(), packet) for packet in ODD[name]]
    fast, slow = exchange(server, packets), exchange(plain, packets)
    assert fast[0][0].startswith(b"HTTP/1.")
    assert without_ids(fast) == without_ids(slow)


def test_below_a_root_path_the_answers_are_the_same(url: str, reader: dict[str, str]) -> None:
    token = reader["Authorization"].encode()
    told = []
    for extras in ("fast", ""):
        with serve(url, "--root-path", "/api", EXTRAS=extras) as server:
            server.get("/getPosts", headers=reader)
            told.append(
                [
                    exchange(server, [packet.replace(b"Bearer TOKEN", token) for packet in packets])
                    for target in ("/getPosts", "/api/getPosts", "/api", "/getPosts/api")
                    for packets in (getting(AS, target=target), getting(AS, target=f"{target}?limit=1"))
                ]
            )
    assert told[0] == told[1]
    assert told[0][0][0][0] == b"HTTP/1.1 200 OK"


RAISING = """
from fastapi import HTTPException, Response
from starlette import exceptions
import models

class Tired(Exception):
    pass

RAISED = {
    "HTTPException": lambda: HTTPException(403, "Not you.", {"X-Why": "so"}),
    "Starlette's": lambda: exceptions.HTTPException(429, "Not now.", {"Retry-After": "7"}),
    "too large": lambda: HTTPException(413, "This is a quota."),
    "of the database": lambda: models.Unavailable("it is away"),
    "handled": lambda: Tired(),
    "a mistake": lambda: RuntimeError("a mistake"),
}

async def on_account(request, account):
    if why := request.headers.get("X-Account"):
        raise RAISED[why]()

def on_post(connection, user_id, posts, size):
    if why := list(RAISED)[size:size + 1]:
        raise RAISED[why[0]]()

def setup(app):
    models.hooks.on_account.append(on_account)
    models.hooks.on_post.append(on_post)
    app.add_exception_handler(Tired, lambda request, error: Response("tired", 418))
"""


def test_what_other_extras_raise_is_answered_as_without_it(url: str, reader: dict[str, str], tmp_path: Path) -> None:
    token = reader["Authorization"].encode()
    folder = extra(tmp_path, RAISING)
    raised = ["HTTPException", "Starlette's", "too large", "of the database", "handled", "a mistake"]
    close = "Connection: close"  # as uvicorn does anyway after a mistake
    requests = {f"a list, {each}": getting(AS, close, f"X-Account: {each}") for each in raised}
    requests |= {f"a post, {each}": posting(GOOD, AS, JSON, close, f"X-Account: {each}") for each in raised}
    requests |= {
        f"a check, {each}": posting(b'{"text": "%b"}' % (b"x" * size), AS, JSON, close)
        for size, each in enumerate(raised)
        if size
    }
    told = []
    for extras in ("fast,odd.extra", "odd.extra"):
        with serve(url, EXTRAS=extras, PYTHONPATH=folder) as server:
            told.append(
                {
                    name: exchange(server, [packet.replace(b"Bearer TOKEN", token) for packet in packets])
                    for name, packets in requests.items()
                }
            )
            assert server.log.count("Exception in ASGI application") == 3
    for name, (answer, log) in told[0].items():
        other_answer, other_log = told[1][name]
        assert (name, answer) == (name, other_answer)
        lines = [[line for line in each if re.match("[A-Z]+: ", line)] for each in (log, other_log)]
        assert (name, lines[0]) == (name, lines[1])


OWN_RECORDS = """
import logging

make = logging.getLogRecordFactory()

def traced(*args, **names):
    record = make(*args, **names)
    record.trace = "trace-7"
    return record

logging.setLogRecordFactory(traced)
logging.basicConfig(format="%(trace)s %(message)s", force=True)
logging.getLogger("uvicorn.posts").addHandler(logging.root.handlers[0])

def setup(app):
    pass
"""


def test_what_another_adds_to_each_log_record_is_there_whoever_came_first(url: str, tmp_path: Path) -> None:
    folder = extra(tmp_path, OWN_RECORDS)
    for extras in ("odd.extra,fast", "fast,odd.extra"):
        with serve(url, EXTRAS=extras, PYTHONPATH=folder) as server:
            ada = server.account()
            server.post("/addPost", headers=ada, json={"text": "traced"})
            wait_until(lambda: {"trace-7 addPost", "INFO: addPost"} <= starts(server.log))


def starts(log: str) -> set[str]:
    """The first two words of each line."""
    return {" ".join(line.split()[:2]) for line in log.splitlines()}


def test_a_log_record_can_be_sent_to_a_process_that_has_no_extras(core: ModuleType) -> None:
    record = importlib.import_module("extras.fast.record").Record("posts", 20, "app.py", 7, "post=%d", (1,), None)
    sent = pickle.dumps(record)
    assert b"extras" not in sent
    assert pickle.loads(sent).getMessage() == "post=1"


def test_a_copied_log_record_is_another_with_the_same_content(core: ModuleType) -> None:
    record = importlib.import_module("extras.fast.record").Record("posts", 20, "app.py", 7, "post=%d", (1,), None)
    twin = copy.copy(record)
    twin.__dict__["message"] = twin.getMessage()
    assert (type(twin), twin.message, twin.name, hasattr(record, "message")) == (type(record), "post=1", "posts", False)
