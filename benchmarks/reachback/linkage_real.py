"""Measured spectra of which it is known what comes from one batch: for tests and for `linkage.py`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spectralid import IntensityUnit, Spectrum, Technique
from spectralid.reachback.intelligence.fingerprint import Fingerprint, pool, read_all


@dataclass(frozen=True)
class Known:
    """A pooled item of which it is known what it is.

    Attributes
    ----------
    mixture : str
        Items with the same have the same recipe.
    batch : str
        Its batch; several may be of one recipe.
    fingerprint : Fingerprint
        Of some of the scans of the batch; no scan is in two.
    """

    mixture: str
    batch: str
    fingerprint: Fingerprint


def tablets(data: Path, *, at_once: int = 2) -> list[Known]:
    """Escitalopram tablets (Dyrby et al. 2002): twelve batches of ten tablets.

    Three batches hold 5.6 % by weight, nine (of three sizes of tablet) 8.0 %: those are one recipe.
    """
    from scipy.io import loadmat

    file = data / "dyrby-raman-tablets/datasets/raman_tablets/data/Ramandata_tablets.mat"
    content = loadmat(file)
    matrix = np.asarray(content["Matrix"], dtype=float)
    names = [str(name).strip() for name in content["ObjLabels"]]
    axis = np.array([float(str(name)) for name in content["VarLabels"][2:]])
    out = []
    for batch, rows in itertools.groupby(range(len(names)), key=lambda i: names[i].split("_")[0]):
        numbers = list(rows)
        mixture = "5.6 %" if matrix[numbers, 0].mean() < 6.8 else "8.0 %"
        for start in range(0, len(numbers) - at_once + 1, at_once):
            spectra = [
                Spectrum.from_points(
                    axis, matrix[row, 2:], technique=Technique.RAMAN, unit=IntensityUnit.ARBITRARY
                )
                for row in numbers[start : start + at_once]
            ]
            out.append(Known(mixture, batch, pool(read_all(spectra))))
    return out


def textiles(data: Path, *, at_once: int = 2) -> list[Known]:
    """Cotton and polyester in ten proportions, each from specimens measured at several spots.

    A proportion is a mixture; neighbouring ones differ by 2 to 8 % of cotton. Specimens of one proportion
    were measured in different months.
    """
    scans: dict[str, list[Spectrum]] = {}
    for file in sorted((data / "textile-mir-blends").glob("s_*.txt")):
        found = re.match(r"s_(\d+_\d+)_", file.name)
        assert found is not None, file.name
        points = np.loadtxt(file, delimiter=",")
        scans.setdefault(found[1], []).append(
            Spectrum.from_points(points[:, 0], points[:, 1], technique=Technique.FTIR_ATR,
                                 unit=IntensityUnit.ABSORBANCE)
        )  # fmt: skip
    return [
        Known(mixture, mixture, pool(read_all(spectra[start : start + at_once])))
        for mixture, spectra in scans.items()
        for start in range(0, len(spectra) - at_once + 1, at_once)
    ]


def pairs(known: list[Known]) -> Iterator[tuple[Known, Known]]:
    """Every two of them."""
    return itertools.combinations(known, 2)
