"""What the commands say of a library's tiers: how far each can be trusted, and leads apart from findings."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from spectralid.identify import Identification
    from spectralid.library import Fitness, ReferenceLibrary

__all__ = ["fitness_line", "leads_document", "leads_text"]

_WIDTH: Final = 100


def fitness_line(fitness: Fitness, title: str, indent: int) -> str:
    """How well a tier finds substances, wrapped."""

    def share(value: tuple[float, float, float]) -> str:
        return f"{value[0]:.0%} ({value[1]:.0%} to {value[2]:.0%})"

    text = (
        f"{title}: right substance first {share(fitness.top1)}, among the first ten {share(fitness.top10)}, "
        f"median rank {fitness.median_rank[0]:g} of {fitness.candidates}; {fitness.queries} spectra of "
        f"{fitness.substances} substances, {fitness.evaluated}"
    )
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_on_hyphens=False,
    )


def _of_leads(identification: Identification, library: ReferenceLibrary) -> list[Fitness]:
    from spectralid.library import Tier
    from spectralid.library.schema import grid_key

    key = grid_key(identification.technique)
    return [f for f in library.fitness if f.tier is Tier.COMPUTED and f.technique == key]


def leads_text(identification: Identification, library: ReferenceLibrary) -> str:
    """The leads for a chemist, introduced as what they are; empty without any."""
    from spectralid.identify.leads import NOTE

    if not identification.leads:
        return ""
    lines = [f"For a chemist: {NOTE}."]
    lines += [fitness_line(f, f"found in tests, {f.group}", 2) for f in _of_leads(identification, library)]
    lines += [
        f"  {lead.rank:2d}. {lead.compound_name}{f' ({lead.form})' if lead.form else ''}: "
        f"likeness {lead.score:.2f}, {lead.reference_id}"
        for lead in identification.leads
    ]
    return "\n".join(lines)


def leads_document(identification: Identification, library: ReferenceLibrary) -> dict[str, Any]:
    """What a JSON result says beside the leads themselves: what they are, and how far to trust them."""
    from spectralid.identify.leads import NOTE

    return {"note": NOTE, "fitness": [f.to_dict() for f in _of_leads(identification, library)]}
