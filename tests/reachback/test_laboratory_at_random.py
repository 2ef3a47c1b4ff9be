"""Laboratory events in random orders, among scans, answers and corrections: what must hold after each."""

import itertools

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from spectralid.casework import messages
from spectralid.reachback.caseload.cases import State
from spectralid.reachback.errors import ConflictError
from spectralid.reachback.lab import laboratory
from spectralid.reachback.lab.reports import LabConflictError, Report, Substance
from spectralid.reachback.store import audit
from spectralid.reachback.tablets import answers
from tests.reachback.conftest import fresh
from tests.reachback.desk import Desk, says

SEIZURES = ("S-1", "S-2")
SAMPLES = ("F-1", "F-2", "F-3")
READY = {
    State.ANSWERED, State.DELIVERED, State.FORWARD_LAB, State.REGIONAL_LAB, State.LAB_CONFIRMED,
    State.LAB_INCONCLUSIVE,
}  # fmt: skip
results = st.sampled_from(["confirmed", "refuted", "inconclusive"])
numbers = itertools.count(1)


class Story(RuleBasedStateMachine):
    """Two seizures of two tablets, linked by one spectrum, and the laboratories that look at them."""

    taken = Bundle("taken")
    folder = None

    def __init__(self):
        super().__init__()
        self.desk = Desk(type(self).make_db())
        # The same numbers in both: linked.
        self.cases = [
            self.desk.scan("S-1", self.desk.tablet, values=(1.0, 4.0, 2.0)),
            self.desk.scan("S-2", self.desk.other, values=(1.0, 4.0, 2.0)),
        ]
        self.tablets = {self.cases[0]: self.desk.tablet, self.cases[1]: self.desk.other}
        self.reports = {}

    def teardown(self):
        assert audit.verify(self.desk.db, trusted=self.desk.keys.trusted) == ()
        self.desk.db.close()

    def inbox(self, case_id):
        device = self.tablets[case_id].device_id
        found = answers.after(self.desk.db, self.desk.keys, device, 0, now=self.desk.time)
        return [messages.kept(raw, messages.Answer) for raw in found]

    # the desk

    @rule(which=st.integers(0, 1))
    def scan_again(self, which):
        case_id = self.cases[which]
        self.desk.scan(f"S-{which + 1}", self.tablets[case_id])

    @rule(which=st.integers(0, 1), words=st.sampled_from(["one", "two"]))
    def answer(self, which, words):
        case_id = self.cases[which]
        try:
            lease = self.desk.lease(case_id)
            outcome = self.desk.decide(lease, says(words=words))
            if outcome.state == "SECOND_REVIEW":
                outcome = self.desk.review(self.desk.lease(case_id, "bea", senior=True))
        except ConflictError:
            assert self.desk.case(case_id)["state"] in (*READY, State.LEASED)
            return
        assert outcome.state == self.desk.case(case_id)["state"]

    @rule(which=st.integers(0, 1))
    def take_and_keep(self, which):
        """A chemist has the case when the laboratory's word comes."""
        if self.desk.case(self.cases[which])["state"] in ("QUEUED", "REOPENED"):
            self.desk.lease(self.cases[which], "cai")

    @rule(hours=st.integers(1, 3))
    def time_passes(self, hours):
        self.desk.passes(hours=hours)
        self.desk.next("nobody in particular", sites={"nowhere"})

    @rule(which=st.integers(0, 1))
    def officer_looks(self, which):
        tablet = self.tablets[self.cases[which]]
        for raw in answers.after(self.desk.db, self.desk.keys, tablet.device_id, 0, now=self.desk.time):
            answer = messages.kept(raw, messages.Answer)
            answers.take_shown(
                self.desk.db, tablet.device_id, answer.answer_id, tablet.shown(raw), now=self.desk.time
            )

    # laboratories

    @rule(
        which=st.integers(0, 1),
        sample=st.sampled_from(SAMPLES),
        stage=st.sampled_from(["forward", "regional"]),
    )
    def send(self, which, sample, stage):
        said = {"laboratory": stage, "sample_ref": sample, "stage": stage, "by": "x", "now": self.desk.time}
        try:
            laboratory.send(self.desk.db, self.desk.keys, self.cases[which], **said)
        except LabConflictError:
            return
        state = self.desk.case(self.cases[which])["state"]
        assert state in (*READY, State.REOPENED, State.QUEUED, State.LEASED, State.INTERIM)

    @rule(
        target=taken, which=st.integers(0, 2), sample=st.sampled_from(SAMPLES), result=results,
        stage=st.sampled_from(["forward", "regional"]), number=st.sampled_from(["", "1", "2"]),
        corrects=st.booleans(), slug=st.sampled_from(["", "lactose", "carfentanil"]),
    )  # fmt: skip
    def report(self, which, sample, result, stage, number, corrects, slug):
        report = Report(
            laboratory=stage, sample_ref=sample, stage=stage, result=result, report_ref=number,
            methods=("MS",), corrects=number if corrects else "",
            substances=(Substance(slug),) if slug else (), case_id=self.cases[which] if which < 2 else "",
        )  # fmt: skip
        self.take(report)
        return report

    @rule(report=taken)
    def report_again(self, report):
        self.take(report)

    def take(self, report):
        before = {case_id: self.inbox(case_id) for case_id in self.cases}
        states = {case_id: self.desk.case(case_id)["state"] for case_id in self.cases}
        try:
            done = laboratory.take(
                self.desk.db, self.desk.keys, report, by="lab", source="api", now=self.desk.time
            )
        except LabConflictError:
            assert report.report_ref
            assert states == {case_id: self.desk.case(case_id)["state"] for case_id in self.cases}
            return
        after = {case_id: self.inbox(case_id) for case_id in self.cases}
        known = self.reports.get(report)
        assert (done.status == 200) == (known is not None)
        if known is not None:
            assert done.n == known
            assert after == before
            return
        self.reports[report] = done.n
        grown = {case_id: len(after[case_id]) - len(before[case_id]) for case_id in self.cases}
        if done.what in ("noted", "unmatched"):
            assert set(grown.values()) == {0}
            return
        case_id = done.case_id
        other = next(one for one in self.cases if one != case_id)
        # An officer hears of every result at once.
        assert grown[case_id] == 1
        newest = after[case_id][-1]
        assert newest.answer_id == done.answer_id
        if states[case_id] in READY:
            assert done.what == "applied"
            assert newest.lab == report.result
            assert done.state == (
                "REOPENED" if report.result == "refuted" else f"LAB_{report.result.upper()}"
            )
            if report.result == "refuted":
                assert grown[other] == 1
                assert after[other][-1].kind == "notice"
        else:
            assert (done.what, newest.lab, done.state) == ("waiting", None, states[case_id])

    @rule(which=st.integers(0, 1), place=st.booleans())
    def somebody_tidies_up(self, which, place):
        for one in laboratory.listed(self.desk.db, what="unmatched"):
            if place:
                laboratory.resolve(
                    self.desk.db, self.desk.keys, one.n, self.cases[which], by="x", now=self.desk.time
                )
            else:
                laboratory.dismiss(self.desk.db, one.n, why="not ours", by="x", now=self.desk.time)

    # what must hold

    @invariant()
    def nothing_is_lost(self):
        found = {one.n: one for one in laboratory.listed(self.desk.db, limit=1000)}
        assert set(found) == set(self.reports.values())

    @invariant()
    def case_results_and_answers_agree(self):
        for case_id in self.cases:
            state = self.desk.case(case_id)["state"]
            told = [one for one in self.inbox(case_id) if one.case == case_id]
            gone = {one.supersedes for one in told}
            in_force = [one for one in told if one.kind != "notice" and one.answer_id not in gone]
            assert len(in_force) <= 1
            if state in ("LAB_CONFIRMED", "LAB_INCONCLUSIVE"):
                assert f"LAB_{in_force[0].lab.upper()}" == state
            if in_force and in_force[0].lab == "confirmed":
                # Said only of a case that is; scans that came in since open it again.
                assert state not in ("ANSWERED", "DELIVERED", "LAB_REFUTED", "LAB_INCONCLUSIVE")
            found = laboratory.of_case(self.desk.db, case_id)
            said = {one.answer_id: one.lab for one in told if one.lab}
            applied = {one.answer_id: one.result for one in found if one.what == "applied"}
            assert said == applied
            if state in ("FORWARD_LAB", "REGIONAL_LAB"):
                # Somebody has a sample whose result has not come.
                came = {(one.laboratory, one.sample_ref) for one in found}
                sent = laboratory.samples_of(self.desk.db, case_id)
                assert any((one.laboratory, one.sample_ref) not in came for one in sent)
            if state in READY:
                assert all(one.what != "waiting" for one in found)
            assert all(one.answer_id for one in found if one.what in ("applied", "waiting"))


@pytest.mark.parametrize(("kind", "examples"), [("sqlite", 12), ("postgresql", 4)])
def test_laboratory_stories(kind, examples, tmp_path, request):
    Story.make_db = staticmethod(lambda: fresh(kind, tmp_path / str(next(numbers)), request))
    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=examples, stateful_step_count=20, deadline=None, database=None,
            suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate),
        ),
    )  # fmt: skip
