"""`GET /findPosts`: the posts whose text contains a text, in whatever letter case and form it is written.

    $ curl -sG localhost:8000/findPosts -d text=hello -H "$auth"
    [{"postID":1,"text":"Hello, world","status":"published","createdAt":...}]

Newest first, with `status`, `limit` and `before` as in getPosts. Both sides are compared case-folded and in Unicode's
NFKC form, by the app itself, so the same is found on every database: `STRASSE` finds `Straße`, a full-width letter is a
letter, and an accent counts.

A request walks the posts for at most 0.3 seconds, in a thread that only searches use, and answers with what it has
found, of about 1 MiB of text at most. `Link: <...>; rel="next"` goes on from there; without it that was all. So a page
may be short, or empty, and still have a next one. An account's searches take turns. There are no settings.
What is sought stands in uvicorn's access log, as all addresses do.
"""

import asyncio
import re
import time
import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Response
from pydantic import Field, TypeAdapter
from sqlalchemy import Row, Select, bindparam, case, select

import app as core
import models
import schemas
from auth import CurrentUser
from models import Post

BUDGET = 0.3  # seconds that a request searches
SMALL = 2048  # bytes of a text that is read together with its neighbours; a larger one is read by itself
# Posts after which others have their turn, more where each step costs three round trips; and for how many seconds.
STEP, PAUSE = 64 if models.SQLITE else 256, 0.0002

searchers = ThreadPoolExecutor(1, "searcher")


class FindQuery(schemas.ListQuery):
    text: Annotated[
        str,
        Field(
            min_length=1, max_length=200, description="what the posts contain", json_schema_extra={"example": "hello"}
        ),
    ]


MARKS = "".join(  # which some are only once they are taken apart, such as U+0F73
    chr(each) for each in range(0x110000) if unicodedata.combining(unicodedata.normalize("NFKD", chr(each))[0])
)
MANY_MARKS = re.compile(f"([{MARKS}]{{30}})(?=[{MARKS}])")
MAY_BE_MARKS = re.compile("[^\x00-\x7f]{31,}")  # which is found ten times as fast
PIECE = 2048  # characters that are folded at a time, as others wait meanwhile
JOINING = re.compile("[\u1100-\u11ff\u3131-\u318e\ua960-\ud7ff\uff9e-\uffdc]")  # what Hangul and Kana put together


def fold(text: str) -> str:
    """The form in which texts are compared (Unicode's compatibility caseless matching, D146).

    Of marks without end, over which to normalise takes for ever, each 31st has a joiner before it (UAX #15, section
    13), in what is sought too.
    """
    if text.isascii():  # of which nothing has another form, and most is
        return text.lower()
    text = MAY_BE_MARKS.sub(lambda found: MANY_MARKS.sub("\\1\u034f", found[0]), text)
    return "".join(fold_piece(text[start:end]) for start, end in pairwise(cuts(text)))


def fold_piece(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def cuts(text: str) -> Iterator[int]:
    """From the start to the end, where what follows never joins what precedes."""
    place = 0
    while place < len(text):
        yield place
        place += PIECE
        while place < len(text) and (unicodedata.category(text[place])[0] == "M" or JOINING.match(text[place])):
            place += 1
    yield len(text)


def texts_before(user_id: int, status: str) -> Select[int, str | None]:
    """The ids and texts of the next posts before `before`, newest first; None for a large text.

    Without the hint MariaDB would read all newer posts again for each step.
    """
    mine = [Post.user_id == user_id, Post.status == (status or Post.status), Post.id < bindparam("before")]
    texts = select(Post.id, case((Post.size <= SMALL, Post.text))).where(*mine).order_by(Post.id.desc()).limit(STEP)
    return texts.with_hint(Post, "FORCE INDEX (ix_posts_list)", "mysql")


def texts_of(user_id: int, query: FindQuery) -> Iterator[tuple[int, str]]:
    """The ids and texts of an account's posts, newest first. Now and then it gives way to others."""
    before, texts = query.before, texts_before(user_id, query.status)
    while rows := models.fetch(texts, before=before):
        for before, text in rows:
            yield before, text or large_text(before)
        time.sleep(PAUSE)


def large_text(post_id: int) -> str:
    rows = models.fetch(select(Post.text).where(Post.id == post_id))
    return str(rows[0].text) if rows else ""  # deleted meanwhile


def find(user_id: int, query: FindQuery) -> tuple[Sequence[Row[Any]], int | None]:
    """The posts found, and the id before which to go on; None at the end."""
    until, needle, most = time.monotonic() + BUDGET, fold(query.text), query.limit or core.PAGE_POSTS
    ids, size = list[int](), 0
    for post_id, text in texts_of(user_id, query):
        if needle in fold(text):
            ids.append(post_id)
            size += len(text.encode())
        if len(ids) == most or size > core.PAGE_BYTES or time.monotonic() > until:
            return posts_of(ids), post_id
    return posts_of(ids), None


def posts_of(ids: list[int]) -> Sequence[Row[Any]]:
    return models.fetch(select(Post).where(Post.id.in_(ids)).order_by(Post.id.desc())) if ids else []


async def in_turn(user_id: int, query: FindQuery) -> tuple[Sequence[Row[Any]], int | None]:
    deadline = time.monotonic() + models.DEADLINE
    async with models.locks.setdefault(("findPosts", user_id), asyncio.Lock()):
        return await models.in_thread(searchers, deadline - time.monotonic(), find, user_id, query)


router = APIRouter(route_class=core.Route)


@router.get("/findPosts", response_model=list[schemas.Post], tags=["Posts"])
async def find_posts(request: Request, query: Annotated[FindQuery, Query()], user: CurrentUser) -> Response:
    """Those whose text contains `text`, newest first; `Link` leads on."""
    found, before = await in_turn(user.id, query)
    headers = {"Cache-Control": "no-store"}
    if before:
        headers["Link"] = f'<?{request.url.include_query_params(before=before).query}>; rel="next"'
    posts = TypeAdapter(list[models.hooks.post])  # type: ignore[name-defined]
    return Response(posts.dump_json(posts.validate_python(found)), 200, headers, "application/json")


def setup(app: FastAPI) -> None:
    app.include_router(router)
