"""What to watch, for Prometheus, at `GET /metrics`; the folder has a Grafana dashboard, `dashboard.json`.

    EXTRAS=+metrics uvicorn app:app

    $ curl -s localhost:8000/metrics | grep -E '^posts_(requests_total|cache)' | grep -v created
    posts_requests_total{method="POST",route="/signup",status="201"} 1.0
    posts_requests_total{method="GET",route="/getPosts",status="200"} 12.0
    posts_cache_hits_total 11.0
    posts_cache_misses_total 1.0
    posts_cache_evictions_total 0.0
    posts_cache_bytes 3021.0

| metric | what it counts |
|---|---|
| `posts_requests_total{method,route,status}` | requests; `route` is the template, `-` for files and the like |
| `posts_request_seconds{method,route}` | their time until the answer is sent, a histogram |
| `posts_requests_in_flight` | those being answered now |
| `posts_bodies_refused_total{route}` | bodies that were too large (413) |
| `posts_logins_failed_total` | logins with a wrong email or password |
| `posts_cache_hits_total`, `posts_cache_misses_total` | lists of posts from the cache, and those that it had not |
| `posts_cache_evictions_total` | lists that left the cache, for newer ones or after 300 seconds |
| `posts_cache_bytes` | what the cache holds, all workers' together; what has expired goes when its worker is asked |
| `posts_pool_connections` | database connections in use |
| `posts_password_hashes` | sign-ups and logins being answered: their password is hashed, or waits for a core |

Several workers: each scrape is answered with the sums over all, by the library's multiprocess mode. Its files stand in
a folder of the temporary directory, or in `PROMETHEUS_MULTIPROC_DIR` if you set it, which no other service may share.
The first worker to start empties it. Under a server that is not uvicorn with `--workers`, set it yourself.

It has no settings of its own. The numbers are no secret of any account's, but not for everybody either: let the proxy
keep /metrics from the outside (`location = /metrics { deny all; }`). Name it after `cors`, whose answers to preflights
are then counted too.

The dashboard: in Grafana, *Dashboards, New, Import*, and choose your Prometheus.
"""

import multiprocessing
import os
import re
import shutil
import tempfile
import time
from collections import Counter
from contextlib import nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response
from sqlalchemy import event
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import app as core
import models

LISTS = {"/getPosts", "/publicPosts/{handle}", "/exportData"}  # which ask the cache
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
locks: list[Any] = []  # open for as long as the process lives


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def own_folder(parent: int) -> Path:
    """That of this parent's workers; those of parents that are gone are removed."""
    name = f"posts-metrics-{os.getuid()}-"
    for folder in Path(tempfile.gettempdir()).glob(f"{name}*"):
        pid = folder.name.removeprefix(name)
        if pid.isdecimal() and not is_alive(int(pid)):  # anybody can make a folder there
            shutil.rmtree(folder, ignore_errors=True)
    folder = Path(tempfile.gettempdir(), f"{name}{parent}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid():
        models.stop(f"{folder} is somebody else's: set PROMETHEUS_MULTIPROC_DIR to a folder of your own.")
    return folder


def share_folder() -> None:
    """Choose the folder in which workers add up, and empty it unless one of them is at work there.

    Whoever uses it holds a shared lock, which ends with the process, however that ends. Must run before the library is
    imported, as that looks for the variable once.
    """
    parent = multiprocessing.parent_process()
    if parent and parent.pid and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(own_folder(parent.pid))
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return
    import fcntl

    path = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        lock = (path / "lock").open("w")
    except OSError as error:
        models.stop(f"PROMETHEUS_MULTIPROC_DIR cannot be used: {error}")
    locks.append(lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass  # another worker is there already
    else:
        for file in path.glob("*.db"):
            file.unlink()
    fcntl.flock(lock, fcntl.LOCK_SH)  # waits for one that empties it


share_folder()

import prometheus_client as prometheus  # noqa: E402
from prometheus_client import multiprocess  # noqa: E402

REQUESTS = prometheus.Counter("posts_requests", "Answered requests", ["method", "route", "status"])
SECONDS = prometheus.Histogram(
    "posts_request_seconds",
    "Time until the answer is sent",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
IN_FLIGHT = prometheus.Gauge("posts_requests_in_flight", "Requests being answered", multiprocess_mode="livesum")
BODIES_REFUSED = prometheus.Counter("posts_bodies_refused", "Bodies that were too large", ["route"])
LOGINS_FAILED = prometheus.Counter("posts_logins_failed", "Logins with a wrong email or password")
HITS = prometheus.Counter("posts_cache_hits", "Lists from the cache")
MISSES = prometheus.Counter("posts_cache_misses", "Lists that the cache had not")
EVICTIONS = prometheus.Counter("posts_cache_evictions", "Lists that left the cache")
CACHE_BYTES = prometheus.Gauge("posts_cache_bytes", "What the cache holds", multiprocess_mode="livesum")
CONNECTIONS = prometheus.Gauge("posts_pool_connections", "Database connections in use", multiprocess_mode="livesum")
HASHES = prometheus.Gauge("posts_password_hashes", "Sign-ups and logins in flight", multiprocess_mode="livesum")

# The look for a metric's labels takes longer than to count.
requests_of = cache(REQUESTS.labels)
seconds_of = cache(SECONDS.labels)


class Measure:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        start, status = time.perf_counter(), 0

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        hashes = scope["method"] == "POST" and scope["path"].endswith(("/signup", "/login"))
        gauges = (IN_FLIGHT, HASHES) if hashes else (IN_FLIGHT,)
        for gauge in gauges:
            gauge.inc()
        try:
            await self.app(scope, receive, send_noted)
        finally:
            for gauge in gauges:
                gauge.dec()
            count(scope, status, time.perf_counter() - start)


def count(scope: Scope, status: int, seconds: float) -> None:
    # Never what a client can choose freely, or it could fill the memory with labels.
    method = scope["method"] if scope["method"] in METHODS else "other"
    route = getattr(scope.get("route"), "path", "-")
    requests_of(method, route, status or "-").inc()  # "-": the client was gone
    seconds_of(method, route).observe(seconds)
    if status == 413:
        BODIES_REFUSED.labels(route).inc()
    if status == 401 and route == "/login":
        LOGINS_FAILED.inc()
    if route in LISTS:
        count_lists(scope)


def count_lists(scope: Scope) -> None:
    """What the cache did since the last time, or what `fast` took from it, which nobody else counts."""
    if scope.get("from_cache"):
        return HITS.inc()
    info = core.page_of_posts.cache_info()
    # Each miss brings a list.
    for counter, now in ((HITS, info.hits), (MISSES, info.misses), (EVICTIONS, info.misses - len(core.pages))):
        counter.inc(max(0, now - seen[counter]))
        seen[counter] = max(now, seen[counter])
    CACHE_BYTES.set(info.currsize)


seen: Counter[prometheus.Counter] = Counter()


def take(_: Any, record: Any, __: Any) -> None:
    record.record_info["counted"] = True
    CONNECTIONS.inc()


def give_back(_: Any, record: Any) -> None:
    if record.record_info.pop("counted", False):  # what cannot be opened comes back without having been taken
        CONNECTIONS.dec()


def watch_pool() -> None:
    pool = models.engine.pool
    event.listen(pool, "checkout", take)
    event.listen(pool, "checkin", give_back)
    event.listen(pool, "detach", give_back)


def forget_the_dead(folder: str) -> None:
    """What ended workers had in flight or in their caches is gone; what they counted stays."""
    for file in Path(folder).glob("gauge_live*.db"):
        pid = int(re.sub("[^0-9]", "", file.stem))
        if not is_alive(pid):
            with suppress(FileNotFoundError):  # another scrape was faster
                multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def expose() -> bytes:
    with core.page_of_posts.cache_lock or nullcontext():
        core.pages.expire()
        CACHE_BYTES.set(core.pages.currsize)
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder:
        return prometheus.generate_latest()
    forget_the_dead(folder)
    registry = prometheus.CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return prometheus.generate_latest(registry)


def setup(app: FastAPI) -> None:
    watch_pool()

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(expose(), headers={"Content-Type": prometheus.CONTENT_TYPE_LATEST})

    models.hooks.layers.append(Measure)
