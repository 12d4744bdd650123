"""How many posts an account may have, and of how many bytes."""

from collections.abc import Callable

from fastapi import HTTPException
from sqlalchemy import Connection, bindparam, func, select

from models import Post

USED = select(func.count(), func.coalesce(func.sum(Post.size), 0)).where(Post.user_id == bindparam("user_id"))


def check_quota(posts: int | None, size: int | None) -> Callable[[Connection, int, int], None]:
    """Exact, as the transaction has locked the account before it asks."""

    def check(connection: Connection, user_id: int, new: int) -> None:
        count, used = connection.execute(USED, {"user_id": user_id}).one()
        if posts is not None and count >= posts:
            raise HTTPException(403, f"You have {count} posts, and no more than {posts} are allowed.")
        if size is not None and used + new > size:
            text = f"This post has {new} bytes and your others have {used}, and no more than {size} are allowed."
            raise HTTPException(403, text)

    return check
