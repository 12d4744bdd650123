"""A real Chromium for the tests of the page."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from test_app import Server

OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
OPTIONS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or pytest.skip("there is no chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser: Any, server: Server) -> Iterator[Callable[..., Any]]:
    """Opens the page in a browser profile of its own; at the end nothing may have failed in it."""
    errors: list[str] = []
    contexts = []

    def new_page(server: Server = server, **options: Any) -> Any:
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_timeout(10_000)
        contexts[-1].on("weberror", lambda error: errors.append(str(error.error)))
        contexts[-1].on("console", lambda message: errors.append(message.text) if "Policy" in message.text else None)
        page = contexts[-1].new_page()
        page.goto(str(server.base_url))
        return page

    yield new_page
    for context in contexts:
        context.close()
    assert errors == []  # noqa: S101
