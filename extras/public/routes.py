"""The addresses of pages and feeds, and `/publicPosts` for programs."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import RedirectResponse
from pydantic import Field

import app as core
import schemas
from models import hooks, read

from . import settings
from .answers import Load, Page, answer, find_page, headers_of, is_unchanged, respond, site_of
from .clearing import lifespan
from .feeds import load_atom, load_json
from .pages import HTML, load_list, load_post, load_raw, missing
from .posts import Owner, find_owner

STYLE = Path(__file__).with_name("style.css").read_bytes()
STYLE_PAGE = Page(STYLE, "text/css; charset=utf-8", f'"{sha256(STYLE).hexdigest()[:32]}"', 0)
MOST = 50  # posts of /publicPosts, unless a limit says otherwise

router = APIRouter(lifespan=lifespan)


async def show(request: Request, handle: str, load: Load | None, *args: Any) -> Response:
    """One page; the same 404 for all that there is not, whyever."""
    site = site_of(request)
    if handle != handle.lower():
        path = request.scope["path"].removeprefix(request.scope.get("root_path", "")).lower()
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{site.root}{path}{query}", 308, headers_of())
    owner = await read(find_owner, handle)
    page = await find_page(load, handle, owner, site, *args) if owner and load else None
    return respond(page, request) if page else Response(missing(site.root), 404, headers_of(), HTML)


def id_of(digits: str) -> int | None:
    """As those of posts are written; None for anything else."""
    plain = digits.isascii() and digits.isdecimal() and len(digits) < 20 and not digits.startswith("0")
    return int(digits) if plain and int(digits) <= schemas.MAX_ID else None


@router.get("/@{handle}", include_in_schema=False)
async def list_page(request: Request, handle: str) -> Response:
    asked = request.query_params.get("before")
    before = id_of(asked) if asked else None
    return await show(request, handle, load_list if before or not asked else None, before)


@router.get("/@{handle}/feed.atom", include_in_schema=False)
async def atom_feed(request: Request, handle: str) -> Response:
    return await show(request, handle, load_atom)


@router.get("/@{handle}/feed.json", include_in_schema=False)
async def json_feed(request: Request, handle: str) -> Response:
    return await show(request, handle, load_json)


@router.get("/@{handle}/{postID}", include_in_schema=False)
async def post_page(request: Request, handle: str, postID: str) -> Response:
    post_id = id_of(postID)
    load = load_raw if "raw" in request.query_params else load_post
    return await show(request, handle, load if post_id else None, post_id)


@router.get("/public/style.css", include_in_schema=False)
async def style(request: Request) -> Response:
    return respond(STYLE_PAGE, request)


@router.get("/robots.txt", include_in_schema=False)
async def robots() -> Response:
    allowed = "Allow: /@\nAllow: /public/\n" if settings.index() else ""
    return Response(f"User-agent: *\n{allowed}Disallow: /\n", media_type="text/plain")


class PublicQuery(schemas.Input):
    limit: Annotated[schemas.Limit, Field(default_factory=lambda: MOST, description=f"{MOST} if none is sent")]
    before: Annotated[
        schemas.Id, Field(default_factory=lambda: schemas.MAX_ID, description="only posts older than this postID")
    ]


@router.get(
    "/publicPosts/{handle}",
    response_model=list[schemas.Post],
    responses={304: {}, 404: {}},
    summary="Get somebody's published posts",
    tags=["Posts"],
)
async def public_posts(
    request: Request,
    handle: Annotated[str, InPath(openapi_examples={"Ada": {"value": "ada"}})],
    query: Annotated[PublicQuery, Query()],
) -> Response:
    """A page of them, newest first; `Link` leads to the next. It needs no token."""
    owner: Owner | None = await read(find_owner, handle.lower())
    if not owner:
        raise HTTPException(404, "Nobody has this handle.")
    headers = headers_of(f'"{owner.version}-{hooks.post.__name__}"', owner.version)
    if is_unchanged(request, headers):
        return Response(None, 304, headers)
    posts, older = await read(core.page_of_posts, *owner, "published", query.limit, query.before)
    if older:
        headers["Link"] = f'<?{request.url.include_query_params(before=older).query}>; rel="next"'
    return answer(posts, headers, "application/json")
