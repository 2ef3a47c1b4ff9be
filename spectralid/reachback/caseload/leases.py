"""Who works on a case: for 15 minutes at a time, under a number that only ever grows.

Every write under a lease carries its number (*fencing token*). A browser that slept through the end of its
lease cannot write over what somebody else decided meanwhile: its write is refused, and what it wrote is kept
as a draft.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.casework.manifest import dumps, loads
from spectralid.reachback.caseload import cases
from spectralid.reachback.caseload.cases import State
from spectralid.reachback.errors import (
    CaseChangedError,
    LeaseTakenError,
    NotFoundError,
    SeparationError,
    StaleLeaseError,
    TransitionError,
)
from spectralid.reachback.store import audit
from spectralid.reachback.store.tables import cases as case_table
from spectralid.reachback.store.tables import drafts, leases

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database

__all__ = [
    "LEASE",
    "Draft",
    "Lease",
    "check",
    "drafts_of",
    "expire",
    "keeping_draft",
    "release",
    "renew",
    "save_draft",
    "take",
]

LEASE: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Lease:
    """A case that a chemist has.

    Attributes
    ----------
    case_id : str
        Which.
    token : int
        To be sent with every write.
    chemist : str
        Whose.
    until_utc : str
        When it ends, unless it is renewed.
    purpose : {"adjudicate", "review"}
        What for.
    """

    case_id: str
    token: int
    chemist: str
    until_utc: str
    purpose: Literal["adjudicate", "review"]


@dataclass(frozen=True, slots=True)
class Draft:
    """What was written and not taken.

    Attributes
    ----------
    draft : int
        Its number.
    case_id, token, chemist, saved_utc
        Of which case, under which lease, by whom, when.
    content : mapping
        As it was sent.
    """

    draft: int
    case_id: str
    token: int
    chemist: str
    saved_utc: str
    content: Mapping[str, Any]


def take(db: Database, case_id: str, chemist: str, *, now: datetime, senior: bool = False) -> Lease:
    """Take a case; whoever has it already keeps it for longer.

    Parameters
    ----------
    db : Database
        The server's.
    case_id, chemist : str
        What, and who.
    now : datetime
        When.
    senior : bool
        Whether the chemist may review what another decided.

    Raises
    ------
    LeaseTakenError
        If somebody else has it.
    SeparationError
        If it waits for a second person, and this is the first, or none who may review.
    TransitionError
        If there is nothing to decide.
    """
    with db.begin() as tx:
        expire(tx, now=now)
        return grant(tx, case_id, chemist, now=now, senior=senior)


def grant(tx: Connection, case_id: str, chemist: str, *, now: datetime, senior: bool) -> Lease:
    """As `take`, within a transaction, where no lease has run out."""
    case = cases.get(tx, case_id)
    if case["holder"] == chemist:
        return _prolong(tx, case, now=now)
    if case["holder"] is not None:
        raise LeaseTakenError(f"{case['holder']} works on the case {case_id} until {case['until_utc']}.")
    review = case["state"] == State.SECOND_REVIEW
    if review and not senior:
        raise SeparationError(f"The case {case_id} waits for a second review, by a senior chemist.")
    if review and case["adjudicator"] == chemist:
        raise SeparationError(f"{chemist} decided the case {case_id}; another person has to review it.")
    token, until = case["token"] + 1, to_text(now + LEASE)
    purpose: Literal["adjudicate", "review"] = "review" if review else "adjudicate"
    facts = {"token": token, "chemist": chemist, "until": until, "purpose": purpose}
    if review:
        audit.append(tx, chemist, "case", case_id, {"event": "lease", **facts}, now=now)
    else:
        cases.move(tx, case_id, "lease", actor=chemist, now=now, facts=facts)
    tx.execute(
        case_table.update()
        .where(case_table.c.case_id == case_id)
        .values(token=token, holder=chemist, until_utc=until)
    )
    lease = {"case_id": case_id, "token": token, "chemist": chemist, "until_utc": until, "purpose": purpose}
    tx.execute(leases.insert(), {**lease, "granted_utc": to_text(now)})
    return Lease(case_id, token, chemist, until, purpose)


def renew(db: Database, case_id: str, token: int, chemist: str, *, now: datetime) -> Lease:
    """Keep a case for another 15 minutes from now.

    Raises
    ------
    StaleLeaseError
        If the lease has ended.
    """
    with db.begin() as tx:
        return _prolong(tx, check(tx, case_id, token, chemist, now=now), now=now)


def release(db: Database, case_id: str, token: int, chemist: str, *, now: datetime) -> None:
    """Give a case back undecided.

    Raises
    ------
    StaleLeaseError
        If the lease has ended; the case is not the chemist's to give back.
    """
    with db.begin() as tx:
        _give_up(tx, check(tx, case_id, token, chemist, now=now), "release", actor=chemist, now=now)


def expire(tx: Connection, *, now: datetime) -> tuple[str, ...]:
    """End the leases that have run out; the cases go back into the queue.

    Returns
    -------
    tuple of str
        Those cases.
    """
    over = tx.execute(
        sa.select(case_table)
        .where(case_table.c.until_utc <= to_text(now))
        .order_by(case_table.c.case_id)
    ).mappings().all()  # fmt: skip
    for case in map(dict, over):
        _give_up(tx, case, "expire", actor="server", now=now)
    return tuple(case["case_id"] for case in over)


def check(tx: Connection, case_id: str, token: int, chemist: str, *, now: datetime) -> dict[str, Any]:
    """The case, after the lease has been seen to be in force.

    Raises
    ------
    StaleLeaseError
        If it is not.
    """
    case = cases.get(tx, case_id)
    if (case["token"], case["holder"]) != (token, chemist) or case["until_utc"] <= to_text(now):
        owner = f"{case['holder']} has it now" if case["holder"] not in (None, chemist) else "take it again"
        raise StaleLeaseError(
            f"The lease {token} of {chemist} on the case {case_id} has ended; {owner}. What was written is "
            "kept as a draft."
        )
    return case


def _prolong(tx: Connection, case: Mapping[str, Any], *, now: datetime) -> Lease:
    until = to_text(now + LEASE)
    of_case = (leases.c.case_id == case["case_id"], leases.c.token == case["token"])
    tx.execute(case_table.update().where(case_table.c.case_id == case["case_id"]).values(until_utc=until))
    tx.execute(leases.update().where(*of_case).values(until_utc=until))
    purpose = tx.execute(sa.select(leases.c.purpose).where(*of_case)).scalar_one()
    return Lease(case["case_id"], case["token"], case["holder"], until, purpose)


def _give_up(tx: Connection, case: Mapping[str, Any], why: str, *, actor: str, now: datetime) -> None:
    case_id, facts = case["case_id"], {"token": case["token"], "chemist": case["holder"]}
    if case["state"] != State.SECOND_REVIEW:
        cases.move(tx, case_id, why, actor=actor, now=now, facts=facts)
        return
    cases.end_lease(tx, case, why=why, now=now)
    tx.execute(case_table.update().where(case_table.c.case_id == case_id).values(holder=None, until_utc=None))
    audit.append(tx, actor, "case", case_id, {"event": why, **facts}, now=now)


# --- drafts ------------------------------------------------------------------------------------------------


def save_draft(
    db: Database, case_id: str, token: int, chemist: str, content: Mapping[str, Any], *, now: datetime
) -> int:
    """Keep what a chemist has written, whether or not the case is still his.

    Returns
    -------
    int
        Its number.
    """
    text = dumps(content).decode()
    with db.begin() as tx:
        cases.get(tx, case_id)
        mine = (drafts.c.case_id == case_id, drafts.c.chemist == chemist, drafts.c.token == token)
        same = tx.execute(sa.select(drafts.c.draft).where(*mine, drafts.c.content == text)).scalar()
        if same is not None:
            return int(same)
        number = int(tx.execute(sa.select(sa.func.coalesce(sa.func.max(drafts.c.draft), 0))).scalar_one()) + 1
        row = {"draft": number, "case_id": case_id, "token": token, "chemist": chemist, "content": text}
        tx.execute(drafts.insert(), {**row, "saved_utc": to_text(now)})
        facts = {"draft": number, "token": token}
        audit.append(tx, chemist, "draft", case_id, facts, now=now)
    return number


def drafts_of(db: Database, case_id: str, chemist: str) -> tuple[Draft, ...]:
    """What a chemist has written on a case and not had taken, oldest first."""
    chosen = sa.select(drafts).where(drafts.c.case_id == case_id, drafts.c.chemist == chemist)
    with db.read() as tx:
        rows = tx.execute(chosen.order_by(drafts.c.draft)).mappings().all()
    return tuple(Draft(**{**row, "content": loads(row["content"].encode())}) for row in rows)


@contextmanager
def keeping_draft(
    db: Database, case_id: str, token: int, chemist: str, content: Mapping[str, Any], *, now: datetime
) -> Iterator[None]:
    """Keep what was written when the case has meanwhile changed hands, or changed."""
    try:
        yield
    except (StaleLeaseError, CaseChangedError, TransitionError) as error:
        try:
            draft = save_draft(db, case_id, token, chemist, content, now=now)
        except NotFoundError:
            raise error from None
        if not isinstance(error, TransitionError):
            error.draft = draft
        raise
