"""Whether an explanation holds band by band, and what it leaves unexplained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spectralid.identify.gaussian import Banded, LeftOver, reduce
from spectralid.identify.hypotheses import Explanation, Scene
from spectralid.spectrum import FloatArray

__all__ = ["BandAgreement", "UnexplainedBand", "band_agreement", "unexplained_bands"]

# Bands looked at: those of at least this share of the strongest, at most so many, at least so far apart.
_LEAST_BAND: Final = 0.1
_MOST_BANDS: Final = 12
_APART_CM1: Final = 18.0
# A band is missing where less than this share of what the others promise is there and noise is no excuse.
_MISSING_SHARE: Final = 0.4
_MISSING_Z: Final = 3.0

_BUMP_FWHM_CM1: Final = 14.0
_BUMPS: Final = 40
# Chance alone reaches 5 in one of a thousand spectra of 400 places. 24 simulated pure substances on other
# units reached 5.7, but for one; mixtures with an unknown mostly 7 and more (`benchmarks/identification`).
UNEXPLAINED_Z: Final = 6.0
UNEXPLAINED_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True)
class BandAgreement:
    """Whether the bands of one component agree on its amount.

    Attributes
    ----------
    positions_cm1 : tuple of float
        Bands looked at.
    ratios, sd : tuple of float
        Amount that each band alone shows, relative to the amount from all, and its standard deviation
        (noise, overlap with the other components, and what band heights vary between instruments).
    missing_cm1 : tuple of float
        Bands that should be there and are not.
    consistency : float
        Probability of ratios at least as far from 1 by chance (χ², noise and what band heights vary by).
    without_best_z : float
        Standard deviations by which the bands other than the clearest show the component.
    """

    positions_cm1: tuple[float, ...]
    ratios: tuple[float, ...]
    sd: tuple[float, ...]
    missing_cm1: tuple[float, ...]
    consistency: float
    without_best_z: float

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {
            "positions_cm1": list(self.positions_cm1),
            "ratios": list(self.ratios),
            "sd": list(self.sd),
            "missing_cm1": list(self.missing_cm1),
            "consistency": self.consistency,
            "without_best_z": self.without_best_z,
        }

    @property
    def supported(self) -> int:
        """Bands that are there beyond doubt (more than three standard deviations)."""
        return sum(r > 3 * s for r, s in zip(self.ratios, self.sd, strict=True))


@dataclass(frozen=True, slots=True)
class UnexplainedBand:
    """A band no component accounts for.

    Attributes
    ----------
    position_cm1 : float
        Where.
    share : float
        Its height relative to the strongest band of the spectrum.
    z : float
        How many standard deviations it stands out, mismatch of the components included.
    """

    position_cm1: float
    share: float
    z: float


def strongest_bands(shape: FloatArray, grid: FloatArray, known: npt.NDArray[np.bool_]) -> list[int]:
    """Grid points of the strongest separate bands of `shape` where the spectrum is known, strongest first."""
    visible = np.where(known, shape, 0.0)
    peaks = np.flatnonzero((visible[1:-1] >= visible[:-2]) & (visible[1:-1] > visible[2:])) + 1
    peaks = peaks[visible[peaks] >= _LEAST_BAND * visible.max()]
    chosen: list[int] = []
    for p in peaks[np.argsort(-visible[peaks], kind="stable")]:
        if all(abs(grid[p] - grid[q]) >= _APART_CM1 for q in chosen):
            chosen.append(int(p))
        if len(chosen) == _MOST_BANDS:
            break
    return chosen


def band_agreement(scene: Scene, explanation: Explanation, index: int) -> BandAgreement:
    """Ask every strong band of one component for its amount, the other bands and components being free.

    Parameters
    ----------
    scene : Scene
        The spectrum.
    explanation : Explanation
        What it was explained by.
    index : int
        Which of its components.
    """
    known = scene.known_for(explanation.rows)
    grid = scene.references.grid
    shapes = scene.shapes(explanation.rows, explanation.shift_cm1)
    own = shapes[index]
    peaks = strongest_bands(own, grid, known)
    windows = _windows(grid, np.sort(peaks))
    rest = own * (1 - windows.sum(axis=1))
    others = np.delete(shapes, index, axis=0)
    means = np.column_stack([own[:, None] * windows, rest, *others])
    # The component's own bands may differ in place and width, not in height: that is what is asked for.
    signals = shapes * explanation.amounts[:, None]
    mismatch = scene.mismatch
    lower = scene.freedom.local(signals, mismatch, rigid=index)
    lower[0] += scene.noise
    total = signals.sum(axis=0)
    common = scene.freedom.common(total, mismatch, gain=total - signals[index])
    reduced = reduce(Banded(lower, known), scene.values, means, scene.background, common)
    information = reduced.information + 1e-9 * np.diag(np.diag(reduced.information) + 1e-12)
    covariance: FloatArray = np.asarray(np.linalg.inv(information), dtype=np.float64)
    amounts = covariance @ reduced.right
    whole = max(float(explanation.amounts[index]), 1e-12)
    n = len(peaks)
    ratios = amounts[:n] / whole
    noise = np.sqrt(np.diag(covariance)[:n]) / whole
    spread = np.hypot(mismatch.band, mismatch.gain)
    sd = np.hypot(noise, spread)
    positions = grid[np.sort(peaks)]
    missing = (ratios < _MISSING_SHARE) & ((1 - ratios) > _MISSING_Z * sd)
    return BandAgreement(
        tuple(positions.tolist()),
        tuple(ratios.tolist()),
        tuple(noise.tolist()),
        tuple(positions[missing].tolist()),
        _consistency(ratios, np.asarray(covariance[:n, :n]) / whole**2, spread),
        _without_best(amounts[:n], np.asarray(covariance[:n, :n])),
    )


def _consistency(ratios: FloatArray, covariance: FloatArray, spread: float) -> float:
    """Probability, if all is well, of ratios at least as far from 1."""
    from scipy.special import chdtrc

    off = ratios - 1
    square = float(off @ np.linalg.solve(covariance + spread**2 * np.eye(off.size), off))
    return float(chdtrc(off.size, square))


def _without_best(amounts: FloatArray, covariance: FloatArray) -> float:
    """Standard deviations of the common amount of all bands but the clearest one."""
    if amounts.size < 2:
        return 0.0
    kept = np.arange(amounts.size) != np.argmax(amounts / np.sqrt(np.diag(covariance)))
    precision = np.linalg.inv(covariance[np.ix_(kept, kept)])
    return float(precision.sum(axis=0) @ amounts[kept] / np.sqrt(precision.sum()))


def _windows(grid: FloatArray, peaks: FloatArray) -> FloatArray:
    """Boxes around peaks that end half-way to the next one, at most `_APART_CM1` to either side."""
    places = grid[peaks]
    edges = (places[1:] + places[:-1]) / 2
    low = np.maximum(places - _APART_CM1, np.concatenate([[-np.inf], edges]))
    high = np.minimum(places + _APART_CM1, np.concatenate([edges, [np.inf]]))
    return np.asarray((grid[:, None] >= low) & (grid[:, None] < high), dtype=np.float64)


def unexplained_bands(
    scene: Scene, left: LeftOver, *, shift_cm1: float
) -> tuple[tuple[UnexplainedBand, ...], float]:
    """Bands that stand out from what an explanation leaves, and how far the clearest bump does.

    Parameters
    ----------
    scene : Scene
        The spectrum.
    left : LeftOver
        What the explanation leaves of it.
    shift_cm1 : float
        Common shift; positions are given on the corrected axis.

    Returns
    -------
    tuple of UnexplainedBand, float
        The second is the highest significance of any bump, whether or not it counts as a band.
    """
    from scipy.ndimage import gaussian_filter1d

    grid = scene.references.grid
    sigma = _BUMP_FWHM_CM1 / 2.3548
    # Where a band would stand out if neighbouring points were independent; the best of those are asked.
    reach = sigma / float(grid[1] - grid[0])
    rough = gaussian_filter1d(left.weights(), reach) / np.sqrt(
        gaussian_filter1d(left.precision, reach) + 1e-300
    )
    inner = rough[1:-1]
    tops = np.flatnonzero((inner >= rough[:-2]) & (inner > rough[2:]) & scene.known[1:-1]) + 1
    centres = tops[np.argsort(-rough[tops], kind="stable")[:_BUMPS]]
    z, information = left.significance(np.exp(-0.5 * ((grid[:, None] - grid[None, centres]) / sigma) ** 2))
    height = np.zeros(centres.size)
    np.divide(z, np.sqrt(information), out=height, where=information > 0)
    share = height / scene.height
    found: list[UnexplainedBand] = []
    for i in np.argsort(-z, kind="stable"):
        if z[i] < UNEXPLAINED_Z:
            break
        here = float(grid[centres[i]]) - shift_cm1
        if share[i] >= UNEXPLAINED_SHARE and all(abs(here - f.position_cm1) > 2 * _APART_CM1 for f in found):
            found.append(UnexplainedBand(here, float(share[i]), float(z[i])))
    return tuple(found), float(z.max(initial=0.0))
