"""A disk that is full or fails, wherever it can: nothing acknowledged is lost, nothing is half there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from spectralid.casework.errors import StoreFullError, StoreReadOnlyError
from tests.casework.record import opened, scan, with_item

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def disk():
    """A file system in front of the real one, whose n-th write or sync fails as told."""
    apsw = pytest.importorskip("apsw")

    class Disk(apsw.VFS):
        def __init__(self):
            super().__init__("failing", "")
            self.writes = self.syncs = 0
            self.full_at = self.broken_at = 0

        def xOpen(self, name, flags):
            return File(name, flags)

    class File(apsw.VFSFile):
        def __init__(self, name, flags):
            super().__init__("", name, flags)

        def xWrite(self, data, offset):
            here.writes += 1
            if here.writes == here.full_at:
                raise apsw.FullError("the disk is full")
            super().xWrite(data, offset)

        def xSync(self, flags):
            here.syncs += 1
            if here.syncs == here.broken_at:
                raise apsw.IOError("fsync failed")
            super().xSync(flags)

    here = Disk()
    here.connect = lambda path: apsw.Connection(path, vfs="failing")
    yield here
    here.unregister()


def test_full_at_each_write_of_a_capture(tmp_path, disk):
    refused = 0
    with opened(tmp_path, connect=disk.connect) as store:
        with_item(store)
        acknowledged = {1, 2}
        for place in range(1, 200):
            disk.writes, disk.full_at = 0, place
            try:
                made = store.capture(scan(*range(900)))
            except StoreFullError:
                assert not store.health().ballast
                refused += 1
            else:
                acknowledged.add(made.seq)
                if disk.writes < place:
                    break
            disk.full_at = 0
            # What was refused is not there; what is tried again is.
            assert store.health().counts["packets"] == len(acknowledged)
            acknowledged.add(store.capture(scan(float(place), 1.0)).seq)
            assert store.health().ballast
        assert store.verify() == store.custody.verify() == ()
    assert refused >= 10
    with opened(tmp_path) as store:
        assert {p.seq for p in store.sound_packets()} == acknowledged == set(range(1, len(acknowledged) + 1))
        assert store.verify() == store.custody.verify() == ()


def test_every_capture_is_synced_before_it_is_acknowledged(tmp_path, disk):
    """Not only when the log is begun anew, as with less than synchronous=FULL."""
    with opened(tmp_path, connect=disk.connect) as store:
        with_item(store)
        for _ in range(5):
            disk.syncs = 0
            store.capture(scan())
            assert disk.syncs >= 1


def test_a_sync_that_fails_in_a_capture(tmp_path, disk):
    acknowledged = 2
    with opened(tmp_path, connect=disk.connect) as store:
        with_item(store)
    for place in range(1, 20):
        with opened(tmp_path, connect=disk.connect) as store:
            # Acknowledged before, so there; the one refused may be there whole, or not at all.
            found = store.health().counts["packets"]
            assert found in (acknowledged, acknowledged + 1)
            assert store.verify() == store.custody.verify() == ()
            acknowledged = found
            disk.syncs, disk.broken_at = 0, place
            try:
                store.capture(scan(float(place), 1.0))
            except StoreReadOnlyError:
                disk.broken_at = 0
                assert store.health().read_only
                with pytest.raises(StoreReadOnlyError):
                    store.capture(scan())
            else:
                disk.broken_at = 0
                acknowledged += 1
                assert disk.syncs < place, "a sync failed unseen"
                break
    else:
        pytest.fail("every sync failed")
    assert place > 1


FULL_DISK = """
import os, pathlib, sys
from spectralid.casework.errors import StoreFullError
from tests.casework.record import opened, scan, with_item
folder = pathlib.Path(sys.argv[1]) / "record"
ballast = 1024 * 1024
made = []

def fill(path, keep=0):
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    os.truncate(path, max(0, path.stat().st_size - keep))

def captures():
    "Until the disk is full for good."
    refusals = 0
    while True:
        try:
            made.append(store.capture(scan(*range(2000))).packet_id)
        except StoreFullError as error:
            refusals += 1
            if not error.room_was_made:
                return refusals

with opened(folder, ballast_bytes=ballast) as store:
    with_item(store)
    fill(folder.parent / "other", keep=200_000)
    assert captures() == 2, "once with room made, once for good"
    assert len(made) > 3 and not store.health().ballast
    # What is kept of the reserve is enough to remove something.
    with store.transaction() as tx:
        tx.execute("UPDATE outbox SET state = 'received', receipt = x'01'")
        tx.execute("UPDATE packets SET raw = NULL WHERE seq > 2 AND seq % 2 = 0")
    fill(folder.parent / "more")
print("full", len(made), flush=True)
with opened(folder, ballast_bytes=ballast) as store:
    assert store.verify() == store.custody.verify() == ()
    assert {row.packet_id for row in store.history(limit=10**6)} >= set(made)
    captures()
    (folder.parent / "other").unlink()
    (folder.parent / "more").unlink()
    made.append(store.capture(scan()).packet_id)
    assert store.health().ballast
    assert {row.packet_id for row in store.history(limit=10**6)} >= set(made)
    assert store.verify() == store.custody.verify() == ()
print("well", flush=True)
"""


def test_a_disk_that_is_really_full(tmp_path):
    """On a file system of 6 MB, in a namespace of its own."""
    mounted = [
        "unshare",
        "-rm",
        "sh",
        "-c",
        'mount -t tmpfs -o size=6m none "$1" && shift && exec "$@"',
        "sh",
    ]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*mounted, str(tmp_path), "true"], capture_output=True).returncode
    ):
        pytest.skip("a small file system cannot be mounted here")
    out = subprocess.run(
        [*mounted, str(tmp_path), sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True, text=True, cwd=REPOSITORY,
    )  # fmt: skip
    assert out.returncode == 0, out.stderr
    assert out.stdout.split()[::2] == ["full", "well"]
