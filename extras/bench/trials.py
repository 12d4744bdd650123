"""The trials. Each takes the server of MySQL ("" for SQLite) and whether to be short, and gives the rows of a table."""

import asyncio
import http.client
import json
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from itertools import product
from typing import Any

import sqlalchemy as sa

import models
from schemas import MAX_ID

from . import floor
from .service import PASSWORD, Server, cores, new_database, seed, serve
from .wrk import Load, load

Row = dict[str, str | float]
ACCOUNTS = 16
NEW_POST = json.dumps({"text": "x" * 200})


def median(loads: list[Load]) -> Load:
    rates, p99s, errors = zip(*loads, strict=True)
    return Load(statistics.median(rates), statistics.median(p99s), sum(errors))


def take_turns(loads: dict[str, Callable[[float], Any]], short: bool) -> dict[str, Load]:
    """The median of each."""
    rounds, seconds = (1, 1) if short else (7, 5)
    for run in loads.values() if not short else ():
        asyncio.run(run(1))  # to warm up
    taken: dict[str, list[Load]] = {name: [] for name in loads}
    for _ in range(rounds):
        for name, run in loads.items():
            taken[name].append(asyncio.run(run(seconds)))
    return {name: median(each) for name, each in taken.items()}


def speed(server: str, short: bool) -> list[Row]:
    # least ratios to the floor, on SQLite and on MySQL
    least = {
        "getPosts": (1.4, 0.8),
        "addPost": (0.6, 0.28),
        "getPosts without fast": (0.2, 0.15),
        "addPost without fast": (0.05, 0.05),
    }
    core, load_core = cores()
    with new_database(server) as engine, ExitStack() as stack:
        readers, writers = seed(engine, ACCOUNTS, 10), seed(engine, ACCOUNTS, 10)
        bare = stack.enter_context(serve(f"{floor.__name__}:app", core=core))
        loads: dict[str, Callable[[float], Any]] = {
            f"bare {kind} route": partial(load, f"{bare.url}/{kind}", readers, core=load_core)
            for kind in ("async", "sync")
        }
        for suffix, extras in {"": "fast", " without fast": ""}.items():
            url = stack.enter_context(serve("app:app", engine, core=core, EXTRAS=extras)).url
            loads[f"getPosts{suffix}"] = partial(load, f"{url}/getPosts", readers, core=load_core)
            loads[f"addPost{suffix}"] = partial(load, f"{url}/addPost", writers, body=NEW_POST, core=load_core)
        medians = take_turns(loads, short)
    base = medians["bare async route"].per_second
    return [
        {
            "route": name,
            "requests/s": round(each.per_second),
            "ratio": round(each.per_second / base, 2),
            "at least": least[name][bool(server)] if name in least else "",
            "p99 ms": round(each.p99, 1),
            "errors": each.errors,
        }
        for name, each in medians.items()
    ]


def metrics(server: str, short: bool) -> list[Row]:
    if not find_spec("prometheus_client"):
        return [{"skipped": "needs prometheus-client: pip install -r extras/requirements.txt"}]
    core, load_core = cores()
    with new_database(server) as engine, ExitStack() as stack:
        tokens = seed(engine, ACCOUNTS, 10)
        services = {
            name: stack.enter_context(serve("app:app", engine, core=core, EXTRAS=extras))
            for name, extras in {"without": "fast", "with": "fast,metrics"}.items()
        }
        loads: dict[str, Callable[[float], Any]] = {
            name: partial(load, f"{service.url}/getPosts", tokens, core=load_core) for name, service in services.items()
        }
        medians = take_turns(loads, short)
    return compare(medians, "getPosts", "metrics", 0.9)


def keys(server: str, short: bool) -> list[Row]:
    core, load_core = cores()
    with new_database(server) as engine, ExitStack() as stack:
        tokens = seed(engine, ACCOUNTS, 10)
        service = stack.enter_context(serve("app:app", engine, core=core, EXTRAS="fast,idempotency"))
        send = partial(load, f"{service.url}/addPost", tokens, body=NEW_POST, core=load_core)
        medians = take_turns({"without": send, "with": partial(send, keyed=True)}, short)
    return compare(medians, "addPost", "a key", 0.85)


def compare(medians: dict[str, Load], route: str, what: str, least: float) -> list[Row]:
    base = medians["without"].per_second
    return [
        {
            route: f"{name} {what}",
            "requests/s": round(each.per_second),
            "ratio": round(each.per_second / base, 2),
            "at least": least if name == "with" else "",
            "p99 ms": round(each.p99, 1),
            "errors": each.errors,
        }
        for name, each in medians.items()
    ]


def curves(server: str, short: bool) -> dict[str, dict[int, Load]]:
    """For the plot: what each route does at 1 to 512 connections."""
    counts, seconds = ([1, 512], 1) if short else ([2**n for n in range(10)], 4)
    core, load_core = cores()
    with new_database(server) as engine, ExitStack() as stack:
        readers, writers = seed(engine, ACCOUNTS, 10), seed(engine, ACCOUNTS, 10)
        bare = stack.enter_context(serve(f"{floor.__name__}:app", core=core)).url
        routes = {"bare async route": (f"{bare}/async", readers, "")}
        for suffix, extras in {"": "fast", " without fast": ""}.items():
            url = stack.enter_context(serve("app:app", engine, core=core, EXTRAS=extras)).url
            routes[f"getPosts{suffix}"] = f"{url}/getPosts", readers, ""
            routes[f"addPost{suffix}"] = f"{url}/addPost", writers, NEW_POST
        taken: dict[str, dict[int, Load]] = {name: {} for name in routes}
        for n, (name, (url, tokens, body)) in product(counts, routes.items()):
            taken[name][n] = asyncio.run(load(url, tokens, seconds, n, body, load_core))
    return taken


def row(what: str, value: float, unit: str = "", limit: float | str = "") -> Row:
    return {"what": what, "value": round(value, 2), "unit": unit, "at most": limit}


def milliseconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - start)


def miss(server: str, short: bool) -> list[Row]:
    columns = ("id", "text", "status", "created_at", "updated_at")
    select = f"SELECT {', '.join(columns)} FROM posts WHERE user_id = 1 ORDER BY id DESC"  # noqa: S608
    with new_database(server) as engine:
        seed(engine, 1, 10_000)
        models.engine = engine
        import app  # makes its tables on that engine

        def build() -> bytes:
            before: int | None = MAX_ID
            parts = []
            while before:
                part, before = app.page_of_posts.__wrapped__(1, 0, "", app.PAGE_POSTS, before)
                parts.append(part)
            return b",".join(parts)

        def raw() -> str:
            connection = engine.raw_connection()
            cursor = connection.cursor()
            cursor.execute(select)
            rows = cursor.fetchall()
            connection.close()
            return json.dumps([dict(zip(columns, row, strict=True)) for row in rows])

        built, by_hand = zip(
            *((milliseconds(build), milliseconds(raw)) for _ in range(5 if short else 40)), strict=True
        )
    ours, theirs = statistics.median(built), statistics.median(by_hand)
    return [
        row("a list of 10,000 posts of 200 bytes", ours, "ms"),
        row("raw SELECT and json.dumps", theirs, "ms"),
        row("ratio", ours / theirs, "", 2.5),
    ]


class Client:
    """One keep-alive connection that takes the time of its requests."""

    def __init__(self, server: Server) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def send(self, method: str, path: str, token: str = "", body: str | None = None) -> tuple[float, Any]:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        start = time.perf_counter()
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        taken = 1000 * (time.perf_counter() - start)
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {content.decode()}")
        return taken, json.loads(content or "null")


def credentials(email: str) -> str:
    return json.dumps({"email": email, "password": PASSWORD})


def growth(server: str, short: bool) -> list[Row]:
    others, rounds = (200, 20) if short else (10_000, 400)
    core, _ = cores()
    with new_database(server) as empty, new_database(server) as full:
        seed(full, others, 100)
        (in_empty,), (in_full,) = seed(empty, 1, 10), seed(full, 1, 10)
        with serve("app:app", empty, core=core) as first, serve("app:app", full, core=core) as second:
            sides = [(Client(first), in_empty, 1), (Client(second), in_full, others + 1)]
            taken: dict[str, tuple[list[float], list[float]]] = {}
            for turn in range(rounds):
                for side, (client, token, account) in enumerate(sides if turn % 2 else sides[::-1]):
                    side = side if turn % 2 else 1 - side
                    add, post = client.send("POST", "/addPost", token, NEW_POST)
                    steps = {"hit": ("GET", "/getPosts"), "delete": ("DELETE", f"/deletePost/{post['postID']}")}
                    times = {"add": add, "miss": client.send("GET", "/getPosts", token)[0]}
                    times |= {name: client.send(*step, token)[0] for name, step in steps.items()}
                    if turn % 10 == 0:
                        body = credentials(f"{account}@example.com")
                        times["login"] = client.send("POST", "/login", body=body)[0]
                    for name, value in times.items():
                        taken.setdefault(name, ([], []))[side].append(value)
    return [
        {
            "request": name,
            "ms, empty": round(statistics.median(before), 2),
            f"ms, {others * 100:,} posts": round(statistics.median(after), 2),
            "ratio": round(statistics.median(after) / statistics.median(before), 2),
            "at most": 1.25,
        }
        for name, (before, after) in sorted(taken.items())
    ]


async def watch_memory(server: Server) -> list[float]:
    """Its memory now and then, in MB, until cancelled."""
    seen = [server.memory()]
    try:
        while True:
            await asyncio.sleep(0.05)
            seen.append(server.memory())
    except asyncio.CancelledError:
        return seen


def head(token: str) -> bytes:
    return f"GET /getPosts HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


async def read_slowly(server: Server, token: str, total: int, seconds: float) -> int:
    """Read a large list at an even pace; returns how many bytes came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**18)
    writer.write(head(token))
    start, got = time.monotonic(), 0
    while got < total:
        chunk = await reader.read(2**18)
        if not chunk:
            break
        got += len(chunk)
        await asyncio.sleep(max(0, start + seconds * got / total - time.monotonic()))
    writer.close()
    return got


async def stall(server: Server, token: str) -> asyncio.StreamWriter:
    """Ask for a large list, and read nothing of it beyond what buffers take."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(head(token))
    return writer


def large(server: str, short: bool) -> list[Row]:
    posts, seconds = (50, 3) if short else (1_000, 60)
    size = 1_000_000
    core, load_core = cores()

    async def trial(service: Server, token: str, others: list[str]) -> list[Row]:
        url = f"{service.url}/getPosts"
        part = seconds / 3
        quiet = await load(url, others, part, core=load_core)
        memory = asyncio.create_task(watch_memory(service))
        slow = [asyncio.create_task(read_slowly(service, token, posts * size, seconds)) for _ in range(4)]
        await asyncio.sleep(0.5)
        busy = await load(url, others, part, core=load_core)
        whole = [got >= posts * size for got in await asyncio.gather(*slow)]
        memory.cancel()
        seen = await memory
        stalled = [await stall(service, token) for _ in range(2 * (2 * models.THREADS + 2))]
        await asyncio.sleep(1)
        client = Client(service)
        client.send("POST", "/addPost", others[0], NEW_POST)
        meanwhile, _ = client.send("GET", "/getPosts", others[0])
        for writer in stalled:
            writer.transport.abort()
        return [
            row(f"slow clients that got all {posts} MB", sum(whole), f"of {len(slow)}"),
            row("memory grew by", max(seen) - seen[0], "MB", 100),
            row("others' p99 when quiet", quiet.p99, "ms"),
            row("others' p99 meanwhile", busy.p99, "ms", round(3 * quiet.p99, 2)),
            row("others' errors", busy.errors, "", 0),
            row(f"a cache miss while {len(stalled)} clients read nothing", meanwhile, "ms"),
        ]

    with new_database(server) as engine:
        (token,) = seed(engine, 1, posts, size)
        others = seed(engine, ACCOUNTS, 10)
        with serve("app:app", engine, core=core) as service:
            asyncio.run(load(f"{service.url}/getPosts", others, 2))
            return asyncio.run(trial(service, token, others))


async def ask(server: Server, request: bytes, connection: Any = None) -> int:
    """The status of one request; 0 if there is no answer."""
    try:
        reader, writer = connection or await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request)
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
        length = next((line[15:] for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
        await reader.readexactly(int(length))
        if not connection:
            writer.close()
        return int(answer[9:12])
    except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
        return 0


def storms(server: str, short: bool) -> list[Row]:
    logins, idle, active, seconds = (10, 100, 50, 2) if short else (50, 1_000, 300, 10)

    async def trial(service: Server, tokens: list[str]) -> list[Row]:
        url = f"{service.url}/getPosts"
        quiet = await load(url, tokens, seconds)
        memory = asyncio.create_task(watch_memory(service))
        readers = asyncio.create_task(load(url, tokens, seconds))
        await asyncio.sleep(0.3)
        body = credentials("1@example.com")
        lines = [
            "POST /login HTTP/1.1",
            "Host: bench",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
        request = "\r\n".join([*lines, "", body]).encode()
        start = time.monotonic()
        statuses = await asyncio.gather(*(ask(service, request) for _ in range(logins)))
        taken = time.monotonic() - start
        busy = await readers
        connections = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(idle)]
        before = [await ask(service, head(tokens[0]), each) for each in connections]
        crowd = await load(url, tokens, seconds, active)
        after = await asyncio.gather(*(ask(service, head(tokens[0]), each) for each in connections))
        memory.cancel()
        for _, writer in connections:
            writer.close()
        return [
            row(f"{logins} logins at once", statuses.count(200), "are 200"),
            row("others of them", statuses.count(503), "are 503"),
            row("neither", logins - statuses.count(200) - statuses.count(503), "", 0),
            row("all of them took", taken, "s"),
            row("readers' p99 when quiet", quiet.p99, "ms"),
            row("readers' p99 meanwhile", busy.p99, "ms", round(3 * quiet.p99, 2)),
            row("memory", max(await memory), "MB", 400),
            row(f"errors of {active} busy connections", crowd.errors, "", 0),
            row(f"errors of {idle} idle ones", 2 * idle - (before + after).count(200), "", 0),
        ]

    with new_database(server) as engine:
        tokens = seed(engine, ACCOUNTS, 10)
        with serve("app:app", engine, "--timeout-keep-alive", "60") as service:
            asyncio.run(load(f"{service.url}/getPosts", tokens, 2))
            return asyncio.run(trial(service, tokens))


def workers(server: str, short: bool) -> list[Row]:
    rounds, seconds = (1, 1) if short else (5, 5)
    rows: list[Row] = []
    with new_database(server) as engine:
        readers, writers = seed(engine, ACCOUNTS, 10), seed(engine, ACCOUNTS, 10)
        with serve("app:app", engine) as one, serve("app:app", engine, "--workers", "2") as two:
            for route, tokens, body in (("getPosts", readers, ""), ("addPost", writers, NEW_POST)):
                taken: tuple[list[Load], list[Load]] = ([], [])
                for _ in range(rounds):
                    for each, service in zip(taken, (one, two), strict=True):
                        each.append(asyncio.run(load(f"{service.url}/{route}", tokens, seconds, 64, body)))
                alone, both = (median(each).per_second for each in taken)
                rows.append(
                    {
                        "route": route,
                        "one worker/s": round(alone),
                        "two workers/s": round(both),
                        "ratio": round(both / alone, 2),
                        "at least": 1.7,
                    }
                )
    return rows


def database_version(server: str) -> str:
    with new_database(server) as engine, engine.connect() as connection:
        sqlite = engine.dialect.name == "sqlite"
        version = connection.execute(sa.text(f"SELECT {'sqlite_version' if sqlite else 'version'}()")).scalar_one()
        return f"SQLite {version}" if sqlite else str(version)
