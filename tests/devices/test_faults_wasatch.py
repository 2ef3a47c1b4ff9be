"""The 48 faults against the Wasatch driver: a typed error in time, or a correct or flagged spectrum.

Never a hang, and the next scan works. What no fault can be told from on this line is a changed count: images
come without a checksum, and every spectrum says so (``checksum_absent``). All runs in virtual time.
"""

from functools import lru_cache

import numpy as np
import pytest

from spectralid.devices.laser import arm
from spectralid.devices.plan import ScanPlan
from spectralid.devices.session import Session, scan
from spectralid.devices.sim.faults import Fault, Faults
from spectralid.devices.sim.faulty import FaultyLine
from spectralid.devices.sim.trial import TrialBench
from spectralid.devices.wasatch import open_wasatch
from spectralid.errors import ProtocolError
from tests.devices.fault_cases import CORRECT, ERROR, FLAGGED, Case, check, check_all_accounted_for
from tests.devices.wasatch_lines import PROFILE, line_to, module

FOURTH = "@spectrum-4"

CASES = (
    Case("silence", ERROR, "TransportError (timeout)"),
    Case("silence" + FOURTH, ERROR, "TransportError (timeout)"),
    Case("silence@1", CORRECT),  # a question is asked again
    Case("truncated-header" + FOURTH, ERROR, "ProtocolError"),
    Case("truncated-header@1", CORRECT),
    Case("truncated-payload", ERROR, "DamagedAnswerError"),
    Case("truncated-payload" + FOURTH, ERROR, "ProtocolError"),
    # The laser's "off" waits behind two minutes of trickling: an alarm, not a hang.
    Case("trickle" + FOURTH, ERROR, "LaserOffUnconfirmedError"),
    Case("trickle:0.0001", CORRECT),
    Case("noise-before@2", CORRECT),  # before a frame
    Case("noise-before", ERROR, "ProtocolError"),  # before an image, which nothing marks
    Case("noise-between@2", CORRECT),
    Case("noise-between" + FOURTH, ERROR, "ProtocolError"),
    Case("greeting", CORRECT),
    Case("bit-flip@1", CORRECT),  # frames have a checksum, always
    Case("bit-flip-checksum", ERROR, "DamagedAnswerError"),
    Case("wrong-checksum", ERROR, "DamagedAnswerError"),
    Case("wrong-checksum@1", CORRECT),
    Case("bad-footer", ERROR, "DamagedAnswerError"),
    Case("bad-footer@1", CORRECT),
    Case("wrong-type", ERROR, "TransportError (timeout)"),
    Case("wrong-type@1", CORRECT),
    *(Case(f"nack:{number}", ERROR, "RefusedError") for number in (1, 2, 3, 4, -1, -2, -3, -4)),
    *(Case(f"nack:{number}{FOURTH}", ERROR, "RefusedError") for number in (1, 2, 3, 4, -1, -2, -3, -4)),
    Case("duplicate@2", CORRECT),
    Case("duplicate" + FOURTH, ERROR, "ProtocolError"),
    Case("late-reply" + FOURTH, ERROR, "TransportError (timeout)"),
    Case("late-reply@5", CORRECT),
    Case("trailing-bytes@2", CORRECT),
    Case("trailing-bytes" + FOURTH, ERROR, "ProtocolError"),
    Case("echo", CORRECT),
    Case("wrong-baud", ERROR, "TransportError (timeout)"),
    Case("input-overrun", ERROR, "TransportError (timeout)"),
    Case("unplug" + FOURTH, ERROR, "LaserOffUnconfirmedError"),
    Case("unplug@1", ERROR, "TransportError (disconnected)"),
    Case("unplug-laser-on", ERROR, "LaserOffUnconfirmedError"),
    Case("re-enumerated@1", ERROR, "TransportError (disconnected)"),
    Case("second-opener" + FOURTH, ERROR, "ProtocolError"),
    Case("reset-mid-scan" + FOURTH, ERROR, "ProtocolError"),
    Case("stale-integration", CORRECT),
    Case("saturated", ERROR, "RetakeError"),
    Case("saturated" + FOURTH, ERROR, "RetakeError"),
    Case("dead-frame:zero", ERROR, "RetakeError"),
    Case("dead-frame:flat" + FOURTH, ERROR, "RetakeError"),
    Case("dead-frame:pixel", FLAGGED, "dead_pixels"),
    *(Case(f"pixel-count:{n}{FOURTH}", ERROR, "ProtocolError") for n in (-4, -1, 1, 1024)),
    *(Case(f"absurd-length:{n}", ERROR, "DamagedAnswerError") for n in (0, 19, 65535)),
    *(Case(f"blank-eeprom:{kind}", ERROR, "ProtocolError") for kind in ("ff", "nan", "descending")),
    Case("no-excitation", ERROR, "ProtocolError"),
    Case("interlock-opens", FLAGGED, "retake"),
    Case("interlock-opens@4", FLAGGED, "retake"),
    Case("laser-stuck-on", ERROR, "LaserOffUnconfirmedError"),
    Case("laser-stuck-on@2+", ERROR, "LaserOffUnconfirmedError"),
    Case("laser-readback-lies:off", ERROR, "LaserRefusedError"),
    Case("laser-readback-lies:on", ERROR, "LaserOffUnconfirmedError"),
    Case("laser-readback-lies:nack", ERROR, "RefusedError"),
    Case("watchdog", ERROR, "LaserEndedError"),
    Case("watchdog@4", ERROR, "LaserEndedError"),
    Case("tec-unstable", CORRECT),  # more dark current, and it is measured
    Case("dropped-byte@1", CORRECT),
    Case("dropped-byte" + FOURTH, ERROR, "ProtocolError"),
    Case("byte-order", ERROR, "ProtocolError"),
    Case("byte-order" + FOURTH, ERROR, "ProtocolError"),
)

ELSEWHERE = {
    "bit-flip": "test_changed_count_is_one_nothing_vouches_for",
    "markers-inside": "test_marks_inside_an_image_are_counts",
    "swapped-serial": "test_another_unit_on_the_line_is_noticed",
    "back-pressure": "test_transport.py::test_full_line_ends_at_the_deadline",  # the same for every protocol
}
"""Faults whose outcome a scan alone does not show, and the test that does."""

NOT_APPLICABLE = {
    "wrong-regarding": "the protocol numbers nothing",
    "exception": "the protocol has no such flag; failures inside the instrument are among the refusals",
    "deferred": "the protocol defers nothing",
    "baud-ack-lost": "the rate is fixed",
    "nak-baud": "the rate is fixed",
    "etx": "the protocol has no ETX",
    "ascii-mode": "the protocol has no ASCII mode",
}
"""Faults the protocol cannot have, and why."""

# What a driver may take longer than a sound scan: a few deadlines of a message, and three attempts at "off".
LONGEST_EXTRA_S = 10.0


@lru_cache
def bench():
    return TrialBench(PROFILE)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_fault(case, record_property):
    seen = bench().trial(*case.switches)
    check(seen, case, within_s=2 * bench().sound_s + LONGEST_EXTRA_S, note=record_property)


def test_every_fault_is_accounted_for():
    check_all_accounted_for((case.fault for case in CASES), ELSEWHERE, NOT_APPLICABLE)


def test_every_spectrum_says_that_no_checksum_proved_it():
    assert {"checksum_absent", "interlock_unknown"} <= bench().sound.acquisition.flags


def with_faults(*texts):
    faults = Faults(map(Fault.parse, texts))
    return line_to(FaultyLine(module(faults), faults))


def acquired(*texts):
    driver = open_wasatch(with_faults(*texts), PROFILE)
    driver.set_integration(100.0)
    return driver.acquire()


def test_changed_count_is_one_nothing_vouches_for():
    frame, plain = acquired("bit-flip@spectrum"), acquired()
    assert np.count_nonzero(frame.counts != plain.counts) == 1
    assert not frame.verified


def test_marks_inside_an_image_are_counts():
    counts, plain = acquired("markers-inside").counts, acquired().counts
    np.testing.assert_array_equal(counts[:4], [0x003C, 0x0A05, 0x3C3E, 0x3E3E])
    np.testing.assert_array_equal(counts[4:], plain[4:])


def test_another_unit_on_the_line_is_noticed():
    session = Session(lambda: open_wasatch(with_faults("swapped-serial@2+"), PROFILE), wait=lambda _: None)
    plan = ScanPlan(integration_ms=50.0, averages=1, warning_s=0)
    with session:
        spectrum = session.scan(plan, token=arm("Kim"), acknowledge_unknown_interlock=True)
        assert spectrum.acquisition.serial == "WP-00042"
        with pytest.raises(ProtocolError, match="is SWAPPED-2 and was WP-00042"):
            session.scan(plan, token=arm("Kim"), acknowledge_unknown_interlock=True)


def test_plan_that_throws_away_as_many_frames_as_are_stale():
    # Images do not say which integration time they were taken with; how many to throw away is for the plan.
    plan = ScanPlan(integration_ms=300.0, averages=2, warning_s=0, discard=8)
    spectra = [
        scan(
            open_wasatch(with_faults(*faults), PROFILE),
            plan,
            token=arm("Kim"),
            acknowledge_unknown_interlock=True,
        )
        for faults in ((), ("stale-integration:8@1",))
    ]
    largest = spectra[0].intensity.max()
    np.testing.assert_allclose(spectra[1].intensity, spectra[0].intensity, atol=0.02 * largest)
