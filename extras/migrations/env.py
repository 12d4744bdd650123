"""What Alembic runs for each command: the database and tables of the app, a lock, and what SQLite needs besides."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import context
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

import models
from extras.migrations import refuse_strangers, unusable

PATIENCE = 3600  # seconds that an upgrade waits for another: workers that start together outlast a long one
TABLE_PATIENCE = 10  # for a table of MySQL: meanwhile all that want the table wait behind the ALTER
SQLITE = models.engine.dialect.name == "sqlite"


def load_tables() -> None:
    """Import the modules that declare tables: the app's and those of `EXTRAS`. Nothing is set up or created."""
    from extras import door

    names = door.names_of_extras("")  # the default ones have no tables
    os.environ["EXTRAS"] = ""
    models.hooks.create_tables = lambda: None
    import app  # noqa: F401

    for name in names:
        door.find_setup(name)


@contextmanager
def locked_connection() -> Iterator[Connection]:
    """A connection of its own, without the app's time-outs and, on SQLite, foreign keys; one has it at a time.

    With foreign keys on, SQLite would delete an account's posts as soon as a batch drops the old table of accounts.
    """
    variables = f"sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), lock_wait_timeout = {TABLE_PATIENCE}"
    options: dict[str, object] = {"timeout": PATIENCE} if SQLITE else {"init_command": f"SET SESSION {variables}"}
    if models.engine.url.password:
        options["password"] = models.engine.url.password.encode()  # PyMySQL takes Latin-1
    try:
        connection = sa.create_engine(models.engine.url, poolclass=sa.NullPool, connect_args=options).connect()
    except (DBAPIError, RuntimeError, TypeError) as error:  # as in `models.create_tables`
        unusable(error)
    with connection:
        if SQLITE:
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # Alembic leaves it open: all steps are done, or none
            yield connection
        else:  # each DDL commits here, so the lock is the session's
            name = sa.func.left(sa.func.concat("posts migrations ", sa.func.database()), 64)
            if connection.scalar(sa.select(sa.func.get_lock(name, PATIENCE))) != 1:
                models.stop("Another upgrade of this database is at work. Try again when it is through.")
            connection.commit()
            yield connection
        connection.commit()


@contextmanager
def unused_ids(connection: Connection) -> Iterator[None]:
    """Keep SQLite's memory of ids of deleted rows, which a batch loses with the old table; and check its references."""
    if not SQLITE:
        yield
        return
    kept = sa.inspect(connection).has_table("sqlite_sequence")
    before = connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence").all() if kept else []
    yield
    for name, seq in before:
        if sa.inspect(connection).has_table(name):
            after = connection.exec_driver_sql("SELECT max(seq) FROM sqlite_sequence WHERE name = ?", (name,)).scalar()
            connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
            connection.exec_driver_sql("INSERT INTO sqlite_sequence VALUES (?, ?)", (name, max(seq, after or 0)))
    if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        models.stop("Rows would refer to rows that are gone. Nothing was changed.")


def is_ours(_: object, name: str | None, kind: str, reflected: bool, model: object) -> bool:
    """For `--autogenerate`: the tables of extras that are off, and other people's, are not to be dropped."""
    return not (kind == "table" and reflected and model is None)


def is_other_type(_: object, __: object, ___: object, there: object, model: object) -> bool | None:
    """For `--autogenerate`: False for SQLite's BINARY, which is read as NUMERIC; else Alembic is to say."""
    return False if isinstance(there, sa.NUMERIC) and isinstance(model, sa.BINARY) else None


def run() -> None:
    if context.is_offline_mode():
        models.stop("--sql cannot be had: the revisions look at the database before they act.")
    with locked_connection() as connection, unused_ids(connection):
        context.configure(
            connection=connection,
            target_metadata=models.Base.metadata,
            render_as_batch=True,
            include_object=is_ours,
            compare_type=is_other_type,
            on_version_apply=context.config.attributes.get("on_version_apply"),
        )
        migration = context.get_context()
        refuse_strangers(connection, context.script)
        with context.begin_transaction():
            context.run_migrations()
        heads = set(context.script.get_heads())
        if not migration.opts.get("dont_mutate") and set(migration.get_current_heads()) == heads:
            models.Base.metadata.create_all(connection)  # the extras' tables that are missing, in their newest form


if "app" not in sys.modules:  # run by `alembic`, not by the app's start
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    load_tables()
run()
