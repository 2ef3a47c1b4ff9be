"""A client nobody here wrote: seabreeze's compiled library opens the simulator as an STS and reads spectra.

It holds the interpreter while it waits and has no timeouts on serial lines, so it runs in a process of its
own that is killed when it takes too long.
"""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from spectralid.devices.sim.launch import Simulator
from spectralid.devices.sim.physics import Bench

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("seabreeze") is None, reason="seabreeze is not installed"),
    pytest.mark.skipif(os.name != "posix", reason="this platform has no ptys"),
]

CLIENT = """
import json, sys
from seabreeze.cseabreeze import SeaBreezeAPI
api = SeaBreezeAPI()
api.add_rs232_device_location(b"STS", sys.argv[1].encode(), 9600)
(device,) = api.list_devices()
device.open()
spectrometer = device.f.spectrometer
spectrometer.set_trigger_mode(0)
spectrometer.set_integration_time_micros(50_000)
print(json.dumps({
    "serial": device.get_serial_number(),
    "wavelengths": list(spectrometer.get_wavelengths()),
    "first": list(spectrometer.get_intensities()),
    "second": list(spectrometer.get_intensities()),
}))
device.close()
"""


def test_seabreeze_reads_serial_wavelengths_and_spectra():
    with Simulator("--seed", "2", "--serial", "SIM-STS-7") as simulator:
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, simulator.port],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["serial"] == "SIM-STS-7"
    bench = Bench()
    np.testing.assert_allclose(
        told["wavelengths"], np.polynomial.polynomial.polyval(np.arange(1024), bench.reported), rtol=1e-6
    )
    dark = bench.offset + bench.dark_e_s * 0.05 / bench.gain_e
    for frame in (told["first"], told["second"]):
        assert len(frame) == bench.pixels
        assert np.mean(frame) == pytest.approx(dark, abs=1.0)
    assert told["first"] != told["second"]
