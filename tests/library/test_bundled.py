"""The bundled library: intact, what its sources give, and honest about where it comes from."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spectralid.library import Tier, describe, open_library
from spectralid.library.bands import read_bands, sum_of_bands
from spectralid.library.compounds import is_cas, read_compounds

LIBRARIES = Path(__file__).resolve().parents[2] / "libraries"


@pytest.fixture(scope="module")
def library():
    return open_library("spectralid")


def test_it_is_what_its_sources_give():
    done = subprocess.run(
        [sys.executable, str(LIBRARIES / "build.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_check_notices_a_changed_source(tmp_path):
    for name in ("build.py", "compounds.csv", "spectralid.h5", "MANIFEST.json"):
        (tmp_path / "libraries").mkdir(exist_ok=True)
        (tmp_path / "libraries" / name).write_bytes((LIBRARIES / name).read_bytes())
    (tmp_path / "libraries" / "bands").mkdir()
    for name in ("wasatch_bands.csv", "wasatch_entries.csv"):
        text = (LIBRARIES / "bands" / name).read_text(encoding="utf-8")
        if name == "wasatch_bands.csv":
            head, first, rest = text.split("\n", 2)
            cells = first.split(",")
            cells[3] = str(float(cells[3]) * 0.9)
            text = "\n".join([head, ",".join(cells), rest])
        (tmp_path / "libraries" / "bands" / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "libraries" / "build.py"), "--check"],
        capture_output=True, text=True, check=False, env={"PYTHONPATH": str(LIBRARIES.parent)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "is not what its sources give" in done.stderr


def test_every_entry_states_tier_source_licence_and_quality(library):
    facts = describe(library)
    assert facts["tiers"] == {"literature": library.n_references}
    assert list(facts["licences"]) == ["MIT, © 2026 Wasatch Photonics"]
    for info in library.references:
        assert info.tier is Tier.LITERATURE
        assert info.source.startswith(
            "bands fitted by spectralid to Wasatch ENLIGHTEN default_matching_library/"
        )
        assert "0e98896" in info.source
        assert 0.9 <= info.quality <= 1
    manifest = json.loads((LIBRARIES / "MANIFEST.json").read_text(encoding="utf-8"))
    assert manifest["references"] + len(manifest["left_out"]) == 80


def test_same_substance_same_compound_and_hydrates_told_apart(library):
    by_slug = {}
    for info in library.references:
        by_slug.setdefault(info.compound_slug, []).append(info)
    assert {info.form for info in by_slug["citric-acid"]} == {"", "anhydrous", "monohydrate"}
    assert len(by_slug["2-propanol"]) == 2
    assert len(by_slug["2-butanone"]) == 2
    assert [info.form for info in by_slug["thiamine"]] == ["hydrochloride"]


def test_references_are_the_sums_of_their_bands(library):
    bands = read_bands(LIBRARIES / "bands" / "wasatch_bands.csv")
    for info in library.references[::13]:
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
        (info,) = [i for i in library.references if i.compound_slug == slug]
        spectrum = library.reference(info.id).spectrum
        assert abs(spectrum.axis[np.argmax(spectrum.intensity)] - position) < 3
