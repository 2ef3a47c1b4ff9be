"""What a scan needs of an instrument, whatever it speaks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from spectralid.devices.profile import Profile
from spectralid.spectrum import FloatArray

__all__ = ["Counts", "Driver", "Identity", "Interlock", "RawFrame"]

Counts = npt.NDArray[np.int64]


class Interlock(StrEnum):
    """What the instrument says about its interlock. ``UNKNOWN`` is a state, not a gap: nobody can tell."""

    CLOSED = "closed"
    OPEN = "open"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Identity:
    """Which unit this is, as it says itself.

    Attributes
    ----------
    serial : str
        Serial number.
    wavelengths_nm : ndarray, shape (n_pixels,)
        Wavelength of each pixel, strictly ascending.
    """

    serial: str
    wavelengths_nm: FloatArray


@dataclass(frozen=True, slots=True)
class RawFrame:
    """One frame as the detector gave it.

    Attributes
    ----------
    counts : ndarray of int, shape (n_pixels,)
        Counts.
    verified : bool
        Whether a checksum proved that they came over the line unchanged.
    """

    counts: Counts
    verified: bool


class Driver(Protocol):
    """An instrument. Every failure is a `DeviceError`."""

    @property
    def profile(self) -> Profile:
        """What is fixed for the model."""

    def identify(self) -> Identity:
        """Ask the instrument who it is."""

    def has_laser(self) -> bool:
        """Whether the instrument has a laser that can be switched."""

    def interlock(self) -> Interlock:
        """State of the laser interlock."""

    def set_integration(self, milliseconds: float) -> None:
        """Set the integration time and make sure that it is set."""

    def acquire(self) -> RawFrame:
        """Take one frame."""

    def set_laser(self, on: bool) -> None:
        """Switch the laser. Success is only what `laser_is_on` says afterwards."""

    def laser_is_on(self) -> bool:
        """Read the laser's state back from the instrument."""

    def close(self) -> None:
        """Close the line."""
