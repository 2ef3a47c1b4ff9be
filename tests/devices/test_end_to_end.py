"""The simulator in a process of its own, and the driver on its serial line."""

import os
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import find_peaks

from spectralid.devices import ScanPlan, arm, load_profile, open_device, scan
from spectralid.devices.sim.launch import Simulator
from spectralid.errors import TransportError

PROFILE = load_profile("ocean-ventana-785l")
PLAN = ScanPlan(integration_ms=400.0, averages=4, warning_s=0)
LINES = [pytest.param(("--tcp",), id="tcp")]
if os.name == "posix":
    LINES.append(pytest.param((), id="pty"))


def measure(port):
    with open_device(port, PROFILE) as instrument:
        return scan(instrument, PLAN, token=arm("test"), acknowledge_unknown_interlock=True)


@pytest.mark.parametrize("line", LINES)
def test_scan_shows_the_bands_of_the_sample(line):
    with Simulator("--substance", "polystyrene", "--seed", "5", *line) as simulator:
        spectrum = measure(simulator.port)
        again = measure(simulator.port)  # the line can be opened again
    peaks, found = find_peaks(spectrum.intensity, prominence=1)
    strongest = spectrum.axis[peaks[np.argsort(found["prominences"])[::-1][:6]]]
    for position in (620.9, 1001.4, 1031.8, 1602.3):  # the strong single bands of polystyrene, ASTM E1840
        # Half a pixel (up to 2 cm⁻¹) on top of the axis error of about 1 cm⁻¹.
        assert np.abs(strongest - position).min() <= 3.0, position
    assert spectrum.acquisition.serial == "SIM785L-0001"
    assert spectrum.acquisition.flags == {
        "checksum_verified",
        "integration_unverified",
        "interlock_unknown",
        "uncalibrated_axis",
    }
    difference = (spectrum.intensity - again.intensity) / np.hypot(spectrum.sd, again.sd)
    # The median of |t| is 0.70 for Student's t with the 12 degrees of freedom of four times four frames.
    assert np.median(np.abs(difference)) == pytest.approx(0.70, abs=0.08)


def test_scan_without_sample_shows_no_band():
    with Simulator("--seed", "5") as simulator:
        spectrum = measure(simulator.port)
    assert np.abs(spectrum.axis[np.argmax(spectrum.intensity)] - 1001) > 50


@pytest.mark.skipif(os.name != "posix", reason="this platform has no ptys")
def test_paced_answers_arrive_whole():
    fast = replace(PROFILE, baud=921_600)
    with Simulator("--paced") as simulator, open_device(simulator.port, fast) as instrument:
        instrument.set_integration(PROFILE.integration_ms[0])
        frame = instrument.acquire()
    assert frame.verified
    # In the dark: offset and a little dark current.
    assert np.mean(frame.counts) == pytest.approx(1202, abs=2)


def test_simulator_that_dies_is_a_lost_line():
    with Simulator() as simulator, open_device(simulator.port, PROFILE) as instrument:
        simulator.close()
        with pytest.raises(TransportError) as caught:
            instrument.acquire()
    assert caught.value.kind == "disconnected"


@pytest.mark.skipif(os.name != "posix", reason="this platform has no ptys")
def test_second_program_is_kept_out():
    with (
        Simulator() as simulator,
        open_device(simulator.port, PROFILE),
        pytest.raises(TransportError) as caught,
    ):
        open_device(simulator.port, PROFILE)
    assert caught.value.kind == "busy"
