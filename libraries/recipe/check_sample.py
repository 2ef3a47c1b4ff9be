"""Recompute five of the committed computed references from their structures, and compare.

``python check_sample.py`` takes no arguments: five entries of ``libraries/computed`` are chosen by a fixed
rule, computed again with the installed tblite and RDKit, and compared in energy, line positions and Raman
activities. The exit code is 1, with a sentence per disagreement, if anything is off.

The rule: one molecule each of 8-11, 12-15 and 16-20 atoms without a charge, one ion each of 6-13 and 14-20
atoms, protonated forms before ions drawn as such; of what fits, the one whose key has the smallest SHA-256.
Only molecules of which a single conformer was found are taken: another version of RDKit draws other random
geometries, and of a flexible molecule may find another conformer without anything being wrong.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pack
import run

_LIBRARIES = Path(__file__).resolve().parents[1]
COMPUTED = _LIBRARIES / "computed"
COMPOUNDS = _LIBRARIES / "compounds.csv"

#: Charged?, fewest and most atoms: one molecule is taken of each.
CLASSES = ((False, 8, 11), (False, 12, 15), (False, 16, 20), (True, 6, 13), (True, 14, 20))

ENERGY_TOLERANCE = 1e-5  # hartree: the same conformer
LOWEST_CM = 200.0  # softer modes depend on where exactly the optimisation stopped
NEUTRAL_TOLERANCE_CM = 3.0
ION_TOLERANCE_CM = 5.0  # the solvent's grid is fixed in space
ACTIVITY_TOLERANCE = 0.03  # of the strongest line


@dataclass(frozen=True)
class Stored:
    """One committed entry: its row of ``entries.csv``, the structure as listed, and its lines.

    Attributes
    ----------
    row : mapping of str to str
    smiles : str
        As listed in ``compounds.csv``, from which everything follows.
    frequencies : ndarray, shape (n_lines,)
        cm-1, lowest first.
    raman : ndarray, shape (n_lines,)
        Activities, angstrom**4/u.
    """

    row: Mapping[str, str]
    smiles: str
    frequencies: np.ndarray
    raman: np.ndarray

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.row['id']} ({self.row['form']})"


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def choose(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Rows of ``entries.csv`` to be computed again; fewer than five if a class is empty."""
    chosen = []
    for charged, fewest, most in CLASSES:
        fitting = [
            row
            for row in rows
            if (row["charge"] != "0") == charged
            and fewest <= int(row["atoms"]) <= most
            and row["conformers"] == "1"
            and row["imaginary"] == "0"
        ]

        def place(row: dict[str, str]) -> tuple[bool, str]:
            return row["form"] != "protonated", hashlib.sha256(row["key"].encode()).hexdigest()

        chosen.extend(sorted(fitting, key=place)[:1])
    return chosen


def stored(computed: Path, compounds: Path) -> Iterator[Stored]:
    """The chosen entries with their committed lines."""
    smiles = {row["inchikey"]: row["smiles"] for row in _rows(compounds)}
    for row in choose(_rows(computed / pack.ENTRIES)):
        with np.load(computed / f"sticks-{int(row['batch']):03d}.npz", allow_pickle=False) as archive:
            at = archive["key"].tolist().index(row["key"])
            end = int(archive["lines"][: at + 1].sum())
            lines = slice(end - int(archive["lines"][at]), end)
            yield Stored(
                row,
                smiles[row["inchikey"]],
                archive["frequencies_cm"][lines].astype(float),
                archive["raman_a4_u"][lines].astype(float),
            )


def _grouped(frequencies: np.ndarray, activities: np.ndarray, gap_cm: float) -> np.ndarray:
    """Activity of each group of lines closer than `gap_cm`, attributed to each of its lines.

    Lines that nearly coincide may share their strength differently with every rounding; their sum may not.
    """
    group = np.concatenate([[0], np.cumsum(np.diff(frequencies) > gap_cm)])
    return np.bincount(group, activities)[group]


def disagreements(entry: Stored, energy: float, frequencies: np.ndarray, raman: np.ndarray) -> Iterator[str]:
    """Compare a committed entry with what was computed again; one sentence for each thing that is off.

    Parameters
    ----------
    entry : Stored
    energy : float
        In hartree.
    frequencies, raman : ndarray, shape (n_lines,)
        In cm-1, lowest first, and angstrom**4/u.
    """
    was = float(entry.row["energy"])
    if abs(energy - was) > ENERGY_TOLERANCE:
        yield (
            f"{entry.name}: the energy is {energy:.6f} hartree, {was:.6f} is stored; "
            "another conformer or another method."
        )
    if len(frequencies) != len(entry.frequencies):
        yield f"{entry.name}: there are {len(frequencies)} lines, {len(entry.frequencies)} are stored."
        return
    tolerance = NEUTRAL_TOLERANCE_CM if entry.row["charge"] == "0" else ION_TOLERANCE_CM
    counted = entry.frequencies > LOWEST_CM
    shift = np.where(counted, frequencies - entry.frequencies, 0.0)
    worst = int(np.argmax(np.abs(shift)))
    if abs(shift[worst]) > tolerance:
        yield (
            f"{entry.name}: the line at {entry.frequencies[worst]:.1f} cm⁻¹ is computed at "
            f"{frequencies[worst]:.1f}; {tolerance:g} cm⁻¹ are allowed."
        )
    # Grouped by the stored positions, so that both sides have the same groups.
    before, now = (_grouped(entry.frequencies, a, 2 * tolerance) for a in (entry.raman, raman))
    change = np.where(counted, now - before, 0.0) / entry.raman.max()
    worst = int(np.argmax(np.abs(change)))
    if abs(change[worst]) > ACTIVITY_TOLERANCE:
        yield (
            f"{entry.name}: the Raman activity near {entry.frequencies[worst]:.1f} cm⁻¹ is {now[worst]:.3g} "
            f"Å⁴/u, {before[worst]:.3g} is stored; {ACTIVITY_TOLERANCE:.0%} of the strongest are allowed."
        )


def check(computed: Path = COMPUTED, compounds: Path = COMPOUNDS) -> int:
    """Recompute and compare; 1 if anything is off, else 0."""
    entries = list(stored(computed, compounds))
    problems = [] if entries else [f"{computed}: no entry fits the rule of the sample."]
    for entry in entries:
        row, began = entry.row, time.process_time()
        task = run.Task(row["id"], row["inchikey"], entry.smiles, row["form"], int(row["atoms"]))
        arrays, record = run.compute(task)
        found = list(disagreements(entry, record["energy"], arrays["frequencies_cm"], arrays["raman_a4_u"]))
        verdict = "disagrees" if found else "agrees"
        print(f"{entry.name}, {row['atoms']} atoms: {verdict} ({time.process_time() - began:.1f} s)")
        problems.extend(found)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    sys.exit(check())
