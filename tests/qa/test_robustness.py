"""Samples made worse: what is done to them is what is said, and more of it finds less."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from spectralid.cli import main
from spectralid.cli._exit import Exit
from spectralid.errors import InvalidSpectrumError, ParameterError
from spectralid.io import write
from spectralid.qa.robustness import Stress, disturb
from spectralid.spectrum import Spectrum
from tests.reachback.bench import SUBSTANCES, build, spectrum

X = np.arange(200.0, 2400.0, 2.0)


def band(width: float = 12.0, height: float = 1000.0) -> Spectrum:
    values = height * np.exp(-4 * np.log(2) * ((X - 1300) / width) ** 2)
    return Spectrum(X, values, technique="raman", unit="counts")


def test_noise_is_as_high_as_asked_for() -> None:
    worse = disturb(band(), Stress("snr", 50.0))
    left = worse.intensity - band().intensity
    assert left.std() == pytest.approx(1000 / 50, rel=0.1)
    assert np.corrcoef(left[:-1], left[1:])[0, 1] == pytest.approx(0, abs=0.12)


def test_the_axis_moves_and_stretches() -> None:
    assert disturb(band(), Stress("shift", 4.0)).axis == pytest.approx(X + 4)
    stretched = disturb(band(), Stress("stretch", 0.01)).axis
    assert stretched[-1] - stretched[0] == pytest.approx(1.01 * (X[-1] - X[0]))
    assert stretched[0] + stretched[-1] == pytest.approx(X[0] + X[-1])


def test_blurring_adds_widths_as_squares() -> None:
    worse = disturb(band(12.0), Stress("width", 16.0)).intensity
    half = X[worse >= worse.max() / 2]
    assert half[-1] - half[0] == pytest.approx(20.0, abs=4.0)
    assert worse.sum() == pytest.approx(band(12.0).intensity.sum(), rel=1e-3)
    assert disturb(band(), Stress("width", 0.0)).intensity == pytest.approx(band().intensity)


def test_a_haze_brings_the_noise_of_its_photons() -> None:
    worse = disturb(band(), Stress("haze", 20.0))
    far = np.abs(X - 1300) > 60
    lifted = worse.intensity[far]
    assert lifted.max() == pytest.approx(20_000, rel=0.02)
    rough = np.diff(lifted[np.abs(X[far] - 1300) < 300], 2)
    # Of 20 x 1e5 photons; a second difference of white noise has sqrt(6) of its sd.
    assert rough.std() / 6**0.5 == pytest.approx(1000 * 20**0.5 * 1e5**-0.5, rel=0.15)


def test_the_same_sample_gets_the_same_noise_and_says_what_was_done() -> None:
    one, two = disturb(band(), Stress("snr", 50.0), 1), disturb(band(), Stress("snr", 50.0), 1)
    assert one.sha256 == two.sha256
    assert disturb(band(), Stress("snr", 50.0), 2).sha256 != one.sha256
    assert one.history[-1].name == "disturbed"


@pytest.mark.parametrize(
    ("name", "level"),
    [("weather", 1.0), ("snr", 0.0), ("width", -1.0), ("haze", -1.0), ("shift", float("nan"))],
)
def test_what_is_no_stress_is_refused(name: str, level: float) -> None:
    with pytest.raises(ParameterError):
        Stress(name, level)


def test_what_has_no_band_cannot_be_disturbed() -> None:
    with pytest.raises(InvalidSpectrumError):
        disturb(Spectrum(X, np.ones(X.size), technique="raman", unit="counts"), Stress("snr", 10.0))


def test_more_noise_finds_less(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "mine.h5", [(slug, 7) for slug in SUBSTANCES[:4]]).close()
    rows = ["file,truth"]
    for number, slug in enumerate(SUBSTANCES[:4]):
        write(spectrum(slug, seed=400 + number), tmp_path / f"{slug}.jdx")
        rows.append(f"{slug}.jdx,{slug}")
    (tmp_path / "m.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    command = [
        "qa",
        "validate",
        str(tmp_path / "m.csv"),
        "--library",
        str(tmp_path / "mine.h5"),
        "--jobs",
        "1",
    ]
    report = tmp_path / "study.html"
    assert main([*command, "--stress", "snr=200,1", "--json", "--report", str(report)]) == Exit.IDENTIFIED
    few, many = json.load(io.StringIO(capsys.readouterr().out))["stressed"]
    assert (few["level"], few["rates"]["complete"]["hits"]) == (200.0, 4)
    assert many["rates"]["complete"]["hits"] == 0
    assert "made worse by simulation" in report.read_text(encoding="utf-8")
    assert main([*command, "--stress", "snr=much"]) == Exit.USAGE
    assert main([*command, "--stress", "weather=1"]) == Exit.USAGE
