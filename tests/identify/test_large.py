"""Libraries whose prepared matrices stay in files: the same answers, and never the whole of it in memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spectralid.errors import LibraryError
from spectralid.identify import Identifier, large
from spectralid.identify.analysis import Analyser
from spectralid.identify.large import MappedMatrix, Masks, MasksInOrder, reference_set
from spectralid.identify.references import ReferenceSet
from spectralid.identify.retrieval import RetrievalIndex
from spectralid.library import Compound, LibraryBuilder, ReferenceLibrary, Tier, open_library
from spectralid.library import prepared as prepared_module
from spectralid.spectrum import FloatArray, Spectrum, Technique
from tests.identify.builders import GRID, raman, substance, with_noise

N = 70
SMALL_BLOCK = 16


def build(path: Path, count: int = N, first: int = 0) -> ReferenceLibrary:
    """References with ragged ranges and a gap here and there; every third compound has two of them."""
    builder = LibraryBuilder("many", created="2026-01-01")
    for i in range(first, first + count):
        values = 1000.0 * substance(GRID, i)
        low, high = (60 * (i % 3), GRID.size - 50 * (i % 4))
        values[300:310] = np.nan if i % 7 == 0 else values[300:310]
        compound = Compound(f"compound-{i - i % 3 // 2}", f"Compound {i - i % 3 // 2}")
        builder.add(raman(values[low:high], GRID[low:high]), compound, tier=Tier.MEASURED, licence="CC0")
    builder.write(path)
    return open_library(path)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes every library of more references than given a large one; until then none is."""
    monkeypatch.setattr(large, "BLOCK_ROWS", SMALL_BLOCK)

    def set_limit(limit: int) -> None:
        monkeypatch.setattr(large, "LARGE", limit)

    return set_limit


def queries() -> FloatArray:
    x = np.stack([with_noise(substance(GRID, i), 0.03, i) for i in (0, 7, 33, 69, 200)])
    x[1, :130] = np.nan
    x[2, 650:] = np.nan
    x[3, 400:421] = np.nan
    return x


def both_indices(folder: Path, small_blocks: Callable[[int], None]) -> tuple[RetrievalIndex, RetrievalIndex]:
    library = build(folder / "many.h5")
    plain = RetrievalIndex.from_library(library, Technique.RAMAN)
    assert isinstance(plain.derivatives, np.ndarray)
    small_blocks(N - 1)
    mapped = RetrievalIndex.from_library(library, Technique.RAMAN)
    assert isinstance(mapped.derivatives, MappedMatrix)
    return plain, mapped


def test_a_mapped_index_answers_like_one_in_memory(
    tmp_path: Path, small_blocks: Callable[[int], None]
) -> None:
    plain, mapped = both_indices(tmp_path, small_blocks)
    x = queries()
    assert mapped.search_many(x, k=12) == plain.search_many(x, k=12)
    np.testing.assert_allclose(mapped.scores(x), plain.scores(x), atol=1e-6)
    np.testing.assert_array_equal(mapped.scores(x, measure="hqi"), plain.scores(x, measure="hqi"))
    one = raman(x[0][np.isfinite(x[0])], GRID[np.isfinite(x[0])])
    assert mapped.search_compounds(one, 4, within=0.2) == plain.search_compounds(one, 4, within=0.2)


def test_many_queries_are_answered_like_one_after_the_other(
    tmp_path: Path, small_blocks: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, mapped = both_indices(tmp_path, small_blocks)
    x = queries()
    one_by_one = [plain.search_many(row[None], k=5)[0] for row in x]
    for at_once in (1, 2 * N, 100 * N):
        monkeypatch.setattr("spectralid.identify.retrieval._SCORES_AT_ONCE", at_once)
        assert mapped.search_many(x, k=5) == one_by_one


def test_searching_and_preparing_hold_blocks_only(
    tmp_path: Path, small_blocks: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 300
    library = build(tmp_path / "many.h5", count)
    small_blocks(0)
    monkeypatch.setattr(large, "BLOCK_ROWS", 4)
    matrix = count * GRID.size * 4
    # Facts of references grow with the library; they are read before what is measured here.
    assert len(library.rows(Technique.RAMAN)) == count
    block = 4 * GRID.size * 8
    tracemalloc.start()
    try:
        index = RetrievalIndex.from_library(library, Technique.RAMAN)
        prepared = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        held = tracemalloc.get_traced_memory()[0]
        index.search_many(queries(), k=3)
        searched = tracemalloc.get_traced_memory()[1] - held
        references = reference_set(library, Technique.RAMAN)
        tracemalloc.reset_peak()
        held = tracemalloc.get_traced_memory()[0]
        references.values @ np.ones((GRID.size, 16), np.float32)
        references.squares @ np.ones(GRID.size, np.float32)
        fitted = tracemalloc.get_traced_memory()[1] - held
    finally:
        tracemalloc.stop()
    # A few float64 copies of one block; energies per reference and block of the grid; scores.
    per_reference = count * (32 * 4 + 5 * 8 * 4)
    # (And what is loaded when first used, which depends on the tests that ran before.)
    assert prepared < 16 * block + 4 * per_reference < matrix
    assert searched < 4 * block + 4 * per_reference < matrix
    assert fitted < 4 * block + count * 16 * 8


def test_what_was_prepared_is_used_again_until_it_does_not_fit(
    tmp_path: Path, small_blocks: Callable[[int], None]
) -> None:
    small_blocks(N - 1)
    library = build(tmp_path / "many.h5")
    expected = RetrievalIndex.from_library(library, Technique.RAMAN).search_many(queries())
    beside = tmp_path / "many.h5.raman-search"
    made = beside.stat().st_mtime_ns, beside.stat().st_ino
    RetrievalIndex.from_library(open_library(library.path), Technique.RAMAN)
    assert (beside.stat().st_mtime_ns, beside.stat().st_ino) == made
    # A damaged value is noticed …
    content = bytearray(beside.read_bytes())
    content[len(content) // 2] ^= 0xFF
    beside.write_bytes(content)
    again = RetrievalIndex.from_library(library, Technique.RAMAN)
    assert again.search_many(queries()) == expected
    assert bytes(content) != beside.read_bytes()
    # … and so is another library under the same name.
    other = build(tmp_path / "many.h5", first=1000)
    hits = (
        RetrievalIndex.from_library(other, Technique.RAMAN).search_many(substance(GRID, 1042)[None])[0].hits
    )
    assert hits[0].reference.compound_slug == "compound-1042"
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


def test_where_nothing_can_be_written_beside_it_a_temporary_file_serves(
    tmp_path: Path, small_blocks: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, _ = both_indices(tmp_path, small_blocks)
    beside = tmp_path / "many.h5.raman-search"
    beside.unlink()
    # A folder in its place stands for a place that cannot be written: permissions do not stop every user.
    beside.mkdir()
    elsewhere = tmp_path / "scratch"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    library = open_library(tmp_path / "many.h5")
    mapped = RetrievalIndex.from_library(library, Technique.RAMAN)
    assert mapped.search_many(queries()) == plain.search_many(queries())
    assert list(elsewhere.iterdir()) == []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(LibraryError, match="no room"):
        RetrievalIndex.from_library(library, Technique.RAMAN)


def test_masks_are_kept_once_and_found_again() -> None:
    rng = np.random.default_rng(1)
    distinct = rng.random((5, 100)) < 0.8
    which = rng.integers(0, 5, 3 * large.BLOCK_ROWS // 2)
    in_order = MasksInOrder()
    of_row = np.concatenate([in_order.add(distinct[which[:900]]), in_order.add(distinct[which[900:]])])
    packed = in_order.packed()
    assert len(packed) == 5
    masks = Masks(packed, of_row, 100)
    known = distinct[which]
    np.testing.assert_array_equal(masks[np.arange(which.size)], known)
    np.testing.assert_array_equal(masks[17], known[17])
    np.testing.assert_array_equal(masks.anywhere(), known.any(axis=0))
    columns = rng.random((100, 3))
    np.testing.assert_allclose(masks @ columns, known @ columns)


def test_references_of_the_joint_fit_are_the_same_mapped(
    tmp_path: Path, small_blocks: Callable[[int], None]
) -> None:
    library = build(tmp_path / "many.h5")
    plain = reference_set(library, Technique.RAMAN)
    assert isinstance(plain.values, np.ndarray)
    small_blocks(N - 1)
    mapped = reference_set(library, Technique.RAMAN)
    assert isinstance(mapped.values, MappedMatrix)
    columns = np.random.default_rng(0).random((GRID.size, 4)).astype(np.float32)
    np.testing.assert_allclose(mapped.values @ columns, plain.values @ columns, rtol=1e-5)
    np.testing.assert_allclose(mapped.squares @ columns[:, 0], plain.squares @ columns[:, 0], rtol=1e-5)
    np.testing.assert_allclose(mapped.known @ columns[:, 0], plain.known @ columns[:, 0], rtol=1e-5)
    for rows in (3, 69, [5, 2, 40]):
        np.testing.assert_array_equal(mapped.values[rows], plain.values[rows])
        np.testing.assert_array_equal(mapped.squares[rows], plain.squares[rows])
        np.testing.assert_array_equal(mapped.known[rows], plain.known[rows])
    np.testing.assert_array_equal(mapped.moved(7, 2.5), plain.moved(7, 2.5))
    assert mapped.rows == plain.rows
    assert mapped.compound.tolist() == plain.compound.tolist()


def test_a_mixture_is_explained_the_same_from_mapped_references(
    tmp_path: Path, small_blocks: Callable[[int], None]
) -> None:
    library = build(tmp_path / "many.h5")
    rng = np.random.default_rng(3)
    mixture = 3000 * substance(GRID, 10) + 2000 * substance(GRID, 45) + 500
    spectrum = raman(rng.normal(mixture, np.sqrt(mixture)))
    plain = Analyser(library, ReferenceSet.from_library(library, Technique.RAMAN))
    expected = plain.analyse(spectrum, original=spectrum)
    small_blocks(N - 1)
    found = Analyser(library, reference_set(library, Technique.RAMAN)).analyse(spectrum, original=spectrum)
    assert [c.compound_slug for c in found.components] == [c.compound_slug for c in expected.components]
    assert {c.compound_slug for c in found.components} == {"compound-10", "compound-45"}
    assert [c.share for c in found.components] == pytest.approx([c.share for c in expected.components])


def test_an_identifier_takes_a_large_library(tmp_path: Path, small_blocks: Callable[[int], None]) -> None:
    library = build(tmp_path / "many.h5")
    spectrum = raman(1000 * with_noise(substance(GRID, 20), 0.02))
    expected = Identifier(library).identify(spectrum)
    small_blocks(N - 1)
    assert Identifier(library).identify(spectrum) == expected
    assert (tmp_path / "many.h5.raman-search").is_file()


def test_infrared_has_a_file_of_its_own(tmp_path: Path, small_blocks: Callable[[int], None]) -> None:
    builder = LibraryBuilder("infrared", created="2026-01-01")
    axis = np.linspace(500.0, 3900.0, 1200)
    for i in range(4):
        spectrum = Spectrum(axis, substance(axis, i), technique="ftir_atr", unit="absorbance")
        builder.add(spectrum, Compound(f"c{i}", f"C{i}"), tier=Tier.MEASURED, licence="CC0")
    builder.write(tmp_path / "infrared.h5")
    small_blocks(3)
    library = open_library(tmp_path / "infrared.h5")
    spectrum = Spectrum(axis, substance(axis, 2), technique="ftir_atr", unit="absorbance")
    assert RetrievalIndex.from_library(library, Technique.FTIR).search(spectrum).hits[0].score > 0.999
    assert (tmp_path / "infrared.h5.infrared-search").is_file()


def test_a_large_block_is_checked_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spectralid.library.store.MAPPED_BYTES", 1000)
    monkeypatch.setattr(prepared_module, "MAPPED_BYTES", 1000)
    library = build(tmp_path / "many.h5", 6)
    matrix = library.matrix(Technique.RAMAN)
    before = matrix.copy()
    library.release()
    np.testing.assert_array_equal(matrix, before)
    content = bytearray(library.path.read_bytes())
    place = content.find(before[4].tobytes())
    content[place + 2000] ^= 0x01
    library.path.write_bytes(content)
    with pytest.raises(LibraryError, match="checksum"):
        open_library(library.path).matrix(Technique.RAMAN)
