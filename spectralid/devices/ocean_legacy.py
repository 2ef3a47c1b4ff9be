"""Instruments that speak Ocean Optics' older RS-232 protocol: Flame-S and its kin, and the SAD500 adapter.

They are spectrometers without a laser. What the vendor calls lamp or strobe line (``J``) is treated as a
laser only where the profile says that one hangs on it (``laser_on_strobe_line``).
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from spectralid.devices.client.errors import DamagedAnswerError, RefusedError
from spectralid.devices.client.ocean_legacy import OceanLegacyClient
from spectralid.devices.client_driver import ClientDriver
from spectralid.devices.codec.faults import Checksum
from spectralid.devices.codec.ocean_legacy import (
    BAUD_CODES,
    Dialect,
    Layout,
    Mode,
    PixelMode,
)
from spectralid.devices.driver import Capabilities, Identity, RawFrame
from spectralid.devices.profile import Option, Profile
from spectralid.devices.transport import Transport, open_transport
from spectralid.devices.wavelengths import pixel_wavelengths
from spectralid.errors import ParameterError, ProtocolError, TransportError
from spectralid.spectrum import FloatArray

__all__ = ["OceanLegacyDriver", "Settings", "open_ocean_legacy"]

_COEFFICIENTS: Final = 4
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_OPTIONS: Final = (
    "dialect",
    "data_mode",
    "fast_baud",
    "compression",
    "scans_to_add",
    "checksum_of_double_words",
    "channel",
    "first_pixel",
    "last_pixel",
    "pixel_step",
    "serial_index",
    "wavelength_index",
    "laser_on_strobe_line",
)
_RATES: Final = tuple(sorted(BAUD_CODES, reverse=True))
_NO_SERIAL: Final = "not told"
_MOST_SCANS: Final = {Dialect.SAD500: 15, Dialect.FLAME: 5000}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a profile's ``[protocol_options]`` say about an instrument of this protocol.

    Attributes
    ----------
    dialect : Dialect
        ``"flame"`` or ``"sad500"``.
    data_mode : Mode
        ``"binary"`` or ``"ascii"``.
    fast_baud : int
        Rate to change to after opening; 0 stays at the line's.
    compression : bool
        Have differences sent instead of values: half the bytes, but any damage costs all that follows.
    scans_to_add : int
        Scans the instrument adds up to one frame.
    double_words_by : {"words", "points"}
        What the checksum of frames of several scans adds up (Flame class; the manual leaves it open); option
        ``checksum_of_double_words``.
    channel : int
        Channel of a SAD500, 0 to 7.
    pixel_mode : PixelMode
        Which pixels to have sent; options ``first_pixel``, ``last_pixel`` and ``pixel_step``.
    serial_index, wavelength_index : int
        Numbers of the stored constants that hold the serial number and the first of four wavelength
        coefficients; −1 for an instrument that stores none. 0 and 1 are those the vendor gives for reading
        the same memory over USB; no manual repeats them for this protocol.
    laser_on_strobe_line : bool
        Whether the lamp or strobe line switches a laser.
    """

    dialect: Dialect
    data_mode: Mode
    fast_baud: int
    compression: bool
    scans_to_add: int
    double_words_by: Literal["words", "points"]
    channel: int
    pixel_mode: PixelMode
    serial_index: int
    wavelength_index: int
    laser_on_strobe_line: bool

    @classmethod
    def of(cls, profile: Profile) -> Settings:
        """Read and check the options of `profile`.

        Raises
        ------
        ParameterError
            If an option is unknown, missing or out of range.
        """
        given = dict(profile.options)

        def text(key: str, allowed: Sequence[str], otherwise: str | None = None) -> str:
            value = given.pop(key, otherwise)
            if value not in allowed:
                raise _wrong(key, value, f"one of {', '.join(allowed)}")
            return str(value)

        def whole(key: str, low: int, high: int, otherwise: int) -> int:
            value = given.pop(key, otherwise)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise _wrong(key, value, f"a whole number from {low} to {high}")
            return value

        def switch(key: str) -> bool:
            value = given.pop(key, False)
            if not isinstance(value, bool):
                raise _wrong(key, value, "true or false")
            return value

        dialect = Dialect(text("dialect", tuple(Dialect)))
        flame = dialect is Dialect.FLAME
        by = text("checksum_of_double_words", ("words", "points"), "words")
        last = profile.pixels - 1
        chosen = (
            whole("first_pixel", 0, last, 0),
            whole("last_pixel", 0, last, last),
            whole("pixel_step", 1, last, 1),
        )
        if chosen[0] > chosen[1]:
            raise _wrong("first_pixel", chosen[0], f"at most the last pixel, {chosen[1]}")
        pixels = PixelMode() if chosen == (0, last, 1) else PixelMode(3, chosen)
        made = cls(
            dialect=dialect,
            data_mode=Mode(text("data_mode", tuple(Mode), Mode.BINARY)),
            fast_baud=whole("fast_baud", 0, max(BAUD_CODES), 0),
            compression=switch("compression"),
            scans_to_add=whole("scans_to_add", 1, _MOST_SCANS[dialect], 1),
            double_words_by="points" if by == "points" else "words",
            channel=whole("channel", 0, 0 if flame else 7, 0),
            pixel_mode=pixels,
            serial_index=whole("serial_index", -1, 31, 0 if flame else -1),
            wavelength_index=whole("wavelength_index", -1, 31, 1 if flame else -1),
            laser_on_strobe_line=switch("laser_on_strobe_line"),
        )
        if made.fast_baud and made.fast_baud not in BAUD_CODES:
            raise _wrong("fast_baud", made.fast_baud, f"0 or one of {', '.join(map(str, BAUD_CODES))}")
        if made.compression and (made.data_mode is Mode.ASCII or (flame and made.scans_to_add > 1)):
            raise _wrong("compression", True, "false in ASCII mode and for frames of several scans")
        if given:
            raise ParameterError("protocol_options", ", ".join(given), f"among {', '.join(_OPTIONS)}")
        return made


def _wrong(key: str, value: Option | None, allowed: str) -> ParameterError:
    return ParameterError(f"protocol_options.{key}", value, allowed)


class OceanLegacyDriver(ClientDriver[OceanLegacyClient]):
    """An instrument behind a client of the older protocol.

    Parameters
    ----------
    client : OceanLegacyClient
        The client, connected.
    profile : Profile
        What is fixed for the model.
    settings : Settings
        What the profile's options say.

    Notes
    -----
    The largest count of `profile` is that of a frame of all scans added up.
    """

    def __init__(self, client: OceanLegacyClient, profile: Profile, settings: Settings) -> None:
        # A frame of several scans is their sum, so that the largest count is as many times larger.
        full_scale = profile.adc_max * settings.scans_to_add
        if settings.dialect is Dialect.SAD500:
            full_scale = min(full_scale, 0xFFFF)  # its sums are single words
        super().__init__(client, replace(profile, adc_max=full_scale))
        self._settings = settings
        self._wavelength_source: Literal["instrument", "profile"] = (
            "instrument" if settings.wavelength_index >= 0 else "profile"
        )
        self._layout = Layout(
            dialect=settings.dialect,
            pixels=profile.pixels,
            pixel_mode=settings.pixel_mode,
            scans=settings.scans_to_add,
            compressed=settings.compression,
            double_words_by=settings.double_words_by,
        )
        self._integration_ms: float | None = None
        self._prepared = False

    @property
    def capabilities(self) -> Capabilities:
        """What can be done with it through this protocol."""
        return Capabilities(
            has_laser=self._settings.laser_on_strobe_line,
            interlock_readback="no",
            hardware_average=True,
            payload_checksum="sum16" if self._layout.checksum else "none",
            baud_negotiation=True,
            wavelength_source=self._wavelength_source,
            true_integration=True,
        )

    def prepare(self) -> None:
        """Make every setting a frame depends on, as after opening.

        ``Q`` would make them all at once, and switch on the strobe line of a SAD500: it is never sent.

        Raises
        ------
        ProtocolError
            If the instrument refuses a setting.
        TransportError
            If the line fails or the instrument is silent.
        """
        settings, client = self._settings, self._client
        client.recover(rates=_RATES)
        if settings.fast_baud:
            client.change_baud(settings.fast_baud)
        if settings.dialect is Dialect.SAD500:
            for name, value in (("M", 0), ("N", 1), ("H", settings.channel)):
                client.command(name, value)
        for name, value in (("T", 0), ("B", 0), ("G", int(settings.compression))):
            client.command(name, value)
        client.command("P", settings.pixel_mode.mode, *settings.pixel_mode.operands)
        self._set("A", settings.scans_to_add)
        if self._integration_ms is not None:
            self._set("I", round(self._integration_ms))
        with contextlib.suppress(RefusedError):
            client.command("k", 1)
            self._layout = replace(self._layout, checksum=True)
        self._prepared = True

    def identify(self) -> Identity:
        """Ask for serial number and wavelength coefficients; the profile's stand in for those not stored.

        Raises
        ------
        ProtocolError
            If there is no usable calibration, or an answer makes no sense.
        TransportError
            If the line fails.
        """
        serial = _NO_SERIAL
        if self._settings.serial_index >= 0:
            serial = self._client.constant(self._settings.serial_index)
            if not serial or not serial.isascii() or not serial.isprintable():
                raise ProtocolError(f"The instrument gives no readable serial number ({serial!r}).")
        every = self._wavelengths()
        return Identity(serial, every[self._settings.pixel_mode.indices(self._profile.pixels)])

    def _wavelengths(self) -> FloatArray:
        own = self._profile.wavelength_nm
        if self._settings.wavelength_index >= 0:
            try:
                wavelengths = self._stored_wavelengths(self._settings.wavelength_index)
            except DamagedAnswerError:
                raise  # not lost, only not understood
            except ProtocolError:
                if not own:
                    raise
            else:
                self._wavelength_source = "instrument"
                return wavelengths
        self._wavelength_source = "profile"
        if not own:
            raise ProtocolError(
                f"{self._profile.name} stores no wavelength calibration: copy its profile and write the "
                "coefficients from the calibration sheet of this unit into it ([wavelength] coefficients_nm)."
            )
        return pixel_wavelengths(own, self._profile.pixels, source="of the profile")

    def _stored_wavelengths(self, first: int) -> FloatArray:
        stored = [self._client.constant(index) for index in range(first, first + _COEFFICIENTS)]
        return pixel_wavelengths(
            [_coefficient(text) for text in stored], self._profile.pixels, source="stored in the instrument"
        )

    def has_laser(self) -> bool:
        """Whether the profile says that a laser hangs on the strobe line."""
        return self._settings.laser_on_strobe_line

    def set_integration(self, milliseconds: float) -> None:
        """Set the integration time and read it back.

        Parameters
        ----------
        milliseconds : float
            Time in ms, within the limits of the profile; rounded to whole ms, the protocol has no others.
            Frames tell the time they were taken with.

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
        self._set("I", round(milliseconds))
        self._integration_ms = milliseconds

    def _set(self, name: str, value: int) -> None:
        """Make a setting that can be read back; a lost acknowledgement does not matter then."""
        try:
            self._client.command(name, value)
        except DamagedAnswerError:
            pass
        except TransportError as error:
            if error.kind != "timeout":
                raise
        kept = self._client.ask(f"?{name}")
        if kept != value:
            raise ProtocolError(
                f"The instrument was set to {name} {value} and says {kept}; reset it and try again."
            )

    def acquire(self) -> RawFrame:
        """Take one frame.

        Raises
        ------
        ProtocolError
            If the record is damaged or was not taken with the settings made.
        TransportError
            If the line fails or the frame does not come in time.
        """
        if not self._prepared:
            self.prepare()
        # A frame that did not come as it should may have been lost to a reset, which loses the settings too.
        self._prepared = False
        milliseconds = self._integration_ms
        if milliseconds is None:
            milliseconds = self._profile.integration_ms[1]  # until set, allow for the longest
        # A detector that runs freely may have just begun a scan that is not the one asked for.
        busy_s = (self._settings.scans_to_add + 1) * milliseconds / 1000
        record = self._client.acquire(self._layout, busy_s=busy_s)
        self._prepared = True
        if record.channel != self._settings.channel:
            raise ProtocolError(
                f"The instrument sent a spectrum of channel {record.channel} instead of "
                f"{self._settings.channel}; it may have been reset. Scan again."
            )
        return RawFrame(
            np.asarray(record.counts),
            verified=record.checksum is Checksum.VERIFIED,
            integration_ms=float(record.integration_ms),
            sequence=record.counter,
            raw_sha256=hashlib.sha256(record.sent).hexdigest(),
        )

    def set_laser(self, on: bool) -> None:
        """Switch the strobe line; read it back with `laser_is_on`.

        Raises
        ------
        ParameterError
            If the profile does not say that a laser hangs on it.
        ProtocolError, TransportError
            If it is not acknowledged; the state is then unknown.
        """
        self._check_laser()
        if not on and not self._client.in_step:
            # Finding the step again may take as long as a frame; the light shall not wait for that.
            self.send_off()
        self._client.recover(rates=_RATES)
        self._client.command("J", int(on))

    def laser_is_on(self) -> bool:
        """Read the strobe line's state back.

        Raises
        ------
        ParameterError
            If the profile does not say that a laser hangs on it.
        ProtocolError, TransportError
            If it cannot be read; the state is then unknown.
        """
        self._check_laser()
        self._client.recover(rates=_RATES)
        return self._client.ask("?J") != 0

    def _check_laser(self) -> None:
        if not self._settings.laser_on_strobe_line:
            raise ParameterError(
                "laser", self._profile.name, "on the strobe line, and the profile does not say so"
            )

    def send_off(self) -> None:
        """Put "strobe line off" on the line at once, from any thread, if a laser hangs on it."""
        if self._settings.laser_on_strobe_line:
            self._client.send("J", 0)


def _coefficient(text: str) -> float:
    """A stored coefficient; NaN for what is no number, blank memory above all."""
    return float(text) if _NUMBER.fullmatch(text) else float("nan")


def open_ocean_legacy(port: str | Transport, profile: Profile) -> OceanLegacyDriver:
    """Open an instrument that speaks the older Ocean protocol and make the settings of its profile.

    Parameters
    ----------
    port : str or Transport
        Port as for `spectralid.devices.transport.open_transport`, or an open line.
    profile : Profile
        What is fixed for the model; see `Settings` for its options.

    Raises
    ------
    ParameterError
        If an option of the profile is unknown, missing or out of range.
    TransportError
        If the line cannot be opened or the instrument is silent.
    ProtocolError
        If what answers does not speak the protocol.
    """
    settings = Settings.of(profile)
    line = open_transport(port, profile.baud) if isinstance(port, str) else port
    client = OceanLegacyClient(line, dialect=settings.dialect)
    try:
        driver = OceanLegacyDriver(client, profile, settings)
        client.connect(settings.data_mode, rates=_RATES)
        if settings.laser_on_strobe_line:
            driver.set_laser(False)  # the strobe line of a SAD500 is on after power-up
        driver.prepare()
    except BaseException:
        client.close()
        raise
    return driver
