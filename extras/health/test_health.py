import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from test_app import ROOT, Server, fragile_database, new_database, serve


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    with serve(url, EXTRAS="health") as server:
        yield server


def test_it_is_alive_and_ready(server: Server) -> None:
    assert server.get("/livez").json() == {"status": "alive"}
    assert server.get("/readyz").json() == {"status": "ready"}


def test_probes_are_not_in_the_access_log(server: Server) -> None:
    server.get("/livez")
    server.get("/readyz?x=1")
    server.get("/getPosts")
    assert "GET /getPosts" in server.log
    assert "livez" not in server.log
    assert "readyz" not in server.log


def test_probes_below_a_root_path_are_not_in_it_either(url: str) -> None:
    with serve(url, "--root-path", "/x", EXTRAS="health") as server:
        assert server.get("/livez").status_code == 200
        server.get("/getPosts")
        assert "GET /x/getPosts" in server.log
        assert "livez" not in server.log


def test_probes_stand_in_a_section_of_their_own_in_openapi(server: Server) -> None:
    paths = server.get("/openapi.json").json()["paths"]
    assert paths["/livez"]["get"]["tags"] == paths["/readyz"]["get"]["tags"] == ["Health"]
    assert paths["/getPosts"]["get"]["tags"] == ["Posts"]


def test_a_file_of_sqlite_that_is_gone_is_a_database_that_failed() -> None:
    with new_database() as url, serve(url, EXTRAS="health") as server:
        if not url.startswith("sqlite"):
            pytest.skip("SQLite's")
        server.get("/readyz")
        Path(url.removeprefix("sqlite:///")).unlink()
        answer = server.get("/readyz")
        assert (answer.status_code, answer.json().get("failed")) == (503, "database")


def test_a_missing_column_or_table_is_not_ready_but_alive() -> None:
    with new_database() as url, serve(url, EXTRAS="health") as server:
        engine = sa.create_engine(url)
        for damage in ("ALTER TABLE posts RENAME COLUMN text TO words", "DROP TABLE posts"):
            with engine.begin() as connection:
                connection.exec_driver_sql(damage)
            answer = server.get("/readyz")
            assert (answer.status_code, answer.json()["failed"]) == (503, "schema")
            assert answer.json()["detail"] == "Not ready: the database lacks a table or a column."
            assert answer.headers["Retry-After"]
        assert server.get("/livez").status_code == 200
        engine.dispose()


def test_a_database_that_does_not_answer_is_not_ready_within_two_seconds() -> None:
    with new_database() as url, serve(url, EXTRAS="health") as server:
        if not url.startswith("mysql"):
            pytest.skip("SQLite answers readers while it is locked")
        server.get("/readyz")
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            connection.exec_driver_sql("LOCK TABLES users WRITE")
            start = time.monotonic()
            answer = server.get("/readyz")
            assert (answer.status_code, answer.json()["failed"]) == (503, "database")
            assert time.monotonic() - start < 2
            connection.exec_driver_sql("UNLOCK TABLES")
        engine.dispose()


def test_a_database_that_went_away_is_not_ready_until_it_is_back() -> None:
    with fragile_database() as (url, take_away, bring_back), serve(url, EXTRAS="health") as server:
        for _ in range(2):
            assert server.get("/readyz").json() == {"status": "ready"}
            take_away()
            answer = server.get("/readyz")
            failed = "database" if url.startswith("mysql") else "schema"
            assert (answer.status_code, answer.json()["failed"]) == (503, failed)
            assert server.get("/livez").status_code == 200
            bring_back()


FIND = """
import asyncio, time
import sqlalchemy as sa
import models
from extras import health

def lose(context):
    context.is_disconnect = True

print(health.find_fault())
sa.event.listen(models.engine, "handle_error", lose)
print(health.find_fault())
models.create_tables()
for _ in range(models.THREADS):
    models.readers.submit(time.sleep, 2)
print(asyncio.run(health.find_fault_soon()))
"""


def test_a_lost_connection_is_no_matter_of_the_schema_and_busy_threads_are_no_fault() -> None:
    environment = {**os.environ, "DATABASE_URL": "sqlite://"}
    done = subprocess.run([sys.executable, "-c", FIND], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert done.stdout.split() == ["schema", "database", "None"]


@pytest.mark.parametrize("workers", [1, 4])
def test_after_sigterm_it_is_not_ready_and_serves_on_while_it_drains(url: str, workers: int) -> None:
    with serve(url, "--workers", str(workers), EXTRAS="health", HEALTH_DRAIN="2") as server:
        headers = server.account()
        server.process.terminate()
        while server.get("/readyz").status_code == 200:  # the signal is on its way to the workers
            assert server.process.poll() is None
        answer = server.get("/readyz")
        assert (answer.status_code, answer.json()["failed"]) == (503, "terminating")
        assert server.get("/getPosts", headers=headers).status_code == 200
        assert server.process.wait(20) in {0, -signal.SIGTERM, 128 + signal.SIGTERM}


def test_without_a_drain_it_ends_at_once(url: str) -> None:
    with serve(url, EXTRAS="health") as server:
        start = time.monotonic()
        server.process.terminate()
        server.process.wait(20)
        assert time.monotonic() - start < 2


def test_a_bad_drain_ends_the_start_with_one_line(url: str) -> None:
    with serve(url, wait=False, EXTRAS="health", HEALTH_DRAIN="soon") as server:
        assert server.process.wait(30) == 3
        assert server.log.startswith("HEALTH_DRAIN is")
        assert server.log.count("\n") == 1
