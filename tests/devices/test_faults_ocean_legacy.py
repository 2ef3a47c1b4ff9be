"""The 48 faults against the driver of the older Ocean protocol: a typed error in time, or a correct spectrum.

Never a hang, never a wrong spectrum that nothing warns of, and the next scan works. `CASES` are whole scans
with a laser on the strobe line; `FRAMES` are single frames compared count by count with what the instrument
sent, for a Flame, for one that sends compressed, and for a SAD500. All in time that only counts.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pytest

from spectralid.devices.laser import arm
from spectralid.devices.plan import ScanPlan
from spectralid.devices.profile import load_profile
from spectralid.devices.session import Session, scan
from spectralid.devices.sim.faults import FAULTS, Fault
from spectralid.devices.sim.models import BENCHES
from spectralid.devices.sim.trial import TrialBench
from spectralid.errors import DeviceError, TransportError
from tests.devices import fault_cases
from tests.devices.fault_cases import CORRECT, ERROR, FLAGGED, check, check_all_accounted_for
from tests.devices.legacy_lines import FLAME, SAD500, Rig, with_options

FAST = with_options(FLAME, fast_baud=115200)
PROFILES = {
    "flame": FLAME,
    "flame compressed": with_options(FLAME, compression=True),
    "flame fast": FAST,
    "sad500": SAD500,
}
LASER = replace(
    with_options(FLAME, laser_on_strobe_line=True),
    laser_nm=785.0,
    maximum_on_s=120.0,
    safety="The interlock …",
)

# Scans run with the bundled profiles, a laser on the strobe line and the pixels of a smaller bench.
SCANNED = {"laser_nm": 785.0, "maximum_on_s": 120.0, "safety": "The interlock …", "pixels": 1024}
SCAN_FLAME = with_options(replace(load_profile("ocean-flame-s"), **SCANNED), laser_on_strobe_line=True)
SCAN_SAD500 = with_options(
    replace(
        load_profile("ocean-sad500"),
        adc_max=65535,
        wavelength_nm=BENCHES["ventana-785l"].reported,
        **SCANNED,
    ),
    laser_on_strobe_line=True,
)
SCAN_PROFILES = {
    "FLAME": SCAN_FLAME,
    "PRESSED": with_options(SCAN_FLAME, compression=True),
    "SAD500": SCAN_SAD500,
}
PLAN = ScanPlan(integration_ms=120.0, averages=4, warning_s=0)
SECOND = "@spectrum-2"
FRAMES = 4

OPEN, OK = "open", "ok"
TIMEOUT, DISCONNECTED = "TransportError (timeout)", "TransportError (disconnected)"
DAMAGED, REFUSED, PROTOCOL = "DamagedAnswerError", "RefusedError", "ProtocolError"


@dataclass(frozen=True)
class FrameCase:
    """A fault as it is switched on, and what comes of each frame.

    An outcome is that of each frame; or ``open: …`` where the instrument does not even open.
    """

    switch: str
    expected: str
    profiles: tuple[str, ...] = ("flame", "flame compressed", "sad500")

    def __str__(self):
        return self.switch


def frames(switch, expected, *profiles):
    return FrameCase(switch, expected, profiles) if profiles else FrameCase(switch, expected)


def one(error):
    """Only the second frame fails."""
    return f"ok {error} ok ok"


def all_of(error):
    return " ".join([error] * FRAMES)


FLAMES = ("flame", "flame compressed")
FINE = all_of(OK)


@dataclass(frozen=True)
class Case(fault_cases.Case):
    """A fault in a scan with one of the profiles for scans."""

    profile: str = "FLAME"


UNCONFIRMED = "LaserOffUnconfirmedError"
FOURTH = "@spectrum-4"

CASES = (
    Case("silence", ERROR, TIMEOUT),
    Case("silence" + FOURTH, ERROR, TIMEOUT),
    Case("truncated-header" + FOURTH, ERROR, DAMAGED),
    Case("truncated-header@3", CORRECT),
    Case("truncated-payload" + FOURTH, ERROR, DAMAGED),
    Case("truncated-payload" + FOURTH, CORRECT, profile="SAD500"),
    # The laser's "off" waits behind minutes of trickling: an alarm, not a hang.
    Case("trickle" + FOURTH, ERROR, UNCONFIRMED),
    Case("trickle:0.0005", CORRECT),
    Case("noise-before" + FOURTH, CORRECT),
    Case("noise-between", CORRECT),
    Case("noise-between" + FOURTH, ERROR, DAMAGED, profile="PRESSED"),
    Case("greeting", CORRECT),
    *(Case("bit-flip-checksum" + FOURTH, ERROR, DAMAGED, profile=p) for p in ("FLAME", "PRESSED")),
    Case("bit-flip-checksum" + FOURTH, CORRECT, profile="SAD500"),
    Case("wrong-checksum" + FOURTH, ERROR, DAMAGED),
    Case("bad-footer" + FOURTH, ERROR, DAMAGED),
    Case("nack" + FOURTH, ERROR, REFUSED),
    Case("duplicate", CORRECT),
    Case("late-reply" + FOURTH, ERROR, TIMEOUT),
    Case("trailing-bytes", CORRECT),
    Case("echo", CORRECT),
    Case("wrong-baud", CORRECT),
    *(Case(f"baud-ack-lost:{which}", CORRECT) for which in ("first", "second", "revert")),
    Case("input-overrun", ERROR, TIMEOUT),
    Case("input-overrun", CORRECT, profile="SAD500"),
    Case("unplug@3", ERROR, DISCONNECTED),
    Case("unplug" + FOURTH, ERROR, UNCONFIRMED),
    Case("unplug-laser-on", ERROR, UNCONFIRMED),
    Case("re-enumerated" + FOURTH, ERROR, UNCONFIRMED),
    Case("second-opener" + FOURTH, ERROR, DAMAGED),
    *(Case("reset-mid-scan" + FOURTH, ERROR, TIMEOUT, profile=p) for p in ("FLAME", "SAD500")),
    Case("stale-integration:3", FLAGGED, "stale_integration_discarded"),
    Case("stale-integration:99", ERROR, PROTOCOL),
    Case("saturated", ERROR, "RetakeError"),
    Case("dead-frame:zero", ERROR, "RetakeError"),
    Case("dead-frame:flat" + FOURTH, ERROR, "RetakeError"),
    Case("dead-frame:pixel", FLAGGED, "dead_pixels"),
    Case("pixel-count" + FOURTH, ERROR, DAMAGED),
    Case("pixel-count:1" + FOURTH, ERROR, DAMAGED),
    *(Case(f"blank-eeprom:{kind}", ERROR, PROTOCOL) for kind in ("ff", "nan", "descending")),
    # The line reads back as on; that the light is missing shows in the frames alone.
    Case("interlock-opens", FLAGGED, "retake"),
    Case("laser-stuck-on", ERROR, UNCONFIRMED),
    Case("laser-readback-lies:off", ERROR, "LaserRefusedError"),
    Case("laser-readback-lies:on", ERROR, UNCONFIRMED),
    Case("laser-readback-lies:nack", ERROR, UNCONFIRMED),
    Case("watchdog@4", ERROR, "LaserEndedError"),
    Case("etx" + FOURTH, ERROR, REFUSED),
    Case("ascii-mode", CORRECT),
    *(Case("dropped-byte" + FOURTH, ERROR, DAMAGED, profile=p) for p in ("FLAME", "PRESSED")),
    Case("dropped-byte" + FOURTH, CORRECT, profile="SAD500"),
    Case("nak-baud", CORRECT),
)

FRAME_CASES = (
    frames("silence", f"open: {TIMEOUT}"),
    frames("silence" + SECOND, one(TIMEOUT)),
    frames("truncated-header" + SECOND, one(DAMAGED), *FLAMES),
    frames("truncated-header" + SECOND, FINE, "sad500"),  # which sends it again
    frames("truncated-header@3", FINE),  # a question is asked again
    frames("truncated-payload" + SECOND, one(DAMAGED), *FLAMES),
    frames("truncated-payload" + SECOND, FINE, "sad500"),
    frames("trickle:0.0005", FINE),
    frames("noise-before" + SECOND, FINE),
    frames("noise-between" + SECOND, FINE, "flame", "sad500"),
    # What follows a compressed record may belong to it.
    frames("noise-between" + SECOND, one(DAMAGED), "flame compressed"),
    frames("greeting", FINE),
    frames("bit-flip-checksum" + SECOND, one(DAMAGED), *FLAMES),
    frames("bit-flip-checksum" + SECOND, FINE, "sad500"),
    frames("wrong-checksum" + SECOND, one(DAMAGED)),
    frames("wrong-checksum", all_of(DAMAGED)),
    frames("bad-footer" + SECOND, one(DAMAGED)),
    frames("nack" + SECOND, one(REFUSED)),
    frames("nack@5", f"open: {REFUSED}"),
    frames("nack", f"open: {TIMEOUT}"),
    frames("duplicate", FINE, "flame", "sad500"),
    frames("duplicate" + SECOND, one(DAMAGED), "flame compressed"),
    frames("late-reply" + SECOND, one(TIMEOUT)),
    frames("trailing-bytes", FINE, "flame", "sad500"),
    frames("trailing-bytes" + SECOND, one(DAMAGED), "flame compressed"),
    frames("markers-inside", FINE),
    frames("echo", FINE),
    frames("wrong-baud:38400", FINE),
    frames("wrong-baud:115200", FINE),
    *(frames(f"baud-ack-lost:{which}", FINE, "flame fast") for which in ("first", "second", "revert")),
    frames("nak-baud", FINE, "flame fast"),
    frames("input-overrun", f"open: {TIMEOUT}", *FLAMES),
    frames("input-overrun", FINE, "sad500"),  # its bytes are sent one by one
    frames("unplug@3", f"open: {DISCONNECTED}"),
    frames("unplug" + SECOND, f"ok {DISCONNECTED} {DISCONNECTED} {DISCONNECTED}"),
    frames("re-enumerated" + SECOND, f"ok {DISCONNECTED} {DISCONNECTED} {DISCONNECTED}"),
    frames("second-opener" + SECOND, one(DAMAGED), *FLAMES),
    frames("second-opener" + SECOND, FINE, "sad500"),
    frames("reset-mid-scan" + SECOND, one(TIMEOUT), "flame", "flame compressed", "flame fast", "sad500"),
    frames("stale-integration:2", FINE),
    frames("saturated" + SECOND, FINE),
    *(frames(f"dead-frame:{kind}{SECOND}", FINE) for kind in ("zero", "flat", "pixel")),
    frames("pixel-count" + SECOND, one(DAMAGED)),
    frames("pixel-count:1" + SECOND, one(DAMAGED)),
    *(frames(f"blank-eeprom:{kind}", f"open: {PROTOCOL}", *FLAMES) for kind in ("ff", "nan", "descending")),
    frames("etx", all_of(REFUSED)),
    frames("etx" + SECOND, one(REFUSED)),
    frames("ascii-mode", FINE),
    frames("dropped-byte" + SECOND, one(DAMAGED), *FLAMES),
    frames("dropped-byte" + SECOND, FINE, "sad500"),
)

ELSEWHERE = {
    "bit-flip": "test_flipped_bit_without_checksum_is_flagged",
    "swapped-serial": "test_another_unit_on_the_line_is_noticed",
    "back-pressure": "test_transport.py::test_full_line_ends_at_the_deadline",  # the same for every protocol
}
"""Faults whose outcome a scan alone does not show, and the test that does."""

NOT_APPLICABLE = {
    "wrong-type": "an answer names no message",
    "wrong-regarding": "there is no transaction number; late answers are told by asking for the version",
    "exception": "there is no hardware-fault flag",
    "deferred": "there is no deferred answer",
    "absurd-length": "no answer says how long it is",
    "no-excitation": "no excitation wavelength is stored; the profile gives it",
    "tec-unstable": "these instruments have no cooler",
    "byte-order": "the manuals fix the byte order, and the checksum would not fit",
}
"""Faults the protocol cannot have, and why."""

# Three times the version, and the record once more.
LONGEST_S = 12.0


def named(error):
    name = type(error).__name__
    return f"{name} ({error.kind})" if isinstance(error, TransportError) else name


def far_baud(switch):
    found = re.fullmatch(r"wrong-baud:(\d+)", switch)
    return int(found[1]) if found else 9600


def timed(rig, call):
    begun = rig.line.now_s
    try:
        return call()
    finally:
        assert rig.line.now_s - begun < LONGEST_S


def frame_outcome(rig, driver):
    """What came of one frame; a wrong one is never among it."""
    try:
        frame = timed(rig, driver.acquire)
    except DeviceError as error:
        return named(error) if str(error).endswith(".") else f"no sentence: {error}"
    np.testing.assert_array_equal(frame.counts, rig.truth)
    assert frame.verified
    return OK


def outcome(rig):
    try:
        driver = timed(rig, rig.open)
        driver.identify()
        driver.set_integration(40.0)
    except DeviceError as error:
        return None, f"open: {named(error)}"
    return driver, " ".join(frame_outcome(rig, driver) for _ in range(FRAMES))


@pytest.mark.parametrize(
    ("case", "profile"),
    [pytest.param(c, p, id=f"{c}-{p}") for c in FRAME_CASES for p in c.profiles],
)
def test_frames(case, profile, record_property):
    rig = Rig(PROFILES[profile], case.switch, far_baud=far_baud(case.switch))
    driver, seen = outcome(rig)
    record_property("observed", seen)
    assert seen == case.expected
    rig.faults.heal()
    rig.detector.restart()
    if driver is None or DISCONNECTED in seen:
        # Opened again, on another port if need be.
        rig = Rig(PROFILES[profile])
        driver = rig.open()
    driver.set_integration(55.0)
    assert frame_outcome(rig, driver) == OK


@lru_cache
def bench(name):
    """The bench of one of the profiles for scans, by its name."""
    extra = {"dialect": "sad500"} if name == "SAD500" else {}
    return TrialBench(SCAN_PROFILES[name], model="ventana-785l", extra=extra)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c}-{c.profile}")
def test_fault(case, record_property):
    tried = bench(case.profile)
    # The slow ones stay at 9600 baud, where a frame takes two seconds.
    seen = tried.trial(*case.switches)
    check(seen, case, within_s=tried.sound_s + 55.0, note=record_property)


def test_every_fault_is_accounted_for():
    covered = {case.fault for case in CASES} | {Fault.parse(case.switch).name for case in FRAME_CASES}
    check_all_accounted_for(covered, ELSEWHERE, NOT_APPLICABLE)


@pytest.mark.parametrize("name", sorted(FAULTS))
@pytest.mark.parametrize("profile", PROFILES)
def test_no_fault_gives_a_wrong_frame(name, profile):
    """Also those the protocol cannot have, and where they strike every answer: nothing wrong or long."""
    for switch in (name, name + SECOND):
        rig = Rig(PROFILES[profile], switch, far_baud=19200 if name == "wrong-baud" else 9600)
        outcome(rig)


def test_record_that_trickles_is_given_up_in_time():
    rig = Rig(FLAME, "trickle" + SECOND)
    driver = rig.open()
    driver.set_integration(40.0)
    assert frame_outcome(rig, driver) == OK
    assert frame_outcome(rig, driver) == DAMAGED
    # What still trickles in is never taken for the next frame.
    seen = [frame_outcome(rig, driver) for _ in range(6)]
    assert seen[-1] == OK
    assert set(seen) <= {OK, DAMAGED, TIMEOUT}


@pytest.mark.parametrize("profile", ["flame", "sad500"])
def test_flipped_bit_without_checksum_is_flagged(profile):
    rig = Rig(PROFILES[profile], "bit-flip" + SECOND)
    driver = rig.open()
    rig.instrument._settings["k"] = 0
    driver._layout = replace(driver._layout, checksum=False)
    assert not driver.acquire().verified
    frame = driver.acquire()
    assert not frame.verified
    assert (frame.counts != rig.truth).sum() == 1


def test_another_unit_on_the_line_is_noticed():
    driver = Rig(FLAME, "swapped-serial@3+").open()
    assert driver.identify().serial == "FLMS00123"
    assert driver.identify().serial == "FLMS001-B"


def test_stale_integration_time_is_told_by_the_frame():
    rig = Rig(FLAME, "stale-integration:2@2")
    driver = rig.open()
    for milliseconds in (30.0, 60.0):
        driver.set_integration(milliseconds)
        told = [driver.acquire().integration_ms for _ in range(3)]
    assert told == [30.0, 30.0, 60.0]


@pytest.mark.parametrize(("fault", "level"), [("saturated", 65535), ("dead-frame:zero", 0)])
def test_frames_that_are_no_measurement_are_frames(fault, level):
    # FFFF, the mark that begins a record, in every pixel. The session refuses them.
    assert set(Rig(FLAME, fault).open().acquire().counts) == {level}


def test_next_scan_after_a_reset_that_lost_the_fast_rate():
    rig = Rig(with_options(LASER, fast_baud=115200), "reset-mid-scan@spectrum-3", far_baud=9600)
    driver = rig.open()
    with (
        Session(lambda: driver, keep_open=True, wait=lambda _: None) as session,
        pytest.raises(TransportError),
    ):
        session.scan(PLAN, token=arm("Kim"), acknowledge_unknown_interlock=True)
    assert not rig.detector.laser
    spectrum = scan(driver, PLAN, token=arm("Kim"), acknowledge_unknown_interlock=True, wait=lambda _: None)
    assert "checksum_verified" in spectrum.acquisition.flags
    assert rig.line.baud == 115200
