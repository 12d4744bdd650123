"""Each key is good for one post: it is looked for before the post is written, and kept in the same transaction."""

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import chain
from typing import Any, NamedTuple

from fastapi.exceptions import RequestValidationError
from sqlalchemy import Connection, delete

import app as core
import models
import schemas

from .bound import make_room
from .tables import Key

KEY_USED = {
    "type": "idempotency_key_used",
    "loc": ("header", "Idempotency-Key"),
    "msg": "This key was sent with another post: take a new key for each post",
}

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
    mine = f"{user_id} {key}"
    body = f"{mine}\n{post.status} {post.text}"
    return Claim(user_id, sha256(mine.encode()).digest(), sha256(body.encode()).digest())


def once(
    ttl: int, connection: Connection, writes: Sequence[Write], write: Callable[[list[Any]], Sequence[Result]]
) -> list[Result]:
    """`write` those whose key is new; the accounts are locked, so of two at once the second finds the first's key.

    If a key comes twice among them, it is written once here, and the other is not.
    """
    claims = [claim(*each) for each in writes]
    found, now = find(connection, [mine for mine in claims if mine]), models.now()
    known = {key.digest: (key.body, key.post_id) for key in found if key.expires_at > now}
    firsts: dict[object, int] = {}
    for number, mine in enumerate(claims):
        firsts.setdefault(mine.digest if mine else number, number)
    new = [number for digest, number in firsts.items() if digest not in known]
    written = dict(zip(new, write([writes[number] for number in new]), strict=True))
    results, kept = list[Result](), list[Kept]()
    for number, mine in enumerate(claims):
        result = replay(*known[mine.digest], mine) if mine and mine.digest in known else written.get(number)
        if mine and isinstance(result, int):
            kept.append((*mine, result, now + ttl * 1000))
        results.append(result)
    if kept:
        digests = {digest for _, digest, *_ in kept}
        keep(connection, kept, [key.id for key in found if key.digest in digests])  # whose time is over
    return results


def replay(body: bytes, post_id: int, mine: Claim) -> Exception:
    return Replay(post_id) if body == mine.body else RequestValidationError([KEY_USED])


# One statement each for all, as each takes its time; those of SQLAlchemy take longer to make than to run.
COLUMNS = "user_id", "digest", "body", "post_id", "expires_at"
KEEP = f"INSERT INTO idempotency_keys ({', '.join(COLUMNS)}) VALUES "  # noqa: S608
FIND = f"SELECT id, {', '.join(COLUMNS)} FROM idempotency_keys WHERE "  # noqa: S608
MARK = "?" if models.SQLITE else "%s"


def find(connection: Connection, claims: list[Claim]) -> Sequence[Any]:
    """Those of these keys that are kept, or were."""
    each = f"user_id = {MARK} AND digest = {MARK}"
    values = tuple(chain.from_iterable(mine[:2] for mine in claims))
    return connection.exec_driver_sql(FIND + " OR ".join([each] * len(claims)), values).all()


def keep(connection: Connection, keys: list[Kept], over: list[int]) -> None:
    for user_id, count in Counter(key[0] for key in keys).items():
        make_room(connection, user_id, count)
    if over:
        connection.execute(delete(Key).where(Key.id.in_(over)))
    row = f"({', '.join([MARK] * len(COLUMNS))})"
    connection.exec_driver_sql(KEEP + ", ".join([row] * len(keys)), tuple(chain.from_iterable(keys)))


def write_once(connection: Connection, user_id: int, post: schemas.PostInput, key: str) -> int:
    """The new post's id, in a transaction of its own; raises what refuses it, or its Replay."""
    core.raise_version(connection, user_id, 0, 0)  # locks the account; a Replay rolls it back
    write = lambda new: [core.write_post(connection, *each[:2]) for each in new]  # noqa: E731
    (result,) = models.hooks.once(connection, [(user_id, post, key)], write)
    if isinstance(result, Exception):
        raise result
    return int(result)
