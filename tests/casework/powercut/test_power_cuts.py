"""Power cuts at every operation of the real store: nothing acknowledged is lost, nothing is there in part."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from . import tampered
from .cuts import Tally, cut_and_check, cuts
from .shifts import checker, record, remembered_packets

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the recorder reads /proc")

SHARDS = 10
PER_SHARD = 5_000
"""More than 50,000 power cuts each time the tests run; a million once (benchmarks/power_cuts.py)."""


@pytest.mark.parametrize("seed", range(SHARDS))
def test_nothing_acknowledged_is_lost_and_nothing_is_torn(ram: Path, seed: int) -> None:
    shift = record(ram / "record", seed, captures=12)
    assert len(shift.acknowledged) == 12
    with remembered_packets():
        tally = cut_and_check(
            shift.operations, checker(shift.acknowledged), ram / "image", seed=seed, per_index=10
        )
    assert tally.clean, tally.examples
    assert tally.cuts >= PER_SHARD
    assert tally.images > tally.cuts // 3


@pytest.mark.parametrize("seed", range(4))
def test_a_power_cut_while_recovering_from_a_power_cut(ram: Path, seed: int) -> None:
    """What the first cut left is opened and captured into; the power is cut again at each operation."""
    shift = record(ram / "record", seed, captures=6)
    rng = random.Random(seed)
    first = [cut for cut in cuts(shift.operations, rng, 1) if cut.style != "everything"]
    total = Tally()
    for number, cut in enumerate(rng.sample(first, 12)):
        again = record(ram / "record", 100 + number, captures=2, before=cut.image)
        known = (*shift.acknowledged, *again.acknowledged)
        check = checker(known)
        with remembered_packets():
            total.merge(
                cut_and_check(
                    again.operations,
                    lambda folder, acked, rng, check=check, cut=cut: check(
                        folder, (*cut.acknowledged, *acked), rng
                    ),
                    ram / "image",
                    seed=number,
                    per_index=2,
                    files=cut.image,
                )
            )
    assert total.clean, total.examples
    assert total.cuts > 500


@pytest.mark.parametrize(
    ("driver", "expected"),
    [
        (tampered.SynchronousOff, {"lost", "corrupt"}),
        (tampered.SynchronousNormal, {"lost"}),
        (tampered.OutboxLater, {"torn"}),
        (tampered.AcknowledgedBeforeCommit, {"lost"}),
    ],
)
def test_a_guard_taken_away_is_noticed(
    ram: Path, driver: type[sqlite3.Connection], expected: set[str]
) -> None:
    """The same cuts find harm as soon as one of the store's guards is missing."""
    shift = record(ram / "record", 4, captures=8, driver=driver)
    with remembered_packets():
        tally = cut_and_check(
            shift.operations, checker(shift.acknowledged), ram / "image", seed=1, per_index=2
        )
    assert expected & set(tally.harmed) == expected, tally.harmed
    assert max(tally.harmed.values()) > tally.cuts // 50
