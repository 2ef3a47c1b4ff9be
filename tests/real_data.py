"""Where the real collections are, if they are here."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(os.environ.get("SPECTRALID_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
