"""What is sent: from a cache whose key is the version of all that is shown, with what browsers and proxies ask by."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import formatdate, parsedate_to_datetime
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cachetools import TTLCache
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

import app as core
import models

from . import settings
from .posts import Owner

POLICY = (
    "default-src 'none'; style-src 'self'; img-src https:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "public, max-age=0, must-revalidate",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
UNDER_WAY = 2 * models.DEADLINE * 1000  # milliseconds, after which no write is left that has taken its time before


class Page(NamedTuple):
    body: bytes
    media_type: str
    etag: str
    version: int


class Site(NamedTuple):
    """How links begin: those for elsewhere, and those within a page."""

    base: str
    root: str


def page_of(body: str, media_type: str, owner: Owner) -> Page:
    data = body.encode()
    return Page(data, media_type, f'"{sha256(data).hexdigest()[:32]}"', owner.version)


def site_of(request: Request) -> Site:
    """By `PUBLIC_URL`, or as the proxy told it. It is part of the cache's key: what one host was sent no other is."""
    if url := settings.url():
        return Site(url, urlsplit(url).path)
    root = request.scope.get("root_path", "").rstrip("/")
    host = f"{request.scope['scheme']}://{request.headers.get('Host', '')}"
    return Site(host + root if re.fullmatch(settings.HOST, host, re.ASCII) else root, root)


Load = Callable[..., Awaitable[Page | None]]  # of the handle, its owner, the site and what else was asked for

# 32 MiB, and 300 s by a clock that is never set back, or a full cache could make no room. An entry takes a kB besides
# its body.
pages = TTLCache[Any, Page](2**25, 300, getsizeof=lambda page: 1000 + len(page.body))


async def find_page(load: Load, handle: str, owner: Owner, site: Site, *args: Any) -> Page | None:
    """From the cache, or made by one for all that ask at the same moment."""
    key = load, handle, owner, site, *args
    if page := pages.get(key):
        return page
    async with models.locks.setdefault(("public", key), asyncio.Lock()):
        page = pages.get(key) or await load(handle, owner, site, *args)
        if page:
            pages[key] = page
    return page


def headers_of(etag: str = "", changed_at: int = 0) -> dict[str, str]:
    """A date of whole seconds is no use while there may be another change with the same."""
    headers = HEADERS if settings.index() else HEADERS | {"X-Robots-Tag": "noindex"}
    dated = 0 < changed_at < models.now() - UNDER_WAY
    date = {"Last-Modified": formatdate(changed_at // 1000, usegmt=True)} if dated else {}
    return headers | date | ({"ETag": etag} if etag else {})


def respond(page: Page, request: Request) -> Response:
    headers = headers_of(page.etag, page.version)
    if is_unchanged(request, headers):
        return Response(None, 304, headers)
    return answer(page.body, headers, page.media_type)


def answer(body: bytes, headers: dict[str, str], media_type: str) -> Response:
    """What is long in pieces, or a client that takes none of it would hold it as long as it likes."""
    if len(body) <= core.PIECE:
        return Response(body, 200, headers, media_type)
    return StreamingResponse(in_pieces(body), 200, headers | {"Content-Length": str(len(body))}, media_type)


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), core.PIECE):
        yield body[start : start + core.PIECE]


def is_unchanged(request: Request, headers: dict[str, str]) -> bool:
    """As RFC 9110 section 13.2.2 has it: the date counts only without a tag."""
    if "If-None-Match" in request.headers:
        etag = headers["ETag"]
        return bool({"*", etag, f"W/{etag}"} & core.tags_of(request, "If-None-Match"))
    try:
        since = parsedate_to_datetime(request.headers["If-Modified-Since"])
        return parsedate_to_datetime(headers["Last-Modified"]) <= since
    except (KeyError, ValueError, TypeError, OverflowError):
        return False
