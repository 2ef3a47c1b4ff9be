"""What a Wasatch module stores about itself, and what is made of pages that hold nonsense."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.devices.codec.wasatch_eeprom import PAGES, parse_eeprom
from spectralid.devices.sim.physics import Bench, Detector
from spectralid.devices.sim.wasatch import eeprom_pages
from spectralid.devices.wavelengths import pixel_wavelengths
from spectralid.errors import ProtocolError

COEFFICIENTS = (797.25, 0.24, -1.25e-5, 1.5e-9, -2e-13)
INTENSITY = (0.25, -1e-3, 2e-6, -1e-9, 3e-13, -1e-17)


def pages(**changes) -> dict[int, bytearray]:
    """Pages with every field written, as the facts place them; changes are `page_place_layout=value`."""
    made = {number: bytearray(64) for number in range(8)}

    def put(page, place, layout, *values):
        struct.pack_into("<" + layout, made[page], place, *values)

    put(0, 0, "16s16sI", b"WP-785-R-ER-IC", b"WP-01234", 921_600)
    put(0, 36, "BBB", 1, 0, 1)
    put(0, 43, "H", 250)
    put(0, 48, "fh", 1.9, -12)
    put(0, 63, "B", 16)
    put(1, 0, "4f", *COEFFICIENTS[:4])
    put(1, 48, "12s", b"01/31/2024")
    put(2, 0, "16sHB", b"S16010-1007", 1024, 20)
    put(2, 21, "f", COEFFICIENTS[4])
    put(2, 25, "HHH", 1024, 30, 990)
    put(3, 12, "4fff", 0.5, 0.2, 1e-3, 1e-6, 450.0, 5.0)
    put(3, 36, "fIIf", 784.73, 3, 60_000, 8.5)
    put(3, 52, "H", 120)
    put(5, 63, "B", 1)
    put(6, 0, "B6f", 5, *INTENSITY)
    for where, value in changes.items():
        page, place, layout = where.split("_")[1:]
        put(int(page), int(place), layout, value)
    return made


def test_every_field():
    stored = parse_eeprom(pages())
    assert (stored.format, stored.model, stored.serial) == (16, "WP-785-R-ER-IC", "WP-01234")
    assert (stored.detector, stored.pixels, stored.roi) == ("S16010-1007", 1024, (30, 990))
    assert stored.has_laser is True
    assert stored.excitation_nm == pytest.approx(784.73, abs=1e-4)
    np.testing.assert_allclose(stored.wavelength_coefficients, COEFFICIENTS, rtol=1e-7)
    assert (stored.startup_integration_ms, stored.integration_ms) == (250, (3, 60_000))
    assert (stored.warm_up_s, stored.watchdog_s) == (20, 120)
    np.testing.assert_allclose(stored.laser_power_coefficients, (0.5, 0.2, 1e-3, 1e-6), rtol=1e-7)
    assert stored.laser_power_mw == (5.0, 450.0)
    assert stored.resolution_cm1 == 8.5
    np.testing.assert_allclose(stored.intensity_coefficients, INTENSITY, rtol=1e-7)
    assert stored.problems == ()


@pytest.mark.parametrize("content", [b"\xff" * 64, bytes(64), b"", b"short"])
def test_erased_eeprom_holds_nothing(content):
    stored = parse_eeprom(dict.fromkeys(PAGES, content))
    assert (stored.serial, stored.model, stored.excitation_nm) == ("", "", None)
    assert stored.wavelength_coefficients is None
    assert stored.intensity_coefficients is None
    assert stored.warm_up_s == 0
    assert stored.watchdog_s is None
    assert "page 1 is empty" in stored.problems


@pytest.mark.parametrize(
    ("page", "field"),
    [
        (0, "serial"),
        (1, "wavelength_coefficients"),
        (2, "pixels"),
        (3, "excitation_nm"),
        (6, "intensity_coefficients"),
    ],
)
def test_one_erased_page_costs_only_what_is_on_it(page, field):
    damaged = pages()
    damaged[page] = bytearray(b"\xff" * 64)
    sound, stored = parse_eeprom(pages()), parse_eeprom(damaged)
    assert not getattr(stored, field)
    untouched = {"serial": 0, "pixels": 2, "excitation_nm": 3}
    for name, place in untouched.items():
        # Page 0 also says which revision the others are written in.
        if place != page and page != 0:
            assert getattr(stored, name) == getattr(sound, name)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf"), -785.0, 78.5, 1e9])
def test_impossible_excitation_is_none(value):
    stored = parse_eeprom(pages(at_3_36_f=value))
    assert stored.excitation_nm is None
    assert any("excitation wavelength" in problem for problem in stored.problems)


@pytest.mark.parametrize("place", ["at_1_0_f", "at_1_4_f", "at_1_12_f", "at_2_21_f"])
@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_impossible_wavelength_coefficient_costs_all(place, value):
    stored = parse_eeprom(pages(**{place: value}))
    assert stored.wavelength_coefficients is None
    assert any("wavelength calibration" in problem for problem in stored.problems)


def test_placeholder_calibration_is_none():
    # 0, 1, 0, 0: what the vendor's software writes where nothing was calibrated.
    blank = pages(at_1_0_f=0.0, at_1_4_f=1.0, at_1_8_f=0.0, at_1_12_f=0.0, at_2_21_f=0.0)
    assert parse_eeprom(blank).wavelength_coefficients is None
    assert parse_eeprom(blank).excitation_nm is not None


@pytest.mark.parametrize(
    ("format_", "missing"),
    [
        (14, {"watchdog_s"}),
        (9, {"watchdog_s", "warm_up_s"}),
        (6, {"watchdog_s", "warm_up_s", "resolution_cm1"}),
        (5, {"watchdog_s", "warm_up_s", "resolution_cm1", "intensity_coefficients"}),
        (4, {"watchdog_s", "warm_up_s", "resolution_cm1", "intensity_coefficients", "integration_ms"}),
    ],
)
def test_older_revisions_lack_the_later_fields(format_, missing):
    stored = parse_eeprom(pages(at_0_63_B=format_))
    optional = {"watchdog_s", "warm_up_s", "resolution_cm1", "intensity_coefficients", "integration_ms"}
    assert {name for name in optional if not getattr(stored, name)} == missing
    assert len(stored.wavelength_coefficients) == (5 if format_ >= 8 else 4)


def test_oldest_revision_has_the_excitation_elsewhere():
    old = pages(at_0_63_B=3, at_0_39_H=785)
    assert parse_eeprom(old).excitation_nm == 785.0


@pytest.mark.parametrize(
    ("first", "last", "roi"),
    [(0, 1023, (0, 1023)), (5, 5, None), (9, 5, None), (0, 1024, None), (0, 0, None)],
)
def test_region_of_interest(first, last, roi):
    assert parse_eeprom(pages(at_2_27_H=first, at_2_29_H=last)).roi == roi


@pytest.mark.parametrize("layout", [0, 2, 3, 0xFF])
def test_other_layouts_of_the_last_pages_hold_no_intensity_calibration(layout):
    assert parse_eeprom(pages(at_5_63_B=layout)).intensity_coefficients is None


def test_watchdog_of_0_is_off():
    assert parse_eeprom(pages(at_3_52_H=0)).watchdog_s is None


def test_unreadable_names_are_empty():
    damaged = pages()
    damaged[0][16:32] = bytes(range(128, 144))
    assert parse_eeprom(damaged).serial == ""
    damaged[0][16:32] = b"WP-7".ljust(16, b"\xff")
    assert parse_eeprom(damaged).serial == "WP-7"


@given(st.dictionaries(st.integers(0, 7), st.binary(max_size=70)))
def test_nothing_makes_it_fail(content):
    stored = parse_eeprom(content)
    assert stored.excitation_nm is None or 200 <= stored.excitation_nm <= 2000
    assert stored.wavelength_coefficients is None or np.isfinite(stored.wavelength_coefficients).all()


@given(st.lists(st.binary(min_size=64, max_size=64), min_size=8, max_size=8))
def test_full_pages_of_noise_neither(content):
    stored = parse_eeprom(dict(enumerate(content)))
    assert stored.roi is None or stored.roi[1] < stored.pixels
    if stored.wavelength_coefficients is not None:
        try:
            wavelengths = pixel_wavelengths(stored.wavelength_coefficients, 1024, source="here")
        except ProtocolError:
            return
        assert np.all(np.diff(wavelengths) > 0)


@pytest.mark.parametrize(
    "coefficients",
    [(800.0, -0.2), (800.0, 0.2, -1e-3), (0.0, 1.0), (float("nan"), 0.2), (1e38, 1e38, 1e38), (800.0,)],
)
def test_wavelengths_that_cannot_be(coefficients):
    with pytest.raises(ProtocolError, match=r"of the profile .* do not give ascending wavelengths"):
        pixel_wavelengths(coefficients, 1024, source="of the profile")


def test_wavelengths():
    np.testing.assert_allclose(
        pixel_wavelengths(COEFFICIENTS, 1024, source=""),
        [sum(c * p**k for k, c in enumerate(COEFFICIENTS)) for p in range(1024)],
    )


# --- the vendor's own parser on the same bytes -------------------------------------------------------------


@pytest.mark.parametrize("made", [pages(), eeprom_pages(Detector(Bench(), (), seed=0), "SIM-9", warm_up_s=7)])
def test_vendor_reads_the_same(made):
    vendor = pytest.importorskip(
        "wasatch.EEPROM", reason="the vendor's Wasatch.PY is not installed (pip install --no-deps wasatch)"
    ).EEPROM()
    assert vendor.parse([bytearray(made[number]) for number in range(8)])
    stored = parse_eeprom(made)
    assert (stored.model, stored.serial, stored.detector) == (
        vendor.model,
        vendor.serial_number,
        vendor.detector,
    )
    assert stored.format == vendor.format
    assert stored.excitation_nm == vendor.excitation_nm_float
    assert list(stored.wavelength_coefficients) == vendor.wavelength_coeffs
    assert list(stored.laser_power_coefficients) == vendor.laser_power_coeffs
    assert stored.laser_power_mw == (vendor.min_laser_power_mW, vendor.max_laser_power_mW)
    assert stored.pixels == vendor.active_pixels_horizontal
    assert stored.roi == (vendor.roi_horizontal_start, vendor.roi_horizontal_end)
    assert stored.startup_integration_ms == vendor.startup_integration_time_ms
    assert stored.integration_ms == (vendor.min_integration_time_ms, vendor.max_integration_time_ms)
    assert stored.warm_up_s == vendor.laser_warmup_sec
    assert (stored.watchdog_s or 0) == vendor.laser_watchdog_sec
    assert stored.resolution_cm1 == vendor.avg_resolution
    assert stored.has_laser == vendor.has_laser
    if stored.intensity_coefficients is None:
        assert not vendor.has_raman_intensity_calibration()
    else:
        assert list(stored.intensity_coefficients) == vendor.raman_intensity_coeffs
