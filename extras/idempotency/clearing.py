"""What has expired or is too much for its account goes: in the background, so no request waits for more than a step."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, func, select

import models
from extras.background import in_background

from .tables import Key

R = TypeVar("R")

KEPT = 10_000  # the newest of an account
EVERY = 60  # seconds
STEP = 200  # keys
PAUSE = 0.02  # seconds between two steps
WINDOW = 300  # accounts whose keys are counted at a time
AT_ONCE = 10_000  # keys of an account that are found at a time


async def clear() -> None:
    while await clear_once():
        pass


async def clear_once() -> bool:
    """Whether there may be more. Each account has its turn, as one may write faster than its oldest keys go."""
    while await step(clear_expired):
        pass
    crowded = await models.read(find_crowded)
    for user_id in crowded:
        surplus = await models.read(find_surplus, user_id)
        for start in range(0, len(surplus), STEP):
            await step(partial(clear_surplus, surplus[start : start + STEP]))
    return bool(crowded)


async def step(clear_some: Callable[[Connection], R]) -> R:
    done = await models.write(clear_some, "idempotency")
    await asyncio.sleep(PAUSE)
    return done


def clear_expired(connection: Connection) -> bool:
    """Whether there may be many more; to wait for the last would never end. The oldest first: that takes no index."""
    oldest = connection.execute(select(Key.id, Key.expires_at).order_by(Key.id).limit(STEP)).all()
    expired = [key.id for key in oldest if key.expires_at <= models.now()]
    if expired:
        connection.execute(delete(Key).where(Key.id.in_(expired)))
    return len(expired) > STEP // 2


def find_crowded() -> list[int]:
    """The accounts that have too many."""
    crowded, first = list[int](), 0
    count = select(Key.user_id).group_by(Key.user_id).having(func.count() > KEPT)
    while next_one := models.fetch(select(func.min(Key.user_id)).where(Key.user_id >= first))[0][0]:
        first = next_one + WINDOW
        crowded += [user_id for (user_id,) in models.fetch(count.where(Key.user_id.between(next_one, first - 1)))]
    return crowded


def find_surplus(user_id: int) -> Sequence[Any]:
    """What may go, the oldest first; never one of the newest, however many others clear meanwhile."""
    age = Key.id + 0  # with the plain id MySQL may go through the keys of all accounts
    mine = select(Key.id).where(Key.user_id == user_id)
    newest = mine.order_by(age.desc()).offset(KEPT).limit(1).scalar_subquery()
    oldest = mine.where(Key.id <= newest).order_by(age).limit(AT_ONCE).subquery()
    return models.fetch(select(Key.id, Key.post_id).join(oldest, oldest.c.id == Key.id).order_by(Key.id))


def clear_surplus(keys: Sequence[Any], connection: Connection) -> None:
    """But for a newer key that has the id of one that is gone, as its post is newer."""
    newest_post = max(key.post_id for key in keys)
    connection.execute(delete(Key).where(Key.id.in_([key.id for key in keys]), Key.post_id <= newest_post))


lifespan = in_background(clear, EVERY)
