"""The daily check: sound units pass, and each planted fault is found by the figure that is for it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectralid.cli import main
from spectralid.cli._exit import Exit
from spectralid.errors import ParameterError, UnreadableFileError
from spectralid.io import write
from spectralid.qa.check import Darkness, check_performance
from spectralid.qa.limits import BUILT_IN, load_limits
from spectralid.qa.performance import CheckError, Figure, PerformanceCheck
from spectralid.spectrum import Acquisition, Spectrum
from tests.calibration.simulated import POLYSTYRENE
from tests.calibration.simulated import spectrum as simulated

HEALTHY = Darkness(mean=800.0, noise=12.0, dead_share=0.0, temperature_c=20.0, adc_max=65535.0)


def unit(
    day: int,
    *,
    bands: dict[float, float] = POLYSTYRENE,
    light: float = 4e4,
    shift: float = 0.0,
    stretch: float = 0.0,
    width: float = 7.0,
    blue: float = 0.0,
    serial: str = "A-1",
) -> Spectrum:
    """What a unit shows of its standard on a day; `blue` takes light away towards large shifts."""
    acquisition = Acquisition(
        instrument="Test 785",
        serial=serial,
        laser_nm=785.0,
        power_mw=100.0,
        integration_ms=500.0,
        time=f"2026-11-{day:02d}T08:00:00+00:00",
    )
    return simulated(
        {at: height * (1 - blue * (at - 600) / 2500) for at, height in bands.items()},
        np.random.default_rng(day),
        shown=lambda x: x + shift + stretch * (x - 1500),
        counts=light,
        gauss=width,
        acquisition=acquisition,
    )


@pytest.fixture(scope="module")
def accepted() -> Spectrum:
    return unit(1)


def checked(spectrum: Spectrum, accepted: Spectrum | None, dark: Darkness = HEALTHY) -> PerformanceCheck:
    return check_performance(
        spectrum, "polystyrene", accepted=accepted, dark=dark, accepted_dark=HEALTHY, lot="PS-7"
    )


@pytest.mark.parametrize("day", [2, 3, 7])
def test_a_sound_unit_passes(accepted: Spectrum, day: int) -> None:
    check = checked(unit(day), accepted)
    assert check.passed, check.rules
    assert all(figure.status == "passed" for figure in check.figures)
    assert check.limits_version == "spectralid-2"
    assert (check.lot, check.serial) == ("PS-7", "A-1")


@pytest.mark.parametrize(
    ("fault", "rules"),
    [
        ({"shift": 6.0}, {"bands", "axis_shift"}),
        ({"stretch": 0.004}, {"bands", "axis_stretch"}),
        ({"width": 12.0}, {"resolution"}),
        ({"light": 1.5e4}, {"strength"}),
        ({"blue": 0.6}, {"relative_intensity"}),
        ({"light": 400.0}, {"strength", "snr"}),
    ],
)
def test_each_fault_is_found_by_its_figure(
    accepted: Spectrum, fault: dict[str, Any], rules: set[str]
) -> None:
    check = checked(unit(9, **fault), accepted)
    assert not check.passed
    assert rules <= set(check.rules)


def test_the_axis_is_said_as_far_off_as_it_was_moved(accepted: Spectrum) -> None:
    figure = checked(unit(3, shift=1.2), accepted).figure("axis_shift")
    assert figure.value == pytest.approx(1.2, abs=0.3)
    assert figure.uncertainty is not None
    assert 0.2 < figure.uncertainty < 1.5
    assert figure.status == "passed"
    assert checked(unit(3, shift=2.3), accepted).figure("axis_shift").near_limit


def test_a_saturated_band_is_found(accepted: Spectrum) -> None:
    good = unit(4)
    cut = dataclasses.replace(good, intensity=np.minimum(good.intensity, 0.6 * np.max(good.intensity)))
    check = checked(cut, accepted)
    assert "saturated_points" in check.rules


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"mean": 9000.0}, "dark_level"),
        ({"noise": 40.0}, "dark_noise"),
        ({"dead_share": 0.02}, "dead_pixels"),
        ({"hot_share": 0.02}, "hot_pixels"),
        ({"temperature_c": 61.0}, "temperature"),
    ],
)
def test_a_worn_detector_is_found(accepted: Spectrum, wrong: dict[str, float], rule: str) -> None:
    check = checked(unit(5), accepted, dataclasses.replace(HEALTHY, **wrong))
    assert check.rules == (rule,)


def test_another_substance_does_not_pass_for_the_standard(accepted: Spectrum) -> None:
    other = unit(4, bands={480.0: 0.8, 940.0: 0.5, 1090.0: 1.0, 2930.0: 0.6})
    check = checked(other, accepted)
    assert not check.passed
    assert {"bands", "axis_shift", "self_match"} <= set(check.rules)


def test_without_the_accepted_day_what_wears_is_not_done_and_said() -> None:
    check = check_performance(unit(6), "polystyrene")
    assert check.passed
    undone = {figure.name for figure in check.figures if figure.status == "not done"}
    assert undone == {
        "resolution", "relative_intensity", "strength", "background", "self_match", "dark_level",
        "dark_noise", "dead_pixels", "hot_pixels", "temperature",
    }  # fmt: skip
    assert all(figure.note for figure in check.figures if figure.status == "not done")


def test_another_unit_is_no_measure(accepted: Spectrum) -> None:
    with pytest.raises(CheckError, match="B-2"):
        checked(unit(2, serial="B-2"), accepted)
    with pytest.raises(ParameterError):
        check_performance(unit(2), "sawdust")


def test_the_record_comes_back_and_shows_a_change(accepted: Spectrum, tmp_path: Path) -> None:
    check = checked(unit(9, shift=6.0), accepted)
    file = tmp_path / "check.json"
    check.save(file)
    assert PerformanceCheck.load(file) == check
    text = json.loads(file.read_text(encoding="utf-8"))
    text["passed"] = True
    file.write_text(json.dumps(text), encoding="utf-8")
    with pytest.raises(UnreadableFileError, match="changed"):
        PerformanceCheck.load(file)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "nonsense", '{"format": "spectralid-performance-check/1"}']
)
def test_what_is_no_record_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "check.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UnreadableFileError):
        PerformanceCheck.load(file)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("snr = 50.0", 'snr = "much"'),
        ("snr = 50.0", "snr = -1.0"),
        ("snr = 50.0", ""),
        ("snr = 50.0", "snr = 50.0\nsnow = 1"),
        ("temperature_c = [-10.0, 50.0]", "temperature_c = [50.0, -10.0]"),
        ('version = "spectralid-2"', "version = 1"),
        ("[infrared]", "[ultraviolet]"),
        ("[raman]", "[raman"),
    ],
)
def test_wrong_limits_are_refused(tmp_path: Path, old: str, new: str) -> None:
    text = BUILT_IN.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "limits.toml"
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(UnreadableFileError, match=r"limits\.toml"):
        load_limits(file)


def test_an_agency_judges_by_its_own_limits(tmp_path: Path, accepted: Spectrum) -> None:
    text = BUILT_IN.read_text(encoding="utf-8").replace("spectralid-2", "north-3")
    file = tmp_path / "limits.toml"
    file.write_text(text.replace("shift_cm1 = 2.5", "shift_cm1 = 0.5"), encoding="utf-8")
    check = check_performance(unit(3, shift=1.2), "polystyrene", accepted=accepted, limits=load_limits(file))
    assert (check.limits_version, check.rules) == ("north-3", ("axis_shift",))


def test_a_figure_is_near_its_limit_if_its_uncertainty_reaches_across() -> None:
    near = Figure("axis_shift", 2.2, "cm⁻¹", 0.2, -2.5, 2.5, "passed")
    assert near.near_limit
    assert not dataclasses.replace(near, value=1.0).near_limit
    assert not dataclasses.replace(near, uncertainty=None).near_limit


def dark_files(folder: Path, noise: float, *, frames: int = 6, pixels: int = 300) -> list[str]:
    """Dark frames as two columns of text."""
    rng = np.random.default_rng(3)
    files = []
    for number in range(frames):
        counts = np.round(800 + rng.normal(0, noise, pixels)).astype(int)
        file = folder / f"dark-{noise:g}-{number}.csv"
        rows = [f"{200 + 9 * k},{count}" for k, count in enumerate(counts)]
        file.write_text("\n".join(["shift,counts", *rows]), encoding="utf-8")
        files.append(str(file))
    return files


def test_the_command_judges_dark_frames(
    tmp_path: Path, accepted: Spectrum, capsys: pytest.CaptureFixture[str]
) -> None:
    now, then = tmp_path / "now.jdx", tmp_path / "then.jdx"
    write(unit(2), now)
    write(accepted, then)
    command = [
        "qa", "check", str(now), "--accepted", str(then), "--standard", "polystyrene",
        "--technique", "raman", "--json",
    ]  # fmt: skip
    sound, bad = dark_files(tmp_path, 12.0), dark_files(tmp_path, 40.0)

    def judged(*options: str) -> tuple[int, dict[str, str]]:
        status = main([*command, *options])
        return status, {f["name"]: f["status"] for f in json.loads(capsys.readouterr().out)["figures"]}

    status, figures = judged("--dark", *sound, "--accepted-dark", *sound)
    assert status == Exit.IDENTIFIED
    assert {figures[name] for name in ("dark_level", "dark_noise", "dead_pixels", "hot_pixels")} == {"passed"}
    status, figures = judged("--dark", *bad, "--accepted-dark", *sound)
    assert (status, figures["dark_noise"], figures["dark_level"]) == (Exit.DEVICE, "failed", "passed")
    status, figures = judged("--dark", *sound)
    assert (status, figures["dark_noise"], figures["dead_pixels"]) == (Exit.IDENTIFIED, "not done", "passed")
    assert main([*command, "--dark", sound[0]]) == Exit.UNREADABLE
    assert "two dark frames" in capsys.readouterr().err
    assert main([*command, "--dark", *sound, "--adc-max", "0"]) == Exit.USAGE


def test_dark_frames_show_pixels_that_are_stuck_or_hot() -> None:
    rng = np.random.default_rng(2)
    axis = np.arange(200.0, 1200.0)
    counts = np.round(800 + 50 * np.sin(axis / 300) + rng.normal(0, 10, (8, axis.size)))
    counts[:, 10], counts[:, 20], counts[:, 30] = 0, 65535, 803
    counts[:, [40, 50, 60, 70]] += 2000

    def frames(values: np.ndarray) -> list[Spectrum]:
        return [Spectrum(axis, row, technique="raman", unit="counts") for row in values]

    found = Darkness.of_spectra(frames(counts), 65535)
    assert found.dead_share == pytest.approx(3 / axis.size)
    assert found.hot_share == pytest.approx(5 / axis.size)  # the one that is stuck at the top, too
    assert found.noise == pytest.approx(10, rel=0.1)
    # Too few frames, or too quiet a detector, and standing still means nothing.
    assert Darkness.of_spectra(frames(counts[:4]), 65535).dead_share == pytest.approx(2 / axis.size)
    with pytest.raises(CheckError, match="two dark frames"):
        Darkness.of_spectra(frames(counts[:1]), 65535)
    with pytest.raises(CheckError, match="points"):
        Darkness.of_spectra([*frames(counts), Spectrum(axis[:-1], counts[0, :-1], technique="raman")], 65535)


def test_darks_of_another_exposure_are_not_compared(accepted: Spectrum) -> None:
    longer = dataclasses.replace(HEALTHY, mean=20_000.0, integration_ms=5000.0)
    usual = dataclasses.replace(HEALTHY, integration_ms=500.0)
    check = check_performance(unit(5), "polystyrene", accepted=accepted, dark=longer, accepted_dark=usual)
    assert check.figure("dark_level").status == "not done"
    assert "5000 ms" in check.figure("dark_level").note
