"""Schema migrations with Alembic, as a command; and as an extra, the same at each start.

    alembic -c extras/migrations/alembic.ini upgrade head

makes the schema that this code needs, from an empty database, from one that the app's own start has made, or from an
older one, without touching a row. It takes `DATABASE_URL` and `EXTRAS` from the environment, as the app does. Run it
after each update of the code, before the new code starts:

    $ DATABASE_URL=sqlite:///blog.db alembic -c extras/migrations/alembic.ini upgrade head
    Context impl SQLiteImpl.
    Will assume non-transactional DDL.
    Running upgrade  -> 0001, The first tables
    Running upgrade 0001 -> 0002, Tokens and sessions are found by their end
    Running upgrade 0002 -> 0003, What the columns mean, for those who look into the database

`EXTRAS=migrations` does this at each start, in place of `create_tables()`, which makes missing tables and never alters
one. Workers and hosts that start together take turns. A database that newer code has upgraded is left as it is, with a
warning, so that old code can go on beside the new. `DATABASE_URL=sqlite://` has nothing to migrate. No settings.

To change the schema
--------------------
1. Change the models, of the core or of an extra.
2. `alembic -c extras/migrations/alembic.ini revision --autogenerate --rev-id 0004 -m "what it does"`, and read and mend
   what it wrote in `versions/`. Its work is guarded by `lacks`:

       def upgrade() -> None:
           if lacks("users", "name"):
               op.add_column("users", sa.Column("name", sa.String(80), nullable=False, server_default=""))

   A revision looks before it acts, because MySQL cannot roll DDL back (so a revision that broke off is run again),
   because `create_tables()` may have made the newest form of a table already, and because the table of an extra may
   not be there: it is made in its newest form when the extra is switched on. So there is one history, one `head`, and
   an extra needs a revision only when it alters a table that it has published.
3. `pytest extras/migrations` compares the result with `create_tables()`, on each kind of database.

`example/` holds one more revision that rebuilds the table of accounts, which the tests run up and down. With SQLite,
`op.batch_alter_table` copies a table: pass `table_kwargs={"sqlite_autoincrement": True}`. Foreign keys are off
meanwhile and checked at the end, ids of deleted rows stay used, and a failure leaves all as it was.

For MySQL: of a column that is altered all must be said again, `existing_comment` too. A revision waits 10 s for a table
that is in use, and then fails rather than hold up all requests. One upgrade of a database runs at a time; another waits
up to an hour.
"""

import logging
from pathlib import Path
from typing import NoReturn

import sqlalchemy as sa
from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from fastapi import FastAPI
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

import models

INI = Path(__file__).with_name("alembic.ini")
log = logging.getLogger("uvicorn.posts")


def lacks(table: str, column: str) -> bool:
    """Whether a table is there and this column of it is not."""
    inspector = sa.inspect(op.get_bind())
    return inspector.has_table(table) and column not in {each["name"] for each in inspector.get_columns(table)}


def unusable(error: Exception) -> NoReturn:
    models.unusable(models.reason(error))


def refuse_strangers(connection: Connection, script: ScriptDirectory) -> None:
    """End if the tables or the history are another program's: no revision takes a column of the first ones away."""
    ours = script.get_revision("0001").module.tables
    there = sa.inspect(connection).get_multi_columns(filter_names=[*ours.tables])
    names = {f"{table}.{column['name']}" for (_, table), columns in there.items() for column in columns}
    needed = {str(column) for _, table in there for column in ours.tables[table].columns}
    if missing := sorted(needed - names):
        models.unusable(f"its tables are of another program, without {', '.join(missing)}. Nothing was changed.")
    if not there and MigrationContext.configure(connection).get_current_heads():
        models.unusable("its alembic_version is another program's. Nothing was changed.")


def setup(app: FastAPI) -> None:
    if models.engine.url.database not in {None, "", ":memory:"}:
        models.hooks.create_tables = upgrade


def upgrade() -> None:
    """What `alembic upgrade head` does; a failure ends the start."""
    config = Config(INI)
    config.attributes["on_version_apply"] = lambda step, **_: log.info("schema is now at %s", step.up_revision_id)
    try:
        script = ScriptDirectory.from_config(config)
        with models.engine.connect() as connection:
            refuse_strangers(connection, script)
            heads = MigrationContext.configure(connection).get_current_heads()
        if {*heads} <= {each.revision for each in script.walk_revisions()}:
            command.upgrade(config, "head")
        else:
            log.warning("the schema is at %s, which is newer than this code", ", ".join(heads))
    except (DBAPIError, RuntimeError, TypeError) as error:  # as in `models.create_tables`
        unusable(error)
    models.create_tables()  # those of an extra that was just switched on; and no other program's are taken for ours
