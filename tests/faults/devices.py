"""The 48 faults of an instrument and its line, put to every driver: as the tests of the drivers have them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from spectralid.devices.sim.faults import FAULTS, Fault
from tests.faults.rows import Room, Row

__all__ = ["MODULES", "ROOM"]

MODULES = {
    "test_faults_obp": "Ocean Binary Protocol",
    "test_faults_wasatch": "Wasatch UART",
    "test_faults_ocean_legacy": "Ocean legacy",
    "test_faults_tcd1304": "TCD1304",
}
_FOLDER = "tests/devices/"


def _number(switch: str) -> int:
    return FAULTS[Fault.parse(switch.split(",")[-1]).name].number


def _rows(name: str, driver: str) -> Iterator[Row]:
    module = importlib.import_module(f"tests.devices.{name}")
    file = f"{_FOLDER}{name}.py"
    several = name == "test_faults_ocean_legacy"
    for case in module.CASES:
        profile = getattr(case, "profile", "")
        identity = f"{case}-{profile}" if several else str(case)
        expected = f"{case.outcome.value}: {case.says}" if case.says else case.outcome.value
        switched = f"{case} ({profile})" if profile else str(case)
        yield Row(_number(str(case)), switched, expected, (f"{file}::test_fault[{identity}]",), of=driver)
    for case in getattr(module, "FRAME_CASES", ()):
        for profile in case.profiles:
            test = f"{file}::test_frames[{case}-{profile}]"
            switched = f"{case} (frames, {profile})"
            yield Row(_number(case.switch), switched, case.expected, (test,), of=driver)
    for fault, test in module.ELSEWHERE.items():
        place = _FOLDER + test if ".py::" in test else f"{file}::{test}"
        yield Row(FAULTS[fault].number, f"{fault} (a test of its own)", _OWN, (place,), of=driver)
    for fault, why in module.NOT_APPLICABLE.items():
        yield Row(FAULTS[fault].number, fault, "", (), remark=why, of=driver)


_OWN = "what the test says: noticed, or harmless"
_PEER = "tests/devices/test_independent_client.py"

ROOM = Room(
    "devices",
    "Instruments",
    "Drivers are put to simulated instruments that fail in each of 48 ways (`spectralid.devices.sim.faults`)."
    " What must come of each: an error of the family within its deadline, a correct spectrum, or one with a "
    "flag that says what is wrong; and the next scan works. Never a hang, never a wrong spectrum without a "
    "flag, never a laser of which nobody knows whether it is off. Frames of the older Ocean protocol are "
    "tried one by one, too: what comes of four in a row, `ok` or the error.",
    (
        *(row for name, driver in MODULES.items() for row in _rows(name, driver)),
        Row(
            0,
            "none",
            "serial number, wavelengths and counts are those of the simulator's physics",
            (_PEER,),
            of="seabreeze (not ours)",
        ),
    ),
    (
        "No instrument of metal and glass was driven: all of this is put to simulators, written from the "
        "makers' documents.",
        "Without a checksum on the line, a changed count is not noticed; every such spectrum carries the "
        "flag `checksum_absent`.",
    ),
)
