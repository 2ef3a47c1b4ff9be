"""The simulated instrument's end of the Ocean Binary Protocol: bytes in, answers out, no line, no clock."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from spectralid.devices.codec.obp import Checksum, Decoder, Flag, Frame, Message, encode
from spectralid.devices.sim.faults import NO_FAULTS, Faults
from spectralid.devices.sim.physics import Detector
from spectralid.devices.sim.serve import Reply

__all__ = ["ObpInstrument"]

_UNKNOWN_MESSAGE: Final = 2
_WRONG_LENGTH: Final = 5
_INVALID_DATA: Final = 6
_UNKNOWN_CHECKSUM: Final = 8

_SHORTEST_US: Final = 10
_LONGEST_US: Final = 60_000_000


class _RefusalError(Exception):
    """The request is answered with a NACK of this error number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class ObpInstrument:
    """A spectrometer with a laser that speaks the Ocean Binary Protocol.

    Parameters
    ----------
    detector : Detector
        Its physics.
    serial : str
        Its serial number.
    faults : Faults
        What is wrong with it.
    """

    def __init__(self, detector: Detector, serial: str, *, faults: Faults = NO_FAULTS) -> None:
        self._faults = faults
        self._detector = detector
        self._serial = serial.encode("ascii")
        self._decoder = Decoder()
        self._checksum = Checksum.ABSENT
        self._handlers: Mapping[int, Callable[[bytes], bytes]] = {
            Message.CHECKSUM_TYPE: self._set_checksum,
            Message.SERIAL_NUMBER: lambda _: self._serial,
            Message.SERIAL_NUMBER_LENGTH: lambda _: bytes([len(self._serial)]),
            Message.CORRECTED_SPECTRUM: lambda _: detector.frame().astype("<u2").tobytes(),
            Message.INTEGRATION_TIME: lambda _: struct.pack("<I", round(detector.integration_s * 1e6)),
            Message.SET_INTEGRATION_TIME: self._set_integration,
            Message.SET_TRIGGER_MODE: self._set_trigger,
            Message.PIXEL_COUNT: lambda _: struct.pack("<I", detector.bench.pixels),
            Message.WAVELENGTH_COEFFICIENT_COUNT: lambda _: bytes([len(detector.bench.reported)]),
            Message.WAVELENGTH_COEFFICIENT: self._coefficient,
            Message.LIGHT_SOURCE_ENABLE: self._light_source,
            Message.SET_LIGHT_SOURCE_ENABLE: self._set_light_source,
        }

    def receive(self, data: bytes) -> list[Reply]:
        """Take bytes from the line and return the answers they call for; what is no request is ignored."""
        requests = (item for item in self._decoder.feed(data) if isinstance(item, Frame))
        return [reply for request in requests for reply in self._answer(request)]

    def _answer(self, request: Frame) -> list[Reply]:
        answer = replace(request, data=b"", flags=Flag.RESPONSE, checksum=self._checksum)
        wants_ack = bool(request.flags & Flag.ACK_REQUESTED)
        try:
            handler = self._handlers.get(request.message)
            if handler is None:
                raise _RefusalError(_UNKNOWN_MESSAGE)
            data = handler(request.data)
        except _RefusalError as refusal:
            return [Reply(encode(replace(answer, flags=Flag.RESPONSE | Flag.NACK, error=refusal.number)))]
        if not data and not wants_ack:
            return []  # a setting nobody wants acknowledged is made in silence
        flags = Flag.RESPONSE | Flag.ACK if wants_ack else Flag.RESPONSE
        busy_s = self._detector.integration_s if request.message == Message.CORRECTED_SPECTRUM else 0.0
        return [Reply(encode(replace(answer, data=data, flags=flags)), busy_s)]

    def _set_checksum(self, data: bytes) -> bytes:
        kind = _operands("<B", data)
        if kind > 1:
            raise _RefusalError(_UNKNOWN_CHECKSUM)
        # The acknowledgement itself still goes out under the old rule: `_answer` has already chosen.
        self._checksum = Checksum.VERIFIED if kind else Checksum.ABSENT
        return b""

    def _set_integration(self, data: bytes) -> bytes:
        microseconds = _operands("<I", data)
        if not _SHORTEST_US <= microseconds <= _LONGEST_US:
            raise _RefusalError(_INVALID_DATA)
        self._detector.integration_s = microseconds / 1e6
        return b""

    def _set_trigger(self, data: bytes) -> bytes:
        if _operands("<B", data) != 0:
            raise _RefusalError(_INVALID_DATA)
        return b""

    def _coefficient(self, data: bytes) -> bytes:
        index = _operands("<B", data)
        reported = self._detector.bench.reported
        if index >= len(reported):
            raise _RefusalError(_INVALID_DATA)
        return struct.pack("<f", reported[index])

    def _light_source(self, data: bytes) -> bytes:
        if data != b"\x00\x00":
            raise _RefusalError(_INVALID_DATA if len(data) == 2 else _WRONG_LENGTH)
        return bytes([self._detector.laser])

    def _set_light_source(self, data: bytes) -> bytes:
        if len(data) != 3:
            raise _RefusalError(_WRONG_LENGTH)
        if data[:2] != b"\x00\x00" or data[2] > 1:
            raise _RefusalError(_INVALID_DATA)
        self._detector.laser = bool(data[2])
        return b""


def _operands(layout: str, data: bytes) -> int:
    if len(data) != struct.calcsize(layout):
        raise _RefusalError(_WRONG_LENGTH)
    return int(struct.unpack(layout, data)[0])
