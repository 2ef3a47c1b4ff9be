"""References of one technique, prepared for the joint fit: background removed, unit area, missing as zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.identify._source import ReferenceSource
from spectralid.identify.shapes import splines
from spectralid.library import ReferenceInfo
from spectralid.spectrum import FloatArray, Technique

__all__ = ["AREA", "BACKGROUND_SPACING", "ReferenceSet", "background_shapes", "lower_envelope"]

AREA: Final = 1000.0
"""Area of a prepared reference in intensity × cm⁻¹, so that its bands are about 1 high."""

# Knots of the background in cm⁻¹. Fluorescence bends over some hundred cm⁻¹; infrared backgrounds
# (scattering, contact) are slower, and infrared bands of hydrogen-bonded OH are up to 400 wide.
BACKGROUND_SPACING: Final = {"raman": 220.0, "infrared": 450.0}
_CLIPPINGS: Final = 30


def background_shapes(grid: FloatArray, technique: Technique) -> FloatArray:
    """Splines that stand for the background of a technique, shape (n_grid, n_background)."""
    return splines(grid, BACKGROUND_SPACING["infrared" if technique.is_infrared else "raman"])


def lower_envelope(values: FloatArray, shapes: FloatArray) -> FloatArray:
    """Smooth curve under the bands of each spectrum: fitted, cut down to the fit, fitted again.

    Parameters
    ----------
    values : ndarray, shape (n_spectra, n_grid)
        Intensities without missing points.
    shapes : ndarray, shape (n_grid, n_shapes)
        What the curve is made of.

    Notes
    -----
    The clipping of Lieber and Mahadevan-Jansen (Appl. Spectrosc. 2003, 57, 1363), splines for polynomials.
    It serves preparation only; a query's background is part of the joint fit.
    """
    basis, _ = np.linalg.qr(shapes)
    clipped = np.array(values, dtype=np.float64)
    fit = clipped
    for _ in range(_CLIPPINGS):
        fit = (clipped @ basis) @ basis.T
        np.minimum(clipped, fit, out=clipped)
    return np.asarray(fit)


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceSet:
    """Prepared references.

    Attributes
    ----------
    technique : Technique
        Technique they are comparable with.
    grid : ndarray, shape (n_grid,)
        Common grid in cm⁻¹.
    rows : tuple of ReferenceInfo, length n
        What they are.
    values : ndarray of float32, shape (n, n_grid)
        Bands without background, area `AREA`, zero where not known.
    squares : ndarray of float32, shape (n, n_grid)
        Their squares, for the energy of every reference under any weights.
    known : ndarray of bool, shape (n, n_grid)
        Where they are known.
    compound : ndarray of int, shape (n,)
        Number of the compound of each row; rows of one compound share it.
    """

    technique: Technique
    grid: FloatArray
    rows: tuple[ReferenceInfo, ...]
    values: npt.NDArray[np.float32]
    squares: npt.NDArray[np.float32]
    known: npt.NDArray[np.bool_]
    compound: npt.NDArray[np.intp]

    @classmethod
    def from_library(cls, library: ReferenceSource, technique: Technique) -> Self:
        """Prepare the measured and literature references of a library that are comparable with `technique`.

        Computed ones are leads, ranked apart (`spectralid.identify.leads`), and explain nothing.
        """
        return cls.of(technique, library.grid(technique), library.matrix(technique), library.rows(technique))

    @classmethod
    def of(
        cls,
        technique: Technique,
        grid: FloatArray,
        matrix: npt.NDArray[np.floating[Any]],
        rows: tuple[ReferenceInfo, ...],
    ) -> Self:
        """Prepare references given as arrays.

        Parameters
        ----------
        technique : Technique
            Their technique.
        grid : ndarray, shape (n_grid,)
            Even and ascending, in cm⁻¹.
        matrix : ndarray, shape (n, n_grid)
            Intensities, NaN where not known.
        rows : tuple of ReferenceInfo
            What the rows are.

        Raises
        ------
        ParameterError
            If the sizes do not fit.
        """
        x = np.asarray(matrix, dtype=np.float64)
        if x.shape != (len(rows), len(grid)):
            raise ParameterError("matrix", x.shape, f"of shape ({len(rows)}, {len(grid)})")
        known = np.isfinite(x)
        filled = _filled(x, known)
        bands = np.maximum(filled - lower_envelope(filled, background_shapes(grid, technique)), 0.0)
        bands[~known] = 0.0
        area = bands.sum(axis=1, keepdims=True) * float(grid[1] - grid[0])
        bands *= AREA / np.where(area > 0, area, 1.0)
        values = bands.astype(np.float32)
        slugs = {slug: i for i, slug in enumerate(dict.fromkeys(r.compound_slug for r in rows))}
        return cls(
            technique,
            np.asarray(grid, dtype=np.float64),
            tuple(rows),
            values,
            values**2,
            known,
            np.array([slugs[r.compound_slug] for r in rows], dtype=np.intp),
        )

    def __len__(self) -> int:
        return len(self.rows)

    def moved(self, row: int, shift_cm1: float) -> FloatArray:
        """One reference as an axis that is off by `shift_cm1` shows it, shape (n_grid,)."""
        values: FloatArray = self.values[row].astype(np.float64)
        if shift_cm1 == 0:
            return values
        return np.asarray(np.interp(self.grid - shift_cm1, self.grid, values, left=0.0, right=0.0))


def _filled(x: FloatArray, known: npt.NDArray[np.bool_]) -> FloatArray:
    """Missing points bridged by straight lines and end values, for smooth fits only."""
    out = x.copy()
    positions = np.arange(x.shape[1])
    for row in np.flatnonzero(~known.all(axis=1)):
        here = known[row]
        out[row] = np.interp(positions, positions[here], x[row, here]) if here.any() else 0.0
    return out
