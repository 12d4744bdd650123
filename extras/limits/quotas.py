"""How many posts an account may have, and of how many bytes."""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from fastapi import HTTPException
from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

import models
from models import Post, User


class Usage(models.Base):
    """What an account holds."""

    __tablename__ = "limits_usage"

    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"), unique=True)
    posts: Mapped[int]
    bytes: Mapped[int]


FIND = select(Usage.posts, Usage.bytes).where(Usage.user_id == bindparam("user_id"))
COUNT = select(func.count(), func.coalesce(func.sum(Post.size), 0)).where(Post.user_id == bindparam("user_id"))
KEEP = update(Usage).where(Usage.user_id == bindparam("owner_id"))
MOST_KNOWN = 100_000  # accounts

# Accounts whose total, as it was committed, was found right since the start: before it, the quotas may have been off.
known: set[int] = set()
counted: WeakKeyDictionary[Any, set[int]] = WeakKeyDictionary()  # those whose total a transaction has corrected itself


def check_quota(posts: int | None, size: int | None) -> Callable[[Connection, int, int, int], None]:
    """Exact, as the transaction has locked the account before it asks."""

    def check(connection: Connection, user_id: int, more: int, new: int) -> None:
        count, used = held(connection, user_id)
        if more > 0 and posts is not None and count + more > posts:
            raise HTTPException(403, f"The limit of posts is {posts}, and you have {count}: delete some.")
        if new > 0 and size is not None and used + new > size:
            raise HTTPException(403, f"The limit of bytes is {size}, you have {used}, and this is {new} more.")
        values = {"posts": count + more, "bytes": used + new}
        if not connection.execute(KEEP.values(values), {"owner_id": user_id}).rowcount:
            connection.execute(insert(Usage).values(values | {"user_id": user_id}))

    return check


def held(connection: Connection, user_id: int) -> tuple[int, int]:
    """The posts and bytes of an account: its running total, once that was found right."""
    total = connection.execute(FIND, {"user_id": user_id}).one_or_none()
    if total and user_id in known:
        return total.posts, total.bytes
    count, used = connection.execute(COUNT, {"user_id": user_id}).one()
    here = counted.setdefault(connection.get_transaction(), set())
    if total == (count, used) and user_id not in here:
        if len(known) >= MOST_KNOWN:
            known.clear()
        known.add(user_id)
    here.add(user_id)
    return count, int(used)
