"""Each key is good for one post: it is looked for before the post is written, and kept in the same transaction."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastapi.exceptions import RequestValidationError
from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select

import app as core
import models
import schemas
from auth import digest
from models import User

from .tables import Key

MOST = 10_000  # keys of an account; one more, and the oldest goes

KEY_USED = {
    "type": "idempotency_key_used",
    "loc": ("header", "Idempotency-Key"),
    "msg": "This key was sent with another post: take a new key for each post",
}

Write = tuple[int, schemas.NewPost, str]  # the account's id, the post and its key, "" for none
Result = int | Exception | None  # the new post's id, what refuses it, or None if it is not written here


class Claim(NamedTuple):
    user_id: int
    digest: str
    body: str


class Replay(Exception):
    """The post was written before; nothing is now."""

    def __init__(self, post_id: int) -> None:
        super().__init__(post_id)
        self.post_id = post_id


def claim(user_id: int, post: schemas.NewPost, key: str) -> Claim | None:
    """Digests of the account with its key, and of what the body means."""
    mine = f"{user_id} {key}"
    return Claim(user_id, digest(mine), digest(f"{mine}\n{post.status} {post.text}")) if key else None


def once(ttl: int, connection: Connection, writes: Sequence[Write], write: Callable[[Any], Result]) -> list[Result]:
    """`write` each whose key is new; the accounts are locked, so of two at once the second finds the first's key."""
    claims = [claim(*each) for each in writes]
    found, now = find(connection, [mine.digest for mine in claims if mine]), models.now()
    known = {key.digest: (key.body, key.post_id) for key in found if key.expires_at > now}
    kept, results = list[dict[str, Any]](), list[Result]()
    for each, mine in zip(writes, claims, strict=True):
        result = replay(*known[mine.digest], mine) if mine and mine.digest in known else write(each)
        if mine and isinstance(result, int):
            known[mine.digest] = mine.body, result
            kept.append({**mine._asdict(), "post_id": result, "expires_at": models.now() + ttl * 1000})
        results.append(result)
    if kept:
        expired = {key.digest: key.id for key in found if key.expires_at <= now}
        forget(connection, [expired[key["digest"]] for key in kept if key["digest"] in expired])
        keep(connection, kept)
    return results


def replay(body: str, post_id: int, mine: Claim) -> Exception:
    return Replay(post_id) if body == mine.body else RequestValidationError([KEY_USED])


FIND = select(Key.id, Key.digest, Key.body, Key.post_id, Key.expires_at).where(
    Key.digest.in_(bindparam("digests", expanding=True))
)


def find(connection: Connection, digests: list[str]) -> Sequence[Any]:
    return connection.execute(FIND, {"digests": digests}).all()


def forget(connection: Connection, ids: Sequence[int]) -> None:
    if ids:
        connection.execute(delete(Key).where(Key.id.in_(ids)))


LATEST = select(User.id, select(func.max(Key.number)).where(Key.user_id == User.id).scalar_subquery()).where(
    User.id.in_(bindparam("accounts", expanding=True))
)


def keep(connection: Connection, keys: list[dict[str, Any]]) -> None:
    """The keys' numbers tell, without counting, which are the oldest of too many."""
    rows = connection.execute(LATEST, {"accounts": list({key["user_id"] for key in keys})}).all()
    latest = {user_id: number or 0 for user_id, number in rows}
    for key in keys:
        key["number"] = latest[key["user_id"]] = latest[key["user_id"]] + 1
    connection.execute(insert(Key), keys)
    oldest = [and_(Key.user_id == each, Key.number <= latest[each] - MOST) for each in latest if latest[each] > MOST]
    if oldest:
        forget(connection, connection.scalars(select(Key.id).where(or_(*oldest)).limit(1000)).all())


def write_once(connection: Connection, user_id: int, post: schemas.NewPost, key: str) -> int:
    """The new post's id, in a transaction of its own; raises what refuses it, or its Replay."""
    core.raise_version(connection, user_id)  # locks the account; a Replay rolls it back
    write: Callable[[Write], int] = lambda each: core.write_post(connection, *each[:2])  # noqa: E731
    (result,) = models.hooks.once(connection, [(user_id, post, key)], write)
    if isinstance(result, Exception):
        raise result
    return int(result)
