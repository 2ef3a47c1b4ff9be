"""OMNIC files built byte by byte, and what must be refused."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.errors import FileError, UnreadableFileError, UnsupportedContentError
from spectralid.io import ReadOptions, Source
from spectralid.io.spa import FORMAT
from spectralid.spectrum import IntensityUnit, Spectrum, Technique

WAVENUMBER, DATA_POINTS, NANOMETRE, MICROMETRE, SHIFT = 1, 2, 3, 4, 32
PERCENT_T, ABSORBANCE = 16, 17
# 2021-03-05 11:51:36 UTC in seconds since the last day of 1899.
SECONDS = 3_823_933_896 + 86_400


def parameters(
    x: int = WAVENUMBER,
    y: int = ABSORBANCE,
    n: int = 4,
    first: float = 4000.0,
    last: float = 1000.0,
    scans: int = 16,
    laser: float = 0.0,
) -> bytes:
    raw = bytearray(140)
    struct.pack_into("<I", raw, 4, n)
    raw[8], raw[12] = x, y
    struct.pack_into("<ff", raw, 16, first, last)
    struct.pack_into("<I", raw, 36, scans)
    struct.pack_into("<f", raw, 96, laser)
    return bytes(raw)


def experiment(title: bytes, accessory: bytes) -> bytes:
    raw = bytearray(932)
    raw[10:21] = b"default.exp"
    raw[90 : 90 + len(title)] = title
    raw[413 : 413 + len(accessory)] = accessory
    return bytes(raw)


def omnic(
    sections: list[tuple[int, bytes]],
    title: bytes = b"White powder",
    seconds: int = SECONDS,
    magic: bytes = b"Spectral Data File",
) -> bytes:
    """A file of these sections: their directory stands at byte 304, the contents follow."""
    head = bytearray(304)
    head[0 : len(magic)] = magic
    head[30 : 30 + len(title)] = title
    struct.pack_into("<H", head, 294, len(sections))
    struct.pack_into("<I", head, 296, seconds)
    directory, body = b"", b""
    start = 304 + 16 * len(sections)
    for key, content in sections:
        directory += struct.pack("<HII6x", key, start + len(body), len(content))
        body += content
    return bytes(head) + directory + body


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


Y = (0.1, 0.5, 2.0, 0.25)


def simple(
    extra: list[tuple[int, bytes]] | None = None, values: tuple[float, ...] = Y, **fields: Any
) -> bytes:
    sections = [(2, parameters(n=len(values), **fields)), *(extra or []), (3, floats(*values))]
    return omnic(sections)


def read_all(data: bytes) -> list[Spectrum]:
    return FORMAT.read(Source("made.spa", data), ReadOptions())


def read(data: bytes) -> Spectrum:
    (spectrum,) = read_all(data)
    return spectrum


def test_values_axis_and_facts() -> None:
    history = (
        b"Collect Sample\r\n\t User name: todd\r\n\t Resolution:\t 4.000 from 649.9 to 3999.8\r\n"
        b"\t Bench Serial Number:AKX1300131\r\n\0"
    )
    spectrum = read(simple([(0x1B, history), (4, b"first line\0second line\0\0")]))
    np.testing.assert_array_equal(spectrum.axis, [1000.0, 2000.0, 3000.0, 4000.0])
    np.testing.assert_allclose(spectrum.intensity, Y[::-1], rtol=1e-6)
    acquisition = spectrum.acquisition
    assert (spectrum.name, spectrum.unit) == ("White powder", IntensityUnit.ABSORBANCE)
    assert acquisition.time == "2021-03-05T11:51:36+00:00"
    assert (acquisition.serial, acquisition.operator) == ("AKX1300131", "todd")
    assert (acquisition.resolution_cm1, acquisition.averages) == (4.0, 16)
    assert acquisition.metadata["comment"] == "first line\nsecond line"
    assert "Collect Sample" in acquisition.metadata["history"]


def test_history_in_french_with_decimal_commas_and_the_last_resolution() -> None:
    history = (
        "Résolution:\t 4,000 de 650 à 6000\r\nNuméro Série du banc:ALK1100494\r\nRésolution:\t 8,000\r\n"
    )
    acquisition = read(simple([(0x1B, history.encode("latin-1"))])).acquisition
    assert (acquisition.resolution_cm1, acquisition.serial) == (8.0, "ALK1100494")


@pytest.mark.parametrize(
    ("code", "unit", "factor"),
    [
        (11, IntensityUnit.REFLECTANCE, 0.01),
        (12, IntensityUnit.ABSORBANCE, 1),
        (15, IntensityUnit.SINGLE_BEAM, 1),
        (PERCENT_T, IntensityUnit.PERCENT_TRANSMITTANCE, 1),
        (ABSORBANCE, IntensityUnit.ABSORBANCE, 1),
        (20, IntensityUnit.KUBELKA_MUNK, 1),
        (26, IntensityUnit.ARBITRARY, 1),
        (77, IntensityUnit.ARBITRARY, 1),
    ],
)
def test_units_of_the_ordinate(code: int, unit: IntensityUnit, factor: float) -> None:
    spectrum = read(simple(y=code))
    assert spectrum.unit is unit
    np.testing.assert_allclose(spectrum.intensity, np.array(Y[::-1]) * factor, rtol=1e-6)


def test_raman_with_the_laser_in_the_header() -> None:
    spectrum = read(simple(x=SHIFT, y=31, laser=18791.373))
    assert spectrum.technique is Technique.RAMAN
    assert spectrum.unit is IntensityUnit.ARBITRARY
    assert spectrum.acquisition.laser_nm == pytest.approx(532.159, abs=1e-3)
    assert read(simple(x=SHIFT, y=31, laser=float("nan"))).acquisition.laser_nm is None


@pytest.mark.parametrize(
    ("title", "accessory", "expected"),
    [
        (b"iTR", b"Smart iTR", Technique.FTIR_ATR),
        (b"Smart Endurance", b"Smart Endurance", Technique.FTIR_ATR),
        (b"Diamond ATR", b"None", Technique.FTIR_ATR),
        (b"64scan", b"Transmission E.S.P.", Technique.FTIR_TRANSMISSION),
        # An experiment that is merely called so proves nothing: it is the default of every bench.
        (b"Transmission", b"None", Technique.FTIR),
        (b"%R Microscope", b"None", Technique.FTIR),
    ],
)
def test_sampling_is_what_the_accessory_says(title: bytes, accessory: bytes, expected: Technique) -> None:
    assert read(simple([(0x82, bytes(12)), (0x82, experiment(title, accessory))])).technique is expected


def test_sampling_in_plain_words_counts_only_when_it_says_how_the_sample_was_run() -> None:
    sections = [(2, parameters()), (3, floats(*Y))]
    assert read(omnic(sections)).technique is Technique.FTIR
    assert read(omnic(sections, title=b"Methanol by ATR")).technique is Technique.FTIR_ATR
    comment = [*sections, (4, b"Use to compare to results from Advanced ATR correction\0")]
    assert read(omnic(comment)).technique is Technique.FTIR


@pytest.mark.parametrize(("code", "first", "last"), [(NANOMETRE, 1000.0, 2500.0), (MICROMETRE, 1.0, 2.5)])
def test_near_infrared_wavelengths_become_wavenumbers(code: int, first: float, last: float) -> None:
    spectrum = read(simple(x=code, first=first, last=last))
    np.testing.assert_allclose(spectrum.axis, 1e7 / np.array([2500, 2000, 1500, 1000]))
    assert [h.name for h in spectrum.history] == ["wavelength_to_wavenumber"]


def test_opaque_regions_are_flagged() -> None:
    assert "saturated" in read(simple(values=(0.1, 6.0, 0.2))).acquisition.flags
    assert "saturated" not in read(simple(values=(0.1, 5.9, 0.2))).acquisition.flags
    assert "saturated" not in read(simple(values=(0.1, 60.0, 0.2), y=PERCENT_T)).acquisition.flags


def test_blanked_points_stay_missing() -> None:
    assert read(simple(values=(0.1, float("nan"), 0.2))).missing.tolist() == [False, True, False]


def group(members: int = 2) -> bytes:
    sections: list[tuple[int, bytes]] = []
    for i in range(members):
        title = f"sample {i}".encode().ljust(256, b"\0") + struct.pack("<II", SECONDS + i, 0)
        sections += [(2, parameters(n=2, scans=i + 1)), (0x6B, title), (3, floats(i, i + 0.5))]
    return omnic(sections, title=b"the group")


def test_group_gives_each_member_with_its_own_title_and_time() -> None:
    first, second = read_all(group())
    assert (first.name, second.name) == ("sample 0", "sample 1")
    assert second.acquisition.time == "2021-03-05T11:51:37+00:00"
    assert (first.acquisition.averages, second.acquisition.averages) == (1, 2)
    assert second.intensity.tolist() == [1.5, 1.0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (simple(x=DATA_POINTS, y=22, first=0.0, last=3.0), "interferogram"),
        (simple(x=99), "code 99"),
        (simple(x=NANOMETRE, first=200.0, last=700.0), "UV-Vis"),
        (omnic([], magic=b"Spectral Exte File"), "series"),
    ],
)
def test_what_is_no_infrared_or_raman_spectrum_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(UnsupportedContentError, match=words):
        read_all(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (omnic([(3, floats(*Y))]), "names no spectrum"),
        (omnic([(2, parameters())]), "not all there"),
        (omnic([(2, parameters()), (3, floats(1.0, 2.0))]), "not all there"),
        (simple(first=float("nan")), "ends of its axis"),
        (simple(first=1000.0, last=1000.0), "not a spectrum"),
        (simple(values=(1.0, float("inf"), 2.0)), "infinite"),
        (b"Spectral Datei", "does not begin"),
    ],
)
def test_damage_is_named(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableFileError, match=words):
        read_all(data)


def test_a_file_cut_anywhere_says_where() -> None:
    for whole in (simple(), group()):
        assert read_all(whole)
        for length in range(18, len(whole)):
            with pytest.raises(UnreadableFileError) as caught:
                read_all(whole[:length])
            assert caught.value.where == f"byte {length}"


@pytest.mark.parametrize("members", [1, 3000])
def test_false_counts_cost_no_memory(members: int) -> None:
    # All headers name the same stretch of the file as their intensities, and more than it has.
    sections = [(2, parameters(n=2**28 if members == 1 else 20_000)), (3, floats(*Y))]
    data = bytearray(omnic(sections * members) + bytes(80_000))
    for i in range(members):
        at = 304 + 16 * (2 * i + 1)
        struct.pack_into("<II", data, at + 2, len(data) - 80_000, 2**30)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFileError, match="cut short"):
            read_all(bytes(data))
        assert tracemalloc.get_traced_memory()[1] < 4 * len(data) + 1_000_000
    finally:
        tracemalloc.stop()


def test_sniffing_goes_by_the_first_words() -> None:
    def sniff(data: bytes) -> float:
        return FORMAT.sniff(Source("x", data))

    assert sniff(simple()) > 0.9
    assert sniff(omnic([], magic=b"Spectral Exte File")) > 0.9
    assert sniff(b"Spectral data: 1 2 3") == 0
    assert sniff(b"") == 0


@settings(max_examples=200, deadline=None)
@given(
    whole=st.sampled_from([simple([(0x82, experiment(b"a", b"b")), (0x1B, b"Resolution: 4")]), group()]),
    flips=st.lists(st.tuples(st.integers(18, 2500), st.integers(0, 255)), max_size=8),
    cut=st.one_of(st.none(), st.integers(18, 2500)),
)
def test_damaged_files_raise_file_errors_only(
    whole: bytes, flips: list[tuple[int, int]], cut: int | None
) -> None:
    data = bytearray(whole)
    for at, value in flips:
        data[at % len(data)] = value
    with np.errstate(all="raise"):
        try:
            spectra = read_all(bytes(data[:cut]))
        except FileError:
            return
    assert spectra
    assert all(s.source == "made.spa" for s in spectra)
