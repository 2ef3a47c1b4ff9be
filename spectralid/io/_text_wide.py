"""Tables whose first row is the axis and whose other rows are a spectrum each."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from spectralid.errors import UnreadableFileError
from spectralid.io._assemble import is_infrared, make_axis, make_spectrum
from spectralid.io._registry import ReadOptions, Source
from spectralid.io._text_header import AXIS_ROLES, AxisKind, read_header, role_of, technique_in
from spectralid.io._text_numbers import Dialect, is_monotone
from spectralid.spectrum import FloatArray, Spectrum

__all__ = ["WideTable", "find_wide", "wide_spectra"]

# Fewer columns than this are a table of points; libraries and maps have hundreds.
MINIMUM_COLUMNS: Final = 16
HEADER_LINES: Final = 300
_NUMBER: Final = re.compile(r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?")
_NAME_LABELS: Final = ("spectrum_identity", "label", "name", "sample", "substance", "compound", "type", "id")


@dataclass(frozen=True, slots=True)
class WideTable:
    """Where a wide table stands in a file.

    Attributes
    ----------
    line : int
        Index of its axis row among the file's lines.
    dialect : Dialect
        How it is written.
    start, stop : int
        The fields that are points; those around them are labels.
    axis : ndarray of float, shape (stop - start,)
        Axis values as the file has them.
    labels : dict of int to str
        Headings of the label fields.
    """

    line: int
    dialect: Dialect
    start: int
    stop: int
    axis: FloatArray
    labels: dict[int, str]


def _longest_numeric(fields: Sequence[str]) -> tuple[int, int]:
    best, start = (0, 0), 0
    for i in range(len(fields) + 1):
        if i == len(fields) or not _NUMBER.fullmatch(fields[i]):
            if i - start > best[1] - best[0]:
                best = start, i
            start = i + 1
    return best


def _fields(line: str, delimiter: str) -> list[str]:
    return Dialect(delimiter, quoted='"' in line and delimiter != "").split(line)


def find_wide(lines: Sequence[str], name: str) -> WideTable | None:
    """The wide table in a file, or ``None`` where there is none.

    Raises
    ------
    UnreadableFileError
        If rows and columns could each be the axis.
    """
    for index, line in enumerate(lines[:HEADER_LINES]):
        delimiter = max(("\t", ";", ","), key=line.count)
        if line.count(delimiter) < MINIMUM_COLUMNS:
            continue
        fields = _fields(line, delimiter)
        start, stop = _longest_numeric(fields)
        if stop - start < MINIMUM_COLUMNS:
            return None
        decimal = "," if delimiter != "," and any("," in f for f in fields[start:stop]) else "."
        dialect = Dialect(delimiter, decimal=decimal, quoted=any('"' in x for x in lines[index:]))
        try:
            axis = np.array([dialect.number(f) for f in fields[start:stop]])
        except ValueError:
            return None
        if not is_monotone(axis) or not any(x.strip() for x in lines[index + 1 :]):
            return None
        labels = {i: f for i, f in enumerate(fields) if f and not start <= i < stop}
        table = WideTable(index, dialect, start, stop, axis, labels)
        return None if _is_tall(table, lines, name) else table
    return None


def _is_tall(table: WideTable, lines: Sequence[str], name: str) -> bool:
    """Whether the first column, not the first row, is the axis."""
    corner = table.labels.get(0, "")
    if table.start == 1 and AXIS_ROLES.get(role_of(corner), AxisKind.PIXEL) is not AxisKind.PIXEL:
        return True
    delimiter = table.dialect.delimiter
    first, *others = (x.split(delimiter, 1)[0].strip(' "') for x in lines[table.line :] if x.strip())
    try:
        column = np.array([table.dialect.number(f) for f in ([] if table.start else [first]) + others])
    except ValueError:
        return False
    if column.size < 5 or not np.isfinite(column).all() or not is_monotone(column) or table.start > 1:
        return False
    if table.start == 1 and not first and delimiter == "\t":
        # LabSpec leaves the corner empty and puts times or points before each spectrum.
        return False
    if np.all(np.diff(table.axis) == 1) and table.axis[0] in (0, 1):
        return True
    raise UnreadableFileError(
        "its first row and its first column both rise like an axis; keep one spectrum per column with the "
        "axis in the first column, headed 'Raman shift' or 'Wavenumber'.",
        file=name,
        where=f"line {table.line + 1}",
    )


def _row_values(fields: Sequence[str], table: WideTable, name: str, number: int) -> FloatArray:
    points = fields[table.start : table.stop]
    try:
        if table.dialect.decimal == ".":
            with contextlib.suppress(ValueError):
                return np.array([float(f) for f in points])
        return np.array([table.dialect.number(f) for f in points])
    except ValueError as error:
        raise UnreadableFileError(
            f"a field of this spectrum is not a number ({str(error)[-60:]}); correct or remove the line.",
            file=name,
            where=f"line {number}",
        ) from None


def _row_name(labels: dict[str, str], stem: str, row: int, *, numeric: bool) -> str:
    for wanted in _NAME_LABELS:
        found = next((v for k, v in labels.items() if k.lower() == wanted and v), "")
        if found and not _NUMBER.fullmatch(found):
            return found
    if numeric and labels:
        return f"{stem} ({', '.join(f'{k} {v}' for k, v in labels.items())})"
    return next((v for v in labels.values() if not _NUMBER.fullmatch(v)), f"{stem} ({row})")


def wide_spectra(
    table: WideTable, lines: Sequence[str], source: Source, options: ReadOptions
) -> list[Spectrum]:
    """Spectra of a wide table, with the labels of each row in its metadata.

    Raises
    ------
    UnreadableFileError
        If a row does not fit the table.
    """
    header = read_header(lines[: table.line], table.dialect.delimiter, table.dialect.decimal)
    axis_names = [v for k, v in header.acquisition.metadata.items() if k.startswith("AxisType[")][2:]
    stem = header.name or Path(source.name).stem
    width = table.stop + sum(i >= table.stop for i in table.labels)
    axis = None
    spectra: list[Spectrum] = []
    for number, line in enumerate(lines[table.line + 1 :], table.line + 2):
        if not line.strip():
            continue
        fields = table.dialect.split(line)
        points = fields[table.start : table.stop]
        if not spectra and not any(_NUMBER.fullmatch(f) for f in points):
            # Orange writes the type and the purpose of each column below its name.
            continue
        if len(fields) < width or any(fields[width:]):
            raise UnreadableFileError(
                f"this line has {len(fields)} fields where the axis row has {width}; the file is truncated "
                "or damaged.",
                file=source.name,
                where=f"line {number}",
            )
        values = _row_values(fields, table, source.name, number)
        labels: dict[str, str] = {}
        for i, value in enumerate(fields[:width]):
            if value and not table.start <= i < table.stop:
                known = axis_names[i] if i < min(len(axis_names), table.start) else ""
                labels[table.labels.get(i, "") or known or f"label {i + 1}"] = value
        technique = technique_in(labels.get("spectrum_type", ""))
        if axis is None:
            infrared = is_infrared(None, technique, header, options)
            axis = make_axis(table.axis, header.axis, header, infrared, source, options)
        if not np.isfinite(values).any():
            raise UnreadableFileError(
                "this row holds no number; remove it.", file=source.name, where=f"line {number}"
            )
        spectra.append(
            make_spectrum(
                axis,
                values,
                name=_row_name(labels, stem, len(spectra) + 1, numeric=bool(axis_names)),
                header=header,
                source=source,
                technique=technique,
                metadata=labels,
            )
        )
    if not spectra:
        raise UnreadableFileError("below its axis row stands no spectrum.", file=source.name)
    return spectra
