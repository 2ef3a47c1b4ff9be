"""The simulated instrument on a line: a pty where there are ptys, else a TCP port of this computer."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from spectralid.devices.sim.baud import misread

__all__ = ["Instrument", "Reply", "serve_pty", "serve_tcp"]

_CHUNK: Final = 4096
_BITS_PER_BYTE: Final = 10
# Paced output goes out in pieces of about this long, so that a reader sees bytes trickle in as on a wire.
_PIECE_S: Final = 0.02
_FOREVER_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes to send, and what goes with sending them.

    Attributes
    ----------
    data : bytes
        What goes on the line.
    busy_s : float
        Seconds of integration before it.
    spectrum : bool
        Whether it holds a spectrum: where faults of the line strike if they are told to strike only there.
    byte_gap_s : float
        Seconds between two bytes beyond what the baud rate asks for.
    new_baud : int or None
        Rate the instrument switches to after these bytes are sent; ``None`` keeps the one it has. A rate
        before the bytes is a reply without data before them.
    unplug : bool
        Whether the line is lost after these bytes.
    """

    data: bytes
    busy_s: float = 0.0
    spectrum: bool = False
    byte_gap_s: float = 0.0
    new_baud: int | None = None
    unplug: bool = False


class Instrument(Protocol):
    """What can be put on a line."""

    def receive(self, data: bytes) -> list[Reply]:
        """Take bytes from the line and return the answers they call for."""


def serve_pty(
    instrument: Instrument,
    *,
    paced: bool,
    announce: Callable[[str], None],
    baud: int | None = None,
    replug: bool = False,
    reading: bool = True,
) -> None:
    """Serve `instrument` on a new pty until its line is unplugged.

    Parameters
    ----------
    instrument : Instrument
        What to serve.
    paced : bool
        Take as long as a real one: integration, and the time of the bytes on the wire.
    announce : callable
        Told the path of the serial port, and of the next one after it was unplugged and came back.
    baud : int or None
        Rate of the instrument: a client at another one sees garbage and is not understood. ``None`` for any.
    replug : bool
        Whether an unplugged line comes back, under another name.
    reading : bool
        Whether the instrument takes what is written at all.
    """
    line = _Pty(baud)
    announce(line.name)
    while True:
        if not reading:
            time.sleep(_FOREVER_S)
            continue
        for reply in instrument.receive(line.read()):
            if paced:
                time.sleep(reply.busy_s)
            line.write(reply, paced=paced)
            if reply.unplug:
                lost = line
                if replug:
                    # Opened while the old one still has its number: it gets another.
                    line = _Pty(baud)
                lost.close()
                if not replug:
                    return
                announce(line.name)


class _Pty:
    """The instrument's end of a pty."""

    def __init__(self, baud: int | None) -> None:
        import pty
        import termios
        import tty

        self._termios = termios
        self._baud = baud
        # The slave stays open here: when a client closes it, the next one finds it alive.
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.name = os.ttyname(self._slave)
        self._rates = {
            getattr(termios, name): int(name[1:])
            for name in dir(termios)
            if name[0] == "B" and name[1:].isdigit()
        }

    def _client_baud(self) -> int:
        return self._rates[self._termios.tcgetattr(self._master)[5]]

    def read(self) -> bytes:
        data = os.read(self._master, _CHUNK)
        if self._baud is None:
            return data
        return misread(data, sent_at=self._client_baud(), read_at=self._baud)

    def write(self, reply: Reply, *, paced: bool) -> None:
        data = reply.data
        if data and self._baud is not None:
            data = misread(data, sent_at=self._baud, read_at=self._client_baud())
        for piece, seconds in self._pieces(data, reply.byte_gap_s, paced=paced):
            time.sleep(seconds)
            while piece:
                piece = piece[os.write(self._master, piece) :]
        if reply.new_baud is not None:
            self._baud = reply.new_baud

    def _pieces(self, data: bytes, gap_s: float, *, paced: bool) -> list[tuple[bytes, float]]:
        """Pieces to write, and the seconds to wait before each."""
        byte_s = gap_s + (_BITS_PER_BYTE / (self._baud or self._client_baud()) if paced else 0.0)
        if not byte_s:
            return [(data, 0.0)]
        size = max(1, int(_PIECE_S / byte_s))
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        return [(piece, len(piece) * byte_s) for piece in pieces]

    def close(self) -> None:
        os.close(self._master)
        os.close(self._slave)


def serve_tcp(instrument: Instrument, *, paced: bool, announce: Callable[[str], None]) -> None:
    """Serve `instrument` on a TCP port of this computer for ever, one client after the other.

    Parameters are those of `serve_pty`; a network has no baud rate, so pacing is the integration time alone,
    and a client whose line is unplugged can come back.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        announce(f"socket://127.0.0.1:{server.getsockname()[1]}")
        while True:
            client, _ = server.accept()
            with client:
                try:
                    _serve_client(instrument, client, paced=paced)
                except ConnectionError:
                    continue  # it went away without a word; the next one may come


def _serve_client(instrument: Instrument, client: socket.socket, *, paced: bool) -> None:
    while data := client.recv(_CHUNK):
        for reply in instrument.receive(data):
            if paced:
                time.sleep(reply.busy_s)
            client.sendall(reply.data)
            if reply.unplug:
                return
