"""Signed bytes: envelopes of the DSSE protocol, version 1.

What is signed is ``PAE(type, payload) = "DSSEv1" SP len(type) SP type SP len(payload) SP payload``: the bytes
themselves and what they are, so that a signature over a receipt is none over a packet. The envelope is JSON:
``{"payload": base64, "payloadType": "…", "signatures": [{"alg": "ed25519", "keyid": "…", "sig": base64}]}``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spectralid.casework.errors import PacketError, SignatureError
from spectralid.casework.manifest import MAX_MANIFEST, dumps, loads

if TYPE_CHECKING:
    from spectralid.casework.keys import PublicKey, SigningKey

__all__ = ["MAX_ENVELOPE", "Verified", "pae", "sign", "verify", "written"]

# Base64 adds a third; the rest is the signatures.
MAX_ENVELOPE: Final = MAX_MANIFEST * 4 // 3 + 8192
_MAX_SIGNATURES: Final = 8


@dataclass(frozen=True, slots=True)
class Verified:
    """What an envelope holds.

    Attributes
    ----------
    payload : bytes
        Exactly the bytes that were signed.
    payload_type : str
        What they are.
    keyid, algorithm, signature
        The signature that was verified; without keys, the first one.
    """

    payload: bytes
    payload_type: str
    keyid: str
    algorithm: str | None
    signature: bytes


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed (pre-authentication encoding)."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, payload_type: str, key: SigningKey) -> bytes:
    """An envelope over `payload`, as one line of JSON.

    Parameters
    ----------
    payload : bytes
        What is signed; at most `MAX_MANIFEST` bytes.
    payload_type : str
        What it is, as a media type.
    key : SigningKey
        By whom.

    Returns
    -------
    bytes
    """
    return written(payload, payload_type, key.keyid, key.algorithm, key.sign(pae(payload_type, payload)))


def written(payload: bytes, payload_type: str, keyid: str, algorithm: str | None, signature: bytes) -> bytes:
    """The one form in which `sign` writes an envelope."""
    return dumps(
        {
            "payload": base64.b64encode(payload).decode("ascii"),
            "payloadType": payload_type,
            "signatures": [
                {"alg": algorithm, "keyid": keyid, "sig": base64.b64encode(signature).decode("ascii")}
            ],
        }
    )


def verify(
    envelope: bytes, keys: Mapping[str, PublicKey] | None, *, payload_types: Collection[str]
) -> Verified:
    """The payload of an envelope, after its signature has been seen to hold.

    Parameters
    ----------
    envelope : bytes
        As `sign`, or another implementation of DSSE, wrote it.
    keys : mapping of str to PublicKey, or None
        The trusted keys by key id; one of them must have signed. ``None`` reads without verifying: for bytes
        whose origin is known otherwise.
    payload_types : collection of str
        What is accepted here.

    Returns
    -------
    Verified

    Raises
    ------
    SignatureError
        If no trusted key signed, or the signature does not hold.
    PacketError
        If it is no envelope, or holds something else than what is accepted.
    """
    payload, payload_type, signatures = _parse(envelope)
    if payload_type not in payload_types:
        expected = " or ".join(sorted(payload_types))
        raise PacketError(f"It holds {payload_type[:80]!r}, where {expected} is expected.")
    if keys is None:
        return Verified(payload, payload_type, *signatures[0])
    trusted = [s for s in signatures if s[0] in keys]
    if not trusted:
        raise SignatureError(
            f"It is signed with the key {signatures[0][0][:64]!r}, which is not trusted here; "
            "enrol it or refuse what it signed."
        )
    signed = pae(payload_type, payload)
    for keyid, algorithm, signature in trusted:
        key = keys[keyid]
        if algorithm not in (key.algorithm, None):
            raise SignatureError(
                f"The key {keyid} is for {key.algorithm}, and the signature states {algorithm[:40]!r}."
            )
        key.verify(signature, signed)
    return Verified(payload, payload_type, *trusted[0])


def _parse(envelope: bytes) -> tuple[bytes, str, list[tuple[str, str | None, bytes]]]:
    content = loads(envelope, max_bytes=MAX_ENVELOPE, max_depth=4)
    payload_type = content.get("payloadType")
    if not isinstance(payload_type, str):
        raise PacketError("It is no signed envelope: payloadType is missing.")
    listed = content.get("signatures")
    if not isinstance(listed, list) or not 1 <= len(listed) <= _MAX_SIGNATURES:
        raise PacketError(f"It is no signed envelope: 1 to {_MAX_SIGNATURES} signatures are expected.")
    return _bytes(content.get("payload"), "payload"), payload_type, [_signature(s) for s in listed]


def _signature(listed: Any) -> tuple[str, str | None, bytes]:
    if not isinstance(listed, dict) or not isinstance(keyid := listed.get("keyid"), str):
        raise PacketError("It is no signed envelope: a signature names no key.")
    algorithm = listed.get("alg")
    if not isinstance(algorithm, str | None):
        raise PacketError("It is no signed envelope: the algorithm of a signature is no text.")
    return keyid, algorithm, _bytes(listed.get("sig"), "sig")


def _bytes(text: Any, field: str) -> bytes:
    if isinstance(text, str):
        try:
            return base64.b64decode(text.encode("ascii"), validate=True)
        except (UnicodeEncodeError, binascii.Error):
            pass
    raise PacketError(f"It is no signed envelope: {field} is no base64.")
