"""The View: what clients send and what they see."""

import unicodedata
from datetime import datetime
from typing import Annotated, Any, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


# The address in lower case; one message for all that is wrong, as email-validator's own quote the input.
def normalize_email(address: str) -> str:
    try:
        # a test environment looks up nothing, and takes the demos' top-level domain `.test` (RFC 2606)
        # and is slow with 16 KB: what is cut is too long, too, as composing makes at most four characters one
        return validate_email(address.strip().lower()[:1024], test_environment=True).normalized
    except EmailNotValidError:
        raise PydanticCustomError("email", "This is not a valid email address") from None


# Its characters count as RFC 8265 has them: composed, at most four to one. It is cut, as more would take long.
def check_length(password: str) -> str:
    if not 8 <= len(unicodedata.normalize("NFC", password[:1024])) <= 128:
        raise PydanticCustomError("password_length", "A password has 8 to 128 characters")
    return password


# Pydantic would also take `+10`, `1_0` and `10.0`.
def check_digits(number: Any) -> Any:
    return number if str(number).isascii() and str(number).isdecimal() else "not a number"


Email = Annotated[str, AfterValidator(normalize_email), Field(json_schema_extra={"format": "email", "maxLength": 254})]
PASSWORD = Field(repr=False, examples=["correct horse"], json_schema_extra={"minLength": 8, "maxLength": 128})
# Pydantic refuses a lone surrogate, which cannot be encoded, only where there is a bound, if but this.
Password = Annotated[str, Field(min_length=0), PASSWORD, AfterValidator(check_length)]
Status = Literal["published", "draft"]
MAX_ID = 2**63 - 1
Id = Annotated[int, Field(ge=1, le=MAX_ID), BeforeValidator(check_digits)]
Limit = Annotated[int, Field(ge=1, le=1000), BeforeValidator(check_digits)]


# A misspelt field is an error: `stauts` would publish a draft. All are told as one, or 98,000 would be as many errors,
# and without their names, which are the client's.
class Input(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def count_unknown_fields_as_one(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            raise PydanticCustomError("not_an_object", "Send a JSON object, with 'Content-Type: application/json'")
        known = {name: data[name] for name in data.keys() & cls.model_fields.keys()}
        return known if len(known) == len(data) else known | {"unknown field": None}


class Credentials(Input):
    email: Annotated[Email, Field(examples=["ada@example.com"])]
    password: Password


# Defaults are factories, which OpenAPI does not show: with `default` TypeScript's clients would have to send a status,
# with None as one generators lose the bounds.
class PostInput(Input):
    text: Annotated[str, Field(min_length=1, description="Kept byte for byte", examples=["Hello, world"])]
    status: Annotated[Status, Field(default_factory=lambda: "published", description="`published` if none is sent")]


class ListQuery(Input):
    status: Annotated[Status, Field(default_factory=str, description="only these")]
    limit: Annotated[Limit, Field(default_factory=int, description="the most that a page has")]
    before: Annotated[Id, Field(default_factory=lambda: MAX_ID, description="only posts older than this postID")]


# RFC 6749 section 5.1. Extras may add fields.
class AccessToken(BaseModel):
    model_config = ConfigDict(extra="allow")

    access_token: str
    token_type: Literal["bearer"]
    expires_in: Annotated[int, Field(description="seconds", examples=[86400])]


class PostCreated(BaseModel):
    postID: Annotated[int, Field(examples=[1])]


class Post(BaseModel):
    model_config = ConfigDict(from_attributes=True, val_temporal_unit="milliseconds")

    postID: Annotated[int, Field(validation_alias="id", examples=[1])]
    text: str
    status: Status
    createdAt: Annotated[datetime, Field(validation_alias="created_at")]
    updatedAt: Annotated[datetime, Field(validation_alias="updated_at")]
