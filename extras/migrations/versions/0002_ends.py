"""Tokens and sessions are found by their end"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = {"tokens": "ix_tokens", "account_sessions": "ix_account_sessions"}  # and how their indexes' names begin


def upgrade() -> None:
    for table, name in TABLES.items():
        replace_index(table, f"{name}_user_id", f"{name}_end", ["user_id", "expires_at"])


def downgrade() -> None:
    for table, name in TABLES.items():
        replace_index(table, f"{name}_end", f"{name}_user_id", ["user_id"])


# The new one first: MySQL keeps one for the foreign key.
def replace_index(table: str, old: str, new: str, columns: list[str]) -> None:
    inspector = sa.inspect(op.get_bind())
    indexes = {index["name"] for index in inspector.get_indexes(table)} if inspector.has_table(table) else {new}
    if new not in indexes:
        op.create_index(new, table, columns)
    if old in indexes:
        op.drop_index(old, table)
