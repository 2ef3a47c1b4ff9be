"""The list of faults itself: complete, and each of its guards missed by its test."""

from __future__ import annotations

import pytest

from tests.faults import reachback, running

SHOWN = [shown for row in reachback.ROWS for shown in row.shown]


def test_all_32_rows_are_there_and_each_has_a_test():
    assert [row.number for row in reachback.ROWS] == list(range(1, 33))
    for row in reachback.ROWS:
        assert row.tests, row.number
        assert row.shown or row.controls or row.remark or row.number == 24, row.number
    names = [guard.name for guard in reachback.GUARDS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("shard", range(3))
def test_each_guard_taken_away_makes_its_test_fail(shard):
    some = SHOWN[shard::3]
    outcomes = {
        (one.test, one.guard): one for one in running.run([shown.test for shown in some], without_guards=True)
    }
    for shown in some:
        one = outcomes[shown.test, shown.guard.name]
        assert one.is_noticed or one.how == "skipped", one
