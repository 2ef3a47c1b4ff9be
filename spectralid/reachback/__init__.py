"""Reachback: the server that takes in packets, the chemists who answer, the laboratory that confirms.

Names load when first used: the line to a server needs no server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spectralid._lazy import lazy

if TYPE_CHECKING:
    from spectralid.reachback.api.trial import TrialServer as TrialServer
    from spectralid.reachback.bench.workbench import Workbench as Workbench
    from spectralid.reachback.client import connect as connect

_WHERE = {"TrialServer": "api.trial", "Workbench": "bench.workbench", "connect": "client"}

__all__ = ["TrialServer", "Workbench", "connect"]

__getattr__, __dir__ = lazy(__name__, _WHERE, __all__)
