"""Work beside the requests, which no request waits for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI
from sqlalchemy import exc


async def repeat(work: Callable[[], Awaitable[None]], every: float) -> None:
    while True:
        with suppress(exc.SQLAlchemyError):  # the next time has its own
            await work()
        await asyncio.sleep(every)


def in_background(work: Callable[[], Awaitable[None]], every: float) -> Callable[[FastAPI], Any]:
    """The lifespan of a router during which `work` is done, and again so many seconds after each end."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(repeat(work, every))
        yield
        task.cancel()

    return lifespan
