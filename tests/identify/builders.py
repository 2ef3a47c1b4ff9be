"""Synthetic references and spectra for the tests of retrieval, quality and verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spectralid.library import Compound, LibraryBuilder, ReferenceInfo, ReferenceLibrary, Tier, open_library
from spectralid.spectrum import FloatArray, Spectrum, Technique

GRID: FloatArray = 150.0 + 3.0 * np.arange(1024)


def bands(axis: FloatArray, centres: Any, heights: Any, width: float = 12.0) -> FloatArray:
    """Sum of Lorentzian bands of full width `width`."""
    x = (axis[:, None] - np.asarray(centres, dtype=float)[None, :]) / (width / 2)
    return np.asarray((np.asarray(heights, dtype=float) / (1 + x**2)).sum(axis=1))


def substance(axis: FloatArray, seed: int, n_bands: int = 12) -> FloatArray:
    """Spectrum of the invented substance number `seed`: bands at random places between 200 and 3,100 cm⁻¹."""
    rng = np.random.default_rng(seed)
    return bands(axis, rng.uniform(200, 3100, n_bands), rng.uniform(0.1, 1.0, n_bands))


def info(number: int, *, slug: str = "", tier: Tier = Tier.MEASURED, form: str = "") -> ReferenceInfo:
    return ReferenceInfo(
        id=f"ref-{number:03d}",
        compound_slug=slug or f"compound-{number:03d}",
        form=form,
        technique=Technique.RAMAN,
        tier=tier,
        source="test",
        licence="CC0",
        url="",
        citation="",
        range_cm1=(150.0, 3219.0),
        n_points=1024,
        resolution_cm1=None,
        laser_nm=785.0,
        quality=None,
        spectrum_sha256="",
    )


@dataclass
class Arrays:
    """References handed in as arrays, the way retrieval needs them."""

    values: np.ndarray[Any, Any]
    infos: tuple[ReferenceInfo, ...]
    axis: FloatArray

    def grid(self, technique: Technique) -> FloatArray:
        return self.axis

    def matrix(self, technique: Technique) -> np.ndarray[Any, Any]:
        return self.values

    def rows(self, technique: Technique) -> tuple[ReferenceInfo, ...]:
        return self.infos


def arrays(values: Any, infos: Any = None) -> Arrays:
    matrix = np.asarray(values, dtype=np.float32)
    return Arrays(matrix, tuple(infos) if infos else tuple(info(i) for i in range(len(matrix))), GRID)


def raman(values: FloatArray, axis: FloatArray = GRID, **facts: Any) -> Spectrum:
    return Spectrum(axis, values, technique=Technique.RAMAN, **facts)


def library(
    folder: Any,
    entries: list[tuple[Compound, Spectrum, Tier]],
    *,
    name: str = "test",
    created: str = "2026-01-02",
) -> ReferenceLibrary:
    """A library file with one reference per entry."""
    builder = LibraryBuilder(name, version="7", created=created)
    for compound, spectrum, tier in entries:
        builder.add(spectrum, compound, tier=tier, source="test", licence="CC0", citation="test")
    builder.write(folder / f"{name}.h5")
    return open_library(folder / f"{name}.h5")


def with_noise(values: FloatArray, sd: float, seed: int = 0) -> FloatArray:
    return np.asarray(values + np.random.default_rng(seed).normal(0.0, sd, values.size))
