"""The keys that were used. One index is all it has, as each is one more page to write for each key."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

import models
from models import Time, User


class Key(models.Base):
    __tablename__ = "idempotency_keys"
    # Nobody is told an id, so one whose row is gone may come again: SQLite is quicker so. The newest is the highest.
    __table_args__ = (
        sa.UniqueConstraint("user_id", "digest"),
        {**models.Base.__table_args__[0], "sqlite_autoincrement": False},
    )

    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"))
    digest: Mapped[bytes] = mapped_column(sa.BINARY(32))  # SHA-256 of account and key; the key itself is nowhere
    body: Mapped[bytes] = mapped_column(sa.BINARY(32))  # of what was posted, with the key, or it could be guessed
    post_id: Mapped[int]  # which may be gone
    expires_at: Mapped[Time]
