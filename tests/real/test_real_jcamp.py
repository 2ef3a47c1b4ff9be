"""JCAMP-DX against real files: what is read, what is refused, and whether the numbers are right."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from spectralid.errors import UnreadableFileError, UnsupportedContentError
from spectralid.io._jcamp_blocks import Block, clean_bytes, parse_blocks
from spectralid.io._jcamp_codec import decode_ordinates
from spectralid.io._registry import ReadOptions, Source
from spectralid.io.jcamp import FORMAT
from spectralid.spectrum import IntensityUnit, Spectrum, Technique

# Collection: files with a JCAMP-DX label, files read, spectra in them, and what is refused.
COLLECTIONS = {
    "charisma-ramanchada-native": (2, 2, 2, {}),
    "cheminfo-ir": (3, 3, 3, {}),
    "cheminfo-jcamp-compression": (8, 0, 0, {"NMR": 4, "neither DATA TYPE nor XUNITS": 4}),
    "cheminfo-raman": (1, 1, 1, {}),
    "ibcp-spectra-file-examples": (44, 30, 67, {"NMR": 10, "mass spectrometry": 4}),
    "jcamp-readers": (
        145,
        87,
        92,
        {"NMR": 30, "mass spectrometry": 13, "ultraviolet/visible": 3, "ion mobility": 3,
         "signal over time": 2, "SIMPLE GRAPH": 2, "chromatography": 1, "Simulation": 1,
         "pH TITRATION": 1, "electron spin": 1, "neutron": 1},
    ),
    "openspecy": (1, 1, 1, {}),
    "ssm-jdx": (3, 3, 3, {}),
    "stackir-jcamp": (72, 72, 72, {}),
}  # fmt: skip


def files(folder: Path) -> list[Path]:
    """Every file that says it is JCAMP-DX, whatever its name."""
    label = re.compile(rb"(?m)^[ \t]*##TITLE ?=")
    return sorted(p for p in folder.rglob("*") if p.is_file() and label.search(clean_bytes(p.read_bytes())))


def read_all(path: Path) -> list[Spectrum]:
    return FORMAT.read(Source(path.name, path.read_bytes()), ReadOptions())


def read(path: Path) -> Spectrum:
    (spectrum,) = read_all(path)
    return spectrum


@pytest.fixture(scope="module")
def readable(shared_data) -> list[tuple[Path, list[Spectrum]]]:
    found = []
    for collection in COLLECTIONS:
        for path in files(shared_data / collection):
            try:
                found.append((path, read_all(path)))
            except UnsupportedContentError:
                continue
    return found


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_every_file_is_read_or_refused_with_a_reason(shared_data, collection):
    paths = files(shared_data / collection)
    expected_files, expected_read, expected_spectra, reasons = COLLECTIONS[collection]
    spectra, refused = [], Counter()
    for path in paths:
        assert FORMAT.sniff(Source(path.name, path.read_bytes()[: 64 * 1024])) > 0.9
        try:
            spectra.append(read_all(path))
        except UnsupportedContentError as error:
            refused[next((reason for reason in reasons if reason in str(error)), str(error))] += 1
    assert len(paths) == expected_files
    assert len(spectra) == expected_read
    assert sum(map(len, spectra)) == expected_spectra
    assert refused == reasons


def test_every_spectrum_has_the_points_and_extremes_its_header_states(readable):
    """NPOINTS exactly; the ends of the axis; MAXY and MINY, unless the reader says they disagree."""
    compared = Counter()
    for path, spectra in readable:
        blocks = [b for b in parse_blocks(clean_bytes(path.read_bytes())) if not b.is_link and b.tables]
        assert len(blocks) == len(spectra), path
        for block, spectrum in zip(blocks, spectra, strict=True):
            if (points := block.number("NPOINTS")) is not None:
                told = f"NPOINTS is {points:.0f}" in spectrum.acquisition.metadata.get("SPECTRALID NOTES", "")
                assert (spectrum.n_points == points) is not told, path
                compared["NPOINTS"] += not told
            compared.update(compare_extremes(block, spectrum, path))
    # Almost every file states them, so that the comparison is not empty.
    assert compared["NPOINTS"] >= 235
    assert compared["axis"] >= 230
    assert compared["ordinate"] >= 280
    # MAXY and MINY of a PerkinElmer converter that forgot to divide by 100 (6 × 2), MAXY of adamantane.
    assert compared["told"] == 13


def compare_extremes(block: Block, spectrum: Spectrum, path: Path) -> Counter:
    compared = Counter()
    first, last = block.number("FIRSTX"), block.number("LASTX")
    ends = None if first is None or last is None else sorted((first, last))
    if ends is not None and not spectrum.history:
        np.testing.assert_allclose(spectrum.range, ends, rtol=2e-6, err_msg=str(path))
        compared["axis"] += 1
    told = spectrum.acquisition.metadata.get("SPECTRALID NOTES", "")
    for label, found in (("MAXY", np.nanmax(spectrum.intensity)), ("MINY", np.nanmin(spectrum.intensity))):
        stated = block.number(label)
        if stated is None:
            continue
        if f"{label} is" in told:
            compared["told"] += 1
            continue
        assert abs(stated - found) <= 0.01 * np.ptp(spectrum.intensity), (path, label, stated, found)
        compared["ordinate"] += 1
    return compared


def test_agreement_with_an_independent_reader(readable, capsys):
    """The package `jcamp` where it gets through a file; where it does not, NPOINTS speaks for ours."""
    jcamp = pytest.importorskip("jcamp")
    agreed, unreadable = 0, []
    for path, spectra in readable:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                other = jcamp.readfile(str(path))
        except Exception:
            unreadable.append(path.name)
            continue
        blocks = other.get("children") or [other]
        for spectrum, block in zip(spectra, blocks, strict=False):
            x, y = np.asarray(block["x"], float), np.asarray(block["y"], float)
            if len(blocks) != len(spectra) or not x.size == y.size == spectrum.n_points:
                unreadable.append(path.name)
                break
            x = 1e7 / x if spectrum.history else x
            order = np.argsort(x)
            np.testing.assert_allclose(spectrum.axis, x[order], rtol=1e-9, err_msg=str(path))
            np.testing.assert_allclose(
                spectrum.intensity, y[order], rtol=1e-9, atol=1e-12 * np.ptp(y), err_msg=str(path)
            )
            agreed += 1
    capsys.readouterr()  # the package prints
    assert agreed >= 190
    # Semicolons between pairs, two blocks side by side, comments among the data, repeat counts it loses.
    assert set(unreadable) == {
        "transmittance_percent.jdx", "2934luana-nolinkblock.JDX", "2934luana.JDX", "testjose.dx",
        "BRUKER2.JCM", "PE1800.DX", "dupinc2.jdx", "fixinc2.jdx", "jtpolys.jdx", "sqzdupd1.jdx", "xyinc1.jdx",
        "raman_auc.jdx",
    }  # fmt: skip


@pytest.mark.parametrize("size", ["compression", "compression-small"])
def test_one_table_in_every_form_decodes_the_same(shared_data, size):
    """The same NMR spectrum as AFFN, PAC, SQZ and DIFDUP: the codec below the refusal."""
    tables = []
    for form in ("fix", "packed", "squeezed", "difdup"):
        data = clean_bytes(
            (shared_data / "cheminfo-jcamp-compression" / size / f"jcamp-{form}.dx").read_bytes()
        )
        (table,) = next(block.tables for block in parse_blocks(data) if block.tables)
        tables.append(decode_ordinates(data, table.start, table.end, table.line + 1).values)
    # The small files are the first two lines of each form, so that they share their beginning only.
    shared = min(table.size for table in tables)
    assert shared == (16384 if size == "compression" else 8)
    for other in tables[1:]:
        np.testing.assert_array_equal(other[:shared], tables[0][:shared])
    assert size == "compression-small" or {table.size for table in tables} == {16384}


@pytest.mark.parametrize(
    ("fixed", "packed"),
    [("jtpolys.jdx", "jtpolysd.jdx"), ("xyinc1.jdx", "dupinc2.jdx")],
)
def test_pairs_of_files_of_one_spectrum(shared_data, fixed, packed):
    """Polystyrene with and without compression; indene point by point and interpolated to another step."""
    folder = shared_data / "jcamp-readers" / "Robert_J_Lancashire_test_data"
    one, two = read(folder / fixed), read(folder / packed)
    scale = 100 if two.unit is IntensityUnit.PERCENT_TRANSMITTANCE else 1
    # Shapes may differ by the printed precision of YFACTOR and by the interpolation.
    difference = np.interp(one.axis, two.axis, two.intensity) / scale - one.intensity
    assert np.abs(difference).max() < 0.02


def test_indene_in_absorbance_and_in_transmittance(shared_data):
    folder = shared_data / "jcamp-readers" / "Robert_J_Lancashire_test_data"
    absorbance, transmittance = read(folder / "fixinc2.jdx"), read(folder / "xyinc1.jdx")
    assert (absorbance.unit, transmittance.unit) == (IntensityUnit.ABSORBANCE, IntensityUnit.TRANSMITTANCE)
    np.testing.assert_array_equal(absorbance.axis, transmittance.axis)
    # Above 1 % the printed four digits of a transmittance give the absorbance to 0.005.
    clear = transmittance.intensity > 0.01
    np.testing.assert_allclose(
        absorbance.intensity[clear], -np.log10(transmittance.intensity[clear]), atol=0.005
    )


def test_the_three_ordinates_of_cheminfo(shared_data):
    folder = shared_data / "cheminfo-ir"
    units = {
        name: read(folder / f"{name}.jdx").unit
        for name in ("absorbance", "transmittance", "transmittance_percent")
    }
    assert units == {
        "absorbance": IntensityUnit.ABSORBANCE,
        "transmittance": IntensityUnit.TRANSMITTANCE,
        "transmittance_percent": IntensityUnit.PERCENT_TRANSMITTANCE,
    }


def test_copies_of_one_nist_spectrum_are_identical(shared_data):
    copies = [
        read(shared_data / "cheminfo-ir" / "transmittance.jdx"),
        read(shared_data / "stackir-jcamp" / "jdxFiles" / "100-41-4-IR.jdx"),
        read(shared_data / "stackir-jcamp" / "sample-spectra" / "added" / "100-41-4-IR.jdx"),
    ]
    assert len({s.sha256 for s in copies}) == 1
    assert copies[0].technique is Technique.FTIR_TRANSMISSION
    assert copies[0].acquisition.metadata["CAS REGISTRY NO"] == "100-41-4"
    assert copies[0].acquisition.metadata["PATH LENGTH"] == "0.0024 CM"


def absorbance_slope(spectrum: Spectrum, grid: np.ndarray) -> np.ndarray:
    values = spectrum.intensity
    if spectrum.unit is not IntensityUnit.ABSORBANCE:
        ratio = values / (100 if spectrum.unit is IntensityUnit.PERCENT_TRANSMITTANCE else 1)
        values = -np.log10(np.clip(ratio, 0.01, None))
    slope = np.gradient(np.interp(grid, spectrum.axis, values))
    return slope / np.linalg.norm(slope)


def test_measured_ethyl_acetate_is_closest_to_nists_ethyl_acetate(shared_data):
    folder = shared_data / "stackir-jcamp" / "sample-spectra" / "added"
    grid = np.arange(850.0, 1900.0, 2.0)
    measured = absorbance_slope(read(folder / "Ethyl Acetate 141-78-6.jdx"), grid)
    scores = {p.name: float(absorbance_slope(read(p), grid) @ measured) for p in folder.glob("*-IR.jdx")}
    assert len(scores) == 9
    assert max(scores, key=scores.__getitem__) == "141-78-6-IR.jdx"
    # A diamond ATR against a solution digitized from paper in the 1960s; every other substance is far.
    assert scores.pop("141-78-6-IR.jdx") > 0.45
    assert max(scores.values()) < 0.25


@pytest.mark.parametrize(
    ("name", "bands"),
    [
        # C=O, CH3 and C–C–C of liquid acetone; C=O and C=C of caffeine (NIST WebBook, SDBS).
        ("Acetone 67-64-1.jdx", (1715, 1361, 1221)),
        ("Caffeine_edited.jdx", (1696, 1650, 1236, 972)),
    ],
)
def test_bands_lie_where_the_substance_has_them(shared_data, name, bands):
    spectrum = read(shared_data / "stackir-jcamp" / "sample-spectra" / "added" / name)
    for band in bands:
        window = np.abs(spectrum.axis - band) < 15
        assert abs(spectrum.axis[window][np.argmin(spectrum.intensity[window])] - band) < 4


def test_raman_bands_of_adamantane(shared_data):
    # Ring breathing near 757 and CC stretch near 972 cm⁻¹ (Filik et al., Spectrochim. Acta A 64 (2006) 681).
    spectrum = read(shared_data / "cheminfo-raman" / "src" / "__tests__" / "data" / "adamantan.jdx")
    for band in (757, 972):
        window = np.abs(spectrum.axis - band) < 20
        assert abs(spectrum.axis[window][np.argmax(spectrum.intensity[window])] - band) < 4


def test_the_excitation_a_file_mentions_is_found(shared_data):
    facts = read(shared_data / "charisma-ramanchada-native" / "test" / "saffron.jdx").acquisition
    assert facts.laser_nm == 514.5
    assert facts.time == "1998-05-15T08:02:14"


@pytest.mark.parametrize("name", ["raman_auc", "raman_soddyite"])
def test_jcamp_and_its_text_twin_agree(shared_data, name):
    spectrum = read(shared_data / "ssm-jdx" / "jcamp" / f"{name}.jdx")
    lines = (shared_data / "ssm-jdx" / "rruff" / f"{name}.rruff").read_text().splitlines()
    rows = [re.split(r"[,\t]", line) for line in lines if re.match(r"\s*[-\d.]+[,\t]", line)]
    twin = np.array(sorted([float(x), float(y)] for x, y in rows))
    np.testing.assert_allclose(spectrum.axis, twin[:, 0], atol=1e-3)
    np.testing.assert_allclose(spectrum.intensity, twin[:, 1], atol=1e-3)


def test_real_spectra_survive_writing(readable):
    assert FORMAT.write is not None
    # Every form and every sender is among every fifth; all of them take minutes on a slow machine.
    for path, spectra in readable[::5]:
        back = FORMAT.read(Source("b", FORMAT.write(spectra)), ReadOptions())
        assert [s.sha256 for s in back] == [s.sha256 for s in spectra], path
        assert [s.acquisition for s in back] == [s.acquisition for s in spectra], path


@pytest.mark.parametrize(
    "name",
    ["jcamp-readers/raman_spectra/tannic_acid.jdx", "cheminfo-ir/absorbance.jdx",
     "jcamp-readers/jcamp-dx.org_official_test_data/BRUKER1.JCM", "stackir-jcamp/jdxFiles/100-41-4-IR.jdx"],
)  # fmt: skip
def test_a_real_file_cut_anywhere_is_refused(shared_data, name):
    data = (shared_data / name).read_bytes()
    for part in np.linspace(0.01, 0.99, 25):
        with pytest.raises((UnreadableFileError, UnsupportedContentError)):
            FORMAT.read(Source("cut", data[: int(part * len(data))]), ReadOptions())
