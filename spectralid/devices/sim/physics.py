"""A simulated Raman spectrometer with a sample before it: time passes, light comes, counts go out.

The parts are in files of their own: what the sample emits (``emission``), how the optics bring it to the
pixels (``bench``), what the sensor makes of it (``sensor``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spectralid.devices.sim.bench import Bench, luminescence_on_pixels, raman_on_pixels
from spectralid.devices.sim.emission import (
    Component,
    Floats,
    Luminescence,
    SampleBand,
    Scene,
    bleached,
    voigt,
)
from spectralid.devices.sim.faults import NO_FAULTS, Faults
from spectralid.devices.sim.sensor import Cooler, Sensor

__all__ = ["Bench", "Component", "Detector", "Luminescence", "SampleBand", "Scene", "voigt"]


class Detector:
    """The spectrometer with a sample before it: gives frames of counts.

    It has no clock: time is what its frames take, one after the other.

    Parameters
    ----------
    bench : Bench
        The instrument.
    sample : Scene or sequence of SampleBand
        What lies under the probe. Bands alone are a pure substance that fluoresces as strongly as its
        strongest band and does not bleach.
    seed : int
        Seed of the noise. The fixed pattern of the pixels belongs to the bench and does not depend on it.
    faults : Faults
        What is wrong with it.

    Attributes
    ----------
    laser : bool
        Whether the laser is switched on.
    interlock_open : bool
        Whether the interlock kept the light off during the last frame although the laser was switched on.
    cooler : Cooler
        Temperature of the detector.
    frames : int
        Frames taken so far.
    clock_s : float
        Time since power-up.
    taken_s : float
        Integration time the last frame was really taken with.
    """

    def __init__(
        self, bench: Bench, sample: Scene | Sequence[SampleBand], *, seed: int, faults: Faults = NO_FAULTS
    ) -> None:
        self.bench = bench
        self.laser = False
        self.interlock_open = False
        self.cooler = Cooler(bench)
        self.frames = 0
        self.clock_s = 0.0
        self.taken_s = 0.0
        self._faults = faults
        self._set_s = self._effective_s = 0.1
        self._stale_frames = 0
        self._lit_s = 0.0  # light the sample has had in all
        self._warm_s = 0.0  # time the laser has been on in one go
        self._sensor = Sensor(bench, seed=seed)
        scene = (
            sample if isinstance(sample, Scene) else Scene((Component(tuple(sample)),), (Luminescence(1.0),))
        )
        parts = [part.amount * raman_on_pixels(bench, part.bands) for part in scene.components]
        self._raman = np.sum(parts, axis=0) * self._sensor.response if parts else np.zeros(bench.pixels)
        self._glow = [
            (light, luminescence_on_pixels(bench, light) * self._sensor.response)
            for light in scene.luminescence
            if light.strength
        ]
        if faults.switched_on("tec-unstable"):
            self.cooler.temperature_c = bench.ambient_c

    @property
    def integration_s(self) -> float:
        """Integration time that is set, in seconds."""
        return self._set_s

    @integration_s.setter
    def integration_s(self, seconds: float) -> None:
        if seconds != self._set_s and self._faults.active("stale-integration"):
            self._stale_frames = int(self._faults.argument("stale-integration", "1").rstrip("!"))
        self._set_s = seconds
        if not self._stale_frames:
            self._effective_s = seconds

    def restart(self) -> None:
        """Throw away what was begun: the next frame has the integration time that is set."""
        if not self._faults.argument("stale-integration", "").endswith("!"):
            self._stale_frames = 0
            self._effective_s = self._set_s

    def expected_electrons(self) -> Floats:
        """Mean electrons per pixel of the next frame, shape (pixels,)."""
        seconds = self._effective_s
        rate = self._sensor.dark_e_s(self.cooler.temperature_c)
        if self.laser and not self.interlock_open:
            light = self._raman.copy()
            for glow, electrons in self._glow:
                light += electrons * bleached(glow, self._lit_s, seconds)
            rate = rate + light * self._power(seconds)
        return np.asarray(rate * seconds)

    def _power(self, seconds: float) -> float:
        """Mean power of the warming laser over the next frame, 1 when it is cold."""
        bench = self.bench
        warm = np.exp(-np.array([self._warm_s, self._warm_s + seconds]) / bench.droop_s)
        return 1 - bench.power_droop * (1 - float(warm[0] - warm[1]) * bench.droop_s / seconds)

    def frame(self) -> npt.NDArray[np.uint32]:
        """One frame of counts, shape (pixels,)."""
        self.interlock_open = self.laser and self._faults.active("interlock-opens")
        if self.laser and self._faults.active("watchdog"):
            self.laser = False
        seconds = self._effective_s
        dark = self._sensor.dark_e_s(self.cooler.temperature_c) * seconds
        light = (self.expected_electrons() - dark) * self._sensor.power_factor()
        counts = self._sensor.read(np.maximum(dark + light, 0), seconds)
        self._pass(seconds)
        return self._spoilt(counts)

    def _pass(self, seconds: float) -> None:
        self.frames += 1
        self.clock_s += seconds
        self.taken_s = seconds
        if self.laser:
            self._warm_s += seconds
            self._lit_s += 0.0 if self.interlock_open else seconds
        else:
            self._warm_s = 0.0
        if not self._faults.switched_on("tec-unstable"):
            self.cooler.elapse(seconds)
        if self._stale_frames:
            self._stale_frames -= 1
            if not self._stale_frames:
                self._effective_s = self._set_s

    def _spoilt(self, counts: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        """`counts` with the faults of the sensor."""
        if self._faults.active("saturated", spectrum=True):
            counts = np.full_like(counts, self.bench.adc_max)
        if self._faults.active("dead-frame", spectrum=True):
            kind = self._faults.argument("dead-frame", "zero")
            if kind == "zero":
                counts = np.zeros_like(counts)
            elif kind == "flat":
                counts = np.full_like(counts, round(self.bench.offset))
            else:
                counts = counts.copy()
                counts[counts.size // 3] = round(self.bench.offset)
        return counts
