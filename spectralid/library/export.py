"""Writing the references of a library as spectrum files, with an index that `import_folder` takes back."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from spectralid.errors import LibraryError, ParameterError
from spectralid.io import read, write
from spectralid.library._values import Compound, ReferenceInfo
from spectralid.library.compounds import LIST_COLUMNS
from spectralid.library.importing import INDEX, MAPPING_COLUMNS
from spectralid.library.store import ReferenceLibrary

__all__ = ["EXPORT_FORMATS", "export_library"]

# Formats that give every value back, and the extension of their files.
EXPORT_FORMATS: Final = {"jcamp-dx": ".jdx", "text": ".csv"}


def export_library(
    library: ReferenceLibrary,
    folder: str | os.PathLike[str],
    format: str = "jcamp-dx",
    *,
    progress: Callable[[Sequence[ReferenceInfo]], Iterable[ReferenceInfo]] = lambda references: references,
) -> int:
    """Write every reference to a file of its own, named by its id, and ``index.csv`` beside them.

    Parameters
    ----------
    library : ReferenceLibrary
    folder : path
        Where to; made if absent, else it must be empty.
    format : str
        A key of `EXPORT_FORMATS`.
    progress : callable, optional
        Wraps the sequence of references, to show how far it has come.

    Returns
    -------
    int
        How many references were written.

    Raises
    ------
    ParameterError
        If the format is unknown, or the folder is not empty or cannot be made.
    LibraryError
        If a reference is damaged, or what was written does not read back as the same spectrum.
    """
    if format not in EXPORT_FORMATS:
        raise ParameterError("format", format, "one of " + ", ".join(EXPORT_FORMATS))
    root = Path(folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
        taken = any(root.iterdir())
    except OSError as error:
        raise ParameterError("folder", str(folder), f"a folder that can be made ({error.strerror})") from None
    if taken:
        raise ParameterError("folder", str(folder), "an empty folder, or one that is not there yet")
    rows = []
    for info in progress(library.references):
        target = root / (info.id + EXPORT_FORMATS[format])
        write(library.reference(info.id).spectrum, target, format=format)
        if read(target).sha256 != info.spectrum_sha256:
            raise LibraryError(
                f"Reference {info.id} cannot be written as {format} without loss; use another."
            )
        rows.append(_row(target.name, library.compound(info.compound_slug), info))
    with (root / INDEX).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, MAPPING_COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def _row(file: str, compound: Compound, info: ReferenceInfo) -> dict[str, str]:
    row = {"file": file, "quality": "" if info.quality is None else repr(info.quality)}
    for key, value in compound.to_dict().items():
        row[key] = "|".join(value) if key in LIST_COLUMNS else value
    for key in ("form", "technique", "tier", "source", "licence", "url", "citation", "spectrum_sha256"):
        row[key] = str(getattr(info, key))
    return row
