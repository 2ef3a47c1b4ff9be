"""A client nobody here wrote: seabreeze's compiled library opens the simulator and reads spectra.

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
from spectralid.devices.sim.models import BENCHES
from spectralid.devices.sim.physics import Detector

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("seabreeze") is None, reason="seabreeze is not installed"),
    pytest.mark.skipif(os.name != "posix", reason="this platform has no ptys"),
]

CLIENT = """
import json, sys
from seabreeze.cseabreeze import SeaBreezeAPI
api = SeaBreezeAPI()
api.add_rs232_device_location(sys.argv[2].encode(), sys.argv[1].encode(), 9600)
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


@pytest.mark.parametrize(("model", "known_as"), [("sts", "STS"), ("qe-pro", "QE-PRO"), ("spark", "Spark")])
def test_seabreeze_reads_serial_wavelengths_and_spectra(model, known_as):
    bench = BENCHES[model]
    arguments = ("--model", model, "--seed", "2", "--serial", "SIM-OCEAN-7", "--baud", "9600")
    with Simulator(*arguments) as simulator:
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, simulator.port, known_as],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["serial"] == "SIM-OCEAN-7"
    np.testing.assert_allclose(
        told["wavelengths"],
        np.polynomial.polynomial.polyval(np.arange(bench.pixels), bench.reported),
        rtol=1e-6,
    )
    # The same seed gives the same counts as the simulator's physics in this process.
    detector = Detector(bench, (), seed=2)
    detector.integration_s = 0.05
    for frame in (told["first"], told["second"]):
        np.testing.assert_array_equal(frame, detector.frame())
    assert told["first"] != told["second"]
