"""The serial line: bytes with a deadline, and one kind of error whatever the platform calls it.

Ports are named as pyserial names them: ``/dev/ttyUSB0``, ``COM5``, ``socket://host:port``,
``rfc2217://host:port``, ``spy:///dev/ttyUSB0?file=trace.txt`` (a trace of everything on the line).
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol, Self

import serial

from spectralid.errors import TransportError, TransportFault

__all__ = ["Deadline", "SerialTransport", "Transport", "open_transport", "wire_seconds"]

BITS_PER_BYTE: Final = 10
"""Start bit, eight data bits, stop bit."""

_KINDS: Final[dict[int, TransportFault]] = {
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.EBUSY: "busy",
    errno.EAGAIN: "busy",  # the lock of an exclusive open is held by another process
    errno.ENOENT: "absent",
    errno.ENODEV: "absent",
    errno.ENXIO: "absent",
    errno.ENOTTY: "absent",
    errno.EISDIR: "absent",
    errno.ECONNREFUSED: "absent",
}

_ADVICE: Final[dict[TransportFault, str]] = {
    "permission": "you may not open it; add your user to the group that owns the port (often 'dialout')",
    "busy": "another program has it open; close that program and try again",
    "absent": "there is no such serial port here; check the cable, the power and the name",
    "disconnected": "the line was lost; check the cable and the power of the instrument",
    "timeout": "it takes no data; check that the instrument is on",
    "aborted": "what was going on there was called off",
}

# How long a waiting reader takes to notice `abort`.
_SLICE_S: Final = 0.05


class Deadline:
    """A moment on the monotonic clock by which something must have happened.

    Parameters
    ----------
    seconds : float
        Time from now on, ≥ 0.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self._end - time.monotonic())

    def spend(self, seconds: float) -> None:
        """Count time as passed that passed on no clock: a simulated line does not wait."""
        self._end -= seconds


def wire_seconds(count: int, baud: int | None) -> float:
    """Seconds that `count` bytes take on the wire; none where the line has no rate."""
    return count * BITS_PER_BYTE / baud if baud else 0.0


class Transport(Protocol):
    """What a protocol client needs of a line; every failure is a `TransportError`."""

    @property
    def name(self) -> str:
        """The port, for messages."""

    @property
    def baud(self) -> int | None:
        """Bits per second, or ``None`` where the line has no such limit (a network socket)."""

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Send all of `data`."""

    def read(self, at_most: int, deadline: Deadline) -> bytes:
        """Bytes that have come, `at_most` of them; fewer, even none, at the deadline."""

    def set_baud(self, baud: int) -> None:
        """Go on at another rate, in bits per second; without effect where the line has none."""

    def abort(self) -> None:
        """From any thread: make a call that waits, and every further read, raise until `resume`."""

    def resume(self) -> None:
        """Read again after `abort`."""

    def close(self) -> None:
        """Close the line; closing twice does no harm."""


def _kind(error: BaseException, otherwise: TransportFault) -> TransportFault:
    """Kind of a failure; pyserial often wraps the error that carries the number."""
    seen: BaseException | None = error
    while seen is not None:
        number = getattr(seen, "errno", None)
        if number is None and seen.args and isinstance(seen.args[0], int):
            number = seen.args[0]  # termios.error
        if number in _KINDS:
            return _KINDS[number]
        seen = seen.__cause__ or seen.__context__
    return otherwise


def _failures() -> tuple[type[Exception], ...]:
    """Every type in which pyserial lets a failure of the line through."""
    # SerialException is an OSError. ValueError: a name pyserial cannot make sense of. TypeError: it reads
    # from a port closed under it.
    common = (OSError, ValueError, TypeError)
    try:
        import termios
    except ImportError:  # Windows has none, and pyserial raises none there.
        return common
    return (*common, termios.error)


_FAILURES: Final = _failures()


@contextmanager
def _normalised(name: str, *, opening: bool = False) -> Iterator[None]:
    try:
        yield
    except serial.SerialTimeoutException:
        raise TransportError(f"Serial port {name}: {_ADVICE['timeout']}.", kind="timeout") from None
    except _FAILURES as error:
        kind = _kind(error, "absent") if opening else "disconnected"
        raise TransportError(f"Serial port {name}: {_ADVICE[kind]}.", kind=kind) from error


class SerialTransport:
    """A line through pyserial.

    Parameters
    ----------
    port : serial.SerialBase
        An open pyserial port.
    name : str
        The port, for messages.
    """

    def __init__(self, port: Any, name: str) -> None:
        self._port = port
        self._name = name
        self._aborted = threading.Event()
        # An urgent "off" from another thread must not land in the middle of a request.
        self._writing = threading.Lock()

    @property
    def name(self) -> str:
        """The port, for messages."""
        return self._name

    @property
    def baud(self) -> int | None:
        """Bits per second, or ``None`` for a network socket."""
        return None if self._name.startswith("socket://") else int(self._port.baudrate)

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Send all of `data`.

        Raises
        ------
        TransportError
            ``timeout`` if the line does not take the data in time, ``disconnected`` if it is gone.
        """
        if not self._writing.acquire(timeout=deadline.left):
            raise TransportError(f"Serial port {self._name}: {_ADVICE['timeout']}.", kind="timeout")
        try:
            with _normalised(self._name):
                self._port.write_timeout = deadline.left
                self._port.write(data)
        finally:
            self._writing.release()

    def read(self, at_most: int, deadline: Deadline) -> bytes:
        """Bytes that have come, `at_most` of them; fewer, even none, at the deadline.

        Raises
        ------
        TransportError
            ``disconnected`` if the line is gone, ``aborted`` if another thread wants the line.
        """
        got = bytearray()
        with _normalised(self._name):
            while True:
                left = deadline.left
                self._port.timeout = min(left, _SLICE_S)
                got += self._port.read(at_most - len(got))
                if len(got) >= at_most or left <= _SLICE_S or self._aborted.is_set():
                    break
        if self._aborted.is_set():
            raise TransportError(f"Serial port {self._name}: {_ADVICE['aborted']}.", kind="aborted")
        return bytes(got)

    def set_baud(self, baud: int) -> None:
        """Go on at another rate, in bits per second; a network socket has none and goes on as it was.

        Raises
        ------
        TransportError
            ``disconnected`` if the line is gone.
        """
        if self.baud is not None:
            with _normalised(self._name):
                self._port.baudrate = baud

    def abort(self) -> None:
        """From any thread: make a read that waits, and every further one, raise until `resume`."""
        self._aborted.set()

    def resume(self) -> None:
        """Read again after `abort`."""
        self._aborted.clear()

    def close(self) -> None:
        """Close the line; closing twice does no harm."""
        with _normalised(self._name):
            self._port.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_transport(port: str, baud: int) -> SerialTransport:
    """Open a serial line for this program alone.

    Parameters
    ----------
    port : str
        Path, COM name or pyserial URL.
    baud : int
        Bits per second; 8 data bits, no parity, one stop bit, no flow control.

    Raises
    ------
    TransportError
        ``absent``, ``busy`` or ``permission``.
    """
    with _normalised(port, opening=True):
        # Without the exclusive lock a second program can open the line unnoticed and steal bytes.
        return SerialTransport(serial.serial_for_url(port, baudrate=baud, timeout=0, exclusive=True), port)
