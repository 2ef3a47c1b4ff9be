"""Ocean Optics' older RS-232 protocol: one command, its answer, and nothing else.

The protocol numbers nothing: an answer that comes late looks like the answer to the next command. Whenever an
exchange did not end as it should, the client is *out of step*; before the next one it asks for the version,
which it knows, and throws away everything until that answer has come and the line is silent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from spectralid.devices.client.errors import DamagedAnswerError, RefusedError
from spectralid.devices.client.retry import raise_if_lost
from spectralid.devices.codec.faults import FaultKind, FramingFault
from spectralid.devices.codec.ocean_legacy import (
    BAUD_CODES,
    ETX,
    NAK,
    Answer,
    AnswerDecoder,
    Dialect,
    Expect,
    Layout,
    Mode,
    Record,
    RecordDecoder,
    TextRecordDecoder,
    encode,
    read_version,
)
from spectralid.devices.transport import Deadline, Transport, wire_seconds
from spectralid.errors import ParameterError, ProtocolError, TransportError

__all__ = ["OceanLegacyClient"]

MARGIN_S: Final = 1.0
"""Time an instrument gets to answer, beyond what the line and the integration take."""

QUIET_S: Final = 0.03
"""Silence after which nothing more is expected; longer than a USB adapter holds bytes back (16 ms)."""

ATTEMPTS: Final = 3
RETRANSMISSIONS: Final = 2

# Where nothing else tells that an instrument has finished, its bytes may come as slowly as this.
_SLOWEST_S: Final = 0.25
# Looking for an instrument at seven rates must not take long. Two answers must agree, and what an instrument
# took for the beginning of a command at the wrong rate may swallow one or two questions.
_PROBE_S: Final = 0.3
_PROBES: Final = 4
# The manual: wait for more than 50 ms between the two halves of a change of rate.
_BAUD_WAIT_S: Final = 0.06
# The manual: leave 1 ms between bytes, the SAD500 holds only one.
_BYTE_WAIT_S: Final = 0.001
_CHUNK: Final = 4096
# What is kept of bytes that are thrown away: more than the answer that is looked for among them.
_TAIL: Final = 256

_VERSION: Final = "v"
_TOO_LONG: Final = FramingFault(FaultKind.FOOTER, "more bytes came than its pixels take")


class OceanLegacyClient:
    """Asks one thing at a time over one line.

    Parameters
    ----------
    transport : Transport
        The line.
    dialect : Dialect
        Which of the documented instruments is there.
    margin_s : float
        Seconds an answer may take beyond wire time and the time the instrument is known to be busy.
    wait : callable
        Lets time pass, in seconds.

    Attributes
    ----------
    mode : Mode
        How numbers go over the line; known after `connect`.
    version : int
        Version of the instrument's code, 1000 for 1.00.0; known after `connect`.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        dialect: Dialect,
        margin_s: float = MARGIN_S,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = transport
        self._dialect = dialect
        self._margin_s = margin_s
        self._wait = wait
        # Bytes of an urgent "off" from another thread must not fall between those of another command.
        self._sending = threading.Lock()
        # Set when such a command went out: its answer is to be expected between those of others.
        self._unasked = threading.Event()
        self._in_step = True
        self._busy_until = 0.0
        self.mode = Mode.BINARY
        self.version = 0

    @property
    def transport(self) -> Transport:
        """The line."""
        return self._transport

    @property
    def in_step(self) -> bool:
        """Whether the last exchange ended as it should."""
        return self._in_step and not self._unasked.is_set()

    def close(self) -> None:
        """Close the line."""
        self._transport.close()

    def connect(self, mode: Mode = Mode.BINARY, *, rates: Sequence[int] = ()) -> int:
        """Find the instrument on the line and put it into a mode.

        Parameters
        ----------
        mode : Mode
            How numbers shall go over the line.
        rates : sequence of int
            Rates to try when it does not answer at that of the line: an earlier program may have left it at
            another.

        Returns
        -------
        int
            Version of the instrument's code.

        Raises
        ------
        TransportError
            If the line fails or nothing answers at any rate.
        ProtocolError
            If the instrument does not change its mode.
        """
        self._drain()  # greetings and leftovers
        first = self._transport.baud
        others = [] if first is None else [rate for rate in rates if rate != first]
        found = self._find([first, *others])
        if found is None:
            tried = f" at {first}, {', '.join(map(str, others))} baud" if others else ""
            raise TransportError(
                f"The instrument on {self._transport.name} did not answer version (v){tried}; check power, "
                "cable and baud rate.",
                kind="timeout",
            )
        self.mode, self.version = found
        if self.mode is not mode:
            self._change_mode(mode)
        return self.version

    def _change_mode(self, mode: Mode) -> None:
        # Without a line end, whatever the mode.
        self._exchange("bB" if mode is Mode.BINARY else "aA", (), Expect.NOTHING)
        self.mode = mode
        try:
            self._resync()
        except TransportError as error:
            if error.kind != "timeout":
                raise
            raise ProtocolError(
                f"The instrument on {self._transport.name} acknowledged {mode.value} mode and does not "
                "answer in it; switch it off and on and try again."
            ) from None

    def _find(self, rates: Sequence[int | None]) -> tuple[Mode, int] | None:
        """Mode and version of the instrument, the line left at its rate; or at the first, if it is silent."""
        for rate in rates:
            if rate is not None:
                self._transport.set_baud(rate)
            if found := self._probe():
                return found
        if rates[0] is not None:
            self._transport.set_baud(rates[0])
        return None

    def _probe(self) -> tuple[Mode, int] | None:
        """Mode and version, if two answers in a row agree: noise is not taken for an answer."""
        seen = None
        for _ in range(_PROBES):
            self._send(encode(_VERSION))
            now = read_version(self._until_quiet(Deadline(_PROBE_S), lambda tail: bool(read_version(tail))))
            if now is not None and now == seen:
                self._in_step = True
                return now
            seen = now
        return None

    def recover(self, *, rates: Sequence[int]) -> None:
        """Get in step again, also with an instrument that was reset and went back to another rate or mode.

        Parameters
        ----------
        rates : sequence of int
            Rates to try when it does not answer at that of the line.

        Raises
        ------
        ProtocolError, TransportError
            As for `connect`.
        """
        try:
            self._ready()
        except TransportError as error:
            # Bytes nobody asked for: it is still sending what was given up, at this rate.
            if error.kind != "timeout" or self._transport.read(1, Deadline(_SLOWEST_S)):
                raise
            self.connect(self.mode, rates=rates)

    def command(self, name: str, *words: int) -> None:
        """Have something done, once.

        Parameters
        ----------
        name : str
            Its letter.
        *words : int
            Its operands.

        Raises
        ------
        RefusedError
            If the instrument answers NAK.
        ProtocolError, TransportError
            If no proper answer comes. Whether the command was carried out is then unknown; read it back.
        """
        self._ready()
        self._exchange(name, words, Expect.NOTHING)

    def ask(self, name: str) -> int:
        """Ask for a number, again if the answer is lost.

        Parameters
        ----------
        name : str
            The question, like ``"?I"``.

        Raises
        ------
        ProtocolError
            If the instrument refuses or the answers are damaged.
        TransportError
            If the line fails or the instrument is silent.
        """
        return self._ask(name, (), Expect.WORD).word

    def constant(self, index: int) -> str:
        """A stored constant, asked for until two answers agree, because nothing else proves it.

        Parameters
        ----------
        index : int
            Its number.

        Raises
        ------
        ProtocolError, TransportError
            As for `ask`.
        """
        answer = self._ask("?x", (index,), Expect.CONSTANT)
        return answer.constant.decode("ascii", errors="replace").strip()

    def send(self, name: str, *words: int) -> None:
        """Send a command nobody waits for; any thread may, while another waits for an answer.

        Raises
        ------
        TransportError
            If the line takes no data.
        """
        try:
            self._send(encode(name, *words, mode=self.mode))
        finally:
            self._unasked.set()

    def change_baud(self, baud: int) -> bool:
        """Go on at another rate, if the instrument agrees at both.

        The manual's order: ``K`` at the old rate, its ACK at the old rate, more than 50 ms, ``K`` at the new
        rate, its ACK at the new rate. Whatever else happens, the old rate stays; but an instrument whose
        second ACK was lost has changed, so it is looked for at both.

        Parameters
        ----------
        baud : int
            One of `BAUD_CODES`.

        Returns
        -------
        bool
            Whether the line now runs at that rate. Never on a network socket, which has none.

        Raises
        ------
        ParameterError
            If the protocol has no such rate.
        TransportError
            If the line fails or the instrument is found at neither rate.
        """
        if baud not in BAUD_CODES:
            raise ParameterError("baud rate", baud, f"one of {', '.join(map(str, BAUD_CODES))}")
        old = self._transport.baud
        if old is None or old == baud:
            return old == baud
        code = (BAUD_CODES[baud],)
        self._ready()
        try:
            self._exchange("K", code, Expect.NOTHING)
            self._wait(_BAUD_WAIT_S)
            self._transport.set_baud(baud)
            self._exchange("K", code, Expect.NOTHING)
        except RefusedError:
            if self._transport.baud == old:
                return False
        except (ProtocolError, TransportError) as error:
            raise_if_lost(error)
        else:
            return True
        if self._find([old, baud]) != (self.mode, self.version):
            raise TransportError(
                f"The instrument on {self._transport.name} was lost while changing from {old} to {baud} "
                "baud; switch it off and on and try again.",
                kind="timeout",
            )
        return self._transport.baud == baud

    def acquire(self, layout: Layout, *, busy_s: float) -> Record:
        """Ask for a measurement, once: asking again would measure again.

        A damaged record is sent again by a SAD500, which keeps it for that.

        Parameters
        ----------
        layout : Layout
            What the record looks like under the settings made.
        busy_s : float
            Seconds the measurement may take.

        Raises
        ------
        RefusedError
            If the instrument has no memory for it or refuses.
        ProtocolError
            If the record is damaged.
        TransportError
            If the line fails or the instrument is silent.
        """
        self._ready()
        wire_s = wire_seconds(
            layout.longest if self.mode is Mode.BINARY else layout.longest_text, self._transport.baud
        )
        deadline = Deadline(busy_s + wire_s + self._margin_s)
        self._in_step = False
        # Whoever interrupts, perhaps to switch a laser off, is heard when the measurement is over.
        self._busy_until = time.monotonic() + busy_s + wire_s
        self._send(encode("S", mode=self.mode))
        outcome = self._record(layout, self._first_bytes(deadline), deadline)
        if self._dialect is Dialect.SAD500 and self.mode is Mode.BINARY:
            for _ in range(RETRANSMISSIONS):
                if isinstance(outcome, Record):
                    break
                # Only straight after `S` can it be sent again: nothing may be asked in between.
                self._drain()
                outcome = self._again(layout) or outcome
        if isinstance(outcome, FramingFault):
            raise DamagedAnswerError(
                f"The spectrum from the instrument on {self._transport.name} was damaged: {outcome.detail}. "
                "Check cable and baud rate and scan again."
            )
        self._in_step = True
        self._busy_until = 0.0
        return outcome

    def _first_bytes(self, deadline: Deadline) -> bytes:
        """What the answer to ``S`` begins with; a refusal is raised, an echo is dropped."""
        first = self._transport.read(1, deadline)
        while first == b"S" and deadline.left:
            first = self._transport.read(1, deadline)
        if not first:
            raise self._silent("S", deadline)
        if first[0] not in (ETX, NAK):
            return first
        if more := self._transport.read(_CHUNK, Deadline(QUIET_S)):
            return first + more  # no refusal, but noise before the record
        self._in_step = True
        self._busy_until = 0.0
        why = "it has no memory for a spectrum (ETX)" if first[0] == ETX else "it refuses (NAK)"
        raise RefusedError(
            f"The instrument on {self._transport.name} took no spectrum: {why}. Switch it off and on and "
            "scan again."
        )

    def _record(
        self, layout: Layout, begun: bytes, deadline: Deadline, *, after_stx: bool = True
    ) -> Record | FramingFault:
        """Read a record on from the bytes it began with."""
        binary = self.mode is Mode.BINARY
        decoder = RecordDecoder(layout, after_stx=after_stx) if binary else TextRecordDecoder(layout)
        damage: FramingFault | None = None
        data = begun
        while data:
            items = decoder.feed(data)
            record = _first_record(items)
            if record is not None:
                return self._unless_longer(record, layout)
            for item in items:
                damage = item if isinstance(item, FramingFault) else damage
                if damage is not None and damage.kind is not FaultKind.HEADER:
                    return damage  # it came whole, there is no use waiting for another
            data = self._transport.read(decoder.wanted, deadline) if deadline.left else b""
        items = decoder.flush()
        record = _first_record(items)
        last = next((item for item in reversed(items) if isinstance(item, FramingFault)), None)
        return record or damage or last or FramingFault(FaultKind.TRUNCATED, "nothing came of it")

    def _unless_longer(self, record: Record, layout: Layout) -> Record | FramingFault:
        # Each pixel of a compressed record says itself how long it is: what is left over may belong to it.
        if layout.compressed and self._transport.read(_CHUNK, Deadline(QUIET_S)):
            return _TOO_LONG
        return record

    def _again(self, layout: Layout) -> Record | FramingFault | None:
        """Have the last record sent again; ``None`` if the instrument does not.

        Whether STX comes before it again is not documented; both are read.
        """
        try:
            self._exchange("O", (1,), Expect.NOTHING, to_the_end=False)
        except (ProtocolError, TransportError) as error:
            raise_if_lost(error)
            return None
        self._in_step = False
        deadline = Deadline(wire_seconds(layout.longest, self._transport.baud) + self._margin_s)
        return self._record(layout, self._transport.read(1, deadline), deadline, after_stx=False)

    def _ask(self, name: str, words: tuple[int, ...], expect: Expect) -> Answer:
        """Ask until an answer comes with nothing stuck to it, or the same answer twice."""
        seen: Answer | None = None
        failure: ProtocolError | TransportError | None = None
        for _ in range(ATTEMPTS):
            self._ready()
            try:
                answer, clean = self._exchange(name, words, expect)
            except RefusedError:
                raise
            except (ProtocolError, TransportError) as error:
                raise_if_lost(error)
                failure = error
                continue
            if (clean and expect is not Expect.CONSTANT) or answer == seen:
                return answer
            seen = answer
        raise failure or DamagedAnswerError(
            f"The instrument on {self._transport.name} answers {name} differently each time, or with bytes "
            "stuck to it; check cable and baud rate."
        )

    def _exchange(
        self, name: str, words: tuple[int, ...], expect: Expect, *, to_the_end: bool = True
    ) -> tuple[Answer, bool]:
        """Send one command and read its answer; and whether nothing was stuck to it."""
        command = encode(name, *words, mode=self.mode)
        decoder = AnswerDecoder(command, self.mode, expect)
        deadline = Deadline(wire_seconds(2 * len(command) + _TAIL, self._transport.baud) + self._margin_s)
        self._in_step = False
        self._send(command)
        found = None
        wait = deadline
        while found is None and deadline.left and (data := self._transport.read(decoder.wanted, wait)):
            found = decoder.feed(data)
            if expect is Expect.CONSTANT:
                wait = Deadline(min(deadline.left, _SLOWEST_S))
        found = found or decoder.flush()
        if found is None:
            raise self._silent(name, deadline)
        if isinstance(found, FramingFault):
            raise DamagedAnswerError(
                f"The answer of the instrument on {self._transport.name} to {name} was damaged: "
                f"{found.detail}. Check cable and baud rate."
            )
        stuck = decoder.rest
        if to_the_end:
            stuck += self._transport.read(_CHUNK, Deadline(QUIET_S))
        self._in_step = True
        if not found.accepted:
            operands = " ".join(map(str, (name, *words)))
            raise RefusedError(
                f"The instrument on {self._transport.name} refuses {operands} (NAK); it does not know it, or "
                "not this value."
            )
        return found, not stuck

    def _ready(self) -> None:
        """Make sure that the next answer will be the answer to the next command."""
        if self._unasked.is_set() or self._transport.read(_CHUNK, Deadline(0.0)):
            self._unasked.clear()
            self._in_step = False
        if not self._in_step:
            self._resync()

    def _resync(self) -> None:
        known = (self.mode, self.version)
        busy_s = max(0.0, self._busy_until - time.monotonic())
        for _ in range(ATTEMPTS):
            self._send(encode(_VERSION))
            deadline = Deadline(busy_s + self._margin_s)
            busy_s = 0.0
            if read_version(self._until_quiet(deadline, lambda tail: read_version(tail) == known)) == known:
                self._in_step = True
                self._busy_until = 0.0
                return
        raise TransportError(
            f"The instrument on {self._transport.name} did not answer version (v) after an answer was lost "
            "or damaged; check power, cable and baud rate, and open it again.",
            kind="timeout",
        )

    def _drain(self) -> None:
        """Throw away what comes until the line is silent, or for as long as an answer may take."""
        deadline = Deadline(self._margin_s)
        while deadline.left and self._transport.read(_CHUNK, Deadline(QUIET_S)):
            pass

    def _until_quiet(self, deadline: Deadline, enough: Callable[[bytes], bool]) -> bytes:
        """Read until the line is silent and `enough` says so of the last bytes; give those back."""
        tail = b""
        while deadline.left and (piece := self._transport.read(1, deadline)):
            tail = (tail + piece)[-_TAIL:]
            while deadline.left and (piece := self._transport.read(_CHUNK, Deadline(QUIET_S))):
                tail = (tail + piece)[-_TAIL:]
            if enough(tail):
                break
        return tail

    def _send(self, command: bytes) -> None:
        deadline = Deadline(self._margin_s)
        with self._sending:
            if self._dialect is not Dialect.SAD500:
                self._transport.write(command, deadline)
                return
            for place, byte in enumerate(command):
                if place:
                    self._wait(_BYTE_WAIT_S)
                self._transport.write(bytes([byte]), deadline)

    def _silent(self, name: str, deadline: Deadline) -> TransportError:
        return TransportError(
            f"The instrument on {self._transport.name} did not answer {name} within {deadline.seconds:.1f} "
            "s; check power, cable and baud rate.",
            kind="timeout",
        )


def _first_record(items: Sequence[Record | FramingFault]) -> Record | None:
    return next((item for item in items if isinstance(item, Record)), None)
