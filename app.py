"""The Controller: five routes, their refusals, the body guard, the cache and the extras' door. `uvicorn app:app`"""

import asyncio
import importlib
import json
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from functools import partial, reduce
from itertools import accumulate
from threading import Lock
from typing import Annotated, Any

from cachetools import TTLCache, cached
from fastapi import FastAPI, HTTPException, Query, Request, Response, exceptions, routing
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse
from pydantic import TypeAdapter
from sqlalchemy import Connection, case, delete, exc, insert, select, update
from starlette import requests, types

import auth
import models
import schemas
from models import Post, Unavailable, User, hooks, read, write

DEFAULT_EXTRAS = "fast,web,offline_docs"
POST_BODY, OTHER_BODY = 1_048_576, 16_384  # bytes on the wire
PAGE_BYTES, PAGE_POSTS = 2**20, 10_000  # that one query brings into memory, of texts
PIECE, STALL = 2**16, 60  # bytes of a list that are sent at a time, and seconds that its client may take nothing
TOO_LARGE = {"detail": f"The body is too large: at most {POST_BODY} bytes for a post, {OTHER_BODY} elsewhere."}
SWITCHED = b'{"detail": "Send a body without \'Upgrade\' and CONNECT."}'


# JSON on the wire is UTF-8 (RFC 8259 section 8.1); Python takes UTF-16, too.
class Utf8Request(Request):
    async def json(self) -> Any:
        if not json.detect_encoding(await self.body()).startswith("utf-8"):
            raise HTTPException(400, "Send the JSON in UTF-8.")
        return await super().json()


# Asks for the token before the body is read, which FastAPI does first.
class Route(routing.APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def ask_first(request: Request) -> Response:
            if int(request.headers.get("Content-Length", "").lstrip("0") or 0) > (self.max_body_size or OTHER_BODY):
                raise HTTPException(413)  # Starlette would say so once the work is done
            if any(each.call is auth.current_user for each in self.dependant.dependencies):
                await auth.current_user(request)
            return await handle(Utf8Request(request.scope, request.receive))

        return ask_first


app = FastAPI(title="Posts", version="1.0.0", max_body_size=OTHER_BODY, redirect_slashes=False, servers=[{"url": "/"}])
app.router.route_class, hooks.post = Route, schemas.Post


# After `Upgrade` and CONNECT uvicorn would read a body as the next request: the answer is the last of its connection.
# Two of Starlette's own answers are not JSON. One that its client does not take is given up.
async def guard(stack: types.ASGIApp, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
    headers, canned = dict(scope.get("headers", [])), None
    switching = b"upgrade" in headers or scope.get("method") == "CONNECT"
    if switching and (b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"):
        stack = StreamingResponse(refuse_body(), 400, {"Content-Length": str(len(SWITCHED))}, "application/json")

    async def send_guarded(message: types.Message) -> None:
        nonlocal canned
        if message["type"] == "http.response.start":
            canned = {413: TOO_LARGE, 500: {"detail": "Something went wrong. It was logged."}}.get(message["status"])
            kept = [(b"content-type", b"application/json")] if canned else message["headers"]
            message["headers"] = [*kept, *[(b"connection", b"close")] * switching]
        elif canned:
            message["body"] = json.dumps(canned).encode()
        try:
            async with asyncio.timeout(STALL):
                await send(message)
        except TimeoutError:
            raise requests.ClientDisconnect from None

    with suppress(requests.ClientDisconnect):
        await stack(scope, receive, send_guarded)


async def refuse_body() -> AsyncIterator[bytes]:
    yield SWITCHED
    await asyncio.sleep(0.5)  # closed at once, a client that is still writing would lose the answer


# Which field is wrong, and how. FastAPI's own answer repeats what was sent, passwords too.
@app.exception_handler(exceptions.RequestValidationError)
async def unprocessable(_: Request, error: exceptions.RequestValidationError) -> JSONResponse:
    return JSONResponse({"detail": [{k: e[k] for k in ("type", "loc", "msg")} for e in error.errors()[:20]]}, 422)


@app.exception_handler(exc.SQLAlchemyError)
async def unavailable(_: Request, error: Exception) -> JSONResponse:
    auth.log.error("database failure: %s", models.reason(error))
    return JSONResponse({"detail": getattr(error, "advice", Unavailable.advice)}, 503, {"Retry-After": "5"})


@app.post("/signup", status_code=201, response_model=schemas.AccessToken, responses={409: {}}, tags=["Account"])
async def signup(credentials: schemas.Credentials) -> Response:
    """The email counts in lower case. Answers with an access token, as /login does."""
    email, password_hash = credentials.email, await models.in_hasher(auth.hash_password, credentials.password)
    try:
        user_id, token = await write(lambda tx: auth.open_account(tx, email, password_hash), email)
    except exc.IntegrityError:
        raise HTTPException(409, "This email is taken: log in, or sign up with another.") from None
    auth.log.info("signup account=%d", user_id)
    # RFC 6749 section 5.1
    return JSONResponse(schemas.AccessToken(**token).model_dump(mode="json"), 201, {"Cache-Control": "no-store"})


@app.post("/login", response_model=schemas.AccessToken, responses={401: {}}, tags=["Account"])
async def login(credentials: schemas.Credentials) -> Response:
    """Each login gives a new token; the others stay good until they expire."""
    query = select(User.id, User.password_hash).where(User.email == credentials.email)
    user_id, old_hash = (await read(models.fetch, query) or [(0, "")])[0]
    new_hash = await models.in_hasher(auth.check_password, credentials.password, old_hash)
    token = await write(lambda tx: auth.open_session(tx, user_id, old_hash, new_hash), user_id) if new_hash else None
    if not token:
        auth.log.warning("login refused account=%s", user_id or "unknown")
        raise auth.unauthorized("The email or the password is wrong.")
    auth.log.info("login account=%d", user_id)
    return JSONResponse(schemas.AccessToken(**token).model_dump(mode="json"), 200, {"Cache-Control": "no-store"})


@app.post("/addPost", status_code=201, tags=["Posts"], max_body_size=POST_BODY)
async def add_post(post: schemas.PostInput, user: auth.CurrentUser) -> schemas.PostCreated:
    """The body may take 1,048,576 bytes."""
    post_id = await write(lambda tx: write_post(tx, user.id, post), user.id)
    auth.log.info("addPost account=%d post=%d", user.id, post_id)
    return schemas.PostCreated(postID=post_id)


# In each transaction that writes an account's posts, before their number and bytes grow by so many: it locks the
# account, makes its lists old, and raises what a check of `on_post` raises. Versions are times where they can, so that
# a database that has lost its last writes, as after a failover, comes to none again.
def raise_version(connection: Connection, user_id: int, posts: int, size: int) -> None:
    newer = case((User.posts_version < models.now(), models.now()), else_=User.posts_version + 1)
    raised = update(User).where(User.id == user_id).values(posts_version=newer)
    if not connection.execute(raised).rowcount:  # deleted since its token was looked up
        raise auth.unauthorized("The account is gone.", "invalid_token")
    for check in hooks.on_post:
        check(connection, user_id, posts, size)


# The new post's id.
def write_post(connection: Connection, user_id: int, post: schemas.PostInput) -> int:
    now, size = models.now(), len(post.text.encode())
    raise_version(connection, user_id, 1, size)
    values = {"user_id": user_id, "size": size, "created_at": now, "updated_at": now, **post.model_dump()}
    return connection.execute(insert(Post), values).lastrowid


Page = tuple[bytes, int | None]  # the JSON of a list of posts, newest first, and the id before which the next begins
# 64 MiB, and 300 s by a clock that is never set back, or a full cache could make no room. An entry takes 500 bytes
# besides its JSON, or empty pages would cost nothing.
pages = TTLCache[Any, Page](2**26, 300, getsizeof=lambda page: 500 + len(page[0]))


# At most `limit` of the posts before an id, and no more than PAGE_BYTES of text beyond the first. Never stale: a write
# raises the version, and so changes the key.
@cached(pages, lock=Lock(), info=True)
def page_of_posts(user_id: int, posts_version: int, status: str, limit: int, before: int) -> Page:
    mine = [Post.user_id == user_id, Post.id < before, Post.status == (status or Post.status)]
    sizes = models.fetch(select(Post.id, Post.size).where(*mine).order_by(Post.id.desc()).limit(limit + 1))
    fitting = sum(total <= PAGE_BYTES for total in accumulate(size for _, size in sizes))
    ids = [post_id for post_id, _ in sizes[: min(max(1, fitting), limit)]] or [0]
    query = select(Post).where(*mine, Post.id.between(ids[-1], ids[0])).order_by(Post.id.desc())
    posts = TypeAdapter(list[hooks.post])  # type: ignore[name-defined]
    return posts.dump_json(posts.validate_python(models.fetch(query))), ids[-1] if len(ids) < len(sizes) else None


# The name tells posts apart that an extra has given more fields.
def list_headers(user: auth.Account) -> dict[str, str]:
    etag = f'"{user.id}-{user.posts_version}-{hooks.post.__name__}"'
    return {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}


# The entity tags of If-Match or If-None-Match, whose lines make one list (RFC 9110 section 13.1).
def tags_of(request: Request, name: str) -> set[str]:
    return {tag.strip() for tag in ",".join(request.headers.getlist(name)).split(",")}


# The page and all that follow; no connection is held while the client reads.
async def in_pieces(page: Page | None, user: auth.Account, status: str) -> AsyncIterator[bytes]:
    mark = b"["
    while page:
        posts, older = page  # "[]" if these have been deleted since they were counted
        for start in range(1, len(posts) - 1, PIECE):
            yield mark + posts[start : min(start + PIECE, len(posts) - 1)]
            mark = b""
        mark = mark or b","
        page = await read(page_of_posts, user.id, user.posts_version, status, PAGE_POSTS, older) if older else None
    yield b"[]" if mark == b"[" else b"]"


@app.get("/getPosts", response_model=list[schemas.Post], responses={304: {}}, tags=["Posts"])
async def get_posts(request: Request, query: Annotated[schemas.ListQuery, Query()], user: auth.CurrentUser) -> Response:
    """Newest first, and all of them, unless a `limit` makes it a page, whose `Link` leads to the next."""
    headers = list_headers(user)
    if {"*", headers["ETag"], f"W/{headers['ETag']}"} & tags_of(request, "If-None-Match"):
        return Response(None, 304, headers)
    page = await read(page_of_posts, user.id, user.posts_version, query.status, query.limit or PAGE_POSTS, query.before)
    if page[1] and query.limit:
        headers["Link"] = f'<?{request.url.include_query_params(before=page[1]).query}>; rel="next"'
        page = page[0], None
    if not page[1] and len(page[0]) <= PIECE:
        return Response(page[0], 200, headers, "application/json")
    return StreamingResponse(in_pieces(page, user, query.status), 200, headers, "application/json")


@app.delete("/deletePost/{postID}", status_code=204, responses={404: {}}, tags=["Posts"])
async def delete_post(postID: schemas.Id, user: auth.CurrentUser) -> None:
    """Somebody else's post is as unknown as one that never was."""
    await write(lambda tx: remove_post(tx, user.id, postID), user.id)
    auth.log.info("deletePost account=%d post=%d", user.id, postID)


def remove_post(connection: Connection, user_id: int, post_id: int) -> None:
    mine = Post.id == post_id, Post.user_id == user_id
    if not (size := connection.scalar(select(Post.size).where(*mine).with_for_update())):
        raise HTTPException(404, "You have no post with this id.")
    raise_version(connection, user_id, -1, -size)
    connection.execute(delete(Post).where(*mine))


if os.path.isdir(os.path.join(os.path.dirname(__file__), "extras")):
    importlib.import_module("extras.door").load(app, DEFAULT_EXTRAS)
app.add_api_route("/", lambda: RedirectResponse("docs"), include_in_schema=False)  # unless an extra has a page there
app.openapi()  # without the methods that come now
for methods in (route.methods or set() for route in routing.iter_route_contexts(app.routes)):
    methods.update({"HEAD"} if "GET" in methods else ())  # RFC 9110 section 9.3.2
hooks.create_tables()
app.middleware_stack = reduce(lambda stack, add: add(stack), hooks.layers, partial(guard, app.build_middleware_stack()))
