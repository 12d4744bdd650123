"""The contract, as tests: `pytest test_app.py`; with `DATABASE_URL=mysql://root@127.0.0.1/` on MySQL or MariaDB.

Each run makes databases of its own and drops them.
"""

import asyncio
import getpass
import importlib
import json
import logging
import os
import re
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from base64 import b64decode
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

ROOT = Path(__file__).parent
SERVER = os.environ.get("DATABASE_URL", "")  # "" is SQLite; of a MySQL URL only the server counts
with_extras_folder = pytest.mark.skipif(not (ROOT / "extras").is_dir(), reason="the folder extras/ was deleted")


@sa.event.listens_for(sa.Engine, "do_connect")
def encode_password(_: object, __: object, ___: object, parameters: dict[str, Any]) -> None:
    """PyMySQL takes only Latin-1."""
    if isinstance(parameters.get("password"), str):
        parameters["password"] = parameters["password"].encode()


@contextmanager
def new_database() -> Iterator[str]:
    """The URL of an empty database, which is dropped at the end."""
    if not SERVER.startswith(("mysql", "mariadb")):
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/blog.db"
        return
    url = sa.make_url(re.sub(r"^(mysql|mariadb)(?=:)", r"\1+pymysql", SERVER)).set(database=None)
    name = f"posts_test_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        try:
            yield url.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {name}")


class Server(httpx2.Client):
    """A client of a `uvicorn app:app` of its own."""

    process: subprocess.Popen[str]
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def account(self, email: str = "") -> dict[str, str]:
        """The headers of a new account."""
        credentials = {"email": email or f"{uuid.uuid4().hex}@example.com", "password": "correct horse"}
        answer = self.post("/signup", json=credentials)
        assert answer.status_code == 201, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@contextmanager
def serve(database_url: str, *options: str, wait: bool = True, **environment: str) -> Iterator[Server]:
    """Run `uvicorn app:app OPTIONS` on a free port until the block ends, in this environment and `environment`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), *options]
    variables = {**os.environ, **environment, "DATABASE_URL": database_url}
    with tempfile.NamedTemporaryFile("w", suffix=".log") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=log, stderr=subprocess.STDOUT, text=True)
        with Server(base_url=f"http://127.0.0.1:{port}", timeout=30) as server:
            server.process, server.log_file = process, Path(log.name)
            try:
                if wait:
                    wait_until_ready(server)
                yield server
            finally:
                process.terminate()
                process.wait(30)


def wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            server.get("/openapi.json")
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"the server did not start:\n{server.log}")


LIMIT = 1_048_576  # bytes of an /addPost body
PASSWORD = "correct horse"


@pytest.fixture(scope="session")
def core() -> Iterator[ModuleType]:
    """The module `app`, in this process, on a database of its own."""
    with new_database() as url:
        os.environ["DATABASE_URL"] = url
        app = importlib.import_module("app")
        yield app
        app.models.engine.dispose()


@pytest.fixture
def quick(core: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed a thousand times faster than is safe."""
    monkeypatch.setattr(core.auth, "SCRYPT", "scrypt$4$8$1")


@pytest.fixture
def client(core: ModuleType, quick: None) -> Iterator[TestClient]:
    with TestClient(core.app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def ada(client: TestClient) -> dict[str, str]:
    """The headers of a new account."""
    return sign_up(client)


@pytest.fixture
def bob(client: TestClient) -> dict[str, str]:
    return sign_up(client)


@pytest.fixture
def clock(core: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the service's clock forward by so many seconds."""
    now = core.models.now
    offset = [0.0]
    monkeypatch.setattr(core.models, "now", lambda: now() + int(offset[0] * 1000))

    def advance(seconds: float) -> None:
        offset[0] += seconds

    return advance


@pytest.fixture
def statements(core: ModuleType) -> Iterator[list[str]]:
    """The SQL that runs during the test."""
    seen: list[str] = []

    def see(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    sa.event.listen(core.models.engine, "before_cursor_execute", see)
    yield seen
    sa.event.remove(core.models.engine, "before_cursor_execute", see)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Its log shows no traceback, whatever the tests have sent."""
    with new_database() as url, serve(url) as server:
        yield server
        assert "Traceback" not in server.log


def new_email() -> str:
    return f"{uuid.uuid4().hex}@example.com"


def sign_up(client: httpx2.Client, email: str = "") -> dict[str, str]:
    answer = client.post("/signup", json={"email": email or new_email(), "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def add(client: httpx2.Client, headers: dict[str, str], text: str = "hi", **fields: str) -> int:
    answer = client.post("/addPost", json={"text": text, **fields}, headers=headers)
    assert answer.status_code == 201, answer.text
    post_id: int = answer.json()["postID"]
    return post_id


def texts(client: httpx2.Client, headers: dict[str, str]) -> list[str]:
    answer = client.get("/getPosts", headers=headers)
    assert answer.status_code == 200, answer.text
    return [post["text"] for post in answer.json()]


def fields_of(answer: httpx2.Response) -> set[str]:
    """The fields that a 422 names; checks that it is one and says what is wrong."""
    assert answer.status_code == 422, answer.text
    assert all(set(each) == {"type", "loc", "msg"} and each["msg"] for each in answer.json()["detail"])
    return {str(each["loc"][-1]) for each in answer.json()["detail"]}


def assert_refused(answer: httpx2.Response, *statuses: int) -> None:
    assert answer.status_code in statuses, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["detail"]


def all_that_is_told(answer: httpx2.Response) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers, but those in which an extra numbers the requests."""
    headers = {name: value for name, value in answer.headers.items() if name not in {"x-request-id", "ratelimit"}}
    return answer.status_code, answer.text, headers


# POST /signup


def test_signup_answers_with_a_token_that_works(client: TestClient) -> None:
    answer = client.post("/signup", json={"email": new_email(), "password": PASSWORD})
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    token = answer.json()
    assert token["token_type"] == "bearer"
    assert token["expires_in"] == 86400
    assert len(token["access_token"]) >= 43
    assert texts(client, {"Authorization": f"Bearer {token['access_token']}"}) == []


def test_a_taken_email_is_409_in_any_letter_case(client: TestClient) -> None:
    email = new_email()
    sign_up(client, email)
    assert_refused(client.post("/signup", json={"email": email.upper(), "password": PASSWORD}), 409)
    assert client.post("/login", json={"email": email.title(), "password": PASSWORD}).status_code == 200


def test_a_refusal_keeps_the_connections_of_the_pool(client: TestClient, core: ModuleType) -> None:
    pool, email = core.models.engine.pool, new_email()
    sign_up(client, email)
    assert_refused(client.post("/signup", json={"email": email, "password": PASSWORD}), 409)
    assert core.models.engine.pool is pool


def test_emails_that_differ_by_an_accent_are_two_people(client: TestClient) -> None:
    name = uuid.uuid4().hex
    for letter in "eé":
        sign_up(client, f"jos{letter}{name}@example.com")


@pytest.mark.parametrize(
    "email",
    ["", "ada", "ada@", "@example.com", "a b@example.com", "ada@localhost", f"ada@{'a.' * 125}", 7, None],
)
def test_signup_refuses_what_is_no_email(client: TestClient, email: object) -> None:
    assert fields_of(client.post("/signup", json={"email": email, "password": PASSWORD})) == {"email"}


def test_an_email_has_at_most_254_characters(client: TestClient) -> None:
    longest = f"{uuid.uuid4().hex}@{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 25}.com"
    assert len(longest) == 254
    sign_up(client, longest)
    for longer in (f"a{longest}", longest.replace("@", "@" + "x." * 6_000)):
        assert fields_of(client.post("/signup", json={"email": longer, "password": PASSWORD})) == {"email"}


@pytest.mark.parametrize("password", ["12345678", "x" * 128, " " * 8, "pässwörd 😀", "nul\0nul\0", "quote'\"\\%"])
def test_any_characters_make_a_password_and_none_are_trimmed(client: TestClient, password: str) -> None:
    email = new_email()
    assert client.post("/signup", json={"email": email, "password": password}).status_code == 201
    assert client.post("/login", json={"email": email, "password": password}).status_code == 200
    for other in (f"{password} "[-128:], password[:-1] + "?"):
        if other != password:
            assert_refused(client.post("/login", json={"email": email, "password": other}), 401)


@pytest.mark.parametrize("password", ["1234567", "x" * 129, 12345678, None, ["x" * 8]])
def test_signup_refuses_a_password_of_a_wrong_length_or_kind(client: TestClient, password: object) -> None:
    assert fields_of(client.post("/signup", json={"email": new_email(), "password": password})) == {"password"}


@pytest.mark.parametrize("route", ["/signup", "/login"])
def test_a_lone_surrogate_in_a_password_is_a_422(client: TestClient, route: str) -> None:
    credentials = json.dumps({"email": new_email(), "password": "correct \ud800 horse"})
    answer = client.post(route, content=credentials, headers={"Content-Type": "application/json"})
    assert fields_of(answer) == {"password"}


def test_a_422_names_each_field_and_repeats_nothing_that_was_sent(client: TestClient) -> None:
    answer = client.post("/signup", json={"email": "no-email-7", "password": "hunter2", "is_admin": True})
    assert fields_of(answer) == {"email", "password", "unknown field"}
    assert not re.search("no-email-7|hunter2|is_admin", answer.text)


def test_eight_sign_ups_with_one_email_at_once_make_one_account(server: Server) -> None:
    email = new_email()
    with ThreadPoolExecutor(8) as pool:
        sign_ups = [pool.submit(server.post, "/signup", json={"email": email, "password": PASSWORD}) for _ in range(8)]
    assert Counter(each.result().status_code for each in sign_ups) == {201: 1, 409: 7}


def test_what_an_extra_adds_to_the_answer_may_be_of_any_type_that_json_has_a_form_for(
    client: TestClient, core: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.hooks, "on_token", [lambda *_: {"since": datetime(2026, 1, 1, tzinfo=UTC)}])
    credentials = {"email": new_email(), "password": PASSWORD}
    answers = [client.post(path, json=credentials) for path in ("/signup", "/login")]
    assert [answer.json()["since"] for answer in answers] == ["2026-01-01T00:00:00Z"] * 2


# POST /login


def test_each_login_gives_a_new_token_and_the_others_stay_good(client: TestClient) -> None:
    email = new_email()
    headers = [sign_up(client, email)]
    for _ in range(2):
        answer = client.post("/login", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        headers.append({"Authorization": f"Bearer {answer.json()['access_token']}"})
    assert len({each["Authorization"] for each in headers}) == 3
    assert all(texts(client, each) == [] for each in headers)


def test_an_unknown_email_and_a_wrong_password_cannot_be_told_apart(
    client: TestClient, core: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = new_email()
    sign_up(client, email)
    costs = []
    derive_key = core.auth.derive_key

    def count(password: str, parameters: str, salt: bytes) -> bytes:
        costs.append(parameters)
        key: bytes = derive_key(password, parameters, salt)
        return key

    monkeypatch.setattr(core.auth, "derive_key", count)
    monkeypatch.setattr(core.auth, "NOBODYS_HASH", f"{core.auth.SCRYPT}$c2FsdA==$a2V5")
    wrong = client.post("/login", json={"email": email, "password": "wrong password"})
    unknown = client.post("/login", json={"email": new_email(), "password": "wrong password"})
    assert_refused(wrong, 401)
    assert wrong.headers["www-authenticate"] == "Bearer"
    assert all_that_is_told(wrong) == all_that_is_told(unknown)
    assert costs == ["scrypt$4$8$1"] * 2


def test_passwords_are_hashed_at_a_strength_that_owasp_lists(core: ModuleType) -> None:
    assert core.auth.hash_password(PASSWORD).startswith("scrypt$14$8$5$")
    assert core.auth.NOBODYS_HASH.startswith("scrypt$14$8$5$")
    salt, key = map(b64decode, core.auth.hash_password(PASSWORD).split("$")[4:])
    assert (len(salt), len(key)) == (16, 32)


def test_a_login_renews_a_hash_whose_parameters_have_moved(
    client: TestClient, core: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = new_email()
    sign_up(client, email)
    monkeypatch.setattr(core.auth, "SCRYPT", "scrypt$5$8$1")
    for _ in range(2):
        assert client.post("/login", json={"email": email, "password": PASSWORD}).status_code == 200
        assert hash_of(core, email).startswith("scrypt$5$8$1$")


def hash_of(core: ModuleType, email: str) -> str:
    users = core.models.User
    (row,) = core.models.fetch(sa.select(users.password_hash).where(users.email == email))
    return str(row.password_hash)


def transact(core: ModuleType, work: Callable[[Any], Any]) -> Any:
    return core.models.transact(work, time.monotonic() + 5)


def test_two_logins_at_once_may_renew_a_hash(core: ModuleType, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    old = core.auth.hash_password(PASSWORD)
    user_id, _ = transact(core, lambda tx: core.auth.open_account(tx, new_email(), old))
    monkeypatch.setattr(core.auth, "SCRYPT", "scrypt$5$8$1")
    for new in [core.auth.check_password(PASSWORD, old) for _ in range(2)]:
        assert transact(core, partial(core.auth.open_session, user_id=user_id, old_hash=old, new_hash=new))


def test_no_connection_is_held_while_a_password_is_hashed(
    client: TestClient, core: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = []
    derive_key = core.auth.derive_key

    def look(*args: Any) -> bytes:
        wait_until(lambda: not core.models.engine.pool.checkedout())  # what an extra clears meanwhile is soon done
        hashed.append(args)
        key: bytes = derive_key(*args)
        return key

    monkeypatch.setattr(core.auth, "derive_key", look)
    email = new_email()
    sign_up(client, email)
    client.post("/login", json={"email": email, "password": PASSWORD})
    assert len(hashed) == 2


def test_an_account_keeps_the_100_tokens_that_last_the_longest_and_a_login_clears_a_thousand(
    client: TestClient, core: ModuleType
) -> None:
    email, bystander = new_email(), new_email()
    old, other = sign_up(client, email), sign_up(client, bystander)
    now, Token = core.models.now(), core.models.Token
    (user,) = core.models.fetch(sa.select(core.User.id).where(core.User.email == email))
    rows = [
        {"user_id": user.id, "digest": core.auth.digest(f"{email} {i}"), "created_at": now, "expires_at": now - 1}
        for i in range(1200)
    ]
    with core.models.engine.begin() as connection:
        connection.execute(sa.insert(Token), rows)
    credentials = {"email": email, "password": PASSWORD}
    for left in (1201 - 1000 + 1, 100, 100):
        answer = client.post("/login", json=credentials)
        (count,) = core.models.fetch(sa.select(sa.func.count()).where(Token.user_id == user.id))[0]
        assert count == left
    newest = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert texts(client, old) == texts(client, newest) == texts(client, other) == []
    for _ in range(98):
        assert client.post("/login", json=credentials).status_code == 200
    assert_refused(client.get("/getPosts", headers=old), 401)
    assert texts(client, newest) == texts(client, other) == []


def test_neither_password_nor_token_is_in_the_database_or_the_log(
    client: TestClient, core: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    email, password = new_email(), "a very secret password"
    token = client.post("/signup", json={"email": email, "password": password}).json()["access_token"]
    client.post("/login", json={"email": email, "password": password})
    client.post("/login", json={"email": email, "password": password + "!"})
    headers = {"Authorization": f"Bearer {token}"}
    client.post("/addPost", json={"text": "hi"}, headers=headers)
    with core.models.engine.connect() as connection:
        tables = core.models.Base.metadata.sorted_tables
        dump = str([connection.execute(sa.select(table)).all() for table in tables])
    assert email in dump
    for secret in (password, token):
        assert secret not in dump
        assert secret not in caplog.text


# The access token


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", "Basic YWRhOnB3")],
        [("Authorization", "TOKEN")],
        [("Authorization", "Bearer unknown")],
        [("Authorization", "Bearer " + "x" * 10_000)],
        [("Authorization", "Bearer TOKEN x")],
        [("Authorization", b"Bearer \xff\xfe\x80")],
        [("Authorization", "Bearer TOKEN"), ("Authorization", "Bearer TOKEN")],
        [("X-Access-Token", "TOKEN"), ("Cookie", "access_token=TOKEN")],
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/addPost"), ("GET", "/getPosts"), ("DELETE", "/deletePost/1")])
def test_without_a_good_token_a_route_is_401(
    client: TestClient, ada: dict[str, str], method: str, path: str, headers: list[tuple[str, str | bytes]]
) -> None:
    token = ada["Authorization"].removeprefix("Bearer ")
    sent = [
        (name.encode(), value if isinstance(value, bytes) else value.replace("TOKEN", token).encode())
        for name, value in headers
    ]
    answer = client.request(method, path, headers=sent, json={"text": "hi"} if method == "POST" else None)
    assert_refused(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert token not in answer.text


def test_a_token_in_the_query_is_ignored(client: TestClient, ada: dict[str, str]) -> None:
    token = ada["Authorization"].removeprefix("Bearer ")
    assert_refused(client.get(f"/getPosts?access_token={token}"), 401)


def test_only_a_refused_token_is_called_invalid(client: TestClient) -> None:
    assert client.get("/getPosts").headers["www-authenticate"] == "Bearer"
    answer = client.get("/getPosts", headers={"Authorization": "Bearer unknown"})
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_the_scheme_counts_in_any_letter_case(client: TestClient, ada: dict[str, str]) -> None:
    assert texts(client, {"Authorization": ada["Authorization"].replace("Bearer", "bEARER")}) == []


def test_a_token_expires(client: TestClient, ada: dict[str, str], clock: Callable[[float], None]) -> None:
    clock(86399)
    assert texts(client, ada) == []
    clock(1)
    assert_refused(client.get("/getPosts", headers=ada), 401)


def test_a_revoked_token_stops_at_the_next_request(client: TestClient, ada: dict[str, str], core: ModuleType) -> None:
    assert texts(client, ada) == []
    token = ada["Authorization"].removeprefix("Bearer ")
    with core.models.engine.begin() as connection:
        connection.execute(sa.delete(core.auth.Token).where(core.auth.Token.digest == core.auth.digest(token)))
    assert_refused(client.get("/getPosts", headers=ada), 401)


def test_an_account_that_goes_takes_its_tokens_and_posts_along(client: TestClient, core: ModuleType) -> None:
    email = new_email()
    headers = sign_up(client, email)
    post_id = add(client, headers)
    with core.models.engine.begin() as connection:
        connection.execute(sa.delete(core.auth.User).where(core.auth.User.email == email))
        assert not connection.scalar(sa.select(sa.exists().where(core.Post.id == post_id)))
    assert_refused(client.get("/getPosts", headers=headers), 401)
    assert_refused(client.post("/login", json={"email": email, "password": PASSWORD}), 401)


# POST /addPost


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "nul \0 nul",
        "crlf\r\n\ttab",
        "😀" * 3,
        "e\u0301 \u00e9",
        "\u2028\ufeff\u202e",
        "%s ? :x '\"\\",
        "x" * 70_000,
    ],
)
def test_a_text_comes_back_byte_for_byte(client: TestClient, ada: dict[str, str], text: str) -> None:
    add(client, ada, text)
    assert texts(client, ada) == [text]


def body_of(size: int, letter: str) -> bytes:
    """An /addPost body of exactly `size` bytes."""
    frame = len(json.dumps({"text": ""}))
    count, rest = divmod(size - frame, len(letter.encode()))
    return json.dumps({"text": letter * count + "x" * rest}, ensure_ascii=False).encode()


@pytest.mark.parametrize("letter", ["x", "é", "😀"])
def test_a_body_of_exactly_1_mib_passes_and_comes_back_whole(
    client: TestClient, ada: dict[str, str], letter: str
) -> None:
    body = body_of(LIMIT, letter)
    assert len(body) == LIMIT
    answer = client.post("/addPost", content=body, headers={**ada, "Content-Type": "application/json"})
    assert answer.status_code == 201
    assert texts(client, ada) == [json.loads(body)["text"]]


@pytest.mark.parametrize(("path", "limit"), [("/addPost", LIMIT), ("/signup", 16_384), ("/login", 16_384)])
@pytest.mark.parametrize("streamed", [False, True])
def test_one_byte_more_than_the_limit_is_413(
    client: TestClient, ada: dict[str, str], path: str, limit: int, streamed: bool
) -> None:
    body = b'{"text": "' + b"x" * (limit - 11) + b'"}'
    assert len(body) == limit + 1
    content = iter([body[:1000], body[1000:]]) if streamed else body
    answer = client.post(path, content=content, headers={**ada, "Content-Type": "application/json"})
    assert_refused(answer, 413)
    assert texts(client, ada) == []


def call_asgi(core: ModuleType, headers: dict[str, str], chunk: bytes) -> tuple[int, list[int], Any]:
    """POST /addPost with an endless body; returns the bytes taken in all and before the answer, and the answer."""
    taken, before, sent = 0, [], []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/addPost",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += len(chunk)
        assert taken < 100 * LIMIT, "it never stops"
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            before.append(taken)
        sent.append(message)

    asyncio.run(core.app(scope, receive, send))
    return taken, before, sent


@pytest.mark.parametrize("path", ["/signup", "/login"])
def test_a_body_of_exactly_16_kib_passes(client: TestClient, path: str) -> None:
    body = json.dumps({"email": new_email(), "password": PASSWORD})
    headers = {"Content-Type": "application/json"}
    assert client.post(path, content=body.ljust(16_384), headers=headers).status_code in {201, 401}


def test_a_delete_with_a_body_too_large_deletes_nothing(client: TestClient, ada: dict[str, str]) -> None:
    post_id = add(client, ada)
    assert_refused(client.request("DELETE", f"/deletePost/{post_id}", content=b"x" * 16_385, headers=ada), 413)
    assert texts(client, ada) == ["hi"]


@pytest.mark.parametrize("lie", [{}, {"Content-Length": "10"}])
def test_an_endless_body_is_413_once_the_count_passes_the_limit(
    client: TestClient, core: ModuleType, ada: dict[str, str], lie: dict[str, str]
) -> None:
    taken, _, sent = call_asgi(core, {"Content-Type": "application/json", **ada, **lie}, b"x" * 65_536)
    assert sent[0]["status"] == 413
    assert json.loads(b"".join(message["body"] for message in sent[1:]))["detail"]
    assert LIMIT < taken <= 2 * LIMIT


def test_nothing_is_read_of_a_body_without_a_token(core: ModuleType) -> None:
    taken, _, sent = call_asgi(core, {"Content-Type": "application/json"}, b"x" * 65_536)
    assert (sent[0]["status"], taken) == (401, 0)


def test_a_content_length_over_the_limit_is_413_before_any_of_the_body_is_read(core: ModuleType) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": str(LIMIT + 1)}
    taken, before, sent = call_asgi(core, headers, b"x")
    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"])["detail"]
    assert (taken, before) == (0, [0])


@pytest.mark.parametrize("path", ["/addPost", "/signup", "/login"])
def test_zeros_before_a_content_length_are_nothing_however_many(server: Server, path: str) -> None:
    token = sign_up(server)["Authorization"]
    body = json.dumps({"text": "hi"} if path == "/addPost" else {"email": new_email(), "password": PASSWORD})
    fields = f"Authorization: {token}\r\nContent-Type: application/json\r\nContent-Length: {len(body):05000}"
    with socket.create_connection(("127.0.0.1", server.base_url.port or 0)) as connection:
        connection.settimeout(10)
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{body}".encode())
        assert connection.recv(1000)[:13] in {b"HTTP/1.1 201 ", b"HTTP/1.1 401 "}


def test_a_client_that_streams_without_end_reads_its_413(server: Server) -> None:
    token = sign_up(server)["Authorization"].encode()
    with socket.create_connection(("127.0.0.1", server.base_url.port or 0)) as connection:
        connection.settimeout(10)
        connection.sendall(b"POST /addPost HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        connection.sendall(b"Authorization: %b\r\n" % token)
        connection.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(1000):
            connection.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            if select.select([connection], [], [], 0)[0]:
                break
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


GARBAGE = {
    "nothing": b"",
    "no JSON": b"{text",
    "invalid UTF-8": b'{"text": "\xff\xfe"}',
    "a NUL": b'{"text": \0}',
    "deep nesting": b"[" * 5000,
    "5,000 digits": b'{"text": ' + b"9" * 5000 + b"}",
    "NaN": b'{"text": NaN}',
    "1e999": b'{"text": 1e999}',
    "a lone surrogate": b'{"text": "sent-\\ud800"}',
    "a surrogate as a field": b'{"text": "hi", "\\udfff": 1}',
    "a list": b'["sent-text"]',
    "a string": b'"sent-text"',
    "null": b"null",
    "no text": b'{"status": "draft"}',
    "an empty text": b'{"text": ""}',
    "a number for a text": b'{"text": 5}',
    "a list for a text": b'{"text": ["sent-text"]}',
    "an unknown status": b'{"text": "hi", "status": "sent-status"}',
    "an unknown field": b'{"text": "hi", "sent-field": "sent-value"}',
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("path", ["/addPost", "/signup", "/login"])
def test_garbage_is_4xx_and_nothing_of_it_comes_back(
    client: TestClient, ada: dict[str, str], path: str, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.post(path, content=garbage, headers={**ada, "Content-Type": "application/json"})
    assert_refused(answer, 400, 422)
    assert b"sent-" not in answer.content + caplog.text.encode()
    assert "Traceback" not in caplog.text
    assert texts(client, ada) == []


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_body_that_is_not_called_json_is_422_and_says_so(
    client: TestClient, ada: dict[str, str], content_type: str
) -> None:
    headers = {**ada, "Content-Type": content_type}
    answer = client.post("/addPost", content=b'{"text": "hi"}', headers=headers)
    assert fields_of(answer) == {"body"}
    assert "Content-Type: application/json" in answer.text


# GET /getPosts


def test_posts_come_newest_first_with_all_their_fields(client: TestClient, ada: dict[str, str]) -> None:
    first = add(client, ada, "one")
    second = add(client, ada, "two", status="draft")
    posts = client.get("/getPosts", headers=ada).json()
    assert [(post["postID"], post["text"], post["status"]) for post in posts] == [
        (second, "two", "draft"),
        (first, "one", "published"),
    ]
    for post in posts:
        assert {"postID", "text", "status", "createdAt", "updatedAt"} <= set(post)
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", post["createdAt"])
        assert post["createdAt"] == post["updatedAt"]


def test_nobody_sees_or_deletes_the_posts_of_another(
    client: TestClient, ada: dict[str, str], bob: dict[str, str]
) -> None:
    post_id = add(client, ada, "mine")
    assert texts(client, bob) == []
    theirs = client.delete(f"/deletePost/{post_id}", headers=bob)
    nobodys = client.delete("/deletePost/999999999", headers=bob)
    assert_refused(theirs, 404)
    assert all_that_is_told(theirs) == all_that_is_told(nobodys)
    assert texts(client, ada) == ["mine"]


def reads_of_posts(statements: list[str]) -> int:
    return sum("FROM posts" in statement for statement in statements)


def test_a_second_list_comes_from_the_cache_for_300_seconds(
    client: TestClient, core: ModuleType, ada: dict[str, str], statements: list[str]
) -> None:
    add(client, ada)
    reads = []
    for seconds in (0, 0, 299, 301, 0):
        core.pages.expire(time.monotonic() + seconds)
        assert texts(client, ada) == ["hi"]
        reads.append(reads_of_posts(statements))
    assert reads == [2, 2, 2, 4, 4]  # two statements make a page


def test_an_add_and_a_delete_show_in_the_very_next_list(client: TestClient, ada: dict[str, str]) -> None:
    for number in range(3):
        add(client, ada, str(number))
        assert texts(client, ada)[0] == str(number)
    for post in client.get("/getPosts", headers=ada).json():
        client.delete(f"/deletePost/{post['postID']}", headers=ada)
        assert post["text"] not in texts(client, ada)


def test_the_cache_is_bounded_in_bytes(client: TestClient, core: ModuleType, ada: dict[str, str]) -> None:
    core.pages.clear()
    add(client, ada, "x" * 100_000)
    texts(client, ada)
    assert 100_000 < core.pages.currsize < 101_000
    for post_id in range(1, 101):  # each makes an entry that is empty
        client.get(f"/getPosts?limit=1&before={post_id}", headers=sign_up(client))
    assert core.pages.currsize > 100_000 + 100 * 450  # bytes that such an entry takes
    assert core.pages.maxsize == 2**26


def test_the_cache_makes_room_whenever_the_clock_is_set_back(core: ModuleType, clock: Callable[[float], None]) -> None:
    core.pages.clear()
    page = b" " * (core.pages.maxsize // 3), None  # of which two fit
    for number, seconds in enumerate((0, -1000, 400)):
        clock(seconds)
        core.pages[number] = page
        assert core.pages.get(0)
    core.pages.clear()


def test_an_unchanged_list_is_304_and_a_changed_one_is_not(client: TestClient, ada: dict[str, str]) -> None:
    add(client, ada)
    headers = client.get("/getPosts", headers=ada).headers
    assert headers["cache-control"] == "private, no-cache"
    assert "Authorization" in headers["vary"]
    conditional = {**ada, "If-None-Match": f'"other", W/{headers["etag"]}'}
    unchanged = client.get("/getPosts", headers=conditional)
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", headers["etag"])
    longer = {**ada, "If-None-Match": headers["etag"][:-1] + '0"'}  # as it will be ten versions on
    assert client.get("/getPosts", headers=longer).status_code == 200
    add(client, ada, "more")
    changed = client.get("/getPosts", headers=conditional)
    assert (changed.status_code, len(changed.json())) == (200, 2)


def test_pages_link_to_the_next_and_make_up_the_whole_list(client: TestClient, ada: dict[str, str]) -> None:
    for number in range(7):
        add(client, ada, str(number), status="draft" if number % 2 else "published")
    for status, wanted in (("", "6543210"), ("status=draft&", "531")):
        url, seen = f"/getPosts?{status}limit=3", ""
        while url:
            page = client.get(url, headers=ada)
            assert len(page.json()) <= 3
            seen += "".join(post["text"] for post in page.json())
            link = re.fullmatch(r'<(.+)>; rel="next"', page.headers.get("link", ""))
            url = str(page.url.join(link[1])) if link else ""
        assert seen == wanted


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "before=0", "before=1e3", "status=x", "unknown=1"]
)
def test_a_wrong_query_is_422(client: TestClient, ada: dict[str, str], query: str) -> None:
    field = query.split("=")[0].replace("unknown", "unknown field")
    assert fields_of(client.get(f"/getPosts?{query}", headers=ada)) == {field}


TEXTS = [
    "a",
    "ab",
    "\u00e9",
    "\\",
    "abc\u00e9",
    "\U0001f600",
    "a" * 7,
    "\u00e9" * 4,
    "a" * 9,
    "\U0001f600" * 3,
]  # 1 to 12 bytes
ONE_OF_TWO, ANY = st.integers(0, 1), st.integers(0, 99)


Posts = dict[int, tuple[str, str]]


class Lists(RuleBasedStateMachine):
    """Two accounts and their posts, beside what a plain dict says of them: id -> (text, status)."""

    client: TestClient

    def __init__(self) -> None:
        super().__init__()
        self.accounts: list[tuple[dict[str, str], Posts]] = [(sign_up(self.client), {}) for _ in range(2)]
        self.told: list[tuple[str, str, Posts]] = [("", "", {})] * 2  # of each: a query, and the tag and list it gave

    @initialize(texts=st.lists(st.sampled_from(TEXTS), max_size=9))
    def begin(self, texts: list[str]) -> None:
        for number, text in enumerate(texts):
            self.add(0, text, ["published", "draft"][number % 3 // 2])

    @rule(who=ONE_OF_TWO, text=st.sampled_from(TEXTS), status=st.sampled_from(["published", "draft"]))
    def add(self, who: int, text: str, status: str) -> None:
        headers, posts = self.accounts[who]
        posts[add(self.client, headers, text, status=status)] = (text, status)

    @rule(who=ONE_OF_TWO, whose=ONE_OF_TWO, which=ANY)
    def delete(self, who: int, whose: int, which: int) -> None:
        for post_id in list(self.accounts[whose][1])[which : which + 1]:
            answer = self.client.delete(f"/deletePost/{post_id}", headers=self.accounts[who][0])
            assert answer.status_code == (204 if self.accounts[who][1].pop(post_id, None) else 404)

    @precondition(lambda self: "/editPost/{postID}" in self.client.get("/openapi.json").json()["paths"])
    @rule(who=ONE_OF_TWO, which=ANY, text=st.sampled_from(TEXTS))
    def edit(self, who: int, which: int, text: str) -> None:
        headers, posts = self.accounts[who]
        for post_id in list(posts)[which : which + 1]:
            assert self.client.put(f"/editPost/{post_id}", json={"text": text}, headers=headers).status_code == 200
            posts[post_id] = (text, posts[post_id][1])

    @rule(who=ONE_OF_TWO, status=st.sampled_from(["", "published", "draft"]), limit=st.integers(0, 5))
    def read(self, who: int, status: str, limit: int) -> None:
        headers, posts = self.accounts[who]
        query = "&".join([f"status={status}"] * bool(status) + [f"limit={limit}"] * bool(limit))
        answer = self.client.get(f"/getPosts?{query}" if query else "/getPosts", headers=headers)
        etag, pages = answer.headers["ETag"], [answer.json()]
        while "next" in answer.links:
            assert 0 < len(answer.json()) <= limit
            answer = self.client.get(answer.url.join(answer.links["next"]["url"]), headers=headers)
            pages.append(answer.json())
        listed = [(post["postID"], (post["text"], post["status"])) for page in pages for post in page]
        assert listed == [each for each in sorted(posts.items(), reverse=True) if status in {"", each[1][1]}]
        self.told[who] = (query, etag, dict(posts))

    @rule(who=ONE_OF_TWO)
    def ask_whether_it_has_changed(self, who: int) -> None:
        query, etag, posts = self.told[who]
        headers = {**self.accounts[who][0], "If-None-Match": etag}
        unchanged = self.client.get(f"/getPosts?{query}", headers=headers).status_code == 304
        assert unchanged <= (posts == self.accounts[who][1])


def test_whatever_is_done_lists_tell_what_a_plain_dict_says(
    client: TestClient, core: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, tiny in {"PAGE_BYTES": 8, "PAGE_POSTS": 3, "PIECE": 300}.items():
        monkeypatch.setattr(core, name, tiny)
    monkeypatch.setattr(core.pages, "_Cache__maxsize", 2000)
    monkeypatch.setattr(Lists, "client", client, raising=False)
    core.pages.clear()
    search = settings(max_examples=30, stateful_step_count=30, deadline=None, database=None)
    run_state_machine_as_test(Lists, settings=search)


def test_a_list_that_is_too_large_for_the_cache_is_streamed_whole(
    client: TestClient, core: ModuleType, ada: dict[str, str]
) -> None:
    sent = [f"{number} " + "x" * 1_000_000 for number in range(5)]
    for text in sent:
        add(client, ada, text)
    assert texts(client, ada) == sent[::-1]
    assert client.get("/getPosts", headers=ada).headers["content-type"] == "application/json"


def test_a_list_whose_rest_is_deleted_while_it_is_sent_ends_well(
    client: TestClient, core: ModuleType, ada: dict[str, str]
) -> None:
    ids = [add(client, ada) for _ in range(3)]
    (post,) = core.models.fetch(sa.select(core.Post.user_id).where(core.Post.id == ids[0]))
    page = core.page_of_posts(post.user_id, 3, "", 1, ids[-1] + 1)
    for post_id in ids[:2]:
        assert client.delete(f"/deletePost/{post_id}", headers=ada).status_code == 204

    async def read() -> bytes:
        return b"".join([piece async for piece in core.in_pieces(page, core.auth.Account(post.user_id, 3, 0), None)])

    assert [each["postID"] for each in json.loads(asyncio.run(read()))] == ids[2:]


@pytest.mark.parametrize("left", [[], [0], [0, 1], [2], [0, 2]])
def test_a_list_whose_posts_are_deleted_while_it_is_read_is_still_json(
    client: TestClient, core: ModuleType, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch, left: list[int]
) -> None:
    ids = [add(client, ada) for _ in range(3)]
    fetch = core.models.fetch

    def delete_before_the_texts_are_read(query: Any, **values: Any) -> Any:
        if "text" in query.selected_columns:
            for post_id in set(ids) - {ids[number] for number in left}:
                with core.models.engine.begin() as connection:
                    connection.execute(sa.delete(core.Post).where(core.Post.id == post_id))
        return fetch(query, **values)

    monkeypatch.setattr(core.models, "fetch", delete_before_the_texts_are_read)
    monkeypatch.setattr(core, "PAGE_BYTES", 1)
    listed = client.get("/getPosts", headers=ada).json()
    assert [post["postID"] for post in listed] == [ids[number] for number in reversed(left)]


def test_a_database_that_has_lost_its_last_writes_makes_no_list_wrong(
    client: TestClient, core: ModuleType, ada: dict[str, str]
) -> None:
    add(client, ada, "kept")
    first = client.get("/getPosts", headers=ada)
    (kept,) = core.models.fetch(sa.select(core.User.id, core.User.posts_version).order_by(core.User.id.desc()).limit(1))
    lost = add(client, ada, "lost")
    second = client.get("/getPosts", headers=ada)
    with core.models.engine.begin() as connection:
        connection.execute(sa.delete(core.Post).where(core.Post.id == lost))
        back = sa.update(core.User).where(core.User.id == kept.id)
        connection.execute(back.values(posts_version=kept.posts_version))
    assert client.get("/getPosts", headers=ada).json() == first.json()
    add(client, ada, "new")
    assert texts(client, ada) == ["new", "kept"]
    assert client.get("/getPosts", headers=ada | {"If-None-Match": second.headers["etag"]}).status_code == 200


@pytest.mark.parametrize(("first", "count", "size"), [(3, 512, 2048), (1, 16, 65_536)])
def test_a_list_whose_sizes_sum_to_exactly_a_page_keeps_its_end(
    client: TestClient, core: ModuleType, ada: dict[str, str], first: int, count: int, size: int
) -> None:
    add(client, ada, "0")
    (user,) = core.models.fetch(sa.select(core.Post.user_id).order_by(core.Post.id.desc()).limit(1))
    with core.models.engine.begin() as connection:
        for number in range(1, first + count):
            text = str(number).ljust(size if number >= first else 1)
            core.write_post(connection, user.user_id, core.schemas.PostInput(text=text))
    numbers = [int(text) for text in texts(client, ada)]
    assert numbers == list(range(first + count))[::-1]


def test_a_list_of_more_posts_than_a_page_holds_comes_whole(
    client: TestClient, core: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = new_email()
    headers = sign_up(client, email)
    (user,) = core.models.fetch(sa.select(core.User.id).where(core.User.email == email))
    monkeypatch.setattr(core, "PAGE_POSTS", 100)
    for count in (99, 1, 1, 99, 1):  # up to a page, two, and beyond
        with core.models.engine.begin() as connection:
            for _ in range(count):
                core.write_post(connection, user.id, core.schemas.PostInput(text="hi"))
        core.pages.clear()
        ids = [post["postID"] for post in client.get("/getPosts", headers=headers).json()]
        assert ids == sorted(set(ids), reverse=True)
    assert len(ids) == 201


# DELETE /deletePost/{postID}


def test_a_deleted_post_is_gone_and_its_id_is_never_used_again(client: TestClient, ada: dict[str, str]) -> None:
    post_id = add(client, ada)
    answer = client.delete(f"/deletePost/{post_id}", headers=ada)
    assert (answer.status_code, answer.content) == (204, b"")
    assert texts(client, ada) == []
    assert_refused(client.delete(f"/deletePost/{post_id}", headers=ada), 404)
    assert add(client, ada) > post_id


@pytest.mark.parametrize("post_id", ["0", "-1", "x", "1.5", "٣", "%00", "9" * 19, "1" + "0" * 5000, "%F0%9F%98%80"])
def test_a_wrong_id_is_422(client: TestClient, ada: dict[str, str], post_id: str) -> None:
    assert fields_of(client.delete(f"/deletePost/{post_id}", headers=ada)) == {"postID"}


def test_the_greatest_id_is_merely_unknown(client: TestClient, ada: dict[str, str]) -> None:
    assert_refused(client.delete(f"/deletePost/{2**63 - 1}", headers=ada), 404)


@pytest.mark.parametrize("post_id", ["1_0", "+10", "%2010", "10.0"])
def test_an_id_is_digits_alone(client: TestClient, ada: dict[str, str], post_id: str) -> None:
    assert fields_of(client.delete(f"/deletePost/{post_id}", headers=ada)) == {"postID"}
    for field in ("limit", "before"):
        assert fields_of(client.get(f"/getPosts?{field}={post_id.replace('+', '%2B')}", headers=ada)) == {field}


# What holds everywhere


def test_get_routes_answer_head_with_the_same_headers_and_no_body(client: TestClient, ada: dict[str, str]) -> None:
    add(client, ada)
    get, head = client.get("/getPosts", headers=ada), client.head("/getPosts", headers=ada)
    assert (head.status_code, head.content) == (200, b"")
    assert all_that_is_told(head)[2] == all_that_is_told(get)[2]
    assert_refused(answer := client.post("/getPosts", headers=ada), 405)
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert client.head("/addPost").status_code == 405


@pytest.mark.parametrize("match", ["*", '"other", *', "W/TAG"])
def test_if_none_match_takes_a_star_and_a_weak_tag(client: TestClient, ada: dict[str, str], match: str) -> None:
    tag = client.get("/getPosts", headers=ada).headers["etag"]
    assert client.get("/getPosts", headers={**ada, "If-None-Match": match.replace("TAG", tag)}).status_code == 304


def test_several_lines_of_if_none_match_are_one_list(client: TestClient, ada: dict[str, str]) -> None:
    tag = client.get("/getPosts", headers=ada).headers["etag"]
    lines = [*ada.items(), ("If-None-Match", '"other"'), ("If-None-Match", tag)]
    assert client.get("/getPosts", headers=lines).status_code == 304


def test_the_etag_changes_with_the_fields_of_a_post(
    client: TestClient, core: ModuleType, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = client.get("/getPosts", headers=ada).headers["etag"]
    monkeypatch.setattr(core.hooks, "post", type("RicherPost", (core.schemas.Post,), {}))
    assert client.get("/getPosts", headers={**ada, "If-None-Match": tag}).status_code == 200


def test_white_space_around_an_email_is_stripped(client: TestClient) -> None:
    email = new_email()
    sign_up(client, f" {email}\t")
    assert client.post("/login", json={"email": f"{email} ", "password": PASSWORD}).status_code == 200


def test_a_password_counts_composed_and_any_space_is_a_space(client: TestClient) -> None:
    email = new_email()
    assert client.post("/signup", json={"email": email, "password": "cafe\u0301\u00a0noir"}).status_code == 201
    assert client.post("/login", json={"email": email, "password": "caf\u00e9 noir"}).status_code == 200
    assert fields_of(client.post("/login", json={"email": email, "password": "e\u0301" * 7})) == {"password"}
    long_when_composed = {"email": new_email(), "password": "\u0958" * 4}  # each is two characters then
    assert client.post("/signup", json=long_when_composed).status_code == 201


def test_a_password_that_was_hashed_as_typed_still_opens_its_account_and_is_renewed(
    client: TestClient, core: ModuleType
) -> None:
    email, typed = new_email(), "cafe\u0301 noir"
    key = core.auth.b64encode(core.auth.derive_key(typed, core.auth.SCRYPT, b"salt")).decode()
    old = f"{core.auth.SCRYPT}$c2FsdA==${key}"
    transact(core, lambda tx: core.auth.open_account(tx, email, old))
    for password in (typed, "caf\u00e9 noir"):  # the second only once the first has renewed it
        assert client.post("/login", json={"email": email, "password": password}).status_code == 200
    assert hash_of(core, email) != old


def test_a_token_with_quotes_or_bearer_twice_is_told_apart(client: TestClient, ada: dict[str, str]) -> None:
    token = ada["Authorization"].removeprefix("Bearer ")
    for header in (f"Bearer Bearer {token}", f'Bearer "{token}"'):
        answer = client.get("/getPosts", headers={"Authorization": header})
        assert_refused(answer, 401)
        assert "without quotes" in answer.json()["detail"]


def test_many_unknown_fields_are_told_once(client: TestClient, ada: dict[str, str]) -> None:
    body = json.dumps({"text": "hi"} | {f"field{number}": 1 for number in range(40_000)})
    answer = client.post("/addPost", content=body, headers={**ada, "Content-Type": "application/json"})
    assert fields_of(answer) == {"unknown field"}
    assert len(answer.content) < 1000


def test_json_in_another_encoding_than_utf_8_is_400_and_a_bom_is_taken(client: TestClient, ada: dict[str, str]) -> None:
    headers = {**ada, "Content-Type": "application/json"}
    for encoding in ("utf-16", "utf-16-le", "utf-32"):
        assert_refused(client.post("/addPost", content='{"text": "hi"}'.encode(encoding), headers=headers), 400)
    assert client.post("/addPost", content='{"text": "hi"}'.encode("utf-8-sig"), headers=headers).status_code == 201


SWITCHING = {
    "h2c": "POST /addPost HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
    "upgrade alone": "POST /addPost HTTP/1.1\r\nUpgrade: h2c\r\n",
    "websocket": "POST /addPost HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
    "connect": "CONNECT x:80 HTTP/1.1\r\n",
    "connect to a path": "CONNECT /addPost HTTP/1.1\r\n",
}


def talk(server: Server, *parts: bytes) -> bytes:
    """All that a connection answers until the server closes it."""
    answer = b""
    with socket.create_connection(("127.0.0.1", server.base_url.port or 0)) as connection:
        connection.settimeout(10)
        with suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
        with suppress(ConnectionResetError):
            while received := connection.recv(65_536):
                answer += received
    return answer


@pytest.mark.parametrize("head", SWITCHING.values(), ids=SWITCHING)
def test_a_body_after_upgrade_or_connect_is_refused_and_never_run_as_a_request(server: Server, head: str) -> None:
    victim = sign_up(server)
    token = victim["Authorization"]
    inner = f"DELETE /deletePost/{add(server, victim)} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode()
    whole = f"{head}Host: x\r\nContent-Length: {len(inner)}\r\n\r\n".encode()
    chunked = f"{head}Host: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner)
    ways = [(whole + inner,), (whole, inner), (chunked + chunk,), (chunked, chunk)]  # in one packet or two
    with ThreadPoolExecutor() as threads:
        answers = list(threads.map(lambda packets: talk(server, *packets), ways))
    assert set(re.findall(rb"HTTP/1.1 (\d)", b"".join(answers))) == {b"4"}
    if "x:80" not in head:  # which uvicorn refuses itself, in plain text
        assert all(b"Send a body without 'Upgrade'" in answer for answer in answers[:2])
    assert texts(server, victim) == ["hi"]


def test_an_upgrade_without_a_body_is_answered_and_ends_the_connection(server: Server) -> None:
    ada = sign_up(server)
    for upgrade in ("h2c", "websocket"):
        head = f"GET /getPosts HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n"
        answer = talk(server, f"{head}Authorization: {ada['Authorization']}\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\n[]")


def test_a_list_whose_client_takes_nothing_is_given_up(
    client: TestClient, core: ModuleType, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        add(client, ada, "x" * core.PIECE)
    monkeypatch.setattr(core, "STALL", 0.1)
    sent = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if len(sent) > 2:
            await asyncio.Event().wait()

    token = ada["Authorization"].encode()
    scope = {"type": "http", "method": "GET", "path": "/getPosts", "query_string": b"", "http_version": "1.1"}
    headers = [(b"host", b"x"), (b"authorization", token)]
    asyncio.run(core.app({**scope, "headers": headers, "client": ("127.0.0.1", 1)}, receive, send))
    assert len(sent) == 3


def megabytes(server: Server) -> float:
    """What the server's process has in memory."""
    status = Path(f"/proc/{server.process.pid}/status")
    if not status.exists():
        pytest.skip("only Linux tells")
    return int(re.findall(r"VmRSS:\s*(\d+)", status.read_text())[0]) / 1024


def connect(server: Server, stack: ExitStack, head: str) -> socket.socket:
    """A connection on which this request has begun."""
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.base_url.port or 0)))
    connection.sendall(f"{head}\r\nHost: x\r\n\r\n".encode())
    return connection


def test_250_bodies_of_clients_without_a_token_take_no_memory(server: Server) -> None:
    before, body = megabytes(server), bytes(1_000_000)
    with ExitStack() as stack:
        head = f"POST /addPost HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        connections = [connect(server, stack, head) for _ in range(250)]
        for connection in connections:
            connection.sendall(body[1:])
        assert {connection.recv(12) for connection in connections} == {b"HTTP/1.1 401"}
        assert megabytes(server) - before < 50


def test_150_clients_that_take_nothing_of_a_large_list_take_little_memory(server: Server) -> None:
    ada = sign_up(server)
    for _ in range(8):
        add(server, ada, "x" * 1_000_000)
    assert len(server.get("/getPosts", headers=ada).content) > 8_000_000
    before = megabytes(server)
    with ExitStack() as stack:
        head = f"GET /getPosts HTTP/1.1\r\nAuthorization: {ada['Authorization']}"
        connections = [connect(server, stack, head) for _ in range(150)]
        assert {connection.recv(12) for connection in connections} == {b"HTTP/1.1 200"}
        assert len(server.get("/getPosts", headers=ada).content) > 8_000_000
        assert megabytes(server) - before < 80


def test_what_is_not_there_is_refused_in_json(client: TestClient) -> None:
    assert_refused(client.get("/nothing"), 404)
    assert_refused(client.get("/getPosts/"), 404)
    answer = client.put("/addPost")
    assert_refused(answer, 405)
    assert answer.headers["allow"] == "POST"


def test_an_error_of_ours_shows_nothing_of_itself(
    client: TestClient, core: ModuleType, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.models, "now", lambda: 1 / 0)
    answer = client.post("/addPost", json={"text": "hi"}, headers=ada)
    assert_refused(answer, 500)
    assert "division" not in answer.text


def test_events_are_logged_in_a_line_each_with_the_account(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    email = new_email()
    headers = sign_up(client, email)
    client.post("/login", json={"email": email, "password": PASSWORD})
    client.post("/login", json={"email": email, "password": "wrong\r\npassword"})
    client.post("/login", json={"email": new_email(), "password": PASSWORD})
    client.delete(f"/deletePost/{add(client, headers)}", headers=headers)
    lines = [record.getMessage() for record in caplog.records if record.name == "uvicorn.posts"]
    account = lines[0].removeprefix("signup ")
    assert re.fullmatch(r"account=\d+", account)
    wanted = [
        "signup A",
        "login A",
        "login refused A",
        "login refused account=unknown",
        "addPost A post=",
        "deletePost A post=",
    ]
    assert [re.sub("(?<=post=).*", "", line) for line in lines] == [
        line.replace("A", account, 1) if " A" in line else line for line in wanted
    ]


ROUTES = {
    ("post", "/signup"): {201, 400, 409, 413, 422, 503},
    ("post", "/login"): {200, 400, 401, 413, 422, 503},
    ("post", "/addPost"): {201, 400, 401, 413, 422, 503},
    ("get", "/getPosts"): {200, 304, 401, 422, 503},
    ("delete", "/deletePost/{postID}"): {204, 401, 404, 422, 503},
}


@pytest.fixture
def openapi(client: TestClient) -> Any:
    return client.get("/openapi.json").json()


def operations(openapi: Any) -> dict[tuple[str, str], Any]:
    return {(method, path): each for path, methods in openapi["paths"].items() for method, each in methods.items()}


def walk(node: Any) -> Iterator[dict[str, Any]]:
    """Each object of a JSON document."""
    if isinstance(node, dict):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(each)


@with_extras_folder
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_openapi_tells_each_status_with_its_schema(openapi: Any, method: str, path: str) -> None:
    operation = openapi["paths"][path][method]
    assert operation["summary"]
    assert operation["description"]
    assert {int(status) for status in operation["responses"]} >= ROUTES[method, path]
    for status, response in operation["responses"].items():
        assert status in {"204", "304"} or response["content"]["application/json"]["schema"]


def test_openapi_has_the_five_routes_and_the_longest_values(openapi: Any) -> None:
    assert set(operations(openapi)) >= set(ROUTES)
    assert "/" not in openapi["paths"]
    assert not [path for path, methods in openapi["paths"].items() if "head" in methods]
    fields = openapi["components"]["schemas"]["Credentials"]["properties"]
    assert (fields["email"]["maxLength"], fields["password"]["maxLength"]) == (254, 128)


@with_extras_folder
def test_openapi_names_each_operation_once_and_like_its_function(openapi: Any) -> None:
    names = [operation["operationId"] for operation in operations(openapi).values()]
    assert len(set(names)) == len(names)
    assert [openapi["paths"][path][method]["operationId"] for method, path in ROUTES] == [
        "signup",
        "login",
        "add_post",
        "get_posts",
        "delete_post",
    ]


@with_extras_folder
def test_openapi_gives_each_integer_64_bits_and_no_maximum_beyond_what_javascript_can_hold(openapi: Any) -> None:
    integers = [node for node in walk(openapi) if node.get("type") == "integer"]
    assert len(integers) >= 5
    assert all(node["format"] == "int64" and node.get("maximum", 0) < 2**53 for node in integers)


def test_openapi_has_no_schema_with_the_name_of_anothers_constructor(openapi: Any) -> None:
    names = set(openapi["components"]["schemas"])
    assert not names & {f"New{name}" for name in names}


@with_extras_folder
def test_openapi_has_plain_parameters_and_a_post_without_a_default(openapi: Any) -> None:
    parameters = [each for operation in operations(openapi).values() for each in operation.get("parameters", [])]
    assert all("type" in each["schema"] and "default" not in each["schema"] for each in parameters)
    assert {each["name"] for each in parameters if each["required"] and each["in"] != "path"} <= {"text"}
    schema = {each["name"]: each["schema"] for each in openapi["paths"]["/getPosts"]["get"]["parameters"]}
    assert set(schema) == {"status", "limit", "before", "If-None-Match"}
    assert schema["status"]["enum"] == ["published", "draft"]
    assert (schema["limit"]["minimum"], schema["limit"]["maximum"]) == (1, 1000)
    post = openapi["components"]["schemas"]["PostInput"]
    assert post["required"] == ["text"]
    assert "default" not in post["properties"]["status"]


@with_extras_folder
def test_openapi_tells_the_headers_of_answers(openapi: Any) -> None:
    told = {
        (path, status): set(answer.get("headers", {})) - {"RateLimit", "RateLimit-Policy"}
        for (_, path), operation in operations(openapi).items()
        for status, answer in operation["responses"].items()
    }
    assert told["/getPosts", "200"] == {"ETag", "Link"}
    assert told["/getPosts", "304"] == {"ETag"}
    for (_, status), names in told.items():
        assert status != "401" or names == {"WWW-Authenticate"}
        assert status not in {"429", "503"} or names == {"Retry-After"}


@with_extras_folder
def test_openapi_tells_of_a_wrong_field_what_is_sent_and_no_more(client: TestClient, openapi: Any) -> None:
    (wrong,) = client.post("/login", json={"email": "ada@example.com"}).json()["detail"]
    assert wrong.keys() == openapi["components"]["schemas"]["ValidationError"]["properties"].keys()


@with_extras_folder
def test_openapi_has_413_where_there_is_a_body_and_no_security_where_no_token_is_asked_for(openapi: Any) -> None:
    for operation in operations(openapi).values():
        assert ("413" in operation["responses"]) == ("requestBody" in operation)
        assert operation["security"] in ([], [{"HTTPBearer": []}])
    is_open = [openapi["paths"][path][method]["security"] == [] for method, path in ROUTES]
    assert is_open == [True, True, False, False, False]


@with_extras_folder
def test_openapi_has_the_version_of_the_app_and_tags_that_it_describes(core: ModuleType, openapi: Any) -> None:
    assert openapi["info"]["version"] == core.app.version
    assert core.app.version != "0.1.0"  # FastAPI's default
    described = {tag["name"] for tag in openapi["tags"] if tag["description"]}
    assert {tag for operation in operations(openapi).values() for tag in operation["tags"]} <= described


def test_openapi_names_one_server_which_follows_the_root_path(client: TestClient, core: ModuleType) -> None:
    assert client.get("/openapi.json").json()["servers"] == [{"url": "/"}]
    with TestClient(core.app, root_path="/blog") as behind_a_proxy:
        assert behind_a_proxy.get("/openapi.json").json()["servers"][0] == {"url": "/blog"}


@with_extras_folder
def test_the_examples_of_openapi_succeed_as_they_stand() -> None:
    with new_database() as url, serve(url) as server:
        openapi = server.get("/openapi.json").json()
        headers: dict[str, str] = {}
        for method, path in ROUTES:
            operation = openapi["paths"][path][method]
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            example = body and {
                name: field["examples"][0]
                for name, field in openapi["components"]["schemas"][body["$ref"].split("/")[-1]]["properties"].items()
                if "examples" in field
            }
            for parameter in operation.get("parameters", []):
                if parameter["required"]:
                    value = next(iter(parameter["examples"].values()))["value"]
                    path = path.replace("{%s}" % parameter["name"], str(value))  # noqa: UP031
            answer = server.request(method, path, json=example, headers=headers)
            assert answer.is_success, (method, path, answer.text)
            if "access_token" in answer.text:
                headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}


@with_extras_folder
def test_swagger_ui_is_there_and_keeps_the_token_over_a_reload(client: TestClient) -> None:
    assert '"persistAuthorization": true' in client.get("/docs").text


# Many at once


def at_once(jobs: list[Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]], url: str) -> Counter[int]:
    """Run all jobs at the same moment, each on a connection of its own; counts the statuses."""

    async def run() -> Counter[int]:
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
            return Counter([answer.status_code for answer in await asyncio.gather(*(job(client) for job in jobs))])

    return asyncio.run(run())


def adding(headers: dict[str, str], text: str) -> Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]:
    return lambda client: client.post("/addPost", json={"text": text}, headers=headers)


def listing(headers: dict[str, str]) -> Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]:
    return lambda client: client.get("/getPosts", headers=headers)


def logging_in(email: str) -> Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]:
    return lambda client: client.post("/login", json={"email": email, "password": PASSWORD})


def test_200_lists_and_32_adds_to_one_account_at_once_all_succeed(server: Server) -> None:
    headers = sign_up(server)
    numbers = [str(number) for number in range(32)]
    jobs = [listing(headers)] * 200 + [adding(headers, number) for number in numbers]
    assert at_once(jobs, str(server.base_url)) == {200: 200, 201: 32}
    assert sorted(texts(server, headers), key=int) == numbers


def test_50_logins_at_once_succeed_while_others_read(server: Server) -> None:
    email = new_email()
    headers = sign_up(server, email)
    jobs = [logging_in(email)] * 50 + [listing(headers)] * 50
    assert at_once(jobs, str(server.base_url)) == {200: 100}


def test_past_a_short_queue_of_logins_the_others_are_503(
    client: TestClient, core: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.models, "in_hasher", partial(core.models.in_thread, core.models.hashers, -1))
    answer = client.post("/login", json={"email": new_email(), "password": PASSWORD})
    assert_refused(answer, 503)
    assert int(answer.headers["retry-after"]) > 0


def test_a_database_in_memory_serves_many_at_once() -> None:
    with serve("sqlite://") as server:
        accounts = [sign_up(server) for _ in range(4)]
        jobs = [job for headers in accounts * 8 for job in (adding(headers, "hi"), listing(headers))]
        assert at_once(jobs, str(server.base_url)) == {200: 32, 201: 32}
        assert [texts(server, headers) for headers in accounts] == [["hi"] * 8] * 4


# Several processes


def test_four_workers_start_together_on_an_empty_database_and_64_writers_lose_nothing() -> None:
    with new_database() as url, serve(url, "--workers", "4") as server:
        accounts = [sign_up(server) for _ in range(8)]
        jobs = [adding(headers, str(number)) for number in range(8) for headers in accounts]
        assert at_once(jobs, str(server.base_url)) == {201: 64}
        for headers in accounts:
            assert sorted(texts(server, headers)) == list("01234567")
        for number in range(30):  # each request on a connection of its own, so in any of the workers
            with httpx2.Client(base_url=server.base_url) as writer, httpx2.Client(base_url=server.base_url) as reader:
                add(writer, accounts[0], f"new {number}")
                assert texts(reader, accounts[0])[0] == f"new {number}"
        assert not re.search("Traceback|ERROR|locked", server.log)


def test_a_write_in_one_process_shows_at_once_in_another() -> None:
    with new_database() as url, serve(url) as one, serve(url) as other:
        headers = sign_up(one)
        assert texts(other, headers) == []
        for writer, reader in ((one, other), (other, one)):
            post_id = add(writer, headers)
            assert texts(reader, headers) == ["hi"]
            assert writer.delete(f"/deletePost/{post_id}", headers=headers).status_code == 204
            assert texts(reader, headers) == []


def test_processes_that_start_together_make_the_tables_once() -> None:
    for _ in range(2):
        with new_database() as url:
            command = [sys.executable, "-c", "import app"]
            environment = {**os.environ, "DATABASE_URL": url}
            starts = [subprocess.Popen(command, cwd=ROOT, env=environment) for _ in range(4)]
            assert [start.wait(60) for start in starts] == [0] * 4


# Faults


def test_what_was_acknowledged_survives_kill_9() -> None:
    acknowledged: list[str] = []
    with new_database() as url:
        with serve(url) as server:
            headers = sign_up(server)

            def write() -> None:
                with suppress(httpx2.TransportError), httpx2.Client(base_url=server.base_url) as client:
                    while True:
                        text = uuid.uuid4().hex
                        add(client, headers, text)
                        acknowledged.append(text)

            writers = [threading.Thread(target=write) for _ in range(8)]
            for writer in writers:
                writer.start()
            wait_until(lambda: len(acknowledged) > 200)
            server.process.kill()
            for writer in writers:
                writer.join(30)
        with serve(url) as server:
            assert set(acknowledged) <= set(texts(server, headers))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


class Proxy:
    """A TCP proxy before the server of MySQL, that can go away."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.port = 0
        self.sockets: list[socket.socket] = []
        self.silent = False  # takes all and passes nothing on
        self.start()

    def start(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                upstream = socket.create_connection(self.target)
                self.sockets += client, upstream
                for source, sink in ((client, upstream), (upstream, client)):
                    threading.Thread(target=self.copy, args=(source, sink), daemon=True).start()

    def copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if not self.silent:
                    sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Drop the connections that are open."""
        while self.sockets:
            with suppress(OSError):
                self.sockets.pop().shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()


@contextmanager
def fragile_database() -> Iterator[tuple[str, Callable[[], object], Callable[[], object]]]:
    """A database, a way to take it away (no way to MySQL, no table `users` in SQLite), and one to bring it back."""
    with new_database() as url:
        address = sa.make_url(url)
        if address.get_backend_name() == "sqlite":
            tables = sa.create_engine(url, isolation_level="AUTOCOMMIT").connect()
            yield (
                url,
                partial(tables.exec_driver_sql, "ALTER TABLE users RENAME TO away"),
                partial(tables.exec_driver_sql, "ALTER TABLE away RENAME TO users"),
            )
            tables.close()
            return
        proxy = Proxy((address.host or "127.0.0.1", address.port or 3306))
        through = address.set(host="127.0.0.1", port=proxy.port)
        yield through.render_as_string(hide_password=False), proxy.stop, proxy.start
        proxy.stop()


def each_route(server: Server, headers: dict[str, str], email: str) -> Iterator[httpx2.Response]:
    yield server.post("/signup", json={"email": new_email(), "password": PASSWORD})
    yield server.post("/login", json={"email": email, "password": PASSWORD})
    yield server.post("/addPost", json={"text": "hi"}, headers=headers)
    yield server.get("/getPosts", headers=headers)
    yield server.delete("/deletePost/1", headers=headers)


def test_without_its_database_each_route_is_503_and_works_again_at_once() -> None:
    email = new_email()
    with fragile_database() as (url, take_away, bring_back), serve(url) as server:
        headers = sign_up(server, email)
        for _ in range(2):
            take_away()
            for answer in each_route(server, headers, email):
                assert_refused(answer, 503)
                assert int(answer.headers["retry-after"]) > 0
                assert answer.elapsed.total_seconds() < 10
                assert not re.search("SQL|table|connect|127", answer.json()["detail"])
            bring_back()
            assert [answer.status_code for answer in each_route(server, headers, email)][:4] == [201, 200, 201, 200]
        assert len(re.findall("database failure: .+", server.log)) == 10
        assert not re.search("Traceback|SELECT|INSERT", server.log)


def test_dropped_idle_connections_are_never_noticed() -> None:
    with new_database() as url:
        address = sa.make_url(url)
        if address.get_backend_name() == "sqlite":
            pytest.skip("SQLite has no connections to drop")
        proxy = Proxy((address.host or "127.0.0.1", address.port or 3306))
        through = address.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        email = new_email()
        with serve(through) as server:
            headers = sign_up(server, email)
            for _ in range(3):
                proxy.cut()
                for answer in each_route(server, headers, email):
                    assert answer.status_code < 300 or answer.status_code == 404
        proxy.stop()


def test_a_database_that_falls_silent_is_503_within_10_seconds_and_works_again_at_once() -> None:
    with new_database() as url:
        address = sa.make_url(url)
        if address.get_backend_name() == "sqlite":
            pytest.skip("SQLite has no line that could fall silent")
        proxy = Proxy((address.host or "127.0.0.1", address.port or 3306))
        through = address.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        email = new_email()
        with serve(through) as server:
            headers = sign_up(server, email)
            proxy.silent = True
            jobs = [adding(headers, "hi"), listing(headers), logging_in(email)]
            start = time.monotonic()
            assert at_once(jobs, str(server.base_url)) == {503: 3}
            assert time.monotonic() - start < 10.5
            proxy.silent = False
            proxy.cut()
            assert [answer.status_code for answer in each_route(server, headers, email)][:4] == [201, 200, 201, 200]
        proxy.stop()


def test_a_locked_sqlite_is_503_to_writers_and_nothing_to_readers() -> None:
    with new_database() as url:
        if not url.startswith("sqlite"):
            pytest.skip("of SQLite alone")
        with serve(url) as server:
            headers = sign_up(server)
            with sa.create_engine(url).connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                assert texts(server, headers) == []
                assert_refused(server.post("/addPost", json={"text": "hi"}, headers=headers), 503)
            add(server, headers)


def test_sigterm_lets_a_running_request_finish() -> None:
    with new_database() as url, serve(url) as server:
        headers = sign_up(server)
        with socket.create_connection(("127.0.0.1", server.base_url.port or 0)) as connection:
            body = b'{"text": "hi"}'
            connection.sendall(
                f"POST /addPost HTTP/1.1\r\nHost: x\r\nAuthorization: {headers['Authorization']}\r\n".encode()
                + f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body[:5]
            )
            assert texts(server, headers) == []  # by now the other request has begun, too
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: "Shutting down" in server.log)
            connection.sendall(body[5:])
            connection.settimeout(10)
            assert connection.recv(1000).startswith(b"HTTP/1.1 201 ")
        server.process.wait(10)


@pytest.fixture
def late(core: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets so much time pass that each deadline that runs is over."""
    monotonic, passed = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + passed[0])

    def pass_by() -> None:
        passed[0] += core.models.DEADLINE + 1

    return pass_by


@contextmanager
def hold(executor: ThreadPoolExecutor) -> Iterator[Callable[[], bool]]:
    """Give nobody a thread until the block ends; tells whether somebody waits for one."""
    free, held = threading.Event(), threading.Barrier(executor._max_workers + 1)
    for _ in range(executor._max_workers):
        executor.submit(lambda: held.wait(30) + free.wait(30))
    held.wait(30)
    try:
        yield lambda: executor._work_queue.qsize() > 0
    finally:
        free.set()


def send(client: httpx2.Client, headers: dict[str, str], route: str, post_id: int = 0) -> httpx2.Response:
    if route == "/addPost":
        return client.post(route, json={"text": "more"}, headers=headers)
    if route == "/getPosts":
        return client.get(route, headers=headers)
    return client.delete(f"{route}/{post_id}", headers=headers)


@pytest.mark.parametrize("route", ["/addPost", "/getPosts", "/deletePost"])
def test_a_request_that_waits_too_long_is_503_and_never_begun(
    client: TestClient, core: ModuleType, ada: dict[str, str], late: Callable[[], None], route: str
) -> None:
    post_id = add(client, ada, "before")
    fast = sys.modules.get("extras.fast.commit")
    executors = {"/getPosts": core.models.readers, "/addPost": fast.committer if fast else core.models.writers}
    with ThreadPoolExecutor(1) as sender:
        with hold(executors.get(route, core.models.writers)) as waits:
            answer = sender.submit(send, client, ada, route, post_id)
            wait_until(waits)
            late()
        assert_refused(answer.result(), 503)
    assert texts(client, ada) == ["before"]


def test_a_write_that_takes_too_long_is_503_and_rolled_back(
    client: TestClient, core: ModuleType, ada: dict[str, str], late: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    etag = client.get("/getPosts", headers=ada).headers["etag"]
    with monkeypatch.context() as patch:
        patch.setattr(core.hooks, "on_post", [lambda *_: late()])
        assert_refused(send(client, ada, "/addPost"), 503)
    answer = client.get("/getPosts", headers=ada)
    assert (answer.json(), answer.headers["etag"]) == ([], etag)


def test_an_account_that_is_locked_elsewhere_waits_alone_and_holds_one_thread(
    client: TestClient, core: ModuleType, ada: dict[str, str], bob: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if core.models.SQLITE:
        pytest.skip("SQLite locks no single rows")
    asked, begun, most = [], [], 0
    transact = core.models.transact

    async def on_account(_: object, account: Any) -> None:
        asked.append(account.id)

    def watch(*args: Any) -> Any:
        nonlocal most
        begun.append(args)
        most = max(most, len(begun))
        try:
            return transact(*args)
        finally:
            begun.remove(args)

    monkeypatch.setattr(core.hooks, "on_account", [on_account])
    monkeypatch.setattr(core.models, "transact", watch)
    texts(client, ada)
    with ThreadPoolExecutor(5) as senders:
        with core.models.engine.connect() as connection:
            connection.execute(sa.select(core.User.id).where(core.User.id == asked.pop()).with_for_update())
            answers = [senders.submit(send, client, ada, "/addPost") for _ in range(5)]
            wait_until(lambda: len(asked) == 5)
            for _ in range(10):
                add(client, bob)
            assert len(begun) == 1
        assert {each.result().status_code for each in answers} == {201}
    assert most <= 2  # one of ada's and one of bob's
    assert len(texts(client, ada)) == 5


FORK = """
import os, sys, threading
import app, auth, models
from fastapi.testclient import TestClient
from test_app import add, sign_up, texts

assert threading.active_count() == 1, "the import has started a thread"
auth.SCRYPT = "scrypt$4$8$1"
with models.engine.connect() as connection:
    connection.exec_driver_sql("SELECT 1")
for child in range(4):
    if not os.fork():
        assert models.engine.pool.checkedin() == 0, "a connection has come along"
        with TestClient(app.app) as client:
            for number in range(3):
                headers = sign_up(client)
                for text in "abc":
                    add(client, headers, text)
                    assert texts(client, headers)[0] == text
        os._exit(0)
assert [os.wait()[1] for _ in range(4)] == [0] * 4
"""


def test_processes_that_are_forked_after_the_import_share_no_connection() -> None:
    with new_database() as url:
        environment = {**os.environ, "DATABASE_URL": url}
        done = subprocess.run([sys.executable, "-c", FORK], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@contextmanager
def private_servers(count: int, *options: str) -> Iterator[list[int]]:
    """The ports of so many servers of MariaDB with an empty database `posts` and a user `posts`, who is no admin."""
    if not SERVER.startswith(("mysql", "mariadb")):
        pytest.skip("SQLite has no server")
    if not (shutil.which("mariadbd") and shutil.which("mariadb-install-db")):
        pytest.skip("it needs the programs of MariaDB's server")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        common = ["--no-defaults", f"--user={getpass.getuser()}", "--innodb-log-file-size=8M"]
        install = ["mariadb-install-db", *common, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run([*install, f"--datadir={folder}/0"], check=True, capture_output=True)
        for number in range(1, count):
            shutil.copytree(f"{folder}/0", f"{folder}/{number}")
        ports = []
        for number in range(count):
            with socket.create_server(("127.0.0.1", 0)) as free:
                ports.append(free.getsockname()[1])
            place = [f"--datadir={folder}/{number}", f"--socket={folder}/{number}.sock", f"--port={ports[-1]}"]
            command = ["mariadbd", *common, *place, "--bind-address=127.0.0.1", "--skip-name-resolve", *options]
            server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            running.callback(server.wait, 30)
            running.callback(server.terminate)
        for port in ports:
            wait_until(partial(can_connect, port))
            as_root(port, "CREATE DATABASE posts", "GRANT ALL ON posts.* TO posts@127.0.0.1 IDENTIFIED BY ''")
        yield ports


def can_connect(port: int) -> bool:
    with suppress(sa.exc.OperationalError):
        as_root(port)
        return True
    return False


def as_root(port: int, *statements: str) -> None:
    url = f"mysql+pymysql://root@127.0.0.1:{port}"
    with sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool).connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_after_a_failover_writes_succeed_within_5_seconds_and_show_in_the_lists(core: ModuleType) -> None:
    with private_servers(2) as (old, new):
        proxy = Proxy(("127.0.0.1", old))
        with serve(f"mysql://posts@127.0.0.1:{proxy.port}/posts") as server:
            accounts = [sign_up(server) for _ in range(4)]
            jobs = [adding(headers, "hi") for headers in accounts * 4]
            assert at_once(jobs, str(server.base_url)) == {201: 16}  # on many connections
            for headers in accounts:
                assert texts(server, headers) == ["hi"] * 4
            replicate(core.models.Base.metadata, old, new)
            as_root(old, "SET GLOBAL read_only = 1")
            proxy.target = ("127.0.0.1", new)
            start = time.monotonic()
            wait_until(lambda: send(server, accounts[0], "/addPost").status_code == 201)
            assert time.monotonic() - start < 5
            assert len(texts(server, accounts[0])) == 5
            assert at_once(jobs, str(server.base_url)) == {201: 16}
            assert [len(texts(server, headers)) for headers in accounts] == [9, 8, 8, 8]
        proxy.stop()


def replicate(metadata: sa.MetaData, old: int, new: int) -> None:
    source, target = (sa.create_engine(f"mysql+pymysql://posts@127.0.0.1:{port}/posts") for port in (old, new))
    metadata.create_all(target)
    with source.connect() as reader, target.begin() as writer:
        for table in metadata.sorted_tables:
            if rows := reader.execute(sa.select(table)).mappings().all():
                writer.execute(sa.insert(table), [dict(row) for row in rows])
    source.dispose()
    target.dispose()


def test_mysql_lets_go_of_a_service_whose_host_is_frozen(core: ModuleType) -> None:
    if core.models.SQLITE:
        pytest.skip("of MySQL alone")
    with core.models.engine.connect() as connection:  # and so of its locks
        assert 0 < connection.exec_driver_sql("SELECT @@wait_timeout").scalar_one() <= 60


@pytest.mark.parametrize(
    ("damage", "lacking"),
    [
        ("CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(9))", "(users.created_at, users.email, "),
        ("ALTER TABLE posts RENAME COLUMN text TO words", "(posts.text, posts.words)"),
        ("ALTER TABLE users ADD COLUMN born INTEGER NOT NULL DEFAULT 7", ""),
        ("ALTER TABLE users ADD COLUMN name VARCHAR(9)", ""),
        (
            "CREATE TABLE tokens (id INTEGER, user_id BIGINT, digest TEXT, created_at BIGINT, expires_at BIGINT, "
            "device INTEGER NOT NULL)",
            "(tokens.device)",
        ),
    ],
)
def test_tables_of_another_shape_end_the_start_with_one_line(core: ModuleType, damage: str, lacking: str) -> None:
    with new_database() as url:
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        if damage.startswith("ALTER"):
            core.models.Base.metadata.create_all(engine)
        with engine.begin() as connection:
            connection.exec_driver_sql(damage)
        if not lacking:  # what is there besides can be left out
            with serve(url, EXTRAS=""):
                return
        line = failing_start(DATABASE_URL=url)
        assert lacking in line
        assert "migrations" in line


@pytest.mark.parametrize("replaced", [False, True])
def test_once_its_file_is_gone_each_write_is_503_and_the_log_says_to_restart(tmp_path: Path, replaced: bool) -> None:
    if SERVER.startswith(("mysql", "mariadb")):
        pytest.skip("of SQLite alone")
    with new_database() as url, serve(url) as server:
        file = url.removeprefix("sqlite:///")
        email = new_email()
        headers = sign_up(server, email)
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(tmp_path / "backup")) as backup:
            source.backup(backup)
        os.remove(file)
        if replaced:
            shutil.copy(tmp_path / "backup", file)
        for _ in range(2):
            jobs = [logging_in(email)] + [adding(headers, "hi")] * 8
            assert at_once(jobs, str(server.base_url)) == {503: 9}
        assert len(re.findall("database failure: .+: restart the service", server.log)) == 18


def test_a_file_that_was_moved_away_while_it_was_served_loses_nothing_when_it_is_put_back(tmp_path: Path) -> None:
    if SERVER.startswith(("mysql", "mariadb")):
        pytest.skip("of SQLite alone")
    with new_database() as url:
        file = url.removeprefix("sqlite:///")
        with serve(url) as server:
            headers = sign_up(server)
            for _ in range(5):
                add(server, headers)
            os.rename(file, tmp_path / "away")
            assert at_once([adding(headers, "hi")] * 8, str(server.base_url)) == {503: 8}
            os.rename(tmp_path / "away", file)
            server.process.kill()
        with serve(url) as server:
            assert texts(server, headers) == ["hi"] * 5


@pytest.mark.parametrize("written", [False, True])
def test_a_connection_lost_during_commit_is_503_and_the_log_says_what_that_means(
    client: TestClient,
    core: ModuleType,
    ada: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    written: bool,
) -> None:
    commit = core.models.engine.dialect.do_commit

    def lose(connection: Any) -> None:
        if written:
            commit(connection)
        hang_up(connection)
        commit(connection)

    with monkeypatch.context() as patch:
        patch.setattr(core.models.engine.dialect, "do_commit", lose)
        answer = send(client, ada, "/addPost")
    assert_refused(answer, 503)
    assert "Check whether it was saved" in answer.text
    assert "may have been written" in caplog.text
    assert texts(client, ada) == ["more"] * written


def hang_up(connection: Any) -> None:
    """Cut the driver's connection; the pool may have it, or a cursor."""
    owner = "driver_connection" if hasattr(connection, "driver_connection") else "connection"
    connection = getattr(connection, owner, connection)
    if not hasattr(connection, "_sock"):
        connection.rollback()
        connection.close()
    elif connection._sock:  # or it is cut already
        connection._sock.shutdown(socket.SHUT_RDWR)


def test_a_commit_that_fails_is_503_and_not_written(
    client: TestClient,
    core: ModuleType,
    ada: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(core.models.engine.dialect, "do_commit", partial(fail, core))
        answer = send(client, ada, "/addPost")
    assert_refused(answer, 503)
    assert "nothing was saved" in answer.text
    assert "may have been written" not in caplog.text
    assert texts(client, ada) == []


def fail(core: ModuleType, *_: object) -> None:
    """What a driver says when it cannot do it."""
    raise core.models.engine.dialect.loaded_dbapi.OperationalError(1030, "Got error 28 from storage engine")


@pytest.mark.parametrize("code", [1020, 1205, 1213])
def test_a_write_that_meets_a_conflict_is_run_again_until_its_deadline(
    client: TestClient,
    core: ModuleType,
    ada: dict[str, str],
    late: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    code: int,
) -> None:
    dialect = core.models.engine.dialect
    execute, conflicts = dialect.do_execute, [lambda: None] * 2

    def meet(cursor: Any, statement: str, *args: Any) -> None:
        if "INSERT INTO posts" in statement and conflicts:
            conflicts.pop()()
            raise dialect.loaded_dbapi.OperationalError(code, "Try restarting transaction")
        execute(cursor, statement, *args)

    monkeypatch.setattr(dialect, "do_execute", meet)
    assert send(client, ada, "/addPost").status_code == 201
    assert texts(client, ada) == ["more"]
    conflicts += [late] * 100
    assert_refused(send(client, ada, "/addPost"), 503)
    assert len(conflicts) > 90
    conflicts.clear()
    assert texts(client, ada) == ["more"]


class Faults:
    """Things that happen to the driver at a statement, COMMIT and ROLLBACK among them, or at it and all that follow."""

    def __init__(self, core: ModuleType, late: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
        self.core, self.late = core, late
        self.kind, self.number, self.once, self.statements, self.hit_commit = "", 0, True, 0, False
        dialect = core.models.engine.dialect
        for name in ("do_execute", "do_commit", "do_rollback"):
            monkeypatch.setattr(dialect, name, partial(self.run, name, getattr(dialect, name)))

    @contextmanager
    def at(self, number: int = 0, kind: str = "", once: bool = True) -> Iterator[None]:
        self.kind, self.number, self.once, self.statements, self.hit_commit = kind, number, once, 0, False
        yield
        self.kind = ""

    def run(self, name: str, do: Callable[..., None], target: Any, *args: Any) -> None:
        distance = self.statements - self.number
        self.statements += 1
        if not self.kind or distance < 0 or (distance and self.once):
            return do(target, *args)
        self.hit_commit |= name == "do_commit"
        if self.kind == "refused":
            fail(self.core)
        if self.kind == "lost after":
            do(target, *args)
        if self.kind.startswith("lost"):
            hang_up(target)
        do(target, *args)
        self.late()


# The rows that a request brings and takes away.
CHANGES = {
    "/signup": ["+tokens", "+users"],
    "/login": ["+tokens"],
    "/addPost": ["+posts", "+users", "-users"],
    "/getPosts": [],
    "/deletePost": ["+users", "-posts", "-users"],
}
KINDS = ("refused", "lost before", "lost after", "late")


@pytest.mark.parametrize("route", CHANGES)
def test_at_whatever_statement_the_database_fails_what_was_answered_is_what_is_there(
    client: TestClient, core: ModuleType, late: Callable[[], None], monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    email, bob = new_email(), new_email()
    ada = sign_up(client, email)
    add(client, sign_up(client, bob))
    (user,) = core.models.fetch(sa.select(core.User.id).where(core.User.email == email))
    faults = Faults(core, late, monkeypatch)
    engine = sa.create_engine(core.models.engine.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    database = engine.connect()

    def attempt(*fault: Any) -> tuple[int, list[str]]:
        """The status, and what has changed."""
        post_id = add(client, ada) if route == "/deletePost" else 0
        core.pages.clear()
        if route == "/login":  # or the bound of an account's tokens would be reached
            database.execute(sa.delete(core.models.Token).where(core.models.Token.user_id == user.id))
        before = rows_since(core, database, email)
        with faults.at(*fault):
            if route in {"/signup", "/login"}:
                credentials = {"email": email if route == "/login" else new_email(), "password": PASSWORD}
                status = client.post(route, json=credentials).status_code
            else:
                status = send(client, ada, route, post_id).status_code
        after = rows_since(core, database, email)
        assert not [row for row in before ^ after if bob in row]
        return status, sorted([f"+{row[1]}" for row in after - before] + [f"-{row[1]}" for row in before - after])

    good, changes = attempt()
    assert (good < 300, changes) == (True, CHANGES[route])
    for fault in product(range(faults.statements), KINDS, (True, False)):
        status, changes = attempt(*fault)
        assert status in {good, 503}
        written = status == good or (faults.hit_commit and fault[1] == "lost after")
        assert changes == (CHANGES[route] if written else []), fault
        assert attempt() == (good, CHANGES[route]), fault
    database.close()


def rows_since(core: ModuleType, database: sa.Connection, email: str) -> set[tuple[Any, ...]]:
    """The account's and those of later ones, as another client sees them: whose, of which table, and its values."""
    User, Token, Post = core.models.User, core.models.Token, core.models.Post
    first = sa.select(User.id).where(User.email == email).scalar_subquery()
    queries = {
        "users": sa.select(User.email, User.__table__),
        "tokens": sa.select(User.email, Token.__table__).join_from(User, Token),
        "posts": sa.select(User.email, Post.__table__).join_from(User, Post),
    }
    return {
        (row[0], table, *row[1:])
        for table, query in queries.items()
        for row in database.execute(query.where(User.id >= first))
    }


# The start


def test_the_columns_tell_what_they_mean_on_mysql_too(core: ModuleType) -> None:
    inspector = sa.inspect(core.models.engine)
    for name in ("users", "tokens", "posts"):
        table = core.models.Base.metadata.tables[name]
        assert [each.name for each in table.columns if not each.comment] == [
            column for column in ("user_id", "text") if column in table.columns
        ]
        if core.models.engine.dialect.name == "mysql":  # SQLite has no comments
            assert {c["name"]: c["comment"] for c in inspector.get_columns(name)} == {
                c.name: c.comment for c in table.columns
            }


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "postgresql://ada:geheim@127.0.0.1/posts",
        "sqlite+aiosqlite:///geheim.db",
        "mysql://ada:geheim@127.0.0.1:port/posts",
        "mysql://ada:geheim@127.0.0.1",
        "mysql://ada:ge@heim@127.0.0.1/posts",
    ],
)
def test_a_database_url_that_is_none_ends_the_start(
    core: ModuleType, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    with pytest.raises(SystemExit) as end:
        core.models.make_engine(url)
    assert end.value.code == 3
    assert re.fullmatch("DATABASE_URL is none of .+\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "mysql://ada:geheim@127.0.0.1:port/posts"),
        ("DATABASE_URL", "sqlite:////no/such/folder/blog.db"),
        ("DATABASE_URL", f"sqlite:///{__file__}"),
        ("DATABASE_URL", "mysql://ada:geheim@127.0.0.1:1/posts"),
        ("DATABASE_URL", "mysql://ada:geheim@nowhere.invalid/posts"),
        ("DATABASE_URL", "mysql://ada@127.0.0.1:1/posts?password=geheim&no_such_option=1"),
        ("DATABASE_URL", "mysql://ada:geheim@127.0.0.1:1/posts?ssl_ca=/no/such/file"),
        ("DATABASE_URL", f"mysql://ada:geheim@{'x' * 64}.example/posts"),
        *(("TOKEN_TTL", seconds) for seconds in ("0", "-1", "a day", "1e3", "9999999999")),
    ],
)
def test_a_wrong_setting_ends_the_start_with_one_line(variable: str, value: str) -> None:
    log = failing_start(**{"DATABASE_URL": "sqlite://", variable: value})
    assert variable in log
    assert "geheim" not in log


def failing_start(**environment: str) -> str:
    """What a start prints that fails: one line."""
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", "0"]
    variables = {**os.environ, "EXTRAS": "", **environment}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=30)
    log = done.stdout + done.stderr
    assert done.returncode != 0
    assert len(log.splitlines()) == 1, log
    return log


def test_token_ttl_is_the_lifetime_of_a_token() -> None:
    with serve("sqlite://", TOKEN_TTL="5") as server:
        answer = server.post("/signup", json={"email": new_email(), "password": PASSWORD})
        assert answer.json()["expires_in"] == 5


def test_sqlite_keeps_what_is_committed_and_lets_readers_in(core: ModuleType) -> None:
    if core.models.engine.dialect.name != "sqlite":
        pytest.skip("of SQLite alone")
    with core.models.engine.connect() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys")
        values = [connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() for pragma in pragmas]
    assert values == ["wal", 2, 1]  # 2 is FULL


def test_a_missing_database_ends_the_start_with_one_line() -> None:
    with new_database() as url:
        missing = sa.make_url(url).set(database="/no/blog.db" if url.startswith("sqlite") else "no_such_database")
        assert "DATABASE_URL" in failing_start(DATABASE_URL=missing.render_as_string(hide_password=False))


def test_a_wrong_setting_ends_all_workers() -> None:
    with serve("mysql://ada:geheim@127.0.0.1:1/posts", "--workers", "2", wait=False) as server:
        server.process.wait(30)
        assert not re.search("Traceback|geheim", server.log)


# The door for extras


@with_extras_folder
@pytest.mark.parametrize(
    ("extras", "line"),
    [
        ("no_such_extra", "'no_such_extra' is no extra"),
        (".web", "'.web' is no extra"),
        ("door.good,door.good", "'door.good' is named twice"),
        ("door.needy", "'door.needy' needs 'no_such_package'. Run: pip install -r extras/requirements.txt"),
        ("door.plain", "'door.plain' is no extra"),
        ("door.greedy", "'door.greedy' adds 'DELETE /deletePost/{}', which the core has"),
        ("door.good,door.rival", "'door.rival' adds 'GET /hello', which door.good has"),
    ],
)
def test_a_wrong_extra_ends_the_start_with_one_line(tmp_path: Path, extras: str, line: str) -> None:
    log = failing_start(EXTRAS=extras, PYTHONPATH=str(door(tmp_path)), DATABASE_URL="sqlite://")
    assert log.startswith(f"EXTRAS: {line}")


@with_extras_folder
def test_an_extra_adds_routes_and_tables_of_its_own(tmp_path: Path) -> None:
    with new_database() as url, serve(url, EXTRAS=" door.good ", PYTHONPATH=str(door(tmp_path))) as server:
        assert server.get("/hello").json() == {"visits": 0}
        assert "/hello" in server.get("/openapi.json").json()["paths"]
        assert_refused(server.post("/hello", content=b"x" * 16_385), 413)  # without a word about limits


def door(folder: Path) -> Path:
    """Extras for these tests, importable as `door.NAME` from the folder."""
    add_route = "def setup(app):\n    app.{}(lambda: None)\n"
    files = {
        "needy": "import no_such_package",
        "plain": "",
        "greedy": add_route.format("delete('/deletePost/{id}')"),
        "rival": add_route.format("get('/hello')"),
        "good": """
import sqlalchemy as sa
from fastapi import FastAPI
import models

class Visit(models.Base):
    __tablename__ = "visits"
    id: models.Mapped[int] = models.mapped_column(primary_key=True)

def count() -> int:
    with models.engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(Visit)) or 0

def setup(app: FastAPI) -> None:
    @app.get("/hello")
    async def hello() -> dict[str, int]:
        return {"visits": await models.read(count)}

    @app.post("/hello")
    async def greet(name: dict[str, str]) -> None: ...
""",
    }
    (folder / "door").mkdir()
    for name, text in files.items():
        (folder / "door" / f"{name}.py").write_text(text)
    return folder
