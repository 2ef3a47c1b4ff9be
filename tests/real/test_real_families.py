"""Families of drugs that are in no library, on real infrared spectra."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from spectralid import IntensityUnit, LibraryBuilder, Spectrum, open_library
from spectralid.identify import Identifier
from spectralid.identify.family_model import FamilyModel
from spectralid.library import Compound, Tier
from spectralid.spectrum import Technique


def _drugs(data: Path) -> list[tuple[Compound, Spectrum]]:
    folder = data / "enfsi-ftir"
    entries = []
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            stored = json.loads((folder / row["file"]).read_text(encoding="utf-8"))["spectrum"]
            percent = np.clip(np.array(stored["y"], dtype=float), 1, None)
            axis = np.linspace(stored["firstX"], stored["lastX"], percent.size)
            compound = Compound(
                row["file"][:-5].replace("_", "-").strip("-"),
                row["name"],
                category=row["category"],
                fentanyl_related=row["is_fentanyl_related"] or "no",
            )
            values = -np.log10(percent / 100)
            spectrum = Spectrum(axis, values, technique=Technique.FTIR_ATR, unit=IntensityUnit.ABSORBANCE)
            entries.append((compound, spectrum))
    return entries


@pytest.fixture(scope="module")
def missing(
    tmp_path_factory: pytest.TempPathFactory, shared_data: Path
) -> tuple[Identifier, dict[str, Spectrum]]:
    """An engine whose library lacks four substances, and their spectra."""
    gone = {"isotonitazen", "metonitazene", "caffeine", "cocaine"}
    builder = LibraryBuilder("drugs", version="1", created="2026-11-22")
    spectra = {}
    for compound, spectrum in _drugs(shared_data):
        if compound.slug in gone:
            spectra[compound.slug] = spectrum
        else:
            builder.add(spectrum, compound, tier=Tier.MEASURED, source="measured", licence="tests only")
    path = tmp_path_factory.mktemp("drugs") / "drugs.h5"
    builder.write(path)
    library = open_library(path)
    model = FamilyModel.train(library, Technique.FTIR_ATR)
    assert "nitazene" in model.families
    return Identifier(library, families=[model]), spectra


@pytest.mark.parametrize("slug", ["isotonitazen", "metonitazene"])
def test_nitazenes_nobody_has_measured_are_nitazenes(
    missing: tuple[Identifier, dict[str, Spectrum]], slug: str
) -> None:
    identifier, spectra = missing
    found = identifier.identify(spectra[slug]).families[0]
    assert found.family == "nitazene"
    assert found.alarm(0.01)
    assert found.members_trained_on == 4


@pytest.mark.parametrize("slug", ["caffeine", "cocaine"])
def test_other_drugs_are_not(missing: tuple[Identifier, dict[str, Spectrum]], slug: str) -> None:
    identifier, spectra = missing
    assert not any(
        f.family == "nitazene" and f.alarm(0.01) for f in identifier.identify(spectra[slug]).families
    )
