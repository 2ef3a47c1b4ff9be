"""``spectralid library update``: a newer library from the agency's signed repository."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._folders import TABLET_FOLDER
from spectralid.cli._inputs import print_json
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.casework.store import CaseStore
    from spectralid.library.update_sources import Source

__all__ = ["add_parsers"]

_LARGEST: Final = 1_000_000


def add_parsers(commands: Any) -> None:
    """Register the sub-command."""
    parser = commands.add_parser(
        "update",
        help="install the agency's newest library, by line or from a USB stick",
        description="Ask the agency's signed repository for a newer library and install it whole or not at "
        "all. The library in force stays if anything is not in order.",
        epilog="exit codes: 0 installed, or nothing newer for this device · 4 refused; the library in force "
        "stays, and the sentence says why",
    )
    add = parser.add_argument
    add(
        "--from",
        dest="source",
        metavar="URL|DIR",
        default="",
        help="the repository: an address, or a folder such as a stick (default: the server of the enrolment)",
    )
    add(
        "--data",
        type=Path,
        default=TABLET_FOLDER,
        metavar="DIR",
        help=f"folder of the tablet's record; libraries are installed in it (default {TABLET_FOLDER})",
    )
    add("--trust", type=Path, metavar="ROOT.json", help="first: the root of the agency's repository")
    add("--fingerprint", default="", metavar="HEX", help="of that root, as the agency told you")
    add("--site", default="", metavar="NAME", help="where this device belongs (default: as set on it)")
    add("--ca", type=Path, metavar="PEM", help="authority of the server, without an enrolment")
    add("--certificate", type=Path, metavar="PEM", help="certificate of this device, without an enrolment")
    add("--key", type=Path, metavar="PEM", help="its key")
    add("--show", action="store_true", help="only say what is installed")
    add("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from spectralid.library import update
    from spectralid.library.installed import installed
    from spectralid.library.update_sources import HttpSource
    from spectralid.tablet import libraries
    from spectralid.tablet.settings import load_settings

    folder = args.data / libraries.LIBRARIES
    if args.trust is not None:
        with args.trust.open("rb") as file:
            update.trust(folder, file.read(_LARGEST), confirmed=args.fingerprint)
        print("The root of the repository is trusted from now on.")
        if not args.source:
            return Exit.IDENTIFIED
    if args.show:
        return _show(args, installed(folder), "installed")
    site = args.site or load_settings(args.data / "settings.json").site
    with _record(args.data) as store:
        source = _source(args, store)
        try:
            if store is not None:
                done = libraries.ask(store, args.data, source, site=site)
            else:
                done = update.update(folder, source, site=site)
        finally:
            if isinstance(source, HttpSource):
                source.close()
    return _show(args, done.library, done.outcome)


def _show(args: argparse.Namespace, known: Any, outcome: str) -> int:
    words = {
        "installed": "In force: ",
        "current": "There is no newer one: ",
        "not-yet": "There is a newer one, not yet for this device: ",
        "nothing": "",
    }
    if args.json:
        print_json({"outcome": outcome, "library": known.to_dict() if known else None})
    elif known is None:
        print("No library is installed; the bundled one is used.")
    else:
        print(words[outcome] + known.words(datetime.now(UTC)))
    return Exit.IDENTIFIED


@contextmanager
def _record(folder: Path) -> Iterator[CaseStore | None]:
    """The record of this device; nothing where there is none, such as in a laboratory."""
    from spectralid.casework.store import DATABASE, CaseStore

    if not (folder / DATABASE).exists():
        yield None
        return
    with CaseStore.open(folder, read_only=True) as store:
        yield store


def _source(args: argparse.Namespace, store: CaseStore | None) -> Source:
    from spectralid.library.update_sources import FolderSource, HttpSource
    from spectralid.tablet import libraries

    if args.source and Path(args.source).is_dir():
        return FolderSource(Path(args.source))
    enrolled = libraries.line(store) if store is not None else None
    if not args.source and enrolled is not None:
        return enrolled
    if "://" not in args.source:
        allowed = "an address, or a folder that exists (this device is enrolled with no server)"
        raise ParameterError("--from", args.source, allowed)
    tls = enrolled.tls if enrolled is not None else None
    if args.ca is not None:
        tls = libraries.tls_context(args.ca.read_text(encoding="ascii"), args.certificate, args.key)
    return HttpSource(args.source, tls)
