"""Accounts: listed, shown, opened, renamed and deleted."""

import heapq
from enum import StrEnum
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from sqlalchemy import exc, func, insert, select, update

import auth
import models
from extras.account import deletion
from extras.account.tables import Session
from models import Post, Token, User

from . import service
from .access import end_sessions_of
from .locks import Lock
from .output import AsJson, Email, Yes, address, ask_password, bar, confirm, fail, say, show, time_of
from .service import change, find_account, present, remove, table_of

USERS_AT_ONCE = 500

commands = typer.Typer()


class Order(StrEnum):
    size = "size"
    posts = "posts"
    created = "created"


def describe(users: list[Any]) -> list[dict[str, Any]]:
    """What is told about these accounts, in their order."""
    ids = [user.id for user in users]
    totals = select(Post.user_id, func.count(), func.sum(Post.size)).where(Post.user_id.in_(ids)).group_by(Post.user_id)
    held = {user_id: (posts, int(size)) for user_id, posts, size in models.fetch(totals)}
    locks = select(Lock.user_id).where(Lock.user_id.in_(ids))
    locked = {lock.user_id for lock in models.fetch(locks)} if Lock.__tablename__ in present() else set()
    return [
        {
            "id": user.id,
            "email": user.email,
            "posts": held.get(user.id, (0, 0))[0],
            "bytes": held.get(user.id, (0, 0))[1],
            "created": time_of(user.created_at),
            "locked": user.id in locked,
        }
        for user in users
    ]


def every_account(search: str) -> Any:
    for first, last in service.windows(table_of(User), USERS_AT_ONCE):
        named = select(User).where(User.id.between(first, last), User.email.contains(search.lower(), autoescape=True))
        yield from describe(list(models.fetch(named)))


@commands.command("accounts")
def list_accounts(
    search: Annotated[str, typer.Option(metavar="TEXT", help="Only those whose address contains it.")] = "",
    sort: Annotated[Order, typer.Option(help="The largest or the newest first.")] = Order.created,
    page: Annotated[int, typer.Option(min=1, max=100_000)] = 1,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Accounts on a page.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the accounts, a page at a time."""
    start = (page - 1) * limit
    if sort == Order.created:
        named = select(User).where(User.email.contains(search.lower(), autoescape=True)).order_by(User.id.desc())
        rows = describe(list(models.fetch(named.offset(start).limit(limit))))
    else:
        field = {"size": "bytes", "posts": "posts"}[sort]
        most = heapq.nlargest(start + limit, every_account(search), key=lambda row: (row[field], row["id"]))
        rows = most[start:]
    show(rows, as_json)


@commands.command("show")
def show_account(email: Email, as_json: AsJson = False) -> None:
    """Show an account: its posts, its bytes, its sessions and its last use."""
    user = find_account(email)
    (row,) = describe([user])
    drafts = select(func.count()).where(Post.user_id == user.id, Post.status == "draft")
    tokens = select(func.count(), func.max(Token.created_at)).where(Token.user_id == user.id)
    live = service.one(tokens.where(Token.expires_at > models.now()))
    last_use = service.one(tokens)[1]
    row |= {"drafts": service.one(drafts)[0], "tokens": live[0], "sessions": None}
    if Session.__tablename__ in present():
        theirs = select(func.count(), func.max(Session.last_used_at)).where(Session.user_id == user.id)
        row["sessions"] = service.one(theirs.where(Session.expires_at > models.now()))[0]
        last_use = max(last_use or 0, service.one(theirs)[1] or 0) or None
    row["last_use"] = time_of(last_use)
    if as_json:
        say("", row, True)
    else:
        show([{"": name, email: value} for name, value in row.items() if name != "email"], False)


@commands.command()
def create(email: Email, as_json: AsJson = False) -> None:
    """Open an account. Its password is asked for twice, or is the first line of standard input."""
    values = {"email": email, "created_at": models.now()}
    values["password_hash"] = auth.hash_password(ask_password())
    try:
        user_id = change(lambda tx: tx.execute(insert(User), values).lastrowid)
    except exc.IntegrityError:
        fail(f"There is an account {email} already.")
    say(f"{email} is account {user_id}.", {"id": user_id, "email": email}, as_json)


@commands.command()
def rename(
    email: Email,
    new: Annotated[str, typer.Argument(parser=address, metavar="NEW", help="Its new address.")],
    as_json: AsJson = False,
) -> None:
    """Give an account another address. Its password, posts and sessions stay."""
    user = find_account(email)
    try:
        change(lambda tx: tx.execute(update(User).where(User.id == user.id).values(email=new)).close())
    except exc.IntegrityError:
        fail(f"There is an account {new} already.")
    say(f"{email} is {new} now.", {"id": user.id, "email": new}, as_json)


@commands.command()
def delete(email: Email, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete an account with all that it holds, in steps. If it breaks off, run it again."""
    user = find_account(email)
    (row,) = describe([user])
    confirm(f"Delete {email} with all posts ({row['posts']:,}), for good?", yes)
    end_sessions_of(user.id)
    pace = service.Pace()
    with bar("posts", row["posts"]) as progress:
        while change(lambda tx: deletion.remove_some_posts(tx, user.id)):
            progress.advance(deletion.POSTS_AT_ONCE)
            pace.rest()
    end_sessions_of(user.id)
    for table in service.tables():  # what else refers to it, in steps, as it may be much
        for key in table.foreign_keys:
            if key.column.table.name == User.__tablename__ and key.ondelete == "CASCADE" and table.name != "posts":
                remove_rows(table, key.parent == user.id)
    change(lambda tx: deletion.remove_account(tx, user.id))
    say(f"{email} is deleted.", {"id": user.id, "email": email, "deleted": True}, as_json)


def remove_rows(table: sa.Table, which: sa.ColumnElement[bool]) -> None:
    """In steps."""
    while ids := [row.id for row in models.fetch(select(table.c.id).where(which).limit(USERS_AT_ONCE))]:
        remove(table, table.c.id.in_(ids))
