"""Linear Gaussian models of a spectrum: whitening, projection and evidence.

One form serves the whole engine::

    y = N a + F b + e,    a flat,  b ~ N(0, I),  e ~ N(0, diag(variance))

``N`` are shapes of which nothing is known (background), ``F`` holds whatever has a known spread: components
with the freedom their references leave, containers, bands nobody has a reference for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from spectralid.spectrum import FloatArray

_Floats = npt.NDArray[np.floating[Any]]

__all__ = ["Products", "Reduced", "Weights", "explained_rows"]


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Noise and background of one spectrum on a grid, ready for many models.

    Attributes
    ----------
    scale : ndarray, shape (n_grid,)
        One over the standard deviation of each point, 0 where the spectrum is not known.
    flat : ndarray, shape (n_grid, n_background)
        Orthonormal basis of the weighted background.
    y : ndarray, shape (n_grid,)
        Weighted spectrum without its part in the background.
    """

    scale: FloatArray
    flat: FloatArray
    y: FloatArray

    @classmethod
    def of(cls, values: FloatArray, variance: FloatArray, background: FloatArray) -> Self:
        """Weights of a spectrum.

        Parameters
        ----------
        values : ndarray, shape (n_grid,)
            Intensities, NaN where not known.
        variance : ndarray, shape (n_grid,)
            Noise variance, above 0 where `values` is known.
        background : ndarray, shape (n_grid, n_background)
            Shapes whose amplitude is free.
        """
        known = np.isfinite(values)
        scale = np.where(known, 1.0 / np.sqrt(np.where(known, variance, 1.0)), 0.0)
        weighted = background * scale[:, None]
        # Shapes that live where nothing is known carry no weight and would spoil the basis.
        size = np.sqrt(np.einsum("ij,ij->j", weighted, weighted))
        flat, _ = np.linalg.qr(weighted[:, size > 1e-6 * size.max()])
        y = np.where(known, values, 0.0) * scale
        return cls(scale, flat, y - flat @ (flat.T @ y))

    def whiten(self, columns: FloatArray) -> FloatArray:
        """Weighted `columns` (n_grid, k) without their part in the background."""
        weighted = columns * self.scale[:, None]
        return np.asarray(weighted - self.flat @ (self.flat.T @ weighted))


class Products:
    """Inner products of whitened columns, from which every model made of them follows by small algebra.

    Parameters
    ----------
    y : ndarray, shape (n_grid,)
        Whitened spectrum.
    means : ndarray, shape (n_grid, k)
        Whitened shapes whose amounts are wanted.
    factors : ndarray, shape (n_grid, r)
        Whitened factors for coefficients of standard deviation 1.
    base : Products, optional
        Products of the same spectrum with means and factors that come first; they are not computed again.
    """

    __slots__ = ("_columns", "_ff", "_fm", "_k", "_mm")

    def __init__(
        self, y: FloatArray, means: FloatArray, factors: FloatArray, base: Products | None = None
    ) -> None:
        self._k: int = means.shape[1] + (0 if base is None else base._k)
        if base is None:
            m, f = np.column_stack([means, y]), factors
            self._mm, self._fm, self._ff = m.T @ m, f.T @ m, f.T @ f
        else:
            old_m, old_f = base._columns
            k = base._k
            m = np.column_stack([old_m[:, :k], means, old_m[:, k]])
            f = np.concatenate([old_f, factors], axis=1)
            r = old_f.shape[1]
            self._mm = m.T @ m
            self._ff = np.empty((f.shape[1], f.shape[1]))
            self._ff[:r, :r] = base._ff
            self._ff[r:] = factors.T @ f
            self._ff[:r, r:] = self._ff[r:, :r].T
            self._fm = f.T @ m
        self._columns: tuple[FloatArray, FloatArray] = (m, f)

    def plain(self) -> Reduced:
        """The quadratic form with no factor at all: white noise and background only."""
        k = self._k
        return Reduced(self._mm[:k, :k], self._mm[:k, k], float(self._mm[k, k]), 0.0)

    def reduced(self, scales: FloatArray) -> Reduced:
        """What is left of the means and the spectrum when the factors, times `scales`, are accounted for."""
        k = self._k
        gram = self._ff * scales[:, None] * scales
        gram.flat[:: gram.shape[0] + 1] += 1.0
        lower = np.linalg.cholesky(gram)
        explained = _solve_lower(lower, self._fm * scales[:, None])
        left = self._mm - explained.T @ explained
        return Reduced(left[:k, :k], left[:k, k], float(left[k, k]), 2 * float(np.log(np.diag(lower)).sum()))


@dataclass(frozen=True, slots=True, eq=False)
class Reduced:
    """Quadratic form of the log density in the amounts.

    Attributes
    ----------
    information : ndarray, shape (k, k)
        Fisher information of the amounts.
    right : ndarray, shape (k,)
        Its right-hand side.
    square : float
        Squared Mahalanobis length of the spectrum with no amount at all.
    log_det : float
        Log determinant of the covariance.
    """

    information: FloatArray
    right: FloatArray
    square: float
    log_det: float

    def amounts(self) -> tuple[FloatArray, FloatArray]:
        """Amounts of at least 0 and their standard deviations."""
        from scipy.optimize import nnls

        information = self.information.copy()
        information.flat[:: information.shape[0] + 1] *= 1 + 1e-10
        upper = np.linalg.cholesky(information).T
        solved, _ = nnls(upper, np.linalg.solve(upper.T, self.right))
        return np.asarray(solved), np.sqrt(np.diag(np.linalg.inv(information)))

    def log_evidence(self, prior_sd: FloatArray) -> float:
        """Log density with normal priors of deviation `prior_sd` on the amounts, up to a constant."""
        scaled = self.information * prior_sd[:, None] * prior_sd
        scaled.flat[:: scaled.shape[0] + 1] += 1.0
        lower = np.linalg.cholesky(scaled)
        gained = _solve_lower(lower, self.right * prior_sd)
        log_det = self.log_det + 2 * float(np.log(np.diag(lower)).sum())
        return -0.5 * (log_det + self.square - float(gained @ gained))


def explained_rows(factors: FloatArray) -> FloatArray:
    """Rows H with ``(I + F Fᵀ)⁻¹ = I − Hᵀ H``, shape (r, n_grid); for products with a whole library."""
    gram = factors.T @ factors
    gram.flat[:: gram.shape[0] + 1] += 1.0
    return _solve_lower(np.linalg.cholesky(gram), factors.T)


def _solve_lower(lower: _Floats, right: _Floats) -> FloatArray:
    from scipy.linalg import solve_triangular

    solved: Any = solve_triangular(lower, right, lower=True, check_finite=False)
    return np.asarray(solved)
