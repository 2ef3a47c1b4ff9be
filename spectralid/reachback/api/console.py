"""The chemist's console: its pages, the bench of a case, re-fits by the engine, what a device did before.

A chemist sees no name, neither the field's nor the engine's, before the first look at a case is written down
or declined; both are on record. The engine works in its own few threads (`bench.room`).
"""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as InPath
from pydantic import Field

from spectralid import _bundled
from spectralid.casework.packet import open_packet
from spectralid.reachback.api import problems
from spectralid.reachback.api.access import Actor, case_of, requires, see_case
from spectralid.reachback.api.bodies import CaseId, DeskNow, Model, Ref, Sent, Words
from spectralid.reachback.bench import decisions, looks
from spectralid.reachback.bench.material import picture_type
from spectralid.reachback.bench.room import EngineRoom
from spectralid.reachback.caseload import cases, leases
from spectralid.reachback.caseload.cases import State
from spectralid.reachback.errors import ConflictError, NotFoundError
from spectralid.reachback.people.roles import may
from spectralid.reachback.store import copies
from spectralid.reachback.store.tables import answers, packets, rounds, scans
from spectralid.reachback.store.tables import cases as case_table
from spectralid.reachback.tablets import instrument_checks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spectralid.reachback.api.desk import Desk
    from spectralid.reachback.bench.workbench import Sheet
    from spectralid.reachback.store.database import Database

__all__ = ["router"]

router = APIRouter(tags=["console"])

Reader = Annotated[Actor, Depends(requires("case.read"))]
Chemist = Annotated[Actor, Depends(requires("case.adjudicate"))]
Anyone = Annotated[Actor, Depends(requires("api.read"))]

Seq = Annotated[int, InPath(ge=0, le=2**53)]
Idx = Annotated[int, InPath(ge=0, le=15)]
Sha256 = Annotated[str, InPath(pattern="^[0-9a-f]{64}$")]

_HISTORY: Final = 60
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_BYTES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}


class BlindError(ConflictError):
    """Names are shown after the first look."""

    code = "first-look"


# --- what is said ------------------------------------------------------------------------------------------


class CaseHead(Model):
    """Where the case stands."""

    case_id: str
    device_id: str
    seizure_ref: str
    site_ref: str
    state: str
    round: int
    opened_utc: str
    due_utc: str | None
    stopped: bool
    priority: int
    high_hazard: bool
    evidence: int
    holder: str | None
    until_utc: str | None
    adjudicator: str | None
    why_round: str


class FirstLook(Model):
    """What was written at the first look; empty where it was declined."""

    impression: str
    utc: str


class BenchView(Model):
    """A case on the bench, without the numbers of its spectra."""

    case: CaseHead
    now: str
    blind: bool
    first_look: FirstLook | None
    scans: list[dict[str, Any]]
    items: list[dict[str, Any]]
    strips: list[dict[str, Any]]
    notes: list[dict[str, Any]]
    photos: list[dict[str, Any]]
    sends: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    answers: list[dict[str, Any]]
    links: list[str]
    draft: dict[str, Any] | None


class SheetView(Model):
    """One spectrum: raw and corrected; and, after the first look, what the engine makes of it."""

    raw: dict[str, Any] | None
    corrected: dict[str, Any] | None
    peaks: list[dict[str, Any]]
    infrared: bool
    problem: str
    engine: dict[str, Any] | None
    fit: dict[str, Any] | None


class FitView(Model):
    """A fit, with its curves."""

    fit: dict[str, Any]


class RestView(Model):
    """What explains the rest?"""

    proposals: list[dict[str, Any]]


class LimitsView(Model):
    """Compounds that were looked for: the smallest share that the scan would have shown."""

    limits: list[dict[str, Any]]


class MarksView(Model):
    """The bands that a compound should show."""

    slug: str
    name: str
    tolerance_cm1: float
    marks: list[dict[str, Any]]


class CompoundsView(Model):
    """Compounds of the library."""

    compounds: list[dict[str, Any]]


class HistoryView(Model):
    """What a device measured last, and its performance checks."""

    device_id: str
    scans: list[dict[str, Any]]
    checks: list[dict[str, Any]]


class HeldShare(Sent):
    """A component, and the share of the signal it is held at; without one, the fit finds it."""

    slug: Ref
    share: Annotated[float, Field(ge=0, le=1)] | None = None


class Wanted(Sent):
    """Which components, with which shares held; those of the engine if not given."""

    components: Annotated[list[HeldShare], Field(min_length=1, max_length=12)] | None = None
    excluded: Annotated[list[Ref], Field(max_length=50)] = Field(default_factory=list)


class WantedRest(Wanted):
    """For which fit; how many."""

    count: Annotated[int, Field(ge=1, le=24)] = 8


class WantedLimits(Wanted):
    """For which fit; which compounds."""

    names: Annotated[list[Ref], Field(min_length=1, max_length=20)]


class Impression(Sent):
    """The first look; empty to decline it."""

    impression: Words = ""


# --- pages -------------------------------------------------------------------------------------------------


@router.get("/console", include_in_schema=False)
def console_page(_: Anyone) -> Response:
    """The page; everything else it loads itself."""
    return _file("index.html")


@router.get("/console/static/{name:path}", include_in_schema=False)
def console_file(name: str, _: Anyone) -> Response:
    """A script, a style sheet, words, or a picture of the page."""
    return _file(name)


def _file(name: str) -> Response:
    parts = name.split("/")
    kind = _TYPES.get(Path(name).suffix)
    if kind is None or not all(re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,60}", part) for part in parts):
        raise NotFoundError("There is no such file.")
    place = resources.files("spectralid.reachback").joinpath("static")
    for part in parts:
        place = place.joinpath(part)
    if not place.is_file():
        raise NotFoundError("There is no such file.")
    return Response(place.read_bytes(), media_type=kind, headers={"Cache-Control": "no-cache"})


# --- a case ------------------------------------------------------------------------------------------------


@router.get(
    "/v1/cases/{case_id}/bench",
    response_model=BenchView,
    summary="A case on the bench",
    responses=problems.declared(404),
)
def read_bench(case_id: CaseId, desk: DeskNow, who: Reader, request: Request) -> BenchView:
    """Everything of a case but the numbers of its spectra."""
    return _bench(desk, who, case_id, request)


def _bench(desk: Desk, who: Actor, case_id: str, request: Request) -> BenchView:
    from spectralid.casework.clock import to_text
    from spectralid.reachback.bench.views import material_view

    with desk.db.read() as tx:
        case = case_of(tx, who, case_id)
        look = looks.of(tx, case_id, case["round"], who.name)
        blind = _is_blind(who, case, look)
        why = tx.execute(
            sa.select(rounds.c.why).where(rounds.c.case_id == case_id, rounds.c.round == case["round"])
        ).scalar()
        told = answers
        sent = tx.execute(
            sa.select(told.c.n, told.c.kind, told.c.utc, told.c.raw, told.c.superseded_by, told.c.shown_utc)
            .where(told.c.case_id == case_id)
            .order_by(told.c.utc, told.c.n)
        ).all()
        links = cases.linked(tx, case_id)
    material = _engine(request).bench(desk.db, case_id, case["evidence"]).material
    drafts = leases.drafts_of(desk.db, case_id, who.name) if may(who.roles, "case.adjudicate") else ()
    head = {name: case[name] for name in CaseHead.model_fields if name in case}
    return BenchView(
        case=CaseHead(**head, why_round=why or ""),
        now=to_text(desk.now()),
        blind=blind,
        first_look=FirstLook(impression=look.impression, utc=look.utc) if look else None,
        **material_view(material, blind=blind),
        decisions=[] if blind else [_decision(one) for one in decisions.of_case(desk.db, case_id)],
        answers=[] if blind else [_answer(row) for row in sent],
        links=[] if blind else list(links),
        draft=dict(drafts[-1].content) if drafts else None,
    )


def _is_blind(who: Actor, case: Mapping[str, Any], look: looks.Look | None) -> bool:
    """Whether names wait: for who decides, before the first look; not for who reviews or watches."""
    decides = may(who.roles, "case.adjudicate") and case["state"] in _TO_DECIDE
    return decides and look is None


_TO_DECIDE: Final = frozenset(
    (State.RECEIVED, State.GROUPED, State.QUEUED, State.REOPENED, State.LEASED, State.INTERIM)
)


def _decision(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("kind", "by", "utc", "round", "said", "outcome") if name in row}


def _answer(row: Any) -> dict[str, Any]:
    from spectralid.casework import messages

    said = messages.kept(row.raw, messages.Answer)
    return {
        "n": row.n,
        "kind": row.kind,
        "utc": row.utc,
        "headline": said.headline,
        "words": said.words,
        "by": said.by,
        "superseded": row.superseded_by is not None,
        "shown_utc": row.shown_utc,
    }


@router.post(
    "/v1/cases/{case_id}/first-look",
    response_model=FirstLook,
    summary="Write down the first look, or decline it",
    responses=problems.declared(404, 409),
)
def write_first_look(case_id: CaseId, body: Impression, desk: DeskNow, who: Chemist) -> FirstLook:
    """Keep what the chemist thinks before any name is shown; it goes with the decision."""
    see_case(desk, who, case_id)
    look = looks.write(desk.db, case_id, who.name, body.impression, now=desk.now())
    return FirstLook(impression=look.impression, utc=look.utc)


@router.get(
    "/v1/cases/{case_id}/device-history",
    response_model=HistoryView,
    summary="What the device measured before",
    responses=problems.declared(404, 409),
)
def read_history(case_id: CaseId, desk: DeskNow, who: Reader) -> HistoryView:
    """The newest scans of the device of a case, whoever's cases they are in that one may see; its checks."""
    case = _looked(desk, who, case_id)
    device = case["device_id"]
    chosen = (
        sa.select(
            scans.c.case_id, scans.c.seq, scans.c.captured_utc, scans.c.technique, scans.c.verdict,
            scans.c.substances, scans.c.instrument, scans.c.ipv, scans.c.library_version,
            case_table.c.site_ref,
        )
        .join(case_table, case_table.c.case_id == scans.c.case_id)
        .where(scans.c.device_id == device)
        .order_by(scans.c.seq.desc())
        .limit(_HISTORY)
    )  # fmt: skip
    with desk.db.read() as tx:
        rows = tx.execute(chosen).mappings().all()
    seen = [dict(row) for row in rows if who.sees(row["site_ref"])]
    return HistoryView(
        device_id=device,
        scans=[{**row, "substances": json.loads(row["substances"])} for row in seen],
        checks=[
            {
                "utc": one.checked_utc,
                "passed": one.passed,
                "limits_version": one.limits_version,
                "instrument": one.instrument,
            }
            for one in instrument_checks.of_device(desk.db, device, limit=20)
        ],
    )


@router.get(
    "/v1/cases/{case_id}/packets/{seq}/files/{sha256}",
    summary="A picture or another file of a packet",
    response_class=Response,
    responses=_BYTES | problems.declared(404),
)
def read_packet_file(case_id: CaseId, seq: Seq, sha256: Sha256, desk: DeskNow, who: Reader) -> Response:
    """A picture by its own first bytes (PNG, JPEG, GIF, WebP); anything else is handed out to be saved."""
    case = see_case(desk, who, case_id)
    packet = open_packet(_packet(desk, case, seq), None)
    data = next((blob.data for blob in packet.blobs if blob.sha256 == sha256), None)
    if data is None:
        raise NotFoundError("There is no such file.")
    kind = picture_type(data)
    if not kind:
        return _attachment(data, f"{sha256[:16]}.bin", "application/octet-stream")
    return Response(
        data,
        media_type=kind,
        headers={"Content-Disposition": "inline", "Content-Security-Policy": "default-src 'none'; sandbox"},
    )


def _packet(desk: Desk, case: Mapping[str, Any], seq: int) -> bytes:
    with desk.db.read() as tx:
        mine = tx.execute(
            sa.select(packets.c.seq).where(
                packets.c.device_id == case["device_id"],
                packets.c.seq == seq,
                packets.c.case_id == case["case_id"],
            )
        ).first()
        if mine is None:
            raise NotFoundError("There is no such packet in this case.")
        return copies.raw_of(tx, case["device_id"], seq)


def _attachment(data: bytes, name: str, kind: str) -> Response:
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:80]
    return Response(
        data,
        media_type=kind,
        headers={
            "Content-Disposition": f'attachment; filename="{safe}"',
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )


# --- the bench ---------------------------------------------------------------------------------------------


@router.get(
    "/v1/cases/{case_id}/bench/{seq}/{idx}",
    response_model=SheetView,
    summary="A spectrum on the bench",
    responses=problems.declared(404),
)
def read_sheet(
    case_id: CaseId, seq: Seq, idx: Idx, desk: DeskNow, who: Reader, request: Request
) -> SheetView:
    """Raw and corrected; after the first look also what the engine and the fit say."""
    from spectralid.reachback.bench.views import engine_view, fit_view, raw_view, sheet_view
    from spectralid.reachback.bench.workbench import problem_of

    case, blind = _case_and_blindness(desk, who, case_id)
    sheet = _sheet(desk, case, seq, idx, request)

    def work() -> SheetView:
        problem = problem_of(sheet)
        if problem:
            raw = raw_view(sheet) if sheet.scan.spectrum is not None else None
            infrared = sheet.scan.spectrum is not None and sheet.scan.spectrum.technique.is_infrared
            return SheetView(
                raw=raw, corrected=None, peaks=[], infrared=infrared, problem=problem, engine=None, fit=None
            )
        first = sheet_view(sheet)
        names = not blind
        fitted = fit_view(sheet, sheet.refit()) if names and sheet.hand.own else None
        return SheetView(
            **first,
            problem=sheet.scan.problem,
            engine=engine_view(sheet) if names else None,
            fit=fitted,
        )

    return _engine(request).ask(work)


@router.post(
    "/v1/cases/{case_id}/bench/{seq}/{idx}/fit",
    response_model=FitView,
    summary="Fit again",
    responses=problems.declared(404, 409),
)
def fit_again(
    case_id: CaseId, seq: Seq, idx: Idx, body: Wanted, desk: DeskNow, who: Reader, request: Request
) -> FitView:
    """The components and shares that the chemist wants; all else is fitted by the engine."""
    from spectralid.reachback.bench.views import fit_view

    sheet = _sheet(desk, _looked(desk, who, case_id), seq, idx, request)
    return _engine(request).ask(lambda: FitView(fit=fit_view(sheet, _fitted(sheet, body))))


@router.post(
    "/v1/cases/{case_id}/bench/{seq}/{idx}/rest",
    response_model=RestView,
    summary="What explains the rest?",
    responses=problems.declared(404, 409),
)
def search_rest(
    case_id: CaseId, seq: Seq, idx: Idx, body: WantedRest, desk: DeskNow, who: Reader, request: Request
) -> RestView:
    """Compounds that what a fit leaves speaks for."""
    from spectralid.reachback.bench.views import proposals_view

    sheet = _sheet(desk, _looked(desk, who, case_id), seq, idx, request)

    def work() -> RestView:
        found = sheet.rest(_fitted(sheet, body), count=body.count, excluded=body.excluded)
        return RestView(proposals=proposals_view(found))

    return _engine(request).ask(work)


@router.post(
    "/v1/cases/{case_id}/bench/{seq}/{idx}/limits",
    response_model=LimitsView,
    summary="What could have hidden?",
    responses=problems.declared(404, 409),
)
def read_limits(
    case_id: CaseId, seq: Seq, idx: Idx, body: WantedLimits, desk: DeskNow, who: Reader, request: Request
) -> LimitsView:
    """The smallest share of each compound that the scan would have shown; none is ever said to be absent."""
    sheet = _sheet(desk, _looked(desk, who, case_id), seq, idx, request)

    def work() -> LimitsView:
        found = sheet.looked_for(_fitted(sheet, body), body.names)
        return LimitsView(
            limits=[
                {"slug": slug, "share": share, "z": round(z, 2), "sentence": sentence}
                for slug, share, z, sentence in found
            ]
        )

    return _engine(request).ask(work)


@router.get(
    "/v1/cases/{case_id}/bench/{seq}/{idx}/marks",
    response_model=MarksView,
    summary="The bands of a compound",
    responses=problems.declared(404, 409),
)
def read_marks(
    case_id: CaseId,
    seq: Seq,
    idx: Idx,
    slug: Ref,
    desk: DeskNow,
    who: Reader,
    request: Request,
    tolerance_cm1: Annotated[float, Query(ge=0.5, le=50, allow_inf_nan=False)] = 8.0,
) -> MarksView:
    """Where a compound's reference has its bands, and whether the spectrum has one there."""
    from spectralid.reachback.bench.views import marks_view

    sheet = _sheet(desk, _looked(desk, who, case_id), seq, idx, request)

    def work() -> MarksView:
        marks = sheet.marks(slug, tolerance_cm1=tolerance_cm1)
        compound = sheet.compound(slug)
        return MarksView(
            slug=compound.slug, name=compound.name, tolerance_cm1=tolerance_cm1, marks=marks_view(marks)
        )

    return _engine(request).ask(work)


@router.get(
    "/v1/cases/{case_id}/bench/{seq}/{idx}/compounds",
    response_model=CompoundsView,
    summary="Look up a compound",
    responses=problems.declared(404, 409),
)
def find_compounds(
    case_id: CaseId,
    seq: Seq,
    idx: Idx,
    q: Ref,
    desk: DeskNow,
    who: Reader,
    request: Request,
) -> CompoundsView:
    """Compounds with a reference of this technique whose name, synonym or CAS number holds a text."""
    sheet = _sheet(desk, _looked(desk, who, case_id), seq, idx, request)
    found = _engine(request).ask(lambda: sheet.find(q))
    return CompoundsView(
        compounds=[
            {"slug": c.slug, "name": c.name, "cas": c.cas, "category": c.category, "schedule": c.schedule}
            for c in found
        ]
    )


def _case_and_blindness(desk: Desk, who: Actor, case_id: str) -> tuple[Mapping[str, Any], bool]:
    with desk.db.read() as tx:
        case = case_of(tx, who, case_id)
        return case, _is_blind(who, case, looks.of(tx, case_id, case["round"], who.name))


def _looked(desk: Desk, who: Actor, case_id: str) -> Mapping[str, Any]:
    """The case, for somebody who may see names.

    Raises
    ------
    BlindError
        Before the first look.
    """
    case, blind = _case_and_blindness(desk, who, case_id)
    if blind:
        raise BlindError("Write down the first look at this case, or decline it, before names are shown.")
    return case


def _sheet(desk: Desk, case: Mapping[str, Any], seq: int, idx: int, request: Request) -> Sheet:
    bench = _engine(request).bench(desk.db, case["case_id"], case["evidence"])
    for sheet in bench:
        if (sheet.scan.seq, sheet.scan.idx) == (seq, idx):
            return sheet
    raise NotFoundError("There is no such spectrum in this case.")


def _fitted(sheet: Sheet, body: Wanted) -> Any:
    components = None if body.components is None else {one.slug: one.share for one in body.components}
    return sheet.refit(components, excluded=body.excluded)


def _engine(request: Request) -> EngineRoom:
    """The engine of this server; made when it is first asked for."""
    state = request.app.state
    if not hasattr(state, "engine"):
        db: Database = state.desk.db
        state.engine = EngineRoom(lambda: _library(db))
    room: EngineRoom = state.engine
    return room


def _library(db: Database) -> Path:
    """The newest published release, else the agency's library beside the database, or the bundled one."""
    from spectralid.reachback.releases import release

    newest = release.in_force(db)
    if newest is not None:
        return release.path_of(release.folder_of(db), newest.number)
    own = db.folder / "library.h5"
    return own if own.is_file() else _bundled.path("libraries", "spectralid.h5")
