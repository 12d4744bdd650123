"""When a session was last used."""

import asyncio
from contextlib import suppress

from cachetools import TTLCache
from fastapi import Request
from sqlalchemy import bindparam, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

import auth
import models
from models import hooks, write

from .sessions import SESSION_OF
from .tables import Session

NOTE_EVERY = 60  # seconds

NOTE = (
    update(Session).where(Session.id == SESSION_OF.scalar_subquery()).values(last_used_at=bindparam("now"))
)  # fmt: skip


def note_use() -> None:
    """Have each use of a token written down for its session: in the background, at most once a minute."""
    noted: TTLCache[int, bool] = TTLCache(2**14, NOTE_EVERY)
    tasks: set[asyncio.Task[None]] = set()  # or they may be collected before they have run

    async def note(account: auth.Account) -> None:
        values = {"token_id": account.token_id, "now": models.now()}
        with suppress(DBAPIError, PoolTimeoutError, models.Unavailable):  # the next minute has its own
            await write(lambda tx: tx.execute(NOTE, values).close(), account.id)

    async def note_now_and_then(_: Request, account: auth.Account) -> None:
        if account.token_id not in noted:
            noted[account.token_id] = True
            tasks.add(task := asyncio.create_task(note(account)))
            task.add_done_callback(tasks.discard)

    hooks.on_account.append(note_now_and_then)
