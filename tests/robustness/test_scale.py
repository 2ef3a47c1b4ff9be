"""The size of the numbers says nothing: the same spectrum times any factor is the same answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid import Spectrum, read
from spectralid.identify import Identifier
from spectralid.verdict import decide
from tests.robustness.spectra import plain, raman

# By chance of the identity of a spectrum, which the factor changes, not by what it shows.
DRAWN = {"qa_sample", "escalate-qa-sample"}
# Of other instruments, with what the library makes of them: named, inconclusive, nothing.
MEASURED = {
    "cdph-white-powders/Sucrose.txt": "raman",
    "cdph-white-powders/Plastics/PET pellets_785nm_processed.txt": "raman",
    "cdph-white-powders/Aspirin.txt": "raman",
    "openspecy/inst/extdata/ftir_ps.0": "ftir",
    "openspecy/inst/extdata/ftir_ldpe_soil.asp": "ftir",
}
SIMULATED = {
    ("raman", "acetaminophen"),
    ("raman", "caffeine"),
    ("raman", "polystyrene"),
    ("ftir_atr", "polystyrene"),
}
exponents = st.floats(-12.0, 12.0)


def told(engine: Identifier, spectrum: Spectrum) -> dict[str, Any]:
    identification = engine.identify(spectrum)
    verdict = decide(identification, engine.library)
    analysis = identification.analysis
    return {
        "verdict": (verdict.kind, verdict.alarm, verdict.headline, verdict.named, verdict.cautions),
        "codes": set(verdict.codes) - DRAWN,
        "why": set(verdict.escalation) - DRAWN,
        "candidates": [c.compound_slug for c in identification.candidates],
        "components": [c.reference_id for c in analysis.components] if analysis else None,
        "problems": identification.quality.problems,
        "advice": identification.quality.advice,
    }


def numbers(engine: Identifier, spectrum: Spectrum) -> list[float]:
    identification = engine.identify(spectrum)
    analysis = identification.analysis
    assert analysis is not None
    return [
        *(c.score for c in identification.candidates),
        *(c.share for c in analysis.components),
        *(c.probability for c in analysis.components),
        analysis.nothing,
    ]


def scaled(spectrum: Spectrum, factor: float) -> Spectrum:
    return spectrum.replace(intensity=spectrum.intensity * factor)


def simulated(engine: Identifier, technique: str, slug: str) -> Spectrum:
    rows = engine.library.rows(technique)
    row = next(r for r in rows if r.compound_slug == slug and r.technique.value == technique)
    reference = engine.library.reference(row.id).spectrum
    shape = (reference.intensity - np.nanmin(reference.intensity)) / np.ptp(reference.intensity)
    noise = np.random.default_rng(3).normal(0.0, 1.0, shape.size)
    if technique == "raman":
        return raman(3000 * shape + 800 + 12 * noise, reference.axis)
    return Spectrum(
        reference.axis, 0.5 * shape + 0.02 + 0.002 * noise, technique=technique, unit="absorbance"
    )


@pytest.mark.parametrize(("technique", "slug"), sorted(SIMULATED))
def test_the_answer_to_a_simulated_scan_does_not_depend_on_its_size(
    technique: str, slug: str, engine: Identifier
) -> None:
    spectrum = simulated(engine, technique, slug)
    before = told(engine, spectrum)
    assert slug in before["verdict"][3]

    @settings(max_examples=3)
    @given(exponent=exponents)
    def at_any_size(exponent: float) -> None:
        assert told(engine, scaled(spectrum, 10.0**exponent)) == before

    at_any_size()


@pytest.mark.parametrize("file", MEASURED)
def test_the_answer_to_a_measured_spectrum_does_not_depend_on_its_size(
    shared_data: Path, engine: Identifier, file: str
) -> None:
    spectrum = read(shared_data / file)
    if spectrum.technique.value == "unknown":
        spectrum = spectrum.replace(technique=MEASURED[file])
    before = told(engine, spectrum)

    @settings(max_examples=2)
    @given(exponent=exponents)
    def at_any_size(exponent: float) -> None:
        assert told(engine, scaled(spectrum, 10.0**exponent)) == before

    at_any_size()


def test_the_size_moves_no_digit_that_anybody_reads(engine: Identifier) -> None:
    spectrum = simulated(engine, "raman", "caffeine")
    before = numbers(engine, spectrum)
    for power in (-1000, -40, 980):
        at_this_size = spectrum.replace(intensity=np.ldexp(spectrum.intensity, power))
        np.testing.assert_allclose(numbers(engine, at_this_size), before, atol=1e-9)
    for factor in (1e-12, 1e12):
        np.testing.assert_allclose(numbers(engine, scaled(spectrum, factor)), before, atol=1e-6)


@pytest.mark.parametrize("points", [11, 40, 200_000])
def test_many_and_few_points_are_borne(points: int, engine: Identifier) -> None:
    axis = np.linspace(200.0, 2000.0, points)
    before = told(engine, raman(plain(axis), axis))
    assert before["verdict"][0] not in ("identified", "mixture")
    if points < 60:
        assert before["verdict"][0] == "poor_signal"
        assert before["verdict"][3] == ()
