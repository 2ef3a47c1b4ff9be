"""The chemist's dossier: every number a decision rests on, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spectralid.identify.family_model import FamilyFinding
    from spectralid.identify.result import Identification

__all__ = ["dossier"]


def dossier(identification: Identification) -> str:
    """Every number of a result, for a chemist; presumptive until a laboratory confirms it."""
    one = identification
    lines = [
        f"Spectrum {one.spectrum_name or 'without a name'} ({one.technique.value}), "
        f"sha256 {one.spectrum_sha256}",
        f"Library {one.library_name} {one.library_version}, {one.n_references} references of this technique, "
        f"sha256 {one.library_sha256}",
        *(f"Scene, {name}: {value}" for name, value in sorted(one.context.items())),
        "",
        *_quality(one),
        "",
        f"Likeness of the whole spectrum to single references ({one.method}); no probability:",
        *_candidates(one),
        "",
    ]
    fit = one.analysis
    lines += _confidence(one)
    lines += [f"Family, {_family(f)}" for f in one.families]
    said = fit.assumptions if fit else ()
    lines += [f"Taken for granted: {a}" for a in one.assumptions if a not in said]
    if fit is None:
        return "\n".join(
            [*lines, "No joint fit was made, so that nothing can be concluded: presumptive at best."]
        )
    return "\n".join([*lines, "", f"Joint fit of the whole library ({fit.method}):", fit.explain()])


def _quality(one: Identification) -> list[str]:
    quality = one.quality
    low, high = quality.range_cm1
    noise = (
        "cannot be told" if quality.noise_sd is None else f"{quality.noise_sd:.4g} (one standard deviation)"
    )
    lines = [
        f"Measured from {low:.0f} to {high:.0f} cm⁻¹, {quality.missing_share:.1%} of the points missing, "
        f"{quality.saturated_points} saturated",
        f"Noise {noise}; strongest band {quality.signal:.4g}"
        + (f" at {quality.strongest_cm1:.0f} cm⁻¹" if quality.strongest_cm1 is not None else "")
        + (f"; signal to noise {quality.snr:.0f}" if quality.snr is not None else ""),
    ]
    if quality.problems:
        lines.append(f"Problems: {', '.join(p.replace('_', ' ') for p in quality.problems)}")
    return lines


def _candidates(one: Identification) -> list[str]:
    lines = []
    for c in one.candidates:
        form = f" ({c.form})" if c.form else ""
        hqi = "–" if c.hqi is None else f"{c.hqi:.3f}"
        rest = "–" if c.corroboration is None else f"{c.corroboration:.3f}"
        lines.append(
            f"  {c.rank:2d}. {c.compound_name}{form}: {c.score:.3f} (HQI {hqi}, without its strongest band "
            f"{rest}), {c.overlap_cm1[0]:.0f}–{c.overlap_cm1[1]:.0f} cm⁻¹ with {c.query_share:.0%} of the "
            f"spectrum's bands, {c.tier.value} reference {c.reference_id}"
        )
    lines = lines or ["  none shares enough range with this spectrum"]
    if one.not_comparable:
        lines.append(f"  not compared, too little range in common: {', '.join(one.not_comparable)}")
    return lines


def _confidence(one: Identification) -> list[str]:
    sure = one.confidence
    if sure is None:
        return []
    if not sure.calibrated:
        return [f"Calibration {sure.record_version}: none for this technique."]
    lines = [
        f"Calibration {sure.record_version}, group {sure.group}, record sha256 {sure.record_sha256}",
        f"  explained {_chance(sure.explained)}, nothing in the library {_chance(sure.nothing)}, not enough "
        f"signal {_chance(sure.insufficient)}; something the library lacks, alone or beside others "
        f"{_chance(sure.unknown)}",
    ]
    for c in sure.components:
        among = ", ".join(c.conformal_set)
        lines.append(f"  {c.compound_slug}: {_chance(c.probability)}; conformal set: {among}")
        lines += [f"    not named: {reason}" for reason in c.reasons]
    lines += [f"  member of the family {name} among them: {p:.1%}" for name, p in sure.families]
    lines += [f"  above the threshold of its family: {name}" for name in sure.alarms]
    return lines + [f"Taken for granted by the calibration: {a}" for a in sure.assumptions]


def _family(finding: FamilyFinding) -> str:
    rate = finding.false_alarm_rate
    passed = f"false alarms at that height below {rate:.1%}" if rate < 1 else "below every threshold"
    facts = [
        f"log ratio {finding.log_ratio:+.1f} ({passed})",
        f"{finding.share_left:.0%} of the signal beside known components",
        "looks like a member" if finding.typical else "looks like nothing known",
        *([f"most like {', '.join(finding.nearest)}"] if finding.nearest else []),
        *([f"modified perhaps at {finding.site_hint}"] if finding.site_hint else []),
        f"{finding.members_trained_on} members of the {finding.tier.value} tier"
        + (": a lead only" if finding.lead_only else ""),
    ]
    return f"{finding.family}: {'; '.join(facts)}"


def _chance(value: float | None) -> str:
    return "not calibrated" if value is None else f"{value:.1%}"
