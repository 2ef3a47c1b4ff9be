"""From an identification to a verdict, by fixed rules."""

from __future__ import annotations

from dataclasses import dataclass

from spectralid.errors import InputError
from spectralid.identify import Analysis, Identification
from spectralid.library import ReferenceLibrary
from spectralid.verdict import wording
from spectralid.verdict.hazards import (
    UNKNOWN_PRECAUTIONS,
    Alarm,
    alarm_of,
    alarm_of_family,
    precautions,
    worst,
)
from spectralid.verdict.naming import Findings, close, findings, raised
from spectralid.verdict.policy import POLICY, Policy
from spectralid.verdict.result import Verdict, VerdictKind

__all__ = ["decide"]


@dataclass(frozen=True, slots=True)
class _Case:
    """All a verdict is made of."""

    identification: Identification
    library: ReferenceLibrary
    policy: Policy
    analysis: Analysis
    found: Findings
    families: tuple[str, ...]


def decide(identification: Identification, library: ReferenceLibrary, *, policy: Policy = POLICY) -> Verdict:
    """What may be concluded from an identification, and what to do.

    Parameters
    ----------
    identification : Identification
        Result of `spectralid.identify.identify`.
    library : ReferenceLibrary
        The library it was made with.
    policy : Policy, optional
        Thresholds.

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
    """
    if identification.library_sha256 != library.sha256:
        raise InputError(
            f"The identification was made with the library {identification.library_name!r} "
            f"{identification.library_version} ({identification.library_sha256[:12]}…), not with "
            f"{library.name!r} {library.version} ({library.sha256[:12]}…); decide with the same library."
        )
    analysis = identification.analysis
    if identification.quality.useless:
        return _poor_signal(identification, library)
    if analysis is None and identification.candidates:
        raise InputError(
            "The identification is a ranking only, which is no basis for a verdict; use identify."
        )
    if analysis is None or analysis.log_odds is None:
        return _not_comparable(identification, library)
    case = _Case(
        identification,
        library,
        policy,
        analysis,
        findings(identification, analysis, library, policy),
        raised(identification, policy),
    )
    if case.found.certain:
        return _named(case)
    if families := _certain_families(case):
        return _family(case, families)
    if _insufficient(case):
        return _poor_signal(identification, library)
    if _nothing(case):
        return _no_match(case)
    return _inconclusive(case)


def _certain_families(case: _Case) -> tuple[str, ...]:
    """Families above their threshold, and those of substances of which nothing else is open."""
    settled = () if case.found.obstacles else case.found.substances
    own = (f.family for f in settled if f.family and not f.obstacles)
    return tuple(dict.fromkeys((*case.families, *own)))


def _insufficient(case: _Case) -> bool:
    sure = case.identification.confidence
    if sure is None or sure.insufficient is None:
        return False
    return sure.insufficient > max(sure.nothing or 0.0, sure.explained or 0.0)


def _nothing(case: _Case) -> bool:
    """Whether nothing in the library is there; a component whose bands all are there is something."""
    sure = case.identification.confidence
    nothing = case.analysis.nothing if sure is None or sure.nothing is None else sure.nothing
    return nothing > 0.5 and not any(c.holds for c in case.analysis.components)


def _named(case: _Case) -> Verdict:
    """``IDENTIFIED`` for one substance, ``MIXTURE`` for several or a family beside it."""
    certain, substances = case.found.certain, case.found.substances
    beside = tuple(f for f in case.families if f not in {c.family for c in certain})
    open_ones = [f for f in substances if f not in certain]
    compounds = case.found.compounds
    alarm = worst(
        [*map(alarm_of, compounds), *map(alarm_of_family, beside), *([Alarm.UNKNOWN] if open_ones else [])]
    )
    reasons = [wording.why_named(case.found, case.policy)]
    reasons += wording.why_families(case.identification, beside)
    reasons += [o for f in open_ones for o in f.obstacles]
    escalate = alarm is not Alarm.NOTICE
    if escalate:
        reasons.append("Escalated: the substance is hazardous, controlled, or its hazards are not on record.")
    if open_ones or beside:
        escalate = True
        reasons.append("Escalated: not all of the sample has a name.")
    if any(c.verification == "unverified" for c in compounds):
        escalate = True
        reasons.append("Escalated: name and structure of this library entry are not verified.")
    one = len(substances) == 1 and not beside
    advice = case.identification.quality.advice
    if one and wording.is_carrier(certain[0].choices[0]):
        advice += (wording.ONLY_A_CARRIER,)
    return Verdict(
        kind=VerdictKind.IDENTIFIED if one else VerdictKind.MIXTURE,
        alarm=alarm,
        headline=wording.headline_of_names(case.found, beside),
        words=wording.words_of_names(case.found, beside),
        precautions=precautions(compounds, beside, unknown=bool(open_ones or beside)),
        not_excluded=wording.not_excluded(case.identification, case.found, beside),
        evidence=wording.evidence(case.identification, case.library),
        escalate=escalate,
        reasons=tuple(dict.fromkeys(reasons)),
        advice=advice,
        named=tuple(c.slug for f in certain for c in f.choices),
    )


def _family(case: _Case, families: tuple[str, ...]) -> Verdict:
    return Verdict(
        kind=VerdictKind.FAMILY,
        alarm=worst([*map(alarm_of_family, families), *map(alarm_of, case.found.compounds)]),
        headline=wording.headline_of_families(families),
        words=wording.words_of_families(families, case.found),
        precautions=precautions(case.found.compounds, families, unknown=True),
        not_excluded=wording.not_excluded(case.identification, case.found, families),
        evidence=wording.evidence(case.identification, case.library),
        escalate=True,
        reasons=(
            *wording.why_families(case.identification, families),
            *case.found.every_obstacle,
            "Escalated: the member of the family is not certain.",
        ),
        advice=case.identification.quality.advice,
        named=tuple(c.slug for f in case.found.substances for c in f.choices if f.family in families),
    )


def _inconclusive(case: _Case) -> Verdict:
    headline, words = wording.of_the_undecided(case.identification, case.found, case.policy)
    compounds = list(case.found.compounds)
    if not compounds:
        compounds = [case.library.compound(c.compound_slug) for c in close(case.identification, case.policy)]
    return Verdict(
        kind=VerdictKind.INCONCLUSIVE,
        # Alarm and precautions are those of all that it may be, named or not.
        alarm=worst([Alarm.UNKNOWN, *map(alarm_of, compounds)]),
        headline=headline,
        words=words,
        precautions=precautions(compounds, unknown=True),
        not_excluded=(wording.LIBRARY_ONLY, *wording.not_excluded(case.identification, case.found, ())),
        evidence=wording.evidence(case.identification, case.library),
        escalate=True,
        reasons=(*case.found.every_obstacle, "Escalated: the scan did not settle what it is."),
        advice=case.identification.quality.advice,
        named=tuple(c.slug for c in compounds),
    )


def _no_match(case: _Case) -> Verdict:
    best = case.identification.candidates[0]
    return Verdict(
        kind=VerdictKind.NO_MATCH,
        alarm=Alarm.UNKNOWN,
        headline="nothing in this library explains it",
        words="No entry of the library, and no mixture of them, explains this scan; as a whole it is most "
        f"like {best.compound_name}. It may be a substance the library does not hold, alone or beside "
        "others, or a scan from an instrument whose axis is off. This is presumptive.",
        precautions=UNKNOWN_PRECAUTIONS,
        not_excluded=(wording.LIBRARY_ONLY, *wording.not_excluded(case.identification, case.found, ())),
        evidence=wording.evidence(case.identification, case.library),
        escalate=True,
        reasons=(*case.found.every_obstacle, "Escalated: the substance has no name yet."),
        advice=case.identification.quality.advice,
    )


def _not_comparable(identification: Identification, library: ReferenceLibrary) -> Verdict:
    return Verdict(
        kind=VerdictKind.INCONCLUSIVE,
        alarm=Alarm.UNKNOWN,
        headline="no reference could be compared",
        words="No reference of the library has enough range in common with this scan. This is presumptive.",
        precautions=UNKNOWN_PRECAUTIONS,
        not_excluded=("Nothing is excluded: nothing could be compared.",),
        evidence=wording.evidence(identification, library),
        escalate=True,
        reasons=("Escalated: the library cannot answer for this scan.",),
        advice=identification.quality.advice,
    )


def _poor_signal(identification: Identification, library: ReferenceLibrary) -> Verdict:
    quality = identification.quality
    problems = ", ".join(p.replace("_", " ") for p in quality.problems)
    return Verdict(
        kind=VerdictKind.POOR_SIGNAL,
        alarm=Alarm.UNKNOWN,
        headline="the scan is too poor to match",
        words="The scan is too poor to say anything about the substance. This is presumptive.",
        precautions=UNKNOWN_PRECAUTIONS,
        not_excluded=("Nothing is excluded: a poor scan shows nothing about what is there.",),
        evidence=wording.evidence(identification, library),
        escalate=False,
        reasons=(
            f"Signal quality: {problems or 'too weak to find what is there'}.",
            "Scan again first; if it stays poor, take a sample and ask reachback.",
        ),
        advice=quality.advice or (wording.longer(identification),),
    )
