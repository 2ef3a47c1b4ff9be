from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import savgol_filter

from spectralid.errors import ParameterError
from spectralid.identify.similarity import (
    derivative_cosine,
    derivative_window,
    first_derivative,
    hit_quality_index,
)
from tests.identify.builders import GRID, substance

WINDOW = derivative_window(3.0)


def slope(values: np.ndarray) -> np.ndarray:
    return first_derivative(values, WINDOW)


@pytest.mark.parametrize("window", [3, 5, 13, 21])
def test_derivative_agrees_with_scipy_inside(window: int) -> None:
    y = substance(GRID, 1)
    half = window // 2
    got = first_derivative(y, window)
    expected = savgol_filter(y, window, 2, deriv=1)
    np.testing.assert_allclose(got[half:-half], expected[half:-half], atol=1e-12)
    assert np.isnan(got[:half]).all()
    assert np.isnan(got[-half:]).all()


@pytest.mark.parametrize("window", [2, 4, 1, 0, -3])
def test_derivative_window_must_be_odd(window: int) -> None:
    with pytest.raises(ParameterError, match="odd"):
        first_derivative(GRID, window)


def test_derivative_shorter_than_window_is_unknown() -> None:
    assert np.isnan(first_derivative(np.arange(5.0), 7)).all()


def test_missing_point_makes_every_window_it_meets_unknown() -> None:
    y = substance(GRID, 2)
    y[300] = np.nan
    got = first_derivative(y, 5)
    assert np.flatnonzero(np.isnan(got[10:-10])).tolist() == [288, 289, 290, 291, 292]


def test_window_has_the_stated_width() -> None:
    assert derivative_window(3.0) * 3.0 == pytest.approx(39.0)
    assert derivative_window(3.5) == 11
    assert derivative_window(100.0) == 5
    with pytest.raises(ParameterError):
        derivative_window(0.0)


@given(
    seed=st.integers(0, 10_000),
    scale=st.floats(1e-6, 1e6),
    offset=st.floats(-1e3, 1e3),
)
def test_cosine_ignores_scale_and_offset(seed: int, scale: float, offset: float) -> None:
    a, b = substance(GRID, seed), substance(GRID, seed + 1)
    plain = derivative_cosine(slope(a), slope(b))
    assert derivative_cosine(slope(scale * (a + offset)), slope(b)) == pytest.approx(plain, abs=1e-7)
    assert hit_quality_index(scale * (a + offset), b) == pytest.approx(hit_quality_index(a, b), abs=1e-7)


@given(seed=st.integers(0, 10_000))
def test_a_spectrum_is_like_itself_and_likeness_is_mutual(seed: int) -> None:
    a, b = substance(GRID, seed), substance(GRID, seed + 1)
    assert derivative_cosine(slope(a), slope(a)) == pytest.approx(1.0, abs=1e-12)
    assert hit_quality_index(a, a) == pytest.approx(1.0, abs=1e-12)
    assert derivative_cosine(slope(a), slope(b)) == derivative_cosine(slope(b), slope(a))
    assert hit_quality_index(a, b) == hit_quality_index(b, a)


def test_cosine_falls_steadily_with_a_shift_of_the_axis() -> None:
    shifts = np.arange(0.0, 16.0, 1.0)
    reference = slope(substance(GRID, 5))
    scores = [derivative_cosine(reference, slope(substance(GRID - s, 5))) for s in shifts]
    assert np.all(np.diff(scores) < 0)
    assert scores[0] == pytest.approx(1.0)
    assert scores[-1] < 0.3


def test_hit_quality_index_is_the_squared_correlation_of_the_common_points() -> None:
    a = substance(GRID, 6)
    b = a + substance(GRID, 7)
    a[:200] = np.nan
    b[900:] = np.nan
    expected = np.corrcoef(a[200:900], b[200:900])[0, 1] ** 2
    assert hit_quality_index(a, b) == pytest.approx(expected, rel=1e-12)


def test_opposite_spectra_do_not_match() -> None:
    a = substance(GRID, 8)
    assert hit_quality_index(a, -a) == 0.0
    assert derivative_cosine(slope(a), slope(-a)) == pytest.approx(-1.0)


def test_nothing_in_common_or_flat_is_no_score() -> None:
    a = substance(GRID, 9)
    left, right = a.copy(), a.copy()
    left[500:] = np.nan
    right[:500] = np.nan
    assert math.isnan(derivative_cosine(slope(left), slope(right)))
    assert math.isnan(hit_quality_index(left, right))
    assert math.isnan(derivative_cosine(slope(np.ones_like(a)), slope(a)))
    assert math.isnan(hit_quality_index(np.ones_like(a), a))
