"""Published posts that others can read: pages, feeds and JSON, for who takes a handle.

    EXTRAS=+public uvicorn app:app

    $ curl -s localhost:8000/profile -X PUT -H "$auth" -H "$json" -d '{"handle": "ada", "name": "Ada Lovelace"}'
    {"handle":"ada","name":"Ada Lovelace"}
    $ curl -s localhost:8000/@ada | grep -A 3 '<article>'
    <article>
    <h2><a href="/@ada/1"><time datetime="2026-11-23T06:25:57Z">23 November 2026</time></a></h2>
    <div class="text" lang="" dir="auto">
    <p>Hello, world</p>

The README beside this has a picture. Without a handle nothing of an account is public; drafts never are.

| path | what it is |
|---|---|
| `GET /profile`, `PUT /profile` | the handle and the name: 200, 401, 409 taken, 422. What is not sent stays |
| `GET /@ada` | a page for people: newest first, 20 a page |
| `GET /@ada/7`, `/@ada/7?raw` | one post; its text as it was sent |
| `GET /@ada/feed.atom`, `/@ada/feed.json` | Atom and JSON Feed 1.1: the 50 newest |
| `GET /publicPosts/ada?limit=&before=` | the JSON of /getPosts without a token, at most 50 posts unless a limit says more; `Link` leads on |
| `GET /robots.txt` | lets search engines in, or not |

- A handle has 3 to 30 of `a-z`, `0-9` and `_`; capitals are taken as small letters, and /@Ada leads to /@ada (308). A
  few are reserved. `{"handle": null}` takes all offline at the next request, on every worker. A handle that was
  released is its last owner's for 30 days, and nobody's if the account is gone: then the handle and the time are all
  that is kept. An account takes at most 10 in 30 days. A name is one line of at most 80 characters.
- What is not there, whether draft, deleted, somebody else's or never, is the same 404 page.
- **Text is Markdown** (CommonMark, tables, ~~strikethrough~~), without HTML, cleaned by `nh3`: links are `ugc nofollow
  noopener`, images come over https alone. The pages have no script, and a Content-Security-Policy that allows none. A
  child process of each worker renders it, in 0.1 s of the processor and 5 microseconds for each character; what takes
  longer, grows twenty-fold or has over 128 KiB is shown as plain text. Lists and feeds show the first 4 KiB of a post.
- **Nothing that is cached is old.** The key is the version of the account's posts, which goes up with each write of
  posts and profile, so a hit asks the database for the handle alone; with `fast` on, it is answered below the
  framework, and all that wait share one look-up, on one more connection. `Last-Modified` is the time of the account's
  last write, drafts too; it is sent once that is 10 seconds ago, as a date of whole seconds could hide a change.
- **Links** that lead here from elsewhere (canonical, feeds) follow the `Host` and the scheme that the proxy tells, and
  each host has its own entry in the cache. Set `PUBLIC_URL` where the proxy cannot tell them, or where strangers' hosts
  are let through. Ids in feeds stay the same whatever the host and the handle.
- With `limits`, readers are counted by address (`LIMITS_READERS`); `account` deletes and exports the profile, too.

| setting | default | |
|---|---|---|
| `PUBLIC_URL` | by the request | where people reach the service, such as `https://posts.example` or `https://example.com/blog` |
| `PUBLIC_INDEX` | `0` | `1` lets search engines in; otherwise pages are `noindex`, and /robots.txt says no. They ask for that at the root of a host only |
"""  # noqa: E501

from fastapi import FastAPI

import app as core
import models
from extras.door import names_of_extras

from . import profile, routes, settings


def setup(app: FastAPI) -> None:
    settings.url(), settings.index()
    app.include_router(profile.router)
    app.include_router(routes.router)
    names = names_of_extras(core.DEFAULT_EXTRAS)
    if "account" in names:
        from extras.account import export

        export.others["profile"] = profile.read_profile
    if "fast" in names and not models.MEMORY:
        from .shortcut import Shortcut

        models.hooks.layers.insert(0, lambda stack: stack if app.user_middleware else Shortcut(app, stack))
