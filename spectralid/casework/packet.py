"""Packets (``.sidpkt``): one immutable, signed byte string per thing that happened.

::

    SIDPKT/1 ⏎
    {"payload":"…","payloadType":"application/vnd.spectralid.packet+json","signatures":[…]} ⏎
    blob blob …                                   in the order, and of the sizes, that the manifest lists

The payload is the manifest (`spectralid.casework.manifest`). The signature covers its bytes, and through the
SHA-256 of each blob everything after it; the envelope has one byte form only. So every byte of a packet is
covered, and the same bytes travel by HTTPS, USB stick or e-mail. They are never serialised again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from spectralid.casework import dsse
from spectralid.casework.errors import PacketError, SignatureError, UnknownSchemaError
from spectralid.casework.manifest import GENESIS, SCHEMA, check, dumps, loads

if TYPE_CHECKING:
    from spectralid.casework.keys import PublicKey, SigningKey

__all__ = [
    "GENESIS",
    "MAGIC",
    "MAX_BLOBS",
    "MAX_FLOATS",
    "MAX_PACKET",
    "PAYLOAD_TYPE",
    "SCHEMA",
    "SUFFIX",
    "Blob",
    "Packet",
    "PacketError",
    "SignatureError",
    "UnknownSchemaError",
    "open_packet",
    "seal",
]

SUFFIX: Final = ".sidpkt"
MAGIC: Final = b"SIDPKT/1\n"
PAYLOAD_TYPE: Final = "application/vnd.spectralid.packet+json"
MAX_PACKET: Final = 8 * 1024 * 1024
MAX_BLOBS: Final = 16
MAX_FLOATS: Final = 2_000_000

_FUTURE: Final = re.compile(rb"SIDPKT/[0-9]{1,9}\n")
_UNSAFE: Final = re.compile(r"[^\w .()+,@=-]")


@dataclass(frozen=True)
class Blob:
    """Bytes that travel with a manifest.

    Parameters
    ----------
    data : bytes
        What it is.
    media_type : str
        Lower case, without parameters.
    name : str
        The file name it had, if any; made harmless on sealing and never used as a path.
    """

    data: bytes
    media_type: str
    name: str = ""

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of `data`, 64 hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that was read.

    Attributes
    ----------
    raw : bytes
        All of it, as it travels.
    sha256 : str
        Of `raw`: what receipts and the next packet of the device name it by.
    payload : bytes
        The manifest, byte for byte as signed.
    manifest : mapping
        The payload, read. Not to be changed.
    blobs : tuple of Blob
        In the order of the manifest.
    keyid : str
        The key that signed.
    packet_id, device_id, seq, prev, kind
        From the manifest.
    """

    raw: bytes = field(repr=False)
    sha256: str
    payload: bytes = field(repr=False)
    manifest: Mapping[str, Any] = field(repr=False)
    blobs: tuple[Blob, ...] = field(repr=False)
    keyid: str
    packet_id: str
    device_id: str
    seq: int
    prev: str
    kind: str

    def blob(self, sha256: str) -> bytes:
        """The bytes of a blob that the manifest refers to.

        Raises
        ------
        PacketError
            If there is none with this SHA-256.
        """
        for blob in self.blobs:
            if blob.sha256 == sha256:
                return blob.data
        raise PacketError(f"The packet {self.packet_id} holds no blob {sha256[:12]}….")


def seal(manifest: Mapping[str, Any], blobs: Iterable[Blob], key: SigningKey) -> bytes:
    """A packet from a manifest and its blobs.

    Parameters
    ----------
    manifest : mapping
        Without ``blobs``, which is filled in here. Of two blobs with the same bytes one is kept.
    blobs : iterable of Blob
        What the manifest refers to by SHA-256.
    key : SigningKey
        Of the device.

    Returns
    -------
    bytes

    Raises
    ------
    PacketError
        If `open_packet` would refuse it.
    """
    kept = tuple({blob.sha256: blob for blob in blobs}.values())
    listed = [
        {"sha256": b.sha256, "size": len(b.data), "media_type": b.media_type, "name": _harmless(b.name)}
        for b in kept
    ]
    payload = dumps({**manifest, "blobs": listed})
    # Read back, so that nothing is ever signed that a reader would refuse.
    body = b"".join(blob.data for blob in kept)
    _blobs(_manifest(payload), body)
    raw = MAGIC + dsse.sign(payload, PAYLOAD_TYPE, key) + b"\n" + body
    _limit(len(raw))
    return raw


def open_packet(data: bytes, keys: Mapping[str, PublicKey] | None) -> Packet:
    """Read a packet, refusing whatever is not exactly one sound packet.

    Parameters
    ----------
    data : bytes
        All of it.
    keys : mapping of str to PublicKey, or None
        The trusted keys by key id. ``None`` reads without verifying the signature: only for bytes whose
        SHA-256 was verified already.

    Returns
    -------
    Packet

    Raises
    ------
    UnknownSchemaError
        If it was made by a newer version (its signature holds, where that can be told): keep it aside.
    SignatureError
        If no trusted key signed it, or it was changed.
    PacketError
        If it is damaged, exceeds a limit, or is no packet.
    """
    _limit(len(data))
    if not data.startswith(MAGIC):
        if _FUTURE.match(data):
            raise UnknownSchemaError("The packet is of a newer format; keep it and update.")
        raise PacketError("It is no packet: it does not begin as one.")
    end = data.find(b"\n", len(MAGIC), len(MAGIC) + dsse.MAX_ENVELOPE + 1)
    if end < 0:
        raise PacketError("It is no packet: the envelope does not end.")
    envelope = data[len(MAGIC) : end]
    read = dsse.verify(envelope, keys, payload_types={PAYLOAD_TYPE})
    written = dsse.written(read.payload, read.payload_type, read.keyid, read.algorithm, read.signature)
    # Base64 and JSON have several forms for the same content; with one only, no byte can be changed unseen.
    if read.algorithm is None or written != envelope:
        raise PacketError(
            "The envelope of the packet is not in its one form; it was written again on its way."
        )
    manifest = _manifest(read.payload)
    return Packet(
        raw=data,
        sha256=hashlib.sha256(data).hexdigest(),
        payload=read.payload,
        manifest=manifest,
        blobs=tuple(_blobs(manifest, data[end + 1 :])),
        keyid=read.keyid,
        **{name: manifest[name] for name in ("packet_id", "device_id", "seq", "prev", "kind")},
    )


def _limit(size: int) -> None:
    if size > MAX_PACKET:
        raise PacketError(f"The packet has {size} bytes; at most {MAX_PACKET} are allowed.")


def _manifest(payload: bytes) -> dict[str, Any]:
    manifest = loads(payload)
    check(manifest)
    return manifest


def _blobs(manifest: Mapping[str, Any], body: bytes) -> list[Blob]:
    """The blobs in `body`, after every size, hash and reference has been seen to agree."""
    listed = manifest["blobs"]
    if sum(entry["size"] for entry in listed) != len(body):
        raise PacketError(
            "The packet is cut off or has bytes too many: the blobs are not of the sizes stated."
        )
    blobs, start = [], 0
    for entry in listed:
        blob = Blob(body[start : start + entry["size"]], entry["media_type"], entry.get("name", ""))
        if blob.sha256 != entry["sha256"]:
            raise PacketError(f"The blob {entry['sha256'][:12]}… of the packet is damaged.")
        if blob.name != _harmless(blob.name):
            raise PacketError(
                f"The blob {entry['sha256'][:12]}… of the packet has a name that is not allowed."
            )
        blobs.append(blob)
        start += entry["size"]
    sizes = {blob.sha256: len(blob.data) for blob in blobs}
    if len(sizes) != len(blobs):
        raise PacketError("The packet holds the same blob twice.")
    _spectra(manifest.get("spectra", ()), sizes)
    for sha256 in _references(manifest):
        if sha256 not in sizes:
            raise PacketError(
                f"The manifest refers to the blob {sha256[:12]}…, which the packet does not hold."
            )
    return blobs


def _spectra(spectra: Iterable[Mapping[str, Any]], sizes: Mapping[str, int]) -> None:
    floats = 0
    for number, entry in enumerate(spectra, 1):
        if (entry.get("x_blob") is None) == (entry.get("x0") is None or not entry.get("dx")):
            raise PacketError(f"The spectrum {number} needs its axis: either x_blob, or x0 and a step dx.")
        width = int(entry["dtype"][-1])
        for sha256 in (entry[name] for name in _ARRAYS if entry.get(name) is not None):
            if sizes.get(sha256, entry["n"] * width) != entry["n"] * width:
                raise PacketError(
                    f"The spectrum {number} has {entry['n']} points and a blob of another length."
                )
            floats += entry["n"]
    if floats > MAX_FLOATS:
        raise PacketError(f"The spectra have {floats} numbers; at most {MAX_FLOATS} are allowed.")


_ARRAYS: Final = ("blob", "x_blob", "sd_blob", "dark", "background")


def _references(manifest: Mapping[str, Any]) -> Iterator[str]:
    for entry in manifest.get("spectra", ()):
        yield from (entry[name] for name in (*_ARRAYS, "header_blob") if entry.get(name) is not None)
    if original := manifest.get("original"):
        yield original["blob"]
    yield from (photo["blob"] for photo in manifest.get("photos", ()))


def _harmless(name: str) -> str:
    """A file name without what a file system, a shell or a page could take for more than a name."""
    return _UNSAFE.sub("_", name).lstrip(". ")[:120]
