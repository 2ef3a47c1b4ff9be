"""Two chemists and one case, a lease that ends while somebody writes, a browser that slept through it."""

from __future__ import annotations

import threading

import pytest

from spectralid.reachback.caseload import leases, queue
from spectralid.reachback.errors import ConflictError, StaleLeaseError
from tests.reachback.desk import says
from tests.reachback.faults.direct import rows


def at_once(*works):
    """What each of several threads got, having begun together."""
    outcomes, start = [None] * len(works), threading.Barrier(len(works))

    def run(number):
        start.wait(20)
        try:
            outcomes[number] = works[number]()
        except Exception as error:
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return outcomes


def test_of_many_who_take_one_case_one_gets_it(desk):
    case_id = desk.scan()
    names = ("ada", "bea", "cai", "dov")
    outcomes = at_once(*(lambda name=name: desk.lease(case_id, name) for name in names))
    won = [one for one in outcomes if isinstance(one, leases.Lease)]
    assert len(won) == 1
    assert all(isinstance(one, ConflictError) for one in outcomes if one not in won)
    assert desk.case(case_id)["holder"] == won[0].chemist


def test_many_who_ask_for_work_get_different_cases(desk):
    made = {desk.scan(f"S-{number}") for number in range(4)}
    outcomes = at_once(*(lambda name=name: desk.next(name) for name in ("ada", "bea", "cai", "dov", "eva")))
    got = [one.case_id for one in outcomes if isinstance(one, leases.Lease)]
    assert sorted(got) == sorted(made)
    assert outcomes.count(None) == 1


def test_one_decision_when_the_lease_ends_while_somebody_writes(desk):
    """The first chemist's browser slept; both send their decision at the same time."""
    case_id = desk.scan()
    asleep = desk.lease(case_id, "ada")
    desk.passes(minutes=16)
    awake = desk.lease(case_id, "bea")
    outcomes = at_once(
        lambda: desk.decide(asleep, says(words="ADA wrote for an hour.")),
        lambda: desk.decide(awake, says(words="BEA looked.")),
    )
    assert isinstance(outcomes[0], StaleLeaseError)
    assert outcomes[0].status == 409
    assert not isinstance(outcomes[1], Exception)
    decided = rows(desk, "adjudications")
    assert len(decided) == 1
    assert decided[0]["by"] == "bea"
    assert len(rows(desk, "answers")) == 1
    (draft,) = leases.drafts_of(desk.db, case_id, "ada")
    assert (draft.draft, draft.content["words"]) == (outcomes[0].draft, "ADA wrote for an hour.")


def test_the_same_decision_sent_twice_at_once_is_one(desk):
    case_id = desk.scan()
    lease = desk.lease(case_id)
    outcomes = at_once(*[lambda: desk.decide(lease)] * 3)
    assert not [one for one in outcomes if isinstance(one, Exception)]
    assert len(rows(desk, "adjudications")) == len(rows(desk, "answers")) == 1


def test_a_chemist_who_never_comes_back_withholds_nothing(desk):
    case_id = desk.scan()
    desk.lease(case_id, "ada")
    assert desk.next("bea") is None
    desk.passes(minutes=15)
    assert [entry.case_id for entry in queue.listed(desk.db, now=desk.time)] == [case_id]
    assert desk.next("bea").case_id == case_id


def test_a_browser_that_wakes_is_told_409_and_where_its_draft_is(server):
    desk = server.desk
    case_id = desk.scan()
    ada, bea = (server.client("chemist", name=name) for name in ("ada", "bea"))
    lease = ada.post(f"/v1/cases/{case_id}/lease").json()
    desk.passes(minutes=16)
    newer = bea.post(f"/v1/cases/{case_id}/lease").json()
    assert newer["token"] > lease["token"]
    decision = {
        "verdict": "identified", "headline": "Lactose", "words": "Written before it slept.",
        "basis": "Bands at 850 cm-1.", "substances": ["lactose"],
    }  # fmt: skip
    reply = ada.post(
        f"/v1/cases/{case_id}/adjudications", json={"token": lease["token"], "seen": 1, **decision}
    )
    assert (reply.status_code, reply.json()["code"]) == (409, "stale-lease"), reply.text
    drafts = ada.get(f"/v1/cases/{case_id}/drafts").json()
    assert "Written before it slept." in str(drafts)
    assert rows(desk, "adjudications") == []


@pytest.mark.parametrize("minutes", [14, 15, 16])
def test_a_lease_counts_until_its_end_and_not_beyond(desk, minutes):
    case_id = desk.scan()
    lease = desk.lease(case_id)
    desk.passes(minutes=minutes)
    if minutes < 15:
        assert desk.decide(lease).state == "ANSWERED"
    else:
        with pytest.raises(StaleLeaseError):
            desk.decide(lease)
