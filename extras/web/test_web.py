"""The page in a real Chromium, as people use it: by labels, names of buttons and the keyboard."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from test_app import ROOT, Server, new_database, serve

sync_api = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
expect = sync_api.expect
CHROMIUM = shutil.which("chromium") or pytest.skip("there is no chromium", allow_module_level=True)

OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
OPTIONS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
OTHERS = ["editing", "account"]
HERE = [name for name in OTHERS if list((ROOT / "extras").glob(f"{name}*"))]
with_others = pytest.mark.skipif(HERE != OTHERS, reason="needs the extras editing and account")

Page = Any  # playwright's, where it is installed
NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with new_database() as url, serve(url, EXTRAS=",".join(["web", *HERE])) as server:
        yield server


@pytest.fixture(scope="module")
def bare_server() -> Iterator[Server]:
    """Without the other extras."""
    with new_database() as url, serve(url, EXTRAS="web") as server:
        yield server


@pytest.fixture(scope="module")
def sure_server() -> Iterator[Server]:
    """With `idempotency`."""
    with new_database() as url, serve(url, EXTRAS="fast,web,idempotency") as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser: Any, server: Server) -> Iterator[NewPage]:
    """Opens the page in a browser profile of its own; at the end nothing may have failed in it."""
    errors: list[str] = []
    contexts = []

    def new_page(server: Server = server, **options: Any) -> Page:
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
    assert errors == []


@pytest.fixture
def ada(server: Server, request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    """The email of a new account, whose password is `correct horse`, and its headers."""
    email = f"{re.sub(r'[^a-z0-9]+', '-', request.node.name)[:60].strip('-')}@example.com"
    return email, server.account(email)


def button(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def log_in(page: Page, email: str, password: str = "correct horse") -> None:
    page.get_by_role("textbox", name="Email").fill(email)
    page.get_by_role("textbox", name="Password").fill(password)
    button(page, "Log in").click()


def write_box(page: Page) -> Any:
    return page.get_by_role("textbox", name="Write a post")


def texts(page: Page) -> list[str]:
    found: list[str] = page.locator("article .text").all_text_contents()
    return found


def add(server: Server, headers: dict[str, str], *texts: str) -> None:
    for text in texts:
        assert server.post("/addPost", json={"text": text}, headers=headers).status_code == 201


@contextmanager
def answering(page: Page, path: str, status: int, detail: Any, **headers: str) -> Iterator[None]:
    """The server refuses what it would not at this moment."""

    def refuse(route: Any) -> None:
        route.fulfill(
            status=status, json={"detail": detail}, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    page.route(f"**/{path}", refuse)
    yield
    page.unroute(f"**/{path}")


# Its files


def test_files_come_with_a_strict_policy_and_are_asked_about_each_time(server: Server) -> None:
    files = ["/", *(f"/web/{file.name}" for file in (Path(__file__).parent / "static").iterdir())]
    for file in files:
        answer = server.get(file)
        assert answer.status_code == server.head(file).status_code == 200
        assert answer.headers["Content-Security-Policy"].startswith(
            "default-src 'none'; script-src 'self'; style-src 'self'"
        )
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (
            server.get(file, headers={"If-None-Match": answer.headers["ETag"]}).headers["Cache-Control"] == "no-cache"
        )


def test_no_file_has_an_inline_script_or_style_or_makes_markup_of_strings() -> None:
    folder = Path(__file__).parent
    page = (folder / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! type=\"module\" src=)|https?://", page)
    scripts = "".join(file.read_text() for file in folder.glob("static/*.js"))
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|https?://", scripts
    )


def test_what_is_not_there_is_refused_in_json(server: Server) -> None:
    for path in ("/web/nothing.js", "/web/../app.py", "/web/%2e%2e/index.html"):
        assert server.get(path).json()["detail"]
        assert server.get(path).status_code == 404


def test_openapi_does_not_speak_of_the_page(server: Server) -> None:
    assert not [path for path in server.get("/openapi.json").json()["paths"] if path == "/" or path.startswith("/web")]


def test_works_behind_a_prefix(new_page: NewPage) -> None:
    with new_database() as url, serve(url, "--root-path", "/blog", EXTRAS="web") as server:
        server.account("prefix@example.com")
        page = new_page(server)
        page.route("**/blog/**", lambda route: route.continue_(url=route.request.url.replace("/blog/", "/")))  # a proxy
        page.goto(f"{server.base_url}/blog/".replace("//blog", "/blog"))
        log_in(page, "prefix@example.com")
        expect(page.get_by_text("Nothing here yet.")).to_be_visible()


# The journey


def test_journey_by_keyboard_alone(new_page: NewPage) -> None:
    page = new_page()
    keys = page.keyboard
    expect(page.get_by_role("textbox", name="Email")).to_be_focused()
    button(page, "Sign up").press("Enter")
    keys.type("journey@example.com")
    keys.press("Tab")
    keys.type("correct horse")
    keys.press("Enter")
    expect(write_box(page)).to_be_focused()
    expect(page.get_by_text("Nothing here yet.")).to_be_visible()
    keys.type("First")
    for _ in range(2):
        keys.press("Tab")
    keys.press("Enter")
    expect(page.get_by_role("status").filter(has_text="The post is published.")).to_be_visible()
    write_box(page).focus()
    keys.type("Second, a draft")
    keys.press("Tab")
    keys.press("Enter")
    expect(page.get_by_role("article")).to_have_count(2)
    assert texts(page) == ["Second, a draft", "First"]
    expect(page.get_by_role("article").first.get_by_text("Draft", exact=True)).to_be_visible()

    button(page, "Delete").first.press("Enter")
    expect(page.get_by_role("dialog", name="Delete this post for good?")).to_contain_text("Second, a draft")
    keys.press("Escape")
    expect(button(page, "Delete").first).to_be_focused()
    keys.press("Enter")
    keys.press("Tab")
    keys.press("Enter")
    expect(page.get_by_role("article")).to_have_count(1)
    expect(page.get_by_role("article")).to_be_focused()
    assert texts(page) == ["First"]

    page.reload()
    expect(page.get_by_text("First")).to_be_visible()
    button(page, "Log out").press("Enter")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0


def test_what_the_server_lacks_is_not_offered(new_page: NewPage, bare_server: Server) -> None:
    add(bare_server, bare_server.account("bare@example.com"), "A post")
    page = new_page(bare_server)
    log_in(page, "bare@example.com")
    expect(button(page, "Delete")).to_be_visible()
    expect(button(page, "Edit")).to_be_hidden()
    expect(button(page, "Account")).to_be_hidden()


@with_others
def test_editing_sends_only_what_changed_and_names_a_change_elsewhere(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    email, headers = ada
    add(server, headers, "One\r\nTwo")
    page = new_page()
    log_in(page, email)
    button(page, "Edit").click()
    button(page, "Turn into a draft").click()
    expect(page.get_by_role("article").get_by_text("Draft", exact=True)).to_be_visible()
    post = server.get("/getPosts", headers=headers).json()[0]
    assert (post["text"], post["status"]) == ("One\r\nTwo", "draft")

    button(page, "Edit").click()
    box = page.get_by_role("textbox", name="Edit the post")
    box.fill("Mine")
    server.put(f"/editPost/{post['postID']}", json={"text": "Theirs"}, headers=headers)
    button(page.get_by_role("list"), "Publish").click()
    expect(page.get_by_text("This post was changed elsewhere")).to_be_visible()
    page.reload()
    expect(box).to_have_value("Mine")  # an edit survives, too, and knows its version
    button(page.get_by_role("list"), "Publish").click()
    expect(page.get_by_text("This post was changed elsewhere")).to_be_visible()
    assert server.get("/getPosts", headers=headers).json()[0]["text"] == "Theirs"
    button(page.get_by_role("list"), "Publish").click()
    expect(page.get_by_role("article")).to_contain_text("Mine")
    expect(page.get_by_role("article")).to_be_focused()
    assert server.get("/getPosts", headers=headers).json()[0]["text"] == "Mine"


@with_others
def test_password_is_changed_and_the_account_deleted(new_page: NewPage, ada: tuple[str, dict[str, str]]) -> None:
    page = new_page()
    log_in(page, ada[0])
    button(page, "Account").click()
    current, new = page.get_by_label("Current password"), page.get_by_label("New password")
    current.fill("wrong horse")
    new.fill("another horse")
    button(page, "Change the password").click()
    expect(current).to_be_focused()
    expect(current).to_have_accessible_description(re.compile("wrong"))
    current.fill("correct horse")
    new.fill("short")
    button(page, "Change the password").click()
    expect(new).to_have_accessible_description("A password has 8 to 128 characters.")
    new.fill("another horse")
    button(page, "Change the password").click()
    expect(page.get_by_text("The password is changed.")).to_be_visible()
    page.locator("#delete-account [name=password]").fill("another horse")
    button(page, "Delete my account").click()
    expect(page.get_by_text("has been deleted.")).to_be_visible()
    log_in(page, ada[0], "another horse")
    expect(page.get_by_text("The email or the password is wrong.")).to_be_visible()


@with_others
def test_logging_out_revokes_the_token(new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]) -> None:
    page = new_page()
    log_in(page, ada[0])
    expect(write_box(page)).to_be_visible()
    token = json.loads(page.evaluate("Object.values(sessionStorage)[0]"))["token"]
    with page.expect_response("**/logout"):
        button(page, "Log out").click()
    expect(page.get_by_text("You are logged out.")).to_be_visible()
    assert server.get("/getPosts", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_who_could_not_be_logged_out_on_the_server_is_told_and_can_try_again(
    new_page: NewPage, ada: tuple[str, dict[str, str]]
) -> None:
    page = new_page()
    log_in(page, ada[0])
    page.route("**/logout", lambda route: route.abort())
    button(page, "Log out").click()
    expect(page.get_by_text("the server could not be told")).to_be_visible()
    page.unroute("**/logout")
    button(page, "End the session on the server").click()
    expect(page.get_by_text("The session has ended on the server")).to_be_visible()
    expect(button(page, "End the session on the server")).to_be_hidden()


def test_without_offline_docs_no_script_of_a_cdn_is_on_this_origin(bare_server: Server) -> None:
    assert [bare_server.get(path).status_code for path in ("/docs", "/redoc")] == [404, 404]


@contextmanager
def held(page: Page, pattern: str) -> Iterator[None]:
    """Requests to these addresses wait until the block ends."""
    waiting: list[Any] = []
    page.route(pattern, lambda route: waiting.append(route))
    yield
    for route in waiting:
        route.continue_()
    page.unroute(pattern)


def type_while_saving(page: Page, email: str, text: str) -> Any:
    """The box of an edit from "One" to "Two", into which this text was typed before the answer came."""
    log_in(page, email)
    write_box(page).fill("One")
    button(page, "Publish").click()
    button(page, "Edit").click()
    box = page.get_by_role("textbox", name="Edit the post")
    box.fill("Two")
    with held(page, "**/editPost/*"):
        button(page.get_by_role("list"), "Save").click()
        box.fill(text)
    expect(page.get_by_text("The post is saved, but for")).to_be_visible()
    return box


@with_others
def test_what_is_typed_while_an_edit_is_saved_stays(new_page: NewPage, ada: tuple[str, dict[str, str]]) -> None:
    page = new_page()
    box = type_while_saving(page, ada[0], "Two and three")
    expect(box).to_have_value("Two and three")
    button(page.get_by_role("list"), "Save").click()
    expect(page.get_by_role("article")).to_contain_text("Two and three")


@with_others
def test_an_edit_that_is_taken_back_while_it_is_saved_is_saved_again(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    page = new_page()
    type_while_saving(page, ada[0], "One")
    with page.expect_response("**/editPost/*"):
        button(page.get_by_role("list"), "Save").click()
    assert [post["text"] for post in server.get("/getPosts", headers=ada[1]).json()] == ["One"]


def test_a_post_that_is_published_while_older_ones_load_stays(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], *map(str, range(60)))
    page = new_page()
    log_in(page, ada[0])
    with held(page, "**/getPosts?*before=*"):
        button(page, "Show older posts").click()
        write_box(page).fill("New")
        button(page, "Publish").click()
        expect(page.get_by_role("article").first).to_contain_text("New")
    button(page, "Show older posts").click()
    expect(page.get_by_role("article")).to_have_count(61)
    expect(page.get_by_role("article").first).to_contain_text("New")


@with_others
def test_the_edit_of_a_post_that_is_gone_is_forgotten(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "One")
    page = new_page()
    log_in(page, ada[0])
    button(page, "Edit").click()
    page.get_by_role("textbox", name="Edit the post").fill("Two")
    (post,) = server.get("/getPosts", headers=ada[1]).json()
    server.delete(f"/deletePost/{post['postID']}", headers=ada[1])
    page.reload()
    expect(page.get_by_text("Nothing here yet.")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0


# Refusals


def test_refusals_of_sign_up_and_log_in_stand_beside_their_fields(
    new_page: NewPage, ada: tuple[str, dict[str, str]]
) -> None:
    page = new_page()
    email, password = (page.get_by_role("textbox", name=name) for name in ("Email", "Password"))
    log_in(page, ada[0], "wrong horse")
    expect(password).to_have_accessible_description("The email or the password is wrong.")
    expect(password).to_be_focused()
    button(page, "Sign up").click()
    page.locator("#credentials .primary").click()
    expect(email).to_have_accessible_description("This email is taken: log in, or sign up with another.")
    expect(email).to_have_attribute("aria-invalid", "true")
    email.fill("nobody")
    password.fill("short")
    page.keyboard.press("Enter")
    expect(email).to_have_accessible_description("This is not a valid email address.")
    expect(password).to_have_accessible_description(re.compile("A password has 8 to 128 characters."))


def test_each_other_refusal_is_said_and_the_text_stays(new_page: NewPage, ada: tuple[str, dict[str, str]]) -> None:
    page = new_page()
    log_in(page, ada[0])
    write_box(page).fill("Precious")
    for status, detail in [(429, "Slow down."), (503, "The database is not available. Try again soon.")]:
        with answering(page, "addPost", status, detail, Retry_After="7"):
            button(page, "Publish").click()
            expect(page.get_by_role("alert").filter(has_text="Try again in 7 seconds.")).to_be_visible()
    with answering(page, "addPost", 502, None):
        button(page, "Publish").click()
        expect(page.get_by_role("alert").filter(has_text="The server answered 502.")).to_be_visible()
    expect(write_box(page)).to_have_value("Precious")
    button(page, "Publish").click()
    expect(page.get_by_role("article")).to_contain_text("Precious")
    expect(write_box(page)).to_have_value("")


def test_list_that_failed_can_be_tried_again(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "Still there")
    page = new_page()
    with answering(page, "getPosts*", 503, "The database is not available. Try again soon.", Retry_After="5"):
        log_in(page, ada[0])
        expect(page.get_by_role("alert").filter(has_text="The database is not available.")).to_be_visible()
    button(page, "Try again").click()
    expect(page.get_by_role("article")).to_be_focused()
    expect(page.get_by_text("The database is not available.")).to_be_hidden()


def test_counter_counts_the_bytes_on_the_wire_and_413_is_said(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    page = new_page()
    log_in(page, ada[0])
    box, counter = write_box(page), page.locator(".counter")
    for text in ("", "a", "é", "👩‍🚀", '"\\', "\n\t", "\u2028"):
        wire = json.dumps({"text": text, "status": "published"}, ensure_ascii=False, separators=(",", ":")).encode()
        box.fill(text)
        expect(counter).to_have_text(f"{1_048_576 - len(wire):,} bytes left")
    room = 1_048_576 - len(b'{"text":"","status":"published"}')
    text = "👍" * (room // 4)
    box.fill(text + "!")
    expect(counter).to_have_text("1 bytes too many" if room % 4 == 0 else f"{room % 4 - 1} bytes left")
    box.fill(text + "!" * (room % 4 + 1))
    expect(counter).to_have_text("1 bytes too many")
    button(page, "Publish").click()
    expect(box).to_have_accessible_description(re.compile("The body is too large"))
    box.fill(text + "!" * (room % 4))
    expect(counter).to_have_text("0 bytes left")
    button(page, "Publish").click()
    expect(page.get_by_role("article")).to_be_visible()
    assert server.get("/getPosts", headers=ada[1]).json()[0]["text"] == text + "!" * (room % 4)


def test_lost_network_and_expired_token_lose_no_text(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    page = new_page()
    log_in(page, ada[0])
    write_box(page).fill("Unsent")
    page.context.set_offline(True)
    expect(page.get_by_text("You are offline.")).to_be_visible()
    button(page, "Publish").click()
    expect(page.locator("#new").get_by_text("The server cannot be reached.")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_text("You are offline.")).to_be_hidden()
    page.reload()
    expect(write_box(page)).to_have_value("Unsent")

    page.evaluate("""() => {
        const [[name, value]] = Object.entries(sessionStorage);
        sessionStorage.setItem(name, JSON.stringify({ ...JSON.parse(value), token: "expired" }));
    }""")
    page.reload()
    expect(page.get_by_role("alert").filter(has_text="Your session has ended.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Email")).to_have_value(ada[0])
    expect(page.get_by_role("textbox", name="Password")).to_be_focused()
    log_in(page, ada[0])
    expect(write_box(page)).to_have_value("Unsent")
    button(page, "Log out").click()
    expect(page.get_by_role("dialog")).to_contain_text("discard the text you have not sent")
    button(page, "Cancel").click()
    expect(write_box(page)).to_have_value("Unsent")


# Answers that are lost


def lose(page: Page, answers: int) -> list[str | None]:
    """So many answers to /addPost never arrive, though the server has done it; gives the keys that are sent."""
    keys: list[str | None] = []

    def handle(route: Any) -> None:
        keys.append(route.request.headers.get("idempotency-key"))
        if len(keys) <= answers:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/addPost", handle)
    return keys


def writing_page(new_page: NewPage, server: Server, email: str) -> Page:
    """Logged in, with a clock that can be set forward."""
    server.account(email)
    page = new_page(server)
    page.clock.install()
    page.reload()
    log_in(page, email)
    expect(write_box(page)).to_be_focused()
    return page


def wait_through(page: Page, *pauses: int) -> None:
    for seconds in pauses:
        plural = "s" if seconds > 1 else ""
        expect(page.get_by_role("status")).to_have_text(
            f"It did not get through yet. Sending it again in {seconds} second{plural}."
        )
        page.clock.fast_forward(1000 * seconds)


def test_a_post_whose_answer_is_lost_is_sent_again_by_itself_and_is_there_once(
    new_page: NewPage, sure_server: Server
) -> None:
    page = writing_page(new_page, sure_server, "lost@example.com")
    keys = lose(page, 2)
    write_box(page).fill("Once")
    button(page, "Publish").click()
    wait_through(page, 1, 3)
    expect(page.get_by_role("status")).to_have_text("The post is published.")
    expect(write_box(page)).to_have_value("")
    write_box(page).fill("Twice")
    button(page, "Publish").click()
    expect(page.get_by_role("article")).to_have_count(2)
    assert texts(page) == ["Twice", "Once"]
    assert keys[0] == keys[1] == keys[2] != keys[3]


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_post_that_was_refused_for_now_is_sent_again_by_itself(
    new_page: NewPage, sure_server: Server, status: int
) -> None:
    page = writing_page(new_page, sure_server, f"busy{status}@example.com")
    write_box(page).fill("Patient")
    with answering(page, "addPost", status, "Too busy.", Retry_After="5"):
        button(page, "Publish").click()
        wait_through(page, 1, 3)
        expect(page.get_by_role("status")).to_have_text("It did not get through yet. Sending it again in 9 seconds.")
    page.clock.fast_forward(9000)
    expect(page.get_by_role("status")).to_have_text("The post is published.")
    assert texts(page) == ["Patient"]


def test_what_is_still_unanswered_can_be_sent_again_after_a_reload_and_is_there_once(
    new_page: NewPage, sure_server: Server
) -> None:
    page = writing_page(new_page, sure_server, "reload@example.com")
    keys = lose(page, 4)
    write_box(page).fill("Once")
    button(page, "Publish").click()
    wait_through(page, 1, 3, 9)
    expect(page.get_by_role("alert").filter(has_text="it cannot be posted twice")).to_be_visible()
    page.reload()
    expect(write_box(page)).to_have_value("Once")
    button(page, "Publish").click()
    expect(page.get_by_role("status")).to_have_text("The post is published.")
    expect(page.get_by_role("article")).to_have_count(1)
    assert len(keys) == 5
    assert len(set(keys)) == 1


def test_a_text_that_was_changed_after_its_answer_was_lost_is_posted_only_when_that_is_said(
    new_page: NewPage, sure_server: Server
) -> None:
    page = writing_page(new_page, sure_server, "changed@example.com")
    lose(page, 4)
    write_box(page).fill("First")
    button(page, "Publish").click()
    wait_through(page, 1, 3, 9)
    expect(page.get_by_role("alert").filter(has_text="it cannot be posted twice")).to_be_visible()
    write_box(page).fill("First, and more")
    button(page, "Publish").click()
    expect(page.get_by_role("alert").filter(has_text="What you sent before is posted")).to_be_visible()
    assert texts(page) == ["First"]
    button(page, "Publish").click()
    expect(page.get_by_role("article")).to_have_count(2)
    assert texts(page) == ["First, and more", "First"]


def test_who_logs_out_while_the_page_waits_sends_nothing_more_and_leaves_no_text(
    new_page: NewPage, sure_server: Server
) -> None:
    page = writing_page(new_page, sure_server, "leaves@example.com")
    keys = lose(page, 1)
    sure_server.account("next@example.com")
    write_box(page).fill("Mine alone")
    button(page, "Publish").click()
    expect(page.get_by_role("status")).to_contain_text("Sending it again in 1 second.")
    button(page, "Log out").click()
    button(page, "Discard and log out").click()
    log_in(page, "next@example.com")
    expect(write_box(page)).to_be_focused()
    page.clock.fast_forward(1000)
    expect(page.get_by_text("Nothing here yet.")).to_be_visible()
    assert len(keys) == 1
    assert page.evaluate("localStorage.length") == 0


def test_without_the_extra_the_list_is_reloaded_before_the_page_says_to_look(
    new_page: NewPage, bare_server: Server
) -> None:
    bare_server.account("unsure@example.com")
    page = new_page(bare_server)
    log_in(page, "unsure@example.com")
    keys = lose(page, 1)
    write_box(page).fill("Once")
    button(page, "Publish").click()
    expect(page.get_by_role("alert").filter(has_text="look at your posts below")).to_be_visible()
    assert texts(page) == ["Once"]
    assert len(keys) == 1
    expect(write_box(page)).to_have_value("Once")


# What people write


def test_hostile_text_is_text(new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]) -> None:
    hostile = [
        "<script>alert(1)</script><img src=x onerror=alert(1)>",
        "\u202e\u2067 turned \u202d around",
        "مرحبا\nand left",
        "&lt;b&gt; {{x}} ${x} \x01",
        "x" * 5000,
    ]
    add(server, ada[1], *reversed(hostile))
    page = new_page(viewport={"width": 320, "height": 700})
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    log_in(page, ada[0])
    expect(page.get_by_role("article")).to_have_count(5)
    assert texts(page)[:4] == hostile[:4]
    assert page.locator("article script, article img").count() == 0
    assert page.locator("article .text").nth(2).evaluate("e => getComputedStyle(e).direction") == "rtl"
    assert page.locator("article time").nth(1).evaluate("e => getComputedStyle(e).direction") == "ltr"
    page.get_by_role("button", name="Show all 5,000 characters").click()
    assert texts(page)[4] == hostile[4]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_list_of_2000_posts_comes_by_pages(new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]) -> None:
    with ThreadPoolExecutor(32) as clients:
        list(clients.map(lambda i: add(server, ada[1], f"Post {i}"), range(2000)))
    page = new_page()
    log_in(page, ada[0])
    articles, more = page.locator("article"), page.locator("#more")  # names and roles of thousands take a while
    expect(articles).to_have_count(50)
    for shown in range(100, 2050, 50):
        more.click()
        expect(articles).to_have_count(shown)
        expect(articles.nth(shown - 50)).to_be_focused()
    expect(more).to_be_hidden()
    assert texts(page) == [post["text"] for post in server.get("/getPosts", headers=ada[1]).json()]
    started = page.evaluate("performance.now()")
    page.locator("#new textarea").press_sequentially("still quick")
    assert page.evaluate("performance.now()") - started < 2000
    page.locator("article .delete").nth(1000).click()
    page.locator("#confirm-yes").click()
    expect(articles).to_have_count(1999)
    expect(articles.nth(1000)).to_be_focused()


def test_two_tabs_are_one_session(new_page: NewPage, ada: tuple[str, dict[str, str]]) -> None:
    one = new_page()
    log_in(one, ada[0])
    expect(write_box(one)).to_be_visible()
    two = one.context.new_page()
    two.goto(one.url)
    write_box(two).fill("From the second tab")
    button(two, "Publish").click()
    expect(one.get_by_role("article")).to_contain_text("From the second tab")
    button(one, "Delete").click()
    one.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(two.get_by_role("article")).to_have_count(0)
    button(two, "Log out").click()
    expect(one.get_by_role("heading", name="Log in")).to_be_visible()
    assert one.evaluate("sessionStorage.length") == 0


# Everybody


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_axe_finds_nothing(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]], scheme: str, width: int
) -> None:
    def check(page: Page) -> None:
        found = axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    server.post("/addPost", json={"text": "A draft", "status": "draft"}, headers=ada[1])
    add(server, ada[1], "A post", "مرحبا")
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    check(page)
    log_in(page, ada[0], "wrong horse")
    expect(page.get_by_text("The email or the password is wrong.")).to_be_visible()
    check(page)
    log_in(page, ada[0])
    expect(page.get_by_role("article")).to_have_count(3)
    check(page)
    button(page, "Delete").first.click()
    check(page)
    button(page, "Cancel").click()
    if HERE == OTHERS:
        button(page, "Edit").first.click()
        button(page, "Publish").first.click()
        expect(page.locator("[aria-invalid]")).to_have_count(1)
        check(page)
        button(page, "Account").click()
        check(page)
