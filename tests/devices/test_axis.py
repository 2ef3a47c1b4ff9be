import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.devices.axis import raman_shift, wavelength
from spectralid.errors import ParameterError

SHIFTS = (200.0, 1001.4, 3054.3)


@pytest.mark.parametrize(
    ("laser_nm", "wavelengths"),
    [
        (532, (537.721, 561.937, 635.215)),
        (633, (641.117, 675.841, 784.714)),
        (785, (797.521, 851.974, 1032.572)),
        (830, (844.011, 905.240, 1111.866)),
        (1064, (1087.134, 1190.888, 1576.244)),
    ],
)
def test_published_values(laser_nm, wavelengths):
    np.testing.assert_allclose(wavelength(SHIFTS, laser_nm), wavelengths, atol=6e-4)
    # 0.0005 nm of rounding is up to 0.018 cm⁻¹ at 532 nm.
    np.testing.assert_allclose(raman_shift(wavelengths, laser_nm), SHIFTS, atol=0.02)


@given(st.floats(400, 1100), st.floats(-500, 4000))
def test_inverse(laser_nm, shift):
    assert raman_shift(wavelength(shift, laser_nm), laser_nm) == pytest.approx(shift, abs=1e-6)


def test_laser_line_is_zero_and_stokes_positive():
    shift = raman_shift([780.0, 785.0, 790.0], 785.0)
    assert shift[0] < 0 == shift[1] < shift[2]


@pytest.mark.parametrize(("nm", "laser"), [([0.0, 800.0], 785.0), ([800.0], 0.0), ([800.0], float("nan"))])
def test_impossible_wavelengths(nm, laser):
    with pytest.raises(ParameterError, match="above 0"):
        raman_shift(nm, laser)
