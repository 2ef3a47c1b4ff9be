"""What a changed answer does to its case.

An answered case is reopened, its tablet is told, and it waits for a chemist like any other, only not for an
hour: what was answered long ago must not push aside what an officer is waiting for now. Its deadline is a day
(`DAY`), later by an hour for every `PER_HOUR` such cases that wait already, so that thousands of old cases do
not fall due at once; where something deadly is new it is two hours (`SOON`), counted among its like. The
earliest deadline still goes first, so these cases fill the time in which nothing more urgent waits and are
not left lying for ever.

A case that is still being worked on gets a note. What a chemist has already said changes nothing: the entry
may have come from that very case. What a laboratory has confirmed is not doubted by a likeness, unless
something deadly is new.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.reachback.caseload import cases
from spectralid.reachback.caseload.cases import SLOT, STEPS, State
from spectralid.reachback.research.job import Candidate
from spectralid.reachback.research.judge import Judged
from spectralid.reachback.research.tables import research_reopened
from spectralid.reachback.store import audit
from spectralid.reachback.store.tables import adjudications, rounds
from spectralid.reachback.store.tables import cases as case_table
from spectralid.reachback.tablets import answers
from spectralid.reachback.tablets.projections import FIRST

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.serverkeys import ServerKeys

__all__ = ["DAY", "PER_HOUR", "SOON", "Looked", "effect_of"]

DAY: Final = timedelta(hours=24)
SOON: Final = timedelta(hours=2)
PER_HOUR: Final = 4
"""Old cases that chemists are expected to look at in an hour, beside what comes in."""

_BY: Final = "research"
_DANGER: Final = "danger"


@dataclass(frozen=True, slots=True)
class Looked:
    """A scan that went through the second pass.

    Attributes
    ----------
    candidate : Candidate
        Which, and why.
    case_id : str
        Its case.
    judged : Judged
        What came of it.
    """

    candidate: Candidate
    case_id: str
    judged: Judged


def effect_of(
    tx: Connection,
    keys: ServerKeys,
    run: Mapping[str, Any],
    case_id: str,
    changed: Sequence[Looked],
    *,
    now: datetime,
) -> tuple[str, frozenset[int]]:
    """Do to a case what changed answers of its scans ask for.

    Parameters
    ----------
    tx : Connection
        Of the completion of the part.
    keys : ServerKeys
        Whom notices are signed as.
    run : mapping
        Row of the run.
    case_id : str
        The case.
    changed : sequence of Looked
        Its scans whose answers have changed.
    now : datetime
        When.

    Returns
    -------
    str
        ``reopened``, ``noted`` or ``none``.
    frozenset of int
        Positions in `changed` of those that a chemist has said already.
    """
    decided = _decided(tx, case_id)
    agrees = frozenset(
        i for i, one in enumerate(changed) if decided is not None and _says(decided, one.judged)
    )
    news = [one for i, one in enumerate(changed) if i not in agrees]
    if not news:
        return "none", agrees
    case = cases.get(tx, case_id)
    deadly = any(one.judged.deadly for one in news)
    facts = {
        "run": run["run_id"],
        "library": f"{run['library_name']} {run['library_version']}",
        "scans": [[one.candidate.ref.device_id, one.candidate.ref.seq] for one in news][:50],
        "why": sorted({why for one in news for why in one.judged.why})[:50],
    }
    over = (State(case["state"]), "reopen") in STEPS
    if over and (deadly or case["state"] != State.LAB_CONFIRMED):
        cases.move(tx, case_id, "reopen", actor=_BY, now=now, facts=facts)
        _later(tx, run, case_id, deadly=deadly, now=now)
        _tell(tx, keys, run, case_id, news, deadly=deadly, now=now)
        return "reopened", agrees
    audit.append(tx, _BY, "research-note", case_id, facts, now=now)
    if deadly and not over:
        tx.execute(
            case_table.update()
            .where(case_table.c.case_id == case_id)
            .values(priority=FIRST, high_hazard=True, changed_utc=to_text(now))
        )
        _tell(tx, keys, run, case_id, news, deadly=True, now=now)
    return "noted", agrees


def _decided(tx: Connection, case_id: str) -> Mapping[str, Any] | None:
    """The newest decision of a chemist on a case."""
    found = tx.execute(
        sa.select(adjudications.c.content)
        .where(adjudications.c.case_id == case_id, adjudications.c.kind == "decision")
        .order_by(adjudications.c.audit_n.desc())
        .limit(1)
    ).scalar()
    if found is None:
        return None
    said: Mapping[str, Any] = json.loads(found)["said"]
    return said


def _says(decided: Mapping[str, Any], judged: Judged) -> bool:
    """Whether a chemist has said what the engine says now, and not less of its danger."""
    after = judged.after
    if after is None or not after.named or not set(after.named) <= set(decided["substances"]):
        return False
    return not judged.deadly or bool(decided["high_hazard"]) or set(after.named) == set(decided["substances"])


def _later(tx: Connection, run: Mapping[str, Any], case_id: str, *, deadly: bool, now: datetime) -> None:
    """Give the round that has just begun the deadline of its class."""
    case = cases.get(tx, case_id)
    waiting = tx.execute(
        sa.select(sa.func.count())
        .select_from(research_reopened)
        .join(
            rounds,
            sa.and_(
                rounds.c.case_id == research_reopened.c.case_id, rounds.c.round == research_reopened.c.round
            ),
        )
        .where(rounds.c.first_utc.is_(None), research_reopened.c.deadly == deadly)
    ).scalar_one()
    due = now + (SOON if deadly else DAY) + timedelta(hours=waiting // PER_HOUR)
    utc = to_text(due)
    hazard = {"high_hazard": True, "priority": FIRST} if deadly else {}
    tx.execute(
        case_table.update()
        .where(case_table.c.case_id == case_id)
        .values(due_utc=utc, due_slot=int(due.timestamp() // SLOT.total_seconds()), **hazard)
    )
    tx.execute(
        rounds.update()
        .where(rounds.c.case_id == case_id, rounds.c.round == case["round"])
        .values(due_utc=utc, why="research")
    )
    row = {
        "run_id": run["run_id"],
        "case_id": case_id,
        "round": case["round"],
        "deadly": deadly,
        "due_utc": utc,
    }
    tx.execute(research_reopened.insert(), row)


def _tell(
    tx: Connection,
    keys: ServerKeys,
    run: Mapping[str, Any],
    case_id: str,
    news: Sequence[Looked],
    *,
    deadly: bool,
    now: datetime,
) -> None:
    """A notice to the tablet of the case: what was answered is looked at again, and how to treat it."""
    found = [one.judged.after for one in news if one.judged.after is not None]
    names = sorted({one.headline for one in found if one.headline})
    lost = sorted(
        {why.partition(":")[2] for one in news for why in one.judged.why if why.startswith("unnamed:")}
    )
    words = [
        f"Earlier scans were compared with the reference library {run['library_name']} "
        f"{run['library_version']}: {_scans(len(news))} of this seizure would be answered differently."
    ]
    if names:
        words.append(f"Presumptive result by that library: {'; '.join(names)}.")
    if lost:
        words.append(f"No longer borne out: {', '.join(lost)}.")
    words.append("A chemist looks at it again. Until then, treat it by the more careful of both answers.")
    headline = "Treat as hazardous: looked at again" if deadly else "Looked at again with a newer library"
    answers.publish(
        tx, keys, case_id, "notice", headline=headline, words=" ".join(words)[:4000], by=_BY, now=now,
        precautions=_precautions(found),
    )  # fmt: skip


def _scans(count: int) -> str:
    return "one scan" if count == 1 else f"{count} scans"


def _precautions(found: Collection[Any]) -> tuple[str, ...]:
    """Of every answer once, those of the dangerous ones first."""
    ordered = sorted(found, key=lambda one: one.alarm != _DANGER)
    return tuple(dict.fromkeys(one[:500] for answer in ordered for one in answer.precautions))[:30]
