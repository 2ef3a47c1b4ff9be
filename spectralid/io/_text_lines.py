"""From the bytes of a text file to its lines, and from its lines to the one table of numbers in it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from spectralid.errors import UnreadableFileError, UnsupportedContentError

__all__ = ["Line", "TextBlock", "decode", "find_block", "is_comment", "split_lines"]

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HIGH_RUN: Final = re.compile(rb"[\x80-\xff]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")

# A line of numbers, whatever separates them and whichever decimal sign they use; words for a missing value
# may stand among them. Letters other than an exponent's disqualify a line.
_SEPARATORS: Final = ' \t\v\f+-.,;"eE'
_CHARACTERS: Final = _SEPARATORS + "0123456789"
_WITH_MISSING: Final = re.compile(
    r'[\s\d+\-.,;"eE]*(?:(?:nan|n/a|na|null|none)[\s\d+\-.,;"eE]*)+', re.IGNORECASE | re.ASCII
)
_FIELD: Final = re.compile(r'[^\s;,"]+')
_COMMENT_STARTS: Final = ("#", "//", "%", "!", ";", "'")


def decode(data: bytes, name: str) -> str:
    """Text of a file in UTF-8, UTF-16, GB18030 or Latin-1/Windows-1252, with or without byte-order mark.

    Raises
    ------
    UnreadableFileError
        If the bytes are not text.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                raise UnreadableFileError(
                    f"it begins as {encoding} text but is damaged; export it again.", file=name
                ) from None
    if b"\0" in data:
        return _utf16_without_mark(data, name)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        # In GB18030 Chinese is written in pairs of high bytes, in Western text a high byte stands alone.
        paired = all(len(run) % 2 == 0 for run in _HIGH_RUN.findall(data))
        try:
            text = data.decode("gb18030" if paired else "cp1252")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    if len(_CONTROL.findall(text[:4096])) > 4:
        raise UnreadableFileError("it is a binary file, not text.", file=name)
    return text


def _utf16_without_mark(data: bytes, name: str) -> str:
    # ASCII text in UTF-16 has its zero bytes all at odd, or all at even, places.
    even, odd = data[0::2].count(0), data[1::2].count(0)
    low, high = sorted((even, odd))
    if low == 0 and high > 0.8 * len(data) / 2:
        try:
            return data.decode("utf-16-le" if odd else "utf-16-be")
        except UnicodeDecodeError:
            pass
    raise UnreadableFileError("it is a binary file, not text.", file=name)


def split_lines(text: str) -> list[str]:
    """Lines without their ends (of Windows, Unix or old Mac); the last is what follows the last end."""
    # Not str.splitlines: it also splits at form feeds and at characters Latin-1 text may hold.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table with its number in the file, counted from 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class TextBlock:
    """The table of numbers in a file and the text around it.

    Attributes
    ----------
    header : tuple of str
        Lines before the table, without their ends.
    rows : tuple of Line
        Lines of the table.
    trailer : tuple of str
        Lines after it.
    """

    header: tuple[str, ...]
    rows: tuple[Line, ...]
    trailer: tuple[str, ...]


def is_numeric(line: str) -> bool:
    """Whether a line holds numbers, separators and marks for missing values only."""
    # Stripping is much faster than matching, and this runs for every line of every file.
    rest = line.strip(_CHARACTERS)
    if not rest:
        return bool(line.strip(_SEPARATORS))
    if rest[0] not in "nN" or not any(c in line for c in "0123456789"):
        return False
    return _WITH_MISSING.fullmatch(line) is not None


def is_comment(line: str) -> bool:
    """Whether a line is blank or begins like a comment."""
    bare = line.strip()
    return not bare or bare.startswith(_COMMENT_STARTS)


def _runs(lines: list[str], numeric: list[bool]) -> Iterator[tuple[int, int]]:
    """Index ranges of numeric lines not interrupted by text; blank and comment lines do not interrupt."""
    start = end = -1
    for i, is_number in enumerate(numeric):
        if is_number:
            start = i if start < 0 else start
            end = i + 1
        elif start >= 0 and not is_comment(lines[i]):
            yield start, end
            start = -1
    if start >= 0:
        yield start, end


def _loose_fields(line: str) -> int:
    return len(_FIELD.findall(line))


def find_block(lines: list[str], name: str) -> TextBlock:
    """The longest run of numeric lines, and the text before and after it.

    Raises
    ------
    UnsupportedContentError
        If there is no table of numbers.
    UnreadableFileError
        If text stands in the middle of the table.
    """
    numeric = [is_numeric(line) for line in lines]
    runs = list(_runs(lines, numeric))
    if not runs:
        raise UnsupportedContentError(
            "it holds no table of numbers, so no spectrum; name a file with an axis and an intensity column.",
            file=name,
        )
    start, end = max(runs, key=lambda run: run[1] - run[0])
    fields = _loose_fields(lines[start])
    if fields > 1:
        for other_start, other_end in runs:
            if other_start == start or _loose_fields(lines[other_start]) != fields:
                continue
            broken = next(
                i
                for i in range(min(end, other_end), max(start, other_start))
                if not is_comment(lines[i]) and not numeric[i]
            )
            raise UnreadableFileError(
                f"this line interrupts the table of numbers ({lines[broken].strip()[:40]!r}); remove it, or "
                "split the file if it holds several tables.",
                file=name,
                where=f"line {broken + 1}",
            )
    rows = tuple(Line(i + 1, lines[i]) for i in range(start, end) if numeric[i])
    return TextBlock(tuple(lines[:start]), rows, tuple(lines[end:]))
