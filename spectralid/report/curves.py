"""A drawing of spectra: lines, axes and their names as vectors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from spectralid.report.ink import Mark, Row, Stroke, Word, text_width, wrapped
from spectralid.report.scan import Curve, Numbers

__all__ = ["drawing"]

# Told apart by dash as well as by colour, on a black-and-white printer too.
_LINES: Final = (
    ("#000000", 0.7, ()),
    ("#B3541E", 0.7, (4.0, 2.0)),
    ("#1D4E89", 0.7, (1.0, 1.5)),
    ("#4A4A4A", 0.7, (6.0, 2.0, 1.0, 2.0)),
)
_AXIS: Final = "#444444"
_LETTERS: Final = 6.0
_LEFT: Final = 34.0
_BELOW: Final = 22.0
_ABOVE: Final = 10.0
# Points a line is drawn with, per point of width; more cannot be seen.
_DENSITY: Final = 3.0


def drawing(
    curves: Sequence[Curve],
    width: float,
    height: float,
    *,
    x_name: str,
    y_name: str,
    empty: str,
    falling: bool = False,
) -> Row:
    """Spectra drawn over one another.

    Parameters
    ----------
    curves : sequence of (x, y, name)
        At most four are drawn, the first as the sample; x in cm⁻¹.
    width, height : float
        Room for it.
    x_name, y_name : str
        Names of the axes with their units.
    empty : str
        What to say if there is nothing to draw.
    falling : bool
        Whether wavenumbers fall to the right, as infrared spectra are drawn.
    """
    left, right, top, bottom = _LEFT, width - 4.0, _ABOVE, height - _BELOW
    marks: list[Mark] = [Stroke(((left, top), (left, bottom), (right, bottom)), 0.5, _AXIS)]
    finite = [([*_finite(x, y)], name) for x, y, name in curves[: len(_LINES)]]
    points = [p for line, _ in finite for p in line]
    if len(points) < 2:
        marks.append(Word(left + 6, (top + bottom) / 2, empty, 7.0, "regular", _AXIS))
        return Row(height, tuple(marks))
    x_low, x_high = _extent(p[0] for p in points)
    y_low, y_high = _extent(p[1] for p in points)
    y_high += 0.04 * (y_high - y_low)

    def across(x: float) -> float:
        share = (x - x_low) / (x_high - x_low)
        return left + (1 - share if falling else share) * (right - left)

    def down(y: float) -> float:
        return bottom - (y - y_low) / (y_high - y_low) * (bottom - top)

    for tick in _ticks(x_low, x_high, 8):
        marks.append(Stroke(((across(tick), bottom), (across(tick), bottom + 2.5)), 0.5, _AXIS))
        label = f"{tick:g}"
        middle = across(tick) - text_width(label, _LETTERS) / 2
        marks.append(Word(middle, bottom + 9.0, label, _LETTERS, "regular", _AXIS))
    for tick in _ticks(y_low, y_high, 4):
        marks.append(Stroke(((left - 2.5, down(tick)), (left, down(tick))), 0.5, _AXIS))
        label = f"{tick:.7g}"
        start = max(left - 4.0 - text_width(label, _LETTERS), 0.0)
        marks.append(Word(start, down(tick) + 2.0, label, _LETTERS, "regular", _AXIS))
    marks.append(
        Word((left + right - text_width(x_name, 6.5)) / 2, bottom + 18.5, x_name, 6.5, "regular", _AXIS)
    )
    marks.append(Word(0.0, 6.0, y_name, 6.5, "regular", _AXIS))
    marks += _legend([name for _, name in finite], text_width(y_name, 6.5) + 14.0, right)
    for number, (x, y, _) in enumerate(curves[: len(_LINES)]):
        colour, thick, dash = _LINES[number]
        for line in _polylines(x, y, across, down, int((right - left) * _DENSITY / 2)):
            marks.append(Stroke(line, thick, colour, dash))
    return Row(height, tuple(marks))


def _legend(names: Sequence[str], start: float, end: float) -> Iterator[Mark]:
    """One line of names above the drawing, each as wide as its share of the room."""
    room = (end - start) / max(len(names), 1)
    for number, name in enumerate(names):
        colour, thick, dash = _LINES[number]
        x = start + number * room
        yield Stroke(((x, 4.0), (x + 16.0, 4.0)), thick + 0.3, colour, dash)
        shown = wrapped(name, room - 24.0, 6.5)
        if shown and shown[0]:
            yield Word(x + 19.0, 6.0, shown[0] + (" …" if len(shown) > 1 else ""), 6.5, "regular", _AXIS)


def _finite(x: Numbers, y: Numbers) -> Iterator[tuple[float, float]]:
    for a, b in zip(x, y, strict=False):
        if math.isfinite(a) and math.isfinite(b):
            yield float(a), float(b)


def _extent(values: Iterable[float]) -> tuple[float, float]:
    listed = list(values)
    low, high = min(listed), max(listed)
    return (low, high) if high > low else (low - 1.0, high + 1.0)


def _ticks(low: float, high: float, most: int) -> Iterator[float]:
    """Round numbers in a range, at most about `most`."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough)
    first = math.ceil(low / step - 1e-9)
    for number in range(first, math.floor(high / step + 1e-9) + 1):
        yield round(number * step, 12)


def _polylines(
    x: Numbers,
    y: Numbers,
    across: Callable[[float], float],
    down: Callable[[float], float],
    columns: int,
) -> Iterator[tuple[tuple[float, float], ...]]:
    """The curve as lines, broken where it has no value; of many points in a column the lowest and highest."""
    line: list[tuple[float, float]] = []
    for a, b in zip(x, y, strict=False):
        if math.isfinite(a) and math.isfinite(b):
            line.append((across(float(a)), down(float(b))))
            continue
        yield from _drawn(line, columns)
        line = []
    yield from _drawn(line, columns)


def _drawn(line: list[tuple[float, float]], columns: int) -> Iterator[tuple[tuple[float, float], ...]]:
    if len(line) < 2:
        return
    if len(line) > 2 * columns:
        size = len(line) / columns
        thinned = []
        for column in range(columns):
            part = line[int(column * size) : int((column + 1) * size)]
            low, high = min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])
            thinned += sorted({low, high}, key=part.index)
        line = thinned
    yield tuple((round(a, 2), round(b, 2)) for a, b in line)
