"""Wavelength and Raman shift against published pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.calibration import raman_shift, wavelength
from spectralid.errors import ParameterError

SHIFTS = (200.0, 1001.4, 3054.3)
# Wavelengths in nm of the three shifts, by hand from 10⁷/λ₀ − Δν.
VECTORS = {
    532: (537.721, 561.937, 635.215),
    633: (641.117, 675.841, 784.714),
    785: (797.521, 851.974, 1032.572),
    830: (844.011, 905.240, 1111.866),
    1064: (1087.134, 1190.888, 1576.244),
}


@pytest.mark.parametrize("laser", VECTORS)
def test_published_pairs(laser: float) -> None:
    np.testing.assert_allclose(wavelength(SHIFTS, laser), VECTORS[laser], atol=6e-4)
    # A thousandth of a nm is up to 0.04 cm⁻¹.
    np.testing.assert_allclose(raman_shift(VECTORS[laser], laser), SHIFTS, atol=0.04)


@given(shift=st.floats(-2000, 4000), laser=st.floats(400, 1100))
def test_one_undoes_the_other(shift: float, laser: float) -> None:
    assert raman_shift(wavelength(shift, laser), laser) == pytest.approx(shift, abs=1e-6)


@pytest.mark.parametrize(("call", "word"), [
    (lambda: raman_shift([800.0], 0.0), "laser_nm"),
    (lambda: raman_shift([800.0, -1.0], 785.0), "wavelength_nm"),
    (lambda: raman_shift([800.0], float("nan")), "laser_nm"),
    (lambda: wavelength([13000.0], 785.0), "shift_cm1"),
])  # fmt: skip
def test_what_no_light_has_is_refused(call: object, word: str) -> None:
    with pytest.raises(ParameterError, match=word):
        call()  # type: ignore[operator]
