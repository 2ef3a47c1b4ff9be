"""Broadening: area, width and the Raman factor against theory."""

from __future__ import annotations

import broaden
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st


def test_grids_are_the_librarys() -> None:
    assert (broaden.RAMAN_GRID[0], broaden.RAMAN_GRID[-1], len(broaden.RAMAN_GRID)) == (150, 3219, 1024)
    assert (broaden.INFRARED_GRID[0], broaden.INFRARED_GRID[-1], len(broaden.INFRARED_GRID)) == (
        400,
        3980.5,
        1024,
    )


@given(
    st.lists(st.tuples(st.floats(900, 3000), st.floats(0.1, 50)), min_size=1, max_size=5),
    st.floats(6, 60),
)
def test_area_is_conserved(lines: list[tuple[float, float]], fwhm: float) -> None:
    frequencies, areas = np.array(lines).T
    far = np.arange(-100_000.0, 100_000.0, 1.5)
    total = broaden.broaden(frequencies, areas, fwhm, far).sum() * 1.5
    # The share of a Lorentzian beyond 1e5 cm-1 is fwhm / (pi 1e5).
    assert total == pytest.approx(areas.sum(), rel=3e-4)


def test_line_is_half_as_high_half_a_width_away() -> None:
    grid = np.array([1000.0, 1010.0, 990.0])
    top, right, left = broaden.broaden(np.array([1000.0]), np.array([2.0]), 20.0, grid)
    assert top == pytest.approx(2.0 / (np.pi * 10))
    assert right == pytest.approx(top / 2)
    assert left == pytest.approx(top / 2)


def test_widths_may_differ_by_line_and_imaginary_modes_are_left_out() -> None:
    grid = np.array([500.0, 1500.0])
    spectrum = broaden.broaden(
        np.array([-500.0, 500.0, 1500.0]), np.ones(3), np.array([1.0, 10.0, 40.0]), grid
    )
    assert spectrum == pytest.approx([1 / (np.pi * 5), 1 / (np.pi * 20)], rel=1e-3)


def test_raman_factor_against_written_out_theory() -> None:
    # 532 nm, 3000 against 1000 cm-1, at 300 K; h c / k T from CODATA.
    h, c, k, temperature = 6.62607015e-34, 2.99792458e10, 1.380649e-23, 300.0

    def power(v: float) -> float:
        return (1e7 / 532 - v) ** 4 / (v * (1 - np.exp(-h * c * v / (k * temperature))))

    found = broaden.raman_factor(np.array([1000.0, 3000.0]), 532, temperature)
    assert found == pytest.approx([1.0, power(3000.0) / power(1000.0)], rel=1e-9)


def test_longer_wavelengths_weaken_high_shifts_more() -> None:
    high = np.array([3000.0])
    assert (
        broaden.raman_factor(high, 1064) < broaden.raman_factor(high, 785) < broaden.raman_factor(high, 532)
    )


@given(st.floats(30, 3500), st.sampled_from([532.0, 785.0, 1064.0]))
def test_slope_is_the_derivative_of_the_logarithm(v: float, laser_nm: float) -> None:
    ends = np.log(broaden.raman_factor(np.array([v - 0.01, v + 0.01]), laser_nm))
    slope = broaden.raman_factor_slope(np.array([v]), laser_nm)[0]
    assert slope == pytest.approx((ends[1] - ends[0]) / 0.02, rel=1e-4)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="widths must be positive"):
        broaden.broaden(np.array([1.0]), np.array([1.0]), 0.0, broaden.RAMAN_GRID)
    with pytest.raises(ValueError, match="must be positive"):
        broaden.raman_factor(np.array([1.0]), -785)


def test_spectra_use_the_right_strengths() -> None:
    grid = np.array([800.0, 1600.0])
    infrared = broaden.infrared_spectrum(np.array([800.0, 1600.0]), np.array([1.0, 3.0]), 2.0, grid)
    assert infrared[1] / infrared[0] == pytest.approx(3.0, rel=1e-4)
    raman = broaden.raman_spectrum(np.array([800.0, 1600.0]), np.array([1.0, 3.0]), 785, 2.0, grid)
    factors = broaden.raman_factor(grid, 785)
    assert raman[1] / raman[0] == pytest.approx(3.0 * factors[1] / factors[0], rel=1e-4)
