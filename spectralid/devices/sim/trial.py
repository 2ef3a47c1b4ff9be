"""One scan with a fault, and the scan after it: what a driver makes of an instrument that fails.

Everything runs in virtual time in this process, so that a deadline of a minute costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np

from spectralid.devices.driver import Driver
from spectralid.devices.laser import arm
from spectralid.devices.plan import ScanPlan
from spectralid.devices.profile import Profile
from spectralid.devices.registry import open_device
from spectralid.devices.session import scan
from spectralid.devices.sim.faults import Fault, Faults
from spectralid.devices.sim.faulty import FaultyLine
from spectralid.devices.sim.models import BENCHES, DEFAULT_MODELS, instrument_class
from spectralid.devices.sim.physics import Detector, SampleBand
from spectralid.devices.sim.virtual import VirtualLine
from spectralid.errors import DeviceError, SpectralIDError, TransportError
from spectralid.spectrum import Spectrum

__all__ = ["Outcome", "Trial", "TrialBench"]

# Another integration time than the one an instrument has at power-up.
PLAN: Final = ScanPlan(integration_ms=120.0, averages=6, warning_s=0)
_BANDS: Final = (SampleBand(620.0, 0.3, 10.0), SampleBand(1001.4, 1.0, 10.0), SampleBand(1602.3, 0.4, 12.0))
# Noise of a mean of six frames is about 0.2 % of the strongest point; a wrong point is off by far more.
_TOLERANCE: Final = 0.04
_AXIS_CM1: Final = 0.01
_COOLING_S: Final = 600.0


class Outcome(StrEnum):
    """What came of a scan with a fault."""

    CORRECT = "correct spectrum"
    FLAGGED = "flagged spectrum"
    ERROR = "typed error"
    WRONG = "WRONG SPECTRUM, UNFLAGGED"
    CRASH = "CRASH"


@dataclass(frozen=True, slots=True)
class Trial:
    """A scan with a fault and the one after it.

    Attributes
    ----------
    outcome : Outcome
        What came of it.
    error : str
        Type of the error; with its kind where it is one of the line.
    words : str
        What the error says.
    flags : frozenset of str
        Flags of the spectrum that a scan without the fault does not have.
    took_s : float
        Virtual seconds from opening the line to the spectrum or the error.
    next_works : bool
        Whether a scan after the fault has gone gives the correct spectrum.
    laser_left_on : bool
        Whether the laser was on when the faulty scan was over.
    """

    outcome: Outcome
    error: str
    words: str
    flags: frozenset[str]
    took_s: float
    next_works: bool
    laser_left_on: bool


@dataclass(slots=True)
class _Run:
    spectrum: Spectrum | None = None
    error: BaseException | None = None
    took_s: float = 0.0
    spectrum_after: Spectrum | None = None
    laser_left_on: bool = False


class TrialBench:
    """A simulated instrument with a sample before it, and what a sound scan of it gives.

    Parameters
    ----------
    profile : Profile
        Profile the driver is given; names the protocol.
    model : str
        Which simulated instrument, one of `BENCHES`; by default the protocol's usual one.
    seed : int
        Seed of all noise.
    extra : dict, optional
        Further arguments of the simulated instrument.

    Attributes
    ----------
    sound : Spectrum
        What a scan without faults gives.
    sound_s : float
        Virtual seconds that takes.

    Raises
    ------
    DeviceError
        If the scan of the sound instrument fails.
    """

    def __init__(
        self, profile: Profile, *, model: str = "", seed: int = 1, extra: dict[str, Any] | None = None
    ) -> None:
        self.profile = profile
        self._model = model or DEFAULT_MODELS[profile.protocol]
        self._seed = seed
        self._extra = extra or {}
        run = self._run([])
        if run.spectrum is None:
            raise DeviceError(f"The scan of a sound {profile.name} fails ({run.error}).")
        self.sound = run.spectrum
        self.sound_s = run.took_s

    def trial(self, *faults: str) -> Trial:
        """Scan with `faults`, written as `Fault.parse` reads them, then without."""
        run = self._run(faults)
        outcome, flags = _judged(run, self.sound)
        return Trial(
            outcome=outcome,
            error=_named(run.error),
            words=str(run.error or ""),
            flags=flags,
            took_s=run.took_s,
            next_works=run.spectrum_after is not None and not _differs(run.spectrum_after, self.sound),
            laser_left_on=run.laser_left_on,
        )

    def _run(self, texts: Sequence[str]) -> _Run:
        faults = Faults(map(Fault.parse, texts), seed=self._seed)
        detector = Detector(BENCHES[self._model], _BANDS, seed=self._seed, faults=faults)
        make = instrument_class(self.profile.protocol)
        instrument = make(detector, "SIM-TRIAL", faults=faults, **self._extra)
        far = FaultyLine(instrument, faults, laser_on=lambda: detector.laser)
        far_baud = int(faults.argument("wrong-baud", "19200")) if faults.switched_on("wrong-baud") else None
        line = self._line(far, far_baud)
        run = _Run()
        driver: Driver | None = None
        try:
            driver = open_device(line, self.profile)
            run.spectrum = self._scan(driver, detector)
        except Exception as error:
            # Also what is no error of ours: that it is none is what the trial shows.
            run.error = error
        run.took_s, run.laser_left_on = line.now_s, detector.laser
        faults.heal()
        detector.restart()
        detector.cooler.elapse(_COOLING_S)
        run.spectrum_after = self._after(driver, far, line, detector)
        return run

    def _line(self, far: FaultyLine, far_baud: int | None = None) -> VirtualLine:
        return VirtualLine(far, baud=self.profile.baud, far_baud=far_baud or self.profile.baud)

    def _scan(self, driver: Driver, detector: Detector) -> Spectrum:
        def by_hand(on: bool) -> None:
            detector.laser = on

        return scan(
            driver,
            PLAN,
            token=arm("trial"),
            acknowledge_unknown_interlock=True,
            light=by_hand if not driver.capabilities.has_laser else None,
            wait=lambda _: None,
        )

    def _after(
        self, driver: Driver | None, far: FaultyLine, line: VirtualLine, detector: Detector
    ) -> Spectrum | None:
        """A scan with the fault gone: with the same driver if there is one and its line still lives."""
        try:
            if driver is None or line.lost:
                return self._scan(open_device(self._line(far), self.profile), detector)
            line.rest()
            return self._scan(driver, detector)
        except SpectralIDError:
            return None


def _judged(run: _Run, expected: Spectrum) -> tuple[Outcome, frozenset[str]]:
    if run.spectrum is None:
        typed = isinstance(run.error, SpectralIDError)
        return (Outcome.ERROR if typed else Outcome.CRASH), frozenset()
    flags = _flags(run.spectrum) - _flags(expected)
    if flags:
        return Outcome.FLAGGED, flags
    return (Outcome.WRONG if _differs(run.spectrum, expected) else Outcome.CORRECT), flags


def _flags(spectrum: Spectrum) -> frozenset[str]:
    return spectrum.acquisition.flags


def _differs(spectrum: Spectrum, expected: Spectrum) -> bool:
    if spectrum.axis.shape != expected.axis.shape:
        return True
    off = np.nanmax(np.abs(spectrum.intensity - expected.intensity)) / np.nanmax(expected.intensity)
    return bool(off > _TOLERANCE or np.max(np.abs(spectrum.axis - expected.axis)) > _AXIS_CM1)


def _named(error: BaseException | None) -> str:
    if error is None:
        return ""
    name = type(error).__name__
    return f"{name} ({error.kind})" if isinstance(error, TransportError) else name
