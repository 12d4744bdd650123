"""Accounts have a name, and room for longer password hashes"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from extras.migrations import lacks

revision = "0004"
down_revision = "0003"

KEPT: dict[str, Any] = {"existing_nullable": False, "existing_comment": "scrypt, log2(N), r, p, salt and key in Base64"}


def upgrade() -> None:
    if lacks("users", "name"):
        with op.batch_alter_table("users", table_kwargs={"sqlite_autoincrement": True}) as users:
            users.add_column(sa.Column("name", sa.String(80), nullable=False, server_default=""))
            users.alter_column("password_hash", type_=sa.String(512), **KEPT)


def downgrade() -> None:
    if not lacks("users", "name"):
        with op.batch_alter_table("users", table_kwargs={"sqlite_autoincrement": True}) as users:
            users.alter_column("password_hash", type_=sa.String(255), **KEPT)
            users.drop_column("name")
