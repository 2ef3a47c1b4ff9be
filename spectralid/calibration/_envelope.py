"""How a calibration is written down: a JSON file that knows its own SHA-256 and may carry a signature.

``{"format": …, "version": 1, "sha256": …, "calibration": {…}, "signature": {…}}``. The SHA-256 is that of the
canonical JSON (sorted keys, no spaces, UTF-8) of ``calibration``. Who signs is not decided here: the
signature is handed through as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from spectralid.errors import UnreadableFileError

__all__ = ["identity", "unwrap", "wrap"]

VERSION: Final = 1
LARGEST: Final = 16 * 1024 * 1024


def identity(calibration: Mapping[str, Any]) -> str:
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
        If it is none, of another version, or does not have the SHA-256 it states.
    """
    try:
        document = json.loads(text)
        format, version = document["format"], document["version"]
        stated, calibration = document["sha256"], document["calibration"]
        signature = document.get("signature")
        if not isinstance(format, str) or not isinstance(calibration, dict):
            raise TypeError
        actual = identity(calibration)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UnreadableFileError("it is no calibration record of spectralid.", file=file) from None
    if version != VERSION:
        raise UnreadableFileError(
            f"it is a calibration record of version {version!r}; this spectralid reads version {VERSION}.",
            file=file,
        )
    if stated != actual:
        raise UnreadableFileError(
            "the calibration record was changed after it was made (its SHA-256 does not hold); "
            "calibrate again.",
            file=file,
        )
    return format, calibration, signature if isinstance(signature, dict) else None
