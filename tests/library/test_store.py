"""The library file: what goes in comes out, memory-mapped, lazily, and the same bytes every time."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectralid import LibraryBuilder, Spectrum, open_library
from spectralid.errors import LibraryError, ParameterError, TechniqueError
from spectralid.library import Compound, ReferenceLibrary, Tier
from spectralid.library.schema import common_grid
from spectralid.preprocess.resample import resample
from spectralid.spectrum import Acquisition, Technique
from tests.library.builders import band_spectrum, build_small, compound, full_facts, small_library


def test_common_grids_are_those_of_the_contract():
    raman, infrared = common_grid("raman"), common_grid("infrared")
    assert (raman[0], raman[-1], raman.size) == (150.0, 3219.0, 1024)
    assert (infrared[0], infrared[-1], infrared.size) == (400.0, 3980.5, 1024)


def test_what_goes_in_comes_out(tmp_path):
    library = small_library(tmp_path)
    assert (library.name, library.version, library.n_references) == ("small", "3", 6)
    assert library.techniques == (Technique.RAMAN, Technique.FTIR_ATR)
    assert library.compounds == tuple(compound(i) for i in range(4))
    first = library.reference(library.rows("raman")[0].id)
    original = full_facts(500.0)
    assert first.spectrum == original
    for fact in ("acquisition", "history", "name", "source", "unit", "technique"):
        assert getattr(first.spectrum, fact) == getattr(original, fact)
    (info,) = library.rows("raman", Tier.COMPUTED)
    assert (info.tier, info.source, info.licence) == (Tier.COMPUTED, "source 2", "CC0-1.0")
    assert (info.url, info.citation, info.quality) == ("https://example.org", "A citation.", 0.5)
    assert info.range_cm1 == band_spectrum(700.0).range
    assert library.rows("raman")[1].form == "monohydrate"
    assert "monohydrate" in library.rows("raman")[1].id
    assert (first.info.laser_nm, first.info.resolution_cm1, first.info.n_points) == (785.0, 8.0, 501)


finite = st.floats(allow_nan=False, allow_infinity=False, width=64)


@st.composite
def spectra(draw):
    count = draw(st.integers(2, 40))
    axis = draw(hnp.arrays(np.float64, count, elements=st.floats(151, 3200), unique=True).map(np.sort))
    moderate = st.floats(-1e30, 1e30) | st.just(np.nan) | st.floats(-1e3, 1e3, width=32)
    intensity = draw(hnp.arrays(np.float64, count, elements=moderate))
    # A stretch of measured points somewhere on the grid, else there is nothing to compare with.
    intensity = np.where(np.isnan(intensity).sum() > count - 2, 1.0, intensity)
    sd = draw(st.none() | hnp.arrays(np.float64, count, elements=st.floats(0, 1e6)))
    return Spectrum(axis, intensity, technique="raman", sd=sd, name=draw(st.text(max_size=8)))


@given(spectrum=spectra())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_native_spectra_are_recovered_exactly(spectrum, tmp_path):
    builder = LibraryBuilder("h")
    try:
        id = builder.add(spectrum, Compound("a", "A"), tier="measured")
    except ParameterError:
        # Too few points side by side to reach a point of the grid.
        reject()
    builder.write(tmp_path / "h.h5")
    back = ReferenceLibrary(tmp_path / "h.h5").reference(id).spectrum
    assert back.sha256 == spectrum.sha256
    assert back.axis.tobytes() == spectrum.axis.tobytes()
    np.testing.assert_array_equal(back.intensity, spectrum.intensity)
    assert back.name == spectrum.name


def test_matrix_is_the_resampled_spectrum_and_nan_outside_its_range(tmp_path):
    library = small_library(tmp_path)
    grid, matrix = library.grid("raman"), library.matrix("raman")
    assert matrix.shape == (3, 1024)
    assert matrix.dtype == np.float32
    native = band_spectrum(600.0)
    expected = resample(native.axis, native.intensity[np.newaxis], grid)[0]
    np.testing.assert_array_equal(matrix[1], expected.astype(np.float32))
    low, high = native.range
    assert np.isnan(matrix[1][(grid < low) | (grid > high)]).all()
    assert np.isfinite(matrix[1][(grid > low + 3) & (grid < high - 3)]).all()


def test_infrared_rows_are_absorbance_and_serve_every_infrared_technique(tmp_path):
    library = small_library(tmp_path)
    matrix = library.matrix("ftir_atr")
    assert matrix.shape == (2, 1024)
    # Transmittance 1.1 at the band, 0.1 beside it.
    np.testing.assert_allclose(np.nanmin(matrix[0]), -np.log10(1.1), atol=0.01)
    np.testing.assert_allclose(np.nanmax(matrix[0]), 1.0, atol=1e-3)
    for technique in (Technique.FTIR, Technique.FTIR_TRANSMISSION):
        np.testing.assert_array_equal(library.matrix(technique), matrix)
        assert library.rows(technique) == library.rows("ftir_atr")
    with pytest.raises(TechniqueError, match="not known"):
        library.matrix("unknown")


def test_a_technique_without_references_is_a_library_error(tmp_path):
    library = small_library(tmp_path, infrared=0)
    assert library.techniques == (Technique.RAMAN,)
    for ask in (library.grid, library.matrix, library.rows):
        with pytest.raises(LibraryError, match="no infrared references"):
            ask("ftir_atr")


def test_matrix_is_memory_mapped_read_only_and_what_h5py_reads(tmp_path):
    library = small_library(tmp_path)
    matrix = library.matrix("raman")
    with h5py.File(library.path) as file:
        dataset = file["/grids/raman/matrix"]
        np.testing.assert_array_equal(matrix, dataset[:])
        place = dataset.id.get_offset()
        mapped = np.memmap(library.path, "<f4", "r", place, dataset.shape)
    np.testing.assert_array_equal(matrix, mapped)
    assert matrix.flags.aligned
    assert matrix.flags.c_contiguous
    assert not matrix.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 1.0
    # Writable at all only by writing the file.
    assert np.shares_memory(matrix, library.matrix("raman"))


def test_opening_reads_neither_matrices_nor_spectra_nor_metadata(tmp_path, monkeypatch):
    build_small(tmp_path / "small.h5")
    touched = []
    raw = ReferenceLibrary.raw
    monkeypatch.setattr(ReferenceLibrary, "raw", lambda self, name: touched.append(name) or raw(self, name))
    library = open_library(tmp_path / "small.h5")
    assert touched == ["/manifest"]
    assert library.rows("raman")
    assert not any("matrix" in name or "native" in name or "compounds" in name for name in touched)


def test_same_inputs_same_bytes_and_nothing_left_behind(tmp_path):
    first = build_small(tmp_path / "a.h5")
    code = "from tests.library.builders import build_small; import sys; print(build_small(sys.argv[1]))"
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": os.pathsep.join(sys.path)}
    second = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "b.h5")],
        capture_output=True, text=True, check=True, env=environment,
    ).stdout.strip()  # fmt: skip
    assert first == second
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert build_small(tmp_path / "b.h5", created="2026-01-02") != first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5", "b.h5"]


def test_a_failed_write_keeps_the_old_library(tmp_path, monkeypatch):
    identity = build_small(tmp_path / "a.h5")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(LibraryError, match=r"cannot be written .*No space left"):
        build_small(tmp_path / "a.h5", raman=1)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]
    assert open_library(tmp_path / "a.h5").sha256 == identity


def test_writing_into_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(LibraryError, match="cannot be written"):
        build_small(tmp_path / "absent" / "a.h5")


def test_pickles_by_path_and_notices_another_library_there(tmp_path):
    library = small_library(tmp_path)
    data = pickle.dumps(library)
    assert len(data) < 1000
    copy = pickle.loads(data)
    assert copy.references == library.references
    build_small(library.path, raman=2)
    with pytest.raises(LibraryError, match="replaced"):
        pickle.loads(data)


def test_reading_from_many_threads_gives_what_one_thread_reads(tmp_path):
    library = small_library(tmp_path, raman=12)
    expected = {info.id: info.spectrum_sha256 for info in open_library(library.path).references}
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda id: (id, library.reference(id).spectrum.sha256), list(expected) * 8))
    assert len(found) == 8 * len(expected)
    assert dict(found) == expected
    assert all(expected[id] == sha256 for id, sha256 in found)


def test_context_manager_lets_go_and_arrays_stay_valid(tmp_path):
    with small_library(tmp_path) as library:
        matrix = library.matrix("raman")
        copy = np.array(matrix)
    with pytest.raises(LibraryError, match="closed"):
        library.matrix("raman")
    np.testing.assert_array_equal(matrix, copy)


def test_unknown_names_are_library_errors(tmp_path):
    library = small_library(tmp_path)
    with pytest.raises(LibraryError, match="no compound 'x'"):
        library.compound("x")
    with pytest.raises(LibraryError, match="no reference 'x'"):
        library.reference("x")
    with pytest.raises(LibraryError, match="no library file"):
        open_library(tmp_path / "absent.h5")
    with pytest.raises(LibraryError, match="no bundled library"):
        open_library("absent")


class TestBuilder:
    def test_the_same_spectrum_of_a_compound_twice(self):
        builder = LibraryBuilder("b")
        id = builder.add(band_spectrum(500), compound(1), tier="measured")
        with pytest.raises(ParameterError, match=f"it is there as '{id}'"):
            builder.add(band_spectrum(500), "compound-1", tier="measured")
        assert len(builder) == 1

    def test_slug_of_two_compounds(self):
        builder = LibraryBuilder("b")
        builder.add_compound(compound(1))
        builder.add_compound(compound(1))
        with pytest.raises(ParameterError, match="already has this one"):
            builder.add_compound(Compound("compound-1", "Another"))

    @pytest.mark.parametrize("slug", ["", "A", "a b", "-a", "a--b", "é", "a/b"])
    def test_malformed_slug(self, slug):
        with pytest.raises(ParameterError, match="slug must be"):
            LibraryBuilder("b").add_compound(Compound(slug, "A"))

    def test_unknown_compound_tier_and_technique(self):
        builder = LibraryBuilder("b")
        with pytest.raises(ParameterError, match="one added before"):
            builder.add(band_spectrum(500), "absent", tier="measured")
        with pytest.raises(TechniqueError, match="say Raman or infrared"):
            builder.add(band_spectrum(500, technique="unknown"), compound(1), tier="measured")
        with pytest.raises(ParameterError, match="tier must be one of measured, literature, computed"):
            builder.add(band_spectrum(500), compound(1), tier="guessed")
        with pytest.raises(LibraryError, match="no reference yet"):
            builder.write("never.h5")

    def test_a_spectrum_off_the_grid(self):
        near_infrared = Spectrum(np.linspace(4100.0, 9000.0, 50), np.ones(50), technique="ftir_atr")
        with pytest.raises(ParameterError, match="within the common grid, 400 to 3980"):
            LibraryBuilder("b").add(near_infrared, compound(1), tier="measured")

    @pytest.mark.parametrize(
        "facts", [{"acquisition": Acquisition(laser_nm=float("nan"))}, {"source": "\udcff.csv"}]
    )
    def test_facts_that_cannot_be_stored_are_refused_at_once(self, facts):
        builder = LibraryBuilder("b")
        with pytest.raises(ParameterError, match="finite numbers and text that is Unicode"):
            builder.add(band_spectrum(500, **facts), compound(1), tier="measured")
        assert len(builder) == 0

    def test_intensities_beyond_float32(self):
        spectrum = band_spectrum(500)
        huge = spectrum.replace(intensity=spectrum.intensity * 1e100)
        with pytest.raises(ParameterError, match="finite on some part of the common grid"):
            LibraryBuilder("b").add(huge, compound(1), tier="measured")

    def test_an_infrared_ordinate_that_has_no_absorbance(self):
        single_beam = band_spectrum(900, technique="ftir_atr", unit="single_beam")
        with pytest.raises(ParameterError, match="unit must be absorbance"):
            LibraryBuilder("b").add(single_beam, compound(1), tier="measured")


def test_references_of_one_source_share_its_words(tmp_path):
    build_small(tmp_path / "small.h5")
    references = open_library(tmp_path / "small.h5").references
    assert len({id(info.citation) for info in references if info.citation}) == 1
    assert len({info.citation for info in references}) > 1
