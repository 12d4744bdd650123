"""What is over goes: in the background, a step at a time, so that no request waits for it."""

import asyncio
from functools import partial

from sqlalchemy import ColumnElement, Connection, delete, select

import models
from extras.background import in_background

from .tables import Asked, Link, Mail, asked_long_ago, done_long_ago

EVERY = 60  # seconds
STEP = 200  # rows
PAUSE = 0.1  # seconds between two steps
Table = type[Mail] | type[Link] | type[Asked]


def clear_some(table: Table, over: ColumnElement[bool], connection: Connection) -> bool:
    """Whether there may be more. Of the oldest, so that it takes no index; most are over in the order of their ids."""
    oldest = connection.execute(select(table.id, over.label("is_over")).order_by(table.id).limit(STEP)).all()
    ids = [row.id for row in oldest if row.is_over]
    if ids:
        connection.execute(delete(table).where(table.id.in_(ids)))
    return len(ids) == STEP


async def clear() -> None:
    now = models.now()
    ends: list[tuple[Table, ColumnElement[bool]]] = [
        (Mail, done_long_ago(Mail.__table__, now)),
        (Link, Link.expires_at <= now),
        (Asked, asked_long_ago(Asked.__table__, now)),
    ]
    for table, over in ends:
        more = True
        while more:
            more = await models.write(partial(clear_some, table, over), "mail")
            await asyncio.sleep(PAUSE)


lifespan = in_background(clear, EVERY)
