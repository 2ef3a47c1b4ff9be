"""Instruments that speak the Ocean Binary Protocol: Ventana Raman, and by the same messages STS and Spark."""

from __future__ import annotations

import struct
from typing import Final, Self

import numpy as np

from spectralid.devices.client.obp import ObpClient, RefusedError
from spectralid.devices.codec.obp import Checksum, Message
from spectralid.devices.driver import Capabilities, Identity, Interlock, RawFrame
from spectralid.devices.profile import Profile
from spectralid.devices.transport import Transport, open_transport
from spectralid.errors import ParameterError, ProtocolError
from spectralid.spectrum import FloatArray

__all__ = ["OceanDriver", "open_ocean"]

# SeaBreeze addresses the Raman laser of the Ventana as light source 0 of module 0.
_LASER: Final = b"\x00\x00"
# Unknown message, invalid data, information that does not exist: how an instrument without a laser answers.
_NO_SUCH_THING: Final = (2, 6, 12)
_COEFFICIENTS: Final = 4
# No spectrometer of this kind sees further; NaN and infinity lie outside too.
_WAVELENGTHS_NM: Final = (100.0, 10_000.0)
_BYTES_PER_PIXEL: Final = 2


class OceanDriver:
    """An instrument behind an Ocean Binary Protocol client.

    Parameters
    ----------
    client : ObpClient
        The client, its checksum already negotiated.
    profile : Profile
        What is fixed for the model.
    """

    def __init__(self, client: ObpClient, profile: Profile) -> None:
        self._client = client
        self._profile = profile
        self._integration_s = profile.integration_ms[1] / 1000  # until set, allow for the longest

    @property
    def profile(self) -> Profile:
        """What is fixed for the model."""
        return self._profile

    @property
    def capabilities(self) -> Capabilities:
        """What can be done with it through this protocol."""
        return Capabilities(
            has_laser=True,
            interlock_readback="no",
            payload_checksum="md5" if self._client.checksum is Checksum.VERIFIED else "none",
        )

    def identify(self) -> Identity:
        """Ask for serial number and wavelength coefficients.

        Raises
        ------
        ProtocolError
            If an answer makes no sense, or the wavelengths do not ascend.
        TransportError
            If the line fails.
        """
        raw = self._client.ask(Message.SERIAL_NUMBER)
        serial = raw.split(b"\0")[0].decode("ascii", errors="replace").strip()
        if not serial.isprintable() or not serial:
            raise ProtocolError(f"The instrument gives no readable serial number ({raw.hex()}).")
        return Identity(serial, self._wavelengths())

    def _wavelengths(self) -> FloatArray:
        coefficients = [
            self._number("<f", self._client.ask(Message.WAVELENGTH_COEFFICIENT, bytes([index])))
            for index in range(_COEFFICIENTS)
        ]
        pixel = np.arange(self._profile.pixels, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            wavelengths = np.polynomial.polynomial.polyval(pixel, coefficients)
            inside = (wavelengths > _WAVELENGTHS_NM[0]) & (wavelengths < _WAVELENGTHS_NM[1])
            usable = np.all(inside) and np.all(np.diff(wavelengths) > 0)
        if not usable:
            told = ", ".join(f"{c:g}" for c in coefficients)
            raise ProtocolError(
                f"The wavelength coefficients stored in the instrument ({told}) do not give ascending "
                "wavelengths; its calibration is lost. Have it calibrated before use."
            )
        return np.asarray(wavelengths, dtype=np.float64)

    def has_laser(self) -> bool:
        """Whether the instrument knows a laser.

        Raises
        ------
        ProtocolError, TransportError
            If it cannot be asked.
        """
        try:
            self.laser_is_on()
        except RefusedError as error:
            if error.number in _NO_SUCH_THING:
                return False
            raise
        return True

    def interlock(self) -> Interlock:
        """Always unknown: the protocol has no message for it."""
        return Interlock.UNKNOWN

    def set_integration(self, milliseconds: float) -> None:
        """Set the integration time and read it back.

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
        low, high = self._profile.integration_ms
        if not low <= milliseconds <= high:
            raise ParameterError("integration time", f"{milliseconds:g} ms", f"from {low:g} to {high:g} ms")
        microseconds = round(milliseconds * 1000)
        self._client.command(Message.SET_INTEGRATION_TIME, struct.pack("<I", microseconds))
        kept = self._number("<I", self._client.ask(Message.INTEGRATION_TIME))
        if kept != microseconds:
            raise ProtocolError(
                f"The instrument was set to an integration time of {microseconds} µs and says {kept:g} µs."
            )
        self._integration_s = microseconds / 1e6

    def acquire(self) -> RawFrame:
        """Take one frame.

        Raises
        ------
        ProtocolError
            If the answer is damaged or has not the pixels of the profile.
        TransportError
            If the line fails or the frame does not come in time.
        """
        expected = self._profile.pixels * _BYTES_PER_PIXEL
        # A detector that runs freely may have just begun a frame that is not the one asked for.
        busy_s = 2 * self._integration_s
        data = self._client.acquire(Message.CORRECTED_SPECTRUM, busy_s=busy_s, expect=expected)
        if len(data) != expected:
            raise ProtocolError(
                f"The instrument sent {len(data)} bytes for a frame of {self._profile.pixels} pixels "
                f"({expected} bytes); choose the profile that fits the instrument."
            )
        counts = np.frombuffer(data, dtype="<u2").astype(np.int64)
        return RawFrame(counts, verified=self._client.checksum is Checksum.VERIFIED)

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
        self._client.send(Message.SET_LIGHT_SOURCE_ENABLE, _LASER + b"\x00")

    def abort(self) -> None:
        """End a call that another thread waits in, until `resume`."""
        self._client.transport.abort()

    def resume(self) -> None:
        """Take calls again after `abort`."""
        self._client.transport.resume()

    def _number(self, layout: str, data: bytes) -> float:
        size = struct.calcsize(layout)
        if len(data) != size:
            raise ProtocolError(
                f"The instrument sent {len(data)} bytes ({data.hex()}) for a {size}-byte number."
            )
        return float(struct.unpack(layout, data)[0])

    def close(self) -> None:
        """Close the line."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
        client.negotiate_checksum()
    except BaseException:
        client.close()
        raise
    return OceanDriver(client, profile)
