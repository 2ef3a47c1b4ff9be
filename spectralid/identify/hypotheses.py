"""Explanations of one spectrum and their evidence: sets of references, or nothing that is in the library."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spectralid.identify.gaussian import Banded, LeftOver, Reduced, correlated, reduce
from spectralid.identify.mismatch import Freedom, Mismatch
from spectralid.identify.references import ReferenceSet, lower_envelope
from spectralid.identify.shapes import bump
from spectralid.spectrum import FloatArray

__all__ = ["WIDE", "Explanation", "Fitted", "Scene"]

# The prior of an amplitude is this many times its estimate wide: it costs each component a few nats and moves
# no estimate.
WIDE: Final = 3.0
# Bands nobody has a reference for: distance in cm⁻¹ at which they are independent, and the distance over
# which the spectrum's own strength is taken.
_FREE_BAND_REACH: Final = 18.0
_FREE_BAND_STRENGTH: Final = 12.0
_ROUNDS: Final = 2
# Shapes that are kept, 8 kB each: far more than a search asks for, and an end for a scene that lives long.
_REMEMBERED: Final = 4096
# The common shift is followed in so many steps at most, until it moves by less than this, cm⁻¹.
_FOLLOWED: Final = 3
_STILL: Final = 0.4
# Followed no further than this: beyond it the straight line that stands for a band's flank is none.
_LEASH: Final = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """A set of references fitted to a spectrum.

    Attributes
    ----------
    rows : tuple of int
        References, in the order they were selected.
    amounts : ndarray, shape (n,)
        Amplitude of each, at least 0.
    sd : ndarray, shape (n,)
        Standard deviation of each amplitude, mismatch included.
    shift_cm1 : float
        Common shift of the axis.
    log_evidence : float
        Evidence in nats over that of *nothing in the library* at the same points.
    drift_cm1 : float
        By how much the common shift would have to move to fit better.
    """

    rows: tuple[int, ...]
    amounts: FloatArray
    sd: FloatArray
    shift_cm1: float
    log_evidence: float
    drift_cm1: float


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """References at a common shift with everything their fit went by.

    Attributes
    ----------
    shapes : ndarray, shape (n, n_grid)
        The references.
    known : ndarray of bool, shape (n_grid,)
        Points that the spectrum and every reference know.
    variance : ndarray, shape (n_grid,)
        Of each point: noise, and what the references leave open there.
    noise : Banded
        The covariance whose diagonal that is.
    common : ndarray, shape (n_grid, n_common)
        What is free along the whole axis.
    reduced : Reduced
        Quadratic form of the amounts.
    """

    shapes: FloatArray
    known: npt.NDArray[np.bool_]
    variance: FloatArray
    noise: Banded
    common: FloatArray
    reduced: Reduced


class Scene:
    """One spectrum on the common grid with its noise, background and the freedom of references.

    Parameters
    ----------
    values : ndarray, shape (n_grid,)
        Intensities, NaN where not known, scaled to span 0 … 1.
    noise : ndarray, shape (n_grid,)
        Noise variance.
    references : ReferenceSet
        What may explain it.
    background : ndarray, shape (n_grid, n_background)
        Shapes of the background.
    mismatch : Mismatch
        How far references may be off.
    freedom : Freedom
        On the same grid.
    scale : tuple of float
        What was subtracted from the intensities, and what they were divided by then.
    """

    def __init__(
        self,
        values: FloatArray,
        noise: FloatArray,
        references: ReferenceSet,
        background: FloatArray,
        mismatch: Mismatch,
        freedom: Freedom,
        scale: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.scale = scale
        self.known = np.isfinite(values)
        self.references = references
        self.freedom = freedom
        positions = np.arange(values.size)
        self.values = np.interp(positions, positions[self.known], values[self.known])
        self.bands = self.values - lower_envelope(self.values[None], background)[0]
        self.height = float(np.max(self.bands[self.known]))
        self.measured = noise
        self.background = background
        self._shapes: dict[tuple[int, float], FloatArray] = {}
        self._take(mismatch)

    def _take(self, mismatch: Mismatch) -> None:
        self.mismatch = mismatch
        # What no model of bands is trusted beyond: line shapes, and the reference's own noise.
        trust = (mismatch.floor * self.height) ** 2 + (mismatch.shape * self.bands) ** 2
        self.noise = self.measured + trust
        self._nothing: dict[bytes, float] = {}

    def under(self, mismatch: Mismatch) -> Scene:
        """The same spectrum where references may be off by something else."""
        other = copy.copy(self)
        other._take(mismatch)
        return other

    def shapes(self, rows: Sequence[int], shift_cm1: float) -> FloatArray:
        """References at a common shift, shape (len(rows), n_grid)."""
        if len(self._shapes) > _REMEMBERED:
            self._shapes.clear()
        for row in rows:
            if (row, shift_cm1) not in self._shapes:
                self._shapes[row, shift_cm1] = self.references.moved(row, shift_cm1)
        return np.array([self._shapes[row, shift_cm1] for row in rows])

    def known_for(self, rows: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Points that the spectrum and every one of `rows` know."""
        return np.asarray(np.logical_and.reduce([self.known, *(self.references.known[r] for r in rows)]))

    def nothing(self, known: npt.NDArray[np.bool_]) -> float:
        """Log evidence of *nothing in the library* at the points of `known`.

        Bands of any height wherever the spectrum has bands: their strength follows the spectrum itself, so
        that this explanation is good at what it claims.
        """
        key = np.packbits(known).tobytes()
        if key not in self._nothing:
            from scipy.ndimage import gaussian_filter1d

            step = float(self.references.grid[1] - self.references.grid[0])
            reach = _FREE_BAND_STRENGTH / step
            strength = np.sqrt(gaussian_filter1d(self.bands**2, reach, mode="nearest") + self.noise)
            correlation = bump(np.arange(0.0, _FREE_BAND_REACH, step) / _FREE_BAND_REACH)
            lower = correlated(correlation, strength[None])
            lower[0] += self.noise
            nobody = np.empty((strength.size, 0))
            reduced = reduce(Banded(lower, known), self.values, nobody, self.background, nobody)
            self._nothing[key] = reduced.log_evidence(np.empty(0))
        return self._nothing[key]

    def explain(self, rows: Sequence[int], shift_cm1: float, start: FloatArray | None = None) -> Explanation:
        """Fit a set of references at a common shift and weigh the evidence for it.

        Parameters
        ----------
        rows : sequence of int
            At least one reference.
        shift_cm1 : float
            Common shift.
        start : ndarray, optional
            Amounts to start from.
        """
        return self._fit(tuple(rows), self.shapes(rows, shift_cm1), self.known_for(rows), shift_cm1, start)

    def fitted(self, rows: Sequence[int], shift_cm1: float, start: FloatArray | None = None) -> Fitted:
        """What `explain` goes by, for fits of which somebody fixes a part.

        Parameters
        ----------
        rows, shift_cm1, start
            As for `explain`; the same give the same amounts.
        """
        return self._fitted(self.shapes(rows, shift_cm1), self.known_for(rows), start)[0]

    def log_density(self, rows: Sequence[int], shift_cm1: float) -> float:
        """Log evidence of a set of references at a common shift, up to a constant of the spectrum."""
        return self._fitted(self.shapes(rows, shift_cm1), self.known_for(rows), None)[3]

    def explain_with_decoy(self, base: Explanation, row: int, move: int) -> Explanation:
        """`base` and one reference more, moved by so many grid points that it is none of the library."""
        decoy = np.roll(self.references.values[row].astype(np.float64), move)
        shapes = np.concatenate([self.shapes(base.rows, base.shift_cm1), decoy[None]])
        return self._fit(base.rows, shapes, self.known_for(base.rows), base.shift_cm1, None)

    def follow(self, explanation: Explanation, value: Callable[[Explanation], float]) -> Explanation:
        """The same references at the common shift nearby that `value` rates best."""
        here, centre = explanation, explanation.shift_cm1
        for _ in range(_FOLLOWED):
            if abs(here.drift_cm1) < _STILL:
                break
            # Where the whole way is too far (the shift has a prior), half of it may not be.
            ways = [
                min(max(here.shift_cm1 + part * here.drift_cm1, centre - _LEASH), centre + _LEASH)
                for part in (1, 0.5)
            ]
            for place in ways:
                tried = self.explain(here.rows, place, here.amounts)
                if value(tried) > value(here):
                    break
            else:
                break
            here = tried
        return here

    def left_over(self, explanation: Explanation) -> LeftOver:
        """What an explanation, with all the freedom of its references, leaves of the spectrum."""
        shapes = self.shapes(explanation.rows, explanation.shift_cm1)
        lower, common = self._freedom(shapes, explanation.amounts)
        noise = Banded(lower, self.known_for(explanation.rows))
        return LeftOver(noise, self.values, np.concatenate([self.background, shapes.T], axis=1), common)

    def _freedom(self, shapes: FloatArray, amounts: FloatArray) -> tuple[FloatArray, FloatArray]:
        signals = shapes * amounts[:, None]
        lower = self.freedom.local(signals, self.mismatch)
        lower[0] += self.noise
        return lower, self.freedom.common(signals.sum(axis=0), self.mismatch)

    def _fit(
        self,
        rows: tuple[int, ...],
        shapes: FloatArray,
        known: npt.NDArray[np.bool_],
        shift_cm1: float,
        start: FloatArray | None,
    ) -> Explanation:
        _, amounts, sd, evidence, drift = self._fitted(shapes, known, start)
        return Explanation(rows, amounts, sd, shift_cm1, evidence - self.nothing(known), drift)

    def _fitted(
        self, shapes: FloatArray, known: npt.NDArray[np.bool_], start: FloatArray | None
    ) -> tuple[Fitted, FloatArray, FloatArray, float, float]:
        """The fit, amounts, their standard deviations, log evidence, and where the shift wants to go."""
        # Mismatch grows with the amounts: begin with those of a fit that allows for none of it.
        amounts = self._rough(shapes, known) if start is None else start
        for _ in range(_ROUNDS):
            lower, common = self._freedom(shapes, amounts)
            noise = Banded(lower, known)
            reduced = reduce(noise, self.values, shapes.T, self.background, common)
            amounts, sd = reduced.amounts()
        evidence = reduced.log_evidence(WIDE * np.maximum(amounts, sd))
        drift = self.freedom.axis_unit * float(reduced.coefficients(amounts)[self.background.shape[1]])
        fitted = Fitted(shapes, known, lower[0], noise, common, reduced)
        return fitted, amounts, sd, evidence, drift

    def _rough(self, shapes: FloatArray, known: npt.NDArray[np.bool_]) -> FloatArray:
        from scipy.optimize import nnls

        scale = known / np.sqrt(self.noise)
        flat, _ = np.linalg.qr(self.background * scale[:, None])
        columns = np.column_stack([shapes.T, self.values]) * scale[:, None]
        columns -= flat @ (flat.T @ columns)
        solved, _ = nnls(columns[:, :-1], columns[:, -1])
        return np.asarray(solved)
