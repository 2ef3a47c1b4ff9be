"""Band tables from freely licensed collections, with the fit of :mod:`fit_bands`.

``python libraries/bands/fit_collections.py DATA`` makes ``collection_bands.csv`` and
``collection_entries.csv`` anew from ``collection_substances.csv`` (collection, item in it, slug, form,
technique); DATA is the folder that holds the collections, one folder each.

Infrared spectra are fitted as absorbance from 400 to 4000 cm⁻¹, with the gap that carbon dioxide of the air
makes (2280 to 2400) bridged. Nothing is known of the axes but what is said per collection: infrared ones are
tied to a laser by the instrument, Raman ones are taken as they are.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import fit_bands
import numpy as np
from fit_bands import AxisOffset

HERE = Path(__file__).resolve().parent
SUBSTANCES = HERE / "collection_substances.csv"

INFRARED_RANGE_CM1 = (400.0, 4000.0)
INFRARED_STEP_CM1 = 3.0
CARBON_DIOXIDE_CM1 = (2280.0, 2400.0)
# Stiff enough to leave the broad bands of O-H alone.
INFRARED_STIFFNESS_CM1 = 2500.0
# Reflection changes band shapes a little, which no further band makes good.
MOST_BANDS = 60
# The same spectrum, resampled and cut, in two supplements of one paper.
SAME_SPECTRUM = 0.998


@dataclass(frozen=True)
class Points:
    """Axis in cm⁻¹, ascending, and intensity or absorbance; the laser's wavelength in nm, 0 for infrared."""

    x: np.ndarray
    y: np.ndarray
    laser_nm: float = 0.0


@dataclass(frozen=True)
class Collection:
    """Where spectra come from.

    Attributes
    ----------
    read : callable
        ``read(data, item) -> Points``.
    axis_sd : float
        Standard deviation of the axis in cm⁻¹, as far as is known.
    source, licence, url, citation : str
        As the library states them; ``{item}`` stands for the item.
    """

    read: Callable[[Path, str], Points]
    axis_sd: float
    source: str
    licence: str
    url: str
    citation: str


def _rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def _centred(y: np.ndarray) -> np.ndarray:
    y = y - y.mean(axis=-1, keepdims=True)
    return y / np.linalg.norm(y, axis=-1, keepdims=True)


@cache
def _primpke(data: Path) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Named spectra (1250 to 3600 cm⁻¹) and the unnamed, complete ones of the two supplements."""
    head, *rows = _rows(data / "oceanwise-primpke/primpke2018esm5.csv")
    short = np.array([float(v) for v in head[3:]])
    named = {row[0]: np.array([float(v) for v in row[3:]])[np.argsort(short)] for row in rows}
    head, *rows = _rows(data / "grimblewald-ftir-plastics/Primpke_sup4.csv")
    full = np.array([float(v) for v in head[1:]])
    complete = np.array([[float(v) for v in row[1:]] for row in rows])[:, np.argsort(full)]
    return np.sort(short), named, np.sort(full), complete


def read_primpke(data: Path, item: str) -> Points:
    """Spectrum of an ID; its complete form if that can be found without doubt, else 1250 to 3600 cm⁻¹."""
    short, named, full, complete = _primpke(data)
    cut = _centred(np.array([np.interp(short, full, y) for y in complete]))
    alike = cut @ _centred(named[item])
    best = int(np.argmax(alike))
    back = cut[best] @ _centred(np.array(list(named.values()))).T
    if alike[best] > SAME_SPECTRUM and list(named)[int(np.argmax(back))] == item:
        return Points(full, complete[best])
    return Points(short, named[item])


def read_nrcan(data: Path, item: str) -> Points:
    """Spectrum of a sample_id of ``sample_spectra.rda``."""
    from spectralid.library.rds import read_rds

    table = read_rds(data / "plotftir/sample_spectra.rda").data[0].elements()
    own = np.array(table["sample_id"].strings()) == item
    return Points(np.asarray(table["wavenumber"].data)[own], np.asarray(table["absorbance"].data)[own])


def read_raman_file(folder: str) -> Callable[[Path, str], Points]:
    """Read files of a folder, as Raman spectra."""

    def read(data: Path, item: str) -> Points:
        import spectralid

        spectrum = spectralid.read(data / folder / item, technique="raman")
        return Points(
            np.asarray(spectrum.axis), np.asarray(spectrum.intensity), spectrum.acquisition.laser_nm or 0
        )

    return read


COLLECTIONS = {
    "primpke": Collection(
        read_primpke,
        1.0,
        "bands fitted by spectralid to the ATR spectrum with ID {item} of Primpke et al. 2018, supplement 5",
        "CC BY 4.0 (open-access article, © The Author(s) 2018)",
        "https://doi.org/10.1007/s00216-018-1156-x",
        "S. Primpke, M. Wirth, C. Lorenz, G. Gerdts, Anal. Bioanal. Chem. 410 (2018) 5131",
    ),
    "nrcan": Collection(
        read_nrcan,
        1.0,
        "bands fitted by spectralid to sample {item} of PlotFTIR, sample_spectra.rda",
        "MIT, © His Majesty the King in Right of Canada, Natural Resources Canada",
        "https://github.com/NRCan/PlotFTIR",
        "Natural Resources Canada, PlotFTIR, commit 8831c26 (2026)",
    ),
    "ramanchada": Collection(
        read_raman_file("charisma-ramanchada-native/ramanchada/src/ramanchada/testdata"),
        2.0,
        "bands fitted by spectralid to {item} of ramanchada's test data",
        "MIT, © 2021–2022 CHARISMA H2020 project",
        "https://github.com/h2020charisma/ramanchada",
        "CHARISMA H2020 project, ramanchada, commit ef6c4cc (2023)",
    ),
}


def even(points: Points, technique: str) -> tuple[np.ndarray, np.ndarray]:
    """Evenly spaced points; infrared cut to its range, carbon dioxide bridged, baseline removed."""
    # Some exports fill what was not measured with zeros.
    known = np.flatnonzero(points.y)
    x, y = (values[known[0] : known[-1] + 1] for values in (points.x, points.y))
    if technique != "raman":
        inside = (x >= INFRARED_RANGE_CM1[0]) & (x <= INFRARED_RANGE_CM1[1])
        inside &= (x < CARBON_DIOXIDE_CM1[0]) | (x > CARBON_DIOXIDE_CM1[1])
        x, y = x[inside], y[inside]
    step = max(1.0 if technique == "raman" else INFRARED_STEP_CM1, float(np.median(np.diff(x))))
    axis = np.arange(np.ceil(x[0]), x[-1], step)
    values = np.interp(axis, x, y)
    if technique != "raman":
        from pybaselines import Baseline

        # A cut-off of L cm⁻¹ needs a stiffness of (L / 2π step)⁴.
        stiffness = (INFRARED_STIFFNESS_CM1 / (2 * np.pi * step)) ** 4
        values = values - Baseline(x_data=axis).arpls(values, lam=stiffness)[0]
    return axis, values


def entry_name(collection: str, item: str) -> str:
    """Name of an entry in both tables."""
    return f"{collection}-" + re.sub(r"[^A-Za-z0-9]+", "-", Path(item).stem).strip("-")


def make(data: Path) -> None:
    """Fit everything in ``collection_substances.csv`` and write both tables."""
    bands: list[dict[str, str]] = []
    entries: list[dict[str, str]] = []
    with SUBSTANCES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        collection = COLLECTIONS[row["collection"]]
        points = collection.read(data, row["item"])
        axis, values = even(points, row["technique"])
        fit = fit_bands.fit_spectrum(
            axis, values, subtract_baseline=row["technique"] == "raman", most=MOST_BANDS
        )
        offset = AxisOffset(0.0, collection.axis_sd, 0)
        name = entry_name(row["collection"], row["item"])
        bands += fit_bands.band_rows(name, fit, offset)
        entries.append(
            {
                "entry": name,
                "slug": row["slug"],
                "form": row["form"],
                "technique": row["technique"],
                "first_cm1": f"{axis[0] - offset.offset:.2f}",
                "last_cm1": f"{axis[-1] - offset.offset:.2f}",
                "laser_nm": f"{points.laser_nm:g}" if points.laser_nm else "",
                "n_bands": str(len(fit.bands)),
                "derivative_correlation": f"{fit.correlation:.4f}",
                "axis_offset_cm1": f"{offset.offset:.2f}",
                "axis_offset_sd_cm1": f"{offset.sd:.2f}",
                "source": collection.source.format(item=row["item"]),
                "licence": collection.licence,
                "url": collection.url,
                "citation": collection.citation.format(item=row["item"]),
            }
        )
        print(f"{name} {row['slug']}: {len(fit.bands)} bands, correlation {fit.correlation:.3f}", flush=True)
    fit_bands._write("collection_bands.csv", bands)
    fit_bands._write("collection_entries.csv", entries)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with the collections")
    make(parser.parse_args().data)
    sys.exit(0)
