"""The Controller: the five routes, their refusals, the body guard, the cache, and the door for extras.

Start it with `uvicorn app:app`. Every refusal is JSON with `detail`.
"""

import asyncio
import gc
import importlib
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path as File
from threading import Lock
from typing import Annotated, Any, NamedTuple, cast

from cachetools import TTLCache, cached
from fastapi import FastAPI, HTTPException, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.routing import iter_route_contexts
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, bindparam, case, delete, func, insert, or_, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import auth
import models
import schemas
from auth import CurrentUser, log
from models import Post, in_thread, stop, write
from schemas import Status

POST_BODY = 1_048_576  # bytes on the wire
OTHER_BODY = 16_384
PAGE_BYTES = 2**20  # of texts that one query brings into memory
PAGE_POSTS = 10_000
CACHE_BYTES = 2**26
ENTRY_BYTES = 500  # that one takes besides its JSON, or empty pages would cost nothing
CACHE_MILLISECONDS = 300_000

REFUSALS = {
    400: "The body cannot be read as JSON",
    401: "The access token is missing, unknown or expired; or the email or the password is wrong",
    404: "You have no such post",
    409: "The email is taken",
    413: "The body is too large",
    422: "A field is wrong",
    503: "The database is not available: try again after `Retry-After` seconds",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of them."""
    model = {422: schemas.Invalid}
    return {each: {"description": REFUSALS[each], "model": model.get(each, schemas.Refusal)} for each in statuses}


app = FastAPI(
    title="Posts",
    description="Sign up or log in, then press *Authorize* and paste the `access_token`.",
    redirect_slashes=False,
    swagger_ui_parameters={"persistAuthorization": True},
    responses=refusals(413, 503),
)
app.router.max_body_size = OTHER_BODY  # of every route that names no other, the extras' too


class ContentTooLarge:
    """Makes each 413 JSON, as Starlette answers a too large Content-Length in plain text."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = False

        async def send_json(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] == 413:
                refused = True
                await refuse_body(scope, receive, send)
            elif not refused:
                await send(message)

        await self.app(scope, receive, send_json)


async def refuse_body(scope: Scope, receive: Receive, send: Send) -> None:
    detail = f"The body is too large: {POST_BODY} bytes are the most for a post, {OTHER_BODY} elsewhere."
    answer = JSONResponse({"detail": detail}, 413)
    if "content-length" in Headers(scope=scope):  # uvicorn drops the rest
        return await answer(scope, receive, send)
    answer.headers["Connection"] = "close"
    await answer(scope, receive, lambda message: send({**message, "more_body": True}))
    await asyncio.sleep(0.5)  # closed at once, a client that is still writing would lose the answer
    await send({"type": "http.response.body", "body": b""})


app.add_middleware(ContentTooLarge)


@app.exception_handler(RequestValidationError)
async def unprocessable(_: Request, error: RequestValidationError) -> JSONResponse:
    """Which field is wrong, and how; FastAPI's own answer repeats what was sent, passwords too."""
    detail = [{"type": each["type"], "loc": each["loc"], "msg": each["msg"]} for each in error.errors()]
    for each in detail:
        if each["type"] == "extra_forbidden":  # the field's name is the client's
            each |= {"loc": each["loc"][:-1], "msg": "There is a field that this route does not know"}
        if each["type"] == "model_attributes_type":
            each["msg"] = "Send a JSON object, with 'Content-Type: application/json'"
    return JSONResponse({"detail": detail}, 422)


@app.exception_handler(DBAPIError)
@app.exception_handler(PoolTimeoutError)
@app.exception_handler(TimeoutError)
async def unavailable(_: Request, error: Exception) -> JSONResponse:
    log.error("database failure: %s", models.reason(error))
    return JSONResponse({"detail": "The database is not available. Try again soon."}, 503, {"Retry-After": "5"})


@app.exception_handler(Exception)
async def internal_error(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse({"detail": "Something went wrong here. It was logged."}, 500)


@app.post("/signup", status_code=201, summary="Open an account", responses=refusals(400, 409, 422))
async def signup(credentials: schemas.Credentials, response: Response) -> schemas.AccessToken:
    """The email counts in lower case. Answers with an access token, as /login does."""
    password_hash = await auth.in_hasher(auth.hash_password, credentials.password)
    try:
        user_id, token = await write(lambda tx: auth.open_account(tx, credentials.email, password_hash))
    except IntegrityError:
        raise HTTPException(409, "This email is taken: log in, or sign up with another.") from None
    log.info("signup account=%d", user_id)
    response.headers["Cache-Control"] = "no-store"  # RFC 6749 section 5.1
    return schemas.AccessToken(**token)


@app.post("/login", summary="Get an access token", responses=refusals(400, 401, 422))
async def login(credentials: schemas.Credentials, response: Response) -> schemas.AccessToken:
    """Each login gives a new token; the others stay good until they expire."""
    user = await in_thread(auth.find_user, credentials.email)
    old_hash = user.password_hash if user else ""
    new_hash = await auth.in_hasher(auth.check_password, credentials.password, old_hash)
    token = None
    if user and new_hash:
        token = await write(lambda tx: auth.open_session(tx, user.id, old_hash, new_hash))
    if not user or not token:
        log.warning("login refused account=%s", user.id if user else "unknown")
        raise auth.unauthorized("The email or the password is wrong.")
    log.info("login account=%d", user.id)
    response.headers["Cache-Control"] = "no-store"
    return schemas.AccessToken(**token)


INSERT_POST = insert(Post)
DELETE_POST = delete(Post).where(Post.id == bindparam("post_id"), Post.user_id == bindparam("owner_id"))

on_post: list[Callable[[Connection, int, int], None]] = []  # extras: (transaction, user id, bytes); raises to refuse


def insert_post(connection: Connection, user_id: int, post: schemas.NewPost) -> int:
    time, size = models.now(), len(post.text.encode())
    for check in on_post:
        check(connection, user_id, size)
    values = {"user_id": user_id, "size": size, "created_at": time, "updated_at": time, **post.model_dump()}
    return models.inserted_id(connection, INSERT_POST, values)


@app.post("/addPost", status_code=201, summary="Add a post", responses=refusals(400, 401, 422), max_body_size=POST_BODY)
async def add_post(post: schemas.NewPost, user: CurrentUser) -> schemas.PostCreated:
    """The body may take 1,048,576 bytes."""
    try:
        post_id = await write(lambda tx: insert_post(tx, user.id, post), posts_of=user.id)
    except IntegrityError:  # the account went after its token was looked up
        raise auth.unauthorized("The account is gone.", "invalid_token") from None
    log.info("addPost account=%d post=%d", user.id, post_id)
    return schemas.PostCreated(postID=post_id)


class Page(NamedTuple):
    """Posts, newest first: their JSON without the brackets, and the id before which the next page begins."""

    json: bytes
    next: int | None


NEWEST = (  # from the index alone
    select(Post.id, Post.size)
    .where(Post.user_id == bindparam("user_id"), Post.id < bindparam("before"))
    .where(or_(bindparam("status").is_(None), Post.status == bindparam("status")))
    .order_by(Post.id.desc())
    .limit(bindparam("limit"))
    .subquery()
)
SO_FAR = func.sum(NEWEST.c.size).over(order_by=NEWEST.c.id.desc())
RECENT = select(NEWEST.c.id, (SO_FAR - NEWEST.c.size).label("bytes_before"), SO_FAR.label("bytes")).subquery()
FITS = or_(RECENT.c.bytes <= PAGE_BYTES, RECENT.c.bytes_before == 0)
SELECT_PAGE = (  # with the first that does not fit, as there is a next page then; it reads no text but what it gives
    select(Post.id, case((FITS, Post.text)).label("text"), Post.status, Post.created_at, Post.updated_at)
    .join(RECENT, RECENT.c.id == Post.id)
    .where(RECENT.c.bytes_before < PAGE_BYTES)
    .order_by(Post.id.desc())
)
POSTS = TypeAdapter(list[schemas.Post])
pages: TTLCache[Any, Page] = TTLCache(
    CACHE_BYTES, CACHE_MILLISECONDS, timer=lambda: models.now(), getsizeof=lambda page: ENTRY_BYTES + len(page.json)
)
pages_lock = Lock()


@cached(pages, lock=pages_lock)
def page_of_posts(user_id: int, posts_version: int, status: Status | None, limit: int, before: int) -> Page:
    """At most `limit` of the posts before an id. Never stale: a write raises the version, and so changes the key."""
    values = {"user_id": user_id, "status": status, "before": before, "limit": limit + 1}
    with models.engine.connect() as connection:
        rows = connection.execute(SELECT_PAGE, values).all()
    fitting = [row for row in rows[:limit] if row.text is not None]
    posts = POSTS.validate_python([dict(zip(schemas.Post.model_fields, row, strict=True)) for row in fitting])
    return Page(POSTS.dump_json(posts)[1:-1], fitting[-1].id if len(fitting) < len(rows) else None)


async def stream_posts(page: Page, user_id: int, status: Status | None) -> AsyncIterator[bytes]:
    """A list that is too large for a page, by pages; no connection is held while the client reads."""
    yield b"["
    yield page.json
    while page.next:
        key = (user_id, 0, status, PAGE_POSTS, page.next)
        page = await in_thread(page_of_posts.__wrapped__, *key, executor=models.streamer)
        yield b"," * bool(page.json)
        yield page.json
    yield b"]"


def read_query(request: Request) -> schemas.ListQuery:
    """The query by hand, as it seldom has one: FastAPI's own look for three parameters takes longer than the rest."""
    if not request.scope["query_string"]:
        return WHOLE_LIST
    try:
        return schemas.ListQuery.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise RequestValidationError([{**each, "loc": ("query", *each["loc"])} for each in error.errors()]) from None


WHOLE_LIST = schemas.ListQuery()
QUERY_SCHEMA = schemas.ListQuery.model_json_schema()["properties"]


@app.get(
    "/getPosts",
    summary="List your posts, newest first",
    response_model=list[schemas.Post],
    responses=refusals(401, 422) | {304: {"description": "Not changed since the ETag in `If-None-Match`"}},
    openapi_extra={"parameters": [{"name": k, "in": "query", "schema": v} for k, v in QUERY_SCHEMA.items()]},
)
async def get_posts(request: Request, user: CurrentUser) -> Response:
    """All of them, unless a `limit` makes it a page, whose `Link` leads to the next."""
    query = read_query(request)
    etag = f'"{user.id}-{user.posts_version}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    if etag in request.headers.get("If-None-Match", ""):
        return Response(None, 304, headers)
    key = (user.id, user.posts_version, query.status, query.limit or PAGE_POSTS, query.before or schemas.MAX_ID)
    with pages_lock:
        page = pages.get(page_of_posts.cache_key(*key))
    if not page:
        page = await in_thread(page_of_posts, *key)
    if page.next and not query.limit:
        return StreamingResponse(stream_posts(page, user.id, query.status), 200, headers, "application/json")
    if page.next:
        headers["Link"] = f'<?{request.url.include_query_params(before=page.next).query}>; rel="next"'
    return Response(b"[%b]" % page.json, 200, headers, "application/json")


@app.delete("/deletePost/{postID}", status_code=204, summary="Delete a post", responses=refusals(401, 404, 422))
async def delete_post(
    postID: Annotated[int, Path(ge=1, le=schemas.MAX_ID, openapi_examples={"the first": {"value": 1}})],
    user: CurrentUser,
) -> None:
    """Somebody else's post is as unknown as one that never was."""
    values = {"post_id": postID, "owner_id": user.id}
    if not await write(lambda tx: tx.execute(DELETE_POST, values).rowcount, posts_of=user.id):
        raise HTTPException(404, "You have no post with this id.")
    log.info("deletePost account=%d post=%d", user.id, postID)


def routes_of(app: FastAPI) -> Counter[str]:
    """How many routes answer to each `METHOD /path`; the names of path parameters make no difference."""
    return Counter(
        f"{method} {re.sub(r'{[^}]*}', '{}', route.path or '')}"
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ["*"]
    )


def find_setup(name: str) -> Callable[[FastAPI], None]:
    """`setup` of `extras/NAME`, or of any importable module if the name has a dot."""
    module = name if "." in name.strip(".") else f"extras.{name}"
    try:
        setup = getattr(importlib.import_module(module), "setup", None)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            stop(f"EXTRAS: '{name}' needs '{error.name}'. Run: pip install -r extras/requirements.txt")
        setup = None
    if setup:
        return cast("Callable[[FastAPI], None]", setup)
    folder = File(__file__).with_name("extras")
    files = [file for pattern in ("*.py", "*/__init__.py") for file in folder.glob(pattern) if file.name[:5] != "test_"]
    known = [file.stem.replace("__init__", file.parent.name) for file in files if "\ndef setup(" in file.read_text()]
    stop(f"EXTRAS: there is no extra '{name}'. There are: {', '.join(sorted(known)) or 'none'}.")


def load_extras(app: FastAPI, names: list[str]) -> None:
    """Call each extra's `setup(app)`, in this order; whatever is wrong ends the start with one line."""
    owners = dict.fromkeys(routes_of(app), "the core")
    for name in names:
        if names.count(name) > 1:
            stop(f"EXTRAS: '{name}' is named twice.")
        find_setup(name)(app)
        for route, count in routes_of(app).items():
            if count > 1:
                stop(f"EXTRAS: '{name}' adds '{route}', which {owners.get(route, name)} has. Leave one of them out.")
            owners.setdefault(route, name)


load_extras(app, re.findall(r"[^,\s]+", os.environ.get("EXTRAS", "")))
models.create_tables()
gc.collect()
gc.freeze()  # or each full collection walks all that the start made, and every request waits 50 ms for it
