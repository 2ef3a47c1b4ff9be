"""``spectralid library fetch``."""

from __future__ import annotations

from typing import Any

__all__ = ["add_parsers"]


def add_parsers(commands: Any) -> None:
    """Register the sub-command."""
