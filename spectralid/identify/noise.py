"""Noise variance of a spectrum on the common grid."""

from __future__ import annotations

from typing import Final

import numpy as np

from spectralid.spectrum import FloatArray, IntensityUnit, Spectrum

__all__ = ["noise_variance"]

# Blocks in which scatter and level are compared, in cm⁻¹, and the distance of the points differenced.
_BLOCK_CM1: Final = 60.0
_LAG_CM1: Final = 2.0
_SD_PER_MAD: Final = 1.4826
# A block whose scatter is so many times what its level calls for holds bands; how often the law is fitted.
_BANDS: Final = 2.5
_REFITS: Final = 4
# No spectrum is trusted to better than this share of its span: digitisation, interpolation, line shape.
_FLOOR: Final = 1e-3
# Standard deviation, in spans of the spectrum, beyond which a larger one makes no difference.
_SAYS_NOTHING: Final = 1e6


def noise_variance(spectrum: Spectrum, grid: FloatArray) -> FloatArray:
    """Variance of each grid point due to noise.

    From the standard deviations that came with the spectrum (repeated frames) where they are known. Else from
    the scatter about straight lines through neighbours, block by block: shot noise makes it grow with the
    counts of a Raman spectrum; in absorbance it grows with 10^(2A), because the detector's noise is constant
    in transmittance.

    Parameters
    ----------
    spectrum : Spectrum
        Infrared as absorbance.
    grid : ndarray, shape (n_grid,)
        Common grid in cm⁻¹.

    Returns
    -------
    ndarray, shape (n_grid,)
        Above 0 everywhere. Where a grid cell holds several points they were averaged and the variance falls.
    """
    known = ~spectrum.missing
    x, y = spectrum.axis[known], spectrum.intensity[known]
    averaged = np.maximum(1.0, float(grid[1] - grid[0]) / np.gradient(x)) if x.size > 2 else np.ones(x.size)
    span = float(np.ptp(y)) or 1.0
    variance = _from_scatter(x, y, spectrum) if spectrum.sd is None else _stated(x, y, spectrum, span)
    on_grid = np.interp(grid, x, variance / averaged)
    return np.asarray(np.maximum(on_grid, (_FLOOR * span) ** 2))


def _stated(x: FloatArray, y: FloatArray, spectrum: Spectrum, span: float) -> FloatArray:
    assert spectrum.sd is not None
    # A point that is off by many times all there is to see says nothing, however many.
    sd = np.minimum(spectrum.sd[~spectrum.missing], _SAYS_NOTHING * span)
    unknown = np.isnan(sd)
    return np.asarray(np.where(unknown, _from_scatter(x, y, spectrum), sd**2) if unknown.any() else sd**2)


def _from_scatter(x: FloatArray, y: FloatArray, spectrum: Spectrum) -> FloatArray:
    step = float(np.median(np.diff(x)))
    lag = max(1, round(_LAG_CM1 / step))
    if y.size < 8 * lag:
        return np.zeros_like(y)
    off = (y[lag:-lag] - 0.5 * (y[: -2 * lag] + y[2 * lag :])) / np.sqrt(1.5)
    size = max(8, round(_BLOCK_CM1 / step))
    count = max(1, off.size // size)
    blocks = np.array_split(np.arange(off.size), count)
    scatter = np.array([_SD_PER_MAD * float(np.median(np.abs(off[b]))) for b in blocks]) ** 2
    typical = float(np.median(scatter))
    law = _law(y, spectrum)
    # Where most of a spectrum lies on straight lines nothing tells how the rest of the scatter grows.
    if law is None or len(blocks) < 6 or typical == 0:
        return np.full(y.shape, typical)
    level = np.array([float(np.median(law[lag:-lag][b])) for b in blocks])
    from scipy.optimize import nnls

    design = np.column_stack([np.ones_like(level), level])
    usable = np.full(level.size, True)
    solved = np.array([typical, 0.0])
    for _ in range(_REFITS):
        expected = np.maximum(design @ solved, 1e-3 * typical + 1e-300)
        solved, _ = nnls((design / expected[:, None])[usable], (scatter / expected)[usable])
        # Bands raise the scatter of a block, nothing lowers it.
        usable = scatter < _BANDS * (design @ solved)
        if usable.sum() < 4:
            return np.full(y.shape, typical)
    fitted = solved[0] + solved[1] * law
    return np.asarray(np.clip(fitted, 0.1 * typical, 100.0 * typical + 1e-300))


def _law(y: FloatArray, spectrum: Spectrum) -> FloatArray | None:
    """What the variance is proportional to beside a constant, or ``None`` where no law is known."""
    if spectrum.technique.is_infrared:
        return np.asarray(10.0 ** (2.0 * np.clip(y - np.min(y), 0.0, 3.0)))
    if spectrum.unit is IntensityUnit.COUNTS:
        return np.asarray(np.maximum(y, 0.0))
    return None
