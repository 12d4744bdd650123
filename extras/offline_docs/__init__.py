"""/docs and /redoc for machines without the internet: all that they load is served by the app itself.

    EXTRAS=offline_docs uvicorn app:app

Nothing else changes: the same pages at the same addresses, and a pasted token stays over a reload. They work behind a
proxy's `--root-path` too, and their Content-Security-Policy forbids the browser to ask any other host. (ReDoc wants a
logo from its maker's: the browser's console says that it was refused.)

    $ curl -s localhost:8000/docs | grep -o 'src="[^"]*"'
    src="/docs/assets/swagger-ui-5.35.0.js"

It has no settings. `assets/` holds, compressed and as they are, files of npm's swagger-ui-dist 5.35.0 (Apache-2.0) and
redoc 2.5.4 (MIT), their licences and, in `SHA256SUMS`, the digests of the files as npm has them.
`extras/offline_docs/vendor 5.35.0 2.5.4` fetches them, or newer ones.
"""

import gzip
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse

ASSETS = {file.stem: file.read_bytes() for file in Path(__file__).parent.glob("assets/*.gz")}
TYPES = {"js": "text/javascript", "css": "text/css", "png": "image/png"}
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "worker-src blob:",  # ReDoc's search
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "object-src 'none'",
    )
)


def url_of(request: Request, pattern: str) -> str:
    """The address of the one asset whose name fits."""
    (name,) = (name for name in ASSETS if Path(name).match(pattern))
    return f"{root_of(request)}/docs/assets/{name}"


def root_of(request: Request) -> str:
    """What a proxy puts before all paths."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in ASSETS:
        raise HTTPException(404, "Not Found")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    media_type = TYPES[name.rpartition(".")[2]]
    if not takes_gzip(request.headers.get("Accept-Encoding", "")):
        return Response(gzip.decompress(ASSETS[name]), 200, headers, media_type)
    return Response(ASSETS[name], 200, headers | {"Content-Encoding": "gzip"}, media_type)


def takes_gzip(accept_encoding: str) -> bool:
    """RFC 9110 section 12.5.3: with the weight 0 it is refused."""
    weights = dict(re.findall(r"([\w*-]+)(?:\s*;\s*q=([\d.]+))?", accept_encoding.lower()))
    return float(weights.get("gzip", "0") or "1") > 0


def guarded(page: HTMLResponse) -> HTMLResponse:
    """FastAPI's own lines of script may run, and no other that is in the page."""
    own = [
        b64encode(sha256(script).digest()).decode()
        for script in re.findall(rb"<script>(.*?)</script>", page.body, re.S)
    ]
    allowed = "".join(f" 'sha256-{digest}'" for digest in own)
    page.headers["Content-Security-Policy"] = POLICY.replace("script-src 'self'", f"script-src 'self'{allowed}")
    return page


def setup(app: FastAPI) -> None:
    async def docs(request: Request) -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url=f"{root_of(request)}{app.openapi_url}",
            title=f"{app.title} - Swagger UI",
            oauth2_redirect_url=f"{root_of(request)}{app.swagger_ui_oauth2_redirect_url}",
            swagger_js_url=url_of(request, "swagger-ui-*.js"),
            swagger_css_url=url_of(request, "swagger-ui-*.css"),
            swagger_favicon_url=url_of(request, "favicon-*"),
            swagger_ui_parameters={**(app.swagger_ui_parameters or {}), "validatorUrl": None},
        )
        return guarded(page)

    async def redoc(request: Request) -> HTMLResponse:
        page = get_redoc_html(
            openapi_url=f"{root_of(request)}{app.openapi_url}",
            title=f"{app.title} - ReDoc",
            redoc_js_url=url_of(request, "redoc-*.js"),
            redoc_favicon_url=url_of(request, "favicon-*"),
            with_google_fonts=False,
        )
        return guarded(page)

    replaced = {"/docs", "/redoc"}
    app.router.routes[:] = [route for route in app.routes if getattr(route, "path", "") not in replaced]
    app.add_route("/docs", docs, include_in_schema=False)
    app.add_route("/redoc", redoc, include_in_schema=False)
    app.add_route("/docs/assets/{name}", asset, include_in_schema=False)
