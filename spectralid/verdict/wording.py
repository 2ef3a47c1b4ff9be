"""What is said of a verdict in the language of a catalog: headlines, sentences, evidence, what stays open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final

from spectralid.identify import Analysis, Identification
from spectralid.identify.families import family_of
from spectralid.identify.quality import times_longer
from spectralid.library import Compound, ReferenceLibrary, Tier
from spectralid.verdict.catalog import Catalog
from spectralid.verdict.naming import CARRIERS, Finding, Findings, Reason, because, close, percent
from spectralid.verdict.policy import Policy

__all__ = ["Wording", "is_carrier"]

# Above this share of the signal nothing else of the scan would be left.
_ANY_SHARE: Final = 0.95


def is_carrier(compound: Compound) -> bool:
    """Whether containers or solvents are made of it."""
    return compound.category in CARRIERS


class Wording:
    """Says what is found in one identification.

    Parameters
    ----------
    identification : Identification
        What was found.
    library : ReferenceLibrary
        The library it was made with.
    policy : Policy
        Thresholds, and what is watched.
    catalog : Catalog
        The language.
    """

    def __init__(
        self, identification: Identification, library: ReferenceLibrary, policy: Policy, catalog: Catalog
    ) -> None:
        self._identification = identification
        self._library = library
        self._policy = policy
        self._catalog = catalog
        self._say = catalog.say

    # What is there.

    def headline_of_names(self, found: Findings, families: Sequence[str]) -> str:
        """What is there, in a few words."""
        parts = [self._either(f) if f.certain else self._say("headline.part") for f in found.substances]
        beside = (self._say("headline.family_beside", family=self._family(f)) for f in families)
        return " + ".join([*parts, *beside])

    def words_of_names(self, found: Findings, families: Sequence[str]) -> str:
        """What is there, as sentences."""
        certain = found.certain
        if len(found.substances) == 1:
            (one,) = certain
            said = [self._say("words.matches", name=self._described(one))]
            if len(one.choices) > 1:
                said.append(self._say("words.not_told_apart"))
        else:
            parts = self._catalog.listed([self._part(self._described(f), f) for f in certain], mark="; ")
            said = [self._say("words.mixture", parts=parts)]
            for other in (f for f in found.substances if f not in certain):
                said.append(self._say("words.rest", share=self._share(other), names=self._either(other)))
        said += [self._say("words.family_beside", family=self._family(f)) for f in families]
        return self._presumptive(said, found, laboratory=True)

    def headline_of_families(self, families: Sequence[str]) -> str:
        """What kind of substance it is, in a few words."""
        return self._say("headline.family", families=self._families(families))

    def words_of_families(self, families: Sequence[str], found: Findings) -> str:
        """What kind of substance it is, as sentences."""
        said = [self._say("words.family", families=self._families(families))]
        like = [self._either(f) for f in found.substances if f.family in families]
        if like:
            said.append(self._say("words.family_like", names=self._catalog.listed(like)))
        return self._presumptive(said, found, laboratory=True)

    def of_the_undecided(self, found: Findings) -> tuple[str, str]:
        """Headline and words where nothing may be named."""
        held = [f for f in found.substances if f.component.holds]
        shown = held or list(found.substances)
        unexplained = bool(self._identification.analysis and self._identification.analysis.unexplained)
        if not shown:
            candidates = close(self._identification, self._policy)
            near = self._some([self._catalog.named(c.compound_slug, c.compound_name) for c in candidates])
            headline = self._say("headline.most_like", names=near)
            return headline, self._presumptive([self._say("words.whole_like", names=near)])
        if len(shown) > 1:
            each = [self._some(f.names) for f in shown]
            names = self._catalog.listed(each)
            parts = self._catalog.listed(
                [self._part(name, f) for name, f in zip(each, shown, strict=True)], mark="; "
            )
            said = [self._say("words.mixture_like", parts=parts)]
            if unexplained:
                said.append(self._say("words.bands_beside"))
            return self._say("headline.most_like_mixture", names=names), self._presumptive(said, found)
        (one,) = shown
        names = self._some(one.names)
        if held and unexplained:
            key, more = "unexplained", []
        elif len(one.choices) > 1 and not (found.obstacles or one.obstacles):
            # Being close to each other is all that stands between them and a name.
            key, more = "one_of", [self._say("words.not_told_apart")]
        else:
            key, more = "most_like", []
        words = [self._say(f"words.{key}", names=names), *more]
        return self._say(f"headline.{key}", names=names), self._presumptive(words, found)

    def of_no_match(self) -> tuple[str, str]:
        """Headline and words where nothing in the library explains the scan."""
        best = self._identification.candidates[0]
        name = self._catalog.named(best.compound_slug, best.compound_name)
        return self._say("headline.no_match"), self._presumptive([self._say("words.no_match", name=name)])

    def of_nothing_said(self, why: str) -> tuple[str, str]:
        """Headline and words where nothing was compared (``not_comparable``), or seen (``poor_signal``)."""
        return self._say(f"headline.{why}"), self._presumptive([self._say(f"words.{why}")])

    # Why.

    def why_named(self, found: Findings) -> Reason:
        """The rule a name rests on."""
        if found.calibrated:
            return because(self._catalog, "named", least=f"{self._policy.named_from:.0%}")
        return because(
            self._catalog,
            "named",
            "named-by-agreement",
            score=f"{self._policy.identified_from:.2f}",
            margin=f"{self._policy.margin:.2f}",
        )

    def why_families(self, families: Sequence[str]) -> list[Reason]:
        """What raised the alarm for families, as far as it was a threshold."""
        reasons = []
        sure = self._identification.confidence
        if sure is not None:
            chances = dict(sure.families)
            reasons += [
                because(
                    self._catalog,
                    "family-alarm",
                    "family-probable",
                    family=self._family(f),
                    chance=percent(chances[f]),
                )
                for f in families
                if f in sure.alarms and f in chances
            ]
        reasons += [
            because(
                self._catalog,
                "family-alarm",
                "family-model",
                family=self._family(f.family),
                ratio=f"{f.log_ratio:+.1f}",
                rate=f"{f.false_alarm_rate:.1%}",
            )
            for f in self._identification.families
            if f.family in families and f.typical and f.false_alarm_rate < 1
        ]
        return reasons

    def why_poor(self) -> list[Reason]:
        """What makes a scan too poor."""
        problems = [f"problem.{p}" for p in self._identification.quality.problems] or ["problem.weak"]
        said = ", ".join(map(self._say, problems))
        return [
            because(self._catalog, "poor-signal", "signal-quality", problems=said),
            because(self._catalog, "scan-again"),
        ]

    def advice(self) -> tuple[str, ...]:
        """What would make a better scan, one line for each problem of the signal."""
        quality = self._identification.quality
        ftir = "" if self._identification.technique.is_infrared else "_ftir"
        lines = []
        for problem in quality.problems:
            if problem != "low_snr":
                lines.append(self._say(f"advice.{problem}"))
            elif times := times_longer(quality.snr):
                lines.append(self._say(f"advice.low_snr{ftir}", times=times))
            else:
                lines.append(self._say(f"advice.low_snr_hopeless{ftir}"))
        return tuple(lines)

    def longer(self) -> str:
        """What to do about a scan in which something is too weak."""
        other = "Raman" if self._identification.technique.is_infrared else "FTIR"
        return self._say("advice.longer", technique=other)

    # What stays open.

    def not_excluded(self, found: Findings, families: Iterable[str]) -> tuple[str, ...]:
        """What the result leaves open: watched families with the smallest share that would have shown."""
        analysis = self._identification.analysis
        lines = [self._say("open.weak")]
        if analysis is not None:
            if analysis.unexplained or not found.substances:
                lines.append(self._say("open.may_itself"))
            seen = {family_of(c) for c in found.compounds} | set(families)
            limits = analysis.smallest_shares
            unseen = [f for f in self._policy.families if f not in seen]
            lines += [self._limit(f, limits[f]) for f in unseen if f in limits]
            absent = [f for f in unseen if f not in limits]
            if absent:
                lines.append(self._say("open.not_looked_for", families=self._families(absent)))
        count = len(self._identification.not_comparable)
        if count:
            total = self._identification.n_references
            lines.append(self._say("open.too_little_range", n=count, total=total))
        return tuple(lines)

    # What it rests on.

    def evidence(self) -> tuple[str, ...]:
        """What the verdict rests on, most important first."""
        one, library = self._identification, self._library
        lines: list[str] = []
        if one.analysis is not None:
            lines += self._fit(one.analysis)
        if one.candidates:
            low, high = one.candidates[0].overlap_cm1
            ranked = ", ".join(
                f"{c.rank}. {self._catalog.named(c.compound_slug, c.compound_name)} {c.score:.3f}"
                for c in one.candidates[:2]
            )
            lines.append(self._say("evidence.ranking", low=f"{low:.0f}", high=f"{high:.0f}", ranked=ranked))
        snr = one.quality.snr
        lines.append(
            self._say("evidence.no_snr") if snr is None else self._say("evidence.snr", snr=f"{snr:.0f}")
        )
        facts = {"name": library.name, "version": library.version, "n": one.n_references}
        if created := str(library.manifest.get("created", ""))[:10]:
            lines.append(self._say("evidence.library_dated", date=created, **facts))
        else:
            lines.append(self._say("evidence.library", **facts))
        for name, value in sorted(one.context.items()):
            key = f"context.{name}"
            known = self._say(key) if key in self._catalog else name.replace("_", " ")
            lines.append(self._say("evidence.stated", name=known, value=value))
        assumed = (*one.assumptions, *(one.confidence.assumptions if one.confidence else ()))
        return (*lines, *map(self._catalog.translated, assumed))

    def _fit(self, analysis: Analysis) -> list[str]:
        lines = []
        sure = self._identification.confidence
        chances = {c.compound_slug: c.probability for c in sure.components} if sure else {}
        for c in analysis.components:
            name = self._catalog.named(c.compound_slug, c.compound_name, c.form)
            chance = chances.get(c.compound_slug)
            facts = [self._say("evidence.bands", n=c.bands.supported, total=len(c.bands.ratios))]
            if chance is None:
                facts.append(self._say("evidence.not_calibrated", chance=percent(c.probability)))
            else:
                facts.append(self._say("evidence.probability", chance=percent(chance)))
            facts.append(self._say(f"evidence.tier_{c.tier.value}"))
            # Of a single one the share is always all.
            if len(analysis.components) > 1:
                low, high = f"{c.share_low:.0%}", f"{c.share_high:.0%}"
                facts.insert(0, self._say("evidence.share", share=f"{c.share:.0%}", low=low, high=high))
            lines.append(self._say("evidence.component", name=name, facts=", ".join(facts)))
        if sure is not None and sure.calibrated:
            said = self._say("evidence.calibration", version=sure.record_version, group=sure.group)
            if sure.unknown is not None:
                said += f" {self._say('evidence.unknown', chance=percent(sure.unknown))}"
            lines.append(said)
        return lines

    # Parts of sentences.

    def _presumptive(
        self, said: Sequence[str], found: Findings | None = None, *, laboratory: bool = False
    ) -> str:
        carried = []
        if found is not None and found.carriers:
            parts = self._catalog.listed([self._part(self._either(f), f) for f in found.carriers], mark="; ")
            carried.append(self._say("words.carried", parts=parts))
        end = self._say("words.presumptive_laboratory" if laboratory else "words.presumptive")
        return " ".join([*said, *carried, end])

    def _family(self, family: str) -> str:
        key = f"family.{family}"
        return self._say(key) if key in self._catalog else family

    def _families(self, families: Sequence[str]) -> str:
        return self._catalog.listed([self._family(f) for f in families])

    def _limit(self, family: str, share: float) -> str:
        name = self._family(family)
        name = name[0].upper() + name[1:]
        if share >= _ANY_SHARE:
            return self._say("open.any_share", family=name)
        about = f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
        # A family is looked for by those of its members that the library holds; it has more.
        held = len(self._held.get(family, ()))
        return self._say("open.smallest_share", family=name, share=about, n=held)

    @cached_property
    def _held(self) -> dict[str, set[str]]:
        """Members of each family with a reference of the technique that may name."""
        infos = self._library.rows(self._identification.technique)
        found: dict[str, set[str]] = {}
        for slug in {info.compound_slug for info in infos if info.tier is not Tier.COMPUTED}:
            found.setdefault(family_of(self._library.compound(slug)), set()).add(slug)
        return found

    def _part(self, name: str, finding: Finding) -> str:
        return self._say("words.part", name=name, share=self._share(finding))

    def _share(self, finding: Finding) -> str:
        return self._say("words.share", share=f"{finding.component.share:.0%}")

    def _either(self, finding: Finding) -> str:
        return self._catalog.listed(finding.names, "or")

    def _some(self, names: Sequence[str]) -> str:
        most = self._policy.named_at_most
        shown = self._catalog.listed(names[:most], "or")
        more = len(names) - most
        return self._say("words.more", names=shown, n=more) if more > 0 else shown

    def _described(self, finding: Finding) -> str:
        name = self._either(finding)
        facts = [] if len(finding.choices) > 1 else self._facts(finding.choices[0])
        return self._say("words.described", name=name, facts=", ".join(facts)) if facts else name

    def _facts(self, compound: Compound) -> list[str]:
        facts = []
        if compound.category:
            first = compound.category.split("/")[0]
            keys = (f"category.{compound.category}", f"category.{first}")
            facts.append(next((self._say(key) for key in keys if key in self._catalog), first))
        schedule = compound.schedule
        if schedule == "FRS":
            facts.append(self._say("schedule.fentanyl-related"))
        elif schedule not in ("", "none"):
            kind = "listed" if schedule.startswith("List") else "controlled"
            facts.append(self._say(f"schedule.{kind}", schedule=schedule))
        return facts
