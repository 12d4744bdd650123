"""What has expired or is too much for its account goes: in the background, so no request waits for more than a step."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, delete, func, select

import models
from extras.background import in_background

from .tables import Key

KEPT = 10_000  # the newest of an account
EVERY = 60  # seconds
STEP = 200  # keys
PAUSE = 0.02  # seconds between two steps
SPAN = 100_000  # ids that are looked through at a time for what has expired
WINDOW = 300  # accounts whose keys are counted at a time
AT_ONCE = 10_000  # keys of an account that are found at a time

looked = SimpleNamespace(up_to=0)  # the id at which this process looks for more that has expired


async def clear() -> None:
    while await clear_once():
        pass


async def clear_once() -> bool:
    """Whether there may be more. Each account has its turn, as one may write faster than its oldest keys go."""
    # The oldest; and, as some that last longer may be before others, from where it ended the last time.
    await clear_expired(0)
    looked.up_to = await clear_expired(looked.up_to)
    crowded = await models.read(find_crowded)
    for user_id in crowded:
        surplus = await models.read(find_surplus, user_id)
        for start in range(0, len(surplus), STEP):
            await step(partial(clear_surplus, surplus[start : start + STEP]))
    return bool(crowded)


async def clear_expired(first: int) -> int:
    """From this id on, until there are none in a span of ids; where the next begins, 0 after the last."""
    while start := (await models.read(models.fetch, select(func.min(Key.id)).where(Key.id >= first)))[0][0]:
        first = start + SPAN
        expired = await models.read(find_expired, start, first - 1)
        for each in range(0, len(expired), STEP):
            await step(partial(clear_these, expired[each : each + STEP]))
        if not expired:
            return first
    return 0


def find_expired(first: int, last: int) -> list[int]:
    """Without an index, so in a span of ids."""
    mine = select(Key.id).where(Key.id.between(first, last), Key.expires_at <= models.now())
    return [key_id for (key_id,) in models.fetch(mine)]


def clear_these(ids: list[int], connection: Connection) -> None:
    """But for a newer key that has the id of one that is gone."""
    connection.execute(delete(Key).where(Key.id.in_(ids), Key.expires_at <= models.now()))


async def step(clear_some: Callable[[Connection], None]) -> None:
    await models.write(clear_some, "idempotency")
    await asyncio.sleep(PAUSE)


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
