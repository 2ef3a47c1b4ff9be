"""Reference libraries: what substances look like, where each spectrum comes from, and how sure that is.

The names that read and write spectrum files load when first used, so that opening a library stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from spectralid.library._values import Compound, Reference, ReferenceInfo, Tier
from spectralid.library.store import ReferenceLibrary, open_library

if TYPE_CHECKING:
    from spectralid.library.builder import LibraryBuilder as LibraryBuilder
    from spectralid.library.export import export_library as export_library
    from spectralid.library.importing import ImportReport as ImportReport
    from spectralid.library.importing import import_folder as import_folder
    from spectralid.library.summary import describe as describe
    from spectralid.library.verify import verify_library as verify_library

_WHERE = {
    "ImportReport": "importing",
    "LibraryBuilder": "builder",
    "describe": "summary",
    "export_library": "export",
    "import_folder": "importing",
    "verify_library": "verify",
}

__all__ = [
    "Compound",
    "ImportReport",
    "LibraryBuilder",
    "Reference",
    "ReferenceInfo",
    "ReferenceLibrary",
    "Tier",
    "describe",
    "export_library",
    "import_folder",
    "open_library",
    "verify_library",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
