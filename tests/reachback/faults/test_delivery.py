"""The same packets by every way, in every order, as often as they like: one of each, and the chain whole."""

from __future__ import annotations

import hashlib
import random

import pytest
import sqlalchemy as sa

from spectralid.casework import messages
from spectralid.reachback.errors import BadPacketError, DeviceRefusedError, KeyReusedError
from spectralid.reachback.store import audit, tables
from spectralid.reachback.tablets import enrolled, ingest
from tests.reachback.desk import Tablet
from tests.reachback.faults.direct import rows


@pytest.mark.parametrize("seed", range(3))
def test_duplicated_and_reordered_by_stick_and_line(desk, seed):
    """Row 13: whatever the order, one packet each, no gap left, the chain as the tablet made it."""
    chance = random.Random(seed)
    made = [desk.tablet.seizure(), *(desk.tablet.scan() for _ in range(6))]
    made += [desk.other.seizure("S-2"), *(desk.other.scan("S-2") for _ in range(3))]
    ways = [(raw, way) for raw in made for way in ("line", "stick", "stick")]
    chance.shuffle(ways)
    given = {}
    for raw, way in ways:
        done = desk.ingest(raw) if way == "line" else desk.ingest(raw, device=None, key=None)
        assert given.setdefault(raw, done.receipt) == done.receipt
    packets = rows(desk, "packets")
    assert len(packets) == len(made) == len({row["sha256"] for row in packets})
    chain = {(row["device_id"], row["seq"]): row for row in packets}
    for (device_id, seq), row in chain.items():
        if seq > 1:
            assert row["prev"] == chain[device_id, seq - 1]["sha256"]
        assert not row["chain_broken"]
    assert ingest.gaps_of(desk.db) == ()
    assert sorted(case["scans"] for case in rows(desk, "cases")) == [3, 6]
    assert audit.verify(desk.db, trusted=desk.keys.trusted) == ()


def test_a_receipt_is_the_same_byte_for_byte_for_ever(desk):
    """Row 12, at the server: days later, by another way, after its key was changed."""
    raw = desk.tablet.scan()
    first = desk.ingest(raw)
    desk.passes(days=40)
    desk.keys = type(desk.keys).rotate(desk.db.folder)
    for device, key in (("tablet-1", "sha256"), (None, None)):
        again = desk.ingest(raw, device=device, key=key)
        assert (again.status, again.receipt) == (200, first.receipt)
    assert len(rows(desk, "cases")) == 1


def test_one_number_two_bodies(desk):
    """Row 14: 422, on record, and both are kept, by whichever way the second comes."""
    twin = Tablet("tablet-1", desk.tablet.key)
    one, other = desk.tablet.scan(), twin.scan()
    desk.ingest(one)
    for device, key in (("tablet-1", "sha256"), (None, None)):
        with pytest.raises(KeyReusedError) as refused:
            desk.ingest(other, device=device, key=key)
        assert refused.value.status == 422
    assert [row["raw"] for row in rows(desk, "packets")] == [one]
    assert [row["raw"] for row in rows(desk, "quarantine")] == [other]
    alarms = [row for row in rows(desk, "audit") if row["action"] == "refused"]
    assert [row["subject"] for row in alarms] == [f"packet:{hashlib.sha256(other).hexdigest()}"]


def test_a_revoked_tablet_by_line_and_by_stick(desk):
    """Row 17, at the server: the line is closed to it, the stick is not, unless its key was stolen."""
    raw = desk.tablet.scan()
    enrolled.revoke(desk.db, "tablet-1", why="lost", by="admin", now=desk.time)
    with pytest.raises(DeviceRefusedError) as refused:
        desk.ingest(raw)
    assert refused.value.status == 403
    assert desk.ingest(raw, device=None, key=None).status == 201
    enrolled.revoke(desk.db, "tablet-1", why="stolen", by="admin", now=desk.time, stolen=True)
    with pytest.raises(BadPacketError):
        desk.ingest(desk.tablet.scan(), device=None, key=None)
    assert len(rows(desk, "packets")) == 1


def test_receipts_by_stick_are_believed_as_those_by_line(desk):
    raw = desk.tablet.scan()
    done = desk.ingest(raw, device=None, key=None)
    receipt = messages.parse_receipt(done.receipt, desk.trust(desk.tablet))
    assert receipt.packet_sha256 == hashlib.sha256(raw).hexdigest()
    with desk.db.read() as tx:
        ways = tx.execute(sa.select(tables.packets.c.way)).scalars().all()
    assert ways == ["hand"]
