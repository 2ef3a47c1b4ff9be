import hashlib

import pytest
import sqlalchemy as sa

from spectralid.casework import dsse, messages
from spectralid.casework.errors import PacketError
from spectralid.casework.facts import Checkpoint
from spectralid.casework.manifest import GENESIS, dumps
from spectralid.reachback.store import audit, tables
from spectralid.reachback.store.serverkeys import ServerKeys
from spectralid.reachback.store.tables import APPEND_ONLY


@pytest.fixture
def log(desk):
    """A desk with a few entries, and the checkpoints that the tablet holds."""
    receipts = [desk.ingest(desk.tablet.scan()).receipt for _ in range(3)]
    desk.decide(desk.lease(desk.scan("S-2")))
    desk.held = [
        audit.read_checkpoint(messages.kept(raw, messages.Receipt).checkpoint, desk.keys.trusted)
        for raw in receipts
    ]
    return desk


def found(desk, held=None, **options):
    problems = audit.verify(desk.db, desk.held if held is None else held, **options)
    return [(one.where, one.what) for one in problems]


def unguarded(desk):
    """As somebody with the rights of an administrator of the database."""
    with desk.db.begin() as tx:
        if desk.db.dialect == "sqlite":
            for name in (
                tx.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all()
            ):
                tx.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            for table in APPEND_ONLY:
                tx.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    return desk.db.begin()


def entries(desk):
    with desk.db.read() as tx:
        return [
            dict(row) for row in tx.execute(sa.select(tables.audit).order_by(tables.audit.c.n)).mappings()
        ]


def sealed(entry):
    return hashlib.sha256(dumps({name: entry[name] for name in entry if name != "sha256"})).hexdigest()


def test_what_was_written_is_whole(log):
    assert found(log) == found(log, trusted=log.keys.trusted) == []
    numbers = [entry["n"] for entry in entries(log)]
    assert numbers == list(range(1, len(numbers) + 1))


def write_and_fail(log):
    with log.db.begin() as tx:
        audit.append(tx, "ada", "test", "x", {}, now=log.time)
        raise RuntimeError


def test_an_entry_is_undone_with_what_it_reports(log):
    before = entries(log)
    with pytest.raises(RuntimeError):
        write_and_fail(log)
    assert entries(log) == before


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_database_itself_refuses_changes(log, table, change):
    if table == "quarantine":
        with pytest.raises(Exception, match="newer"):
            log.ingest(b"SIDPKT/9\nx", device="tablet-1")
    if change.startswith("TRUNCATE") and log.db.dialect == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")
    column = {"packets": "seq", "adjudications": "token"}.get(table, "n")
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), log.db.begin() as tx:
        tx.exec_driver_sql(change.format(table, column, column))


def test_replacing_a_row_counts_as_a_change(log):
    if log.db.dialect != "sqlite":
        pytest.skip("PostgreSQL has no REPLACE")
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), log.db.begin() as tx:
        tx.exec_driver_sql("REPLACE INTO audit SELECT * FROM audit WHERE n = 2")


@pytest.mark.parametrize("column", ["utc", "actor", "action", "subject", "facts", "sha256"])
def test_an_edited_entry_is_named(log, column):
    with unguarded(log) as tx:
        tx.execute(tables.audit.update().where(tables.audit.c.n == 4).values({column: "other"}))
    assert ("audit 4", "edited") in found(log, [])


def test_an_edited_entry_with_its_hash_made_new_is_named(log):
    changed = {**entries(log)[3], "actor": "mallory"}
    changed["sha256"] = sealed(changed)
    with unguarded(log) as tx:
        tx.execute(tables.audit.update().where(tables.audit.c.n == 4).values(changed))
    assert found(log, []) == [("audit 4", "edited")]


def test_a_deleted_entry_is_named(log):
    with unguarded(log) as tx:
        tx.execute(tables.audit.delete().where(tables.audit.c.n.in_((4, 5))))
    assert found(log) == [("audit 4", "deleted")]
    with log.db.begin() as tx:
        tx.execute(tables.audit.delete().where(tables.audit.c.n == 1))
    assert ("audit 1", "deleted") in found(log, [])


def test_an_end_that_was_cut_off_is_seen_by_what_the_tablet_holds(log):
    with unguarded(log) as tx:
        tx.execute(tables.audit.delete().where(tables.audit.c.n >= log.held[1].n))
    assert found(log, []) == []
    assert found(log) == [(f"audit {point.n}", "truncated") for point in log.held[1:]]


def test_a_chain_written_anew_is_seen_by_what_the_tablet_holds(log):
    again, prev = entries(log), GENESIS
    again[3]["actor"] = "mallory"
    for entry in again:
        entry["prev"] = prev
        prev = entry["sha256"] = sealed(entry)
    with unguarded(log) as tx:
        tx.execute(tables.audit.delete())
        tx.execute(tables.audit.insert(), again)
    assert found(log, []) == []
    assert found(log)[-1] == (f"audit {log.held[-1].n}", "restamped")
    # The receipts that the server keeps are witnesses too, and cannot be signed again without its key.
    assert "restamped" in {kind for _, kind in found(log, [], trusted=log.keys.trusted)}


def test_a_forged_receipt_is_named(log):
    other = ServerKeys.open(log.db.folder / "other")
    with unguarded(log) as tx:
        forged = dsse.sign(b"{}", "application/vnd.spectralid.receipt+json", other.signing)
        tx.execute(tables.packets.update().where(tables.packets.c.seq == 2).values(receipt=forged))
    assert ("receipt of tablet-1/2", "edited") in found(log, trusted=log.keys.trusted)


def test_a_checkpoint_is_signed(log):
    with log.db.read() as tx:
        text, head = audit.checkpoint(tx, log.keys, now=log.time), audit.head(tx)
    assert audit.read_checkpoint(text, log.keys.trusted) == head
    other = ServerKeys.open(log.db.folder / "other")
    with pytest.raises(PacketError):
        audit.read_checkpoint(text, other.trusted)
    with pytest.raises(PacketError):
        audit.read_checkpoint("", log.keys.trusted)


def test_many_entries_are_read_in_pieces(log, monkeypatch):
    monkeypatch.setattr(audit, "_AT_ONCE", 3)
    assert found(log, trusted=log.keys.trusted) == []
    last = entries(log)[-1]["n"]
    assert found(log, [Checkpoint(last + 1, "0" * 64)]) == [(f"audit {last + 1}", "truncated")]


def test_keys_stay_and_former_ones_still_count(log):
    before = log.keys
    assert ServerKeys.open(log.db.folder).signing.keyid == before.signing.keyid
    after = ServerKeys.rotate(log.db.folder)
    assert after.signing.keyid != before.signing.keyid
    assert set(after.trusted) == {before.signing.keyid, after.signing.keyid}
    assert found(log, trusted=after.trusted) == []
