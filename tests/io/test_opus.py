"""OPUS files built byte by byte: which block is chosen, what the parameters become, and what is refused."""

from __future__ import annotations

import struct
import sys
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.errors import (
    InputError,
    MissingDependencyError,
    UnreadableFileError,
    UnsupportedContentError,
)
from spectralid.io import ReadOptions, Source
from spectralid.io.opus import FORMAT
from spectralid.spectrum import IntensityUnit, Spectrum, Technique

# Bit fields of a block's type: amplitude, sample/reference/ratio, parameter class, data class.
AMPLITUDE = 3
SAMPLE, REFERENCE, RATIO = 1, 2, 3
SINGLE, INTERFEROGRAM, ABSORBANCE, TRANSMITTANCE, KUBELKA_MUNK, RAMAN, REFLECTANCE = 1, 2, 4, 5, 6, 10, 12
STATUS, INSTRUMENT, ACQUISITION, OPTICS, SAMPLE_ORIGIN = 1, 2, 3, 6, 10
Value = int | float | str


def kind(ratio: int, parameter: int, data: int) -> int:
    return AMPLITUDE | ratio << 2 | parameter << 4 | data << 10


def parameters(**values: Value) -> bytes:
    out = b""
    for key, value in values.items():
        if isinstance(value, int):
            code, raw = 0, struct.pack("<i", value)
        elif isinstance(value, float):
            code, raw = 1, struct.pack("<d", value)
        else:
            code, raw = 2, value.encode("latin-1") + b"\0"
            raw += bytes(len(raw) % 2)
        out += struct.pack("<4shh", key.upper().encode(), code, len(raw) // 2) + raw
    out += b"END\0\0\0\0\0"
    return out + bytes(-len(out) % 4)


def opus(blocks: Sequence[tuple[int, bytes]]) -> bytes:
    start = 24 + 12 * (len(blocks) + 1)
    entries, bodies = [struct.pack("<Iii", 13 << 10, 3 * (len(blocks) + 1), 24)], b""
    for code, body in blocks:
        entries.append(struct.pack("<Iii", code, len(body) // 4, start + len(bodies)))
        bodies += body
    head = b"\n\n\xfe\xfe" + struct.pack("<diii", 920622.0, 24, len(blocks) + 1, len(blocks) + 1)
    return head + b"".join(entries) + bodies


def result(
    data_class: int, values: Sequence[float], ratio: int = RATIO, unit: str = "WN", **more: Value
) -> list[tuple[int, bytes]]:
    status = {
        "dpf": 1, "npt": len(values), "fxv": 4000.0, "lxv": 400.0, "csf": 1.0,
        "mxy": float(max(values)), "mny": float(min(values)),
        "dat": "06/02/2020", "tim": "13:10:10.505 (GMT+1)", "dxu": unit, **more,
    }  # fmt: skip
    return [
        (kind(ratio, 0, data_class), np.asarray(values, dtype="<f4").tobytes()),
        (kind(ratio, STATUS, data_class), parameters(**status)),
    ]


def instrument(**more: Value) -> tuple[int, bytes]:
    return kind(0, INSTRUMENT, 0) & ~AMPLITUDE, parameters(
        **{
            "ins": "ALPHA II",
            "srn": "310222",
            "nss": 32,
            "res": 4.0,
            "cnm": "chemist",
            "snm": "powder",
            **more,
        }
    )


def read(data: bytes) -> list[Spectrum]:
    return FORMAT.read(Source("s/name.0", data), ReadOptions())


def one(*blocks: tuple[int, bytes]) -> Spectrum:
    (spectrum,) = read(opus(blocks))
    return spectrum


def test_values_and_facts() -> None:
    spectrum = one(instrument(), *result(ABSORBANCE, [0.5, 0.25, 0.125, 1.0], csf=2.0))
    np.testing.assert_allclose(spectrum.axis, [400, 1600, 2800, 4000])
    np.testing.assert_array_equal(spectrum.intensity, [2.0, 0.25, 0.5, 1.0])
    assert (spectrum.unit, spectrum.technique) == (IntensityUnit.ABSORBANCE, Technique.FTIR)
    assert (spectrum.name, spectrum.source) == ("powder", "s/name.0")
    facts = spectrum.acquisition
    assert (facts.instrument, facts.serial, facts.operator) == ("Bruker ALPHA II", "310222", "chemist")
    assert (facts.averages, facts.resolution_cm1) == (32, 4.0)
    assert facts.time == "2020-02-06T13:10:10.505000"
    assert facts.metadata["ins"] == "ALPHA II"


@pytest.mark.parametrize(
    ("classes", "unit"),
    [
        ((SINGLE, TRANSMITTANCE, ABSORBANCE), IntensityUnit.ABSORBANCE),
        ((SINGLE, REFLECTANCE, TRANSMITTANCE), IntensityUnit.TRANSMITTANCE),
        ((INTERFEROGRAM, SINGLE, REFLECTANCE), IntensityUnit.REFLECTANCE),
        ((SINGLE, KUBELKA_MUNK), IntensityUnit.KUBELKA_MUNK),
        ((INTERFEROGRAM, SINGLE), IntensityUnit.SINGLE_BEAM),
    ],
)
def test_the_block_to_compare_with_a_library_is_chosen(classes: tuple[int, ...], unit: IntensityUnit) -> None:
    blocks = [
        b
        for i, c in enumerate(classes)
        for b in result(
            c, [float(c), 2.0, 3.0, 4.0 + i], ratio=SAMPLE if c in (SINGLE, INTERFEROGRAM) else RATIO
        )
    ]
    spectrum = one(instrument(), *blocks)
    assert spectrum.unit is unit
    assert spectrum.technique.is_infrared


@pytest.mark.parametrize(
    ("words", "technique"),
    [
        ({"acc": "A225/Q Platinum ATR, Diamond"}, Technique.FTIR_ATR),
        ({"exp": "MIR_ATR_4.XPM"}, Technique.FTIR_ATR),
        ({"acc": "TRANS *010A984F"}, Technique.FTIR_TRANSMISSION),
        ({"exp": "transmission.xpm"}, Technique.FTIR_TRANSMISSION),
        ({"acc": "TRANS *197C3BB8", "dtc": "HTS-XT Reflection"}, Technique.FTIR),
        ({"acc": "DRIFT #404142102D"}, Technique.FTIR),
        ({"exp": "matrix.xpm"}, Technique.FTIR),
    ],
)
def test_the_sampling_is_read_from_the_parameters(words: dict[str, str], technique: Technique) -> None:
    assert one(instrument(**words), *result(ABSORBANCE, [1.0, 2.0, 3.0])).technique is technique


def test_ft_raman_knows_its_laser() -> None:
    spectrum = one(instrument(rlw=9394.9, acc="Transmission holder"), *result(RAMAN, [1.0, 2.0, 3.0]))
    assert spectrum.technique is Technique.RAMAN
    assert spectrum.acquisition.laser_nm == pytest.approx(1064.41, abs=0.01)


def test_a_micrometre_axis_becomes_wavenumbers() -> None:
    spectrum = one(instrument(), *result(ABSORBANCE, [1.0, 2.0, 4.0], unit="MI", fxv=2.5, lxv=25.0))
    np.testing.assert_allclose(spectrum.axis, [400, 1e4 / 13.75, 4000])
    np.testing.assert_array_equal(spectrum.intensity, [4, 2, 1])


def test_background_and_interferograms_alone_are_refused() -> None:
    blocks = [*result(SINGLE, [1.0, 2.0], ratio=REFERENCE), *result(INTERFEROGRAM, [1.0, 2.0], ratio=SAMPLE)]
    with pytest.raises(UnsupportedContentError, match="no spectrum of a sample"):
        one(instrument(), *blocks)


def test_an_axis_in_points_is_refused() -> None:
    with pytest.raises(UnsupportedContentError, match="PNT"):
        one(instrument(), *result(ABSORBANCE, [1.0, 2.0, 3.0], unit="PNT"))


GOOD = opus([instrument(), *result(ABSORBANCE, [1.0, 2.0, 3.0])])
ENDLESS = kind(0, INSTRUMENT, 0), struct.pack("<4shh", b"AAA\0", 0, -4) * 4


@pytest.mark.parametrize(
    "data",
    [
        GOOD[:20],
        GOOD[:60],
        GOOD[:-8],
        opus([]),
        opus([ENDLESS, *result(ABSORBANCE, [1.0, 2.0])]),
        opus([instrument(), *result(ABSORBANCE, [1.0, 2.0], npt=2**31 - 1)]),
        opus([(kind(RATIO, 0, ABSORBANCE) | 2 << 19, struct.pack("<6i", 0, 2**30, 24, 2**30, 8, 1))]),
        GOOD[:16] + struct.pack("<i", 2**31 - 1) + GOOD[20:],
        GOOD[:12] + struct.pack("<i", -5) + GOOD[16:],
    ],
)
def test_damage_is_refused_before_the_package_sees_it(data: bytes) -> None:
    with pytest.raises(UnreadableFileError, match=r"name\.0"):
        read(data)


def test_reports_that_would_fill_the_memory_are_not_parsed() -> None:
    table = parameters(nln=2_000_000, nco=0, siz=0, src=0, sub=0)
    report = 2 << 19, struct.pack("<3i", 0, 0, 0) + parameters(f00=32) + table
    data = opus([report, instrument(), *result(ABSORBANCE, [1.0, 2.0, 3.0])])
    read(data)
    tracemalloc.start()
    try:
        (spectrum,) = read(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert spectrum.n_points == 3
    assert peak < 10 * 2**20


def test_overlapping_blocks_are_refused() -> None:
    body = parameters(ins="x" * 2000)
    data = opus([(kind(0, INSTRUMENT, 0), body)] * 3)
    entry = struct.pack("<Iii", kind(0, INSTRUMENT, 0), len(body) // 4, 24 + 48)
    with pytest.raises(UnreadableFileError, match="overlap"):
        read(data[:36] + entry * 3 + data[72 : 72 + len(body) + 8])


def test_the_package_is_asked_for_when_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brukeropus", None)
    with pytest.raises(MissingDependencyError, match=r"spectralid\[formats\]"):
        read(GOOD)


def test_sniffing() -> None:
    assert FORMAT.sniff(Source("x", GOOD)) == 1
    assert FORMAT.sniff(Source("x.0", b"\n\n\xfe\xfe")) == 0


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 60),
)
def test_flipped_bytes_never_bring_out_anything_but_an_input_error(
    flips: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(GOOD)
    for at, value in flips:
        data[at] = value
    try:
        found = read(bytes(data[: len(data) - cut]))
    except InputError:
        return
    assert found
