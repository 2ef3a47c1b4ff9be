"""What a spectrum says about its own quality, before anything is compared with it."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spectralid.identify._size import moderate
from spectralid.spectrum import FloatArray, Spectrum

__all__ = [
    "MINIMUM_RANGE",
    "MINIMUM_SNR",
    "MOSTLY_MISSING",
    "SignalQuality",
    "signal_quality",
    "times_longer",
]

# Strongest band over noise below which a scan is not worth matching. Simulated on measured spectra
# (`benchmarks/retrieval_thresholds.py`): below about this the right substance is no longer first in nearly
# all cases. Analytical chemistry draws the line for quantitation there too (ICH Q2: signal to noise 10).
MINIMUM_SNR: Final = 10.0
# Range in cm⁻¹ below which no reference can be compared (`retrieval.MINIMUM_OVERLAP`).
MINIMUM_RANGE: Final = 450.0
# Share of missing points above which the gaps, not the sample, shape what is left.
MOSTLY_MISSING: Final = 0.5

# Spacing in cm⁻¹ beyond which bands (rarely wider than this at half height) fall between the points.
WIDEST_SPACING: Final = 30.0

# Distance in cm⁻¹ of the points whose second difference gives the noise. Interpolated or smoothed files
# repeat their noise from point to point; bands (≥ 4 cm⁻¹ wide) still cancel at this distance.
_NOISE_DISTANCE: Final = 2.0
# Pitch in cm⁻¹ to which points are averaged before bands are measured, and the distance on either side within
# which a band must fall to its foot.
_BAND_PITCH: Final = 3.0
_BAND_REACH: Final = 60.0
# Equal readings in a row at the very top that noise would not give.
_FLAT_TOP: Final = 3
# Normal distribution: standard deviation over median absolute deviation, and over mean absolute deviation.
_SD_PER_MAD: Final = 1.4826
_SD_PER_MEAN_DEVIATION: Final = math.sqrt(math.pi / 2)
# A longer scan than this many times is not worth asking for; then the place or the technique is wrong.
_LONGEST_SCAN: Final = 16

_USELESS: Final = frozenset({"constant", "low_snr", "short_range", "missing"})

_ADVICE: Final[Mapping[str, str]] = {
    "constant": "Nothing was measured. Check that the laser or lamp was on and the sample in its place, "
    "then scan again.",
    "short_range": "The range is too short to compare. Scan the instrument's whole range.",
    "missing": "Most points are missing. Scan again.",
    "saturated": "The detector was overloaded. Use a shorter exposure or less power, then scan again.",
}


@dataclass(frozen=True, slots=True)
class SignalQuality:
    """Quality of one spectrum.

    Attributes
    ----------
    noise_sd : float or None
        Typical standard deviation of one point, in the unit of the spectrum; ``None`` where it cannot be told
        (too few points, or points without any noise: a smoothed or computed curve).
    signal : float
        Height of the strongest band above its higher foot, in the unit of the spectrum.
    strongest_cm1 : float or None
        Where that band is.
    snr : float or None
        `signal` over `noise_sd`; ``None`` where the noise is.
    saturated_points : int
        Points in a flat top at the maximum.
    range_cm1 : tuple of float
        First and last measured point in cm⁻¹.
    missing_share : float
        Share of points that are missing, 0 … 1.
    problems : tuple of str
        What makes it poor: ``"constant"``, ``"low_snr"``, ``"short_range"``, ``"missing"`` make it useless
        for matching, ``"saturated"`` untrustworthy. ``"missing"`` also says that the points lie so far apart
        that bands fall between them. Empty if nothing does.
    advice : tuple of str
        What to do about each problem, in the same order.
    """

    noise_sd: float | None
    signal: float
    strongest_cm1: float | None
    snr: float | None
    saturated_points: int
    range_cm1: tuple[float, float]
    missing_share: float
    problems: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def useless(self) -> bool:
        """Whether the scan leaves nothing to match."""
        return not _USELESS.isdisjoint(self.problems)

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: list(value) if isinstance(value, tuple) else value for name, value in pairs}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SignalQuality:
        """Inverse of `to_dict`."""
        known: dict[str, Any] = {f.name: data[f.name] for f in fields(cls)}
        for name in ("range_cm1", "problems", "advice"):
            known[name] = tuple(known[name])
        return cls(**known)


def signal_quality(spectrum: Spectrum) -> SignalQuality:
    """Quality of a spectrum, from the spectrum alone.

    Parameters
    ----------
    spectrum : Spectrum
        As measured; infrared as absorbance, so that bands point up.

    Returns
    -------
    SignalQuality

    Notes
    -----
    *Noise*: the difference between each point and the straight line through its neighbours about 2 cm⁻¹
    away, scaled to one standard deviation, by its median over the spectrum; backgrounds cancel, and bands do
    not matter because they cover the smaller part. It is the noise of a typical point: shot noise on a strong
    band is larger. (The idea at lag 2: Stoehr et al., ASP Conf. Ser. 394, 2008, 505.)

    *Signal*: for every point, its height above the lowest point within 60 cm⁻¹ on either side, the higher of
    the two feet; the largest of these. No baseline is fitted. Pure noise reaches an `snr` of about 4.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralid import Spectrum
    >>> from spectralid.identify import signal_quality
    >>> axis = np.arange(400.0, 1801.0, 2.0)
    >>> band = 100 * np.exp(-(((axis - 1001.0) / 8) ** 2))
    >>> noise = np.random.default_rng(0).normal(size=axis.size)
    >>> quality = signal_quality(Spectrum(axis, band + noise, technique="raman"))
    >>> quality.snr > 20, quality.problems
    (True, ())
    """
    spectrum, power = moderate(spectrum)
    measured = ~spectrum.missing
    x, y = spectrum.axis[measured], spectrum.intensity[measured]
    noise = _noise_sd(x, y)
    signal, place = _strongest_band(x, y)
    span = float(np.ptp(y))
    # Rounding of a constant stored in single precision is not a signal.
    constant = span <= 1e-6 * float(np.abs(y).max())
    saturated = 0 if constant else _flat_top(y)
    missing = float(np.mean(spectrum.missing))
    snr = None if noise is None or constant else signal / noise

    problems: list[str] = []
    if constant:
        problems.append("constant")
    if x[-1] - x[0] < MINIMUM_RANGE:
        problems.append("short_range")
    if missing > MOSTLY_MISSING or (x.size > 1 and float(np.median(np.diff(x))) > WIDEST_SPACING):
        problems.append("missing")
    if snr is not None and snr < MINIMUM_SNR:
        problems.append("low_snr")
    if saturated or "saturated" in spectrum.acquisition.flags:
        problems.append("saturated")
    return SignalQuality(
        noise_sd=None if noise is None else _unscaled(noise, power),
        signal=0.0 if constant else _unscaled(signal, power),
        strongest_cm1=None if constant else place,
        snr=snr,
        saturated_points=saturated,
        range_cm1=(float(x[0]), float(x[-1])),
        missing_share=missing,
        problems=tuple(problems),
        advice=tuple(_low_snr_advice(spectrum, snr) if p == "low_snr" else _ADVICE[p] for p in problems),
    )


def _unscaled(size: float, power: int) -> float:
    """A size as it was before the intensities were multiplied by a power of two."""
    try:
        return math.ldexp(size, -power)
    except OverflowError:
        return sys.float_info.max


def times_longer(snr: float | None) -> int | None:
    """How many times longer to scan for enough signal to noise; ``None`` where that would not help.

    Noise falls with the square root of the time; only whole powers of four are easy to dial.
    """
    needed = (MINIMUM_SNR / max(snr or 0.0, 1e-3)) ** 2
    if needed > _LONGEST_SCAN:
        return None
    return 4 if needed <= 4 else _LONGEST_SCAN


def _low_snr_advice(spectrum: Spectrum, snr: float | None) -> str:
    other = "" if spectrum.technique.is_infrared else ", or try FTIR"
    times = times_longer(snr)
    if times is None:
        return f"The signal is too weak. Move to another spot or refocus{other}."
    return f"The signal is weak. Scan {times}× longer; if that does not help, move to another spot{other}."


def _noise_sd(x: FloatArray, y: FloatArray) -> float | None:
    if x.size < 3:
        return None
    lag = max(1, round(_NOISE_DISTANCE / float(np.median(np.diff(x)))))
    if y.size < 2 * lag + 1:
        return None
    left, here, right = x[: -2 * lag], x[lag:-lag], x[2 * lag :]
    weight = (right - here) / (right - left)
    off = y[lag:-lag] - weight * y[: -2 * lag] - (1 - weight) * y[2 * lag :]
    off = off / np.sqrt(1 + weight**2 + (1 - weight) ** 2)
    deviation = np.abs(off - np.median(off))
    sd = _SD_PER_MAD * float(np.median(deviation))
    if sd == 0:
        # More than half of a coarsely digitised or clipped spectrum may lie on one line.
        sd = _SD_PER_MEAN_DEVIATION * float(deviation.mean())
    # Below the rounding of the values themselves there is nothing to be measured.
    return sd if sd > 1e-12 * float(np.abs(y).max()) else None


def _strongest_band(x: FloatArray, y: FloatArray) -> tuple[float, float | None]:
    count = max(1, round(_BAND_PITCH / float(np.median(np.diff(x))))) if x.size > 1 else 1
    whole = x.size // count * count
    xs = x[:whole].reshape(-1, count).mean(axis=1)
    ys = y[:whole].reshape(-1, count).mean(axis=1)
    if xs.size < 3:
        return float(np.ptp(y)), float(x[np.argmax(y)])
    reach = max(1, round(_BAND_REACH / float(np.median(np.diff(xs)))))
    padded = np.pad(ys, reach, mode="edge")
    lowest = np.lib.stride_tricks.sliding_window_view(padded, reach + 1).min(axis=1)
    foot = np.maximum(lowest[: ys.size], lowest[reach:])
    height = ys - foot
    top = int(np.argmax(height))
    return float(height[top]), float(xs[top])


def _flat_top(y: npt.NDArray[np.float64]) -> int:
    """Points in runs of at least `_FLAT_TOP` equal readings at the maximum."""
    top = np.concatenate(([False], y == y.max(), [False]))
    edges = np.flatnonzero(np.diff(top.astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= _FLAT_TOP].sum())
