"""Detectors whose counts are not quite proportional to light, made so by the instrument's coefficients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.spectrum import FloatArray

__all__ = ["linearised"]


def linearised(counts_above_dark: npt.ArrayLike, coefficients: Sequence[float]) -> FloatArray:
    """Counts that are proportional to light: counts ÷ Σ NLk·countsᵏ.

    Parameters
    ----------
    counts_above_dark : array_like of float
        Counts with the dark subtracted.
    coefficients : sequence of float
        NL0, NL1, … as the instrument stores them; empty for a detector that is linear.

    Returns
    -------
    ndarray of float64, of the shape of `counts_above_dark`

    Raises
    ------
    ParameterError
        If the polynomial is not above 0 at every count: those are not the coefficients of this detector.
    """
    counts = np.asarray(counts_above_dark, dtype=np.float64)
    if not len(coefficients):
        return counts
    with np.errstate(over="ignore", invalid="ignore"):
        response = np.polynomial.polynomial.polyval(counts, np.asarray(coefficients, dtype=np.float64))
    if not np.all((response > 0) & np.isfinite(response)):
        told = ", ".join(f"{c:g}" for c in coefficients)
        raise ParameterError("nonlinearity coefficients", told, "a polynomial above 0 over all counts")
    return np.asarray(counts / response)
