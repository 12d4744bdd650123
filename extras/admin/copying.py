"""The whole service from one database to another, of whatever kind, with all ids."""

import re
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from sqlalchemy import Connection, Engine, select

import models

from .output import UNUSABLE, USAGE, AsJson, bar, fail, say

ROWS_AT_ONCE, BYTES_AT_ONCE = 5000, 2**22

# Not of the service's tables: what is being copied stands in the target until all is there; Alembic's is copied too.
own = sa.MetaData()
MARK = sa.Table("admin_copy", own, sa.Column("source", sa.String(500), primary_key=True))
ALEMBIC = sa.Table("alembic_version", own, sa.Column("version_num", sa.String(32), primary_key=True))
UNKNOWN = {ALEMBIC.name, "sqlite_sequence"}

commands = typer.Typer()


def names_in(engine: Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names())


def read_source(source: Engine) -> list[sa.Table]:
    """Its tables; ends if there are others, which would be left behind."""
    if source.dialect.name == "sqlite" and not Path(str(source.url.database)).is_file():
        fail(f"There is no {source.url.database}.", UNUSABLE)
    there = names_in(source)
    if MARK.name in there:
        fail("The source is a copy that was not finished: finish that first.")
    if unknown := sorted(there - models.Base.metadata.tables.keys() - UNKNOWN):
        fail(f"The source has tables that nobody here knows: {', '.join(unknown)}. Set EXTRAS as the service has it.")
    if missing := sorted({model.__tablename__ for model in (models.User, models.Token, models.Post)} - there):
        fail(f"The source lacks the tables {', '.join(missing)}: it is no database of the service.")
    tables = [table for table in models.Base.metadata.sorted_tables if table.name in there]
    check_columns(source, tables, "source")
    return tables


def check_columns(engine: Engine, tables: Sequence[sa.Table], which: str) -> None:
    """End if one of these tables is there with other columns."""
    there = sa.inspect(engine).get_multi_columns(filter_names=[table.name for table in tables])
    names = {f"{table}.{column['name']}" for (_, table), columns in there.items() for column in columns}
    needed = {str(column) for table in tables for column in table.columns if (None, table.name) in there}
    if wrong := sorted(names ^ needed):
        fail(f"The {which}'s tables are of another program or version ({', '.join(wrong)}): see EXTRAS=+migrations.")


def prepare(source: Engine, target: Engine, tables: list[sa.Table]) -> None:
    """Make the tables, and the mark; ends if there is anything in the target that this copy has not brought."""
    there, name = names_in(target), source.url.render_as_string()  # without the password
    check_columns(target, tables, "target")
    made, needed = versions_in(target), versions_in(source)
    if made and needed and made != needed:
        fail("The target's tables were made by another version. Copy into an empty database.")
    with target.begin() as connection:
        if MARK.name in there:
            if connection.scalar(select(MARK.c.source)) not in {name, None}:
                fail("The target is an unfinished copy of another database. Empty it first.")
        else:
            for table in sorted(there - UNKNOWN):
                if connection.execute(select(1).select_from(sa.table(table)).limit(1)).first():
                    fail(f"The target is not empty: there are rows in {table}. Copy into an empty database.")
        MARK.create(connection, checkfirst=True)
        if not connection.scalar(select(MARK.c.source)):
            connection.execute(MARK.insert().values(source=name))
    models.Base.metadata.create_all(target, tables)


def page(connection: Connection, table: sa.Table, after: int) -> Sequence[Any]:
    """The rows after an id, so many that the memory holds them."""
    rows = select(table).where(table.c.id > after).order_by(table.c.id).limit(ROWS_AT_ONCE)
    if "size" in table.c:
        sizes = connection.execute(rows.with_only_columns(table.c.id, table.c.size)).all()
        fitting = sum(total <= BYTES_AT_ONCE for total in accumulate(size for _, size in sizes))
        rows = rows.limit(max(1, fitting))
    return connection.execute(rows).all()


def copy_table(source: Engine, target: Engine, table: sa.Table) -> int:
    """Goes on after the last row that is there; how many rows it has copied."""
    done, names = 0, table.columns.keys()
    with source.connect() as reading, target.connect() as writing, bar(table.name, last_id(reading, table)) as progress:
        after = writing.scalar(select(sa.func.max(table.c.id))) or 0
        while rows := page(reading, table, after):
            writing.execute(sa.insert(table), [dict(zip(names, row, strict=True)) for row in rows])
            writing.commit()
            reading.rollback()
            done, after = done + len(rows), rows[-1].id
            progress.reach(after)
    return done


def last_id(connection: Connection, table: sa.Table) -> int:
    """The highest id that was ever given, whether its row is there or not."""
    highest = connection.scalar(select(sa.func.max(table.c.id))) or 0
    if connection.dialect.name == "sqlite":
        given = connection.execute(sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        return max(highest, given.scalar() or 0)
    (_, definition) = connection.execute(sa.text(f"SHOW CREATE TABLE {table.name}")).one()
    following = re.search(r" AUTO_INCREMENT=(\d+)", definition)
    return max(highest, int(following[1]) - 1 if following else 0)


def keep_ids_used(source: Engine, target: Engine, table: sa.Table) -> None:
    """An id is never used twice, in the target neither."""
    with source.connect() as reading, target.begin() as writing:
        last = max(last_id(reading, table), last_id(writing, table))
        if writing.dialect.name != "sqlite":
            writing.execute(sa.text(f"ALTER TABLE {table.name} AUTO_INCREMENT = {last + 1}"))
            return
        writing.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        writing.execute(
            sa.text("INSERT INTO sqlite_sequence VALUES (:name, :last)"), {"name": table.name, "last": last}
        )


def first_difference(source: Engine, target: Engine, table: sa.Table) -> int | None:
    """The id of the first row that is not the same in both."""
    after = 0
    with (
        source.connect() as one,
        target.connect() as other,
        bar(f"verify {table.name}", last_id(one, table)) as progress,
    ):
        while rows := page(one, table, after):
            within = select(table).where(table.c.id > after, table.c.id <= rows[-1].id).order_by(table.c.id)
            copies = other.execute(within.limit(len(rows) + 1)).all()
            if [*map(tuple, rows)] != [*map(tuple, copies)]:
                return int(min(row[0] for row in {*map(tuple, rows)} ^ {*map(tuple, copies)}))  # its id
            after = rows[-1].id
            progress.reach(after)
            one.rollback()
            other.rollback()
        return other.scalar(select(table.c.id).where(table.c.id > after).limit(1))


def versions_in(engine: Engine) -> list[str]:
    """Alembic's, as a rule one or none."""
    if ALEMBIC.name not in names_in(engine):
        return []
    with engine.connect() as connection:
        return sorted(connection.scalars(select(ALEMBIC.c.version_num)))


def copy_schema_version(source: Engine, target: Engine) -> None:
    versions = versions_in(source)
    if versions and versions != versions_in(target):
        with target.begin() as writing:
            ALEMBIC.create(writing, checkfirst=True)
            writing.execute(ALEMBIC.insert(), [{"version_num": version} for version in versions])


URL = "sqlite:///FILE or mysql://USER:PASSWORD@HOST/DATABASE"


@commands.command()
def copy(
    from_url: Annotated[str, typer.Argument(metavar="FROM_URL", help=URL)],
    to_url: Annotated[str, typer.Argument(metavar="TO_URL", help=URL)],
    as_json: AsJson = False,
) -> None:
    """Copy the whole service to an empty database, and compare each row. If it breaks off, run it again."""
    source, target = models.make_engine(from_url), models.make_engine(to_url)
    if source.url == target.url or None in {source.url.database, target.url.database}:
        fail("Name two databases, neither in memory.", USAGE)
    tables = read_source(source)
    prepare(source, target, tables)
    copied = {table.name: copy_table(source, target, table) for table in tables}
    for table in tables:
        keep_ids_used(source, target, table)
    copy_schema_version(source, target)
    for table in tables:
        if wrong := first_difference(source, target, table):
            fail(f"{table.name} {wrong} is not the same in both: stop the service, empty the target and copy again.")
    MARK.drop(target)
    rows = sum(copied.values())
    say(f"{rows:,} rows copied; each row of the target is the source's.", {"copied": copied}, as_json)
