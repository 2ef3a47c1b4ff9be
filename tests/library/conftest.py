"""What several tests of the library room share."""

from __future__ import annotations

import pytest

from tests.library.web import Site


@pytest.fixture
def site(monkeypatch):
    """A web server on this machine, reached directly whatever proxy the environment names."""
    monkeypatch.setenv("no_proxy", "*")
    started = Site()
    yield started
    started.close()
