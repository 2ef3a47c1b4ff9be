"""Baselines against pybaselines itself and against backgrounds that are known."""

from __future__ import annotations

import numpy as np
import pybaselines
import pytest

from spectralid.errors import InvalidSpectrumError, ParameterError
from spectralid.preprocess import Baseline, baseline_of
from tests.preprocess._data import AXIS, absorbing, background, clean, spectra

METHODS = ["airpls", "arpls", "asls", "drpls", "iarpls", "imodpoly", "modpoly", "mor", "rubberband", "snip"]


@pytest.mark.parametrize("method", ["airpls", "arpls", "asls", "drpls", "iarpls"])
def test_with_lam_it_is_what_pybaselines_gives(method: str) -> None:
    X = spectra(3)
    result = Baseline(method, lam=2e4).apply(AXIS, X)
    for row, ours in zip(X, result.diagnostics["baseline"], strict=True):
        theirs, _ = getattr(pybaselines.Baseline(AXIS), method)(row, lam=2e4)
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)
        np.testing.assert_allclose(row - theirs, result.intensity[X.tolist().index(row.tolist())], atol=1e-10)


@pytest.mark.parametrize(
    ("step", "arguments"),
    [
        (Baseline("modpoly", poly_order=4), {"poly_order": 4}),
        (Baseline("imodpoly"), {"poly_order": 5}),
        (Baseline("snip", half_window_cm1=60.0), {"max_half_window": 15, "decreasing": True}),
        (Baseline("mor"), {"half_window": 10}),
        (Baseline("rubberband"), {}),
    ],
)
def test_the_others_are_what_pybaselines_gives(step: Baseline, arguments: dict[str, object]) -> None:
    y = spectra(1)[0]
    theirs, _ = getattr(pybaselines.Baseline(AXIS), step.method)(y, **arguments)
    np.testing.assert_allclose(step.apply(AXIS, y[np.newaxis]).diagnostics["baseline"][0], theirs, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_a_known_background_is_found_under_bands(method: str) -> None:
    rng = np.random.default_rng(8)
    y = clean() + background() + rng.normal(0, 0.005, AXIS.size)
    found = Baseline(method).apply(AXIS, y[np.newaxis]).diagnostics["baseline"][0]
    # Worse than 0.1 of bands 1.4 high, anywhere, is no baseline.
    assert np.abs(found - background()).max() < 0.1
    assert np.abs(found - background()).mean() < 0.03


@pytest.mark.parametrize("method", ["arpls", "airpls", "asls", "drpls", "iarpls", "snip", "mor"])
def test_sampling_does_not_change_the_baseline(method: str) -> None:
    fine = np.arange(400.0, 1597.0, 1.0)
    y = clean(fine) + background(fine)
    dense = Baseline(method).apply(fine, y[np.newaxis]).diagnostics["baseline"][0]
    sparse = Baseline(method).apply(fine[::4], y[np.newaxis, ::4]).diagnostics["baseline"][0]
    # drpls also penalises the slope, which no single stiffness scales.
    assert np.abs(dense[::4] - sparse).max() < 0.05
    assert np.abs(dense[::4] - sparse).mean() < 0.025


@pytest.mark.parametrize("method", METHODS)
def test_strength_does_not_matter(method: str) -> None:
    X = spectra(2)
    np.testing.assert_allclose(
        Baseline(method).apply(AXIS, 5000 * X).intensity, 5000 * Baseline(method).apply(AXIS, X).intensity,
        rtol=1e-5, atol=5,
    )  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_noiseless_flat_and_empty_spectra_end_well(method: str) -> None:
    for y in (clean(), -clean()):
        assert np.isfinite(Baseline(method).apply(AXIS, y[np.newaxis]).intensity).all()
    for y in (np.zeros(AXIS.size), np.full(AXIS.size, 3.0)):
        if method == "rubberband":
            with pytest.raises(InvalidSpectrumError, match=r"rubberband cannot be found.*another method"):
                Baseline(method).apply(AXIS, y[np.newaxis])
        else:
            flat = Baseline(method).apply(AXIS, y[np.newaxis]).intensity
            np.testing.assert_allclose(flat, 0, atol=1e-6)


def test_missing_points_are_bridged_for_the_baseline_only() -> None:
    y = background() + clean()
    holed = y.copy()
    holed[70:74] = holed[:6] = np.nan
    result = Baseline().apply(AXIS, holed[np.newaxis])
    np.testing.assert_array_equal(np.isnan(result.intensity[0]), np.isnan(holed))
    baseline = result.diagnostics["baseline"][0]
    np.testing.assert_array_equal(np.isnan(baseline), np.arange(AXIS.size) < 6)
    whole = Baseline().apply(AXIS, y[np.newaxis]).diagnostics["baseline"][0]
    assert np.abs(baseline - whole)[6:].max() < 0.02


def test_baseline_of_is_what_is_subtracted() -> None:
    raw = absorbing(spectra(1)[0])
    np.testing.assert_allclose(raw.intensity - baseline_of(raw), Baseline()(raw).intensity)
    snip = Baseline("snip")
    np.testing.assert_allclose(raw.intensity - snip.baseline_of(raw), snip(raw).intensity)


def test_diagnostics_tell_of_convergence() -> None:
    hasty = Baseline(max_iter=1, tol=1e-12).apply(AXIS, spectra(2)).diagnostics
    assert not hasty["converged"].any()
    done = Baseline().apply(AXIS, spectra(2)).diagnostics
    assert done["converged"].all()
    assert (done["iterations"] > hasty["iterations"]).all()
    assert "converged" not in Baseline("snip").apply(AXIS, spectra(1)).diagnostics


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Baseline("magic"), "one of airpls, arpls"),
        (Baseline("arpls", poly_order=3), "arpls takes lam, max_iter, scale_cm1, tol"),
        (Baseline("rubberband", lam=1e5), "rubberband takes nothing"),
        (Baseline("asls", p=0.5), "p must be"),
        (Baseline(lam=1e5, scale_cm1=300.0), "left out where lam is given"),
    ],
)
def test_parameters_that_do_not_fit(step: Baseline, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        step.apply(AXIS, spectra(1))


def test_too_few_points() -> None:
    X = spectra(2)
    X[1, 5:] = np.nan
    with pytest.raises(InvalidSpectrumError, match="Spectrum 1 has 5 measured points; a baseline needs 8"):
        Baseline().apply(AXIS, X)


def test_what_pybaselines_refuses_comes_as_our_error() -> None:
    with pytest.raises(InvalidSpectrumError, match=r"arpls cannot be found .*try other parameters"):
        Baseline("arpls", lam=1e300).apply(AXIS, spectra(1))
