"""Families of substances an officer must hear about even where the member is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from spectralid.library import Compound

__all__ = ["FAMILIES", "family_of", "members"]

_BY_CATEGORY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "opioid/fentanyl-analogue": "fentanyl-related",
        "opioid/nitazene": "nitazene",
        "stimulant/cathinone": "synthetic cathinone",
        "cannabinoid/synthetic": "synthetic cannabinoid",
        "stimulant/amphetamine": "amphetamine",
        "benzodiazepine/pharmaceutical": "benzodiazepine",
        "benzodiazepine/designer": "benzodiazepine",
        "sedative/barbiturate-other": "barbiturate or other sedative",
        "steroid/anabolic": "anabolic steroid",
        "cutting-agent/sugar-polyol": "sugar or polyol",
    }
)

FAMILIES: Final[tuple[str, ...]] = tuple(dict.fromkeys(_BY_CATEGORY.values()))
"""Names of the families."""


def family_of(compound: Compound) -> str:
    """Family of a compound, empty where it belongs to none.

    Fentanyl-related is what the federal structure rule says (21 CFR 1308.11(h)(30)(i), stored with the
    compound), not what a name or a category suggests; precursors of fentanyl are not.
    """
    if compound.fentanyl_related in ("yes", "parent"):
        return "fentanyl-related"
    family = _BY_CATEGORY.get(compound.category, "")
    return "" if family == "fentanyl-related" else family


def members(compounds: Iterable[Compound], slugs: Iterable[str]) -> dict[str, list[int]]:
    """Positions in `slugs` of the members of each family that has any."""
    of_slug = {c.slug: family_of(c) for c in compounds}
    found: dict[str, list[int]] = {}
    for position, slug in enumerate(slugs):
        family = of_slug.get(slug, "")
        if family:
            found.setdefault(family, []).append(position)
    return found
