"""What a client is told when something does not work: one sentence, a code, a status (RFC 9457).

No stack, no name of a file, nothing of what was sent comes back.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from spectralid.errors import InputError, SpectralIDError
from spectralid.reachback.errors import ReachbackError, TooManyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI
    from starlette.requests import Request

__all__ = ["COMMON", "MEDIA_TYPE", "Problem", "declared", "install", "reply"]

MEDIA_TYPE: Final = "application/problem+json"

_log = logging.getLogger("spectralid.reachback")

_MOST_ERRORS: Final = 20
_BUSY_S: Final = 5


class WrongField(BaseModel):
    """A field that was not as it has to be."""

    model_config = ConfigDict(extra="forbid")

    where: str
    words: str


class Problem(BaseModel):
    """Why a request was not carried out."""

    model_config = ConfigDict(extra="forbid")

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    draft: int | None = None
    errors: list[WrongField] | None = None


COMMON: Final = (401, 403, 408, 413, 422, 429, 503, 507)
"""What any operation may answer beside its own; the factory declares them."""


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Statuses of an operation, for ``responses=``.

    Parameters
    ----------
    *statuses : int
        Each a problem.
    """
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def reply(
    status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """A problem as a reply."""
    said = Problem(title=HTTPStatus(status).phrase, status=status, code=code, detail=detail, **more)
    return JSONResponse(
        said.model_dump(exclude_none=True), status, media_type=MEDIA_TYPE, headers=dict(headers or {})
    )


def of_error(error: ReachbackError) -> JSONResponse:
    """The reply for an error of this room."""
    headers: dict[str, str] = {}
    if isinstance(error, TooManyError):
        headers["Retry-After"] = str(error.retry_after_s)
    elif error.status == 503:
        headers["Retry-After"] = str(_BUSY_S)
    elif error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    draft = getattr(error, "draft", None)
    return reply(error.status, error.code, str(error), headers=headers, draft=draft)


def install(app: FastAPI) -> None:
    """Let every error become a problem."""

    async def ours(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ReachbackError)
        if error.status >= 500:
            _log.error("%s", error)
        return of_error(error)

    async def of_others(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, InputError):
            return reply(422, "not-accepted", str(error))
        _log.error("%s %s: %s", request.method, request.url.path, error)
        return reply(500, "failed", str(error))

    async def not_valid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        wrong = [
            WrongField(where=".".join(map(str, one["loc"]))[:200], words=str(one["msg"])[:300])
            for one in error.errors()[:_MOST_ERRORS]
        ]
        first = f"{wrong[0].where}: {wrong[0].words}" if wrong else "it is not well formed"
        return reply(422, "not-valid", f"The request is not as it has to be ({first}).", errors=wrong)

    async def cannot_be_stored(*_: Any) -> JSONResponse:
        return reply(422, "not-valid", "The request has a character or a number in it that cannot be kept.")

    async def gone(*_: Any) -> JSONResponse:
        return reply(400, "cut", "The line was cut before all of the request was here.")

    async def of_http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if error.status_code == 400:
            # Only said of bodies that are no JSON in UTF-8, or too deep.
            return reply(422, "not-valid", "The body cannot be read as JSON.")
        phrase = HTTPStatus(error.status_code).phrase
        return reply(error.status_code, phrase.lower().replace(" ", "-"), f"{phrase}.", headers=error.headers)

    async def defect(request: Request, error: Exception) -> JSONResponse:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return reply(500, "internal", "The server made a mistake; it is in its log, and nothing was lost.")

    app.add_exception_handler(ReachbackError, ours)
    app.add_exception_handler(SpectralIDError, of_others)
    app.add_exception_handler(RequestValidationError, not_valid)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(DataError, cannot_be_stored)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(Exception, defect)
