"""The custody log: who did what with which record, each entry signed and chained to the one before.

An entry is JSON (``n``, ``utc``, ``clock_state``, ``kind``, ``facts``, ``prev``), kept as the bytes that were
signed. A chain shows an edit, a gap, and an entry signed by somebody else. That its end was cut off, or that
all of it was written anew by whoever has the key, shows only against a `Checkpoint` held elsewhere: every
packet carries one, so that the server and the receipts witness the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spectralid.casework import dsse
from spectralid.casework.clock import to_text
from spectralid.casework.database import rows
from spectralid.casework.errors import PacketError, SignatureError
from spectralid.casework.facts import Problem
from spectralid.casework.manifest import GENESIS, dumps, loads

if TYPE_CHECKING:
    from spectralid.casework.store import CaseStore, Transaction

__all__ = ["Checkpoint", "Custody", "Entry"]

ENTRY_TYPE: Final = "application/vnd.spectralid.custody+json"
_NONE: Final = (0, GENESIS)
_FIELDS: Final = ("n", "utc", "clock_state", "kind", "facts")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The newest entry at some time, held where the log cannot be changed.

    Attributes
    ----------
    n : int
        Its number.
    sha256 : str
        Of the entry.
    """

    n: int
    sha256: str


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
        sql = "SELECT entry, sha256 FROM custody WHERE n > ? ORDER BY n"
        found = ((loads(bytes(raw)), sha256) for raw, sha256 in self._store.read(sql, (after,)))
        return tuple(
            Entry(**{name: entry[name] for name in _FIELDS}, sha256=sha256) for entry, sha256 in found
        )

    def verify(self, checkpoints: Iterable[Checkpoint] = ()) -> tuple[Problem, ...]:
        """What is wrong with the log; empty when nothing is.

        Parameters
        ----------
        checkpoints : iterable of Checkpoint
            Held elsewhere: by the server, in receipts, on paper. Those in the packets of this store are
            looked at as well.

        Returns
        -------
        tuple of Problem
            The row and what was done to it, in the order of the log.
        """
        keys = self._store.keys()
        problems: list[Problem] = []
        n, prev, hashes = 0, GENESIS, {0: GENESIS}
        for row, raw, sha256, keyid, signature in self._store.read(
            "SELECT n, entry, sha256, keyid, signature FROM custody ORDER BY n"
        ):
            if row != n + 1:
                gone = f"entry {n + 1} is" if row == n + 2 else f"entries {n + 1} to {row - 1} are"
                problems.append(Problem(f"custody {n + 1}", "deleted", f"{gone} missing."))
            problem = _wrong(row, raw, sha256, prev if row == n + 1 else None)
            if problem is None:
                try:
                    key = keys.get(keyid)
                    if key is None:
                        raise SignatureError(
                            f"It is signed with the key {keyid}, which is not of this device."
                        )
                    key.verify(signature, dsse.pae(ENTRY_TYPE, raw))
                except SignatureError as error:
                    problem = "unsigned", str(error)
            if problem is not None:
                problems.append(Problem(f"custody {row}", *problem))
            n, prev, hashes[row] = row, sha256, sha256
        held = {*checkpoints, *self._in_packets()}
        problems += _against(held, hashes, n)
        return tuple(problems)

    def _in_packets(self) -> list[Checkpoint]:
        heads = (packet.manifest.get("custody") for packet in self._store.sound_packets())
        return [Checkpoint(head["n"], head["sha256"]) for head in heads if head]


def _wrong(n: int, raw: bytes, sha256: str, prev: str | None) -> tuple[Any, str] | None:
    if hashlib.sha256(raw).hexdigest() != sha256:
        return "edited", "the entry is not the one that was chained."
    try:
        entry = loads(raw)
    except PacketError as error:
        return "edited", str(error)
    if entry.get("n") != n:
        return "misfiled", f"it is the entry {entry.get('n')!r} and lies in the place of another."
    if prev is not None and entry.get("prev") != prev:
        return "edited", "it does not follow on the entry before, one of the two was exchanged."
    return None


def _against(held: Iterable[Checkpoint], hashes: Mapping[int, str], last: int) -> list[Problem]:
    problems = []
    for point in sorted(held, key=lambda point: point.n):
        where = f"custody {point.n}"
        if point.n > last:
            words = f"a checkpoint knows {point.n} entries and the log ends at {last}: its end was cut off."
            problems.append(Problem(where, "truncated", words))
        elif hashes.get(point.n, point.sha256) != point.sha256:
            words = "a checkpoint knows another entry in this place: the log was written anew."
            problems.append(Problem(where, "restamped", words))
    return problems
