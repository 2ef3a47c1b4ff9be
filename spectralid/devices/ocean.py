"""Instruments that speak the Ocean Binary Protocol: Ventana Raman, STS, Spark, QE Pro."""

from __future__ import annotations

import hashlib
import logging
import math
import struct
from typing import Final

import numpy as np

from spectralid.devices.client.errors import RefusedError
from spectralid.devices.client.obp import ObpClient
from spectralid.devices.client_driver import ClientDriver
from spectralid.devices.codec.faults import Checksum
from spectralid.devices.codec.obp import Message
from spectralid.devices.driver import Capabilities, Identity, RawFrame
from spectralid.devices.profile import Profile
from spectralid.devices.transport import Transport, open_transport
from spectralid.devices.wavelengths import pixel_wavelengths
from spectralid.errors import DeviceError, ProtocolError, TransportError

__all__ = ["DetectorNotCooledError", "OceanDriver", "open_ocean"]

_log = logging.getLogger("spectralid.devices")

# SeaBreeze addresses the Raman laser of the Ventana as light source 0 of module 0.
_LASER: Final = b"\x00\x00"
# Unknown message, invalid data, information that does not exist: how an instrument says that it has no such
# thing.
_NO_SUCH_THING: Final = (2, 6, 12)
_COEFFICIENTS: Final = 4
_NORMAL_TRIGGER: Final = b"\x00"
# Before the counts of a buffered spectrum: its number, clock in µs, integration time in µs, trigger mode.
_METADATA: Final = struct.Struct("<IQI2xB13x")
_SETTLE_S: Final = 3.0


class DetectorNotCooledError(DeviceError):
    """The cooled detector is not at its temperature yet; its dark current still changes."""


class OceanDriver(ClientDriver[ObpClient]):
    """An instrument behind an Ocean Binary Protocol client.

    Parameters
    ----------
    client : ObpClient
        The client, its checksum already negotiated.
    profile : Profile
        What is fixed for the model. Its options: ``buffered`` (spectra come as 32-bit counts with metadata,
        as from a QE Pro), ``cooled`` (it has a cooler that can be asked), ``light_source`` (it may have a
        laser), ``fast_baud`` and ``settle_s`` (rate to change to after opening, and the pause that takes).
    """

    def __init__(self, client: ObpClient, profile: Profile) -> None:
        super().__init__(client, profile)
        self._buffered = bool(profile.options.get("buffered", False))
        self._cooled = bool(profile.options.get("cooled", False))
        self._light_source = bool(profile.options.get("light_source", profile.laser_nm is not None))
        self._integration_s = profile.integration_ms[1] / 1000  # until set, allow for the longest

    @property
    def capabilities(self) -> Capabilities:
        """What can be done with it through this protocol."""
        return Capabilities(
            has_laser=self._light_source,
            interlock_readback="no",
            tec=self._cooled,
            payload_checksum="md5" if self._client.checksum is Checksum.VERIFIED else "none",
            baud_negotiation="fast_baud" in self._profile.options,
            true_integration=self._buffered,
        )

    def identify(self) -> Identity:
        """Ask for serial number and wavelength coefficients, and have it measure when asked to.

        Raises
        ------
        DetectorNotCooledError
            If a cooled detector is not at its temperature.
        ProtocolError
            If an answer makes no sense, or the wavelengths do not ascend.
        TransportError
            If the line fails.
        """
        raw = self._client.ask(Message.SERIAL_NUMBER)
        serial = raw.split(b"\0")[0].decode("ascii", errors="replace").strip()
        if not serial.isprintable() or not serial:
            raise ProtocolError(f"The instrument gives no readable serial number ({raw.hex()}).")
        # An earlier program may have left it waiting for a trigger that never comes.
        self._try(Message.SET_TRIGGER_MODE, _NORMAL_TRIGGER)
        if self._cooled:
            self._check_cooler()
        coefficients = [
            self._number("<f", self._client.ask(Message.WAVELENGTH_COEFFICIENT, bytes([index])))
            for index in range(_COEFFICIENTS)
        ]
        return Identity(
            serial,
            pixel_wavelengths(coefficients, self._profile.pixels, source="stored in the instrument"),
            # What is not called raw may have been corrected in the instrument already.
            nonlinearity=self.nonlinearity() if self._buffered else (),
        )

    def _check_cooler(self) -> None:
        if self._number("<B", self._client.ask(Message.TEC_STABLE)):
            return
        aim_c = self._number("<f", self._client.ask(Message.TEC_SETPOINT))
        raise DetectorNotCooledError(
            f"The detector of {self._profile.name} has {self.temperature_c():.1f} °C and is not yet steady "
            f"at {aim_c:.1f} °C; wait and measure again."
        )

    def temperature_c(self) -> float:
        """Temperature of a cooled detector in °C.

        Raises
        ------
        ProtocolError, TransportError
            If it cannot be read.
        """
        told = self._number("<f", self._client.ask(Message.TEC_TEMPERATURE))
        if not math.isfinite(told):
            raise ProtocolError(f"The instrument gives {told} for the temperature of its detector.")
        return told

    def cool_to(self, setpoint_c: float) -> None:
        """Switch the cooler on and have it aim at a temperature; that takes it minutes.

        Parameters
        ----------
        setpoint_c : float
            Detector temperature in °C; the instrument knows its own limits.

        Raises
        ------
        ProtocolError
            If the instrument refuses or does not keep what was set.
        TransportError
            If the line fails.
        """
        wanted = struct.pack("<f", setpoint_c)
        self._client.command(Message.SET_TEC_SETPOINT, wanted)
        self._client.command(Message.SET_TEC_ENABLE, b"\x01")
        kept = self._client.ask(Message.TEC_SETPOINT)
        if kept != wanted:
            raise ProtocolError(
                f"The detector was set to {setpoint_c:g} °C and the instrument says "
                f"{self._number('<f', kept):g} °C."
            )

    def nonlinearity(self) -> tuple[float, ...]:
        """Coefficients for `spectralid.devices.nonlinearity.linearised`; empty if it stores none.

        Raises
        ------
        ProtocolError, TransportError
            If they cannot be read.
        """
        try:
            count = int(self._number("<B", self._client.ask(Message.NONLINEARITY_COEFFICIENT_COUNT)))
        except RefusedError as error:
            if error.number in _NO_SUCH_THING:
                return ()
            raise
        return tuple(
            self._number("<f", self._client.ask(Message.NONLINEARITY_COEFFICIENT, bytes([index])))
            for index in range(count)
        )

    def has_laser(self) -> bool:
        """Whether the instrument knows a laser.

        Raises
        ------
        ProtocolError, TransportError
            If it cannot be asked.
        """
        if not self._light_source:
            return False
        try:
            self.laser_is_on()
        except RefusedError as error:
            if error.number in _NO_SUCH_THING:
                return False
            raise
        return True

    def set_integration(self, milliseconds: float) -> None:
        """Set the integration time and read it back; what was measured before with another one is dropped.

        Parameters
        ----------
        milliseconds : float
            Time in ms, within the limits of the profile; rounded to whole µs.

        Raises
        ------
        ParameterError
            If outside the limits.
        ProtocolError
            If the instrument refuses or does not keep what was set.
        TransportError
            If the line fails.
        """
        self._check_integration(milliseconds)
        microseconds = round(milliseconds * 1000)
        self._client.command(Message.SET_INTEGRATION_TIME, struct.pack("<I", microseconds))
        kept = self._number("<I", self._client.ask(Message.INTEGRATION_TIME))
        if kept != microseconds:
            raise ProtocolError(
                f"The instrument was set to an integration time of {microseconds} µs and says {kept:g} µs."
            )
        # A frame begun with the old time, or waiting in the buffer, must not come as the first new one.
        self._try(Message.ABORT)
        if self._buffered:
            self._try(Message.CLEAR_BUFFER)
        self._integration_s = microseconds / 1e6

    def _try(self, message: Message, data: bytes = b"") -> None:
        """Have something done if the instrument knows how to."""
        try:
            self._client.command(message, data)
        except RefusedError as error:
            if error.number not in _NO_SUCH_THING:
                raise

    def acquire(self) -> RawFrame:
        """Take one frame.

        Raises
        ------
        ProtocolError
            If the answer is damaged or has not the pixels of the profile.
        TransportError
            If the line fails or the frame does not come in time.
        """
        pixels = self._profile.pixels
        expected = _METADATA.size + 4 * pixels if self._buffered else 2 * pixels
        # A detector that runs freely may have just begun a frame that is not the one asked for.
        busy_s = 2 * self._integration_s
        message = Message.BUFFERED_SPECTRUM if self._buffered else Message.CORRECTED_SPECTRUM
        data = self._client.acquire(message, busy_s=busy_s, expect=expected)
        if len(data) != expected:
            raise ProtocolError(
                f"The instrument sent {len(data)} bytes for a frame of {pixels} pixels "
                f"({expected} bytes); choose the profile that fits the instrument."
            )
        verified = self._client.checksum is Checksum.VERIFIED
        digest = hashlib.sha256(data).hexdigest()
        if not self._buffered:
            return RawFrame(np.frombuffer(data, "<u2").astype(np.int64), verified, raw_sha256=digest)
        number, tick_us, integration_us, _ = _METADATA.unpack_from(data)
        return RawFrame(
            np.frombuffer(data, "<u4", offset=_METADATA.size).astype(np.int64),
            verified,
            integration_ms=integration_us / 1000,
            tick_us=tick_us,
            sequence=number,
            temperature_c=self.temperature_c() if self._cooled else None,
            raw_sha256=digest,
        )

    def set_laser(self, on: bool) -> None:
        """Switch the laser; read it back with `laser_is_on`.

        Raises
        ------
        ProtocolError, TransportError
            If it is not acknowledged; the state is then unknown.
        """
        self._client.command(Message.SET_LIGHT_SOURCE_ENABLE, _LASER + bytes([on]))

    def laser_is_on(self) -> bool:
        """Read the laser's state back.

        Raises
        ------
        ProtocolError, TransportError
            If it cannot be read; the state is then unknown.
        """
        # Asked once: whoever needs the laser off must not wait through silent repetitions.
        answer = self._client.ask(Message.LIGHT_SOURCE_ENABLE, _LASER, retries=0)
        return self._number("<B", answer) != 0

    def send_off(self) -> None:
        """Put "laser off" on the line at once, from any thread, without waiting for an answer."""
        if self._light_source:
            self._client.send(Message.SET_LIGHT_SOURCE_ENABLE, _LASER + b"\x00")

    def _number(self, layout: str, data: bytes) -> float:
        size = struct.calcsize(layout)
        if len(data) != size:
            raise ProtocolError(
                f"The instrument sent {len(data)} bytes ({data.hex()}) for a {size}-byte number."
            )
        return float(struct.unpack(layout, data)[0])

    def close(self) -> None:
        """Leave the instrument at the rate it was found at, and close the line."""
        try:
            if "fast_baud" in self._profile.options:
                self._client.negotiate_baud(self._profile.baud, settle_s=0.0)
        except DeviceError as error:
            # `open_ocean` finds it at the other rate too.
            _log.info("The instrument keeps its baud rate: %s", error)
        finally:
            super().close()


def open_ocean(port: str | Transport, profile: Profile) -> OceanDriver:
    """Open an instrument that speaks the Ocean Binary Protocol.

    Parameters
    ----------
    port : str or Transport
        Port as for `spectralid.devices.transport.open_transport`, or an open line.
    profile : Profile
        What is fixed for the model.

    Raises
    ------
    TransportError
        If the line cannot be opened or the instrument is silent.
    ProtocolError
        If what answers does not speak the protocol.
    """
    client = ObpClient(open_transport(port, profile.baud) if isinstance(port, str) else port)
    try:
        fast = _fast_baud(profile)
        _find(client, profile.baud, fast)
        if fast is not None:
            settle_s = float(profile.options.get("settle_s", _SETTLE_S))
            client.negotiate_baud(fast, settle_s=settle_s)
    except BaseException:
        client.close()
        raise
    return OceanDriver(client, profile)


def _fast_baud(profile: Profile) -> int | None:
    fast = profile.options.get("fast_baud")
    return None if fast is None else int(float(fast))


def _find(client: ObpClient, baud: int, fast: int | None) -> None:
    """Get an answer, also from an instrument that an earlier program left at the fast rate."""
    try:
        client.negotiate_checksum()
    except (ProtocolError, TransportError) as error:
        lost = isinstance(error, TransportError) and error.kind != "timeout"
        if fast is None or client.transport.baud is None or lost:
            raise
        client.transport.set_baud(fast)
        try:
            client.negotiate_checksum()
        except DeviceError:
            client.transport.set_baud(baud)
            raise error from None
