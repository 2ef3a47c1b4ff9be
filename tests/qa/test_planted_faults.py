"""One fault of each kind is found by the rule that is for it, and sound sets raise nothing.

The sizes from which on they are found, and the rates, are measured by `benchmarks/qa/planted_faults.py`.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from spectralid.cli import main
from spectralid.cli._exit import Exit
from spectralid.io import write
from spectralid.qa import run_length
from spectralid.qa.charts import Baseline, chart
from spectralid.qa.check import Darkness, check_performance
from spectralid.qa.library_audit import audit_library
from spectralid.qa.performance import PerformanceCheck
from spectralid.spectrum import Spectrum
from tests.qa.ageing_units import Day, Unit, standard
from tests.reachback.bench import SUBSTANCES, build, spectrum

UNIT = Unit(1)


@pytest.fixture(scope="module")
def accepted() -> tuple[Spectrum, Darkness]:
    return UNIT.measured(0)


def checked(wrong: Day, accepted: tuple[Spectrum, Darkness], day: int = 3) -> PerformanceCheck:
    now, dark = UNIT.measured(day, wrong)
    then, dark_then = accepted
    return check_performance(now, "polystyrene", accepted=then, dark=dark, accepted_dark=dark_then)


@pytest.mark.parametrize(
    ("wrong", "rules"),
    [
        (Day(shift_cm1=4), {"axis_shift", "bands"}),
        (Day(stretch_cm1=6, width=1.5), {"axis_stretch", "resolution"}),
        (Day(red_edge_nm=130), {"relative_intensity"}),
        (Day(stray=1.5), {"background"}),
        (Day(light=4), {"saturated_points"}),
        (Day(sample=standard("acetaminophen")), {"self_match"}),
        (Day(contaminant=standard("acetaminophen"), share=0.5), {"self_match"}),
        # A worn laser before a worn detector: each figure looks at its own.
        (
            Day(light=0.003, hot=12, dead=12, offset=12_000, read_noise=4, warmer_c=40),
            {"strength", "snr", "hot_pixels", "dead_pixels", "dark_level", "dark_noise", "temperature"},
        ),
    ],
    ids=["shift", "stretch", "response", "stray light", "saturation", "substance", "contamination", "wear"],
)
def test_faults_of_a_unit_are_found(wrong: Day, rules: set[str], accepted: tuple[Spectrum, Darkness]) -> None:
    check = checked(wrong, accepted)
    assert not check.passed
    assert rules <= set(check.rules)


def test_a_sound_unit_passes(accepted: tuple[Spectrum, Darkness]) -> None:
    for day in (1, 2):
        assert checked(Day(), accepted, day).rules == ()


def test_a_drifting_unit_is_stopped_and_sound_ones_hardly_ever() -> None:
    rng = np.random.default_rng(8)
    days = np.arange(1, 61)
    drifting = chart(rng.normal(0, 0.1, 60) + 0.006 * days, Baseline.estimated(rng.normal(0, 0.1, 20)))
    rules = [signal.rule for signal in drifting.signals if signal.stops]
    # What creeps shows in the average before any single day stands out.
    assert rules[0] == "ewma"
    stopped = sum(
        not chart(rng.normal(0, 0.1, 10), Baseline.estimated(rng.normal(0, 0.1, 20))).in_control
        for _ in range(200)
    )
    promised = run_length.of_stop_rules().within(10)
    assert stopped / 200 < promised + 3 * (promised / 200) ** 0.5


def smoothed(scan: Spectrum) -> Spectrum:
    weights = np.array([0.1, 0.25, 0.3, 0.25, 0.1])
    return scan.replace(intensity=np.convolve(scan.intensity, weights, mode="same"))


def test_a_library_with_one_of_each_fault(tmp_path: Path) -> None:
    sound: list[tuple[str, object]] = [(slug, seed) for slug in SUBSTANCES for seed in (1, 2, 3)]
    with build(tmp_path / "sound.h5", sound) as library:
        assert audit_library(library).findings == ()
    twice = spectrum(SUBSTANCES[2], seed=50, noise=0.01)
    planted = [
        *sound,
        (SUBSTANCES[0], spectrum(SUBSTANCES[4], seed=77)),
        (SUBSTANCES[1], spectrum("something else", seed=4)),
        (SUBSTANCES[2], twice),
        (SUBSTANCES[2], smoothed(twice)),
        (SUBSTANCES[3], spectrum(SUBSTANCES[3], seed=60)),
        (SUBSTANCES[5], spectrum(SUBSTANCES[3], seed=60)),
    ]
    with build(tmp_path / "planted.h5", planted) as library:
        found = [(one.kind, one.references[0].rsplit("-", 1)[0]) for one in audit_library(library).findings]
    for kind in ("mislabelled", "odd", "same_scan", "duplicate"):
        assert any(what == kind for what, _ in found), kind


def test_a_study_finds_its_samples_in_the_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = [spectrum(slug, seed=k, noise=0.01) for k, slug in enumerate(SUBSTANCES)]
    build(tmp_path / "library.h5", list(zip(SUBSTANCES, kept, strict=True))).close()
    samples = {
        "renamed.jdx": (SUBSTANCES[0], kept[0]),
        "smoothed.jdx": (SUBSTANCES[1], smoothed(kept[1])),
        "scaled.jdx": (SUBSTANCES[2], kept[2].replace(intensity=0.37 * kept[2].intensity + 20)),
        **{f"own-{slug}.jdx": (slug, spectrum(slug, seed=90, noise=0.01)) for slug in SUBSTANCES[:3]},
    }
    for name, (_, scan) in samples.items():
        write(scan, tmp_path / name)
    with (tmp_path / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "truth", "technique"])
        rows.writerows([name, slug, "raman"] for name, (slug, _) in samples.items())
    command = ["qa", "validate", str(tmp_path / "manifest.csv"), "--library", str(tmp_path / "library.h5")]
    report = tmp_path / "report.html"
    assert main([*command, "--jobs", "1", "--goal", "0.1", "--report", str(report)]) == Exit.GOAL_MISSED
    said = [line.split()[1] for line in capsys.readouterr().out.splitlines() if "LEAK" in line]
    assert said == ["renamed.jdx", "smoothed.jdx", "scaled.jdx"]
    assert "3 of 6 samples are scans that are in the library" in report.read_text(encoding="utf-8")
