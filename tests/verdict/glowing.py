"""Scans of the simulated instrument at fluorescing, dark and weak samples."""

from __future__ import annotations

import numpy as np

from spectralid.devices.sim.emission import Component, Luminescence, Scene
from spectralid.devices.sim.models import BENCHES
from spectralid.devices.sim.physics import Detector
from spectralid.devices.sim.samples import find_sample
from spectralid.spectrum import Spectrum, Technique

FULL = 0.7


def glowing(
    substance: str,
    fluorescence: float,
    *,
    back: float = 1.0,
    frames: int = 4,
    seconds: float = 0.0,
    seed: int = 1,
    model: str = "wasatch-uart",
) -> Spectrum:
    """A Raman scan, dark taken off.

    Parameters
    ----------
    substance : str
        What is under the probe.
    fluorescence : float
        Brightest pixel of the fluorescence relative to the strongest band.
    back : float
        Share of the light that comes back; near 0 for a black sample.
    frames : int
        Frames averaged.
    seconds : float
        Exposure of one frame; if 0 the longest that fits the detector, at most ten seconds.
    seed : int
        Of the noise.
    """
    bench = BENCHES[model]
    scene = Scene((Component(find_sample(substance), back),), (Luminescence(fluorescence * back),))
    detector = Detector(bench, scene, seed=seed)
    detector.cooler.elapse(1e4)
    detector.laser = True
    detector.integration_s = seconds or 1.0
    if not seconds:
        rate = float(detector.expected_electrons().max())
        room = min(bench.full_well_e, (bench.adc_max - bench.offset) * bench.gain_e)
        detector.integration_s = min(10.0, FULL * room / rate)
    detector.restart()
    lit = np.mean([detector.frame() for _ in range(frames)], axis=0)
    detector.laser = False
    dark = np.mean([detector.frame() for _ in range(frames)], axis=0)
    nm = np.polynomial.polynomial.polyval(np.arange(bench.pixels), bench.reported)
    shift = 1e7 / bench.laser_nm - 1e7 / nm
    inside = (shift > 200) & (shift < 2200)
    return Spectrum(shift[inside], (lit - dark)[inside], technique=Technique.RAMAN, name=substance)
