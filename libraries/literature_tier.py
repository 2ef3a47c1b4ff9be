"""The literature tier of the bundled library: fitted bands, and band tables from publications."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from spectralid import Spectrum, Technique
from spectralid.library.bands import Band, read_bands, sum_of_bands
from spectralid.library.compounds import read_rows
from spectralid.library.schema import common_grid, grid_key
from spectralid.spectrum import Acquisition, ProcessingStep

__all__ = ["Entry", "LeftOut", "entries", "sources"]

# Tables that have to be there, and tables that are taken if they are.
REQUIRED: Final = (
    "bands/wasatch_bands.csv",
    "bands/wasatch_entries.csv",
    "bands/literature/part_a.csv",
    "bands/literature/part_b.csv",
)
OPTIONAL: Final = (
    "bands/collection_bands.csv",
    "bands/collection_entries.csv",
    "bands/literature/ranges.csv",
)

URL: Final = "https://github.com/WasatchPhotonics/ENLIGHTEN"
COMMIT: Final = "0e98896"
STEP_CM1: Final = 1.0
# Below this correlation of the derivative spectra the bands do not stand for the measurement.
LOWEST_QUALITY: Final = 0.9

ENTRY_COLUMNS: Final = (
    "entry", "slug", "form", "first_cm1", "last_cm1", "laser_nm", "n_bands", "derivative_correlation",
    "axis_offset_cm1", "axis_offset_sd_cm1",
)  # fmt: skip
# Of bands fitted to other collections, each row says where it comes from.
COLLECTION_COLUMNS: Final = (*ENTRY_COLUMNS, "technique", "source", "licence", "url", "citation")
PUBLISHED_COLUMNS: Final = (
    "slug",
    "form",
    "technique",
    "position_cm1",
    "strength",
    "width_cm1",
    "source",
    "url",
    "page",
)

# How far up a published table speaks, where more is known than its last band: nothing lies between.
RANGE_COLUMNS: Final = ("slug", "form", "technique", "last_cm1", "reason")

# No source gives widths. Solids and liquids as portable instruments show them, half Lorentzian.
ASSUMED_FWHM_CM1: Final = {"raman": 12.0, "infrared": 25.0}
ASSUMED_ETA: Final = 0.5
# A table speaks for what it lists and for the feet of its outermost bands; beyond it says nothing.
MARGIN_FWHM: Final = 2.0
# A third of the fingerprint; with less in common the engine compares nothing.
LEAST_SPAN_CM1: Final = 450.0
STRENGTHS: Final = {"vs": 1.0, "s": 0.7, "m": 0.45, "w": 0.25, "vw": 0.1}
# Where a table gives strengths for some of its bands, the others are taken for middling.
MIDDLING: Final = 0.45

_OFF_ATR: Final = (
    "transmission or single-crystal bands of a strongly absorbing mineral lie 10 to 60 cm⁻¹ off those of ATR"
)
_INDEX: Final = "absorption index of the liquid, near transmission and not ATR"
# Why a table does not serve as a spectrum, from NOTES_A.md and NOTES_B.md.
UNFIT: Final[Mapping[tuple[str, str, str], str]] = {
    ("acetylsalicylic-acid", "", "raman"): "C=O and ring region missing, list of doubtful origin",
    ("cellulose", "native, in wood", "raman"): "bands of wood, not of the substance",
    ("gelatin", "", "ftir_atr"): "four bands, and they move with type, water and optics",
    ("phenacetin", "", "ftir"): "positions read to 10 cm⁻¹ only",
    ("urea", "", "ftir"): "part of the bands, without the fingerprint below 1467 cm⁻¹",
    ("acetone", "liquid", "ftir_transmission"): _INDEX,
    ("ethanol", "liquid", "ftir_transmission"): _INDEX,
    ("n-n-dimethylformamide", "liquid", "ftir"): "the source does not name every band",
    ("poly-ethylene-oxide", "solid", "raman"): "photographed, one band known to 35 cm⁻¹ only",
    ("sodium-chloride", "second order, weak", "raman"): "weak second-order bands only",
    ("cerussite", "", "ftir"): _OFF_ATR,
    ("gibbsite", "", "ftir"): _OFF_ATR,
    ("hydroxyapatite", "", "ftir"): _OFF_ATR,
    ("microcline", "", "ftir_transmission"): _OFF_ATR,
    ("montmorillonite", "", "ftir"): f"carelessly labelled table; {_OFF_ATR}",
    ("silicon-dioxide", "amorphous, KBr", "ftir_transmission"): _OFF_ATR,
}


@dataclass(frozen=True)
class Entry:
    """One reference: its compound, its spectrum and the facts `LibraryBuilder.add` takes by keyword."""

    slug: str
    spectrum: Spectrum
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class LeftOut:
    """An entry that is not built, and why."""

    name: str
    reason: str


def sources(folder: Path) -> tuple[str, ...]:
    """The tables below `folder` that `entries` reads."""
    return (*REQUIRED, *(name for name in OPTIONAL if (folder / name).exists()))


def entries(folder: Path) -> Iterator[Entry | LeftOut]:
    """Everything the tables below `folder` give, in their order."""
    bands = read_bands(folder / "bands/wasatch_bands.csv")
    for _, row in read_rows(folder / "bands/wasatch_entries.csv", required=ENTRY_COLUMNS, optional=()):
        name = row["entry"]
        facts = {
            "source": "bands fitted by spectralid to Wasatch ENLIGHTEN default_matching_library/"
            f"{name}.csv, commit {COMMIT}",
            "licence": "MIT, © 2026 Wasatch Photonics",
            "url": URL,
            "citation": f"Wasatch Photonics, ENLIGHTEN, {URL}, commit {COMMIT} (2026)",
        }
        yield _fitted(row, bands[name], Technique.RAMAN, f"default_matching_library/{name}.csv", facts)
    if (folder / OPTIONAL[0]).exists():
        bands = read_bands(folder / OPTIONAL[0])
        for _, row in read_rows(folder / OPTIONAL[1], required=COLLECTION_COLUMNS, optional=()):
            facts = {name: row[name] for name in ("source", "licence", "url", "citation")}
            yield _fitted(row, bands[row["entry"]], Technique(row["technique"]), row["source"], facts)
    ranges = {}
    if (folder / OPTIONAL[2]).exists():
        for _, row in read_rows(folder / OPTIONAL[2], required=RANGE_COLUMNS, optional=()):
            ranges[row["slug"], row["form"], row["technique"]] = float(row["last_cm1"])
    for name in REQUIRED[2:]:
        yield from _published(folder / name, ranges)


def _spectrum(low: float, high: float, bands: Sequence[Band], **facts: Any) -> Spectrum:
    """The sum of bands over a range, its highest point 1."""
    axis = np.arange(math.ceil(low / STEP_CM1), math.floor(high / STEP_CM1) + 1) * STEP_CM1
    total = sum_of_bands(axis, bands)
    # Rounded, so that the last bits of another machine's exponential do not make another library.
    return Spectrum(axis, np.round(total / total.max(), 6).astype(np.float32), **facts)


def _fitted(
    row: Mapping[str, str], bands: Sequence[Band], technique: Technique, source: str, facts: Mapping[str, Any]
) -> Entry | LeftOut:
    """The reference of bands fitted to a measured spectrum, over the range that was measured."""
    quality = float(row["derivative_correlation"])
    if quality < LOWEST_QUALITY:
        return LeftOut(row["entry"], f"correlation {quality:.3f}")
    offset = float(row["axis_offset_cm1"])
    step = ProcessingStep(
        "sum_of_bands",
        {"bands": len(bands), "axis_offset_cm1": offset, "height": "highest point 1"},
        "1",
    )
    spectrum = _spectrum(
        float(row["first_cm1"]),
        float(row["last_cm1"]),
        bands,
        technique=technique,
        unit="absorbance" if technique.is_infrared else "arbitrary",
        acquisition=Acquisition(laser_nm=float(row["laser_nm"]) if row["laser_nm"] else None),
        history=[step],
        name=row["entry"],
        source=source,
    )
    return Entry(row["slug"], spectrum, {**facts, "form": row["form"], "quality": quality})


def _published(path: Path, ranges: Mapping[tuple[str, str, str], float]) -> Iterator[Entry | LeftOut]:
    tables: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for _, row in read_rows(
        path, required=PUBLISHED_COLUMNS, optional=("assignment", "quote_check", "retrieved")
    ):
        tables.setdefault((row["slug"], row["form"], row["technique"]), []).append(row)
    for key, rows in tables.items():
        slug, form, technique = key
        positions = [float(row["position_cm1"]) for row in rows]
        last = ranges.get(key, max(positions))
        reason = UNFIT.get(key, "")
        if not reason and last - min(positions) < LEAST_SPAN_CM1:
            reason = f"lists {min(positions):g} to {last:g} cm⁻¹ only, too little to be compared"
        if reason:
            name = f"{slug}{f' ({form})' if form else ''}, {technique.replace('_', ' ')}"
            yield LeftOut(name, f"{reason}: {_joined(rows, 'source')}")
        else:
            yield Entry(slug, _from_table(rows, Technique(technique), last), _facts_of(rows))


def _from_table(rows: Sequence[Mapping[str, str]], technique: Technique, last: float) -> Spectrum:
    key = grid_key(technique)
    fwhm = ASSUMED_FWHM_CM1[key]
    stated = [
        STRENGTHS.get(row["strength"]) or (float(row["strength"]) if row["strength"] else None)
        for row in rows
    ]
    bands = [
        Band(float(row["position_cm1"]), strength or MIDDLING, float(row["width_cm1"] or fwhm), ASSUMED_ETA)
        for row, strength in zip(rows, stated, strict=True)
    ]
    grid = common_grid(key)
    step = ProcessingStep(
        "sum_of_bands",
        {
            "bands": len(bands),
            "heights_stated": sum(strength is not None for strength in stated),
            "fwhm_cm1_assumed": fwhm,
            "height": "highest point 1",
        },
        "1",
    )
    return _spectrum(
        max(min(band.position for band in bands) - MARGIN_FWHM * fwhm, grid[0]),
        min(last + MARGIN_FWHM * fwhm, grid[-1]),
        bands,
        technique=technique,
        unit="absorbance" if technique.is_infrared else "arbitrary",
        history=[step],
        name=f"{rows[0]['slug']}, published bands",
        source=_joined(rows, "source"),
    )


def _facts_of(rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    source, page = _joined(rows, "source"), _joined(rows, "page")
    return {
        "form": rows[0]["form"],
        "source": f"published band positions: {source}",
        "licence": "facts of a cited publication",
        "url": rows[0]["url"],
        "citation": f"{source}{f' ({page})' if page else ''}",
    }


def _joined(rows: Sequence[Mapping[str, str]], column: str) -> str:
    return "; ".join(dict.fromkeys(row[column] for row in rows if row[column]))
