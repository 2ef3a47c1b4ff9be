"""Checks of the instruments on their way to the server: on record with a custody entry, sent until receipted.

A record of a check is an envelope signed by the device (``application/vnd.spectralid.ipv+json``, payload
``spectralid.ipv/1``). Each stands for itself: it belongs to no chain of packets, and the order in which they
arrive carries no meaning. It moves on as packets do::

    queued ──▶ received            a receipt of the server for exactly these bytes was verified and is kept
      │ └────▶ attention           refused for good; a person has to look, nothing is dropped
      └─ try later
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from spectralid.casework import dsse
from spectralid.casework.clock import from_text, to_text
from spectralid.casework.errors import PacketError
from spectralid.casework.manifest import dumps, loads
from spectralid.casework.messages import CheckReceipt, kept, parse_utc

if TYPE_CHECKING:
    from spectralid.casework.store import CaseStore, Transaction

__all__ = [
    "CHECK_TYPE",
    "CheckRow",
    "due",
    "enter",
    "latest",
    "mark_attention",
    "mark_queued",
    "offer_again",
    "open_record",
    "retry_now",
    "row",
    "said",
    "states",
    "summary",
    "take_receipt",
    "waiting",
]

CHECK_TYPE: Final = "application/vnd.spectralid.ipv+json"
SCHEMA: Final = "spectralid.ipv/1"

State = Literal["queued", "received", "attention"]
Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class CheckRow:
    """Where the record of one check stands.

    Attributes
    ----------
    ipv_id : str
        Its name.
    serial : str
        Of the instrument; empty where it states none.
    made_utc : str
        When it was made, by the clock of the device.
    outcome : {"passed", "failed", "skipped"}
        What it says; ``"skipped"`` where an officer did without, and gave a reason.
    state : {"queued", "received", "attention"}
        How far it got.
    tries : int
        Attempts that failed.
    code, reason : str
        Why it is not further: a word that never changes, and a sentence.
    next_try_utc : str or None
        When it is tried next; ``None`` for as soon as possible.
    sha256 : str
        Of the envelope.
    """

    ipv_id: str
    serial: str
    made_utc: str
    outcome: Outcome
    state: State
    tries: int
    code: str
    reason: str
    next_try_utc: str | None
    sha256: str


_ROW: Final = (
    "SELECT ipv_id, serial, made_utc, outcome, state, tries, code, reason, next_try_utc, sha256 FROM checks "
)


def enter(
    store: CaseStore, body: Mapping[str, Any], *, kind: str, facts: Mapping[str, Any], serial: str
) -> None:
    """Put a check on record: signed, queued and in the custody log, in one transaction.

    Parameters
    ----------
    store : CaseStore
        Of the device.
    body : mapping
        The payload without ``schema`` and ``device_id``: ``ipv_id``, ``time``, ``outcome`` and what there is.
    kind, facts
        Of the custody entry.
    serial : str
        Of the instrument, as its spectra state it.

    Raises
    ------
    PacketError
        If it is too large.
    StoreFullError, StoreReadOnlyError
        If it could not be recorded.
    """
    payload = dumps({**body, "schema": SCHEMA, "device_id": store.device_id})
    raw = dsse.sign(payload, CHECK_TYPE, store.key)
    sha256 = hashlib.sha256(raw).hexdigest()
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO checks (ipv_id, serial, made_utc, outcome, raw, sha256) VALUES (?, ?, ?, ?, ?, ?)",
            (body["ipv_id"], serial, body["time"], body["outcome"], raw, sha256),
        )
        store.custody.append(tx, kind, {**facts, "record_sha256": sha256})


def states(store: CaseStore, *, limit: int = 200) -> tuple[CheckRow, ...]:
    """The newest records and where they stand, newest first."""
    found = store.read(_ROW + "ORDER BY rowid DESC LIMIT ?", (limit,))
    return tuple(CheckRow(*values) for values in found)


def row(store: CaseStore, ipv_id: str) -> CheckRow:
    """Where one record stands.

    Raises
    ------
    PacketError
        If there is none of this name.
    """
    found = store.read(_ROW + "WHERE ipv_id = ?", (ipv_id,))
    if not found:
        raise PacketError(f"There is no check {ipv_id[:40]!r} on this device.")
    return CheckRow(*found[0])


def latest(store: CaseStore, serial: str, outcome: Outcome) -> CheckRow | None:
    """The newest record of an instrument with that outcome."""
    found = store.read(
        _ROW + "WHERE serial = ? AND outcome = ? ORDER BY rowid DESC LIMIT 1", (serial, outcome)
    )
    return CheckRow(*found[0]) if found else None


def said(store: CaseStore, ipv_id: str) -> dict[str, Any]:
    """What a record says.

    Raises
    ------
    PacketError
        If there is none of this name, or its bytes are damaged.
    """
    found = store.read("SELECT raw, sha256 FROM checks WHERE ipv_id = ?", (ipv_id,))
    if not found:
        raise PacketError(f"There is no check {ipv_id[:40]!r} on this device.")
    raw, sha256 = bytes(found[0][0]), found[0][1]
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise PacketError(f"The record of the check {ipv_id[:12]} is damaged on this device.")
    return open_record(raw)


def open_record(raw: bytes) -> dict[str, Any]:
    """What an envelope says, its signature not looked at."""
    return loads(dsse.verify(raw, None, payload_types={CHECK_TYPE}).payload)


def summary(store: CaseStore) -> dict[str, int]:
    """How many records are in each state."""
    counted = Counter(str(value) for (value,) in store.read("SELECT state FROM checks"))
    return {name: counted[name] for name in ("queued", "received", "attention")}


# What moves records on


def due(
    store: CaseStore, now: dt.datetime, longest_pause: dt.timedelta
) -> tuple[tuple[CheckRow, bytes], ...]:
    """The records to send now, oldest first, with their bytes.

    Parameters
    ----------
    store : CaseStore
        Of the device.
    now : datetime
        By the clock of the device.
    longest_pause : timedelta
        A schedule that lies further ahead was written by a wrong clock, and does not count.
    """
    found = store.read(
        _ROW.replace("sha256 FROM", "sha256, raw FROM")
        + "WHERE state = 'queued' AND (next_try_utc IS NULL OR next_try_utc <= ? OR next_try_utc > ?) "
        "ORDER BY rowid",
        (to_text(now), to_text(now + longest_pause)),
    )
    return tuple((CheckRow(*values[:-1]), bytes(values[-1])) for values in found)


def waiting(store: CaseStore) -> tuple[str | None, ...]:
    """When the records that wait are tried next; ``None`` for as soon as possible."""
    return tuple(
        text for (text,) in store.read("SELECT DISTINCT next_try_utc FROM checks WHERE state = 'queued'")
    )


def mark_queued(store: CaseStore, ipv_id: str, *, code: str, reason: str, next_try_utc: str | None) -> None:
    """The attempt failed; it is tried again."""
    with store.transaction() as tx:
        tx.execute(
            "UPDATE checks SET tries = tries + 1, code = ?, reason = ?, next_try_utc = ? "
            "WHERE ipv_id = ? AND state = 'queued'",
            (code, reason, next_try_utc, ipv_id),
        )


def mark_attention(store: CaseStore, ipv_id: str, *, code: str, reason: str) -> None:
    """The server refuses it for good: said on the screen and entered into the custody log."""
    with store.transaction() as tx:
        tx.execute(
            "UPDATE checks SET state = 'attention', tries = tries + 1, code = ?, reason = ?, "
            "next_try_utc = NULL WHERE ipv_id = ? AND state = 'queued'",
            (code, reason, ipv_id),
        )
        store.custody.append(tx, "refused", {"check": ipv_id, "code": code})


def retry_now(tx: Transaction) -> None:
    """Forget the waiting times, and try refused records once more, because a person asks for it."""
    tx.execute(
        "UPDATE checks SET state = 'queued', next_try_utc = NULL WHERE state IN ('queued', 'attention')"
    )


def take_receipt(store: CaseStore, receipt: CheckReceipt, *, round_trip_s: float | None = None) -> bool:
    """Keep a verified receipt: in one transaction with the state of the record and the custody log.

    Parameters
    ----------
    store : CaseStore
        Of the device.
    receipt : CheckReceipt
        As `spectralid.casework.messages` verified it.
    round_trip_s : float, optional
        Seconds since the request that it answers.

    Returns
    -------
    bool
        Whether it was new.

    Raises
    ------
    PacketError
        If it is for a record that was not made here.
    """
    with store.transaction() as tx:
        found = tx.execute("SELECT sha256, state FROM checks WHERE ipv_id = ?", (receipt.ipv_id,)).fetchone()
        if found is None or found[0] != receipt.ipv_sha256:
            raise PacketError(
                f"The receipt is for a check {receipt.ipv_id[:40]!r} that is not of this device."
            )
        if found[1] == "received":
            return False
        tx.execute(
            "UPDATE checks SET state = 'received', code = '', reason = '', next_try_utc = NULL, receipt = ?, "
            "received_utc = ? WHERE ipv_id = ?",
            (receipt.raw, to_text(store.time.now()), receipt.ipv_id),
        )
        facts = {
            "check": receipt.ipv_id,
            "receipt": hashlib.sha256(receipt.raw).hexdigest(),
            "server_utc": receipt.server_utc,
            "audit_n": receipt.audit_n,
        }
        store.custody.append(tx, "received", facts)
        store.time.advance(tx, parse_utc(receipt.server_utc), round_trip_s=round_trip_s)
    return True


def offer_again(tx: Transaction, *, before_utc: str | None = None) -> int:
    """Queue the records that a restored server may have lost; the same record twice changes nothing there.

    Parameters
    ----------
    tx : Transaction
        Of the store.
    before_utc : str, optional
        Only those receipted before that time of the server.

    Returns
    -------
    int
        Records queued.
    """
    queued = 0
    for ipv_id, receipt in tx.execute(
        "SELECT ipv_id, receipt FROM checks WHERE state = 'received'"
    ).fetchall():
        given = from_text(kept(bytes(receipt), CheckReceipt).server_utc)
        if before_utc is not None and given >= parse_utc(before_utc):
            continue
        tx.execute(
            "UPDATE checks SET state = 'queued', tries = 0, next_try_utc = NULL, code = 'lost', reason = "
            "'The server was restored from a backup and may have lost this record.' WHERE ipv_id = ?",
            (ipv_id,),
        )
        queued += 1
    return queued
