"""Power cuts over the real store of the tablet, as many as one likes: what is lost, torn or damaged.

    python benchmarks/power_cuts.py --cuts 1000000 --jobs 2

Shifts of field work are recorded operation by operation, the power is cut before each operation in many ways,
and every different folder that is left is opened by the store and looked at (docs/durability.md). With
``--guards`` each guard of the store is taken away in turn, to show that the harness would notice.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.casework.powercut import tampered
from tests.casework.powercut.cuts import Tally, cut_and_check
from tests.casework.powercut.shifts import checker, record, remembered_packets

PER_INDEX = 24
"""Cuts before each operation: each of the eight ways to survive three times over."""

_GUARDS = {
    "none taken away": None,
    "synchronous=NORMAL": tampered.SynchronousNormal,
    "synchronous=OFF": tampered.SynchronousOff,
    "outbox row in a transaction of its own": tampered.OutboxLater,
    "acknowledged before the commit": tampered.AcknowledgedBeforeCommit,
}


def _cut(seed: int, guard: str = "none taken away") -> Tally:
    """All cuts of one recorded shift."""
    rng = random.Random(seed)
    driver = {"driver": _GUARDS[guard]} if _GUARDS[guard] else {}
    started = time.process_time()
    with tempfile.TemporaryDirectory(dir=_memory(), prefix="powercut-") as folder, remembered_packets():
        shift = record(Path(folder) / "record", seed, captures=rng.randint(4, 14), **driver)
        tally = cut_and_check(
            shift.operations,
            checker(shift.acknowledged),
            Path(folder) / "image",
            seed=seed,
            per_index=PER_INDEX,
        )
    tally.seconds = time.process_time() - started
    return tally


def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _row(name: str, tally: Tally) -> str:
    counts = "".join(f"{tally.harmed[kind]:>10,}" for kind in ("lost", "torn", "corrupt", "unusable"))
    return f"{name:<40}{tally.cuts:>11,}{tally.images:>11,}{counts}{tally.seconds:>10,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cuts", type=int, default=50_000, help="stop after so many (default 50,000)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--guards", action="store_true", help="take each guard away in turn, over one shift")
    arguments = parser.parse_args()
    heads = "".join(f"{head:>10}" for head in ("lost", "torn", "corrupt", "unusable", "CPU s"))
    print(f"{'guard':<40}{'cuts':>11}{'images':>11}{heads}")
    if arguments.guards:
        for name in _GUARDS:
            # A shift whose log is not checkpointed: where NORMAL promises least.
            print(_row(name, _cut(1004, name)), flush=True)
        return
    total, shifts, told = Tally(), 0, 0
    with multiprocessing.Pool(arguments.jobs) as pool:
        # Other shifts than those of the tests; enough of them, as none has fewer than 1,000 cuts.
        for tally in pool.imap_unordered(_cut, range(1000, 1000 + arguments.cuts // 1000 + 2)):
            total.merge(tally)
            shifts += 1
            if total.cuts - told >= 50_000:
                told = total.cuts
                print(_row(f"so far, {shifts} shifts", total), flush=True)
            if total.cuts >= arguments.cuts:
                pool.terminate()
                break
    print(_row(f"none taken away, {shifts} shifts", total))
    for example in total.examples:
        print(example)


if __name__ == "__main__":
    main()
