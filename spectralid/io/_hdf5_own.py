"""spectralid's own layout in HDF5: ``/spectra/<n>/`` with axis, intensity, sd and the facts as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from spectralid.errors import InvalidSpectrumError, UnreadableFileError
from spectralid.io._hdf5_safe import SafeGroup
from spectralid.io._registry import Source
from spectralid.spectrum import Spectrum

if TYPE_CHECKING:
    import h5py

__all__ = ["FORMAT_NAME", "read_facts", "read_own", "write_facts", "write_own"]

FORMAT_NAME: Final = "spectralid spectra"
VERSION: Final = 1
_ARRAYS: Final = ("axis", "intensity", "sd")


def write_facts(group: h5py.Group, spectrum: Spectrum) -> None:
    """Write everything of a spectrum but its arrays as one JSON text in the member ``facts``."""
    facts = {key: value for key, value in spectrum.to_dict().items() if key not in _ARRAYS}
    # A dataset, not an attribute: HDF5 limits those to 64 kB, which a long history can pass.
    group.create_dataset("facts", data=json.dumps(facts, sort_keys=True))


def read_facts(group: SafeGroup, arrays: SafeGroup, names: Sequence[str], source: Source) -> Spectrum:
    """Spectrum from a group with ``facts`` and the group that holds its arrays.

    Parameters
    ----------
    group : SafeGroup
        Holds ``facts``.
    arrays : SafeGroup
        Holds the arrays.
    names : sequence of str
        Names of axis, intensity and standard deviation there.
    source : Source
        The file.

    Raises
    ------
    UnreadableFileError
        If something is missing, damaged, or not what the recorded identity was taken of.
    """
    values = {key: arrays.array(name) for key, name in zip(_ARRAYS, names, strict=True)}
    if values["axis"] is None or values["intensity"] is None:
        raise UnreadableFileError("its axis or intensity is missing.", file=source.name, where=arrays.path)
    try:
        facts = json.loads(group.text("facts"))
        return Spectrum.from_dict({**facts, **{k: v.ravel() for k, v in values.items() if v is not None}})
    except InvalidSpectrumError as error:
        raise UnreadableFileError(str(error), file=source.name, where=group.path) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UnreadableFileError(
            "the facts recorded with this spectrum are damaged.", file=source.name, where=group.path
        ) from None


def write_own(file: h5py.File, spectra: Sequence[Spectrum]) -> None:
    """Write spectra to an open file."""
    file.attrs["format"] = FORMAT_NAME
    file.attrs["version"] = VERSION
    for i, spectrum in enumerate(spectra):
        group = file.create_group(f"spectra/{i}")
        group.attrs["name"] = spectrum.name.encode("utf-8", "backslashreplace").decode().replace("\0", "")
        for key in _ARRAYS:
            values = getattr(spectrum, key)
            if values is not None:
                group.create_dataset(key, data=values)
        write_facts(group, spectrum)


def read_own(root: SafeGroup, source: Source) -> list[Spectrum]:
    """Spectra of a file of this layout.

    Raises
    ------
    UnreadableFileError
        If it is damaged or written by a newer version.
    """
    version = root.attribute("version")
    if version != str(VERSION):
        raise UnreadableFileError(
            f"it was written in layout {version or 'without a number'}, this version of spectralid reads "
            f"layout {VERSION}; update spectralid.",
            file=source.name,
        )
    holder = root.group("spectra")
    members = sorted(holder.groups(), key=lambda m: (len(m[0]), m[0])) if holder else []
    if not members:
        raise UnreadableFileError("it holds no spectrum.", file=source.name, where="/spectra")
    return [read_facts(group, group, _ARRAYS, source) for _, group in members]
