"""What a page is made of: rows of words, lines and shapes with measured sizes, before any PDF exists.

Lengths are points (1/72 inch). A row knows its height and what is drawn in it, measured from its top left
corner, so that a page can be laid out, counted and shortened without drawing anything.
"""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, Literal

from spectralid.errors import MissingDependencyError

__all__ = ["MM", "Face", "Fill", "Mark", "Row", "Stroke", "Word", "clean", "cut", "faces", "space", "stacked"]
__all__ += ["text_rows", "text_width", "wrapped"]

MM: Final = 72 / 25.4

Face = Literal["regular", "bold"]

# matplotlib ships DejaVu, which is free to embed and holds what spectra need: ⁻¹, ≈, ≥, µ, Greek, Spanish.
_FILES: Final = {"regular": "DejaVuSans.ttf", "bold": "DejaVuSans-Bold.ttf"}
_LEADING: Final = 1.25
_ASCENT: Final = 0.93
_ELLIPSIS: Final = " …"


@dataclass(frozen=True, slots=True)
class Word:
    """Text on one line, its baseline `y` below the top of the row."""

    x: float
    y: float
    text: str
    size: float
    face: Face = "regular"
    colour: str = "#000000"


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line through points."""

    points: tuple[tuple[float, float], ...]
    width: float = 0.5
    colour: str = "#000000"
    dash: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Fill:
    """A filled polygon."""

    points: tuple[tuple[float, float], ...]
    colour: str


Mark = Word | Stroke | Fill


@dataclass(frozen=True, slots=True)
class Row:
    """A strip of a page.

    Attributes
    ----------
    height : float
        Its height.
    marks : tuple of Mark
        What is drawn in it.
    glued : bool
        Whether the next row must stay on the same page.
    """

    height: float
    marks: tuple[Mark, ...] = ()
    glued: bool = False

    def moved(self, x: float, y: float = 0.0) -> Row:
        """The same row, its marks further right or down."""
        return replace(self, marks=tuple(_moved(m, x, y) for m in self.marks))


def _moved(mark: Mark, x: float, y: float) -> Mark:
    if isinstance(mark, Word):
        return replace(mark, x=mark.x + x, y=mark.y + y)
    return replace(mark, points=tuple((a + x, b + y) for a, b in mark.points))


def space(height: float) -> Row:
    """An empty row."""
    return Row(height)


def stacked(rows: Iterable[Row], x: float = 0.0) -> Row:
    """Rows put under one another as one row."""
    marks: list[Mark] = []
    y = 0.0
    for row in rows:
        marks += row.moved(x, y).marks
        y += row.height
    return Row(y, tuple(marks))


def faces() -> dict[Face, str]:
    """Names under which reportlab knows the two faces, which are embedded in every document.

    Raises
    ------
    MissingDependencyError
        If reportlab or the fonts are not installed.
    """
    return _faces()


@cache
def _faces() -> dict[Face, str]:
    try:
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.ttfonts import TTFError, TTFont
    except ImportError as error:
        raise MissingDependencyError("reportlab", extra="tablet", purpose="to write reports") from error
    names: dict[Face, str] = {"regular": "SpectralidSans", "bold": "SpectralidSans-Bold"}
    # Found, not imported: matplotlib would cost a tablet 30 MB for two files.
    found = importlib.util.find_spec("matplotlib")
    places = (found.submodule_search_locations if found else None) or []
    for face, name in names.items():
        files = [Path(place, "mpl-data", "fonts", "ttf", _FILES[face]) for place in places]
        try:
            pdfmetrics.registerFont(TTFont(name, str(next(f for f in files if f.is_file()))))
        except (StopIteration, TTFError) as error:
            raise MissingDependencyError(
                "matplotlib", extra="tablet", purpose="for the fonts of reports"
            ) from error
    return names


def text_width(text: str, size: float, face: Face = "regular") -> float:
    """Width of a text."""
    from reportlab.pdfbase import pdfmetrics

    return float(pdfmetrics.stringWidth(text, _faces()[face], size))


def clean(text: object) -> str:
    """Text on one line, without what would be invisible or would turn its direction around.

    A note typed by a person must not be able to reorder or hide what stands beside it.
    """
    shown = (c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else " " for c in str(text))
    return " ".join("".join(shown).split())


def wrapped(text: object, width: float, size: float, face: Face = "regular") -> list[str]:
    """Lines of a text no wider than `width`; a word that is wider is broken."""
    return list(_wrapped(str(text), width, size, face))


@lru_cache(maxsize=2048)  # a page that must be made to fit is laid out many times
def _wrapped(text: str, width: float, size: float, face: Face) -> tuple[str, ...]:
    lines: list[str] = []
    line = ""
    for word in clean(text).split(" "):
        longer = f"{line} {word}" if line else word
        if text_width(longer, size, face) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while text_width(line, size, face) > width and len(line) > 1:
            fits = _fitting(line, width, size, face)
            lines.append(line[:fits])
            line = line[fits:]
    return (*lines, line) if line or not lines else tuple(lines)


def _fitting(text: str, width: float, size: float, face: Face) -> int:
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text_width(text[:middle], size, face) <= width else (low, middle - 1)
    return low


def cut(lines: Sequence[str], most: int, width: float, size: float, face: Face = "regular") -> list[str]:
    """The first `most` lines, the last of them ending in "…" if there were more."""
    if len(lines) <= most:
        return list(lines)
    last = lines[most - 1]
    while last and text_width(last + _ELLIPSIS, size, face) > width:
        last = last[:-1]
    return [*lines[: most - 1], last.rstrip() + _ELLIPSIS]


def text_rows(
    text: object,
    width: float,
    size: float,
    face: Face = "regular",
    colour: str = "#000000",
    *,
    most: int | None = None,
    lead: str = "",
    indent: float = 0.0,
) -> list[Row]:
    """Rows of a wrapped text.

    Parameters
    ----------
    text : object
        The text.
    width : float
        Room for it, with the indent.
    size : float
        Font size.
    face, colour : str
        How it looks.
    most : int, optional
        Lines it may take.
    lead : str
        What stands before the first line, within the indent.
    indent : float
        How far the lines stand in.
    """
    lines = wrapped(text, width - indent, size, face)
    if most is not None:
        lines = cut(lines, most, width - indent, size, face)
    height = size * _LEADING
    rows = []
    for number, line in enumerate(lines):
        marks = [Word(indent, size * _ASCENT, line, size, face, colour)] if line else []
        if lead and number == 0:
            marks.insert(0, Word(0.0, size * _ASCENT, lead, size, face, colour))
        rows.append(Row(height, tuple(marks)))
    return rows
