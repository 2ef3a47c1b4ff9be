"""The record of field work: sealed packets, custody log, outbox, and what comes back.

Names load when first used: nothing here needs numpy, and reading a packet needs no store.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
