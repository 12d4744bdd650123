"""How many keys an account has: counted now and then, as to count takes longer than to write one."""

from sqlalchemy import Connection, delete, func, select

from .tables import Key

MOST = 10_000
STEP = 100  # that go at once, the oldest
PROCESSES = 8  # that may write for an account without passing MOST, each a share of what is free
ACCOUNTS = 2**14  # that are remembered

free: dict[int, int] = {}  # what may be written for an account before it is counted again


def make_room(connection: Connection, user_id: int) -> None:
    """Called when a key was written for this account, which is locked."""
    left = free.get(user_id, 0) - 1
    if left < 0:
        left = max(0, MOST - count_anew(connection, user_id)) // PROCESSES
    if len(free) >= ACCOUNTS:
        free.clear()
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
