"""JCAMP-DX data tables: the number forms AFFN, PAC, SQZ, DIF and DUP, and the checks built into them.

Sources: R. S. McDonald, P. A. Wilks, Appl. Spectrosc. 42 (1988) 151 (JCAMP-DX 4.24, where the forms are
defined); P. Lampen et al., Appl. Spectrosc. 53 (1999) 293 (5.01).
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spectralid.spectrum import FloatArray

__all__ = ["Malformed", "Ordinates", "decode_ordinates", "decode_points", "table_lines"]

# No vibrational spectrum has more points; a few bytes of DUP could otherwise ask for all memory there is.
MAXIMUM_POINTS: Final = 2_000_000
MAXIMUM_LINE_BYTES: Final = 4 * 1024 * 1024

Lines = Iterable[tuple[int, bytes]]


class Malformed(Exception):  # noqa: N818 - internal; becomes an UnreadableFileError at the reader's edge
    """Something in the file is not JCAMP-DX; `line` says where."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True, slots=True)
class Ordinates:
    """A decoded (X++(Y..Y)) table, before any factor is applied.

    Attributes
    ----------
    values : FloatArray, shape (n_points,)
        Ordinates; NaN where the table has ``?``.
    numbers : array of int, shape (n_lines,)
        Line of the file each table line stands on.
    starts : array of int, shape (n_lines,)
        Index in `values` of the point each table line's abscissa belongs to.
    abscissae : FloatArray, shape (n_lines,)
        The abscissa at the head of each table line.
    quantum : float
        Typical value of the last decimal place of `abscissae`, that is, how finely they are printed.
    """

    values: FloatArray
    numbers: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    abscissae: FloatArray
    quantum: float


_AFFN: Final = rb"[+-]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[Ee][+-]?\d{1,4}+)?+(?![\d.])"
# Between pseudo-digits only a signed exponent is one: "E5" is the SQZ form of 55 ("E" stands for 5).
_AFFN_SIGNED_EXPONENT: Final = rb"[+-]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[Ee][+-]\d{1,4}+)?+(?![\d.])"
_DIGITS: Final = rb"\d*+(?:\.\d++)?+"
_PLAIN_TOKEN: Final = re.compile(rb"(?>" + _AFFN + rb"|\?)")
_PLAIN_LINE: Final = re.compile(rb"(?:[ \t,;]*+(?>" + _AFFN + rb"|\?))*+[ \t,;]*+")
_PACKED_TOKEN: Final = re.compile(
    rb"(" + _AFFN_SIGNED_EXPONENT + rb")|([@A-Ia-i])(" + _DIGITS + rb")"
    rb"|([%J-Rj-r])(" + _DIGITS + rb")|([S-Zs])(\d*)|\?"
)
# The same without groups: Python 3.11 miscounts groups inside a possessive repeat.
_PACKED_LINE: Final = re.compile(
    rb"(?:[ \t,;]*+(?>" + _AFFN_SIGNED_EXPONENT + rb"|[@A-Ia-i%J-Rj-r]" + _DIGITS + rb"|[S-Zs]\d*+|\?))*+"
    rb"[ \t,;]*+"
)
_PSEUDO_DIGIT: Final = re.compile(rb"[@A-DF-Za-df-s%]")
_NOT_A_NUMBER: Final = re.compile(rb"(?<![^ \t,;])[Nn][Aa][Nn](?![^ \t,;])")
_SEPARATORS: Final = bytes.maketrans(b",;", b"  ")
_ONLY_PLAIN: Final = re.compile(rb"[0-9+\-.eE \t,;]*+")

_SQZ: Final = {b"@": b"0"}
_SQZ.update({bytes([c]): b"%d" % (c - 64) for c in range(ord("A"), ord("I") + 1)})
_SQZ.update({bytes([c]): b"-%d" % (c - 96) for c in range(ord("a"), ord("i") + 1)})
_DIF: Final = {b"%": b"0"}
_DIF.update({bytes([c]): b"%d" % (c - 73) for c in range(ord("J"), ord("R") + 1)})
_DIF.update({bytes([c]): b"-%d" % (c - 105) for c in range(ord("j"), ord("r") + 1)})
_DUP: Final = {bytes([c]): b"%d" % (c - 82) for c in range(ord("S"), ord("Z") + 1)} | {b"s": b"9"}


def table_lines(data: bytes, start: int, end: int, number: int) -> Iterator[tuple[int, bytes]]:
    """The lines of one table that hold anything, without comments, with their numbers.

    Parameters
    ----------
    data : bytes
        The file, lines ended by a bare line feed.
    start, end : int
        Where the table lies in it.
    number : int
        Line of the file that `start` is on.
    """
    while start < end:
        stop = data.find(b"\n", start, end)
        stop = end if stop < 0 else stop
        if stop - start > MAXIMUM_LINE_BYTES:
            raise Malformed(f"the line is longer than {MAXIMUM_LINE_BYTES >> 20} MB.", number)
        line = data[start:stop].partition(b"$$")[0].strip()
        if line:
            yield number, _NOT_A_NUMBER.sub(b"?", line) if b"N" in line.upper() else line
        start, number = stop + 1, number + 1


def _shown(line: bytes) -> str:
    text = line.decode("ascii", "replace")
    return repr(text if len(text) <= 40 else text[:40] + "…")


def _plain(line: bytes, number: int) -> list[float]:
    """Every AFFN or PAC number of a line; NaN for ``?``."""
    if _ONLY_PLAIN.fullmatch(line):
        try:
            return [float(token) for token in line.translate(_SEPARATORS).split()]
        except ValueError:
            pass  # packed ("12-5+7"): the slower way
    if not _PLAIN_LINE.fullmatch(line):
        raise Malformed(f"{_shown(line)} is not a row of numbers.", number)
    return [math.nan if token == b"?" else float(token) for token in _PLAIN_TOKEN.findall(line)]


def _quantum(token: bytes) -> float:
    """Value of the last place of a printed number."""
    mantissa, _, exponent = token.upper().partition(b"E")
    places = len(mantissa.partition(b".")[2])
    return 10.0 ** max(-300, min(300, (int(exponent) if exponent else 0) - places))


def _is_compressed(data: bytes, start: int, end: int) -> bool:
    if not _PSEUDO_DIGIT.search(data, start, end):
        return False
    # A letter is there, but perhaps only in a comment or as "NaN".
    return any(_PSEUDO_DIGIT.search(line) for _, line in table_lines(data, start, end, 0))


class _Table:
    """Collects points and table lines and holds them to the limit."""

    def __init__(self) -> None:
        self.values = array("d")
        self.numbers = array("q")
        self.starts = array("q")
        self.abscissae = array("d")
        self.quanta = array("d")

    def begin(self, number: int, token: bytes) -> None:
        self.numbers.append(number)
        self.starts.append(len(self.values))
        self.abscissae.append(float(token))
        self.quanta.append(_quantum(token))

    def room_for(self, count: int, number: int) -> None:
        if len(self.values) + count > MAXIMUM_POINTS:
            raise Malformed(
                f"the table holds more than {MAXIMUM_POINTS:,} points; no spectrum has so many.", number
            )

    def result(self) -> Ordinates:
        return Ordinates(
            values=np.array(self.values),
            numbers=np.array(self.numbers, dtype=np.int64),
            starts=np.array(self.starts, dtype=np.int64),
            abscissae=np.array(self.abscissae),
            quantum=float(np.median(np.array(self.quanta))) if self.quanta else 0.0,
        )


def _leading_number(line: bytes, number: int) -> re.Match[bytes]:
    first = _PLAIN_TOKEN.match(line)
    if first is None or first[0] == b"?":
        raise Malformed(f"{_shown(line)} does not begin with an abscissa.", number)
    return first


def _decode_plain(lines: Lines) -> Ordinates:
    table = _Table()
    for number, line in lines:
        first = _leading_number(line, number)
        row = _plain(line[first.end() :], number)
        if not row:
            raise Malformed("the line has an abscissa and no ordinate.", number)
        table.room_for(len(row), number)
        table.begin(number, first[0])
        table.values.extend(row)
    return table.result()


def _same(a: float, b: float) -> bool:
    # Ordinates are whole numbers by the standard; the relative part serves writers that use decimals.
    return a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b)) or (math.isnan(a) and math.isnan(b))


def _decode_packed(lines: Lines) -> Ordinates:
    table = _Table()
    values = table.values
    check_due = False
    blank_check: Malformed | None = None
    for number, line in lines:
        if blank_check is not None:
            raise blank_check
        if not _PACKED_LINE.fullmatch(line):
            raise Malformed(f"{_shown(line)} has characters no packed ordinate may have.", number)
        tokens = _PACKED_TOKEN.finditer(line)
        head = next(tokens, None)
        if head is None or head[1] is None:
            raise Malformed(f"{_shown(line)} does not begin with an abscissa.", number)
        table.begin(number, head[1])
        value = math.nan
        difference: float | None = None
        repeatable = False
        count = 0
        for token in tokens:
            if token[6] is not None:
                if not repeatable:
                    raise Malformed("a repeat count follows no ordinate.", number)
                digits = _DUP[token[6]] + token[7]
                repeats = int(digits) - 1 if len(digits) < 9 else MAXIMUM_POINTS + 1
                table.room_for(repeats, number)
                if difference is None:
                    values.extend([value] * repeats)
                else:
                    for _ in range(repeats):
                        value += difference
                        values.append(value)
                repeatable = False
                continue
            if token[4] is not None:
                if count == 0 or math.isnan(value):
                    raise Malformed("a difference follows no ordinate it could be added to.", number)
                difference = float(_DIF[token[4]] + token[5])
                value += difference
            else:
                difference = None
                if token[2] is not None:
                    value = float(_SQZ[token[2]] + token[3])
                else:
                    value = math.nan if token[1] is None else float(token[1])
            repeatable = True
            count += 1
            if count == 1 and check_due:
                if not _same(value, values[-1]):
                    failure = Malformed(
                        f"the ordinate check fails: the line begins with {value:.15g} where the line before "
                        f"ended at {values[-1]:.15g}. The file is damaged.",
                        number,
                    )
                    # Some writers end the table with a line that holds nothing but a zero as its check.
                    if value != 0 or token.end() != len(line):
                        raise failure
                    blank_check = failure
                table.starts[-1] -= 1
                continue
            table.room_for(1, number)
            values.append(value)
        if count == 0:
            raise Malformed("the line has an abscissa and no ordinate.", number)
        # A line that ends in a difference is followed by its last ordinate once more, as a check.
        check_due = difference is not None
    return table.result()


def decode_ordinates(data: bytes, start: int, end: int, number: int) -> Ordinates:
    """Decode an (X++(Y..Y)) table in any mixture of AFFN, PAC, SQZ, DIF and DUP.

    Parameters
    ----------
    data, start, end, number
        As for `table_lines`.

    Returns
    -------
    Ordinates

    Raises
    ------
    Malformed
        If a line is not such a row, or an ordinate check fails.
    """
    # "1E5" is one number in a plain table and two in a packed one, so the table is judged as a whole; where
    # E is its only letter, as numbers first.
    if _is_compressed(data, start, end):
        return _decode_packed(table_lines(data, start, end, number))
    try:
        return _decode_plain(table_lines(data, start, end, number))
    except Malformed as error:
        try:
            return _decode_packed(table_lines(data, start, end, number))
        except Malformed:
            raise error from None


def decode_points(data: bytes, start: int, end: int, number: int) -> tuple[FloatArray, FloatArray]:
    """Decode an (XY..XY) table: pairs of AFFN numbers, any number of them to a line.

    Returns
    -------
    x, y : FloatArray, shape (n_points,)
        Before any factor is applied; NaN in `y` where the table has ``?``.

    Raises
    ------
    Malformed
        If a line does not hold whole pairs.
    """
    flat = array("d")
    for where, line in table_lines(data, start, end, number):
        row = _plain(line, where)
        if len(row) % 2:
            raise Malformed(f"{_shown(line)} does not hold whole (x, y) pairs.", where)
        if len(flat) + len(row) > 2 * MAXIMUM_POINTS:
            raise Malformed(f"the table holds more than {MAXIMUM_POINTS:,} points.", where)
        flat.extend(row)
    pairs = np.array(flat).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]
