"""What the mails say, as text and as plain HTML."""
# ruff: noqa: RUF001

import re
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from typing import Any

from email_validator import validate_email
from fastapi import Request

# A subject and paragraphs. What stands in braces is filled in; a paragraph that is nothing else is a link.
TEXTS = {
    "en": {
        "reset": (
            "Choose a new password",
            "Somebody, probably you, asked for a new password for your account at {title}.",
            "Choose it here. The link is good once, for {lifetime}:",
            "{link}",
            "If it was not you, do nothing: your password stays as it is.",
        ),
        "verify": (
            "Confirm your address",
            "Welcome to {title}. Confirm that this address is yours. The link is good once, for {lifetime}:",
            "{link}",
            "If you did not sign up, do nothing.",
        ),
        "change": (
            "Confirm your new address",
            "Confirm that this is to be the address of your account at {title}. The link is good once, for {lifetime}:",
            "{link}",
            "If you did not ask for this, do nothing.",
        ),
        "moving": (
            "Your address is about to change",
            "Somebody, probably you, asked to change the address of your account at {title} to {content}. "
            "It changes as soon as the new one is confirmed.",
            "If it was not you, choose a new password at once, which stops the change:",
            "{page}",
        ),
        "changed": (
            "Your password was changed",
            "Your account at {title} has a new password, and all its sessions have ended.",
            "If it was not you, choose another one at once, with “Forgot your password?”:",
            "{page}",
        ),
    },
    "ru": {
        "reset": (
            "Новый пароль",
            "Кто-то, скорее всего вы, попросил сменить пароль вашей учётной записи на сайте {title}.",
            "Задайте его здесь. Ссылка сработает один раз, в течение {lifetime}:",
            "{link}",
            "Если это были не вы, ничего не делайте: пароль останется прежним.",
        ),
        "verify": (
            "Подтвердите адрес",
            "Добро пожаловать на сайт {title}! Подтвердите, что это ваш адрес. "
            "Ссылка сработает один раз, в течение {lifetime}:",
            "{link}",
            "Если вы не регистрировались, ничего не делайте.",
        ),
        "change": (
            "Подтвердите новый адрес",
            "Подтвердите, что это новый адрес вашей учётной записи на сайте {title}. "
            "Ссылка сработает один раз, в течение {lifetime}:",
            "{link}",
            "Если вы об этом не просили, ничего не делайте.",
        ),
        "moving": (
            "Ваш адрес скоро изменится",
            "Кто-то, скорее всего вы, попросил сменить адрес вашей учётной записи на сайте {title}. "
            "Новый адрес: {content}. Он заменит прежний, как только будет подтверждён.",
            "Если это были не вы, сразу же задайте новый пароль, и адрес не изменится:",
            "{page}",
        ),
        "changed": (
            "Пароль изменён",
            "Пароль вашей учётной записи на сайте {title} изменён, все сеансы завершены.",
            "Если это были не вы, сразу же задайте другой с помощью ссылки «Забыли пароль?»:",
            "{page}",
        ),
    },
}
UNITS = {"en": ("days", "hours", "minutes"), "ru": ("дн.", "ч", "мин")}


def language_of(request: Request) -> str:
    """Which of ours the client likes best (RFC 9110 section 12.5.4)."""
    header = ",".join(request.headers.getlist("Accept-Language"))[:1000].lower()
    wanted = re.findall(r"([a-z]++)[\w-]*+(?:\s*;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*(?:,|$)", header)
    ranked = sorted(((float(q or 1), name) for name, q in wanted), key=lambda each: -each[0])
    return next((name for q, name in ranked if q and name in TEXTS), "en")


def ascii_domain(address: str) -> str:
    """The address with its domain as DNS has it, in which no letter passes for another."""
    return f"{address.rpartition('@')[0]}@{validate_email(address, test_environment=True).ascii_domain}"


def in_words(milliseconds: int, language: str) -> str:
    minutes = -(-milliseconds // 60_000)
    for name, size in zip(UNITS[language], (1440, 60, 1), strict=True):
        if minutes >= 2 * size or size == 1:
            return f"{minutes // size} {name.removesuffix('s') if minutes == 1 else name}"
    raise AssertionError


def html_of(paragraph: str) -> str:
    text = escape(paragraph)
    return f'<p><a href="{text}">{text}</a></p>' if re.match(r"https?://\S+$", paragraph) else f"<p>{text}</p>"


def compose(mail: Any, sender: Address, page: str, title: str, lifetime: int) -> EmailMessage:
    """The message of a row of the outbox; at each try the same, so that what arrives twice can be told."""
    content = str(mail.content)
    words = {
        "title": title,
        "page": page,
        "link": f"{page}#{mail.kind}={content}",
        "content": ascii_domain(content) if "@" in content else "",
        "lifetime": in_words(lifetime, mail.language),
    }
    subject, *paragraphs = (text.format(**words) for text in TEXTS[mail.language][mail.kind])
    message = EmailMessage()
    message["From"] = sender
    message["To"] = Address("", *ascii_domain(mail.recipient).rsplit("@"))
    message["Subject"] = f"{title}: {subject}"
    message["Date"] = format_datetime(datetime.fromtimestamp(mail.created_at // 1000, UTC))
    message["Message-ID"] = f"<{mail.id}.{mail.created_at}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # no out-of-office reply, please (RFC 3834)
    message.set_content("\n\n".join(paragraphs) + "\n")
    body = "\n".join(map(html_of, paragraphs))
    message.add_alternative(f'<!doctype html>\n<html lang="{mail.language}">\n{body}\n</html>\n', subtype="html")
    return message
