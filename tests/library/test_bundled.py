"""The bundled library: intact, what its sources give, and honest about where it comes from."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spectralid.library import Fitness, Tier, describe, open_library
from spectralid.library.bands import read_bands, sum_of_bands
from spectralid.library.compounds import is_cas, read_compounds
from spectralid.spectrum import Technique

LIBRARIES = Path(__file__).resolve().parents[2] / "libraries"


@pytest.fixture(scope="module")
def library():
    return open_library("spectralid")


def test_it_is_what_its_sources_give():
    done = subprocess.run(
        [sys.executable, str(LIBRARIES / "build.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def copy(tmp_path):
    """The folder of the libraries with everything a build reads."""
    target = tmp_path / "libraries"
    shutil.copytree(LIBRARIES, target, ignore=shutil.ignore_patterns(".*", "__pycache__", "fetch", "*.md"))
    return target


def checked(folder):
    return subprocess.run(
        [sys.executable, str(folder / "build.py"), "--check"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(LIBRARIES.parent)},
    )  # fmt: skip


def test_check_notices_changed_sources(copy):
    table = copy / "bands" / "wasatch_bands.csv"
    head, first, rest = table.read_text(encoding="utf-8").split("\n", 2)
    cells = first.split(",")
    cells[3] = str(float(cells[3]) * 0.9)
    table.write_text("\n".join([head, ",".join(cells), rest]), encoding="utf-8")
    fitness = json.loads((copy / "fitness.json").read_text(encoding="utf-8"))
    fitness["records"][0]["top1"] = [0.99, 0.98, 1.0]
    (copy / "fitness.json").write_text(json.dumps(fitness), encoding="utf-8")
    correction = json.loads((copy / "recipe" / "correction.json").read_text(encoding="utf-8"))
    correction["correction"]["infrared"]["fwhm_cm"] *= 1.2
    (copy / "recipe" / "correction.json").write_text(json.dumps(correction), encoding="utf-8")
    entries = (copy / "computed" / "entries.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (copy / "computed" / "entries.csv").write_text("".join(entries[:-1]), encoding="utf-8")
    done = checked(copy)
    assert done.returncode == 1
    for part in ("is not what its sources give", "literature tier", "fitness", "list of computed", "-ftir-"):
        assert part in done.stderr


def test_every_entry_states_tier_source_and_licence(library):
    facts = describe(library)
    assert facts["tiers"].keys() == {"literature", "computed"}
    assert facts["tiers_by_technique"]["computed"]["raman"] == facts["tiers_by_technique"]["computed"]["ftir"]
    for info in library.references:
        assert info.source
        assert info.licence
        assert info.citation
    fitted = [i for i in library.references if "Wasatch" in i.source and i.source.startswith("bands fitted")]
    for info in fitted:
        assert (info.tier, info.technique) == (Tier.LITERATURE, Technique.RAMAN)
        assert "0e98896" in info.source
        assert 0.9 <= info.quality <= 1
    manifest = json.loads((LIBRARIES / "MANIFEST.json").read_text(encoding="utf-8"))
    assert len(fitted) + sum(": correlation" in line for line in manifest["left_out"]) >= 80
    assert sum(manifest["references_by_tier_and_technique"].values()) == library.n_references


def test_a_published_table_says_what_was_assumed(library):
    for info in library.references:
        if info.tier is not Tier.LITERATURE or info.quality is not None:
            continue
        (step,) = library.reference(info.id).spectrum.history
        assert step.parameters["fwhm_cm1_assumed"] in (12.0, 25.0)
        assert 0 <= step.parameters["heights_stated"] <= step.parameters["bands"]
        # Nothing is said of what the table does not list, and what is left can be compared.
        assert info.range_cm1[1] - info.range_cm1[0] >= 450


def test_every_packed_result_is_a_computed_reference_of_both_techniques(library):
    with (LIBRARIES / "computed" / "entries.csv").open(newline="", encoding="utf-8") as stream:
        packed = {(row["id"], row["form"]): row for row in csv.DictReader(stream)}
    words = {
        "neutral molecule": "neutral",
        "cation": "neutral",
        "anion": "neutral",
        "protonated cation": "protonated",
    }
    for technique in ("raman", "ftir"):
        rows = library.rows(technique, "computed")
        assert {(info.compound_slug, words[info.form]) for info in rows} == packed.keys()
        block = library.matrix(technique, "computed")
        assert np.isfinite(block).all()
        assert (block.max(axis=1) == 1).all()
        assert (block.min(axis=1) >= 0).all()
    for info in library.rows("raman", "computed")[::40]:
        spectrum = library.reference(info.id).spectrum
        (step,) = spectrum.history
        row = packed[info.compound_slug, words[info.form]]
        assert step.parameters["structure"] == row["smiles"]
        assert step.parameters["charge"] == int(row["charge"])
        assert step.parameters["imaginary_modes_left"] == int(row["imaginary"])
        assert info.licence.startswith("Apache-2.0")
    assert all(info.tier is not Tier.COMPUTED for info in (*library.rows("raman"), *library.rows("ftir")))


def test_computed_spectra_have_the_bands_of_their_groups(library):
    # Textbook group frequencies, as far as the method goes (±50 cm⁻¹, triple bonds and phosgene ±80): it is
    # chemistry, not noise.
    for slug, technique, low, high in (
        ("acetone", "ftir", 1665, 1765),
        ("phosgene", "ftir", 1730, 1880),
        ("nitrobenzene", "raman", 1296, 1396),
        ("tnt", "raman", 1306, 1406),
        ("hydrogen-cyanide", "raman", 2040, 2180),
    ):
        (info,) = [i for i in library.rows(technique, "computed") if i.compound_slug == slug]
        spectrum = library.reference(info.id).spectrum
        x, y = spectrum.axis, spectrum.intensity
        inside = (x > low) & (x < high)
        around = (x > low - 150) & (x < high + 150) & ~inside
        assert y[inside].max() > y[around].max(), slug


def test_fitness_and_training_substances_are_on_record(library):
    records = {(f.tier, f.technique, f.group): f for f in library.fitness}
    for technique in ("raman", "infrared"):
        record = records[Tier.COMPUTED, technique, "all"]
        assert record.evaluated == "cross-validated by compound"
        for figure in (record.top1, record.top5, record.top10):
            assert figure[1] <= figure[0] <= figure[2]
        assert record.top1[0] <= record.top5[0] <= record.top10[0]
    stored = json.loads((LIBRARIES / "fitness.json").read_text(encoding="utf-8"))["records"]
    assert [f.to_dict() for f in library.fitness] == [
        Fitness.from_dict(record).to_dict() for record in stored
    ]
    learned = json.loads((LIBRARIES / "recipe" / "correction.json").read_text(encoding="utf-8"))
    assert set(library.training_substances) == set(learned["correction"]["trained_on"])


def test_same_substance_same_compound_and_hydrates_told_apart(library):
    by_slug = {}
    for info in library.references:
        if info.tier is Tier.LITERATURE and info.technique is Technique.RAMAN:
            by_slug.setdefault(info.compound_slug, []).append(info)
    assert {info.form for info in by_slug["citric-acid"]} == {"", "anhydrous", "monohydrate"}
    assert len(by_slug["2-propanol"]) == 2
    assert len(by_slug["2-butanone"]) == 2
    assert [info.form for info in by_slug["thiamine"]] == ["hydrochloride"]


def test_references_are_the_sums_of_their_bands(library):
    bands = read_bands(LIBRARIES / "bands" / "wasatch_bands.csv")
    fitted = [info for info in library.references if "ENLIGHTEN default" in info.source]
    for info in fitted[::13]:
        spectrum = library.reference(info.id).spectrum
        total = sum_of_bands(spectrum.axis, bands[spectrum.name])
        np.testing.assert_allclose(spectrum.intensity, total / total.max(), atol=1e-6)


def test_compounds_table_is_sound():
    compounds = read_compounds(LIBRARIES / "compounds.csv")
    assert len(compounds) >= 70
    for compound in compounds:
        assert compound.verification
        assert not compound.cas or is_cas(compound.cas)
        if compound.verification == "name only":
            assert (compound.cas, compound.inchikey, compound.smiles) == ("", "", "")


def test_strongest_bands_of_well_known_substances(library):
    # Ring breathing and the first-order phonon: textbook positions, independent of the fitted data.
    for slug, position in (
        ("benzene", 992),
        ("toluene", 1003),
        ("silicon", 520),
        ("calcium-carbonate", 1086),
    ):
        info = next(i for i in library.rows("raman") if i.compound_slug == slug)
        spectrum = library.reference(info.id).spectrum
        assert abs(spectrum.axis[np.argmax(spectrum.intensity)] - position) < 3
