"""What a substance's hazards ask of the person in front of it.

The hazard words are those of the compound table: defaults by category, not a classification by test. The
precautions are for the first minutes of a field scan, in the order in which they matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from spectralid.library import Compound

__all__ = ["UNKNOWN_PRECAUTIONS", "Alarm", "alarm_of", "alarm_of_family", "precautions", "worst"]


class Alarm(StrEnum):
    """How loudly to warn; there is no level that says a substance is harmless.

    ``UNKNOWN`` asks for the care of ``DANGER``: what has no name may be the most dangerous plausible thing.
    """

    DANGER = "danger"
    UNKNOWN = "unknown"
    WARNING = "warning"
    NOTICE = "notice"


_ORDER: Final = (Alarm.DANGER, Alarm.UNKNOWN, Alarm.WARNING, Alarm.NOTICE)

# Hazard: how loudly, and what to do. Most urgent first.
_HAZARDS: Final[Mapping[str, tuple[Alarm, str]]] = {
    "explosive-sensitive": (
        Alarm.DANGER,
        "Explosive, may go off from touch, heat or laser light: stop scanning, do not move it, withdraw, "
        "call explosive disposal.",
    ),
    "explosive": (
        Alarm.DANGER,
        "Explosive: no heat, sparks, impact or friction; withdraw and call explosive disposal.",
    ),
    "cwa": (Alarm.DANGER, "Chemical warfare agent: withdraw upwind, seal off the area, call hazmat."),
    "radioactive": (
        Alarm.DANGER,
        "Radioactive: keep away, limit the time near it, call radiation protection.",
    ),
    "ultra-potent-opioid": (
        Alarm.DANGER,
        "Ultra-potent opioid: gloves, respirator, covered skin; raise no dust; naloxone and a second person "
        "at hand.",
    ),
    "potent-opioid": (
        Alarm.DANGER,
        "Potent opioid: gloves, respirator; raise no dust; naloxone and a second person at hand.",
    ),
    "toxic-gas": (Alarm.DANGER, "Toxic gas: leave upwind, ventilate, breathing apparatus only."),
    "highly-toxic": (Alarm.DANGER, "Highly toxic: no skin contact, no dust or vapour; call hazmat."),
    "water-reactive": (Alarm.WARNING, "Reacts with water: keep dry, no water on fire or spill."),
    "corrosive": (Alarm.WARNING, "Corrosive: acid-proof gloves and eye protection; no mixing."),
    "oxidizer": (Alarm.WARNING, "Oxidizer: keep away from fuel, organic matter and heat."),
    "flammable": (Alarm.WARNING, "Flammable: no flame or sparks; ventilate."),
    "potent": (Alarm.WARNING, "Potent drug: gloves, mask; raise no dust."),
    "toxic": (Alarm.WARNING, "Toxic: gloves; do not breathe dust or vapour."),
    "carcinogen": (Alarm.WARNING, "May cause cancer: gloves; do not breathe dust or vapour."),
    "controlled": (Alarm.WARNING, "Controlled substance: gloves; secure as evidence."),
    "regulated-precursor": (Alarm.WARNING, "Regulated precursor: gloves; secure as evidence."),
}

_BASIC: Final = "Gloves; do not taste, smell or touch. Other, unseen substances may be present."

UNKNOWN_PRECAUTIONS: Final = (
    "Not named: handle it as the most dangerous plausible thing.",
    "Gloves, respirator, covered skin; raise no dust; naloxone and a second person at hand.",
    "No flame, sparks, impact or friction; do not open, taste or smell it.",
)

# Families whose members are dangerous even where the hazard column is empty or a default was missed.
_FAMILY_HAZARD: Final[Mapping[str, str]] = {
    "opioid/fentanyl-analogue": "ultra-potent-opioid",
    "opioid/fentanyl-like-nonFRS": "ultra-potent-opioid",
    "opioid/nitazene": "ultra-potent-opioid",
    "explosive/primary-peroxide": "explosive-sensitive",
    "explosive/military": "explosive",
    "explosive/improvised-oxidizer": "explosive",
    "cwa/nerve": "cwa",
    "cwa/blister": "cwa",
    "cwa/choking-blood": "cwa",
}


# What a member of a family is handled as while nobody knows which it is.
_OF_FAMILY: Final[Mapping[str, str]] = {
    "fentanyl-related": "ultra-potent-opioid",
    "nitazene": "ultra-potent-opioid",
    "synthetic cannabinoid": "potent",
    "synthetic cathinone": "controlled",
    "amphetamine": "controlled",
    "benzodiazepine": "controlled",
    "barbiturate or other sedative": "controlled",
    "anabolic steroid": "controlled",
}


def _hazards(compound: Compound) -> list[str]:
    named = set(compound.hazards)
    if compound.category in _FAMILY_HAZARD:
        named.add(_FAMILY_HAZARD[compound.category])
    if compound.fentanyl_related in ("yes", "parent"):
        named.add("ultra-potent-opioid")
    if compound.schedule not in ("", "none"):
        named.add("regulated-precursor" if compound.schedule.startswith("List") else "controlled")
    return [hazard for hazard in _HAZARDS if hazard in named]


def _is_unknown(compound: Compound) -> bool:
    """Whether nobody stated the hazards, or in words not known here."""
    return not set(compound.hazards) <= {*_HAZARDS, "none"} or not (compound.hazards or _hazards(compound))


def alarm_of(compound: Compound) -> Alarm:
    """How loudly to warn of a compound; ``UNKNOWN`` where its hazards are not on record."""
    alarms = [_HAZARDS[h][0] for h in _hazards(compound)]
    if _is_unknown(compound):
        alarms.append(Alarm.UNKNOWN)
    return worst(alarms) if alarms else Alarm.NOTICE


def alarm_of_family(family: str) -> Alarm:
    """How loudly to warn of a member of a family nobody named."""
    hazard = _OF_FAMILY.get(family)
    return _HAZARDS[hazard][0] if hazard else Alarm.UNKNOWN


def precautions(
    compounds: Iterable[Compound], families: Iterable[str] = (), *, unknown: bool = False
) -> tuple[str, ...]:
    """What to do about whatever is there, each line once.

    Parameters
    ----------
    compounds : iterable of Compound
        What it is, or may be.
    families : iterable of str
        Families it is of.
    unknown : bool
        Whether something has no name; it is then handled as the most dangerous plausible thing.

    Returns
    -------
    tuple of str
        Most urgent first.
    """
    compounds = list(compounds)
    found = {h for c in compounds for h in _hazards(c)} | {_OF_FAMILY.get(f, "") for f in families}
    lines = [text for hazard, (_, text) in _HAZARDS.items() if hazard in found]
    if any(_is_unknown(c) for c in compounds):
        lines.append("The hazards of this substance are not on record here: handle it as dangerous.")
    return (*UNKNOWN_PRECAUTIONS, *lines) if unknown else (*lines, _BASIC)


def worst(alarms: Iterable[Alarm]) -> Alarm:
    """The loudest of some alarms; ``UNKNOWN`` of none."""
    return min(alarms, key=_ORDER.index, default=Alarm.UNKNOWN)
