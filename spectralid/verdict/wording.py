"""What is said of a verdict: headlines, sentences, evidence, and what stays open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from spectralid.identify import Analysis, Identification
from spectralid.identify.families import family_of
from spectralid.library import Compound, ReferenceLibrary
from spectralid.verdict.naming import CARRIERS, WATCHED, Finding, Findings, close
from spectralid.verdict.policy import Policy

__all__ = [
    "LIBRARY_ONLY",
    "ONLY_A_CARRIER",
    "evidence",
    "headline_of_families",
    "headline_of_names",
    "is_carrier",
    "longer",
    "not_excluded",
    "of_the_undecided",
    "why_families",
    "why_named",
    "words_of_families",
    "words_of_names",
]

LIBRARY_ONLY: Final = "Substances that are not in this library."
ONLY_A_CARRIER: Final = (
    "This is what containers or solvents are made of. If it was measured through one, only that was seen: "
    "open it or move the spot, then scan again."
)
_WEAK: Final = (
    "What is weaker than this scan can show is not detected and not excluded, least of all fentanyl at a few "
    "%."
)
_MAY_ITSELF: Final = "What nothing accounts for may itself be fentanyl-related or of another watched family."
# Above this share of the signal nothing else of the scan would be left.
_ANY_SHARE: Final = 0.95


def headline_of_names(found: Findings, families: Sequence[str]) -> str:
    """What is there, in a few words."""
    parts = [f"{_either(f)}" if f.certain else "something not certain" for f in found.substances]
    return " + ".join([*parts, *(f"{name} substance" for name in families)])


def words_of_names(found: Findings, families: Sequence[str]) -> str:
    """What is there, as sentences."""
    certain = found.certain
    if len(found.substances) == 1:
        (one,) = certain
        said = f"The scan matches {_either(one)}{_described(one.choices)}."
        if len(one.choices) > 1:
            said += " They cannot be told apart by this scan."
    else:
        parts = _listed([f"{_either(f)}{_described(f.choices)}, {_share(f)}" for f in certain], "and", "; ")
        said = f"The scan shows a mixture: {parts}. Shares are of the signal, not by weight."
        for other in (f for f in found.substances if f not in certain):
            said += f" The rest, {_share(other)}, is most like {_either(other)}, not certain enough to name."
    for family in families:
        said += f" Beside it there may be a member of a watched family: {family}."
    return f"{said}{_carried(found)} This is presumptive: a laboratory must confirm it."


def headline_of_families(families: Sequence[str]) -> str:
    """What kind of substance it is, in a few words."""
    return f"{_listed(families, 'and')}: member not certain"


def words_of_families(families: Sequence[str], found: Findings) -> str:
    """What kind of substance it is, as sentences."""
    said = f"The scan speaks for a substance of the family {_listed(families, 'and')}; which is not certain."
    like = [f for f in found.substances if f.family in families]
    if like:
        said += f" It is most like {_listed([_either(f) for f in like], 'and')}."
    return f"{said}{_carried(found)} This is presumptive: a laboratory must confirm it."


def of_the_undecided(identification: Identification, found: Findings, policy: Policy) -> tuple[str, str]:
    """Headline and words where nothing may be named."""
    held = [f for f in found.substances if f.component.holds]
    shown = held or list(found.substances)
    if not shown:
        near = _some([c.compound_name for c in close(identification, policy)], policy)
        return f"most like {near}, not certain enough to name", (
            f"The scan as a whole is most like {near}, but nothing explains it well enough. This is "
            "presumptive."
        )
    if len(shown) > 1:
        names = _listed([f"{_some(f.names, policy)}, {_share(f)}" for f in shown], "and", "; ")
        headline = f"most like a mixture of {_listed([_some(f.names, policy) for f in shown], 'and')}"
        words = f"The scan is most like a mixture: {names}. That is not certain enough to name them."
        if identification.analysis and identification.analysis.unexplained:
            words += " There are bands, too, that nothing in the library accounts for."
        return f"{headline}, not certain enough to name", f"{words}{_carried(found)} This is presumptive."
    (one,) = shown
    names = _some(one.names, policy)
    if held and identification.analysis and identification.analysis.unexplained:
        return f"something that is not explained, and bands like those of {names}", (
            f"The scan shows the bands of {names}, and others that nothing in the library accounts for. What "
            f"is not explained overrides a name.{_carried(found)} This is presumptive."
        )
    if len(one.choices) > 1 and not (found.obstacles or one.obstacles):
        # Being close to each other is all that stands between them and a name.
        return f"one of: {names}", (
            f"The scan matches one of: {names}. They cannot be told apart by this scan.{_carried(found)} "
            "This is presumptive."
        )
    return f"most like {names}, not certain enough to name", (
        f"The scan is most like {names}, but not certainly enough to name it.{_carried(found)} This is "
        "presumptive."
    )


def why_named(found: Findings, policy: Policy) -> str:
    """The rule a name rests on."""
    if found.calibrated:
        return (
            f"Calibrated probability at least {policy.named_from:.0%}, bands borne out, nothing of the "
            "signal left over, on a reference that was measured or published."
        )
    return (
        "Probabilities are not calibrated here, so both methods had to agree: bands borne out and nothing "
        f"left over in the joint fit; a score of at least {policy.identified_from:.2f}, {policy.margin:.2f} "
        "ahead of the next compound, and bands beyond the strongest that agree."
    )


def why_families(identification: Identification, families: Sequence[str]) -> list[str]:
    """What raised the alarm for families, as far as it was a threshold."""
    lines = []
    sure = identification.confidence
    if sure is not None:
        chances = dict(sure.families)
        lines += [
            f"A member of the family {name} is among the components with a probability of "
            f"{chances[name]:.1%}, above the threshold of its alarm."
            for name in families
            if name in sure.alarms and name in chances
        ]
    lines += [
        f"What is left beside known components speaks for the family {f.family}: log ratio "
        f"{f.log_ratio:+.1f}, false alarms below {f.false_alarm_rate:.1%}."
        for f in identification.families
        if f.family in families and f.typical and f.false_alarm_rate < 1
    ]
    return lines


def not_excluded(identification: Identification, found: Findings, families: Iterable[str]) -> tuple[str, ...]:
    """What the result leaves open: watched families with the smallest share that would have shown."""
    analysis = identification.analysis
    lines = [_WEAK]
    if analysis is not None:
        if analysis.unexplained or not found.substances:
            lines.append(_MAY_ITSELF)
        seen = {family_of(c) for c in found.compounds} | set(families)
        limits = {f: analysis.smallest_shares[f] for f in WATCHED if f in analysis.smallest_shares}
        lines += [_limit(f, share) for f, share in limits.items() if f not in seen]
        absent = [f for f in WATCHED if f not in limits and f not in seen]
        if absent:
            lines.append(
                f"Not looked for, because the library has no reference of the family: "
                f"{_listed(absent, 'and')}."
            )
    count = len(identification.not_comparable)
    if count:
        lines.append(
            f"{count} of {identification.n_references} references have too little range in common with this "
            "scan and were not compared."
        )
    return tuple(lines)


def evidence(identification: Identification, library: ReferenceLibrary) -> tuple[str, ...]:
    """What the verdict rests on, most important first."""
    lines: list[str] = []
    if identification.analysis is not None:
        lines += _fit(identification, identification.analysis)
    if identification.candidates:
        low, high = identification.candidates[0].overlap_cm1
        ranked = ", ".join(
            f"{c.rank}. {c.compound_name} {c.score:.3f}" for c in identification.candidates[:2]
        )
        lines.append(
            f"Whole scan by likeness, {low:.0f} to {high:.0f} cm⁻¹: {ranked}. A score is not a probability."
        )
    snr = identification.quality.snr
    lines.append(f"Signal to noise {snr:.0f}." if snr is not None else "Signal to noise could not be told.")
    created = str(library.manifest.get("created", ""))[:10]
    dated = f" of {created}" if created else ""
    lines.append(
        f"Library {library.name} {library.version}{dated}, {identification.n_references} references of this "
        "technique."
    )
    lines += [
        f"As stated, {name.replace('_', ' ')}: {v}." for name, v in sorted(identification.context.items())
    ]
    sure = identification.confidence
    return (*lines, *identification.assumptions, *(sure.assumptions if sure else ()))


def is_carrier(compound: Compound) -> bool:
    """Whether containers or solvents are made of it."""
    return compound.category in CARRIERS


def longer(identification: Identification) -> str:
    """What to do about a scan in which something is too weak."""
    other = "Raman" if identification.technique.is_infrared else "FTIR"
    return f"Scan 4× longer; if that does not help, move to another spot, or try {other}."


def _fit(identification: Identification, analysis: Analysis) -> list[str]:
    lines = []
    sure = identification.confidence
    chances = {c.compound_slug: c.probability for c in sure.components} if sure else {}
    for c in analysis.components:
        form = f" ({c.form})" if c.form else ""
        # Of a single one the share is always all.
        share = f"{c.share:.0%} of the signal ({c.share_low:.0%} to {c.share_high:.0%})"
        chance = chances.get(c.compound_slug)
        facts = [
            *([share] if len(analysis.components) > 1 else []),
            f"{c.bands.supported} of {len(c.bands.ratios)} bands beyond doubt",
            f"probability {c.probability:.1%}, not calibrated"
            if chance is None
            else f"probability {chance:.1%}",
            f"{c.tier.value} reference",
        ]
        lines.append(f"{c.compound_name}{form}: {', '.join(facts)}.")
    if sure is not None and sure.calibrated:
        unknown = (
            ""
            if sure.unknown is None
            else (f" Probability that something is there which the library lacks: {sure.unknown:.1%}.")
        )
        lines.append(f"Calibration {sure.record_version}, group {sure.group}.{unknown}")
    return lines


def _limit(family: str, share: float) -> str:
    name = family[0].upper() + family[1:]
    if share >= _ANY_SHARE:
        return f"{name}: not detected, but this scan could not have shown it at any share."
    about = f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
    return f"{name}: not detected; smallest detectable share ≈ {about} of the signal."


def _carried(found: Findings) -> str:
    if not found.carriers:
        return ""
    parts = _listed([f"{_either(f)}, {_share(f)}" for f in found.carriers], "and", "; ")
    return f" Container or solvent: {parts}."


def _share(finding: Finding) -> str:
    return f"about {finding.component.share:.0%} of the signal"


def _either(finding: Finding) -> str:
    return _listed(finding.names, "or")


def _some(names: Sequence[str], policy: Policy) -> str:
    most = policy.named_at_most
    more = f" (and {len(names) - most} more)" if len(names) > most else ""
    return f"{_listed(names[:most], 'or')}{more}"


def _described(compounds: Sequence[Compound]) -> str:
    if len(compounds) > 1:
        return ""
    (compound,) = compounds
    facts = [compound.category.split("/")[0]] if compound.category else []
    if compound.schedule not in ("", "none"):
        facts.append(f"US schedule {compound.schedule}")
    return f" ({', '.join(facts)})" if facts else ""


def _listed(names: Sequence[str], last: str, mark: str = ", ") -> str:
    if len(names) == 1:
        return names[0]
    return f"{mark.join(names[:-1])} {last} {names[-1]}"
