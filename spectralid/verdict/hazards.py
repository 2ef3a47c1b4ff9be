"""What a substance's hazards ask of the person in front of it.

The hazard words are those of the compound table: defaults by category, not a classification by test. What
each asks for, and what else is to be taken for hazardous, is in the policy. The precautions are for the first
minutes of a field scan, in the order in which they matter.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from spectralid.verdict.alarm import Alarm, worst
from spectralid.verdict.catalog import Catalog
from spectralid.verdict.policy import Policy, default_policy

if TYPE_CHECKING:
    from spectralid.library import Compound

__all__ = [
    "UNKNOWN_PRECAUTIONS",
    "Alarm",
    "alarm_of",
    "alarm_of_family",
    "cautions",
    "must_escalate",
    "precautions",
    "said",
    "unknown_precautions",
    "worst",
]

UNKNOWN_PRECAUTIONS: Final = ("unknown", "unknown-opioid", "unknown-explosive")
"""What to do about what has no name: texts ``precaution.<...>`` of the wording."""


def alarm_of(compound: Compound, policy: Policy | None = None) -> Alarm:
    """How loudly to warn of a compound; ``UNKNOWN`` where its hazards are not on record."""
    policy = policy or default_policy()
    alarms = [policy.hazards[h].alarm for h in _hazards(compound, policy)]
    alarms += [rule.alarm for rule in policy.rules if rule.alarm and rule.fits(compound)]
    if _is_unknown(compound, policy):
        alarms.append(Alarm.UNKNOWN)
    return worst(alarms) if alarms else Alarm.NOTICE


def alarm_of_family(family: str, policy: Policy | None = None) -> Alarm:
    """How loudly to warn of a member of a family nobody named."""
    policy = policy or default_policy()
    hazard = policy.families.get(family)
    return policy.hazards[hazard].alarm if hazard else Alarm.UNKNOWN


def must_escalate(alarm: Alarm, compounds: Iterable[Compound], policy: Policy) -> bool:
    """Whether what is there, by its alarm or by a rule, is for someone who knows more."""
    if alarm in (Alarm.DANGER, Alarm.UNKNOWN) or alarm.reaches(policy.escalation.alarm_from):
        return True
    asking = [rule for rule in policy.rules if rule.escalate]
    return any(rule.fits(compound) for compound in compounds for rule in asking)


def cautions(
    compounds: Iterable[Compound],
    families: Iterable[str] = (),
    *,
    unknown: bool = False,
    policy: Policy | None = None,
) -> tuple[str, ...]:
    """What to do about whatever is there, as keys of the texts ``precaution.<...>``.

    Parameters
    ----------
    compounds : iterable of Compound
        What it is, or may be.
    families : iterable of str
        Families it is of.
    unknown : bool
        Whether something has no name; it is then handled as the most dangerous plausible thing.
    policy : Policy, optional
        What each hazard asks for.

    Returns
    -------
    tuple of str
        Most urgent first.
    """
    policy = policy or default_policy()
    compounds = list(compounds)
    found = {h for c in compounds for h in _hazards(c, policy)}
    found |= {policy.families[f] for f in families if f in policy.families}
    keys = [hazard.precaution for name, hazard in policy.hazards.items() if name in found]
    keys += [k for r in policy.rules if r.precautions and any(map(r.fits, compounds)) for k in r.precautions]
    if any(_is_unknown(c, policy) for c in compounds):
        keys.append("not-on-record")
    keys = [*UNKNOWN_PRECAUTIONS, *keys] if unknown else [*keys, "basic"]
    return tuple(dict.fromkeys(keys))


def precautions(
    compounds: Iterable[Compound],
    families: Iterable[str] = (),
    *,
    unknown: bool = False,
    policy: Policy | None = None,
    catalog: Catalog | None = None,
) -> tuple[str, ...]:
    """`cautions` in words, each line once; by default in the first language of the policy."""
    policy = policy or default_policy()
    keys = cautions(compounds, families, unknown=unknown, policy=policy)
    return said(keys, catalog or policy.catalog(policy.languages[0]))


def unknown_precautions(catalog: Catalog) -> tuple[str, ...]:
    """What to do about what has no name, in words."""
    return said(UNKNOWN_PRECAUTIONS, catalog)


def said(keys: Iterable[str], catalog: Catalog) -> tuple[str, ...]:
    """Cautions in words, each line once."""
    return tuple(dict.fromkeys(catalog.say(f"precaution.{key}") for key in keys))


def _hazards(compound: Compound, policy: Policy) -> list[str]:
    """Hazards a compound has by the library, its schedule and the rules, in the order of the policy."""
    named = set(compound.hazards)
    if compound.schedule not in ("", "none"):
        named.update(policy.schedules.get(compound.schedule, policy.schedules["other"]))
    for rule in policy.rules:
        if rule.hazards and rule.fits(compound):
            named.update(rule.hazards)
    return [hazard for hazard in policy.hazards if hazard in named]


def _is_unknown(compound: Compound, policy: Policy) -> bool:
    """Whether nobody stated the hazards, or in words not known here."""
    stated = set(compound.hazards)
    return not stated <= {*policy.hazards, "none"} or not (stated or _hazards(compound, policy))
