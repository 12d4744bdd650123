"""Whose handle it is, and the published posts: whole, or as much as a list shows of them."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Row, select

import models
from models import Post, User

from .tables import Handle, Name

EXCERPT = 2**12  # bytes of a post that a list or feed shows


class Owner(NamedTuple):
    """What changes with all that is shown: the version goes up with each write of posts and of the profile."""

    user_id: int
    version: int


class Person(NamedTuple):
    name: str
    since: int


class Entry(NamedTuple):
    """A post as it is shown."""

    id: int
    text: str
    whole: bool
    created_at: int
    updated_at: int


OWNERS = (
    select(Handle.handle, User.id, User.posts_version)
    .join_from(Handle, User)
    .where(Handle.handle.in_(sa.bindparam("handles", expanding=True)), Handle.free_at.is_(None))
)


def find_owner(handle: str) -> Owner | None:
    rows = models.fetch(OWNERS.params(handles=[handle]))
    return Owner(*rows[0][1:]) if rows and rows[0].handle == handle else None  # for MySQL "ada " is "ada"


def find_person(user_id: int) -> Person:
    query = select(Name.name, User.created_at).join_from(User, Name, isouter=True).where(User.id == user_id)
    rows = models.fetch(query)
    return Person(rows[0].name or "", rows[0].created_at) if rows else Person("", 0)


def ids_of(user_id: int, limit: int, *where: sa.ColumnElement[bool], oldest: bool = False) -> list[int]:
    """Of published posts, the newest first or the oldest; by the index alone, however many posts others have."""
    query = select(Post.id).where(Post.user_id == user_id, Post.status == "published", *where)
    rows = models.fetch(query.order_by(Post.id if oldest else Post.id.desc()).limit(limit))
    return [row.id for row in rows]


def find_excerpts(ids: Sequence[int]) -> list[Entry]:
    """Of these posts, newest first; not of one that has become a draft since its id was found."""
    start = sa.func.substr(sa.cast(Post.text, sa.LargeBinary), 1, EXCERPT).label("start")
    columns = Post.id, start, Post.size, Post.created_at, Post.updated_at
    rows = models.fetch(select(*columns).where(Post.id.in_(ids), Post.status == "published").order_by(Post.id.desc()))
    return [
        Entry(row.id, row.start.decode(errors="ignore"), row.size <= EXCERPT, row.created_at, row.updated_at)
        for row in rows
    ]


def find_post(user_id: int, post_id: int) -> Row[tuple[int, str, int, int]] | None:
    columns = Post.id, Post.text, Post.created_at, Post.updated_at
    mine = Post.id == post_id, Post.user_id == user_id, Post.status == "published"
    rows = models.fetch(select(*columns).where(*mine))
    return rows[0] if rows else None
