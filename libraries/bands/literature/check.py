"""Check of the published band tables: every row complete, plausible, unique and with a source.

Run ``python libraries/bands/literature/check.py --compounds COMPOUNDS.csv TABLE.csv [TABLE.csv ...]``. All
tables given are checked together: the bands of one form of a substance by one technique stand in one table
only. Of a drug a table must list enough bands, each with its strength: positions alone raise false alarms
(``benchmarks/band_tables.py``). The exit code is 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS = (
    "slug",
    "form",
    "technique",
    "position_cm1",
    "strength",
    "width_cm1",
    "assignment",
    "quote_check",
    "source",
    "url",
    "page",
    "retrieved",
)
INFRARED_RANGE_CM1 = (400.0, 4000.0)
RANGES_CM1 = {
    "raman": (50.0, 3600.0),
    "ftir": INFRARED_RANGE_CM1,
    "ftir_atr": INFRARED_RANGE_CM1,
    "ftir_transmission": INFRARED_RANGE_CM1,
}
STRENGTHS = frozenset({"vs", "s", "m", "w", "vw"})
RETRIEVED = frozenset({"pages", "docs", "code", "issues", "repository"})
WIDEST_BAND_CM1 = 500.0
LONGEST_QUOTE = 40
MOST_ASSIGNMENT_WORDS = 3
FEWEST_BANDS = 4
# What an alarm may rest on needs more; the first part of a category tells.
DRUGS = frozenset(
    {
        "opioid", "stimulant", "benzodiazepine", "cannabinoid", "hallucinogen", "dissociative", "sedative",
        "steroid", "performance",
    }
)  # fmt: skip
FEWEST_BANDS_OF_DRUGS = {"raman": 8, "ftir": 10, "ftir_atr": 10, "ftir_transmission": 10}


@dataclass(frozen=True)
class Row:
    """One line of a table and where it stands."""

    table: str
    line: int
    cells: dict[str, str]

    @property
    def where(self) -> str:
        """Table and line, for messages."""
        return f"{self.table}, line {self.line}"

    @property
    def spectrum(self) -> tuple[str, str, str]:
        """What the band belongs to: substance, form and technique."""
        return self.cells["slug"], self.cells["form"], self.cells["technique"]


def number(text: str) -> float | None:
    """The number that `text` stands for, or None if it stands for none."""
    try:
        return float(text)
    except ValueError:
        return None


def within(text: str, lowest: float, highest: float) -> bool:
    """Whether `text` is a number between two limits (infinities and nan are in no range)."""
    value = number(text)
    return value is not None and lowest <= value <= highest


def read_table(path: Path) -> tuple[list[Row], list[str]]:
    """Rows of a table, and what is wrong with its form."""
    with path.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.reader(stream))
    if not lines or tuple(lines[0]) != COLUMNS:
        return [], [f"{path.name}: the first line must name the columns {', '.join(COLUMNS)}."]
    rows, errors = [], []
    for index, cells in enumerate(lines[1:], start=2):
        if len(cells) != len(COLUMNS):
            errors.append(f"{path.name}, line {index}: {len(cells)} cells instead of {len(COLUMNS)}.")
        else:
            rows.append(Row(path.name, index, dict(zip(COLUMNS, cells, strict=True))))
    return rows, errors


def row_errors(row: Row, slugs: frozenset[str]) -> Iterator[str]:
    """What is wrong with one row, taken alone."""
    cells = row.cells
    if any(cell != cell.strip() for cell in cells.values()):
        yield f"{row.where}: a cell begins or ends with a space."
    if cells["slug"] not in slugs:
        yield f"{row.where}: the compounds have no id {cells['slug']!r}."
    if cells["technique"] not in RANGES_CM1:
        yield f"{row.where}: technique {cells['technique']!r}; allowed are {', '.join(RANGES_CM1)}."
    else:
        lowest, highest = RANGES_CM1[cells["technique"]]
        if not within(cells["position_cm1"], lowest, highest):
            position = cells["position_cm1"]
            yield f"{row.where}: position {position!r} is not within {lowest:g} to {highest:g} cm⁻¹."
    strength = cells["strength"]
    if strength and strength not in STRENGTHS and not within(strength, 0.0, 1.0):
        yield f"{row.where}: strength {strength!r}; allowed are vs, s, m, w, vw and numbers from 0 to 1."
    width = cells["width_cm1"]
    if width and (not within(width, 0.0, WIDEST_BAND_CM1) or number(width) == 0.0):
        yield f"{row.where}: width {width!r} is not above 0 and at most {WIDEST_BAND_CM1:g} cm⁻¹."
    if len(cells["assignment"].split()) > MOST_ASSIGNMENT_WORDS:
        yield f"{row.where}: an assignment has at most {MOST_ASSIGNMENT_WORDS} words."
    if len(cells["quote_check"]) > LONGEST_QUOTE:
        yield f"{row.where}: a quotation for the audit has at most {LONGEST_QUOTE} characters."
    if not cells["source"]:
        yield f"{row.where}: no source."
    if not cells["url"].startswith(("https://", "http://")):
        yield f"{row.where}: url {cells['url']!r} is not the address of a page."
    if cells["retrieved"] not in RETRIEVED:
        allowed = ", ".join(sorted(RETRIEVED))
        yield f"{row.where}: retrieved from {cells['retrieved']!r}; allowed are {allowed}."


def table_errors(rows: Sequence[Row]) -> Iterator[str]:
    """What is wrong with the rows together: bands given twice, divided between tables, or too few."""
    first: dict[tuple[tuple[str, str, str], float | None], str] = {}
    for row in rows:
        key = row.spectrum, number(row.cells["position_cm1"])
        if key in first:
            yield f"{row.where}: the band is already given in {first[key]}."
        first.setdefault(key, row.where)
    tables: dict[tuple[str, str, str], set[str]] = {}
    for row in rows:
        tables.setdefault(row.spectrum, set()).add(row.table)
    for spectrum, bands in Counter(row.spectrum for row in rows).items():
        name = called(spectrum)
        if bands < FEWEST_BANDS:
            yield f"{name}: {bands} bands; at least {FEWEST_BANDS} are needed."
        if len(tables[spectrum]) > 1:
            yield f"{name}: given in {' and '.join(sorted(tables[spectrum]))}; keep the better documented."


def drug_errors(rows: Sequence[Row], categories: Mapping[str, str]) -> Iterator[str]:
    """Tables of drugs that are too thin to be searched: too few bands, or bands without a strength."""
    tables: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        if categories.get(row.cells["slug"], "").split("/")[0] in DRUGS:
            tables.setdefault(row.spectrum, []).append(row.cells["strength"])
    for spectrum, strengths in tables.items():
        fewest = FEWEST_BANDS_OF_DRUGS.get(spectrum[2], FEWEST_BANDS)
        if len(strengths) < fewest:
            yield f"{called(spectrum)}: {len(strengths)} bands; of a drug at least {fewest} are needed."
        if not all(strengths):
            yield f"{called(spectrum)}: of a drug every band needs its strength."


def called(spectrum: tuple[str, str, str]) -> str:
    """A substance, its form and the technique in words."""
    slug, form, technique = spectrum
    return f"{slug} ({form}), {technique}" if form else f"{slug}, {technique}"


def read_categories(path: Path) -> dict[str, str]:
    """Category of each substance of a table of compounds, by its id (column ``id`` or ``slug``)."""
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        column = next((name for name in ("id", "slug") if name in (reader.fieldnames or ())), None)
        if column is None or "category" not in (reader.fieldnames or ()):
            raise SystemExit(f"{path}: a table of compounds needs columns 'id' or 'slug', and 'category'.")
        return {record[column]: record["category"] for record in reader}


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the tables named on the command line; 0 if all is well, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("tables", nargs="+", type=Path, metavar="TABLE.csv")
    parser.add_argument("--compounds", required=True, type=Path, metavar="COMPOUNDS.csv")
    options = parser.parse_args(arguments)

    categories = read_categories(options.compounds)
    rows: list[Row] = []
    errors: list[str] = []
    for path in options.tables:
        found, faults = read_table(path)
        rows += found
        errors += faults
    errors += [error for row in rows for error in row_errors(row, frozenset(categories))]
    errors += table_errors(rows)
    errors += drug_errors(rows, categories)

    pairs = {(row.cells["slug"], row.cells["technique"]) for row in rows}
    substances = {slug for slug, _ in pairs}
    print(f"{len(substances)} substances, {len(pairs)} pairs of substance and technique, {len(rows)} bands")
    for technique, count in sorted(Counter(technique for _, technique in pairs).items()):
        print(f"  {technique}: {count} substances")
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
