"""What is held about an account, for its download by `account`."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

import models

from .tables import Link, Mail, Unverified


class MailOut(BaseModel):
    model_config = ConfigDict(from_attributes=True, val_temporal_unit="milliseconds")

    recipient: str
    kind: str
    createdAt: Annotated[datetime, Field(validation_alias="created_at")]


class Held(BaseModel):
    isConfirmed: bool
    newEmail: str | None
    mails: list[MailOut]


def read_held(user_id: int) -> Held:
    """The mails of seven days, and the address that waits to be confirmed, if one does."""
    coming = select(Link.new_email).where(Link.user_id == user_id, Link.kind == "change")
    (new_email,) = (models.fetch(coming.where(Link.expires_at > models.now())) or [(None,)])[0]
    unverified = models.fetch(select(Unverified.id).where(Unverified.user_id == user_id))
    mails = models.fetch(select(Mail).where(Mail.user_id == user_id).order_by(Mail.id))
    return Held(isConfirmed=not unverified, newEmail=new_email, mails=[MailOut.model_validate(mail) for mail in mails])
