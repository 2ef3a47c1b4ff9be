"""What a customs tariff code covers, as far as a table of sourced rows says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from spectralid.errors import UnreadableFileError
from spectralid.library.compounds import read_rows

__all__ = ["Cover", "Tariff", "TariffLine", "bundled_tariff", "codes_in"]

_TABLE: Final = Path(__file__).parent / "tariff.csv"
_COLUMNS: Final = ("code", "title", "compounds", "categories", "complete", "source")
# "2924.29", "2924.29.62.10", "2924 29 00", "29.24": a point or a space makes a number a code anywhere.
_DOTTED: Final = re.compile(
    r"(?<![\d.-])(?:\d{4}[. ]\d{2}(?:[. ]?\d{2}){0,2}|\d{2}\.\d{2}(?:\.\d{2}){0,3})(?![\d.-]*\d)"
)
# Digits alone are one only where the text says so, or where they are all there is.
_NAMED: Final = re.compile(
    r"(?:\b(?:hs|hts|htsus|cn|taric|tariff|heading|subheading|code|partida|subpartida|c[oó]digo|arancel)"
    r"\W{0,3})(\d{4}(?:\d{2}){0,3})(?!\d)",
    re.IGNORECASE,
)
_BARE: Final = re.compile(r"\s*(\d{4}(?:\d{2}){0,3})\s*")
_HEADING: Final = 4
_SUBHEADING: Final = 6


@dataclass(frozen=True, slots=True)
class TariffLine:
    """One row of the table.

    Attributes
    ----------
    code : str
        Heading or subheading of the Harmonized System, ``"2924"`` or ``"292429"``.
    title : str
        What it is, in short.
    compounds : tuple of str
        Slugs of substances it covers.
    categories : tuple of str
        Categories of substances it covers.
    complete : bool
        Whether it covers nothing else.
    source : str
        Where that was read.
    """

    code: str
    title: str
    compounds: tuple[str, ...]
    categories: tuple[str, ...]
    complete: bool
    source: str


@dataclass(frozen=True, slots=True)
class Cover:
    """What is known of what a code covers.

    Attributes
    ----------
    code : str
        The code the answer is for, ``"2924.29"``; the heading where nothing is known of the subheading.
    compounds, categories : frozenset of str
        Slugs and categories of what it covers.
    complete : bool
        Whether it covers nothing else; else what is not listed may be covered all the same.
    sources : tuple of str
        Where that was read.
    """

    code: str
    compounds: frozenset[str]
    categories: frozenset[str]
    complete: bool
    sources: tuple[str, ...]


class Tariff:
    """A table of tariff codes.

    Parameters
    ----------
    lines : iterable of TariffLine
        Its rows; several may be about one code.
    """

    def __init__(self, lines: Iterable[TariffLine]) -> None:
        self.lines = tuple(lines)

    @classmethod
    def read(cls, path: Path) -> Tariff:
        """Table of a CSV file with the columns code, title, compounds, categories, complete and source.

        Raises
        ------
        UnreadableFileError
            If it cannot be read, or a row is not as it must be; with its line.
        """
        return cls(_line(row, line, path) for line, row in read_rows(path, required=_COLUMNS, optional=()))

    def covers(self, code: str) -> Cover | None:
        """What a code covers; ``None`` where nothing is known of it.

        Parameters
        ----------
        code : str
            As written on a form, 4 to 10 digits with or without points. National digits beyond the sixth
            do not count; of a subheading that is not in the table, its heading is taken.
        """
        digits = re.sub(r"\D", "", code)
        if len(digits) < _HEADING:
            return None
        if len(digits) >= _SUBHEADING:
            own = [line for line in self.lines if line.code == digits[:_SUBHEADING]]
            if own:
                return _cover(own, complete=all(line.complete for line in own))
        heading = digits[:_HEADING]
        whole = [line for line in self.lines if line.code == heading]
        if len(digits) == _HEADING:
            below = [line for line in self.lines if line.code.startswith(heading)]
            return _cover(below, heading, complete=any(line.complete for line in whole)) if below else None
        return _cover(whole, complete=all(line.complete for line in whole)) if whole else None

    def codes_of(self, slug: str) -> tuple[str, ...]:
        """Subheadings that name a substance, ``"2939.30"``."""
        found = (line.code for line in self.lines if slug in line.compounds and len(line.code) == _SUBHEADING)
        return tuple(dict.fromkeys(_pointed(code) for code in found))


@cache
def bundled_tariff() -> Tariff:
    """The table that comes with spectralid."""
    return Tariff.read(_TABLE)


def codes_in(text: str, *, field: bool = False) -> list[str]:
    """Tariff codes written in a text.

    Parameters
    ----------
    text : str
        Free text.
    field : bool
        Whether it is the field for the code, where digits alone are one, too.
    """
    bare = _BARE.fullmatch(text) if field else None
    found = [bare[1]] if bare else [*_DOTTED.findall(text), *_NAMED.findall(text)]
    return list(dict.fromkeys(code for code in found if _is_heading(re.sub(r"\D", "", code))))


def _is_heading(digits: str) -> bool:
    """Whether digits can begin a code: chapters go from 01 to 97, headings of one from 01."""
    return 1 <= int(digits[:2]) <= 97 and digits[2:4] != "00"


def _cover(lines: list[TariffLine], code: str = "", *, complete: bool) -> Cover:
    return Cover(
        code=_pointed(code or lines[0].code),
        compounds=frozenset(c for line in lines for c in line.compounds),
        categories=frozenset(c for line in lines for c in line.categories),
        complete=complete,
        sources=tuple(dict.fromkeys(line.source for line in lines)),
    )


def _pointed(code: str) -> str:
    return f"{code[:4]}.{code[4:]}" if len(code) > _HEADING else code


def _line(row: dict[str, str], line: int, path: Path) -> TariffLine:
    code = row["code"].replace(".", "")
    if not (code.isdigit() and len(code) in (_HEADING, _SUBHEADING) and _is_heading(code)):
        raise UnreadableFileError(
            f"{row['code']!r} is no heading or subheading of the Harmonized System, like 2924 or 2924.29.",
            file=str(path),
            where=f"line {line}",
        )
    if row["complete"] not in ("yes", "no") or not row["source"]:
        raise UnreadableFileError(
            "complete must be yes or no, and source must not be empty.", file=str(path), where=f"line {line}"
        )
    if not (row["compounds"] or row["categories"]):
        raise UnreadableFileError("the row covers nothing.", file=str(path), where=f"line {line}")
    return TariffLine(
        code,
        row["title"],
        tuple(c for c in row["compounds"].split("|") if c),
        tuple(c for c in row["categories"].split("|") if c),
        row["complete"] == "yes",
        row["source"],
    )
