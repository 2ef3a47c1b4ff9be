"""Names of packets are UUIDs of version 7, each greater than the one before, whatever the clock does."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from spectralid.casework.ids import next_id

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_the_form_is_that_of_rfc_9562():
    """The example of its appendix A.6: 2022-02-22 19:22:22 UTC is 017f22e279b0."""
    made = uuid.UUID(next_id(datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC), None))
    assert made.hex[:12] == "017f22e279b0"
    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_more_in_one_millisecond_than_the_counter_holds():
    names = [next_id(NOON, None)]
    for _ in range(5000):
        names.append(next_id(NOON, names[-1]))
    assert names == sorted(names)
    assert len(set(names)) == len(names)
    assert {uuid.UUID(name).version for name in names} == {7}
    # 4,096 fit into a millisecond; the rest borrow from the next.
    assert int(names[-1][:8] + names[-1][9:13], 16) - int(names[0][:8] + names[0][9:13], 16) == 1


def test_a_name_follows_the_clock_forwards():
    first = next_id(NOON, None)
    later = next_id(NOON + timedelta(hours=1), first)
    assert later[:13] == next_id(NOON + timedelta(hours=1), None)[:13]


def test_the_end_is_random():
    assert next_id(NOON, None)[-12:] != next_id(NOON, None)[-12:]


@given(st.lists(st.integers(-(10**9), 10**9), min_size=2, max_size=30))
def test_a_clock_that_jumps_does_not_bring_the_order_back(seconds):
    last, names = None, []
    for offset in seconds:
        last = next_id(NOON + timedelta(seconds=offset), last)
        names.append(last)
    assert all(earlier < later for earlier, later in itertools.pairwise(names))


def test_a_clock_before_1970_gives_a_name():
    assert next_id(datetime(1969, 1, 1, tzinfo=UTC), None).startswith("00000000-0000-7000-")
