"""Mails arrive at a real SMTP server, which the tests have refuse, hang and go away. The clock is a file."""

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from test_app import PASSWORD, ROOT, Server, new_database, new_email, serve, wait_until

pytest.importorskip("aiosmtplib")
aiosmtpd = pytest.importorskip("aiosmtpd.controller")
smtp = pytest.importorskip("aiosmtpd.smtp")
trustme = pytest.importorskip("trustme")

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
PAGE = "https://posts.example.com/app?x=1"
CLOCK = """
from pathlib import Path
import auth
import models

auth.SCRYPT = "scrypt$4$8$1"  # a thousand times faster than is safe

def setup(app):
    models.now = lambda: int(Path("{}").read_text())
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Mailbox:
    """A mail server. What `answer` returns for a message is its answer to DATA; it may hang or raise, too."""

    def __init__(self, **options: Any) -> None:
        self.received: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.answer: Callable[[Any], Any] = lambda _: "250 OK"
        self.rcpt = "250 OK"
        self.port = options.pop("port", None) or free_port()
        options = {"hostname": "127.0.0.1", "enable_SMTPUTF8": True, **options}
        self.controller = aiosmtpd.Controller(self, port=self.port, **options)
        self.lock = threading.Lock()

    async def handle_RCPT(self, _: Any, __: Any, envelope: Any, address: str, ___: Any) -> str:
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: Any, _: Any, envelope: Any) -> Any:
        answer = await server.loop.run_in_executor(None, self.answer, server)
        if answer.startswith("250"):
            with self.lock:
                message = message_from_bytes(envelope.content, policy=policy.default)
                self.received.append(message)
                self.recipients += envelope.rcpt_tos
        return answer

    def to(self, address: str, count: int = 1) -> list[EmailMessage]:
        """What has come for the address, once there are so many."""
        mine: list[EmailMessage] = []

        def are_there() -> bool:
            mine[:] = [mail for mail in self.received if mail["To"] == address]
            return len(mine) >= count

        wait_until(are_there)
        assert len(mine) == count, [mail["Subject"] for mail in mine]
        return mine


@contextmanager
def running(mailbox: Mailbox) -> Iterator[Mailbox]:
    mailbox.controller.start()
    try:
        yield mailbox
    finally:
        mailbox.controller.stop(no_assert=True)


def mail_server(**options: Any) -> AbstractContextManager[Mailbox]:
    return running(Mailbox(**options))


def settings_for(port: int, **others: str) -> dict[str, Any]:
    url = f"smtp://127.0.0.1:{port}?starttls=no"
    return {"MAIL_URL": url, "MAIL_FROM": "Posts <posts@example.com>", "MAIL_LINK": PAGE, **others}


class Clock:
    """The time of the servers that `settings` are for."""

    def __init__(self, folder: Path) -> None:
        self.file, self.now = folder / "clock", 1_795_000_000_000
        (folder / "odd").mkdir()
        (folder / "odd/clock.py").write_text(CLOCK.format(self.file))
        self.settings = {"PYTHONPATH": str(folder)}
        self.advance(0)

    def advance(self, milliseconds: int) -> None:
        self.now += milliseconds
        new = self.file.with_suffix(".new")
        new.write_text(str(self.now))
        new.replace(self.file)


class Service:
    def __init__(self, server: Server, mailbox: Mailbox, clock: Clock, url: str) -> None:
        self.server, self.mailbox, self.clock, self.url = server, mailbox, clock, url

    def sign_up(self, email: str = "", **headers: str) -> tuple[str, dict[str, str], str]:
        """The address, the headers of its requests, and the token of the link that it was sent."""
        email = email or new_email()
        answer = self.server.post("/signup", json={"email": email, "password": PASSWORD}, headers=headers)
        assert answer.status_code == 201, answer.text
        account = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return email, account, link_of(self.mailbox.to(email)[0], "verify")

    def forget(self, email: str, count: int = 2) -> str:
        """The token of the link; the mail is the second of the account."""
        self.ask("/forgotPassword", email)
        return link_of(self.mailbox.to(email, count)[-1], "reset")

    def ask(self, path: str, email: str) -> None:
        answer = self.server.post(path, json={"email": email})
        assert answer.status_code == 202, answer.text

    def reset(self, token: str, password: str = "battery staple") -> int:
        return self.server.post("/resetPassword", json={"token": token, "new_password": password}).status_code

    def verify(self, token: str) -> int:
        return self.server.post("/verifyEmail", json={"token": token}).status_code

    def log_in(self, email: str, password: str = PASSWORD) -> int:
        return self.server.post("/login", json={"email": email, "password": password}).status_code

    def works(self, account: dict[str, str]) -> bool:
        return self.server.get("/getPosts", headers=account).status_code == 200

    def change_email(self, account: dict[str, str], email: str, password: str = PASSWORD) -> httpx2.Response:
        return self.server.post("/changeEmail", json={"password": password, "new_email": email}, headers=account)

    def pass_time(self, milliseconds: int) -> None:
        """And have the senders look."""
        self.clock.advance(milliseconds)
        self.ask("/forgotPassword", new_email())

    def fetch(self, statement: str, **values: Any) -> Any:
        return execute(self.url, statement, **values)

    def settled(self) -> bool:
        return bool(self.fetch("SELECT COUNT(*) FROM mail_outbox WHERE due_at IS NOT NULL") == [(0,)])


def execute(url: str, statement: str, **values: Any) -> Any:
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        result = connection.execute(sa.text(statement), values)
        return [tuple(row) for row in result] if result.returns_rows else None


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part
    text: str = part.get_content()
    return text.replace("\r\n", "\n")


def html_of(mail: EmailMessage) -> str:
    part = mail.get_body(("html",))
    assert part
    html: str = part.get_content()
    return html


def link_of(mail: EmailMessage, kind: str) -> str:
    """The token of its link, which is the same in its text and in its HTML."""
    found = re.findall(re.escape(PAGE) + f"#{kind}=([\\w-]{{43}})$", text_of(mail), re.MULTILINE)
    assert len(found) == 1, text_of(mail)
    assert html_of(mail).count(f'href="{PAGE}#{kind}={found[0]}"') == 1
    return str(found[0])


@contextmanager
def new_service(folder: Path, extras: str = "mail", **others: str) -> Iterator[Service]:
    clock = Clock(folder)
    with new_database() as url, mail_server() as mailbox:
        environment = settings_for(mailbox.port, **clock.settings, **others)
        with serve(url, EXTRAS=f"{extras},odd.clock", **environment) as server:
            service = Service(server, mailbox, clock, url)
            yield service
            assert "Traceback" not in server.log
            sent = [link[1] for mail in mailbox.received if (link := re.search(r"#\w+=([\w-]{43})", text_of(mail)))]
            assert not [each for each in sent if each in server.log]
            assert "@example" not in server.log


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with new_service(tmp_path_factory.mktemp("clock"), "account,mail") as service:
        yield service


@pytest.fixture
def service(shared: Service) -> Iterator[Service]:
    """With a mail server that takes all."""
    yield shared
    shared.mailbox.rcpt, shared.mailbox.answer = "250 OK", lambda _: "250 OK"
    shared.pass_time(7 * HOUR)
    wait_until(shared.settled)


# A forgotten password


def test_a_forgotten_password_is_replaced_with_a_link_that_is_good_once(service: Service) -> None:
    email, account, _ = service.sign_up()
    token = service.forget(email)
    assert service.log_in(email) == 200  # as long as it is not used
    assert service.reset(token) == 204
    assert service.log_in(email) == 401
    assert service.log_in(email, "battery staple") == 200
    assert not service.works(account)
    assert "password" in service.mailbox.to(email, 3)[-1]["Subject"]
    answer = service.server.post("/resetPassword", json={"token": token, "new_password": "another horse"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert service.log_in(email, "battery staple") == 200


def test_sessions_and_their_refresh_tokens_end_with_a_reset(service: Service) -> None:
    email, _, _ = service.sign_up()
    thief = service.server.post("/login", json={"email": email, "password": PASSWORD}).json()
    assert service.reset(service.forget(email)) == 204
    assert not service.works({"Authorization": f"Bearer {thief['access_token']}"})
    trade = {"refresh_token": thief["refresh_token"]}
    assert service.server.post("/refreshToken", json=trade).status_code == 401


def test_without_account_all_tokens_end_with_a_reset(tmp_path: Path) -> None:
    with new_service(tmp_path) as service:
        email, account, _ = service.sign_up()
        other = service.server.account()
        user = f"(SELECT id FROM users WHERE email = '{email}')"
        many = ", ".join(f"({user}, '{number}', 1, 9000000000000)" for number in range(2500))
        service.fetch(f"INSERT INTO tokens (user_id, digest, created_at, expires_at) VALUES {many}")
        assert service.reset(service.forget(email)) == 204
        assert not service.works(account)
        assert service.fetch(f"SELECT COUNT(*) FROM tokens WHERE user_id = {user}") == [(0,)]
        assert service.works(other)


def test_an_address_without_an_account_is_answered_alike_and_gets_no_mail(service: Service) -> None:
    email, _, _ = service.sign_up()
    for path in ("/forgotPassword", "/resendVerification"):
        answers = [service.server.post(path, json={"email": each}) for each in (email, new_email())]
        told = [(each.status_code, each.content, {**each.headers, "date": ""}) for each in answers]
        assert told[0] == told[1]
        assert all(each.elapsed.total_seconds() >= 0.25 for each in answers)  # more than the work takes
    service.mailbox.to(email, 3)
    wait_until(service.settled)
    assert set(service.mailbox.recipients) <= {each for (each,) in service.fetch("SELECT email FROM users")}


def test_a_newer_link_ends_the_older(service: Service) -> None:
    email, _, _ = service.sign_up()
    older, newer = service.forget(email), service.forget(email, 3)
    assert service.reset(older) == 401
    assert service.reset(newer) == 204


def test_an_older_link_that_was_held_up_does_not_come_after_the_newer(service: Service) -> None:
    email, _, _ = service.sign_up()
    greylist(service.mailbox)
    service.ask("/forgotPassword", email)
    pending = "SELECT COUNT(*) FROM mail_outbox WHERE recipient = :email AND due_at = :then"
    wait_until(lambda: service.fetch(pending, email=email, then=service.clock.now + 15_000) == [(1,)])
    service.mailbox.rcpt = "250 OK"
    newer = service.forget(email)
    service.pass_time(15_000)
    wait_until(service.settled)
    service.mailbox.to(email, 2)
    assert service.reset(newer) == 204


def test_a_link_for_a_new_password_is_good_for_half_an_hour_to_the_millisecond(service: Service) -> None:
    email, _, _ = service.sign_up()
    token = service.forget(email)
    service.clock.advance(30 * MINUTE - 1)
    assert service.server.post("/resetPassword", json={"token": token, "new_password": "x"}).status_code == 422
    service.clock.advance(1)
    assert service.reset(token) == 401
    token = service.forget(email, 3)
    service.clock.advance(30 * MINUTE - 1)
    assert service.reset(token) == 204


def test_of_eight_that_use_a_link_at_once_one_does(service: Service) -> None:
    email, _, _ = service.sign_up()
    token = service.forget(email)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(service.reset, [token] * 8, [f"battery staple {number}" for number in range(8)]))
    assert Counter(answers) == {204: 1, 401: 7}
    assert service.log_in(email, f"battery staple {answers.index(204)}") == 200


def test_a_new_password_or_address_ends_links_that_were_sent_before(service: Service) -> None:
    email, account, _ = service.sign_up()
    token = service.forget(email)
    change = {"current_password": PASSWORD, "new_password": "battery staple"}
    assert service.server.post("/changePassword", json=change, headers=account).status_code == 204
    assert service.reset(token, "another horse") == 401
    assert service.log_in(email, "battery staple") == 200


def test_three_links_an_hour_are_sent_and_further_ones_silently_are_not(service: Service) -> None:
    email, _, _ = service.sign_up()
    tokens = [service.forget(email, 2 + number) for number in range(3)]
    service.ask("/forgotPassword", email)
    assert service.reset(tokens[-1]) == 204  # nothing has ended it
    service.mailbox.to(email, 5)  # that it happened
    service.clock.advance(HOUR)
    service.forget(email, 6)


def test_an_address_gets_no_more_if_its_account_is_opened_again_and_again(service: Service) -> None:
    email = new_email()
    for _ in range(4):
        answer = service.server.post("/signup", json={"email": email, "password": PASSWORD})
        account = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        wait_until(service.settled)
        assert service.server.post("/deleteAccount", json={"password": PASSWORD}, headers=account).status_code == 204
    service.mailbox.to(email, 3)


def test_an_address_gets_no_more_if_many_accounts_want_it_at_once(service: Service) -> None:
    accounts, victim = [service.server.account() for _ in range(16)], new_email()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda account: service.change_email(account, victim).status_code, accounts))
    assert answers == [202] * 16
    wait_until(service.settled)
    service.mailbox.to(victim, 3)


@pytest.mark.parametrize("token", ["x", "x" * 128, "é\0"])
def test_an_unknown_token_is_401(service: Service, token: str) -> None:
    assert service.reset(token) == 401
    assert service.verify(token) == 401


@pytest.mark.parametrize(
    "email", ["ada@example.com\r\nBcc: bob@example.com", "ada@example.com, bob@example.com", "ada"]
)
def test_what_is_no_address_is_422(service: Service, email: str) -> None:
    _, account, _ = service.sign_up()
    for path in ("/forgotPassword", "/resendVerification"):
        assert service.server.post(path, json={"email": email}).status_code == 422
    assert service.change_email(account, email).status_code == 422


def test_a_link_of_one_kind_is_no_other(service: Service) -> None:
    email, account, verification = service.sign_up()
    assert service.reset(verification) == 401
    assert service.verify(service.forget(email)) == 401
    new = new_email()
    assert service.change_email(account, new).status_code == 202
    assert service.reset(link_of(service.mailbox.to(new)[0], "change")) == 401


# Addresses


def test_an_address_is_confirmed_once(service: Service) -> None:
    _, _, token = service.sign_up()
    assert [service.verify(token) for _ in range(2)] == [204, 401]


def test_login_is_403_until_the_address_is_confirmed_if_that_is_required(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    with new_database() as url, mail_server() as mailbox:
        with serve(url, EXTRAS="") as before:
            before.account("bob@posts.test")
        settings = settings_for(mailbox.port, **clock.settings, MAIL_REQUIRE_VERIFIED="1")
        with serve(url, EXTRAS="account,mail,odd.clock", **settings) as server:
            service = Service(server, mailbox, clock, url)
            assert service.log_in("bob@posts.test") == 200  # who was there before is not locked out
            email, account, _ = service.sign_up()
            assert service.works(account)  # with sign-up's own token
            answer = server.post("/login", json={"email": email, "password": PASSWORD})
            assert answer.status_code == 403
            assert "/resendVerification" in answer.json()["detail"]
            assert service.log_in(email, "wrong horse") == 401
            answer = server.post("/signup", json={"email": new_email(), "password": PASSWORD})
            trade = {"refresh_token": answer.json()["refresh_token"]}
            assert server.post("/refreshToken", json=trade).status_code == 403
            service.ask("/resendVerification", email)
            assert service.verify(link_of(mailbox.to(email, 2)[-1], "verify")) == 204
            assert service.log_in(email) == 200
            service.ask("/resendVerification", email)  # there is nothing to confirm
            wait_until(service.settled)
            mailbox.to(email, 2)
            forgetful, _, _ = service.sign_up()
            assert service.reset(service.forget(forgetful)) == 204  # the link confirms the address
            assert service.log_in(forgetful, "battery staple") == 200
            paths = server.get("/openapi.json").json()["paths"]
            assert "403" in paths["/login"]["post"]["responses"]


def test_a_new_address_is_confirmed_and_the_old_one_is_told(service: Service) -> None:
    old, account, _ = service.sign_up()
    new = new_email()
    assert service.change_email(account, new).status_code == 202
    token = link_of(service.mailbox.to(new)[0], "change")
    told = service.mailbox.to(old, 2)[-1]
    assert new in text_of(told)
    assert token not in told.as_string()
    assert service.log_in(old) == 200
    assert service.verify(token) == 204
    assert service.log_in(old) == 401
    assert service.log_in(new) == 200
    assert service.works(account)
    assert service.verify(token) == 401


def test_the_download_of_account_has_the_mails_and_the_address_that_waits(service: Service) -> None:
    old, account, token = service.sign_up()
    new = new_email()

    def held() -> Any:
        return service.server.get("/exportData", headers=account).json()["mail"]

    before = held()
    assert (before["isConfirmed"], before["newEmail"]) == (False, None)
    assert [(mail["recipient"], mail["kind"]) for mail in before["mails"]] == [(old, "verify")]
    assert before["mails"][0]["createdAt"].endswith("Z")
    assert service.verify(token) == 204
    assert service.change_email(account, new).status_code == 202
    after = held()
    assert (after["isConfirmed"], after["newEmail"]) == (True, new)
    assert {mail["recipient"] for mail in after["mails"]} == {old, new}


def test_a_wrong_password_changes_no_address(service: Service) -> None:
    _, account, _ = service.sign_up()
    assert service.change_email(account, new_email(), "wrong horse").status_code == 403
    assert service.change_email({}, new_email()).status_code == 401


def test_an_address_that_is_taken_is_409_also_if_it_was_taken_meanwhile(service: Service) -> None:
    email, account, _ = service.sign_up()
    taken, _, _ = service.sign_up()
    assert service.change_email(account, taken).status_code == 409
    new = new_email()
    assert service.change_email(account, new).status_code == 202
    token = link_of(service.mailbox.to(new)[0], "change")
    assert service.server.post("/signup", json={"email": new, "password": "another horse"}).status_code == 201
    assert service.verify(token) == 409
    assert service.log_in(email) == 200
    service.mailbox.to(new, 2)


@pytest.mark.parametrize("how", ["reset", "changePassword"])
def test_the_owner_stops_a_thiefs_change_of_the_address_with_a_new_password(service: Service, how: str) -> None:
    email, account, _ = service.sign_up()
    thiefs = new_email()
    assert service.change_email(account, thiefs).status_code == 202
    token = link_of(service.mailbox.to(thiefs)[0], "change")
    if how == "reset":
        assert service.reset(service.forget(email, 3)) == 204
    else:
        change = {"current_password": PASSWORD, "new_password": "battery staple"}
        assert service.server.post("/changePassword", json=change, headers=account).status_code == 204
    assert service.verify(token) == 401
    assert service.log_in(email, "battery staple") == 200


def test_a_confirmed_address_ends_links_that_went_to_the_old_one(service: Service) -> None:
    old, account, verification = service.sign_up()
    reset = service.forget(old)
    new = new_email()
    service.change_email(account, new)
    assert service.verify(link_of(service.mailbox.to(new)[0], "change")) == 204
    assert service.reset(reset) == 401
    assert service.verify(verification) == 401


# What the mails look like


@pytest.mark.parametrize(
    ("header", "word"),
    [
        ("ru-RU,ru;q=0.9,en;q=0.8", "адрес"),
        ("de, en;q=0.5, ru;q=0.7", "адрес"),
        ("ru;q=0, *", "address"),
        ("", "address"),
    ],
)
def test_a_mail_is_in_the_language_that_the_client_likes_best(service: Service, header: str, word: str) -> None:
    email, _, _ = service.sign_up(**{"Accept-Language": header})
    (mail,) = service.mailbox.to(email)
    for each in (mail["Subject"], text_of(mail), html_of(mail)):
        assert word in each
    assert ('lang="ru"' in html_of(mail)) == (word == "адрес")


def test_a_language_that_is_none_holds_nobody_up(service: Service) -> None:
    header = {"Accept-Language": "a" * 998 + "!"}  # it took 15 seconds when each way to split it was tried
    answer = service.server.post("/forgotPassword", json={"email": new_email()}, headers=header)
    assert answer.status_code == 202
    assert answer.elapsed.total_seconds() < 4


def test_a_mail_has_the_headers_that_it_should(service: Service) -> None:
    email, _, _ = service.sign_up()
    (mail,) = service.mailbox.to(email)
    assert mail["From"] == "Posts <posts@example.com>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert re.fullmatch(r"<[\d.]+@example\.com>", mail["Message-ID"])
    assert mail["Date"].datetime.timestamp() == service.clock.now // 1000


@pytest.mark.parametrize(
    ("email", "recipient"),
    [("josé@example.com", "josé@example.com"), ("ada@bücher.example", "ada@xn--bcher-kva.example")],
)
def test_an_address_that_is_not_ascii_gets_its_mail(service: Service, email: str, recipient: str) -> None:
    assert service.server.post("/signup", json={"email": email, "password": PASSWORD}).status_code == 201
    wait_until(service.settled)
    assert service.mailbox.recipients[-1] == recipient


def test_encoded_words_are_no_further_spellings_of_an_address_for_more_mails(service: Service) -> None:
    for email in ("=?utf-8?q?bob?=@example.com", "=?us-ascii?b?ym9i?=@example.com"):
        assert service.server.post("/signup", json={"email": email, "password": PASSWORD}).status_code == 201
    service.sign_up()
    wait_until(service.settled)
    assert "bob@example.com" not in service.mailbox.recipients


# The outbox


def test_the_outbox_holds_no_secret_after_a_mail_was_sent_and_the_database_no_token(service: Service) -> None:
    service.mailbox.answer = lambda _: "451 later"
    email = new_email()
    assert service.server.post("/signup", json={"email": email, "password": PASSWORD}).status_code == 201
    mine = "SELECT content FROM mail_outbox WHERE recipient = :email"
    failed = "SELECT COUNT(*) FROM mail_outbox WHERE recipient = :email AND due_at = :then"
    wait_until(lambda: service.fetch(failed, email=email, then=service.clock.now + 15_000) == [(1,)])
    ((token,),) = service.fetch(mine, email=email)
    assert re.fullmatch(r"[\w-]{43}", token)
    assert token not in str(service.fetch("SELECT * FROM mail_links"))
    service.mailbox.answer = lambda _: "250 OK"
    service.pass_time(7 * HOUR)
    assert link_of(service.mailbox.to(email)[0], "verify") == token
    wait_until(service.settled)
    assert service.fetch(mine, email=email) == [(None,)]


def test_a_sign_up_that_is_refused_sends_nothing(service: Service) -> None:
    email, _, _ = service.sign_up()
    assert service.server.post("/signup", json={"email": email, "password": PASSWORD}).status_code == 409
    assert service.fetch("SELECT COUNT(*) FROM mail_outbox WHERE recipient = :email", email=email) == [(1,)]


def refuse(mailbox: Mailbox) -> None:
    mailbox.rcpt = "550 no such user"


def greylist(mailbox: Mailbox) -> None:
    mailbox.rcpt = "451 4.7.1 come back later"


def break_off(mailbox: Mailbox) -> None:
    def abort(server: Any) -> str:
        server.loop.call_soon_threadsafe(server.transport.abort)
        return "421 gone"

    mailbox.answer = abort


def refuse_data(mailbox: Mailbox) -> None:
    mailbox.answer = lambda _: "554 looks like spam"


@pytest.mark.parametrize("fail", [refuse, greylist, break_off, refuse_data])
def test_what_the_mail_server_does_not_take_is_sent_later_once(
    service: Service, fail: Callable[[Mailbox], None]
) -> None:
    fail(service.mailbox)
    emails = [new_email() for _ in range(2)]
    failed = "SELECT COUNT(*) FROM mail_outbox WHERE recipient IN (:a, :b) AND due_at = :then"
    for email in emails:
        assert service.server.post("/signup", json={"email": email, "password": PASSWORD}).status_code == 201
    then = service.clock.now + 15_000
    wait_until(lambda: service.fetch(failed, a=emails[0], b=emails[1], then=then) == [(2,)])
    service.mailbox.rcpt, service.mailbox.answer = "250 OK", lambda _: "250 OK"
    service.pass_time(15_000)
    for email in emails:
        service.mailbox.to(email)


def test_pauses_grow_and_after_three_days_it_is_given_up_with_a_log_line(tmp_path: Path) -> None:
    with new_service(tmp_path) as service:
        greylist(service.mailbox)
        assert service.server.post("/signup", json={"email": new_email(), "password": PASSWORD}).status_code == 201
        start, pauses = service.clock.now, list[int]()
        for tries in range(1, 100):
            told = partial(re.findall, "mail failed|mail given up")
            wait_until(lambda: len(told(service.server.log)) == tries)  # noqa: B023
            ((due,),) = service.fetch("SELECT due_at FROM mail_outbox")
            if due is None:
                break
            pauses.append(due - service.clock.now)
            service.pass_time(pauses[-1])
        assert pauses == sorted(pauses)
        assert pauses[:3] == [15_000, 30_000, 60_000]
        assert pauses[-1] == 6 * HOUR
        assert 2.5 * DAY < service.clock.now - start < 3 * DAY
        assert service.server.log.count("mail given up") == 1
        assert service.fetch("SELECT content FROM mail_outbox") == [(None,)]


def test_a_link_that_is_good_no_more_is_not_sent(service: Service) -> None:
    email, _, _ = service.sign_up()
    greylist(service.mailbox)
    service.ask("/forgotPassword", email)
    wait_until(lambda: "kind=reset" in service.server.log.rpartition("mail failed")[2])
    service.mailbox.rcpt = "250 OK"
    service.pass_time(30 * MINUTE)
    wait_until(service.settled)
    service.mailbox.to(email)


def test_no_request_waits_for_a_slow_mail_server_nor_does_another_mail(service: Service) -> None:
    go_on, hanging = threading.Event(), list[Any]()

    def hang(server: Any) -> str:
        first = not hanging
        hanging.append(server)
        if first:
            assert go_on.wait(60)
        return "250 OK"

    service.mailbox.answer = hang
    slow = new_email()
    assert service.server.post("/signup", json={"email": slow, "password": PASSWORD}).status_code == 201
    wait_until(lambda: len(hanging) == 1)
    service.sign_up()
    go_on.set()
    service.mailbox.to(slow)


def test_mails_wait_for_a_mail_server_that_is_away(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    with mail_server() as gone:
        port = gone.port
    with new_database() as url, serve(url, EXTRAS="mail,odd.clock", **settings_for(port, **clock.settings)) as server:
        emails = [new_email() for _ in range(3)]
        for email in emails:
            assert server.post("/signup", json={"email": email, "password": PASSWORD}).status_code == 201
        wait_until(lambda: server.log.count("mail failed") == len(emails))
        with mail_server(port=port) as mailbox:
            Service(server, mailbox, clock, url).pass_time(5 * MINUTE)
            for email in emails:
                mailbox.to(email)
        assert "Traceback" not in server.log


def add_mails(url: str, count: int, now: int) -> list[str]:
    """Rows of the outbox for so many addresses, of one account."""
    recipients = [f"person{number}@example.com" for number in range(count)]
    ((user_id,),) = execute(url, "SELECT MAX(id) FROM users")
    columns = "user_id, recipient, kind, language, tries, created_at, due_at, until"
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        connection.execute(
            sa.text(f"INSERT INTO mail_outbox ({columns}) VALUES ({user_id}, :to, 'changed', 'en', 0, :t, :t, :u)"),
            [{"to": each, "t": now, "u": now + 3 * DAY} for each in recipients],
        )
    return recipients


def test_four_processes_send_each_mail_once_and_after_a_kill_at_most_those_in_flight_twice(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    with new_database() as url, mail_server() as mailbox, ExitStack() as stack:
        settings = settings_for(mailbox.port, **clock.settings)
        servers = [stack.enter_context(serve(url, EXTRAS="mail,odd.clock", **settings)) for _ in range(4)]
        servers[0].account("ada@posts.test")
        mailbox.to("ada@posts.test")
        numbers, gate = iter(range(5)), threading.Barrier(5)  # more than one process has connections

        def meet(_: Any) -> str:
            if next(numbers, None) is not None:
                gate.wait(60)
            return "250 OK"

        mailbox.answer = meet
        recipients = add_mails(url, 80, clock.now)
        wait_until(lambda: len(mailbox.received) > 80)
        wait_until(Service(servers[0], mailbox, clock, url).settled)
        assert sorted(mailbox.recipients) == sorted([*recipients, "ada@posts.test"])
        mailbox.received, mailbox.recipients = [], []
        recipients = add_mails(url, 80, clock.now)
        wait_until(lambda: len(mailbox.received) > 20)
        servers[0].process.kill()
        servers[0].process.wait()
        pending = "SELECT COUNT(*) FROM mail_outbox WHERE due_at IS NOT NULL"
        wait_until(lambda: execute(url, pending)[0][0] <= 4)  # what the others sent is settled
        service = Service(servers[1], mailbox, clock, url)
        service.pass_time(MINUTE)  # the lease
        wait_until(service.settled)
        counts = Counter(mailbox.recipients)
        assert counts.keys() == {*recipients}
        assert counts.total() - len(counts) <= 4  # a worker has so many connections
        twice = Counter(mail["Message-ID"] for mail in mailbox.received)
        assert len(twice) == len(counts)  # by which a mailbox can tell
        assert not any("Traceback" in server.log for server in servers)


def test_a_mail_whose_sender_was_killed_is_taken_over_when_the_lease_ends(tmp_path: Path) -> None:
    clock, hanging, go_on = Clock(tmp_path), threading.Event(), threading.Event()
    with new_database() as url, mail_server() as mailbox:
        settings = settings_for(mailbox.port, **clock.settings)

        def hang(_: Any) -> str:
            hanging.set()
            assert go_on.wait(60)
            return "451 too late"

        mailbox.answer = hang
        with serve(url, EXTRAS="mail,odd.clock", **settings) as killed:
            email = new_email()
            assert killed.post("/signup", json={"email": email, "password": PASSWORD}).status_code == 201
            assert hanging.wait(30)
            killed.process.kill()
        go_on.set()
        mailbox.answer = lambda _: "250 OK"
        with serve(url, EXTRAS="mail,odd.clock", **settings) as server:
            service = Service(server, mailbox, clock, url)
            service.pass_time(MINUTE - 1)
            service.sign_up()
            assert email not in mailbox.recipients
            service.pass_time(1)
            mailbox.to(email)


def test_rows_are_cleared_after_seven_days_and_links_when_they_end(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    with new_database() as url, mail_server() as mailbox:
        settings = settings_for(mailbox.port, **clock.settings)
        with serve(url, EXTRAS="mail,odd.clock", **settings) as server:
            service = Service(server, mailbox, clock, url)
            service.sign_up()
            wait_until(service.settled)
        counts = [f"SELECT COUNT(*) FROM mail_{table}" for table in ("outbox", "links", "asked")]
        for milliseconds, left in ((3 * DAY - 1, [1, 1, 0]), (1, [1, 0, 0]), (4 * DAY, [0, 0, 0])):
            clock.advance(milliseconds)
            with serve(url, EXTRAS="mail,odd.clock", **settings):
                wait_until(lambda: [execute(url, count)[0][0] for count in counts] == left)  # noqa: B023


def test_a_deleted_account_leaves_nothing_but_the_digests_of_who_asked(tmp_path: Path) -> None:
    with new_service(tmp_path, "mail,account") as service:
        email, account, _ = service.sign_up()
        service.forget(email)
        greylist(service.mailbox)
        service.change_email(account, new_email())
        answer = service.server.post("/deleteAccount", json={"password": PASSWORD}, headers=account)
        assert answer.status_code == 204
        tables = set(sa.inspect(sa.create_engine(service.url, poolclass=sa.NullPool)).get_table_names())
        for table in tables - {"sqlite_sequence", "mail_asked"}:
            assert service.fetch(f"SELECT COUNT(*) FROM {table}") == [(0,)], table
        assert email not in str(service.fetch("SELECT * FROM mail_asked"))


# The way to the mail server


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """A server's context, and the file of who has signed it."""
    authority, file = trustme.CA(), tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(file)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context, str(file)


def check_login(_: Any, __: Any, ___: Any, mechanism: str, data: Any) -> Any:
    return smtp.AuthResult(success=(data.login, data.password) == (b"us:er", "p@ss wörd".encode()))


LOGIN = {"authenticator": check_login, "auth_required": True}


def tls_options(scheme: str, context: ssl.SSLContext) -> dict[str, Any]:
    if scheme == "smtps":
        return {"ssl_context": context, "auth_require_tls": False, "hostname": "localhost", **LOGIN}
    return {"tls_context": context, "require_starttls": True, "hostname": "localhost", **LOGIN}


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
def test_it_logs_in_by_tls(tls: tuple[ssl.SSLContext, str], scheme: str) -> None:
    with new_database() as url, mail_server(**tls_options(scheme, tls[0])) as mailbox:
        mail_url = f"{scheme}://us%3Aer:p%40ss%20w%C3%B6rd@localhost:{mailbox.port}"
        settings = settings_for(0, MAIL_URL=mail_url, SSL_CERT_FILE=tls[1])
        with serve(url, EXTRAS="mail", **settings) as server:
            server.account("ada@posts.test")
            mailbox.to("ada@posts.test")


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_a_certificate_that_nobody_vouches_for_gets_no_password_and_no_mail(tls: tuple[ssl.SSLContext, str]) -> None:
    with new_database() as url, mail_server(**tls_options("smtps", tls[0])) as mailbox:
        settings = settings_for(0, MAIL_URL=f"smtps://user:password@localhost:{mailbox.port}")
        with serve(url, EXTRAS="mail", **settings) as server:
            server.account("ada@posts.test")
            wait_until(lambda: "mail failed" in server.log)
            assert not mailbox.received


def test_without_starttls_it_sends_nothing() -> None:
    mailbox = Mailbox()
    settings = settings_for(0, MAIL_URL=f"smtp://127.0.0.1:{mailbox.port}")
    with new_database() as url, running(mailbox), serve(url, EXTRAS="mail", **settings) as server:
        server.account("ada@posts.test")
        wait_until(lambda: "mail failed" in server.log)
        assert not mailbox.received


NONSENSE = [
    ("MAIL_URL", ""),
    ("MAIL_URL", "http://user:hunter2@mail.example.com"),
    ("MAIL_URL", "smtp://user:hunter2@mail.example.com:99999"),
    ("MAIL_URL", "smtp://user:hunter2@:587"),
    ("MAIL_URL", "smtp://user@mail.example.com"),
    ("MAIL_URL", "smtp://user:hunter2@mail.example.com?starttls=maybe"),
    ("MAIL_URL", "smtp://user:hunter2@mail.example.com/inbox"),
    ("MAIL_URL", "smtp://user:hunter2#@mail.example.com"),
    ("MAIL_URL", "smtps://user:hunter2@mail.example.com?starttls=no"),
    ("MAIL_FROM", ""),
    ("MAIL_FROM", "posts"),
    ("MAIL_FROM", "pösts@example.com"),
    ("MAIL_FROM", "posts@example.com, bob@example.com"),
    ("MAIL_FROM", "Posts <posts@example.com>\nBcc: bob@example.com"),
    ("MAIL_LINK", ""),
    ("MAIL_LINK", "posts.example.com"),
    ("MAIL_LINK", "javascript:alert(1)"),
    ("MAIL_LINK", "https://pоsts.example.com/"),  # noqa: RUF001
    ("MAIL_LINK", "https://posts.example.com/#top"),
    ("MAIL_LINK", "https://posts.example.com@evil.example/"),
    ("MAIL_RESET_TTL", "30 minutes"),
    ("MAIL_RESET_TTL", "0"),
    ("MAIL_REQUIRE_VERIFIED", "yes"),
]
# Sets the extra up in a process for each, as to import all takes longer.
TRY = """
import json, os, sys
import app
from extras.mail import setup

for name, value in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        os.environ[name] = value
        setup(app.app)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_settings_that_make_no_sense_end_the_start_with_one_line() -> None:
    environment = {**os.environ, **settings_for(25), "EXTRAS": "", "DATABASE_URL": "sqlite://"}
    command = [sys.executable, "-c", TRY, json.dumps(NONSENSE)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["3"] * len(NONSENSE)
    assert [line.split(" is ")[0] for line in done.stderr.splitlines()] == [name for name, _ in NONSENSE]
    assert "hunter2" not in done.stderr


def test_without_settings_it_does_not_start() -> None:
    with serve("sqlite://", wait=False, EXTRAS="mail", **settings_for(25, MAIL_URL="")) as server:
        assert server.process.wait(30) == 3
        assert server.log.startswith("MAIL_URL is smtps://")


def test_with_limits_links_are_asked_for_only_so_often_from_one_address(tmp_path: Path) -> None:
    with new_service(tmp_path, "limits,mail", LIMITS_SIGNUP="2/hour", LIMITS_LOGIN="2/hour") as service:
        for path, times in (("/forgotPassword", 2), ("/resendVerification", 0)):
            answers = [service.server.post(path, json={"email": new_email()}) for _ in range(3)]
            assert [answer.status_code for answer in answers] == [202] * times + [429] * (3 - times)
        assert [service.verify("x") for _ in range(3)] == [401, 401, 429]
        assert service.reset("x") == 429


def test_with_limits_a_stolen_token_is_no_way_to_guess_the_password(tmp_path: Path) -> None:
    with new_service(tmp_path, "limits,mail", LIMITS_ATTEMPTS="2/hour") as service:
        _, account, _ = service.sign_up()
        guesses = [service.change_email(account, new_email(), "wrong horse").status_code for _ in range(3)]
        assert guesses == [403, 403, 429]


def test_openapi_shows_the_routes(service: Service) -> None:
    paths = service.server.get("/openapi.json").json()["paths"]
    open_to_all = {"/forgotPassword", "/resetPassword", "/verifyEmail", "/resendVerification"}
    assert open_to_all | {"/changeEmail"} <= paths.keys()
    assert {path for path in open_to_all if paths[path]["post"].get("security") == []} == open_to_all
    assert "403" not in paths["/login"]["post"]["responses"]
    assert json.dumps(paths["/changeEmail"]).count("HTTPBearer") == 1
