"""Reading plain manifests: what a report says of a record, and nothing that is not in it.

A manifest is whatever a device of any version sealed. A field that is absent or of another form is left out
of the report; it is never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

__all__ = [
    "LABORATORY",
    "answered",
    "at",
    "check",
    "declaration",
    "evidence_of",
    "identifiers",
    "laboratory",
    "last",
    "number",
    "records",
    "simulated",
    "strips",
    "swgdrug",
    "text",
    "texts",
]

Plain = Mapping[str, Any]

LABORATORY: Final = ("confirmed", "refuted", "inconclusive")

# SWGDRUG recommendations 8.1, IIIB: infrared and Raman spectroscopy are category A, immunoassay is C. Only a
# positive result counts.
_NAMING: Final = frozenset({"identified", "mixture"})
# Codes of a strip test whose validity is not on record.
_INVALID: Final = frozenset({"expired", "expiry-unknown", "read-time", "read-time-unknown", "target-unknown"})


def at(record: object, *path: str) -> Any:
    """The value at a path of keys; None where there is none."""
    for key in path:
        if not isinstance(record, Mapping):
            return None
        record = record.get(key)
    return record


def text(record: object, *path: str) -> str:
    """The text or number at a path as text; empty where there is none."""
    value = at(record, *path)
    return "" if value is None or isinstance(value, Mapping | list | tuple | bool) else str(value)


def texts(record: object, *path: str) -> list[str]:
    """The texts listed at a path."""
    value = at(record, *path)
    if isinstance(value, str):
        return [value] if value else []
    return [str(v) for v in value if v not in (None, "")] if isinstance(value, Sequence) else []


def number(record: object, *path: str) -> float | None:
    """The number at a path; None where there is none."""
    value = at(record, *path)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def records(record: object, *path: str) -> list[Plain]:
    """The mappings listed at a path."""
    value = at(record, *path)
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, Sequence) else []


def identifiers(manifest: Plain) -> dict[str, Any]:
    """Which record it is, who made it, when, with what."""
    instrument = at(manifest, "instrument")
    return {
        "packet_id": text(manifest, "packet_id"),
        "packet_sha256": text(manifest, "sha256"),
        "device_id": text(manifest, "device_id"),
        "seq": at(manifest, "seq"),
        "previous_sha256": text(manifest, "prev"),
        "officer_ref": text(manifest, "officer_ref"),
        "site_ref": text(manifest, "site_ref"),
        "seizure_ref": text(manifest, "seizure_ref"),
        "item_ref": text(manifest, "item_ref"),
        "rescan_of": text(manifest, "rescan_of"),
        "captured_utc": text(manifest, "captured", "wall_utc"),
        "clock_state": text(manifest, "captured", "clock_state"),
        "last_trusted_utc": text(manifest, "captured", "last_trusted_utc"),
        "instrument": dict(instrument) if isinstance(instrument, Mapping) else {},
        "ipv": check(manifest),
        "engine": text(manifest, "result", "engine", "version") or text(manifest, "result", "engine"),
        "config": text(manifest, "result", "config_hash") or text(manifest, "result", "config"),
        "library": {
            "name": text(manifest, "result", "library", "name"),
            "version": text(manifest, "result", "library", "version"),
            "sha256": text(manifest, "result", "library", "sha256")
            or text(manifest, "result", "library", "targets_hash"),
        },
        "policy": text(manifest, "result", "verdict", "policy") or text(manifest, "result", "policy"),
        "ui_locale": text(manifest, "ui_locale"),
    }


def check(manifest: Plain) -> dict[str, Any]:
    """The instrument's last performance check, or at least how it stood at the scan."""
    ipv, state = at(manifest, "ipv"), text(manifest, "instrument_check")
    known = dict(ipv) if isinstance(ipv, Mapping) else {}
    return {"state": state, **known} if state else known


def simulated(manifest: Plain) -> bool:
    """Whether a simulated instrument made it; no such spectrum may pass for evidence."""
    return "simulated" in texts(manifest, "instrument", "flags")


def laboratory(lab_status: str | None, answers: Iterable[Plain]) -> str:
    """What a laboratory has said: ``"confirmed"``, ``"refuted"``, ``"inconclusive"``, or ``"none"``.

    `lab_status` if it is given, else the newest laboratory result that no later answer supersedes.
    """
    if lab_status is not None:
        return lab_status if lab_status in LABORATORY else "none"
    said = [a for a in answered(answers) if text(a, "kind") == "lab_result" and not a["superseded"]]
    return text(said[-1], "lab") if said and text(said[-1], "lab") in LABORATORY else "none"


def answered(answers: Iterable[Plain]) -> list[dict[str, Any]]:
    """Answers in the order they were given, each marked whether a later one supersedes it."""
    ordered = sorted((dict(a) for a in answers), key=lambda a: (number(a, "n") or 0, text(a, "answer_id")))
    gone = {reference for a in ordered for reference in texts(a, "supersedes")}
    return [a | {"superseded": text(a, "answer_id") in gone} for a in ordered]


def evidence_of(manifest: Plain, others: Iterable[Plain]) -> list[Plain]:
    """The manifest itself, and how its item was opened and the evidence recorded for it, oldest first."""
    item = text(manifest, "item_ref")
    of_item = [
        m
        for m in others
        if text(m, "kind") in ("item", "evidence") and (not item or text(m, "item_ref") in ("", item))
    ]
    return sorted([manifest, *of_item], key=lambda m: number(m, "seq") or 0)


def last(of_item: Iterable[Plain], key: str) -> dict[str, Any]:
    """The newest mapping of that name; empty if there is none."""
    found = [dict(m[key]) for m in of_item if isinstance(m.get(key), Mapping)]
    return found[-1] if found else {}


def declaration(of_item: Sequence[Plain]) -> dict[str, Any]:
    """What was declared last, with its check: its own, or that of the item's newest assessment."""
    said = last(of_item, "declared")
    check = at(last(of_item, "assessment"), "declared")
    return said if not said or "check" in said or not isinstance(check, Mapping) else {**said, "check": check}


def strips(records_of_item: Iterable[Plain]) -> list[dict[str, Any]]:
    """Every strip test recorded."""
    return [dict(s) for record in records_of_item for s in records(record, "strips")]


def swgdrug(manifest: Plain, assessment: Plain | None, tests: Iterable[Plain]) -> list[str]:
    """SWGDRUG categories with a positive result: of the item where it was assessed, else of this record."""
    if assessment and "swgdrug" in assessment:
        return sorted(set(texts(assessment, "swgdrug")))
    met = set()
    if text(manifest, "result", "verdict", "kind") in _NAMING:
        met.add("A")
    if any(
        text(test, "result") == "pos" and not _INVALID & set(texts(test, "evidence", "codes"))
        for test in tests
    ):
        met.add("C")
    return sorted(met)
