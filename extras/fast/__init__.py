"""The two hot paths below the framework: `GET /getPosts` from the cache and `POST /addPost`. It is on by default.

    EXTRAS=fast uvicorn app:app
    EXTRAS= uvicorn app:app              # without it: the same answers, slower

A layer around the app answers only what it is sure of, and hands all else on to FastAPI untouched: a list without a
query that is in the cache (200 and 304), and a post with a good token and a body that validates. The token is asked for
before the body is read. It has no settings, and is never seen but by its speed: the checks and log lines of the core
and of other extras are the same, and `metrics` and `logs` see the same routes.

- **Look-ups are shared**: the tokens of all requests that wait at the same moment are looked up by one statement, on a
  connection of its own that is at most 5 seconds old. No request joins a look-up that has begun, so each sees all that
  was committed before it came.
- **Commits are shared**: the posts that wait at the same moment are written in one transaction (SQLite: one fsync
  for all; MySQL the same). None can hurt another. An account that is locked elsewhere, a text of more than 64 KiB, and
  all that is left once a transaction has taken 0.5 seconds are written by the core, each in a transaction of its own;
  so is the whole batch if its transaction fails. What the database or another extra refuses is refused alone. MariaDB
  inserts them by one statement, which is given the time that is left; if it fails, posts are inserted one by one, for a
  minute.

- **Keys of `idempotency`** are kept by one statement for all posts of a transaction. One that is no plain
  `Idempotency-Key` (letters, digits, `-`, `_`), and what is not written in the shared transaction, is handed on.

With middleware of FastAPI's own kind (`app.add_middleware`) or `app.dependency_overrides` it steps aside, as it cannot
know what these want to see; an extra that adds its middleware to `models.hooks.layers` stands around it.
"""

from fastapi import FastAPI
from sqlalchemy import exc, text

import models
from models import hooks

from . import record
from .lookup import line
from .paths import FastPaths

PACKET = 2**21 + 2**12  # bytes of the largest post's statement, as each byte of its text may be escaped


def setup(app: FastAPI) -> None:
    if models.MEMORY:
        return  # its only connection is the core's
    if not models.SQLITE:
        check_packet()
    record.use()
    app.router.on_shutdown.append(line.close)
    # Next to the core's own layer, so that those of the other extras stand around it, whatever their order.
    hooks.layers.insert(0, lambda stack: stack if app.user_middleware else FastPaths(app, stack))


def check_packet() -> None:
    """A server that refuses the largest post, and with it the others of its transaction, ends the start."""
    try:
        packet = models.fetch(text("SELECT @@max_allowed_packet"))[0][0]
    except exc.SQLAlchemyError as error:
        models.unusable(models.reason(error))
    if packet < PACKET:
        models.unusable(f"the server's max_allowed_packet is {packet}, and {PACKET} is the least")
