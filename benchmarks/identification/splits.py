"""Which substances may be used to set anything, and which only to measure: frozen by hash before tuning."""

from __future__ import annotations

import hashlib
from typing import Literal

Part = Literal["development", "test"]


def part(slug: str) -> Part:
    """Part of a substance, by the SHA-256 of its slug: about half of all are for development.

    Mismatch, thresholds, calibration and class subspaces may rest on queries of development substances
    alone; every published figure is of test substances.
    """
    return "development" if hashlib.sha256(slug.encode()).digest()[0] < 128 else "test"
