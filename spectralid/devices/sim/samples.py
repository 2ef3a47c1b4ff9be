"""Samples for the simulator, from the band table the bundled library is made from, or from another CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from spectralid import _bundled
from spectralid.devices.sim.emission import SampleBand
from spectralid.errors import FileError, ParameterError

__all__ = ["bundled_samples", "find_sample", "known_sample", "read_samples"]

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
