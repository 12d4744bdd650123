"""When a session was last used."""

import asyncio
from contextlib import suppress

from cachetools import TTLCache
from sqlalchemy import bindparam, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

import auth
import models
from models import write

from .sessions import SESSION_OF
from .tables import Session

NOTE_EVERY = 60  # seconds

NOTE = (
    update(Session).where(Session.id == SESSION_OF.scalar_subquery()).values(last_used_at=bindparam("now"))
)  # fmt: skip


def note_use() -> None:
    """Have each look-up of a token write down its session's use: in the background, at most once a minute."""
    look_up = auth.look_up
    noted: TTLCache[int, bool] = TTLCache(2**14, NOTE_EVERY)
    tasks: set[asyncio.Task[None]] = set()  # or they may be collected before they have run

    async def note(token_id: int) -> None:
        with suppress(DBAPIError, PoolTimeoutError, TimeoutError):  # the next minute has its own
            await write(lambda tx: tx.execute(NOTE, {"token_id": token_id, "now": models.now()}).close())

    async def look_up_and_note(digest: str) -> auth.Account | None:
        account = await look_up(digest)
        if account and account.token_id not in noted:
            noted[account.token_id] = True
            tasks.add(task := asyncio.create_task(note(account.token_id)))
            task.add_done_callback(tasks.discard)
        return account

    auth.look_up = look_up_and_note  # type: ignore[assignment]
