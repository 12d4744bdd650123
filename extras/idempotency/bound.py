"""How many keys an account has: counted now and then, as to count takes longer than to write one."""

from threading import Lock

from cachetools import LRUCache
from sqlalchemy import Connection, delete, func, select

from .tables import Key

MOST = 10_000
STEP = 100  # that go at once, the oldest
PROCESSES = 8  # that may write for an account without passing MOST, each a share of what is free

free: LRUCache[int, int] = LRUCache(2**14)  # what may be written for an account before it is counted again
lock = Lock()


def make_room(connection: Connection, user_id: int) -> None:
    """Called once a key was written for this account, which is locked: before, the one that is sent again might go."""
    with lock:
        left = free.get(user_id, 0) - 1
    if left < 0:
        left = max(0, MOST - count_anew(connection, user_id)) // PROCESSES
    with lock:
        free[user_id] = left


def count_anew(connection: Connection, user_id: int) -> int:
    """How many there are, once the oldest of too many are gone."""
    count: int = connection.execute(select(func.count()).where(Key.user_id == user_id)).scalar_one()
    if count <= MOST:
        return count
    oldest = select(Key.id).where(Key.user_id == user_id).order_by(Key.id).limit(STEP)
    ids = connection.scalars(oldest).all()
    connection.execute(delete(Key).where(Key.id.in_(ids)))
    return count - len(ids)
