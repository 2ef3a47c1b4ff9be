"""The other end of `_hdf5_apart`: imported by the sandbox's keeper alone, before it forks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Final

# What the readers import when they need it is imported here, once for all the processes that are forked.
import h5py  # noqa: F401
import numpy as np

from spectralid.errors import FileError, InvalidSpectrumError
from spectralid.io import hdf5, nexus
from spectralid.io._hdf5_apart import ARRAYS, ERRORS
from spectralid.io._registry import ReadOptions, Source
from spectralid.spectrum import Technique

if TYPE_CHECKING:
    from spectralid.sandbox.answers import Array

__all__ = ["there"]

_READERS: Final = {module.__name__: module.read_here for module in (hdf5, nexus)}


def there(
    data: BinaryIO, *, reader: str, name: str, technique: str | None, laser_nm: float | None
) -> tuple[dict[str, Any], list[Array]]:
    """What a reader finds in a file, as what JSON can say, and arrays.

    Parameters
    ----------
    data : binary stream
        The file.
    reader : str
        Name of the reader's module.
    name : str
        The file's name, for messages.
    technique, laser_nm
        As in `ReadOptions`.
    """
    options = ReadOptions(Technique(technique) if technique else None, laser_nm)
    try:
        spectra = _READERS[reader](Source(name, data.read()), options)
    except FileError as error:
        kind = type(error).__name__
        said = {"error": kind if kind in ERRORS else "FileError", "reason": error.reason}
        return {**said, "file": error.file, "where": error.where}, []
    except InvalidSpectrumError as error:
        return {"invalid": str(error)}, []
    facts, numbers, arrays = [], [], []
    for spectrum in spectra:
        held = [v for v in (getattr(spectrum, key) for key in ARRAYS) if v is not None]
        facts.append({k: v for k, v in spectrum.to_dict().items() if k not in ARRAYS})
        numbers.append(len(held))
        arrays += [np.asarray(values) for values in held]
    return {"facts": facts, "arrays": numbers}, arrays
