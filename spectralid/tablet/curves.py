"""A spectrum for a picture: few enough points to send and draw, none of them made up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from spectralid.spectrum import Spectrum

__all__ = ["curve"]

POINTS: Final = 1024


def curve(spectrum: Spectrum) -> dict[str, Sequence[float | None]]:
    """Places and heights; the mean of neighbours where there are too many points."""
    import numpy as np

    step = max(1, -(-spectrum.n_points // POINTS))
    whole = spectrum.n_points - spectrum.n_points % step
    x = spectrum.axis[:whole].reshape(-1, step).mean(axis=1)
    y = spectrum.intensity[:whole].reshape(-1, step)
    known = ~np.isnan(y).all(axis=1)
    means = np.full(len(x), np.nan)
    means[known] = np.nanmean(y[known], axis=1)
    return {
        "x": [round(float(v), 1) for v in x],
        "y": [None if np.isnan(v) else float(f"{v:.5g}") for v in means],
    }
