"""What a substance counts as, fine enough that an analogue is never filed under "other".

A class is a path from the broad to the fine: ``opioid / fentanyl-related / para-fluorofentanyl``. Where only
a family was found, it ends in what is not known: ``opioid / fentanyl-related / structure not determined``.
The sources are the compound table (category, and what the federal structure rule says of the structure), the
label a packet carries for a substance that this table lacks, and the families of a scan. A name alone counts
last, and only within a name that says so itself (…fentanyl, …nitazene).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from spectralid import _bundled

if TYPE_CHECKING:
    from spectralid.library.compounds import CompoundIndex

__all__ = [
    "CATEGORIES",
    "FAMILIES",
    "FENTANYL_RELATED",
    "UNDETERMINED",
    "UNLISTED",
    "Classification",
    "classify",
    "classify_families",
    "compounds",
    "interesting",
    "is_dangerous",
    "is_of_interest",
    "of_scan",
    "without_carriers",
]

FENTANYL_RELATED: Final = ("opioid", "fentanyl-related")
UNDETERMINED: Final = "structure not determined"
UNLISTED: Final = "not in the compound table"

# Categories of the table, as paths. None is called "other": where a category gathers several kinds, they are
# named.
_PATHS: Final[Mapping[str, tuple[str, ...]]] = {
    "adulterant/active": ("adulterant", "active substance"),
    "adulterant/veterinary-sedative": ("adulterant", "veterinary sedative"),
    "benzodiazepine/designer": ("benzodiazepine", "designer benzodiazepine"),
    "benzodiazepine/pharmaceutical": ("benzodiazepine", "medicine"),
    "cannabinoid/natural-semisynthetic": ("cannabinoid", "natural or semisynthetic"),
    "cannabinoid/synthetic": ("cannabinoid", "synthetic cannabinoid"),
    "cutting-agent/inorganic": ("cutting agent", "inorganic"),
    "cutting-agent/organic": ("cutting agent", "organic"),
    "cutting-agent/sugar-polyol": ("cutting agent", "sugar or polyol"),
    "cwa/blister": ("chemical warfare agent", "blister agent"),
    "cwa/choking-blood": ("chemical warfare agent", "choking or blood agent"),
    "cwa/nerve": ("chemical warfare agent", "nerve agent"),
    "cwa/precursor-degradation": ("chemical warfare agent", "precursor or breakdown product"),
    "cwa/riot-incapacitating": ("chemical warfare agent", "riot-control or incapacitating agent"),
    "cwa/simulant": ("chemical warfare agent", "simulant"),
    "dissociative": ("hallucinogen", "dissociative"),
    "dye-pigment": ("industrial chemical", "dye or pigment"),
    "explosive/improvised-oxidizer": ("explosive", "oxidizer"),
    "explosive/military": ("explosive", "high explosive or stabiliser"),
    "explosive/precursor": ("explosive", "precursor"),
    "explosive/primary-peroxide": ("explosive", "primary or peroxide explosive"),
    "food-flavour-additive": ("food", "additive, flavour or vitamin"),
    "hallucinogen/lysergamide": ("hallucinogen", "lysergamide"),
    "hallucinogen/other": ("hallucinogen", "tropane, iboga or salvinorin type"),
    "hallucinogen/phenethylamine": ("hallucinogen", "phenethylamine"),
    "hallucinogen/tryptamine": ("hallucinogen", "tryptamine"),
    "industrial/acid-base": ("industrial chemical", "acid or base"),
    "industrial/organic-intermediate": ("industrial chemical", "organic intermediate"),
    "inorganic": ("industrial chemical", "inorganic"),
    "mineral": ("mineral",),
    "opioid/classical": ("opioid", "classical opioid"),
    "opioid/fentanyl-analogue": FENTANYL_RELATED,
    "opioid/fentanyl-like-nonFRS": ("opioid", "fentanyl-like, outside the structure rule"),
    "opioid/metabolite-degradant": ("opioid", "metabolite or breakdown product"),
    "opioid/nitazene": ("opioid", "nitazene"),
    "opioid/novel-synthetic": ("opioid", "novel synthetic opioid"),
    "performance/SARM-other": ("performance drug", "SARM, hormone or metabolic stimulant"),
    "pesticide/fungicide-other": ("pesticide", "fungicide, biocide or synergist"),
    "pesticide/herbicide": ("pesticide", "herbicide"),
    "pesticide/insecticide": ("pesticide", "insecticide"),
    "pharmaceutical": ("medicine",),
    "polymer": ("polymer",),
    "precursor/amphetamine-type": ("drug precursor", "of amphetamine-type stimulants"),
    "precursor/fentanyl": ("drug precursor", "of the fentanyl family"),
    "precursor/other-listed": ("drug precursor", "listed or watched"),
    "sedative/barbiturate-other": ("sedative", "barbiturate, sedative or anticonvulsant"),
    "solvent": ("solvent",),
    "steroid/anabolic": ("performance drug", "anabolic steroid"),
    "stimulant/amphetamine": ("stimulant", "amphetamine"),
    "stimulant/cathinone": ("stimulant", "synthetic cathinone"),
    "stimulant/cocaine-tropane": ("stimulant", "cocaine or tropane"),
    "stimulant/phenidate-pipradrol": ("stimulant", "phenidate or pipradrol"),
    "stimulant/piperazine": ("stimulant", "piperazine"),
    "tic": ("toxic industrial chemical",),
}
CATEGORIES: Final = frozenset(_PATHS)
"""Categories of the compound table."""
# Families of `spectralid.identify.families`, and the older name of one.
_FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "fentanyl-related": FENTANYL_RELATED,
    "fentanyl": FENTANYL_RELATED,
    "nitazene": _PATHS["opioid/nitazene"],
    "synthetic cathinone": _PATHS["stimulant/cathinone"],
    "synthetic cannabinoid": _PATHS["cannabinoid/synthetic"],
    "amphetamine": _PATHS["stimulant/amphetamine"],
    "benzodiazepine": ("benzodiazepine",),
    "barbiturate or other sedative": _PATHS["sedative/barbiturate-other"],
    "anabolic steroid": _PATHS["steroid/anabolic"],
    "sugar or polyol": _PATHS["cutting-agent/sugar-polyol"],
}
FAMILIES: Final = frozenset(_FAMILIES)
"""Families that are known here."""
_NAMES: Final = (
    ("fentanyl", FENTANYL_RELATED),
    ("fentanil", ("opioid", "fentanyl-like, outside the structure rule")),
    ("nitazene", _PATHS["opioid/nitazene"]),
)
_RELATED: Final = frozenset({"yes", "parent"})
_DANGEROUS: Final = frozenset(
    {FENTANYL_RELATED, _PATHS["opioid/nitazene"], _PATHS["opioid/fentanyl-like-nonFRS"]}
)
# What a laboratory for drugs need not report: a finding of these alone is no claim that it could refute.
_OF_NO_INTEREST: Final = frozenset(
    {"cutting agent", "food", "industrial chemical", "mineral", "polymer", "solvent", "unclassified"}
)
# What bags, vials and solutions are made of.
_CARRIERS: Final = frozenset({"polymer", "solvent"})


@dataclass(frozen=True, slots=True)
class Classification:
    """What a substance counts as.

    Attributes
    ----------
    path : tuple of str
        From the broad to the fine; the last is the substance's name, or what of it is not known.
    slug : str
        The substance; empty for a family whose member is not known.
    basis : str
        What it rests on: ``compound-table``, ``packet`` (the device's own library said so), ``family``,
        ``name``, or ``none``.
    schedule : str
        Of the Controlled Substances Act, as in the compound table; empty where it is not known.
    """

    path: tuple[str, ...]
    slug: str = ""
    basis: str = "compound-table"
    schedule: str = ""

    @property
    def family(self) -> tuple[str, ...]:
        """The path without the substance itself."""
        return self.path[:-1]

    def text(self) -> str:
        """The path in one line."""
        return " / ".join(self.path)

    def to_dict(self) -> dict[str, Any]:
        """Plain form."""
        return {"path": list(self.path), "slug": self.slug, "basis": self.basis, "schedule": self.schedule}


@cache
def compounds() -> CompoundIndex:
    """The compounds of the bundled library, to be found by slug, CAS number or name."""
    from spectralid.library.compounds import CompoundIndex, read_compounds

    return CompoundIndex(read_compounds(_bundled.path("libraries", "compounds.csv")))


def classify(
    slug: str, *, component: Mapping[str, Any] | None = None, families: Iterable[str] = ()
) -> Classification:
    """The class of a substance.

    Parameters
    ----------
    slug : str
        As libraries and chemists name it.
    component : mapping, optional
        What the packet of a scan says of it (``name``, ``category``, ``schedule``, ``fentanyl_related``); it
        counts where this version's table does not know the substance.
    families : iterable of str
        What the scan was alarmed for; they count where nothing else is known.
    """
    known = compounds().by_slug.get(slug)
    if known is not None:
        path = _path(known.category, known.fentanyl_related) or ("unclassified", "no category on record")
        return Classification((*path, known.name), slug, schedule=known.schedule)
    said = component or {}
    name = _text(said, "name") or slug or UNLISTED
    by_packet = _path(_text(said, "category"), _text(said, "fentanyl_related"))
    if by_packet:
        return Classification((*by_packet, name), slug, "packet", _text(said, "schedule"))
    for word, family_path in _NAMES:
        if word in slug.casefold() or word in name.casefold():
            return Classification((*family_path, name), slug, "name")
    for family in classify_families(families):
        return Classification((*family.family, f"{name} ({UNDETERMINED})"), slug, "family")
    return Classification(("unclassified", UNLISTED, name), slug, "none")


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


def _path(category: str, related: str) -> tuple[str, ...]:
    if related in _RELATED:
        return FENTANYL_RELATED
    if category in _PATHS:
        return _PATHS[category]
    # A category of a later version; its own words, without what says nothing.
    words = [part.replace("-", " ") for part in category.split("/") if part and part != "other"]
    return tuple(words)


def classify_families(families: Iterable[str]) -> tuple[Classification, ...]:
    """Families whose member is not known, the dangerous first."""
    found = [
        Classification((*_FAMILIES.get(family, (family,)), UNDETERMINED), basis="family")
        for family in dict.fromkeys(families)
        if family
    ]
    return tuple(sorted(found, key=lambda one: one.family not in _DANGEROUS))


def of_scan(result: Mapping[str, Any]) -> tuple[Classification, ...]:
    """Classes of what a scan's result names or alarms for, each once.

    Parameters
    ----------
    result : mapping
        ``result`` of a packet's manifest.

    Notes
    -----
    A family is listed only if no named substance is of it.
    """
    families = _families(result)
    components = [one for one in _list(result.get("components")) if isinstance(one, Mapping)]
    verdict = result.get("verdict")
    named = [
        one
        for one in _list(verdict.get("named") if isinstance(verdict, Mapping) else None)
        if one and isinstance(one, str)
    ]
    of_slug = {slug: one for one in components if (slug := _text(one, "slug"))}
    slugs = [slug for slug in dict.fromkeys((*of_slug, *named)) if slug]
    found = [classify(slug, component=of_slug.get(slug), families=families) for slug in slugs]
    covered = {one.family for one in found}
    return (*found, *(one for one in classify_families(families) if one.family not in covered))


def _families(result: Mapping[str, Any]) -> list[str]:
    verdict = result.get("verdict")
    both = [*_list(result.get("families"))]
    both += _list(verdict.get("families")) if isinstance(verdict, Mapping) else []
    return [one for one in both if one and isinstance(one, str)]


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def is_dangerous(classes: Iterable[Classification]) -> bool:
    """Whether any is of the ultra-potent opioids."""
    return any(one.family[:2] in _DANGEROUS for one in classes)


def is_of_interest(one: Classification) -> bool:
    """Whether a laboratory for drugs, explosives and poisons is expected to report it."""
    return one.path[0] not in _OF_NO_INTEREST


def interesting(slugs: Iterable[str]) -> frozenset[str]:
    """Those substances that a laboratory is expected to report; what the table lacks is among them."""
    found = ((slug, classify(slug)) for slug in slugs)
    return frozenset(slug for slug, one in found if one.basis == "none" or is_of_interest(one))


def without_carriers(slugs: Iterable[str]) -> frozenset[str]:
    """Those substances that no container or solution is made of."""
    return frozenset(slug for slug in slugs if classify(slug).path[0] not in _CARRIERS)
