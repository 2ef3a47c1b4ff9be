from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from spectralid.errors import InputError, InvalidSpectrumError, ParameterError, TechniqueError
from spectralid.identify import Identification, Identifier, identify
from spectralid.library import Compound, ReferenceLibrary, Tier
from spectralid.spectrum import Acquisition, IntensityUnit, Spectrum, Technique
from tests.identify.builders import GRID, library, raman, substance, with_noise

IR_AXIS = np.arange(600.0, 3900.0, 4.0)


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300])
def test_the_size_of_a_spectrum_decides_nothing(raman_library: ReferenceLibrary, size: float) -> None:
    values = 1000 + 3000 * with_noise(substance(GRID, 2), 0.01)
    usual, extreme = (identify(raman(values * k), raman_library) for k in (1.0, size))
    assert extreme.candidates[0].compound_slug == "compound-2"
    assert extreme.candidates[0].score == pytest.approx(usual.candidates[0].score)
    assert usual.analysis is not None
    assert extreme.analysis is not None
    named = [c.compound_slug for c in usual.analysis.components]
    assert [c.compound_slug for c in extreme.analysis.components] == named == ["compound-2"]


def infrared(seed: int, **facts: object) -> Spectrum:
    facts = {"technique": Technique.FTIR_ATR, "unit": IntensityUnit.ABSORBANCE, **facts}
    return Spectrum(IR_AXIS, 0.5 * substance(IR_AXIS, seed), **facts)


def compounds(count: int) -> list[Compound]:
    return [Compound(f"compound-{i}", f"Compound {i}", hazards=("none",)) for i in range(count)]


@pytest.fixture(scope="module")
def raman_library(tmp_path_factory: pytest.TempPathFactory) -> ReferenceLibrary:
    entries = [(c, raman(substance(GRID, i)), Tier.MEASURED) for i, c in enumerate(compounds(6))]
    entries.append((compounds(1)[0], raman(with_noise(substance(GRID, 0), 0.02)), Tier.MEASURED))
    return library(tmp_path_factory.mktemp("raman"), entries, name="raman")


@pytest.fixture(scope="module")
def infrared_library(tmp_path_factory: pytest.TempPathFactory) -> ReferenceLibrary:
    entries = [(c, infrared(i), Tier.MEASURED) for i, c in enumerate(compounds(6))]
    return library(tmp_path_factory.mktemp("ir"), entries, name="infrared")


@pytest.fixture(scope="module")
def mixed_library(tmp_path_factory: pytest.TempPathFactory) -> ReferenceLibrary:
    both = compounds(3)
    entries = [(c, raman(substance(GRID, i)), Tier.MEASURED) for i, c in enumerate(both)]
    entries += [(c, infrared(i), Tier.MEASURED) for i, c in enumerate(both)]
    return library(tmp_path_factory.mktemp("both"), entries, name="both")


def test_candidates_are_compounds_ranked_with_their_evidence(raman_library: ReferenceLibrary) -> None:
    spectrum = raman(with_noise(900 * substance(GRID, 0) + 5000, 4.0), name="powder")
    result = identify(spectrum, raman_library, top=4)
    assert [c.rank for c in result.candidates] == [1, 2, 3, 4]
    assert len({c.compound_slug for c in result.candidates}) == 4
    best = result.candidates[0]
    assert (best.compound_slug, best.compound_name) == ("compound-0", "Compound 0")
    assert best.tier is Tier.MEASURED
    assert best.score > 0.98
    assert best.hqi is not None
    assert best.hqi > 0.95
    assert result.n_references == 7
    assert (result.spectrum_sha256, result.spectrum_name) == (spectrum.sha256, "powder")
    assert (result.library_name, result.library_version) == ("raman", "7")
    assert result.library_sha256 == raman_library.sha256
    assert result.technique is Technique.RAMAN
    assert any("axis" in a for a in result.assumptions)


def test_one_identifier_serves_many_spectra(mixed_library: ReferenceLibrary) -> None:
    identifier = Identifier(mixed_library)
    for spectrum in (raman(substance(GRID, 1)), infrared(2), raman(substance(GRID, 0))):
        assert identifier.identify(spectrum) == identify(spectrum, mixed_library)


def test_wrong_technique_is_refused_in_one_sentence(
    raman_library: ReferenceLibrary, infrared_library: ReferenceLibrary
) -> None:
    with pytest.raises(TechniqueError, match=r"'x' is Raman, but the library 'infrared' holds infrared only"):
        identify(raman(substance(GRID, 1), name="x"), infrared_library)
    with pytest.raises(TechniqueError, match=r"is infrared, but the library 'raman' holds Raman only"):
        identify(infrared(1), raman_library)


def test_unknown_technique_is_taken_from_a_library_of_one_kind(
    raman_library: ReferenceLibrary, infrared_library: ReferenceLibrary, mixed_library: ReferenceLibrary
) -> None:
    unknown = raman(substance(GRID, 1)).replace(technique=Technique.UNKNOWN)
    result = identify(unknown, raman_library)
    assert result.technique is Technique.RAMAN
    assert result.candidates[0].compound_slug == "compound-1"
    assert any("not stated" in a and "Raman" in a for a in result.assumptions)
    # The identity stays that of the spectrum as it was handed in.
    assert result.spectrum_sha256 == unknown.sha256
    unstated = infrared(1, technique=Technique.UNKNOWN)
    assert identify(unstated, infrared_library).candidates[0].compound_slug == "compound-1"
    with pytest.raises(TechniqueError, match="state the technique"):
        identify(unknown, mixed_library)


@pytest.mark.parametrize(
    ("unit", "factor"), [(IntensityUnit.TRANSMITTANCE, 1.0), (IntensityUnit.PERCENT_TRANSMITTANCE, 100.0)]
)
def test_transmittance_is_converted(
    infrared_library: ReferenceLibrary, unit: IntensityUnit, factor: float
) -> None:
    absorbance = infrared(3)
    light = Spectrum(
        IR_AXIS, factor * 10 ** (-absorbance.intensity), technique=absorbance.technique, unit=unit
    )
    result = identify(light, infrared_library)
    expected = identify(absorbance, infrared_library)
    assert result.candidates[0].compound_slug == "compound-3"
    assert result.candidates[0].score == pytest.approx(expected.candidates[0].score, abs=1e-6)
    assert any("converted to absorbance" in a for a in result.assumptions)


def test_unstated_sampling_and_ordinate_are_assumptions(infrared_library: ReferenceLibrary) -> None:
    spectrum = infrared(2, technique=Technique.FTIR, unit=IntensityUnit.ARBITRARY)
    assumptions = " ".join(identify(spectrum, infrared_library).assumptions)
    assert "ATR or transmission" in assumptions
    assert "taken as absorbance" in assumptions


def test_single_beam_is_refused(infrared_library: ReferenceLibrary) -> None:
    with pytest.raises(InputError, match="background"):
        identify(infrared(2, unit=IntensityUnit.SINGLE_BEAM), infrared_library)


def test_peak_table_is_refused(raman_library: ReferenceLibrary) -> None:
    peaks = raman(substance(GRID, 1), acquisition=Acquisition(flags=frozenset({"peak_table"})))
    with pytest.raises(InvalidSpectrumError, match="table of peaks"):
        identify(peaks, raman_library)


def test_top_below_two_is_refused(raman_library: ReferenceLibrary) -> None:
    with pytest.raises(ParameterError, match="top"):
        identify(raman(substance(GRID, 1)), raman_library, top=1)


def test_spectrum_outside_the_grid_has_no_candidates(raman_library: ReferenceLibrary) -> None:
    axis = np.linspace(3300.0, 4000.0, 300)
    result = identify(raman(substance(axis, 1), axis), raman_library)
    assert result.candidates == ()
    assert len(result.not_comparable) == result.n_references


def test_result_survives_json_and_pickle(raman_library: ReferenceLibrary) -> None:
    axis = np.linspace(300.0, 1900.0, 800)
    spectrum = raman(with_noise(substance(axis, 2), 0.01), axis, name="Pulver – weiß")
    result = identify(spectrum, raman_library, context={"container": "glass"})
    assert Identification.from_json(result.to_json()) == result
    assert Identification.from_dict(json.loads(json.dumps(result.to_dict()))) == result
    assert pickle.loads(pickle.dumps(result)) == result
    assert hash(Identification.from_json(result.to_json())) == hash(result)
    assert result.context["container"] == "glass"


def test_same_input_gives_the_same_text(raman_library: ReferenceLibrary) -> None:
    spectrum = raman(with_noise(substance(GRID, 2), 0.05))
    assert identify(spectrum, raman_library).to_json() == identify(spectrum, raman_library).to_json()


def test_records_of_other_forms_are_refused(raman_library: ReferenceLibrary) -> None:
    record = identify(raman(substance(GRID, 1)), raman_library).to_dict()
    with pytest.raises(InputError, match="identification/2"):
        Identification.from_dict({**record, "schema": "spectralid.identification/1"})
    damaged = {k: v for k, v in record.items() if k != "candidates"}
    with pytest.raises(InputError, match="damaged"):
        Identification.from_dict(damaged)
    with pytest.raises(InputError, match="damaged"):
        Identification.from_dict({**record, "technique": "nmr"})
    with pytest.raises(InputError, match="not JSON"):
        Identification.from_json("{")
    with pytest.raises(InputError, match="not a JSON object"):
        Identification.from_json("[]")


def test_result_file_is_not_tied_to_the_library_file(raman_library: ReferenceLibrary, tmp_path: Path) -> None:
    entries = [(c, raman(substance(GRID, i)), Tier.MEASURED) for i, c in enumerate(compounds(6))]
    entries.append((compounds(1)[0], raman(with_noise(substance(GRID, 0), 0.02)), Tier.MEASURED))
    again = library(tmp_path, entries, name="raman")
    spectrum = raman(substance(GRID, 4))
    assert identify(spectrum, again).to_json() == identify(spectrum, raman_library).to_json()
