"""The measured library of the studies here: 80 Raman spectra of one portable unit, read from their files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from spectralid import LibraryBuilder, ReferenceLibrary, Spectrum, open_library, read
from spectralid.library import Compound, Tier

# Files that hold the same compound under another name, and names that are clearer in full.
_SAME = {
    "2-propanol": ("isopropanol", ""),
    "methyl-ethyl-ketone": ("2-butanone", ""),
    "citric-acid-anhydrate": ("citric-acid", ""),
    "citric-acid-monohydrate": ("citric-acid", "monohydrate"),
    "diethylether": ("diethyl-ether", ""),
    "pet": ("polyethylene-terephthalate", ""),
}


def _entry(file: Path) -> tuple[str, str]:
    """Slug of the compound and form of the file's spectrum."""
    slug = re.sub(r"[^a-z0-9]+", "-", file.stem.lower()).strip("-")
    return _SAME.get(slug, (slug, ""))


def wasatch_library(
    data: Path, folder: Path, prepare: Callable[[Spectrum], Spectrum] = lambda spectrum: spectrum
) -> ReferenceLibrary:
    """Build the library in `folder` from the files below `data`, each spectrum through `prepare` first."""
    files = sorted((data / "wasatch-enlighten" / "default_matching_library").glob("*.csv"))
    builder = LibraryBuilder("wasatch-enlighten", created="2026-08-21")
    for file in files:
        slug, form = _entry(file)
        spectrum = prepare(read(file, technique="raman"))
        compound = Compound(slug, slug.replace("-", " "), hazards=("none",), verification="name only")
        builder.add(spectrum, compound, tier=Tier.MEASURED, form=form, source="WasatchPhotonics/ENLIGHTEN")
    path = folder / "wasatch.h5"
    builder.write(path)
    return open_library(path)
