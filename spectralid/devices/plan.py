"""What a scan is to do, and how it tells how far it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from spectralid.errors import ParameterError
from spectralid.spectrum import FloatArray

__all__ = ["Progress", "ScanPlan", "Stage"]

MAXIMUM_AVERAGES: Final = 1000
MAXIMUM_DISCARD: Final = 8


class Stage(StrEnum):
    """What a scan is doing."""

    WARNING = "laser on in"
    WARM_UP = "warming up"
    EXPOSURE = "finding the exposure"
    SAMPLE = "sample frames"
    DARK = "dark frames"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is.

    Attributes
    ----------
    stage : Stage
        What it is doing.
    done, total : int
        Frames of the stage; seconds for the warning and the warm-up, `done` of them left.
    snr : float or None
        Signal-to-noise ratio of the strongest band so far, while sample frames are averaged.
    mean : ndarray or None
        Mean counts of the sample frames so far, shape (n_pixels,), dark not subtracted: for showing that
        something comes in.
    """

    stage: Stage
    done: int
    total: int
    snr: float | None = None
    mean: FloatArray | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """What to measure.

    Attributes
    ----------
    integration_ms : float or None
        Integration time of a frame in ms; ``None`` finds one that uses the detector's range.
    averages : int
        Frames of the sample, 1 to 1000; as many of the dark. With `until_snr`, the most that are taken.
    until_snr : float or None
        Average until the strongest band's signal-to-noise ratio reaches this, above 0.
    discard : int
        Frames thrown away after each change of laser or integration time, 1 to 8. More are, up to 8, while
        frames say that they were taken with the old integration time.
    dark : bool
        Whether dark frames are taken and subtracted.
    warning_s, warm_up_s : float or None
        Seconds of warning before the laser goes on, and from then to the first frame that counts; ``None``
        takes the instrument's.
    name : str
        Name of the spectrum.
    operator : str
        Who measures; where a laser is armed, who armed it goes on record instead.
    """

    integration_ms: float | None = None
    averages: int = 10
    until_snr: float | None = None
    discard: int = 1
    dark: bool = True
    warning_s: float | None = None
    warm_up_s: float | None = None
    name: str = ""
    operator: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.averages <= MAXIMUM_AVERAGES:
            raise ParameterError(
                "averages", self.averages, f"a number of frames from 1 to {MAXIMUM_AVERAGES}"
            )
        if self.until_snr is not None and not self.until_snr > 0:
            raise ParameterError("until_snr", self.until_snr, "above 0")
        if self.until_snr is not None and self.averages < 2:
            raise ParameterError("averages", self.averages, "at least 2: noise is measured between frames")
        if not 1 <= self.discard <= MAXIMUM_DISCARD:
            raise ParameterError(
                "discard", self.discard, f"1 to {MAXIMUM_DISCARD}: the first frame holds the old state"
            )
        for name in ("warning_s", "warm_up_s"):
            seconds = getattr(self, name)
            if seconds is not None and not 0 <= seconds <= 600:
                raise ParameterError(name, seconds, "from 0 to 600 s")
