"""Spectra from band tables: what a list of positions, heights and widths looks like as a spectrum."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError, UnreadableFileError
from spectralid.library.compounds import read_rows
from spectralid.spectrum import FloatArray

__all__ = ["BAND_COLUMNS", "Band", "band_profile", "read_bands", "sum_of_bands"]

# Columns of a band table: the entry a band belongs to, then the fields of `Band`, each before its deviation.
BAND_COLUMNS: Final = (
    "entry",
    "band_cm1",
    "sd_cm1",
    "height",
    "height_sd",
    "fwhm_cm1",
    "fwhm_sd_cm1",
    "eta",
)


@dataclass(frozen=True, slots=True)
class Band:
    """One band: a pseudo-Voigt profile.

    Attributes
    ----------
    position : float
        Centre in cm⁻¹.
    height : float
        Intensity at the centre, in the unit of the spectrum.
    fwhm : float
        Full width at half maximum in cm⁻¹, above 0.
    eta : float
        Lorentzian share of the profile, 0 (Gaussian) … 1 (Lorentzian).
    position_sd, height_sd, fwhm_sd : float
        Their standard deviations; NaN where not known.

    Raises
    ------
    ParameterError
        If a value is not finite or outside its range.
    """

    position: float
    height: float
    fwhm: float
    eta: float
    position_sd: float = math.nan
    height_sd: float = math.nan
    fwhm_sd: float = math.nan

    def __post_init__(self) -> None:
        if not (math.isfinite(self.position) and math.isfinite(self.height)):
            raise ParameterError("position and height", (self.position, self.height), "finite numbers")
        if not 0 < self.fwhm < math.inf:
            raise ParameterError("fwhm", self.fwhm, "above 0 cm⁻¹")
        if not 0 <= self.eta <= 1:
            raise ParameterError("eta", self.eta, "from 0 to 1")


def band_profile(axis: FloatArray, position: float, fwhm: float, eta: float) -> FloatArray:
    """Pseudo-Voigt profile of height 1: ``eta`` Lorentzian and ``1 - eta`` Gaussian of one width.

    It follows the Voigt profile to about 1 % of its height (P. Thompson, D. E. Cox, J. B. Hastings,
    J. Appl. Cryst. 20 (1987) 79) and, unlike that, needs no special function.

    Parameters
    ----------
    axis : ndarray of float, shape (n_points,)
        In cm⁻¹.
    position, fwhm, eta : float
        As in `Band`.

    Returns
    -------
    ndarray of float, shape (n_points,)
    """
    u2 = ((axis - position) * (2 / fwhm)) ** 2
    return np.asarray(eta / (1 + u2) + (1 - eta) * np.exp(-math.log(2) * u2))


def sum_of_bands(axis: npt.ArrayLike, bands: Sequence[Band]) -> FloatArray:
    """The spectrum of a band table.

    Parameters
    ----------
    axis : array_like of float, shape (n_points,)
        Where to evaluate it, in cm⁻¹.
    bands : sequence of Band
        The table; none gives zeros.

    Returns
    -------
    ndarray of float, shape (n_points,)
    """
    x = np.asarray(axis, dtype=np.float64)
    total = np.zeros_like(x)
    for band in bands:
        total += band.height * band_profile(x, band.position, band.fwhm, band.eta)
    return total


def read_bands(path: str | os.PathLike[str]) -> dict[str, list[Band]]:
    """Band table from a CSV file with the columns `BAND_COLUMNS`.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict of str to list of Band
        The bands of each entry, in the order of the file.

    Raises
    ------
    UnreadableFileError
        If it cannot be read or a value is no number or outside its range; with its line.
    """
    table: dict[str, list[Band]] = defaultdict(list)
    for line, row in read_rows(path, required=BAND_COLUMNS, optional=()):
        entry, *cells = (row[name] for name in BAND_COLUMNS)
        try:
            position, position_sd, height, height_sd, fwhm, fwhm_sd, eta = map(float, cells)
            table[entry].append(Band(position, height, fwhm, eta, position_sd, height_sd, fwhm_sd))
        except ValueError as error:
            raise UnreadableFileError(str(error), file=str(path), where=f"line {line}") from None
    return dict(table)
