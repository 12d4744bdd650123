"""Export and import: the JSON of `account`'s /exportData, of whatever size, in little memory."""

import asyncio
import hashlib
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, BinaryIO

import ijson  # type: ignore[import-untyped]
import typer
from pydantic import AwareDatetime, BaseModel, Field, ValidationError
from sqlalchemy import Connection, func, insert, select

import app as core
import auth
import models
import schemas
from extras.account import export as account_export
from extras.account.sessions import SessionOut, read_sessions
from extras.account.tables import Session
from models import Post

from . import service
from .output import AsJson, Email, address, bar, fail, say
from .service import change, find_account, present

POSTS_AT_ONCE, BYTES_AT_ONCE = 500, 2**19  # in one transaction
DEEPEST = 100  # lists and objects of the file that are within each other
HELD_AT_ONCE = 1000  # posts of the account that are looked at in one go, beyond the first at most 1 MB

commands = typer.Typer()


@commands.command()
def export(email: Email, _: AsJson = False) -> None:
    """Write all that an account holds to standard output, as its own /exportData does; always JSON."""
    asyncio.run(write_export(find_account(email)))


async def write_export(user: Any) -> None:
    account = auth.Account(user.id, user.posts_version, 0)
    owner = account_export.Owner.model_validate({"email": user.email, "createdAt": user.created_at})
    sessions: list[SessionOut] = read_sessions(account) if Session.__tablename__ in present() else []
    more = {name: find(user.id) for name, find in account_export.others.items()}
    page = core.page_of_posts(account.id, account.posts_version, "", core.PAGE_POSTS, schemas.MAX_ID)
    async for part in account_export.stream_export(account, owner, sessions, more, page):
        sys.stdout.buffer.write(part)
        core.pages.clear()  # nobody asks for a page twice
    sys.stdout.buffer.flush()


# Others, such as those that are of another year in UTC, the service could not show.
Time = Annotated[AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9999, 12, 31, tzinfo=UTC))]


class Sent(BaseModel):
    """A post as it is in the file; what else it has, such as its old id, is left behind."""

    text: Annotated[str, Field(min_length=1)]
    status: schemas.Status
    createdAt: Time
    updatedAt: Time


# A post as it is kept, without its account.
Kept = tuple[str, int, int, str]  # status, created_at, updated_at, text


def key_of(post: Kept) -> bytes:
    """Two posts with the same are the same post."""
    status, created_at, updated_at, text = post
    return hashlib.sha256(f"{status} {created_at} {updated_at} {text}".encode()).digest()[:16]


def read_post(sent: Any, number: int) -> Kept:
    try:
        post = Sent.model_validate(sent)
    except ValidationError as error:
        wrong = error.errors()[0]
        fail(f"Post {number} of the file: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}. Nothing was imported.")
    if len(post.text.encode()) > core.POST_BODY:
        fail(f"Post {number} of the file has more than {core.POST_BODY:,} bytes. Nothing was imported.")
    return post.status, milliseconds(post.createdAt), milliseconds(post.updatedAt), post.text


def milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


class Spool:
    """What the file and the account hold, in a file of its own: it may be more than the memory has."""

    def __init__(self, folder: str) -> None:
        self.file = sqlite3.connect(f"{folder}/spool.db", isolation_level=None)
        self.file.execute("PRAGMA journal_mode = OFF")
        self.file.execute("CREATE TABLE sent (id INTEGER PRIMARY KEY, status, created_at, updated_at, text)")
        self.file.execute("CREATE TABLE held (key BLOB PRIMARY KEY, posts INTEGER) WITHOUT ROWID")
        self.file.execute("BEGIN")
        self.last = 0  # of the account's posts that were looked at

    def send(self, post: Kept) -> None:
        self.file.execute("INSERT INTO sent (status, created_at, updated_at, text) VALUES (?, ?, ?, ?)", post)

    def sent(self) -> Iterator[Kept]:
        """The oldest first, which is the file's last."""
        yield from self.file.execute("SELECT status, created_at, updated_at, text FROM sent ORDER BY id DESC")

    def hold(self, post: Kept) -> None:
        more = "INSERT INTO held VALUES (?, 1) ON CONFLICT DO UPDATE SET posts = posts + 1"
        self.file.execute(more, (key_of(post),))

    def count(self, key: bytes) -> int:
        """How many like it the account holds that are none of the file's so far."""
        found = self.file.execute("SELECT posts FROM held WHERE key = ?", (key,)).fetchone()
        return int(found[0]) if found else 0

    def take(self, keys: Counter[bytes]) -> None:
        self.file.executemany("UPDATE held SET posts = posts - ? WHERE key = ?", [(n, key) for key, n in keys.items()])


def read_events(file: BinaryIO) -> Iterator[tuple[str, Any]]:
    """The file's JSON. If it were nested deeper, its paths would fill the memory; huge integers crash ijson."""
    depth = 0
    for event, value in ijson.basic_parse(file, use_float=True):
        depth += event.startswith("start_") - event.startswith("end_")
        if depth > DEEPEST:
            fail("The file is no export: it is nested too deep. Nothing was imported.")
        yield event, value


def read_file(file: BinaryIO, spool: Spool) -> tuple[str, int]:
    """The address in the file and how many posts it has, which are in the spool then."""
    email, count, lists = "", 0, 0

    def watch() -> Iterator[Any]:
        nonlocal email, lists
        for prefix, event, value in ijson.parse(read_events(file)):
            if (prefix, event) == ("account.email", "string"):
                email = value
            lists += (prefix, event) == ("posts", "start_array")
            yield prefix, event, value

    try:
        for count, sent in enumerate(ijson.items(watch(), "posts.item"), 1):
            spool.send(read_post(sent, count))
    except (ijson.JSONError, UnicodeDecodeError):
        fail("The file is no JSON, or breaks off. Nothing was imported.")
    if not lists:
        fail("The file is no export: it has no list of posts. Nothing was imported.")
    return email, count


def newer_posts(connection: Connection, user_id: int, after: int) -> list[Any]:
    """The account's next posts after an id, so many that the memory holds them."""
    mine = select(Post.id, Post.size).where(Post.user_id == user_id, Post.id > after).order_by(Post.id)
    ids, total = list[int](), 0
    for post_id, size in connection.execute(mine.limit(HELD_AT_ONCE)):
        total += size
        if ids and total > core.PAGE_BYTES:
            break
        ids.append(post_id)
    columns = Post.id, Post.status, Post.created_at, Post.updated_at, Post.text
    within = Post.user_id == user_id, Post.id.between(ids[0], ids[-1]) if ids else Post.id == 0
    return list(connection.execute(select(*columns).where(*within).order_by(Post.id)))


def hold_newer(connection: Connection, user_id: int, spool: Spool) -> None:
    """Look at the posts that the account has beyond those that were looked at."""
    while posts := newer_posts(connection, user_id, spool.last):
        for post_id, *post in posts:
            spool.hold(tuple(post))
            spool.last = post_id


def write_some(
    connection: Connection, user_id: int, posts: list[Kept], spool: Spool
) -> tuple[Counter[bytes], int, int]:
    """Write those that the account has not. The others; how many it wrote, and the last of the account.

    The account is locked first, and what was written since it was looked at is looked at now, so that of two imports
    at once one writes a post.
    """
    core.raise_version(connection, user_id, 0, 0)
    hold_newer(connection, user_id, spool)
    there, new = Counter[bytes](), list[dict[str, Any]]()
    for post in posts:
        key = key_of(post)
        if there[key] < spool.count(key):
            there[key] += 1
        else:
            values = dict(zip(("status", "created_at", "updated_at", "text"), post, strict=True))
            new.append({"user_id": user_id, "size": len(post[3].encode()), **values})
    if new:
        core.raise_version(connection, user_id, len(new), sum(row["size"] for row in new))
        connection.execute(insert(Post), new)
    last = connection.scalar(select(func.max(Post.id)).where(Post.user_id == user_id)) or 0
    return there, len(new), last


def batches(posts: Iterator[Kept]) -> Iterator[list[Kept]]:
    batch, size = list[Kept](), 0
    for post in posts:
        batch.append(post)
        size += len(post[3])
        if len(batch) == POSTS_AT_ONCE or size > BYTES_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@commands.command("import")
def import_file(
    file: Annotated[typer.FileBinaryRead, typer.Argument(metavar="FILE", help="An export; - is standard input.")],
    account: Annotated[
        str | None, typer.Option("--as", parser=address, metavar="EMAIL", help="Not the file's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import the posts of an export into an account that is there. Those that it has already are left out."""
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(folder)
        with closing(spool.file):
            email, count = read_file(file, spool)
            if not account and not email:
                fail("The file names no account: say --as EMAIL.")
            user = find_account(account or address(email))
            written = import_posts(user.id, count, spool)
    line = f"{user.email}: posts imported: {written:,}, there already: {count - written:,}."
    say(line, {"email": user.email, "imported": written, "there": count - written}, as_json)


def import_posts(user_id: int, count: int, spool: Spool) -> int:
    with models.engine.connect() as connection:
        hold_newer(connection, user_id, spool)
    written, pace = 0, service.Pace()
    with bar("posts", count) as progress:
        for batch in batches(spool.sent()):
            there, new, last = change(partial(write_some, user_id=user_id, posts=batch, spool=spool))
            spool.take(there)
            spool.last = last
            written += new
            progress.advance(len(batch))
            pace.rest()
    return written
