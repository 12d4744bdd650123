"""The door: it switches on what `EXTRAS` names, in that order.

`EXTRAS=web,account` switches on exactly these, `EXTRAS=+account` adds to the default ones, `EXTRAS=` is none. An extra
is a folder `extras/NAME/` with a function `setup(app)`; a name with a dot is any importable module that has one.
"""

import asyncio
import importlib
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import cast

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models import MEMORY, engine, hooks, stop, writers

from .description import describe, introduce


def names_of_extras(default: str) -> list[str]:
    setting = os.environ.get("EXTRAS", "+").strip()
    return re.findall(r"[^,\s+]+", f"{default},{setting[1:]}" if setting.startswith("+") else setting)


def routes_of(app: FastAPI) -> Counter[str]:
    """How many routes answer to each `METHOD /path`; the names of path parameters make no difference."""
    return Counter(
        f"{method} {re.sub(r'{[^}]*}', '{}', route.path or '')}"
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ["*"]
    )


def find_setup(name: str) -> Callable[[FastAPI], None]:
    """`setup` of `extras/NAME`, or of any importable module if the name has a dot; ends the start if there is none."""
    module = name if "." in name.strip(".") else f"extras.{name}"
    setup = None
    try:
        setup = getattr(importlib.import_module(module), "setup", None)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            stop(f"EXTRAS: '{name}' needs '{error.name}'. Run: pip install -r extras/requirements.txt")
    if not setup:
        files = Path(__file__).parent.glob("*/__init__.py")
        known = sorted(file.parent.name for file in files if "\ndef setup(" in file.read_text("utf-8"))
        stop(f"EXTRAS: '{name}' is no extra. There are: {', '.join(known)}; or a.module that has setup(app).")
    return cast("Callable[[FastAPI], None]", setup)


def load(app: FastAPI, default: str) -> None:
    """Call each extra's `setup(app)`; whatever is wrong ends the start with one line."""
    if "app" not in sys.modules:  # as after `python app.py`
        stop("Run: uvicorn app:app")
    introduce(app)
    names = names_of_extras(default)
    owners = dict.fromkeys(routes_of(app), "the core")
    for name in names:
        if names.count(name) > 1:
            stop(f"EXTRAS: '{name}' is named twice. A + before the first adds to these: {default}.")
        find_setup(name)(app)
        for route, count in routes_of(app).items():
            if count > 1:
                stop(f"EXTRAS: '{name}' adds '{route}', which {owners.get(route, name)} has. Leave one of them out.")
            owners.setdefault(route, name)
    describe(app)
    if not MEMORY:
        app.router.on_shutdown.append(close)
    hooks.layers.insert(0, refuse_line_feeds)
    hooks.layers.append(end_upgraded)


async def close() -> None:
    """After the write that is at work. SIGTERM lets Python close nothing: SQLite's WAL would stay beside its file."""
    await asyncio.get_running_loop().run_in_executor(writers, engine.dispose)


def refuse_line_feeds(stack: ASGIApp) -> ASGIApp:
    """Starlette's patterns take `/login%0A` for /login, where `limits` would count nothing."""
    unknown = JSONResponse({"detail": "Not Found"}, 404)

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        await (unknown if scope.get("path", "").endswith("\n") else stack)(scope, receive, send)

    return choose


def end_upgraded(stack: ASGIApp) -> ASGIApp:
    """What another layer answers after Upgrade is the last of its connection too, as the core's guard has it."""

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start" and (b"connection", b"close") not in message["headers"]:
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await stack(scope, receive, send_last if b"upgrade" in dict(scope.get("headers", [])) else send)

    return choose
