"""How the numbers of a table are written (separator, decimal sign), and reading them into an array."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from spectralid.errors import UnreadableFileError
from spectralid.io._text_lines import Line
from spectralid.spectrum import FloatArray

__all__ = ["Dialect", "detect", "is_monotone", "parse_rows"]

SAMPLE_ROWS: Final = 400
CHUNK_ROWS: Final = 20_000
MISSING: Final = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "--"})

_MISSING_WORD: Final = re.compile(r"\b(?:n/a|na|null|none)\b", re.IGNORECASE)
_FRACTION: Final = re.compile(r"\d*(?:[eE][-+]?\d+)?")
_ZERO_FIRST: Final = re.compile(r"0\d")
_GROUPED: Final = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table is written.

    Attributes
    ----------
    delimiter : str
        What separates fields; an empty string means any run of blanks.
    decimal : {".", ","}
        The decimal sign.
    thousands : {"", ".", ","}
        What groups digits.
    quoted : bool
        Whether fields stand in double quotes.
    pairs : slice or None
        Which fields are two halves of a number each, where the comma is both separator and decimal sign.
    """

    delimiter: str
    decimal: str = "."
    thousands: str = ""
    quoted: bool = False
    pairs: slice | None = None

    def split(self, line: str) -> list[str]:
        """Fields of a line, stripped; a separator at the end of the line does not make a field."""
        if self.delimiter == "":
            return line.replace('"', "").split()
        if self.quoted:
            fields = next(csv.reader([line.strip()], delimiter=self.delimiter, skipinitialspace=True), [])
        else:
            fields = line.split(self.delimiter)
        fields = [f.strip() for f in fields]
        if self.pairs is not None:
            halves = fields[self.pairs]
            whole = fields[: self.pairs.start]
            return whole + [",".join(halves[i : i + 2]) for i in range(0, len(halves), 2)]
        return fields

    def number(self, field: str) -> float:
        """Value of a field, NaN where it stands for a missing value.

        Raises
        ------
        ValueError
            If it is neither.
        """
        if field.lower() in MISSING:
            return math.nan
        if self.thousands:
            field = field.replace(self.thousands, "")
        if self.decimal == ",":
            if "." in field:
                raise ValueError(field)
            field = field.replace(",", ".")
        return float(field)


def is_monotone(values: FloatArray) -> bool:
    """Whether finite values rise or fall strictly from first to last."""
    steps = np.diff(values[np.isfinite(values)])
    return steps.size > 0 and bool(np.all(steps > 0) or np.all(steps < 0))


def detect(rows: Sequence[Line], name: str) -> Dialect:
    """How the rows of a table are written.

    Raises
    ------
    UnreadableFileError
        If the commas can be read as decimal signs and as thousands separators and nothing decides.
    """
    step = max(1, len(rows) // SAMPLE_ROWS)
    # Not the last row: it may be cut off, which is found later.
    sample = [row.text for row in (rows[:-1] or rows)[::step]]
    quoted = any('"' in line for line in sample)
    delimiter = _delimiter(sample)
    dialect = Dialect(delimiter, quoted=quoted and delimiter != "")
    if delimiter == "," and not quoted:
        pairs = _pairs_of(sample)
        return dialect if pairs is None else replace(dialect, decimal=",", pairs=pairs)
    return _with_decimal(dialect, sample, name)


def _delimiter(sample: Sequence[str]) -> str:
    bare = [line.strip() for line in sample]
    for candidate in ("\t", ";"):
        if _most(candidate in line for line in bare):
            return candidate
    if not _most("," in line for line in bare):
        return ""
    if any('","' in line or re.search(r",\s|\s,", line) for line in bare):
        return ","
    # Blanks inside the lines, none of them beside a comma: the comma is the decimal sign.
    return "" if _most(re.search(r"\s", line) is not None for line in bare) else ","


def _most(answers: Iterable[bool]) -> bool:
    # A damaged row must not decide how the table is written; it is named when it is reached.
    known = list(answers)
    return sum(known) >= 0.9 * len(known)


def _pairs_of(sample: Sequence[str]) -> slice | None:
    """Which fields are halves of numbers where commas both separate and mark decimals.

    Proof is asked for: no decimal point anywhere, every second field unsigned, and among them one that begins
    with a zero (``,007``), which no whole number does. A first field may be whole, a last comma superfluous.
    """
    rows = [[f.strip() for f in line.split(",")] for line in sample]
    if any("." in line for line in sample):
        return None
    for pairs in (slice(0, None), slice(1, -1), slice(0, -1), slice(1, None)):
        halves = [row[pairs] for row in rows]
        if any(len(h) < 2 or len(h) % 2 for h in halves) or (
            pairs.stop is not None and any(row[-1] for row in rows)
        ):
            continue
        fractions = [f for h in halves for f in h[1::2]]
        if all(_FRACTION.fullmatch(f) for f in fractions) and any(_ZERO_FIRST.match(f) for f in fractions):
            return pairs if pairs.start or len(halves[0]) > 2 else None
    return None


def _with_decimal(dialect: Dialect, sample: Sequence[str], name: str) -> Dialect:
    fields = [f for line in sample for f in dialect.split(line)]
    with_comma = [f for f in fields if "," in f]
    if not with_comma:
        return dialect
    both = [f for f in with_comma if "." in f]
    if both:
        if all(f.rindex(",") < f.rindex(".") for f in both):
            return replace(dialect, thousands=",")
        return replace(dialect, decimal=",", thousands=".")
    decimal = replace(dialect, decimal=",")
    if any("." in f for f in fields):
        # A point elsewhere is the decimal sign, so the commas can only group thousands.
        return replace(dialect, thousands=",")
    if not all(_GROUPED.fullmatch(f) for f in with_comma):
        return decimal
    grouped = replace(dialect, thousands=",")
    fits = [d for d in (decimal, grouped) if _axis_fits(d, sample)]
    if len(fits) == 1:
        return fits[0]
    raise UnreadableFileError(
        f"its commas may be decimal signs or group thousands ({with_comma[0]!r}); export it with a decimal "
        "point.",
        file=name,
    )


def _axis_fits(dialect: Dialect, sample: Sequence[str]) -> bool:
    try:
        return is_monotone(np.array([dialect.number(dialect.split(line)[0]) for line in sample]))
    except (ValueError, IndexError):
        return False


def parse_rows(rows: Sequence[Line], dialect: Dialect, name: str) -> tuple[FloatArray, int]:
    """Read rows into an array.

    Parameters
    ----------
    rows : sequence of Line
        Rows of one table.
    dialect : Dialect
        How they are written.
    name : str
        File name for messages.

    Returns
    -------
    values : ndarray of float, shape (n_rows, n_columns)
        NaN where a field is empty or says so.
    skipped : int
        How many leading rows have fewer fields than the table and so belong to the header.

    Raises
    ------
    UnreadableFileError
        If a row has another number of fields, or a field is no number.
    """
    sample = [dialect.split(row.text) for row in rows[:SAMPLE_ROWS]]
    counts = [len(fields) for fields in sample]
    width = Counter(counts).most_common(1)[0][0]
    skipped = 0
    while counts[skipped] < width:
        skipped += 1
    kept = rows[skipped:]
    last = len(kept) - 1
    out = np.empty((len(kept), width))
    for start in range(0, len(kept), CHUNK_ROWS):
        chunk = kept[start : start + CHUNK_ROWS]
        fast = _parse_regular([row.text for row in chunk], dialect, width)
        if fast is not None:
            out[start : start + len(chunk)] = fast
            continue
        for i, row in enumerate(chunk, start):
            out[i] = _parse_row(row, dialect, width, name, is_last=i == last)
    # A separator that ends every line leaves an empty column; one of NaN in so many words is a column.
    whole = [fields for fields in sample if len(fields) == width]
    while width > 1 and not any(f[width - 1] for f in whole) and np.isnan(out[:, width - 1]).all():
        width -= 1
    return out[:, :width], skipped


def _parse_regular(lines: list[str], dialect: Dialect, width: int) -> FloatArray | None:
    """The whole block at once where it is plainly written; ``None`` where it must be read row by row."""
    if dialect.thousands or dialect.quoted or dialect.pairs is not None:
        return None
    text = "\n".join(lines)
    if "n" in text or "N" in text:
        text = _MISSING_WORD.sub("nan", text)
    if dialect.decimal == ",":
        if "." in text:
            return None
        text = text.replace(",", ".")
    if dialect.delimiter:
        if any(line.count(dialect.delimiter) != width - 1 for line in lines):
            return None
        fields = text.replace("\n", dialect.delimiter).split(dialect.delimiter)
    else:
        if any(len(line.split()) != width for line in lines):
            return None
        fields = text.split()
    try:
        values = [math.nan if not f or f.isspace() else float(f) for f in fields]
    except ValueError:
        return None
    return np.array(values).reshape(-1, width)


def _parse_row(row: Line, dialect: Dialect, width: int, name: str, *, is_last: bool) -> list[float]:
    fields = dialect.split(row.text)
    where = f"line {row.number}"
    if len(fields) != width:
        if is_last and len(fields) < width:
            raise UnreadableFileError(
                f"its last line is cut off ({len(fields)} of {width} fields): the file is truncated; copy it "
                "from the instrument again.",
                file=name,
                where=where,
            )
        raise UnreadableFileError(
            f"this line has {len(fields)} fields where the table has {width}; correct or remove it.",
            file=name,
            where=where,
        )
    try:
        return [dialect.number(f) for f in fields]
    except ValueError as error:
        raise UnreadableFileError(
            f"a field of the table is not a number ({str(error)[-60:]}); correct or remove the line.",
            file=name,
            where=where,
        ) from None
