"""The simulated instrument's end of the Wasatch OEM serial protocol: bytes in, answers out, no clock.

Nothing here comes from the codec of the driver's side, so that a mistake in it cannot hide: frames are taken
apart and put together anew, and the checksum is computed bit by bit.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final, Literal

from spectralid.devices.sim.faults import NO_FAULTS, Faults
from spectralid.devices.sim.physics import Detector
from spectralid.devices.sim.serve import Reply

__all__ = ["WasatchInstrument", "eeprom_pages"]

_LENGTH_ERROR: Final = 1
_CRC_ERROR: Final = 2
_UNRECOGNISED: Final = 3
_BUSY: Final = 0xFC  # -4

_ACQUIRE: Final = 0x0A
_LONGEST_DATA: Final = 64
_STARTUP_MS: Final = 100
_FORMAT: Final = 16
_NAN: Final = struct.pack("<f", float("nan"))
# Beginning of a frame, with marks in places where a frame has none.
_MARKERS: Final = b"\x3c\x00\x05\x0a\x3e\x3c\x3e\x3e"


class _RefusalError(Exception):
    """The request is answered with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class WasatchInstrument:
    """A Raman module with a laser that speaks the Wasatch OEM protocol.

    Parameters
    ----------
    detector : Detector
        Its physics.
    serial : str
        Its serial number, at most 16 characters.
    faults : Faults
        What is wrong with it.
    byte_order : {"little", "big"}
        Which byte of a pixel it sends first.
    pages : mapping of int to bytes, optional
        Its EEPROM; by default one that fits the detector. Empty for an instrument that does not let its
        EEPROM be read over this line.
    """

    def __init__(
        self,
        detector: Detector,
        serial: str,
        *,
        faults: Faults = NO_FAULTS,
        byte_order: Literal["little", "big"] = "little",
        pages: Mapping[int, bytes] | None = None,
    ) -> None:
        self._detector = detector
        self._faults = faults
        self._byte_order = byte_order
        self._pages = dict(eeprom_pages(detector, serial) if pages is None else pages)
        self._page: int | None = None
        self._modulated = False
        self._received = bytearray()
        self._gets: Mapping[int, Callable[[], bytes]] = {
            0x0D: lambda: bytes([1, 0, 2, 7]),
            0x10: lambda: b"02.1.23",
            0x11: lambda: round(detector.integration_s * 1000).to_bytes(3, "little"),
            0x15: lambda: struct.pack("<H", detector.bench.pixels),
            0x31: self._eeprom_page,
            0x33: lambda: bytes([self._modulated]),
            0x34: self._laser_state,
            0x4B: lambda: b"",
        }
        self._sets: Mapping[int, Callable[[bytes], None]] = {
            0x11: self._set_integration,
            0x30: self._load_page,
            0x33: self._set_modulation,
            0x34: self._set_laser,
        }

    def receive(self, data: bytes) -> list[Reply]:
        """Take bytes from the line and return the answers they call for; what is no request is ignored."""
        self._received += data
        replies: list[Reply] = []
        while (request := self._next_request()) is not None:
            replies += self._answer(*request)
        return replies

    def _next_request(self) -> tuple[int, bytes, bool] | None:
        """Opcode and data of the next request, and whether its checksum fits."""
        buffer = self._received
        while buffer:
            if buffer[0] != ord("<"):
                del buffer[0]
                continue
            if len(buffer) < 3:
                return None
            length = buffer[1] * 256 + buffer[2]
            if not 1 <= length <= 1 + _LONGEST_DATA:
                del buffer[0]
                continue
            if len(buffer) < length + 5:
                return None
            if buffer[length + 4] != ord(">"):
                del buffer[0]
                continue
            inside, sum_ = bytes(buffer[1 : length + 3]), buffer[length + 3]
            del buffer[: length + 5]
            return inside[2], inside[3:], _crc(inside) == sum_
        return None

    def _answer(self, opcode: int, data: bytes, intact: bool) -> list[Reply]:
        try:
            if not intact:
                raise _RefusalError(_CRC_ERROR)
            if self._faults.active("nack", spectrum=opcode == _ACQUIRE):
                raise _RefusalError(int(self._faults.argument("nack", str(_BUSY))) & 0xFF)
            if opcode == _ACQUIRE:
                return [self._image()]
            if opcode & 0x80:
                self._set(opcode & 0x7F, data)
                return [self._framed(opcode, b"\0")]
            get = self._gets.get(opcode)
            if get is None:
                raise _RefusalError(_UNRECOGNISED)
            if data:
                raise _RefusalError(_LENGTH_ERROR)
            return [self._framed(opcode, get())]
        except _RefusalError as refusal:
            return [self._framed(opcode, bytes([refusal.status]))]

    def _framed(self, opcode: int, data: bytes) -> Reply:
        if self._faults.active("wrong-type"):
            opcode ^= 0x02
        length = len(data) + 1
        if self._faults.active("absurd-length"):
            length = int(self._faults.argument("absurd-length", "65535")) & 0xFFFF
        covered = bytes([length >> 8, length & 0xFF, opcode]) + data
        sum_ = _crc(covered) ^ (0x55 if self._faults.active("wrong-checksum") else 0)
        end = b"?" if self._faults.active("bad-footer") else b">"
        return Reply(b"<" + covered + bytes([sum_]) + end)

    def _image(self) -> Reply:
        if self._faults.active("reset-mid-scan", spectrum=True):
            self._reset()
        counts = self._detector.frame()
        order = self._byte_order
        if self._faults.active("byte-order", spectrum=True):
            order = "big" if order == "little" else "little"
        data = counts.astype("<u2" if order == "little" else ">u2").tobytes()
        if self._faults.active("markers-inside", spectrum=True):
            data = _MARKERS + data[len(_MARKERS) :]
        if self._faults.active("pixel-count", spectrum=True):
            extra = 2 * int(self._faults.argument("pixel-count", "-4"))
            data = data[:extra] if extra < 0 else data + data[-extra:]
        return Reply(data, busy_s=self._detector.integration_s, spectrum=True)

    def _reset(self) -> None:
        self._detector.laser = False
        self._detector.integration_s = _STARTUP_MS / 1000
        self._modulated = False
        self._page = None

    def _set(self, opcode: int, data: bytes) -> None:
        handler = self._sets.get(opcode)
        if handler is None:
            raise _RefusalError(_UNRECOGNISED)
        handler(data)

    def _set_integration(self, data: bytes) -> None:
        if len(data) != 3:
            raise _RefusalError(_LENGTH_ERROR)
        self._detector.integration_s = max(1, int.from_bytes(data, "little")) / 1000

    def _set_modulation(self, data: bytes) -> None:
        self._modulated = _one_byte(data)

    def _set_laser(self, data: bytes) -> None:
        on = _one_byte(data)
        if on or not self._faults.active("laser-stuck-on"):
            self._detector.laser = on

    def _laser_state(self) -> bytes:
        if self._faults.active("laser-readback-lies"):
            says = self._faults.argument("laser-readback-lies", "off")
            if says == "nack":
                raise _RefusalError(_BUSY)
            return bytes([says == "on"])
        return bytes([self._detector.laser])

    def _load_page(self, data: bytes) -> None:
        if len(data) != 1:
            raise _RefusalError(_LENGTH_ERROR)
        if data[0] - 0x40 not in self._pages:
            raise _RefusalError(_UNRECOGNISED)
        self._page = data[0] - 0x40

    def _eeprom_page(self) -> bytes:
        if self._page is None:
            raise _RefusalError(_UNRECOGNISED)
        page = bytearray(self._pages[self._page])
        if self._page == 0 and self._faults.active("swapped-serial"):
            page[16:32] = b"SWAPPED-2".ljust(16, b"\0")
        if self._page == 1 and self._faults.active("blank-eeprom"):
            kind = self._faults.argument("blank-eeprom", "ff")
            if kind == "ff":
                page = bytearray(b"\xff" * 64)
            elif kind == "nan":
                page[4:8] = _NAN
            else:
                page[4:8] = struct.pack("<f", -struct.unpack_from("<f", page, 4)[0])
        if self._page == 3 and self._faults.active("no-excitation"):
            page[36:40] = bytes(4)
        return bytes(page)


def eeprom_pages(
    detector: Detector, serial: str, *, warm_up_s: int = 0, watchdog_s: int = 0
) -> dict[int, bytes]:
    """The EEPROM of an instrument, eight pages of 64 bytes.

    Parameters
    ----------
    detector : Detector
        What it is to fit.
    serial : str
        Serial number, at most 16 characters.
    warm_up_s, watchdog_s : int
        What it says of its laser.
    """
    bench = detector.bench
    pages = {number: bytearray(64) for number in range(8)}

    def put(page: int, place: int, layout: str, *values: object) -> None:
        struct.pack_into("<" + layout, pages[page], place, *values)

    put(0, 0, "16s16sI", b"WP-785-SIM", serial.encode("ascii"), 921_600)
    put(0, 38, "B", 1)  # a laser
    put(0, 43, "H", _STARTUP_MS)
    put(0, 48, "f", 1.9)
    put(0, 63, "B", _FORMAT)
    put(1, 0, "4f", *bench.reported[:4], *(0.0,) * (4 - len(bench.reported)))
    put(1, 48, "12s", b"01/31/2024")
    put(2, 0, "16sHB", b"S16010-1007", bench.pixels, warm_up_s)
    put(2, 21, "f", bench.reported[4] if len(bench.reported) > 4 else 0.0)
    put(2, 25, "HHH", bench.pixels, 16, bench.pixels - 16)
    put(3, 12, "4f", 0.5, 0.21, 0.0, 0.0)
    put(3, 28, "fff", 450.0, 5.0, bench.laser_nm)
    put(3, 40, "IIf", 1, 60_000, 9.0)
    put(3, 52, "H", watchdog_s)
    pages[5][:30] = b"\xff" * 30  # no bad pixels
    return {number: bytes(page) for number, page in pages.items()}


def _one_byte(data: bytes) -> bool:
    if len(data) != 1:
        raise _RefusalError(_LENGTH_ERROR)
    if data[0] > 1:
        raise _RefusalError(_UNRECOGNISED)
    return bool(data[0])


def _crc(data: bytes) -> int:
    """CRC-8/MAXIM bit by bit, as a shift register with feedback."""
    register = 0
    for byte in data:
        for bit in range(8):
            feedback = register & 1 ^ byte >> bit & 1
            register >>= 1
            if feedback:
                register ^= 0x8C
    return register
