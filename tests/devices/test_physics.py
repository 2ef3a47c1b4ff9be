"""The simulated spectrometer's physics against theory."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad

import spectralid.devices.sim
from spectralid.devices.axis import raman_shift
from spectralid.devices.sim.bench import etalon, excited_at
from spectralid.devices.sim.physics import Bench, Component, Detector, Luminescence, SampleBand, Scene, voigt
from spectralid.devices.sim.samples import bundled_samples
from spectralid.devices.sim.scenes import compose
from spectralid.devices.sim.sensor import Cooler
from spectralid.errors import ParameterError
from tests.devices.lines import BANDS


def detector(bench=None, bands=BANDS, *, seed=0, integration_s=0.2, laser=True):
    made = Detector(bench or Bench(), bands, seed=seed)
    made.integration_s, made.laser = integration_s, laser
    return made


def test_voigt_has_unit_area_and_its_limits():
    area, _ = quad(lambda x: float(voigt(np.array([x]), 2.0, 1.0)[0]), -np.inf, np.inf)
    assert area == pytest.approx(1.0, abs=1e-6)
    x = np.linspace(-10, 10, 41)
    np.testing.assert_allclose(
        voigt(x, 1.5, 0.0), np.exp(-(x**2) / 4.5) / np.sqrt(2 * np.pi) / 1.5, atol=1e-12
    )
    np.testing.assert_allclose(voigt(x, 1e-3, 2.0), 2 / np.pi / (x**2 + 4), rtol=1e-4)


def test_noise_is_poisson_plus_read_noise_plus_rounding():
    made = detector(integration_s=0.3, seed=11)
    bench = made.bench
    frames = np.array([made.frame() for _ in range(800)], dtype=float)
    electrons = made.expected_electrons()
    expected_mean = electrons / bench.gain_e + bench.offset
    expected_variance = electrons / bench.gain_e**2 + (bench.read_noise_e / bench.gain_e) ** 2 + 1 / 12
    # Each ratio scatters by sqrt(2/799) = 5 %; their mean over 1024 pixels by 0.16 %.
    ratio = frames.var(axis=0, ddof=1) / expected_variance
    assert ratio.mean() == pytest.approx(1.0, abs=0.006)
    assert ratio.std() == pytest.approx(np.sqrt(2 / 799), rel=0.15)
    deviation = (frames.mean(axis=0) - expected_mean) / np.sqrt(expected_variance / 800)
    assert abs(deviation.mean()) < 0.15
    assert deviation.std() == pytest.approx(1.0, abs=0.1)


def test_integration_time_is_honoured():
    once, twice = (detector(integration_s=t).expected_electrons() for t in (0.1, 0.2))
    np.testing.assert_allclose(twice, 2 * once)


def test_no_laser_no_light():
    dark = detector(laser=False).expected_electrons()
    empty = detector(laser=False, bands=()).expected_electrons()
    np.testing.assert_array_equal(dark, empty)
    assert detector().expected_electrons().min() > dark.max()


def test_converter_clips():
    assert detector(integration_s=60.0).frame().max() == 65535


def test_same_seed_same_frames():
    np.testing.assert_array_equal(detector(seed=3).frame(), detector(seed=3).frame())
    assert not np.array_equal(detector(seed=3).frame(), detector(seed=4).frame())


def test_axis_error_is_about_one_wavenumber_and_smooth():
    bench = Bench()
    pixel = np.arange(bench.pixels)
    reported = np.polynomial.polynomial.polyval(pixel, bench.reported)
    error = raman_shift(bench.true_wavelengths(pixel), 785.0) - raman_shift(reported, 785.0)
    assert 0.5 < np.abs(error).max() < 1.5
    assert np.abs(np.diff(error)).max() < 0.01


def band_alone(position, fwhm=10.0, **changes):
    """Electrons of one narrow band without fluorescence or dark, and the true shift of each pixel."""
    bench = Bench(dark_e_s=0.0, **changes)
    made = detector(bench, Scene((Component((SampleBand(position, 1.0, fwhm),)),)))
    return raman_shift(bench.true_wavelengths(np.arange(bench.pixels)), 785.0), made.expected_electrons()


@pytest.mark.parametrize("position", [400.0, 1001.4, 1602.3, 2200.0])
def test_band_lies_where_it_should(position):
    shift, light = band_alone(position)
    near = np.abs(shift - position) < 30
    # Per cm⁻¹, so that unequal pixels do not pull the centre.
    weight = light[near] / np.gradient(shift)[near]
    assert np.sum(shift[near] * weight) / weight.sum() == pytest.approx(position, abs=0.3)


def test_instrument_function_broadens_and_leans_to_the_red():
    shift, sharp = band_alone(1000.0, tail_nm=0.01)
    _, tailed = band_alone(1000.0, tail_nm=0.4)

    def moments(light):
        near = np.abs(shift - 1000) < 60
        x, w = shift[near], light[near] / light[near].sum()
        centre = x @ w
        return np.sqrt((x - centre) ** 2 @ w), (x - centre) ** 3 @ w

    assert moments(tailed)[0] > 1.1 * moments(sharp)[0]
    assert moments(tailed)[1] > moments(sharp)[1] + 10


@pytest.mark.parametrize("laser_nm", [532.0, 633.0, 785.0, 830.0, 1064.0])
def test_line_centre_follows_the_laser(laser_nm):
    """A Raman line lies at 1e7/λ0 − 1e7/λ, whatever the laser."""
    bench = replace(excited_at(Bench(), laser_nm), dark_e_s=0.0, drift_nm=(0.0,), response_sd=0.0)
    light = detector(bench, Scene((Component((SampleBand(1001.4, 1.0, 10.0),)),))).expected_electrons()
    wavelength = bench.true_wavelengths(np.arange(bench.pixels))
    shift = 1e7 / laser_nm - 1e7 / wavelength
    near = np.abs(shift - 1001.4) < 30
    weight = light[near] / np.gradient(shift)[near]
    assert np.sum(shift[near] * weight) / weight.sum() == pytest.approx(1001.4, abs=0.3)
    # 1001.4 cm⁻¹ at 785 nm is 851.974 nm, at 532 nm 561.937 nm: facts of two instrument makers.
    assert wavelength[np.argmax(light)] == pytest.approx(
        {532.0: 561.937, 633.0: 675.841, 785.0: 851.974, 830.0: 905.240, 1064.0: 1190.888}[laser_nm], abs=0.6
    )


def test_wrong_laser_wavelength_moves_every_band():
    moved = {}
    for error in (0.0, 0.1):
        shift, light = band_alone(1001.4, laser_error_nm=error)
        near = np.abs(shift - 1001.4) < 30
        weight = light[near] / np.gradient(shift)[near]
        moved[error] = np.sum(shift[near] * weight) / weight.sum()
    # The host takes 785 nm for the laser: 1e7/785 − 1e7/785.1 = 1.62 cm⁻¹ too much.
    assert moved[0.1] - moved[0.0] == pytest.approx(1e7 / 785.0 - 1e7 / 785.1, abs=0.1)


def test_photon_transfer_curve_gives_back_gain_and_read_noise():
    """Variance of counts = mean above offset / gain + (read noise / gain)²: slope and intercept."""
    bench = Bench(dark_e_s=0.0, response_sd=0.0)
    means, variances = [], []
    for k, seconds in enumerate((0.02, 0.05, 0.1, 0.2, 0.3, 0.4)):
        made = detector(bench, integration_s=seconds, seed=k)
        frames = np.array([made.frame() for _ in range(120)], dtype=float)
        means.append(frames.mean() - bench.offset)
        variances.append(frames.var(axis=0, ddof=1).mean())
    slope, intercept = np.polyfit(means, variances, 1)
    assert 1 / slope == pytest.approx(bench.gain_e, rel=0.02)
    assert intercept == pytest.approx((bench.read_noise_e / bench.gain_e) ** 2 + 1 / 12, rel=0.2)


def test_full_well_ends_the_poisson_law():
    bench = Bench(full_well_e=50_000.0)
    frame = detector(bench, integration_s=5.0).frame()
    highest = 50_000 / bench.gain_e + bench.offset
    assert np.percentile(frame, 90) == pytest.approx(highest, abs=5 * bench.read_noise_e / bench.gain_e)


def test_fluorescence_bleaches_exponentially():
    glow = Luminescence(5.0, bleaching=0.8, bleach_s=10.0)
    made = detector(Bench(dark_e_s=0.0), Scene((), (glow,)), integration_s=0.5)
    levels = []
    for _ in range(60):
        levels.append(made.expected_electrons().sum())
        made.frame()
    unbleached = detector(Bench(dark_e_s=0.0), Scene((), (Luminescence(5.0),)), integration_s=0.5)
    lost = np.array(levels) / unbleached.expected_electrons().sum() - (1 - 0.8)
    # What light destroys falls by the same factor from frame to frame, from all of it at time 0.
    np.testing.assert_allclose(np.diff(np.log(lost)), -0.5 / 10.0, rtol=1e-6)
    assert lost[0] == pytest.approx(0.8 * (1 - np.exp(-0.05)) / 0.05)


def test_laser_off_does_not_bleach():
    made = detector(Bench(), Scene((), (Luminescence(1.0, bleaching=1.0, bleach_s=1.0),)))
    made.laser = False
    for _ in range(5):
        made.frame()
    made.laser = True
    before = made.expected_electrons().sum()
    made.frame()
    assert made.expected_electrons().sum() < before


def test_etalon_fringes_have_the_period_of_their_cavity():
    """Fringes are periodic in wavenumber with 1/(2 n d)."""
    bench = Bench(etalon=0.2, etalon_um=20.0, etalon_index=3.6)
    wavelength = bench.true_wavelengths(np.arange(bench.pixels))
    pattern = etalon(bench, wavelength)
    wavenumber = np.linspace(1e7 / wavelength[-1], 1e7 / wavelength[0], 8192)  # cm⁻¹
    even = np.interp(wavenumber, 1e7 / wavelength[::-1], pattern[::-1]) - 1
    spectrum = np.abs(np.fft.rfft(even * np.hanning(even.size), 8 * even.size))
    per_cm = np.fft.rfftfreq(8 * even.size, wavenumber[1] - wavenumber[0])
    assert 1 / per_cm[np.argmax(spectrum)] == pytest.approx(1 / (2 * 3.6 * 20e-4), rel=0.01)
    assert pattern.max() == pytest.approx(1.2, abs=0.001)


def test_fringes_show_in_the_light():
    plain = detector(Bench()).expected_electrons()
    fringed = detector(Bench(etalon=0.1)).expected_electrons()
    dark = detector(laser=False).expected_electrons()
    assert np.max(np.abs((fringed - dark) / (plain - dark) - 1)) == pytest.approx(0.1, abs=0.005)


def test_dark_current_doubles_every_seven_degrees():
    warm, warmer = (detector(Bench(cooled_to_c=c), laser=False).expected_electrons() for c in (-10.0, -3.0))
    np.testing.assert_allclose(warmer, 2 * warm)


def test_cooler_relaxes_to_its_setpoint():
    cooler = Cooler(Bench(cooled_to_c=-10.0))
    assert cooler.stable
    cooler.setpoint_c = 0.0
    assert not cooler.stable
    cooler.elapse(20.0)
    assert cooler.temperature_c == pytest.approx(-10 * np.exp(-1))
    cooler.elapse(200.0)
    assert cooler.stable
    cooler.on = False
    cooler.elapse(1000.0)
    assert cooler.temperature_c == pytest.approx(25.0)
    assert not cooler.stable


def test_cosmic_rays_are_rare_tall_and_not_repeated():
    made = detector(Bench(cosmic_per_s=2.0), laser=False, integration_s=1.0, seed=7)
    frames = np.array([made.frame() for _ in range(200)], dtype=float)
    hits = frames - np.median(frames, axis=0) > 100
    assert hits.any(axis=1).mean() == pytest.approx(1 - np.exp(-2), abs=0.08)
    assert hits.sum(axis=0).max() <= 12  # no pixel is preferred
    still = detector(Bench(), laser=False, integration_s=1.0, seed=7)
    assert max(np.ptp(still.frame().astype(float)) for _ in range(20)) < 100


def test_warming_laser_loses_power():
    made = detector(Bench(power_droop=0.2, droop_s=5.0, dark_e_s=0.0), integration_s=1.0)
    levels = []
    for _ in range(80):
        levels.append(made.expected_electrons().sum())
        made.frame()
    assert levels[-1] / levels[0] == pytest.approx(0.8 / (1 - 0.2 * (1 - 5 * (1 - np.exp(-0.2)))), rel=1e-3)
    assert np.all(np.diff(levels) < 1e-6)


def test_power_noise_moves_the_whole_frame():
    made = detector(Bench(power_noise=0.05), integration_s=0.3, seed=5)
    totals = np.array([made.frame().sum() for _ in range(300)], dtype=float)
    light = made.expected_electrons().sum() / made.bench.gain_e
    assert totals.std() / light == pytest.approx(0.05, rel=0.15)


def test_mixture_is_the_weighted_sum_of_its_parts():
    tables = {"a": BANDS, "b": (SampleBand(900.0, 1.0, 12.0),)}
    bench = Bench(dark_e_s=0.0)

    def light(*parts, **kwargs):
        return detector(bench, compose(parts, tables, fluorescence=0.0, **kwargs)).expected_electrons()

    mixed = light(("a", 7), ("B", 3))
    np.testing.assert_allclose(mixed, 0.7 * light(("a", 1)) + 0.3 * light(("b", 1)), rtol=1e-9)


@pytest.mark.parametrize(
    ("container", "position"), [("pe", 1295.0), ("pp", 841.0), ("pet", 1726.0), ("ps", 1001.4)]
)
def test_container_shows_its_own_bands(container, position):
    """Positions: the strong single bands of the four plastics in many published spectra."""
    scene = compose((), bundled_samples(), container=container, fluorescence=0.0)
    bench = Bench(dark_e_s=0.0)
    light = detector(bench, scene).expected_electrons()
    shift = raman_shift(bench.true_wavelengths(np.arange(bench.pixels)), 785.0)
    near = np.abs(shift - position) < 8
    around = (np.abs(shift - position) < 40) & ~near
    assert light[near].max() > 2 * np.median(light[around])


def test_glass_glows_at_880_nm_and_takes_light_away():
    tables = {"a": BANDS}
    bench = Bench(dark_e_s=0.0)
    bare = detector(bench, compose((("a", 1),), tables, fluorescence=0.0)).expected_electrons()
    behind = detector(
        bench, compose((("a", 1),), tables, fluorescence=0.0, container="glass")
    ).expected_electrons()
    wavelength = bench.true_wavelengths(np.arange(bench.pixels))
    only_glass = behind - 0.85 * bare
    quantum = 1 / (1 + np.exp((wavelength - 1005) / 22))
    assert wavelength[np.argmax(only_glass / quantum)] == pytest.approx(880, abs=4)


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"container": "tin"}, "glass"),
        ({"fluorescence": -1.0}, "fluorescence"),
        ({"bleaching": 1.5}, "bleaching"),
        ({"bleach_s": 0.0}, "bleach time"),
    ],
)
def test_scene_out_of_range(kwargs, said):
    with pytest.raises(ParameterError, match=said):
        compose((("a", 1.0),), {"a": BANDS}, **kwargs)


def test_share_must_be_above_zero():
    with pytest.raises(ParameterError, match="share"):
        compose((("a", 0.0), ("a", 1.0)), {"a": BANDS})


def test_reported_nonlinearity_gives_back_the_light():
    coefficients = (0.97, 2e-6, -1e-11)
    straight = detector(Bench(read_noise_e=0.0, response_sd=0.0), integration_s=0.4, seed=3).frame()
    bent = detector(
        Bench(read_noise_e=0.0, response_sd=0.0, nonlinearity=coefficients), integration_s=0.4, seed=3
    ).frame()
    counts = bent.astype(float) - 1200
    corrected = counts / np.polynomial.polynomial.polyval(counts, coefficients)
    np.testing.assert_allclose(corrected, straight.astype(float) - 1200, atol=1.1)
    assert np.abs(counts - (straight.astype(float) - 1200)).max() > 100


def test_simulator_shares_no_code_with_matching():
    """No inverse crime: nothing of the simulator comes from preprocessing or identification."""
    folder = Path(spectralid.devices.sim.__file__).parent
    for file in folder.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        for room in ("preprocess", "identify", "library", "calibration", "chem"):
            assert f"spectralid.{room}" not in text, file.name
