"""Stories at random: tablets, several chemists, a clock, and what must hold after each step."""

from __future__ import annotations

import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from spectralid.casework import messages
from spectralid.casework.clock import to_text
from spectralid.reachback.caseload import leases, queue
from spectralid.reachback.errors import ConflictError, SeparationError, StaleLeaseError
from spectralid.reachback.store import audit, tables
from spectralid.reachback.tablets import answers
from tests.reachback.desk import Desk, says

CHEMISTS = ("ada", "bea", "cai")
SEIZURES = ("S-1", "S-2")


class Story(RuleBasedStateMachine):
    """What happens at a server; `make_db` is set by the tests below."""

    packets = Bundle("packets")
    held = Bundle("held")

    make_db = None

    def __init__(self):
        super().__init__()
        self.desk = Desk(type(self).make_db())
        self.tablets = (self.desk.tablet, self.desk.other)
        self.delivered = {}
        self.decided = {}
        self.shown = set()

    def teardown(self):
        assert audit.verify(self.desk.db, trusted=self.desk.keys.trusted) == ()
        self.desk.db.close()

    # tablets

    @rule(
        target=packets, tablet=st.integers(0, 1), seizure=st.sampled_from(SEIZURES),
        alarm=st.sampled_from(("notice", "danger")), count=st.integers(1, 3),
    )  # fmt: skip
    def record(self, tablet, seizure, alarm, count):
        return multiple(*(self.tablets[tablet].scan(seizure, alarm=alarm) for _ in range(count)))

    @rule(raw=packets)
    def deliver(self, raw):
        done = self.desk.ingest(raw)
        before = self.delivered.setdefault(raw, done)
        assert (done.receipt, done.case) == (before.receipt, before.case)
        assert done.status == (201 if done is before else 200)

    @rule(tablet=st.integers(0, 1))
    def look_into_the_inbox(self, tablet):
        device = self.tablets[tablet]
        found = answers.after(self.desk.db, self.desk.keys, device.device_id, 0, now=self.desk.time)
        assert [messages.kept(raw, messages.Answer).n for raw in found] == list(range(1, len(found) + 1))
        for raw in found:
            answer = messages.kept(raw, messages.Answer)
            answers.take_shown(
                self.desk.db, device.device_id, answer.answer_id, device.shown(raw), now=self.desk.time
            )
            self.shown.add(answer.answer_id)

    # chemists

    @rule(target=held, chemist=st.sampled_from(CHEMISTS), senior=st.booleans())
    def take_next(self, chemist, senior):
        waiting = [
            entry for entry in queue.listed(self.desk.db, now=self.desk.time)
            if entry.holder is None and self.may(chemist, entry, senior)
        ]  # fmt: skip
        lease = self.desk.next(chemist, senior=senior)
        if not waiting:
            assert lease is None
            return multiple()
        # Nothing that nobody works on is withheld, and the first comes first.
        assert lease is not None
        assert lease.case_id == waiting[0].case_id
        return lease

    def may(self, chemist, entry, senior):
        if entry.state != "SECOND_REVIEW":
            return True
        return senior and self.desk.case(entry.case_id)["adjudicator"] != chemist

    @rule(lease=held, high=st.booleans(), words=st.sampled_from(("one", "two")))
    def decide(self, lease, high, words):
        self.write(lease, "decision", lambda: self.desk.decide(lease, says(high_hazard=high, words=words)))

    @rule(lease=held)
    def tell_meanwhile(self, lease):
        self.write(lease, "interim", lambda: self.desk.interim(lease))

    @rule(lease=held, agrees=st.booleans())
    def look_at_anothers(self, lease, agrees):
        self.write(lease, "review", lambda: self.desk.review(lease, agrees=agrees))

    def write(self, lease, kind, do):
        live = self.desk.case(lease.case_id)
        in_force = (live["token"], live["holder"]) == (lease.token, lease.chemist) and (
            live["until_utc"] > to_text(self.desk.time)
        )
        key = (lease.case_id, lease.token, kind)
        drafts = len(leases.drafts_of(self.desk.db, lease.case_id, lease.chemist))
        try:
            outcome = do()
        except StaleLeaseError:
            assert not in_force
            # Kept, unless it is there already.
            assert leases.drafts_of(self.desk.db, lease.case_id, lease.chemist)
            assert len(leases.drafts_of(self.desk.db, lease.case_id, lease.chemist)) - drafts in (0, 1)
        except (ConflictError, SeparationError):
            assert self.desk.case(lease.case_id) == live
        else:
            # Either the lease was in force, or exactly this was taken under it before.
            assert in_force or self.decided[key] == outcome
            self.decided.setdefault(key, outcome)

    @rule(lease=consumes(held))
    def give_back(self, lease):
        try:
            leases.release(self.desk.db, lease.case_id, lease.token, lease.chemist, now=self.desk.time)
        except StaleLeaseError:
            return
        assert self.desk.case(lease.case_id)["holder"] is None

    @rule(minutes=st.sampled_from((1, 5, 15, 61)))
    def time_passes(self, minutes):
        self.desk.passes(minutes=minutes)

    # what must hold

    @invariant()
    def nothing_is_lost_or_doubled(self):
        with self.desk.db.read() as tx:
            cases = {row.case_id: row for row in tx.execute(sa.select(tables.cases))}
            scans = tx.execute(
                sa.select(tables.scans.c.device_id, tables.scans.c.seq, tables.scans.c.case_id)
            )
            scans = scans.all()
            decisions = tx.execute(
                sa.select(tables.adjudications.c.case_id, tables.adjudications.c.token)
                .where(tables.adjudications.c.kind.in_(("decision", "review")))
            ).all()  # fmt: skip
            finals = tx.execute(
                sa.select(tables.answers.c.case_id, sa.func.count())
                .where(tables.answers.c.superseded_by.is_(None), tables.answers.c.kind != "notice")
                .group_by(tables.answers.c.case_id)
            ).all()
            held = tx.execute(
                sa.select(tables.leases.c.case_id, sa.func.count())
                .where(tables.leases.c.ended_utc.is_(None))
                .group_by(tables.leases.c.case_id)
            ).all()
        assert len(scans) == len(self.delivered)
        assert {case_id for _, _, case_id in scans} == set(cases)
        assert len({(row.device_id, row.seizure_ref) for row in cases.values()}) == len(cases)
        assert sum(row.scans for row in cases.values()) == len(scans)
        assert len(set(decisions)) == len(decisions)
        assert all(count == 1 for _, count in finals)
        assert all(count == 1 for _, count in held)
        assert {case_id for case_id, _ in held} == {
            case_id for case_id, row in cases.items() if row.holder is not None
        }

    @invariant()
    def what_waits_is_in_the_queue(self):
        listed = {entry.case_id for entry in queue.listed(self.desk.db, now=self.desk.time)}
        with self.desk.db.read() as tx:
            states = dict(tx.execute(sa.select(tables.cases.c.case_id, tables.cases.c.state)).all())
        over = {case_id for case_id, state in states.items() if state in ("ANSWERED", "DELIVERED")}
        assert listed == set(states) - over


def test_stories_at_random(kind, tmp_path_factory, request):
    from hypothesis.stateful import run_state_machine_as_test

    from tests.reachback.conftest import fresh

    class OfThisKind(Story):
        @staticmethod
        def make_db():
            return fresh(kind, tmp_path_factory.mktemp("story"), request)

    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        OfThisKind,
        settings=settings(
            max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=checks
        ),
    )
