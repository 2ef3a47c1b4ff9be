"""Making room: the bytes of packets that the server holds may go, after a time; everything else stays.

Only a packet whose receipt verifies *now*, with a key trusted at enrolment, is ever touched. Its row stays as
a tombstone (number, SHA-256, the packet before, receipt), so that the chain still verifies and shows what was
here.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spectralid.casework import messages
from spectralid.casework.enrolment import trust_ever
from spectralid.casework.errors import PacketError
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.casework.store import CaseStore

__all__ = ["RetentionPolicy", "Swept", "sweep"]

# In each transaction; capture must not wait behind a long one.
_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long packets stay on the tablet after the server has them.

    Attributes
    ----------
    keep_days : float
        Days since the server's receipt, by signed times only: a wrong clock must not empty a tablet.
    """

    keep_days: float = 30.0

    def __post_init__(self) -> None:
        if not self.keep_days >= 0:
            raise ParameterError("keep_days", self.keep_days, "0 or more")


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did.

    Attributes
    ----------
    removed : int
        Packets whose bytes were removed.
    freed_bytes : int
        How much that was.
    refused : tuple of str
        Packets that looked removable and whose receipt does not hold, as sentences.
    """

    removed: int
    freed_bytes: int
    refused: tuple[str, ...]


def sweep(store: CaseStore, policy: RetentionPolicy) -> Swept:
    """Remove the bytes of packets that the server has had for longer than the policy says.

    Parameters
    ----------
    store : CaseStore
        Of the device.
    policy : RetentionPolicy
        What may go.

    Returns
    -------
    Swept
        Nothing is removed while no signed time is known.
    """
    latest = store.time.latest
    if latest is None:
        return Swept(0, 0, ())
    # typeof: for IS NOT NULL, SQLite reads all of a blob.
    found = store.read(
        "SELECT p.seq, p.packet_id, p.sha256, p.size FROM packets p "
        "JOIN outbox o ON o.packet_id = p.packet_id "
        "WHERE typeof(p.raw) <> 'null' AND o.state = 'received' AND o.receipt IS NOT NULL ORDER BY p.seq"
    )
    trust = trust_ever(store)
    before = latest - dt.timedelta(days=policy.keep_days)
    removable: list[tuple[int, str, int]] = []
    refused: list[str] = []
    for seq, packet_id, sha256, size in found:
        try:
            receipt = _receipt(store, packet_id, trust)
            if (receipt.seq, receipt.packet_sha256) != (seq, sha256):
                raise PacketError("it is for another packet.")
        except PacketError as error:
            refused.append(f"The packet {seq} is kept: its receipt does not hold ({error})")
            continue
        if messages.parse_utc(receipt.server_utc) <= before:
            removable.append((seq, packet_id, size))
    removed, freed = 0, 0
    for start in range(0, len(removable), _AT_ONCE):
        some = removable[start : start + _AT_ONCE]
        with store.transaction() as tx:
            gone = []
            for seq, packet_id, size in some:
                # Looked at again where nothing can come between: the server may have asked for it just now.
                cursor = tx.execute(
                    "UPDATE packets SET raw = NULL WHERE seq = ? AND typeof(raw) <> 'null' AND EXISTS "
                    "(SELECT 1 FROM outbox o WHERE o.packet_id = ? AND o.state = 'received')",
                    (seq, packet_id),
                )
                if cursor.rowcount == 1:
                    gone.append(seq)
                    freed += size
            if gone:
                store.custody.append(tx, "removed", {"seq": gone, "keep_days": policy.keep_days})
        removed += len(gone)
    return Swept(removed, freed, tuple(refused))


def _receipt(store: CaseStore, packet_id: str, trust: messages.Trust) -> messages.Receipt:
    ((raw,),) = store.read("SELECT receipt FROM outbox WHERE packet_id = ?", (packet_id,))
    return messages.parse_receipt(bytes(raw), trust)
