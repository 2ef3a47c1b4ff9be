"""Ordinates, the ATR correction, cropping and marking against hand-computed values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid import Spectrum
from spectralid.errors import InvalidSpectrumError, ParameterError
from spectralid.preprocess import ATRCorrection, Convert, Crop, MarkMissing, penetration_depth, to_absorbance
from tests.preprocess._data import AXIS, absorbing, spectra


def converted(values: list[float], to: str, source: str) -> list[float]:
    return Convert(to, source).transform(np.array([values])).ravel().tolist()


def test_values_everyone_knows() -> None:
    assert converted([1.0, 0.1, 0.01], "absorbance", "transmittance") == pytest.approx([0, 1, 2])
    assert converted([100.0, 50.0], "absorbance", "percent_transmittance") == pytest.approx(
        [0, math.log10(2)]
    )
    assert converted([0.0, 3.0], "percent_transmittance", "absorbance") == pytest.approx([100, 0.1])
    assert converted([0.5, 1.0, 0.1], "kubelka_munk", "reflectance") == pytest.approx([0.25, 0, 4.05])
    assert converted([0.0, 0.25, 4.05, -0.01], "reflectance", "kubelka_munk") == pytest.approx(
        [1, 0.5, 0.1, 1]
    )


WAYS = [
    ("absorbance", "transmittance"),
    ("absorbance", "percent_transmittance"),
    ("transmittance", "percent_transmittance"),
    ("kubelka_munk", "reflectance"),
]


@pytest.mark.parametrize(("a", "b"), WAYS)
@given(values=st.lists(st.floats(1e-6, 1.0), min_size=2, max_size=20))
def test_there_and_back(a: str, b: str, values: list[float]) -> None:
    assert converted(converted(values, b, a), a, b) == pytest.approx(values, rel=1e-6, abs=1e-9)


def test_no_light_is_missing_and_flagged_not_infinite() -> None:
    raw = Spectrum([1000.0, 1001, 1002, 1003], [0.5, 0.0, -0.01, np.nan], unit="transmittance")
    after = to_absorbance(raw)
    np.testing.assert_array_equal(after.missing, [False, True, True, True])
    assert "nonpositive_transmittance" in after.acquisition.flags
    assert after.history[0].parameters == {
        "to": "absorbance",
        "source": "transmittance",
        "outcome": {"removed": 2},
    }
    with pytest.raises(InvalidSpectrumError, match="convert leaves no measured point"):
        to_absorbance(Spectrum([1000.0, 1001.0], [0.0, -1.0], unit="transmittance"))


def test_units_follow_and_are_checked() -> None:
    raw = Spectrum(
        AXIS, np.linspace(20, 90, 300), technique="ftir_transmission", unit="percent_transmittance"
    )
    assert Convert("transmittance")(raw).unit == "transmittance"
    assert Convert("percent_transmittance")(raw) == raw
    with pytest.raises(ParameterError, match="spectrum's own unit"):
        Convert("absorbance", "transmittance")(raw)
    with pytest.raises(ParameterError, match="reflectance for kubelka_munk"):
        Convert("kubelka_munk")(raw)
    with pytest.raises(ParameterError, match="source must be given"):
        Convert("absorbance").transform(np.ones((1, 3)))
    counts = raw.replace(unit="counts")
    with pytest.raises(ParameterError, match="source must be"):
        Convert("absorbance")(counts)
    assert to_absorbance(counts) is counts


def test_depth_against_published_values() -> None:
    # Northwestern University, Keck-II Center, on ATR sampling: at 1000 cm⁻¹, 45° and a sample index of 1.5,
    # 2.0 µm for zinc selenide (2.4) and 0.664 µm for germanium (4.0).
    assert penetration_depth([1000.0], 2.4, 1.5, 45.0) == pytest.approx(2.0, abs=0.01)
    assert penetration_depth([1000.0], 4.0, 1.5, 45.0) == pytest.approx(0.664, abs=0.0005)


def test_depth_by_hand() -> None:
    # λ = 5 µm, sin² 60° = 0.75, (1.5 / 2.4)² = 0.390625: 5 / (2π · 2.4 · 0.599479) = 0.553102 µm.
    assert penetration_depth([2000.0], 2.4, 1.5, 60.0) == pytest.approx(0.553102, abs=1e-6)


def test_depth_falls_with_wavenumber() -> None:
    depth = penetration_depth(AXIS, 2.4, 1.5, 45.0)
    np.testing.assert_allclose(depth * AXIS, depth[0] * AXIS[0])


@pytest.mark.parametrize(
    ("optics", "words"),
    [((2.4, 1.5, 30.0), "above the critical angle, 38.7°"), ((1.4, 1.5, 45.0), "higher refractive index")],
)
def test_no_total_reflection(optics: tuple[float, float, float], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        penetration_depth(AXIS, *optics)
    crystal, sample, angle = optics
    with pytest.raises(ParameterError, match=words):
        ATRCorrection(crystal_index=crystal, sample_index=sample, angle_deg=angle).apply(AXIS, spectra(1))


def test_simple_correction_scales_by_wavenumber() -> None:
    raw = absorbing(np.ones(300), sd=0.1 * np.ones(300))
    after = ATRCorrection(1200.0)(raw)
    np.testing.assert_allclose(after.intensity, AXIS / 1200.0)
    np.testing.assert_allclose(after.sd, 0.1 * AXIS / 1200.0)
    assert after.unit == "absorbance"


def test_crystals_become_comparable() -> None:
    true = spectra(1)[0]
    corrected = []
    for index in (2.4, 4.0):
        measured = absorbing(true * 3 * penetration_depth(AXIS, index, 1.5, 45.0))
        step = ATRCorrection(crystal_index=index, sample_index=1.5, angle_deg=45.0, reflections=3)
        corrected.append(step(measured))
    np.testing.assert_allclose(corrected[0].intensity, true)
    np.testing.assert_allclose(corrected[1].intensity, true)
    assert corrected[0].unit == "arbitrary"


def test_optics_all_or_none_and_axis_above_zero() -> None:
    with pytest.raises(ParameterError, match="all three or not at all"):
        ATRCorrection(crystal_index=2.4).apply(AXIS, spectra(1))
    with pytest.raises(ParameterError, match="above 0"):
        ATRCorrection().apply(AXIS - 400.0, spectra(1))
    with pytest.raises(ParameterError, match="above 0"):
        penetration_depth([0.0, 1.0], 2.4, 1.5, 45.0)


def test_crop_keeps_both_bounds_and_the_sd() -> None:
    raw = absorbing(spectra(1)[0], sd=np.arange(300.0))
    after = Crop(600.0, 800.0)(raw)
    assert after.range == (600.0, 800.0)
    np.testing.assert_array_equal(after.sd, np.arange(50.0, 101.0))
    np.testing.assert_array_equal(after.intensity, raw.intensity[50:101])
    assert Crop()(raw).n_points == 300
    assert Crop(high_cm1=500.0)(raw).range == (400.0, 500.0)


def test_crop_that_leaves_nothing() -> None:
    with pytest.raises(InvalidSpectrumError, match="leaves 1 of the points"):
        Crop(399.0, 401.0)(absorbing(spectra(1)[0]))
    with pytest.raises(ParameterError, match="low_cm1 must be below"):
        Crop(900.0, 600.0).apply(AXIS, spectra(1))


def test_marking_named_points() -> None:
    raw = absorbing(spectra(1)[0])
    after = MarkMissing([404.0, 1000.0000001], "hot pixel")(raw)
    np.testing.assert_array_equal(np.flatnonzero(after.missing), [1, 150])
    with pytest.raises(ParameterError, match="positions of points of the axis"):
        MarkMissing([405.0])(raw)
    with pytest.raises(ParameterError, match="one-dimensional"):
        MarkMissing([[404.0]])(raw)
