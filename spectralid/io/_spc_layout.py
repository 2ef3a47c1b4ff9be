"""The byte layout of Galactic SPC files: what the numbers in them are, not yet what they mean.

The layout is the one published by Galactic Industries in its software kit (SPC.H): a 512-byte header in the
new format (little- or big-endian), 256 bytes in the old one, then one or more traces and a log block.
Every count and offset is checked against the length of the file before anything is taken from it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from spectralid.errors import UnreadableFileError, UnsupportedContentError
from spectralid.io._binary import floats, need, text
from spectralid.spectrum import FloatArray

__all__ = [
    "NEW_LITTLE_ENDIAN",
    "VERSIONS",
    "SpcHeader",
    "Trace",
    "looks_like_spc",
    "read_header",
    "read_traces",
]

NEW_LITTLE_ENDIAN: Final = 0x4B
NEW_BIG_ENDIAN: Final = 0x4C
OLD: Final = 0x4D
VERSIONS: Final = (NEW_LITTLE_ENDIAN, NEW_BIG_ENDIAN, OLD)

_SHORT_INTEGERS: Final = 0x01
_MULTIFILE: Final = 0x04
_CUSTOM_LABELS: Final = 0x20
_X_PER_TRACE: Final = 0x40
_X_VALUES: Final = 0x80

_NEW_HEADER: Final = 512
_OLD_HEADER: Final = 256
_SUBHEADER: Final = 32
_LOG_HEADER: Final = 64
_LONGEST_LOG: Final = 64 * 1024  # real ones have a few kilobytes of text
_DIRECTORY_ENTRY: Final = 12
_FLOAT_EXPONENT: Final = -128  # 80h read as a signed byte

# A map of 300 × 300 positions fits; what claims more traces than this is damaged or made to fill the memory.
_MAXIMUM_TRACES: Final = 100_000
_HIGHEST_X_TYPE: Final = 30
_DOUBLE_INTERFEROGRAM: Final = 255
_Y_TYPES: Final = (*range(27), *range(128, 132))
_ZIP: Final = b"PK"


@dataclass(frozen=True, slots=True)
class SpcHeader:
    """What an SPC file says about itself.

    Attributes
    ----------
    version : int
        Second byte of the file: 4Bh new, 4Ch new with the high byte first, 4Dh old.
    flags : int
        First byte of the file.
    technique : int
        Code of the instrumental technique, 0 if it is not stated (always in the old format).
    exponent : int
        Power of two the integers are scaled by; -128 stands for IEEE floats.
    n_points, n_traces : int
        Points of a trace (of the directory's offset when each trace has its own x), and number of traces.
    first, last : float
        Ends of an evenly spaced axis.
    x_type, y_type, z_type : int
        Codes of the axes.
    z_step : float
        Step of an even z axis; 0 if the first trace gives it.
    w_planes : int
        Number of planes of a four-dimensional file, 0 for others.
    labels : tuple of str
        The file's own labels of x, y and z; empty where it relies on the codes.
    time : str
        Time of measurement in ISO 8601, or empty.
    time_as_written : str
        The date fields as numbers where they make no valid date, else empty.
    resolution, source, comment, method : str
        Texts of the header.
    log : mapping of str to str
        The entries ``key = value`` of the log block.
    log_text : str
        The other lines of the log block.
    log_damaged : bool
        Whether the log block is named but not (wholly) there.
    """

    version: int
    flags: int
    technique: int
    exponent: int
    n_points: int
    n_traces: int
    first: float
    last: float
    x_type: int
    y_type: int
    z_type: int
    z_step: float
    w_planes: int
    labels: tuple[str, str, str]
    time: str
    time_as_written: str
    resolution: str
    source: str
    comment: str
    method: str
    log: Mapping[str, str]
    log_text: str
    log_damaged: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """One curve of the file.

    Attributes
    ----------
    x, y : ndarray of float, shape (n_points,)
        As stored, in the units of the header.
    z, w : float
        Position along the third and fourth axis.
    """

    x: FloatArray
    y: FloatArray
    z: float
    w: float


def looks_like_spc(head: bytes) -> bool:
    """Whether the first bytes of a file can be an SPC header, judged by several of its fields.

    A ZIP archive has the version byte of the new format in the same place, so one field is not enough.
    """
    if len(head) < _OLD_HEADER or head[1] not in VERSIONS or head.startswith(_ZIP):
        return False
    if head[1] == OLD:
        points, first, last = struct.unpack_from("<3f", head, 4)
        x_type, y_type = head[16:18]
        counted = 1 <= points <= 1e7 and points == int(points)
    else:
        order = ">" if head[1] == NEW_BIG_ENDIAN else "<"
        (points,) = struct.unpack_from(f"{order}I", head, 4)
        first, last = struct.unpack_from(f"{order}2d", head, 8)
        x_type, y_type = head[28:30]
        counted = points < 2**31
    known = (x_type <= _HIGHEST_X_TYPE or x_type == _DOUBLE_INTERFEROGRAM) and y_type in _Y_TYPES
    return bool(counted and known and all(v == 0 or 1e-20 < abs(v) < 1e12 for v in (first, last)))


def _labels(raw: bytes, flags: int) -> tuple[str, str, str]:
    if not flags & _CUSTOM_LABELS:
        return "", "", ""
    parts = [part.decode("latin-1").strip() for part in raw.split(b"\0")] + ["", "", ""]
    return parts[0], parts[1], parts[2]


def _iso(year: int, month: int, day: int, hour: int, minute: int) -> str:
    try:
        moment = datetime(year, month, day, hour, minute)
    except ValueError:
        return ""
    return moment.isoformat(timespec="minutes") if 1970 <= year <= 2100 else ""


def _packed_time(packed: int) -> tuple[str, str]:
    year, month, day = packed >> 20, packed >> 16 & 15, packed >> 11 & 31
    hour, minute = packed >> 6 & 31, packed & 63
    if 70 <= year < 200:
        # LabSpec writes the fields of C's tm: years since 1900 and months from 0 (its own log block agrees).
        year, month = year + 1900, month + 1
    time = _iso(year, month, day, hour, minute)
    if time or not packed:
        return time, ""
    return "", f"{year}-{month}-{day} {hour}:{minute}"


def _parse_log(log: str) -> tuple[dict[str, str], str]:
    entries: dict[str, str] = {}
    rest: list[str] = []
    for line in log.replace("\r", "\n").split("\n"):
        key, equals, value = line.partition("=")
        if equals and key.strip():
            entries.setdefault(key.strip(), value.strip())
        elif line.strip():
            rest.append(line.strip())
    return entries, "\n".join(rest)


def _log(data: bytes, start: int, order: str) -> tuple[dict[str, str], str, bool]:
    # The curves are whole without the log, so a damaged log is reported, not fatal.
    if start == 0:
        return {}, "", False
    if start + _LOG_HEADER > len(data):
        return {}, "", True
    size, _, text_offset = struct.unpack_from(f"{order}3I", data, start)
    raw = data[start + text_offset : start + size][:_LONGEST_LOG]
    # Some writers claim more than they write; a text that is ended by its NUL is whole all the same.
    cut = start + size > len(data) or size > text_offset + _LONGEST_LOG
    damaged = text_offset > size or (cut and b"\0" not in raw)
    return *_parse_log(text(raw)), damaged


def read_header(data: bytes, file: str) -> SpcHeader:
    """Header of an SPC file.

    Parameters
    ----------
    data : bytes
        The whole file.
    file : str
        Its name, for messages.

    Raises
    ------
    UnreadableFileError
        If the file is shorter than a header or its version is unknown.
    """
    if len(data) < 2 or data[1] not in VERSIONS:
        raise UnreadableFileError(
            "this is no Galactic SPC file (its version byte is unknown); other makers use the extension .spc "
            "too. Export it as JCAMP-DX or two-column text.",
            file=file,
            where="byte 1",
        )
    if data[1] == OLD:
        return _old_header(data, file)
    order = ">" if data[1] == NEW_BIG_ENDIAN else "<"
    need(data, 0, _NEW_HEADER, "header", file)
    flags, version, technique, exponent, n_points = struct.unpack_from(f"{order}BBBbI", data, 0)
    first, last, n_traces = struct.unpack_from(f"{order}ddI", data, 8)
    packed_date, resolution, source = struct.unpack_from(f"{order}I9s9s", data, 32)
    comment, labels, log_start = struct.unpack_from(f"{order}130s30sI", data, 88)
    method, z_step, w_planes = struct.unpack_from(f"{order}48sfI", data, 264)
    time, time_as_written = _packed_time(packed_date)
    log, log_text, log_damaged = _log(data, log_start, order)
    return SpcHeader(
        version=version, flags=flags, technique=technique, exponent=exponent,
        n_points=n_points, n_traces=n_traces or 1, first=first, last=last,
        x_type=data[28], y_type=data[29], z_type=data[30], z_step=z_step, w_planes=w_planes,
        labels=_labels(labels, flags), time=time, time_as_written=time_as_written,
        resolution=text(resolution), source=text(source), comment=text(comment), method=text(method),
        log=log, log_text=log_text, log_damaged=log_damaged,
    )  # fmt: skip


def _old_header(data: bytes, file: str) -> SpcHeader:
    need(data, 0, _OLD_HEADER, "header", file)
    flags, version, exponent, n_points, first, last = struct.unpack_from("<BBhfff", data, 0)
    x_type, y_type, year, month, day, hour, minute, resolution = struct.unpack_from("<BBHBBBB8s", data, 16)
    comment, labels = struct.unpack_from("<130s30s", data, 64)
    if not (math.isfinite(n_points) and 0 <= n_points < 2**31):
        raise UnreadableFileError(
            "its number of points makes no sense; it is damaged.", file=file, where="byte 4"
        )
    # The high four bits of the year hold the type of the z axis.
    z_type, year = year >> 12, year & 0xFFF
    time = _iso(year, month, day, hour, minute)
    stride = _SUBHEADER + int(n_points) * (2 if flags & _SHORT_INTEGERS else 4)
    # The old format does not count its traces; they follow each other to the end of the file. A last one that
    # is not whole counts too, so that reading it reports the file as cut short.
    n_traces = max(1, -(-(len(data) - _OLD_HEADER + _SUBHEADER) // stride)) if flags & _MULTIFILE else 1
    return SpcHeader(
        version=version, flags=flags, technique=0, exponent=exponent,
        n_points=int(n_points), n_traces=n_traces, first=first, last=last,
        x_type=x_type, y_type=y_type, z_type=z_type, z_step=0.0, w_planes=0,
        labels=_labels(labels, flags),
        time=time, time_as_written="" if time or not year else f"{year}-{month}-{day} {hour}:{minute}",
        resolution=text(resolution), source="", comment=text(comment), method="",
        log={}, log_text="", log_damaged=False,
    )  # fmt: skip


def _axis(data: bytes, start: int, n_points: int, order: str, file: str) -> FloatArray:
    """Explicit x values, shape (n_points,)."""
    need(data, start, 4 * n_points, "x values", file)
    return floats(data, start, n_points, order)


def _even_axis(header: SpcHeader, file: str) -> FloatArray:
    # 1e12 is far beyond any spectroscopic axis in any unit and far from overflow.
    if not (abs(header.first) < 1e12 and abs(header.last) < 1e12):
        raise UnreadableFileError(
            "the ends of its axis are not numbers that make sense; it is damaged.", file=file, where="byte 8"
        )
    return np.linspace(header.first, header.last, header.n_points)


def _ordinates(
    data: bytes, header: SpcHeader, start: int, n_points: int, exponent: int, order: str
) -> FloatArray:
    """Scaled y values, shape (n_points,); the caller has checked that they are there."""
    if exponent == _FLOAT_EXPONENT:
        return floats(data, start, n_points, order)
    if header.flags & _SHORT_INTEGERS:
        return np.ldexp(np.frombuffer(data, f"{order}i2", n_points, start).astype(np.float64), exponent - 16)
    if header.version == OLD:
        # Old 32-bit integers keep their high 16-bit word first, each word low byte first.
        words = np.frombuffer(data, "<u2", 2 * n_points, start).astype(np.uint32)
        raw = (words[0::2] << 16 | words[1::2]).astype(np.uint32).view(np.int32)
    else:
        raw = np.frombuffer(data, f"{order}i4", n_points, start)
    return np.ldexp(raw.astype(np.float64), exponent - 32)


def _exponent(header: SpcHeader, of_trace: int) -> int:
    if not header.flags & _MULTIFILE:
        return header.exponent
    # Writers of float multifiles may leave the trace's own exponent at 0.
    if header.exponent == _FLOAT_EXPONENT and of_trace == 0:
        return _FLOAT_EXPONENT
    return of_trace


def _starts(data: bytes, header: SpcHeader, order: str, file: str) -> Iterator[int]:
    """Where each trace that brings its own x begins."""
    if header.n_points:
        need(data, header.n_points, _DIRECTORY_ENTRY * header.n_traces, "directory of traces", file)
        for i in range(header.n_traces):
            yield struct.unpack_from(f"{order}I", data, header.n_points + _DIRECTORY_ENTRY * i)[0]
        return
    start = _NEW_HEADER
    for _ in range(header.n_traces):
        yield start
        need(data, start, _SUBHEADER, "trace header", file)
        (n_points,) = struct.unpack_from(f"{order}I", data, start + 16)
        start += _SUBHEADER + n_points * (4 + _width(header, data, start))


def _width(header: SpcHeader, data: bytes, start: int) -> int:
    (of_trace,) = struct.unpack_from("b", data, start + 1)
    is_float = _exponent(header, of_trace) == _FLOAT_EXPONENT
    return 2 if header.flags & _SHORT_INTEGERS and not is_float else 4


def read_traces(data: bytes, header: SpcHeader, file: str) -> list[Trace]:
    """Every trace of the file.

    Parameters
    ----------
    data : bytes
        The whole file.
    header : SpcHeader
        What `read_header` gave for it.
    file : str
        Its name, for messages.

    Returns
    -------
    list of Trace
        At least one.

    Raises
    ------
    UnreadableFileError
        If the file is cut short or its numbers contradict each other.
    UnsupportedContentError
        If it uses a variant no file is known of.
    """
    if header.n_traces > _MAXIMUM_TRACES:
        raise UnreadableFileError(
            f"it claims to hold {header.n_traces} traces, more than any instrument writes; it is damaged.",
            file=file,
            where="byte 24",
        )
    if not -128 <= header.exponent <= 128:
        raise UnreadableFileError(
            f"the exponent of its intensities ({header.exponent}) makes no sense; it is damaged.",
            file=file,
            where="byte 2",
        )
    order = ">" if header.version == NEW_BIG_ENDIAN else "<"
    if header.version == OLD and (
        header.flags & (_X_PER_TRACE | _X_VALUES) or header.exponent in (_FLOAT_EXPONENT, 128)
    ):
        raise UnsupportedContentError(
            "it is an old-format SPC file with its own x values or with floats, which that format does not "
            "define; save it anew with the program that made it.",
            file=file,
            where="byte 0",
        )
    traces = (
        _separate(data, header, order, file)
        if header.flags & _X_PER_TRACE
        else _common(data, header, order, file)
    )
    return _with_z(traces, header)


def _common(data: bytes, header: SpcHeader, order: str, file: str) -> list[tuple[Trace, float]]:
    """Traces over one axis, each with the z of the next as its header tells it."""
    old = header.version == OLD
    start = _OLD_HEADER - _SUBHEADER if old else _NEW_HEADER
    n = header.n_points
    explicit = 4 * n if header.flags & _X_VALUES else 0
    # The least possible length is checked before the axis is made, so that a false count costs nothing.
    least = 2 if header.flags & _SHORT_INTEGERS else 4
    need(data, start, explicit + header.n_traces * (_SUBHEADER + n * least), "spectrum", file)
    x = _axis(data, start, n, order, file) if explicit else _even_axis(header, file)
    start += explicit
    traces = []
    for _ in range(header.n_traces):
        need(data, start, _SUBHEADER, "trace header", file)
        of_trace, z, z_next, w = _subheader(data, start, order)
        width = _width(header, data, start)
        start += _SUBHEADER
        need(data, start, n * width, "spectrum", file)
        y = _ordinates(data, header, start, n, _exponent(header, of_trace), order)
        start += n * width
        traces.append((Trace(x, y, z, w), z_next))
    return traces


def _separate(data: bytes, header: SpcHeader, order: str, file: str) -> list[tuple[Trace, float]]:
    """Traces that each bring their own x values."""
    traces = []
    taken = 0
    for start in _starts(data, header, order, file):
        need(data, start, _SUBHEADER, "trace header", file)
        of_trace, z, z_next, w = _subheader(data, start, order)
        (n,) = struct.unpack_from(f"{order}I", data, start + 16)
        width = _width(header, data, start)
        taken += _SUBHEADER + n * (4 + width)
        if taken > len(data):
            # Also met by a directory that names one trace many times over.
            raise UnreadableFileError(
                f"its {header.n_traces} traces claim more bytes than it has; it is cut short or damaged.",
                file=file,
                where=f"byte {start}",
            )
        need(data, start + _SUBHEADER, n * (4 + width), "spectrum", file)
        x = _axis(data, start + _SUBHEADER, n, order, file)
        y = _ordinates(data, header, start + _SUBHEADER + 4 * n, n, _exponent(header, of_trace), order)
        traces.append((Trace(x, y, z, w), z_next))
    return traces


def _subheader(data: bytes, start: int, order: str) -> tuple[int, float, float, float]:
    exponent, z, z_next = struct.unpack_from(f"{order}xbxxff", data, start)
    (w,) = struct.unpack_from(f"{order}f", data, start + 24)
    return exponent, z, z_next, w


def _with_z(traces: list[tuple[Trace, float]], header: SpcHeader) -> list[Trace]:
    first, z_next = traces[0]
    step = header.z_step or z_next - first.z
    if any(t.z != first.z for t, _ in traces) or not math.isfinite(step):
        return [trace for trace, _ in traces]
    # An evenly spaced z axis may be given by its start and step alone.
    return [Trace(t.x, t.y, first.z + i * step, t.w) for i, (t, _) in enumerate(traces)]
