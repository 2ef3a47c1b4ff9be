"""Damaged JCAMP-DX files: a spectrum or one of our errors with its place, never anything else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.errors import FileError, UnreadableFileError
from spectralid.io._registry import ReadOptions, Source
from spectralid.io.jcamp import FORMAT
from spectralid.spectrum import Spectrum, Technique
from tests.io.test_jcamp import LINK, NMR, NTUPLES, RAMAN_NM, text

assert FORMAT.write is not None
PACKED = text("(X++(Y..Y))\n400AJJKTj1\n405D%S?\n407@", LASTX="406", NPOINTS="7", YFACTOR="1E-3")
OWN = FORMAT.write(
    [Spectrum(np.arange(4.0), [1, np.nan, 3, 4], sd=[1, 1, 1, 1], technique=Technique.RAMAN, name="ö" * 60)]
).decode()
PEAKS = text("(XY..XY)\n1003,100; 1200,?", "PEAK TABLE", NPOINTS="2")
FILES = (text(), PACKED, OWN, PEAKS, NTUPLES, RAMAN_NM, LINK.format(n=3, inner=text() + NMR + PEAKS))
PIECES = st.sampled_from(
    ["##", "#", "=", "##END=", "##TITLE=", "$$", "\n", "\r", "\0", "?", "E", "1E999", "-", "+", ".", ",",
     "9" * 400, "s99999999999", "%", "@", "J", "nan", "inf", "(", ")", "0", "\xff", "##DATA TYPE=LINK\n",
     "##BLOCKS=1\n", "##XFACTOR=1E308\n", "##NPOINTS=1E999\n", "##FIRSTX=-1E308\n", "##LASTX=1E308\n",
     "##XUNITS=NM\n"]
)  # fmt: skip


def read_or_named(data: bytes) -> None:
    for options in (ReadOptions(), ReadOptions(technique=Technique.RAMAN, laser_nm=785.0)):
        assert 0 <= FORMAT.sniff(Source("f", data)) <= 1
        try:
            spectra = FORMAT.read(Source("f", data), options)
        except UnreadableFileError as error:
            assert error.where.startswith("line "), error  # noqa: PT017 - a success is as good
        except FileError:
            pass
        else:
            assert spectra
            assert all(isinstance(s, Spectrum) for s in spectra)


@settings(max_examples=200, deadline=None)
@given(
    content=st.sampled_from(FILES),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), PIECES | st.text(max_size=4)), max_size=4),
)
def test_cut_and_pasted_structures(content, edits):
    for where, length, piece in edits:
        at = int(where * len(content))
        content = content[:at] + piece + content[at + length :]
    read_or_named(content.encode("latin-1", "replace"))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_behind_a_label(data):
    read_or_named(data)
    read_or_named(b"##TITLE=x\n##XYDATA=(X++(Y..Y))\n" + data)


@pytest.mark.parametrize("content", FILES)
def test_every_truncation(content):
    for end in range(len(content)):
        read_or_named(content[:end].encode())


@pytest.mark.parametrize(
    "data",
    [
        b"##TITLE=\n" * 5_000,
        b"##TITLE=a\n##DATA TYPE=LINK\n" * 5_000,
        b"##TITLE=a\n" + b"##A=b\n" * 20_000,
        b"##TITLE=a\n" + b"##A= $$ c\n" * 20_000,
        b"#" * 1_000_000,
        b" " * 1_000_000 + b"##TITLE=a",
        b"##TITLE=a\n##XYDATA=(X++(Y..Y))\n" + b"1 " * 500_000,
        b"##TITLE=a\n##XYDATA=(X++(Y..Y))\n400" + b"A" * 200_000 + b"#",
        b"##TITLE=a\n##XYDATA=(XY..XY)\n" + b"1" * 1_000_000,
        b"##TITLE=a\n##XUNITS=1/CM\n##SPECTROMETER/DATA SYSTEM=" + b"785 nm " * 100_000,
        b"##TITLE=a\n##XYDATA=(X++(Y..Y))\n" + b"1AZ9999999\n" * 1_000,
    ],
)
def test_hostile_sizes(data):
    read_or_named(data)
