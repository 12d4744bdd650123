"""A handle whose account is gone is free after 30 days too, and what is free goes: in the background, in steps."""

from sqlalchemy import Connection, delete, select, update

import models
from extras.background import in_background

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


async def clear() -> None:
    while await models.write(clear_some, "public"):
        pass


lifespan = in_background(clear, EVERY)
