"""A page at `/` for people: sign up, log in, write, find and delete posts. No build step, no framework, no set-up.

    $ EXTRAS=web uvicorn app:app            # then open http://127.0.0.1:8000/
    $ curl -sI 127.0.0.1:8000/ | grep -i content-security
    content-security-policy: default-src 'none'; script-src 'self' 'sha256-...'; style-src 'sha256-...'; ...
    $ curl -s 127.0.0.1:8000/ | grep -o 'data-routes=".*"'
    data-routes="addPost deletePost getPosts login signup web"

So the page knows what else there is: with `editing` posts can be edited, with `search` found, with `account` there are
a new password, the sessions, a download and the end of the account, and logging out revokes the token on the server
too; with `idempotency` no press of a button, however often, posts a text twice unless the page says so before. With
`public` the account takes a handle, from when on it says "Publish", each published post links to its page, and the link
can be copied; until then, it says that posts are private. With `mail` there are "Forgot your password?", the pages
behind the links of mails, whose tokens leave the address at once and are kept nowhere, and another email. It speaks
English and Russian, by the browser's languages, with a switch, whose choice a cookie keeps. There are no settings. Its
files are at `/` and below `/web/`, a path that is the extra's own by its name; their addresses are relative, so behind
`--root-path /prefix` the page is at `/prefix/`.

**It is painted in one round trip**: the page comes with its style, its texts and the few lines that tell whether
somebody is logged in; the scripts come meanwhile. At 200 kB/s and 1.5 s a round trip, the log-in form is there after
1.7 s, and works after 3.3 s.

**Where the token is.** In the `sessionStorage` of the tab: the API takes it from the `Authorization` header alone, so
a cookie that scripts cannot read is no choice, and nothing is sent that another site could provoke (no CSRF). It
outlives a reload, is on no disk for longer than the tab, and is gone when the tab closes, at log-out and at the first
401. A new tab asks the open ones for it (`BroadcastChannel`, same origin only), so people log in once and log out
everywhere: also a tab that slept, or stood at another website, finds when it comes back that the mark in
`localStorage`, which all sessions of a browser share until one logs out, is another or gone. No script from elsewhere
can run to read it: the policy above allows only this server's own files, and in the page itself those lines, by their
digest; no `eval`, and everything that people wrote is put on the page as text. FastAPI's /docs and /redoc, whose
scripts come from a CDN, are off: `offline_docs` brings its own.

**"Keep me logged in"** puts it into `localStorage` instead, on the disk of this browser: until log-out, and for as long
as the server takes it. Alone that is the token's life (`TOKEN_TTL`, a day). With `account` the refresh token is kept
beside it, and is traded for a new pair at the first 401, by one tab for all: so it lasts until nobody has come for
`ACCOUNT_REFRESH_TTL`, 30 days. Not for a computer that others use.

**What is typed is kept** in `localStorage`, by account, with each key pressed, until it is sent or discarded, so a
reload, a lost network or an expired token loses none of it. Logging out asks before it discards it. A browser that is
full, or forbids storage, is no obstacle to all else: the page says that a reload would lose the text. With
`idempotency` each new text gets a key when it is first sent, which is kept with it: after a lost answer, a 502, 503 or
504 the page sends it again, three times with growing pauses, and says so. Without the extra it reloads the list and
says to look.

**What is deleted** can be taken back for 8 seconds, and is deleted on the server only then; or at once when the page is
closed, left or reloaded, and when one logs out. Where that fails, as without a network, it is hidden in this browser
all the same, and is deleted the next time that the account is opened here; which posts, stands in `localStorage` until
then.

**To add to it:** `data-if="forgotPassword"` in `index.html` shows what only a server with that route has, `has()` asks
the same in a script. `data-in` says when a part of the entrance is there, `data-error` what is said beside a field. All
texts are in `texts.json`, by name; those of `NAME.public` stand where posts are public, and a refusal's is named by its
status and a word of its `detail`.
"""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.routing import iter_route_contexts
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Route, request_response
from starlette.staticfiles import StaticFiles

import models

FOLDER = Path(__file__).parent
LANGUAGES = ("en", "ru")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "Cache-Control": "no-cache",  # always asked about, so that no browser mixes the files of two versions
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Assets(StaticFiles):
    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers.update(HEADERS)
        return response


def names_of_routes(app: FastAPI) -> set[str]:
    """The first word of each route's path, and `idempotency`: what the page asks before it offers something."""
    paths = {route.path for route in iter_route_contexts(app.routes) if route.path}
    names = {path.split("/")[1] for path in paths - {app.swagger_ui_oauth2_redirect_url}}
    return set(filter(str.isidentifier, names | ({"idempotency"} if models.hooks.once else set())))


def translate(html: str, language: str, public: bool) -> str:
    """The page in this language: its words, and the texts that its scripts need."""
    table = json.loads((FOLDER / "texts.json").read_text("utf-8"))
    texts = {name: forms[LANGUAGES.index(language)] for name, forms in table.items()}

    def fill(place: re.Match[str]) -> str:
        name = place[2]
        return place[1] + escape((public and texts.get(f"{name}.public")) or texts[name])

    html = re.sub(r'(data-t="([\w.]+)"[^>]*>)[^<]*', fill, html)
    html = re.sub(r'(data-t-\w+="(\w+)" (?:aria-label|placeholder|lang)=")[^"]*', fill, html)
    html = html.replace('lang="en"', f'lang="{language}"', 1)
    return html.replace("</script>\n</body>", f"{json.dumps(texts, ensure_ascii=False)}</script>\n</body>")


def digest(content: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def render(names: set[str], language: str) -> tuple[bytes, dict[str, str]]:
    """The page as it is painted before any other file has come: with its style, in words of this language."""
    style, script = ((FOLDER / name).read_text("utf-8") for name in ("style.css", "first.js"))
    html = (FOLDER / "index.html").read_text("utf-8")
    html = re.sub(r'data-if="(\w+)"', lambda found: found[0] + " hidden" * (found[1] not in names), html)
    html = translate(html, language, "profile" in names)
    for old, new in {
        'data-routes=""': f'data-routes="{" ".join(sorted(names))}"',
        '<link rel="stylesheet" href="style.css">': f"<style>{style}</style>",
        '<script src="first.js"></script>': f"<script>{script}</script>",
    }.items():
        html = html.replace(old, new, 1)
    policy = HEADERS["Content-Security-Policy"]
    policy = policy.replace("script-src 'self'", f"script-src 'self' {digest(script)}")
    policy = policy.replace("style-src 'self'", f"style-src {digest(style)}")
    body = html.encode()
    etag = f'"{hashlib.sha256(body).hexdigest()}"'
    return body, HEADERS | {"Content-Security-Policy": policy, "ETag": etag, "Vary": "Accept-Language, Cookie"}


def page_of(app: FastAPI) -> Callable[[Request], Response]:
    @cache  # made when it is first asked for, as extras that come later add their routes later
    def content(language: str) -> tuple[bytes, dict[str, str]]:
        return render(names_of_routes(app), language)

    def page(request: Request) -> Response:
        likes = request.cookies.get("posts_language", "") + "," + request.headers.get("Accept-Language", "")
        liked = re.findall("[a-z]{2,3}(?=[-,;]|$)", likes.lower())
        body, headers = content(next((name for name in liked if name in LANGUAGES), "en"))
        if headers["ETag"] in re.findall(r'"[^"]*"', request.headers.get("If-None-Match", "")):
            return Response(None, 304, headers)
        return Response(body, 200, headers, "text/html")

    return page


def is_from_cdn(route: Any) -> bool:
    """FastAPI's own documentation pages: their scripts come from elsewhere, and could read this page's token."""
    return getattr(route, "path", "") in {"/docs", "/redoc"} and route.endpoint.__module__.startswith("fastapi.")


def setup(app: FastAPI) -> None:
    app.router.routes[:] = [route for route in app.routes if not is_from_cdn(route)]
    page = GZipMiddleware(request_response(page_of(app)))  # one round trip, even where a connection starts slowly
    app.router.routes.append(Route("/", page, methods=["GET", "HEAD"]))
    app.mount("/web", GZipMiddleware(Assets(directory=FOLDER / "static")), name="web")
    app.description += "\n\nPeople do the same on [the page](./)."
