"""The service's own modules on its own database, and small steps in it; never a table or a file that is new."""

import os
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, select

import models
from extras import door

from .output import fail

R = TypeVar("R")

PATIENCE = 30  # seconds that a step goes on trying
UNUSED = {"fast", "metrics", "migrations"}  # the one looks into the database, one keeps files, one makes tables

names = [name for name in door.names_of_extras("") if name not in UNUSED]  # the default ones have no tables, nor hooks


def load() -> None:
    """Import the app with the extras that `EXTRAS` names, and with them their tables and hooks; nothing is opened."""
    os.environ["EXTRAS"] = ",".join(names)
    models.hooks.create_tables = lambda: None
    import app  # noqa: F401


def check_database() -> None:
    """End with one line unless the service's tables are there, in the shape that this code has."""
    file = str(models.engine.url.database)
    if models.MEMORY:
        models.stop("DATABASE_URL is a database in memory, which only its own process can see.")
    if models.SQLITE and not os.path.exists(file):
        models.stop(f"There is no {file}. Set DATABASE_URL, and EXTRAS too, as they are for the service.")
    try:
        missing = {model.__tablename__ for model in (models.User, models.Token, models.Post)} - present()
        models.check_shape()
    except (sa.exc.DBAPIError, RuntimeError, TypeError) as error:  # as in `models.create_tables`
        models.unusable(models.reason(error))
    if missing:
        models.unusable(f"it lacks the tables {', '.join(sorted(missing))}, which the service makes when it starts")


@cache
def present() -> set[str]:
    """The names of the tables that are there."""
    return set(sa.inspect(models.engine).get_table_names())


def tables() -> list[sa.Table]:
    """Those of the service and its extras that are there; what refers to another comes after it."""
    return [table for table in models.Base.metadata.sorted_tables if table.name in present()]


def change(work: Callable[[Connection], R]) -> R:
    """Run `work` in a transaction, as the service does."""
    return models.transact(work, time.monotonic() + PATIENCE)


def remove(table: sa.Table, *which: sa.ColumnElement[bool]) -> int:
    """Delete these rows, which are few, in a transaction of its own; how many there were."""
    return change(lambda tx: tx.execute(sa.delete(table).where(*which)).rowcount)


def windows(table: sa.Table, step: int, after: int = 0) -> Iterator[tuple[int, int]]:
    """The first and the last id of so many rows at a time, through the whole table."""
    while ids := models.fetch(select(table.c.id).where(table.c.id > after).order_by(table.c.id).limit(step)):
        after = ids[-1].id
        yield ids[0].id, after


def highest(table: sa.Table) -> int:
    return models.fetch(select(sa.func.max(table.c.id)))[0][0] or 0


# MySQL's errors of a client without a connection; too many of them, a shutdown, time limits, Galera without its peers.
PASSING = models.CONFLICTS | models.READ_ONLY | {*range(2000, 2100), 1040, 1047, 1053, 1203, 1226, 1317, 1969, 3024}


def may_pass(error: sa.exc.SQLAlchemyError) -> bool:
    """Whether the same may be done later: the database is away, or others are at work in it."""
    if not isinstance(error, sa.exc.DBAPIError):
        return True
    code = (*getattr(error.orig, "args", ()), None)[0]
    return error.connection_invalidated or code in PASSING or "locked" in models.reason(error)


def one(statement: sa.Executable) -> Any:
    return (models.fetch(statement) or [None])[0]


def table_of(model: type[models.Base]) -> sa.Table:
    return models.Base.metadata.tables[model.__tablename__]


def find_account(email: str) -> Any:
    """The account's row; ends if there is none."""
    return one(select(models.User).where(models.User.email == email)) or fail(f"There is no account {email}.")


class Pace:
    """Steps take a quarter of the time, and others the rest: they wait for one step at most."""

    def __init__(self) -> None:
        self.begun = time.monotonic()

    def rest(self) -> None:
        time.sleep(max(0.01, 3 * (time.monotonic() - self.begun)))
        self.begun = time.monotonic()
