"""Spectra of an HDF5 file read in a process of its own: what goes there, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from spectralid import sandbox
from spectralid.errors import FileError, InvalidSpectrumError, UnreadableFileError, UnsupportedContentError
from spectralid.io._registry import ReadOptions, Source
from spectralid.spectrum import Spectrum

if TYPE_CHECKING:
    from spectralid.sandbox.answers import Array

__all__ = ["ARRAYS", "ERRORS", "read_apart"]

ARRAYS: Final = ("axis", "intensity", "sd")
ERRORS: Final = {kind.__name__: kind for kind in (UnreadableFileError, UnsupportedContentError, FileError)}

Reader = Callable[[Source, ReadOptions], list[Spectrum]]


def read_apart(reader: Reader, source: Source, options: ReadOptions) -> list[Spectrum]:
    """Spectra that a reader of this package finds in a file, read in a process of its own.

    Parameters
    ----------
    reader : callable
        ``read_here`` of a module here, from a source and options to spectra.
    source : Source
        The file.
    options : ReadOptions
        What the caller knows.

    Raises
    ------
    FileError
        As the reader raises it, or because the process did not come to a good end.
    """
    if not sandbox.available():
        return reader(source, options)
    asked = {
        "reader": reader.__module__,
        "name": source.name,
        "technique": options.technique.value if options.technique else None,
        "laser_nm": options.laser_nm,
    }
    try:
        limits = sandbox.Limits.for_size(len(source.data))
        found = sandbox.run("spectralid.io._hdf5_there:there", source.data, asked, limits)
        return _spectra(found.said, found.arrays)
    except sandbox.BrokenError as error:
        raise UnreadableFileError(
            f"it is damaged, or made to do harm: reading it {error}; export it as JCAMP-DX or text.",
            file=source.name,
        ) from None
    except InvalidSpectrumError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        raise UnreadableFileError("reading it gave no spectra.", file=source.name) from None


def _spectra(said: Any, arrays: tuple[Array, ...]) -> list[Spectrum]:
    if "error" in said:
        raise ERRORS[said["error"]](str(said["reason"]), file=str(said["file"]), where=str(said["where"]))
    if "invalid" in said:
        raise InvalidSpectrumError(str(said["invalid"]))
    left = iter(arrays)
    return [
        Spectrum.from_dict({**facts, **{name: next(left) for name in ARRAYS[: int(number)]}})
        for facts, number in zip(said["facts"], said["arrays"], strict=True)
    ]
