"""Results of a laboratory's information system, as CSV: good lines are taken, each bad one is reported.

UTF-8 or UTF-16, comma, semicolon or tab, decimal point or decimal comma; the header names the columns
(`COLUMNS`, in any order and case). A line is one report on one sample; lists within a cell are divided by
``|``. A file may be given again: what is on record is found again.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

from spectralid.reachback import classification, csv_out
from spectralid.reachback.errors import ConflictError
from spectralid.reachback.lab import laboratory
from spectralid.reachback.lab.reports import LabReportError, Report, Result, Substance, Taken

if TYPE_CHECKING:
    from spectralid.reachback.store.database import Database
    from spectralid.reachback.store.serverkeys import ServerKeys

__all__ = ["COLUMNS", "MOST_BYTES", "REQUIRED", "Bad", "Imported", "Line", "import_csv", "listing", "read"]

REQUIRED: Final = ("laboratory", "sample_ref", "result", "methods")
COLUMNS: Final = (
    *REQUIRED,
    "stage",
    "report_ref",
    "case_id",
    "device_id",
    "seizure_ref",
    "item_ref",
    "substances",
    "shares_percent",
    "uncertainties_percent",
    "corrects",
    "sampling",
    "analyst",
    "note",
    "measured_utc",
    "reported_utc",
)
"""Columns that are read; of other columns the import says that they were not."""

MOST_BYTES: Final = 16 * 1024 * 1024
_MOST_LINES: Final = 20_000
_DIVIDED: Final = re.compile(r"\s*\|\s*")
_METHODS: Final = re.compile(r"\s*[|+]\s*")


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that was not taken.

    Attributes
    ----------
    line : int
        Where it begins, from 1.
    why : str
        One sentence.
    """

    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was taken, and what became of it."""

    line: int
    taken: Taken


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file.

    Attributes
    ----------
    dry : bool
        Whether nothing was written.
    lines : tuple of Line
        Those that were taken.
    bad : tuple of Bad
        Those that were not.
    ignored : tuple of str
        Columns that are not read.
    """

    dry: bool
    lines: tuple[Line, ...]
    bad: tuple[Bad, ...]
    ignored: tuple[str, ...]

    def count(self, what: str) -> int:
        """How many lines became that; ``known`` are those that were on record before."""
        if what == "known":
            return sum(one.taken.status == 200 for one in self.lines)
        return sum(one.taken.what == what and one.taken.status == 201 for one in self.lines)


def import_csv(
    db: Database,
    keys: ServerKeys,
    data: bytes,
    *,
    by: str,
    source: str = "csv",
    now: datetime,
    sites: Collection[str] | None = None,
    dry: bool = False,
) -> Imported:
    """Take in the good lines of a file, each in a transaction of its own.

    Parameters
    ----------
    db, keys, by, source, now, sites, dry
        As for `spectralid.reachback.lab.laboratory.take`.
    data : bytes
        The file.

    Raises
    ------
    LabReportError
        If it is no such file at all: not text, no header, a required column missing, too long.
    """
    good, bad, ignored = read(data)
    lines: list[Line] = []
    for line, report in good:
        try:
            taken = laboratory.take(db, keys, report, by=by, source=source, now=now, sites=sites, dry=dry)
        except (LabReportError, ConflictError) as error:
            bad.append(Bad(line, str(error)))
        else:
            lines.append(Line(line, taken))
    return Imported(dry, tuple(lines), tuple(sorted(bad, key=lambda one: one.line)), ignored)


def read(data: bytes) -> tuple[list[tuple[int, Report]], list[Bad], tuple[str, ...]]:
    """The reports in a file with their lines, the bad lines, and the columns that are not read.

    Raises
    ------
    LabReportError
        As for `import_csv`.
    """
    text = _text(data)
    rows = _rows(text)
    header = next(rows, None)
    if header is None or isinstance(header, Bad):
        raise LabReportError("The file is empty; its first line names the columns.")
    names = [re.sub(r"[\s-]+", "_", name.strip().casefold()) for name in header[1]]
    if missing := [name for name in REQUIRED if name not in names]:
        raise LabReportError(
            f"The file lacks the columns {', '.join(missing)}; its first line names them, divided by commas, "
            "semicolons or tabs."
        )
    if twice := sorted({name for name in names if name in COLUMNS and names.count(name) > 1}):
        raise LabReportError(f"The file has the columns {', '.join(twice)} twice.")
    good: list[tuple[int, Report]] = []
    bad: list[Bad] = []
    for count, row in enumerate(rows, 1):
        if count > _MOST_LINES:
            raise LabReportError(f"The file has more than {_MOST_LINES} lines; divide it.")
        if isinstance(row, Bad):
            bad.append(row)
            continue
        line, cells = row
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(names):
            bad.append(Bad(line, f"It has {len(cells)} cells, and the header names {len(names)} columns."))
            continue
        # A line may end before its last columns.
        said = dict.fromkeys(names, "") | {
            name: cell.strip() for name, cell in zip(names, cells, strict=False)
        }
        try:
            good.append((line, _report(said)))
        except LabReportError as error:
            bad.append(Bad(line, str(error)))
    ignored = tuple(dict.fromkeys(name for name in names if name not in COLUMNS))
    return good, bad, ignored


def _text(data: bytes) -> str:
    if len(data) > MOST_BYTES:
        raise LabReportError(f"The file has {len(data)} bytes; at most {MOST_BYTES} are taken.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif data[1:2] == b"\0":
        encoding = "utf-16-le"
    elif data[:1] == b"\0":
        encoding = "utf-16-be"
    else:
        encoding = "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise LabReportError(
            f"The file is neither UTF-8 nor UTF-16 text (byte {error.start}); save it as one of these."
        ) from None


def _rows(text: str) -> Iterator[tuple[int, list[str]] | Bad]:
    """Rows with the line each begins in."""
    header = text.split("\n", 1)[0]
    counts = {mark: header.count(mark) for mark in ",;\t"}
    delimiter = max(counts, key=lambda mark: counts[mark])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        begins = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Bad(begins, f"It is no CSV ({error}).")
            continue
        if any("\0" in cell for cell in cells):
            yield Bad(begins, "It holds a NUL character.")
            continue
        yield begins, cells


def _report(said: Mapping[str, str]) -> Report:
    texts = {
        name: said[name]
        for name in ("laboratory", "sample_ref", "report_ref", "case_id", "device_id", "seizure_ref",
                     "item_ref", "corrects", "analyst", "note", "measured_utc", "reported_utc")
        if said.get(name)
    }  # fmt: skip
    for name in ("laboratory", "sample_ref"):
        if name not in texts:
            raise LabReportError(f"The {name} is empty.")
    return Report(
        stage=cast(Any, said.get("stage", "").casefold() or "forward"),
        result=cast(Any, said["result"].casefold()),
        sampling=cast(Any, said.get("sampling", "").casefold()),
        methods=tuple(one for one in _METHODS.split(said["methods"]) if one),
        substances=_substances(said),
        **texts,
    )


def _substances(said: Mapping[str, str]) -> tuple[Substance, ...]:
    names = _list(said.get("substances", ""))
    shares = _numbers("shares_percent", said)
    errors = _numbers("uncertainties_percent", said)
    for name, values in (("shares_percent", shares), ("uncertainties_percent", errors)):
        if values and len(values) != len(names):
            raise LabReportError(f"The column {name} has {len(values)} values for {len(names)} substances.")
    found = []
    for number, name in enumerate(names):
        if not name:
            raise LabReportError("A substance has no name.")
        share = shares[number] if shares else None
        error = errors[number] if errors else None
        found.append(Substance(_slug(name), name, share, error))
    return tuple(found)


def _slug(name: str) -> str:
    """The substance in the compound table; a slug of the name where it is not there."""
    from spectralid.library.compounds import make_slug

    table = classification.compounds()
    if name in table.by_slug:
        return name
    found = table.find(name=name)
    return found[0].slug if found else make_slug(name)[:100].rstrip("-")


def _list(cell: str) -> list[str]:
    return _DIVIDED.split(cell.strip()) if cell.strip() else []


def _numbers(name: str, said: Mapping[str, str]) -> list[float | None]:
    return [_share(name, one) for one in _list(said.get(name, ""))]


def _share(name: str, text: str) -> float | None:
    plain = text.removesuffix("%").strip()
    if not plain:
        return None
    if not re.fullmatch(r"[0-9]{1,3}([.,][0-9]{1,12})?", plain):
        raise LabReportError(f"{text[:30]!r} in the column {name} is no percentage.")
    return round(float(plain.replace(",", ".")) / 100, 12)


# --- out ---------------------------------------------------------------------------------------------------

_LISTED: Final = (
    "n", "what", "why", "result", "laboratory", "stage", "sample_ref", "report_ref", "methods", "swgdrug",
    "substances", "case_id", "item_ref", "corrects", "sampling", "measured_utc", "reported_utc",
    "received_utc", "analyst", "note", "by", "source",
)  # fmt: skip


def listing(results: Collection[Result]) -> bytes:
    """Results as CSV, one line each."""
    return csv_out.written(_LISTED, ([_cell(one, name) for name in _LISTED] for one in results))


def _cell(one: Result, name: str) -> Any:
    match name:
        case "methods":
            return " | ".join(one.methods)
        case "swgdrug":
            return " ".join(one.categories)
        case "substances":
            return " | ".join(substance.shown() for substance in one.substances)
        case _:
            return getattr(one, name)
