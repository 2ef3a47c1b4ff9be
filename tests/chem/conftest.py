"""What only these tests share."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def facts(shared_data: Path):
    """Rows of a table of the collected facts; skips where the folder is absent."""
    folder = shared_data.parent / "facts"
    if not folder.is_dir():
        pytest.skip("the collected facts are not here")

    def rows(name: str) -> list[dict[str, str]]:
        with (folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    return rows
