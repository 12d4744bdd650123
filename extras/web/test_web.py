"""The page in a real Chromium, as people use it: by labels, names of buttons and the keyboard."""

import json
import re
import shutil
import subprocess
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
OTHERS = ["editing", "account", "search"]
HERE = [name for name in OTHERS if list((ROOT / "extras").glob(f"{name}*"))]
with_others = pytest.mark.skipif(HERE != OTHERS, reason="needs the extras editing, account and search")

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


@pytest.fixture
def ada(server: Server, request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    """The email of a new account, whose password is `correct horse`, and its headers."""
    email = (
        f"{re.sub(r'[^a-z0-9]+', '-', request.node.name)[:40].strip('-')}{hash(request.node.name) % 10**9}@example.com"
    )
    return email, server.account(email)


def button(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def log_in(page: Page, email: str, password: str = "correct horse", *, keep: bool = False) -> None:
    page.get_by_role("textbox", name="Email").fill(email)
    page.get_by_role("textbox", name="Password").fill(password)
    if keep:
        page.get_by_label("Keep me logged in").check()
    button(page, "Log in").click()


def desk_of(new_page: NewPage, email: str) -> Page:
    page = new_page()
    log_in(page, email)
    return page


def save(page: Page, name: str = "Save") -> None:
    """Send what is in the composer."""
    button(page.locator("#new"), name).click()


def said(page: Page) -> Any:
    """What was announced last."""
    return page.locator("#status")


def write_box(page: Page) -> Any:
    return page.get_by_role("textbox", name="Write a post")


def texts(page: Page) -> list[str]:
    found: list[str] = page.locator("article .text").all_text_contents()
    return found


def kept(page: Page) -> list[str]:
    """The names of what this browser keeps, but for the mark that nobody logged out."""
    names: list[str] = page.evaluate("Object.keys(localStorage).filter(name => !name.endsWith(' on'))")
    return names


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
        policy = re.sub(r"'sha256-.*?'", "'self'", answer.headers["Content-Security-Policy"])
        assert re.match(r"default-src 'none'; script-src 'self'( 'self')?; style-src 'self'; ", policy)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (
            server.get(file, headers={"If-None-Match": answer.headers["ETag"]}).headers["Cache-Control"] == "no-cache"
        )


def test_no_file_has_an_inline_script_or_style_or_makes_markup_of_strings() -> None:
    folder = Path(__file__).parent
    page = (folder / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! (type=\"module\" )?src=| id=\"texts\")|https?://", page)
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
    keys.press("Control+Enter")
    expect(said(page)).to_have_text("Saved.")
    expect(write_box(page)).to_be_focused()
    keys.type("Second, a draft")
    keys.press("Tab")
    keys.press("Enter")
    expect(said(page)).to_have_text("Kept as a draft.")
    expect(write_box(page)).to_be_focused()
    expect(page.get_by_role("article")).to_have_count(2)
    assert texts(page) == ["Second, a draft", "First"]
    expect(page.get_by_role("article").first.get_by_text("Draft", exact=True)).to_be_visible()

    button(page, "Delete").first.press("Enter")
    expect(button(page, "Undo")).to_be_focused()
    assert texts(page) == ["First"]
    keys.press("Enter")
    expect(page.get_by_role("article").first).to_be_focused()
    assert texts(page) == ["Second, a draft", "First"]

    page.reload()
    expect(page.locator(".text")).to_have_text(["Second, a draft", "First"])
    button(page, "Log out").press("Enter")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    expect(page.get_by_role("textbox", name="Email")).to_be_focused()
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0


def test_what_the_server_lacks_is_not_offered(new_page: NewPage, bare_server: Server) -> None:
    add(bare_server, bare_server.account("bare@example.com"), "A post")
    page = new_page(bare_server)
    log_in(page, "bare@example.com")
    expect(button(page, "Delete")).to_be_visible()
    expect(button(page, "Edit")).to_be_hidden()
    expect(page.get_by_role("searchbox")).to_be_hidden()
    button(page, "Account").click()
    expect(page.get_by_role("dialog", name="Account")).to_contain_text("bare@example.com")
    expect(page.locator("#account :is(h3, summary, a):visible")).to_have_count(0)


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
    button(page.get_by_role("list"), "Save").click()
    expect(page.get_by_text("This post was changed elsewhere")).to_be_visible()
    page.reload()
    expect(box).to_have_value("Mine")  # an edit survives, too, and knows its version
    button(page.get_by_role("list"), "Save").click()
    expect(page.get_by_text("This post was changed elsewhere")).to_be_visible()
    assert server.get("/getPosts", headers=headers).json()[0]["text"] == "Theirs"
    button(page.get_by_role("list"), "Save").click()
    expect(page.get_by_role("article")).to_contain_text("Mine")
    expect(page.get_by_role("article")).to_be_focused()
    assert server.get("/getPosts", headers=headers).json()[0]["text"] == "Mine"


@with_others
def test_the_text_that_an_edit_began_with_can_replace_another(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "Mine")
    page = desk_of(new_page, ada[0])
    button(page, "Edit").click()
    (post,) = server.get("/getPosts", headers=ada[1]).json()
    server.put(f"/editPost/{post['postID']}", json={"text": "Theirs"}, headers=ada[1])
    button(page.get_by_role("list"), "Save").click()
    expect(page.get_by_text("Save again to replace it")).to_be_visible()
    button(page.get_by_role("list"), "Save").click()
    expect(said(page)).to_have_text("Saved.")
    assert [post["text"] for post in server.get("/getPosts", headers=ada[1]).json()] == ["Mine"]


@with_others
def test_password_is_changed_and_the_account_deleted(new_page: NewPage, ada: tuple[str, dict[str, str]]) -> None:
    page = desk_of(new_page, ada[0])
    button(page, "Account").click()
    current, new = (page.get_by_role("textbox", name=f"{which} password") for which in ("Current", "New"))
    current.fill("wrong horse")
    new.fill("another horse")
    button(page, "Change password").click()
    expect(current).to_be_focused()
    expect(current).to_have_accessible_description(re.compile("wrong"))
    current.fill("correct horse")
    new.fill("short")
    button(page, "Change password").click()
    expect(new).to_have_accessible_description(re.compile("A password has 8 to 128 characters."))
    new.fill("another horse")
    button(page, "Change password").click()
    expect(page.get_by_text("Your password is changed.")).to_be_visible()
    page.get_by_text("Delete account").click()
    form = page.locator("#delete-account")
    form.get_by_label("Password").fill("another horse")
    typed = form.get_by_label("To confirm")
    typed.fill("somebody@example.com")
    button(page, "Delete my account").click()
    expect(typed).to_have_accessible_description("That is not the email of this account.")
    expect(page.get_by_text("Your password is changed.")).to_be_visible()
    with answering(page, "exportData", 500, "Something went wrong. It was logged."):
        button(page, "Download your data first").click()
        refusal = page.get_by_text("Something went wrong. It was logged.")
        expect(refusal).to_have_count(1)
        expect(page.locator("details").filter(has=refusal)).to_be_visible()
    with page.expect_download() as download:
        button(page, "Download your data first").click()
    expect(refusal).to_have_count(0)
    assert json.loads(download.value.path().read_text())["account"]["email"] == ada[0]
    typed.fill(ada[0].upper())
    button(page, "Delete my account").click()
    expect(page.get_by_text("Your account and everything in it is deleted.")).to_be_visible()
    log_in(page, ada[0], "another horse")
    expect(page.get_by_text("The email or the password is wrong.")).to_be_visible()


@with_others
def test_logging_out_revokes_the_token(new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]) -> None:
    page = desk_of(new_page, ada[0])
    expect(write_box(page)).to_be_visible()
    token = json.loads(page.evaluate("Object.values(sessionStorage)[0]"))["token"]
    with page.expect_response("**/logout"):
        button(page, "Log out").click()
    expect(page.get_by_text("You are logged out.")).to_be_visible()
    assert server.get("/getPosts", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_who_could_not_be_logged_out_on_the_server_is_told_and_can_try_again(
    new_page: NewPage, ada: tuple[str, dict[str, str]]
) -> None:
    page = desk_of(new_page, ada[0])
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
    save(page)
    button(page, "Edit").click()
    box = page.get_by_role("textbox", name="Edit the post")
    box.fill("Two")
    with held(page, "**/editPost/*"):
        button(page.get_by_role("list"), "Save").click()
        box.fill(text)
    expect(page.get_by_text("Saved, but for what you typed since.")).to_be_visible()
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


@with_others
def test_what_was_saved_is_shown_when_what_was_typed_since_is_discarded(
    new_page: NewPage, ada: tuple[str, dict[str, str]]
) -> None:
    page = new_page()
    type_while_saving(page, ada[0], "Two and three")
    with held(page, "**/getPosts*"):
        button(page.get_by_role("list"), "Cancel").click()
        button(page.get_by_role("dialog"), "Discard").click()
        expect(page.locator("article .text")).to_have_text("Two")


@with_others
def test_an_edit_keeps_its_text_when_the_post_is_deleted_elsewhere(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "One", "Another")
    page = desk_of(new_page, ada[0])
    button(page.get_by_role("article").last, "Edit").click()
    box = page.get_by_role("textbox", name="Edit the post")
    box.fill("Two")
    for post in server.get("/getPosts", headers=ada[1]).json():
        server.delete(f"/deletePost/{post['postID']}", headers=ada[1])
    page.evaluate("dispatchEvent(new Event('online'))")  # the list is asked for again
    expect(page.get_by_role("article")).to_have_count(0)
    expect(box).to_have_value("Two")


def test_a_post_that_is_saved_while_older_ones_load_stays(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], *map(str, range(60)))
    page = desk_of(new_page, ada[0])
    with held(page, "**/getPosts?*before=*"):
        page.locator("#more").scroll_into_view_if_needed()
        write_box(page).fill("New")
        save(page)
        expect(page.get_by_role("article").first).to_contain_text("New")
    page.locator("article").last.scroll_into_view_if_needed()
    expect(page.get_by_role("article")).to_have_count(61)
    expect(page.get_by_role("article").first).to_contain_text("New")


@with_others
def test_the_edit_of_a_post_that_is_gone_is_forgotten(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "One")
    page = desk_of(new_page, ada[0])
    button(page, "Edit").click()
    page.get_by_role("textbox", name="Edit the post").fill("Two")
    (post,) = server.get("/getPosts", headers=ada[1]).json()
    server.delete(f"/deletePost/{post['postID']}", headers=ada[1])
    page.reload()
    expect(page.get_by_text("Nothing here yet.")).to_be_visible()
    assert kept(page) == []


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


@pytest.mark.parametrize("field", ["Email", "Password"])
def test_a_refused_log_in_is_no_longer_spoken_of_when_either_field_changes(
    new_page: NewPage, ada: tuple[str, dict[str, str]], field: str
) -> None:
    page = new_page()
    log_in(page, ada[0], "wrong horse")
    refusal = page.get_by_text("The email or the password is wrong.")
    expect(refusal).to_be_visible()
    page.get_by_role("textbox", name=field).press("End")
    page.get_by_role("textbox", name=field).press("x")
    expect(refusal).to_be_hidden()
    expect(page.get_by_role("textbox", name="Password")).not_to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize(
    ("status", "detail", "words"),
    [
        (413, "The body is too large.", "This is too long: 1 MB is the most a post can have."),
        (429, "Too many requests. Try again in 900 seconds.", "Too many attempts. Try again in 15 minutes."),
        (
            503,
            "Nothing was saved. Try again soon.",
            "The service is busy, and nothing was saved. Try again in 15 minutes.",
        ),
        (503, "The database broke off while it saved this.", "Check whether it is there before you send it again."),
        (502, None, "The server cannot be reached. Try again in 15 minutes."),
        (500, "Something went wrong. It was logged.", "Something went wrong. It was logged."),
        (403, "The limit of posts is 3, and you have 3: delete some.", "You have as many posts as you may."),
    ],
)
def test_each_other_refusal_is_said_once_in_words_and_the_text_stays(
    new_page: NewPage, ada: tuple[str, dict[str, str]], status: int, detail: str, words: str
) -> None:
    page = desk_of(new_page, ada[0])
    write_box(page).fill("Before")
    save(page)
    expect(said(page)).to_have_text("Saved.")
    write_box(page).fill("Precious")
    with answering(page, "addPost", status, detail, Retry_After="900"):
        save(page)
        expect(page.get_by_text(words)).to_have_count(1)
    expect(page.get_by_text(words)).to_be_visible()
    expect(said(page)).to_have_text("")  # what was said of another post does not stand beside it
    expect(write_box(page)).to_have_value("Precious")
    write_box(page).press("End")
    write_box(page).press("!")
    expect(page.get_by_text(words)).to_be_hidden()
    save(page)
    expect(page.get_by_role("article").first).to_contain_text("Precious!")
    expect(write_box(page)).to_have_value("")


def test_list_that_failed_can_be_tried_again(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "Still there")
    page = new_page()
    with answering(page, "getPosts*", 503, "Nothing was saved. Try again soon.", Retry_After="5"):
        log_in(page, ada[0])
        expect(page.get_by_role("alert").filter(has_text="The service is busy")).to_be_visible()
    button(page, "Try again").click()
    expect(page.get_by_role("article")).to_be_focused()
    expect(page.get_by_text("The service is busy")).to_be_hidden()


def test_size_is_spoken_of_when_little_is_left_and_counts_as_it_is_sent(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    page = desk_of(new_page, ada[0])
    box, note = write_box(page), page.locator("#new .note")
    box.fill("Little")
    expect(note).to_have_text("Saved in this browser")
    room = 1_048_576 - len(b'{"text":"","status":"published"}')
    text = 'é👩‍🚀"\\\n\t\u2028' + "x" * 960_000
    box.fill(text)
    left = room - len(json.dumps(text, ensure_ascii=False)[1:-1].encode())
    expect(note).to_have_text(f"{left:,} bytes left")
    text = "👍" * (room // 4)
    box.fill(text + "!" * (room % 4 + 1))
    expect(note).to_have_text("Too long by 1 byte")
    save(page)
    expect(box).to_have_accessible_description("This is too long: 1 MB is the most a post can have.")
    expect(note).to_have_text("")  # it is said once
    box.fill(text + "!" * (room % 4))
    expect(note).to_have_text("0 bytes left")
    save(page)
    expect(page.get_by_role("article")).to_be_visible()
    assert server.get("/getPosts", headers=ada[1]).json()[0]["text"] == text + "!" * (room % 4)


def test_lost_network_and_expired_token_lose_no_text(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    page = desk_of(new_page, ada[0])
    write_box(page).fill("Unsent")
    page.context.set_offline(True)
    expect(page.get_by_text("You are offline.")).to_be_visible()
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
        expect(page.locator("#new .note")).to_have_text(
            f"It did not get through yet. Sending it again in {seconds} second{plural}."
        )
        page.clock.fast_forward(1000 * seconds)


def save_in_vain(page: Page, text: str) -> None:
    write_box(page).fill(text)
    save(page)
    wait_through(page, 1, 3, 9)
    expect(page.get_by_role("alert").filter(has_text="it cannot be posted twice")).to_be_visible()


def lose_all_answers(page: Page, text: str = "Once") -> list[str | None]:
    keys = lose(page, 4)
    save_in_vain(page, text)
    return keys


def test_a_post_whose_answer_is_lost_is_sent_again_by_itself_and_is_there_once(
    new_page: NewPage, sure_server: Server
) -> None:
    page = writing_page(new_page, sure_server, "lost@example.com")
    keys = lose(page, 2)
    write_box(page).fill("Once")
    save(page)
    wait_through(page, 1, 3)
    expect(said(page)).to_have_text("Saved.")
    expect(write_box(page)).to_have_value("")
    write_box(page).fill("Twice")
    save(page)
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
        save(page)
        wait_through(page, 1, 3)
        expect(page.get_by_text("Sending it again in 9 seconds.")).to_be_visible()
    page.clock.fast_forward(9000)
    expect(said(page)).to_have_text("Saved.")
    expect(page.locator(".text")).to_have_text(["Patient"])


def test_what_is_still_unanswered_can_be_sent_again_after_a_reload_and_is_there_once(
    new_page: NewPage, sure_server: Server
) -> None:
    page = writing_page(new_page, sure_server, "reload@example.com")
    keys = lose_all_answers(page)
    page.reload()
    expect(write_box(page)).to_have_value("Once")
    save(page)
    expect(said(page)).to_have_text("Saved.")
    expect(page.get_by_role("article")).to_have_count(1)
    assert len(keys) == 5
    assert len(set(keys)) == 1


def test_a_text_that_was_changed_after_its_answer_was_lost_is_posted_only_when_that_is_said(
    new_page: NewPage, sure_server: Server
) -> None:
    page = writing_page(new_page, sure_server, "changed@example.com")
    lose_all_answers(page, "First")
    write_box(page).fill("First, and more")
    save(page)
    expect(write_box(page)).to_have_accessible_description(re.compile("What you sent before is saved"))
    assert texts(page) == ["First"]
    save(page)
    expect(page.get_by_role("article")).to_have_count(2)
    assert texts(page) == ["First, and more", "First"]


def test_a_text_that_was_deleted_and_brought_back_is_posted_once(new_page: NewPage, sure_server: Server) -> None:
    page = writing_page(new_page, sure_server, "undo@example.com")
    lose_all_answers(page)
    write_box(page).focus()
    for key in ("Control+A", "Delete"):
        page.keyboard.press(key)
    assert kept(page) == []
    page.keyboard.press("Control+Z")
    expect(write_box(page)).to_have_value("Once")
    save(page)
    expect(said(page)).to_have_text("Saved.")
    expect(page.locator(".text")).to_have_text(["Once"])
    write_box(page).fill("Once")  # on purpose
    save(page)
    expect(page.locator(".text")).to_have_text(["Once", "Once"])


def test_a_text_is_sent_with_its_key_until_it_is_there_whatever_was_typed_between(
    new_page: NewPage, sure_server: Server
) -> None:
    page = writing_page(new_page, sure_server, "typo@example.com")
    answers = [False] * 4 + [True] * 4  # whether the server gets it

    def lose_next(route: Any) -> None:
        if not answers:
            route.continue_()
            return
        if answers.pop(0):
            route.fetch()
        route.abort()

    page.route("**/addPost", lose_next)
    for text in ("Onec", "Once"):
        page.clock.fast_forward(2000)
        save_in_vain(page, text)
    write_box(page).focus()
    for key in ("Control+A", "Delete", "Control+Z"):
        page.keyboard.press(key)
    expect(write_box(page)).to_have_value("Once")
    page.clock.fast_forward(2000)
    save(page)
    expect(said(page)).to_have_text("Saved.")
    expect(page.locator(".text")).to_have_text(["Once"])


def test_what_was_sent_by_the_other_button_is_saved_twice_only_when_that_is_said(
    new_page: NewPage, sure_server: Server
) -> None:
    page = writing_page(new_page, sure_server, "other@example.com")
    lose_all_answers(page)
    save(page, "Keep as draft")
    expect(write_box(page)).to_have_accessible_description(re.compile("Send again to save this, too"))
    expect(page.locator(".text")).to_have_text(["Once"])
    page.clock.fast_forward(2000)
    save(page, "Keep as draft")
    expect(page.locator(".text")).to_have_text(["Once", "Once"])


@pytest.mark.parametrize("both_wait", [True, False])
def test_two_tabs_that_wait_for_the_network_with_one_text_post_it_once(
    new_page: NewPage, sure_server: Server, both_wait: bool
) -> None:
    email = f"patient{both_wait}@example.com"
    sure_server.account(email)
    one = new_page(sure_server)
    # Playwright says that each tab has the focus; in a browser it is the one in front.
    one.context.add_init_script("document.hasFocus = () => window.isInFront ?? true")
    one.reload()
    log_in(one, email, keep=True)
    expect(write_box(one)).to_be_focused()
    write_box(one).fill("Patient")
    two = one.context.new_page()
    two.goto(one.url)
    expect(write_box(two)).to_have_value("Patient")
    two.evaluate("window.isInFront = false")
    one.context.set_offline(True)
    save(one)
    expect(one.get_by_text("This is sent as soon as you are online.")).to_be_visible()
    one.evaluate("window.isInFront = false")
    two.evaluate("window.isInFront = true")
    if both_wait:
        save(two)
        expect(two.get_by_text("This is sent as soon as you are online.")).to_be_visible()
    one.context.set_offline(False)
    expect(said(one)).to_have_text("Saved.")
    if not both_wait:
        expect(write_box(two)).to_have_value("Patient")
        save(two)
    expect(said(two)).to_have_text("Saved.")
    two.reload()
    expect(two.locator(".text")).to_have_text(["Patient"])


def test_what_is_typed_while_a_text_waits_for_the_network_is_not_sent(new_page: NewPage, sure_server: Server) -> None:
    page = writing_page(new_page, sure_server, "typing@example.com")
    keys = lose(page, 0)
    page.context.set_offline(True)
    write_box(page).fill("Ready")
    save(page)
    expect(page.get_by_text("This is sent as soon as you are online.")).to_be_visible()
    write_box(page).fill("Ready? No: half of a secret")
    page.context.set_offline(False)
    expect(page.locator("#new")).not_to_have_attribute("aria-busy", "true")
    assert keys == []
    expect(write_box(page)).to_have_value("Ready? No: half of a secret")


def test_who_logs_out_and_in_again_while_the_page_waits_sends_nothing_more_and_keeps_the_new_text(
    new_page: NewPage, sure_server: Server
) -> None:
    page = writing_page(new_page, sure_server, "returns@example.com")
    keys = lose(page, 1)
    write_box(page).fill("Discard me")
    save(page)
    expect(page.get_by_text("Sending it again in 1 second.")).to_be_visible()
    button(page, "Log out").click()
    button(page, "Discard and log out").click()
    log_in(page, "returns@example.com")
    expect(write_box(page)).to_be_focused()
    write_box(page).fill("New")
    page.clock.fast_forward(1000)
    page.clock.fast_forward(60_000)
    assert len(keys) == 1
    page.reload()
    expect(write_box(page)).to_have_value("New")


def test_who_logs_out_while_the_page_waits_sends_nothing_more_and_leaves_no_text(
    new_page: NewPage, sure_server: Server
) -> None:
    page = writing_page(new_page, sure_server, "leaves@example.com")
    keys = lose(page, 1)
    sure_server.account("next@example.com")
    write_box(page).fill("Mine alone")
    save(page)
    expect(page.get_by_text("Sending it again in 1 second.")).to_be_visible()
    button(page, "Log out").click()
    button(page, "Discard and log out").click()
    log_in(page, "next@example.com")
    expect(write_box(page)).to_be_focused()
    page.clock.fast_forward(1000)
    expect(page.get_by_text("Nothing here yet.")).to_be_visible()
    assert len(keys) == 1
    assert kept(page) == []


def test_without_the_extra_the_list_is_reloaded_before_the_page_says_to_look(
    new_page: NewPage, bare_server: Server
) -> None:
    bare_server.account("unsure@example.com")
    page = new_page(bare_server)
    log_in(page, "unsure@example.com")
    keys = lose(page, 1)
    write_box(page).fill("Once")
    save(page)
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
    button(page, "Show more").click()
    expect(page.locator(".text").nth(4)).to_have_text(hostile[4])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_list_of_a_thousand_posts_comes_by_pages(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    with ThreadPoolExecutor(32) as clients:
        list(clients.map(lambda i: add(server, ada[1], f"Post {i}"), range(1000)))
    page = desk_of(new_page, ada[0])
    articles, count = page.locator("article"), page.locator("#count")  # roles of thousands take a while
    expect(count).to_have_text(re.compile("shown, there are more"))
    while count.text_content() != "1,000 posts":
        shown = articles.count()
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        expect(articles).not_to_have_count(shown)
    assert page.locator("#more").is_hidden()
    assert texts(page) == [post["text"] for post in server.get("/getPosts", headers=ada[1]).json()]
    started = page.evaluate("performance.now()")
    page.locator("#new textarea").press_sequentially("still quick")
    assert page.evaluate("performance.now()") - started < 2000
    page.locator("article .delete").nth(500).click()
    expect(count).to_have_text("999 posts")


def test_a_list_of_over_a_thousand_posts_shows_what_was_changed_in_another_tab(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    with ThreadPoolExecutor(32) as clients:
        list(clients.map(lambda i: add(server, ada[1], f"Post {i}"), range(1060)))
    posts = server.get("/getPosts", headers=ada[1]).json()
    page = desk_of(new_page, ada[0])
    articles, count = page.locator("article"), page.locator("#count")
    expect(count).to_have_text(re.compile("shown, there are more"))
    page.route("**/getPosts?*before=*", lambda route: route.continue_(url=route.request.url.replace("=50", "=1000")))
    while count.text_content() != "1,060 posts":
        shown = articles.count()
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        expect(articles).not_to_have_count(shown)
    for post in (posts[-1], posts[-30], posts[1000], posts[999], posts[0]):
        assert server.delete(f"/deletePost/{post['postID']}", headers=ada[1]).status_code == 204
    page.evaluate("dispatchEvent(new Event('online'))")  # the list is asked for again
    expect(count).to_have_text("1,055 posts")
    assert texts(page) == [post["text"] for post in server.get("/getPosts", headers=ada[1]).json()]


@with_others
def test_a_list_of_large_posts_shows_what_was_changed_in_another_tab(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], *(f"{number} {'x' * 600_000}" for number in range(3)))
    page = desk_of(new_page, ada[0])
    expect(page.locator("#count")).to_have_text("3 posts")
    oldest = server.get("/getPosts", headers=ada[1]).json()[-1]["postID"]
    server.put(f"/editPost/{oldest}", json={"text": "Changed"}, headers=ada[1])
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator(".text").last).to_have_text("Changed")


def test_older_posts_come_by_a_button_too_which_leads_to_them(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], *map(str, range(60)))
    page = new_page()
    page.add_init_script(
        "delete window.IntersectionObserver; window.IntersectionObserver = class { observe() {} disconnect() {} }"
    )
    page.reload()
    log_in(page, ada[0])
    expect(page.locator("#count")).to_have_text("50 shown, there are more")
    button(page, "Show more posts").press("Enter")
    expect(page.get_by_role("article")).to_have_count(60)
    expect(page.get_by_role("article").nth(50)).to_be_focused()
    expect(page.locator("#count")).to_have_text("60 posts")


def test_two_tabs_are_one_session(new_page: NewPage, ada: tuple[str, dict[str, str]]) -> None:
    one = new_page()
    log_in(one, ada[0])
    expect(write_box(one)).to_be_visible()
    two = one.context.new_page()
    two.goto(one.url)
    write_box(two).fill("From the second tab")
    save(two)
    expect(one.get_by_role("article")).to_contain_text("From the second tab")
    button(one, "Delete").click()
    expect(two.get_by_role("article")).to_have_count(0)
    button(two, "Log out").click()
    expect(one.get_by_role("heading", name="Log in")).to_be_visible()
    assert one.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize("keep", [False, True])
def test_a_tab_that_was_away_while_its_browser_logged_out_is_logged_out_too(
    new_page: NewPage, bare_server: Server, keep: bool
) -> None:
    email = f"away{keep}@example.com"
    bare_server.account(email)
    away = new_page(bare_server)
    log_in(away, email, keep=keep)
    other = away.context.new_page()
    other.goto(away.url)
    expect(write_box(other)).to_be_visible()
    expect(write_box(away)).to_be_visible()
    away.goto("about:blank")
    button(other, "Log out").click()
    expect(other.get_by_text("You are logged out.")).to_be_visible()
    away.go_back()
    expect(away.get_by_role("heading", name="Log in")).to_be_visible()
    assert away.evaluate("sessionStorage.length + localStorage.length") == 0
    log_in(other, email)
    expect(write_box(away)).to_be_visible()


ASLEEP = "BroadcastChannel.prototype.postMessage = function () {}"  # no word of it comes to other tabs


def test_a_tab_that_slept_finds_when_it_wakes_who_is_logged_in(new_page: NewPage, bare_server: Server) -> None:
    for name in ("one", "two"):
        bare_server.account(f"sleep-{name}@example.com")
    asleep = new_page(bare_server)
    log_in(asleep, "sleep-one@example.com")
    other = asleep.context.new_page()
    other.goto(asleep.url)
    expect(write_box(other)).to_be_visible()
    other.evaluate(ASLEEP)
    button(other, "Log out").click()
    expect(write_box(asleep)).to_be_visible()
    asleep.evaluate("dispatchEvent(new Event('pageshow'))")
    expect(asleep.get_by_role("heading", name="Log in")).to_be_visible()

    log_in(other, "sleep-two@example.com", keep=True)
    expect(write_box(other)).to_be_visible()
    expect(asleep.get_by_role("heading", name="Log in")).to_be_visible()
    asleep.evaluate("document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))")
    expect(write_box(asleep)).to_be_visible()
    expect(asleep.locator("#email")).to_have_text("sleep-two@example.com")


def test_a_tab_that_was_away_stays_logged_in_though_another_came_and_was_closed(
    new_page: NewPage, bare_server: Server
) -> None:
    bare_server.account("stays@example.com")
    away = new_page(bare_server)
    log_in(away, "stays@example.com")
    expect(write_box(away)).to_be_visible()
    away.goto("about:blank")
    other = away.context.new_page()
    other.goto(str(bare_server.base_url))
    log_in(other, "stays@example.com")
    expect(write_box(other)).to_be_visible()
    other.close()
    away.go_back()
    expect(write_box(away)).to_be_visible()


# The first moments


def test_the_form_is_in_the_page_and_all_else_is_asked_for_at_once(new_page: NewPage, server: Server) -> None:
    page = new_page()
    scripts = {f"/web/{file.name}" for file in (Path(__file__).parent / "static").glob("*.js")}
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(str(server.base_url).rstrip("/"))))
    with held(page, "**/web/**"):
        page.goto(page.url, wait_until="commit")
        expect(page.get_by_role("textbox", name="Email")).to_be_attached()
        page.get_by_role("textbox", name="Email").evaluate("field => (field.value = 'early@example.com')")
        while not scripts <= set(asked):
            page.wait_for_timeout(20)
    expect(page.get_by_role("textbox", name="Password")).to_be_focused()
    expect(page.get_by_role("textbox", name="Email")).to_have_value("early@example.com")
    assert not [path for path in asked if "openapi" in path]


def test_posts_that_load_have_a_place_meanwhile(new_page: NewPage, ada: tuple[str, dict[str, str]]) -> None:
    page = new_page()
    with held(page, "**/getPosts?*"):
        log_in(page, ada[0])
        expect(page.locator("#skeleton li")).to_have_count(3)
        expect(page.locator("#skeleton")).to_be_visible()
        expect(page.get_by_text("Nothing here yet.")).to_be_hidden()
    expect(page.locator("#skeleton")).to_be_hidden()


def test_the_page_and_the_docs_lead_to_each_other(new_page: NewPage) -> None:
    with new_database() as url, serve(url, EXTRAS="web,offline_docs") as server:
        page = new_page(server)
        page.get_by_role("link", name="API").click()
        link = page.get_by_role("link", name="the page")
        assert link.evaluate("link => link.href").rstrip("/") == str(server.base_url).rstrip("/")


def test_what_loads_when_an_extra_comes_after_it_is_offered_too(new_page: NewPage) -> None:
    with new_database() as url, serve(url, EXTRAS="web,editing") as server:
        add(server, server.account("later@example.com"), "A post")
        page = new_page(server)
        log_in(page, "later@example.com")
        expect(button(page, "Edit")).to_be_visible()


def test_where_posts_can_be_public_the_words_say_publish(new_page: NewPage) -> None:
    with new_database() as url, serve(url, EXTRAS="web,public") as server:
        server.put("/profile", json={"handle": "ada"}, headers=server.account("public@example.com"))
        page = new_page(server)
        expect(page.get_by_text("until you publish it")).to_be_visible()
        log_in(page, "public@example.com")
        write_box(page).fill("For all")
        save(page, "Publish")
        expect(said(page)).to_have_text("Published.")
        expect(button(page, "Published")).to_be_visible()


# The desk


@with_others
def test_search_marks_what_it_finds_as_one_types(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    far = "begin " * 2000 + "the STRASSE ends"
    add(server, ada[1], "nothing", "Hauptstraße 5, http://example.com/strasse", far, "и УЛИЦА")
    page = desk_of(new_page, ada[0])
    expect(page.locator("#count")).to_have_text("4 posts")
    page.get_by_role("searchbox", name="Search").press_sequentially("strasse")
    expect(page.locator("#count")).to_have_text("2 found")
    assert page.locator("mark").all_text_contents() == ["STRASSE", "straße", "strasse"]
    assert "the STRASSE ends" in texts(page)[0]
    page.get_by_role("searchbox").fill("улица")
    expect(page.locator("mark")).to_have_text(["УЛИЦА"])
    page.get_by_role("searchbox").fill("not there")
    expect(page.get_by_text("Nothing found.")).to_be_visible()
    page.get_by_role("searchbox").fill("")
    expect(page.locator("#count")).to_have_text("4 posts")


@with_others
def test_the_answer_to_an_older_search_is_dropped(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "one", "two")
    page = desk_of(new_page, ada[0])
    expect(page.locator("#count")).to_have_text("2 posts")
    with page.expect_response("**/findPosts?*text=one*") as answer, held(page, "**/findPosts?*text=one*"):
        with page.expect_request("**/findPosts?*text=one*"):
            page.get_by_role("searchbox").fill("one")
        page.get_by_role("searchbox").fill("two")
        expect(page.locator("mark")).to_have_text("two")
    answer.value.finished()
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert texts(page) == ["two"]


def test_filters_and_what_is_new_leads_back_to_all(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "Done")
    server.post("/addPost", json={"text": "Undone", "status": "draft"}, headers=ada[1])
    page = desk_of(new_page, ada[0])
    button(page, "Drafts").click()
    expect(page.locator("#count")).to_have_text("1 post")
    assert texts(page) == ["Undone"]
    expect(button(page, "Drafts")).to_have_attribute("aria-pressed", "true")
    button(page, "Saved").click()
    expect(page.locator(".text")).to_have_text(["Done"])
    write_box(page).fill("New")
    save(page, "Keep as draft")
    expect(page.locator(".text")).to_have_text(["New", "Undone", "Done"])
    expect(button(page, "All")).to_have_attribute("aria-pressed", "true")


@with_others
def test_a_post_that_no_longer_fits_its_filter_once_it_is_edited_leaves_the_list(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    for text in ("One", "Two"):
        server.post("/addPost", json={"text": text, "status": "draft"}, headers=ada[1])
    page = desk_of(new_page, ada[0])
    button(page, "Drafts").click()
    expect(page.locator("#count")).to_have_text("2 posts")
    button(page, "Edit").first.click()
    button(page.get_by_role("list"), "Save").click()
    expect(page.locator("#count")).to_have_text("1 post")
    assert texts(page) == ["One"]
    expect(page.get_by_role("article")).to_be_focused()


def test_links_lead_on_and_only_to_the_web(new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]) -> None:
    add(server, ada[1], "See (https://example.com/a?b=1&c). javascript:alert(1) HTTP://EXAMPLE.COM/, ftp://example.com")
    page = desk_of(new_page, ada[0])
    links = page.locator(".text a")
    expect(links).to_have_text(["https://example.com/a?b=1&c", "HTTP://EXAMPLE.COM/"])
    expect(links.first).to_have_attribute("rel", "noopener nofollow")


@pytest.mark.parametrize("text", ["word " * 200_000, "x" * 1_000_000, "line\n" * 160_000, "http://e.x/ " * 83_000])
def test_a_text_of_a_megabyte_opens_and_closes_without_a_pause(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]], text: str
) -> None:
    add(server, ada[1], text)
    page = new_page()
    page.evaluate(
        "window.longest = 0; new PerformanceObserver(list => list.getEntries().forEach("
        "task => (longest = Math.max(longest, task.duration)))).observe({ type: 'longtask' })"
    )
    log_in(page, ada[0])
    button(page, "Show more").click()
    while page.locator(".text").evaluate("box => box.textContent.length") != len(text):
        page.wait_for_timeout(20)
    page.keyboard.press("PageDown")
    less = button(page, "Show less")
    expect(less).to_be_in_viewport()  # wherever one is in the text
    less.click()
    expect(button(page, "Show more")).to_be_in_viewport()
    assert page.evaluate("longest") < 1500


def test_a_list_of_large_posts_keeps_its_length_when_one_is_added(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], *(f"{number} {'x' * 600_000}" for number in range(3)))
    page = desk_of(new_page, ada[0])
    expect(page.locator("#count")).to_have_text("3 posts")
    write_box(page).fill("New")
    with page.expect_response("**/getPosts?*"):
        save(page)
    expect(page.locator("#count")).to_have_text("4 posts")
    assert [text[:2] for text in texts(page)] == ["Ne", "2 ", "1 ", "0 "]


def test_a_text_is_clamped_by_its_lines_as_they_are_laid_out(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "word " * 70, "\n".join("123456789"), "short")
    page = new_page(viewport={"width": 1280, "height": 800})
    log_in(page, ada[0])
    expect(button(page, "Show more")).to_have_count(1)  # nine lines; 350 characters fit in eight
    page.set_viewport_size({"width": 375, "height": 800})
    expect(button(page, "Show more")).to_have_count(2)
    button(page, "Show more").first.click()
    expect(button(page, "Show less")).to_have_attribute("aria-expanded", "true")


def test_times_are_relative_and_exact_in_the_title(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "A post")
    page = new_page(locale="en-GB", timezone_id="UTC")
    page.clock.install()
    page.reload()
    log_in(page, ada[0])
    time = page.locator("article time")
    expect(time).to_have_text("just now")
    page.clock.fast_forward(1000 * 60 * 5)
    expect(time).to_have_text("5 minutes ago")
    page.clock.fast_forward(1000 * 3600 * 49)
    expect(time).to_have_text("2 days ago")
    page.clock.fast_forward(1000 * 3600 * 200)
    expect(time).to_have_text(re.compile(r"^\d+ \w+ \d{4}$"))
    expect(time).to_have_attribute("title", re.compile(r"^\d+ \w+ \d{4} at \d\d:\d\d$"))


def test_a_post_can_be_copied(new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]) -> None:
    add(server, ada[1], "long " * 1000)
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    log_in(page, ada[0])
    button(page, "Copy").click()
    expect(said(page)).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "long " * 1000


def test_a_copy_that_the_browser_refuses_is_said(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "A post")
    page = desk_of(new_page, ada[0])
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()); }")
    button(page, "Copy").click()
    expect(said(page)).to_have_text("Could not copy: this browser did not allow it.")


def count_posts(server: Server, headers: dict[str, str]) -> int:
    return len(server.get("/getPosts", headers=headers).json())


def wait_until_deleted(page: Page, server: Server, headers: dict[str, str]) -> None:
    for _ in range(200):
        if not count_posts(server, headers):
            return
        page.wait_for_timeout(50)
    pytest.fail("the post is still there")


def test_deleting_can_be_undone_for_eight_seconds(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "A post")
    page = new_page()
    page.clock.install()
    page.reload()
    log_in(page, ada[0])
    button(page, "Delete").click()
    page.clock.fast_forward(7000)
    button(page, "Undo").click()
    page.clock.fast_forward(9000)
    expect(page.get_by_role("article")).to_have_count(1)
    assert count_posts(server, ada[1]) == 1
    button(page, "Delete").click()
    with page.expect_response("**/deletePost/*"):
        page.clock.fast_forward(8000)
    expect(button(page, "Undo")).to_be_hidden()
    expect(page.get_by_text("Nothing here yet.")).to_be_visible()
    assert count_posts(server, ada[1]) == 0
    assert kept(page) == []


def test_a_deleted_post_is_gone_when_the_page_is_closed(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "A post")
    page = desk_of(new_page, ada[0])
    button(page, "Delete").click()
    page.goto("about:blank")
    wait_until_deleted(page, server, ada[1])


def test_a_404_of_a_proxy_is_no_deletion(new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]) -> None:
    add(server, ada[1], "Doomed")
    page = new_page()
    page.clock.install()
    page.reload()
    log_in(page, ada[0])
    expect(page.get_by_role("article")).to_be_visible()
    page.route("**/deletePost/*", lambda route: route.fulfill(status=404, content_type="text/html", body="<h1>404"))
    button(page, "Delete").click()
    with page.expect_response("**/deletePost/*"):
        page.clock.run_for(8100)
    page.unroute("**/deletePost/*")
    page.reload()
    wait_until_deleted(page, server, ada[1])


def test_a_post_that_could_not_be_deleted_then_goes_at_the_next_visit(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "A post")
    page = desk_of(new_page, ada[0])
    expect(page.get_by_role("article")).to_be_visible()
    page.evaluate("() => { window.fetch = () => Promise.reject(new TypeError('no network')); }")
    button(page, "Delete").click()
    page.goto("about:blank")
    page.clock.install()
    page.goto(str(server.base_url))
    expect(page.get_by_text("Nothing here yet.")).to_be_visible()
    assert count_posts(server, ada[1]) == 1
    page.clock.fast_forward(8000)
    wait_until_deleted(page, server, ada[1])


def test_logging_out_deletes_what_could_still_be_undone(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "A post")
    page = desk_of(new_page, ada[0])
    button(page, "Delete").click()
    button(page, "Log out").click()
    wait_until_deleted(page, server, ada[1])


@with_others
def test_leaving_an_edit_asks_if_something_would_be_lost(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "A post")
    page = desk_of(new_page, ada[0])
    box, question = page.get_by_role("textbox", name="Edit the post"), page.get_by_role("dialog")
    button(page, "Edit").click()
    box.press("Escape")
    expect(button(page, "Edit")).to_be_focused()  # nothing was changed
    leaving: list[Callable[[], None]] = [
        lambda: box.press("Escape"),
        lambda: button(page.get_by_role("list"), "Cancel").click(),
    ]
    for leave in leaving:
        button(page, "Edit").click()
        box.fill("Two thousand characters")
        leave()
        expect(question).to_contain_text("Discard your changes?")
        page.keyboard.press("Escape")
        expect(box).to_have_value("Two thousand characters")
        leave()
        button(question, "Discard").click()
        expect(page.get_by_role("article")).to_contain_text("A post")


# The bad moments


def test_a_double_click_is_one_post_and_no_error(new_page: NewPage, ada: tuple[str, dict[str, str]]) -> None:
    page = desk_of(new_page, ada[0])
    for number, pause in enumerate((0, 100, 400), 1):
        write_box(page).fill(f"Post {number}")
        page.evaluate(
            "pause => { const b = document.querySelector('#new .primary');"
            "b.click(); setTimeout(() => b.click(), pause) }",
            pause,
        )
        page.wait_for_timeout(pause)
        expect(page.get_by_role("article")).to_have_count(number)
    expect(page.locator(".error:visible")).to_have_count(0)


def test_white_space_alone_is_no_post(new_page: NewPage, ada: tuple[str, dict[str, str]]) -> None:
    page = desk_of(new_page, ada[0])
    write_box(page).fill(" \n\t ")
    save(page)
    expect(write_box(page)).to_have_accessible_description("Write something first.")
    write_box(page).fill("x")
    expect(page.get_by_text("Write something first.")).to_be_hidden()


def test_empty_fields_are_named_and_errors_go_with_the_form(new_page: NewPage) -> None:
    page = new_page()
    button(page, "Log in").click()
    email, password = (page.get_by_role("textbox", name=name) for name in ("Email", "Password"))
    expect(email).to_have_accessible_description("Enter your email.")
    expect(password).to_have_accessible_description("Enter your password.")
    expect(email).to_be_focused()
    email.fill("a")
    expect(page.get_by_text("Enter your email.")).to_be_hidden()
    expect(password).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("Enter your password.")).to_be_visible()
    button(page, "Sign up").click()
    expect(page.get_by_text("Enter your password.")).to_be_hidden()


def test_an_answer_of_somebody_else_is_an_error(new_page: NewPage, ada: tuple[str, dict[str, str]]) -> None:
    page = new_page()
    portal = {"status": 200, "content_type": "text/html", "body": "<h1>Welcome to the hotel</h1>"}
    page.route("**/login", lambda route: route.fulfill(**portal))
    log_in(page, ada[0])
    expect(page.get_by_role("alert").filter(has_text="perhaps the log-in page of a network")).to_be_visible()
    page.unroute("**/login")
    log_in(page, ada[0])
    write_box(page).fill("Mine")
    page.route("**/addPost", lambda route: route.fulfill(**portal))
    save(page)
    expect(page.get_by_role("alert").filter(has_text="perhaps the log-in page of a network")).to_be_visible()
    expect(page.get_by_text("It may have arrived")).to_be_hidden()
    expect(write_box(page)).to_have_value("Mine")


def test_what_is_saved_offline_is_sent_when_the_network_is_back(
    new_page: NewPage, ada: tuple[str, dict[str, str]]
) -> None:
    page = desk_of(new_page, ada[0])
    expect(page.get_by_text("Nothing here yet.")).to_be_visible()
    page.context.set_offline(True)
    write_box(page).fill("Patient")
    save(page)
    expect(page.get_by_text("This is sent as soon as you are online.")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_role("article")).to_contain_text("Patient")
    expect(page.locator(".error:visible")).to_have_count(0)


def test_who_is_logged_out_elsewhere_is_told_the_truth(new_page: NewPage, ada: tuple[str, dict[str, str]]) -> None:
    one = new_page()
    log_in(one, ada[0])
    write_box(one).fill("Half a thought")
    two = one.context.new_page()
    two.goto(one.url)
    button(two, "Log out").click()
    button(two, "Discard and log out").click()
    expect(one.get_by_role("alert").filter(has_text="You are logged out.")).to_be_visible()
    expect(one.get_by_text("what you typed is kept")).to_be_hidden()
    assert one.evaluate("localStorage.length") == 0


# What was tried to break it


def test_a_post_that_is_deleted_again_has_its_eight_seconds_again(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "A post")
    page = new_page()
    page.clock.install()
    page.reload()
    log_in(page, ada[0])
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "deletePost" in request.url else None)
    button(page, "Delete").click()
    page.clock.run_for(5000)
    button(page, "Undo").click()
    button(page, "Delete").click()
    page.clock.run_for(7000)
    page.evaluate("fetch('web/icon.svg').then(() => 0)")
    assert sent == []
    expect(button(page, "Undo")).to_be_visible()
    with page.expect_response("**/deletePost/*"):
        page.clock.run_for(1000)


def test_undo_is_still_there_when_another_filter_was_looked_at(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "A post")
    page = new_page()
    page.clock.install()
    page.reload()
    log_in(page, ada[0])
    button(page, "Delete").click()
    button(page, "Drafts").click()
    expect(page.get_by_text("Nothing here.")).to_be_visible()
    button(page, "All").click()
    button(page, "Undo").click()
    expect(page.get_by_role("article")).to_be_focused()
    page.clock.run_for(10_000)
    assert count_posts(server, ada[1]) == 1


def test_a_double_click_deletes_one_post(new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]) -> None:
    add(server, ada[1], "Three", "Two", "One\nof three\nlines")
    page = new_page(viewport={"width": 1280, "height": 800})
    log_in(page, ada[0])
    box = button(page, "Delete").first.bounding_box()
    page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.8)
    expect(button(page, "Undo")).to_have_count(1)
    assert texts(page) == ["Two", "Three"]


def test_a_new_post_is_listed_though_older_ones_are_asked_for_meanwhile(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], *map(str, range(60)))
    page = desk_of(new_page, ada[0])
    expect(page.locator("#count")).to_have_text("50 shown, there are more")
    write_box(page).fill("New")
    with held(page, "**/getPosts?limit=50"):
        with page.expect_request("**/getPosts?limit=50"):
            save(page)
        page.locator("#more").click()
    expect(page.get_by_role("article")).to_have_count(61)
    assert texts(page)[:2] == ["New", "59"]


def test_what_waits_for_the_network_is_neither_sent_nor_kept_after_logging_out(
    new_page: NewPage, ada: tuple[str, dict[str, str]]
) -> None:
    page = desk_of(new_page, ada[0])
    expect(page.get_by_text("Nothing here yet.")).to_be_visible()
    page.context.set_offline(True)
    write_box(page).fill("Mine alone")
    save(page)
    expect(page.get_by_text("This is sent as soon as you are online.")).to_be_visible()
    button(page, "Log out").click()
    button(page, "Discard and log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "addPost" in request.url else None)
    page.context.set_offline(False)
    expect(page.get_by_text("You are offline.")).to_be_hidden()
    page.evaluate("new Promise(done => setTimeout(done))")
    assert page.evaluate("localStorage.length") == 0
    assert sent == []


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("See https://e.org/wiki/Post_(mail), then", "https://e.org/wiki/Post_(mail)"),
        ("(https://e.org/a_(b))", "https://e.org/a_(b)"),
        ("[here](https://e.org/x)", "https://e.org/x"),
        ("见 https://例子.org/路。", "https://例子.org/路"),
        ("«https://пример.рф/путь?я#и».", "https://пример.рф/путь?я#и"),
        ("https://e.org/?q=a'b&c=[1]...", "https://e.org/?q=a'b&c=[1"),
        ("HTTPS://... https://:80 https://e.org/\u202etxt", "https://e.org/\u202etxt"),
    ],
)
def test_a_link_ends_where_a_reader_ends_it(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]], text: str, link: str
) -> None:
    add(server, ada[1], text)
    page = desk_of(new_page, ada[0])
    expect(page.locator(".text a")).to_have_text([link])
    assert texts(page) == [text]


@with_others
def test_marks_are_right_beside_letters_that_have_two_forms(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "e\u0301 \ufb01 and wanted", "\u1112\u1161\u11ab wanted", "n\u0303o\u0308ch \u0130 WANTED")
    page = desk_of(new_page, ada[0])
    page.get_by_role("searchbox").fill("wanted")
    expect(page.locator("mark")).to_have_text(["WANTED", "wanted", "wanted"])
    page.get_by_role("searchbox").fill("\ud55c")
    expect(page.locator("mark")).to_have_text(["\u1112\u1161\u11ab"])


FORBIDDEN = """for (const name of ["localStorage", "sessionStorage"]) {
    Object.defineProperty(window, name, { get() { throw new DOMException("", "SecurityError"); } });
}
delete window.BroadcastChannel;
delete navigator.locks;"""
FULL = """Storage.prototype.setItem = () => { throw new DOMException("", "QuotaExceededError"); };"""


@pytest.mark.parametrize("obstacle", [FORBIDDEN, FULL])
@pytest.mark.parametrize("keep", [False, True])
def test_a_browser_that_keeps_nothing_can_do_all_else(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]], obstacle: str, keep: bool
) -> None:
    page = new_page()
    page.clock.install()
    page.add_init_script(obstacle)
    page.reload()
    log_in(page, ada[0], keep=keep)
    write_box(page).fill("A post")
    expect(page.get_by_text("a reload would lose it")).to_be_visible()
    save(page)
    button(page, "Delete").click()
    button(page, "Undo").click()
    expect(page.get_by_role("article")).to_be_focused()
    button(page, "Delete").click()
    with page.expect_response("**/deletePost/*"):
        page.clock.run_for(8000)
    wait_until_deleted(page, server, ada[1])
    button(page, "Log out").click()
    expect(page.get_by_text("You are logged out.")).to_be_visible()


def test_what_somebody_else_keeps_in_the_browser_under_its_name_hurts_nothing(
    new_page: NewPage, ada: tuple[str, dict[str, str]]
) -> None:
    page = new_page()
    page.evaluate("for (const storage of [localStorage, sessionStorage]) storage.setItem('posts /', 'no JSON')")
    page.reload()
    log_in(page, ada[0])
    expect(write_box(page)).to_be_focused()


@with_others
def test_who_stays_logged_in_is_told_of_an_answer_of_somebody_else(
    new_page: NewPage, ada: tuple[str, dict[str, str]]
) -> None:
    page = new_page()
    log_in(page, ada[0], keep=True)
    expect(page.get_by_text("Nothing here yet.")).to_be_visible()
    page.route("**/getPosts*", lambda route: route.fulfill(status=401, json={"detail": "Expired."}))
    page.route("**/refreshToken", lambda route: route.fulfill(content_type="text/html", body="<h1>Hotel</h1>"))
    page.reload()
    expect(page.get_by_role("alert").filter(has_text="perhaps the log-in page of a network")).to_be_visible()
    page.unroute("**/getPosts*")
    page.unroute("**/refreshToken")
    button(page, "Try again").click()
    expect(page.get_by_text("Nothing here yet.")).to_be_visible()


# The account


@with_others
def test_sessions_are_listed_and_can_be_ended(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    page = desk_of(new_page, ada[0])
    button(page, "Account").click()
    sessions = page.locator("#sessions li")
    expect(sessions).to_have_count(2)
    expect(sessions.first).to_contain_text("This browser")
    button(page, "End this one").click()
    expect(sessions).to_have_count(1)
    assert server.get("/getPosts", headers=ada[1]).status_code == 401


def visit(page: Page) -> Page:
    """Close the tab, and come back in a new one."""
    context, url = page.context, page.url
    page.close()
    page = context.new_page()
    page.goto(url)
    return page


@pytest.mark.parametrize("keep", [False, True])
def test_who_asks_for_it_is_still_logged_in_when_the_tab_was_closed(
    new_page: NewPage, bare_server: Server, keep: bool
) -> None:
    email = f"keep{keep}@example.com"
    bare_server.account(email)
    page = new_page(bare_server)
    log_in(page, email, keep=keep)
    expect(write_box(page)).to_be_visible()
    page = visit(page)
    expect(page.get_by_role("heading", name="Your posts" if keep else "Log in")).to_be_visible()
    if keep:
        button(page, "Log out").click()
        assert page.evaluate("localStorage.length + sessionStorage.length") == 0
        expect(visit(page).get_by_role("heading", name="Log in")).to_be_visible()


@with_others
def test_who_stays_logged_in_gets_new_tokens_once_for_all_tabs(
    new_page: NewPage, ada: tuple[str, dict[str, str]]
) -> None:
    page = new_page()
    log_in(page, ada[0], keep=True)
    write_box(page).fill("Still here")
    page.evaluate("""() => {
        const [[name, value]] = Object.entries(localStorage).filter(([, value]) => value.includes("refresh"));
        localStorage.setItem(name, JSON.stringify({ ...JSON.parse(value), token: "expired" }));
    }""")
    two = page.context.new_page()
    trades: list[str] = []
    page.context.on("request", lambda request: trades.append(request.url) if "refreshToken" in request.url else None)
    page.reload()
    two.goto(page.url)
    for tab in (page, two):
        expect(tab.get_by_text("Nothing here yet.")).to_be_visible()
        expect(write_box(tab)).to_have_value("Still here")
    assert len(trades) == 1
    save(two)
    expect(page.get_by_role("article")).to_contain_text("Still here")


@with_others
def test_who_logs_out_while_tokens_are_traded_stays_logged_out(
    new_page: NewPage, ada: tuple[str, dict[str, str]]
) -> None:
    page = new_page()
    log_in(page, ada[0], keep=True)
    expect(page.get_by_text("Nothing here yet.")).to_be_visible()
    answers: list[tuple[Any, Any]] = []
    page.route("**/refreshToken", lambda route: answers.append((route, route.fetch())))
    page.route("**/logout", lambda route: route.abort())
    with answering(page, "getPosts*", 401, "Expired."):
        page.evaluate("dispatchEvent(new Event('online'))")
        while not answers:
            page.wait_for_timeout(20)
    button(page, "Log out").click()
    expect(page.get_by_text("the server could not be told")).to_be_visible()
    with page.expect_response("**/refreshToken") as traded:
        answers[0][0].fulfill(response=answers[0][1])
    traded.value.finished()
    page.evaluate("new Promise(done => setTimeout(done))")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0


# Two languages


def test_every_text_is_there_in_both_languages_and_every_name_has_one() -> None:
    folder = Path(__file__).parent
    table: dict[str, list[str]] = json.loads((folder / "texts.json").read_text())
    html = (folder / "index.html").read_text()
    scripts = "".join(file.read_text() for file in folder.glob("static/*.js"))
    for name, (english, russian) in table.items():
        assert english, name
        assert re.search("[\u0430-\u044f]", russian) or name in {"otherLanguage", "otherTag"}, name
        assert set(re.findall(r"{\w+}", english)) == set(re.findall(r"{\w+}", russian)), name
        assert (len(english.split("|")), len(russian.split("|"))) in {(1, 1), (2, 3), (1, 3)}, name
        quoted = rf'"{re.escape(name.removesuffix(".public"))}"'
        assert re.search(quoted, html + scripts) or re.match(r"empty\.|\d{3}\b", name), name
    used = {*re.findall(r'data-t(?:-\w+)?="([\w.]+)"', html), *re.findall(r'\bt\("([\w.]+)"', scripts)}
    assert used <= table.keys()
    places = " ".join(re.findall(r'data-error="([^"]+)"', html)).split()
    assert {place for place in places if place[0].isdigit()} <= table.keys()
    required = re.findall(r'name="(\w+)"[^>]* required', html)
    assert {f"empty.{name}" for name in required} <= table.keys()
    for name, text in re.findall(r'data-t="([\w.]+)"[^>]*>([^<]+)<', html):
        assert table[name][0] == text, name


@with_others
def test_the_page_speaks_russian_to_who_does(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], *map(str, range(3)))
    page = new_page(locale="ru-RU")

    def check() -> None:
        english = re.findall("[A-Za-z]{2,}", page.locator("body").inner_text().replace(ada[0], ""))
        assert set(english) <= {"Posts", "API", "English"}

    assert page.locator("html").get_attribute("lang") == "ru"
    button(page, "Войти").click()
    expect(page.get_by_text("Введите пароль.")).to_be_visible()
    check()
    page.get_by_role("textbox", name="Эл. почта").fill(ada[0])
    page.get_by_role("textbox", name="Пароль").fill("wrong horse")
    button(page, "Войти").click()
    expect(page.get_by_text("Неверная почта или пароль.")).to_be_visible()
    page.get_by_role("textbox", name="Пароль").fill("correct horse")
    button(page, "Войти").click()
    expect(page.locator("#count")).to_have_text("3 записи")
    expect(page.locator("time").first).to_have_text("только что")
    check()
    button(page, "Аккаунт").click()
    expect(page.get_by_text("Этот браузер")).to_be_visible()
    page.get_by_text("Удалить аккаунт").click()
    check()
    page.get_by_role("dialog").get_by_role("button", name="English").click()
    expect(page.locator("#count")).to_have_text("3 posts")
    assert page.locator("html").get_attribute("lang") == "en"
    page.reload()
    expect(page.locator("#count")).to_have_text("3 posts")


# Everybody


def through_all_states(page: Page, server: Server, account: tuple[str, dict[str, str]]) -> Iterator[str]:
    """Each state of the page, by its name."""
    email, headers = account
    server.post("/addPost", json={"text": "A draft https://example.com", "status": "draft"}, headers=headers)
    add(server, headers, "A post", "long " * 400)
    yield "entrance"
    button(page, "Log in").click()
    yield "empty fields"
    log_in(page, email, "wrong horse")
    expect(page.get_by_text("The email or the password is wrong.")).to_be_visible()
    yield "wrong password"
    button(page, "Sign up").click()
    yield "sign up"
    button(page, "Log in").click()
    with held(page, "**/getPosts?*"):
        log_in(page, email)
        expect(page.locator("#skeleton")).to_be_visible()
        yield "loading"
    expect(page.get_by_role("article")).to_have_count(3)
    write_box(page).fill("Half a thought")
    yield "desk"
    button(page, "Show more").click()
    button(page, "Delete").nth(1).click()
    yield "undo"
    button(page, "Undo").click()
    page.context.set_offline(True)
    yield "offline"
    page.context.set_offline(False)
    button(page, "Log out").click()
    yield "a question"
    button(page.get_by_role("dialog"), "Cancel").click()
    if HERE == OTHERS:
        page.get_by_role("searchbox").fill("post")
        expect(page.locator("mark")).to_have_count(1)
        yield "search"
        button(page, "Edit").click()
        page.get_by_role("textbox", name="Edit the post").fill("")
        button(page.get_by_role("list"), "Save").click()
        yield "an empty edit"
        button(page, "Account").click()
        expect(page.locator("#sessions li")).not_to_have_count(0)
        page.get_by_text("Delete account").click()
        button(page, "Delete my account").click()
        yield "account"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_axe_finds_nothing(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]], scheme: str, width: int
) -> None:
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 800}, reduced_motion="reduce")
    for state in through_all_states(page, server, ada):
        found = axe.Axe().run(page)
        assert found.violations_count == 0, f"{state}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), state


def test_text_of_twice_the_size_fits_a_phone(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    page = new_page(viewport={"width": 375, "height": 800})
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    for state in through_all_states(page, server, ada):
        wide = "[...document.querySelectorAll('html, dialog[open]')].filter(e => e.scrollWidth > e.clientWidth).length"
        assert page.evaluate(wide) == 0, state


def test_focus_rings_are_whole_and_edges_visible_in_forced_colours(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "See https://example.com")
    page = new_page(viewport={"width": 375, "height": 800}, forced_colors="active")
    log_in(page, ada[0])
    write_box(page).focus()
    item = page.locator("#list > li").bounding_box()
    page.locator("#more").evaluate("more => more.previousElementSibling.focus()")
    for _ in range(12):
        page.keyboard.press("Tab")
        ring = page.evaluate("""() => {
            const element = document.activeElement, style = getComputedStyle(element);
            const room = parseFloat(style.outlineOffset) + parseFloat(style.outlineWidth);
            const { left, right, top, bottom } = element.getBoundingClientRect();
            const inList = Boolean(element.closest("#list"));
            return { inList, left: left - room, right: right + room, top: top - room, bottom: bottom + room };
        }""")
        if ring["inList"]:
            assert ring["left"] >= item["x"]
            assert ring["right"] <= item["x"] + item["width"]
            assert ring["top"] >= item["y"]
            assert ring["bottom"] <= item["y"] + item["height"]
    edges = "element => [getComputedStyle(element).borderTopWidth, getComputedStyle(element).borderTopStyle].join(' ')"
    for selector in ("#new .primary", "#new form", "#filters [aria-pressed=true]", "#log-out"):
        assert page.locator(selector).evaluate(edges) == "1px solid", selector


def test_print_shows_the_posts_and_nothing_else(
    new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]
) -> None:
    add(server, ada[1], "A post")
    page = new_page(color_scheme="dark")
    log_in(page, ada[0])
    expect(page.get_by_role("article")).to_be_visible()
    page.emulate_media(media="print")
    assert re.sub(r"\s+", " ", page.locator("body").inner_text()) == "A post just now"
    assert page.locator("body").evaluate("body => getComputedStyle(body).color") == "rgb(30, 33, 29)"


def test_articles_have_names_that_differ(new_page: NewPage, server: Server, ada: tuple[str, dict[str, str]]) -> None:
    add(server, ada[1], "One", "Two")
    page = desk_of(new_page, ada[0])
    for text in ("One", "Two"):
        expect(page.get_by_role("article", name=re.compile(f"^{text}, "))).to_have_count(1)


def test_the_manifest_and_its_icons_are_there(new_page: NewPage, server: Server) -> None:
    page = new_page()
    manifest = page.evaluate("fetch(document.querySelector('link[rel=manifest]').href).then(answer => answer.json())")
    assert server.get(f"/web/{manifest['start_url']}").url == server.base_url.join("/")
    for icon in manifest["icons"]:
        assert server.get(f"/web/{icon['src']}").headers["Content-Type"] == icon["type"]
    assert page.locator("meta[name=theme-color]").count() == 2


# Types


def test_the_types_of_the_scripts_are_right(tmp_path: Path) -> None:
    npm = shutil.which("npm") or pytest.skip("npm is missing")
    packages = json.loads((ROOT / ".ci/clients/package.json").read_text())["devDependencies"]
    install = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", f"typescript@{packages['typescript']}"]
    if subprocess.run(install, cwd=tmp_path, capture_output=True, timeout=120).returncode:
        pytest.skip("npm cannot get typescript")
    options = "--noEmit --checkJs --allowJs --strict --noImplicitAny false --useUnknownInCatchVariables false"
    targets = "--target esnext --module esnext --moduleResolution bundler --lib esnext,dom,dom.iterable"
    files = [Path(__file__).parent / "static" / name for name in ("main.js", "desk.js")]
    command = [*map(str, (tmp_path / "node_modules/.bin/tsc", *files)), *options.split(), *targets.split()]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
