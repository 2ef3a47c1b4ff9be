"""The server's real queue, leases and decisions, worked by simulated chemists; events set the clock.

A chemist takes whatever the server's queue hands out, for as long as a case of that size takes, keeps the
lease, sends an interim answer when the hour would not be enough, decides, reviews what another decided, and
now and then falls asleep over a case until the lease has run out. Times of work are drawn here, from the
description in docs/capacity-plan.md; the plan's code has no part in it.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final

import sqlalchemy as sa

from benchmarks.reachback._field import FENTANYL, HARMLESS, Tablet
from benchmarks.reachback._year_arrivals import Seizure, moment
from spectralid.casework import messages
from spectralid.casework.clock import from_text, to_text
from spectralid.reachback.bench import decisions
from spectralid.reachback.bench.decisions import Decision, Outcome
from spectralid.reachback.caseload import cases, leases, queue
from spectralid.reachback.caseload.cases import State
from spectralid.reachback.caseload.leases import Lease
from spectralid.reachback.errors import StaleLeaseError
from spectralid.reachback.store.database import Database
from spectralid.reachback.store.serverkeys import ServerKeys
from spectralid.reachback.store.tables import cases as case_table
from spectralid.reachback.tablets import answers, ingest

Spell = tuple[float, int, float]

_RENEW_MIN: Final = 10.0
_LINES: Final = 8
"""Packets of a seizure handed over at the same time; a tablet alone hands over one after the other."""
_SHOWN_MIN: Final = 1.0
_PATIENCE_MIN: Final = 7 * 24 * 60.0
_SHIFT_MIN: Final = 480.0
_SHIFTS: Final = ("night", "early", "late")


@dataclass(frozen=True, slots=True)
class Habits:
    """How chemists work.

    Attributes
    ----------
    first_min, further_min, cv, review_min : float
        Of a case: minutes for the first scan, for each further one, the coefficient of variation, and for a
        second review.
    interim_min, before_min : float
        What an interim answer takes, and how long before the end of the hour it is sent.
    review_left_min : float
        With less of the hour left, an interim answer is sent before a case goes to a second person.
    differs : float
        Share of harmless cases in which the chemist finds other substances than the tablet.
    disagrees : float
        Share of second reviews that send the case back.
    sleeps : float
        Share of cases over which the chemist falls asleep until the lease is over.
    """

    first_min: float = 11.0
    further_min: float = 0.5
    cv: float = 0.5
    review_min: float = 5.0
    interim_min: float = 2.0
    before_min: float = 10.0
    review_left_min: float = 30.0
    differs: float = 0.08
    disagrees: float = 0.01
    sleeps: float = 0.002


@dataclass(slots=True)
class _Person:
    """Somebody on duty."""

    name: str
    seat: int
    until: float
    work: _Work | None = None


@dataclass(slots=True)
class _Work:
    """A case in somebody's hands."""

    lease: Lease
    case: dict[str, Any]
    ends: float


@dataclass(slots=True)
class Tally:
    """What happened.

    Attributes
    ----------
    events, packets, sent_bytes : int
        Events played; packets taken in, and their bytes.
    ingest_s : float
        Seconds spent in taking packets in.
    idle_checks : int
        How often somebody was idle, and it was seen that nothing waited that they may take.
    counts : dict
        Of what chemists did.
    """

    events: int = 0
    packets: int = 0
    sent_bytes: int = 0
    ingest_s: float = 0.0
    idle_checks: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def did(self, what: str) -> None:
        """Count one."""
        self.counts[what] = self.counts.get(what, 0) + 1


class Year:
    """The simulation.

    Parameters
    ----------
    db, keys
        The server's.
    coming : iterable of (Seizure, list of bytes)
        What comes, with its packets.
    tablets : list of Tablet
        Who sends.
    spells : iterator of Spell
        From which minute which seat is taken until when, by starting time, without end.
    habits : Habits
        How chemists work.
    seed : int
        Of what they draw.
    """

    def __init__(
        self,
        db: Database,
        keys: ServerKeys,
        coming: Iterable[tuple[Seizure, list[bytes]]],
        tablets: list[Tablet],
        spells: Iterator[Spell],
        habits: Habits,
        seed: int,
    ) -> None:
        self.db = db
        self.keys = keys
        self.tablets = {tablet.device_id: tablet for tablet in tablets}
        self.habits = habits
        self.tally = Tally()
        self.seizures: dict[str, Seizure] = {}
        self._lines = ThreadPoolExecutor(_LINES)
        self._coming = iter(coming)
        self._spells = spells
        self._rng = random.Random(seed)
        self._heap: list[tuple[float, int, Any]] = []
        self._order = count()
        self._on_duty: dict[int, _Person] = {}
        self._busy: set[int] = set()
        self._shown: dict[str, int] = {}
        self._open: set[str] = set()
        self._more = True
        self._last = 0.0
        self.minute = 0.0

    @property
    def now(self) -> Any:
        """The server's clock."""
        return moment(self.minute)

    def run(self) -> None:
        """Play everything, until the last case has its answer and the last answer has been shown."""
        with self._lines:
            self._play()

    def _play(self) -> None:
        self._next_seizure()
        self._next_spell()
        self._shift_changes()
        while self._more or self._open:
            self.minute, _, act = heappop(self._heap)
            assert self._more or self.minute < self._last + _PATIENCE_MIN, (
                f"{len(self._open)} cases never end"
            )
            act()
            self.tally.events += 1
            self._dispatch()
        for minute, _, act in sorted(self._heap, key=lambda event: event[:2]):
            if isinstance(act, _Show):
                self.minute = minute
                act()

    def _at(self, minute: float, act: Any) -> None:
        heappush(self._heap, (minute, next(self._order), act))

    # what comes

    def _next_seizure(self) -> None:
        found = next(self._coming, None)
        if found is None:
            self._more = False
            return
        self._at(found[0].minute, lambda: self._arrives(*found))

    def _arrives(self, seizure: Seizure, packets: list[bytes]) -> None:
        now, self._last = self.now, self.minute
        device_id = f"tablet-{seizure.tablet:03d}"
        begun = time.perf_counter()

        def hand_over(raw: bytes) -> ingest.Ingested:
            return ingest.ingest(
                self.db, raw, device=device_id, idempotency_key=hashlib.sha256(raw).hexdigest(),
                now=lambda: now, keys=self.keys,
            )  # fmt: skip

        for done in self._lines.map(hand_over, packets):
            assert done.status == 201
        self.tally.ingest_s += time.perf_counter() - begun
        self.tally.packets += len(packets)
        self.tally.sent_bytes += sum(map(len, packets))
        self.seizures[done.case] = seizure
        self._open.add(done.case)
        self._next_seizure()

    # who is there

    def _next_spell(self) -> None:
        start, seat, end = next(self._spells)
        self._at(start, lambda: self._sits_down(seat, end))

    def _sits_down(self, seat: int, end: float) -> None:
        if seat not in self._busy:
            self._on_duty[seat] = _Person("", seat, end)
        else:
            # Whoever sits there finishes the work in hand first.
            self._on_duty[seat].until = end
        self._next_spell()

    def _shift_changes(self) -> None:
        """Nothing by itself: whoever comes may take what the one who goes may not review."""
        self._at(self.minute + _SHIFT_MIN, self._shift_changes)

    def _idle(self) -> list[_Person]:
        idle = [
            one
            for seat, one in sorted(self._on_duty.items())
            if seat not in self._busy and one.until > self.minute
        ]
        for one in idle:
            # At the end of a shift somebody else sits down.
            one.name = f"chemist-{one.seat}-{_SHIFTS[int(self.minute // _SHIFT_MIN) % 3]}"
        return idle

    def _alone(self, person: _Person) -> bool:
        return not any(one.until > self.minute for one in self._on_duty.values() if one.seat != person.seat)

    # the queue

    def _dispatch(self) -> None:
        """Whoever is idle takes what comes first; no case may be without an owner while somebody is idle."""
        while idle := self._idle():
            waiting = self._waiting()
            able = next((one for one in idle if any(_may(one.name, case) for case in waiting)), None)
            if able is None:
                self.tally.idle_checks += 1
                return
            lease = queue.next(self.db, able.name, now=self.now, senior=True)
            assert lease is not None, f"{able.name} is idle at {self.now} and gets none of {waiting}"
            self._takes(able, lease)

    def _waiting(self) -> list[tuple[str, str | None]]:
        """State and first chemist of every case that nobody works on and that is to be worked on."""
        columns = case_table.c
        states = (State.QUEUED, State.REOPENED, State.SECOND_REVIEW, State.LEASED, State.INTERIM)
        free = sa.or_(columns.holder.is_(None), columns.until_utc <= to_text(self.now))
        with self.db.read() as tx:
            rows = tx.execute(
                sa.select(columns.state, columns.adjudicator).where(columns.state.in_(states), free)
            )
            return [(row.state, row.adjudicator) for row in rows]

    # a case in hand

    def _takes(self, person: _Person, lease: Lease) -> None:
        habits, rng = self.habits, self._rng
        with self.db.read() as tx:
            case = cases.get(tx, lease.case_id)
        review = lease.purpose == "review"
        usual = habits.review_min if review else habits.first_min + habits.further_min * (case["scans"] - 1)
        needs = usual * rng.gammavariate(habits.cv**-2, habits.cv**2) if habits.cv else usual
        work = person.work = _Work(lease, case, self.minute + needs)
        self._busy.add(person.seat)
        self.tally.did("reviews begun" if review else "cases taken")
        if not review and rng.random() < habits.sleeps:
            self._at(self.minute + 15.01, lambda: None)  # somebody else may have it
            self._at(self.minute + 25.0, lambda: self._wakes_up(person, work))
            return
        due = (from_text(case["due_utc"]) - self.now).total_seconds() / 60
        expected = usual + (habits.review_min if case["high_hazard"] and not review else 0.0)
        if not case["stopped"] and not review and expected > due:
            work.ends = self.minute + habits.interim_min
            self._at(work.ends, lambda: self._puts_off(person, work))
            return
        if not case["stopped"] and not review and needs > due - habits.before_min:
            self._at(self.minute + max(0.0, due - habits.before_min), lambda: self._warns(person, work))
            work.ends += habits.interim_min
        self._at(work.ends, lambda: self._decides(person, work))
        self._renews(person, work)

    def _renews(self, person: _Person, work: _Work) -> None:
        if work.ends > self.minute + _RENEW_MIN:
            self._at(self.minute + _RENEW_MIN, lambda: self._renew(person, work))

    def _renew(self, person: _Person, work: _Work) -> None:
        lease = work.lease
        leases.renew(self.db, lease.case_id, lease.token, lease.chemist, now=self.now)
        self._renews(person, work)

    def _interim(self, work: _Work) -> None:
        lease = work.lease
        done = decisions.interim(
            self.db, self.keys, lease.case_id, lease.token, lease.chemist, now=self.now
        )  # fmt: skip
        self.tally.did("interim answers")
        self._answered(work, done)

    def _warns(self, person: _Person, work: _Work) -> None:
        if person.work is work:
            self._at(self.minute + self.habits.interim_min, lambda: self._interim(work))

    def _puts_off(self, person: _Person, work: _Work) -> None:
        self._interim(work)
        lease = work.lease
        leases.release(self.db, lease.case_id, lease.token, lease.chemist, now=self.now)
        self._free(person)

    def _decides(self, person: _Person, work: _Work) -> None:
        lease = work.lease
        if lease.purpose == "review":
            agrees = self._rng.random() >= self.habits.disagrees
            done = decisions.review(
                self.db, self.keys, lease.case_id, lease.token, lease.chemist,
                agrees=agrees, note="Bands and fit looked at.", now=self.now,
            )  # fmt: skip
            self.tally.did("second reviews" if agrees else "sent back")
            self._answered(work, done)
            self._free(person)
            return
        seizure = self.seizures[lease.case_id]
        decision = self._says(seizure)
        if _to_review(seizure, decision) and self._review_may_be_late(person, lease.case_id):
            self._interim(work)
            self._at(self.minute + self.habits.interim_min, lambda: self._adjudicates(person, work, decision))
        else:
            self._adjudicates(person, work, decision)

    def _adjudicates(self, person: _Person, work: _Work, decision: Decision) -> None:
        lease = work.lease
        done = decisions.adjudicate(
            self.db, self.keys, lease.case_id, lease.token, lease.chemist, decision,
            now=self.now, seen=work.case["evidence"],
        )  # fmt: skip
        self.tally.did("decisions")
        self._answered(work, done)
        self._free(person)

    def _review_may_be_late(self, person: _Person, case_id: str) -> bool:
        """Whether the hour still runs, and nobody else is there or not much of it is left."""
        with self.db.read() as tx:
            case = cases.get(tx, case_id)
        left = (from_text(case["due_utc"]) - self.now).total_seconds() / 60
        return not case["stopped"] and (self._alone(person) or left < self.habits.review_left_min)

    def _says(self, seizure: Seizure) -> Decision:
        found = FENTANYL if seizure.danger else HARMLESS
        if seizure.unknown or (not seizure.danger and self._rng.random() < self.habits.differs):
            found = ["caffeine", "procaine"]
        return Decision(
            "mixture", "Mixture", "Presumptive.", "Bands and fit.", tuple(found), high_hazard=seizure.danger
        )

    def _wakes_up(self, person: _Person, work: _Work) -> None:
        """The lease is over, and what he decides is refused and kept."""
        lease = work.lease
        try:
            decisions.adjudicate(
                self.db, self.keys, lease.case_id, lease.token, lease.chemist,
                self._says(self.seizures[lease.case_id]), now=self.now,
            )  # fmt: skip
        except StaleLeaseError as error:
            self.tally.did("stale decisions refused" if error.draft is not None else "drafts lost")
        else:
            raise AssertionError("a lease that had run out was taken for one in force")
        self._free(person)

    def _free(self, person: _Person) -> None:
        self._busy.discard(person.seat)
        person.work = None

    # back to the tablet

    def _answered(self, work: _Work, done: Outcome) -> None:
        if done.state == State.ANSWERED:
            self._open.discard(work.lease.case_id)
        if done.answer_id is not None:
            device_id = work.case["device_id"]
            self._at(self.minute + _SHOWN_MIN, _Show(self, device_id))

    def show(self, device_id: str) -> None:
        """The tablet asks, shows what is new, and says so."""
        tablet, before = self.tablets[device_id], self._shown.get(device_id, 0)
        for raw in answers.after(self.db, self.keys, device_id, before, now=self.now):
            answer = messages.parse_answer(raw, messages.Trust(device_id, self.keys.trusted))
            before += 1
            assert answer.n == before, "answers come in order, without gaps"
            word = messages.shown(
                answer, device_id=device_id, sha256=hashlib.sha256(raw).hexdigest(),
                shown_utc=to_text(self.now), clock_state="synced", key=tablet.key,
            )  # fmt: skip
            answers.take_shown(self.db, device_id, answer.answer_id, word, now=self.now)
            self.tally.did("answers shown")
        self._shown[device_id] = before


@dataclass(frozen=True, slots=True)
class _Show:
    """A tablet looks into its inbox."""

    year: Year
    device_id: str

    def __call__(self) -> None:
        self.year.show(self.device_id)


def _to_review(seizure: Seizure, decision: Decision) -> bool:
    return decision.high_hazard or not (seizure.unknown or list(decision.substances) == HARMLESS)


def _may(name: str, case: tuple[str, str | None]) -> bool:
    state, adjudicator = case
    return state != State.SECOND_REVIEW or adjudicator != name
