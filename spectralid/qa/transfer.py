"""Transfer of a method from a parent unit to daughters: whether they name and warn as the parent does.

The published experiment is that of the FDA's Forensic Chemistry Center (J. Forensic Sci. 65 (2020) 421): a
library measured with one unit, 100 opioids and related substances measured with three others; true and false
alarms and right names of each. A daughter is accepted here if it is not worse than the parent by more than a
margin, with confidence: that no loss was seen in a few specimens does not exclude a large one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from spectralid.errors import ParameterError
from spectralid.proportion import clopper_pearson
from spectralid.qa.study import NOT_READ, Outcome, Study
from spectralid.qa.tables import Rate, summary

__all__ = ["Daughter", "Loss", "Transfer", "transfer"]

MARGIN: Final = 0.10
_RATES: Final = ("alarm_found", "alarm_false", "silent", "complete", "false")


@dataclass(frozen=True, slots=True)
class Loss:
    """How much less often a daughter does what the parent does, on the same specimens.

    Attributes
    ----------
    what : str
        ``complete`` (names all, and nothing else) or ``alarm`` (warns where something dangerous is there).
    specimens : int
        Measured with both.
    lost, won : int
        That only the parent got right, that only the daughter did.
    value, upper : float
        Net loss as a share of the specimens, and its upper bound (one-sided 95 %): the larger of the exact
        bounds on the discordant pairs and on all of them.
    """

    what: str
    specimens: int
    lost: int
    won: int
    value: float
    upper: float


@dataclass(frozen=True, slots=True)
class Daughter:
    """One daughter.

    Attributes
    ----------
    unit : str
        Its name.
    rates : mapping of str to Rate
        Of its own samples: ``alarm_found``, ``alarm_false``, ``silent``, ``complete``, ``false``.
    losses : tuple of Loss
        Against the parent.
    accepted : bool
        Whether it is.
    reasons : tuple of str
        Why not.
    """

    unit: str
    rates: Mapping[str, Rate]
    losses: tuple[Loss, ...]
    accepted: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Transfer:
    """The experiment.

    Attributes
    ----------
    parent : str
        Unit the others are held against.
    rates : mapping of str to Rate
        Of the parent.
    daughters : tuple of Daughter
        By name.
    margin : float
        Loss that is borne.
    """

    parent: str
    rates: Mapping[str, Rate]
    daughters: tuple[Daughter, ...]
    margin: float

    @property
    def accepted(self) -> bool:
        """Whether every daughter is."""
        return all(daughter.accepted for daughter in self.daughters)


def transfer(study: Study, parent: str, *, margin: float = MARGIN) -> Transfer:
    """Compare every unit of a study with its parent.

    Parameters
    ----------
    study : Study
        Samples with ``unit`` (the instrument) and ``group`` (the specimen) in the manifest; the same specimen
        measured with the parent and the daughters.
    parent : str
        Which unit is the parent.
    margin : float
        Loss against the parent that is borne, above 0 and below 1.

    Returns
    -------
    Transfer
        Each daughter, what it lost, and whether it is accepted.

    Raises
    ------
    ParameterError
        If there is no such unit, no other, or a daughter shares no specimen with the parent.
    """
    if not 0 < margin < 1:
        raise ParameterError("margin", margin, "above 0 and below 1")
    units: dict[str, list[Outcome]] = {}
    for outcome in study.outcomes:
        units.setdefault(outcome.sample.unit, []).append(outcome)
    units.pop("", None)
    if parent not in units:
        raise ParameterError("parent", parent, "one of the units " + ", ".join(sorted(units)))
    if len(units) < 2:
        raise ParameterError("manifest", study.manifest.file, "a manifest with samples of daughters, too")
    mother = units.pop(parent)
    daughters = tuple(_daughter(unit, units[unit], mother, margin) for unit in sorted(units))
    return Transfer(parent, _rates(mother), daughters, margin)


def _daughter(unit: str, outcomes: Sequence[Outcome], parent: Sequence[Outcome], margin: float) -> Daughter:
    pairs = _pairs(outcomes, parent)
    if not pairs:
        raise ParameterError("group", unit, "that of specimens measured with the parent, too")
    losses = [_loss("complete", pairs, lambda outcome: outcome.complete)]
    if dangerous := [pair for pair in pairs if pair[0].dangerous]:
        losses.append(_loss("alarm", dangerous, lambda outcome: outcome.alarmed))
    reasons = [
        f"{loss.what}: up to {100 * loss.upper:.1f} % may be lost of {loss.specimens} specimens (margin "
        f"{100 * margin:g} %)"
        for loss in losses
        if loss.upper > margin
    ]
    if unread := sum(outcome.kind == NOT_READ for outcome in outcomes):
        reasons.append(f"{unread} samples gave no verdict")
    return Daughter(unit, _rates(outcomes), tuple(losses), not reasons, tuple(reasons))


def _pairs(outcomes: Sequence[Outcome], parent: Sequence[Outcome]) -> list[tuple[Outcome, Outcome]]:
    """First measurement of each specimen with both units."""
    first: dict[str, Outcome] = {}
    for outcome in parent:
        first.setdefault(outcome.sample.group, outcome)
    first.pop("", None)
    pairs: dict[str, tuple[Outcome, Outcome]] = {}
    for outcome in outcomes:
        specimen = outcome.sample.group
        if specimen in first:
            pairs.setdefault(specimen, (outcome, first[specimen]))
    return list(pairs.values())


def _loss(what: str, pairs: Sequence[tuple[Outcome, Outcome]], right: Callable[[Outcome], bool]) -> Loss:
    n = len(pairs)
    lost = sum(right(parent) and not right(daughter) for daughter, parent in pairs)
    won = sum(right(daughter) and not right(parent) for daughter, parent in pairs)
    discordant = lost + won
    if discordant:
        share = clopper_pearson(lost, discordant, confidence=0.90)[1]
        upper = (2 * share - 1) * discordant / n
    else:
        upper = 0.0
    # Discordant pairs are themselves few by chance: never less than what their absence leaves open.
    none_seen = clopper_pearson(lost, n, confidence=0.90)[1] - won / n
    return Loss(what, n, lost, won, (lost - won) / n, max(upper, none_seen))


def _rates(outcomes: Sequence[Outcome]) -> Mapping[str, Rate]:
    found = summary(outcomes)
    return {name: found[name] for name in _RATES}
