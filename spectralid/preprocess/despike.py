"""Cosmic-ray spikes: found and marked missing, never interpolated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from spectralid.errors import InvalidSpectrumError
from spectralid.preprocess._base import Step, StepResult
from spectralid.preprocess._constraints import Constraint, Number
from spectralid.preprocess._points import check_size
from spectralid.preprocess.mark import MarkMissing
from spectralid.spectrum import FloatArray, Spectrum

__all__ = ["Despike", "despike_frames"]

BoolArray = npt.NDArray[np.bool_]

# Median absolute deviation to standard deviation, for Gaussian noise.
_SD_PER_MAD: Final = 1.4826

# Points over which the noise is taken to be alike: many times a spike, about one band.
_NOISE_WINDOW: Final = 31

# Share of the range around a spike that it falls by within one point. The sharpest band a spectrometer with
# two points per FWHM can show falls by 0.64 of its height from one point to the next; a spike falls by all.
_SHARPNESS: Final = 0.7

# Share of the range around a spike that it stands above both sides: noise on a steep flank does not.
_STANDING: Final = 0.5

# Standard deviations of the noise above which a band is clear, and points needed to tell its strength.
_CLEAR: Final = 10.0
_LEAST_CLEAR: Final = 5

# Points beside the top that hold more than this share of the spike are part of it.
_FOOT: Final = 0.1


class Despike(Step):
    """Cosmic-ray spikes of a single frame, marked missing.

    Differences of neighbouring points are compared with the noise of differences (modified z-score of
    Whitaker and Hayes), estimated over the whole spectrum and around each point, whichever is larger. What
    stands out must also have the shape no band can have: up or down by most of its height from one point to
    the next, back on both sides within `max_width` points.

    Parameters
    ----------
    threshold : float
        How many standard deviations of the noise of differences a spike must rise, above 0. At 7, Gaussian
        noise alone is never marked in practice.
    max_width : int
        Widest spike in points.
    axis : array_like of float, shape (n_points,), optional
        Not needed; kept for pipelines.

    Notes
    -----
    Bands at least 2.3 points wide (full width at half maximum) are left alone, so what is marked is no band;
    a spike that is small against the band it sits on is left in. Lines of a calibration lamp can be narrower:
    leave this step out for those. Several frames tell more, see
    `despike_frames`. Diagnostics: ``"spikes"`` (mask), ``"removed"`` (points per spectrum).

    References
    ----------
    D. A. Whitaker, K. Hayes, Chemom. Intell. Lab. Syst. 179 (2018) 82.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralid import Spectrum
    >>> from spectralid.preprocess import Despike
    >>> axis = np.arange(400.0, 1801.0, 2.0)
    >>> band = 100 * np.exp(-(((axis - 1001.0) / 8) ** 2))
    >>> noise = np.random.default_rng(0).normal(size=axis.size)
    >>> raw = Spectrum(axis, band + noise + 500.0 * (axis == 1500.0), technique="raman")
    >>> clean = Despike()(raw)
    >>> axis[np.isnan(clean.intensity)]
    array([1500.])
    """

    name = "despike"
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "threshold": Number(0, open_low=True),
        "max_width": Number(1, 15, integer=True),
    }

    def __init__(
        self, threshold: float = 7.0, max_width: int = 4, *, axis: npt.ArrayLike | None = None
    ) -> None:
        self.threshold = threshold
        self.max_width = max_width
        self.axis = axis

    def _map(self, axis: FloatArray, X: FloatArray) -> StepResult:
        spikes = np.zeros(X.shape, dtype=np.bool_)
        for row, intensity in enumerate(X):
            measured = np.flatnonzero(~np.isnan(intensity))
            # Missing points are stepped over: what remains is compared as neighbours.
            spikes[row, measured] = _single_frame(intensity[measured], self.threshold, self.max_width)
        return StepResult(
            axis, np.where(spikes, np.nan, X), {"spikes": spikes, "removed": spikes.sum(axis=1)}
        )

    def _sd(self, spectrum: Spectrum, result: StepResult) -> FloatArray | None:  # noqa: ARG002
        return spectrum.sd

    def _outcome(self, result: StepResult) -> dict[str, Any]:
        return {"removed": int(result.diagnostics["removed"][0])}


def _single_frame(y: FloatArray, threshold: float, max_width: int) -> BoolArray:
    """Mask of the spikes of one spectrum without missing points."""
    spikes = np.zeros(y.size, dtype=np.bool_)
    reach = max_width + 1
    if y.size < 2 * reach + 1:
        return spikes
    steps = np.diff(y)
    noise = _noise_of_steps(steps)
    # Steps into and out of each point; off the ends there is nothing to fall to.
    rise = np.append(0.0, steps) / np.append(noise[:1], noise)
    fall = np.append(-steps, 0.0) / np.append(noise, noise[-1:])
    tops = np.flatnonzero((np.maximum(rise, fall) > threshold) & (rise >= 0) & (fall >= 0))
    for top in tops:
        left, right = y[max(top - reach, 0) : top], y[top + 1 : top + 1 + reach]
        if not left.size or not right.size:
            continue
        base = max(left.min(), right.min())
        height = y[top] - base
        span = y[top] - min(left.min(), right.min())
        flank = max(y[top] - left[-1], y[top] - right[0])
        if height < _STANDING * span or flank < _SHARPNESS * span:
            continue
        above = (np.append(left, np.append(y[top], right)) - base) > _FOOT * height
        place = left.size
        first = place - int(np.argmin(above[place::-1])) + 1
        last = place + int(np.argmin(above[place:])) - 1
        if last - first < max_width:
            spikes[top - (place - first) : top + (last - place) + 1] = True
    return spikes


def _noise_of_steps(steps: FloatArray) -> FloatArray:
    """Standard deviation of the noise of each difference, robust, local but never below the global one."""
    around = _SD_PER_MAD * _running_median(np.abs(steps - _running_median(steps)))
    # A constant spectrum has no noise and no spikes: any positive number will do.
    return np.maximum(np.maximum(around, _robust_sd(steps)), np.finfo(np.float64).tiny)


def _robust_sd(values: FloatArray) -> float:
    """Standard deviation by the median absolute deviation, which outliers do not move.

    Where most values are equal (few counts, computed spectra) that is zero and the ordinary one takes its
    place.
    """
    middle = float(np.median(np.abs(values - np.median(values))))
    return _SD_PER_MAD * middle if middle > 0 else float(np.std(values))


def _running_median(values: FloatArray) -> FloatArray:
    """Median over `_NOISE_WINDOW` points around each; the first and last full window serve the ends."""
    window = min(_NOISE_WINDOW, values.size)
    middle = np.median(np.lib.stride_tricks.sliding_window_view(values, window), axis=1)
    before = window // 2
    return np.pad(middle, (before, values.size - middle.size - before), mode="edge")


def despike_frames(frames: Sequence[Spectrum], *, threshold: float = 7.0) -> tuple[Spectrum, ...]:
    """Spikes marked missing in repeated frames of one sample, by comparing the frames.

    A cosmic ray strikes one frame; what the other frames do not show is no band, however it looks. Each frame
    is compared with the median of the others after bringing them to one strength and background, and the
    noise is estimated from the frames themselves as it grows with intensity.

    Parameters
    ----------
    frames : sequence of Spectrum
        Two or more, on one axis.
    threshold : float
        How many standard deviations of the noise a spike must stand out, above 0.

    Returns
    -------
    tuple of Spectrum
        The frames in order, each with its spikes missing and a step ``mark_missing`` in its history, which
        names them and can be replayed on that frame alone.

    Raises
    ------
    InvalidSpectrumError
        If there are fewer than two frames, or their axes differ.
    ParameterError
        If `threshold` is not allowed.
    """
    Number(0, open_low=True).check("threshold", threshold)
    if len(frames) < 2:
        raise InvalidSpectrumError(
            f"Comparing frames needs two or more; got {len(frames)}. For one frame use Despike."
        )
    axis = frames[0].axis
    for number, frame in enumerate(frames):
        if not np.array_equal(frame.axis, axis):
            raise InvalidSpectrumError(
                f"Frame {number} has another axis than frame 0; frames must share one."
            )
    stack = np.stack([frame.intensity for frame in frames])
    check_size(stack)
    marked = []
    for number, frame in enumerate(frames):
        others = np.delete(stack, number, axis=0)
        spikes = _against_others(stack[number], others, threshold)
        reason = f"despike_frames: frame {number + 1} of {len(frames)}, threshold {threshold:g}"
        marked.append(MarkMissing(axis[spikes].tolist(), reason)(frame))
    return tuple(marked)


def _against_others(frame: FloatArray, others: FloatArray, threshold: float) -> BoolArray:
    spikes = np.zeros(frame.size, dtype=np.bool_)
    counts = (~np.isnan(others)).sum(axis=0)
    known = np.flatnonzero(~np.isnan(frame) & (counts > 0))
    if known.size < _NOISE_WINDOW:
        return spikes
    y, reference = frame[known], np.nanmedian(others[:, known], axis=0)
    excess = y - _strength(y, reference) * reference
    # What is left of drift and bleaching is slow; spikes are not.
    excess -= _running_median(excess)
    noise = _noise_by_intensity(excess, reference)
    top = excess > threshold * noise
    # The tail of a spike spills into its neighbours.
    beside = np.zeros_like(top)
    beside[1:] |= top[:-1]
    beside[:-1] |= top[1:]
    spikes[known] = top | (beside & (excess > 3 * noise))
    return spikes


def _strength(y: FloatArray, reference: FloatArray) -> float:
    """How strong the bands of `y` are against those of `reference`; 1 where there are none to tell.

    A median of ratios, so that spikes hardly count, over points so far above the noise that it does not
    either.
    """
    bands = reference - _running_median(reference)
    clear = bands > _CLEAR * _robust_sd(np.diff(reference))
    if clear.sum() < _LEAST_CLEAR:
        return 1.0
    return float(np.median((y - _running_median(y))[clear] / bands[clear]))


def _noise_by_intensity(excess: FloatArray, reference: FloatArray) -> FloatArray:
    """Standard deviation of `excess` at each point, its variance growing linearly with `reference`.

    Shot noise does, read noise is the constant. The line is fitted to robust variances of points of like
    intensity, weighted as variances scatter: by their own size.
    """
    order = np.argsort(reference, kind="stable")
    groups = np.array_split(order, max(excess.size // _NOISE_WINDOW, 1))
    variance = np.array([_robust_sd(excess[group]) ** 2 for group in groups])
    usual = float(np.median(variance))
    if len(groups) < 3 or usual == 0:
        return np.full(excess.size, np.sqrt(usual))
    level = np.array([np.mean(reference[group]) for group in groups])
    slope, constant = np.polyfit(level, variance, 1, w=1 / np.maximum(variance, usual))
    if slope <= 0:
        return np.full(excess.size, np.sqrt(usual))
    # The line may dive below zero under the lowest group; half the usual noise is a safe least.
    return np.asarray(np.sqrt(np.maximum(constant + slope * reference, usual / 4)))
