"""Where the bands of a spectrum lie, and how well that is known.

Bands that touch are fitted together as pseudo-Voigt profiles on one straight background. Where that is not
their shape, the background is taken off and the top is located by a cubic: it is tops that lists of standards
give. The noise is the spectrum's own standard deviation where it has one, else a constant plus a part that
grows with the signal (photons), estimated from how the points jump. What a band's own fit or the run of the
residuals says beyond that (a shape that does not fit, interpolated points) widens the uncertainty; nothing
narrows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.preprocess._points import LARGEST, check_size
from spectralid.spectrum import FloatArray, Spectrum

__all__ = ["Peak", "find_peaks"]

# Height a bump must have over its surroundings to be looked at: in noise, and as a share of the whole range.
_PROMINENCE_NOISE: Final = 6.0
_PROMINENCE_SHARE: Final = 0.003
# More bumps than any standard has bands are noise of interpolated points.
_MOST_CANDIDATES: Final = 80
# A band takes part only if its fitted height is that many times its own uncertainty.
_HEIGHT_OVER_SD: Final = 5.0
# Bands closer than this many mean widths are fitted together; the window reaches this many widths out.
_TOUCHING_WIDTHS: Final = 2.2
_REACH_WIDTHS: Final = 1.3
_LARGEST_GROUP: Final = 5
_FEWEST_POINTS: Final = 7
# A line narrower than this many points is a spike or undersampled: its centre depends on where points fell.
_NARROWEST_POINTS: Final = 1.5
_WIDEST_CM1: Final = 120.0
# Equal highest points in a row that mean a full well or a clipped converter.
_FLAT_TOP: Final = 3
_LAGS: Final = 8
_ROUNDING: Final = 1e-14
_SMALLEST: Final = 1e-100
_NOISE_BINS: Final = 12
_PER_PEAK: Final = 4  # position, width, height, Lorentz share
# Where χ² per degree of freedom shows that a band is no pseudo-Voigt, its top is located by a polynomial over
# this share of its width to either side, if enough points lie there.
_NO_PROFILE: Final = 1.5
_TOP_WIDTHS: Final = 0.5
_TOP_POINTS: Final = 7


@dataclass(frozen=True, slots=True)
class Peak:
    """A band as fitted.

    Attributes
    ----------
    position_cm1, sd_cm1 : float
        Top (of a symmetric band its centre) and its standard uncertainty (k = 1) in cm⁻¹.
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
    InvalidSpectrumError
        If intensities are too large to compute with.

    Notes
    -----
    In simulations 95 % intervals hold 93 to 97 % of the true positions, about 90 % for lines of two points
    width at half height. Points interpolated to an axis many times finer than the detector's make the stated
    uncertainty too small: at six times as many points 95 % intervals hold about 70 %.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralid import Spectrum
    >>> from spectralid.calibration import find_peaks
    >>> axis = np.arange(400.0, 1801.0, 2.0)
    >>> band = 100 * np.exp(-(((axis - 1001.0) / 8) ** 2))
    >>> noise = np.random.default_rng(0).normal(size=axis.size)
    >>> (peak,) = find_peaks(Spectrum(axis, band + noise, technique="raman"))
    >>> round(peak.position_cm1, 1)
    1001.0
    """
    if spectrum.unit.value in ("transmittance", "percent_transmittance", "reflectance", "single_beam"):
        raise ParameterError("unit", spectrum.unit.value, "one in which bands point upwards, like absorbance")
    known = ~spectrum.missing
    x, y = spectrum.axis[known], spectrum.intensity[known]
    check_size(y)
    size, span = float(np.max(np.abs(y))), float(np.ptp(y))
    # What rounding alone leaves of a constant has no bands; neither has what is too small to be squared.
    if x.size < 3 * _FEWEST_POINTS or span <= _ROUNDING * size or span < _SMALLEST:
        return ()
    sd = None if spectrum.sd is None else spectrum.sd[known]
    # Also if some are missing, or say less than rounding: then it is no use as a weight.
    if sd is not None and not np.all((sd > _ROUNDING * span) & (sd < LARGEST)):
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
        for peak in _read(x, y, sd, group, fit, spread)
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
    places, facts = signal.find_peaks(smooth, prominence=prominence)
    places = np.sort(places[np.argsort(-facts["prominences"])[:_MOST_CANDIDATES]])
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
    """Outcome of a fit: parameters (peaks × 4, then offset and slope), their covariance, residuals."""

    parameters: FloatArray
    covariance: FloatArray
    residuals: FloatArray  # in standard deviations
    model: FloatArray
    raw: FloatArray  # in the unit of the ordinate
    freedom: int
    ok: bool

    @property
    def chi_square(self) -> float:
        """χ² per degree of freedom."""
        return float(np.sum(self.residuals**2)) / self.freedom


def _profile(x: FloatArray, parameters: FloatArray) -> FloatArray:
    """Pseudo-Voigt profiles, one per row of `parameters`, summed."""
    total = np.zeros_like(x)
    for centre, width, height, lorentz in parameters.reshape(-1, _PER_PEAK):
        u = 2 * (x - centre) / width
        total += height * (lorentz / (1 + u**2) + (1 - lorentz) * np.exp(-np.log(2) * u**2))
    return total


def _profile_slopes(x: FloatArray, parameters: FloatArray) -> FloatArray:
    """Derivatives of `_profile` by its parameters, shape (n_points, n_parameters)."""
    columns = []
    for centre, width, height, lorentz in parameters.reshape(-1, _PER_PEAK):
        u = 2 * (x - centre) / width
        cauchy, gauss = 1 / (1 + u**2), np.exp(-np.log(2) * u**2)
        by_u = -2 * u * height * (lorentz * cauchy**2 + (1 - lorentz) * np.log(2) * gauss)
        shape = lorentz * cauchy + (1 - lorentz) * gauss
        columns += [by_u * (-2 / width), by_u * (-u / width), shape, height * (cauchy - gauss)]
    return np.column_stack(columns)


def _fit(x: FloatArray, y: FloatArray, group: _Group, sd: FloatArray) -> _Fit:
    from scipy.optimize import least_squares

    points = group.points
    px, py, ps = x[points], y[points], sd[points]
    middle, scale = float(px.mean()), _scale(y, group)
    base = float(py.min())
    u, v, w = px - middle, (py - base) / scale, scale / ps
    centres = x[group.candidates] - middle
    heights = np.maximum((y[group.candidates] - base) / scale, 1e-3)
    rows = [
        # start, lowest, highest of each band's parameters
        np.array([[c, c - wide, c + wide], [wide, 0.2 * wide, 5 * wide], [h, 0, 10], [0.5, 0, 1]])
        for c, wide, h in zip(centres, group.widths, heights, strict=True)
    ]
    straight = np.array([[0.0, -np.inf, np.inf]] * 2)
    start, low, high = np.concatenate([*rows, straight]).T

    def model(p: FloatArray) -> FloatArray:
        return np.asarray(_profile(u, p[:-2]) + p[-2] + p[-1] * u)

    # Weights far from 1 would upset the solver's own tolerances; they are put back afterwards.
    unit = float(np.median(w))

    def excess(p: FloatArray) -> FloatArray:
        return np.asarray((model(p) - v) * (w / unit))

    def slopes(p: FloatArray) -> FloatArray:
        columns = [_profile_slopes(u, p[:-2]), np.ones((u.size, 1)), u[:, None]]
        return np.asarray(np.concatenate(columns, axis=1) * (w / unit)[:, None])

    solved = least_squares(
        excess, start, slopes, bounds=(low, high), x_scale="jac", max_nfev=100, ftol=1e-7, xtol=1e-7
    )
    parameters = solved.x.copy()
    # A parameter at its bound is not free: it has no column.
    free = (parameters > low + 1e-9) & (parameters < high - 1e-9)
    covariance = np.full((start.size, start.size), np.nan)
    freedom = points.size - int(free.sum())
    inverse = _inverse(solved.jac[:, free] * unit) if solved.success and freedom > 0 else None
    if inverse is not None:
        covariance[np.ix_(free, free)] = inverse
    fitted = model(parameters)
    parameters[:-2:_PER_PEAK] += middle
    parameters[2:-2:_PER_PEAK] *= scale
    return _Fit(
        parameters,
        covariance,
        (v - fitted) * w,
        fitted * scale + base,
        (v - fitted) * scale,
        max(freedom, 1),
        inverse is not None,
    )


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
            jumps.append(_jump_variance(fit.raw) * group.points.size / fit.freedom)
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


def _read(
    x: FloatArray, y: FloatArray, sd: FloatArray, group: _Group, fit: _Fit, spread: float
) -> list[Peak]:
    factor = spread * np.sqrt(max(fit.chi_square, 1.0))
    first, last = x[group.points[0]], x[group.points[-1]]
    peaks = []
    for k, place in enumerate(group.candidates):
        at = k * _PER_PEAK
        centre, width, height, lorentz = (float(p) for p in fit.parameters[at : at + _PER_PEAK])
        position_sd = float(np.sqrt(fit.covariance[at, at])) * factor
        if fit.ok and fit.chi_square > _NO_PROFILE:
            top = _top(x, y, sd, group, fit, k)
            if top is not None:
                centre, position_sd = top[0], top[1] * spread
        height_sd = float(np.sqrt(fit.covariance[at + 2, at + 2])) * factor * _scale(y, group)
        step = float(np.gradient(x)[place])
        problem = ""
        if not fit.ok or not np.isfinite(position_sd) or width > _WIDEST_CM1:
            problem = "no fit"
        elif _flat_top(y, group, int(place)):
            problem = "saturated"
        elif centre - 0.5 * width < max(first, x[0]) - step or centre + 0.5 * width > last + step:
            problem = "at the edge"
        elif width < _NARROWEST_POINTS * step:
            problem = "undersampled"
        elif not height > _HEIGHT_OVER_SD * height_sd or position_sd > 0.25 * width:
            problem = "too weak"
        peaks.append(Peak(centre, position_sd, width, height, lorentz, problem))
    return peaks


def _top(
    x: FloatArray, y: FloatArray, sd: FloatArray, group: _Group, fit: _Fit, k: int
) -> tuple[float, float] | None:
    """Where a band without the background is highest, by a cubic, and its uncertainty."""
    one = fit.parameters[k * _PER_PEAK : (k + 1) * _PER_PEAK]
    points = group.points
    own = y[points] - (fit.model - _profile(x[points], fit.parameters[:-2]))
    within = np.abs(x[points] - one[0]) <= _TOP_WIDTHS * one[1]
    if within.sum() < _TOP_POINTS:
        return None
    highest = x[points][within][np.argmax(own[within])]
    half = _TOP_WIDTHS * one[1]
    near = np.abs(x[points] - highest) <= half
    if near.sum() < _TOP_POINTS:
        return None
    u, v, w = (x[points][near] - highest) / half, own[near], 1 / sd[points][near]
    design = np.vander(u, 4, increasing=True)
    inverse = _inverse(design * w[:, None])
    if inverse is None:
        return None
    c = inverse @ (design.T @ (v * w**2))
    turning = c[2] ** 2 - 3 * c[3] * c[1]
    if c[2] >= 0 or turning <= 0:
        return None
    place = -c[1] / (c[2] - np.sqrt(turning))
    bend = 2 * c[2] + 6 * c[3] * place
    if abs(place) > 1 or bend >= 0:
        return None
    # dp/dc of the root of p'(u) = 0.
    gradient = -np.array([0.0, 1.0, 2 * place, 3 * place**2]) / bend
    chi2 = float(np.sum(((v - design @ c) * w) ** 2)) / max(int(near.sum()) - 4, 1)
    variance = float(gradient @ inverse @ gradient) * max(chi2, 1.0)
    return float(highest + place * half), float(np.sqrt(variance) * half)


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
