"""Choosing a format by content, the bounds on what is read, and writing whole files or none."""

from __future__ import annotations

import io
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from spectralid.errors import (
    FileError,
    MultipleSpectraError,
    ParameterError,
    UnreadableFileError,
)
from spectralid.io import formats, read, read_all, write
from spectralid.spectrum import Spectrum, Technique

TABLE = b"".join(b"%d.5,%d\n" % (400 + i, (i * 37) % 11) for i in range(20))
SPECTRUM = Spectrum(
    axis=[400.0, 401.0, 402.0], intensity=[1.0, 2.0, 3.0], technique=Technique.RAMAN, name="a"
)
MB = 2**20


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """200 MB of text on paper, nothing on the disk."""
    path = tmp_path / "huge.txt"
    path.write_bytes(TABLE)
    os.truncate(path, 200 * MB)
    return path


def test_200_mb_are_refused_at_no_cost(huge: Path) -> None:
    formats()
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFileError, match="200 MB"):
            read(huge)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MB


def test_a_stream_is_read_no_further_than_the_bound(huge: Path) -> None:
    with huge.open("rb") as stream:
        with pytest.raises(UnreadableFileError, match="128 MB"):
            read(stream)
        assert stream.tell() <= 128 * MB + 1


def test_content_decides_before_the_extension(tmp_path: Path) -> None:
    written = tmp_path / "a.h5"
    write(SPECTRUM, written)
    misnamed = tmp_path / "a.txt"
    misnamed.write_bytes(written.read_bytes())
    assert read(misnamed) == SPECTRUM
    text = tmp_path / "b.spc"
    text.write_bytes(TABLE)
    np.testing.assert_array_equal(read(text).axis, 400.5 + np.arange(20))


def test_a_stream_and_its_file_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(TABLE)
    assert read(io.BytesIO(TABLE), name="a.csv") == read(path)
    assert read(io.BytesIO(TABLE), name="stdin").source == "stdin"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b" \r\n\t\0\0", "empty"),
        (bytes(range(256)) * 8, "format known here"),
    ],
)
def test_what_is_no_spectrum_file(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableFileError, match=words) as caught:
        read(io.BytesIO(data), name="thing.bin")
    assert str(caught.value).startswith("thing.bin: ")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="no such file"):
        read(tmp_path / "absent.csv")
    with pytest.raises(UnreadableFileError, match="folder"):
        read(tmp_path)


def test_values_that_make_no_spectrum_name_the_file() -> None:
    rows = b"".join(b"%d.5,nan\n" % (400 + i) for i in range(20))
    with pytest.raises(UnreadableFileError, match=r"void\.csv.*missing"):
        read(io.BytesIO(rows), name="void.csv")


def test_several_spectra_are_not_one() -> None:
    rows = b"".join(b"%d.5,1,2\n" % (400 + i) for i in range(20))
    with pytest.raises(MultipleSpectraError, match="2 spectra"):
        read(io.BytesIO(rows), name="two.csv")
    assert len(read_all(io.BytesIO(rows), name="two.csv")) == 2


def test_the_technique_fills_a_gap_but_contradicts_nothing() -> None:
    assert read(io.BytesIO(TABLE), technique="raman").technique is Technique.RAMAN
    raman = b"Raman shift,Counts\n" + TABLE
    assert read(io.BytesIO(raman), technique=Technique.RAMAN).technique is Technique.RAMAN
    with pytest.raises(FileError, match="ftir_atr was asked for"):
        read(io.BytesIO(raman), technique="ftir_atr")
    infrared = b"Wavenumber,Absorbance\n" + TABLE
    assert read(io.BytesIO(infrared), technique="ftir_atr").technique is Technique.FTIR_ATR


@pytest.mark.parametrize("laser", [0.0, 50.0, 1e5, float("nan")])
def test_an_impossible_laser_is_refused(laser: float) -> None:
    with pytest.raises(ParameterError, match="laser_nm"):
        read(io.BytesIO(TABLE), laser_nm=laser)


@pytest.mark.parametrize("head", ["Raman shift (cm-1)", "Wavelength (nm)"])
def test_a_laser_the_file_contradicts_is_refused(head: str) -> None:
    first = 300 if head.startswith("Raman") else 800
    rows = "".join(f"{first + 4 * i}\t{i % 7}\n" for i in range(40))
    data = f"#Laser wavelength (nm): 532\n{head}\tIntensity\n{rows}".encode()
    if head.startswith("Raman"):
        assert read(io.BytesIO(data), laser_nm=532.1).acquisition.laser_nm == 532
    with pytest.raises(FileError, match=r"532 nm, but 785 nm was given") as refused:
        read(io.BytesIO(data), laser_nm=785.0, name="a.txt")
    assert str(refused.value).startswith("a.txt")


def test_formats_can_be_named_and_are_known_by_name() -> None:
    assert read(io.BytesIO(TABLE), format="text").n_points == 20
    with pytest.raises(ParameterError, match="text"):
        read(io.BytesIO(TABLE), format="telepathy")
    names = [f.name for f in formats()]
    assert len(set(names)) == len(names)
    assert {"text", "opus", "wdf", "hdf5"} <= set(names)


@pytest.mark.parametrize("format", [f.name for f in formats() if f.write is not None])
def test_every_writable_format_reads_what_it_wrote(format: str, tmp_path: Path) -> None:
    path = tmp_path / "written"
    write(SPECTRUM, path, format=format)
    found = read(path)
    np.testing.assert_allclose(found.axis, SPECTRUM.axis, rtol=1e-6)
    np.testing.assert_allclose(found.intensity, SPECTRUM.intensity, rtol=1e-6)
    assert found.technique is SPECTRUM.technique


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"old")
    other = Spectrum(axis=[400.0, 409.0], intensity=[1.0, 2.0])
    with pytest.raises(ParameterError):
        write([SPECTRUM, other], path, overwrite=True)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_a_file_that_is_there_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"old")
    with pytest.raises(FileError, match="already"):
        write(SPECTRUM, path)
    assert path.read_bytes() == b"old"
    write(SPECTRUM, path, overwrite=True)
    assert read(path) == SPECTRUM


def test_writing_names_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"\.csv"):
        write(SPECTRUM, tmp_path / "a.unheard")
    with pytest.raises(ParameterError, match="at least one"):
        write([], tmp_path / "a.csv")
    with pytest.raises(ParameterError, match="can be written"):
        write(SPECTRUM, tmp_path / "a.wdf", format="wdf")
    with pytest.raises(FileError, match="cannot be written"):
        write(SPECTRUM, tmp_path / "absent" / "a.csv")
