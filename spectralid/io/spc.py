"""Galactic SPC files (GRAMS and the many programs that export it): new, big-endian and old format.

`_spc_layout` takes the numbers out of the file; here they get their meaning, and what is no vibrational
spectrum is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from spectralid.errors import InvalidSpectrumError, UnreadableFileError, UnsupportedContentError
from spectralid.io._registry import Format, ReadOptions, Source
from spectralid.io._spc_layout import VERSIONS, SpcHeader, Trace, looks_like_spc, read_header, read_traces
from spectralid.io._wavelength import shift_of_wavelength, wavenumber_of_wavelength
from spectralid.spectrum import (
    Acquisition,
    FloatArray,
    IntensityUnit,
    ProcessingStep,
    Spectrum,
    Technique,
)

__all__ = ["FORMAT"]

# What the abscissa is, by the code in the header. The kinds "shift", "wavenumber", "nm" and "um" can carry a
# vibrational spectrum; the others name why the file does not.
_X_KINDS: Final[Mapping[int, str]] = {
    0: "unstated", 1: "wavenumber", 2: "um", 3: "nm", 4: "time", 5: "time", 6: "frequency", 7: "frequency",
    8: "frequency", 9: "mass", 10: "ppm", 11: "time", 12: "time", 13: "shift", 14: "energy", 15: "unstated",
    16: "pixel", 17: "pixel", 18: "angle", 19: "temperature", 20: "temperature", 21: "temperature",
    22: "pixel", 23: "time", 24: "time", 25: "time", 26: "frequency", 27: "length", 28: "length",
    29: "length", 30: "time", 255: "interferogram",
}  # fmt: skip

# The file's own axis label, where there is one, overrules the code. First match counts.
_X_LABELS: Final = (
    (re.compile(r"m/z|mass", re.I), "mass"),
    (re.compile(r"ppm|chemical shift", re.I), "ppm"),
    (re.compile(r"minute|second|\btime\b", re.I), "time"),
    (re.compile(r"raman|shift", re.I), "shift"),
    (re.compile(r"wavenumber|cm-1|cm\^-1|1/cm|cm⁻¹", re.I), "wavenumber"),
    (re.compile(r"\bnm\b|nanomet", re.I), "nm"),
    (re.compile(r"\b[µu]m\b|micron|micromet", re.I), "um"),
    (re.compile(r"pixel|channel|diode|data point", re.I), "pixel"),
)

_REFUSED_AXES: Final[Mapping[str, str]] = {
    "mass": "mass spectra (its x axis is m/z)",
    "ppm": "an NMR spectrum (its x axis is in ppm)",
    "frequency": "a spectrum over frequency in Hz, such as NMR",
    "time": "a signal over time, such as a chromatogram or an NMR decay",
    "angle": "a diffraction pattern (its x axis is an angle)",
    "temperature": "a curve over temperature",
    "length": "a curve over length",
    "energy": "a spectrum over energy in eV",
    "interferogram": "an interferogram",
}

_REFUSED_TECHNIQUES: Final[Mapping[int, str]] = {
    1: "a gas chromatogram",
    2: "a chromatogram",
    3: "a liquid chromatogram (HPLC)",
    7: "a UV-visible spectrum",
    8: "an X-ray diffraction pattern",
    9: "mass spectra",
    10: "an NMR spectrum",
    12: "a fluorescence spectrum",
    13: "an atomic spectrum",
    14: "diode-array chromatography",
}
_RAMAN_TECHNIQUE: Final = 11
_FTIR_TECHNIQUE: Final = 4

_INTERFEROGRAM: Final = 1
_TRANSMITTANCE: Final = 128
_REFLECTANCE: Final = 129
_UNITS: Final[Mapping[int, IntensityUnit]] = {
    2: IntensityUnit.ABSORBANCE,
    3: IntensityUnit.KUBELKA_MUNK,
    4: IntensityUnit.COUNTS,
    10: IntensityUnit.ABSORBANCE,  # log(1/R), the absorbance of reflection measurements
    11: IntensityUnit.PERCENT_TRANSMITTANCE,
    _TRANSMITTANCE: IntensityUnit.TRANSMITTANCE,
    _REFLECTANCE: IntensityUnit.REFLECTANCE,
    130: IntensityUnit.SINGLE_BEAM,
}
# Only infrared spectroscopy has these ordinates on a wavenumber axis.
_INFRARED_UNITS: Final = frozenset(_UNITS.values()) - {IntensityUnit.COUNTS}
_Y_NAMES: Final[Mapping[int, str]] = {
    0: "arbitrary", 2: "absorbance", 3: "Kubelka-Munk", 4: "counts", 10: "log(1/R)", 11: "percent",
    12: "intensity", 13: "relative intensity", 14: "energy", 128: "transmission", 129: "reflectance",
    130: "single beam", 131: "emission",
}  # fmt: skip
_Z_NAMES: Final[Mapping[int, str]] = {
    1: "cm-1", 2: "µm", 3: "nm", 4: "s", 5: "min", 20: "°C", 21: "K", 23: "ms", 24: "µs", 27: "cm", 28: "m",
    29: "mm", 30: "h",
}  # fmt: skip

# 780 nm, the end of the visible.
_VISIBLE_ABOVE_CM1: Final = 12_820.0
_VISIBLE_BELOW_NM: Final = 780.0
# No fundamental vibration lies higher than H2 at 4,161 cm⁻¹.
_HIGHEST_SHIFT_CM1: Final = 4_500.0
# A spectrometer cannot see absorbances like these over a wide range; the label must be wrong.
_CREDIBLE_ABSORBANCE: Final = 10.0
_RATIO_AT_MOST: Final = 2.0

# Bounded, so that no number is too long for a float.
_NUMBER: Final = re.compile(r"\d{1,12}(?:[.,]\d{1,12})?")
_RESOLUTION: Final = re.compile(r"(\d{1,4}(?:\.\d{0,6})?|\.\d{1,6})\s*(?:cm-?1)?", re.IGNORECASE)
# Every trace of a file carries the log, unless that would fill the memory: then the first one does.
_LOG_ENTRIES_REPEATED: Final = 100_000
# LabSpec puts the kind of data where others put its name.
_LABSPEC_DATA_KINDS: Final = ("", "SPECTRUM", "SPIM", "MAP")
_WIRE_BOILERPLATE: Final = re.compile(r"measurement (?:generated|created) by the", re.I)


def _sniff(source: Source) -> float:
    if looks_like_spc(source.data):
        return 0.9
    # Cut short within the header: only the extension tells what it was meant to be.
    short = 2 <= len(source.data) < 512 and source.data[1] in VERSIONS and 0 in source.data
    return 0.5 if short and source.suffix == ".spc" else 0.0


@dataclass(frozen=True, slots=True)
class _File:
    """What is known of a file before its traces are looked at.

    `kind` is what the abscissa is; `vouched` that only the caller says so; `laser` the excitation in nm.
    """

    source: Source
    options: ReadOptions
    header: SpcHeader
    kind: str
    vouched: bool
    laser: float | None

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def is_said_infrared(self) -> bool:
        """Whether the ordinate, or else the caller, says infrared."""
        asked = self.options.technique
        return self.unit in _INFRARED_UNITS or bool(asked and asked.is_infrared)

    @property
    def unit(self) -> IntensityUnit:
        return _UNITS.get(self.header.y_type, IntensityUnit.ARBITRARY)


def _read(source: Source, options: ReadOptions) -> list[Spectrum]:
    header = read_header(source.data, source.name)
    kind = _x_kind(header)
    _refuse_other_techniques(header, kind, source.name)
    vouched = kind == "unstated"
    if vouched:
        kind = _vouched_kind(header, options, source.name)
    laser = _laser(header, options)
    file = _File(source, options, header, kind, vouched, laser)
    traces = read_traces(source.data, header, source.name)
    return [_spectrum(file, trace, i, len(traces)) for i, trace in enumerate(traces)]


def _x_kind(header: SpcHeader) -> str:
    label = header.labels[0]
    for pattern, kind in _X_LABELS:
        if pattern.search(label):
            return kind
    return _X_KINDS.get(header.x_type, "unstated")


def _refuse_other_techniques(header: SpcHeader, kind: str, file: str) -> None:
    log = {key.lower() for key in header.log}
    content = ""
    if kind == "mass":
        chromatogram = header.n_traces > 1 and _Z_NAMES.get(header.z_type) in ("min", "s")
        content = f"a GC-MS run of {header.n_traces} mass spectra" if chromatogram else _REFUSED_AXES[kind]
    elif kind == "time" and log & {"nucfreq", "fid"}:
        content = "an NMR free induction decay"
    elif kind in _REFUSED_AXES:
        content = _REFUSED_AXES[kind]
    elif header.y_type == _INTERFEROGRAM:
        content = "an interferogram, not yet a spectrum"
    elif header.technique in _REFUSED_TECHNIQUES:
        content = _REFUSED_TECHNIQUES[header.technique]
    if content:
        raise UnsupportedContentError(
            f"it holds {content}; spectralid works on Raman and infrared spectra. Choose the file of such a "
            "spectrum.",
            file=file,
        )
    if kind == "pixel":
        raise UnsupportedContentError(
            "its x axis counts detector pixels, so no band position can be told; export it with an axis in "
            "cm⁻¹.",
            file=file,
        )


def _vouched_kind(header: SpcHeader, options: ReadOptions, file: str) -> str:
    """Kind of an axis without a unit: in cm⁻¹ only if the caller vouches for the technique."""
    counts = header.first in (0, 1) and header.last - header.first == header.n_points - 1
    if options.technique is None or counts:
        raise UnsupportedContentError(
            f"its x axis ({header.first:g} to {header.last:g}) has no unit, so no band position can be told; "
            + ("it looks like detector pixels: export it with an axis in cm⁻¹." if counts
               else "if it is in cm⁻¹ give the technique (raman, ftir), otherwise export it with a unit."),
            file=file,
        )  # fmt: skip
    return "shift" if options.technique is Technique.RAMAN else "wavenumber"


def _entry(log: Mapping[str, str], *names: str) -> str:
    """First entry of the log block under one of `names`, whatever their capitals."""
    lower = {key.lower(): value for key, value in log.items()}
    return next((lower[name] for name in names if lower.get(name)), "")


def _first_number(text: str) -> float | None:
    found = _NUMBER.search(text)
    return float(found.group().replace(",", ".")) if found else None


def _laser(header: SpcHeader, options: ReadOptions) -> float | None:
    wavelength = _first_number(_entry(header.log, "excit_line", "laser (nm)", "laser_wavelength", "laser"))
    wavenumber = _first_number(_entry(header.log, "ramanfreq"))
    stated = 1e7 / wavenumber if wavelength is None and wavenumber else wavelength
    return stated if stated is not None and 200 < stated < 2000 else options.laser_nm


def _spectrum(file: _File, trace: Trace, index: int, n_traces: int) -> Spectrum:
    header = file.header
    axis, technique, history = _abscissa(file, trace.x)
    metadata = _metadata(header, trace, index, n_traces)
    intensity, unit, flags = _ordinate(file, trace.y, technique, metadata)
    is_mislabelled = "ordinate_not_credible" in flags
    if technique is Technique.FTIR and is_mislabelled and header.technique != _FTIR_TECHNIQUE:
        # Only the label of the ordinate said infrared, and it is wrong.
        technique = Technique.UNKNOWN
    if header.log_damaged:
        flags.append("log_damaged")
    if file.vouched:
        flags.append("axis_unit_assumed")
    title = _title(header, file.source)
    try:
        return Spectrum.from_points(
            axis,
            intensity,
            technique=technique,
            unit=unit,
            acquisition=_acquisition(file, flags, metadata),
            history=history,
            name=title if n_traces == 1 else f"{title} [{index + 1}/{n_traces}]",
            source=file.name,
        )
    except InvalidSpectrumError as error:
        where = "" if n_traces == 1 else f"trace {index + 1}"
        raise UnreadableFileError(str(error), file=file.name, where=where) from None


def _abscissa(file: _File, x: FloatArray) -> tuple[FloatArray, Technique, list[ProcessingStep]]:
    """Axis in cm⁻¹, the technique it follows from, and what was done to the axis."""
    if x.size < 2:
        raise UnreadableFileError("it holds fewer than two points.", file=file.name)
    if not np.isfinite(x).all():
        raise UnreadableFileError("its x axis holds values that are not numbers.", file=file.name)
    if file.kind == "shift":
        return x, Technique.RAMAN, []
    if file.kind == "wavenumber":
        if file.header.technique == _RAMAN_TECHNIQUE and _is_shift(x):
            return x, Technique.RAMAN, []
        if _is_shift(x) or (file.is_said_infrared and x.min() < _VISIBLE_ABOVE_CM1):
            return x, Technique.FTIR if file.unit in _INFRARED_UNITS else Technique.UNKNOWN, []
        return _shift_from(file, x, "cm-1")
    if x.min() <= 0:
        raise UnreadableFileError("its wavelength axis holds values that are not positive.", file=file.name)
    nm = x * 1000 if file.kind == "um" else x
    if file.is_said_infrared and nm.max() > _VISIBLE_BELOW_NM and nm.min() > 0.9 * _VISIBLE_BELOW_NM:
        wavenumber, step = wavenumber_of_wavelength(nm)
        return wavenumber, Technique.FTIR, [step]
    return _shift_from(file, nm, "nm")


def _is_shift(x: FloatArray) -> bool:
    """Whether wavenumbers can be Raman shifts or infrared, judged by where they begin."""
    return float(x.min()) < _HIGHEST_SHIFT_CM1


def _shift_from(
    file: _File, light: FloatArray, unit: str
) -> tuple[FloatArray, Technique, list[ProcessingStep]]:
    """Raman shift from the wavelength or absolute wavenumber of the light, if the laser is known."""
    if file.is_said_infrared:
        raise UnsupportedContentError(
            "it holds an absorption spectrum of visible or ultraviolet light (UV-Vis); spectralid works on "
            "Raman and infrared spectra. Choose the file of such a spectrum.",
            file=file.name,
        )
    if file.laser is None:
        axis = np.sort(light)
        raise UnsupportedContentError(
            f"its axis is the {'wavelength' if unit == 'nm' else 'absolute wavenumber'} of the light "
            f"({axis[0]:g} to {axis[-1]:g} {unit}) and it names no laser; if it is a Raman spectrum give the "
            "laser wavelength in nm (laser_nm), otherwise it is UV-Vis or luminescence, which spectralid "
            "does not use.",
            file=file.name,
        )
    if unit == "nm":
        shift, step = shift_of_wavelength(light, file.laser)
    else:
        shift = 1e7 / file.laser - light
        step = ProcessingStep("wavenumber_to_shift", {"laser_nm": file.laser})
    if shift.min() > _HIGHEST_SHIFT_CM1 or shift.max() < -_HIGHEST_SHIFT_CM1:
        raise UnsupportedContentError(
            f"with a laser of {file.laser:g} nm its axis lies beyond any Raman shift; it is luminescence, or "
            "the laser is another.",
            file=file.name,
        )
    return shift, Technique.RAMAN, [step]


def _ordinate(
    file: _File, y: FloatArray, technique: Technique, metadata: dict[str, str]
) -> tuple[FloatArray, IntensityUnit, list[str]]:
    """Intensity in a unit of ours, and flags; notes in `metadata` what had to be inferred."""
    unit = file.unit
    if technique is Technique.RAMAN:
        credible = unit not in _INFRARED_UNITS
        return y, unit if credible else IntensityUnit.ARBITRARY, [] if credible else ["ordinate_not_credible"]
    finite = y[np.isfinite(y)]
    high = float(np.percentile(finite, 95)) if finite.size else 0.0
    if unit is IntensityUnit.ABSORBANCE and high > _CREDIBLE_ABSORBANCE:
        return y, IntensityUnit.ARBITRARY, ["ordinate_not_credible"]
    if file.header.y_type in (_TRANSMITTANCE, _REFLECTANCE):
        # The format does not say whether these are ratios or percentages.
        percent = high > _RATIO_AT_MOST
        metadata["ordinate_scale"] = f"{'percent' if percent else 'ratio'} (inferred from the values)"
        if percent and unit is IntensityUnit.REFLECTANCE:
            return y / 100, unit, []
        if percent:
            return y, IntensityUnit.PERCENT_TRANSMITTANCE, []
    return y, unit, []


def _metadata(header: SpcHeader, trace: Trace, index: int, n_traces: int) -> dict[str, str]:
    metadata = {
        "comment": header.comment,
        "source": header.source,
        "method": header.method,
        "resolution": header.resolution,
        "date": header.time_as_written,
        "y_type": header.labels[1] or _Y_NAMES.get(header.y_type, f"code {header.y_type}"),
        "log": header.log_text,
    }
    if n_traces > 1:
        z_name = header.labels[2] or _Z_NAMES.get(header.z_type, "")
        metadata["trace"] = f"{index + 1} of {n_traces}"
        metadata["z"] = f"{trace.z:g} {z_name}".strip()
        if header.w_planes:
            metadata["w"] = f"{trace.w:g}"
    metadata = {key: value for key, value in metadata.items() if value}
    if index and n_traces * len(header.log) > _LOG_ENTRIES_REPEATED:
        return metadata
    # The log's own names win nothing over the header's, but none is lost.
    return metadata | {f"log.{key}" if key in metadata else key: value for key, value in header.log.items()}


def _title(header: SpcHeader, source: Source) -> str:
    if header.comment and not _WIRE_BOILERPLATE.search(header.comment):
        return header.comment
    name = (_entry(header.log, "sample") or _entry(header.log, "name")).strip('"')
    return Path(source.name).stem if name in _LABSPEC_DATA_KINDS else name


def _exposure_ms(log: Mapping[str, str]) -> float | None:
    # WiRE: "Time: 10s" (version 2) or "Time: 3000" in ms (later); LabSpec: "TIME" and "ACQ. TIME (S)" in s.
    wire = _entry(log, "exposure_time")
    value = _first_number(wire)
    if value is not None:
        return value * 1000 if re.search(r"\d\s*s\b", wire) else value
    value = _first_number(_entry(log, "acq. time (s)", "time"))
    return None if value is None else value * 1000


def _acquisition(file: _File, flags: list[str], metadata: Mapping[str, str]) -> Acquisition:
    header, log = file.header, file.header.log
    averages = _first_number(_entry(log, "accumulations", "accum", "scans"))
    # The text is without a unit or in that of the axis.
    resolution = _RESOLUTION.fullmatch(header.resolution) if file.kind in ("wavenumber", "shift") else None
    return Acquisition(
        instrument=_entry(log, "model", "instrument") or header.source,
        serial=_entry(log, "serial_number"),
        laser_nm=file.laser,
        integration_ms=_exposure_ms(log),
        averages=int(averages) if averages else None,
        resolution_cm1=(float(resolution[1]) or None) if resolution else None,
        time=header.time,
        operator=_entry(log, "operator"),
        flags=frozenset(flags),
        metadata=metadata,
    )


FORMAT: Final = Format(
    name="spc",
    title="Galactic SPC (GRAMS)",
    extensions=(".spc",),
    sniff=_sniff,
    read=_read,
)
