"""Linear Gaussian models of a spectrum: banded covariance, projection and evidence.

One form serves the whole engine::

    y = M a + N b + F c + e,    b ~ N(0, B²),  c ~ N(0, I),  e ~ N(0, V)

``M`` are shapes whose amounts are wanted, ``N`` shapes of which next to nothing is known (background; B is
many times the spectrum), ``F`` what has a known spread along the whole axis (response, axis). ``V`` is
banded: noise, and whatever is local, which is heights, places and widths of single bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spectralid.spectrum import FloatArray

__all__ = ["BACKGROUND_SD", "Banded", "LeftOver", "Reduced", "correlated", "reduce"]

BACKGROUND_SD: Final = 30.0
"""Standard deviation of the coefficients of the background, for spectra that span 0 … 1."""


def correlated(correlation: FloatArray, signals: FloatArray) -> FloatArray:
    """Covariance of signals that vary by factors of their own, alike nearby.

    Parameters
    ----------
    correlation : ndarray, shape (n_diagonals,)
        Of the factors of two points that so many points lie between.
    signals : ndarray, shape (m, n)
        Standard deviations, signed, of independent parts.

    Returns
    -------
    ndarray, shape (n_diagonals, n)
        Lower diagonals, main one first.
    """
    n = signals.shape[1]
    lower = np.zeros((correlation.size, n))
    for d, c in enumerate(correlation):
        lower[d, : n - d] = c * np.einsum("ij,ij->j", signals[:, : n - d], signals[:, d:])
    return lower


class Banded:
    """A banded covariance, factored.

    Parameters
    ----------
    lower : ndarray, shape (bandwidth + 1, n)
        Diagonals, main one first: ``lower[d, i]`` is the covariance of points ``i`` and ``i + d``.
    known : ndarray of bool, shape (n,)
        Points that are known; the others carry nothing.
    """

    __slots__ = ("_factor", "known", "log_det", "precision")

    def __init__(self, lower: FloatArray, known: npt.NDArray[np.bool_]) -> None:
        from scipy.linalg.lapack import dpbtrf

        diagonals = np.array(lower)
        # Of each point for itself, whatever its neighbours do.
        self.precision: FloatArray = known / lower[0]
        if not known.all():
            # A point that is not known is made independent of the rest, and its rows are zero from then on.
            for d in range(1, len(diagonals)):
                diagonals[d, : known.size - d] *= known[:-d] & known[d:]
            diagonals[0][~known] = 1.0
        self._factor, status = dpbtrf(diagonals, lower=1)
        if status != 0:
            raise np.linalg.LinAlgError("the covariance of a spectrum is not positive")
        self.known = known
        self.log_det = 2 * float(np.log(self._factor[0]).sum())

    def white(self, columns: FloatArray) -> FloatArray:
        """Columns, shape (n, k), in coordinates where the noise is white; zero where not known."""
        return self._solved(columns, "N")

    def back(self, columns: FloatArray) -> FloatArray:
        """Transposed of `white`: white coordinates to weights on the axis."""
        return self._solved(columns, "T")

    def _solved(self, columns: FloatArray, trans: str) -> FloatArray:
        from scipy.linalg.lapack import dtbtrs

        right = np.asfortranarray(columns * self.known[:, None])
        if not right.size:
            return right  # SciPy's wrapper writes beyond an array without columns; the process dies later.
        solved, _ = dtbtrs(self._factor, right, uplo="L", trans=trans, overwrite_b=1)
        return np.asarray(solved * self.known[:, None]) if trans == "T" else np.asarray(solved)


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
        Log determinant of the covariance, the flat shapes included.
    nuisance : tuple of ndarray
        Coefficients of ``N`` and ``F`` with no amount at all, shape (q,), and what each amount takes from
        them, shape (q, k).
    """

    information: FloatArray
    right: FloatArray
    square: float
    log_det: float
    nuisance: tuple[FloatArray, FloatArray]

    def amounts(self) -> tuple[FloatArray, FloatArray]:
        """Amounts of at least 0 and their standard deviations."""
        from scipy.optimize import nnls

        information = self.information.copy()
        information.flat[:: information.shape[0] + 1] *= 1 + 1e-10
        sd = np.sqrt(np.diag(np.linalg.inv(information)))
        free = np.linalg.solve(information, self.right)
        if np.all(free >= 0):
            return np.asarray(free), sd
        upper = np.linalg.cholesky(information).T
        solved, _ = nnls(upper, np.linalg.solve(upper.T, self.right))
        return np.asarray(solved), sd

    def square_at(self, amounts: FloatArray) -> float:
        """Squared Mahalanobis length of what given amounts leave of the spectrum (χ²)."""
        return float(self.square - 2 * amounts @ self.right + amounts @ self.information @ amounts)

    def mixed(self, parts: FloatArray) -> Reduced:
        """The same in other amounts ``b``, where ``a = parts · b``.

        Parameters
        ----------
        parts : ndarray, shape (k, m)
            How much of each amount is in one of the new ones, at least 0.
        """
        free, taken = self.nuisance
        return Reduced(
            parts.T @ self.information @ parts, parts.T @ self.right, self.square, self.log_det,
            (free, taken @ parts),
        )  # fmt: skip

    def log_evidence(self, prior_sd: FloatArray) -> float:
        """Log density with normal priors of deviation `prior_sd` on the amounts, up to a constant."""
        scaled = self.information * prior_sd[:, None] * prior_sd
        scaled.flat[:: scaled.shape[0] + 1] += 1.0
        lower = np.linalg.cholesky(scaled)
        gained = _solve_lower(lower, self.right * prior_sd)
        log_det = self.log_det + 2 * float(np.log(np.diag(lower)).sum())
        return -0.5 * (log_det + self.square - float(gained @ gained))

    def coefficients(self, amounts: FloatArray) -> FloatArray:
        """Coefficients of ``N`` and ``F`` at given amounts, shape (q,)."""
        return np.asarray(self.nuisance[0] - self.nuisance[1] @ amounts)


def reduce(noise: Banded, y: FloatArray, means: FloatArray, flat: FloatArray, factors: FloatArray) -> Reduced:
    """What is left of the amounts and the spectrum when all else is accounted for.

    Parameters
    ----------
    noise : Banded
        Covariance ``V``.
    y : ndarray, shape (n,)
        Spectrum, anything where not known.
    means, flat, factors : ndarray, shape (n, k), (n, n_flat), (n, n_factors)
        ``M``, ``N`` and ``F``.
    """
    n_flat, q, k = flat.shape[1], flat.shape[1] + factors.shape[1], means.shape[1]
    white = noise.white(np.concatenate([flat, factors, means, y[:, None]], axis=1))
    gram = white.T @ white
    inner = gram[:q, :q]
    inner.flat[: n_flat * (q + 1) : q + 1] += 1 / BACKGROUND_SD**2
    inner.flat[n_flat * (q + 1) :: q + 1] += 1.0
    lower = np.linalg.cholesky(inner)
    explained = _solve_lower(lower, gram[:q, q:])
    left = gram[q:, q:] - explained.T @ explained
    log_det = noise.log_det + 2 * float(np.log(np.diag(lower)).sum())
    coefficients = _solve_upper(lower, explained)
    return Reduced(
        left[:k, :k], left[:k, k], float(left[k, k]), log_det, (coefficients[:, k], coefficients[:, :k])
    )


class LeftOver:
    """A spectrum without all that is accounted for: what more there may be shows here, in white noise.

    Parameters
    ----------
    noise : Banded
        Covariance ``V``.
    y : ndarray, shape (n,)
        Spectrum.
    flat, factors : ndarray, shape (n, n_flat), (n, n_factors)
        What is accounted for: shapes of free amount, and those of known spread.

    Attributes
    ----------
    y : ndarray, shape (n + n_flat + n_factors,)
        What is left of the spectrum; the last places stand for the spread of the coefficients.
    """

    __slots__ = ("_basis", "_noise", "_padding", "y")

    def __init__(self, noise: Banded, y: FloatArray, flat: FloatArray, factors: FloatArray) -> None:
        self._noise = noise
        white = noise.white(np.concatenate([flat, factors], axis=1))
        # A coefficient of known spread is a free one of which one more value, 0, has been observed.
        spread = np.concatenate([np.full(flat.shape[1], BACKGROUND_SD), np.ones(factors.shape[1])])
        seen = np.diag(1 / spread)
        self._padding = spread.size
        self._basis, _ = np.linalg.qr(np.concatenate([white, seen]))
        self.y = self.whiten(y[:, None])[:, 0]

    def whiten(self, columns: FloatArray) -> FloatArray:
        """Shapes, (n, k), without what is accounted for, in white noise: shape (as `y`, k)."""
        white = self._noise.white(columns)
        padded = np.concatenate([white, np.zeros((self._padding, white.shape[1]))])
        return np.asarray(padded - self._basis @ (self._basis.T @ padded))

    def weights(self) -> FloatArray:
        """Weights v on the axis with ``v · s = whiten(s) · y`` for every shape ``s``, shape (n,)."""
        n = self._noise.known.size
        return np.asarray(self._noise.back(self.y[:n, None])[:, 0])

    @property
    def precision(self) -> FloatArray:
        """One over the variance of each point for itself, shape (n,); 0 where not known."""
        return self._noise.precision

    def significance(self, columns: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Standard deviations of each shape, (n, k), that the rest holds, and the shapes' information.

        A shape that is nearly accounted for carries no information and gets 0.
        """
        white = self.whiten(columns)
        information = np.einsum("ij,ij->j", white, white)
        alone = self._noise.white(columns)
        usable = information > 1e-3 * np.einsum("ij,ij->j", alone, alone)
        z = np.zeros(information.size)
        np.divide(
            white.T @ self.y, np.sqrt(information, where=usable, out=np.ones_like(z)), out=z, where=usable
        )
        return z, np.where(usable, information, 0.0)


def _solve_lower(lower: npt.NDArray[np.floating[Any]], right: FloatArray) -> FloatArray:
    from scipy.linalg import solve_triangular

    solved: Any = solve_triangular(lower, right, lower=True, check_finite=False)
    return np.asarray(solved)


def _solve_upper(lower: npt.NDArray[np.floating[Any]], right: FloatArray) -> FloatArray:
    from scipy.linalg import solve_triangular

    solved: Any = solve_triangular(lower, right, lower=True, trans="T", check_finite=False)
    return np.asarray(solved)
