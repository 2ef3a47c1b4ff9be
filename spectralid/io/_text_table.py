"""From a table of numbers and the words around it to spectra."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from spectralid.errors import UnreadableFileError, UnsupportedContentError
from spectralid.io._registry import ReadOptions, Source
from spectralid.io._text_header import (
    AXIS_ROLES,
    AxisKind,
    Header,
    Role,
    role_of,
    technique_in,
    unit_in,
)
from spectralid.spectrum import (
    Acquisition,
    FloatArray,
    IntensityUnit,
    ProcessingStep,
    Spectrum,
    Technique,
)

__all__ = ["Axis", "columns_of", "make_axis", "make_spectrum", "tall_spectra"]

MINIMUM_ROWS: Final = 5

# A vibrational spectrum's axis lies in here; beyond are visible light, time, mass and pixels.
HIGHEST_CM1: Final = 15_000.0
LOWEST_CM1: Final = -6_000.0
LEAST_REACH_CM1: Final = 60.0
SHORTEST_NM: Final = 100.0
LONGEST_NM: Final = 1e6

# B&W Tek's TXTR files leave that many of their last columns without a heading.
UNNAMED_COLUMNS: Final = 3

_NUMBER: Final = re.compile(r"[-+]?[\d.,]+(?:[eE][-+]?\d+)?")

_INFRARED_UNITS: Final = frozenset(
    {
        IntensityUnit.ABSORBANCE,
        IntensityUnit.TRANSMITTANCE,
        IntensityUnit.PERCENT_TRANSMITTANCE,
        IntensityUnit.REFLECTANCE,
        IntensityUnit.KUBELKA_MUNK,
        IntensityUnit.SINGLE_BEAM,
    }
)


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis in cm⁻¹ and how it came about.

    Attributes
    ----------
    values : ndarray of float, shape (n_points,)
        In cm⁻¹, in the file's order.
    is_shift : bool
        Whether it is known to be a Raman shift.
    history : tuple of ProcessingStep
        Conversion from wavelength, if there was one.
    laser_nm : float or None
        The excitation it was converted with.
    flags : tuple of str
        What is odd about it.
    """

    values: FloatArray
    is_shift: bool = False
    history: tuple[ProcessingStep, ...] = ()
    laser_nm: float | None = None
    flags: tuple[str, ...] = ()


def _counts_points(values: FloatArray) -> bool:
    """Whether the values count 0, 1, 2 … or 1, 2, 3 …."""
    return values.size > 2 and values[0] in (0, 1) and bool(np.all(np.diff(values) == 1))


def make_axis(
    values: FloatArray,
    kind: AxisKind | None,
    header: Header,
    infrared: bool,
    source: Source,
    options: ReadOptions,
) -> Axis:
    """Turn axis values into cm⁻¹.

    Parameters
    ----------
    values : ndarray of float, shape (n_points,)
        As the file has them; finite.
    kind : AxisKind or None
        What they are, where the file says so; ``None`` is taken for cm⁻¹ if they can be that.
    header : Header
        May know the laser.
    infrared : bool
        Whether ordinate, header or caller say infrared: then a wavelength is one of light absorbed.
    source, options
        The file and what the caller knows.

    Raises
    ------
    UnreadableFileError
        If they cannot be turned into cm⁻¹.
    UnsupportedContentError
        If they lie outside any vibrational spectrum.
    """
    if not np.isfinite(values).all():
        raise UnreadableFileError("its axis holds a value that is not finite.", file=source.name)
    flags: tuple[str, ...] = ()
    if kind is AxisKind.PIXEL and values.min() < 0 and not np.all(values == np.round(values)):
        # Pixels are neither negative nor fractional, and neither is a wavelength negative.
        kind, flags = AxisKind.SHIFT, ("axis_label_contradicted",)
    if kind is AxisKind.PIXEL or (kind is None and _counts_points(values)):
        raise UnreadableFileError(
            "its axis counts points or pixels, not cm⁻¹; export it with the calibrated Raman shift or "
            "wavenumber axis (a true axis in steps of 1 cm⁻¹ is accepted under the heading 'Wavenumber').",
            file=source.name,
        )
    if kind in (AxisKind.NANOMETRE, AxisKind.MICROMETRE):
        return _from_wavelength(values, kind, header, infrared, source, options)
    low, high = float(values.min()), float(values.max())
    if low < LOWEST_CM1 or high > HIGHEST_CM1 or max(high, -low) < LEAST_REACH_CM1:
        raise UnsupportedContentError(
            f"its axis runs from {low:g} to {high:g}, which is no Raman shift or wavenumber in cm⁻¹; if it "
            "is a wavelength, head the column 'Wavelength (nm)' or 'Wavelength (µm)'.",
            file=source.name,
        )
    return Axis(values, is_shift=kind is AxisKind.SHIFT, flags=flags)


def _from_wavelength(
    values: FloatArray,
    kind: AxisKind,
    header: Header,
    infrared: bool,
    source: Source,
    options: ReadOptions,
) -> Axis:
    nanometres = values * (1000.0 if kind is AxisKind.MICROMETRE else 1.0)
    shortest, longest = float(nanometres.min()), float(nanometres.max())
    if shortest < SHORTEST_NM or longest > LONGEST_NM:
        raise UnsupportedContentError(
            f"its wavelengths run from {shortest:g} to {longest:g} nm: not a vibrational spectrum, or headed "
            "with the wrong unit.",
            file=source.name,
        )
    if infrared:
        wavenumbers = 1e7 / nanometres
        if wavenumbers.max() > HIGHEST_CM1:
            raise UnsupportedContentError(
                f"its wavelengths begin at {shortest:g} nm: visible or ultraviolet light, not a "
                "vibrational spectrum.",
                file=source.name,
            )
        return Axis(wavenumbers, history=(ProcessingStep("wavelength_to_wavenumber"),))
    laser = header.acquisition.laser_nm or options.laser_nm
    if laser is None:
        raise UnreadableFileError(
            f"its axis is a wavelength ({shortest:.0f} to {longest:.0f} nm) and it does not "
            "state the excitation; give the laser wavelength (laser_nm).",
            file=source.name,
        )
    step = ProcessingStep("wavelength_to_shift", {"laser_nm": laser})
    return Axis(1e7 / laser - 1e7 / nanometres, is_shift=True, history=(step,), laser_nm=laser)


def _settle_unit(unit: IntensityUnit | None, values: FloatArray) -> IntensityUnit:
    """The unit, with a transmittance or reflectance told from per cent by its size."""
    largest = np.nanmax(values, initial=-np.inf)
    if unit is IntensityUnit.TRANSMITTANCE and largest > 2:
        return IntensityUnit.PERCENT_TRANSMITTANCE
    if unit is IntensityUnit.REFLECTANCE and largest > 2:
        return IntensityUnit.ARBITRARY
    return unit or IntensityUnit.ARBITRARY


def make_spectrum(
    axis: Axis,
    intensity: FloatArray,
    *,
    name: str,
    header: Header,
    source: Source,
    unit: IntensityUnit | None = None,
    technique: Technique | None = None,
    sd: FloatArray | None = None,
    metadata: dict[str, str] | None = None,
    flags: Sequence[str] = (),
) -> Spectrum:
    """One spectrum from an axis and intensities, with what header and headings say.

    Parameters
    ----------
    axis : Axis
        Axis in cm⁻¹.
    intensity, sd : ndarray of float, shape (n_points,)
        Ordinate and its standard deviation.
    name : str
        Name of the spectrum.
    header : Header
        What the file says of all its spectra.
    source : Source
        The file.
    unit, technique
        What the column's or row's own heading says; goes before the header.
    metadata : dict, optional
        Fields of this spectrum alone.
    flags : sequence of str
        Validity flags.

    Returns
    -------
    Spectrum
    """
    unit = unit or header.unit
    acquisition: Acquisition = header.acquisition
    if axis.laser_nm is not None:
        acquisition = replace(acquisition, laser_nm=axis.laser_nm)
    if metadata:
        acquisition = replace(acquisition, metadata={**acquisition.metadata, **metadata})
    acquisition = acquisition.with_flags(*axis.flags, *flags)
    technique = technique or header.technique
    if technique is None:
        if unit in _INFRARED_UNITS:
            technique = Technique.FTIR
        elif axis.is_shift or acquisition.laser_nm is not None:
            technique = Technique.RAMAN
        else:
            technique = Technique.UNKNOWN
    return Spectrum.from_points(
        axis.values,
        intensity,
        sd=sd,
        technique=technique,
        unit=_settle_unit(unit, intensity),
        acquisition=acquisition,
        history=axis.history,
        name=name,
        source=source.name,
    )


def is_infrared(
    unit: IntensityUnit | None, technique: Technique | None, header: Header, options: ReadOptions
) -> bool:
    """Whether ordinate, header or caller say infrared (the file before the caller)."""
    stated = technique or header.technique or options.technique
    return stated.is_infrared if stated is not None else (unit or header.unit) in _INFRARED_UNITS


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: where it stands, its heading and what it is."""

    index: int
    heading: str
    role: Role


def columns_of(heading: str, width: int, delimiter: str, source: Source) -> list[Column]:
    """Columns of a table by the line above it, or an empty list where that line does not head them.

    Parameters
    ----------
    heading : str
        The last line before the table that is not blank.
    width : int
        Number of columns of the table.
    delimiter : str
        The table's field separator.
    source : Source
        The file.

    Raises
    ------
    UnreadableFileError
        If it heads many columns fewer than there are: then the table was not understood.
    """
    ways = _split_heading(heading, width, delimiter)
    whole = next((names for names in ways if len(names) == width), None)
    part = next((names for names in ways if any(role_of(n) in AXIS_ROLES for n in names)), [])
    if whole is None and 1 < len(part) < width - UNNAMED_COLUMNS:
        raise UnreadableFileError(
            f"its headings name {len(part)} columns where its rows have {width}; if its decimal signs are "
            "commas, export it with decimal points.",
            file=source.name,
        )
    names = whole or (part if 1 < len(part) < width else [])
    return (
        [Column(i, n, role_of(n)) for i, n in enumerate(names + [""] * (width - len(names)))] if names else []
    )


def _split_heading(heading: str, width: int, delimiter: str) -> list[list[str]]:
    """The ways to take a heading apart, the table's own separator first; a header field has none."""
    bare = heading.strip().lstrip("#%!").strip()
    ways = [heading.split(delimiter)] if delimiter else []
    ways += [re.split(r"\s{2,}|\t+", bare), re.split(r"\s*[;,\t]\s*", bare)]
    words = bare.split()
    if words and role_of(words[0]) in AXIS_ROLES:
        ways.append(words)
    taken: list[list[str]] = []
    for fields in ways:
        names = [f.strip().strip('"').lstrip("#").strip() for f in fields]
        if any("=" in n or _NUMBER.fullmatch(n) for n in names):
            continue
        while names and not names[-1]:
            names.pop()
        # Some exports pad the headings with more separators than the rows have.
        filled = [n for n in names if n]
        taken.append(filled if len(filled) == width else names)
    return taken


def _axis_column(columns: Sequence[Column], values: FloatArray, source: Source) -> Column:
    for role in AXIS_ROLES:
        found = [c for c in columns if c.role is role and np.isfinite(values[:, c.index]).any()]
        if len(found) > 1:
            raise UnreadableFileError(
                f"{len(found)} of its columns are headed as {role.value}; save each spectrum in a file of "
                "its own, or all on one axis column.",
                file=source.name,
            )
        if found and not (role is Role.PIXEL and found[0].index > 0):
            return found[0]
    if columns[0].role not in (Role.GENERIC, Role.POSITION):
        raise UnreadableFileError(
            "none of its columns is headed as an axis (Raman shift, wavenumber or wavelength).",
            file=source.name,
        )
    return columns[0]


def _chosen(columns: Sequence[Column], axis: Column, source: Source) -> list[Column]:
    others = [c for c in columns if c.index != axis.index and c.role not in AXIS_ROLES]
    for role in (Role.PROCESSED, Role.RAW, Role.GENERIC, Role.POSITION, Role.BASELINED, Role.DERIVED):
        found = [c for c in others if c.role is role]
        found = [c for c in found if c.heading] or found
        if role is Role.POSITION and axis.role in AXIS_ROLES and len(found) > 1:
            continue
        if found:
            return found
    raise UnreadableFileError("none of its columns is an intensity.", file=source.name)


def _groups(values: FloatArray, positions: Sequence[Column]) -> list[tuple[dict[str, str], FloatArray]]:
    """Runs of rows measured at one position, with the position."""
    if not positions:
        return [({}, values)]
    where = values[:, [p.index for p in positions]]
    cuts = np.flatnonzero(np.any(np.diff(where, axis=0) != 0, axis=1)) + 1
    return [
        ({p.heading: f"{part[0, p.index]:g}" for p in positions}, part) for part in np.split(values, cuts)
    ]


def tall_spectra(
    values: FloatArray,
    columns: list[Column],
    header: Header,
    source: Source,
    options: ReadOptions,
) -> list[Spectrum]:
    """Spectra of a table whose rows are points.

    Parameters
    ----------
    values : ndarray of float, shape (n_rows, n_columns)
        The table.
    columns : list of Column
        Its columns, or empty where nothing heads them: then the first is the axis.
    header : Header
        What the file says of all its spectra.
    source, options
        The file and what the caller knows.

    Returns
    -------
    list of Spectrum

    Raises
    ------
    UnreadableFileError, UnsupportedContentError
        If the table is no spectrum.
    """
    named = bool(columns)
    columns = columns or [Column(i, "", Role.GENERIC) for i in range(values.shape[1])]
    if named:
        # Programs that save their row numbers leave the heading blank.
        columns = [
            replace(c, role=Role.PIXEL) if not c.heading and _counts_points(values[:, c.index]) else c
            for c in columns
        ]
    axis_column = _axis_column(columns, values, source)
    chosen = _chosen(columns, axis_column, source)
    positions = [c for c in columns if c.role is Role.POSITION and c not in chosen and c is not axis_column]
    deviations = [c for c in columns if c.role is Role.SD] if len(chosen) == 1 else []
    kind = AXIS_ROLES.get(axis_column.role)
    if kind is None or (kind is AxisKind.WAVENUMBER and header.axis is not None):
        kind = header.axis or kind
    stem = header.name or Path(source.name).stem
    spectra: list[Spectrum] = []
    for position, part in _groups(values, positions):
        placed = ~np.isnan(part[:, axis_column.index])
        part = part[placed]
        if part.shape[0] < MINIMUM_ROWS:
            raise UnsupportedContentError(
                f"its table has only {part.shape[0]} points; a spectrum has more.", file=source.name
            )
        flags = () if placed.all() else ("points_without_axis_dropped",)
        for column in chosen:
            if not np.isfinite(part[:, column.index]).any() and len(chosen) > 1 and not column.heading:
                continue
            unit, technique = unit_in(column.heading), technique_in(f"{axis_column.heading} {column.heading}")
            axis = make_axis(
                part[:, axis_column.index],
                kind,
                header,
                is_infrared(unit, technique, header, options),
                source,
                options,
            )
            label = ", ".join(f"{k} {v}" for k, v in position.items())
            if len(chosen) > 1:
                label = column.heading or f"column {column.index + 1}"
            spectra.append(
                make_spectrum(
                    axis,
                    part[:, column.index],
                    name=f"{stem} ({label})" if label else stem,
                    header=header,
                    source=source,
                    unit=unit or _unit_of_role(column.role, named),
                    technique=technique,
                    sd=part[:, deviations[0].index] if deviations else None,
                    metadata=position,
                    flags=flags,
                )
            )
    return spectra


def _unit_of_role(role: Role, named: bool) -> IntensityUnit | None:
    return IntensityUnit.COUNTS if named and role in (Role.PROCESSED, Role.RAW) else None
