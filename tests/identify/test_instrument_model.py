"""Instruments characterised from known substances: what is estimated, what it buys, how it is kept."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spectralid import LibraryBuilder, ReferenceLibrary, Spectrum, open_library
from spectralid.cli._main import main
from spectralid.errors import InputError, ParameterError
from spectralid.identify import (
    Identifier,
    InstrumentModel,
    analyse,
    read_instrument_model,
    write_instrument_model,
)
from spectralid.identify.estimation import estimate_mismatch
from spectralid.identify.instrument_model import ANY_INSTRUMENT, instrument_model_for
from spectralid.io import write
from spectralid.library import Compound, Tier
from spectralid.spectrum import Technique

AXIS = np.arange(200.0, 2000.0, 2.5)
N = 10


def _bands(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(230, 1970, 30), rng.uniform(0.2, 1.0, 30), rng.uniform(4.0, 6.0, 30)


def _scan(parts: dict[int, float], seed: int, *, heights: float = 0.2, noise: float = 20.0) -> Spectrum:
    """Gaussian bands whose heights differ by `heights` from scan to scan, on a glow."""
    rng = np.random.default_rng(seed)
    total = np.zeros(AXIS.size)
    for substance, share in parts.items():
        places, sizes, widths = _bands(substance)
        sizes = sizes / (sizes * widths).sum() * (1 + heights * rng.normal(size=30))
        total += share * (np.exp(-0.5 * ((AXIS[:, None] - places) / widths) ** 2) @ sizes)
    counts = 20_000 * total / total.max() + 8_000 * np.exp(-(((AXIS - 900) / 700) ** 2))
    return Spectrum(AXIS, counts + rng.normal(0, noise, AXIS.size), technique="raman", name="scan")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ReferenceLibrary:
    builder = LibraryBuilder("small", version="1", created="2026-01-01", recipe="for tests")
    for i in range(N):
        compound = Compound(f"substance-{i}", f"Substance {i}")
        builder.add(
            _scan({i: 1.0}, 900 + i, heights=0.0, noise=5.0), compound, tier=Tier.MEASURED, source="made"
        )
    path = tmp_path_factory.mktemp("library") / "small.h5"
    builder.write(path)
    return open_library(path)


@pytest.fixture(scope="module")
def model(library: ReferenceLibrary) -> InstrumentModel:
    known = [(_scan({i: 1.0}, 50 + i), f"substance-{i}") for i in range(N)]
    found, estimate = Identifier(library).characterise(known, "unit 17")
    assert estimate.n_pairs == N
    assert estimate.log_evidence_per_pair > 50
    return found


def test_the_spread_of_heights_is_found(model: InstrumentModel) -> None:
    assert model.name == "unit 17"
    # Whether neighbouring bands differ alike (response) or each for itself, few bands cannot tell.
    assert np.hypot(model.mismatch.band, model.mismatch.gain) == pytest.approx(0.2, rel=0.3)
    # Places, shapes and the references' noise were the same throughout.
    assert model.mismatch.shift_cm1 < 0.5
    assert model.mismatch.floor < 0.004


def test_a_known_instrument_shows_what_an_unknown_one_hides(
    library: ReferenceLibrary, model: InstrumentModel
) -> None:
    spectrum = _scan({2: 0.98, 7: 0.02}, 7)
    any_unit = analyse(spectrum, library)
    known = Identifier(library, instruments=[model]).analyse(spectrum)
    assert any_unit.instrument == ANY_INSTRUMENT
    assert known.instrument == "unit 17"
    assert [c.compound_slug for c in any_unit.components] == ["substance-2"]
    assert [c.compound_slug for c in known.components] == ["substance-2", "substance-7"]
    assert known.explained


def test_a_model_is_kept_to_the_last_digit(model: InstrumentModel, tmp_path: Path) -> None:
    write_instrument_model(model, tmp_path / "unit.json")
    assert read_instrument_model(tmp_path / "unit.json") == model


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("[]", "no instrument model"),
        ('{"schema": "spectralid.confidence/1"}', "schema"),
        ('{"schema": "spectralid.instrument-model/1", "name": "x"}', "not complete"),
    ],
)
def test_what_is_no_model_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "unit.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_instrument_model(tmp_path / "unit.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_instrument_model(tmp_path / "none.json")


def test_too_little_is_no_basis(library: ReferenceLibrary) -> None:
    known = [(_scan({i: 1.0}, i), f"substance-{i}") for i in range(4)]
    with pytest.raises(ParameterError, match="at least 8"):
        Identifier(library).characterise(known, "unit 17")
    with pytest.raises(ParameterError, match="substance-99"):
        Identifier(library).characterise([(known[0][0], "substance-99")], "unit 17")
    with pytest.raises(ParameterError, match="at least 8"):
        estimate_mismatch([], instrument_model_for(Technique.RAMAN).mismatch)


def test_the_command_makes_a_model_that_the_others_take(
    library: ReferenceLibrary, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    with (tmp_path / "names.csv").open("w", encoding="utf-8", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(["file", "substance"])
        for i in range(8):
            files.append(str(tmp_path / f"{i}.jdx"))
            write(_scan({i: 1.0}, 50 + i), Path(files[-1]))
            rows.writerow([f"{i}.jdx", f"Substance {i}"])
    stranger = tmp_path / "stranger.jdx"
    write(_scan({3: 1.0}, 1), stranger)
    model = tmp_path / "unit.json"
    common = ["--library", str(library.path)]
    made = ["characterise", *files, str(stranger), "--name", "unit 17", "-o", str(model), *common, "--json"]
    assert main([*made, "--substances", str(tmp_path / "names.csv")]) == 0
    out = capsys.readouterr()
    document = json.loads(out.out)
    assert (document["spectra"], document["substances"]) == (8, 8)
    assert [Path(item["file"]).name for item in document["not_used"]] == ["stranger.jdx"]
    assert "is not in the library" in out.err
    assert read_instrument_model(model).name == "unit 17"
    assert main([*made, "--substances", str(tmp_path / "names.csv")]) == 2  # It is there already.
    capsys.readouterr()
    assert main(["analyse", str(stranger), *common, "--instrument-model", str(model)]) == 0
    assert "instrument model: unit 17" in capsys.readouterr().out
    twice = ["--instrument-model", str(model)] * 2
    assert main(["identify", str(stranger), *common, *twice]) == 2


def test_values_outside_sense_are_refused() -> None:
    mismatch = instrument_model_for(Technique.RAMAN).mismatch
    with pytest.raises(ParameterError, match="band"):
        replace(mismatch, band=-0.1)
