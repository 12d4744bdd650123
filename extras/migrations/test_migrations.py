"""Each test runs `alembic` as a person does, on the kind of database that `DATABASE_URL` names."""

import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from test_app import ROOT, SERVER, new_database, serve

pytest.importorskip("alembic")

FOLDER = Path(__file__).parent
MYSQL = SERVER.startswith(("mysql", "mariadb"))
OUTSIDE = """
import app as core
import models
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

class Note(models.Base):
    __tablename__ = "outside_notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(models.User.id, ondelete="CASCADE"), index=True)

def setup(app):
    open(__file__ + ".was_set_up", "w")
"""


def environment(url: str, **variables: str) -> dict[str, str]:
    mail = {
        "MAIL_URL": "smtp://127.0.0.1:9",
        "MAIL_FROM": "posts@example.com",
        "MAIL_LINK": "https://posts.example.com/",
    }
    return {**os.environ, **mail, "EXTRAS": "", "DATABASE_URL": url, "PYTHONPATH": str(ROOT), **variables}


def run_alembic(
    url: str, *arguments: str, ini: Path | str = FOLDER / "alembic.ini", **variables: str
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "alembic", "-c", str(ini), *arguments]
    return subprocess.run(command, cwd=FOLDER, env=environment(url, **variables), capture_output=True, text=True)


def alembic(url: str, *arguments: str, **options: Any) -> str:
    run = run_alembic(url, *arguments, **options)
    assert run.returncode == 0, run.stderr
    return run.stdout + run.stderr


def create_tables(url: str, **variables: str) -> None:
    """What the start of the app does without this extra."""
    subprocess.run([sys.executable, "-c", "import app"], check=True, cwd=ROOT, env=environment(url, **variables))


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        result = connection.exec_driver_sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []


def schema(url: str) -> dict[str, Any]:
    """All that the database knows of each table but the order of its columns."""
    tables = sa.inspect(sa.create_engine(url, poolclass=sa.NullPool)).get_table_names()
    describe = describe_mysql if MYSQL else describe_sqlite
    return {table: describe(url, table) for table in tables if table != "alembic_version"}


def describe_mysql(url: str, table: str) -> Any:
    implied = r" AUTO_INCREMENT=\d+| CHARACTER SET utf8mb4(?= COLLATE)"  # which MySQL shows once a column was altered
    lines = re.sub(implied, "", query(url, f"SHOW CREATE TABLE {table}")[0][1]).splitlines()
    return sorted(line.rstrip(",") for line in lines)


def describe_sqlite(url: str, table: str) -> Any:
    (sql,) = query(url, f"SELECT sql FROM sqlite_master WHERE name = '{table}'")[0]
    indexes = query(url, f"SELECT name, \"unique\", origin, partial FROM pragma_index_list('{table}')")
    return {
        "columns": sorted(row[1:] for row in query(url, f"PRAGMA table_xinfo({table})")),
        "references": sorted(row[2:] for row in query(url, f"PRAGMA foreign_key_list({table})")),
        "indexes": sorted((*index, *query(url, f"PRAGMA index_xinfo({index[0]})")) for index in indexes),
        "words": re.findall("AUTOINCREMENT|COLLATE|CHECK|GENERATED|STRICT", sql),
    }


def extras_with_tables() -> str:
    files = [file for file in ROOT.glob("extras/**/*.py") if "__tablename__" in file.read_text()]
    parts = {file.relative_to(ROOT / "extras").parts[0] for file in files if not file.name.startswith("test_")}
    return ",".join(sorted(part.removesuffix(".py") for part in parts))


@pytest.fixture
def url() -> Iterator[str]:
    with new_database() as url:
        yield url


@pytest.fixture
def outside(tmp_path: Path) -> dict[str, str]:
    """The environment with an extra from elsewhere that has a table."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/notes.py").write_text(OUTSIDE)
    return {"PYTHONPATH": f"{ROOT}:{tmp_path}"}


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """An alembic.ini whose history goes on with the example."""
    folder = shutil.copytree(FOLDER, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(FOLDER / "example/0004_names.py", folder / "versions")
    ini = folder / "alembic.ini"
    ini.write_text(ini.read_text().replace("%(here)s/../..", str(ROOT)))
    return ini


def add_data(url: str) -> None:
    """Two accounts, the second of which is deleted; and two posts of the first, the second deleted."""
    for user in ("ada", "bob"):
        query(url, f"INSERT INTO users VALUES (NULL, '{user}@example.com', 'scrypt', 2, 1)")
    query(url, "INSERT INTO tokens VALUES (NULL, 1, 'digest', 1, 2)")
    for text in ("Grüße \U0001f600", "gone"):
        query(url, f"INSERT INTO posts VALUES (NULL, 1, 4, 'published', 1, 1, '{text}')")
    query(url, "DELETE FROM users WHERE id = 2")
    query(url, "DELETE FROM posts WHERE id = 2")


def data(url: str) -> list[Any]:
    users = "SELECT id, email, password_hash, posts_version, created_at FROM users"
    return [query(url, statement) for statement in (users, "SELECT * FROM tokens", "SELECT * FROM posts")]


def test_upgrade_makes_the_schema_that_create_tables_makes(url: str, outside: dict[str, str]) -> None:
    extras = ",".join(filter(None, ["elsewhere.notes", extras_with_tables()]))
    alembic(url, "upgrade", "head", EXTRAS=extras, **outside)
    upgraded = schema(url)
    assert {"users", "tokens", "posts", "outside_notes"} <= set(upgraded)
    with new_database() as created:
        create_tables(created, EXTRAS=extras, **outside)
        assert upgraded == schema(created)


def test_upgrade_leaves_nothing_for_autogenerate_to_find(url: str) -> None:
    extras = extras_with_tables()
    alembic(url, "upgrade", "head", EXTRAS=extras)
    assert "No new upgrade operations detected" in alembic(url, "check", EXTRAS=extras)


def test_tables_of_extras_come_with_the_upgrade_that_first_sees_them_and_stay(
    url: str, outside: dict[str, str]
) -> None:
    alembic(url, "upgrade", "head")
    assert "outside_notes" not in schema(url)
    alembic(url, "upgrade", "head", EXTRAS="elsewhere.notes", **outside)
    assert "outside_notes" in schema(url)
    assert not list(Path(outside["PYTHONPATH"].rpartition(":")[2]).glob("**/*.was_set_up"))
    assert "No new upgrade operations detected" in alembic(url, "check")  # with the extra off: no DROP


def test_a_database_made_by_create_tables_is_adopted_with_its_data(url: str) -> None:
    create_tables(url)
    add_data(url)
    before = schema(url), data(url)
    alembic(url, "upgrade", "head")
    assert (schema(url), data(url)) == before
    assert query(url, "SELECT version_num FROM alembic_version") == [("0003",)]


def test_a_database_from_before_the_comments_gets_those_that_create_tables_makes(url: str) -> None:
    create_tables(url, EXTRAS="account")
    add_data(url)
    before = schema(url), data(url)
    assert ("milliseconds since 1970, UTC" in str(before)) == MYSQL
    alembic(url, "upgrade", "head")
    alembic(url, "downgrade", "0001")
    assert "1970" not in str(schema(url))
    alembic(url, "upgrade", "head")
    assert (schema(url), data(url)) == before


def test_a_second_revision_goes_up_and_down_with_data_in_place(url: str, example: Path) -> None:
    alembic(url, "upgrade", "head")
    add_data(url)
    before = schema(url), data(url)
    alembic(url, "upgrade", "head", ini=example)
    assert data(url) == before[1]
    assert query(url, "SELECT name FROM users") == [("",)]
    assert schema(url)["tokens"] == before[0]["tokens"]
    alembic(url, "downgrade", "-1", ini=example)
    assert (schema(url), data(url)) == before


def test_indexes_by_user_become_indexes_by_end_and_back(url: str) -> None:
    alembic(url, "upgrade", "head", EXTRAS="account")
    alembic(url, "downgrade", "0002")
    newer = schema(url)
    alembic(url, "downgrade", "0001")
    older = schema(url)
    assert {table for table in newer if newer[table] != older[table]} == {"tokens", "account_sessions"}
    assert "ix_account_sessions_user_id" in str(older["account_sessions"])
    alembic(url, "upgrade", "0002")
    assert schema(url) == newer


def test_ids_are_never_used_twice_over_a_revision(url: str, example: Path) -> None:
    create_tables(url)
    add_data(url)
    alembic(url, "upgrade", "head", ini=example)
    query(url, "INSERT INTO users VALUES (NULL, 'eve@example.com', 'scrypt', 0, 1, 'Eve')")
    query(url, "INSERT INTO posts VALUES (NULL, 3, 4, 'published', 1, 1, 'new')")
    assert query(url, "SELECT id FROM users") == [(1,), (3,)]
    assert query(url, "SELECT id FROM posts") == [(1,), (3,)]


def test_deleting_an_account_still_deletes_its_rows_after_a_revision(url: str, example: Path) -> None:
    create_tables(url)
    add_data(url)
    alembic(url, "upgrade", "head", ini=example)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("DO 0" if MYSQL else "PRAGMA foreign_keys = ON")
        connection.exec_driver_sql("DELETE FROM users")
    assert data(url) == [[], [], []]


def test_a_revision_that_was_applied_but_not_noted_is_run_again_in_peace(url: str, example: Path) -> None:
    alembic(url, "upgrade", "head", ini=example)
    query(url, "UPDATE alembic_version SET version_num = '0003'")
    before = schema(url)
    alembic(url, "upgrade", "head", ini=example)
    assert schema(url) == before


@pytest.mark.skipif(MYSQL, reason="MySQL cannot roll DDL back")
def test_a_revision_that_fails_leaves_all_as_it_was(url: str, example: Path) -> None:
    create_tables(url)
    add_data(url)
    before = schema(url), data(url)
    revision = example.parent / "versions/0004_names.py"
    revision.write_text(
        revision.read_text().replace("\n\ndef downgrade", "    op.execute('nonsense')\n\n\ndef downgrade")
    )
    with pytest.raises(AssertionError, match="nonsense"):
        alembic(url, "upgrade", "head", ini=example)
    assert (schema(url), data(url)) == before


def test_upgrades_at_the_same_moment_take_turns(url: str, example: Path) -> None:
    create_tables(url)
    add_data(url)
    before = data(url)
    revision = example.parent / "versions/0004_names.py"
    revision.write_text(
        revision.read_text().replace("        with", "        __import__('time').sleep(1)\n        with", 1)
    )
    command = [sys.executable, "-m", "alembic", "-c", str(example), "upgrade", "head"]
    runs = [subprocess.Popen(command, env=environment(url), stderr=subprocess.PIPE, text=True) for _ in range(4)]
    logs = [run.communicate()[1] for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, logs
    assert sum("0003 -> 0004" in log for log in logs) == 1
    assert data(url) == before


def test_downgrade_below_the_first_revision_is_refused(url: str) -> None:
    create_tables(url)
    add_data(url)
    alembic(url, "upgrade", "head")
    before = data(url)
    with pytest.raises(AssertionError, match="drop the database"):
        alembic(url, "downgrade", "base")
    assert data(url) == before


def test_current_and_check_write_nothing(url: str) -> None:
    create_tables(url)
    before = schema(url)
    assert "0003" not in alembic(url, "current")
    assert schema(url) == before


def test_as_an_extra_each_start_upgrades_and_workers_take_turns(url: str) -> None:
    with serve(url, "--workers", "4", EXTRAS="migrations") as server:
        headers = server.account()
        assert server.post("/addPost", json={"text": "hi"}, headers=headers).status_code == 201
        assert server.log.count("schema is now at 0003") == 1
    assert query(url, "SELECT version_num FROM alembic_version") == [("0003",)]


def test_as_an_extra_it_leaves_a_newer_schema_alone(url: str, example: Path) -> None:
    alembic(url, "upgrade", "head", ini=example)
    before = schema(url)
    with serve(url, EXTRAS="migrations") as server:
        server.account()
        assert "the schema is at 0004, which is newer than this code" in server.log
    assert schema(url) == before


@pytest.mark.parametrize("table", ["users", "posts"])
def test_another_programs_database_is_left_as_it_is(url: str, table: str) -> None:
    query(url, f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, user_id INTEGER, status INTEGER)")
    before = schema(url)
    run = run_alembic(url, "upgrade", "head")
    assert (run.returncode, run.stderr.count("\n")) == (3, 3)  # Alembic says two lines before
    with serve(url, wait=False, EXTRAS="migrations") as server:
        assert server.process.wait(30) != 0
        for said in (run.stderr, server.log):
            assert f"cannot be used: its tables are of another program, without {table}.created_at, {table}." in said
    assert schema(url) == before


@pytest.mark.parametrize("versions", ["('ae1027a6acf')", "('ae1'), ('ae2')", "('0001')"])
def test_a_database_that_another_program_migrates_is_left_as_it_is(url: str, versions: str) -> None:
    query(url, "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
    query(url, f"INSERT INTO alembic_version VALUES {versions}")
    before, history = schema(url), query(url, "SELECT * FROM alembic_version")
    with serve(url, wait=False, EXTRAS="migrations") as server:
        assert server.process.wait(30) != 0
        assert "its alembic_version is another program's. Nothing was changed." in server.log
    assert (schema(url), query(url, "SELECT * FROM alembic_version")) == (before, history)


def test_an_extra_that_is_switched_on_has_its_tables_on_a_newer_schema_too(url: str, example: Path) -> None:
    alembic(url, "upgrade", "head", ini=example)
    with serve(url, EXTRAS="migrations,account") as server:
        assert server.get("/sessions", headers=server.account()).status_code == 200


@pytest.mark.skipif(not MYSQL, reason="SQLite has no passwords")
def test_any_password_will_do_that_the_app_takes(url: str) -> None:
    user, password = f"posts_{uuid.uuid4().hex[:12]}", "ключ-ü%"
    whose = sa.make_url(url).set(username=user, password=password)
    with sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool).connect() as root:
        root.execute(sa.text(f"CREATE USER {user}@'%' IDENTIFIED BY :password"), {"password": password})
        root.execute(sa.text(f"GRANT ALL ON `{whose.database}`.* TO {user}@'%'"))
        try:
            alembic(whose.render_as_string(hide_password=False), "upgrade", "head")
        finally:
            root.execute(sa.text(f"DROP USER {user}@'%'"))
    assert query(url, "SELECT version_num FROM alembic_version") == [("0003",)]


AWAY = "mysql://root:secret@127.0.0.1:1/posts" if MYSQL else "sqlite:////nowhere/blog.db"


def test_upgrade_says_in_one_line_that_the_database_is_away() -> None:
    with pytest.raises(AssertionError, match=r"^DATABASE_URL .* cannot be used: .*\n") as error:
        alembic(AWAY, "upgrade", "head")
    assert "secret" not in str(error.value).partition("\n")[0]
    assert "Traceback" not in str(error.value)


def test_as_an_extra_it_ends_the_start_if_the_database_is_away() -> None:
    with serve(AWAY, wait=False, EXTRAS="migrations") as server:
        assert server.process.wait(30) == 3
        assert server.log.count("\n") == 1
        assert "DATABASE_URL" in server.log
        assert "secret" not in server.log
