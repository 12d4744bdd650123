"""What has expired goes: in the background, a step at a time, so that no request waits for it."""

import asyncio

from sqlalchemy import Connection, delete, select

import models
from extras.background import in_background

from .tables import Key

EVERY = 60  # seconds
STEP = 200  # keys
PAUSE = 0.1  # seconds between two steps


def clear_some(connection: Connection) -> bool:
    """Whether there may be more. The oldest first, so that it takes no index: the first that is good ends it."""
    oldest = connection.execute(select(Key.id, Key.expires_at).order_by(Key.id).limit(STEP)).all()
    expired = [key.id for key in oldest if key.expires_at <= models.now()]
    if expired:
        connection.execute(delete(Key).where(Key.id.in_(expired)))
    return len(expired) == STEP


async def clear() -> None:
    more = True
    while more:
        more = await models.write(clear_some, "idempotency")
        await asyncio.sleep(PAUSE)


lifespan = in_background(clear, EVERY)
