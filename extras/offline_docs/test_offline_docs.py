import gzip
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from test_app import Server, new_database, serve

CHROMIUM = Path("/usr/bin/chromium")
HOST = "posts.example"  # as Swagger UI treats localhost otherwise
OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    f"--disable-component-update --disable-sync --host-resolver-rules=MAP~{HOST}~127.0.0.1"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with new_database() as url, serve(url, EXTRAS="offline_docs") as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip("needs chromium")
    with api.sync_playwright() as playwright:
        options = [option.replace("~", " ") for option in OPTIONS.split()]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that keeps what it asks for, what is blocked of it, and its errors."""
    context = browser.new_context()
    page = context.new_page()
    page.asked, page.blocked, page.errors = [], [], []
    page.on("request", lambda request: page.asked.append(request))
    page.on("requestfailed", lambda request: page.blocked.append((request, request.failure)))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    context.close()


def home(server: Server) -> str:
    return f"http://{HOST}:{server.base_url.port}"


def strangers(page: Any, server: Server) -> set[str]:
    """What left the machine."""
    refused = {request.url for request, failure in page.blocked if failure == "csp"}
    own = (home(server), "data:", "blob:")
    return {request.url for request in page.asked if not request.url.startswith(own)} - refused


def test_docs_run_on_what_the_app_serves(server: Server, page: Any) -> None:
    page.goto(f"{home(server)}/docs")
    page.get_by_text("Sign up", exact=True).click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.get_by_text('"access_token"').first.wait_for()
    assert not strangers(page, server)
    assert not page.errors


def test_a_pasted_token_stays_over_a_reload(server: Server, page: Any) -> None:
    token = server.account()["Authorization"].removeprefix("Bearer ")
    page.goto(f"{home(server)}/docs")
    page.locator("button.authorize").click()
    page.locator("#auth-bearer-value").fill(token)
    page.locator(".modal-ux button.authorize").click()
    page.reload()
    page.get_by_text("Get Posts").click()
    page.get_by_role("button", name="Try it out").click()
    with page.expect_request("**/getPosts*") as request:
        page.get_by_role("button", name="Execute").click()
    assert request.value.headers["authorization"] == f"Bearer {token}"


def test_redoc_runs_on_what_the_app_serves(server: Server, page: Any) -> None:
    page.goto(f"{home(server)}/redoc")
    page.get_by_role("heading", name="Sign up").wait_for()
    page.locator("input[type=text]").first.press_sequentially("newest")
    page.get_by_role("menuitem", name="Get Posts").last.wait_for()
    assert not strangers(page, server)
    assert not page.errors


def test_it_works_behind_a_proxys_root_path(page: Any) -> None:
    with new_database() as url, serve(url, "--root-path", "/blog", EXTRAS="offline_docs") as server:
        for path, text in (("/docs", "swagger-ui"), ("/redoc", "redoc")):
            html = server.get(path).text
            (script,) = re.findall(r'<script src="/blog(/[^"]*)"', html)
            assert text in script
            assert "/blog/openapi.json" in html
            assert server.get(script).status_code == 200
        page.route("**/blog/*", lambda route: route.continue_(url=route.request.url.replace("/blog", "", 1)))
        page.route("**/blog/docs/**", lambda route: route.continue_(url=route.request.url.replace("/blog", "", 1)))
        page.goto(f"{home(server)}/blog/docs")
        page.get_by_text("Sign up", exact=True).wait_for()
        page.goto(f"{home(server)}/blog/redoc")
        page.get_by_role("heading", name="Sign up").wait_for()


@pytest.mark.parametrize("accepted", ["identity", "", "br, gzip;q=0", "gzip ; q=0.000, identity", "x-gzipped"])
def test_a_client_without_gzip_gets_the_file_itself(server: Server, accepted: str) -> None:
    (script,) = re.findall(r'<script src="([^"]*)"', server.get("/docs").text)
    plain = server.get(script, headers={"Accept-Encoding": accepted})
    packed = server.get(script)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert plain.content == packed.content


@pytest.mark.parametrize("name", ["nothing.js", "SHA256SUMS", "..%2f__init__.py"])
def test_nothing_else_is_served(server: Server, name: str) -> None:
    answer = server.get(f"/docs/assets/{name}")
    assert answer.status_code == 404
    assert answer.json() == {"detail": "Not Found"}


def test_the_assets_are_npms_files() -> None:
    assets = Path(__file__).with_name("assets")
    sums = dict(line.split()[::-1] for line in (assets / "SHA256SUMS").read_text().splitlines())
    files = {file.stem: hashlib.sha256(gzip.decompress(file.read_bytes())).hexdigest() for file in assets.glob("*.gz")}
    assert files == sums
