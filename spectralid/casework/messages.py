"""What a server says to a tablet, and what the tablet says back: small signed messages (``.sidmsg``).

=============  ===========================================================================  ==================
message        says                                                                         signed by
=============  ===========================================================================  ==================
receipt/1      the server holds exactly this packet; the tablet may let go of it one day    server
ipv-receipt/1  the server holds exactly this record of an instrument's check                server
answer/1       what a chemist or a laboratory concluded; numbered per device without gaps   server
time/1         what time it is                                                              server
missing/1      the server lost these packets (it was restored): hand them over again        server
shown/1        this answer was shown to the officer                                         device
=============  ===========================================================================  ==================

All are DSSE envelopes (`spectralid.casework.dsse`), whichever way they come. Fields not named here are
allowed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

from spectralid.casework import dsse
from spectralid.casework.errors import PacketError, UnknownSchemaError
from spectralid.casework.manifest import MAX_MANIFEST, dumps, loads, prepare
from spectralid.errors import MissingDependencyError

if TYPE_CHECKING:
    from spectralid.casework.keys import PublicKey, SigningKey

try:
    import msgspec
except ImportError:
    raise MissingDependencyError("msgspec", extra="tablet", purpose="to read the server's messages") from None

__all__ = [
    "SUFFIX",
    "Answer",
    "CheckReceipt",
    "Message",
    "Missing",
    "MissingPacket",
    "Receipt",
    "TimeMessage",
    "Trust",
    "kept",
    "parse",
    "parse_answer",
    "parse_check_receipt",
    "parse_receipt",
    "parse_time",
    "parse_utc",
    "same",
    "shown",
]

SUFFIX: Final = ".sidmsg"
MAX_MESSAGE: Final = dsse.MAX_ENVELOPE

_Text = Annotated[str, msgspec.Meta(max_length=4000)]
_Line = Annotated[str, msgspec.Meta(max_length=500)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
_Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:-]{1,100}\Z")]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Utc = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z\Z")
]
_Natural = Annotated[int, msgspec.Meta(ge=0)]
_Number = Annotated[int, msgspec.Meta(ge=1)]


class _Struct(msgspec.Struct, frozen=True, kw_only=True):
    raw: bytes = b""


class Receipt(_Struct, frozen=True, kw_only=True):
    """The server's word that it holds a packet.

    Attributes
    ----------
    raw : bytes
        The envelope, as it came: the proof.
    packet_sha256, device_id, seq
        Which packet.
    case : str
        The case it was put into.
    server_utc : str
        When, by the server.
    audit_n, checkpoint
        Length and state of the server's audit log, so that the device can witness a log that was shortened.
    """

    schema: Literal["spectralid.receipt/1"]
    packet_sha256: _Sha256
    device_id: _Name
    seq: _Number
    case: _Name
    server_utc: _Utc
    audit_n: _Natural
    checkpoint: _Text


class CheckReceipt(_Struct, frozen=True, kw_only=True):
    """The server's word that it holds the record of a check (`spectralid.casework.instrument_checks`).

    Attributes
    ----------
    raw : bytes
        The envelope, as it came: the proof.
    ipv_sha256, device_id, ipv_id
        Which record.
    server_utc : str
        When the receipt was given, by the server.
    audit_n : int
        Entry of the server's audit log that tells of it.
    """

    schema: Literal["spectralid.ipv-receipt/1"]
    ipv_sha256: _Sha256
    device_id: _Name
    ipv_id: _Id
    server_utc: _Utc
    audit_n: _Natural


class Answer(_Struct, frozen=True, kw_only=True):
    """What a chemist or a laboratory concluded.

    Attributes
    ----------
    raw : bytes
        The envelope, as it came.
    answer_id : str
        Its name for ever.
    n : int
        Its number among the answers to this device, from 1 without gaps.
    case, seizure_ref, item_ref, packet_ids
        What it is about.
    kind : {"interim", "final", "lab_result", "notice"}
        How far it has got.
    utc : str
        When it was given.
    headline, words, precautions, basis, by
        What the officer reads; `by` is a pseudonym.
    supersedes : str or None
        The answer that it replaces.
    lab : {"confirmed", "refuted", "inconclusive"} or None
        What the laboratory found, if it has.
    """

    schema: Literal["spectralid.answer/1"]
    answer_id: _Id
    device_id: _Name
    n: _Number
    case: _Name
    kind: Literal["interim", "final", "lab_result", "notice"]
    utc: _Utc
    headline: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    words: _Text
    by: _Name
    seizure_ref: _Name | None = None
    item_ref: _Name | None = None
    packet_ids: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=500)] = ()
    precautions: Annotated[tuple[_Line, ...], msgspec.Meta(max_length=30)] = ()
    basis: _Text = ""
    supersedes: _Id | None = None
    lab: Literal["confirmed", "refuted", "inconclusive"] | None = None


class TimeMessage(_Struct, frozen=True, kw_only=True):
    """What time it is; `nonce` repeats what the request carried, so that it is known to be fresh."""

    schema: Literal["spectralid.time/1"]
    server_utc: _Utc
    nonce: Annotated[str, msgspec.Meta(max_length=64)] = ""


class MissingPacket(msgspec.Struct, frozen=True, kw_only=True):
    """A packet the server gave a receipt for and no longer has; `sha256` if it still knows that much."""

    seq: _Number
    sha256: _Sha256 | None = None


class Missing(_Struct, frozen=True, kw_only=True):
    """The server was restored from a backup and asks for packets again."""

    schema: Literal["spectralid.missing/1"]
    device_id: _Name
    server_utc: _Utc
    packets: Annotated[tuple[MissingPacket, ...], msgspec.Meta(min_length=1, max_length=2000)]


Message = Receipt | CheckReceipt | Answer | TimeMessage | Missing
_M = TypeVar("_M", Receipt, CheckReceipt, Answer, TimeMessage, Missing)

_TYPES: Final[
    Mapping[str, type[Receipt] | type[CheckReceipt] | type[Answer] | type[TimeMessage] | type[Missing]]
] = {
    f"application/vnd.spectralid.{name}+json": kind
    for name, kind in (
        ("receipt", Receipt),
        ("ipv-receipt", CheckReceipt),
        ("answer", Answer),
        ("time", TimeMessage),
        ("missing", Missing),
    )
}
prepare(*_TYPES.values())
SHOWN_TYPE: Final = "application/vnd.spectralid.shown+json"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose messages count here.

    Attributes
    ----------
    device_id : str
        Messages to another device are refused.
    keys : mapping of str to PublicKey
        The server's keys, as enrolled, by key id.
    """

    device_id: str
    keys: Mapping[str, PublicKey]


def parse(raw: bytes, trust: Trust) -> Message:
    """A message of the server, after its signature has been seen to hold.

    Parameters
    ----------
    raw : bytes
        The envelope.
    trust : Trust
        The server's keys, and who is addressed.

    Returns
    -------
    Receipt or CheckReceipt or Answer or TimeMessage or Missing

    Raises
    ------
    SignatureError
        If no key trusted at enrolment signed it.
    UnknownSchemaError
        If it is of a newer kind than this version knows.
    PacketError
        If it is damaged, is no message, or is meant for another device.
    """
    if len(raw) > MAX_MESSAGE:
        raise PacketError(f"The message has {len(raw)} bytes; at most {MAX_MESSAGE} are allowed.")
    opened = dsse.verify(raw, trust.keys, payload_types=_TYPES)
    message = _convert(opened.payload, opened.payload_type, raw)
    name = message.schema.removeprefix("spectralid.").removesuffix("/1")
    parse_utc(message.utc if isinstance(message, Answer) else message.server_utc)
    if not isinstance(message, TimeMessage) and message.device_id != trust.device_id:
        raise PacketError(
            f"The {name} is for the device {message.device_id[:40]!r}; this one is {trust.device_id!r}."
        )
    return message


def parse_receipt(raw: bytes, trust: Trust) -> Receipt:
    """A receipt; anything else is refused as by `parse`."""
    return _only(Receipt, parse(raw, trust))


def parse_check_receipt(raw: bytes, trust: Trust) -> CheckReceipt:
    """A receipt of a check; anything else is refused as by `parse`."""
    return _only(CheckReceipt, parse(raw, trust))


def parse_answer(raw: bytes, trust: Trust) -> Answer:
    """An answer; anything else is refused as by `parse`."""
    return _only(Answer, parse(raw, trust))


def parse_time(raw: bytes, trust: Trust) -> TimeMessage:
    """A time message; anything else is refused as by `parse`."""
    return _only(TimeMessage, parse(raw, trust))


def _convert(payload: bytes, payload_type: str, raw: bytes) -> Message:
    content = loads(payload, max_bytes=MAX_MANIFEST)
    kind = _TYPES[payload_type]
    name = payload_type.removeprefix("application/vnd.spectralid.").removesuffix("+json")
    if content.get("schema") != f"spectralid.{name}/1":
        raise UnknownSchemaError(
            f"The message is of the form {str(content.get('schema'))[:40]!r}, "
            "which this version does not know."
        )
    try:
        message = msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise PacketError(f"The server's {name} is not well formed: {error}.") from None
    return msgspec.structs.replace(message, raw=raw)


def kept(raw: bytes, kind: type[_M]) -> _M:
    """A message that was verified before it was stored, read again; its bytes are known by their SHA-256.

    Raises
    ------
    PacketError
        If it is not of this kind.
    """
    opened = dsse.verify(raw, None, payload_types=_TYPES)
    return _only(kind, _convert(opened.payload, opened.payload_type, raw))


def same(one: _M, other: _M) -> bool:
    """Whether two messages say the same, however their envelopes were written."""
    return msgspec.structs.replace(one, raw=b"") == msgspec.structs.replace(other, raw=b"")


def _only(kind: type[_M], message: Message) -> _M:
    if not isinstance(message, kind):
        raise PacketError(f"The server sent {message.schema!r}, which is not what was asked for.")
    return message


def parse_utc(text: str) -> dt.datetime:
    """A point in time from its text (``2026-11-22T12:00:00Z``).

    Raises
    ------
    PacketError
        If it is none.
    """
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise PacketError(f"{text[:40]!r} is no point in time.") from None
    if moment.tzinfo is None:
        raise PacketError(f"{text[:40]!r} states no time zone.")
    return moment.astimezone(dt.UTC)


def shown(
    answer: Answer, *, device_id: str, sha256: str, shown_utc: str, clock_state: str, key: SigningKey
) -> bytes:
    """The device's word that an answer was shown to the officer.

    Parameters
    ----------
    answer : Answer
        Which.
    device_id : str
        Where.
    sha256 : str
        Of the answer's envelope, so that it is certain what was shown.
    shown_utc, clock_state : str
        When, by the device's clock, and what that clock is worth.
    key : SigningKey
        Of the device.

    Returns
    -------
    bytes
        A DSSE envelope.
    """
    body: dict[str, Any] = {
        "schema": "spectralid.shown/1",
        "device_id": device_id,
        "answer_id": answer.answer_id,
        "n": answer.n,
        "answer_sha256": sha256,
        "shown_utc": shown_utc,
        "clock_state": clock_state,
    }
    return dsse.sign(dumps(body), SHOWN_TYPE, key)
