"""Figure of one or several spectra as measured, with the baseline where it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spectralid.errors import ParameterError
from spectralid.plot._style import BASELINE, MEASURED, OTHERS, axis_name, dress, line, new_figure
from spectralid.spectrum import FloatArray, Spectrum

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["spectrum_figure"]

MAXIMUM_CURVES = 1 + len(OTHERS)


def spectrum_figure(
    spectra: Spectrum | Sequence[Spectrum],
    *,
    baseline: FloatArray | None = None,
    title: str = "",
) -> Figure:
    """Draw spectra over one another.

    Parameters
    ----------
    spectra : Spectrum or sequence of Spectrum
        One to four spectra of comparable technique and one unit.
    baseline : ndarray, shape (n_points,), optional
        Baseline of the first spectrum, drawn under it.
    title : str, optional
        Heading; the name of the first spectrum by default.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If there are too many spectra, or they do not share an ordinate.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralid import Spectrum
    >>> from spectralid.plot import spectrum_figure
    >>> axis = np.arange(400.0, 1801.0, 2.0)
    >>> band = 100 * np.exp(-(((axis - 1001.0) / 8) ** 2))
    >>> figure = spectrum_figure(Spectrum(axis, band, technique="raman", name="one band"))
    >>> len(figure.axes)
    1
    """
    items = [spectra] if isinstance(spectra, Spectrum) else list(spectra)
    if not 1 <= len(items) <= MAXIMUM_CURVES:
        raise ParameterError("spectra", len(items), f"1 to {MAXIMUM_CURVES} in number")
    first = items[0]
    if any(s.unit is not first.unit or s.technique.is_infrared != first.technique.is_infrared for s in items):
        raise ParameterError(
            "spectra", sorted({f"{s.technique} in {s.unit}" for s in items}), "of one technique and one unit"
        )
    figure = new_figure(9, 4.2)
    axes = figure.add_subplot()
    for spectrum, color in zip(items, (MEASURED, *OTHERS), strict=False):
        line(axes, spectrum.axis, spectrum.intensity, color, spectrum.name or spectrum.source)
        if spectrum.sd is not None:
            low, high = spectrum.intensity - spectrum.sd, spectrum.intensity + spectrum.sd
            axes.fill_between(spectrum.axis, low, high, color=color, alpha=0.2, linewidth=0)
    if baseline is not None:
        line(axes, first.axis, baseline, BASELINE, "baseline", 1.4)
    across, up = axis_name(first)
    dress(
        axes,
        min(s.range[0] for s in items),
        max(s.range[1] for s in items),
        infrared=first.technique.is_infrared,
    )
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_title(title or first.name or first.source, loc="left", fontweight="bold")
    # Without names there is nothing to tell the curves by.
    if axes.get_legend_handles_labels()[1] and (len(items) > 1 or baseline is not None):
        axes.legend(frameon=False, loc="best")
    return figure
