"""What a scan needs of an instrument, whatever it speaks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from spectralid.devices.profile import Profile
from spectralid.spectrum import FloatArray

__all__ = ["Capabilities", "Counts", "Driver", "Identity", "Interlock", "RawFrame"]

Counts = npt.NDArray[np.int64]


class Interlock(StrEnum):
    """What the instrument says about its interlock. ``UNKNOWN`` is a state, not a gap: nobody can tell."""

    CLOSED = "closed"
    OPEN = "open"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What can be done with an instrument through its protocol, so that nobody has to know its name.

    Attributes
    ----------
    has_laser : bool
        Whether the protocol can switch a laser. `Driver.has_laser` asks whether this unit has one fitted.
    laser_power : bool
        Whether the laser's power can be set.
    interlock_readback : {"yes", "no", "unknown"}
        Whether the interlock's state can be read; ``"unknown"`` where no document says.
    shutter, tec : bool
        Whether a shutter, a detector cooler can be controlled.
    hardware_average : bool
        Whether the instrument averages frames itself.
    trigger_modes : tuple of str
        Trigger modes that can be set, like ``"normal"`` and ``"external"``.
    payload_checksum : {"none", "sum16", "crc8", "md5"}
        What proves that counts came over the line unchanged.
    baud_negotiation : bool
        Whether the line can be made faster.
    wavelength_source, excitation_source : {"instrument", "profile"}
        Where the wavelength of the pixels, of the laser, comes from.
    intensity_calibration : bool
        Whether the instrument holds an intensity calibration.
    true_integration : bool
        Whether each frame says the integration time it was really taken with.
    """

    has_laser: bool
    laser_power: bool = False
    interlock_readback: Literal["yes", "no", "unknown"] = "unknown"
    shutter: bool = False
    tec: bool = False
    hardware_average: bool = False
    trigger_modes: tuple[str, ...] = ("normal",)
    payload_checksum: Literal["none", "sum16", "crc8", "md5"] = "none"
    baud_negotiation: bool = False
    wavelength_source: Literal["instrument", "profile"] = "instrument"
    excitation_source: Literal["instrument", "profile"] = "profile"
    intensity_calibration: bool = False
    true_integration: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """Which unit this is, as it says itself.

    Attributes
    ----------
    serial : str
        Serial number.
    wavelengths_nm : ndarray, shape (n_pixels,)
        Wavelength of each pixel, strictly ascending.
    laser_nm : float or None
        Excitation wavelength the unit reports; ``None`` where only the profile knows it.
    warm_up_s : float
        Seconds the unit asks for between laser on and the first frame.
    watchdog_s : float or None
        Seconds after which the unit itself switches its laser off; ``None`` where it has no watchdog.
    nonlinearity : tuple of float
        Coefficients the unit stores for `spectralid.devices.nonlinearity.linearised`; empty for none.
    """

    serial: str
    wavelengths_nm: FloatArray
    laser_nm: float | None = None
    warm_up_s: float = 0.0
    watchdog_s: float | None = None
    nonlinearity: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class RawFrame:
    """One frame as the detector gave it.

    Attributes
    ----------
    counts : ndarray of int, shape (n_pixels,)
        Counts.
    verified : bool
        Whether a checksum proved that they came over the line unchanged.
    integration_ms : float or None
        Integration time the instrument reports for this very frame, in ms.
    tick_us : int or None
        The instrument's own clock at this frame, in µs.
    sequence : int or None
        The instrument's own number of this frame.
    temperature_c : float or None
        Detector temperature at this frame, in °C.
    raw_sha256 : str
        SHA-256 (hex) of the bytes the counts were decoded from; empty where the driver does not give it.
    """

    counts: Counts
    verified: bool
    integration_ms: float | None = None
    tick_us: int | None = None
    sequence: int | None = None
    temperature_c: float | None = None
    raw_sha256: str = ""


class Driver(Protocol):
    """An instrument. Every failure is a `DeviceError`.

    One thread at a time calls a driver, except `abort` and `send_off`, which any thread may call at any time.
    """

    @property
    def profile(self) -> Profile:
        """What is fixed for the model."""

    @property
    def capabilities(self) -> Capabilities:
        """What can be done with it; asks nothing of the instrument."""

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

    def send_off(self) -> None:
        """Put the command that switches the laser off on the line, at once and from any thread.

        Waits for no answer and therefore proves nothing; without a laser it does nothing. A driver usually
        hands the encoded command to ``transport.write`` with a short deadline: writes do not mix.
        """

    def abort(self) -> None:
        """End a call that another thread waits in: it raises `TransportError` of kind ``"aborted"``.

        Every call fails so until `resume`. A driver hands both on to its transport.
        """

    def resume(self) -> None:
        """Take calls again after `abort`."""

    def close(self) -> None:
        """Close the line."""

    def __enter__(self) -> Self:
        """Use it in a ``with`` block, which closes the line."""

    def __exit__(self, *_: object) -> None: ...
