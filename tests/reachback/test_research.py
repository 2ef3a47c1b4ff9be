"""Re-search with the engine: which answers change with a library, and what that does to cases."""

from __future__ import annotations

import random
from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from spectralid.casework import messages
from spectralid.casework.clock import from_text
from spectralid.errors import ParameterError
from spectralid.library import open_library
from spectralid.reachback.caseload import queue
from spectralid.reachback.errors import NotFoundError
from spectralid.reachback.research import effects as research_effects
from spectralid.reachback.research import runs
from spectralid.reachback.research.judge import Answer, judge
from spectralid.reachback.store import tables
from spectralid.reachback.tablets import answers
from tests.reachback.again import OLD, SOME, Field, stub
from tests.reachback.desk import says
from tests.reachback.world import AXIS, values

# What the engine says does not depend on the database.
one_kind = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


@pytest.fixture
def field(desk, tmp_path):
    return Field(desk, tmp_path)


# --- what it does ------------------------------------------------------------------------------------------


def test_a_release_reopens_the_cases_whose_answers_it_changes(field):
    desk = field.desk
    unknown = field.scan(("novelamine", 1.0))
    part = field.scan(("lactose", 1.0), ("novelamine", 0.4), named=("lactose",), decision="inconclusive")
    known = field.scan(("lactose", 1.0), named=("lactose",))
    deadly = field.scan(("fentanyl-x", 1.0), tablet=desk.other)
    for case_id, names in ((unknown, ()), (part, ()), (known, ("lactose",)), (deadly, ())):
        field.answer(case_id, *names)
    waiting = field.scan(("novelamine", 1.0))
    desk.passes(days=30)
    run_id = field.start()
    assert runs.get(desk.db, run_id).state == "queued"
    field.work()
    run = runs.get(desk.db, run_id)
    assert (run.state, run.spectra, run.searched, run.changed, run.removed) == ("done", 5, 5, 2, 0)
    assert (run.answers_changed, run.reopened, run.agree) == (4, 3, 0)
    assert {desk.case(c)["state"] for c in (unknown, part, deadly)} == {"REOPENED"}
    assert desk.case(known)["state"] == "ANSWERED"
    assert desk.case(waiting)["state"] == "QUEUED"
    effects = {hit["case_id"]: (hit["outcome"], hit["effect"], hit["deadly"]) for hit in field.hits()}
    assert effects == {
        unknown: ("changed", "reopened", False),
        part: ("changed", "reopened", False),
        deadly: ("changed", "reopened", True),
        waiting: ("changed", "noted", False),
    }
    (notice,) = field.notices(unknown)
    assert "Novelamine" in notice["words"]
    assert "Presumptive" in notice["words"]
    (warning,) = field.notices(deadly)
    assert warning["headline"] == "Treat as hazardous: looked at again"
    assert warning["precautions"]
    assert field.notices(known) == field.notices(waiting) == []
    assert desk.case(deadly)["high_hazard"]
    (found,) = runs.of_case(desk.db, part)
    assert found["before"]["named"] == []
    assert found["after"]["named"] == ["lactose", "novelamine"]
    assert found["library"] == "test 2"
    # Again: nothing is left to do, and nothing is done twice.
    assert field.start() == run_id
    assert field.work() == 0
    assert runs.get(desk.db, run_id) == run
    assert len(field.notices(unknown)) == 1
    # The tablet reads what it is told.
    inbox = answers.after(desk.db, desk.keys, "tablet-2", 0, now=desk.time)
    assert [messages.kept(raw, messages.Answer).kind for raw in inbox] == ["final", "notice"]
    field.sound()


@one_kind
def test_the_first_pass_loses_no_scan_whose_answer_changes(field):
    """Against the engine on every scan: what the first pass leaves out would not have changed."""
    rng = random.Random(7)
    for names in (
        ("cocaine", "mannitol"), ("novelamine",), ("novelamine", "paracetamol"), ("mannitol", "fentanyl-x"),
        ("lactose", "cocaine"),
    ):  # fmt: skip
        shares = [1.0, rng.uniform(0.3, 0.9)][: len(names)]
        told = tuple(sorted(set(names) & set(OLD)))
        decision = None if len(told) in (0, len(names)) else "inconclusive"
        field.scan(*zip(names, shares, strict=True), named=told, decision=decision)
    run_id = field.start()
    known = {}

    def remembered(spectrum, *rest):
        return known.setdefault(spectrum.sha256, judge(spectrum, *rest))

    field.work(judge=remembered)
    assert len(known) < 5
    with field.desk.db.read() as tx:
        run = runs._run(tx, run_id)
        refs = [runs.ScanRef(*row) for row in tx.execute(sa.select(*list(tables.spectra.primary_key)))]
    target = runs.target_of(field.desk.db, run)
    wanted = set()
    for ref in refs:
        scan, spectrum = runs.read_scan(field.desk.db, ref)
        found = known.get(spectrum.sha256) or judge(spectrum, scan.recorded, target.libraries)
        if found.outcome == "changed":
            wanted.add((ref.device_id, ref.seq))
    found = {(hit["device_id"], hit["seq"]) for hit in field.hits(outcome="changed")}
    assert found == wanted
    assert len(wanted) == 3


def test_scans_named_by_a_reference_that_was_wrong_are_looked_at_again(desk, tmp_path):
    # What the library held as mannitol was another substance.
    field = Field(desk, tmp_path, after=("lactose", "caffeine", "cocaine", "paracetamol"),
                  mislabelled={"mannitol": "novelamine"})  # fmt: skip
    wrong = field.scan(("novelamine", 1.0), named=("mannitol",))
    right = field.scan(("lactose", 1.0), named=("lactose",))
    # Named by the chemist only, of a scan that is not like it.
    by_hand = field.scan(("caffeine", 1.0), named=("caffeine",))
    for case_id, name in ((wrong, "mannitol"), (right, "lactose")):
        field.answer(case_id, name)
    field.answer(by_hand, "caffeine", "mannitol")
    run_id = field.start()
    field.work()
    assert desk.case(wrong)["state"] == "REOPENED"
    assert desk.case(right)["state"] == "ANSWERED"
    assert {hit["case_id"]: hit["outcome"] for hit in field.hits()} == {wrong: "changed", by_hand: "same"}
    assert "No longer borne out: mannitol." in field.notices(wrong)[0]["words"]
    assert runs.get(desk.db, run_id).removed == 1


@one_kind
def test_what_a_chemist_has_said_already_reopens_nothing(field):
    said = field.scan(("novelamine", 1.0))
    field.answer(said, "novelamine")
    half = field.scan(("lactose", 1.0), ("novelamine", 0.6), decision="inconclusive", named=("lactose",))
    field.answer(half, "lactose")
    field.start()
    field.work()
    assert {hit["case_id"]: hit["outcome"] for hit in field.hits()} == {said: "agrees", half: "changed"}
    assert field.desk.case(said)["state"] == "ANSWERED"
    assert field.notices(said) == []
    assert field.desk.case(half)["state"] == "REOPENED"


@one_kind
def test_a_laboratory_is_not_contradicted_but_warned(field):
    confirmed = {}
    for name in ("novelamine", "fentanyl-x"):
        case_id = confirmed[name] = field.scan((name, 1.0))
        field.answer(case_id)
        for event in ("forward_lab", "lab_confirmed"):
            field.desk.move(case_id, event)
    field.start()
    field.work()
    assert field.desk.case(confirmed["novelamine"])["state"] == "LAB_CONFIRMED"
    assert field.notices(confirmed["novelamine"]) == []
    assert field.desk.case(confirmed["fentanyl-x"])["state"] == "REOPENED"
    assert {hit["effect"] for hit in field.hits()} == {"noted", "reopened"}


@one_kind
def test_a_case_being_worked_on_is_noted_and_a_deadly_one_raised(field):
    desk = field.desk
    plain, deadly = field.scan(("novelamine", 1.0)), field.scan(("fentanyl-x", 1.0))
    leases = [desk.lease(plain), desk.lease(deadly, "bea")]
    before = desk.case(plain)
    field.start()
    field.work()
    assert desk.case(plain) == before
    assert desk.case(deadly)["high_hazard"]
    assert len(field.notices(deadly)) == 1
    # Whoever has it goes on, and now two persons look.
    assert desk.decide(leases[1], says("caffeine")).state == "SECOND_REVIEW"
    with desk.db.read() as tx:
        notes = tx.execute(sa.select(tables.audit.c.subject).where(tables.audit.c.action == "research-note"))
        assert set(notes.scalars()) == {plain, deadly}


def test_two_scans_of_one_case_reopen_it_once(field):
    for _ in range(SOME + 2):
        case_id = field.scan(("novelamine", 1.0), seizure="S-same")
    field.answer(case_id)
    field.start()
    field.work(judge=stub)
    assert len(field.hits(outcome="changed")) == SOME + 2
    assert [hit["effect"] for hit in field.hits()] == ["reopened"] * SOME + ["noted"] * 2
    assert len(field.notices(case_id)) == 1
    assert field.desk.case(case_id)["round"] == 2


# --- deadlines ---------------------------------------------------------------------------------------------


def test_old_cases_do_not_push_aside_what_an_officer_waits_for(field, monkeypatch):
    monkeypatch.setattr(research_effects, "PER_HOUR", 2)
    desk = field.desk
    old = [field.scan(("novelamine", 1.0)) for _ in range(5)]
    for case_id in old:
        field.answer(case_id)
    desk.passes(days=9)
    field.start()
    field.work(judge=stub)
    due = sorted(
        (from_text(desk.case(case_id)["due_utc"]) - desk.time) / timedelta(hours=1) for case_id in old
    )
    assert due == [24, 24, 25, 25, 26]
    # A scan that comes in now goes before all of them, and they before what comes in much later.
    fresh = field.scan(("lactose", 1.0), named=("lactose",))
    assert queue.listed(desk.db, now=desk.time)[0].case_id == fresh
    desk.passes(hours=24)
    late = field.scan(("lactose", 1.0), named=("lactose",))
    order = [entry.case_id for entry in queue.listed(desk.db, now=desk.time)]
    assert order.index(late) > order.index(min(old, key=lambda c: desk.case(c)["due_utc"]))
    with desk.db.read() as tx:
        whys = tx.execute(sa.select(tables.rounds.c.why).where(tables.rounds.c.round == 2)).scalars().all()
    assert whys == ["research"] * 5


@one_kind
def test_what_is_deadly_has_hours_and_not_a_day(field):
    case_id = field.scan(("fentanyl-x", 1.0))
    field.answer(case_id)
    field.start()
    field.work()
    row = field.desk.case(case_id)
    assert from_text(row["due_utc"]) - field.desk.time == timedelta(hours=2)
    assert (row["priority"], row["high_hazard"]) == (0, True)


# --- starting one ------------------------------------------------------------------------------------------


def test_what_changed_is_found_by_comparing_the_libraries(field):
    with field.desk.db.read() as tx:
        run = runs._run(tx, field.start())
    target = runs.target_of(field.desk.db, run)
    slugs = {i.id: i.compound_slug for i in open_library(field.after).references}
    assert {slugs[one] for one in target.changed} == {"novelamine", "fentanyl-x"}
    assert target.removed == target.suspects == ()
    assert target.deadly == ("fentanyl-x",)


def test_a_release_that_changes_nothing_changes_nothing(field):
    field.answer(field.scan(("lactose", 1.0), named=("lactose",)), "lactose")
    run_id = field.start(before=field.after)
    field.work(judge=lambda *_: pytest.fail("nothing is looked at"))
    run = runs.get(field.desk.db, run_id)
    assert (run.state, run.searched, run.judged) == ("done", 1, 0)


def test_what_cannot_be_started(field, tmp_path):
    with pytest.raises(ParameterError, match="a reference of"):
        field.start(changed=["nobody-raman-1"])
    with pytest.raises(ParameterError, match="library before"):
        field.start(removed=["x"], before=None, changed=[])
    with pytest.raises(ParameterError, match="at least one"):
        field.start(before=None)
    with pytest.raises(NotFoundError):
        runs.get(field.desk.db, "R-none")


def test_scans_are_read_as_they_were_measured(field):
    field.scan(("lactose", 1.0), named=("lactose",))
    with field.desk.db.read() as tx:
        ref = runs.ScanRef(*tx.execute(sa.select(*list(tables.spectra.primary_key))).one())
    scan, spectrum = runs.read_scan(field.desk.db, ref)
    assert scan.recorded == Answer("identified", "unknown", ("lactose",))
    assert np.allclose(spectrum.axis, AXIS)
    assert np.allclose(spectrum.intensity, values(("lactose", 1.0), seed=1), atol=1e-6)
