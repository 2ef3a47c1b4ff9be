"""Texts side by side in one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from spectralid.report.ink import Face, Mark, Row, Word, cut, wrapped

__all__ = ["cells", "pair"]

_GREY: Final = "#444444"


def cells(
    texts: Sequence[str],
    starts: Sequence[float],
    width: float,
    size: float,
    *,
    colour: str = "#000000",
    face: Face = "regular",
    lines: Sequence[int] | int = 1,
) -> Row:
    """Texts in columns.

    Parameters
    ----------
    texts : sequence of str
        One per column.
    starts : sequence of float
        Where each column begins, as shares of the width.
    width, size : float
        Room for all of them, and the font size.
    colour, face : str
        How they look.
    lines : int or sequence of int
        Lines each may take.
    """
    most = [lines] * len(texts) if isinstance(lines, int) else lines
    ends = (*starts[1:], 1.0)
    marks: list[Mark] = []
    deepest = 1
    for text, start, end, allowed in zip(texts, starts, ends, most, strict=True):
        room = (end - start) * width - 3.0
        shown = cut(wrapped(text, room, size, face), allowed, room, size, face)
        deepest = max(deepest, len(shown))
        marks += [
            Word(start * width, size * (0.93 + 1.2 * n), line, size, face, colour)
            for n, line in enumerate(shown)
            if line
        ]
    return Row(size * (0.05 + 1.2 * deepest), tuple(marks))


def pair(label: str, value: str, width: float, size: float, lines: int) -> Row:
    """A name in grey and its value; the value alone over the whole width where it has no name."""
    if not label:
        return cells([value], [0.0], width, size, lines=lines)
    name = cells([label, ""], [0.0, 0.33], width, size, colour=_GREY, lines=2)
    said = cells(["", value], [0.0, 0.33], width, size, lines=lines)
    return Row(max(name.height, said.height), name.marks + said.marks)
