"""TCD1304 line sensors behind an STM32 with the "ER" firmware: home-made spectrometers."""

from __future__ import annotations

import hashlib
from typing import Final, NoReturn, cast

import numpy as np

from spectralid.devices.client.tcd1304 import Tcd1304Client
from spectralid.devices.client_driver import ClientDriver
from spectralid.devices.codec.tcd1304 import SIGNAL_PIXELS, Dialect, Periods, decode, encode, periods
from spectralid.devices.driver import Capabilities, Identity, RawFrame
from spectralid.devices.laser import LaserRefusedError
from spectralid.devices.profile import Profile
from spectralid.devices.transport import Transport, open_transport
from spectralid.devices.wavelengths import pixel_wavelengths
from spectralid.errors import ParameterError

__all__ = ["Tcd1304Driver", "open_tcd1304"]

_DIALECTS: Final = ("pc-ready", "single-continuous")
_OPTIONS: Final = ("dialect", "master_clock_hz", "shortest_sh", "longest_sh", "saturation_raw", "serial")
# Before each readout the firmware clears the sensor with three fast cycles and then reads on the third cycle
# of the period asked for; one more, because a cycle may just have begun.
_CLEAR_S: Final = 0.03
_CYCLES: Final = 4


class Tcd1304Driver(ClientDriver[Tcd1304Client]):
    """A board behind its client.

    Parameters
    ----------
    client : Tcd1304Client
        The client.
    profile : Profile
        What is fixed for the instrument: wavelengths and excitation, which the board does not know, and the
        options ``dialect`` (``"pc-ready"`` or ``"single-continuous"``), ``master_clock_hz``, ``shortest_sh``
        and ``longest_sh`` (ticks), ``saturation_raw`` (converter count at or below which the sensor is
        saturated) and ``serial``.

    Raises
    ------
    ParameterError
        If an option is wrong, or the profile is not one of this sensor.

    Notes
    -----
    The sensor gives less the more light falls on it; `acquire` turns that round and takes off the level of
    the shielded pixels, so that a drift of the electronics from frame to frame does not count. A laser that
    lights the sample is not this board's: nothing here switches it, or knows whether it is on.
    """

    def __init__(self, client: Tcd1304Client, profile: Profile) -> None:
        super().__init__(client, profile)
        for name in profile.options:
            if name not in _OPTIONS:
                raise ParameterError("protocol_options", name, f"one of {', '.join(_OPTIONS)}")
        if profile.pixels != SIGNAL_PIXELS:
            raise ParameterError(
                "detector.pixels", profile.pixels, f"{SIGNAL_PIXELS}, the pixels of a TCD1304"
            )
        if not profile.wavelength_nm:
            raise ParameterError(
                "profile", profile.name, "one with a [wavelength] table: the board knows none"
            )
        dialect = profile.options.get("dialect", "pc-ready")
        if dialect not in _DIALECTS:
            raise ParameterError("dialect", dialect, f"one of {', '.join(_DIALECTS)}")
        self._dialect = cast("Dialect", dialect)
        self._clock_hz = self._option("master_clock_hz", 2e6, low=1e5, high=1e8)
        self._shortest_sh = int(self._option("shortest_sh", 20, low=1, high=2**16))
        self._longest_sh = int(self._option("longest_sh", 2**32 - 1, low=self._shortest_sh, high=2**32 - 1))
        self._saturation_raw = self._option("saturation_raw", 0, low=0, high=profile.adc_max)
        self._periods = self._periods_of(profile.integration_ms[0])

    def _option(self, name: str, otherwise: float, *, low: float, high: float) -> float:
        value = self._profile.options.get(name, otherwise)
        if isinstance(value, bool | str) or not low <= value <= high:
            raise ParameterError(name, value, f"a number from {low:g} to {high:g}")
        return float(value)

    def _periods_of(self, milliseconds: float) -> Periods:
        return periods(
            milliseconds,
            clock_hz=self._clock_hz,
            shortest_sh=self._shortest_sh,
            longest_sh=self._longest_sh,
        )

    @property
    def capabilities(self) -> Capabilities:
        """What can be done with it: readouts, and nothing else."""
        return Capabilities(
            has_laser=False, wavelength_source="profile", excitation_source="profile", payload_checksum="none"
        )

    def identify(self) -> Identity:
        """What the profile says of the unit: the board cannot be asked.

        Raises
        ------
        ProtocolError
            If the wavelengths of the profile do not ascend.
        """
        serial = self._profile.options.get("serial", "not told")
        if not isinstance(serial, str) or not serial.strip():
            raise ParameterError("serial", serial, "a text")
        wavelengths = pixel_wavelengths(self._profile.wavelength_nm, SIGNAL_PIXELS, source="of the profile")
        return Identity(serial.strip(), wavelengths)

    def has_laser(self) -> bool:
        """Whether there is a laser to switch: never."""
        return False

    def set_integration(self, milliseconds: float) -> None:
        """Set the exposure of the readouts to come; it goes over the line with each of them.

        Parameters
        ----------
        milliseconds : float
            Time in ms, within the limits of the profile; kept to half a tick of the master clock.

        Raises
        ------
        ParameterError
            If outside the limits.
        """
        self._check_integration(milliseconds)
        self._periods = self._periods_of(milliseconds)

    def acquire(self) -> RawFrame:
        """Take one readout.

        Returns
        -------
        RawFrame
            Light above the shielded pixels, plus a pedestal of 100 counts; saturated pixels show the largest
            count of the profile.

        Raises
        ------
        ProtocolError
            If the readout is not whole or cannot be one of the sensor.
        TransportError
            If the line fails or nothing comes in time.
        """
        busy_s = _CLEAR_S + _CYCLES * self._periods.icg / self._clock_hz
        data = self._client.read_out(encode(self._periods, self._dialect), busy_s=busy_s)
        reading = decode(data)
        counts = np.where(reading.raw <= self._saturation_raw, self._profile.adc_max, reading.counts)
        return RawFrame(counts, verified=False, raw_sha256=hashlib.sha256(data).hexdigest())

    def set_laser(self, on: bool) -> None:
        """Refused: there is none to switch."""
        self._refuse_laser("switched on" if on else "switched off")

    def laser_is_on(self) -> bool:
        """Refused: nobody knows."""
        self._refuse_laser("asked")

    def _refuse_laser(self, what: str) -> NoReturn:
        raise LaserRefusedError(
            f"{self._profile.name} has no laser that can be {what} from here; see to the one beside it."
        )

    def send_off(self) -> None:
        """Nothing: there is no laser to switch."""


def open_tcd1304(port: str | Transport, profile: Profile) -> Tcd1304Driver:
    """Open a TCD1304 board with the "ER" firmware and take one readout to see that it is there.

    Parameters
    ----------
    port : str or Transport
        Port as for `spectralid.devices.transport.open_transport`, or an open line.
    profile : Profile
        What is fixed for the instrument.

    Raises
    ------
    ParameterError
        If the profile does not fit.
    TransportError
        If the line cannot be opened or the board is silent.
    ProtocolError
        If what it sends is not a readout of this sensor.
    """
    client = Tcd1304Client(open_transport(port, profile.baud) if isinstance(port, str) else port)
    try:
        driver = Tcd1304Driver(client, profile)
        driver.acquire()
    except BaseException:
        client.close()
        raise
    return driver
