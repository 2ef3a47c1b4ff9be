"""What a JCAMP-DX header says about a table, and the axis and ordinates that follow from both."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from spectralid.io._jcamp_blocks import Block, Table, leading_number
from spectralid.io._jcamp_codec import Malformed, Ordinates, decode_ordinates, decode_points
from spectralid.spectrum import FloatArray

__all__ = ["Findings", "Points", "decode_table"]

# Points of a peak table that is a continuous spectrum all the same: no peak picker finds so many, so evenly.
_CONTINUOUS_POINTS: Final = 100


@dataclass(slots=True)
class Findings:
    """What has to be told about a table besides its values.

    Attributes
    ----------
    flags : list of str
        Validity flags.
    notes : list of str
        Sentences on what in the file disagrees.
    """

    flags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Points:
    """A decoded table, factors applied, in the file's own units and order."""

    x: FloatArray
    y: FloatArray
    x_units: str
    y_units: str


@dataclass(frozen=True, slots=True)
class Layout:
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


def _layout(block: Block) -> Layout:
    return Layout(
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


def _ntuples_layout(block: Block, table: Table) -> tuple[Layout, str]:
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
        return leading_number(text(label, at))

    # Only the first page starts at FIRST; the others' first ordinate is not in the header.
    layout = Layout(
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


def _even_axis(rows: Ordinates, layout: Layout, table: Table, notes: list[str]) -> tuple[FloatArray, bool]:
    """Axis of an (X++(Y..Y)) table, and whether it had to be taken from the lines instead of the header."""
    n = rows.values.size
    printed = rows.abscissae * layout.x_factor
    quantum = rows.quantum * abs(layout.x_factor)
    if n < 2:
        raise Malformed("the table holds fewer than two points.", table.line)
    promised = None if layout.points is None else round(layout.points)
    first, last, step = layout.first_x, layout.last_x, layout.delta_x

    def off(axis: FloatArray, slack: float = 0.05) -> int:
        """First table line whose abscissa does not lie on `axis` (`slack` in points); -1 if all do."""
        spacing = abs(axis[-1] - axis[0]) / (n - 1)
        wrong = np.flatnonzero(~(np.abs(axis[rows.starts] - printed) <= 1.01 * quantum + slack * spacing))
        return int(wrong[0]) if wrong.size else -1

    is_short = promised is not None and n < promised
    disagreement = "The abscissae printed in the table are not those of FIRSTX and LASTX and are used."
    stated = np.linspace(first, last, n) if first is not None and last is not None and first != last else None
    if stated is not None and off(stated) < 0 and not (is_short and printed.size < 3):
        if promised not in (None, n):
            notes.append(f"NPOINTS is {promised}, the table holds {n} points up to LASTX.")
        return stated, False
    if is_short:
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
    if printed.size == n and (np.all(np.diff(printed) > 0) or np.all(np.diff(printed) < 0)):
        # One point to a line: the printed abscissae are the axis, evenly spaced or not.
        if stated is not None:
            notes.append(disagreement)
        return printed, True
    if printed.size >= 2:
        index = rows.starts - rows.starts.mean()
        slope = float(index @ printed / (index @ index))
        axis = printed.mean() + slope * (np.arange(n) - rows.starts.mean())
        if slope != 0 and off(axis) < 0:
            if stated is not None:
                notes.append(disagreement)
            return axis, True
    if stated is not None and promised == n and off(stated, 1.05) < 0:
        # All points are there, and the disagreement stays within one of them.
        notes.append("The abscissae printed in the table lie up to one point beside FIRSTX to LASTX.")
        return stated, False
    if stated is None and printed.size < 2:
        raise Malformed("neither FIRSTX and LASTX nor a second line say where its points lie.", table.line)
    wrong = 0 if stated is None else max(0, off(stated))
    if printed.size > 1:
        # The line to name is where the printed abscissae break their own pace; the axis may be off before.
        runs, rises = np.diff(rows.starts), np.diff(printed)
        usual = np.median(rises / runs)
        broken = np.flatnonzero(~(np.abs(rises - usual * runs) <= 2 * quantum + 0.5 * abs(usual)))
        wrong = int(broken[0]) + 1 if broken.size else wrong
    raise Malformed(
        f"the abscissa check fails: the line begins at {printed[wrong]:.9g}, which is not where the points "
        "before it lead to. A line is missing or damaged.",
        int(rows.numbers[wrong]),
    )


def _header_notes(values: FloatArray, layout: Layout, notes: list[str]) -> None:
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


def decode_table(block: Block, table: Table, data: bytes, findings: Findings) -> Points:
    """Decode one table of a block.

    Parameters
    ----------
    block, table
        The table and the block whose header describes it.
    data : bytes
        The cleaned file.
    findings : Findings
        Takes up what disagrees.

    Raises
    ------
    Malformed
        If the table is damaged, or header and table contradict each other beyond repair.
    """
    form = table.form.replace(" ", "").upper()
    layout = _layout(block)
    if table.label == "DATATABLE":
        layout, form = _ntuples_layout(block, table)
    if form.startswith("(X++("):
        rows = decode_ordinates(data, table.start, table.end, table.line + 1)
        x, from_lines = _even_axis(rows, layout, table, findings.notes)
        y = rows.values * layout.y_factor
        if from_lines:
            findings.flags.append("axis_from_lines")
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
            findings.notes.append(f"NPOINTS is {layout.points:.0f}, the table holds {x.size} points.")
        if table.label == "PEAKTABLE" and not _is_continuous(x):
            findings.flags.append("peak_table")
    else:
        raise Malformed(f"the variable list {table.form[:40]!r} is not one that is known.", table.line)
    _header_notes(y, layout, findings.notes)
    return Points(x, y, layout.x_units, layout.y_units)
