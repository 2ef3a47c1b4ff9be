"""Thermo (Nicolet) OMNIC files: single spectra (SPA) and groups of them (SPG); series (SRS) are refused.

The layout is not published; what is read here was worked out from files and agrees with what others found:
a title at byte 30, a directory of sections at byte 304, and sections told apart by a key.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from spectralid.errors import InvalidSpectrumError, UnreadableFileError, UnsupportedContentError
from spectralid.io._binary import floats, need, text
from spectralid.io._registry import Format, ReadOptions, Source
from spectralid.io._wavelength import wavenumber_of_wavelength
from spectralid.spectrum import (
    Acquisition,
    FloatArray,
    IntensityUnit,
    ProcessingStep,
    Spectrum,
    Technique,
)

__all__ = ["FORMAT"]

_MAGIC: Final = b"Spectral Data File"
_SERIES_MAGIC: Final = b"Spectral Exte File"

_TITLE: Final = slice(30, 286)
_SECTION_COUNT: Final = 294
_TIME: Final = 296
_DIRECTORY: Final = 304
_ENTRY: Final = 16

# Keys of sections.
_HEADER: Final = 0x02
_INTENSITY: Final = 0x03
_COMMENT: Final = 0x04
_HISTORY: Final = 0x1B
_MEMBER_TITLE: Final = 0x6B
_PARAMETERS: Final = 0x82

_HEADER_LEAST: Final = 56
_HEADER_WITH_LASER: Final = 100
_EPOCH: Final = datetime(1899, 12, 31, tzinfo=UTC)

# Units of x in the header.
_WAVENUMBER: Final = 1
_DATA_POINTS: Final = 2
_WAVELENGTHS_NM: Final[Mapping[int, float]] = {3: 1.0, 4: 1000.0}
_RAMAN_SHIFT: Final = 32

# Units of y in the header: name, unit of ours, and what to multiply by to get it.
_ORDINATES: Final[Mapping[int, tuple[str, IntensityUnit, float]]] = {
    11: ("% reflectance", IntensityUnit.REFLECTANCE, 0.01),
    12: ("log(1/R)", IntensityUnit.ABSORBANCE, 1.0),
    15: ("single beam", IntensityUnit.SINGLE_BEAM, 1.0),
    16: ("% transmittance", IntensityUnit.PERCENT_TRANSMITTANCE, 1.0),
    17: ("absorbance", IntensityUnit.ABSORBANCE, 1.0),
    20: ("Kubelka-Munk", IntensityUnit.KUBELKA_MUNK, 1.0),
    22: ("detector signal (V)", IntensityUnit.ARBITRARY, 1.0),
    26: ("photoacoustic", IntensityUnit.ARBITRARY, 1.0),
    31: ("Raman intensity", IntensityUnit.ARBITRARY, 1.0),
}
_DETECTOR_SIGNAL: Final = 22

# OMNIC cuts absorbance off here: no light came through.
_OPAQUE: Final = 6.0
_VISIBLE_BELOW_NM: Final = 700.0

_ATR_ACCESSORY: Final = re.compile(
    r"\bi?ATR\b|\biTR\b|\biTX\b|Endurance|Orbit|Golden ?Gate|DuraSampl|Foundation", re.I
)
_TRANSMISSION_ACCESSORY: Final = re.compile(r"\btransmi(?:ssion|ttance)\b", re.I)
_ATR_IN_WORDS: Final = re.compile(
    r"\b(?:by|using(?: the)?|via)\s+(?:ATR\b|attenuated\s+total\s+reflect)", re.I
)


@dataclass(frozen=True, slots=True)
class _Section:
    key: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class _Experiment:
    """What OMNIC kept of its experiment file: its own title and the accessory the bench recognised."""

    title: str = ""
    accessory: str = ""


def _sniff(source: Source) -> float:
    return 0.99 if source.data.startswith((_MAGIC, _SERIES_MAGIC)) else 0.0


def _read(source: Source, options: ReadOptions) -> list[Spectrum]:  # noqa: ARG001  (the file states all)
    data = source.data
    if data.startswith(_SERIES_MAGIC):
        raise UnsupportedContentError(
            "it holds a series of spectra over time (OMNIC SRS); save the spectra you need as SPA files.",
            file=source.name,
        )
    if not data.startswith(_MAGIC):
        raise UnreadableFileError(
            "it does not begin as an OMNIC file does.", file=source.name, where="byte 0"
        )
    groups = _groups(_sections(data, source.name), source.name)
    counts = [_count(data, group[0], source.name) for group in groups]
    # Also met by a directory that names one section many times over.
    if 4 * sum(counts) > len(data):
        raise UnreadableFileError(
            f"the file ends here, but its spectra claim {4 * sum(counts)} bytes; it is cut short or damaged. "
            "Copy it again from where it came from.",
            file=source.name,
            where=f"byte {len(data)}",
        )
    numbers: list[int | None] = [None] if len(groups) == 1 else list(range(len(groups)))
    return [
        _spectrum(data, group, n_points, source, i)
        for group, n_points, i in zip(groups, counts, numbers, strict=True)
    ]


def _count(data: bytes, header: _Section, file: str) -> int:
    """Number of points a spectrum claims to have."""
    need(data, header.start, _HEADER_LEAST, "header", file)
    return int(struct.unpack_from("<I", data, header.start + 4)[0])


def _sections(data: bytes, file: str) -> list[_Section]:
    need(data, 0, _DIRECTORY, "header", file)
    (count,) = struct.unpack_from("<H", data, _SECTION_COUNT)
    need(data, _DIRECTORY, count * _ENTRY, "directory", file)
    return [_Section(*struct.unpack_from("<HII", data, _DIRECTORY + _ENTRY * i)) for i in range(count)]


def _groups(sections: Sequence[_Section], file: str) -> list[list[_Section]]:
    """The sections of each spectrum, its header first."""
    groups: list[list[_Section]] = []
    for section in sections:
        if section.key == _HEADER:
            groups.append([section])
        elif groups:
            groups[-1].append(section)
    if not groups:
        raise UnreadableFileError(
            "its directory names no spectrum; it is damaged.", file=file, where=f"byte {_DIRECTORY}"
        )
    return groups


def _find(group: Sequence[_Section], key: int) -> _Section | None:
    return next((section for section in group if section.key == key), None)


def _section_text(data: bytes, group: Sequence[_Section], key: int) -> str:
    # Texts are no reason to refuse a spectrum that is whole: what lies beyond the end is left out.
    section = _find(group, key)
    if section is None:
        return ""
    raw = data[section.start : section.start + section.size]
    # Comments keep a NUL at the end of each of their lines.
    lines = raw.replace(b"\0", b"\n") if key == _COMMENT else raw.split(b"\0", 1)[0]
    return "\n".join(line.strip() for line in lines.decode("latin-1").splitlines() if line.strip())


def _experiment(data: bytes, group: Sequence[_Section]) -> _Experiment:
    for section in group:
        raw = data[section.start : section.start + section.size]
        # Sections of this key hold several things; the experiment is the one that names a parameter file.
        if section.key == _PARAMETERS and len(raw) > 480 and text(raw[10:90]).lower().endswith(".exp"):
            return _Experiment(title=text(raw[90:154]), accessory=text(raw[413:477]))
    return _Experiment()


def _technique(x_unit: int, title: str, experiment: _Experiment, comment: str) -> Technique:
    """How the sample was measured, as far as the file bears witness.

    The accessory is what the bench recognised; titles are what people wrote, so only plain statements count.
    """
    if x_unit == _RAMAN_SHIFT:
        return Technique.RAMAN
    if _ATR_ACCESSORY.search(experiment.accessory) or _ATR_ACCESSORY.search(experiment.title):
        return Technique.FTIR_ATR
    if _TRANSMISSION_ACCESSORY.search(experiment.accessory):
        return Technique.FTIR_TRANSMISSION
    if _ATR_IN_WORDS.search(title) or _ATR_IN_WORDS.search(comment):
        return Technique.FTIR_ATR
    return Technique.FTIR


def _axis(
    x_unit: int, y_unit: int, first: float, last: float, n_points: int, file: str
) -> tuple[FloatArray, list[ProcessingStep]]:
    if x_unit == _DATA_POINTS or (y_unit == _DETECTOR_SIGNAL and x_unit not in _WAVELENGTHS_NM):
        raise UnsupportedContentError(
            "it holds an interferogram, not yet a spectrum; transform it in OMNIC and save the spectrum.",
            file=file,
        )
    if not (abs(first) < 1e9 and abs(last) < 1e9):
        raise UnreadableFileError(
            "the ends of its axis are not numbers that make sense; it is damaged.", file=file
        )
    axis = np.linspace(first, last, n_points)
    if x_unit in (_WAVENUMBER, _RAMAN_SHIFT):
        return axis, []
    if x_unit not in _WAVELENGTHS_NM:
        raise UnsupportedContentError(
            f"the unit of its x axis is not known here (code {x_unit}); export it as JCAMP-DX.", file=file
        )
    nm = axis * _WAVELENGTHS_NM[x_unit]
    if nm.size == 0 or nm.min() < _VISIBLE_BELOW_NM:
        raise UnsupportedContentError(
            "it holds a spectrum of visible or ultraviolet light (UV-Vis); spectralid works on Raman and "
            "infrared spectra.",
            file=file,
        )
    wavenumber, step = wavenumber_of_wavelength(nm)
    return wavenumber, [step]


def _spectrum(
    data: bytes, group: Sequence[_Section], n_points: int, source: Source, member: int | None
) -> Spectrum:
    file, header = source.name, group[0]
    x_unit, y_unit = data[header.start + 8], data[header.start + 12]
    first, last = struct.unpack_from("<2f", data, header.start + 16)
    axis, history = _axis(x_unit, y_unit, first, last, n_points, file)
    stored = _find(group, _INTENSITY)
    if stored is None or stored.size < 4 * n_points:
        raise UnreadableFileError(
            f"its {n_points} intensities are not all there; it is damaged.", file=file, where="section 3"
        )
    need(data, stored.start, 4 * n_points, "intensities", file)
    y_name, unit, scale = _ORDINATES.get(y_unit, (f"code {y_unit}", IntensityUnit.ARBITRARY, 1.0))
    intensity = floats(data, stored.start, n_points) * scale
    title, seconds = text(data[_TITLE]), struct.unpack_from("<I", data, _TIME)[0]
    named = _find(group, _MEMBER_TITLE)
    if member is not None and named and named.start + 260 <= len(data):
        title = text(data[named.start : named.start + 256])
        (seconds,) = struct.unpack_from("<I", data, named.start + 256)
    experiment = _experiment(data, group)
    comment = _section_text(data, group, _COMMENT)
    log = _section_text(data, group, _HISTORY)
    technique = _technique(x_unit, title, experiment, comment)
    opaque = y_name == "absorbance" and bool(np.any(intensity >= _OPAQUE))
    try:
        return Spectrum.from_points(
            axis,
            intensity,
            technique=technique,
            unit=unit,
            acquisition=Acquisition(
                serial=_match(r"(?:Bench Serial Number|Série du banc)\s*:\s*([^\s;]+)", log),
                laser_nm=_laser(data, header) if technique is Technique.RAMAN else None,
                averages=struct.unpack_from("<I", data, header.start + 36)[0] or None,
                resolution_cm1=None if technique is Technique.RAMAN else _resolution(log),
                time=(_EPOCH + timedelta(seconds=seconds)).isoformat() if seconds else "",
                operator=_match(r"User name:\s*(.+)", log),
                flags=frozenset({"saturated"} if opaque else ()),
                metadata=_metadata(title, y_name, comment, log, experiment),
            ),
            history=history,
            name=title or Path(file).stem,
            source=file,
        )
    except InvalidSpectrumError as error:
        where = "" if member is None else f"spectrum {member + 1}"
        raise UnreadableFileError(str(error), file=file, where=where) from None


def _metadata(title: str, y_name: str, comment: str, log: str, experiment: _Experiment) -> dict[str, str]:
    fields = {
        "title": title,
        "y_type": y_name,
        "comment": comment,
        "history": log,
        "experiment": experiment.title,
        "accessory": experiment.accessory,
    }
    return {key: value for key, value in fields.items() if value}


def _match(pattern: str, log: str) -> str:
    found = re.search(pattern, log)
    return found[1].strip() if found else ""


def _resolution(log: str) -> float | None:
    # The last one counts: reprocessing can lower it.
    found = re.findall(r"R[ée]solution\s*:\s*(\d{1,4}(?:[.,]\d{1,6})?)", log)
    return float(found[-1].replace(",", ".")) if found else None


def _laser(data: bytes, header: _Section) -> float | None:
    if header.size < _HEADER_WITH_LASER or header.start + _HEADER_WITH_LASER > len(data):
        return None
    (wavenumber,) = struct.unpack_from("<f", data, header.start + 96)
    return 1e7 / wavenumber if 5_000 < wavenumber < 50_000 else None


FORMAT: Final = Format(
    name="spa",
    title="Thermo OMNIC SPA and SPG",
    extensions=(".spa", ".spg", ".srs"),
    sniff=_sniff,
    read=_read,
)
