"""docs/fuzzing.md, from the figures in benchmarks/fuzz.json and the tests of what was found.

    python -m benchmarks.fuzz_page

``python -m benchmarks.fuzz --save`` fills the figures; what was found stands in ``tests/faults/files.py``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.fuzz import FIGURES, LONGEST_S, MOST_MIB, ROOT
from tests.faults.files import FOUND
from tests.fuzz.targets import TARGETS
from tests.fuzz.test_fuzz import TOTAL

__all__ = ["PAGE", "rows", "text"]

PAGE = ROOT / "docs" / "fuzzing.md"

_HOW = f"""\
## How it is done

Every reader starts from sound inputs: those that the tests build, and small files of the real collections
where these are on the machine. Each input is a sound one with damage: bits flipped, bytes and words put in,
taken out, repeated, pieces of two inputs joined, numbers made huge, the end cut off
(`tests/fuzz/mutation.py`). What a reader may do: give an answer, or raise an error of the family. What it may
not: raise anything else, take more than {LONGEST_S:.0f} s of processor time for one input, or let the process
grow beyond {MOST_MIB} MiB. Readers of signed things get the bytes as if the signature held.

- In CI, at every change: {TOTAL:,} inputs of a fixed seed, shared among the readers
  (`tests/fuzz/test_fuzz.py`).
- By hand, our mutations: `python -m benchmarks.fuzz --runs 1000000 --save`; each reader in a process of its
  own, so that memory is its own.
- By hand, guided by coverage: the same with `--engine atheris` (extra `fuzz`: atheris, Apache-2.0).
- HDF5: `python -m benchmarks.fuzz --hdf5 100000 --save`: files of every layout, opened as a user opens them,
  by a process of their own with limits on memory, time and files. What kills or stalls HDF5 costs that
  process, and no other.

An input that does harm is kept in `build/fuzz`, and becomes a test by name in the tests of its reader.

## A new reader

1. Add a `Target` to `TARGETS` in `tests/fuzz/targets.py`: its name, a function that takes bytes, sound
   inputs, words of the format. A new file format, a new decoder in `spectralid/devices/codec`, or a parser of
   the list in `tests/fuzz/test_targets.py` that no target calls makes that test fail.
2. `python -m benchmarks.fuzz --only NAME --runs 1000000 --save`, then `python -m benchmarks.fuzz_page`.
3. What is found: mend it, put the input into a test of the reader, and add a line to `FOUND` in
   `tests/faults/files.py`.
"""


def rows() -> list[dict[str, Any]]:
    """The figures there are."""
    if not FIGURES.exists():
        return []
    return list(json.loads(FIGURES.read_text(encoding="utf-8"))["rows"])


def _table(figures: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| reader | engine | inputs | taken | inputs a second | slowest input | memory | harm | date |",
        "|---|---|--:|--:|--:|--:|--:|---|---|",
    ]
    for row in sorted(figures, key=lambda row: (row["engine"], row["target"].lower())):
        taken = "" if row["taken"] is None else f"{row['taken'] / max(1, row['runs']):.0%}"
        lines.append(
            f"| {row['target']} | {row['engine']} | {row['runs']:,} | {taken} | "
            f"{row['runs'] / max(row['seconds'], 1e-3):,.0f} | {row['longest_s']:.2f} s | "
            f"{row['memory_mib']:.0f} MiB | {'FOUND' if row['found'] else 'none'} | {row['date']} |"
        )
    return "\n".join(lines) + "\n"


def _totals(figures: Sequence[dict[str, Any]]) -> str:
    if not figures:
        return "No figures yet: `python -m benchmarks.fuzz --runs 1000000 --save` makes them.\n"
    runs = sum(row["runs"] for row in figures)
    seconds = sum(row["seconds"] for row in figures)
    slowest = max(figures, key=lambda row: row["longest_s"])
    largest = max(figures, key=lambda row: row["memory_mib"])
    harm = [row["target"] for row in figures if row["found"]]
    million = sum(row["runs"] >= 1_000_000 for row in figures)
    missing = sorted({target.name for target in TARGETS} - {row["target"] for row in figures})
    said = [
        f"**{runs:,} inputs** in {seconds / 3600:.1f} h of processor time, "
        f"{runs / max(seconds, 1e-3):,.0f} a second; "
        f"{million} of {len(figures)} runs had a million inputs or more.",
        f"Slowest input: {slowest['longest_s']:.2f} s ({slowest['target']}); most memory of a process: "
        f"{largest['memory_mib']:.0f} MiB ({largest['target']}).",
        f"Runs that ended with an input that does harm: {', '.join(harm) if harm else 'none'}.",
    ]
    if missing:
        said.append(f"No figures yet of: {', '.join(missing)}.")
    return "\n".join(f"- {line}" for line in said) + "\n"


def text(figures: Sequence[dict[str, Any]], found: Sequence[tuple[str, str]]) -> str:
    """The document."""
    out = "# Fuzzing: damaged inputs for every reader\n\n"
    out += "Made by `python -m benchmarks.fuzz_page` from `benchmarks/fuzz.json`; nothing here was typed in\n"
    out += "but the words. Inputs a second were measured beside other work.\n\n"
    out += _totals(figures) + "\n"
    if figures:
        out += _table(figures) + "\n"
    out += "## What was found\n\nEach was mended, and is a test of its own since:\n\n"
    out += "| what | test |\n|---|---|\n"
    out += "".join(f"| {words} | `{test}` |\n" for words, test in found)
    return out + "\n" + _HOW


def main() -> None:
    """Write it."""
    PAGE.write_text(text(rows(), FOUND), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {len(rows())} rows")


if __name__ == "__main__":
    main()
