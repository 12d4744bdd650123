"""What has expired goes, of whatever table: tokens, sessions, keys."""

import re
import signal
import sys
import time
from contextlib import suppress
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from sqlalchemy import select

import models

from . import service
from .output import AsJson, bar, say

LOOKED_AT, DELETED = 1000, 100  # rows at once
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

commands = typer.Typer()


def read_time(text: str) -> int:
    if not (match := re.fullmatch("([1-9][0-9]{0,4})([smhd])", text)):
        raise typer.BadParameter("this is a number and a unit, such as 30m, 1h or 1d")
    return int(match[1]) * SECONDS[match[2]]


def is_over(table: sa.Table) -> Any:
    """The condition by which a row may go; None if the table has none.

    An extra whose rows end otherwise than with `expires_at` says how: `info={"is_over": lambda table, now: ...}`.
    """
    if "is_over" in table.info:
        return table.info["is_over"](table, models.now())
    return table.c.expires_at <= models.now() if "expires_at" in table.c else None


def clear(table: sa.Table) -> int:
    """How many rows went. It goes through the whole table by its key, as the end of a row has no index of its own."""
    cleared, pace = 0, service.Pace()
    with bar(table.name, service.highest(table)) as progress:
        for first, last in service.windows(table, LOOKED_AT):
            ids = models.fetch(select(table.c.id).where(table.c.id.between(first, last), is_over(table)))
            pace.rest()
            for start in range(0, len(ids), DELETED):
                some = table.c.id.in_([row.id for row in ids[start : start + DELETED]])
                cleared += service.remove(table, some, is_over(table))  # if it was not prolonged since
                pace.rest()
            progress.reach(last)
    return cleared


def purge_once(as_json: bool) -> None:
    ending = [table for table in service.tables()[::-1] if is_over(table) is not None]  # what refers to another first
    cleared = {table.name: clear(table) for table in ending}
    say(", ".join(f"{name}: {count:,}" for name, count in cleared.items()) + " cleared", cleared, as_json)
    sys.stdout.flush()


@commands.command()
def purge(
    every: Annotated[
        int | None, typer.Option(parser=read_time, metavar="TIME", help="Again and again: 30m, 1h.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Clear what has expired and is good for nothing any more, in every table that tells when its rows end."""
    if not every:
        return purge_once(as_json)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt):
        while True:
            try:
                purge_once(as_json)
            except sa.exc.SQLAlchemyError as error:  # the next time has its own
                print(f"The database is away: {models.reason(error)}", file=sys.stderr)
            time.sleep(every)
