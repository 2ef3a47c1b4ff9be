"""A record without persons: what leaves the agency, or goes to whoever need not know.

Nothing is searched for names, since nobody finds them all. A redacted record is built from what is known to
be none: numbers, hashes, times, codes of closed lists, slugs. Whatever a person could have typed (labels,
places, notes, words of an answer, unknown fields) is left out; headlines and names of substances are made
anew from slugs. Persons, laboratories, devices and sites become pseudonyms under a key that belongs to one
export and is thrown away, so that two exports cannot be laid side by side; seizure and items get the case's
number and their own. Packets keep number and SHA-256: whoever has the record finds them again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from spectralid.casework.clock import to_text
from spectralid.casework.messages import parse_utc
from spectralid.errors import SpectralIDError
from spectralid.reachback import classification
from spectralid.reachback.lab.reports import Result

__all__ = ["Redactor", "substance_name"]

_CODE: Final = re.compile(r"[a-z0-9][a-z0-9_.:+-]{0,60}")
_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?=[a-z0-9])){0,99}")
_HEX: Final = re.compile(r"[0-9a-f]{8,64}")
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VERSION: Final = re.compile(r"[0-9][0-9A-Za-z.+-]{0,40}")
# Persons have no digits in their names; what makers call their models has.
_DESIGNATION: Final = re.compile(r"(?=.*[0-9])[A-Za-z0-9][A-Za-z0-9.,/+& _-]{0,40}")
_LOCALE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,4})?")
_CAS: Final = re.compile(r"[0-9]{2,7}-[0-9]{2}-[0-9]")
_TARIFF: Final = re.compile(r"[0-9. ]{4,14}")
_SCHEMA: Final = re.compile(r"spectralid\.packet/[0-9]{1,9}")
_ANSWER_ID: Final = re.compile(r"A-[0-9a-f]{20}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?")

_DECISIONS: Final = frozenset({"identified", "mixture", "class_only", "inconclusive", "no_match"})
_VERDICTS: Final = _DECISIONS | {"family", "poor_signal"}
_ALARMS: Final = frozenset({"danger", "unknown", "warning", "notice"})
_KINDS: Final = frozenset({"seizure", "item", "scan", "evidence", "send", "custody"})
_CLOCKS: Final = frozenset({"synced", "drift", "unsynced"})
_MODES: Final = frozenset({"mail", "express", "land", "air", "sea", "other"})
_CONTAINERS: Final = frozenset({"none", "pe", "glass", "other"})
_TECHNIQUES: Final = frozenset({"raman", "ftir", "ftir_atr", "ftir_transmission", "unknown"})
_STRIPS: Final = frozenset({"pos", "neg", "invalid"})
_TIERS: Final = frozenset({"measured", "literature", "computed"})
_RELATED: Final = frozenset({"yes", "parent", "no", ""})
_SCHEDULES: Final = frozenset({"none", "I", "II", "III", "IV", "V", "FRS", "List I", "List II"})
_FORMS: Final = frozenset(
    {"base", "hydrochloride", "hydrobromide", "sulfate", "phosphate", "citrate", "tartrate", "maleate",
     "fumarate", "acetate", "oxalate", "mesylate", "sodium salt", "potassium salt", "anhydrous", "hydrate",
     "monohydrate", "dihydrate"}
)  # fmt: skip
_ANSWERS: Final[Mapping[str, str]] = {
    "interim": "Interim answer",
    "final": "Answer of a chemist",
    "lab_result": "Result of a laboratory",
    "notice": "Notice",
}

Keep = Callable[[Any], Any]


def _matching(pattern: re.Pattern[str]) -> Keep:
    return lambda value: value if isinstance(value, str) and pattern.fullmatch(value) else None


def _among(known: Iterable[str]) -> Keep:
    choices = frozenset(known)
    return lambda value: value if isinstance(value, str) and value in choices else None


def _list_of(keep: Keep) -> Keep:
    return lambda value: [kept for one in _sequence(value) if (kept := keep(one)) is not None]


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) else None


def _utc(value: Any) -> str | None:
    try:
        return to_text(parse_utc(value)) if isinstance(value, str) else None
    except (SpectralIDError, OverflowError):
        return None


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _kept(value: Any, fields: Mapping[str, Keep]) -> dict[str, Any]:
    """Those fields of a mapping that are what they should be."""
    said = _mapping(value)
    found = {name: keep(said[name]) for name, keep in fields.items() if name in said}
    return {name: one for name, one in found.items() if one is not None}


_code, _slug, _hex, _uuid, _version = map(_matching, (_CODE, _SLUG, _HEX, _UUID, _VERSION))
_named = _matching(_DESIGNATION)

_CAPTURED: Final[Mapping[str, Keep]] = {
    "wall_utc": _utc,
    "monotonic_us": _number,
    "clock_state": _among(_CLOCKS),
    "last_trusted_utc": _utc,
}
_INSTRUMENT: Final[Mapping[str, Keep]] = {
    "technique": _among(_TECHNIQUES),
    "instrument": _named,
    "model": _named,
    "firmware": _version,
    **dict.fromkeys(("laser_nm", "power_mw", "integration_ms", "averages", "resolution_cm1"), _number),
    "flags": _list_of(_among({"simulated", "saturated", "axis_reordered", "instrument_not_verified"})),
}
_SPECTRUM: Final[Mapping[str, Keep]] = {
    "technique": _among(_TECHNIQUES),
    "unit": _code,
    "dtype": _among({"<f4", "<f8"}),
    "n": _number,
    "sha256": _hex,
    "blob": _hex,
}
_STRIP: Final[Mapping[str, Keep]] = {
    "result": _among(_STRIPS),
    "expiry": _matching(_DATE),
    **dict.fromkeys(("cutoff_ng_ml", "dilution_mg_ml", "read_s"), _number),
}


def _component(value: Any) -> dict[str, Any] | None:
    said = _kept(
        value,
        {
            "slug": _slug,
            "form": _among(_FORMS),
            "category": _among(classification.CATEGORIES),
            "schedule": _among(_SCHEDULES),
            "fentanyl_related": _among(_RELATED),
            "tier": _among(_TIERS),
            **dict.fromkeys(("share", "low", "high", "probability"), _number),
        },
    )
    if "slug" not in said:
        return None
    return {**said, "name": substance_name(said["slug"])}


def substance_name(slug: str) -> str:
    """What a substance is called in the compound table; its slug where it is not there."""
    known = classification.compounds().by_slug.get(slug)
    return known.name if known else slug


def _result(value: Any) -> dict[str, Any]:
    said = _mapping(value)
    kept = _kept(
        said,
        {
            "decision": _among(_DECISIONS),
            "components": _list_of(_component),
            "candidates": _list_of(
                lambda one: _kept(one, {"substance_id": _slug, "score": _number, "rank": _number}) or None
            ),
            "families": _list_of(_among(classification.FAMILIES)),
            "reason_codes": _list_of(_code),
            "unexplained_cm1": _list_of(_number),
            "identification_sha256": _hex,
            "smallest_shares": lambda one: _kept(one, dict.fromkeys(classification.FAMILIES, _number)),
            "quality": lambda one: _kept(one, {"snr": _number, "problems": _list_of(_code)}),
            "engine": lambda one: _kept(one, {"version": _version}),
            "library": lambda one: _kept(one, {"name": _code, "version": _version, "sha256": _hex}),
        },
    )
    verdict = _kept(
        said.get("verdict"),
        {
            "kind": _among(_VERDICTS),
            "alarm": _among(_ALARMS),
            "named": _list_of(_slug),
            "families": _list_of(_among(classification.FAMILIES)),
            "codes": _list_of(_code),
            "escalation": _list_of(_code),
        },
    )
    kept["verdict"] = verdict
    names = [substance_name(slug) for slug in verdict.get("named", [])]
    if not names and kept.get("decision") in ("identified", "mixture"):
        names = [one["name"] for one in kept.get("components", [])]
    families = [f"{one}, member not named" for one in verdict.get("families", []) if not names]
    decision = str(kept.get("decision", "no result")).replace("_", " ")
    verdict["headline"] = ", ".join([*names, *families]) or decision
    verdict["precautions"] = _precautions(kept, verdict)
    return kept


def _precautions(kept: Mapping[str, Any], verdict: Mapping[str, Any]) -> list[str]:
    """Those of what is named, made anew: the words on record are the device's."""
    from spectralid.verdict.hazards import precautions

    slugs = [*verdict.get("named", []), *(one["slug"] for one in kept.get("components", []))]
    table = classification.compounds().by_slug
    known = [table[slug] for slug in dict.fromkeys(slugs) if slug in table]
    families = [*kept.get("families", []), *verdict.get("families", [])]
    if not known and not families:
        return []
    return list(precautions(known, families))


class Redactor:
    """Makes redacted forms of the parts of one case.

    Parameters
    ----------
    case_id : str
        The case; its number takes the place of the seizure's reference.
    items : sequence of str
        The items of the case, in an order that says nothing.
    key : bytes, optional
        Of the pseudonyms; by default one that nobody knows and that belongs to this object alone.
    """

    def __init__(self, case_id: str, items: Sequence[str], key: bytes | None = None) -> None:
        self.case_id = case_id
        self._items = {name: f"item-{number}" for number, name in enumerate(dict.fromkeys(items), 1)}
        self._key = key or secrets.token_bytes(32)

    def pseudonym(self, kind: str, name: Any) -> str:
        """A name that stands for one person or thing, in this export only; empty stays empty."""
        if not isinstance(name, str) or not name:
            return ""
        digest = hmac.new(self._key, f"{kind}\0{name}".encode(), hashlib.sha256).hexdigest()
        return f"{kind}-{digest[:8]}"

    def item(self, name: Any) -> str | None:
        """What stands for an item."""
        return self._items.get(name) if isinstance(name, str) else None

    def manifest(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """The manifest of a packet, with its ``sha256``, as far as it names nobody."""
        kept = _kept(
            said,
            {
                "schema": _matching(_SCHEMA),
                "kind": _among(_KINDS),
                "packet_id": _uuid,
                "seq": _number,
                "prev": _hex,
                "sha256": _hex,
                "captured": lambda one: _kept(one, _CAPTURED),
                "ui_locale": _matching(_LOCALE),
                "mode": _among(_MODES),
                "container": _among(_CONTAINERS),
                "instrument": self._instrument,
                "instrument_check": _code,
                "ipv": lambda one: _kept(one, {"passed": _number, "time": _utc}),
                "spectra": _list_of(lambda one: _kept(one, _SPECTRUM)),
                "strips": _list_of(self._strip),
                "caution_shown": _list_of(_code),
                "rescan_of": _uuid,
                "escalation": lambda one: _kept(
                    one, {"why": _list_of(_code), "urgency": _among(_ALARMS)}
                ),
                "declared": self._declared,
                "assessment": self._assessment,
                "action": _among({"seal", "open", "hand_over", "receive", "store", "destroy"}),
            },
        )  # fmt: skip
        kept |= {
            "seizure_ref": self.case_id,
            "item_ref": self.item(said.get("item_ref")),
            "device_id": self.pseudonym("device", said.get("device_id")),
            "site_ref": self.pseudonym("site", said.get("site_ref")),
        }
        if officer := self.pseudonym("officer", said.get("officer_ref")):
            kept["officer_ref"] = officer
        if to := self.pseudonym("holder", said.get("to")):
            kept["to"] = to
        if said.get("kind") == "scan":
            kept["result"] = _result(said.get("result"))
        return kept

    def _instrument(self, said: Any) -> dict[str, Any]:
        serial = self.pseudonym("unit", _mapping(said).get("serial"))
        return {**_kept(said, _INSTRUMENT), **({"serial": serial} if serial else {})}

    def _strip(self, said: Any) -> dict[str, Any]:
        from spectralid.verdict.strips import target_of

        printed = _mapping(said).get("target")
        known = target_of(printed) if isinstance(printed, str) else None
        return {**_kept(said, _STRIP), "target": known.key if known else "target not listed"}

    def _declared(self, said: Any) -> dict[str, Any]:
        check = _kept(_mapping(said).get("check"), {"outcome": _code})
        kept = _kept(said, {"cas": _matching(_CAS), "tariff": _matching(_TARIFF)})
        return {**kept, **({"check": check} if check else {})}

    def _assessment(self, said: Any) -> dict[str, Any]:
        return _kept(
            said,
            {
                "alarm": _among(_ALARMS),
                "swgdrug": _list_of(_among({"A", "B", "C"})),
                "codes": _list_of(_code),
                "escalation": _list_of(_code),
            },
        )

    def answer(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """An answer, with what it was in place of its words."""
        kept = _kept(
            said,
            {
                "answer_id": _matching(_ANSWER_ID),
                "supersedes": _matching(_ANSWER_ID),
                "n": _number,
                "kind": _among(_ANSWERS),
                "utc": _utc,
                "lab": _among({"confirmed", "refuted", "inconclusive"}),
                "packet_ids": _list_of(_uuid),
            },
        )
        headline = _ANSWERS.get(kept.get("kind", ""), "Answer")
        if "lab" in kept:
            headline += f": {kept['lab']}"
        return {
            **kept,
            "headline": headline,
            "words": "",
            "by": self.pseudonym("answerer", said.get("by")),
            "case": self.case_id,
            "seizure_ref": self.case_id,
            "item_ref": self.item(said.get("item_ref")),
        }

    def decision(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """What a chemist decided, without words."""
        content = _mapping(said.get("said"))
        kept = {
            "kind": said["kind"],
            "round": said["round"],
            "utc": said["utc"],
            "by": self.pseudonym("chemist", said["by"]),
        }
        more = _kept(
            content,
            {
                "verdict": _among(_DECISIONS),
                "substances": _list_of(_slug),
                "high_hazard": _number,
                "agrees": _number,
            },
        )
        return {**kept, **more}

    def result(self, one: Result) -> dict[str, Any]:
        """A laboratory's result, without who measured and what else was noted."""
        return {
            "result": one.result,
            "stage": one.stage,
            "laboratory": self.pseudonym("laboratory", one.laboratory),
            "sample": self.pseudonym("sample", one.sample_ref),
            "report": self.pseudonym("report", one.report_ref),
            "methods": list(one.methods),
            "swgdrug": list(one.categories),
            "substances": [
                {"slug": x.slug, "share": x.share, "uncertainty": x.uncertainty}
                for x in one.substances
                if _slug(x.slug)
            ],
            "measured_utc": one.measured_utc,
            "reported_utc": one.reported_utc,
            "received_utc": one.received_utc,
            "item_ref": self.item(one.item_ref),
            "what": one.what,
            "superseded": one.superseded,
        }
