"""How fast packets are taken in: rate, latency, and what a packet costs of the disk.

    python benchmarks/reachback/ingest.py                          # both databases, by the core
    python benchmarks/reachback/ingest.py --threads 1,8,32 --packets 4000
    python benchmarks/reachback/ingest.py --http                   # through the server's processes, by TLS

Packets are of the size that tablets make (1,024 points, axis and intensities in float64: 23 kB), signed, in
their chains, and made before the clock starts. Each thread is a tablet that hands over one packet after the
other, as tablets do. PostgreSQL runs with fsync on, SQLite with synchronous=FULL. At the end the audit log
and every receipt in it are verified.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from benchmarks.reachback._field import Tablet
from benchmarks.reachback._server import KINDS, promises, server, size_of
from spectralid.reachback import audit, enrolled, ingest
from spectralid.reachback.database import Database
from spectralid.reachback.serverkeys import ServerKeys

SCANS = 3
"""Of a seizure: with its opening and its item five packets, as in the mean of the capacity plan."""


@dataclass(frozen=True)
class Result:
    """What was measured in one run."""

    kind: str
    threads: int
    packets: int
    seconds: float
    latency_ms: tuple[float, float]
    bytes_a_packet: float
    sent_bytes: float
    cpu_ms: float
    problems: int

    def line(self) -> str:
        """Of the table."""
        p50, p99 = self.latency_ms
        return (
            f"| {self.kind} | {self.threads} | {self.packets} | {self.packets / self.seconds:.0f} "
            f"| {p50:.1f} | {p99:.1f} | {self.cpu_ms:.1f} | {self.sent_bytes / 1e3:.1f} "
            f"| {self.bytes_a_packet / 1e3:.1f} | {'whole' if not self.problems else self.problems} |"
        )


HEADING = """\
| database | tablets | packets | packets/s | p50 ms | p99 ms | CPU ms | packet kB | on disk kB | audit |
|---|---|---|---|---|---|---|---|---|---|"""


def made(tablets: int, packets: int) -> list[tuple[Tablet, list[bytes]]]:
    """Tablets, each with its share of the packets, in seizures."""
    at = datetime.now(UTC)
    out = []
    for number in range(tablets):
        tablet = Tablet(f"tablet-{number:03d}", number)
        mine: list[bytes] = []
        while len(mine) < packets // tablets:
            mine += tablet.seizure(f"S-{len(mine)}", SCANS, at, danger=len(mine) % 5 == 0)
        out.append((tablet, mine))
    return out


def in_threads(
    field: list[tuple[Tablet, list[bytes]]], send: Callable[[Tablet, bytes], None]
) -> tuple[float, list[float]]:
    """Every tablet in a thread of its own: seconds for all, and for each packet."""
    taken: list[float] = []
    failed: list[BaseException] = []

    def work(tablet: Tablet, packets: list[bytes]) -> None:
        try:
            for raw in packets:
                begun = time.perf_counter()
                send(tablet, raw)
                taken.append(time.perf_counter() - begun)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=one) for one in field]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return time.perf_counter() - begun, taken


def core(kind: str, threads: int, packets: int) -> Result:
    """Through `ingest.ingest`, in this process."""
    field = made(threads, packets)
    with server(kind) as (db, _):
        keys = ServerKeys.open(db.folder)
        for tablet, _mine in field:
            enrolled.add(
                db, tablet.device_id, tablet.key.public, site_ref="north", by="admin", now=datetime.now(UTC)
            )

        def send(tablet: Tablet, raw: bytes) -> None:
            ingest.ingest(
                db, raw, device=tablet.device_id, idempotency_key=hashlib.sha256(raw).hexdigest(),
                now=lambda: datetime.now(UTC), keys=keys,
            )  # fmt: skip

        before, cpu = size_of(db), time.process_time()
        seconds, taken = in_threads(field, send)
        cpu = time.process_time() - cpu
        return _result(db, keys, kind, field, seconds, taken, size_of(db) - before, cpu)


def _result(
    db: Database,
    keys: ServerKeys,
    kind: str,
    field: list[tuple[Tablet, list[bytes]]],
    seconds: float,
    taken: list[float],
    grown: int,
    cpu: float,
) -> Result:
    count = len(taken)
    p50, p99 = np.percentile(np.array(taken) * 1e3, (50, 99))
    sent = sum(len(raw) for _, mine in field for raw in mine)
    problems = audit.verify(db, trusted=keys.trusted)
    return Result(
        kind, len(field), count, seconds, (float(p50), float(p99)), grown / count, sent / count,
        1e3 * cpu / count, len(problems),
    )  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packets", type=int, default=4000)
    parser.add_argument(
        "--threads", default="1,8,32", help="tablets that send at the same time (%(default)s)"
    )
    parser.add_argument("--databases", default=",".join(KINDS))
    args = parser.parse_args()
    print(HEADING)
    said = set()
    for kind in args.databases.split(","):
        for threads in map(int, args.threads.split(",")):
            print(core(kind, threads, args.packets).line(), flush=True)
        with server(kind) as (db, _):
            said.add(promises(db))
    print("\n" + "; ".join(sorted(said)))


if __name__ == "__main__":
    main()
