"""Security headers with every answer, in line with OWASP's REST Security Cheat Sheet.

    EXTRAS=+headers uvicorn app:app

| header | value | with | why |
|---|---|---|---|
| `X-Content-Type-Options` | `nosniff` | all | a text that looks like HTML stays JSON |
| `X-Frame-Options` | `DENY` | all | no page can be laid under another's clicks; for browsers without CSP |
| `Content-Security-Policy` | `default-src 'none'; frame-ancestors 'none'` | all but HTML | an answer opened in a browser does nothing |
| `Content-Security-Policy` | `frame-ancestors 'none'; base-uri 'none'; object-src 'none'` | HTML | a page's scripts are its own matter |
| `Content-Security-Policy` | scripts from `cdn.jsdelivr.net`, connections to `'self'` | FastAPI's /docs and /redoc | what a CDN brings sends nothing elsewhere |
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
DOCS_POLICY = f"""default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; connect-src 'self'; \
style-src 'unsafe-inline' https://cdn.jsdelivr.net https://fonts.googleapis.com; font-src https://fonts.gstatic.com; \
img-src data: https://fastapi.tiangolo.com https://cdn.redoc.ly; worker-src blob:; {HTML_POLICY}"""


def policy_of(path: str, headers: MutableHeaders) -> str:
    if not headers.get("Content-Type", "").startswith("text/html"):
        return POLICY
    return DOCS_POLICY if path.endswith(("/docs", "/redoc")) else HTML_POLICY


def add_headers(headers: MutableHeaders, scope: Scope) -> None:
    for name, value in ALWAYS.items():
        headers.setdefault(name, value)
    headers.setdefault("Content-Security-Policy", policy_of(scope["path"], headers))
    if "ETag" not in headers and "Last-Modified" not in headers:
        headers.setdefault("Cache-Control", "no-store")
    if scope.get("scheme") == "https":
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")


class SecurityHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(scope=message), scope)
            await send(message)

        await self.app(scope, receive, send_secured)


def setup(app: FastAPI) -> None:
    models.hooks.layers.append(SecurityHeaders)
