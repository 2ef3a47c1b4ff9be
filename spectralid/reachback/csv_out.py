"""Tables as CSV that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

__all__ = ["harmless", "written"]

# What a spreadsheet would take for a formula (OWASP, CSV injection), in its full-width forms too.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def harmless(value: Any) -> str:
    """A cell: a text that a spreadsheet would run starts with an apostrophe, and numbers stay numbers."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value)
    return f"'{value}" if value.lstrip(" \u00a0").startswith(_FORMULA) else value


def written(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A table (RFC 4180, UTF-8).

    Parameters
    ----------
    columns : sequence of str
        The header.
    rows : iterable of sequence
        As many cells in each.
    """
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([harmless(value) for value in row] for row in rows)
    return target.getvalue().encode()
