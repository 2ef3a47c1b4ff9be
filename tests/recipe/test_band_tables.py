"""The band tables of the literature tier: complete, within their ranges, and tested on spectra of others."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

LIBRARIES = Path(__file__).resolve().parents[2] / "libraries"
BANDS = LIBRARIES / "bands"
QUERIES = LIBRARIES.parent / "benchmarks" / "literature_queries.csv"
# Where each collection lies among the measured spectra.
FOLDERS = {"primpke": {"oceanwise-primpke", "grimblewald-ftir-plastics"}, "nrcan": {"plotftir"}}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("name", ["wasatch", "collection"])
def test_every_fitted_entry_is_a_known_substance_with_bands_where_it_was_measured(name: str) -> None:
    known = {row["slug"] for row in rows(LIBRARIES / "compounds.csv")}
    entries = {row["entry"]: row for row in rows(BANDS / f"{name}_entries.csv")}
    bands: dict[str, list[dict[str, str]]] = {}
    for row in rows(BANDS / f"{name}_bands.csv"):
        bands.setdefault(row["entry"], []).append(row)
    assert set(bands) == set(entries)
    for entry, row in entries.items():
        assert row["slug"] in known, entry
        assert len(bands[entry]) == int(row["n_bands"]), entry
        heights = [float(band["height"]) for band in bands[entry]]
        assert max(heights) == pytest.approx(1), entry
        assert min(heights) > 0, entry
        low, high = float(row["first_cm1"]), float(row["last_cm1"])
        for band in bands[entry]:
            # Half a band may stand at the edge.
            reach = float(band["fwhm_cm1"])
            assert low - reach <= float(band["band_cm1"]) <= high + reach, (entry, band["band_cm1"])


def test_every_entry_of_a_collection_says_whose_it_is_and_on_what_terms() -> None:
    for row in rows(BANDS / "collection_entries.csv"):
        assert row["licence"].startswith(("MIT", "CC BY 4.0")), row["entry"]
        assert row["url"].startswith("https://"), row["entry"]
        assert row["citation"], row["entry"]
        assert row["technique"] in {"raman", "ftir_atr"}, row["entry"]


def test_no_reference_is_tested_with_spectra_of_the_collection_it_was_fitted_to() -> None:
    fitted = {("wasatch-enlighten", row["slug"]) for row in rows(BANDS / "wasatch_substances.csv")}
    for row in rows(BANDS / "collection_substances.csv"):
        folders = FOLDERS.get(row["collection"], {"charisma-ramanchada-native"})
        fitted |= {(folder, row["slug"]) for folder in folders}
    for row in rows(QUERIES):
        assert not {(row["collection"], slug) for slug in row["slug"].split("|")} & fitted, row["file"]


def test_doubtful_and_extended_tables_exist() -> None:
    published = {
        (row["slug"], row["form"], row["technique"])
        for part in ("part_a.csv", "part_b.csv")
        for row in rows(BANDS / "literature" / part)
    }
    for name in ("doubtful.csv", "ranges.csv"):
        for row in rows(BANDS / "literature" / name):
            assert (row["slug"], row["form"], row["technique"]) in published, row
            assert row["reason"]
