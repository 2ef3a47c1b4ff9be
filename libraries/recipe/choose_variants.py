"""Which of the enumerated fentanyl variants are computed first: by a fixed rule, nobody picks favourites.

``python choose_variants.py VARIANTS.csv`` writes ``variants_first.csv``: id, inchikey, smiles, modifications.
VARIANTS.csv is the table of enumerated variants with a column per site (phenethyl, piperidine, aniline,
acyl), whose entries read ``class:modification``, such as ``D:para-fluoro``.

The rule: variants that ``compounds.csv`` holds are computed anyway and count as chosen. Then every
variant with a single modification of its own. Then, up to the number wanted, the variant furthest from all
chosen ones (maximin). Distance is the sum over the four sites of 0 for the same modification, 1 for
two modifications of one class, 2 for different classes or none. Of variants equally far the one whose
modifications have been chosen least often so far, then the smallest, then the first by identifier.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

import numpy as np
from rdkit import Chem

_HERE = Path(__file__).resolve().parent
OUT = _HERE / "variants_first.csv"
COMPOUNDS = _HERE.parent / "compounds.csv"
SITES = ("phenethyl_site", "piperidine_site", "aniline_site", "acyl_site")
WANTED = 180


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def distances(rows: list[dict[str, str]]) -> np.ndarray:
    """Distance of every pair, shape (n, n); see the module's rule."""
    total = np.zeros((len(rows), len(rows)), dtype=np.int8)
    for site in SITES:
        names = np.array([row[site] for row in rows])
        classes = np.array([row[site].split(":")[0] for row in rows])
        total += np.where(classes[:, None] != classes, 2, (names[:, None] != names).astype(int)).astype(
            np.int8
        )
    return total


def choose(rows: list[dict[str, str]], known: set[str], wanted: int = WANTED) -> list[dict[str, str]]:
    """Rows to be computed first, in the order of choice.

    Parameters
    ----------
    rows : list of dict
        The enumerated variants.
    known : set of str
        InChIKeys that are computed anyway.
    wanted : int
        How many to choose; more only if there are more single modifications.
    """
    placed = [row for row in rows if any(row[site] for site in SITES)]
    away = distances(placed)
    atoms = [Chem.MolFromSmiles(row["smiles"]).GetNumHeavyAtoms() for row in placed]
    done = [row["inchikey"] in known for row in placed]
    first = [i for i, row in enumerate(placed) if row["n_modifications"] == "1" and not done[i]]
    chosen = sorted(first, key=lambda i: placed[i]["variant_id"])
    taken = np.array(done)
    taken[chosen] = True
    nearest = away[:, taken].min(axis=1) if taken.any() else np.full(len(placed), 99)
    used = Counter(placed[i][site] for i in np.flatnonzero(taken) for site in SITES)

    def place(i: int) -> tuple[int, int, int, str]:
        rare = sum(used[placed[i][site]] for site in SITES if placed[i][site])
        return -int(nearest[i]), rare, atoms[i], placed[i]["variant_id"]

    while len(chosen) < min(wanted, len(placed) - sum(done)):
        best = min(np.flatnonzero(~taken), key=place)
        chosen.append(int(best))
        taken[best] = True
        nearest = np.minimum(nearest, away[:, best])
        used.update(placed[best][site] for site in SITES)
    return [placed[i] for i in chosen]


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variants", type=Path)
    known = {row["inchikey"] for row in _rows(COMPOUNDS) if row["inchikey"]}
    chosen = choose(_rows(parser.parse_args().variants), known)
    with OUT.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["id", "inchikey", "smiles", "modifications"])
        for row in chosen:
            details = "|".join(row[site] for site in SITES if row[site])
            writer.writerow([row["variant_id"], row["inchikey"], row["smiles"], details])


if __name__ == "__main__":
    main()
