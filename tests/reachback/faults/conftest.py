"""Where databases that die a thousand times are kept: in memory, if the system lets us."""

import pytest

from tests.casework.powercut.conftest import ram

__all__ = ["ram"]

pytest.register_assert_rewrite("tests.reachback.faults.kills")
