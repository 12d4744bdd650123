"""The sessions and the refresh tokens."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

import models
from models import Time, Token, User

GRACE = 5_000  # milliseconds


class Session(models.Base):
    __tablename__ = "account_sessions"
    __table_args__ = (sa.Index("ix_account_sessions_end", "user_id", "expires_at"), *models.Base.__table_args__)

    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"))
    created_at: Mapped[Time]
    last_used_at: Mapped[Time]
    expires_at: Mapped[Time]  # when the last of its tokens does


def is_over(table: Any, now: int) -> Any:
    """Not before its access token: by it alone that is known to be of its session, and ends with it."""
    live = sa.exists().where(Token.id == table.c.token_id, Token.expires_at > now)
    return (table.c.expires_at <= now) & ~live


class RefreshToken(models.Base):
    """A used one is kept until it would expire, to be recognised."""

    __tablename__ = "account_refresh_tokens"
    __table_args__ = (models.Base.__table_args__[0] | {"info": {"is_over": is_over}},)

    session_id: Mapped[int] = mapped_column(sa.ForeignKey(Session.id, ondelete="CASCADE"), index=True)
    token_id: Mapped[int] = mapped_column(index=True, comment="of the access token of the pair, whose row may be gone")
    digest: Mapped[str] = mapped_column(sa.CHAR(64), unique=True, comment="SHA-256 of the token, in hex")
    expires_at: Mapped[Time]
    used_at: Mapped[Time | None]
