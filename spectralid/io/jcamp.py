"""JCAMP-DX 4.24 and 5.x: infrared and Raman spectra in every number form, linked and NTUPLES blocks.

What is read, and what is decided where a file leaves room:

* (X++(Y..Y)) and (XY..XY) tables, peak tables, NTUPLES pages. A peak table is no continuous spectrum: it
  becomes a `Spectrum` with points at the peaks only and the flag ``"peak_table"``, unless its points are as
  many and as even as those of a spectrum.
* The axis of an (X++(Y..Y)) table is FIRSTX … LASTX when the abscissae printed on its lines agree, else the
  evenly spaced axis those abscissae agree on (flag ``"axis_from_lines"``); if they agree on none the file is
  damaged. A number of points other than NPOINTS is accepted only where the axis still ends at LASTX.
* Header values that contradict the table (FIRSTY, MAXY, MINY, NPOINTS) change nothing; they are flagged
  ``"header_disagrees"``, with a sentence in the metadata under `NOTES`.
* TRANSMITTANCE stands for ratios and for percent in real files: the values decide
  (``"ordinate_unit_inferred"`` where they overrule an explicit percent sign).
* Of a link block the vibrational blocks are read; ``"blocks_skipped"`` says that others were left out.

Everything this module writes it reads back with the same identity, acquisition facts and history, which
travel in ``##$SPECTRALID …`` records.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from spectralid.errors import FileError, InvalidSpectrumError, UnreadableFileError, UnsupportedContentError
from spectralid.io._jcamp_blocks import Block, Table, clean_bytes, parse_blocks
from spectralid.io._jcamp_codec import Malformed, Ordinates, decode_ordinates, decode_points
from spectralid.io._jcamp_facts import (
    AxisUnit,
    Kind,
    acquisition_of,
    axis_unit,
    infrared_sampling,
    kind_of,
    ordinate_unit,
)
from spectralid.io._jcamp_write import NOTES, own_record, write
from spectralid.io._registry import Format, ReadOptions, Source
from spectralid.spectrum import FloatArray, ProcessingStep, Spectrum, Technique

__all__ = ["FORMAT"]

_HEAD: Final = re.compile(rb"(?im)^[ \t]*##[ \t]*(?:TITLE|JCAMP[ \-_]?(?:DX|CS))[ \t]*=")

# Points of a peak table that is a continuous spectrum all the same: no peak picker finds so many, so evenly.
_CONTINUOUS_POINTS: Final = 100


def _sniff(head: Source) -> float:
    return 0.95 if _HEAD.search(clean_bytes(head.data)) else 0.0


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the header says about one table; ``None`` where it says nothing."""

    first_x: float | None
    last_x: float | None
    delta_x: float | None
    points: float | None
    first_y: float | None
    highest_y: float | None
    lowest_y: float | None
    x_factor: float
    y_factor: float
    x_units: str
    y_units: str


def _layout(block: Block) -> _Layout:
    return _Layout(
        first_x=block.number("FIRSTX"),
        last_x=block.number("LASTX"),
        delta_x=block.number("DELTAX"),
        points=block.number("NPOINTS"),
        first_y=block.number("FIRSTY"),
        highest_y=block.number("MAXY"),
        lowest_y=block.number("MINY"),
        x_factor=_factor(block, "XFACTOR"),
        y_factor=_factor(block, "YFACTOR"),
        x_units=block.text("XUNITS"),
        y_units=block.text("YUNITS"),
    )


def _factor(block: Block, label: str) -> float:
    value = block.number(label)
    if value is None:
        if block.text(label):
            raise Malformed(f"{label} is not a number.", block.line_of(label))
        return 1.0
    if value == 0 or not math.isfinite(value):
        raise Malformed(f"{label} is {value:g}; a factor cannot be that.", block.line_of(label))
    return value


def _ntuples_layout(block: Block, table: Table) -> tuple[_Layout, str]:
    """Layout of one NTUPLES table and the variable list it stands for."""
    form = re.match(r"\((\w)\+\+\((\w)\.\.\2\)\)|\((\w)(\w)\.\.\3\4\)", table.form.replace(" ", ""))
    if form is None:
        raise Malformed(f"the variable list {table.form[:40]!r} is not one that is known.", table.line)
    x_symbol, y_symbol = form[1] or form[3], form[2] or form[4]

    def columns(label: str) -> list[str]:
        return [cell.strip() for cell in block.text(label).split(",")]

    symbols = columns("SYMBOL")
    if x_symbol not in symbols or y_symbol not in symbols:
        raise Malformed(
            f"the variables of {table.form} are not among the symbols of the NTUPLES.", table.line
        )
    x_at, y_at = symbols.index(x_symbol), symbols.index(y_symbol)

    def text(label: str, at: int) -> str:
        cells = columns(label)
        return cells[at] if at < len(cells) else ""

    def number(label: str, at: int) -> float | None:
        try:
            return float(text(label, at))
        except ValueError:
            return None

    # Only the first page starts at FIRST; the others' first ordinate is not in the header.
    layout = _Layout(
        first_x=number("FIRST", x_at),
        last_x=number("LAST", x_at),
        delta_x=None,
        points=number("VARDIM", y_at),
        first_y=None,
        highest_y=None,
        lowest_y=None,
        x_factor=number("FACTOR", x_at) or 1.0,
        y_factor=number("FACTOR", y_at) or 1.0,
        x_units=text("UNITS", x_at),
        y_units=text("UNITS", y_at),
    )
    return layout, "(X++(Y..Y))" if form[1] else "(XY..XY)"


def _even_axis(rows: Ordinates, layout: _Layout, table: Table, notes: list[str]) -> tuple[FloatArray, bool]:
    """Axis of an (X++(Y..Y)) table, and whether it had to be taken from the lines instead of the header."""
    n = rows.values.size
    printed = rows.abscissae * layout.x_factor
    quantum = rows.quantum * abs(layout.x_factor)
    if n < 2:
        raise Malformed("the table holds fewer than two points.", table.line)
    promised = None if layout.points is None else round(layout.points)
    first, last, step = layout.first_x, layout.last_x, layout.delta_x

    def off(axis: FloatArray, slack: float = 0.4) -> int:
        """First table line whose abscissa does not lie on `axis` (`slack` in points); -1 if all do."""
        spacing = abs(axis[-1] - axis[0]) / (n - 1)
        wrong = np.flatnonzero(~(np.abs(axis[rows.starts] - printed) <= 1.01 * quantum + slack * spacing))
        return int(wrong[0]) if wrong.size else -1

    stated = np.linspace(first, last, n) if first is not None and last is not None and first != last else None
    if stated is not None and off(stated) < 0:
        if promised is not None and promised != n:
            notes.append(f"NPOINTS is {promised}, the table holds {n} points up to LASTX.")
        return stated, False
    if promised is not None and n < promised:
        raise Malformed(
            f"NPOINTS promises {promised} points, the table holds {n}; the file is truncated or damaged.",
            int(rows.numbers[-1]),
        )
    if first is not None and step and promised in (None, n):
        axis = first + step * np.arange(n, dtype=np.float64)
        if off(axis) < 0:
            if last is not None:
                notes.append(f"LASTX is {last:.9g}, FIRSTX and DELTAX lead to {axis[-1]:.9g}.")
            return axis, False
    if printed.size == n:
        # One point to a line: the printed abscissae are the axis, evenly spaced or not.
        notes.append("The abscissae printed in the table are not those of FIRSTX and LASTX and are used.")
        return printed, True
    if printed.size >= 2 and rows.starts[-1] > rows.starts[0]:
        slope, offset = (float(v) for v in np.polyfit(rows.starts, printed, 1))
        axis = offset + slope * np.arange(n, dtype=np.float64)
        if slope != 0 and off(axis) < 0:
            notes.append("The abscissae printed in the table are not those of FIRSTX and LASTX and are used.")
            return axis, True
    if stated is not None and promised == n and off(stated, 1.05) < 0:
        # All points are there, and the disagreement stays within one of them.
        notes.append("The abscissae printed in the table lie up to one point beside FIRSTX to LASTX.")
        return stated, False
    if stated is None and printed.size < 2:
        raise Malformed("neither FIRSTX and LASTX nor a second line say where its points lie.", table.line)
    wrong = 0 if stated is None else max(0, off(stated))
    raise Malformed(
        f"the abscissa check fails: the line begins at {printed[wrong]:.9g}, which is not where the points "
        "before it lead to. A line is missing or damaged.",
        int(rows.numbers[wrong]),
    )


def _header_notes(values: FloatArray, layout: _Layout, notes: list[str]) -> None:
    """Add a sentence for each ordinate value of the header that the table contradicts."""
    known = values[np.isfinite(values)]
    if not known.size:
        return
    extent = float(known.max() - known.min()) or abs(float(known[0])) or 1.0

    def agrees(label: str, stated: float | None, found: float) -> bool:
        # A value printed to a few places, or cut to a whole number, is common and harmless.
        slack = max(0.01 * extent, 1.0 if stated is not None and stated == round(stated) else 0.0)
        if stated is None or abs(stated - found) <= slack:
            return True
        notes.append(f"{label} is {stated:.6g}, the table has {found:.6g}.")
        return False

    highest = agrees("MAXY", layout.highest_y, float(known.max()))
    lowest = agrees("MINY", layout.lowest_y, float(known.min()))
    # Where both extremes vouch for the ordinates a wrong FIRSTY (some writers put MINY there) says nothing.
    vouched = highest and lowest and None not in (layout.highest_y, layout.lowest_y)
    if math.isfinite(values[0]) and not vouched:
        agrees("FIRSTY", layout.first_y, float(values[0]))


def _is_continuous(axis: FloatArray) -> bool:
    steps = np.abs(np.diff(axis))
    return axis.size >= _CONTINUOUS_POINTS and bool(steps.max() < 2 * steps.min())


def _laser(block: Block, stated: float | None, source: Source, options: ReadOptions) -> float:
    if stated is not None and options.laser_nm is not None and abs(stated - options.laser_nm) > 1:
        raise FileError(
            f"it states an excitation wavelength of {stated:g} nm, but {options.laser_nm:g} nm was given.",
            file=source.name,
        )
    laser = stated if stated is not None else options.laser_nm
    if laser is None:
        raise UnreadableFileError(
            "its axis is a wavelength and it does not state the excitation wavelength; give laser_nm.",
            file=source.name,
            where=f"line {block.line_of('XUNITS')}",
        )
    return laser


def _spectrum(block: Block, table: Table, kind: Kind, data: bytes, source: Source, options: ReadOptions,
              skipped: list[str]) -> Spectrum:  # fmt: skip
    """The spectrum in one table of a block."""
    own = own_record(block, data)
    notes: list[str] = []
    flags: list[str] = []
    form = table.form.replace(" ", "").upper()
    if table.label == "DATATABLE":
        layout, form = _ntuples_layout(block, table)
    else:
        layout = _layout(block)
    if form.startswith("(X++("):
        rows = decode_ordinates(data, table.start, table.end, table.line + 1)
        x, from_lines = _even_axis(rows, layout, table, notes)
        y = rows.values * layout.y_factor
        if from_lines:
            flags.append("axis_from_lines")
    elif form.startswith("(XY..XY"):
        x, y = decode_points(data, table.start, table.end, table.line + 1)
        x, y = x * layout.x_factor, y * layout.y_factor
        if x.size < 2:
            raise Malformed("the table holds fewer than two points.", table.line)
        if layout.points is not None and round(layout.points) != x.size:
            if x.size < layout.points and not block.ended:
                raise Malformed(
                    f"NPOINTS promises {layout.points:.0f} points, the table holds {x.size} and ##END= is "
                    "missing; the file is truncated.",
                    table.line,
                )
            notes.append(f"NPOINTS is {layout.points:.0f}, the table holds {x.size} points.")
        if table.label == "PEAKTABLE" and not _is_continuous(x):
            flags.append("peak_table")
    else:
        raise Malformed(f"the variable list {table.form[:40]!r} is not one that is known.", table.line)
    if own is not None:
        return own.spectrum(x, y, source.name)
    _header_notes(y, layout, notes)

    history: list[ProcessingStep] = []
    unit_of_x = axis_unit(layout.x_units)
    acquisition = acquisition_of(block, unit_of_x)
    if unit_of_x is AxisUnit.OTHER:
        if kind is not Kind.UNSTATED and "CENT" in layout.x_units.upper() and np.min(np.abs(x)) > 50:
            # A "spectrum" at wavelengths of metres: reciprocal centimetres are meant.
            flags.append("axis_unit_inferred")
            notes.append(f"XUNITS is {layout.x_units}; 1/CM is meant.")
        elif not layout.x_units and kind is not Kind.UNSTATED:
            raise Malformed("XUNITS is missing; add ##XUNITS=1/CM if that is what it is.", table.line)
        elif not layout.x_units:
            raise UnsupportedContentError(
                "it states neither DATA TYPE nor XUNITS, so that nothing says it is a vibrational "
                "spectrum; add them if you know them.",
                file=source.name,
            )
        else:
            raise UnsupportedContentError(
                f"its abscissa is in {layout.x_units[:40]!r}; a vibrational spectrum is in 1/CM, "
                "NANOMETERS or MICROMETERS.",
                file=source.name,
                where=f"line {block.line_of('XUNITS')}",
            )
    elif unit_of_x is not AxisUnit.WAVENUMBER:
        if np.any(x <= 0):
            raise Malformed("the wavelength axis holds a value that is not positive.", table.line)
        parameters: dict[str, object] = {"from": unit_of_x.value}
        inverse = (1e7 if unit_of_x is AxisUnit.NANOMETRE else 1e4) / x
        if kind is Kind.RAMAN or options.technique is Technique.RAMAN:
            laser = _laser(block, acquisition.laser_nm, source, options)
            acquisition = replace(acquisition, laser_nm=laser)
            parameters["laser_nm"] = laser
            x = 1e7 / laser - inverse
        elif kind is Kind.INFRARED or (options.technique is not None and options.technique.is_infrared):
            x = inverse
        else:
            raise UnsupportedContentError(
                f"its axis is a wavelength ({layout.x_units}) and it does not say that it is a Raman or "
                "infrared spectrum; give the technique if you know it.",
                file=source.name,
                where=f"line {block.line_of('XUNITS')}",
            )
        history.append(ProcessingStep("wavelength_to_wavenumber", parameters))

    known = y[np.isfinite(y)]
    highest = float(known.max()) if known.size else 0.0
    unit, scale, unit_flags = ordinate_unit(layout.y_units, kind, highest)
    if scale != 1.0:
        y = y * scale
        history.append(ProcessingStep("scale", {"factor": scale, "from": layout.y_units}))
    flags += unit_flags
    if notes:
        flags.append("header_disagrees")
    if skipped:
        flags.append("blocks_skipped")
        notes.append("Blocks left out: " + "; ".join(skipped[:10]) + ".")
    if notes:
        acquisition = replace(acquisition, metadata={**acquisition.metadata, NOTES: " ".join(notes)})
    technique = {
        Kind.RAMAN: Technique.RAMAN,
        Kind.INFRARED: infrared_sampling(block),
    }.get(kind, Technique.UNKNOWN)
    name = block.text("TITLE", "NAMES", "CASNAME", "SAMPLEDESCRIPTION").partition("\n")[0].strip()
    if table.page:
        name = f"{name} ({table.page})"
    return Spectrum.from_points(
        x,
        y,
        technique=technique,
        unit=unit,
        acquisition=acquisition.with_flags(*flags),
        history=history,
        name=name,
        source=source.name,
    )


def _chosen_tables(block: Block) -> list[Table]:
    """The tables of a block that are spectra: all pages, the measured table, failing that the peak table."""
    pages = [table for table in block.tables if table.label == "DATATABLE"]
    measured = [table for table in block.tables if table.label in ("XYDATA", "XYPOINTS")]
    if len(measured) > 1:
        raise Malformed(
            "a second data table follows in the same block; an ##END= is missing.", measured[1].line
        )
    return pages or measured or [table for table in block.tables if table.label == "PEAKTABLE"][:1]


def _read_blocks(source: Source, options: ReadOptions) -> list[Spectrum]:
    data = clean_bytes(source.data)
    blocks = [block for block in parse_blocks(data) if not block.is_link]
    wanted: list[tuple[Block, Kind]] = []
    skipped: list[str] = []
    empty: Block | None = None
    for block in blocks:
        kind, name = kind_of(block)
        if kind is Kind.FOREIGN:
            skipped.append(name)
        elif any(table.label == "RADATA" for table in block.tables):
            skipped.append("an interferogram, not a spectrum")
        elif _chosen_tables(block):
            wanted.append((block, kind))
        elif block.tables:
            skipped.append("a table of peak assignments, no spectrum")
        else:
            empty = empty or block
    if not wanted:
        if skipped:
            names = "; ".join(dict.fromkeys(skipped))
            raise UnsupportedContentError(
                f"it holds {names[:300]}. No vibrational spectrum is in it.", file=source.name
            )
        raise Malformed(
            "there is no data table (##XYDATA=) in it; the file is truncated or only a header.",
            blocks[0].line if empty is None else empty.line,
        )
    spectra: list[Spectrum] = []
    for block, kind in wanted:
        for table in _chosen_tables(block):
            try:
                # Numbers too large for a float become infinite and are refused as such.
                with np.errstate(all="ignore"):
                    spectra.append(_spectrum(block, table, kind, data, source, options, skipped))
            except InvalidSpectrumError as error:
                raise Malformed(str(error), table.line) from error
    return spectra


def _read(source: Source, options: ReadOptions) -> list[Spectrum]:
    try:
        return _read_blocks(source, options)
    except Malformed as error:
        raise UnreadableFileError(error.message, file=source.name, where=f"line {error.line}") from None


FORMAT = Format(
    name="jcamp-dx",
    title="JCAMP-DX",
    extensions=(".jdx", ".dx", ".jcm", ".jcamp"),
    sniff=_sniff,
    read=_read,
    write=write,
)
