"""Frames taken under one condition: their mean, their noise, and whether they look like a measurement."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spectralid.devices.driver import RawFrame
from spectralid.spectrum import FloatArray

__all__ = ["Frames", "RunningSnr", "dead_pixels", "light_is_steady"]

# Rounding to whole counts: variance of a uniform distribution one count wide. Keeps the standard deviation of
# points whose frames happen to agree above zero.
_ROUNDING_VARIANCE: Final = 1 / 12
# A band covers several pixels; what stands out in one or two is a hot pixel or a cosmic ray.
_SPIKE_WIDTH: Final = 5
# The level under the bands is taken from this share of the detector around each, far wider than a band.
_BASE_SHARE: Final = 0.1
_SHORTEST_BASE: Final = 11
_BASE_STEP: Final = 8
# Frames in which noise moves a pixel at least once.
_ENOUGH_TO_MOVE: Final = 6
_FEW: Final = 0.02
# Share of the pixels that cosmic rays may brighten in one frame.
_SPIKE_SHARE: Final = 0.01
# Light is there when the mean of a frame is this many standard deviations above the dark, and jumps when it
# is less than this share of the frame's before or after it.
_LEVEL_SIGMAS: Final = 6.0
_LEVEL_NOISE: Final = 0.05
_JUMP: Final = 0.7


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames taken under one condition, at least one, all with the same number of pixels.

    Attributes
    ----------
    raw : tuple of RawFrame
        The frames.
    counts : ndarray, shape (n_frames, n_pixels)
        Their counts.
    """

    raw: tuple[RawFrame, ...]
    counts: FloatArray

    @classmethod
    def of(cls, raw: Sequence[RawFrame]) -> Frames:
        """The frames `raw`."""
        return cls(tuple(raw), np.array([frame.counts for frame in raw], dtype=np.float64))

    @property
    def mean(self) -> FloatArray:
        """Mean counts, shape (n_pixels,)."""
        return np.asarray(self.counts.mean(axis=0))

    @property
    def variance_of_mean(self) -> FloatArray | None:
        """Variance of `mean` in counts², or ``None`` for a single frame."""
        n = len(self.counts)
        if n < 2:
            return None
        return np.asarray((self.counts.var(axis=0, ddof=1) + _ROUNDING_VARIANCE) / n)

    @property
    def verified(self) -> bool:
        """Whether a checksum proved every frame."""
        return all(frame.verified for frame in self.raw)

    @property
    def repeated(self) -> int:
        """Frames equal to the one before in every pixel: noise never does that, a stale answer does."""
        return int(np.all(self.counts[1:] == self.counts[:-1], axis=1).sum())

    @property
    def flat(self) -> bool:
        """Whether some frame has the same count in every pixel."""
        return bool(np.any(np.ptp(self.counts, axis=1) == 0))

    @property
    def temperatures_c(self) -> tuple[float, ...]:
        """Detector temperatures of the frames that give one."""
        return tuple(frame.temperature_c for frame in self.raw if frame.temperature_c is not None)

    @property
    def snr(self) -> float | None:
        """Signal-to-noise ratio of the strongest band, see `RunningSnr`; ``None`` for a single frame."""
        running = RunningSnr()
        return [running.add(frame) for frame in self.counts][-1]

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) over the hashes of the frames as they came over the line, in order."""
        digests = (
            frame.raw_sha256 or hashlib.sha256(frame.counts.astype("<i8").tobytes()).hexdigest()
            for frame in self.raw
        )
        return hashlib.sha256("\n".join(digests).encode("ascii")).hexdigest()


def dead_pixels(frames: Sequence[Frames], adc_max: int) -> npt.NDArray[np.bool_]:
    """Pixels that show 0, the largest count, or never move, whatever falls on them; shape (n_pixels,).

    Parameters
    ----------
    frames : sequence of Frames
        Frames under different conditions (light and dark).
    adc_max : int
        The largest count.
    """
    counts = np.concatenate([f.counts for f in frames])
    dead = np.all(counts == 0, axis=0) | np.all(counts >= adc_max, axis=0)
    if len(frames) > 1 and len(counts) >= _ENOUGH_TO_MOVE:
        still = np.ptp(counts, axis=0) == 0
        # Noise moves every living pixel, unless the converter is coarser than it: then many stand still.
        if still.mean() < _FEW:
            dead |= still
    return np.asarray(dead)


def light_is_steady(sample: Frames, dark: Frames) -> bool:
    """Whether light came with every frame of the sample, and about as much as with the one before.

    Fluorescence bleaches slowly and lasers drift; light that jumps, or is not there at all, has been switched
    or blocked: an interlock that opened, a shutter, a hand.
    """
    # Without the brightest pixels of each frame: a cosmic ray is no light of ours.
    ordered = np.sort(sample.counts - dark.mean, axis=1)
    levels = ordered[:, : -max(1, int(_SPIKE_SHARE * ordered.shape[1]))].mean(axis=1)
    # What the mean over all pixels of a dark frame moves by, and never less than rounding can move it.
    noise = max(float(dark.counts.mean(axis=1).std()), _LEVEL_NOISE)
    lower = np.minimum(levels[1:], levels[:-1])
    higher = np.maximum(levels[1:], levels[:-1])
    jumps = (lower < _JUMP * higher) & (higher - lower > _LEVEL_SIGMAS * noise)
    return bool(levels.max() > _LEVEL_SIGMAS * noise and not jumps.any())


class RunningSnr:
    """Signal-to-noise ratio of the strongest band in a mean of frames, frame by frame.

    The band's height is taken over the level around it, its noise from the differences between successive
    frames, which fluorescence that slowly bleaches does not enter. As the dark is averaged over as many
    frames and is no noisier than the sample, the noise after subtracting it is at most √2 of the sample's;
    that much is assumed.
    """

    def __init__(self) -> None:
        self._n = 0
        self._sum: FloatArray = np.zeros(0)
        self._squares: FloatArray = np.zeros(0)
        self._last: FloatArray = np.zeros(0)

    def add(self, counts: npt.ArrayLike) -> float | None:
        """Take a frame of shape (n_pixels,), the same for all.

        Returns
        -------
        float or None
            The ratio, 0 where no band stands out; ``None`` after the first frame, which shows no noise.
        """
        frame = np.asarray(counts, dtype=np.float64)
        self._n += 1
        if self._n == 1:
            self._sum, self._squares = frame.copy(), np.zeros_like(frame)
        else:
            self._sum += frame
            self._squares += (frame - self._last) ** 2
        self._last = frame
        return None if self._n == 1 else self._ratio()

    @property
    def mean(self) -> FloatArray:
        """Mean of the frames so far, shape (n_pixels,), a copy."""
        return np.asarray(self._sum / self._n)

    def _ratio(self) -> float:
        mean = _median(self.mean, _SPIKE_WIDTH)
        width = max(_SHORTEST_BASE, int(mean.size * _BASE_SHARE) | 1)
        heights = mean - _level(mean, width)
        strongest = int(np.argmax(heights))
        near = slice(max(0, strongest - width // 2), strongest + width // 2 + 1)
        of_frame = self._squares[near] / (2 * (self._n - 1)) + _ROUNDING_VARIANCE
        # One pixel's noise from a few frames is itself noisy; its neighbours see nearly as much light.
        noise = np.sqrt(2 * np.median(of_frame) / self._n)
        return max(0.0, float(heights[strongest] / noise))


def _median(values: FloatArray, width: int) -> FloatArray:
    """Running median over `width` (odd) points, the ends repeated."""
    return np.asarray(np.median(_windows(values, width), axis=1))


def _level(values: FloatArray, width: int) -> FloatArray:
    """What lies under the bands: the median of means of two points equally far to the left and to the right.

    Such means are right on any slope; the points are between a quarter and a half of `width` away, where a
    band has ended.
    """
    # The level changes slowly; at every pixel it would cost more than the frame.
    windows = _windows(values, width)[::_BASE_STEP]
    quarter = width // 4
    pairs = (windows[:, :quarter] + windows[:, : -quarter - 1 : -1]) / 2
    pixels = np.arange(values.size)
    return np.interp(pixels, pixels[::_BASE_STEP], np.median(pairs, axis=1))


def _windows(values: FloatArray, width: int) -> FloatArray:
    """Windows of `width` (odd) points around every point, the ends repeated; shape (n_points, width)."""
    padded = np.pad(values, width // 2, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, width)
