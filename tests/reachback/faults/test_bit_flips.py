"""A bit that flipped on the server's disk: found, kept from whoever reads, and put right by the tablet."""

from __future__ import annotations

import hashlib

import pytest
import sqlalchemy as sa

from spectralid.casework.store import CaseStore
from spectralid.cli import main
from spectralid.reachback.errors import DamagedError, NotFoundError
from spectralid.reachback.store import audit, copies, tables
from spectralid.reachback.tablets import enrolled, scrub
from tests.casework.record import Clock, scan, with_item
from tests.reachback.conftest import fresh
from tests.reachback.desk import Desk
from tests.reachback.faults.direct import hand_over, look, rows
from tests.reachback.test_audit import unguarded


def flip(desk, column, seq, place=-3, table=tables.packets):
    """As a disk does it: past every trigger."""
    with unguarded(desk) as tx:
        where = (table.c.device_id == "field-1", table.c.seq == seq)
        data = bytearray(tx.execute(sa.select(table.c[column]).where(*where)).scalar_one())
        data[place] ^= 1
        tx.execute(table.update().where(*where).values({column: bytes(data)}))


def read(desk, seq):
    with desk.db.read() as tx:
        return copies.raw_of(tx, "field-1", seq)


@pytest.fixture
def tablet(desk, tmp_path):
    with CaseStore.open(tmp_path / "tablet", device_id="field-1", clock=Clock(), ballast_bytes=4096) as store:
        enrolled.add(desk.db, "field-1", store.key.public, site_ref="north", by="admin", now=desk.time)
        with_item(store).capture(scan())
        hand_over(desk, store)
        yield store


def test_a_sound_record_is_sound(desk, tablet):
    found = scrub.scrub(desk.db, desk.keys, now=desk.time)
    assert (found.checked, found.found, found.after) == (3, (), None)


def test_it_is_found_asked_for_again_and_read_from_the_sound_copy(desk, tablet):
    sound = read(desk, 3)
    flip(desk, "raw", 3)
    desk.passes(hours=1)
    found = scrub.scrub(desk.db, desk.keys, now=desk.time)
    assert found.found == (scrub.Finding("field-1", 3, "packet"),)
    assert copies.open_findings(desk.db) == (("field-1", 3),)
    # The tablet has a receipt and still holds the packet; it is asked by the next look into its inbox.
    (asked,) = look(desk, tablet)
    assert asked.offered == 1
    hand_over(desk, tablet)
    assert read(desk, 3) == sound
    assert copies.open_findings(desk.db) == ()
    with desk.db.read() as tx:
        assert tx.execute(sa.select(sa.func.count()).select_from(tables.packets)).scalar() == 3
        stored = tx.execute(sa.select(tables.packets.c.raw).where(tables.packets.c.seq == 3)).scalar_one()
    assert stored != sound, "the row itself is never changed"
    assert scrub.scrub(desk.db, desk.keys, now=desk.time).found == ()
    assert audit.verify(desk.db, trusted=desk.keys.trusted) == ()


def test_a_damaged_packet_is_never_handed_out_as_sound(desk, tablet):
    flip(desk, "raw", 3)
    with pytest.raises(DamagedError):
        read(desk, 3)


@pytest.mark.parametrize("place", [0, 40, 400, -1])
def test_wherever_it_is(desk, tablet, place):
    flip(desk, "raw", 3, place)
    assert [one.what for one in scrub.scrub(desk.db, desk.keys, now=desk.time).found] == ["packet"]


def test_a_flipped_receipt_does_not_condemn_its_packet(desk, tablet):
    sound = read(desk, 2)
    flip(desk, "receipt", 2, 60)
    assert [one.what for one in scrub.scrub(desk.db, desk.keys, now=desk.time).found] == ["receipt"]
    assert read(desk, 2) == sound
    assert copies.open_findings(desk.db) == ()


def test_what_is_searched_in_is_written_again_from_the_packet(desk, tablet):
    before = rows(desk, "spectra")
    flip(desk, "intensity", 3, 5, tables.spectra)
    assert rows(desk, "spectra") != before
    assert [one.what for one in scrub.scrub(desk.db, desk.keys, now=desk.time).found] == ["spectra"]
    assert rows(desk, "spectra") == before
    assert scrub.scrub(desk.db, desk.keys, now=desk.time).found == ()


def test_it_goes_on_where_it_stopped(desk, tablet):
    first = scrub.scrub(desk.db, desk.keys, now=desk.time, most=2)
    assert (first.checked, first.after) == (2, ("field-1", 2))
    assert scrub.scrub(desk.db, desk.keys, now=desk.time, after=first.after).checked == 1


def test_a_copy_is_kept_of_what_was_asked_for_and_of_nothing_else(desk, tablet):
    assert copies.mend(desk.db, "field-1", 3, read(desk, 3), now=desk.time) is False
    flip(desk, "raw", 3)
    for _ in range(2):
        scrub.scrub(desk.db, desk.keys, now=desk.time)
    assert copies.open_findings(desk.db) == (("field-1", 3),)
    with pytest.raises(NotFoundError):
        read(desk, 99)


def test_packets_are_copied_out_of_a_database_of_whatever_version(desk, tablet, tmp_path):
    """Row 10: refused because it is newer, and the evidence still comes out."""
    flip(desk, "raw", 2)
    with desk.db.begin() as tx:
        tx.exec_driver_sql("INSERT INTO alembic_version VALUES ('from the future')")
    try:
        assert scrub.rescue(desk.db, tmp_path / "out") == (2, (("field-1", 2),))
        for file in (tmp_path / "out").iterdir():
            assert file.stem == hashlib.sha256(file.read_bytes()).hexdigest()
    finally:
        with desk.db.begin() as tx:
            tx.exec_driver_sql("DELETE FROM alembic_version WHERE version_num = 'from the future'")


def test_the_command_compares_asks_and_copies_out(tmp_path, request, capsys):
    folder = tmp_path / "server"
    desk = Desk(fresh("sqlite", folder, request))
    kept, hurt = desk.tablet.scan(), desk.tablet.scan()
    for raw in (kept, hurt):
        desk.ingest(raw)
    command = ["reachback", "scrub", "--data", str(folder)]
    assert main(command) == 0
    assert "2 packets were compared." in capsys.readouterr().out
    with unguarded(desk) as tx:
        tx.execute(tables.packets.update().where(tables.packets.c.seq == 2).values(raw=hurt[:-1] + b"x"))
    assert main(command) == 3
    assert "tablet-1/2: its bytes are damaged" in capsys.readouterr().err
    assert main([*command, "--rescue", str(tmp_path / "out")]) == 3
    assert [file.read_bytes() for file in (tmp_path / "out").iterdir()] == [kept]
    desk.db.close()
