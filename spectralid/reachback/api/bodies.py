"""What the bodies and addresses of requests are made of."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from spectralid.reachback.api.desk import Desk, desk_of

__all__ = [
    "CaseId",
    "DeskNow",
    "Limit",
    "Line",
    "Model",
    "Number",
    "Ref",
    "Sent",
    "Token",
    "Words",
    "printable",
]

_LARGEST: Final = 2**53


def printable(text: str) -> str:
    """A text that can be shown on a line; anything else is refused."""
    if not text.isprintable():
        raise ValueError("it has characters in it that cannot be shown")
    return text


def _readable(text: str) -> str:
    if not all(one.isprintable() or one in "\n\r\t" for one in text):
        raise ValueError("it has characters in it that cannot be shown")
    return text


class Model(BaseModel):
    """What the server says."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


class Sent(BaseModel):
    """What a client sends: nothing that is not expected, and no kind taken for another."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


Ref = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(printable)]
"""A name of something."""
Line = Annotated[str, StringConstraints(min_length=1, max_length=300), AfterValidator(printable)]
"""A line of text."""
Words = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_readable)]
"""Several lines."""
Number = Annotated[int, Field(ge=0, le=_LARGEST)]
Token = Annotated[int, Field(ge=0, le=_LARGEST, description="The number of the lease (fencing token).")]

CaseId = Annotated[str, Path(min_length=1, max_length=40), AfterValidator(printable)]
Limit = Annotated[int, Query(ge=1, le=1000)]

DeskNow = Annotated[Desk, Depends(desk_of)]
"""The server that a request came to."""
