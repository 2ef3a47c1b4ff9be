import itertools
from datetime import timedelta

import pytest
import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.reachback.caseload import cases
from spectralid.reachback.caseload.cases import STEPS, State
from spectralid.reachback.errors import NotFoundError, TransitionError
from spectralid.reachback.store import audit, tables
from tests.reachback.desk import says

EVENTS = sorted({event for _, event in STEPS})

# Written by hand from the design, and not from the table that is tested.
ALLOWED = """
RECEIVED group GROUPED · GROUPED queue QUEUED · QUEUED lease LEASED · REOPENED lease LEASED
LEASED expire QUEUED · LEASED release QUEUED · INTERIM expire QUEUED · INTERIM release QUEUED
LEASED interim INTERIM · LEASED adjudicate ADJUDICATED · INTERIM adjudicate ADJUDICATED
ADJUDICATED review SECOND_REVIEW · ADJUDICATED answer ANSWERED
SECOND_REVIEW answer ANSWERED · SECOND_REVIEW return QUEUED · ANSWERED deliver DELIVERED
SECOND_REVIEW changed QUEUED · ANSWERED changed QUEUED · DELIVERED changed QUEUED
FORWARD_LAB changed REOPENED · REGIONAL_LAB changed REOPENED · LAB_CONFIRMED changed REOPENED
LAB_REFUTED changed REOPENED · LAB_INCONCLUSIVE changed REOPENED
ANSWERED forward_lab FORWARD_LAB · DELIVERED forward_lab FORWARD_LAB
LAB_INCONCLUSIVE forward_lab FORWARD_LAB · LAB_CONFIRMED forward_lab FORWARD_LAB
FORWARD_LAB regional_lab REGIONAL_LAB · LAB_INCONCLUSIVE regional_lab REGIONAL_LAB
LAB_CONFIRMED regional_lab REGIONAL_LAB
FORWARD_LAB lab_confirmed LAB_CONFIRMED · REGIONAL_LAB lab_confirmed LAB_CONFIRMED
FORWARD_LAB lab_refuted LAB_REFUTED · REGIONAL_LAB lab_refuted LAB_REFUTED
FORWARD_LAB lab_inconclusive LAB_INCONCLUSIVE · REGIONAL_LAB lab_inconclusive LAB_INCONCLUSIVE
LAB_REFUTED reopen REOPENED · LAB_CONFIRMED reopen REOPENED · LAB_INCONCLUSIVE reopen REOPENED
FORWARD_LAB reopen REOPENED · REGIONAL_LAB reopen REOPENED
ANSWERED reopen REOPENED · DELIVERED reopen REOPENED
"""
EXPECTED = {
    (state, event): to
    for state, event, to in (line.split() for line in ALLOWED.replace("·", "\n").splitlines() if line.strip())
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, EVENTS)))
def test_every_step_leads_where_the_design_says_and_every_other_is_refused(state, event):
    expected = EXPECTED.get((state.value, event))
    if expected is None:
        with pytest.raises(TransitionError):
            cases.step(state, event)
    else:
        assert cases.step(state, event) == expected


def test_a_step_is_on_record_and_a_refused_one_changes_nothing(desk):
    case_id = desk.answered()
    with pytest.raises(TransitionError):
        desk.move(case_id, "regional_lab")
    assert desk.case(case_id)["state"] == "ANSWERED"
    before = audit_length(desk)
    assert desk.move(case_id, "forward_lab") == "FORWARD_LAB"
    assert desk.case(case_id)["state"] == "FORWARD_LAB"
    assert audit_length(desk) == before + 1
    with pytest.raises(NotFoundError):
        desk.move("C-none", "forward_lab")


def audit_length(desk):
    with desk.db.read() as tx:
        return audit.head(tx).n


def test_a_seizure_of_a_device_is_one_case(desk):
    first = desk.ingest(desk.tablet.seizure()).case
    assert desk.case(first)["state"] == "GROUPED"
    assert desk.next() is None
    assert {desk.ingest(desk.tablet.scan()).case for _ in range(5)} == {first}
    assert desk.scan("S-2") != first
    assert desk.scan("S-1", desk.other) != first
    assert desk.case(first)["scans"] == 5


def test_the_hour_begins_with_the_first_scan_by_the_servers_clock(desk):
    case_id = desk.ingest(desk.tablet.seizure()).case
    assert cases.due(desk.case(case_id)) is None
    desk.passes(hours=5)
    desk.scan()
    due = desk.time + timedelta(minutes=60)
    desk.passes(minutes=30)
    desk.scan()
    assert cases.due(desk.case(case_id)) == due


def rounds(desk, case_id):
    chosen = sa.select(tables.rounds).where(tables.rounds.c.case_id == case_id)
    with desk.db.read() as tx:
        return [dict(row) for row in tx.execute(chosen.order_by(tables.rounds.c.round)).mappings()]


def test_an_interim_answer_stops_the_hour_once(desk):
    case_id = desk.scan()
    desk.passes(minutes=20)
    desk.interim(desk.lease(case_id))
    at = to_text(desk.time)
    desk.passes(minutes=30)
    lease = desk.lease(case_id)
    desk.interim(lease, words="Still looking.")
    desk.decide(lease)
    (only,) = rounds(desk, case_id)
    assert (only["first_utc"], only["first_kind"]) == (at, "interim")
    assert only["answered_utc"] == to_text(desk.time)


def test_a_scan_after_the_answer_begins_another_round(desk):
    case_id = desk.answered()
    desk.passes(hours=3)
    desk.scan()
    case = desk.case(case_id)
    assert (case["state"], case["stopped"], case["round"]) == ("QUEUED", False, 2)
    assert cases.due(case) == desk.time + timedelta(minutes=60)
    assert [one["why"] for one in rounds(desk, case_id)] == ["queue", "changed"]


def test_a_strip_without_a_question_does_not_call_the_chemists_again(desk):
    case_id = desk.answered()
    desk.ingest(desk.tablet.strip("cocaine", "neg"))
    assert desk.case(case_id)["state"] == "ANSWERED"
    desk.ingest(desk.tablet.strip("fentanyl", "pos"))
    assert desk.case(case_id)["state"] == "QUEUED"
    assert desk.case(case_id)["priority"] == 0


def test_the_officers_request_after_the_answer_is_heard(desk):
    case_id = desk.answered()
    desk.ingest(desk.tablet.send())
    assert desk.case(case_id)["state"] == "QUEUED"


def test_news_during_the_second_review_sends_the_case_back(desk):
    case_id = desk.scan(alarm="danger")
    due = desk.case(case_id)["due_utc"]
    desk.decide(desk.lease(case_id))
    desk.lease(case_id, "bea", senior=True)
    desk.passes(minutes=5)
    desk.ingest(desk.tablet.send())
    assert desk.case(case_id)["state"] == "SECOND_REVIEW"
    desk.scan()
    case = desk.case(case_id)
    assert (case["state"], case["holder"], case["due_utc"]) == ("QUEUED", None, due)


def test_the_laboratorys_way(desk):
    case_id = desk.answered()
    for event in ("forward_lab", "lab_confirmed", "regional_lab", "lab_refuted", "reopen"):
        desk.move(case_id, event)
    case = desk.case(case_id)
    assert (case["state"], case["round"], case["stopped"]) == ("REOPENED", 2, False)
    desk.decide(desk.lease(case_id, "bea"), says("mannitol", headline="Mannitol"))
    assert desk.case(case_id)["state"] == "SECOND_REVIEW"


def test_links_are_mutual_and_made_once(desk):
    one, two = desk.scan("S-1"), desk.scan("S-2")
    with desk.db.begin() as tx:
        made = [
            cases.link(tx, *pair, why="recipe", fact="0.99", by="ada", now=desk.time)
            for pair in ((one, two), (two, one), (one, one))
        ]
    assert made == [True, False, False]
    with desk.db.read() as tx:
        assert cases.linked(tx, one) == (two,)
        assert cases.linked(tx, two) == (one,)
