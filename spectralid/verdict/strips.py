"""Immunoassay strips: what one is worth, and whether it agrees with the spectrum.

A strip finds nanograms of what it was made for, misses what it was not made for, and answers to much else
where that is strong enough. Its likelihood ratio therefore depends on what it is for, on how strong the
solution was, and on what the spectrum shows. It stands beside the spectrum; the two are never averaged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Literal

from spectralid.errors import InputError, ParameterError
from spectralid.identify.families import family_of
from spectralid.library.compounds import normalised
from spectralid.verdict.naming import raised
from spectralid.verdict.policy import Policy, default_policy
from spectralid.verdict.result import Verdict, VerdictKind
from spectralid.verdict.strip_figures import Limit, Rate, limits, of_brand, rates, ratios, studies

if TYPE_CHECKING:
    from spectralid.identify import Identification
    from spectralid.library import Compound, ReferenceLibrary
    from spectralid.verdict.catalog import Catalog

__all__ = ["TARGETS", "StripEvidence", "StripTest", "Target", "target_of", "weigh"]

SCHEMA: Final = "spectralid.strip/1"
# Seconds after dipping within which a strip is read: two to five minutes (CDC, "Fentanyl Test Strips: A Harm
# Reduction Strategy"); not after ten (Topaz Diagnostics, instructions for harm reduction strips).
_READ_FROM: Final = 120.0
_READ_UNTIL: Final = 600.0
# A negative strip counts where it would have shown a share as small as this: of the samples that strips of
# the published studies missed, all held less than a twentieth (McCrae et al.).
_SHARE_TO_SEE: Final = 0.01
_NG_PER_MG: Final = 1e6

Result = Literal["pos", "neg", "invalid"]
_RESULTS: Final = ("pos", "neg", "invalid")


@dataclass(frozen=True, slots=True)
class Target:
    """What a strip is made for.

    Attributes
    ----------
    key : str
        Name in the tables.
    words : tuple of str
        What people call it.
    slug : str
        The substance it is calibrated for, empty for a class.
    families, categories, slugs : tuple of str
        What else it is for.
    """

    key: str
    words: tuple[str, ...]
    slug: str = ""
    families: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    slugs: tuple[str, ...] = ()

    def holds(self, compound: Compound) -> bool:
        """Whether a compound is of what the strip is for."""
        return (
            compound.slug == self.slug
            or compound.slug in self.slugs
            or compound.category in self.categories
            or family_of(compound) in self.families
        )


TARGETS: Final = (
    Target(
        "fentanyl",
        ("fentanyl", "fentanyls", "fyl", "fentanilo", "fts"),
        slug="fentanyl",
        families=("fentanyl-related",),
        categories=("opioid/fentanyl-like-nonFRS",),
    ),
    Target("nitazene", ("nitazene", "nitazenes", "nitazeno", "nitacenos"), families=("nitazene",)),
    Target(
        "benzodiazepine",
        ("benzodiazepine", "benzodiazepines", "bzo", "benzo", "benzodiacepina", "benzodiacepinas"),
        families=("benzodiazepine",),
    ),
    Target("xylazine", ("xylazine", "xilacina", "xilazina", "xts"), slug="xylazine"),
    Target("medetomidine", ("medetomidine", "medetomidina"), slug="medetomidine"),
    Target("methamphetamine", ("methamphetamine", "met", "metanfetamina"), slug="methamphetamine"),
    Target("amphetamine", ("amphetamine", "amp", "anfetamina"), slug="amphetamine"),
    Target("mdma", ("mdma",), slug="mdma"),
    Target("cocaine", ("cocaine", "coc", "cocaína"), slug="cocaine"),
    Target("ketamine", ("ketamine", "ket", "ketamina"), slug="ketamine"),
    Target(
        "opiate",
        ("opiate", "opiates", "opi", "mop", "morphine", "opiáceos", "morfina"),
        slug="morphine",
        slugs=("codeine", "heroin", "6-monoacetylmorphine"),
    ),
    Target(
        "synthetic cannabinoid",
        ("synthetic cannabinoid", "synthetic cannabinoids", "k2", "cannabinoides sintéticos"),
        families=("synthetic cannabinoid",),
    ),
)
"""What strips are known for; figures are published for some of them only."""


@dataclass(frozen=True, slots=True)
class StripTest:
    """One strip as it was used and read.

    Attributes
    ----------
    target : str
        What it is for, as printed on it.
    brand, lot : str
        As printed; empty if unknown.
    expiry : str
        Last day it may be used, ISO 8601; empty if unknown.
    cutoff_ng_ml : float or None
        Cut-off as printed, ng/mL.
    dilution_mg_ml : float or None
        Sample per water, mg/mL; ``None`` if nobody noted it.
    read_s : float or None
        Seconds between dipping and reading.
    result : {"pos", "neg", "invalid"}
        ``invalid`` where there was no control line.
    photo_sha256 : str
        Its photo, empty if there is none.

    Raises
    ------
    ParameterError
        If a value cannot be.
    """

    target: str
    brand: str
    lot: str
    expiry: str
    cutoff_ng_ml: float | None
    dilution_mg_ml: float | None
    read_s: float | None
    result: Result
    photo_sha256: str = ""

    def __post_init__(self) -> None:
        if not self.target.strip():
            raise ParameterError("target", self.target, "what the strip is for")
        if self.result not in _RESULTS:
            raise ParameterError("result", self.result, "one of " + ", ".join(_RESULTS))
        for name in ("cutoff_ng_ml", "dilution_mg_ml", "read_s"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ParameterError(name, value, "a number above 0, or none if unknown")
        if self.expiry:
            try:
                date.fromisoformat(self.expiry)
            except ValueError:
                raise ParameterError("expiry", self.expiry, "a date like 2027-03-31") from None

    def to_dict(self) -> dict[str, Any]:
        """Plain form, with the names of a packet."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**{k: v for k, v in plain.items() if k != "photo_sha256"}, "photo": self.photo_sha256}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StripTest:
        """Inverse of `to_dict`; other keys do not count.

        Raises
        ------
        InputError
            If a name is missing.
        ParameterError
            If a value cannot be.
        """
        try:
            known = {f.name: data[f.name] for f in fields(cls) if f.name != "photo_sha256"}
        except KeyError as error:
            raise InputError(f"The record of the strip does not say {error}.") from None
        return cls(**known, photo_sha256=str(data.get("photo") or ""))


@dataclass(frozen=True, slots=True)
class StripEvidence:
    """What one strip is worth beside the spectra of its item. Presumptive.

    Attributes
    ----------
    target : str
        What it is for: key of `TARGETS`, or as printed where it is none of them.
    result : str
        As it was read.
    ratio : float or None
        Likelihood ratio of the result: by how much it multiplies the odds of the target. ``None`` where
        nothing published holds for the test as it was made.
    low, high : float or None
        Interval of the ratio, at least 90 %; ``high`` is infinite where no study met a false positive.
    conflict : bool
        Whether strip and spectrum say different things, be it by contradiction or because one sees less.
    escalate : bool
        Whether it is for someone who knows more.
    reasons : tuple of str
        Sentences for the officer.
    source : tuple of str
        What the ratio rests on.
    codes : tuple of str
        Stable words for the reasons.
    """

    target: str
    result: str
    ratio: float | None
    low: float | None
    high: float | None
    conflict: bool
    escalate: bool
    reasons: tuple[str, ...]
    source: tuple[str, ...]
    codes: tuple[str, ...]

    @property
    def presumptive(self) -> bool:
        """Always true."""
        return True

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form, versioned by its ``schema``; no upper bound is ``None``."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            "schema": SCHEMA,
            "presumptive": self.presumptive,
            **{k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()},
            "high": None if self.high is None or math.isinf(self.high) else self.high,
        }


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the spectra of an item show of a target."""

    members: tuple[Compound, ...]
    by_class: bool
    possible: bool
    silent: bool
    smallest_share: float | None
    slugs: frozenset[str]

    @property
    def yes(self) -> bool:
        return bool(self.members) or self.by_class


def target_of(name: str) -> Target | None:
    """What a strip is for, by what is printed on it; ``None`` if that is not known here."""
    plain = normalised(name)
    for target in TARGETS:
        if plain in {normalised(w) for w in (target.key, *target.words)}:
            return target
    # "Fentanyl (FYL) 20 ng/mL", "Xylazine test strip": one known word among others.
    words = {normalised(w) for w in name.split()}
    found = [t for t in TARGETS if words & {normalised(w) for w in t.words}]
    return found[0] if len(found) == 1 else None


def weigh(
    test: StripTest,
    scans: Sequence[tuple[Identification, Verdict]],
    library: ReferenceLibrary,
    *,
    on: date,
    catalog: Catalog,
    policy: Policy | None = None,
) -> StripEvidence:
    """What a strip is worth, given what the spectra of the same item show.

    Parameters
    ----------
    test : StripTest
        The strip.
    scans : sequence of (Identification, Verdict)
        All scans of the item.
    library : ReferenceLibrary
        The library they were made with.
    on : date
        Day it was read.
    catalog : Catalog
        Wording, with the topics ``verdict`` and ``evidence``.
    policy : Policy, optional
        The policy of the verdicts; the default one if not given.
    """
    target = target_of(test.target)
    if target is None or test.result == "invalid":
        code = "target-unknown" if target is None else "invalid"
        said = catalog.say(f"strip.{code}", target=_called(target, test, catalog))
        key = target.key if target else test.target
        positive = test.result == "pos"
        return StripEvidence(key, test.result, None, None, None, False, positive, (said,), (), (code,))
    shown = _shown(target, scans, library, policy or default_policy())
    return _Weighing(test, target, shown, library, on, catalog).evidence()


class _Weighing:
    """One strip on the scale, with all that bears on it."""

    def __init__(
        self,
        test: StripTest,
        target: Target,
        shown: _Shown,
        library: ReferenceLibrary,
        on: date,
        catalog: Catalog,
    ) -> None:
        self.test = test
        self.target = target
        self.shown = shown
        self.on = on
        self.catalog = catalog
        self.names = {c.slug: c.name for c in library.compounds}
        self.limits = [r for r in limits() if r.target == target.key]
        self.said: list[tuple[str, str]] = []

    def evidence(self) -> StripEvidence:
        conflict = self._compared()
        ratio, source = self._ratio()
        if ratio is not None:
            facts = {"ratio": _number(ratio.value), "low": _number(ratio.low)}
            if math.isfinite(ratio.high):
                self._say("ratio", high=_number(ratio.high), **facts)
            else:
                self._say("ratio-at-least", **facts)
        return StripEvidence(
            target=self.target.key,
            result=self.test.result,
            ratio=ratio.value if ratio else None,
            low=ratio.low if ratio else None,
            high=ratio.high if ratio else None,
            conflict=conflict,
            escalate=conflict or self.test.result == "pos",
            reasons=tuple(dict.fromkeys(sentence for _, sentence in self.said)),
            source=source,
            codes=tuple(dict.fromkeys(code for code, _ in self.said)),
        )

    # -- Strip and spectrum --------------------------------------------------------------------------------

    def _compared(self) -> bool:
        """Whether strip and spectra say different things; says how."""
        differs = self._differs()
        if self.test.result == "pos":
            if self.shown.possible and not self.shown.yes:
                self._say("positive-possible")
            crossing = self._crossing()
            if crossing:
                known = self.test.dilution_mg_ml is not None
                self._say("cross-reactant" if known else "may-cross-react", names=self._listed(crossing))
        return differs

    def _differs(self) -> bool:
        shown, positive = self.shown, self.test.result == "pos"
        if shown.silent:
            self._say("positive-alone" if positive else "negative-alone")
        elif positive and shown.yes:
            self._say("both-show")
        elif positive:
            seen = self._smallest_by_strip()
            if seen is not None and shown.smallest_share is not None and seen < shown.smallest_share:
                self._say("complementary", strip=_percent(seen), scan=_percent(shown.smallest_share))
            else:
                self._say("positive-only")
        elif shown.yes:
            known = [c.slug for c in shown.members if c.slug in self._missed()]
            if known:
                self._say("negative-known-miss", names=self._listed(known))
            else:
                self._say("negative-only")
        else:
            self._say("negative-excludes-nothing")
        return not shown.silent and positive != shown.yes

    # -- The ratio -----------------------------------------------------------------------------------------

    def _ratio(self) -> tuple[Rate | None, tuple[str, ...]]:
        """Likelihood ratio of the result as the test was made, and where it is from."""
        if not self._well_made():
            return None, ()
        of_target = [s for s in studies() if s.target == self.target.key]
        if not of_target:
            self._say("no-figures")
            return None, ()
        ours = of_brand(of_target, self.test.brand)
        sensitivity, specificity = rates(ours, analogue=self._is_analogue())
        if sensitivity is None or specificity is None:
            self._say("brand-not-studied" if self.test.brand else "brand-unknown")
            return None, ()
        if not any(s.names_brand for s in ours):
            self._say("brand-of-figures-unknown")
        positive, negative = ratios(sensitivity, specificity)
        found = self._positive(positive) if self.test.result == "pos" else self._negative(negative)
        sources = (s.source for s in ours)
        return found, tuple(dict.fromkeys(sources)) if found else ()

    def _well_made(self) -> bool:
        """Whether the test was made so that figures of others hold; says what stands against it."""
        test = self.test
        against = []
        if not test.expiry:
            against.append("expiry-unknown")
        elif date.fromisoformat(test.expiry) < self.on:
            against.append("expired")
        if test.dilution_mg_ml is None:
            against.append("no-dilution")
        if test.read_s is None:
            against.append("read-time-unknown")
        elif not _READ_FROM <= test.read_s <= _READ_UNTIL:
            against.append("read-time")
        for code in against:
            self._say(code)
        return not against

    def _positive(self, ratio: Rate) -> Rate:
        if self._crossing():
            return Rate(1.0, min(1.0, ratio.low), max(1.0, ratio.high))
        least = min((r.from_ng_ml for r in self._false_positives() if r.from_ng_ml is not None), default=None)
        if least is not None and self._strength() >= least:
            # What the scan does not show may be there all the same, and strong enough to answer.
            self._say("too-strong", limit=_number(least / _NG_PER_MG))
            return Rate(ratio.value, min(1.0, ratio.low), ratio.high)
        return ratio

    def _negative(self, ratio: Rate) -> Rate | None:
        if any(c.slug in self._missed() for c in self.shown.members):
            return Rate(1.0, min(1.0, ratio.low), max(1.0, ratio.high))
        seen = self._smallest_by_strip()
        if seen is not None and seen > _SHARE_TO_SEE:
            self._say("too-dilute", share=_percent(seen))
            return None
        return ratio

    def _is_analogue(self) -> bool:
        """Whether the spectrum speaks for a member other than the one the strip is calibrated for."""
        return self.shown.yes and self.target.slug not in {c.slug for c in self.shown.members}

    # -- What is known of strips of this kind --------------------------------------------------------------

    def _strength(self) -> float:
        """Sample in the solution, ng/mL; shares of signal are none by weight, so that all of it counts."""
        return (self.test.dilution_mg_ml or 0.0) * _NG_PER_MG

    def _false_positives(self) -> list[Limit]:
        return [r for r in self.limits if r.effect == "false-positive"]

    def _missed(self) -> frozenset[str]:
        return frozenset(r.compound for r in self.limits if r.effect == "missed")

    def _crossing(self) -> list[str]:
        """Substances the spectra show that the strip answers to at this strength.

        Without a dilution, or a published limit, any strength may do.
        """
        strength = self._strength() or math.inf
        return [
            r.compound
            for r in self._false_positives()
            if r.compound in self.shown.slugs and strength >= (r.from_ng_ml or 0.0)
        ]

    def _smallest_by_strip(self) -> float | None:
        """Smallest share of the sample the strip shows at this dilution; ``None`` where that is not known."""
        published = [r.from_ng_ml for r in self.limits if r.effect == "seen" and r.from_ng_ml is not None]
        if not (published and self.test.dilution_mg_ml):
            return None
        return min(1.0, max(*published, self.test.cutoff_ng_ml or 0.0) / self._strength())

    # -- Words ---------------------------------------------------------------------------------------------

    def _say(self, code: str, **facts: str) -> None:
        target = _called(self.target, self.test, self.catalog)
        self.said.append((code, self.catalog.say(f"strip.{code}", target=target, **facts)))

    def _listed(self, slugs: Iterable[str]) -> str:
        return self.catalog.listed(
            [self.catalog.named(s, self.names.get(s, s)) for s in dict.fromkeys(slugs)]
        )


def _called(target: Target | None, test: StripTest, catalog: Catalog) -> str:
    return catalog.say(f"strip.target.{target.key}") if target else test.target


def _shown(
    target: Target, scans: Sequence[tuple[Identification, Verdict]], library: ReferenceLibrary, policy: Policy
) -> _Shown:
    known = {c.slug: c for c in library.compounds}
    members: dict[str, Compound] = {}
    by_class = possible = False
    shares: list[float] = []
    slugs: set[str] = set()
    readable = 0
    for identification, verdict in scans:
        if verdict.kind is VerdictKind.POOR_SIGNAL:
            continue
        readable += 1
        analysis = identification.analysis
        components = [c.compound_slug for c in analysis.components if c.holds] if analysis else []
        slugs |= {*components, *verdict.named}
        of_it = [known[s] for s in verdict.named if s in known and target.holds(known[s])]
        if verdict.kind in (VerdictKind.IDENTIFIED, VerdictKind.MIXTURE):
            members |= {c.slug: c for c in of_it}
        elif verdict.kind is VerdictKind.FAMILY:
            by_class |= bool(of_it)
        possible |= bool(of_it) or any(target.holds(known[s]) for s in components if s in known)
        by_class |= any(f in target.families for f in raised(identification, policy))
        shares += [
            analysis.smallest_shares[f] for f in target.families if analysis and f in analysis.smallest_shares
        ]
    return _Shown(
        tuple(members.values()),
        by_class,
        possible,
        readable == 0,
        min(shares, default=None),
        frozenset(slugs),
    )


def _number(value: float) -> str:
    """Two digits that count."""
    if value >= 10:
        return f"{round(value):d}"
    return f"{float(f'{value:.2g}'):g}"


def _percent(share: float) -> str:
    return f"{_number(100 * share)} %"
