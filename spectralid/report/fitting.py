"""Making a page fit: sections that can give room up, in an order that is written down.

What an officer's safety or a court rests on goes last; what only explains goes first. Whatever is left out is
said to be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from spectralid.report.ink import Face, Row, space, text_rows, text_width
from spectralid.report.words import Words

__all__ = ["BODY", "TITLE", "Section", "fitted", "height"]

BODY: Final = 7.6
"""Size of the text at full size, in points."""
TITLE: Final = 6.4
_TITLE_COLOUR: Final = "#444444"
_GAP: Final = 4.5
# Lines of one sentence that are kept before anything else is given up.
_FEW: Final = 4


@dataclass(frozen=True, slots=True)
class Section:
    """A titled list of sentences, or of ready rows, that can be drawn shorter.

    Attributes
    ----------
    key : str
        Its name in the order of giving up.
    title : str
        Heading; empty for none.
    items : tuple of str
        Sentences.
    least : int
        How many of them stay in any case.
    bold : bool
        Whether they are printed bold.
    bullet : str
        What stands before each.
    size : float
        Font size, relative to the body.
    rows : callable, optional
        Instead of sentences: makes the row of the item of that number, for a width and a font size.
    kept, lines : int or None
        How many items and how many lines of each are drawn; ``None`` for all.
    colour : str
        Of the sentences.
    head : callable, optional
        Makes a row above the items, for a width and a font size.
    """

    key: str
    title: str
    items: tuple[str, ...]
    least: int = 1
    bold: bool = False
    bullet: str = ""
    size: float = 1.0
    rows: Callable[[int, float, float], Row] | None = None
    kept: int | None = None
    lines: int | None = None
    colour: str = "#000000"
    head: Callable[[float, float], Row] | None = None

    def drawn(self, width: float, scale: float, words: Words) -> list[Row]:
        """Its rows at a width."""
        size = BODY * scale * self.size
        face: Face = "bold" if self.bold else "regular"
        out: list[Row] = []
        if self.title:
            out += text_rows(self.title, width, TITLE * scale, "bold", _TITLE_COLOUR)
        if self.head:
            out.append(self.head(width, size))
        shown = self.items if self.kept is None else self.items[: self.kept]
        shortened = False
        for number, item in enumerate(shown):
            if self.rows:
                out.append(self.rows(number, width, size))
                continue
            indent = text_width(f"{self.bullet} ", size, face) if self.bullet else 0.0
            full = text_rows(item, width, size, face, self.colour, lead=self.bullet, indent=indent)
            if self.lines is not None and len(full) > self.lines:
                shortened = True
                full = text_rows(
                    item, width, size, face, self.colour, lead=self.bullet, indent=indent, most=self.lines
                )
            out += full
        if left := len(self.items) - len(shown):
            out += text_rows(words.count("continued", left), width, TITLE * scale, "regular", _TITLE_COLOUR)
        elif shortened:
            out += text_rows(words.say("shortened"), width, TITLE * scale, "regular", _TITLE_COLOUR)
        return [*out, space(_GAP * scale)] if out else []

    def capped(self) -> Section | None:
        """The same with long items cut to a few lines; None where they are already."""
        return replace(self, lines=_FEW) if self.lines is None and not self.rows else None

    def shorter(self) -> Section | None:
        """The next shorter form; None where nothing more may be left out."""
        if not self.rows and (self.lines is None or self.lines > 2):
            return replace(self, lines=2)
        count = len(self.items) if self.kept is None else self.kept
        if count > self.least:
            return replace(self, kept=count - 1)
        if not self.rows and self.lines != 1:
            return replace(self, lines=1)
        return None


def height(rows: Sequence[Row]) -> float:
    """Height of rows under one another."""
    return sum(row.height for row in rows)


def fitted(
    columns: Sequence[tuple[float, Sequence[Section]]],
    room: Callable[[Sequence[float]], float],
    order: Sequence[str],
    scale: float,
    words: Words,
) -> list[list[Row]]:
    """Rows of each column, shortened until they fit.

    Parameters
    ----------
    columns : sequence of (width, sections)
        The columns.
    room : callable
        From the heights of the columns to what is left over on the page; negative means too much.
    order : sequence of str
        Keys of sections, the first to give room up first.
    scale : float
        Size of the text.
    words : Words
        The language.
    """
    sections = [list(part) for _, part in columns]
    drawn = [[s.drawn(width, scale, words) for s in part] for width, part in columns]
    ranked = sorted(
        ((c, n) for c, part in enumerate(sections) for n in range(len(part))),
        key=lambda place: order.index(sections[place[0]][place[1]].key),
    )

    def heights() -> list[float]:
        return [sum(height(rows) for rows in part) for part in drawn]

    def shorten() -> bool:
        """Shorten the first section that may be and whose column is too tall; cap long sentences before."""
        tall = heights()
        for form in (Section.capped, Section.shorter):
            for column, number in ranked:
                if room([h - (c == column) for c, h in enumerate(tall)]) <= room(tall):
                    continue  # another column beside it is taller; giving room up here would gain none
                shorter = form(sections[column][number])
                if shorter is not None:
                    sections[column][number] = shorter
                    drawn[column][number] = shorter.drawn(columns[column][0], scale, words)
                    return True
        return False

    while room(heights()) < 0 and shorten():
        pass
    return [[row for rows in part for row in rows] for part in drawn]
