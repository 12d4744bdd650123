"""How much there is, and how it grows."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from sqlalchemy import func, select

import models
from models import Post, User

from . import service
from .output import AsJson, say, show

ROWS_AT_ONCE = 10_000
DAY = 86_400_000  # milliseconds

commands = typer.Typer()


def count(table: sa.Table) -> int:
    ranges = (table.c.id.between(*each) for each in service.windows(table, ROWS_AT_ONCE))
    return sum(service.one(select(func.count()).select_from(table).where(each))[0] for each in ranges)


def by_day(table: sa.Table, weight: Any) -> tuple[Counter[int], Counter[int]]:
    """Rows, and what they weigh, by the day on which they were made, in milliseconds since 1970."""
    day = (table.c.created_at - table.c.created_at % DAY).label("day")
    rows, weights = Counter[int](), Counter[int]()
    for each in service.windows(table, ROWS_AT_ONCE):
        found = models.fetch(select(day, func.count(), func.sum(weight)).where(table.c.id.between(*each)).group_by(day))
        for made, number, total in found:
            rows[made] += number
            weights[made] += int(total)
    return rows, weights


def database_bytes() -> int:
    """On disk, indexes and all."""
    if models.SQLITE:
        files = (Path(f"{models.engine.url.database}{end}") for end in ("", "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())
    size = "SELECT SUM(data_length + index_length) FROM information_schema.tables WHERE table_schema = DATABASE()"
    return int(service.one(sa.text(size))[0] or 0)


@commands.command()
def stats(
    days: Annotated[int, typer.Option(min=1, max=3660, help="How far back the growth goes.")] = 14,
    as_json: AsJson = False,
) -> None:
    """Show rows, bytes, and the growth by day (UTC)."""
    accounts, _ = by_day(service.table_of(User), sa.literal(0))
    posts, sizes = by_day(service.table_of(Post), Post.size)
    made = {User.__tablename__: accounts.total(), Post.__tablename__: posts.total()}
    tables = {table.name: made.get(table.name) or count(table) for table in service.tables()}
    today = models.now() // DAY * DAY
    growth: list[dict[str, Any]] = [
        {
            "day": (datetime.fromtimestamp(today / 1000, UTC) - timedelta(back)).date().isoformat(),
            "accounts": accounts[today - back * DAY],
            "posts": posts[today - back * DAY],
            "bytes": sizes[today - back * DAY],
        }
        for back in range(days)
    ][::-1]
    total: dict[str, Any] = {
        "tables": tables,
        "text_bytes": sizes.total(),
        "database_bytes": database_bytes(),
        "growth": growth,
    }
    if as_json:
        return say("", total, True)
    show([{"table": name, "rows": rows} for name, rows in tables.items()], False)
    print(f"{total['text_bytes']:,} bytes of text, {total['database_bytes']:,} bytes in the database\n")
    most = max(posts[today - back * DAY] for back in range(days)) or 1
    show([row | {"": "█" * round(30 * row["posts"] / most)} for row in growth], False)
