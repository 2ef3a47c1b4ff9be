"""The library file: one HDF5 file, every dataset contiguous and uncompressed so that it can be memory-mapped.

===========================  ==========================  =====================================================
dataset                      dtype, shape                what
===========================  ==========================  =====================================================
``/manifest``                uint8 (bytes)               JSON object, see below
``/compounds``               uint8 (bytes)               JSON object of columns, one per field of `Compound`
``/references/info``         uint8 (bytes)               JSON object of columns, one per field of
                                                         `ReferenceInfo`, in the order they were added
``/references/facts``        uint8 (bytes)               one JSON object per reference: unit, name, source,
                                                         acquisition and history of its native spectrum
``/references/facts_start``  <i8 (n + 1,)                byte at which each starts; last: where all end
``/native/index``            <i8 (n, 7)                  points; then pool (position in `POOLS`, -1: none) and
                                                         first element of axis, intensity, deviation
``/native/float64``          <f8 (any,)                  pool of values; arrays that are equal are stored once
``/native/float32``          <f4 (any,)                  pool of values that float32 holds without loss
``/grids/raman/axis``        <f8 (n_grid,)               the common Raman grid in cm⁻¹
``/grids/raman/rows``        <i8 (n_rows,)               reference (position in ``/references``) of each row
``/grids/raman/matrix``      <f4 (n_rows, n_grid)        measured and literature references: intensities on
                                                         the grid, NaN where not covered
``/grids/raman/row_sha256``  uint8 (n_rows, 32)          SHA-256 of each row, so that damage can be located
``/grids/raman/computed``    <f2 (n_computed, n_grid)    computed references: intensities on the grid, largest
                                                         magnitude 1, NaN where not covered (since 1.1)
``/grids/raman/computed_…``  as above                    ``computed_rows`` and ``computed_sha256``, as for the
                                                         matrix
``/grids/infrared/…``        as above                    absorbance of the infrared references
``/evidence/fitness``        uint8 (bytes)               JSON array, an object per `Fitness` (since 1.1)
``/evidence/training``       uint8 (bytes)               JSON array: InChIKeys of the substances whose spectra
                                                         the computed references learned from (since 1.1)
===========================  ==========================  =====================================================

What a library has nothing of is absent. Computed references stand apart because they are compared by another
measure and never name a substance: a reader that knows the matrix alone cannot take them for anything else. A
computed spectrum that was added on the common grid, in values float16 holds, is stored in its row alone.
Version 1.0 had the rows of computed references in the matrix; readers take them out of it.

The root attribute ``format`` is
``spectralid-library``, ``schema`` is ``"major.minor"``. A reader ignores datasets, columns and manifest keys
it does not know (a newer minor version) and refuses a newer major version.

The manifest holds ``name``, ``version``, ``created`` (given by whoever builds, never the clock), ``recipe``,
``generator``, ``schema``, ``techniques``, ``references`` (how many), and ``datasets``: dtype, shape and
SHA-256 of each of the others; and perhaps ``needs_engine``, the oldest spectralid that understands it: an
older one refuses the library. Its own ``sha256`` is taken of the manifest without that key, as canonical
JSON; it is the identity of the library, because it changes with any value in it. HDF5's own structures carry
HDF5's checksums (format 1.10), which HDF5 checks whenever it reads them.

The same inputs give the same bytes: no times are stored, nothing depends on the order of a set or of a hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from spectralid.errors import TechniqueError
from spectralid.spectrum import FloatArray, Technique

__all__ = [
    "FORMAT",
    "GRIDS",
    "POOLS",
    "SCHEMA",
    "array_digest",
    "canonical_json",
    "common_grid",
    "dataset_entry",
    "grid_key",
    "manifest_sha256",
]

FORMAT: Final = "spectralid-library"
SCHEMA: Final = (1, 1)

# Where native values lie, by the number in ``/native/index``. A reader of 1.0 knows the first two and refuses
# a reference that lies in another.
POOLS: Final = ("/native/float64", "/native/float32", "/grids/raman/computed", "/grids/infrared/computed")

# First value, step and number of points in cm⁻¹ of the common grids.
GRIDS: Final[Mapping[str, tuple[float, float, int]]] = {
    "raman": (150.0, 3.0, 1024),
    "infrared": (400.0, 3.5, 1024),
}


def common_grid(key: str) -> FloatArray:
    """The common grid ``"raman"`` or ``"infrared"`` in cm⁻¹, shape (n_grid,)."""
    first, step, points = GRIDS[key]
    return np.asarray(first + step * np.arange(points), dtype=np.float64)


def grid_key(technique: Technique) -> str:
    """Name of the grid that spectra of `technique` are compared on.

    Raises
    ------
    TechniqueError
        If the technique is unknown.
    """
    if technique is Technique.RAMAN:
        return "raman"
    if technique.is_infrared:
        return "infrared"
    raise TechniqueError("The technique is not known; say whether it is Raman or infrared.")


def canonical_json(data: Any) -> bytes:
    """The one byte form of `data` as JSON: sorted keys, no spaces, UTF-8.

    Raises
    ------
    ValueError
        If it holds a NaN or an infinity, which JSON cannot.
    """
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def manifest_sha256(manifest: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a manifest, not counting its own ``sha256``."""
    return hashlib.sha256(canonical_json({k: v for k, v in manifest.items() if k != "sha256"})).hexdigest()


def array_digest(array: np.ndarray[Any, Any]) -> bytes:
    """SHA-256 of the values of an array, as bytes in C order."""
    # A view as bytes spares a copy of what may be hundreds of megabytes.
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).digest()


def dataset_entry(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """What the manifest records of a dataset: dtype, shape and SHA-256 of its bytes in C order."""
    return {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "sha256": array_digest(array).hex(),
    }
