"""Reference libraries of Open Specy (https://openspecy.org): one R object with thousands of spectra."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

import numpy as np

from spectralid.errors import InvalidSpectrumError, UnreadableFileError
from spectralid.library.compounds import normalised
from spectralid.library.rds import RValue, read_rds
from spectralid.spectrum import Acquisition, FloatArray, Spectrum, Technique

__all__ = ["read_openspecy"]

# Kept of the more than a hundred fields, most of them empty; in normalised form.
_KEPT: Final = frozenset(
    {
        "spectrumid", "spectrumidentity", "spectrumtype", "organization", "librarytype", "license",
        "citation", "otherinformation", "casnumber", "polymerclass", "polymer", "materialclass", "rruffid",
        "url", "owner", "spectralcollectionmode", "samplename", "instrumentused",
    }
)  # fmt: skip


def read_openspecy(
    path: str | os.PathLike[str], *, technique: Technique | str | None = None, name: str = ""
) -> list[Spectrum]:
    """Spectra of an Open Specy library.

    Parameters
    ----------
    path : path
        The file, ``.rds`` or ``.RData``.
    technique : Technique, optional
        For spectra that state none.
    name : str
        What messages call the file; its path by default.

    Returns
    -------
    list of Spectrum
        Points that are missing are left out; spectra without two points are too. Intensities are as the
        library has them, infrared as absorbance by its convention, without a unit of their own.

    Raises
    ------
    UnreadableFileError
        If it is no such library.
    """
    shown = name or os.fspath(path)
    try:
        axis, columns, fields = _parts(read_rds(path))
    # A file is free to hold anything where a library has its axis, spectra and descriptions.
    except (ValueError, TypeError, AttributeError, IndexError, KeyError, OverflowError):
        raise UnreadableFileError(
            "it holds no Open Specy library: axis, spectra and descriptions that fit together.", file=shown
        ) from None
    spectra = []
    for i, intensity in enumerate(columns):
        stated = {key: values[i] for key, values in fields.items() if values[i] not in ("", "NA")}
        there = np.isfinite(intensity) if intensity.shape == axis.shape else np.zeros(0, dtype=bool)
        if there.sum() < 2:
            continue
        try:
            spectra.append(_spectrum(axis[there], intensity[there], stated, technique, shown))
        except InvalidSpectrumError as error:
            raise UnreadableFileError(str(error), file=shown, where=f"spectrum {i + 1}") from None
    if not spectra:
        raise UnreadableFileError("it holds no spectrum.", file=shown)
    return spectra


def _parts(value: RValue) -> tuple[FloatArray, list[FloatArray], dict[str, list[str]]]:
    if "wavenumber" not in value.names and isinstance(value.data, list) and len(value.data) == 1:
        value = value.data[0]
    parts = value.elements()
    axis, columns = parts["wavenumber"].data, _columns(parts["spectra"])
    fields = {key: column.strings() for key, column in parts["metadata"].elements().items()}
    if not isinstance(axis, np.ndarray) or any(len(v) != len(columns) for v in fields.values()):
        raise ValueError
    return axis, columns, fields


def _columns(value: RValue) -> list[FloatArray]:
    """One array per spectrum; the library is a table in older versions and a matrix in newer ones."""
    if isinstance(value.data, list):
        return [column.data for column in value.data if isinstance(column.data, np.ndarray)]
    dimensions = value.attributes.get("dim")
    if dimensions is None or not isinstance(value.data, np.ndarray):
        raise ValueError
    rows, columns = (int(v) for v in dimensions.data)
    return list(value.data.reshape(columns, rows))


def _spectrum(
    axis: FloatArray,
    intensity: FloatArray,
    stated: Mapping[str, str],
    technique: Technique | str | None,
    source: str,
) -> Spectrum:
    by_name = {normalised(key): text for key, text in stated.items()}
    laser = by_name.get("laserlightused", "")
    return Spectrum.from_points(
        axis,
        intensity,
        technique=_technique(by_name, technique),
        acquisition=Acquisition(
            instrument=by_name.get("instrumentused", ""),
            laser_nm=float(laser) if laser.isdigit() and 200 <= int(laser) <= 2000 else None,
            metadata={key: text for key, text in stated.items() if normalised(key) in _KEPT},
        ),
        name=by_name.get("spectrumidentity", "") or by_name.get("samplename", ""),
        source=source,
    )


def _technique(fields: Mapping[str, str], otherwise: Technique | str | None) -> Technique:
    kind = fields.get("spectrumtype", "").lower()
    if "raman" in kind:
        return Technique.RAMAN
    if "ir" in kind:
        attenuated = fields.get("spectralcollectionmode", "").lower() == "atr"
        return Technique.FTIR_ATR if attenuated else Technique.FTIR
    return Technique.UNKNOWN if otherwise is None else Technique.parse(str(otherwise))
