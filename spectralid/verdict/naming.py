"""What may be named: every component of an identification with what stands against its name."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from spectralid.identify import Analysis, Candidate, Component, Identification
from spectralid.identify.confidence import SOMETHING_ELSE, ComponentConfidence
from spectralid.identify.families import family_of
from spectralid.library import Compound, ReferenceLibrary, Tier
from spectralid.verdict.catalog import Catalog
from spectralid.verdict.policy import Policy

__all__ = [
    "CARRIERS",
    "Finding",
    "Findings",
    "Reason",
    "because",
    "close",
    "findings",
    "percent",
    "raised",
]

# Categories of what a sample is packed or dissolved in, in the order in which they are set apart.
# "container" is for what agencies measure themselves: their vials and bags, empty.
CARRIERS: Final = ("container", "polymer", "solvent")
# Bands listed in one sentence.
_MOST_PLACES: Final = 6


class Reason(NamedTuple):
    """Why something is as it is: the same code in every language, and a sentence in the one asked for."""

    code: str
    text: str


def because(catalog: Catalog, code: str, key: str = "", **facts: Any) -> Reason:
    """The reason of a code in a catalog's language: the text ``reason.<key>``, the code by default."""
    return Reason(code, catalog.say(f"reason.{key or code}", **facts))


def percent(chance: float) -> str:
    """A probability to a tenth of a percent, rounded down: no rounding makes anything certain."""
    tenths = math.floor(round(chance * 1000, 6))
    if tenths < 1:
        return "<0.1%"
    return ">99.9%" if tenths >= 1000 else f"{tenths / 10:.1f}%"


@dataclass(frozen=True, slots=True)
class Finding:
    """One component, and whether it may be named.

    Attributes
    ----------
    component : Component
        As the joint fit found it.
    probability : float or None
        Calibrated; ``None`` where there is no calibration.
    names : tuple of str
        What it may be, in words; the form is that of the reference found.
    choices : tuple of Compound
        What it may be: the compound itself, then those that cannot be told from it.
    settled : bool
        Whether the choices are one entry, or one set of entries that cannot be told apart and may be named
        as such.
    obstacles : tuple of Reason
        What else stands against a name.
    family : str
        The family of all choices, empty where they have none in common.
    """

    component: Component
    probability: float | None
    names: tuple[str, ...]
    choices: tuple[Compound, ...]
    settled: bool
    obstacles: tuple[Reason, ...]
    family: str

    @property
    def certain(self) -> bool:
        """Whether it may be named."""
        return self.settled and not self.obstacles


@dataclass(frozen=True, slots=True)
class Findings:
    """All that an identification found.

    Attributes
    ----------
    substances : tuple of Finding
        What the sample is, largest share first.
    carriers : tuple of Finding
        Container or solvent beside it.
    obstacles : tuple of Reason
        What stands against any name at all.
    unsettled : tuple of Reason
        What the scan does not tell apart.
    calibrated : bool
        Whether probabilities are.
    """

    substances: tuple[Finding, ...]
    carriers: tuple[Finding, ...]
    obstacles: tuple[Reason, ...]
    unsettled: tuple[Reason, ...]
    calibrated: bool

    @property
    def certain(self) -> tuple[Finding, ...]:
        """The substances that may be named."""
        return () if self.obstacles else tuple(f for f in self.substances if f.certain)

    @property
    def every_obstacle(self) -> tuple[Reason, ...]:
        """What stands against any name, then against that of each substance."""
        own = (o for f in self.substances for o in f.obstacles)
        return tuple(dict.fromkeys((*self.obstacles, *own, *self.unsettled)))

    @property
    def compounds(self) -> tuple[Compound, ...]:
        """Everything that may be there, each once."""
        found = (c for f in (*self.substances, *self.carriers) for c in f.choices)
        return tuple({c.slug: c for c in found}.values())


def findings(
    identification: Identification,
    analysis: Analysis,
    library: ReferenceLibrary,
    policy: Policy,
    catalog: Catalog | None = None,
    against: Iterable[Reason] = (),
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
    catalog : Catalog, optional
        The language of the reasons; English by default.
    against : iterable of Reason
        What stands against any name beside what was found.
    """
    judge = _Judge(identification, library, policy, catalog or policy.catalog())
    confidence = identification.confidence
    calibrated = confidence is not None and confidence.calibrated
    sure = {c.compound_slug: c for c in confidence.components} if confidence and calibrated else {}
    found = [
        judge.calibrated(c, sure[c.compound_slug]) if calibrated else judge.uncalibrated(c)
        for c in analysis.components
    ]
    substances, carriers = _set_apart(found)
    obstacles = [*against, *judge.against_all(analysis)]
    if not calibrated:
        obstacles += judge.disagreements(substances)
    unsettled = [judge.not_told_apart(f) for f in substances if not f.settled]
    return Findings(tuple(substances), tuple(carriers), tuple(obstacles), tuple(unsettled), calibrated)


def close(identification: Identification, policy: Policy) -> list[Candidate]:
    """The likest candidate and every other within the margin of it."""
    best = identification.candidates[0].score
    return [c for c in identification.candidates if best - c.score < policy.margin]


def raised(identification: Identification, policy: Policy) -> tuple[str, ...]:
    """Watched families above their own threshold: by the components found, or by a family model.

    What rests on computed references only is a lead and raises nothing.
    """
    sure = identification.confidence
    by_model = (
        f.family for f in identification.families if f.alarm(policy.family_false_alarms) and not f.lead_only
    )
    every = dict.fromkeys((*(sure.alarms if sure else ()), *by_model))
    return tuple(f for f in every if f in policy.families)


def _set_apart(found: list[Finding]) -> tuple[list[Finding], list[Finding]]:
    """What is there, and the container or solvent it is in; either is the former where it is all there is."""
    rest, carriers = found, []
    for category in CARRIERS:
        of_it = [f for f in rest if f.choices[0].category == category]
        if len(of_it) < len(rest):
            carriers += of_it
            rest = [f for f in rest if f not in of_it]
    return rest, carriers


@dataclass(frozen=True, slots=True)
class _Judge:
    """The rules for names, on one identification."""

    identification: Identification
    library: ReferenceLibrary
    policy: Policy
    catalog: Catalog

    def calibrated(self, component: Component, sure: ComponentConfidence) -> Finding:
        """A component whose probability is calibrated."""
        obstacles = list(self._against(component))
        chance = sure.probability or 0.0
        if chance < self.policy.named_from:
            obstacles.append(self._too_unlikely(component, chance))
        if SOMETHING_ELSE in sure.conformal_set:
            obstacles.append(self._because("something-else-possible", name=self._name(component)))
        slugs = (component.compound_slug, *(s for s in sure.conformal_set if s != SOMETHING_ELSE))
        choices = dict.fromkeys((*slugs, *component.equivalent))
        same = {component.compound_slug, *component.equivalent}
        return self._finding(component, sure.probability, choices, same.issuperset(slugs), obstacles)

    def uncalibrated(self, component: Component) -> Finding:
        """A component whose probability means little."""
        obstacles = list(self._against(component))
        if component.probability < self.policy.named_from:
            obstacles.append(self._too_unlikely(component, component.probability))
        slugs = [component.compound_slug, *component.equivalent]
        near = [c.compound_slug for c in close(self.identification, self.policy)]
        if component.compound_slug in near:
            slugs += near
        choices = dict.fromkeys(slugs)
        return self._finding(component, None, choices, len(choices) == 1, obstacles)

    def against_all(self, analysis: Analysis) -> Iterable[Reason]:
        """What keeps every name back."""
        if analysis.unexplained:
            places = self._places(tuple(u.position_cm1 for u in analysis.unexplained))
            yield self._because("unexplained-bands", places=places)
        if (analysis.log_odds or 0.0) <= 0:
            yield self._because("nothing-likelier")
        if "saturated" in self.identification.quality.problems:
            yield self._because("saturated")

    def disagreements(self, substances: list[Finding]) -> Iterable[Reason]:
        """Without calibrated probabilities a name needs both methods to agree on one substance.

        The thresholds of the ranking were studied (`Policy`); odds of the joint fit alone mean little.
        """
        best = self.identification.candidates[0]
        if len(substances) > 1:
            yield self._because("several-uncalibrated")
        if best.compound_slug not in {c.slug for f in substances for c in f.choices}:
            name = self.catalog.named(best.compound_slug, best.compound_name)
            yield self._because("ranking-disagrees", name=name)
        if best.score < self.policy.identified_from:
            least = f"{self.policy.identified_from:.2f}"
            yield self._because("score-low", score=f"{best.score:.3f}", least=least)
        if len(self.identification.candidates) == 1:
            yield self._because("single-candidate")
        if best.corroboration is None:
            yield self._because("one-band-not-compared")
        elif best.corroboration < self.policy.corroboration:
            yield self._because("one-band", agreement=f"{best.corroboration:.2f}")
        if best.query_share < self.policy.bands_compared:
            yield self._because("range-partial", share=f"{best.query_share:.0%}")

    def not_told_apart(self, finding: Finding) -> Reason:
        """What the scan leaves open about one component."""
        return self._because("not-told-apart", names=self.catalog.listed(finding.names))

    def _because(self, code: str, **facts: str) -> Reason:
        return because(self.catalog, code, **facts)

    def _name(self, component: Component) -> str:
        return self.catalog.named(component.compound_slug, component.compound_name)

    def _finding(
        self,
        component: Component,
        probability: float | None,
        slugs: Iterable[str],
        settled: bool,
        obstacles: list[Reason],
    ) -> Finding:
        choices = tuple(map(self.library.compound, slugs))
        families = {family_of(c) for c in choices}
        first = self.catalog.named(component.compound_slug, component.compound_name, component.form)
        others = (self.catalog.named(c.slug, c.name) for c in choices[1:])
        return Finding(
            component=component,
            probability=probability,
            names=(first, *others),
            choices=choices,
            settled=settled,
            obstacles=tuple(obstacles),
            family=families.pop() if len(families) == 1 else "",
        )

    def _too_unlikely(self, component: Component, probability: float) -> Reason:
        return self._because(
            "probability-low",
            name=self._name(component),
            chance=percent(probability),
            least=f"{self.policy.named_from:.0%}",
        )

    def _against(self, component: Component) -> Iterable[Reason]:
        name = self._name(component)
        if component.tier is Tier.COMPUTED:
            yield self._because("computed-only", name=name)
        if component.bands.missing_cm1:
            yield self._because("bands-missing", name=name, places=self._places(component.bands.missing_cm1))
        elif not component.holds:
            yield self._because(
                "bands-not-borne-out",
                name=name,
                consistency=f"{component.bands.consistency:.2g}",
                deviations=f"{component.bands.without_best_z:.1f}",
            )

    def _places(self, positions: tuple[float, ...]) -> str:
        shown = ", ".join(f"{p:.0f}" for p in sorted(positions[:_MOST_PLACES]))
        more = len(positions) - _MOST_PLACES
        if more > 0:
            return self.catalog.say("places.more", places=shown, n=more)
        return self.catalog.say("places.shown", places=shown)
