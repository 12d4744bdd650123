"""How many keys an account has: counted now and then, as to count takes longer than to write one."""

from sqlalchemy import Connection, delete, select

from .tables import Key

KEPT = 10_000  # the newest
SPARE = 1_000  # that there may be besides, as to clear a few at a time takes longer for each
PROCESSES = 8  # that may write for an account without passing that
SHARE = SPARE // 2 // PROCESSES  # that each of them writes before it counts again: no more than half may go unseen
KNOWN = 2**14  # accounts
COUNT = "SELECT COUNT(*) FROM idempotency_keys WHERE user_id ="  # SQLAlchemy's would take longer to make than to run

free: dict[int, int] = {}  # keys that may be written for an account before it is counted again


def make_room(connection: Connection, user_id: int, new: int) -> None:
    """Called once keys were written for this account, which is locked: before, one that is sent again might go."""
    left = free.get(user_id, 0) - new
    if left < 0:
        left = 0 if clear_oldest(connection, user_id) else SHARE  # the transaction may yet be rolled back
    if len(free) > KNOWN:
        free.clear()
    free[user_id] = left


def clear_oldest(connection: Connection, user_id: int) -> bool:
    """Whether there were enough of them to clear."""
    count: int = connection.exec_driver_sql(f"{COUNT} {user_id}").scalar_one()
    if count < KEPT + SPARE // 2:
        return False
    oldest = select(Key.id).where(Key.user_id == user_id).order_by(Key.id).limit(min(count - KEPT, SPARE))
    ids = connection.scalars(oldest).all()
    connection.execute(delete(Key).where(Key.id.in_(ids)))
    return True
