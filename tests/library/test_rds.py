"""R's own files, and the Open Specy library in them; files of R itself are read in tests/real."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.errors import UnreadableFileError
from spectralid.library.openspecy import read_openspecy
from spectralid.library.rds import read_rds
from spectralid.spectrum import Technique
from tests.library import r_data
from tests.library.r_data import Factor, Matrix

AXIS = np.array([400.0, 410, 420, 430])
LIBRARY = {
    "wavenumber": AXIS,
    "spectra": Matrix([np.array([1.0, 2, 3, 4]), np.array([np.nan, 5, 6, np.nan]), np.full(4, np.nan)]),
    "metadata": {
        "SpectrumIdentity": ["PE", "Quartz__R040031__Infrared", "empty"],
        "SpectrumType": Factor([1, 2, 1], ["Raman", "FTIR"]),
        "SpectralCollectionMode": ["", "ATR", None],
        "license": ["CC BY-NC", "NA", None],
        "LaserLightUsed": ["785", None, None],
        "Sponsor": ["x", "y", "z"],
    },
}


def put(tmp_path, data, name="a.rds"):
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("version", [2, 3])
def test_every_compression_and_version(tmp_path, pack, version):
    value = read_rds(put(tmp_path, pack(r_data.rds({"a": AXIS, "b": ["x", None]}, version))))
    assert value.names == ["a", "b"]
    np.testing.assert_array_equal(value.elements()["a"].data, AXIS)
    assert value.elements()["b"].data == ["x", None]
    assert value.elements()["b"].strings() == ["x", ""]


def test_saved_objects_by_name(tmp_path):
    value = read_rds(put(tmp_path, r_data.rdata(one=AXIS, two=["x"])))
    assert value.names == ["one", "two"]


def test_missing_numbers_factors_and_references(tmp_path):
    whole = r_data.vector(13, 3, struct.pack(">3i", 1, -(2**31), 3))
    # The second "levels" is a reference to the first: R writes a symbol once.
    reference = struct.pack(">i", 255 | (1 << 8))
    again = struct.pack(">2i", 13 | 0x200, 1) + struct.pack(">i", 2)
    again += struct.pack(">i", 2 | 0x400) + reference + r_data.item(["a", "b"]) + r_data.NULL
    data = r_data.rds(r_data.vector(19, 3, r_data.item(Factor([1], ["k"])) + again + whole))
    first, second, third = read_rds(put(tmp_path, data)).data
    assert first.strings() == ["k"]
    np.testing.assert_array_equal(third.data, [1, np.nan, 3])
    assert third.strings() == ["1", "", "3"]
    # "levels" was the first symbol written.
    assert second.strings() == ["b"]


def test_the_pointer_that_data_table_leaves_in_its_tables(tmp_path):
    pointer = struct.pack(">i", 22) + r_data.NULL + r_data.NULL
    table = r_data.vector(19, 1, r_data.item(AXIS), {".internal.selfref": pointer, "names": ["a"]})
    value = read_rds(put(tmp_path, r_data.rds(table)))
    np.testing.assert_array_equal(value.elements()["a"].data, AXIS)


def test_compact_forms(tmp_path):
    def compact(name, state):
        info = struct.pack(">i", 2) + r_data.symbol(name) + r_data.NULL
        return struct.pack(">i", 238) + info + state + r_data.NULL

    pair = struct.pack(">i", 2) + r_data.item(AXIS) + r_data.NULL
    parts = [
        compact("compact_intseq", r_data.item(np.array([3.0, 5, 1]))),
        compact("wrap_real", pair),
        compact("deferred_string", pair),
    ]
    values = read_rds(put(tmp_path, r_data.rds(r_data.vector(19, 3, b"".join(parts))))).data
    np.testing.assert_array_equal(values[0].data, [5, 6, 7])
    np.testing.assert_array_equal(values[1].data, AXIS)
    assert values[2].data == ["400", "410", "420", "430"]
    with pytest.raises(UnreadableFileError, match="mmap_real"):
        read_rds(put(tmp_path, r_data.rds(compact("mmap_real", pair))))


@pytest.mark.parametrize(
    "kind", [3, 4, 6, 8, 21, 25], ids=["function", "environment", "call", "builtin", "code", "S4"]
)
def test_what_is_no_data_is_refused(tmp_path, kind):
    with pytest.raises(UnreadableFileError, match="no data"):
        read_rds(put(tmp_path, r_data.rds(struct.pack(">2i", kind, 0))))


@pytest.mark.parametrize("data", [b"", b"X", b"A\n", b"RDX9\nX\n", b"X\n" + struct.pack(">3i", 4, 0, 0)])
def test_what_is_no_r_file(tmp_path, data):
    with pytest.raises(UnreadableFileError, match=r"R data|truncated"):
        read_rds(put(tmp_path, data))


def test_limits(tmp_path):
    path = put(tmp_path, gzip.compress(r_data.rds(np.zeros(1_000_000))))
    with pytest.raises(UnreadableFileError, match="more than is allowed"):
        read_rds(path, maximum_bytes=100_000)
    deep = r_data.NULL
    for _ in range(200):
        deep = r_data.vector(19, 1, deep)
    with pytest.raises(UnreadableFileError, match="nested too deeply"):
        read_rds(put(tmp_path, r_data.rds(deep)))
    huge = struct.pack(">4i", 14, -1, 1 << 20, 0)
    with pytest.raises(UnreadableFileError, match="more than is allowed"):
        read_rds(put(tmp_path, r_data.rds(huge)))


def test_every_truncation_is_one_sentence(tmp_path):
    whole = r_data.rds(LIBRARY)
    for keep in range(0, len(whole), 7):
        with pytest.raises(UnreadableFileError):
            read_openspecy(put(tmp_path, whole[:keep]))


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_any_damaged_byte_is_one_sentence_or_a_library(tmp_path_factory, position, change):
    data = bytearray(r_data.rds(LIBRARY))
    data[position % len(data)] ^= change
    with contextlib.suppress(UnreadableFileError):
        read_openspecy(put(tmp_path_factory.mktemp("r"), bytes(data)))


def test_open_specy_library(tmp_path):
    polymer, mineral = read_openspecy(put(tmp_path, gzip.compress(r_data.rds(LIBRARY))))
    assert (polymer.name, polymer.technique) == ("PE", Technique.RAMAN)
    np.testing.assert_array_equal(polymer.axis, AXIS)
    np.testing.assert_array_equal(polymer.intensity, [1, 2, 3, 4])
    assert polymer.acquisition.laser_nm == 785.0
    assert dict(polymer.acquisition.metadata) == {
        "SpectrumIdentity": "PE", "SpectrumType": "Raman", "license": "CC BY-NC"
    }  # fmt: skip
    assert (mineral.technique, list(mineral.axis)) == (Technique.FTIR_ATR, [410.0, 420.0])
    assert "license" not in mineral.acquisition.metadata


def test_open_specy_as_a_table_and_as_saved(tmp_path):
    table = LIBRARY | {"spectra": {f"c{i}": v for i, v in enumerate(LIBRARY["spectra"].columns)}}
    assert len(read_openspecy(put(tmp_path, r_data.rds(table)))) == 2
    assert len(read_openspecy(put(tmp_path, r_data.rdata(lib=LIBRARY)))) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"wavenumber": ["a"]},
        {"spectra": None},
        {"spectra": np.zeros(12)},
        {"metadata": {"x": ["one"]}},
        {"spectra": Matrix([np.zeros(3)] * 3)},
        {"wavenumber": np.array([1.0, np.nan, 2, 3])},
    ],
)
def test_parts_that_do_not_fit(tmp_path, change):
    with pytest.raises(UnreadableFileError, match=r"a\.rds"):
        read_openspecy(put(tmp_path, r_data.rds(LIBRARY | change)))


def test_another_object(tmp_path):
    with pytest.raises(UnreadableFileError, match="no Open Specy library"):
        read_openspecy(put(tmp_path, r_data.rds(AXIS)))
