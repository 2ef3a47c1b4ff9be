"""Tables whose rows are points: which columns are the axis and the intensities, and their spectra."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from spectralid.errors import UnreadableFileError, UnsupportedContentError
from spectralid.io._assemble import counts_points, is_infrared, make_axis, make_spectrum
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
from spectralid.spectrum import FloatArray, IntensityUnit, Spectrum

__all__ = ["MINIMUM_ROWS", "columns_of", "tall_spectra"]

MINIMUM_ROWS: Final = 5

# B&W Tek's TXTR files leave that many of their last columns without a heading.
UNNAMED_COLUMNS: Final = 3

_NUMBER: Final = re.compile(r"[-+]?[\d.,]+(?:[eE][-+]?\d+)?")


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
            replace(c, role=Role.PIXEL) if not c.heading and counts_points(values[:, c.index]) else c
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
