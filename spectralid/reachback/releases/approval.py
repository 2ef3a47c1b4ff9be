"""Who says that a candidate becomes a reference: two persons, neither of them somebody who decided on the
case, nor who proposed it. One who rejects it, with a reason, is enough.

The record is asked, not the persons: whoever decided on the case or reviewed it, in any round, does not
approve. An approval is of exactly what was proposed, and of a case that still stands as it did then.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.reachback.bench import decisions
from spectralid.reachback.errors import ConflictError, SeparationError
from spectralid.reachback.releases import candidates
from spectralid.reachback.releases.candidates import Candidate, CandidateError
from spectralid.reachback.releases.tables import candidate_votes
from spectralid.reachback.store import audit
from spectralid.reachback.store.tables import scans

if TYPE_CHECKING:
    from spectralid.reachback.store.database import Database

__all__ = ["approve", "reject", "still_holds"]


def approve(
    db: Database, candidate: int, *, by: str, sha256: str, now: datetime, words: str = ""
) -> Candidate:
    """Say that it may become a reference; the second person who says so makes it approved.

    Parameters
    ----------
    db : Database
        The server's.
    candidate : int
        Which.
    by : str
        Who.
    sha256 : str
        Of the candidate that was looked at.
    now : datetime
        When.
    words : str
        Anything to it, up to 2,000 characters.

    Raises
    ------
    SeparationError
        If they proposed it, or decided on the case or reviewed it.
    ConflictError
        If they have said something already, it is not pending, or it is not what was looked at.
    CandidateError
        If the case does not bear it any more.
    """
    one = candidates.get(db, candidate)
    still_holds(db, one)
    if by == one.proposed_by:
        raise SeparationError(f"{by} proposed candidate {candidate}; two others have to approve it.")
    if by in {said["by"] for said in decisions.of_case(db, one.case_id)}:
        raise SeparationError(
            f"{by} decided on the case {one.case_id}; two who did not have to approve candidate {candidate}."
        )
    return _vote(db, one, "approve", by=by, sha256=sha256, words=words, now=now)


def reject(db: Database, candidate: int, *, by: str, why: str, now: datetime) -> Candidate:
    """Say that it does not become a reference; that ends it. It may be proposed again.

    Raises
    ------
    ConflictError
        If they have said something already, or it is neither pending nor approved.
    CandidateError
        If no reason is given.
    """
    if not why.strip():
        raise CandidateError("A rejection says why.")
    one = candidates.get(db, candidate)
    return _vote(db, one, "reject", by=by, sha256=one.sha256, words=why, now=now)


def still_holds(db: Database, one: Candidate) -> None:
    """See that the case of a candidate still bears what was said of it.

    Raises
    ------
    CandidateError
        If it was reopened, refuted, or decided otherwise; or was confirmed and is no more.
    """
    with db.read() as tx:
        row = (
            tx.execute(sa.select(scans).where(scans.c.device_id == one.device_id, scans.c.seq == one.seq))
            .mappings()
            .one()
        )
    basis = candidates.basis_of(db, one.case_id, row, one.slug)
    if one.status == "confirmed" and basis.status != "confirmed":
        raise CandidateError(f"Candidate {one.candidate} was confirmed when it was proposed, and is not now.")


def _vote(
    db: Database, one: Candidate, vote: Any, *, by: str, sha256: str, words: str, now: datetime
) -> Candidate:
    if len(words) > 2000:
        raise CandidateError("At most 2,000 characters are taken.")
    if sha256 != one.sha256:
        raise ConflictError(f"Candidate {one.candidate} is not the one that was looked at; look again.")
    allowed = ("pending",) if vote == "approve" else ("pending", "approved")
    with db.begin() as tx:
        current = candidates.find(tx, one.candidate)
        if any(said.by == by for said in current.votes):
            raise ConflictError(f"{by} has said what they think of candidate {one.candidate} already.")
        if current.state not in allowed:
            raise ConflictError(f"Candidate {one.candidate} is {current.state}.")
        facts = {"sha256": sha256, "words": words, "case": one.case_id}
        n = audit.append(tx, by, vote, f"candidate:{one.candidate}", facts, now=now)
        row = {
            "candidate": one.candidate,
            "by": by,
            "vote": vote,
            "words": words,
            "sha256": sha256,
            "utc": to_text(now),
            "audit_n": n,
        }
        tx.execute(candidate_votes.insert(), row)
        return candidates.find(tx, one.candidate)
