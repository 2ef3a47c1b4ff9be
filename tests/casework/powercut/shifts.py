"""Shifts of field work on the real store: recorded by operation, and looked at after a power cut."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import random
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import spectralid.casework.chain
import spectralid.casework.store
from spectralid.casework.chain import EPOCH
from spectralid.casework.errors import StoreDamagedError
from spectralid.casework.keys import PublicKey
from spectralid.casework.packet import GENESIS, Packet, open_packet
from spectralid.casework.store import DATABASE, KEY, CaseStore, Draft, Stored

from .cuts import Check, Finding
from .disk import final, write_image
from .recording import Operation, Recorder
from .workload import drafts

BALLAST = 4096
"""The reserve of a store in a crash test; a real one would be most of every image."""

# Checkpoints after so many pages: every commit, every few, and only on closing.
_CHECKPOINTS = (1, 8, 24, 60, 1000)
# Of so many images one is opened by the store and captured into, and of so many one is verified with
# everything there is. The others are recovered by SQLite alone; all are looked at for what is lost or torn.
_BY_THE_STORE = 4
_THOROUGH = 40


@dataclass(frozen=True)
class Shift:
    """What one process did to a store.

    Attributes
    ----------
    operations : tuple of Operation
        A mark holds the `Stored` of a capture that returned.
    before : dict of str to bytes
        The folder before.
    """

    operations: tuple[Operation, ...]
    before: dict[str, bytes]

    @property
    def acknowledged(self) -> tuple[Stored, ...]:
        """Every capture that returned."""
        return tuple(operation.note for operation in self.operations if operation.kind == "mark")


def record(
    folder: Path,
    seed: int,
    *,
    captures: int,
    driver: type[sqlite3.Connection] = sqlite3.Connection,
    before: dict[str, bytes] | None = None,
) -> Shift:
    """Record a shift: the store is opened (made, if need be), captured into, and closed, twice over.

    Parameters
    ----------
    folder : Path
        Where; emptied first.
    seed : int
        Draws the work and how often the log is checkpointed.
    captures : int
        How many.
    driver : type
        A tampered driver, to take a guard away (`powercut.tampered`).
    before : dict of str to bytes, optional
        What the folder holds at the beginning: what a power cut left.
    """
    rng = random.Random(seed)
    before = dict(before or {})
    write_image(folder, before)
    recorder = Recorder(folder)
    pages = _CHECKPOINTS[seed % len(_CHECKPOINTS)]

    def connect(path: str) -> sqlite3.Connection:
        connection = recorder.connect(path, factory=driver, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA wal_autocheckpoint={pages}")
        return connection

    work = drafts(rng)
    with recorder.watching():
        for part in (captures // 2, captures - captures // 2):
            with CaseStore.open(folder, connect=connect, ballast_bytes=BALLAST) as store:
                for draft in itertools.islice(work, part):
                    recorder.mark(store.capture(draft))
    shift = Shift(tuple(recorder.operations), before)
    _see_that_nothing_went_unseen(folder, shift)
    return shift


def _see_that_nothing_went_unseen(folder: Path, shift: Shift) -> None:
    there = {file.name: file.read_bytes() for file in folder.iterdir()}
    if there != final([o for o in shift.operations if o.kind != "mark"], shift.before):
        raise AssertionError("the store did something to its folder that the recorder did not see")


@contextlib.contextmanager
def remembered_packets() -> Iterator[None]:
    """What was found true of some bytes is not computed again: signatures, and packets that were opened.

    Half the time of looking at an image would be spent on the signatures of the same dozen packets.
    """

    @functools.lru_cache(maxsize=1024)
    def verified(key: PublicKey, signature: bytes, signed: bytes) -> None:
        _verify(key, signature, signed)

    @functools.lru_cache(maxsize=256)
    def opened(data: bytes, keys: tuple[tuple[str, PublicKey], ...]) -> Packet:
        return open_packet(data, dict(keys))

    def remembered(data: bytes, keys: Mapping[str, PublicKey] | None) -> Packet:
        return opened(data, tuple((keys or {}).items()))

    with (
        mock.patch.object(PublicKey, "verify", lambda self, *signed: verified(self, *signed)),
        mock.patch.object(spectralid.casework.chain, "open_packet", remembered),
        mock.patch.object(spectralid.casework.store, "open_packet", remembered),
    ):
        yield


_verify = PublicKey.verify


def checker(known: Sequence[Stored]) -> Check:
    """A look at a store after a power cut.

    Parameters
    ----------
    known : sequence of Stored
        Every capture there was: what is in the store must be one of these, byte for byte. Several may have
        had the same number, when a cut undid one that had not been acknowledged.
    """
    hashes: dict[int, set[tuple[str, str]]] = {}
    for stored in known:
        hashes.setdefault(stored.seq, set()).add((stored.packet_id, stored.sha256))

    def by_the_store(folder: Path, acknowledged: Sequence[Stored], *, thorough: bool) -> list[Finding]:
        with CaseStore.open(folder, ballast_bytes=BALLAST) as store:
            findings = _look(store.read, acknowledged, hashes)
            findings += [Finding("torn", str(problem)) for problem in store.health().problems]
            findings += _again(store)
            return findings + (_all_there_is(store) if thorough else [])

    def by_sqlite(folder: Path, acknowledged: Sequence[Stored]) -> list[Finding]:
        if acknowledged and not (folder / KEY).exists():
            return [Finding("lost", "the key")]
        with contextlib.closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as db:
            if not db.execute("SELECT 1 FROM sqlite_schema").fetchall():
                return [Finding("lost", "all of it")] if acknowledged else []
            return _look(lambda sql, *values: db.execute(sql, *values).fetchall(), acknowledged, hashes)

    def check(folder: Path, acknowledged: Sequence[Stored], rng: random.Random) -> list[Finding]:
        number = rng.randrange(_THOROUGH)
        try:
            if number % _BY_THE_STORE == 0:
                return by_the_store(folder, acknowledged, thorough=number == 0)
            return by_sqlite(folder, acknowledged)
        except Exception as error:
            damaged = isinstance(error, StoreDamagedError | sqlite3.DatabaseError)
            findings = [Finding("corrupt" if damaged else "unusable", f"{type(error).__name__}: {error}")]
            return findings + ([Finding("lost", "all of it")] if acknowledged else [])

    return check


_Read = Callable[..., "list[Any]"]


def _look(
    read: _Read, acknowledged: Sequence[Stored], known: Mapping[int, set[tuple[str, str]]]
) -> list[Finding]:
    """Acknowledged packets are whole, others whole or absent; asked of the database, not of the store."""
    ((verdict,), *_) = read("PRAGMA quick_check(1)")
    findings = [] if verdict == "ok" else [Finding("corrupt", verdict)]
    packets, before, last = {}, GENESIS, 0
    for seq, packet_id, stated, prev, raw in read(
        "SELECT seq, packet_id, sha256, prev, raw FROM packets ORDER BY seq"
    ):
        packets[seq] = (packet_id, hashlib.sha256(raw or b"").hexdigest())
        if packets[seq] not in known.get(seq, ()) or stated != packets[seq][1]:
            findings.append(Finding("torn", f"packet {seq} is not the one that was recorded"))
        if prev != before or not _follows(seq, last):
            findings.append(Finding("torn", f"packet {seq} does not follow on the one before"))
        before, last = stated, seq
    findings += [
        Finding("lost", f"packet {stored.seq}")
        for stored in acknowledged
        if packets.get(stored.seq) != (stored.packet_id, stored.sha256)
    ]
    queued = dict(read("SELECT seq, packet_id FROM outbox"))
    if queued != {seq: packet_id for seq, (packet_id, _) in packets.items()}:
        findings.append(Finding("torn", "outbox and packets disagree"))
    findings += _custody(read, packets)
    for table, kind in (("seizures", "seizure"), ("items", "item"), ("spectra", "scan")):
        missing = read(
            f"SELECT seq FROM packets WHERE kind = ? AND seq NOT IN (SELECT seq FROM {table})", (kind,)
        )
        findings += [Finding("torn", f"packet {seq} is not among the {table}") for (seq,) in missing]
    return findings


def _follows(seq: int, last: int) -> bool:
    """Whether a number may come after `last`, 0 where it is the first.

    A key that outlived a cut in the middle of making the store begins an epoch of its own.
    """
    return seq == last + 1 or (last == 0 and seq % EPOCH == 1)


def _custody(read: _Read, packets: Mapping[int, tuple[str, str]]) -> list[Finding]:
    told, before, findings = {}, GENESIS, []
    for n, raw, sha256 in read("SELECT n, entry, sha256 FROM custody ORDER BY n"):
        entry = json.loads(raw)
        if hashlib.sha256(raw).hexdigest() != sha256 or entry["prev"] != before or entry["n"] != n:
            findings.append(Finding("torn", f"custody entry {n} does not follow on the one before"))
        before = sha256
        if entry["kind"] == "captured":
            told[entry["facts"]["seq"]] = (entry["facts"]["packet_id"], entry["facts"]["sha256"])
    return findings if told == packets else [*findings, Finding("torn", "custody and packets disagree")]


def _again(store: CaseStore) -> list[Finding]:
    """It can be captured into, and the chain goes on where it ended."""
    ((last,),) = store.read("SELECT coalesce(max(seq), 0) FROM packets")
    stored = store.capture(Draft("seizure", f"S-after-{last}", None, {"officer_ref": "o-2"}))
    found = store.read("SELECT seq, sha256 FROM packets WHERE packet_id = ?", (stored.packet_id,))
    there = found == [(stored.seq, stored.sha256)] and _follows(stored.seq, last)
    return [] if there else [Finding("unusable", "a new packet is not there")]


def _all_there_is(store: CaseStore) -> list[Finding]:
    findings = [Finding("torn", str(problem)) for problem in (*store.verify(), *store.custody.verify())]
    verdict = store.read("PRAGMA integrity_check")
    if verdict != [("ok",)]:
        findings.append(Finding("corrupt", str(verdict[0][0])))
    for row in store.history(limit=1000):
        store.packet(row.packet_id)
    return findings
