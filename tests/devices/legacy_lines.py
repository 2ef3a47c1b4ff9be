"""Simulated instruments of the older Ocean protocol, on lines that wait for nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from spectralid.devices.ocean_legacy import OceanLegacyDriver, open_ocean_legacy
from spectralid.devices.profile import Profile
from spectralid.devices.sim.faults import Fault, Faults
from spectralid.devices.sim.faulty import FaultyLine
from spectralid.devices.sim.ocean_legacy import OceanLegacyInstrument
from spectralid.devices.sim.physics import Bench, Detector, SampleBand
from spectralid.devices.sim.virtual import VirtualLine

PIXELS = 256
FLAME = Profile(
    name="Test Flame",
    protocol="ocean-legacy",
    tried_on_hardware=False,
    baud=9600,
    pixels=PIXELS,
    adc_max=65535,
    integration_ms=(1.0, 65_000.0),
    options={"dialect": "flame"},
)
SAD500 = replace(
    FLAME,
    name="Test SAD500",
    adc_max=4095,
    integration_ms=(5.0, 65_535.0),
    wavelength_nm=(796.5, 0.25),
    options={"dialect": "sad500"},
)
BENCH = Bench(pixels=PIXELS, reported=(796.5, 0.25, -1.1e-5, -1e-9))
BANDS = (SampleBand(620.0, 0.3, 10.0), SampleBand(1001.4, 1.0, 10.0), SampleBand(1602.3, 0.4, 12.0))


@cache
def bench(dialect: str) -> Bench:
    # A gain that keeps 12 bits from clipping.
    return BENCH if dialect == "flame" else replace(BENCH, adc_max=4095, gain_e=60.0, offset=80.0)


def with_options(profile: Profile, **options: str | float | bool) -> Profile:
    return replace(profile, options={**profile.options, **options})


class Rig:
    """A simulated instrument behind a line, and what is needed to open it.

    `faults` are those of the simulator, written as on its command line.
    """

    def __init__(
        self,
        profile: Profile = FLAME,
        *faults: str,
        far_baud: int | None = None,
        line: type[VirtualLine] = VirtualLine,
        **instrument: bool,
    ) -> None:
        self.profile = profile
        dialect = str(profile.options["dialect"])
        self.faults = Faults(map(Fault.parse, faults), seed=5)
        self.detector = Detector(bench(dialect), BANDS, seed=1, faults=self.faults)
        self.instrument = OceanLegacyInstrument(
            self.detector, "FLMS00123", faults=self.faults, dialect=dialect, **instrument
        )
        self.line = line(
            FaultyLine(self.instrument, self.faults, laser_on=lambda: self.detector.laser),
            baud=profile.baud,
            far_baud=far_baud,
        )

    def open(self) -> OceanLegacyDriver:
        return open_ocean_legacy(self.line, self.profile)

    @property
    def truth(self) -> np.ndarray:
        """What the last record was made from."""
        return self.instrument.counts
