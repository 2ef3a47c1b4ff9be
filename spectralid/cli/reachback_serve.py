"""``spectralid reachback serve``: the server."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spectralid.cli._exit import Exit
from spectralid.cli._reachback import add_server_options, settings_of

if TYPE_CHECKING:
    from spectralid.reachback.api.serve import Addresses

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "serve",
        help="run the server",
        description="Take in the packets of tablets and bring them before chemists: one address for tablets, "
        "with certificates, and one for persons. Keys, certificates and tables are made the first time. "
        "Ctrl-C or SIGTERM ends it when what is under way is done.",
    )
    add_server_options(parser)
    add = parser.add_argument
    add("--host", metavar="ADDRESS", help="address to listen at, for both (default 127.0.0.1)")
    add("--port", type=int, metavar="N", help="port for persons (default 8443; 0 any)")
    add("--device-port", type=int, metavar="N", help="port for tablets (default 8444; 0 any)")
    add(
        "--name",
        action="append",
        default=[],
        metavar="NAME",
        help="name or address by which the server is reached; may be repeated (default localhost)",
    )
    add("--plain", action="store_true", help="no TLS for persons: behind a proxy on this machine that has it")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    import logging

    from spectralid.reachback.api.serve import open_desk, serve

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    settings = settings_of(args)
    desk, devices = settings.desk, settings.devices
    if args.host is not None:
        desk, devices = replace(desk, host=args.host), replace(devices, host=args.host)
    if args.port is not None:
        desk = replace(desk, port=args.port)
    if args.device_port is not None:
        devices = replace(devices, port=args.device_port)
    if args.name:
        desk = replace(desk, names=tuple(args.name))
    if args.plain:
        desk = replace(desk, plain=True)
    serve(open_desk(args.data, replace(settings, desk=desk, devices=devices)), ready=_ready)
    return Exit.IDENTIFIED


def _ready(addresses: Addresses) -> None:
    print(addresses.desk, flush=True)
    print(addresses.devices, flush=True)
    print(
        "The first address is for persons, the second for tablets; Ctrl-C ends the server.", file=sys.stderr
    )
