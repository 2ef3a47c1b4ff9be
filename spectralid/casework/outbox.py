"""Packets on their way to reachback: in which order, how often tried, and where each one stands.

The row of a packet is written by the store in the transaction that records it; here it only moves on::

    queued ──▶ sending ──▶ received            a receipt of the server was verified and is kept
      ▲           │  │
      └───────────┘  └──▶ attention            refused for good; a person has to look, nothing is dropped
        try later

What is dangerous goes first (escalated for a hazard, or by the officer), everything else in the order in
which it was recorded. A packet states its own place in the chain, so a server puts them back in order.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from spectralid.casework import instrument_checks
from spectralid.casework.clock import from_text, to_text
from spectralid.casework.errors import PacketError, UnknownReferenceError
from spectralid.casework.messages import Missing, Receipt, kept, parse_utc

if TYPE_CHECKING:
    from spectralid.casework.store import CaseStore, Transaction

__all__ = [
    "Backoff",
    "OutboxRow",
    "next_due",
    "offer_again",
    "offer_lost",
    "recover",
    "retry_now",
    "state",
    "states",
    "summary",
    "take_receipt",
    "wait_s",
]

State = Literal["queued", "sending", "received", "answered", "attention"]
_STATES: Final[tuple[State, ...]] = ("queued", "sending", "received", "answered", "attention")

# The longest a schedule may lie ahead. A time further off was written by a clock that was wrong: try now.
LONGEST_PAUSE: Final = dt.timedelta(hours=1, minutes=5)


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """Where one packet stands.

    Attributes
    ----------
    packet_id, seq, kind, sha256
        Which packet.
    state : {"queued", "sending", "received", "answered", "attention"}
        How far it got; ``"answered"`` once an answer names it.
    tries : int
        Attempts so far.
    code, reason : str
        Why it is not further: a word that never changes, and a sentence.
    next_try_utc : str or None
        When it is tried next; ``None`` for as soon as possible.
    urgent : bool
        Whether it goes before the others.
    """

    packet_id: str
    seq: int
    kind: str
    sha256: str
    state: State
    tries: int
    code: str
    reason: str
    next_try_utc: str | None
    urgent: bool


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait after the n-th failure: doubling up to a limit, and spread so that no herd forms.

    Attributes
    ----------
    first_s, longest_s : float
        Pause after the first failure, and the longest one.
    """

    first_s: float = 5.0
    longest_s: float = 300.0

    def pause_s(self, failures: int, jitter: float) -> float:
        """Seconds to wait; `jitter` in 0 … 1 spreads them over the upper half.

        Parameters
        ----------
        failures : int
            How many there have been in a row, 1 or more.
        jitter : float
            A random number in 0 … 1.
        """
        full = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return full * (0.5 + 0.5 * jitter)


_ROW: Final = """
    SELECT o.packet_id, o.seq, p.kind, p.sha256,
           CASE WHEN o.packet_id IN (SELECT packet_id FROM answer_packets) THEN 'answered' ELSE o.state END,
           o.tries, o.code, o.reason, o.next_try_utc, o.urgent
    FROM outbox o JOIN packets p ON p.packet_id = o.packet_id
"""


def _row(values: tuple[Any, ...]) -> OutboxRow:
    return OutboxRow(*(*values[:9], bool(values[9])))


def states(store: CaseStore) -> tuple[OutboxRow, ...]:
    """Every packet and where it stands, oldest first."""
    return tuple(_row(values) for values in store.read(_ROW + "ORDER BY o.seq"))


def state(store: CaseStore, packet_id: str) -> OutboxRow:
    """Where one packet stands.

    Raises
    ------
    UnknownReferenceError
        If there is none of this name.
    """
    found = store.read(_ROW + "WHERE o.packet_id = ?", (packet_id,))
    if not found:
        raise UnknownReferenceError(f"There is no packet {packet_id!r} on this device.")
    return _row(found[0])


def summary(store: CaseStore) -> dict[str, int]:
    """How many packets are in each state."""
    counted = Counter(
        str(value)
        for (value,) in store.read(
            "SELECT CASE WHEN packet_id IN (SELECT packet_id FROM answer_packets) "
            "THEN 'answered' ELSE state END FROM outbox"
        )
    )
    return {name: counted[name] for name in _STATES}


def retry_now(store: CaseStore, packet_id: str | None = None) -> None:
    """Forget the waiting times, and try refused packets once more, because a person asks for it.

    Parameters
    ----------
    packet_id : str, optional
        Only this one; all, and the records of checks, by default.
    """
    with store.transaction() as tx:
        tx.execute(
            "UPDATE outbox SET state = 'queued', next_try_utc = NULL "
            "WHERE state IN ('queued', 'attention') AND (? IS NULL OR packet_id = ?)",
            (packet_id, packet_id),
        )
        if packet_id is None:
            instrument_checks.retry_now(tx)
        tx.execute("DELETE FROM sync_state WHERE key = 'link'")


# What moves packets on


def recover(store: CaseStore) -> None:
    """After a crash: what was being sent is queued; whether it arrived, the server's replay will tell."""
    if store.read("SELECT 1 FROM outbox WHERE state = 'sending' LIMIT 1"):
        with store.transaction() as tx:
            tx.execute("UPDATE outbox SET state = 'queued' WHERE state = 'sending'")


_WAITING: Final = "state = 'queued' AND packet_id NOT IN (SELECT value FROM json_each(?)) "


def next_due(store: CaseStore, now: dt.datetime, *, without: Collection[str] = ()) -> OutboxRow | None:
    """The packet to send now, if there is one, leaving some out."""
    found = store.read(
        f"{_ROW}WHERE o.packet_id = (SELECT packet_id FROM outbox WHERE {_WAITING}"
        "AND (next_try_utc IS NULL OR next_try_utc <= ? OR next_try_utc > ?) "
        "ORDER BY urgent DESC, seq LIMIT 1)",
        (json.dumps(list(without)), to_text(now), to_text(now + LONGEST_PAUSE)),
    )
    return _row(found[0]) if found else None


def wait_s(store: CaseStore, now: dt.datetime, *, without: Collection[str] = ()) -> float | None:
    """Seconds until the next packet is due, leaving some out; ``None`` when nothing waits."""
    found = store.read(
        f"SELECT DISTINCT next_try_utc FROM outbox WHERE {_WAITING}", (json.dumps(list(without)),)
    )
    return min((pause_until(now, text) for (text,) in found), default=None)


def pause_until(now: dt.datetime, next_try_utc: str | None) -> float:
    """Seconds until a scheduled time; none if it has passed, or lies further off than any schedule can."""
    if next_try_utc is None:
        return 0.0
    pause = from_text(next_try_utc) - now
    return pause.total_seconds() if dt.timedelta() < pause <= LONGEST_PAUSE else 0.0


def mark_sending(store: CaseStore, packet_id: str) -> None:
    """An attempt begins."""
    with store.transaction() as tx:
        tx.execute("UPDATE outbox SET state = 'sending', tries = tries + 1 WHERE packet_id = ?", (packet_id,))


def mark_queued(
    store: CaseStore, packet_id: str, *, code: str, reason: str, next_try_utc: str | None
) -> None:
    """The attempt failed; it is tried again."""
    with store.transaction() as tx:
        tx.execute(
            "UPDATE outbox SET state = 'queued', code = ?, reason = ?, next_try_utc = ? "
            "WHERE packet_id = ? AND state IN ('queued', 'sending')",
            (code, reason, next_try_utc, packet_id),
        )


def mark_attention(store: CaseStore, packet_id: str, *, code: str, reason: str) -> None:
    """The server refuses it for good: said on the screen and entered into the custody log."""
    with store.transaction() as tx:
        tx.execute(
            "UPDATE outbox SET state = 'attention', code = ?, reason = ?, next_try_utc = NULL "
            "WHERE packet_id = ? AND state IN ('queued', 'sending')",
            (code, reason, packet_id),
        )
        store.custody.append(tx, "refused", {"packet_id": packet_id, "code": code})


def take_receipt(store: CaseStore, receipt: Receipt, *, round_trip_s: float | None = None) -> bool:
    """Keep a verified receipt: in one transaction with the packet's state and the custody log.

    Parameters
    ----------
    receipt : Receipt
        As `spectralid.casework.messages` verified it.
    round_trip_s : float, optional
        Seconds since the request that it answers and that the server had not seen before.

    Returns
    -------
    bool
        Whether it was new.

    Raises
    ------
    PacketError
        If it is for a packet that was not made here.
    """
    with store.transaction() as tx:
        found = tx.execute(
            "SELECT p.packet_id, p.sha256, o.state, o.receipt FROM packets p "
            "JOIN outbox o ON o.packet_id = p.packet_id WHERE p.seq = ?",
            (receipt.seq,),
        ).fetchone()
        if found is None or found[1] != receipt.packet_sha256:
            raise PacketError(
                f"The receipt is for a packet {receipt.seq} ({receipt.packet_sha256[:12]}…) that this device "
                "does not hold."
            )
        packet_id, _, before, held = found
        if before == "received":
            return False  # the first receipt stays: one proof is enough, and replays change nothing
        tx.execute(
            "UPDATE outbox SET state = 'received', code = '', reason = '', next_try_utc = NULL, "
            "receipt = ?, received_utc = ? WHERE packet_id = ?",
            (receipt.raw, to_text(store.time.now()), packet_id),
        )
        facts: dict[str, Any] = {
            "packet_id": packet_id,
            "receipt": hashlib.sha256(receipt.raw).hexdigest(),
            "case": receipt.case,
            "server_utc": receipt.server_utc,
            "audit_n": receipt.audit_n,
        }
        if held is not None:
            # The proof that the server had it before it lost it.
            facts["replaces"] = bytes(held).decode("utf-8")
        store.custody.append(tx, "received", facts)
        store.time.advance(tx, parse_utc(receipt.server_utc), round_trip_s=round_trip_s)
        return True


# What a server lost (it was restored from a backup) is offered to it again


def offer_again(store: CaseStore, notice: Missing) -> tuple[int, int]:
    """Queue the packets that the server says it lost.

    Parameters
    ----------
    notice : Missing
        As `spectralid.casework.messages` verified it.

    Returns
    -------
    offered : int
        Packets queued by this notice.
    gone : int
        Packets asked for whose bytes were removed here after a receipt; the receipts remain.
    """
    offered: list[str] = []
    gone: list[int] = []
    with store.transaction() as tx:
        for wanted in notice.packets:
            # typeof, here and below: for IS NULL, SQLite reads all of a blob.
            found = tx.execute(
                "SELECT p.packet_id, p.sha256, typeof(p.raw) = 'null', o.state, o.receipt FROM packets p "
                "JOIN outbox o ON o.packet_id = p.packet_id WHERE p.seq = ?",
                (wanted.seq,),
            ).fetchone()
            if found is None or wanted.sha256 not in (None, found[1]):
                continue  # never made here: nothing can be offered
            packet_id, _, removed, state_now, receipt = found
            if removed:
                gone.append(wanted.seq)
            elif state_now == "received" and _receipt_before(receipt, notice.server_utc):
                _queue_again(tx, packet_id)
                offered.append(packet_id)
        # What it lost of the checks it does not know; those are small, and known ones change nothing there.
        instrument_checks.offer_again(tx, before_utc=notice.server_utc)
        told = json.dumps(gone)
        news = gone and tx.execute("SELECT value FROM sync_state WHERE key = 'gone'").fetchone() != (told,)
        if news:
            tx.execute("INSERT OR REPLACE INTO sync_state (key, value) VALUES ('gone', ?)", (told,))
        if offered or news:
            store.custody.append(tx, "offered again", {"packets": offered, "removed_seq": gone})
        store.time.advance(tx, parse_utc(notice.server_utc))
    return len(offered), len(gone)


def offer_lost(store: CaseStore, *, why: str, but: int | None) -> int:
    """Queue every receipted packet that is still held: the server's log went back behind what it had signed.

    Which ones it lost cannot be told from here; those it has are answered by the receipt it gave before.

    Parameters
    ----------
    store : CaseStore
        Of the device.
    why : str
        For the custody log.
    but : int or None
        Number of the packet whose receipt showed it: that one the server has.

    Returns
    -------
    int
        Packets queued.
    """
    with store.transaction() as tx:
        held = tx.execute(
            "SELECT o.packet_id FROM outbox o JOIN packets p ON p.packet_id = o.packet_id "
            "WHERE o.state = 'received' AND typeof(p.raw) <> 'null' AND o.seq IS NOT ?",
            (but,),
        ).fetchall()
        for (packet_id,) in held:
            _queue_again(tx, packet_id)
        instrument_checks.offer_again(tx)
        store.custody.append(tx, "offered again", {"packets": len(held), "why": why})
    return len(held)


def _queue_again(tx: Transaction, packet_id: str) -> None:
    tx.execute(
        "UPDATE outbox SET state = 'queued', tries = 0, next_try_utc = NULL, code = 'lost', "
        "reason = 'The server was restored from a backup and asks for this packet again.' "
        "WHERE packet_id = ?",
        (packet_id,),
    )


def _receipt_before(receipt: bytes | None, server_utc: str) -> bool:
    """Whether a notice is newer than the receipt; an older one was answered already."""
    return receipt is None or parse_utc(kept(receipt, Receipt).server_utc) < parse_utc(server_utc)
