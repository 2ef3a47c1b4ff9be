"""Reachback: the server that takes in packets, the chemists who answer, the laboratory that confirms.

Names load when first used: the line to a server needs no server.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spectralid.reachback.api.trial import TrialServer as TrialServer
    from spectralid.reachback.bench.workbench import Workbench as Workbench
    from spectralid.reachback.client import connect as connect

_WHERE = {"TrialServer": "api.trial", "Workbench": "bench.workbench", "connect": "client"}

__all__ = ["TrialServer", "Workbench", "connect"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
