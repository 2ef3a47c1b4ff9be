"""The fingerprint of an item: what scans of it have in common, whatever the instrument did to them."""

from __future__ import annotations

import numpy as np
import pytest

from spectralid import IntensityUnit, Spectrum, Technique
from spectralid.errors import InvalidSpectrumError, TechniqueError
from spectralid.reachback.intelligence import fingerprint as fp
from tests.reachback.mixtures import AXIS, spectrum

MIX = {1: 0.6, 2: 0.4}


def cosine(one, other):
    known = np.isfinite(one.slope) & np.isfinite(other.slope)
    a, b = one.slope[known], other.slope[known]
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def test_laser_power_and_fluorescence_hardly_change_it():
    plain = fp.read(spectrum(MIX, 1, fluorescence=0.0, grain=0.0, noise=False))
    weak = fp.read(spectrum(MIX, 1, fluorescence=0.0, counts=150.0, grain=0.0, noise=False))
    glowing = fp.read(spectrum(MIX, 1, fluorescence=4.0, grain=0.0, noise=False))
    other = fp.read(spectrum({1: 0.3, 2: 0.7}, 1, fluorescence=0.0, grain=0.0, noise=False))
    assert cosine(plain, weak) > 1 - 1e-9
    assert cosine(plain, glowing) > 0.99
    assert cosine(plain, glowing) > cosine(plain, other)


def test_noise_is_estimated_from_a_single_scan():
    """The noise that is stated is what repeated scans really differ by."""
    scans = [fp.read(spectrum(MIX, seed, counts=300.0, fluorescence=3.0, grain=0.0)) for seed in range(24)]
    slopes = np.nan_to_num(np.array([one.slope for one in scans]))
    # The glow of each scan is elsewhere; what is left after pairs of neighbours in shift is noise.
    rough = slopes - slopes.mean(axis=0)
    smooth = np.apply_along_axis(lambda row: np.convolve(row, np.ones(41) / 41, "same"), 1, rough)
    seen = float(((rough - smooth) ** 2).sum(axis=1).mean())
    stated = float(np.mean([one.noise for one in scans]))
    assert stated == pytest.approx(seen, rel=0.4)
    assert fp.read(spectrum(MIX, 1, counts=30_000.0)).noise < stated / 20


def test_transmittance_is_read_as_absorbance():
    absorbance = np.exp(-0.5 * ((AXIS - 1100) / 30) ** 2) + 0.4 * np.exp(-0.5 * ((AXIS - 1700) / 20) ** 2)
    facts = {"technique": Technique.FTIR_ATR}
    one = fp.read(Spectrum(AXIS, absorbance, unit=IntensityUnit.ABSORBANCE, **facts))
    other = fp.read(Spectrum(AXIS, 100 * 10**-absorbance, unit=IntensityUnit.PERCENT_TRANSMITTANCE, **facts))
    assert one.technique == "infrared"
    assert cosine(one, other) > 1 - 1e-6


def test_pooled_scans_have_less_noise_and_state_their_spread():
    readings = [fp.read(spectrum(MIX, seed, counts=400.0, grain=0.2)) for seed in range(8)]
    pooled, single = fp.pool(readings), fp.pool(readings[:1])
    calm = fp.pool([fp.read(spectrum(MIX, seed, counts=400.0, grain=0.0)) for seed in range(8)])
    assert single.spread is None
    assert single.scans == 1
    assert pooled.scans == 8
    assert pooled.left_out == 0
    assert pooled.noise == pytest.approx(np.mean([one.noise for one in readings]) / 8)
    assert pooled.spread > calm.spread > 0
    truth = fp.read(spectrum(MIX, 0, counts=1e7, grain=0.0, noise=False))
    assert cosine(pooled, truth) > cosine(single, truth)


def test_a_scan_of_something_else_is_left_out():
    readings = [fp.read(spectrum(MIX, seed)) for seed in range(3)] + [fp.read(spectrum({9: 1.0}, 7))]
    pooled = fp.pool(readings)
    assert (pooled.scans, pooled.left_out) == (3, 1)
    assert pooled.sha256 == fp.pool(reversed(readings)).sha256 == fp.pool(readings[:3]).sha256


def test_the_same_numbers_twice_are_one_measurement():
    one = fp.read(spectrum(MIX, 1))
    assert fp.pool([one, one]).scans == 1


def test_what_cannot_be_a_fingerprint_is_refused():
    short = Spectrum(AXIS[:150], AXIS[:150] % 7, technique=Technique.RAMAN)
    with pytest.raises(InvalidSpectrumError, match="covers"):
        fp.read(short)
    with pytest.raises(InvalidSpectrumError, match="flat"):
        fp.read(Spectrum(AXIS, np.ones(AXIS.size), technique=Technique.RAMAN))
    with pytest.raises(TechniqueError):
        fp.read(Spectrum(AXIS, AXIS % 7))
    with pytest.raises(InvalidSpectrumError):
        fp.pool([])
    raman = fp.read(spectrum(MIX, 1))
    infrared = fp.read(Spectrum(AXIS, AXIS % 7, technique=Technique.FTIR_ATR, unit=IntensityUnit.ABSORBANCE))
    with pytest.raises(TechniqueError):
        fp.pool([raman, infrared])
    assert fp.read_all([short, spectrum(MIX, 1)])
    assert len(fp.read_all([short])) == 0


def test_scans_of_different_range_are_pooled_where_all_of_them_reach():
    whole = spectrum(MIX, 1)
    part = Spectrum(AXIS[:900], spectrum(MIX, 2).intensity[:900], technique=Technique.RAMAN)
    pooled = fp.pool([fp.read(whole), fp.read(part)])
    assert pooled.scans == 2
    assert np.isfinite(pooled.slope).sum() == np.isfinite(fp.read(part).slope).sum()
    assert np.nansum(pooled.slope**2) == pytest.approx(1.0)
