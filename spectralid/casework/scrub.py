"""Looking at everything that is stored, so that damage is found while a good copy still exists somewhere.

SQLite keeps no checksums: of 400 bits flipped in the bytes of packets it notices hardly one. Here every
packet is hashed, its signature checked, and its place in the chain and in the custody log; the log is
followed; what the screen lists is made again from the packets and compared; receipts and answers are checked;
and SQLite looks at the structure of its tables. That happens in small steps, so that no record waits behind
it, and goes on where it stopped, after a restart too.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from spectralid.casework import schema
from spectralid.casework.chain import chain_problems
from spectralid.casework.clock import to_text
from spectralid.casework.custody import _ENTRIES
from spectralid.casework.database import as_bytes
from spectralid.casework.enrolment import trust_ever
from spectralid.casework.errors import (
    PacketError,
    RemovedPacketError,
    StoreDamagedError,
    StoreReadOnlyError,
    UnknownReferenceError,
)
from spectralid.casework.facts import Problem
from spectralid.casework.manifest import loads
from spectralid.casework.messages import parse_receipt
from spectralid.casework.store import Transaction, _project

if TYPE_CHECKING:
    from spectralid.casework.packet import Packet
    from spectralid.casework.store import CaseStore

__all__ = ["Progress", "ScrubReport", "last_scrub", "scrub"]

# What one step looks at; a packet has at most 8 MiB.
_ROWS: Final = 200
_PACKETS: Final = 20
_KEY: Final = "scrub"
# The last: a damaged index lists what its table does not have.
_UNREADABLE: Final = (PacketError, StoreDamagedError, UnknownReferenceError)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scrub is.

    Attributes
    ----------
    stage : {"database", "packets", "custody", "lists", "exchange"}
        What is being looked at.
    number, of : int
        Which stage of how many.
    problems : int
        Found so far.
    """

    stage: str
    number: int
    of: int
    problems: int


@dataclass(frozen=True, slots=True)
class ScrubReport:
    """What a scrub has found.

    Attributes
    ----------
    started_utc : str
        By the clock of the device.
    finished_utc : str or None
        ``None`` while there is more to look at: call `scrub` again.
    problems : tuple of Problem
        Everything found wrong, in the order it was found.
    damaged : tuple of str
        The packets whose bytes are not those that were recorded, by id. They are marked in the history, are
        never handed out, and can be replaced from a backup (`spectralid.casework.backup.mend`).
    """

    started_utc: str
    finished_utc: str | None
    problems: tuple[Problem, ...]
    damaged: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether all was looked at and nothing is wrong."""
        return self.finished_utc is not None and not self.problems


@dataclass(frozen=True, slots=True)
class _State:
    """Where a scrub is, as it is kept between steps."""

    started_utc: str
    finished_utc: str | None = None
    stage: int = 0
    after: Any = None
    problems: tuple[Problem, ...] = ()

    def to_text(self) -> str:
        kept = [[problem.where, problem.what, problem.words] for problem in self.problems]
        return json.dumps([self.started_utc, self.finished_utc, self.stage, self.after, kept])

    @classmethod
    def from_text(cls, text: str) -> _State:
        started, finished, stage, after, kept = json.loads(text)
        return cls(started, finished, stage, after, tuple(Problem(*problem) for problem in kept))


@dataclass(frozen=True, slots=True)
class _Found:
    """What one step found.

    Attributes
    ----------
    after : object
        Where the next step of the stage begins; ``None`` when the stage is over.
    problems : sequence of Problem
    damaged : mapping of str to str
        Packet ids and why; ``""`` for a packet that is sound.
    """

    after: Any
    problems: Sequence[Problem] = ()
    damaged: tuple[tuple[str, str], ...] = ()


def scrub(
    store: CaseStore,
    *,
    steps: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> ScrubReport:
    """Look at everything in a store, or at the next part of it.

    Parameters
    ----------
    store : CaseStore
        Opened for writing, the place reached and damaged packets are written down; opened for reading, all of
        it is looked at in one go and nothing is written.
    steps : int, optional
        At most so many steps: a table, 20 packets, 200 rows of another kind. By default to the end.
    progress : callable, optional
        Called after each step.

    Returns
    -------
    ScrubReport
        A scrub that was interrupted goes on; one that was finished begins anew.
    """
    state = _stored(store)
    if state is None or state.finished_utc is not None:
        state = _State(to_text(store.time.now()))
    taken = 0
    while state.finished_utc is None and (steps is None or taken < steps):
        taken += 1
        name, look = _STAGES[state.stage]
        try:
            found = look(store, state.after)
        except StoreDamagedError as error:
            # This part cannot even be read; the others may be.
            found = _Found(None, (Problem(name, "edited", str(error)),))
        new = [problem for problem in found.problems if problem not in state.problems]
        state = replace(state, problems=(*state.problems, *new), after=found.after)
        if found.after is None:
            state = replace(state, stage=state.stage + 1)
            if state.stage == len(_STAGES):
                state = replace(state, stage=0, finished_utc=to_text(store.time.now()))
        # Opened for reading, or stopped because the disk failed: then the findings are told and not kept.
        with suppress(StoreReadOnlyError):
            _keep(store, state, found.damaged)
        if progress is not None:
            progress(Progress(name, min(state.stage + 1, len(_STAGES)), len(_STAGES), len(state.problems)))
    return _report(store, state)


def last_scrub(store: CaseStore) -> ScrubReport | None:
    """What the last scrub found, finished or not; ``None`` if there was none."""
    state = _stored(store)
    return None if state is None else _report(store, state)


def _report(store: CaseStore, state: _State) -> ScrubReport:
    damaged = tuple(
        packet_id for (packet_id,) in store.read("SELECT packet_id FROM damaged ORDER BY packet_id")
    )
    return ScrubReport(state.started_utc, state.finished_utc, state.problems, damaged)


def _stored(store: CaseStore) -> _State | None:
    found = store.read("SELECT value FROM sync_state WHERE key = ?", (_KEY,))
    return _State.from_text(found[0][0]) if found else None


def _keep(store: CaseStore, state: _State, damaged: Sequence[tuple[str, str]]) -> None:
    with store.transaction() as tx:
        tx.execute("INSERT OR REPLACE INTO sync_state (key, value) VALUES (?, ?)", (_KEY, state.to_text()))
        known = {row[0] for row in tx.execute("SELECT packet_id FROM damaged").fetchall()}
        for packet_id, reason in damaged:
            if reason and packet_id not in known:
                now = to_text(store.time.now())
                tx.execute("INSERT INTO damaged VALUES (?, ?, ?)", (packet_id, now, reason))
                store.custody.append(tx, "found damaged", {"packet_id": packet_id, "reason": reason})
            elif not reason and packet_id in known:
                tx.execute("DELETE FROM damaged WHERE packet_id = ?", (packet_id,))


# --- what is looked at --------------------------------------------------------------------------------------


def _database(store: CaseStore, after: str | None) -> _Found:
    """One table and its indexes, by SQLite."""
    found = store.read(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name > ? ORDER BY name LIMIT 1",
        (after or "",),
    )
    if not found:
        return _Found(None)
    ((table,),) = found
    # The name is that of a table of ours; a PRAGMA takes no parameters.
    problems = [
        Problem(f"table {table}", "edited", f"SQLite says: {words}")
        for (words,) in store.read(f'PRAGMA integrity_check("{table}")')
        if words != "ok"
    ]
    return _Found(table, problems)


def _packets(store: CaseStore, after: int | None) -> _Found:
    """The next packets: bytes, signatures, chain, outbox, custody, and the columns they are listed by."""
    listed = store.read(
        "SELECT seq, packet_id FROM packets WHERE seq > ? ORDER BY seq LIMIT ?", (after or 0, _PACKETS)
    )
    if not listed:
        return _Found(None)
    seqs = [seq for seq, _ in listed]
    problems = _chain(store, seqs if after is None else [after, *seqs], whole=after is None)
    damaged = []
    for seq, packet_id in listed:
        try:
            packet = store.packet(packet_id)
        except RemovedPacketError:
            continue
        except _UNREADABLE as error:
            damaged.append((packet_id, str(error)))
            continue
        damaged.append((packet_id, ""))
        problems += _columns(store, seq, packet)
        problems += _logged(store, seq, packet)
    return _Found(seqs[-1], problems, tuple(damaged))


def _chain(store: CaseStore, seqs: Sequence[int], *, whole: bool) -> list[Problem]:
    keys = store.keys()
    try:
        return chain_problems(store, seqs, keys=keys, hashes={}, whole=whole)
    except StoreDamagedError:
        problems: list[Problem] = []
        for seq in seqs:
            try:
                problems += chain_problems(store, [seq], keys=keys, hashes={}, whole=False)
            except StoreDamagedError as error:
                problems.append(Problem(f"packet {seq}", "edited", f"it cannot be read: {error}"))
        return problems


def _columns(store: CaseStore, seq: int, packet: Packet) -> list[Problem]:
    captured = packet.manifest["captured"]
    stated = (
        *(captured[name] for name in ("wall_utc", "monotonic_us", "boot_id", "clock_state")),
        len(packet.raw),
    )
    kept = store.read(
        "SELECT captured_utc, monotonic_us, boot_id, clock_state, size FROM packets WHERE seq = ?", (seq,)
    )
    if kept == [stated]:
        return []
    words = f"it is listed with {kept!r}, and states {stated!r} itself."
    return [Problem(f"packet {seq}", "edited", words)]


def _logged(store: CaseStore, seq: int, packet: Packet) -> list[Problem]:
    """A packet names the custody entry before it; the next one must be its own."""
    head = packet.manifest.get("custody")
    if head is None:
        return []
    entries = store.read(
        "SELECT n, entry, sha256 FROM custody WHERE n BETWEEN ? AND ?", (head["n"], head["n"] + 1)
    )
    found = {n: (as_bytes(entry), sha256) for n, entry, sha256 in entries}
    if head["n"] and found.get(head["n"], (b"", ""))[1] != head["sha256"]:
        words = f"the packet {seq} knows another entry in this place."
        return [Problem(f"custody {head['n']}", "restamped", words)]
    facts: Any = {}
    with suppress(PacketError):
        facts = loads(found.get(head["n"] + 1, (b"", ""))[0]).get("facts", {})
    if facts.get("packet_id") == packet.packet_id and facts.get("sha256") == packet.sha256:
        return []
    return [Problem(f"custody {head['n'] + 1}", "edited", f"it does not tell of the packet {seq}.")]


def _custody(store: CaseStore, after: int | None) -> _Found:
    """The next entries of the log, and that they follow on."""
    listed = [
        n for (n,) in store.read("SELECT n FROM custody WHERE n > ? ORDER BY n LIMIT ?", (after or 0, _ROWS))
    ]
    if not listed:
        return _Found(None)
    problems = store.custody._links(
        store.read(f"{_ENTRIES}WHERE n BETWEEN ? AND ? ORDER BY n", (after or 0, listed[-1])),
        store.keys(),
        {},
        last=0 if after is None else None,
    )
    return _Found(listed[-1], problems)


def _lists(store: CaseStore, after: str | None) -> _Found:
    """What the screen lists of the next seizure, made again from its packets."""
    found = store.read(
        "SELECT seizure_ref FROM packets WHERE seizure_ref > ? GROUP BY seizure_ref ORDER BY 1 LIMIT 1",
        (after or "",),
    )
    if not found:
        return _Found(None, _strays(store))
    ((reference,),) = found
    packets = []
    for (packet_id,) in store.read(
        "SELECT packet_id FROM packets WHERE seizure_ref = ? ORDER BY seq", (reference,)
    ):
        try:
            packets.append(store.packet(packet_id))
        except (RemovedPacketError, *_UNREADABLE):
            # Without all of its packets a list cannot be made again; what is damaged has been told.
            return _Found(reference)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
        for step in schema.STEPS:
            for statement in step:
                memory.execute(statement)
        for packet in packets:
            _project(Transaction(memory), packet.manifest)
        words = f"it does not list the seizure {reference} as its packets do."
        problems = [
            Problem(f"table {table}", "edited", words)
            for table, sql in _LISTS.items()
            if set(store.read(sql, (reference,))) != set(memory.execute(f"SELECT * FROM {table}").fetchall())
        ]
    return _Found(reference, problems)


_LISTS: Final = {
    "seizures": "SELECT * FROM seizures WHERE seizure_ref = ?",
    "items": "SELECT * FROM items WHERE seizure_ref = ?",
    "spectra": "SELECT * FROM spectra WHERE seq IN (SELECT seq FROM packets WHERE seizure_ref = ?)",
}


def _strays(store: CaseStore) -> list[Problem]:
    problems = []
    for table in (*_LISTS, "outbox"):
        for (seq,) in store.read(
            f"SELECT seq FROM {table} WHERE seq NOT IN (SELECT seq FROM packets) LIMIT 20"
        ):
            words = f"it lists a packet {seq}, which is not on record."
            problems.append(Problem(f"table {table}", "edited", words))
    return problems


def _exchange(store: CaseStore, after: Sequence[int] | None) -> _Found:
    """The next receipts and answers."""
    receipts_after, answers_after = after or (0, 0)
    receipts = store.read(
        "SELECT o.seq, o.receipt, o.state, p.sha256 FROM outbox o JOIN packets p ON p.seq = o.seq "
        "WHERE o.seq > ? AND (o.receipt IS NOT NULL OR o.state = 'received') ORDER BY o.seq LIMIT ?",
        (receipts_after, _ROWS),
    )
    answers = store.read(
        "SELECT n, raw, sha256 FROM answers WHERE n > ? ORDER BY n LIMIT ?", (answers_after, _ROWS)
    )
    if not receipts and not answers:
        return _Found(None)
    problems = []
    trust = trust_ever(store) if receipts else None
    for seq, raw, _, sha256 in receipts:
        try:
            if trust is None or raw is None:
                raise PacketError("there is none.")
            receipt = parse_receipt(as_bytes(raw), trust)
            if (receipt.seq, receipt.packet_sha256) != (seq, sha256):
                raise PacketError("it is for another packet.")
        except PacketError as error:
            problems.append(Problem(f"receipt {seq}", "edited", f"it does not hold: {error}"))
    problems += [
        Problem(f"answer {n}", "edited", "its bytes are not those that came; ask the server for it again.")
        for n, raw, sha256 in answers
        if hashlib.sha256(as_bytes(raw)).hexdigest() != sha256
    ]
    return _Found(
        (receipts[-1][0] if receipts else receipts_after, answers[-1][0] if answers else answers_after),
        problems,
    )


_STAGES: Final[tuple[tuple[str, Callable[[CaseStore, Any], _Found]], ...]] = (
    ("database", _database),
    ("packets", _packets),
    ("custody", _custody),
    ("lists", _lists),
    ("exchange", _exchange),
)
