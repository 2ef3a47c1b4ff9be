"""Intensities brought to sizes that floating point can square; nothing rests on the size itself."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from spectralid.spectrum import Spectrum

__all__ = ["moderate"]

# Sizes of intensities whose squares, and sums and ratios of those, floating point holds.
_MODERATE: Final = (1e-70, 1e70)


def moderate(spectrum: Spectrum) -> tuple[Spectrum, int]:
    """The spectrum times a power of two where squares of its intensities could not be held, and that power.

    Sizes of real measurements are left as they are, with power 0. A power of two changes no digit of what is
    of the size of the largest intensity.
    """
    largest = float(np.nanmax(np.abs(spectrum.intensity)))
    if largest == 0 or _MODERATE[0] < largest < _MODERATE[1]:
        return spectrum, 0
    power = -math.frexp(largest)[1]
    sd = None
    if spectrum.sd is not None:
        # What is so much larger than the signal says no more by being larger still.
        sd = np.minimum(np.ldexp(np.minimum(spectrum.sd, largest), power), _MODERATE[1])
    return spectrum.replace(intensity=np.ldexp(spectrum.intensity, power), sd=sd), power
