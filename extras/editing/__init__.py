"""Posts can be changed, and no change is lost to another that came between.

    EXTRAS=+editing uvicorn app:app

With it on, each post of /getPosts carries a `version`, which changes whenever the post does, and there is

    PUT /editPost/{postID}   {"text"?, "status"?}   200 the post; 401, 404, 412, 413, 422

with one of the two fields or both. It sets `updatedAt`, and its body may be as large as /addPost's. With the header
`If-Match: "VERSION"` a post that has changed since is left alone, and the answer is 412: get the post again and decide.
The answer's ETag is the new version, for the next If-Match. Without the header the last edit wins. Then

    GET    /getPost/{postID}      200 the post, with its version as ETag; 304, 401, 404
    DELETE /deletePost/{postID}   takes If-Match too; 412

    $ curl -s -X PUT localhost:8000/editPost/7 -H "$auth" \\
        -H 'If-Match: "1795424400125"' \\
        -H 'Content-Type: application/json' -d '{"text": "Hello, world!"}'
    {"postID":7,"text":"Hello, world!","status":"published","createdAt":"2026-11-23T09:00:00.125000Z",
     "updatedAt":"2026-11-23T09:05:00.500000Z","version":1795424700500}

It has no settings. The version is `updatedAt` in milliseconds, which strictly increases for each post. A post that
grows is asked about like a new one, as if the old were not there: so another extra's quota holds.
"""

from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, HTTPException, Request, Response
from pydantic import ConfigDict, Field, computed_field, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import Connection, Row, delete, select, update

import app as core
import models
import schemas
from auth import CurrentUser, log
from extras.description import STR, Node, changes
from models import Post, read, write

CHANGED = {"description": "The post has changed since the version of `If-Match`"}


class Edit(schemas.Input):
    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    # Factories, as a default would be shown in OpenAPI. What was not sent is not changed.
    text: Annotated[str, Field(min_length=1, default_factory=str, examples=["Hello, world!"])]
    status: Annotated[schemas.Status, Field(default_factory=lambda: "published")]

    @model_validator(mode="after")
    def check_change(self) -> "Edit":
        if not self.model_fields_set:
            raise PydanticCustomError("nothing_to_edit", "Send 'text' or 'status' or both")
        return self


class VersionedPost(schemas.Post):
    @computed_field  # type: ignore[prop-decorator]
    @property
    def version(self) -> int:
        return round(self.updatedAt.timestamp() * 1000)


def find_post(connection: Connection, user_id: int, post_id: int, tags: set[str]) -> Row[Any]:
    """The post, locked; 404 if the account has none, 412 if no tag is its version (RFC 9110 section 13.1.1)."""
    query = select(Post).where(Post.id == post_id, Post.user_id == user_id).with_for_update()
    post = connection.execute(query).one_or_none()
    if not post:
        raise HTTPException(404, "You have no post with this id.")
    if not {"*", f'"{post.updated_at}"'} & tags:
        raise HTTPException(412, "The post has changed since: get it again and decide.")
    return post


def change_post(connection: Connection, user_id: int, post_id: int, edit: Edit, tags: set[str]) -> VersionedPost:
    post = find_post(connection, user_id, post_id, tags)
    values = {"text": post.text, "status": post.status, **edit.model_dump(exclude_unset=True)}
    size = len(values["text"].encode())
    core.raise_version(connection, user_id, 0, size - post.size)
    time = max(models.now(), post.updated_at + 1)
    connection.execute(update(Post).where(Post.id == post_id).values(size=size, updated_at=time, **values))
    return VersionedPost.model_validate({**post._mapping, **values, "updated_at": time})


def remove_post(connection: Connection, user_id: int, post_id: int, tags: set[str]) -> None:
    post = find_post(connection, user_id, post_id, tags)
    core.raise_version(connection, user_id, -1, -post.size)
    connection.execute(delete(Post).where(Post.id == post_id))


def document(whole: Node) -> None:
    """`version` in OpenAPI's posts, those of /getPosts too."""
    post = whole["components"]["schemas"]["Post"]
    post["properties"]["version"] = {"type": "integer", "title": "Version", "description": "for `If-Match`"}
    post["required"] = sorted({*post["required"], "version"})


VERSION = '`"VERSION"`: only if the post still has it'
IfMatch = Annotated[str, Header(alias="If-Match", default_factory=str, description=VERSION)]


def tags_of(request: Request) -> set[str]:
    """Those of If-Match; without it any version will do."""
    return core.tags_of(request, "If-Match") if "If-Match" in request.headers else {"*"}


def answer(post: VersionedPost) -> Response:
    headers = {"ETag": f'"{post.version}"', "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    return Response(post.model_dump_json(), 200, headers, "application/json")


router = APIRouter(route_class=core.Route, tags=["Posts"])


@router.put(
    "/editPost/{postID}",
    summary="Change a post",
    response_model=schemas.Post,
    responses={200: {"headers": {"ETag": STR}}, 404: {}, 412: CHANGED},
    max_body_size=core.POST_BODY,
)
async def edit_post(postID: schemas.Id, edit: Edit, user: CurrentUser, request: Request, _: IfMatch) -> Response:
    """Its text, its status or both. Somebody else's post is as unknown as one that never was."""
    post = await write(lambda tx: change_post(tx, user.id, postID, edit, tags_of(request)), user.id)
    log.info("editPost account=%d post=%d", user.id, postID)
    return answer(post)


@router.get("/getPost/{postID}", summary="Get a post", response_model=schemas.Post, responses={304: {}, 404: {}})
async def get_post(postID: schemas.Id, user: CurrentUser, request: Request) -> Response:
    """Its ETag is its version, for If-Match."""
    rows = await read(models.fetch, select(Post).where(Post.id == postID, Post.user_id == user.id))
    if not rows:
        raise HTTPException(404, "You have no post with this id.")
    response = answer(VersionedPost.model_validate(rows[0]))
    etag = response.headers["ETag"]
    if {"*", etag, f"W/{etag}"} & core.tags_of(request, "If-None-Match"):
        return Response(None, 304, {name: response.headers[name] for name in ("ETag", "Cache-Control", "Vary")})
    return response


@router.delete("/deletePost/{postID}", status_code=204, summary="Delete a post", responses={404: {}, 412: CHANGED})
async def delete_post(postID: schemas.Id, user: CurrentUser, request: Request, _: IfMatch) -> None:
    """Somebody else's post is as unknown as one that never was."""
    await write(lambda tx: remove_post(tx, user.id, postID, tags_of(request)), user.id)
    log.info("deletePost account=%d post=%d", user.id, postID)


def setup(app: FastAPI) -> None:
    models.hooks.post = VersionedPost
    changes.append(document)
    app.router.routes[:] = [route for route in app.routes if getattr(route, "path", "") != "/deletePost/{postID}"]
    app.include_router(router)
