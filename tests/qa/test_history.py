"""Checks over days: records that come back, charts of them, and the commands."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from spectralid.cli import main
from spectralid.cli._exit import Exit
from spectralid.errors import ParameterError, UnreadableFileError
from spectralid.qa.charts import Baseline
from spectralid.qa.history import chart_figure_of, charted_names, kept, read_history
from spectralid.qa.performance import CheckError, Figure, PerformanceCheck

START = datetime(2026, 9, 1, 8, tzinfo=UTC)


def day(number: int, shift: float | None, *, serial: str = "A-1", time: str = "") -> PerformanceCheck:
    figures = (
        Figure("axis_shift", shift, "cm⁻¹", 0.6, -2.5, 2.5, "passed" if shift is not None else "failed"),
        Figure("saturated_points", 0.0, high=0.0, status="passed"),
        Figure("strength", None),
    )
    moment = time or (START + timedelta(days=number)).isoformat()
    return PerformanceCheck(
        shift is not None, figures, (), "polystyrene", "L1", "Test 785", serial, moment, "", "0" * 64, "v1"
    )


def days(n: int, drift_from: int | None = None) -> list[PerformanceCheck]:
    rng = np.random.default_rng(4)
    drift = [0.0 if drift_from is None else max(0, k - drift_from) * 0.1 for k in range(n)]
    return [day(k, float(rng.normal(0.3 + drift[k], 0.25))) for k in range(n)]


def test_records_come_back_by_time_and_once(tmp_path: Path) -> None:
    checks = days(5)
    for check in reversed([*checks, checks[2]]):
        kept(tmp_path, check)
    kept(tmp_path, day(9, 0.1, serial="../B 2"))
    back, damaged = read_history(tmp_path, serial="A-1")
    assert back == tuple(checks)
    assert not damaged
    assert {file.parent.parent for file in tmp_path.rglob("*.json")} == {tmp_path}
    assert charted_names(back) == ("axis_shift", "saturated_points")


def test_times_of_other_zones_are_in_their_place(tmp_path: Path) -> None:
    early = day(0, 0.1, time="2026-09-01T23:30:00+02:00")
    late = day(0, 0.2, time="2026-09-01T22:00:00+00:00")
    for check in (late, early):
        kept(tmp_path, check)
    assert read_history(tmp_path)[0] == (early, late)


def test_a_changed_record_is_said_and_not_charted(tmp_path: Path) -> None:
    files = [kept(tmp_path, check) for check in days(3)]
    text = json.loads(files[1].read_text(encoding="utf-8"))
    text["figures"][0]["value"] = 0.0
    files[1].write_text(json.dumps(text), encoding="utf-8")
    checks, damaged = read_history(tmp_path)
    assert len(checks) == 2
    assert files[1].name in str(damaged[0])
    with pytest.raises(UnreadableFileError):
        read_history(tmp_path / "nowhere")


def test_the_usual_value_comes_from_the_first_days() -> None:
    checks = days(60, drift_from=35)
    charted = chart_figure_of(checks, "axis_shift", baseline_days=20)
    assert charted.chart.baseline.n == 20
    assert charted.chart.baseline.mean == pytest.approx(0.3, abs=0.15)
    assert len(charted.checks) == 40
    assert not charted.chart.in_control
    first = next(signal.index for signal in charted.chart.signals if signal.stops)
    # The drift begins on the 15th day charted and goes 0.4 sd a day.
    assert 15 <= first <= 24
    assert chart_figure_of(days(60), "axis_shift").chart.in_control


def test_a_day_without_the_figure_is_counted() -> None:
    checks = days(30)
    checks[25] = day(25, None)
    charted = chart_figure_of(checks, "axis_shift", baseline=Baseline(0.3, 0.25))
    assert (charted.missing, len(charted.checks)) == (1, 29)


def test_what_makes_no_chart_is_said() -> None:
    with pytest.raises(CheckError, match="B-2"):
        chart_figure_of([*days(25), day(30, 0.1, serial="B-2")], "axis_shift")
    with pytest.raises(CheckError, match="more than the 20"):
        chart_figure_of(days(20), "axis_shift")
    with pytest.raises(ParameterError):
        chart_figure_of(days(25), "saturated_points")
    with pytest.raises(CheckError, match="no figure"):
        chart_figure_of(days(25), "weather")


def test_the_command_stops_a_drifting_unit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for check in days(60, drift_from=35):
        kept(tmp_path / "records", check)
    picture = tmp_path / "chart.png"
    assert main(["qa", "chart", str(tmp_path / "records"), "--plot", str(picture)]) == Exit.DEVICE
    said = capsys.readouterr().out
    assert "STOP" in said
    assert "saturated points: does not vary" in said
    assert picture.stat().st_size > 10_000
    assert main(["qa", "chart", str(tmp_path / "records"), "--json"]) == Exit.DEVICE
    printed = json.load(io.StringIO(capsys.readouterr().out))
    (charted,) = printed["charts"]
    assert (charted["figure"], charted["in_control"], len(charted["days"])) == ("axis_shift", False, 40)
    assert {"ewma", "1_3s"} <= {signal["rule"] for signal in charted["signals"]}


def test_the_command_passes_a_unit_in_control(tmp_path: Path) -> None:
    for check in days(60):
        kept(tmp_path, check)
    assert main(["qa", "chart", str(tmp_path), "--figure", "axis_shift"]) == Exit.IDENTIFIED
    next(tmp_path.rglob("*.json")).write_text("{}", encoding="utf-8")
    assert main(["qa", "chart", str(tmp_path), "--figure", "axis_shift"]) == Exit.UNREADABLE


def test_run_lengths_and_sizes_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["qa", "chart", "--run-lengths"]) == Exit.IDENTIFIED
    said = capsys.readouterr().out
    assert "370.4" in said
    assert "494.4" in said
    assert main(["qa", "plan", "--rate", "0.95"]) == Exit.IDENTIFIED
    assert capsys.readouterr().out.startswith("59 ")
    assert main(["qa", "chart"]) == Exit.USAGE
    assert main(["qa", "plan", "--rate", "2"]) == Exit.USAGE


def test_a_simulated_unit_is_checked_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records, page = tmp_path / "records", tmp_path / "check.pdf"
    command = ["qa", "check", "--simulate", "acetaminophen", "--standard", "acetaminophen", "--lot", "APAP-1"]
    status = main([*command, "--averages", "20", "--records", str(records), "--pdf", str(page), "--json"])
    printed = json.load(io.StringIO(capsys.readouterr().out))
    ((check,), damaged) = read_history(records)
    assert not damaged
    assert json.loads(json.dumps(check.to_dict())) == printed
    assert (status == Exit.IDENTIFIED) == check.passed
    assert check.lot == "APAP-1"
    # The scan takes dark frames anyway.
    assert check.figure("dead_pixels").status == "passed"
    assert check.figure("dark_noise").value
    assert page.read_bytes().startswith(b"%PDF")


def test_the_wrong_substance_stops_the_unit(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["qa", "check", "--simulate", "acetaminophen", "--standard", "polystyrene", "--averages", "5"]
    assert main(command) == Exit.DEVICE
    assert "FAILED" in capsys.readouterr().out
