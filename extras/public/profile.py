"""`/profile`: the handle under which an account's published posts are public, and the name above them."""

import re
import unicodedata
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import Connection, delete, func, insert, select, update

import app as core
import models
import schemas
from auth import CurrentUser, log
from models import read, write

from .tables import Handle, Name

RESERVED = 30 * 86_400_000  # milliseconds that a released handle is nobody else's
MOST = 10  # handles that an account holds, those that it has released among them
NOT_FOR_PEOPLE = {
    *("about", "admin", "administrator", "api", "help", "moderator", "null"),
    *("official", "root", "security", "staff", "support", "system", "www"),
}
LONGEST_NAME = 80
INVISIBLE = {"Cc", "Zl", "Zp"}
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # which would turn what follows around


def check_handle(handle: str) -> str:
    handle = handle.lower() if handle.isascii() else handle
    if not re.fullmatch("[a-z0-9_]{3,30}", handle):
        raise PydanticCustomError("handle", "A handle has 3 to 30 of a-z, 0-9 and _")
    if handle in NOT_FOR_PEOPLE:
        raise PydanticCustomError("handle_reserved", "This handle is reserved: take another")
    return handle


def one_line(text: str) -> str:
    """As it can stand beside other words: nothing that turns them around, single spaces, "" if nothing is visible."""
    seen = (c if unicodedata.category(c) not in INVISIBLE else " " for c in text)
    line = " ".join("".join(c for c in seen if unicodedata.bidirectional(c) not in BIDI).split())
    return line if any(unicodedata.category(c) not in {"Cf", "Zs"} for c in line) else ""


def null_or(schema: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"type": "string", **schema}, {"type": "null"}]})


HANDLE = {"pattern": "^[A-Za-z0-9_]{3,30}$", "description": "`null` takes all offline", "examples": ["ada"]}
HandleInput = Annotated[Annotated[str, AfterValidator(check_handle)] | None, null_or(HANDLE)]
NameInput = Annotated[
    Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(one_line)] | None,
    null_or({"maxLength": LONGEST_NAME, "examples": ["Ada Lovelace"]}),
]


class ProfileInput(schemas.Input):
    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    # Factories, as a default would be shown in OpenAPI. What was not sent is not changed.
    handle: Annotated[HandleInput, Field(default_factory=lambda: None)]
    name: Annotated[NameInput, Field(default_factory=lambda: None)]

    @model_validator(mode="after")
    def check_change(self) -> "ProfileInput":
        if not self.model_fields_set:
            raise PydanticCustomError("nothing_to_change", "Send 'handle' or 'name' or both")
        return self


class Profile(BaseModel):
    handle: str | None
    name: str | None


router = APIRouter(route_class=core.Route, tags=["Account"])


def find_profile(connection: Connection, user_id: int) -> Profile:
    handle = select(Handle.handle).where(Handle.user_id == user_id, Handle.free_at.is_(None))
    name = select(Name.name).where(Name.user_id == user_id)
    return Profile(handle=connection.scalar(handle), name=connection.scalar(name))


def read_profile(user_id: int) -> Profile:
    with models.engine.connect() as connection:
        return find_profile(connection, user_id)


def set_name(connection: Connection, user_id: int, name: str | None) -> None:
    connection.execute(delete(Name).where(Name.user_id == user_id))
    if name:
        connection.execute(insert(Name).values(user_id=user_id, name=name))


def set_handle(connection: Connection, user_id: int, handle: str | None) -> None:
    """The account is locked. IntegrityError if the handle is taken."""
    mine, now = Handle.user_id == user_id, models.now()
    others = sa.and_(mine, Handle.free_at.is_(None), Handle.handle != (handle or ""))
    connection.execute(update(Handle).where(others).values(free_at=now + RESERVED))
    if not handle:
        return
    connection.execute(delete(Handle).where(Handle.handle == handle, Handle.free_at <= now))
    if connection.execute(update(Handle).where(mine, Handle.handle == handle).values(free_at=None)).rowcount:
        return
    held = select(func.count()).where(mine, Handle.free_at > now)
    if connection.execute(held).scalar_one() >= MOST:
        raise HTTPException(409, f"You have had {MOST} handles in 30 days: take one of these again, or wait.")
    connection.execute(insert(Handle).values(user_id=user_id, handle=handle))


def change_profile(connection: Connection, user_id: int, change: ProfileInput) -> Profile:
    core.raise_version(connection, user_id, 0, 0)  # locks the account, and makes its pages old
    if "name" in change.model_fields_set:
        set_name(connection, user_id, change.name)
    if "handle" in change.model_fields_set:
        set_handle(connection, user_id, change.handle)
    return find_profile(connection, user_id)


@router.get("/profile", summary="Your handle and name")
async def get_profile(user: CurrentUser) -> Profile:
    """Without a handle nothing of yours is public."""
    return await read(read_profile, user.id)


@router.put("/profile", summary="Change your handle or name", responses={409: {"description": "The handle is taken"}})
async def put_profile(change: ProfileInput, user: CurrentUser) -> Profile:
    """With a handle your published posts are public at `/@handle`; `null` takes them offline at once."""
    try:
        profile = await write(lambda tx: change_profile(tx, user.id, change), user.id)
    except sa.exc.IntegrityError:
        raise HTTPException(409, "This handle is taken: take another.") from None
    log.info("profile account=%d public=%s", user.id, bool(profile.handle))
    return profile


@router.api_route("/profile", methods=["DELETE", "OPTIONS", "PATCH", "POST", "QUERY", "TRACE"], include_in_schema=False)
async def refuse() -> None:
    """Starlette would say of the first route alone what it allows."""
    raise HTTPException(405, headers={"Allow": "GET, HEAD, PUT"})
