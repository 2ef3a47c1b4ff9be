"""The check of the compound table: the table passes, and each kind of damage is found in its line."""

from __future__ import annotations

import csv
import importlib.util
import io
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from spectralid.library import Compound
from spectralid.verdict.hazards import Alarm, alarm_of

pytest.importorskip("rdkit", reason="RDKit is not installed (extra 'chem')")

LIBRARIES = Path(__file__).resolve().parents[2] / "libraries"
TABLE = LIBRARIES / "compounds.csv"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_compounds", LIBRARIES / "check_compounds.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def written(rows):
    text = io.StringIO()
    table = csv.DictWriter(text, rows[0], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


@pytest.fixture(scope="module")
def few():
    """Rows that hold every kind of thing the check looks at."""
    wanted = {"fentanyl", "carfentanil", "cocaine", "lindane", "kaolinite", "poly-ethylene-terephthalate",
              "potassium-chlorate", "4-anpp", "water"}  # fmt: skip
    rows = [row for row in rows_of(TABLE) if row["slug"] in wanted]
    assert {row["slug"] for row in rows} == wanted
    return rows


@pytest.fixture
def small(script, few, tmp_path, monkeypatch):
    """Writes the few rows, changed, and gives the failures; names of structures are those of the few rows."""
    shutil.copy(LIBRARIES / "structure_names.csv", tmp_path / "structure_names.csv")
    names = [row for row in rows_of(tmp_path / "structure_names.csv") if row["slug"] == "cocaine"]
    (tmp_path / "structure_names.csv").write_text(written(names), encoding="utf-8")
    monkeypatch.setattr(script, "NAMES", tmp_path / "structure_names.csv")

    def failures(slug="", **cells):
        rows = [row | cells if row["slug"] == slug else row for row in few]
        path = tmp_path / "table.csv"
        path.write_text(written(rows), encoding="utf-8")
        return script.check(path)[1]

    return failures


def test_the_table_passes(script, capsys):
    assert script.main([str(TABLE)]) == 0
    out = capsys.readouterr().out
    assert f"{len(rows_of(TABLE)):6d}  rows" in out
    assert "\n0 failures" in out


def test_few_unchanged_rows_pass(small):
    assert small() == []


@pytest.mark.parametrize(
    ("slug", "cells", "words"),
    [
        ("cocaine", {"name": ""}, "name is empty"),
        ("cocaine", {"cas": "50-36-3"}, "check digit"),
        ("cocaine", {"cas": ""}, "does not go with the CAS number"),
        ("cocaine", {"cas_status": "surely"}, "CAS status 'surely'"),
        ("fentanyl", {"cas": "50-36-2"}, "cas 50-36-2 was in line"),
        ("cocaine", {"inchikey": "ZPUCINDJVBIVPJ-LJISPDSOSA-M"}, "the structure says"),
        ("cocaine", {"inchikey": "ZPUCINDJVBIVPJ"}, "is not a standard one"),
        ("cocaine", {"formula": "C17H21NO5"}, "the structure says 'C17H21NO4'"),
        ("cocaine", {"smiles": "COC(=O)C1C(OC(=O)c2ccccc2)CC2CCC1N2C"}, "inchikey is"),
        ("cocaine", {"smiles": "c1ccccc1("}, "is no structure"),
        ("water", {"smiles": "[H]O[H]"}, "smiles is '[H]O[H]', the structure says 'O'"),
        ("cocaine", {"smiles": ""}, "without a structure"),
        ("cocaine", {"structure_origin": "source:DrugCentral"}, "may not be here"),
        ("cocaine", {"structure_origin": "source:MassBank:Eawag"}, "may not be here"),
        ("cocaine", {"structure_origin": ""}, "may not be here"),
        ("cocaine", {"structure_origin": "curated"}, "structure_names.csv disagree"),
        ("water", {"structure_origin": "OPSIN(structure_names.csv)"}, "structure_names.csv disagree"),
        ("cocaine", {"category": "stimulant"}, "category 'stimulant'"),
        ("cocaine", {"schedule": "VI"}, "schedule 'VI'"),
        ("cocaine", {"hazards": "controlled|dangerous"}, "hazards"),
        ("cocaine", {"hazards": "controlled|none"}, "hazards"),
        ("cocaine", {"hazards": "controlled|controlled"}, "hazards"),
        ("cocaine", {"hazards": ""}, "hazards"),
        ("cocaine", {"salt_forms": "hydrochloride;free base"}, "salt_forms"),
        ("cocaine", {"salt_forms": "hydrochloride|"}, "salt_forms"),
        ("cocaine", {"synonyms": "A|A"}, "synonyms"),
        ("cocaine", {"verification": "sure"}, "verification 'sure'"),
        ("carfentanil", {"fentanyl_related": "no"}, "fentanyl_related is 'no', the structure says 'yes'"),
        ("carfentanil", {"frs_modifications": "B"}, "frs_modifications is 'B', the structure says 'C'"),
        ("4-anpp", {"fentanyl_related": "yes"}, "the structure says 'no'"),
        ("kaolinite", {"fentanyl_related": "yes"}, "fentanyl class without a structure"),
        ("poly-ethylene-terephthalate", {"repeat_unit": "*OCC("}, "repeat unit is no structure"),
        ("poly-ethylene-terephthalate", {"repeat_unit": "OCCO"}, "no open end"),
    ],
)
def test_damage_is_found_in_its_line(small, few, slug, cells, words):
    failures = small(slug, **cells)
    line = [row["slug"] for row in few].index(slug) + 2
    assert any(found == slug and at == line and words in what for at, found, what in failures), failures


def test_order_doubles_and_bytes_are_looked_at(script, few, tmp_path, monkeypatch, small):
    path = tmp_path / "table.csv"
    path.write_text(written([*few[1:], few[0]]), encoding="utf-8")
    assert any("not sorted" in what for _, _, what in script.check(path)[1])
    path.write_text(written([few[0], *few]), encoding="utf-8")
    assert any("was in line 2 already" in what for _, _, what in script.check(path)[1])
    path.write_bytes(written(few).replace("\n", "\r\n").encode())
    assert any("plain line ends" in what for _, _, what in script.check(path)[1])
    monkeypatch.setattr(script, "LARGEST_BYTES", 100)
    path.write_text(written(few), encoding="utf-8")
    assert any("fewer than 100" in what for _, _, what in script.check(path)[1])


def test_a_wrong_column_is_one_sentence(script, few, tmp_path, capsys):
    path = tmp_path / "table.csv"
    path.write_text(written([{**row, "smell": "bad"} for row in few]), encoding="utf-8")
    assert script.main([str(path)]) == 1
    assert "the column 'smell' is unknown" in capsys.readouterr().err


def test_failures_are_printed_and_make_the_exit_code(script, few, tmp_path, capsys):
    path = tmp_path / "table.csv"
    path.write_text(written([{**row, "schedule": "VI"} for row in few]), encoding="utf-8")
    assert script.main([str(path)]) == 1
    assert "table.csv, line 2: 4-anpp: schedule 'VI' is unknown" in capsys.readouterr().out


def test_every_category_is_used_and_described(script):
    categories = rows_of(LIBRARIES / "categories.csv")
    assert [row["category"] for row in categories] == sorted({row["category"] for row in categories})
    assert all(len(row["description"]) > 3 for row in categories)
    used = {row["category"] for row in rows_of(TABLE) if row["verification"] != script.NAME_ONLY}
    assert used <= {row["category"] for row in categories}


def test_the_verdict_knows_every_hazard_word(script):
    for word in script.HAZARDS:
        assert alarm_of(Compound("x", "X", hazards=(word,))) is not Alarm.UNKNOWN, word


def test_structures_are_made_again_from_their_names(script):
    pytest.importorskip("py2opsin", reason="py2opsin is not installed")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    rows = list(script.read_rows(TABLE, required=script.COLUMNS, optional=()))
    names = {row["slug"]: row["name"] for row in rows_of(LIBRARIES / "structure_names.csv")}
    some = {slug: names[slug] for slug in sorted(names)[::25]}
    assert len(some) > 20
    assert list(script.name_faults(rows, some)) == []
    wrong = dict.fromkeys(some, "benzene")
    assert {slug for _, slug, _ in script.name_faults(rows, wrong)} == set(some)
