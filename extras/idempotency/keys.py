"""Each key is good for one post, and is kept in the same transaction, where its index refuses it a second time."""

import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, NamedTuple

from fastapi.exceptions import RequestValidationError
from sqlalchemy import Connection, delete, exc

import app as core
import models
import schemas

from .tables import Key

KEY_USED = {
    "type": "idempotency_key_used",
    "loc": ("header", "Idempotency-Key"),
    "msg": "This key was sent with another post: take a new key for each post",
}
WARY = 60  # seconds in which keys are looked for before they are kept, once one was there

wary = SimpleNamespace(until=0.0)

Write = tuple[int, schemas.PostInput, str]  # the account's id, the post and its key, "" for none
Result = int | Exception | None  # the new post's id, what refuses it, or None if it is not written here


class Claim(NamedTuple):
    user_id: int
    digest: bytes
    body: bytes


Kept = tuple[int, bytes, bytes, int, int]  # a claim, the post's id, and when it expires


class Replay(Exception):
    """The post was written before, and has this id; nothing is written now."""


def claim(user_id: int, post: schemas.PostInput, key: str) -> Claim | None:
    """Digests of the account with its key, and of what the body means."""
    if not key:
        return None
    hash_of = sha256(f"{user_id} {key}".encode())
    digest = hash_of.digest()
    hash_of.update(f"\n{post.status} {post.text}".encode())
    return Claim(user_id, digest, hash_of.digest())


def once(
    ttl: int,
    connection: Connection,
    writes: Sequence[Write],
    write: Callable[[Sequence[Any]], Sequence[Result]],
    look: bool = False,
) -> Sequence[Result]:
    """`write` those whose key is new; the accounts are locked, so of two at once the second finds the first's key.

    To look for keys takes as long as to keep them, and most are new. So unless one was sent again of late, or a check
    might count its post, they are kept without a look; one that was there rolls all back, and each is to be written by
    itself.
    """
    claims, now = [claim(*each) for each in writes], models.now()
    if look or models.hooks.on_post or time.monotonic() < wary.until:
        return look_and_write(connection, claims, writes, write, now, now + ttl * 1000)
    written = write(writes)
    keep(connection, claims, written, now + ttl * 1000)
    return written


def look_and_write(
    connection: Connection,
    claims: Sequence[Claim | None],
    writes: Sequence[Write],
    write: Callable[[Sequence[Any]], Sequence[Result]],
    now: int,
    until: int,
) -> list[Result]:
    """If a key comes twice, the first is written."""
    found = find(connection, [mine for mine in claims if mine])
    known = {key.digest: (key.body, key.post_id) for key in found if key.expires_at > now}
    firsts: dict[object, int] = {}
    for number, mine in enumerate(claims):
        firsts.setdefault(mine.digest if mine else number, number)
    new = [number for digest, number in firsts.items() if digest not in known]
    results = write([writes[number] for number in new])
    if over := [key.id for key in found if key.expires_at <= now]:
        connection.execute(delete(Key).where(Key.id.in_(over)))
    keep(connection, [claims[number] for number in new], results, until)
    written = dict(zip(new, results, strict=True))
    return [
        replay(*known[mine.digest], mine) if mine and mine.digest in known else written.get(number)
        for number, mine in enumerate(claims)
    ]


def replay(body: bytes, post_id: int, mine: Claim) -> Exception:
    return Replay(post_id) if body == mine.body else RequestValidationError([KEY_USED])


# One statement each for all, as each takes its time; those of SQLAlchemy take longer to make than to run.
COLUMNS = "user_id, digest, body, post_id, expires_at"
FIND = f"SELECT id, {COLUMNS} FROM idempotency_keys WHERE "  # noqa: S608
KEEP = f"INSERT INTO idempotency_keys ({COLUMNS}) VALUES "  # noqa: S608


def find(connection: Connection, claims: list[Claim]) -> Sequence[Any]:
    """Those of these keys that are kept, or were."""
    these = " OR ".join(f"user_id = {user_id} AND digest = X'{digest.hex()}'" for user_id, digest, _ in claims)
    return connection.exec_driver_sql(FIND + these).all()


def keep(connection: Connection, claims: Sequence[Claim | None], posts: Sequence[Result], until: int) -> None:
    """Those of posts that were written."""
    keys = [(*mine, post, until) for mine, post in zip(claims, posts, strict=True) if mine and isinstance(post, int)]
    if not keys:
        return
    try:
        if models.SQLITE:
            connection.exec_driver_sql(KEEP + "(?, ?, ?, ?, ?)", keys)
        else:
            connection.exec_driver_sql(KEEP + ", ".join(map(literal, keys)))
    except exc.IntegrityError:
        wary.until = time.monotonic() + WARY
        raise


def literal(key: Kept) -> str:
    """PyMySQL takes long to escape bytes."""
    user_id, digest, body, post_id, expires_at = key
    return f"({user_id}, X'{digest.hex()}', X'{body.hex()}', {post_id}, {expires_at})"


def write_once(connection: Connection, user_id: int, post: schemas.PostInput, key: str) -> int:
    """The new post's id, in a transaction of its own; raises what refuses it, or its Replay."""
    core.raise_version(connection, user_id, 0, 0)  # locks the account; a Replay rolls it back
    write = lambda new: [core.write_post(connection, *each[:2]) for each in new]  # noqa: E731
    (result,) = models.hooks.once(connection, [(user_id, post, key)], write, look=True)
    if isinstance(result, Exception):
        raise result
    return int(result)
