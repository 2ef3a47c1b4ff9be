"""The console's tests need one database only: what it stores is tested on both elsewhere."""

from __future__ import annotations

import pytest

from tests.reachback.console import world


@pytest.fixture
def kind():
    return "sqlite"


@pytest.fixture(scope="session")
def agency(tmp_path_factory):
    """The agency's library file; references are prepared once for all tests."""
    from spectralid.identify import Identifier

    found = world.agency_library(tmp_path_factory.mktemp("agency"))
    return Identifier(found, record=None, families=())
