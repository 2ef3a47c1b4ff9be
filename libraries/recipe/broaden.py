"""From lines to spectra on the common grids: Raman for one laser wavelength, infrared as absorbance.

Plain numpy; no chemistry. Line positions are in cm-1 throughout.
"""

from __future__ import annotations

import numpy as np

#: Common grids of the library, cm-1.
RAMAN_GRID = 150.0 + 3.0 * np.arange(1024)
INFRARED_GRID = 400.0 + 3.5 * np.arange(1024)

#: Second radiation constant h c / k, in cm K.
_HC_OVER_K = 1.438776877
_LOWEST = 20.0  # cm-1: below this a "vibration" is a free rotor and 1/(1 - exp(-x)) runs away


def raman_factor(frequencies: np.ndarray, laser_nm: float, temperature_k: float = 298.15) -> np.ndarray:
    """Scattered Stokes power per unit of Placzek activity, relative to a line at 1000 cm-1.

    Parameters
    ----------
    frequencies : ndarray
        Line positions, cm-1; anything below 20 is treated as 20.
    laser_nm : float
        Excitation wavelength (air), nm.
    temperature_k : float
        Of the sample.

    Returns
    -------
    ndarray
        ``(v0 - v)**4 / (v (1 - exp(-h c v / k T)))``, 1 at 1000 cm-1.

    Raises
    ------
    ValueError
        If `laser_nm` or `temperature_k` is not positive.

    References
    ----------
    .. [1] D. A. Long, The Raman Effect (2002), chapter 5.
    """
    if not (laser_nm > 0 and temperature_k > 0):
        raise ValueError(f"laser {laser_nm} nm and temperature {temperature_k} K must be positive")
    exciting = 1e7 / laser_nm

    def factor(v: np.ndarray) -> np.ndarray:
        return (exciting - v) ** 4 / (v * -np.expm1(-_HC_OVER_K * v / temperature_k))

    return factor(np.maximum(frequencies, _LOWEST)) / factor(np.array(1000.0))


def raman_factor_slope(frequencies: np.ndarray, laser_nm: float, temperature_k: float = 298.15) -> np.ndarray:
    """Derivative of the logarithm of :func:`raman_factor` by the line position, per cm-1."""
    v = np.maximum(frequencies, _LOWEST)
    beta = _HC_OVER_K / temperature_k
    slope = -4 / (1e7 / laser_nm - v) - 1 / v - beta / np.expm1(beta * v)
    return np.where(frequencies > _LOWEST, slope, 0.0)


def line_shapes(frequencies: np.ndarray, fwhm: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Lorentzians of unit area, shape (n_lines, n_grid).

    Parameters
    ----------
    frequencies, fwhm : ndarray, shape (n_lines,)
        Centres and full widths at half maximum, cm-1.
    grid : ndarray, shape (n_grid,)
        Where to evaluate.
    """
    half = 0.5 * np.asarray(fwhm)[:, None]
    return (half / np.pi) / ((grid - np.asarray(frequencies)[:, None]) ** 2 + half**2)


def broaden(
    frequencies: np.ndarray, areas: np.ndarray, fwhm: np.ndarray | float, grid: np.ndarray
) -> np.ndarray:
    """Sum of Lorentzians: the integral over all positions is the sum of `areas`.

    Parameters
    ----------
    frequencies : ndarray, shape (n_lines,)
        cm-1. Imaginary modes (not positive) are left out: they are no vibrations.
    areas : ndarray, shape (n_lines,)
        Integrated strength of each line.
    fwhm : ndarray, shape (n_lines,), or float
        Full width at half maximum, cm-1.
    grid : ndarray, shape (n_grid,)
        Positions, cm-1.

    Returns
    -------
    ndarray, shape (n_grid,)
        Strength per cm-1.

    Raises
    ------
    ValueError
        If a width is not positive.
    """
    widths = np.broadcast_to(np.asarray(fwhm, dtype=float), np.shape(frequencies))
    if not np.all(widths > 0):
        raise ValueError("line widths must be positive")
    real = np.asarray(frequencies) > 0
    return np.asarray(areas)[real] @ line_shapes(np.asarray(frequencies)[real], widths[real], grid)


def raman_spectrum(
    frequencies: np.ndarray,
    activities: np.ndarray,
    laser_nm: float,
    fwhm: np.ndarray | float,
    grid: np.ndarray = RAMAN_GRID,
) -> np.ndarray:
    """Raman spectrum (scattered power, Stokes, 298 K) of Placzek activities at one laser wavelength."""
    return broaden(frequencies, activities * raman_factor(frequencies, laser_nm), fwhm, grid)


def infrared_spectrum(
    frequencies: np.ndarray,
    intensities: np.ndarray,
    fwhm: np.ndarray | float,
    grid: np.ndarray = INFRARED_GRID,
) -> np.ndarray:
    """Absorbance, up to concentration and path length, of integrated absorptions in km/mol."""
    return broaden(frequencies, intensities, fwhm, grid)
