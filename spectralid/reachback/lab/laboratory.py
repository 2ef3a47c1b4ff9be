"""The laboratory loop: what is sent to laboratories, what they report, and what follows from it.

A report is kept as it came, once, whatever state its case is in, and whether or not its case can be told.
What became of it is a row of its own (`lab_steps`), and the last one counts:

==========  ================================================================================================
applied     the case took the step, and the officer was told
waiting     the case has no answer yet (or waits for a new one): the officer was told that a result is there,
            and it is applied with the chemist's answer, in the same transaction
noted       it changes nothing: the regional laboratory has decided, an older report came late, or another
            sample of the item gave a conclusive result
unmatched   nobody can tell which case or item it is of; a person resolves or dismisses it
dismissed   a person did, and said why
==========  ================================================================================================

*Confirmed* is said nowhere before the case is LAB_CONFIRMED. A result that refutes reopens the case with a
new hour, and the devices of all linked seizures hear of it. Answers are superseded, never changed; a
corrected report supersedes the one before it in the same way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.casework.manifest import dumps
from spectralid.reachback import classification
from spectralid.reachback.caseload import cases
from spectralid.reachback.caseload.cases import State
from spectralid.reachback.errors import ConflictError, NotFoundError
from spectralid.reachback.lab import methods
from spectralid.reachback.lab import words as lab_words
from spectralid.reachback.lab.reports import (
    SAMPLINGS,
    STAGES,
    LabConflictError,
    LabReportError,
    Outcome,
    Report,
    Result,
    Sample,
    Sampling,
    Stage,
    Substance,
    Taken,
    What,
    line,
    moment,
    one_of,
)
from spectralid.reachback.lab.tables import lab_results, lab_samples, lab_steps
from spectralid.reachback.store import audit
from spectralid.reachback.store.tables import adjudications, packets, rounds, scans
from spectralid.reachback.store.tables import cases as case_table
from spectralid.reachback.tablets import answers
from spectralid.reachback.tablets.projections import FIRST

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database
    from spectralid.reachback.store.serverkeys import ServerKeys

__all__ = [
    "LabConflictError",
    "LabReportError",
    "Report",
    "Result",
    "Sample",
    "Substance",
    "Taken",
    "after_answer",
    "dismiss",
    "items_of",
    "listed",
    "of_case",
    "of_cases",
    "record",
    "resolve",
    "result_came",
    "samples_of",
    "sampling_of",
    "send",
    "standing",
    "status",
    "take",
]

_S = State
_RESULTS: Final = (_S.LAB_CONFIRMED, _S.LAB_INCONCLUSIVE)
_SENDABLE: Final = (_S.ANSWERED, _S.DELIVERED, *_RESULTS)
_READY: Final = (*_SENDABLE, _S.FORWARD_LAB, _S.REGIONAL_LAB)
_AHEAD: Final = timedelta(days=1)
_COUNTING: Final = ("applied", "waiting")
_CONTRADICTS: Final = "contradicts-answer"
_NAMED: Final = ("identified", "mixture")


# --- what is sent ------------------------------------------------------------------------------------------


def send(
    db: Database,
    keys: ServerKeys,
    case_id: str,
    *,
    laboratory: str,
    sample_ref: str,
    stage: Stage = "forward",
    item_ref: str = "",
    sampling: Sampling = "",
    sent_utc: str = "",
    by: str,
    now: datetime,
) -> Sample:
    """Put on record that a sample of a case went to a laboratory; doing it again changes nothing.

    Parameters
    ----------
    db, keys
        The server's.
    case_id : str
        Of which case. If it has no answer yet, it goes to the laboratory when it has.
    laboratory, sample_ref, stage
        Where to, and under which name.
    item_ref : str
        Of which item; needed where the case has several.
    sampling : {"", "escalated", "routine", "qa_sample"}
        Why this sample and not another; by default what the packets of the field say.
    sent_utc : str
        When it left; now by default.
    by : str
        Who says so.
    now : datetime
        The server's time.

    Raises
    ------
    NotFoundError
        If there is no such case.
    LabReportError
        If something is missing or too long, or it is not clear of which item it is.
    LabConflictError
        If that laboratory has another sample of this name.
    """
    line("laboratory", laboratory, 1)
    line("sample_ref", sample_ref, 1)
    line("item_ref", item_ref, 0)
    one_of("stage", stage, STAGES)
    one_of("sampling", sampling, SAMPLINGS)
    sent = moment("sent_utc", sent_utc)
    if sent and sent > to_text(now + _AHEAD):
        raise LabReportError("The sample cannot have been sent in the future.")
    with db.begin() as tx:
        case = cases.get(tx, case_id)
        item, why = _item(tx, case_id, item_ref)
        if why:
            raise LabReportError(_ITEM_WORDS[why])
        before = _sample(tx, laboratory, sample_ref)
        if before is not None:
            if (before.case_id, before.item_ref, before.stage) != (case_id, item, stage):
                raise LabConflictError(
                    f"The sample {sample_ref!r} of {laboratory!r} is on record as one of another case, item "
                    "or stage."
                )
            return before
        facts = {"laboratory": laboratory, "sample": sample_ref, "stage": stage, "item": item}
        row = {
            "n": _next(tx, lab_samples.c.n),
            "case_id": case_id,
            "item_ref": item,
            "laboratory": laboratory,
            "sample_ref": sample_ref,
            "stage": stage,
            "sampling": sampling or _field_sampling(tx, case_id, item),
            "sent_utc": sent or to_text(now),
            "recorded_utc": to_text(now),
            "by": by,
        }
        n = audit.append(tx, by, "lab-sample", case_id, facts, now=now)
        tx.execute(lab_samples.insert(), {**row, "audit_n": n})
        known = sa.select(lab_samples.c.n).where(lab_samples.c.n == row["n"], result_came())
        if tx.execute(known).first() is None:
            _to_laboratory(tx, case, stage, by=by, now=now)
        _match_waiting_sample(tx, keys, laboratory, sample_ref, case_id, item, by=by, now=now)
        return _as_sample(row)


def _to_laboratory(tx: Connection, case: Mapping[str, Any], stage: str, *, by: str, now: datetime) -> None:
    """The steps of the case that a sent sample means, if it can take them now."""
    case_id, state = case["case_id"], case["state"]
    if stage == "forward" and state in _SENDABLE:
        cases.move(tx, case_id, "forward_lab", actor=by, now=now)
    elif stage == "regional" and state in (*_SENDABLE, _S.FORWARD_LAB):
        if state in (_S.ANSWERED, _S.DELIVERED):
            cases.move(tx, case_id, "forward_lab", actor=by, now=now, facts={"implied": True})
        cases.move(tx, case_id, "regional_lab", actor=by, now=now)


def _as_sample(row: Mapping[str, Any]) -> Sample:
    return Sample(**{name: row[name] for name in Sample.__dataclass_fields__})


def _sample(tx: Connection, laboratory: str, sample_ref: str) -> Sample | None:
    row = tx.execute(
        sa.select(lab_samples).where(
            lab_samples.c.laboratory == laboratory, lab_samples.c.sample_ref == sample_ref
        )
    ).mappings().first()  # fmt: skip
    return None if row is None else _as_sample(dict(row))


def samples_of(db: Database, case_id: str) -> tuple[Sample, ...]:
    """What was sent of a case, oldest first."""
    chosen = sa.select(lab_samples).where(lab_samples.c.case_id == case_id).order_by(lab_samples.c.n)
    with db.read() as tx:
        return tuple(_as_sample(dict(row)) for row in tx.execute(chosen).mappings())


def _next(tx: Connection, column: sa.Column[int]) -> int:
    return int(tx.execute(sa.select(sa.func.coalesce(sa.func.max(column), 0))).scalar_one()) + 1


# --- which case and item -----------------------------------------------------------------------------------

_ITEM_WORDS: Final = {
    "which-item": "The case has several items; say of which one the sample is.",
    "no-such-item": "The case has no item of that name.",
}


def items_of(tx: Connection, case_id: str) -> tuple[str, ...]:
    """The items of a case that were scanned or added, by name."""
    found = tx.execute(
        sa.select(packets.c.item_ref)
        .where(packets.c.case_id == case_id, packets.c.item_ref.is_not(None))
        .distinct()
        .order_by(packets.c.item_ref)
    )
    return tuple(found.scalars())


def _item(tx: Connection, case_id: str, said: str) -> tuple[str | None, str]:
    """The item that is meant, or why that cannot be told."""
    items = items_of(tx, case_id)
    if said:
        return (said, "") if said in items else (None, "no-such-item")
    if len(items) > 1:
        return None, "which-item"
    return (items[0] if items else None), ""


def _field_sampling(tx: Connection, case_id: str, item: str | None) -> str:
    """Why the field sent it in, by its packets."""
    chosen = sa.select(scans.c.why).where(scans.c.case_id == case_id)
    if item is not None:
        chosen = chosen.where(scans.c.item_ref == item)
    return sampling_of(tx.execute(chosen).scalars())


def sampling_of(whys: Iterable[str]) -> str:
    """The sampling reason that the escalations of an item's scans amount to.

    Drawn for quality assurance counts only where nothing else was a reason.
    """
    found = {one for why in whys for one in json.loads(why)}
    if found == {"qa_sample"}:
        return "qa_sample"
    return "escalated" if found else "routine"


def _placed(
    tx: Connection, report: Report, sites: Collection[str] | None
) -> tuple[dict[str, Any] | None, str | None, str]:
    """Case and item of a report, or why they cannot be told."""
    case, why = _case_of(tx, report)
    sample = _sample(tx, report.laboratory, report.sample_ref)
    if sample is not None:
        if why == "no-case-named":
            case, why = cases.get(tx, sample.case_id), ""
        elif case is None or sample.case_id != case["case_id"]:
            return None, None, "contradicts-sample"
        if report.item_ref not in ("", sample.item_ref):
            return None, None, "contradicts-sample"
    if case is None:
        return None, None, why
    if sites is not None and case["site_ref"] not in sites:
        # Whoever may not see the case does not learn that it is there.
        return None, None, "no-such-case"
    if sample is not None:
        return case, sample.item_ref, ""
    item, why = _item(tx, case["case_id"], report.item_ref)
    return (None, None, why) if why else (case, item, "")


def _case_of(tx: Connection, report: Report) -> tuple[dict[str, Any] | None, str]:
    columns = case_table.c
    which = [
        column == said
        for column, said in (
            (columns.case_id, report.case_id),
            (columns.device_id, report.device_id if report.seizure_ref else ""),
            (columns.seizure_ref, report.seizure_ref),
        )
        if said
    ]
    if not which:
        return None, "no-case-named"
    found = tx.execute(sa.select(case_table).where(*which).limit(2)).mappings().all()
    if len(found) == 1:
        return dict(found[0]), ""
    return None, "several-cases" if found else "no-such-case"


# --- reports in --------------------------------------------------------------------------------------------


def record(
    db: Database,
    keys: ServerKeys,
    case_id: str,
    *,
    result: Outcome,
    substances: Sequence[str | Substance] = (),
    method: str | Sequence[str] = "GC-MS",
    laboratory: str,
    stage: Stage = "forward",
    sample_ref: str,
    by: str,
    now: datetime,
    measured_utc: str | datetime = "",
    reported_utc: str | datetime = "",
    source: str = "api",
    **more: Any,
) -> Taken:
    """Take in a result of a known case; `take` with its parts as arguments.

    Parameters
    ----------
    db, keys, by, now, source
        As for `take`.
    case_id, result, laboratory, stage, sample_ref
        As in `Report`, and so are `more`.
    substances : sequence of str or Substance
        Slugs will do.
    method : str or sequence of str
        By which methods.
    measured_utc, reported_utc : str or datetime
        When.
    """
    found = tuple(one if isinstance(one, Substance) else Substance(one) for one in substances)
    when = {
        name: to_text(value) if isinstance(value, datetime) else value
        for name, value in (("measured_utc", measured_utc), ("reported_utc", reported_utc))
    }
    report = Report(
        case_id=case_id, result=result, laboratory=laboratory, stage=stage, sample_ref=sample_ref,
        substances=found, methods=(method,) if isinstance(method, str) else tuple(method),
        measured_utc=when["measured_utc"], reported_utc=when["reported_utc"], **more,
    )  # fmt: skip
    return take(db, keys, report, by=by, source=source, now=now)


def take(
    db: Database,
    keys: ServerKeys,
    report: Report,
    *,
    by: str,
    source: str,
    now: datetime,
    sites: Collection[str] | None = None,
    dry: bool = False,
) -> Taken:
    """Take in a report, with all that follows from it, in one transaction.

    Parameters
    ----------
    db, keys
        The server's.
    report : Report
        What the laboratory says.
    by : str
        The account that brings it.
    source : str
        How it came: ``form``, ``csv``, ``api``, ``cli``.
    now : datetime
        The server's time: when it was received.
    sites : collection of str, optional
        Cases of other sites are not to be seen by whoever brings it; such a report is kept unmatched.
    dry : bool
        Only say what would become of it.

    Returns
    -------
    Taken

    Raises
    ------
    LabReportError
        If it is of the future.
    LabConflictError
        If the same report of the same sample is on record with other contents; a correction says so
        (`Report.corrects`) or has a report number of its own.
    """
    for text in (report.measured_utc, report.reported_utc):
        if text and text > to_text(now + _AHEAD):
            raise LabReportError("A result cannot be of the future; see to its times.")
    sha256 = hashlib.sha256(dumps(report.content())).hexdigest()
    prepared = _prepared(report)
    if dry:
        with db.read() as tx:
            return _foreseen(tx, report, sha256, sites)
    with db.begin() as tx:
        if (before := _before(tx, report, sha256)) is not None:
            return before
        case, item, why = _placed(tx, report, sites)
        n = _next(tx, lab_results.c.n)
        facts = {
            "result_n": n,
            "laboratory": report.laboratory,
            "sample": report.sample_ref,
            "report": report.report_ref,
            "stage": report.stage,
            "result": report.result,
            "sha256": sha256,
        }
        subject = f"lab-result:{n}" if case is None else case["case_id"]
        row = {
            **prepared,
            "n": n,
            "received_utc": to_text(now),
            "by": by,
            "source": source,
            "sha256": sha256,
            "audit_n": audit.append(tx, by, "lab-result", subject, facts, now=now),
        }
        tx.execute(lab_results.insert(), row)
        if case is None:
            return _stepped(tx, row, "unmatched", why, None, None, None, by=by, now=now)
        return _settle(tx, keys, row, case["case_id"], item, by=by, now=now)


def _prepared(report: Report) -> dict[str, Any]:
    """The row of a report, before anything is known of its case."""
    classes = [
        classification.classify(one.slug, component={"name": one.name} if one.name else None)
        for one in report.substances
    ]
    dangerous = classification.is_dangerous(classes)
    names = ("laboratory", "sample_ref", "report_ref", "stage", "result", "corrects", "sampling", "analyst",
             "note", "measured_utc", "reported_utc")  # fmt: skip
    return {
        **{name: getattr(report, name) for name in names},
        "methods": json.dumps(report.methods),
        "categories": json.dumps(methods.categories(report.methods)),
        "substances": json.dumps([asdict(one) for one in report.substances]),
        "precautions": json.dumps(_precautions(report, dangerous=dangerous)),
        "dangerous": dangerous,
        "said_case": report.case_id,
        "said_device": report.device_id,
        "said_seizure": report.seizure_ref,
        "said_item": report.item_ref,
    }


def _precautions(report: Report, *, dangerous: bool) -> tuple[str, ...]:
    """What to do about what the laboratory found, in words."""
    from spectralid.verdict.hazards import precautions

    known = classification.compounds().by_slug
    found = [known[one.slug] for one in report.substances if one.slug in known]
    unknown = len(found) < len(report.substances)
    if not report.substances:
        return ()
    families = ("fentanyl-related",) if dangerous else ()
    return tuple(one[:500] for one in precautions(found, families, unknown=unknown))[:15]


def _before(tx: Connection, report: Report, sha256: str) -> Taken | None:
    """What became of exactly this report, if it is on record."""
    columns = lab_results.c
    rows = tx.execute(
        sa.select(columns.n, columns.sha256).where(
            columns.laboratory == report.laboratory,
            columns.sample_ref == report.sample_ref,
            columns.report_ref == report.report_ref,
        )
    ).all()
    for row in rows:
        if row.sha256 == sha256:
            return _known(tx, row.n)
    if rows and report.report_ref and report.corrects != report.report_ref:
        raise LabConflictError(
            f"The report {report.report_ref!r} on the sample {report.sample_ref!r} is on record with other "
            "contents; a correction states the number of the report that it corrects."
        )
    return None


def _known(tx: Connection, n: int) -> Taken:
    step = _last_step(tx, n)
    case_id = step["case_id"]
    state = cases.get(tx, case_id)["state"] if case_id else None
    return Taken(
        n, 200, step["what"], step["why"], case_id, step["item_ref"], state, step["answer_id"]
    )  # fmt: skip


def _foreseen(tx: Connection, report: Report, sha256: str, sites: Collection[str] | None) -> Taken:
    if (before := _before(tx, report, sha256)) is not None:
        return before
    case, item, why = _placed(tx, report, sites)
    if case is None:
        return Taken(0, 201, "unmatched", why, None, None, None, None)
    row = {**_prepared(report), "n": 1 << 53}
    if why := _changes_nothing(tx, row, case["case_id"], item):
        return Taken(0, 201, "noted", why, case["case_id"], item, case["state"], None)
    what = "applied" if case["state"] in _READY else "waiting"
    return Taken(0, 201, what, "", case["case_id"], item, case["state"], None)


# --- what follows ------------------------------------------------------------------------------------------


def _last_step(tx: Connection, n: int) -> dict[str, Any]:
    chosen = sa.select(lab_steps).where(lab_steps.c.result_n == n).order_by(lab_steps.c.step.desc()).limit(1)
    row = tx.execute(chosen).mappings().first()
    if row is None:
        raise NotFoundError(f"There is no laboratory result {n}.")
    return dict(row)


def _stepped(
    tx: Connection,
    row: Mapping[str, Any],
    what: What,
    why: str,
    case_id: str | None,
    item: str | None,
    answer_id: str | None,
    *,
    by: str,
    now: datetime,
) -> Taken:
    """Write what became of a report."""
    n = row["n"]
    last = tx.execute(
        sa.select(sa.func.coalesce(sa.func.max(lab_steps.c.step), 0)).where(lab_steps.c.result_n == n)
    ).scalar_one()
    facts = {"result_n": n, "what": what, "why": why, "item": item}
    step = {
        "result_n": n,
        "step": int(last) + 1,
        "what": what,
        "why": why,
        "case_id": case_id,
        "item_ref": item,
        "answer_id": answer_id,
        "utc": to_text(now),
        "by": by,
        "audit_n": audit.append(tx, by, "lab-step", case_id or f"lab-result:{n}", facts, now=now),
    }
    tx.execute(lab_steps.insert(), step)
    state = cases.get(tx, case_id)["state"] if case_id else None
    return Taken(n, 201, what, why, case_id, item, state, answer_id)


def _settle(
    tx: Connection,
    keys: ServerKeys,
    row: Mapping[str, Any],
    case_id: str,
    item: str | None,
    *,
    by: str,
    now: datetime,
) -> Taken:
    """Let a report whose case is known do what it does."""
    if row["dangerous"]:
        tx.execute(
            case_table.update()
            .where(case_table.c.case_id == case_id)
            .values(high_hazard=True, priority=FIRST)
        )
    if why := _changes_nothing(tx, row, case_id, item):
        _stepped(tx, row, "noted", why, case_id, item, None, by=by, now=now)
        if why != "older-report":
            _back_from_laboratory(tx, case_id, by=by, now=now)
        return replace(_known(tx, row["n"]), status=201)
    if cases.get(tx, case_id)["state"] not in _READY:
        answer_id = _tell_waiting(tx, keys, row, case_id, item, now=now)
        return _stepped(tx, row, "waiting", "no-answer-yet", case_id, item, answer_id, by=by, now=now)
    return _apply(tx, keys, row, case_id, item, by=by, now=now)


def _back_from_laboratory(tx: Connection, case_id: str, *, by: str, now: datetime) -> None:
    """A case whose last sample changed nothing is what it was before that was sent."""
    state = cases.get(tx, case_id)["state"]
    if state in (_S.FORWARD_LAB, _S.REGIONAL_LAB) and not _outstanding(tx, case_id):
        cases.move(tx, case_id, "lab_confirmed", actor=by, now=now, facts={"stands": True})


def _changes_nothing(tx: Connection, row: Mapping[str, Any], case_id: str, item: str | None) -> str:
    """Why a report is kept and changes nothing; empty if it counts."""
    others = [one for one in _of_item(tx, case_id, item) if one["n"] < row["n"]]
    same = [one for one in others if _same_sample(one, row)]
    if same and row["reported_utc"] and not row["corrects"]:
        newest = same[-1]["reported_utc"]
        if newest and row["reported_utc"] < newest:
            return "older-report"
    standing = _standing_now(tx, row, case_id, others)
    if standing is None:
        return ""
    if row["stage"] == "forward" and standing["stage"] == "regional":
        return "regional-decided"
    return "conclusive-stands" if row["result"] == "inconclusive" and not same else ""


def _standing_now(
    tx: Connection, row: Mapping[str, Any], case_id: str, others: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """What another sample has confirmed of the answer that is in force: of this round of the case.

    What was refuted is not among it: a new answer has been given since.
    """
    opened = sa.select(rounds.c.opened_utc).join(
        case_table,
        sa.and_(case_table.c.case_id == rounds.c.case_id, case_table.c.round == rounds.c.round),
    )
    since = tx.execute(opened.where(rounds.c.case_id == case_id)).scalar() or ""
    chosen = _chosen([one for one in others if one["what"] == "applied" and one["placed_utc"] >= since])
    if chosen is None or chosen["result"] != "confirmed" or _same_sample(chosen, row):
        return None
    return chosen


def _same_sample(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[name] == other[name] for name in ("laboratory", "sample_ref", "stage"))


def _of_item(tx: Connection, case_id: str, item: str | None) -> list[dict[str, Any]]:
    """Reports on an item that were applied or wait to be, oldest first."""
    newest = (
        sa.select(lab_steps.c.result_n, sa.func.max(lab_steps.c.step).label("step"))
        .where(lab_steps.c.case_id == case_id)
        .group_by(lab_steps.c.result_n)
        .subquery()
    )
    rows = tx.execute(
        sa.select(
            lab_results,
            lab_steps.c.what,
            lab_steps.c.why,
            lab_steps.c.item_ref,
            lab_steps.c.answer_id,
            lab_steps.c.utc.label("placed_utc"),
        )
        .join(newest, newest.c.result_n == lab_results.c.n)
        .join(
            lab_steps, sa.and_(lab_steps.c.result_n == newest.c.result_n, lab_steps.c.step == newest.c.step)
        )
        .where(lab_steps.c.what.in_(_COUNTING), lab_steps.c.case_id == case_id)
        .order_by(lab_results.c.n)
    ).mappings()
    return [_effective(row) for row in rows if item is None or row["item_ref"] in (None, item)]


def _effective(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row with the result that counts."""
    counts = "refuted" if row["why"] == _CONTRADICTS else row["result"]
    return {**row, "reported": row["result"], "result": counts}


def _chosen(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The report that counts: of the regional laboratory before the forward one, then the newest."""
    in_force = [row for i, row in enumerate(rows) if not any(_same_sample(row, one) for one in rows[i + 1 :])]
    decided = [row for row in in_force if row["result"] != "inconclusive"] or in_force
    return max(decided, key=lambda row: (row["stage"] == "regional", row["n"]), default=None)


def _path(state: str, stage: str, result: str) -> tuple[str, ...]:
    """The steps from where a case is to a result of a stage."""
    steps: list[str] = []
    if state in (_S.ANSWERED, _S.DELIVERED) or (state in _RESULTS and stage == "forward"):
        steps.append("forward_lab")
    if stage == "regional" and state != _S.REGIONAL_LAB:
        steps.append("regional_lab")
    return (*steps, f"lab_{result}")


def _apply(
    tx: Connection,
    keys: ServerKeys,
    row: Mapping[str, Any],
    case_id: str,
    item: str | None,
    *,
    by: str,
    now: datetime,
) -> Taken:
    case = cases.get(tx, case_id)
    before = _chosen([one for one in _of_item(tx, case_id, item) if one["n"] != row["n"]])
    told_refuted = before is not None and before["what"] == "applied" and before["result"] == "refuted"
    contradicts = row["result"] == "confirmed" and _contradicts(tx, row, case_id)
    if contradicts:
        row = {**row, "result": "refuted", "contradicts": True}
    for event in _path(case["state"], row["stage"], row["result"]):
        facts: dict[str, Any] = {"result_n": row["n"]} if event.startswith("lab_") else {"implied": True}
        cases.move(tx, case_id, event, actor=by, now=now, facts=facts)
    kind = cast(Outcome, row["result"])
    again = before is not None and _same_sample(before, row)
    said_by = lab_words.laboratory(row)
    answer = answers.publish(
        tx, keys, case_id, "lab_result", by=said_by, now=now, lab=kind,
        headline=lab_words.headline(row, again=again), words=lab_words.words(row, again=again),
        precautions=_all_precautions(tx, row, case_id, item),
        item_ref=item if len(items_of(tx, case_id)) > 1 else None,
    )  # fmt: skip
    if kind == "refuted":
        cases.move(tx, case_id, "reopen", actor=by, now=now, facts={"result_n": row["n"], "why": "refuted"})
    if kind == "refuted" or told_refuted:
        words = lab_words.linked_words(case, row)
        answers.notify_linked(
            tx, keys, case_id, headline=lab_words.LINKED[kind], words=words, by=said_by, now=now
        )
    why = _CONTRADICTS if contradicts else ""
    return _stepped(tx, row, "applied", why, case_id, item, answer.answer_id, by=by, now=now)


def _contradicts(tx: Connection, row: Mapping[str, Any], case_id: str) -> bool:
    """Whether what a laboratory found is another than what the newest decision names."""
    found = json.loads(row["substances"])
    decided = _decided(tx, case_id)
    if not found or decided is None or decided["verdict"] not in _NAMED:
        return False
    answered = classification.interesting(decided["substances"])
    there = classification.interesting(one["slug"] for one in found)
    if answered & there or not answered | there:
        return False
    return {classification.classify(one).family for one in answered}.isdisjoint(
        classification.classify(one).family for one in there
    )


def _decided(tx: Connection, case_id: str) -> dict[str, Any] | None:
    """The newest decision on a case."""
    columns = adjudications.c
    chosen = sa.select(columns.content).where(columns.case_id == case_id, columns.kind == "decision")
    content = tx.execute(chosen.order_by(columns.audit_n.desc()).limit(1)).scalar()
    return None if content is None else dict(json.loads(content)["said"])


def _of_another(tx: Connection, row: Mapping[str, Any], case_id: str) -> bool:
    """Whether a result that waited, and names nothing, confirmed another answer than the one now given.

    It was of what the field had said when it came.
    """
    if row["result"] != "confirmed" or json.loads(row["substances"]):
        return False
    decided = _decided(tx, case_id)
    columns = scans.c
    newest = sa.select(columns.substances).where(
        columns.case_id == case_id, columns.decision.in_(_NAMED), columns.received_utc <= row["received_utc"]
    )
    told = tx.execute(newest.order_by(columns.received_utc.desc(), columns.seq.desc()).limit(1)).scalar()
    if decided is None or told is None:
        return False
    both = (classification.interesting(one) for one in (decided["substances"], json.loads(told)))
    return len(set(both)) > 1


def after_answer(tx: Connection, keys: ServerKeys, case_id: str, *, now: datetime) -> str:
    """Whatever of the laboratory waited for the answer of a case: samples sent, results that are there.

    Called in the transaction of the answer.

    Parameters
    ----------
    tx, keys, case_id, now
        Of the answer.

    Returns
    -------
    str
        Where the case stands after it.
    """
    state = str(cases.get(tx, case_id)["state"])
    waiting = [row for row in _of_item(tx, case_id, None) if row["what"] == "waiting"]
    for row in waiting:
        if state not in _READY:
            break
        why = _changes_nothing(tx, row, case_id, row["item_ref"])
        if why:
            _stepped(tx, row, "noted", why, case_id, row["item_ref"], None, by="server", now=now)
        elif _of_another(tx, row, case_id):
            _stepped(tx, row, "unmatched", "of-another-answer", None, None, None, by="server", now=now)
        else:
            taken = _apply(tx, keys, row, case_id, row["item_ref"], by="server", now=now)
            state = str(taken.state)
    if state == _S.ANSWERED and (stage := _outstanding(tx, case_id)):
        _to_laboratory(tx, cases.get(tx, case_id), stage, by="server", now=now)
        state = str(cases.get(tx, case_id)["state"])
    return state


def _outstanding(tx: Connection, case_id: str) -> str:
    """The stage at which a sample of the case is, whose result has not come; empty for none."""
    samples = lab_samples.c
    found = set(
        tx.execute(sa.select(samples.stage).where(samples.case_id == case_id, ~result_came())).scalars()
    )
    return "regional" if "regional" in found else "forward" if found else ""


def result_came() -> sa.ColumnElement[bool]:
    """For queries of `lab_samples`: whether a result of the sample is on record, and placed."""
    return (
        sa.select(lab_results.c.n)
        .join_from(lab_results, lab_steps, lab_steps.c.result_n == lab_results.c.n)
        .where(
            lab_results.c.laboratory == lab_samples.c.laboratory,
            lab_results.c.sample_ref == lab_samples.c.sample_ref,
            lab_steps.c.case_id == lab_samples.c.case_id,
        )
        .exists()
    )


def _match_waiting_sample(
    tx: Connection,
    keys: ServerKeys,
    laboratory: str,
    sample_ref: str,
    case_id: str,
    item: str | None,
    *,
    by: str,
    now: datetime,
) -> None:
    """Reports that came before anybody said whose sample it was."""
    columns = lab_results.c
    rows = tx.execute(
        sa.select(lab_results)
        .where(columns.laboratory == laboratory, columns.sample_ref == sample_ref)
        .order_by(columns.n)
    ).mappings().all()  # fmt: skip
    for row in map(dict, rows):
        last = _last_step(tx, row["n"])
        if last["what"] == "unmatched" and last["why"] == "no-case-named":
            _settle(tx, keys, row, case_id, item, by=by, now=now)


def _all_precautions(
    tx: Connection, row: Mapping[str, Any], case_id: str, item: str | None
) -> tuple[str, ...]:
    """Those of what was found, then those that hold already: a result never takes one away."""
    held = answers.precautions_in_force(tx, case_id, item)
    return tuple(dict.fromkeys([*json.loads(row["precautions"]), *held]))[:30]


def _tell_waiting(
    tx: Connection, keys: ServerKeys, row: Mapping[str, Any], case_id: str, item: str | None, *, now: datetime
) -> str:
    """Tell the officer at once that a result is there, though the case has no answer to set against it.

    Where the laboratory takes back what it said, the answer that said it is superseded; else it is a notice.
    """
    same = [
        one for one in _of_item(tx, case_id, item)
        if one["n"] != row["n"] and one["what"] == "applied" and _same_sample(one, row)
    ]  # fmt: skip
    if same:
        said = "The laboratory corrected its report; the answer follows"
        meaning = "The laboratory has taken its earlier report back. A chemist is looking at the case."
    else:
        said = "A laboratory result has come; the chemist's answer follows"
        meaning = "A laboratory result came before the answer of reachback, which will take it in."
    answer = answers.publish(
        tx, keys, case_id, "lab_result" if same else "notice", by=lab_words.laboratory(row), now=now,
        headline=lab_words.with_found(said, row),
        words=" ".join([meaning, "Treat the item as hazardous until then.", *lab_words.facts(row)]),
        precautions=_all_precautions(tx, row, case_id, item),
        item_ref=item if len(items_of(tx, case_id)) > 1 else None,
    )  # fmt: skip
    return answer.answer_id


# --- what nobody could place -------------------------------------------------------------------------------


def resolve(
    db: Database,
    keys: ServerKeys,
    n: int,
    case_id: str,
    *,
    item_ref: str = "",
    by: str,
    now: datetime,
) -> Taken:
    """Say of which case and item an unmatched report is; it then does what it does.

    Raises
    ------
    NotFoundError
        If there is no such report or case.
    ConflictError
        If the report is not unmatched.
    LabReportError
        If it is not clear of which item it is.
    """
    line("item_ref", item_ref, 0)
    with db.begin() as tx:
        row = _unmatched(tx, n)
        cases.get(tx, case_id)
        item, why = _item(tx, case_id, item_ref or row["said_item"])
        if why:
            raise LabReportError(_ITEM_WORDS[why])
        return _settle(tx, keys, row, case_id, item, by=by, now=now)


def dismiss(db: Database, n: int, *, why: str, by: str, now: datetime) -> Taken:
    """Say that an unmatched report is of no case here; it stays on record.

    Raises
    ------
    NotFoundError, ConflictError
        As for `resolve`.
    LabReportError
        If no reason is given.
    """
    line("why", why, 1, 500)
    with db.begin() as tx:
        return _stepped(tx, _unmatched(tx, n), "dismissed", why, None, None, None, by=by, now=now)


def _unmatched(tx: Connection, n: int) -> dict[str, Any]:
    what = _last_step(tx, n)["what"]
    if what != "unmatched":
        raise ConflictError(f"The laboratory result {n} is {what}; only an unmatched one can be placed.")
    row = tx.execute(sa.select(lab_results).where(lab_results.c.n == n)).mappings().one()
    return dict(row)


# --- reading -----------------------------------------------------------------------------------------------


def listed(
    db: Database,
    *,
    what: str = "",
    sites: Collection[str] | None = None,
    before: int | None = None,
    limit: int = 200,
) -> tuple[Result, ...]:
    """Reports, newest first.

    Parameters
    ----------
    db : Database
        The server's.
    what : str
        Only those of which that became.
    sites : collection of str, optional
        Only those of cases of these; and the unmatched.
    before : int, optional
        Only those with smaller numbers, for paging.
    limit : int
        At most so many.
    """
    chosen = _joined()
    if what:
        chosen = chosen.where(lab_steps.c.what == what)
    if before is not None:
        chosen = chosen.where(lab_results.c.n < before)
    if sites is not None:
        chosen = chosen.outerjoin(case_table, case_table.c.case_id == lab_steps.c.case_id).where(
            sa.or_(lab_steps.c.case_id.is_(None), case_table.c.site_ref.in_(sorted(sites)))
        )
    with db.read() as tx:
        rows = tx.execute(chosen.order_by(lab_results.c.n.desc()).limit(limit)).mappings().all()
    return tuple(_result(row) for row in rows)


def of_case(db: Database, case_id: str) -> tuple[Result, ...]:
    """Reports on a case, oldest first, each saying whether a later one took its place."""
    with db.read() as tx:
        return _results(tx, lab_steps.c.case_id == case_id)


def _joined() -> sa.Select[Any]:
    steps = lab_steps.alias()
    newest = sa.select(sa.func.max(steps.c.step)).where(steps.c.result_n == lab_results.c.n)
    return sa.select(
        lab_results,
        lab_steps.c.what,
        lab_steps.c.why,
        lab_steps.c.case_id,
        lab_steps.c.item_ref,
        lab_steps.c.answer_id,
        lab_steps.c.utc.label("placed_utc"),
    ).join_from(
        lab_results,
        lab_steps,
        sa.and_(lab_steps.c.result_n == lab_results.c.n, lab_steps.c.step == newest.scalar_subquery()),
    )


def of_cases(tx: Connection, case_ids: Collection[str]) -> tuple[Result, ...]:
    """As `of_case`, for many."""
    return _results(tx, lab_steps.c.case_id.in_(case_ids))


def _results(tx: Connection, *where: sa.ColumnElement[bool]) -> tuple[Result, ...]:
    rows = tx.execute(_joined().where(*where).order_by(lab_results.c.n)).mappings().all()
    newest = {_sample_of(row): row["n"] for row in rows if row["what"] in _COUNTING}
    return tuple(
        _result(row, superseded=row["what"] in _COUNTING and newest[_sample_of(row)] > row["n"])
        for row in rows
    )


def _sample_of(row: Mapping[Any, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("case_id", "laboratory", "sample_ref", "stage"))


def _result(row: Mapping[Any, Any], *, superseded: bool = False) -> Result:
    row = _effective(row)
    facts = {name: row[name] for name in Result.__dataclass_fields__ if name in row}
    facts |= {
        "methods": tuple(json.loads(row["methods"])),
        "categories": tuple(json.loads(row["categories"])),
        "substances": tuple(Substance(**one) for one in json.loads(row["substances"])),
        "said": {
            "case_id": row["said_case"],
            "device_id": row["said_device"],
            "seizure_ref": row["said_seizure"],
            "item_ref": row["said_item"],
        },
    }
    return Result(**facts, superseded=superseded)


def standing(results: Iterable[Result], *, waiting: bool = False) -> dict[str | None, Result]:
    """The report that counts for each item: of the regional laboratory before any other, then the newest.

    Parameters
    ----------
    results : iterable of Result
        Of one case, oldest first.
    waiting : bool
        Whether those count too that wait for an answer.
    """
    found: dict[str | None, list[Result]] = {}
    for one in results:
        if one.what == "applied" or (waiting and one.what == "waiting"):
            found.setdefault(one.item_ref, []).append(one)
    chosen = {item: _chosen([_Plain(one) for one in rows]) for item, rows in found.items()}
    return {item: cast(_Plain, row).result for item, row in chosen.items() if row is not None}


class _Plain(Mapping[str, Any]):
    """A result, read as a row."""

    def __init__(self, result: Result) -> None:
        self.result = result

    def __getitem__(self, name: str) -> Any:
        return getattr(self.result, name)

    def __iter__(self) -> Any:
        return iter(Result.__dataclass_fields__)

    def __len__(self) -> int:
        return len(Result.__dataclass_fields__)


def status(db: Database, case_id: str) -> dict[str, str]:
    """What a laboratory has said of each item of a case, as `spectralid.report` takes it.

    Refuted is what was reported of the field's result; a chemist's answer after it is presumptive again.
    """
    return {item: one.result for item, one in standing(of_case(db, case_id)).items() if item is not None}
