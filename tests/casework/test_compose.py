"""A spectrum goes into a packet and comes out as the same spectrum, or not at all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.casework.compose import finite, instrument_facts, spectrum_blobs, spectrum_entry, spectrum_of
from spectralid.casework.errors import PacketError
from spectralid.casework.store import CaseStore, Draft
from spectralid.spectrum import Acquisition, IntensityUnit, ProcessingStep, Spectrum, Technique


def measured(n=300, *, seed=0, sd=True, **changes):
    rng = np.random.default_rng(seed)
    axis = np.sort(rng.uniform(200, 3200, n))
    axis += np.arange(n) * 1e-6
    intensity = rng.normal(1e4, 300, n)
    intensity[n // 3] = np.nan
    spectrum = Spectrum(
        axis=axis,
        intensity=intensity,
        sd=np.abs(rng.normal(30, 3, n)) if sd else None,
        technique=Technique.RAMAN,
        unit=IntensityUnit.COUNTS,
        acquisition=Acquisition(
            instrument="Ocean Ventana 785L Raman",
            serial="SIM-1",
            laser_nm=785.0,
            integration_ms=120.5,
            averages=12,
            time="2026-11-22T10:00:00+00:00",
            flags=frozenset({"simulated", "interlock_unknown"}),
            metadata={"##OWNER": "Zoë ⁻¹", "note": "a\nb"},
        ),
        history=(ProcessingStep("raman_shift", {"laser_nm": 785.0, "sizes": [1, 2]}, "1"),),
        name="bag 1",
    )
    return spectrum.replace(**changes)


def stored(folder, spectrum, change=lambda entry: None):
    blobs = spectrum_blobs(spectrum)
    entry = spectrum_entry(spectrum, blobs)
    change(entry)
    body = {
        "officer_ref": "K-17",
        "instrument": instrument_facts(spectrum),
        "spectra": [entry],
        "result": {"decision": "inconclusive", "engine": {"version": "1"}, "library": {"name": "x"}},
    }
    with CaseStore.open(folder) as store:
        store.capture(Draft("seizure", "S-1", None, {"officer_ref": "K-17"}))
        store.capture(Draft("item", "S-1", "S-1-01", {"label": "", "container": "none"}))
        return store.packet(store.capture(Draft("scan", "S-1", "S-1-01", body, blobs)).packet_id)


@pytest.mark.parametrize("sd", [True, False])
def test_the_same_spectrum_comes_out_with_all_its_facts(tmp_path, sd):
    spectrum = measured(sd=sd)
    back = spectrum_of(stored(tmp_path, spectrum))
    assert back.sha256 == spectrum.sha256
    assert back == spectrum
    assert back.acquisition == spectrum.acquisition
    assert back.history == spectrum.history
    assert back.name == spectrum.name
    assert np.isnan(back.intensity[100])


def test_a_header_however_long_does_not_fill_the_manifest(tmp_path):
    long = measured().acquisition.metadata | {f"field {i}": "x" * 200 for i in range(3000)}
    spectrum = measured(acquisition=Acquisition(instrument="bench", metadata=long))
    packet = stored(tmp_path, spectrum)
    assert len(packet.payload) < 8000
    assert spectrum_of(packet).acquisition.metadata == long


@pytest.mark.parametrize(
    ("name", "value"),
    [("sha256", "0" * 64), ("technique", "ftir_atr"), ("unit", "absorbance"), ("sd_blob", None)],
)
def test_numbers_that_are_not_those_of_the_identity_are_refused(tmp_path, name, value):
    packet = stored(tmp_path, measured(), lambda entry: entry.update({name: value}))
    with pytest.raises(PacketError, match="not those of the spectrum"):
        spectrum_of(packet)


def test_axis_and_intensity_changed_over_are_refused(tmp_path):
    packet = stored(tmp_path, measured(), lambda e: e.update({"x_blob": e["blob"], "blob": e["x_blob"]}))
    with pytest.raises(PacketError):
        spectrum_of(packet)


def test_a_packet_without_a_spectrum_says_so(tmp_path):
    packet = stored(tmp_path, measured())
    with pytest.raises(PacketError, match="no spectrum of the role 'dark'"):
        spectrum_of(packet, "dark")


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.floats(allow_infinity=False, width=64).filter(lambda v: not abs(v) > 1e300),
        min_size=3,
        max_size=40,
    )
)
def test_any_numbers_keep_their_identity(values):
    axis = np.linspace(100, 200, len(values))
    if np.isnan(values).all():
        values[0] = 1.0
    spectrum = Spectrum(axis=axis, intensity=np.array(values), technique=Technique.FTIR_ATR)
    blobs = spectrum_blobs(spectrum)
    again = [np.frombuffer(b.data, "<f8") for b in blobs]
    assert Spectrum(axis=again[0], intensity=again[1], technique=Technique.FTIR_ATR).sha256 == spectrum.sha256


def test_numbers_json_has_no_form_for_become_none_and_everything_else_stays():
    given = {"a": [1, 2.5, float("nan"), ("x", float("-inf"))], "b": {"c": True, "d": None, "e": 2**60}}
    assert finite(given) == {"a": [1, 2.5, None, ["x", None]], "b": {"c": True, "d": None, "e": 2**60}}
