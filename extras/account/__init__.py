"""Sessions that last and can be ended, a new password, the end of an account, and a copy of all its data.

    EXTRAS=+account uvicorn app:app

With it on, /signup and /login also give a `refresh_token`, and there are these routes. All but the first ask for the
access token.

    POST   /refreshToken   {"refresh_token"}                      200 a new pair, as /login's; 401
    POST   /logout                                                204 ends this session
    POST   /logoutAll                                             204 ends all sessions of the account
    GET    /sessions                                              200 the sessions, newest first, never a token
    DELETE /sessions/{sessionID}                                  204 ends that session; 404
    POST   /changePassword {"current_password", "new_password"}   204 ends the other sessions; 403 wrong
    POST   /deleteAccount  {"password"}                           204 nothing of the account is left; 403 wrong
    GET    /exportData                                            200 all that is held, as a JSON download

    $ json='Content-Type: application/json'
    $ curl -s localhost:8000/login -H "$json" -d '{"email": "ada@example.com", "password": "correct horse"}'
    {"access_token":"4SKv...","token_type":"bearer","expires_in":86400,"refresh_token":"y0Qe..."}
    $ curl -s localhost:8000/refreshToken -H "$json" -d '{"refresh_token": "y0Qe..."}'
    {"access_token":"c1Lp...","token_type":"bearer","expires_in":86400,"refresh_token":"Wm9d..."}
    $ curl -s localhost:8000/sessions -H 'Authorization: Bearer c1Lp...'
    [{"sessionID":1,"createdAt":"2026-11-23T08:00:00.125000Z","lastUsedAt":"2026-11-23T09:30:00.250000Z",
      "expiresAt":"2026-12-23T09:30:00.250000Z","current":true}]

Setting: `ACCOUNT_REFRESH_TTL`, the lifetime of a refresh token in seconds, 30 days (2592000) if unset.

A session is what one signup or login began, with all pairs of tokens that were traded since (the "family" of RFC 9700
section 4.14.2). What ends it holds from the next request on, in every process.

- A refresh token is good for one trade. The access token that came with it is good for 5 more seconds, so that
  requests under way are answered.
- A refresh token that is shown again within 5 seconds is refused with 401 and nothing else happens: of two trades at
  once one wins, and the client goes on with its pair. After that it is taken for stolen, and its session ends.
- So a client whose answer was lost on the way logs in again, and tabs that share a session share its newest pair.
- `lastUsedAt` is exact to a minute: a process writes it down at most once a minute for each access token.
- An account has at most 100 sessions and 100 access tokens: a login more ends those that would expire first. Of each
  session the last 100 refresh tokens are known as used; an older one is merely unknown.
- Access tokens from before this extra was on belong to no session. /logout, /logoutAll and /changePassword end them.
- A large account is deleted in steps, its posts first. If it breaks off with 503, the account is still there: repeat.
"""

import os
import re

from fastapi import FastAPI

import models
from extras.description import changes

from . import deletion, export, password, refresh, sessions
from .last_use import note_use


def setup(app: FastAPI) -> None:
    value = os.environ.get("ACCOUNT_REFRESH_TTL") or "2592000"
    if not re.fullmatch("[1-9][0-9]{0,8}", value):
        models.stop("ACCOUNT_REFRESH_TTL is the lifetime of a refresh token in seconds: a number from 1 to 999999999.")
    ttl = int(value)
    models.hooks.on_token.append(lambda tx, user_id, token_id: refresh.give_refresh_token(tx, user_id, token_id, ttl))
    note_use()
    changes.append(refresh.document)
    for part in (refresh, sessions, password, deletion, export):
        app.include_router(part.router)
