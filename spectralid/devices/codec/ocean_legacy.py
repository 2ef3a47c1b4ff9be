"""Ocean Optics' older RS-232 protocol: commands, their answers, and the record that holds a spectrum.

From the vendor's manuals of the SAD500 serial adapter ("Communications and Control", pages 2 to 18) and of
the Flame-S (225-00000-000-11-201604, pages 91 to 116). A command is a letter, then data: words of 16 bits,
most significant byte first, or in ASCII mode decimal numbers that end with a carriage return. The answer is
ACK or NAK, then data. A spectrum is a record between the words FFFF and FFFD, which also occur inside it: its
length follows from the number of pixels asked for, never from its marks.

Where the manuals leave something open, the choice made here is named in the docstring of what makes it.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from spectralid.devices.codec.faults import Checksum, FaultKind, FramingFault
from spectralid.devices.codec.incremental import IncrementalDecoder
from spectralid.errors import ParameterError

__all__ = [
    "ACK",
    "BAUD_CODES",
    "CONSTANT_LENGTH",
    "ETX",
    "NAK",
    "STX",
    "Answer",
    "AnswerDecoder",
    "Dialect",
    "Expect",
    "Layout",
    "Mode",
    "PixelMode",
    "Record",
    "RecordDecoder",
    "TextRecordDecoder",
    "encode",
    "read_version",
]

ACK: Final = 0x06
NAK: Final = 0x15
STX: Final = 0x02
ETX: Final = 0x03

BAUD_CODES: Final = {2400: 0, 4800: 1, 9600: 2, 19200: 3, 38400: 4, 57600: 5, 115200: 6}
"""Bits per second → operand of ``K``."""

CONSTANT_LENGTH: Final = 15
"""Longest stored constant, in characters."""

_WORD: Final = 0xFFFF
_START: Final = b"\xff\xff"
_END: Final = b"\xff\xfd"
_HEADER_WORDS: Final = 7
# In a compressed record this byte says that the next two are a value and not a difference.
_ABSOLUTE: Final = 0x80
# Pixel modes with these bits added are the same modes, compressed or with a dark reading for every pixel.
_COMPRESSED_BIT: Final = 0x100
_BLANK: Final = b" \t\r\n,"
_END_OF_CONSTANT: Final = re.compile(rb"[\x00\r\n]")
Counts = npt.NDArray[np.int64]


class Dialect(StrEnum):
    """Which of the two documented records an instrument sends."""

    SAD500 = "sad500"
    FLAME = "flame"


class Mode(StrEnum):
    """How numbers go over the line."""

    BINARY = "binary"
    ASCII = "ascii"


# The answer to `v`: nothing behind it, or else nothing before it but its echo.
_VERSIONS: Final = (
    (Mode.ASCII, re.compile(rb"\x06\s*([0-9]{1,5})\s*\Z")),
    (Mode.BINARY, re.compile(rb"\x06(..)\Z", re.DOTALL)),
    (Mode.ASCII, re.compile(rb"\Av*\s*\x06\s*([0-9]{1,5})(?![0-9])")),
    (Mode.BINARY, re.compile(rb"\Av*\x06(..)", re.DOTALL)),
)


class Expect(StrEnum):
    """What follows the ACK of an answer."""

    NOTHING = "nothing"
    WORD = "word"
    CONSTANT = "constant"


def encode(name: str, *words: int, mode: Mode = Mode.BINARY) -> bytes:
    """Bytes of a command.

    Parameters
    ----------
    name : str
        Its letter or letters, like ``"I"`` or ``"?I"``.
    *words : int
        Its operands, 0 to 65535.
    mode : Mode
        How the instrument wants numbers.

    Raises
    ------
    ParameterError
        If an operand is no word.
    """
    for word in words:
        if not 0 <= word <= _WORD:
            raise ParameterError(f"operand of {name}", word, "a whole number from 0 to 65535")
    if mode is Mode.ASCII:
        data = b"".join(b"%d\r" % word for word in words)
    else:
        data = struct.pack(f">{len(words)}H", *words)
    return name.encode("ascii") + data


def read_version(received: bytes) -> tuple[Mode, int] | None:
    """Mode of an instrument and its version, from what came after ``v``; noise before or behind is ignored.

    The manuals name this as the way to tell the modes apart. Binary versions whose two bytes are digits
    (12.336 and above) would be taken for ASCII; the highest version in the manuals is 1020, for 1.02.0.

    Returns
    -------
    (Mode, int) or None
        ``None`` if there is no answer to ``v``.
    """
    for mode, pattern in _VERSIONS:
        if found := pattern.search(received):
            word = found[1]
            return mode, int(word) if mode is Mode.ASCII else int.from_bytes(word, "big")
    return None


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer to a command.

    Attributes
    ----------
    accepted : bool
        ACK, not NAK.
    word : int
        The number that came with it; 0 without one.
    constant : bytes
        The stored constant that came with it; empty without one.
    """

    accepted: bool
    word: int = 0
    constant: bytes = b""


class AnswerDecoder:
    """Incremental decoder of the answer to one command.

    What was sent may come back before the answer: an instrument in ASCII mode echoes it, and some adapters
    do. An answer never begins with a letter, so the two cannot be confused.

    How a constant ends is not documented: a zero byte, a line end, 15 characters, or silence end it here.

    Parameters
    ----------
    command : bytes
        The command as sent.
    mode : Mode
        How numbers come.
    expect : Expect
        What follows the ACK.
    """

    def __init__(self, command: bytes, mode: Mode, expect: Expect) -> None:
        self._command = command
        self._mode = mode
        self._expect = expect
        self._buffer = bytearray()
        self.rest = b""
        """Bytes behind the answer, once there is one."""

    @property
    def wanted(self) -> int:
        """Bytes that must still come at least."""
        if self._mode is Mode.BINARY and self._expect is Expect.WORD:
            start = len(self._command) if self._buffer[:1] == self._command[:1] else 0
            return max(1, start + 3 - len(self._buffer)) if self._buffer else 1
        return 1

    def feed(self, data: bytes) -> Answer | FramingFault | None:
        """Take `data` in; the answer or what is wrong with it, or ``None`` while it is not complete."""
        self._buffer += data
        return self._read(final=False)

    def flush(self) -> Answer | FramingFault | None:
        """Nothing more will come: what there is, or ``None`` if nothing came."""
        if not self._buffer:
            return None
        found = self._read(final=True)
        return found or FramingFault(FaultKind.TRUNCATED, f"it broke off after {len(self._buffer)} bytes")

    def _read(self, *, final: bool) -> Answer | FramingFault | None:
        data = bytes(self._buffer)
        while data[:1] == self._command[:1]:
            if not self._command.startswith(data[: len(self._command)]):
                return FramingFault(FaultKind.NOISE, "what came back is not what was sent")
            if len(data) < len(self._command):
                return None
            data = data[len(self._command) :]
        if self._mode is Mode.ASCII:
            data = data.lstrip(_BLANK)
        if not data:
            return None
        if data[0] == NAK:
            self.rest = data[1:]
            return Answer(accepted=False)
        if data[0] != ACK:
            return FramingFault(
                FaultKind.NOISE, f"it begins with the byte {data[0]:#04x}, neither ACK nor NAK"
            )
        return self._value(data[1:], final=final)

    def _value(self, data: bytes, *, final: bool) -> Answer | FramingFault | None:
        if self._expect is Expect.NOTHING:
            self.rest = data
            return Answer(accepted=True)
        if self._expect is Expect.CONSTANT:
            end = _END_OF_CONSTANT.search(data)
            length = end.start() if end else len(data)
            if not end and not final and length < CONSTANT_LENGTH:
                return None
            length = min(length, CONSTANT_LENGTH)
            self.rest = data[length:]
            return Answer(accepted=True, constant=data[:length])
        if self._mode is Mode.BINARY:
            if len(data) < 2:
                return None
            self.rest = data[2:]
            return Answer(accepted=True, word=int.from_bytes(data[:2], "big"))
        return self._number(data, final=final)

    def _number(self, data: bytes, *, final: bool) -> Answer | FramingFault | None:
        data = data.lstrip(_BLANK)
        length = next((i for i, byte in enumerate(data) if byte in _BLANK), len(data))
        digits = data[:length]
        if digits and not (digits.isdigit() and int(digits) <= _WORD):
            return FramingFault(FaultKind.NOISE, "what should be a number from 0 to 65535 is none")
        if not digits or (length == len(data) and not final):
            return None
        self.rest = data[length:].lstrip(_BLANK)
        return Answer(accepted=True, word=int(digits))


@dataclass(frozen=True, slots=True)
class PixelMode:
    """Which pixels a record holds: operands of ``P``.

    The order of operands is that of the SAD500's manual; for mode 5, which only the Flame's has, it is the
    number of ranges and then first and last pixel of each. Last pixels belong to what is sent.

    Attributes
    ----------
    mode : int
        0 all; 1 every n-th; 2 every n-th, averaged (SAD500); 3 from x to y every n; 4 a list; 5 ranges.
    operands : tuple of int
        What follows the mode.
    """

    mode: int = 0
    operands: tuple[int, ...] = ()

    def indices(self, pixels: int) -> npt.NDArray[np.intp]:
        """Numbers of the pixels sent, of a detector with `pixels`, from 0.

        Raises
        ------
        ParameterError
            If mode and operands do not fit each other or the detector.
        """
        match self.mode, self.operands:
            case 0, ():
                chosen = np.arange(pixels)
            case 1 | 2, (step,) if step > 0:
                chosen = np.arange(0, pixels, step)
            case 3, (first, last, step) if first <= last and step > 0:
                chosen = np.arange(first, last + 1, step)
            case 4, (count, *listed) if 0 < count == len(listed):
                chosen = np.array(listed)
            case 5, (count, *edges) if 0 < 2 * count == len(edges) and all(
                a <= b for a, b in zip(edges[::2], edges[1::2], strict=True)
            ):
                pairs = zip(edges[::2], edges[1::2], strict=True)
                chosen = np.concatenate([np.arange(a, b + 1) for a, b in pairs])
            case _:
                chosen = np.array([-1])
        if chosen.min() < 0 or chosen.max() >= pixels:
            raise ParameterError(
                "pixel mode", (self.mode, *self.operands), f"one that chooses from pixels 0 to {pixels - 1}"
            )
        return chosen


@dataclass(frozen=True)
class Layout:
    """What a record looks like under the settings made.

    Attributes
    ----------
    dialect : Dialect
        Whose record.
    pixels : int
        Pixels of the detector.
    pixel_mode : PixelMode
        Which of them are sent.
    scans : int
        Scans added up.
    compressed : bool
        Whether differences are sent (``G``).
    checksum : bool
        Whether a checksum follows (``k``).
    double_words_by : {"words", "points"}
        What the checksum of double words adds up: the manuals say "spectral points" and show words only.
    """

    dialect: Dialect
    pixels: int
    pixel_mode: PixelMode = PixelMode()
    scans: int = 1
    compressed: bool = False
    checksum: bool = False
    double_words_by: Literal["words", "points"] = "words"

    def __post_init__(self) -> None:
        if self.compressed and self.wide:
            raise ParameterError(
                "compression",
                "scans that are added up",
                "off: how double words are compressed is not documented",
            )

    @cached_property
    def points(self) -> int:
        """Values in the record."""
        return int(self.pixel_mode.indices(self.pixels).size)

    @property
    def wide(self) -> bool:
        """Whether values are double words: sums of several scans of the Flame class."""
        return self.dialect is Dialect.FLAME and self.scans > 1

    @property
    def header_words(self) -> int:
        """Words before the data."""
        return _HEADER_WORDS + len(self.pixel_mode.operands)

    @property
    def shortest(self) -> int:
        """Fewest bytes of the record, STX not counted."""
        per_point = 1 if self.compressed else 4 if self.wide else 2
        return 2 * self.header_words + per_point * self.points + len(_END) + 2 * self.checksum

    @property
    def longest(self) -> int:
        """Most bytes of the record, STX not counted."""
        return self.shortest + 2 * self.points * self.compressed

    @property
    def longest_text(self) -> int:
        """Most bytes of the record in ASCII mode: digits and a line end of two bytes for each number."""
        return (12 if self.wide else 7) * (self.header_words + self.points + 2)

    def wrong_header(self, header: tuple[int, ...]) -> str:
        """What makes a header impossible under this layout, or an empty string."""
        kind, second = header[1], header[2]
        mode = header[6]
        if header[0] != _WORD:
            return "its start mark is missing"
        if self.dialect is Dialect.FLAME:
            if kind != int(self.wide):
                return f"its data size flag is {kind} where {int(self.wide)} fits the settings"
            if second != self.scans:
                return f"it holds {second} scans where {self.scans} were asked for"
        elif kind > 7:
            return f"it comes from channel {kind}, and there are eight"
        may_differ = _COMPRESSED_BIT if self.compressed else 0
        if mode & ~may_differ != self.pixel_mode.mode:
            return f"it is in pixel mode {mode} where {self.pixel_mode.mode} was set"
        if header[_HEADER_WORDS:] != self.pixel_mode.operands:
            return f"it chooses the pixels {header[_HEADER_WORDS:]} where {self.pixel_mode.operands} was set"
        return ""


@dataclass(frozen=True, eq=False)
class Record:
    """A spectrum as sent.

    Attributes
    ----------
    counts : ndarray of int64, shape (points,)
        Counts, summed over the scans added up.
    header : tuple of int
        Words before the data, the start mark first.
    dialect : Dialect
        Whose record.
    checksum : Checksum
        Whether a checksum proved the counts.
    sent : bytes
        The record as it came, from start mark to end mark.
    """

    counts: Counts
    header: tuple[int, ...]
    dialect: Dialect
    checksum: Checksum
    sent: bytes

    @property
    def integration_ms(self) -> int:
        """Integration time the frame was taken with, in ms."""
        return self.header[3 if self.dialect is Dialect.FLAME else 4]

    @property
    def channel(self) -> int:
        """Channel of the SAD500; 0 for the Flame class, which has one."""
        return 0 if self.dialect is Dialect.FLAME else self.header[1]

    @property
    def counter(self) -> int | None:
        """Integration cycles since power-up, modulo 65536 (SAD500)."""
        return None if self.dialect is Dialect.FLAME else self.header[5]


class RecordDecoder(IncrementalDecoder[Record]):
    """Incremental decoder of records in binary mode.

    The manuals say that the first pixel of a compressed record is sent uncompressed, and their example sends
    it as 80 hi lo. Both are read: a first byte of 80 is taken for the mark. Were it the high byte of an
    unmarked value, everything after would be one byte off and the end mark would not be where it belongs.

    Parameters
    ----------
    layout : Layout
        What a record looks like.
    after_stx : bool
        Whether STX comes before a record, as after ``S``.
    """

    _unit = "record"

    def __init__(self, layout: Layout, *, after_stx: bool = True) -> None:
        super().__init__()
        self._layout = layout
        self._mark = bytes([STX]) * after_stx + _START
        self._begin = int(after_stx)
        self._data = self._begin + 2 * layout.header_words
        self._rewind()

    def _rewind(self) -> None:
        # How far a compressed record has been counted: place in the buffer, and pixels before it.
        self._place = self._data
        self._seen = 0

    @property
    def wanted(self) -> int:
        """Bytes that must still come before another record can be complete; at least 1."""
        layout = self._layout
        missing = self._begin + layout.shortest - len(self._buffer)
        if layout.compressed:
            tail = len(_END) + 2 * layout.checksum
            missing = max(missing, self._place + layout.points - self._seen + tail - len(self._buffer))
        return max(1, missing)

    def flush(self) -> list[Record | FramingFault]:
        """Give up waiting: drop the unfinished record."""
        found = super().flush()
        self._rewind()
        return found

    def _drop(self, count: int) -> None:
        super()._drop(count)
        self._rewind()

    def _at_start(self) -> bool:
        """Drop bytes up to the next start mark; whether there is a header's worth behind it."""
        start = self._buffer.find(self._mark)
        if start < 0:
            # The last bytes may be the first part of a start mark.
            keep = next(k for k in (2, 1, 0) if k < len(self._mark) and self._buffer.endswith(self._mark[:k]))
            start = len(self._buffer) - keep
        if start:
            self._drop(start)
        return len(self._buffer) >= self._data

    def _take(self) -> Record | FramingFault | None:
        """The record or fault at the start of the buffer; ``None`` while more bytes are needed."""
        layout = self._layout
        header = struct.unpack_from(f">{layout.header_words}H", self._buffer, self._begin)
        if wrong := layout.wrong_header(header):
            return self._refuse(FaultKind.HEADER, wrong)
        end = self._end_of_data()
        stop = end + len(_END) + 2 * layout.checksum
        if end < 0 or len(self._buffer) < stop:
            return None
        sent = bytes(self._buffer[self._begin : end + len(_END)])
        if not sent.endswith(_END):
            return self._refuse(FaultKind.FOOTER, "its end mark is not where its last pixel ends")
        data = bytes(self._buffer[self._data : end])
        counts, total = _decompressed(data) if layout.compressed else _plain(data, layout)
        if counts is None:
            return self._refuse(FaultKind.CHECKSUM, "its differences lead below 0 or above 65535")
        if layout.checksum and total != int.from_bytes(self._buffer[stop - 2 : stop], "big"):
            return self._refuse(FaultKind.CHECKSUM, "its checksum does not fit")
        del self._buffer[:stop]
        self._rewind()
        return Record(counts, header, layout.dialect, _proof(layout), sent)

    def _end_of_data(self) -> int:
        """Where the data of the record at the start of the buffer end; −1 while that cannot be told."""
        layout = self._layout
        if not layout.compressed:
            return self._begin + layout.shortest - len(_END) - 2 * layout.checksum
        while self._seen < layout.points:
            if self._place >= len(self._buffer):
                return -1
            absolute = self._buffer[self._place] == _ABSOLUTE
            self._place += 3 if absolute else 2 if not self._seen else 1
            self._seen += 1
        return self._place


def _proof(layout: Layout) -> Checksum:
    # A sum over points leaves the high words of double words unproved.
    proved = layout.checksum and (not layout.wide or layout.double_words_by == "words")
    return Checksum.VERIFIED if proved else Checksum.ABSENT


def _plain(data: bytes, layout: Layout) -> tuple[Counts, int]:
    """Counts of uncompressed data, and their checksum."""
    counts = np.frombuffer(data, dtype=">u4" if layout.wide else ">u2").astype(np.int64)
    added = counts if layout.double_words_by == "points" else np.frombuffer(data, dtype=">u2")
    return counts, int(added.sum(dtype=np.int64)) & _WORD


def _decompressed(data: bytes) -> tuple[Counts | None, int]:
    """Counts of compressed data (``None`` if a difference leads out of range), and their checksum."""
    counts: list[int] = []
    total = value = place = 0
    while place < len(data):
        byte = data[place]
        if byte == _ABSOLUTE or not counts:
            place += byte == _ABSOLUTE
            value = int.from_bytes(data[place : place + 2], "big")
            total += value + (_ABSOLUTE if byte == _ABSOLUTE else 0)
            place += 2
        else:
            value += byte - 0x100 if byte > _ABSOLUTE else byte
            total += byte
            place += 1
        counts.append(value)
    made = np.array(counts, dtype=np.int64)
    in_range = made.min() >= 0 and made.max() <= _WORD
    return (made if in_range else None), total & _WORD


class TextRecordDecoder:
    """Incremental decoder of one record in ASCII mode.

    That a record then consists of decimal numbers with blanks, commas or line ends between them follows from
    the manuals' description of the mode; they show no example.

    Parameters
    ----------
    layout : Layout
        What the record looks like; never compressed.
    """

    def __init__(self, layout: Layout) -> None:
        if layout.compressed:
            raise ParameterError("compression", "ASCII mode", "off: its form in ASCII mode is not documented")
        self._layout = layout
        self._buffer = bytearray()
        self._begun = False
        self._numbers: list[int] = []

    @property
    def wanted(self) -> int:
        """Bytes that must still come at least: a digit and a blank for each number."""
        return max(1, 2 * (self._total - len(self._numbers)) - len(self._buffer))

    @property
    def _total(self) -> int:
        return self._layout.header_words + self._layout.points + 1 + self._layout.checksum

    def feed(self, data: bytes) -> list[Record | FramingFault]:
        """Take `data` in and return what it completes."""
        self._buffer += data
        if not self._begun:
            start = self._buffer.find(STX)
            self._begun = start >= 0
            del self._buffer[: start + 1 if self._begun else len(self._buffer)]
        # Behind the last blank a number may be incomplete.
        whole = max(map(self._buffer.rfind, (bytes([b]) for b in _BLANK))) + 1
        return self._take(whole)

    def flush(self) -> list[Record | FramingFault]:
        """Nothing more will come: the record if only its last blank is missing, else what is wrong."""
        found = self._take(len(self._buffer))
        if not found and (self._begun or self._numbers):
            found = [FramingFault(FaultKind.TRUNCATED, f"it broke off after {len(self._numbers)} numbers")]
        self._reset()
        return found

    def _reset(self) -> None:
        self._buffer.clear()
        self._numbers.clear()
        self._begun = False

    def _take(self, whole: int) -> list[Record | FramingFault]:
        text = bytes(self._buffer[:whole])
        del self._buffer[:whole]
        largest = 0xFFFFFFFF if self._layout.wide else _WORD
        for piece in text.replace(b",", b" ").split():
            if not piece.isdigit() or len(piece) > 10 or int(piece) > largest:
                self._reset()
                return [FramingFault(FaultKind.NOISE, f"{piece[:12]!r} is no number of a record")]
            self._numbers.append(int(piece))
            if len(self._numbers) == self._total:
                return [self._record()]
        if len(self._buffer) > 12:
            self._reset()
            return [FramingFault(FaultKind.NOISE, "it is no sequence of numbers")]
        return []

    def _record(self) -> Record | FramingFault:
        layout = self._layout
        header = tuple(self._numbers[: layout.header_words])
        data = self._numbers[layout.header_words : layout.header_words + layout.points]
        end = self._numbers[layout.header_words + layout.points]
        total = self._numbers[-1]
        self._reset()
        if wrong := layout.wrong_header(header):
            return FramingFault(FaultKind.HEADER, wrong)
        if end != int.from_bytes(_END, "big"):
            return FramingFault(FaultKind.FOOTER, "its end mark is not where its last pixel ends")
        # The same words as in binary mode, so that there is one rule for the checksum and one for the hash.
        packed = struct.pack(f">{layout.points}{'I' if layout.wide else 'H'}", *data)
        counts, expected = _plain(packed, layout)
        if layout.checksum and total != expected:
            return FramingFault(FaultKind.CHECKSUM, "its checksum does not fit")
        sent = struct.pack(f">{len(header)}H", *header) + packed + _END
        return Record(counts, header, layout.dialect, _proof(layout), sent)
