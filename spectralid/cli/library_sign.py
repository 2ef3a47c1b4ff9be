"""``spectralid library keygen``, ``sign`` and ``verify``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json
from spectralid.cli._output import add_force_option, check_new
from spectralid.errors import ParameterError

__all__ = ["add_parsers"]


def add_parsers(commands: Any) -> None:
    """Register the sub-commands."""
    verify = commands.add_parser(
        "verify",
        help="check every checksum, and a signature; exit code 4 if anything is wrong",
        description="Check every checksum of a library and, where one is given, its signature; exit code 4 "
        "if anything is damaged, naming the entries, or the signature does not hold.",
    )
    verify.add_argument(
        "library", metavar="LIB", nargs="?", default="spectralid",
        help="library file or name of a bundled library (default: %(default)s)",
    )  # fmt: skip
    verify.add_argument("--signature", type=Path, metavar="SIG", help="signature file")
    verify.add_argument(
        "--public-key", type=Path, metavar="PUB", help="public key of who should have signed; goes with it"
    )
    verify.add_argument("--json", action="store_true", help="print the result as JSON")
    verify.set_defaults(run=_verify)

    sign = commands.add_parser(
        "sign",
        help="sign a library with an Ed25519 key",
        description="Check a library and write a detached Ed25519 signature over its identity.",
    )
    sign.add_argument("library", metavar="LIB", help="library file or name of a bundled library")
    sign.add_argument("--key", type=Path, required=True, metavar="KEY", help="private key, see 'keygen'")
    sign.add_argument(
        "--output", "-o", type=Path, metavar="SIG", help="signature file (default: LIB with .sig.json)"
    )
    add_force_option(sign)
    sign.add_argument("--json", action="store_true", help="print the signature as JSON")
    sign.set_defaults(run=_sign)

    keygen = commands.add_parser(
        "keygen",
        help="make a key pair for signing",
        description="Write a private key, readable by its owner only, and the public key beside it (.pub). "
        "Give the public key to those who check; keep the private one where nobody else can read it.",
    )
    keygen.add_argument("key", metavar="KEY", type=Path, help="file of the private key; must be new")
    keygen.add_argument("--json", action="store_true", help="print the result as JSON")
    keygen.set_defaults(run=_keygen)


def _verify(args: argparse.Namespace) -> int:
    from spectralid.library import open_library, verify_library, verify_signature

    if (args.signature is None) != (args.public_key is None):
        raise ParameterError("signature", args.signature, "given together with --public-key")
    problems = verify_library(args.library)
    signed = None
    if args.signature is not None and not problems:
        signed = verify_signature(open_library(args.library), args.signature, args.public_key)
    if args.json:
        signer = {"signed_by": signed.key_id} if signed else {}
        print_json({"library": args.library, "intact": not problems, "problems": list(problems), **signer})
    elif problems:
        for problem in problems:
            print(f"spectralid: {problem}", file=sys.stderr)
    else:
        print(f"{args.library}: intact, every checksum holds.")
        if signed:
            print(f"Signed with the key {signed.key_id}: {signed.name} {signed.version}.")
    return Exit.LIBRARY if problems else Exit.IDENTIFIED


def _sign(args: argparse.Namespace) -> int:
    from spectralid.library import open_library, sign_library
    from spectralid.library.signing import beside

    library = open_library(args.library)
    output = args.output or beside(library.path)
    check_new(args, output)
    signature = sign_library(library, args.key, output)
    if args.json:
        print_json({"file": str(output), **signature.to_dict()})
    else:
        print(f"{output}: {library.name} {library.version} signed with the key {signature.key_id}.")
    return Exit.IDENTIFIED


def _keygen(args: argparse.Namespace) -> int:
    from spectralid.library import generate_key

    id = generate_key(args.key)
    if args.json:
        print_json({"key_id": id, "private_key": str(args.key), "public_key": f"{args.key}.pub"})
    else:
        print(f"Key {id}: {args.key} (private, keep it safe) and {args.key}.pub (public).")
    return Exit.IDENTIFIED
