"""Exact intervals of counted shares."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.errors import ParameterError
from spectralid.proportion import clopper_pearson

cases = st.integers(1, 400).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))


@given(cases, st.floats(0.5, 0.999))
def test_at_either_end_the_counts_are_just_not_too_unlikely(case: tuple[int, int], confidence: float) -> None:
    """Binomial tails, summed by hand."""
    hits, of = case
    low, high = clopper_pearson(hits, of, confidence=confidence)

    def tail(p: float, values: range) -> float:
        return sum(math.comb(of, k) * p**k * (1 - p) ** (of - k) for k in values)

    if hits:
        assert tail(low, range(hits, of + 1)) == pytest.approx((1 - confidence) / 2, rel=1e-6)
    else:
        assert low == 0
    if hits < of:
        assert tail(high, range(hits + 1)) == pytest.approx((1 - confidence) / 2, rel=1e-6)
    else:
        assert high == 1
    assert low <= hits / of <= high


@pytest.mark.parametrize(
    ("hits", "of", "confidence"), [(-1, 5, 0.95), (6, 5, 0.95), (0, 0, 0.95), (1, 5, 0.0), (1, 5, 1.0)]
)
def test_impossible_counts_are_refused(hits: int, of: int, confidence: float) -> None:
    with pytest.raises(ParameterError):
        clopper_pearson(hits, of, confidence=confidence)
