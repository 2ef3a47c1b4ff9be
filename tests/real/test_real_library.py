"""Libraries from real files."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from spectralid import open_library, read
from spectralid.library import export_library, import_folder, verify_library
from spectralid.library.importing import Outcome
from spectralid.preprocess.resample import resample

LIBRARIES = Path(__file__).resolve().parents[2] / "libraries"


@pytest.fixture(scope="module")
def wasatch(shared_data):
    return shared_data / "wasatch-enlighten" / "default_matching_library"


@pytest.fixture(scope="module")
def imported(wasatch, tmp_path_factory):
    path = tmp_path_factory.mktemp("wasatch") / "wasatch.h5"
    return import_folder(wasatch, path, licence="MIT"), path


def test_every_wasatch_file_is_imported(imported, wasatch):
    report, path = imported
    assert len(report.entries) == 80
    assert not report.with_outcome(Outcome.UNREADABLE)
    assert not report.with_outcome(Outcome.DUPLICATE)
    library = open_library(path)
    assert library.n_references == 80
    assert verify_library(path) == ()
    assert library.matrix("raman").shape == (80, 1024)
    # Matched to the table by name where the name says enough.
    slug = {entry.file: entry.compound_slug for entry in report.entries}
    assert slug["Methyl Ethyl Ketone.csv"] == slug["2-Butanone.csv"] == "2-butanone"
    assert slug["isopropanol.csv"] == slug["2-Propanol.csv"] == "2-propanol"
    assert slug["Citric Acid Monohydrate.csv"] == "citric-acid"
    matched = report.with_outcome(Outcome.IMPORTED)
    assert len(matched) >= 70


def test_imported_spectra_are_those_of_the_files(imported, wasatch):
    report, path = imported
    library = open_library(path)
    rows = library.rows("raman")
    for entry in report.entries[::9]:
        original = read(wasatch / entry.file)
        assert library.reference(entry.reference_id).spectrum == original
        row = [info.id for info in rows].index(entry.reference_id)
        expected = resample(original.axis, original.intensity[np.newaxis], library.grid("raman"))[0]
        np.testing.assert_array_equal(library.matrix("raman")[row], expected.astype(np.float32))


@pytest.mark.parametrize("format", ["jcamp-dx", "text"])
def test_export_of_real_spectra_comes_back_unchanged(imported, tmp_path, format):
    library = open_library(imported[1])
    export_library(library, tmp_path / "out", format)
    report = import_folder(tmp_path / "out", tmp_path / "again.h5")
    assert len(report.with_outcome(Outcome.IMPORTED)) == 80
    again = {info.id: info.spectrum_sha256 for info in open_library(tmp_path / "again.h5").references}
    assert again == {info.id: info.spectrum_sha256 for info in library.references}


def test_bundled_bands_are_those_of_the_measured_spectra(wasatch, capsys):
    spec = importlib.util.spec_from_file_location("fit_bands", LIBRARIES / "bands" / "fit_bands.py")
    fit_bands = importlib.util.module_from_spec(spec)
    sys.modules["fit_bands"] = fit_bands
    spec.loader.exec_module(fit_bands)
    assert fit_bands.check(wasatch, 3) == 0, capsys.readouterr().out
    # Every entry, not only the three that are fitted again, stands for its measurement as it says.
    library = open_library("spectralid")
    fitted = [info for info in library.references if "Wasatch ENLIGHTEN default" in info.source]
    assert len(fitted) >= 80
    for info in fitted:
        reference = library.reference(info.id).spectrum
        measured = read(wasatch / f"{reference.name}.csv")
        offset = reference.history[0].parameters["axis_offset_cm1"]
        on_axis = np.interp(reference.axis + offset, measured.axis, measured.intensity)
        assert fit_bands.derivative_correlation(reference.intensity, on_axis) > info.quality - 0.02


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("acetaminophen", (465.1, 651.6, 797.2, 857.9, 1168.5, 1236.8, 1323.9, 1371.5, 1561.6, 1648.4)),
        ("cyclohexane", (384.1, 426.3, 801.3, 1028.3, 1157.6, 1266.4, 1444.4)),
    ],
)
def test_bundled_positions_against_other_standards_of_the_same_practice(name, stated):
    # ASTM E1840 states positions of these too; only polystyrene was used to correct the axis.
    from spectralid.library.bands import read_bands

    bands = read_bands(LIBRARIES / "bands" / "wasatch_bands.csv")[name]
    differences = [min((b.position - s for b in bands), key=abs) for s in stated]
    assert abs(np.median(differences)) < 1.0
    assert np.max(np.abs(differences)) < 4.0
