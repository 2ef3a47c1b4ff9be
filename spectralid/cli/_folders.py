"""Where things are kept unless somebody says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["TABLET_FOLDER"]

TABLET_FOLDER: Final = Path.home() / ".spectralid" / "tablet"
"""The record of a tablet."""
