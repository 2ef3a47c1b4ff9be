"""All that is on record of one item, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from spectralid.casework.packet import Packet

if TYPE_CHECKING:
    from datetime import date

    from spectralid.identify import Fusion, Identification
    from spectralid.library import ReferenceLibrary
    from spectralid.verdict import Policy, Verdict
    from spectralid.verdict.catalog import Catalog
    from spectralid.verdict.item import Assessment

__all__ = ["ItemView", "Result", "assessed", "suggestion"]


class Result(NamedTuple):
    """What one scan is."""

    identification: Identification
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ItemView:
    """All that is on record of one item, with what it comes to.

    Attributes
    ----------
    item_ref, seizure_ref : str
        Which.
    opened : mapping
        Body of the packet that opened it: label, container, declared goods.
    scans : tuple of Packet
        Oldest first.
    evidence : tuple of Packet
        Strips, declarations, notes, photos, oldest first.
    assessment : Assessment or None
        What all of it comes to; ``None`` before the first scan.
    fusion : Fusion or None
        What Raman and infrared together say, where there are both.
    suggest : str or None
        ``"ftir"`` or ``"raman"`` where the other technique may see more.
    suggest_reason : str
        Why, in the officer's language.
    """

    item_ref: str
    seizure_ref: str
    opened: Mapping[str, Any]
    scans: tuple[Packet, ...] = ()
    evidence: tuple[Packet, ...] = ()
    assessment: Assessment | None = None
    fusion: Fusion | None = None
    suggest: str | None = None
    suggest_reason: str = ""

    @property
    def strips(self) -> tuple[Mapping[str, Any], ...]:
        """Strip tests, oldest first, each with what it is worth and the packet that holds its photo."""
        return tuple(
            {**s, "packet_id": p.packet_id} for p in self.evidence for s in p.manifest.get("strips", ())
        )

    @property
    def declared(self) -> Mapping[str, Any] | None:
        """What the goods are declared as: the last that was said."""
        said = [p.manifest["declared"] for p in self.evidence if p.manifest.get("declared")]
        return said[-1] if said else self.opened.get("declared")


def assessed(
    item: ItemView,
    results: Sequence[Result],
    library: ReferenceLibrary,
    policy: Policy,
    catalog: Catalog,
    *,
    on: date,
    adding: Mapping[str, Any],
) -> ItemView:
    """An item with what all its scans, strips and declared goods come to.

    Parameters
    ----------
    item : ItemView
        What is on record.
    results : sequence of Result
        What its scans that could be compared are, oldest first.
    library, policy, catalog
        What they are judged by.
    on : date
        The date, for expiry dates.
    adding : mapping
        Evidence that is about to be recorded; it counts already.
    """
    from spectralid.verdict import declared, strips
    from spectralid.verdict import item as items

    if not results:
        return item
    said = adding.get("declared") or item.declared
    check = None
    if said:
        telling = _telling(results)
        declaration = declared.Declaration(**{k: said.get(k, "") for k in ("text", "cas", "tariff")})
        check = declared.check(declaration, telling.verdict, telling.identification, library, catalog=catalog)
    tests = [*item.strips, *(adding.get("strips") or ())]
    weighed = [
        strips.weigh(strips.StripTest.from_dict(test), results, library, on=on, catalog=catalog)
        for test in tests
    ]
    fusion = _fused(results)
    assessment = items.assess(
        results,
        fusion=fusion,
        strips=weighed,
        declared=check,
        library=library,
        policy=policy,
        catalog=catalog,
    )
    both = len({r.identification.technique.is_infrared for r in results}) > 1
    suggest, reason = (None, "") if both or not item.scans else suggestion(item.scans[-1], catalog)
    return replace(item, assessment=assessment, fusion=fusion, suggest=suggest, suggest_reason=reason)


def _telling(results: Sequence[Result]) -> Result:
    """The scan that says most: the latest that names something, else a family, else the latest."""
    named = [r for r in results if r.verdict.kind in ("identified", "mixture")]
    family = [r for r in results if r.verdict.kind == "family"]
    return (named or family or results)[-1]


def _fused(results: Sequence[Result]) -> Fusion | None:
    """What the latest Raman and the latest infrared scan say together."""
    from spectralid.identify import fuse

    found = [r.identification for r in results if r.identification.analysis]
    infrared = [i for i in found if i.technique.is_infrared]
    raman = [i for i in found if not i.technique.is_infrared]
    return fuse(raman[-1], infrared[-1]) if infrared and raman else None


def suggestion(packet: Packet, catalog: Catalog) -> tuple[str | None, str]:
    """The other technique, where a scan's own record says that it may see more, and why."""
    reason = packet.manifest.get("other_technique")
    if not reason:
        return None, ""
    infrared = str(packet.manifest["instrument"]["technique"]).startswith("ftir")
    return "raman" if infrared else "ftir", catalog.say(f"item.suggest.{reason}")
