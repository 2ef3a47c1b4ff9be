"""Faults that need no knowledge of the protocol: an instrument whose bytes, or whose line, suffer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from spectralid.devices.sim.faults import Faults
from spectralid.devices.sim.serve import Instrument, Reply

__all__ = ["FaultyLine"]

# What a bootloader says on a line whose baud rate nobody has agreed on yet.
_GREETING: Final = b"\x00\xf8\x80boot v1.02\r\nself test ok\r\n> "


class FaultyLine:
    """An instrument and the line faults it has been given.

    Parameters
    ----------
    instrument : Instrument
        What answers.
    faults : Faults
        What goes wrong on the way.
    laser_on : callable
        Whether the laser is on, for the fault that waits for that.
    """

    def __init__(
        self, instrument: Instrument, faults: Faults, *, laser_on: Callable[[], bool] = lambda: False
    ) -> None:
        self._instrument = instrument
        self._faults = faults
        self._laser_on = laser_on
        self._late: list[Reply] = []
        self._greeted = False

    def receive(self, data: bytes) -> list[Reply]:
        """Take bytes from the line and return what comes back over it."""
        faults = self._faults
        echo = [Reply(data)] if faults.active("echo") else []
        if faults.active("input-overrun"):
            data = data[: int(faults.argument("input-overrun", "1"))]
        overdue, self._late = self._late, []
        answers = [spoilt for reply in self._instrument.receive(data) for spoilt in self._spoil(reply)]
        return echo + overdue + answers

    def _spoil(self, reply: Reply) -> list[Reply]:
        if not reply.data:
            return [reply]
        data, gap_s = reply.data, reply.byte_gap_s

        def strikes(name: str) -> bool:
            return self._faults.active(name, spectrum=reply.spectrum)

        if strikes("silence"):
            return []
        if strikes("bit-flip") or strikes("bit-flip-checksum"):
            data = self._flipped(data)
        if strikes("dropped-byte"):
            place = self._inside(data)
            data = data[:place] + data[place + 1 :]
        if strikes("second-opener"):
            data = self._stolen(data)
        if strikes("truncated-header"):
            data = data[: int(self._argument("truncated-header", 3))]
        if strikes("truncated-payload"):
            data = data[: int(len(data) * self._argument("truncated-payload", 0.6))]
        if strikes("duplicate"):
            data += data
        if strikes("trailing-bytes"):
            data += bytes(int(self._argument("trailing-bytes", 5)))
        if strikes("noise-before"):
            data = self._faults.rng.bytes(int(self._argument("noise-before", 17))) + data
        if strikes("noise-between"):
            data += self._faults.rng.bytes(int(self._argument("noise-between", 17)))
        if not self._greeted and strikes("greeting"):
            self._greeted = True
            data = _GREETING + data
        if strikes("trickle"):
            gap_s = self._argument("trickle", 0.05)
        spoilt = replace(reply, data=data, byte_gap_s=gap_s)
        if strikes("unplug") or strikes("re-enumerated") or (self._laser_on() and strikes("unplug-laser-on")):
            spoilt = replace(spoilt, data=data[: len(data) // 2], unplug=True)
        if strikes("late-reply"):
            self._late.append(spoilt)
            return []
        return [spoilt]

    def _argument(self, name: str, otherwise: float) -> float:
        return float(self._faults.argument(name, str(otherwise)))

    def _inside(self, data: bytes) -> int:
        """A place in the middle half of `data`."""
        return int(self._faults.rng.integers(len(data) // 4, max(len(data) // 4 + 1, 3 * len(data) // 4)))

    def _flipped(self, data: bytes) -> bytes:
        changed = bytearray(data)
        changed[self._inside(data)] ^= 1 << int(self._faults.rng.integers(8))
        return bytes(changed)

    def _stolen(self, data: bytes) -> bytes:
        """`data` without the run of bytes the other program got."""
        count = int(len(data) * self._argument("second-opener", 0.3))
        start = int(self._faults.rng.integers(0, len(data) - count + 1))
        return data[:start] + data[start + count :]
