"""The report of a transfer from a parent unit to its daughters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from spectralid.qa.document import Block, Document, Heading, Paragraph, table
from spectralid.qa.study import Study
from spectralid.qa.tables import Rate
from spectralid.qa.transfer import Transfer

__all__ = ["PUBLISHED", "transfer_document", "transfer_facts"]

PUBLISHED: Final = (
    "FDA Forensic Chemistry Center, one parent, three daughters, 100 opioids and related substances: alarm "
    "97.3 %, right name 93.3 %, true negatives 100 %, false positives 0 % (J. Forensic Sci. 65 (2020) 421)."
)
"""What was published of such a transfer, for comparison."""
_NAMES: Final = {
    "alarm_found": "Alarm, dangerous",
    "alarm_false": "Alarm, not dangerous",
    "silent": "Silent, dangerous",
    "complete": "All named",
    "false": "Named in vain",
}


def transfer_document(
    found: Transfer, study: Study, *, title: str = "Transfer to daughter units"
) -> Document:
    """The report.

    Parameters
    ----------
    found : Transfer
        What was found.
    study : Study
        What it was found from.
    title : str
        Of the report.

    Returns
    -------
    Document
        To be written as HTML or PDF.
    """
    return Document(title, tuple(_blocks(found, study)))


def transfer_facts(found: Transfer) -> dict[str, Any]:
    """Everything as plain data, for scripts.

    Parameters
    ----------
    found : Transfer
        What was found.

    Returns
    -------
    dict
        JSON-ready.
    """
    return {
        "accepted": found.accepted,
        "margin": found.margin,
        "parent": {"unit": found.parent, **_rates(found.rates)},
        "daughters": [
            {
                "unit": one.unit,
                "accepted": one.accepted,
                "reasons": list(one.reasons),
                **_rates(one.rates),
                "losses": [
                    {"what": loss.what, "specimens": loss.specimens, "lost": loss.lost, "won": loss.won,
                     "value": loss.value, "upper": loss.upper}
                    for loss in one.losses
                ],
            }
            for one in found.daughters
        ],
    }  # fmt: skip


def _rates(rates: Mapping[str, Rate]) -> dict[str, dict[str, float | int | None]]:
    return {
        name: {"hits": r.hits, "of": r.of, "value": r.value, "low": r.low, "high": r.high}
        for name, r in rates.items()
    }


def _blocks(found: Transfer, study: Study) -> Iterator[Block]:
    refused = [one.unit for one in found.daughters if not one.accepted]
    yield Paragraph(
        "Every daughter is accepted." if not refused else f"Not accepted: {', '.join(refused)}; see below."
    )
    yield Paragraph(
        f"Library {study.library} {study.library_version} (SHA-256 {study.library_sha256}); manifest "
        f"{study.manifest.file} (SHA-256 {study.manifest.sha256}); {study.software}. A daughter may lose at "
        f"most {100 * found.margin:g} % of what the parent does, with 95 % confidence (one-sided)."
    )
    yield Heading("Rates")
    yield table(
        ("Unit", *_NAMES.values()),
        [
            (f"{found.parent} (parent)", *(found.rates[name] for name in _NAMES)),
            *((one.unit, *(one.rates[name] for name in _NAMES)) for one in found.daughters),
        ],
        "Shares with 95 % intervals of Clopper and Pearson",
    )
    yield Paragraph(f"Published, for comparison: {PUBLISHED}")
    yield Heading("Against the parent, specimen by specimen")
    yield table(
        ("Unit", "What", "Specimens", "Lost", "Won", "Net loss", "At most"),
        [
            (one.unit, loss.what, loss.specimens, loss.lost, loss.won,
             f"{100 * loss.value:+.1f} %", f"{100 * loss.upper:.1f} %")
            for one in found.daughters
            for loss in one.losses
        ],
    )  # fmt: skip
    for one in found.daughters:
        for reason in one.reasons:
            yield Paragraph(f"{one.unit} is not accepted: {reason}.")
