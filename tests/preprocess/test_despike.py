"""Spike removal on counts made by a Poisson generator, on pure noise, and on bands as sharp as they come."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid import Spectrum
from spectralid.errors import InvalidSpectrumError, ParameterError
from spectralid.preprocess import Despike, Pipeline, despike_frames

N = 1024
PIXEL = np.arange(N)


def lorentz(centre: float, fwhm: float) -> np.ndarray:
    return 1 / (1 + ((PIXEL - centre) / (fwhm / 2)) ** 2)


def sharp(centre: float, fwhm: float) -> np.ndarray:
    return np.exp(-4 * math.log(2) * ((PIXEL - centre) / fwhm) ** 2)


def expected_counts(strength: float) -> np.ndarray:
    """Mean counts of a fluorescing sample on a cooled detector."""
    bands = 1.0 * lorentz(300, 4) + 0.6 * lorentz(480.3, 6) + 0.8 * sharp(700.6, 3.0) + 0.3 * lorentz(720, 12)
    return 200 + strength * (bands + 0.6 * np.exp(-PIXEL / 400))


def counted(rng: np.random.Generator, mean: np.ndarray, read: float = 4.0) -> np.ndarray:
    return rng.poisson(mean) + rng.normal(0, read, mean.shape)


def mask(y: np.ndarray, **parameters: float) -> np.ndarray:
    return Despike(**parameters).apply(None, np.atleast_2d(y)).diagnostics["spikes"]


@pytest.mark.parametrize("threshold", [2.5, 3.0, 3.5])
def test_false_alarms_on_gaussian_noise_stay_below_the_tail(threshold: float) -> None:
    noise = np.random.default_rng(1).normal(size=(150, N))
    tops = mask(noise, threshold=threshold)
    # A point is looked at when one of its two differences passes a one-sided test.
    tail = math.erfc(threshold / math.sqrt(2))
    spikes = np.sum(tops & ~np.pad(tops, ((0, 0), (1, 0)))[:, :-1])
    # Local scales from 31 differences scatter, which lengthens the tail; the global one bounds them below.
    assert spikes / noise.size < tail


def test_no_false_alarm_at_the_usual_threshold() -> None:
    noise = np.random.default_rng(2).normal(size=(200, N))
    assert not mask(noise).any()


@pytest.mark.parametrize("strength", [100.0, 3e3, 3e4, 1e6])
def test_bands_under_shot_noise_are_left_alone(strength: float) -> None:
    rng = np.random.default_rng(3)
    assert not mask(np.stack([counted(rng, expected_counts(strength)) for _ in range(60)])).any()


@settings(max_examples=80, deadline=None)
@given(fwhm=st.floats(2.3, 30), centre=st.floats(100, 900), height=st.floats(1, 1e6), shape=st.booleans())
def test_any_band_of_more_than_two_points_is_left_alone(
    fwhm: float, centre: float, height: float, shape: bool
) -> None:
    band = (lorentz if shape else sharp)(centre, fwhm)
    noise = np.random.default_rng(4).normal(0, 0.01, N)
    assert not mask(height * (band + noise)).any()


@pytest.mark.parametrize("profile", [(1.0,), (1.0, 0.7), (0.4, 1.0), (0.2, 1.0, 0.3), (1.0, 0.6, 0.3)])
def test_spikes_are_found_whole_and_nothing_else(profile: tuple[float, ...]) -> None:
    rng = np.random.default_rng(5)
    found = 0
    for trial in range(40):
        y = counted(rng, expected_counts(3000.0))
        at = int(rng.choice([60, 150, 400, 600, 850, 980])) + trial % 3
        y[at : at + len(profile)] += 1500 * np.array(profile)
        hits = np.flatnonzero(mask(y)[0])
        assert set(hits) <= set(range(at - 1, at + len(profile) + 1))
        found += at + int(np.argmax(profile)) in hits
    # A spike of three points may just pass for a band when the noise is against it.
    assert found >= 38


def test_recall_grows_with_height() -> None:
    rng = np.random.default_rng(6)
    shares = []
    for height in (2, 6, 12, 25):
        hits = 0
        for _ in range(60):
            y = rng.normal(size=N)
            y[500] += height * math.sqrt(2)
            hits += mask(y)[0, 500]
        shares.append(hits / 60)
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert shares[2] > 0.9
    assert shares[3] == 1


def test_a_spike_on_a_band_shoulder_and_two_close_ones() -> None:
    y = counted(np.random.default_rng(7), expected_counts(3000.0))
    y[303] += 20000
    y[600] += 900
    y[605] += 2000
    hits = np.flatnonzero(mask(y)[0])
    assert {303, 600, 605} <= set(hits)
    assert 300 not in hits


def test_a_step_is_no_spike() -> None:
    y = np.random.default_rng(8).normal(size=N) + 500 * (PIXEL > 400)
    assert not mask(y).any()


def test_few_counts_and_constants_are_no_spikes() -> None:
    rng = np.random.default_rng(9)
    assert not mask(np.full((1, N), 7.0)).any()
    assert not mask(np.where(rng.random(N) < 0.02, 1.0, 0.0)).any()
    assert not mask(np.zeros((1, 7))).any()


def test_spectrum_gets_the_count_and_keeps_its_sd() -> None:
    y = counted(np.random.default_rng(10), expected_counts(3000.0))
    y[600] += 5000
    raw = Spectrum(400.0 + 2 * PIXEL, y, technique="raman", unit="counts", sd=np.sqrt(np.maximum(y, 1)))
    after = Despike()(raw)
    assert after.missing.sum() == 1
    assert np.isnan(after.intensity[600])
    assert after.history[0].parameters["outcome"] == {"removed": 1}
    np.testing.assert_array_equal(after.sd, raw.sd)
    assert after.unit == "counts"


def frames_of(rng: np.random.Generator, n: int, strength: float = 5000.0) -> list[Spectrum]:
    """Repeated frames whose fluorescence bleaches and whose laser drifts."""
    bleaching = [1 - 0.05 * k for k in range(n)]
    mean = expected_counts(strength)
    slow = 200 + strength * 0.6 * np.exp(-PIXEL / 400)
    return [
        Spectrum(
            100.0 + 3 * PIXEL, counted(rng, (mean - slow) * (1 + 0.02 * k) + slow * b), technique="raman"
        )
        for k, b in enumerate(bleaching)
    ]


@pytest.mark.parametrize("n", [2, 3, 5])
def test_frames_without_spikes_are_left_alone(n: int) -> None:
    rng = np.random.default_rng(11)
    marked = sum(f.missing.sum() for _ in range(15) for f in despike_frames(frames_of(rng, n)))
    assert marked / (15 * n * N) < 5e-5


@pytest.mark.parametrize("n", [2, 3, 5])
def test_frames_tell_spikes_wherever_they_fall(n: int) -> None:
    rng = np.random.default_rng(12)
    frames = frames_of(rng, n)
    y = frames[1].intensity.copy()
    wide = 4000 * np.array([0.5, 1, 1, 0.8, 0.4])  # no single frame can tell this from a band
    y[600:605] += wide
    y[300] += 4000  # on top of the strongest band
    frames[1] = Spectrum(frames[1].axis, y, technique="raman")
    after = despike_frames(frames)
    assert {300, *range(600, 605)} <= set(np.flatnonzero(after[1].missing))
    assert after[1].missing.sum() <= 8
    assert sum(f.missing.sum() for k, f in enumerate(after) if k != 1) == 0


def test_what_comparing_frames_did_can_be_replayed_on_one() -> None:
    rng = np.random.default_rng(13)
    frames = frames_of(rng, 3)
    y = frames[0].intensity.copy()
    y[500] += 6000
    frames[0] = Spectrum(frames[0].axis, y, technique="raman")
    after = despike_frames(frames)
    assert Pipeline.from_history(after[0].history)(frames[0]).sha256 == after[0].sha256
    assert after[0].history[0].parameters["positions_cm1"] == [1600.0]
    assert "frame 1 of 3" in after[0].history[0].parameters["reason"]


def test_frames_that_cannot_be_compared() -> None:
    rng = np.random.default_rng(14)
    frames = frames_of(rng, 2)
    with pytest.raises(InvalidSpectrumError, match="two or more; got 1"):
        despike_frames(frames[:1])
    with pytest.raises(InvalidSpectrumError, match="Frame 1 has another axis"):
        despike_frames([frames[0], Spectrum(frames[1].axis + 1, frames[1].intensity)])
    with pytest.raises(ParameterError, match="threshold"):
        despike_frames(frames, threshold=-1)
    identical = despike_frames([frames[0], frames[0]])
    assert not any(f.missing.any() for f in identical)
