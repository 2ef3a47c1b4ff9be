"""A day of the tablet: the real program with its simulated instrument, 1,440 scans, the server there or away.

The program is `spectralid tablet` in a process of its own, driven through the addresses its page uses. Beside
it run a real server (`spectralid reachback serve`), which is taken away for part of the day, and chemists
who answer through its API. A step is a simulated minute: one scan, and whatever else falls into that minute.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from benchmarks.soak import watch
from benchmarks.soak.chemists import Chemists, account
from benchmarks.soak.clock import SharedClock
from benchmarks.soak.processes import Program, Server, enrolled

AWAY_H = ((1.0, 1.5), (4.0, 7.0), (12.5, 13.5), (17.0, 20.0))
"""Hours of the day in which the server is not there."""
CHECK_H = 8.0
"""Hours between checks of the instrument: one at the start of each shift."""
SCENES = (
    "acetaminophen", "caffeine", "lactose", "acetaminophen:0.5+caffeine:0.5", "urea", "sucrose", "ibuprofen",
    "lactose:0.8+caffeine:0.2", "sodium bicarbonate", "melamine", "polystyrene",
)  # fmt: skip
SAME_SCENE = 6
"""Scans before something else comes under the probe, for which the simulated instrument starts anew."""
PACKET_BYTES = {"scan": 3 * 8 * 1024 + 11_500, "other": 2_000}
"""Sealed packets: of a scan axis, counts and their standard deviation as float64, and its JSON."""
DOCUMENTED_BYTES = {"scan": 23_000, "other": 2_000}
"""The same by docs/reachback-load.md, which knows axis and counts only."""
BESIDE_BYTES = 4_000
"""What a record keeps beside a packet: entry of the custody log, outbox, receipt, indexes, ends of pages."""

_HEADERS = {"X-Spectralid": "1"}
_JPEG = b"\xff\xd8\xff\xe0" + random.Random(1).randbytes(60_000)
_STRIP = {"target": "fentanyl", "brand": "btnx", "lot": "L22", "expiry": "2099-12-31", "cutoff_ng_ml": 200,
          "dilution_mg_ml": 2, "read_s": 120}  # fmt: skip
_PATIENCE_S = 120.0
_MOST_ERRORS = 20


class Page:
    """What the officer's page does: asks, and listens to events."""

    def __init__(self, address: str) -> None:
        base = address.partition("/?")[0]
        self.client = httpx.Client(base_url=base, headers=_HEADERS, follow_redirects=True, timeout=60)
        self.client.get(address).raise_for_status()
        self.requests = 1
        self._ended = threading.Event()
        self._told: dict[str, Any] = {}
        self._stream: httpx.Response | None = None
        self.listen()

    def close(self) -> None:
        """Close the page."""
        self._hang_up()
        self.client.close()

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """A request that has to succeed."""
        self.requests += 1
        reply = self.client.request(method, path, **({"json": body} if body is not None else {}), **options)
        if reply.is_error:
            raise RuntimeError(f"{method} {path}: {reply.status_code} {reply.text[:300]}")
        return reply.json() if "json" in reply.headers.get("content-type", "") else reply.content

    def listen(self) -> None:
        """Open the stream of events, as a page that was loaded again does."""
        self._hang_up()
        self.requests += 1
        request = self.client.build_request("GET", "/api/events", timeout=None)
        self._stream = self.client.send(request, stream=True)
        threading.Thread(target=self._read, args=(self._stream,), daemon=True).start()

    def measured(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Begin a scan or a check, and wait for what the page is told at its end."""
        self._ended.clear()
        self.ask("POST", path, body)
        if not self._ended.wait(_PATIENCE_S):
            raise RuntimeError(f"{path}: no result after {_PATIENCE_S:.0f} s")
        return self._told

    def _hang_up(self) -> None:
        if self._stream is not None:
            with contextlib.suppress(httpx.HTTPError, RuntimeError, ValueError):
                self._stream.close()

    def _read(self, stream: httpx.Response) -> None:
        event = ""
        with contextlib.suppress(httpx.HTTPError, httpx.StreamError, RuntimeError, ValueError, OSError):
            for line in stream.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data" and event in ("result", "checked", "failed"):
                    self._told = {"event": event, **json.loads(value)}
                    self._ended.set()


class Day:
    """What an officer does on it.

    Parameters
    ----------
    page : Page
        Of the tablet.
    seed : int
        Of what is drawn.
    """

    def __init__(self, page: Page, seed: int) -> None:
        self.page = page
        self.done: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._seizure, self._items_left, self._item = "", 0, ""
        self._scene = 0

    def scan(self, number: int) -> None:
        """One scan, with what belongs to it."""
        draw = self._random
        if number % SAME_SCENE == 0:
            self._under_the_probe(SCENES[self._scene % len(SCENES)])
            self._scene += 1
        again = bool(self._item) and draw.random() < 0.1
        if not again:
            self._next_item()
        told = self.page.measured(
            "/api/scans", {"item_ref": self._item, "confirmed": True, **({"again": True} if again else {})}
        )
        self.done["scans" if told["event"] == "result" else "scans that failed"] += 1
        if told["event"] == "failed":
            return
        self.page.ask("GET", f"/api/records/{told['packet_id']}")
        self._evidence(draw)
        self._looked_at(number, told["packet_id"])

    def check(self) -> None:
        """The instrument's check, with polystyrene."""
        self._under_the_probe("polystyrene")
        told = self.page.measured("/api/checks", {"standard": "polystyrene", "lot": "L-7", "confirmed": True})
        self.done["checks" if told["event"] == "checked" else "checks that failed"] += 1
        self.page.ask("GET", "/api/checks")

    def read_answers(self) -> None:
        """The officer opens the answers, and confirms the new ones."""
        for one in self.page.ask("GET", "/api/answers"):
            if not one["shown"]:
                self.page.ask("POST", f"/api/answers/{one['answer_id']}/shown", {})
                self.done["answers read"] += 1

    def _under_the_probe(self, scene: str) -> None:
        seed = self._random.randrange(10**6)
        self.page.ask("POST", "/api/instrument", {"simulate": scene, "seed": seed})
        self.done["instruments connected"] += 1

    def _next_item(self) -> None:
        draw = self._random
        if self._items_left == 0:
            wanted = {"place": "Lane 4", "mode": draw.choice(("land", "mail", "air")), "note": ""}
            self._seizure = self.page.ask("POST", "/api/seizures", wanted)["seizure_ref"]
            self._items_left = 1 if draw.random() < 0.4 else draw.randint(2, 9)
            self.done["seizures"] += 1
        self._items_left -= 1
        item: dict[str, Any] = {"seizure_ref": self._seizure, "label": f"bag {self.done['items']}"}
        item["container"] = draw.choice(("none", "pe", "glass"))
        if draw.random() < 0.4:
            item["declared"] = {
                "text": draw.choice(("lactose", "paracetamol", "citric acid")),
                "tariff": "2836.30",
            }
        self._item = self.page.ask("POST", "/api/items", item)["item_ref"]
        self.done["items"] += 1

    def _evidence(self, draw: random.Random) -> None:
        at = f"/api/items/{self._item}"
        if draw.random() < 0.15:
            photo = (
                "data:image/jpeg;base64," + base64.b64encode(_JPEG).decode() if draw.random() < 0.2 else None
            )
            result = draw.choice(("pos", "neg", "neg", "invalid"))
            self.page.ask("POST", f"{at}/strips", {**_STRIP, "result": result, "photo": photo})
            self.done["strips"] += 1
            self.done["photos"] += photo is not None
        if draw.random() < 0.05:
            self.page.ask("POST", f"{at}/declared", {"text": "lactose", "cas": "63-42-3"})
            self.done["declared later"] += 1
        if draw.random() < 0.05:
            self.page.ask("POST", f"{at}/notes", {"text": "White powder, dry."})
            self.done["notes"] += 1
        if draw.random() < 0.03:
            headers = {"Content-Type": "image/jpeg"}
            self.page.ask(
                "POST", f"{at}/photos", content=_JPEG[:20_000] + draw.randbytes(40_000), headers=headers
            )
            self.done["photos"] += 1
        if draw.random() < 0.08:
            self.page.ask("POST", f"{at}/send", {"note": "Second person at hand."})
            self.done["asked reachback"] += 1

    def _looked_at(self, number: int, packet_id: str) -> None:
        pages: list[tuple[int, str]] = [
            (3, f"/api/items/{self._item}"), (5, "/api/state"), (12, "/api/history"), (15, "/api/queue"),
            (20, "/api/device"), (40, f"/api/records/{packet_id}/report.pdf"),
            (45, f"/api/seizures/{self._seizure}"),
            (60, "/"), (60, "/static/js/chart.js"), (120, f"/api/seizures/{self._seizure}/report.json"),
            (240, f"/api/seizures/{self._seizure}/report.pdf"), (240, "/api/seizures"),
        ]  # fmt: skip
        for every, path in pages:
            if number % every == every - 1:
                self.page.ask("GET", path)
        if number % 30 == 29:
            self.page.listen()
            self.done["pages loaded again"] += 1
        if number % 10 == 9:
            self.read_answers()


@contextlib.contextmanager
def running(folder: Path, clock: Path, pace: float, plant: str) -> Iterator[tuple[Program, Page]]:
    """The program, and a page of it."""
    arguments = ("tablet", "--data", str(folder), "--simulate", "--port", "0")
    with Program(folder.parent / "tablet.log", clock, pace, plant, *arguments) as program:
        page = Page(program.line())
        try:
            page.ask("PUT", "/api/settings", {"officer": "K-17", "site": "north"})
            yield program, page
        finally:
            page.close()


def soak(
    folder: Path,
    *,
    scans: int,
    hours: float = 24.0,
    seed: int = 1,
    pace: float = 40.0,
    plant: str = "-",
    with_server: bool = True,
    told: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """Let the day pass.

    Parameters
    ----------
    folder : Path
        For all that is made; empty.
    scans : int
        How many, evenly over the day.
    hours : float
        Length of the day.
    seed : int
        Of what is drawn.
    pace : float
        By how much background work of the tablet is faster; as the day is, roughly.
    plant : str
        A leak, see `benchmarks.soak.program`.
    with_server : bool
        Whether there is one; otherwise none is ever reached.
    told : callable
        Told each reading as it is taken.

    Returns
    -------
    dict
        Facts, and a reading for each scan.
    """
    clock = SharedClock(folder / "clock")
    start = clock.wall_utc()
    record = folder / "tablet"
    readings: list[dict[str, Any]] = []
    errors: list[str] = []
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        server = Server(folder / "server", folder / "clock", pace) if with_server else None
        desk = None
        if server is not None:
            stack.callback(server.close)
            enrolled(server, record, clock)
            ada = account(server, clock, "ada", "senior_chemist")
            bea = account(server, clock, "bea", "senior_chemist")
            desk = Chemists(server, clock, [ada, bea], seed)
            stack.callback(desk.close)
            server.start()
        program, page = stack.enter_context(running(record, folder / "clock", pace, plant))
        day = Day(page, seed)
        next_check_h = 0.0
        for number in range(scans):
            hour = number * hours / scans
            clock.reach(start + timedelta(hours=hour))
            if server is not None and desk is not None:
                away = any(first <= hour < last for first, last in AWAY_H)
                if away and server.is_there:
                    desk.close()
                    server.stop()
                elif not away and not server.is_there:
                    server.start()
            try:
                if hour >= next_check_h:
                    next_check_h += CHECK_H
                    day.check()
                day.scan(number)
            except (RuntimeError, httpx.HTTPError) as error:
                errors.append(f"{hour:.2f} h: {error}")
                if len(errors) > _MOST_ERRORS:
                    raise
            if server is not None and desk is not None and server.is_there and number % 10 == 9:
                desk.work(8)
            reading = {
                "hour": round(hour, 4), "scans": day.done["scans"], **_state(page, record),
                **asdict(watch.held(program.pid)), "server": bool(server and server.is_there),
                "failures": len(errors),
            }  # fmt: skip
            readings.append(reading)
            told(reading)
        queue = (
            _drained(page)
            if server is not None and server.is_there
            else page.ask("GET", "/api/queue")["summary"]
        )
        facts = {
            "what": "tablet", "hours": hours, "scans": scans, "seed": seed, "python": sys.version.split()[0],
            "took_s": round(time.monotonic() - begun, 1), "cpu_s": round(watch.cpu_s(program.pid), 1),
            "requests": page.requests, "errors": errors, "did": dict(day.done), "kinds": _kinds(page),
            "queue_at_the_end": {name: queue[name] for name in queue if isinstance(queue[name], int)},
            "answers": len(page.ask("GET", "/api/answers")), "handles": dict(watch.handles(program.pid)),
            "chemists": dict(desk.done) if desk else {},
        }  # fmt: skip
    return {**facts, **_record_facts(record, day.done["photos"]), "readings": readings}


def _state(page: Page, record: Path) -> dict[str, Any]:
    state = page.ask("GET", "/api/state")
    return {
        "packets": state["store"]["packets"],
        "database": watch.sizes(record, "casework.db*"),
        "queued": state["queue"]["queued"],
    }


def _kinds(page: Page) -> dict[str, Any]:
    return dict(page.ask("GET", "/api/state")["store"])


def _drained(page: Page) -> dict[str, Any]:
    """The outbox once it is empty, or after two minutes."""
    page.ask("POST", "/api/queue/retry", {})
    end = time.monotonic() + _PATIENCE_S
    while True:
        queue: dict[str, Any] = page.ask("GET", "/api/queue")["summary"]
        if queue["queued"] + queue["sending"] == 0 or time.monotonic() > end:
            return queue
        time.sleep(1)


def _record_facts(record: Path, photos: int) -> dict[str, Any]:
    """What the record says of itself once the program has ended: it is whole, and what packets weigh."""
    from spectralid.casework.store import CaseStore

    with CaseStore.open(record, read_only=True) as store:
        problems = [*store.verify(), *store.custody.verify()]
        rows = store.read("SELECT kind, count(*), sum(length(raw)) FROM packets GROUP BY kind")
    scans, others = (
        sum(count for kind, count, _ in rows if (kind == "scan") is wanted) for wanted in (True, False)
    )
    return {
        "problems": [str(one) for one in problems],
        "packets_by_kind": {kind: [count, size] for kind, count, size in rows},
        **{
            name: (scans * each["scan"] + others * each["other"] + photos * len(_JPEG)) / (scans + others)
            + BESIDE_BYTES
            for name, each in (("predicted_bytes", PACKET_BYTES), ("documented_bytes", DOCUMENTED_BYTES))
        },
        "files_bytes": watch.sizes(record, "**/*"),
    }
