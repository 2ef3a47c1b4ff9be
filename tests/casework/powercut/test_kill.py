"""kill -9 at random moments of capturing: what was acknowledged is there, the rest is whole or absent."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from spectralid.casework.store import Stored

from .shifts import checker, remembered_packets

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="victims are forked")

KILLS = 250
"""Per shard; four shards are 1,000 kills each time the tests run."""

_PER_STORE = 10
_ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    """A process that forks victims (`powercut.victim`)."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.casework.powercut.victim"],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def _kill_one(server: subprocess.Popen[str], folder: Path, rng: random.Random) -> list[tuple[str, int, str]]:
    """Let a victim work in `folder`, kill it, and return what it had acknowledged."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(f"{folder} {rng.getrandbits(32)}\n")
    server.stdin.flush()
    pid = int(server.stdout.readline().removeprefix("pid "))
    # A quarter die while they open the store, the others after some captures; then a little later than that.
    acknowledged = [server.stdout.readline() for _ in range(rng.choice((0, 1, 1, rng.randrange(8))))]
    until = time.perf_counter() + rng.choice((0.0, rng.random() * 0.004, rng.random() * 0.02))
    while time.perf_counter() < until:
        pass
    os.kill(pid, signal.SIGKILL)
    acknowledged += iter(server.stdout.readline, "dead\n")
    words = (line.split() for line in acknowledged)
    return [(packet_id, int(seq), sha256) for _, packet_id, seq, sha256 in words]


@pytest.mark.parametrize("shard", range(4))
def test_nothing_acknowledged_is_lost_to_a_kill(ram: Path, server: subprocess.Popen[str], shard: int) -> None:
    rng = random.Random(shard)
    kills = 0
    with remembered_packets():
        while kills < KILLS:
            folder = ram / f"store-{kills}"
            known: list[Stored] = []
            for _ in range(_PER_STORE):
                kills += 1
                fresh = _kill_one(server, folder, rng)
                promised = [Stored(packet_id, seq, sha256, "", "") for packet_id, seq, sha256 in fresh]
                known += promised
                if not (folder / "device.key").exists():
                    assert not known
                    continue
                # What was committed and not yet acknowledged when the kill came is whole and allowed.
                others = _others(folder, known)
                assert len(others) <= 1
                known += others
                assert checker(known)(folder, known, rng) == []
                known += _others(folder, known)
    assert kills >= KILLS


def _others(folder: Path, known: list[Stored]) -> list[Stored]:
    """What is in a store beside what is known."""
    ids = {stored.packet_id for stored in known}
    if not (folder / "casework.db").exists():
        return []
    with closing(sqlite3.connect(folder / "casework.db")) as db:
        tables = db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'packets'").fetchall()
        rows = db.execute("SELECT packet_id, seq, sha256 FROM packets").fetchall() if tables else []
    return [Stored(*row, "", "") for row in rows if row[0] not in ids]
