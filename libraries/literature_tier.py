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

__all__ = ["SOURCES", "Entry", "LeftOut", "entries"]

SOURCES: Final = (
    "bands/wasatch_bands.csv",
    "bands/wasatch_entries.csv",
    "bands/collection_bands.csv",
    "bands/collection_entries.csv",
    "bands/literature/part_a.csv",
    "bands/literature/part_b.csv",
    "bands/literature/ranges.csv",
    "bands/literature/doubtful.csv",
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
KEY_COLUMNS: Final = ("slug", "form", "technique")
PUBLISHED_COLUMNS: Final = (
    *KEY_COLUMNS,
    "position_cm1",
    "strength",
    "width_cm1",
    "source",
    "url",
    "page",
)

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
    bands = read_bands(folder / "bands/collection_bands.csv")
    for _, row in read_rows(
        folder / "bands/collection_entries.csv", required=COLLECTION_COLUMNS, optional=()
    ):
        facts = {name: row[name] for name in ("source", "licence", "url", "citation")}
        yield _fitted(row, bands[row["entry"]], Technique(row["technique"]), row["source"], facts)
    yield from _published(folder / "bands/literature")


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


def _published(folder: Path) -> Iterator[Entry | LeftOut]:
    def of_table(name: str, column: str) -> dict[tuple[str, ...], str]:
        rows = read_rows(folder / name, required=(*KEY_COLUMNS, column), optional=("reason",))
        return {tuple(row[part] for part in KEY_COLUMNS): row[column] for _, row in rows}

    ranges, doubtful = of_table("ranges.csv", "last_cm1"), of_table("doubtful.csv", "reason")
    tables: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for part in ("part_a.csv", "part_b.csv"):
        for _, row in read_rows(
            folder / part, required=PUBLISHED_COLUMNS, optional=("assignment", "quote_check", "retrieved")
        ):
            tables.setdefault(tuple(row[name] for name in KEY_COLUMNS), []).append(row)
    for key, rows in tables.items():
        slug, form, technique = key
        positions = [float(row["position_cm1"]) for row in rows]
        last = float(ranges.get(key, max(positions)))
        reason = doubtful.get(key, "")
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
