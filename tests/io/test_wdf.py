"""WDF files built byte by byte: what comes out is what was put in, and counts that lie are refused."""

from __future__ import annotations

import struct
import sys

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
from spectralid.io.wdf import FORMAT
from spectralid.spectrum import IntensityUnit, Spectrum, Technique

SHIFT, NANOMETRE, ELECTRON_VOLT, COUNTS, ARBITRARY = 1, 3, 4, 6, 0
SPATIAL_X, SPATIAL_Y, FLAGS, UNHEARD_OF = 3, 4, 17, 99
AXIS = np.array([2000.0, 1500.0, 1000.0, 500.0])


def block(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return struct.pack("<4sIQ", name, 1, 16 + len(body) if size is None else size) + body


def wdf(
    spectra: np.ndarray,
    axis: np.ndarray = AXIS,
    *,
    unit: int = SHIFT,
    spectral_unit: int = COUNTS,
    laser_nm: float = 785.0,
    count: int | None = None,
    points: int | None = None,
    origins: dict[int, list[float]] | None = None,
    ticks: int = 133_000_000_000_000_000,
    scan: int = 1,
) -> bytes:
    spectra = np.atleast_2d(spectra)
    count = len(spectra) if count is None else count
    points = spectra.shape[1] if points is None else points
    origins = origins or {}
    head = bytearray(512)
    struct.pack_into("<4sIQ", head, 0, b"WDF1", 1, 512)
    struct.pack_into("<IQQIIII", head, 0x3C, points, count, count, 5, 1, points, len(origins))
    struct.pack_into("<24s4H", head, 0x60, b"WiRE", 5, 2, 0, 9499)
    struct.pack_into("<II", head, 0x80, scan, 1 if len(spectra) == 1 else 3)
    struct.pack_into("<Q", head, 0x88, ticks)
    struct.pack_into("<If", head, 0x98, spectral_unit, 1e7 / laser_nm if laser_nm else 0.0)
    struct.pack_into("<32s", head, 0xD0, b"operator")
    struct.pack_into("<160s", head, 0xF0, b"a title")
    body = block(b"DATA", spectra.astype("<f4").tobytes())
    body += block(b"XLST", struct.pack("<II", 1, unit) + axis.astype("<f4").tobytes())
    body += block(b"YLST", struct.pack("<IIf", 4, 16, 1.0))
    if origins:
        lists = b"".join(
            struct.pack("<II16s", kind, 5, b"where") + np.asarray(v, dtype="<f8").tobytes()
            for kind, v in origins.items()
        )
        body += block(b"ORGN", struct.pack("<I", len(origins)) + lists)
    # A picture that is none and a map that does not fit would make the package fail.
    return bytes(head) + body + block(b"WMAP", bytes(64)) + block(b"WHTL", b"not a picture")


def read(data: bytes, **options: float) -> list[Spectrum]:
    return FORMAT.read(Source("s/name.wdf", data), ReadOptions(**options))  # type: ignore[arg-type]


def test_a_single_spectrum() -> None:
    (spectrum,) = read(wdf(np.array([4.0, 3.0, 2.0, 1.0])))
    np.testing.assert_array_equal(spectrum.axis, AXIS[::-1])
    np.testing.assert_array_equal(spectrum.intensity, [1, 2, 3, 4])
    assert (spectrum.technique, spectrum.unit) == (Technique.RAMAN, IntensityUnit.COUNTS)
    assert (spectrum.name, spectrum.source) == ("name", "s/name.wdf")
    facts = spectrum.acquisition
    assert facts.laser_nm == pytest.approx(785.0, rel=1e-6)
    assert (facts.averages, facts.operator, facts.metadata["title"]) == (5, "operator", "a title")
    # 133 000 000 000 000 000 ticks of 100 ns after 1601 is 2022-06-18 04:26:40 UTC.
    assert facts.time == "2022-06-18T04:26:40+00:00"


def test_a_map_is_a_list_with_positions() -> None:
    values = np.arange(12.0).reshape(3, 4)
    found = read(wdf(values, origins={SPATIAL_X: [1, 2, 3], SPATIAL_Y: [7, 8, 9], FLAGS: [0, 0, 0]}))
    np.testing.assert_array_equal([s.intensity for s in found], values[:, ::-1])
    assert found[1].acquisition.metadata["x_um"] == "2"
    assert found[1].name == "name (x_um 2, y_um 8)"


def test_origins_the_package_does_not_know_cost_only_the_positions() -> None:
    found = read(wdf(np.arange(8.0).reshape(2, 4), origins={UNHEARD_OF: [1, 2]}))
    assert [s.name for s in found] == ["name (1)", "name (2)"]


def test_a_file_the_package_gives_up_on_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    from renishawWiRE import wdfReader

    opened = []

    def recording(*arguments: str) -> object:
        opened.append(open(*arguments))  # noqa: SIM115
        return opened[-1]

    monkeypatch.setattr(wdfReader, "open", recording, raising=False)
    data = wdf(np.arange(4.0), origins={UNHEARD_OF: [1.0]})
    assert FORMAT.read(Source("a.wdf", data), ReadOptions())[0].n_points == 4
    # Once given up on, and once without what it does not know.
    assert [file.closed for file in opened] == [True, True]


def test_a_wavelength_axis_is_converted_with_its_laser() -> None:
    nm = np.array([830.0, 820.0, 810.0, 800.0])
    (spectrum,) = read(wdf(np.array([4.0, 3.0, 2.0, 1.0]), nm, unit=NANOMETRE))
    np.testing.assert_allclose(spectrum.axis, 1e7 / 785 - 1e7 / nm[::-1], atol=1e-2)
    assert spectrum.history[0].name == "wavelength_to_shift"


def test_a_wavelength_axis_without_a_laser_needs_the_option() -> None:
    data = wdf(np.ones(4), np.array([830.0, 820.0, 810.0, 800.0]), unit=NANOMETRE, laser_nm=0)
    with pytest.raises(UnreadableFileError, match="laser_nm"):
        read(data)
    assert read(data, laser_nm=785.0)[0].acquisition.laser_nm == 785.0


def test_an_unstated_axis_unit_is_flagged() -> None:
    (spectrum,) = read(wdf(np.ones(4), unit=ARBITRARY, spectral_unit=ARBITRARY, laser_nm=0))
    assert spectrum.acquisition.flags == {"axis_unit_not_stated"}
    assert (spectrum.technique, spectrum.unit) == (Technique.UNKNOWN, IntensityUnit.ARBITRARY)


def test_an_energy_axis_is_refused() -> None:
    with pytest.raises(UnsupportedContentError, match="ElectronVolt"):
        read(wdf(np.ones(4), unit=ELECTRON_VOLT))


@pytest.mark.parametrize(
    "data",
    [
        wdf(np.ones(4))[:300],
        wdf(np.ones(4))[:520],
        wdf(np.ones(4))[:560],
        wdf(np.ones(4), count=2**40),
        wdf(np.ones(4), count=0),
        wdf(np.ones(4), points=2**31),
        wdf(np.ones(4))[:512] + block(b"DATA", b"", size=0) * 3,
        wdf(np.ones(4))[:512] + block(b"DATA", b"", size=8),
        wdf(np.ones(4), scan=77),
    ],
)
def test_damage_is_refused_before_anything_is_allocated(data: bytes) -> None:
    with pytest.raises(UnreadableFileError, match=r"name\.wdf"):
        read(data)


def test_the_package_is_asked_for_when_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "renishawWiRE", None)
    with pytest.raises(MissingDependencyError, match=r"spectralid\[formats\]"):
        read(wdf(np.ones(4)))


def test_sniffing() -> None:
    assert FORMAT.sniff(Source("x", wdf(np.ones(4)))) == 1
    assert FORMAT.sniff(Source("x.wdf", b"WDF1")) == 0


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 60)
)
def test_flipped_bytes_never_bring_out_anything_but_an_input_error(
    flips: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(wdf(np.arange(8.0).reshape(2, 4), origins={SPATIAL_X: [1, 2]}))
    for at, value in flips:
        if at < len(data):
            data[at] = value
    try:
        found = read(bytes(data[: len(data) - cut]))
    except InputError:
        return
    assert found
