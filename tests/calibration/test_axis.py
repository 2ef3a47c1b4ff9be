"""Axis calibration of simulated instruments: what was put in comes out; what cannot be told is refused."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest

from spectralid import Acquisition, Spectrum
from spectralid.calibration import (
    AxisCalibration,
    CalibrationError,
    calibrate_axis,
    load_calibration,
    wavelength,
)
from spectralid.errors import ParameterError, UnreadableFileError
from tests.calibration.simulated import POLYSTYRENE, bands, spectrum


def instrument(shift: float, stretch: float = 0.0) -> AxisCalibration:
    """Calibration of an instrument whose axis is off by `shift` and `stretch` about 1500 cm⁻¹."""
    rng = np.random.default_rng(int(100 * shift) % 1000)
    shown = spectrum(POLYSTYRENE, rng, shown=lambda x: x + shift + stretch * (x - 1500))
    return calibrate_axis(shown, "polystyrene")


@pytest.fixture(scope="module")
def calibration() -> AxisCalibration:
    rng = np.random.default_rng(11)
    facts = Acquisition(
        instrument="simulated", serial="S-1", laser_nm=785.0, time="2026-01-02T03:04:05+00:00"
    )
    shown = spectrum(POLYSTYRENE, rng, shown=lambda x: x + 6.0 + 0.003 * (x - 1500), acquisition=facts)
    return calibrate_axis(shown, "polystyrene", order=1)


@pytest.mark.parametrize(
    ("shift", "stretch"), [(0.0, 0.0), (-21.0, 0.0), (12.0, 0.003), (20.0, -0.002), (-7.0, 0.004)]
)
def test_what_was_put_in_comes_out(shift: float, stretch: float) -> None:
    made = instrument(shift, stretch)
    true = np.array([620.9, 1001.4, 1602.3, 3054.3])
    shown = true + shift + stretch * (true - 1500)
    off = shown + made.correction(shown) - true
    # The standard itself is exact here: only the fit's own part of the uncertainty may show.
    own = np.sqrt(made.correction_sd(shown) ** 2 - made.common_sd_cm1**2)
    assert np.all(np.abs(off) < 3 * own + 0.05)
    assert np.all(np.abs(off) < 1.0)


def test_the_correction_is_what_has_to_be_added() -> None:
    made = instrument(12.0)
    assert made.shift_cm1 == pytest.approx(-12.0, abs=0.3)
    assert made.prior().shift_cm1 == made.shift_cm1
    assert made.prior().shift_sd_cm1 >= 0.6  # no better than the standard is known


def test_a_shift_beyond_reach_is_refused() -> None:
    with pytest.raises(CalibrationError, match="do not look like"):
        instrument(45.0)


@pytest.mark.parametrize("other", ["acetaminophen", "cyclohexane", "naphthalene", "sulfur"])
def test_another_substance_is_refused(other: str) -> None:
    shown = spectrum(POLYSTYRENE, np.random.default_rng(1))
    with pytest.raises(CalibrationError):
        calibrate_axis(shown, other)


def test_bands_that_can_be_read_in_two_ways_are_refused() -> None:
    # Every band twice, 20 cm⁻¹ apart.
    both = {p + d: h for p, h in POLYSTYRENE.items() for d in (-10.0, 10.0)}
    shown = spectrum(both, np.random.default_rng(1), counts=1e5, gauss=5.0)
    with pytest.raises(CalibrationError, match="two ways"):
        calibrate_axis(shown, "polystyrene")


def test_a_band_that_does_not_fit_the_others_is_left_out() -> None:
    moved = {(p + 5.0 if p == 1155.3 else p): h for p, h in POLYSTYRENE.items()}
    made = calibrate_axis(spectrum(moved, np.random.default_rng(1)), "polystyrene", order=0)
    assert [p.standard_cm1 for p in made.peaks if not p.used] in ([1155.3], [])
    assert abs(made.shift_cm1) < 0.6
    assert 1155.3 not in [p.standard_cm1 for p in made.peaks if p.used]


def test_bands_left_out_are_predicted_within_what_is_stated() -> None:
    scores = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        # A standard as uncertain as the list says it is.
        moved = {
            p + rng.normal(0, 0.6 if p < 1400 or 1580 < p < 1610 else 1.5): h for p, h in POLYSTYRENE.items()
        }
        made = calibrate_axis(spectrum(moved, rng), "polystyrene", order=1)
        scores += [(p.left_out_cm1 or 0.0) / (p.left_out_sd_cm1 or 1.0) for p in made.peaks if p.used]
    assert len(scores) > 35
    assert 0.88 <= np.mean(np.abs(scores) < 1.96) <= 1.0
    assert 0.5 < np.std(scores) < 1.4


def test_too_few_bands() -> None:
    shown = spectrum({801.3: 1.0}, np.random.default_rng(1), axis=np.arange(700.0, 1000.0, 2.0))
    with pytest.raises(CalibrationError, match=r"1 of the 11 bands|do not look like|look more like"):
        calibrate_axis(shown, "cyclohexane")


def test_one_line_gives_a_shift_only() -> None:
    shown = spectrum({520.45 + 3.0: 1.0}, np.random.default_rng(1), axis=np.arange(300.0, 1200.0, 1.5))
    made = calibrate_axis(shown, "silicon")
    assert made.shift_cm1 == pytest.approx(-3.0, abs=0.1)
    assert made.degrees == 0
    assert made.prior().stretch == 0.0
    assert made.prior().stretch_sd > 0.001  # not known, not zero
    with pytest.raises(CalibrationError, match="do not support"):
        calibrate_axis(shown, "silicon", order=1)


def test_a_wavelength_error_is_best_corrected_in_wavelengths() -> None:
    def shown(true: np.ndarray) -> np.ndarray:
        return np.asarray(1e7 / 785 - 1e7 / (wavelength(true, 785.0) + 0.6))

    made = spectrum(POLYSTYRENE, np.random.default_rng(2), shown=shown)
    in_nm = calibrate_axis(made, "polystyrene", order=0, space="wavelength", laser_nm=785.0)
    assert in_nm.coefficients[0] == pytest.approx(-0.6, abs=0.03)
    true = np.array([620.9, 3054.3])
    left = shown(true) + in_nm.correction(shown(true)) - true
    assert np.abs(left).max() < 0.3
    in_shift = calibrate_axis(made, "polystyrene", order=0)
    assert np.abs(shown(true) + in_shift.correction(shown(true)) - true).max() > 0.8
    # The slope follows from the wavelength without being fitted, and is known.
    assert in_nm.prior().stretch > 0
    assert in_nm.prior().stretch_sd < 0.001


def test_apply(calibration: AxisCalibration) -> None:
    sample = spectrum(bands([900.0]), np.random.default_rng(3), shown=lambda x: x + 6.0 + 0.003 * (x - 1500))
    after = calibration.apply(sample)
    assert after.axis[np.argmax(after.intensity)] == pytest.approx(900.0, abs=1.5)
    np.testing.assert_array_equal(after.intensity, sample.intensity)
    step = after.history[-1]
    assert step.name == "axis_calibration"
    assert step.parameters["sha256"] == calibration.sha256
    assert {"axis_calibrated", "axis_extrapolated"} <= after.acquisition.flags
    with pytest.raises(CalibrationError, match="already"):
        calibration.apply(after)


@pytest.mark.parametrize(("facts", "technique", "word"), [
    (Acquisition(serial="S-2"), "raman", "S-2"),
    (Acquisition(laser_nm=532.0), "raman", "532"),
    (Acquisition(), "ftir_atr", "infrared|ftir_atr"),
    (Acquisition(), "unknown", "unknown"),
])  # fmt: skip
def test_what_it_is_not_for(
    calibration: AxisCalibration, facts: Acquisition, technique: str, word: str
) -> None:
    other = Spectrum([400.0, 500.0, 600.0], [1.0, 2.0, 1.0], technique=technique, acquisition=facts)
    with pytest.raises(CalibrationError, match=word):
        calibration.apply(other)


def test_uncertainty_grows_away_from_the_bands(calibration: AxisCalibration) -> None:
    sd = calibration.correction_sd(np.array([calibration.pivot_cm1, 3500.0, 5000.0]))
    assert sd[0] < sd[1] < sd[2]
    covariance = calibration.shift_stretch_covariance
    assert covariance.shape == (2, 2)
    assert math.sqrt(covariance[0, 0]) == pytest.approx(float(sd[0]))
    # At the pivot, chosen for it, shift and stretch go apart.
    assert abs(covariance[0, 1]) < 0.2 * math.sqrt(covariance[0, 0] * covariance[1, 1])


def test_record_keeps_everything(calibration: AxisCalibration, tmp_path: object) -> None:
    again = AxisCalibration.from_json(calibration.to_json())
    assert again == calibration
    assert again.sha256 == calibration.sha256
    assert pickle.loads(pickle.dumps(calibration)) == calibration
    assert (calibration.serial, calibration.laser_nm) == ("S-1", 785.0)


@pytest.mark.parametrize("change", [
    lambda d: d["calibration"].update(serial="S-9"),
    lambda d: d["calibration"]["coefficients"].__setitem__(0, 1.0),
    lambda d: d.update(version=2),
    lambda d: d.update(format="spectralid-intensity-correction"),
    lambda d: d.pop("sha256"),
    lambda d: d.update(calibration=[]),
])  # fmt: skip
def test_changed_record_is_refused(calibration: AxisCalibration, change: object) -> None:
    document = json.loads(calibration.to_json())
    change(document)  # type: ignore[operator]
    with pytest.raises(UnreadableFileError):
        AxisCalibration.from_json(json.dumps(document))


@pytest.mark.parametrize("field", [
    {"coefficients": []},
    {"covariance": [[1.0]]},
    {"pivot_cm1": 9000.0},
    {"space": "pixels"},
    {"common_sd_cm1": -1.0},
    {"technique": "x-ray"},
    {"peaks": [{}]},
    {"nonsense": 1},
])  # fmt: skip
def test_record_that_makes_no_sense_is_refused(
    calibration: AxisCalibration, field: dict[str, object]
) -> None:
    with pytest.raises(CalibrationError):
        AxisCalibration.from_dict({**calibration.to_dict(), **field})


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"format": 1}', b"[" * 100000])
def test_no_record(content: bytes, tmp_path: object) -> None:
    file = tmp_path / "record.json"  # type: ignore[operator]
    file.write_bytes(content)
    with pytest.raises(UnreadableFileError, match=r"record\.json"):
        load_calibration(file)


def test_arguments() -> None:
    shown = Spectrum(np.arange(300.0), np.ones(300), technique="raman")
    with pytest.raises(ParameterError, match="order"):
        calibrate_axis(shown, "polystyrene", order=3)
    with pytest.raises(ParameterError, match="laser_nm"):
        calibrate_axis(shown, "polystyrene", space="wavelength")
    with pytest.raises(CalibrationError, match="technique"):
        calibrate_axis(shown.replace(technique="unknown"), "polystyrene")
    with pytest.raises(CalibrationError, match="No band"):
        calibrate_axis(shown, "polystyrene")
