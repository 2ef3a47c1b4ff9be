"""Samples for the simulator, from the band table the bundled library is made from, or from another CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from spectralid import _bundled
from spectralid.devices.sim.emission import SampleBand
from spectralid.errors import FileError, ParameterError

__all__ = [
    "bundled_samples",
    "find_sample",
    "known_sample",
    "read_curve",
    "read_samples",
    "simulated_substances",
]

# A sum of Gaussians a little wider than their distance follows a curve to about 1 %; the width is before the
# resolution of a measurement is taken off, which leaves 3 cm⁻¹.
_CURVE_STEP_CM1: Final = 2.5
_CURVE_FWHM_CM1: Final = 7.5
_FAINTEST: Final = 1e-4

# Names of the columns: a table of one's own, then the bundled one.
_COLUMNS: Final = {
    "substance": ("substance", "entry"),
    "position": ("position_cm1", "band_cm1"),
    "height": ("height",),
    "fwhm": ("fwhm_cm1",),
    "lorentzian": ("eta",),
}


def read_samples(file: Path) -> dict[str, tuple[SampleBand, ...]]:
    """All samples of a band table.

    Parameters
    ----------
    file : Path
        CSV with a header; columns ``substance``, ``position_cm1``, ``height``, ``fwhm_cm1`` and, if there is
        one, ``eta`` (share of the width that is Lorentzian). Lines that begin with ``#`` are comments.

    Returns
    -------
    dict
        Bands by lower-case substance.

    Raises
    ------
    FileError
        If it cannot be read, or a value is missing or out of range; names file and row.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"the band table cannot be read ({error}).", file=str(file)) from None
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    samples: dict[str, tuple[SampleBand, ...]] = {}
    for count, row in enumerate(rows, 1):
        name, band = _band(row, file.name, f"row {count}")
        samples[name] = (*samples.get(name, ()), band)
    return samples


def bundled_samples() -> dict[str, tuple[SampleBand, ...]]:
    """All samples of the bundled band table, by lower-case substance."""
    return read_samples(_bundled.path("libraries", "bands", "wasatch_bands.csv"))


def simulated_substances() -> tuple[str, ...]:
    """Names of what the simulator can measure without a band table of one's own, sorted.

    Returns
    -------
    tuple of str
        Names that `simulate` and ``spectralid scan --simulate`` take.
    """
    return tuple(sorted(bundled_samples()))


def find_sample(substance: str) -> tuple[SampleBand, ...]:
    """Bands of a substance in the bundled band table.

    Raises
    ------
    ParameterError
        If the table does not hold it.
    """
    return known_sample(bundled_samples(), substance)


def known_sample(
    tables: Mapping[str, tuple[SampleBand, ...]], name: str, what: str = "substance"
) -> tuple[SampleBand, ...]:
    """Bands of `name` in `tables`.

    Parameters
    ----------
    tables : mapping of str to bands
        Bands by lower-case name.
    name : str
        The substance; case does not matter.
    what : str
        What it is, for the message.

    Raises
    ------
    ParameterError
        If the tables do not hold it.
    """
    try:
        return tables[name.lower()]
    except KeyError:
        names = ", ".join(sorted(tables))
        raise ParameterError(what, name, f"one the simulator has a band table of: {names}") from None


def read_curve(file: Path) -> tuple[SampleBand, ...]:
    """A measured or computed spectrum as a sample: narrow bands side by side that add up to it.

    Parameters
    ----------
    file : Path
        Two columns of text, Raman shift in cm⁻¹ (ascending) and intensity, separated by commas, semicolons,
        tabs or spaces; lines that begin with ``#`` are comments. Intensities below 0 count as 0.

    Raises
    ------
    FileError
        If it cannot be read as that.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        told = [re.split(r"[,;\s]+", line.strip())[:2] for line in lines if line.strip() and line[0] != "#"]
        shift, intensity = np.array(told, dtype=np.float64).T
    except (OSError, ValueError) as error:
        raise FileError(f"it cannot be read as two columns of numbers ({error}).", file=str(file)) from None
    finite = np.all(np.isfinite(shift)) and np.all(np.isfinite(intensity))
    if shift.size < 2 or not finite or not np.all(np.diff(shift) > 0) or not intensity.max() > 0:
        raise FileError("shifts must ascend and an intensity must be above 0.", file=str(file))
    grid = np.arange(shift[0], shift[-1], _CURVE_STEP_CM1)
    heights = np.interp(grid, shift, intensity) / intensity.max()
    return tuple(
        SampleBand(float(x), float(y), _CURVE_FWHM_CM1, 0.0)
        for x, y in zip(grid, heights, strict=True)
        if y > _FAINTEST
    )


def _band(row: dict[str, str], file: str, where: str) -> tuple[str, SampleBand]:
    def number(column: str, low: float, high: float, otherwise: str = "") -> float:
        text = next((row[name] for name in _COLUMNS[column] if row.get(name)), otherwise)
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not low <= value <= high:
            raise FileError(
                f"{column} must be a number from {low:g} to {high:g}; it is {text!r}.", file=file, where=where
            )
        return value

    name = next((row[column] for column in _COLUMNS["substance"] if row.get(column)), None)
    if name is None:
        raise FileError("the substance is missing.", file=file, where=where)
    band = SampleBand(
        position=number("position", 1, 10_000),
        height=number("height", 1e-9, 1e9),
        fwhm=number("fwhm", 0.1, 1000),
        lorentzian=number("lorentzian", 0, 1, otherwise="0.5"),
    )
    return name.lower(), band
