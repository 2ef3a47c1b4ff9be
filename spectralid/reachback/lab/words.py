"""What officers read of a laboratory's result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from spectralid.reachback.lab.reports import Substance

__all__ = ["LINKED", "facts", "headline", "laboratory", "linked_words", "with_found", "words"]

LINKED: Final = {
    "refuted": "A linked seizure: the laboratory refuted its presumptive result",
    "confirmed": "A linked seizure: the laboratory has since confirmed its result",
    "inconclusive": "A linked seizure: the laboratory's later report is inconclusive",
}
_HEADLINES: Final = {
    "confirmed": "Laboratory: confirmed",
    "refuted": "Laboratory: the presumptive result is refuted",
    "inconclusive": "Laboratory: inconclusive, the result stays presumptive",
}
_MEANINGS: Final = {
    "confirmed": "The laboratory confirmed the presumptive result.",
    "refuted": "The laboratory did not bear the presumptive result out. The case is open again and a chemist "
    "will answer; treat the item as before until then.",
    "inconclusive": "The laboratory could neither confirm nor refute the presumptive result. Treat the item "
    "as before.",
}


_CONTRADICTS: Final = (
    "The laboratory reported its own finding as confirmed; it is another than what was answered."
)


def laboratory(row: Mapping[str, Any]) -> str:
    """Who says so."""
    return f"laboratory {row['laboratory']}"[:100]


def _found(row: Mapping[str, Any]) -> str:
    return ", ".join(Substance(**one).shown() for one in json.loads(row["substances"]))


def with_found(said: str, row: Mapping[str, Any]) -> str:
    """A headline, with what the laboratory found, as long as headlines may be."""
    if found := _found(row):
        said = f"{said}. Found: {found}"
    return said if len(said) <= 300 else f"{said[:299]}…"


def headline(row: Mapping[str, Any], *, again: bool) -> str:
    """The headline of a result; `again` if it takes the place of an earlier report on the sample."""
    later = "" if not again else " (corrected report)" if row["corrects"] else " (later report)"
    return with_found(f"{_HEADLINES[row['result']]}{later}", row)


def words(row: Mapping[str, Any], *, again: bool) -> str:
    """What a result means, and what it rests on."""
    parts = [_MEANINGS[row["result"]]]
    if row.get("contradicts"):
        parts.insert(0, _CONTRADICTS)
    if again:
        parts.append("This takes the place of the laboratory's earlier report.")
    return " ".join([*parts, *facts(row)])


def facts(row: Mapping[str, Any]) -> list[str]:
    """What was found, by which methods, on which sample."""
    parts = []
    if found := _found(row):
        parts.append(f"Found: {found[:2000]}.")
    letters = " + ".join(json.loads(row["categories"]))
    parts.append(f"By {', '.join(json.loads(row['methods']))} (SWGDRUG category {letters}).")
    reference = f", report {row['report_ref']}" if row["report_ref"] else ""
    parts.append(f"{row['stage'].capitalize()} laboratory, sample {row['sample_ref']}{reference}.")
    return parts


def linked_words(case: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """What the officers of a linked seizure read."""
    parts = [
        f"Seizure {case['seizure_ref']}, which is linked to this one, has news of the laboratory. This "
        "seizure has not been decided anew; handle it as before and ask reachback where it matters.",
        *facts(row),
    ]
    return " ".join(parts)
