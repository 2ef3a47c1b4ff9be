"""Re-search: runs after a release, how far they have come, and what they say of a case."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import AfterValidator, Field

from spectralid.reachback.api import problems
from spectralid.reachback.api.access import Actor, requires, see_case
from spectralid.reachback.api.bodies import CaseId, DeskNow, Limit, Model, Ref, Sent, printable
from spectralid.reachback.research import runs as research

__all__ = ["router"]

router = APIRouter(tags=["research"])

Reader = Annotated[Actor, Depends(requires("research.read"))]
_RunId = Annotated[str, Path(min_length=1, max_length=40), AfterValidator(printable)]
_Ids = Annotated[list[Ref], Field(default_factory=list, max_length=5000)]


class NewRun(Sent):
    """Which release is to be searched for; without lists, what it changed of the library before it."""

    release: int = Field(ge=1, le=2**31)
    changed: _Ids
    removed: _Ids


class Run(Model):
    """A run and how far it has come; see `spectralid.reachback.research.runs.Progress`."""

    run_id: str
    state: Literal["queued", "running", "done"]
    library_name: str
    library_version: str
    to_sha256: str
    from_sha256: str | None
    made_by: str
    created_utc: str
    started_utc: str | None
    finished_utc: str | None
    changed: int
    removed: int
    spectra: int
    searched: int
    parts: int
    parts_done: int
    pairs: int
    judged: int
    answers_changed: int
    agree: int
    reopened: int
    upto: int


class Runs(Model):
    """Runs, newest first."""

    runs: list[Run]


class Found(Model):
    """What re-search found of a scan whose answer has changed. Presumptive."""

    run_id: str
    library: str
    device_id: str
    seq: int
    idx: int
    entry: str | None
    cosine: float | None
    partial: float | None
    outcome: Literal["changed", "agrees"]
    effect: Literal["none", "noted", "reopened"]
    deadly: bool
    why: list[str]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    utc: str


class FoundOfCase(Model):
    """All of it, oldest first."""

    found: list[Found]


@router.post(
    "/v1/research-runs",
    response_model=Run,
    status_code=202,
    summary="Search the archive again for what a release changed",
    responses={
        202: {"description": "It is queued, or was before"},
        **problems.declared(404, 422, 507),
    },
)
def start_research(
    desk: DeskNow, who: Annotated[Actor, Depends(requires("research.run"))], body: NewRun
) -> research.Progress:
    """Queue a run; ``spectralid reachback research run`` does the work. The same again is the same run."""
    run_id = research.start_for_release(
        desk.db, body.release, by=who.name, now=desk.now(), changed=body.changed, removed=body.removed
    )
    return research.get(desk.db, run_id)


@router.get("/v1/research-runs", response_model=Runs, summary="Runs of re-search, newest first")
def list_research(desk: DeskNow, _: Reader, limit: Limit = 100) -> dict[str, Any]:
    """What was searched again, and how far that has come."""
    return {"runs": research.listed(desk.db, limit=limit)}


@router.get(
    "/v1/research-runs/{run_id}",
    response_model=Run,
    summary="One run and how far it has come",
    responses=problems.declared(404),
)
def read_research(desk: DeskNow, _: Reader, run_id: _RunId) -> research.Progress:
    """Searched spectra, scans looked at by the engine, answers changed, cases reopened."""
    return research.get(desk.db, run_id)


@router.get(
    "/v1/cases/{case_id}/research",
    response_model=FoundOfCase,
    summary="What re-search found of a case",
    responses=problems.declared(404),
)
def research_of_case(desk: DeskNow, who: Reader, case_id: CaseId) -> dict[str, Any]:
    """Scans whose answers a newer library changes, with both answers."""
    see_case(desk, who, case_id)
    return {"found": research.of_case(desk.db, case_id)}
