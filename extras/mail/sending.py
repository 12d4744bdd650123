"""The sender: tasks of each worker take mails out of the outbox, one at a time each, and give them to the server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from aiosmtplib import SMTP, SMTPException, SMTPRecipientsRefused
from fastapi import FastAPI
from sqlalchemy import Connection, exc, select, update

import models
from auth import log
from models import read, write

from .letters import compose
from .links import LIFETIME
from .settings import Settings
from .tables import Mail

SENDERS = 4  # connections to the mail server that a worker has at most
EVERY = 5  # seconds, after which a sender looks for the mails of other workers and for further tries
LEASE = 60_000  # milliseconds after which another takes over, unless it is renewed
FIRST_PAUSE, LONGEST_PAUSE = 15_000, 6 * 3_600_000  # milliseconds
CONNECT, ANSWER = 30, 300  # seconds that the mail server may take (RFC 5321 section 4.5.3.2)
FAREWELL = 10  # seconds that mails under way have at the end

queues: set[asyncio.Queue[None]] = set()  # a token in one wakes a sender


def wake() -> None:
    """Call it after the transaction that has put a mail into the outbox."""
    for queue in queues:
        if queue.qsize() < SENDERS:
            queue.put_nowait(None)


def is_due() -> bool:
    return bool(models.fetch(select(Mail.id).where(Mail.due_at <= models.now()).limit(1)))


def claim(connection: Connection) -> Any:
    """The mail whose turn it is, which nobody else takes while the lease lasts; None if there is none."""
    due = select(Mail.__table__).where(Mail.due_at <= models.now()).order_by(Mail.due_at).limit(1)
    mail = connection.execute(due.with_for_update(skip_locked=True)).one_or_none()
    if mail:
        values = {"due_at": models.now() + LEASE, "tries": mail.tries + 1}
        connection.execute(update(Mail).where(Mail.id == mail.id).values(**values))
    return mail


async def change(mail: Any, **values: Any) -> None:
    """Of a mail that is claimed, unless another has taken over or has sent it."""
    mine = update(Mail).where(Mail.id == mail.id, Mail.tries == mail.tries + 1, Mail.due_at.is_not(None))
    await write(lambda tx: tx.execute(mine.values(**values)).close(), "mail")


async def keep(mail: Any) -> None:
    """Renew the lease, as long as the mail server takes."""
    while True:
        await asyncio.sleep(LEASE / 3000)
        with suppress(exc.SQLAlchemyError):
            await change(mail, due_at=models.now() + LEASE)


async def settle(mail: Any, **values: Any) -> None:
    """What became of it; tried for as long as the lease lasts, or it would be sent again."""
    for _ in range(LEASE // 1000):
        with suppress(exc.SQLAlchemyError):
            return await change(mail, **values)
        await asyncio.sleep(1)


def reason(error: Exception) -> str:
    """Without the server's words, which quote the address."""
    refused = error.recipients[0] if isinstance(error, SMTPRecipientsRefused) else error
    return f"{type(error).__name__} {getattr(refused, 'code', '')}".strip()


async def transmit(smtp: SMTP, mail: Any, settings: Settings, title: str) -> None:
    if not smtp.is_connected:
        await smtp.connect(timeout=CONNECT)
    message = compose(mail, settings.sender, settings.page, title, LIFETIME.get(mail.kind, 0))
    await smtp.send_message(message)


async def send(smtp: SMTP, mail: Any, settings: Settings, title: str) -> bool:
    """Whether nothing failed."""
    over = {"due_at": None, "content": None}
    named = f"mail={mail.id} kind={mail.kind} account={mail.user_id}"
    kept = asyncio.create_task(keep(mail))
    try:
        if mail.until > models.now():
            await transmit(smtp, mail, settings, title)
            log.info("mail sent %s", named)
        else:
            log.error("mail given up %s: its time is over", named)
    except Exception as error:  # whatever one mail or the server does, the others are to be sent
        next_try = models.now() + min(FIRST_PAUSE * 2**mail.tries, LONGEST_PAUSE)
        if next_try < mail.until:
            await settle(mail, due_at=next_try)
            log.warning("mail failed %s try=%d: %s", named, mail.tries + 1, reason(error))
        else:
            await settle(mail, **over)
            log.error("mail given up %s try=%d: %s", named, mail.tries + 1, reason(error))
        return False
    else:
        await settle(mail, **over)
        return True
    finally:
        kept.cancel()


async def send_due(settings: Settings, title: str, ending: asyncio.Event) -> None:
    """One after another, over one connection, until none is left or the server cannot be reached."""
    smtp = SMTP(**settings.server._asdict(), timeout=ANSWER, local_hostname=settings.sender.domain)
    try:
        while not ending.is_set() and (mail := await write(claim, "mail")):
            if not await send(smtp, mail, settings, title) and not smtp.is_connected:
                break
    finally:
        with suppress(SMTPException, OSError, TimeoutError):
            await asyncio.wait_for(smtp.quit(), 1)
        smtp.close()


async def send_for_ever(settings: Settings, title: str, queue: asyncio.Queue[None], ending: asyncio.Event) -> None:
    while not ending.is_set():
        with suppress(exc.SQLAlchemyError):  # the next time has its own
            if await read(is_due):
                await send_due(settings, title, ending)
        with suppress(TimeoutError):
            await asyncio.wait_for(queue.get(), EVERY)


def make_lifespan(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        queue, ending = asyncio.Queue[None](), asyncio.Event()
        queues.add(queue)
        senders = [asyncio.create_task(send_for_ever(settings, app.title, queue, ending)) for _ in range(SENDERS)]
        yield
        queues.discard(queue)
        ending.set()
        for _ in senders:
            queue.put_nowait(None)
        _, late = await asyncio.wait(senders, timeout=FAREWELL)
        for sender in late:
            sender.cancel()

    return lifespan
