"""Renishaw WiRE files (.wdf), read by the package renishawWiRE after the counts in them were checked."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from spectralid.errors import MissingDependencyError, UnreadableFileError, UnsupportedContentError
from spectralid.io._assemble import Axis, make_axis, make_spectrum
from spectralid.io._contain import contained, temporary_file
from spectralid.io._registry import Format, ReadOptions, Source
from spectralid.io._text_header import AxisKind, Header
from spectralid.spectrum import Acquisition, IntensityUnit, Spectrum

__all__ = ["FORMAT"]

_MAGIC: Final = b"WDF1"
_HEADER_BYTES: Final = 512
_BLOCK_HEAD: Final = struct.Struct("<4sIQ")
_COUNTS: Final = struct.Struct("<IQQIIII")
_COUNTS_AT: Final = 0x3C
_STARTED_AT: Final = 0x88
_MAXIMUM_BLOCKS: Final = 10_000

# What the spectra need. White-light pictures and map shapes are left out: they bring picture decoding and
# plausibility checks of their own, and a map is read as a list of spectra with positions.
_WANTED: Final = (b"WDF1", b"DATA", b"XLST", b"YLST", b"ORGN")
_AXES: Final[dict[str, AxisKind | None]] = {
    "RamanShift": AxisKind.SHIFT,
    "Nanometre": AxisKind.NANOMETRE,
    "Arbitrary": None,
}
_POSITIONS: Final = {"Spatial_X": "x_um", "Spatial_Y": "y_um", "Spatial_Z": "z_um"}


@dataclass(frozen=True, slots=True)
class _Layout:
    """Blocks of a WDF file that were found to lie inside it, and the counts of its header."""

    blocks: tuple[tuple[bytes, int, int], ...]
    points: int
    spectra: int

    def without(self, data: bytes, *names: bytes) -> bytes:
        """A WDF file of the wanted blocks except `names`."""
        return b"".join(
            data[start : start + size]
            for name, start, size in self.blocks
            if name in _WANTED and name not in names
        )


def _sniff(head: Source) -> float:
    return 1.0 if head.data[:4] == _MAGIC and len(head.data) >= 16 else 0.0


def _check(source: Source) -> _Layout:
    """Walk the blocks and hold the header's counts against their sizes, before anything is allocated."""
    data = source.data
    if len(data) < _HEADER_BYTES:
        raise UnreadableFileError("it ends inside its header: it is truncated.", file=source.name)
    blocks: list[tuple[bytes, int, int]] = []
    at = 0
    while at + _BLOCK_HEAD.size <= len(data):
        name, _, size = _BLOCK_HEAD.unpack_from(data, at)
        if size < _BLOCK_HEAD.size or len(blocks) >= _MAXIMUM_BLOCKS:
            raise UnreadableFileError("its list of blocks is damaged.", file=source.name, where=f"byte {at}")
        if at + size > len(data):
            if name in _WANTED:
                raise UnreadableFileError(
                    f"its {name.decode('ascii')} block ends {at + size - len(data)} bytes after the file: it "
                    "is truncated; copy it from the instrument again.",
                    file=source.name,
                    where=f"byte {at}",
                )
            break
        blocks.append((name, at, size))
        at += size
    points, capacity, count, _, ylist, xlist, origins = _COUNTS.unpack_from(data, _COUNTS_AT)
    sizes = {name: size for name, _, size in blocks}
    needed = {
        b"DATA": 16 + 4 * points * count,
        b"XLST": 24 + 4 * xlist,
        b"YLST": 24 + 4 * ylist if b"YLST" in sizes else 0,
        b"ORGN": 20 + origins * (24 + 8 * capacity) if b"ORGN" in sizes else 0,
    }
    for name, size in needed.items():
        if size > sizes.get(name, 0):
            raise UnreadableFileError(
                f"its header promises {count} spectra of {points} points, more than its "
                f"{name.decode('ascii')} block holds: it is damaged or unfinished.",
                file=source.name,
            )
    if xlist != points or count < 1 or points < 2:
        raise UnreadableFileError(
            f"its header promises {count} spectra of {points} points on an axis of {xlist}: nothing was "
            "measured, or it is damaged.",
            file=source.name,
        )
    return _Layout(tuple(blocks), points, count)


def _package(source: Source, data: bytes) -> dict[str, Any]:
    """What the package reads from a file of the given bytes, as plain values."""
    try:
        from renishawWiRE import WDFReader
    except ImportError:
        raise MissingDependencyError(
            "renishawWiRE", extra="formats", purpose="to read Renishaw WDF files"
        ) from None

    class Reader(WDFReader):  # type: ignore[misc]
        """Closes the file also where the package gives up on it half way through its constructor."""

        def __init__(self, path: Path) -> None:
            try:
                super().__init__(path)
            except BaseException:
                self.file_obj.close()
                raise

    with contained(source.name, "renishawWiRE"), temporary_file(data, ".wdf") as path:
        reader = Reader(path)
        try:
            return {
                "axis": np.asarray(reader.xdata, dtype=np.float64),
                "spectra": np.asarray(reader.spectra, dtype=np.float64),
                "axis_unit": reader.xlist_unit.name,
                "unit": reader.spectral_unit.name,
                "laser_nm": float(reader.laser_length),
                "accumulations": int(reader.accumulation_count),
                "title": str(reader.title).strip(),
                "user": str(reader.username).strip(),
                "software": f"{reader.application_name} {'.'.join(map(str, reader.application_version))}",
                "scan": reader.scan_type.name,
                "measurement": reader.measurement_type.name,
                "origins": {
                    header[1].name: np.asarray(header[4], dtype=np.float64)
                    for header in getattr(reader, "origin_list_header", [])
                },
            }
        finally:
            reader.close()


def _started(data: bytes) -> str:
    """Start of the measurement in UTC; WiRE writes 100 ns ticks since 1601, which the package leaves out."""
    (ticks,) = struct.unpack_from("<Q", data, _STARTED_AT)
    try:
        moment = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)
    except OverflowError:
        return ""
    return moment.isoformat() if ticks and 1990 < moment.year < 2100 else ""


def _axis(facts: dict[str, Any], header: Header, source: Source, options: ReadOptions) -> Axis:
    """Axis in cm⁻¹.

    Raises
    ------
    UnsupportedContentError
        If it is neither a Raman shift nor a wavelength.
    """
    unit = facts["axis_unit"]
    if unit not in _AXES:
        raise UnsupportedContentError(
            f"its axis is in {unit}, not a Raman shift or a wavelength; export it from WiRE as Raman shift.",
            file=source.name,
        )
    axis = make_axis(facts["axis"], _AXES[unit], header, False, source, options)
    # Files rewritten by other programs state no unit; WiRE's own is the Raman shift.
    return replace(axis, flags=("axis_unit_not_stated",)) if _AXES[unit] is None else axis


def _read(source: Source, options: ReadOptions) -> list[Spectrum]:
    layout = _check(source)
    try:
        facts = _package(source, layout.without(source.data))
    except UnreadableFileError:
        # Newer files list origins of kinds the package does not know; positions are worth less than spectra.
        facts = _package(source, layout.without(source.data, b"ORGN"))
    laser = facts["laser_nm"]
    stem = Path(source.name).stem
    acquisition = Acquisition(
        instrument="Renishaw",
        laser_nm=laser if math.isfinite(laser) and laser > 0 else None,
        averages=facts["accumulations"] or None,
        time=_started(source.data),
        operator=facts["user"],
        metadata={
            key: facts[key]
            for key in ("title", "software", "scan", "measurement", "axis_unit", "unit")
            if facts[key]
        },
    )
    unit = IntensityUnit.COUNTS if facts["unit"] == "Counts" else IntensityUnit.ARBITRARY
    header = Header(acquisition, stem, None, unit, None)
    axis = _axis(facts, header, source, options)
    spectra = facts["spectra"].reshape(layout.spectra, layout.points)
    found = []
    for i, values in enumerate(spectra):
        place = {
            _POSITIONS[kind]: f"{where[i]:g}"
            for kind, where in facts["origins"].items()
            if kind in _POSITIONS
        }
        label = ", ".join(f"{k} {v}" for k, v in place.items()) or str(i + 1)
        name = stem if len(spectra) == 1 else f"{stem} ({label})"
        found.append(make_spectrum(axis, values, name=name, header=header, source=source, metadata=place))
    return found


FORMAT: Final = Format(
    name="wdf",
    title="Renishaw WiRE",
    extensions=(".wdf",),
    sniff=_sniff,
    read=_read,
    extra="formats",
)
