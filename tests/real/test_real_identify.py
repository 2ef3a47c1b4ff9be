"""Identification on real measured spectra: one unit's library, other people's instruments."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from spectralid import read
from spectralid.identify import Identifier, RetrievalIndex, signal_quality
from spectralid.library import Compound, LibraryBuilder, ReferenceLibrary, Tier, open_library
from spectralid.spectrum import Spectrum, Technique
from spectralid.verdict import VerdictKind, decide

# Files of other instruments whose substance the library holds: its place without any shift.
OTHERS = {
    "whenfung-raman/试剂标准品谱图/乙醚.txt": "diethylether",
    "whenfung-raman/试剂标准品谱图/乙酸乙酯.txt": "ethyl-acetate",
    "whenfung-raman/试剂标准品谱图/二氯甲烷.txt": "dichloromethane",
    "whenfung-raman/试剂标准品谱图/甲醇.txt": "methanol",
    "whenfung-raman/试剂标准品谱图/丙酮.txt": "acetone",
    "whenfung-raman/试剂标准品谱图/乙腈.txt": "acetonitrile",
    "whenfung-raman/试剂标准品谱图/乙醇.txt": "ethanol",
    "whenfung-raman/试剂标准品谱图/四氢呋喃.txt": "tetrahydrofuran",
    "cdph-white-powders/Sucrose.txt": "sucrose",
    "cdph-white-powders/Fructose.txt": "fructose",
    "cdph-white-powders/Baking Soda.txt": "sodium-bicarbonate",
    "cdph-white-powders/Tylenol.txt": "acetaminophen",
    "cdph-white-powders/Plastics/PET pellets_785nm_processed.txt": "pet",
    "arcadia-5-spectrometers/Horiba_MacroRAM/acetonitrile.txt": "acetonitrile",
    "arcadia-5-spectrometers/Wasatch_WP785X/acetonitrile.csv": "acetonitrile",
    "openspecy/inst/extdata/raman_hdpe.csv": "polyethylene",
}
# Axis 10 to 15 cm⁻¹ off: the plain matcher cannot find these, and must not name something else.
AXIS_OFF = {
    "xiafanzeng-rruff-raman/ref/Prepare incoming data/乙醇.txt": "ethanol",
    "xiafanzeng-rruff-raman/ref/Prepare incoming data/甲苯.txt": "toluene",
}
NOT_IN_LIBRARY = (
    "whenfung-raman/试剂标准品谱图/吡啶.txt",
    "whenfung-raman/试剂标准品谱图/硫酸.txt",
    "whenfung-raman/试剂标准品谱图/硫酸安非他明.txt",
    "cdph-white-powders/Aspirin.txt",
    "cdph-white-powders/Talc.txt",
    "xiafanzeng-rruff-raman/data/白云石.txt",
    "xiafanzeng-rruff-raman/data/隐晶石.txt",
    "xiafanzeng-rruff-raman/data/砷锰矿.txt",
)


@pytest.fixture(scope="module")
def library(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> ReferenceLibrary:
    builder = LibraryBuilder("wasatch")
    for file in sorted((shared_data / "wasatch-enlighten" / "default_matching_library").glob("*.csv")):
        slug = re.sub(r"[^a-z0-9]+", "-", file.stem.lower())
        compound = Compound(slug, file.stem, hazards=("none",))
        builder.add(read(file, technique="raman"), compound, tier=Tier.MEASURED, source="ENLIGHTEN")
    path = tmp_path_factory.mktemp("library") / "wasatch.h5"
    builder.write(path)
    return open_library(path)


@pytest.fixture(scope="module")
def identifier(library: ReferenceLibrary) -> Identifier:
    return Identifier(library)


def spectrum_of(shared_data: Path, file: str) -> Spectrum:
    return read(shared_data / file, technique="raman")


def test_every_reference_finds_itself(library: ReferenceLibrary) -> None:
    index = RetrievalIndex.from_library(library, Technique.RAMAN)
    for row, result in zip(index.rows, index.search_many(index.intensities, k=1), strict=True):
        assert result.hits[0].reference.id == row.id
        assert result.hits[0].score == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("file", OTHERS)
def test_other_instruments_find_the_substance(
    shared_data: Path, identifier: Identifier, library: ReferenceLibrary, file: str
) -> None:
    result = identifier.identify(spectrum_of(shared_data, file))
    assert result.candidates[0].compound_slug == OTHERS[file]
    verdict = decide(result, library)
    # Named, or at least among what is told: never another name alone.
    assert verdict.kind in (VerdictKind.IDENTIFIED, VerdictKind.INCONCLUSIVE, VerdictKind.NO_MATCH)
    if verdict.named:
        assert OTHERS[file] in verdict.named


@pytest.mark.parametrize("file", [*AXIS_OFF, *NOT_IN_LIBRARY])
def test_nothing_is_named_where_nothing_can_be(
    shared_data: Path, identifier: Identifier, library: ReferenceLibrary, file: str
) -> None:
    verdict = decide(identifier.identify(spectrum_of(shared_data, file)), library)
    assert verdict.kind is not VerdictKind.IDENTIFIED
    assert "PRESUMPTIVE" in verdict.text()


@pytest.mark.parametrize("file", AXIS_OFF)
def test_the_axis_is_what_hides_them(shared_data: Path, library: ReferenceLibrary, file: str) -> None:
    index = RetrievalIndex.from_library(library, Technique.RAMAN)
    spectrum = spectrum_of(shared_data, file)
    moved = [index.search(spectrum.replace(axis=spectrum.axis - s), k=1).hits[0] for s in range(8, 17)]
    best = max(moved, key=lambda hit: hit.score)
    assert best.reference.compound_slug == AXIS_OFF[file]
    assert best.score > 0.9


def test_two_files_of_one_substance_cannot_be_told_apart(
    library: ReferenceLibrary, identifier: Identifier
) -> None:
    reference = next(r for r in library.references if r.compound_slug == "isopropanol")
    verdict = decide(identifier.identify(library.reference(reference.id).spectrum), library)
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert set(verdict.named) == {"isopropanol", "2-propanol"}


def test_signal_to_noise_tells_weak_scans_from_strong_ones(shared_data: Path) -> None:
    folder = "whenfung-raman/试剂标准品谱图/"
    weak = [
        signal_quality(spectrum_of(shared_data, f"{folder}{n}.txt")).snr
        for n in ("硫酸安非他明", "盐酸麻黄碱")
    ]
    strong = [
        signal_quality(spectrum_of(shared_data, f"{folder}{n}.txt")).snr for n in ("丙酮", "乙醇", "甲醇")
    ]
    assert np.max(np.array(weak, dtype=float)) < 0.5 * np.min(np.array(strong, dtype=float))
