"""A report as PDF; the same document always gives the same bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

from spectralid.qa.document import Block, Document, Heading, Paragraph, Picture, Table
from spectralid.qa.document_html import png
from spectralid.report.ink import clean, faces
from spectralid.report.pdf import MARGIN, paper_size

if TYPE_CHECKING:
    from reportlab.platypus import Flowable

__all__ = ["pdf"]

_BODY: Final = 9.5
_CELL: Final = 8.0
# A column is as wide as its texts want, within these shares of the page.
_LEAST: Final = 0.06
_INCH: Final = 72.0
# What reportlab's frame keeps free on each side.
_PADDING: Final = 6.0


def pdf(document: Document, paper: str = "a4") -> bytes:
    """The file.

    Parameters
    ----------
    document : Document
        What to write.
    paper : {"a4", "letter"}
        Paper.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ParameterError
        If the paper is not known.
    MissingDependencyError
        If the extra for reports is not installed.
    """
    names = faces()
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import SimpleDocTemplate

    width, height = paper_size(paper)
    regular, bold = names["regular"], names["bold"]
    styles = {
        "title": ParagraphStyle("title", fontName=bold, fontSize=18, leading=22, spaceAfter=8),
        "1": ParagraphStyle("1", fontName=bold, fontSize=13, leading=16, spaceBefore=12, spaceAfter=4),
        "2": ParagraphStyle("2", fontName=bold, fontSize=11, leading=14, spaceBefore=8, spaceAfter=3),
        "body": ParagraphStyle("body", fontName=regular, fontSize=_BODY, leading=13, spaceAfter=5),
        "cell": ParagraphStyle("cell", fontName=regular, fontSize=_CELL, leading=10, splitLongWords=1),
        "head": ParagraphStyle("head", fontName=bold, fontSize=_CELL, leading=10),
        "caption": ParagraphStyle(
            "caption", fontName=bold, fontSize=9, leading=12, spaceBefore=6, spaceAfter=3
        ),
    }
    target = io.BytesIO()
    template = SimpleDocTemplate(
        target, pagesize=(width, height), title=clean(document.title), lang="en", invariant=1,
        leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=MARGIN + 12,
    )  # fmt: skip
    story = [_text(document.title, styles["title"])]
    for block in document.blocks:
        story += _flowables(block, styles, width - 2 * MARGIN - 2 * _PADDING, height - 4 * MARGIN)

    def numbered(canvas: Any, _: Any) -> None:
        canvas.setFont(regular, 8)
        canvas.drawRightString(width - MARGIN, MARGIN, str(canvas.getPageNumber()))
        canvas.drawString(MARGIN, MARGIN, clean(document.title)[:90])

    template.build(story, onFirstPage=numbered, onLaterPages=numbered)
    return target.getvalue()


def _text(text: str, style: Any) -> Flowable:
    from html import escape

    from reportlab.platypus import Paragraph as Flowing

    return Flowing(escape(clean(text)), style)


def _flowables(block: Block, styles: dict[str, Any], width: float, height: float) -> list[Flowable]:
    match block:
        case Heading(text, level):
            return [_text(text, styles[str(level)])]
        case Paragraph(text):
            return [_text(text, styles["body"])]
        case Picture(figure, caption):
            from reportlab.platypus import Image

            across, down = figure.get_size_inches()
            scale = min(width / across, height / down, _INCH)
            image = Image(io.BytesIO(png(figure)), width=across * scale, height=down * scale)
            return [image, _text(caption, styles["body"])]
        case Table(head, rows, caption):
            return _table(head, rows, caption, styles, width)


def _table(
    head: tuple[str, ...],
    rows: tuple[tuple[str, ...], ...],
    caption: str,
    styles: dict[str, Any],
    width: float,
) -> list[Flowable]:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import LongTable

    wanted = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    # Long texts wrap; they want room as the root of their length.
    shares = [max(_LEAST, n**0.7) for n in wanted]
    lines = [[_text(name, styles["head"]) for name in head]]
    lines += [[_text(cell, styles["cell"]) for cell in row] for row in rows]
    made = LongTable(
        lines,
        colWidths=[width * share / sum(shares) for share in shares],
        repeatRows=1,
        hAlign="LEFT",
        spaceAfter=6,
    )
    made.setStyle(
        [
            ("LINEBELOW", (0, 0), (-1, 0), 1.0, HexColor("#55606b")),
            ("LINEBELOW", (0, 1), (-1, -1), 0.4, HexColor("#c4c9cf")),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        ]
    )
    return ([_text(caption, styles["caption"])] if caption else []) + [made]
