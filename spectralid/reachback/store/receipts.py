"""What the server signs beside answers: receipts, the time, and the request to hand packets over again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from spectralid.casework import dsse
from spectralid.casework.clock import to_text
from spectralid.casework.manifest import dumps

if TYPE_CHECKING:
    from spectralid.reachback.store.serverkeys import ServerKeys

__all__ = ["RECEIPT_TYPE", "check_receipt", "message", "missing", "receipt", "time"]

_TYPE: Final = "application/vnd.spectralid.{}+json"
RECEIPT_TYPE: Final = _TYPE.format("receipt")


def message(name: str, body: dict[str, Any], keys: ServerKeys) -> bytes:
    """A message of the server (`spectralid.casework.messages`), signed."""
    return dsse.sign(dumps({"schema": f"spectralid.{name}/1", **body}), _TYPE.format(name), keys.signing)


def receipt(
    keys: ServerKeys,
    *,
    sha256: str,
    device_id: str,
    seq: int,
    case: str,
    now: datetime,
    audit_n: int,
    checkpoint: str,
) -> bytes:
    """The server's word that it holds exactly this packet.

    Parameters
    ----------
    keys : ServerKeys
        Whom the server signs as.
    sha256, device_id, seq
        Which packet.
    case : str
        What it was put into.
    now : datetime
        When.
    audit_n, checkpoint
        How far the audit log has come, for the device to witness.
    """
    body = {
        "packet_sha256": sha256,
        "device_id": device_id,
        "seq": seq,
        "case": case,
        "server_utc": to_text(now),
        "audit_n": audit_n,
        "checkpoint": checkpoint,
    }
    return message("receipt", body, keys)


def check_receipt(
    keys: ServerKeys, *, sha256: str, device_id: str, ipv_id: str, now: datetime, audit_n: int
) -> bytes:
    """The server's word that it holds exactly this record of an instrument's check.

    Parameters
    ----------
    keys : ServerKeys
        Whom the server signs as.
    sha256, device_id, ipv_id
        Which record.
    now : datetime
        When the receipt is given.
    audit_n : int
        Entry of the audit log that tells of it.
    """
    body = {"ipv_sha256": sha256, "device_id": device_id, "ipv_id": ipv_id, "audit_n": audit_n}
    return message("ipv-receipt", {**body, "server_utc": to_text(now)}, keys)


def time(keys: ServerKeys, *, now: datetime, nonce: str) -> bytes:
    """What time it is; `nonce` (at most 64 characters) repeats what the device sent."""
    return message("time", {"server_utc": to_text(now), "nonce": nonce}, keys)


def missing(
    keys: ServerKeys, *, device_id: str, now: datetime, packets: Sequence[tuple[int, str | None]]
) -> bytes:
    """The request to hand packets over again: number, and SHA-256 where it is still known."""
    listed = [{"seq": seq, "sha256": sha256} for seq, sha256 in packets]
    body = {"device_id": device_id, "server_utc": to_text(now), "packets": listed}
    return message("missing", body, keys)
