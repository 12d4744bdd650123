"""What is printed, and what is asked: results to standard output, all else to standard error."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import typer
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

import schemas

FOUND, USAGE, UNUSABLE = 1, 2, 3  # exit codes: what was looked for is missing or wrong; asked wrongly; no database

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def address(text: str) -> str:
    """As the service has it; what is no address is a usage error."""
    try:
        email: str = TypeAdapter(schemas.Email).validate_python(text)
    except (ValidationError, UnicodeEncodeError):
        raise typer.BadParameter("this is not a valid email address") from None
    return email


Email = Annotated[str, typer.Argument(parser=address, metavar="EMAIL", help="The account's address.")]


def fail(line: str, code: int = FOUND) -> NoReturn:
    print(line, file=sys.stderr)
    sys.exit(code)


def confirm(question: str, yes: bool) -> None:
    """Go on only after a `y`."""
    if yes:
        return
    if not sys.stdin.isatty():
        fail("Nobody is there to be asked: say --yes.", USAGE)
    if not typer.confirm(question, err=True):
        fail("Nothing was changed.")


def ask_password() -> str:
    """Asked for twice; or the first line of standard input, if that is no terminal."""
    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    try:
        password.encode()
        return schemas.check_length(password)
    except UnicodeEncodeError:
        fail("The password is not UTF-8.", USAGE)
    except PydanticCustomError as error:
        fail(f"{error.message()}.", USAGE)


def say(line: str, result: dict[str, Any], as_json: bool) -> None:
    print(json.dumps(result) if as_json else line)


def show(rows: list[dict[str, Any]], as_json: bool) -> None:
    """A table with a column for each field."""
    if as_json:
        print(json.dumps(rows))
    elif rows:
        table = Table(*rows[0], box=box.SIMPLE_HEAD)
        for column, name in zip(table.columns, rows[0], strict=True):
            column.overflow = "fold"
            column.justify = "right" if all(isinstance(row[name], int) for row in rows) else "left"
        for row in rows:
            table.add_row(*[Text(cell(value)) for value in row.values()])
        Console(width=None if sys.stdout.isatty() else 1000).print(table)  # in a file no line is broken


def cell(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "yes" if value else ""
    return f"{value:,}" if isinstance(value, int) else str(value)


def time_of(milliseconds: int | None) -> str | None:
    """As the service writes times."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Bar:
    def __init__(self, progress: Progress) -> None:
        self.progress, self.task = progress, progress.tasks[0].id

    def reach(self, done: int) -> None:
        self.progress.update(self.task, completed=done)

    def advance(self, more: int) -> None:
        self.progress.advance(self.task, more)


@contextmanager
def bar(what: str, total: int) -> Iterator[Bar]:
    """On a terminal's standard error."""
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    progress = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
    progress.add_task(what, total=total)
    with progress:
        yield Bar(progress)
