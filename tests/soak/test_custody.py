"""The custody log of a tablet that is old: read in parts, so that a report does not need more each day."""

from __future__ import annotations

import tracemalloc

import pytest

from spectralid.casework import custody
from spectralid.casework.store import CaseStore

ENTRIES = 1300


@pytest.fixture
def old(tmp_path):
    with CaseStore.open(tmp_path / "record", device_id="field-1", ballast_bytes=4096) as store:
        with store.transaction() as tx:
            for number in range(ENTRIES):
                facts = {"seizure_ref": f"S-{number % 100}", "packet_id": f"P-{number}", "note": "x" * 400}
                store.custody.append(tx, "captured", facts)
        yield store


def test_it_is_read_whole_and_in_order(old):
    entries = old.custody.entries()
    assert [one.n for one in entries] == list(range(1, len(entries) + 1))
    assert len(entries) > custody._AT_ONCE * 2
    assert [one.n for one in old.custody.entries(after=700)] == list(range(701, len(entries) + 1))
    assert len(list(old.custody.sound())) == len(entries)
    assert [str(one) for one in old.custody.verify() if "custody" in str(one)] == []


def test_entries_of_a_seizure_are_those_that_name_it_or_its_packets(old):
    wanted = [
        one
        for one in old.custody.entries()
        if one.facts.get("seizure_ref") == "S-7" or one.facts.get("packet_id") == "P-3"
    ]
    assert old.custody.about("S-7", {"P-3"}) == tuple(wanted)
    assert len(wanted) == ENTRIES // 100 + 1


def test_a_row_before_the_first_is_found(old):
    assert old.custody.verify() == ()
    with old.transaction() as tx:
        tx.execute("INSERT INTO custody SELECT -4, entry, sha256, keyid, signature FROM custody WHERE n = 9")
    assert old.custody.verify()


def test_what_a_report_needs_of_it_does_not_grow_with_it(old):
    about = old.custody.about("S-7", ())
    tracemalloc.start()
    try:
        assert len(old.custody.about("S-7", ())) == len(about)
        some = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        old.custody.entries()
        everything = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert some < everything / 2
