"""The simulated instrument's end of Ocean Optics' older RS-232 protocol: bytes in, answers out, no clock.

Records, their compression and their checksum are made here from the manuals a second time, without the codec
that reads them: a mistake in one of the two does not hide in the other.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from spectralid.devices.sim.faults import NO_FAULTS, Faults
from spectralid.devices.sim.physics import Detector
from spectralid.devices.sim.serve import Reply

__all__ = ["OceanLegacyInstrument", "checksum", "compressed"]

_ACK: Final = b"\x06"
_NAK: Final = b"\x15"
_STX: Final = b"\x02"
_ETX: Final = b"\x03"
_LINE_ENDS: Final = b"\r\n"
_RATES: Final = (2400, 4800, 9600, 19200, 38400, 57600, 115200)
_POWER_UP_CODE: Final = 2
_FULL: Final = 0xFFFF
_LONGEST_CONSTANT: Final = 15

# Operands of the commands that take the same number of them always.
_OPERANDS: Final = dict.fromkeys("ABGHIJKLMNOTk", 1) | {"S": 0, "Q": 0, "v": 0}
_PIXEL_OPERANDS: Final = {0: 0, 1: 1, 2: 1, 3: 3}

# Settings at power-up and after Q. The SAD500's strobe line is then on, says its manual.
_DEFAULTS: Final = {"A": 1, "B": 0, "G": 0, "H": 0, "I": 100, "J": 0, "M": 0, "N": 1, "T": 0, "k": 0}
_LIMITS: Final = {
    "flame": {"A": (1, 5000), "B": (0, 500), "G": (0, 1), "I": (1, _FULL), "J": (0, 1), "T": (0, 4)},
    "sad500": {"A": (1, 15), "B": (0, 500), "G": (0, 1), "H": (0, 7), "I": (5, _FULL), "J": (0, 1)},
}
_QUESTIONS: Final = {"flame": "BAIKTJ", "sad500": "BMANIHKTJkG"}

_Values = npt.NDArray[np.int64]


class OceanLegacyInstrument:
    """A spectrometer that speaks the older protocol; a laser hangs on its strobe line.

    Parameters
    ----------
    detector : Detector
        Its physics.
    serial : str
        Its serial number, at most 15 characters.
    faults : Faults
        What is wrong with it.
    dialect : {"flame", "sad500"}
        Whose commands and whose record.
    marked_first : bool
        Whether the first pixel of a compressed record carries the mark 80, as in the manual's example, or
        not, as in its text.
    stx_again : bool
        Whether STX comes before a record that is sent again.

    Attributes
    ----------
    counts : ndarray of int64
        What the last record was made from.
    """

    def __init__(
        self,
        detector: Detector,
        serial: str,
        *,
        faults: Faults = NO_FAULTS,
        dialect: str = "flame",
        marked_first: bool = True,
        stx_again: bool = True,
    ) -> None:
        self._detector = detector
        self._serial = serial[:_LONGEST_CONSTANT]
        self._faults = faults
        self._dialect = dialect
        self._marked_first = marked_first
        self._stx_again = stx_again
        self._ascii = faults.active("ascii-mode")
        self._command = bytearray()
        self._baud_code = _POWER_UP_CODE
        self._new_code: int | None = None  # agreed at the old rate, not yet at the new one
        self._scan_number = 0
        self._last = b""
        self.counts: _Values = np.zeros(0, dtype=np.int64)
        self._settings: dict[str, int] = {}
        self._pixels: tuple[int, ...] = (0,)
        self._initialise()
        self._handlers: Mapping[str, Callable[[tuple[int, ...]], list[Reply]]] = {
            "S": self._acquire,
            "P": self._choose_pixels,
            "K": self._change_baud,
            "O": self._send_again,
            "Q": self._start_over,
            "v": lambda _: self._yes(1000 if dialect == "flame" else 1020),
        }

    def _initialise(self) -> None:
        self._settings = dict(_DEFAULTS)
        self._settings["J"] = int(self._dialect == "sad500")
        self._pixels = (0,)
        self._apply()
        self._strobe()

    def _start_over(self, _: tuple[int, ...]) -> list[Reply]:
        self._initialise()
        return self._yes()

    def _apply(self) -> None:
        self._detector.integration_s = self._settings["I"] / 1000

    def _strobe(self) -> None:
        # Only when the line is switched: the simulated laser may also be switched by hand.
        if self._settings["J"] or not self._faults.switched_on("laser-stuck-on"):
            self._detector.laser = bool(self._settings["J"])

    def receive(self, data: bytes) -> list[Reply]:
        """Take bytes from the line and return the answers they call for."""
        return [reply for byte in data for reply in self._take(byte)]

    def _take(self, byte: int) -> list[Reply]:
        if self._ascii and byte in _LINE_ENDS and (not self._command or self._command[-1] in _LINE_ENDS):
            return [Reply(bytes([byte]))]  # the second half of a line end
        self._command.append(byte)
        parsed = self._parsed_text() if self._ascii else self._parsed_binary()
        if parsed is None:
            return []
        echo = [Reply(bytes(self._command))] if self._ascii else []
        self._command.clear()
        return [*echo, *self._carry_out(*parsed)]

    def _parsed_binary(self) -> tuple[str, tuple[int, ...]] | None:
        """Command and operands, once they are complete."""
        name, data = self._name(bytes(self._command))
        if name is None or len(data) % 2:
            return None
        operands = struct.unpack(f">{len(data) // 2}H", data)
        return (name, operands) if len(operands) >= _operand_count(name, operands) else None

    def _parsed_text(self) -> tuple[str, tuple[int, ...]] | None:
        name, data = self._name(bytes(self._command))
        if name is None:
            return None
        if not _operand_count(name, ()) or not data:
            return None if _operand_count(name, ()) else (name, ())
        if data[-1] not in _LINE_ENDS:
            return None
        pieces = data.split()
        if not all(piece.isdigit() and int(piece) <= _FULL for piece in pieces):
            return "", ()
        operands = tuple(int(piece) for piece in pieces)
        return (name, operands) if len(operands) >= _operand_count(name, operands) else None

    @staticmethod
    def _name(command: bytes) -> tuple[str | None, bytes]:
        """Name of a command and what follows; no name while it is incomplete."""
        length = 2 if command[:1] in (b"?", b"a", b"b") else 1
        if len(command) < length:
            return None, b""
        return command[:length].decode("latin-1"), command[length:]

    def _carry_out(self, name: str, operands: tuple[int, ...]) -> list[Reply]:
        if self._new_code is not None and (name, operands) != ("K", (self._new_code,)):
            # Anything but the second half of the change: back to the rate before.
            self._new_code = None
            return [Reply(_NAK, new_baud=_RATES[self._baud_code])]
        if name != "O" and name != "S":
            self._last = b""
        if self._faults.active("nack", spectrum=name == "S"):
            return self._no()
        if name in self._handlers:
            return self._handlers[name](operands)
        if name in ("aA", "bB"):
            self._ascii = name == "aA"
            return self._yes()
        if name[:1] == "?":
            return self._answer(name[1], operands)
        if name in self._settings and len(operands) == 1:
            return self._set(name, operands[0])
        return self._no()

    def _set(self, name: str, value: int) -> list[Reply]:
        low, high = _LIMITS[self._dialect].get(name, (0, _FULL))
        if not low <= value <= high:
            return self._no()
        self._settings[name] = value
        self._apply()
        if name == "J":
            self._strobe()
        return self._yes()

    def _answer(self, name: str, operands: tuple[int, ...]) -> list[Reply]:
        if name == "x" and self._dialect == "flame":
            return [Reply(_ACK + self._constant(operands[0]))]
        if name not in _QUESTIONS[self._dialect]:
            return self._no()
        if name == "J" and self._faults.active("laser-readback-lies"):
            lie = self._faults.argument("laser-readback-lies", "off")
            return self._no() if lie == "nack" else self._yes(int(lie == "on"))
        if name == "J":
            return self._yes(int(self._detector.laser))
        return self._yes(self._baud_code if name == "K" else self._settings[name])

    def _constant(self, index: int) -> bytes:
        """A stored constant: text, a zero byte, and whatever was behind it in the memory."""
        reported = self._detector.bench.reported
        blank = self._faults.argument("blank-eeprom", "ff") if self._faults.active("blank-eeprom") else ""
        if blank == "ff":
            return b"\xff" * _LONGEST_CONSTANT
        if index == 0:
            text = f"{self._serial[:-2]}-B" if self._faults.active("swapped-serial") else self._serial
        elif 1 <= index <= 4:
            value = reported[index - 1] if index <= len(reported) else 0.0
            sign = -1 if blank == "descending" and index == 2 else 1
            text = "nan" if blank == "nan" else f"{sign * value:.8e}"
        else:
            text = "0"
        return (text.encode("ascii") + b"\0").ljust(_LONGEST_CONSTANT, b"\xa5")[:_LONGEST_CONSTANT]

    def _choose_pixels(self, operands: tuple[int, ...]) -> list[Reply]:
        try:
            self._chosen(np.arange(self._detector.bench.pixels), operands)
        except (IndexError, ValueError):
            return self._no()
        self._pixels = operands
        return self._yes()

    @staticmethod
    def _chosen(values: _Values, pixels: tuple[int, ...]) -> _Values:
        """What a pixel mode leaves of `values`."""
        mode, *rest = pixels
        if mode == 1:
            return values[:: rest[0]]
        if mode == 2:
            return np.array([int(values[k : k + rest[0]].mean()) for k in range(0, values.size, rest[0])])
        if mode == 3:
            return values[rest[0] : rest[1] + 1 : rest[2]]
        if mode == 4:
            return values[rest[1:]]
        if mode == 5:
            return np.concatenate([values[a : b + 1] for a, b in zip(rest[1::2], rest[2::2], strict=True)])
        if mode:
            raise ValueError(mode)
        return values

    def _change_baud(self, operands: tuple[int, ...]) -> list[Reply]:
        (code,) = operands
        if code >= len(_RATES) or self._faults.active("nak-baud"):
            return self._no()
        lost = self._faults.argument("baud-ack-lost", "first")
        if self._new_code is None:
            if self._faults.switched_on("baud-ack-lost") and lost == "revert":
                return self._yes()  # and stays where it is
            self._new_code = code
            silent = lost == "first" and self._faults.active("baud-ack-lost")
            return [Reply(b"" if silent else _ACK, new_baud=_RATES[code])]
        self._new_code = None
        self._baud_code = code
        silent = lost == "second" and self._faults.active("baud-ack-lost")
        return [] if silent else self._yes()

    def _acquire(self, _operands: tuple[int, ...]) -> list[Reply]:
        detector, settings = self._detector, self._settings
        if self._faults.active("reset-mid-scan", spectrum=True):
            self._initialise()
            self._ascii = False
            self._baud_code = _POWER_UP_CODE
            return [Reply(b"", new_baud=_RATES[_POWER_UP_CODE])]
        too_much = settings["M"] == 0 and settings["N"] != 1
        if too_much or self._faults.active("etx", spectrum=True):
            return [Reply(_ETX)]
        values: _Values = np.zeros(detector.bench.pixels, dtype=np.int64)
        for _ in range(settings["A"]):
            values += detector.frame().astype(np.int64)
        self._scan_number += 1
        if self._faults.active("markers-inside", spectrum=True):
            values[10:16] = 0xFFFF, 0xFFFD, 0xFFFF, 0x02FF, 0xFF02, 0xFFFF
        values = self._chosen(values if self._wide else np.minimum(values, _FULL), self._pixels)
        self.counts = values
        if self._faults.active("pixel-count", spectrum=True):
            values = np.resize(values, values.size + int(self._faults.argument("pixel-count", "-4")))
        record = self._record(values)
        self._last = record
        return [Reply(_STX + record, busy_s=settings["A"] * detector.taken_s, spectrum=True)]

    @property
    def _wide(self) -> bool:
        return self._dialect == "flame" and self._settings["A"] > 1

    def _record(self, values: _Values) -> bytes:
        settings = self._settings
        milliseconds = round(self._detector.taken_s * 1000)
        if self._dialect == "flame":
            baseline = round(self._detector.bench.offset) * settings["A"]
            header = [int(self._wide), settings["A"], milliseconds, baseline >> 16, baseline & _FULL]
        else:
            cycles = self._detector.frames & _FULL
            header = [settings["H"], self._scan_number & _FULL, 0, milliseconds, cycles]
        words = [_FULL, *header, *self._pixels]
        total = checksum(values, as_compressed=bool(settings["G"]), marked_first=self._marked_first)
        if self._faults.active("wrong-checksum", spectrum=True):
            total = (total + 1) & _FULL
        end = 0xFFFE if self._faults.active("bad-footer", spectrum=True) else 0xFFFD
        tail = [end, total] if settings["k"] else [end]
        if self._ascii:
            return b"".join(b"%d\r" % number for number in [*words, *values.tolist(), *tail])
        if settings["G"]:
            data = compressed(values, marked_first=self._marked_first)
        else:
            data = values.astype(">u4" if self._wide else ">u2").tobytes()
        return struct.pack(f">{len(words)}H", *words) + data + struct.pack(f">{len(tail)}H", *tail)

    def _send_again(self, operands: tuple[int, ...]) -> list[Reply]:
        if self._dialect != "sad500" or not self._last:
            return self._no()
        if operands == (0,):
            return self._yes()
        again = _STX + self._last if self._stx_again else self._last
        return [Reply(_ACK), Reply(again, spectrum=True)]

    def _yes(self, word: int | None = None) -> list[Reply]:
        if word is None:
            return [Reply(_ACK)]
        return [Reply(_ACK + (b"%d\r" % word if self._ascii else struct.pack(">H", word)))]

    def _no(self) -> list[Reply]:
        return [Reply(_NAK)]


def _operand_count(name: str, operands: tuple[int, ...]) -> int:
    """Operands a command takes, as far as those there are tell."""
    if name == "?x":
        return 1
    if name == "P":
        if not operands:
            return 1
        if operands[0] in (4, 5):
            each = operands[0] - 3  # single pixels, or pairs
            return 2 if len(operands) < 2 else 2 + each * operands[1]
        return 1 + _PIXEL_OPERANDS.get(operands[0], 0)
    return _OPERANDS.get(name, 0)


def _steps(values: _Values) -> list[tuple[int, int | None]]:
    """Each value and the difference sent in its stead; ``None`` where the value itself is sent."""
    differences = np.diff(values, prepend=values[0])
    small = np.abs(differences) <= 127
    small[0] = False
    pairs = zip(values.tolist(), differences.tolist(), small.tolist(), strict=True)
    return [(value, difference if is_small else None) for value, difference, is_small in pairs]


def compressed(values: _Values, *, marked_first: bool = True) -> bytes:
    """`values` as the compressed data of a record, shape (points,)."""
    pieces = [
        b"\x80" + value.to_bytes(2, "big") if step is None else step.to_bytes(1, "big", signed=True)
        for value, step in _steps(values)
    ]
    return b"".join(pieces)[0 if marked_first else 1 :]


def checksum(values: _Values, *, as_compressed: bool = False, marked_first: bool = True) -> int:
    """Sum of what is sent for `values`, as the manual adds it up."""
    if not as_compressed:
        # Double words as the words they consist of.
        return int((values & _FULL).sum() + (values >> 16).sum()) & _FULL
    added = [0x80 + value if step is None else step % 256 for value, step in _steps(values)]
    return (sum(added) - (0 if marked_first else 0x80)) & _FULL
