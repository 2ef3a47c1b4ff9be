"""The scrub finds whatever was changed in a store, in steps, and what is damaged is never handed out."""

from __future__ import annotations

import itertools
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from spectralid.casework.errors import PacketError, StoreError
from spectralid.casework.scrub import last_scrub, scrub
from spectralid.casework.store import CaseStore

from .shifts import BALLAST
from .workload import drafts

_PACKETS = 40


@pytest.fixture
def folder(ram: Path) -> Path:
    """A store that was worked with and closed, so that all of it is in the database file."""
    with _open(ram / "store") as store:
        for draft in itertools.islice(drafts(random.Random(5)), _PACKETS):
            store.capture(draft)
    return ram / "store"


def _open(folder: Path, **options: bool) -> CaseStore:
    return CaseStore.open(folder, ballast_bytes=BALLAST, **options)


def _change(folder: Path, sql: str, *parameters: object) -> None:
    """Change a row behind the back of the store and of its triggers."""
    with closing(sqlite3.connect(folder / "casework.db", isolation_level=None)) as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        assert db.execute(sql, parameters).rowcount == 1


def test_a_sound_store_is_sound(folder: Path) -> None:
    with _open(folder) as store:
        report = scrub(store)
        assert report.sound, report.problems
        assert last_scrub(store) == report


def test_it_goes_on_where_it_stopped_and_after_a_restart(folder: Path) -> None:
    stages = []
    for _ in range(200):
        with _open(folder) as store:
            report = scrub(store, steps=3, progress=lambda progress: stages.append(progress.stage))
            if report.finished_utc is not None:
                break
    assert report.sound
    assert list(dict.fromkeys(stages)) == ["database", "packets", "custody", "lists", "exchange"]
    assert stages.count("packets") >= _PACKETS // 20


def test_every_flipped_bit_of_a_packet_is_found_and_names_the_packet(folder: Path) -> None:
    """Bits of stored packets, sampled over the database file; SQLite notices hardly any of them."""
    content = (folder / "casework.db").read_bytes()
    with _open(folder, read_only=True) as store:
        raws = store.read("SELECT seq, packet_id, raw FROM packets")
    rng, noticed, planted = random.Random(8), 0, 0
    while planted < 40:
        seq, packet_id, raw = rng.choice(raws)
        at = rng.randrange(len(raw) - 32)
        place = content.find(raw[at : at + 32])
        if place < 0 or content.count(raw[at : at + 32]) > 1:
            continue  # it lies across two pages, or is not the only one of its kind
        planted += 1
        damaged = bytearray(content)
        damaged[place + 5] ^= 1 << rng.randrange(8)
        (folder / "casework.db").write_bytes(damaged)
        with closing(sqlite3.connect(folder / "casework.db")) as db:
            noticed += db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]
        with _open(folder, read_only=True) as store:
            assert f"packet {seq}" in {problem.where for problem in scrub(store).problems}
            with pytest.raises(PacketError):
                store.packet(packet_id)
    assert noticed <= planted // 20


def test_bits_anywhere_in_the_file_are_found_or_do_no_harm(folder: Path) -> None:
    """Any byte of the file: the scrub tells, the store refuses to open, or every row reads as before."""
    content = (folder / "casework.db").read_bytes()
    before = _rows(folder)
    rng, found = random.Random(9), 0
    for _ in range(100):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        (folder / "casework.db").write_bytes(damaged)
        try:
            with _open(folder, read_only=True) as store:
                told = not scrub(store).sound
        except StoreError:
            told = True
        if not told:
            assert _rows(folder) == before
        found += told
    assert found > 20


def _rows(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """All that the scrub answers for."""
    tables = ("packets", "custody", "seizures", "items", "spectra", "device", "keys")
    with closing(sqlite3.connect(folder / "casework.db")) as db:
        db.text_factory = bytes
        return {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in tables}


@pytest.mark.parametrize(
    ("sql", "parameters", "where"),
    [
        ("UPDATE packets SET captured_utc = '2020-01-01T00:00:00Z' WHERE seq = 3", (), "packet 3"),
        ("UPDATE packets SET kind = 'send' WHERE seq = 4", (), "packet 4"),
        ("UPDATE packets SET raw = NULL WHERE seq = 5", (), "packet 5"),
        ("DELETE FROM packets WHERE seq = 6", (), "packet 6"),
        ("DELETE FROM outbox WHERE seq = 7", (), "packet 7"),
        ("UPDATE custody SET entry = ? WHERE n = 8", (b"{}",), "custody 8"),
        ("DELETE FROM custody WHERE n = (SELECT max(n) FROM custody)", (), f"custody {_PACKETS + 1}"),
        ("UPDATE seizures SET place = 'elsewhere' WHERE seq = 1", (), "table seizures"),
        ("DELETE FROM items WHERE seq = 2", (), "table items"),
        ("DELETE FROM spectra WHERE seq = (SELECT min(seq) FROM spectra)", (), "table spectra"),
        ("UPDATE outbox SET state = 'received' WHERE seq = 9", (), "receipt 9"),
    ],
)
def test_a_changed_row_is_found(folder: Path, sql: str, parameters: tuple[object, ...], where: str) -> None:
    _change(folder, sql, *parameters)
    with _open(folder, read_only=True) as store:
        report = scrub(store)
    assert where in {problem.where for problem in report.problems}, report.problems


def test_a_damaged_packet_is_marked_until_it_is_whole_again(folder: Path) -> None:
    shutil.copy(folder / "casework.db", folder.parent / "good.db")
    with _open(folder) as store:
        packet_id = store.history()[3].packet_id
    with closing(sqlite3.connect(folder / "casework.db", isolation_level=None)) as db:
        ((good,),) = db.execute("SELECT raw FROM packets WHERE packet_id = ?", (packet_id,)).fetchall()
        bad = bytearray(good)
        bad[-1] ^= 1
        db.execute("UPDATE packets SET raw = ? WHERE packet_id = ?", (bytes(bad), packet_id))
    with _open(folder) as store:
        report = scrub(store)
        assert report.damaged == (packet_id,)
        assert [row.packet_id for row in store.history() if row.damaged] == [packet_id]
        assert store.custody.entries()[-1].kind == "found damaged"
        scrub(store)
        assert [entry.kind for entry in store.custody.entries()].count("found damaged") == 1
        with store.transaction() as tx:
            tx.execute("UPDATE packets SET raw = ? WHERE packet_id = ?", (good, packet_id))
        assert scrub(store).damaged == ()
        assert not any(row.damaged for row in store.history())
