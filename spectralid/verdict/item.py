"""All that is known of one item together: scans, strips and what it is declared as."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spectralid.identify.fusion import Outcome
from spectralid.verdict.alarm import Alarm, worst
from spectralid.verdict.hazards import UNKNOWN_PRECAUTIONS, alarm_of, alarm_of_family, cautions, said
from spectralid.verdict.policy import Policy, default_policy
from spectralid.verdict.result import Verdict, VerdictKind
from spectralid.verdict.strips import TARGETS
from spectralid.verdict.suggestion import suggest_other_technique

if TYPE_CHECKING:
    from spectralid.identify import Identification
    from spectralid.identify.fusion import Fusion, Shared
    from spectralid.library import Compound, ReferenceLibrary
    from spectralid.verdict.catalog import Catalog
    from spectralid.verdict.declared import DeclaredCheck
    from spectralid.verdict.strips import StripEvidence

__all__ = ["Assessment", "assess", "suggest_other_technique"]

SCHEMA: Final = "spectralid.assessment/1"

Scan = tuple["Identification", Verdict]

_BASIC: Final = "basic"
_NAMED: Final = (VerdictKind.IDENTIFIED, VerdictKind.MIXTURE)
# Codes of strips that say in which way strip and spectrum differ.
_DIFFER: Final = frozenset({"positive-only", "complementary", "negative-only", "negative-known-miss"})
# What keeps a strip from counting as a test that was made.
_NOT_MADE: Final = frozenset(
    {"expired", "expiry-unknown", "read-time", "read-time-unknown", "target-unknown"}
)


@dataclass(frozen=True, slots=True)
class Assessment:
    """What one item comes to. Presumptive until a laboratory confirms it.

    Attributes
    ----------
    alarm : Alarm
        The loudest of all scans that could be read, and of what positive strips are for.
    headline : str
        The answer in a few words.
    words : str
        The answer as sentences.
    precautions : tuple of str
        Those of all scans and positive strips, most urgent first.
    conflicts : tuple of str
        What does not go together: strips and spectra, techniques, scans, the declaration. Never averaged.
    agreement : Outcome or None
        What Raman and infrared say together; ``None`` if there are not both.
    escalate : bool
        Whether anything of it is for someone who knows more.
    escalation : tuple of str
        Why, in the words of `Verdict.escalation`.
    codes : tuple of str
        Stable words for all this.
    swgdrug : tuple of str
        Categories of SWGDRUG techniques that gave a positive result: ``"A"`` where Raman or infrared named
        something, ``"C"`` where a strip was positive.
    techniques : tuple of str
        Techniques behind them that do not see the same property: ``"vibrational spectroscopy"`` (Raman and
        infrared together), ``"immunoassay"``.
    strips : tuple of StripEvidence
        The strips.
    declared : DeclaredCheck or None
        The declaration.
    cautions : tuple of str
        The precautions as keys of the wording, the same in every language.
    """

    alarm: Alarm
    headline: str
    words: str
    precautions: tuple[str, ...]
    conflicts: tuple[str, ...]
    agreement: Outcome | None
    escalate: bool
    escalation: tuple[str, ...]
    codes: tuple[str, ...]
    swgdrug: tuple[str, ...]
    techniques: tuple[str, ...]
    strips: tuple[StripEvidence, ...] = ()
    declared: DeclaredCheck | None = None
    cautions: tuple[str, ...] = ()

    @property
    def presumptive(self) -> bool:
        """Always true: field tests confirm nothing."""
        return True

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form, versioned by its ``schema``."""
        return {
            "schema": SCHEMA,
            "presumptive": self.presumptive,
            "alarm": self.alarm.value,
            "headline": self.headline,
            "words": self.words,
            "precautions": list(self.precautions),
            "cautions": list(self.cautions),
            "conflicts": list(self.conflicts),
            "agreement": self.agreement.value if self.agreement else None,
            "escalate": self.escalate,
            "escalation": list(self.escalation),
            "codes": list(self.codes),
            "swgdrug": list(self.swgdrug),
            "techniques": list(self.techniques),
            "strips": [strip.to_dict() for strip in self.strips],
            "declared": self.declared.to_dict() if self.declared else None,
        }


def assess(
    scans: Sequence[Scan],
    *,
    fusion: Fusion | None = None,
    strips: Sequence[StripEvidence] = (),
    declared: DeclaredCheck | None = None,
    library: ReferenceLibrary,
    policy: Policy | None = None,
    catalog: Catalog,
) -> Assessment:
    """What one item comes to, from everything that was measured of it.

    Parameters
    ----------
    scans : sequence of (Identification, Verdict)
        All scans, oldest first. A scan too poor to read counts only where there is no other.
    fusion : Fusion, optional
        What a Raman and an infrared scan of it say together.
    strips : sequence of StripEvidence
        Its strips.
    declared : DeclaredCheck, optional
        Its declaration against what was found.
    library : ReferenceLibrary
        The library of the scans.
    policy : Policy, optional
        What each hazard asks for; the default one if not given.
    catalog : Catalog
        Wording, with the topics ``verdict`` and ``evidence``.

    Returns
    -------
    Assessment
        Alarm, headline, words, precautions and escalation of the item.
    """
    return _Item(scans, fusion, strips, declared, library, policy or default_policy(), catalog).assessment()


class _Item:
    """Everything about one item."""

    def __init__(
        self,
        scans: Sequence[Scan],
        fusion: Fusion | None,
        strips: Sequence[StripEvidence],
        declared: DeclaredCheck | None,
        library: ReferenceLibrary,
        policy: Policy,
        catalog: Catalog,
    ) -> None:
        readable = [s for s in scans if s[1].kind is not VerdictKind.POOR_SIGNAL]
        self.scans = readable or list(scans)
        self.fusion = fusion
        self.strips = tuple(strips)
        self.declared = declared
        self.library = library
        self.policy = policy
        self.catalog = catalog
        self.known = {c.slug: c for c in library.compounds}
        self.slugs = {c.name: c.slug for c in library.compounds}
        self.targets = {t.key: t for t in TARGETS}

    def assessment(self) -> Assessment:
        alarm = self._alarm()
        keys = self._cautions()
        conflicts = self._conflicts()
        escalation = self._escalation(bool(conflicts))
        categories, techniques = self._swgdrug()
        return Assessment(
            alarm=alarm,
            headline=self._headline(),
            words=self._words(len(techniques)),
            precautions=said(keys, self.catalog),
            conflicts=tuple(sentence for _, sentence in conflicts),
            agreement=self.fusion.outcome if self.fusion else None,
            escalate=bool(escalation),
            escalation=escalation,
            codes=self._codes(conflicts),
            swgdrug=categories,
            techniques=techniques,
            strips=self.strips,
            declared=self.declared,
            cautions=keys,
        )

    # -- Alarm and precautions -----------------------------------------------------------------------------

    def _positive(self) -> list[StripEvidence]:
        return [s for s in self.strips if s.result == "pos"]

    def _of_strips(self) -> tuple[list[Compound], list[str], bool]:
        """What positive strips are for: substances, classes; whether one is for what is not known."""
        targets = [self.targets.get(s.target) for s in self._positive()]
        slugs = [t.slug for t in targets if t and t.slug]
        families = [f for t in targets if t for f in t.families]
        return [self.known[s] for s in slugs if s in self.known], families, None in targets

    def _alarm(self) -> Alarm:
        compounds, families, unknown = self._of_strips()
        alarms = [v.alarm for _, v in self.scans]
        alarms += [alarm_of(c, self.policy) for c in compounds]
        alarms += [alarm_of_family(f, self.policy) for f in families]
        return worst([*alarms, *([Alarm.UNKNOWN] if unknown else [])])

    def _cautions(self) -> tuple[str, ...]:
        """Those of every scan and of positive strips, in the order of the policy."""
        compounds, families, unknown = self._of_strips()
        asked = {key for _, verdict in self.scans for key in verdict.cautions}
        asked |= set(cautions(compounds, families, unknown=unknown or not self.scans, policy=self.policy))
        if not asked.isdisjoint(UNKNOWN_PRECAUTIONS):
            asked.discard(_BASIC)
        order = [
            *UNKNOWN_PRECAUTIONS,
            *(hazard.precaution for hazard in self.policy.hazards.values()),
            *(key for rule in self.policy.rules for key in rule.precautions),
        ]
        last = [key for key in sorted(asked) if key not in order and key != _BASIC]
        return tuple(key for key in dict.fromkeys([*order, *last, _BASIC]) if key in asked)

    # -- What does not go together -------------------------------------------------------------------------

    def _conflicts(self) -> list[tuple[str, str]]:
        found = []
        for strip in self.strips:
            if strip.conflict:
                at = next(i for i, code in enumerate(strip.codes) if code in _DIFFER)
                found.append((f"strip-{strip.codes[at]}", strip.reasons[at]))
        if self.fusion and self.fusion.outcome is Outcome.DISAGREE:
            found.append(("techniques-disagree", self._fused()))
        if differing := self._differing():
            sentence = self.catalog.say("item.scans-differ", names=self.catalog.listed(differing))
            found.append(("scans-differ", sentence))
        if self.declared and self.declared.outcome == "inconsistent":
            found.append(("declared-inconsistent", self.declared.reasons[0]))
        return found

    def _differing(self) -> list[str]:
        """Headlines of two scans by one technique that name nothing in common; empty if there are none."""
        named = [(i, v) for i, v in self.scans if v.kind in _NAMED]
        for n, (first, a) in enumerate(named):
            for second, b in named[n + 1 :]:
                alike = first.technique.is_infrared == second.technique.is_infrared
                if alike and not set(a.named) & set(b.named):
                    return [a.headline, b.headline]
        return []

    def _escalation(self, in_conflict: bool) -> tuple[str, ...]:
        why = [
            word for _, v in self.scans for word in (v.escalation or (("uncertain",) if v.escalate else ()))
        ]
        if in_conflict or any(s.escalate for s in self.strips):
            why.append("uncertain")
        compounds, families, unknown = self._of_strips()
        alarms = [alarm_of(c, self.policy) for c in compounds]
        alarms += [alarm_of_family(f, self.policy) for f in families]
        if unknown or any(a in (Alarm.DANGER, Alarm.UNKNOWN) for a in alarms):
            why.append("policy_high_hazard")
        return tuple(dict.fromkeys(why))

    # -- Categories ----------------------------------------------------------------------------------------

    def _swgdrug(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Categories and techniques with a positive result; a negative one identifies nothing (SWGDRUG 3.3).

        Raman and infrared both see vibrations; that they support each other as techniques that exploit
        different properties is for a laboratory to say, so they count once here.
        """
        found = []
        if any(v.kind in _NAMED for _, v in self.scans):
            found.append(("A", "vibrational spectroscopy"))
        if any(not _NOT_MADE.intersection(s.codes) for s in self._positive()):
            found.append(("C", "immunoassay"))
        return tuple(c for c, _ in found), tuple(t for _, t in found)

    # -- Words ---------------------------------------------------------------------------------------------

    def _codes(self, conflicts: Iterable[tuple[str, str]]) -> tuple[str, ...]:
        codes = [code for code, _ in conflicts]
        codes += [f"strip-{s.target}-{s.result}" for s in self.strips]
        if self.fusion:
            codes.append(f"techniques-{self.fusion.outcome.value}")
        if self.declared:
            codes.append(f"declared-{self.declared.outcome}")
        codes += [code for _, v in self.scans for code in v.codes]
        return tuple(dict.fromkeys(codes))

    def _headline(self) -> str:
        if not self.scans:
            parts = [self.catalog.say("item.no-scan")]
        elif self.fusion and self.fusion.shared and self._all_shared():
            parts = [self.catalog.listed([self._name(s) for s in self.fusion.shared])]
        else:
            # What is dangerous leads; then what has a name, before what one technique could not settle.
            ranked = sorted(
                self.scans, key=lambda s: (s[1].alarm is not Alarm.DANGER, s[1].kind not in _NAMED)
            )
            parts = [v.headline for _, v in ranked]
        positive = [self._target(s) for s in self._positive() if "both-show" not in s.codes]
        if positive:
            parts.append(self.catalog.say("item.strip-positive", targets=self.catalog.listed(positive)))
        return " · ".join(dict.fromkeys(parts))

    def _all_shared(self) -> bool:
        """Whether both techniques name what they share, and nothing else."""
        assert self.fusion is not None
        shared = {s.compound_slug for s in self.fusion.shared}
        return all(v.kind in _NAMED and set(v.named) & shared for _, v in self.scans) and not (
            self.fusion.raman_only or self.fusion.infrared_only
        )

    def _words(self, techniques: int) -> str:
        said = []
        for identification, verdict in self.scans:
            how = "infrared" if identification.technique.is_infrared else "raman"
            said.append(self.catalog.say(f"item.by-{how}", words=self._once(verdict.words)))
        if self.fusion:
            said.append(self._fused())
        said += [reason for s in self.strips for reason in s.reasons[:1]]
        if self.declared:
            said += self.declared.reasons[:1]
        if not self.scans:
            said.insert(0, self.catalog.say("item.no-scan-words"))
        if techniques:
            said.append(self.catalog.count("item.techniques", techniques))
        said.append(self.catalog.say("item.presumptive"))
        return " ".join(dict.fromkeys(said))

    def _once(self, words: str) -> str:
        """What a scan says without its own last word that it is presumptive: the item says so once."""
        for key in ("words.presumptive_laboratory", "words.presumptive"):
            if key in self.catalog:
                words = words.removesuffix(self.catalog.say(key)).rstrip()
        return words

    def _fused(self) -> str:
        """What Raman and infrared say together, in the language of the catalog."""
        fusion = self.fusion
        assert fusion is not None
        chances = [f"{self._name(s)} {_chance(s.probability)}" for s in fusion.shared if s.probability]
        said = [
            self.catalog.say(
                f"item.{fusion.outcome.value.replace('_', '-')}",
                names=self.catalog.listed([self._name(s) for s in fusion.shared]),
                chances=self.catalog.listed(chances),
            )
        ]
        for key, names in (("raman", fusion.raman_only), ("infrared", fusion.infrared_only)):
            if names:
                known = [self.catalog.named(self.slugs.get(name, ""), name) for name in names]
                said.append(self.catalog.say(f"item.only-{key}", names=self.catalog.listed(known)))
        return " ".join(said)

    def _name(self, shared: Shared) -> str:
        return self.catalog.named(shared.compound_slug, shared.compound_name)

    def _target(self, strip: StripEvidence) -> str:
        key = f"strip.target.{strip.target}"
        return self.catalog.say(key) if key in self.catalog else strip.target


def _chance(probability: float) -> str:
    """A probability in per cent; rounding never makes it certain."""
    return "> 99.9 %" if probability > 0.999 else f"{100 * probability:.1f} %"
