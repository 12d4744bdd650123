"""The command line."""

import os
import sqlite3
import sys

try:
    from . import service

    service.load()  # before all that imports the app

    import typer
    from fastapi import HTTPException
    from sqlalchemy.exc import SQLAlchemyError

    import models

    from . import access, accounts, check, copying, purge, stats, transfer
    from .output import FOUND, UNUSABLE, USAGE, fail
except ModuleNotFoundError as error:
    print(f"The tool needs {error.name}. Run: pip install -r extras/requirements.txt", file=sys.stderr)
    sys.exit(3)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for part in (accounts, access, transfer, purge, check, stats, copying):
    app.add_typer(part.commands)


@app.callback()
def look(context: typer.Context) -> None:
    """The operator's tool. Give it the service's DATABASE_URL and EXTRAS; it may run beside the service.

    Exit codes: 0 done; 1 not found, refused or wrong; 2 asked wrongly; 3 no usable database or setting.
    """
    if context.invoked_subcommand != "copy" and "--help" not in sys.argv:
        service.check_database()


try:
    try:
        app(prog_name="python -m extras.admin")
    finally:
        sys.stdout.flush()
except HTTPException as refusal:  # the service's own, such as a quota that is used up
    fail(str(refusal.detail))
except UnicodeEncodeError:
    fail("What you typed is not UTF-8.", USAGE)
except SQLAlchemyError as error:
    why = models.reason(error)
    if service.may_pass(error):
        fail(f"The database cannot do this now: {why}. Run it again: it goes on where it was.", UNUSABLE)
    fail(f"The database refuses this: {why}. Mend that first.", UNUSABLE)
except (OSError, sqlite3.Error) as error:  # a pipe that nobody reads, a disk that is full
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at its end
    if isinstance(error, BrokenPipeError):
        fail("Nobody read the output to its end.", FOUND)
    fail(f"It cannot go on: {error}.", UNUSABLE)
