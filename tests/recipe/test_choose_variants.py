"""The rule by which fentanyl variants are computed first."""

from __future__ import annotations

import csv

import pytest

pytest.importorskip("rdkit", reason="rdkit counts the atoms of the variants")

import choose_variants


def variant(number: int, phenethyl: str = "", aniline: str = "", smiles: str = "CC") -> dict[str, str]:
    return {
        "variant_id": f"V{number}",
        "inchikey": f"K{number}",
        "smiles": smiles,
        "n_modifications": str(bool(phenethyl) + bool(aniline)),
        "phenethyl_site": phenethyl,
        "piperidine_site": "",
        "aniline_site": aniline,
        "acyl_site": "",
    }


ROWS = [
    variant(1, "A:x"),
    variant(2, "", "D:p"),
    variant(3, "A:x", "D:p"),
    variant(4, "B:y", "D:q"),
    variant(5, "A:z", "D:q"),
]


def test_distance_counts_sites_by_class_and_modification() -> None:
    away = choose_variants.distances(ROWS)
    assert away[0, 0] == 0
    assert away[0, 1] == 4  # another site each
    assert away[0, 2] == 2  # one site more
    assert away[2, 4] == 2  # same classes, other modifications
    assert (away == away.T).all()


def test_single_modifications_come_first_then_the_furthest() -> None:
    chosen = choose_variants.choose(ROWS, set(), wanted=3)
    assert [row["variant_id"] for row in chosen] == ["V1", "V2", "V4"]


def test_what_is_computed_anyway_counts_but_is_not_chosen_again() -> None:
    chosen = choose_variants.choose(ROWS, {"K1", "K4"}, wanted=2)
    # V3 is as far away, but its modifications have been chosen before.
    assert [row["variant_id"] for row in chosen] == ["V2", "V5"]


def test_the_committed_list_covers_every_class_once_each() -> None:
    with choose_variants.OUT.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len({row["inchikey"] for row in rows}) == len(rows) == choose_variants.WANTED
    classes = {letter for row in rows for part in row["modifications"].split("|") for letter in part[0]}
    assert classes == set("ABCDE")
