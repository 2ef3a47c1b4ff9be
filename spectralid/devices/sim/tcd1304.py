"""The simulated instrument's end of the "ER" firmware: bytes in, readouts out, no line, no clock.

Written from the firmware's behaviour, not from the driver's codec: the ring of twelve bytes, the search for
the key in any rotation, what the last two bytes mean. Left out, for want of a clock: the race between the
bytes of one command and the interrupt that sorts those of the last, and that a command ends the readout
before it.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from spectralid.devices.sim.faults import NO_FAULTS, Faults
from spectralid.devices.sim.physics import Detector
from spectralid.devices.sim.serve import Reply
from spectralid.errors import ParameterError

__all__ = ["Tcd1304Instrument"]

_RING: Final = 12
_CLOCK_HZ: Final = 2_000_000
_CLEARING_TICKS: Final = 3 * 15_000
_READOUT_TICKS: Final = 14_776
_SHORTEST_SH: Final = 20
_PIXELS: Final = 3648
_BEFORE: Final = 32
_AFTER: Final = 14
_LARGEST: Final = 4095
# Readouts a continuous board sends before anybody asks it to stop; a real one never ends.
_CONTINUOUS: Final = 3
# Only a mutilated command asks for longer ones, and the next command would end them.
_LONGEST_S: Final = 70.0


class Tcd1304Instrument:
    """A TCD1304 board, lit by a laser of its own that is always on.

    Parameters
    ----------
    detector : Detector
        Its physics; 3648 pixels.
    _serial : str
        Not used: the board cannot tell one.
    faults : Faults
        What is wrong with it.
    dialect : {"pc-ready", "single-continuous"}
        Which firmware it has.

    Raises
    ------
    ParameterError
        If the detector has not the pixels of the sensor.
    """

    def __init__(
        self,
        detector: Detector,
        _serial: str = "",
        *,
        faults: Faults = NO_FAULTS,
        dialect: Literal["pc-ready", "single-continuous"] = "pc-ready",
    ) -> None:
        if detector.bench.pixels != _PIXELS:
            raise ParameterError("pixels", detector.bench.pixels, f"{_PIXELS}")
        detector.laser = True
        self._detector = detector
        self._faults = faults
        self._dialect = dialect
        self._ring = bytearray(_RING)
        self._place = 0
        # Noise of the pixels that see no light, which the detector does not have.
        self._rng = np.random.Generator(np.random.PCG64(1304))

    def receive(self, data: bytes) -> list[Reply]:
        """Take bytes from the line and return the readouts they call for."""
        replies: list[Reply] = []
        for byte in data:
            self._ring[self._place] = byte
            self._place = (self._place + 1) % _RING
            if self._place == 0:
                replies += self._command(self._sorted())
        return replies

    def _sorted(self) -> bytes:
        """The command in the ring, rotated so that it begins with its key; the ring is cleared."""
        twice = bytes(self._ring) * 2
        self._ring = bytearray(_RING)
        starts = [place for place in range(_RING) if twice[place : place + 2] == b"ER"]
        return twice[starts[-1] : starts[-1] + _RING] if starts else b""

    def _command(self, command: bytes) -> list[Reply]:
        if not command:
            return []
        sh = int.from_bytes(command[2:6], "big")
        icg = int.from_bytes(command[6:10], "big")
        if self._faults.active("reset-mid-scan", spectrum=True):
            self._place = 0
            return []
        if sh < _SHORTEST_SH or icg < _READOUT_TICKS or icg % sh:
            return []  # a real one may hang
        self._detector.integration_s = sh / _CLOCK_HZ
        if self._dialect == "pc-ready":
            readouts, averages = int(command[10] == 1), 1
        else:
            readouts, averages = (_CONTINUOUS if command[10] else 1), max(1, command[11])
        clearing_s = (_CLEARING_TICKS + 2 * icg) / _CLOCK_HZ
        reading_s = averages * icg / _CLOCK_HZ
        if clearing_s + reading_s > _LONGEST_S:
            return []
        return [
            Reply(self._readout(averages), busy_s=reading_s + (0.0 if n else clearing_s), spectrum=True)
            for n in range(readouts)
        ]

    def _readout(self, averages: int) -> bytes:
        frames = [self._detector.frame() for _ in range(averages)]
        lit = np.rint(np.mean(frames, axis=0)).astype(np.int64)
        words = _LARGEST - np.concatenate([self._unlit(_BEFORE), lit, self._unlit(_AFTER)])
        words = np.clip(words, 0, _LARGEST)
        if self._faults.active("pixel-count", spectrum=True):
            extra = int(self._faults.argument("pixel-count", "-4"))
            words = words[:extra] if extra < 0 else np.append(words, words[-extra:])
        order = ">u2" if self._faults.active("byte-order", spectrum=True) else "<u2"
        return words.astype(order).tobytes()

    def _unlit(self, count: int) -> npt.NDArray[np.int64]:
        """Counts of pixels that see no light."""
        bench = self._detector.bench
        noise = self._rng.normal(bench.offset, bench.read_noise_e / bench.gain_e, count)
        return np.rint(noise).astype(np.int64)
