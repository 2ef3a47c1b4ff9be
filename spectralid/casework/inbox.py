"""Answers of chemists and laboratories: kept as they were signed, shown in order, acknowledged once.

The server numbers the answers to a device from 1 without gaps, so a missing one is noticed. One that comes
after a gap is kept and shown all the same, because it may be a warning; what is missing is asked for again
and shown when it comes. A newer answer may supersede an older one; both stay on record.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from spectralid.casework import instrument_checks, messages, outbox
from spectralid.casework.clock import to_text
from spectralid.casework.errors import PacketError, UnknownReferenceError

if TYPE_CHECKING:
    from spectralid.casework.store import CaseStore, Transaction

__all__ = [
    "Answer",
    "Taken",
    "all",
    "last_without_gap",
    "repair",
    "shown",
    "take_answer",
    "take_message",
    "to_acknowledge",
    "unread",
]

LATE: Final = dt.timedelta(hours=1)
"""An answer that took longer than this to arrive is marked: the officer may have acted without it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer on this device.

    Attributes
    ----------
    answer_id, n, kind, utc, headline, words, precautions, basis, by, case, seizure_ref, item_ref, packet_ids
        As the server signed it (`spectralid.casework.messages.Answer`).
    supersedes, superseded_by : str or None
        The answer it replaces, and the one that replaces it.
    lab : {"confirmed", "refuted", "inconclusive"} or None
        What the laboratory found, if it has.
    late : bool
        Whether it came more than `LATE` after it was given.
    gap_before : bool
        Whether an earlier answer has not arrived yet.
    shown : bool
        Whether the officer has seen it.
    """

    answer_id: str
    n: int
    kind: str
    utc: str
    headline: str
    words: str
    precautions: tuple[str, ...]
    basis: str
    by: str
    case: str
    seizure_ref: str | None
    item_ref: str | None
    packet_ids: tuple[str, ...]
    supersedes: str | None
    superseded_by: str | None
    lab: str | None
    late: bool
    gap_before: bool
    shown: bool

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        plain = asdict(self)
        return plain | {"precautions": list(self.precautions), "packet_ids": list(self.packet_ids)}


# What an answer on this device has in common with the message that brought it.
_AS_SIGNED: Final = (
    *("answer_id", "n", "kind", "utc", "headline", "words", "precautions", "basis", "by", "case"),
    *("seizure_ref", "item_ref", "packet_ids", "supersedes", "lab"),
)


def all(store: CaseStore) -> tuple[Answer, ...]:
    """Every answer on this device, in the order in which they were given.

    One whose bytes are damaged is left out, until `repair` has it sent again.
    """
    return _answers(store, "")


def unread(store: CaseStore) -> tuple[Answer, ...]:
    """The answers the officer has not seen, in the order in which they were given."""
    return _answers(store, "WHERE shown_utc IS NULL ")


def _answers(store: CaseStore, which: str) -> tuple[Answer, ...]:
    complete = last_without_gap(store)
    rows = store.read(
        f"SELECT raw, sha256, late, shown_utc IS NOT NULL, superseded_by, n FROM answers {which}ORDER BY n"
    )
    out = []
    for raw, sha256, late, seen, superseded_by, n in rows:
        if not _sound(raw, sha256):
            continue
        message = messages.kept(raw, messages.Answer)
        out.append(
            Answer(
                **{name: getattr(message, name) for name in _AS_SIGNED},
                superseded_by=superseded_by,
                late=bool(late),
                gap_before=n > complete,
                shown=bool(seen),
            )
        )
    return tuple(out)


def _sound(raw: bytes, sha256: str) -> bool:
    return hashlib.sha256(raw).hexdigest() == sha256


def repair(store: CaseStore) -> int:
    """Let go of answers whose bytes are damaged, so that the server sends them again.

    Returns
    -------
    int
        How many there were. They are shown again when they come, even if they were before.
    """
    found = store.read("SELECT n, raw, sha256 FROM answers ORDER BY n")
    damaged = [(n, sha256) for n, raw, sha256 in found if not _sound(raw, sha256)]
    if damaged:
        with store.transaction() as tx:
            for n, sha256 in damaged:
                tx.execute("DELETE FROM answers WHERE n = ?", (n,))
                store.custody.append(tx, "answer damaged", {"n": n, "sha256": sha256})
    return len(damaged)


def last_without_gap(store: CaseStore) -> int:
    """The number up to which every answer is here: where to go on asking."""
    found = store.read(
        "SELECT COALESCE(MIN(a.n), 0) FROM (SELECT 0 AS n UNION ALL SELECT n FROM answers) a "
        "WHERE NOT EXISTS (SELECT 1 FROM answers b WHERE b.n = a.n + 1)"
    )
    return int(found[0][0])


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message.

    Attributes
    ----------
    message : Message
        What it was.
    new : bool
        Whether it changed anything here.
    offered : int
        Packets queued again because of it.
    gone : int
        Packets asked for that were removed here after a receipt.
    """

    message: messages.Message
    new: bool
    offered: int = 0
    gone: int = 0


def take_message(store: CaseStore, raw: bytes, trust: messages.Trust) -> Taken:
    """Take in a message of the server, whichever way it came; the same one twice changes nothing.

    Parameters
    ----------
    store : CaseStore
        Of the device.
    raw : bytes
        The envelope.
    trust : messages.Trust
        Whose messages count.

    Raises
    ------
    SignatureError, UnknownSchemaError, PacketError
        If it is refused; nothing of it is kept.
    """
    message = messages.parse(raw, trust)
    match message:
        case messages.Answer():
            return Taken(message, take_answer(store, message))
        case messages.Receipt():
            return Taken(message, outbox.take_receipt(store, message))
        case messages.CheckReceipt():
            return Taken(message, instrument_checks.take_receipt(store, message))
        case messages.Missing():
            offered, gone = outbox.offer_again(store, message)
            return Taken(message, offered > 0, offered, gone)
        case messages.TimeMessage():
            with store.transaction() as tx:
                return Taken(message, store.time.advance(tx, messages.parse_utc(message.server_utc)))


def take_answer(store: CaseStore, answer: messages.Answer) -> bool:
    """Keep a verified answer: in one transaction with what it is about and the custody log.

    Parameters
    ----------
    answer : messages.Answer
        As `spectralid.casework.messages` verified it.

    Returns
    -------
    bool
        Whether it was new.

    Raises
    ------
    PacketError
        If its number or its name belongs to another answer.
    """
    with store.transaction() as tx:
        for n, answer_id, raw in tx.execute(
            "SELECT n, answer_id, raw FROM answers WHERE n = ? OR answer_id = ?", (answer.n, answer.answer_id)
        ).fetchall():
            if (n, answer_id) == (answer.n, answer.answer_id) and messages.same(
                messages.kept(raw, messages.Answer), answer
            ):
                return False
            raise PacketError(
                f"The answer {answer.answer_id!r} has the number {answer.n}, and this device holds "
                f"{answer_id!r} with the number {n}; the server has to give it a number of its own."
            )
        sha256 = hashlib.sha256(answer.raw).hexdigest()
        given = messages.parse_utc(answer.utc)
        store.time.advance(tx, given)
        now = store.time.now()
        tx.execute(
            "INSERT INTO answers (n, answer_id, raw, sha256, stored_utc, late, superseded_by) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                answer.n,
                answer.answer_id,
                answer.raw,
                sha256,
                to_text(now),
                now - given > LATE,
                _successor(tx, answer),
            ),
        )
        if answer.supersedes is not None:
            tx.execute(
                "UPDATE answers SET superseded_by = ? WHERE answer_id = ?",
                (answer.answer_id, answer.supersedes),
            )
        for packet_id in _about(tx, answer):
            tx.execute(
                "INSERT OR IGNORE INTO answer_packets (answer_id, packet_id) VALUES (?, ?)",
                (answer.answer_id, packet_id),
            )
        store.custody.append(
            tx,
            "answer",
            {"answer_id": answer.answer_id, "n": answer.n, "sha256": sha256, "kind": answer.kind},
        )
    return True


def _successor(tx: Transaction, answer: messages.Answer) -> str | None:
    """What supersedes an answer that arrives after its successor."""
    later = tx.execute("SELECT answer_id, raw FROM answers WHERE n > ? ORDER BY n DESC", (answer.n,))
    for newer, raw in later.fetchall():
        if messages.kept(raw, messages.Answer).supersedes == answer.answer_id:
            return str(newer)
    return None


def _about(tx: Transaction, answer: messages.Answer) -> list[str]:
    """The packets here that an answer names, or all of the item or seizure that it is about."""
    if answer.packet_ids:
        return [
            packet_id
            for packet_id in answer.packet_ids
            if tx.execute("SELECT 1 FROM packets WHERE packet_id = ?", (packet_id,)).fetchone()
        ]
    column, value = ("item_ref", answer.item_ref) if answer.item_ref else ("seizure_ref", answer.seizure_ref)
    return [
        row[0] for row in tx.execute(f"SELECT packet_id FROM packets WHERE {column} = ?", (value,)).fetchall()
    ]


def shown(store: CaseStore, answer_id: str) -> bool:
    """The officer has seen an answer: on record and signed, once; the server is told when it can be.

    Parameters
    ----------
    store : CaseStore
        Of the device.
    answer_id : str
        Which.

    Returns
    -------
    bool
        Whether this was the first time.

    Raises
    ------
    UnknownReferenceError
        If there is no such answer.
    """
    with store.transaction() as tx:
        found = tx.execute(
            "SELECT n, raw, sha256, shown_utc FROM answers WHERE answer_id = ?", (answer_id,)
        ).fetchone()
        if found is None:
            raise UnknownReferenceError(f"There is no answer {answer_id!r} on this device.")
        n, raw, sha256, before = found
        if before is not None:
            return False
        if not _sound(raw, sha256):
            raise PacketError(f"The answer {answer_id!r} is damaged on this device; it is asked for again.")
        moment = store.time.moment()
        envelope = messages.shown(
            messages.kept(raw, messages.Answer),
            device_id=store.device_id,
            sha256=sha256,
            shown_utc=to_text(moment.utc),
            clock_state=store.time.judge(moment)[0],
            key=store.key,
        )
        tx.execute(
            "UPDATE answers SET shown_utc = ?, shown = ? WHERE n = ?", (to_text(moment.utc), envelope, n)
        )
        store.custody.append(tx, "shown", {"answer_id": answer_id, "n": n, "sha256": sha256})
    return True


def to_acknowledge(store: CaseStore) -> tuple[tuple[int, str, bytes], ...]:
    """Number, name and signed acknowledgement of each answer that was shown and the server not told of."""
    rows = store.read(
        "SELECT n, answer_id, shown FROM answers WHERE shown IS NOT NULL AND shown_sent = 0 ORDER BY n"
    )
    return tuple((n, answer_id, bytes(envelope)) for n, answer_id, envelope in rows)


def mark_told(store: CaseStore, n: int, *, refused: str = "") -> None:
    """The server confirmed that it knows an answer was shown, or will never take the acknowledgement."""
    with store.transaction() as tx:
        tx.execute("UPDATE answers SET shown_sent = ? WHERE n = ?", (2 if refused else 1, n))
        if refused:
            store.custody.append(tx, "refused", {"answer_n": n, "code": refused})
