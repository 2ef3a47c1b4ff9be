"""Where the bands of a spectrum lie, and how well that is known.

Bands that touch are fitted together as pseudo-Voigt profiles on one straight background. The noise is the
spectrum's own standard deviation where it has one, else a constant plus a part that grows with the signal
(photons), estimated from how the points jump. What a band's own fit or the run of the residuals says
beyond that (a shape that does not fit, interpolated points) widens the uncertainty; nothing narrows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.spectrum import FloatArray, Spectrum

__all__ = ["Peak", "find_peaks"]

# Height a bump must have over its surroundings to be looked at: in noise, and as a share of the whole range.
_PROMINENCE_NOISE: Final = 5.0
_PROMINENCE_SHARE: Final = 0.003
# A band takes part only if its fitted height is that many times its own uncertainty.
_HEIGHT_OVER_SD: Final = 5.0
# Bands closer than this many mean widths are fitted together; the window reaches this many widths out.
_TOUCHING_WIDTHS: Final = 2.2
_REACH_WIDTHS: Final = 1.3
_LARGEST_GROUP: Final = 5
_FEWEST_POINTS: Final = 7
# A line narrower than this many points is a spike or undersampled: its centre depends on where the points fell.
_NARROWEST_POINTS: Final = 1.5
_WIDEST_CM1: Final = 120.0
# Equal highest points in a row that mean a full well or a clipped converter.
_FLAT_TOP: Final = 3
_LAGS: Final = 6
_NOISE_BINS: Final = 12
_PER_PEAK: Final = 4  # position, width, height, Lorentz share


@dataclass(frozen=True, slots=True)
class Peak:
    """A band as fitted.

    Attributes
    ----------
    position_cm1, sd_cm1 : float
        Centre and its standard uncertainty (k = 1) in cm⁻¹.
    width_cm1 : float
        Full width at half height in cm⁻¹.
    height : float
        Height over the background, in the unit of the ordinate.
    lorentz : float
        Share of the Lorentz profile, 0 … 1.
    problem : str
        Why the position must not be used (``"saturated"``, ``"at the edge"``, ``"undersampled"``,
        ``"too weak"``, ``"no fit"``); empty if it may.
    """

    position_cm1: float
    sd_cm1: float
    width_cm1: float
    height: float
    lorentz: float
    problem: str = ""


class _Group(NamedTuple):
    """Bands that are fitted together: their first guesses and the points they are fitted to."""

    candidates: npt.NDArray[np.intp]
    widths: FloatArray
    points: npt.NDArray[np.intp]


def find_peaks(spectrum: Spectrum) -> tuple[Peak, ...]:
    """Find the bands of a spectrum and fit each.

    Parameters
    ----------
    spectrum : Spectrum
        Bands must point upwards: Raman, or infrared as absorbance.

    Returns
    -------
    tuple of Peak
        By ascending position; those that must not be used say why.

    Raises
    ------
    ParameterError
        If the ordinate is one in which bands point downwards.
    """
    if spectrum.unit.value in ("transmittance", "percent_transmittance", "reflectance", "single_beam"):
        raise ParameterError("unit", spectrum.unit.value, "one in which bands point upwards, like absorbance")
    known = ~spectrum.missing
    x, y = spectrum.axis[known], spectrum.intensity[known]
    if x.size < 3 * _FEWEST_POINTS or np.ptp(y) == 0:
        return ()
    sd = None if spectrum.sd is None else spectrum.sd[known]
    if sd is not None and not np.all(sd > 0):  # also if some are missing: then it is no use as a weight
        sd = None
    groups = _groups(x, y, _candidates(y, sd))
    if not groups:
        return ()
    if sd is None:
        first = [_fit(x, y, group, np.ones(x.size)) for group in groups]
        sd = _noise(y, groups, first)
    fits = [_fit(x, y, group, sd) for group in groups]
    spread = _correlation(fits)
    peaks = [
        peak
        for group, fit in zip(groups, fits, strict=True)
        for peak in _read(x, y, group, fit, spread)
    ]  # fmt: skip
    return tuple(sorted(peaks, key=lambda peak: peak.position_cm1))


def _white_noise(y: FloatArray) -> float:
    """Noise of one point from second differences, which bands and baseline hardly touch."""
    second = np.diff(y, 2)
    return float(1.4826 * np.median(np.abs(second - np.median(second))) / np.sqrt(6))


def _candidates(y: FloatArray, sd: FloatArray | None) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """Places of bumps and their widths at half prominence, in points."""
    from scipy import signal

    noise = _white_noise(y) if sd is None else float(np.median(sd))
    smooth = signal.savgol_filter(y, 5, 2)
    prominence = max(_PROMINENCE_NOISE * noise, _PROMINENCE_SHARE * float(np.ptp(y)))
    places, _ = signal.find_peaks(smooth, prominence=prominence, plateau_size=(None, None))
    widths = signal.peak_widths(smooth, places, rel_height=0.5)[0]
    return places, np.asarray(widths)


def _groups(
    x: FloatArray, y: FloatArray, candidates: tuple[npt.NDArray[np.intp], FloatArray]
) -> list[_Group]:
    places, points_wide = candidates
    if not places.size:
        return []
    step = np.gradient(x)
    widths = np.maximum(points_wide, 2.0) * step[places]
    chains: list[list[int]] = [[0]]
    for i in range(1, places.size):
        gap = x[places[i]] - x[places[i - 1]]
        near = gap < _TOUCHING_WIDTHS * 0.5 * (widths[i] + widths[i - 1])
        if near and len(chains[-1]) < _LARGEST_GROUP:
            chains[-1].append(i)
        else:
            chains.append([i])
    groups = []
    for chain in chains:
        low = x[places[chain[0]]] - _REACH_WIDTHS * widths[chain[0]]
        high = x[places[chain[-1]]] + _REACH_WIDTHS * widths[chain[-1]]
        # The window must not run up the flank of a band that is fitted elsewhere.
        if chain[0] > 0:
            low = max(low, x[_valley(y, places[chain[0] - 1], places[chain[0]])])
        if chain[-1] + 1 < places.size:
            high = min(high, x[_valley(y, places[chain[-1]], places[chain[-1] + 1])])
        points = np.flatnonzero((x >= low) & (x <= high))
        centre = int(places[chain[len(chain) // 2]])
        if points.size < _FEWEST_POINTS:
            half = _FEWEST_POINTS // 2
            points = np.arange(max(0, centre - half), min(x.size, centre + half + 1))
        groups.append(_Group(places[chain], widths[chain], points))
    return groups


def _valley(y: FloatArray, left: int, right: int) -> int:
    return int(left + np.argmin(y[left : right + 1]))


class _Fit(NamedTuple):
    """Outcome of a fit: parameters (peaks × 4, then offset and slope), their covariance, and the residuals."""

    parameters: FloatArray
    covariance: FloatArray
    residuals: FloatArray  # in standard deviations
    model: FloatArray
    raw: FloatArray  # in the unit of the ordinate
    ok: bool


def _profile(x: FloatArray, parameters: FloatArray) -> FloatArray:
    """Pseudo-Voigt profiles, one per row of `parameters`, summed."""
    total = np.zeros_like(x)
    for centre, width, height, lorentz in parameters.reshape(-1, _PER_PEAK):
        u = 2 * (x - centre) / width
        total += height * (lorentz / (1 + u**2) + (1 - lorentz) * np.exp(-np.log(2) * u**2))
    return total


def _fit(x: FloatArray, y: FloatArray, group: _Group, sd: FloatArray) -> _Fit:
    from scipy.optimize import least_squares

    points = group.points
    px, py, ps = x[points], y[points], sd[points]
    middle, scale = float(px.mean()), float(max(np.ptp(py), 1e-300))
    base = float(py.min())
    u, v, w = px - middle, (py - base) / scale, scale / ps
    n = group.candidates.size
    start = np.empty(n * _PER_PEAK + 2)
    low, high = np.full(start.size, -np.inf), np.full(start.size, np.inf)
    for k, (place, width) in enumerate(zip(group.candidates, group.widths, strict=True)):
        at = slice(k * _PER_PEAK, (k + 1) * _PER_PEAK)
        centre = x[place] - middle
        start[at] = centre, width, max((y[place] - base) / scale, 1e-3), 0.5
        low[at] = centre - width, 0.2 * width, 0.0, 0.0
        high[at] = centre + width, 5.0 * width, 10.0, 1.0
    start[-2:] = 0.0

    def excess(p: FloatArray) -> FloatArray:
        return np.asarray((_profile(u, p[:-2]) + p[-2] + p[-1] * u - v) * w)

    # Weights far from 1 would upset the solver's own tolerances; they are put back afterwards.
    unit = float(np.median(w))
    solved = least_squares(
        lambda p: excess(p) / unit, start, bounds=(low, high), x_scale="jac", max_nfev=400, method="trf"
    )
    parameters = solved.x
    residuals = excess(parameters)
    jacobian = solved.jac * unit
    # A parameter at its bound is not free: it has no column.
    free = (parameters > low + 1e-9) & (parameters < high - 1e-9)
    covariance = np.full((start.size, start.size), np.nan)
    ok = bool(solved.success) and points.size > int(free.sum())
    if ok:
        inverse = _inverse(jacobian[:, free])
        ok = inverse is not None
        if inverse is not None:
            covariance[np.ix_(free, free)] = inverse
    model = _profile(u, parameters[:-2]) + parameters[-2] + parameters[-1] * u
    parameters = parameters.copy()
    parameters[0:-2:_PER_PEAK] += middle
    parameters[2:-2:_PER_PEAK] *= scale
    return _Fit(parameters, covariance, residuals, model * scale + base, -residuals * ps, ok)


def _inverse(jacobian: FloatArray) -> FloatArray | None:
    """Inverse of JᵀJ; ``None`` where the points do not determine the parameters."""
    scale = np.sqrt(np.sum(jacobian**2, axis=0))
    if not np.all(scale > 0):
        return None
    left, values, right = np.linalg.svd(jacobian / scale, full_matrices=False)
    del left
    if values[-1] < 1e-7 * values[0]:
        return None
    root = right.T / values
    return np.asarray((root @ root.T) / np.outer(scale, scale))


def _freedom(group: _Group) -> int:
    return max(int(group.points.size - group.candidates.size * _PER_PEAK - 2), 1)


def _noise(y: FloatArray, groups: list[_Group], fits: list[_Fit]) -> FloatArray:
    """Standard deviation of every point: √(a + b·signal).

    From how much each point jumps against its two neighbours, in the residuals where a band was fitted and in
    the spectrum itself elsewhere. A shape that does not fit changes slowly and hardly shows in that.
    """
    from scipy.optimize import nnls

    lowest = float(y.min())
    free = np.ones(y.size, dtype=bool)
    jumps, signal = [], []
    for group, fit in zip(groups, fits, strict=True):
        free[group.points] = False
        if fit.ok:
            jumps.append(_jump_variance(fit.raw) * group.points.size / _freedom(group))
            signal.append(fit.model[1:-1] - lowest)
    alone = free[:-2] & free[1:-1] & free[2:]
    jumps.append(_jump_variance(y)[alone])
    signal.append(y[1:-1][alone] - lowest)
    j, s = np.concatenate(jumps), np.concatenate(signal)
    order = np.argsort(s)
    bins = np.array_split(order, max(2, min(_NOISE_BINS, order.size // 12)))
    # The median of the square of a normal variable is 0.455 of its mean; spikes do not move it.
    variance = np.array([np.median(j[b]) for b in bins]) / 0.455
    level = np.array([np.mean(s[b]) for b in bins])
    smallest = 1e-12 * float(np.ptp(y)) ** 2
    weight = 1 / np.maximum(variance, max(smallest, 1e-3 * float(variance.max())))
    (a, b), _ = nnls(np.column_stack([weight, level * weight]), variance * weight)
    return np.asarray(np.sqrt(np.maximum(a + b * (y - lowest), max(smallest, float(variance.min())))))


def _jump_variance(y: FloatArray) -> FloatArray:
    """Square of each point's second difference, scaled to the variance of a point, shape (n_points - 2,)."""
    return np.asarray(np.diff(y, 2) ** 2 / 6)


def _correlation(fits: list[_Fit]) -> float:
    """How much wider uncertainties are because residuals of neighbouring points go together, at least 1."""
    lags = range(1, _LAGS + 1)
    rho = np.array(
        [
            [float(r[lag:] @ r[:-lag]) / max(float(r @ r), 1e-300) for lag in lags]
            for r in (fit.residuals for fit in fits if fit.ok and fit.residuals.size > 2 * _LAGS)
        ]
    )
    if not rho.size:
        return 1.0
    typical = np.median(rho, axis=0)
    # Past its first zero the correlation of residuals is what the fitted curve took out, not noise.
    stop = int(np.argmax(typical <= 0)) if np.any(typical <= 0) else _LAGS
    return float(np.sqrt(1 + 2 * np.sum(typical[:stop])))


def _read(x: FloatArray, y: FloatArray, group: _Group, fit: _Fit, spread: float) -> list[Peak]:
    chi2 = float(np.sum(fit.residuals**2)) / _freedom(group)
    factor = spread * np.sqrt(max(chi2, 1.0))
    first, last = x[group.points[0]], x[group.points[-1]]
    peaks = []
    for k, place in enumerate(group.candidates):
        at = k * _PER_PEAK
        centre, width, height, lorentz = (float(p) for p in fit.parameters[at : at + _PER_PEAK])
        sd = float(np.sqrt(fit.covariance[at, at])) * factor
        height_sd = float(np.sqrt(fit.covariance[at + 2, at + 2])) * factor * _scale(y, group)
        step = float(np.gradient(x)[place])
        problem = ""
        if not fit.ok or not np.isfinite(sd) or width > _WIDEST_CM1:
            problem = "no fit"
        elif _flat_top(y, group, int(place)):
            problem = "saturated"
        elif centre - 0.5 * width < max(first, x[0]) - step or centre + 0.5 * width > last + step:
            problem = "at the edge"
        elif width < _NARROWEST_POINTS * step:
            problem = "undersampled"
        elif not height > _HEIGHT_OVER_SD * height_sd or sd > 0.25 * width:
            problem = "too weak"
        peaks.append(Peak(centre, sd, width, height, lorentz, problem))
    return peaks


def _scale(y: FloatArray, group: _Group) -> float:
    return float(max(np.ptp(y[group.points]), 1e-300))


def _flat_top(y: FloatArray, group: _Group, place: int) -> bool:
    """Whether the top of a band is cut off: its highest value several times in a row."""
    near = group.points[np.abs(group.points - place) <= group.points.size // 2]
    top = y[near] >= y[near].max()
    longest = run = 0
    for high in top:
        run = run + 1 if high else 0
        longest = max(longest, run)
    return longest >= _FLAT_TOP


def usable(peaks: tuple[Peak, ...]) -> tuple[Peak, ...]:
    """The peaks that say nothing against themselves."""
    return tuple(peak for peak in peaks if not peak.problem)
