"""The daily check: sound units pass, and each planted fault is found by the figure that is for it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectralid.errors import ParameterError, UnreadableFileError
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
