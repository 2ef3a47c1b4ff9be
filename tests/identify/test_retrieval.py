from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.errors import ParameterError, TechniqueError
from spectralid.identify.retrieval import MINIMUM_OVERLAP, MINIMUM_SHARE, RetrievalIndex
from spectralid.identify.similarity import derivative_cosine, first_derivative, hit_quality_index
from spectralid.library import Compound, Tier
from spectralid.spectrum import Spectrum, Technique
from tests.identify.builders import GRID, arrays, bands, info, library, raman, substance, with_noise

N = 40


def library_values() -> np.ndarray:
    """References with the ragged ranges of a library from several instruments, one with a gap."""
    values = np.stack([1000.0 * substance(GRID, i) for i in range(N)])
    values[5, :100] = np.nan
    values[6, 700:] = np.nan
    values[7, 300:340] = np.nan
    values[8, ::101] = np.nan
    values[9] = 3.0
    return values


@pytest.fixture(scope="module")
def index() -> RetrievalIndex:
    return RetrievalIndex.from_library(arrays(library_values()), Technique.RAMAN)


def brute_force(query: np.ndarray, reference: np.ndarray, window: int) -> float:
    """The score by its definition, pair by pair and with plain sums; NaN where not comparable."""
    q, r = first_derivative(query, window), first_derivative(reference, window)
    both = np.isfinite(q) & np.isfinite(r)
    total = float(np.nansum(r**2))
    if (
        total == 0
        or both.sum() * 3.0 < MINIMUM_OVERLAP
        or float((r[both] ** 2).sum()) / total < MINIMUM_SHARE
    ):
        return np.nan
    norm = np.sqrt((q[both] ** 2).sum() * (r[both] ** 2).sum())
    return float((q[both] * r[both]).sum() / norm) if norm > 0 else np.nan


def queries_with_gaps(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = np.stack([with_noise(substance(GRID, int(i)), 0.02, seed) for i in rng.integers(0, N, 6)])
    x[1, : int(rng.integers(50, 700))] = np.nan
    x[2, -int(rng.integers(50, 700)) :] = np.nan
    x[3, rng.random(GRID.size) < 0.01] = np.nan
    x[4, 200:260] = np.nan
    return x


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_matrix_equals_brute_force_over_the_common_range(index: RetrievalIndex, seed: int) -> None:
    values = library_values().astype(np.float32)
    x = queries_with_gaps(seed)
    got = index.scores(x)
    expected = np.array([[brute_force(q, r, index.window) for r in values] for q in x])
    # At the edge of the minimum share rounding may decide either way; nothing else may differ.
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_pair_and_matrix_agree_for_hqi(index: RetrievalIndex) -> None:
    x = queries_with_gaps(1)
    got = index.scores(x, measure="hqi")
    for i, query in enumerate(x):
        for j, reference in enumerate(index.intensities):
            if np.isfinite(got[i, j]):
                assert got[i, j] == pytest.approx(hit_quality_index(query, reference), abs=1e-10)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(index.scores(x)))


def test_unknown_measure_is_refused(index: RetrievalIndex) -> None:
    with pytest.raises(ParameterError, match="measure"):
        index.scores(queries_with_gaps(1), measure="euclid")  # type: ignore[arg-type]


def test_every_reference_finds_itself_with_score_one(index: RetrievalIndex) -> None:
    comparable = [i for i in range(N) if i != 9]
    results = index.search_many(library_values()[comparable], k=1)
    assert [r.hits[0].reference.id for r in results] == [f"ref-{i:03d}" for i in comparable]
    assert [r.hits[0].score for r in results] == pytest.approx([1.0] * len(comparable), abs=1e-6)


def test_hit_scores_are_the_exact_pair(index: RetrievalIndex) -> None:
    query = queries_with_gaps(3)[1]
    slopes = first_derivative(query, index.window)
    for hit in index.search_many(query[None], k=5)[0].hits:
        row = int(hit.reference.id[-3:])
        reference = first_derivative(library_values()[row].astype(np.float32), index.window)
        assert hit.score == pytest.approx(derivative_cosine(slopes, reference), abs=1e-7)
        both = np.isfinite(query) & np.isfinite(library_values()[row])
        assert hit.overlap_cm1 == (GRID[both][0], GRID[both][-1])


def test_search_lists_best_first_and_the_first_k_of_all(index: RetrievalIndex) -> None:
    query = queries_with_gaps(4)
    everything = [r.hits for r in index.search_many(query, k=N)]
    for k in (1, 3, 10):
        assert [r.hits for r in index.search_many(query, k=k)] == [hits[:k] for hits in everything]
    for hits in everything:
        assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_order_of_the_library_does_not_matter(index: RetrievalIndex, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(N)
    shuffled = RetrievalIndex.from_library(
        arrays(library_values()[order], [info(int(i)) for i in order]), Technique.RAMAN
    )
    x = queries_with_gaps(seed)
    for here, there in zip(index.search_many(x, k=8), shuffled.search_many(x, k=8), strict=True):
        assert here.hits == there.hits
        assert set(here.not_comparable) == set(there.not_comparable)


def test_equal_references_are_listed_in_a_fixed_order() -> None:
    same = substance(GRID, 1)
    infos = [info(2, slug="b"), info(1, slug="b"), info(3, slug="a")]
    index = RetrievalIndex.from_library(arrays([same, same, same], infos), Technique.RAMAN)
    assert [h.reference.id for h in index.search_many(same[None])[0].hits] == [
        "ref-003",
        "ref-001",
        "ref-002",
    ]


def test_short_overlap_is_reported_and_never_scored() -> None:
    narrow = substance(GRID, 1)
    narrow[GRID > 150 + MINIMUM_OVERLAP - 6] = np.nan
    index = RetrievalIndex.from_library(arrays([narrow, substance(GRID, 2)]), Technique.RAMAN)
    # The narrow reference is a part of the query itself: on its window it would score 1.
    result = index.search_many(substance(GRID, 1)[None])[0]
    assert result.not_comparable == ("ref-000",)
    assert [h.reference.id for h in result.hits] == ["ref-001"]
    assert result.n_references == 2
    assert np.isnan(index.scores(substance(GRID, 1)[None])[0, 0])


def test_reference_whose_bands_lie_outside_is_not_comparable() -> None:
    mostly_above = bands(GRID, [800, 2900, 2950], [0.3, 1.0, 1.0])
    query = mostly_above.copy()
    query[GRID > 1800] = np.nan
    index = RetrievalIndex.from_library(arrays([mostly_above]), Technique.RAMAN)
    assert index.search_many(query[None])[0].not_comparable == ("ref-000",)
    assert index.search_many(mostly_above[None])[0].hits[0].reference_share == pytest.approx(1.0)


def test_shares_say_how_much_was_compared() -> None:
    low, high = bands(GRID, [600, 900], [1, 1]), bands(GRID, [2000, 2500], [1, 1])
    reference = low.copy()
    reference[GRID > 1300] = np.nan
    index = RetrievalIndex.from_library(arrays([reference]), Technique.RAMAN)
    (hit,) = index.search_many((low + high)[None])[0].hits
    assert hit.reference_share == pytest.approx(1.0)
    assert hit.query_share == pytest.approx(0.5, abs=0.01)


def test_constant_or_all_missing_queries_match_nothing(index: RetrievalIndex) -> None:
    for query in (np.full(GRID.size, 7.0), np.full(GRID.size, np.nan)):
        result = index.search_many(query[None])[0]
        assert result.hits == ()
        assert len(result.not_comparable) == N


def test_queries_must_lie_on_the_grid(index: RetrievalIndex) -> None:
    with pytest.raises(ParameterError, match="1024"):
        index.scores(np.zeros((1, 10)))
    with pytest.raises(ParameterError, match="k must be"):
        index.search_many(np.zeros((1, 1024)), k=0)


def test_no_query_gives_no_result(index: RetrievalIndex) -> None:
    assert index.search_many(np.empty((0, 1024))) == []


def test_values_of_any_size_match_alike(index: RetrievalIndex) -> None:
    values = library_values()[:5]
    for scale in (1e-300, 1e-150, 1e150, 1e300):
        for i, result in enumerate(index.search_many(values * scale, k=1)):
            assert result.hits[0].reference.id == f"ref-{i:03d}"
            assert result.hits[0].score == pytest.approx(1.0, abs=1e-6)


def test_compounds_are_listed_once_by_their_best_reference() -> None:
    a, b = substance(GRID, 1), substance(GRID, 2)
    worse = with_noise(a, 0.05)
    infos = [info(0, slug="x"), info(1, slug="x"), info(2, slug="y")]
    index = RetrievalIndex.from_library(arrays([worse, a, b], infos), Technique.RAMAN)
    hits = index.search_compounds(raman(a), k=2).hits
    assert [h.reference.id for h in hits] == ["ref-001", "ref-002"]
    assert [h.reference.id for h in index.search_compounds(raman(a), k=1).hits] == ["ref-001"]


def test_a_computed_reference_is_never_a_hit(tmp_path: Path) -> None:
    a, b = substance(GRID, 1), substance(GRID, 2)
    entries = [
        (Compound("x", "X"), raman(a), Tier.COMPUTED),
        (Compound("x", "X"), raman(with_noise(a, 0.05)), Tier.MEASURED),
        (Compound("y", "Y"), raman(b), Tier.COMPUTED),
        (Compound("z", "Z"), raman(substance(GRID, 3)), Tier.LITERATURE),
    ]
    index = RetrievalIndex.from_library(library(tmp_path, entries), Technique.RAMAN)
    assert len(index) == 2
    for query in (a, b):
        hits = index.search_compounds(raman(query), k=5).hits
        assert {h.reference.compound_slug for h in hits} == {"x", "z"}
        assert all(h.reference.tier is not Tier.COMPUTED for h in hits)


def test_spectrum_of_another_technique_is_refused(index: RetrievalIndex) -> None:
    infrared = Spectrum(GRID, substance(GRID, 1), technique=Technique.FTIR_ATR)
    with pytest.raises(TechniqueError, match="cannot be compared"):
        index.search(infrared)


def test_spectrum_on_its_own_axis_finds_its_substance(index: RetrievalIndex) -> None:
    axis = np.linspace(220.0, 2400.0, 1733)
    hits = index.search(raman(substance(axis, 12), axis)).hits
    assert hits[0].reference.id == "ref-012"
    assert hits[0].score > 0.99
    assert hits[0].score - hits[1].score > 0.3
    low, high = hits[0].overlap_cm1
    assert 219.9 <= low <= 226
    assert 2394 <= high <= 2400.1


def test_index_holds_its_own_read_only_derivatives(index: RetrievalIndex) -> None:
    assert index.derivatives.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        index.derivatives[0, 0] = 1.0
    assert len(index) == N
