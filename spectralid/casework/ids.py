"""Names of packets: UUIDs of version 7 (RFC 9562), each greater than the one before."""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime

__all__ = ["next_id"]


def next_id(moment: datetime, after: str | None) -> str:
    """A UUIDv7 of `moment`, or directly behind `after` where that is later.

    Parameters
    ----------
    moment : datetime
        What the clock says.
    after : str or None
        The newest UUIDv7 given so far. A clock that was set back does not bring the order back.
    """
    tick = max(0, int(moment.timestamp() * 1000)) << 12
    if after is not None:
        number = uuid.UUID(after).int
        # The 12 bits behind the milliseconds count; full, they carry over into the milliseconds.
        tick = max(tick, ((number >> 80) << 12 | (number >> 64) & 0xFFF) + 1)
    milliseconds, count = tick >> 12 & 2**48 - 1, tick & 0xFFF
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | count << 64 | 2 << 62 | secrets.randbits(62)))
