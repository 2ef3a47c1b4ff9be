"""A report as one HTML file that needs nothing else: style and figures are in it, and no script."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import TYPE_CHECKING, Final

from spectralid.qa.document import Block, Document, Heading, Paragraph, Picture, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["html"]

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.9rem; line-height: 1.2; } h2 { font-size: 1.35rem; margin-top: 2.2rem; }
h3 { font-size: 1.1rem; margin-top: 1.4rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: 1rem 0; font-size: 0.9rem; }
caption { text-align: left; font-weight: 600; padding-bottom: 0.3rem; }
th, td { text-align: left; padding: 0.25rem 0.8rem 0.25rem 0; border-bottom: 1px solid #c4c9cf;
  vertical-align: top; }
th { border-bottom: 2px solid #55606b; } td { overflow-wrap: anywhere; }
figure { margin: 1.2rem 0; } img { max-width: 100%; height: auto; }
figcaption { font-size: 0.9rem; color: #3d454d; }
@media print { body { max-width: none; margin: 0; font-size: 10pt; } h2 { break-after: avoid; }
  table, figure { break-inside: avoid-page; } }
"""


def html(document: Document) -> bytes:
    """The file, UTF-8.

    Parameters
    ----------
    document : Document
        What to write.

    Returns
    -------
    bytes
        One file, its figures inside.
    """
    body = "\n".join(_drawn(block) for block in document.blocks)
    title = escape(document.title)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        f"style-src 'unsafe-inline'\">\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        f"{body}\n</main>\n</body>\n</html>\n"
    ).encode()


def _drawn(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level + 1}>{escape(text)}</h{level + 1}>"
        case Paragraph(text):
            return f"<p>{escape(text)}</p>"
        case Picture(figure, caption):
            data = base64.b64encode(png(figure)).decode("ascii")
            said = escape(caption)
            image = f'<img alt="{said}" src="data:image/png;base64,{data}">'
            return f"<figure>{image}<figcaption>{said}</figcaption></figure>"
        case Table(head, rows, caption):
            return _table(head, rows, caption)


def _table(head: tuple[str, ...], rows: tuple[tuple[str, ...], ...], caption: str) -> str:
    named = f"<caption>{escape(caption)}</caption>" if caption else ""
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="wide" tabindex="0"><table>{named}<thead><tr>{top}</tr></thead>\n'
        f"<tbody>\n{lines}\n</tbody></table></div>"
    )


def png(figure: Figure) -> bytes:
    """A figure as PNG, without the time it was drawn."""
    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()
