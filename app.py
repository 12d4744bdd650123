"""The Controller: five routes, their refusals, the body guard, the cache and the extras' door. `uvicorn app:app`"""

import asyncio
import importlib
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from functools import cache, reduce
from itertools import accumulate
from threading import Lock
from typing import Annotated, Any

from cachetools import TTLCache, cached
from fastapi import FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import TypeAdapter
from sqlalchemy import Connection, delete, exc, insert, select, update
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import auth
import models
import schemas
from auth import CurrentUser, log
from models import Post, Unavailable, User, hooks, read, write

DEFAULT_EXTRAS = "fast,web,offline_docs"
POST_BODY = 1_048_576  # bytes on the wire
OTHER_BODY = 16_384
PAGE_BYTES = 2**20  # of texts that one query brings into memory
PAGE_POSTS = 10_000
PIECE = 2**16  # bytes of a list that are sent at a time
STALL = 60  # seconds that a client may take nothing of its answer
TOO_LARGE = f"The body is too large: {POST_BODY} bytes are the most for a post, {OTHER_BODY} elsewhere."


class Body(Request):
    limit = OTHER_BODY

    async def stream(self) -> AsyncGenerator[bytes, None]:
        taken = 0
        async for chunk in super().stream():
            taken += len(chunk)
            if taken > self.limit:
                raise HTTPException(413)
            yield chunk

    async def json(self) -> Any:
        body = await self.body()
        if not json.detect_encoding(body).startswith("utf-8"):  # RFC 8259 section 8.1; Python takes UTF-16, too
            raise HTTPException(400, "Send the JSON in UTF-8.")
        return json.loads(body.decode("utf-8-sig"))


# Bounds the body, and asks for the token before it is read, which FastAPI does first.
class Route(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        guarded = any(each.call is auth.current_user for each in self.dependant.dependencies)

        async def ask_first(request: Request) -> Response:
            body = Body(request.scope, request.receive)
            body.limit, length = hooks.bodies.get(self.path, OTHER_BODY), request.headers.get("Content-Length", "")
            if length.isdecimal() and int(length) > body.limit:
                raise HTTPException(413)
            if guarded:
                await auth.current_user(body)
            return await handle(body)

        return ask_first


# What OpenAPI says of them.
def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": schemas.Refusal} for status in statuses}


app = FastAPI(
    title="Posts",
    description="Sign up or log in, then press *Authorize* and paste the `access_token`.",
    redirect_slashes=False,
    swagger_ui_parameters={"persistAuthorization": True},
    responses=refusals(413, 503),
)
app.router.route_class = Route
hooks.post = schemas.Post
hooks.bodies["/addPost"] = POST_BODY


# After `Upgrade` and CONNECT uvicorn does not know the body for one, and would read it as the next request.
def guard(app: ASGIApp) -> ASGIApp:
    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if "Upgrade" not in headers and scope.get("method") != "CONNECT":
            return await app(scope, receive, send)
        if headers.get("Content-Length", "0") == "0" and "Transfer-Encoding" not in headers:
            return await app(scope, receive, send_last)
        await JSONResponse({"detail": "Send a body without 'Upgrade' and CONNECT."}, 400)(scope, receive, send_last)

    return guarded


hooks.layers.append(guard)


class LastResponse(JSONResponse):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers["Connection"] = "close"  # or the body might go on without end
        await super().__call__(scope, receive, lambda message: send({**message, "more_body": True}))
        await asyncio.sleep(0.5)  # closed at once, a client that is still writing would lose the answer
        await send({"type": "http.response.body", "body": b""})


@app.exception_handler(413)
async def content_too_large(request: Request, _: Exception) -> JSONResponse:
    return (JSONResponse if "Content-Length" in request.headers else LastResponse)({"detail": TOO_LARGE}, 413)


# Which field is wrong, and how. FastAPI's own answer repeats what was sent, passwords too.
@app.exception_handler(RequestValidationError)
async def unprocessable(_: Request, error: RequestValidationError) -> JSONResponse:
    detail = [{key: each[key] for key in ("type", "loc", "msg")} for each in error.errors()[:20]]
    for each in detail:
        if each["type"] == "extra_forbidden":  # the field's name is the client's
            each |= {"loc": each["loc"][:-1], "msg": "There is a field that this route does not know"}
        if each["type"] == "model_attributes_type":
            each["msg"] = "Send a JSON object, with 'Content-Type: application/json'"
    return JSONResponse({"detail": detail}, 422)


@app.exception_handler(exc.DBAPIError)
@app.exception_handler(exc.TimeoutError)
@app.exception_handler(Unavailable)
async def unavailable(_: Request, error: Exception) -> JSONResponse:
    log.error("database failure: %s", models.reason(error))
    return JSONResponse({"detail": getattr(error, "advice", Unavailable.advice)}, 503, {"Retry-After": "5"})


@app.exception_handler(Exception)
async def internal_error(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse({"detail": "Something went wrong here. It was logged."}, 500)


@app.post("/signup", status_code=201, summary="Open an account", responses=refusals(400, 409))
async def signup(credentials: schemas.Credentials, response: Response) -> schemas.AccessToken:
    """The email counts in lower case. Answers with an access token, as /login does."""
    email, password_hash = credentials.email, await auth.in_hasher(auth.hash_password, credentials.password)
    try:
        user_id, token = await write(lambda tx: auth.open_account(tx, email, password_hash), email)
    except exc.IntegrityError:
        raise HTTPException(409, "This email is taken: log in, or sign up with another.") from None
    log.info("signup account=%d", user_id)
    response.headers["Cache-Control"] = "no-store"  # RFC 6749 section 5.1
    return schemas.AccessToken(**token)


@app.post("/login", summary="Get an access token", responses=refusals(400, 401))
async def login(credentials: schemas.Credentials, response: Response) -> schemas.AccessToken:
    """Each login gives a new token; the others stay good until they expire."""
    query = select(User.id, User.password_hash).where(User.email == credentials.email)
    (user,) = await read(models.fetch, query) or (None,)
    old_hash = user.password_hash if user else ""
    new_hash = await auth.in_hasher(auth.check_password, credentials.password, old_hash)
    token = None
    if user and new_hash:
        token = await write(lambda tx: auth.open_session(tx, user.id, old_hash, new_hash), user.id)
    if not user or not token:
        log.warning("login refused account=%s", user.id if user else "unknown")
        raise auth.unauthorized("The email or the password is wrong.")
    log.info("login account=%d", user.id)
    response.headers["Cache-Control"] = "no-store"
    return schemas.AccessToken(**token)


@app.post("/addPost", status_code=201, summary="Add a post", responses=refusals(400, 401))
async def add_post(post: schemas.NewPost, user: CurrentUser) -> schemas.PostCreated:
    """The body may take 1,048,576 bytes."""
    try:
        post_id = await write(lambda tx: write_post(tx, user.id, post), user.id)
    except exc.IntegrityError:  # since its token was looked up
        raise auth.unauthorized("The account is gone.", "invalid_token") from None
    log.info("addPost account=%d post=%d", user.id, post_id)
    return schemas.PostCreated(postID=post_id)


def write_post(connection: Connection, user_id: int, post: schemas.NewPost) -> int:
    raise_version(connection, user_id)
    return insert_post(connection, user_id, post)


# First in each transaction that writes an account's posts: it locks the account, and makes its lists old.
def raise_version(connection: Connection, user_id: int) -> None:
    connection.execute(update(User).where(User.id == user_id).values(posts_version=User.posts_version + 1))


def insert_post(connection: Connection, user_id: int, post: schemas.NewPost) -> int:
    """The new post's id; raises what a check of `on_post` raises."""
    now, size = models.now(), len(post.text.encode())
    for check in hooks.on_post:
        check(connection, user_id, size)
    values = {"user_id": user_id, "size": size, "created_at": now, "updated_at": now, **post.model_dump()}
    return connection.execute(insert(Post), values).lastrowid


Page = tuple[bytes, int | None]  # the JSON of a list of posts, newest first, and the id before which the next begins
# 64 MiB and 300 s. An entry takes 500 bytes besides its JSON, or empty pages would cost nothing.
pages = TTLCache[Any, Page](2**26, 300_000, timer=lambda: models.now(), getsizeof=lambda page: 500 + len(page[0]))


# Never stale: a write raises the version, and so changes the key.
@cached(pages, lock=Lock(), info=True)
def page_of_posts(user_id: int, posts_version: int, status: str | None, limit: int, before: int) -> Page:
    """At most `limit` of the posts before an id, and no more than PAGE_BYTES of text beyond the first."""
    mine = (Post.user_id == user_id, Post.id < before, Post.status == (status or Post.status))
    sizes = models.fetch(select(Post.id, Post.size).where(*mine).order_by(Post.id.desc()).limit(limit + 1))
    fitting = sum(total <= PAGE_BYTES for total in accumulate(size for _, size in sizes))
    ids = [post_id for post_id, _ in sizes[: min(max(1, fitting), limit)]] or [0]
    columns = (Post.id, Post.text, Post.status, Post.created_at, Post.updated_at)
    rows = models.fetch(select(*columns).where(*mine, Post.id.between(ids[-1], ids[0])).order_by(Post.id.desc()))
    posts = list_of(hooks.post).validate_python(
        [dict(zip(schemas.Post.model_fields, row, strict=True)) for row in rows]
    )
    return list_of(hooks.post).dump_json(posts), ids[-1] if len(ids) < len(sizes) else None


@cache
def list_of(model: type[schemas.Post]) -> TypeAdapter[Any]:
    return TypeAdapter(list[model])  # type: ignore[valid-type]


# The name tells posts apart that an extra has given more fields.
def list_headers(user: auth.Account) -> dict[str, str]:
    etag = f'"{user.id}-{user.posts_version}-{hooks.post.__name__}"'
    return {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}


def is_unchanged(request: Request, etag: str) -> bool:
    return bool({"*", etag, f"W/{etag}"} & tags_of(request, "If-None-Match"))


# The entity tags of If-Match or If-None-Match, whose lines make one list (RFC 9110 section 13.1).
def tags_of(request: Request, name: str) -> set[str]:
    return {each.strip() for each in ",".join(request.headers.getlist(name)).split(",")}


class PatientResponse(StreamingResponse):
    async def stream_response(self, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(STALL):
                await send(message)

        await super().stream_response(send_in_time)


# The page, and if the list is wanted whole all that follow; no connection is held while the client reads.
async def in_pieces(page: Page, user: auth.Account, status: str | None, whole: bool) -> AsyncIterator[memoryview]:
    yield memoryview(b"[")
    while True:
        posts, following = page
        for start in range(1, len(posts) - 1, PIECE):
            yield memoryview(posts)[start : min(start + PIECE, len(posts) - 1)]
        if not following or not whole:
            break
        page = await read(page_of_posts, user.id, user.posts_version, status, PAGE_POSTS, following)
        yield memoryview(b",")[: len(page[0]) - 2]  # none before nothing, if all the rest was deleted
    yield memoryview(b"]")


@app.get(
    "/getPosts",
    summary="List your posts, newest first",
    response_model=list[schemas.Post],
    responses=refusals(401) | {304: {"description": "Unchanged"}},
)
async def get_posts(request: Request, query: Annotated[schemas.ListQuery, Query()], user: CurrentUser) -> Response:
    """All of them, unless a `limit` makes it a page, whose `Link` leads to the next."""
    headers = list_headers(user)
    if is_unchanged(request, headers["ETag"]):
        return Response(None, 304, headers)
    limit, before = query.limit or PAGE_POSTS, query.before or schemas.MAX_ID
    page = await read(page_of_posts, user.id, user.posts_version, query.status, limit, before)
    if page[1] and query.limit:
        headers["Link"] = f'<?{request.url.include_query_params(before=page[1]).query}>; rel="next"'
    if len(page[0]) <= PIECE and (query.limit or not page[1]):
        return Response(page[0], 200, headers, "application/json")
    pieces = in_pieces(page, user, query.status, whole=not query.limit)
    return PatientResponse(pieces, 200, headers, "application/json")


@app.delete("/deletePost/{postID}", status_code=204, summary="Delete a post", responses=refusals(401, 404))
async def delete_post(
    postID: Annotated[schemas.Id, Path(openapi_examples={"the first": {"value": 1}})], user: CurrentUser
) -> None:
    """Somebody else's post is as unknown as one that never was."""
    await write(lambda tx: remove_post(tx, user.id, postID), user.id)
    log.info("deletePost account=%d post=%d", user.id, postID)


def remove_post(connection: Connection, user_id: int, post_id: int) -> None:
    raise_version(connection, user_id)
    if not connection.execute(delete(Post).where(Post.id == post_id, Post.user_id == user_id)).rowcount:
        raise HTTPException(404, "You have no post with this id.")


if os.path.isdir(os.path.join(os.path.dirname(__file__), "extras")):
    importlib.import_module("extras.door").load(app, DEFAULT_EXTRAS)
if not any(route.path == "/" for route in iter_route_contexts(app.routes)):
    app.add_api_route("/", lambda: RedirectResponse("docs"), include_in_schema=False)
app.openapi()  # without the methods that come now
for route in iter_route_contexts(app.routes):
    if route.methods and "GET" in route.methods:
        route.methods.add("HEAD")  # RFC 9110 section 9.3.2
hooks.create_tables()
app.middleware_stack = reduce(lambda stack, layer: layer(stack), hooks.layers, app.build_middleware_stack())
