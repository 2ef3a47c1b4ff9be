"""What the tests of the server share: tablets that make packets, and a clock moved by hand."""

from __future__ import annotations

import hashlib
import itertools
import struct
from datetime import UTC, datetime, timedelta

from spectralid.casework import messages
from spectralid.casework.chain import EPOCH
from spectralid.casework.clock import to_text
from spectralid.casework.ids import next_id
from spectralid.casework.keys import SigningKey
from spectralid.casework.manifest import GENESIS
from spectralid.casework.packet import Blob, open_packet, seal
from spectralid.reachback.bench import decisions
from spectralid.reachback.bench.decisions import Decision
from spectralid.reachback.caseload import cases, leases, queue
from spectralid.reachback.store.serverkeys import ServerKeys
from spectralid.reachback.tablets import enrolled, ingest

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
_values = itertools.count(1)


def numbers(*values):
    return Blob(struct.pack(f"<{len(values)}d", *values), "application/octet-stream")


class Tablet:
    """Makes packets in a chain, as a tablet does."""

    def __init__(self, device_id, key=None):
        self.device_id = device_id
        self.key = key or SigningKey.generate()
        self.seq = 0
        self.prev = GENESIS
        self.last_id = None
        self.chain = {"id": "chain-1", "epoch": 0}

    def restored(self, epoch, **said):
        """A backup was restored: numbers go on in a new epoch."""
        self.chain = {"id": f"chain-{epoch}", "epoch": epoch, "after_seq": self.seq, **said}
        self.seq = epoch * EPOCH

    def make(self, kind, seizure="S-1", item=None, blobs=(), **body):
        self.seq += 1
        self.last_id = next_id(START, self.last_id)
        manifest = {
            "schema": "spectralid.packet/1",
            "kind": kind,
            "packet_id": self.last_id,
            "device_id": self.device_id,
            "seq": self.seq,
            "prev": self.prev,
            "chain": self.chain,
            "captured": {
                "wall_utc": to_text(START),
                "monotonic_us": 1,
                "boot_id": "boot-1",
                "clock_state": "synced",
            },
            "seizure_ref": seizure,
            "item_ref": item,
            **body,
        }
        raw = seal(manifest, blobs, self.key)
        self.prev = hashlib.sha256(raw).hexdigest()
        return raw

    def seizure(self, ref="S-1", **body):
        return self.make("seizure", ref, officer_ref="K-17", **body)

    def item(self, ref="I-1", seizure="S-1", **body):
        return self.make("item", seizure, ref, label="bag", **body)

    def scan(
        self, seizure="S-1", item="I-1", *, decision="identified", substances=("lactose",), alarm="notice",
        families=(), values=None, result=None, **body,
    ):  # fmt: skip
        y = numbers(*(values or (1.0, float(next(_values)), 3.0)))
        said = {
            "decision": decision,
            "engine": {"version": "0"},
            "library": {"name": "test", "version": "1"},
            "components": [{"slug": slug} for slug in substances],
            "families": list(families),
            "verdict": {"kind": decision, "alarm": alarm},
            **(result or {}),
        }
        n = len(y.data) // 8
        spectrum = {"blob": y.sha256, "dtype": "<f8", "n": n, "unit": "counts", "x0": 200.0, "dx": 1.5}
        fields = {"instrument": {"technique": "raman"}, "spectra": [spectrum], "result": said, **body}
        return self.make("scan", seizure, item, (y,), **fields)

    def strip(self, target="fentanyl", result="pos", seizure="S-1", item="I-1", **body):
        return self.make("evidence", seizure, item, strips=[{"target": target, "result": result}], **body)

    def send(self, seizure="S-1", why=("forced",), **body):
        return self.make("send", seizure, escalation={"why": list(why)}, **body)

    def shown(self, raw, *, key=None, **changed):
        """The acknowledgement of an answer, as it came from the inbox."""
        answer = messages.kept(raw, messages.Answer)
        said = {
            "device_id": self.device_id,
            "sha256": hashlib.sha256(raw).hexdigest(),
            "shown_utc": to_text(START),
            "clock_state": "synced",
        }
        return messages.shown(answer, key=key or self.key, **{**said, **changed})


class Desk:
    """A server, its tablets, and its clock."""

    def __init__(self, db):
        self.db = db
        self.keys = ServerKeys.open(db.folder)
        self.time = START
        self.tablet = self.enrol("tablet-1")
        self.other = self.enrol("tablet-2")

    def now(self):
        return self.time

    def passes(self, **span):
        self.time += timedelta(**span)

    def enrol(self, device_id, site="north"):
        tablet = Tablet(device_id)
        enrolled.add(self.db, device_id, tablet.key.public, site_ref=site, by="admin", now=self.time)
        return tablet

    def ingest(self, raw, device="of packet", key="sha256"):
        if device == "of packet":
            device = open_packet(raw, None).device_id
        if key == "sha256":
            key = hashlib.sha256(raw).hexdigest()
        return ingest.ingest(self.db, raw, device=device, idempotency_key=key, now=self.now, keys=self.keys)

    def trust(self, tablet):
        return messages.Trust(tablet.device_id, self.keys.trusted)

    def case(self, case_id):
        with self.db.read() as tx:
            return cases.get(tx, case_id)

    def scan(self, seizure="S-1", tablet=None, **body):
        """A case with one more scan."""
        return self.ingest((tablet or self.tablet).scan(seizure, **body)).case

    def lease(self, case_id, chemist="ada", **options):
        return leases.take(self.db, case_id, chemist, now=self.time, **options)

    def next(self, chemist="ada", **options):
        return queue.next(self.db, chemist, now=self.time, **options)

    def decide(self, lease, decision=None, **options):
        return decisions.adjudicate(
            self.db, self.keys, lease.case_id, lease.token, lease.chemist, decision or says(),
            now=self.time, **options,
        )  # fmt: skip

    def interim(self, lease, **options):
        return decisions.interim(
            self.db, self.keys, lease.case_id, lease.token, lease.chemist, now=self.time, **options
        )

    def review(self, lease, *, agrees=True, note="bands checked"):
        return decisions.review(
            self.db, self.keys, lease.case_id, lease.token, lease.chemist, agrees=agrees, note=note,
            now=self.time,
        )  # fmt: skip

    def move(self, case_id, event, actor="lab"):
        with self.db.begin() as tx:
            return cases.move(tx, case_id, event, actor=actor, now=self.time)

    def answered(self, seizure="S-1", tablet=None, **body):
        """A case that has been answered."""
        case_id = self.scan(seizure, tablet, **body)
        self.decide(self.lease(case_id))
        return case_id


def says(*substances, **more):
    """A decision that agrees with `Tablet.scan` unless told otherwise."""
    said = {
        "verdict": "identified",
        "headline": "Lactose",
        "words": "Presumptive.",
        "basis": "Bands at 850 cm-1.",
    }
    return Decision(**{**said, "substances": substances or ("lactose",), **more})
