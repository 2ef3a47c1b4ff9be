"""Checks of the tablet's instruments: what holds today, and what later checks are held against."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from spectralid.qa.performance import Figure, PerformanceCheck
from spectralid.spectrum import Acquisition, Spectrum, Technique
from spectralid.tablet.checks import CheckBook

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def check(at: datetime, *, passed: bool = True, serial: str = "A-1") -> PerformanceCheck:
    figure = Figure("axis_shift", 0.1, "cm⁻¹", 0.5, -2.5, 2.5, "passed" if passed else "failed")
    return PerformanceCheck(
        passed, (figure,), (), "polystyrene", "L1", "Test", serial, at.isoformat(), "", "0" * 64, "limits-1"
    )


def scan(height: float = 1.0) -> Spectrum:
    x = np.arange(300.0, 2000.0, 2.0)
    y = height * 1000 * np.exp(-(((x - 1001) / 6) ** 2)) + 5
    return Spectrum(
        x, y, technique="raman", unit="counts", acquisition=Acquisition(serial="A-1", laser_nm=785.0)
    )


@pytest.fixture
def book(tmp_path: Path) -> CheckBook:
    return CheckBook(tmp_path / "checks")


def test_nobody_knows_of_an_instrument_without_checks(book: CheckBook) -> None:
    assert book.standing("A-1", NOON).state == "unknown"
    book.keep(check(NOON, serial="B-2"), scan())
    assert book.standing("A-1", NOON).state == "unknown"
    strict = CheckBook(book.folder, required=True)
    assert strict.standing("A-1", NOON).state == "skipped"
    assert book.standing("A-1", NOON).manifest() == "none"


@pytest.mark.parametrize(
    ("age", "state"),
    [(timedelta(0), "passed"), (timedelta(hours=23), "passed"), (timedelta(hours=25), "skipped")],
)
def test_a_check_holds_for_a_day(book: CheckBook, age: timedelta, state: str) -> None:
    book.keep(check(NOON - age), scan())
    assert book.standing("A-1", NOON).state == state


def test_a_failure_stays_until_one_passes(book: CheckBook) -> None:
    book.keep(check(NOON - timedelta(days=3), passed=False), scan())
    failed = book.standing("A-1", NOON)
    assert failed.state == "failed"
    said = failed.manifest()
    assert isinstance(said, dict)
    assert (said["passed"], said["limits_version"], said["time"]) == (
        False,
        "limits-1",
        "2026-11-19T12:00:00.000000Z",
    )
    book.keep(check(NOON), scan())
    assert book.standing("A-1", NOON).state == "passed"
    book.keep(check(NOON + timedelta(minutes=1), passed=False), scan())
    assert book.standing("A-1", NOON + timedelta(minutes=2)).state == "failed"


def test_a_check_of_tomorrow_does_not_hold_today(book: CheckBook) -> None:
    """A clock that was a day ahead must not keep an instrument passed."""
    book.keep(check(NOON + timedelta(days=1)), scan())
    assert book.standing("A-1", NOON).state == "skipped"


def test_a_record_that_was_changed_is_no_pass(book: CheckBook) -> None:
    book.keep(check(NOON, passed=False), scan())
    (file,) = book.folder.rglob("*.json")
    file.write_text(
        file.read_text(encoding="utf-8").replace('"passed": false', '"passed": true'), encoding="utf-8"
    )
    assert book.standing("A-1", NOON).state == "skipped"


def test_the_first_pass_is_what_later_checks_are_held_against(book: CheckBook) -> None:
    assert book.accepted("A-1", "polystyrene", Technique.RAMAN) is None
    book.keep(check(NOON, passed=False), scan(0.1))
    assert book.accepted("A-1", "polystyrene", Technique.RAMAN) is None
    book.keep(check(NOON + timedelta(hours=1)), scan(1.0))
    book.keep(check(NOON + timedelta(hours=2)), scan(0.5))
    first = book.accepted("A-1", "polystyrene", Technique.RAMAN)
    assert first is not None
    assert first.intensity == pytest.approx(scan(1.0).intensity)
    assert first.acquisition.serial == "A-1"
    assert book.accepted("A-1", "polystyrene", Technique.FTIR_ATR) is None
