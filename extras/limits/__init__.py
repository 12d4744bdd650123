"""Stops guessing of passwords and floods, and keeps accounts to a quota; no person should ever notice it.

    EXTRAS=+limits uvicorn app:app                                            # one worker
    EXTRAS=+limits LIMITS_STORE=redis://127.0.0.1:6379 uvicorn app:app --workers 4

| setting | default | counts | why this number |
|---|---|---|---|
| `LIMITS_SIGNUP` | `100/hour` | sign-ups, /forgotPassword and /resendVerification from one address | a class or an office behind one address may join at once |
| `LIMITS_LOGIN` | `60/minute` | logins, /refreshToken, /resetPassword and /verifyEmail from one address | as above; each costs a core a quarter of a second |
| `LIMITS_ATTEMPTS` | `10/15 minutes` | sign-ups and logins that fail, of one account from one address | nobody types a wrong password ten times; the right one starts anew |
| `LIMITS_GUESSES` | `100/hour` | sign-ups and logins that fail, of one account, from all addresses that it was not opened from | a year of guessing is 876,000 tries, where a million passwords are common |
| `LIMITS_REQUESTS` | `1200/minute` | all that one account asks with its tokens | 20 a second: more than any page, less than what hurts others |
| `LIMITS_READERS` | `600/minute` | what one address asks of `public`: pages, feeds, /publicPosts | ten a second; who has a token is counted by account elsewhere |
| `LIMITS_REVOCATIONS` | `60/minute` | of these, apart: /logout, /logoutAll, /changePassword, /changeEmail, /deleteAccount, DELETE /sessions/... | whoever has a stolen token cannot use up its owner's way out |

A login's account counts whether there is one or not, so no limit tells whether there is. An address from which the
account was opened in the last 30 days is bound by its own LIMITS_ATTEMPTS only, never by others' guesses, and tokens
work on. From a new address the owner waits while somebody is guessing, up to an hour longer than the guessing lasts; a
stranger with three addresses can keep that up, which is the price of a bound that holds however many addresses guess.
Who share an address, behind NAT, share its LIMITS_SIGNUP and LIMITS_LOGIN, and one of them who tries another's account
uses up that one's LIMITS_ATTEMPTS from there. /changePassword, /deleteAccount and `mail`'s /changeEmail, which ask for the
password again, count as LIMITS_ATTEMPTS too where it is wrong, so that a stolen token is not a way to guess it. What
can be no login, such as a form that another site's page sends, is not counted. Windows are fixed: each begins with its
first request. An IPv6 address counts as its /64, as one customer has so many. Tokens are counted by
account, not each by itself, as anybody can have any number of them; an account is known once its token is looked up, so
this costs no further query.

A refusal is 429 with `Retry-After`. Answers say how things stand (draft-ietf-httpapi-ratelimit-headers): q requests
in w seconds are allowed, r remain for the next t seconds.

    $ curl -si localhost:8000/getPosts -H "$auth" | grep -i ratelimit
    ratelimit-policy: "requests";q=1200;w=60
    ratelimit: "requests";r=1199;t=60

Quotas of each account, none without a number: `LIMITS_POSTS`, and `LIMITS_BYTES` of the texts in UTF-8. A post too many
is 403, exactly, also if many are sent at once and whichever worker takes them:

    {"detail":"The limit of posts is 100, and you have 100: delete some."}

`LIMITS_STORE` is where it counts: `redis://` or `rediss://` for all workers and machines together, else the memory of
each worker, so that four workers allow up to four times as many. A request asks Redis twice. The store holds hashes of
emails, no email. While it is down each worker counts for itself, and the log says so once a minute. Its keys begin with
`LIMITS_PREFIX`, by default made of the database's host and name: services that share a Redis share no counts.

Addresses: uvicorn takes them from `X-Forwarded-For` only if the proxy is among `--forwarded-allow-ips` (127.0.0.1 by
default). A proxy that is not, or that sends none, makes all clients one address: look at the access log once. On a Unix
socket without such a header nothing is counted by address.
"""  # noqa: E501

import os
import re
from contextlib import suppress

import limits
from fastapi import FastAPI
from limits.aio.storage import Storage

import models

from .accounts import count_account
from .middleware import Limits
from .openapi import document
from .quotas import check_quota
from .store import Memory, Store, open_store

DEFAULTS = {
    "signup": "100/hour",
    "login": "60/minute",
    "attempts": "10/15 minutes",
    "guesses": "100/hour",
    "requests": "1200/minute",
    "readers": "600/minute",
    "revocations": "60/minute",
}


def read_rate(name: str) -> limits.RateLimitItem:
    variable = f"LIMITS_{name.upper()}"
    with suppress(ValueError):
        (limit,) = limits.parse_many(os.environ.get(variable) or DEFAULTS[name])
        if limit.amount:
            return limit
    models.stop(f"{variable} is a number of requests and a time, such as {DEFAULTS[name]}.")


def read_quota(variable: str) -> int | None:
    value = os.environ.get(variable)
    if value and not re.fullmatch("[1-9][0-9]{0,14}", value):
        models.stop(f"{variable} is how many an account may have: a whole number from 1.")
    return int(value) if value else None


def read_store() -> Storage:
    url, database = os.environ.get("LIMITS_STORE"), models.engine.url
    if not url:
        return Memory()
    try:
        if url.startswith(("redis://", "rediss://")):
            return open_store(
                url, os.environ.get("LIMITS_PREFIX") or f"posts:{database.host or ''}/{database.database}"
            )
    except (ValueError, limits.errors.ConfigurationError):  # whose text may hold the password
        pass
    models.stop("LIMITS_STORE is redis://HOST:PORT or rediss://HOST:PORT; without it each worker counts for itself.")


def setup(app: FastAPI) -> None:
    store = Store(read_store(), {name: read_rate(name) for name in DEFAULTS})
    posts, size = read_quota("LIMITS_POSTS"), read_quota("LIMITS_BYTES")
    # Around `fast` and `public` and inside the others, whatever their order: they see what is refused here.
    inner = sum(layer.__module__ in {"extras.fast", "extras.public"} for layer in models.hooks.layers)
    models.hooks.layers.insert(inner, lambda stack: Limits(stack, store))
    models.hooks.on_account.append(count_account(store))
    if posts or size:
        models.hooks.on_post.append(check_quota(posts, size))
    document(quota=bool(posts or size))
