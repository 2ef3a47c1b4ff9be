"""The crash model against SQLite itself: it finds what SQLite documents as lost, and nothing else."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from .cuts import Finding, Tally, cut_and_check
from .disk import STYLES, Disk, final
from .recording import SQLITE_FULL, SQLITE_IOERR_FSYNC, Operation, Recorder

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the recorder reads /proc")


def _record(folder: Path, journal: str, synchronous: str, rows: int = 12) -> list[Operation]:
    folder.mkdir()
    recorder = Recorder(folder)
    with closing(recorder.connect(folder / "t.db", isolation_level=None)) as db:
        db.execute(f"PRAGMA journal_mode={journal}")
        db.execute(f"PRAGMA synchronous={synchronous}")
        db.execute("PRAGMA wal_autocheckpoint=10")
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")
        for row in range(rows):
            db.execute("INSERT INTO t VALUES (?, ?)", (row, bytes([row]) * 5000))
            recorder.mark(row)
    return recorder.operations


def _check(folder: Path, acknowledged: object, rng: random.Random) -> list[Finding]:
    try:
        with closing(sqlite3.connect(folder / "t.db", isolation_level=None)) as db:
            if db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                return [Finding("corrupt", "integrity_check")]
            tables = db.execute("SELECT name FROM sqlite_schema").fetchall()
            there = dict(db.execute("SELECT id, body FROM t")) if tables else {}
    except sqlite3.DatabaseError as error:
        return [Finding("corrupt", str(error))]
    found = [Finding("torn", str(row)) for row, body in there.items() if body != bytes([row]) * 5000]
    return found + [Finding("lost", str(row)) for row in acknowledged if row not in there]  # type: ignore[attr-defined]


def _tally(ram: Path, journal: str, synchronous: str) -> Tally:
    operations = _record(ram / "record", journal, synchronous)
    return cut_and_check(operations, _check, ram / "image", seed=1, per_index=8)


@pytest.mark.parametrize(("journal", "synchronous"), [("WAL", "FULL"), ("DELETE", "EXTRA")])
def test_nothing_is_lost_where_sqlite_promises_durability(ram: Path, journal: str, synchronous: str) -> None:
    tally = _tally(ram, journal, synchronous)
    assert tally.cuts > 500
    assert tally.clean, tally.examples


@pytest.mark.parametrize(
    ("journal", "synchronous", "expected"),
    [
        ("WAL", "NORMAL", {"lost"}),
        ("WAL", "OFF", {"lost", "corrupt"}),
        ("DELETE", "OFF", {"corrupt"}),
        # The deletion of the journal is not synced: it may come back and roll the last commit back.
        ("DELETE", "FULL", {"lost"}),
    ],
)
def test_losses_are_found_where_sqlite_promises_nothing(
    ram: Path, journal: str, synchronous: str, expected: set[str]
) -> None:
    tally = _tally(ram, journal, synchronous)
    assert expected <= set(tally.harmed), tally.harmed
    if synchronous != "OFF":
        assert set(tally.harmed) == expected


def test_the_recording_is_what_is_in_the_folder(ram: Path) -> None:
    """Replaying all operations gives the very files SQLite left, so no operation went unseen."""
    folder = ram / "record"
    operations = _record(folder, "WAL", "FULL")
    assert final(operations) == {file.name: file.read_bytes() for file in folder.iterdir()}


def _disk(*operations: Operation) -> Disk:
    disk = Disk({"f": b"old" * 512})
    for operation in operations:
        disk.do(operation)
    return disk


def _images(disk: Disk) -> set[tuple[tuple[str, bytes], ...]]:
    rng = random.Random(3)
    return {tuple(sorted(disk.after_cut(style, rng).items())) for style in STYLES for _ in range(50)}


def test_synced_bytes_are_always_there_and_unsynced_ones_sometimes() -> None:
    disk = _disk(Operation("write", "f", 0, b"A" * 512), Operation("sync", "f"))
    assert _images(disk) == {(("f", b"A" * 512 + (b"old" * 512)[512:]),)}
    disk.do(Operation("write", "f", 512, b"B" * 1024))
    bodies = {dict(image)["f"] for image in _images(disk)}
    assert all(body.startswith(b"A" * 512) for body in bodies)
    assert {b"A" * 512 + b"B" * 1024, b"A" * 512 + (b"old" * 512)[512:]} < bodies
    assert any(body[512:1024] == b"B" * 512 and b"B" not in body[1024:] for body in bodies)
    assert any(body[1024:1536] == b"B" * 512 and b"B" not in body[512:1024] for body in bodies)


def test_bytes_outside_a_write_are_never_harmed() -> None:
    disk = _disk(Operation("write", "f", 100, b"A" * 50))
    for image in _images(disk):
        body = dict(image)["f"]
        assert body[:100] == (b"old" * 512)[:100]
        assert body[150:] == (b"old" * 512)[150:]


def test_names_are_safe_only_once_the_folder_is_synced() -> None:
    created = (Operation("create", "g"), Operation("write", "g", 0, b"x"), Operation("sync", "g"))
    assert {tuple(name for name, _ in image) for image in _images(_disk(*created))} == {("f",), ("f", "g")}
    safe = _disk(*created, Operation("dirsync"))
    assert {dict(image)["g"] for image in _images(safe)} == {b"x"}
    safe.do(Operation("rename", "g", other="f"))
    assert {dict(image)["f"] for image in _images(safe)} == {b"x", b"old" * 512}
    assert {len(image) for image in _images(safe)} == {1, 2}
    safe.do(Operation("delete", "f"))
    assert () in _images(safe)


def test_a_failed_sync_leaves_doubt_that_a_later_one_does_not_lift() -> None:
    disk = _disk(
        Operation("write", "f", 0, b"A" * 512),
        Operation("sync-failed", "f"),
        Operation("write", "f", 512, b"B" * 512),
        Operation("sync", "f"),
    )
    bodies = {dict(image)["f"] for image in _images(disk)}
    assert all(body[512:1024] == b"B" * 512 for body in bodies)
    assert {body[:512] == b"A" * 512 for body in bodies} == {True, False}


def test_faults_reach_the_driver_as_sqlite_errors(ram: Path) -> None:
    for code, name in ((SQLITE_FULL, "SQLITE_FULL"), (SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC")):
        folder = ram / name
        folder.mkdir()
        recorder = Recorder(folder)
        with closing(recorder.connect(folder / "t.db", isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            wanted = "write" if code == SQLITE_FULL else "sync"
            recorder.fault = lambda kind, _name, code=code, wanted=wanted: code if kind == wanted else 0  # type: ignore[misc]
            with pytest.raises(sqlite3.OperationalError) as caught:
                db.execute("CREATE TABLE t (id)")
            assert caught.value.sqlite_errorname == name
            recorder.fault = lambda _kind, _name: 0
