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

    Returns
    -------
    dict
        Name, version, identity, what it was made from, file size in bytes, the compounds known and those
        with a reference, and the number of references per tier, technique, category and licence.
    """
    manifest = library.manifest
    references = library.references
    category = {c.slug: c.category or "not stated" for c in library.compounds}

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
        "licences": count([r.licence or "not stated" for r in references]),
    }
