"""Published posts that others can read."""

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
