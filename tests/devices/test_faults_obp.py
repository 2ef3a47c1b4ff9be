"""The 48 faults against the Ocean Binary Protocol driver: a typed error in time, or a correct spectrum.

Never a hang, never a wrong spectrum that nothing warns of, and the next scan works. Faults of the bytes run
in virtual time; those of the line itself on real ptys, in ``test_faults_obp_pty.py``.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.devices.driver import RawFrame
from spectralid.devices.frames import Frames, light_is_steady
from spectralid.devices.ocean import open_ocean
from spectralid.devices.profile import load_profile
from spectralid.devices.sim import physics
from spectralid.devices.sim.faults import FAULTS, Fault, Faults
from spectralid.devices.sim.obp import ObpInstrument
from spectralid.devices.sim.trial import Outcome, TrialBench
from spectralid.devices.sim.virtual import VirtualLine
from tests.devices import fault_cases
from tests.devices.fault_cases import CORRECT, ERROR, FLAGGED, check, check_all_accounted_for

VENTANA = load_profile("ocean-ventana-785l")
FAST = replace(VENTANA, options={"fast_baud": 115_200, "settle_s": 0.1})
# For Raman the QE Pro needs a laser beside it, switched by hand.
QE_PRO = replace(
    load_profile("ocean-qe-pro"),
    laser_nm=532.0,
    options={"buffered": True, "cooled": True, "light_source": False},
)

PROFILES = {"VENTANA": VENTANA, "FAST": FAST, "QE_PRO": QE_PRO}


@dataclass(frozen=True)
class Case(fault_cases.Case):
    """A fault against one of the profiles above."""

    profile: str = "VENTANA"


FOURTH = "@spectrum-4"

CASES = (
    Case("silence", ERROR, "TransportError (timeout)"),
    Case("silence" + FOURTH, ERROR, "TransportError (timeout)"),
    Case("truncated-header" + FOURTH, ERROR, "DamagedAnswerError"),
    Case("truncated-header@3", CORRECT),  # a question is asked again
    Case("truncated-payload" + FOURTH, ERROR, "DamagedAnswerError"),
    # The laser's "off" waits behind two minutes of trickling: an alarm, not a hang.
    Case("trickle" + FOURTH, ERROR, "LaserOffUnconfirmedError"),
    Case("trickle:0.0005", CORRECT),
    Case("noise-before", CORRECT),
    Case("noise-between", CORRECT),
    Case("greeting", CORRECT),
    Case("nack:8@1,bit-flip" + FOURTH, FLAGGED, "checksum_absent"),
    Case("bit-flip-checksum" + FOURTH, ERROR, "DamagedAnswerError"),
    Case("wrong-checksum" + FOURTH, ERROR, "DamagedAnswerError"),
    Case("bad-footer" + FOURTH, ERROR, "DamagedAnswerError"),
    Case("wrong-type" + FOURTH, ERROR, "ProtocolError"),
    Case("wrong-regarding" + FOURTH, ERROR, "TransportError (timeout)"),
    *(Case(f"nack:{number}{FOURTH}", ERROR, "RefusedError") for number in (*range(1, 16), *range(100, 105))),
    Case("exception" + FOURTH, ERROR, "RefusedError"),
    Case("deferred", CORRECT),
    Case("deferred:nothing" + FOURTH, ERROR, "TransportError (timeout)"),
    Case("duplicate", CORRECT),
    Case("late-reply" + FOURTH, ERROR, "TransportError (timeout)"),
    Case("late-reply@5", CORRECT),
    Case("trailing-bytes", CORRECT),
    Case("echo", ERROR, "ProtocolError"),
    Case("wrong-baud", ERROR, "TransportError (timeout)"),
    Case("wrong-baud:115200", CORRECT, profile="FAST"),
    Case("baud-ack-lost:first", CORRECT, profile="FAST"),
    Case("baud-ack-lost:second", CORRECT, profile="FAST"),
    Case("baud-ack-lost:revert", CORRECT, profile="FAST"),
    Case("input-overrun", ERROR, "TransportError (timeout)"),
    Case("unplug" + FOURTH, ERROR, "LaserOffUnconfirmedError"),
    Case("unplug@1", ERROR, "TransportError (disconnected)"),
    # Before the laser is known to be off, a lost line is an alarm.
    Case("unplug@3", ERROR, "LaserOffUnconfirmedError"),
    Case("unplug-laser-on", ERROR, "LaserOffUnconfirmedError"),
    Case("second-opener" + FOURTH, ERROR, "DamagedAnswerError"),
    Case("reset-mid-scan" + FOURTH, ERROR, "RefusedError"),
    Case("stale-integration:8", CORRECT),
    Case("stale-integration:3!", FLAGGED, "stale_integration_discarded", profile="QE_PRO"),
    Case("stale-integration:99!", ERROR, "ProtocolError", profile="QE_PRO"),
    Case("saturated", ERROR, "RetakeError"),
    Case("saturated" + FOURTH, ERROR, "RetakeError"),
    Case("dead-frame:zero", ERROR, "RetakeError"),
    Case("dead-frame:flat" + FOURTH, ERROR, "RetakeError"),
    Case("dead-frame:pixel", FLAGGED, "dead_pixels"),
    Case("pixel-count", ERROR, "ProtocolError"),
    Case("pixel-count:1" + FOURTH, ERROR, "ProtocolError"),
    *(Case(f"absurd-length:{n}{FOURTH}", ERROR, "DamagedAnswerError") for n in (0, 19, 2**32 - 1)),
    *(Case(f"blank-eeprom:{kind}", ERROR, "ProtocolError") for kind in ("ff", "nan", "descending")),
    Case("interlock-opens", FLAGGED, "retake"),
    Case("interlock-opens@4+", FLAGGED, "retake"),
    Case("interlock-opens@4", FLAGGED, "retake"),
    Case("laser-stuck-on", ERROR, "LaserOffUnconfirmedError"),
    Case("laser-stuck-on@2+", ERROR, "LaserOffUnconfirmedError"),
    Case("laser-readback-lies:off", ERROR, "LaserRefusedError"),
    Case("laser-readback-lies:on", ERROR, "LaserOffUnconfirmedError"),
    Case("laser-readback-lies:nack", ERROR, "RefusedError"),
    Case("watchdog", ERROR, "LaserEndedError"),
    Case("watchdog@4", ERROR, "LaserEndedError"),
    Case("tec-unstable", ERROR, "DetectorNotCooledError", profile="QE_PRO"),
    Case("dropped-byte" + FOURTH, ERROR, "DamagedAnswerError"),
    Case("nak-baud", CORRECT, profile="FAST"),
)

ELSEWHERE = {
    "markers-inside": "test_marks_inside_the_data_are_data",
    "swapped-serial": "test_another_unit_on_the_line_is_noticed",
    "re-enumerated": "test_faults_obp_pty.py::test_comes_back_under_another_name",
    "back-pressure": "test_faults_obp_pty.py::test_line_that_takes_nothing_ends_at_its_deadline",
}
"""Faults whose outcome a scan alone does not show, and the test that does."""

NOT_APPLICABLE = {
    "no-excitation": "the protocol has no excitation wavelength; the profile gives it",
    "etx": "the protocol has no ETX; error 11 (out of memory) is among the refusals",
    "ascii-mode": "the protocol has no ASCII mode",
    "byte-order": "the protocol fixes the byte order; the fault belongs to the Wasatch image",
}
"""Faults the protocol cannot have, and why."""

# What a driver may take longer than a sound scan: a few deadlines of a message, and three attempts at "off".
LONGEST_EXTRA_S = 45.0


@lru_cache
def bench(name):
    """The bench of one of the profiles above, by its name there."""
    model = "qe-pro" if name == "QE_PRO" else "ventana-785l"
    return TrialBench(PROFILES[name], model=model, extra={"model": model})


@pytest.mark.parametrize("case", CASES, ids=str)
def test_fault(case, record_property):
    tried = bench(case.profile)
    seen = tried.trial(*case.switches)
    check(
        seen,
        case,
        within_s=(2 if case.outcome is CORRECT else 1) * tried.sound_s + LONGEST_EXTRA_S,
        laser_by_hand=case.profile == "QE_PRO",
        note=record_property,
    )


ANYWHERE = sorted(set(FAULTS) - set(NOT_APPLICABLE) - {"markers-inside", "back-pressure"})


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from(ANYWHERE), min_size=1, max_size=2, unique=True),
    st.integers(1, 60),
    st.sampled_from(["@{}", "@{}+", "@spectrum-{}", ""]),
    st.sampled_from(["VENTANA", "FAST"]),
)
def test_any_fault_at_any_time(names, when, how, profile):
    seen = bench(profile).trial(*(name + how.format(when) for name in names))
    assert seen.outcome not in (Outcome.WRONG, Outcome.CRASH), seen.words
    assert seen.next_works
    assert not seen.laser_left_on or seen.error == "LaserOffUnconfirmedError"


def test_every_fault_is_accounted_for():
    check_all_accounted_for((case.fault for case in CASES), ELSEWHERE, NOT_APPLICABLE)
    assert len(FAULTS) == 48
    by_fault = defaultdict(set)
    for c in CASES:
        by_fault[c.fault].update(c.switches)
    assert len(by_fault["nack"]) == 20


def frames(*levels):
    """Frames of 200 pixels around `levels`, with a little noise."""
    rng = np.random.Generator(np.random.PCG64(4))
    counts = [rng.normal(level, 3.0, 200).round().astype(np.int64) for level in levels]
    return Frames.of([RawFrame(c, verified=True) for c in counts])


@pytest.mark.parametrize(
    ("levels", "steady"),
    [
        ((500, 500, 500, 500), True),
        ((900, 780, 680, 600), True),  # bleaching
        ((500, 500, 100, 100), False),  # an interlock that opened
        ((500, 100, 500, 500), False),
        ((500, 500, 500, 280), False),
        ((100, 100, 100, 100), False),  # no light at all
        ((103, 103, 103, 103), True),  # little light
    ],
)
def test_light_that_jumps_is_told_from_light_that_fades(levels, steady):
    assert light_is_steady(frames(*levels), frames(100, 100, 100, 100)) is steady


def driver_with(*faults):
    detector = physics.Detector(physics.Bench(), (), seed=0)
    instrument = ObpInstrument(detector, "SIM-1", faults=Faults(map(Fault.parse, faults)))
    return open_ocean(VirtualLine(instrument), VENTANA), detector


def test_marks_inside_the_data_are_data():
    counts = driver_with("markers-inside")[0].acquire().counts
    plain = driver_with()[0].acquire().counts
    np.testing.assert_array_equal(counts[512:516], [0xC0C1, 0xC4C5, 0xC2C3, 0xC0C1])
    np.testing.assert_array_equal(np.delete(counts, range(512, 516)), np.delete(plain, range(512, 516)))


def test_another_unit_on_the_line_is_noticed():
    driver, _ = driver_with("swapped-serial@2+")
    assert driver.identify().serial == "SIM-1"
    assert driver.identify().serial == "SWAPPED-2"
