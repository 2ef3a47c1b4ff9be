"""The 48 faults against every driver, and against a client nobody here wrote: prints the tables as Markdown.

Run from the repository: ``python benchmarks/device_faults.py``. What is expected stands in the test modules
``tests/devices/test_faults_*.py``; each case is run here again and its outcome printed beside it. The exit
code is 1 if an outcome is not the expected one.

With the package seabreeze installed, its compiled client (cseabreeze) is put on the same simulated STS as
spectralid's driver, in a process that is killed when it hangs.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from spectralid.devices.ocean import OceanDriver, open_ocean  # noqa: E402
from spectralid.devices.profile import load_profile  # noqa: E402
from spectralid.devices.sim.faults import FAULTS, Fault  # noqa: E402
from spectralid.devices.sim.launch import Simulator  # noqa: E402
from spectralid.devices.sim.models import BENCHES  # noqa: E402
from spectralid.devices.sim.physics import Detector  # noqa: E402
from spectralid.devices.sim.trial import Trial  # noqa: E402
from spectralid.errors import SpectralIDError  # noqa: E402

MODULES = ("test_faults_obp", "test_faults_wasatch", "test_faults_ocean_legacy", "test_faults_tcd1304")

PEER = """
import json, sys
from seabreeze.cseabreeze import SeaBreezeAPI
api = SeaBreezeAPI()
api.add_rs232_device_location(b"STS", sys.argv[1].encode(), 9600)
(device,) = api.list_devices()
device.open()
spectrometer = device.f.spectrometer
spectrometer.set_trigger_mode(0)
spectrometer.set_integration_time_micros(50_000)
for _ in range(3):
    try:
        print(json.dumps([int(count) for count in spectrometer.get_intensities()]), flush=True)
    except Exception as error:
        print(json.dumps(f"{type(error).__name__}: {error}"), flush=True)
"""
READS = 3
KILL_S = 12.0

PEER_FAULTS = (
    ("no answer to the first spectrum", "silence@spectrum-1"),
    ("first spectrum ends early", "truncated-payload@spectrum-1"),
    ("first spectrum refused, error 7", "nack:7@spectrum-1"),
    ("noise before every answer with a spectrum", "noise-before@spectrum"),
    ("first spectrum without its end mark", "bad-footer@spectrum-1"),
    ("one bit of the first spectrum flipped", "bit-flip@spectrum-1"),
    ("first spectrum with exception flag, error 13", "exception@spectrum-1"),
    ("first spectrum sent twice", "duplicate@spectrum-1"),
)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--without-peer", action="store_true", help="leave cseabreeze out")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)  # alarms are expected by the dozen
    unexpected = sum(_driver_table(name) for name in MODULES)
    if not args.without_peer:
        _peer_table()
    return 1 if unexpected else 0


def _driver_table(name: str) -> int:
    """Print the table of one driver; returns how many outcomes were not expected."""
    if importlib.util.find_spec(f"tests.devices.{name}") is None:
        print(f"\n## {name}: not here\n")
        return 0
    module = importlib.import_module(f"tests.devices.{name}")
    print(f"\n## {name.removeprefix('test_faults_')}\n")
    print("| # | fault | switched on as | expected | observed | virtual s | next scan | test |")
    print("|--:|---|---|---|---|--:|---|---|")
    outcomes: Counter[str] = Counter()
    unexpected = 0
    for number, fault, row, as_expected in sorted(_rows(module, outcomes), key=lambda r: (r[0], r[2])):
        print(f"| {number} | {fault} | {row} |")
        unexpected += not as_expected
    total = sum(outcomes.values())
    counts = ", ".join(f"{count} × {what}" for what, count in outcomes.most_common())
    print(f"\n{total} cases: {counts}; not as expected: {unexpected}.")
    return unexpected


def _rows(module: ModuleType, outcomes: Counter[str]) -> Iterator[tuple[int, str, str, bool]]:
    file = module.__name__.rpartition(".")[2]
    for case in module.CASES:
        switches = str(case).split(",")
        name = Fault.parse(switches[-1]).name
        seen = _bench(module, case).trial(*switches)
        expected = f"{case.outcome.value}: {case.says}" if case.says else case.outcome.value
        observed = _observed(seen)
        right = seen.outcome is case.outcome and seen.next_works
        outcomes[seen.outcome.value] += 1
        row = " | ".join(
            (
                f"`{case}`",
                expected,
                observed,
                f"{seen.took_s:.0f}",
                "works" if seen.next_works else "FAILS",
                f"{file}::test_fault[{case}]",
            )
        )
        yield FAULTS[name].number, name, row, right
    for name, where in module.ELSEWHERE.items():
        yield FAULTS[name].number, name, f" | see test | | | | {where}", True
    for name, why in module.NOT_APPLICABLE.items():
        yield FAULTS[name].number, name, f" | does not apply: {why} | | | | ", True


def _bench(module: ModuleType, case: Any) -> Any:
    return module.bench(case.profile) if hasattr(case, "profile") else module.bench()


def _observed(seen: Trial) -> str:
    detail = seen.error or ", ".join(sorted(seen.flags))
    return f"{seen.outcome.value}: {detail}" if detail else seen.outcome.value


def _peer_table() -> None:
    if os.name != "posix" or importlib.util.find_spec("seabreeze") is None:
        print("\nseabreeze is not installed, or there are no ptys here: no comparison.")
        return
    detector = Detector(BENCHES["sts"], (), seed=0)
    detector.integration_s = 0.05
    expected = [detector.frame().tolist() for _ in range(READS + 1)]
    print(f"\n## {READS} spectra in a row from a simulated STS on a pty\n")
    print("| fault | cseabreeze | spectralid |")
    print("|---|---|---|")
    for words, fault in (("none", ""), *PEER_FAULTS):
        arguments = ("--model", "sts", "--baud", "9600", *(("--fault", fault) if fault else ()))
        with Simulator(*arguments) as simulator:
            peer = _summary(_peer(simulator.port), expected, refused="exception" in fault)
        with Simulator(*arguments) as simulator:
            ours = _summary(_ours(simulator.port), expected, refused="exception" in fault)
        print(f"| {words} | {peer} | {ours} |", flush=True)


def _peer(port: str) -> list[list[int] | str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PEER, port], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        out, _ = process.communicate(timeout=KILL_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, _ = process.communicate()
        return [*map(json.loads, out.splitlines()), "HANGS (killed)"]
    return [*map(json.loads, out.splitlines())]


def _ours(port: str) -> list[list[int] | str]:
    seen: list[list[int] | str] = []
    with _open(port) as driver:
        driver.set_integration(50.0)
        for _ in range(READS):
            try:
                seen.append(driver.acquire().counts.tolist())
            except SpectralIDError as error:
                seen.append(f"error ({type(error).__name__})")
    return seen


def _open(port: str) -> OceanDriver:
    return open_ocean(port, load_profile("ocean-ventana-785l"))


def _summary(seen: list[list[int] | str], expected: list[list[int]], *, refused: bool) -> str:
    """Each read in a word; `refused` if the instrument says that its first spectrum is none."""
    words = []
    last = -1
    for place, item in enumerate(seen):
        if isinstance(item, str):
            words.append(item.partition(":")[0])
        elif refused and place == 0:
            words.append("ACCEPTED AS GOOD")
        elif item in expected:
            index = expected.index(item)
            words.append("correct" if index > last else "STALE SPECTRUM")
            last = index
        else:
            near = min(expected, key=lambda frame: int(np.sum(np.array(frame) != np.array(item))))
            wrong = int(np.sum(np.array(near) != np.array(item)))
            words.append(f"WRONG SPECTRUM ACCEPTED ({wrong} pixels)")
    return ", ".join(words)


if __name__ == "__main__":
    sys.exit(main())
