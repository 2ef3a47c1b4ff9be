"""Where in a TOML text each key is, so that a complaint about a value can name its line.

`tomllib` gives values without places. This walks a text that `tomllib` has accepted and therefore checks
nothing itself; it knows just enough of the grammar (TOML 1.0) to keep its place.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

__all__ = ["Place", "line_of", "lines"]

Place = tuple[str | int, ...]
"""Keys and, within arrays, positions that lead to a value: ``("rules", 0, "slugs", 2)``."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE: Final = re.compile(r"[^,\]}#\r\n]*")
# Several lines first: they begin like an empty text. Up to two more quotes may stand before the last three.
_STRING: Final = re.compile(
    r'''"""(?:[^"\\]|\\.|"(?!""))*"{3,5}|"(?:[^"\\]|\\.)*"'''
    r"""|'''(?:[^']|'(?!''))*'{3,5}|'[^']*'""",
    re.DOTALL,
)


def lines(text: str) -> dict[Place, int]:
    """Line, from 1, of every table, key and array item of a TOML text.

    Parameters
    ----------
    text : str
        Valid TOML.

    Returns
    -------
    dict of Place to int
        A table made by several headers or by dotted keys is where it is first named; the whole document,
        ``()``, is at line 1.
    """
    return _Walk(text).places


def line_of(places: Mapping[Place, int], place: Place) -> int:
    """Line of a place, or of what it would be in: a key that is missing has no line of its own."""
    while place not in places:
        place = place[:-1]
    return places[place]


class _Walk:
    """One walk through a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._ends = [i for i, character in enumerate(text) if character == "\n"]
        self._tables: dict[Place, int] = {}
        """Position of the last table in each array of tables so far."""
        self.places: dict[Place, int] = {(): 1}
        self._document()

    # What is here, and going on.

    def _here(self, count: int = 1) -> str:
        return self._text[self._at : self._at + count]

    def _past(self, pattern: re.Pattern[str]) -> str:
        """Go past what a pattern matches here; what that is."""
        found = pattern.match(self._text, self._at)
        passed = found[0] if found else ""
        self._at += len(passed)
        return passed

    def _mark(self, place: Place, at: int) -> None:
        self.places.setdefault(place, bisect_left(self._ends, at) + 1)

    # The grammar.

    def _document(self) -> None:
        within: Place = ()
        self._past(_BLANK)
        while self._here():
            within = self._header() if self._here() == "[" else self._pair(within)
            self._past(_BLANK)

    def _header(self) -> Place:
        """``[a.b]`` or ``[[a.b]]``; the place of the table it opens."""
        start, several = self._at, self._here(2) == "[["
        self._at += 2 if several else 1
        keys = self._keys()
        self._at += 2 if several else 1
        place: Place = ()
        for position, key in enumerate(keys):
            place += (key,)
            self._mark(place, start)
            if several and position == len(keys) - 1:
                self._tables[place] = self._tables.get(place, -1) + 1
            # A header below an array of tables means the last table of it.
            if place in self._tables:
                place += (self._tables[place],)
                self._mark(place, start)
        return place

    def _pair(self, within: Place) -> Place:
        """``a.b = value`` in the table at `within`, which is returned."""
        start, place = self._at, within
        for key in self._keys():
            place += (key,)
            self._mark(place, start)
        self._at += 1  # the equals sign
        self._value(place)
        return within

    def _keys(self) -> list[str]:
        """A bare, quoted or dotted key, up to what follows it."""
        keys = []
        while True:
            self._past(_BLANK)
            quoted = self._past(_STRING)
            keys.append(str(tomllib.loads(f"x = {quoted}")["x"]) if quoted else self._past(_BARE_KEY))
            self._past(_BLANK)
            if self._here() != ".":
                return keys
            self._at += 1

    def _value(self, place: Place) -> None:
        self._past(_BLANK)
        if self._here() == "[":
            self._array(place)
        elif self._here() == "{":
            self._inline_table(place)
        elif not self._past(_STRING):
            self._past(_BARE_VALUE)

    def _array(self, place: Place) -> None:
        self._at += 1
        position = 0
        self._past(_BLANK)
        while self._here() != "]":
            self._mark((*place, position), self._at)
            self._value((*place, position))
            position += 1
            self._comma()
        self._at += 1

    def _inline_table(self, place: Place) -> None:
        self._at += 1
        self._past(_BLANK)
        while self._here() != "}":
            self._pair(place)
            self._comma()
        self._at += 1

    def _comma(self) -> None:
        self._past(_BLANK)
        if self._here() == ",":
            self._at += 1
        self._past(_BLANK)
