"""The report of a library's audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from spectralid.qa.document import Block, Document, Heading, Paragraph, table
from spectralid.qa.library_audit import CONFUSABLE, Audit

__all__ = ["audit_document", "audit_facts"]

_HEADINGS: Final[Mapping[str, str]] = {
    "duplicate": "There twice",
    "same_scan": "One scan under two names or formats",
    "mislabelled": "Labels that may be wrong",
    "odd": "Unlike their own compound",
    "undocumented": "Without source or licence",
}
_MOST_ROWS: Final = 300


def audit_document(audit: Audit, *, title: str = "Library audit") -> Document:
    """The report.

    Parameters
    ----------
    audit : Audit
        What was found.
    title : str
        Of the report.

    Returns
    -------
    Document
        To be written as HTML or PDF.
    """
    return Document(title, tuple(_blocks(audit)))


def audit_facts(audit: Audit) -> dict[str, Any]:
    """Everything as plain data, for scripts.

    Parameters
    ----------
    audit : Audit
        What was found.

    Returns
    -------
    dict
        JSON-ready.
    """
    return asdict(audit)


def _blocks(audit: Audit) -> Iterator[Block]:
    yield Paragraph(
        f"{audit.library} {audit.version}, {audit.references} measured and literature references "
        f"(SHA-256 {audit.sha256}). Findings are leads for a person; none of them proves a mistake."
    )
    for kind, heading in _HEADINGS.items():
        found = [finding for finding in audit.findings if finding.kind == kind]
        yield Heading(heading)
        if not found:
            yield Paragraph("None found.")
            continue
        yield table(("What was found",), [(finding.words,) for finding in found[:_MOST_ROWS]])
        yield from _rest(len(found))
    yield Heading("Hard to tell apart")
    if audit.confusable:
        yield table(
            ("Technique", "Compound", "Compound", "Likeness"),
            [
                (one.technique, one.first, one.second, f"{one.likeness:.3f}")
                for one in audit.confusable[:_MOST_ROWS]
            ],
            f"Pairs of compounds with a derivative cosine of {CONFUSABLE:g} or more",
        )
        yield from _rest(len(audit.confusable))
    else:
        yield Paragraph(f"No two compounds have a derivative cosine of {CONFUSABLE:g} or more.")
    if audit.coverage:
        yield Heading("Watch list")
        yield table(
            ("Wanted", "Compound", "Raman", "Infrared", "Computed (names nothing)"),
            [
                (
                    one.wanted,
                    one.slug or "not known to the library",
                    one.references.get("raman", 0),
                    one.references.get("infrared", 0),
                    one.computed,
                )
                for one in audit.coverage
            ],
        )


def _rest(n: int) -> Iterator[Block]:
    if n > _MOST_ROWS:
        yield Paragraph(f"{n - _MOST_ROWS} more are in the JSON of this audit.")
