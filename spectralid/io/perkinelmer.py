"""PerkinElmer Spectrum files (SP, block form: ``PEPE2D constant interval DataSet file``).

A file is a 44-byte title and a tree of blocks, each a 16-bit number, a 32-bit length and its content. The
curve lies in the members of block 120; a member's content begins with a code of its type.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from spectralid.errors import InvalidSpectrumError, UnreadableFileError, UnsupportedContentError
from spectralid.io._binary import need
from spectralid.io._registry import Format, ReadOptions, Source
from spectralid.spectrum import Acquisition, IntensityUnit, Spectrum, Technique

__all__ = ["FORMAT"]

_MAGIC: Final = b"PEPE2D constant interval"
_FAMILY: Final = b"PEPE"
_TITLE_BYTES: Final = 44
_BLOCK_HEADER: Final = 6

_CURVE: Final = 120
# Members of the curve.
_X_RANGE: Final = -29838
_X_STEP: Final = -29836
_POINTS: Final = -29835
_X_UNIT: Final = -29833
_Y_UNIT: Final = -29832
_VALUES: Final = -29828
_FILE_NAME: Final = -29827
_HISTORY: Final = -29825
_NAME: Final = -29823

# Name of the ordinate in the file: unit of ours, and what to multiply by to get it.
_ORDINATES: Final[Mapping[str, tuple[IntensityUnit, float]]] = {
    "A": (IntensityUnit.ABSORBANCE, 1.0),
    "%T": (IntensityUnit.PERCENT_TRANSMITTANCE, 1.0),
    "T": (IntensityUnit.TRANSMITTANCE, 1.0),
    "%R": (IntensityUnit.REFLECTANCE, 0.01),
    "KM": (IntensityUnit.KUBELKA_MUNK, 1.0),
}
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE: Final = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z]{2}) +(\d{1,2}) (\d\d:\d\d:\d\d) (\d{4})"
)


def _sniff(source: Source) -> float:
    return 0.99 if source.data.startswith(_FAMILY) else 0.0


def _blocks(data: bytes, start: int, end: int, file: str) -> Iterator[tuple[int, int, int]]:
    """Number, first byte and length of each block between two places."""
    while start + _BLOCK_HEADER <= end:
        number, size = struct.unpack_from("<hi", data, start)
        start += _BLOCK_HEADER
        if size < 0 or start + size > end:
            need(data, start, max(size, 0), "block", file)
            raise UnreadableFileError(
                "a block reaches beyond the one that holds it; the file is damaged.",
                file=file,
                where=f"byte {start}",
            )
        yield number, start, size
        start += size


def _members(data: bytes, file: str) -> dict[int, bytes]:
    curve = next((b for b in _blocks(data, _TITLE_BYTES, len(data), file) if b[0] == _CURVE), None)
    if curve is None:
        raise UnreadableFileError(
            "it names no curve; it is damaged.", file=file, where=f"byte {_TITLE_BYTES}"
        )
    _, start, size = curve
    return {number: data[at : at + n] for number, at, n in _blocks(data, start, start + size, file)}


def _text(content: bytes) -> str:
    """Text member: type, 16-bit length, characters."""
    return content[4:].decode("latin-1").strip("\0 ")


def _doubles(
    members: Mapping[int, bytes], number: int, count: int, what: str, file: str
) -> tuple[float, ...]:
    content = members.get(number, b"")
    if len(content) < 2 + 8 * count:
        raise UnreadableFileError(f"its {what} is missing; it is damaged.", file=file)
    values: tuple[float, ...] = struct.unpack_from(f"<{count}d", content, 2)
    return values


def _axis_ends(members: Mapping[int, bytes], n_points: int, file: str) -> tuple[float, float]:
    first, last = _doubles(members, _X_RANGE, 2, "axis range", file)
    (step,) = _doubles(members, _X_STEP, 1, "axis step", file)
    # The file says it twice; a difference means that one of them is damaged.
    if n_points < 2 or not math.isclose(last - first, step * (n_points - 1), rel_tol=1e-6):
        raise UnreadableFileError(
            f"its axis range ({first:g} to {last:g}), step ({step:g}) and number of points ({n_points}) "
            "contradict each other; it is damaged.",
            file=file,
        )
    return first, last


def _read(source: Source, options: ReadOptions) -> list[Spectrum]:  # noqa: ARG001  (the file states all)
    file = source.name
    if not source.data.startswith(_MAGIC):
        raise UnsupportedContentError(
            "this kind of PerkinElmer file (an image, a list or another layout) is not read here; export the "
            "spectrum as JCAMP-DX, SPC or ASCII.",
            file=file,
        )
    members = _members(source.data, file)
    values = members.get(_VALUES, b"")
    points = members.get(_POINTS, b"")
    n_points = struct.unpack_from("<i", points, 2)[0] if len(points) >= 6 else -1
    # Type, 32-bit length in bytes, doubles.
    if n_points < 0 or len(values) != 6 + 8 * n_points:
        raise UnreadableFileError(
            f"it names {n_points} points and holds {max(0, len(values) - 6) // 8}; it is damaged.", file=file
        )
    first, last = _axis_ends(members, n_points, file)
    x_unit, y_unit = _text(members.get(_X_UNIT, b"")), _text(members.get(_Y_UNIT, b""))
    if x_unit.lower() != "cm-1":
        raise UnsupportedContentError(
            f"its x axis is in {x_unit or 'no unit'}, not in cm⁻¹, as of UV-Vis or other spectra; spectralid "
            "works on Raman and infrared spectra.",
            file=file,
        )
    unit, scale = _ORDINATES.get(y_unit, (IntensityUnit.ARBITRARY, 1.0))
    name = _text(members.get(_NAME, b"")) or Path(file).stem
    metadata = {"y_type": y_unit, "original_file": _text(members.get(_FILE_NAME, b""))}
    try:
        spectrum = Spectrum.from_points(
            np.linspace(first, last, n_points),
            np.frombuffer(values, "<f8", n_points, 6) * scale,
            technique=Technique.FTIR if y_unit in _ORDINATES else Technique.UNKNOWN,
            unit=unit,
            acquisition=Acquisition(
                time=_time(members.get(_HISTORY, b"")),
                metadata={key: value for key, value in metadata.items() if value},
            ),
            name=name,
            source=file,
        )
    except InvalidSpectrumError as error:
        raise UnreadableFileError(str(error), file=file) from None
    return [spectrum]


def _time(history: bytes) -> str:
    found = _DATE.search(history)
    if found is None or found[1].decode() not in _MONTHS:
        return ""
    month, day, clock, year = (part.decode() for part in found.groups())
    return f"{year}-{_MONTHS.index(month) + 1:02d}-{int(day):02d}T{clock}"


FORMAT: Final = Format(
    name="perkinelmer",
    title="PerkinElmer Spectrum SP",
    extensions=(".sp",),
    sniff=_sniff,
    read=_read,
)
