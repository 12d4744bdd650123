"""The sessions and the refresh tokens."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

import models
from models import User

GRACE = 5_000  # milliseconds


class Session(models.Base):
    __tablename__ = "account_sessions"
    __table_args__ = (sa.Index("ix_account_sessions_end", "user_id", "expires_at"), models.TABLE)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"))
    created_at: Mapped[int]
    last_used_at: Mapped[int]
    expires_at: Mapped[int]  # when the last of its tokens does


class RefreshToken(models.Base):
    """A used one is kept until it would expire, to be recognised."""

    __tablename__ = "account_refresh_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[int] = mapped_column(sa.ForeignKey(Session.id, ondelete="CASCADE"), index=True)
    token_id: Mapped[int] = mapped_column(index=True)  # the access token of the pair, whose row may be gone
    digest: Mapped[str] = mapped_column(sa.CHAR(64), unique=True)  # the token itself is nowhere
    expires_at: Mapped[int]
    used_at: Mapped[int | None]
