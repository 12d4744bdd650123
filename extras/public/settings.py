"""Where people reach the service, and whether search engines may come."""

import os
import re
from functools import cache

import models

HOST = r"https?://([\w.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?"  # short, as it stands in the cache's keys


@cache
def url() -> str:
    """`PUBLIC_URL` without a slash at its end; "" if it is unset."""
    value = os.environ.get("PUBLIC_URL") or ""
    if value and not re.fullmatch(HOST + r"(/[\w.~-]+)*/?", value, re.ASCII):
        models.stop("PUBLIC_URL is where people reach the service: https://HOST or https://HOST/PATH.")
    return value.rstrip("/")


@cache
def index() -> bool:
    value = os.environ.get("PUBLIC_INDEX") or "0"
    if value not in {"0", "1"}:
        models.stop("PUBLIC_INDEX is 1 to let search engines in, and 0 or unset to keep them out.")
    return value == "1"
