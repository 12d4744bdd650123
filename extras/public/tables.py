"""Handles, which outlive their accounts for a while so that nobody can pass for them, and names, which do not."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

import models
from models import Time, User


class Handle(models.Base):
    """In use while `free_at` is null; until then its last owner alone may take it again."""

    __tablename__ = "public_handles"

    handle: Mapped[str] = mapped_column(sa.String(30), unique=True, comment="in lower case")
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey(User.id, ondelete="SET NULL"), index=True)
    free_at: Mapped[Time | None] = mapped_column(index=True)


class Name(models.Base):
    __tablename__ = "public_names"

    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"), unique=True)
    name: Mapped[str] = mapped_column(sa.String(80))
