"""Samples of a study whose scan is in the library that judges them: they say nothing about the method."""

from __future__ import annotations

from typing import Final

import numpy as np

from spectralid.calibration.axis import upright
from spectralid.identify import Identification
from spectralid.library import ReferenceLibrary, Tier
from spectralid.qa.likeness import noise_match
from spectralid.spectrum import Spectrum

__all__ = ["leak_of"]

# Likeness from which a reference is compared for being the very scan: low enough for a corrected axis. The
# scan itself is always among the likest.
_ALIKE: Final = 0.70


def leak_of(spectrum: Spectrum, identification: Identification, library: ReferenceLibrary) -> str:
    """Which reference of the library is this very scan, if any.

    A scan is known by its noise (`spectralid.qa.likeness.noise_match`), so that another name, format, scale,
    baseline, or axis does not hide it. One without noise is known only by its values.

    Parameters
    ----------
    spectrum : Spectrum
        The sample.
    identification : Identification
        What the engine made of it with that library.
    library : ReferenceLibrary
        The library.

    Returns
    -------
    str
        Id of the reference; empty if there is none.

    Raises
    ------
    LibraryError
        If the library is damaged.
    """
    sample = upright(spectrum)
    for candidate in identification.candidates:
        if candidate.score < _ALIKE or candidate.tier is not Tier.MEASURED:
            continue
        held = upright(library.reference(candidate.reference_id).spectrum)
        if held.intensity.shape == sample.intensity.shape and np.array_equal(
            held.intensity, sample.intensity
        ):
            return candidate.reference_id
        match = noise_match(sample.axis, sample.intensity, held.axis, held.intensity)
        if match is not None and match.same:
            return candidate.reference_id
    return ""
