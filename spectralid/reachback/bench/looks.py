"""First looks: what a chemist thinks of a spectrum before anybody's name for it is shown.

One for each chemist and each time the case waits for an answer, written down or declined, on record either
way and never changed: what is told afterwards can be compared with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.reachback.caseload import cases
from spectralid.reachback.errors import DecisionError, TransitionError
from spectralid.reachback.store import audit
from spectralid.reachback.store.tables import metadata

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database

__all__ = ["Look", "first_looks", "of", "write"]

MOST: Final = 4000

first_looks: Final = sa.Table(
    "first_looks",
    metadata,
    sa.Column("case_id", sa.Text, sa.ForeignKey("cases.case_id"), nullable=False),
    sa.Column("round", sa.BigInteger, nullable=False),
    sa.Column("chemist", sa.Text, nullable=False),
    sa.Column("utc", sa.Text, nullable=False),
    sa.Column("impression", sa.Text, nullable=False),
    sa.Column("audit_n", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("case_id", "round", "chemist"),
)


@dataclass(frozen=True, slots=True)
class Look:
    """A first look.

    Attributes
    ----------
    impression : str
        As written; empty where it was declined.
    utc : str
        When.
    """

    impression: str
    utc: str


def of(tx: Connection, case_id: str, number: int, chemist: str) -> Look | None:
    """The first look of a chemist in a round; ``None`` before it."""
    row = tx.execute(
        sa.select(first_looks.c.impression, first_looks.c.utc).where(
            first_looks.c.case_id == case_id,
            first_looks.c.round == number,
            first_looks.c.chemist == chemist,
        )
    ).first()
    return Look(row.impression, row.utc) if row else None


def write(db: Database, case_id: str, chemist: str, impression: str, *, now: datetime) -> Look:
    """Write down a first look, or that none was wanted.

    Parameters
    ----------
    db : Database
        The server's.
    case_id, chemist : str
        Of which case, and who.
    impression : str
        Up to 4,000 characters; empty to decline.
    now : datetime
        When.

    Raises
    ------
    TransitionError
        If there is one already that says something else: names have been shown since.
    DecisionError
        If it is too long.
    """
    said = impression.strip()
    if len(said) > MOST:
        raise DecisionError(f"A first look has up to {MOST:,} characters.")
    with db.begin() as tx:
        case = cases.get(tx, case_id)
        before = of(tx, case_id, case["round"], chemist)
        if before is not None:
            if before.impression != said:
                raise TransitionError("The first look was written down, and names have been shown since.")
            return before
        facts = {"round": case["round"], "impression": said, "declined": not said}
        n = audit.append(tx, chemist, "first-look", case_id, facts, now=now)
        utc = to_text(now)
        row = {"case_id": case_id, "round": case["round"], "chemist": chemist, "utc": utc}
        tx.execute(first_looks.insert(), {**row, "impression": said, "audit_n": n})
    return Look(said, utc)
