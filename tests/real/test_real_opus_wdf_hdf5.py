"""Real OPUS, WDF and CHADA files against text exports, other formats and other readings of the same scan."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from spectralid.errors import UnsupportedContentError
from spectralid.io import read, read_all, write
from spectralid.spectrum import IntensityUnit, Technique

TESTDATA = "charisma-ramanchada-native/ramanchada/src/ramanchada/testdata"
OPUS_SUFFIXES = {".0", ".1", ".001", ".0000", ".0001", ".0002", ".0003"}


def test_opus_equals_the_text_export_of_the_same_measurement(shared_data: Path) -> None:
    folder = shared_data / "orange-spectroscopy"
    opus = read(folder / "peach_juice.0")
    text = np.loadtxt(folder / "peach_juice.dpt", comments=["#", ";"])[::-1]
    # The export has five decimals.
    np.testing.assert_allclose(opus.axis, text[:, 0], atol=6e-6)
    np.testing.assert_allclose(opus.intensity, text[:, 1], atol=6e-6)
    assert opus.unit is IntensityUnit.REFLECTANCE
    assert opus.name == "Peach juice colorful spot"


def test_opus_equals_the_package(shared_data: Path) -> None:
    from brukeropus import OPUSFile

    for name in (
        "brukeropus/examples/file.0",
        "openspecy/inst/extdata/ftir_ps.0",
        "opusreader2/test_data/617262_1TP_C-1_A5.0",
        f"{TESTDATA}/Lactose.0",
    ):
        absorbance = OPUSFile(str(shared_data / name)).a
        spectrum = read(shared_data / name)
        np.testing.assert_array_equal(spectrum.axis, absorbance.x[::-1])
        np.testing.assert_array_equal(spectrum.intensity, absorbance.y[::-1])
        assert spectrum.unit is IntensityUnit.ABSORBANCE


@pytest.mark.parametrize(
    ("name", "technique"),
    [
        ("openspecy/inst/extdata/ftir_ps.0", Technique.FTIR_ATR),
        ("brukeropus/examples/file.0", Technique.FTIR_TRANSMISSION),
        ("spectrochempy-data/irdata/OPUS/test.0000", Technique.FTIR_TRANSMISSION),
        ("opusreader2/new_data/issue94_RT_01_1_23-02-21_13-23-54.0", Technique.FTIR),
        ("opusreader2/test_data/test_spectra.0", Technique.FTIR),
        ("charisma-ramanchada2/tests/experimental/test_opus.0", Technique.RAMAN),
    ],
)
def test_opus_techniques(shared_data: Path, name: str, technique: Technique) -> None:
    assert read(shared_data / name).technique is technique


def test_every_opus_file_is_read_but_a_background(shared_data: Path) -> None:
    paths = [p for p in shared_data.rglob("*") if p.suffix in OPUS_SUFFIXES]
    assert len(paths) == 18
    for path in paths:
        if path.name == "background.0":
            with pytest.raises(UnsupportedContentError, match="no spectrum of a sample"):
                read(path)
            continue
        spectrum = read(path)
        assert spectrum.acquisition.instrument.startswith("Bruker ")
        assert spectrum.acquisition.time[:2] == "20"


def test_wdf_equals_the_chada_of_the_same_measurement(shared_data: Path) -> None:
    wdf, cha = read(shared_data / TESTDATA / "200218-17.wdf"), read(shared_data / TESTDATA / "200218-17.cha")
    np.testing.assert_array_equal(wdf.axis, cha.axis)
    np.testing.assert_array_equal(wdf.intensity, cha.intensity)
    assert wdf.technique is cha.technique is Technique.RAMAN
    assert wdf.acquisition.laser_nm == pytest.approx(514.5012, abs=1e-4)
    assert cha.acquisition.laser_nm == pytest.approx(514.5012, abs=1e-4)
    assert wdf.acquisition.averages == cha.acquisition.averages == 3


def test_wdf_equals_its_text_export(shared_data: Path) -> None:
    folder = shared_data / "charisma-ramanchada2" / "tests" / "experimental" / "Renishaw"
    wdf, text = (read(next(folder.glob(pattern))) for pattern in ("*.wdf", "*.txt"))
    np.testing.assert_allclose(wdf.axis, text.axis, atol=1e-6)
    np.testing.assert_allclose(wdf.intensity, text.intensity, rtol=1e-6)


def test_a_wdf_map_equals_its_spc_export(shared_data: Path) -> None:
    wdf = read_all(shared_data / "cheminfo-wdf" / "6x6.wdf")
    spc = read_all(shared_data / "cheminfo-wdf" / "6x6.spc")
    assert len(wdf) == len(spc) == 36
    for a, b in zip(wdf, spc, strict=True):
        # WiRE resamples to an even axis for SPC, linearly, in single precision.
        expected = np.interp(b.axis, a.axis, a.intensity)
        np.testing.assert_allclose(b.intensity, expected, atol=1e-4 * np.ptp(a.intensity))
    assert len({(s.acquisition.metadata["x_um"], s.acquisition.metadata["y_um"]) for s in wdf}) == 36


@pytest.mark.parametrize(
    ("name", "count", "technique"),
    [
        ("orange-spectroscopy/renishaw_test_files/sp.wdf", 1, Technique.RAMAN),
        ("orange-spectroscopy/renishaw_test_files/single-spectrum_undefined-type.wdf", 1, Technique.RAMAN),
        ("spectrochempy-data/ramandata/wire/undefined.wdf", 2, Technique.UNKNOWN),
        ("cheminfo-wdf/depth.wdf", 40, Technique.RAMAN),
        ("rosettasciio/renishaw/renishaw_test_focustrack_invariant.wdf", 10, Technique.RAMAN),
        ("lukas-wdf/pure_spectra/butamben_785nm_10p_1s_static_map.wdf", 40, Technique.RAMAN),
    ],
)
def test_wdf_kinds(shared_data: Path, name: str, count: int, technique: Technique) -> None:
    spectra = read_all(shared_data / name)
    assert len(spectra) == count
    assert {s.technique for s in spectra} == {technique}
    assert all(s.missing.sum() == 0 for s in spectra)


def test_wdf_in_nanometres_is_converted_with_its_laser(shared_data: Path) -> None:
    spectrum = read(shared_data / "rosettasciio" / "renishaw" / "renishaw_test_spectrum.wdf")
    laser = spectrum.acquisition.laser_nm
    assert laser == pytest.approx(325.0, abs=0.001)
    nm = 1e7 / (1e7 / laser - spectrum.axis)
    np.testing.assert_allclose([nm[0], nm[-1]], [326.01633, 328.98077], atol=1e-5)


def test_every_wdf_file_is_read(shared_data: Path) -> None:
    paths = list(shared_data.rglob("*.wdf"))
    assert len(paths) == 20
    assert sum(len(read_all(path)) for path in paths) == 335


def test_chada_equals_its_csv_origin(shared_data: Path) -> None:
    folder = shared_data / TESTDATA / "neon"
    cha, csv = (read(folder / f"Neon_Wasatch_Probe_2000msx15.{suffix}") for suffix in ("cha", "csv"))
    # The program that made the CHADA file lost the last point.
    np.testing.assert_array_equal(cha.axis, csv.axis[:-1])
    np.testing.assert_array_equal(cha.intensity, csv.intensity[:-1])
    assert cha.acquisition.serial == csv.acquisition.serial == "WP-00532"


def test_every_chada_file_is_read(shared_data: Path) -> None:
    paths = list(shared_data.rglob("*.cha"))
    assert len(paths) == 5
    for path in paths:
        with h5py.File(path, "r") as file:
            values = np.asarray(file["raw"], dtype=float)
        np.testing.assert_array_equal(read(path).intensity, values[1])


def test_a_real_spectrum_survives_every_exact_format(shared_data: Path, tmp_path: Path) -> None:
    spectrum = read(shared_data / "wasatch-enlighten" / "default_matching_library" / "1-Butanol.csv")
    for format, suffix in (("text", "csv"), ("hdf5", "h5")):
        path = tmp_path / f"again.{suffix}"
        write(spectrum, path, format=format)
        again = read(path)
        assert again == spectrum
        assert again.acquisition == spectrum.acquisition
