"""HDF5 files of spectra: spectralid's own layout, NeXus and CHADA."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

from spectralid.errors import UnsupportedContentError
from spectralid.io._hdf5_apart import read_apart
from spectralid.io._hdf5_chada import is_chada, read_chada
from spectralid.io._hdf5_own import FORMAT_NAME, read_own, write_own
from spectralid.io._hdf5_safe import MAGIC, open_hdf5
from spectralid.io._registry import Format, ReadOptions, Source
from spectralid.io.nexus import is_nexus, read_nexus
from spectralid.spectrum import Spectrum

__all__ = ["FORMAT"]


def _sniff(head: Source) -> float:
    return 1.0 if head.data.startswith(MAGIC) else 0.0


def _read(source: Source, options: ReadOptions) -> list[Spectrum]:
    return read_apart(read_here, source, options)


def read_here(source: Source, options: ReadOptions) -> list[Spectrum]:
    """Spectra of a file in any of the layouts, read in this process.

    Raises
    ------
    UnreadableFileError
        If it is damaged.
    UnsupportedContentError
        If it is in none of them.
    """
    with open_hdf5(source) as root:
        if root.attribute("format") == FORMAT_NAME:
            return read_own(root, source)
        if is_nexus(root):
            return read_nexus(root, source, options)
        if is_chada(root):
            return read_chada(root, source, options)
    raise UnsupportedContentError(
        "it is an HDF5 file in no layout of spectra known here (spectralid, NeXus, CHADA); export the "
        "spectrum as JCAMP-DX or two-column text.",
        file=source.name,
    )


def _write(spectra: Sequence[Spectrum]) -> bytes:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        write_own(file, spectra)
    return buffer.getvalue()


FORMAT: Final = Format(
    name="hdf5",
    title="HDF5 (spectralid, NeXus, CHADA)",
    extensions=(".h5", ".hdf5", ".cha"),
    sniff=_sniff,
    read=_read,
    write=_write,
)
