"""What tablets ask: the protocol of docs/sync.md."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import AfterValidator
from starlette.concurrency import run_in_threadpool

from spectralid.casework.dsse import MAX_ENVELOPE
from spectralid.casework.endpoint import LONGEST_POLL_S, PACKET_TYPE
from spectralid.reachback.api import problems
from spectralid.reachback.api.access import Actor, requires
from spectralid.reachback.api.bodies import DeskNow, Model, Number
from spectralid.reachback.errors import ConflictError, TooLargeError, UnknownFormatError
from spectralid.reachback.store import receipts
from spectralid.reachback.tablets import answers, ingest, instrument_checks

__all__ = ["router"]

router = APIRouter(tags=["device"])

_SHA256: Final = "The SHA-256 of the body, in hexadecimal digits."


def _ascii(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("it has characters in it that are not of ASCII")
    return text


class Envelope(Model):
    """A DSSE envelope (https://github.com/secure-systems-lab/dsse)."""

    payload: str
    payloadType: str  # noqa: N815
    signatures: list[dict[str, str]]


class Messages(Model):
    """Notices, then answers in the order of their numbers."""

    messages: list[Envelope]


class InFlightError(ConflictError):
    """The same packet is just being taken in."""

    code = "in-flight"


_ENVELOPE: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["payload", "payloadType", "signatures"],
                "properties": {
                    "payload": {"type": "string"},
                    "payloadType": {"type": "string"},
                    "signatures": {"type": "array", "items": {"type": "object"}},
                },
            }
        }
    },
}
_PACKET: Final[dict[str, Any]] = {
    "required": True,
    "content": {PACKET_TYPE: {"schema": {"type": "string", "format": "binary"}}},
}


@router.post(
    "/v1/packets",
    response_model=Envelope,
    status_code=201,
    summary="Hand over a packet",
    responses={
        200: {"description": "It was here already: the same receipt again", "model": Envelope},
        201: {"description": "It was taken in: the signed receipt"},
        **problems.declared(409, 413, 415, 429, 503, 507),
    },
    openapi_extra={"requestBody": _PACKET},
)
async def send_packet(
    request: Request,
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("packet.send"))],
    idempotency_key: Annotated[
        str, Header(min_length=1, max_length=200, description=_SHA256), AfterValidator(_ascii)
    ],
) -> Response:
    """Take in one packet; the same bytes get the same receipt for ever, byte for byte."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != PACKET_TYPE:
        raise UnknownFormatError(f"A packet is sent as {PACKET_TYPE}.")
    raw = await request.body()
    this = (who.name, idempotency_key)
    if this in desk.in_flight:
        raise InFlightError("This packet is just being taken in; ask again in a moment.")
    desk.in_flight.add(this)
    try:
        done = await run_in_threadpool(
            ingest.ingest,
            desk.db,
            raw,
            device=who.tablet,
            idempotency_key=idempotency_key,
            now=desk.now,
            keys=desk.keys,
        )
    finally:
        desk.in_flight.discard(this)
    return Response(done.receipt, done.status, media_type="application/json")


@router.get("/v1/inbox", response_model=Messages, summary="Answers, as they come")
async def read_inbox(
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("inbox.read"))],
    after: Annotated[Number, Query(description="The last answer that is held without a gap before it.")] = 0,
    wait: Annotated[
        float,
        Query(ge=0, le=LONGEST_POLL_S, allow_inf_nan=False, description="How long to wait for one, in s."),
    ] = 0.0,
) -> Response:
    """Give what is there after a number; while there is nothing, up to the time that is asked for."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + wait
    while True:
        found = await run_in_threadpool(answers.after, desk.db, desk.keys, who.tablet, after, now=desk.now())
        if found or not await desk.waiting.until_new(who.tablet, ends - loop.time()):
            break
    return Response(b'{"messages": [' + b", ".join(found) + b"]}", media_type="application/json")


@router.post(
    "/v1/answers/{answer_id}/shown",
    status_code=204,
    summary="An officer saw an answer",
    openapi_extra={"requestBody": _ENVELOPE},
)
async def answer_shown(
    answer_id: Annotated[str, Path(min_length=1, max_length=100), AfterValidator(_ascii)],
    request: Request,
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("answer.shown"))],
) -> Response:
    """Take the signed word of the tablet; the same again changes nothing."""
    raw = await _envelope(request)
    await run_in_threadpool(answers.take_shown, desk.db, who.tablet, answer_id, raw, now=desk.now())
    return Response(status_code=204)


@router.get("/v1/time", response_model=Envelope, summary="The signed time")
def read_time(
    desk: DeskNow,
    _: Annotated[Actor, Depends(requires("time.read"))],
    nonce: Annotated[str, Query(max_length=64), AfterValidator(_ascii)] = "",
) -> Response:
    """Say what time it is, for this request."""
    return Response(receipts.time(desk.keys, now=desk.now(), nonce=nonce), media_type="application/json")


@router.post(
    "/v1/ipv",
    response_model=Envelope,
    status_code=201,
    summary="The daily check of an instrument",
    responses={
        200: {"description": "It was here already: a receipt for it", "model": Envelope},
        201: {"description": "It was taken in: the signed receipt"},
    },
    openapi_extra={"requestBody": _ENVELOPE},
)
async def send_ipv(
    request: Request, desk: DeskNow, who: Annotated[Actor, Depends(requires("ipv.send"))]
) -> Response:
    """Keep the signed record of an instrument's check; the same again changes nothing."""
    raw = await _envelope(request)
    now = desk.now()
    done = await run_in_threadpool(instrument_checks.take, desk.db, who.tablet, raw, now=now)
    receipt = receipts.check_receipt(
        desk.keys,
        sha256=done.sha256,
        device_id=who.tablet,
        ipv_id=done.ipv_id,
        now=now,
        audit_n=done.audit_n,
    )
    return Response(receipt, 201 if done.new else 200, media_type="application/json")


async def _envelope(request: Request) -> bytes:
    raw = await request.body()
    if len(raw) > MAX_ENVELOPE:
        raise TooLargeError(f"An envelope has at most {MAX_ENVELOPE} bytes.")
    return raw
