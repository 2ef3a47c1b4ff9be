"""Resampling against integrals and widths known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid import Spectrum
from spectralid.errors import InvalidSpectrumError, ParameterError
from spectralid.preprocess import Resample, resample
from spectralid.spectrum import Acquisition
from tests.preprocess._data import gaussian

FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))
FINE = np.arange(200.0, 2000.0, 0.5)


def width(axis: np.ndarray, y: np.ndarray) -> float:
    """Standard deviation of the band as a distribution."""
    mean = np.sum(axis * y) / np.sum(y)
    return float(np.sqrt(np.sum((axis - mean) ** 2 * y) / np.sum(y)))


@pytest.mark.parametrize("method", ["pchip", "linear"])
@settings(max_examples=30, deadline=None)
@given(sigma=st.floats(8, 30), step=st.floats(0.3, 20), shift=st.floats(0, 1), source=st.floats(0.5, 3))
def test_area_and_centre_of_a_band_are_kept(
    method: str, sigma: float, step: float, shift: float, source: float
) -> None:
    axis = np.arange(200.0, 2000.0, source)
    y = gaussian(axis, 1000.0, sigma)
    grid = 300 + step * (np.arange(int(1500 / step)) + shift)
    out = resample(axis, y, grid, method=method)
    # Sampled at 20 cm⁻¹ a band of sigma 8 is not band-limited: its sampled area itself varies by 5e-2.
    aliasing = 2 * math.exp(-2 * (math.pi * math.hypot(sigma, step / math.sqrt(12)) / step) ** 2)
    assert np.sum(out) * step == pytest.approx(sigma * math.sqrt(2 * math.pi), rel=2e-3 + 1.5 * aliasing)
    centre = np.sum(grid * out) / np.sum(out)
    assert centre == pytest.approx(1000.0, abs=0.02 * step + 3 * step * aliasing)


@pytest.mark.parametrize("step", [2.0, 5.0, 12.0])
def test_a_coarser_grid_averages_over_its_cells(step: float) -> None:
    sigma = 15.0
    out = resample(FINE, gaussian(FINE, 1000.0, sigma), np.arange(300.0, 1900.0, step))
    # The variance of a box of width b is b²/12; the source's own spacing counts as one already.
    expected = math.sqrt(sigma**2 + (step**2 - 0.5**2) / 12)
    assert width(np.arange(300.0, 1900.0, step), out) == pytest.approx(expected, rel=1e-3)


def test_averaging_lowers_noise_as_its_cells_grow() -> None:
    noise = np.random.default_rng(1).normal(size=(60, FINE.size))
    out = resample(FINE, noise, np.arange(300.0, 1900.0, 8.0), method="linear")
    # About 16 points in each cell.
    assert out.std() == pytest.approx(1 / 4, rel=0.06)


@pytest.mark.parametrize("spacing", [0.5, 2.0, 3.1])
@pytest.mark.parametrize(("s", "t"), [(8.0, 16.0), (10.0, 12.0), (12.0, 40.0)])
def test_resolution_widens_bands_in_quadrature(spacing: float, s: float, t: float) -> None:
    axis = np.arange(200.0, 2000.0, spacing)
    y = gaussian(axis, 1000.0, s / FWHM_PER_SIGMA)
    result = Resample(1.0, 300.0, 1900.0, resolution_cm1=t, from_resolution_cm1=s).apply(axis, y[np.newaxis])
    out = result.intensity[0]
    assert width(result.axis, out) * FWHM_PER_SIGMA == pytest.approx(t, rel=0.01)
    assert out.sum() == pytest.approx(s / FWHM_PER_SIGMA * math.sqrt(2 * math.pi), rel=5e-3)
    half = result.axis[out > out.max() / 2]
    assert half[-1] - half[0] == pytest.approx(t, abs=2.0)
    assert result.diagnostics["kernel_fwhm_cm1"] == pytest.approx(math.sqrt(t**2 - s**2))


def test_a_coarser_source_is_not_sharpened() -> None:
    y = gaussian(FINE, 1000.0, 10.0)
    raw = Spectrum(FINE, y, technique="raman", acquisition=Acquisition(resolution_cm1=24.0))
    after = Resample(2.0, resolution_cm1=8.0)(raw)
    np.testing.assert_allclose(after.intensity, np.interp(after.axis, FINE, y), atol=1e-12)
    assert "resolution_coarser_than_asked" in after.acquisition.flags
    assert after.acquisition.resolution_cm1 == 24.0


def test_the_spectrum_brings_its_resolution_and_gets_the_new_one() -> None:
    raw = Spectrum(
        FINE, gaussian(FINE, 900, 9), technique="raman", acquisition=Acquisition(resolution_cm1=6.0)
    )
    after = Resample(2.0, resolution_cm1=10.0)(raw)
    assert after.acquisition.resolution_cm1 == 10.0
    assert after.history[0].parameters["from_resolution_cm1"] == 6.0
    assert after.history[0].parameters["outcome"] == {"kernel_fwhm_cm1": pytest.approx(8.0)}
    assert not after.acquisition.flags
    assert Resample(2.0, resolution_cm1=6.0)(raw).acquisition == raw.acquisition


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=40),
    step=st.floats(0.05, 3),
    method=st.sampled_from(["pchip", "linear"]),
)
def test_nothing_overshoots_and_nothing_is_extrapolated(
    values: list[float], step: float, method: str
) -> None:
    y = np.array(values)
    axis = 100.0 + np.arange(y.size)
    # The ends themselves are inside, but for the rounding of the grid.
    grid = np.arange(95.0, 105.0 + y.size, step)
    grid = grid[(np.abs(grid - axis[0]) > 1e-6) & (np.abs(grid - axis[-1]) > 1e-6)]
    out = resample(axis, y, grid, method=method)
    inside = (grid >= axis[0]) & (grid <= axis[-1])
    np.testing.assert_array_equal(np.isnan(out), ~inside)
    tolerance = 1e-9 * max(1.0, np.abs(y).max())
    assert (out[inside] >= y.min() - tolerance).all()
    assert (out[inside] <= y.max() + tolerance).all()


@pytest.mark.parametrize("method", ["pchip", "linear"])
def test_on_its_own_grid_nothing_changes(method: str) -> None:
    rng = np.random.default_rng(2)
    axis = 300.0 + 2.0 * np.arange(200) - 0.002 * np.arange(200) ** 2
    X = rng.normal(size=(3, 200))
    np.testing.assert_allclose(resample(axis, X, axis, method=method), X, atol=1e-12)
    even = 150.0 + 3.0 * np.arange(1024)
    Y = rng.normal(size=(2, 1024))
    np.testing.assert_allclose(resample(even, Y, even, method=method), Y, atol=1e-12)


def test_a_straight_line_stays_one_up_to_the_ends() -> None:
    grid = np.arange(200.0, 1999.0, 7.3)
    np.testing.assert_allclose(resample(FINE, 2 * FINE + 1, grid), 2 * grid + 1, rtol=1e-12)
    out = Resample(9.0, resolution_cm1=30.0, from_resolution_cm1=4.0).apply(FINE, FINE[np.newaxis])
    np.testing.assert_allclose(out.intensity[0], out.axis, rtol=1e-12)


@pytest.mark.parametrize("step", [0.5, 2.0, 8.0])
def test_gaps_within_the_resolution_are_bridged_and_wider_ones_stay(step: float) -> None:
    axis = np.arange(200.0, 1200.0, 2.0)
    y = gaussian(axis, 600.0, 200.0)
    y[100:102] = np.nan  # 400, 402: a gap of 6 cm⁻¹, three spacings
    y[200:204] = np.nan  # 600 to 606: a gap of 10 cm⁻¹
    grid = np.arange(210.0, 1190.0, step)
    out = resample(axis, y, grid)
    expected = (grid > 598.0) & (grid < 608.0)
    np.testing.assert_array_equal(np.isnan(out), expected)
    wide = Resample(step, 210.0, 1189.0, from_resolution_cm1=12.0).apply(axis, y[np.newaxis]).intensity
    assert not np.isnan(wide).any()


def test_a_hole_in_the_axis_is_a_gap_and_a_coarser_part_is_not() -> None:
    axis = np.concatenate([np.arange(200.0, 400.0, 1.0), np.arange(500.0, 900.0, 4.0)])
    out = resample(axis, np.ones(axis.size), np.arange(200.0, 890.0, 2.0))
    grid = np.arange(200.0, 890.0, 2.0)
    np.testing.assert_array_equal(np.isnan(out), (grid > 399) & (grid < 500))


def test_a_point_alone_between_gaps_says_nothing_about_its_surroundings() -> None:
    y = np.full(FINE.size, np.nan)
    y[[100, 500, 501, 502]] = 1.0
    out = resample(FINE, y, FINE)
    np.testing.assert_array_equal(np.flatnonzero(~np.isnan(out)), [500, 501, 502])


def test_batch_with_different_gaps_is_each_on_its_own() -> None:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(6, FINE.size)).cumsum(axis=1)
    X[0, :100] = X[1, 50:400] = X[2, -3:] = X[5] = np.nan
    grid = np.arange(150.0, 2100.0, 3.0)
    batch = resample(FINE, X, grid)
    for row, out in zip(X, batch, strict=True):
        np.testing.assert_array_equal(resample(FINE, row, grid), out)


def test_grid_of_whole_multiples() -> None:
    grid = Resample(3.0).target(np.linspace(151.2, 3201.0, 700))
    assert grid[0] == 153.0
    assert grid[-1] == 3201.0
    common = Resample(3.0, 150.0, 3219.0).target(FINE)
    assert common.size == 1024
    assert common[-1] == 3219.0
    infrared = Resample(3.5, 400.0, 3980.5).target(FINE)
    assert infrared.size == 1024
    assert infrared[-1] == 3980.5


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Resample(), "step_cm1 must be given, or grid"),
        (Resample(2.0, grid=[1.0, 2.0]), "and not both"),
        (Resample(None, 3.0, grid=[1.0, 2.0]), "None with a grid"),
        (Resample(2.0, 500.0, 400.0), "start_cm1 must be below stop_cm1"),
        (Resample(5000.0), "small enough for two points"),
        (Resample(grid=[3.0, 2.0]), "grid must be finite and strictly ascending"),
        (Resample(2.0, method="cubic"), "one of pchip, linear"),
        (Resample(2.0, resolution_cm1=8.0), "from_resolution_cm1 must be given"),
        (Resample(9.0, resolution_cm1=8.0, from_resolution_cm1=4.0), r"at least the grid's step \(9 cm"),
    ],
)
def test_parameters_that_make_no_grid(step: Resample, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        step.apply(FINE, np.ones((1, FINE.size)))


def test_the_plain_function_checks_too() -> None:
    with pytest.raises(ParameterError, match="grid must be given"):
        resample(FINE, FINE, None)
    with pytest.raises(ParameterError, match="one of pchip"):
        resample(FINE, FINE, FINE, method="nearest")
    with pytest.raises(InvalidSpectrumError, match="differ in length"):
        resample(FINE, FINE[:-1], FINE)


def test_no_overlap_says_so() -> None:
    raw = Spectrum(FINE, FINE, technique="raman")
    with pytest.raises(InvalidSpectrumError, match=r"no measured point .*\(200 to 1999.5 cm.*3000 and 3100"):
        Resample(1.0, 3000.0, 3100.0)(raw)
