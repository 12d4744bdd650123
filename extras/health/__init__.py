"""Two addresses for load balancers and service managers: is the process alive, and may it be sent requests?

    EXTRAS=+health uvicorn app:app

- `GET /livez`: 200 as long as the process answers. Restart it when it does not; it asks for nothing else, so a database
  that is away restarts nobody.
- `GET /readyz`: 200 if the database answers within a second and has all tables and columns; otherwise 503 and which of
  the two checks failed. 503 too from the moment that SIGTERM came: send no more requests. It has a thread of its own;
  that all connections of the pool are in use for a second counts as no answer.

      $ curl -s localhost:8000/readyz
      {"status":"ready"}
      $ mysqladmin shutdown; curl -s localhost:8000/readyz
      {"detail":"Not ready: the database does not answer.","failed":"database"}

Neither asks for a token, is limited, or stands in the access log.

Settings:

- `HEALTH_DRAIN`, seconds, 0 by default: how long the process serves on after SIGTERM while /readyz says 503, so that
  a load balancer can look away before the port closes. A little more than the time between two of its looks is right;
  the service manager must wait that much longer before it kills. Without --workers a second SIGTERM ends the wait;
  Ctrl+C has none.
"""

import asyncio
import logging
import os
import re
import signal
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any, Literal, cast

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

import models
from extras.description import Refusal

PATIENCE = 1  # seconds for the database to answer
FAULTS = {
    "database": "the database does not answer",
    "schema": "the database lacks a table or a column",
    "terminating": "the process is ending",
}


prober = ThreadPoolExecutor(1, "prober")  # those of the requests may all be busy


class Health(BaseModel):
    status: Literal["alive", "ready"]


class NotReady(Refusal):
    failed: Literal["database", "schema", "terminating"]


def find_fault() -> str | None:
    try:
        with models.engine.connect() as connection:
            connection.execute(sa.select(1))
            try:
                for table in models.Base.metadata.sorted_tables:
                    connection.execute(sa.select(table).where(sa.false()))
            except DBAPIError as error:
                return "database" if error.connection_invalidated else "schema"
    except SQLAlchemyError:  # also of a pool that has none to give, and of a file that is gone
        return "database"
    return None


async def find_fault_soon() -> str | None:
    try:
        async with asyncio.timeout(PATIENCE):
            return await asyncio.get_running_loop().run_in_executor(prober, find_fault)
    except TimeoutError:
        return "database"


def is_no_probe(record: logging.LogRecord) -> bool:
    """Of uvicorn's access log, whose arguments are: client, method, path, version, status."""
    path = record.args[2] if isinstance(record.args, tuple) and len(record.args) == 5 else ""
    return not str(path).partition("?")[0].endswith(("/livez", "/readyz"))  # --root-path comes first


def read_drain() -> int:
    value = os.environ.get("HEALTH_DRAIN") or "0"
    if not re.fullmatch("[0-9]{1,3}", value):
        models.stop("HEALTH_DRAIN is how long to serve on after SIGTERM, in seconds: a whole number from 0 to 999.")
    return int(value)


Handler = Callable[[int, FrameType | None], Any]


def setup(app: FastAPI) -> None:
    drain = read_drain()
    terminating = threading.Event()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if threading.current_thread() is not threading.main_thread():  # where Python takes no signals, as in tests
            yield
            return
        loop = asyncio.get_running_loop()
        stop_server = signal.getsignal(signal.SIGTERM)  # uvicorn's own handler, which it sets before this starts

        def look_away(number: int, frame: FrameType | None) -> None:
            again = terminating.is_set()
            terminating.set()
            if callable(stop_server):
                loop.call_soon_threadsafe(loop.call_later, 0 if again else drain, stop_server, number, frame)

        if callable(stop_server):
            signal.signal(signal.SIGTERM, look_away)
        yield
        signal.signal(signal.SIGTERM, stop_server)

    app.openapi_tags = [*(app.openapi_tags or []), {"name": "Health", "description": "For load balancers"}]
    router = APIRouter(lifespan=lifespan, tags=["Health"])

    @router.get("/livez", summary="Is the process alive?")
    async def livez() -> Health:
        return Health(status="alive")

    @router.get(
        "/readyz",
        summary="May it be sent requests?",
        response_model=Health,
        responses={503: {"description": "Not ready, and why", "model": NotReady}},
    )
    async def readyz() -> Health | JSONResponse:
        fault = "terminating" if terminating.is_set() else await find_fault_soon()
        if not fault:
            return Health(status="ready")
        answer = NotReady(detail=f"Not ready: {FAULTS[fault]}.", failed=cast("Any", fault))
        return JSONResponse(answer.model_dump(), 503, {"Retry-After": "5"})

    app.include_router(router)
    logging.getLogger("uvicorn.access").addFilter(is_no_probe)
