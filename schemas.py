"""The View: what clients send and what they see."""

from datetime import datetime
from typing import Annotated, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError


def normalize_email(address: str) -> str:
    """The address in lower case; one message for all that is wrong, as email-validator's own quote the input."""
    try:
        # a test environment looks up nothing, and takes the demos' top-level domain `.test` (RFC 2606)
        return validate_email(address.lower(), test_environment=True).normalized
    except EmailNotValidError:
        raise PydanticCustomError("email", "This is not a valid email address") from None


MAX_ID = 2**63 - 1
Status = Literal["published", "draft"]


class Input(BaseModel):
    """A misspelt field is an error: `stauts` would publish a draft."""

    model_config = ConfigDict(extra="forbid")


EMAIL = Field(max_length=254, examples=["ada@example.com"], json_schema_extra={"format": "email"})


class Credentials(Input):
    email: Annotated[str, EMAIL, AfterValidator(normalize_email)]
    password: Annotated[str, Field(min_length=8, max_length=128, repr=False, examples=["correct horse battery"])]


class NewPost(Input):
    text: Annotated[str, Field(min_length=1, description="Kept byte for byte", examples=["Hello, world"])]
    status: Status = "published"


class ListQuery(Input):
    status: Annotated[Status | None, Field(description="only these")] = None
    limit: Annotated[int | None, Field(ge=1, le=1000, description="the most that a page has")] = None
    before: Annotated[int | None, Field(ge=1, le=MAX_ID, description="only posts older than this postID")] = None


class AccessToken(BaseModel):
    """RFC 6749 section 5.1. Extras may add fields."""

    model_config = ConfigDict(extra="allow")

    access_token: str
    token_type: Literal["bearer"] = "bearer"
    expires_in: Annotated[int, Field(description="seconds")]


class PostCreated(BaseModel):
    postID: int


class Post(BaseModel):
    model_config = ConfigDict(val_temporal_unit="milliseconds")

    postID: int
    text: str
    status: Status
    createdAt: datetime
    updatedAt: datetime


class Refusal(BaseModel):
    detail: str


class FieldError(BaseModel):
    type: str
    loc: list[str | int]
    msg: str


class Invalid(BaseModel):
    """What is wrong with each field, and nothing of what was sent."""

    detail: list[FieldError]
