"""The simulated instrument: its physics against theory, its protocol manners, its band tables."""

import numpy as np
import pytest
from scipy.integrate import quad

from spectralid.devices.axis import raman_shift
from spectralid.devices.codec.obp import Decoder, Flag, Frame, Message, encode
from spectralid.devices.sim.launch import Simulator
from spectralid.devices.sim.physics import Bench, Detector, SampleBand, voigt
from spectralid.devices.sim.samples import find_sample, read_samples
from spectralid.errors import DeviceError, FileError, ParameterError
from tests.devices.lines import BANDS, instrument


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
    bench = Bench(fluorescence=0.0, dark_e_s=0.0, **changes)
    made = detector(bench, (SampleBand(position, 1.0, fwhm),))
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


def ask(device, frame):
    replies = device.receive(encode(frame))
    return [item for reply in replies for item in Decoder().feed(reply.data)]


def test_setting_without_ack_is_silent():
    device = instrument()
    assert ask(device, Frame(Message.SET_INTEGRATION_TIME, (5000).to_bytes(4, "little"))) == []
    (answer,) = ask(device, Frame(Message.INTEGRATION_TIME))
    assert answer.data == (5000).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("message", "data", "error"),
    [
        (0x00ABCDEF, b"", 2),
        (Message.SET_INTEGRATION_TIME, b"\1", 5),
        (Message.SET_INTEGRATION_TIME, b"\1\0\0\0", 6),
        (Message.CHECKSUM_TYPE, b"\2", 8),
        (Message.WAVELENGTH_COEFFICIENT, b"\x09", 6),
        (Message.LIGHT_SOURCE_ENABLE, b"\1\0", 6),
        (Message.SET_LIGHT_SOURCE_ENABLE, b"\0\0\2", 6),
        (Message.SET_LIGHT_SOURCE_ENABLE, b"\0", 5),
        (Message.SET_TRIGGER_MODE, b"\3", 6),
    ],
)
def test_refusals(message, data, error):
    device = instrument()
    (answer,) = ask(device, Frame(message, data, Flag.ACK_REQUESTED, regarding=5))
    assert answer.flags & Flag.NACK
    assert (answer.error, answer.regarding) == (error, 5)
    assert not device._detector.laser


def test_spectrum_takes_its_integration_time():
    device = instrument()
    device._detector.integration_s = 0.75
    (reply,) = device.receive(encode(Frame(Message.CORRECTED_SPECTRUM)))
    assert reply.busy_s == 0.75


def test_find_sample():
    strongest = max(find_sample("Polystyrene"), key=lambda band: band.height)
    assert strongest.position == pytest.approx(1001.4, abs=1.5)  # ASTM E1840
    with pytest.raises(ParameterError, match="polystyrene"):
        find_sample("unobtainium")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("substance,position_cm1,height,fwhm_cm1\nx,1000,tall,10\n", "row 1: height"),
        ("substance,position_cm1,height\nx,1000,1\n", "row 1: fwhm"),
        ("position_cm1,height,fwhm_cm1\n1000,1,10\n", "row 1: the substance"),
        ("substance,position_cm1,height,fwhm_cm1,eta\nx,900,1,9,0.3\nx,1000,1,10,3\n", "row 2: lorentzian"),
    ],
)
def test_bad_band_table(tmp_path, text, said):
    file = tmp_path / "bands.csv"
    file.write_text(text)
    with pytest.raises(FileError) as caught:
        read_samples(file)
    assert said in str(caught.value)


def test_simulator_that_cannot_start_says_why():
    with pytest.raises(DeviceError, match="unobtainium"):
        Simulator("--substance", "unobtainium")
