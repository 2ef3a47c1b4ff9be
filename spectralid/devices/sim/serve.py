"""The simulated instrument on a line: a pty where there are ptys, else a TCP port of this computer."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["Instrument", "Reply", "serve_pty", "serve_tcp"]

_CHUNK: Final = 4096
_BITS_PER_BYTE: Final = 10
# Paced output goes out in pieces of about this long, so that a reader sees bytes trickle in as on a wire.
_PIECE_S: Final = 0.02


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


def serve_pty(instrument: Instrument, *, paced: bool, announce: Callable[[str], None]) -> None:
    """Serve `instrument` on a new pty for ever.

    Parameters
    ----------
    instrument : Instrument
        What to serve.
    paced : bool
        Take as long as a real one: integration, and the baud rate the client has set.
    announce : callable
        Told the path of the serial port.
    """
    import pty
    import termios
    import tty

    master, slave = pty.openpty()
    # The slave stays open here: when a client closes it, the next one finds it alive.
    tty.setraw(slave)
    announce(os.ttyname(slave))
    rates = {
        getattr(termios, name): int(name[1:])
        for name in dir(termios)
        if name[1:].isdigit() and name[0] == "B"
    }

    def write(data: bytes) -> None:
        while data:
            data = data[os.write(master, data) :]

    while True:
        for reply in instrument.receive(os.read(master, _CHUNK)):
            if paced:
                time.sleep(reply.busy_s)
                _trickle(reply.data, rates[termios.tcgetattr(master)[5]], write)
            else:
                write(reply.data)


def serve_tcp(instrument: Instrument, *, paced: bool, announce: Callable[[str], None]) -> None:
    """Serve `instrument` on a TCP port of this computer for ever, one client after the other.

    Parameters are those of `serve_pty`; a network has no baud rate, so pacing is the integration time alone.
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


def _trickle(data: bytes, baud: int, write: Callable[[bytes], None]) -> None:
    size = max(1, int(_PIECE_S * baud / _BITS_PER_BYTE))
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        time.sleep(len(piece) * _BITS_PER_BYTE / baud)
        write(piece)
