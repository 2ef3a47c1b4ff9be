"""The bundled library and the engine, once for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spectralid import open_library
from spectralid.identify import Identifier


@pytest.fixture(scope="package")
def engine() -> Iterator[Identifier]:
    with open_library() as library:
        yield Identifier(library)
