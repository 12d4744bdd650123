"""What the columns mean, for those who look into the database"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TIME = "milliseconds since 1970, UTC"
COMMENTS = {
    "users": {
        "id": "never used twice",
        "email": "in lower case",
        "password_hash": "scrypt, log2(N), r, p, salt and key in Base64",
        "posts_version": "goes up with each write of the account's posts",
        "created_at": TIME,
    },
    "tokens": {
        "id": "never used twice",
        "digest": "SHA-256 of the token, in hex",
        "created_at": TIME,
        "expires_at": TIME,
    },
    "posts": {
        "id": "never used twice",
        "size": "of the text, in bytes of UTF-8",
        "status": "published or draft",
        "created_at": TIME,
        "updated_at": TIME,
    },
    "account_sessions": {
        "id": "never used twice",
        "created_at": TIME,
        "last_used_at": TIME,
        "expires_at": TIME,
    },
    "account_refresh_tokens": {
        "id": "never used twice",
        "token_id": "of the access token of the pair, whose row may be gone",
        "digest": "SHA-256 of the token, in hex",
        "expires_at": TIME,
        "used_at": TIME,
    },
}


def comment(wanted: bool) -> None:
    """Only where it is not so yet. On MySQL this touches no row; SQLite has no comments."""
    if op.get_bind().dialect.name == "sqlite":
        return
    inspector = sa.inspect(op.get_bind())
    for table in filter(inspector.has_table, COMMENTS):
        for column in inspector.get_columns(table):
            new = COMMENTS[table].get(column["name"]) if wanted else None
            if column.get("comment") != new:
                op.alter_column(
                    table,
                    column["name"],
                    comment=new,
                    existing_type=column["type"],
                    existing_nullable=column["nullable"],
                    existing_autoincrement=column["name"] == "id",
                )


def upgrade() -> None:
    comment(True)


def downgrade() -> None:
    comment(False)
