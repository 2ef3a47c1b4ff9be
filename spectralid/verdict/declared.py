"""Whether what was found agrees with what the goods are declared as."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from spectralid.identify.families import family_of
from spectralid.verdict.alarm import Alarm
from spectralid.verdict.goods import Declaration, Good, Reading, read_declaration, same_substance
from spectralid.verdict.hazards import alarm_of
from spectralid.verdict.naming import CARRIERS, raised
from spectralid.verdict.policy import Policy, default_policy
from spectralid.verdict.result import Verdict, VerdictKind
from spectralid.verdict.tariff import Tariff, bundled_tariff

if TYPE_CHECKING:
    from spectralid.identify import Identification
    from spectralid.library import Compound, ReferenceLibrary
    from spectralid.verdict.catalog import Catalog

__all__ = ["Declaration", "DeclaredCheck", "Good", "Outcome", "check"]

SCHEMA: Final = "spectralid.declared/1"
Outcome = Literal["consistent", "inconsistent", "cannot_tell"]

# Names in one sentence, lest a tariff code list a page of them.
_MOST_NAMES: Final = 6
# A solvent with no other hazard may be what a declared substance is dissolved in.
_ORDINARY: Final = frozenset({"none", "flammable"})


@dataclass(frozen=True, slots=True)
class DeclaredCheck:
    """What a declaration is worth beside what was found. Presumptive.

    Attributes
    ----------
    outcome : {"consistent", "inconsistent", "cannot_tell"}
        The answer. ``consistent`` says that what was found was declared, not that nothing else is there.
    reasons : tuple of str
        Why, one sentence each, the deciding one first.
    resolved : tuple of Good
        What the declaration was understood as.
    codes : tuple of str
        Stable words for the reasons, in the same order.
    """

    outcome: Outcome
    reasons: tuple[str, ...]
    resolved: tuple[Good, ...]
    codes: tuple[str, ...]

    @property
    def presumptive(self) -> bool:
        """Always true."""
        return True

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form, versioned by its ``schema``."""
        return {
            "schema": SCHEMA,
            "presumptive": self.presumptive,
            "outcome": self.outcome,
            "reasons": list(self.reasons),
            "resolved": [good.to_dict() for good in self.resolved],
            "codes": list(self.codes),
        }


@dataclass(frozen=True, slots=True)
class _Found:
    """A component: what it may be, and whether the verdict names it."""

    choices: tuple[Compound, ...]
    named: bool
    form: str

    @property
    def is_carrier(self) -> bool:
        return self.choices[0].category in CARRIERS


def check(
    declaration: Declaration,
    verdict: Verdict,
    identification: Identification,
    library: ReferenceLibrary,
    *,
    catalog: Catalog,
    policy: Policy | None = None,
    tariff: Tariff | None = None,
) -> DeclaredCheck:
    """Compare what goods are declared as with what was found in them.

    Parameters
    ----------
    declaration : Declaration
        What they are declared as.
    verdict : Verdict
        What was concluded from a scan.
    identification : Identification
        What it was concluded from.
    library : ReferenceLibrary
        The library both were made with.
    catalog : Catalog
        Wording, with the topics ``verdict`` and ``evidence``.
    policy : Policy, optional
        The policy of the verdict; the default one if not given.
    tariff : Tariff, optional
        Table of tariff codes; the bundled one if not given.

    Returns
    -------
    DeclaredCheck
        ``inconsistent`` where something is named, or a family raised its alarm, that was not declared and
        that no open word of the declaration may stand for; ``consistent`` where all that was found was
        declared, exactly, as one of a kind, or by its class; else ``cannot_tell``.
    """
    tariff = tariff or bundled_tariff()
    reading = read_declaration(declaration, library, tariff)
    judge = _Judge(verdict, identification, library, catalog, policy or default_policy(), tariff, reading)
    return judge.answer(declared=bool(declaration))


class _Judge:
    """One comparison, with all it is made of."""

    def __init__(
        self,
        verdict: Verdict,
        identification: Identification,
        library: ReferenceLibrary,
        catalog: Catalog,
        policy: Policy,
        tariff: Tariff,
        reading: Reading,
    ) -> None:
        self.verdict = verdict
        self.identification = identification
        self.library = library
        self.catalog = catalog
        self.policy = policy
        self.tariff = tariff
        self.reading = reading
        self.known = {c.slug: c for c in library.compounds}
        self.found = _found(verdict, identification, self.known)
        self.said: list[tuple[str, str]] = []

    def answer(self, *, declared: bool) -> DeclaredCheck:
        outcome = self._outcome(declared=declared)
        self._remarks()
        return DeclaredCheck(
            outcome,
            tuple(dict.fromkeys(sentence for _, sentence in self.said)),
            self.reading.goods,
            tuple(dict.fromkeys(code for code, _ in self.said)),
        )

    def _outcome(self, *, declared: bool) -> Outcome:
        if not declared:
            return self._says("cannot_tell", "nothing-declared")
        kind = self.verdict.kind
        if kind is VerdictKind.POOR_SIGNAL:
            return self._says("cannot_tell", "poor-signal")
        if kind is VerdictKind.NO_MATCH:
            return self._says("cannot_tell", "no-match")
        if not self.reading.goods:
            return self._says("cannot_tell", "not-understood")
        if kind is VerdictKind.FAMILY:
            return self._family()
        if kind is VerdictKind.INCONCLUSIVE:
            return self._undecided()
        return self._named()

    # -- What was concluded, kind by kind ------------------------------------------------------------------

    def _family(self) -> Outcome:
        families = self._families()
        others = [f for f in families if not self._any_member(f)]
        if others:
            return self._undeclared_family(others)
        substances = [f for f in self.found if not f.is_carrier]
        if not families or any(family_of(c) not in families for f in substances for c in f.choices):
            return self._says("cannot_tell", "undecided", goods=self._goods())
        if self._unexplained():
            return self._says("cannot_tell", "not-all-explained", goods=self._goods())
        if self._left_open():
            return "cannot_tell"
        return self._says("consistent", "class-level", families=self._family_names(families))

    def _undecided(self) -> Outcome:
        may_be = [c for f in self.found for c in f.choices] or [
            self.library.compound(s) for s in self.verdict.named
        ]
        if any(self._declared_as(c) for c in may_be):
            return self._says("cannot_tell", "may-be", goods=self._goods())
        return self._says("cannot_tell", "undecided", goods=self._goods())

    def _named(self) -> Outcome:
        # Container and solvent that a verdict set apart are not named; where they are all there is, they are.
        substances = [f for f in self.found if f.named or not f.is_carrier]
        named = [f for f in substances if f.named]
        matched = [f for f in named if any(self._declared_as(c) for c in f.choices)]
        also = [f for f in named if f not in matched and self._goes_along(f)]
        rest = [f for f in named if f not in matched and f not in also]
        undeclared = [f for f in rest if not self._may_be_covered(f)]
        families = [f for f in self._families_beside(named) if not self._any_member(f)]
        if undeclared:
            return self._undeclared(undeclared)
        if families:
            return self._undeclared_family(families)
        if rest:
            return self._says("cannot_tell", "not-in-table", found=self._names(rest), goods=self._goods())
        if not matched:
            key = "only-a-carrier" if all(f.is_carrier for f in also) else "only-beside"
            return self._says("cannot_tell", key, found=self._names(also), goods=self._goods())
        if not self._settled(substances, matched):
            return "cannot_tell"
        exact = any(
            g.complete and self._is(g, c) for g in self.reading.goods for f in matched for c in f.choices
        )
        return self._says(
            "consistent",
            "as-declared" if exact else "one-of-a-kind",
            found=self._names(matched),
            goods=self._goods(),
        )

    def _settled(self, substances: Sequence[_Found], matched: Sequence[_Found]) -> bool:
        """Whether nothing stands against *as declared* where that was found; says what does."""
        mistaken = [c for f in matched for c in f.choices if not self._declared_as(c) and self._matters(c)]
        carried = [f for f in self.found if f not in substances and not self._goes_along(f)]
        goods = self._names(matched)
        if mistaken:
            self._remark("not-told-apart", goods=goods, others=self._listed(mistaken))
        elif carried:
            self._remark("hazardous-carrier", goods=goods, found=self._names(carried))
        elif not all(f.named for f in substances) or self._unexplained():
            self._remark("not-all-explained", goods=goods)
        else:
            return not self._left_open()
        return False

    def _left_open(self) -> bool:
        """Whether the declaration contradicts itself or has words that are not known; says which."""
        if self.reading.contradicts:
            self._remark("contradiction", **self._contradiction())
        elif self.reading.unknown:
            self._remark("unknown-word", words=self._quoted(self.reading.unknown))
        else:
            return False
        return True

    def _undeclared(self, found: Sequence[_Found]) -> Outcome:
        loud = any(self._matters(c) for f in found for c in f.choices)
        key = "undeclared-hazard" if loud else "undeclared"
        return self._says("inconsistent", key, found=self._names(found), goods=self._goods())

    def _undeclared_family(self, families: Sequence[str]) -> Outcome:
        return self._says(
            "inconsistent", "undeclared-family", families=self._family_names(families), goods=self._goods()
        )

    # -- What is said beside the answer --------------------------------------------------------------------

    def _remarks(self) -> None:
        reading = self.reading
        codes = {code for code, _ in self.said}
        for number in reading.wrong_cas:
            self._remark("cas-check-digit", number=number)
        if reading.unknown and "unknown-word" not in codes:
            self._remark("unknown-word", words=self._quoted(reading.unknown))
        if reading.contradicts and "contradiction" not in codes:
            self._remark("contradiction", **self._contradiction())
        for good in reading.goods:
            if good.how == "spelling":
                self._remark("near-spelling", written=good.written, name=self._called([good])[0])
            elif good.how == "tariff" and not good.complete:
                self._remark("tariff-not-complete", tariff=good.name)
        if self.verdict.kind in (VerdictKind.IDENTIFIED, VerdictKind.MIXTURE):
            self._remark_on_goods()

    def _remark_on_goods(self) -> None:
        named = [f for f in self.found if f.named or f.is_carrier]
        seen = [g for g in self.reading.goods if any(self._is(g, c) for f in named for c in f.choices)]
        unseen = [g for g in self.reading.goods if g not in seen]
        if unseen:
            self._remark("not-seen", goods=self._some(self._called(unseen)))
        for good in seen:
            for f in named:
                if good.form and f.form and good.form != f.form and self._is(good, f.choices[0]):
                    self._remark(
                        "other-form", name=self._name(f.choices[0]), declared=good.form, found=f.form
                    )

    # -- Questions -----------------------------------------------------------------------------------------

    def _is(self, good: Good, compound: Compound) -> bool:
        return (
            compound.slug in good.compounds
            or compound.category in good.categories
            or any(same_substance(compound, self.known[s]) for s in good.compounds if s in self.known)
        )

    def _declared_as(self, compound: Compound) -> bool:
        return any(self._is(good, compound) for good in self.reading.goods)

    def _goes_along(self, found: _Found) -> bool:
        """Whether it is what such goods hold besides, or an ordinary container or solvent."""
        if any(c.slug in good.also for good in self.reading.goods for c in found.choices):
            return True
        first = found.choices[0]
        ordinary = set(first.hazards) <= _ORDINARY and first.schedule in ("", "none")
        return found.is_carrier and (first.category != "solvent" or ordinary)

    def _open_words(self) -> bool:
        """Whether the declaration may mean more than what is known here."""
        return bool(self.reading.unknown) or not all(g.complete for g in self.reading.goods)

    def _may_be_covered(self, found: _Found) -> bool:
        """Whether an open word of the declaration may stand for something found that matters little.

        What is hazardous, controlled or listed under another tariff code is not what it stands for.
        """
        if not self._open_words() or any(self._matters(c) for c in found.choices):
            return False
        coded = [g for g in self.reading.goods if g.how == "tariff"]
        return not (coded and any(self.tariff.codes_of(c.slug) for c in found.choices))

    def _matters(self, compound: Compound) -> bool:
        """Whether a substance is hazardous or controlled."""
        return (
            compound.schedule not in ("", "none")
            or family_of(compound) in self.policy.families
            or alarm_of(compound, self.policy) is not Alarm.NOTICE
        )

    def _unexplained(self) -> bool:
        analysis = self.identification.analysis
        return bool(analysis and analysis.unexplained)

    # -- Families ------------------------------------------------------------------------------------------

    def _families(self) -> list[str]:
        own = (family_of(self.library.compound(s)) for s in self.verdict.named)
        return list(dict.fromkeys(f for f in (*raised(self.identification, self.policy), *own) if f))

    def _families_beside(self, named: Iterable[_Found]) -> list[str]:
        """Families that raised their alarm and of which nothing named is a member."""
        seen = {family_of(c) for f in named for c in f.choices}
        return [f for f in raised(self.identification, self.policy) if f not in seen]

    def _has_member(self, good: Good, family: str) -> bool:
        return any(
            family_of(c) == family and (c.slug in good.compounds or c.category in good.categories)
            for c in self.library.compounds
        )

    def _any_member(self, family: str) -> bool:
        return any(self._has_member(g, family) for g in self.reading.goods)

    # -- Words ---------------------------------------------------------------------------------------------

    def _says(self, outcome: Outcome, code: str, **facts: str) -> Outcome:
        self._remark(code, **facts)
        return outcome

    def _remark(self, code: str, **facts: str) -> None:
        self.said.append((code, self.catalog.say(f"declared.{code}", **facts)))

    def _goods(self) -> str:
        return self._some(self._called(self.reading.goods))

    def _names(self, found: Iterable[_Found]) -> str:
        return self._some([self.catalog.listed(self._choices(f), "or") for f in found])

    def _listed(self, compounds: Iterable[Compound]) -> str:
        return self._some(list(dict.fromkeys(self._name(c) for c in compounds)))

    def _name(self, compound: Compound, form: str = "") -> str:
        return self.catalog.named(compound.slug, compound.name, form)

    def _choices(self, found: _Found) -> list[str]:
        first, *others = found.choices
        return [self._name(first, found.form), *map(self._name, others)]

    def _called(self, goods: Iterable[Good]) -> list[str]:
        """What goods were understood as."""
        return list(dict.fromkeys(self.catalog.named(g.slug, g.name) if g.slug else g.name for g in goods))

    def _family_names(self, families: Iterable[str]) -> str:
        keys = [(f, f"family.{f}") for f in families]
        return self.catalog.listed([self.catalog.say(k) if k in self.catalog else f for f, k in keys])

    def _quoted(self, words: Iterable[str]) -> str:
        return self._some([self.catalog.say("declared.quoted", word=w) for w in words])

    def _some(self, names: list[str]) -> str:
        more = len(names) - _MOST_NAMES
        if more <= 0:
            return self.catalog.listed(names)
        return self.catalog.say("declared.and-more", names=", ".join(names[:_MOST_NAMES]), n=more)

    def _contradiction(self) -> dict[str, str]:
        first, second = self.reading.contradicts[0]
        return {"first": first, "second": second}


def _found(
    verdict: Verdict, identification: Identification, known: Mapping[str, Compound]
) -> tuple[_Found, ...]:
    """Components of the joint fit, each with all it may be; container and solvent last."""
    analysis = identification.analysis
    if analysis is None:
        return ()
    sure = identification.confidence
    sets = {c.compound_slug: c.conformal_set for c in sure.components} if sure else {}
    decided = verdict.kind in (VerdictKind.IDENTIFIED, VerdictKind.MIXTURE)
    found = []
    for c in analysis.components:
        slugs = dict.fromkeys((c.compound_slug, *sets.get(c.compound_slug, ()), *c.equivalent))
        named = decided and c.compound_slug in verdict.named
        found.append(_Found(tuple(known[s] for s in slugs if s in known), named, c.form))
    return tuple(sorted(found, key=lambda f: f.is_carrier))
