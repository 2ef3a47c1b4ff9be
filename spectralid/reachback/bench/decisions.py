"""What chemists decide: interim answers, decisions, second reviews. Each needs the lease of the case.

A decision names its basis. Another person reviews it where the hazard is high, where it contradicts what the
field was told, and where a reviewer has sent it back before. Doing the same again with the same lease (a
reply was lost) changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.casework.manifest import dumps
from spectralid.reachback import classification
from spectralid.reachback.caseload import cases, leases
from spectralid.reachback.caseload.cases import State
from spectralid.reachback.errors import (
    CaseChangedError,
    DecisionError,
    SeparationError,
    StaleLeaseError,
    TransitionError,
)
from spectralid.reachback.lab import laboratory
from spectralid.reachback.store import audit
from spectralid.reachback.store.tables import adjudications, scans
from spectralid.reachback.store.tables import cases as case_table
from spectralid.reachback.tablets import answers

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database
    from spectralid.reachback.store.serverkeys import ServerKeys

__all__ = ["Decision", "Outcome", "adjudicate", "interim", "of_case", "review"]

Verdict = Literal["identified", "mixture", "class_only", "inconclusive", "no_match"]

_VERDICTS: Final = ("identified", "mixture", "class_only", "inconclusive", "no_match")
_NAMED: Final = ("identified", "mixture")
_FENTANYL_WORDS: Final = ("fentanyl", "fentanil", "nitazene")


@dataclass(frozen=True, slots=True)
class Decision:
    """What a chemist concludes of a case.

    Parameters
    ----------
    verdict : {"identified", "mixture", "class_only", "inconclusive", "no_match"}
        As the packets of the field say it.
    headline, words : str
        What the officer reads: 1 … 300 and up to 4,000 characters.
    basis : str
        What it rests on (bands, fit, strips, references): 1 … 4,000 characters.
    substances : tuple of str
        The compounds found, by the slugs of the library: at most 50.
    precautions : tuple of str
        At most 30, of up to 500 characters.
    high_hazard : bool
        Whether the chemist holds it for dangerous in small amounts.
    first_look : str
        What the chemist concluded before the field's verdict was shown, if that was asked for.

    Raises
    ------
    DecisionError
        If something of it is missing or too long.
    """

    verdict: Verdict
    headline: str
    words: str
    basis: str
    substances: tuple[str, ...] = ()
    precautions: tuple[str, ...] = ()
    high_hazard: bool = False
    first_look: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in _VERDICTS:
            raise DecisionError(f"The verdict must be one of {', '.join(_VERDICTS)}.")
        _texts(self.headline, self.words, self.precautions)
        if not self.basis.strip() or len(self.basis) > 4000:
            raise DecisionError("A decision needs its basis: what it rests on, in up to 4,000 characters.")
        if len(self.substances) > 50 or not all(1 <= len(one) <= 100 for one in self.substances):
            raise DecisionError("At most 50 substances are named, by their slugs.")
        if self.verdict in _NAMED and not self.substances:
            raise DecisionError(f"A case decided as {self.verdict!r} names the substances found.")
        if len(self.first_look) > 4000:
            raise DecisionError("The first look has up to 4,000 characters.")

    def is_dangerous(self) -> bool:
        """Whether it says so, or names a substance of the ultra-potent families."""
        return self.high_hazard or any(
            word in one.lower() for one in self.substances for word in _FENTANYL_WORDS
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of what a chemist wrote.

    Attributes
    ----------
    case_id, state
        The case and where it stands now.
    reasons : tuple of str
        Why another person has to look, if so: ``high-hazard``, ``contradicts-field``, ``sent-back``.
    answer_id : str or None
        The answer that went out by it.
    """

    case_id: str
    state: str
    reasons: tuple[str, ...] = ()
    answer_id: str | None = None


def interim(
    db: Database,
    keys: ServerKeys,
    case_id: str,
    token: int,
    chemist: str,
    *,
    now: datetime,
    headline: str = "Treat as hazardous",
    words: str = "A chemist is looking at it. Treat it as hazardous until the final answer.",
    precautions: tuple[str, ...] = (),
) -> Outcome:
    """Tell the officer how to treat it meanwhile; the hour stops, once in a round.

    Parameters
    ----------
    db, keys
        The server's.
    case_id, token, chemist
        Under which lease.
    now : datetime
        When.
    headline, words, precautions
        What the officer reads.

    Raises
    ------
    StaleLeaseError
        If the lease has ended; what was written is kept.
    TransitionError
        If there was an interim answer under this lease already, with other words.
    """
    _texts(headline, words, precautions)
    content = {"headline": headline, "words": words, "precautions": list(precautions)}
    with leases.keeping_draft(db, case_id, token, chemist, content, now=now), db.begin() as tx:
        if (before := _written(tx, case_id, token, "interim", chemist, content)) is not None:
            return before
        case = leases.check(tx, case_id, token, chemist, now=now)
        state = cases.move(tx, case_id, "interim", actor=chemist, now=now, facts={"token": token})
        answer = answers.publish(
            tx, keys, case_id, "interim", by=chemist, now=now,
            headline=headline, words=words, precautions=precautions,
        )  # fmt: skip
        cases.stop_clock(tx, case, kind="interim", now=now)
        outcome = Outcome(case_id, state, answer_id=answer.answer_id)
        _write(tx, case, "interim", chemist, content, outcome, now=now)
        return outcome


def adjudicate(
    db: Database,
    keys: ServerKeys,
    case_id: str,
    token: int,
    chemist: str,
    decision: Decision,
    *,
    now: datetime,
    seen: int | None = None,
) -> Outcome:
    """Decide a case: it is answered, or goes to a second person.

    Parameters
    ----------
    db, keys
        The server's.
    case_id, token, chemist
        Under which lease.
    decision : Decision
        What.
    now : datetime
        When.
    seen : int, optional
        How much evidence (`Entry.evidence`) the chemist had before his eyes: more of it now is a reason to
        look again.

    Raises
    ------
    StaleLeaseError
        If the lease has ended; the decision is kept as a draft.
    CaseChangedError
        If evidence came in that the chemist has not seen; likewise, and the lease goes on.
    """
    content = asdict(decision)
    with leases.keeping_draft(db, case_id, token, chemist, content, now=now), db.begin() as tx:
        if (before := _written(tx, case_id, token, "decision", chemist, content)) is not None:
            return before
        case = leases.check(tx, case_id, token, chemist, now=now)
        if case["state"] == State.SECOND_REVIEW:
            raise TransitionError(f"The case {case_id} was decided and waits for a review.")
        if seen is not None and seen != case["evidence"]:
            raise CaseChangedError(
                f"The case {case_id} has {case['evidence']} pieces of evidence now, and {seen} were before "
                "the chemist; look again. What was written is kept as a draft."
            )
        reasons = _reasons(tx, case, decision)
        facts = {"token": token, "verdict": decision.verdict, "substances": list(decision.substances)}
        cases.move(tx, case_id, "adjudicate", actor=chemist, now=now, facts=facts)
        tx.execute(case_table.update().where(case_table.c.case_id == case_id).values(adjudicator=chemist))
        if reasons:
            state = cases.move(tx, case_id, "review", actor="server", now=now, facts={"why": list(reasons)})
            outcome = Outcome(case_id, state, reasons)
        else:
            outcome = _answer(tx, keys, case, decision, by=chemist, now=now)
        _write(tx, case, "decision", chemist, content, outcome, now=now)
        return outcome


def review(
    db: Database,
    keys: ServerKeys,
    case_id: str,
    token: int,
    reviewer: str,
    *,
    agrees: bool,
    note: str,
    now: datetime,
) -> Outcome:
    """Look at another's decision: it is answered as decided, or goes back into the queue.

    Parameters
    ----------
    db, keys
        The server's.
    case_id, token, reviewer
        Under which lease; it was granted for a review.
    agrees : bool
        Whether the decision stands.
    note : str
        Why not, or what was looked at: 1 … 4,000 characters.
    now : datetime
        When.

    Raises
    ------
    SeparationError
        If the reviewer is who decided.
    StaleLeaseError
        If the lease has ended, or is none for a review; what was written is kept.
    """
    if not note.strip() or len(note) > 4000:
        raise DecisionError("A review says what was looked at, in up to 4,000 characters.")
    content = {"agrees": agrees, "note": note}
    with leases.keeping_draft(db, case_id, token, reviewer, content, now=now), db.begin() as tx:
        if (before := _written(tx, case_id, token, "review", reviewer, content)) is not None:
            return before
        case = leases.check(tx, case_id, token, reviewer, now=now)
        if case["state"] != State.SECOND_REVIEW:
            raise TransitionError(f"The case {case_id} is {case['state']}; there is no decision to review.")
        if case["adjudicator"] == reviewer:
            raise SeparationError(f"{reviewer} decided the case {case_id}; another person has to review it.")
        if agrees:
            decided = _newest_decision(tx, case)
            outcome = _answer(
                tx, keys, case, decided, by=f"{case['adjudicator']} + {reviewer}"[:100], now=now
            )
        else:
            state = cases.move(tx, case_id, "return", actor=reviewer, now=now, facts={"note": note})
            outcome = Outcome(case_id, state)
        _write(tx, case, "review", reviewer, content, outcome, now=now)
        return outcome


def of_case(db: Database, case_id: str) -> tuple[Mapping[str, Any], ...]:
    """Everything that was decided on a case, in order: kind, by, utc, round, token, content, outcome."""
    chosen = sa.select(adjudications).where(adjudications.c.case_id == case_id)
    with db.read() as tx:
        rows = tx.execute(chosen.order_by(adjudications.c.audit_n)).mappings().all()
    return tuple({**row, **json.loads(row["content"])} for row in rows)


def _answer(
    tx: Connection,
    keys: ServerKeys,
    case: Mapping[str, Any],
    decision: Decision,
    *,
    by: str,
    now: datetime,
) -> Outcome:
    case_id = case["case_id"]
    cases.move(tx, case_id, "answer", actor=by, now=now)
    answer = answers.publish(
        tx, keys, case_id, "final", by=by, now=now, headline=decision.headline, words=decision.words,
        precautions=decision.precautions, basis=decision.basis,
    )  # fmt: skip
    cases.stop_clock(tx, case, kind="final", now=now)
    state = laboratory.after_answer(tx, keys, case_id, now=now)
    return Outcome(case_id, state, answer_id=answer.answer_id)


def _reasons(tx: Connection, case: Mapping[str, Any], decision: Decision) -> tuple[str, ...]:
    """Why another person has to look at a decision."""
    this = adjudications.c.case_id == case["case_id"]
    sent_back = tx.execute(
        sa.select(adjudications.c.token).where(
            this, adjudications.c.kind == "review", adjudications.c.round == case["round"]
        )
    ).first()
    found = {
        "high-hazard": bool(case["high_hazard"]) or decision.is_dangerous(),
        "contradicts-field": _contradicts(tx, case["case_id"], decision),
        "sent-back": sent_back is not None,
    }
    return tuple(name for name, holds in found.items() if holds)


def _contradicts(tx: Connection, case_id: str, decision: Decision) -> bool:
    """Whether the field was told names, and the chemist says others, or none."""
    rows = tx.execute(
        sa.select(scans.c.substances).where(scans.c.case_id == case_id, scans.c.decision.in_(_NAMED))
    ).scalars()
    told = frozenset(one for row in rows for one in json.loads(row))
    said = frozenset(decision.substances)
    # The bag that a scan went through is no finding; where nothing else was named, it is the finding.
    contents = classification.without_carriers(told)
    return contents != classification.without_carriers(said) if contents else bool(told) and told != said


def _newest_decision(tx: Connection, case: Mapping[str, Any]) -> Decision:
    content = tx.execute(
        sa.select(adjudications.c.content)
        .where(adjudications.c.case_id == case["case_id"], adjudications.c.kind == "decision")
        .order_by(adjudications.c.audit_n.desc())
        .limit(1)
    ).scalar_one()
    said = json.loads(content)["said"]
    for name in ("substances", "precautions"):
        said[name] = tuple(said[name])
    return Decision(**said)


def _write(
    tx: Connection,
    case: Mapping[str, Any],
    kind: str,
    by: str,
    content: Mapping[str, Any],
    outcome: Outcome,
    *,
    now: datetime,
) -> None:
    text = dumps({"said": content, "outcome": asdict(outcome)}).decode()
    facts = {"kind": kind, "token": case["token"], "content": text}
    n = audit.append(tx, by, "decision", case["case_id"], facts, now=now)
    row = {
        "case_id": case["case_id"],
        "token": case["token"],
        "kind": kind,
        "round": case["round"],
        "by": by,
        "utc": to_text(now),
        "content": text,
        "audit_n": n,
    }
    tx.execute(adjudications.insert(), row)


def _written(
    tx: Connection, case_id: str, token: int, kind: str, by: str, content: Mapping[str, Any]
) -> Outcome | None:
    """The outcome of exactly this, if it was taken before; other words under the same lease are refused."""
    row = tx.execute(
        sa.select(adjudications.c.by, adjudications.c.content).where(
            adjudications.c.case_id == case_id, adjudications.c.token == token, adjudications.c.kind == kind
        )
    ).first()
    if row is None:
        return None
    kept = json.loads(row.content)
    if row.by != by or kept["said"] != json.loads(dumps(content)):
        kind_of = TransitionError if kind == "interim" else StaleLeaseError
        raise kind_of(
            f"There is another {kind} under the lease {token} of the case {case_id}; take it again to say "
            "something else."
        )
    return Outcome(**{**kept["outcome"], "reasons": tuple(kept["outcome"]["reasons"])})


def _texts(headline: str, words: str, precautions: tuple[str, ...]) -> None:
    if not 1 <= len(headline) <= 300 or len(words) > 4000:
        raise DecisionError("An answer needs a headline of 1 to 300 characters, and words of up to 4,000.")
    if len(precautions) > 30 or any(len(one) > 500 for one in precautions):
        raise DecisionError("An answer has at most 30 precautions, of up to 500 characters each.")
