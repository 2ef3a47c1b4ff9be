"""Laboratory results: what is kept, what follows, and what officers are told."""

import json

import pytest
import sqlalchemy as sa

from spectralid.casework import messages
from spectralid.casework.clock import to_text
from spectralid.reachback.caseload import cases
from spectralid.reachback.errors import ConflictError, NotFoundError
from spectralid.reachback.lab import laboratory
from spectralid.reachback.lab import tables as lab_tables
from spectralid.reachback.lab.reports import LabConflictError, LabReportError, Report, Substance
from spectralid.reachback.store import audit, tables
from spectralid.reachback.tablets import answers
from tests.reachback.desk import says

GCMS = ("GC-MS",)


@pytest.fixture
def lab(desk):
    return Lab(desk)


class Lab:
    """A laboratory that reports to a desk."""

    def __init__(self, desk):
        self.desk = desk

    def reports(self, case_id="", result="confirmed", sample="F-1", **more):
        said = {"laboratory": "Forward 1", "stage": "forward", "methods": GCMS, **more}
        report = Report(case_id=case_id, result=result, sample_ref=sample, **said)
        return laboratory.take(
            self.desk.db, self.desk.keys, report, by="lab-ann", source="api", now=self.desk.time
        )

    def sends(self, case_id, sample="F-1", **more):
        said = {"laboratory": "Forward 1", **more}
        return laboratory.send(
            self.desk.db, self.desk.keys, case_id, sample_ref=sample, by="officer", now=self.desk.time, **said
        )

    def inbox(self, tablet):
        found = answers.after(self.desk.db, self.desk.keys, tablet.device_id, 0, now=self.desk.time)
        return [messages.kept(raw, messages.Answer) for raw in found]

    def last(self, tablet=None):
        return self.inbox(tablet or self.desk.tablet)[-1]

    def of_case(self, case_id):
        return laboratory.of_case(self.desk.db, case_id)


def rows(desk, table):
    with desk.db.read() as tx:
        return [dict(row) for row in tx.execute(sa.select(table)).mappings()]


def test_a_confirmed_result_is_said_to_be_one_only_when_the_case_is(desk, lab):
    case_id = desk.answered()
    final = lab.last()
    assert final.kind == "final"
    assert final.lab is None
    lab.sends(case_id)
    assert desk.case(case_id)["state"] == "FORWARD_LAB"
    assert lab.last() == final
    found = (Substance("lactose", share=0.97, uncertainty=0.01),)
    taken = lab.reports(case_id, substances=found, report_ref="R-1", analyst="Dr Mabuse")
    assert (taken.status, taken.what, taken.state) == (201, "applied", "LAB_CONFIRMED")
    answer = lab.last()
    assert (answer.kind, answer.lab, answer.supersedes) == ("lab_result", "confirmed", final.answer_id)
    assert "confirmed" in answer.headline
    assert "97 ± 1 %" in answer.headline
    assert "A + B" in answer.words
    assert "Mabuse" not in json.dumps([answer.words, answer.headline, answer.by, answer.basis])
    (result,) = lab.of_case(case_id)
    assert (result.categories, result.methods) == (("A", "B"), GCMS)
    assert result.received_utc == to_text(desk.time)
    assert laboratory.status(desk.db, case_id) == {"I-1": "confirmed"}
    assert audit.verify(desk.db, trusted=desk.keys.trusted) == ()


def test_a_refuted_result_reopens_the_case_and_reaches_linked_seizures(desk, lab):
    values = (1.0, 5.0, 2.0)
    case_id = desk.answered("S-1", values=values)
    linked = desk.answered("S-9", desk.other, values=values)
    apart = desk.answered("S-3")
    first = lab.last(desk.other)
    desk.passes(hours=3)
    taken = lab.reports(case_id, "refuted", substances=(Substance("caffeine"),))
    assert (taken.what, taken.state) == ("applied", "REOPENED")
    case = desk.case(case_id)
    assert case["round"] == 2
    assert cases.due(case) == desk.time + cases.HOUR
    mine = [answer for answer in lab.inbox(desk.tablet) if answer.case == case_id]
    assert [answer.lab for answer in mine] == [None, "refuted"]
    assert mine[1].supersedes == mine[0].answer_id
    # Never overwritten: the bytes of the first answer are those that were given.
    assert answers.of_case(desk.db, case_id)[0].raw == mine[0].raw
    notice = lab.last(desk.other)
    assert (notice.kind, notice.case, notice.supersedes, notice.n) == ("notice", linked, None, first.n + 1)
    assert "refuted" in notice.headline
    assert not [a for a in lab.inbox(desk.tablet) if a.case == apart and a.kind == "notice"]
    # The chemist answers anew, which supersedes what the laboratory said of the former answer.
    assert desk.next().case_id == case_id
    desk.passes(minutes=1)
    desk.decide(leased(desk, case_id), says("caffeine"))


def leased(desk, case_id):
    row = desk.case(case_id)
    from spectralid.reachback.caseload.leases import Lease

    return Lease(case_id, row["token"], row["holder"], row["until_utc"], "adjudicate")


def test_precautions_stay_and_those_of_what_was_found_are_added(desk, lab):
    case_id = desk.scan()
    desk.decide(desk.lease(case_id), says(precautions=("Keep the bag shut.",)))
    lab.reports(case_id, "refuted", substances=(Substance("carfentanil"),))
    answer = lab.last()
    assert answer.precautions[-1] == "Keep the bag shut."
    assert any("naloxone" in one.lower() for one in answer.precautions)
    case = desk.case(case_id)
    assert (case["high_hazard"], case["priority"]) == (True, 0)


def test_an_inconclusive_result_leaves_it_presumptive(desk, lab):
    case_id = desk.answered()
    assert lab.reports(case_id, "inconclusive").state == "LAB_INCONCLUSIVE"
    assert lab.last().lab == "inconclusive"
    assert "presumptive" in lab.last().headline
    # Another sample may be sent, and decide.
    lab.sends(case_id, "F-2")
    assert lab.reports(case_id, "confirmed", "F-2").state == "LAB_CONFIRMED"
    # A third one that is inconclusive changes nothing.
    assert lab.reports(case_id, "inconclusive", "F-3").what == "noted"
    assert laboratory.status(desk.db, case_id) == {"I-1": "confirmed"}


def test_the_same_report_twice_is_one_and_a_differing_one_has_to_say_that_it_corrects(desk, lab):
    case_id = desk.answered()
    first = lab.reports(case_id, report_ref="R-1")
    length = len(lab.inbox(desk.tablet))
    again = lab.reports(case_id, report_ref="R-1")
    assert (again.n, again.status, again.answer_id) == (first.n, 200, first.answer_id)
    assert len(lab.inbox(desk.tablet)) == length
    with pytest.raises(LabConflictError):
        lab.reports(case_id, "refuted", report_ref="R-1")
    assert desk.case(case_id)["state"] == "LAB_CONFIRMED"
    corrected = lab.reports(case_id, "refuted", report_ref="R-1", corrects="R-1")
    assert (corrected.status, corrected.state) == (201, "REOPENED")
    said = lab.inbox(desk.tablet)
    assert said[-1].supersedes == said[-2].answer_id
    assert "corrected report" in said[-1].headline
    assert [r.superseded for r in lab.of_case(case_id)] == [True, False]
    assert len(rows(desk, lab_tables.lab_results)) == 2


def test_a_correction_while_the_case_is_open_again_takes_the_refutation_back_at_once(desk, lab):
    case_id = desk.answered()
    lab.reports(case_id, "refuted", report_ref="R-1")
    lease = desk.lease(case_id)
    taken = lab.reports(case_id, "confirmed", report_ref="R-2", corrects="R-1")
    assert (taken.what, taken.state) == ("waiting", "LEASED")
    back = lab.last()
    # Not confirmed yet; and no longer refuted either.
    assert (back.kind, back.lab) == ("lab_result", None)
    assert "confirmed" not in back.headline + back.words
    assert desk.case(case_id)["holder"] == "ada"
    outcome = desk.decide(lease)
    assert outcome.state == "LAB_CONFIRMED"
    kinds = [(answer.kind, answer.lab) for answer in lab.inbox(desk.tablet)][-2:]
    assert kinds == [("final", None), ("lab_result", "confirmed")]
    supersedes = [answer.supersedes for answer in lab.inbox(desk.tablet)]
    assert supersedes[1:] == [answer.answer_id for answer in lab.inbox(desk.tablet)][:-1]


@pytest.mark.parametrize("result", ["confirmed", "refuted", "inconclusive"])
def test_a_result_before_the_answer_is_told_at_once_and_applied_with_the_answer(desk, lab, result):
    case_id = desk.scan()
    lease = desk.lease(case_id)
    taken = lab.reports(case_id, result, substances=(Substance("fentanyl"),))
    assert (taken.what, taken.state) == ("waiting", "LEASED")
    notice = lab.last()
    assert (notice.kind, notice.lab) == ("notice", None)
    assert "Fentanyl" in notice.headline
    assert "confirmed" not in notice.headline
    # What it found makes it a case for two.
    outcome = desk.decide(lease, says("fentanyl"))
    assert outcome.state == "SECOND_REVIEW"
    done = desk.review(desk.lease(case_id, "bea", senior=True))
    end = {"refuted": "REOPENED"}.get(result, f"LAB_{result.upper()}")
    assert done.state == desk.case(case_id)["state"] == end
    assert [r.what for r in lab.of_case(case_id)] == ["applied"]
    assert lab.last().lab == result


def test_a_sample_sent_before_the_answer_goes_to_the_laboratory_with_it(desk, lab):
    case_id = desk.scan()
    lab.sends(case_id)
    assert desk.case(case_id)["state"] == "QUEUED"
    assert desk.decide(desk.lease(case_id)).state == "FORWARD_LAB"


def test_the_regional_laboratory_has_the_last_word(desk, lab):
    case_id = desk.answered()
    lab.reports(case_id, "confirmed")
    lab.sends(case_id, "R-7", laboratory="Regional", stage="regional")
    assert desk.case(case_id)["state"] == "REGIONAL_LAB"
    taken = lab.reports(case_id, "refuted", "R-7", laboratory="Regional", stage="regional")
    assert taken.state == "REOPENED"
    assert laboratory.status(desk.db, case_id) == {"I-1": "refuted"}
    # What it refuted is answered anew, and the forward laboratory may confirm that.
    desk.decide(desk.lease(case_id), says("caffeine"))
    desk.review(desk.lease(case_id, "bea", senior=True))
    lab.sends(case_id, "F-8")
    assert lab.reports(case_id, "confirmed", "F-8").state == "LAB_CONFIRMED"


def test_what_the_regional_laboratory_confirmed_no_forward_one_takes_back(desk, lab):
    case_id = desk.answered()
    lab.reports(case_id, "confirmed", "R-7", laboratory="Regional", stage="regional")
    lab.sends(case_id, "F-8")
    assert desk.case(case_id)["state"] == "FORWARD_LAB"
    late = lab.reports(case_id, "refuted", "F-8")
    assert (late.what, late.why, late.state) == ("noted", "regional-decided", "LAB_CONFIRMED")
    assert laboratory.status(desk.db, case_id) == {"I-1": "confirmed"}
    # Registering a sample whose result is here sends nothing anywhere.
    lab.reports(case_id, "confirmed", "F-9")
    lab.sends(case_id, "F-9")
    assert desk.case(case_id)["state"] == "LAB_CONFIRMED"


def test_confirmed_is_not_said_of_an_answer_that_the_finding_contradicts(desk, lab):
    case_id = desk.answered()
    taken = lab.reports(case_id, "confirmed", substances=(Substance("fentanyl"),))
    assert (taken.what, taken.why, taken.state) == ("applied", "contradicts-answer", "REOPENED")
    answer = lab.last()
    assert answer.lab == "refuted"
    assert "another than what was answered" in answer.words
    assert answer.precautions
    (result,) = lab.of_case(case_id)
    assert (result.result, result.reported) == ("refuted", "confirmed")
    assert laboratory.status(desk.db, case_id) == {"I-1": "refuted"}


def test_a_confirmation_that_names_nothing_is_of_the_answer_it_was_made_for(desk, lab):
    case_id = desk.scan(substances=("cocaine",))
    lab.reports(case_id, "confirmed")
    desk.decide(desk.lease(case_id), says("procaine"))
    done = desk.review(desk.lease(case_id, "bea", senior=True))
    assert done.state == "ANSWERED"
    (left,) = laboratory.listed(desk.db, what="unmatched")
    assert left.why == "of-another-answer"
    assert lab.last().lab is None


def test_a_regional_result_may_come_straight_after_the_answer(desk, lab):
    case_id = desk.answered()
    taken = lab.reports(case_id, "confirmed", stage="regional")
    assert taken.state == "LAB_CONFIRMED"
    with desk.db.read() as tx:
        facts = tx.execute(sa.select(tables.audit.c.facts).where(tables.audit.c.action == "case")).scalars()
        events = [json.loads(one) for one in facts]
    walked = [one for one in events if one.get("implied")]
    assert [one["event"] for one in walked] == ["forward_lab", "regional_lab"]


def test_an_older_report_that_comes_late_changes_nothing(desk, lab):
    case_id = desk.answered()
    lab.reports(case_id, "confirmed", report_ref="R-2", reported_utc="2026-11-22T11:00:00Z")
    late = lab.reports(case_id, "refuted", report_ref="R-1", reported_utc="2026-11-22T10:00:00Z")
    assert (late.what, late.why, late.state) == ("noted", "older-report", "LAB_CONFIRMED")


def test_a_result_is_of_its_item_and_of_no_other(desk, lab):
    case_id = desk.scan(item="I-1")
    desk.scan(item="I-2")
    desk.decide(desk.lease(case_id))
    nobody = lab.reports(case_id, "confirmed")
    assert (nobody.what, nobody.why, nobody.case_id) == ("unmatched", "which-item", None)
    assert desk.case(case_id)["state"] == "ANSWERED"
    one = lab.reports(case_id, "confirmed", "F-2", item_ref="I-2")
    assert one.what == "applied"
    other = lab.reports(case_id, "refuted", "F-3", item_ref="I-1")
    assert other.what == "applied"
    assert laboratory.status(desk.db, case_id) == {"I-1": "refuted", "I-2": "confirmed"}
    said = [a for a in lab.inbox(desk.tablet) if a.kind == "lab_result"]
    assert [(a.item_ref, a.lab, a.supersedes) for a in said] == [
        ("I-2", "confirmed", None),
        ("I-1", "refuted", None),
    ]
    # The new answer supersedes the old one of the case, and not what the laboratory said of an item.
    desk.decide(desk.lease(case_id), says("caffeine"))
    desk.review(desk.lease(case_id, "bea", senior=True))
    first, *_, newest = lab.inbox(desk.tablet)
    assert newest.supersedes == first.answer_id


def test_what_nobody_can_place_is_kept_until_a_person_does(desk, lab):
    case_id = desk.answered()
    lost = lab.reports("C-none", "confirmed", "X-1")
    assert (lost.what, lost.why) == ("unmatched", "no-such-case")
    twice = lab.reports("", "confirmed", "X-2", seizure_ref="S-9")
    assert twice.why == "no-such-case"
    nameless = lab.reports("", "confirmed", "X-3")
    assert nameless.why == "no-case-named"
    assert [r.n for r in laboratory.listed(desk.db, what="unmatched")] == [nameless.n, twice.n, lost.n]
    with pytest.raises(NotFoundError):
        laboratory.resolve(desk.db, desk.keys, 99, case_id, by="qa", now=desk.time)
    done = laboratory.resolve(desk.db, desk.keys, lost.n, case_id, by="qa", now=desk.time)
    assert (done.what, done.state) == ("applied", "LAB_CONFIRMED")
    with pytest.raises(ConflictError):
        laboratory.resolve(desk.db, desk.keys, lost.n, case_id, by="qa", now=desk.time)
    gone = laboratory.dismiss(desk.db, twice.n, why="another agency's", by="qa", now=desk.time)
    assert gone.what == "dismissed"
    # Who registers the sample afterwards has placed the report.
    desk.answered("S-2")
    second = cases.case_id_of("tablet-1", "S-2")
    lab.sends(second, "X-3")
    assert desk.case(second)["state"] == "LAB_CONFIRMED"
    assert laboratory.listed(desk.db, what="unmatched") == ()
    assert len(laboratory.listed(desk.db)) == 3


def test_a_case_is_found_by_sample_by_seizure_and_by_device(desk, lab):
    one = desk.answered("S-1")
    two = desk.answered("S-1", desk.other)
    lab.sends(one, "F-1")
    assert lab.reports("", "confirmed", "F-1").case_id == one
    assert lab.reports("", "confirmed", "F-2", seizure_ref="S-1").why == "several-cases"
    assert lab.reports("", "confirmed", "F-3", seizure_ref="S-1", device_id="tablet-2").case_id == two
    assert lab.reports(two, "confirmed", "F-1", report_ref="2").why == "contradicts-sample"


def test_a_sample_is_one_of_one_case(desk, lab):
    one, two = desk.answered("S-1"), desk.answered("S-2")
    first = lab.sends(one)
    assert lab.sends(one) == first
    with pytest.raises(LabConflictError):
        lab.sends(two)
    assert laboratory.samples_of(desk.db, one) == (first,)
    assert first.sampling == "routine"
    asked = desk.answered("S-3", escalation={"why": ["qa_sample"]})
    assert lab.sends(asked, "F-9").sampling == "qa_sample"


def test_whoever_may_not_see_a_case_does_not_learn_of_it(desk):
    case_id = desk.answered()
    report = Report("Forward 1", "F-1", "forward", "confirmed", methods=GCMS, case_id=case_id)
    taken = laboratory.take(
        desk.db, desk.keys, report, by="lab", source="csv", now=desk.time, sites={"south"}
    )
    assert (taken.what, taken.why, taken.state) == ("unmatched", "no-such-case", None)
    assert laboratory.listed(desk.db, sites={"south"})[0].n == taken.n


def test_a_dry_run_says_what_would_become_of_it_and_writes_nothing(desk, lab):
    case_id = desk.answered()
    before = {table: len(rows(desk, table)) for table in (tables.audit, lab_tables.lab_results)}
    for said, what in (({}, "applied"), ({"case_id": "C-none"}, "unmatched")):
        report = Report("L", "F-1", "forward", "refuted", methods=GCMS, **{"case_id": case_id, **said})
        taken = laboratory.take(desk.db, desk.keys, report, by="lab", source="csv", now=desk.time, dry=True)
        assert taken.what == what
    assert {table: len(rows(desk, table)) for table in before} == before
    assert desk.case(case_id)["state"] == "ANSWERED"


@pytest.mark.parametrize(
    "wrong",
    [
        {"laboratory": ""}, {"sample_ref": "a\nb"}, {"stage": "third"}, {"result": "maybe"}, {"methods": ()},
        {"methods": ("divining",)}, {"report_ref": "x" * 101}, {"sampling": "mood"}, {"note": "x" * 2001},
        {"measured_utc": "yesterday"}, {"measured_utc": "2026-11-22T12:00:00"},
        {"measured_utc": "2026-11-22T12:00:00Z", "reported_utc": "2026-11-22T11:00:00Z"},
        {"substances": (Substance("a"), Substance("a"))},
    ],
)  # fmt: skip
def test_a_report_that_lacks_what_it_needs_is_refused(wrong):
    right = {"laboratory": "L", "sample_ref": "S", "stage": "forward", "result": "confirmed", "methods": GCMS}
    Report(**right)
    with pytest.raises(LabReportError):
        Report(**{**right, **wrong})


@pytest.mark.parametrize(
    "wrong", [{"share": 1.1}, {"share": -0.1}, {"uncertainty": 0.1}, {"slug": ""}, {"slug": "A name"}]
)
def test_a_substance_has_a_share_of_the_whole(wrong):
    with pytest.raises(LabReportError):
        Substance(**{"slug": "a", **wrong})


def test_a_result_of_the_future_is_refused(desk, lab):
    with pytest.raises(LabReportError):
        lab.reports(desk.answered(), measured_utc="2026-11-25T12:00:00Z")


def test_rows_of_the_laboratory_cannot_be_changed(desk, lab):
    lab.sends(case_id := desk.answered())
    lab.reports(case_id)
    for table in (lab_tables.lab_results, lab_tables.lab_samples, lab_tables.lab_steps):
        for change in (sa.delete(table), sa.update(table).values(by="somebody else")):
            with pytest.raises(sa.exc.DBAPIError, match="append-only"), desk.db.begin() as tx:
                tx.execute(change)


def test_record_is_take_with_its_parts_as_arguments(desk):
    case_id = desk.answered()
    taken = laboratory.record(
        desk.db, desk.keys, case_id, result="refuted", substances=("caffeine",), laboratory="L",
        sample_ref="S", by="lab", measured_utc=desk.time, now=desk.time,
    )  # fmt: skip
    assert taken.state == "REOPENED"
    (result,) = laboratory.of_case(desk.db, case_id)
    assert (result.methods, result.substances) == (("GC-MS",), (Substance("caffeine"),))
    assert result.measured_utc == to_text(desk.time)


def test_the_tables_are_those_of_the_migration(empty):
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    from spectralid.reachback.store import migrate

    migrate.upgrade(empty)
    mine = {"lab_results", "lab_samples", "lab_steps"}
    with empty.read() as tx:
        options = {"include_object": lambda _o, name, kind, _r, _c: kind != "table" or name in mine}
        assert compare_metadata(MigrationContext.configure(tx, opts=options), tables.metadata) == []
