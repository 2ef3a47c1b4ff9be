"""Wasatch OEM serial protocol: one request, its answer, and nothing else.

A question may be asked again when its answer is lost; a command is never repeated, because whether the first
one was carried out is unknown. The protocol numbers nothing, so what is left of an earlier exchange is known
by other signs: whatever waits on the line before a request is old; and a question whose answer once failed to
come is asked twice the next time, for the first answer may be the late one.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from spectralid.devices.client.errors import DamagedAnswerError, RefusedError
from spectralid.devices.client.retry import ask_repeatedly
from spectralid.devices.codec.faults import FaultKind, FramingFault
from spectralid.devices.codec.wasatch import (
    MINIMUM_FRAME,
    OVERHEAD,
    SET,
    STATUS_MEANINGS,
    Decoder,
    Frame,
    Opcode,
    encode,
    frame_size,
    status,
)
from spectralid.devices.transport import Deadline, Transport, wire_seconds
from spectralid.errors import ProtocolError, TransportError

__all__ = ["MARGIN_S", "QUIET_S", "WasatchClient"]

MARGIN_S: Final = 0.5
"""Time an instrument gets to answer, beyond what the line and the integration take; the vendor's example
program waits 0.2 s."""

QUIET_S: Final = 0.03
"""Silence after which nothing more is taken to come: longer than a USB adapter holds bytes back (16 ms)."""

RETRIES: Final = 2
# An instrument that never falls silent must not keep "laser off" from being sent.
_SETTLE_S: Final = 0.5
_CHUNK: Final = 4096


class WasatchClient:
    """Asks one thing at a time over one line.

    Parameters
    ----------
    transport : Transport
        The line.
    byte_gap_s : float
        Seconds between two bytes of a request; the vendor's example program leaves 1 ms.
    margin_s : float
        Seconds an answer may take beyond wire time and the time the instrument is known to be busy.
    pause : callable
        Lets time pass, in seconds; for tests.

    Attributes
    ----------
    stale_answers : int
        Answers to something else than what was asked, recognised and thrown away.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        byte_gap_s: float = 0.0,
        margin_s: float = MARGIN_S,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = transport
        self._byte_gap_s = byte_gap_s
        self._margin_s = margin_s
        self._pause = pause
        # Between the bytes of a request an urgent "off" from another thread must find no room.
        self._writing = threading.Lock()
        # An instrument answers in turn: whoever interrupts a measurement, perhaps to switch the laser off, is
        # heard when it is over.
        self._busy_until = 0.0
        self._in_step = True
        self._echoes = False
        self._owed: Counter[int] = Counter()
        self.stale_answers = 0

    @property
    def transport(self) -> Transport:
        """The line."""
        return self._transport

    def close(self) -> None:
        """Close the line."""
        self._transport.close()

    def send(self, opcode: Opcode, data: bytes) -> None:
        """Send a command nobody waits for; any thread may do so while another waits for an answer.

        Raises
        ------
        TransportError
            If the line takes no data.
        """
        self._write(encode(Frame(opcode | SET, data)), Deadline(self._margin_s))

    def ask(self, opcode: Opcode, size: int, *, retries: int = RETRIES) -> bytes:
        """Ask for something that can be asked again, and do so when the answer is lost.

        Parameters
        ----------
        opcode : Opcode
            The question.
        size : int
            Bytes the answer holds, at least 1.
        retries : int
            How often to ask again.

        Returns
        -------
        bytes
            Data of the answer.

        Raises
        ------
        RefusedError
            If the instrument refuses.
        ProtocolError
            If the answer is damaged.
        TransportError
            If the line fails or the instrument is silent.
        """
        return ask_repeatedly(lambda: self._ask_once(opcode, size), retries)

    def command(self, opcode: Opcode, data: bytes) -> None:
        """Have something set, once, and acknowledged.

        Raises
        ------
        RefusedError, ProtocolError, TransportError
            As for `ask`. Whether the command was carried out is then unknown; read it back.
        """
        answer = self._exchange(opcode, Frame(opcode | SET, data), 1)
        self.check_status(opcode, answer[0])

    def acquire(self, size: int, *, busy_s: float, then: Opcode, then_size: int) -> tuple[bytes, bytes]:
        """Ask for an image, once, and for something else right behind it: asking again would measure again.

        An image comes bare. That it has ended where it should is shown by the answer that follows it, with
        nothing between the two.

        Parameters
        ----------
        size : int
            Bytes of the image, at least 6.
        busy_s : float
            Seconds the measurement takes.
        then : Opcode
            The question behind it.
        then_size : int
            Bytes its answer holds, at least 1.

        Returns
        -------
        (bytes, bytes)
            The image, and the data of the answer.

        Raises
        ------
        RefusedError
            If the instrument refuses.
        ProtocolError
            If it sends fewer bytes than that, or more.
        TransportError
            If the line fails or no image comes.
        """
        if not self._in_step:
            # An image nobody took, because the call was ended, still comes.
            self._transport.read(size, Deadline(max(0.0, self._busy_until - time.monotonic())))
        self._settle()
        self._in_step = False
        self._busy_until = time.monotonic() + busy_s + wire_seconds(size, self._transport.baud)
        request = encode(Frame(Opcode.ACQUIRE))
        deadline = self._deadline(len(request) + size)
        self._write(request, deadline)
        image = self._head(deadline)
        image += self._transport.read(size - len(image), deadline)
        if not image:
            raise self._silence(Opcode.ACQUIRE, deadline)
        if len(image) < size:
            raise ProtocolError(
                f"The image of the instrument on {self._name} broke off after {len(image)} of {size} bytes; "
                "bytes were lost on the line. Check the cable and scan again."
            )
        self._busy_until = 0.0
        try:
            return image, self._answer_to(then, Frame(then), then_size, nothing_else=True)
        except _SomethingElseError:
            raise ProtocolError(
                f"The instrument on {self._name} sent more than the {size} bytes of an image, and nobody can "
                "tell which belong to it. Scan again; choose the profile that fits the instrument."
            ) from None

    def _head(self, deadline: Deadline) -> bytes:
        """First bytes of an image, with the frames that come before it taken off.

        An image of noise begins like a whole frame with the right checksum once in 10¹² times.
        """
        while True:
            head = self._transport.read(MINIMUM_FRAME, deadline)
            total = frame_size(head) if len(head) == MINIMUM_FRAME else None
            if total is None:
                return head
            head += self._transport.read(total - len(head), deadline)
            frame = next(iter(Decoder().feed(head)), None)
            if not isinstance(frame, Frame):
                return head
            if frame.opcode == Opcode.ACQUIRE and len(frame.data) == 1:
                self.check_status(Opcode.ACQUIRE, frame.data[0])
            self.stale_answers += 1

    def _ask_once(self, opcode: Opcode, size: int) -> bytes:
        request = Frame(opcode)
        owed = self._owed.pop(opcode, 0)
        answer = b""
        # Answers come in the order of the questions: after one answer for each that may be late, and one
        # more, the last one is an answer to a question asked just now.
        for _ in range(owed + 1):
            answer = self._exchange(opcode, request, size)
        if owed:
            self._in_step = False
        return answer

    def _exchange(self, opcode: Opcode, request: Frame, size: int) -> bytes:
        """Send one request on a line with nothing old on it, and wait for the data of its answer."""
        self._settle()
        return self._answer_to(opcode, request, size)

    def _answer_to(self, opcode: Opcode, request: Frame, size: int, *, nothing_else: bool = False) -> bytes:
        """Send one request and wait for the data of its answer, `size` bytes."""
        encoded = encode(request)
        deadline = self._deadline(len(encoded) + OVERHEAD + size)
        damage: FramingFault | None = None
        echo_due = self._echoes
        self._in_step = False
        self._write(encoded, deadline)
        for item in self._received(deadline):
            if nothing_else and (isinstance(item, FramingFault) or item.opcode != request.opcode):
                raise _SomethingElseError
            if isinstance(item, FramingFault):
                damage = item if damage is None or damage.kind is FaultKind.NOISE else damage
            elif item == request and (echo_due or len(item.data) != size):
                self._echoes, echo_due = True, False
            elif item.opcode != request.opcode:
                self.stale_answers += 1
            else:
                # Where the line echoes, the echo comes first.
                self._echoes = self._echoes and not echo_due
                self._in_step = True
                self._busy_until = 0.0
                return self._data_of(opcode, item, size)
        if damage:
            raise DamagedAnswerError(
                f"The answer of the instrument on {self._name} to {_named(opcode)} was damaged: "
                f"{damage.detail}. Check cable and baud rate and scan again."
            )
        self._owed[request.opcode] += 1
        raise self._silence(opcode, deadline)

    def _received(self, deadline: Deadline) -> Iterator[Frame | FramingFault]:
        """What comes over the line until the deadline."""
        decoder = Decoder()
        while deadline.left:
            yield from decoder.feed(self._transport.read(decoder.wanted, deadline))
        yield from decoder.flush()

    def _data_of(self, opcode: Opcode, frame: Frame, size: int) -> bytes:
        if len(frame.data) == size:
            return frame.data
        if len(frame.data) == 1:
            self.check_status(opcode, frame.data[0])
        raise DamagedAnswerError(
            f"The instrument on {self._name} answered {_named(opcode)} with {len(frame.data)} bytes "
            f"({frame.data.hex()}) instead of {size}; it does not keep to the protocol."
        )

    def check_status(self, opcode: Opcode, byte: int) -> None:
        """Raise `RefusedError` unless the status in `byte` is that of success."""
        number = status(byte)
        if number:
            meaning = STATUS_MEANINGS.get(number, "the vendor does not list it")
            raise RefusedError(
                f"The instrument on {self._name} refuses {_named(opcode)}: status {number}, {meaning}.",
                number=number,
            )

    def _settle(self) -> None:
        """Throw away what is left of earlier exchanges; after a failed one, wait until the line is silent."""
        deadline = Deadline(_SETTLE_S)
        quiet_s = 0.0 if self._in_step else QUIET_S
        while self._transport.read(_CHUNK, Deadline(quiet_s)) and deadline.left:
            pass
        self._in_step = True

    def _write(self, data: bytes, deadline: Deadline) -> None:
        if not self._byte_gap_s:
            self._transport.write(data, deadline)
            return
        with self._writing:
            for place in range(len(data)):
                self._transport.write(data[place : place + 1], deadline)
                self._pause(self._byte_gap_s)

    def _deadline(self, count: int) -> Deadline:
        """Time for `count` bytes to and fro, for what the instrument is busy with, and a margin."""
        busy_s = max(0.0, self._busy_until - time.monotonic())
        return Deadline(
            busy_s + wire_seconds(count, self._transport.baud) + self._byte_gap_s * count + self._margin_s
        )

    def _silence(self, opcode: Opcode, deadline: Deadline) -> TransportError:
        return TransportError(
            f"The instrument on {self._name} did not answer {_named(opcode)} within "
            f"{deadline.seconds:.1f} s; check power, cable and baud rate.",
            kind="timeout",
        )

    @property
    def _name(self) -> str:
        return self._transport.name


class _SomethingElseError(Exception):
    """Something came before the answer."""


def _named(opcode: Opcode) -> str:
    return f"{opcode.name.lower().replace('_', ' ')} ({opcode:#04x})"
