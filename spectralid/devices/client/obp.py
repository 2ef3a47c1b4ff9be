"""Ocean Binary Protocol: one request, its answer, and nothing else.

A question may be asked again when its answer is lost; a command is never repeated, because whether the first
one was carried out is unknown. Answers to questions given up earlier are known by the number they repeat.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from spectralid.devices.client.errors import DamagedAnswerError, RefusedError
from spectralid.devices.client.retry import ask_repeatedly, raise_if_lost
from spectralid.devices.codec.faults import Checksum, FaultKind, FramingFault
from spectralid.devices.codec.obp import (
    DEFERRED,
    ERROR_MEANINGS,
    MINIMUM_FRAME,
    Decoder,
    Flag,
    Frame,
    Message,
    encode,
)
from spectralid.devices.transport import Deadline, Transport, wire_seconds
from spectralid.errors import ProtocolError, TransportError

__all__ = ["ObpClient"]

MARGIN_S: Final = 2.0
"""Time an instrument gets to answer, beyond what the line and the integration take: the vendor's own test
program waits as long."""

RETRIES: Final = 2
_MD5: Final = b"\x01"
_WAS_RESET: Final = 9
_DRAIN: Final = 4096
# How often a message that belongs to no question, or is not whole yet, may put off the deadline of an answer.
_FORGIVEN: Final = 3


class ObpClient:
    """Asks one thing at a time over one line.

    Parameters
    ----------
    transport : Transport
        The line.
    margin_s : float
        Seconds an answer may take beyond wire time and the time the instrument is known to be busy.
    new_number : callable
        Gives the number of the first request. Random by default, so that an answer left over from an earlier
        program is not taken for one of ours.

    Attributes
    ----------
    checksum : Checksum
        Whether every answer is proved by an MD5.
    stale_answers : int
        Answers to earlier questions that were recognised and thrown away.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        margin_s: float = MARGIN_S,
        new_number: Callable[[], int] = lambda: secrets.randbits(32),
    ) -> None:
        self._transport = transport
        self._margin_s = margin_s
        self._number = new_number()
        self._decoder = Decoder()
        # An instrument answers in turn: whoever interrupts a measurement, perhaps to switch the laser off, is
        # heard when it is over.
        self._busy_until = 0.0
        self._reset = False
        self.checksum = Checksum.ABSENT
        self.stale_answers = 0

    @property
    def transport(self) -> Transport:
        """The line."""
        return self._transport

    def close(self) -> None:
        """Close the line."""
        self._transport.close()

    def send(self, message: Message, data: bytes) -> None:
        """Send a command nobody waits for: a setting without acknowledgement is made in silence.

        Any thread may do so while another waits for an answer.

        Raises
        ------
        TransportError
            If the line takes no data.
        """
        self._transport.write(
            encode(Frame(message=message, data=data, flags=Flag.NONE, checksum=self.checksum)),
            Deadline(self._margin_s),
        )

    def negotiate_checksum(self) -> Checksum:
        """Ask for MD5 checksums on every message; an instrument that knows none goes on without.

        Raises
        ------
        TransportError
            If the line fails or the instrument is silent.
        ProtocolError
            If the answer makes no sense.
        """
        self._reset = False
        self.checksum = Checksum.ABSENT
        try:
            self._data(Message.CHECKSUM_TYPE, _MD5, Flag.ACK_REQUESTED)
        except RefusedError:
            return self.checksum
        self.checksum = Checksum.VERIFIED
        return self.checksum

    def negotiate_baud(self, baud: int, *, settle_s: float) -> int | None:
        """Have both ends go on at another rate, if the instrument agrees.

        The change is asked for and acknowledged at the old rate; then this end changes, lets the line settle
        and asks for the rate. Whatever gets lost on the way, both ends are found at one rate again.

        Parameters
        ----------
        baud : int
            Bits per second.
        settle_s : float
            Seconds to leave the line alone after a change; what comes meanwhile is thrown away.

        Returns
        -------
        int or None
            The rate both ends have now; ``None`` for a line without rates.

        Raises
        ------
        TransportError, ProtocolError
            If the instrument answers at neither rate.
        """
        old = self._transport.baud
        if old is None or old == baud:
            return old
        rates = [baud, old]
        try:
            self.command(Message.SET_BAUD_RATE, baud.to_bytes(4, "little"))
        except RefusedError:
            rates = [old, baud]
        except (DamagedAnswerError, TransportError) as error:
            # Done or not: where it answers tells.
            raise_if_lost(error)
        for rate in rates:
            if rate != self._transport.baud:
                self._change_rate(rate, settle_s)
            try:
                self.ask(Message.BAUD_RATE)
            except RefusedError:
                return rate  # it does not tell its rate, and was understood at this one
            except (DamagedAnswerError, TransportError) as error:
                raise_if_lost(error)
                failure = error
            else:
                return rate
        raise failure

    def _change_rate(self, baud: int, settle_s: float) -> None:
        self._transport.set_baud(baud)
        settled = Deadline(settle_s)
        while settled.left:
            self._transport.read(_DRAIN, settled)
        self._decoder.flush()

    def ask(self, message: Message, data: bytes = b"", *, retries: int = RETRIES) -> bytes:
        """Ask for something that can be asked again, and do so when the answer is lost.

        Parameters
        ----------
        message : Message
            The question.
        data : bytes
            Its operands.
        retries : int
            How often to ask again.

        Returns
        -------
        bytes
            Data of the answer.

        Raises
        ------
        ProtocolError
            If the instrument refuses or the answer is damaged.
        TransportError
            If the line fails or the instrument is silent.
        """
        return ask_repeatedly(lambda: self._data(message, data, Flag.NONE), retries)

    def acquire(self, message: Message, *, busy_s: float, expect: int) -> bytes:
        """Ask for a measurement, once: asking again would measure again.

        Parameters
        ----------
        message : Message
            The question.
        busy_s : float
            Seconds the measurement takes.
        expect : int
            Bytes of data the answer is expected to hold, for the time they take on the wire.

        Raises
        ------
        ProtocolError, TransportError
            As for `ask`.
        """
        self._busy_until = time.monotonic() + busy_s + wire_seconds(expect, self._transport.baud)
        answer = self._data(message, b"", Flag.NONE)
        self._busy_until = 0.0
        return answer

    def command(self, message: Message, data: bytes) -> None:
        """Have something done, once, and acknowledged.

        Raises
        ------
        ProtocolError, TransportError
            As for `ask`. Whether the command was carried out is then unknown; read it back.
        """
        self._data(message, data, Flag.ACK_REQUESTED)

    def _data(self, message: Message, data: bytes, flags: Flag) -> bytes:
        if self._reset:
            # It has forgotten that it agreed to checksums.
            self.negotiate_checksum()
        answer = self._exchange(message, data, flags)
        refused = answer.flags & (Flag.NACK | Flag.EXCEPTION) or answer.error
        if refused:
            meaning = ERROR_MEANINGS.get(answer.error, "the instrument's manual does not list it")
            what = "reports a hardware fault on" if answer.flags & Flag.EXCEPTION else "refuses"
            raise RefusedError(
                f"The instrument on {self._transport.name} {what} {_named(message)}: "
                f"error {answer.error}, {meaning}.",
                number=answer.error,
            )
        if flags & Flag.ACK_REQUESTED and not answer.flags & Flag.ACK:
            raise ProtocolError(
                f"The instrument on {self._transport.name} answered {_named(message)} without saying whether "
                "it was done; read the setting back."
            )
        return answer.data

    def _exchange(self, message: Message, data: bytes, flags: Flag) -> Frame:
        """Send one request and wait for the one answer that repeats its number."""
        self._number = (self._number + 1) & 0xFFFFFFFF
        request = encode(
            Frame(message=message, data=data, flags=flags, regarding=self._number, checksum=self.checksum)
        )
        busy_s = max(0.0, self._busy_until - time.monotonic())
        # What came before the question is no answer to it.
        before = self._decoder.feed(self._transport.read(_DRAIN, Deadline(0.0)))
        self.stale_answers += sum(isinstance(item, Frame) for item in before)
        allowed_s = busy_s + wire_seconds(len(request) + MINIMUM_FRAME, self._transport.baud) + self._margin_s
        deadline = Deadline(allowed_s)
        self._transport.write(request, deadline)
        damage: FramingFault | None = None
        forgiven = 0
        while not _whole(damage):
            if not deadline.left:
                if not self._decoder.begun or forgiven == _FORGIVEN:
                    break
                # Part of a message is here: it may take the time its bytes need.
                forgiven += 1
                deadline = Deadline(wire_seconds(self._decoder.wanted, self._transport.baud))
            for item in self._decoder.feed(self._transport.read(self._decoder.wanted, deadline)):
                if isinstance(item, FramingFault):
                    damage = item
                elif self._is_answer(item, message):
                    return item
                elif forgiven < _FORGIVEN:
                    # The line was busy with what belongs to nobody; the answer is only sent after it.
                    forgiven += 1
                    deadline = Deadline(allowed_s)
        if not _whole(damage):
            # The unfinished rest must not swallow the next answer.
            left = self._decoder.flush()
            damage = next((item for item in left if isinstance(item, FramingFault)), damage)
        if damage:
            raise DamagedAnswerError(
                f"The answer of the instrument on {self._transport.name} to {_named(message)} was damaged: "
                f"{damage.detail}. Check cable and baud rate and scan again."
            )
        raise TransportError(
            f"The instrument on {self._transport.name} did not answer {_named(message)} within "
            f"{allowed_s:.1f} s; check power, cable and baud rate.",
            kind="timeout",
        )

    def _is_answer(self, frame: Frame, message: Message) -> bool:
        if frame.regarding != self._number:
            self.stale_answers += 1
            return False
        if frame.error == DEFERRED:
            return False
        if frame.message != message:
            raise ProtocolError(
                f"The instrument on {self._transport.name} answered {_named(message)} with message "
                f"{frame.message:#010x}; it does not keep to the protocol."
            )
        if self.checksum is Checksum.VERIFIED and frame.checksum is not Checksum.VERIFIED:
            self._reset = True
            if frame.error == _WAS_RESET:
                return True
            raise DamagedAnswerError(
                f"The instrument on {self._transport.name} answered {_named(message)} without the checksum "
                "it agreed to; the answer is not used. Scan again."
            )
        return True


def _whole(damage: FramingFault | None) -> bool:
    """Whether a whole message came and was damaged, so that there is no use waiting for another."""
    return damage is not None and damage.kind in (FaultKind.FOOTER, FaultKind.CHECKSUM)


def _named(message: Message) -> str:
    return f"{message.name.lower().replace('_', ' ')} ({message:#010x})"
