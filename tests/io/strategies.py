"""Spectra for property tests of the formats that must give back exactly what was written."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from spectralid.spectrum import (
    Acquisition,
    FloatArray,
    IntensityUnit,
    ProcessingStep,
    Spectrum,
    Technique,
)

_NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)
_WORDS = st.text(st.characters(codec="utf-8"), max_size=20)


def axes() -> st.SearchStrategy[FloatArray]:
    """Ascending axes, evenly spaced or not."""
    return st.lists(st.floats(-5000, 15000, allow_nan=False), min_size=2, max_size=30, unique=True).map(
        lambda v: np.array(sorted(v))
    )


@st.composite
def acquisitions(draw: st.DrawFn) -> Acquisition:
    """Acquisition facts, any of them unknown."""
    positive = st.none() | st.floats(1e-3, 1e6)
    return Acquisition(
        instrument=draw(_WORDS),
        laser_nm=draw(positive),
        integration_ms=draw(positive),
        averages=draw(st.none() | st.integers(1, 1000)),
        time=draw(_WORDS),
        flags=frozenset(draw(st.lists(_WORDS, max_size=2))),
        metadata=draw(st.dictionaries(_WORDS, _WORDS, max_size=3)),
    )


@st.composite
def spectra(draw: st.DrawFn, axis: FloatArray | None = None) -> Spectrum:
    """Spectra with missing points, standard deviations, facts and a history."""
    x = draw(axes()) if axis is None else axis
    values = draw(npst.arrays(np.float64, x.size, elements=_NUMBERS))
    missing = draw(npst.arrays(np.bool_, x.size))
    missing[draw(st.integers(0, x.size - 1))] = False
    sd = draw(st.none() | npst.arrays(np.float64, x.size, elements=st.floats(0, 1e9)))
    history = [ProcessingStep("smooth", {"window": draw(st.integers(3, 99)), "note": draw(_WORDS)}, "1.2")]
    return Spectrum(
        axis=x,
        intensity=np.where(missing, np.nan, values),
        technique=draw(st.sampled_from(Technique)),
        unit=draw(st.sampled_from(IntensityUnit)),
        sd=sd,
        acquisition=draw(acquisitions()),
        history=history if draw(st.booleans()) else [],
        name=draw(_WORDS),
        source=draw(_WORDS),
    )


def assert_same(found: Spectrum, wanted: Spectrum) -> None:
    """Values, facts and history are those that were written."""
    assert found.sha256 == wanted.sha256
    assert found.to_dict() == wanted.to_dict()
