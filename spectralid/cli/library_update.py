"""``spectralid library update``: a newer library from the agency's signed repository."""

from __future__ import annotations

import argparse
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spectralid.cli._exit import Exit
from spectralid.cli._folders import TABLET_FOLDER
from spectralid.cli._inputs import print_json
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.library.update_sources import Source

__all__ = ["add_parsers"]

_PATH: Final = "/v1/library"
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


class _Device(NamedTuple):
    """What the record of this device says of it."""

    device_id: str = ""
    latest: datetime | None = None
    url: str = ""
    tls: ssl.SSLContext | None = None


def _run(args: argparse.Namespace) -> int:
    from spectralid.library import update
    from spectralid.library.installed import installed
    from spectralid.tablet.settings import load_settings

    folder = args.data / "library"
    if args.trust is not None:
        with args.trust.open("rb") as file:
            update.trust(folder, file.read(_LARGEST), confirmed=args.fingerprint)
        print("The root of the repository is trusted from now on.")
        if not args.source:
            return Exit.IDENTIFIED
    if args.show:
        return _show(args, installed(folder), "installed")
    device = _device(args.data)
    source = _source(args, device)
    site = args.site or load_settings(args.data / "settings.json").site
    try:
        done = update.update(folder, source, device_id=device.device_id, site=site, latest=device.latest)
    finally:
        if hasattr(source, "close"):
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


def _device(folder: Path) -> _Device:
    """What is on record here; nothing where there is no record, such as in a laboratory."""
    from spectralid.casework.enrolment import enrolled
    from spectralid.casework.store import DATABASE, CaseStore

    if not (folder / DATABASE).exists():
        return _Device()
    with CaseStore.open(folder, read_only=True) as store:
        found = enrolled(store)
        if found is None:
            return _Device(store.device_id, store.time.latest)
        tls = _context(found.ca_pem, found.certificate, found.key)
        return _Device(store.device_id, store.time.latest, found.url + _PATH, tls)


def _source(args: argparse.Namespace, device: _Device) -> Source:
    from spectralid.library.update_sources import FolderSource, HttpSource

    named = args.source or device.url
    if not named:
        raise ParameterError("--from", "", "an address or a folder; this device is enrolled with no server")
    if Path(named).is_dir():
        return FolderSource(Path(named))
    if "://" not in named:
        raise ParameterError("--from", named, "an address, or a folder that exists")
    tls = device.tls
    if args.ca is not None:
        tls = _context(args.ca.read_text(encoding="ascii"), args.certificate, args.key)
    return HttpSource(named, tls)


def _context(ca_pem: str, certificate: Any, key: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=ca_pem)
    if certificate is not None:
        # Without a usable certificate the server says what to do; the stick works in any case.
        with suppress(OSError):
            context.load_cert_chain(certificate, key, password="")
    return context
