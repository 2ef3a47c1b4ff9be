"""What is left of a spectrum beside its known components, and how much of it a class explains.

Everything a family model weighs comes from here, in training as in use, so that both see the same thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from spectralid.identify.hypotheses import Explanation, Scene
from spectralid.identify.references import background_shapes, lower_envelope
from spectralid.identify.shapes import splines
from spectralid.spectrum import FloatArray, Technique

__all__ = ["ClassShape", "Evidencer", "Rest", "class_gains"]

# What is taken for uncertain at every point: of the highest band, and of the band there.
_FLOOR: Final = 0.01
_SHAPE: Final = 0.05
# How far a component's reference may be off: slow gain, single bands, place (cm⁻¹), width (cm⁻²).
_GAIN: Final = 0.3
_BAND: Final = 0.12
_SHIFT: Final = 1.5
_WIDTH: Final = 10.0
_GAIN_SPACING: Final = 900.0
# A positive rest of more than so many deviations is somebody else's band and must not pull the amounts.
_ROBUST: Final = 2.0
_ROUNDS: Final = 3
# Strengths are the least certain part of a relative's spectrum: they are compressed, as a square root well
# above what is uncertain and not at all below.
_COMPRESSED: Final = 2.0
# Standard deviations of the Gaussians whose derivatives are compared, in cm⁻¹: bands of relatives move.
_WIDTHS: Final = {"raman": (6.0, 12.0), "infrared": (10.0, 20.0)}
# Where families show: low, high in cm⁻¹, weight. Bonds to hydrogen say little, carbon dioxide nothing.
_WINDOWS: Final = {
    "raman": ((200.0, 1850.0, 1.0), (2700.0, 3200.0, 0.3)),
    "infrared": ((600.0, 1850.0, 1.0), (2450.0, 3700.0, 0.5)),
}


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """A spectrum without its known components and background.

    Attributes
    ----------
    values : ndarray, shape (n_grid,)
        What is left, in units of the highest band of the whole spectrum; 0 where not known.
    tolerance : ndarray, shape (n_grid,)
        Standard deviation of what may be wrong there: noise, and how far the references may be off.
    known : ndarray of bool, shape (n_grid,)
        Where the spectrum is known.
    explained : ndarray, shape (n_grid, k)
        Shapes of the components that were taken out.
    share : float
        Share of the signal that is left, 0 … 1.
    """

    values: FloatArray
    tolerance: FloatArray
    known: npt.NDArray[np.bool_]
    explained: FloatArray
    share: float

    @property
    def y(self) -> FloatArray:
        """What is left, whitened, shape (n_grid,)."""
        return self.whiten(self.values[:, None])[:, 0]

    def whiten(self, columns: FloatArray) -> FloatArray:
        """Weighted `columns` (n_grid, k) without their part in what was taken out."""
        scale = np.where(self.known, 1.0 / self.tolerance, 0.0)[:, None]
        weighted = columns * scale
        if self.explained.shape[1]:
            flat, _ = np.linalg.qr(self.explained * scale)
            weighted = weighted - flat @ (flat.T @ weighted)
        return np.asarray(weighted)


@dataclass(frozen=True, slots=True, eq=False)
class ClassShape:
    """What the members of a class look like.

    Attributes
    ----------
    mean : ndarray, shape (n_grid,)
        Mean of the members' prepared references.
    directions : ndarray, shape (n_grid, k)
        Principal directions in which they differ, each times its standard deviation.
    """

    mean: FloatArray
    directions: FloatArray

    @classmethod
    def of(cls, members: FloatArray, directions: int = 3) -> Self:
        """Shape of a class from its members.

        Parameters
        ----------
        members : ndarray, shape (n, n_grid)
            Prepared references (`ReferenceSet.values`), at least two, one substance one row.
        directions : int
            How many directions at most.
        """
        mean = members.mean(axis=0)
        _, s, v = np.linalg.svd(members - mean, full_matrices=False)
        k = min(directions, len(members) - 1)
        # One nobody has measured differs from the mean of n by what one differs, and by the mean's error.
        sd = s[:k] * np.sqrt((1 + 1 / len(members)) / (len(members) - 1))
        return cls(mean, v[:k].T * sd)


def class_gains(shapes: FloatArray, rest: Rest) -> FloatArray:
    """Share of what is left that each class explains, by marginal likelihood over that of no class.

    The amount of a class is free and at least 0; its directions have their spread times the amount.

    Parameters
    ----------
    shapes : ndarray, shape (n_classes, 1 + n_directions, n_grid)
        Mean and directions of each class.
    rest : Rest
        What is left of a spectrum.

    Returns
    -------
    ndarray, shape (n_classes,)
        At most 1; 1 for a class that explains everything.
    """
    n, k, points = shapes.shape
    y = rest.y
    white = rest.whiten(shapes.reshape(n * k, points).T).T
    right = (white @ y).reshape(n, k)
    white = white.reshape(n, k, points)
    gram = white @ white.transpose(0, 2, 1)
    square = max(float(y @ y), 1e-12)
    energy = np.maximum(gram[:, 0, 0], 1e-12)
    amount = np.maximum(right[:, 0], 0.0) / energy
    identity = np.eye(k - 1)
    gained = np.zeros(n)
    for _ in range(2):
        each = amount[:, None]
        inner = gram[:, 1:, 1:] * each[:, :, None] ** 2 + identity
        sides = np.stack([each * gram[:, 1:, 0], each * right[:, 1:]], axis=2)
        solved = np.linalg.solve(inner, sides)
        taken = sides.transpose(0, 2, 1) @ solved
        mm = np.maximum(energy - taken[:, 0, 0], 1e-12 * energy)
        my = right[:, 0] - taken[:, 0, 1]
        amount = np.maximum(my, 0.0) / mm
        gained = taken[:, 1, 1] + 2 * amount * my - amount**2 * mm - np.linalg.slogdet(inner)[1]
    return np.asarray(gained / square)


class Evidencer:
    """Takes known components out of spectra on one grid, and turns what is left into features.

    Parameters
    ----------
    grid : ndarray, shape (n_grid,)
        Common grid in cm⁻¹, even.
    technique : Technique
        Of the spectra.
    """

    def __init__(self, grid: FloatArray, technique: Technique) -> None:
        self.grid = grid
        self._step = float(grid[1] - grid[0])
        kind = "infrared" if technique.is_infrared else "raman"
        self._background = background_shapes(grid, technique)
        self._gain = splines(grid, _GAIN_SPACING)
        self._widths = tuple(w / self._step for w in _WIDTHS[kind])
        window = np.zeros(grid.size)
        for low, high, weight in _WINDOWS[kind]:
            window[(grid >= low) & (grid <= high)] = weight
        self._places = np.flatnonzero(window)[:: max(1, int(min(self._widths)))]
        self._window = window[self._places]

    @property
    def n_features(self) -> int:
        """Length of a feature vector."""
        return self._places.size * len(self._widths)

    def rest(self, values: FloatArray, shapes: Sequence[FloatArray], noise: FloatArray | None = None) -> Rest:
        """Take components out of a spectrum.

        Parameters
        ----------
        values : ndarray, shape (n_grid,)
            Intensities, NaN where not known.
        shapes : sequence of ndarray, shape (n_grid,)
            Prepared references of the known components, where the spectrum's axis has them.
        noise : ndarray, shape (n_grid,), optional
            Noise variance.
        """
        known = np.isfinite(values)
        positions = np.arange(values.size)
        filled = np.interp(positions, positions[known], values[known])
        bands = np.maximum(filled - lower_envelope(filled[None], self._background)[0], 0.0)
        height = float(bands[known].max()) or 1.0
        bands = np.where(known, bands / height, 0.0)
        variance = _FLOOR**2 + (_SHAPE * bands) ** 2
        if noise is not None:
            variance = variance + noise / height**2
        explained = np.column_stack(shapes) if shapes else np.empty((values.size, 0))
        if not shapes:
            return Rest(bands, np.sqrt(variance), known, explained, 1.0)
        fit = self._fit(bands, explained, np.sqrt(variance), known)
        slope = np.gradient(fit, self._step)
        tolerance = np.sqrt(variance + (_BAND * fit) ** 2 + (0.5 * _SHIFT * slope) ** 2)
        left = np.where(known, bands - fit, 0.0)
        share = float(np.maximum(left, 0.0).sum() / max(bands.sum(), 1e-12))
        return Rest(left, tolerance, known, explained, min(share, 1.0))

    def of_scene(self, scene: Scene, explanation: Explanation | None, keep: Sequence[int] = ()) -> Rest:
        """What is left of a scene beside those components of an explanation whose rows are in `keep`."""
        shift = explanation.shift_cm1 if explanation else 0.0
        shapes = [scene.references.moved(row, shift) for row in keep]
        return self.rest(np.where(scene.known, scene.values, np.nan), shapes)

    def features(self, rest: Rest) -> FloatArray:
        """Direction of what is left, strengths compressed, as slopes at two widths; shape (n_features,)."""
        from scipy.ndimage import gaussian_filter1d

        scale = np.sqrt(np.abs(rest.values) + _COMPRESSED * rest.tolerance)
        compressed = rest.values / scale
        known = rest.known[self._places] * self._window
        parts = []
        for width in self._widths:
            slope = gaussian_filter1d(compressed, width, order=1)[self._places] * known
            parts.append(slope / max(float(np.linalg.norm(slope)), 1e-12))
        return np.asarray(np.concatenate(parts) / np.sqrt(len(parts)))

    def _fit(
        self, bands: FloatArray, shapes: FloatArray, sd: FloatArray, known: npt.NDArray[np.bool_]
    ) -> FloatArray:
        """The known components as they are in this spectrum, and what is left of the background."""
        from scipy.optimize import nnls

        scale = np.where(known, 1.0 / sd, 0.0)
        amounts, _ = nnls(shapes * scale[:, None], bands * scale)
        slopes = np.gradient(shapes, self._step, axis=0)
        bends = np.gradient(slopes, self._step, axis=0)
        columns = [shapes, self._background]
        spread = [1e3 * np.maximum(amounts, 1e-3), np.full(self._background.shape[1], 0.05)]
        for i, amount in enumerate(amounts):
            columns += [shapes[:, [i]] * self._gain, slopes[:, [i]], bends[:, [i]]]
            spread += [
                np.full(self._gain.shape[1], _GAIN * amount),
                np.array([_SHIFT, 0.5 * _WIDTH]) * amount,
            ]
        design = np.concatenate(columns, axis=1) * np.concatenate(spread)
        weight = scale.copy()
        fit = np.zeros_like(bands)
        for _ in range(_ROUNDS):
            weighted = design * weight[:, None]
            gram = weighted.T @ weighted
            gram.flat[:: gram.shape[0] + 1] += 1.0
            fit = design @ np.linalg.solve(gram, weighted.T @ (bands * weight))
            above = (bands - fit) * scale
            weight = scale * np.sqrt(_ROBUST / np.maximum(above, _ROBUST))
        return np.where(known, fit, 0.0)
