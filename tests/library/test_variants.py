"""The optional library of fentanyl variants: intact, honest about what it covers, mergeable, leads only."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from spectralid.cli import main
from spectralid.identify import Identifier
from spectralid.library import Tier, merge_libraries, open_library

LIBRARIES = Path(__file__).resolve().parents[2] / "libraries"
ENUMERATED = 3014


@pytest.fixture(scope="module")
def library():
    return open_library("fentanyl-variants")


def rows(name):
    with (LIBRARIES / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_it_is_what_its_sources_give():
    done = subprocess.run(
        [sys.executable, str(LIBRARIES / "build_variants.py"), "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_it_lists_every_variant_once_and_says_how_many_it_covers(library, capsys):
    assert len(library.compounds) == ENUMERATED
    assert len({c.inchikey for c in library.compounds}) == ENUMERATED
    assert {c.fentanyl_related for c in library.compounds} == {"yes"}
    assert all("ultra-potent-opioid" in c.hazards for c in library.compounds)
    assert {info.tier for info in library.references} == {Tier.COMPUTED}
    # Its figures were not measured among relatives.
    assert library.fitness == ()
    covered = len({info.compound_slug for info in library.references})
    stated = json.loads((LIBRARIES / "fentanyl-variants.json").read_text(encoding="utf-8"))
    assert (stated["variants"], stated["variants_with_reference"]) == (ENUMERATED, covered)
    assert main(["library", "info", "fentanyl-variants"]) == 0
    assert f"references of {covered} of {ENUMERATED} compounds" in capsys.readouterr().out


def test_what_compounds_csv_holds_stands_there_alone(library):
    bundled = open_library("spectralid")
    known = rows("variants_known.csv")
    new = rows("variants.csv")
    assert len(known) + len(new) == ENUMERATED
    assert not {row["inchikey"] for row in new} & {c.inchikey for c in bundled.compounds if c.inchikey}
    for row in known:
        assert library.compound(row["slug"]) == bundled.compound(row["slug"])
    assert {info.id for info in library.references} & {info.id for info in bundled.references}


def test_structures_are_checked_like_those_of_compounds_csv():
    pytest.importorskip("rdkit", reason="rdkit reads the structures")
    sys.path.insert(0, str(LIBRARIES))
    import check_compounds

    table = rows("variants.csv")
    for row in table[::40]:
        faults = [*check_compounds.identifier_faults(row), *check_compounds.structure_faults(row, {})]
        assert faults == [], row["slug"]
        assert not list(check_compounds.vocabulary_faults(row, frozenset({"opioid/fentanyl-analogue"})))


def test_a_wrong_row_of_the_source_stops_the_listing(monkeypatch):
    pytest.importorskip("rdkit", reason="rdkit reads the structures")
    monkeypatch.syspath_prepend(str(LIBRARIES / "recipe"))
    import list_variants

    row = {
        "variant_id": "FRSV-9", "smiles": "CCC(=O)N(c1ccc(F)cc1)C1CCN(CCc2ccccc2)CC1",
        "inchikey": "KXUBAVLIJFTASZ-UHFFFAOYSA-N", "formula": "C22H27FN2O", "modifications": "D",
        "phenethyl_site": "", "piperidine_site": "", "aniline_site": "D:para-fluoro", "acyl_site": "",
        "origin": "grid-1-site", "known_name": "", "known_basis": "",
    }  # fmt: skip
    made = list_variants.compound_row(row)
    assert made["name"] == "Fentanyl variant FRSV-9 (D: para-fluoro)"
    assert (made["slug"], made["frs_modifications"], made["verification"]) == ("frsv-9", "D", "unverified")
    for wrong in ({"formula": "C22H28FN2O"}, {"modifications": "D+E"}, {"smiles": "CCO"}):
        with pytest.raises(ValueError, match="FRSV-9"):
            list_variants.compound_row(row | wrong)
    new, old = list_variants.divided([row], [{"inchikey": row["inchikey"], "slug": "para-fluorofentanyl"}])
    assert (new, old) == ([], [{"variant": "frsv-9", "slug": "para-fluorofentanyl"}])


def test_merged_with_the_bundled_library_shared_references_are_kept_once(library, tmp_path):
    bundled = open_library("spectralid")
    merge_libraries([bundled, library], tmp_path / "both.h5")
    both = open_library(tmp_path / "both.h5")
    shared = {i.id for i in library.references} & {i.id for i in bundled.references}
    assert both.n_references == bundled.n_references + library.n_references - len(shared)
    assert both.fitness == bundled.fitness


def test_it_gives_leads_and_names_nothing(library):
    info = next(i for i in library.references if i.technique.value == "raman")
    found = Identifier(library).identify(library.reference(info.id).spectrum, leads=True)
    assert found.candidates == ()
    assert found.leads[0].compound_slug == info.compound_slug
