"""Accounts that are given no tokens until they are unlocked."""

from typing import Any

import sqlalchemy as sa
from fastapi import HTTPException
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.orm import Mapped, mapped_column

import models
from auth import log
from models import Time, User


class Lock(models.Base):
    """An account is locked while it has one."""

    __tablename__ = "admin_locks"

    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"), unique=True)
    created_at: Mapped[Time]


# It takes a lock, or a trade of tokens would look at the database as it was before the account was locked.
FIND = select(Lock.id).where(Lock.user_id == bindparam("user_id")).with_for_update(read=True)


def refuse_locked(connection: Connection, user_id: int, _: int) -> dict[str, Any]:
    if connection.execute(FIND, {"user_id": user_id}).first():
        log.warning("login refused account=%d, which is locked", user_id)
        raise HTTPException(403, "This account is locked. Ask whoever runs this service.")
    return {}
