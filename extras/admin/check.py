"""Every invariant of the data, and how to mend what does not hold."""

import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Annotated, Any, NamedTuple

import sqlalchemy as sa
import typer
from fastapi import HTTPException
from sqlalchemy import Connection, LargeBinary, cast, func, or_, select, update

import app as core
import models
from models import Post, User

from . import service
from .output import FOUND, AsJson, Yes, bar, confirm, say
from .service import names, present, table_of, tables

ROWS_AT_ONCE = 1000
TEXTS_AT_ONCE = 100  # of up to 1 MB each
TOTALS_AT_ONCE = 50  # accounts whose posts are summed
SHOWN = 20  # of each kind
LATEST = 253_402_214_400_000  # the end of 9999: what is later or before 1970 cannot be shown

BYTES = cast(Post.text, LargeBinary)
LENGTH, TEXTS = func.length(BYTES), select(Post.id, BYTES)

commands = typer.Typer()


class Finding(NamedTuple):
    what: str
    where: int | str  # a row's id, or a name
    mend: Callable[[Connection], None] | None = None


def mend_size(connection: Connection, post_id: int) -> None:
    query = select(Post.user_id, Post.size, LENGTH).where(Post.id == post_id).with_for_update()
    for user_id, size, right in connection.execute(query):
        core.raise_version(connection, user_id, 0, right - size)
        connection.execute(update(Post).where(Post.id == post_id).values(size=right))


def check_posts() -> Iterator[Finding]:
    posts = table_of(Post)
    times = sa.and_(Post.created_at.between(0, LATEST), Post.updated_at.between(0, LATEST))
    no_time = sa.not_(times).label("no_time")
    columns = Post.id, Post.user_id, Post.size, LENGTH.label("right"), Post.status, Post.created_at, User.posts_version
    wrong = or_(
        no_time,
        Post.size != LENGTH,
        LENGTH == 0,
        Post.status.not_in(["published", "draft"]),
        sa.and_(Post.created_at > User.posts_version, Post.created_at <= models.now()),
    )
    found = select(*columns, no_time).join_from(Post, User).where(wrong)
    with bar("posts", service.highest(posts)) as progress:
        for first, last in service.windows(posts, TEXTS_AT_ONCE):
            for row in models.fetch(found.where(Post.id.between(first, last))):
                if not row.right:  # nor is its size mended: one of 0 could not be deleted
                    yield Finding("posts without a text", row.id)
                elif row.size != row.right:
                    yield Finding("posts whose size is not their text's", row.id, partial(mend_size, post_id=row.id))
                if row.status not in {"published", "draft"}:
                    yield Finding("posts of no known status", row.id)
                if row.no_time:
                    yield Finding("posts with a time that cannot be shown", row.id)
                elif row.posts_version < row.created_at <= models.now():
                    yield stale_version(row.user_id)
            progress.reach(last)


def count_anew(connection: Connection, user_id: int) -> None:
    core.raise_version(connection, user_id, 0, 0)  # and `limits`, which is told of it, counts the account's posts


def stale_version(user_id: int) -> Finding:
    what = "accounts whose version is older than their posts"
    return Finding(what, user_id, partial(count_anew, user_id=user_id))


def check_references() -> Iterator[Finding]:
    for table in tables():
        for key in table.foreign_keys:
            parent = key.column.table.alias()
            orphans = select(table.c.id).outerjoin(parent, key.parent == parent.c[key.column.name])
            orphans = orphans.where(key.parent.is_not(None), parent.c[key.column.name].is_(None))
            what = f"{table.name} of no {key.column.table.name}"
            for first, last in service.windows(table, ROWS_AT_ONCE):
                for row in models.fetch(orphans.where(table.c.id.between(first, last))):
                    yield Finding(what, row.id, partial(let_go, key=key, row_id=row.id))


def let_go(connection: Connection, key: sa.ForeignKey, row_id: int) -> None:
    """As the foreign key would have done when what it refers to went."""
    table = key.parent.table
    gone = update(table).values({key.parent: None}) if key.ondelete == "SET NULL" else sa.delete(table)
    connection.execute(gone.where(table.c.id == row_id))


def check_accounts() -> Iterator[Finding]:
    no_time = sa.not_(User.created_at.between(0, LATEST)).label("no_time")
    columns = User.id, User.email, User.password_hash, no_time
    for first, last in service.windows(table_of(User), ROWS_AT_ONCE):
        for row in models.fetch(select(*columns).where(User.id.between(first, last))):
            if row.email != row.email.strip().lower():
                yield Finding("accounts whose address is not in lower case", row.id)
            if not re.fullmatch(r"scrypt(\$[0-9]+){3}(\$[A-Za-z0-9+/=]+){2}", row.password_hash):
                yield Finding("accounts whose password hash cannot be used: see set-password", row.id)
            if row.no_time:
                yield Finding("accounts with a time that cannot be shown", row.id)


def check_encoding() -> Iterator[Finding]:
    """SQLite takes any bytes for a text."""
    if not models.SQLITE:
        return
    for first, last in service.windows(table_of(Post), TEXTS_AT_ONCE):
        with models.engine.connect() as connection:  # row by row, as all texts together may be large
            for post_id, text in connection.execute(TEXTS.where(Post.id.between(first, last))):
                if text.decode(errors="ignore").encode() != text:
                    yield Finding("posts whose text is not UTF-8", post_id)


def check_totals() -> Iterator[Finding]:
    """The running totals of `limits`, where it has a quota; without one they are not kept."""
    usage = models.Base.metadata.tables.get("limits_usage")
    if usage is None or usage.name not in present() or not models.hooks.on_post:
        return
    posts, size = func.count(Post.id), func.coalesce(func.sum(Post.size), 0)
    sums = select(usage.c.user_id).outerjoin(Post, Post.user_id == usage.c.user_id)
    sums = sums.group_by(usage.c.user_id, usage.c.posts, usage.c.bytes)
    wrong = sums.having(or_(usage.c.posts != posts, usage.c.bytes != size))
    for first, last in service.windows(usage, TOTALS_AT_ONCE):
        for row in models.fetch(wrong.where(usage.c.id.between(first, last))):
            what = "accounts whose running total in limits_usage is wrong"
            yield Finding(what, row.user_id, partial(count_anew, user_id=row.user_id))


def expected() -> list[sa.Table]:
    """The tables of the core, and of the extras that are on."""
    modules = {"models", *(f"extras.{name}" for name in names)}
    owners = {str(mapper.local_table): mapper.class_.__module__ for mapper in models.Base.registry.mappers}
    ours = {name for name, module in owners.items() if ".".join(module.split(".")[:2]) in modules}
    return [table for table in models.Base.metadata.sorted_tables if table.name in ours]


def check_schema() -> Iterator[Finding]:
    """Tables, indexes and keys; that the columns are there was looked at before."""
    for table in expected():
        if table.name not in present():
            yield Finding("tables that are missing: start the service once", table.name)
    inspector = sa.inspect(models.engine)
    for table in tables():
        indexes: list[Any] = [*inspector.get_indexes(table.name), *inspector.get_unique_constraints(table.name)]
        there = {tuple(each["column_names"]) for each in indexes}
        unique = {tuple(each["column_names"]) for each in indexes if each.get("unique", True)}
        wanted = {tuple(index.columns.keys()): bool(index.unique) for index in table.indexes}
        wanted |= {tuple(c.columns.keys()): True for c in table.constraints if isinstance(c, sa.UniqueConstraint)}
        for columns, is_unique in wanted.items():
            if columns not in (unique if is_unique else there):
                yield Finding("indexes that are missing: see EXTRAS=+migrations", f"{table.name}({', '.join(columns)})")
        keys = {(*key["constrained_columns"], key["referred_table"]) for key in inspector.get_foreign_keys(table.name)}
        for key in table.foreign_keys:
            if (key.parent.name, key.column.table.name) not in keys:
                yield Finding("foreign keys that are missing: see EXTRAS=+migrations", str(key.parent))


def check_ids() -> Iterator[Finding]:
    if not models.SQLITE:
        return
    never_again = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'"
    kept = {row.name for row in models.fetch(sa.text(never_again))}
    for table in tables():
        if table.dialect_options["sqlite"]["autoincrement"] and table.name not in kept:
            yield Finding("tables that may use an id twice: see EXTRAS=+migrations", table.name)


def damage() -> list[str]:
    """What SQLite finds wrong with its file."""
    if not models.SQLITE:
        return []
    try:
        lines = [str(line) for (line,) in models.fetch(sa.text(f"PRAGMA integrity_check({SHOWN})"))]
    except sa.exc.DatabaseError as error:
        return [models.reason(error)]
    return [line for line in lines if line != "ok"]


CHECKS = check_schema, check_ids, check_references, check_accounts, check_posts, check_encoding, check_totals


def examine(repair: bool) -> list[dict[str, Any]]:
    """What is wrong, a row for each kind."""
    if lines := damage():  # nothing that is read from it can be relied on
        what = "places of SQLite's file are damaged: restore a back-up"
        return [{"wrong": what, "count": len(lines), "mended": 0, "where": lines}]
    found, mended = Counter[str](), Counter[str]()
    where: dict[str, deque[int | str]] = defaultdict(lambda: deque(maxlen=SHOWN))
    for what, place, mend in chain.from_iterable(each() for each in CHECKS):
        if place in where[what]:  # an account, for each of its posts
            continue
        found[what] += 1
        where[what].append(place)
        if repair and mend:
            mended[what] += is_mended(mend)
    return [{"wrong": k, "count": n, "mended": mended[k], "where": list(where[k])} for k, n in found.items()]


def is_mended(mend: Callable[[Connection], None]) -> bool:
    try:
        service.change(mend)
    except HTTPException:  # its account is gone, or has no room for what the post really takes
        return False
    return True


@commands.command()
def check(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Check every invariant of the data, in small steps. Exit code 1 if anything is wrong, and not mended."""
    if repair:
        confirm("Mend sizes, versions and totals, and delete rows whose account is gone?", yes)
    rows = examine(repair)
    all_is_well = all(row["mended"] == row["count"] for row in rows)
    if as_json:
        say("", {"ok": all_is_well, "wrong": rows}, True)
    else:
        for row in rows:
            print(f"{row['count']:,} {row['wrong']}, {row['mended']:,} mended: {', '.join(map(str, row['where']))}")
        print("All is well." if all_is_well else "Not all is well.")
    if not all_is_well:
        raise typer.Exit(FOUND)
