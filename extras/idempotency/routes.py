"""`/addPost` with a key, and what is answered when it was used before."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse

import app as core
import models
import schemas
from auth import Account, CurrentUser, log
from models import CommitLost, write

from .clearing import lifespan
from .header import ReadKey
from .keys import Replay, write_once

SAFE = "The database broke off while it saved this. Send it again with the same Idempotency-Key: it is saved once."
REPLAYED: dict[int | str, dict[str, Any]] = {
    201: {
        "headers": {
            "Idempotent-Replayed": {
                "description": "`true` if the post was written before, by a request with the same key",
                "schema": {"type": "string", "enum": ["true"]},
            }
        }
    }
}

router = APIRouter(route_class=core.Route, lifespan=lifespan)


@router.post("/addPost", status_code=201, responses=REPLAYED, tags=["Posts"], max_body_size=core.POST_BODY)
async def add_post(post: schemas.PostInput, user: CurrentUser, key: ReadKey) -> schemas.PostCreated:
    """The body may take 1,048,576 bytes. With an `Idempotency-Key` it can be sent again, and is written once."""
    if not key:
        return await core.add_post(post, user)
    post_id = await write(lambda tx: write_once(tx, user.id, post, key), user.id)
    log.info("addPost account=%d post=%d", user.id, post_id)
    return schemas.PostCreated(postID=post_id)


async def answer_again(request: Request, replay: Exception) -> JSONResponse:
    account, post_id = Account(*request.scope["account"]), replay.args[0]
    log.info("addPost repeated account=%d post=%d", account.id, post_id)
    return JSONResponse({"postID": post_id}, 201, {"Idempotent-Replayed": "true"})


async def unavailable(request: Request, error: Exception) -> JSONResponse:
    """What it means that the connection was lost during COMMIT: with a key there is no need to look."""
    if "Idempotency-Key" in request.headers and request.scope["path"].endswith("/addPost"):
        error = CommitLost(*error.args)  # its own, as it may be that of many
        error.advice = SAFE
    return await core.unavailable(request, error)


def add_routes(app: FastAPI) -> None:
    app.router.routes[:] = [route for route in app.routes if getattr(route, "path", "") != "/addPost"]
    app.include_router(router)
    app.add_exception_handler(Replay, answer_again)
    app.add_exception_handler(models.CommitLost, unavailable)
