"""Cases: one per seizure of a device, the states they go through, and the hour they have.

The steps are a table (`STEPS`); whatever is not in it is refused. The hour runs by the server's clock from
the scan that put the case into the queue; an interim or a final answer stops it, once in each *round*. A
round begins whenever a case comes to wait for an answer: first, when scans came in after its answer, and when
it is reopened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from spectralid.casework.clock import from_text, to_text
from spectralid.reachback.errors import NotFoundError, TransitionError
from spectralid.reachback.store import audit
from spectralid.reachback.store.tables import case_links, cases, leases, rounds

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

__all__ = [
    "HOUR",
    "STEPS",
    "State",
    "case_id_of",
    "due",
    "get",
    "link",
    "linked",
    "move",
    "new_round",
    "step",
    "stop_clock",
]

HOUR: Final = timedelta(minutes=60)
"""Within which a case has its first answer."""
SLOT: Final = timedelta(minutes=5)
"""Deadlines this close count as the same one; among them the dangerous go first."""


# Asked for in every step: built once.
_GET: Final = sa.select(cases).where(cases.c.case_id == sa.bindparam("case_id"))


class State(StrEnum):
    """Where a case stands."""

    RECEIVED = "RECEIVED"
    GROUPED = "GROUPED"
    QUEUED = "QUEUED"
    LEASED = "LEASED"
    INTERIM = "INTERIM"
    ADJUDICATED = "ADJUDICATED"
    SECOND_REVIEW = "SECOND_REVIEW"
    ANSWERED = "ANSWERED"
    DELIVERED = "DELIVERED"
    FORWARD_LAB = "FORWARD_LAB"
    REGIONAL_LAB = "REGIONAL_LAB"
    LAB_CONFIRMED = "LAB_CONFIRMED"
    LAB_REFUTED = "LAB_REFUTED"
    LAB_INCONCLUSIVE = "LAB_INCONCLUSIVE"
    REOPENED = "REOPENED"


_S = State
_RESULTS: Final = (_S.LAB_CONFIRMED, _S.LAB_REFUTED, _S.LAB_INCONCLUSIVE)
_LABORATORY: Final = (_S.FORWARD_LAB, _S.REGIONAL_LAB, *_RESULTS)

STEPS: Final[Mapping[tuple[State, str], State]] = {
    (_S.RECEIVED, "group"): _S.GROUPED,
    (_S.GROUPED, "queue"): _S.QUEUED,
    (_S.QUEUED, "lease"): _S.LEASED,
    (_S.REOPENED, "lease"): _S.LEASED,
    **{(held, end): _S.QUEUED for held in (_S.LEASED, _S.INTERIM) for end in ("expire", "release")},
    (_S.LEASED, "interim"): _S.INTERIM,
    (_S.LEASED, "adjudicate"): _S.ADJUDICATED,
    (_S.INTERIM, "adjudicate"): _S.ADJUDICATED,
    (_S.ADJUDICATED, "review"): _S.SECOND_REVIEW,
    (_S.ADJUDICATED, "answer"): _S.ANSWERED,
    (_S.SECOND_REVIEW, "answer"): _S.ANSWERED,
    (_S.SECOND_REVIEW, "return"): _S.QUEUED,
    (_S.ANSWERED, "deliver"): _S.DELIVERED,
    # Scans or strips that whoever decided had not seen.
    **{(over, "changed"): _S.QUEUED for over in (_S.SECOND_REVIEW, _S.ANSWERED, _S.DELIVERED)},
    **{(at, "changed"): _S.REOPENED for at in _LABORATORY},
    # After a result: another sample of the seizure, or a corrected report.
    **{
        (before, "forward_lab"): _S.FORWARD_LAB
        for before in (_S.ANSWERED, _S.DELIVERED, _S.LAB_INCONCLUSIVE, _S.LAB_CONFIRMED)
    },
    # The regional laboratory has the last word, also on what the forward one confirmed.
    **{
        (before, "regional_lab"): _S.REGIONAL_LAB
        for before in (_S.FORWARD_LAB, _S.LAB_INCONCLUSIVE, _S.LAB_CONFIRMED)
    },
    **{(at, to.value.lower()): to for at in (_S.FORWARD_LAB, _S.REGIONAL_LAB) for to in _RESULTS},
    # The laboratory refuted it, or the library has learnt something that changes the answer.
    **{(over, "reopen"): _S.REOPENED for over in (_S.ANSWERED, _S.DELIVERED, *_LABORATORY)},
}


def step(state: str, event: str) -> State:
    """Where an event leads from a state.

    Raises
    ------
    TransitionError
        If it leads nowhere from there.
    """
    found = STEPS.get((State(state), event))
    if found is None:
        raise TransitionError(f"A case that is {state} cannot go through {event!r}.")
    return found


def case_id_of(device_id: str, seizure_ref: str) -> str:
    """The name of the case of a seizure: the same on a server that was restored from a backup."""
    return "C-" + hashlib.sha256(f"{device_id}\0{seizure_ref}".encode()).hexdigest()[:16]


def get(tx: Connection, case_id: str) -> dict[str, Any]:
    """The row of a case.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    row = tx.execute(_GET, {"case_id": case_id}).mappings().first()
    if row is None:
        raise NotFoundError(f"There is no case {case_id[:40]!r}.")
    return dict(row)


def due(case: Mapping[str, Any]) -> datetime | None:
    """When the first answer of this round is due; ``None`` for a case that waits for none."""
    return from_text(case["due_utc"]) if case["due_utc"] else None


def move(
    tx: Connection,
    case_id: str,
    event: str,
    *,
    actor: str,
    now: datetime,
    facts: Mapping[str, Any] | None = None,
) -> State:
    """Take a case one step on, on record; a lease on it ends unless the step is part of the work under it.

    Parameters
    ----------
    tx : Connection
        From `Database.begin`.
    case_id : str
        Which.
    event : str
        One of those in `STEPS`.
    actor : str
        Who.
    now : datetime
        When.
    facts : mapping, optional
        More for the audit log.

    Raises
    ------
    NotFoundError
        If there is no such case.
    TransitionError
        If there is no such step from the state it is in.
    """
    case = get(tx, case_id)
    to = step(case["state"], event)
    values: dict[str, Any] = {"state": to.value, "changed_utc": to_text(now)}
    if event not in ("lease", "interim"):
        end_lease(tx, case, why=event, now=now)
        values |= {"holder": None, "until_utc": None}
    tx.execute(cases.update().where(cases.c.case_id == case_id).values(**values))
    if event in ("reopen", "changed") and case["state"] != State.SECOND_REVIEW:
        new_round(tx, case_id, why=event, now=now)
    audit.append(
        tx,
        actor,
        "case",
        case_id,
        {"event": event, "from": case["state"], "to": to, **(facts or {})},
        now=now,
    )
    return to


def end_lease(tx: Connection, case: Mapping[str, Any], *, why: str, now: datetime) -> None:
    """Note the end of the lease on a case, if there is one."""
    if case["holder"] is not None:
        tx.execute(
            leases.update()
            .where(leases.c.case_id == case["case_id"], leases.c.token == case["token"])
            .values(ended_utc=to_text(now), ended_why=why)
        )


def clock(now: datetime) -> dict[str, Any]:
    """The columns of a case whose hour begins now."""
    deadline = now + HOUR
    return {
        "due_utc": to_text(deadline),
        "due_slot": int(deadline.timestamp() // SLOT.total_seconds()),
        "stopped": False,
    }


def new_round(tx: Connection, case_id: str, *, why: str, now: datetime) -> None:
    """The case waits for an answer, from now on."""
    number = get(tx, case_id)["round"] + 1
    hour = clock(now)
    tx.execute(cases.update().where(cases.c.case_id == case_id).values(round=number, **hour))
    tx.execute(
        rounds.insert(),
        {
            "case_id": case_id,
            "round": number,
            "why": why,
            "opened_utc": to_text(now),
            "due_utc": hour["due_utc"],
        },
    )


def stop_clock(tx: Connection, case: Mapping[str, Any], *, kind: str, now: datetime) -> bool:
    """An answer was given: the hour ends, if it has not in this round.

    Returns
    -------
    bool
        Whether this was the first answer.
    """
    utc = to_text(now)
    this = (rounds.c.case_id == case["case_id"], rounds.c.round == case["round"])
    first = bool(
        tx.execute(
            rounds.update().where(*this, rounds.c.first_utc.is_(None)).values(first_utc=utc, first_kind=kind)
        ).rowcount
    )
    if first:
        tx.execute(cases.update().where(cases.c.case_id == case["case_id"]).values(stopped=True))
    if kind == "final":
        tx.execute(rounds.update().where(*this).values(answered_utc=utc))
    return first


# --- links -------------------------------------------------------------------------------------------------


def link(tx: Connection, one: str, other: str, *, why: str, fact: str, by: str, now: datetime) -> bool:
    """Say that two cases belong together; each stays a case of its own.

    Parameters
    ----------
    tx : Connection
        From `Database.begin`.
    one, other : str
        The cases.
    why : str
        ``same-spectrum``, or what else links them.
    fact : str
        By which that can be checked, such as a SHA-256.
    by : str
        Who says so.
    now : datetime
        When.

    Returns
    -------
    bool
        Whether that is new.
    """
    if one == other:
        return False
    first, second = sorted((one, other))
    same = (case_links.c.case_id == first, case_links.c.other_id == second, case_links.c.why == why)
    if tx.execute(sa.select(case_links.c.why).where(*same)).first():
        return False
    row = {
        "case_id": first,
        "other_id": second,
        "why": why,
        "fact": fact,
        "linked_utc": to_text(now),
        "by": by,
    }
    tx.execute(case_links.insert(), row)
    audit.append(tx, by, "link", first, {"other": second, "why": why, "fact": fact}, now=now)
    return True


def linked(tx: Connection, case_id: str) -> tuple[str, ...]:
    """The cases that a case is linked to, directly."""
    found = tx.execute(
        sa.select(case_links.c.other_id.label("other"))
        .where(case_links.c.case_id == case_id)
        .union(sa.select(case_links.c.case_id).where(case_links.c.other_id == case_id))
        .order_by("other")
    )
    return tuple(found.scalars())
