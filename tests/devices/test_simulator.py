"""The simulated instrument: its protocol manners, its band tables, its command line."""

import pytest

from spectralid.devices.codec.obp import Decoder, Flag, Frame, Message, encode
from spectralid.devices.sim.launch import Simulator
from spectralid.devices.sim.samples import find_sample, read_samples
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
