"""Savitzky–Golay and Whittaker against polynomials, scipy and dense linear algebra."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import savgol_filter

from spectralid.errors import InvalidSpectrumError, ParameterError
from spectralid.preprocess import Derivative, SavitzkyGolay, Whittaker
from tests.preprocess._data import AXIS, clean, spectra

UNEVEN = 300.0 + 2.0 * np.arange(200) - 0.0035 * np.arange(200) ** 2


@settings(max_examples=60, deadline=None)
@given(
    coefficients=st.lists(st.floats(-3, 3), min_size=1, max_size=5),
    half=st.integers(2, 8),
    derivative=st.integers(1, 3),
    spacing=st.floats(0.2, 8),
)
def test_derivative_of_a_polynomial_is_exact(
    coefficients: list[float], half: int, derivative: int, spacing: float
) -> None:
    order = max(len(coefficients) - 1, derivative)
    window = 2 * max(half, (order + 2) // 2) + 1
    axis = 500.0 + spacing * np.arange(60)
    polynomial = np.polynomial.Polynomial(coefficients, domain=[axis[0], axis[-1]], window=[-1, 1])
    out = Derivative(window, order, derivative).apply(axis, polynomial(axis)[np.newaxis]).intensity[0]
    expected = polynomial.deriv(derivative)(axis)
    # Rounding of the values, carried up by the differences.
    np.testing.assert_allclose(out, expected, rtol=1e-7, atol=1e-10 / spacing**derivative)


@pytest.mark.parametrize(("window", "order", "derivative"), [(5, 2, 1), (9, 3, 1), (15, 4, 2), (21, 5, 3)])
def test_derivative_is_scipys_on_an_even_axis(window: int, order: int, derivative: int) -> None:
    X = spectra(3)
    ours = Derivative(window, order, derivative).apply(AXIS, X).intensity
    theirs = savgol_filter(X, window, order, deriv=derivative, delta=4.0, axis=1, mode="interp")
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_derivative_is_per_wavenumber() -> None:
    line = 3.0 * AXIS
    assert Derivative().apply(AXIS, line[np.newaxis]).intensity == pytest.approx(3.0)
    assert Derivative().apply(AXIS / 2, line[np.newaxis]).intensity == pytest.approx(6.0)


def test_derivative_refuses_an_uneven_axis_and_bears_rounding() -> None:
    with pytest.raises(InvalidSpectrumError, match="use Resample"):
        Derivative().apply(UNEVEN, np.ones((1, 200)))
    rounded = np.round(400.0 + 1.9285 * np.arange(200), 1)
    out = Derivative().apply(rounded, 2 * rounded[np.newaxis]).intensity
    np.testing.assert_allclose(out, 2.0, rtol=0.03)


@settings(max_examples=40, deadline=None)
@given(
    coefficients=st.lists(st.floats(-3, 3), min_size=1, max_size=4),
    missing=st.sets(st.integers(0, 199), max_size=12),
)
def test_smoothing_a_polynomial_changes_nothing_on_an_uneven_axis_with_gaps(
    coefficients: list[float], missing: set[int]
) -> None:
    y = np.polynomial.Polynomial(coefficients, domain=[UNEVEN[0], UNEVEN[-1]], window=[-1, 1])(UNEVEN)
    y[list(missing)] = np.nan
    result = SavitzkyGolay(9, 3).apply(UNEVEN, y[np.newaxis])
    out = result.intensity[0]
    assert np.isnan(out[list(missing)]).all()
    known = ~np.isnan(out)
    assert result.diagnostics["lost"][0] == (~np.isnan(y)).sum() - known.sum()
    np.testing.assert_allclose(out[known], y[known], rtol=1e-8, atol=1e-9)


def test_missing_ends_are_as_if_they_were_not_there() -> None:
    X = spectra(1)
    padded = X.copy()
    padded[:, :50] = padded[:, 260:] = np.nan
    for step in (SavitzkyGolay(11, 3), Derivative(11, 3), Whittaker(40.0)):
        cut = step.apply(AXIS[50:260], X[:, 50:260]).intensity
        np.testing.assert_allclose(step.apply(AXIS, padded).intensity[:, 50:260], cut, atol=1e-12)


def test_wide_gaps_divide_and_short_parts_are_lost_and_counted() -> None:
    X = spectra(1)
    X[:, 100:110] = X[:, 115:125] = np.nan
    left = SavitzkyGolay(9, 2).apply(AXIS[:100], X[:, :100]).intensity
    result = SavitzkyGolay(9, 2).apply(AXIS, X)
    np.testing.assert_allclose(result.intensity[:, :100], left, atol=1e-12)
    assert np.isnan(result.intensity[0, 110:115]).all()
    assert result.diagnostics["lost"].tolist() == [5]


def test_noise_falls_as_the_fit_says() -> None:
    # Variance of the value of a straight or quadratic fit in the middle of 2m + 1 points (Savitzky–Golay):
    # (9m² + 9m - 3) / ((2m + 3)(4m² - 1)), here for m = 5: 0.207.
    m, rng = 5, np.random.default_rng(3)
    noise = rng.normal(size=(200, 400))
    out = SavitzkyGolay(2 * m + 1, 2).apply(np.arange(400.0), noise).intensity[:, m:-m]
    expected = (9 * m**2 + 9 * m - 3) / ((2 * m + 3) * (4 * m**2 - 1))
    assert out.var() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (SavitzkyGolay(5, 5), "order must be below the window"),
        (Derivative(9, 2, 3), "derivative must be at most the order"),
        (SavitzkyGolay(301, 3), "at most the number of points of the spectrum"),
        (SavitzkyGolay(8, 3), "an odd whole number at least 3"),
    ],
)
def test_windows_that_make_no_filter(step: SavitzkyGolay, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        step.apply(AXIS, spectra(1))


def dense_whittaker(x: np.ndarray, y: np.ndarray, weight: np.ndarray, lam: float, order: int) -> np.ndarray:
    """Minimum of the penalised sum by dense algebra; D from the interpolating polynomials."""
    D = np.zeros((x.size - order, x.size))
    for i in range(x.size - order):
        part = x[i : i + order + 1]
        for j in range(order + 1):
            D[i, i + j] = math.factorial(order) / np.prod(np.delete(part[j] - part, j))
    return np.linalg.solve(np.diag(weight) + lam * D.T @ D, weight * np.nan_to_num(y))


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("axis", [AXIS[:120], UNEVEN[:120]], ids=["even", "uneven"])
def test_whittaker_is_the_dense_solution(axis: np.ndarray, order: int) -> None:
    X = spectra(3, axis=axis)
    X[:2, 30:37] = np.nan
    result = Whittaker(25.0, order).apply(axis, X)
    spacing = np.diff(axis).mean()
    lam = (25.0 / (2 * np.pi * spacing)) ** (2 * order)
    assert result.diagnostics["lam"] == pytest.approx(lam)
    for row, out in zip(X, result.intensity, strict=True):
        weight = (~np.isnan(row)).astype(float)
        expected = dense_whittaker(axis / spacing, row, weight, lam, order)
        np.testing.assert_allclose(out[weight > 0], expected[weight > 0], rtol=1e-8)


@pytest.mark.parametrize("spacing", [0.5, 1.0, 2.0])
def test_whittaker_halves_the_period_it_is_named_for(spacing: float) -> None:
    axis = np.arange(0.0, 3000.0, spacing)
    middle = slice(axis.size // 4, -axis.size // 4)
    wave = np.sin(2 * np.pi * axis / 40.0)[np.newaxis]
    out = Whittaker(40.0).apply(axis, wave).intensity[0, middle]
    assert np.dot(out, wave[0, middle]) / np.dot(wave[0, middle], wave[0, middle]) == pytest.approx(
        0.5, abs=0.01
    )


def test_whittaker_leaves_what_is_too_little_to_smooth() -> None:
    X = spectra(2)
    X[1, 2:] = np.nan
    np.testing.assert_array_equal(Whittaker(40.0, 2).apply(AXIS, X).intensity[1], X[1])


def test_whittaker_keeps_bands_and_lowers_noise() -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 0.02, size=(20, AXIS.size))
    out = Whittaker(16.0).apply(AXIS, clean() + noise).intensity
    assert (out - clean()).std() < 0.8 * noise.std()
    assert np.abs(out.mean(axis=0) - clean()).max() < 0.06
