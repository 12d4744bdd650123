"""What is sent again is written once. One server has `fast`, the other has not; both are on one database."""

import asyncio
import importlib
import json
import os
import random
import re
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

import test_app
from test_app import LIMIT, PASSWORD, Server, body_of, new_database, new_email, serve, texts, wait_until

core = test_app.core

BOTH = ["fast,idempotency", "idempotency"]
REPLAYED = "Idempotent-Replayed"


@pytest.fixture(scope="module")
def servers(url: str) -> Iterator[dict[str, Server]]:
    with serve(url, EXTRAS=BOTH[0]) as fast, serve(url, EXTRAS=BOTH[1]) as plain:
        yield dict(zip(BOTH, (fast, plain), strict=True))
        assert "Traceback" not in fast.log + plain.log


@pytest.fixture(params=BOTH)
def server(servers: dict[str, Server], request: pytest.FixtureRequest) -> Server:
    return servers[request.param]


def new_key() -> str:
    return str(uuid.uuid4())


def send(server: httpx2.Client, account: dict[str, str], key: str, text: str = "hi", **fields: str) -> httpx2.Response:
    return server.post("/addPost", json={"text": text, **fields}, headers={**account, "Idempotency-Key": key})


def written(answer: httpx2.Response) -> int:
    """The id of a post that was written now."""
    assert (answer.status_code, REPLAYED in answer.headers) == (201, False), answer.text
    post_id: int = answer.json()["postID"]
    return post_id


def replayed(answer: httpx2.Response) -> int:
    """The id of a post that was there."""
    assert (answer.status_code, answer.headers.get(REPLAYED)) == (201, "true"), answer.text
    post_id: int = answer.json()["postID"]
    return post_id


def keys_in(url: str) -> list[dict[str, Any]]:
    """The rows, of all accounts."""
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        rows = connection.execute(sa.text("SELECT * FROM idempotency_keys ORDER BY id")).all()
        return [dict(row._mapping) for row in rows]


def execute(url: str, statement: str, rows: list[dict[str, Any]] | None = None) -> None:
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        connection.execute(sa.text(statement), rows)


def add_keys(url: str, count: int, **fields: Any) -> None:
    fill = {"body": b"", **fields}
    names = ["digest", *fill]
    sql = f"INSERT INTO idempotency_keys ({', '.join(names)}) VALUES (:{', :'.join(names)})"
    execute(url, sql, [{**fill, "digest": uuid.uuid4().bytes * 2} for _ in range(count)])


def extra(folder: Path, source: str) -> str:
    """The folder, in which `odd.extra` now is an extra of this source."""
    (folder / "odd").mkdir()
    (folder / "odd" / "extra.py").write_text(source)
    return str(folder)


# The same again


@pytest.mark.parametrize("first", BOTH)
@pytest.mark.parametrize("again", BOTH)
def test_a_post_that_is_sent_again_with_its_key_is_written_once(
    servers: dict[str, Server], first: str, again: str
) -> None:
    ada, key = servers[first].account(), new_key()
    post_id = written(send(servers[first], ada, key))
    for _ in range(2):
        answer = send(servers[again], ada, key)
        assert replayed(answer) == post_id
        assert answer.json() == {"postID": post_id}
    assert texts(servers[again], ada) == ["hi"]


def test_without_the_header_each_is_a_post_of_its_own(server: Server, ada: dict[str, str]) -> None:
    answers = [server.post("/addPost", json={"text": "hi"}, headers=ada) for _ in range(2)]
    assert len(set(map(written, answers))) == 2


def test_another_key_is_another_post(server: Server, ada: dict[str, str]) -> None:
    assert written(send(server, ada, new_key())) != written(send(server, ada, new_key()))


def test_it_is_what_the_body_means_that_counts(server: Server, ada: dict[str, str]) -> None:
    key = new_key()
    post_id = written(send(server, ada, key, "hé"))
    headers = {**ada, "Idempotency-Key": key, "Content-Type": "application/json"}
    for body in ('{"text":"hé"}', '{"text": "h\\u00e9"}', ' {"status": "published",\n"text": "hé"}'):
        assert replayed(server.post("/addPost", content=body.encode(), headers=headers)) == post_id


@pytest.mark.parametrize("other", [{"text": "ho"}, {"text": "hi "}, {"text": "hi", "status": "draft"}])
def test_a_key_that_was_sent_with_another_post_is_422(
    server: Server, ada: dict[str, str], other: dict[str, str]
) -> None:
    key = new_key()
    post_id = written(send(server, ada, key))
    answer = send(server, ada, key, **other)
    assert answer.status_code == 422
    (error,) = answer.json()["detail"]
    assert (error["loc"], error["type"]) == (["header", "Idempotency-Key"], "idempotency_key_used")
    assert "new key" in error["msg"]
    assert texts(server, ada) == ["hi"]
    assert replayed(send(server, ada, key)) == post_id


def test_anothers_same_key_is_another_key(server: Server, ada: dict[str, str], bob: dict[str, str]) -> None:
    key = new_key()
    assert written(send(server, ada, key)) != written(send(server, bob, key, "ho"))
    assert (texts(server, ada), texts(server, bob)) == (["hi"], ["ho"])


def test_a_large_text_is_written_once_too(server: Server, ada: dict[str, str]) -> None:
    key, body = new_key(), body_of(LIMIT, "é")
    headers = {**ada, "Idempotency-Key": key, "Content-Type": "application/json"}
    answers = [server.post("/addPost", content=body, headers=headers) for _ in range(2)]
    assert written(answers[0]) == replayed(answers[1])


def test_of_sixteen_at_once_one_is_written_and_all_are_answered_the_same(servers: dict[str, Server]) -> None:
    ada = servers[BOTH[0]].account()
    for _ in range(3):
        key = new_key()
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda n, key=key: send(servers[BOTH[n % 2]], ada, key, key), range(16)))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["postID"] for answer in answers}) == 1
        assert [REPLAYED in answer.headers for answer in answers].count(False) == 1
        assert texts(servers[BOTH[0]], ada).count(key) == 1


def test_posts_of_many_at_once_with_and_without_keys_and_some_twice_are_each_written_once(server: Server) -> None:
    accounts = [server.account() for _ in range(6)]
    keys = [new_key(), new_key(), new_key(), ""]

    def add(number: int) -> httpx2.Response:
        account, key = accounts[number % 6], keys[number // 6 % 4]
        if key:
            return send(server, account, key, key)
        return server.post("/addPost", json={"text": "no key"}, headers=account)

    with ThreadPoolExecutor(48) as pool:
        answers = list(pool.map(add, range(48)))  # each with a key twice
    assert {answer.status_code for answer in answers} == {201}
    assert sum(REPLAYED in answer.headers for answer in answers) == 18
    for account in accounts:
        assert Counter(texts(server, account)) == {**dict.fromkeys(keys[:3], 1), "no key": 2}


def test_the_first_keys_that_are_sent_again_hurt_none_of_the_posts_beside_them(
    url: str, servers: dict[str, Server]
) -> None:
    accounts = [servers[BOTH[1]].account() for _ in range(16)]
    key = new_key()
    ids = [written(send(servers[BOTH[1]], account, key)) for account in accounts[:8]]
    with serve(url, EXTRAS=BOTH[0]) as fresh, ThreadPoolExecutor(16) as pool:  # it has seen none sent again
        answers = list(pool.map(lambda account: send(fresh, account, key), accounts))
    assert [replayed(answer) for answer in answers[:8]] == ids
    new = [written(answer) for answer in answers[8:]]
    for account, post_id in zip(accounts, ids + new, strict=True):
        posts = servers[BOTH[1]].get("/getPosts", headers=account).json()
        assert [post["postID"] for post in posts] == [post_id]


def test_an_account_that_is_locked_elsewhere_delays_no_other_with_a_key(url: str, servers: dict[str, Server]) -> None:
    if url.startswith("sqlite"):
        pytest.skip("SQLite locks the whole file")
    server = servers[BOTH[0]]
    locked, *others = [server.account() for _ in range(8)]
    send(server, locked, new_key())
    with sa.create_engine(url).connect() as connection:
        connection.execute(sa.text("SELECT id FROM users WHERE id = :user_id FOR UPDATE"), keys_in(url)[-1])
        with ThreadPoolExecutor(8) as pool:
            waiting = pool.submit(send, server, locked, new_key())
            assert [written(each) for each in pool.map(lambda each: send(server, each, new_key()), others)]
            assert not waiting.done()
            connection.rollback()
        written(waiting.result())


def test_a_replay_changes_nothing_not_even_the_lists_tag(server: Server, ada: dict[str, str]) -> None:
    key = new_key()
    send(server, ada, key)
    before = server.get("/getPosts", headers=ada)
    replayed(send(server, ada, key))
    after = server.get("/getPosts", headers={**ada, "If-None-Match": before.headers["ETag"]})
    assert after.status_code == 304


def test_it_holds_after_kill_9_and_a_restart() -> None:
    key = new_key()
    with new_database() as url:
        with serve(url, EXTRAS=BOTH[0]) as server:
            ada = server.account()
            post_id = written(send(server, ada, key))
            server.process.kill()
            server.process.wait()
        with serve(url, EXTRAS=BOTH[0]) as server:
            assert replayed(send(server, ada, key)) == post_id
            assert texts(server, ada) == ["hi"]


@pytest.mark.parametrize("extras", BOTH)
def test_it_holds_when_the_post_was_edited_or_deleted_since(url: str, extras: str) -> None:
    with serve(url, EXTRAS=f"{extras},editing") as server:
        ada, keys = server.account(), [new_key(), new_key()]
        edited, deleted = (written(send(server, ada, key)) for key in keys)
        assert server.put(f"/editPost/{edited}", json={"text": "new"}, headers=ada).status_code == 200
        assert server.delete(f"/deletePost/{deleted}", headers=ada).status_code == 204
        assert [replayed(send(server, ada, key)) for key in keys] == [edited, deleted]
        assert texts(server, ada) == ["new"]


# The header


@pytest.mark.parametrize("key", ["8", "x" * 255, "a b", "{curly}", "a,b;c=d", "!#$%&'*+-.^_`|~", 'in"side', "(/)"])
def test_any_printable_key_will_do_with_or_without_quotes(server: Server, ada: dict[str, str], key: str) -> None:
    post_id = written(send(server, ada, key))
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    assert replayed(send(server, ada, f'"{quoted}"')) == post_id


def test_a_backslash_in_quotes_stands_for_what_follows(server: Server, ada: dict[str, str]) -> None:
    assert written(send(server, ada, r'"a\\b"')) == replayed(send(server, ada, r"a\b"))


@pytest.mark.parametrize(
    "key",
    [
        *[b"", b'""', b'"', b'"abc', b'"a"b"', rb'"a\b"', b'"a";b=1', b'"a", "b"'],
        *[b"x" * 256, b'"%b"' % (b"x" * 256), "é".encode(), "é".encode("latin-1"), b"a\tb"],
    ],
)
def test_any_other_is_400_and_nothing_is_written(server: Server, ada: dict[str, str], key: bytes) -> None:
    headers = [*((name.encode(), value.encode()) for name, value in ada.items()), (b"Idempotency-Key", key)]
    answer = server.post("/addPost", json={"text": "hi"}, headers=headers)
    assert answer.status_code == 400
    assert "1 to 255 printable ASCII characters" in answer.json()["detail"]
    assert texts(server, ada) == []


@pytest.mark.parametrize("keys", [("a", "a"), ("a", "b"), ("a", "")])
def test_two_headers_are_400(server: Server, ada: dict[str, str], keys: tuple[str, str]) -> None:
    headers = [*ada.items(), *[("Idempotency-Key", key) for key in keys]]
    assert server.post("/addPost", json={"text": "hi"}, headers=headers).status_code == 400
    assert texts(server, ada) == []


# What was not written leaves no key


def test_a_key_that_was_refused_is_good_for_another_post(server: Server, ada: dict[str, str]) -> None:
    key = new_key()
    large = {**ada, "Idempotency-Key": key, "Content-Type": "application/json"}
    assert send(server, {"Authorization": "Bearer x"}, key).status_code == 401
    assert send(server, ada, key, "").status_code == 422
    assert send(server, ada, key, stauts="draft").status_code == 422
    assert server.post("/addPost", content=body_of(LIMIT + 1, "x"), headers=large).status_code == 413
    written(send(server, ada, key, "another"))


REFUSING = """
from fastapi import HTTPException
import models

def check(connection, user_id, posts, size):
    if size == 3:
        raise HTTPException(403, "Not three.")
    if size == 4:
        raise models.Unavailable("it is away")
    if size == 5:
        raise models.CommitLost("it may be written")

def setup(app):
    models.hooks.on_post.append(check)
"""


@pytest.mark.parametrize("extras", BOTH)
def test_what_was_rolled_back_leaves_no_key_and_a_503_says_to_send_it_again(
    url: str, extras: str, tmp_path: Path
) -> None:
    with serve(url, EXTRAS=f"{extras},odd.extra", PYTHONPATH=extra(tmp_path, REFUSING)) as server:
        ada, key = server.account(), new_key()
        assert send(server, ada, key, "xxx").status_code == 403
        for text, said in (("xxxx", "Try again soon."), ("xxxxx", "Send it again with the same Idempotency-Key")):
            answer = send(server, ada, key, text)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            assert said in answer.json()["detail"]
        unsure = server.post("/addPost", json={"text": "xxxxx"}, headers=ada)
        assert (unsure.status_code, unsure.headers["Retry-After"]) == (503, "5")
        assert "Check whether it was saved" in unsure.json()["detail"]
        written(send(server, ada, key, "x"))
        assert texts(server, ada) == ["x"]


def test_a_post_that_the_database_refuses_leaves_no_key(url: str, server: Server, ada: dict[str, str]) -> None:
    key = new_key()
    signal = "IF NEW.text = 'bad' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused'; END IF;"
    do, each = ("SELECT RAISE(ABORT, 'refused') WHERE NEW.text = 'bad';", "")
    if not url.startswith("sqlite"):
        do, each = signal, "FOR EACH ROW"
    execute(url, f"CREATE TRIGGER meddle BEFORE INSERT ON posts {each} BEGIN {do} END")
    try:
        assert send(server, ada, key, "bad").status_code == 503
    finally:
        execute(url, "DROP TRIGGER meddle")
    written(send(server, ada, key, "good"))


# How long, how many


CLOCK = """
from pathlib import Path
import models

def setup(app):
    models.now = lambda: int(Path("{}").read_text())
"""


@pytest.mark.parametrize("extras", BOTH)
def test_a_key_is_kept_for_its_seconds_to_the_millisecond(tmp_path: Path, extras: str) -> None:
    clock, start = tmp_path / "clock", 1_795_000_000_000
    clock.write_text(str(start))
    settings: dict[str, Any] = {"PYTHONPATH": extra(tmp_path, CLOCK.format(clock)), "IDEMPOTENCY_TTL": "60"}
    with new_database() as url, serve(url, EXTRAS=f"{extras},odd.extra", **settings) as server:
        ada = server.account()
        post_id = written(send(server, ada, "a"))
        clock.write_text(str(start + 59_999))
        assert replayed(send(server, ada, "a")) == post_id
        assert send(server, ada, "a", "another").status_code == 422
        clock.write_text(str(start + 60_000))
        newer = written(send(server, ada, "a", "another"))
        assert replayed(send(server, ada, "a", "another")) == newer


def test_a_key_is_kept_for_a_day_unless_the_setting_says_otherwise(url: str, server: Server) -> None:
    with serve(url, EXTRAS="idempotency", IDEMPOTENCY_TTL="3") as short:
        ada = server.account()
        for client, seconds in ((server, 86_400), (short, 3)):
            send(client, ada, new_key())
            created = server.get("/getPosts", headers=ada).json()[0]["createdAt"]
            with sa.create_engine(url).connect() as connection:
                (created,) = connection.execute(sa.text("SELECT MAX(created_at) FROM posts")).one()
            assert abs(keys_in(url)[-1]["expires_at"] - created - 1000 * seconds) < 1000


def test_what_has_expired_is_cleared_in_the_background() -> None:
    with new_database() as url:
        with serve(url, EXTRAS=BOTH[0]) as server:
            ada, key = server.account(), new_key()
            send(server, ada, new_key())
            mine = keys_in(url)[0]
            execute(url, "DELETE FROM idempotency_keys")
            add_keys(url, 1, user_id=mine["user_id"], post_id=1, expires_at=2**50)
            add_keys(url, 450, user_id=mine["user_id"], post_id=1, expires_at=1)
            post_id = written(send(server, ada, key))
        with serve(url, EXTRAS=BOTH[0]) as server:
            wait_until(lambda: len(keys_in(url)) == 2)
            assert replayed(send(server, ada, key)) == post_id


def test_an_account_keeps_its_newest_10000_keys_and_older_ones_go_in_the_background() -> None:
    first, last_to_go, first_to_stay = new_key(), new_key(), new_key()
    with new_database() as url:
        with serve(url, EXTRAS=BOTH[0]) as server:
            ada, bystander = server.account(), server.account()
            mine = [written(send(server, ada, key)) for key in (first, last_to_go, first_to_stay)]
            newest = keys_in(url)[-1]
            add_keys(url, 9_999, **{name: newest[name] for name in ("user_id", "post_id", "expires_at")})
            others = written(send(server, bystander, first))
        with serve(url, EXTRAS=BOTH[1]) as server:
            wait_until(lambda: len(keys_in(url)) == 10_001)
            assert replayed(send(server, bystander, first)) == others
            assert replayed(send(server, ada, first_to_stay)) == mine[2]
            assert written(send(server, ada, last_to_go)) not in mine
            assert written(send(server, ada, first)) not in mine


@pytest.fixture
def clearing(core: ModuleType) -> Iterator[ModuleType]:
    """The module that clears, with an empty table and one account."""
    clearing = importlib.import_module("extras.idempotency.clearing")
    clearing.Key.__table__.create(core.models.engine, checkfirst=True)
    new = sa.insert(core.User).values(id=2_500, email=new_email(), password_hash="", created_at=1)
    with core.models.engine.begin() as connection:
        connection.execute(new)
    yield clearing
    with core.models.engine.begin() as connection:
        connection.execute(sa.delete(core.User).where(core.User.id == 2_500))


def ids_in(clearing: ModuleType) -> list[int]:
    return [row.id for row in clearing.models.fetch(sa.select(clearing.Key.id).order_by(clearing.Key.id))]


def insert_keys(clearing: ModuleType, ids: range, **fields: int) -> None:
    fill = {"user_id": 2_500, "body": b"", "expires_at": 2**50, **fields}
    rows = [{"post_id": number, **fill, "id": number, "digest": uuid.uuid4().bytes * 2} for number in ids]
    with clearing.models.engine.begin() as connection:
        connection.execute(sa.insert(clearing.Key), rows)


def transact(clearing: ModuleType, clear_some: Callable[[sa.Connection], Any]) -> Any:
    return clearing.models.transact(clear_some, time.monotonic() + 5)


def test_what_has_expired_goes_200_at_a_time_and_what_is_behind_many_that_last_longer_the_next_time(
    clearing: ModuleType, monkeypatch: Any
) -> None:
    steps, clear_these = list[int](), clearing.clear_these

    def clear_and_count(ids: list[int], connection: sa.Connection) -> None:
        steps.append(len(ids))
        clear_these(ids, connection)

    monkeypatch.setattr(clearing, "PAUSE", 0)
    monkeypatch.setattr(clearing, "SPAN", 500)
    monkeypatch.setattr(clearing, "clear_these", clear_and_count)
    insert_keys(clearing, range(1, 2))
    insert_keys(clearing, range(2, 302), expires_at=1)
    insert_keys(clearing, range(302, 1402))
    insert_keys(clearing, range(1402, 1442), expires_at=1)
    insert_keys(clearing, range(9000, 9002))
    asyncio.run(clearing.clear_once())
    assert steps == [200, 100]
    assert ids_in(clearing)[:2] == [1, 302]
    for _ in range(3):
        asyncio.run(clearing.clear_once())
    assert steps == [200, 100, 40]
    assert ids_in(clearing) == [1, *range(302, 1402), 9000, 9001]
    assert clearing.looked.up_to == 0


def test_a_newer_key_that_has_the_id_of_an_expired_one_stays(clearing: ModuleType) -> None:
    insert_keys(clearing, range(1, 3))
    transact(clearing, partial(clearing.clear_these, [1, 2]))
    assert ids_in(clearing) == [1, 2]


def test_the_oldest_of_too_many_are_found_at_most_10000_at_a_time_and_cleared(clearing: ModuleType) -> None:
    insert_keys(clearing, range(1, 20_301))
    assert clearing.find_crowded() == [2_500]
    for first, last in ((1, 10_000), (10_001, 10_300)):
        surplus = clearing.find_surplus(2_500)
        assert [key.id for key in surplus] == [*range(first, last + 1)]
        transact(clearing, partial(clearing.clear_surplus, surplus))
    assert ids_in(clearing) == [*range(10_301, 20_301)]
    assert clearing.find_surplus(2_500) == clearing.find_crowded() == []


def test_processes_that_clear_at_once_take_none_of_the_newest(clearing: ModuleType, monkeypatch: Any) -> None:
    insert_keys(clearing, range(1, 10_401))
    fetch = clearing.models.fetch

    def fetch_before_another_clears(statement: Any) -> Any:
        rows = fetch(statement)
        transact(clearing, lambda tx: tx.execute(sa.delete(clearing.Key).where(clearing.Key.id <= 200)))
        return rows

    monkeypatch.setattr(clearing.models, "fetch", fetch_before_another_clears)
    transact(clearing, partial(clearing.clear_surplus, clearing.find_surplus(2_500)))
    assert ids_in(clearing) == [*range(401, 10_401)]


def test_a_newer_key_that_has_the_id_of_a_cleared_one_stays(clearing: ModuleType) -> None:
    insert_keys(clearing, range(1, 10_003))
    surplus = clearing.find_surplus(2_500)
    transact(clearing, lambda connection: connection.execute(sa.delete(clearing.Key)))
    insert_keys(clearing, range(1, 3), post_id=20_000)
    transact(clearing, partial(clearing.clear_surplus, surplus))
    assert ids_in(clearing) == [1, 2]


# What is held, and what is told


def test_neither_key_nor_text_is_in_the_table_or_the_log(url: str, server: Server, ada: dict[str, str]) -> None:
    key, text = new_key(), "a secret text"
    for _ in range(2):
        send(server, ada, key, text)
    row = keys_in(url)[-1]
    assert {len(row["digest"]), len(row["body"])} == {32}
    assert not re.search(f"{key}|{text}", str(row) + server.log)
    assert f"addPost account={row['user_id']} post={row['post_id']}\n" in server.log
    assert f"addPost repeated account={row['user_id']} post={row['post_id']}\n" in server.log


def test_two_accounts_or_two_keys_with_one_text_have_nothing_in_common_in_the_table(url: str, server: Server) -> None:
    key = new_key()
    for each in (key, key, new_key()):
        send(server, server.account(), each)
    rows = keys_in(url)[-3:]
    assert len({row["digest"] for row in rows}) == len({row["body"] for row in rows}) == 3


@pytest.mark.parametrize("extras", BOTH)
def test_keys_are_in_no_export_and_go_with_the_account(extras: str) -> None:
    with new_database() as url, serve(url, EXTRAS=f"account,{extras}") as server:
        ada, bob = server.account(), server.account()
        for account in (ada, bob):
            send(server, account, new_key())
        digests = [bytes(row["digest"]) for row in keys_in(url)]
        export = server.get("/exportData", headers=ada).text
        assert not any(digest.hex() in export for digest in digests)
        assert "dempotency" not in export
        assert server.post("/deleteAccount", json={"password": PASSWORD}, headers=ada).status_code == 204
        assert [bytes(row["digest"]) for row in keys_in(url)] == digests[1:]


def test_openapi_tells_of_both_headers(server: Server) -> None:
    operation = server.get("/openapi.json").json()["paths"]["/addPost"]["post"]
    (parameter,) = operation["parameters"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == ("Idempotency-Key", "header", False)
    assert parameter["schema"]["type"] == "string"
    pattern = re.compile(parameter["schema"]["pattern"])
    assert all(map(pattern.search, ["x" * 255, '"8e03978e"', r'"a\"b"']))
    assert not any(map(pattern.search, ["", '""', '"a', "x" * 256, "é"]))
    assert REPLAYED in operation["responses"]["201"]["headers"]
    assert operation["responses"]["201"]["content"]["application/json"]["schema"]["$ref"].endswith("/PostCreated")
    assert {"400", "401", "413", "422", "503"} <= operation["responses"].keys()


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1e3", "a day", "1000000000"])
def test_a_wrong_setting_ends_the_start_with_one_line(value: str) -> None:
    with serve("sqlite://", wait=False, EXTRAS="idempotency", IDEMPOTENCY_TTL=value) as server:
        assert server.process.wait(30) == 3
        assert server.log.startswith("IDEMPOTENCY_TTL is ")
        assert server.log.count("\n") == 1


# With other extras


@pytest.mark.parametrize("extras", BOTH)
def test_a_replay_takes_nothing_of_a_quota(url: str, extras: str) -> None:
    pytest.importorskip("limits")
    pytest.importorskip("redis")
    with serve(url, EXTRAS=f"limits,{extras}", LIMITS_POSTS="1") as server:
        ada, key, late = server.account(), new_key(), new_key()
        post_id = written(send(server, ada, key))
        assert send(server, ada, late).status_code == 403
        assert replayed(send(server, ada, key)) == post_id
        server.delete(f"/deletePost/{post_id}", headers=ada)
        assert replayed(send(server, ada, key)) == post_id
        written(send(server, ada, late))


@pytest.mark.parametrize("extras", BOTH)
def test_a_page_of_another_origin_may_send_the_key_and_see_a_replay(url: str, extras: str) -> None:
    origin = {"Origin": "https://a.example"}
    with serve(url, EXTRAS=f"{extras},cors", CORS_ORIGINS=origin["Origin"]) as server:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "idempotency-key"}
        preflight = server.options("/addPost", headers=origin | asked)
        assert preflight.status_code == 200
        assert "idempotency-key" in preflight.headers["Access-Control-Allow-Headers"].lower()
        ada, key = server.account() | origin, new_key()
        send(server, ada, key)
        answer = send(server, ada, key)
        replayed(answer)
        assert REPLAYED in answer.headers["Access-Control-Expose-Headers"].split(", ")
        assert answer.headers["Access-Control-Allow-Origin"] == origin["Origin"]


@pytest.mark.parametrize("extras", BOTH)
def test_a_replay_is_a_line_of_the_log_with_its_request(url: str, extras: str) -> None:
    with serve(url, EXTRAS=f"logs,{extras}") as server:
        ada, key = server.account(), new_key()
        post_id = written(send(server, ada, key))
        send(server, {**ada, "X-Request-ID": "again"}, key)
        server.process.terminate()
        server.process.wait(30)
        lines = [json.loads(line) for line in server.log.splitlines()]
    event, request = (line for line in lines if line.get("request_id") == "again")
    assert event["message"] == f"addPost repeated account={request['account']} post={post_id}"
    assert (request["route"], request["status"]) == ("/addPost", 201)


def test_the_key_means_nothing_without_the_extra(url: str) -> None:
    with serve(url, EXTRAS="fast") as server:
        ada = server.account()
        assert written(send(server, ada, "a")) != written(send(server, ada, "a"))
        written(send(server, ada, '"'))


# The proof


class Cutting:
    """A proxy that hands on whole requests, and breaks half of the connections once the answer is there."""

    def __init__(self, port: int) -> None:
        self.port, self.cut = port, 0
        self.tasks: set[Any] = set()  # or they may be collected before they have run

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        yield server.sockets[0].getsockname()[1]
        server.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.current_task())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1]))  # type: ignore[index]
            answers, upstream = await asyncio.open_connection("127.0.0.1", self.port)
            upstream.write(head + body)
            answer = await answers.read()
            upstream.close()
            if answer and random.random() < 0.5:
                self.cut += 1
            else:
                writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # a worker was killed
        writer.close()


def workers_of(server: Server) -> list[int]:
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


Told = list[tuple[int, bool]]  # the id that each post was told in the end, and whether as a replay


async def deliver(proxy: int, accounts: list[dict[str, str]], posts: list[str], clients: int, told: Told) -> None:
    """So many clients repeat each post until they are answered."""
    waiting = list(enumerate(posts))

    async def work() -> None:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy}", timeout=30) as client:
            while waiting:
                number, text = waiting.pop()
                told.append(await repeat(client, accounts[number % len(accounts)], text))

    await asyncio.gather(*(work() for _ in range(clients)))


async def repeat(client: httpx2.AsyncClient, account: dict[str, str], text: str) -> tuple[int, bool]:
    headers = {**account, "Idempotency-Key": new_key(), "Connection": "close"}
    while True:
        try:
            answer = await client.post("/addPost", json={"text": text}, headers=headers)
        except httpx2.TransportError:
            await asyncio.sleep(0.01)
            continue
        if answer.status_code not in {502, 503, 504}:
            assert answer.status_code == 201, answer.text
            return answer.json()["postID"], REPLAYED in answer.headers


async def kill_now_and_then(server: Server, told: Told, posts: int) -> None:
    """Kill the worker that has lived the longest with -9, each time that so many more posts were told."""
    killed = 0
    while True:
        if len(told) >= posts * (killed + 1):
            for pid in workers_of(server)[:1]:
                os.kill(pid, 9)
            killed += 1
        await asyncio.sleep(0.001)


def prove(extras: str, posts: int, clients: int, workers: int, kill: Callable[..., Coroutine[Any, Any, None]]) -> Told:
    with new_database() as url, serve(url, "--workers", str(workers), EXTRAS=extras) as server:
        accounts, told = [server.account() for _ in range(4)], Told()
        sent = [f"post {number}" for number in range(posts)]
        proxy = Cutting(server.base_url.port or 0)

        async def run() -> None:
            async with proxy.listening() as port:
                killer = asyncio.create_task(kill(server, told))
                await deliver(port, accounts, sent, clients, told)
                killer.cancel()

        asyncio.run(run())
        there = [text for account in accounts for text in texts_when_ready(server, account)]
        assert sorted(there) == sorted(sent)
        assert len({post_id for post_id, _ in told}) == posts
        assert proxy.cut > posts / 2
    return told


def texts_when_ready(server: Server, account: dict[str, str]) -> list[str]:
    """Once a worker is there that takes the connection."""
    while True:
        try:
            return texts(server, account)
        except httpx2.TransportError:
            continue


@pytest.mark.parametrize("extras", BOTH)
def test_whatever_answers_are_cut_and_workers_killed_each_post_is_written_once_and_its_id_told(extras: str) -> None:
    told = prove(extras, 120, 8, 2, partial(kill_now_and_then, posts=50))
    assert sum(again for _, again in told) > 20
