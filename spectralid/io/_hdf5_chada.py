"""CHADA files (.cha) of the ramanchada programs: an HDF5 dataset of two rows, axis and ordinate."""

from __future__ import annotations

from pathlib import Path

from spectralid.errors import UnreadableFileError
from spectralid.io._assemble import make_axis, make_spectrum
from spectralid.io._hdf5_safe import SafeGroup
from spectralid.io._registry import ReadOptions, Source
from spectralid.io._text_header import AXIS_ROLES, read_header, role_of, technique_in, unit_in
from spectralid.spectrum import Spectrum

__all__ = ["is_chada", "read_chada"]

_LABELS = "DIMENSION_LABELS"


def is_chada(root: SafeGroup) -> bool:
    """Whether a file holds a dataset labelled as CHADA labels it."""
    return any(root.attribute(_LABELS, of=name) for name in root.names())


def read_chada(root: SafeGroup, source: Source, options: ReadOptions) -> list[Spectrum]:
    """Spectra of a CHADA file: the raw one where there is one, else every stage it holds.

    Raises
    ------
    UnreadableFileError
        If a labelled dataset is not two rows.
    """
    labelled = [name for name in root.names() if root.attribute(_LABELS, of=name)]
    spectra = []
    for name in ["raw"] if "raw" in labelled else labelled:
        values = root.array(name)
        if values is None or values.ndim != 2 or values.shape[0] != 2:
            raise UnreadableFileError("it is not an axis and an ordinate.", file=source.name, where=name)
        attributes = root.attributes(name)
        # Two labels, each with its unit in brackets: "Raman shift [1/cm] raw counts [1]".
        first, _, second = attributes.pop(_LABELS).strip("[]'").partition("]")
        fields = [f"{key}={value.strip(chr(91) + chr(93) + chr(39))}" for key, value in attributes.items()]
        header = read_header(fields, "=", ".")
        axis = make_axis(values[0], AXIS_ROLES.get(role_of(first)), header, False, source, options)
        spectra.append(
            make_spectrum(
                axis,
                values[1],
                name=Path(source.name).stem if name == "raw" else f"{Path(source.name).stem} ({name})",
                header=header,
                source=source,
                unit=unit_in(second),
                technique=technique_in(first),
            )
        )
    return spectra
