"""From an identification to a verdict, by fixed rules."""

from __future__ import annotations

from typing import Final

from spectralid.errors import InputError
from spectralid.identify import Candidate, Identification
from spectralid.library import Compound, ReferenceLibrary, Tier
from spectralid.verdict.hazards import (
    UNKNOWN_PRECAUTIONS,
    Alarm,
    alarm_of,
    hazard_lines,
    precautions_of,
    worst,
)
from spectralid.verdict.policy import POLICY, Policy
from spectralid.verdict.result import Verdict, VerdictKind

__all__ = ["decide"]

# Problems that leave nothing to match.
_USELESS: Final = frozenset({"constant", "low_snr", "short_range", "missing"})

_MINOR_COMPONENTS: Final = (
    "This is a match of the whole spectrum only. Other components, even a large one and all the more "
    "fentanyl at a few %, are not detected in this way and are not excluded by this result."
)
_LIBRARY_ONLY: Final = "Substances that are not in this library."


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
        In this order: ``POOR_SIGNAL`` where the scan is useless; ``NO_MATCH`` where nothing is like it;
        ``IDENTIFIED`` where one compound is like it, clearly more than the next, on a reference that was
        measured or published; else ``INCONCLUSIVE``.

    Raises
    ------
    InputError
        If the identification was made with another library.
    """
    if identification.library_sha256 != library.sha256:
        raise InputError(
            f"The identification was made with the library {identification.library_name!r} "
            f"{identification.library_version} ({identification.library_sha256[:12]}…), not with "
            f"{library.name!r} {library.version} ({library.sha256[:12]}…); decide with the same library."
        )
    useless = [p for p in identification.quality.problems if p in _USELESS]
    if useless:
        return _poor_signal(identification, library)
    if not identification.candidates:
        return _not_comparable(identification, library)
    if identification.candidates[0].score < policy.no_match_below:
        return _no_match(identification, library, policy)
    obstacles = _obstacles(identification, policy)
    if obstacles:
        return _inconclusive(identification, library, policy, obstacles)
    return _identified(identification, library, policy)


def _close(identification: Identification, policy: Policy) -> list[Candidate]:
    """The best candidate and every other within the margin of it."""
    best = identification.candidates[0].score
    return [c for c in identification.candidates if best - c.score < policy.margin]


def _obstacles(identification: Identification, policy: Policy) -> list[str]:
    """Why the best candidate may not be named; empty if it may."""
    best = identification.candidates[0]
    close = _close(identification, policy)
    reasons: list[str] = []
    if best.tier is Tier.COMPUTED:
        reasons.append(
            f"{best.compound_name} rests on a computed reference, which is a lead and never identifies."
        )
    if best.score < policy.identified_from:
        reasons.append(f"The best score {best.score:.3f} is below {policy.identified_from:.2f}.")
    if len(close) > 1:
        reasons.append(
            f"{close[1].compound_name} is within {policy.margin:.2f} of the best score; the spectrum does "
            "not tell them apart."
        )
    if len(identification.candidates) == 1:
        reasons.append("No second compound could be compared, so the score means little.")
    if best.corroboration is None or best.corroboration < policy.corroboration:
        agreement = (
            "were not compared" if best.corroboration is None else f"agree to {best.corroboration:.2f} only"
        )
        reasons.append(f"The match rests on one band: the others {agreement}.")
    if best.query_share < policy.bands_compared:
        reasons.append(
            f"Only {best.query_share:.0%} of the bands of this scan lie in the range of that reference."
        )
    if "saturated" in identification.quality.problems:
        reasons.append("The detector was overloaded, so the band heights are wrong.")
    return reasons


def _identified(identification: Identification, library: ReferenceLibrary, policy: Policy) -> Verdict:
    best = identification.candidates[0]
    compound = library.compound(best.compound_slug)
    alarm = alarm_of(compound)
    name = _name(best)
    reasons = [
        f"Score at least {policy.identified_from:.2f}, a lead of at least {policy.margin:.2f} over the next "
        "compound, and bands beyond the strongest that agree."
    ]
    escalate = alarm is not Alarm.NOTICE
    if escalate:
        reasons.append("Escalated: the substance is hazardous, controlled, or its hazards are not on record.")
    if compound.verification == "unverified":
        escalate = True
        reasons.append("Escalated: name and structure of this library entry are not verified.")
    return Verdict(
        kind=VerdictKind.IDENTIFIED,
        alarm=alarm,
        headline=name,
        words=f"The scan as a whole matches {name}{_described(compound)}. This is presumptive: a laboratory "
        "must confirm it.",
        precautions=precautions_of(compound),
        not_excluded=(_MINOR_COMPONENTS, *_uncompared(identification)),
        evidence=_evidence(identification, library),
        escalate=escalate,
        reasons=tuple(reasons),
        advice=identification.quality.advice,
        named=(best.compound_slug,),
    )


def _inconclusive(
    identification: Identification, library: ReferenceLibrary, policy: Policy, obstacles: list[str]
) -> Verdict:
    close = _close(identification, policy)
    # Alarm and precautions are those of all that it may be, named or not.
    compounds = [library.compound(c.compound_slug) for c in close]
    names = _listed([_name(c) for c in close[: policy.named_at_most]])
    if len(close) > policy.named_at_most:
        names += f" (and {len(close) - policy.named_at_most} more)"
    best = close[0]
    if best.tier is Tier.COMPUTED:
        headline = f"lead only: {names}"
        words = f"The scan is like {names}, but on a computed reference: a lead for a chemist, not a finding."
    elif len(close) > 1 and len(obstacles) == 1:
        # Being close to each other is all that stands between them and a name.
        headline = f"one of: {names}"
        words = f"The scan matches one of: {names}. They cannot be told apart by this scan."
    else:
        headline = f"most like {names}, not certain enough to name"
        words = f"The scan is most like {names}, but not certainly enough to name it."
    return Verdict(
        kind=VerdictKind.INCONCLUSIVE,
        alarm=worst([Alarm.UNKNOWN, *map(alarm_of, compounds)]),
        headline=headline,
        words=f"{words} This is presumptive.",
        precautions=_joined(compounds),
        not_excluded=(_MINOR_COMPONENTS, _LIBRARY_ONLY, *_uncompared(identification)),
        evidence=_evidence(identification, library),
        escalate=True,
        reasons=(*obstacles, "Escalated: the scan did not settle what it is."),
        advice=identification.quality.advice,
        named=tuple(c.compound_slug for c in close),
    )


def _no_match(identification: Identification, library: ReferenceLibrary, policy: Policy) -> Verdict:
    best = identification.candidates[0]
    return Verdict(
        kind=VerdictKind.NO_MATCH,
        alarm=Alarm.UNKNOWN,
        headline="nothing in this library is like it closely enough",
        words=f"No entry of the library is closely like this scan; the nearest is {_name(best)}. It may be "
        "a substance the library does not hold, a mixture, or a scan from an instrument whose axis is off. "
        "This is presumptive.",
        precautions=UNKNOWN_PRECAUTIONS,
        not_excluded=(_MINOR_COMPONENTS, _LIBRARY_ONLY, *_uncompared(identification)),
        evidence=_evidence(identification, library),
        escalate=True,
        reasons=(
            f"The best score, {best.score:.3f} for {_name(best)}, is below {policy.no_match_below:.2f}.",
            "Escalated: the substance has no name yet.",
        ),
        advice=identification.quality.advice,
    )


def _not_comparable(identification: Identification, library: ReferenceLibrary) -> Verdict:
    return Verdict(
        kind=VerdictKind.INCONCLUSIVE,
        alarm=Alarm.UNKNOWN,
        headline="no reference could be compared",
        words="No reference of the library has enough range in common with this scan. This is presumptive.",
        precautions=UNKNOWN_PRECAUTIONS,
        not_excluded=("Nothing is excluded: nothing could be compared.",),
        evidence=_evidence(identification, library),
        escalate=True,
        reasons=("Escalated: the library cannot answer for this scan.",),
        advice=identification.quality.advice,
    )


def _poor_signal(identification: Identification, library: ReferenceLibrary) -> Verdict:
    quality = identification.quality
    return Verdict(
        kind=VerdictKind.POOR_SIGNAL,
        alarm=Alarm.UNKNOWN,
        headline="the scan is too poor to match",
        words="The scan is too poor to say anything about the substance. This is presumptive.",
        precautions=UNKNOWN_PRECAUTIONS,
        not_excluded=("Nothing is excluded: a poor scan shows nothing about what is there.",),
        evidence=_evidence(identification, library),
        escalate=False,
        reasons=(
            f"Signal quality: {', '.join(p.replace('_', ' ') for p in quality.problems)}.",
            "Scan again first; if it stays poor, take a sample and ask reachback.",
        ),
        advice=quality.advice,
    )


def _evidence(identification: Identification, library: ReferenceLibrary) -> tuple[str, ...]:
    lines = [
        f"{c.rank}. {_name(c)}: score {c.score:.3f}, {c.tier.value} reference"
        for c in identification.candidates[:2]
    ]
    if lines:
        low, high = identification.candidates[0].overlap_cm1
        lines.append(f"Compared from {low:.0f} to {high:.0f} cm⁻¹. A score is a likeness, not a probability.")
    snr = identification.quality.snr
    lines.append(f"Signal to noise {snr:.0f}." if snr is not None else "Signal to noise could not be told.")
    created = str(library.manifest.get("created", ""))[:10]
    dated = f" of {created}" if created else ""
    lines.append(
        f"Library {library.name} {library.version}{dated}, {identification.n_references} references of this "
        "technique."
    )
    return (*lines, *identification.assumptions)


def _uncompared(identification: Identification) -> tuple[str, ...]:
    count = len(identification.not_comparable)
    if not count:
        return ()
    return (
        f"{count} of {identification.n_references} references have too little range in common with this scan "
        "and were not compared.",
    )


def _joined(compounds: list[Compound]) -> tuple[str, ...]:
    """Precautions for whatever it may be, the unknown included, each once."""
    lines = dict.fromkeys(UNKNOWN_PRECAUTIONS)
    for compound in compounds:
        lines.update(dict.fromkeys(hazard_lines(compound)))
    return tuple(lines)


def _described(compound: Compound) -> str:
    facts = [compound.category.split("/")[0]] if compound.category else []
    if compound.schedule not in ("", "none"):
        facts.append(f"US schedule {compound.schedule}")
    return f" ({', '.join(facts)})" if facts else ""


def _name(candidate: Candidate) -> str:
    return f"{candidate.compound_name} ({candidate.form})" if candidate.form else candidate.compound_name


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
