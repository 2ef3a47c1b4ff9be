"""Writing, signing and checking calibration records."""

from __future__ import annotations

import argparse
import base64
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.calibration import AxisCalibration, IntensityCorrection

__all__ = ["add_signing_options", "check_record", "write_record"]


def add_signing_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--key`` and ``--public-key``."""
    parser.add_argument(
        "--key", type=Path, metavar="KEY", help="sign the record; 'spectralid library keygen' makes keys"
    )
    parser.add_argument(
        "--public-key", type=Path, metavar="PUB", help="with --check: who should have signed the record"
    )


def write_record(args: argparse.Namespace, record: AxisCalibration | IntensityCorrection) -> str:
    """Write the record, signed where there is a key; the id of the key, or nothing.

    Raises
    ------
    ParameterError
        If the file is there already.
    """
    signature: dict[str, Any] | None = None
    if args.key:
        from spectralid.calibration._envelope import ALGORITHM, signed_bytes
        from spectralid.library.signing import key_id, read_private_key

        private = read_private_key(args.key)
        id = key_id(private.public_key())
        value = base64.b64encode(private.sign(signed_bytes(id, record.sha256))).decode("ascii")
        signature = {"algorithm": ALGORITHM, "key_id": id, "value": value}
    try:
        with args.output.open("x", encoding="utf-8") as file:
            file.write(record.to_json(signature))
    except FileExistsError:
        raise ParameterError("--output", os.fspath(args.output), "a new file; records are kept") from None
    return signature["key_id"] if signature else ""


def check_record(args: argparse.Namespace) -> str:
    """Check the signature of `args.check` where there is a public key; the id of the key, or nothing.

    Raises
    ------
    SignatureError
        If it is not signed, with another key, or the signature does not hold.
    """
    if not args.public_key:
        return ""
    from spectralid.calibration._envelope import ALGORITHM, signed_bytes
    from spectralid.library.signing import SignatureError, key_id, read_public_key

    public = read_public_key(args.public_key)
    # The record has been read and holds; what is looked at here is only who vouches for it.
    document = json.loads(args.check.read_text(encoding="utf-8"))
    signature = document.get("signature")
    if not isinstance(signature, dict):
        raise SignatureError(f"{args.check}: the record is not signed.")
    given = key_id(public)
    if signature.get("algorithm") != ALGORITHM or signature.get("key_id") != given:
        raise SignatureError(
            f"{args.check}: it was signed with the key {signature.get('key_id')}, not with {given}."
        )
    from cryptography.exceptions import InvalidSignature

    try:
        value = base64.b64decode(str(signature.get("value")), validate=True)
        public.verify(value, signed_bytes(given, document["sha256"]))
    except (InvalidSignature, ValueError):
        raise SignatureError(f"{args.check}: the signature does not hold; do not use the record.") from None
    return given
