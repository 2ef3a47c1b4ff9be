"""Re-search: what changed in the library changes answers, each once, whoever is killed meanwhile."""

from __future__ import annotations

import json
import os
import random
import signal
from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from spectralid.casework import messages
from spectralid.casework.clock import from_text, to_text
from spectralid.errors import ParameterError
from spectralid.library import open_library
from spectralid.reachback import answers, audit, queue, research, research_effects, tables
from spectralid.reachback.archive import Archive
from spectralid.reachback.database import open_database
from spectralid.reachback.errors import NotFoundError
from spectralid.reachback.research_judge import Answer, Judged, judge
from spectralid.reachback.research_tables import research_hits, research_shards
from spectralid.reachback.serverkeys import ServerKeys
from tests.reachback.desk import says
from tests.reachback.world import AXIS, NAMES, library, pure, values

OLD = NAMES[:5]
# What the engine says does not depend on the database.
one_kind = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
SOME = 4


class Field:
    """Scans of known truth, and libraries before and after."""

    def __init__(self, desk, folder, *, after=NAMES, mislabelled=None):
        self.desk = desk
        self.folder = folder
        self.before = library(folder / "before.h5", *OLD, mislabelled=mislabelled)
        self.after = library(folder / "after.h5", *after, version="2")
        self.count = 0

    def scan(self, *parts, named=(), decision=None, alarm="unknown", seizure=None, library="1", tablet=None):
        self.count += 1
        decision = decision or ("no_match" if not named else "identified" if len(named) == 1 else "mixture")
        return self.desk.scan(
            seizure or f"S-{self.count}", tablet, values=values(*parts, seed=self.count), substances=named,
            decision=decision, alarm=alarm, result={"library": {"name": "test", "version": library}},
        )  # fmt: skip

    def answer(self, case_id, *substances, **more):
        """A chemist answers as the field did, and a second one agrees if it takes two."""
        said = {"verdict": "identified" if substances else "no_match", **more}
        decision = says(*substances, **said)
        if not substances:
            decision = says(**said) if said["verdict"] in ("identified", "mixture") else _nothing(**said)
        self.desk.decide(self.desk.lease(case_id), decision)
        if self.desk.case(case_id)["state"] == "SECOND_REVIEW":
            self.desk.review(self.desk.lease(case_id, "bea", senior=True))
        assert self.desk.case(case_id)["state"] == "ANSWERED"

    def start(self, **options):
        options = {"before": self.before, "by": "lib", "now": self.desk.time, **options}
        return research.start(self.desk.db, self.after, **options)

    def work(self, **options):
        options = {"now": self.desk.now, "shard_rows": SOME, **options}
        return research.work(self.desk.db, self.desk.keys, **options)

    def hits(self, **wanted):
        chosen = sa.select(research_hits)
        for name, value in wanted.items():
            chosen = chosen.where(research_hits.c[name] == value)
        with self.desk.db.read() as tx:
            rows = tx.execute(chosen.order_by(research_hits.c.device_id, research_hits.c.seq)).mappings()
            return [dict(row) for row in rows]

    def notices(self, case_id):
        found = answers.of_case(self.desk.db, case_id)
        return [one.content() for one in found if one.kind == "notice"]

    def sound(self):
        assert audit.verify(self.desk.db, trusted=self.desk.keys.trusted) == ()


def _nothing(**said):
    from spectralid.reachback.decisions import Decision

    return Decision(**{"headline": "No match", "words": "Presumptive.", "basis": "Nothing fits.", **said})


@pytest.fixture
def field(desk, tmp_path):
    return Field(desk, tmp_path)


NOVEL = np.gradient(pure("novelamine"))


def stub(spectrum, recorded, libraries):
    """A second pass that is quick: changed where the scan has the new substance's bands."""
    slope = np.gradient(np.asarray(spectrum.intensity))
    like = float(slope @ NOVEL / np.sqrt((slope @ slope) * (NOVEL @ NOVEL)))
    after = Answer("identified", "warning", ("novelamine",), headline="Novelamine")
    if like < 0.3:
        return Judged("same", False, (), recorded, recorded)
    return Judged("changed", False, ("named:novelamine",), recorded, after)


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
    assert research.get(desk.db, run_id).state == "queued"
    field.work()
    run = research.get(desk.db, run_id)
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
    (found,) = research.of_case(desk.db, part)
    assert found["before"]["named"] == []
    assert found["after"]["named"] == ["lactose", "novelamine"]
    assert found["library"] == "test 2"
    # Again: nothing is left to do, and nothing is done twice.
    assert field.start() == run_id
    assert field.work() == 0
    assert research.get(desk.db, run_id) == run
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
        ("caffeine",), ("cocaine", "mannitol"), ("novelamine",), ("lactose", "novelamine"),
        ("novelamine", "paracetamol"), ("mannitol", "fentanyl-x"), ("lactose", "cocaine"), ("fentanyl-x",),
    ):  # fmt: skip
        shares = [1.0, rng.uniform(0.3, 0.9)][: len(names)]
        told = tuple(sorted(set(names) & set(OLD)))
        decision = None if len(told) in (0, len(names)) else "inconclusive"
        field.scan(*zip(names, shares, strict=True), named=told, decision=decision)
    run_id = field.start()
    field.work()
    with field.desk.db.read() as tx:
        run = research._run(tx, run_id)
        refs = [research.ScanRef(*row) for row in tx.execute(sa.select(*list(tables.spectra.primary_key)))]
    target = research.target_of(field.desk.db, run)
    wanted = set()
    for ref in refs:
        scan, spectrum = research.read_scan(field.desk.db, ref)
        if judge(spectrum, scan.recorded, target.libraries).outcome == "changed":
            wanted.add((ref.device_id, ref.seq))
    found = {(hit["device_id"], hit["seq"]) for hit in field.hits(outcome="changed")}
    assert found == wanted
    assert len(wanted) == 5


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
    assert research.get(desk.db, run_id).removed == 1


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


# --- exactly once ------------------------------------------------------------------------------------------


def many(field, count=14):
    """Answered cases on both tablets, of which every third changes; returns those."""
    changing = set()
    for i in range(count):
        novel = i % 3 == 0
        name = "novelamine" if novel else OLD[i % 5]
        named = () if novel else (name,)
        case_id = field.scan((name, 1.0), named=named, tablet=field.desk.other if i % 2 else None)
        field.answer(case_id, *named)
        changing |= {case_id} if novel else set()
    return changing


def reopened(field):
    with field.desk.db.read() as tx:
        rows = tx.execute(
            sa.select(tables.answers.c.case_id).where(tables.answers.c.kind == "notice")
        ).scalars()
        return sorted(rows)


class _Killed:
    """Ends the process without a word at its n-th statement or commit."""

    def __init__(self, db, n):
        self.left = n
        sa.event.listen(db.engine, "before_cursor_execute", self.step)
        sa.event.listen(db.engine, "after_cursor_execute", self.step)
        sa.event.listen(db.engine, "commit", self.step)

    def step(self, *_):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def worker_that_dies(field, n):
    """A process that works until its n-th step; returns whether it lived to the end."""
    db = field.desk.db
    url = db.engine.url.render_as_string(hide_password=False)
    db.close()  # no connection goes into two processes
    child = os.fork()
    if child == 0:
        try:
            own = open_database(url, db.folder)
            _Killed(own, n)
            research.work(own, ServerKeys.open(db.folder), now=field.desk.now, judge=stub, shard_rows=SOME)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are killed where there is fork")
@pytest.mark.parametrize("seed", [1, 2])
def test_workers_killed_at_random_lose_and_double_nothing(field, seed):
    changing = many(field, 10)
    run_id = field.start()
    rng = random.Random(seed)
    killed = 0
    while not worker_that_dies(field, rng.randint(5, 60)):
        killed += 1
        # What the dead one had is taken over when its lease is out, and not before.
        state = research.get(field.desk.db, run_id)
        assert killed < 200
        if rng.random() < 0.5 and state.parts:
            field.desk.passes(minutes=11)
    field.desk.passes(minutes=11)
    field.work(judge=stub)
    run = research.get(field.desk.db, run_id)
    assert killed > 2
    assert (run.state, run.searched, run.parts_done) == ("done", 10, run.parts)
    assert reopened(field) == sorted(changing)
    assert {hit["case_id"] for hit in field.hits(outcome="changed")} == changing
    with field.desk.db.read() as tx:
        parts = tx.execute(
            sa.select(tables.audit.c.facts).where(tables.audit.c.action == "research")
        ).scalars()
        done = [json.loads(facts)["rows"] for facts in parts if json.loads(facts)["event"] == "part"]
    assert sorted(done) == [[0, 4], [4, 8], [8, 10]]
    field.sound()


def begun(field):
    """A run with parts, and the archive behind them."""
    archive = Archive(field.desk.db, shard_rows=SOME)
    return research.forward(field.desk.db, archive, now=field.desk.time), archive


def test_a_part_is_one_workers_until_its_lease_is_out(field):
    many(field, 3)
    run_id = field.start()
    begun(field)
    first = research.claim(field.desk.db, run_id, "one", now=field.desk.time)
    assert (first.start, first.stop, first.token) == (0, 3, 1)
    assert research.claim(field.desk.db, run_id, "two", now=field.desk.time) is None
    field.desk.passes(minutes=9)
    assert research.renew(field.desk.db, first, now=field.desk.time)
    field.desk.passes(minutes=9)
    assert research.claim(field.desk.db, run_id, "two", now=field.desk.time) is None
    field.desk.passes(minutes=2)
    second = research.claim(field.desk.db, run_id, "two", now=field.desk.time)
    assert second.token == 2
    # The first comes back: it may neither go on nor store.
    assert not research.renew(field.desk.db, first, now=field.desk.time)
    assert not research.complete(field.desk.db, field.desk.keys, first, [], passed=0, now=field.desk.time)
    assert research.complete(field.desk.db, field.desk.keys, second, [], passed=0, now=field.desk.time)
    assert not research.complete(field.desk.db, field.desk.keys, second, [], passed=0, now=field.desk.time)
    assert research.get(field.desk.db, run_id).parts_done == 1


def test_a_worker_that_was_overtaken_stores_nothing(field):
    changing = many(field, 4)
    field.start()

    def slow(spectrum, recorded, libraries):
        # While this one thinks, its lease runs out and another does the part.
        if not field.hits():
            field.desk.passes(minutes=30)
            assert field.work(judge=stub, holder="quick") == 1
        return stub(spectrum, recorded, libraries)

    assert field.work(judge=slow, holder="slow") == 0
    assert len(field.hits()) == len({(h["device_id"], h["seq"]) for h in field.hits()})
    assert reopened(field) == sorted(changing)


def test_two_workers_at_a_time(field):
    """Interleaved part by part: together they do each once."""
    changing = many(field)
    run_id = field.start()
    done = [0, 0]
    turn = 0
    while done[turn] is not None and (n := field.work(judge=stub, most=1, holder=f"w{turn}")):
        done[turn] += n
        turn = 1 - turn
    assert done == [2, 2]
    assert research.get(field.desk.db, run_id).state == "done"
    assert reopened(field) == sorted(changing)


def test_it_resumes_where_it_stopped(field):
    changing = many(field)
    run_id = field.start()
    assert field.work(judge=stub, most=2) == 2
    half = research.get(field.desk.db, run_id)
    assert (half.state, half.searched) == ("running", 8)
    assert field.work(judge=stub) == 2
    assert reopened(field) == sorted(changing)


def test_a_part_that_breaks_is_left_for_another(field):
    changing = many(field, 5)
    field.start()
    with pytest.raises(ZeroDivisionError):
        field.work(judge=lambda *_: 1 / 0)
    assert field.work(judge=stub) == 1  # the other part; the first is still claimed
    field.desk.passes(minutes=11)
    assert field.work(judge=stub) == 1
    assert reopened(field) == sorted(changing)


# --- what comes in meanwhile -------------------------------------------------------------------------------


def test_packets_that_come_in_during_a_run_are_searched_too(field):
    changing = many(field, 6)
    run_id = field.start()
    assert field.work(judge=stub, most=1) == 1
    late = field.scan(("novelamine", 1.0))
    field.answer(late)
    field.work(judge=stub)
    assert reopened(field) == sorted(changing | {late})
    run = research.get(field.desk.db, run_id)
    assert (run.state, run.searched) == ("done", 7)
    # And after it: a tablet that was offline, with the library of before; not for ever.
    field.desk.passes(days=20)
    later = field.scan(("novelamine", 1.0))
    with_new = field.scan(("novelamine", 1.0), library="2", decision="inconclusive")
    field.answer(later)
    field.answer(with_new)
    field.work(judge=stub)
    assert reopened(field) == sorted(changing | {late, later})
    assert research.get(field.desk.db, run_id).searched == 9
    assert len(field.hits()) == len({(h["device_id"], h["seq"]) for h in field.hits()})
    field.desk.passes(days=181)
    field.scan(("novelamine", 1.0))
    assert field.work(judge=stub) == 0


def test_a_library_that_changes_during_a_run(field, tmp_path):
    changing = many(field, 10)
    first = field.start()
    seen = set()

    def noting(spectrum, recorded, libraries):
        seen.add(libraries.after[1])
        assert open_library(libraries.after[0]).sha256 == libraries.after[1]
        return stub(spectrum, recorded, libraries)

    assert field.work(judge=noting, most=1) == 1
    bound = research.get(field.desk.db, first).to_sha256
    # The next release takes the place of the file that the run was started with.
    third = library(tmp_path / "third.h5", *NAMES[:6], version="3")
    field.before, field.after = library(tmp_path / "b2.h5", *NAMES, version="2"), field.after
    field.after.write_bytes(third.read_bytes())
    second = field.start(now=field.desk.time)
    assert second != first
    assert field.work(judge=noting, most=2) == 2
    assert seen == {bound}
    states = {run.run_id: run.state for run in research.listed(field.desk.db)}
    assert states[second] == "queued"
    field.work(judge=noting)
    runs = research.listed(field.desk.db)
    assert [(run.run_id, run.state) for run in runs] == [(second, "done"), (first, "done")]
    assert {hit["library_sha256"] for hit in field.hits(run_id=first)} == {bound}
    assert reopened(field) == sorted(changing)


def test_a_library_file_that_is_not_the_runs_is_refused(field):
    many(field, 3)
    run_id = field.start()
    with field.desk.db.read() as tx:
        target = research.target_of(field.desk.db, research._run(tx, run_id))
    other = library(field.folder / "other.h5", *OLD, version="9")
    kept = target.libraries.after[0]
    os.chmod(kept, 0o600)
    with open(kept, "wb") as file:
        file.write(other.read_bytes())
    field.work()
    assert {hit["outcome"] for hit in field.hits()} <= {"failed"}
    assert reopened(field) == []


# --- starting one ------------------------------------------------------------------------------------------


def test_what_changed_is_found_by_comparing_the_libraries(field):
    with field.desk.db.read() as tx:
        run = research._run(tx, field.start())
    target = research.target_of(field.desk.db, run)
    slugs = {i.id: i.compound_slug for i in open_library(field.after).references}
    assert {slugs[one] for one in target.changed} == {"novelamine", "fentanyl-x"}
    assert target.removed == target.suspects == ()
    assert target.deadly == ("fentanyl-x",)


def test_what_cannot_be_started(field, tmp_path):
    with pytest.raises(ParameterError, match="a reference of"):
        field.start(changed=["nobody-raman-1"])
    with pytest.raises(ParameterError, match="library before"):
        field.start(removed=["x"], before=None, changed=[])
    with pytest.raises(ParameterError, match="at least one"):
        field.start(before=field.after)
    with pytest.raises(NotFoundError):
        research.get(field.desk.db, "R-none")


def test_scans_are_read_as_they_were_measured(field):
    field.scan(("lactose", 1.0), named=("lactose",))
    with field.desk.db.read() as tx:
        ref = research.ScanRef(*tx.execute(sa.select(*list(tables.spectra.primary_key))).one())
    scan, spectrum = research.read_scan(field.desk.db, ref)
    assert scan.recorded == Answer("identified", "unknown", ("lactose",))
    assert np.allclose(spectrum.axis, AXIS)
    assert np.allclose(spectrum.intensity, values(("lactose", 1.0), seed=1), atol=1e-6)


def test_leases_are_text_of_one_length(field):
    many(field, 3)
    run_id = field.start()
    begun(field)
    research.claim(field.desk.db, run_id, "one", now=field.desk.time)
    with field.desk.db.read() as tx:
        (until,) = tx.execute(sa.select(research_shards.c.until_utc)).scalars()
    assert until == to_text(field.desk.time + research.LEASE)
