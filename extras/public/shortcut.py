"""With `fast`: what is in the cache is answered below the framework, and all that wait share one look-up of handles."""

import re
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI, Request
from fastapi.routing import iter_route_contexts
from starlette.types import ASGIApp, Receive, Scope, Send

from extras.fast.lookup import Line, sql_for
from extras.fast.paths import NOT_OURS, refuse
from extras.fast.shared import Shared

from .answers import Load, pages, respond, site_of
from .feeds import load_atom, load_json
from .pages import load_list, load_post
from .posts import OWNERS, Owner

PATH = re.compile(r"/@([a-z0-9_]{3,30})(?:/([1-9][0-9]{0,17}|feed\.atom|feed\.json))?")
FEEDS: dict[str, Load] = {"feed.atom": load_atom, "feed.json": load_json}

line = Line()


def find_owners(handles: list[str]) -> list[Owner | None]:
    rows = line.ask(sql_for(OWNERS, "handles", len(handles)), handles)
    owners = {handle: Owner(*owner) for handle, *owner in rows}
    return [owners.get(handle) for handle in handles]


look_up: Shared[str, Owner | None] = Shared(ThreadPoolExecutor(1, "visitor"), find_owners, 256)


class Shortcut:
    def __init__(self, app: FastAPI, stack: ASGIApp) -> None:
        self.app, self.stack = app, stack
        self.routes = {route.path: route.original_route for route in iter_route_contexts(app.routes)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        match = PATH.fullmatch(path) if scope.get("method") in {"GET", "HEAD"} and not scope["query_string"] else None
        if not match or NOT_OURS & dict(scope["headers"]).keys():
            return await self.stack(scope, receive, send)
        request = Request(scope)
        load, args, template = asked(match[2])
        scope["route"] = self.routes[template]
        try:
            owner = await look_up(match[1])
        except Exception as error:
            return await refuse(self.app, error, scope, receive, send)
        page = pages.get((load, match[1], owner, site_of(request), *args))
        if not page:
            return await self.stack(scope, receive, send)
        await respond(page, request)(scope, receive, send)


def asked(last: str | None) -> tuple[Load, tuple[int | None, ...], str]:
    """What makes it, from what, and the route's template."""
    if not last:
        return load_list, (None,), "/@{handle}"
    if last in FEEDS:
        return FEEDS[last], (), f"/@{{handle}}/{last}"
    return load_post, (int(last),), "/@{handle}/{postID}"
