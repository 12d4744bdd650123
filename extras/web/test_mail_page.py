"""Forgotten passwords and the links of mails, in a real Chromium, with mails that really arrive."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from typing import Any

import pytest

from test_app import PASSWORD, Server, new_database, new_email, serve, wait_until

aiosmtpd = pytest.importorskip("aiosmtpd.controller")
pytest.importorskip("aiosmtplib")
sync_api = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
expect = sync_api.expect

NewPage = Callable[..., Any]


class Mailbox:
    """A mail server, which keeps the token of each link: `{(address, kind): token}`."""

    def __init__(self) -> None:
        self.links: dict[tuple[str, str], str] = {}
        self.lock = threading.Lock()

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:
        mail: Any = message_from_bytes(envelope.content, policy=policy.default)
        found = re.search(r"#(\w+)=([\w-]{43})", mail.get_body(("plain",)).get_content())
        if found:
            with self.lock:
                self.links[mail["To"], found[1]] = found[2]
        return "250 OK"

    def link(self, address: str, kind: str) -> str:
        """The fragment of the link, once it has come."""
        wait_until(lambda: (address, kind) in self.links)
        return f"#{kind}={self.links[address, kind]}"


@pytest.fixture(scope="module")
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture(scope="module")
def settings(mailbox: Mailbox) -> Iterator[dict[str, Any]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = aiosmtpd.Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield {
        "EXTRAS": "web,account,mail",
        "MAIL_URL": f"smtp://127.0.0.1:{port}?starttls=no",
        "MAIL_FROM": "posts@example.com",
        "MAIL_LINK": "https://posts.example.com/",
    }
    controller.stop(no_assert=True)


@pytest.fixture(scope="module")
def server(settings: dict[str, Any]) -> Iterator[Server]:
    with new_database() as url, serve(url, **settings) as server:
        yield server


@pytest.fixture(scope="module")
def strict_server(settings: dict[str, Any]) -> Iterator[Server]:
    with new_database() as url, serve(url, **settings, MAIL_REQUIRE_VERIFIED="1") as server:
        yield server


def button(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def field(page: Any, name: str) -> Any:
    return page.get_by_role("textbox", name=name, exact=True)


def heading(page: Any, name: str) -> Any:
    return page.get_by_role("heading", name=name, exact=True)


def log_in(page: Any, email: str, password: str = PASSWORD) -> None:
    field(page, "Email").fill(email)
    field(page, "Password").fill(password)
    button(page, "Log in").click()


def open_link(page: Any, link: str) -> None:
    """In a tab of its own, as a mail program does."""
    page.goto("about:blank")
    page.goto(page.base + link)


@pytest.fixture
def page(new_page: NewPage, server: Server) -> Any:
    page = new_page()
    page.base = page.url
    return page


def test_who_forgot_the_password_gets_from_there_to_a_new_session(page: Any, server: Server, mailbox: Mailbox) -> None:
    email = new_email()
    server.account(email)
    button(page, "Forgot your password?").click()
    expect(heading(page, "Forgot your password?")).to_be_visible()
    expect(field(page, "Email")).to_be_focused()
    expect(field(page, "Password")).to_be_hidden()
    button(page, "Send the link").click()
    expect(page.get_by_text("Enter your email.")).to_be_visible()
    field(page, "Email").fill(email)
    page.keyboard.press("Enter")
    expect(page.get_by_text("If there is an account with this email")).to_be_visible()
    expect(heading(page, "Log in")).to_be_visible()

    link = mailbox.link(email, "reset")
    open_link(page, link)
    expect(heading(page, "Choose a new password")).to_be_visible()
    assert page.evaluate("location.href") == page.base
    token = link.removeprefix("#reset=")
    kept = "[history.state, ...Object.values(sessionStorage), ...Object.values(localStorage)]"
    assert token not in json.dumps(page.evaluate(kept)) + page.content()
    field(page, "Email").fill(email)
    field(page, "New password").fill("short")
    page.keyboard.press("Enter")
    expect(field(page, "New password")).to_have_accessible_description(
        re.compile("A password has 8 to 128 characters.")
    )
    field(page, "New password").fill("battery staple")
    page.keyboard.press("Enter")
    expect(field(page, "Write a post")).to_be_focused()
    button(page, "Log out").click()
    log_in(page, email)
    expect(page.get_by_text("The email or the password is wrong.")).to_be_visible()
    log_in(page, email, "battery staple")
    expect(field(page, "Write a post")).to_be_focused()

    open_link(page, link)
    field(page, "Email").fill(email)
    field(page, "New password").fill("another staple")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This link was used, or is too old. Ask for another.")).to_be_visible()
    button(page, "Ask for another link").click()
    expect(heading(page, "Forgot your password?")).to_be_visible()
    button(page, "Your posts").click()
    expect(field(page, "Write a post")).to_be_focused()


def test_who_mistypes_the_email_at_a_new_password_is_told_that_it_is_set(
    page: Any, server: Server, mailbox: Mailbox
) -> None:
    email = new_email()
    server.account(email)
    server.post("/forgotPassword", json={"email": email})
    open_link(page, mailbox.link(email, "reset"))
    field(page, "Email").fill("somebody-else@example.com")
    field(page, "New password").fill("battery staple")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your new password is set. Log in with it.")).to_be_visible()
    log_in(page, email, "battery staple")
    expect(field(page, "Write a post")).to_be_focused()


def test_an_email_is_confirmed_at_the_press_of_a_button(page: Any, mailbox: Mailbox) -> None:
    email = new_email()
    button(page, "Sign up").click()
    field(page, "Email").fill(email)
    field(page, "Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("We mailed you a link")).to_be_visible()
    link = mailbox.link(email, "verify")
    page.reload()
    expect(field(page, "Write a post")).to_be_visible()
    page.evaluate("link => (location.hash = link)", link)  # pasted into the same tab
    expect(button(page, "Confirm")).to_be_focused()
    assert page.evaluate("location.href") == page.base
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your email is confirmed.")).to_be_visible()
    expect(field(page, "Write a post")).to_be_visible()
    open_link(page, link)
    button(page, "Confirm").click()
    expect(page.get_by_text("This link was used, or is too old.")).to_be_visible()
    button(page, "Ask for another link").click()
    expect(button(page, "Send the link")).to_be_visible()
    assert len(page.evaluate("Object.keys(sessionStorage)")) == 1  # the refused link ended no session


def test_who_has_yet_to_confirm_is_told_and_can_have_another_link(
    new_page: NewPage, strict_server: Server, mailbox: Mailbox
) -> None:
    email = new_email()
    strict_server.account(email)
    first = mailbox.link(email, "verify")
    page = new_page(strict_server)
    page.base = page.url
    log_in(page, email)
    expect(page.get_by_text("Your email is to be confirmed first")).to_be_visible()
    expect(field(page, "Email")).to_have_value(email)
    button(page, "Send the link").click()
    expect(page.get_by_text("If there is an account with this email")).to_be_visible()
    wait_until(lambda: mailbox.link(email, "verify") != first)
    open_link(page, mailbox.link(email, "verify"))
    button(page, "Confirm").click()
    expect(page.get_by_text("Your email is confirmed.")).to_be_visible()
    log_in(page, email)
    expect(field(page, "Write a post")).to_be_focused()


def test_an_email_is_changed_and_what_was_typed_goes_along(page: Any, server: Server, mailbox: Mailbox) -> None:
    old, taken, new = new_email(), new_email(), f"a$$b{new_email()}"
    server.account(old)
    server.account(taken)
    log_in(page, old)
    field(page, "Write a post").fill("Half a thought")
    button(page, "Account").click()
    form = page.locator("#change-email")
    form.get_by_label("New email").fill(taken)
    form.get_by_label("Password").fill("wrong horse")
    button(form, "Change email").click()
    expect(form.get_by_label("Password")).to_have_accessible_description("The password is wrong.")
    form.get_by_label("Password").fill(PASSWORD)
    button(form, "Change email").click()
    expect(form.get_by_label("New email")).to_have_accessible_description("This email is taken.")
    form.get_by_label("New email").fill(new)
    button(form, "Change email").click()
    expect(page.get_by_text("A link is on its way to the new email.")).to_be_visible()
    open_link(page, mailbox.link(new, "change"))
    button(page, "Confirm").click()
    expect(page.get_by_text("Your email is confirmed.")).to_be_visible()
    expect(page.locator("#email")).to_have_text(new)
    expect(field(page, "Write a post")).to_have_value("Half a thought")
    assert old not in json.dumps(page.evaluate("({ ...sessionStorage, ...localStorage })"))


def through_all_states(page: Any) -> Iterator[str]:
    yield "log in"
    page.locator("#forgot").click()
    yield "forgot"
    page.locator("#credentials .primary").click()
    yield "empty"
    for kind in ("reset", "verify"):
        open_link(page, f"#{kind}=unknown")
        expect(page.locator("#entrance-title")).to_be_visible()
        yield kind
    page.locator("#credentials .primary").click()
    expect(page.locator("#credentials > .error")).to_be_visible()
    yield "an old link"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_a_phone(new_page: NewPage, scheme: str) -> None:
    page = new_page(color_scheme=scheme, viewport={"width": 320, "height": 700}, reduced_motion="reduce")
    page.base = page.url
    for state in through_all_states(page):
        found = axe.Axe().run(page)
        assert found.violations_count == 0, f"{state}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), state


def test_it_speaks_russian(new_page: NewPage) -> None:
    page = new_page(locale="ru-RU")
    page.base = page.url
    for state in through_all_states(page):
        words = page.locator("#entrance").inner_text()
        assert set(re.findall("[A-Za-z]{2,}", words)) <= {"API", "English"}, state
