"""Where in a TOML text each key is, so that a complaint about a value can name its line.

`tomllib` gives values without places. This walks a text that `tomllib` has accepted and therefore checks
nothing itself; it knows just enough of the grammar (TOML 1.0) to keep its place.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Final

__all__ = ["Place", "line_of", "lines"]

Place = tuple[str | int, ...]
"""Keys and, within arrays, positions that lead to a value: ``("rules", 0, "slugs", 2)``."""

_BLANK: Final = " \t\r\n"
_BARE_END: Final = "=.]}, \t\r\n"
_VALUE_END: Final = ",]}#\r\n"


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
        self._line = 1
        self._tables: dict[Place, int] = {}
        """Tables in each array of tables so far."""
        self.places: dict[Place, int] = {(): 1}
        self._document()

    # What is here, and going on.

    def _here(self, count: int = 1) -> str:
        return self._text[self._at : self._at + count]

    def _skip(self, count: int = 1) -> str:
        passed = self._here(count)
        self._line += passed.count("\n")
        self._at += count
        return passed

    def _blank(self) -> None:
        """Go past blanks, line ends and comments."""
        while (here := self._here()) and here in _BLANK + "#":
            if here == "#":
                while self._here() not in ("", "\n"):
                    self._skip()
            else:
                self._skip()

    def _mark(self, place: Place, line: int) -> None:
        self.places.setdefault(place, line)

    # The grammar.

    def _document(self) -> None:
        within: Place = ()
        self._blank()
        while self._here():
            within = self._header() if self._here() == "[" else self._pair(within)
            self._blank()

    def _header(self) -> Place:
        """``[a.b]`` or ``[[a.b]]``; the place of the table it opens."""
        line, several = self._line, self._here(2) == "[["
        self._skip(2 if several else 1)
        keys = self._keys()
        self._skip(2 if several else 1)
        place: Place = ()
        for position, key in enumerate(keys):
            place += (key,)
            self._mark(place, line)
            if several and position == len(keys) - 1:
                self._tables[place] = self._tables.get(place, -1) + 1
            # A header below an array of tables means the last table of it.
            if place in self._tables:
                place += (self._tables[place],)
                self._mark(place, line)
        return place

    def _pair(self, within: Place) -> Place:
        """``a.b = value`` in the table at `within`, which is returned."""
        line, place = self._line, within
        for key in self._keys():
            place += (key,)
            self._mark(place, line)
        self._skip()  # the equals sign
        self._value(place)
        return within

    def _keys(self) -> list[str]:
        """A bare, quoted or dotted key, up to what follows it."""
        keys = []
        while True:
            self._blank()
            if self._here() in ("'", '"'):
                quoted = self._string()
                keys.append(str(tomllib.loads(f"x = {quoted}")["x"]))
            else:
                start = self._at
                while self._here() not in _BARE_END:
                    self._skip()
                keys.append(self._text[start : self._at])
            self._blank()
            if self._here() != ".":
                return keys
            self._skip()

    def _value(self, place: Place) -> None:
        self._blank()
        here = self._here()
        if here in ("'", '"'):
            self._string()
        elif here == "[":
            self._array(place)
        elif here == "{":
            self._inline_table(place)
        else:
            while self._here() and self._here() not in _VALUE_END:
                self._skip()

    def _array(self, place: Place) -> None:
        self._skip()
        position = 0
        self._blank()
        while self._here() != "]":
            self._mark((*place, position), self._line)
            self._value((*place, position))
            position += 1
            self._comma()
        self._skip()

    def _inline_table(self, place: Place) -> None:
        self._skip()
        self._blank()
        while self._here() != "}":
            self._pair(place)
            self._comma()
        self._skip()

    def _comma(self) -> None:
        self._blank()
        if self._here() == ",":
            self._skip()
        self._blank()

    def _string(self) -> str:
        """Any of the four kinds of string; how it is written."""
        start, quote = self._at, self._here()
        if self._here(3) == quote * 3:
            self._skip(3)
            while self._here(3) != quote * 3:
                self._skip(2 if quote == '"' and self._here() == "\\" else 1)
            self._skip(3)
            # Up to two quotes may stand right before the three that end it.
            while self._here() == quote:
                self._skip()
        else:
            self._skip()
            while self._here() != quote:
                self._skip(2 if quote == '"' and self._here() == "\\" else 1)
            self._skip()
        return self._text[start : self._at]
