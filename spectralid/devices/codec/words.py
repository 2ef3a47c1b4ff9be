"""Unframed 16-bit counts: whether their bytes are in the order they should be."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["swapped_stretch"]

# Long enough for a median to stand a cosmic ray, short enough that a byte lost near the end still shows.
_BLOCK: Final = 16
# Steps between neighbouring pixels this many times larger than with the bytes exchanged are no spectrum. In
# the right order they are smaller, by a factor of about a hundred.
_CLEARLY: Final = 4.0
# Smaller steps, in counts, are smooth in either order and tell nothing: the other byte never changes.
_VISIBLE: Final = 256.0


def swapped_stretch(words: npt.NDArray[np.uint16]) -> tuple[int, int] | None:
    """Where counts are clearly smoother with the two bytes of each count exchanged.

    Parameters
    ----------
    words : ndarray of uint16, shape (n,)
        Counts of neighbouring pixels.

    Returns
    -------
    (int, int) or None
        Index of the first such count and of the first count after the last one, to within a block of 16
        counts; (0, n) if nowhere the order given is the clearly smoother one. ``None`` if there is none.
    """
    given, starts = _steps(words)
    other, _ = _steps(words.byteswap())
    swapped = (given >= _VISIBLE) & (given > _CLEARLY * other)
    if not swapped.any():
        return None
    right = (other >= _VISIBLE) & (other > _CLEARLY * given)
    if not right.any():
        return 0, words.size
    where = np.flatnonzero(swapped)
    return int(starts[where[0]]), int(min(starts[where[-1]] + _BLOCK, words.size))


def _steps(words: npt.NDArray[np.uint16]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Median step to the next count in each block, and where the blocks begin; the last two may overlap."""
    steps = np.abs(np.diff(words.astype(np.int64)))
    size = min(_BLOCK, max(steps.size, 1))
    starts = np.append(np.arange(0, steps.size - size, size), max(0, steps.size - size))
    blocks = steps[starts[:, np.newaxis] + np.arange(size)] if steps.size else np.zeros((1, 1))
    return np.median(blocks, axis=1), starts
