"""What every figure shares: size, colours, axis labels, and saving."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from spectralid.errors import FileError, ParameterError
from spectralid.plot._glyphs import make_legible
from spectralid.preprocess._points import check_size
from spectralid.spectrum import FloatArray, IntensityUnit, Spectrum

if TYPE_CHECKING:
    import os

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BASELINE", "FIT", "GRID", "MEASURED", "OTHERS", "RESIDUAL", "axis_name", "new_figure", "save"]

# Okabe and Ito's palette: told apart by colour-blind readers, and in grey by lightness.
MEASURED: Final = "#222222"
BASELINE: Final = "#E69F00"
FIT: Final = "#D55E00"
OTHERS: Final = ("#0072B2", "#009E73", "#CC79A7")
RESIDUAL: Final = "#56606B"
GRID: Final = "#D8DCE0"

_UNIT_NAMES: Final = {
    IntensityUnit.COUNTS: "intensity / counts",
    IntensityUnit.ARBITRARY: "intensity / a.u.",
    IntensityUnit.ABSORBANCE: "absorbance",
    IntensityUnit.TRANSMITTANCE: "transmittance",
    IntensityUnit.PERCENT_TRANSMITTANCE: "transmittance / %",
    IntensityUnit.REFLECTANCE: "reflectance",
    IntensityUnit.KUBELKA_MUNK: "Kubelka–Munk",
    IntensityUnit.SINGLE_BEAM: "single beam / a.u.",
}


def axis_name(spectrum: Spectrum) -> tuple[str, str]:
    """Labels of the two axes of a spectrum."""
    across = "wavenumber / cm⁻¹" if spectrum.technique.is_infrared else "Raman shift / cm⁻¹"
    return across, _UNIT_NAMES[spectrum.unit]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure that needs no display and leaves pyplot's global state alone; a notebook shows it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from spectralid.plot._shown import ShownFigure

    figure = ShownFigure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes, low: float, high: float, *, infrared: bool) -> None:
    """Range, grid and frame; infrared runs from high to low wavenumber, as its readers expect."""
    axes.set_xlim((high, low) if infrared else (low, high))
    axes.grid(True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.ticklabel_format(axis="y", scilimits=(-3, 6))


def line(axes: Axes, x: FloatArray, y: FloatArray, color: str, label: str, width: float = 1.1) -> None:
    """One curve; gaps of missing points stay gaps. What is too large to lay out is refused."""
    check_size(y)
    axes.plot(x, y, color=color, linewidth=width, label=label)


def save(figure: Figure, file: str | os.PathLike[str]) -> None:
    r"""Save a figure; the extension names the format (PNG, PDF, SVG).

    Text the fonts at hand cannot draw is spelled out in the figure, as ``\u6df7``.

    Parameters
    ----------
    figure : Figure
        What a function of `spectralid.plot` made.
    file : path
        Where to; a file already there is replaced.

    Raises
    ------
    ParameterError
        If the extension names no format matplotlib can write.
    FileError
        If the file cannot be written.
    """
    suffix = Path(file).suffix.lower().lstrip(".")
    known = figure.canvas.get_supported_filetypes()
    if suffix not in known:
        raise ParameterError("figure file", str(file), "named .png, .pdf or .svg")
    make_legible(figure)
    try:
        figure.savefig(file, metadata={"Date": None} if suffix == "svg" else None)
    except OSError as error:
        raise FileError(f"the figure cannot be written ({error.strerror}).", file=str(file)) from None
