"""What has expired goes: in the background, a step at a time, so that no request waits for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from sqlalchemy import Connection, delete, exc, select

import models

from .tables import Key

EVERY = 60  # seconds
STEP = 200  # keys
PAUSE = 0.1  # seconds between two steps


def clear_some(connection: Connection) -> bool:
    """Whether there may be more."""
    expired = select(Key.id).where(Key.expires_at <= models.now()).order_by(Key.expires_at).limit(STEP)
    ids = connection.scalars(expired).all()
    if ids:
        connection.execute(delete(Key).where(Key.id.in_(ids)))
    return len(ids) == STEP


async def clear() -> None:
    with suppress(exc.SQLAlchemyError):  # the next minute has its own
        more = True
        while more:
            more = await models.write(clear_some, "idempotency")
            await asyncio.sleep(PAUSE)


async def clear_for_ever() -> None:
    while True:
        await clear()
        await asyncio.sleep(EVERY)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    task = asyncio.create_task(clear_for_ever())
    yield
    task.cancel()
