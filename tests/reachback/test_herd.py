"""Tablets that come back after an outage, all at once (benchmarks/reachback/herd.py), a few of them."""

import pytest

pytest.importorskip("fastapi", reason="the server needs the extra [reachback]")
pytest.importorskip("psycopg", reason="the server needs the extra [reachback]")

from collections import Counter
from dataclasses import replace

from benchmarks.reachback import herd

PACE = 200.0


@pytest.fixture(scope="module")
def result():
    return herd.played("sqlite", tablets=6, pace=PACE, patience_s=60.0)


def test_everything_that_waited_is_there_once_and_in_order(result):
    assert result.packets == result.scans + 2 * 6
    assert (result.stored, result.gaps, result.problems) == (result.packets, 0, 0)
    assert result.in_order
    assert result.server_errors == 0
    assert result.replies["POST /v1/packets 201"] == result.packets


def test_the_tablets_knocked_in_vain_while_the_server_was_away(result):
    """Pauses had grown as in a real outage: some tens of requests each, not hundreds."""
    assert 6 * 5 < result.tries_before < 6 * 60


def test_what_would_not_be_good(result):
    assert result.is_good(60.0)
    assert not result.is_good(result.drained_s / 2)
    for worse in (
        {"stored": result.stored - 1},
        {"gaps": 1},
        {"problems": 1},
        {"in_order": False},
        {"replies": result.replies + Counter({"POST /v1/packets 503": 1})},
    ):
        assert not replace(result, **worse).is_good(60.0)


def test_the_table_says_what_came_back(result):
    table = herd.report(result, 4.5)
    assert f"| POST /v1/packets 201 | {result.packets} |" in table
    assert "| handed out by deadline | yes |" in table
