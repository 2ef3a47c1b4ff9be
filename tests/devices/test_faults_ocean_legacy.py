"""The 48 faults against the driver of the older Ocean protocol: a typed error in time, or correct counts.

Never a hang, never a wrong frame that nothing warns of, and the next scan works. Each fault strikes always,
and only in the second spectrum; on a Flame, on one that sends compressed, and on a SAD500. All in time that
only counts.
"""

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

from spectralid.devices.laser import LaserOffUnconfirmedError, LaserRefusedError, arm
from spectralid.devices.plan import ScanPlan
from spectralid.devices.session import Session, scan
from spectralid.devices.sim.faults import FAULTS, Fault
from spectralid.errors import DeviceError, SpectralIDError, TransportError
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
PLAN = ScanPlan(integration_ms=120.0, averages=4, warning_s=0)
SECOND = "@spectrum-2"
FRAMES = 4

OPEN, OK = "open", "ok"
TIMEOUT, DISCONNECTED = "TransportError (timeout)", "TransportError (disconnected)"
DAMAGED, REFUSED, PROTOCOL = "DamagedAnswerError", "RefusedError", "ProtocolError"


@dataclass(frozen=True)
class Case:
    """A fault as it is switched on, and what comes of it: per profile where they differ.

    An outcome is that of each frame; or ``open: …`` where the instrument does not even open.
    """

    switch: str
    expected: str
    profiles: tuple[str, ...] = ("flame", "flame compressed", "sad500")

    def __str__(self):
        return self.switch


def case(switch, expected, *profiles):
    return Case(switch, expected, profiles) if profiles else Case(switch, expected)


def one(error):
    """Only the second frame fails."""
    return f"ok {error} ok ok"


def all_of(error):
    return " ".join([error] * FRAMES)


FLAMES = ("flame", "flame compressed")
FINE = all_of(OK)

CASES = (
    case("silence", f"open: {TIMEOUT}"),
    case("silence" + SECOND, one(TIMEOUT)),
    case("truncated-header" + SECOND, one(DAMAGED), *FLAMES),
    case("truncated-header" + SECOND, FINE, "sad500"),  # which sends it again
    case("truncated-header@3", FINE),  # a question is asked again
    case("truncated-payload" + SECOND, one(DAMAGED), *FLAMES),
    case("truncated-payload" + SECOND, FINE, "sad500"),
    case("trickle:0.0005", FINE),
    case("noise-before" + SECOND, FINE),
    case("noise-between" + SECOND, FINE, "flame", "sad500"),
    # What follows a compressed record may belong to it.
    case("noise-between" + SECOND, one(DAMAGED), "flame compressed"),
    case("greeting", FINE),
    case("bit-flip-checksum" + SECOND, one(DAMAGED), *FLAMES),
    case("bit-flip-checksum" + SECOND, FINE, "sad500"),
    case("wrong-checksum" + SECOND, one(DAMAGED)),
    case("wrong-checksum", all_of(DAMAGED)),
    case("bad-footer" + SECOND, one(DAMAGED)),
    case("nack" + SECOND, one(REFUSED)),
    case("nack@5", f"open: {REFUSED}"),
    case("nack", f"open: {TIMEOUT}"),
    case("duplicate", FINE, "flame", "sad500"),
    case("duplicate" + SECOND, one(DAMAGED), "flame compressed"),
    case("late-reply" + SECOND, one(TIMEOUT)),
    case("trailing-bytes", FINE, "flame", "sad500"),
    case("trailing-bytes" + SECOND, one(DAMAGED), "flame compressed"),
    case("markers-inside", FINE),
    case("echo", FINE),
    case("wrong-baud:38400", FINE),
    case("wrong-baud:115200", FINE),
    *(case(f"baud-ack-lost:{which}", FINE, "flame fast") for which in ("first", "second", "revert")),
    case("nak-baud", FINE, "flame fast"),
    case("input-overrun", f"open: {TIMEOUT}", *FLAMES),
    case("input-overrun", FINE, "sad500"),  # its bytes are sent one by one
    case("unplug@3", f"open: {DISCONNECTED}"),
    case("unplug" + SECOND, f"ok {DISCONNECTED} {DISCONNECTED} {DISCONNECTED}"),
    case("re-enumerated" + SECOND, f"ok {DISCONNECTED} {DISCONNECTED} {DISCONNECTED}"),
    case("second-opener" + SECOND, one(DAMAGED), *FLAMES),
    case("second-opener" + SECOND, FINE, "sad500"),
    case("reset-mid-scan" + SECOND, one(TIMEOUT), "flame", "flame compressed", "flame fast", "sad500"),
    case("stale-integration:2", FINE),
    case("saturated" + SECOND, FINE),
    *(case(f"dead-frame:{kind}{SECOND}", FINE) for kind in ("zero", "flat", "pixel")),
    case("pixel-count" + SECOND, one(DAMAGED)),
    case("pixel-count:1" + SECOND, one(DAMAGED)),
    *(case(f"blank-eeprom:{kind}", f"open: {PROTOCOL}", *FLAMES) for kind in ("ff", "nan", "descending")),
    case("etx", all_of(REFUSED)),
    case("etx" + SECOND, one(REFUSED)),
    case("ascii-mode", FINE),
    case("dropped-byte" + SECOND, one(DAMAGED), *FLAMES),
    case("dropped-byte" + SECOND, FINE, "sad500"),
)

ELSEWHERE = {
    "trickle": "test_record_that_trickles_is_given_up_in_time",
    "bit-flip": "test_flipped_bit_without_checksum_is_flagged",
    "swapped-serial": "test_another_unit_on_the_line_is_noticed",
    "stale-integration": "test_stale_integration_time_is_told_by_the_frame",
    "saturated": "test_frames_that_are_no_measurement_are_left_to_the_session",
    "dead-frame": "test_frames_that_are_no_measurement_are_left_to_the_session",
    "unplug-laser-on": "test_laser_faults",
    "interlock-opens": "test_laser_faults",
    "laser-stuck-on": "test_laser_faults",
    "laser-readback-lies": "test_laser_faults",
    "watchdog": "test_laser_faults",
    "back-pressure": "tests/devices/test_transport.py: a line that takes no data, whatever the protocol",
}
"""Faults whose outcome counts alone do not show, and the test that does."""

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
    [pytest.param(c, p, id=f"{c}-{p}") for c in CASES for p in c.profiles],
)
def test_fault(case, profile):
    rig = Rig(PROFILES[profile], case.switch, far_baud=far_baud(case.switch))
    driver, seen = outcome(rig)
    assert seen == case.expected
    rig.faults.heal()
    rig.detector.restart()
    if driver is None or DISCONNECTED in seen:
        # Opened again, on another port if need be.
        rig = Rig(PROFILES[profile])
        driver = rig.open()
    driver.set_integration(55.0)
    assert frame_outcome(rig, driver) == OK


def test_every_fault_is_accounted_for():
    covered = {Fault.parse(c.switch).name for c in CASES} | set(ELSEWHERE) | set(NOT_APPLICABLE)
    assert covered == set(FAULTS)
    assert not set(NOT_APPLICABLE) & ({Fault.parse(c.switch).name for c in CASES} | set(ELSEWHERE))


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
def test_frames_that_are_no_measurement_are_left_to_the_session(fault, level):
    # FFFF, the mark that begins a record, in every pixel.
    counts = Rig(FLAME, fault).open().acquire().counts
    assert set(counts) == {level}
    with pytest.raises(SpectralIDError, match="same count"):
        scanned(Rig(LASER, fault))


def scanned(rig):
    driver = rig.open()
    return scan(driver, PLAN, token=arm("Kim"), acknowledge_unknown_interlock=True, wait=lambda _: None)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("laser-stuck-on", LaserOffUnconfirmedError),
        ("laser-readback-lies:on", LaserOffUnconfirmedError),
        ("laser-readback-lies:nack", LaserOffUnconfirmedError),
        ("laser-readback-lies:off", LaserRefusedError),
        ("unplug-laser-on", LaserOffUnconfirmedError),
        ("unplug" + SECOND, LaserOffUnconfirmedError),
        ("watchdog@4", DeviceError),
        ("silence@spectrum-3", TransportError),
        ("reset-mid-scan@spectrum-3", TransportError),
    ],
)
def test_laser_faults(fault, error):
    rig = Rig(LASER, fault, far_baud=9600)
    with pytest.raises(error) as caught:
        scanned(rig)
    if rig.detector.laser:
        assert isinstance(caught.value, LaserOffUnconfirmedError)


def test_open_interlock_shows_in_the_light():
    # The line reads back as on; that the light is missing shows in the frames alone.
    spectrum = scanned(Rig(LASER, "interlock-opens"))
    assert "retake" in spectrum.acquisition.flags
    assert "interlock_unknown" in spectrum.acquisition.flags


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
