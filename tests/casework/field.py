"""A tablet and its server for tests: enrolled with each other, with clocks that only tests move."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spectralid.casework import enrolment, outbox
from spectralid.casework.endpoint import Deadlines, Endpoint
from spectralid.casework.store import CaseStore, Draft
from spectralid.casework.sync import Sync
from tests.casework.server_double import Authority, ServerDouble

START = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)
ENROLMENT = "application/vnd.spectralid.enrolment+json"

# A reply that does not come must not hold a test up; one that comes on a busy machine must not be missed.
QUICK = Deadlines(connect_s=10.0, read_s=10.0, write_s=10.0, total_s=20.0)
IMPATIENT = Deadlines(connect_s=10.0, read_s=0.3, write_s=10.0, total_s=0.8)


class FakeClock:
    """Wall and monotonic clock, moved by hand; the boot stays the same unless a test says otherwise."""

    def __init__(self, now: dt.datetime = START) -> None:
        self.now = now
        self.ns = 10**12
        self.boot_id = "boot-1"

    def wall_utc(self) -> dt.datetime:
        return self.now

    def monotonic_ns(self) -> int:
        return self.ns

    def advance(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)
        self.ns += int(seconds * 1e9)

    def reboot(self, now: dt.datetime) -> None:
        self.now, self.ns, self.boot_id = now, 10**9, self.boot_id + "+"


class Field:
    """One tablet, one server, one line between them."""

    def __init__(self, folder: Path, *, device_id: str = "tablet-7") -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.store = self.open(device_id=device_id)
        self.authority = Authority()
        folder.joinpath("server").mkdir()
        self.server = ServerDouble(
            folder / "server", authority=self.authority, devices={device_id: self.store.key.public.raw}
        )
        self.seizures = 0

    def open(self, **options: Any) -> CaseStore:
        return CaseStore.open(self.folder / "tablet", clock=self.clock, ballast_bytes=4096, **options)

    def reopen(self, **options: Any) -> CaseStore:
        """As after a crash or a restart."""
        self.store.close()
        self.store = self.open(**options)
        return self.store

    def enrolment(self, **changes: Any) -> bytes:
        """What the agency hands out for this tablet."""
        certificate = self.certificate()
        return self.server.key.envelope(
            ENROLMENT,
            {
                "schema": "spectralid.enrolment/1",
                "device_id": self.store.device_id,
                "issued_utc": "2026-11-22T11:00:00Z",
                "url": self.server.url,
                "ca_pem": self.authority.pem.decode(),
                "server_keys": [base64.b64encode(self.server.key.public).decode()],
                "certificate_pem": certificate.decode(),
            }
            | changes,
        )

    def certificate(self, authority: Authority | None = None, **options: Any) -> bytes:
        """A certificate for the key that this tablet made."""
        from cryptography.hazmat.primitives import serialization

        enrolment.request(self.store)  # makes the key
        private = serialization.load_pem_private_key(
            (self.store.folder / "tls.key").read_bytes(), password=None
        )
        return (authority or self.authority).issue(
            self.store.device_id, public_key=private.public_key(), **options
        )[0]

    def enrol(self, **changes: Any) -> enrolment.Enrolment:
        raw = self.enrolment(**changes)
        return enrolment.enrol(self.store, raw, confirmed=enrolment.fingerprint(raw))

    def endpoint(self, deadlines: Deadlines = QUICK) -> Endpoint:
        enrolled = enrolment.enrolled(self.store)
        assert enrolled is not None
        return Endpoint(enrolled, enrolled.trust(), deadlines=deadlines)

    @contextmanager
    def sync(self, deadlines: Deadlines = QUICK, **options: Any) -> Iterator[Sync]:
        """An exchange whose pauses have no random part and take no time."""
        endpoint = self.endpoint(deadlines)
        try:
            yield Sync(self.store, endpoint, jitter=lambda: 1.0, **options)
        finally:
            endpoint.close()

    def capture(self, count: int = 1, *, urgent: bool = False) -> list[str]:
        """Record so many packets; the first one opens a seizure."""
        made = []
        for _ in range(count):
            if self.seizures == 0:
                draft = Draft("seizure", "S-1", None, {"officer_ref": "K-17"})
            elif urgent:
                draft = Draft("send", "S-1", None, {"escalation": {"why": ["forced"], "urgency": "now"}})
            else:
                draft = Draft("custody", "S-1", None, {"action": "sealed", "note": f"bag {self.seizures}"})
            self.seizures += 1
            made.append(self.store.capture(draft).packet_id)
        return made

    def states(self) -> list[str]:
        return [row.state for row in outbox.states(self.store)]

    def row(self, packet_id: str) -> outbox.OutboxRow:
        return outbox.state(self.store, packet_id)

    def kinds(self) -> list[str]:
        """What the custody log tells, without how the packets came about."""
        return [
            entry.kind
            for entry in self.store.custody.entries()
            if entry.kind not in ("created", "captured", "enrolled")
        ]

    def nothing_lost_nothing_twice(self) -> None:
        """Every packet is here or on the server, once each, byte for byte; chains and log hold."""
        from spectralid.casework.errors import RemovedPacketError

        for row in outbox.states(self.store):
            known = self.server.packets.get((self.store.device_id, row.seq))
            if row.state in ("received", "answered") and self._receipt(row.packet_id):
                assert known is not None, f"packet {row.seq} has a receipt and is not on the server"
            if known is not None:
                assert known[0] == row.sha256
            try:
                assert known is None or self.store.raw(row.packet_id) == known[1]
            except RemovedPacketError:
                assert known is not None
        assert self.store.verify() == ()
        assert self.store.custody.verify() == ()

    def _receipt(self, packet_id: str) -> bytes | None:
        ((raw,),) = self.store.read("SELECT receipt FROM outbox WHERE packet_id = ?", (packet_id,))
        return raw


@contextmanager
def enrolled_field(folder: Path) -> Iterator[Field]:
    """A tablet with a running server that it is enrolled with."""
    field = Field(folder)
    field.server.start()
    try:
        field.enrol()
        yield field
    finally:
        field.server.stop()
        field.store.close()


Told = Callable[[Any], None]
