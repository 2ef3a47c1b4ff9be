"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

# Before numpy loads: one BLAS thread per process, as in production (docs/architecture.md).
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from tests.real_data import FOLDER  # noqa: E402

# Deadlines time code on a machine that others use too; derandomised so that CI fails only for a reason.
settings.register_profile("spectralid", deadline=None, derandomize=True)
settings.load_profile("spectralid")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real measured spectra; tests that need it skip where it is absent."""
    if not FOLDER.is_dir():
        pytest.skip(
            f"real measured spectra are not here ({FOLDER.name} folder absent; set SPECTRALID_SHARED)"
        )
    return FOLDER
