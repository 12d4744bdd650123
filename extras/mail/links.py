"""Links that are good once: 256 random bits, of which the database has the digest alone."""

import secrets
from typing import Any

from sqlalchemy import Connection, delete, insert, select

import auth
import models
from models import User

from .tables import DAY, Link

LIFETIME = {"reset": 1_800_000, "verify": 3 * DAY, "change": 3 * DAY}
UNKNOWN = "The link is unknown, was used, or is too old: ask for another."


def owner_of(kind: str, user: Any) -> str:
    """What ends the link when it changes: the address, and but for a confirmation of it the password too."""
    return auth.digest(user.email if kind == "verify" else f"{user.email} {user.password_hash}")


def make_link(connection: Connection, user: Any, kind: str, new_email: str | None) -> str:
    """The token. The account's row is locked; a link that it had of this kind ends."""
    end_links(connection, user.id, kind)
    token = secrets.token_urlsafe(32)
    values = {"user_id": user.id, "kind": kind, "digest": auth.digest(token), "owner": owner_of(kind, user)}
    values |= {"new_email": new_email, "expires_at": models.now() + LIFETIME[kind]}
    connection.execute(insert(Link), values)
    return token


def find_link(connection: Connection, token: str, *kinds: str, lock: bool = True) -> Any:
    """The account with the kind and the new address of its link; None if there is none that is good."""
    query = select(User.id, User.email, User.password_hash, Link.kind, Link.new_email, Link.owner).join_from(Link, User)
    good = Link.digest == auth.digest(token), Link.kind.in_(kinds), Link.expires_at > models.now()
    query = query.where(*good).with_for_update() if lock else query.where(*good)
    link = connection.execute(query).one_or_none()
    return link if link and link.owner == owner_of(link.kind, link) else None


def end_links(connection: Connection, user_id: int, *kinds: str) -> None:
    connection.execute(delete(Link).where(Link.user_id == user_id, Link.kind.in_(kinds)))
