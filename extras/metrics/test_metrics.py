import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from test_app import ROOT, Server, serve, wait_until

pytest.importorskip("prometheus_client")


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    with serve(url, EXTRAS="fast,metrics") as server:
        yield server


def read(server: Server) -> dict[str, float]:
    text = server.get("/metrics", headers={"Connection": "close"}).text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def requests(metrics: dict[str, float], method: str, route: str, status: int) -> float:
    return metrics.get(f'posts_requests_total{{method="{method}",route="{route}",status="{status}"}}', 0)


def test_requests_are_counted_by_method_route_template_and_status(server: Server) -> None:
    headers = server.account()
    before = read(server)
    for post_id in (901, 902):
        server.delete(f"/deletePost/{post_id}", headers=headers)
    after = read(server)
    assert requests(after, "DELETE", "/deletePost/{postID}", 404) == 2
    count = 'posts_request_seconds_count{method="DELETE",route="/deletePost/{postID}"}'
    assert after[count] - before.get(count, 0) == 2
    assert after["posts_requests_in_flight"] == 1  # the scrape


def test_what_a_client_makes_up_is_no_label(server: Server) -> None:
    server.get("/made-up-path")
    server.request("PROPFIND", "/getPosts")
    text = server.get("/metrics").text
    assert "made-up" not in text
    assert "PROPFIND" not in text
    assert requests(read(server), "GET", "-", 404) >= 1
    assert requests(read(server), "other", "/getPosts", 405) == 1


def test_refused_bodies_and_failed_logins_are_counted(server: Server) -> None:
    before = read(server)
    server.post("/login", json={"email": "nobody@example.com", "password": "wrong horse"})
    server.post("/login", content=b"x" * 20_000)
    after = read(server)
    assert after["posts_logins_failed_total"] - before["posts_logins_failed_total"] == 1
    assert after['posts_bodies_refused_total{route="/login"}'] == 1


def test_the_cache_is_counted(server: Server) -> None:
    headers = server.account()
    before = read(server)
    for _ in range(3):
        server.get("/getPosts", headers=headers)
    server.post("/addPost", json={"text": "x" * 5000}, headers=headers)
    server.get("/getPosts", headers=headers)
    after = read(server)
    assert after["posts_cache_misses_total"] - before["posts_cache_misses_total"] == 2
    assert after["posts_cache_hits_total"] - before["posts_cache_hits_total"] == 2
    assert after["posts_cache_bytes"] - before["posts_cache_bytes"] > 5000
    assert after["posts_cache_evictions_total"] == 0


def test_whoever_asks_the_cache_for_a_list_is_counted_at_once(url: str) -> None:
    with serve(url, EXTRAS="metrics,public,account") as server:
        headers = server.account()
        assert server.put("/profile", json={"handle": "counted"}, headers=headers).status_code == 200
        for path in ("/getPosts", "/publicPosts/counted", "/exportData"):
            before = read(server)
            for _ in range(3):
                assert server.get(path, headers=headers).status_code == 200
            after = read(server)
            assert (
                sum(after[name] - before[name] for name in ("posts_cache_hits_total", "posts_cache_misses_total")) == 3
            )


def test_what_makes_room_in_the_cache_is_counted(server: Server) -> None:
    largest = 2**20  # of the lists that are kept; more than 64 of them are more than the cache holds
    headers = server.account()
    server.post("/addPost", json={"text": "x" * (largest - 100)}, headers=headers)
    server.post("/addPost", json={"text": "y"}, headers=headers)
    for limit in range(2, 70):
        assert server.get(f"/getPosts?limit={limit}", headers=headers).status_code == 200
    after = read(server)
    assert after["posts_cache_evictions_total"] > 0
    assert after["posts_cache_bytes"] <= 2**26


def test_the_pool_and_the_hashers_are_empty_when_nothing_runs(server: Server) -> None:
    credentials = [{"email": f"{number}@example.com", "password": "correct horse"} for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda each: server.post("/signup", json=each), credentials))
    assert {answer.status_code for answer in answers} == {201}
    metrics = read(server)
    assert metrics["posts_pool_connections"] == 0
    assert metrics["posts_password_hashes"] == 0


POOL = """
import sqlite3
import sqlalchemy as sa
import models
from extras import metrics

def connect():
    return opened.pop()

def in_use():
    return metrics.prometheus.REGISTRY.get_sample_value("posts_pool_connections")

opened = [sqlite3.connect(":memory:")]
models.engine = sa.create_engine(
    "sqlite://", creator=connect, poolclass=sa.QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.01
)
metrics.watch_pool()
for attempt in range(2):
    try:
        with models.engine.connect() as connection:
            print(in_use())
            try:
                models.engine.connect()
            except sa.exc.TimeoutError:
                print(in_use())
            connection.invalidate()
    except IndexError:
        print(in_use())
"""


def test_a_connection_that_is_waited_for_or_cannot_be_opened_is_none_in_use() -> None:
    environment = {**os.environ, "DATABASE_URL": "sqlite://"}
    command = [sys.executable, "-c", POOL]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert done.stdout.splitlines() == ["1.0", "1.0", "0.0"]


def test_password_hashes_that_run_are_seen(server: Server) -> None:
    credentials = {"email": "nobody@example.com", "password": "wrong horse"}
    with ThreadPoolExecutor(12) as threads:
        logins = [threads.submit(server.post, "/login", json=credentials) for _ in range(12)]
        most = 0.0
        while not all(login.done() for login in logins):
            most = max(most, read(server)["posts_password_hashes"])
    assert most >= 2


def total(server: Server) -> float:
    return requests(read(server), "GET", "/getPosts", 401)


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def kill_a_worker(server: Server) -> None:
    pid = server.process.pid
    pids = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    workers = [pid for pid in pids if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(workers[0], signal.SIGKILL)
    while is_running(workers[0]):
        pass


def test_four_workers_add_up_also_when_one_dies_and_start_from_nothing(url: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "metrics")
    for _ in range(2):  # the second time the folder has the files of the first
        with serve(url, "--workers", "4", EXTRAS="metrics", PROMETHEUS_MULTIPROC_DIR=folder) as server:
            wait_until(lambda: server.log.count("Application startup complete") == 4)  # or one may start from nothing
            with ThreadPoolExecutor(8) as threads:
                list(threads.map(lambda _: server.get("/getPosts", headers={"Connection": "close"}), range(100)))
            assert total(server) == 100
            kill_a_worker(server)
            assert total(server) == 100
            wait_until(lambda: read(server)["posts_requests_in_flight"] == 1)  # once another's last scrape has ended


def test_four_workers_find_a_folder_by_themselves(url: str, tmp_path: Path) -> None:
    for name in ("x", "9" * 30):
        tmp_path.joinpath(f"posts-metrics-{os.getuid()}-{name}").mkdir()
    with serve(url, "--workers", "4", EXTRAS="metrics", TMPDIR=str(tmp_path)) as server:
        for _ in range(20):
            server.get("/getPosts", headers={"Connection": "close"})
        assert total(server) == 20


def test_a_folder_that_cannot_be_made_ends_the_start_with_one_line(url: str) -> None:
    with serve(url, wait=False, EXTRAS="metrics", PROMETHEUS_MULTIPROC_DIR="/dev/null/x") as server:
        assert server.process.wait(30) == 3
        assert server.log.startswith("PROMETHEUS_MULTIPROC_DIR cannot be used")
        assert server.log.count("\n") == 1


def test_the_dashboard_asks_for_metrics_that_there_are(server: Server) -> None:
    dashboard = json.loads(Path(__file__).with_name("dashboard.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall("posts_[a-z_]+", target["expr"])
    }
    server.post("/login", content=b"x" * 20_000)
    there = {name.partition("{")[0] for name in read(server)}
    assert asked <= there
    assert len(asked) >= 11
