"""The Spectrum value: what it accepts, what it refuses, and its identity."""

from __future__ import annotations

import hashlib
import math
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectralid import Acquisition, IntensityUnit, ProcessingStep, Spectrum, Technique
from spectralid.errors import InvalidSpectrumError, ParameterError

finite = st.floats(-1e12, 1e12, allow_subnormal=False)


def test_identity_is_the_documented_bytes() -> None:
    spectrum = Spectrum([1.0, 2.0], [3.0, math.nan], "raman", "counts")
    written_out = b"spectralid/1\nraman\ncounts\n" + struct.pack("<QQ", 2, 0)
    written_out += struct.pack("<4d", 1.0, 2.0, 3.0, math.nan)
    assert spectrum.sha256 == hashlib.sha256(written_out).hexdigest()


def test_identity_covers_what_was_measured_and_nothing_else() -> None:
    base = Spectrum([1, 2], [3, 4], Technique.RAMAN)
    assert base == base.replace(name="other", source="file", acquisition=Acquisition(serial="7"))
    assert base != base.replace(technique=Technique.FTIR)
    assert base != base.replace(unit=IntensityUnit.COUNTS)
    assert base != base.replace(intensity=[3, 5])
    assert base != base.replace(axis=[1, 2.5])
    assert base != base.replace(sd=[1, 1])


def test_one_identity_for_every_zero_and_every_nan() -> None:
    other_nan = np.frombuffer(struct.pack("<Q", 0x7FF8000000000123), dtype="<f8")[0]
    assert Spectrum([0.0, 1], [0.0, math.nan]).sha256 == Spectrum([-0.0, 1], [-0.0, other_nan]).sha256


def test_values_cannot_be_changed() -> None:
    values = np.array([3.0, 4.0])
    spectrum = Spectrum([1, 2], values)
    values[0] = 99
    assert spectrum.intensity[0] == 3
    with pytest.raises(ValueError, match="read-only"):
        spectrum.intensity[0] = 1
    with pytest.raises(AttributeError):
        spectrum.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        spectrum.acquisition.metadata["a"] = "b"  # type: ignore[index]


@pytest.mark.parametrize(
    ("axis", "intensity", "sentence"),
    [
        ([1.0], [1.0], "at least 2 points"),
        ([], [], "at least 2 points"),
        ([1, 2, 2], [1, 1, 1], "point 2 .2 cm⁻¹. does not lie above"),
        ([3, 2, 1], [1, 1, 1], "must ascend strictly"),
        ([1, math.nan, 3], [1, 1, 1], "not finite at point 1"),
        ([1, math.inf], [1, 1], "not finite at point 1"),
        ([1, 2], [1, math.inf], "infinite at 2 cm⁻¹"),
        ([1, 2], [math.nan, math.nan], "every point is missing"),
        ([1, 2, 3], [1, 2], "3 against 2 points"),
        ([[1, 2]], [[1, 2]], "one-dimensional"),
        (["a", "b"], [1, 2], "not a real number"),
        ([1, 2], [1j, 2], "complex numbers"),
        # As an array, numpy would drop the imaginary part with a warning.
        ([1, 2], np.array([1 + 1j, 2]), "complex numbers"),
        (np.array([1 + 0j, 2]), [1, 2], "axis holds complex numbers"),
    ],
)
def test_what_is_no_spectrum_is_refused_with_a_sentence(axis, intensity, sentence) -> None:
    with pytest.raises(InvalidSpectrumError, match=sentence):
        Spectrum(axis, intensity)


def test_an_unknown_technique_or_unit_is_an_error_of_the_family() -> None:
    with pytest.raises(ParameterError, match="technique must be one of raman"):
        Spectrum([1, 2], [1, 2], technique="foo")
    with pytest.raises(ParameterError, match="unit must be one of counts"):
        Spectrum([1, 2], [1, 2], unit="furlongs")


def test_negative_or_mismatched_standard_deviation_is_refused() -> None:
    with pytest.raises(InvalidSpectrumError, match="negative"):
        Spectrum([1, 2], [1, 2], sd=[1, -1])
    with pytest.raises(InvalidSpectrumError, match="standard deviation differ in length"):
        Spectrum([1, 2], [1, 2], sd=[1])


def test_descending_points_are_turned_round_without_remark() -> None:
    spectrum = Spectrum.from_points([3, 2, 1], [30, 20, 10], sd=[3, 2, 1])
    assert spectrum.axis.tolist() == [1, 2, 3]
    assert spectrum.intensity.tolist() == [10, 20, 30]
    assert spectrum.sd is not None
    assert spectrum.sd.tolist() == [1, 2, 3]
    assert spectrum.history == ()


def test_overlapping_segments_are_merged_and_recorded() -> None:
    spectrum = Spectrum.from_points([1, 2, 3, 2, 3, 4], [1, 2, 3, 4, math.nan, 6], sd=[1, 3, 1, 4, 1, 1])
    assert spectrum.axis.tolist() == [1, 2, 3, 4]
    assert spectrum.intensity.tolist() == [1, 3, 3, 6]
    assert spectrum.sd is not None
    np.testing.assert_allclose(spectrum.sd, [1, 2.5, 1, 1])  # √(3² + 4²)/2 where two readings met
    assert spectrum.acquisition.flags == {"axis_reordered", "duplicates_merged"}
    (step,) = spectrum.history
    assert step.name == "merge_axis"
    assert dict(step.parameters) == {"points": 6, "distinct": 4, "reordered": True}


def test_repeated_axis_values_only() -> None:
    spectrum = Spectrum.from_points([4, 3, 3, 1], [1, 2, 4, 5])
    assert spectrum.axis.tolist() == [1, 3, 4]
    assert spectrum.intensity.tolist() == [5, 3, 1]
    assert spectrum.acquisition.flags == {"duplicates_merged"}
    with pytest.raises(InvalidSpectrumError, match="Every point lies at 5 cm⁻¹"):
        Spectrum.from_points([5, 5, 5], [1, 2, 3])


@given(
    hnp.arrays(np.float64, st.shared(st.integers(2, 30), key="n"), elements=finite),
    hnp.arrays(np.float64, st.shared(st.integers(2, 30), key="n"), elements=finite),
    st.randoms(use_true_random=False),
)
def test_order_of_points_never_matters(x, y, random) -> None:
    if np.unique(x).size < 2:
        return
    order = list(range(x.size))
    random.shuffle(order)
    one, other = Spectrum.from_points(x, y), Spectrum.from_points(x[order], y[order])
    np.testing.assert_array_equal(one.axis, other.axis)
    np.testing.assert_allclose(one.intensity, other.intensity, rtol=1e-12, atol=1e-3)


@given(
    hnp.arrays(np.float64, st.integers(2, 20), elements=finite, unique=True),
    st.sampled_from(list(Technique)),
    st.sampled_from(list(IntensityUnit)),
    st.text(max_size=5),
)
def test_dictionary_and_pickle_round_trips(x, technique, unit, name) -> None:
    y = np.where(np.arange(x.size) == 1, np.nan, x)
    step = ProcessingStep("crop", {"low": 1, "high": [2, None]}, "1.2")
    facts = Acquisition(laser_nm=785.0, flags=frozenset({"saturated"}), metadata={"a": "b"})
    before = Spectrum(np.sort(x), y, technique, unit, np.abs(x), facts, (step,), name, "somewhere")
    for after in (Spectrum.from_dict(before.to_dict()), pickle.loads(pickle.dumps(before))):
        assert after == before
        assert after.to_dict() == before.to_dict()
        assert not after.intensity.flags.writeable


def test_changed_values_are_noticed_when_loading() -> None:
    data = Spectrum([1, 2], [3, 4]).to_dict()
    data["intensity"][0] = 3.5
    with pytest.raises(InvalidSpectrumError, match="its values were changed"):
        Spectrum.from_dict(data)


def test_processing_appends_to_the_history_and_drops_a_stale_uncertainty() -> None:
    raw = Spectrum([1, 2, 3], [1, 2, 3], sd=[1, 1, 1])
    step = ProcessingStep("snv")
    changed = raw.processed(step, intensity=[0, 1, 2], flags=["cropped"])
    assert changed.history == (step,)
    assert changed.sd is None
    assert changed.acquisition.flags == {"cropped"}
    assert raw.history == ()
    assert raw.intensity.tolist() == [1, 2, 3]
    assert raw.processed(step, unit=IntensityUnit.COUNTS).sd is not None


def test_history_parameters_must_be_storable() -> None:
    with pytest.raises(TypeError):
        ProcessingStep("x", {"array": np.zeros(2)})


def test_techniques_that_may_be_compared() -> None:
    assert Technique.FTIR.is_comparable(Technique.FTIR_ATR)
    assert Technique.RAMAN.is_comparable(Technique.RAMAN)
    assert not Technique.RAMAN.is_comparable(Technique.FTIR_ATR)
    assert not Technique.UNKNOWN.is_comparable(Technique.UNKNOWN)
    assert Technique.parse(" FTIR-ATR ") is Technique.FTIR_ATR
    with pytest.raises(ParameterError, match="technique must be one of raman"):
        Technique.parse("nmr")


def test_unknown_acquisition_fields_are_kept() -> None:
    facts = Acquisition.from_dict({"serial": "A", "from_the_future": 3, "metadata": {"k": "v"}})
    assert facts.serial == "A"
    assert dict(facts.metadata) == {"k": "v", "from_the_future": "3"}
