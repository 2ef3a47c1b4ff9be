"""Pages of rows to the bytes of a PDF; the same pages always give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from spectralid.errors import ParameterError
from spectralid.report.ink import MM, Face, Fill, Row, Stroke, Word, faces

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

__all__ = ["MARGIN", "PAPERS", "Placed", "paper_size", "written"]

PAPERS: Final = {"a4": (210 * MM, 297 * MM), "letter": (8.5 * 72, 11.0 * 72)}
MARGIN: Final = 14 * MM

Placed = tuple[float, float, Row]
"""A row and where its top left corner is, from the top left corner of the page."""


def paper_size(paper: str) -> tuple[float, float]:
    """Width and height of a paper.

    Raises
    ------
    ParameterError
        If it is no paper known here.
    """
    if paper.lower() not in PAPERS:
        raise ParameterError("paper", paper, "one of " + ", ".join(PAPERS))
    return PAPERS[paper.lower()]


def written(pages: Sequence[Iterable[Placed]], paper: str, *, title: str, language: str) -> bytes:
    """A PDF of some pages.

    Parameters
    ----------
    pages : sequence of iterable of Placed
        What is on each.
    paper : str
        ``"a4"`` or ``"letter"``.
    title : str
        Title of the document.
    language : str
        ISO 639 code of its text, for screen readers.
    """
    names = faces()
    from reportlab.pdfgen.canvas import Canvas

    size = paper_size(paper)
    target = io.BytesIO()
    # invariant: no clock and no random id; the only times in a report are those of the record.
    first = names["regular"]
    canvas = Canvas(
        target, pagesize=size, invariant=1, pageCompression=1, lang=language, initialFontName=first
    )
    canvas.setTitle(title)
    canvas.setAuthor("")
    canvas.setSubject("")
    canvas.setCreator("spectralid")
    for page in pages:
        for x, y, row in page:
            _draw(canvas, row, x, size[1] - y, names)
        canvas.showPage()
    canvas.save()
    return target.getvalue()


def _draw(canvas: Canvas, row: Row, x: float, top: float, names: Mapping[Face, str]) -> None:
    for mark in row.marks:
        if isinstance(mark, Word):
            canvas.setFillColor(mark.colour)
            canvas.setFont(names[mark.face], mark.size)
            canvas.drawString(x + mark.x, top - mark.y, mark.text)
        elif mark.points:
            path = canvas.beginPath()
            (first_x, first_y), *others = mark.points
            path.moveTo(x + first_x, top - first_y)
            for point_x, point_y in others:
                path.lineTo(x + point_x, top - point_y)
            if isinstance(mark, Fill):
                path.close()
                canvas.setFillColor(mark.colour)
                canvas.drawPath(path, stroke=0, fill=1)
            elif isinstance(mark, Stroke):
                canvas.setStrokeColor(mark.colour)
                canvas.setLineWidth(mark.width)
                canvas.setDash(list(mark.dash))
                canvas.drawPath(path, stroke=1, fill=0)
