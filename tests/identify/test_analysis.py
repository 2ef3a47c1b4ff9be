"""The chemist's dossier: what a joint fit says of a spectrum, end to end with a library file."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from spectralid import LibraryBuilder, ReferenceLibrary, Spectrum, open_library
from spectralid.cli._main import main
from spectralid.errors import InvalidSpectrumError, TechniqueError
from spectralid.identify import Identifier, ShiftPrior, analyse
from spectralid.identify.analysis import calibrated_prior
from spectralid.io import write
from spectralid.library import Compound, Tier
from spectralid.plot import analysis_figure
from spectralid.spectrum import ProcessingStep

AXIS = np.arange(200.0, 2000.0, 2.0)
N = 24
FAMILIES = {3: "opioid/nitazene", 4: "opioid/nitazene", 5: "stimulant/cathinone"}


def _substance(seed: int) -> np.ndarray:
    """Ten Gaussian bands of unit area altogether; the engine's own shapes are Lorentzian nowhere either."""
    rng = np.random.default_rng(seed)
    bands = np.exp(-0.5 * ((AXIS[:, None] - rng.uniform(300, 1800, 10)) / rng.uniform(4, 7, 10)) ** 2)
    total = bands @ rng.uniform(0.2, 1.0, 10)
    return np.asarray(total / total.sum())


def _scan(parts: dict[int, float], *, seed: int = 1, shift: float = 0.0, noise: float = 40.0) -> Spectrum:
    rng = np.random.default_rng(seed)
    clean = sum(share * _substance(i) for i, share in parts.items())
    clean = 20_000 * np.interp(AXIS - shift, AXIS, clean) / np.max(clean)
    glow = 30_000 * np.exp(-(((AXIS - 900) / 700) ** 2))
    return Spectrum(AXIS, clean + glow + rng.normal(0, noise, AXIS.size), technique="raman", name="scan")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ReferenceLibrary:
    builder = LibraryBuilder("small", version="1", created="2026-01-01", recipe="for tests")
    for i in range(N):
        builder.add(
            Spectrum(AXIS, _substance(i), technique="raman"),
            Compound(f"substance-{i}", f"Substance {i}", category=FAMILIES.get(i, "")),
            tier=Tier.MEASURED,
            source="simulated",
        )
    path = tmp_path_factory.mktemp("library") / "small.h5"
    builder.write(path)
    return open_library(path)


def test_a_mixture_is_explained_with_its_shares_and_shift(library: ReferenceLibrary) -> None:
    result = analyse(_scan({2: 0.7, 9: 0.3}, shift=4.0), library)
    assert [c.compound_slug for c in result.components] == ["substance-2", "substance-9"]
    assert result.explained
    assert result.nothing < 1e-3
    assert result.shift_cm1 == pytest.approx(4.0, abs=1.0)
    for component, share in zip(result.components, (0.7, 0.3), strict=True):
        assert component.share_low < share < component.share_high
        assert component.holds
        assert component.probability > 0.99


def test_what_the_library_lacks_is_said_to_be_left_over(library: ReferenceLibrary) -> None:
    known = analyse(_scan({2: 1.0}), library)
    stranger = analyse(_scan({500: 1.0}), library)
    both = analyse(_scan({2: 0.6, 500: 0.4}), library)
    assert known.explained
    assert not stranger.explained
    assert stranger.nothing > 0.99
    assert not both.explained
    # What is left over are bands of the stranger.
    own = _substance(500)
    for band in both.unexplained[:2]:
        here = np.abs(AXIS - band.position_cm1) < 12
        assert own[here].max() > 0.2 * own.max()


def test_families_have_limits_and_what_is_present_has_company(library: ReferenceLibrary) -> None:
    quiet = analyse(_scan({2: 1.0}, noise=20.0), library).smallest_shares
    loud = analyse(_scan({2: 1.0}, noise=2000.0), library).smallest_shares
    assert set(quiet) == {"nitazene", "synthetic cathinone"}
    for family in quiet:
        assert 0 < quiet[family] < loud[family] < 1


def test_a_calibration_holds_the_axis_where_it_says(library: ReferenceLibrary) -> None:
    off = _scan({2: 1.0}, shift=9.0)
    free = analyse(off, library)
    wrong = analyse(off, library, prior=ShiftPrior(mean_cm1=0.0, sd_cm1=0.5, share=0.0))
    right = analyse(off, library, prior=ShiftPrior(mean_cm1=9.0, sd_cm1=0.5, share=0.0))
    assert free.shift_cm1 == pytest.approx(9.0, abs=1.5)
    assert abs(wrong.shift_cm1) < free.shift_cm1 - 1
    assert wrong.log_odds is not None
    assert free.log_odds is not None
    assert right.log_odds is not None
    assert wrong.log_odds < free.log_odds - 5
    assert free.log_odds <= right.log_odds


def test_a_calibrated_spectrum_brings_its_own_prior(library: ReferenceLibrary) -> None:
    off = _scan({2: 1.0}, shift=9.0)
    step = ProcessingStep("axis_calibration", {"sd_cm1": 0.6}, "test")
    trusted = off.processed(step, axis=off.axis, sd=off.sd)
    prior = calibrated_prior(trusted)
    assert prior is not None
    assert (prior.mean_cm1, prior.sd_cm1) == (0.0, 0.6)
    assert calibrated_prior(off) is None
    believed, doubted = analyse(trusted, library), analyse(off, library)
    assert believed.log_odds is not None
    assert doubted.log_odds is not None
    assert believed.log_odds < doubted.log_odds


def test_a_cosmic_ray_is_no_substance(library: ReferenceLibrary) -> None:
    spectrum = _scan({2: 1.0})
    hit = spectrum.intensity.copy()
    hit[np.searchsorted(AXIS, 1950.0)] += 30_000
    assert analyse(spectrum.replace(intensity=hit), library).unexplained == ()


def test_the_same_input_gives_the_same_bytes(library: ReferenceLibrary) -> None:
    spectrum = _scan({2: 0.7, 9: 0.3})
    first, second = (Identifier(library).analyse(spectrum) for _ in range(2))
    assert first.to_json() == second.to_json()
    assert first == second
    assert first.spectrum_sha256 == spectrum.sha256


def test_the_dossier_is_strict_json_and_plain_words(library: ReferenceLibrary) -> None:
    result = analyse(_scan({2: 0.6, 500: 0.4}), library)
    document = json.loads(result.to_json())
    assert document["schema"] == "spectralid.analysis/1"
    assert document["explained"] is False
    assert document["components"][0]["bands"]["positions_cm1"]
    text = result.explain()
    assert "NOT EXPLAINED" in text
    assert "not by weight" in text
    assert "Smallest detectable share, nitazene: about" in text
    assert text.endswith("Presumptive: only a laboratory confirms.")


def test_results_travel_between_processes(library: ReferenceLibrary) -> None:
    result = analyse(_scan({2: 1.0}), library)
    assert pickle.loads(pickle.dumps(result)) == result


def test_an_infrared_spectrum_and_a_table_of_peaks_are_refused(library: ReferenceLibrary) -> None:
    spectrum = _scan({2: 1.0})
    with pytest.raises(TechniqueError, match="infrared"):
        analyse(spectrum.replace(technique="ftir_atr", unit="absorbance"), library)
    flagged = spectrum.replace(acquisition=spectrum.acquisition.with_flags("peak_table"))
    with pytest.raises(InvalidSpectrumError, match="table of peaks"):
        analyse(flagged, library)


def test_a_range_nobody_shares_gives_no_answer(library: ReferenceLibrary) -> None:
    spectrum = _scan({2: 1.0})
    narrow = spectrum.replace(axis=AXIS[:100], intensity=spectrum.intensity[:100])
    result = analyse(narrow, library)
    assert result.components == ()
    assert not result.explained
    assert "No reference shares enough range" in result.explain()


def test_the_figure_shows_every_component_and_marks_what_is_left(library: ReferenceLibrary) -> None:
    spectrum = _scan({2: 0.4, 9: 0.25, 500: 0.35})
    result = analyse(spectrum, library)
    raw, upper, lower = analysis_figure(spectrum, result, library).axes
    np.testing.assert_array_equal(raw.lines[0].get_ydata(), spectrum.intensity)
    labels = [text.get_text() for text in upper.get_legend().get_texts()]
    for component in result.components:
        assert any(label.startswith(component.compound_name) for label in labels)
    assert {t.get_text() for t in lower.texts} == {f"{u.position_cm1:.0f}" for u in result.unexplained}
    assert "PRESUMPTIVE" in raw.get_title(loc="right")


def test_the_command_prints_and_draws(
    library: ReferenceLibrary, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scan.jdx"
    write(_scan({2: 0.7, 9: 0.3}), file)
    arguments = ["analyse", str(file), "--library", str(library.path)]
    assert main([*arguments, "--figures", str(tmp_path / "figures")]) == 0
    assert "Substance 2" in capsys.readouterr().out
    assert len(list((tmp_path / "figures").glob("scan-1-*-components.png"))) == 1
    assert main([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["presumptive"] is True
    assert [c["compound_slug"] for c in document["results"][0]["analysis"]["components"]] == [
        "substance-2",
        "substance-9",
    ]
    assert main(["analyse", str(tmp_path / "none.jdx")]) == 3
