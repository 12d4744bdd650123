"""How many posts an account may have, and of how many bytes."""

from collections.abc import Callable

import sqlalchemy as sa
from fastapi import HTTPException
from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

import models
from models import Post, User


class Usage(models.Base):
    """What an account holds; good while no post was written without it, as when the quotas were off."""

    __tablename__ = "limits_usage"

    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"), unique=True)
    posts_version: Mapped[int]  # of the account, when this was right
    posts: Mapped[int]
    bytes: Mapped[int]


FIND = (
    select(User.posts_version, Usage.posts, Usage.bytes)
    .join_from(User, Usage, (Usage.user_id == User.id) & (Usage.posts_version == User.posts_version - 1), isouter=True)
    .where(User.id == bindparam("user_id"))
)
COUNT = select(func.count(), func.coalesce(func.sum(Post.size), 0)).where(Post.user_id == bindparam("user_id"))
KEEP = update(Usage).where(Usage.user_id == bindparam("owner_id"))


def check_quota(posts: int | None, size: int | None) -> Callable[[Connection, int, int, int], None]:
    """Exact, as the transaction has locked the account, and raised its version, before it asks."""

    def check(connection: Connection, user_id: int, more: int, new: int) -> None:
        version, count, used = connection.execute(FIND, {"user_id": user_id}).one()
        if count is None:
            count, used = connection.execute(COUNT, {"user_id": user_id}).one()
        if more > 0 and posts is not None and count + more > posts:
            raise HTTPException(403, f"You have {count} posts, and no more than {posts} are allowed.")
        if new > 0 and size is not None and used + new > size:
            raise HTTPException(403, f"You have {used} bytes, this is {new} more, and no more than {size} are allowed.")
        values = {"posts_version": version, "posts": count + more, "bytes": used + new}
        if not connection.execute(KEEP.values(values), {"owner_id": user_id}).rowcount:
            connection.execute(insert(Usage).values(values | {"user_id": user_id}))

    return check
