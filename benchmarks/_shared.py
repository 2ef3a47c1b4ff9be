"""Where the real measured spectra are, for benchmarks that need them."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def shared_data() -> Path:
    """Folder of real spectra; ends the program with a sentence where it is absent."""
    base = Path(os.environ.get("SPECTRALID_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not (base / "data").is_dir():
        sys.exit(
            "The real measured spectra are not here; set SPECTRALID_SHARED to the folder that holds data/."
        )
    return base / "data"
