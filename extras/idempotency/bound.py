"""How many keys an account has: counted now and then, as to count takes longer than to write one."""

from sqlalchemy import Connection, delete, func, select

from .tables import Key

KEPT = 10_000  # the newest
SPARE = 1_000  # that there may be besides, as to clear a few at a time takes longer for each
PROCESSES = 8  # that may write for an account without passing that, each a share of what is free
KNOWN = 2**14  # accounts

free: dict[int, int] = {}  # keys that may be written for an account before it is counted again


def make_room(connection: Connection, user_id: int) -> None:
    """Called once a key was written for this account, which is locked: before, the one that is sent again might go."""
    left = free.get(user_id, 0) - 1
    if left < 0:
        left = count_anew(connection, user_id) // PROCESSES
    if len(free) > KNOWN:
        free.clear()
    free[user_id] = left


def count_anew(connection: Connection, user_id: int) -> int:
    """How many more there may be, once the oldest are gone if these are few."""
    count: int = connection.execute(select(func.count()).where(Key.user_id == user_id)).scalar_one()
    if count < KEPT + SPARE // 2:
        return KEPT + SPARE - count
    oldest = select(Key.id).where(Key.user_id == user_id).order_by(Key.id).limit(min(count - KEPT, SPARE))
    ids = connection.scalars(oldest).all()
    connection.execute(delete(Key).where(Key.id.in_(ids)))
    return max(0, KEPT + SPARE - count + len(ids))
