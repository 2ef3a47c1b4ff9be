"""Leads: computed references ranked by a measure of their own, listed apart, and never a name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.errors import LibraryError, TechniqueError
from spectralid.identify import Identification, Identifier, LeadIndex, identify
from spectralid.identify.leads import EXPONENT, LeadScorer, comparable
from spectralid.library import Compound, LibraryBuilder, ReferenceLibrary, Tier, open_library
from spectralid.library.schema import common_grid
from spectralid.spectrum import FloatArray, Spectrum, Technique
from spectralid.verdict import VerdictKind, decide
from tests.identify.builders import GRID, bands, raman, with_noise

INFRARED = common_grid("infrared")
COUNT = 12


def molecule(grid: FloatArray, number: int, width: float, error: float = 0.0) -> FloatArray:
    """Bands of an invented molecule; `error` is how far off a calculation puts them, in cm⁻¹."""
    rng, wrong = np.random.default_rng(number), np.random.default_rng(number + 1000)
    centres = rng.uniform(grid[0] + 100, min(grid[-1], 1800.0), 14)
    heights = rng.uniform(0.2, 1.0, 14)
    centres = centres + wrong.normal(0, 1, 14) * error
    heights = heights * np.exp(wrong.normal(0, 1, 14) * error / 20)
    return bands(grid, centres, heights, width)


def computed(grid: FloatArray, number: int, form_error: float = 0.0) -> Spectrum:
    values = molecule(grid, number, 35.0, 12.0 + form_error)
    infrared = grid is INFRARED
    return Spectrum(
        grid,
        (values / values.max()).astype(np.float16),
        technique="ftir" if infrared else "raman",
        unit="absorbance" if infrared else "arbitrary",
    )


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ReferenceLibrary:
    builder = LibraryBuilder("leads", created="2026-01-02")
    for number in range(COUNT):
        compound = Compound(f"molecule-{number}", f"Molecule {number}", hazards=("none",))
        for grid in (GRID, INFRARED):
            builder.add(computed(grid, number), compound, tier=Tier.COMPUTED, form="neutral molecule")
        builder.add(computed(GRID, number, 60.0), compound, tier=Tier.COMPUTED, form="protonated cation")
        if number < 3:
            measured = raman(with_noise(molecule(GRID, number, 12.0), 0.01))
            builder.add(measured, compound, tier=Tier.MEASURED)
    path = tmp_path_factory.mktemp("leads") / "leads.h5"
    builder.write(path)
    return open_library(path)


def scan(number: int, grid: FloatArray = GRID) -> Spectrum:
    """What an instrument makes of the molecule: narrower bands, a background, noise."""
    values = with_noise(
        molecule(grid, number, 12.0) + 3 * np.exp(-(((grid - 1500) / 1500) ** 2)), 0.01, number
    )
    if grid is INFRARED:
        return Spectrum(grid, values, technique=Technique.FTIR_ATR, unit="absorbance")
    return raman(values, grid)


@pytest.mark.parametrize("grid", [GRID, INFRARED], ids=["raman", "infrared"])
def test_the_right_molecule_leads_where_positions_and_strengths_are_off(
    library: ReferenceLibrary, grid: FloatArray
) -> None:
    identifier = Identifier(library)
    ranks = []
    for number in range(COUNT):
        leads = identifier.identify(scan(number, grid), leads=True).leads
        assert [lead.rank for lead in leads] == list(range(1, 11))
        assert [lead.score for lead in leads] == sorted((lead.score for lead in leads), reverse=True)
        assert len({lead.compound_slug for lead in leads}) == 10
        ranks.append(next((x.rank for x in leads if x.compound_slug == f"molecule-{number}"), 99))
    # Drawn by chance, half of them would be among the first six.
    assert np.median(ranks) == 1
    assert sum(rank <= 3 for rank in ranks) >= 10


def test_a_lead_says_what_was_computed(library: ReferenceLibrary) -> None:
    lead = identify(scan(5), library, leads=True).leads[0]
    assert (lead.compound_slug, lead.compound_name) == ("molecule-5", "Molecule 5")
    info = library.reference(lead.reference_id).info
    assert (info.tier, info.form, info.compound_slug) == (Tier.COMPUTED, lead.form, lead.compound_slug)
    assert lead.form == "neutral molecule"


def test_a_compound_that_was_measured_leads_too(library: ReferenceLibrary) -> None:
    result = identify(scan(1), library, leads=True)
    assert result.candidates[0].compound_slug == "molecule-1"
    assert result.leads[0].compound_slug == "molecule-1"


def test_leads_change_no_candidate_and_no_verdict(library: ReferenceLibrary) -> None:
    for number in (1, 7):
        with_leads, without = identify(scan(number), library, leads=True), identify(scan(number), library)
        assert without.leads == ()
        assert {c.tier for c in with_leads.candidates} == {Tier.MEASURED}
        plain = with_leads.to_dict()
        assert plain.pop("leads") != []
        assert plain == {k: v for k, v in without.to_dict().items() if k != "leads"}
        assert decide(with_leads, library) == decide(without, library)
        for lead in with_leads.leads:
            if lead.compound_slug not in {c.compound_slug for c in with_leads.candidates}:
                assert lead.compound_name not in decide(with_leads, library).text()
    assert "molecule-7" not in decide(identify(scan(7), library, leads=True), library).named


def test_a_technique_of_computed_references_alone_names_nothing(library: ReferenceLibrary) -> None:
    result = identify(scan(4, INFRARED), library, leads=True)
    assert (result.candidates, result.n_references) == ((), 0)
    assert any("holds computed infrared references only" in a for a in result.assumptions)
    assert result.leads[0].compound_slug == "molecule-4"
    verdict = decide(result, library)
    assert (verdict.kind, verdict.named) == (VerdictKind.INCONCLUSIVE, ())
    assert "Molecule" not in verdict.text()


def test_a_spectrum_without_a_technique_stays_ambiguous(library: ReferenceLibrary) -> None:
    with pytest.raises(TechniqueError, match="state the technique"):
        identify(scan(1).replace(technique=Technique.UNKNOWN), library)


def test_a_library_without_computed_references_has_no_leads(tmp_path: Path) -> None:
    builder = LibraryBuilder("measured")
    for number in range(2):
        builder.add(scan(number), Compound(f"m-{number}", f"M {number}"), tier=Tier.MEASURED)
    builder.write(tmp_path / "m.h5")
    opened = open_library(tmp_path / "m.h5")
    assert identify(scan(0), opened, leads=True).leads == ()
    with pytest.raises(LibraryError, match="no computed raman references"):
        LeadIndex.from_library(opened, Technique.RAMAN)


def test_leads_survive_json_and_older_records_have_none(library: ReferenceLibrary) -> None:
    result = identify(scan(3), library, leads=True)
    assert Identification.from_json(result.to_json()) == result
    assert identify(scan(3), library, leads=True).to_json() == result.to_json()
    older: dict[str, Any] = {k: v for k, v in json.loads(result.to_json()).items() if k != "leads"}
    assert Identification.from_dict(older).leads == ()
    assert Identification.from_dict(older).candidates == result.candidates


@pytest.mark.parametrize(
    "values",
    [np.full(1024, 7.0), np.where(GRID < 500, 1.0, np.nan), np.zeros(1024)],
    ids=["flat", "too little", "nothing"],
)
def test_nothing_to_compare_gives_no_lead(library: ReferenceLibrary, values: FloatArray) -> None:
    index = LeadIndex.from_library(library, Technique.RAMAN)
    assert index.search(raman(values)) == ()


def test_another_technique_is_refused(library: ReferenceLibrary) -> None:
    index = LeadIndex.from_library(library, Technique.RAMAN)
    with pytest.raises(TechniqueError, match="cannot be compared"):
        index.search(scan(1, INFRARED))


def test_a_computed_reference_of_part_of_the_range_is_compared_there(tmp_path: Path) -> None:
    builder = LibraryBuilder("own")
    axis = np.arange(250.0, 1500.0, 2.0)
    for number in range(6):
        grid = axis if number == 2 else GRID
        values = 40 * molecule(GRID, number, 35.0, 8.0)
        spectrum = raman(np.interp(grid, GRID, values), grid)
        builder.add(spectrum, Compound(f"m-{number}", f"M {number}"), tier=Tier.COMPUTED)
    short = raman(molecule(GRID, 2, 35.0)[:100], GRID[:100])
    builder.add(short, Compound("m-2", "M 2"), tier=Tier.COMPUTED, form="too short")
    builder.write(tmp_path / "own.h5")
    leads = identify(scan(2), open_library(tmp_path / "own.h5"), leads=True).leads
    assert leads[0].compound_slug == "m-2"
    assert leads[0].form == ""
    # The score is the one of the common range alone.
    index = LeadIndex.from_library(open_library(tmp_path / "own.h5"), Technique.RAMAN)
    inside = (GRID >= 250) & (GRID <= 1498)
    query = np.where(inside, comparable(scan(2)), np.nan)
    row = next(i for i, info in enumerate(index.rows) if info.compound_slug == "m-2" and not info.form)
    block = open_library(tmp_path / "own.h5").matrix("raman", "computed")[row].astype(float)
    assert leads[0].score == pytest.approx(written_out(query, np.nan_to_num(block)), abs=1e-5)


def written_out(
    query: FloatArray, other: FloatArray, grid: FloatArray = GRID, infrared: bool = False
) -> float:
    """The weighted correlation, from its definition and numpy's own covariance."""
    weights = np.where(grid > 2000, 0.3, 1.0)
    if infrared:
        weights[(grid > 2250) & (grid < 2450)] = 0
    known = np.isfinite(query)
    pair = np.stack([query[known] ** EXPONENT, other[known] ** EXPONENT])
    covariance = np.cov(pair, aweights=weights[known])
    return float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))


@given(seed=st.integers(0, 2**31), infrared=st.booleans(), missing=st.integers(0, 500))
@settings(max_examples=40, deadline=None)
def test_the_score_is_a_weighted_correlation(seed: int, infrared: bool, missing: int) -> None:
    rng = np.random.default_rng(seed)
    grid = INFRARED if infrared else GRID
    query, others = rng.uniform(0, 1, 1024), rng.uniform(1e-6, 1, (3, 1024))
    query[:missing] = np.nan
    scores = LeadScorer(query[np.newaxis], grid, "infrared" if infrared else "raman")(others)[0]
    expected = [written_out(query, other, grid, infrared) for other in others]
    np.testing.assert_allclose(scores, expected, atol=1e-10)


def test_the_baseline_and_the_scale_of_a_scan_do_not_count() -> None:
    plain, scaled = comparable(scan(6)), comparable(scan(6).replace(intensity=900 * scan(6).intensity + 4000))
    assert np.isnan(plain[GRID < 200]).all()
    assert np.nanmax(plain) == 1
    assert np.nanmin(plain) == 0
    np.testing.assert_allclose(scaled, plain, atol=0.01)
    peak = np.nanargmax(molecule(GRID, 6, 12.0))
    assert plain[peak] > 0.8
