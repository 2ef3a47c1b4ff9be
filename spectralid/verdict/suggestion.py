"""Whether the other technique is worth a try, and why: samples that fluoresce, dark samples, weak signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from spectralid.identify import Identification
    from spectralid.spectrum import FloatArray, Spectrum

__all__ = ["Why", "background_ratio", "suggest_other_technique"]

Why = Literal["fluorescence", "dark", "low_snr"]

# Width in cm⁻¹ that no Raman band has: what is as broad as this is background.
_BROAD: Final = 300.0
# Set on scans of the simulated 785 nm instrument (`tests/verdict/test_suggestion.py`). A background this many
# times as high as the strongest band is what makes the scan noisy, unless signal to noise is good all the
# same. In a scan too weak to match, one as high as the band will do; without fluorescence it is lower.
_DROWNS: Final = 5.0
_GOOD_SNR: Final = 50.0
_DROWNS_WEAK: Final = 1.2
# Averages of pure noise over the width of a band stand out by about this many standard deviations of them.
_NOTHING: Final = 5.0
_BAND: Final = 10.0


def suggest_other_technique(identification: Identification, spectrum: Spectrum | None = None) -> Why | None:
    """Why the other technique (infrared after Raman, Raman after infrared) may show more.

    Parameters
    ----------
    identification : Identification
        What came of the scan.
    spectrum : Spectrum, optional
        The scan as measured, dark signal taken off. Without it only the signal to noise can be judged.

    Returns
    -------
    str or None
        ``"fluorescence"``: a Raman scan whose broad background drowns its bands. ``"dark"``: one in which
        hardly any light came back, as from black samples. ``"low_snr"``: too weak to match for another
        reason. ``None``: this technique serves.

    Notes
    -----
    Broad background is what is left of the scan after all that is narrower than 300 cm⁻¹ has been cut off its
    top; a constant offset is none of it.
    """
    quality = identification.quality
    weak = "low_snr" in quality.problems
    if identification.technique.is_infrared or spectrum is None:
        return "low_snr" if weak else None
    poor = quality.snr is None or quality.snr < _GOOD_SNR
    if poor and background_ratio(spectrum, quality.signal) >= (_DROWNS_WEAK if weak else _DROWNS):
        return "fluorescence"
    if not weak:
        return None
    return "dark" if _nothing_came_back(spectrum, quality.noise_sd) else "low_snr"


def background_ratio(spectrum: Spectrum, signal: float) -> float:
    """Span of the broad background over the height of the strongest band.

    Parameters
    ----------
    spectrum : Spectrum
        As measured.
    signal : float
        Height of its strongest band (`SignalQuality.signal`).
    """
    span = float(np.ptp(_background(spectrum)))
    if signal <= 0:
        return 0.0 if span == 0 else float("inf")
    return span / signal


def _background(spectrum: Spectrum) -> FloatArray:
    """The scan averaged over the width of a band, and everything narrower than `_BROAD` cut off its top."""
    from scipy.ndimage import grey_opening, uniform_filter1d

    measured = ~spectrum.missing
    x, y = spectrum.axis[measured], spectrum.intensity[measured]
    pitch = float(np.median(np.diff(x)))
    smooth = uniform_filter1d(y, max(1, round(_BAND / pitch)), mode="nearest")
    return np.asarray(grey_opening(smooth, size=max(1, round(_BROAD / pitch)), mode="nearest"))


def _nothing_came_back(spectrum: Spectrum, noise_sd: float | None) -> bool:
    """Whether the whole scan, averaged over the width of a band, stays within its noise."""
    from scipy.ndimage import uniform_filter1d

    if noise_sd is None:
        return False
    y = spectrum.intensity[~spectrum.missing]
    count = max(1, round(_BAND / float(np.median(np.diff(spectrum.axis)))))
    smooth = uniform_filter1d(y, count, mode="nearest")
    return bool(np.ptp(smooth) < 2 * _NOTHING * noise_sd / count**0.5)
