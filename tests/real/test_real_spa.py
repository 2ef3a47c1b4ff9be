"""Real OMNIC files against physics, against each other, and against what their own texts say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from spectralid.errors import FileError, UnsupportedContentError
from spectralid.io import ReadOptions, Source
from spectralid.io.spa import FORMAT
from spectralid.spectrum import IntensityUnit, Spectrum, Technique

# Polystyrene film: bands of the certified standard (NIST SRM 1921), cm⁻¹.
POLYSTYRENE = [1028.3, 1154.5, 1583.0, 1601.2, 3060.0]


def read_all(path: Path) -> list[Spectrum]:
    return FORMAT.read(Source(path.name, path.read_bytes(), path), ReadOptions())


def read(path: Path) -> Spectrum:
    (spectrum,) = read_all(path)
    return spectrum


def band(spectrum: Spectrum, near: float, *, upward: bool, within: float = 6.0) -> float:
    chosen = np.flatnonzero(np.abs(spectrum.axis - near) <= within)
    y = spectrum.intensity if upward else -spectrum.intensity
    top = chosen[np.argmax(y[chosen])]
    (a, b, _) = np.polyfit(spectrum.axis[top - 1 : top + 2] - near, y[top - 1 : top + 2], 2)
    return float(near - b / (2 * a))


@pytest.mark.parametrize("known", POLYSTYRENE)
def test_polystyrene_film(shared_data: Path, known: float) -> None:
    spectrum = read(shared_data / "spa-fixtures" / "absorb.spa")
    assert spectrum.technique is Technique.FTIR_TRANSMISSION
    assert spectrum.unit is IntensityUnit.ABSORBANCE
    # 4 cm⁻¹ resolution; the standard's positions hold to 1 cm⁻¹ there.
    assert band(spectrum, known, upward=True) == pytest.approx(known, abs=1.0)


def test_polycarbonate_by_atr_and_in_transmission(shared_data: Path) -> None:
    atr = read(shared_data / "spa-fixtures" / "advatrcor.SPA")
    film = read(shared_data / "spa-fixtures" / "advatrref.SPA")
    assert (atr.technique, film.technique) == (Technique.FTIR_ATR, Technique.FTIR_TRANSMISSION)
    # Carbonyl stretch; ATR shifts strong bands downwards, as the theory of the dispersing index says.
    carbonyl = [band(s, 1773.0, upward=True, within=15) for s in (atr, film)]
    assert carbonyl[1] == pytest.approx(1775, abs=4)
    assert 0 < carbonyl[1] - carbonyl[0] < 8


def test_analgesic_tablet_in_reflection(shared_data: Path) -> None:
    spectrum = read(shared_data / "spa-fixtures" / "Acetominophen Caffeine Acetylsalicylic acid.SPA")
    assert spectrum.unit is IntensityUnit.REFLECTANCE
    assert 0.5 < spectrum.intensity.min() < spectrum.intensity.max() < 1.05
    # Acetaminophen: amide I and C–O stretch; acetylsalicylic acid: ester carbonyl and ring.
    for known in (1650.0, 1257.0, 1750.0, 1483.0):
        assert band(spectrum, known, upward=False, within=12) == pytest.approx(known, abs=4)


def test_rutile_by_raman(shared_data: Path) -> None:
    spectrum = read(shared_data / "charisma-ramanchada-native" / "test" / "Titanium dioxide powder.SPA")
    assert spectrum.technique is Technique.RAMAN
    assert spectrum.acquisition.laser_nm == pytest.approx(532.16, abs=0.1)
    # B1g, E_g and A1g of rutile and its broad second-order band.
    for known in (143.0, 447.0, 612.0, 235.0):
        assert band(spectrum, known, upward=True) == pytest.approx(known, abs=5)


def test_absorbance_and_transmittance_of_one_measurement_agree(shared_data: Path) -> None:
    folder = shared_data / "spa-fixtures" / "reference library_1"
    absorbance, percent = read(folder / "PAR1629-31-SE.SPA"), read(folder / "PAR1631-SE.SPA")
    assert absorbance.acquisition.time == percent.acquisition.time
    assert (absorbance.unit, percent.unit) == (
        IntensityUnit.ABSORBANCE,
        IntensityUnit.PERCENT_TRANSMITTANCE,
    )
    np.testing.assert_array_equal(absorbance.axis, percent.axis)
    np.testing.assert_allclose(-np.log10(percent.intensity / 100), absorbance.intensity, atol=2e-3)


def test_time_lies_shortly_after_the_background_the_history_names(shared_data: Path) -> None:
    acquisition = read(shared_data / "spa-fixtures" / "0min-1-97C.SPA").acquisition
    assert "Thu Feb 23 16:35:07 2017 (GMT-08:00)" in acquisition.metadata["history"]
    assert acquisition.time == "2017-02-24T00:41:50+00:00"
    assert (acquisition.resolution_cm1, acquisition.serial) == (0.5, "AKX1300131")


def test_group_file(shared_data: Path) -> None:
    spectra = read_all(shared_data / "spectrochempy-data" / "wodger.spg")
    assert [s.name[:10] for s in spectra] == ["vz0470.spa", "vz0468.spa"]
    # The titles name the local start of the measurement, the file its end in UTC.
    for spectrum in spectra:
        hour, minute = re.findall(r"(\d\d):(\d\d):", spectrum.name)[0]
        taken = spectrum.acquisition.time
        later = int(taken[11:13]) * 60 + int(taken[14:16]) + 120 - int(hour) * 60 - int(minute)
        assert 0 <= later < 10


def test_every_file_is_read_except_the_interferogram(shared_data: Path) -> None:
    paths = [p for p in sorted(shared_data.rglob("*")) if p.suffix.lower() in (".spa", ".spg")]
    assert len(paths) >= 59
    refused = []
    for path in paths:
        try:
            spectra = read_all(path)
        except UnsupportedContentError as error:
            refused.append((path.name, "interferogram" in str(error)))
        else:
            assert all(s.n_points > 1000 and np.isfinite(s.intensity).all() for s in spectra)
    assert refused == [("interfero.SPA", True)]


def test_units_agree_with_the_history(shared_data: Path) -> None:
    """OMNIC writes the unit of collection into the history; files converted later are left out."""
    said = {
        "%Transmittance": IntensityUnit.PERCENT_TRANSMITTANCE,
        "Absorbance": IntensityUnit.ABSORBANCE,
        "%Reflectance": IntensityUnit.REFLECTANCE,
    }
    checked = 0
    for path in shared_data.rglob("*"):
        if path.suffix.lower() != ".spa" or path.name == "interfero.SPA":
            continue
        spectrum = read(path)
        history = spectrum.acquisition.metadata.get("history", "")
        found = re.search(r"Final format:\s*(\S+)", history)
        if found and found[1] in said and "onverted to" not in history:
            assert spectrum.unit is said[found[1]], path.name
            checked += 1
    assert checked > 25


@pytest.mark.parametrize("name", ["absorb.spa", "atrcor.spa", "Cyclohexane Contaminated - Low.SPA"])
def test_real_files_with_damaged_bytes_raise_file_errors_only(shared_data: Path, name: str) -> None:
    whole = (shared_data / "spa-fixtures" / name).read_bytes()
    rng = np.random.default_rng(21)
    for _ in range(100):
        data = bytearray(whole)
        for at in rng.integers(18, 720, 4):
            data[at] = rng.integers(256)
        cut = int(rng.integers(18, len(whole))) if rng.random() < 0.5 else len(whole)
        with np.errstate(all="raise"):
            try:
                spectra = FORMAT.read(Source(name, bytes(data[:cut])), ReadOptions())
            except FileError:
                continue
        assert spectra
