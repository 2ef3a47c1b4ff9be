"""Counts, shares and first sightings: what is counted as what, and against what."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from spectralid.casework.clock import to_text
from spectralid.errors import ParameterError
from spectralid.proportion import clopper_pearson
from spectralid.reachback.classification import classify
from spectralid.reachback.intelligence import trends
from spectralid.reachback.intelligence.linkage_archive import catch_up
from spectralid.reachback.intelligence.trends import Finding, Seizure
from spectralid.reachback.lab import laboratory
from tests.reachback.desk import says

FENTANYL = "opioid / fentanyl-related"
START = datetime(2026, 10, 1, tzinfo=UTC)


def seizure(number, *slugs, day=0.0, basis="field", site="north", mode="mail", no_match=False):
    findings = tuple(Finding(classify(slug), basis) for slug in slugs)
    return Seizure(
        f"C-{number:04d}", to_text(START + timedelta(days=day)), site, mode, basis, no_match, findings
    )


def cell(cells, key, period="2026-10", where=""):
    (found,) = [c for c in cells if (c.key, c.period, c.where) == (key, period, where)]
    return found


def test_a_seizure_counts_once_and_confirmed_apart():
    seizures = [
        seizure(1, "fentanyl", "acetylfentanyl"),
        seizure(2, "fentanyl", basis="laboratory"),
        seizure(3, "lactose"),
        seizure(4),
    ]
    cells = trends.counts(seizures, level="class")
    (one,) = cells
    assert (one.key, one.confirmed, one.presumptive, one.of) == (FENTANYL, 1, 1, 4)
    assert one.share == 0.5
    assert (one.low, one.high) == clopper_pearson(2, 4)
    assert one.small
    everything = trends.counts(seizures, level="class", only_of_interest=False)
    assert {c.key for c in everything} == {FENTANYL, "cutting agent / sugar or polyol"}
    by_substance = trends.counts(seizures, level="substance")
    assert [(c.key, c.presumptive + c.confirmed) for c in by_substance] == [
        ("fentanyl", 2),
        ("acetylfentanyl", 1),
    ]
    assert [c.key for c in trends.counts(seizures, level="group")] == ["opioid"]


def test_the_denominator_is_of_the_same_cell_and_a_zero_is_shown():
    seizures = [
        seizure(1, "fentanyl", site="north", mode="mail"),
        seizure(2, site="south", mode="land"),
        seizure(3, "cocaine", site="north", mode="land", day=31),
    ]
    by_site = trends.counts(seizures, level="class", split="site")
    assert cell(by_site, FENTANYL, where="north").of == 1
    assert cell(by_site, FENTANYL, where="south").share == 0.0
    assert cell(by_site, FENTANYL, period="2026-11", where="north").share == 0.0
    by_mode = trends.counts(seizures, level="class", split="mode")
    assert cell(by_mode, FENTANYL, where="mail").share == 1.0
    assert cell(by_mode, FENTANYL, where="land").share == 0.0
    by_week = trends.counts(seizures, level="class", period="week")
    assert {c.period for c in by_week} == {"2026-W40", "2026-W44"}


def test_small_cells_are_marked():
    many = [seizure(n, *(("fentanyl",) if n < 6 else ())) for n in range(40)]
    (one,) = trends.counts(many)
    assert (one.of, one.presumptive, one.small) == (40, 6, False)
    assert trends.counts(many[2:])[0].small  # four of thirty-eight
    assert trends.counts(many[:19])[0].small  # six of nineteen


def test_first_sightings_are_in_order_and_once():
    seizures = [
        seizure(1, "fentanyl", day=1),
        seizure(2, "acetylfentanyl", day=3, basis="laboratory"),
        seizure(3, "fentanyl", "cocaine", day=2),
        seizure(4, "acetylfentanyl", day=9),
        seizure(5, "lactose", day=0),
    ]
    found = [(one.level, one.key, one.case_id) for one in trends.first_sightings(seizures)]
    assert found == [
        ("substance", "fentanyl", "C-0001"),
        ("class", FENTANYL, "C-0001"),
        ("substance", "cocaine", "C-0003"),
        ("class", "stimulant / cocaine or tropane", "C-0003"),
        ("substance", "acetylfentanyl", "C-0002"),
    ]
    last = trends.first_sightings(seizures)[-1]
    assert last.to_dict()["presumptive"] is False
    late = trends.first_sightings(seizures, since=START + timedelta(days=2.5))
    assert [one.key for one in late] == ["acetylfentanyl"]


def test_months_and_weeks():
    assert trends.month_of("2026-12") == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    for wrong in ("2026-13", "2026", "2026-1", "26-10", "2026-10-01", "october"):
        with pytest.raises(ParameterError):
            trends.month_of(wrong)
    assert trends.period_of("2026-01-01T00:00:00.000000Z", "week") == "2026-W01"
    assert trends.period_of("2027-01-03T00:00:00.000000Z", "week") == "2026-W53"


# --- from the record ---------------------------------------------------------------------------------------


def collected(desk):
    catch_up(desk.db)
    return {one.case_id: one for one in trends.collect(desk.db)}


def keys(one):
    return [f.what.slug or f.what.text() for f in one.findings]


def test_the_last_word_counts(desk):
    """The field's result until a chemist has answered, and the chemist's until a laboratory has."""
    desk.ingest(desk.tablet.seizure("S-1", mode="express"))
    case_id = desk.scan("S-1", substances=("cocaine",))
    one = collected(desk)[case_id]
    assert (one.basis, keys(one), one.mode, one.site) == ("field", ["cocaine"], "express", "north")
    desk.decide(desk.lease(case_id), says("procaine"))
    # Another than the field named: it waits for a second person, and is not said yet.
    assert collected(desk)[case_id].basis == "field"
    lease = desk.lease(case_id, "ben", senior=True)
    desk.review(lease)
    one = collected(desk)[case_id]
    assert (one.basis, keys(one)) == ("chemist", ["procaine"])
    assert not one.findings[0].confirmed
    laboratory.record(
        desk.db, desk.keys, case_id, result="refuted", substances=("lidocaine",), laboratory="F",
        sample_ref="1", by="lab", now=desk.time,
    )  # fmt: skip
    one = collected(desk)[case_id]
    assert (one.basis, keys(one), one.findings[0].confirmed) == ("laboratory", ["lidocaine"], True)


def test_an_inconclusive_laboratory_changes_nothing(desk):
    case_id = desk.answered("S-1", substances=("lactose",))
    laboratory.record(
        desk.db, desk.keys, case_id, result="inconclusive", laboratory="F", sample_ref="1", by="lab",
        now=desk.time,
    )  # fmt: skip
    assert collected(desk)[case_id].basis == "chemist"


def test_a_family_without_a_member_is_counted_as_a_class(desk):
    case_id = desk.scan("S-1", decision="class_only", substances=(), families=("fentanyl-related",))
    other = desk.scan("S-2", substances=("fentanyl",), families=("fentanyl-related",))
    unknown = desk.scan("S-3", decision="no_match", substances=())
    found = collected(desk)
    assert keys(found[case_id]) == [f"{FENTANYL} / structure not determined"]
    assert keys(found[other]) == ["fentanyl"]
    assert (found[unknown].no_match, found[unknown].findings) == (True, ())
    (one,) = trends.counts(tuple(found.values()), level="class")
    assert one.presumptive == 2
    assert [c.key for c in trends.counts(tuple(found.values()), level="substance")] == ["fentanyl"]


def test_what_is_not_of_ones_places_or_has_no_scan_is_left_out(desk):
    south = desk.enrol("tablet-9", site="south")
    desk.scan("S-1", tablet=south)
    mine = desk.scan("S-2")
    desk.ingest(desk.tablet.seizure("S-3"))
    catch_up(desk.db)
    found = trends.collect(desk.db, sites={"north"})
    assert [one.case_id for one in found] == [mine]
    assert found[0].mode == "not stated"
    assert len(trends.collect(desk.db)) == 2
    assert trends.collect(desk.db, until=desk.time - timedelta(days=1)) == ()
    json.dumps([c.to_dict() for c in trends.counts(found)])
