"""The simulated instrument: its protocol manners, its band tables, its command line."""

import os
from dataclasses import replace

import numpy as np
import pytest

from spectralid.devices import load_profile, open_device
from spectralid.devices.codec.obp import Decoder, Flag, Frame, Message, encode
from spectralid.devices.sim.bench import Bench, raman_on_pixels
from spectralid.devices.sim.launch import Simulator
from spectralid.devices.sim.samples import find_sample, read_curve, read_samples
from spectralid.errors import DeviceError, FileError, ParameterError
from tests.devices.lines import instrument


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


def test_spectrum_as_a_sample_comes_out_as_itself(tmp_path):
    shift = np.arange(300.0, 2200.0, 1.5)
    curve = sum(h * np.exp(-0.5 * ((shift - p) / 12) ** 2) for p, h in ((640, 0.4), (1010, 1.0), (1650, 0.7)))
    file = tmp_path / "mine.txt"
    file.write_text(
        "# shift, counts\n" + "\n".join(f"{x}\t{y * 800}" for x, y in zip(shift, curve, strict=True))
    )
    bench = replace(Bench(), dark_e_s=0.0, response_sd=0.0, drift_nm=(0.0,))
    electrons = raman_on_pixels(bench, read_curve(file))
    wavelength = bench.true_wavelengths(np.arange(bench.pixels))
    seen = electrons * (1 + np.exp((wavelength - 1005) / 22))  # without the sensor's red edge
    seen /= np.gradient(1e7 / 785 - 1e7 / wavelength)  # per cm⁻¹
    expected = np.interp(1e7 / 785 - 1e7 / wavelength, shift, curve, left=0, right=0)
    assert np.corrcoef(seen, expected)[0, 1] > 0.999
    assert wavelength[np.argmax(seen)] == pytest.approx(1e7 / (1e7 / 785 - 1010), abs=0.5)


@pytest.mark.parametrize("text", ["", "1 2\n", "2 1\n1 1\n", "1 0\n2 0\n", "a b\n", "1 nan\n2 1\n", "1\n2\n"])
def test_spectrum_that_is_none(tmp_path, text):
    file = tmp_path / "mine.txt"
    file.write_text(text)
    with pytest.raises(FileError):
        read_curve(file)


@pytest.mark.skipif(os.name != "posix", reason="this platform has no ptys")
def test_everything_at_once_over_a_line(tmp_path):
    mine = tmp_path / "mine.csv"
    mine.write_text("300,0.1\n1000,1\n2200,0.1\n")
    sample = ("--substance", "acetaminophen:0.7", "--substance", "Lactose:0.3", "--spectrum", f"{mine}:0.1")
    light = ("--container", "pe", "--fluorescence", "3", "--bleaching", "0.5", "--bleach-time", "2")
    unit = (
        "--etalon",
        "0.02",
        "--cosmic-rays",
        "0.5",
        "--resolution",
        "9",
        "--drift",
        "2",
        "--excitation",
        "784.6",
    )
    with (
        Simulator(*sample, *light, *unit, "--power-noise", "0.01", "--laser-error", "0.05") as simulator,
        open_device(simulator.port, load_profile("ocean-ventana-785l")) as device,
    ):
        device.set_integration(100.0)
        dark = device.acquire()
        device.set_laser(True)
        frames = [device.acquire() for _ in range(4)]
        device.set_laser(False)
    levels = [frame.counts.mean() - dark.counts.mean() for frame in frames]
    assert min(levels) > 1000
    assert levels[0] > levels[-1], "fluorescence bleaches"
