"""The 48 faults against the driver of TCD1304 boards: a typed error in time, or a good or flagged spectrum.

Never a hang, and the next scan works. Readouts come without a mark, a length or a checksum, and every
spectrum says so (``checksum_absent``). All runs in virtual time.
"""

from functools import lru_cache

import numpy as np
import pytest

from spectralid.devices.profile import load_profile
from spectralid.devices.sim.faults import Fault, Faults
from spectralid.devices.sim.faulty import FaultyLine
from spectralid.devices.sim.models import BENCHES
from spectralid.devices.sim.physics import Detector
from spectralid.devices.sim.tcd1304 import Tcd1304Instrument
from spectralid.devices.sim.trial import TrialBench
from spectralid.devices.sim.virtual import VirtualLine
from spectralid.devices.tcd1304 import open_tcd1304
from spectralid.errors import ProtocolError
from tests.devices.fault_cases import CORRECT, ERROR, FLAGGED, Case, check, check_all_accounted_for
from tests.devices.wasatch_lines import BANDS

PROFILE = load_profile("tcd1304-er")

# Two readouts when it is opened, two thrown away behind a new exposure: this is one of the sample.
SIXTH = "@spectrum-6"

CASES = (
    Case("silence", ERROR, "TransportError (timeout)"),
    Case("silence" + SIXTH, ERROR, "TransportError (timeout)"),
    Case("truncated-header" + SIXTH, ERROR, "ProtocolError"),
    Case("truncated-payload" + SIXTH, ERROR, "ProtocolError"),
    Case("trickle" + SIXTH, ERROR, "ProtocolError"),
    Case("trickle:0.00001", CORRECT),
    Case("noise-before" + SIXTH, ERROR, "ProtocolError"),
    Case("noise-between" + SIXTH, ERROR, "ProtocolError"),
    Case("greeting", CORRECT),
    Case("greeting" + SIXTH, ERROR, "ProtocolError"),
    Case("duplicate" + SIXTH, ERROR, "ProtocolError"),
    Case("late-reply" + SIXTH, ERROR, "TransportError (timeout)"),
    Case("trailing-bytes" + SIXTH, ERROR, "ProtocolError"),
    Case("echo", ERROR, "ProtocolError"),
    Case("wrong-baud", ERROR, "TransportError (timeout)"),
    Case("input-overrun", ERROR, "TransportError (timeout)"),
    *(Case(f"input-overrun:{n}@6", ERROR, "TransportError (timeout)") for n in (2, 7, 11)),
    Case("unplug@1", ERROR, "TransportError (disconnected)"),
    Case("unplug" + SIXTH, ERROR, "ProtocolError"),
    Case("re-enumerated" + SIXTH, ERROR, "ProtocolError"),
    Case("second-opener" + SIXTH, ERROR, "ProtocolError"),
    Case("reset-mid-scan" + SIXTH, ERROR, "TransportError (timeout)"),
    Case("stale-integration", CORRECT),
    Case("saturated", ERROR, "RetakeError"),
    Case("saturated" + SIXTH, ERROR, "RetakeError"),
    Case("dead-frame:zero", ERROR, "ProtocolError"),  # darker than the dark
    Case("dead-frame:flat", ERROR, "RetakeError"),
    Case("dead-frame:pixel", FLAGGED, "dead_pixels"),
    *(Case(f"pixel-count:{n}{SIXTH}", ERROR, "ProtocolError") for n in (-4, -1, 1, 3694)),
    Case("tec-unstable", CORRECT),
    Case("dropped-byte" + SIXTH, ERROR, "ProtocolError"),
    Case("byte-order" + SIXTH, ERROR, "ProtocolError"),
)

ELSEWHERE = {
    "bit-flip": "test_changed_count_is_one_nothing_vouches_for",
    # There is no checksum to switch on.
    "bit-flip-checksum": "test_changed_count_is_one_nothing_vouches_for",
    "back-pressure": "test_transport.py::test_full_line_ends_at_the_deadline",  # the same for every protocol
}
"""Faults whose outcome a scan alone does not show, and the test that does."""

_NO_ANSWERS = "the board answers with counts and nothing else"
_NO_LASER = "the board has no laser; the one beside it is switched by hand"
_NOTHING_STORED = "the board stores nothing about itself"
NOT_APPLICABLE = {
    "wrong-checksum": "there is no checksum",
    "bad-footer": "there is no end mark",
    "wrong-type": _NO_ANSWERS,
    "wrong-regarding": _NO_ANSWERS,
    "nack": _NO_ANSWERS,
    "exception": _NO_ANSWERS,
    "deferred": _NO_ANSWERS,
    "markers-inside": "there are no marks",
    "absurd-length": "there is no length",
    "baud-ack-lost": "the rate is fixed",
    "nak-baud": "the rate is fixed",
    "unplug-laser-on": _NO_LASER,
    "interlock-opens": _NO_LASER,
    "laser-stuck-on": _NO_LASER,
    "laser-readback-lies": _NO_LASER,
    "watchdog": _NO_LASER,
    "blank-eeprom": _NOTHING_STORED,
    "no-excitation": _NOTHING_STORED,
    "swapped-serial": _NOTHING_STORED,
    "etx": "the protocol has no ETX",
    "ascii-mode": "the protocol has no ASCII mode",
}
"""Faults the protocol cannot have, and why."""

LONGEST_EXTRA_S = 10.0


@lru_cache
def bench():
    return TrialBench(PROFILE)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_fault(case, record_property):
    seen = bench().trial(*case.switches)
    within_s = 2 * bench().sound_s + LONGEST_EXTRA_S
    check(seen, case, within_s=within_s, laser_by_hand=True, note=record_property)


def test_every_fault_is_accounted_for():
    check_all_accounted_for((case.fault for case in CASES), ELSEWHERE, NOT_APPLICABLE)


def test_every_spectrum_says_that_no_checksum_proved_it():
    assert "checksum_absent" in bench().sound.acquisition.flags


def opened(*texts):
    faults = Faults(map(Fault.parse, texts), seed=2)
    board = Tcd1304Instrument(Detector(BENCHES["tcd1304-er"], BANDS, seed=6), faults=faults)
    return open_tcd1304(VirtualLine(FaultyLine(board, faults), baud=115_200), PROFILE)


def test_changed_count_is_one_nothing_vouches_for():
    driver, sound = opened("bit-flip@spectrum-3+"), opened()
    changed = refused = 0
    for _ in range(24):
        plain = sound.acquire()
        try:
            frame = driver.acquire()
        except ProtocolError:
            refused += 1  # above what 12 bits hold
            continue
        assert not frame.verified
        changed += np.count_nonzero(frame.counts != plain.counts)
        assert np.count_nonzero(frame.counts != plain.counts) <= 1
    # Four bits of sixteen are always 0; after a refusal a readout is thrown away, and the two boards differ.
    assert refused > 0
    assert changed > 0
