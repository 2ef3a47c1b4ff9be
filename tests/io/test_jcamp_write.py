"""Writing JCAMP-DX: everything comes back, the file keeps to the standard, and others can read it."""

from __future__ import annotations

import math
import re
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.errors import ParameterError, UnreadableFileError
from spectralid.io import _jcamp_write
from spectralid.io._registry import ReadOptions, Source
from spectralid.io.jcamp import FORMAT
from spectralid.spectrum import Acquisition, IntensityUnit, ProcessingStep, Spectrum, Technique

finite = st.floats(allow_nan=False, allow_infinity=False)
positions = st.floats(-1e15, 1e15)
words = st.text(max_size=60)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
steps = st.builds(
    ProcessingStep, name=words, parameters=st.dictionaries(words, json_values, max_size=3), version=words
)
acquisitions = st.builds(
    Acquisition,
    instrument=words,
    serial=words,
    laser_nm=st.none() | finite,
    power_mw=st.none() | finite,
    integration_ms=st.none() | finite,
    averages=st.none() | st.integers(),
    resolution_cm1=st.none() | finite,
    time=words | st.datetimes().map(lambda moment: moment.isoformat()),
    operator=words,
    flags=st.frozensets(words | st.sampled_from(["peak_table", "saturated"]), max_size=3),
    metadata=st.dictionaries(words | st.sampled_from(["ORIGIN", "CAS REGISTRY NO"]), words, max_size=4),
)


@st.composite
def axes(draw):
    size = draw(st.integers(2, 30))
    if draw(st.booleans()):
        low, high = draw(st.floats(-1e6, 1e6)), draw(st.floats(-1e6, 1e6))
        even = np.linspace(min(low, high), max(low, high), size)
        if np.all(np.diff(even) > 0):
            return even
    return np.array(sorted(draw(st.sets(positions.map(lambda v: v + 0.0), min_size=size, max_size=size))))


@st.composite
def spectra(draw):
    axis = draw(axes())
    ordinate = st.lists(finite | st.just(math.nan), min_size=axis.size, max_size=axis.size).filter(
        lambda values: not all(map(math.isnan, values))
    )
    deviation = st.lists(
        st.floats(0, 1e300) | st.just(math.nan), min_size=axis.size, max_size=axis.size
    ).filter(lambda values: not all(map(math.isnan, values)))
    return Spectrum(
        axis,
        draw(ordinate),
        technique=draw(st.sampled_from(Technique)),
        unit=draw(st.sampled_from(IntensityUnit)),
        sd=draw(st.none() | deviation),
        acquisition=draw(acquisitions),
        history=draw(st.lists(steps, max_size=3)),
        name=draw(words),
    )


def read_back(data: bytes) -> list[Spectrum]:
    return FORMAT.read(Source("b.jdx", data), ReadOptions())


def write(*items: Spectrum) -> bytes:
    assert FORMAT.write is not None
    return FORMAT.write(items)


def simple(**changes) -> Spectrum:
    facts = {
        "axis": np.linspace(400.0, 4000.0, 901),
        "intensity": np.sin(np.arange(901) / 30) + 1.5,
        "technique": Technique.FTIR_ATR,
        "unit": IntensityUnit.ABSORBANCE,
        "name": "caffeine",
    } | changes
    return Spectrum(**facts)


@settings(max_examples=60, deadline=None)
@given(st.lists(spectra(), min_size=1, max_size=3))
def test_what_is_written_comes_back_whole(items):
    back = read_back(write(*items))
    assert [s.sha256 for s in back] == [s.sha256 for s in items]
    for new, old in zip(back, items, strict=True):
        assert (new.technique, new.unit, new.name) == (old.technique, old.unit, old.name)
        assert new.acquisition == old.acquisition
        assert tuple(new.history) == tuple(old.history)


@settings(max_examples=25, deadline=None)
@given(spectra())
def test_lines_keep_to_ascii_and_mostly_to_eighty_characters(spectrum):
    lines = write(spectrum).decode("ascii").split("\r\n")
    labels = [line for line in lines if line.startswith("##")]
    assert all(len(line) <= 80 for line in labels)
    assert lines[0].startswith("##TITLE=")
    assert lines[1].startswith("##JCAMP-DX=5.01")
    assert lines[-2:] == ["##END=", ""]
    assert all(set(line) <= set(string.printable) - set("\t\x0b\x0c\r\n") for line in lines)
    for required in ("DATA TYPE", "ORIGIN", "OWNER", "XUNITS", "YUNITS", "NPOINTS", "FIRSTX", "LASTX"):
        assert sum(line.startswith(f"##{required}=") for line in labels) == 1


def test_data_lines_are_short():
    assert max(map(len, write(simple()).decode().split("\r\n"))) <= 80


def test_an_even_axis_is_written_as_rows_and_an_uneven_one_as_pairs():
    even = write(simple())
    assert b"##XYDATA=(X++(Y..Y))" in even
    assert b"##DATA CLASS=XYDATA" in even
    axis = np.linspace(400.0, 4000.0, 901)
    axis[450] += 1e-9
    uneven = write(simple(axis=axis))
    assert b"##XYPOINTS=(XY..XY)" in uneven
    assert read_back(uneven)[0].axis[450] == axis[450]


def test_missing_points_are_question_marks():
    intensity = np.ones(901)
    intensity[[0, 5]] = np.nan
    data = write(simple(intensity=intensity))
    assert b"##FIRSTY" not in data
    assert data.count(b"?") == 2


def test_a_peak_list_stays_one():
    peaks = simple(
        axis=[1003.0, 1200.0], intensity=[1.0, 2.0], acquisition=Acquisition(flags=frozenset({"peak_table"}))
    )
    data = write(peaks)
    assert b"##PEAK TABLE=(XY..XY)" in data
    assert read_back(data) == [peaks]


def without_own_records(data: bytes) -> bytes:
    """The file as a program that does not know our records would hand it on."""
    return re.sub(rb"##\$SPECTRALID[^\r]*\r\n(?:[^#][^\r]*\r\n)*", b"", data)


@pytest.mark.parametrize("technique", list(Technique))
@pytest.mark.parametrize("unit", list(IntensityUnit))
def test_the_standard_records_alone_say_as_much_as_they_can(technique, unit):
    percent = unit is IntensityUnit.PERCENT_TRANSMITTANCE
    values = np.linspace(0.2, 0.9, 901) * (100 if percent else 1)
    facts = Acquisition(
        instrument="Box", resolution_cm1=4.0, laser_nm=785.0, time="2024-05-06T07:08:09",
        metadata={"CAS REGISTRY NO": "58-08-2"},
    )  # fmt: skip
    spectrum = simple(technique=technique, unit=unit, intensity=values, acquisition=facts)
    bare = without_own_records(write(spectrum))
    assert b"SPECTRALID" not in bare
    (back,) = read_back(bare)
    np.testing.assert_array_equal(back.axis, spectrum.axis)
    np.testing.assert_array_equal(back.intensity, values)
    assert back.technique is technique
    raman_has_no_such_unit = technique is Technique.RAMAN and unit is not IntensityUnit.COUNTS
    infrared_has_no_counts = technique.is_infrared and unit is IntensityUnit.COUNTS
    assert back.unit is (
        IntensityUnit.ARBITRARY if raman_has_no_such_unit or infrared_has_no_counts else unit
    )
    assert (back.name, back.acquisition.instrument, back.acquisition.resolution_cm1) == ("caffeine", "Box", 4)
    assert back.acquisition.time == "2024-05-06T07:08:09"
    assert back.acquisition.laser_nm == 785
    assert back.acquisition.metadata["CAS REGISTRY NO"] == "58-08-2"


def test_another_reader_reads_the_same(tmp_path):
    jcamp = pytest.importorskip("jcamp")
    spectrum = simple()
    path = tmp_path / "x.jdx"
    path.write_bytes(write(spectrum))
    other = jcamp.readfile(str(path))
    np.testing.assert_array_equal(other["x"], spectrum.axis)
    np.testing.assert_array_equal(other["y"], spectrum.intensity)


def test_changed_values_are_noticed():
    data = write(simple(intensity=np.full(901, 1.25)))
    changed = data.replace(b" 1.25 1.25", b" 1.25 1.26", 1)
    assert changed != data
    with pytest.raises(UnreadableFileError, match="values were changed"):
        read_back(changed)
    assert read_back(without_own_records(changed))[0].intensity.max() == 1.26


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("ACQUISITION", b"{"),
        ("ACQUISITION", b"[]"),
        ("ACQUISITION", b'{"laser_nm":"red"}'),
        ("ACQUISITION", b'{"flags":[[]]}'),
        ("ACQUISITION", b'{"metadata":{"a":1}}'),
        ("HISTORY", b"[1]"),
        ("HISTORY", b"[" * 100_000),
        ("TECHNIQUE", b"magic"),
        ("UNIT", b"furlong"),
        ("NAME", b"5"),
    ],
)
def test_damaged_records_of_ours_are_named(label, value):
    data = write(simple(name="n" * 70))
    pattern = rb"(##\$SPECTRALID " + label.encode() + rb"=(?:\r\n)?)(?:[^#\r]*\r\n)+"
    damaged, count = re.subn(pattern, rb"\g<1>" + value + b"\r\n", data)
    assert count == 1
    with pytest.raises(UnreadableFileError, match=r"line \d+: the ##\$SPECTRALID records are damaged"):
        read_back(damaged)


def test_too_many_points_are_refused_before_writing(monkeypatch):
    monkeypatch.setattr(_jcamp_write, "MAXIMUM_POINTS", 900)
    with pytest.raises(ParameterError, match="900 points"):
        write(simple())
