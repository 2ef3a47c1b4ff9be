"""A day of the server under load: tablets, chemists, pages, a laboratory, one re-search.

The server is `spectralid reachback serve` in a process of its own, on PostgreSQL or SQLite. Tablets are the
tablet's own record and exchange (`spectralid.casework`), each in a thread that waits at its inbox; persons go
through the API over TLS. A step is a simulated minute.
"""

from __future__ import annotations

import contextlib
import json
import math
import random
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.reachback._field import Scans
from benchmarks.reachback._server import promises, size_of, url_of
from benchmarks.reachback._year_arrivals import MEAN_SIZE, SURGE, YEAR, size
from benchmarks.soak import watch
from benchmarks.soak.chemists import Chemists, account
from benchmarks.soak.clock import SharedClock
from benchmarks.soak.processes import Program, Server, enrol_with
from spectralid.casework import inbox, outbox
from spectralid.casework.endpoint import Endpoint
from spectralid.casework.facts import Draft
from spectralid.casework.outbox import Backoff
from spectralid.casework.store import CaseStore
from spectralid.casework.sync import Sync
from spectralid.reachback.client import Client
from spectralid.reachback.errors import ReachbackError
from spectralid.reachback.store import audit, tables
from spectralid.reachback.store.database import Database
from spectralid.reachback.tablets import ingest

PACKET_BYTES = 27_500
"""Of the database for each packet, by the year at accelerated time (docs/reachback-load.md)."""
DANGER, UNKNOWN = 0.20, 0.05
RESEARCH_H = 12.0

_DRAINED_S = 120.0
_LOOKED_AT: tuple[tuple[int, int, str], ...] = (
    (5, 0, "/console"), (5, 0, "/console/static/js/app.js"), (2, 0, "/v1/queue"), (10, 1, "/v1/cases/{case}"),
    (15, 0, "/v1/cases/{case}/bench"), (30, 0, "/v1/trends"), (60, 1, "/v1/graph"), (20, 1, "/v1/alerts"),
    (30, 0, "/v1/cases/{case}/similar"), (45, 0, "/v1/qa/scoreboard"), (60, 2, "/v1/qa/ages"),
    (10, 2, "/metrics"), (30, 3, "/v1/audit"), (60, 3, "/v1/audit/checkpoints"), (30, 2, "/v1/checks"),
    (120, 0, "/v1/seizures/{case}/report"),
    (60, 4, "/v1/lab-results"), (30, 5, "/v1/devices"), (60, 5, "/v1/accounts"), (5, 5, "/v1/openapi.json"),
    (240, 0, "/v1/qa/scoreboard/figure"), (20, 0, "/v1/cases/{case}/bench/{seq}/0"),
    (240, 1, "/v1/bulletins/{month}"),
)  # fmt: skip
"""Every so many steps, as whom (`_ROLES`), what; each for the first time within the first two hours."""
_ENGINE = ("/bench", "/similar", "/figure", "/report", "/bulletins", "/graph")
_ROLES = ("chemist", "senior_chemist", "qa_manager", "auditor", "lab_analyst", "admin", "librarian")


@dataclass
class Tablet:
    """One of them: a record and its exchange, in a thread."""

    store: CaseStore
    sync: Sync
    thread: threading.Thread
    scans: Scans


@contextlib.contextmanager
def field(server: Server, folder: Path, clock: SharedClock, number: int, seed: int) -> Iterator[list[Tablet]]:
    """Tablets that are enrolled and exchange."""
    stop = threading.Event()
    made: list[Tablet] = []
    try:
        for one in range(number):
            name = f"tablet-{one:03d}"
            store = CaseStore.open(folder / name, device_id=name, clock=clock, ballast_bytes=4096)
            enrolled = enrol_with(server, store)
            endpoint = Endpoint(enrolled, enrolled.trust())
            sync = Sync(store, endpoint, backoff=Backoff(0.5, 5.0))
            thread = threading.Thread(target=sync.run, args=(stop,), daemon=True)
            made.append(Tablet(store, sync, thread, Scans(name, seed * 1000 + one)))
        for tablet in made:
            tablet.thread.start()
        yield made
    finally:
        stop.set()
        for tablet in made:
            tablet.sync.wake()
        for tablet in made:
            if tablet.thread.is_alive():
                tablet.thread.join(60)
            tablet.store.close()


def soak(
    folder: Path,
    *,
    hours: float = 24.0,
    seed: int = 1,
    database: str = "postgresql",
    tablets: int = 24,
    times: float = 4.0,
    pace: float = 60.0,
    plant: str = "-",
    steps: int | None = None,
    research: bool = True,
    engine: bool = True,
    told: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """Let the day pass.

    Parameters
    ----------
    folder : Path
        For all that is made; empty.
    hours : float
        Length of the day.
    seed : int
        Of what is drawn.
    database : {"postgresql", "sqlite"}
        Of the server.
    tablets : int
        How many.
    times : float
        Load over that of the capacity plan's surge.
    pace : float
        See `SharedClock.install`; the server has no pauses of its own.
    plant : str
        A leak, see `benchmarks.soak.program`.
    steps : int, optional
        Into which the day is cut; one a simulated minute by default.
    research : bool
        Whether there is a re-search.
    engine : bool
        Whether pages are looked at for which the engine has to work.
    told : callable
        Told each reading as it is taken.

    Returns
    -------
    dict
        Facts, and a reading for each step.
    """
    steps = steps or round(hours * 60)
    clock = SharedClock(folder / "clock")
    start, begun = clock.wall_utc(), time.monotonic()
    readings: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(url_of(database)) or ""
        server = Server(folder / "server", folder / "clock", pace, url, plant)
        stack.callback(server.close)
        people = {name: account(server, clock, name.replace("_", "-"), name) for name in _ROLES}
        desk = Chemists(
            server, clock, [account(server, clock, f"chemist-{n}", "senior_chemist") for n in range(4)], seed
        )
        others = Chemists(server, clock, list(people.values()), seed + 1)
        stack.callback(desk.close)
        stack.callback(others.close)
        if research:
            _released(server.desk.db, folder)
        server.start()
        tablets_here = stack.enter_context(field(server, folder, clock, tablets, seed))
        day = _Day(
            server, clock, desk, others, [people[name] for name in _ROLES], tablets_here, seed, engine=engine
        )
        per_step = YEAR / (365.25 * 24) * SURGE * times * hours / steps / MEAN_SIZE
        searching: Program | None = None
        for number in range(steps):
            hour = number * hours / steps
            clock.reach(start + timedelta(hours=hour))
            day.minute(number, per_step)
            if research and searching is None and hour >= RESEARCH_H * hours / 24:
                searching = day.search_again(folder, url)
                stack.callback(searching.close)
            reading = {"hour": round(hour, 4), **day.state(), **asdict(watch.held(server.pid))}
            readings.append(reading)
            told(reading)
        day.end()
        while desk.work(20):
            pass
        facts = {
            "what": "server", "unit": "packets", "hours": hours, "steps": steps, "seed": seed,
            "database": database,
            "promises": promises(server.desk.db), "tablets": tablets, "times": times,
            "python": sys.version.split()[0],
            "took_s": round(time.monotonic() - begun, 1), "cpu_s": round(watch.cpu_s(server.pid), 1),
            "did": dict(day.done), "chemists": dict(desk.done), "errors": day.errors,
            "predicted_bytes": PACKET_BYTES,
            "handles": dict(watch.handles(server.pid)), "research": day.searched(),
            "queued_cases": day.queued(),
            "waiting_on_tablets": day.waiting(), "audit_entries": day.count(audit.audit),
        }  # fmt: skip
        server.stop()
        problems = [str(one) for one in audit.verify(server.desk.db, trusted=server.desk.keys.trusted)]
        problems += [f"gap: {one}" for one in ingest.gaps_of(server.desk.db)]
    return {**facts, "problems": problems, "readings": readings}


class _Day:
    """What happens on it."""

    def __init__(
        self,
        server: Server,
        clock: SharedClock,
        desk: Chemists,
        others: Chemists,
        people: list[Any],
        tablets: list[Tablet],
        seed: int,
        *,
        engine: bool,
    ) -> None:
        self._pages = [one for one in _LOOKED_AT if engine or not any(part in one[2] for part in _ENGINE)]
        self.server, self.clock, self.desk, self.others = server, clock, desk, others
        self.people, self.tablets = people, tablets
        self.done: Counter[str] = Counter()
        self.errors: list[str] = []
        self._random = random.Random(seed)
        self._first, self._apart = (10, 2) if engine else (5, 1)
        self._run = ""
        self._seizures = 0

    def minute(self, number: int, per_step: float) -> None:
        """All of a simulated minute."""
        for _ in range(_poisson(per_step, self._random)):
            self._seized()
        self.desk.work(6)
        for index, (every, who, path) in enumerate(self._pages):
            first = self._first + self._apart * index
            if number >= first and (number - first) % every == 0:
                self._look(who, path)
        if number % 15 == 14:
            self._shown()
        if number % 20 == 19:
            self._laboratory()

    def state(self) -> dict[str, Any]:
        """Sizes and counts."""
        db = self.server.desk.db
        found = {"packets": self.count(tables.packets), "database": size_of(db), "requests": self._requests()}
        if db.dialect == "postgresql":
            with db.read() as tx:
                others = "SELECT count(*) FROM pg_stat_activity WHERE client_port IS NOT NULL"
                found["connections"] = int(tx.execute(sa.text(others)).scalar_one()) - 1
                found["wal"] = int(tx.execute(sa.text("SELECT sum(size) FROM pg_ls_waldir()")).scalar_one())
        return found

    def count(self, table: sa.Table) -> int:
        """Rows of a table."""
        with self.server.desk.db.read() as tx:
            return int(tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())

    def waiting(self) -> int:
        """Packets that are not on the server."""
        counts = [outbox.summary(tablet.store) for tablet in self.tablets]
        return sum(one["queued"] + one["sending"] for one in counts)

    def queued(self) -> int:
        """Cases that wait for a chemist."""
        with self.server.desk.db.read() as tx:
            where = tables.cases.c.state == "QUEUED"
            return int(
                tx.execute(sa.select(sa.func.count()).select_from(tables.cases).where(where)).scalar_one()
            )

    def end(self) -> None:
        """Until everything that was recorded is there, and every answer shown."""
        limit = time.monotonic() + _DRAINED_S
        while self.waiting() and time.monotonic() < limit:
            for tablet in self.tablets:
                tablet.sync.wake()
            time.sleep(1)

    def search_again(self, folder: Path, url: str) -> Program:
        """A librarian asks for it; the work is done by a command, beside the server."""
        client = self._client(6)
        run = client._ask("POST", "/v1/research-runs", {"release": 1, "changed": [], "removed": []})
        self._run = run["run_id"]
        arguments = ["reachback", "research", "run", "--data", str(self.server.folder)]
        arguments += ["--database", url] if url else []
        return Program(folder / "research.log", folder / "clock", 1.0, "-", *arguments)

    def searched(self) -> dict[str, Any]:
        """What came of it."""
        if not self._run:
            return {}
        said = self._client(6)._ask("GET", f"/v1/research-runs/{self._run}")
        return {
            name: said[name]
            for name in ("state", "spectra", "searched", "judged", "answers_changed", "reopened")
        }

    def _seized(self) -> None:
        draw = self._random
        tablet = draw.choice(self.tablets)
        self._seizures += 1
        ref = f"S-{self._seizures:05d}"
        danger = draw.random() < DANGER
        unknown = not danger and draw.random() < UNKNOWN / (1 - DANGER)
        tablet.store.capture(
            Draft("seizure", ref, None, {"officer_ref": "K-17", "place": "gate 4", "mode": "parcel"})
        )
        tablet.store.capture(
            Draft("item", ref, f"{ref}-1", {"label": "bag of white powder", "container": "bag"})
        )
        scans = size(draw)
        for _ in range(scans):
            blobs, body = tablet.scans.next(self.clock.wall_utc(), danger=danger, unknown=unknown)
            tablet.store.capture(Draft("scan", ref, f"{ref}-1", body, blobs))
        self.done["seizures"] += 1
        self.done["scans"] += scans

    def _look(self, who: int, path: str) -> None:
        answered = self.desk.answered
        if "{case}" in path and not answered:
            return
        case = self._random.choice(answered) if answered else ""
        client = self._client(who)
        seq = 0
        if "{seq}" in path:
            file = client.case(case)
            seq = next((one["seq"] for one in file.packets if one["kind"] == "scan"), 0)
        month = self.clock.wall_utc().strftime("%Y-%m")
        self._asked(client, path, path.format(case=case, seq=seq, month=month))

    def _asked(self, client: Client, what: str, path: str) -> None:
        self.done[f"GET {what}"] += 1
        try:
            client._reply("GET", path)
        except ReachbackError as error:
            status = getattr(error, "status", 0)
            self.done[f"refused: {status} {what}"] += 1
            if status == 0 or status >= 500:
                self.errors.append(f"{what}: {error}")

    def _client(self, who: int) -> Client:
        return self.others.line(self.people[who])

    def _shown(self) -> None:
        for tablet in self.tablets:
            for one in inbox.unread(tablet.store):
                inbox.shown(tablet.store, one.answer_id)
                self.done["answers shown"] += 1
            tablet.sync.wake()

    def _laboratory(self) -> None:
        if not self.desk.answered:
            return
        case = self.desk.answered[-1]
        self.done["laboratory results"] += 1
        try:
            self._client(4).report_result(
                case, laboratory="L-1", sample=f"P-{self.done['laboratory results']:04d}", result="confirmed",
                methods=["GC-MS", "FTIR"], substances={"lactose": 0.5},
                report=f"R-{self.done['laboratory results']:04d}",
            )  # fmt: skip
        except ReachbackError as error:
            self.done[f"refused: {getattr(error, 'code', '')} lab-results"] += 1
            if getattr(error, "status", 0) >= 500:
                self.errors.append(f"lab-results: {error}")

    def _requests(self) -> int:
        return sum(n for what, n in self.done.items() if what.startswith("GET ")) + sum(
            self.desk.done.values()
        )


def _poisson(mean: float, draw: random.Random) -> int:
    """How many of something that comes so often (Knuth)."""
    limit, product, number = math.exp(-mean), draw.random(), 0
    while product > limit:
        product *= draw.random()
        number += 1
    return number


def _released(db: Database, folder: Path) -> None:
    """A release of a library on record, as `spectralid.reachback.releases.release.make` leaves it."""
    from spectralid.library import open_library
    from spectralid.reachback.releases import release
    from spectralid.reachback.releases.tables import library_releases
    from tests.reachback.world import NAMES, library

    before = library(folder / "before.h5", *NAMES[:5])
    path = release.path_of(release.folder_of(db), 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(library(folder / "after.h5", *NAMES, version="2"), path)
    shutil.copy(before, db.folder / "library.h5")
    opened, base = open_library(path), open_library(before)
    manifest = {"base": {"name": base.name, "version": base.version, "sha256": base.sha256},
                "added": [], "changed": [], "removed": []}  # fmt: skip
    row = {
        "number": 1, "name": opened.name, "version": opened.version, "sha256": opened.sha256,
        "file_sha256": "",
        "manifest": json.dumps(manifest), "made_by": "lib", "made_utc": "x", "audit_n": 1,
    }  # fmt: skip
    with db.begin() as tx:
        tx.execute(library_releases.insert(), row)
