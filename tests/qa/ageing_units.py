"""Units that age, made by the simulator's physics: what they show of a standard on a day, and their dark.

Nothing here is shared with the analysis: light, optics and sensor are those of `spectralid.devices.sim`, the
spectrum is what a scan records. What differs from unit to unit and from day to day is drawn; its sizes are
ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np

from spectralid import Spectrum
from spectralid.devices import load_profile
from spectralid.devices.driver import Identity, RawFrame
from spectralid.devices.frames import Frames
from spectralid.devices.record import Measurement
from spectralid.devices.sim.emission import Component, Luminescence, SampleBand, Scene
from spectralid.devices.sim.physics import Bench, Detector
from spectralid.devices.sim.samples import bundled_samples
from spectralid.qa.check import Darkness

FRAMES = 8
EXPOSURE_S = 0.5
# 1 cm⁻¹ in nm at the laser, and at the far end of the range.
NM_AT_LASER, NM_AT_END = 785.0**2 / 1e7, 1000.0**2 / 1e7
START = datetime(2026, 1, 5, 8, tzinfo=UTC)


@dataclass(frozen=True)
class Day:
    """What is wrong on a day; by default nothing."""

    shift_cm1: float = 0.0
    stretch_cm1: float = 0.0
    light: float = 1.0
    width: float = 1.0
    red_edge_nm: float = 0.0
    hot: int = 0
    dead: int = 0
    offset: float = 0.0
    read_noise: float = 1.0
    stray: float = 0.0
    sample: tuple[SampleBand, ...] = ()
    contaminant: tuple[SampleBand, ...] = ()
    share: float = 0.0
    warmer_c: float = 0.0


SOUND = Day()


@cache
def standard(name: str) -> tuple[SampleBand, ...]:
    """Bands of a substance, as one portable unit showed them."""
    return bundled_samples()[name]


@dataclass
class Unit:
    """One instrument, sound on the day it was accepted."""

    number: int
    bench: Bench = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.number, 1])
        self.bench = replace(
            Bench(),
            laser_error_nm=float(rng.normal(0, 0.3 * NM_AT_LASER)),
            drift_nm=tuple(float(v) for v in rng.normal(0, 0.2 * NM_AT_LASER, 3)),
            resolution_nm=float(rng.uniform(0.45, 0.6)),
            hot_pixels=int(rng.poisson(1)),
            offset=float(rng.uniform(900, 1500)),
        )

    def measured(self, day: int, wrong: Day = SOUND, name: str = "polystyrene") -> tuple[Spectrum, Darkness]:
        """The standard on a day, as a scan records it, and what the detector shows without light.

        From day to day the laser moves by 0.1 cm⁻¹, the light by 5 %, the room by 2 °C (standard deviations).
        """
        rng = np.random.default_rng([self.number, day, 2])
        own, error = self.bench, list(self.bench.drift_nm)
        error[1] += wrong.stretch_cm1 * NM_AT_END
        bench = replace(
            own,
            # A laser further to the red shows every band too far from where the host believes it to be.
            laser_error_nm=own.laser_error_nm + float(rng.normal(0, 0.1 * NM_AT_LASER)),
            reported=(own.reported[0] - wrong.shift_cm1 * NM_AT_LASER * 1.2, *own.reported[1:]),
            drift_nm=tuple(error),
            raman_e_s=own.raman_e_s * wrong.light * float(rng.lognormal(0, 0.05)),
            resolution_nm=own.resolution_nm * wrong.width,
            red_edge_nm=own.red_edge_nm - wrong.red_edge_nm,
            hot_pixels=own.hot_pixels + wrong.hot,
            offset=own.offset + wrong.offset,
            read_noise_e=own.read_noise_e * wrong.read_noise,
            ambient_c=own.ambient_c + wrong.warmer_c + float(rng.normal(0, 2)),
        )
        bands = wrong.sample or standard(name)
        parts = [Component(bands, 1 - wrong.share)]
        if wrong.share:
            parts.append(Component(wrong.contaminant, wrong.share))
        glow = [Luminescence(0.3), *([Luminescence(wrong.stray)] if wrong.stray else [])]
        detector = Detector(bench, Scene(tuple(parts), tuple(glow)), seed=int(rng.integers(2**31)))
        detector.integration_s = EXPOSURE_S
        broken = rng.choice(bench.pixels, wrong.dead, replace=False)

        def frames(laser: bool) -> Frames:
            detector.laser = laser
            taken = []
            for _ in range(FRAMES):
                counts = detector.frame()
                counts[broken] = 0
                temperature = detector.cooler.temperature_c
                taken.append(
                    RawFrame(counts, True, integration_ms=1000 * EXPOSURE_S, temperature_c=temperature)
                )
            return Frames.of(taken)

        sample, dark = frames(True), frames(False)
        # What the host believes is where the pixels were when the unit was calibrated.
        wavelengths = np.polynomial.polynomial.polyval(np.arange(bench.pixels), own.reported)
        measurement = Measurement(
            profile=load_profile("ocean-ventana-785l"),
            identity=Identity(f"U-{self.number:03d}", wavelengths),
            laser_nm=785.0,
            sample=sample,
            dark=dark,
            integration_ms=1000 * EXPOSURE_S,
            averages=FRAMES,
            stale=0,
            interlock=None,
            operator="simulated",
            name=f"simulated {name}",
            sequence=1,
            started=START + timedelta(days=day),
        )
        spectrum = measurement.spectrum(axis_calibration=None, intensity_calibration=None)
        return spectrum, Darkness.of(dark, sample, bench.adc_max)
