"""The simulated instrument's end of the Ocean Binary Protocol: bytes in, answers out, no line, no clock."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from spectralid.devices.codec.obp import DEFERRED, Checksum, Decoder, Flag, Frame, Message, encode
from spectralid.devices.sim.faults import NO_FAULTS, Faults
from spectralid.devices.sim.physics import Detector
from spectralid.devices.sim.serve import Reply
from spectralid.errors import ParameterError

__all__ = ["MODELS", "ObpInstrument", "ObpModel"]

_UNKNOWN_MESSAGE: Final = 2
_WRONG_LENGTH: Final = 5
_INVALID_DATA: Final = 6
_UNKNOWN_CHECKSUM: Final = 8
_RESET: Final = 9
_INTERNAL: Final = 13

_POWER_UP_S: Final = 0.1
_BAUDS: Final = (9600, 19200, 38400, 57600, 115200, 230400)
_SPECTRA: Final = (Message.CORRECTED_SPECTRUM, Message.BUFFERED_SPECTRUM)
_METADATA: Final = struct.Struct("<IQIHB13x")
# Start and end marks as they look inside a spectrum.
_MARKERS: Final = b"\xc1\xc0\xc5\xc4\xc3\xc2\xc1\xc0"


@dataclass(frozen=True, slots=True)
class ObpModel:
    """What differs between the instruments that speak the protocol.

    Attributes
    ----------
    buffered : bool
        Whether spectra come as 32-bit counts with metadata before them, instead of 16-bit counts alone.
    laser, cooled : bool
        Whether light source and cooler are there.
    shortest_us, longest_us : int
        Limits of the integration time in µs.
    md5 : bool
        Whether it offers checksums.
    """

    buffered: bool = False
    laser: bool = False
    cooled: bool = False
    shortest_us: int = 10
    longest_us: int = 60_000_000
    md5: bool = True


MODELS: Final = MappingProxyType(
    {
        "ventana-785l": ObpModel(laser=True),
        "sts": ObpModel(longest_us=85_000_000),
        "spark": ObpModel(),
        "qe-pro": ObpModel(buffered=True, cooled=True, shortest_us=8000, longest_us=1_600_000_000),
    }
)
"""Instruments that speak the protocol, by name."""


class _RefusalError(Exception):
    """The request is answered with a NACK of this error number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class ObpInstrument:
    """A spectrometer that speaks the Ocean Binary Protocol.

    Parameters
    ----------
    detector : Detector
        Its physics.
    serial : str
        Its serial number.
    faults : Faults
        What is wrong with it.
    model : str
        Which one it is, see `MODELS`.
    baud_ack : {"old", "new"}
        At which rate a change of the rate is acknowledged; no document says it.
    """

    def __init__(
        self,
        detector: Detector,
        serial: str,
        *,
        faults: Faults = NO_FAULTS,
        model: str = "ventana-785l",
        baud_ack: Literal["old", "new"] = "old",
    ) -> None:
        if model not in MODELS:
            raise ParameterError("model", model, f"one of {', '.join(MODELS)}")
        self._detector = detector
        self._serial = serial.encode("ascii")
        self._faults = faults
        self._model = MODELS[model]
        self._baud_ack = baud_ack
        self._baud = _BAUDS[0]
        self._new_baud: int | None = None
        self._swallow_next = False
        self._decoder = Decoder()
        self._checksum = Checksum.ABSENT
        self._handlers: Mapping[int, Callable[[bytes], bytes]] = (
            self._always()
            | (self._buffering() if self._model.buffered else self._unbuffered())
            | (self._light() if self._model.laser else {})
            | (self._cooling() if self._model.cooled else {})
            | ({Message.CHECKSUM_TYPE: self._set_checksum} if self._model.md5 else {})
        )

    def _always(self) -> dict[int, Callable[[bytes], bytes]]:
        detector, bench = self._detector, self._detector.bench
        return {
            Message.SERIAL_NUMBER: lambda _: self._told_serial(),
            Message.SERIAL_NUMBER_LENGTH: lambda _: bytes([len(self._told_serial())]),
            Message.BAUD_RATE: lambda _: struct.pack("<I", self._baud),
            Message.SET_BAUD_RATE: self._set_baud,
            Message.ABORT: self._abort,
            Message.INTEGRATION_TIME: lambda _: struct.pack("<I", round(detector.integration_s * 1e6)),
            Message.SET_INTEGRATION_TIME: self._set_integration,
            Message.SET_TRIGGER_MODE: self._set_trigger,
            Message.PIXEL_COUNT: lambda _: struct.pack("<I", bench.pixels),
            Message.WAVELENGTH_COEFFICIENT_COUNT: lambda _: bytes([len(bench.reported)]),
            Message.WAVELENGTH_COEFFICIENT: lambda data: self._coefficient(self._told_wavelengths(), data),
            Message.NONLINEARITY_COEFFICIENT_COUNT: lambda _: bytes([len(bench.nonlinearity)]),
            Message.NONLINEARITY_COEFFICIENT: lambda data: self._coefficient(bench.nonlinearity, data),
        }

    def _unbuffered(self) -> dict[int, Callable[[bytes], bytes]]:
        return {Message.CORRECTED_SPECTRUM: lambda _: self._spectrum("<u2")}

    def _buffering(self) -> dict[int, Callable[[bytes], bytes]]:
        return {Message.BUFFERED_SPECTRUM: self._buffered, Message.CLEAR_BUFFER: self._abort}

    def _light(self) -> dict[int, Callable[[bytes], bytes]]:
        return {
            Message.LIGHT_SOURCE_ENABLE: self._light_source,
            Message.SET_LIGHT_SOURCE_ENABLE: self._set_light_source,
        }

    def _cooling(self) -> dict[int, Callable[[bytes], bytes]]:
        cooler = self._detector.cooler
        return {
            Message.TEC_ENABLE: lambda _: bytes([cooler.on]),
            Message.TEC_SETPOINT: lambda _: struct.pack("<f", cooler.setpoint_c),
            Message.TEC_STABLE: lambda _: bytes([cooler.stable]),
            Message.TEC_TEMPERATURE: lambda _: struct.pack("<f", cooler.temperature_c),
            Message.SET_TEC_ENABLE: self._set_tec,
            Message.SET_TEC_SETPOINT: self._set_setpoint,
        }

    def receive(self, data: bytes) -> list[Reply]:
        """Take bytes from the line and return the answers they call for; what is no request is ignored."""
        requests = (item for item in self._decoder.feed(data) if isinstance(item, Frame))
        return [reply for request in requests for reply in self._answer(request)]

    def _answer(self, request: Frame) -> list[Reply]:
        answer = replace(request, data=b"", flags=Flag.RESPONSE, checksum=self._checksum)
        wants_ack = bool(request.flags & Flag.ACK_REQUESTED)
        spectrum = request.message in _SPECTRA
        self._new_baud = None
        try:
            handler = self._handlers.get(request.message)
            if handler is None:
                raise _RefusalError(_UNKNOWN_MESSAGE)
            if self._faults.active("nack", spectrum=spectrum):
                raise _RefusalError(int(self._faults.argument("nack", "7")))
            if self._faults.active("reset-mid-scan", spectrum=spectrum):
                self._reset()
                answer = replace(answer, checksum=self._checksum)
                raise _RefusalError(_RESET)
            data = handler(request.data)
        except _RefusalError as refusal:
            refused = replace(answer, flags=Flag.RESPONSE | Flag.NACK, error=refusal.number)
            return self._sent(refused, spectrum=spectrum)
        if not data and not wants_ack:
            return self._rate_changed([])  # a setting nobody wants acknowledged is made in silence
        flags = Flag.RESPONSE | Flag.ACK if wants_ack else Flag.RESPONSE
        busy_s = self._detector.taken_s if spectrum else 0.0
        replies = self._sent(replace(answer, data=data, flags=flags), spectrum=spectrum, busy_s=busy_s)
        return self._rate_changed(replies)

    def _sent(self, frame: Frame, *, spectrum: bool, busy_s: float = 0.0) -> list[Reply]:
        """`frame` on the line, with the faults an answer can have."""
        faults = self._faults

        def strikes(name: str) -> bool:
            return faults.active(name, spectrum=spectrum)

        if self._swallow_next:
            self._swallow_next = False
            return []
        replies: list[Reply] = []
        if strikes("deferred"):
            later = replace(frame, data=b"", flags=Flag.NONE, error=DEFERRED)
            replies.append(Reply(encode(later), spectrum=spectrum))
            if faults.argument("deferred", "answer") == "nothing":
                return replies
        if strikes("exception"):
            frame = replace(frame, flags=frame.flags | Flag.EXCEPTION, error=_INTERNAL)
        if strikes("wrong-type"):
            frame = replace(frame, message=frame.message ^ 0x100)
        if strikes("wrong-regarding"):
            frame = replace(frame, regarding=frame.regarding ^ 0x5A5A)
        data = bytearray(encode(frame))
        if strikes("wrong-checksum"):
            data[22] = 1
            data[-20] ^= 0x40
        if strikes("bad-footer"):
            data[-4:] = b"\xc5\xc4\xc3\x00"
        if strikes("absurd-length"):
            data[40:44] = int(faults.argument("absurd-length", "4294967295")).to_bytes(4, "little")
        return [*replies, Reply(bytes(data), busy_s, spectrum=spectrum)]

    def _rate_changed(self, replies: list[Reply]) -> list[Reply]:
        """`replies` to a change of the baud rate: when the instrument changes, and which answer gets lost."""
        if self._new_baud is None:
            return replies
        lost = self._faults.active("baud-ack-lost")
        which = self._faults.argument("baud-ack-lost", "first")
        if lost and which == "revert":
            # It acknowledges and stays where it was.
            return replies
        # Over this protocol the second acknowledgement is the first answer at the new rate.
        self._swallow_next = lost and which == "second"
        self._baud = self._new_baud
        switch = Reply(b"", new_baud=self._new_baud)
        if lost and which == "first":
            return [switch]
        return [*replies, switch] if self._baud_ack == "old" else [switch, *replies]

    def _reset(self) -> None:
        """As after power-up, but for what lies under the probe."""
        self._checksum = Checksum.ABSENT
        self._detector.integration_s = _POWER_UP_S
        self._detector.laser = False

    def _told_serial(self) -> bytes:
        return b"SWAPPED-2" if self._faults.active("swapped-serial") else self._serial

    def _told_wavelengths(self) -> tuple[float, ...]:
        reported = self._detector.bench.reported
        if not self._faults.active("blank-eeprom"):
            return reported
        kind = self._faults.argument("blank-eeprom", "ff")
        if kind == "descending":
            return (reported[0], -reported[1], *reported[2:])
        erased = struct.unpack("<f", b"\xff" * 4)[0]
        return (erased if kind == "ff" else float("nan"),) * len(reported)

    def _set_checksum(self, data: bytes) -> bytes:
        kind = _operands("<B", data)
        if kind > 1:
            raise _RefusalError(_UNKNOWN_CHECKSUM)
        # The acknowledgement itself still goes out under the old rule: `_answer` has already chosen.
        self._checksum = Checksum.VERIFIED if kind else Checksum.ABSENT
        return b""

    def _set_baud(self, data: bytes) -> bytes:
        baud = _operands("<I", data)
        if baud not in _BAUDS or self._faults.active("nak-baud"):
            raise _RefusalError(_INVALID_DATA)
        self._new_baud = baud
        return b""

    def _abort(self, _: bytes) -> bytes:
        self._detector.restart()
        return b""

    def _set_integration(self, data: bytes) -> bytes:
        microseconds = _operands("<I", data)
        if not self._model.shortest_us <= microseconds <= self._model.longest_us:
            raise _RefusalError(_INVALID_DATA)
        self._detector.integration_s = microseconds / 1e6
        return b""

    def _set_trigger(self, data: bytes) -> bytes:
        if _operands("<B", data) != 0:
            raise _RefusalError(_INVALID_DATA)
        return b""

    def _coefficient(self, coefficients: tuple[float, ...], data: bytes) -> bytes:
        index = _operands("<B", data)
        if index >= len(coefficients):
            raise _RefusalError(_INVALID_DATA)
        return struct.pack("<f", coefficients[index])

    def _spectrum(self, layout: str) -> bytes:
        counts: npt.NDArray[np.uint32] = self._detector.frame()
        if self._faults.active("pixel-count", spectrum=True):
            counts = np.resize(counts, counts.size + int(self._faults.argument("pixel-count", "-4")))
        data = counts.astype(layout).tobytes()
        if self._faults.active("markers-inside", spectrum=True):
            middle = len(data) // 2
            data = data[:middle] + _MARKERS + data[middle + len(_MARKERS) :]
        return data

    def _buffered(self, _: bytes) -> bytes:
        counts = self._spectrum("<u4")
        detector = self._detector
        return (
            _METADATA.pack(
                detector.frames, round(detector.clock_s * 1e6), round(detector.taken_s * 1e6), 0, 0
            )
            + counts
        )

    def _light_source(self, data: bytes) -> bytes:
        if data != b"\x00\x00":
            raise _RefusalError(_INVALID_DATA if len(data) == 2 else _WRONG_LENGTH)
        if self._faults.active("laser-readback-lies"):
            says = self._faults.argument("laser-readback-lies", "off")
            if says == "nack":
                raise _RefusalError(_INTERNAL)
            return bytes([says == "on"])
        return bytes([self._detector.laser])

    def _set_light_source(self, data: bytes) -> bytes:
        if len(data) != 3:
            raise _RefusalError(_WRONG_LENGTH)
        if data[:2] != b"\x00\x00" or data[2] > 1:
            raise _RefusalError(_INVALID_DATA)
        if data[2] or not self._faults.active("laser-stuck-on"):
            self._detector.laser = bool(data[2])
        return b""

    def _set_tec(self, data: bytes) -> bytes:
        self._detector.cooler.on = bool(_operands("<B", data))
        return b""

    def _set_setpoint(self, data: bytes) -> bytes:
        if len(data) != struct.calcsize("<f"):
            raise _RefusalError(_WRONG_LENGTH)
        (setpoint,) = struct.unpack("<f", data)
        if not -60 <= setpoint <= 40:
            raise _RefusalError(_INVALID_DATA)
        self._detector.cooler.setpoint_c = setpoint
        return b""


def _operands(layout: str, data: bytes) -> int:
    if len(data) != struct.calcsize(layout):
        raise _RefusalError(_WRONG_LENGTH)
    return int(struct.unpack(layout, data)[0])
