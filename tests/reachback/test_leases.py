import pytest

from spectralid.reachback.caseload import leases, queue
from spectralid.reachback.errors import (
    CaseChangedError,
    LeaseTakenError,
    NotFoundError,
    SeparationError,
    StaleLeaseError,
    TransitionError,
)
from tests.reachback.desk import says


def test_a_case_has_one_chemist(desk):
    case_id = desk.scan()
    lease = desk.lease(case_id)
    assert (lease.token, lease.purpose) == (1, "adjudicate")
    with pytest.raises(LeaseTakenError):
        desk.lease(case_id, "bea")
    desk.passes(minutes=14)
    again = desk.lease(case_id)
    assert again.token == 1
    desk.passes(minutes=14)
    with pytest.raises(LeaseTakenError):
        desk.lease(case_id, "bea")


def test_it_ends_after_fifteen_minutes_and_the_next_has_a_greater_number(desk):
    case_id = desk.scan()
    old = desk.lease(case_id)
    desk.passes(minutes=15)
    new = desk.lease(case_id, "bea")
    assert new.token > old.token
    for stale in (
        lambda: desk.decide(old),
        lambda: desk.interim(old),
        lambda: leases.renew(desk.db, case_id, old.token, "ada", now=desk.time),
        lambda: leases.release(desk.db, case_id, old.token, "ada", now=desk.time),
        lambda: desk.decide(leases.Lease(case_id, new.token, "ada", "", "adjudicate")),
        lambda: desk.decide(leases.Lease(case_id, old.token, "bea", "", "adjudicate")),
    ):
        with pytest.raises(StaleLeaseError):
            stale()
    assert desk.case(case_id)["holder"] == "bea"


def test_a_stale_decision_is_kept_as_a_draft(desk):
    case_id = desk.scan()
    old = desk.lease(case_id)
    desk.passes(minutes=16)
    for _ in range(2):
        with pytest.raises(StaleLeaseError) as refused:
            desk.decide(old, says(words="An hour of work."))
    (draft,) = leases.drafts_of(desk.db, case_id, "ada")
    assert refused.value.draft == draft.draft
    assert draft.content["words"] == "An hour of work."
    assert desk.decide(desk.lease(case_id), says(words="An hour of work.")).state == "ANSWERED"


def test_a_chemist_saves_what_is_not_finished(desk):
    case_id = desk.scan()
    for words in ("one", "two", "two"):
        leases.save_draft(desk.db, case_id, 1, "ada", {"words": words}, now=desk.time)
    leases.save_draft(desk.db, case_id, 1, "bea", {"words": "hers"}, now=desk.time)
    assert [draft.content["words"] for draft in leases.drafts_of(desk.db, case_id, "ada")] == ["one", "two"]


def test_renewed_and_given_back(desk):
    case_id = desk.scan()
    lease = desk.lease(case_id)
    desk.passes(minutes=14)
    lease = leases.renew(desk.db, case_id, lease.token, "ada", now=desk.time)
    desk.passes(minutes=14)
    leases.release(desk.db, case_id, lease.token, "ada", now=desk.time)
    assert desk.case(case_id)["state"] == "QUEUED"
    assert desk.next("bea").case_id == case_id


def test_one_decision_under_a_lease(desk):
    case_id = desk.scan()
    lease = desk.lease(case_id)
    first = desk.decide(lease)
    assert desk.decide(lease) == first
    with pytest.raises(StaleLeaseError):
        desk.decide(lease, says(headline="Another"))
    with pytest.raises(TransitionError):
        desk.lease(case_id, "bea")


def test_an_interim_answer_is_given_once_under_a_lease(desk):
    case_id = desk.scan()
    lease = desk.lease(case_id)
    first = desk.interim(lease)
    assert desk.interim(lease) == first
    with pytest.raises(TransitionError):
        desk.interim(lease, words="other")
    assert desk.case(case_id)["state"] == "INTERIM"


def test_scans_that_came_in_meanwhile_are_not_decided_unseen(desk):
    case_id = desk.scan()
    lease = desk.lease(case_id)
    desk.scan()
    with pytest.raises(CaseChangedError) as refused:
        desk.decide(lease, seen=1)
    assert refused.value.draft is not None
    assert desk.decide(lease, seen=2).state == "ANSWERED"


def test_the_second_person_is_another_one_and_may_review(desk):
    case_id = desk.scan(alarm="danger")
    desk.decide(desk.lease(case_id))
    for chemist, senior in (("ada", True), ("bea", False)):
        with pytest.raises(SeparationError):
            desk.lease(case_id, chemist, senior=senior)
    lease = desk.lease(case_id, "bea", senior=True)
    assert (lease.purpose, lease.token) == ("review", 2)
    with pytest.raises(TransitionError):
        desk.decide(lease)
    desk.passes(minutes=15)
    with pytest.raises(StaleLeaseError):
        desk.review(lease)
    assert desk.next("cai", senior=True).case_id == case_id


def order(desk):
    return [entry.seizure_ref for entry in queue.listed(desk.db, now=desk.time)]


def test_the_queue_is_by_deadline_and_then_by_danger(desk):
    desk.scan("plain")
    desk.passes(minutes=2)
    desk.scan("nameless", decision="no_match", substances=())
    desk.scan("danger", alarm="danger")
    desk.scan("fentanyl", substances=("carfentanil",), families=("fentanyl-related",))
    desk.passes(minutes=10)
    desk.scan("later", decision="no_match", substances=())
    found = order(desk)
    assert set(found[:2]) == {"nameless", "fentanyl"}
    assert found[2:] == ["danger", "plain", "later"]
    assert [desk.case(desk.next(f"chemist-{n}").case_id)["seizure_ref"] for n in range(5)] == found
    assert desk.next("one too many") is None


def test_cases_whose_hour_has_stopped_come_last(desk):
    case_id = desk.scan("told")
    desk.interim(desk.lease(case_id))
    desk.passes(minutes=16)
    desk.scan("new")
    assert order(desk) == ["new", "told"]


def test_a_chemist_sees_the_cases_of_the_sites_allowed(desk):
    south = desk.enrol("tablet-3", site="south")
    case_id = desk.scan("S-1", south)
    desk.passes(minutes=1)
    desk.scan("S-2")
    assert len(queue.listed(desk.db, now=desk.time, sites=["south"])) == 1
    assert desk.next(sites=["west"]) is None
    assert desk.next("bea", sites=["south"]).case_id == case_id


def test_a_lease_that_ran_out_is_not_shown_and_withholds_nothing(desk):
    case_id = desk.scan()
    desk.lease(case_id)
    (entry,) = queue.listed(desk.db, now=desk.time)
    assert entry.holder == "ada"
    desk.passes(minutes=15)
    (entry,) = queue.listed(desk.db, now=desk.time)
    assert entry.holder is None
    assert desk.next("bea").case_id == case_id


def test_words_for_a_case_that_is_not_there_are_refused_as_before_and_not_kept(desk):
    case_id = desk.scan()
    for unknown, refusal in (("C-none", CaseChangedError("changed")), (case_id, CaseChangedError("changed"))):
        with (
            pytest.raises(CaseChangedError) as caught,
            leases.keeping_draft(desk.db, unknown, 1, "ada", {"words": "An hour of work."}, now=desk.time),
        ):
            raise refusal
        assert caught.value is refusal
        assert (caught.value.draft is None) is (unknown == "C-none")
    assert [one.case_id for one in leases.drafts_of(desk.db, case_id, "ada")] == [case_id]
    with pytest.raises(NotFoundError):
        leases.save_draft(desk.db, "C-none", 1, "ada", {}, now=desk.time)
