"""Forgotten passwords, confirmed addresses, changed addresses: links by mail, from an outbox in the database.

    EXTRAS=+mail MAIL_URL=smtps://posts:PASSWORD@mail.example.com MAIL_FROM='Posts <posts@example.com>' \\
        MAIL_LINK=https://posts.example.com/ uvicorn app:app

    $ json='Content-Type: application/json'
    $ curl -s localhost:8000/forgotPassword -H "$json" -d '{"email": "ada@example.com"}'
    {"detail":"If there is an account with this address, a link is on its way to it."}
    $ curl -s localhost:8000/resetPassword -H "$json" -w '%{http_code}\\n' \\
        -d '{"token": "H543j8QN7vSi_eb5MRiroZ4zFHrzFu01KzRPyBlCFBI", "new_password": "battery staple"}'
    204

and this came meanwhile:

    From: Posts <posts@example.com>
    To: ada@example.com
    Subject: Posts: Choose a new password

    Somebody, probably you, asked for a new password for your account at Posts.

    Choose it here. The link is good once, for 30 minutes:

    https://posts.example.com/#reset=H543j8QN7vSi_eb5MRiroZ4zFHrzFu01KzRPyBlCFBI

    If it was not you, do nothing: your password stays as it is.

| route | takes | answers |
|---|---|---|
| `POST /forgotPassword` | `{"email"}` | 202, whether there is such an account or not |
| `POST /resetPassword` | `{"token", "new_password"}` | 204: all sessions and tokens end, a mail says so; 401 |
| `POST /signup` | as ever | as ever, and a link to confirm the address is mailed |
| `POST /resendVerification` | `{"email"}` | 202, whether there is such an account or not |
| `POST /verifyEmail` | `{"token"}` | 204: the address is confirmed, a new one replaces the old; 401, 409 taken |
| `POST /changeEmail` | `{"password", "new_email"}` | 202: the new address gets a link, the old one is told; 403, 409 taken |

All but the last ask for no access token. 401 means that the link's token is unknown, was used, or is too old.

**The page's part.** Links are `MAIL_LINK` with `#reset=TOKEN`, `#verify=TOKEN` or `#change=TOKEN`. What follows `#` is
sent to no server and in no `Referer`. A page there reads it, takes it out of the address, and sends the token:
`reset`'s with a new password to /resetPassword, the others' to /verifyEmail, best at the press of a button, as mail
scanners open links. `MAIL_LINK` is the only address that a mail has; no request's `Host` gets in.

| setting | |
|---|---|
| `MAIL_URL` | `smtps://USER:PASSWORD@HOST:465` is TLS from the start, `smtp://USER:PASSWORD@HOST:587` by STARTTLS, without which nothing is sent unless it ends in `?starttls=no`. Ports may be left out, and the log-in too; special characters are percent-encoded. The certificate must hold; `SSL_CERT_FILE` names an authority of your own |
| `MAIL_FROM` | the sender: `posts@example.com` or `Posts <posts@example.com>` |
| `MAIL_LINK` | the page's address, `https://...`, in ASCII (`xn--...`), so that no letter passes for another |
| `MAIL_RESET_TTL` | how long a link for a new password is good, in seconds: 1800 if unset |
| `MAIL_REQUIRE_VERIFIED` | `1`: /login and /refreshToken are 403 until the address is confirmed |

**Links.** A token is 256 random bits, of which the database keeps the SHA-256. It is good once; a newer link ends the
older, also one whose mail is held up, a new password ends all but those that confirm an address, a new address ends
all. So an owner who was told of a change of the address stops it with a new password. A reset confirms the address,
too. Links that confirm are good for three days. Of each kind an account and an address get three an hour; further
requests are answered alike and send nothing, nor does an address that is made like an encoded word
(`=?utf-8?q?ada?=@...`). With `limits`, /forgotPassword and /resendVerification count as sign-ups of the client's
address, what takes a token as logins, and wrong passwords at /changeEmail as attempts.

**Who has an account** is not told: for /forgotPassword and /resendVerification the words are the same, and the answer
takes a quarter of a second, which is more than the work, as long as the database is quick. Sign-up and /changeEmail do
tell, as ever: 409.

**Confirmed addresses.** Accounts from before this extra was on count as confirmed, so that nobody is locked out. With
`MAIL_REQUIRE_VERIFIED` sign-up's own access token is good, as always, for its `TOKEN_TTL`: one can begin at once, or
mend a mistyped address with /changeEmail.

**The outbox.** A mail is written in the transaction of what caused it: none is lost by a crash, none is sent for what
was rolled back, and no request waits for the mail server. Each worker sends from it over at most 4 connections: at once
what it wrote itself, within 5 seconds what others did. A mail is leased for a minute while it is sent, which is renewed
while the mail server takes its time; after a worker's death another sends it. So each is sent once while all goes well,
and at least once ever: what was in flight at a `kill -9`, one mail a connection, may come twice, with the same
`Message-ID`. What the mail server refuses, whatever the reason, is tried again after 15, 30, 60 seconds and so on, at
most 6 hours, until three days or the link's time are over; then it is given up, with a line in the log:

    mail given up mail=7 kind=verify account=3 try=22: SMTPRecipientsRefused 451

No log has an address, a token or the server's words. What the text needs of secrets is in the outbox until the mail was
sent or given up, and then no more; rows are cleared after 7 days. Until then whom a mail went to, and of which kind it
was, is part of what `account` lets people download. For `mail_asked`, which counts the three an hour, an address is a
SHA-256, for an hour. An address with letters beyond ASCII before its `@` needs a server with SMTPUTF8.

Mails are in English or Russian, whichever the `Accept-Language` of the request prefers, as text and as plain HTML.
"""  # noqa: E501

from fastapi import APIRouter, FastAPI

import app as core
import models
from extras.description import changes
from extras.door import names_of_extras

from . import addresses, clearing, export, links, passwords
from .sending import make_lifespan
from .settings import Settings, read_page, read_required, read_sender, read_server, read_ttl


def setup(app: FastAPI) -> None:
    settings = Settings(read_server(), read_sender(), read_page())
    links.LIFETIME["reset"] = read_ttl()
    if read_required():
        models.hooks.on_token.append(addresses.refuse_unconfirmed)
        changes.append(addresses.document_refusal)
    app.router.routes[:] = [route for route in app.routes if getattr(route, "path", "") != "/signup"]
    app.include_router(passwords.router)
    app.include_router(addresses.router)
    for lifespan in (make_lifespan(settings), clearing.lifespan):
        app.include_router(APIRouter(lifespan=lifespan))
    if "account" in names_of_extras(core.DEFAULT_EXTRAS):
        from extras.account import export as whole

        whole.others["mail"] = export.read_held
