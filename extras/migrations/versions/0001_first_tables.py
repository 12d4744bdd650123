"""The first tables"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMTEXT

import models

revision = "0001"
down_revision = None

INTEGER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
OPTIONS: dict[str, Any] = {"sqlite_autoincrement": True} | {
    f"{dialect}_{key}": value
    for dialect in ("mysql", "mariadb")
    for key, value in {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}.items()
}

# Not from models.py: a revision stays as it was when the models move on.
tables = sa.MetaData()
sa.Table(
    "users",
    tables,
    sa.Column("id", INTEGER, primary_key=True),
    sa.Column("email", sa.String(254), nullable=False, unique=True),
    sa.Column("password_hash", sa.String(255), nullable=False),
    sa.Column("posts_version", INTEGER, nullable=False),
    sa.Column("created_at", INTEGER, nullable=False),
    **OPTIONS,
)
sa.Table(
    "tokens",
    tables,
    sa.Column("id", INTEGER, primary_key=True),
    sa.Column("user_id", INTEGER, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("digest", sa.CHAR(64), nullable=False, unique=True),
    sa.Column("created_at", INTEGER, nullable=False),
    sa.Column("expires_at", INTEGER, nullable=False),
    **OPTIONS,
)
sa.Table(
    "posts",
    tables,
    sa.Column("id", INTEGER, primary_key=True),
    sa.Column("user_id", INTEGER, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("size", INTEGER, nullable=False),
    sa.Column("status", sa.String(9), nullable=False),
    sa.Column("created_at", INTEGER, nullable=False),
    sa.Column("updated_at", INTEGER, nullable=False),
    sa.Column("text", sa.Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
    sa.Index("ix_posts_list", "user_id", "id", "size", "status"),
    **OPTIONS,
)


def upgrade() -> None:  # those that `models.create_tables()` has made stay as they are
    tables.create_all(op.get_bind())


def downgrade() -> None:
    models.stop("0001 is the first: below it is no schema. To throw all data away, drop the database.")
