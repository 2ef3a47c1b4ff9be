"""Writing the references of a library as spectrum files with an index, or as one table of what is in it."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from spectralid.errors import LibraryError, ParameterError
from spectralid.io import read, write
from spectralid.library._values import Compound, ReferenceInfo
from spectralid.library.builder import comparable_intensity
from spectralid.library.compounds import LIST_COLUMNS
from spectralid.library.importing import INDEX, MAPPING_COLUMNS
from spectralid.library.store import ReferenceLibrary
from spectralid.spectrum import Spectrum

__all__ = ["EXPORT_FORMATS", "TABLE_COLUMNS", "export_library", "export_table"]

# Formats that give every value back, and the extension of their files.
EXPORT_FORMATS: Final = {"jcamp-dx": ".jdx", "text": ".csv"}

TABLE_COLUMNS: Final = (
    "id",
    *Compound.__dataclass_fields__,
    *(
        name
        for name in ReferenceInfo.__dataclass_fields__
        if name not in ("id", "compound_slug", "range_cm1")
    ),
    "low_cm1",
    "high_cm1",
    "bands_cm1",
)

# A band of the table stands out by this share of the highest value, and there are at most so many.
_PROMINENCE: Final = 0.05
_BANDS: Final = 12


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
        What to write.
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


def export_table(
    library: ReferenceLibrary,
    path: str | os.PathLike[str],
    *,
    progress: Callable[[Sequence[ReferenceInfo]], Iterable[ReferenceInfo]] = lambda references: references,
) -> int:
    """Write one CSV table with a line per reference: compound, provenance and strongest bands.

    ``bands_cm1`` holds up to 12 maxima (infrared as absorbance), the strongest first, divided by ``|``: each
    stands out of its surroundings by at least 5 % of the highest value. They are points of the axis, not
    fitted, and meant for looking up, not for matching.

    Parameters
    ----------
    library : ReferenceLibrary
        What to list.
    path : path
        The file to write; one already there is replaced.
    progress : callable, optional
        Wraps the sequence of references, to show how far it has come.

    Returns
    -------
    int
        How many lines were written.

    Raises
    ------
    LibraryError
        If a reference is damaged, or the file cannot be written.
    """
    rows = []
    for info in progress(library.references):
        row = _row("", library.compound(info.compound_slug), info)
        row |= {name: _cell(getattr(info, name)) for name in ReferenceInfo.__dataclass_fields__}
        row["low_cm1"], row["high_cm1"] = map(_cell, info.range_cm1)
        row["bands_cm1"] = "|".join(f"{band:.1f}" for band in _bands(library.reference(info.id).spectrum))
        rows.append({name: row.get(name, "") for name in TABLE_COLUMNS})
    try:
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, TABLE_COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise LibraryError(f"{path}: the table cannot be written ({error.strerror}).") from None
    return len(rows)


def _bands(spectrum: Spectrum) -> list[float]:
    from scipy.signal import find_peaks

    intensity = comparable_intensity(spectrum)
    there = np.isfinite(intensity)
    axis, values = spectrum.axis[there], intensity[there]
    if not values.size or values.max() <= 0:
        return []
    found, _ = find_peaks(values, prominence=_PROMINENCE * values.max())
    strongest = sorted(found, key=lambda i: (-values[i], i))[:_BANDS]
    return [float(axis[i]) for i in strongest]


def _cell(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def _row(file: str, compound: Compound, info: ReferenceInfo) -> dict[str, str]:
    row = {"file": file, "quality": "" if info.quality is None else repr(info.quality)}
    for key, value in compound.to_dict().items():
        row[key] = "|".join(value) if key in LIST_COLUMNS else value
    for key in ("form", "technique", "tier", "source", "licence", "url", "citation", "spectrum_sha256"):
        row[key] = str(getattr(info, key))
    return row
