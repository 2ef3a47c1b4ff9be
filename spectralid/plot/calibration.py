"""Figure of an axis calibration: the standard with its matched bands, and how far off they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spectralid.calibration import AxisCalibration
from spectralid.plot._style import FIT, MEASURED, OTHERS, RESIDUAL, axis_name, dress, line, new_figure
from spectralid.spectrum import Spectrum

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["calibration_figure"]


def calibration_figure(spectrum: Spectrum, calibration: AxisCalibration) -> Figure:
    """Draw the spectrum of a standard, its bands, and their deviations before and after.

    Parameters
    ----------
    spectrum : Spectrum
        The standard as measured.
    calibration : AxisCalibration
        What was made of it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(9, 6.4)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    infrared = spectrum.technique.is_infrared
    low, high = spectrum.range
    line(
        above,
        spectrum.axis,
        spectrum.intensity,
        MEASURED,
        spectrum.name or spectrum.source or "standard",
        0.9,
    )
    for number, peak in enumerate(calibration.peaks):
        color = OTHERS[0] if peak.used else RESIDUAL
        label = ("bands used" if peak.used else "band left out") if number == 0 or not peak.used else None
        above.axvline(peak.found_cm1, color=color, linewidth=0.8, alpha=0.7, zorder=0, label=label)
    across, up = axis_name(spectrum)
    above.set_ylabel(up)
    above.set_title(
        f"{calibration.standard}: {calibration.shift_cm1:+.2f} ± "
        f"{calibration.correction_sd(calibration.pivot_cm1):.2f} cm⁻¹ at {calibration.pivot_cm1:.0f} cm⁻¹",
        loc="left",
        fontweight="bold",
    )
    above.legend(frameon=False, loc="best", fontsize="small")

    found = np.array([peak.found_cm1 for peak in calibration.peaks])
    sd = np.array([np.hypot(peak.found_sd_cm1, peak.standard_sd_cm1) for peak in calibration.peaks])
    before = np.array([peak.before_cm1 for peak in calibration.peaks])
    after = np.array([peak.after_cm1 for peak in calibration.peaks])
    x = np.linspace(max(low, calibration.valid_cm1[0]), min(high, calibration.valid_cm1[1]), 200)
    correction, wide = -calibration.correction(x), 1.96 * calibration.correction_sd(x)
    below.fill_between(x, correction - wide, correction + wide, color=FIT, alpha=0.15, linewidth=0)
    line(below, x, correction, FIT, "fitted deviation, 95 %")
    for y, color, marker, label in (
        (before, MEASURED, "o", "before"),
        (after, OTHERS[1], "s", "after"),
    ):
        below.errorbar(
            found, y, yerr=1.96 * sd, color=color, fmt=marker, markersize=4, linewidth=0.9, label=label
        )
    below.axhline(0, color=RESIDUAL, linewidth=0.8)
    below.set_xlabel(across)
    below.set_ylabel("found − standard / cm⁻¹")
    below.legend(frameon=False, loc="best", fontsize="small", ncols=3)
    for axes in (above, below):
        dress(axes, low, high, infrared=infrared)
    return figure
