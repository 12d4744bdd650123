"""The operator's tool, through its command line, beside a running service."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from test_app import PASSWORD, ROOT, Server, new_database, new_email, serve

for package in "ijson", "markdown_it", "nh3", "redis", "rich", "typer":  # those of `limits` and `public`, too
    pytest.importorskip(package)

EXTRAS = "admin,account,editing,idempotency,limits,public"
RATES = {f"LIMITS_{name}": "1000000/minute" for name in ("SIGNUP", "LOGIN", "ATTEMPTS", "GUESSES", "REQUESTS")}
SETTINGS: dict[str, Any] = {"EXTRAS": EXTRAS, "LIMITS_POSTS": "100000", "LIMITS_STORE": "", **RATES}
FAR = 2 * 10**12  # milliseconds: in 2033


# Forks a process for each command, as importing the libraries takes longer than all the rest, and so does the app.
TOOL = """
import json, os, runpy, sys
import fastapi.openapi.utils, sqlalchemy.orm, sqlalchemy.dialects.mysql, pydantic, cachetools, email_validator, pymysql
import fastapi.testclient, ijson, limits.aio.storage, rich.progress, rich.table, typer.rich_utils

if sys.argv[1:]:
    from extras.admin import service
    service.load()
    from extras.admin import access, accounts, check, copying, purge, stats, transfer

for line in sys.stdin:
    arguments, environment, folder = json.loads(line)
    if not os.fork():
        break
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
else:
    sys.exit()
for number, name in enumerate(("in", "out", "error")):
    os.dup2(os.open(f"{folder}/{name}", os.O_RDWR | os.O_CREAT), number)
sys.stdin = open(0)
os.environ.update(environment)
sys.argv = ["", *arguments]
try:
    runpy.run_module("extras.admin", run_name="__main__")
except SystemExit as end:
    sys.stdout.flush()
    os._exit(end.code or 0)  # to take apart what was imported takes longer than the command
"""


@cache
def tool(url: str) -> "subprocess.Popen[str]":
    """For this service, or for none. It ends with this process, which holds the other end of its input."""
    command = [sys.executable, "-c", TOOL, *[url] * bool(url)]
    environment, pipe = {**os.environ, **SETTINGS, "DATABASE_URL": url}, subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True)


def run_tool(
    url: str, arguments: Sequence[str], typed: str = "", settings: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Its exit code, and what it prints to standard output and to standard error."""
    process = tool("" if settings else url)
    environment = {"DATABASE_URL": url, **SETTINGS, **(settings or {})}
    assert process.stdin
    assert process.stdout
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").write_text(typed)
        print(json.dumps([arguments, environment, name]), file=process.stdin, flush=True)
        code = int(process.stdout.readline())
        return code, (folder / "out").read_text(), (folder / "error").read_text()


class Service:
    """A running service, its database, and the operator's tool on it."""

    def __init__(self, url: str, server: Server) -> None:
        self.url, self.server = url, server
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)

    def start(self, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
        """A process of its own, as an operator would."""
        command = [sys.executable, "-m", "extras.admin", *arguments]
        environment = {**os.environ, "DATABASE_URL": self.url, **SETTINGS, **settings}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def run(self, *arguments: str, code: int = 0, typed: str = "", **settings: str) -> str:
        """What it prints, to standard error if it fails; it must end with this exit code."""
        told, out, error = run_tool(self.url, arguments, typed, settings)
        assert told == code, (out, error)
        assert "Traceback" not in error
        return error + out if code else out

    def json(self, *arguments: str, code: int = 0) -> Any:
        told, out, error = run_tool(self.url, [*arguments, "--json"])
        assert told == code, (out, error)
        return json.loads(out)

    def sign_up(self) -> tuple[str, dict[str, str]]:
        """The address of a new account, and its first pair of tokens."""
        email = new_email()
        answer = self.server.post("/signup", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        return email, answer.json()

    def log_in(self, email: str, password: str = PASSWORD) -> httpx2.Response:
        return self.server.post("/login", json={"email": email, "password": password})

    def add(self, pair: dict[str, str], text: str = "hi", **fields: str) -> int:
        answer = self.server.post("/addPost", json={"text": text, **fields}, headers=bearer(pair))
        assert answer.status_code == 201, answer.text
        return int(answer.json()["postID"])

    def posts(self, pair: dict[str, str]) -> Any:
        return self.server.get("/getPosts", headers=bearer(pair)).json()

    def works(self, pair: dict[str, str]) -> bool:
        return self.server.get("/getPosts?limit=1", headers=bearer(pair)).status_code == 200

    def execute(self, *statements: str, **values: Any) -> list[Any]:
        """The rows of the last; no foreign key is looked at."""
        off = "PRAGMA foreign_keys = OFF" if self.engine.dialect.name == "sqlite" else "SET foreign_key_checks = 0"
        with self.engine.connect() as connection:
            connection.exec_driver_sql(off)
            results = [connection.execute(sa.text(statement), values) for statement in statements]
            rows = [tuple(row) for row in results[-1]] if results[-1].returns_rows else []
            connection.commit()
        return rows

    def id_of(self, email: str) -> int:
        ((user_id,),) = self.execute("SELECT id FROM users WHERE email = :email", email=email)
        return int(user_id)

    def count_posts(self, email: str = "") -> int:
        whose = f" WHERE user_id = {self.id_of(email)}" if email else ""
        return int(self.execute(f"SELECT COUNT(*) FROM posts{whose}")[0][0])

    def fill(self, email: str, texts: list[str]) -> None:
        """Posts that are written faster than by requests."""
        columns = "user_id, size, status, created_at, updated_at, text"
        insert = sa.text(f"INSERT INTO posts ({columns}) VALUES (:user, :size, 'draft', :time, :time, :text)")
        user = self.id_of(email)
        rows = [{"user": user, "size": len(text.encode()), "time": n, "text": text} for n, text in enumerate(texts)]
        with self.engine.begin() as connection:
            connection.execute(insert, rows) if rows else None


def bearer(pair: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {pair['access_token']}"}


@contextmanager
def new_service() -> Iterator[Service]:
    with new_database() as url, serve(url, **SETTINGS) as server:
        yield Service(url, server)
        tool(url).communicate()  # it ends
        assert "Traceback" not in server.log


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with new_service() as service:
        yield service


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/copy.db"


def test_accounts_are_listed_in_pages_sorted_and_searched(service: Service) -> None:
    name = new_email().split("@")[0]
    first, second, third = emails = [f"{number}-{name}@example.com" for number in range(3)]
    for email, texts in zip(emails, (["é" * 100], ["a", "b", "c"], []), strict=True):
        service.server.account(email)
        service.fill(email, texts)
    search = "accounts", "--search", name.upper()
    assert [row["email"] for row in service.json(*search)] == [third, second, first]
    assert [row["email"] for row in service.json(*search, "--limit", "1", "--page", "2")] == [second]
    by_size = service.json(*search, "--sort", "size")
    assert [(row["email"], row["bytes"]) for row in by_size] == [(first, 200), (second, 3), (third, 0)]
    by_posts = service.json(*search, "--sort", "posts", "--limit", "1")
    assert [(row["email"], row["posts"]) for row in by_posts] == [(second, 3)]
    assert service.json("accounts", "--search", "%") == []
    assert third in service.run("accounts")


def test_an_account_is_shown_with_its_posts_sessions_and_last_use(service: Service) -> None:
    email, pair = service.sign_up()
    service.log_in(email)
    service.add(pair, "é")
    service.add(pair, "draft", status="draft")
    row = service.json("show", f" {email.upper()} ")
    assert (row["email"], row["posts"], row["bytes"], row["drafts"], row["sessions"]) == (email, 2, 7, 1, 2)
    assert row["last_use"] >= row["created"]
    assert row["locked"] is False
    assert email in service.run("show", email)


@pytest.mark.parametrize("command", ["show", "export", "delete", "set-password", "end-sessions", "lock", "unlock"])
def test_an_account_that_is_not_there_is_exit_code_1_and_one_line(service: Service, command: str) -> None:
    assert service.run(command, "nobody@example.com", code=1) == "There is no account nobody@example.com.\n"


def test_what_is_asked_wrongly_is_exit_code_2(service: Service) -> None:
    assert "not a valid email address" in service.run("show", "nobody", code=2)
    assert "not UTF-8" in service.run("accounts", "--search", "\udcff", code=2)  # the byte 0xff
    assert "--all" in service.run("end-sessions", code=2)
    for every in ("soon", "999999d"):
        assert "30m" in service.run("purge", "--every", every, code=2)


def test_a_created_account_has_the_password_of_standard_input(service: Service) -> None:
    email = new_email()
    assert email in service.run("create", email.upper(), typed="battery staple\n")
    assert service.log_in(email, "battery staple").status_code == 200
    assert "already" in service.run("create", email, typed="another horse\n", code=1)
    assert "8 to 128" in service.run("create", new_email(), typed="short\n", code=2)
    assert service.log_in(email, "another horse").status_code == 401


def test_a_new_password_ends_the_sessions(service: Service) -> None:
    email, pair = service.sign_up()
    _, other = service.sign_up()
    service.run("set-password", email, typed="battery staple\n")
    assert not service.works(pair)
    trade = service.server.post("/refreshToken", json={"refresh_token": pair["refresh_token"]})
    assert trade.status_code == 401
    assert service.log_in(email).status_code == 401
    assert service.log_in(email, "battery staple").status_code == 200
    assert service.works(other)


def test_sessions_end_for_one_account_or_for_all_but_not_unasked(service: Service) -> None:
    email, pair = service.sign_up()
    _, other = service.sign_up()
    assert "--yes" in service.run("end-sessions", email, code=2)
    assert service.works(pair)
    service.run("end-sessions", email, "--yes")
    assert not service.works(pair)
    assert service.works(other)
    again = service.log_in(email).json()
    service.run("end-sessions", "--all", "--yes")
    assert not service.works(again)
    assert not service.works(other)
    assert service.execute("SELECT COUNT(*) FROM account_refresh_tokens") == [(0,)]
    assert service.log_in(email).status_code == 200


def test_a_locked_account_is_told_so_at_its_login_until_it_is_unlocked(service: Service) -> None:
    email, pair = service.sign_up()
    service.add(pair)
    for _ in range(2):
        service.run("lock", email, "--yes")
    assert not service.works(pair)
    trade = service.server.post("/refreshToken", json={"refresh_token": pair["refresh_token"]})
    assert trade.status_code == 401
    refused = service.log_in(email)
    assert (refused.status_code, "locked" in refused.json()["detail"]) == (403, True)
    assert service.log_in(email, "wrong horse").status_code == 401
    assert service.json("show", email)["locked"] is True
    assert service.execute("SELECT COUNT(*) FROM tokens WHERE user_id = :id", id=service.id_of(email)) == [(0,)]
    service.run("set-password", email, typed="battery staple\n")
    assert service.log_in(email, "battery staple").status_code == 403
    service.run("unlock", email)
    assert len(service.posts(service.log_in(email, "battery staple").json())) == 1


def test_a_trade_under_way_when_an_account_is_locked_gives_no_token(service: Service) -> None:
    """The lock alone, as if the trade had read its session before the lock ended that."""
    email, pair = service.sign_up()
    insert = "INSERT INTO admin_locks (user_id, created_at) VALUES (:id, 0)"
    service.execute(insert, id=service.id_of(email))
    trade = service.server.post("/refreshToken", json={"refresh_token": pair["refresh_token"]})
    assert trade.status_code == 403
    assert "locked" in trade.json()["detail"]


def test_the_refusal_of_a_locked_account_is_in_openapi(service: Service) -> None:
    paths = service.server.get("/openapi.json").json()["paths"]
    told = {path for path, methods in paths.items() if "403" in methods.get("post", {}).get("responses", {})}
    assert {"/login", "/refreshToken"} <= told
    assert "/signup" not in told


def test_without_the_extra_on_lock_says_so(service: Service) -> None:
    email, pair = service.sign_up()
    assert "EXTRAS=+admin" in service.run("lock", email, "--yes", code=3, EXTRAS="account")
    assert service.works(pair)


def test_a_renamed_account_keeps_its_password_and_its_sessions(service: Service) -> None:
    email, pair = service.sign_up()
    taken, _ = service.sign_up()
    new = new_email()
    assert "already" in service.run("rename", email, taken, code=1)
    service.run("rename", email, new.upper())
    assert service.works(pair)
    assert service.log_in(email).status_code == 401
    assert service.log_in(new).status_code == 200


def test_a_deleted_account_leaves_nothing_also_if_it_broke_off() -> None:
    with new_service() as service:
        email, pair = service.sign_up()
        other, kept = service.sign_up()
        service.add(kept)
        key = {"Idempotency-Key": "once", **bearer(pair)}
        assert service.server.post("/addPost", json={"text": "hi"}, headers=key).status_code == 201
        service.fill(email, ["x"] * 2000)
        assert "--yes" in service.run("delete", email, code=2)
        process = service.start("delete", email, "--yes")
        while service.count_posts() > 1900:
            time.sleep(0.01)
        process.kill()
        process.wait()
        if service.count_posts() > 1:  # else it was faster
            service.run("delete", email, "--yes")
        assert service.json("check")["ok"]
        assert service.posts(kept) != []
        service.run("delete", other, "--yes")
        assert not service.works(kept)
        tables = set(sa.inspect(service.engine).get_table_names()) - {"sqlite_sequence"}
        counts = {table: service.execute(f"SELECT COUNT(*) FROM {table}")[0][0] for table in tables}
        assert not any(counts.values()), counts


def test_the_export_is_that_of_the_account_itself(service: Service) -> None:
    email, pair = service.sign_up()
    for text in ("nul \0 and 🙂", "x" * 700_000, "y" * 700_000):
        service.add(pair, text)
    there = service.server.get("/exportData", headers=bearer(pair)).json()
    there["sessions"][0]["current"] = False
    assert json.loads(service.run("export", email)) == there
    assert service.json("export", email) == there


@pytest.mark.parametrize("command", ["export", "show"])
def test_a_full_disk_is_exit_code_3_and_one_line(service: Service, command: str) -> None:
    email, _ = service.sign_up()
    environment = {**os.environ, "DATABASE_URL": service.url, **SETTINGS}
    with Path("/dev/full").open("w") as full:
        arguments = [sys.executable, "-m", "extras.admin", command, email]
        done = subprocess.run(arguments, cwd=ROOT, env=environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (3, "It cannot go on: [Errno 28] No space left on device.\n")


def test_an_import_keeps_texts_times_and_order_and_is_exact_when_repeated(service: Service, tmp_path: Path) -> None:
    email, pair = service.sign_up()
    for text in ("nul \0", "🙂\r\n", "twice", "x" * 700_000):
        service.add(pair, text, status="draft")
    export = json.loads(service.run("export", email))
    export["posts"].insert(2, export["posts"][1])  # two posts that are the same in all
    (tmp_path / "export.json").write_text(json.dumps(export))
    new, theirs = service.sign_up()
    service.add(theirs, "of my own")
    for imported in (5, 0):
        told = service.json("import", str(tmp_path / "export.json"), "--as", new)
        assert told == {"email": new, "imported": imported, "there": 5 - imported}
        posts = service.posts(theirs)
        fields = "text", "status", "createdAt", "updatedAt"
        assert [[post[name] for name in fields] for post in posts[:5]] == [
            [post[name] for name in fields] for post in export["posts"]
        ]
        assert [post["text"] for post in posts[5:]] == ["of my own"]
    file = json.dumps(export)
    assert "posts imported: 1, there already: 4" in service.run("import", "-", typed=file)  # the one that was doubled
    assert service.json("check")["ok"]


def test_an_import_that_was_killed_and_two_at_once_write_each_post_once(service: Service, tmp_path: Path) -> None:
    email, pair = service.sign_up()
    texts = [f"{number // 2}" for number in range(8_000)]  # each twice
    post = {"status": "draft", "createdAt": "2020-01-01T00:00:00Z", "updatedAt": "2020-01-01T00:00:00.001Z"}
    export = {"account": {"email": email}, "sessions": [], "posts": [post | {"text": text} for text in texts[::-1]]}
    (tmp_path / "export.json").write_text(json.dumps(export))
    process = service.start("import", str(tmp_path / "export.json"))
    while service.count_posts(email) == 0:
        time.sleep(0.01)
    process.kill()
    process.wait()
    two = [service.start("import", str(tmp_path / "export.json")) for _ in range(2)]
    for process in two:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
    assert [post["text"] for post in service.posts(pair)] == texts[::-1]
    assert service.json("check")["ok"]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ('{"account": {"email": "EMAIL"}, "posts": [{"text": "a", ', "breaks off"),
        ('{"account": {"email": "EMAIL"}, "posts": [POST, {"text": "a"}]}', "Post 2 of the file: status"),
        ('{"account": {"email": "EMAIL"}, "posts": [POST, "a"]}', "Post 2 of the file"),
        ('{"account": {"email": "EMAIL"}, "posts": [OLDEST]}', "Post 1 of the file: createdAt"),
        ('{"account": {"email": "EMAIL"}, "posts": [NEWEST]}', "Post 1 of the file: updatedAt"),
        ('{"posts": [POST]}', "--as EMAIL"),
        ("[]", "no list of posts"),
        ('{"account": {"email": "EMAIL"}}', "no list of posts"),
        ('{"account": {"email": "EMAIL"}, "posts": [' + '{"a": [' * 3000, "too deep"),
        ('{"account": {"email": "EMAIL"}, "posts": [' + "9" * 5000 + "]}", "no JSON"),
    ],
)
def test_a_file_that_is_no_good_imports_nothing(service: Service, file: str, line: str) -> None:
    email, pair = service.sign_up()
    post = '{"text": "b", "status": "draft", "createdAt": "2020-01-01T00:00:00Z", "updatedAt": "2020-01-01T00:00:00Z"}'
    oldest = post.replace("2020-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", 1)
    newest = post.replace('2020-01-01T00:00:00Z"}', '9999-12-31T23:59:59-12:00"}')
    typed = file.replace("EMAIL", email).replace("POST", post).replace("OLDEST", oldest).replace("NEWEST", newest)
    assert line in service.run("import", "-", typed=typed, code=1)
    assert service.posts(pair) == []


def test_a_quota_holds_for_an_import_and_is_right_after_it(service: Service) -> None:
    email, pair = service.sign_up()
    service.add(pair, "first")
    file = service.run("export", email)
    two = file.replace('"posts":[', '"posts":[' + json.dumps(json.loads(file)["posts"][0] | {"text": "second"}) + ",")
    assert "The limit of posts is 1" in service.run("import", "-", typed=two, code=1, LIMITS_POSTS="1")
    service.run("import", "-", typed=two)
    totals = "SELECT posts, bytes FROM limits_usage WHERE user_id = :id"
    assert service.execute(totals, id=service.id_of(email)) == [(2, 11)]


def test_a_large_file_takes_no_more_memory_than_a_small_one(service: Service, tmp_path: Path) -> None:
    small, _ = service.sign_up()
    large, _ = service.sign_up()
    service.fill(small, ["x"])
    service.fill(large, [f"{number}" * 500_000 for number in range(40)])
    peaks = []
    for email in (small, large):
        for arguments in (f"export {email}", f"import {tmp_path / email} --as {small}"):
            code = (
                "import resource, runpy, sys, atexit;"
                "atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr));"
                f"sys.argv = ['', *{arguments.split()!r}]; runpy.run_module('extras.admin', run_name='__main__')"
            )
            environment = {**os.environ, "DATABASE_URL": service.url, **SETTINGS}
            with (tmp_path / (email if "export" in arguments else "told")).open("wb") as out:
                command = [sys.executable, "-c", code]
                done = subprocess.run(command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.PIPE)
            assert done.returncode == 0, done.stderr
            peaks.append(int(done.stderr) / 1024)
    assert (tmp_path / large).stat().st_size > 30_000_000
    assert max(peaks[2:]) < max(peaks[:2]) + 25, peaks  # MB


def test_a_purge_clears_what_has_expired_and_nothing_else(service: Service) -> None:
    email, pair = service.sign_up()
    user_id = service.id_of(email)
    for key in ("old", "new"):
        headers = {"Idempotency-Key": key, **bearer(pair)}
        assert service.server.post("/addPost", json={"text": "hi"}, headers=headers).status_code == 201
    for _ in range(3):
        service.log_in(email)
    whose = {"tokens": f"user_id = {user_id}", "account_sessions": f"user_id = {user_id}"}
    whose["account_refresh_tokens"] = f"session_id IN (SELECT id FROM account_sessions WHERE user_id = {user_id})"
    for table, which in whose.items():
        ((oldest,),) = service.execute(f"SELECT MIN(id) FROM {table} WHERE {which}")
        service.execute(f"UPDATE {table} SET expires_at = 1 WHERE {which} AND id > {oldest}")
    ((oldest,),) = service.execute("SELECT MIN(id) FROM idempotency_keys WHERE user_id = :id", id=user_id)
    service.execute(f"UPDATE idempotency_keys SET expires_at = 1 WHERE id = {oldest}")
    assert service.json("purge") == {**dict.fromkeys(whose, 3), "idempotency_keys": 1}
    assert service.works(pair)
    assert set(service.json("purge").values()) == {0}
    assert service.execute("SELECT COUNT(*) FROM idempotency_keys WHERE user_id = :id", id=user_id) == [(1,)]


def test_after_a_purge_of_expired_refresh_tokens_a_session_still_ends_with_its_access_token(service: Service) -> None:
    email, pair = service.sign_up()
    other = service.log_in(email).json()
    mine = f"session_id IN (SELECT id FROM account_sessions WHERE user_id = {service.id_of(email)})"
    service.execute(f"UPDATE account_refresh_tokens SET expires_at = 1 WHERE {mine}")
    service.run("purge")
    sessions = service.server.get("/sessions", headers=bearer(other)).json()
    assert [session["current"] for session in sessions] == [True, False]
    path = f"/sessions/{sessions[1]['sessionID']}"
    assert service.server.delete(path, headers=bearer(other)).status_code == 204
    assert (service.works(pair), service.works(other)) == (False, True)


def test_a_purge_asks_each_table_of_an_extra_what_is_over(service: Service, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.py").write_text(
        "import models\n"
        "class Note(models.Base):\n"
        "    __tablename__ = 'notes'\n"
        "    __table_args__ = ({'info': {'is_over': lambda table, now: table.c.read_at < now}},)\n"
        "    read_at: models.Mapped[int]\n"
        "def setup(app): pass\n"
    )
    service.execute(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, read_at BIGINT)",
        f"INSERT INTO notes VALUES (1, 5), (2, {FAR}), (3, 5)",
    )
    process = service.start("purge", "--json", EXTRAS="mine.notes", PYTHONPATH=str(tmp_path))
    out, error = process.communicate(timeout=60)
    assert json.loads(out)["notes"] == 2, error
    assert service.execute("SELECT id FROM notes") == [(2,)]
    service.execute("DROP TABLE notes")


def test_a_purge_clears_the_mails_that_went_a_week_ago() -> None:
    mail = {"MAIL_URL": "smtp://127.0.0.1:9", "MAIL_FROM": "posts@example.com", "MAIL_LINK": "https://example.com/"}
    settings = SETTINGS | mail | {"EXTRAS": "mail"}
    columns = "user_id, recipient, kind, language, tries, created_at, due_at, until"
    with new_database() as url:
        with serve(url, **settings) as server:  # which would clear them too
            service = Service(url, server)
            server.account()  # to which one is waiting
        gone = "1, 'x', 'verify', 'en', 1, 1, NULL, 1", f"1, 'y', 'verify', 'en', 1, {FAR}, NULL, 1"
        service.execute(
            *(f"INSERT INTO mail_outbox ({columns}) VALUES ({values})" for values in gone),
            "INSERT INTO mail_asked (digest, created_at) VALUES ('x', 1)",
        )
        told = json.loads(service.run("purge", "--json", **settings))
        assert (told["mail_outbox"], told["mail_asked"]) == (1, 1)
        assert service.execute("SELECT COUNT(*) FROM mail_outbox WHERE recipient <> 'x'") == [(2,)]


def test_a_purge_as_a_service_goes_on_until_it_is_told_to_end(service: Service) -> None:
    process = service.start("purge", "--every", "1s")
    assert process.stdout
    assert [process.stdout.readline() for _ in range(2)] == [process.stdout.readline()] * 2
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (0, "")


def test_check_finds_what_is_wrong_and_repair_mends_it() -> None:
    with new_service() as service:
        _, pair = service.sign_up()
        _, other = service.sign_up()
        first, _, third = (service.add(each, "é\0 text") for each in (pair, pair, other))
        assert service.json("check") == {"ok": True, "wrong": []}
        assert service.run("check") == "All is well.\n"
        tags = [service.server.get("/getPosts", headers=bearer(each)).headers["ETag"] for each in (pair, other)]
        service.execute(
            f"UPDATE posts SET size = 1 WHERE id = {third}",
            "UPDATE users SET posts_version = 5 WHERE id = 1",
            "UPDATE limits_usage SET posts = 77 WHERE user_id = 1",
            "INSERT INTO posts (user_id, size, status, created_at, updated_at, text) VALUES (99, 1, 'draft', 1, 1, '')",
            "UPDATE posts SET text = 'x' WHERE user_id = 99",
            "UPDATE account_sessions SET user_id = 99 WHERE user_id = 2",
            "INSERT INTO public_handles (handle, user_id) VALUES ('gone', 99)",
        )
        found = {each["wrong"]: each["where"] for each in service.json("check", code=1)["wrong"]}
        assert found == {
            "account_sessions of no users": [2],
            "posts of no users": [third + 1],
            "public_handles of no users": [1],
            "posts whose size is not their text's": [third],
            "accounts whose version is older than their posts": [1],
            "accounts whose running total in limits_usage is wrong": [1, 2],
        }
        assert "--yes" in service.run("check", "--repair", code=2)
        assert "1 mended" in service.run("check", "--repair", "--yes")
        assert service.json("check")["ok"]
        for each, tag in zip((pair, other), tags, strict=True):
            assert service.server.get("/getPosts", headers=bearer(each)).headers["ETag"] != tag
        assert sorted(service.execute("SELECT user_id, posts, bytes FROM limits_usage")) == [(1, 2, 16), (2, 1, 8)]
        assert service.execute("SELECT handle, user_id FROM public_handles") == [("gone", None)]
        assert service.works(other)  # its session alone was of nobody
        service.execute(
            f"UPDATE posts SET status = 'public', updated_at = {10**15} WHERE id = {first}",
            "UPDATE users SET password_hash = 'x' WHERE id = 2",
        )
        told = service.json("check", "--repair", "--yes", code=1)
        assert told["wrong"] == [
            {
                "wrong": "accounts whose password hash cannot be used: see set-password",
                "count": 1,
                "mended": 0,
                "where": [2],
            },
            {"wrong": "posts of no known status", "count": 1, "mended": 0, "where": [first]},
            {"wrong": "posts with a time that cannot be shown", "count": 1, "mended": 0, "where": [first]},
        ]
        service.execute(f"UPDATE posts SET text = '', status = 'draft', updated_at = 1 WHERE id = {first}")
        told = service.json("check", "--repair", "--yes", code=1)
        assert {"wrong": "posts without a text", "count": 1, "mended": 0, "where": [first]} in told["wrong"]
        assert service.server.delete(f"/deletePost/{first}", headers=bearer(pair)).status_code == 204
        on = "" if service.engine.dialect.name == "sqlite" else " ON account_sessions"
        service.execute("CREATE INDEX another ON account_sessions (user_id)", f"DROP INDEX ix_account_sessions_end{on}")
        found = {each["wrong"]: each["where"] for each in service.json("check", code=1)["wrong"]}
        assert found["indexes that are missing: see EXTRAS=+migrations"] == ["account_sessions(user_id, expires_at)"]


def test_check_finds_a_damaged_file(service: Service, target: str) -> None:
    email, _ = service.sign_up()
    service.fill(email, ["x" * 10_000] * 200)
    service.run("copy", service.url, target)
    file = Path(target.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(file)) as last:  # which writes what is in the WAL into the file
        last.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = file.read_bytes()
    kept = len(whole) // 8192 * 4096  # the first half of its pages, in which its schema is
    file.write_bytes(whole[:kept] + b"\xff" * (len(whole) - kept))
    assert "damaged: restore a back-up" in service.run("check", code=1, DATABASE_URL=target)


def test_stats_counts_rows_and_bytes_by_day(service: Service) -> None:
    before = service.json("stats", "--days", "2")
    email, pair = service.sign_up()
    service.add(pair, "é")
    service.fill(email, ["old", "older"])  # in 1970
    after = service.json("stats", "--days", "2")
    assert after["tables"]["posts"] - before["tables"]["posts"] == 3
    assert after["text_bytes"] - before["text_bytes"] == 10
    assert after["database_bytes"] > 0
    for name in ("posts", "accounts"):
        assert sum(day[name] for day in after["growth"]) - sum(day[name] for day in before["growth"]) == 1
    assert len(after["growth"]) == 2
    assert "█" in service.run("stats", PYTHONIOENCODING="utf-8")


def everything(url: str) -> dict[str, list[Any]]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    names = set(sa.inspect(engine).get_table_names()) - {"sqlite_sequence"}
    with engine.connect() as connection:
        rows = {name: connection.exec_driver_sql(f"SELECT * FROM {name}").mappings().all() for name in names}
    return {name: sorted(sorted(row.items()) for row in table) for name, table in rows.items()}


def test_a_copy_has_all_rows_and_uses_no_id_twice_there_and_back(target: str) -> None:
    with new_service() as service, new_database() as back:
        email, pair = service.sign_up()
        service.run("delete", service.sign_up()[0], "--yes")
        service.add(pair, "nul \0 and 🙂")
        service.fill(email, [f"{number}" * 300_000 for number in range(9)] + ["x"] * 6000)
        last = service.add(pair)
        service.server.delete(f"/deletePost/{last}", headers=bearer(pair))
        headers = {"Idempotency-Key": "once", **bearer(pair)}
        kept = service.server.post("/addPost", json={"text": "kept"}, headers=headers).json()["postID"]
        service.server.delete(f"/deletePost/{kept}", headers=bearer(pair))
        there = everything(service.url)
        for source, copy in ((service.url, target), (target, back)):
            assert service.json("copy", source, copy)["copied"]["posts"] == 6010
            assert everything(copy) == there
        with serve(back, **SETTINGS) as server:
            assert server.post("/addPost", json={"text": "new"}, headers=bearer(pair)).json()["postID"] == kept + 1
            again = server.post("/addPost", json={"text": "kept"}, headers=headers)
            assert (again.json()["postID"], again.headers["Idempotent-Replayed"]) == (kept, "true")
            assert server.post("/signup", json={"email": new_email(), "password": PASSWORD}).status_code == 201
        assert "not empty" in service.run("copy", service.url, back, code=1)


def test_a_copy_that_broke_off_goes_on_and_one_that_differs_is_told(target: str) -> None:
    with new_service() as service:
        break_off_a_copy(service, target)


def break_off_a_copy(service: Service, target: str) -> None:
    email, _ = service.sign_up()
    service.fill(email, ["x"] * 20)
    service.run("copy", service.url, target)
    there = everything(target)
    source = sa.make_url(re.sub(r"^(mysql|mariadb)(?=:)", r"\1+pymysql", service.url)).render_as_string()
    engine = sa.create_engine(target, poolclass=sa.NullPool)

    def change(*statements: str, **values: str) -> None:
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement), values)

    mark = "CREATE TABLE admin_copy (source VARCHAR(500))", "INSERT INTO admin_copy VALUES (:source)"
    some = "DELETE FROM posts WHERE id > (SELECT MAX(id) - 10 FROM posts)"
    change(*mark, some, "DELETE FROM tokens", source=source)
    assert service.json("copy", service.url, target)["copied"]["posts"] == 10
    assert everything(target) == there
    ((last,),) = service.execute("SELECT MAX(id) FROM posts")
    change(*mark, f"UPDATE posts SET text = 'y' WHERE id = {last}", source=source)
    assert f"posts {last} is not the same" in service.run("copy", service.url, target, code=1)
    service.execute("INSERT INTO public_handles (handle, free_at) VALUES ('ada', 5)")
    change(f"UPDATE posts SET text = 'x' WHERE id = {last}")
    change("INSERT INTO public_handles (id, handle) VALUES (1, 'ada')")
    assert "public_handles 1 is not the same" in service.run("copy", service.url, target, code=1)
    change("UPDATE admin_copy SET source = 'another'")
    assert "another database" in service.run("copy", service.url, target, code=1)
    assert "finish that first" in service.run("copy", target, f"{target}2", code=1)


def test_a_copy_leaves_no_table_behind(service: Service, target: str) -> None:
    assert "idempotency_keys, limits_usage, public_handles" in service.run(
        "copy", service.url, target, code=1, EXTRAS=""
    )


def test_check_finds_times_and_texts_that_cannot_be_shown() -> None:
    with new_service() as service:
        _, pair = service.sign_up()
        post_id = service.add(pair, "x")
        expected = {"accounts with a time that cannot be shown": [1]}
        service.execute("UPDATE users SET created_at = 300000000000000")
        if service.engine.dialect.name == "sqlite":
            service.execute("UPDATE posts SET text = CAST(x'ff' AS TEXT)", "UPDATE users SET created_at = 'soon'")
            expected["posts whose text is not UTF-8"] = [post_id]
        assert {each["wrong"]: each["where"] for each in service.json("check", code=1)["wrong"]} == expected


def test_what_no_repeating_mends_is_not_to_be_repeated(service: Service, tmp_path: Path) -> None:
    junk = tmp_path / "junk.db"
    junk.write_bytes(b"no database" * 500)
    said = service.run("copy", f"sqlite:///{junk}", f"sqlite:///{tmp_path}/copy.db", code=3)
    assert "refuses this: file is not a database." in said
    assert "again" not in said
    nobody = "mysql://nobody@127.0.0.1:9/nothing"
    assert "Run it again" in service.run("copy", service.url, nobody, code=3)


def test_nothing_is_copied_from_or_to_tables_of_another_shape(service: Service, tmp_path: Path) -> None:
    odd, other = f"sqlite:///{tmp_path}/odd.db", f"sqlite:///{tmp_path}/other.db"
    service.run("copy", service.url, odd)
    with sqlite3.connect(tmp_path / "odd.db") as connection:
        connection.executescript("ALTER TABLE users DROP COLUMN created_at; ALTER TABLE posts ADD COLUMN note TEXT")
    shape = "tables are of another program or version (posts.note, users.created_at): see EXTRAS=+migrations"
    assert f"The source's {shape}" in service.run("copy", odd, other, code=1)
    assert f"The target's {shape}" in service.run("copy", service.url, odd, code=1)
    assert not Path(tmp_path / "other.db").exists()


def test_nothing_is_copied_to_tables_of_another_version(service: Service, target: str, tmp_path: Path) -> None:
    service.run("copy", service.url, target)
    other = f"sqlite:///{tmp_path}/other.db"
    version = "CREATE TABLE alembic_version (version_num VARCHAR); INSERT INTO alembic_version VALUES ('%s')"
    for file, number in (("copy.db", "2"), ("other.db", "1")):
        with sqlite3.connect(tmp_path / file) as connection:
            connection.executescript(version % number)
    assert "made by another version" in service.run("copy", target, other, code=1)
    service.run("copy", service.url, other)  # the source's version is unknown
    with sqlite3.connect(tmp_path / "copy.db") as connection:
        connection.execute("DROP TABLE posts")
    assert "The source lacks the tables posts" in service.run("copy", target, f"{other}2", code=1)


def test_a_package_that_is_missing_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "ijson.py").write_text("raise ModuleNotFoundError(name='ijson')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "EXTRAS": "", "DATABASE_URL": ""}
    command = [sys.executable, "-m", "extras.admin", "--help"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stderr == "The tool needs ijson. Run: pip install -r extras/requirements.txt\n"


def test_where_no_database_is_there_none_is_made(service: Service, tmp_path: Path) -> None:
    missing = f"sqlite:///{tmp_path}/missing.db"
    assert "There is no" in service.run("accounts", code=3, DATABASE_URL=missing)
    assert "There is no" in service.run("copy", missing, f"{missing}2", code=3)
    assert "in memory" in service.run("check", code=3, DATABASE_URL="sqlite://")
    assert not list(tmp_path.iterdir())
    assert "purge" in service.run("--help", DATABASE_URL=missing)
    assert "--every" in service.run("purge", "--help", DATABASE_URL=missing)
    with new_database() as empty:
        if empty.startswith("sqlite"):
            Path(empty.removeprefix("sqlite:///")).touch()
        assert "lacks the tables" in service.run("accounts", code=3, DATABASE_URL=empty, EXTRAS="+migrations,fast")
        assert sa.inspect(sa.create_engine(empty, poolclass=sa.NullPool)).get_table_names() == []
