"""Every reader of bytes from outside, on damaged inputs: an answer or an error of the family, and soon.

Fifty thousand inputs of a fixed seed, by our own mutations. ``python benchmarks/fuzz.py`` does a million for
each, guided by coverage or not; what it finds becomes a test by name in the tests of the reader.
"""

from __future__ import annotations

import resource
import time
import zlib

import pytest

from tests.fuzz.mutation import Mutator
from tests.fuzz.targets import TARGETS, Target

TOTAL = 50_000
_SHARE = TOTAL / sum(target.weight for target in TARGETS)
LONGEST_S = 2.0


def inputs(target: Target) -> list[bytes]:
    mutator = Mutator(target.seeds(), target.tokens, zlib.crc32(target.name.encode()))
    return [mutator.next() for _ in range(int(_SHARE * target.weight))]


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_damage_ends_in_our_errors(target):
    worst = 0.0
    for data in inputs(target):
        begun = time.process_time()
        try:
            target.try_one(data)
        except Exception as error:
            pytest.fail(f"{target.name}: {type(error).__name__}: {error} from {data[:4000]!r}")
        worst = max(worst, time.process_time() - begun)
    # Processor time, not the clock: a busy machine does not count.
    assert worst < LONGEST_S


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_sound_inputs_are_taken(target):
    taken = [target.try_one(seed) for seed in target.made()]
    # What knows foreign formats names them, and takes none.
    assert any(taken) is (target.name != "foreign")


def test_memory_stays_within_bounds():
    # Of the whole process, at its most so far, with every reader and its packages.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < 2**31
