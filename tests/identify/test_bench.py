"""Fits by hand: the engine's numbers at the engine's answer, and plain least squares beside every other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.errors import ParameterError
from spectralid.identify import Identifier
from spectralid.identify.gaussian import BACKGROUND_SD
from spectralid.library import Compound, Tier
from tests.identify.builders import GRID, library, raman, substance, with_noise

NAMES = [f"compound-{i:02d}" for i in range(14)]
A, B, C = NAMES[2], NAMES[5], NAMES[9]


@pytest.fixture(scope="module")
def identifier(tmp_path_factory):
    entries = [
        (
            Compound(slug, slug.replace("-", " ").title(), synonyms=(f"name {i}",)),
            raman(substance(GRID, i)),
            Tier.MEASURED,
        )
        for i, slug in enumerate(NAMES)
    ]
    return Identifier(library(tmp_path_factory.mktemp("bench"), entries), record=None, families=())


def mixture(shares, seed=1, sd=0.01):
    whole = sum(
        share * substance(GRID, number) / substance(GRID, number).sum() for number, share in shares.items()
    )
    whole = whole / whole.max() + 0.8 * np.exp(-0.5 * ((GRID - 1200) / 900) ** 2)
    return raman(with_noise(whole, sd, seed))


@pytest.fixture(scope="module")
def bench(identifier):
    return identifier.bench(mixture({2: 0.65, 5: 0.35}))


def least_squares(bench, fit):
    """χ² of the same model by one dense least-squares problem, with the shares of `fit` in the columns."""
    _, fitted = bench._free[fit.explanation.rows]
    n = GRID.size
    held = [part.share if part.held else None for part in fit.parts]
    taken = sum(share for share in held if share is not None)
    free = [i for i, share in enumerate(held) if share is None]
    if free:
        columns = [
            fitted.shapes[i]
            + sum(held[j] / (1 - taken) * fitted.shapes[j] for j in range(len(held)) if held[j] is not None)
            for i in free
        ]
    else:
        columns = [sum(share * shape for share, shape in zip(held, fitted.shapes, strict=True))]
    design = np.column_stack([*columns, bench.scene.background, fitted.common])
    white = fitted.noise.white(np.eye(n))
    spread = np.concatenate(
        [
            np.full(len(columns), np.inf),
            np.full(bench.scene.background.shape[1], BACKGROUND_SD),
            np.ones(fitted.common.shape[1]),
        ]
    )
    rows = np.concatenate([white @ design, np.diag(1 / spread)])
    right = np.concatenate([white @ bench.scene.values, np.zeros(spread.size)])
    solved, *_ = np.linalg.lstsq(rows, right, rcond=None)
    return float(np.sum((rows @ solved - right) ** 2)), design, solved


def test_the_engines_own_answer_is_the_engines_own_fit(bench):
    analysis, fit = bench.analysis, bench.fit()
    assert [c.compound_slug for c in analysis.components] == [A, B]
    assert [p.slug for p in fit.parts] == [A, B]
    for part, component in zip(fit.parts, analysis.components, strict=True):
        assert part.share == pytest.approx(
            component.share, abs=0.05 * (component.share_high - component.share_low)
        )
        assert part.share_low == pytest.approx(component.share_low, abs=0.01)
        assert part.share_high == pytest.approx(component.share_high, abs=0.01)
        assert part.reference_id == component.reference_id
        assert part.bands.positions_cm1 == component.bands.positions_cm1
    assert fit.shift_cm1 == analysis.shift_cm1
    assert fit.log_odds == pytest.approx(analysis.log_odds, abs=0.05)
    assert fit.rise == 0
    # Sliders at the optimum change nothing.
    for held in ({A: fit.shares[A], B: None}, {A: None, B: fit.shares[B]}, dict(fit.shares)):
        again = bench.fit(held)
        assert again.rise == pytest.approx(0, abs=1e-6)
        assert again.shares == pytest.approx(fit.shares, abs=1e-9)
        np.testing.assert_allclose(again.residual, fit.residual, atol=1e-9)


def test_curves_add_up_to_the_spectrum(bench):
    fit = bench.fit({A: 0.4, B: None, C: None})
    known = np.isfinite(fit.residual)
    np.testing.assert_allclose((fit.fit + fit.residual)[known], fit.values[known], atol=1e-12)
    assert sum(fit.shares.values()) == pytest.approx(1)
    assert fit.shares[A] == pytest.approx(0.4)
    areas = fit.curves.sum(axis=1)
    assert areas[0] / areas.sum() == pytest.approx(0.4, abs=0.01)


@settings(max_examples=6, deadline=None)
@given(share=st.floats(0.02, 0.95), both=st.booleans())
def test_a_share_that_is_held_costs_what_least_squares_says(bench, share, both):
    fit = bench.fit({A: share, B: 1 - share if both else None})
    chi2, design, solved = least_squares(bench, fit)
    assert fit.chi2 == pytest.approx(chi2, rel=1e-6)
    np.testing.assert_allclose(fit.fit, design @ solved, atol=1e-6)
    free, *_ = least_squares(bench, bench.fit())
    assert fit.rise == pytest.approx(chi2 - free, rel=1e-4, abs=1e-4)


def test_away_from_the_optimum_chi2_rises_as_a_parabola_of_the_stated_width(bench):
    free = bench.fit()
    best, low, high = free.parts[1].share, free.parts[1].share_low, free.parts[1].share_high
    sd = (high - low) / (2 * 1.959964)
    steps = np.array([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])
    rises = np.array([bench.fit({A: None, B: best + step * sd}).rise for step in steps])
    # A parabola, with little skew because a share is a ratio.
    np.testing.assert_allclose(rises / steps**2, np.mean(rises / steps**2), rtol=0.2)
    # The interval takes the rest of the signal as known, which a share that is held does not.
    assert 0.5 < np.sqrt(np.mean(steps**2 / rises)) <= 1.6
    further = [bench.fit({A: None, B: share}).rise for share in (best, best + 0.1, best + 0.25, best + 0.5)]
    assert further == sorted(further)
    assert further[-1] > 50 > 6 > bench.fit({A: 0.65, B: 0.35}).rise


def test_three_free_components_are_never_worse_than_two(bench):
    two, three = bench.fit({A: None, B: None}), bench.fit({A: None, B: None, C: None})
    assert three.shares[C] < 0.05
    assert three.log_odds < two.log_odds  # one more that brings nothing costs its prior
    assert bench.fit({A: None, B: None, C: 0}).shares[C] == 0


def test_the_rest_speaks_for_what_was_left_out(bench):
    alone = bench.fit({A: None})
    first, *_ = bench.rest(alone)
    assert first.slug == B
    assert first.z > 10
    assert first.log_odds > 10
    assert first.share == pytest.approx(bench.fit().shares[B], abs=0.05)
    assert bench.rest(bench.fit())[0].z < 5
    assert B not in [p.slug for p in bench.rest(alone, excluded=[B])]
    assert A not in [p.slug for p in bench.rest(alone)]
    assert [p for p in bench.peaks(alone) if not p.by]


def test_bands_are_matched_within_a_tolerance_and_not_beyond(bench):
    fit = bench.fit()
    marks = bench.marks(B, fit=fit)
    assert sum(m.found_cm1 is not None for m in marks) >= 0.7 * len(marks)
    foreign = bench.marks(C, fit=fit, tolerance_cm1=4)
    assert sum(m.found_cm1 is not None for m in foreign) < 0.6 * len(foreign)
    for mark in marks:
        if mark.found_cm1 is not None:
            assert abs(mark.found_cm1 - mark.position_cm1) <= 8
    strict = bench.marks(B, fit=fit, tolerance_cm1=0.01)
    assert sum(m.found_cm1 is not None for m in strict) < len(marks)
    positions = [p.position_cm1 for p in bench.peaks(fit)]
    assert positions == sorted(positions)
    assert max(p.height for p in bench.peaks(fit)) == pytest.approx(1, abs=0.05)


def test_what_is_excluded_takes_no_part(bench):
    without = bench.without([A])
    assert A not in without.shares
    assert without.log_odds < bench.fit().log_odds
    with pytest.raises(ParameterError, match="excluded"):
        bench.without(NAMES)


def test_what_was_looked_for_and_not_found_has_a_limit(bench):
    fit = bench.fit()
    limits = bench.limits(fit, [A, C])
    assert list(limits) == [C]
    assert 0.005 < limits[C] < 0.3


def test_what_is_in_the_rest_speaks_and_what_is_not_does_not(bench):
    alone = bench.fit({A: None})
    speaks = bench.speaks(alone, [A, B, C])
    assert list(speaks) == [B, C]
    assert speaks[B] == pytest.approx(bench.rest(alone)[0].z)
    assert bench.speaks(bench.fit(), [C])[C] < 3


def test_what_is_remembered_has_an_end(bench):
    for i in range(len(NAMES) - 1):
        for other in NAMES[i + 1 :]:
            bench.fit({NAMES[i]: None, other: None})
    assert len(bench._free) <= 32
    assert bench.fit().shares == bench.fit({A: None, B: None}).shares


def test_limits_grow_with_the_noise(identifier, bench):
    noisy = identifier.bench(mixture({2: 0.65, 5: 0.35}, sd=0.05))
    assert noisy.limits(noisy.fit(), [C])[C] > 1.2 * bench.limits(bench.fit(), [C])[C]


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ({}, "components"),
        ({"nobody": None}, "nobody"),
        ({A: 1.2, B: None}, "share"),
        ({A: float("nan"), B: None}, "share"),
        ({A: 0.7, B: 0.5, C: None}, "share"),
        ({A: 0.0}, "share"),
    ],
)
def test_what_cannot_be_fitted_is_said(bench, shares, told):
    with pytest.raises(ParameterError, match=told):
        bench.fit(shares)
