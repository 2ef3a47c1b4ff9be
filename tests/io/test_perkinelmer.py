"""PerkinElmer block files built byte by byte, and a real one."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.errors import FileError, UnreadableFileError, UnsupportedContentError
from spectralid.io import ReadOptions, Source
from spectralid.io.perkinelmer import FORMAT
from spectralid.spectrum import IntensityUnit, Spectrum, Technique

Y = (90.0, 50.0, 20.0, 95.0)


def block(number: int, content: bytes) -> bytes:
    return struct.pack("<hi", number, len(content)) + content


def words(text: str) -> bytes:
    return b"#u" + struct.pack("<H", len(text)) + text.encode("latin-1")


def made(**changes: Any) -> bytes:
    """A file of four points; `changes` replace the content of members by number (``m29832=...``)."""
    members = {
        29827: words(r"C:\data\seized.sp"),
        29825: b"z\0Mon Oct 28 16:08:45 2024",
        29838: b"\x1du" + struct.pack("<dd", 4000.0, 1000.0),
        29836: b"\x1bu" + struct.pack("<d", -1000.0),
        29835: b"+u" + struct.pack("<i", 4),
        29833: words("cm-1"),
        29832: words("%T"),
        29823: words("sample 7"),
        29828: b"\x16u" + struct.pack("<I4d", 32, *Y),
    }
    members |= {int(key[1:]): value for key, value in changes.items()}
    body = b"".join(block(-number, content) for number, content in members.items())
    return b"PEPE2D constant interval DataSet file".ljust(44, b"\0") + block(120, body)


def read(data: bytes) -> Spectrum:
    (spectrum,) = FORMAT.read(Source("made.sp", data), ReadOptions())
    return spectrum


def test_values_axis_and_facts() -> None:
    spectrum = read(made())
    np.testing.assert_array_equal(spectrum.axis, [1000, 2000, 3000, 4000])
    np.testing.assert_array_equal(spectrum.intensity, Y[::-1])
    assert (spectrum.name, spectrum.technique) == ("sample 7", Technique.FTIR)
    assert spectrum.acquisition.time == "2024-10-28T16:08:45"
    assert spectrum.acquisition.metadata["original_file"] == r"C:\data\seized.sp"


@pytest.mark.parametrize(
    ("label", "unit", "factor"),
    [
        ("A", IntensityUnit.ABSORBANCE, 1),
        ("%T", IntensityUnit.PERCENT_TRANSMITTANCE, 1),
        ("%R", IntensityUnit.REFLECTANCE, 0.01),
        ("INT", IntensityUnit.ARBITRARY, 1),
    ],
)
def test_units(label: str, unit: IntensityUnit, factor: float) -> None:
    spectrum = read(made(m29832=words(label)))
    assert spectrum.unit is unit
    np.testing.assert_allclose(spectrum.intensity, np.array(Y[::-1]) * factor)
    assert spectrum.technique is (Technique.UNKNOWN if label == "INT" else Technique.FTIR)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (made(m29835=b"+u" + struct.pack("<i", 5)), "names 5 points and holds 4"),
        (made(m29836=b"\x1bu" + struct.pack("<d", -900.0)), "contradict each other"),
        (made(m29838=b"\x1du"), "axis range is missing"),
        (made(m29838=b"\x1du" + struct.pack("<dd", float("nan"), 1.0)), "contradict each other"),
        (made(m29828=b"\x16u" + struct.pack("<I4d", 32, 1, 2, float("inf"), 4)), "infinite"),
        (b"PEPE2D constant interval DataSet file".ljust(44, b"\0") + block(7, b"abc"), "names no curve"),
    ],
)
def test_damage_is_named(data: bytes, message: str) -> None:
    with pytest.raises(UnreadableFileError, match=message):
        read(data)


def test_other_contents_are_refused() -> None:
    with pytest.raises(UnsupportedContentError, match="axis is in nm"):
        read(made(m29833=words("nm")))
    with pytest.raises(UnsupportedContentError, match="image"):
        read(b"PEPE3D constant interval DataSet file".ljust(44, b"\0") + block(120, b""))


def test_a_file_cut_anywhere_is_unreadable() -> None:
    whole = made()
    for length in range(24, len(whole)):
        with pytest.raises(UnreadableFileError):
            read(whole[:length])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(24, 500), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_files_raise_file_errors_only(flips: list[tuple[int, int]]) -> None:
    data = bytearray(made())
    for at, value in flips:
        data[at % len(data)] = value
    with np.errstate(all="raise"):
        try:
            spectrum = read(bytes(data))
        except FileError:
            return
    assert spectrum.n_points == 4


def test_real_file(shared_data: Path) -> None:
    path = shared_data / "orange-spectroscopy" / "perkinelmer" / "single_PE_spectrum.sp"
    assert FORMAT.sniff(Source(path.name, path.read_bytes()[:65536])) > 0.9
    spectrum = read(path.read_bytes())
    assert (spectrum.n_points, spectrum.range) == (1626, (750.0, 4000.0))
    assert spectrum.unit is IntensityUnit.PERCENT_TRANSMITTANCE
    assert spectrum.acquisition.time == "2024-10-28T16:08:45"
    # The limits of the ordinate as the file itself keeps them, apart from the values.
    assert (spectrum.intensity.min(), spectrum.intensity.max()) == (81.4703369140625, 101.32456970214844)
