"""What seizures have to do with each other: similar ones, the graph, trends, alerts and bulletins."""

from __future__ import annotations

import threading
import weakref
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AfterValidator, Field, StringConstraints

from spectralid.casework.clock import to_text
from spectralid.reachback.api import problems
from spectralid.reachback.api.access import Actor, requires, see_case
from spectralid.reachback.api.bodies import CaseId, DeskNow, Limit, Model, Sent, Words, printable
from spectralid.reachback.api.desk import Desk
from spectralid.reachback.intelligence import alerts, graph, linkage_archive, links, trends
from spectralid.reachback.intelligence.bulletin import (
    bulletin_csv,
    bulletin_facts,
    bulletin_json,
    bulletin_pdf,
)
from spectralid.reachback.intelligence.linkage_archive import Fingerprints
from spectralid.reachback.store.database import Database

__all__ = ["archive_of", "router"]

router = APIRouter(tags=["intelligence"])

# What one request may take up: a graph of so many cases is some seconds of work.
_MOST_NODES = 300
_MOST_DAYS = 400

_Month = Annotated[str, Path(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", max_length=7)]
_AlertId = Annotated[str, Path(min_length=1, max_length=40), AfterValidator(printable)]
_Days = Annotated[int, Query(ge=1, le=_MOST_DAYS)]

_archives: weakref.WeakKeyDictionary[Database, Fingerprints] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def archive_of(desk: Desk) -> Fingerprints:
    """The fingerprints of a server, up to date; they are held in memory as long as it runs."""
    linkage_archive.catch_up(desk.db)
    with _making:
        archive = _archives.setdefault(desk.db, Fingerprints())
    archive.refresh(desk.db)
    return archive


# --- what is said ------------------------------------------------------------------------------------------


class SimilarCase(Model):
    """A seizure that may be of the same mixture."""

    case_id: str
    site_ref: str
    state: str
    opened_utc: str
    log10_ratio: float
    capped: bool
    words: str
    log10_substances: float
    item_ref: str
    other_item: str
    technique: str
    pairs: int
    cosine: float
    same_unit: bool
    linked: list[str]


class SimilarCases(Model):
    """The most similar seizures, and among how many they were found."""

    case_id: str
    searched: int
    alike: int
    proposition: str
    alternative: str
    limits: str
    similar: list[SimilarCase]


class Accepted(Model):
    """Whether the link is new, and what it rests on."""

    new: bool
    fact: str


class Node(Model):
    """A case of the graph."""

    case_id: str
    label: str
    site: str
    mode: str
    opened_utc: str
    state: str
    found: list[str]
    presumptive: bool


class Edge(Model):
    """A link of the graph."""

    case_id: str
    other_id: str
    log10_ratio: float
    log10_substances: float
    capped: bool
    words: str
    item_ref: str
    other_item: str
    technique: str
    pairs: int
    cosine: float
    same_unit: bool


class Component(Model):
    """Cases that hang together; `groups` are those every two of which go together."""

    cases: list[str]
    groups: list[list[str]]
    chained: bool


class Graph(Model):
    """Seizures and links between them."""

    schema_: str = Field(alias="schema")
    complete: bool
    nodes: list[Node]
    edges: list[Edge]
    components: list[Component]


class Cell(Model):
    """How often something was found; see `spectralid.reachback.intelligence.trends.Cell`."""

    period: str
    key: str
    label: str
    where: str
    confirmed: int
    presumptive: int
    of: int
    share: float | None
    low: float | None
    high: float | None
    small: bool


class Sighting(Model):
    """The first time something was seen."""

    level: str
    key: str
    label: str
    path: str
    case_id: str
    utc: str
    site: str
    mode: str
    basis: str
    presumptive: bool


class Trends(Model):
    """Counts and shares, and what is new."""

    level: str
    period: str
    split: str
    since: str
    cells: list[Cell]
    first_sightings: list[Sighting]


class Alert(Model):
    """Something that a person should look at."""

    alert_id: str
    kind: str
    subject: str
    headline: str
    facts: dict[str, Any]
    case_ids: list[str]
    raised_utc: str
    acknowledged_by: str | None
    acknowledged_utc: str | None
    note: str | None


class Alerts(Model):
    """Alerts, the newest first."""

    alerts: list[Alert]


class Acknowledgement(Sent):
    """What came of it."""

    note: Annotated[Words, StringConstraints(max_length=alerts.LONGEST_NOTE)] = ""


# --- similar seizures --------------------------------------------------------------------------------------


@router.get(
    "/v1/cases/{case_id}/similar",
    response_model=SimilarCases,
    summary="Similar seizures",
    responses=problems.declared(404),
)
def read_similar(
    case_id: CaseId,
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("similar.read"))],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> SimilarCases:
    """Seizures whose whole mixture looks like this one's, with likelihood ratios and words."""
    see_case(desk, who, case_id)
    archive = archive_of(desk)
    found = links.similar(desk.db, archive, case_id, sites=who.sites, limit=limit)
    return SimilarCases(
        case_id=case_id,
        searched=found.searched,
        alike=found.alike,
        proposition=links.PROPOSITION,
        alternative=links.ALTERNATIVE,
        limits=links.LIMITS,
        similar=[SimilarCase(**one) for one in found.rows],
    )


@router.post(
    "/v1/cases/{case_id}/similar/{other_id}",
    response_model=Accepted,
    status_code=201,
    summary="Accept a similar seizure as linked",
    responses=problems.declared(404),
)
def accept_similar(
    case_id: CaseId,
    other_id: CaseId,
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("link.write"))],
) -> Accepted:
    """Link two seizures by their fingerprints; what the link rests on is computed here, not sent."""
    for one in (case_id, other_id):
        see_case(desk, who, one)
    new, fact = links.accept(desk.db, archive_of(desk), case_id, other_id, by=who.name, now=desk.now())
    return Accepted(new=new, fact=fact)


@router.get("/v1/graph", response_model=None, summary="The graph of seizures", responses={
    200: {
        "model": Graph,
        "content": {"application/graphml+xml": {"schema": {"type": "string"}}},
        "description": "As JSON or GraphML.",
    },
})  # fmt: skip
def read_graph(
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("intelligence.read"))],
    days: _Days = 31,
    format: Annotated[Literal["json", "graphml"], Query()] = "json",
) -> Response:
    """Seizures of the last days, the newest 300 at most, joined where the fingerprints support it."""
    now = desk.now()
    archive = archive_of(desk)
    seizures = trends.within(
        trends.collect(desk.db, until=now, sites=who.sites), now - timedelta(days=days), now
    )
    shown = seizures[-_MOST_NODES:]
    made = graph.build(archive, links.nodes(desk.db, shown))
    if format == "graphml":
        return Response(made.to_graphml(), media_type="application/graphml+xml")
    said = Graph(**made.to_dict(), complete=len(shown) == len(seizures))
    return Response(said.model_dump_json(by_alias=True), media_type="application/json")


# --- trends and alerts -------------------------------------------------------------------------------------


@router.get("/v1/trends", response_model=Trends, summary="Counts, shares and first sightings")
def read_trends(
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("intelligence.read"))],
    level: Annotated[Literal["substance", "class", "group"], Query()] = "class",
    period: Annotated[Literal["week", "month"], Query()] = "month",
    split: Annotated[Literal["all", "site", "mode"], Query()] = "all",
    days: _Days = 366,
) -> Trends:
    """How often what was found, by period, place or mode of entry; presumptive and confirmed apart."""
    linkage_archive.catch_up(desk.db)
    now = desk.now()
    since = _begin(now - timedelta(days=days), period)
    everything = trends.collect(desk.db, until=now, sites=who.sites)
    cells = trends.counts(
        trends.within(everything, since, now),
        level=level,
        period=period,
        split="" if split == "all" else split,
    )
    return Trends(
        level=level,
        period=period,
        split=split,
        since=to_text(since),
        cells=[Cell(**one.to_dict()) for one in cells],
        first_sightings=[
            Sighting(**one.to_dict()) for one in trends.first_sightings(everything, since=since)
        ],
    )


def _begin(at: datetime, period: str) -> datetime:
    """The beginning of the month or week in which a time lies: half of one would look like a fall."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day.replace(day=1) if period == "month" else day - timedelta(days=day.weekday())


@router.get("/v1/alerts", response_model=Alerts, summary="Alerts")
def read_alerts(
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("intelligence.read"))],
    open: Annotated[bool, Query(description="Only those that nobody has acknowledged.")] = False,
    kind: Annotated[
        Literal["first_sighting", "increase", "unknown_cluster", "linked_seizures"] | None, Query()
    ] = None,
    limit: Limit = 200,
) -> Alerts:
    """What was raised, the newest first; of other places nothing."""
    found = alerts.listed(desk.db, open_only=open, kind=kind, sites=who.sites, limit=limit)
    return Alerts(alerts=[Alert.model_validate(one) for one in found])


@router.post(
    "/v1/alerts/{alert_id}/acknowledgement",
    response_model=Alert,
    summary="Acknowledge an alert",
    responses=problems.declared(404, 409),
)
def acknowledge_alert(
    alert_id: _AlertId,
    body: Acknowledgement,
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("alert.acknowledge"))],
) -> Alert:
    """Say that one has looked at it, and what came of it."""
    alerts.see(desk.db, alert_id, sites=who.sites)
    found = alerts.acknowledge(desk.db, alert_id, by=who.name, note=body.note, now=desk.now())
    return Alert.model_validate(found)


@router.get("/v1/bulletins/{month}", response_model=None, summary="The bulletin of a month", responses={
    200: {
        "content": {
            "application/pdf": {"schema": {"type": "string", "format": "binary"}},
            "text/csv": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
        "description": "As PDF, CSV or JSON.",
    },
})  # fmt: skip
def read_bulletin(
    month: _Month,
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("intelligence.read"))],
    format: Annotated[Literal["pdf", "csv", "json"], Query()] = "pdf",
) -> Response:
    """What was seized and found in a month, of one's own places; no person and no typed text is in it."""
    facts = bulletin_facts(desk.db, month, archive=archive_of(desk), sites=who.sites)
    if format == "pdf":
        content, media_type = bulletin_pdf(facts), "application/pdf"
    elif format == "csv":
        content, media_type = bulletin_csv(facts), "text/csv"
    else:
        content, media_type = bulletin_json(facts), "application/json"
    headers = {"Content-Disposition": f'attachment; filename="bulletin-{month}.{format}"'}
    return Response(content, media_type=media_type, headers=headers)
