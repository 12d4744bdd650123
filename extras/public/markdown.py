"""The HTML of a post's Markdown, from a child process that each worker has; what takes too long stays plain text."""

import asyncio
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from html import escape
from threading import Timer

from cachetools import TTLCache

import models

from . import child

LONGEST = 2**17  # characters of a text that is looked at as Markdown

# By the text's digest, for 300 s; None is kept, too, so that what takes too long is not tried at each request.
rendered: TTLCache[bytes, str | None] = TTLCache(2**25, 300, getsizeof=lambda html: 200 + 4 * len(html or ""))
renderers = ThreadPoolExecutor(1, "markdown")
children: list["subprocess.Popen[bytes]"] = []  # one at most


def start() -> "subprocess.Popen[bytes]":
    try:
        command = [sys.executable, "-P", child.__file__]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
    except OSError as error:  # there are too many processes or open files
        raise models.Unavailable(f"no Markdown can be rendered: {models.reason(error)}") from None


def ask(text: str) -> str | None:
    """What the child answers; None if it has died of the text."""
    if not children or children[0].poll() is not None:
        children[:] = [start()]
    (process,) = children
    watch = Timer(models.DEADLINE, process.kill)  # it may be stopped, or where Python breaks nothing off
    watch.start()
    try:
        process.stdin.write(json.dumps(text).encode() + b"\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        html: str | None = json.loads(process.stdout.readline())  # type: ignore[union-attr]
    except (OSError, ValueError):
        process.kill()
        process.wait()
        return None
    finally:
        watch.cancel()
    return html


async def render(text: str, user_id: int) -> str | None:
    """Safe HTML; None for what can only be shown as it is. One text of an account at a time has a turn."""
    if len(text) > LONGEST:
        return None
    key = sha256(text.encode()).digest()
    with suppress(KeyError):  # asked whether it is there, it could expire before it is got
        return rendered[key]
    deadline = time.monotonic() + models.DEADLINE
    async with models.locks.setdefault(("markdown", user_id), asyncio.Lock()):
        html = rendered[key] = await models.in_thread(renderers, deadline - time.monotonic(), ask, text)
    return html


def html_of(text: str, html: str | None) -> str:
    return f'<pre class="plain">{escape(text)}</pre>' if html is None else html
