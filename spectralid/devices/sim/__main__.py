"""``python -m spectralid.devices.sim``: a simulated instrument in a process of its own.

Prints the serial port it listens on as its first line, and serves until it is stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from spectralid.devices.sim.bench import Bench, excited_at
from spectralid.devices.sim.emission import NM_PER_CM, Scene
from spectralid.devices.sim.faults import FAULTS, Fault, Faults
from spectralid.devices.sim.faulty import FaultyLine
from spectralid.devices.sim.models import BENCHES, DEFAULT_MODELS, PROTOCOLS, instrument_class
from spectralid.devices.sim.physics import Detector
from spectralid.devices.sim.samples import bundled_samples, read_curve, read_samples
from spectralid.devices.sim.scenes import CONTAINERS, compose
from spectralid.devices.sim.serve import serve_pty, serve_tcp
from spectralid.errors import ParameterError, SpectralIDError

SERIAL: Final = "SIM785L-0001"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m spectralid.devices.sim", description=__doc__)
    add = parser.add_argument
    add("--protocol", choices=PROTOCOLS, default="obp", help="what it speaks (default obp)")
    add("--model", choices=tuple(BENCHES), help="which instrument of that protocol")
    add("--serial", default=SERIAL, help="serial number the instrument reports")
    add("--seed", type=int, default=0, help="seed of all noise (default 0)")
    add(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[:ARG][@WHEN]",
        help="give it a fault; may be repeated; 'list' prints all",
    )

    sample = parser.add_argument_group("sample")
    add = sample.add_argument
    add(
        "--substance",
        action="append",
        default=[],
        metavar="NAME[:SHARE]",
        help="what lies under the probe; may be repeated (default: nothing)",
    )
    add(
        "--spectrum",
        action="append",
        default=[],
        metavar="FILE[:SHARE]",
        help="a substance given by its spectrum, two columns of text; may be repeated",
    )
    add("--bands", type=Path, metavar="CSV", help="band table that holds the substances")
    add("--container", choices=CONTAINERS, default="", help="wall the laser goes through")
    add("--fluorescence", type=float, default=1.0, metavar="X", help="relative to the strongest band (1)")
    add("--bleaching", type=float, default=0.0, metavar="SHARE", help="share that light destroys (0)")
    add("--bleach-time", type=float, default=30.0, metavar="S", help="its time constant in seconds (30)")

    bench = parser.add_argument_group("instrument")
    add = bench.add_argument
    add("--excitation", type=float, metavar="NM", help="laser wavelength")
    add("--laser-error", type=float, metavar="NM", help="true laser wavelength minus stated (0)")
    add("--resolution", type=float, metavar="CM1", help="width of a line in cm⁻¹, mid-range")
    add("--drift", type=float, default=1.0, metavar="X", help="times the built-in axis error of 1 cm⁻¹ (1)")
    add("--etalon", type=float, metavar="A", help="amplitude of interference fringes, 0 to 1 (0)")
    add("--cosmic-rays", type=float, metavar="RATE", help="per second of integration (0)")
    add("--power-droop", type=float, metavar="SHARE", help="power a warming laser loses (0)")
    add("--power-noise", type=float, metavar="SHARE", help="of the laser from frame to frame (0)")
    add("--ambient", type=float, metavar="C", help="temperature of the room (25)")

    line = parser.add_argument_group("line")
    add = line.add_argument
    add("--baud", type=int, metavar="N", help="rate at power-up; other rates garble (default: any rate)")
    add(
        "--baud-ack",
        choices=("old", "new"),
        default="old",
        help="obp: at which rate a new one is acknowledged (old)",
    )
    add("--paced", action="store_true", help="be as slow as a real one")
    add("--tcp", action="store_true", help="serve a TCP port instead of a pty")
    add("--until-eof", action="store_true", help="stop when standard input ends")
    return parser


def _stop_at_eof() -> None:
    sys.stdin.buffer.read()
    # The server sits in a blocking read that nothing else ends, and has nothing to save.
    os._exit(0)


def _announce(port: str) -> None:
    print(port, flush=True)


def _scene(args: argparse.Namespace) -> Scene:
    tables = bundled_samples() | (read_samples(args.bands) if args.bands else {})
    substances = [_shared(text) for text in args.substance]
    for text in args.spectrum:
        # A path of Windows has a colon of its own.
        file, share = (text, 1.0) if Path(text).exists() else _shared(text)
        tables[file.lower()] = read_curve(Path(file))
        substances.append((file, share))
    return compose(
        substances,
        tables,
        container=args.container,
        fluorescence=args.fluorescence,
        bleaching=args.bleaching,
        bleach_s=args.bleach_time,
    )


def _shared(text: str) -> tuple[str, float]:
    """Name and share of ``NAME[:SHARE]``."""
    name, colon, share = text.rpartition(":")
    if not colon:
        return text, 1.0
    try:
        return name, float(share)
    except ValueError:
        raise ParameterError("share", text, "a number behind the colon, as in urea:0.3") from None


def _bench(args: argparse.Namespace) -> Bench:
    bench = BENCHES[args.model or DEFAULT_MODELS[args.protocol]]
    if args.excitation is not None:
        _within("excitation", args.excitation, 300, 1200)
        bench = excited_at(bench, args.excitation)
    given = {
        "laser_error_nm": (args.laser_error, -5, 5),
        "etalon": (args.etalon, 0, 1),
        "cosmic_per_s": (args.cosmic_rays, 0, 1000),
        "power_droop": (args.power_droop, 0, 1),
        "power_noise": (args.power_noise, 0, 1),
        "ambient_c": (args.ambient, -40, 80),
    }
    for name, (value, low, high) in given.items():
        if value is not None:
            _within(name, value, low, high)
    bench = replace(
        bench,
        drift_nm=tuple(args.drift * c for c in bench.drift_nm),
        **{name: value for name, (value, _, _) in given.items() if value is not None},
    )
    if args.resolution is not None:
        _within("resolution", args.resolution, 0.5, 200)
        middle_nm = float(bench.true_wavelengths(bench.pixels / 2))
        bench = replace(bench, resolution_nm=args.resolution * middle_nm**2 / NM_PER_CM)
    return bench


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ParameterError(name, f"{value:g}", f"from {low:g} to {high:g}")


def _instrument(args: argparse.Namespace, faults: Faults) -> FaultyLine:
    if args.model and args.protocol != "obp" and args.model != args.protocol:
        raise ParameterError("model", args.model, f"one that speaks {args.protocol}")
    detector = Detector(_bench(args), _scene(args), seed=args.seed, faults=faults)
    extra = {}
    if args.protocol == "obp":
        extra = {"model": args.model or DEFAULT_MODELS["obp"], "baud_ack": args.baud_ack}
    instrument = instrument_class(args.protocol)(detector, args.serial, faults=faults, **extra)
    return FaultyLine(instrument, faults, laser_on=lambda: detector.laser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulator until it is stopped."""
    args = _parser().parse_args(argv)
    if "list" in args.fault:
        for kind in FAULTS.values():
            print(f"{kind.number:2}  {kind.name:20} {kind.what}")
        return 0
    try:
        faults = Faults(map(Fault.parse, args.fault), seed=args.seed)
        instrument = _instrument(args, faults)
    except SpectralIDError as error:
        print(error, file=sys.stderr)
        return 2
    if args.until_eof:
        threading.Thread(target=_stop_at_eof, daemon=True).start()
    try:
        if args.tcp or os.name != "posix":
            serve_tcp(instrument, paced=args.paced, announce=_announce)
        else:
            wrong = int(faults.argument("wrong-baud", "19200")) if faults.switched_on("wrong-baud") else None
            serve_pty(
                instrument,
                paced=args.paced,
                announce=_announce,
                baud=wrong or args.baud,
                replug=faults.switched_on("re-enumerated"),
                reading=not faults.switched_on("back-pressure"),
            )
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
