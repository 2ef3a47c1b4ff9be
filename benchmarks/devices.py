"""What a scan costs beyond integration and wire, and how fast the codecs are.

    python benchmarks/devices.py [--real]

The first table scans simulated instruments in virtual time: integration and wire only count, so that what is
left is pauses (of the protocol, and of the instrument) and what this computer does, the pauses between bytes
that it really makes included. ``--real`` adds a scan over a pty at the instrument's pace, by the clock on the
wall.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from spectralid.devices import ScanPlan, Session, arm, load_profile, open_device
from spectralid.devices.codec import obp, ocean_legacy, tcd1304, wasatch
from spectralid.devices.sim.launch import Simulator
from spectralid.devices.sim.models import BENCHES, DEFAULT_MODELS, instrument_class
from spectralid.devices.sim.physics import Detector
from spectralid.devices.sim.samples import find_sample
from spectralid.devices.sim.virtual import VirtualLine
from spectralid.devices.transport import BITS_PER_BYTE

INTEGRATION_MS = 100.0
AVERAGES = 10
LASER = {"laser_nm": 785.0, "maximum_on_s": 120.0}
STROBE = MappingProxyType({**load_profile("ocean-flame-s").options, "laser_on_strobe_line": True})
PROFILES = {
    "obp": load_profile("ocean-ventana-785l"),
    "wasatch-uart": load_profile("wasatch-wp-785"),
    "ocean-legacy": replace(load_profile("ocean-flame-s"), **LASER, options=STROBE),
    "tcd1304-er": load_profile("tcd1304-er"),
}
CHUNK = 512
REPEATS = 5


class Metered(VirtualLine):
    """Adds up the wire time of every byte, both ways."""

    wire_s = 0.0
    host_s = 0.0

    def write(self, data, deadline):
        self.wire_s += len(data) * BITS_PER_BYTE / self.baud
        begun = time.perf_counter()
        super().write(data, deadline)
        self.host_s -= time.perf_counter() - begun  # the instrument's end runs in there

    def read(self, at_most, deadline):
        data = super().read(at_most, deadline)
        self.wire_s += len(data) * BITS_PER_BYTE / self.baud
        return data


def scan(protocol: str) -> str:
    """One row of the first table."""
    profile = PROFILES[protocol]
    detector = Detector(BENCHES[DEFAULT_MODELS[protocol]], find_sample("polystyrene"), seed=0)
    line = Metered(instrument_class(protocol)(detector, "SIM-1"), baud=profile.baud, far_baud=profile.baud)
    plan = ScanPlan(
        integration_ms=INTEGRATION_MS, averages=AVERAGES, warning_s=0, dark=protocol != "tcd1304-er"
    )
    frames = (AVERAGES + 1) * (2 if plan.dark else 1)
    with Session(lambda: open_device(line, profile), wait=lambda _: None) as session:
        before_s, wire_before_s, line.host_s = line.now_s, line.wire_s, 0.0
        begun = time.perf_counter()
        session.scan(plan, token=arm("benchmark"), acknowledge_unknown_interlock=True)
        host_s = time.perf_counter() - begun + line.host_s
        total_s, wire_s = line.now_s - before_s, line.wire_s - wire_before_s
    light_s = frames * INTEGRATION_MS / 1000
    pauses_s = total_s - light_s - wire_s
    return f"| {protocol} | {frames} | {light_s:.2f} | {wire_s:.2f} | {pauses_s:.2f} | {1000 * host_s:.0f} |"


def real() -> str:
    """A scan over a pty at the instrument's pace: seconds on the clock beyond integration and frames."""
    profile = replace(PROFILES["obp"], baud=115_200)
    plan = ScanPlan(integration_ms=INTEGRATION_MS, averages=AVERAGES, warning_s=0)
    with (
        Simulator("--substance", "polystyrene", "--paced") as simulator,
        Session.on(simulator.port, profile) as session,
    ):
        begun = time.monotonic()
        session.scan(plan, token=arm("benchmark"), acknowledge_unknown_interlock=True)
        took_s = time.monotonic() - begun
    frames = 2 * (AVERAGES + 1)
    wire_s = frames * (2112 + 64) * BITS_PER_BYTE / profile.baud
    beyond_s = took_s - frames * INTEGRATION_MS / 1000 - wire_s
    return (
        f"OBP over a pty at {profile.baud} baud, paced: {took_s:.2f} s for {frames} frames, "
        f"{beyond_s:.2f} s beyond integration and the wire time of requests and frames "
        "(the simulator's own work and its sleeping too long included)"
    )


def streams() -> dict[str, tuple[bytes, Callable[[], Callable[[bytes], object]], int]]:
    """Per codec: bytes, what makes a fresh decoder, and the pieces it is fed."""
    rng = np.random.Generator(np.random.PCG64(0))
    counts = np.clip(2000 + 8000 * np.exp(-(((np.arange(2048) % 400 - 200) / 9) ** 2)), 0, 65535)
    counts = np.rint(counts + rng.normal(0, 20, 2048)).astype(int)
    little = counts[:1024].astype("<u2").tobytes()
    md5 = obp.encode(obp.Frame(obp.Message.CORRECTED_SPECTRUM, little, checksum=obp.Checksum.VERIFIED))
    answer = wasatch.encode(wasatch.Frame(wasatch.Opcode.EEPROM_PAGE, bytes(64)))
    words = counts.astype(">u2").tobytes()
    head = np.array([0xFFFF, 0, 1, 100, 0, 0, 0], ">u2").tobytes()
    tail = np.array([0xFFFD, counts.sum() & 0xFFFF], ">u2").tobytes()
    layout = ocean_legacy.Layout(ocean_legacy.Dialect.FLAME, 2048, checksum=True)
    detector = Detector(BENCHES["tcd1304-er"], find_sample("polystyrene"), seed=0)
    request = tcd1304.encode(
        tcd1304.periods(10.0, clock_hz=2e6, shortest_sh=20, longest_sh=2**32 - 1), "pc-ready"
    )
    readout = instrument_class("tcd1304-er")(detector, "SIM")
    reading = b"".join(reply.data for reply in readout.receive(request))
    return {
        "obp, frames with MD5": (md5 * 1000, lambda: obp.Decoder().feed, CHUNK),
        "wasatch-uart, answers with CRC-8": (answer * 10_000, lambda: wasatch.Decoder().feed, CHUNK),
        "ocean-legacy, records with checksum": (
            (b"\x02" + head + words + tail) * 300,
            lambda: ocean_legacy.RecordDecoder(layout).feed,
            CHUNK,
        ),
        "tcd1304-er, readouts": (reading * 500, lambda: tcd1304.decode, len(reading)),
    }


def speed(stream: bytes, fresh: Callable[[], Callable[[bytes], object]], piece: int) -> float:
    """Best of some runs, in MB/s."""
    taken = []
    for _ in range(REPEATS):
        feed = fresh()
        begun = time.perf_counter()
        for start in range(0, len(stream), piece):
            feed(stream[start : start + piece])
        taken.append(time.perf_counter() - begun)
    return len(stream) / min(taken) / 1e6


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", action="store_true", help="also scan by the clock on the wall")
    args = parser.parse_args()
    print(f"{AVERAGES} sample and {AVERAGES} dark frames of {INTEGRATION_MS:g} ms, one of each thrown away\n")
    print("| protocol | frames | integration s | wire s | pauses s | this computer ms |")
    print("|---|--:|--:|--:|--:|--:|")
    for protocol in PROFILES:
        print(scan(protocol))
    print("\n| codec | MB/s |\n|---|--:|")
    for name, (stream, fresh, piece) in streams().items():
        print(f"| {name} | {speed(stream, fresh, piece):.1f} |")
    if args.real:
        print(f"\n{real()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
