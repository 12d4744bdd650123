"""Security headers with every answer, in line with OWASP's REST Security Cheat Sheet.

    EXTRAS=headers uvicorn app:app

| header | value | with | why |
|---|---|---|---|
| `X-Content-Type-Options` | `nosniff` | all | a text that looks like HTML stays JSON |
| `X-Frame-Options` | `DENY` | all | no page can be laid under another's clicks; for browsers without CSP |
| `Content-Security-Policy` | `default-src 'none'; frame-ancestors 'none'` | all but HTML | an answer opened in a browser does nothing |
| `Content-Security-Policy` | `frame-ancestors 'none'; base-uri 'none'; object-src 'none'` | HTML | a page's scripts are its own matter |
| `Referrer-Policy` | `no-referrer` | all | no address of a post leaks to a page that it links to |
| `Cache-Control` | `no-store` | answers that can be stored and say nothing themselves | tokens above all: nothing private stays on a disk or in a proxy |
| `Strict-Transport-Security` | `max-age=31536000` | https | a browser that came by TLS once never comes without again |

What an answer brings itself stands: a page its own Content-Security-Policy, /getPosts its `private, no-cache`. A file
with `ETag` or `Last-Modified` and no `Cache-Control` stays storable.

    $ curl -si localhost:8000/getPosts | grep -iE '^(cache|x-|ref|content-s)'
    x-content-type-options: nosniff
    x-frame-options: DENY
    referrer-policy: no-referrer
    content-security-policy: default-src 'none'; frame-ancestors 'none'
    cache-control: no-store

It has no settings. Behind a proxy, https is what uvicorn takes from `X-Forwarded-Proto`, which it believes only from
`--forwarded-allow-ips`. `includeSubDomains` is not sent, as the neighbours of this host may not be ready for it. CORS is the
extra `cors`; `--no-server-header` is uvicorn's own. Name this extra after `cors`, whose answers to preflights then have the
headers too; the order makes no difference to the others, refusals and errors included.
"""  # noqa: E501

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import models

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
POLICY = "default-src 'none'; frame-ancestors 'none'"
HTML_POLICY = "frame-ancestors 'none'; base-uri 'none'; object-src 'none'"


def add_headers(headers: MutableHeaders, scheme: str | None) -> None:
    for name, value in ALWAYS.items():
        headers.setdefault(name, value)
    html = headers.get("Content-Type", "").startswith("text/html")
    headers.setdefault("Content-Security-Policy", HTML_POLICY if html else POLICY)
    if "ETag" not in headers and "Last-Modified" not in headers:
        headers.setdefault("Cache-Control", "no-store")
    if scheme == "https":
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")


class SecurityHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(scope=message), scope.get("scheme"))
            await send(message)

        await self.app(scope, receive, send_secured)


def setup(app: FastAPI) -> None:
    models.hooks.layers.append(SecurityHeaders)
