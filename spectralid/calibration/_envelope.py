"""How a calibration is written down: a JSON file that knows its own SHA-256 and may carry a signature.

``{"format": …, "version": 1, "sha256": …, "calibration": {…}, "signature": {…}}``. The SHA-256 is that of the
canonical JSON (sorted keys, no spaces, UTF-8) of ``calibration``; of a record with ``"needs_engine"``, the
oldest spectralid that understands it, that of ``[calibration, needs_engine]``. Whose signature counts is not
decided here: the signature is handed through as it is. It is of ``spectralid-calibration-signature-v1``, a
zero byte, the id of the key, a zero byte and the SHA-256 in hexadecimal digits: with it the record is whole,
and it is good for nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from spectralid.errors import UnreadableFileError
from spectralid.vouching import NotVouchedError, TrustedKeys, engine_problem

__all__ = ["ALGORITHM", "identity", "signed_bytes", "unwrap", "vouch", "wrap"]

ALGORITHM: Final = "ed25519"

VERSION: Final = 1
LARGEST: Final = 16 * 1024 * 1024
_DOMAIN: Final = b"spectralid-calibration-signature-v1\x00"
# A key nobody knows may be one that a damage made of "needs_engine".
_KEYS: Final = frozenset({"format", "version", "sha256", "calibration", "signature", "needs_engine"})


def signed_bytes(key: str, sha256: str) -> bytes:
    """The bytes that the key of that id signs for the record of that SHA-256."""
    return _DOMAIN + key.encode("ascii") + b"\x00" + sha256.encode("ascii")


def identity(calibration: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of a calibration."""
    text = json.dumps(calibration, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def wrap(format: str, calibration: Mapping[str, Any], signature: Mapping[str, Any] | None = None) -> str:
    """The JSON text of a calibration."""
    document = {
        "format": format,
        "version": VERSION,
        "sha256": identity(calibration),
        "calibration": calibration,
        **({"signature": signature} if signature else {}),
    }
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def unwrap(text: str, *, file: str) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    """Format, calibration and signature of a JSON text.

    Raises
    ------
    UnreadableFileError
        If it is none, of another version, needs a newer spectralid, or does not have the SHA-256 it states.
    """
    try:
        document = json.loads(text)
        format, version = document["format"], document["version"]
        stated, calibration = document["sha256"], document["calibration"]
        signature, needs = document.get("signature"), document.get("needs_engine")
        if not isinstance(format, str) or not isinstance(calibration, dict):
            raise TypeError
        actual = identity(calibration if needs is None else [calibration, needs])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UnreadableFileError("it is no calibration record of spectralid.", file=file) from None
    if version != VERSION:
        raise UnreadableFileError(
            f"it is a calibration record of version {version!r}; this spectralid reads version {VERSION}.",
            file=file,
        )
    if stated != actual or not _KEYS.issuperset(document):
        raise UnreadableFileError(
            "the calibration record was changed after it was made (its SHA-256 does not hold); "
            "calibrate again.",
            file=file,
        )
    if problem := engine_problem(needs):
        raise UnreadableFileError(problem, file=file)
    return format, calibration, signature if isinstance(signature, dict) else None


def vouch(text: str, trusted: TrustedKeys, *, file: str) -> str:
    """Id of the trusted key that signed a record; empty where no key is trusted.

    Raises
    ------
    NotVouchedError
        If keys are trusted and none of them has signed it.
    UnreadableFileError
        As `unwrap`.
    """
    if not trusted:
        return ""
    _, _, signature = unwrap(text, file=file)
    why = "it is not signed"
    if signature is not None:
        try:
            id, value = str(signature["key_id"]), base64.b64decode(signature["value"], validate=True)
            signed = signed_bytes(id, str(json.loads(text)["sha256"]))
        except (KeyError, TypeError, ValueError):
            why = "its signature cannot be read"
        else:
            known = signature.get("algorithm") == ALGORITHM
            why = trusted.verify(id, value, signed) if known else "its signature is of an unknown algorithm"
            if not why:
                return id
    raise NotVouchedError(
        f"{why}, and keys are trusted here: a calibration has to be signed by one of them "
        "('spectralid trust list').",
        file=file,
    )
