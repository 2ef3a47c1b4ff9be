"""Calibrated confidence: what an analysis is worth, by a record of analyses whose truth was known.

The same analysis and the same record always give the same probabilities.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from spectralid.errors import InputError
from spectralid.identify.confidence_record import SCAN_EVENTS, ConfidenceRecord, Model, load_record
from spectralid.identify.features import features
from spectralid.library import Tier
from spectralid.spectrum import Technique

if TYPE_CHECKING:
    from spectralid.identify.analysis import Analysis

__all__ = ["SOMETHING_ELSE", "ComponentConfidence", "Confidence", "ConfidenceRecord", "apply", "load_record"]

SOMETHING_ELSE: Final = "something else"
"""Entry of a conformal set: neither the compound nor a rival that was weighed."""

_NAMING_TIERS: Final = frozenset({Tier.MEASURED.value, Tier.LITERATURE.value})


@dataclass(frozen=True, slots=True)
class ComponentConfidence:
    """How sure one component is.

    Attributes
    ----------
    compound_slug : str
        The component.
    equivalent : tuple of str
        Compounds that cannot be told from it; the probability is that of all of them together.
    probability : float or None
        Calibrated probability that it, or one of the equivalent, is there; ``None`` where there is no
        calibration.
    conformal_set : tuple of str
        Compounds among which the true one is in at least the record's share of cases; holds
        `SOMETHING_ELSE` where that cannot be excluded.
    named : bool
        Whether it may be named.
    reasons : tuple of str
        Why not, one sentence each.
    """

    compound_slug: str
    equivalent: tuple[str, ...]
    probability: float | None
    conformal_set: tuple[str, ...]
    named: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Confidence:
    """What an analysis is worth.

    Attributes
    ----------
    analysis_sha256 : str
        SHA-256 of the canonical JSON of the analysis.
    record_sha256, record_version : str
        The record it was judged by.
    group : str
        Group of calibration data, empty if there is none for the technique.
    components : tuple of ComponentConfidence
        In the order of the analysis.
    explained, nothing, insufficient : float or None
        Probabilities that sum to 1: that at least one component is right; that the sample holds nothing of
        the library; that it does, but the signal was not enough to find it. ``None`` where
        calibration had too few cases.
    unknown : float or None
        Probability that the sample holds something the library lacks, alone or beside others.
    families : tuple of (str, float)
        Families that have a member among the components, with the probability of the likeliest.
    alarms : tuple of str
        Families above their threshold.
    assumptions : tuple of str
        What had to be taken for granted, one sentence each.
    """

    analysis_sha256: str
    record_sha256: str
    record_version: str
    group: str
    components: tuple[ComponentConfidence, ...]
    explained: float | None
    nothing: float | None
    insufficient: float | None
    unknown: float | None
    families: tuple[tuple[str, float], ...]
    alarms: tuple[str, ...]
    assumptions: tuple[str, ...]

    @property
    def calibrated(self) -> bool:
        """Whether there is a calibration for the technique."""
        return bool(self.group)

    @property
    def named(self) -> tuple[str, ...]:
        """Slugs of the components that may be named."""
        return tuple(c.compound_slug for c in self.components if c.named)

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return plain | {
            "components": [
                {
                    f.name: list(v) if isinstance(v := getattr(c, f.name), tuple) else v
                    for f in fields(ComponentConfidence)
                }
                for c in self.components
            ],
            "families": dict(self.families),
            "alarms": list(self.alarms),
            "assumptions": list(self.assumptions),
        }


def apply(
    analysis: Analysis | Mapping[str, Any],
    record: ConfidenceRecord,
    *,
    technique: Technique,
    instrument: str = "",
    families: Mapping[str, str] | None = None,
) -> Confidence:
    """Judge an analysis by a record.

    Parameters
    ----------
    analysis : Analysis or mapping
        The analysis, or its `to_dict` read back.
    record : ConfidenceRecord
        The record.
    technique : Technique
        Of the spectrum; every infrared technique is one.
    instrument : str
        Class of the instrument, as the record names it; the analysis' instrument model if empty.
    families : mapping of str to str, optional
        Family of each compound that belongs to one.

    Raises
    ------
    InputError
        If the record was made for another method, or for analyses that say more than this one.
    """
    plain: Mapping[str, Any] = analysis if isinstance(analysis, Mapping) else analysis.to_dict()
    if plain["method"] != record.method:
        raise InputError(
            f"The confidence record was made for analyses by {record.method!r} and this one is by "
            f"{plain['method']!r}; calibrate again or use that version."
        )
    kind, size = kind_of(technique), size_of(plain)
    instrument = instrument or str(plain["instrument"])
    drawn = features(plain)
    found = record.find("component", kind, instrument, size)
    assumptions = list(_stated(record, found, kind, instrument, size))
    judged = tuple(
        _judged(component, given, found, record, bool(plain["unexplained"]))
        for component, given in zip(plain["components"], drawn.components, strict=True)
    )
    nothing, blind, beside = (
        model[0].probability(drawn.scan)
        if plain["log_odds"] is not None and (model := record.find(event, kind, instrument, size))
        else None
        for event in SCAN_EVENTS
    )
    # The last two were learned on scans that do hold something of the library.
    insufficient = None if nothing is None or blind is None else (1 - nothing) * blind
    unknown = None if nothing is None or beside is None else nothing + (1 - nothing) * beside
    likeliest = _likeliest(judged, families or {})
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return Confidence(
        analysis_sha256=hashlib.sha256(text.encode()).hexdigest(),
        record_sha256=record.sha256,
        record_version=record.version,
        group=found[1] if found else "",
        components=judged,
        explained=None if nothing is None or insufficient is None else 1 - nothing - insufficient,
        nothing=nothing,
        insufficient=insufficient,
        unknown=unknown,
        families=likeliest,
        alarms=tuple(
            name
            for name, chance_of in likeliest
            if name in record.families and chance_of >= record.families[name]["threshold"]
        ),
        assumptions=tuple(assumptions),
    )


def kind_of(technique: Technique) -> str:
    """What calibration groups by: ``raman``, ``infrared``, or what the technique is called."""
    return "infrared" if technique.is_infrared else technique.value


def size_of(analysis: Mapping[str, Any]) -> str:
    """``one`` or ``several``: components found."""
    return "one" if len(analysis["components"]) <= 1 else "several"


def label_chances(
    component: Mapping[str, Any], probability: float, rival: tuple[float, float] | None
) -> dict[str, float]:
    """Probabilities of what a component really is: itself, a rival, something else; they sum to 1.

    Parameters
    ----------
    component : mapping
        As `Component.to_dict` gives it.
    probability : float
        That it, or what cannot be told from it, is there.
    rival : tuple of float or None
        See `Model`.
    """
    slug = component["compound_slug"]
    left = 1 - probability
    apart = [(s, c) for s, c in component.get("rivals", ()) if s not in component["equivalent"]]
    shares = {
        s: 1 / (1 + math.exp(-min(max(rival[0] + rival[1] * math.asinh(c), -30.0), 30.0))) if rival else 0.0
        for s, c in apart
    }
    whole = max(1.0, sum(shares.values()))
    chances = {slug: probability, **{s: left * share / whole for s, share in shares.items()}}
    return chances | {SOMETHING_ELSE: max(0.0, 1 - sum(chances.values()))}


def conformal_set(chances: Mapping[str, float], quantile: float) -> tuple[str, ...]:
    """Labels of at least 1 − `quantile`, likeliest first; the likeliest always."""
    ranked = sorted(chances, key=lambda label: (-chances[label], label))
    return (ranked[0], *(label for label in ranked[1:] if chances[label] >= 1 - quantile))


def _judged(
    component: Mapping[str, Any],
    given: Mapping[str, float],
    found: tuple[Model, str] | None,
    record: ConfidenceRecord,
    unexplained: bool,
) -> ComponentConfidence:
    slug, equivalent = component["compound_slug"], tuple(component["equivalent"])
    if found is None:
        return ComponentConfidence(slug, equivalent, None, (), False, ("Its probability is not calibrated.",))
    model = found[0]
    probability = model.probability(given)
    quantile = 1.0 if model.quantile is None else model.quantile
    candidates = conformal_set(label_chances(component, probability, model.rival), quantile)
    reasons = []
    if probability < record.name_at:
        reasons.append(f"Its probability is {probability:.1%}; a name needs {record.name_at:.0%}.")
    if candidates != (slug,):
        reasons.append(f"It may be another: {', '.join(candidates)}.")
    if not component["holds"]:
        reasons.append("Its bands do not bear it out.")
    if unexplained:
        reasons.append("Part of the signal is not explained.")
    if component["tier"] not in _NAMING_TIERS:
        reasons.append(f"A {component['tier']} reference gives leads and names nothing.")
    # What cannot be told from it is named with it.
    full = tuple(label for c in candidates for label in ((c, *equivalent) if c == slug else (c,)))
    return ComponentConfidence(slug, equivalent, probability, full, not reasons, tuple(reasons))


def _likeliest(
    judged: tuple[ComponentConfidence, ...], families: Mapping[str, str]
) -> tuple[tuple[str, float], ...]:
    best: dict[str, float] = {}
    for component in judged:
        for slug in (component.compound_slug, *component.equivalent):
            family = families.get(slug)
            if family and component.probability is not None:
                best[family] = max(best.get(family, 0.0), component.probability)
    return tuple(sorted(best.items()))


def _stated(
    record: ConfidenceRecord, found: tuple[Model, str] | None, kind: str, instrument: str, size: str
) -> tuple[str, ...]:
    if found is None:
        return (f"No calibration exists for {kind} analyses; their probabilities are not calibrated.",)
    stated = list(record.made_from.get("assumptions", ()))
    _, held, count = found[1].split("/")
    if held == "*":
        stated.append(f"Calibration of all instruments was taken; there is none for {instrument!r}.")
    if count == "*":
        stated.append(f"Calibration of any number of components was taken; there is none for {size}.")
    return tuple(stated)
