"""A simulated instrument on a line without a line: the same answers and faults, in time that only counts."""

from __future__ import annotations

from collections import deque
from typing import Final

from spectralid.devices.sim.baud import misread
from spectralid.devices.sim.serve import Instrument, Reply
from spectralid.devices.transport import Deadline, wire_seconds
from spectralid.errors import TransportError

__all__ = ["VirtualLine"]

# Bytes arrive in pieces of this size.
_PIECE: Final = 64


class VirtualLine:
    """A `Transport` straight into a simulated instrument; waiting costs time of the deadline, not the clock.

    Parameters
    ----------
    instrument : Instrument
        What is at the far end.
    baud : int or None
        Rate of this end; ``None`` for a line without one.
    far_baud : int or None
        Rate of the instrument; ``None`` for one that takes any rate.

    Attributes
    ----------
    now_s : float
        Time that has passed.
    closed : bool
        Whether this end is closed.
    """

    name = "virtual"

    def __init__(
        self, instrument: Instrument, *, baud: int | None = None, far_baud: int | None = None
    ) -> None:
        self._instrument = instrument
        self._baud = baud
        self._far_baud = far_baud
        self._arriving: deque[tuple[float, bytes]] = deque()
        self._lost_at: float | None = None
        self._free_s = 0.0
        self._aborted = False
        self.now_s = 0.0
        self.closed = False

    @property
    def baud(self) -> int | None:
        """Rate of this end."""
        return self._baud

    @property
    def lost(self) -> bool:
        """Whether the line can no longer be used."""
        return self.closed or (self._lost_at is not None and self.now_s >= self._lost_at)

    def set_baud(self, baud: int) -> None:
        """Go on at another rate."""
        self._baud = None if self._baud is None else baud

    def abort(self) -> None:
        """Make reads fail until `resume`."""
        self._aborted = True

    def resume(self) -> None:
        """Read again."""
        self._aborted = False

    def close(self) -> None:
        """Close this end."""
        self.closed = True

    def rest(self) -> None:
        """Let time pass until the instrument has sent all it has to send; nothing is read."""
        self.now_s = max(self.now_s, self._free_s)

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Send all of `data`.

        Raises
        ------
        TransportError
            ``disconnected`` after the line is lost.
        """
        self._check()
        self._pass(wire_seconds(len(data), self._baud), deadline)
        for reply in self._instrument.receive(self._over(data, self._baud, self._far_baud)):
            self._take(reply)

    def read(self, at_most: int, deadline: Deadline) -> bytes:
        """Bytes that have come, `at_most` of them; fewer, even none, at the deadline.

        Raises
        ------
        TransportError
            ``disconnected`` when the line is lost, ``aborted`` after `abort`.
        """
        got = bytearray()
        while len(got) < at_most:
            if self._aborted:
                raise TransportError("Serial port virtual: called off.", kind="aborted")
            if not self._arriving:
                if self._lost_at is None:
                    self._pass(deadline.left, deadline)
                    break
                self._pass(max(0.0, self._lost_at - self.now_s), deadline)
                if got:
                    break
                self._check()
                break
            arrives_s, data = self._arriving[0]
            wait_s = max(0.0, arrives_s - self.now_s)
            if wait_s > deadline.left:
                self._pass(deadline.left, deadline)
                break
            self._pass(wait_s, deadline)
            room = at_most - len(got)
            got += data[:room]
            self._arriving.popleft()
            if data[room:]:
                self._arriving.appendleft((arrives_s, data[room:]))
        return bytes(got)

    def _take(self, reply: Reply) -> None:
        """Have the instrument send `reply` when it is done with what came before."""
        self._free_s = max(self._free_s, self.now_s) + reply.busy_s
        rate = self._far_baud or self._baud
        seen = self._over(reply.data, self._far_baud, self._baud)
        size = 1 if reply.byte_gap_s else _PIECE
        for start in range(0, len(seen), size):
            piece = seen[start : start + size]
            self._free_s += len(piece) * (reply.byte_gap_s + wire_seconds(1, rate))
            self._arriving.append((self._free_s, piece))
        if reply.new_baud is not None:
            self._far_baud = reply.new_baud
        if reply.unplug:
            self._lost_at = self._free_s

    def _check(self) -> None:
        if self.lost:
            raise TransportError("Serial port virtual: the line was lost.", kind="disconnected")

    def _pass(self, seconds: float, deadline: Deadline) -> None:
        self.now_s += seconds
        deadline.spend(seconds)

    @staticmethod
    def _over(data: bytes, sent_at: int | None, read_at: int | None) -> bytes:
        if sent_at is None or read_at is None:
            return data
        return misread(data, sent_at=sent_at, read_at=read_at)
