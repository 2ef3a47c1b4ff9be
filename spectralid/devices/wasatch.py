"""Wasatch OEM WP Raman modules on their serial line (UART)."""

from __future__ import annotations

import hashlib
from typing import Final, Literal, cast

from spectralid.devices.client.errors import RefusedError
from spectralid.devices.client.wasatch import WasatchClient
from spectralid.devices.client_driver import ClientDriver
from spectralid.devices.codec.wasatch import ByteOrder, Opcode, decode_image
from spectralid.devices.codec.wasatch_eeprom import PAGE_SIZE, PAGES, Eeprom, parse_eeprom
from spectralid.devices.driver import Capabilities, Identity, RawFrame
from spectralid.devices.profile import Profile
from spectralid.devices.transport import Transport, open_transport
from spectralid.devices.wavelengths import pixel_wavelengths
from spectralid.errors import ParameterError, ProtocolError

__all__ = ["WasatchDriver", "open_wasatch"]

_BYTES_PER_PIXEL: Final = 2
_FPGA_REVISION_BYTES: Final = 7
_INTEGRATION_BYTES: Final = 3
_LONGEST_MS: Final = 2**24 - 1
_PAGE_NUMBER: Final = 0x40  # added to the number of an EEPROM page when it is asked for
_UNRECOGNISED: Final = 3
# A unit's own laser differs from the nominal wavelength by a nanometre or so; more is another instrument.
_EXCITATION_TOLERANCE_NM: Final = 5.0
_LONGEST_GAP_MS: Final = 10.0
_OPTIONS: Final = ("pixel_byte_order", "eeprom", "byte_gap_ms", "serial")


class WasatchDriver(ClientDriver[WasatchClient]):
    """A module behind a Wasatch client.

    Parameters
    ----------
    client : WasatchClient
        The client.
    profile : Profile
        What is fixed for the model. Its options: ``pixel_byte_order`` (``"little"`` or ``"big"``),
        ``eeprom`` (whether calibration, excitation and serial number are read from the instrument, or else
        come from the profile), ``serial`` (of the unit, where it cannot be read).

    Raises
    ------
    ParameterError
        If an option is wrong, or the profile lacks what the instrument shall not be asked for.

    Notes
    -----
    Images come bare: every frame is marked as proved by no checksum, and after each one the integration time
    is read back, so that a module that was reset in between does not pass unnoticed.
    """

    def __init__(self, client: WasatchClient, profile: Profile) -> None:
        super().__init__(client, profile)
        self._order = _byte_order(profile)
        self._from_eeprom = _switch(profile, "eeprom", otherwise=True)
        for name in profile.options:
            if name not in _OPTIONS:
                raise ParameterError("protocol_options", name, f"one of {', '.join(_OPTIONS)}")
        if not self._from_eeprom and not profile.wavelength_nm:
            raise ParameterError(
                "profile", profile.name, "one with a [wavelength] table where the EEPROM is not to be read"
            )
        self._integration_ms: int | None = None
        self._eeprom: Eeprom | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What can be done with it. Whether there is an intensity calibration is known after `identify`."""
        source: Literal["instrument", "profile"] = "instrument" if self._from_eeprom else "profile"
        return Capabilities(
            has_laser=True,
            wavelength_source=source,
            excitation_source=source,
            intensity_calibration=self._eeprom is not None
            and self._eeprom.intensity_coefficients is not None,
        )

    @property
    def eeprom(self) -> Eeprom | None:
        """What the instrument stores about itself; ``None`` before `identify` or if it is not read."""
        return self._eeprom

    def identify(self) -> Identity:
        """Ask for pixel count and calibration.

        Raises
        ------
        ProtocolError
            If an answer makes no sense, or the pixels, the excitation or the wavelengths cannot be right.
        TransportError
            If the line fails.
        """
        pixels = int.from_bytes(self._client.ask(Opcode.PIXEL_COUNT, 2), "little")
        if pixels != self._profile.pixels:
            raise ProtocolError(
                f"The instrument has {pixels} pixels and the profile says {self._profile.pixels}; choose the "
                "profile that fits the instrument."
            )
        if self._from_eeprom:
            return self._stored_identity(self._read_eeprom())
        wavelengths = pixel_wavelengths(self._profile.wavelength_nm, pixels, source="of the profile")
        return Identity(_text(self._profile, "serial", otherwise="not told"), wavelengths)

    def _stored_identity(self, stored: Eeprom) -> Identity:
        self._eeprom = stored
        told = "; ".join(stored.problems) or "it looks as if it had never been written"
        if not stored.serial:
            raise ProtocolError(f"The instrument gives no readable serial number ({told}).")
        if stored.wavelength_coefficients is None:
            raise ProtocolError(
                f"The instrument stores no wavelength calibration ({told}). Have it calibrated before use."
            )
        if stored.pixels is not None and stored.pixels != self._profile.pixels:
            raise ProtocolError(
                f"The EEPROM of the instrument says {stored.pixels} pixels and its detector has "
                f"{self._profile.pixels}: it is not this instrument's, or damaged."
            )
        return Identity(
            serial=stored.serial,
            wavelengths_nm=pixel_wavelengths(
                stored.wavelength_coefficients, self._profile.pixels, source="stored in the instrument"
            ),
            laser_nm=self._excitation(stored, told),
            warm_up_s=float(stored.warm_up_s),
            watchdog_s=None if stored.watchdog_s is None else float(stored.watchdog_s),
        )

    def _excitation(self, stored: Eeprom, told: str) -> float | None:
        nominal = self._profile.laser_nm
        if stored.excitation_nm is None:
            if nominal is None:
                raise ProtocolError(
                    f"The instrument stores no usable excitation wavelength ({told}). If you know that of "
                    "this unit, write it into a profile of your own."
                )
            return None
        if nominal is not None and abs(stored.excitation_nm - nominal) > _EXCITATION_TOLERANCE_NM:
            raise ProtocolError(
                f"The instrument has a laser of {stored.excitation_nm:g} nm and the profile is for "
                f"{nominal:g} nm; choose the profile that fits the instrument."
            )
        return stored.excitation_nm

    def _read_eeprom(self) -> Eeprom:
        pages: dict[int, bytes] = {}
        for number in PAGES:
            try:
                self._client.command(Opcode.EEPROM_LOAD, bytes([_PAGE_NUMBER + number]))
                pages[number] = self._client.ask(Opcode.EEPROM_PAGE, PAGE_SIZE)
            except RefusedError as error:
                raise ProtocolError(
                    "The instrument does not let its EEPROM be read over this line; write its calibration "
                    f"into a profile of your own and set eeprom = false there. ({error})"
                ) from error
        return parse_eeprom(pages)

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
            if error.number == _UNRECOGNISED:
                return False
            raise
        return True

    def set_integration(self, milliseconds: float) -> None:
        """Set the integration time and read it back.

        Parameters
        ----------
        milliseconds : float
            Time in ms, within the limits of the profile; rounded to the whole ms the instrument knows.

        Raises
        ------
        ParameterError
            If outside the limits.
        ProtocolError
            If the instrument refuses or does not keep what was set.
        TransportError
            If the line fails.
        """
        self._check_integration(milliseconds, longest_ms=_LONGEST_MS)
        whole = max(1, round(milliseconds))
        self._integration_ms = None
        self._client.command(Opcode.INTEGRATION_TIME, whole.to_bytes(_INTEGRATION_BYTES, "little"))
        if (kept := self._kept_integration()) != whole:
            raise ProtocolError(
                f"The instrument was set to an integration time of {whole} ms and says {kept} ms."
            )
        self._integration_ms = whole

    def _kept_integration(self) -> int:
        return int.from_bytes(self._client.ask(Opcode.INTEGRATION_TIME, _INTEGRATION_BYTES), "little")

    def acquire(self) -> RawFrame:
        """Take one frame.

        Raises
        ------
        ProtocolError
            If the image has not the bytes of the profile's pixels or its bytes are out of order, or the
            instrument has lost its integration time.
        TransportError
            If the line fails or the frame does not come in time.
        """
        if self._integration_ms is None:
            # What an earlier program has set: needed for the time a frame may take.
            self._integration_ms = self._kept_integration()
        # A detector that runs freely may have just begun a frame that is not the one asked for.
        busy_s = 2 * self._integration_ms / 1000
        data, answer = self._client.acquire(
            self._profile.pixels * _BYTES_PER_PIXEL,
            busy_s=busy_s,
            then=Opcode.INTEGRATION_TIME,
            then_size=_INTEGRATION_BYTES,
        )
        counts = decode_image(data, self._order)
        if (kept := int.from_bytes(answer, "little")) != self._integration_ms:
            was, self._integration_ms = self._integration_ms, None
            raise ProtocolError(
                f"The instrument was set to an integration time of {was} ms and now says {kept} ms: it was "
                "reset during the measurement. The frame is not used; scan again."
            )
        return RawFrame(counts, verified=False, raw_sha256=hashlib.sha256(data).hexdigest())

    def set_laser(self, on: bool) -> None:
        """Switch the laser, on without modulation; read it back with `laser_is_on`.

        Raises
        ------
        ProtocolError, TransportError
            If it is not acknowledged; the state is then unknown.
        """
        if on:
            # An earlier program may have left it modulated: less light, and not the same in each frame.
            self._client.command(Opcode.LASER_MODULATION, b"\0")
            if self._client.ask(Opcode.LASER_MODULATION, 1) != b"\0":
                raise ProtocolError("The laser of the instrument stays modulated; its power is not known.")
        self._client.command(Opcode.LASER, bytes([on]))

    def laser_is_on(self) -> bool:
        """Read the laser's state back.

        Raises
        ------
        ProtocolError, TransportError
            If it cannot be read; the state is then unknown.
        """
        # Asked once: whoever needs the laser off must not wait through silent repetitions.
        answer = self._client.ask(Opcode.LASER, 1, retries=0)[0]
        if answer > 1:
            # One byte in answer to a question for one byte: a status looks like a state.
            self._client.check_status(Opcode.LASER, answer)
        return answer == 1

    def send_off(self) -> None:
        """Put "laser off" on the line, at once and from any thread; proves nothing.

        Raises
        ------
        TransportError
            If the line takes no data.
        """
        self._client.send(Opcode.LASER, b"\0")


def open_wasatch(port: str | Transport, profile: Profile) -> WasatchDriver:
    """Open a Wasatch OEM module.

    Parameters
    ----------
    port : str or Transport
        Port as for `spectralid.devices.transport.open_transport`, or an open line.
    profile : Profile
        What is fixed for the model. Its option ``byte_gap_ms`` is the time between two bytes of a request.

    Raises
    ------
    ParameterError
        If an option of the profile is wrong.
    TransportError
        If the line cannot be opened or the instrument is silent.
    ProtocolError
        If what answers does not speak the protocol.
    """
    transport = open_transport(port, profile.baud) if isinstance(port, str) else port
    try:
        client = WasatchClient(transport, byte_gap_s=_byte_gap_s(profile))
        driver = WasatchDriver(client, profile)
        # Nothing is done with the answer: that there is one, framed and with the right checksum, is what
        # tells a Wasatch module from something else on the line.
        client.ask(Opcode.FPGA_REVISION, _FPGA_REVISION_BYTES)
    except BaseException:
        transport.close()
        raise
    return driver


def _byte_gap_s(profile: Profile) -> float:
    gap_ms = profile.options.get("byte_gap_ms", 0.0)
    if isinstance(gap_ms, bool | str) or not 0 <= gap_ms <= _LONGEST_GAP_MS:
        raise ParameterError("byte_gap_ms", gap_ms, f"a number from 0 to {_LONGEST_GAP_MS:g}")
    return gap_ms / 1000


def _byte_order(profile: Profile) -> ByteOrder:
    order = profile.options.get("pixel_byte_order", "little")
    if order not in ("little", "big"):
        raise ParameterError("pixel_byte_order", order, '"little" or "big"')
    return cast("ByteOrder", order)


def _switch(profile: Profile, name: str, *, otherwise: bool) -> bool:
    value = profile.options.get(name, otherwise)
    if not isinstance(value, bool):
        raise ParameterError(name, value, "true or false")
    return value


def _text(profile: Profile, name: str, *, otherwise: str) -> str:
    value = profile.options.get(name, otherwise)
    if not isinstance(value, str) or not value.strip():
        raise ParameterError(name, value, "a text")
    return value.strip()
