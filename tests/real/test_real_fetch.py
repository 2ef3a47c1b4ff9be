"""Recipes on real files of the collections they fetch, as far as such files are here."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from spectralid import read
from spectralid.library import load_recipe, open_library
from spectralid.library.fetch import fetch_library
from spectralid.library.importing import Outcome
from spectralid.library.openspecy import read_openspecy


def test_open_specy_files_of_r_hold_what_their_text_form_holds(shared_data):
    folder = shared_data / "openspecy" / "inst" / "extdata"
    (spectrum,) = read_openspecy(folder / "raman_hdpe.rds")
    text = read(folder / "raman_hdpe.csv", technique="raman")
    np.testing.assert_allclose(spectrum.axis, text.axis, rtol=0, atol=1e-9)
    np.testing.assert_allclose(spectrum.intensity, text.intensity, rtol=1e-12)
    assert (spectrum.name, spectrum.technique.value) == ("HDPE", "raman")
    # save() instead of saveRDS(), a matrix instead of a table.
    (saved,) = read_openspecy(shared_data / "openspecy" / "data" / "raman_hdpe.RData")
    assert saved == spectrum


def test_open_specy_test_library(shared_data):
    spectra = read_openspecy(shared_data / "openspecy" / "data" / "test_lib.RData")
    # Its documentation: 29 FTIR and 28 Raman spectra.
    assert len(spectra) == 57
    assert sum(s.technique.value == "raman" for s in spectra) == 28
    assert all(s.axis[0] >= 100 and np.isfinite(s.intensity).all() for s in spectra)


def fetched(recipe, file, tmp_path):
    """What the recipe makes of a file put into its folder by hand."""
    (tmp_path / "cache").mkdir()
    file.rename(tmp_path / "cache" / recipe.files[0].name)
    return fetch_library(recipe, tmp_path / "out.h5", accept_licence=True, folder=tmp_path / "cache")


def test_open_specy_recipe_on_its_test_library(shared_data, tmp_path):
    copy = tmp_path / "copy"
    copy.write_bytes((shared_data / "openspecy" / "data" / "test_lib.RData").read_bytes())
    report = fetched(load_recipe("openspecy"), copy, tmp_path).imported
    assert not report.with_outcome(Outcome.UNREADABLE)
    library = open_library(tmp_path / "out.h5")
    assert library.n_references == 57
    assert "barrerite" in {c.slug for c in library.compounds}


def test_rruff_infrared_recipe_on_real_files(shared_data, tmp_path):
    files = sorted((shared_data / "rruff-ir").glob("*.txt"))[:60]
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.name)
    report = fetched(load_recipe("rruff-infrared"), tmp_path / "x.zip", tmp_path).imported
    assert len(report.entries) == 60
    assert not report.with_outcome(Outcome.UNREADABLE)
    names = {c.name for c in open_library(tmp_path / "out.h5").compounds}
    assert {"Actinolite", "Adamite"} <= names
    assert not any("__" in name for name in names)


@pytest.mark.parametrize("name", ["swgdrug-infrared", "enfsi-infrared"])
def test_jcamp_recipes_on_real_infrared_jcamp_files(shared_data, tmp_path, name):
    files = sorted((shared_data / "stackir-jcamp").rglob("*.[jJdD]*[xX]"))[:20]
    assert files
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.relative_to(shared_data).as_posix())
    report = fetched(load_recipe(name), tmp_path / "x.zip", tmp_path).imported
    assert report.library
    assert len(report.with_outcome(Outcome.UNREADABLE)) <= len(files) // 5
