"""kill -9 while recording, sending and taking receipts: nothing told is lost, nothing is there twice."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spectralid.casework import inbox, outbox
from tests.casework.field import enrolled_field

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")

# Records and exchanges as fast as it can, and says what is on record.
_TABLET = """
import sys
from spectralid.casework import inbox
from spectralid.casework.enrolment import enrolled_endpoint
from spectralid.casework.store import CaseStore, Draft
from spectralid.casework.sync import Sync

with CaseStore.open(sys.argv[1], ballast_bytes=4096) as store:
    sync = Sync(store, enrolled_endpoint(store))
    while True:
        draft = Draft("seizure", "S-1", None, {"officer_ref": "K-17"})
        print(store.capture(draft).packet_id, flush=True)
        sync.once()
        for answer in inbox.unread(store):
            inbox.shown(store, answer.answer_id)
"""


def run_and_kill(folder: Path, chance: random.Random) -> list[str]:
    """Start a tablet, let it tell of a few records, and kill it a moment later."""
    child = subprocess.Popen(
        [sys.executable, "-c", _TABLET, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert child.stdout is not None
    assert child.stderr is not None
    told = []
    for _ in range(chance.randint(1, 4)):
        line = child.stdout.readline()
        assert line, child.stderr.read()
        told.append(line.strip())
    # A moment of work of another length each time, so that the kill falls anywhere in a round.
    sum(range(chance.randint(0, 400_000)))
    child.kill()
    rest, _ = child.communicate()
    assert child.returncode == -signal.SIGKILL
    # A line that was cut off was never told.
    return told + [line.strip() for line in rest.splitlines(keepends=True) if line.endswith("\n")]


def test_a_tablet_killed_at_any_moment(tmp_path):
    chance = random.Random(7)
    with enrolled_field(tmp_path) as field:
        told: list[str] = []
        for _ in range(6):
            field.server.answer("tablet-7")
            field.store.close()
            told += run_and_kill(field.folder / "tablet", chance)
            field.store = field.open()
        with field.sync() as sync:
            outbox.retry_now(field.store)
            sync.once()
            for answer in inbox.unread(field.store):
                inbox.shown(field.store, answer.answer_id)
            sync.once()
        rows = outbox.states(field.store)
        assert set(told) <= {row.packet_id for row in rows}
        assert {row.state for row in rows} == {"received"}
        assert {seq for _, seq in field.server.packets} == {row.seq for row in rows}
        assert field.server.audit_n == len(rows), "each packet was taken in once"
        assert field.kinds().count("received") == len(rows)
        assert [answer.n for answer in inbox.all(field.store)] == list(range(1, 7))
        assert set(field.server.acknowledged) == {f"answer-{n}" for n in range(1, 7)}
        assert all(len(set(words)) == 1 for words in field.server.acknowledged.values())
        field.nothing_lost_nothing_twice()
