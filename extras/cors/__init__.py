"""Pages of other origins may use the service from a browser: Cross-Origin Resource Sharing.

    EXTRAS=+cors CORS_ORIGINS=https://a.example,https://b.example uvicorn app:app

    $ curl -si localhost:8000/getPosts -H 'Origin: https://a.example' | grep -i ^access-control-allow
    access-control-allow-origin: https://a.example

Settings:

- `CORS_ORIGINS`, needed: the origins, each exactly as a browser sends it: scheme, host in lower case, and the port
  unless it is the scheme's own; no path, no slash at the end. Or `*` for every origin, which gives nobody more than
  they have: a page can do nothing without a token.
- `CORS_CREDENTIALS=1`: browsers may send cookies along, and Authorization that they remember themselves. The service
  uses neither, but an extra of yours or a proxy might. With `*` it is refused, as it would let every page act for the
  person who looks at it.

It stands around all other extras, whatever their order, so that a page can read every answer, refusals too.
"""

import os
import re

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

import models
from models import stop

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?")
OWN_PORT = re.compile(r"http://.*:80|https://.*:443")

# What a page may read, of all that the core and the extras send.
EXPOSED = (
    "Content-Disposition ETag Idempotent-Replayed Link Location RateLimit RateLimit-Policy Retry-After "
    "WWW-Authenticate X-Request-ID"
)


class Cors(CORSMiddleware):
    """Refuses a preflight in JSON, as all is refused here."""

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code == 200:
            return answer
        names = (name for name in answer.headers if name.startswith(("access-control-", "vary")))
        return JSONResponse({"detail": f"{bytes(answer.body).decode()}."}, 400, {n: answer.headers[n] for n in names})


def read_origins() -> list[str]:
    origins = re.findall(r"[^,\s]+", os.environ.get("CORS_ORIGINS", ""))
    if not origins:
        stop("CORS_ORIGINS is missing: name the origins, such as https://a.example,https://b.example.")
    for origin in origins:
        if origin != "*" and (not ORIGIN.fullmatch(origin) or OWN_PORT.fullmatch(origin)):
            stop(f"CORS_ORIGINS: {origin!r} is no origin as browsers send it, such as https://a.example:8443.")
    return origins


def read_credentials() -> bool:
    value = os.environ.get("CORS_CREDENTIALS") or "0"
    if value not in {"0", "1"}:
        stop("CORS_CREDENTIALS is 1 or 0.")
    return value == "1"


def setup(app: FastAPI) -> None:
    origins, credentials = read_origins(), read_credentials()
    if "*" in origins and credentials:
        stop("CORS_ORIGINS=* cannot go with CORS_CREDENTIALS=1: name the origins.")
    models.hooks.layers.append(
        lambda stack: Cors(
            stack,
            allow_origins=origins,
            allow_credentials=credentials,
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=EXPOSED.split(),
        )
    )
