"""Normalization against its definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from spectralid import Spectrum
from spectralid.errors import InvalidSpectrumError
from spectralid.preprocess import Normalize
from tests.preprocess._data import AXIS, absorbing, spectra

METHODS = ["snv", "vector", "area", "max", "minmax"]


def with_gaps() -> np.ndarray:
    X = spectra(6)
    X[0, 3:9] = np.nan
    X[1, -40:] = np.nan
    X[2, 100] = np.nan
    return X


def test_snv_has_mean_0_and_sd_1() -> None:
    out = Normalize("snv").transform(with_gaps())
    np.testing.assert_allclose(np.nanmean(out, axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(np.nanstd(out, axis=1, ddof=1), 1)


def test_vector_has_length_1() -> None:
    np.testing.assert_allclose(np.nansum(Normalize("vector").transform(with_gaps()) ** 2, axis=1), 1)


def test_area_is_1() -> None:
    for row in Normalize("area", axis=AXIS).transform(with_gaps()):
        known = ~np.isnan(row)
        assert trapezoid(row[known], AXIS[known]) == pytest.approx(1)


def test_max_and_minmax() -> None:
    X = with_gaps()
    np.testing.assert_allclose(np.nanmax(Normalize("max").transform(X), axis=1), 1)
    out = Normalize("minmax").transform(X)
    np.testing.assert_array_equal(np.nanmin(out, axis=1), 0)
    np.testing.assert_array_equal(np.nanmax(out, axis=1), 1)


@pytest.mark.parametrize("method", METHODS)
@given(factor=st.floats(1e-200, 1e150), offset=st.floats(-1, 1))
def test_strength_does_not_matter(method: str, factor: float, offset: float) -> None:
    X = spectra(2)
    if method in ("snv", "minmax"):
        X = X + offset
    step = Normalize(method, axis=AXIS)
    if method == "snv":
        factor = max(factor, 1e-140)  # squares of the deviations would leave the range of the numbers
    np.testing.assert_allclose(step.transform(factor * X), step.transform(spectra(2)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_diagnostics_undo_it(method: str) -> None:
    X = with_gaps()
    result = Normalize(method).apply(AXIS, X)
    scale, offset = (result.diagnostics[k][:, np.newaxis] for k in ("scale", "offset"))
    np.testing.assert_allclose(result.intensity * scale + offset, X)


@pytest.mark.parametrize(
    ("method", "row", "words"),
    [
        ("snv", np.full(300, 0.1), "all its points are equal"),
        ("minmax", np.full(300, 7.3), "all its points are equal"),
        ("vector", np.zeros(300), "all its points are zero"),
        ("area", -np.ones(300), "area is not positive"),
        ("area", np.sin(AXIS * np.pi / 2), "area is not positive"),
        ("max", -np.ones(300), "highest point is not positive"),
        ("max", np.zeros(300), "highest point is not positive"),
    ],
)
def test_spectra_without_a_scale_are_refused(method: str, row: np.ndarray, words: str) -> None:
    X = np.concatenate([spectra(2), row[np.newaxis]])
    with pytest.raises(InvalidSpectrumError, match=f"Spectrum 2 cannot be normalized.*{words}"):
        Normalize(method).apply(AXIS, X)


def test_standard_deviation_follows() -> None:
    y = spectra(1)[0]
    spectrum = absorbing(y, sd=0.01 * np.ones(AXIS.size))
    after = Normalize("max")(spectrum)
    assert after.sd == pytest.approx(0.01 / y.max())
    assert after.unit == "arbitrary"
    assert isinstance(after, Spectrum)
