"""The export of fentanyl-family seizures, whatever their weight: JSON and CSV.

Field names are those of NIEM 6.0 where it has one (https://github.com/niemopen/niem-model); the drug codes
are those of its list of controlled substances (``dea_codes.csv``, source per row). Where a substance has no
code there, or nobody wrote its code down with a source, the field stays empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from spectralid.report import record
from spectralid.report.scan import as_json

__all__ = ["FIELDS", "SCHEMA", "fentanyl_csv", "fentanyl_json", "fentanyl_rows", "is_family", "is_member"]

SCHEMA: Final = "spectralid.report.fentanyl/1"

FIELDS: Final = (
    "nc:ActivityIdentification",
    "nc:ActivityDate",
    "sid:ClockState",
    "nc:LocationName",
    "sid:ModeOfEntry",
    "sid:SiteReference",
    "sid:OfficerPseudonym",
    "nc:ItemOtherIdentification",
    "nc:ItemDescriptionText",
    "sid:Container",
    "sid:SubstanceName",
    "dea:DrugCode",
    "dea:DrugClassScheduleCode",
    "sid:SignalShare",
    "sid:SignalShareLow",
    "sid:SignalShareHigh",
    "sid:Probability",
    "sid:Basis",
    "sid:Status",
    "nc:SubstanceQuantityMeasure",
    "sid:SWGDRUGCategories",
    "sid:DeviceIdentification",
    "sid:PacketIdentification",
    "sid:PacketSequence",
    "sid:Simulated",
)
"""Columns. ``nc:`` and ``dea:`` are NIEM's core and DEA code namespaces, ``sid:`` are our own."""

_TABLE: Final = Path(__file__).parent / "dea_codes.csv"
_FAMILIES: Final = frozenset({"fentanyl-related", "fentanyl"})
_RELATED: Final = frozenset({"yes", "parent"})
_CATEGORY: Final = "opioid/fentanyl"
_SCHEDULES: Final = frozenset({"I", "II", "III", "IV", "V"})
# The rule for fentanyl-related substances puts them into schedule I (21 U.S.C. 812, schedule I(e)).
_RULE: Final = "FRS"
# What became of a member that only a laboratory found.
_FOUND: Final = "finding"
# What a spreadsheet would take for a formula (OWASP, CSV injection).
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


@cache
def _listed() -> Mapping[str, Mapping[str, str]]:
    with _TABLE.open(encoding="utf-8", newline="") as file:
        return {row["slug"]: row for row in csv.DictReader(file)}


def is_family(manifests: Iterable[Mapping[str, Any]], laboratory: str = "none") -> bool:
    """Whether an item holds a substance of the fentanyl family, confirmed or presumptive.

    A laboratory that refuted the field result takes it out; a positive strip alone puts it in.

    Parameters
    ----------
    manifests : iterable of mapping
        Manifests of the item's packets.
    laboratory : str, optional
        What a laboratory has said of it.
    """
    return laboratory != "refuted" and any(_basis(m) for m in manifests)


def is_member(component: Mapping[str, Any]) -> bool:
    """Whether a substance (``slug``, ``category``, ``fentanyl_related``) is of the fentanyl family."""
    if record.text(component, "fentanyl_related") in _RELATED:
        return True
    if record.text(component, "category").startswith(_CATEGORY):
        return True
    return _listed().get(record.text(component, "slug"), {}).get("role") == "family"


def _members(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Members among what the verdict names or leaves to choose between, not among all that was fitted."""
    named = set(record.texts(manifest, "result", "verdict", "named"))
    found = [c for c in record.records(manifest, "result", "components") if record.text(c, "slug") in named]
    known = {record.text(c, "slug") for c in found}
    found += [{"slug": slug} for slug in sorted(named - known)]
    return [c for c in found if is_member(c)]


def _families(manifest: Mapping[str, Any]) -> set[str]:
    given = record.texts(manifest, "result", "families")
    given += record.texts(manifest, "result", "verdict", "families")
    return set(given) & _FAMILIES


def _positive(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        s
        for s in record.records(manifest, "strips")
        if record.text(s, "result") == "pos" and "fentanyl" in record.text(s, "target").lower()
    ]


def _basis(manifest: Mapping[str, Any]) -> str:
    """What of a packet puts an item into the export; empty for nothing."""
    if _members(manifest):
        return "spectrum"
    if _families(manifest):
        return "spectrum: family"
    return "immunoassay" if _positive(manifest) else ""


def fentanyl_rows(
    manifests: Iterable[Mapping[str, Any]],
    *,
    answers: Iterable[Mapping[str, Any]] = (),
    lab_status: Mapping[str, str] | None = None,
    found: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> list[dict[str, Any]]:
    """One row for each member of the family in each packet that shows it; none if there is none.

    Parameters
    ----------
    manifests : iterable of mapping
        Manifests of all packets of any number of seizures.
    answers : iterable of mapping, optional
        Answers of reachback and laboratory.
    lab_status : mapping of str to str, optional
        What a laboratory has said of an item, by its reference.
    found : mapping of str to sequence of mapping, optional
        Substances that a laboratory found in an item, as components of a packet: members that no row of the
        item names have a row of their own, whatever the field said.
    """
    ordered = sorted(manifests, key=lambda m: (record.text(m, "device_id"), record.number(m, "seq") or 0))
    told = record.answered(answers)
    rows = []
    for manifest in ordered:
        basis = _basis(manifest)
        if not basis:
            continue
        item = record.text(manifest, "item_ref")
        own = [m for m in ordered if record.text(m, "item_ref") == item]
        packets = {record.text(m, "packet_id") for m in own}
        about = [a for a in told if packets & set(record.texts(a, "packet_ids"))]
        laboratory = record.laboratory((lab_status or {}).get(item), about)
        members: Sequence[Mapping[str, Any]] = _members(manifest) or [{}]
        if is_family(own, laboratory):
            rows += [_row(manifest, ordered, own, member, basis, laboratory) for member in members]
    return [*rows, *_found_rows(ordered, rows, found or {})]


def _found_rows(
    ordered: Sequence[Mapping[str, Any]],
    rows: Iterable[Mapping[str, Any]],
    found: Mapping[str, Sequence[Mapping[str, Any]]],
) -> list[dict[str, Any]]:
    """Members that only a laboratory found, with the newest packet of their item."""
    named = {(row["nc:ItemOtherIdentification"], row["sid:SubstanceName"].casefold()) for row in rows}
    more = []
    for item, substances in sorted(found.items()):
        own = [m for m in ordered if record.text(m, "item_ref") == item]
        more += [
            _row(own[-1], ordered, own, one, "laboratory", _FOUND)
            for one in substances
            if own and is_member(one) and (item, record.text(one, "name").casefold()) not in named
        ]
    return more


def _row(
    manifest: Mapping[str, Any],
    ordered: Iterable[Mapping[str, Any]],
    own: Iterable[Mapping[str, Any]],
    member: Mapping[str, Any],
    basis: str,
    laboratory: str,
) -> dict[str, Any]:
    seizure = record.text(manifest, "seizure_ref")
    opened = next(
        (m for m in ordered
         if record.text(m, "kind") == "seizure" and record.text(m, "seizure_ref") == seizure), {}
    )  # fmt: skip
    added = next((m for m in own if record.text(m, "kind") == "item"), {})
    slug = record.text(member, "slug")
    listed = _listed().get(slug, {})
    schedule = record.text(member, "schedule")
    name = record.text(member, "name") or slug or "fentanyl family, member not named"
    values = (
        seizure,
        record.text(manifest, "captured", "wall_utc"),
        record.text(manifest, "captured", "clock_state"),
        record.text(opened, "place"),
        record.text(opened, "mode"),
        record.text(manifest, "site_ref"),
        record.text(manifest, "officer_ref"),
        record.text(manifest, "item_ref"),
        record.text(added, "label"),
        record.text(added, "container"),
        name,
        listed.get("dea_drug_code", ""),
        "I" if schedule == _RULE else schedule if schedule in _SCHEDULES else "",
        record.number(member, "share"),
        record.number(member, "low"),
        record.number(member, "high"),
        record.number(member, "probability"),
        basis,
        "presumptive" if laboratory == "none" else f"laboratory {laboratory}",
        # No scale is part of the record; whoever weighs it writes it in.
        "",
        " ".join(record.swgdrug(manifest, None, record.strips(own))),
        record.text(manifest, "device_id"),
        record.text(manifest, "packet_id"),
        record.at(manifest, "seq"),
        "SIMULATED" if record.simulated(manifest) else "",
    )
    return dict(zip(FIELDS, values, strict=True))


def fentanyl_json(
    manifests: Iterable[Mapping[str, Any]],
    *,
    answers: Iterable[Mapping[str, Any]] = (),
    lab_status: Mapping[str, str] | None = None,
    found: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> bytes:
    """The export as JSON; see `fentanyl_rows`.

    Parameters
    ----------
    manifests : iterable of mapping
        Manifests of packets, of any number of seizures, each with its packet's SHA-256 as ``sha256``.
    answers : iterable of mapping, optional
        Answers of reachback and laboratory.
    lab_status : mapping of str to str, optional
        What a laboratory has said of an item, by its reference; taken from the answers where absent.
    found : mapping of str to sequence of mapping, optional
        Substances that a laboratory found in an item, as components of a packet: members that no row of the
        item names have a row of their own, whatever the field said.

    Returns
    -------
    bytes
        UTF-8, with sorted keys.
    """
    rows = fentanyl_rows(manifests, answers=answers, lab_status=lab_status, found=found)
    sources = sorted({s for r in _listed().values() if (s := r["source"])})
    return as_json({"schema": SCHEMA, "code_sources": sources, "rows": rows})


def fentanyl_csv(
    manifests: Iterable[Mapping[str, Any]],
    *,
    answers: Iterable[Mapping[str, Any]] = (),
    lab_status: Mapping[str, str] | None = None,
    found: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> bytes:
    """The export as CSV (RFC 4180, UTF-8); a text that a spreadsheet would run starts with an apostrophe.

    Parameters
    ----------
    manifests : iterable of mapping
        Manifests of packets, of any number of seizures, each with its packet's SHA-256 as ``sha256``.
    answers : iterable of mapping, optional
        Answers of reachback and laboratory.
    lab_status : mapping of str to str, optional
        What a laboratory has said of an item, by its reference; taken from the answers where absent.
    found : mapping of str to sequence of mapping, optional
        Substances that a laboratory found in an item, as components of a packet: members that no row of the
        item names have a row of their own, whatever the field said.

    Returns
    -------
    bytes
        UTF-8, one row for each member of the family in each packet that shows it.
    """
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow(FIELDS)
    for row in fentanyl_rows(manifests, answers=answers, lab_status=lab_status, found=found):
        writer.writerow([_harmless(value) for value in row.values()])
    return target.getvalue().encode()


def _harmless(value: Any) -> str:
    if value is None:
        return ""
    said = str(value)
    return f"'{said}" if isinstance(value, str) and said.startswith(_FORMULA) else said
