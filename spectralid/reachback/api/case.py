"""The chemists' desk: the queue, leases, decisions, drafts, and everything on record about a case."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import Field, StringConstraints

from spectralid.casework.clock import to_text
from spectralid.casework.endpoint import PACKET_TYPE
from spectralid.reachback.api import problems
from spectralid.reachback.api.access import Actor, case_of, requires, see_case
from spectralid.reachback.api.bodies import (
    CaseId,
    DeskNow,
    Limit,
    Line,
    Model,
    Number,
    Ref,
    Sent,
    Token,
    Words,
)
from spectralid.reachback.bench import decisions
from spectralid.reachback.bench.decisions import Decision
from spectralid.reachback.caseload import case_file, cases, leases, queue
from spectralid.reachback.tablets import answers

__all__ = ["router"]

router = APIRouter(tags=["case"])

_Sequence = Annotated[int, Path(ge=0, le=2**53)]
_Basis = Annotated[Words, StringConstraints(min_length=1)]
_Precaution = Annotated[Words, StringConstraints(max_length=500)]
_Verdict = Literal["identified", "mixture", "class_only", "inconclusive", "no_match"]


# --- what is said ------------------------------------------------------------------------------------------


class QueueLine(Model):
    """A case of the queue; see `spectralid.reachback.caseload.queue.Entry`."""

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


class Queue(Model):
    """The queue in its order, and the server's time for the countdown."""

    server_utc: str
    cases: list[QueueLine]


class Lease(Model):
    """A case that one has, and the number that every write carries."""

    case_id: str
    token: int
    chemist: str
    until_utc: str
    purpose: Literal["adjudicate", "review"]


class NextLease(Model):
    """The case that comes first; nothing if nothing waits."""

    lease: Lease | None


class Outcome(Model):
    """What became of what was written."""

    case_id: str
    state: str
    reasons: list[str]
    answer_id: str | None


class Draft(Model):
    """What was written and not taken."""

    draft: int
    case_id: str
    token: int
    chemist: str
    saved_utc: str
    content: dict[str, Any]


class Drafts(Model):
    """One's own drafts on a case, oldest first."""

    drafts: list[Draft]


class SavedDraft(Model):
    """Under which number it is kept."""

    draft: int


class Link(Model):
    """Another case, and why it belongs to this one."""

    case_id: str
    site_ref: str
    state: str
    why: str
    fact: str
    linked_utc: str
    by: str


class Links(Model):
    """The cases that a case is linked to."""

    links: list[Link]


class Linked(Model):
    """Whether the link is new."""

    new: bool


class Answer(Model):
    """An answer that was given, and whether it was seen."""

    answer_id: str
    n: int
    kind: str
    utc: str
    supersedes: str | None
    superseded_by: str | None
    shown_utc: str | None
    acknowledged_utc: str | None
    content: dict[str, Any]


class Decided(Model):
    """What a chemist wrote, and what came of it."""

    kind: str
    by: str
    utc: str
    round: int
    token: int
    said: dict[str, Any]
    outcome: dict[str, Any]


class CaseRow(Model):
    """Where a case stands."""

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
    scans: int
    evidence: int
    token: int
    holder: str | None
    until_utc: str | None
    adjudicator: str | None
    changed_utc: str


class Case(Model):
    """A case with everything on record about it; the rows are those of the tables of the same names."""

    server_utc: str
    case: CaseRow
    packets: list[dict[str, Any]]
    scans: list[dict[str, Any]]
    spectra: list[dict[str, Any]]
    strips: list[dict[str, Any]]
    items: list[dict[str, Any]]
    sends: list[dict[str, Any]]
    rounds: list[dict[str, Any]]
    decisions: list[Decided]
    answers: list[Answer]
    links: list[Link]


class Spectrum(Model):
    """A spectrum with its numbers; ``null`` where one is not finite."""

    device_id: str
    seq: int
    idx: int
    role: str
    technique: str
    unit: str
    spectrum_sha256: str | None
    numbers_sha256: str
    n: int
    usable: bool
    axis: list[float | None]
    intensity: list[float | None]


# --- what is sent ------------------------------------------------------------------------------------------


class Held(Sent):
    """Under which lease."""

    token: Token


class Adjudication(Held):
    """A decision; `seen` is how much evidence the chemist had before his eyes."""

    verdict: _Verdict
    headline: Line
    words: Words
    basis: _Basis
    substances: Annotated[list[Ref], Field(max_length=50, default_factory=list)]
    precautions: Annotated[list[_Precaution], Field(max_length=30, default_factory=list)]
    high_hazard: bool = False
    first_look: Words = ""
    seen: Number | None = None


class Interim(Held):
    """How to treat it meanwhile; without words, as hazardous."""

    headline: Line | None = None
    words: Words | None = None
    precautions: Annotated[list[_Precaution], Field(max_length=30, default_factory=list)]


class Review(Held):
    """What a second person says of a decision."""

    agrees: bool
    note: _Basis


class NewDraft(Held):
    """What is written so far, of any form."""

    content: dict[str, Any]


class NewLink(Sent):
    """Two cases that belong together, and by what that can be seen."""

    one: Ref
    other: Ref
    fact: Line


# --- the queue and leases ----------------------------------------------------------------------------------


@router.get("/v1/queue", response_model=Queue, summary="What waits")
def read_queue(
    desk: DeskNow, who: Annotated[Actor, Depends(requires("queue.read"))], limit: Limit = 200
) -> Queue:
    """List what waits and what is being worked on, in the order of the queue."""
    now = desk.now()
    found = queue.listed(desk.db, now=now, sites=who.sites, limit=limit)
    return Queue(server_utc=to_text(now), cases=[QueueLine.model_validate(one) for one in found])


@router.post("/v1/queue/next", response_model=NextLease, summary="Take the case that comes first")
def take_next(desk: DeskNow, who: Annotated[Actor, Depends(requires("case.lease"))]) -> NextLease:
    """Take the first case that nobody works on and that is for this chemist."""
    lease = queue.next(desk.db, who.name, now=desk.now(), senior=who.senior, sites=who.sites)
    return NextLease(lease=None if lease is None else Lease.model_validate(lease))


@router.post(
    "/v1/cases/{case_id}/lease",
    response_model=Lease,
    status_code=201,
    summary="Take a case",
    responses=problems.declared(404, 409),
)
def take_lease(
    case_id: CaseId, desk: DeskNow, who: Annotated[Actor, Depends(requires("case.lease"))]
) -> Lease:
    """Take a case for 15 minutes; whoever has it keeps it for longer."""
    see_case(desk, who, case_id)
    return Lease.model_validate(leases.take(desk.db, case_id, who.name, now=desk.now(), senior=who.senior))


@router.put(
    "/v1/cases/{case_id}/lease",
    response_model=Lease,
    summary="Keep a case",
    responses=problems.declared(404, 409),
)
def renew_lease(
    case_id: CaseId, body: Held, desk: DeskNow, who: Annotated[Actor, Depends(requires("case.lease"))]
) -> Lease:
    """Keep it for another 15 minutes from now."""
    see_case(desk, who, case_id)
    return Lease.model_validate(leases.renew(desk.db, case_id, body.token, who.name, now=desk.now()))


@router.delete(
    "/v1/cases/{case_id}/lease",
    status_code=204,
    summary="Give a case back",
    responses=problems.declared(404, 409),
)
def release_lease(
    case_id: CaseId,
    token: Annotated[int, Query(ge=0, le=2**53)],
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("case.lease"))],
) -> Response:
    """Give it back undecided."""
    see_case(desk, who, case_id)
    leases.release(desk.db, case_id, token, who.name, now=desk.now())
    return Response(status_code=204)


# --- what is written ---------------------------------------------------------------------------------------


@router.post(
    "/v1/cases/{case_id}/adjudications",
    response_model=Outcome,
    status_code=201,
    summary="Decide a case",
    responses=problems.declared(404, 409),
)
def adjudicate(
    case_id: CaseId,
    body: Adjudication,
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("case.adjudicate"))],
) -> Outcome:
    """Decide it: it is answered, or goes to a second person. A stale lease is a 409 that names the draft."""
    see_case(desk, who, case_id)
    decision = Decision(
        verdict=body.verdict,
        headline=body.headline,
        words=body.words,
        basis=body.basis,
        substances=tuple(body.substances),
        precautions=tuple(body.precautions),
        high_hazard=body.high_hazard,
        first_look=body.first_look,
    )
    done = decisions.adjudicate(
        desk.db, desk.keys, case_id, body.token, who.name, decision, now=desk.now(), seen=body.seen
    )
    return Outcome.model_validate(done)


@router.post(
    "/v1/cases/{case_id}/interim",
    response_model=Outcome,
    status_code=201,
    summary="Say how to treat it meanwhile",
    responses=problems.declared(404, 409),
)
def interim(
    case_id: CaseId,
    body: Interim,
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("case.interim"))],
) -> Outcome:
    """Answer before the decision; the hour stops, once in a round."""
    see_case(desk, who, case_id)
    said: dict[str, Any] = {
        name: value for name in ("headline", "words") if (value := getattr(body, name)) is not None
    }
    done = decisions.interim(
        desk.db,
        desk.keys,
        case_id,
        body.token,
        who.name,
        now=desk.now(),
        precautions=tuple(body.precautions),
        **said,
    )
    return Outcome.model_validate(done)


@router.post(
    "/v1/cases/{case_id}/second-review",
    response_model=Outcome,
    status_code=201,
    summary="Review a decision",
    responses=problems.declared(404, 409),
)
def second_review(
    case_id: CaseId,
    body: Review,
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("case.review"))],
) -> Outcome:
    """Let a decision stand, or send it back; never one's own."""
    see_case(desk, who, case_id)
    done = decisions.review(
        desk.db,
        desk.keys,
        case_id,
        body.token,
        who.name,
        agrees=body.agrees,
        note=body.note,
        now=desk.now(),
    )
    return Outcome.model_validate(done)


@router.get(
    "/v1/cases/{case_id}/drafts",
    response_model=Drafts,
    summary="One's own drafts",
    responses=problems.declared(404),
)
def read_drafts(
    case_id: CaseId, desk: DeskNow, who: Annotated[Actor, Depends(requires("case.lease"))]
) -> Drafts:
    """List what one has written on a case and not had taken."""
    see_case(desk, who, case_id)
    found = leases.drafts_of(desk.db, case_id, who.name)
    return Drafts(drafts=[Draft.model_validate(one) for one in found])


@router.post(
    "/v1/cases/{case_id}/drafts",
    response_model=SavedDraft,
    status_code=201,
    summary="Keep a draft",
    responses=problems.declared(404),
)
def save_draft(
    case_id: CaseId,
    body: NewDraft,
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("case.adjudicate"))],
) -> SavedDraft:
    """Keep what is written so far, whether or not the case is still one's own."""
    see_case(desk, who, case_id)
    number = leases.save_draft(desk.db, case_id, body.token, who.name, body.content, now=desk.now())
    return SavedDraft(draft=number)


# --- what is on record -------------------------------------------------------------------------------------


@router.get("/v1/cases/{case_id}", response_model=Case, summary="A case", responses=problems.declared(404))
def read_case(case_id: CaseId, desk: DeskNow, who: Annotated[Actor, Depends(requires("case.read"))]) -> Case:
    """Everything on record about it."""
    now = desk.now()
    with desk.db.read() as tx:
        row = case_of(tx, who, case_id)
        found = case_file.of(tx, case_id)
        linked = case_file.links(tx, case_id, who.sites)
    if row["until_utc"] is not None and row["until_utc"] <= to_text(now):
        row |= {"holder": None, "until_utc": None}
    names = set(Decided.model_fields)
    return Case(
        server_utc=to_text(now),
        case=CaseRow(**{name: row[name] for name in CaseRow.model_fields}),
        decisions=[
            Decided(**{name: one[name] for name in names}) for one in decisions.of_case(desk.db, case_id)
        ],
        answers=[_answer(one) for one in answers.of_case(desk.db, case_id)],
        links=[Link(**one) for one in linked],
        **found,
    )


def _answer(given: answers.Published) -> Answer:
    names = set(Answer.model_fields) - {"content"}
    return Answer(content=given.content(), **{name: getattr(given, name) for name in names})


@router.get(
    "/v1/cases/{case_id}/spectra/{seq}/{idx}",
    response_model=Spectrum,
    summary="A spectrum",
    responses=problems.declared(404),
)
def read_spectrum(
    case_id: CaseId,
    seq: _Sequence,
    idx: _Sequence,
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("case.read"))],
) -> Spectrum:
    """The numbers of a spectrum: of which packet of the case, and the how-manieth in it."""
    with desk.db.read() as tx:
        case_of(tx, who, case_id)
        return Spectrum(**case_file.spectrum(tx, case_id, seq, idx))


@router.get(
    "/v1/cases/{case_id}/packets/{seq}",
    response_class=Response,
    summary="A packet, as it was signed",
    responses={200: {"content": {PACKET_TYPE: {}}}, **problems.declared(404)},
)
def read_packet(
    case_id: CaseId,
    seq: _Sequence,
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("case.read"))],
) -> Response:
    """The bytes that the tablet signed."""
    with desk.db.read() as tx:
        case_of(tx, who, case_id)
        raw = case_file.packet(tx, case_id, seq)
    # Its content is whatever an instrument made; a browser must not look into it.
    headers = {"Content-Disposition": f'attachment; filename="{seq}.sidpkt"'}
    return Response(raw, media_type=PACKET_TYPE, headers=headers)


@router.get(
    "/v1/cases/{case_id}/links",
    response_model=Links,
    summary="Linked cases",
    responses=problems.declared(404),
)
def read_links(
    case_id: CaseId, desk: DeskNow, who: Annotated[Actor, Depends(requires("case.read"))]
) -> Links:
    """The cases that it is linked to, as far as they are of one's own places."""
    with desk.db.read() as tx:
        case_of(tx, who, case_id)
        return Links(links=[Link(**one) for one in case_file.links(tx, case_id, who.sites)])


@router.post(
    "/v1/links",
    response_model=Linked,
    status_code=201,
    summary="Link two cases",
    responses=problems.declared(404),
)
def link_cases(
    body: NewLink, desk: DeskNow, who: Annotated[Actor, Depends(requires("link.write"))]
) -> Linked:
    """Say that two cases belong together; each stays a case of its own."""
    with desk.db.begin() as tx:
        for one in (body.one, body.other):
            case_of(tx, who, one)
        new = cases.link(tx, body.one, body.other, why="chemist", fact=body.fact, by=who.name, now=desk.now())
    return Linked(new=new)
