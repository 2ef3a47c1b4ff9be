"""Delimited text: separators, decimal signs, encodings, headings, maps, refusals and the exact round trip."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spectralid.errors import (
    InputError,
    ParameterError,
    UnreadableFileError,
    UnsupportedContentError,
)
from spectralid.io import ReadOptions, Source
from spectralid.io.text import FORMAT
from spectralid.spectrum import IntensityUnit, Spectrum, Technique
from tests.io.strategies import assert_same, axes, spectra

AXIS = [400.5, 401.5, 402.75, 404.0, 405.25, 406.5]
VALUES = [1.25, -2.0, 3.5, 1000.75, 5.0, 6.125]


def read(text: str | bytes, name: str = "sample.txt", **options: object) -> list[Spectrum]:
    data = text.encode() if isinstance(text, str) else text
    return FORMAT.read(Source(name, data), ReadOptions(**options))  # type: ignore[arg-type]


def one(text: str | bytes, name: str = "sample.txt", **options: object) -> Spectrum:
    (spectrum,) = read(text, name, **options)
    return spectrum


def table(
    separator: str,
    number: Callable[[float], str] = str,
    axis: Sequence[float] = AXIS,
    values: Sequence[float] = VALUES,
) -> str:
    return "".join(f"{number(x)}{separator}{number(y)}\n" for x, y in zip(axis, values, strict=True))


def comma(value: float) -> str:
    return str(value).replace(".", ",")


# --- how numbers are written


@pytest.mark.parametrize(
    ("separator", "number"),
    [
        (",", str),
        (", ", str),
        (";", str),
        ("\t", str),
        (" ", str),
        ("    ", str),
        (";", comma),
        ("\t", comma),
        (" ", comma),
        ("; ", comma),
        (",", lambda v: f"{v:.6e}"),
        (",", lambda v: f'"{v}"'),
        (",", lambda v: f'"{comma(v)}"'),
    ],
)
def test_separators_and_decimal_signs(separator: str, number: Callable[[float], str]) -> None:
    spectrum = one(table(separator, number))
    np.testing.assert_array_equal(spectrum.axis, AXIS)
    np.testing.assert_array_equal(spectrum.intensity, VALUES)


@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r"])
def test_line_ends_and_a_missing_last_one(ending: str) -> None:
    text = table(",").replace("\n", ending)
    assert one(text) == one(text.rstrip("\r\n")) == one(table(","))


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        ("1.234,5\t7\n1.235,5\t8\n1.236,5\t9\n1.237,5\t1\n1.238,5\t2\n", 1234.5),
        ("1,234.5\t7\n1,235.5\t8\n1,236.5\t9\n1,237.5\t1\n1,238.5\t2\n", 1234.5),
        # Read as decimals these would not ascend: only thousands make an axis.
        ("998\t7\n999\t8\n1,000\t9\n1,001\t1\n1,002\t2\n", 998.0),
        # Nothing above 1000 is written without a group of three, but 0,5 can be no thousand.
        ("400,123\t0,512\n401,123\t0,513\n402,123\t0,514\n403,123\t0,515\n404,123\t0,516\n", 400.123),
    ],
)
def test_thousands_are_told_from_decimals(rows: str, first: float) -> None:
    assert one(rows).axis[0] == first


def test_commas_that_could_be_either_are_refused() -> None:
    rows = "1,234\t7,001\n1,235\t8,001\n1,236\t9,001\n1,237\t1,001\n1,238\t2,001\n"
    with pytest.raises(UnreadableFileError, match="decimal point"):
        read(rows)


def test_comma_as_separator_and_decimal_sign_at_once() -> None:
    # As Kaiser's Holograms writes with European settings; a fraction with a leading zero gives it away.
    rows = "121,5,1202,5123\n122,4,770,007\n123,3,-473,5873\n124,,680,98\n124,9,12,5\n"
    spectrum = one(rows)
    np.testing.assert_array_equal(spectrum.axis, [121.5, 122.4, 123.3, 124.0, 124.9])
    np.testing.assert_array_equal(spectrum.intensity, [1202.5123, 770.007, -473.5873, 680.98, 12.5])


def test_the_same_behind_a_whole_pixel_number_and_before_a_last_comma() -> None:
    # As B&W Tek writes CSV with European settings.
    rows = "".join(f"{i},{400 + i},0{i},{i + 10},0000,2,5E+0{i},\n" for i in range(6))
    spectrum = one("laser_wavelength,784,82\nPixel,Raman Shift,Dark,Dark Subtracted #1,\n" + rows)
    np.testing.assert_allclose(spectrum.axis, 400 + 1.01 * np.arange(6))
    np.testing.assert_allclose(spectrum.intensity, 2.5 * 10.0 ** np.arange(6))
    assert spectrum.acquisition.laser_nm == 784.82


def test_headings_of_far_fewer_columns_than_there_are_are_refused() -> None:
    rows = "".join(f"{400 + i},5,{i},6,{i},7,{i},8\n" for i in range(6))
    with pytest.raises(UnreadableFileError, match="decimal points"):
        read("Raman Shift,Raw,Dark,Reference\n" + rows)


def test_whole_number_columns_are_not_taken_for_decimals() -> None:
    rows = "".join(f"{400 + i},5,{100 + i},20\n" for i in range(6))
    assert [s.intensity[0] for s in read(rows)] == [5, 100, 20]


@pytest.mark.parametrize(
    ("encoding", "heading"),
    [
        ("utf-8", "Raman Shift (cm⁻¹)"),
        ("utf-8-sig", "Raman Shift (cm⁻¹)"),
        ("utf-16", "Raman Shift (cm⁻¹)"),
        ("utf-16-le", "Raman Shift (cm-1)"),
        ("utf-16-be", "Raman Shift (cm-1)"),
        ("latin-1", "Raman Shift (cm-¹)"),
        ("cp1252", "Raman Shift – cm"),
        ("gb18030", "拉曼位移"),
    ],
)
def test_encodings(encoding: str, heading: str) -> None:
    spectrum = one(f"{heading},Counts\n{table(',')}".encode(encoding))
    np.testing.assert_array_equal(spectrum.axis, AXIS)
    assert spectrum.technique is Technique.RAMAN
    assert spectrum.unit is IntensityUnit.COUNTS


def test_chinese_names_survive_gb18030() -> None:
    spectrum = one(f"#Material scientific name:乙醇\n{table(' ')}".encode("gb18030"))
    assert spectrum.name == "乙醇"


# --- axes


def test_descending_axis_is_turned_round() -> None:
    spectrum = one(table(",", axis=AXIS[::-1], values=VALUES[::-1]))
    np.testing.assert_array_equal(spectrum.intensity, VALUES)
    assert not spectrum.history


def test_repeated_axis_values_are_merged_and_flagged() -> None:
    spectrum = one(table(",", axis=[400, 401, 401, 402, 403, 404], values=[1, 2, 4, 5, 6, 7]))
    np.testing.assert_array_equal(spectrum.intensity, [1, 3, 5, 6, 7])
    assert spectrum.acquisition.flags == {"duplicates_merged"}


def test_wavelengths_become_shifts_with_the_laser_of_the_header() -> None:
    shifts = np.array([200.0, 500.0, 1000.0, 2000.0, 3000.0])
    nm = 1e7 / (1e7 / 785.0 - shifts)
    text = "Laser Wavelength,785\nWavelength (nm),Intensity\n" + table(
        ",", repr, nm.tolist(), [1, 2, 3, 4, 5]
    )
    spectrum = one(text)
    np.testing.assert_allclose(spectrum.axis, shifts, rtol=1e-12, atol=1e-9)
    assert spectrum.technique is Technique.RAMAN
    assert spectrum.acquisition.laser_nm == 785.0
    assert spectrum.history[0].name == "wavelength_to_shift"
    assert spectrum.history[0].parameters == {"laser_nm": 785.0}


def test_wavelengths_without_a_laser_say_which_option_to_give() -> None:
    text = "Wavelength,Intensity\n" + table(",", axis=[800, 801, 802, 803, 804, 805])
    with pytest.raises(UnreadableFileError, match="laser_nm"):
        read(text)
    spectrum = one(text, laser_nm=785.0)
    assert spectrum.axis[0] == pytest.approx(1e7 / 785 - 1e7 / 800)


def test_wavelengths_of_absorbed_light_become_wavenumbers() -> None:
    text = "Wavelength (µm),Absorbance\n" + table(
        ",", axis=[2.5, 5, 10, 15, 20, 25], values=[1, 2, 3, 4, 5, 6]
    )
    spectrum = one(text)
    np.testing.assert_allclose(spectrum.axis, [400, 500, 1e4 / 15, 1000, 2000, 4000])
    np.testing.assert_array_equal(spectrum.intensity, [6, 5, 4, 3, 2, 1])
    assert (spectrum.technique, spectrum.unit) == (Technique.FTIR, IntensityUnit.ABSORBANCE)


def test_visible_absorbance_is_no_vibrational_spectrum() -> None:
    with pytest.raises(UnsupportedContentError, match="ultraviolet"):
        read("Wavelength (nm),Absorbance\n" + table(",", axis=[400, 410, 420, 430, 440, 450]))


@pytest.mark.parametrize(
    "text",
    [
        "Pixel,Intensity\n" + table(",", axis=[0, 1, 2, 3, 4, 5]),
        table(",", axis=[0, 1, 2, 3, 4, 5]),
        table(",", axis=[1, 2, 3, 4, 5, 6]),
        "Raw,Dark\n" + table(","),
    ],
)
def test_an_axis_of_points_is_refused(text: str) -> None:
    with pytest.raises(UnreadableFileError, match="axis"):
        read(text)


def test_a_pixel_heading_over_negative_shifts_is_contradicted() -> None:
    spectrum = one("Pixel,Intensity\n" + table(",", axis=[-601.3, -597.4, 0.5, 400.1, 500.2, 600.3]))
    assert "axis_label_contradicted" in spectrum.acquisition.flags


def test_an_index_column_without_a_heading_is_not_the_axis() -> None:
    rows = "".join(f"{i},{x},{y}\n" for i, (x, y) in enumerate(zip(AXIS, VALUES, strict=True)))
    np.testing.assert_array_equal(one(",wavenumber,absorbance\n" + rows).axis, AXIS)


@pytest.mark.parametrize("axis", [[1, 2.5, 3, 4, 5, 6.5], [1e5, 2e5, 3e5, 4e5, 5e5, 6e5]])
def test_axes_outside_any_vibrational_spectrum(axis: list[float]) -> None:
    with pytest.raises(UnsupportedContentError, match="no Raman shift"):
        read(table(",", axis=axis))


# --- columns


def test_the_dark_corrected_column_is_chosen() -> None:
    rows = "".join(f"{i},{700 + i},{x},{i + 900},{i + 950},{i + 50},1\n" for i, x in enumerate(AXIS))
    spectrum = one(
        "ENLIGHTEN Version,4.1.6\nSerial Number,WP-1\nModel,WP-785X\nLaser Wavelength,785.04\n"
        "Laser Power mW,50.0\nIntegration Time,3000\nScan Averaging,2\n"
        "Timestamp,2024-12-10 11:20:42.574384\nBattery %,\n\n"
        "Pixel,Wavelength,Wavenumber,Processed,Raw,Dark,Reference\n" + rows
    )
    np.testing.assert_array_equal(spectrum.intensity, 900 + np.arange(6))
    np.testing.assert_array_equal(spectrum.axis, AXIS)
    facts = spectrum.acquisition
    assert (facts.instrument, facts.serial, facts.laser_nm) == ("WP-785X", "WP-1", 785.04)
    assert (facts.power_mw, facts.integration_ms, facts.averages) == (50.0, 3000.0, 2)
    assert facts.time == "2024-12-10T11:20:42.574384"
    assert facts.metadata["Serial Number"] == "WP-1"
    assert (spectrum.technique, spectrum.unit) == (Technique.RAMAN, IntensityUnit.COUNTS)


def test_points_without_an_axis_value_are_dropped_and_flagged() -> None:
    spectrum = one(
        "File Version;BWSpec4.11_1\nintigration times(ms);1000\nlaser_wavelength;784,82\n"
        "Pixel;Wavelength;Raman Shift;Dark;Raw data #1;Dark Subtracted #1;%TR #1;Absorbance #1;\n"
        "0;   ;   ;1200,9;1233,0;32,1;0,0;0,0;\n"
        + "".join(
            f"{i + 1};800;{comma(x)};1,0;2,0;{comma(y)};0,0;0,0;\n"
            for i, (x, y) in enumerate(zip(AXIS, VALUES, strict=True))
        )
    )
    np.testing.assert_array_equal(spectrum.axis, AXIS)
    np.testing.assert_array_equal(spectrum.intensity, VALUES)
    assert spectrum.acquisition.laser_nm == 784.82
    assert spectrum.acquisition.integration_ms == 1000
    assert spectrum.acquisition.flags == {"points_without_axis_dropped"}


@pytest.mark.parametrize("mark", ["", "NaN", "NA", "n/a", "nan", "null", "--"])
def test_missing_values_become_nan(mark: str) -> None:
    rows = table(",").splitlines()
    rows[2] = f"{AXIS[2]},{mark}"
    spectrum = one("\n".join(rows))
    np.testing.assert_array_equal(spectrum.missing, [False, False, True, False, False, False])


def test_columns_without_roles_become_spectra_by_heading() -> None:
    rows = "".join(f"{x},{i},{10 * i}\n" for i, x in enumerate(AXIS))
    a, b = read("Wavenumber (cm-1),aspirin,caffeine\n" + rows)
    assert (a.name, b.name) == ("sample (aspirin)", "sample (caffeine)")
    np.testing.assert_array_equal(b.intensity, 10 * np.arange(6))


def test_a_column_of_standard_deviations_belongs_to_the_spectrum() -> None:
    rows = "".join(f"{x},{i},0.5\n" for i, x in enumerate(AXIS))
    spectrum = one("wavenumber,intensity,sd\n" + rows)
    assert spectrum.sd is not None
    np.testing.assert_array_equal(spectrum.sd, np.full(6, 0.5))


def test_two_axis_columns_of_one_kind_are_refused() -> None:
    rows = "".join(f"{x},1,{x},2\n" for x in AXIS)
    with pytest.raises(UnreadableFileError, match="a file of its own"):
        read("Raman shift,a,Raman shift,b\n" + rows)


@pytest.mark.parametrize(
    ("heading", "unit", "technique"),
    [
        ("cm-1,Absorbance", IntensityUnit.ABSORBANCE, Technique.FTIR),
        ("Wavenumber;%T", IntensityUnit.PERCENT_TRANSMITTANCE, Technique.FTIR),
        ("Wavenumber\tTransmittance", IntensityUnit.PERCENT_TRANSMITTANCE, Technique.FTIR),
        ("Raman Shift (cm-1)\tIntensity (counts)", IntensityUnit.COUNTS, Technique.RAMAN),
        ("RamanShift; Intensity", IntensityUnit.ARBITRARY, Technique.RAMAN),
        ("wavenumber,intensity", IntensityUnit.ARBITRARY, Technique.UNKNOWN),
        ("#Wave\t\t#Intensity", IntensityUnit.ARBITRARY, Technique.UNKNOWN),
        ("XUNITS\t1/CM\nYUNITS\tABSORBANCE\nXYDATA", IntensityUnit.ABSORBANCE, Technique.FTIR),
        ("Measurement mode: ATR\nWavenumber Absorbance", IntensityUnit.ABSORBANCE, Technique.FTIR_ATR),
    ],
)
def test_ordinate_and_technique_come_from_words(
    heading: str, unit: IntensityUnit, technique: Technique
) -> None:
    separator = ";" if ";" in heading else "," if "," in heading else "\t"
    spectrum = one(f"{heading}\n{table(separator)}")
    assert (spectrum.unit, spectrum.technique) == (unit, technique)
    np.testing.assert_array_equal(spectrum.intensity, VALUES)


def test_transmittance_up_to_one_stays_a_ratio() -> None:
    text = "Wavenumber,Transmittance\n" + table(",", values=[0.9, 0.8, 0.7, 0.2, 0.9, 1.0])
    assert one(text).unit is IntensityUnit.TRANSMITTANCE


def test_labspec_header_fields_are_not_column_headings() -> None:
    head = (
        "#Acq. time (s)=\t1.5\n#Accumulations=\t2\n#Laser=\t532nm_Edge\n#Spectral res.(cm-¹)=\t7.4\n"
        "#Acquired=\t17.12.2025 10:45:54\n#AxisUnit[0]=\tCnt\n#AxisType[1]=\tSpectr\n#AxisUnit[1]=\t1/cm\n"
    )
    spectrum = one((head + table("\t")).encode("latin-1"))
    facts = spectrum.acquisition
    np.testing.assert_array_equal(spectrum.axis, AXIS)
    assert (facts.integration_ms, facts.averages, facts.laser_nm) == (1500, 2, 532)
    assert (facts.resolution_cm1, facts.time) == (7.4, "2025-12-17T10:45:54")
    assert (spectrum.technique, spectrum.unit) == (Technique.RAMAN, IntensityUnit.COUNTS)


def test_rruff_says_in_its_file_name_how_it_was_measured() -> None:
    text = "##NAMES=Talc\n##RRUFFID=R040137\n##MEASURED CHEMISTRY=a; b, Raman\n" + table(", ") + "##END=\n\n"
    assert one(text, "Talc__R040137-1__Infrared__x.txt").technique is Technique.FTIR
    assert one(text, "Talc__R040137__Raman__532__0.txt").technique is Technique.RAMAN
    assert one(text, "talc.txt").technique is Technique.UNKNOWN
    assert one(text, "talc.txt").name == "Talc"


def test_comments_and_words_after_the_table_do_no_harm() -> None:
    assert one(table(",") + "# a comment\n; another\n>>>>>End Spectral Data<<<<<\n") == one(table(","))


def test_perkin_elmer_ascii_without_an_axis_column() -> None:
    rows = ["6", "4000.0", "400.0", "1", "2", "4", "1", "2", "3", "4", "5", "6"]
    spectrum = one("\r\n".join(rows) + "\r\n", "film.asp")
    np.testing.assert_allclose(spectrum.axis, np.linspace(400, 4000, 6))
    np.testing.assert_array_equal(spectrum.intensity, [6, 5, 4, 3, 2, 1])
    assert spectrum.name == "film"


# --- maps and libraries


def test_rows_of_a_map_are_grouped_by_position() -> None:
    rows = "".join(f"{p}\t{-p}\t{x}\t{p * 100 + i}\n" for p in (1, 2, 3) for i, x in enumerate(AXIS))
    found = read("#X\t\t#Y\t\t#Wave\t\t#Intensity\n" + rows)
    assert [s.name for s in found] == ["sample (X 1, Y -1)", "sample (X 2, Y -2)", "sample (X 3, Y -3)"]
    np.testing.assert_array_equal(found[1].intensity, 200 + np.arange(6))
    assert found[2].acquisition.metadata["X"] == "3"


WIDE = [f"{400 + 2.5 * i}" for i in range(20)]


def wide(*labels: str, corner: str, separator: str = ",", axis: Sequence[str] = WIDE) -> str:
    rows = [corner + separator.join(axis)]
    rows += [label + separator.join(str(10 * r + i) for i in range(20)) for r, label in enumerate(labels)]
    return "\n".join(rows) + "\n"


def test_a_library_of_one_spectrum_a_row() -> None:
    found = read(wide("PE,bag,", "PET,bottle,", corner="Label,What,"))
    assert [s.name for s in found] == ["PE", "PET"]
    np.testing.assert_array_equal(found[1].intensity, 10 + np.arange(20))
    assert found[1].acquisition.metadata["What"] == "bottle"


def test_a_library_with_descending_axis_and_two_lines_on_types() -> None:
    text = wide("collagen,", "DNA,", corner="type,", axis=WIDE[::-1]).split("\n")
    text[1:1] = ["d," + ",".join(["c"] * 20), "class"]
    found = read("\n".join(text))
    assert [s.name for s in found] == ["collagen", "DNA"]
    np.testing.assert_array_equal(found[0].intensity, np.arange(20)[::-1])


def test_a_labspec_map_with_blank_corner() -> None:
    axes = ("Intens", "Spectr", "Y", "X")
    head = "#AxisUnit[1]=\t1/cm\n" + "".join(f"#AxisType[{i}]=\t{a}\n" for i, a in enumerate(axes))
    found = read(head + wide("0\t7\t", "1\t7\t", "2\t7\t", corner="\t\t", separator="\t"))
    assert [s.name for s in found] == ["sample (Y 0, X 7)", "sample (Y 1, X 7)", "sample (Y 2, X 7)"]
    np.testing.assert_array_equal(found[2].intensity, 20 + np.arange(20))


def test_many_columns_are_spectra_when_the_first_is_the_axis() -> None:
    rows = "".join(
        f"{400 + 3 * i}," + ",".join(str((7 * i * j) % 11) for j in range(20)) + "\n" for i in range(8)
    )
    found = read(rows)
    assert len(found) == 20
    np.testing.assert_array_equal(found[3].intensity, [(7 * i * 3) % 11 for i in range(8)])


def test_rows_and_columns_that_both_ascend_are_refused() -> None:
    with pytest.raises(UnreadableFileError, match="first row and its first column"):
        read(wide(*(f"{r}," for r in range(5)), corner=","))


def test_a_short_row_of_a_library_is_named() -> None:
    text = wide("a,", "b,", corner="Label,")
    with pytest.raises(UnreadableFileError, match="line 3"):
        read(text[:-20])


# --- what must be refused


def test_garbage_in_the_middle_names_its_line() -> None:
    rows = table(",").splitlines()
    rows.insert(3, "@@ lost line @@")
    with pytest.raises(UnreadableFileError, match="line 4") as caught:
        read("\n".join(rows))
    assert caught.value.where == "line 4"


def test_a_row_of_another_width_names_its_line() -> None:
    rows = table(",").splitlines()
    rows.insert(3, "403,1,2")
    with pytest.raises(UnreadableFileError, match="line 4"):
        read("\n".join(rows))


def test_a_cut_last_line_is_truncation() -> None:
    with pytest.raises(UnreadableFileError, match="truncated"):
        read(table(",") + "407.5")


def test_a_number_that_is_none_names_its_line() -> None:
    rows = table("\t").splitlines()
    rows[2] = "402.75\t3.5.1"
    with pytest.raises(UnreadableFileError, match="line 3"):
        read("\n".join(rows))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("repo: github.com/somebody/something\nlicence: MIT\n", "no table of numbers"),
        ("FILE_ID,STRIP,FTIR\na.dx,0.0,0.0\nb.dx,1.0,0.0\n", "no table of numbers"),
        ("mineral__Raman_Data_RAW__21346.txt", "no table of numbers"),
        ("\n".join(str(v) for v in AXIS), "single column"),
        ("400,1\n401,2\n", "longest has 2"),
        ('{"x": [1, 2, 3], "y": [4, 5, 6]}', "JSON"),
        ("<?xml version='1.0'?><a>400 1</a>", "XML"),
    ],
)
def test_tables_of_something_else_are_refused(text: str, words: str) -> None:
    with pytest.raises(UnsupportedContentError, match=words):
        read(text)


@pytest.mark.parametrize(
    "data", [b"\x00\x01\x02\xff" * 50, bytes(range(256)) * 4, b"\x89PNG\r\n\x1a\n" + bytes(99)]
)
def test_binary_is_refused_and_not_sniffed(data: bytes) -> None:
    assert FORMAT.sniff(Source("a.txt", data)) == 0
    with pytest.raises(UnreadableFileError, match="binary"):
        read(data)


def test_a_constant_spectrum_is_read_as_it_is() -> None:
    assert np.ptp(one(table(",", values=[7.0] * 6)).intensity) == 0


@pytest.mark.parametrize("value", ["inf", "1e999"])
def test_infinities_are_refused(value: str) -> None:
    with pytest.raises(InputError):
        read(table(",") + f"408.0,{value}\n409.0,1\n")


@pytest.mark.parametrize(
    ("text", "at_least"),
    [
        ("ENLIGHTEN Version,4.1\n", 0.9),
        ("##NAMES=Talc\n", 0.9),
        (table(","), 0.5),
    ],
)
def test_sniffing_by_content(text: str, at_least: float) -> None:
    assert FORMAT.sniff(Source("unnamed", text.encode())) >= at_least


def test_jcamp_and_prose_are_left_to_others() -> None:
    assert FORMAT.sniff(Source("a.txt", b"##TITLE=x\n##JCAMP-DX=5.01\n" + table(" ").encode())) < 0.05
    assert FORMAT.sniff(Source("a.txt", b"some words")) < 0.1


PIECES = st.sampled_from(
    ["400", "401.5", "1e3", "-3", ",", ";", "\t", " ", "\n", "\r\n", "nan", "Raman shift", "Wavelength (nm)",
     "#Wave", "Absorbance", "=", ":", "785", '"', "1e999", "1,5", "label", "##NAMES=", "é", "拉曼",
     "\x0c"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=120).map("".join) | st.text(max_size=200))
def test_no_text_brings_out_anything_but_an_input_error(text: str) -> None:
    try:
        found = read(text, laser_nm=785.0)
    except InputError:
        return
    assert found


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_bring_out_anything_but_an_input_error(data: bytes) -> None:
    assert 0 <= FORMAT.sniff(Source("a", data)) <= 1
    try:
        found = read(data)
    except InputError:
        return
    assert found


@settings(max_examples=60, deadline=None)
@example([(1, "1;2")], ";")
@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.sampled_from(["nan", "x", "1;2", "", "1e999", "5", "-", "\t"])),
        max_size=4,
    ),
    st.sampled_from([",", ";", "\t", " "]),
)
def test_damaged_tables_are_read_or_refused(changes: list[tuple[int, str]], separator: str) -> None:
    rows = [f"{400 + i}.5{separator}{(i * 37) % 11}" for i in range(21)]
    for at, text in changes:
        rows[at] = text if at % 2 else rows[at] + separator + text
    try:
        found = read("\n".join(rows))
    except InputError:
        return
    # "1;2" is a sound row where semicolons separate, and one more point.
    sound = [*(400.5 + np.arange(21)), *([1.0] if separator == ";" else [])]
    assert all(np.isin(s.axis, sound).all() for s in found)


# --- our own form


@settings(max_examples=60, deadline=None)
@given(spectra())
def test_round_trip_keeps_identity_facts_and_history(spectrum: Spectrum) -> None:
    assert FORMAT.write is not None
    data = FORMAT.write([spectrum])
    assert FORMAT.sniff(Source("a.csv", data)) == 1
    assert_same(one(data), spectrum)


@settings(max_examples=25, deadline=None)
@given(st.data(), axes())
def test_round_trip_of_several_on_one_axis(data: st.DataObject, axis: np.ndarray) -> None:
    assert FORMAT.write is not None
    written = [data.draw(spectra(axis)) for _ in range(3)]
    for found, wanted in zip(read(FORMAT.write(written)), written, strict=True):
        assert_same(found, wanted)


def test_different_axes_are_not_written_into_one_file() -> None:
    assert FORMAT.write is not None
    a = Spectrum(axis=[400.0, 401.0], intensity=[1.0, 2.0])
    b = Spectrum(axis=[400.0, 402.0], intensity=[1.0, 2.0])
    with pytest.raises(ParameterError, match="resample"):
        FORMAT.write([a, b])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("401.0,2.0", "401.0,2.5", "identity"),
        ("401.0,2.0\n", "401.0\n", "line"),
        ("402.0,3.0\n", "", "identity"),
        ('# name: "a"', "# name: {", "name"),
        ("axis_cm1,intensity_1", "axis_cm1", "columns"),
        ("# technique: raman", "# technique: smell", "header"),
    ],
)
def test_an_edited_file_of_ours_is_refused(old: str, new: str, words: str) -> None:
    assert FORMAT.write is not None
    spectrum = Spectrum(
        axis=[400.0, 401.0, 402.0], intensity=[1.0, 2.0, 3.0], technique=Technique.RAMAN, name="a"
    )
    text = FORMAT.write([spectrum]).decode()
    assert old in text
    with pytest.raises(UnreadableFileError, match=words):
        read(text.replace(old, new))


def test_edited_values_are_read_without_the_recorded_identity() -> None:
    assert FORMAT.write is not None
    text = FORMAT.write([Spectrum(axis=[400.0, 401.0], intensity=[1.0, 2.0])]).decode()
    kept = [line for line in text.replace("401.0,2.0", "401.0,9.0").split("\n") if "sha256" not in line]
    assert one("\n".join(kept)).intensity[1] == 9.0


def test_more_text_than_fits_a_tablet_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spectralid.io.text.MAXIMUM_BYTES", 20)
    with pytest.raises(UnreadableFileError, match="split it"):
        read(table(","))


def test_one_noise_point_does_not_make_per_cent_of_a_ratio() -> None:
    values = np.linspace(0.2, 0.9, 50)
    values[7] = 3.0
    table = "".join(f"{1000 + 4 * i},{v:.4f}\n" for i, v in enumerate(values))
    source = Source("x.csv", f"Wavenumber (cm-1),Transmittance\n{table}".encode())
    (spectrum,) = FORMAT.read(source, ReadOptions())
    assert spectrum.unit is IntensityUnit.TRANSMITTANCE
