"""Real text files against independent parses; every text file there is, read or refused in a sentence."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spectralid.errors import FileError, UnreadableFileError, UnsupportedContentError
from spectralid.io import ReadOptions, Source, read, read_all
from spectralid.io.text import FORMAT
from spectralid.spectrum import Technique

SUFFIXES = re.compile(r"\.(txt|csv|prn|dpt|asc|txtr|rruff|rruf|tsv|asp|json|md|rst)", re.IGNORECASE)

# Real files this reader must refuse, and in which words. Everything else with numbers must be read.
REFUSED = {
    r"SOURCE\.txt|README.*|.*\.(rst|md)|jcamp2001_example\.txt": "no table",
    r".*\.json": "JSON",
    r"(acetonitrile|neon)_n_n_n_solid_.*\.csv|CC-124_TAP_Pos-2.*\.csv": "counts points or pixels",
    r"IFG_single\.dpt|NEON_GlacX785.*_raw\.csv|Ratio3_ROA_L\.txt": "counts points or pixels",
    r"Neon all exp merged Wasatch\.csv": "laser_nm",
    r"[xy]_axis\.txt": "single column",
    r"Amylose\.txt": "binary",
    r".*__21346\.rruf|test_site_data\.csv|index\.csv|cluster_keys\.csv|ftir_metadata\.csv": "no table",
    r"known_bad_ids\.csv|library_types\.csv|DX-DIR\.TXT": "no table",
    # Laser and lamp lines, an FID, mass spectra: what these SPC files hold is no vibrational spectrum.
    r"(HENE|KRY|MERC|NMR_FID|kry).*\.txt|m_xyxy\.spc\.txt|s_xy\.spc\.txt": "no Raman shift or wavenumber",
}


def text_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and SUFFIXES.fullmatch(path.suffix) and path.stat().st_size:
            yield path


def test_every_text_file_is_read_or_refused_for_a_known_reason(shared_data: Path) -> None:
    unexplained = []
    count = spectra = 0
    minerals = [p for p in text_files(shared_data) if p.parent.name == "rruff-ir"]
    for path in text_files(shared_data):
        if path in minerals[10:]:  # 665 files of one form
            continue
        count += 1
        expected = next((words for name, words in REFUSED.items() if re.fullmatch(name, path.name)), None)
        try:
            found = FORMAT.read(Source(path.name, path.read_bytes(), path), ReadOptions())
            outcome = None
            spectra += len(found)
            # The bare columns made of SPC files are of every kind of spectrum and do not say which.
            if "rohanisaac-spc" not in path.parts:
                assert all(-2500 < s.axis[0] < s.axis[-1] < 7000 for s in found), path.name
        except FileError as error:
            outcome = error.reason
        if (outcome is None) != (expected is None) or (expected and not re.search(expected, outcome or "")):
            unexplained.append((path.name, outcome))
    assert not unexplained
    assert count > 600
    assert spectra > 2000


def by_hand(path: Path, encoding: str = "utf-8") -> tuple[dict[str, str], list[dict[str, str]]]:
    """ENLIGHTEN's two parts, read with nothing but the csv module."""
    head, body = path.read_text(encoding).split("\n\n", 1)
    facts = dict(line.split(",", 1) for line in head.splitlines())
    return facts, list(csv.DictReader(body.splitlines()))


def test_enlighten_library_equals_a_direct_parse(shared_data: Path) -> None:
    files = sorted((shared_data / "wasatch-enlighten" / "default_matching_library").glob("*.csv"))
    assert len(files) == 80
    for path in files:
        facts, rows = by_hand(path)
        spectrum = read(path)
        np.testing.assert_array_equal(spectrum.axis, [float(r["Wavenumber"]) for r in rows])
        np.testing.assert_array_equal(spectrum.intensity, [float(r["Processed"]) for r in rows])
        assert spectrum.technique is Technique.RAMAN
        assert spectrum.acquisition.laser_nm == float(facts["Laser Wavelength"])
        assert spectrum.acquisition.serial == facts["Serial Number"]
        assert spectrum.acquisition.integration_ms == float(facts["Integration Time"])
        assert spectrum.acquisition.time == facts["Timestamp"].replace(" ", "T")
        assert spectrum.name == path.stem


def test_enlighten_marks_pixels_outside_its_region_as_missing(shared_data: Path) -> None:
    path = shared_data / "arcadia-5-spectrometers" / "Wasatch_WP785X" / "acetonitrile.csv"
    _, rows = by_hand(path)
    spectrum = read(path)
    np.testing.assert_array_equal(spectrum.missing, [r["Processed"] == "NA" for r in rows])
    assert spectrum.missing.sum() == 10
    assert spectrum.acquisition.power_mw == 100.0


@pytest.mark.parametrize(
    "name",
    [
        "ibcp-spectra-file-examples/txt.BWTek/bwtek_exmaple_01.txt",
        "charisma-ramanchada-native/test/AS020P frit.txt",
        "charisma-ramanchada-native/test/AS020P 7500 2 2.txtr",
        "charisma-vamas/Figure5and6 (Calcite)/S3/sCAL02_iRPlus532_Z020_100_3800ms.txt",
        "charisma-ramanchada2/tests/experimental/BWTEK/lamp Ne 10ms 0%.txt",
    ],
)
def test_bwtek_equals_an_independent_parse(shared_data: Path, name: str) -> None:
    lines = (shared_data / name).read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Pixel;"))
    names = lines[start].split(";")
    x, y = names.index("Raman Shift"), names.index("Dark Subtracted #1")
    rows = [line.replace(",", ".").split(";") for line in lines[start + 1 :] if line]
    points = [(float(r[x]), float(r[y])) for r in rows if r[x].strip()]
    laser = next(line for line in lines if line.startswith("laser_wavelength;"))
    spectrum = read(shared_data / name)
    np.testing.assert_array_equal(np.column_stack([spectrum.axis, spectrum.intensity]), points)
    assert spectrum.acquisition.laser_nm == float(laser.split(";")[1].replace(",", "."))
    assert ("points_without_axis_dropped" in spectrum.acquisition.flags) == (len(points) < len(rows))


def test_bwtek_csv_with_commas_for_everything_equals_its_text_file(shared_data: Path) -> None:
    folder = shared_data / "charisma-ramanchada-native" / "test"
    table, text = read(folder / "AS020P frit.csv"), read(folder / "AS020P frit.txt")
    assert table == text
    assert table.acquisition.laser_nm == text.acquisition.laser_nm == 784.82


def test_rruff_infrared_equals_a_direct_parse(shared_data: Path) -> None:
    files = sorted((shared_data / "rruff-ir").glob("*__Infrared__*.txt"))
    assert len(files) == 665
    for path in files[::20]:
        lines = path.read_text("utf-8").splitlines()
        points = [tuple(map(float, line.split(","))) for line in lines if line and not line.startswith("##")]
        spectrum = read(path)
        np.testing.assert_array_equal(np.column_stack([spectrum.axis, spectrum.intensity]), points)
        assert spectrum.technique is Technique.FTIR
        assert spectrum.name == lines[0].removeprefix("##NAMES=")


def test_labspec_maps_equal_a_numpy_parse(shared_data: Path) -> None:
    path = shared_data / "pcm-asd-lowfreq-raman" / "data" / "plate1_60mgml_multiwell.txt"
    table = [line.split("\t") for line in path.read_text("latin-1").splitlines() if not line.startswith("#")]
    spectra = read_all(path)
    assert len(spectra) == 96
    np.testing.assert_array_equal(spectra[0].axis, [float(v) for v in table[0][2:]])
    for spectrum, row in zip(spectra, table[1:], strict=True):
        np.testing.assert_array_equal(spectrum.intensity, [float(v) for v in row[2:]])
        assert spectrum.acquisition.metadata["Column"] == row[0]
        assert spectrum.acquisition.metadata["Row"] == row[1]
    assert spectra[0].acquisition.resolution_cm1 == 7.4


def test_a_renishaw_map_of_three_points(shared_data: Path) -> None:
    path = shared_data / "arcadia-5-spectrometers" / "Renishaw_Qontor" / "CC-124_TAP_plate_5x_3_points.txt"
    values = np.loadtxt(path, skiprows=1)
    spectra = read_all(path)
    assert len(spectra) == 3
    np.testing.assert_array_equal(np.concatenate([s.axis[::-1] for s in spectra]), values[:, 2])
    np.testing.assert_array_equal(np.concatenate([s.intensity[::-1] for s in spectra]), values[:, 3])


def test_many_columns_equal_a_numpy_parse(shared_data: Path) -> None:
    path = shared_data / "bss-plsr" / "Xtest Raman.csv"
    values = np.loadtxt(path, delimiter=",")
    spectra = read_all(path, technique="raman")
    np.testing.assert_array_equal([s.intensity[::-1] for s in spectra], values.T[1:])
    np.testing.assert_array_equal(spectra[0].axis[::-1], values[:, 0])


def test_wide_plastics_library(shared_data: Path) -> None:
    path = shared_data / "oceanwise-primpke" / "primpke2018esm5.csv"
    rows = list(csv.reader(path.read_text("utf-8-sig").splitlines()))
    spectra = read_all(path)
    assert [s.name for s in spectra] == [r[1] for r in rows[1:]]
    np.testing.assert_array_equal(spectra[7].intensity[::-1], [float(v) for v in rows[8][3:]])


def test_kaiser_with_commas_for_everything(shared_data: Path) -> None:
    path = shared_data / "ibcp-spectra-file-examples" / "txt.Kaiser" / "test-lo-4.txt"
    # Instruments step evenly: 0.9 cm⁻¹, which only the joined reading gives.
    np.testing.assert_allclose(np.diff(read(path).axis), 0.9, atol=2e-4)


def test_the_same_measurement_in_two_forms(shared_data: Path) -> None:
    folder = shared_data / "openspecy" / "inst" / "extdata"
    table, wide = read(folder / "raman_hdpe.csv"), read(folder / "raman_hdpe_os.csv")
    np.testing.assert_array_equal(table.intensity, wide.intensity)
    np.testing.assert_allclose(table.axis, wide.axis, atol=0.5)
    # The wide form has rounded its axis and says what it is.
    assert (wide.name, wide.technique) == ("HDPE", Technique.RAMAN)
    points = json.loads((folder / "raman_hdpe.json").read_text())
    np.testing.assert_allclose(table.intensity, points["spectra"]["intensity"])


def test_txt_truth_of_spc_files_is_read_exactly(shared_data: Path) -> None:
    path = shared_data / "rohanisaac-spc" / "txt" / "4d_map.spc.txt"
    values = np.loadtxt(path)
    np.testing.assert_array_equal([s.intensity for s in read_all(path)], values.T[1:])


def test_chinese_names_and_headers(shared_data: Path) -> None:
    folder = shared_data / "xiafanzeng-rruff-raman"
    ethanol = read(folder / "ref" / "Prepare incoming data" / "乙醇.txt")
    assert (ethanol.name, ethanol.technique) == ("Ethyl Alcohol", Technique.RAMAN)
    assert ethanol.acquisition.metadata["CAS"] == "64-17-5"
    rod = read(folder / "data" / "氧化硅锌.txt")
    assert (rod.acquisition.laser_nm, rod.acquisition.power_mw, rod.acquisition.resolution_cm1) == (
        488,
        60,
        1,
    )


def test_a_wavelength_file_needs_its_laser(shared_data: Path) -> None:
    folder = (
        shared_data / "charisma-ramanchada-native" / "ramanchada" / "src" / "ramanchada" / "testdata" / "neon"
    )
    path = folder / "Neon all exp merged Wasatch.csv"
    with pytest.raises(UnreadableFileError, match="laser_nm"):
        read(path)
    # The same unit's own export gives both axes, rounded to 0.01 nm.
    own = read(folder / "Neon_Wasatch_Probe_2000msx15.csv")
    np.testing.assert_allclose(read(path, laser_nm=532.0).axis, own.axis, atol=0.5)


def test_labels_and_notes_are_refused_by_read(shared_data: Path) -> None:
    for name in ("drugcheckingbc-labels/test_site_data.csv", "enfsi-ftir/index.csv", "rruff-ir/SOURCE.txt"):
        with pytest.raises(UnsupportedContentError, match="no table of numbers"):
            read(shared_data / name)
