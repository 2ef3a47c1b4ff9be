"""Writing JCAMP-DX 5.01, and the ``##$SPECTRALID …`` records that bring a spectrum back whole.

The table is (X++(Y..Y)) where the axis is evenly spaced to the last bit, else (XY..XY). Numbers are AFFN with
as many digits as bring the same float back and factors are 1, so that nothing is lost. The standard records
say to others what they can hold; our own carry technique, unit, identity, acquisition facts and history as
JSON, which can be wrapped anywhere and is joined without the line ends.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

from spectralid.errors import ParameterError
from spectralid.io._jcamp_blocks import Block, normal_label
from spectralid.io._jcamp_codec import MAXIMUM_POINTS, Malformed, decode_points
from spectralid.spectrum import Acquisition, FloatArray, IntensityUnit, ProcessingStep, Spectrum, Technique

__all__ = ["NOTES", "own_record", "write"]

# Metadata key under which the reader keeps what it found to disagree in a file.
NOTES: Final = "SPECTRALID NOTES"

_WIDTH: Final = 78
_DATA_TYPE: Final = {Technique.RAMAN: "RAMAN SPECTRUM", Technique.UNKNOWN: "VIBRATIONAL SPECTRUM"}
_SAMPLING: Final = {Technique.FTIR_ATR: "ATR", Technique.FTIR_TRANSMISSION: "TRANSMISSION"}
_YUNITS: Final = {
    IntensityUnit.COUNTS: "COUNTS",
    IntensityUnit.ARBITRARY: "ARBITRARY UNITS",
    IntensityUnit.ABSORBANCE: "ABSORBANCE",
    IntensityUnit.TRANSMITTANCE: "TRANSMITTANCE",
    IntensityUnit.PERCENT_TRANSMITTANCE: "% TRANSMITTANCE",
    IntensityUnit.REFLECTANCE: "REFLECTANCE",
    IntensityUnit.KUBELKA_MUNK: "KUBELKA-MUNK",
    IntensityUnit.SINGLE_BEAM: "SINGLE BEAM",
}
# Standard records taken over from the source's header when a spectrum that was read is written again.
_KEPT: Final = (
    "CAS REGISTRY NO",
    "CAS NAME",
    "NAMES",
    "MOLFORM",
    "SAMPLE DESCRIPTION",
    "STATE",
    "PATH LENGTH",
)
_SD_LABEL: Final = "$SPECTRALIDSD"


def _line(text: str) -> str:
    """One line of printable ASCII without comment marks, for a standard record."""
    plain = "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in text).replace("$$", "$ $")
    return " ".join(plain.split())[: _WIDTH - 28]


def _number(value: float) -> str:
    return "?" if math.isnan(value) else repr(value).upper()


def _json_lines(value: object) -> Iterator[str]:
    """JSON wrapped to lines that survive being stripped, and hold no label or comment mark."""
    text = json.dumps(value, separators=(",", ":"), default=lambda number: number.item())
    text = text.replace("#", "\\u0023").replace("$", "\\u0024").replace("  ", " \\u0020")
    # No two spaces follow each other now, so a break between two other characters is never far.
    yield from re.findall(rf".{{1,{_WIDTH - 2}}}[^ ](?=[^ ]|$)|.+", text)


def _packed(words: Sequence[str], joint: str) -> Iterator[str]:
    line = ""
    for word in words:
        if line and len(line) + len(joint) + len(word) > _WIDTH:
            yield line
            line = word
        else:
            line = f"{line}{joint}{word}" if line else word
    yield line


def _pairs(x: FloatArray, y: FloatArray) -> Iterator[str]:
    yield from _packed(
        [f"{_number(a)}, {_number(b)}" for a, b in zip(x.tolist(), y.tolist(), strict=True)], "; "
    )


def _rows(x: FloatArray, y: FloatArray) -> Iterator[str]:
    """(X++(Y..Y)) lines: as many ordinates as fit behind the abscissa of the first."""
    line = ""
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        word = _number(b)
        if line and len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = ""
        line = f"{line} {word}" if line else f"{_number(a)} {word}"
    yield line


def _longdate(time: str) -> str:
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return ""
    zone = moment.strftime(" %z")[:6].rstrip()
    return moment.strftime("%Y/%m/%d %H:%M:%S") + zone


def _header(spectrum: Spectrum, block_id: int | None) -> Iterator[str]:
    facts = spectrum.acquisition
    kept = {normal_label(label): text for label, text in facts.metadata.items()}
    is_peaks = "peak_table" in facts.flags
    is_even = not is_peaks and _is_even(spectrum.axis)
    known = spectrum.intensity[~spectrum.missing]
    title = _line(spectrum.name)
    yield f"##TITLE={title}"
    yield "##JCAMP-DX=5.01 $$ spectralid"
    yield f"##DATA TYPE={_DATA_TYPE.get(spectrum.technique, 'INFRARED SPECTRUM')}"
    yield f"##DATA CLASS={'PEAK TABLE' if is_peaks else 'XYDATA' if is_even else 'XYPOINTS'}"
    if block_id is not None:
        yield f"##BLOCK_ID={block_id}"
    yield f"##ORIGIN={_line(kept.get('ORIGIN', '') or 'spectralid')}"
    yield f"##OWNER={_line(kept.get('OWNER', '') or 'not stated')}"
    standard = {
        "LONGDATE": _longdate(facts.time),
        "SOURCE REFERENCE": spectrum.source,
        **{label: kept.get(normal_label(label), "") for label in _KEPT},
        "SPECTROMETER/DATA SYSTEM": facts.instrument,
        "SAMPLING PROCEDURE": _SAMPLING.get(spectrum.technique, ""),
        "RESOLUTION": "" if facts.resolution_cm1 is None else _number(float(facts.resolution_cm1)),
        "$LASER WAVELENGTH": "" if facts.laser_nm is None else f"{_number(float(facts.laser_nm))} nm",
        "DATA PROCESSING": ", ".join(step.name for step in spectrum.history),
    }
    for label, text in standard.items():
        if _line(text):
            yield f"##{label}={_line(text)}"
    yield f"##$SPECTRALID TECHNIQUE={spectrum.technique.value}"
    yield f"##$SPECTRALID UNIT={spectrum.unit.value}"
    yield "##$SPECTRALID SHA256="
    yield spectrum.sha256
    if title != spectrum.name:
        yield "##$SPECTRALID NAME="
        yield from _json_lines(spectrum.name)
    yield "##$SPECTRALID ACQUISITION="
    yield from _json_lines(facts.to_dict())
    yield "##$SPECTRALID HISTORY="
    yield from _json_lines([step.to_dict() for step in spectrum.history])
    if spectrum.sd is not None:
        yield "##$SPECTRALID SD=(XY..XY)"
        yield from _pairs(spectrum.axis, spectrum.sd)
    low, high = spectrum.range
    yield "##XUNITS=1/CM"
    yield f"##YUNITS={_YUNITS[spectrum.unit]}"
    yield "##XFACTOR=1"
    yield "##YFACTOR=1"
    yield f"##FIRSTX={_number(low)}"
    yield f"##LASTX={_number(high)}"
    if is_even:
        yield f"##DELTAX={_number((high - low) / (spectrum.n_points - 1))}"
    yield f"##MINX={_number(low)}"
    yield f"##MAXX={_number(high)}"
    yield f"##MINY={_number(float(known.min()))}"
    yield f"##MAXY={_number(float(known.max()))}"
    yield f"##NPOINTS={spectrum.n_points}"
    if not spectrum.missing[0]:
        yield f"##FIRSTY={_number(float(spectrum.intensity[0]))}"
    if is_even:
        yield "##XYDATA=(X++(Y..Y))"
        yield from _rows(spectrum.axis, spectrum.intensity)
    else:
        yield "##PEAK TABLE=(XY..XY)" if is_peaks else "##XYPOINTS=(XY..XY)"
        yield from _pairs(spectrum.axis, spectrum.intensity)
    yield "##END="


def _is_even(axis: FloatArray) -> bool:
    """Whether the reader's own arithmetic brings exactly this axis back from its ends."""
    with np.errstate(all="ignore"):
        return np.array_equal(np.linspace(axis[0], axis[-1], axis.size), axis)


def write(spectra: Sequence[Spectrum]) -> bytes:
    """JCAMP-DX 5.01 text of `spectra`: one block, or a link block around several.

    Raises
    ------
    ParameterError
        If a spectrum has more points than the reader accepts.
    """
    for spectrum in spectra:
        if spectrum.n_points > MAXIMUM_POINTS:
            raise ParameterError(
                "spectrum", spectrum, f"one of at most {MAXIMUM_POINTS:,} points for JCAMP-DX"
            )
    lines: list[str] = []
    if len(spectra) == 1:
        lines += _header(spectra[0], None)
    else:
        lines += [
            f"##TITLE={len(spectra)} spectra",
            "##JCAMP-DX=5.01 $$ spectralid",
            "##DATA TYPE=LINK",
            f"##BLOCKS={len(spectra)}",
            "##ORIGIN=spectralid",
            "##OWNER=not stated",
        ]
        for number, spectrum in enumerate(spectra, start=1):
            lines += _header(spectrum, number)
        lines.append("##END=")
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """What the ``##$SPECTRALID …`` records of a block say."""

    technique: Technique
    unit: IntensityUnit
    sha256: str
    acquisition: Acquisition
    history: tuple[ProcessingStep, ...]
    name: str
    sd: FloatArray | None
    line: int

    def spectrum(self, x: FloatArray, y: FloatArray, source: str) -> Spectrum:
        """The spectrum as it was before it was written.

        Raises
        ------
        Malformed
            If its values are not those that were written.
        """
        spectrum = Spectrum(
            x, y, technique=self.technique, unit=self.unit, sd=self.sd, acquisition=self.acquisition,
            history=self.history, name=self.name, source=source,
        )  # fmt: skip
        if spectrum.sha256 != self.sha256:
            raise Malformed(
                "the spectrum does not have the identity recorded when it was written; its values were "
                "changed since. Remove the ##$SPECTRALID records to read it as a new measurement.",
                self.line,
            )
        return spectrum


def _acquisition(data: Mapping[str, Any]) -> Acquisition:
    """`Acquisition.from_dict` for data nobody vouches for.

    Raises
    ------
    TypeError
        If a fact is not of its type.
    """
    numbers = ("laser_nm", "power_mw", "integration_ms", "averages", "resolution_cm1")
    texts = ("instrument", "serial", "time", "operator")
    metadata, flags = data.get("metadata", {}), data.get("flags", [])
    fits = (
        all(isinstance(data.get(key, 0), int | float) for key in numbers)
        and all(isinstance(data.get(key, ""), str) for key in texts)
        and all(isinstance(flag, str) for flag in flags)
        and all(isinstance(text, str) for text in metadata.values())
    )
    if not fits:
        raise TypeError
    return Acquisition.from_dict(data)


def own_record(block: Block, data: bytes) -> OwnRecord | None:
    """Our own records in `block`; ``None`` for a file of somebody else.

    Parameters
    ----------
    block : Block
        The block.
    data : bytes
        The cleaned file it is from.

    Raises
    ------
    Malformed
        If they are damaged.
    """
    if "$SPECTRALIDSHA256" not in block.records:
        return None

    def joined(label: str, default: object) -> Any:
        record = block.records.get(label)
        return default if record is None else json.loads("".join(map(str.strip, record.raw.splitlines())))

    sd = None
    for table in block.tables:
        if table.label == _SD_LABEL:
            sd = decode_points(data, table.start, table.end, table.line + 1)[1]
    line = block.line_of("$SPECTRALIDSHA256")
    try:
        name = joined("$SPECTRALIDNAME", block.text("TITLE"))
        if not isinstance(name, str):
            raise TypeError
        return OwnRecord(
            technique=Technique(block.text("$SPECTRALIDTECHNIQUE")),
            unit=IntensityUnit(block.text("$SPECTRALIDUNIT")),
            sha256=block.text("$SPECTRALIDSHA256"),
            acquisition=_acquisition(joined("$SPECTRALIDACQUISITION", {})),
            history=tuple(ProcessingStep.from_dict(step) for step in joined("$SPECTRALIDHISTORY", [])),
            name=name,
            sd=sd,
            line=line,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Malformed(
            "the ##$SPECTRALID records are damaged; remove them to read the rest.", line
        ) from None
