"""The simulated year (benchmarks/reachback/year.py), small: the server's real queue, leases and decisions."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("sqlalchemy", reason="the server needs the extra [reachback]")

from benchmarks.reachback import _year_arrivals as arrivals
from benchmarks.reachback import year
from benchmarks.reachback._year_desk import Habits
from spectralid.reachback.capacity.plan import Roster, SizeMix

ROSTERS = (Roster.constant(2, break_min=30), Roster.constant(4, break_min=30))


def test_a_short_year_with_enough_chemists(db):
    outcome = year.played(db, *ROSTERS, scans=120, tablets=8, ahead=False, seed=3)
    whole = outcome.periods["the whole time"]
    assert whole.share >= year.GOAL
    assert (outcome.problems, outcome.undelivered) == (0, 0)
    assert outcome.tally.idle_checks > 50
    assert outcome.tally.packets == whole.scans + 2 * whole.cases
    did = outcome.tally.counts
    assert did["cases taken"] >= whole.cases
    assert did["answers shown"] == whole.cases + did.get("interim answers", 0)
    assert did["second reviews"] > 0
    assert all(period.cases for period in outcome.periods.values())
    table = year.report(outcome, None, ROSTERS, "what was simulated")
    assert "whole" in table
    assert f"{whole.scans:,}" in table


def test_too_few_chemists_are_seen_to_be_too_few(sqlite):
    """The year can fail: one chemist by night and day does not keep the hour without interim answers."""
    slow = Habits(first_min=50.0)
    alone = Roster.constant(1)
    outcome = year.played(sqlite, alone, alone, scans=60, tablets=4, ahead=False, habits=slow)
    assert outcome.periods["the whole time"].share < 0.9
    assert (outcome.problems, outcome.undelivered) == (0, 0)


def test_who_falls_asleep_over_a_case_loses_it(sqlite):
    tired = Habits(sleeps=0.3, disagrees=0.7)
    outcome = year.played(sqlite, *ROSTERS, scans=150, tablets=4, ahead=False, habits=tired)
    did = outcome.tally.counts
    assert did["stale decisions refused"] > 0
    assert did["sent back"] > 0
    assert (outcome.problems, outcome.undelivered) == (0, 0)


@pytest.fixture
def sqlite(tmp_path, request):
    from tests.reachback.conftest import fresh

    db = fresh("sqlite", tmp_path / "server", request)
    yield db
    db.close()


# --- what comes, against its description -------------------------------------------------------------------


def coming(scans=70_000, seed=1):
    span = arrivals.Span.of(scans)
    return span, list(arrivals.seizures(span, tablets=300, danger=0.2, unknown=0.05, seed=seed))


def test_a_year_has_the_scans_the_bursts_and_the_surge_of_its_description():
    span, found = coming()
    scans = np.array([one.scans for one in found])
    assert span.minutes == pytest.approx(52 * arrivals.WEEK_MIN)
    assert scans.sum() == pytest.approx(70_000, rel=0.03)
    mix = SizeMix.parse("1:0.7,2-9:0.25,10-40:0.05")
    assert scans.mean() == pytest.approx(mix.mean, rel=0.03)
    assert (scans == 1).mean() == pytest.approx(0.70, abs=0.015)
    assert (scans >= 10).mean() == pytest.approx(0.05, abs=0.007)
    surge = sum(one.scans for one in found if one.surge)
    assert surge == pytest.approx(3 * 70_000 / 54, rel=0.12)
    assert np.mean([one.danger for one in found]) == pytest.approx(0.2, abs=0.015)
    assert np.mean([one.unknown for one in found]) == pytest.approx(0.05, abs=0.007)


def test_the_rhythm_of_what_comes_is_that_which_the_plan_is_told():
    """The plan's hourly rates against counts of the year, hour by hour of the week."""
    _, found = coming()
    hours = np.array([one.minute // 60 % 168 for one in found if not one.surge], dtype=int)
    got = np.bincount(hours, minlength=168)
    told = year.demand().seizures_per_hour * 51
    # Poisson: the sum of squared deviations over what is expected is chi-squared, 168 +- 6 x 18.
    assert ((got - told) ** 2 / told).sum() == pytest.approx(168, abs=6 * (2 * 168) ** 0.5)


def test_fewer_scans_are_a_shorter_time_at_the_same_pace():
    for scans in (300, 5_000):
        span, found = coming(scans)
        assert span.minutes < 60_000
        assert 0 < span.surge[0] < span.surge[1] < span.minutes
        assert any(one.surge for one in found)
        a_week = sum(one.scans for one in found) / (
            (span.minutes + 2 * (span.surge[1] - span.surge[0])) / arrivals.WEEK_MIN
        )
        assert 0.3 < a_week / (70_000 / 54) < 2.0


def test_spells_change_with_the_surge_and_never_end():
    span = arrivals.Span.of(20_000)
    seen = year.spells(*ROSTERS, span)
    late = 0.0
    seats = {True: set(), False: set()}
    for start, seat, end in seen:
        assert start >= late
        assert start < end
        late = start
        middle = (start + end) / 2
        seats[span.surges(middle)].add(seat)
        if start > span.minutes * 2:
            break
    assert seats == {True: {0, 1, 2, 3}, False: {0, 1}}


def test_the_plan_is_told_the_same_share_of_reviews_as_the_desk_makes():
    habits = replace(Habits(), differs=0.1)
    assert year.handling(habits).review_share == pytest.approx(0.20 + 0.75 * 0.1)
