"""The settings, of which nonsense ends the start."""

import os
import re
from contextlib import suppress
from email.headerregistry import Address
from email.utils import getaddresses
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from email_validator import EmailNotValidError

import models
import schemas

from .letters import ascii_domain


class Server(NamedTuple):
    hostname: str
    port: int
    username: str | None
    password: str | None
    use_tls: bool
    start_tls: bool


class Settings(NamedTuple):
    server: Server
    sender: Address
    page: str


def read_server() -> Server:
    with suppress(ValueError):  # whose text may hold the password
        url = urlsplit(os.environ.get("MAIL_URL", ""))
        tls = url.scheme == "smtps"
        name, password = unquote(url.username or ""), unquote(url.password or "")
        fits = url.scheme in {"smtp", "smtps"} and url.hostname and url.path in {"", "/"} and not url.fragment
        if fits and url.query in ({""} if tls else {"", "starttls=no"}) and bool(name) == bool(password):
            port = url.port or (465 if tls else 587)
            return Server(str(url.hostname), port, name or None, password or None, tls, not tls and not url.query)
    models.stop(
        "MAIL_URL is smtps://USER:PASSWORD@HOST:465 or smtp://USER:PASSWORD@HOST:587, percent-encoded; "
        "with ?starttls=no the latter is not encrypted."
    )


def read_sender() -> Address:
    value = os.environ.get("MAIL_FROM", "")
    with suppress(ValueError, EmailNotValidError):
        ((name, address),) = getaddresses([value])
        if value.isprintable() and address.isascii():
            schemas.normalize_email(address)
            return Address(name, addr_spec=ascii_domain(address))
    models.stop("MAIL_FROM is the address that mails come from: posts@example.com, or Posts <posts@example.com>.")


def read_page() -> str:
    """In ASCII, so that no letter of its host passes for another; and from no request, whose `Host` can be forged."""
    page = os.environ.get("MAIL_LINK", "")
    with suppress(ValueError):
        url = urlsplit(page)
        if re.fullmatch(r"https?://[!-~]+", page) and url.hostname and not url.username and "#" not in page:
            return page
    models.stop("MAIL_LINK is the page that links open: https://posts.example.com/, in ASCII (xn--...), without a '#'.")


def read_ttl() -> int:
    value = os.environ.get("MAIL_RESET_TTL") or "1800"
    if not re.fullmatch("[1-9][0-9]{0,5}", value):
        models.stop("MAIL_RESET_TTL is how long a link for a new password is good, in seconds: from 1 to 999999.")
    return int(value) * 1000


def read_required() -> bool:
    value = os.environ.get("MAIL_REQUIRE_VERIFIED") or "0"
    if value not in {"0", "1"}:
        models.stop("MAIL_REQUIRE_VERIFIED is 1 or 0: whether only who has confirmed the address can log in.")
    return value == "1"
