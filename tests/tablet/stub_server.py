"""A stand-in for the tablet program: canned answers for every route the screen asks, no engine behind them.

It is the test double of the screen tests, and with ``python tests/tablet/stub_server.py`` a way to look at
the screens without an instrument or a library. It keeps to the rules of the program, but for the cookie: its
content security policy, the header on writing requests, errors as ``{"error": {"sentence", "code"}}``.
"""

from __future__ import annotations

import contextlib
import json
import math
import queue
import re
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

STATIC = Path(__file__).resolve().parents[2] / "spectralid" / "tablet" / "static"
CSP = "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
UTC = "2026-11-22T10:15:00Z"


def bands(*peaks: tuple[float, float]) -> dict[str, list[float]]:
    """A made-up spectrum: Lorentzian bands on a slope."""
    x = [200.0 + 3 * i for i in range(600)]
    y = [
        0.1 + i / 6000 + sum(h / (1 + ((at - c) / 7) ** 2) for c, h in peaks) + 0.004 * math.sin(i * 12.9898)
        for i, at in enumerate(x)
    ]
    return {"x": x, "y": [round(v, 4) for v in y]}


NOT_EXCLUDED = [
    "What is weaker than this scan can show is not detected and not excluded, least of all fentanyl.",
    "Fentanyl-related: below 6 % of the signal it would not have been seen.",
    "Nitazene: below 9 % of the signal it would not have been seen.",
    "Substances that are not in this library.",
]
OPIOID = [
    "Ultra-potent opioid: gloves, respirator, covered skin; raise no dust; naloxone and a second person at "
    "hand.",
    "Controlled substance: gloves; secure as evidence.",
    "Gloves; do not taste, smell or touch. Other, unseen substances may be present.",
]
VERDICTS: dict[str, dict[str, Any]] = {
    "danger": {
        "kind": "mixture",
        "alarm": "danger",
        "headline": "mannitol + fentanyl-related substance",
        "words": "The scan shows mannitol, 91 % of the signal (86 to 94 %). Beside it there may be a member "
        "of a watched family: fentanyl-related. This is presumptive: a laboratory must confirm it.",
        "precautions": OPIOID,
        "escalate": True,
        "reasons": [
            "A member of the family fentanyl-related is among the components with a probability of 97.4 %, "
            "above the threshold of its alarm.",
            "To reachback: a hazardous family.",
        ],
        "advice": [],
    },
    "unknown": {
        "kind": "no_match",
        "alarm": "unknown",
        "headline": "nothing in the library explains this scan",
        "words": "The scan has bands that nothing in the library accounts for. This is presumptive.",
        "precautions": [
            "Not named: handle it as the most dangerous plausible thing.",
            "Gloves, respirator, covered skin; raise no dust; naloxone and a second person at hand.",
            "No flame, sparks, impact or friction; do not open, taste or smell it.",
        ],
        "escalate": True,
        "reasons": ["Bands near 1,004, 1,210 and 1,603 cm⁻¹ are not explained."],
        "advice": [
            "Move the spot and scan again.",
            "Open the container if that is safe, and scan without it.",
        ],
    },
    "warning": {
        "kind": "identified",
        "alarm": "warning",
        "headline": "cocaine hydrochloride",
        "words": "The scan matches cocaine hydrochloride. This is presumptive: a laboratory must confirm it.",
        "precautions": ["Controlled substance: gloves; secure as evidence.", OPIOID[2]],
        "escalate": False,
        "reasons": [
            "Calibrated probability at least 98 %, bands borne out, nothing of the signal left over."
        ],
        "advice": [],
    },
    "notice": {
        "kind": "identified",
        "alarm": "notice",
        "headline": "acetaminophen",
        "words": "The scan matches acetaminophen. This is presumptive: a laboratory must confirm it.",
        "precautions": [OPIOID[2]],
        "escalate": False,
        "reasons": [
            "Calibrated probability at least 98 %, bands borne out, nothing of the signal left over."
        ],
        "advice": [],
    },
}
COMPONENTS: dict[str, list[dict[str, Any]]] = {
    "danger": [
        {
            "name": "mannitol",
            "form": "",
            "share": 0.91,
            "low": 0.86,
            "high": 0.94,
            "probability": 0.999,
            "tier": "measured",
        },
        {
            "name": "fentanyl",
            "form": "HCl",
            "share": 0.07,
            "low": 0.05,
            "high": 0.10,
            "probability": 0.974,
            "tier": "measured",
        },
    ],
    "unknown": [],
    "warning": [
        {
            "name": "cocaine",
            "form": "HCl",
            "share": 0.98,
            "low": 0.95,
            "high": 1.0,
            "probability": 0.997,
            "tier": "measured",
        },
    ],
    "notice": [
        {
            "name": "acetaminophen",
            "form": "",
            "share": 0.99,
            "low": 0.96,
            "high": 1.0,
            "probability": 0.999,
            "tier": "measured",
        },
    ],
}
SAFETY = (
    "The 785 nm laser is almost invisible and can blind. Everyone in the room wears glasses for 785 nm; "
    "never point the probe at a person or at something that reflects. Dark, coloured or energetic material "
    "can catch fire or explode under the beam. The instrument does not tell spectralid whether its interlock "
    "is closed, and software is no interlock: check key and interlock yourself."
)


class World:
    """What the stand-in pretends: change it, and tell the open pages with `publish`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.pages: list[queue.Queue[str | None]] = []
        self.lines: set[socket.socket] = set()
        self.requests: list[tuple[str, str, Any]] = []
        self.refuse: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        self.hold = threading.Event()
        self.hold.set()
        self.reset()

    def reset(self) -> None:
        """Back to a tablet with an instrument, a seizure and an item of four scans."""
        with self.lock:
            self.requests.clear()
            self.refuse.clear()
            self.state: dict[str, Any] = {
                "version": "0.6.0",
                "language": "en",
                "languages": ["en", "es"],
                "theme": "day",
                "officer": "K-17",
                "site": "Port 4",
                "device": {
                    "connected": True,
                    "kind": "simulated",
                    "name": "Ocean Ventana 785L",
                    "serial": "SIM-0042",
                    "state": "idle",
                    "fault": "",
                    "simulated": True,
                    "laser": True,
                    "check": {"state": "skipped", "time": None},
                    "safety": SAFETY,
                    "watching": "/srv/spectra",
                },
                "library": {
                    "name": "spectralid",
                    "version": "2026.11",
                    "age_days": 12,
                    "compounds": 1747,
                    "nameable": 151,
                    "old": False,
                },
                "store": {"read_only": False, "reason": "", "free_mb": 12000, "packets": 41, "ballast": True},
                "queue": {
                    "queued": 2,
                    "sending": 0,
                    "received": 30,
                    "answered": 4,
                    "attention": 1,
                    "online": False,
                    "last_contact_utc": UTC,
                    "endpoint": "https://reachback.example.org",
                },
                "answers": {"unread": 2},
                "clock": {"state": "synced", "utc": UTC},
                "policy": {"name": "default", "version": "3", "note": ""},
                "current": {"seizure_ref": "S-1", "item_ref": "I-1", "scan": None, "last": None},
            }
            self.seizures: dict[str, dict[str, Any]] = {
                "S-1": {
                    "seizure_ref": "S-1",
                    "opened_utc": UTC,
                    "place": "Port 4, hall B",
                    "mode": "express",
                    "note": "Two parcels, one sender.",
                    "closed": False,
                    "alarm": "danger",
                },
            }
            self.items: dict[str, dict[str, Any]] = {"I-1": self._item("I-1", "S-1", "Item 1", "pe")}
            for alarm in VERDICTS:
                self._scanned("I-1", alarm)
            self.items["I-1"]["assessment"] = {
                "alarm": "danger",
                "headline": "mannitol + fentanyl-related substance",
                "words": "Scan and strip speak for fentanyl beside mannitol.",
                "precautions": OPIOID,
                "conflicts": [
                    "A nitazene strip is negative although one scan has bands nothing accounts for."
                ],
                "escalate": True,
                "swgdrug": ["A", "C"],
            }
            self.answers: list[dict[str, Any]] = [
                {
                    "answer_id": "a1",
                    "n": 1,
                    "kind": "interim",
                    "utc": UTC,
                    "headline": "Treat as hazardous",
                    "words": "We see fentanyl. An answer follows.",
                    "precautions": OPIOID[:1],
                    "by": "chemist 3",
                    "case": "C-77",
                    "item_ref": "I-1",
                    "late": True,
                    "shown": False,
                    "lab": None,
                    "supersedes": None,
                },
                {
                    "answer_id": "a2",
                    "n": 2,
                    "kind": "final",
                    "utc": UTC,
                    "headline": "Fentanyl hydrochloride, about 7 %, in mannitol",
                    "words": "Seen in scan 1 and by the strip.",
                    "precautions": OPIOID[:1],
                    "by": "chemist 3",
                    "case": "C-77",
                    "item_ref": "I-1",
                    "late": False,
                    "shown": False,
                    "lab": None,
                    "supersedes": "a1",
                },
                {
                    "answer_id": "a0",
                    "n": 0,
                    "kind": "lab_result",
                    "utc": UTC,
                    "headline": "Cocaine hydrochloride",
                    "words": "GC-MS.",
                    "precautions": [],
                    "by": "laboratory 2",
                    "case": "C-12",
                    "item_ref": "I-1",
                    "late": False,
                    "shown": True,
                    "lab": "confirmed",
                    "supersedes": None,
                },
            ]
            self.arrived: list[dict[str, Any]] = [
                {"file": "sample 7 (ATR).spa", "technique": "ftir_atr", "utc": UTC}
            ]
            self.plugged: dict[str, Any] = {
                "ports": ["/dev/ttyUSB0", "/dev/ttyUSB1"],
                "profiles": [
                    {"name": name, "title": title, "tried_on_hardware": False}
                    for name, title in (
                        ("ocean-ventana-785l", "Ocean Ventana 785L"),
                        ("wasatch-wp-785", "Wasatch WP 785"),
                    )
                ],
                "samples": ["acetaminophen", "caffeine", "cocaine", *(f"sample {i}" for i in range(30))],
            }
            self.scan_number = 0

    def _item(self, ref: str, seizure: str, label: str, container: str) -> dict[str, Any]:
        return {
            "item_ref": ref,
            "seizure_ref": seizure,
            "label": label,
            "container": container,
            "scans": [],
            "strips": [],
            "declared": None,
            "fusion": None,
            "assessment": None,
            "notes": [],
            "photos": [],
            "suggest": None,
            "suggest_reason": "",
            "queue": "queued",
            "answers": [],
        }

    def _scanned(self, ref: str, alarm: str) -> str:
        scans = self.items[ref]["scans"]
        packet = f"{alarm}-{sum(s['alarm'] == alarm for s in scans)}" if scans else alarm
        packet = alarm if not any(s["packet_id"] == alarm for s in scans) else packet
        verdict = VERDICTS[alarm]
        scans.insert(
            0,
            {
                "packet_id": packet,
                "technique": "raman",
                "utc": UTC,
                "kind": "scan",
                "verdict": verdict["kind"],
                "alarm": alarm,
                "headline": verdict["headline"],
            },
        )
        return packet

    def record(self, packet: str) -> dict[str, Any] | None:
        """What is told of a scan."""
        alarm = packet.split("-")[0]
        if alarm not in VERDICTS:
            return None
        seq = 38 + list(VERDICTS).index(alarm)
        return {
            "packet_id": packet,
            "seq": seq,
            "sha256": "9f2b7c41d6" * 6 + "aa01",
            "utc": UTC,
            "clock_state": "synced",
            "seizure_ref": "S-1",
            "item_ref": "I-1",
            "item_label": "Item 1",
            "technique": "raman",
            "language": "en",
            "instrument": {"maker": "Ocean", "model": "Ventana 785L", "serial": "SIM-0042"},
            "check": "skipped",
            "verdict": {
                **VERDICTS[alarm],
                "not_excluded": NOT_EXCLUDED,
                "evidence": [
                    "Signal to noise 210.",
                    "Library spectralid 2026.11, 2,312 references of this technique.",
                ],
                "codes": [],
                "policy": "default 3 1f0c2d3e4a5b",
            },
            "components": COMPONENTS[alarm],
            "queue": {
                "code": "",
                "state": {"danger": "answered", "unknown": "attention", "warning": "received"}.get(
                    alarm, "queued"
                ),
                "reason": "The server refused it: this tablet is not enrolled. Export it to USB."
                if alarm == "unknown"
                else "",
            },
            "answers": [self.answers[1]] if alarm == "danger" else [],
            "suggest": "ftir" if alarm == "unknown" else None,
            "suggest_reason": "The sample fluoresces: infrared is not disturbed by that.",
            "lab": "confirmed" if alarm == "warning" else None,
            "spectrum": bands((450, 0.3), (876, 1.0), (1004, 0.7), (1031, 0.25), (1130, 0.4), (1458, 0.5)),
            "simulated": True,
        }

    def history(self) -> list[dict[str, Any]]:
        """Newest first."""
        rows = []
        for seq, alarm in zip(range(41, 37, -1), reversed(VERDICTS), strict=True):
            rows.append(
                {
                    "packet_id": alarm,
                    "seq": seq,
                    "utc": UTC,
                    "kind": "scan",
                    "alarm": alarm,
                    "headline": VERDICTS[alarm]["headline"],
                    "verdict": VERDICTS[alarm]["kind"],
                    "item_ref": "I-1",
                    "seizure_ref": "S-1",
                    "queue": "received",
                }
            )
        for seq, kind in ((37, "evidence"), (36, "item"), (35, "seizure")):
            rows.append(
                {
                    "packet_id": f"p{seq}",
                    "seq": seq,
                    "utc": UTC,
                    "kind": kind,
                    "alarm": None,
                    "headline": "",
                    "verdict": None,
                    "item_ref": "I-1" if kind != "seizure" else None,
                    "seizure_ref": "S-1",
                    "queue": "answered",
                }
            )
        return rows

    def queue_rows(self) -> list[dict[str, Any]]:
        """One packet of each state."""
        said = {
            "attention": "The server refused it: this tablet is not enrolled. Export it to USB.",
            "queued": "No network.",
        }
        return [
            {
                "packet_id": f"q{i}",
                "seq": 41 - i,
                "kind": "scan" if i % 2 else "evidence",
                "state": state,
                "tries": 3 * i,
                "reason": said.get(state, ""),
                "next_try_utc": UTC if state == "queued" else None,
                "headline": "mannitol + fentanyl-related substance" if i % 2 else "",
            }
            for i, state in enumerate(("attention", "queued", "sending", "received", "answered"))
        ]

    def publish(self, event: str = "state", data: Any = None) -> None:
        """Send an event to every open page."""
        with self.lock:
            body = json.dumps(self.state if event == "state" else data)
            for page in self.pages:
                page.put(f"event: {event}\ndata: {body}\n\n")

    def scanning(
        self,
        stage: str | None,
        done: float = 0,
        total: float = 0,
        device: str = "idle",
        *,
        purpose: str = "scan",
    ) -> None:
        """Pretend that a scan is at a stage; None: there is none."""
        with self.lock:
            scan_id = f"scan-{self.scan_number}"
            self.state["current"]["scan"] = stage and {
                "scan_id": scan_id,
                "purpose": purpose,
                "stage": stage,
                "done": done,
                "total": total,
            }
            self.state["device"]["state"] = device
            self.publish()
            if stage:
                self.publish(
                    "progress",
                    {
                        "scan_id": scan_id,
                        "stage": stage,
                        "done": done,
                        "total": total,
                        "snr": 84 if stage == "sample" else None,
                    },
                )

    def finish(self, alarm: str) -> str:
        """Pretend that the scan has its result."""
        with self.lock:
            packet = self._scanned(self.state["current"]["item_ref"], alarm)
            told = {"scan_id": f"scan-{self.scan_number}", "packet_id": packet}
            self.state["current"]["last"] = told
            self.publish("result", told)
            self.scanning(None)
            return packet

    def sent(self, method: str, start: str) -> list[Any]:
        """Bodies of the requests that came."""
        with self.lock:
            return [body for m, path, body in self.requests if m == method and path.startswith(start)]


Answer = tuple[int, Any]


class Handler(BaseHTTPRequestHandler):
    """Routes of the tablet program."""

    protocol_version = "HTTP/1.1"
    world: World
    routes: ClassVar[list[tuple[str, re.Pattern[str], Callable[..., Answer]]]] = []

    def setup(self) -> None:
        super().setup()
        with self.world.lock:
            self.world.lines.add(self.connection)

    def finish(self) -> None:
        with self.world.lock:
            self.world.lines.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        try:
            self._answer(method)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _answer(self, method: str) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        if method == "GET" and url.path == "/api/events":
            self._events()
            return
        if method == "GET" and not url.path.startswith("/api/"):
            self._file(url.path)
            return
        is_json = self.headers.get("Content-Type") == "application/json"
        body = json.loads(raw) if raw and is_json else raw
        world = self.world
        with world.lock:
            world.requests.append((method, self.path, body))
        world.hold.wait(10)
        if method != "GET" and self.headers.get("X-Spectralid") != "1":
            self._json(403, {"error": {"sentence": "Header missing.", "code": "header"}})
            return
        if (method, url.path) in world.refuse:
            self._json(*world.refuse[method, url.path])
            return
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        for wanted, pattern, work in self.routes:
            match = pattern.fullmatch(url.path)
            if wanted == method and match:
                with world.lock:
                    self._json(*work(world, body, query, *map(unquote, match.groups())))
                return
        self._json(404, {"error": {"sentence": f"There is no {url.path}.", "code": "not_found"}})

    def _json(self, status: int, data: Any) -> None:
        self._send(status, "application/json", json.dumps(data).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Content-Security-Policy", CSP)
        self.end_headers()
        self.wfile.write(body)

    def _file(self, path: str) -> None:
        name = path.removeprefix("/static/") if path.startswith("/static/") else "index.html"
        file = (STATIC / name).resolve()
        if STATIC not in file.parents or not file.is_file():
            self._json(404, {"error": {"sentence": "No such file.", "code": "not_found"}})
            return
        self._send(200, TYPES[file.suffix], file.read_bytes())

    def _events(self) -> None:
        page: queue.Queue[str | None] = queue.Queue()
        with self.world.lock:
            page.put(f"event: state\ndata: {json.dumps(self.world.state)}\n\n")
            self.world.pages.append(page)
        try:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Cache-Control", "no-store")
            self.send_header("Connection", "close")
            self.end_headers()
            while (text := page.get()) is not None:
                self.wfile.write(text.encode())
                self.wfile.flush()
        finally:
            self.close_connection = True
            with self.world.lock:
                self.world.pages.remove(page)


def route(method: str, pattern: str) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Register a route."""

    def keep(work: Callable[..., Answer]) -> Callable[..., Answer]:
        Handler.routes.append((method, re.compile(pattern), work))
        return work

    return keep


@route("GET", "/api/state")
def _state(world: World, *_: Any) -> Answer:
    return 200, world.state


@route("PUT", "/api/settings")
def _settings(world: World, body: dict[str, Any], *_: Any) -> Answer:
    world.state.update(body)
    world.publish()
    return 200, world.state


@route("POST", "/api/instrument")
def _connect(world: World, body: dict[str, Any], *_: Any) -> Answer:
    world.state["device"].update(connected=True, simulated="simulate" in body, state="idle")
    world.publish()
    return 200, world.state


@route("DELETE", "/api/instrument")
def _disconnect(world: World, *_: Any) -> Answer:
    world.state["device"].update(connected=False, state="disconnected")
    world.publish()
    return 200, world.state


@route("POST", "/api/instrument/off")
def _off(world: World, *_: Any) -> Answer:
    world.state["device"]["state"] = "idle"
    world.scanning(None)
    return 200, world.state


@route("DELETE", "/api/scans")
def _cancel(world: World, *_: Any) -> Answer:
    world.scanning(None)
    return 200, {}


@route("POST", "/api/scans")
def _scan(world: World, body: dict[str, Any], *_: Any) -> Answer:
    world.scan_number += 1
    world.state["current"]["item_ref"] = body["item_ref"]
    world.scanning("warning", 3, 3, "armed")
    return 202, {"scan_id": f"scan-{world.scan_number}"}


@route("GET", "/api/seizures")
def _seizures(world: World, *_: Any) -> Answer:
    count = [
        s | {"items": sum(i["seizure_ref"] == ref for i in world.items.values())}
        for ref, s in world.seizures.items()
    ]
    return 200, count


@route("POST", "/api/seizures")
def _open(world: World, body: dict[str, Any], *_: Any) -> Answer:
    ref = f"S-{len(world.seizures) + 1}"
    world.seizures[ref] = {"seizure_ref": ref, "opened_utc": UTC, "closed": False, "alarm": None, **body}
    world.state["current"].update(seizure_ref=ref, item_ref=None)
    world.publish()
    return 200, {"seizure_ref": ref}


@route("GET", "/api/seizures/([^/]+)")
def _seizure(world: World, _body: Any, _query: Any, ref: str) -> Answer:
    if ref not in world.seizures:
        return 404, {"error": {"sentence": "There is no such seizure.", "code": "not_found"}}
    items = [
        {"item_ref": i["item_ref"], "label": i["label"], "container": i["container"], "scans": i["scans"]}
        for i in world.items.values()
        if i["seizure_ref"] == ref
    ]
    return 200, world.seizures[ref] | {"items": items}


@route("POST", "/api/items")
def _new_item(world: World, body: dict[str, Any], *_: Any) -> Answer:
    ref = f"I-{len(world.items) + 1}"
    world.items[ref] = world._item(ref, body["seizure_ref"], body["label"], body["container"])
    world.items[ref]["declared"] = body["declared"] and {**body["declared"], "outcome": None, "reasons": []}
    world.state["current"].update(seizure_ref=body["seizure_ref"], item_ref=ref)
    world.publish()
    return 200, {"item_ref": ref}


@route("GET", "/api/items/([^/]+)")
def _item(world: World, _body: Any, _query: Any, ref: str) -> Answer:
    if ref not in world.items:
        return 404, {"error": {"sentence": "There is no such item.", "code": "not_found"}}
    return 200, world.items[ref]


@route("POST", "/api/items/([^/]+)/(declared|strips|notes|photos|send)")
def _add(world: World, body: Any, _query: Any, ref: str, what: str) -> Answer:
    item = world.items[ref]
    if what == "declared":
        item["declared"] = {
            **body,
            "outcome": "inconsistent",
            "reasons": ["Citric acid was declared; mannitol and a fentanyl-related substance were found."],
        }
    elif what == "strips":
        item["strips"].append(
            {
                **body,
                "evidence": {
                    "ratio": 8.9,
                    "low": 4.1,
                    "high": 19.0,
                    "conflict": body["result"] == "neg",
                    "reasons": ["Sensitivity 98.5 %, specificity 89.2 % for this target."],
                },
            }
        )
    elif what == "notes":
        item["notes"].append({"text": body["text"]})
    elif what == "photos":
        item["photos"].append({"sha256": "ab" * 32, "name": f"photo {len(body)} bytes"})
    return 200, item


@route("GET", "/api/strips/choices")
def _strip_choices(*_: Any) -> Answer:
    return 200, {"targets": ["fentanyl", "nitazene", "xylazine"], "brands": ["BTNX", "WiseBatch"]}


@route("GET", "/api/arrived")
def _arrived(world: World, *_: Any) -> Answer:
    return 200, world.arrived


@route("POST", "/api/arrived/assign")
def _assign(world: World, body: dict[str, Any], *_: Any) -> Answer:
    world.arrived = [a for a in world.arrived if a["file"] != body["file"]]
    packet = world._scanned(body["item_ref"], "warning")
    world.publish("result", {"scan_id": None, "packet_id": packet})
    return 202, {"packets": [packet]}


@route("GET", "/api/records/([^/]+)")
def _record(world: World, _body: Any, _query: Any, packet: str) -> Answer:
    record = world.record(packet)
    return (
        (200, record)
        if record
        else (404, {"error": {"sentence": "There is no such record.", "code": "not_found"}})
    )


@route("GET", "/api/history")
def _history(world: World, _body: Any, query: dict[str, str], *_: Any) -> Answer:
    before = int(query.get("before", 10**9))
    return 200, [r for r in world.history() if r["seq"] < before][: int(query.get("limit", 30))]


@route("GET", "/api/queue")
def _queue(world: World, *_: Any) -> Answer:
    return 200, {"rows": world.queue_rows(), "summary": world.state["queue"]}


@route("POST", "/api/queue/retry")
def _retry(*_: Any) -> Answer:
    return 200, {}


@route("POST", "/api/queue/export")
def _export(_world: World, body: dict[str, Any], *_: Any) -> Answer:
    return 200, {"written": 3, "folder": body["folder"]}


@route("POST", "/api/queue/import")
def _import(*_: Any) -> Answer:
    return 200, {"taken": 1, "refused": ["old.sidmsg: signed by a key this tablet does not know."]}


@route("GET", "/api/answers")
def _answers(world: World, *_: Any) -> Answer:
    return 200, world.answers


@route("POST", "/api/answers/([^/]+)/shown")
def _shown(world: World, _body: Any, _query: Any, answer: str) -> Answer:
    for known in world.answers:
        if known["answer_id"] == answer:
            known["shown"] = True
    world.state["answers"]["unread"] = sum(not a["shown"] for a in world.answers)
    world.publish()
    return 200, {}


@route("GET", "/api/device")
def _device(world: World, *_: Any) -> Answer:
    return 200, world.state["device"] | world.plugged


class Stub:
    """The stand-in on a port of its own; `drop` and `resume` end and restart it there."""

    def __init__(self, port: int = 0) -> None:
        self.world = World()
        self._port = port
        self._server: ThreadingHTTPServer | None = None
        self.resume()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def resume(self) -> None:
        """Listen (again); nothing where it listens already."""
        if self._server is not None:
            return
        handler = type("Bound", (Handler,), {"world": self.world})
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._server.daemon_threads = True
        self._port = self._server.server_port
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def drop(self) -> None:
        """Stop as a program that was killed: every connection ends, and no new one is taken."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.socket.close()
        with self.world.lock:
            for page in self.world.pages:
                page.put(None)
            for line in self.world.lines:
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
        self._server = None


def main() -> None:
    """Serve until interrupted; a scan that is started runs through and gives a dangerous result."""
    stub = Stub(8766)
    print(stub.url, flush=True)
    world = stub.world
    while True:
        time.sleep(0.5)
        if world.state["current"]["scan"] is None:
            continue
        for left in (3, 2, 1):
            world.scanning("warning", left, 3, "armed")
            time.sleep(1)
        for done in range(1, 11):
            world.scanning("sample", done, 10, "acquiring")
            world.publish(
                "live", {"scan_id": f"scan-{world.scan_number}", **bands((876, 1.0), (1004, done / 12))}
            )
            time.sleep(0.4)
        world.finish("danger")


if __name__ == "__main__":
    main()
