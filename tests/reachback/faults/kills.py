"""Killing a worker of the server again and again, and what must be found afterwards.

Used by the tests and by ``benchmarks/reachback/kills.py``, which does it ten thousand times.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from spectralid.casework import messages
from spectralid.casework.packet import open_packet
from spectralid.reachback.caseload import cases
from spectralid.reachback.store import audit, tables
from spectralid.reachback.store.database import Database
from spectralid.reachback.tablets import ingest
from tests.reachback.desk import Desk, Tablet

ROOT = Path(__file__).resolve().parents[3]

_AHEAD = 16
_SCANS = 4
"""In a seizure, before it is decided."""


@contextmanager
def fork_server() -> Iterator[subprocess.Popen[str]]:
    """A process that forks workers (`tests.reachback.faults.worker`)."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.reachback.faults.worker"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    ) as process:
        yield process
        process.kill()


@dataclass
class Killing:
    """One database, the workers that die over it, and those who asked them.

    Attributes
    ----------
    db : Database
        As seen from outside.
    url : str or None
        How workers open it.
    folder : Path
        Of packets and jobs; the server's own is ``server`` in it.
    server : Popen
        That forks workers.
    random : Random
        When they die.
    kills : int
        Workers that were killed before they had finished.
    """

    db: Database
    url: str | None
    folder: Path
    server: subprocess.Popen[str]
    random: random.Random
    kills: int = 0
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.desk = Desk(self.db)
        self.tablets = (self.desk.tablet, self.desk.other)
        self.jobs: list[dict[str, str]] = []
        self.raw: dict[tuple[str, int], bytes] = {}
        self.said: dict[int, str] = {}
        self.seizures = 0
        self._begin = 0

    def _make_jobs(self) -> None:
        while len(self.jobs) < self._begin + _AHEAD:
            tablet = self.tablets[self.seizures % 2]
            self.seizures += 1
            name = f"S-{self.seizures}"
            made = [tablet.seizure(name), *(tablet.scan(name, item="I-1") for _ in range(_SCANS))]
            for raw in made:
                file = f"{len(self.jobs)}.sidpkt"
                (self.folder / file).write_bytes(raw)
                self.raw[tablet.device_id, tablet.seq - len(made) + 1 + made.index(raw)] = raw
                self.jobs.append({"kind": "packet", "file": file, "device": tablet.device_id})
            case_id = cases.case_id_of(tablet.device_id, name)
            self.jobs.append({"kind": "decide", "case": case_id, "device": tablet.device_id})
        (self.folder / "jobs.json").write_text(json.dumps(self.jobs))

    def life(
        self,
        *,
        dies_at: int = 0,
        commits: bool = False,
        dies_after: float | None = None,
        threads: int = 1,
        more: bool = True,
    ) -> None:
        """One worker: what it said is noted, and what it did not say is asked for again by the next."""
        while self._begin in self.said:
            self._begin += 1
        if more:
            self._make_jobs()
        order = {
            "url": self.url,
            "folder": str(self.folder),
            "begin": self._begin,
            "threads": threads,
            "warm_up": _SCANS + 2,
            "dies_at": dies_at,
            "commits": commits,
            "dies_after": dies_after,
        }
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        for line in iter(self.server.stdout.readline, ""):
            match line.split(maxsplit=2):
                case ["did", number, what]:
                    # Whoever asks again gets what was given before.
                    assert self.said.setdefault(int(number), what.strip()) == what.strip()
                case ["failed", *words]:
                    self.failures.append(" ".join(words))
                case ["dead"]:
                    self.kills += 1
                    return
                case ["done"]:
                    return
        raise AssertionError("the fork server has gone")

    def kill(self, times: int, longest_s: float) -> None:
        """So many workers, each killed at a moment of its own: by the clock, by statement, or by commit."""
        until = self.kills + times
        while self.kills < until and not self.failures:
            threads = self.random.choice((1, 1, 4))
            match self.random.randrange(4):
                case 0:
                    # Committed, and not told.
                    self.life(dies_at=self.random.randrange(1, 9), commits=True, threads=threads)
                case 1:
                    self.life(dies_at=self.random.randrange(1, 250), threads=threads)
                case _:
                    self.life(dies_after=self.random.random() * longest_s, threads=threads)

    def check(self) -> None:
        """Nothing lost, nothing twice, nothing in part; the log holds for all who witnessed it."""
        self.life(more=False)
        assert self.failures == []
        assert len(self.said) == len(self.jobs)
        rows = self._rows
        packets = {(row["device_id"], row["seq"]): row for row in rows("packets")}
        # Each packet once, and byte for byte.
        assert {key: row["raw"] for key, row in packets.items()} == self.raw
        held = []
        for number, said in self.said.items():
            job = self.jobs[number]
            if job["kind"] == "packet":
                packet = open_packet((self.folder / job["file"]).read_bytes(), None)
                receipt = packets[packet.device_id, packet.seq]["receipt"]
                # The receipt that was given is the one on record.
                assert hashlib.sha256(receipt).hexdigest() == said
                kept = messages.kept(receipt, messages.Receipt)
                held.append(audit.read_checkpoint(kept.checkpoint, self.desk.keys.trusted))
        scans = [key for key, raw in self.raw.items() if open_packet(raw, None).kind == "scan"]
        for name in ("scans", "spectra"):
            assert sorted((row["device_id"], row["seq"]) for row in rows(name)) == sorted(scans), name
        # One case for each seizure, decided once, with one answer.
        found = rows("cases")
        assert {row["case_id"] for row in found} == {
            job["case"] for job in self.jobs if job["kind"] == "decide"
        }
        assert len(found) == self.seizures
        assert {(row["state"], row["scans"], row["round"]) for row in found} == {("ANSWERED", _SCANS, 1)}
        assert len(rows("adjudications")) == len(rows("rounds")) == self.seizures
        answered = rows("answers")
        assert {row["kind"] for row in answered} == {"final"}
        for tablet in self.tablets:
            numbers = sorted(row["n"] for row in answered if row["device_id"] == tablet.device_id)
            assert numbers == list(range(1, len(numbers) + 1))
        assert len(answered) == self.seizures
        assert ingest.gaps_of(self.db) == ()
        # On record once each, and the log is the one that was witnessed.
        taken = [row for row in rows("audit") if row["action"] == "packet"]
        assert len(taken) == len(self.raw)
        assert audit.verify(self.db, held, trusted=self.desk.keys.trusted) == ()

    def _rows(self, name: str) -> list[dict[str, Any]]:
        with self.db.read() as tx:
            return [dict(row) for row in tx.execute(sa.select(tables.metadata.tables[name])).mappings()]


__all__ = ["Killing", "Tablet", "fork_server"]
