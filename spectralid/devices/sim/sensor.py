"""From electrons to counts: dark current, noise, cosmic rays, full wells, a bent, clipping converter."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from spectralid.devices.sim.bench import Bench
from spectralid.devices.sim.emission import Floats

__all__ = ["Cooler", "Sensor"]

# A muon leaves some thousand to some ten thousand electrons in a sensor, in one to three pixels of a row.
_COSMIC_MEAN_E: Final = 15_000.0
_COSMIC_PIXELS: Final = 3
_COOLING_S: Final = 20.0
_STABLE_C: Final = 0.5
_HOT: Final = 100.0
_BENDING_STEPS: Final = 30


class Cooler:
    """Temperature of the detector; without a cooler, that of the room.

    Attributes
    ----------
    fitted, on : bool
        Whether there is a cooler, and whether it runs.
    setpoint_c, temperature_c : float
        What it aims at and where it is.
    """

    def __init__(self, bench: Bench) -> None:
        self._ambient_c = bench.ambient_c
        self.fitted = bench.cooled_to_c is not None
        self.on = self.fitted
        self.setpoint_c = bench.ambient_c if bench.cooled_to_c is None else bench.cooled_to_c
        self.temperature_c = self.setpoint_c

    @property
    def stable(self) -> bool:
        """Whether the detector is at its setpoint."""
        return self.on and abs(self.temperature_c - self.setpoint_c) < _STABLE_C

    def elapse(self, seconds: float) -> None:
        """Let time pass: the temperature comes closer to where it is driven."""
        target = self.setpoint_c if self.on else self._ambient_c
        self.temperature_c = target + (self.temperature_c - target) * float(np.exp(-seconds / _COOLING_S))


class Sensor:
    """A row of pixels and their converter.

    Parameters
    ----------
    bench : Bench
        The instrument.
    seed : int
        Seed of the noise. The fixed pattern of the pixels belongs to the bench and does not depend on it.
    """

    def __init__(self, bench: Bench, *, seed: int) -> None:
        self._bench = bench
        self._rng = np.random.Generator(np.random.PCG64(seed))
        pattern = np.random.Generator(np.random.PCG64(785))
        self._dark = bench.dark_e_s * np.exp(pattern.normal(0, 0.1, bench.pixels))
        self.response = pattern.normal(1, bench.response_sd, bench.pixels)
        """Sensitivity of each pixel, around 1."""
        self._dark[pattern.choice(bench.pixels, bench.hot_pixels, replace=False)] *= _HOT

    def power_factor(self) -> float:
        """Power of the laser in one frame, around 1."""
        noise = self._bench.power_noise
        return 1 + float(self._rng.normal(0, noise)) if noise else 1.0

    def dark_e_s(self, temperature_c: float) -> Floats:
        """Dark current in electrons per second at a temperature, shape (pixels,)."""
        warmer_c = temperature_c - self._bench.dark_at_c
        return np.asarray(self._dark * 2 ** (warmer_c / self._bench.dark_doubling_c))

    def read(self, expected_e: Floats, seconds: float) -> npt.NDArray[np.uint32]:
        """Counts of one frame with a mean of `expected_e` electrons, shape (pixels,)."""
        bench = self._bench
        electrons = self._rng.poisson(expected_e).astype(np.float64)
        read_noise = self._rng.normal(0, bench.read_noise_e, bench.pixels)
        if bench.cosmic_per_s:
            self._cosmic_rays(electrons, seconds)
        linear = (np.minimum(electrons, bench.full_well_e) + read_noise) / bench.gain_e
        counts = np.rint(_bent(linear, bench.nonlinearity) + bench.offset)
        return np.clip(counts, 0, bench.adc_max).astype(np.uint32)

    def _cosmic_rays(self, electrons: Floats, seconds: float) -> None:
        for _ in range(self._rng.poisson(self._bench.cosmic_per_s * seconds)):
            first = int(self._rng.integers(self._bench.pixels))
            hit = slice(first, first + int(self._rng.integers(1, _COSMIC_PIXELS + 1)))
            shares = self._rng.random(electrons[hit].size)
            electrons[hit] += self._rng.exponential(_COSMIC_MEAN_E) * shares / shares.sum()


def _bent(linear: Floats, coefficients: tuple[float, ...]) -> Floats:
    """The counts c that a host takes for `linear` when it divides them by Σ NLk·c^k."""
    counts = linear
    if coefficients != (1.0,):
        for _ in range(_BENDING_STEPS):
            counts = linear * np.polynomial.polynomial.polyval(counts, coefficients)
    return np.asarray(counts)
