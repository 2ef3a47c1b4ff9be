"""Intensity correction of a simulated response, and the film check of simulated infrared spectra."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spectralid import Acquisition, Spectrum
from spectralid.calibration import (
    CalibrationError,
    IntensityCorrection,
    calibrate_axis,
    calibrate_intensity,
    check_film,
    correction_of_polynomial,
    intensity_standard,
)
from spectralid.errors import ParameterError, UnreadableFileError

AXIS = np.arange(150.0, 3400.0, 2.0)


def response(x: np.ndarray) -> np.ndarray:
    """A detector that loses sight towards the red."""
    return np.asarray(1 / (1 + np.exp((x - 2300) / 350)))


def glass(noise: float = 20.0, laser: float = 785.0) -> Spectrum:
    curve = np.nan_to_num(intensity_standard("2241").curve(AXIS))
    counts = 3e4 * curve * response(AXIS) + np.random.default_rng(1).normal(0, noise, AXIS.size)
    facts = Acquisition(laser_nm=laser, serial="S-1")
    return Spectrum(AXIS, counts, technique="raman", unit="counts", acquisition=facts)


def test_the_response_drops_out() -> None:
    correction = calibrate_intensity(glass(), "srm-2241")
    low, high = correction.valid_cm1
    assert low >= 200
    x = np.linspace(low + 60, min(high, 3000.0) - 60, 200)
    product = np.interp(x, correction.axis_cm1, correction.factor) * response(x)
    # 1 everywhere but for noise; its spread within what the record states beside the curve's 5 %.
    assert np.std(product / product.mean()) < 0.02
    assert min(correction.relative_sd) >= 0.05


def test_applied_to_a_sample() -> None:
    correction = calibrate_intensity(glass(), "srm-2241")
    true = 1000 + 500 * np.exp(-(((AXIS - 2000) / 15) ** 2)) + 500 * np.exp(-(((AXIS - 800) / 15) ** 2))
    sample = Spectrum(
        AXIS, true * response(AXIS), technique="raman", unit="counts", sd=np.full(AXIS.size, 2.0)
    )
    after = correction.apply(sample)
    bands = [np.nanmax(after.intensity[np.abs(AXIS - at) < 20]) for at in (800.0, 2000.0)]
    assert bands[1] / bands[0] == pytest.approx(1.0, abs=0.02)
    outside = (correction.valid_cm1[0] > AXIS) | (correction.valid_cm1[1] < AXIS)
    assert outside.any()
    np.testing.assert_array_equal(after.missing, outside)
    assert after.sd is not None
    assert np.argmax(after.sd[~outside]) > 0.9 * np.sum(~outside)  # noise grows where sight is lost
    assert after.history[-1].parameters["outcome"]["points_outside"] == outside.sum()
    with pytest.raises(CalibrationError, match="already"):
        correction.apply(after)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(CalibrationError, match="532"):
        calibrate_intensity(glass(laser=532.0), "srm-2241")
    with pytest.raises(CalibrationError, match="nowhere strong enough"):
        calibrate_intensity(glass(noise=1e6), "srm-2241")
    correction = calibrate_intensity(glass(), "srm-2241")
    infrared = Spectrum(AXIS, np.ones(AXIS.size), technique="ftir_atr", unit="absorbance")
    with pytest.raises(CalibrationError, match="Raman"):
        correction.apply(infrared)
    elsewhere = Spectrum([3500.0, 3600.0], [1.0, 2.0], technique="raman")
    with pytest.raises(CalibrationError, match="no point"):
        correction.apply(elsewhere)
    other = Spectrum(AXIS, np.ones(AXIS.size), technique="raman", acquisition=Acquisition(serial="S-2"))
    with pytest.raises(CalibrationError, match="S-2"):
        correction.apply(other)


def test_polynomial_of_the_instrument() -> None:
    correction = correction_of_polynomial([0.1, 0.001], [200.0, 300.0, 400.0])
    assert correction.factor == pytest.approx([1.0, 10**0.001, 10**0.002])
    for blank in ([float("nan")], [0.0, 1e30]):
        with pytest.raises(ParameterError, match="log10_coefficients"):
            correction_of_polynomial(blank, [200.0, 300.0])


def test_record_round_trip_and_damage() -> None:
    correction = calibrate_intensity(glass(), "srm-2241")
    assert IntensityCorrection.from_json(correction.to_json()) == correction
    document = json.loads(correction.to_json())
    document["calibration"]["factor"][3] *= 1.01
    with pytest.raises(UnreadableFileError, match="changed"):
        IntensityCorrection.from_json(json.dumps(document))


FILM = {3060.0: 0.5, 2849.5: 0.5, 1942.9: 0.15, 1601.2: 0.5, 1583.0: 0.25, 1154.5: 0.2, 1028.3: 0.4}


def film(offset: float = 0.0, width: float = 5.0) -> Spectrum:
    x = np.arange(600.0, 3500.0, 1.0)
    absorbance = 0.03 + sum(h / (1 + ((x - p - offset) / width) ** 2) for p, h in FILM.items())
    absorbance += np.random.default_rng(1).normal(0, 2e-4, x.size)
    return Spectrum(x, 100 * 10.0**-absorbance, technique="ftir_transmission", unit="percent_transmittance")


def test_a_good_film_passes() -> None:
    checks = check_film(film(width=3.0))
    assert len(checks) == 9
    assert all(check.passed for check in checks), checks


def test_a_shifted_axis_fails_by_position() -> None:
    failed = [check for check in check_film(film(offset=2.0, width=3.0)) if not check.passed]
    assert len(failed) >= 7
    assert failed[0].found == pytest.approx(failed[0].wanted + 2.0, abs=0.3)


def test_poor_resolution_fails_by_depth() -> None:
    checks = check_film(film(width=14.0))
    assert [c.passed for c in checks if "step" in c.what] == [False, False] or not checks[-1].passed


def test_depths_need_transmission() -> None:
    atr = film().replace(technique="ftir_atr")
    assert not any("step" in check.what for check in check_film(atr))


def test_film_refuses_what_is_no_film() -> None:
    with pytest.raises(CalibrationError, match="None of the bands"):
        check_film(Spectrum(np.arange(600.0, 3500.0), np.full(2900, 50.0), technique="ftir_transmission",
                            unit="percent_transmittance"))  # fmt: skip
    with pytest.raises(CalibrationError, match="infrared"):
        check_film(Spectrum([1.0, 2.0], [1.0, 2.0], technique="raman"))


def test_the_film_calibrates_an_infrared_axis() -> None:
    made = calibrate_axis(film(offset=2.0, width=3.0), "polystyrene")
    assert made.standard == "polystyrene-film"
    assert made.shift_cm1 == pytest.approx(-2.0, abs=0.3)
    assert 2849.5 not in [p.standard_cm1 for p in made.peaks]
