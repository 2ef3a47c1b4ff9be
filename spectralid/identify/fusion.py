"""Raman and infrared of one item: whether they agree, and what both together are worth."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final

from spectralid.errors import InputError, ParameterError
from spectralid.identify.analysis import Component
from spectralid.identify.result import Identification
from spectralid.spectrum import Technique

__all__ = ["Fusion", "Outcome", "Shared", "fuse", "fused_probability"]

SCHEMA: Final = "spectralid.fusion/1"
# No calibration knows better than this, so that nothing is certain for being rounded to 1.
_CERTAIN: Final = 1e-6


class Outcome(StrEnum):
    """What two techniques say of one item."""

    FUSED = "fused"
    AGREE = "agree"
    DISAGREE = "disagree"
    ONE_ONLY = "one_only"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class Shared:
    """A compound both techniques found.

    Attributes
    ----------
    compound_slug, compound_name : str
        The compound.
    raman, infrared : float or None
        Calibrated probability by each technique alone.
    probability : float or None
        By both together; ``None`` unless both are calibrated.
    """

    compound_slug: str
    compound_name: str
    raman: float | None
    infrared: float | None
    probability: float | None


@dataclass(frozen=True, slots=True)
class Fusion:
    """What Raman and infrared together say of one item. Presumptive.

    Attributes
    ----------
    raman_sha256, infrared_sha256 : str
        The spectra.
    outcome : Outcome
        ``FUSED`` and ``AGREE`` where both found a compound (probabilities combined only where both are
        calibrated), ``DISAGREE`` where each found something and nothing in common, ``ONE_ONLY``, ``NEITHER``.
    shared : tuple of Shared
        What both found.
    raman_only, infrared_only : tuple of str
        Names of what only one of them found.
    prior : float
        Probability of a compound before either scan that the combination counted once.
    words : str
        All this as sentences.
    assumptions : tuple of str
        What had to be taken for granted.
    """

    raman_sha256: str
    infrared_sha256: str
    outcome: Outcome
    shared: tuple[Shared, ...]
    raman_only: tuple[str, ...]
    infrared_only: tuple[str, ...]
    prior: float
    words: str
    assumptions: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form, versioned by its ``schema``."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            "schema": SCHEMA,
            **plain,
            "outcome": self.outcome.value,
            "shared": [{f.name: getattr(s, f.name) for f in fields(s)} for s in self.shared],
            "raman_only": list(self.raman_only),
            "infrared_only": list(self.infrared_only),
            "assumptions": list(self.assumptions),
        }

    def to_json(self) -> str:
        """One line of JSON with sorted keys: the same result gives the same text."""
        return json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False, allow_nan=False)

    def explain(self) -> str:
        """Every number the result rests on, for a chemist."""
        lines = [
            f"Raman and infrared: {self.outcome.value.replace('_', ' ')}",
            f"Raman spectrum {self.raman_sha256}",
            f"Infrared spectrum {self.infrared_sha256}",
            self.words,
        ]
        lines += [
            f"  {s.compound_name}: Raman {_percent(s.raman)}, infrared {_percent(s.infrared)}, "
            f"together {_percent(s.probability)}"
            for s in self.shared
        ]
        if self.outcome is Outcome.FUSED:
            lines.append(f"Odds multiplied, a prior of {self.prior:.3g} counted once")
        lines += [f"Taken for granted: {a}" for a in self.assumptions]
        return "\n".join(lines)


def fused_probability(raman: float, infrared: float, prior: float) -> float:
    """Probability by two independent findings: their odds multiplied, the prior counted once.

    Parameters
    ----------
    raman, infrared : float
        Probability by each alone, 0 … 1, both from the same prior.
    prior : float
        That prior, 0 < prior < 1.
    """

    def log_odds(p: float) -> float:
        p = min(max(p, _CERTAIN), 1 - _CERTAIN)
        return math.log(p / (1 - p))

    together = log_odds(raman) + log_odds(infrared) - log_odds(prior)
    return 1 / (1 + math.exp(-together))


def fuse(raman: Identification, infrared: Identification, *, prior: float = 0.5) -> Fusion:
    """Compare what Raman and infrared found in one item, and combine it where both are calibrated.

    Parameters
    ----------
    raman, infrared : Identification
        Results of `identify` for the two spectra.
    prior : float
        Probability of a compound before either scan, 0 < prior < 1, that both probabilities contain and the
        product counts once. One in two, far above that of any single compound, keeps the result low: two
        techniques err alike on relatives, so that it is no coincidence where both give the same wrong name.

    Returns
    -------
    Fusion

    Raises
    ------
    InputError
        If the results are not of a Raman and an infrared spectrum, or are rankings without a joint fit.
    ParameterError
        If `prior` is not between 0 and 1.

    Notes
    -----
    What counts as found is a component of an explanation that is likelier than *nothing in the library*, and
    whose bands bear it out. Compounds that one technique cannot tell apart may be told apart by the other: a
    finding is shared where the two sets of choices have something in common.
    """
    if not 0 < prior < 1:
        raise ParameterError("prior", prior, "between 0 and 1")
    if raman.technique is not Technique.RAMAN or not infrared.technique.is_infrared:
        raise InputError(
            f"Fusion needs a Raman and an infrared result; these are {raman.technique.value} and "
            f"{infrared.technique.value}."
        )
    ours, theirs = _found(raman), _found(infrared)
    pairs = _paired(ours, theirs)
    calibrated = _calibrated(raman) and _calibrated(infrared)
    shared = tuple(_shared(raman, infrared, a, b, prior, calibrated=calibrated) for a, b in pairs)
    raman_only = tuple(c.compound_name for c in ours if c not in [a for a, _ in pairs])
    infrared_only = tuple(c.compound_name for c in theirs if c not in [b for _, b in pairs])
    if shared:
        outcome = Outcome.FUSED if calibrated else Outcome.AGREE
    elif ours and theirs:
        outcome = Outcome.DISAGREE
    else:
        outcome = Outcome.ONE_ONLY if ours or theirs else Outcome.NEITHER
    assumptions = ["Both spectra are of the same item; nobody checked it."]
    if outcome is Outcome.FUSED:
        assumptions.append(
            "The two techniques err independently of each other but for what the prior allows."
        )
    elif outcome is Outcome.AGREE:
        assumptions.append("Not both techniques are calibrated, so that no probability was combined.")
    return Fusion(
        raman.spectrum_sha256,
        infrared.spectrum_sha256,
        outcome,
        shared,
        raman_only,
        infrared_only,
        prior,
        _words(outcome, shared, raman_only, infrared_only),
        tuple(assumptions),
    )


def _found(identification: Identification) -> list[Component]:
    analysis = identification.analysis
    if analysis is None and identification.candidates:
        raise InputError("A ranking alone cannot be fused; use identify.")
    if analysis is None or identification.quality.useless or (analysis.log_odds or 0.0) <= 0:
        return []
    return [c for c in analysis.components if c.holds]


def _choices(component: Component) -> set[str]:
    return {component.compound_slug, *component.equivalent}


def _paired(ours: list[Component], theirs: list[Component]) -> list[tuple[Component, Component]]:
    """Components with a choice in common; the same compound goes before what cannot be told from it."""
    pairs: list[tuple[Component, Component]] = []
    for same in (True, False):
        for a in ours:
            for b in theirs:
                free = all(a is not p and b is not q for p, q in pairs)
                alike = a.compound_slug == b.compound_slug if same else _choices(a) & _choices(b)
                if free and alike:
                    pairs.append((a, b))
    return pairs


def _shared(
    raman: Identification,
    infrared: Identification,
    ours: Component,
    theirs: Component,
    prior: float,
    *,
    calibrated: bool,
) -> Shared:
    first, second = _probability(raman, ours), _probability(infrared, theirs)
    both = None
    if calibrated and first is not None and second is not None:
        both = fused_probability(first, second, prior)
    # Of those one technique cannot tell apart, the one the other found.
    one = ours if ours.compound_slug in _choices(theirs) else theirs
    return Shared(one.compound_slug, one.compound_name, first, second, both)


def _calibrated(identification: Identification) -> bool:
    return identification.confidence is not None and identification.confidence.calibrated


def _probability(identification: Identification, component: Component) -> float | None:
    if identification.confidence is None:
        return None
    found = (c for c in identification.confidence.components if c.compound_slug == component.compound_slug)
    return next((c.probability for c in found), None)


def _words(
    outcome: Outcome, shared: tuple[Shared, ...], raman_only: tuple[str, ...], infrared_only: tuple[str, ...]
) -> str:
    only = [
        f"{', '.join(names)} by {by} only"
        for names, by in ((raman_only, "Raman"), (infrared_only, "infrared"))
        if names
    ]
    rest = f" Found besides: {'; '.join(only)}." if only else ""
    names = ", ".join(s.compound_name for s in shared)
    if outcome is Outcome.FUSED:
        chances = ", ".join(f"{s.compound_name} {_percent(s.probability)}" for s in shared)
        said = f"Raman and infrared agree; probability by both together: {chances}.{rest}"
    elif outcome is Outcome.AGREE:
        said = f"Raman and infrared agree on {names}.{rest}"
    elif outcome is Outcome.DISAGREE:
        said = (
            f"Raman and infrared disagree: {'; '.join(only)}. They may have seen different parts of the "
            "item; rely on neither until that is settled."
        )
    elif outcome is Outcome.ONE_ONLY:
        said = f"Found {only[0]}; the other neither bears it out nor speaks against it."
    else:
        said = "Neither Raman nor infrared found anything the library explains."
    return f"{said} This is presumptive."


def _percent(value: float | None) -> str:
    return "not calibrated" if value is None else f"{value:.1%}"
