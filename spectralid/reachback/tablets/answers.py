"""What goes back to the devices: signed answers, numbered per device without gaps, each superseding the last.

An answer that was given is never changed. The one in force for a case is the newest that nothing supersedes;
notices stand beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa

from spectralid.casework import dsse
from spectralid.casework.clock import to_text
from spectralid.casework.errors import PacketError
from spectralid.casework.manifest import loads
from spectralid.casework.messages import SHOWN_TYPE, parse_utc
from spectralid.reachback.caseload import cases
from spectralid.reachback.caseload.cases import State
from spectralid.reachback.errors import BadPacketError, NotFoundError
from spectralid.reachback.store import audit, receipts
from spectralid.reachback.store.tables import answers, chains, devices, notices, packets, rounds
from spectralid.reachback.tablets.enrolled import Keys
from spectralid.reachback.tablets.ingest import gaps_of

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database
    from spectralid.reachback.store.serverkeys import ServerKeys

__all__ = [
    "Published",
    "after",
    "announce_restore",
    "ask_again",
    "notify_linked",
    "of_case",
    "precautions_in_force",
    "publish",
    "take_shown",
]

Kind = Literal["interim", "final", "lab_result", "notice"]

_IN_FORCE: Final = ("interim", "final", "lab_result")
_MOST_PACKETS: Final = 500
_INBOX_BYTES: Final = 3 * 1024 * 1024
# A device that claims to hold so many more answers than were ever made is not believed.
_MOST_LOST: Final = 100_000
_ASK_BEYOND: Final = 200
_MOST_ASKED: Final = 2000
_NOTICE_EVERY: Final = timedelta(minutes=10)
_NOTICE_OFFERS: Final = 6


@dataclass(frozen=True, slots=True)
class Published:
    """An answer that was given.

    Attributes
    ----------
    answer_id, device_id, n, case_id, kind, utc
        Which.
    raw : bytes
        The signed envelope.
    supersedes, superseded_by : str or None
        Its place among the answers of the case.
    shown_utc : str or None
        When the officer saw it, by the tablet.
    acknowledged_utc : str or None
        When the server learned that.
    """

    answer_id: str
    device_id: str
    n: int
    case_id: str
    kind: str
    utc: str
    raw: bytes
    supersedes: str | None
    superseded_by: str | None
    shown_utc: str | None
    acknowledged_utc: str | None

    def content(self) -> dict[str, Any]:
        """What it says (`spectralid.casework.messages.Answer`)."""
        return loads(dsse.verify(self.raw, None, payload_types={_TYPE}).payload)


_TYPE: Final = "application/vnd.spectralid.answer+json"


def publish(
    tx: Connection,
    keys: ServerKeys,
    case_id: str,
    kind: Kind,
    *,
    headline: str,
    words: str,
    by: str,
    now: datetime,
    precautions: Collection[str] = (),
    basis: str = "",
    item_ref: str | None = None,
    lab: Literal["confirmed", "refuted", "inconclusive"] | None = None,
) -> Published:
    """Give an answer to the device of a case; what was in force for the case is superseded by it.

    Parameters
    ----------
    tx : Connection
        From `Database.begin`: of the change that the answer tells of.
    keys : ServerKeys
        Whom it is signed as.
    case_id : str
        The case.
    kind : {"interim", "final", "lab_result", "notice"}
        A notice supersedes nothing.
    headline, words, by, precautions, basis
        What the officer reads; `by` is a pseudonym.
    now : datetime
        When.
    item_ref : str, optional
        If it is about one item only.
    lab : str, optional
        What the laboratory found.

    Returns
    -------
    Published
    """
    case = cases.get(tx, case_id)
    about = [packets.c.case_id == case_id, packets.c.kind.in_(("scan", "evidence"))]
    if item_ref is not None:
        about.append(packets.c.item_ref == item_ref)
    newest = sa.select(packets.c.packet_id).where(*about).order_by(packets.c.packet_id.desc())
    ids = sorted(tx.execute(newest.limit(_MOST_PACKETS)).scalars())
    before = _in_force(tx, case_id, item_ref)[:1] if kind in _IN_FORCE else ()
    body = {
        "case": case_id,
        "kind": kind,
        "utc": to_text(now),
        "headline": headline,
        "words": words,
        "by": by,
        "seizure_ref": case["seizure_ref"],
        "item_ref": item_ref,
        "packet_ids": ids,
        "precautions": list(precautions),
        "basis": basis,
        "supersedes": before[0]["answer_id"] if before else None,
        "lab": lab,
    }
    return _sign(tx, keys, case["device_id"], body, now=now)


def _sign(
    tx: Connection, keys: ServerKeys, device_id: str, body: Mapping[str, Any], *, now: datetime
) -> Published:
    """Number, sign and keep an answer."""
    of_device = devices.c.device_id == device_id
    tx.execute(devices.update().where(of_device).values(answer_n=devices.c.answer_n + 1))
    n = int(tx.execute(sa.select(devices.c.answer_n).where(of_device)).scalar_one())
    # Its content is part of the name: a server that lost answers may give their numbers again only.
    digest = hashlib.sha256(json.dumps([device_id, n, body], sort_keys=True).encode()).hexdigest()
    answer_id = f"A-{digest[:20]}"
    raw = receipts.message("answer", {**body, "answer_id": answer_id, "device_id": device_id, "n": n}, keys)
    row = {
        "device_id": device_id,
        "n": n,
        "answer_id": answer_id,
        "case_id": body["case"],
        "kind": body["kind"],
        "utc": body["utc"],
        "raw": raw,
        "sha256": hashlib.sha256(raw).hexdigest(),
        "supersedes": body["supersedes"],
    }
    tx.execute(answers.insert(), row)
    if body["supersedes"] is not None:
        tx.execute(
            answers.update().where(answers.c.answer_id == body["supersedes"]).values(superseded_by=answer_id)
        )
    facts = {name: row[name] for name in ("device_id", "n", "answer_id", "kind", "sha256", "supersedes")}
    audit.append(tx, str(body["by"]), "answer", str(body["case"]), facts, now=now)
    return _published({**row, "superseded_by": None, "shown_utc": None, "acknowledged_utc": None})


def _published(row: Mapping[str, Any]) -> Published:
    return Published(**{name: row[name] for name in Published.__dataclass_fields__})


def _in_force(tx: Connection, case_id: str, item_ref: str | None) -> list[dict[str, Any]]:
    """What is in force for the case as a whole, or for one of its items, newest first."""
    rows = tx.execute(
        sa.select(answers)
        .where(answers.c.case_id == case_id, answers.c.kind.in_(_IN_FORCE), answers.c.superseded_by.is_(None))
        .order_by(answers.c.n.desc())
    ).mappings()
    found = [_published(dict(row)).content() for row in rows]
    return [one for one in found if one.get("item_ref") == item_ref]


def precautions_in_force(tx: Connection, case_id: str, item_ref: str | None) -> tuple[str, ...]:
    """What an officer has been told to take care of: by the answers to the case, and to this item of it."""
    found = [*_in_force(tx, case_id, None), *(_in_force(tx, case_id, item_ref) if item_ref else [])]
    return tuple(dict.fromkeys(line for one in found for line in one["precautions"]))


def of_case(db: Database, case_id: str) -> tuple[Published, ...]:
    """Every answer of a case, oldest first."""
    with db.read() as tx:
        rows = tx.execute(
            sa.select(answers).where(answers.c.case_id == case_id).order_by(answers.c.utc, answers.c.n)
        )
        return tuple(_published(dict(row)) for row in rows.mappings())


def notify_linked(
    tx: Connection, keys: ServerKeys, case_id: str, *, headline: str, words: str, by: str, now: datetime
) -> tuple[Published, ...]:
    """Tell the devices of every case linked to this one.

    Parameters
    ----------
    tx, keys, by, now
        As for `publish`.
    case_id : str
        What has news.
    headline, words : str
        What the officers read.

    Returns
    -------
    tuple of Published
        One for each linked case.
    """
    return tuple(
        publish(tx, keys, other, "notice", headline=headline, words=words, by=by, now=now)
        for other in cases.linked(tx, case_id)
    )


# --- the inbox ---------------------------------------------------------------------------------------------


def after(db: Database, keys: ServerKeys, device_id: str, n: int, *, now: datetime) -> tuple[bytes, ...]:
    """What waits for a device: notices of packets to hand over again, then answers in their order.

    Parameters
    ----------
    db : Database
        The server's.
    keys : ServerKeys
        Whom it signs as.
    device_id : str
        For whom.
    n : int
        The last answer that the device holds without a gap before it.
    now : datetime
        When.

    Returns
    -------
    tuple of bytes
        Envelopes, as many as fit one reply.

    Notes
    -----
    A device that holds answers with numbers which this server has not given out is proof that the server was
    restored from a backup: answers made since then under those numbers are given new ones.
    """
    with db.read() as tx:
        made = tx.execute(sa.select(devices.c.answer_n).where(devices.c.device_id == device_id)).scalar()
        if made is None:
            raise NotFoundError(f"There is no device {device_id[:40]!r}.")
        unknown = tx.execute(
            sa.select(sa.func.count()).where(
                answers.c.device_id == device_id, answers.c.n <= n, answers.c.handed_utc.is_(None)
            )
        ).scalar_one()
    if made < n <= made + _MOST_LOST or unknown:
        _renumber(db, keys, device_id, n, now=now)
    waiting = sa.select(answers.c.n, answers.c.raw, answers.c.handed_utc).where(
        answers.c.device_id == device_id, answers.c.n > n
    )
    with db.read() as tx:
        found = tx.execute(waiting.order_by(answers.c.n).limit(1000)).all()
        asked = bool(tx.execute(_due_notices(device_id, now)).first())
    out, size = [], 0
    for _, raw, _ in found:
        size += len(raw) + 2
        if size > _INBOX_BYTES:
            break
        out.append(raw)
    found = found[: len(out)]
    if asked or any(handed is None for _, _, handed in found):
        return (*_hand_out(db, device_id, [row[0] for row in found], now=now), *out)
    return tuple(out)


def _due_notices(device_id: str, now: datetime) -> sa.Select[Any]:
    early = to_text(now - _NOTICE_EVERY)
    return (
        sa.select(notices)
        .where(
            notices.c.device_id == device_id,
            notices.c.offers < _NOTICE_OFFERS,
            sa.or_(notices.c.offered_utc.is_(None), notices.c.offered_utc <= early),
        )
        .order_by(notices.c.notice)
    )


def _hand_out(db: Database, device_id: str, numbers: list[int], *, now: datetime) -> list[bytes]:
    """Note that answers went out; returns the notices that go with them."""
    utc = to_text(now)
    with db.begin() as tx:
        tx.execute(
            answers.update()
            .where(answers.c.device_id == device_id, answers.c.n.in_(numbers), answers.c.handed_utc.is_(None))
            .values(handed_utc=utc)
        )
        due = tx.execute(_due_notices(device_id, now)).mappings().all()
        for row in due:
            tx.execute(
                notices.update()
                .where(notices.c.device_id == device_id, notices.c.notice == row["notice"])
                .values(offers=row["offers"] + 1, offered_utc=utc)
            )
    return [row["raw"] for row in due]


def _renumber(db: Database, keys: ServerKeys, device_id: str, n: int, *, now: datetime) -> None:
    """Give answers that the device cannot have numbers above those it holds."""
    this = answers.c.device_id == device_id
    with db.begin() as tx:
        made = tx.execute(sa.select(devices.c.answer_n).where(devices.c.device_id == device_id)).scalar_one()
        rows = tx.execute(
            sa.select(answers).where(this, answers.c.handed_utc.is_(None)).order_by(answers.c.n)
        ).mappings().all()  # fmt: skip
        if n <= made and not any(row["n"] <= n for row in rows):
            return
        tx.execute(devices.update().where(devices.c.device_id == device_id).values(answer_n=max(made, n)))
        facts = {"held": n, "known": made, "renumbered": [row["n"] for row in rows]}
        audit.append(tx, f"device:{device_id}", "answers-lost", f"device:{device_id}", facts, now=now)
        names: dict[str, str] = {}
        for row in rows:
            body = _published(dict(row)).content()
            body["supersedes"] = names.get(body["supersedes"], body["supersedes"])
            for name in ("schema", "answer_id", "device_id", "n"):
                del body[name]
            tx.execute(answers.delete().where(this, answers.c.n == row["n"]))
            names[row["answer_id"]] = _sign(tx, keys, device_id, body, now=now).answer_id


def take_shown(db: Database, device_id: str, answer_id: str, raw: bytes, *, now: datetime) -> None:
    """An officer saw an answer; the same acknowledgement again changes nothing.

    Parameters
    ----------
    db : Database
        The server's.
    device_id : str
        Who says so.
    answer_id : str
        Of which answer.
    raw : bytes
        The signed acknowledgement.
    now : datetime
        When it came.

    Raises
    ------
    BadPacketError
        If it is not signed by this device, or of another answer.
    """
    said = _shown(db, device_id, answer_id, raw)
    with db.begin() as tx:
        row = tx.execute(
            sa.select(answers).where(answers.c.answer_id == answer_id, answers.c.device_id == device_id)
        ).mappings().first()  # fmt: skip
        actor, facts = f"device:{device_id}", {"answer_id": answer_id, "shown_utc": said["shown_utc"]}
        if row is None:
            # Given before a backup was restored: the device's word is all that is left of it.
            facts["envelope"] = hashlib.sha256(raw).hexdigest()
            audit.append(tx, actor, "shown-unknown", f"device:{device_id}", facts, now=now)
            return
        if said["n"] != row["n"] or said["answer_sha256"] not in _hashes(row["raw"]):
            raise BadPacketError(f"What the device says it showed is not the answer {answer_id}.")
        if row["shown"] is not None:
            return
        tx.execute(
            answers.update()
            .where(answers.c.answer_id == answer_id)
            .values(shown_utc=said["shown_utc"], shown=raw, acknowledged_utc=to_text(now))
        )
        audit.append(tx, actor, "shown", row["case_id"], facts, now=now)
        if row["kind"] == "final" and row["superseded_by"] is None:
            _delivered(tx, row["case_id"], actor, now)


def _delivered(tx: Connection, case_id: str, actor: str, now: datetime) -> None:
    case = cases.get(tx, case_id)
    if case["state"] == State.ANSWERED:
        cases.move(tx, case_id, "deliver", actor=actor, now=now)
    tx.execute(
        rounds.update()
        .where(
            rounds.c.case_id == case_id,
            rounds.c.round == case["round"],
            rounds.c.answered_utc.is_not(None),
            rounds.c.delivered_utc.is_(None),
        )
        .values(delivered_utc=to_text(now))
    )


def _shown(db: Database, device_id: str, answer_id: str, raw: bytes) -> dict[str, Any]:
    try:
        opened = dsse.verify(raw, Keys(db, device_id), payload_types={SHOWN_TYPE})
        said = loads(opened.payload)
        if said.get("schema") != "spectralid.shown/1" or said.get("device_id") != device_id:
            raise PacketError("it is not of this device")
        if said.get("answer_id") != answer_id or not isinstance(said.get("shown_utc"), str):
            raise PacketError("it is not of this answer")
        said["shown_utc"] = to_text(parse_utc(said["shown_utc"]))
    except PacketError as error:
        raise BadPacketError(f"The acknowledgement is not taken: {error}") from None
    return said


def _hashes(raw: bytes) -> set[str]:
    """Of the envelope as it was signed, and as a tablet keeps it that had it from an inbox."""
    again = json.dumps(json.loads(raw)).encode()
    return {hashlib.sha256(one).hexdigest() for one in (raw, again)}


# --- after a restore ---------------------------------------------------------------------------------------


def announce_restore(db: Database, keys: ServerKeys, *, by: str, now: datetime) -> int:
    """After the server was restored from a backup: ask every device for what may be lost.

    That is every number known to be missing, and those after the last one that is here. Devices answer for
    what they have a receipt for, and send the rest anyway.

    Parameters
    ----------
    db : Database
        The server's.
    keys : ServerKeys
        Whom the notices are signed as.
    by : str
        Who restored it.
    now : datetime
        When.

    Returns
    -------
    int
        Devices that are asked.
    """
    asked = 0
    with db.read() as tx:
        names = tx.execute(sa.select(devices.c.device_id).where(devices.c.state == "active")).scalars().all()
    for device_id in names:
        wanted: list[tuple[int, str | None]] = [
            (seq, None) for gap in gaps_of(db, device_id)
            for seq in range(gap.first_seq, min(gap.last_seq, gap.first_seq + _ASK_BEYOND) + 1)
        ]  # fmt: skip
        with db.begin() as tx:
            highs = tx.execute(sa.select(chains.c.high_seq).where(chains.c.device_id == device_id)).scalars()
            for high in highs.all() or [0]:
                wanted += [(high + one, None) for one in range(1, _ASK_BEYOND + 1)]
            ask_again(tx, keys, device_id, wanted, now=now)
            audit.append(tx, by, "restored", f"device:{device_id}", {"asked": len(wanted)}, now=now)
        asked += 1
    return asked


def ask_again(
    tx: Connection,
    keys: ServerKeys,
    device_id: str,
    wanted: Sequence[tuple[int, str | None]],
    *,
    now: datetime,
) -> None:
    """Ask a device to hand packets over once more; it hears it with its inbox.

    Parameters
    ----------
    tx : Connection
        From `Database.begin`.
    keys : ServerKeys
        Whom the notices are signed as.
    device_id : str
        Which device.
    wanted : sequence of (int, str or None)
        Numbers, and SHA-256 where it is known.
    now : datetime
        When.
    """
    of_device = notices.c.device_id == device_id
    newest = sa.select(sa.func.coalesce(sa.func.max(notices.c.notice), 0)).where(of_device)
    number = tx.execute(newest).scalar_one()
    for start in range(0, len(wanted), _MOST_ASKED):
        number += 1
        raw = receipts.missing(
            keys, device_id=device_id, now=now, packets=wanted[start : start + _MOST_ASKED]
        )
        row = {"device_id": device_id, "notice": number, "raw": raw, "made_utc": to_text(now)}
        tx.execute(notices.insert(), {**row, "offers": 0})
