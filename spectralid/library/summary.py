"""What is in a library, counted."""

from __future__ import annotations

from collections import Counter
from typing import Any

from spectralid.library.store import ReferenceLibrary

__all__ = ["describe"]


def describe(library: ReferenceLibrary) -> dict[str, Any]:
    """Counts and facts of a library, JSON-ready.

    Parameters
    ----------
    library : ReferenceLibrary
        What to describe.

    Returns
    -------
    dict
        Name, version, identity, what it was made from, file size in bytes, the compounds known and those
        with a reference; the number of references per tier, technique, category and licence, per tier and
        technique, and per category and tier; how well each tier finds substances (see `Fitness`), and how
        many substances the computed references learned from.
    """
    manifest = library.manifest
    references = library.references
    category = {c.slug: c.category or "not stated" for c in library.compounds}

    def table(pairs: list[tuple[str, str]]) -> dict[str, dict[str, int]]:
        # In the order of the totals.
        names = count([first for first, _ in pairs])
        return {name: count([second for first, second in pairs if first == name]) for name in names}

    def count(values: list[str]) -> dict[str, int]:
        return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))

    return {
        "name": library.name,
        "version": library.version,
        "created": manifest.get("created", ""),
        "recipe": manifest.get("recipe", ""),
        "generator": manifest.get("generator", ""),
        "schema": manifest.get("schema", ""),
        "sha256": library.sha256,
        "path": str(library.path),
        "file_bytes": library.path.stat().st_size,
        "compounds": len(library.compounds),
        "compounds_with_reference": len({r.compound_slug for r in references}),
        "references": library.n_references,
        "tiers": count([r.tier.value for r in references]),
        "techniques": count([r.technique.value for r in references]),
        "categories": count([category.get(r.compound_slug, "not stated") for r in references]),
        "tiers_by_technique": table([(r.tier.value, r.technique.value) for r in references]),
        "categories_by_tier": table(
            [(category.get(r.compound_slug, "not stated"), r.tier.value) for r in references]
        ),
        "fitness": [fitness.to_dict() for fitness in library.fitness],
        "training_substances": len(library.training_substances),
        "licences": count([r.licence or "not stated" for r in references]),
    }
