import pytest

# So that what its assertions compared is shown, as for those of a test.
pytest.register_assert_rewrite("tests.devices.fault_cases")
