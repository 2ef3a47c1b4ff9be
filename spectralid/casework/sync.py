"""Exchange with the server, for as long as the tablet runs: packets and checks out, answers in and confirmed.

Being offline for weeks is normal. A line that does not work is tried again after a pause that grows to a few
minutes and is spread at random; the times are on record, so a restart neither hurries nor forgets them. What
one packet trips over holds up that packet only. Nothing here is waited for by anybody.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from spectralid.casework import inbox, instrument_checks, messages, outbox
from spectralid.casework.clock import to_text
from spectralid.casework.endpoint import (
    LONGEST_POLL_S,
    Attention,
    Delivered,
    Done,
    Inbox,
    Reported,
    Retry,
    Server,
)
from spectralid.casework.enrolment import trust_of
from spectralid.casework.errors import PacketError, RecordError, StoreError
from spectralid.casework.outbox import Backoff

if TYPE_CHECKING:
    from spectralid.casework.store import CaseStore

__all__ = ["Sync", "SyncReport"]

_log = logging.getLogger("spectralid.casework.sync")

# Between looks into the inbox while a backlog is sent: a warning must not wait behind weeks of packets.
_BATCH: Final = 20
# Pages of the inbox in one look; the rest comes with the next.
_PAGES: Final = 50
# The clock is compared with the server's this often; receipts do it on the way.
_TIME_EVERY: Final = dt.timedelta(hours=6)
# A new packet may shorten a pause of ours, but not more often than this.
_EAGER_PAUSE_S: Final = 10.0
_STORE_PAUSE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one round brought.

    Attributes
    ----------
    delivered : tuple of str
        Packets the server gave a receipt for.
    held : tuple of str
        Packets that were tried and are tried again later.
    attention : tuple of str
        Packets the server refused for good.
    checks : tuple of str
        Checks of instruments the server gave a receipt for.
    answers : tuple of str
        Answers that are new.
    acknowledged : tuple of str
        Answers the server was told were shown.
    refused : tuple of str
        Messages that were not taken, as sentences.
    offered : int
        Packets queued again because the server lost them.
    online : bool
        Whether the server was there at the end.
    code, reason : str
        Why it was not.
    """

    delivered: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    attention: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    acknowledged: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    offered: int = 0
    online: bool = False
    code: str = ""
    reason: str = ""


@dataclass
class _Round:
    """A round under way."""

    delivered: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    attention: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    offered: int = 0
    failure: Retry | Attention | None = None

    def report(self, *, online: bool) -> SyncReport:
        return SyncReport(
            delivered=tuple(self.delivered),
            held=tuple(self.held),
            attention=tuple(self.attention),
            checks=tuple(self.checks),
            answers=tuple(self.answers),
            acknowledged=tuple(self.acknowledged),
            refused=tuple(self.refused),
            offered=self.offered,
            online=online,
            code=self.failure.code if self.failure else "",
            reason=self.failure.reason if self.failure else "",
        )


class Sync:
    """Exchange of one store with one server.

    Parameters
    ----------
    store : CaseStore
        Of this tablet.
    endpoint : Server
        The line, see `spectralid.casework.enrolment.enrolled_endpoint`.
    told : callable, optional
        Called after each round in which something changed, in the thread of `run`.
    backoff : Backoff, optional
        Pauses after failures.
    wait : callable, optional
        Waits so many seconds, or until `wake`; for tests.
    jitter : callable, optional
        Random number in 0 … 1; for tests.

    Attributes
    ----------
    online : bool
        Whether the server was there when it was last tried.
    last_contact_utc : str or None
        When it last was.
    failure : tuple of str or None
        Code and sentence, why the server could not be reached when it was last tried.
    attention : tuple of str or None
        The same, when a person has to do something: the server refuses this tablet (enrol again).

    Raises
    ------
    EnrolmentError
        If the tablet is not enrolled.
    """

    def __init__(
        self,
        store: CaseStore,
        endpoint: Server,
        *,
        told: Callable[[SyncReport], None] | None = None,
        backoff: Backoff | None = None,
        wait: Callable[[float], object] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.store = store
        self.endpoint = endpoint
        self._trust = trust_of(store)
        self._told = told
        self._backoff = backoff or Backoff()
        self._woken = threading.Event()
        self._wait = wait or self._woken.wait
        self._jitter = jitter
        self._stop: threading.Event | None = None
        self._eager = False
        self._last_try_ns: int | None = None
        self._time_asked: dt.datetime | None = None
        self._slow_acknowledgements: dict[int, tuple[int, int]] = {}
        # Delivered while the store could not be written: without its receipt on record it stays queued.
        self._not_on_record: set[str] = set()
        self._store_failed = False
        self.online = False
        self.failure: tuple[str, str] | None = None
        kept = self._kept("last_contact")
        self.last_contact_utc: str | None = kept[0] if kept else None
        attention = self._kept("attention")
        self.attention: tuple[str, str] | None = (attention[0], attention[1]) if attention else None

    # --- running -----------------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Exchange until `stop` is set; after setting it, call `wake`.

        Parameters
        ----------
        stop : threading.Event
            When to end.
        """
        self._stop = stop
        self.store.on_captured.append(self._captured)
        try:
            with self._tolerated():
                outbox.recover(self.store)
                inbox.repair(self.store)
            while not stop.is_set():
                self._woken.clear()
                pause_s = self._go(stop)
                if pause_s > 0 and not stop.is_set():
                    self._wait(pause_s)
        finally:
            self._stop = None
            self.store.on_captured.remove(self._captured)
            self.endpoint.close()

    def wake(self) -> None:
        """There is something to do, or to end; from any thread, and without waiting."""
        self._eager = True
        self._woken.set()
        self.endpoint.interrupt(everything=self._stop is not None and self._stop.is_set())

    def _captured(self, _: object) -> None:
        self.wake()

    def _go(self, stop: threading.Event) -> float:
        """One round and one look out for answers, then how long to pause."""
        begun = self.store.clock.monotonic_ns()
        self._store_failed = False
        try:
            self._tell(lambda: self._round(stop.is_set))
            if stop.is_set():
                return 0.0
            if (pause_s := self._link_pause_s()) > 0:
                return max(pause_s, _STORE_PAUSE_S) if self._store_failed else pause_s
            listened = self._tell(self._listen)
        except StoreError as error:
            _log.warning("Exchange pauses: %s", error)
            return _STORE_PAUSE_S
        except Exception:
            # A defect must not end the exchange for the rest of the shift, unseen.
            _log.exception("Exchange pauses after an internal error; nothing recorded is lost.")
            return _STORE_PAUSE_S
        if self._store_failed:
            return _STORE_PAUSE_S  # no schedule can be kept: this is one
        if (pause_s := self._link_pause_s()) > 0:
            return pause_s
        if listened.answers or listened.offered:
            return 0.0
        # A server that answers a long poll at once, with nothing new, must not be asked at once again.
        spent_s = (self.store.clock.monotonic_ns() - begun) / 1e9
        due_s = self._due_s()
        return max(0.0, min(LONGEST_POLL_S - spent_s, LONGEST_POLL_S if due_s is None else due_s))

    def _tell(self, act: Callable[[], SyncReport]) -> SyncReport:
        was_online, was_failure = self.online, self.failure
        report = act()
        changed = report != SyncReport(online=was_online, code=report.code, reason=report.reason)
        if self._told and (changed or self.failure != was_failure):
            self._told(report)
        return report

    def once(self) -> SyncReport:
        """One round without waiting for answers: time, inbox, packets, acknowledgements, checks.

        Does nothing while a pause lasts; `spectralid.casework.outbox.retry_now` ends it.

        Returns
        -------
        SyncReport
        """
        self._woken.clear()
        outbox.recover(self.store)
        return self._round(lambda: False)

    # --- one round ---------------------------------------------------------------------------------------

    def _round(self, stopping: Callable[[], bool]) -> SyncReport:
        if self._link_pause_s() > 0:
            return SyncReport(online=self.online)
        self._eager = False
        self._last_try_ns = self.store.clock.monotonic_ns()

        def exchange(done: _Round) -> None:
            self._compare_clock()
            more = True
            while more and not stopping():
                self._fetch(done, wait_s=0.0)
                more = self._send(done, stopping)
            self._acknowledge(done)
            self._report(done, stopping)

        return self._while_it_works(exchange)

    def _listen(self) -> SyncReport:
        """Wait for an answer, at most until something is due."""
        due_s = self._due_s()
        wait_s = LONGEST_POLL_S if due_s is None else min(due_s, LONGEST_POLL_S)
        if wait_s <= 0:
            return SyncReport(online=self.online)
        return self._while_it_works(lambda done: self._fetch(done, wait_s=wait_s))

    def _while_it_works(self, act: Callable[[_Round], None]) -> SyncReport:
        done = _Round()
        try:
            act(done)
        except _LinkDownError as down:
            done.failure = down.outcome
        self._note_link(done)
        return done.report(online=self.online)

    def _due_s(self) -> float | None:
        """Seconds until something is to be sent; ``None`` when nothing waits."""
        now = self._now()
        packets = outbox.wait_s(self.store, now, without=self._not_on_record)
        checks = [outbox.pause_until(now, text) for text in instrument_checks.waiting(self.store)]
        return min([*checks, *([] if packets is None else [packets])], default=None)

    def _now(self) -> dt.datetime:
        """By the tablet's clock, right or wrong: trusted time stands still while that one is behind it."""
        return self.store.clock.wall_utc()

    def _compare_clock(self) -> None:
        now = self._now()
        if self.online and self._time_asked and abs(now - self._time_asked) < _TIME_EVERY:
            return
        self._time_asked = now
        begun = self.store.clock.monotonic_ns()
        outcome = self.endpoint.time()
        if isinstance(outcome, Retry | Attention):
            # A server without a clock of its own is still a server.
            if outcome.scope != "packet":
                raise _LinkDownError(outcome)
            return
        self._reached()
        round_trip_s = (self.store.clock.monotonic_ns() - begun) / 1e9
        with self._tolerated(), self.store.transaction() as tx:
            self.store.time.advance(
                tx, messages.parse_utc(outcome.message.server_utc), round_trip_s=round_trip_s
            )

    # packets out

    def _send(self, done: _Round, stopping: Callable[[], bool]) -> bool:
        """Send a batch; whether there may be more."""
        for _ in range(_BATCH):
            if stopping():
                return False
            row = outbox.next_due(self.store, self._now(), without=self._not_on_record.union(done.held))
            if row is None:
                return False
            self._send_one(row, done)
        return True

    def _send_one(self, row: outbox.OutboxRow, done: _Round) -> None:
        try:
            raw = self.store.raw(row.packet_id)
        except PacketError as error:
            outbox.mark_attention(self.store, row.packet_id, code="damaged", reason=str(error))
            done.attention.append(row.packet_id)
            return
        # A disk that fails is the best reason to bring packets to safety: they are sent all the same.
        with self._tolerated():
            outbox.mark_sending(self.store, row.packet_id)
        begun = self.store.clock.monotonic_ns()
        outcome = self.endpoint.deliver(raw, sha256=row.sha256, seq=row.seq)
        try:
            self._settle(row, outcome, done, (self.store.clock.monotonic_ns() - begun) / 1e9)
        except StoreError as error:
            self._store_failed = True
            _log.warning("Packet %d: its state could not be recorded: %s", row.seq, error)
            self._not_on_record.add(row.packet_id)

    def _settle(
        self, row: outbox.OutboxRow, outcome: Delivered | Retry | Attention, done: _Round, round_trip_s: float
    ) -> None:
        match outcome:
            case Delivered(receipt, replayed):
                self._reached()
                done.delivered.append(row.packet_id)
                outbox.take_receipt(self.store, receipt, round_trip_s=None if replayed else round_trip_s)
                self._watch_audit(receipt, done, replayed=replayed)
            case Attention(code, reason, "packet"):
                self._reached()
                done.attention.append(row.packet_id)
                outbox.mark_attention(self.store, row.packet_id, code=code, reason=reason)
            case Retry(code, reason, "packet", after_s):
                self._reached()
                done.held.append(row.packet_id)
                self._hold(row, code, reason, self._pause_s(row.tries + 1, after_s))
            case _:
                done.held.append(row.packet_id)
                # The line has to wait. A packet that breaks it again and again (something on the way may not
                # let it pass) waits longer than the line, so that the others get their turn.
                pause_s = 2.0 * self._pause_s(row.tries + 1, None) if row.tries else None
                self._hold(row, outcome.code, outcome.reason, pause_s)
                raise _LinkDownError(outcome)

    def _hold(self, row: outbox.OutboxRow, code: str, reason: str, pause_s: float | None) -> None:
        with self._tolerated():
            outbox.mark_queued(
                self.store, row.packet_id, code=code, reason=reason, next_try_utc=self._after(pause_s)
            )

    # checks of instruments out

    def _report(self, done: _Round, stopping: Callable[[], bool]) -> None:
        for row, raw in instrument_checks.due(self.store, self._now(), outbox.LONGEST_PAUSE):
            if stopping():
                return
            if hashlib.sha256(raw).hexdigest() != row.sha256:
                reason = "The record of this check is damaged on the tablet."
                instrument_checks.mark_attention(self.store, row.ipv_id, code="damaged", reason=reason)
                continue
            begun = self.store.clock.monotonic_ns()
            outcome = self.endpoint.report(raw, sha256=row.sha256, ipv_id=row.ipv_id)
            # What cannot be written down stays queued: the server knows it when it comes again.
            with self._tolerated():
                self._settle_check(row, outcome, done, (self.store.clock.monotonic_ns() - begun) / 1e9)

    def _settle_check(
        self,
        row: instrument_checks.CheckRow,
        outcome: Reported | Retry | Attention,
        done: _Round,
        round_trip_s: float,
    ) -> None:
        match outcome:
            case Reported(receipt, replayed):
                self._reached()
                done.checks.append(row.ipv_id)
                instrument_checks.take_receipt(
                    self.store, receipt, round_trip_s=None if replayed else round_trip_s
                )
                self._watch_audit(receipt, done, replayed=replayed)
            case Attention(code, reason, "packet"):
                self._reached()
                instrument_checks.mark_attention(self.store, row.ipv_id, code=code, reason=reason)
            case Retry(code, reason, "packet", after_s):
                self._reached()
                self._hold_check(row, code, reason, self._pause_s(row.tries + 1, after_s))
            case _:
                # As with packets: what breaks the line again and again waits longer than the line.
                pause_s = 2.0 * self._pause_s(row.tries + 1, None) if row.tries else None
                with self._tolerated():
                    self._hold_check(row, outcome.code, outcome.reason, pause_s)
                raise _LinkDownError(outcome)

    def _hold_check(
        self, row: instrument_checks.CheckRow, code: str, reason: str, pause_s: float | None
    ) -> None:
        instrument_checks.mark_queued(
            self.store, row.ipv_id, code=code, reason=reason, next_try_utc=self._after(pause_s)
        )

    def _after(self, pause_s: float | None) -> str | None:
        return None if pause_s is None else to_text(self._now() + dt.timedelta(seconds=pause_s))

    def _watch_audit(
        self, receipt: messages.Receipt | messages.CheckReceipt, done: _Round, *, replayed: bool
    ) -> None:
        """A log that goes back behind what it had signed was restored from a backup: offer all again."""
        if replayed:
            return
        kept = self._kept("audit")
        if kept and receipt.audit_n <= int(kept[0]):
            done.offered += outbox.offer_lost(
                self.store,
                why=f"the server's log went back from entry {kept[0]} to entry {receipt.audit_n}",
                but=receipt.seq if isinstance(receipt, messages.Receipt) else None,
            )
        self._keep("audit", str(receipt.audit_n))

    # answers in

    def _fetch(self, done: _Round, *, wait_s: float) -> None:
        for _ in range(_PAGES):
            after = inbox.last_without_gap(self.store)
            outcome = self.endpoint.inbox(after, wait_s=wait_s, interrupted=self._woken.is_set)
            if isinstance(outcome, Retry) and outcome.code == "interrupted":
                return
            if not isinstance(outcome, Inbox):
                if outcome.scope == "packet":
                    done.refused.append(outcome.reason)
                    return
                raise _LinkDownError(outcome)
            self._reached()
            for envelope in outcome.envelopes:
                self._take(envelope, done)
            if inbox.last_without_gap(self.store) == after:
                return
            wait_s = 0.0

    def _take(self, envelope: bytes, done: _Round) -> None:
        try:
            taken = inbox.take_message(self.store, envelope, self._trust)
        except StoreError:
            raise
        except RecordError as error:
            done.refused.append(str(error))
            return
        if taken.new and isinstance(taken.message, messages.Answer):
            done.answers.append(taken.message.answer_id)
        done.offered += taken.offered

    # acknowledgements out

    def _acknowledge(self, done: _Round) -> None:
        now_ns = self.store.clock.monotonic_ns()
        for n, answer_id, envelope in inbox.to_acknowledge(self.store):
            tries, not_before_ns = self._slow_acknowledgements.get(n, (0, now_ns))
            if not_before_ns > now_ns:
                continue
            outcome = self.endpoint.acknowledge(answer_id, envelope)
            match outcome:
                case Done():
                    inbox.mark_told(self.store, n)
                    done.acknowledged.append(answer_id)
                case Attention(code, reason, "packet"):
                    inbox.mark_told(self.store, n, refused=code)
                    done.refused.append(reason)
                case Retry(_, _, "packet", after_s):
                    pause_ns = int(self._pause_s(tries + 1, after_s) * 1e9)
                    self._slow_acknowledgements[n] = (tries + 1, now_ns + pause_ns)
                case _:
                    raise _LinkDownError(outcome)
            self._reached()

    # --- the line, and when it is tried ------------------------------------------------------------------

    def _reached(self) -> None:
        """The server was there."""
        self.online = True
        self.last_contact_utc = to_text(self.store.time.now())

    def _note_link(self, done: _Round) -> None:
        """Keep when the line is tried next, and what a person has to do about it."""
        failure = done.failure
        if failure is None:
            if self.online:
                self._note_line_works()
            return
        if failure.code == "interrupted":
            return
        self.online, self.failure = False, (failure.code, failure.reason)
        if self.last_contact_utc:
            self._keep("last_contact", self.last_contact_utc)
        kept = self._kept("link")
        failures = 1 + (int(kept[0]) if kept else 0)
        asked_s = failure.after_s if isinstance(failure, Retry) else None
        next_try = self._now() + dt.timedelta(seconds=self._pause_s(failures, asked_s))
        self._keep("link", str(failures), to_text(next_try), "asked" if asked_s else "")
        if isinstance(failure, Attention):
            self.attention = self.failure
            self._keep("attention", *self.failure)

    def _note_line_works(self) -> None:
        """All of a round went through: a server that answers some requests only keeps its pauses growing."""
        self.failure = self.attention = None
        if self._kept("link") or self._kept("attention"):
            with self._tolerated(), self.store.transaction() as tx:
                tx.execute("DELETE FROM sync_state WHERE key IN ('link', 'attention')")

    def _pause_s(self, failures: int, asked_s: float | None) -> float:
        """How long to pause: as the server asked, and spread a little so that not all come back at once."""
        pause_s = self._backoff.pause_s(failures, self._jitter())
        return pause_s if asked_s is None else asked_s + min(pause_s, 0.2 * asked_s)

    def _link_pause_s(self) -> float:
        """Seconds for which the line is left alone."""
        kept = self._kept("link")
        if not kept:
            return 0.0
        pause_s = outbox.pause_until(self._now(), kept[1])
        if self._eager and not kept[2]:
            # Something new shortens a pause of our own, not one the server asked for, and not too often.
            since_s = (self.store.clock.monotonic_ns() - (self._last_try_ns or 0)) / 1e9
            return min(pause_s, max(0.0, _EAGER_PAUSE_S - since_s))
        return pause_s

    @contextmanager
    def _tolerated(self) -> Iterator[None]:
        """What cannot be recorded is done all the same, and said in the log."""
        try:
            yield
        except StoreError as error:
            self._store_failed = True
            _log.warning("The state of the exchange could not be recorded: %s", error)

    def _kept(self, name: str) -> list[str] | None:
        found = self.store.read("SELECT value FROM sync_state WHERE key = ?", (name,))
        return json.loads(found[0][0]) if found else None

    def _keep(self, name: str, *values: str) -> None:
        with self._tolerated(), self.store.transaction() as tx:
            tx.execute(
                "INSERT OR REPLACE INTO sync_state (key, value) VALUES (?, ?)", (name, json.dumps(values))
            )


class _LinkDownError(Exception):
    """The line does not work: the round ends."""

    def __init__(self, outcome: Retry | Attention) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome
