"""SPC files built byte by byte from the published layout, for every variant, and what must be refused."""

from __future__ import annotations

import io
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spectralid.io
from spectralid.errors import FileError, UnreadableFileError, UnsupportedContentError
from spectralid.io import ReadOptions, Source
from spectralid.io.spc import FORMAT
from spectralid.spectrum import IntensityUnit, Spectrum, Technique

SHORT, MULTI, UNEVEN_Z, LABELS, OWN_X, X_VALUES = 0x01, 0x04, 0x10, 0x20, 0x40, 0x80
FLOAT = 0x80

WAVENUMBER, MICRON, NANOMETRE, SHIFT = 1, 2, 3, 13
ABSORBANCE, COUNTS, TRANSMISSION, REFLECTANCE = 2, 4, 128, 129

RAW = [0, 1, -1, 70_000, -70_000, 2**31 - 1, -(2**31)]


def header(
    *,
    order: str = "<",
    flags: int = 0,
    exponent: int = 0,
    points: int = 7,
    first: float = 400.0,
    last: float = 1000.0,
    traces: int = 1,
    x: int = SHIFT,
    y: int = 0,
    z: int = 0,
    technique: int = 0,
    date: int = 0,
    resolution: bytes = b"",
    comment: bytes = b"",
    labels: bytes = b"",
    log_at: int = 0,
    z_step: float = 0.0,
) -> bytearray:
    """The 512 bytes of a new-format header, each field at the place the format gives it."""
    raw = bytearray(512)
    raw[0], raw[1], raw[2], raw[3] = flags, 0x4B if order == "<" else 0x4C, technique, exponent % 256
    struct.pack_into(order + "I", raw, 4, points)
    struct.pack_into(order + "d", raw, 8, first)
    struct.pack_into(order + "d", raw, 16, last)
    struct.pack_into(order + "I", raw, 24, traces)
    raw[28], raw[29], raw[30] = x, y, z
    struct.pack_into(order + "I", raw, 32, date)
    raw[36 : 36 + len(resolution)] = resolution
    raw[88 : 88 + len(comment)] = comment
    raw[218 : 218 + len(labels)] = labels
    struct.pack_into(order + "I", raw, 248, log_at)
    struct.pack_into(order + "f", raw, 312, z_step)
    return raw


def subheader(
    *, order: str = "<", exponent: int = 0, z: float = 0.0, z_next: float = 0.0, points: int = 0
) -> bytes:
    raw = bytearray(32)
    raw[1] = exponent % 256
    struct.pack_into(order + "f", raw, 4, z)
    struct.pack_into(order + "f", raw, 8, z_next)
    struct.pack_into(order + "I", raw, 16, points)
    return bytes(raw)


def floats(values: list[float], order: str = "<") -> bytes:
    return struct.pack(f"{order}{len(values)}f", *values)


def integers(values: list[int], order: str = "<") -> bytes:
    return struct.pack(f"{order}{len(values)}i", *values)


def simple(curve: list[float] | None = None, /, **fields: object) -> bytes:
    """A single spectrum in floats."""
    values = [1.0, 2.0, 4.0, 8.0, 4.0, 2.0, 1.0] if curve is None else curve
    fields = {"exponent": FLOAT, "points": len(values)} | fields
    return bytes(header(**fields)) + subheader(exponent=FLOAT) + floats(values)  # type: ignore[arg-type]


def with_log(data: bytes, text: bytes) -> bytes:
    log = struct.pack("<5I", 64 + len(text), 4096, 64, 0, 0) + bytes(44) + text
    raw = bytearray(data)
    struct.pack_into("<I", raw, 248, len(raw))
    return bytes(raw) + log


def read_all(data: bytes, name: str = "made.spc", **options: object) -> list[Spectrum]:
    return FORMAT.read(Source(name, data), ReadOptions(**options))  # type: ignore[arg-type]


def read(data: bytes, **options: object) -> Spectrum:
    (spectrum,) = read_all(data, **options)
    return spectrum


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("exponent", [-3, 0, 8, 31])
def test_32_bit_integers_are_fractions_of_2_to_32_scaled_by_the_exponent(order: str, exponent: int) -> None:
    data = bytes(header(order=order, exponent=exponent)) + subheader(order=order) + integers(RAW, order)
    np.testing.assert_array_equal(read(data).intensity, [v * 2.0 ** (exponent - 32) for v in RAW])


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_integers_are_fractions_of_2_to_16(order: str) -> None:
    raw = [0, 1, -1, 32767, -32768]
    data = bytes(header(order=order, flags=SHORT, exponent=4, points=5)) + subheader(order=order)
    data += struct.pack(order + "5h", *raw)
    np.testing.assert_array_equal(read(data).intensity, [v / 4096 for v in raw])


@pytest.mark.parametrize("order", ["<", ">"])
def test_floats_with_explicit_x(order: str) -> None:
    x = [100.0, 101.5, 110.0, 200.25]
    data = bytes(header(order=order, flags=X_VALUES, exponent=FLOAT, points=4))
    data += floats(x, order) + subheader(order=order, exponent=FLOAT) + floats([1.5, -2.0, 3e8, 0.0], order)
    spectrum = read(data)
    np.testing.assert_array_equal(spectrum.axis, x)
    np.testing.assert_array_equal(spectrum.intensity, [1.5, -2.0, 3e8, 0.0])


def test_even_axis_runs_from_first_to_last_and_is_turned_round_when_it_descends() -> None:
    spectrum = read(simple([1.0, 2.0, 3.0], first=4000.0, last=400.0, x=WAVENUMBER, y=ABSORBANCE))
    np.testing.assert_array_equal(spectrum.axis, [400.0, 2200.0, 4000.0])
    np.testing.assert_array_equal(spectrum.intensity, [3.0, 2.0, 1.0])


def test_file_exponent_counts_for_a_single_trace_whatever_the_trace_says() -> None:
    data = bytes(header(exponent=10)) + subheader(exponent=0) + integers(RAW)
    np.testing.assert_array_equal(read(data).intensity, [v * 2.0**-22 for v in RAW])


@pytest.mark.parametrize("order", ["<", ">"])
def test_multifile_scales_each_trace_by_its_own_exponent(order: str) -> None:
    data = bytes(header(order=order, flags=MULTI, exponent=3, points=2, traces=3))
    for exponent in (-2, 0, 5):
        data += subheader(order=order, exponent=exponent) + integers([2**20, 2**30], order)
    values = [s.intensity.tolist() for s in read_all(data)]
    assert values == [[2.0**-14, 2.0**-4], [2.0**-12, 2.0**-2], [2.0**-7, 2.0**3]]


def test_float_multifile_may_leave_the_exponent_of_its_traces_zero() -> None:
    data = bytes(header(flags=MULTI, exponent=FLOAT, points=2, traces=2))
    data += subheader() + floats([1.0, 2.0]) + subheader(exponent=FLOAT) + floats([3.0, 4.0])
    assert [s.intensity.tolist() for s in read_all(data)] == [[1.0, 2.0], [3.0, 4.0]]


def test_multifile_with_common_explicit_x_and_ordered_z() -> None:
    data = bytes(header(flags=MULTI | X_VALUES | UNEVEN_Z, exponent=FLOAT, points=2, traces=2, z=2))
    data += floats([10.0, 30.0])
    data += subheader(exponent=FLOAT, z=-40.0, z_next=-30.0) + floats([1.0, 2.0])
    data += subheader(exponent=FLOAT, z=-30.0) + floats([3.0, 4.0])
    spectra = read_all(data)
    assert [s.acquisition.metadata["z"] for s in spectra] == ["-40 µm", "-30 µm"]
    assert [s.name for s in spectra] == ["made [1/2]", "made [2/2]"]
    assert all(s.axis.tolist() == [10.0, 30.0] for s in spectra)


def test_even_z_may_be_given_by_its_step_alone() -> None:
    data = bytes(header(flags=MULTI, exponent=FLOAT, points=2, traces=3, z=4, z_step=0.5))
    data += 3 * (subheader(exponent=FLOAT, z=1.0) + floats([1.0, 2.0]))
    assert [s.acquisition.metadata["z"] for s in read_all(data)] == ["1 s", "1.5 s", "2 s"]


def own_x_multifile(order: str = "<", directory: bool = True, short: bool = False) -> bytes:
    flags = MULTI | OWN_X | X_VALUES | (SHORT if short else 0)
    traces = []
    for i, x in enumerate([[100.0, 200.0, 300.0], [150.0, 250.0]]):
        y = [(j + 1) * 2 ** (13 if short else 29) for j in range(len(x))]
        packed = struct.pack(f"{order}{len(y)}{'h' if short else 'i'}", *y)
        exponent = 3 + i
        traces.append(
            subheader(order=order, exponent=exponent, z=float(i), points=len(x)) + floats(x, order) + packed
        )
    body = b"".join(traces)
    if not directory:
        return bytes(header(order=order, flags=flags, exponent=3, points=0, traces=2)) + body
    entries = b""
    at = 512
    for i, trace in enumerate(traces):
        entries += struct.pack(order + "IIf", at, len(trace), float(i))
        at += len(trace)
    return bytes(header(order=order, flags=flags, exponent=3, points=at, traces=2)) + body + entries


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("directory", [True, False])
@pytest.mark.parametrize("short", [True, False])
def test_traces_with_their_own_x(order: str, directory: bool, short: bool) -> None:
    first, second = read_all(own_x_multifile(order, directory, short))
    assert first.axis.tolist() == [100.0, 200.0, 300.0]
    assert first.intensity.tolist() == [1.0, 2.0, 3.0]
    assert second.axis.tolist() == [150.0, 250.0]
    assert second.intensity.tolist() == [2.0, 4.0]


def old(
    *,
    flags: int = 0,
    exponent: int = 0,
    points: float = 3,
    x: int = WAVENUMBER,
    y: int = ABSORBANCE,
    year: int = 0,
    comment: bytes = b"",
    sub_exponent: int = 0,
) -> bytes:
    raw = bytearray(256)
    raw[0], raw[1] = flags, 0x4D
    struct.pack_into("<hfff", raw, 2, exponent, points, 3000.0, 1000.0)
    raw[16], raw[17] = x, y
    struct.pack_into("<HBBBB", raw, 18, year, 3, 9, 8, 46)
    raw[64 : 64 + len(comment)] = comment
    raw[225] = sub_exponent % 256
    return bytes(raw)


def swapped(values: list[int]) -> bytes:
    """Old 32-bit integers: the high 16-bit word first, each word low byte first."""
    return b"".join(struct.pack("<HH", (v >> 16) & 0xFFFF, v & 0xFFFF) for v in values)


def test_old_format_keeps_the_high_word_first() -> None:
    spectrum = read(old(exponent=4, year=1997, comment=b"film") + swapped([2**28, -(2**29), 3]))
    np.testing.assert_array_equal(spectrum.axis, [1000.0, 2000.0, 3000.0])
    np.testing.assert_array_equal(spectrum.intensity, [3 * 2.0**-28, -2.0, 1.0])
    assert spectrum.acquisition.time == "1997-03-09T08:46"
    assert spectrum.name == "film"


def test_old_multifile_counts_its_traces_by_the_length_of_the_file() -> None:
    data = old(flags=MULTI | SHORT, exponent=1, sub_exponent=2) + struct.pack("<3h", 2**14, 0, -(2**14))
    data += subheader(exponent=3, z=7.5) + struct.pack("<3h", 2**14, 0, -(2**14))
    first, second = read_all(data)
    assert first.intensity.tolist() == [-1.0, 0.0, 1.0]
    assert second.intensity.tolist() == [-2.0, 0.0, 2.0]
    with pytest.raises(UnreadableFileError, match="cut short"):
        read_all(data[:-1])


def test_old_year_below_1900_is_kept_as_written_because_its_century_is_a_guess() -> None:
    spectrum = read(old(year=92) + swapped([1, 2, 3]))
    assert spectrum.acquisition.time == ""
    assert spectrum.acquisition.metadata["date"] == "92-3-9 8:46"


def test_old_format_with_floats_is_refused() -> None:
    with pytest.raises(UnsupportedContentError, match="old-format"):
        read(old(exponent=128) + swapped([1, 2, 3]))


def test_old_exponent_beyond_a_byte_is_damage() -> None:
    with pytest.raises(UnreadableFileError, match="exponent"):
        read(old(exponent=1280) + swapped([1, 2, 3]))


@pytest.mark.parametrize(
    ("packed", "time", "written"),
    [
        ((1994, 8, 26, 16, 45), "1994-08-26T16:45", None),
        # LabSpec: years since 1900, months from 0.
        ((115, 1, 25, 13, 48), "2015-02-25T13:48", None),
        ((1359, 6, 11, 25, 8), "", "1359-6-11 25:8"),
        ((0, 0, 0, 0, 0), "", None),
    ],
)
def test_time_of_measurement(packed: tuple[int, ...], time: str, written: str | None) -> None:
    year, month, day, hour, minute = packed
    date = year << 20 | month << 16 | day << 11 | hour << 6 | minute
    acquisition = read(simple(date=date)).acquisition
    assert acquisition.time == time
    assert acquisition.metadata.get("date") == written


def test_log_block_gives_facts_and_keeps_the_rest() -> None:
    text = (
        b"Serial_number=H18509\r\nLaser=Laser: 532 nm edge\r\nExposure_time=Time: 10s\r\n"
        b"Accumulations=Accumulations: 3\r\nOperator=Ann\r\n\r\n[a note]\r\nSlit_opening=65\xb5m\r\n\0"
    )
    acquisition = read(with_log(simple(), text)).acquisition
    assert acquisition.serial == "H18509"
    assert acquisition.laser_nm == 532
    assert acquisition.integration_ms == 10_000
    assert acquisition.averages == 3
    assert acquisition.operator == "Ann"
    assert acquisition.metadata["Slit_opening"] == "65µm"
    assert acquisition.metadata["log"] == "[a note]"
    assert not acquisition.flags


@pytest.mark.parametrize(
    ("line", "laser", "ms"),
    [
        (b"Exposure_time=Time: 3000", None, 3000),
        (b"EXCIT_LINE = 532.2", 532.2, None),
        (b"LASER (NM) = 660", 660, None),
        (b"Laser_Wavelength=785,21", 785.21, None),
        (b"RAMANFREQ= 9395", 1e7 / 9395, None),
        (b"TIME = 1.5", None, 1500),
    ],
)
def test_log_entries_of_several_makers(line: bytes, laser: float | None, ms: float | None) -> None:
    acquisition = read(with_log(simple(), line + b"\n\r\0")).acquisition
    assert acquisition.laser_nm == (None if laser is None else pytest.approx(laser))
    assert acquisition.integration_ms == ms


def test_damaged_log_is_flagged_and_the_spectrum_kept() -> None:
    whole = with_log(simple(), b"Operator=Ann\r\n" + b"Note=" + b"x" * 100 + b"\0")
    spectrum = read(whole[:-50])
    assert "log_damaged" in spectrum.acquisition.flags
    assert spectrum.acquisition.operator == "Ann"
    assert spectrum == read(whole)


def test_a_long_log_is_not_repeated_for_each_of_many_traces() -> None:
    traces = 2000
    data = bytes(header(flags=MULTI, exponent=FLOAT, points=2, traces=traces))
    data += traces * (subheader(exponent=FLOAT) + floats([1.0, 2.0]))
    log = b"".join(b"k%d=%d\r\n" % (i, i) for i in range(100)) + b"\0"
    spectra = read_all(with_log(data, log))
    assert spectra[0].acquisition.metadata["k99"] == "99"
    assert "k99" not in spectra[-1].acquisition.metadata
    assert spectra[-1].acquisition.metadata["trace"] == "2000 of 2000"


def test_a_log_longer_than_any_real_one_is_cut_and_flagged() -> None:
    spectrum = read(with_log(simple(), b"Operator=Ann\r\n" + b"x=1\r\n" * 20_000 + b"\0"))
    assert "log_damaged" in spectrum.acquisition.flags
    assert spectrum.acquisition.operator == "Ann"


@pytest.mark.parametrize(
    ("text", "resolution"),
    [
        (b"4.0 CM-1", 4.0), (b"8.", 8.0), (b".001", 0.001), (b"4cm-1", 4.0),
        (b"-\x9f%mB", None), (b"4.0.", None), (b"1.0 NM", None), (b"0", None), (b"999999999", None),
    ],
)  # fmt: skip
def test_resolution_text(text: bytes, resolution: float | None) -> None:
    assert read(simple(resolution=text)).acquisition.resolution_cm1 == resolution


def test_numbers_too_long_for_a_float_do_no_harm() -> None:
    acquisition = read(with_log(simple(), b"SCANS=" + b"9" * 400 + b"\r\n\0")).acquisition
    assert acquisition.metadata["SCANS"] == "9" * 400


@pytest.mark.parametrize(
    ("x", "y", "technique", "unit"),
    [
        (SHIFT, COUNTS, Technique.RAMAN, IntensityUnit.COUNTS),
        (SHIFT, 0, Technique.RAMAN, IntensityUnit.ARBITRARY),
        (WAVENUMBER, ABSORBANCE, Technique.FTIR, IntensityUnit.ABSORBANCE),
        (WAVENUMBER, 3, Technique.FTIR, IntensityUnit.KUBELKA_MUNK),
        (WAVENUMBER, 10, Technique.FTIR, IntensityUnit.ABSORBANCE),
        (WAVENUMBER, 11, Technique.FTIR, IntensityUnit.PERCENT_TRANSMITTANCE),
        (WAVENUMBER, 130, Technique.FTIR, IntensityUnit.SINGLE_BEAM),
        (WAVENUMBER, COUNTS, Technique.UNKNOWN, IntensityUnit.COUNTS),
        (WAVENUMBER, 0, Technique.UNKNOWN, IntensityUnit.ARBITRARY),
    ],
)
def test_technique_and_unit_follow_from_the_codes(
    x: int, y: int, technique: Technique, unit: IntensityUnit
) -> None:
    spectrum = read(simple(x=x, y=y))
    assert (spectrum.technique, spectrum.unit) == (technique, unit)


def test_stated_raman_technique_makes_wavenumbers_shifts() -> None:
    assert read(simple(x=WAVENUMBER, technique=11)).technique is Technique.RAMAN


@pytest.mark.parametrize(
    ("code", "scale", "unit", "factor"),
    [
        (TRANSMISSION, 1.0, IntensityUnit.TRANSMITTANCE, 1.0),
        (TRANSMISSION, 100.0, IntensityUnit.PERCENT_TRANSMITTANCE, 1.0),
        (REFLECTANCE, 1.0, IntensityUnit.REFLECTANCE, 1.0),
        (REFLECTANCE, 100.0, IntensityUnit.REFLECTANCE, 0.01),
    ],
)
def test_ratio_or_percent_is_told_by_the_values(
    code: int, scale: float, unit: IntensityUnit, factor: float
) -> None:
    ratios = np.array([0.9, 0.2, 0.8, 0.95, 0.5])
    spectrum = read(simple((ratios * scale).tolist(), x=WAVENUMBER, y=code))
    assert spectrum.unit is unit
    np.testing.assert_allclose(spectrum.intensity, ratios * scale * factor, rtol=1e-6)
    assert "inferred" in spectrum.acquisition.metadata["ordinate_scale"]


def test_absorbance_no_instrument_can_see_is_not_believed() -> None:
    spectrum = read(simple([300.0, 500.0, 250.0, 400.0], x=WAVENUMBER, y=ABSORBANCE))
    assert spectrum.unit is IntensityUnit.ARBITRARY
    assert spectrum.technique is Technique.UNKNOWN
    assert "ordinate_not_credible" in spectrum.acquisition.flags


def test_raman_with_a_nm_axis_needs_the_laser() -> None:
    data = simple([1.0, 2.0, 3.0], x=NANOMETRE, y=COUNTS, first=800.0, last=900.0)
    with pytest.raises(UnsupportedContentError, match=r"800 to 900 nm.*laser_nm"):
        read(data)
    for spectrum in (read(data, laser_nm=785.0), read(with_log(data, b"EXCIT_LINE = 785\r\n\0"))):
        assert spectrum.technique is Technique.RAMAN
        np.testing.assert_allclose(spectrum.axis, 1e7 / 785 - 1e7 / np.array([800, 850, 900]))
        assert spectrum.intensity.tolist() == [1.0, 2.0, 3.0]
        assert [(h.name, dict(h.parameters)) for h in spectrum.history] == [
            ("wavelength_to_shift", {"laser_nm": 785.0})
        ]


def test_a_laser_that_contradicts_the_file_is_an_error() -> None:
    data = with_log(simple(), b"EXCIT_LINE = 785.21\r\n\0")
    assert read(data, laser_nm=785.0).acquisition.laser_nm == 785.21
    with pytest.raises(FileError, match=r"785\.21 nm, but 532 nm"):
        spectralid.io.read(io.BytesIO(data), laser_nm=532.0)


def test_luminescence_beyond_any_raman_shift_is_refused() -> None:
    data = simple(x=NANOMETRE, y=COUNTS, first=900.0, last=1000.0)
    with pytest.raises(UnsupportedContentError, match="beyond any Raman shift"):
        spectralid.io.read(io.BytesIO(data), laser_nm=532.0)


def test_absolute_wavenumbers_become_shifts_with_the_laser() -> None:
    data = simple([1.0, 2.0, 3.0], labels=b"Wavenumber (cm-1)\0(arb)", flags=LABELS, x=0,
                  first=18000.0, last=16000.0)  # fmt: skip
    with pytest.raises(UnsupportedContentError, match="absolute wavenumber"):
        read(data)
    spectrum = read(data, laser_nm=532.0)
    np.testing.assert_allclose(spectrum.axis, 1e7 / 532 - np.array([18000, 17000, 16000]))
    assert spectrum.acquisition.metadata["y_type"] == "(arb)"


@pytest.mark.parametrize(("code", "first", "last"), [(NANOMETRE, 1000.0, 2500.0), (MICRON, 1.0, 2.5)])
def test_near_infrared_wavelengths_become_wavenumbers(code: int, first: float, last: float) -> None:
    spectrum = read(simple([0.1, 0.2, 0.3, 0.4], x=code, y=ABSORBANCE, first=first, last=last))
    assert spectrum.technique is Technique.FTIR
    np.testing.assert_allclose(spectrum.axis, 1e7 / np.array([2500, 2000, 1500, 1000]))
    np.testing.assert_allclose(spectrum.intensity, [0.4, 0.3, 0.2, 0.1], rtol=1e-6)


def test_the_files_own_label_overrules_the_code() -> None:
    assert read(simple(flags=LABELS, x=0, labels=b"Raman Shift (cm-1)\0")).technique is Technique.RAMAN
    # Without the flag the label is leftover memory and does not count.
    with pytest.raises(UnsupportedContentError, match="no unit"):
        read(simple(x=0, labels=b"Raman Shift (cm-1)\0"))


def test_axis_without_a_unit_is_read_only_if_the_caller_vouches() -> None:
    data = simple(x=0, first=200.0, last=800.0)
    with pytest.raises(UnsupportedContentError, match="give the technique"):
        read(data)
    spectrum = read(data, technique=Technique.RAMAN)
    assert spectrum.technique is Technique.RAMAN
    assert "axis_unit_assumed" in spectrum.acquisition.flags
    pixels = simple(x=0, first=1.0, last=7.0)
    with pytest.raises(UnsupportedContentError, match="detector pixels"):
        read(pixels, technique=Technique.RAMAN)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"x": 9, "y": 0, "z": 5, "flags": MULTI, "traces": 286}, "GC-MS run of 286 mass spectra"),
        ({"x": 9}, "mass spectra"),
        ({"x": 10}, "NMR"),
        ({"x": 6}, "frequency in Hz"),
        ({"x": 5}, "chromatogram"),
        ({"x": 18}, "diffraction"),
        ({"x": 14}, "eV"),
        ({"x": 16}, "pixels"),
        ({"x": 255}, "interferogram"),
        ({"x": WAVENUMBER, "y": 1}, "interferogram"),
        ({"technique": 3}, "HPLC"),
        ({"technique": 7}, "UV-visible"),
        ({"technique": 12}, "fluorescence"),
        ({"x": NANOMETRE, "y": ABSORBANCE, "first": 200.0, "last": 800.0}, "UV-Vis"),
    ],
)
def test_what_is_no_vibrational_spectrum_is_refused_by_name(fields: dict[str, object], words: str) -> None:
    with pytest.raises(UnsupportedContentError, match=words) as caught:
        read(simple(**fields))
    assert caught.value.file == "made.spc"


def test_nmr_decay_is_told_from_a_chromatogram_by_its_log() -> None:
    with pytest.raises(UnsupportedContentError, match="NMR free induction decay"):
        read(with_log(simple(x=4), b"NUCFREQ=200.05\r\nFID=TRUE\r\n\0"))


def test_missing_points_stay_missing_and_infinities_are_refused() -> None:
    assert read(simple([1.0, float("nan"), 2.0])).missing.tolist() == [False, True, False]
    with pytest.raises(UnreadableFileError, match="infinite"):
        read(simple([1.0, float("inf"), 2.0]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e300])
def test_impossible_ends_of_the_axis(bad: float) -> None:
    with pytest.raises(UnreadableFileError, match="ends of its axis"):
        read(simple(first=bad))


def variants() -> dict[str, bytes]:
    """Files whose last byte belongs to a spectrum, so that any cut must be noticed."""
    return {
        "float": simple(),
        "short": bytes(header(flags=SHORT, exponent=4)) + subheader() + struct.pack("<7h", *range(7)),
        "big-endian": bytes(header(order=">", exponent=4)) + subheader(order=">") + integers(RAW, ">"),
        "own x": own_x_multifile(directory=False),
        "directory": own_x_multifile(),
        "multi": bytes(header(flags=MULTI, exponent=FLOAT, points=2, traces=2))
        + 2 * (subheader(exponent=FLOAT) + floats([1.0, 2.0])),
        "old": old() + swapped([1, 2, 3]),
        "old multi": old(flags=MULTI) + swapped([1, 2, 3]) + subheader() + swapped([4, 5, 6]),
    }


@pytest.mark.parametrize("name", list(variants()))
def test_a_file_cut_anywhere_says_so(name: str) -> None:
    whole = variants()[name]
    assert read_all(whole)
    for length in range(2, len(whole)):
        if name == "old multi" and length == len(old()) + 12:
            continue  # a cut between two traces leaves a whole file in this format
        with pytest.raises(UnreadableFileError) as caught:
            read_all(whole[:length])
        assert caught.value.where == f"byte {length}"


@pytest.mark.parametrize(
    "data",
    [
        bytes(header(points=2**31, exponent=FLOAT)) + bytes(1000),
        bytes(header(points=2**32 - 1, exponent=FLOAT, flags=X_VALUES)) + bytes(1000),
        bytes(header(traces=2**32 - 1, flags=MULTI, exponent=FLOAT)) + bytes(1000),
        bytes(header(traces=90_000, flags=MULTI | OWN_X, points=0)) + subheader(points=2**31),
        old(points=2**30) + bytes(100),
    ],
)
def test_false_counts_cost_no_memory(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFileError):
            read_all(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_directory_that_names_one_trace_many_times_is_not_believed() -> None:
    points, traces = 1000, 5000
    trace = subheader(exponent=FLOAT, points=points) + floats([1.0] * (2 * points))
    entries = struct.pack("<IIf", 512, len(trace), 0.0) * traces
    flags = MULTI | OWN_X | X_VALUES
    data = (
        bytes(header(flags=flags, exponent=FLOAT, points=512 + len(trace), traces=traces)) + trace + entries
    )
    with pytest.raises(UnreadableFileError, match="claim more bytes"):
        read_all(data)


def test_sniffing_looks_at_more_than_the_version_byte() -> None:
    def sniff(data: bytes, name: str = "x.bin") -> float:
        return FORMAT.sniff(Source(name, data))

    assert all(sniff(data) > 0.8 for data in variants().values())
    # "PK" of a ZIP archive holds the version byte of SPC; so may any text.
    assert sniff(b"PK\x03\x04" + bytes(1000), "a.spc") == 0
    assert sniff(b"AK" + b"4000.0 1.0\n" * 200) == 0
    assert sniff(b"xM" + b"4000.0 1.0\n" * 200) == 0
    assert sniff(b"") == 0
    assert sniff(simple()[:100], "cut.spc") > 0
    assert sniff(simple()[:100], "cut.bin") == 0


def test_other_versions_are_refused_with_advice() -> None:
    with pytest.raises(UnreadableFileError, match="other makers"):
        read(b"\0\x08" + bytes(600))


def check_only_file_errors(data: bytes) -> None:
    FORMAT.sniff(Source("made.spc", data))
    with np.errstate(all="raise"):
        try:
            spectra = FORMAT.read(Source("made.spc", data), ReadOptions())
        except FileError:
            return
    assert spectra
    assert all(s.source == "made.spc" for s in spectra)


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(list(variants())),
    flips=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=8),
    cut=st.one_of(st.none(), st.integers(0, 2000)),
)
def test_damaged_files_raise_file_errors_only(
    name: str, flips: list[tuple[int, int]], cut: int | None
) -> None:
    data = bytearray(variants()[name])
    for at, value in flips:
        data[at % len(data)] = value
    check_only_file_errors(bytes(data[:cut]))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000), st.sampled_from([0x4B, 0x4C, 0x4D]))
def test_random_bytes_raise_file_errors_only(body: bytes, version: int) -> None:
    check_only_file_errors(bytes([0x00, version]) + body)


def test_file_name_serves_as_title(tmp_path: Path) -> None:
    path = tmp_path / "amphetamine.spc"
    path.write_bytes(simple())
    (spectrum,) = FORMAT.read(Source(str(path), path.read_bytes(), path), ReadOptions())
    assert spectrum.name == "amphetamine"
    assert read(simple(comment=b"Seizure 17")).name == "Seizure 17"
