"""Mails are written in the transaction of what caused them: none is lost, and none is sent for what was rolled back."""

from typing import Any

from sqlalchemy import Connection, insert, select, update

import auth
import models

from .links import LIFETIME, make_link
from .tables import DAY, HOUR, Asked, Mail

MOST = 3  # links of a kind, in an hour


def put(connection: Connection, user_id: int, recipient: str, kind: str, language: str, content: str | None) -> None:
    if "=?" in recipient:  # no mailbox is called so, and what is made like an encoded word is read as somebody else's
        return
    now = models.now()
    values = {"user_id": user_id, "recipient": recipient, "kind": kind, "language": language, "content": content}
    values |= {"created_at": now, "due_at": now, "until": now + LIFETIME.get(kind, 3 * DAY)}  # a dead link is no use
    connection.execute(insert(Mail), values)


def put_link(connection: Connection, user: Any, kind: str, recipient: str, language: str) -> bool:
    """A link for the account, if there is one (whose row is locked); whether it was not one too many."""
    if is_one_too_many(connection, kind, recipient, user.id if user else recipient):
        return False
    if user:
        older = Mail.user_id == user.id, Mail.kind == kind, Mail.due_at.is_not(None)
        connection.execute(update(Mail).where(*older).values(due_at=None, content=None))  # their link ends, too
        new_email = recipient if kind == "change" else None
        put(connection, user.id, recipient, kind, language, make_link(connection, user, kind, new_email))
    return True


def is_one_too_many(connection: Connection, kind: str, *whose: object) -> bool:
    """Counts it unless it is; for an address that has no account, too, or it could be told by that."""
    digests = {auth.digest(f"{kind} {each}") for each in whose}
    lately = Asked.digest.in_(digests), Asked.created_at > models.now() - HOUR
    asked = connection.scalars(select(Asked.digest).where(*lately).with_for_update()).all()  # not beside another
    if any(asked.count(each) >= MOST for each in digests):
        return True
    connection.execute(insert(Asked), [{"digest": each, "created_at": models.now()} for each in digests])
    return False
