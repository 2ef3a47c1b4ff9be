"""Sizes of validation studies, against binomial sums."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.errors import ParameterError
from spectralid.qa.planning import claimable_rate, samples_needed


@pytest.mark.parametrize(("rate", "n"), [(0.95, 59), (0.99, 299), (0.9, 29), (0.5, 5)])
def test_without_failures(rate: float, n: int) -> None:
    assert samples_needed(rate) == n


@given(st.floats(0.5, 0.99), st.floats(0.6, 0.99), st.integers(0, 4))
def test_it_is_the_smallest_that_shows_the_rate(rate: float, confidence: float, failures: int) -> None:
    """With one sample fewer, a method that just misses the rate would pass too often."""

    def passes(n: int) -> float:
        return sum(math.comb(n, k) * (1 - rate) ** k * rate ** (n - k) for k in range(failures + 1))

    n = samples_needed(rate, confidence=confidence, failures=failures)
    assert passes(n) <= (1 - confidence) * (1 + 1e-9)
    assert n == failures + 1 or passes(n - 1) > (1 - confidence) * (1 - 1e-9)
    assert claimable_rate(n, failures, confidence=confidence) >= rate * (1 - 1e-9)


@pytest.mark.parametrize(
    "wrong", [{"rate": 1.0}, {"rate": 0.9, "confidence": 1.0}, {"rate": 0.9, "failures": -1}]
)
def test_what_no_study_shows_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ParameterError):
        samples_needed(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ParameterError):
        samples_needed(1 - 1e-9)
