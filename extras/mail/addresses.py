"""Whose an address is: confirmed after sign-up, and before it replaces another."""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import Field
from sqlalchemy import Connection, delete, exc, insert, select, update

import app as core
import auth
import models
import schemas
from auth import CurrentUser, log
from extras.description import Node, refuse
from models import User, read, write

from .letters import language_of
from .links import UNKNOWN, end_links, find_link
from .outbox import put, put_link
from .passwords import Accepted, Address, LinkToken, put_unseen
from .sending import wake
from .tables import Unverified

TAKEN = "This email is taken."
UNCONFIRMED = "Confirm your address first, with the link that was mailed to it. /resendVerification sends another."


class Confirmation(schemas.Input):
    token: Annotated[LinkToken, Field(examples=["what follows `#verify=` or `#change=` in the link"])]


class Move(schemas.Input):
    password: schemas.Password
    new_email: Annotated[schemas.Email, Field(examples=["ada@example.org"])]


router = APIRouter(route_class=core.Route, tags=["Account"])


def open_account(connection: Connection, email: str, password_hash: str, language: str) -> tuple[int, dict[str, Any]]:
    user_id, token = auth.open_account(connection, email, password_hash)
    connection.execute(insert(Unverified).values(user_id=user_id))
    put_verification(connection, email, language)
    return user_id, token


def put_verification(connection: Connection, email: str, language: str) -> None:
    query = select(User.id, User.email, User.password_hash).join(Unverified, Unverified.user_id == User.id)
    user = connection.execute(query.where(User.email == email).with_for_update()).one_or_none()
    put_link(connection, user, "verify", email, language)


@router.post("/signup", status_code=201, summary="Sign up", responses={409: {}})
async def signup(credentials: schemas.Credentials, response: Response, request: Request) -> schemas.AccessToken:
    """The email counts in lower case, and gets a mail. Answers with an access token, as /login does."""
    email, password_hash = credentials.email, await models.in_hasher(auth.hash_password, credentials.password)
    language = language_of(request)
    try:
        user_id, token = await write(lambda tx: open_account(tx, email, password_hash, language), email)
    except exc.IntegrityError:
        raise HTTPException(409, "This email is taken: log in, or sign up with another.") from None
    wake()
    log.info("signup account=%d", user_id)
    response.headers["Cache-Control"] = "no-store"
    return schemas.AccessToken(**token)


@router.post("/resendVerification", status_code=202, summary="Ask for another link to confirm your address")
async def resend_verification(body: Address, request: Request) -> Accepted:
    """The answer is the same if there is no such account, or its address is confirmed."""
    language = language_of(request)
    await put_unseen(lambda tx: put_verification(tx, body.email, language), body.email)
    return Accepted(detail="If there is an account whose address this is to be, a link is on its way to it.")


def confirm(connection: Connection, token: str) -> int | None:
    """The account whose address is now confirmed, the new one if it was to change; IntegrityError if that is taken."""
    user = find_link(connection, token, "verify", "change")
    if not user:
        return None
    if user.kind == "change":
        connection.execute(update(User).where(User.id == user.id).values(email=user.new_email))
        end_links(connection, user.id, "reset", "change")  # which went to the old one
    end_links(connection, user.id, "verify")
    connection.execute(delete(Unverified).where(Unverified.user_id == user.id))
    user_id: int = user.id
    return user_id


@router.post(
    "/verifyEmail", status_code=204, summary="Confirm an address, with a link's token", responses={401: {}, 409: {}}
)
async def verify_email(body: Confirmation) -> None:
    """That of the account, or the one that /changeEmail asked for, which replaces it now."""
    try:
        user_id = await write(lambda tx: confirm(tx, body.token), auth.digest(body.token))
    except exc.IntegrityError:
        raise HTTPException(409, TAKEN) from None
    if not user_id:
        raise auth.unauthorized(UNKNOWN)
    log.info("verifyEmail account=%d", user_id)


def put_change(connection: Connection, user_id: int, old_hash: str, new_email: str, language: str) -> None:
    """A link to the new address, and word to the old one. 403 if the password has changed meanwhile, 409 if taken."""
    query = select(User.id, User.email, User.password_hash).where(User.id == user_id).with_for_update()
    user = connection.execute(query).one_or_none()
    if not user or user.password_hash != old_hash:
        raise HTTPException(403, "The password has been changed meanwhile.")
    if connection.scalar(select(User.id).where(User.email == new_email)):
        raise HTTPException(409, TAKEN)
    if put_link(connection, user, "change", new_email, language):
        put(connection, user.id, user.email, "moving", language, new_email)


@router.post(
    "/changeEmail",
    status_code=202,
    summary="Change your address",
    responses={403: {"description": "The password is wrong"}, 409: {}},
)
async def change_email(body: Move, user: CurrentUser, request: Request) -> Accepted:
    """The new address gets a link, and replaces the old one once that is opened; the old one is told."""
    rows = await read(models.fetch, select(User.password_hash).where(User.id == user.id))
    old_hash, language = rows[0][0] if rows else "", language_of(request)
    if not await models.in_hasher(auth.check_password, body.password, old_hash):
        log.warning("wrong password account=%d", user.id)
        raise HTTPException(403, "The password is wrong.")
    await write(lambda tx: put_change(tx, user.id, old_hash, body.new_email, language), user.id)
    wake()
    log.info("changeEmail account=%d", user.id)
    return Accepted(detail="A link is on its way to the new address: open it, and the address is changed.")


def refuse_unconfirmed(connection: Connection, user_id: int, token_id: int) -> dict[str, Any]:
    """No token for an account whose address is to be confirmed; but for sign-up's own, after which that is noted."""
    if connection.scalar(select(Unverified.id).where(Unverified.user_id == user_id)):
        raise HTTPException(403, UNCONFIRMED)
    return {}


def document_refusal(whole: Node) -> None:
    """The 403 of /login and /refreshToken in OpenAPI."""
    for path in {"/login", "/refreshToken"} & whole["paths"].keys():
        refuse(whole["paths"][path]["post"], "403", "The address is not confirmed yet")
