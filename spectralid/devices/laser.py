"""Laser safety: off unless armed by the caller, and "off" only when read back.

Software is not an interlock. What is here makes mistakes of software unlikely to leave a laser on; key,
interlock, shutter and glasses make them harmless.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from spectralid.devices.driver import Driver, Interlock
from spectralid.errors import DeviceError, ParameterError

__all__ = [
    "ArmToken",
    "LaserOffUnconfirmedError",
    "LaserRefusedError",
    "arm",
    "check_permission",
    "check_token",
    "switch_off",
]

OFF_ATTEMPTS: Final = 3
LONGEST_VALIDITY_S: Final = 600.0


class LaserRefusedError(DeviceError):
    """The laser was not switched on because something that has to come first is missing."""


class LaserOffUnconfirmedError(DeviceError):
    """ALARM: the laser was told to go off and the instrument does not confirm that it is off.

    Parameters
    ----------
    reason : str
        Why it is not confirmed.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            "LASER OFF UNCONFIRMED: the laser may still be on. Turn the key or cut the power of the "
            f"instrument now, and keep away from the beam. ({reason})"
        )
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ArmToken:
    """Somebody's consent to switch the laser on, for a while.

    Attributes
    ----------
    operator : str
        Who consented; goes on record with the spectrum.
    expires : float
        When it ends, in seconds of the monotonic clock.
    """

    operator: str
    expires: float


def arm(operator: str, *, valid_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> ArmToken:
    """Consent to switching the laser on.

    Never call this from configuration or at import: a person says yes, now.

    Parameters
    ----------
    operator : str
        Who consents.
    valid_s : float
        For how long, in seconds, above 0 and at most 600.
    clock : callable
        The monotonic clock.

    Returns
    -------
    ArmToken
        What a session wants to see before it switches the laser on.

    Raises
    ------
    ParameterError
        If the operator is empty or the time is out of range.
    """
    if not operator.strip():
        raise ParameterError("operator", operator, "the name of the person who arms the laser")
    if not 0 < valid_s <= LONGEST_VALIDITY_S:
        raise ParameterError("valid_s", valid_s, f"a time above 0 and at most {LONGEST_VALIDITY_S:g} s")
    return ArmToken(operator.strip(), clock() + valid_s)


def check_token(token: ArmToken, *, clock: Callable[[], float] = time.monotonic) -> None:
    """Make sure that the consent still holds.

    Raises
    ------
    LaserRefusedError
        If it has expired.
    """
    if clock() >= token.expires:
        raise LaserRefusedError(
            f"The laser was armed by {token.operator} and that has expired; arm it again."
        )


def check_permission(
    interlock: Interlock,
    token: ArmToken,
    *,
    acknowledged: bool,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Make sure that the laser may go on.

    Parameters
    ----------
    interlock : Interlock
        What the instrument says of its interlock.
    token : ArmToken
        Somebody's consent.
    acknowledged : bool
        Whether the operator knows that the interlock's state may be unknown.
    clock : callable
        The monotonic clock.

    Raises
    ------
    LaserRefusedError
        If the consent has expired, the interlock is open, or its state is unknown and nobody
        acknowledged that.
    """
    check_token(token, clock=clock)
    if interlock is Interlock.OPEN:
        raise LaserRefusedError("The interlock of the instrument is open; close it and scan again.")
    if interlock is Interlock.UNKNOWN and not acknowledged:
        raise LaserRefusedError(
            "This instrument cannot tell whether its laser interlock is closed; check it yourself and "
            "acknowledge that it is unknown."
        )


def switch_off(driver: Driver) -> None:
    """Switch the laser off and have it confirmed.

    Raises
    ------
    LaserOffUnconfirmedError
        If the instrument does not confirm it after three attempts, whatever the reason, a lost line included.
    """
    reason = "it still reads back as on"
    interruption: BaseException | None = None
    for _ in range(OFF_ATTEMPTS):
        try:
            driver.set_laser(False)
            if not driver.laser_is_on():
                break
            reason = "it still reads back as on"
        except DeviceError as error:
            reason = str(error)
        except BaseException as error:
            # A second Ctrl-C, a request to end the program, a fault in the driver: the laser comes first.
            interruption = error
            reason = f"{type(error).__name__}: {error}"
    else:
        raise LaserOffUnconfirmedError(reason) from interruption
    if interruption is not None:
        raise interruption
