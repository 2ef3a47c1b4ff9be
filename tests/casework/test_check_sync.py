"""Records of instrument checks reach the server once, whatever the line, the tablet and the server do."""

import base64
import json
import random
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from spectralid.casework import inbox, instrument_checks, outbox, schema
from spectralid.casework.errors import StoreError
from spectralid.casework.sync import SyncReport
from spectralid.cli import main
from tests.casework.field import enrolled_field
from tests.casework.server_double import (
    IPV_RECEIPT,
    ServerKey,
    answers_with,
    captive_portal,
    closes_after,
    gives,
    loses_reply,
    problem,
    resets_mid_body,
)


@pytest.fixture
def field(tmp_path):
    with enrolled_field(tmp_path) as made:
        yield made


def check(field, name, outcome="passed"):
    body = {"ipv_id": name, "time": "2026-11-22T12:00:00Z", "outcome": outcome, "passed": outcome == "passed"}
    instrument_checks.enter(field.store, body, kind="instrument checked", facts={"check": name}, serial="A-1")


def states(field):
    return {row.ipv_id: (row.state, row.code) for row in instrument_checks.states(field.store)}


def foreign(reply):
    return ServerKey().envelope(IPV_RECEIPT, base64.b64decode(json.loads(reply.body)["payload"]))


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (closes_after(20), "cut"),
        (resets_mid_body, "cut"),
        (loses_reply, "cut"),
        (captive_portal, "not-the-server"),
        (gives(foreign), "receipt-not-trusted"),
        (answers_with(problem(404, "no such place")), "unexpected"),
        (answers_with(problem(500, "oops")), "server-error"),
        (answers_with(problem(503, "down")), "busy"),
    ],
)
def test_after_any_fault_every_check_is_there_once(field, fault, code):
    field.capture(1)
    check(field, "c-1")
    check(field, "c-2", "failed")
    field.server.script("ipv", fault)
    with field.sync() as sync:
        sync.once()
        assert states(field)["c-1"] == ("queued", code)
        assert field.states() == ["received"], "a packet does not wait for a check"
        field.clock.advance(600)
        assert set(sync.once().checks) >= {"c-1"}
        assert sync.once() == SyncReport(online=True)
    assert states(field) == {"c-1": ("received", ""), "c-2": ("received", "")}
    assert set(field.server.checks) == {"c-1", "c-2"}
    assert field.kinds().count("received") == 3
    assert not field.store.custody.verify()


def test_what_the_server_refuses_asks_for_a_person(field):
    check(field, "c-1")
    check(field, "c-2")
    field.server.script("ipv", answers_with(problem(422, "not signed by this tablet")))
    with field.sync() as sync:
        sync.once()
        assert states(field) == {"c-1": ("attention", "refused"), "c-2": ("received", "")}
        assert instrument_checks.summary(field.store) == {"queued": 0, "received": 1, "attention": 1}
        field.clock.advance(86_400)
        assert sync.once() == SyncReport(online=True), "it is not sent again by itself"
        outbox.retry_now(field.store)
        assert sync.once().checks == ("c-1",)


def test_a_restored_server_is_offered_its_checks_again(field):
    field.capture(1)
    check(field, "c-1")
    with field.sync() as sync:
        sync.once()
        # From yesterday's backup: neither the packet nor the check is there.
        field.server.packets.clear()
        field.server.checks.clear()
        field.server.audit_n = 0
        field.server.utc = "2026-11-22T13:00:00Z"
        field.server.notices = [field.server.notice_missing("tablet-7", (1, field.store.history()[0].sha256))]
        sync.once()
        assert set(field.server.checks) == {"c-1"}
        delivered = len(field.server.check_deliveries)
        for _ in range(3):  # The notice stands in the inbox for a while, and asks for nothing any more.
            sync.once()
        assert len(field.server.check_deliveries) == delivered
    assert states(field) == {"c-1": ("received", "")}


def test_a_server_that_went_back_in_silence_is_found_out_by_a_new_check(field):
    made = field.capture(2)
    check(field, "c-1")
    with field.sync() as sync:
        sync.once()
        field.server.packets.clear()
        field.server.checks.clear()
        field.server.audit_n = 0
        check(field, "c-2")
        assert sync.once().offered == len(made)
        sync.once()
    assert set(field.server.checks) == {"c-1", "c-2"}
    assert len(field.server.packets) == 2


def test_the_command_line_says_where_they_stand(field, capsys):
    check(field, "c-1", "failed")
    folder = field.folder / "tablet"
    field.store.close()
    assert main(["packets", "list", "--data", str(folder)]) == 0
    assert re.search(r"^check +2026-11-22T12:00:00Z +failed +queued$", capsys.readouterr().out, re.M)
    assert main(["packets", "send", "--data", str(folder)]) == 0
    assert "1 checks of instruments received" in capsys.readouterr().out
    assert main(["packets", "list", "--json", "--data", str(folder)]) == 0
    assert [row["state"] for row in json.loads(capsys.readouterr().out)["checks"]] == ["received"]
    field.store = field.open()


def test_a_receipt_may_come_by_another_way(field):
    check(field, "c-1")
    with field.sync() as sync:
        field.server.script("ipv", loses_reply)
        sync.once()
        (raw,) = field.server.checks["c-1"][:1]
        receipt = field.server._check(raw).body
        assert inbox.take_message(field.store, receipt, sync._trust).new
        assert not inbox.take_message(field.store, receipt, sync._trust).new
    assert states(field) == {"c-1": ("received", "")}


def test_a_damaged_record_is_not_sent_as_if_it_were_sound(field):
    check(field, "c-1")
    with pytest.raises(StoreError, match="never changed"), field.store.transaction() as tx:
        tx.execute("UPDATE checks SET raw = x'00'")
    field.store.close()
    with sqlite3.connect(field.folder / "tablet" / "casework.db") as file:
        file.execute("DROP TRIGGER checks_fixed")
        file.execute("UPDATE checks SET raw = x'00'")
    file.close()
    field.store = field.open()
    with field.sync() as sync:
        sync.once()
    assert states(field) == {"c-1": ("attention", "damaged")}
    assert field.server.check_deliveries == []


def test_a_store_from_before_there_were_checks_gets_a_place_for_them(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(schema, "STEPS", schema.STEPS[:1])
        with enrolled_field(tmp_path) as field:
            field.capture(1)
            field.store.close()
            patch.undo()
            field.store = field.open()
            check(field, "c-1")
            with field.sync() as sync:
                assert sync.once().checks == ("c-1",)
            assert field.states() == ["received"]


_TABLET = """
import sys
from spectralid.casework import instrument_checks
from spectralid.casework.enrolment import enrolled_endpoint
from spectralid.casework.store import CaseStore
from spectralid.casework.sync import Sync

with CaseStore.open(sys.argv[1], ballast_bytes=4096) as store:
    sync = Sync(store, enrolled_endpoint(store))
    n = len(instrument_checks.states(store, limit=10_000))
    while True:
        n += 1
        body = {"ipv_id": f"c-{n}", "time": "2026-11-22T12:00:00Z", "outcome": "passed", "passed": True}
        instrument_checks.enter(store, body, kind="instrument checked", facts={"check": n}, serial="A-1")
        print(f"c-{n}", flush=True)
        sync.once()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_a_tablet_killed_at_any_moment(tmp_path):
    chance = random.Random(11)
    with enrolled_field(tmp_path) as field:
        told: list[str] = []
        for _ in range(3):
            field.store.close()
            child = subprocess.Popen(
                [sys.executable, "-c", _TABLET, str(field.folder / "tablet")],
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).resolve().parents[2],
            )
            told += [child.stdout.readline().strip() for _ in range(chance.randint(1, 4))]
            # A moment of another length each time, so that the kill falls anywhere in a round.
            sum(range(chance.randint(0, 400_000)))
            child.kill()
            rest, _ = child.communicate()
            assert child.returncode == -signal.SIGKILL
            told += [line.strip() for line in rest.splitlines(keepends=True) if line.endswith("\n")]
            field.store = field.open()
        with field.sync() as sync:
            outbox.retry_now(field.store)
            sync.once()
        rows = instrument_checks.states(field.store, limit=10_000)
        assert set(told) <= {row.ipv_id for row in rows}
        assert {row.state for row in rows} == {"received"}
        assert set(field.server.checks) == {row.ipv_id for row in rows}
        kinds = field.kinds()
        assert kinds.count("instrument checked") == kinds.count("received") == len(rows)
        assert not field.store.custody.verify()
