"""The custody log: who did what with which record, each entry signed and chained to the one before.

An entry is JSON (``n``, ``utc``, ``clock_state``, ``kind``, ``facts``, ``prev``), kept as the bytes that were
signed. A chain shows an edit, a gap, and an entry signed by somebody else. That its end was cut off, or that
all of it was written anew by whoever has the key, shows only against a `Checkpoint` held elsewhere: every
packet carries one, so that the server and the receipts witness the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spectralid.casework import dsse
from spectralid.casework.chain import against, missing
from spectralid.casework.clock import to_text
from spectralid.casework.database import as_bytes, rows
from spectralid.casework.errors import PacketError, StoreDamagedError
from spectralid.casework.facts import Checkpoint, Problem
from spectralid.casework.manifest import GENESIS, dumps, loads

if TYPE_CHECKING:
    from spectralid.casework.keys import PublicKey
    from spectralid.casework.store import CaseStore, Transaction

__all__ = ["Checkpoint", "Custody", "Entry"]

ENTRY_TYPE: Final = "application/vnd.spectralid.custody+json"
_NONE: Final = (0, GENESIS)
_ENTRIES: Final = "SELECT n, entry, sha256, keyid, signature FROM custody "
_AT_ONCE: Final = 500
# A row that somebody put before the first one has to be found, too.
_BEFORE_ALL: Final = -(2**63)
_FIELDS: Final = ("n", "utc", "clock_state", "kind", "facts")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log.

    Attributes
    ----------
    n : int
        From 1, without gaps.
    utc, clock_state : str
        By the clock of the device.
    kind : str
        What was done: ``"captured"``, ``"handed over"`` …
    facts : mapping
        With what, and by whom.
    sha256 : str
        Of the entry: what the next one refers to.
    """

    n: int
    utc: str
    clock_state: str
    kind: str
    facts: Mapping[str, Any]
    sha256: str


class Custody:
    """The log of a store."""

    def __init__(self, store: CaseStore) -> None:
        self._store = store

    def append(self, tx: Transaction, kind: str, facts: Mapping[str, Any]) -> Checkpoint:
        """Add an entry, in the same transaction as what it tells of.

        Parameters
        ----------
        tx : Transaction
            Of `CaseStore.transaction`.
        kind : str
            What was done.
        facts : mapping
            Plain data.
        """
        store = self._store
        n, prev = self._head(tx)
        moment = store.time.moment()
        entry = dumps(
            {
                "n": n + 1,
                "utc": to_text(moment.utc),
                "clock_state": store.time.judge(moment)[0],
                "kind": kind,
                "facts": dict(facts),
                "prev": prev,
            }
        )
        sha256 = hashlib.sha256(entry).hexdigest()
        signature = store.key.sign(dsse.pae(ENTRY_TYPE, entry))
        tx.execute(
            "INSERT INTO custody (n, entry, sha256, keyid, signature) VALUES (?, ?, ?, ?, ?)",
            (n + 1, entry, sha256, store.key.keyid, signature),
        )
        return Checkpoint(n + 1, sha256)

    def head(self, tx: Transaction | None = None) -> Checkpoint:
        """The newest entry, to be held elsewhere."""
        return Checkpoint(*self._head(tx))

    def _head(self, tx: Transaction | None) -> tuple[int, str]:
        sql = "SELECT n, sha256 FROM custody ORDER BY n DESC LIMIT 1"
        found = self._store.read(sql) if tx is None else rows(tx, sql)
        return found[0] if found else _NONE

    def entries(self, *, after: int = 0) -> tuple[Entry, ...]:
        """The log, oldest first.

        Parameters
        ----------
        after : int
            Only entries with greater numbers.
        """
        return tuple(self._entries(after))

    def about(self, seizure_ref: str, packet_ids: Collection[str]) -> tuple[Entry, ...]:
        """The entries of a seizure, oldest first.

        Parameters
        ----------
        seizure_ref : str
            Which.
        packet_ids : collection of str
            Its packets.
        """
        return tuple(
            entry
            for entry in self._entries(0)
            if entry.facts.get("packet_id") in packet_ids or entry.facts.get("seizure_ref") == seizure_ref
        )

    def _entries(self, after: int) -> Iterator[Entry]:
        try:
            for _, raw, sha256, *_ in self._in_turn(after):
                entry = loads(as_bytes(raw))
                yield Entry(**{name: entry[name] for name in _FIELDS}, sha256=sha256)
        except (PacketError, KeyError):
            raise StoreDamagedError("The custody log is damaged; verify() names the entry.") from None

    def _in_turn(self, after: int = _BEFORE_ALL) -> Iterator[tuple[Any, ...]]:
        """Rows in their order, some at a time: the log is as long as the tablet is old."""
        while found := self._store.read(f"{_ENTRIES}WHERE n > ? ORDER BY n LIMIT {_AT_ONCE}", (after,)):
            yield from found
            after = found[-1][0]

    def sound(self) -> Iterator[dict[str, Any]]:
        """The entries that hold by themselves, as they were signed; whether they follow on is not asked."""
        keys = self._store.keys()
        for n, raw, sha256, keyid, signature in self._in_turn():
            if not _wrong(n, as_bytes(raw), sha256, None, keys.get(keyid), as_bytes(signature)):
                yield loads(raw)

    def verify(
        self, checkpoints: Iterable[Checkpoint] = (), *, keys: Mapping[str, PublicKey] | None = None
    ) -> tuple[Problem, ...]:
        """What is wrong with the log; empty when nothing is.

        Parameters
        ----------
        checkpoints : iterable of Checkpoint
            Held elsewhere: by the server, in receipts, on paper. Those in the packets of this store are
            looked at as well.
        keys : mapping of str to PublicKey, optional
            The keys of this device by key id, from somewhere else than the store; by default those that the
            store says it has had.

        Returns
        -------
        tuple of Problem
            The row and what was done to it, in the order of the log.
        """
        keys = self._store.keys() if keys is None else keys
        hashes: dict[int, str] = {}
        problems = self._links(self._in_turn(), keys, hashes, last=0)
        held = {*checkpoints, *self._in_packets()}
        return tuple(problems + against(held, hashes, "custody"))

    def tail_problems(self, limit: int) -> tuple[Problem, ...]:
        """The same for the newest `limit` entries alone, without any checkpoint."""
        sql = f"SELECT * FROM ({_ENTRIES}ORDER BY n DESC LIMIT ?) ORDER BY n"
        return tuple(self._links(self._store.read(sql, (limit,)), self._store.keys(), {}, last=None))

    def _links(
        self,
        found: Iterable[tuple[Any, ...]],
        keys: Mapping[str, PublicKey],
        hashes: dict[int, str],
        *,
        last: int | None,
    ) -> list[Problem]:
        problems: list[Problem] = []
        prev = GENESIS if last == 0 else None
        for n, raw, sha256, keyid, signature in found:
            if last is not None and n != last + 1:
                problems.append(missing("custody", last, n))
                prev = None
            if words := _wrong(n, as_bytes(raw), sha256, prev, keys.get(keyid), as_bytes(signature)):
                problems.append(Problem(f"custody {n}", "edited", words))
            last, prev, hashes[n] = n, sha256, sha256
        return problems

    def _in_packets(self) -> list[Checkpoint]:
        heads = (packet.manifest.get("custody") for packet in self._store.sound_packets())
        return [Checkpoint(head["n"], head["sha256"]) for head in heads if head]


def _wrong(n: int, raw: bytes, sha256: str, prev: str | None, key: PublicKey | None, signature: bytes) -> str:
    if hashlib.sha256(raw).hexdigest() != sha256:
        return "the entry is not the one that was chained."
    if key is None:
        return "it is signed with a key that is not of this device."
    try:
        key.verify(signature, dsse.pae(ENTRY_TYPE, raw))
        entry = loads(raw)
    except PacketError as error:
        return str(error)
    if entry.get("n") != n:
        return f"it is the entry {entry.get('n')!r} and lies in the place of another."
    if prev is not None and entry.get("prev") != prev:
        return "it does not follow on the entry before; one of the two was exchanged."
    return ""
