"""The outbox, the links that were mailed, who has yet to open one, and who asked for one lately."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

import models
from models import Time, User

HOUR, DAY = 3_600_000, 86_400_000  # milliseconds


def done_long_ago(table: Any, now: int) -> Any:
    """Which mails go: 7 days after they were written, once they are sent or given up."""
    return table.c.due_at.is_(None) & (table.c.created_at <= now - 7 * DAY)


def asked_long_ago(table: Any, now: int) -> Any:
    return table.c.created_at <= now - HOUR


class Mail(models.Base):
    """One that is to be sent, or was: of that the text is gone."""

    __tablename__ = "mail_outbox"
    __table_args__ = (models.Base.__table_args__[0] | {"info": {"is_over": done_long_ago}},)

    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"), index=True)
    recipient: Mapped[str] = mapped_column(sa.String(254))
    kind: Mapped[str] = mapped_column(sa.String(8), comment="of letters.py")
    language: Mapped[str] = mapped_column(sa.String(2))
    content: Mapped[str | None] = mapped_column(sa.String(254), comment="a token or an address, until it is sent")
    tries: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[Time]
    due_at: Mapped[Time | None] = mapped_column(index=True)  # for the next try; null once it was sent or given up
    until: Mapped[Time]  # no try begins later


class Link(models.Base):
    """Of each kind an account has one at most."""

    __tablename__ = "mail_links"
    __table_args__ = (sa.UniqueConstraint("user_id", "kind"), *models.Base.__table_args__)

    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(sa.String(8), comment="reset, verify or change")
    digest: Mapped[str] = mapped_column(sa.CHAR(64), unique=True, comment="SHA-256 of the token, in hex")
    owner: Mapped[str] = mapped_column(sa.CHAR(64), comment="SHA-256 of what ends the link when it changes, in hex")
    new_email: Mapped[str | None] = mapped_column(sa.String(254))
    expires_at: Mapped[Time]


class Unverified(models.Base):
    """An account whose address nobody has confirmed. Those that were there before the extra have none."""

    __tablename__ = "mail_unverified"

    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"), unique=True)


class Asked(models.Base):
    """That a link was asked for: of an account, or of an address, whether there is an account or not."""

    __tablename__ = "mail_asked"
    __table_args__ = (
        sa.Index("ix_mail_asked", "digest", "created_at"),
        models.Base.__table_args__[0] | {"info": {"is_over": asked_long_ago}},
    )

    digest: Mapped[str] = mapped_column(sa.CHAR(64), comment="SHA-256 of the kind and whose it is, in hex")
    created_at: Mapped[Time]
