"""The recipe is a set of scripts, not a package: its folder goes on the path, for these tests alone."""

from __future__ import annotations

import sys
from pathlib import Path

_RECIPE = Path(__file__).resolve().parents[2] / "libraries" / "recipe"

if str(_RECIPE) not in sys.path:
    sys.path.insert(0, str(_RECIPE))
