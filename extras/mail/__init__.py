"""Manual."""

from fastapi import APIRouter, FastAPI

import models

from . import addresses, links, passwords
from .sending import make_lifespan
from .settings import Settings, read_page, read_required, read_sender, read_server, read_ttl


def setup(app: FastAPI) -> None:
    settings = Settings(read_server(), read_sender(), read_page())
    links.LIFETIME["reset"] = read_ttl()
    if read_required():
        models.hooks.on_token.append(addresses.refuse_unconfirmed)
        addresses.document_refusal(app)
    app.router.routes[:] = [route for route in app.routes if getattr(route, "path", "") != "/signup"]
    for router in (passwords.router, addresses.router, APIRouter(lifespan=make_lifespan(settings))):
        app.include_router(router)
