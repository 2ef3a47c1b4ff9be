from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.identify.quality import MINIMUM_SNR, SignalQuality, signal_quality
from spectralid.spectrum import Acquisition, Spectrum, Technique
from tests.identify.builders import GRID, bands, raman, substance, with_noise


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), sd=st.sampled_from([0.01, 1.0, 300.0]))
@pytest.mark.parametrize("step", [0.5, 1.0, 3.0])
def test_noise_is_found_whatever_bands_and_background(step: float, seed: int, sd: float) -> None:
    axis = np.arange(150.0, 3219.0, step)
    clean = 40 * sd * substance(axis, seed) + sd * (1000 + 0.1 * axis)
    quality = signal_quality(raman(with_noise(clean, sd, seed), axis))
    assert quality.noise_sd == pytest.approx(sd, rel=0.15)


def test_noise_on_an_uneven_axis() -> None:
    rng = np.random.default_rng(1)
    axis = 150.0 + np.cumsum(rng.uniform(1.0, 3.0, 1500))
    quality = signal_quality(raman(with_noise(5.0 * axis, 2.0), axis))
    assert quality.noise_sd == pytest.approx(2.0, rel=0.15)


def test_interpolated_noise_is_not_taken_for_much_less() -> None:
    coarse = np.arange(150.0, 3219.0, 2.0)
    fine = np.arange(150.0, 3217.0, 0.5)
    noise = np.interp(fine, coarse, np.random.default_rng(3).normal(0, 1.0, coarse.size))
    quality = signal_quality(raman(noise, fine))
    assert quality.noise_sd is not None
    # Differences of next neighbours would find a fifth of it.
    assert 0.7 * noise.std() < quality.noise_sd < 1.1 * noise.std()


@pytest.mark.parametrize("snr", [15.0, 50.0, 400.0])
def test_snr_is_band_height_over_noise(snr: float) -> None:
    axis = np.arange(200.0, 2400.0, 1.0)
    clean = 1000.0 * bands(axis, [1001.0], [1.0]) + 3.0 * axis
    quality = signal_quality(raman(with_noise(clean, 1000.0 / snr), axis))
    assert quality.snr == pytest.approx(snr, rel=0.25)
    assert quality.strongest_cm1 == pytest.approx(1001.0, abs=4.0)
    assert quality.problems == ()
    assert quality.advice == ()


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_pure_noise_is_poor_signal_with_advice(seed: int) -> None:
    quality = signal_quality(raman(with_noise(np.full(GRID.size, 100.0), 1.0, seed)))
    assert quality.snr is not None
    assert quality.snr < MINIMUM_SNR
    assert quality.problems == ("low_snr",)
    assert "FTIR" in quality.advice[0]


def test_advice_asks_for_as_much_time_as_is_needed() -> None:
    axis = np.arange(200.0, 2400.0, 3.0)
    advice = []
    for snr in (8.0, 4.0):
        clean = bands(axis, [1001.0], [snr])
        advice += signal_quality(raman(with_noise(clean, 1.0), axis)).advice
    assert "4×" in advice[0]
    assert "16×" in advice[1]


def test_infrared_is_not_told_to_try_infrared() -> None:
    noise = np.random.default_rng(0).normal(0, 1, 900)
    spectrum = Spectrum(np.linspace(650, 4000, 900), noise, technique=Technique.FTIR_ATR)
    assert "FTIR" not in signal_quality(spectrum).advice[0]


@pytest.mark.parametrize("value", [0.0, 5.0, -1e9])
def test_constant_is_nothing_measured(value: float) -> None:
    quality = signal_quality(raman(np.full(GRID.size, value)))
    assert quality.problems == ("constant",)
    assert quality.snr is None
    assert "laser" in quality.advice[0]


def test_a_flat_top_is_saturation() -> None:
    clean = with_noise(70_000.0 * bands(GRID, [1000.0, 1600.0], [1.0, 0.5], 30.0), 50.0)
    quality = signal_quality(raman(np.minimum(clean, 65_535.0 * 0.5)))
    assert quality.saturated_points >= 5
    assert "saturated" in quality.problems
    assert signal_quality(raman(clean)).saturated_points == 0


def test_a_saturation_flag_of_the_instrument_counts() -> None:
    spectrum = raman(substance(GRID, 1), acquisition=Acquisition(flags=frozenset({"saturated"})))
    assert "saturated" in signal_quality(spectrum).problems


def test_range_and_gaps() -> None:
    values = with_noise(substance(GRID, 1), 0.001)
    values[: GRID.size // 4] = np.nan
    values[400:800] = np.nan
    quality = signal_quality(raman(values))
    assert quality.range_cm1 == (GRID[256], GRID[-1])
    assert quality.missing_share == pytest.approx(656 / 1024)
    assert "missing" in quality.problems
    short = signal_quality(raman(values[800:900], GRID[800:900]))
    assert "short_range" in short.problems


def test_noiseless_curve_has_no_snr_and_no_problem() -> None:
    quality = signal_quality(raman(2.0 * GRID))
    assert quality.noise_sd is None
    assert quality.snr is None
    assert "low_snr" not in quality.problems


@pytest.mark.parametrize("points", [2, 3, 5])
def test_few_points_do_not_break_it(points: int) -> None:
    quality = signal_quality(raman(np.arange(points) ** 2.0, GRID[:points]))
    assert "short_range" in quality.problems


def test_survives_json() -> None:
    quality = signal_quality(raman(with_noise(substance(GRID, 1), 0.01)))
    assert SignalQuality.from_dict(json.loads(json.dumps(quality.to_dict()))) == quality
