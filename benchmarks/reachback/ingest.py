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
import contextlib
import hashlib
import http.client as http_client
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from benchmarks.reachback._field import Tablet
from benchmarks.reachback._server import (
    KINDS,
    enrol,
    free_port,
    promises,
    server,
    serving,
    size_of,
    url_of,
)
from spectralid.casework.endpoint import PACKET_TYPE
from spectralid.casework.store import CaseStore
from spectralid.reachback.api import serve
from spectralid.reachback.settings import Settings
from spectralid.reachback.store import audit
from spectralid.reachback.store.database import Database
from spectralid.reachback.store.serverkeys import ServerKeys
from spectralid.reachback.tablets import enrolled, ingest

_NO_LIMITS = "[limits]\ndevice_per_min = 1e6\ndevice_burst = 1000000\nall_per_s = 1e6\nall_burst = 1000000\n"
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
    cpu_ms: float | None
    problems: int

    def line(self) -> str:
        """Of the table."""
        p50, p99 = self.latency_ms
        cpu = "" if self.cpu_ms is None else f"{self.cpu_ms:.1f}"
        return (
            f"| {self.kind} | {self.threads} | {self.packets} | {self.packets / self.seconds:.0f} "
            f"| {p50:.1f} | {p99:.1f} | {cpu} | {self.sent_bytes / 1e3:.1f} "
            f"| {self.bytes_a_packet / 1e3:.1f} | {'whole' if not self.problems else self.problems} |"
        )


HEADING = """\
| database | tablets | packets | packets/s | p50 ms | p99 ms | CPU ms | packet kB | on disk kB | audit |
|---|---|---|---|---|---|---|---|---|---|"""


Field = list[tuple[Tablet, list[bytes]]]
"""Tablets, and what each hands over."""


def made(tablets: list[Tablet], packets: int) -> Field:
    """Tablets, each with its share of the packets, in seizures."""
    at = datetime.now(UTC)
    out = []
    for tablet in tablets:
        mine: list[bytes] = []
        while len(mine) < packets // len(tablets):
            mine += tablet.seizure(f"S-{len(mine)}", SCANS, at, danger=len(mine) % 5 == 0)
        out.append((tablet, mine))
    return out


def in_threads(field: Field, send: Callable[[Tablet, bytes], None]) -> tuple[float, list[float]]:
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
    field = made([Tablet(f"tablet-{number:03d}", number) for number in range(threads)], packets)
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


def http(kind: str, threads: int, packets: int, processes: int) -> Result:
    """Through processes of the server, over TLS with certificates on both sides; their limits are lifted."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reachback-")))
        url = stack.enter_context(url_of(kind))
        desk = serve.open_desk(folder / "server", Settings(database=url or ""))
        stack.callback(desk.db.close)
        (folder / "settings.toml").write_text(_NO_LIMITS, encoding="utf-8")
        ports = [free_port() for _ in range(processes)]
        tablets, lines = [], {}
        for number in range(threads):
            name, port = f"tablet-{number:03d}", ports[number % processes]
            store = stack.enter_context(CaseStore.open(folder / name, device_id=name, ballast_bytes=4096))
            enrolled = enrol(desk, store, port)
            tablets.append(Tablet(name, number, store.key))
            context = ssl.create_default_context(cadata=enrolled.ca_pem)
            context.load_cert_chain(enrolled.certificate, enrolled.key)
            lines[name] = http_client.HTTPSConnection("localhost", port, context=context)
        field = made(tablets, packets)
        for port in ports:
            settings = ("--settings", str(folder / "settings.toml"))
            stack.enter_context(serving(folder / "server", url, port, *settings))

        def send(tablet: Tablet, raw: bytes) -> None:
            line = lines[tablet.device_id]
            key = hashlib.sha256(raw).hexdigest()
            line.request("POST", "/v1/packets", raw, {"Content-Type": PACKET_TYPE, "Idempotency-Key": key})
            reply = line.getresponse()
            body = reply.read()
            if reply.status != 201:
                raise RuntimeError(f"{reply.status}: {body[:300]!r}")

        for line in lines.values():
            line.connect()
        before = size_of(desk.db)
        seconds, taken = in_threads(field, send)
        grown = size_of(desk.db) - before
        for line in lines.values():
            line.close()
        name = f"{kind}, HTTPS, {processes} process{'es' if processes > 1 else ''}"
        return _result(desk.db, desk.keys, name, field, seconds, taken, grown, None)


def _result(
    db: Database,
    keys: ServerKeys,
    kind: str,
    field: Field,
    seconds: float,
    taken: list[float],
    grown: int,
    cpu: float | None,
) -> Result:
    count = len(taken)
    p50, p99 = np.percentile(np.array(taken) * 1e3, (50, 99))
    sent = sum(len(raw) for _, mine in field for raw in mine)
    problems = audit.verify(db, trusted=keys.trusted)
    return Result(
        kind, len(field), count, seconds, (float(p50), float(p99)), grown / count, sent / count,
        None if cpu is None else 1e3 * cpu / count, len(problems),
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
    parser.add_argument("--http", action="store_true", help="through processes of the server, by TLS")
    parser.add_argument(
        "--processes", type=int, default=2, help="of the server, with PostgreSQL (%(default)s)"
    )
    args = parser.parse_args()
    print(HEADING)
    said = set()
    for kind in args.databases.split(","):
        for threads in map(int, args.threads.split(",")):
            if args.http:
                processes = args.processes if kind == "postgresql" else 1
                result = http(kind, threads, args.packets, processes)
            else:
                result = core(kind, threads, args.packets)
            print(result.line(), flush=True)
        with server(kind) as (db, _):
            said.add(promises(db))
    print("\n" + "; ".join(sorted(said)))


if __name__ == "__main__":
    main()
