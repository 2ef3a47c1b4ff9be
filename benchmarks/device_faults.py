"""Eight faults of an instrument against a client nobody here wrote, and against ours: a table as Markdown.

Run from the repository: ``python benchmarks/device_faults.py``; with ``--save`` it is kept in
benchmarks/device_faults.json for docs/faults.md. All 48 faults and every driver: ``python -m tests.faults``.

seabreeze's compiled client (cseabreeze) is put on the same simulated STS as spectralid's driver, in a process
that is killed when it hangs. Not on a busy machine: what is only slow is killed, too.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from spectralid.devices.ocean import OceanDriver, open_ocean  # noqa: E402
from spectralid.devices.profile import load_profile  # noqa: E402
from spectralid.devices.sim.launch import Simulator  # noqa: E402
from spectralid.devices.sim.models import BENCHES  # noqa: E402
from spectralid.devices.sim.physics import Detector  # noqa: E402
from spectralid.errors import SpectralIDError  # noqa: E402

FIGURES = ROOT / "benchmarks" / "device_faults.json"

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
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help=f"keep it in {FIGURES.name}")
    args = parser.parse_args()
    if os.name != "posix" or importlib.util.find_spec("seabreeze") is None:
        print("seabreeze is not installed, or there are no ptys here: no comparison.")
        return 0
    print(f"{READS} spectra in a row from a simulated STS on a pty\n")
    print("| fault | cseabreeze | spectralid |")
    print("|---|---|---|")
    rows = []
    for row in _rows():
        print(f"| {' | '.join(row)} |", flush=True)
        rows.append(row)
    if args.save:
        said = {
            "command": "python benchmarks/device_faults.py",
            "date": time.strftime("%Y-%m-%d"),
            "rows": rows,
        }
        FIGURES.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return 0


def _rows() -> Iterator[tuple[str, str, str]]:
    """Fault, and in words what came of it with cseabreeze and with spectralid."""
    detector = Detector(BENCHES["sts"], (), seed=0)
    detector.integration_s = 0.05
    expected = [detector.frame().tolist() for _ in range(READS + 1)]
    for words, fault in (("none", ""), *PEER_FAULTS):
        arguments = ("--model", "sts", "--baud", "9600", *(("--fault", fault) if fault else ()))
        with Simulator(*arguments) as simulator:
            peer = _summary(_peer(simulator.port), expected, refused="exception" in fault)
        with Simulator(*arguments) as simulator:
            ours = _summary(_ours(simulator.port), expected, refused="exception" in fault)
        yield words, peer, ours


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
