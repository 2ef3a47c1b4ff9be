"""TCD1304 boards with the "ER" firmware: one command, one readout, and no way to ask for anything else.

The board reads commands through a ring of twelve bytes and finds the key in any rotation of it. When bytes
of a command were lost, perhaps under an earlier program, it acts on the first bytes of each command together
with the last ones of the command before, and nothing shows that. Two equal commands make a whole one in any
rotation.
"""

from __future__ import annotations

import time
from typing import Final

from spectralid.devices.codec.tcd1304 import FRAME_BYTES
from spectralid.devices.transport import Deadline, Transport, wire_seconds
from spectralid.errors import ProtocolError, TransportError

__all__ = ["MARGIN_S", "QUIET_S", "Tcd1304Client"]

MARGIN_S: Final = 0.5
"""Time a board gets to answer, beyond what the line and the readout take."""

QUIET_S: Final = 0.03
"""Silence after which nothing more is taken to come: longer than a USB adapter holds bytes back (16 ms)."""

_SETTLE_S: Final = 1.0
_CHUNK: Final = 4096


class Tcd1304Client:
    """Asks for readouts over one line.

    Parameters
    ----------
    transport : Transport
        The line.
    margin_s : float
        Seconds a readout may take beyond wire time and the time the board is known to be busy.
    """

    def __init__(self, transport: Transport, *, margin_s: float = MARGIN_S) -> None:
        self._transport = transport
        self._margin_s = margin_s
        # A readout that nobody took, because the call was ended, still comes.
        self._busy_until = 0.0
        self._in_step = False
        self._proved = b""

    @property
    def transport(self) -> Transport:
        """The line."""
        return self._transport

    def close(self) -> None:
        """Close the line."""
        self._transport.close()

    def read_out(self, command: bytes, *, busy_s: float) -> bytes:
        """Ask for a readout, once.

        A command that differs from the one before, or follows one without an answer, goes out twice, and the
        first readout is thrown away: it may have been taken with a mixture of two commands.

        Parameters
        ----------
        command : bytes
            The command, 12 bytes.
        busy_s : float
            Seconds the readout takes.

        Returns
        -------
        bytes
            `FRAME_BYTES` bytes.

        Raises
        ------
        ProtocolError
            If fewer bytes come, or more, or the board sends what nobody asked for.
        TransportError
            If the line fails or nothing comes.
        """
        self._settle()
        if command != self._proved:
            self._ask(command, busy_s)
            self._settle()
        data = self._checked(*self._ask(command, busy_s))
        self._proved = command
        self._in_step = True
        return data

    def _ask(self, command: bytes, busy_s: float) -> tuple[bytes, Deadline]:
        self._in_step = False
        self._proved = b""
        wire_s = wire_seconds(len(command) + FRAME_BYTES, self._transport.baud)
        self._busy_until = time.monotonic() + busy_s + wire_s
        deadline = Deadline(busy_s + wire_s + self._margin_s)
        self._transport.write(command, deadline)
        data = self._transport.read(FRAME_BYTES, deadline)
        self._busy_until = 0.0
        return data, deadline

    def _checked(self, data: bytes, deadline: Deadline) -> bytes:
        name = self._transport.name
        if not data:
            raise TransportError(
                f"The board on {name} sent nothing within {deadline.seconds:.1f} s; check power, cable and "
                "baud rate, and whether the dialect in the profile is that of its firmware.",
                kind="timeout",
            )
        if len(data) < FRAME_BYTES:
            raise ProtocolError(
                f"The readout of the board on {name} broke off after {len(data)} of {FRAME_BYTES} bytes; "
                "bytes were lost on the line. Check the cable and scan again."
            )
        if self._transport.read(1, Deadline(QUIET_S)):
            raise ProtocolError(
                f"The board on {name} sent more than the {FRAME_BYTES} bytes of a readout, and nobody can "
                "tell which belong to it. Scan again."
            )
        return data

    def _settle(self) -> None:
        """Throw away what is left of earlier readouts; after a failed one, wait until the line is silent."""
        if self._in_step:
            if self._transport.read(_CHUNK, Deadline(0.0)):
                self._in_step = False
                raise ProtocolError(
                    f"The board on {self._transport.name} sends what nobody asked for; check whether the "
                    "dialect in the profile is that of its firmware, and scan again."
                )
            return
        if self._busy_until:
            self._transport.read(FRAME_BYTES, Deadline(max(0.0, self._busy_until - time.monotonic())))
            self._busy_until = 0.0
        deadline = Deadline(_SETTLE_S)
        while self._transport.read(_CHUNK, Deadline(QUIET_S)) and deadline.left:
            pass
