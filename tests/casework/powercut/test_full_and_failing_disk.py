"""A disk that is full at any write, and one whose syncs fail: nothing false is said, nothing is lost."""

from __future__ import annotations

import itertools
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from spectralid.casework.errors import (
    KeyFileError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    UnknownReferenceError,
)
from spectralid.casework.store import CaseStore, Draft, Stored

from .cuts import cut_and_check
from .disk import write_image
from .recording import SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_OK, Kind, Recorder
from .shifts import checker, remembered_packets
from .workload import drafts

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the recorder reads /proc")

_MORE = Draft("seizure", "S-more", None, {"officer_ref": "o-1"})
_CAPTURES = 3
RESERVE = 64 * 1024


def _open(recorder: Recorder) -> CaseStore:
    def connect(path: str) -> sqlite3.Connection:
        connection = recorder.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA wal_autocheckpoint=8")
        return connection

    return CaseStore.open(recorder.folder, connect=connect, ballast_bytes=RESERVE)


class _Failing:
    """Fails operations of some kinds: number `first` of them and, as long as `goes_on` says so, the next."""

    def __init__(self, kinds: set[Kind], code: int, first: int, goes_on: Callable[[], bool]) -> None:
        self.kinds, self.code, self.first, self.goes_on = kinds, code, first, goes_on
        self.seen = 0
        self.hit = False

    def __call__(self, kind: Kind, name: str) -> int:
        if kind not in self.kinds:
            return SQLITE_OK
        self.seen += 1
        if self.seen - 1 == self.first or (self.seen - 1 > self.first and self.goes_on()):
            self.hit = True
            return self.code
        return SQLITE_OK


_WRITES: set[Kind] = {"write", "create", "truncate"}


@pytest.fixture(scope="module")
def two_records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a store with two records, closed."""
    folder = tmp_path_factory.mktemp("two-records")
    with CaseStore.open(folder, ballast_bytes=RESERVE) as store:
        for draft in itertools.islice(drafts(random.Random(1)), 2):
            store.capture(draft)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def _in(folder: Path, files: dict[str, bytes]) -> Recorder:
    write_image(folder, files)
    return Recorder(folder)


def _whole(folder: Path, acknowledged: list[Stored]) -> None:
    with CaseStore.open(folder, ballast_bytes=RESERVE) as store:
        assert store.verify() == ()
        assert store.custody.verify() == ()
        there = {row.seq: row.sha256 for row in store.history(limit=100)}
        assert [there.get(stored.seq) for stored in acknowledged] == [s.sha256 for s in acknowledged]
        store.capture(_MORE)


@pytest.mark.parametrize("until", ["once", "reserve", "for ever"])
def test_a_disk_full_at_any_write_of_captures(
    ram: Path, two_records: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, until: str
) -> None:
    """Full once; until the reserve is given up; and for ever – at each write in turn."""
    first, hits, refusals, given_up, unclear = 0, 0, 0, 0, 0
    while True:
        recorder = _in(ram / f"{until}-{first}", two_records)
        ballast = recorder.folder / "ballast"
        lasting = {"once": lambda: False, "reserve": ballast.exists, "for ever": lambda: True}[until]
        acknowledged: list[Stored] = []
        with recorder.watching(), _open(recorder) as store, monkeypatch.context() as patched:
            if until != "once":
                # What giving the reserve up has freed is too little to lay it down again, or nothing.
                free = 0 if until == "for ever" else RESERVE * 5 // 4
                patched.setattr("shutil.disk_usage", lambda _path, free=free: SimpleNamespace(free=free))
            recorder.fault = failing = _Failing(_WRITES, SQLITE_FULL, first, lasting)
            for draft in itertools.islice(drafts(random.Random(2)), _CAPTURES):
                refused = 0
                while refused < 3:
                    before = len(store.history(limit=100))
                    try:
                        acknowledged.append(store.capture(draft))
                        break
                    except StoreFullError as error:
                        refused += 1
                        given_up += error.room_was_made
                        unclear += "NOT stored" not in str(error)
                        # Never there in spite of the refusal, and what was there still is.
                        assert len(store.history(limit=100)) == before
                    except UnknownReferenceError:
                        # Nothing can be in an item that could not be stored.
                        assert until == "for ever"
                        break
                refusals += refused
                assert refused < 3 or until == "for ever"
            assert not store.health().read_only
            recorder.fault = lambda _kind, _name: SQLITE_OK
            patched.undo()
            acknowledged.append(store.capture(_MORE))
        hits += failing.hit
        _whole(recorder.folder, acknowledged)
        if not failing.hit:
            break
        first += 1 if until != "for ever" else 3
    assert hits > (25 if until != "for ever" else 8)
    assert refusals > hits // 2
    assert given_up > hits // 2
    assert unclear == 0


def test_a_disk_full_at_any_write_of_making_and_opening_a_store(ram: Path) -> None:
    """What cannot be made is said to be so, and is made when there is room."""
    refused = 0
    for first in range(10_000):
        folder = ram / f"{first}"
        folder.mkdir()
        recorder = Recorder(folder)
        recorder.fault = failing = _Failing(_WRITES, SQLITE_FULL, first, lambda: False)
        with recorder.watching():
            try:
                with _open(recorder) as store:
                    store.capture(_MORE)
            except (StoreError, KeyFileError):
                refused += 1
        if not failing.hit:
            break
        _whole(folder, [])
    assert refused > 20


@pytest.mark.parametrize("lasting", [False, True])
def test_a_sync_that_fails_stops_the_store_and_nothing_is_tried_again(
    ram: Path, two_records: dict[str, bytes], lasting: bool
) -> None:
    """At each sync in turn; then the power is cut, with all that the failed sync left in doubt."""
    stopped, ignored, unclear = 0, 0, 0
    for first in range(10_000):
        recorder = _in(ram / f"{first}", two_records)
        with recorder.watching(), _open(recorder) as store:
            old = [Stored(r.packet_id, r.seq, r.sha256, "", "") for r in store.history()]
            recorder.fault = failing = _Failing({"sync"}, SQLITE_IOERR_FSYNC, first, lambda: lasting)
            acknowledged: list[Stored] = []
            for draft in itertools.islice(drafts(random.Random(2)), _CAPTURES):
                try:
                    acknowledged.append(store.capture(draft))
                except StoreReadOnlyError as error:
                    unclear += "NOT stored" not in str(error)
                    break
                recorder.mark(acknowledged[-1])
            else:
                # The sync of a checkpoint: the log holds all of it still, and SQLite copies it again.
                ignored += failing.hit
            if len(acknowledged) < _CAPTURES:
                stopped += 1
                assert store.health().read_only
                done = len(recorder.operations)
                for _ in range(3):
                    with pytest.raises(StoreReadOnlyError, match="nothing more is stored"):
                        store.capture(_MORE)
                assert len(recorder.operations) == done
                assert len(store.history()) >= len(acknowledged)
        recorder.fault = lambda _kind, _name: SQLITE_OK
        # A record refused because its sync failed may yet be there after a restart: known, not promised.
        with CaseStore.open(recorder.folder, ballast_bytes=RESERVE) as store:
            known = [Stored(r.packet_id, r.seq, r.sha256, "", "") for r in store.history(limit=100)]
        _whole(recorder.folder, [*old, *acknowledged])
        if first % 6 == 0:
            check = checker([*known, *acknowledged])
            with remembered_packets():
                tally = cut_and_check(
                    recorder.operations,
                    lambda folder, acked, rng, check=check, old=old: check(folder, (*old, *acked), rng),
                    ram / "image",
                    seed=first,
                    per_index=1,
                    files=two_records,
                )
            assert tally.clean, tally.examples
        if not failing.hit:
            break
    assert stopped >= _CAPTURES
    assert unclear == 0
    assert ignored > 0 or lasting


_ON_A_SMALL_DISK = """
import itertools, random, resource, sys
from pathlib import Path
from types import SimpleNamespace
from spectralid.casework.errors import StoreError, StoreFullError
from spectralid.casework.store import CaseStore
from tests.casework.powercut.workload import drafts
folder, limit = Path(sys.argv[1]), int(sys.argv[2])
with CaseStore.open(folder, ballast_bytes=4096) as store:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    stored, refused = [], 0
    for draft in itertools.islice(drafts(random.Random(3)), 60):
        try:
            stored.append(store.capture(draft))
        except StoreError as error:
            refused += 1
            assert "NOT stored" in str(error) or "not on record" in str(error) or "nothing more" in str(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
assert stored and refused, (len(stored), refused)
with CaseStore.open(folder, ballast_bytes=4096) as store:
    assert store.verify() == () and store.custody.verify() == ()
    there = {row.packet_id for row in store.history(limit=1000)}
    assert {one.packet_id for one in stored} <= there
    print(len(stored), refused)
"""


def test_a_limit_of_the_operating_system_in_the_midst_of_work(ram: Path) -> None:
    """The same with writes that the kernel refuses, not our VFS."""
    done = subprocess.run(
        [sys.executable, "-c", _ON_A_SMALL_DISK, str(ram / "store"), str(300 * 1024)],
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB, where we may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "spectralid-test", str(folder)],
        capture_output=True,
        check=False,
    )
    if mount.returncode:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mounts a tmpfs")
def test_a_small_disk_that_fills_up_and_gets_room_again(small_disk: Path) -> None:
    """Filled by others and by records: the reserve is given up, nothing stored is lost, work goes on."""
    acknowledged: list[Stored] = []
    filler = small_disk / "holiday.mp4"
    with CaseStore.open(small_disk / "store", ballast_bytes=512 * 1024) as store:
        work = drafts(random.Random(4))
        acknowledged += [store.capture(draft) for draft in itertools.islice(work, 10)]
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        refusals = []
        for draft in itertools.islice(work, 400):
            try:
                acknowledged.append(store.capture(draft))
            except StoreFullError as error:
                refusals.append(str(error))
            except UnknownReferenceError:
                pass  # its seizure or item could not be stored
        assert refusals
        assert all("NOT stored" in words for words in refusals)
        assert not store.health().ballast
        assert not store.health().read_only
        assert {row.packet_id for row in store.history(limit=1000)} == {s.packet_id for s in acknowledged}
        # Room for the queue to drain is left.
        with store.transaction() as tx:
            tx.execute("UPDATE outbox SET state = 'queued', tries = tries + 1")
        filler.unlink()
        acknowledged.append(store.capture(_MORE))
        assert store.health().ballast
    _whole(small_disk / "store", acknowledged)
