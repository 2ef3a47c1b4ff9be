"""Formats that are only recognised: named in the refusal, never in the way of a reader."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.errors import FileError, UnreadableFileError, UnsupportedContentError
from spectralid.io import ReadOptions, Source, formats, read_all
from spectralid.io.foreign import FORMAT


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "x" * 100)
    return out.getvalue()


def npy(*, archive: bool) -> bytes:
    out = io.BytesIO()
    if archive:
        np.savez(out, x=np.arange(5.0))
    else:
        np.save(out, np.arange(5.0))
    return out.getvalue()


def winspec() -> bytes:
    raw = bytearray(4100 + 40)
    struct.pack_into("<H", raw, 42, 10)
    struct.pack_into("<I", raw, 2996, 0x01234567)
    return bytes(raw)


KNOWN = {
    "Excel": (zipped("[Content_Types].xml", "xl/workbook.xml"), "a.xlsx"),
    "NumPy archive": (npy(archive=True), "a.npz"),
    "NumPy array": (npy(archive=False), "a.npy"),
    "ZIP archive": (zipped("spectrum.csv"), "a.zip"),
    "gzip": (b"\x1f\x8b\x08\0" + zlib.compress(b"1 2 3"), "a.rds"),
    "RData": (b"\xfd7zXZ\0" + bytes(range(100)), "a.RData"),
    "MATLAB": (b"MATLAB 5.0 MAT-file, Platform: PCWIN64".ljust(124) + b"\0\1IM", "a.mat"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "a.pdf"),
    "picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a.png"),
    "SQLite": (b"SQLite format 3\0\x10\0", "a.db"),
    "program": (b"\x7fELF\x02\x01\x01\0", "a"),
    "compound": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "a.spc"),
    "LabSpec file": (b"LabSpec6\0\0\0\0", "a.l6s"),
    "LabSpec XML": (b'<?xml version="1.0" encoding="UTF-8"?>\n<LSX_Data>\n<LSX_Tree>', "a.xml"),
    "TriVista": (b"\xef\xbb\xbf<!--TriVista-File. (c) -->\r\n<XmlMain>", "a.tvf"),
    "WITec": (b"WIT_PR06\0\0", "a.wip"),
    "PerkinElmer": (b"PE FL       Subtech     SPECTRUM    BINARY      FLDM\0\0", "a.sp"),
    "Agilent": (b"\0rG\0" + bytes(300), "a.seq"),
    "ENVI": (b"ENVI\ndescription = {\n}\nsamples = 8\nlines = 8\nbands = 3\n", "a.hdr"),
    "Princeton": (winspec(), "a.spe"),
}


@pytest.mark.parametrize("words", list(KNOWN))
def test_known_formats_are_refused_by_name_with_advice(words: str) -> None:
    data, name = KNOWN[words]
    with pytest.raises(UnsupportedContentError, match=words) as caught:
        read_all(io.BytesIO(data), name=name)
    advice = caught.value.reason.split(";")[1]
    assert len(advice.split()) >= 3
    assert str(caught.value).startswith(f"{name}: ")


def test_random_bytes_are_called_binary_data() -> None:
    noise = np.random.default_rng(7).bytes(5000)
    with pytest.raises(UnreadableFileError, match="binary data in no format known"):
        read_all(io.BytesIO(noise), name="noise.dat")
    with pytest.raises(UnreadableFileError, match="not a Galactic SPC"):
        read_all(io.BytesIO(noise), name="noise.spc")


@pytest.mark.parametrize(
    "data",
    [
        b"wavenumber;absorbance\n400.5;0.1\n",
        "Größe µm cm⁻¹ ÅÄÖ\n1 2\n".encode(),
        "Größe\n1,5 2\n".encode("cp1252"),
        "波数 吸光度\n400 0.1\n".encode("gb18030"),
        "波数 吸光度\n400 0.1\n".encode("utf-16"),
        "wave\n400 0.1\n".encode("utf-16-le"),
        "wave\n400 0.1\n".encode("utf-16-be"),
        b"1\t2\r\n3\t4\r\n\x1a",
        b"",
    ],
)
def test_text_in_any_encoding_is_left_to_the_text_reader(data: bytes) -> None:
    assert FORMAT.sniff(Source("x.txt", data)) == 0


def hdf5() -> bytes:
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["x"] = np.arange(3)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "owner"),
    [
        (b"##TITLE=a\r\n##JCAMP-DX=4.24\r\n##DATA TYPE=INFRARED SPECTRUM\r\n", "jcamp"),
        (b"Spectral Data File" + bytes(400), "spa"),
        (
            b"\0\x4b\0\x80" + struct.pack("<I2dI", 3, 100.0, 200.0, 1) + bytes([13, 4, 0, 0]) + bytes(600),
            "spc",
        ),
        (b"\x0a\x0a\xfe\xfe" + bytes(600), "opus"),
        (b"WDF1" + bytes(600), "wdf"),
        (hdf5(), "hdf5"),
        (b"400 0.1\n401 0.2\n402 0.3\n403 0.4\n404 0.5\n405 0.3\n", "text"),
    ],
)
def test_it_never_wins_over_a_reader(data: bytes, owner: str) -> None:
    source = Source("x.bin", data)
    scores = {f.name: f.sniff(source) for f in formats()}
    readers = [score for name, score in scores.items() if name.startswith(owner)]
    assert max(readers) > scores["foreign"]


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=1, max_size=600), st.sampled_from(["a.bin", "a.spc", "a.txt"]))
def test_any_bytes_are_refused_in_words(data: bytes, name: str) -> None:
    assert 0 <= FORMAT.sniff(Source(name, data)) < 0.9
    with pytest.raises(FileError, match=name):
        FORMAT.read(Source(name, data), ReadOptions())
