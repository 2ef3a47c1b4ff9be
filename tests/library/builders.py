"""Small libraries for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spectralid import LibraryBuilder, Spectrum
from spectralid.library import Compound, ReferenceLibrary, Tier
from spectralid.spectrum import Acquisition, ProcessingStep


def band_spectrum(position: float, *, technique: str = "raman", unit: str = "arbitrary", **facts) -> Spectrum:
    """One Gaussian band on an axis of its own, with float64 values that float32 cannot hold."""
    axis = np.linspace(300.3, 1800.7, 501) + position / 1e4
    intensity = np.exp(-(((axis - position) / 9.0) ** 2)) + 0.1
    return Spectrum(axis, intensity, technique=technique, unit=unit, name=f"band {position:g}", **facts)


def full_facts(position: float) -> Spectrum:
    """A spectrum with everything a spectrum can carry."""
    spectrum = band_spectrum(
        position,
        acquisition=Acquisition(
            instrument="Handheld X", serial="7", laser_nm=785.0, power_mw=12.5, integration_ms=100.0,
            averages=3, resolution_cm1=8.0, time="2026-01-02T03:04:05", operator="Ä", flags={"saturated"},
            metadata={"Sample": "powder, white"},
        ),
        history=[ProcessingStep("crop", {"low_cm1": 300.3}, "0.1.0")],
        source="a.csv",
    )  # fmt: skip
    intensity = spectrum.intensity.copy()
    intensity[100] = np.nan
    return spectrum.replace(intensity=intensity, sd=np.full(intensity.size, 0.01))


def compound(number: int) -> Compound:
    return Compound(f"compound-{number}", f"Compound {number}", synonyms=(f"C{number}",), category="test/one")


def build_small(path: Path, *, raman: int = 4, infrared: int = 2, created: str = "2026-01-01") -> str:
    """A library of a few references of both techniques; returns its identity."""
    builder = LibraryBuilder("small", version="3", created=created, recipe="for tests")
    for i in range(raman):
        builder.add(
            full_facts(500.0 + 100 * i) if i == 0 else band_spectrum(500.0 + 100 * i),
            compound(i),
            tier=list(Tier)[i % 3],
            source=f"source {i}",
            licence="CC0-1.0",
            url="https://example.org",
            citation="A citation.",
            form="monohydrate" if i == 1 else "",
            quality=0.5 if i == 2 else None,
        )
    for i in range(infrared):
        transmittance = band_spectrum(900.0 + 50 * i, technique="ftir_atr", unit="transmittance")
        builder.add(transmittance, compound(i), tier=Tier.MEASURED, source="infrared")
    return builder.write(path)


def small_library(folder: Path, **arguments) -> ReferenceLibrary:
    build_small(folder / "small.h5", **arguments)
    return ReferenceLibrary(folder / "small.h5")
