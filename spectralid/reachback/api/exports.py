"""The record of a seizure as a document."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response

from spectralid.reachback import exports
from spectralid.reachback.api import problems
from spectralid.reachback.api.access import Actor, requires, see_case
from spectralid.reachback.api.bodies import CaseId, DeskNow
from spectralid.reachback.api.desk import Desk
from spectralid.reachback.exports import FORMS, Form

__all__ = ["router"]

router = APIRouter(tags=["exports"])

_CONTENT = {
    **{kind.split(";")[0]: {"schema": {"type": "string", "format": "binary"}} for kind, _ in FORMS.values()},
    "application/json": {"schema": {"type": "object"}},
}
_Language = Annotated[Literal["en", "es"], Query(description="of the PDF")]
_Paper = Annotated[Literal["a4", "letter"], Query(description="of the PDF")]


@router.get(
    "/v1/seizures/{case_id}/report",
    response_class=Response,
    summary="A seizure as a document, without persons",
    responses={200: {"description": "The document", "content": _CONTENT}, **problems.declared(404)},
)
def seizure_report(
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("report.export"))],
    case_id: CaseId,
    format: Form = "json",
    language: _Language = "en",
    paper: _Paper = "a4",
) -> Response:
    """Persons are pseudonyms of this export, and what somebody typed is left out."""
    return _made(desk, who, case_id, format, language, paper, persons=False)


@router.get(
    "/v1/seizures/{case_id}/report-with-persons",
    response_class=Response,
    summary="A seizure as a document, with persons and notes",
    responses={200: {"description": "The document", "content": _CONTENT}, **problems.declared(404)},
)
def seizure_report_with_persons(
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("report.persons"))],
    case_id: CaseId,
    format: Form = "json",
    language: _Language = "en",
    paper: _Paper = "a4",
) -> Response:
    """The whole record, for the file of the case; photos stay in it."""
    return _made(desk, who, case_id, format, language, paper, persons=True)


def _made(
    desk: Desk, who: Actor, case_id: str, form: str, language: str, paper: str, *, persons: bool
) -> Response:
    see_case(desk, who, case_id)
    made = exports.export(
        desk.db, case_id, form, by=who.name, now=desk.now(), persons=persons, language=language, paper=paper
    )
    headers = {"Content-Disposition": f'attachment; filename="{made.name}"'}
    return Response(made.data, media_type=made.media_type, headers=headers)
