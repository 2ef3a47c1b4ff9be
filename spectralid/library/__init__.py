"""Reference libraries: what substances look like, where each spectrum comes from, and how sure that is."""

from spectralid.library._values import Compound, Reference, ReferenceInfo, Tier
from spectralid.library.builder import LibraryBuilder
from spectralid.library.store import ReferenceLibrary, open_library

__all__ = [
    "Compound",
    "LibraryBuilder",
    "Reference",
    "ReferenceInfo",
    "ReferenceLibrary",
    "Tier",
    "open_library",
]
