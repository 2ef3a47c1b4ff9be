"""When to change technique: simulated scans of fluorescing, dark and weak samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spectralid.identify.quality import signal_quality
from spectralid.library import ReferenceLibrary, open_library
from spectralid.spectrum import Spectrum, Technique
from spectralid.verdict.suggestion import background_ratio, suggest_other_technique
from tests.verdict.built import catalog, scanned
from tests.verdict.glowing import glowing

SUBSTANCES = ("acetaminophen", "lactose", "caffeine", "polyethylene")


@pytest.fixture(scope="module")
def library() -> ReferenceLibrary:
    return open_library()


def why(library: ReferenceLibrary, spectrum: Spectrum, *, shown: bool = True) -> str | None:
    identification, _ = scanned(library, named=["lactose"], technique=spectrum.technique)
    judged = replace(identification, quality=signal_quality(spectrum))
    return suggest_other_technique(judged, spectrum if shown else None)


@pytest.mark.parametrize("substance", SUBSTANCES)
@pytest.mark.parametrize("fluorescence", [0.0, 0.3, 1.0, 3.0])
def test_a_sample_that_hardly_fluoresces_stays_with_raman(
    library: ReferenceLibrary, substance: str, fluorescence: float
) -> None:
    assert why(library, glowing(substance, fluorescence)) is None


@pytest.mark.parametrize("substance", SUBSTANCES)
@pytest.mark.parametrize("fluorescence", [30.0, 100.0, 1000.0])
def test_a_sample_that_drowns_in_its_fluorescence_is_for_infrared(
    library: ReferenceLibrary, substance: str, fluorescence: float
) -> None:
    assert why(library, glowing(substance, fluorescence)) == "fluorescence"


@pytest.mark.parametrize("substance", SUBSTANCES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_black_sample_is_dark(library: ReferenceLibrary, substance: str, seed: int) -> None:
    assert why(library, glowing(substance, 1.0, back=1e-6, seed=seed)) == "dark"


@pytest.mark.parametrize("substance", SUBSTANCES)
def test_a_weak_scan_with_something_in_it_is_weak(library: ReferenceLibrary, substance: str) -> None:
    assert why(library, glowing(substance, 1.0, back=1e-4)) == "low_snr"


def test_without_the_spectrum_only_the_noise_can_be_told(library: ReferenceLibrary) -> None:
    assert why(library, glowing("lactose", 1000.0), shown=False) == "low_snr"
    assert why(library, glowing("lactose", 10.0), shown=False) is None


def test_an_offset_is_no_fluorescence(library: ReferenceLibrary) -> None:
    plain = glowing("lactose", 0.0)
    lifted = Spectrum(plain.axis, plain.intensity + 1e6, technique=Technique.RAMAN)
    assert background_ratio(lifted, 100.0) == pytest.approx(background_ratio(plain, 100.0), rel=1e-6)
    assert why(library, lifted) is None


def test_infrared_does_not_fluoresce(library: ReferenceLibrary) -> None:
    raman = glowing("lactose", 1000.0)
    infrared = Spectrum(raman.axis, raman.intensity, technique=Technique.FTIR_ATR)
    assert why(library, infrared) == "low_snr"
    clean = glowing("lactose", 0.0)
    assert why(library, Spectrum(clean.axis, clean.intensity, technique=Technique.FTIR_ATR)) is None


def test_nothing_at_all_is_no_reason_to_fail(library: ReferenceLibrary) -> None:
    axis = np.linspace(200.0, 2000.0, 900)
    assert why(library, Spectrum(axis, np.ones(900), technique=Technique.RAMAN)) is None
    assert background_ratio(Spectrum(axis, np.ones(900), technique=Technique.RAMAN), 0.0) == 0
    assert background_ratio(Spectrum(axis, axis, technique=Technique.RAMAN), 0.0) == np.inf


@pytest.mark.parametrize("reason", ["fluorescence", "dark", "low_snr"])
def test_every_reason_has_words(reason: str) -> None:
    assert catalog().say(f"item.suggest.{reason}") != catalog("es").say(f"item.suggest.{reason}")
