"""Re-search, exactly once: workers killed and overtaken, libraries and packets that come in meanwhile."""

from __future__ import annotations

import json
import os
import random
import signal

import pytest
import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.errors import LibraryError
from spectralid.library import open_library
from spectralid.reachback.research import runs as research
from spectralid.reachback.research.archive import Archive
from spectralid.reachback.research.tables import research_shards
from spectralid.reachback.store import tables
from spectralid.reachback.store.database import open_database
from spectralid.reachback.store.serverkeys import ServerKeys
from tests.reachback.again import OLD, SOME, Field, many, reopened, stub
from tests.reachback.world import NAMES, library


@pytest.fixture
def field(desk, tmp_path):
    return Field(desk, tmp_path)


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
def test_workers_killed_at_random_lose_and_double_nothing(field):
    changing = many(field, 10)
    run_id = field.start()
    rng = random.Random(1)
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
    assert sorted(done) == [1, 2]
    assert research.get(field.desk.db, run_id).state == "done"
    assert reopened(field) == sorted(changing)


def test_it_resumes_where_it_stopped(field):
    changing = many(field)
    run_id = field.start()
    assert field.work(judge=stub, most=2) == 2
    half = research.get(field.desk.db, run_id)
    assert (half.state, half.searched) == ("running", 8)
    assert field.work(judge=stub) == 1
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


def test_leases_are_text_of_one_length(field):
    many(field, 3)
    run_id = field.start()
    begun(field)
    research.claim(field.desk.db, run_id, "one", now=field.desk.time)
    with field.desk.db.read() as tx:
        (until,) = tx.execute(sa.select(research_shards.c.until_utc)).scalars()
    assert until == to_text(field.desk.time + research.LEASE)


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
    for _ in range(2):
        # It stops and says so, and does not take an empty result for one.
        with pytest.raises(LibraryError, match="bound to"):
            field.work()
        field.desk.passes(minutes=11)
    assert research.get(field.desk.db, run_id).searched == 0
