"""Everything a report of one scan says, as plain data: the JSON report, and what the page is drawn from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from spectralid.errors import ParameterError
from spectralid.report import record

__all__ = ["SCHEMA", "Curve", "Numbers", "as_json", "scan_facts", "scan_json"]

SCHEMA: Final = "spectralid.report.scan/1"


class Numbers(Protocol):
    """A list or an array of numbers."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...


Curve = tuple[Numbers, Numbers, str]
"""Axis, ordinate and name of a spectrum to draw."""


def scan_json(
    manifest: Mapping[str, Any],
    spectra: Sequence[Curve] = (),
    *,
    language: str = "en",
    lab_status: str | None = None,
    answers: Iterable[Mapping[str, Any]] = (),
    evidence: Iterable[Mapping[str, Any]] = (),
) -> bytes:
    """The report of a scan as JSON with sorted keys; nothing in it is shortened.

    Parameters
    ----------
    manifest : mapping
        Manifest of the scan's packet, with the packet's SHA-256 as ``sha256``, which no manifest can hold.
    spectra : sequence of (x, y, name), optional
        Curves drawn on the page; the report names them, the packet holds their numbers.
    language : str, optional
        Language the page is in.
    lab_status : {"confirmed", "refuted", "inconclusive"}, optional
        What a laboratory has said; taken from the answers if absent.
    answers : iterable of mapping, optional
        Answers of reachback and laboratory to this scan or its item.
    evidence : iterable of mapping, optional
        Manifests of evidence recorded for the same item.

    Returns
    -------
    bytes
        UTF-8.

    Raises
    ------
    ParameterError
        If the manifest is not that of a scan.
    """
    return as_json(
        scan_facts(
            manifest,
            spectra,
            language=language,
            lab_status=lab_status,
            answers=answers,
            evidence=evidence,
        )
    )


def as_json(facts: Mapping[str, Any]) -> bytes:
    """Facts as JSON in UTF-8; the same facts give the same bytes."""
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    return f"{text}\n".encode()


def scan_facts(
    manifest: Mapping[str, Any],
    spectra: Sequence[Curve] = (),
    *,
    language: str = "en",
    lab_status: str | None = None,
    answers: Iterable[Mapping[str, Any]] = (),
    evidence: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """What a report of a scan says, as plain data; see `scan_json`."""
    if record.text(manifest, "kind") not in ("scan", ""):
        raise ParameterError("manifest", record.text(manifest, "kind"), "the manifest of a scan")
    answers = list(answers)
    of_item = record.evidence_of(manifest, evidence)
    strips = record.strips(of_item)
    assessment = record.last(of_item, "assessment")
    verdict = record.at(manifest, "result", "verdict")
    return {
        "schema": SCHEMA,
        "presumptive": True,
        "simulated": record.simulated(manifest),
        "language": language,
        "laboratory": record.laboratory(lab_status, answers),
        "answers": record.answered(answers),
        "verdict": dict(verdict) if isinstance(verdict, Mapping) else {},
        "refused": record.text(manifest, "result", "refused"),
        "components": [dict(c) for c in record.records(manifest, "result", "components")],
        "unexplained_cm1": record.at(manifest, "result", "unexplained_cm1") or [],
        "smallest_shares": _shares(manifest),
        "quality": record.at(manifest, "result", "quality") or {},
        "context": record.at(manifest, "context") or {},
        "strips": strips,
        "declared": record.declaration(of_item),
        "assessment": assessment,
        "conflicts": record.texts(assessment, "conflicts"),
        "escalation": _escalation(manifest, assessment),
        "escalation_note": record.text(manifest, "escalation", "officer_note"),
        "swgdrug": record.swgdrug(manifest, assessment, strips),
        "notes": [note for m in of_item if (note := record.text(m, "note"))],
        "spectra": [dict(s) for s in record.records(manifest, "spectra")],
        "drawn": [_drawn(curve) for curve in spectra],
        "identifiers": record.identifiers(manifest),
    }


def _shares(manifest: Mapping[str, Any]) -> dict[str, float]:
    shares = record.at(manifest, "result", "smallest_shares")
    return dict(shares) if isinstance(shares, Mapping) else {}


def _escalation(manifest: Mapping[str, Any], assessment: Mapping[str, Any] | None) -> list[str]:
    """Why it goes to reachback, each reason once."""
    given = record.texts(manifest, "escalation", "why")
    told = record.texts(manifest, "result", "verdict", "escalation")
    return list(dict.fromkeys([*given, *told, *record.texts(assessment, "escalation")]))


def _drawn(curve: Curve) -> dict[str, Any]:
    axis, name = [float(x) for x in curve[0]], curve[2]
    ends = (axis[0], axis[-1]) if axis else (None, None)
    return {"name": name, "points": len(axis), "first": ends[0], "last": ends[1]}
