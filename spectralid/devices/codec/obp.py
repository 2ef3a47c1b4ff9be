"""Ocean Binary Protocol: the frame, its encoder, and a decoder that finds its way back after damage.

Layout from the vendor's data sheet 891-00000-200-05-201305, pages 9 to 16. All integers are little-endian:
start C1 C0, protocol u16, flags u16, error u16, message u32, regarding u32, 6 reserved bytes, checksum type
u8, immediate length u8, 16 immediate bytes, bytes remaining u32, payload, 16 checksum bytes, footer C5 C4 C3
C2.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

from spectralid.devices.codec.faults import Checksum, FaultKind, FramingFault
from spectralid.devices.codec.incremental import IncrementalDecoder
from spectralid.errors import ParameterError

__all__ = [
    "ERROR_MEANINGS",
    "MAXIMUM_PAYLOAD",
    "MINIMUM_FRAME",
    "Checksum",
    "Decoder",
    "Flag",
    "Frame",
    "Message",
    "encode",
]

_START: Final = b"\xc1\xc0"
_FOOTER: Final = b"\xc5\xc4\xc3\xc2"
_HEADER: Final = struct.Struct("<2sHHHII6xBB16sI")
_CHECKSUM_BYTES: Final = 16
_TAIL: Final = _CHECKSUM_BYTES + len(_FOOTER)
_IMMEDIATE: Final = 16

MINIMUM_FRAME: Final = _HEADER.size + _TAIL
"""Bytes of a frame without payload: 64."""

# The largest spectrum of the protocol family is 2136 pixels of four bytes with 64 bytes before them; more is
# a damaged length, and waiting for it would swallow the answers that follow.
MAXIMUM_PAYLOAD: Final = 16 * 1024

PROTOCOL: Final = 0x1100
# 0x2000 is a different protocol with other message codes behind the same start bytes.
_KNOWN_MAJOR: Final = 0x1


class Flag(IntFlag):
    """Bits of the flag word. Devices combine them differently, so bits are tested, never the whole word."""

    NONE = 0
    RESPONSE = 0x01
    ACK = 0x02
    ACK_REQUESTED = 0x04
    NACK = 0x08
    EXCEPTION = 0x10


class Message(IntEnum):
    """Message types spectralid knows."""

    CHECKSUM_TYPE = 0x00000010
    SERIAL_NUMBER = 0x00000100
    SERIAL_NUMBER_LENGTH = 0x00000101
    BAUD_RATE = 0x00000800
    SET_BAUD_RATE = 0x00000810
    ABORT = 0x00100000
    CLEAR_BUFFER = 0x00100830
    BUFFERED_SPECTRUM = 0x00100928
    CORRECTED_SPECTRUM = 0x00101000
    INTEGRATION_TIME = 0x00110000
    SET_INTEGRATION_TIME = 0x00110010
    SET_TRIGGER_MODE = 0x00110110
    PIXEL_COUNT = 0x00110220
    WAVELENGTH_COEFFICIENT_COUNT = 0x00180100
    WAVELENGTH_COEFFICIENT = 0x00180101
    NONLINEARITY_COEFFICIENT_COUNT = 0x00181100
    NONLINEARITY_COEFFICIENT = 0x00181101
    TEC_ENABLE = 0x00420000
    TEC_SETPOINT = 0x00420001
    TEC_STABLE = 0x00420003
    TEC_TEMPERATURE = 0x00420004
    SET_TEC_ENABLE = 0x00420010
    SET_TEC_SETPOINT = 0x00420011
    LIGHT_SOURCE_ENABLE = 0x00810021
    SET_LIGHT_SOURCE_ENABLE = 0x00810031


DEFERRED: Final = 255
"""Error number of an answer that is neither a yes nor a no: the real one is still to come."""

ERROR_MEANINGS: Final = {
    0: "no error",
    1: "the protocol version is not supported",
    2: "the message is unknown to the instrument",
    3: "the checksum of the request was wrong",
    4: "the message was too large",
    5: "the length of the data does not fit the message",
    6: "the data are invalid for the message",
    7: "the instrument is not ready",
    8: "the checksum type is unknown to the instrument",
    9: "the instrument was reset unexpectedly",
    10: "too many buses are in use",
    11: "the instrument is out of memory",
    12: "the instrument does not hold what was asked for",
    13: "internal error of the instrument",
    14: "the request did not end properly",
    15: "the scan was interrupted",
    100: "firmware update: the file could not be decrypted",
    101: "firmware update: the layout is wrong",
    102: "firmware update: a data packet was wrong",
    103: "firmware update: the hardware is not compatible",
    104: "firmware update: the version is not compatible",
    DEFERRED: "the answer is deferred",
}


@dataclass(frozen=True, slots=True)
class Frame:
    """One message.

    Attributes
    ----------
    message : int
        Message type.
    data : bytes
        Operands: sent as immediate data up to 16 bytes, else as payload.
    flags : Flag
        Flag bits.
    error : int
        Error number, see `ERROR_MEANINGS`.
    regarding : int
        Value the answer repeats, 0 … 2³²−1: the transaction id.
    protocol : int
        Protocol version.
    checksum : Checksum
        Of a received frame: whether an MD5 proved it. Of a frame to send: whether to give it one.
    """

    message: int
    data: bytes = b""
    flags: Flag = Flag.NONE
    error: int = 0
    regarding: int = 0
    protocol: int = PROTOCOL
    checksum: Checksum = Checksum.ABSENT


def encode(frame: Frame) -> bytes:
    """Bytes of `frame`.

    Raises
    ------
    ParameterError
        If the data are longer than `MAXIMUM_PAYLOAD`.
    """
    if len(frame.data) > MAXIMUM_PAYLOAD:
        raise ParameterError("data", f"{len(frame.data)} bytes", f"at most {MAXIMUM_PAYLOAD} bytes")
    immediate = frame.data if len(frame.data) <= _IMMEDIATE else b""
    payload = b"" if immediate else frame.data
    with_md5 = frame.checksum is Checksum.VERIFIED
    covered = (
        _HEADER.pack(
            _START,
            frame.protocol,
            frame.flags,
            frame.error,
            frame.message,
            frame.regarding,
            int(with_md5),
            len(immediate),
            immediate,
            len(payload) + _TAIL,
        )
        + payload
    )
    return covered + (_md5(covered) if with_md5 else bytes(_CHECKSUM_BYTES)) + _FOOTER


def _md5(data: bytes) -> bytes:
    # The protocol's choice, against accidents on the line; nothing here rests on it against an attacker.
    return hashlib.md5(data, usedforsecurity=False).digest()


class Decoder(IncrementalDecoder[Frame]):
    """Incremental decoder of messages."""

    @property
    def wanted(self) -> int:
        """Bytes that must still come before another frame can be complete; at least 1."""
        have = len(self._buffer)
        total = MINIMUM_FRAME
        if have >= _HEADER.size:
            # `feed` leaves a checked header at the start of the buffer.
            total = _HEADER.size + int(_HEADER.unpack_from(self._buffer)[-1])
        return max(1, total - have)

    @property
    def begun(self) -> bool:
        """Whether what may be the beginning of a frame is kept."""
        return bool(self._buffer)

    def _at_start(self) -> bool:
        """Drop bytes up to the next start mark; whether there is a header's worth behind it."""
        start = self._buffer.find(_START)
        if start < 0:
            # The last byte may be the first half of a start mark.
            start = len(self._buffer) - int(self._buffer.endswith(_START[:1]))
        if start:
            self._drop(start)
        return len(self._buffer) >= _HEADER.size

    def _take(self) -> Frame | FramingFault | None:
        """The frame or fault at the start of the buffer; ``None`` while more bytes are needed."""
        _, protocol, flags, error, message, regarding, checksum, length, immediate, remaining = (
            _HEADER.unpack_from(self._buffer)
        )
        wrong = _wrong_header(protocol, checksum, length, remaining)
        if wrong:
            return self._refuse(FaultKind.HEADER, wrong)
        end = _HEADER.size + remaining
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[: end - _TAIL])
        digest = bytes(self._buffer[end - _TAIL : end - len(_FOOTER)])
        if self._buffer[end - len(_FOOTER) : end] != _FOOTER:
            return self._refuse(FaultKind.FOOTER, "its end mark is missing")
        if checksum and _md5(body) != digest:
            return self._refuse(FaultKind.CHECKSUM, "its checksum does not fit")
        del self._buffer[:end]
        return Frame(
            message=message,
            data=immediate[:length] if length else body[_HEADER.size :],
            flags=Flag(flags),
            error=error,
            regarding=regarding,
            protocol=protocol,
            checksum=Checksum.VERIFIED if checksum else Checksum.ABSENT,
        )


def _wrong_header(protocol: int, checksum: int, length: int, remaining: int) -> str:
    """What makes the header impossible, or an empty string."""
    payload = remaining - _TAIL
    if protocol >> 12 != _KNOWN_MAJOR:
        return f"its protocol version {protocol:#06x} is not one spectralid speaks (0x1000 to 0x1fff)"
    if checksum > 1:
        return f"its checksum type {checksum} does not exist"
    if length > _IMMEDIATE:
        return f"it claims {length} bytes of immediate data where 16 fit"
    if not 0 <= payload <= MAXIMUM_PAYLOAD:
        return f"its length field claims {remaining} more bytes"
    if length and payload:
        return "it claims immediate data and a payload at once"
    return ""
