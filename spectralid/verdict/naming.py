"""What may be named: every component of an identification with what stands against its name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from spectralid.identify import Analysis, Candidate, Component, Identification
from spectralid.identify.confidence import SOMETHING_ELSE, ComponentConfidence
from spectralid.identify.families import FAMILIES, family_of
from spectralid.library import Compound, ReferenceLibrary, Tier
from spectralid.verdict.policy import Policy

__all__ = ["CARRIERS", "WATCHED", "Finding", "Findings", "close", "findings", "raised"]

# Families to be warned of.
WATCHED: Final = tuple(f for f in FAMILIES if f != "sugar or polyol")
# Categories of what a sample is packed or dissolved in, in the order in which they are set apart.
CARRIERS: Final = ("polymer", "solvent")
# Bands listed in one sentence.
_MOST_PLACES: Final = 6


@dataclass(frozen=True, slots=True)
class Finding:
    """One component, and whether it may be named.

    Attributes
    ----------
    component : Component
        As the joint fit found it.
    probability : float or None
        Calibrated; ``None`` where there is no calibration.
    choices : tuple of Compound
        What it may be: the compound itself, then those that cannot be told from it.
    settled : bool
        Whether the choices are one entry, or one set of entries that cannot be told apart and may be named
        as such.
    obstacles : tuple of str
        What else stands against a name, one sentence each.
    family : str
        The family of all choices, empty where they have none in common.
    """

    component: Component
    probability: float | None
    choices: tuple[Compound, ...]
    settled: bool
    obstacles: tuple[str, ...]
    family: str

    @property
    def certain(self) -> bool:
        """Whether it may be named."""
        return self.settled and not self.obstacles

    @property
    def names(self) -> list[str]:
        """What it may be, in words; the form is that of the reference found."""
        first = self.component.compound_name
        form = f" ({self.component.form})" if self.component.form else ""
        return [f"{first}{form}", *(c.name for c in self.choices[1:])]


@dataclass(frozen=True, slots=True)
class Findings:
    """All that an identification found.

    Attributes
    ----------
    substances : tuple of Finding
        What the sample is, largest share first.
    carriers : tuple of Finding
        Container or solvent beside it.
    obstacles : tuple of str
        What stands against any name at all.
    calibrated : bool
        Whether probabilities are.
    """

    substances: tuple[Finding, ...]
    carriers: tuple[Finding, ...]
    obstacles: tuple[str, ...]
    calibrated: bool

    @property
    def certain(self) -> tuple[Finding, ...]:
        """The substances that may be named."""
        return () if self.obstacles else tuple(f for f in self.substances if f.certain)

    @property
    def every_obstacle(self) -> tuple[str, ...]:
        """What stands against any name, then against that of each substance."""
        own = (o for f in self.substances for o in f.obstacles)
        unsettled = (f for f in self.substances if not f.settled)
        alike = (f"The scan does not tell {' from '.join(f.names)}." for f in unsettled)
        return tuple(dict.fromkeys((*self.obstacles, *own, *alike)))

    @property
    def compounds(self) -> tuple[Compound, ...]:
        """Everything that may be there, each once."""
        found = (c for f in (*self.substances, *self.carriers) for c in f.choices)
        return tuple({c.slug: c for c in found}.values())


def findings(
    identification: Identification, analysis: Analysis, library: ReferenceLibrary, policy: Policy
) -> Findings:
    """Judge every component by the rules for names.

    Parameters
    ----------
    identification : Identification
        What was found.
    analysis : Analysis
        Its joint fit.
    library : ReferenceLibrary
        The library it was made with.
    policy : Policy
        Thresholds.
    """
    confidence = identification.confidence
    calibrated = confidence is not None and confidence.calibrated
    sure = {c.compound_slug: c for c in confidence.components} if confidence and calibrated else {}
    found = [
        _calibrated(c, sure[c.compound_slug], library, policy)
        if calibrated
        else _uncalibrated(c, identification, library, policy)
        for c in analysis.components
    ]
    substances, carriers = _set_apart(found)
    against = list(_against_all(identification, analysis))
    if not calibrated:
        against += _disagreements(identification, substances, policy)
    return Findings(tuple(substances), tuple(carriers), tuple(against), calibrated)


def close(identification: Identification, policy: Policy) -> list[Candidate]:
    """The likest candidate and every other within the margin of it."""
    best = identification.candidates[0].score
    return [c for c in identification.candidates if best - c.score < policy.margin]


def raised(identification: Identification, policy: Policy) -> tuple[str, ...]:
    """Families above their own threshold: by the components found, or by a family model.

    What rests on computed references only is a lead and raises nothing.
    """
    sure = identification.confidence
    by_model = (
        f.family for f in identification.families if f.alarm(policy.family_false_alarms) and not f.lead_only
    )
    return tuple(f for f in dict.fromkeys((*(sure.alarms if sure else ()), *by_model)) if f in WATCHED)


def _set_apart(found: list[Finding]) -> tuple[list[Finding], list[Finding]]:
    """What is there, and the container or solvent it is in; either is the former where it is all there is."""
    rest, carriers = found, []
    for category in CARRIERS:
        of_it = [f for f in rest if f.choices[0].category == category]
        if len(of_it) < len(rest):
            carriers += of_it
            rest = [f for f in rest if f not in of_it]
    return rest, carriers


def _calibrated(
    component: Component, sure: ComponentConfidence, library: ReferenceLibrary, policy: Policy
) -> Finding:
    obstacles = list(_against(component))
    if sure.probability is None or sure.probability < policy.named_from:
        obstacles.append(_too_unlikely(component, sure.probability or 0.0, policy))
    if SOMETHING_ELSE in sure.conformal_set:
        obstacles.append(f"That {component.compound_name} is something else is not excluded.")
    slugs = (component.compound_slug, *(s for s in sure.conformal_set if s != SOMETHING_ELSE))
    choices = tuple(library.compound(s) for s in dict.fromkeys((*slugs, *component.equivalent)))
    same = {component.compound_slug, *component.equivalent}
    return _finding(component, sure.probability, choices, same.issuperset(slugs), obstacles)


def _uncalibrated(
    component: Component, identification: Identification, library: ReferenceLibrary, policy: Policy
) -> Finding:
    obstacles = list(_against(component))
    if component.probability < policy.named_from:
        obstacles.append(_too_unlikely(component, component.probability, policy))
    slugs = [component.compound_slug, *component.equivalent]
    near = [c.compound_slug for c in close(identification, policy)]
    if component.compound_slug in near:
        slugs += near
    choices = tuple(library.compound(s) for s in dict.fromkeys(slugs))
    return _finding(component, None, choices, len(choices) == 1, obstacles)


def _finding(
    component: Component,
    probability: float | None,
    choices: tuple[Compound, ...],
    settled: bool,
    obstacles: list[str],
) -> Finding:
    families = {family_of(c) for c in choices}
    family = families.pop() if len(families) == 1 else ""
    return Finding(component, probability, choices, settled, tuple(obstacles), family)


def _too_unlikely(component: Component, probability: float, policy: Policy) -> str:
    return (
        f"The probability of {component.compound_name}, {probability:.1%}, is below the "
        f"{policy.named_from:.0%} a name needs."
    )


def _against(component: Component) -> Iterable[str]:
    name = component.compound_name
    if component.tier is Tier.COMPUTED:
        yield f"{name} rests on a computed reference, which is a lead and never identifies."
    if component.bands.missing_cm1:
        yield f"Bands of {name} are missing at {_places(component.bands.missing_cm1)}."
    elif not component.holds:
        yield (
            f"The bands of {name} do not bear it out: by chance they would differ so in "
            f"{component.bands.consistency:.2g} of cases, and without the clearest they show it at "
            f"{component.bands.without_best_z:.1f} standard deviations only."
        )


def _against_all(identification: Identification, analysis: Analysis) -> Iterable[str]:
    if analysis.unexplained:
        places = _places(tuple(u.position_cm1 for u in analysis.unexplained))
        yield f"Nothing found accounts for the bands at {places}."
    if (analysis.log_odds or 0.0) <= 0:
        yield "It is likelier that nothing in the library explains the scan than that this does."
    if "saturated" in identification.quality.problems:
        yield "The detector was overloaded, so the band heights are wrong."


def _disagreements(
    identification: Identification, substances: list[Finding], policy: Policy
) -> Iterable[str]:
    """Without calibrated probabilities a name needs both methods to agree on one substance.

    The thresholds of the ranking were studied (`Policy`); odds of the joint fit alone mean little.
    """
    best = identification.candidates[0]
    if len(substances) > 1:
        yield "Several components were found, and their probabilities are not calibrated."
    if best.compound_slug not in {c.slug for f in substances for c in f.choices}:
        yield f"The ranking disagrees: as a whole the scan is most like {best.compound_name}."
    if best.score < policy.identified_from:
        yield f"The best score {best.score:.3f} is below {policy.identified_from:.2f}."
    if len(identification.candidates) == 1:
        yield "No second compound could be compared, so the score means little."
    if best.corroboration is None or best.corroboration < policy.corroboration:
        agreement = (
            "were not compared" if best.corroboration is None else f"agree to {best.corroboration:.2f} only"
        )
        yield f"The match rests on one band: the others {agreement}."
    if best.query_share < policy.bands_compared:
        yield f"Only {best.query_share:.0%} of the bands of this scan lie in the range of that reference."


def _places(positions: tuple[float, ...]) -> str:
    shown = ", ".join(f"{p:.0f}" for p in sorted(positions[:_MOST_PLACES]))
    more = len(positions) - _MOST_PLACES
    return f"{shown} cm⁻¹" + (f" and {more} more" if more > 0 else "")
