"""Fitting a confidence record to analyses whose truth is known."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.identify.confidence import SOMETHING_ELSE, kind_of, label_chances, size_of
from spectralid.identify.confidence_record import SCAN_EVENTS, ConfidenceRecord, Model, standardised
from spectralid.identify.features import features
from spectralid.spectrum import FloatArray, Technique

__all__ = ["Labelled", "conformal_quantile", "fit"]

# Cases of either outcome a group needs for a model of its own; the broader group serves where it has fewer.
_LEAST: Final = 10
_FOLDS: Final = 5
# Strength of the regularisation (scikit-learn's C). On some hundred scans of development substances this had
# the lowest log loss; with more of them it matters less.
_C: Final = 0.1
# The same for the one slope that calibrates log odds.
_C_SLOPE: Final = 1.0
# The alarm of a watched family lets at most this share of scans without a member through.
_FALSE_ALARMS: Final = 0.001
_LEAST_ALARM: Final = 0.05


@dataclass(frozen=True, slots=True)
class Labelled:
    """An analysis with the truth.

    Attributes
    ----------
    analysis : mapping
        As `Analysis.to_dict` gives it.
    technique : Technique
        Of the spectrum.
    true : frozenset of str
        Compounds of the library that are there.
    unknown : bool
        Whether something the library lacks is there.
    families : frozenset of str
        Watched families that have a member there, in the library or not.
    weight : float
        How many scans it stands for, above 0.
    """

    analysis: Mapping[str, Any]
    technique: Technique
    true: frozenset[str]
    unknown: bool
    families: frozenset[str] = frozenset()
    weight: float = 1.0

    def real(self, component: Mapping[str, Any]) -> str:
        """What a component really is: its compound, the rival that is there in its place, or neither."""
        others = {c["compound_slug"] for c in self.analysis["components"]} - {component["compound_slug"]}
        left = self.true - others
        if left & {component["compound_slug"], *component["equivalent"]}:
            return str(component["compound_slug"])
        there = [str(s) for s, _ in component.get("rivals", ()) if s in left]
        return there[0] if there else SOMETHING_ELSE


@dataclass(frozen=True, slots=True)
class _Case:
    """One question a model answers: its features and the answer."""

    example: Labelled
    given: Mapping[str, float]
    event: bool
    # Number of the example, and of its component for questions about one.
    place: tuple[int, int] = (0, 0)

    @property
    def component(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.example.analysis["components"][self.place[1]]
        return found

    @property
    def fold(self) -> int:
        """Cases of one spectrum are in one fold, whatever order they come in."""
        digest = hashlib.sha256(str(self.example.analysis["spectrum_sha256"]).encode()).hexdigest()
        return int(digest, 16) % _FOLDS


def fit(
    examples: Sequence[Labelled],
    *,
    version: str,
    created: str,
    made_from: Mapping[str, Any],
    families: Mapping[str, str] | None = None,
    level: float = 0.95,
    name_at: float = 0.95,
) -> ConfidenceRecord:
    """Fit a record.

    Parameters
    ----------
    examples : sequence of Labelled
        Analyses by one method.
    version, created, made_from
        See `ConfidenceRecord`; counts are added to `made_from`.
    families : mapping of str to str, optional
        Family of each compound that belongs to a watched one.
    level : float
        Coverage of the conformal sets, 0 … 1.
    name_at : float
        Probability from which a compound may be named.

    Returns
    -------
    ConfidenceRecord

    Raises
    ------
    ParameterError
        If there are no examples, or they are of several methods.

    Notes
    -----
    Every model is a regularised logistic regression. Its log odds on scans left out of the fit (five folds)
    give the curve that calibrates it: a straight one (Platt, 1999) or, where that has the lower log loss on
    scans left out of both, an isotonic one. Probabilities left out of both give the conformal quantile (split
    conformal prediction; Vovk, Gammerman and Shafer, *Algorithmic Learning in a Random World*, 2005; groups
    are Mondrian categories).
    """
    methods = {str(e.analysis["method"]) for e in examples}
    if len(methods) != 1:
        raise ParameterError("examples", sorted(methods), "analyses by one method, at least one")
    models: dict[str, dict[str, Model]] = {}
    held_out: dict[tuple[int, int], float] = {}
    for event, cases in _cases(examples).items():
        models[event] = {}
        made: dict[tuple[int, ...], Model | None] = {}
        for group, members in _groups(cases).items():
            # With one instrument model only, any model is the same cases once more.
            key = tuple(map(id, members))
            if key not in made:
                made[key], chances = _fitted(members, level=level if event == "component" else None)
                if event == "component" and chances.size:
                    # The nearest group comes first, and is the one that counts.
                    held_out = {c.place: float(p) for c, p in zip(members, chances, strict=True)} | held_out
            model = made[key]
            if model is not None:
                models[event][group] = model
    counts = {
        "scans": len(examples),
        "components": sum(len(e.analysis["components"]) for e in examples),
        "instruments": dict(
            sorted(Counter(f"{kind_of(e.technique)}: {e.analysis['instrument']}" for e in examples).items())
        ),
    }
    return ConfidenceRecord(
        version=version,
        created=created,
        method=methods.pop(),
        made_from={**made_from, "counts": counts},
        level=level,
        name_at=name_at,
        models=models,
        families=_alarms(examples, held_out, families or {}, name_at),
    )


def conformal_quantile(scores: npt.ArrayLike, level: float, weights: npt.ArrayLike | None = None) -> float:
    """Score that a new one exceeds with a probability of at most 1 − `level`, if all are exchangeable.

    Parameters
    ----------
    scores : array_like, shape (n,)
        Nonconformity of the truth in cases left out of the fit.
    level : float
        Coverage wanted, 0 … 1.
    weights : array_like, shape (n,), optional
        How many cases each stands for; a new one stands for their mean.

    Returns
    -------
    float
        The ⌈(n + 1)·level⌉-th smallest score, or where the weights of the lower ones reach that share;
        infinite where n is too small for the level.
    """
    s = np.asarray(scores, dtype=np.float64)
    w = np.ones(s.size) if weights is None else np.asarray(weights, dtype=np.float64)
    order = np.argsort(s, kind="stable")
    reached = np.cumsum(w[order])
    # Sums of weights are exact to some ulp only.
    enough = np.flatnonzero(reached >= level * (reached[-1] + w.mean()) * (1 - 1e-12))
    return float(s[order[enough[0]]]) if enough.size else math.inf


def _cases(examples: Sequence[Labelled]) -> dict[str, list[_Case]]:
    """The questions of every example: is a component right; what is the matter with the scan as a whole."""
    found: dict[str, list[_Case]] = {event: [] for event in ("component", *SCAN_EVENTS)}
    for i, example in enumerate(examples):
        if example.analysis["log_odds"] is None:
            continue
        drawn = features(example.analysis)
        rights = [example.real(c) == c["compound_slug"] for c in example.analysis["components"]]
        found["component"] += [
            _Case(example, given, right, (i, j))
            for j, (given, right) in enumerate(zip(drawn.components, rights, strict=True))
        ]
        found["nothing"].append(_Case(example, drawn.scan, not example.true))
        if example.true:
            found["insufficient"].append(_Case(example, drawn.scan, not any(rights)))
            found["unknown_beside"].append(_Case(example, drawn.scan, example.unknown))
    return found


def _groups(cases: Sequence[_Case]) -> dict[str, list[_Case]]:
    """Cases by group, each in its own and every broader one, the nearest first; none twice."""
    found: dict[str, list[_Case]] = {}
    # The instrument model given up, the number of components given up.
    for any_model, any_size in ((False, False), (True, False), (False, True), (True, True)):
        for case in cases:
            instrument = "*" if any_model else str(case.example.analysis["instrument"])
            size = "*" if any_size else size_of(case.example.analysis)
            found.setdefault(f"{kind_of(case.example.technique)}/{instrument}/{size}", []).append(case)
    return found


def _fitted(cases: Sequence[_Case], *, level: float | None) -> tuple[Model | None, FloatArray]:
    """The model of a group, with a conformal quantile for `level`, and what it gives to cases left out.

    Neither where an outcome is too rare.
    """
    events = np.array([c.event for c in cases])
    if min(events.sum(), (~events).sum()) < _LEAST:
        return None, np.empty(0)
    names = tuple(sorted(set.intersection(*(set(c.given) for c in cases))))
    values = np.array([[c.given[n] for n in names] for c in cases])
    folds = np.array([c.fold for c in cases])
    weights = np.array([c.example.weight for c in cases])
    weights /= weights.mean()
    raw = np.empty(events.size)
    for out in _each(folds):
        raw[out] = _regression(names, values[~out], events[~out], weights[~out]).log_odds_of(values[out])
    model = _regression(names, values, events, weights)
    tried = []
    for curve in (_straight, _isotonic):
        chances = np.empty(events.size)
        for out in _each(folds):
            chances[out] = curve(model, raw[~out], events[~out], weights[~out]).chance_at(raw[out])
        tried.append((_log_loss(chances, events, weights), curve, chances))
    _, curve, chances = min(tried, key=lambda t: t[0])
    scans = len({c.example.analysis["spectrum_sha256"] for c in cases})
    model = replace(curve(model, raw, events, weights), scans=scans)
    return (model if level is None else _conformal(model, cases, chances, weights, level)), chances


def _each(folds: npt.NDArray[np.int_]) -> list[npt.NDArray[np.bool_]]:
    return [folds == fold for fold in np.unique(folds)]


def _log_loss(chances: FloatArray, events: npt.NDArray[np.bool_], weights: FloatArray) -> float:
    return float(-np.mean(weights * np.log(np.where(events, chances, 1 - chances))))


def _regression(
    names: tuple[str, ...], values: FloatArray, events: npt.NDArray[np.bool_], weights: FloatArray
) -> Model:
    """Logistic regression, not calibrated yet."""
    from sklearn.linear_model import LogisticRegression

    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, values, 0.0).sum(axis=0) / count
    scale = np.sqrt(np.where(known, (values - centre) ** 2, 0.0).sum(axis=0) / count)
    scale = np.where(scale > 1e-9, scale, 1.0)
    x = standardised(values, centre, scale)
    fitted = LogisticRegression(C=_C, max_iter=2000).fit(x, events, sample_weight=weights)
    return Model(
        names=names,
        centre=tuple(centre.tolist()),
        scale=tuple(scale.tolist()),
        weights=tuple(fitted.coef_[0].tolist()),
        intercept=float(fitted.intercept_[0]),
        slope=1.0,
        offset=0.0,
        knots=(),
        chances=(),
        scans=0,
        cases=round(float(weights.sum() ** 2 / (weights**2).sum())),
        events=int(events.sum()),
    )


def _straight(model: Model, raw: FloatArray, events: npt.NDArray[np.bool_], weights: FloatArray) -> Model:
    """The model with the slope and offset of its log odds that fit what happened."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=_C_SLOPE).fit(raw[:, None], events, sample_weight=weights)
    return replace(model, slope=float(fitted.coef_[0, 0]), offset=float(fitted.intercept_[0]))


def _isotonic(model: Model, raw: FloatArray, events: npt.NDArray[np.bool_], weights: FloatArray) -> Model:
    """The model with the rising curve of its log odds that is nearest to what happened.

    Where all of the first or last m cases agree, the next one disagrees with a probability of 1/(m + 2)
    (Laplace's rule of succession).
    """
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0).fit(raw, events, sample_weight=weights)
    x, y = fitted.X_thresholds_, fitted.y_thresholds_
    lowest, highest = (raw <= x[y == y[0]].max()).sum(), (raw >= x[y == y[-1]].min()).sum()
    curve = np.clip(y, 1 / (lowest + 2), 1 - 1 / (highest + 2))
    return replace(model, knots=tuple(x.tolist()), chances=tuple(curve.tolist()))


def _conformal(
    model: Model, cases: Sequence[_Case], chances: FloatArray, weights: FloatArray, level: float
) -> Model:
    """The model with the curve of rivals and the conformal quantile."""
    truths = [c.example.real(c.component) for c in cases]
    rival = _rival_curve(cases, truths)
    scores = [
        1 - label_chances(c.component, float(p), rival)[truth]
        for c, p, truth in zip(cases, chances, truths, strict=True)
    ]
    return replace(model, rival=rival, quantile=min(1.0, conformal_quantile(scores, level, weights)))


def _rival_curve(cases: Sequence[_Case], truths: Sequence[str]) -> tuple[float, float] | None:
    """How often a rival at some cost is the true one where the component is not."""
    from sklearn.linear_model import LogisticRegression

    costs: list[float] = []
    true: list[bool] = []
    for case, truth in zip(cases, truths, strict=True):
        if truth != case.component["compound_slug"]:
            for slug, cost in case.component.get("rivals", ()):
                costs.append(math.asinh(cost))
                true.append(slug == truth)
    if min(sum(true), len(true) - sum(true)) < _LEAST:
        return None
    fitted = LogisticRegression(C=_C).fit(np.array(costs)[:, None], true)
    return float(fitted.intercept_[0]), float(fitted.coef_[0, 0])


def _alarms(
    examples: Sequence[Labelled],
    held_out: Mapping[tuple[int, int], float],
    families: Mapping[str, str],
    name_at: float,
) -> dict[str, dict[str, float]]:
    """Of each family, the probability that no scan without a member gave to one, and what that promises."""
    from scipy.stats import beta

    found: dict[str, dict[str, float]] = {}
    for family in sorted(set(families.values())):
        highest = []
        for i, example in enumerate(examples):
            if family in example.families:
                continue
            chances = [
                held_out.get((i, j), 0.0)
                for j, c in enumerate(example.analysis["components"])
                if family in {families.get(s) for s in (c["compound_slug"], *c["equivalent"])}
            ]
            highest.append(max(chances, default=0.0))
        if not highest:
            continue
        ordered = np.sort(np.array(highest))[::-1]
        allowed = int(_FALSE_ALARMS * ordered.size)
        threshold = float(np.clip(np.nextafter(ordered[allowed], 2.0), _LEAST_ALARM, name_at))
        false = int((ordered >= threshold).sum())
        found[family] = {
            "threshold": threshold,
            "negatives": float(ordered.size),
            "false_alarm_upper": float(beta.ppf(0.95, false + 1, ordered.size - false))
            if false < ordered.size
            else 1.0,
        }
    return found
