"""Group commit: packets that wait for the writer go into one transaction, each as if it had come alone."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
from functools import partial

import pytest
import sqlalchemy as sa

from spectralid.casework import messages
from spectralid.casework.packet import open_packet
from spectralid.reachback.errors import DeviceRefusedError, StorageFullError, UnavailableError
from spectralid.reachback.store import audit, tables
from spectralid.reachback.store.intake import Line, Waiting
from spectralid.reachback.tablets import enrolled, ingest, storing
from spectralid.reachback.tablets.projections import project
from spectralid.reachback.tablets.storing import Arriving, Clash, Ingested
from tests.reachback.desk import Tablet


def rows(db, name):
    table = tables.metadata.tables[name]
    with db.read() as tx:
        found = tx.execute(sa.select(table).order_by(*table.primary_key.columns)).mappings()
        return [dict(row) for row in found]


def arriving(desk, raw, device="of packet"):
    packet = open_packet(raw, None)
    device = packet.device_id if device == "of packet" else device
    return Arriving(
        packet, project(packet, received_utc="2026-11-22T12:00:00.000000Z"), device, desk.time, desk.keys
    )


def together(desk, *raws):
    group = [arriving(desk, raw) for raw in raws]
    storing.store(desk.db, group)
    return group


def is_whole(desk):
    return audit.verify(desk.db, trusted=desk.keys.trusted) == ()


# --- in one transaction as one by one ----------------------------------------------------------------------


def story(tablet):
    """What depends on what came before: cases that open and change; the fourth is late, and leaves a gap."""
    made = [
        tablet.seizure("S-1"),
        tablet.item("I-1", "S-1"),
        tablet.scan("S-1", values=(1.0, 7.25, 3.0)),
        tablet.scan("S-1", alarm="danger", families=("nitazene",)),
        tablet.strip(seizure="S-1"),
        tablet.scan("S-2", values=(1.0, 7.25, 3.0), decision="no_match"),
        tablet.send("S-2"),
        tablet.scan("S-3"),
    ]
    return made[:3] + made[4:], made[3]


TABLES = (
    "audit",
    "cases",
    "rounds",
    "chains",
    "gaps",
    "case_links",
    "scans",
    "spectra",
    "strips",
    "items",
    "sends",
)


def test_a_group_leaves_what_single_packets_leave(desk, tmp_path, kind, request):
    from tests.reachback.conftest import fresh
    from tests.reachback.desk import Desk

    first, late = story(desk.tablet)
    for raw in (*first, late):
        desk.ingest(raw)
    alone = {name: rows(desk.db, name) for name in TABLES}
    receipts = [row["receipt"] for row in rows(desk.db, "packets")]
    db = fresh(kind, tmp_path / "other", request)
    try:
        other = Desk(db)
        other.keys = desk.keys
        with db.begin() as tx:
            tx.execute(tables.device_keys.delete())
        for tablet in (desk.tablet, desk.other):
            # The log has to say the same, so that nothing but the packets can differ.
            with db.begin() as tx:
                row = {
                    "keyid": tablet.key.keyid,
                    "device_id": tablet.device_id,
                    "public": tablet.key.public.raw,
                }
                tx.execute(tables.device_keys.insert(), {**row, "added_utc": "2026"})
        # A group may have overtaken itself on its way; numbers say what came first.
        shuffled = [first[n] for n in (6, 0, 3, 2, 1, 5, 4)]
        assert [one.outcome().status for one in together(other, *shuffled)] == [201] * len(first)
        assert together(other, late)[0].outcome().status == 201
        for name in TABLES:
            same = {"audit": ("action", "subject", "facts")}.get(name)
            got = rows(db, name)
            if same:
                got, alone[name] = (
                    sorted(tuple(row[c] for c in same) for row in some if row["action"] not in ("enrol",))
                    for some in (got, alone[name])
                )
            assert got == alone[name], name
        assert len(rows(db, "packets")) == len(receipts)
        assert is_whole(other)
    finally:
        db.close()


def test_receipts_of_a_group_are_each_of_its_own_entry(desk):
    made = [desk.tablet.scan(f"S-{n}") for n in range(4)] + [desk.other.scan()]
    for one in together(desk, *made):
        tablet = desk.tablet if one.device == "tablet-1" else desk.other
        receipt = messages.parse_receipt(one.outcome().receipt, desk.trust(tablet))
        assert receipt.packet_sha256 == one.packet.sha256
        assert audit.read_checkpoint(receipt.checkpoint, desk.keys.trusted).n == receipt.audit_n
    assert is_whole(desk)


def test_every_question_of_a_group_goes_by_an_index(desk):
    if desk.db.dialect == "postgresql":
        pytest.skip("PostgreSQL reads small tables whole, index or not")
    with desk.db.read() as tx:
        for name in ("_DEVICES", "_CHAINS", "_NUMBERED", "_NAMED", "_CASES", "_SHARED"):
            asked = getattr(storing, name).params(some=["1", "2"], of=["3", "4"])
            text = str(asked.compile(tx, compile_kwargs={"render_postcompile": True, "literal_binds": True}))
            plan = [row.detail for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
            assert not [step for step in plan if step.startswith("SCAN")], (name, plan)


# --- one bad packet among good ones ------------------------------------------------------------------------


def test_what_is_refused_takes_nobody_with_it(desk):
    here = desk.tablet.scan()
    desk.ingest(here)
    twin = Tablet("tablet-1", desk.tablet.key)
    gone = desk.enrol("tablet-3")
    revoked = gone.scan()
    enrolled.revoke(desk.db, "tablet-3", why="lost", by="admin", now=desk.time)
    new = desk.other.scan()
    group = together(desk, twin.scan(), new, here, revoked, new, desk.tablet.scan())
    clash, first, replay, refusal, again, last = group
    assert isinstance(clash.outcome(), Clash)
    assert [one.outcome().status for one in (first, replay, again, last)] == [201, 200, 200, 201]
    assert first.outcome().receipt == again.outcome().receipt
    with pytest.raises(DeviceRefusedError):
        refusal.outcome()
    assert len(rows(desk.db, "packets")) == 3
    assert is_whole(desk)


def test_what_the_database_refuses_takes_nobody_with_it(desk):
    """A row that no check foresaw: the group is undone, and taken one by one."""
    good, bad = (
        [arriving(desk, desk.tablet.scan(f"S-{n}")) for n in range(4)],
        arriving(desk, desk.other.scan()),
    )
    bad.projected.rows["spectra"][0]["role"] = None
    storing.store(desk.db, [*good[:2], bad, *good[2:]])
    assert [one.outcome().status for one in good] == [201] * 4
    with pytest.raises(sa.exc.IntegrityError):
        bad.outcome()
    assert {row["device_id"] for row in rows(desk.db, "packets")} == {"tablet-1"}
    assert {row["device_id"] for row in rows(desk.db, "cases")} == {"tablet-1"}
    assert is_whole(desk)


@pytest.mark.parametrize("error", [StorageFullError("full"), UnavailableError("gone")])
def test_nobody_is_told_anything_before_the_commit(desk, monkeypatch, error):
    """The commit fails: everybody is told so, nothing is stored, and sending again brings the receipt."""
    made = [desk.tablet.scan(), desk.other.scan()]

    def fails(tx):
        raise error

    group = [arriving(desk, raw) for raw in made]
    with monkeypatch.context() as patch:
        patch.setattr(storing._Group, "_link", fails)
        storing.store(desk.db, group)
    for one in group:
        with pytest.raises(type(error)):
            one.outcome()
    assert rows(desk.db, "packets") == []
    assert [desk.ingest(raw).status for raw in made] == [201, 201]
    assert is_whole(desk)


# --- the line ----------------------------------------------------------------------------------------------


def in_threads(works):
    failed = []

    def run(work):
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return failed


def test_who_waits_while_one_leads_goes_with_the_next():
    line, groups, waiting = Line(), [], threading.Event()
    works = [Waiting(1) for _ in range(6)]

    def lead(group):
        if not groups:
            # The first leads alone, until the others stand in the line.
            waiting.set()
            while len(line._waiting) < 5:
                pass
        groups.append(len(group))
        for one in group:
            one.end(None)

    def bring(work):
        if work is not works[0]:
            waiting.wait()
        line.bring(work, lead)

    assert in_threads([partial(bring, work) for work in works]) == []
    assert groups == [1, 5]


def test_a_group_has_an_end():
    line, groups = Line(), []
    for _ in range(120):
        line._waiting.append(Waiting(1))
    line._waiting.append(Waiting(20 * 1024 * 1024))

    def lead(group):
        groups.append([one.size for one in group])
        for one in group:
            one.end(None)

    line.bring(Waiting(1), lead)
    assert [len(group) for group in groups] == [50, 50, 20, 1, 1]


def test_a_leader_that_is_broken_off_leaves_nobody_waiting():
    line, first, here = Line(), Waiting(1), Waiting(1)
    line._waiting.append(first)

    def lead(group):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        line.bring(here, lead)
    for one in (first, here):
        with pytest.raises(UnavailableError):
            one.outcome()
    after = Waiting(1)
    line.bring(after, lambda group: [one.end("done") for one in group])
    assert after.outcome() == "done"


# --- many threads ------------------------------------------------------------------------------------------


def test_many_tablets_at_once_each_packet_once(desk):
    tablets = [desk.enrol(f"field-{n}") for n in range(12)]
    made = {tablet: [tablet.scan("S-1") for _ in range(8)] for tablet in tablets}
    done = []

    def hand_over(tablet):
        for raw in made[tablet]:
            done.append(desk.ingest(raw))
            if len(done) % 3 == 0:
                done.append(desk.ingest(raw))

    assert in_threads([partial(hand_over, tablet) for tablet in tablets for _ in range(2)]) == []
    assert sum(one.status == 201 for one in done) == 12 * 8
    stored = rows(desk.db, "packets")
    assert sorted(row["raw"] for row in stored) == sorted(raw for some in made.values() for raw in some)
    assert {one.receipt for one in done} == {row["receipt"] for row in stored}
    assert not any(row["chain_broken"] for row in stored)
    assert ingest.gaps_of(desk.db) == ()
    assert {case["scans"] for case in rows(desk.db, "cases")} == {8}
    assert [row["n"] for row in rows(desk.db, "audit")] == list(range(1, len(rows(desk.db, "audit")) + 1))
    assert is_whole(desk)


# --- a crash -----------------------------------------------------------------------------------------------

CRASH = """
import os, sys, threading
from datetime import UTC, datetime
from spectralid.reachback.tablets import ingest, storing
from spectralid.reachback.store.database import open_database
from spectralid.reachback.store.serverkeys import ServerKeys

folder, url, when = sys.argv[1], sys.argv[2] or None, sys.argv[3]
db = open_database(url, folder)
keys = ServerKeys.open(db.folder)
stored = storing._Group.stored
alone = threading.Event()

def dies(group):
    outcomes = stored(group)
    if len(group.group) > 1 and when == "before the commit":
        os._exit(9)
    alone.set()
    return outcomes

storing._Group.stored = dies
packets = [bytes.fromhex(line) for line in sys.stdin]
lock = threading.Lock()

def send(raw):
    done = ingest.ingest(db, raw, device=None, idempotency_key=None, now=lambda: datetime.now(UTC), keys=keys)
    with lock:
        print(done.receipt.hex(), flush=True)

with db.begin():
    first = threading.Thread(target=send, args=(packets[0],))
    first.start()
    while not db.line._led:
        pass
    others = [threading.Thread(target=send, args=(raw,)) for raw in packets[1:]]
    for thread in others:
        thread.start()
    while len(db.line._waiting) < len(others):
        pass
first.join()
for thread in others:
    thread.join()
"""


@pytest.mark.parametrize("when", ["before the commit", "never"])
def test_a_crash_loses_nothing_that_was_receipted(desk, when, request, kind):
    """The process ends between the rows of a group and its commit: none is there, and no receipt of any."""
    made = [desk.tablet.scan(f"S-{n}") for n in range(6)]
    url = request.getfixturevalue("pg").url("main") if kind == "postgresql" else ""
    done = subprocess.run(
        [sys.executable, "-c", CRASH, str(desk.db.folder), url, when],
        input="\n".join(raw.hex() for raw in made), capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == (9 if when == "before the commit" else 0), done.stderr
    receipted = {bytes.fromhex(line) for line in done.stdout.split()}
    stored = rows(desk.db, "packets")
    assert {row["receipt"] for row in stored} == receipted
    assert len(stored) == (1 if when == "before the commit" else 6)
    assert stored[0]["sha256"] == hashlib.sha256(made[0]).hexdigest()
    again = [desk.ingest(raw) for raw in made]
    assert sum(one.status == 200 for one in again) == len(stored)
    assert len(rows(desk.db, "packets")) == 6
    assert all(isinstance(one, Ingested) for one in again)
    assert is_whole(desk)


# --- what is kept of the log in a transaction --------------------------------------------------------------


def test_the_head_of_the_log_is_kept_only_as_long_as_it_is_true(desk):
    def say(tx, subject):
        audit.append(tx, "ada", "test", subject, {}, now=desk.time)

    with desk.db.begin() as tx:
        say(tx, "x")
        savepoint = tx.begin_nested()
        say(tx, "undone")
        savepoint.rollback()
        say(tx, "y")
    with contextlib.suppress(ZeroDivisionError), desk.db.begin() as tx:
        say(tx, "undone")
        raise ZeroDivisionError
    with desk.db.begin() as tx:
        say(tx, "z")
    said = [(row["n"], row["subject"]) for row in rows(desk.db, "audit")]
    assert [subject for _, subject in said[-3:]] == ["x", "y", "z"]
    assert [n for n, _ in said] == list(range(1, len(said) + 1))
    assert is_whole(desk)


def test_entries_that_are_gathered_are_written_in_their_order(desk):
    with desk.db.begin() as tx, audit.gathered(tx):
        for number in range(3):
            audit.append(tx, "ada", "test", "x", {"number": number}, now=desk.time)
    assert [json.loads(row["facts"]) for row in rows(desk.db, "audit")[-3:]] == [
        {"number": n} for n in range(3)
    ]
    assert is_whole(desk)
