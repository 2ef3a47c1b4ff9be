"""What was done on the server, by whom and when: one chain of entries without gaps.

An entry is written in the transaction of what it reports. Each holds the SHA-256 of the one before, so that
a row cannot be changed or taken out unseen; a signed *checkpoint* of the newest one goes into every receipt,
so that the devices are witnesses of a chain that was cut off or written anew. Triggers refuse changes by
accident; the chain shows those on purpose.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from spectralid.casework import dsse
from spectralid.casework.chain import against, missing
from spectralid.casework.clock import to_text
from spectralid.casework.errors import PacketError
from spectralid.casework.facts import Checkpoint, Problem
from spectralid.casework.manifest import GENESIS, dumps, loads
from spectralid.reachback.store.database import notes
from spectralid.reachback.store.receipts import RECEIPT_TYPE
from spectralid.reachback.store.tables import audit, packets

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.casework.keys import PublicKey
    from spectralid.reachback.store.database import Database
    from spectralid.reachback.store.serverkeys import ServerKeys

__all__ = ["append", "checkpoint", "gathered", "head", "read_checkpoint", "verify"]

CHECKPOINT_TYPE: Final = "application/vnd.spectralid.checkpoint+json"

_AT_ONCE: Final = 5_000
_HEAD: Final = "audit head"
_GATHERED: Final = "audit entries"
_INSERT: Final = audit.insert()
_NEWEST: Final = sa.select(audit.c.n, audit.c.sha256).order_by(audit.c.n.desc()).limit(1)
_SAID: Final = ("utc", "actor", "action", "subject", "facts", "prev")


def append(
    tx: Connection, actor: str, action: str, subject: str, facts: Mapping[str, Any], *, now: datetime
) -> int:
    """Write an entry, in the transaction of what it reports.

    Parameters
    ----------
    tx : Connection
        From `Database.begin`: only one of them writes at a time.
    actor : str
        Who did it: ``device:…``, an account, or ``server``.
    action : str
        What was done, one word.
    subject : str
        To what: a case, a device, an account.
    facts : mapping
        More of it, plain data. Nothing secret: auditors read all of it.
    now : datetime
        When, by the server.

    Returns
    -------
    int
        Its number.
    """
    last = head(tx)
    entry: dict[str, Any] = {
        "n": last.n + 1,
        "utc": to_text(now),
        "actor": actor,
        "action": action,
        "subject": subject,
        "facts": dumps(facts).decode(),
        "prev": last.sha256,
    }
    entry["sha256"] = _sha256(entry)
    known = notes(tx)
    if _GATHERED in known:
        known[_GATHERED].append(entry)
    else:
        tx.execute(_INSERT, entry)
    # Nobody else writes until the end of the transaction: what the head is need not be asked again.
    known[_HEAD] = Checkpoint(last.n + 1, entry["sha256"])
    return last.n + 1


@contextmanager
def gathered(tx: Connection) -> Iterator[None]:
    """Write the entries of the block at its end, all at once: for many in one transaction.

    No savepoint may be begun in the block, and the log not be read.
    """
    entries: list[dict[str, Any]] = []
    notes(tx)[_GATHERED] = entries
    yield
    del notes(tx)[_GATHERED]
    if entries:
        tx.execute(_INSERT, entries)


def head(tx: Connection) -> Checkpoint:
    """The newest entry; number 0 if there is none."""
    known: Checkpoint | None = notes(tx).get(_HEAD)
    if known is not None:
        return known
    found = tx.execute(_NEWEST).first()
    return Checkpoint(*found) if found else Checkpoint(0, GENESIS)


def checkpoint(tx: Connection, keys: ServerKeys, *, now: datetime) -> str:
    """The newest entry as a signed envelope, to be held elsewhere."""
    last = head(tx)
    body = {"schema": "spectralid.checkpoint/1", "n": last.n, "sha256": last.sha256, "utc": to_text(now)}
    return dsse.sign(dumps(body), CHECKPOINT_TYPE, keys.signing).decode()


def read_checkpoint(text: str, trusted: Mapping[str, PublicKey]) -> Checkpoint:
    """A checkpoint from its envelope, after its signature has been seen to hold.

    Raises
    ------
    PacketError
        If it is none, or none of the server's.
    """
    said = loads(dsse.verify(text.encode(), trusted, payload_types={CHECKPOINT_TYPE}).payload)
    n, sha256 = said.get("n"), said.get("sha256")
    if said.get("schema") != "spectralid.checkpoint/1" or type(n) is not int or not isinstance(sha256, str):
        raise PacketError("It is no checkpoint of an audit log.")
    return Checkpoint(n, sha256)


def verify(
    db: Database,
    held: Iterable[Checkpoint] = (),
    *,
    trusted: Mapping[str, PublicKey] | None = None,
) -> tuple[Problem, ...]:
    """Whether the log is as it was written.

    Parameters
    ----------
    db : Database
        The server's.
    held : iterable of Checkpoint
        Held elsewhere: by devices, by auditors.
    trusted : mapping of str to PublicKey, optional
        The server's keys: the checkpoints in the receipts that the server itself keeps count as held too.

    Returns
    -------
    tuple of Problem
        ``edited``, ``deleted``, ``truncated`` or ``restamped``, with the number of the entry; nothing if it
        is whole.
    """
    points = {point.n: point for point in held}
    problems: list[Problem] = []
    hashes: dict[int, str] = {}
    with db.read() as tx:
        if trusted is not None:
            for seq, point in _receipted(tx, trusted):
                if isinstance(point, str):
                    problems.append(Problem(f"receipt of {seq}", "edited", point))
                else:
                    points.setdefault(point.n, point)
        n, prev = 0, GENESIS
        for row in _entries(tx):
            if row["n"] != n + 1:
                problems.append(missing("audit", n, row["n"]))
            elif row["prev"] != prev:
                words = "the entry after it knows another in its place: it was edited."
                problems.append(Problem(f"audit {n}", "edited", words))
            n, prev = row["n"], row["sha256"]
            if _sha256(row) != prev:
                problems.append(Problem(f"audit {n}", "edited", "it is not what was written."))
            if n in points:
                hashes[n] = prev
        hashes.setdefault(n, prev)
    # A checkpoint whose entry is missing from the middle is reported as the gap that it is.
    known = [point for point in points.values() if point.n in hashes or point.n > n]
    return (*problems, *against(known, hashes, "audit"))


def _entries(tx: Connection) -> Iterator[Mapping[str, Any]]:
    last = 0
    while rows := tx.execute(
        sa.select(audit).where(audit.c.n > last).order_by(audit.c.n).limit(_AT_ONCE)
    ).mappings().all():  # fmt: skip
        yield from (dict(row) for row in rows)
        last = rows[-1]["n"]


def _receipted(tx: Connection, trusted: Mapping[str, PublicKey]) -> Iterator[tuple[str, Checkpoint | str]]:
    """The checkpoints in the receipts that are kept here, or what is wrong with one."""
    last = 0
    chosen = sa.select(packets.c.audit_n, packets.c.device_id, packets.c.seq, packets.c.receipt)
    while rows := tx.execute(
        chosen.where(packets.c.audit_n > last).order_by(packets.c.audit_n).limit(_AT_ONCE)
    ).all():
        for _, device_id, seq, receipt in rows:
            name = f"{device_id}/{seq}"
            try:
                opened = dsse.verify(receipt, trusted, payload_types={RECEIPT_TYPE})
                yield name, read_checkpoint(str(json.loads(opened.payload).get("checkpoint")), trusted)
            except PacketError as error:
                yield name, str(error)
        last = rows[-1][0]


def _sha256(entry: Mapping[str, Any]) -> str:
    said = {name: entry[name] for name in _SAID}
    return hashlib.sha256(dumps({"n": entry["n"], **said})).hexdigest()
