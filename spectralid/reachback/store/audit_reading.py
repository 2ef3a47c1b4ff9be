"""What is read of the audit log, and how it is shown that an entry is in it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from spectralid.casework import dsse
from spectralid.reachback.errors import NotFoundError
from spectralid.reachback.store import audit
from spectralid.reachback.store.receipts import RECEIPT_TYPE
from spectralid.reachback.store.tables import audit as audit_table
from spectralid.reachback.store.tables import packets

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.casework.facts import Checkpoint
    from spectralid.reachback.store.serverkeys import ServerKeys

__all__ = ["checkpoint", "entries", "proof"]

_LONGEST_PROOF: Final = 5_000


def entries(tx: Connection, since: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
    """Entries from a number on.

    Parameters
    ----------
    tx : Connection
        From `Database.read`.
    since, limit : int
        From which, and how many at most.

    Returns
    -------
    head : int
        The number of the newest.
    rows : list of dict
    """
    chosen = sa.select(audit_table).where(audit_table.c.n >= since).order_by(audit_table.c.n).limit(limit)
    return audit.head(tx).n, [dict(row) for row in tx.execute(chosen).mappings()]


def checkpoint(tx: Connection, keys: ServerKeys, *, now: datetime) -> tuple[Checkpoint, str]:
    """The newest entry, and it signed."""
    return audit.head(tx), audit.checkpoint(tx, keys, now=now)


def proof(
    tx: Connection, keys: ServerKeys, n: int, *, now: datetime
) -> tuple[list[dict[str, Any]], str, str | None]:
    """The chain from an entry to a signed checkpoint.

    Parameters
    ----------
    tx : Connection
        From `Database.read`.
    keys : ServerKeys
        Whom a checkpoint of this moment is signed as, where no receipt has a later one.
    n : int
        Of the entry.
    now : datetime
        When.

    Returns
    -------
    rows : list of dict
        The entry and those after it, to the one of the checkpoint.
    checkpoint : str
        The signed envelope.
    held_by : str or None
        The tablet whose receipt has it: it is held outside of this server.

    Raises
    ------
    NotFoundError
        If there is no such entry, or no checkpoint within 5,000 entries after it.
    """
    held_by: str | None
    receipt = tx.execute(
        sa.select(packets.c.audit_n, packets.c.receipt, packets.c.device_id)
        .where(packets.c.audit_n >= n, packets.c.audit_n < n + _LONGEST_PROOF)
        .order_by(packets.c.audit_n)
        .limit(1)
    ).first()
    if receipt is not None:
        opened = dsse.verify(bytes(receipt.receipt), None, payload_types={RECEIPT_TYPE})
        text, held_by = str(json.loads(opened.payload)["checkpoint"]), str(receipt.device_id)
        last = audit.read_checkpoint(text, keys.trusted).n
    else:
        last, text, held_by = audit.head(tx).n, audit.checkpoint(tx, keys, now=now), None
    if not n <= last < n + _LONGEST_PROOF:
        raise NotFoundError(f"There is no entry {n}, or no checkpoint soon after it.")
    chosen = sa.select(audit_table).where(audit_table.c.n >= n, audit_table.c.n <= last)
    rows = [dict(row) for row in tx.execute(chosen.order_by(audit_table.c.n)).mappings()]
    return rows, text, held_by
