"""One JSON object a line: each request, each event of the service, and uvicorn's own lines.

    EXTRAS=+logs uvicorn app:app

    $ curl -si localhost:8000/getPosts -H "$auth" -H 'X-Request-ID: order-7' | grep -i x-request
    x-request-id: order-7

    {"time": "2026-11-23T09:00:00.125Z", "level": "info", "logger": "access",
     "message": "127.0.0.1 - \\"GET /getPosts HTTP/1.1\\" 200", "request_id": "order-7", "account": 1,
     "client": "127.0.0.1", "method": "GET", "route": "/getPosts", "status": 200, "milliseconds": 1.4, "bytes": 108}
    {"time": "2026-11-23T09:00:01.250Z", "level": "warning", "logger": "posts", "message": "login refused account=1",
     "request_id": "4f1c0f6be2d94c4c8e9b3d1c0f6be2d9"}

(each on one line). Every line has `time`, `level`, `logger` and `message`; all that belongs to one request has its
`request_id`: the client's `X-Request-ID` if that is 1 to 64 letters, digits, dots, dashes and underscores, otherwise a
new one. Each answer says it. `status` is null where the client went before there was an answer, `route` for what is
no operation of the API: files, the page, /docs, an unknown path.

No secret gets in. A request's line has its route's template instead of its path, no query, no header but the id and no
body; an error has its types and the places in the code, without its text, as texts quote what was sent. (What is
written by code of yours, with its own logger, is yours.)

Settings:

- `LOGS_LEVEL`: `debug`, `info` (the default), `warning` or `error`: the least that is written. A request is `info`, one
  that was answered with 5xx is `error`.

Requests go to standard output, all else to standard error, as uvicorn does it, and `--no-access-log` silences the
first. With `--workers`, uvicorn's parent process writes a few lines of its own (started, stopped) and loads no extra:
give it `--log-config extras/logs/uvicorn.json` and they have the same shape. Probes of the extra `health` are not
written. Name this extra after `cors`, whose answers to preflights then have their lines too.
"""

import json
import logging
import os
import re
import time
import traceback
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEVELS = ("debug", "info", "warning", "error")
LOGGERS = {"uvicorn": "uvicorn", "uvicorn.error": "uvicorn", "uvicorn.access": "access", "uvicorn.posts": "posts"}
REQUEST_ID = re.compile("[A-Za-z0-9._-]{1,64}")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
access = logging.getLogger("uvicorn.access")


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from, as a traceback would show them."""
    while error:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def describe(error: BaseException) -> list[dict[str, Any]]:
    """Types and places. The texts stay out: those of SQLAlchemy and Pydantic quote what was sent."""
    return [
        {
            "type": type(each).__qualname__,
            "at": [f"{at.filename}:{at.lineno} {at.name}" for at in traceback.extract_tb(each.__traceback__)],
        }
        for each in chain(error)
    ]


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": LOGGERS.get(record.name, record.name),
            "message": record.getMessage().strip(),
        }
        if belongs_to := request_id.get():
            line["request_id"] = belongs_to
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1]:
            line["error"] = describe(record.exc_info[1])
        return json.dumps(line)  # escapes line breaks, and all that is not ASCII


class Log:
    """Gives each request its id, and writes its line when the answer has been sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        sent = Headers(scope=scope).get("X-Request-ID", "")
        own_id = sent if REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
        request_id.set(own_id)  # uvicorn runs each request in a context of its own
        start, status, size = time.perf_counter(), None, 0

        async def send_counted(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = own_id
            size += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, send_counted)
        finally:
            write_line(scope, status, size, time.perf_counter() - start)


def write_line(scope: Scope, status: int | None, size: int, seconds: float) -> None:
    if not access.hasHandlers():  # --no-access-log; Python would print errors nevertheless
        return
    level = logging.ERROR if status and status >= 500 else logging.INFO
    client = (scope.get("client") or [None])[0]
    method = scope["method"] if re.fullmatch("[A-Z]{1,16}", scope["method"]) else "other"
    route = getattr(scope.get("route"), "path", None)
    fields = {
        "account": scope.get("logs_account"),
        "client": client,
        "method": method,
        "route": route,
        "status": status,
        "milliseconds": round(seconds * 1000, 1),
        "bytes": size,
    }
    # As many arguments as uvicorn's own lines have, so that filters of those hold for these.
    arguments = (client, method, route or "-", scope.get("http_version"), status)
    access.log(level, '%s - "%s %s HTTP/%s" %s', *arguments, extra={"fields": fields})


async def remember(request: Request, account: Any) -> None:
    request.scope["logs_account"] = account.id


def read_level() -> str:
    import models

    level = os.environ.get("LOGS_LEVEL") or "info"
    if level not in LEVELS:
        models.stop(f"LOGS_LEVEL is the least that is written: {', '.join(LEVELS)}.")
    return level.upper()


def setup(app: FastAPI) -> None:
    import models  # here, as uvicorn's parent process takes only the formatter

    level = read_level()
    formatter = JsonFormatter()
    root = logging.getLogger()  # other libraries' warnings
    if not root.handlers:
        root.addHandler(logging.StreamHandler())
    for logger in (root, *map(logging.getLogger, LOGGERS)):
        for handler in logger.handlers:
            handler.setFormatter(formatter)
    for name in LOGGERS:
        logging.getLogger(name).setLevel(level)
    errors = logging.getLogger("uvicorn.error")
    errors.setLevel(max(errors.level, logging.INFO))  # below that, `websockets` writes each header
    errors.addFilter(lambda record: '"WebSocket %s"' not in str(record.msg))  # these have the path and its query,
    access.addFilter(lambda record: hasattr(record, "fields"))  # and so has uvicorn's own line of a request

    models.hooks.on_account.insert(0, remember)  # before those that refuse
    models.hooks.layers.append(Log)
