"""The record of field work: sealed packets, custody log, outbox, and what comes back.

Names load when first used: nothing here needs numpy, and reading a packet needs no store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spectralid._lazy import lazy

if TYPE_CHECKING:
    from spectralid.casework.facts import Draft as Draft
    from spectralid.casework.packet import Blob as Blob
    from spectralid.casework.packet import Packet as Packet
    from spectralid.casework.packet import open_packet as open_packet
    from spectralid.casework.store import CaseStore as CaseStore

_WHERE = {
    "Blob": "packet",
    "CaseStore": "store",
    "Draft": "facts",
    "Packet": "packet",
    "open_packet": "packet",
}

__all__ = ["Blob", "CaseStore", "Draft", "Packet", "open_packet"]

__getattr__, __dir__ = lazy(__name__, _WHERE, __all__)
