"""kill -9 of the server's worker before a commit, after it, before the reply, or at any other moment."""

from __future__ import annotations

import os
import random

import pytest

from tests.reachback.conftest import fresh
from tests.reachback.faults.kills import Killing, fork_server

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")

KILLS = {"sqlite": 200, "postgresql": 100}
"""Per shard; two shards of both are 600 kills each time the tests run, beside 1,000 of tablets."""


@pytest.fixture
def killing(kind, ram, request):
    folder = ram / "killing"
    db = fresh(kind, folder / "server", request)
    url = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with fork_server() as server:
        yield Killing(db, None if kind == "sqlite" else url, folder, server, random.Random())
    db.close()


@pytest.mark.parametrize("shard", [0, 1, "few"])
def test_nothing_is_lost_or_doubled_by_killing_workers(killing, kind, shard):
    killing.random.seed(shard)
    times = 30 if shard == "few" else KILLS[kind]
    killing.kill(times, 0.03 if kind == "sqlite" else 0.06)
    killing.check()
    assert killing.kills >= times
