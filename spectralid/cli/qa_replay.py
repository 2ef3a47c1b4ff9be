"""``spectralid qa replay``: whether recorded results come out again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import add_instrument_model_option, instrument_models_of, library_of, print_json
from spectralid.cli.identify import add_library_option
from spectralid.cli.policy import add_policy_options, policy_of
from spectralid.errors import ParameterError

__all__ = ["add_parser"]

# More than any packet may have: what is longer is refused by its own rules.
_LARGEST: Final = 16 * 1024 * 1024


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "replay",
        help="compute recorded results again from their packets, and compare",
        description="Compute the results of recorded scans again from their packets, and compare verdict, "
        "candidates, shares and probabilities (docs/reproducibility.md). Who signed a packet is not judged "
        "here: 'spectralid packets verify' does.",
        epilog="exit codes: 0 all the same · 20 at least one is not the result on record · 4 at least one "
        "was not compared, because library, policy or a model is another · 3 a packet cannot be read",
    )
    add = parser.add_argument
    add("files", type=Path, metavar="FILE", nargs="+", help="packets (.sidpkt), or folders of them")
    add_library_option(parser)
    add_policy_options(parser)
    add_instrument_model_option(parser)
    add("--anyway", action="store_true", help="compare even with another library, policy or model")
    add("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from spectralid.casework.errors import PacketError
    from spectralid.casework.packet import open_packet
    from spectralid.identify import Identifier
    from spectralid.qa.replaying import replay

    policy = policy_of(args)["policy"]
    outcomes, unreadable, others = [], [], 0
    with library_of(args) as library:
        engine = Identifier(library, instruments=instrument_models_of(args))
        for file in _packets(args.files):
            try:
                with file.open("rb") as opened:
                    packet = open_packet(opened.read(_LARGEST), None)
                if packet.kind != "scan":
                    others += 1
                    continue
                outcomes.append((file, replay(packet, engine, policy=policy, anyway=args.anyway)))
            except (PacketError, OSError) as error:
                unreadable.append((file, getattr(error, "strerror", None) or str(error)))
    statuses = [outcome.status for _, outcome in outcomes]
    counted = {status: statuses.count(status) for status in ("same", "different", "not_compared")}
    counted |= {"unreadable": len(unreadable), "no_scan": others}
    if args.json:
        print_json(
            {
                "replays": [{"file": str(file), **outcome.to_dict()} for file, outcome in outcomes],
                "unreadable": [{"file": str(file), "why": why} for file, why in unreadable],
                "summary": counted,
            }
        )
    else:
        for file, outcome in outcomes:
            print(f"{file}: {outcome.text()}")
        print(", ".join(f"{n} {what.replace('_', ' ')}" for what, n in counted.items()))
    for file, why in unreadable:
        print(f"{file}: {why}", file=sys.stderr)
    if unreadable:
        return Exit.UNREADABLE
    if counted["different"]:
        return Exit.DIFFERENT
    return Exit.LIBRARY if counted["not_compared"] else Exit.IDENTIFIED


def _packets(files: list[Path]) -> Iterator[Path]:
    from spectralid.casework.packet import SUFFIX

    for file in files:
        if not file.is_dir():
            yield file
            continue
        found = sorted(file.glob(f"*{SUFFIX}"))
        if not found:
            raise ParameterError("FILE", str(file), f"a folder with {SUFFIX} files")
        yield from found
