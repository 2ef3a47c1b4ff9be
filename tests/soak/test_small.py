"""The soak in small: the real tablet program and the real server, and that a planted leak is found."""

from __future__ import annotations

import pytest

from benchmarks.soak import evaluate, server, tablet

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

SCANS = 24
WARM = 8
"""Scans after which all that is loaded once is loaded."""
MOST_THREADS = 24
SERVER_MB = 15.0
"""The server may take that much more in the second half of a few minutes; a packet is 0.02 MB."""
KEPT_MB = 0.6
"""A scan may keep that much until 64 results are at hand: about 0.3 MB, measured."""


def counts(readings, name):
    return evaluate.count([one[name] for one in readings])


def grown_mb(readings):
    """From the mean of the first quarter to that of the last."""
    size = max(len(readings) // 4, 1)
    first, last = (sum(one["own_mb"] for one in part) / size for part in (readings[:size], readings[-size:]))
    return last - first


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return tablet.soak(tmp_path_factory.mktemp("tablet"), scans=SCANS, hours=10.0, with_server=False)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return tablet.soak(
        tmp_path_factory.mktemp("leak"), scans=8, hours=1.0, with_server=False,
        plant="tests.soak.leaks:of_each_scan",
    )  # fmt: skip


def test_the_tablet_keeps_no_handle_thread_or_child(clean):
    assert clean["errors"] == clean["problems"] == []
    assert clean["did"]["scans"] == SCANS
    assert clean["did"]["checks"] == 2
    for name in ("handles", "threads", "children"):
        found = counts(clean["readings"][WARM:], name)
        assert found.quiet_second == found.quiet_first, [one[name] for one in clean["readings"]]
        assert found.second <= found.first + 2


def test_its_memory_grows_no_more_than_its_results_at_hand(clean):
    readings = clean["readings"][WARM:]
    assert grown_mb(readings) < KEPT_MB * len(readings), [one["own_mb"] for one in clean["readings"]]


def test_its_record_grows_as_foretold(clean):
    sealed = sum(size for _, size in clean["packets_by_kind"].values())
    packets = sum(count for count, _ in clean["packets_by_kind"].values())
    assert packets == clean["readings"][-1]["packets"]
    assert sealed / packets + tablet.BESIDE_BYTES == pytest.approx(clean["predicted_bytes"], rel=0.15)


def test_a_planted_leak_is_found(planted):
    readings = planted["readings"][2:]
    assert planted["did"]["scans"] == 8
    for name in ("handles", "threads"):
        found = counts(readings, name)
        assert not found.is_flat
        assert found.last - readings[0][name] >= len(readings) - 2
    assert grown_mb(readings) > KEPT_MB * len(readings)


def test_the_server_keeps_nothing(tmp_path):
    readings = server.soak(
        tmp_path, hours=1.0, times=3.0, steps=40, database="sqlite", tablets=2, engine=False, research=False
    )["readings"]
    # By the 22nd step everything was asked for once.
    warm = readings[22:]
    for name in ("handles", "children"):
        found = counts(warm, name)
        assert found.is_flat, [one[name] for one in readings]
    # Its pool of threads grows with what is asked for at once; a thread for each of 40 steps would be more.
    assert max(one["threads"] for one in readings) < MOST_THREADS
    assert grown_mb(warm) < SERVER_MB, [one["own_mb"] for one in readings]
