"""A handle whose account is gone is free after 30 days too, and what is free goes: in the background, in steps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from sqlalchemy import Connection, delete, exc, select, update

import models

from .profile import RESERVED
from .tables import Handle

EVERY = 3600  # seconds
STEP = 200  # handles


def clear_some(connection: Connection) -> bool:
    """Whether there may be more."""
    now = models.now()
    orphans = select(Handle.id).where(Handle.user_id.is_(None), Handle.free_at.is_(None)).limit(STEP)
    left = connection.scalars(orphans).all()
    connection.execute(update(Handle).where(Handle.id.in_(left)).values(free_at=now + RESERVED))
    free = connection.scalars(select(Handle.id).where(Handle.free_at <= now).limit(STEP)).all()
    connection.execute(delete(Handle).where(Handle.id.in_(free), Handle.free_at <= now))
    return STEP in {len(left), len(free)}


async def clear_for_ever() -> None:
    while True:
        with suppress(exc.SQLAlchemyError):  # the next hour has its own
            while await models.write(clear_some, "public"):
                pass
        await asyncio.sleep(EVERY)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    task = asyncio.create_task(clear_for_ever())
    yield
    task.cancel()
