"""Peak positions against simulated truth: bias, stated uncertainty, and bands that must not be used."""

from __future__ import annotations

import numpy as np
import pytest

from spectralid import Spectrum
from spectralid.calibration import find_peaks
from spectralid.errors import ParameterError
from tests.calibration.simulated import bands, spectrum, voigt

HEIGHTS = (1.0, 0.3, 0.6, 0.15, 0.8)


def study(
    step: float, gauss: float, lorentz: float, counts: float, *, known: bool, runs: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Errors in pixels and in stated standard deviations of 5 bands in each of `runs` spectra."""
    rng = np.random.default_rng(7)
    errors, scores = [], []
    axis = np.arange(200.0, 1800.0, step)
    for _ in range(runs):
        centres = np.array([400.0, 700.0, 1000.0, 1300.0, 1600.0]) + rng.uniform(-step, step, 5)
        made = spectrum(
            dict(zip(centres.tolist(), HEIGHTS, strict=True)), rng,
            axis=axis, counts=counts, gauss=gauss, lorentz=lorentz, known_noise=known,
        )  # fmt: skip
        peaks = [p for p in find_peaks(made) if not p.problem]
        for centre in centres:
            near = [p for p in peaks if abs(p.position_cm1 - centre) < gauss]
            if near:
                errors.append((near[0].position_cm1 - centre) / step)
                scores.append((near[0].position_cm1 - centre) / near[0].sd_cm1)
    assert len(errors) >= 0.9 * 5 * runs
    return np.array(errors), np.array(scores)


CASES = [
    (1.0, 8.0, 4.0, 1e4),
    (2.0, 8.0, 4.0, 1e4),
    (4.0, 8.0, 4.0, 1e4),
    (2.0, 6.0, 10.0, 1e4),
    (3.0, 4.0, 2.0, 1e5),
]


@pytest.mark.parametrize("known", [True, False])
def test_unbiased_and_as_sure_as_it_says(known: bool) -> None:
    every = []
    for case in CASES:
        errors, scores = study(*case, known=known)
        every.append(scores)
        # Bias below 2 % of a pixel, as far as so many spectra can tell.
        assert abs(errors.mean()) < 0.02 + 3 * errors.std() / np.sqrt(errors.size), case
    z = np.concatenate(every)
    # 200 bands: two and a half standard errors are 8 % and 4 %.
    assert np.mean(np.abs(z) < 1.0) == pytest.approx(0.683, abs=0.08)
    assert 0.90 <= np.mean(np.abs(z) < 1.96) <= 0.99


def test_interpolated_points_are_not_taken_for_more_information() -> None:
    """An axis interpolated to twice the points holds no more than the coarse one."""
    rng = np.random.default_rng(3)
    scores = []
    coarse = np.arange(200.0, 1200.0, 3.0)
    fine = np.arange(205.0, 1190.0, 1.5)
    for _ in range(12):
        centres = np.array([400.0, 700.0, 1000.0]) + rng.uniform(-2, 2, 3)
        made = spectrum(bands(centres.tolist()), rng, axis=coarse, counts=5e3, gauss=9.0)
        resampled = Spectrum(fine, np.interp(fine, coarse, made.intensity), technique="raman", unit="counts")
        peaks = find_peaks(resampled)
        for centre in centres:
            near = [p for p in peaks if abs(p.position_cm1 - centre) < 6 and not p.problem]
            if near:
                scores.append((near[0].position_cm1 - centre) / near[0].sd_cm1)
    assert len(scores) > 30
    assert np.mean(np.abs(scores) < 1.96) > 0.88


def test_bands_that_touch_do_not_pull_each_other() -> None:
    rng = np.random.default_rng(5)
    pulls = []
    for _ in range(10):
        made = spectrum(
            {1583.1: 0.3, 1602.3: 1.0}, rng, axis=np.arange(1400.0, 1800.0, 2.0), counts=1e5, gauss=9.0
        )
        peaks = [p for p in find_peaks(made) if not p.problem]
        near = min(peaks, key=lambda p: abs(p.position_cm1 - 1583.1))
        pulls.append((near.position_cm1 - 1583.1, near.sd_cm1))
    assert abs(np.mean([p for p, _ in pulls])) < 0.3


def test_the_top_of_a_skewed_band_is_found() -> None:
    x = np.arange(900.0, 1200.0, 0.5)
    y = 1000 * np.where(x < 1050, np.exp(-(((x - 1050) / 16) ** 2)), np.exp(-(((x - 1050) / 10) ** 2))) + 50
    noisy = y + np.random.default_rng(2).normal(0, 1.0, x.size)
    (peak,) = [p for p in find_peaks(Spectrum(x, noisy, technique="raman")) if not p.problem]
    centre_of_gravity = np.average(x, weights=y - 50)
    assert centre_of_gravity < 1047
    assert peak.position_cm1 == pytest.approx(1050, abs=1.3)


def flat_background(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(200.0, 1800.0, 2.0)
    return x, 500 + rng.normal(0, 3, x.size)


def problem_near(made: Spectrum, position: float) -> str:
    near = [p for p in find_peaks(made) if abs(p.position_cm1 - position) < 25]
    return near[0].problem if near else "not found"


def test_saturated_band_is_not_used() -> None:
    x, y = flat_background(np.random.default_rng(1))
    y = np.minimum(y + 80000 * voigt(x, 1000.0, 20.0, 4.0), 65535.0) + 2000 * voigt(x, 1400.0, 10.0, 2.0)
    made = Spectrum(x, np.minimum(y, 65535.0), technique="raman", unit="counts")
    assert problem_near(made, 1000.0) == "saturated"
    assert problem_near(made, 1400.0) == ""


def test_band_at_the_edge_is_not_used() -> None:
    x, y = flat_background(np.random.default_rng(1))
    y += 5000 * voigt(x, 1797.0, 12.0, 4.0) + 5000 * voigt(x, 1000.0, 12.0, 4.0)
    made = Spectrum(x, y, technique="raman", unit="counts")
    assert problem_near(made, 1797.0) != ""
    assert problem_near(made, 1000.0) == ""


def test_spike_is_not_used() -> None:
    x, y = flat_background(np.random.default_rng(1))
    y += 5000 * voigt(x, 1000.0, 12.0, 4.0)
    y[300] += 4000
    made = Spectrum(x, y, technique="raman", unit="counts")
    assert problem_near(made, x[300]) != ""


def test_noise_alone_has_no_usable_band() -> None:
    x, y = flat_background(np.random.default_rng(4))
    assert [p for p in find_peaks(Spectrum(x, y, technique="raman")) if not p.problem] == []


def test_missing_points_are_left_out() -> None:
    rng = np.random.default_rng(8)
    made = spectrum({1001.4: 1.0, 1602.3: 0.5}, rng, axis=np.arange(600.0, 1800.0, 2.0), counts=1e5)
    y = made.intensity.copy()
    y[np.abs(made.axis - 1001.4) < 3] = np.nan
    holes = Spectrum(made.axis, y, technique="raman", unit="counts")
    good = [p for p in find_peaks(holes) if not p.problem]
    assert min(abs(p.position_cm1 - 1602.3) for p in good) < 0.2
    for peak in good:
        if abs(peak.position_cm1 - 1001.4) < 10:
            assert abs(peak.position_cm1 - 1001.4) < 4 * peak.sd_cm1


def test_transmittance_is_refused() -> None:
    flat = Spectrum([400.0, 500.0], [1.0, 0.5], technique="ftir_transmission", unit="transmittance")
    with pytest.raises(ParameterError, match="absorbance"):
        find_peaks(flat)


def test_nothing_to_see_in_a_constant() -> None:
    assert find_peaks(Spectrum(np.arange(100.0), np.ones(100), technique="raman")) == ()
