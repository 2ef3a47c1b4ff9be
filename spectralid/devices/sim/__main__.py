"""``python -m spectralid.devices.sim``: a simulated instrument in a process of its own.

Prints the serial port it listens on as its first line, and serves until it is stopped.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, cast

from spectralid.devices.sim.faults import FAULTS, Fault, Faults
from spectralid.devices.sim.physics import Bench, Detector
from spectralid.devices.sim.samples import find_sample, read_samples
from spectralid.devices.sim.serve import Instrument, serve_pty, serve_tcp
from spectralid.errors import ParameterError, SpectralIDError

SERIAL = "SIM785L-0001"

# Loaded when asked for: a simulator of one protocol needs no other.
INSTRUMENTS: Final = {
    "obp": "spectralid.devices.sim.obp:ObpInstrument",
    "wasatch-uart": "spectralid.devices.sim.wasatch:WasatchInstrument",
    "ocean-legacy": "spectralid.devices.sim.ocean_legacy:OceanLegacyInstrument",
    "tcd1304-er": "spectralid.devices.sim.tcd1304:Tcd1304Instrument",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m spectralid.devices.sim", description=__doc__)
    parser.add_argument(
        "--protocol", choices=tuple(INSTRUMENTS), default="obp", help="what it speaks (default obp)"
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[:ARG][@WHEN]",
        help="give it a fault; may be repeated; 'list' prints all",
    )
    parser.add_argument("--substance", default="", help="what lies under the probe (default: nothing)")
    parser.add_argument("--bands", type=Path, metavar="CSV", help="band table that holds the substance")
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise (default 0)")
    parser.add_argument("--serial", default=SERIAL, help="serial number the instrument reports")
    parser.add_argument("--paced", action="store_true", help="be as slow as a real one")
    parser.add_argument("--tcp", action="store_true", help="serve a TCP port instead of a pty")
    parser.add_argument("--until-eof", action="store_true", help="stop when standard input ends")
    return parser


def _stop_at_eof() -> None:
    sys.stdin.buffer.read()
    # The server sits in a blocking read that nothing else ends, and has nothing to save.
    os._exit(0)


def _announce(port: str) -> None:
    print(port, flush=True)


def _instrument(protocol: str) -> Callable[..., Instrument]:
    module, _, name = INSTRUMENTS[protocol].partition(":")
    return cast("Callable[..., Instrument]", getattr(importlib.import_module(module), name))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulator until it is stopped."""
    args = _parser().parse_args(argv)
    if "list" in args.fault:
        for kind in FAULTS.values():
            print(f"{kind.number:2}  {kind.name:20} {kind.what}")
        return 0
    try:
        if args.substance and args.bands:
            samples = read_samples(args.bands)
            if args.substance.lower() not in samples:
                raise ParameterError("substance", args.substance, f"in {args.bands}")
            bands = samples[args.substance.lower()]
        else:
            bands = find_sample(args.substance) if args.substance else ()
        instrument = _instrument(args.protocol)(
            Detector(Bench(), bands, seed=args.seed),
            args.serial,
            faults=Faults(map(Fault.parse, args.fault), seed=args.seed),
        )
    except SpectralIDError as error:
        print(error, file=sys.stderr)
        return 2
    if args.until_eof:
        threading.Thread(target=_stop_at_eof, daemon=True).start()
    serve = serve_tcp if args.tcp or os.name != "posix" else serve_pty
    try:
        serve(instrument, paced=args.paced, announce=_announce)
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
