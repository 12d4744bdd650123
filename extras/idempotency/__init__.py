"""A post that is sent again is written once: `Idempotency-Key`, as payment services have it.

    EXTRAS=+idempotency uvicorn app:app

Who gets no answer, or a 502, 503 or 504, cannot know whether the post was written. With a key it need not be known:
send the same again, as often as it takes.

    $ key='Idempotency-Key: "8e03978e-40d5-43dd-bc93-6894a57f9324"'
    $ curl -si localhost:8000/addPost -H "$auth" -H "$json" -H "$key" -d '{"text": "Hello, world"}'
    HTTP/1.1 201 Created
    {"postID":7}
    $ curl -si localhost:8000/addPost -H "$auth" -H "$json" -H "$key" -d '{"text": "Hello, world"}'
    HTTP/1.1 201 Created
    idempotent-replayed: true
    {"postID":7}

The header is that of draft-ietf-httpapi-idempotency-key-header-07: 1 to 255 printable ASCII characters in quotes, or
without them. Anything else and two headers are 400; without the header all is as before. Take a new key, such as a
random UUID, for each post, and keep it with the text until there is an answer.

| the key | the answer |
|---|---|
| is new | the post is written, and the key with it, in one transaction |
| was sent with the same text and status | 201 with the same `postID` and `Idempotent-Replayed: true` |
| was sent with another text or status | 422 |

- It holds in every worker and on every machine, after a crash, and when the post was edited or deleted since. Of two
  at once one is written; the other waits for it and is answered the same.
- What was refused or rolled back (4xx, 503) leaves no key: mend it or wait, and send it with the same key. A `detail`
  that the database broke off while it saved means the same here: send it again, and do not look first.
- A replay takes nothing of a quota of `limits`, and is a request as any other for its limits.
- Keys belong to an account: another's same key is another key. They are good for `IDEMPOTENCY_TTL` seconds, a day
  (86400) if unset, to the millisecond; after that the same key writes a new post. In the database a key is a digest,
  and goes with the account.
- Each minute, in the background and 200 at a time, the oldest go that have expired, and what an account has beyond its
  newest 10,000: until then it may have more. What has expired behind many that last longer goes some minutes later.
"""

import os
import re
from functools import partial
from typing import Any

from fastapi import FastAPI
from sqlalchemy import event

import models

from .keys import once
from .routes import add_routes


def checkpoint_later(connection: Any, _: object) -> None:
    """New keys fall all over their index, whose pages SQLite would copy from its WAL to its file again and again."""
    connection.execute("PRAGMA wal_autocheckpoint = 4000")  # pages, that is 16 MB; 1000 by default


def setup(app: FastAPI) -> None:
    value = os.environ.get("IDEMPOTENCY_TTL") or "86400"
    if not re.fullmatch("[1-9][0-9]{0,8}", value):
        models.stop("IDEMPOTENCY_TTL is how long a key is kept, in seconds: a number from 1 to 999999999.")
    models.hooks.once = partial(once, int(value))
    if models.SQLITE:
        event.listen(models.engine, "connect", checkpoint_later)
    add_routes(app)
