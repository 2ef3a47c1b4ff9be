"""``spectralid trust``: whose signatures count on this machine, and signing what goes to others."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json
from spectralid.errors import FileError, ParameterError
from spectralid.keys import key_id, read_public_key
from spectralid.vouching import KINDS, MACHINE, PERSON, sign_file

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "trust",
        help="whose signatures count here; sign policies, profiles and instrument models",
        description=(
            "Once a key is trusted, libraries, calibrations, policies, profiles and instrument models of "
            "your own are taken only if a trusted key has signed them. What comes with spectralid, and "
            "library releases, need no such signature. Keys are *.pub files in two folders: those of the "
            "machine in /etc/spectralid/trusted-keys, yours in ~/.spectralid/trusted-keys."
        ),
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listed = commands.add_parser("list", help="the keys that are trusted here")
    listed.add_argument("--json", action="store_true", help="print them as JSON")
    listed.set_defaults(run=_list)
    add = commands.add_parser("add", help="trust a key from now on")
    add.add_argument("key", type=Path, metavar="PUB", help="public key, from somebody you know, in person")
    add.set_defaults(run=_add)
    sign = commands.add_parser(
        "sign",
        help="sign a file for those who trust your key",
        description="Write FILE.sig.json beside FILE. Libraries are signed by 'spectralid library sign', "
        "calibrations by 'spectralid calibrate --key'; 'spectralid library keygen' makes keys.",
    )
    sign.add_argument("kind", choices=KINDS, help="what the file is")
    sign.add_argument("file", type=Path, metavar="FILE", help="file to sign")
    sign.add_argument("--key", type=Path, required=True, metavar="KEY", help="private key")
    sign.set_defaults(run=_sign)


def _list(args: argparse.Namespace) -> int:
    found = [
        {"key_id": key_id(read_public_key(file)), "file": str(file)}
        for folder in (MACHINE, PERSON)
        for file in sorted(folder.glob("*.pub"))
    ]
    if args.json:
        print_json({"trusted": found})
    elif not found:
        print("No key is trusted here: files of your own need no signature.")
    else:
        for one in found:
            print(f"{one['key_id']}  {one['file']}")
    return Exit.IDENTIFIED


def _add(args: argparse.Namespace) -> int:
    id = key_id(read_public_key(args.key))
    place = PERSON / f"{id}.pub"
    if place.exists():
        raise ParameterError("PUB", str(args.key), f"a key that is not trusted yet; {id} is")
    try:
        PERSON.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(args.key, place)
    except OSError as error:
        raise FileError(f"it cannot be kept ({error.strerror}).", file=str(place)) from None
    print(f"Trusted: {id}. To end it, remove {place}.")
    return Exit.IDENTIFIED


def _sign(args: argparse.Namespace) -> int:
    print(f"{sign_file(args.kind, args.file, args.key)}: {args.file} is signed as a {args.kind}.")
    return Exit.IDENTIFIED
