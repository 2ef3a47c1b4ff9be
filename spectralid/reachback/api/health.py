"""Whether the server lives, whether it can work, its figures, and its description."""

from __future__ import annotations

import shutil
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse

from spectralid import __version__
from spectralid.casework.clock import to_text
from spectralid.reachback.api.access import Actor, requires
from spectralid.reachback.api.bodies import DeskNow, Model
from spectralid.reachback.api.desk import Desk
from spectralid.reachback.caseload.cases import State
from spectralid.reachback.errors import StorageFullError, UnavailableError
from spectralid.reachback.store import audit, migrate
from spectralid.reachback.store.tables import answers, cases, packets, quarantine

__all__ = ["router"]

router = APIRouter(tags=["health"])

_WAITING = (State.QUEUED, State.REOPENED, State.LEASED, State.SECOND_REVIEW)
_LEAST_FREE = 256 * 1024 * 1024

Anyone = Annotated[Actor, Depends(requires("health.read"))]


class Health(Model):
    """That the server answers."""

    status: Literal["ok"]
    version: str


@router.get("/healthz", response_model=Health, summary="Whether the process lives")
def healthz(_: Anyone) -> Health:
    """Say so, without asking the database."""
    return Health(status="ok", version=__version__)


@router.get("/readyz", response_model=Health, summary="Whether it can take in packets")
def readyz(desk: DeskNow, _: Anyone) -> Health:
    """See that the database answers and there is room on the disk; 503 or 507 otherwise."""
    if not migrate.revisions(desk.db):
        raise UnavailableError("The database has no tables yet.")
    if shutil.disk_usage(desk.folder).free < _LEAST_FREE:
        raise StorageFullError("The server's disk is nearly full.")
    return Health(status="ok", version=__version__)


@router.get("/v1/openapi.json", summary="This description", responses={200: {"description": "OpenAPI 3.1"}})
def openapi(request: Request, _: Annotated[Actor, Depends(requires("api.read"))]) -> dict[str, Any]:
    """What can be asked, in OpenAPI 3.1."""
    return request.app.openapi()  # type: ignore[no-any-return]


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    summary="Figures for Prometheus",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(desk: DeskNow, _: Annotated[Actor, Depends(requires("metrics.read"))]) -> PlainTextResponse:
    """Count what waits, what came in and what is kept aside."""
    return PlainTextResponse(_metrics(desk), media_type="text/plain; version=0.0.4; charset=utf-8")


def _metrics(desk: Desk) -> str:
    with desk.db.read() as tx:
        counts = tx.execute(sa.select(cases.c.state, sa.func.count()).group_by(cases.c.state))
        states: dict[str, int] = dict(counts.all())
        late = tx.execute(
            sa.select(sa.func.count()).where(
                cases.c.due_utc < to_text(desk.now()), sa.not_(cases.c.stopped), cases.c.state.in_(_WAITING)
            )
        ).scalar_one()
        counted = {
            table.name: tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (packets, answers, quarantine)
        }
        entries = audit.head(tx).n
    lines = ["# HELP spectralid_cases Cases by state.", "# TYPE spectralid_cases gauge"]
    lines += [f'spectralid_cases{{state="{state}"}} {states.get(state, 0)}' for state in State]
    figures = {
        "cases_late": ("gauge", "Cases past their hour without an answer.", late),
        "packets_total": ("counter", "Packets taken in.", counted["packets"]),
        "answers_total": ("counter", "Answers given.", counted["answers"]),
        "quarantine_total": ("counter", "Packets put aside.", counted["quarantine"]),
        "audit_entries_total": ("counter", "Entries of the audit log.", entries),
        "tablets_waiting": ("gauge", "Tablets that wait at this process.", len(desk.waiting)),
        "disk_free_bytes": ("gauge", "Room on the disk.", shutil.disk_usage(desk.folder).free),
    }
    for name, (kind, words, value) in figures.items():
        full = f"spectralid_{name}"
        lines += [f"# HELP {full} {words}", f"# TYPE {full} {kind}", f"{full} {value}"]
    return "\n".join(lines) + "\n"
