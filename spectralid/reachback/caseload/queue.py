"""What waits for a chemist, and in which order.

The earliest deadline goes first; deadlines within five minutes of each other count as one, and among those
the fentanyl family and what nothing matched go first. Cases whose hour an interim answer has stopped come
after those whose hour runs. What nobody works on is never kept from a chemist who may take it: a
lease that has run out counts as none, whether or not anything has noticed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.reachback.caseload import leases
from spectralid.reachback.caseload.cases import State
from spectralid.reachback.store.tables import cases

if TYPE_CHECKING:
    from spectralid.reachback.store.database import Database

__all__ = ["Entry", "listed", "next"]

_WAITING: Final = (State.QUEUED, State.REOPENED, State.SECOND_REVIEW)
_HELD: Final = (State.LEASED, State.INTERIM)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the queue.

    Attributes
    ----------
    case_id, device_id, seizure_ref, site_ref, state
        Which case.
    due_utc : str
        When its first answer of this round is due.
    stopped : bool
        Whether an interim answer has stopped the hour.
    priority : int
        0 fentanyl family or no match, 1 a hazard or an officer's request, 2 anything else.
    high_hazard : bool
        Whether two persons must look.
    scans, evidence : int
        How many scans, and how much that a decision rests on.
    holder, until_utc : str or None
        Who has it and until when.
    """

    case_id: str
    device_id: str
    seizure_ref: str
    site_ref: str
    state: str
    due_utc: str
    stopped: bool
    priority: int
    high_hazard: bool
    scans: int
    evidence: int
    holder: str | None
    until_utc: str | None


_ORDER: Final = (cases.c.stopped, cases.c.due_slot, cases.c.priority, cases.c.due_utc, cases.c.case_id)


def _at(sites: Collection[str] | None) -> list[sa.ColumnElement[bool]]:
    return [] if sites is None else [cases.c.site_ref.in_(sorted(sites))]


def listed(
    db: Database, *, now: datetime, sites: Collection[str] | None = None, limit: int = 200
) -> tuple[Entry, ...]:
    """The queue, and what is being worked on, in the order of the queue.

    Parameters
    ----------
    db : Database
        The server's.
    now : datetime
        When; a lease that has run out by then is not shown.
    sites : collection of str, optional
        Only cases of these.
    limit : int
        At most so many.
    """
    shown = cases.c.state.in_((*_WAITING, *_HELD))
    chosen = sa.select(*(cases.c[name] for name in Entry.__dataclass_fields__))
    with db.read() as tx:
        rows = tx.execute(chosen.where(shown, *_at(sites)).order_by(*_ORDER).limit(limit)).mappings().all()
    return tuple(_entry(dict(row), now) for row in rows)


def _entry(row: dict[str, Any], now: datetime) -> Entry:
    if row["until_utc"] is not None and row["until_utc"] <= to_text(now):
        row |= {"holder": None, "until_utc": None}
    return Entry(**row)


def next(
    db: Database,
    chemist: str,
    *,
    now: datetime,
    senior: bool = False,
    sites: Collection[str] | None = None,
) -> leases.Lease | None:
    """Take the case that comes first for this chemist.

    Parameters
    ----------
    db : Database
        The server's.
    chemist : str
        Who.
    now : datetime
        When.
    senior : bool
        Whether second reviews (of what others decided) are for this chemist too.
    sites : collection of str, optional
        Only cases of these.

    Returns
    -------
    Lease or None
        ``None`` only if there is no case that nobody works on and this chemist may take.
    """
    may = cases.c.state != State.SECOND_REVIEW
    if senior:
        may = sa.or_(may, cases.c.adjudicator.is_distinct_from(chemist))
    with db.begin() as tx:
        leases.expire(tx, now=now)
        open_to_all = (cases.c.state.in_(_WAITING), cases.c.holder.is_(None))
        chosen = sa.select(cases.c.case_id).where(*open_to_all, may, *_at(sites)).order_by(*_ORDER)
        case_id = tx.execute(chosen.limit(1)).scalar()
        if case_id is None:
            return None
        return leases.grant(tx, case_id, chemist, now=now, senior=senior)
