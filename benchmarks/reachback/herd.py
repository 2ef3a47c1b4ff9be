"""300 tablets come back after an hour's outage, all at once, with everything they have recorded meanwhile.

    python benchmarks/reachback/herd.py                         # PostgreSQL, two server processes, real time
    python benchmarks/reachback/herd.py --database sqlite
    python benchmarks/reachback/herd.py --tablets 30 --pace 20  # for a quick look

Nothing of the exchange is simulated: ``spectralid reachback serve`` runs as a process of its own with its
real limits, over TLS with certificates on both sides; every tablet is the tablet's own record and exchange
(`spectralid.casework.store`, `.sync`, `.endpoint`). The hour of the outage is played at accelerated time:
each tablet records its seizure at some moment of it, and knocks in vain as often as its own rules say, so
that its pauses are as long as after a real hour. From the return of the server on everything runs in real
time. With ``--pace`` above 1 the tablets' pauses and the outage are shorter by that factor and the server's
limits are not: a harder herd, not an easier one.

Load: each tablet has one seizure of the capacity plan's mix of sizes, which is some 120 times what an hour
brings on average. Goals: everything drained within 15 minutes (divided by the pace), no 5xx after the server
is ready, each packet once, and the queue in the order of its deadlines.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import sqlalchemy as sa

from benchmarks.reachback._field import Scans
from benchmarks.reachback._server import KINDS, enrol, free_port, serving, url_of
from benchmarks.reachback._year_arrivals import size
from spectralid.casework import outbox
from spectralid.casework.endpoint import Endpoint
from spectralid.casework.facts import Draft
from spectralid.casework.outbox import Backoff
from spectralid.casework.store import CaseStore
from spectralid.casework.sync import Sync
from spectralid.reachback.api import serve
from spectralid.reachback.api.desk import Desk
from spectralid.reachback.caseload import queue
from spectralid.reachback.settings import Settings
from spectralid.reachback.store import audit, tables
from spectralid.reachback.tablets import ingest

OUTAGE_MIN = 60.0
DRAINED_MIN = 15.0
_CAPTURE_TO_TRY_S = 10.0
"""`Sync` tries this soon after something new was recorded."""


class Clock:
    """The clocks of all tablets: those of the system, put forward by the outage that is played."""

    boot_id = "boot-1"

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def wall_utc(self) -> datetime:
        """What the clock says."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)

    def monotonic_ns(self) -> int:
        """Nanoseconds since some moment."""
        return time.monotonic_ns() + int(self.ahead_s * 1e9)


class Counting(Endpoint):
    """The tablet's own line, with a count of what came back."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.replies: Counter[str] = Counter()
        self.seconds: list[float] = []

    def _request(self, method: str, path: str, **options: Any) -> Any:
        begun = time.perf_counter()
        reply = super()._request(method, path, **options)
        what = path.split("?")[0]
        self.replies[f"{method} {what} {getattr(reply, 'status', None) or getattr(reply, 'code', '')}"] += 1
        if what == "/v1/packets" and getattr(reply, "status", 0) in (200, 201):
            self.seconds.append(time.perf_counter() - begun)
        return reply


@dataclass
class Tablet:
    """One of them."""

    store: CaseStore
    sync: Sync
    endpoint: Counting
    stop: threading.Event
    packets: int = 0


@dataclass(frozen=True)
class Result:
    """What was measured.

    Attributes
    ----------
    packets, scans, tries_before : int
        What waited, and how often the tablets knocked while the server was away.
    drained_s, half_s : float
        After the server was ready: until the last, and half of the packets were there.
    replies : Counter
        By request and status, after the server was ready.
    latency_ms : tuple of float
        Of a packet: the 50th, 95th and 99th percentile.
    stored, gaps, problems : int
        Packets on the server, numbers missing, and what the verification of its log found.
    in_order : bool
        Whether the cases were handed out in the order of their deadlines.
    """

    packets: int
    scans: int
    tries_before: int
    drained_s: float
    half_s: float
    replies: Counter[str]
    latency_ms: tuple[float, ...]
    stored: int
    gaps: int
    problems: int
    in_order: bool

    @property
    def server_errors(self) -> int:
        """Replies of 5xx."""
        return sum(n for what, n in self.replies.items() if what.rsplit(" ", 1)[-1].startswith("5"))

    def is_good(self, limit_s: float) -> bool:
        """Whether every goal is reached."""
        return (
            self.drained_s <= limit_s
            and not (self.server_errors or self.gaps or self.problems)
            and self.stored == self.packets
            and self.in_order
        )


def played(
    kind: str,
    *,
    tablets: int,
    processes: int = 1,
    pace: float = 1.0,
    seed: int = 1,
    patience_s: float = 1800.0,
) -> Result:
    """Let them come.

    Parameters
    ----------
    kind : {"sqlite", "postgresql"}
        The server's database.
    tablets : int
        How many.
    processes : int
        Of the server; more than one needs PostgreSQL.
    pace : float
        By how much the tablets' pauses and the outage are shorter.
    seed : int
        Of sizes, moments and jitter.
    patience_s : float
        When it is given up.
    """
    rng, clock = random.Random(seed), Clock()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="herd-")))
        url = stack.enter_context(url_of(kind))
        ports = [free_port() for _ in range(processes)]
        desk = serve.open_desk(folder / "server", Settings(database=url or ""))
        stack.callback(desk.db.close)
        field = _field(stack, desk, folder, ports, tablets, clock, pace, rng)
        scans = _outage(field, clock, OUTAGE_MIN / pace, rng)
        for each in range(processes):
            stack.enter_context(serving(folder / "server", url, ports[each]))
        return _return(desk, field, scans, patience_s)


def _field(
    stack: contextlib.ExitStack,
    desk: Desk,
    folder: Path,
    ports: list[int],
    count: int,
    clock: Clock,
    pace: float,
    rng: random.Random,
) -> list[Tablet]:
    """Tablets that are enrolled."""
    field = []
    for number in range(count):
        name = f"tablet-{number:03d}"
        store = stack.enter_context(
            CaseStore.open(folder / name, device_id=name, clock=clock, ballast_bytes=4096)
        )
        enrolled = enrol(desk, store, ports[number % len(ports)])
        endpoint = Counting(enrolled, enrolled.trust())
        stack.callback(endpoint.close)
        backoff = Backoff(5.0 / pace, 300.0 / pace)
        sync = Sync(store, endpoint, backoff=backoff, jitter=random.Random(rng.random()).random)
        field.append(Tablet(store, sync, endpoint, threading.Event()))
    return field


def _outage(field: list[Tablet], clock: Clock, minutes: float, rng: random.Random) -> int:
    """An hour in which each tablet records a seizure and knocks in vain; returns the scans."""
    ends, scans = minutes * 60.0, 0
    records = {number: rng.uniform(0, ends) for number in range(len(field))}
    events = [(0.0, number, False) for number in records]
    events += [(at, number, True) for number, at in records.items()]
    heapify(events)
    start = time.monotonic()
    while events and events[0][0] < ends:
        at, number, recording = heappop(events)
        clock.ahead_s = at - (time.monotonic() - start)
        tablet = field[number]
        if recording:
            mine = size(rng)
            scans += mine
            tablet.packets = _record(tablet.store, mine, number, clock)
            tablet.sync._eager = True
            heappush(events, (at + _CAPTURE_TO_TRY_S, number, False))
            continue
        tablet.sync.once()
        again = tablet.sync._link_pause_s()
        # A try that something new has hurried stands beside the one that is due.
        if not any(one[1] == number and not one[2] for one in events):
            heappush(events, (at + max(again, 0.1), number, False))
    clock.ahead_s = ends - (time.monotonic() - start)
    return scans


def _record(store: CaseStore, scans: int, number: int, clock: Clock) -> int:
    made = Scans(store.device_id, number)
    danger = number % 5 == 0
    ref = f"S-{number:03d}"
    store.capture(Draft("seizure", ref, None, {"officer_ref": "K-17"}))
    store.capture(Draft("item", ref, "I-1", {"label": "bag"}))
    for _ in range(scans):
        blobs, body = made.next(clock.wall_utc(), danger=danger)
        store.capture(Draft("scan", ref, "I-1", body, blobs))
    return scans + 2


def _return(desk: Desk, field: list[Tablet], scans: int, patience_s: float) -> Result:
    """The server is there: every tablet in a thread of its own, by its own rules, until all is there."""
    before = sum((tablet.endpoint.replies for tablet in field), Counter[str]())
    for tablet in field:
        tablet.endpoint.replies = Counter()
    expected = sum(tablet.packets for tablet in field)
    threads = [threading.Thread(target=tablet.sync.run, args=(tablet.stop,)) for tablet in field]
    begun, half_s = time.monotonic(), 0.0
    for thread in threads:
        thread.start()
    stored = 0
    while stored < expected and time.monotonic() - begun < patience_s:
        time.sleep(0.25)
        with desk.db.read() as tx:
            stored = tx.execute(sa.select(sa.func.count()).select_from(tables.packets)).scalar_one()
        if not half_s and stored >= expected / 2:
            half_s = time.monotonic() - begun
    drained_s = time.monotonic() - begun
    # What is stored is not yet answered: a line that is cut now would count as one the server had cut.
    while any(_unanswered(tablet) for tablet in field) and time.monotonic() - begun < patience_s:
        time.sleep(0.05)
    for tablet in field:
        tablet.stop.set()
    for tablet in field:
        tablet.sync.wake()
    for thread in threads:
        thread.join()
    taken = [one for tablet in field for one in tablet.endpoint.seconds]
    return Result(
        packets=expected,
        scans=scans,
        tries_before=sum(before.values()),
        drained_s=drained_s,
        half_s=half_s,
        replies=sum((tablet.endpoint.replies for tablet in field), Counter[str]()),
        latency_ms=tuple(np.percentile(np.array(taken) * 1e3, (50, 95, 99)).tolist()),
        stored=stored,
        gaps=len(ingest.gaps_of(desk.db)),
        problems=len(audit.verify(desk.db, trusted=desk.keys.trusted)),
        in_order=_in_order(desk, 40),
    )


def _unanswered(tablet: Tablet) -> bool:
    counts = outbox.summary(tablet.store)
    return bool(counts["queued"] or counts["sending"])


def _in_order(desk: Desk, most: int) -> bool:
    """Whether a chemist who takes one case after the other has them in the order of their deadlines."""
    now = desk.now()
    with desk.db.read() as tx:
        waiting = {
            row.case_id: (row.due_slot, row.priority, row.due_utc)
            for row in tx.execute(sa.select(tables.cases).where(tables.cases.c.state == "QUEUED"))
        }
    handed = [lease for _ in range(most) if (lease := queue.next(desk.db, "chemist", now=now)) is not None]
    order = [waiting[lease.case_id] for lease in handed]
    return order == sorted(waiting.values())[: len(order)] and len(order) == min(most, len(waiting))


def report(result: Result, limit_s: float) -> str:
    """As Markdown."""
    p50, p95, p99 = result.latency_ms
    rows = {
        "packets that waited (scans)": f"{result.packets:,} ({result.scans:,})",
        "requests in vain during the outage": f"{result.tries_before:,}",
        "half there after": f"{result.half_s:.0f} s",
        "all there after": f"{result.drained_s:.0f} s (goal {limit_s:.0f} s)"
        if result.stored == result.packets
        else f"given up after {result.drained_s:.0f} s",
        "a packet, p50 / p95 / p99": f"{p50:.0f} / {p95:.0f} / {p99:.0f} ms",
        "replies of 5xx after the server was ready": str(result.server_errors),
        "on the server; numbers missing": f"{result.stored:,}; {result.gaps}",
        "audit log": "whole" if not result.problems else f"{result.problems} PROBLEMS",
        "handed out by deadline": "yes" if result.in_order else "NO",
    }
    lines = ["| | |", "|---|---|", *(f"| {name} | {said} |" for name, said in rows.items()), ""]
    lines += ["| reply | count |", "|---|---|"]
    lines += [f"| {what} | {count:,} |" for what, count in sorted(result.replies.items())]
    return "\n".join(lines)


def main() -> int:
    """Let them come, and print what happened."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--database", choices=KINDS, default="postgresql")
    add("--tablets", type=int, default=300)
    add("--processes", type=int, help="of the server (2 with PostgreSQL, 1 with SQLite)")
    add("--pace", type=float, default=1.0, help="pauses and outage shorter by this factor (%(default)s)")
    add("--seed", type=int, default=1)
    args = parser.parse_args()
    processes = args.processes or (2 if args.database == "postgresql" else 1)
    limit_s = DRAINED_MIN * 60 / args.pace
    result = played(
        args.database, tablets=args.tablets, processes=processes, pace=args.pace, seed=args.seed,
        patience_s=2 * limit_s,
    )  # fmt: skip
    print(
        f"{args.tablets} tablets, {args.database}, {processes} server processes, pace {args.pace:g}, "
        f"seed {args.seed}\n\n{report(result, limit_s)}"
    )
    return 0 if result.is_good(limit_s) else 1


if __name__ == "__main__":
    sys.exit(main())
