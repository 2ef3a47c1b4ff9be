"""A report as blocks, from which HTML and PDF are made alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spectralid.errors import ParameterError
from spectralid.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Block", "Document", "Heading", "Paragraph", "Picture", "Table", "table"]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; `level` 1 or 2.

    Attributes
    ----------
    text : str
        The words.
    level : int
        1 or 2.
    """

    text: str
    level: int = 1


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text.

    Attributes
    ----------
    text : str
        The words.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts under a head, each as long as the head.

    Attributes
    ----------
    head : tuple of str
        Names of the columns.
    rows : tuple of tuple of str
        The rows.
    caption : str
        What it shows.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A figure, and what it shows in words, for those who cannot see it.

    Attributes
    ----------
    figure : Figure
        The figure.
    caption : str
        What it shows.
    """

    figure: Figure
    caption: str


Block = Heading | Paragraph | Table | Picture
"""What a document is made of."""


@dataclass(frozen=True, slots=True)
class Document:
    """A report.

    Attributes
    ----------
    title : str
        Of the report.
    blocks : tuple of Block
        In their order.
    """

    title: str
    blocks: tuple[Block, ...]

    def save(self, path: str | Path, *, paper: str = "a4") -> None:
        """Write it as the extension says: ``.html`` or ``.pdf``; the same document gives the same bytes.

        Raises
        ------
        ParameterError
            If the extension is another.
        MissingDependencyError
            If a PDF is asked for and the extra for reports is not installed.
        """
        path = Path(path)
        if path.suffix.lower() == ".html":
            from spectralid.qa.document_html import html

            written = html(self)
        elif path.suffix.lower() == ".pdf":
            from spectralid.qa.document_pdf import pdf

            written = pdf(self, paper)
        else:
            raise ParameterError("report", path.name, "a file that ends in .html or .pdf")
        write_whole(path, [written], mode=0o644)


def table(head: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> Table:
    """A table of anything that has a text.

    Parameters
    ----------
    head : sequence of str
        Headings of the columns.
    rows : sequence of sequence
        Cells, each written with ``str``.
    caption : str
        What the table shows.

    Returns
    -------
    Table
        The same as text.

    Raises
    ------
    ParameterError
        If a row is not as long as the head.
    """
    for row in rows:
        if len(row) != len(head):
            raise ParameterError("rows", len(row), f"rows of {len(head)}")
    return Table(tuple(head), tuple(tuple(str(cell) for cell in row) for row in rows), caption)
