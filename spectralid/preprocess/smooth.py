"""Smoothing that keeps bands: Savitzky–Golay and Whittaker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from spectralid.preprocess._base import Step, StepResult
from spectralid.preprocess._constraints import Constraint, Number
from spectralid.preprocess._local_polynomial import check_window, local_polynomial
from spectralid.preprocess._points import by_missing, mean_spacing
from spectralid.preprocess._whittaker import stiffness, whittaker
from spectralid.spectrum import FloatArray

__all__ = ["SavitzkyGolay", "Whittaker"]


class SavitzkyGolay(Step):
    """Each point replaced by a polynomial fitted to the points around it.

    Parameters
    ----------
    window : int
        Points in the sliding window, odd.
    order : int
        Order of the polynomial, below `window`.
    axis : array_like of float, shape (n_points,), optional
        Axis in cm⁻¹ for `transform`; without it points count as evenly spaced. A spectrum brings its own.

    Notes
    -----
    On an uneven axis the polynomial is fitted at the true positions. Missing points stay missing; gaps of
    less than half a window are bridged by the fit, wider ones divide the spectrum, and parts shorter than the
    window become missing (diagnostic ``"lost"``, points per spectrum).

    References
    ----------
    A. Savitzky, M. J. E. Golay, Anal. Chem. 36 (1964) 1627.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralid import Spectrum
    >>> from spectralid.preprocess import SavitzkyGolay
    >>> axis = np.arange(400.0, 1801.0, 2.0)
    >>> band = 100 * np.exp(-(((axis - 1001.0) / 8) ** 2))
    >>> noise = np.random.default_rng(0).normal(size=axis.size)
    >>> raw = Spectrum(axis, band + noise, technique="raman")
    >>> smooth = SavitzkyGolay(window=9, order=3)(raw)
    >>> bool(np.std(smooth.intensity - band) < 0.7 * np.std(noise))
    True
    """

    name = "savitzky_golay"
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "window": Number(3, odd=True),
        "order": Number(0, 9, integer=True),
    }

    def __init__(self, window: int = 9, order: int = 3, *, axis: npt.ArrayLike | None = None) -> None:
        self.window = window
        self.order = order
        self.axis = axis

    def _validate_together(self) -> None:
        check_window(self.window, self.order)

    def _map(self, axis: FloatArray, X: FloatArray) -> StepResult:
        filtered, lost = local_polynomial(axis, X, self.window, self.order, 0)
        return StepResult(axis, filtered, {"lost": lost})


class Whittaker(Step):
    """The curve that balances closeness to the points against roughness.

    Minimises ``sum((y - z)²) + lam · sum((D z)²)`` with D the divided differences of `order`, so that uneven
    axes are treated at their true positions.

    Parameters
    ----------
    scale_cm1 : float
        Period in cm⁻¹ of the structure that is halved; what is wider stays. It sets
        ``lam = (scale_cm1 / (2π · spacing)) ** (2 · order)``.
    order : int
        Order of the differences, 1 to 3.
    axis : array_like of float, shape (n_points,), optional
        Axis in cm⁻¹ for `transform`. A spectrum brings its own.

    Notes
    -----
    Missing points have no weight and stay missing. Diagnostic: ``"lam"``.

    References
    ----------
    P. H. C. Eilers, Anal. Chem. 75 (2003) 3631.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralid import Spectrum
    >>> from spectralid.preprocess import Whittaker
    >>> axis = np.arange(400.0, 1801.0, 2.0)
    >>> band = 100 * np.exp(-(((axis - 1001.0) / 8) ** 2))
    >>> noise = np.random.default_rng(0).normal(size=axis.size)
    >>> raw = Spectrum(axis, band + noise, technique="raman")
    >>> smooth = Whittaker(scale_cm1=6.0)(raw)
    >>> bool(np.std(smooth.intensity[axis > 1100]) < 0.7 * np.std(noise))
    False
    """

    name = "whittaker"
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "scale_cm1": Number(0, open_low=True),
        "order": Number(1, 3, integer=True),
    }

    def __init__(self, scale_cm1: float = 12.0, order: int = 2, *, axis: npt.ArrayLike | None = None) -> None:
        self.scale_cm1 = scale_cm1
        self.order = order
        self.axis = axis

    def _needs_axis(self) -> bool:
        return True

    def _map(self, axis: FloatArray, X: FloatArray) -> StepResult:
        lam = stiffness(self.scale_cm1, mean_spacing(axis), self.order)
        out = np.full(X.shape, np.nan)
        for rows, measured in by_missing(X):
            points = np.ix_(rows, np.flatnonzero(measured))
            # With fewer points than the differences need there is nothing to smooth.
            if measured.sum() <= self.order:
                out[points] = X[points]
                continue
            out[points] = whittaker(axis, np.where(measured, X[rows], 0.0), measured, lam, self.order)[
                :, measured
            ]
        return StepResult(axis, out, {"lam": lam})
