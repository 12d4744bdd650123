"""Who may come in: passwords, sessions and locks."""

from typing import Annotated

import sqlalchemy as sa
import typer
from sqlalchemy import Connection, insert, select, update

import auth
import models
from extras.account import sessions
from extras.account.tables import RefreshToken, Session
from models import Token, User

from . import service
from .locks import Lock
from .output import USAGE, AsJson, Email, Yes, address, ask_password, bar, confirm, fail, say
from .service import change, find_account, names, present, remove, table_of

AT_ONCE = 500  # rows of a table that one transaction deletes

commands = typer.Typer()


def end_some(connection: Connection, user_id: int) -> bool:
    """End sessions and access tokens of the account, a bounded number; whether more may be left."""
    if Session.__tablename__ in present():
        return sessions.end_some(connection, user_id)
    tokens = sessions.first(connection, select(Token.id).where(Token.user_id == user_id))
    connection.execute(sa.delete(Token).where(Token.id.in_(tokens)))
    return len(tokens) == sessions.AT_ONCE


def end_sessions_of(user_id: int) -> None:
    while change(lambda tx: end_some(tx, user_id)):
        pass


def end_with(connection: Connection, user_id: int) -> None:
    """End all that is left, in the transaction of what no session may outlast; the account is locked."""
    while end_some(connection, user_id):
        pass


@commands.command()
def set_password(email: Email, as_json: AsJson = False) -> None:
    """Give an account a new password, asked for twice or the first line of standard input; its sessions end."""
    user = find_account(email)
    new_hash = auth.hash_password(ask_password())

    def replace(connection: Connection) -> None:
        connection.execute(update(User).where(User.id == user.id).values(password_hash=new_hash))
        end_with(connection, user.id)

    end_sessions_of(user.id)
    change(replace)
    say(f"{email} has a new password, and no session.", {"id": user.id, "email": email}, as_json)


@commands.command()
def end_sessions(
    email: Annotated[str | None, typer.Argument(parser=address, metavar="EMAIL", help="The account's address.")] = None,
    all_accounts: Annotated[bool, typer.Option("--all", help="Those of all accounts.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """End the sessions and tokens of an account, or of all: whoever was logged in logs in again."""
    if bool(email) == all_accounts:
        fail("Name one EMAIL, or say --all.", USAGE)
    user = find_account(email) if email else None
    confirm(f"End the sessions of {email or 'ALL accounts'}?", yes)
    if user:
        end_sessions_of(user.id)
    else:
        end_all()
    who = email or "all accounts"
    say(f"The sessions of {who} have ended.", {"ended": who}, as_json)


def end_all() -> None:
    """All that there are; those that begin meanwhile may stay. Tokens last: a trade finds no session any more."""
    pace = service.Pace()
    for table in map(table_of, (RefreshToken, Session, Token)):
        if table.name not in present():
            continue
        last = service.highest(table)
        with bar(table.name, last) as progress:
            for first, end in service.windows(table, AT_ONCE):
                if first > last:
                    break
                remove(table, table.c.id.between(first, end))
                progress.reach(end)
                pace.rest()


def check_extra() -> None:
    if "admin" not in names or Lock.__tablename__ not in present():
        fail("Locks hold only with the extra `admin` on: start the service with EXTRAS=+admin, and set it here too.", 3)


@commands.command()
def lock(email: Email, yes: Yes = False, as_json: AsJson = False) -> None:
    """Lock an account out: its sessions and tokens end, and its login is 403. Its posts stay."""
    check_extra()
    user = find_account(email)
    confirm(f"Lock {email} out?", yes)

    def set_lock(connection: Connection) -> None:
        connection.execute(select(User.id).where(User.id == user.id).with_for_update())  # a login is over, or yet to be
        if not connection.execute(select(Lock.id).where(Lock.user_id == user.id)).first():
            connection.execute(insert(Lock).values(user_id=user.id, created_at=models.now()))
        end_with(connection, user.id)

    end_sessions_of(user.id)
    change(set_lock)
    say(f"{email} is locked.", {"id": user.id, "email": email, "locked": True}, as_json)


@commands.command()
def unlock(email: Email, as_json: AsJson = False) -> None:
    """Let a locked account in again."""
    check_extra()
    user = find_account(email)
    remove(table_of(Lock), Lock.user_id == user.id)
    say(f"{email} is not locked.", {"id": user.id, "email": email, "locked": False}, as_json)
