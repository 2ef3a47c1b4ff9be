"""``spectralid tablet``: the officer's screen, as a web page of this machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from spectralid.cli._folders import TABLET_FOLDER
from spectralid.errors import ParameterError
from spectralid.vouching import TrustedKeys

__all__ = ["add_parser"]

_PORT: Final = 8765


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "tablet",
        help="the officer's screen in a browser on this machine",
        description=(
            "Serve the officer's screen to a browser on this machine: connect, scan, result, precautions, "
            "strip, declared goods, send. Works without a network; everything is recorded before it is shown."
        ),
    )
    add = parser.add_argument
    add(
        "--data",
        type=Path,
        default=TABLET_FOLDER,
        metavar="DIR",
        help=f"folder of the record, made the first time (default {TABLET_FOLDER})",
    )
    add("--library", "-l", metavar="FILE",
        help="reference library (default: the one that 'spectralid library update' installed, else the one "
        "that comes with spectralid)")  # fmt: skip
    add("--port", type=int, default=_PORT, metavar="N", help=f"port to serve on (default {_PORT}; 0 any)")
    add("--watch", type=Path, metavar="DIR", help="folder into which an FTIR bench or a handheld exports")
    add("--instrument-model", type=Path, action="append", default=[], metavar="FILE",
        help="what is known of the instrument, from 'spectralid characterise'")  # fmt: skip
    add("--simulate", action="store_true", help="allow simulated instruments, for training and trials")
    add("--sim-bands", type=Path, metavar="CSV", help="with --simulate: band table of further substances")
    add("--open", action="store_true", help="open the page in the default browser")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    from spectralid.identify import read_instrument_model
    from spectralid.tablet.serve import listen, serve
    from spectralid.tablet.unit import FieldUnit
    from spectralid.tablet.workplace import Workplace

    if args.watch and not args.watch.is_dir():
        raise ParameterError("--watch", str(args.watch), "a folder that exists")
    if args.sim_bands and not args.simulate:
        raise ParameterError("--sim-bands", str(args.sim_bands), "given together with --simulate")
    listener = listen(args.port)
    with listener:
        trusted = TrustedKeys.here()
        models = [read_instrument_model(path, trusted=trusted) for path in args.instrument_model]
        unit = FieldUnit.open(args.data, library=args.library, instruments=models, trusted=trusted)
        try:
            place = Workplace(
                unit,
                args.data,
                watch=args.watch,
                simulators=args.simulate,
                bands=str(args.sim_bands or ""),
                trusted=trusted,
            )
        except BaseException:
            unit.close()
            raise
        with place:
            serve(place, args.data, listener, ready=lambda url: _ready(url, browser=args.open))
    return 0


def _ready(url: str, *, browser: bool) -> None:
    print(url, flush=True)
    print("Open this address in a browser on this machine; Ctrl-C ends the program.", file=sys.stderr)
    if browser:
        import webbrowser

        webbrowser.open(url)
