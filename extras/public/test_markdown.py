"""Hostile Markdown: it runs nothing, takes no longer than it may, and holds nobody else up."""

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import escape
from typing import Any

import pytest

from test_app import ROOT, Server, add, new_database, serve

pytest.importorskip("markdown_it")
pytest.importorskip("nh3")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with new_database() as url, serve(url, EXTRAS="fast,public") as server:
        yield server
        assert "Traceback" not in server.log


@pytest.fixture(scope="module")
def mallory(server: Server) -> dict[str, str]:
    headers = server.account()
    assert server.put("/profile", json={"handle": "mallory"}, headers=headers).status_code == 200
    return headers


def shown(server: Server, headers: dict[str, str], text: str) -> str:
    """The post's text on its page."""
    answer = server.get(f"/@mallory/{add(server, headers, text)}")
    assert answer.status_code == 200, answer.text
    match = re.search(r'<div class="text" lang="" dir="auto">\n(.*)</div>\n</article>', answer.text, re.DOTALL)
    assert match
    return match[1]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*a* **b** `c` ~~d~~", "<p><em>a</em> <strong>b</strong> <code>c</code> <s>d</s></p>\n"),
        ("# a\n\n###### b", "<h3>a</h3>\n<h6>b</h6>\n"),
        ("<b onclick=x>&lt;</b>", "<p>&lt;b onclick=x&gt;&lt;&lt;/b&gt;</p>\n"),
        (
            "[a](http://a.example 't')",
            '<p><a href="http://a.example" title="t" rel="ugc nofollow noopener">a</a></p>\n',
        ),
        ("[a](javascript:alert(1))", "<p>[a](javascript:alert(1))</p>\n"),
        ("[a](data:image/png;base64,AAAA)", '<p><a rel="ugc nofollow noopener">a</a></p>\n'),
        ("<ftp://a.example>", '<p><a rel="ugc nofollow noopener">ftp://a.example</a></p>\n'),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>\n'),
    ],
)
def test_markdown_is_shown_as_safe_html(server: Server, mallory: dict[str, str], text: str, html: str) -> None:
    assert shown(server, mallory, text) == html


def test_images_come_over_https_alone_and_late(server: Server, mallory: dict[str, str]) -> None:
    for source in ("http://a.example/x.png", "//a.example/x.png", "/x.png", "data:image/png;base64,AAAA"):
        assert "src" not in shown(server, mallory, f"![alt]({source})")
    image = shown(server, mallory, "![alt](https://a.example/x.png)")
    for attribute in ('src="https://a.example/x.png"', 'loading="lazy"', 'referrerpolicy="no-referrer"', 'alt="alt"'):
        assert attribute in image


N = 2**17
TOO_MUCH = {
    "brackets": "[" * N,
    "images": "![" * (N // 2),
    "one long link, many times": "[a]: http://" + "x" * (N // 2) + "\n\n" + "[a] " * (N // 8),
    "a long link in a short text": "[a]: http://" + "x" * 2000 + "\n\n" + "[a] " * 500,
    "a table of many columns": "|a" * (N // 6) + "|\n" + "|-" * (N // 6) + "|\n" + "|\n" * (N // 6),
    "a megabyte": "*a* " * 250_000,
}
MUCH = {
    "nested lists": "- " * (N // 2),
    "nested quotes": "> " * (N // 2),
    "lists below lists": "\n".join(" " * (i % 200) + "- a" for i in range(1000)),
    "backticks": "".join("`" * i + "a" for i in range(500)),
    "entities": "&amp;&#0;&lt;script&gt;&#x202e;" * 1000,
    "marks from the right": "\u202e\u2066אa" * 1000,
    "emphasis": "*a_ " * 2000,
    "links": "[a](javascript:alert(1)) " * 500,
}


@pytest.mark.parametrize("text", TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_would_take_too_long_is_shown_as_plain_text(server: Server, mallory: dict[str, str], text: str) -> None:
    assert shown(server, mallory, text) == f'<pre class="plain">{escape(text)}</pre>'
    assert shown(server, mallory, "*after*") == "<p><em>after</em></p>\n"


@pytest.mark.parametrize("text", MUCH.values(), ids=MUCH)
def test_what_looks_bad_and_is_not_is_shown_as_markdown(server: Server, mallory: dict[str, str], text: str) -> None:
    html = shown(server, mallory, text)
    assert not html.startswith("<pre")
    assert not re.search(r"<script|<[^>]*(javascript:|\son\w+=)", html)
    assert html.count("<blockquote>") + html.count("<ul>") < 2000


def run(code: str, sent: str = "") -> str:
    """What the program says."""
    command, variables = [sys.executable, "-c", code], os.environ | {"DATABASE_URL": "sqlite://"}
    return subprocess.check_output(command, cwd=ROOT, env=variables, input=sent, text=True, timeout=60)


def test_what_takes_too_long_is_broken_off_where_markdown_it_drops_exceptions_too() -> None:
    code = """
from extras.public import child
def drop(text):
    with child.suppress(Exception):
        while True:
            pass
    return text
child.render = drop
child.main()
"""
    assert run(code, '"text"\n') == "null\n"


def test_a_text_may_expire_in_the_cache_at_any_moment() -> None:
    code = """
import asyncio, itertools
from extras.public import markdown
for ttl in range(10):
    ticks = itertools.count()
    markdown.rendered = markdown.TTLCache(100, ttl, lambda: next(ticks))
    for _ in range(2):
        assert asyncio.run(markdown.render("*a*", 1)) == "<p><em>a</em></p>\\n"
"""
    run(code)


def test_others_are_answered_while_a_hostile_post_is_tried_and_it_is_tried_once(
    server: Server, mallory: dict[str, str]
) -> None:
    post_id = add(server, mallory, "[" * (N - 1))
    answered, began = 0, time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        tried = pool.submit(server.get, f"/@mallory/{post_id}")
        while not tried.done():
            assert server.get("/@nobody_at_all").status_code == 404
            answered += 1
    assert answered > 1
    took, began = time.monotonic() - began, time.monotonic()
    for _ in range(5):
        add(server, mallory, "new")  # makes the page old, but not the verdict
        assert server.get(f"/@mallory/{post_id}").status_code == 200
    assert time.monotonic() - began < 5 * took


def test_many_posts_of_one_account_at_once_hold_up_no_other() -> None:
    code = """
import asyncio
from extras.public import markdown
markdown.ask = lambda text: print(text, end=" ")
async def run():
    await asyncio.gather(*(markdown.render(f"hers{i}", 1) for i in range(3)), markdown.render("his", 2))
asyncio.run(run())
"""
    assert run(code) == "hers0 his hers1 hers2 "


def test_a_child_that_was_killed_is_followed_by_another(server: Server, mallory: dict[str, str]) -> None:
    assert shown(server, mallory, "*one*") == "<p><em>one</em></p>\n"
    assert subprocess.run(["pkill", "-KILL", "-P", str(server.process.pid)]).returncode == 0
    assert shown(server, mallory, "*two*") == "<p><em>two</em></p>\n"


def test_a_child_that_is_stopped_is_ended_and_followed_by_another(server: Server, mallory: dict[str, str]) -> None:
    assert shown(server, mallory, "*three*") == "<p><em>three</em></p>\n"
    assert subprocess.run(["pkill", "-STOP", "-P", str(server.process.pid)]).returncode == 0
    assert shown(server, mallory, "*four*") == '<pre class="plain">*four*</pre>'
    assert shown(server, mallory, "*five*") == "<p><em>five</em></p>\n"


def test_where_no_child_can_be_started_it_is_503_until_one_can(server: Server, mallory: dict[str, str]) -> None:
    path, pid = f"/@mallory/{add(server, mallory, '*six*')}", server.process.pid
    assert shown(server, mallory, "*seven*") == "<p><em>seven</em></p>\n"
    files = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, files[1]))  # it has more than these
    try:
        assert subprocess.run(["pkill", "-KILL", "-P", str(pid)]).returncode == 0
        assert server.get(path).status_code == 503
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, files)
    assert "<em>six</em>" in server.get(path).text


# In a browser


XSS = """
<script>alert(1)</script> <img src=x onerror=alert(1)> <svg/onload=alert(1)> <iframe src="javascript:alert(1)">

[a](javascript:alert(1)) [b](JaVaScRiPt&colon;alert(1)) [c](&#106;avascript:alert(1)) [d](\x01javascript:alert(1))
[e](vbscript:alert(1)) [f](data:text/html,<script>alert(1)</script>) <javascript:alert(1)> [g](java\tscript:alert(1))
![h](javascript:alert(1)) ![i](https://a.invalid/x"onerror="alert(1)) [j](https://a.invalid "onclick=alert(1) x=\"")

[k]: javascript:alert(1)
[k] `<script>alert(1)</script>` &lt;script&gt;alert(1)&lt;/script&gt; </div></article></main><script>alert(1)</script>

```"><script>alert(1)</script>
</code></pre><script>alert(1)</script>
```

    </pre><script>alert(1)</script>

| <script>alert(1)</script> | [l](javascript:alert(1)) |
|---|:-:"onload=alert(1) |

<style>*{display:none}</style> <meta http-equiv=refresh content=0;url=//a.invalid> <base href=//a.invalid> <form action=//a.invalid>
\u202e[m](https://a.invalid) \u2066\0\x1b <a href="javascript&#58;alert(1)">n</a> <math><mi//xlink:href="data:x,<script>alert(1)</script>">
"""  # noqa: E501


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or pytest.skip("there is no chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=[True, False], ids=["with JavaScript", "without"])
def context(request: pytest.FixtureRequest, browser: Any) -> Any:
    return browser.new_context(java_script_enabled=request.param)


def test_nothing_of_a_hostile_post_runs_or_breaks_out(server: Server, mallory: dict[str, str], context: Any) -> None:
    server.put("/profile", json={"name": '</title><script>alert(1)</script>"onload=alert(1)'}, headers=mallory)
    post_id = add(server, mallory, XSS)
    page, events, asked = context.new_page(), list[str](), list[str]()

    def note(dialog: Any) -> None:
        events.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    page.on("request", lambda request: asked.append(request.url))
    page.on("framenavigated", lambda frame: events.append(frame.url))
    base = str(server.base_url).rstrip("/")
    for path in ("/@mallory", f"/@mallory/{post_id}"):
        events.clear()
        assert page.goto(f"{base}{path}").status == 200
        page.wait_for_load_state("networkidle")
        assert events == [f"{base}{path}"]
        hostile = "script, style:not(head style), iframe, svg, math, form, base, meta[http-equiv], [onerror], [onload]"
        assert page.locator(hostile).count() == 0
        assert page.locator("article + footer, main + footer").count() == 1
        hrefs = [link.get_attribute("href") or "" for link in page.locator("a").all()]
        assert {href.partition(":")[0] for href in hrefs if not href.startswith("/")} <= {"", "https"}
        assert page.locator("article").first.is_visible()
    assert {url.partition("/@")[0].partition("/public/")[0].partition("/favicon")[0] for url in asked} <= {
        base,
        "https://a.invalid/x%22onerror=%22alert(1)",
    }


def test_a_page_fits_a_phone_in_light_and_dark(server: Server, mallory: dict[str, str], context: Any) -> None:
    add(server, mallory, "# Title\n\n" + "x" * 500 + "\n\n|" + " wide |" * 40 + "\n|" + "---|" * 40 + "\n\n> said")
    page = context.new_page()
    page.set_viewport_size({"width": 320, "height": 600})
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{str(server.base_url).rstrip('/')}/@mallory")
        box = page.locator("main").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 320
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 320


def test_axe_finds_nothing_on_a_page(server: Server, mallory: dict[str, str], browser: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    post_id = add(server, mallory, "# Title\n\n> said *so* by [her](https://a.invalid)\n\n```\ncode\n```")
    for scheme in ("light", "dark"):
        page = browser.new_context(color_scheme=scheme, bypass_csp=True).new_page()
        for path in ("/@mallory", f"/@mallory/{post_id}", "/@nobody_at_all"):
            page.goto(f"{str(server.base_url).rstrip('/')}{path}")
            found = axe.Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
