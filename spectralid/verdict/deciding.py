"""From an identification to a verdict, by fixed rules and the numbers and words of a policy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spectralid.errors import InputError
from spectralid.identify import Analysis, Identification
from spectralid.library import Compound, ReferenceLibrary
from spectralid.verdict.alarm import Alarm, worst
from spectralid.verdict.catalog import Catalog
from spectralid.verdict.circumstances import Circumstances
from spectralid.verdict.hazards import (
    UNKNOWN_PRECAUTIONS,
    alarm_of,
    alarm_of_family,
    cautions,
    must_escalate,
    said,
)
from spectralid.verdict.naming import Findings, Reason, because, close, findings, raised
from spectralid.verdict.policy import OnInstrument, Policy, default_policy
from spectralid.verdict.result import Verdict, VerdictKind
from spectralid.verdict.wording import Wording, is_carrier

__all__ = ["decide"]

_Cause = tuple[str, Reason]
"""Why a scan is escalated: the word of `Verdict.escalation`, and what is told."""


def decide(
    identification: Identification,
    library: ReferenceLibrary,
    *,
    policy: Policy | None = None,
    language: str = "en",
    circumstances: Circumstances | None = None,
) -> Verdict:
    """What may be concluded from an identification, and what to do.

    Parameters
    ----------
    identification : Identification
        Result of `spectralid.identify.identify`.
    library : ReferenceLibrary
        The library it was made with.
    policy : Policy, optional
        Thresholds, hazards, escalation and wording; `default_policy` by default.
    language : str, optional
        Language of everything an officer reads; one of the policy's.
    circumstances : Circumstances, optional
        What is known of instrument, library and clock; nothing by default.

    Returns
    -------
    Verdict
        In this order: ``POOR_SIGNAL`` where the scan is useless; ``IDENTIFIED`` or ``MIXTURE`` where what is
        there may be named (`spectralid.verdict.naming`); ``FAMILY`` where a family above its threshold, or
        one family of all that it may be, is all that is certain; ``NO_MATCH`` where nothing in the library
        explains the scan; else ``INCONCLUSIVE``.

    Raises
    ------
    InputError
        If the identification was made with another library, or is a ranking without a joint fit.
    ParameterError
        If the policy does not have that language.

    Examples
    --------
    The library's own reference stands for a scan: this shows the use, not how well it works.

    >>> import spectralid
    >>> from spectralid.identify import identify
    >>> from spectralid.verdict import decide
    >>> library = spectralid.open_library()
    >>> row = next(row for row in library.rows("raman") if row.compound_slug == "acetaminophen")
    >>> spectrum = library.reference(row.id).spectrum
    >>> verdict = decide(identify(spectrum, library), library)
    >>> verdict.headline
    'Acetaminophen'
    >>> verdict.presumptive
    True
    >>> library.close()
    """
    if identification.library_sha256 != library.sha256:
        raise InputError(
            f"The identification was made with the library {identification.library_name!r} "
            f"{identification.library_version} ({identification.library_sha256[:12]}…), not with "
            f"{library.name!r} {library.version} ({library.sha256[:12]}…); decide with the same library."
        )
    policy = policy or default_policy()
    return _Case(
        identification, library, policy, policy.catalog(language), circumstances or Circumstances()
    ).verdict()


@dataclass(frozen=True, slots=True)
class _Found:
    """What an identification with a joint fit comes to."""

    analysis: Analysis
    findings: Findings
    families: tuple[str, ...]


class _Case:
    """All a verdict is made of."""

    def __init__(
        self,
        identification: Identification,
        library: ReferenceLibrary,
        policy: Policy,
        catalog: Catalog,
        circumstances: Circumstances,
    ) -> None:
        self._identification = identification
        self._library = library
        self._policy = policy
        self._catalog = catalog
        self._circumstances = circumstances
        self._words = Wording(identification, library, policy, catalog)

    def verdict(self) -> Verdict:
        """The verdict."""
        analysis = self._identification.analysis
        if self._identification.quality.useless:
            return self._poor_signal()
        if analysis is None and self._identification.candidates:
            raise InputError(
                "The identification is a ranking only, which is no basis for a verdict; use identify."
            )
        if analysis is None or analysis.log_odds is None:
            return self._not_comparable()
        withheld = self._not_verified() if self._on_instrument() == "withhold" else ()
        found = _Found(
            analysis,
            findings(
                self._identification, analysis, self._library, self._policy, self._catalog, against=withheld
            ),
            raised(self._identification, self._policy),
        )
        if found.findings.certain:
            return self._named(found)
        if families := _certain_families(found):
            return self._family(found, families)
        if self._insufficient():
            return self._poor_signal()
        if self._nothing(found):
            return self._no_match(found)
        return self._inconclusive(found)

    # What is the case.

    def _insufficient(self) -> bool:
        sure = self._identification.confidence
        if sure is None or sure.insufficient is None:
            return False
        return sure.insufficient > max(sure.nothing or 0.0, sure.explained or 0.0)

    def _nothing(self, found: _Found) -> bool:
        """Whether nothing in the library is there; a component whose bands all are there is something."""
        sure = self._identification.confidence
        nothing = found.analysis.nothing if sure is None or sure.nothing is None else sure.nothing
        return nothing > 0.5 and not any(c.holds for c in found.analysis.components)

    # Each kind.

    def _named(self, found: _Found) -> Verdict:
        """``IDENTIFIED`` for one substance, ``MIXTURE`` for several or a family beside it."""
        rules = found.findings
        certain, substances, compounds = rules.certain, rules.substances, rules.compounds
        beside = tuple(f for f in found.families if f not in {c.family for c in certain})
        open_ones = [f for f in substances if f not in certain]
        alarm = self._alarm(compounds, beside)
        reasons = [self._words.why_named(rules), *self._words.why_families(beside)]
        reasons += [o for f in open_ones for o in f.obstacles]
        causes = self._by_hazard(alarm, compounds)
        if open_ones or beside:
            causes += self._by_doubt("escalate-part")
        if any(c.verification == "unverified" for c in compounds):
            causes += self._by_doubt("escalate-unverified-entry")
        one = len(substances) == 1 and not beside
        advice = self._words.advice()
        if one and is_carrier(certain[0].choices[0]):
            advice += (self._catalog.say("advice.carrier"),)
        return self._told(
            VerdictKind.IDENTIFIED if one else VerdictKind.MIXTURE,
            worst([alarm, Alarm.UNKNOWN]) if open_ones else alarm,
            self._words.headline_of_names(rules, beside),
            self._words.words_of_names(rules, beside),
            reasons,
            causes,
            cautions=self._cautions(compounds, beside, unknown=bool(open_ones or beside)),
            not_excluded=self._words.not_excluded(rules, beside),
            advice=advice,
            named=tuple(c.slug for f in certain for c in f.choices),
        )

    def _family(self, found: _Found, families: tuple[str, ...]) -> Verdict:
        rules = found.findings
        alarm = self._alarm(rules.compounds, families)
        return self._told(
            VerdictKind.FAMILY,
            alarm,
            self._words.headline_of_families(families),
            self._words.words_of_families(families, rules),
            [*self._words.why_families(families), *rules.every_obstacle],
            self._by_doubt("escalate-family") + self._by_hazard(alarm, rules.compounds),
            cautions=self._cautions(rules.compounds, families, unknown=True),
            not_excluded=self._words.not_excluded(rules, families),
            advice=self._words.advice(),
            named=tuple(c.slug for f in rules.substances for c in f.choices if f.family in families),
        )

    def _inconclusive(self, found: _Found) -> Verdict:
        rules = found.findings
        headline, words = self._words.of_the_undecided(rules)
        compounds = rules.compounds
        if not compounds:
            near = close(self._identification, self._policy)
            compounds = tuple(self._library.compound(c.compound_slug) for c in near)
        # Alarm and precautions are those of all that it may be, named or not.
        alarm = self._alarm(compounds)
        return self._told(
            VerdictKind.INCONCLUSIVE,
            worst([alarm, Alarm.UNKNOWN]),
            headline,
            words,
            rules.every_obstacle,
            self._by_doubt("escalate-uncertain") + self._by_hazard(alarm, compounds),
            cautions=self._cautions(compounds, unknown=True),
            not_excluded=self._not_excluded(rules),
            advice=self._words.advice(),
            named=tuple(c.slug for c in compounds),
        )

    def _no_match(self, found: _Found) -> Verdict:
        headline, words = self._words.of_no_match()
        cause: _Cause = ("no_match", because(self._catalog, "escalate-no-match"))
        return self._told(
            VerdictKind.NO_MATCH,
            Alarm.UNKNOWN,
            headline,
            words,
            found.findings.every_obstacle,
            [cause] if self._policy.escalation.no_match else [],
            cautions=UNKNOWN_PRECAUTIONS,
            not_excluded=self._not_excluded(found.findings),
            advice=self._words.advice(),
            codes=("no-match",),
        )

    def _not_comparable(self) -> Verdict:
        headline, words = self._words.of_nothing_said("not_comparable")
        return self._told(
            VerdictKind.INCONCLUSIVE,
            Alarm.UNKNOWN,
            headline,
            words,
            [],
            self._by_doubt("escalate-not-comparable"),
            cautions=UNKNOWN_PRECAUTIONS,
            not_excluded=(self._catalog.say("open.nothing_compared"),),
            advice=self._words.advice(),
            codes=("not-comparable",),
        )

    def _poor_signal(self) -> Verdict:
        headline, words = self._words.of_nothing_said("poor_signal")
        return self._told(
            VerdictKind.POOR_SIGNAL,
            Alarm.UNKNOWN,
            headline,
            words,
            self._words.why_poor(),
            [],
            cautions=UNKNOWN_PRECAUTIONS,
            not_excluded=(self._catalog.say("open.poor_signal"),),
            advice=self._words.advice() or (self._words.longer(),),
            codes=tuple(f"signal-{p.replace('_', '-')}" for p in self._identification.quality.problems),
        )

    # What all kinds share.

    def _told(
        self,
        kind: VerdictKind,
        alarm: Alarm,
        headline: str,
        words: str,
        reasons: Iterable[Reason],
        causes: list[_Cause],
        *,
        cautions: tuple[str, ...],
        not_excluded: tuple[str, ...],
        advice: tuple[str, ...],
        named: tuple[str, ...] = (),
        codes: tuple[str, ...] = (),
    ) -> Verdict:
        """The verdict, with what the circumstances add to it."""
        now, say = self._circumstances, self._catalog.say
        not_verified = self._not_verified()
        if not_verified:
            words = f"{say('words.not_verified')} {words}"
        causes = [*causes, *self._by_circumstances(kind)]
        if not causes and kind is not VerdictKind.POOR_SIGNAL:
            causes = self._by_chance()
        evidence = self._words.evidence()
        if now.library_age_days is not None:
            evidence += (self._catalog.count("evidence.library_age", now.library_age_days),)
        if now.clock_state in ("drift", "unsynced"):
            evidence += (say("evidence.clock"),)
            codes += ("clock-not-trusted",)
        damaged = [because(self._catalog, "policy-damaged")] if self._policy.damaged else []
        every = dict.fromkeys([*damaged, *not_verified, *reasons, *(reason for _, reason in causes)])
        return Verdict(
            kind=kind,
            alarm=alarm,
            headline=headline,
            words=words,
            precautions=said(cautions, self._catalog),
            not_excluded=not_excluded,
            evidence=evidence,
            escalate=bool(causes),
            reasons=tuple(reason.text for reason in every),
            advice=advice,
            named=named,
            language=self._catalog.language,
            codes=tuple(dict.fromkeys([*(reason.code for reason in every), *codes])),
            policy=self._policy.title,
            escalation=tuple(dict.fromkeys(why for why, _ in causes)),
            cautions=cautions,
            catalog=self._catalog,
        )

    def _alarm(self, compounds: Iterable[Compound], families: Iterable[str] = ()) -> Alarm:
        alarms = [alarm_of(c, self._policy) for c in compounds]
        return worst([*alarms, *(alarm_of_family(f, self._policy) for f in families)])

    def _cautions(
        self, compounds: Iterable[Compound], families: Iterable[str] = (), *, unknown: bool
    ) -> tuple[str, ...]:
        return cautions(compounds, families, unknown=unknown, policy=self._policy)

    def _not_excluded(self, found: Findings) -> tuple[str, ...]:
        return (self._catalog.say("open.library_only"), *self._words.not_excluded(found, ()))

    def _by_hazard(self, alarm: Alarm, compounds: Iterable[Compound]) -> list[_Cause]:
        if not must_escalate(alarm, compounds, self._policy):
            return []
        return [("policy_high_hazard", because(self._catalog, "escalate-hazard"))]

    def _by_doubt(self, code: str) -> list[_Cause]:
        if not self._policy.escalation.uncertain:
            return []
        return [("uncertain", because(self._catalog, code))]

    def _by_circumstances(self, kind: VerdictKind) -> list[_Cause]:
        now, rules = self._circumstances, self._policy.escalation
        causes: list[_Cause] = []
        if now.forced:
            causes.append(("forced", because(self._catalog, "escalate-forced")))
        if kind is VerdictKind.POOR_SIGNAL:
            # There is nothing yet to be sent; it is scanned again first.
            return causes
        if self._on_instrument() in ("escalate", "withhold"):
            causes.append(("instrument_not_verified", because(self._catalog, "escalate-instrument")))
        if now.library_age_days is not None and now.library_age_days > rules.library_days:
            why = because(
                self._catalog, "escalate-library-old", days=now.library_age_days, most=rules.library_days
            )
            causes.append(("library_old", why))
        return causes

    def _by_chance(self) -> list[_Cause]:
        rules = self._policy.escalation
        if not rules.draws(self._identification.spectrum_sha256):
            return []
        rate = f"{rules.qa_rate * 100:g} %"
        return [("qa_sample", because(self._catalog, "escalate-qa-sample", rate=rate))]

    def _on_instrument(self) -> OnInstrument | None:
        """What follows from the instrument not being verified; ``None`` where it is, or nobody knows."""
        match self._circumstances.instrument_check:
            case "failed":
                return self._policy.escalation.instrument_failed
            case "skipped":
                return self._policy.escalation.instrument_skipped
        return None

    def _not_verified(self) -> tuple[Reason, ...]:
        check = self._circumstances.instrument_check
        if check not in ("failed", "skipped"):
            return ()
        return (because(self._catalog, "instrument-not-verified", f"instrument-check-{check}"),)


def _certain_families(found: _Found) -> tuple[str, ...]:
    """Families above their threshold, and those of substances of which nothing else is open."""
    rules = found.findings
    settled = () if rules.obstacles else rules.substances
    own = (f.family for f in settled if f.family and not f.obstacles)
    return tuple(dict.fromkeys((*found.families, *own)))
