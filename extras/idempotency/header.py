"""The key of a request: a string as in RFC 9651 section 3.3.3, or as most clients send it, without the quotes."""

import re
from typing import Annotated

from fastapi import Depends, Header, HTTPException, Request

KEY = r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"|([!#-~][ -~]{0,254})'
MALFORMED = "Send one 'Idempotency-Key' of 1 to 255 printable ASCII characters, with or without quotes around it."

Shown = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        default_factory=str,  # a default would be shown in OpenAPI
        description="A new one for each post, the same when it is sent again: then it is written once",
        json_schema_extra={"pattern": f"^({KEY})$"},
    ),
]


async def read_key(request: Request, _: Shown) -> str:
    """Without the quotes; "" if there is none, 400 if it is no good."""
    lines = request.headers.getlist("Idempotency-Key")
    if not lines:
        return ""
    match = re.fullmatch(KEY, lines[0].strip(" \t"))
    if len(lines) > 1 or not match:
        raise HTTPException(400, MALFORMED)
    return re.sub(r"\\(.)", r"\1", match[1]) if match[1] else str(match[2])


ReadKey = Annotated[str, Depends(read_key)]
