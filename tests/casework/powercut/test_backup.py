"""Backups are whole, hold no key, and a restored device never uses a number twice."""

from __future__ import annotations

import itertools
import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from spectralid.casework import backup as backups
from spectralid.casework import chain as chains
from spectralid.casework.backup import BackupError, make_backup, mend, restore, verify_backup
from spectralid.casework.errors import PacketError
from spectralid.casework.keys import SigningKey
from spectralid.casework.scrub import scrub
from spectralid.casework.store import CaseStore, Draft

from .shifts import BALLAST
from .workload import drafts

_SEIZURE = Draft("seizure", "S-after", None, {"officer_ref": "o-1"})


def _open(folder: Path) -> CaseStore:
    return CaseStore.open(folder, ballast_bytes=BALLAST)


@pytest.fixture
def store(ram: Path) -> CaseStore:
    """A store with two dozen records, open."""
    store = _open(ram / "store")
    for draft in itertools.islice(drafts(random.Random(5)), 24):
        store.capture(draft)
    return store


def test_a_backup_is_what_the_store_was_and_can_be_verified(ram: Path, store: CaseStore) -> None:
    seen = []
    with store:
        backup = make_backup(store, ram / "backup", progress=lambda done, total: seen.append((done, total)))
        assert store.custody.entries()[-1].facts["sha256"] == backup.sha256
        assert (backup.packets, backup.last_seq) == (24, 24)
        assert backup.last_sha256 == store.history(limit=1)[0].sha256
    assert seen[-1][0] == seen[-1][1] > 0
    assert verify_backup(ram / "backup") == backup
    assert verify_backup(ram / "backup", key=SigningKey.load(ram / "store" / "device.key").public) == backup


def test_a_backup_is_made_beside_the_program_that_writes(ram: Path, store: CaseStore) -> None:
    with store, CaseStore.open(ram / "store", read_only=True) as beside:
        before = store.custody.head()
        assert make_backup(beside, ram / "backup").packets == 24
        assert store.custody.head() == before


def test_a_backup_holds_no_private_key(ram: Path, store: CaseStore) -> None:
    with store:
        make_backup(store, ram / "backup")
    assert sorted(file.name for file in (ram / "backup").iterdir()) == ["backup.json", "casework.db"]
    secret = (ram / "store" / "device.key").read_text().splitlines()[1].encode()
    assert not any(secret in file.read_bytes() for file in (ram / "backup").iterdir())


def test_records_made_while_it_is_copied_are_all_in_it_or_all_behind_it(
    ram: Path, store: CaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "_PAGES", 4)
    copying, captured = threading.Event(), threading.Event()

    def capture() -> None:
        copying.wait()
        for _ in range(5):
            store.capture(_SEIZURE)
        captured.set()

    def slow(done: int, total: int) -> None:
        copying.set()
        if done < total:
            captured.wait()

    with store:
        writer = threading.Thread(target=capture)
        writer.start()
        backup = make_backup(store, ram / "backup", progress=slow)
        writer.join()
        assert backup.last_seq == 24
        assert store.history(limit=1)[0].seq == 29


@pytest.mark.parametrize("name", ["casework.db", "backup.json"])
def test_any_changed_byte_of_a_backup_is_noticed(ram: Path, store: CaseStore, name: str) -> None:
    with store:
        make_backup(store, ram / "backup")
    file = ram / "backup" / name
    content = file.read_bytes()
    rng = random.Random(3)
    for at in rng.sample(range(len(content) - 1), 25):
        file.write_bytes(content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :])
        with pytest.raises(BackupError):
            verify_backup(ram / "backup")
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(BackupError):
        verify_backup(ram / "backup")
    file.unlink()
    with pytest.raises(BackupError):
        verify_backup(ram / "backup")


def test_a_backup_signed_by_another_key_is_refused_where_the_key_is_known(
    ram: Path, store: CaseStore
) -> None:
    with store:
        make_backup(store, ram / "backup")
    with pytest.raises(BackupError, match="not trusted"):
        verify_backup(ram / "backup", key=SigningKey.generate().public)


def test_a_restored_device_goes_on_without_using_a_number_twice(ram: Path, store: CaseStore) -> None:
    """What was captured after the backup is at the server under its numbers; none of them comes again."""
    with store:
        backup = make_backup(store, ram / "backup")
        late = [store.capture(_SEIZURE) for _ in range(3)]
    restored = restore(ram / "backup", ram / "restored", key_file=ram / "store" / "device.key")
    with _open(ram / "restored") as again:
        assert again.device_id == backup.device_id
        assert again.history(limit=1)[0].seq == backup.last_seq
        new = [again.capture(_SEIZURE) for _ in range(2)]
        assert [stored.seq for stored in new] == [restored.first_seq, restored.first_seq + 1]
        assert {stored.seq for stored in new}.isdisjoint(stored.seq for stored in late)
        first = again.packet(new[0].packet_id).manifest
        assert first["prev"] == backup.last_sha256
        assert first["chain"]["epoch"] == restored.epoch
        assert first["chain"]["after_seq"] == backup.last_seq
        assert backup.backup_id in first["chain"]["reason"]
        assert again.custody.entries(after=0)[-3].kind == "restored"
        assert again.verify() == ()
        assert again.custody.verify() == ()
        assert scrub(again).sound
    with pytest.raises(BackupError, match="exists already"):
        restore(ram / "backup", ram / "restored")


def test_restoring_the_same_backup_again_opens_another_epoch(ram: Path, store: CaseStore) -> None:
    with store:
        make_backup(store, ram / "backup")
    firsts = {restore(ram / "backup", ram / f"restored-{n}").first_seq for n in range(5)}
    assert len(firsts) == 5
    assert all(first % chains.EPOCH == 1 and first > chains.EPOCH for first in firsts)


def test_a_backup_of_a_restored_store_can_be_restored(ram: Path, store: CaseStore) -> None:
    with store:
        make_backup(store, ram / "backup")
    one = restore(ram / "backup", ram / "one")
    with _open(ram / "one") as again:
        stored = again.capture(_SEIZURE)
        make_backup(again, ram / "second")
    two = restore(ram / "second", ram / "two")
    assert two.epoch > one.epoch
    with _open(ram / "two") as again:
        assert again.packet(stored.packet_id).seq == one.first_seq
        assert again.capture(_SEIZURE).seq == two.first_seq
        assert again.verify() == ()


def test_without_its_key_the_restored_store_has_a_new_one_and_old_packets_still_verify(
    ram: Path, store: CaseStore
) -> None:
    with store:
        make_backup(store, ram / "backup")
        old = store.key.keyid
        packet_id = store.history(limit=1)[0].packet_id
    assert restore(ram / "backup", ram / "restored").new_key
    with _open(ram / "restored") as again:
        assert again.key.keyid != old
        assert again.packet(packet_id).keyid == old
        assert again.packet(again.capture(_SEIZURE).packet_id).keyid == again.key.keyid
        assert again.verify() == ()


def test_a_restore_that_fails_leaves_nothing(
    ram: Path, store: CaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store:
        make_backup(store, ram / "backup")

    def fails(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups, "_open_epoch", fails)
    with pytest.raises(BackupError, match="No space left"):
        restore(ram / "backup", ram / "restored")
    assert sorted(entry.name for entry in ram.iterdir()) == ["backup", "store"]


def test_damaged_packets_come_back_from_a_backup(ram: Path, store: CaseStore) -> None:
    with store:
        make_backup(store, ram / "backup")
        hit = [row.packet_id for row in store.history()[3:6]]
    with closing(sqlite3.connect(ram / "store" / "casework.db", isolation_level=None)) as db:
        for packet_id in hit:
            ((raw,),) = db.execute("SELECT raw FROM packets WHERE packet_id = ?", (packet_id,)).fetchall()
            db.execute(
                "UPDATE packets SET raw = ? WHERE packet_id = ?", (raw[:-1] + bytes([raw[-1] ^ 1]), packet_id)
            )
    with _open(ram / "store") as store:
        assert sorted(scrub(store).damaged) == sorted(hit)
        with pytest.raises(PacketError):
            store.packet(hit[0])
        assert sorted(mend(store, ram / "backup")) == sorted(hit)
        assert scrub(store).sound
        assert store.packet(hit[0]).packet_id == hit[0]


def test_a_damaged_store_gives_no_backup_that_looks_whole(ram: Path, store: CaseStore) -> None:
    with store:
        packet_id = store.history()[2].packet_id
    with closing(sqlite3.connect(ram / "store" / "casework.db", isolation_level=None)) as db:
        db.execute("UPDATE packets SET raw = X'00' WHERE packet_id = ?", (packet_id,))
    with _open(ram / "store") as store, pytest.raises(BackupError, match="not whole"):
        make_backup(store, ram / "backup")
    assert not (ram / "backup").exists()
