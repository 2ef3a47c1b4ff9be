"""The laboratory loop over HTTP: samples, results by form and by file, what nobody could place, figures."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import AfterValidator, Field, StringConstraints
from starlette.concurrency import run_in_threadpool

from spectralid.casework.messages import parse_utc
from spectralid.errors import ParameterError, RecordError
from spectralid.reachback.api import problems
from spectralid.reachback.api.access import Actor, requires, see_case
from spectralid.reachback.api.bodies import CaseId, DeskNow, Limit, Model, Ref, Sent
from spectralid.reachback.api.desk import Desk
from spectralid.reachback.api.drawing import drawn
from spectralid.reachback.lab import ages, laboratory, results_csv, scoreboard
from spectralid.reachback.lab.methods import METHODS, SOURCE, categories
from spectralid.reachback.lab.reports import Report, Substance
from spectralid.reachback.lab.reports import Taken as CoreTaken

__all__ = ["router"]

router = APIRouter(tags=["laboratory"])

_CSV = "text/csv; charset=utf-8"
_LONGEST = timedelta(days=3660)


def _readable(text: str) -> str:
    if not all(one.isprintable() or one in "\n\r\t" for one in text):
        raise ValueError("it has characters in it that cannot be shown")
    return text


_Maybe = Annotated[str, StringConstraints(max_length=100), AfterValidator(_readable)]
_Note = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_readable)]
_Share = Annotated[float, Field(ge=0, le=1)]
_When = Annotated[str, StringConstraints(max_length=40), AfterValidator(_readable)]
_N = Annotated[int, Path(ge=1, le=2**53)]


# --- what is said ------------------------------------------------------------------------------------------


class FoundSubstance(Sent):
    """A substance that was found: slug of the compound table, mass share and its expanded uncertainty."""

    slug: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    name: Annotated[str, StringConstraints(max_length=200), AfterValidator(_readable)] = ""
    share: _Share | None = None
    uncertainty: _Share | None = None


class LabReport(Sent):
    """A result of a laboratory; see `spectralid.reachback.lab.reports.Report`."""

    laboratory: Ref
    sample_ref: Ref
    stage: Literal["forward", "regional"] = "forward"
    result: Literal["confirmed", "refuted", "inconclusive"]
    report_ref: _Maybe = ""
    methods: Annotated[list[Ref], Field(min_length=1, max_length=20)]
    substances: Annotated[list[FoundSubstance], Field(default_factory=list, max_length=50)]
    item_ref: _Maybe = ""
    corrects: _Maybe = ""
    sampling: Literal["", "escalated", "routine", "qa_sample"] = ""
    analyst: _Maybe = ""
    note: _Note = ""
    measured_utc: _When = ""
    reported_utc: _When = ""


class LabReportAnywhere(LabReport):
    """A result whose case is named by seizure, by device and seizure, or by a sample that was registered."""

    case_id: _Maybe = ""
    device_id: _Maybe = ""
    seizure_ref: _Maybe = ""


class LabTaken(Model):
    """What became of it: applied, waiting, noted, unmatched, dismissed."""

    n: int
    status: Literal[200, 201]
    what: str
    why: str
    case_id: str | None
    item_ref: str | None
    state: str | None
    answer_id: str | None


class SubstanceSaid(Model):
    """A substance of a report."""

    slug: str
    name: str
    share: float | None
    uncertainty: float | None


class LabResult(Model):
    """A report on record, and what became of it."""

    n: int
    laboratory: str
    sample_ref: str
    report_ref: str
    stage: str
    result: str
    reported: str
    methods: list[str]
    categories: list[str]
    substances: list[SubstanceSaid]
    said: dict[str, str]
    dangerous: bool
    corrects: str
    sampling: str
    analyst: str
    note: str
    measured_utc: str
    reported_utc: str
    received_utc: str
    by: str
    source: str
    what: str
    why: str
    case_id: str | None
    item_ref: str | None
    answer_id: str | None
    placed_utc: str
    superseded: bool


class LabResults(Model):
    """Reports, newest first; for a case, oldest first."""

    results: list[LabResult]


class SampleSent(Sent):
    """A sample that goes to a laboratory."""

    laboratory: Ref
    sample_ref: Ref
    stage: Literal["forward", "regional"] = "forward"
    item_ref: _Maybe = ""
    sampling: Literal["", "escalated", "routine", "qa_sample"] = ""
    sent_utc: _When = ""


class LabSample(Model):
    """A sample on record."""

    n: int
    case_id: str
    item_ref: str | None
    laboratory: str
    sample_ref: str
    stage: str
    sampling: str
    sent_utc: str
    recorded_utc: str
    by: str


class CaseLaboratory(Model):
    """Everything of the laboratories on a case, and what counts for each item."""

    samples: list[LabSample]
    results: list[LabResult]
    status: dict[str, Literal["confirmed", "refuted", "inconclusive"]]


class BadLine(Model):
    """A line that was not taken, and why."""

    line: int
    why: str


class TakenLine(Model):
    """A line that was taken, and what became of it."""

    line: int
    taken: LabTaken


class CsvTaken(Model):
    """What became of a file."""

    dry: bool
    lines: list[TakenLine]
    bad: list[BadLine]
    ignored: list[str]


class Placement(Sent):
    """Of which case and item an unmatched report is."""

    case_id: Ref
    item_ref: _Maybe = ""


class Dismissal(Sent):
    """Why an unmatched report is of no case here."""

    why: Annotated[Ref, StringConstraints(max_length=500)]


class Method(Model):
    """A method, and the SWGDRUG category of each of its techniques."""

    name: str
    categories: list[str]


class Methods(Model):
    """What can be recorded as a method."""

    source: str
    methods: list[Method]


class AgeSpan(Model):
    """How long one part takes."""

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


class OverdueCase(Model):
    """Something that should have happened."""

    case_id: str
    device_id: str
    seizure_ref: str
    site_ref: str
    state: str
    why: str
    since_utc: str
    hours: float
    laboratory: str
    sample_ref: str


class Ages(Model):
    """How long everything takes, and what is overdue now."""

    since_utc: str
    until_utc: str
    cases: int
    spans: list[AgeSpan]
    overdue: list[OverdueCase]


class Rate(Model):
    """A share with its exact 95 % interval."""

    hits: int
    of: int
    share: float
    low: float
    high: float


class BoardLine(Model):
    """A line of the scoreboard; see `spectralid.reachback.lab.scoreboard.Line`."""

    by: str
    key: str
    sayer: str
    items: int
    verified: int
    inconclusive: int
    outcomes: dict[str, int]
    confirmed: Rate | None
    false_positive: Rate | None
    false_negative: Rate | None
    qa_confirmed: Rate | None
    qa_false_positive: Rate | None
    qa_false_negative: Rate | None
    weighted_confirmed: Rate | None
    weighted_false_positive: Rate | None
    weighted_false_negative: Rate | None
    unseen: float | None


class Board(Model):
    """Presumptive against laboratory."""

    since_utc: str
    until_utc: str
    sampling: dict[str, int]
    caveat: str
    lines: list[BoardLine]


# --- samples and results -----------------------------------------------------------------------------------

Records = Annotated[Actor, Depends(requires("lab.record"))]
Reads = Annotated[Actor, Depends(requires("lab.read"))]


@router.get("/v1/lab-methods", response_model=Methods, summary="Methods, with their SWGDRUG categories")
def lab_methods(_: Reads) -> Methods:
    """What a result may name as its methods."""
    return Methods(
        source=SOURCE, methods=[Method(name=one, categories=list(categories([one]))) for one in METHODS]
    )


@router.post(
    "/v1/cases/{case_id}/lab-samples",
    response_model=LabSample,
    summary="A sample of a case goes to a laboratory",
    responses=problems.declared(404, 409),
)
def send_lab_sample(desk: DeskNow, who: Records, case_id: CaseId, sent: SampleSent) -> Any:
    """Put it on record; the same again changes nothing."""
    see_case(desk, who, case_id)
    return laboratory.send(
        desk.db, desk.keys, case_id, by=who.name, now=desk.now(), **sent.model_dump()
    )  # fmt: skip


@router.post(
    "/v1/cases/{case_id}/lab-results",
    status_code=201,
    response_model=LabTaken,
    summary="A laboratory's result on a case",
    responses={200: {"model": LabTaken, "description": "It was on record"}, **problems.declared(404, 409)},
)
def record_lab_result(
    desk: DeskNow, who: Records, case_id: CaseId, report: LabReport, response: Response
) -> Any:
    """Keep it, and do what follows from it; the same report again changes nothing."""
    see_case(desk, who, case_id)
    return _take(desk, who, _report(report, case_id=case_id), response)


@router.post(
    "/v1/lab-results",
    status_code=201,
    response_model=LabTaken,
    summary="A laboratory's result, its case named by seizure or sample",
    responses={200: {"model": LabTaken, "description": "It was on record"}, **problems.declared(409)},
)
def record_lab_result_anywhere(
    desk: DeskNow, who: Records, report: LabReportAnywhere, response: Response
) -> Any:
    """Keep it; if nobody can tell its case, it waits among the unmatched."""
    return _take(desk, who, _report(report), response)


def _report(sent: LabReport, **more: str) -> Report:
    said = sent.model_dump(exclude={"substances", "methods"})
    found = tuple(Substance(**one.model_dump()) for one in sent.substances)
    return Report(methods=tuple(sent.methods), substances=found, **{**said, **more})


def _take(desk: Desk, who: Actor, report: Report, response: Response) -> CoreTaken:
    taken = laboratory.take(
        desk.db, desk.keys, report, by=who.name, source="api", now=desk.now(), sites=who.sites
    )
    response.status_code = taken.status
    return taken


@router.post(
    "/v1/lab-results/csv",
    response_model=CsvTaken,
    summary="Results of a laboratory's information system",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"text/csv": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def import_lab_results(desk: DeskNow, who: Records, request: Request, dry: bool = False) -> Any:
    """Take the good lines and report each bad one; with ``dry`` only say what would become of them."""
    data = await request.body()
    return await run_in_threadpool(
        results_csv.import_csv,
        desk.db,
        desk.keys,
        data,
        by=who.name,
        now=desk.now(),
        sites=who.sites,
        dry=dry,
    )


What = Literal["", "applied", "waiting", "noted", "unmatched", "dismissed"]


@router.get("/v1/lab-results", response_model=LabResults, summary="Laboratory results, newest first")
def lab_results(
    desk: DeskNow,
    who: Reads,
    what: What = "",
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Limit = 200,
) -> Any:
    """Those of which that became; ``unmatched`` is the list of what a person has to place."""
    found = laboratory.listed(desk.db, what=what, sites=who.sites, before=before, limit=limit)
    return {"results": found}


@router.get(
    "/v1/lab-results/csv",
    response_class=Response,
    summary="Laboratory results as a table",
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def lab_results_csv(desk: DeskNow, who: Reads, what: What = "", limit: Limit = 1000) -> Response:
    """The same as CSV that no spreadsheet takes for formulas."""
    found = laboratory.listed(desk.db, what=what, sites=who.sites, limit=limit)
    return _file(results_csv.listing(found), _CSV, "laboratory-results.csv")


@router.get(
    "/v1/cases/{case_id}/lab-results",
    response_model=CaseLaboratory,
    summary="What laboratories have of a case, and said of it",
    responses=problems.declared(404),
)
def lab_results_of_case(
    desk: DeskNow, who: Annotated[Actor, Depends(requires("case.read"))], case_id: CaseId
) -> Any:
    """Samples, results oldest first, and what counts for each item."""
    see_case(desk, who, case_id)
    return {
        "samples": laboratory.samples_of(desk.db, case_id),
        "results": laboratory.of_case(desk.db, case_id),
        "status": laboratory.status(desk.db, case_id),
    }


@router.post(
    "/v1/lab-results/{n}/placement",
    response_model=LabTaken,
    summary="Of which case and item an unmatched result is",
    responses=problems.declared(404, 409),
)
def place_lab_result(desk: DeskNow, who: Records, n: _N, placement: Placement) -> Any:
    """It then does what it would have done."""
    see_case(desk, who, placement.case_id)
    return laboratory.resolve(
        desk.db, desk.keys, n, placement.case_id, item_ref=placement.item_ref, by=who.name, now=desk.now()
    )


@router.post(
    "/v1/lab-results/{n}/dismissal",
    response_model=LabTaken,
    summary="An unmatched result is of no case here",
    responses=problems.declared(404, 409),
)
def dismiss_lab_result(desk: DeskNow, who: Records, n: _N, dismissal: Dismissal) -> Any:
    """It stays on record."""
    return laboratory.dismiss(desk.db, n, why=dismissal.why, by=who.name, now=desk.now())


# --- figures -----------------------------------------------------------------------------------------------

Quality = Annotated[Actor, Depends(requires("qa.read"))]
Scores = Annotated[Actor, Depends(requires("scoreboard.read"))]
_Since = Annotated[str, Query(max_length=40, description="ISO 8601 with its zone; 30 days ago by default")]
_Until = Annotated[str, Query(max_length=40, description="ISO 8601 with its zone; now by default")]


def _time(desk: Desk, since: str, until: str) -> tuple[datetime, datetime]:
    """From when to when, 30 days by default, ten years at most."""
    try:
        end = parse_utc(until) if until else desk.now()
        begin = parse_utc(since) if since else end - timedelta(days=30)
    except (RecordError, OverflowError):
        raise ParameterError("since, until", f"{since} {until}"[:80], "times with their zone") from None
    if not timedelta(0) < end - begin < _LONGEST:
        raise ParameterError("since, until", f"{since} {until}"[:80], "in order, at most ten years apart")
    return begin, end


@router.get("/v1/qa/ages", response_model=Ages, summary="How long everything takes, and what is overdue")
def qa_ages(desk: DeskNow, who: Quality, since: _Since = "", until: _Until = "") -> Any:
    """From the scan to the laboratory's result on the officer's screen."""
    begin, end = _time(desk, since, until)
    found = ages.ages(desk.db, since=begin, until=end, sites=who.sites)
    return {**found.to_dict(), "overdue": ages.overdue(desk.db, now=desk.now(), sites=who.sites)}


@router.get(
    "/v1/qa/ages/csv",
    response_class=Response,
    summary="How long everything takes, as a table",
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def qa_ages_csv(desk: DeskNow, who: Quality, since: _Since = "", until: _Until = "") -> Response:
    """The spans as CSV."""
    begin, end = _time(desk, since, until)
    found = ages.ages(desk.db, since=begin, until=end, sites=who.sites)
    return _file(ages.ages_csv(found), _CSV, "ages.csv")


@router.get("/v1/qa/scoreboard", response_model=Board, summary="Presumptive against laboratory")
def qa_scoreboard(desk: DeskNow, who: Scores, since: _Since = "", until: _Until = "") -> Any:
    """Counts, agreement and errors with intervals, of the field and of the chemists."""
    return _board(desk, who, since, until)


@router.get(
    "/v1/qa/scoreboard/csv",
    response_class=Response,
    summary="Presumptive against laboratory, as a table",
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def qa_scoreboard_csv(desk: DeskNow, who: Scores, since: _Since = "", until: _Until = "") -> Response:
    """The same as CSV."""
    return _file(_board(desk, who, since, until).to_csv(), _CSV, "scoreboard.csv")


@router.get(
    "/v1/qa/scoreboard/figure",
    response_class=Response,
    summary="Presumptive against laboratory, drawn",
    responses={200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}}},
)
def qa_scoreboard_figure(
    desk: DeskNow,
    who: Scores,
    since: _Since = "",
    until: _Until = "",
    by: Literal["device", "site", "technique", "library", "engine", "substance", "family"] = "device",
    sayer: Literal["field", "chemist"] = "field",
) -> Response:
    """Confirmed among verified with its interval, and weighted to all items."""
    import io

    board, file = _board(desk, who, since, until), io.StringIO()
    drawn(lambda: scoreboard.figure(board, by, sayer).savefig(file, format="svg"))
    return _file(file.getvalue().encode(), "image/svg+xml", "scoreboard.svg")


def _board(desk: Desk, who: Actor, since: str, until: str) -> scoreboard.Scoreboard:
    begin, end = _time(desk, since, until)
    return scoreboard.scoreboard(desk.db, since=begin, until=end, sites=who.sites)


def _file(data: bytes, media_type: str, name: str) -> Response:
    return Response(
        data, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
