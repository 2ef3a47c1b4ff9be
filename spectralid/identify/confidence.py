"""Calibrated confidence: what an analysis is worth, by a record of analyses whose truth was known.

A record is a file of plain numbers, made by `spectralid.identify.confidence_fit.fit` and applied here with
NumPy alone: the same analysis and the same record always give the same probabilities.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from spectralid import _bundled
from spectralid.errors import InputError, UnreadableFileError
from spectralid.identify.features import features
from spectralid.library import Tier
from spectralid.spectrum import FloatArray, Technique

if TYPE_CHECKING:
    from spectralid.identify.analysis import Analysis

__all__ = ["ComponentConfidence", "Confidence", "ConfidenceRecord", "Model", "apply", "load_record"]

SCHEMA: Final = "spectralid.confidence/1"
SOMETHING_ELSE: Final = "something else"
"""Entry of a conformal set: neither the compound nor a rival that was weighed."""

SCAN_EVENTS: Final = ("nothing", "insufficient", "unknown_beside")
"""What may be the matter with a scan as a whole: it holds nothing of the library; it does, and none of it was
found; it does, and something else too."""

# Standardised features are cut here: beyond what calibration saw, more is no better.
_CUT: Final = 4.0
_LARGEST_FILE: Final = 16 * 1024 * 1024
_NAMING_TIERS: Final = frozenset({Tier.MEASURED.value, Tier.LITERATURE.value})


def standardised(values: FloatArray, centre: FloatArray, scale: FloatArray) -> FloatArray:
    """Features on their scale; what cannot be told (NaN) counts as usual."""
    return np.clip(np.nan_to_num((values - centre) / scale, nan=0.0), -_CUT, _CUT)


@dataclass(frozen=True, slots=True)
class Model:
    """Probability of one event: logistic regression on standardised features, then a calibrating curve.

    Attributes
    ----------
    names : tuple of str
        Features.
    centre, scale, weights : tuple of float
        Of each feature: what is subtracted, divided by, and its weight.
    intercept : float
        Of the logistic regression.
    slope, offset : float
        Calibrated log odds as a straight line over those of the regression.
    knots, chances : tuple of float
        An isotonic curve instead of the line: log odds of the regression, and the probability there, straight
        between them. Empty where there is none.
    scans, cases, events : int
        What it was fitted to: scans, cases (as many as they are worth where some weigh more than others), and
        in how many the event was true.
    quantile : float or None
        Conformal quantile: labels of at least 1 − `quantile` belong to the set (models of components only).
    rival : tuple of float or None
        Intercept and slope of the logistic curve over the cost of a rival that gives the probability that
        it is the true one if the component is not.
    """

    names: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    slope: float
    offset: float
    knots: tuple[float, ...]
    chances: tuple[float, ...]
    scans: int
    cases: int
    events: int
    quantile: float | None = None
    rival: tuple[float, float] | None = None

    def log_odds(self, given: Mapping[str, float]) -> float:
        """Log odds of the regression, before calibration.

        Raises
        ------
        InputError
            If a feature is missing.
        """
        missing = [name for name in self.names if name not in given]
        if missing:
            raise InputError(
                f"The analysis lacks what the confidence record goes by ({', '.join(missing)}); analyse the "
                "spectrum again with this version."
            )
        return float(self.log_odds_of(np.array([[given[name] for name in self.names]]))[0])

    def log_odds_of(self, values: FloatArray) -> FloatArray:
        """Log odds of the regression of many cases, features as columns in the order of `names`."""
        x = standardised(values, np.array(self.centre), np.array(self.scale))
        return np.asarray(x @ np.array(self.weights) + self.intercept)

    def probability(self, given: Mapping[str, float]) -> float:
        """Calibrated probability, 0 … 1."""
        return float(self.chance_at(np.array([self.log_odds(given)]))[0])

    def chance_at(self, log_odds: FloatArray) -> FloatArray:
        """Calibrated probability at log odds of the regression; no more certain than so many cases allow."""
        if self.knots:
            chance = np.interp(log_odds, self.knots, self.chances)
        else:
            chance = 1 / (1 + np.exp(-np.clip(self.slope * log_odds + self.offset, -50.0, 50.0)))
        least = 1 / (self.cases + 2)
        return np.asarray(np.clip(chance, least, 1 - least))

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: list(value) if isinstance(value, tuple) else value for name, value in pairs}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        known: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in data.items()}
        return cls(**known)


@dataclass(frozen=True)
class ConfidenceRecord:
    """What calibration found, with all that is needed to judge and repeat it.

    Attributes
    ----------
    version : str
        Version of the record.
    created : str
        Date, ISO 8601.
    method : str
        The engine's `METHOD` whose analyses it was fitted to; it holds for no other.
    made_from : mapping
        Command, seeds, hashes of the substances, counts, and the mixture of cases all probabilities assume.
    level : float
        Coverage the conformal sets promise, 0 … 1.
    name_at : float
        Probability from which a compound may be named.
    models : mapping of str to mapping of str to Model
        Event (``component``: it is right; or one of `SCAN_EVENTS`) and group
        (``technique/instrument class/one|several``, ``*`` for any).
    families : mapping of str to mapping of str to float
        Of each watched family: ``threshold``, the probability of a member from which it raises the alarm;
        ``negatives``, the scans without a member it was set on; ``false_alarm_upper``, the 95 % upper bound
        of the false-alarm rate.
    """

    version: str
    created: str
    method: str
    made_from: Mapping[str, Any]
    level: float
    name_at: float
    models: Mapping[str, Mapping[str, Model]]
    families: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 (hex) of the canonical JSON of the record."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def find(self, event: str, technique: str, instrument: str, size: str) -> tuple[Model, str] | None:
        """The model of the nearest group and the group's name; ``None`` if no group of the technique is held.

        The instrument class is given up first, then whether one or several components were found.
        """
        groups = self.models.get(event, {})
        for instrument_class, count in ((instrument, size), ("*", size), (instrument, "*"), ("*", "*")):
            name = f"{technique}/{instrument_class}/{count}"
            if name in groups:
                return groups[name], name
        return None

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {
            "schema": SCHEMA,
            "version": self.version,
            "created": self.created,
            "method": self.method,
            "made_from": dict(self.made_from),
            "level": self.level,
            "name_at": self.name_at,
            "models": {e: {g: m.to_dict() for g, m in held.items()} for e, held in self.models.items()},
            "families": {name: dict(numbers) for name, numbers in self.families.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        known = {f.name: data[f.name] for f in fields(cls)}
        known["models"] = {
            event: {group: Model.from_dict(model) for group, model in held.items()}
            for event, held in known["models"].items()
        }
        return cls(**known)

    def write(self, path: str | Path) -> None:
        """Write the record with its SHA-256 as JSON."""
        document = {"sha256": self.sha256, "record": self.to_dict()}
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        Path(path).write_text(text + "\n", encoding="utf-8")


def load_record(path: str | Path | None = None) -> ConfidenceRecord:
    """Read a record.

    Parameters
    ----------
    path : path-like, optional
        The file; the one that comes with spectralid if not given.

    Raises
    ------
    UnreadableFileError
        If it is none, was changed after it was made, or was made by a newer version.
    """
    file = Path(path) if path is not None else _bundled.path("libraries", "confidence.json")
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise UnreadableFileError("it is too large for a confidence record.", file=file.name)
        document = json.loads(file.read_text(encoding="utf-8"))
        stated, plain = document["sha256"], document["record"]
        if plain["schema"] != SCHEMA:
            raise UnreadableFileError(
                f"it is a confidence record of schema {plain['schema']!r}; this spectralid reads {SCHEMA!r}.",
                file=file.name,
            )
        record = ConfidenceRecord.from_dict(plain)
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise UnreadableFileError(f"{reason}; a confidence record was expected.", file=file.name) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UnreadableFileError("it is no confidence record of spectralid.", file=file.name) from None
    if record.sha256 != stated:
        raise UnreadableFileError(
            "the confidence record was changed after it was made (its SHA-256 does not hold).", file=file.name
        )
    return record


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
        Class of the instrument, as the record names it; any if empty.
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
        of = f"instruments of the class {instrument!r}" if instrument else "this class of instrument"
        stated.append(f"Calibration of all instruments was taken; there is none for {of}.")
    if count == "*":
        stated.append(f"Calibration of any number of components was taken; there is none for {size}.")
    return tuple(stated)
