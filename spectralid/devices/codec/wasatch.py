"""Wasatch OEM serial protocol: the frame, its checksum, and a decoder that finds its way back after damage.

Layout from the vendor's example program for the OEM WP Raman modules (OEM_Serial_Example_WPF, commit 742ddea)
and Wasatch.PY 2.5.2: ``<``, length u16 big-endian (opcode and data), opcode, data, CRC-8/MAXIM over length,
opcode and data, ``>``. The length alone says where a frame ends: both marks may occur inside it. Images have
no frame at all, see `decode_image`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from spectralid.devices.codec.faults import FaultKind, FramingFault
from spectralid.devices.codec.incremental import IncrementalDecoder
from spectralid.devices.codec.words import swapped_stretch
from spectralid.errors import ParameterError, ProtocolError

__all__ = [
    "MAXIMUM_DATA",
    "MINIMUM_FRAME",
    "OVERHEAD",
    "SET",
    "STATUS_MEANINGS",
    "ByteOrder",
    "Decoder",
    "Frame",
    "Opcode",
    "crc8",
    "decode_image",
    "encode",
    "frame_size",
    "status",
]

ByteOrder = Literal["little", "big"]

_START: Final = 0x3C
_END: Final = 0x3E
_HEADER: Final = 3  # start mark and length

OVERHEAD: Final = 6
"""Bytes of a frame beside its data."""

MINIMUM_FRAME: Final = OVERHEAD
"""Bytes of a frame without data."""

# The longest answer of the protocol is an EEPROM page of 64 bytes. A longer claim is a damaged length, and
# waiting for it would swallow the answers that follow.
MAXIMUM_DATA: Final = 255

SET: Final = 0x80
"""Added to an opcode, makes the question a command."""


class Opcode(IntEnum):
    """Questions spectralid asks; with `SET` added, commands."""

    ACQUIRE = 0x0A
    FIRMWARE_REVISION = 0x0D
    FPGA_REVISION = 0x10
    INTEGRATION_TIME = 0x11
    PIXEL_COUNT = 0x15
    EEPROM_LOAD = 0x30
    """As a command, brings an EEPROM page where `EEPROM_PAGE` finds it (documented for SPI only)."""
    EEPROM_PAGE = 0x31
    LASER_MODULATION = 0x33
    LASER = 0x34
    PING = 0x4B


STATUS_MEANINGS: Final = {
    0: "done",
    1: "the length of the request was wrong",
    2: "the checksum of the request was wrong",
    3: "the command is unknown to the instrument",
    4: "the port is not available",
    -1: "internal data error",
    -2: "internal communication failure",
    -3: "internal address invalid",
    -4: "the instrument is busy",
}


def _crc_table() -> bytes:
    # CRC-8/MAXIM: polynomial 0x31, bits reflected, which makes it 0x8C shifted to the right.
    table = bytearray()
    for byte in range(256):
        register = byte
        for _ in range(8):
            register = register >> 1 ^ (0x8C if register & 1 else 0)
        table.append(register)
    return bytes(table)


_CRC: Final = _crc_table()


def crc8(data: bytes) -> int:
    """CRC-8/MAXIM of `data`, 0 … 255; that of ``b"123456789"`` is 0xA1."""
    register = 0
    for byte in data:
        register = _CRC[register ^ byte]
    return register


@dataclass(frozen=True, slots=True)
class Frame:
    """One message.

    Attributes
    ----------
    opcode : int
        What it is about, 0 … 255; that of a command has `SET` added.
    data : bytes
        Operands, or the answer.
    """

    opcode: int
    data: bytes = b""


def encode(frame: Frame) -> bytes:
    """Bytes of `frame`.

    Raises
    ------
    ParameterError
        If the data are longer than `MAXIMUM_DATA`.
    """
    if len(frame.data) > MAXIMUM_DATA:
        raise ParameterError("data", f"{len(frame.data)} bytes", f"at most {MAXIMUM_DATA} bytes")
    covered = (len(frame.data) + 1).to_bytes(2, "big") + bytes([frame.opcode]) + frame.data
    return bytes([_START]) + covered + bytes([crc8(covered), _END])


def status(byte: int) -> int:
    """The status a command is answered with, from the byte that carries it.

    The failures inside the instrument are numbered −1 … −4; taken to be sent as two's complement.
    """
    return byte - 256 if byte > 127 else byte


def frame_size(head: bytes | bytearray) -> int | None:
    """Bytes of the frame that begins with `head`, of at least three bytes; ``None`` if none can begin so."""
    length = int.from_bytes(head[1:_HEADER], "big")
    if head[0] != _START or not 1 <= length <= MAXIMUM_DATA + 1:
        return None
    return length + OVERHEAD - 1


class Decoder(IncrementalDecoder[Frame]):
    """Incremental decoder of messages."""

    @property
    def wanted(self) -> int:
        """Bytes that must still come before another frame can be complete; at least 1."""
        have = len(self._buffer)
        # `feed` leaves what can begin a frame at the start of the buffer.
        total = frame_size(self._buffer) if have >= _HEADER else None
        return max(1, (total or MINIMUM_FRAME) - have)

    def flush(self) -> list[Frame | FramingFault]:
        """Give up waiting for the rest of an unfinished frame, and look for another one inside it.

        What looked like a start mark may have been noise before the true one.
        """
        found: list[Frame | FramingFault] = []
        unfinished = len(self._buffer)
        while self._buffer:
            self._drop(1)
            found += self.feed(b"")
        if not any(isinstance(item, Frame) for item in found):
            self._skipped -= unfinished
            if self._skipped:
                found.append(self._noise())
            if unfinished:
                found.append(self._truncated(unfinished))
        self._skipped = 0
        return found

    def _at_start(self) -> bool:
        """Drop bytes up to the next start mark; whether the length is there behind it."""
        start = self._buffer.find(_START)
        self._drop(start if start >= 0 else len(self._buffer))
        return len(self._buffer) >= _HEADER

    def _take(self) -> Frame | FramingFault | None:
        """The frame or fault at the start of the buffer; ``None`` while more bytes are needed."""
        total = frame_size(self._buffer)
        if total is None:
            length = int.from_bytes(self._buffer[1:_HEADER], "big")
            return self._refuse(FaultKind.HEADER, f"its length field claims {length} bytes")
        if len(self._buffer) < total:
            return None
        frame = bytes(self._buffer[:total])
        if frame[-1] != _END:
            return self._refuse(FaultKind.FOOTER, "its end mark is missing")
        if crc8(frame[1:-2]) != frame[-2]:
            return self._refuse(FaultKind.CHECKSUM, "its checksum does not fit")
        del self._buffer[:total]
        return Frame(frame[_HEADER], frame[_HEADER + 1 : -2])


def decode_image(data: bytes, order: ByteOrder) -> npt.NDArray[np.int64]:
    """Counts of an image: two bytes per pixel and nothing else, no mark, no length, no checksum.

    Which byte comes first is documented for other Wasatch lines (SPI: the high one; USB, TCP: the low one)
    and not for the UART, and one lost byte swaps the roles of all that follow. Both leave traces: a spectrum
    changes little from pixel to pixel, its low bytes taken for high ones do not.

    Parameters
    ----------
    data : bytes
        The image.
    order : {"little", "big"}
        Which byte of a pixel comes first.

    Returns
    -------
    ndarray of int64, shape (n_pixels,)

    Raises
    ------
    ProtocolError
        If some stretch of the image is clearly smoother with the other byte first, or it ends within a pixel.
    """
    if len(data) % 2:
        raise ProtocolError(f"The image has {len(data)} bytes, half a pixel too many; scan again.")
    words = np.frombuffer(data, dtype="<u2" if order == "little" else ">u2")
    stretch = swapped_stretch(words)
    if stretch is not None:
        first, last = stretch
        if first == 0 and last == words.size:
            other = "big" if order == "little" else "little"
            raise ProtocolError(
                f"The image looks as if its bytes came in the other order; if every image does, set "
                f'pixel_byte_order = "{other}" in the protocol_options of the profile.'
            )
        raise ProtocolError(
            f"The image is out of step from pixel {first} to {last - 1}: a byte was lost or added on the "
            "line. It is not used; scan again."
        )
    return words.astype(np.int64)
