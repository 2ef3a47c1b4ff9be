"""Bruker OPUS files (.0, .1 …), read by the package brukeropus after their directory was checked."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from spectralid.errors import MissingDependencyError, UnreadableFileError, UnsupportedContentError
from spectralid.io._contain import contained, temporary_file
from spectralid.io._registry import Format, ReadOptions, Source
from spectralid.spectrum import Acquisition, IntensityUnit, Spectrum, Technique

__all__ = ["FORMAT"]

_MAGIC: Final = b"\n\n\xfe\xfe"
_HEADER: Final = struct.Struct("<dii")
_ENTRY: Final = struct.Struct("<Iii")
_MAXIMUM_BLOCKS: Final = 10_000

# Kinds of result in the order of preference: what can be compared with a library comes first. Absorbance of
# an ATR measurement is absorbance here; its depth correction is a step of its own.
_RESULTS: Final = {
    "a": IntensityUnit.ABSORBANCE,
    "t": IntensityUnit.TRANSMITTANCE,
    "atr": IntensityUnit.ARBITRARY,
    "logr": IntensityUnit.ABSORBANCE,
    "km": IntensityUnit.KUBELKA_MUNK,
    "r": IntensityUnit.REFLECTANCE,
    "ra": IntensityUnit.ARBITRARY,
    "pas": IntensityUnit.ARBITRARY,
    "e": IntensityUnit.ARBITRARY,
    "sm": IntensityUnit.SINGLE_BEAM,
}


def _sniff(head: Source) -> float:
    return 1.0 if head.data[:4] == _MAGIC and len(head.data) >= 24 else 0.0


def _kind(code: int) -> tuple[int, int, int]:
    """Parameter class, data class and extension of a block type: the bit fields that decide its layout."""
    return code >> 4 & 0x3F, code >> 10 & 0x7F, code >> 19 & 0x7


def _parameters(block: bytes, where: str, source: Source) -> Iterator[tuple[str, bytes]]:
    """Keys and raw values of a parameter block; refuses one whose lengths would lead in a circle."""
    at = 0
    while at + 8 <= len(block) and block[at : at + 3] != b"END":
        (words,) = struct.unpack_from("<h", block, at + 6)
        if words < 0:
            raise UnreadableFileError("a parameter block is damaged.", file=source.name, where=where)
        yield block[at : at + 3].decode("latin-1").lower(), block[at + 8 : at + 8 + 2 * words]
        at += 8 + 2 * words


def _check_block(kind: tuple[int, int, int], block: bytes, where: str, source: Source) -> None:
    """Refuse a block whose counts promise more than the file holds."""
    parameter, _, extension = kind
    promised = 0
    if parameter or extension == 1:
        counts = [raw for key, raw in _parameters(block, where, source) if key == "npt"]
        promised = max((4 * int.from_bytes(raw[:4], "little") for raw in counts), default=0)
    elif extension == 2:
        _, count, offset, data_size, info_size, ranges = struct.unpack_from("<6i", block.ljust(24, b"\0"))
        damaged = min(count, offset, info_size, ranges) < 0 or data_size < 4
        promised = len(source.data) + 1 if damaged else count * data_size
    if promised > len(source.data):
        raise UnreadableFileError(
            "its header promises more points than it holds: it is damaged.", file=source.name, where=where
        )


def _vetted(source: Source) -> bytes:
    """The file with a directory of only those blocks that hold spectra and parameters and lie inside it.

    Reports, logs and unknown blocks are of no use here, and each is a parser that could be led astray.
    """
    data = source.data
    if len(data) < 24:
        raise UnreadableFileError("it ends inside its header: it is truncated.", file=source.name)
    _, start, most = _HEADER.unpack_from(data, 4)
    if not (24 <= start < len(data) and 0 < most <= _MAXIMUM_BLOCKS):
        raise UnreadableFileError("its directory is damaged or cut off.", file=source.name, where="byte 12")
    entries: list[bytes] = []
    total = 0
    end = min(start + most * _ENTRY.size, len(data))
    for at in range(start, end - _ENTRY.size + 1, _ENTRY.size):
        code, words, first = _ENTRY.unpack_from(data, at)
        if first <= 0:
            break
        kind = parameter, content, extension = _kind(code)
        is_data = parameter == 0 and content not in (0, 13) and extension != 5
        if not (parameter or is_data or (content == 0 and extension == 1)):
            continue
        if words < 0 or first + 4 * words > len(data):
            raise UnreadableFileError(
                f"a block of {4 * words} bytes does not lie inside it: it is truncated; copy it again.",
                file=source.name,
                where=f"byte {first}",
            )
        total += 4 * words
        if total > 2 * len(data):
            raise UnreadableFileError("its blocks overlap: it is damaged.", file=source.name)
        _check_block(kind, data[first : first + 4 * words], f"byte {first}", source)
        entries.append(data[at : at + _ENTRY.size])
    if not entries:
        raise UnreadableFileError("its directory names no spectrum.", file=source.name)
    directory = b"".join(entries).ljust(end - start, b"\0")
    return data[:start] + directory + data[end:]


def _base(key: str) -> str:
    return key.split("_", 1)[0]


def _package(source: Source) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and the result to be compared with a library, as plain values."""
    vetted = _vetted(source)
    try:
        from brukeropus import OPUSFile
    except ImportError:
        raise MissingDependencyError(
            "brukeropus", extra="formats", purpose="to read Bruker OPUS files"
        ) from None
    with contained(source.name, "brukeropus"), temporary_file(vetted, ".0") as path:
        opus = OPUSFile(str(path))
        parameters = {**dict(opus.rf_params.items()), **dict(opus.params.items())}
        # Of several results of one kind the package lists the youngest first: that is the one OPUS shows.
        keys = list(opus.all_data_keys)
        wanted = next((k for kind in _RESULTS for k in keys if _base(k) == kind), None)
        if wanted is None:
            raise UnsupportedContentError(
                f"it holds no spectrum of a sample, only {', '.join(keys) or 'no data at all'} (rf is the "
                "background, ig an interferogram); measure or load the sample's spectrum.",
                file=source.name,
            )
        item = getattr(opus, wanted)
        units = dict(item.params.items())
        return parameters, {
            "kind": _base(wanted),
            "x": np.asarray(item.x, dtype=np.float64),
            "y": np.atleast_2d(np.asarray(item.y, dtype=np.float64)),
            "unit": str(units.get("dxu", "")),
            "time": _time(f"{units.get('dat', '')} {units.get('tim', '')}"),
            "blocks": f"{wanted} of {' '.join(keys)}",
        }


def _technique(kind: str, parameters: dict[str, Any]) -> Technique:
    if kind == "ra" or parameters.get("plf") == "RAM":
        return Technique.RAMAN
    # The accessory, the experiment's name, the measurement channel and the detector, in the operator's words.
    words = " ".join(str(parameters.get(key, "")) for key in ("acc", "exp", "chn", "sfm", "dtc")).lower()
    if kind == "atr" or re.search(r"(?<![a-z])atr(?![a-z])", words):
        return Technique.FTIR_ATR
    if kind in ("r", "km", "logr") or re.search(r"reflect|drift|microplate|sphere|hts", words):
        return Technique.FTIR
    if re.search(r"(?<![a-z])trans(?![a-z])|transmi", words):
        return Technique.FTIR_TRANSMISSION
    return Technique.FTIR


def _time(text: str) -> str:
    """ISO 8601 of OPUS's date and time, or the text as it is; the package misses older versions' forms."""
    bare = text.split(" (")[0].strip()
    for form in ("%d/%m/%Y %H:%M:%S.%f", "%Y/%m/%d %H:%M:%S.%f", "%d/%m/%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S"):
        try:
            return datetime.strptime(bare, form).isoformat()
        except ValueError:
            continue
    return text.strip()


def _positive(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and 0 < value < math.inf else None


def _read(source: Source, options: ReadOptions) -> list[Spectrum]:
    del options
    parameters, result = _package(source)
    x, unit = result["x"], result["unit"]
    if unit == "MI":
        x = 1e4 / x
    elif unit != "WN":
        raise UnsupportedContentError(
            f"its axis is in {unit or 'an unknown unit'}, not in cm⁻¹; convert it to wavenumbers in OPUS.",
            file=source.name,
        )
    laser_cm1 = _positive(parameters.get("rlw"))
    scans = _positive(parameters.get("nss"))
    technique = _technique(result["kind"], parameters)
    acquisition = Acquisition(
        instrument=f"Bruker {parameters.get('ins', '')}".strip(),
        serial=str(parameters.get("srn", "")),
        laser_nm=1e7 / laser_cm1 if laser_cm1 and technique is Technique.RAMAN else None,
        averages=round(scans) if scans else None,
        resolution_cm1=_positive(parameters.get("res")),
        time=result["time"],
        operator=str(parameters.get("cnm", "")),
        metadata={**{k: str(v) for k, v in parameters.items()}, "blocks": result["blocks"]},
    )
    stem = Path(source.name).stem
    name = str(parameters.get("snm", "")).strip() or stem
    series = len(result["y"]) > 1
    return [
        Spectrum.from_points(
            x,
            values,
            technique=technique,
            unit=_RESULTS[result["kind"]],
            acquisition=acquisition,
            name=f"{name} ({i})" if series else name,
            source=source.name,
        )
        for i, values in enumerate(result["y"], 1)
    ]


FORMAT: Final = Format(
    name="opus",
    title="Bruker OPUS",
    extensions=(".0", ".1", ".2", ".001"),
    sniff=_sniff,
    read=_read,
    extra="formats",
)
