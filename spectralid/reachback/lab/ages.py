"""How long everything takes: from the scan to the laboratory's result on the officer's screen.

Times are the server's except two, which are the device's own: when a scan was captured and when an answer
was shown. The first counts only where the device's clock was known to be right (``synced``); the other is
taken as not later than when the server learned of it, and counts by that.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from spectralid.casework.clock import from_text, to_text
from spectralid.errors import SpectralIDError
from spectralid.reachback import csv_out
from spectralid.reachback.caseload.cases import State
from spectralid.reachback.lab import laboratory
from spectralid.reachback.lab.tables import lab_results, lab_samples, lab_steps
from spectralid.reachback.store.tables import answers, cases, packets, rounds

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database

__all__ = ["FORWARD_WITHIN", "SPANS", "Ages", "Overdue", "Span", "ages", "ages_csv", "overdue"]

FORWARD_WITHIN: Final = timedelta(hours=24)
"""Within which a presumptive result has been looked at by the forward laboratory."""

SPANS: Final[Mapping[str, tuple[str, str]]] = {
    "scan to server": ("captured", "received"),
    "server to first answer": ("received", "first_answer"),
    "first answer to forward laboratory": ("first_answer", "forward_sent"),
    "forward laboratory to its result": ("forward_sent", "forward_result"),
    "forward laboratory to regional laboratory": ("forward_sent", "regional_sent"),
    "regional laboratory to its result": ("regional_sent", "regional_result"),
    "measured to received": ("measured", "result"),
    "first answer to result": ("first_answer", "result"),
    "result to shown on the device": ("result", "shown"),
    "scan to result shown on the device": ("captured", "shown"),
}
"""What is measured, from which moment to which."""

_GOALS: Final = {
    "server to first answer": timedelta(hours=1),
    "forward laboratory to its result": FORWARD_WITHIN,
}
_ANSWERED: Final = (State.ANSWERED, State.DELIVERED)
_AT_ONCE: Final = 400


@dataclass(frozen=True, slots=True)
class Span:
    """How long one part takes.

    Attributes
    ----------
    name : str
        One of `SPANS`.
    n : int
        Cases of which both ends are known.
    p50_h, p90_h, p99_h, most_h : float or None
        Percentiles (nearest rank) and the longest, in hours.
    goal_h : float or None
        Within which it should be.
    late : int or None
        How many of `n` took longer.
    without : int
        Cases that have the first moment and (yet) not the second.
    backwards : int
        Cases left out because the second moment is before the first: a clock was wrong, or a sample was
        sent before the answer.
    """

    name: str
    n: int
    p50_h: float | None
    p90_h: float | None
    p99_h: float | None
    most_h: float | None
    goal_h: float | None
    late: int | None
    without: int
    backwards: int


@dataclass(frozen=True, slots=True)
class Overdue:
    """Something of the laboratory loop that should have happened.

    Attributes
    ----------
    case_id, device_id, seizure_ref, site_ref, state
        Which case.
    why : str
        ``not-sent``: a hazardous case was answered, and no sample went to a laboratory;
        ``no-result``: a sample is at the forward laboratory, and its result has not come;
        ``not-shown``: a result is there, and the device has not shown it.
    since_utc : str
        From when it counts.
    hours : float
        How long that is now.
    laboratory, sample_ref : str
        Where the sample is.
    """

    case_id: str
    device_id: str
    seizure_ref: str
    site_ref: str
    state: str
    why: str
    since_utc: str
    hours: float
    laboratory: str = ""
    sample_ref: str = ""


@dataclass(frozen=True, slots=True)
class Ages:
    """The ages of the cases of a time.

    Attributes
    ----------
    cases : int
        How many were opened in it.
    spans : tuple of Span
        In the order of `SPANS`.
    """

    since_utc: str
    until_utc: str
    cases: int
    spans: tuple[Span, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain form."""
        return asdict(self)


def ages(
    db: Database,
    *,
    since: datetime,
    until: datetime,
    sites: Collection[str] | None = None,
) -> Ages:
    """How long things took for the cases opened in a time.

    Parameters
    ----------
    db : Database
        The server's.
    since, until : datetime
        The time; its end is not in it.
    sites : collection of str, optional
        Only cases of these.
    """
    moments = list(_moments(db, since, until, sites))
    spans = tuple(_span(name, first, last, moments) for name, (first, last) in SPANS.items())
    return Ages(to_text(since), to_text(until), len(moments), spans)


def ages_csv(found: Ages) -> bytes:
    """Ages as a table in CSV."""
    names = tuple(Span.__dataclass_fields__)
    return csv_out.written(names, ([getattr(one, name) for name in names] for one in found.spans))


def _span(name: str, first: str, last: str, moments: Iterable[Mapping[str, str]]) -> Span:
    hours: list[float] = []
    without = backwards = 0
    for case in moments:
        begins, ends = case.get(first), case.get(last)
        if not begins:
            continue
        if not ends:
            without += 1
        elif ends < begins:
            backwards += 1
        else:
            hours.append((from_text(ends) - from_text(begins)).total_seconds() / 3600)
    hours.sort()
    goal = _GOALS.get(name)
    goal_h = None if goal is None else goal.total_seconds() / 3600
    p50, p90, p99, most = (_percentile(hours, share) for share in (0.5, 0.9, 0.99, 1.0))
    late = None if goal_h is None else sum(one > goal_h for one in hours)
    return Span(name, len(hours), p50, p90, p99, most, goal_h, late, without, backwards)


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """The nearest rank: a value that occurred."""
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 4) if ordered else None


def _moments(
    db: Database, since: datetime, until: datetime, sites: Collection[str] | None
) -> Iterator[dict[str, str]]:
    """What is known of each case, by the names that `SPANS` uses."""
    chosen = sa.select(cases.c.case_id).where(
        cases.c.opened_utc >= to_text(since), cases.c.opened_utc < to_text(until)
    )
    if sites is not None:
        chosen = chosen.where(cases.c.site_ref.in_(sorted(sites)))
    with db.read() as tx:
        ids = tx.execute(chosen.order_by(cases.c.case_id)).scalars().all()
        for start in range(0, len(ids), _AT_ONCE):
            yield from _of_some(tx, ids[start : start + _AT_ONCE])


def _of_some(tx: Connection, ids: Sequence[str]) -> Iterator[dict[str, str]]:
    found: dict[str, dict[str, str]] = {case_id: {} for case_id in ids}
    scans = (
        sa.select(
            packets.c.case_id,
            packets.c.captured_utc,
            packets.c.clock_state,
            packets.c.received_utc,
        )
        .where(packets.c.case_id.in_(ids), packets.c.kind == "scan")
        .order_by(packets.c.received_utc, packets.c.seq)
    )
    for row in tx.execute(scans):
        case = found[row.case_id]
        if "received" not in case:
            case["received"] = row.received_utc
            if row.clock_state == "synced":
                case["captured"] = _as_text(row.captured_utc)
    first = sa.select(rounds.c.case_id, rounds.c.first_utc).where(
        rounds.c.case_id.in_(ids), rounds.c.round == 1, rounds.c.first_utc.is_not(None)
    )
    for answered in tx.execute(first):
        found[answered.case_id]["first_answer"] = answered.first_utc
    sent = (
        sa.select(lab_samples.c.case_id, lab_samples.c.stage, lab_samples.c.sent_utc)
        .where(lab_samples.c.case_id.in_(ids))
        .order_by(lab_samples.c.n)
    )
    for sample in tx.execute(sent):
        found[sample.case_id].setdefault(f"{sample.stage}_sent", sample.sent_utc)
    results = (
        sa.select(
            lab_steps.c.case_id,
            lab_results.c.stage,
            lab_results.c.measured_utc,
            lab_results.c.received_utc,
            answers.c.acknowledged_utc,
        )
        .join_from(lab_steps, lab_results, lab_steps.c.result_n == lab_results.c.n)
        .join(answers, answers.c.answer_id == lab_steps.c.answer_id)
        .where(lab_steps.c.case_id.in_(ids), lab_steps.c.what == "applied")
        .order_by(lab_results.c.n)
    )
    for one in tx.execute(results):
        case = found[one.case_id]
        case.setdefault(f"{one.stage}_result", one.received_utc)
        if "result" not in case:
            case["result"] = one.received_utc
            case["measured"] = one.measured_utc
            case["shown"] = one.acknowledged_utc or ""
    yield from found.values()


def _as_text(utc: str) -> str:
    """A device's time in the one length that is compared here; empty if it is none."""
    from spectralid.casework.messages import parse_utc

    try:
        return to_text(parse_utc(utc))
    except (SpectralIDError, OverflowError):
        return ""


def overdue(
    db: Database,
    *,
    now: datetime,
    sites: Collection[str] | None = None,
    within: timedelta = FORWARD_WITHIN,
    limit: int = 1000,
) -> tuple[Overdue, ...]:
    """What of the laboratory loop is late, the longest first.

    Parameters
    ----------
    db : Database
        The server's.
    now : datetime
        The server's time.
    sites : collection of str, optional
        Only cases of these.
    within : timedelta
        What counts as late.
    limit : int
        At most so many of each kind.
    """
    before = to_text(now - within)
    seen = [] if sites is None else [cases.c.site_ref.in_(sorted(sites))]
    about = (cases.c.case_id, cases.c.device_id, cases.c.seizure_ref, cases.c.site_ref, cases.c.state)
    sampled = sa.select(lab_samples.c.n).where(lab_samples.c.case_id == cases.c.case_id).exists()
    reported = sa.select(lab_steps.c.result_n).where(lab_steps.c.case_id == cases.c.case_id).exists()
    queries = {
        "not-sent": sa.select(*about, rounds.c.answered_utc.label("since_utc"))
        .join_from(
            cases, rounds, sa.and_(rounds.c.case_id == cases.c.case_id, rounds.c.round == cases.c.round)
        )
        .where(cases.c.state.in_(_ANSWERED), cases.c.high_hazard, rounds.c.answered_utc <= before)
        .where(~sampled, ~reported)
        .order_by(rounds.c.answered_utc),
        "no-result": sa.select(
            *about,
            lab_samples.c.sent_utc.label("since_utc"),
            lab_samples.c.laboratory,
            lab_samples.c.sample_ref,
        )
        .join_from(lab_samples, cases, lab_samples.c.case_id == cases.c.case_id)
        .where(lab_samples.c.stage == "forward", lab_samples.c.sent_utc <= before, ~laboratory.result_came())
        .order_by(lab_samples.c.sent_utc),
        "not-shown": sa.select(*about, answers.c.utc.label("since_utc"))
        .join_from(answers, cases, answers.c.case_id == cases.c.case_id)
        .where(
            answers.c.kind == "lab_result",
            answers.c.superseded_by.is_(None),
            answers.c.acknowledged_utc.is_(None),
            answers.c.utc <= before,
        )
        .order_by(answers.c.utc),
    }
    found: list[Overdue] = []
    with db.read() as tx:
        for why, query in queries.items():
            for row in tx.execute(query.where(*seen).limit(limit)).mappings():
                hours = (now - from_text(row["since_utc"])).total_seconds() / 3600
                found.append(Overdue(**row, why=why, hours=round(hours, 2)))
    return tuple(sorted(found, key=lambda one: -one.hours))
