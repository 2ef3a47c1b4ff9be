"""The library loop: candidates, approvals, releases, and the files of the repository that tablets ask for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import FileResponse
from pydantic import Field, StringConstraints

from spectralid.library import Compound
from spectralid.reachback.api import problems
from spectralid.reachback.api.access import Actor, requires, see_case
from spectralid.reachback.api.bodies import DeskNow, Limit, Model, Number, Sent, Words
from spectralid.reachback.api.desk import Desk
from spectralid.reachback.errors import NotFoundError
from spectralid.reachback.releases import approval, candidates, regression, release, repository
from spectralid.reachback.releases.candidates import CandidateError

__all__ = ["router"]

router = APIRouter(tags=["library"])

_CandidateNumber = Annotated[int, Path(ge=1, le=2**53)]
_Said = Annotated[Words, StringConstraints(max_length=2000)]
_Short = Annotated[Words, StringConstraints(max_length=200)]
_Site = Annotated[_Short, StringConstraints(min_length=1)]
_Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
_FileName = Annotated[str, Path(max_length=250)]
_States = Literal["pending", "approved", "rejected", "released"]


# --- what is said ------------------------------------------------------------------------------------------


class BasisSaid(Model):
    """Why a substance counts as known."""

    status: Literal["confirmed", "presumptive"]
    words: str
    state: str
    decided_by: list[str]
    laboratory: dict[str, Any]


class CheckSaid(Model):
    """One thing that was looked at."""

    name: str
    good: bool
    words: str


class StandingSaid(Model):
    """What the library has that is like it."""

    library: str
    rank: int | None
    nearest: list[dict[str, Any]]
    duplicates: list[str]
    conflicts: list[str]


class VoteSaid(Model):
    """What a person said of it."""

    by: str
    vote: Literal["approve", "reject"]
    words: str
    utc: str


class CandidateSaid(Model):
    """A proposed reference; see `spectralid.reachback.releases.candidates.Candidate`."""

    candidate: int
    case_id: str
    device_id: str
    seq: int
    idx: int
    slug: str
    form: str
    compound: dict[str, Any]
    technique: str
    status: Literal["confirmed", "presumptive"]
    state: _States
    basis: BasisSaid
    provenance: dict[str, Any]
    checks: list[CheckSaid]
    standing: StandingSaid
    licence: str
    owner: str
    note: str
    measured_sha256: str
    spectrum_sha256: str
    sha256: str
    proposed_by: str
    proposed_utc: str
    votes: list[VoteSaid]
    release: int | None


class CandidatesSaid(Model):
    """Candidates, oldest first."""

    candidates: list[CandidateSaid]


class ReleaseSaid(Model):
    """A library that was built; see `spectralid.reachback.releases.release.Release`."""

    number: int
    name: str
    version: str
    sha256: str
    file_sha256: str
    made_by: str
    made_utc: str
    published_utc: str
    manifest: dict[str, Any]


class ReleasesSaid(Model):
    """Releases, oldest first."""

    releases: list[ReleaseSaid]


class NewCompound(Sent):
    """A substance that the library does not know."""

    slug: Annotated[str, StringConstraints(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]
    name: Annotated[_Short, StringConstraints(min_length=1)]
    cas: _Short = ""
    inchikey: _Short = ""
    formula: _Short = ""
    category: _Short = ""
    synonyms: Annotated[list[_Short], Field(max_length=50, default_factory=list)]


class Proposal(Sent):
    """A scan of a case, and what it is of: a substance that the library knows, or a new one."""

    case_id: Annotated[_Short, StringConstraints(min_length=1, max_length=40)]
    seq: Number
    idx: Annotated[int, Field(ge=0, le=15)] = 0
    substance: _Short = ""
    compound: NewCompound | None = None
    form: _Short = ""
    licence: _Short = candidates.LICENCE
    owner: _Short = ""
    note: _Said = ""


class Approval(Sent):
    """Of which candidate, by the identity that was shown."""

    sha256: _Sha256
    words: _Said = ""


class Rejection(Sent):
    """Why not."""

    why: Annotated[_Said, StringConstraints(min_length=1)]


class Wanted(Sent):
    """How the next library is to be made."""

    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{0,60}$")] = ""
    sites: Annotated[list[_Site], Field(max_length=200, default_factory=list)]
    percent: Annotated[int, Field(ge=0, le=100)] = 0


# --- candidates --------------------------------------------------------------------------------------------


@router.get("/v1/library/candidates", response_model=CandidatesSaid, summary="What was proposed")
def list_candidates(
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("candidate.read"))],
    state: Annotated[_States | None, Query()] = None,
    limit: Limit = 100,
) -> CandidatesSaid:
    """The newest candidates, of cases of one's places."""
    found = [one for one in candidates.listed(desk.db, state=state or "") if who.sees(one.provenance["site"])]
    return CandidatesSaid(candidates=[_said(one) for one in found[-limit:]])


@router.get(
    "/v1/library/candidates/{candidate}",
    response_model=CandidateSaid,
    summary="One candidate, with all that is known of it",
    responses=problems.declared(404),
)
def read_candidate(
    candidate: _CandidateNumber,
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("candidate.read"))],
) -> CandidateSaid:
    """What it is of, why that counts as known, what was looked at, and what the library has like it."""
    return _said(_seen(desk, who, candidate))


@router.post(
    "/v1/library/candidates",
    response_model=CandidateSaid,
    status_code=201,
    summary="Propose a scan as a reference",
    responses=problems.declared(404, 409),
)
def propose_candidate(
    said: Proposal, desk: DeskNow, who: Annotated[Actor, Depends(requires("candidate.propose"))]
) -> CandidateSaid:
    """Propose a spectrum whose substance is known well enough; it is refused with the reason otherwise."""
    see_case(desk, who, said.case_id)
    if bool(said.substance.strip()) == (said.compound is not None):
        raise CandidateError("Name a substance of the library, or describe a new one.")
    new = said.compound
    substance: str | Compound = said.substance
    if new is not None:
        substance = Compound.from_dict(new.model_dump(exclude_defaults=True))
    folder = release.folder_of(desk.db)
    library = release.library_in_force(desk.db, folder)
    try:
        one = candidates.propose(
            desk.db,
            said.case_id,
            said.seq,
            said.idx,
            substance=substance,
            by=who.name,
            now=desk.now(),
            library=library,
            form=said.form,
            licence=said.licence,
            owner=said.owner,
            note=said.note,
            held_out=release.held_out_of(folder),
        )
    finally:
        library.close()
    return _said(one)


@router.post(
    "/v1/library/candidates/{candidate}/approve",
    response_model=CandidateSaid,
    summary="Say that it may become a reference",
    responses=problems.declared(404, 409),
)
def approve_candidate(
    candidate: _CandidateNumber,
    said: Approval,
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("candidate.approve"))],
) -> CandidateSaid:
    """Approve it; two persons do, neither who proposed it nor who decided on its case."""
    _seen(desk, who, candidate)
    done = approval.approve(
        desk.db, candidate, by=who.name, sha256=said.sha256, words=said.words, now=desk.now()
    )
    return _said(done)


@router.post(
    "/v1/library/candidates/{candidate}/reject",
    response_model=CandidateSaid,
    summary="Say that it does not become a reference",
    responses=problems.declared(404, 409),
)
def reject_candidate(
    candidate: _CandidateNumber,
    said: Rejection,
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("candidate.approve"))],
) -> CandidateSaid:
    """Reject it, with the reason; one person is enough."""
    _seen(desk, who, candidate)
    return _said(approval.reject(desk.db, candidate, by=who.name, why=said.why, now=desk.now()))


# --- releases ----------------------------------------------------------------------------------------------


@router.get("/v1/library/releases", response_model=ReleasesSaid, summary="What was built and handed out")
def list_releases(
    desk: DeskNow, _: Annotated[Actor, Depends(requires("candidate.read"))], limit: Limit = 100
) -> ReleasesSaid:
    """The newest releases, with what went into each and how it was judged."""
    found = release.listed(desk.db)[-limit:]
    return ReleasesSaid(releases=[ReleaseSaid.model_validate(one) for one in found])


@router.post(
    "/v1/library/releases",
    response_model=ReleaseSaid,
    status_code=201,
    summary="Build the next library from what is approved",
    responses=problems.declared(404, 409),
)
def make_release(
    said: Wanted, desk: DeskNow, who: Annotated[Actor, Depends(requires("release.make"))]
) -> ReleaseSaid:
    """Build it and ask it about the held-out spectra; it waits for a signature, which is made elsewhere."""
    folder = release.folder_of(desk.db)
    done = release.make(
        desk.db,
        folder,
        held_out=regression.read(release.held_out_folder(folder)),
        by=who.name,
        now=desk.now(),
        version=said.version,
        rollout={"sites": said.sites, "percent": said.percent},
    )
    return ReleaseSaid.model_validate(done)


@router.get(
    "/v1/library/metadata/{name}",
    response_class=FileResponse,
    summary="Signed metadata of the repository",
    responses={
        200: {"description": "The file", "content": {"application/json": {}}},
        **problems.declared(404),
    },
)
def read_metadata(
    name: _FileName, desk: DeskNow, _: Annotated[Actor, Depends(requires("release.read"))]
) -> FileResponse:
    """What says which libraries there are (The Update Framework)."""
    path = repository.served(release.repository_of(release.folder_of(desk.db)), "metadata", name)
    return FileResponse(path, media_type="application/json")


@router.get(
    "/v1/library/targets/{name}",
    response_class=FileResponse,
    summary="A library, or what is said of it",
    responses={
        200: {"description": "The file", "content": {"application/octet-stream": {}}},
        **problems.declared(404),
    },
)
def read_target(
    name: _FileName, desk: DeskNow, _: Annotated[Actor, Depends(requires("release.read"))]
) -> FileResponse:
    """A file that the metadata name, by its hash."""
    path = repository.served(release.repository_of(release.folder_of(desk.db)), "targets", name)
    return FileResponse(path, media_type="application/octet-stream")


# --- within ------------------------------------------------------------------------------------------------


def _seen(desk: Desk, who: Actor, candidate: int) -> candidates.Candidate:
    """The candidate, for somebody who may see its case."""
    one = candidates.get(desk.db, candidate)
    if not who.sees(one.provenance["site"]):
        raise NotFoundError(f"There is no candidate {candidate}.")
    return one


def _said(one: candidates.Candidate) -> CandidateSaid:
    plain = {
        name: getattr(one, name) for name in CandidateSaid.model_fields if name not in ("compound", "state")
    }
    return CandidateSaid.model_validate(plain | {"compound": one.compound.to_dict(), "state": one.state})
