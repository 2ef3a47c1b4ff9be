"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real measured spectra; tests that need it skip where it is absent."""
    path = Path(os.environ.get("SPECTRALID_SHARED", REPOSITORY.parent / "shared")) / "data"
    if not path.is_dir():
        pytest.skip(f"real measured spectra are not here ({path.name} folder absent; set SPECTRALID_SHARED)")
    return path
