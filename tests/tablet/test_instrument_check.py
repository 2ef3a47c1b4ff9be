"""The daily check on the tablet: on record, and what every later result of the unit is worth."""

import dataclasses

import numpy as np
import pytest

from spectralid.casework import instrument_checks
from spectralid.casework.store import CaseStore
from spectralid.errors import ParameterError
from spectralid.qa.check import Darkness
from spectralid.qa.limits import load_limits
from spectralid.qa.performance import PerformanceCheck
from spectralid.spectrum import Acquisition
from spectralid.tablet import FieldUnit
from spectralid.tablet.checks import CheckBook
from spectralid.verdict import PolicyKeeper
from tests.calibration.simulated import POLYSTYRENE
from tests.calibration.simulated import spectrum as simulated
from tests.tablet.test_unit import acetaminophen, engine  # noqa: F401


@pytest.fixture
def unit(tmp_path, engine):  # noqa: F811
    with CaseStore.open(tmp_path / "record", ballast_bytes=1 << 16) as store:
        yield FieldUnit(
            store, engine.library, keeper=PolicyKeeper(tmp_path / "policy"), engine=engine, officer="K-17",
            checks=CheckBook(tmp_path / "record" / "checks"),
        )  # fmt: skip


@pytest.fixture
def item(unit):
    return unit.add_item(unit.open_seizure(), label="bag 1")


def standard(serial, shift=0.0, seed=1):
    """Polystyrene on a unit whose axis is off by so much."""
    return simulated(
        POLYSTYRENE, np.random.default_rng(seed), shown=lambda x: x + shift,
        acquisition=Acquisition(serial=serial, laser_nm=785.0, integration_ms=100.0, power_mw=50.0),
    )  # fmt: skip


def scanned(unit, item, spectrum):
    result = unit.record_scan(item, spectrum)
    return result.verdict, unit.store.packet(result.packet_id).manifest


def test_a_failed_check_marks_every_later_result(unit, item, acetaminophen):  # noqa: F811
    serial = acetaminophen.acquisition.serial
    before, manifest = scanned(unit, item, acetaminophen)
    assert (manifest["instrument_check"], manifest["ipv"]) == ("unknown", "none")
    assert "instrument_not_verified" not in before.escalation

    failed = unit.check_instrument(standard(serial, shift=8.0), "polystyrene", lot="PS-7")
    assert not failed.passed
    after, manifest = scanned(unit, item, acetaminophen)
    assert manifest["instrument_check"] == "failed"
    assert manifest["ipv"] == {
        "id": failed.id, "time": manifest["ipv"]["time"], "passed": False, "limits_version": "spectralid-2",
    }  # fmt: skip
    assert after.escalate
    assert "instrument_not_verified" in after.escalation
    assert after.words != before.words

    passed = unit.check_instrument(standard(serial), "polystyrene", lot="PS-7")
    assert passed.passed, passed.rules
    again, manifest = scanned(unit, item, acetaminophen)
    assert (manifest["instrument_check"], manifest["ipv"]["passed"]) == ("passed", True)
    assert "instrument_not_verified" not in again.escalation


def test_the_check_stands_in_the_custody_log(unit):
    unit.check_instrument(standard("U-9"), "polystyrene", lot="PS-7")
    entry = unit.store.custody.entries()[-1]
    assert entry.kind == "instrument checked"
    assert (entry.facts["serial"], entry.facts["passed"], entry.facts["lot"]) == ("U-9", True, "PS-7")
    assert entry.facts["officer"] == "K-17"
    assert not unit.store.custody.verify()


def test_another_unit_is_not_passed_by_it(unit, item, acetaminophen):  # noqa: F811
    unit.check_instrument(standard("U-9"), "polystyrene")
    assert unit.standing("U-9").state == "passed"
    assert scanned(unit, item, acetaminophen)[1]["instrument_check"] == "unknown"


def test_later_checks_are_held_against_the_first_that_passed(unit):
    first = unit.check_instrument(standard("U-9"), "polystyrene")
    dim = standard("U-9", seed=2)
    dim = dim.replace(intensity=dim.intensity * 0.3)
    second = unit.check_instrument(dim, "polystyrene")
    assert first.figure("strength").status == "not done"
    assert second.rules == ("strength",)


def test_an_agency_judges_by_its_own_limits(unit):
    limits = load_limits()
    strict = dataclasses.replace(limits, version="north-1", raman=dataclasses.replace(limits.raman, snr=1e9))
    check = unit.check_instrument(standard("U-9"), "polystyrene", limits=strict)
    assert (check.passed, check.rules, check.limits_version) == (False, ("snr",), "north-1")


def test_the_record_that_travels_says_what_was_found(unit):
    check = unit.check_instrument(standard("U-9", shift=8.0), "polystyrene", lot="PS-7")
    (row,) = instrument_checks.states(unit.store)
    assert (row.ipv_id, row.serial, row.outcome, row.state) == (check.id, "U-9", "failed", "queued")
    said = instrument_checks.said(unit.store, check.id)
    assert PerformanceCheck.from_dict(said["record"]) == check
    assert (said["passed"], said["instrument"]["serial"], said["officer_ref"]) == (False, "U-9", "K-17")
    assert len(said["spectrum"]["x"]) == len(said["spectrum"]["y"]) <= 1024


def test_a_check_is_skipped_knowingly_with_a_reason_or_not_at_all(unit, item, acetaminophen):  # noqa: F811
    serial = acetaminophen.acquisition.serial
    with pytest.raises(ParameterError, match="reason"):
        unit.skip_check(serial, "  ")
    assert unit.standing(serial).state == "unknown"
    unit.skip_check(serial, "Standard not at hand.")
    standing = unit.standing(serial)
    assert (standing.state, standing.reason, standing.due) == ("skipped", "Standard not at hand.", True)
    entry = unit.store.custody.entries()[-1]
    assert (entry.kind, entry.facts["reason"], entry.facts["officer"]) == (
        "instrument check skipped", "Standard not at hand.", "K-17",
    )  # fmt: skip
    verdict, manifest = scanned(unit, item, acetaminophen)
    assert (manifest["instrument_check"], manifest["ipv"]) == ("skipped", "none")
    assert "instrument_not_verified" in verdict.escalation

    unit.check_instrument(standard(serial), "polystyrene")
    assert (unit.standing(serial).state, unit.standing(serial).reason) == ("passed", "")
    with pytest.raises(ParameterError, match="due"):
        unit.skip_check(serial, "Not in the mood.")
    # What failed is not made good by doing without.
    unit.check_instrument(standard(serial, shift=8.0), "polystyrene")
    with pytest.raises(ParameterError, match="due"):
        unit.skip_check(serial, "It will do.")
    assert unit.standing(serial).state == "failed"


def test_a_check_on_record_counts_though_its_file_could_not_be_written(unit, monkeypatch):
    unit.check_instrument(standard("U-9"), "polystyrene")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("spectralid.tablet.checks.kept", full)
        check = unit.check_instrument(standard("U-9", shift=8.0), "polystyrene")
    assert len(list(unit.checks.folder.rglob("*.json"))) == 1
    assert unit.standing("U-9").state == "failed"
    # As after a power cut right behind the commit: what is on record gets its file with the next start.
    book = CheckBook(unit.checks.folder)
    FieldUnit(unit.store, unit.library, keeper=unit.keeper, engine=unit._engine, checks=book)
    assert book.standing("U-9", unit.store.time.now()).check == check


def test_dark_frames_are_held_against_those_of_the_accepted_day(unit):
    quiet, loud = (Darkness(1200.0, noise, 0.0, -5.0, 65535.0, integration_ms=100.0) for noise in (3.0, 9.0))
    assert unit.check_instrument(standard("U-9"), "polystyrene", dark=quiet).passed
    check = unit.check_instrument(standard("U-9", seed=2), "polystyrene", dark=loud)
    assert check.rules == ("dark_noise",)


def test_a_tablet_without_a_place_for_checks_says_so(tmp_path, engine):  # noqa: F811
    with CaseStore.open(tmp_path / "other", ballast_bytes=1 << 16) as store:
        bare = FieldUnit(store, engine.library, keeper=PolicyKeeper(tmp_path / "policy"), engine=engine)
        assert bare.standing("U-9").state == "unknown"
        with pytest.raises(ParameterError, match="checks"):
            bare.check_instrument(standard("U-9"), "polystyrene")
