"""Spectra no instrument should give: every entry answers, or refuses with a sentence of the error family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectralid import Spectrum
from spectralid.errors import InvalidSpectrumError, ParameterError, SpectralIDError
from spectralid.identify import Identification, Identifier, signal_quality
from spectralid.plot import identification_figure, match_figure, save
from spectralid.preprocess import Baseline, Normalize, Resample, Whittaker
from spectralid.verdict import VerdictKind, decide
from tests.robustness.entries import ENTRIES, FITTED, ROUND_TRIPS
from tests.robustness.spectra import HOSTILE, infrared, plain, raman

every_hostile = pytest.mark.parametrize("name", HOSTILE)

# What the answer has to be, where there is only one that makes sense.
POOR = {
    "constant": "constant",
    "zeros": "constant",
    "constant negative": "constant",
    "offset 1e18": "constant",
    "noise": "low_snr",
    "half missing": "missing",
    "every other missing": "missing",
    "one measured": "missing",
    "two measured": "missing",
    "three measured": "missing",
    "2 points": "missing",
    "3 points": "missing",
    "10 points": "missing",
    "steps of 200": "missing",
    "huge steps": "missing",
    "10 points close": "short_range",
    "tiny steps": "short_range",
}
SATURATED = ("saturated", "all saturated", "one bit", "two levels")
NOTHING_COMPARED = ("negative shift only", "beyond the library", "neighbours in floating point")
# Infrared takes the same way; these are the ones of which something depends on the ordinate.
AS_INFRARED = (
    "scaled 1e12", "scaled 1e300", "offset 1e18", "one huge", "upside down", "all negative", "single peak",
    "gaps", "3 points", "sd huge", "denormals",
)  # fmt: skip
# Bands are fitted in all of these, which takes longest.
FITTED_ON = (
    "scaled 1e12", "scaled 1e-300", "scaled 1e300", "offset 1e18", "denormals", "one huge", "all negative",
    "constant", "one measured", "10 points", "tiny steps", "negative shift only", "sd partly missing",
)  # fmt: skip


def finite(value: Any) -> None:
    """Whatever an entry gave holds no infinity; NaN marks missing points of spectra only."""
    if isinstance(value, Spectrum):
        assert not np.isinf(value.intensity).any()
        assert np.isfinite(value.axis).all()
    elif isinstance(value, np.ndarray):
        assert not np.isinf(value).any()
    elif isinstance(value, tuple | list):
        for part in value:
            finite(part)


def answers(name: str, entries: Any, folder: Path) -> None:
    spectrum = HOSTILE[name]()
    before = spectrum.sha256, spectrum.intensity.tobytes()
    for entry, call in entries.items():
        try:
            finite(call(spectrum, folder))
        except SpectralIDError as error:
            said = str(error)
            assert said.endswith((".", "?")), (entry, said)
            assert "Traceback" not in said
            assert " nan" not in said, (entry, said)
    assert (spectrum.sha256, spectrum.intensity.tobytes()) == before


@every_hostile
def test_every_entry_answers_or_says_why_not(name: str, tmp_path: Path) -> None:
    answers(name, ENTRIES, tmp_path)


@pytest.mark.parametrize("name", FITTED_ON)
def test_what_fits_bands_answers_or_says_why_not(name: str, tmp_path: Path) -> None:
    answers(name, FITTED, tmp_path)


@every_hostile
def test_files_give_back_what_was_written(name: str, tmp_path: Path) -> None:
    spectrum = HOSTILE[name]()
    for suffix, there_and_back in ROUND_TRIPS.items():
        back = there_and_back(spectrum, tmp_path)
        assert back.sha256 == spectrum.sha256, suffix


def told(engine: Identifier, spectrum: Spectrum) -> tuple[Identification, Any]:
    identification = engine.identify(spectrum)
    verdict = decide(identification, engine.library)
    assert Identification.from_json(identification.to_json()).to_json() == identification.to_json()
    assert "PRESUMPTIVE" in verdict.text()
    # Nothing of this is a substance.
    assert verdict.kind not in (VerdictKind.IDENTIFIED, VerdictKind.MIXTURE, VerdictKind.FAMILY)
    assert len(identification.quality.advice) == len(identification.quality.problems)
    assert identification.spectrum_sha256 == spectrum.sha256
    return identification, verdict


@every_hostile
def test_nothing_is_ever_named(name: str, engine: Identifier) -> None:
    identification, verdict = told(engine, HOSTILE[name]())
    problems = identification.quality.problems
    if name in POOR:
        assert verdict.kind is VerdictKind.POOR_SIGNAL
        assert POOR[name] in problems
        assert verdict.named == ()
        assert verdict.advice
    if name in SATURATED:
        assert "saturated" in problems
    if name in NOTHING_COMPARED:
        assert "not-comparable" in verdict.codes
        assert verdict.named == ()
        assert identification.candidates == ()


@pytest.mark.parametrize("name", AS_INFRARED)
def test_nothing_is_ever_named_in_infrared(name: str, engine: Identifier) -> None:
    told(engine, infrared(name))


@pytest.mark.parametrize(
    "name", ["scaled 1e300", "denormals", "gaps", "single point", "2 points", "constant"]
)
def test_results_are_drawn_or_refused(name: str, engine: Identifier, tmp_path: Path) -> None:
    spectrum = HOSTILE[name]()
    identification = engine.identify(spectrum)
    for draw in (identification_figure, match_figure):
        if name == "scaled 1e300":
            with pytest.raises(InvalidSpectrumError, match="too large"):
                draw(spectrum, identification, engine.library)
        else:
            save(draw(spectrum, identification, engine.library), tmp_path / "drawn.png")


def test_the_quality_of_an_extreme_size_is_in_its_own_unit() -> None:
    values = plain()
    ordinary = signal_quality(raman(values))
    for power in (-900, 900):
        extreme = signal_quality(raman(np.ldexp(values, power)))
        assert extreme.signal == np.ldexp(ordinary.signal, power)
        assert extreme.noise_sd == np.ldexp(ordinary.noise_sd, power)
        assert extreme.snr == ordinary.snr


def test_a_spike_that_hides_the_size_of_the_rest_hides_nothing_else(engine: Identifier) -> None:
    values = plain()
    with_spike = values.copy()
    with_spike[900] = 1e300
    plainly, spiked = (engine.analyse(raman(v)) for v in (values, with_spike))
    assert [c.compound_slug for c in spiked.components] == [c.compound_slug for c in plainly.components]
    assert spiked.log_odds == pytest.approx(plainly.log_odds, rel=0.05)


def test_standard_deviations_that_are_known_in_part_are_used_in_part(engine: Identifier) -> None:
    row = next(r for r in engine.library.rows("raman") if r.compound_slug == "acetaminophen")
    reference = engine.library.reference(row.id).spectrum
    sd = 0.01 * np.ptp(reference.intensity)
    values = reference.intensity + np.random.default_rng(4).normal(0.0, sd, reference.n_points)
    half = np.full(values.size, sd)
    half[: values.size // 2] = np.nan
    for known in (half, np.full(values.size, sd)):
        found = engine.analyse(reference.replace(intensity=values, sd=known))
        assert [c.compound_slug for c in found.components] == ["acetaminophen"]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: HOSTILE["astronomic axis"](), InvalidSpectrumError, "where no spectrum lies"),
        (lambda: Normalize("snv")(HOSTILE["scaled 1e300"]()), InvalidSpectrumError, "too large to"),
        (lambda: Resample(3.0)(HOSTILE["huge steps"]()), ParameterError, "at most 4,000,000 points"),
        (lambda: Whittaker(30.0)(HOSTILE["clustered axis"]()), InvalidSpectrumError, "resample"),
        (lambda: Baseline("snip")(HOSTILE["million"]()), InvalidSpectrumError, "Resample the spectrum first"),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_refused_in_words(
    call: Any, error: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    axis = np.linspace(200.0, 2000.0, 100_000)
    monkeypatch.setitem(HOSTILE, "million", lambda: raman(np.sin(axis), axis))
    monkeypatch.setitem(
        HOSTILE, "astronomic axis", lambda: raman(plain(), 1e305 * (np.arange(1801.0) - 900.0))
    )
    with pytest.raises(error, match=words):
        call()
