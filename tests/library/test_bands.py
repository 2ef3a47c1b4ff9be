"""Band tables: their spectra, and the fit that makes them, against Voigt profiles computed independently."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import voigt_profile

from spectralid.errors import ParameterError, UnreadableFileError
from spectralid.library.bands import BAND_COLUMNS, Band, band_profile, read_bands, sum_of_bands

SCRIPT = Path(__file__).resolve().parents[2] / "libraries" / "bands" / "fit_bands.py"


@pytest.fixture(scope="module")
def fit_bands():
    spec = importlib.util.spec_from_file_location("fit_bands", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fit_bands"] = module
    spec.loader.exec_module(module)
    return module


def voigt(axis, position, height, sigma, gamma):
    return height * voigt_profile(axis - position, sigma, gamma) / voigt_profile(0.0, sigma, gamma)


def voigt_fwhm(sigma, gamma):
    # J. J. Olivero, R. L. Longbothum, J. Quant. Spectrosc. Radiat. Transfer 17 (1977) 233: good to 0.02 %.
    lorentz, gauss = 2 * gamma, 2.354820 * sigma
    return 0.5346 * lorentz + np.sqrt(0.2166 * lorentz**2 + gauss**2)


@given(position=st.floats(400, 2000), fwhm=st.floats(3, 80), eta=st.floats(0, 1), height=st.floats(1e-3, 1e6))
def test_a_band_has_its_height_at_its_position_and_half_of_it_half_a_width_away(position, fwhm, eta, height):
    at = np.array([position - fwhm / 2, position, position + fwhm / 2])
    values = sum_of_bands(at, [Band(position, height, fwhm, eta)])
    np.testing.assert_allclose(values, [height / 2, height, height / 2], rtol=1e-6)


def test_profile_is_gaussian_and_lorentzian_at_the_ends():
    axis = np.linspace(-50, 50, 1001)
    sigma = 10 / 2.3548200450309493
    np.testing.assert_allclose(band_profile(axis, 0, 10, 0), np.exp(-(axis**2) / (2 * sigma**2)), atol=1e-12)
    np.testing.assert_allclose(band_profile(axis, 0, 10, 1), 25 / (axis**2 + 25), atol=1e-12)


def test_sum_is_the_sum():
    axis = np.linspace(0, 100, 50)
    a, b = Band(30, 1, 5, 0.3), Band(60, 2, 9, 0.8)
    np.testing.assert_allclose(sum_of_bands(axis, [a, b]), sum_of_bands(axis, [a]) + sum_of_bands(axis, [b]))
    np.testing.assert_array_equal(sum_of_bands(axis, []), 0)


@pytest.mark.parametrize(
    "values",
    [(np.nan, 1, 5, 0), (1, np.inf, 5, 0), (1, 1, 0, 0), (1, 1, -2, 0), (1, 1, 5, 1.1), (1, 1, 5, -0.1)],
)
def test_impossible_bands(values):
    with pytest.raises(ParameterError):
        Band(*values)


def test_table_is_read_and_mistakes_have_a_line(tmp_path):
    head = ",".join(BAND_COLUMNS)
    path = tmp_path / "bands.csv"
    path.write_text(f"{head}\na,500,0.1,1,0.02,8,0.3,0.5\nb,600,0.2,0.5,0.01,9,0.4,1\n", encoding="utf-8")
    table = read_bands(path)
    assert table["a"] == [Band(500, 1, 8, 0.5, position_sd=0.1, height_sd=0.02, fwhm_sd=0.3)]
    assert [band.position for band in table["b"]] == [600]
    for cell, says in (
        ("x,0.1,1,0.02,8,0.3,0.5", "could not convert"),
        ("5,0.1,1,0.02,0,0.3,0.5", "fwhm must be"),
    ):
        path.write_text(f"{head}\na,500,0.1,1,0.02,8,0.3,0.5\na,{cell}\n", encoding="utf-8")
        with pytest.raises(UnreadableFileError, match=f"line 3: .*{says}"):
            read_bands(path)


class TestFit:
    axis = np.arange(302.0, 1400.0)
    # Position, height, sigma, gamma; among them two that overlap and one a hundredth of the strongest.
    truth = ((420.3, 400.0, 3.0, 2.0), (621.7, 1000.0, 2.5, 2.5), (640.2, 500.0, 3.0, 2.0),
             (801.1, 60.0, 4.0, 3.0), (1003.6, 20000.0, 3.0, 1.0), (1210.9, 2000.0, 6.0, 4.0))  # fmt: skip

    def spectrum(self, seed, level=3.0):
        rng = np.random.default_rng(seed)
        clean = sum(voigt(self.axis, *band) for band in self.truth)
        return clean + rng.normal(size=self.axis.size) * np.sqrt(level**2 + 0.5 * clean)

    def matched(self, fit, least_height):
        """True bands at least that high, each with the fitted band nearest to it."""
        pairs = []
        for position, *shape in self.truth:
            if shape[0] < least_height:
                continue
            near = min(fit.bands, key=lambda band: abs(band.position - position))
            assert abs(near.position - position) < 6, position
            pairs.append(((position, *shape), near))
        return pairs

    def test_voigt_bands_are_found_within_their_stated_uncertainty(self, fit_bands):
        z = []
        for seed in range(3):
            fit = fit_bands.fit_spectrum(self.axis, self.spectrum(seed), subtract_baseline=False)
            assert fit.correlation > 0.998
            # Below 1 % of the strongest band the method promises nothing.
            strong = self.matched(fit, least_height=0.01 * 20000)
            z += [(band.position - truth[0]) / band.position_sd for truth, band in strong]
            for truth, band in strong:
                assert band.position_sd < 2.0
                assert abs(band.fwhm - voigt_fwhm(*truth[2:])) < 4 * band.fwhm_sd + 0.5
        assert np.max(np.abs(z)) < 3
        assert np.sqrt(np.mean(np.square(z))) < 1.5

    def test_noise_alone_gives_no_bands(self, fit_bands):
        noise = np.random.default_rng(5).normal(size=self.axis.size)
        assert len(fit_bands.fit_spectrum(self.axis, noise, subtract_baseline=False).bands) == 0

    def test_more_noise_gives_fewer_bands_and_larger_uncertainty(self, fit_bands):
        quiet = fit_bands.fit_spectrum(self.axis, self.spectrum(1), subtract_baseline=False)
        loud = fit_bands.fit_spectrum(self.axis, self.spectrum(1, level=150.0), subtract_baseline=False)
        assert len(loud.bands) < len(quiet.bands)
        strongest = [max(fit.bands, key=lambda band: band.height) for fit in (quiet, loud)]
        assert strongest[1].position_sd > strongest[0].position_sd

    def test_a_broad_background_does_not_move_the_bands(self, fit_bands):
        hump = 3000 * np.exp(-(((self.axis - 900) / 500) ** 2))
        fit = fit_bands.fit_spectrum(self.axis, self.spectrum(2) + hump)
        for truth, band in self.matched(fit, least_height=500.0):
            assert abs(band.position - truth[0]) < 3 * band.position_sd

    def test_noise_estimate(self, fit_bands):
        clean = sum(voigt(self.axis, *band) for band in self.truth)
        quiet = (self.axis > 880) & (self.axis < 920)
        top = np.argmin(np.abs(self.axis - 1003.6))
        for level in (2.0, 20.0):
            estimate = fit_bands.noise_sd(self.spectrum(3, level))
            true = np.sqrt(level**2 + 0.5 * clean)
            np.testing.assert_allclose(estimate[quiet].mean(), true[quiet].mean(), rtol=0.4)
            np.testing.assert_allclose(estimate[top], true[top], rtol=0.6)

    def test_axis_offset(self, fit_bands):
        shifted = [Band(p + 1.7, 1, 8, 0.5, position_sd=0.1) for p in fit_bands.POLYSTYRENE_CM1]
        stray = [Band(1450.5, 1, 8, 0.5, position_sd=0.1), Band(700.0, 1, 8, 0.5, position_sd=0.1)]
        offset = fit_bands.axis_offset([*shifted, *stray])
        assert offset.offset == pytest.approx(1.7)
        assert offset.n_bands == len(shifted)
        assert 0.15 < offset.sd < 0.25
        with pytest.raises(SystemExit, match="no offset"):
            fit_bands.axis_offset(stray)

    def test_jacobian_against_differences(self, fit_bands):
        values = np.array([500.0, 3.0, 9.0, 0.4, 540.0, 2.0, 20.0, 0.8])
        axis = np.linspace(450, 600, 40)
        exact = fit_bands._jacobian(axis, values)
        for i in range(values.size):
            h = 1e-5 * max(abs(values[i]), 1)
            up, down = values.copy(), values.copy()
            up[i] += h
            down[i] -= h
            numeric = (fit_bands._model(axis, up) - fit_bands._model(axis, down)) / (2 * h)
            np.testing.assert_allclose(exact[:, i], numeric, atol=1e-6)
