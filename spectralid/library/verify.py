"""Checking that a library file is what was built: every checksum, and which entry a damage hits."""

from __future__ import annotations

import os

import numpy as np

from spectralid.errors import LibraryError
from spectralid.library.schema import GRIDS, array_digest
from spectralid.library.store import ReferenceLibrary, open_library

__all__ = ["verify_library"]

_BLOCKS = (("matrix", "rows", "row_sha256"), ("computed", "computed_rows", "computed_sha256"))


def verify_library(path_or_name: str | os.PathLike[str]) -> tuple[str, ...]:
    """Check a library in full.

    Parameters
    ----------
    path_or_name : path or str
        As for `open_library`.

    Returns
    -------
    tuple of str
        What is damaged, a sentence each; empty if the library is intact.
    """
    try:
        library = open_library(path_or_name)
    except LibraryError as error:
        return (str(error),)
    changed = [
        name
        for name, entry in library.manifest["datasets"].items()
        if array_digest(library.raw(name)).hex() != entry["sha256"]
    ]
    problems = [f"The values of {name} are not those that were stored." for name in changed]
    try:
        if any(name.startswith(("/native/", "/references/")) for name in changed):
            problems += _damaged_spectra(library)
        for key in GRIDS:
            for block, rows, digests in _BLOCKS:
                if f"/grids/{key}/{block}" in changed:
                    problems += _damaged_rows(library, *(f"/grids/{key}/{x}" for x in (block, rows, digests)))
    except (LibraryError, ValueError, IndexError) as error:
        problems.append(f"Which entries are damaged cannot be told ({error}).")
    return tuple(problems)


def _damaged_spectra(library: ReferenceLibrary) -> list[str]:
    problems = []
    for info in library.references:
        try:
            library.reference(info.id)
        except LibraryError:
            problems.append(f"The spectrum of reference {info.id} is damaged.")
    return problems


def _damaged_rows(library: ReferenceLibrary, block: str, rows: str, digests: str) -> list[str]:
    positions, stored = library.raw(rows), library.raw(digests)
    bad = [
        i
        for i, row in enumerate(library.raw(block))
        if array_digest(row) != np.ascontiguousarray(stored[i]).tobytes()
    ]
    return [
        f"The gridded spectrum of reference {library.references[positions[i]].id} is damaged." for i in bad
    ]
