"""Real SPC files against text exports, against the same measurement in other formats, and against physics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spectralid.errors import FileError, UnreadableFileError, UnsupportedContentError
from spectralid.io import ReadOptions, Source
from spectralid.io._spc_layout import Trace, read_header, read_traces
from spectralid.io.spc import FORMAT
from spectralid.spectrum import FloatArray, IntensityUnit, Spectrum, Technique


def read_all(path: Path, laser_nm: float | None = None, technique: Technique | None = None) -> list[Spectrum]:
    source = Source(path.name, path.read_bytes(), path)
    return FORMAT.read(source, ReadOptions(technique=technique, laser_nm=laser_nm))


def read(path: Path) -> Spectrum:
    (spectrum,) = read_all(path)
    return spectrum


def traces(path: Path) -> list[Trace]:
    """The numbers of any SPC file, also of one that is refused as no vibrational spectrum."""
    data = path.read_bytes()
    return read_traces(data, read_header(data, path.name), path.name)


def numbers(path: Path, delimiter: str | None = None) -> FloatArray:
    rows = []
    for line in path.read_text(encoding="latin-1").splitlines():
        try:
            rows.append([float(v) for v in line.split(delimiter)])
        except ValueError:
            continue
    return np.array([row for row in rows if row])


def band(spectrum: Spectrum, near: float, within: float = 12.0) -> float:
    """Position of the highest point near a band, refined by a parabola through three points."""
    chosen = np.flatnonzero(np.abs(spectrum.axis - near) <= within)
    top = chosen[np.argmax(spectrum.intensity[chosen])]
    (a, b, _) = np.polyfit(spectrum.axis[top - 1 : top + 2] - near, spectrum.intensity[top - 1 : top + 2], 2)
    return float(near - b / (2 * a))


SINGLE = [
    "CAthickyellow_try4_18.spc", "DERt3_1.spc", "DOERNER.spc", "Ft-ir.spc", "HENE25.SPC", "HENE27.SPC",
    "KRY3.SPC", "KRY4.SPC", "KRY5.SPC", "MERC.SPC", "NMR_FID.SPC", "NMR_SPC.SPC", "RAMAN.SPC", "RUBY18.SPC",
    "TS01.SPC", "kry2.spc", "s_evenx.spc", "s_xy.spc",
]  # fmt: skip
MULTI = ["CAthickyellow_try4_17_ZSCAN.spc", "m_ordz.spc", "nir.spc"]


@pytest.mark.parametrize("name", SINGLE + MULTI)
def test_values_equal_the_text_export(shared_data: Path, name: str) -> None:
    folder = shared_data / "rohanisaac-spc"
    found = traces(folder / name)
    text = numbers(folder / "txt" / f"{name}.txt")
    assert text.shape == (found[0].x.size, 1 + len(found))
    np.testing.assert_allclose(found[0].x, text[:, 0], rtol=1e-9, atol=1e-8)
    for trace, column in zip(found, text[:, 1:].T, strict=True):
        np.testing.assert_allclose(trace.y, column, rtol=1e-9, atol=1e-11 * np.abs(column).max())


@pytest.mark.parametrize("name", ["ms.spc", "m_xyxy.spc"])
def test_traces_with_their_own_x_equal_the_text_export(shared_data: Path, name: str) -> None:
    folder = shared_data / "rohanisaac-spc"
    found = traces(folder / name)
    text = numbers(folder / "txt" / f"{name}.txt")
    np.testing.assert_array_equal(np.concatenate([t.y for t in found]), text[:, 1])
    # The export's x is the file's float taken for a scaled integer; the header's own limits say what is true.
    header = read_header((folder / name).read_bytes(), name)
    x = np.concatenate([t.x for t in found])
    if name == "ms.spc":
        assert (x.min(), x.max()) == (header.first, header.last)
    assert 10 < x.min() < x.max() < 1000


def test_map_whose_traces_differ_in_exponent_is_smooth(shared_data: Path) -> None:
    folder = shared_data / "rohanisaac-spc"
    found = np.array([t.y for t in traces(folder / "4d_map.spc")])
    text = numbers(folder / "txt" / "4d_map.spc.txt")[:, 1:].T
    ratio = np.median(text / found, axis=1)
    # The program behind the export passed over negative exponents, so some of its traces are 2 or 4 times too
    # high: the second row of the 11 × 11 map, bare substrate, jumps where it should be level.
    assert set(np.unique(ratio.round(6))) == {1.0, 2.0, 4.0}
    level = found[12:22].mean(axis=1)
    jumping = text[12:22].mean(axis=1)
    assert level.std() / level.mean() < 0.1
    assert jumping.std() / jumping.mean() > 0.2


def test_old_and_new_format_of_the_same_data_agree(shared_data: Path) -> None:
    new = traces(shared_data / "rohanisaac-spc" / "m_evenz.spc")
    old = traces(shared_data / "spectrochempy-data" / "galacticdata" / "DEMO_3D.SPC")
    assert len(new) == len(old) == 32
    for a, b in zip(new, old, strict=True):
        np.testing.assert_array_equal(a.x, b.x)
        np.testing.assert_array_equal(a.y, b.y)


def test_multifile_of_planes_equals_its_text_export(shared_data: Path) -> None:
    folder = shared_data / "ibcp-spectra-file-examples" / "spc"
    found = traces(folder / "wplanes.spc")
    text = numbers(folder / "wplanes.txt", ",")
    # The export rounds to five digits.
    np.testing.assert_allclose(found[0].x, text[:, 0], atol=0.0501)
    np.testing.assert_allclose(np.array([t.y for t in found]).T, text[:, 1:], atol=0.0501)


def test_explicit_axis_equals_the_makers_text(shared_data: Path) -> None:
    folder = shared_data / "charisma-ramanchada-native" / "test"
    spectrum = read(folder / "Si100NoDope_S02.spc")
    text = numbers(folder / "Si100NoDope_S02.csv", ",")
    assert spectrum.technique is Technique.RAMAN
    # The text has five digits.
    np.testing.assert_allclose(spectrum.axis, text[:, 0], rtol=1e-4, atol=0.006)
    np.testing.assert_array_equal(spectrum.intensity, text[:, 1])


def test_wire_exports_of_one_measurement_agree(shared_data: Path) -> None:
    wire = pytest.importorskip("renishawWiRE")
    folder = shared_data / "cheminfo-wdf"
    spectra = read_all(folder / "6x6.spc")
    original = wire.WDFReader(str(folder / "6x6.wdf"))
    values = original.spectra.reshape(36, -1)
    order = np.argsort(original.xdata)
    assert len(spectra) == 36
    for spectrum, row in zip(spectra, values, strict=True):
        np.testing.assert_allclose(spectrum.range, np.sort(original.xdata)[[0, -1]], atol=1e-3)
        # SPC cannot hold the uneven axis of WDF without a flag WiRE does not set: it resamples.
        there = np.interp(spectrum.axis, original.xdata[order], row[order])
        assert np.corrcoef(there, spectrum.intensity)[0, 1] > 0.99


@pytest.mark.parametrize(
    ("collection", "name", "bands"),
    [
        # Polystyrene, ASTM E1840-96 shifts in cm⁻¹.
        ("charisma-ramanchada-native/test", "POLYSTERENE_x20_1%_02.spc", [620.9, 1001.4, 1602.3, 3054.3]),
        ("charisma-ramanchada-native/test", "SULFUR_x20_01%_01.spc", [153.8, 219.1, 473.2]),
        ("charisma-ramanchada-native/test", "SILICON_x20_1%_02.spc", [520.5]),
        ("charisma-ramanchada2/tests/experimental/InViaReflex", "PST_Reflex532_Z050_010_10000msx2.spc",
         [620.9, 1001.4, 1602.3, 3054.3]),
        ("charisma-ramanchada2/tests/experimental/BWTEK", "PST10_iR532_Probe_100_3000msx7.spc",
         [620.9, 1001.4, 1602.3]),
        # Toluene and polystyrene in the infrared: ring vibrations.
        ("spectrochempy-data/galacticdata", "TOLUENE.SPC", [1495.5, 1604.5, 694.5, 728.5]),
        ("spectrochempy-data/galacticdata", "POLYR.SPC", [1601.2, 1028.3, 1154.5, 3060.0]),
        ("spectrochempy-data/galacticdata", "BENZENE.SPC", [1478.5, 1035.5]),
    ],
)  # fmt: skip
def test_bands_lie_where_they_are_known_to_lie(
    shared_data: Path, collection: str, name: str, bands: list[float]
) -> None:
    spectrum = read(shared_data / collection / name)
    for known in bands:
        assert band(spectrum, known) == pytest.approx(known, abs=3.5)


def test_facts_of_a_wire_file(shared_data: Path) -> None:
    acquisition = read(
        shared_data / "charisma-ramanchada-native" / "test" / "SULFUR_x20_01%_01.spc"
    ).acquisition
    assert (acquisition.laser_nm, acquisition.serial, acquisition.averages) == (532, "H18509", 3)
    assert (acquisition.integration_ms, acquisition.time) == (10_000, "2020-12-02T09:39")
    assert acquisition.metadata["Laser_power"] == "Laser power: 0.1%"


@pytest.mark.parametrize("name", ["DERt3_1.spc", "CAthickyellow_try4_18.spc"])
def test_labspec_date_agrees_with_its_own_log(shared_data: Path, name: str) -> None:
    acquisition = read(shared_data / "rohanisaac-spc" / name).acquisition
    month, day, year = acquisition.metadata["DATE"].split()[0].split("/")
    assert acquisition.time.startswith(f"20{year}-{month}-{day}")


def test_labspec_nm_axis_becomes_shift_with_the_laser_of_its_log(shared_data: Path) -> None:
    spectrum = read(shared_data / "rohanisaac-spc" / "DERt3_1.spc")
    assert spectrum.technique is Technique.RAMAN
    assert spectrum.range == pytest.approx((1e7 / 532.2 - 1e7 / 541.15, 1e7 / 532.2 - 1e7 / 731.59), abs=0.1)


def test_absorbance_label_on_raman_counts_is_not_believed(shared_data: Path) -> None:
    spectrum = read(shared_data / "openspecy" / "inst" / "extdata" / "raman_atacamit.spc")
    assert spectrum.technique is Technique.UNKNOWN
    assert spectrum.unit is IntensityUnit.ARBITRARY


def test_spc_under_another_extension(shared_data: Path) -> None:
    path = shared_data / "cdph-white-powders" / "Amylose.txt"
    assert FORMAT.sniff(Source(path.name, path.read_bytes()[:65536])) > 0.8
    with pytest.raises(UnsupportedContentError, match="give the technique"):
        read(path)
    (spectrum,) = read_all(path, technique=Technique.RAMAN)
    # The skeletal mode of starch.
    assert band(spectrum, 478.0) == pytest.approx(478, abs=4)


REFUSED = {
    "BARBITUATES.SPC": "GC-MS run of 286", "barbsvd.spc": "GC-MS", "DRUG_SAMPLE.SPC": "GC-MS run of 400",
    "DRUG_SAMPLE_PEAKS.SPC": "mass spectra", "ms.spc": "mass spectra", "m_xyxy.spc": "GC-MS run of 512",
    "FID.SPC": "NMR free induction", "NMR_FID.SPC": "NMR free induction", "NMR_SPC.SPC": "NMR spectrum",
    "HOLMIUM.SPC": "UV-Vis", "SPECTRUM_WITH_BAD_BASELINE.SPC": "UV-Vis", "LC_DIODE_ARRAY.SPC": "UV-Vis",
    "DEMO_3D.SPC": "UV-Vis", "m_evenz.spc": "UV-Vis", "IG_SAMP.SPC": "interferogram",
    "IG_MULTI.SPC": "interferogram", "s_xy.spc": "chromatogram", "XYTRACE.SPC": "names no laser",
    "BC408_5mmHorizontal.spc": "names no laser", "TS01.SPC": "names no laser",
    "wplanes.spc": "names no laser",
    "HENE25.SPC": "absolute wavenumber", "HENE27.SPC": "absolute wavenumber",
    "KRY3.SPC": "absolute wavenumber", "KRY4.SPC": "absolute wavenumber", "KRY5.SPC": "absolute wavenumber",
    "kry2.spc": "absolute wavenumber", "MERC.SPC": "absolute wavenumber", "RUBY18.SPC": "absolute wavenumber",
    "ebroAVII.spc": "detector pixels", "ebroAVMY.spc": "detector pixels", "ebroAVRW.spc": "detector pixels",
    "F80A20-1.SPC": "no Galactic SPC",
}  # fmt: skip


def test_every_file_is_read_or_refused_for_its_own_reason(shared_data: Path) -> None:
    paths = [p for p in sorted(shared_data.rglob("*")) if p.suffix.lower() == ".spc"]
    assert len(paths) > 100
    refused = {}
    for path in paths:
        try:
            spectra = read_all(path)
        except (UnsupportedContentError, UnreadableFileError) as error:
            refused[path.name.replace(" ", "_")] = str(error)
        else:
            assert spectra
            assert all(np.isfinite(s.intensity).all() for s in spectra)
    assert set(refused) == set(REFUSED)
    for name, words in REFUSED.items():
        assert words in refused[name]


@pytest.mark.parametrize(
    "name", ["BENZENE.SPC", "CONTOUR.SPC", "BARBITUATES.SPC", "FID.SPC", "XYTRACE.SPC", "KKSAM.SPC"]
)
def test_real_files_with_damaged_bytes_raise_file_errors_only(shared_data: Path, name: str) -> None:
    whole = (shared_data / "spectrochempy-data" / "galacticdata" / name).read_bytes()
    rng = np.random.default_rng(20)
    for _ in range(60):
        data = bytearray(whole)
        # Mostly in the header, where every byte means something.
        for at in rng.integers(0, 560, 3):
            data[at] = rng.integers(256)
        cut = int(rng.integers(2, len(whole))) if rng.random() < 0.5 else len(whole)
        with np.errstate(all="raise"):
            try:
                spectra = FORMAT.read(Source(name, bytes(data[:cut])), ReadOptions(laser_nm=785.0))
            except FileError:
                continue
        assert spectra
