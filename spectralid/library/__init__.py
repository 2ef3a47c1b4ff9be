"""Reference libraries: what substances look like, where each spectrum comes from, and how sure that is.

The names that read and write spectrum files load when first used, so that opening a library stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spectralid._lazy import lazy
from spectralid.library._values import Compound, Fitness, Reference, ReferenceInfo, Tier
from spectralid.library.store import ReferenceLibrary, open_library

if TYPE_CHECKING:
    from spectralid.library.builder import LibraryBuilder as LibraryBuilder
    from spectralid.library.combine import merge_libraries as merge_libraries
    from spectralid.library.combine import read_watch_list as read_watch_list
    from spectralid.library.combine import subset_library as subset_library
    from spectralid.library.difference import compare_libraries as compare_libraries
    from spectralid.library.export import export_library as export_library
    from spectralid.library.export import export_table as export_table
    from spectralid.library.fetch import fetch_library as fetch_library
    from spectralid.library.importing import ImportReport as ImportReport
    from spectralid.library.importing import import_folder as import_folder
    from spectralid.library.recipes import available_recipes as available_recipes
    from spectralid.library.recipes import load_recipe as load_recipe
    from spectralid.library.signing import generate_key as generate_key
    from spectralid.library.signing import sign_library as sign_library
    from spectralid.library.signing import verify_signature as verify_signature
    from spectralid.library.summary import describe as describe
    from spectralid.library.verify import verify_library as verify_library

_WHERE = {
    "ImportReport": "importing",
    "LibraryBuilder": "builder",
    "available_recipes": "recipes",
    "compare_libraries": "difference",
    "describe": "summary",
    "export_library": "export",
    "export_table": "export",
    "fetch_library": "fetch",
    "generate_key": "signing",
    "import_folder": "importing",
    "load_recipe": "recipes",
    "merge_libraries": "combine",
    "read_watch_list": "combine",
    "sign_library": "signing",
    "subset_library": "combine",
    "verify_library": "verify",
    "verify_signature": "signing",
}

__all__ = [
    "Compound",
    "Fitness",
    "ImportReport",
    "LibraryBuilder",
    "Reference",
    "ReferenceInfo",
    "ReferenceLibrary",
    "Tier",
    "available_recipes",
    "compare_libraries",
    "describe",
    "export_library",
    "export_table",
    "fetch_library",
    "generate_key",
    "import_folder",
    "load_recipe",
    "merge_libraries",
    "open_library",
    "read_watch_list",
    "sign_library",
    "subset_library",
    "verify_library",
    "verify_signature",
]

__getattr__, __dir__ = lazy(__name__, _WHERE, __all__)
