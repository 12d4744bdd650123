"""The keys that were used."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

import models
from models import User


class Key(models.Base):
    __tablename__ = "idempotency_keys"
    __table_args__ = (sa.UniqueConstraint("user_id", "number"), models.TABLE)

    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"))
    number: Mapped[int]  # 1, 2, 3 and so on in each account
    digest: Mapped[str] = mapped_column(sa.CHAR(64), unique=True)  # of account and key; the key itself is nowhere
    body: Mapped[str] = mapped_column(sa.CHAR(64))  # digest of what was posted, with the key, or it could be guessed
    post_id: Mapped[int]  # which may be gone
    expires_at: Mapped[int] = mapped_column(index=True)
