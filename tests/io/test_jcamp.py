"""Reading JCAMP-DX: what each kind of file says, and what is said about each kind of damage."""

from __future__ import annotations

import io

import numpy as np
import pytest

import spectralid.io
from spectralid.errors import FileError, UnreadableFileError, UnsupportedContentError
from spectralid.io import _jcamp_blocks
from spectralid.io._registry import HEAD_BYTES, ReadOptions, Source
from spectralid.io.jcamp import FORMAT
from spectralid.spectrum import IntensityUnit, Spectrum, Technique

HEADER = {
    "TITLE": "sample",
    "JCAMP-DX": "4.24",
    "DATA TYPE": "INFRARED SPECTRUM",
    "XUNITS": "1/CM",
    "YUNITS": "ABSORBANCE",
    "FIRSTX": "400",
    "LASTX": "405",
    "NPOINTS": "6",
}
ROWS = "(X++(Y..Y))\n400 1 2 3\n403 4 5 7"


def text(table: str = ROWS, label: str = "XYDATA", end: str = "##END=\n", **fields: str | None) -> str:
    """A file; underscores in the names of `fields` stand for spaces, ``None`` leaves a field out."""
    header = HEADER | {name.replace("_", " "): value for name, value in fields.items()}
    lines = [f"##{name}={value}" for name, value in header.items() if value is not None]
    return "\n".join([*lines, f"##{label}={table}", end])


def read_all(content: str | bytes, **options) -> list[Spectrum]:
    data = content.encode() if isinstance(content, str) else content
    return FORMAT.read(Source("a.jdx", data), ReadOptions(**options))


def read(content: str | bytes, **options) -> Spectrum:
    (spectrum,) = read_all(content, **options)
    return spectrum


def notes(spectrum: Spectrum) -> str:
    return spectrum.acquisition.metadata.get("SPECTRALID NOTES", "")


def test_a_plain_file():
    spectrum = read(text())
    assert spectrum.axis.tolist() == [400, 401, 402, 403, 404, 405]
    assert spectrum.intensity.tolist() == [1, 2, 3, 4, 5, 7]
    assert spectrum.technique is Technique.FTIR
    assert spectrum.unit is IntensityUnit.ABSORBANCE
    assert (spectrum.name, spectrum.source, spectrum.history) == ("sample", "a.jdx", ())
    assert spectrum.acquisition.flags == frozenset()
    assert spectrum.acquisition.metadata["DATA TYPE"] == "INFRARED SPECTRUM"


def test_factors_and_a_descending_axis():
    table = "(X++(Y..Y))\n4000 10 20\n3998 30 40"
    spectrum = read(text(table, FIRSTX="400", LASTX="399.7", NPOINTS="4", XFACTOR="0.1", YFACTOR="0.01"))
    np.testing.assert_allclose(spectrum.axis, [399.7, 399.8, 399.9, 400.0])
    np.testing.assert_allclose(spectrum.intensity, [0.4, 0.3, 0.2, 0.1])


@pytest.mark.parametrize(
    "label", ["DATA TYPE", "DATATYPE", "Data_Type", "data-type", "DATA/TYPE ", " DATA TYPE"]
)
def test_labels_are_compared_as_the_standard_says(label):
    spectrum = read(text().replace("##DATA TYPE=", f"##{label}=").replace("INFRARED", "RAMAN"))
    assert spectrum.technique is Technique.RAMAN


def test_the_first_label_that_says_anything_counts():
    doubled = text().replace("##XUNITS", "##DATA TYPE=\n##DATATYPE=RAMAN SPECTRUM\n##XUNITS")
    assert read(doubled.replace("INFRARED SPECTRUM", "")).technique is Technique.RAMAN


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n", "\n\n", "\r\r\n"])
def test_line_ends_padding_comments_and_leading_space(end):
    content = "$$ a comment first\n" + text(TITLE="sample $$ aside").replace("\n403", "\n$$ aside\n 403")
    padded = b"\xef\xbb\xbf" + content.replace("\n", end).encode() + b"\x1a" + b"\0" * 512
    assert read(padded) == read(text())
    assert read(padded).name == "sample"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252"])
def test_encodings(encoding):
    assert read(text(TITLE="Glühwein 20 µg").encode(encoding)).name == "Glühwein 20 µg"


def test_a_byte_no_encoding_has_is_kept_as_latin_1():
    assert read(text(TITLE="a@b").encode().replace(b"@", b"\x81")).name == "a\x81b"


def test_a_multi_line_audit_trail_before_the_title():
    trail = "##AUDIT TRAIL=<1>, <Scan on IRAffinity-, SNO: A213748\n<2>, <Gain=16>\n"
    spectrum = read(trail + text())
    assert spectrum.acquisition.serial == "A213748"
    assert "Gain=16" in spectrum.acquisition.metadata["AUDIT TRAIL"]
    assert spectrum == read(text())


def test_a_label_with_one_number_sign_is_a_slip():
    assert read(text().replace("##XYDATA", "#XYDATA")) == read(text())


def test_a_label_without_equals_sign_ends_the_table():
    assert read(text(end="##END")).acquisition.flags == frozenset()


# -- which axis ---------------------------------------------------------------------------------------------


def test_header_axis_against_coarsely_printed_lines():
    table = "(X++(Y..Y))\n400 1 2 3\n402 4 5 7"
    spectrum = read(text(table, FIRSTX="400.4", LASTX="403.4"))
    np.testing.assert_allclose(spectrum.axis, np.linspace(400.4, 403.4, 6))
    assert spectrum.acquisition.flags == frozenset()


def test_lines_that_agree_among_themselves_overrule_a_wrong_header():
    spectrum = read(text(LASTX="500", NPOINTS=None))
    np.testing.assert_allclose(spectrum.axis, [400, 401, 402, 403, 404, 405])
    assert spectrum.acquisition.flags == {"axis_from_lines", "header_disagrees"}
    assert "FIRSTX and LASTX" in notes(spectrum)


def test_lines_alone_make_an_axis():
    spectrum = read(text(FIRSTX=None, LASTX=None, NPOINTS=None))
    np.testing.assert_allclose(spectrum.axis, [400, 401, 402, 403, 404, 405])
    assert spectrum.acquisition.flags == {"axis_from_lines"}


def test_deltax_where_lastx_is_wrong():
    spectrum = read(text(LASTX="500", DELTAX="1"))
    assert spectrum.axis.tolist() == [400, 401, 402, 403, 404, 405]
    assert "LASTX is 500" in notes(spectrum)


def test_one_point_to_a_line_may_be_uneven():
    table = "(X++(Y..Y))\n400 1\n401 2\n403 3\n407 4"
    spectrum = read(text(table, LASTX="407", NPOINTS="4"))
    assert spectrum.axis.tolist() == [400, 401, 403, 407]
    assert "axis_from_lines" in spectrum.acquisition.flags


def test_abscissae_up_to_one_point_beside_are_told():
    # As in NIST's quantitative gas spectra: every line but the first is printed one point low.
    table = "(X++(Y..Y))\n400.0 1 2 3\n402.0 4 5 6\n405.0 7 8 9\n408.0 10 11 12"
    spectrum = read(text(table, LASTX="411", NPOINTS="12"))
    np.testing.assert_allclose(spectrum.axis, np.arange(400, 412))
    assert "one point beside" in notes(spectrum)


def test_a_wrong_npoints_is_told_where_the_axis_ends_at_lastx():
    spectrum = read(text(NPOINTS="5"))
    assert spectrum.n_points == 6
    assert "NPOINTS is 5" in notes(spectrum)


def test_a_dropped_line_is_named():
    lines = "\n".join(f"{400 + 3 * i}.0 1 2 3" for i in range(20) if i != 7)
    with pytest.raises(UnreadableFileError, match=r"line 17: the abscissa check fails"):
        read(text(f"(X++(Y..Y))\n{lines}", LASTX="459", NPOINTS="57"))


def test_truncation_is_named():
    whole = text(
        "(X++(Y..Y))\n" + "\n".join(f"{400 + 3 * i} 1 2 3" for i in range(20)), LASTX="459", NPOINTS="60"
    )
    with pytest.raises(
        UnreadableFileError, match="promises 60 points, the table holds 15; the file is truncated"
    ):
        read(whole[: whole.index("415 ")])


def test_a_missing_end_is_flagged():
    assert read(text(end="")).acquisition.flags == {"end_missing"}


def test_a_failed_ordinate_check_is_named():
    table = "(X++(Y..Y))\n400AJJ\n402DJJ\n404F"
    with pytest.raises(UnreadableFileError, match=r"a\.jdx, line 11: the ordinate check fails"):
        read(text(table, NPOINTS="5"))


# -- ordinates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "factor", "unit", "flags"),
    [
        ("ABSORBANCE", 1, IntensityUnit.ABSORBANCE, set()),
        ("A", 1, IntensityUnit.ABSORBANCE, set()),
        ("LOG(1/R)", 1, IntensityUnit.ABSORBANCE, set()),
        ("(micromol/mol)-1m-1 (base 10)", 1, IntensityUnit.ABSORBANCE, {"absorptivity"}),
        ("TRANSMITTANCE", 0.1, IntensityUnit.TRANSMITTANCE, set()),
        ("TRANSMITTANCE", 10, IntensityUnit.PERCENT_TRANSMITTANCE, set()),
        ("%T", 10, IntensityUnit.PERCENT_TRANSMITTANCE, set()),
        ("% Transmittance", 10, IntensityUnit.PERCENT_TRANSMITTANCE, set()),
        ("%T", 0.1, IntensityUnit.TRANSMITTANCE, {"ordinate_unit_inferred"}),
        ("Reflectance", 0.1, IntensityUnit.REFLECTANCE, set()),
        ("KUBELKA-MUNK", 1, IntensityUnit.KUBELKA_MUNK, set()),
        ("SINGLE BEAM", 1, IntensityUnit.SINGLE_BEAM, set()),
        ("ARBITRARY UNITS", 1, IntensityUnit.ARBITRARY, {"ordinate_unit_unknown"}),
    ],
)
def test_infrared_ordinates(stated, factor, unit, flags):
    spectrum = read(text(YUNITS=stated, YFACTOR=str(factor)))
    assert spectrum.unit is unit
    np.testing.assert_allclose(spectrum.intensity, factor * np.array([1, 2, 3, 4, 5, 7]))
    assert spectrum.acquisition.flags == flags


def test_percent_reflectance_becomes_a_ratio_and_says_so():
    spectrum = read(text(YUNITS="%R", YFACTOR="10"))
    assert spectrum.unit is IntensityUnit.REFLECTANCE
    np.testing.assert_allclose(spectrum.intensity, [0.1, 0.2, 0.3, 0.4, 0.5, 0.7])
    assert [step.name for step in spectrum.history] == ["scale"]


@pytest.mark.parametrize(
    ("stated", "unit"),
    [
        ("COUNTS", IntensityUnit.COUNTS),
        ("ARBITRARY UNITS", IntensityUnit.ARBITRARY),
        # Written by a converter over a Raman spectrum; it cannot be meant.
        ("ABSORBANCE", IntensityUnit.ARBITRARY),
    ],
)
def test_raman_ordinates(stated, unit):
    spectrum = read(text(YUNITS=stated, DATA_TYPE="RAMAN SPECTRUM"))
    assert (spectrum.technique, spectrum.unit) == (Technique.RAMAN, unit)
    assert spectrum.acquisition.flags == frozenset()


def test_missing_ordinates():
    spectrum = read(text("(X++(Y..Y))\n400 1 ? 3\n403 4 5 7"))
    assert spectrum.missing.tolist() == [False, True, False, False, False, False]


def test_header_ordinates_that_contradict_the_table_are_told():
    spectrum = read(text(MAXY="70", MINY="1"))
    assert "MAXY is 70, the table has 7." in notes(spectrum)
    assert "header_disagrees" in spectrum.acquisition.flags


@pytest.mark.parametrize(
    "fields", [{"FIRSTY": "1"}, {"FIRSTY": "1.9"}, {"MAXY": "7.0", "MINY": "1", "FIRSTY": "7"}]
)
def test_rounded_or_cut_firsty_is_harmless(fields):
    table = "(X++(Y..Y))\n400 1.9 2 3\n403 4 5 7"
    assert read(text(table, **fields)).acquisition.flags == frozenset()


# -- abscissae ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["1/CM", "cm-1", "cm^-1", "1/cm", "Wavenumber", "WAVENUMBER (cm-1)", "cm⁻¹"])
def test_wavenumber_units(unit):
    assert read(text(XUNITS=unit)) == read(text())


def test_an_infrared_axis_in_micrometres():
    table = "(X++(Y..Y))\n5 1 2 3\n8 4 5 6"
    spectrum = read(text(table, XUNITS="MICROMETERS", FIRSTX="5", LASTX="10"))
    np.testing.assert_allclose(spectrum.axis, [1000, 10000 / 9, 1250, 10000 / 7, 10000 / 6, 2000])
    assert spectrum.intensity.tolist() == [6, 5, 4, 3, 2, 1]
    assert [step.name for step in spectrum.history] == ["wavelength_to_wavenumber"]


def test_a_near_infrared_axis_in_nanometres():
    spectrum = read(text("(XY..XY)\n1000 1\n2000 2", XUNITS="NM", FIRSTX=None, LASTX=None, NPOINTS="2"))
    assert spectrum.axis.tolist() == [5000, 10000]
    assert spectrum.acquisition.laser_nm is None


RAMAN_NM = text("(XY..XY)\n800 1\n850 2\n900 3", DATA_TYPE="RAMAN SPECTRUM", XUNITS="NANOMETERS", NPOINTS="3")


def test_a_raman_axis_in_nanometres_needs_the_laser():
    with pytest.raises(UnreadableFileError, match="give laser_nm"):
        read(RAMAN_NM)
    spectrum = read(RAMAN_NM, laser_nm=785.0)
    np.testing.assert_allclose(spectrum.axis, 1e7 / 785 - 1e7 / np.array([800, 850, 900]))
    assert spectrum.acquisition.laser_nm == 785


@pytest.mark.parametrize(
    "field",
    ["##.LASER WAVELENGTH=785 nm", "##$LASER=785", "##SPECTROMETER/DATA SYSTEM=Box (785 nm excitation)",
     "##EXCITATION WAVELENGTH=785.0"],
)  # fmt: skip
def test_a_stated_laser_is_used_and_contradiction_refused(field):
    stated = RAMAN_NM.replace("##XUNITS", f"{field}\n##XUNITS")
    assert read(stated) == read(RAMAN_NM, laser_nm=785.0)
    with pytest.raises(FileError, match="532 nm was given"):
        spectralid.io.read(io.BytesIO(stated.encode()), laser_nm=532.0)


def test_centimetres_of_hundreds_are_reciprocal():
    spectrum = read(text(XUNITS="CENTIMETERS"))
    assert spectrum == read(text())
    assert "axis_unit_inferred" in spectrum.acquisition.flags


# -- technique ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "technique"),
    [
        ({"SAMPLING_PROCEDURE": "ATR, diamond"}, Technique.FTIR_ATR),
        ({"TITLE": "caffeine, UATR"}, Technique.FTIR_ATR),
        ({"COMMENTS": "Attenuated total reflection"}, Technique.FTIR_ATR),
        ({"SAMPLING_PROCEDURE": "TRANSMISSION"}, Technique.FTIR_TRANSMISSION),
        ({"STATE": "SOLID (1.0% IN KBr PELLET)"}, Technique.FTIR_TRANSMISSION),
        ({"STATE": "GAS (50 mmHg)"}, Technique.FTIR_TRANSMISSION),
        ({"PATH_LENGTH": "5 CM"}, Technique.FTIR_TRANSMISSION),
        ({"TITLE": "atrazine", "SPECTROMETER/DATA SYSTEM": "KBr beam splitter"}, Technique.FTIR),
        ({"TITLE": "ATR", "STATE": "gas"}, Technique.FTIR),
        ({"DATA_TYPE": "RAMAN SPECTRUM", "TITLE": "ATR"}, Technique.RAMAN),
        ({"DATA_TYPE": "NEAR INFRARED SPECTRUM"}, Technique.FTIR),
        ({"DATA_TYPE": "FT-IR"}, Technique.FTIR),
        ({"DATA_TYPE": None}, Technique.UNKNOWN),
    ],
)
def test_technique(fields, technique):
    assert read(text(**fields)).technique is technique


def test_an_unstated_kind_takes_its_ordinate_from_the_given_technique():
    content = text(DATA_TYPE=None, YUNITS="TRANSMITTANCE", YFACTOR="10")
    spectrum = read(content, technique=Technique.FTIR_ATR)
    assert (spectrum.technique, spectrum.unit) == (Technique.UNKNOWN, IntensityUnit.PERCENT_TRANSMITTANCE)
    assert read(content, technique=Technique.RAMAN).unit is IntensityUnit.ARBITRARY


# -- facts --------------------------------------------------------------------------------------------------


def test_acquisition_facts():
    facts = read(
        text(
            **{"SPECTROMETER/DATA SYSTEM": "Bruker IFS"},
            RESOLUTION="4 cm-1",
            LONGDATE="2007/12/12 07:47:06",
            OPERATOR="me",
            COMMENTS="Number of sample scans: 32\nBench serial number: BG20;",
            CAS_REGISTRY_NO="58-08-2",
        )
    ).acquisition
    assert facts.instrument == "Bruker IFS"
    assert facts.resolution_cm1 == 4
    assert facts.time == "2007-12-12T07:47:06"
    assert (facts.operator, facts.averages, facts.serial) == ("me", 32, "BG20")
    assert facts.metadata["CAS REGISTRY NO"] == "58-08-2"


@pytest.mark.parametrize(
    ("date", "clock", "time"),
    [
        ("98/05/15", "08:02:14.00", "1998-05-15T08:02:14"),
        ("12/07/16", "", "2012-07-16"),
        ("81/ 1/ 3", "10:40:41", "1981-01-03T10:40:41"),
        ("2000/10/04", "14:47", "2000-10-04T14:47:00"),
        ("28/8/2023", "", "2023-08-28"),
        ("5/4/2023", "", "5/4/2023"),
        ("03/30/90", "10:47:11", "03/30/90 10:47:11"),
        ("March 2017", "", "March 2017"),
    ],
)
def test_dates_are_read_only_where_there_is_one_way_to_read_them(date, clock, time):
    assert read(text(DATE=date, TIME=clock)).acquisition.time == time


# -- other tables -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["XYPOINTS", "XYDATA"])
def test_pairs(label):
    spectrum = read(text("(XY..XY)\n405, 1; 403, 2\n400.5 ?", label, NPOINTS="3", XFACTOR="2"))
    assert spectrum.axis.tolist() == [801, 806, 810]
    np.testing.assert_array_equal(spectrum.intensity, [np.nan, 2, 1])


def test_repeated_and_unsorted_abscissae_are_merged_and_flagged():
    spectrum = read(text("(XY..XY)\n400 1 402 2 401 3 402 4", "XYPOINTS", NPOINTS="4"))
    assert spectrum.axis.tolist() == [400, 401, 402]
    assert spectrum.intensity.tolist() == [1, 3, 3]
    assert spectrum.acquisition.flags == {"axis_reordered", "duplicates_merged"}


def test_truncated_pairs():
    with pytest.raises(UnreadableFileError, match="truncated"):
        read(text("(XY..XY)\n400 1 401 2", "XYPOINTS", end="", NPOINTS="3"))


def test_a_peak_table_is_flagged_and_a_spectrum_in_its_clothes_is_not():
    peaks = read(
        text("(XY..XY)\n1003,100 1200,20 1655,70", "PEAK TABLE", NPOINTS="3", DATA_TYPE="RAMAN PEAK TABLE")
    )
    assert peaks.axis.tolist() == [1003, 1200, 1655]
    assert peaks.acquisition.flags == {"peak_table"}
    even = "\n".join(f"{400 + 2 * i} {i % 7}" for i in range(200))
    assert "peak_table" not in read(text(f"(XY..XY)\n{even}", "PEAKTABLE", NPOINTS="200")).acquisition.flags


def test_the_spectrum_is_read_where_a_peak_table_stands_beside_it():
    both = text().replace("##XYDATA", "##PEAK TABLE=(XY..XY)\n401 2\n##XYDATA")
    assert read(both) == read(text())


NTUPLES = """##TITLE=series
##JCAMP-DX=5.01
##DATA TYPE=RAMAN SPECTRUM
##DATA CLASS=NTUPLES
##NTUPLES=RAMAN SPECTRUM
##VAR_NAME= SHIFT, INTENSITY, TIME
##SYMBOL= X, Y, T
##VAR_TYPE= INDEPENDENT, DEPENDENT, PAGE
##VAR_FORM= AFFN, ASDF, AFFN
##VAR_DIM= 4, 4, 2
##UNITS= 1/CM, COUNTS, SECONDS
##FIRST= 100, 1, 0
##LAST= 106, 4, 1
##FACTOR= 1, 0.5, 1
##PAGE= T=0
##DATA TABLE= (X++(Y..Y)), XYDATA
100AJJJ
106D
##PAGE= T=1
##DATA TABLE= (XY..XY), PEAKS
100 2 102 4
104 6 106 8
##END NTUPLES=RAMAN SPECTRUM
##END=
"""


def test_ntuples_pages():
    first, second = read_all(NTUPLES)
    assert first.axis.tolist() == second.axis.tolist() == [100, 102, 104, 106]
    assert first.intensity.tolist() == [0.5, 1, 1.5, 2]
    assert second.intensity.tolist() == [1, 2, 3, 4]
    assert [s.name for s in (first, second)] == ["series (T=0)", "series (T=1)"]
    assert {s.unit for s in (first, second)} == {IntensityUnit.COUNTS}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(X++(Y..Y))", "(X++(Q..Q))", "not among the symbols"),
        ("(X++(Y..Y))", "(X..Y)", "variable list"),
        ("AJJJ", "AJJ", "promises 4 points"),
    ],
)
def test_damaged_ntuples(old, new, message):
    with pytest.raises(UnreadableFileError, match=message):
        read_all(NTUPLES.replace(old, new).replace("106D", "106C" if "AJJJ" in old else "106D"))


# -- blocks -------------------------------------------------------------------------------------------------

LINK = """##TITLE=all
##JCAMP-DX=5.01
##DATA TYPE=LINK
##BLOCKS={n}
##ORIGIN=lab
##DATE=2001/02/03
{inner}##END=
"""
NMR = text(DATA_TYPE="NMR SPECTRUM", XUNITS="HZ")


def test_link_blocks():
    inner = text() + text(TITLE="second", DATE="2004/05/06")
    first, second = read_all(LINK.format(n=2, inner=inner))
    assert (first.name, second.name) == ("sample", "second")
    # What the link block states once holds inside it, unless a block says otherwise.
    assert (first.acquisition.time, second.acquisition.time) == ("2001-02-03", "2004-05-06")
    assert first.acquisition.metadata["ORIGIN"] == "lab"


def test_a_compound_file_that_is_cut_off_never_gives_only_its_first_blocks():
    whole = LINK.format(n=2, inner=text() + text(TITLE="second"))
    refused = 0
    for stop in range(len(text()), len(whole)):
        try:
            spectra = read_all(whole[:stop])
        except UnreadableFileError:
            refused += 1
        else:
            assert [s.name for s in spectra] == ["sample", "second"]
    assert refused > len(text())


def test_blocks_that_are_not_vibrational_are_left_out_and_told():
    spectrum = read(LINK.format(n=2, inner=NMR + text()))
    assert spectrum == read(text())
    assert "blocks_skipped" in spectrum.acquisition.flags
    assert "NMR" in notes(spectrum)


def test_blocks_simply_following_each_other_and_a_forgotten_end():
    assert [s.name for s in read_all(text() + text(TITLE="b"))] == ["sample", "b"]
    assert [s.name for s in read_all(text(end="") + text(TITLE="b"))] == ["sample", "b"]


def test_two_tables_in_one_block_are_not_guessed_about():
    with pytest.raises(UnreadableFileError, match=r"line 12: a second data table"):
        read(text(end="##XYDATA=" + ROWS))


# -- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"DATA_TYPE": "NMR SPECTRUM"}, "NMR"),
        ({"DATA_TYPE": "NMR FID"}, "NMR"),
        ({"DATA_TYPE": "MASS SPECTRUM"}, "mass spectrometry"),
        ({"DATA_TYPE": "UV/VIS SPECTRUM"}, "ultraviolet/visible"),
        ({"DATA_TYPE": "UV-VISIBLE SPECTRUM"}, "ultraviolet/visible"),
        ({"DATA_TYPE": "GAS CHROMATOGRAPH"}, "chromatography"),
        ({"DATA_TYPE": "INFRARED INTERFEROGRAM"}, "interferogram"),
        ({"DATA_TYPE": "RAMAN INTERFEROGRAM"}, "interferogram"),
        ({"DATA_TYPE": "INELASTIC NEUTRON SCATTERING"}, "neutron"),
        ({"DATA_TYPE": "EPR SPECTRUM"}, "electron spin"),
        ({"DATA_TYPE": "pH TITRATION"}, "pH TITRATION"),
        ({"DATA_TYPE": None, "XUNITS": "HZ"}, "NMR"),
        ({"DATA_TYPE": None, "XUNITS": "m/z"}, "mass spectrometry"),
        ({"DATA_TYPE": None, "XUNITS": None}, "neither DATA TYPE nor XUNITS"),
        ({"DATA_TYPE": None, "XUNITS": "nm"}, "give the technique"),
        ({"XUNITS": "ELECTRON VOLTS"}, "ELECTRON VOLTS"),
    ],
)
def test_what_is_not_vibrational_is_named(fields, what):
    with pytest.raises(UnsupportedContentError, match=what):
        read(text(**fields))


def test_a_link_block_without_anything_vibrational_names_what_it_has():
    structure = "##TITLE=s\n##JCAMP-CS=3.7\n##ATOMLIST=\n1 C 1\n##END=\n"
    with pytest.raises(UnsupportedContentError, match=r"chemical structure.*NMR"):
        read(LINK.format(n=2, inner=structure + NMR))


@pytest.mark.parametrize("label", ["RADATA", "PEAK ASSIGNMENTS"])
def test_tables_that_are_no_spectrum(label):
    with pytest.raises(
        UnsupportedContentError, match="interferogram" if label == "RADATA" else "assignments"
    ):
        read(text("(XYA)\n(1, 2, <a>)", label))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no label here", "line 1: there is no JCAMP-DX label"),
        ("##TITLE=a\n##JCAMP-DX=5\n", "no data table"),
        (text(XUNITS=None), "line 8: XUNITS is missing"),
        (text(XFACTOR="0"), "XFACTOR is 0"),
        (text(YFACTOR="one"), "YFACTOR is not a number"),
        (text("(ABC)\n1 2"), "variable list"),
        (text("(X++(Y..Y))\n"), "fewer than two"),
        (text("(XY..XY)\n400 1"), "fewer than two"),
        (text("(X++(Y..Y))\n400 1 2 3", FIRSTX=None, LASTX=None, NPOINTS=None), "second line"),
        (text("(X++(Y..Y))\n400 1e999 2 3\n403 4 5 7"), "infinite"),
        (text("(XY..XY)\n1e999 1\n1 2", NPOINTS="2"), "not finite"),
        (text("(X++(Y..Y))\n400 ? ? ?\n403 ? ? ?"), "every point is missing"),
        (text("(XY..XY)\n400 1\n400 2", NPOINTS="2"), "this is not a spectrum"),
        (text("(XY..XY)\n0 1\n1 2", XUNITS="MICROMETERS", NPOINTS="2"), "not positive"),
        (LINK.format(n=1, inner=""), "no data table"),
        ("##TITLE=a\n##DATA TYPE=LINK\n" * 30, "nested more than"),
    ],
)
def test_damage_is_an_error_with_its_line(content, message):
    with pytest.raises(UnreadableFileError, match=message) as caught:
        read(content)
    assert caught.value.where.startswith("line ")


def test_bounds_against_hostile_headers(monkeypatch):
    monkeypatch.setattr(_jcamp_blocks, "MAXIMUM_RECORDS", 10)
    with pytest.raises(UnreadableFileError, match="more than 10 labels"):
        read(text(end="##A=1\n" * 20))
    monkeypatch.setattr(_jcamp_blocks, "MAXIMUM_RECORDS", 100)
    monkeypatch.setattr(_jcamp_blocks, "MAXIMUM_HEADER_BYTES", 1000)
    with pytest.raises(UnreadableFileError, match="header is longer"):
        read(text(TITLE="a" * 2000))


# -- recognition --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [text(), "\r\n  ##title = x\n", "##AUDIT TRAIL=a\nb\n##JCAMP_DX=4.24\n", "$$ note\n##JCAMPDX=5\n"],
)
def test_recognised(head):
    assert FORMAT.sniff(Source("x", head.encode()[:HEAD_BYTES])) > 0.9


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\0" * 100,
        b"1 2\n3 4\n",
        b"##NAMES=Actinolite\n##RRUFFID=R1\n100, 2\n",
        b"title\n# JCAMP\n",
        b"PK\x03\x04",
    ],
)
def test_not_recognised(head):
    assert FORMAT.sniff(Source("x.jdx", head)) == 0
