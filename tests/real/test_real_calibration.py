"""Calibration on measured standards; benchmarks/axis_calibration.py has the whole study."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spectralid import Spectrum, read
from spectralid.calibration import (
    CalibrationError,
    axis_standard,
    calibrate_axis,
    calibrate_intensity,
)

WASATCH = "wasatch-enlighten/default_matching_library"
SETS = "charisma-ramanchada2/datasets2"


def raman(shared: Path, file: str) -> Spectrum:
    return read(shared / file, technique="raman")


def test_positions_are_those_of_the_published_list(shared_data: Path) -> None:
    listed = json.loads(
        (shared_data / "wasatch-enlighten" / "ASTM-E1840-96.json").read_text(encoding="utf-8")
    )
    names = {
        "Naphthalene": "naphthalene",
        "Sulfur": "sulfur",
        "50/50 Toluene/Acetonitrile": "toluene-acetonitrile",
        "4-Acetamidophenol (Tylenol)": "acetaminophen",
        "Benzonitrile": "benzonitrile",
        "Cyclohexane": "cyclohexane",
        "Polystyrene": "polystyrene",
        "1,4 bis (2-Methylstryryl) Benzene": "bis-methylstyrylbenzene",
    }
    assert set(listed["Compounds"]) == set(names)
    for title, lines in listed["Compounds"].items():
        ours = [line.position_cm1 for line in axis_standard(names[title], "raman").lines]
        assert ours == sorted(float(position) for position in lines)


@pytest.mark.parametrize(("file", "standard", "shift", "left"), [
    # A calibrated unit stays as it is; two low-cost ones are several cm⁻¹ off; one is stretched.
    (f"{WASATCH}/acetaminophen.csv", "acetaminophen", (-1.0, 0.5), 0.8),
    (f"{WASATCH}/polystyrene.csv", "polystyrene", (-1.0, 1.0), 1.2),
    ("whenfung-raman/试剂标准品谱图/环己烷.txt", "cyclohexane", (5.0, 7.5), 0.8),
    ("xiafanzeng-rruff-raman/ref/Prepare incoming data/甲苯.txt", "toluene", (-12.0, -6.0), 2.0),
    ("ibcp-spectra-file-examples/txt.Renishaw/paracetamol.txt", "acetaminophen", (-5.0, -2.0), 0.8),
    (f"{SETS}/TOP_Ho633/Pol_HLR633_Z010_100_15sx5.txt", "polystyrene", (0.0, 3.0), 1.6),
])  # fmt: skip
def test_axis_off_by_what_it_is(
    shared_data: Path, file: str, standard: str, shift: tuple[float, float], left: float
) -> None:
    calibration = calibrate_axis(raman(shared_data, file), standard)
    assert shift[0] < calibration.shift_cm1 < shift[1]
    assert calibration.residual_sd_cm1 < left
    before = [p.before_cm1 for p in calibration.peaks if p.used]
    # Each band from the others: never clearly worse than leaving the axis alone.
    assert calibration.residual_sd_cm1 < max(1.25 * float(np.sqrt(np.mean(np.square(before)))), 0.8)


def test_low_cost_unit_calibrated_on_cyclohexane_shows_acetonitrile_where_it_is(shared_data: Path) -> None:
    folder = "whenfung-raman/试剂标准品谱图"
    calibration = calibrate_axis(raman(shared_data, f"{folder}/环己烷.txt"), "cyclohexane")
    acetonitrile = raman(shared_data, f"{folder}/乙腈.txt")
    before = calibrate_axis(acetonitrile, "acetonitrile", order=0)
    after = calibrate_axis(calibration.apply(acetonitrile), "acetonitrile", order=0)
    assert abs(before.shift_cm1) > 5
    assert abs(after.shift_cm1) < 1.96 * float(np.hypot(after.prior().shift_sd_cm1, 0.65))


@pytest.mark.parametrize(("file", "claimed"), [
    (f"{WASATCH}/toluene.csv", "polystyrene"),
    (f"{WASATCH}/polystyrene.csv", "toluene"),
    (f"{WASATCH}/acetaminophen.csv", "polystyrene"),
    (f"{WASATCH}/cyclohexane.csv", "acetaminophen"),
])  # fmt: skip
def test_the_wrong_standard_is_refused(shared_data: Path, file: str, claimed: str) -> None:
    with pytest.raises(CalibrationError, match="Check what was measured"):
        calibrate_axis(raman(shared_data, file), claimed)


def test_intensity_correction_brings_two_instruments_together(shared_data: Path) -> None:
    """Polystyrene at 785 nm on two makes: bands near 1600 and 620 cm⁻¹ relative to 1001 cm⁻¹."""

    def ratio(glass: str, sample: str, *, corrected: bool) -> float:
        spectrum = raman(shared_data, f"{SETS}/{sample}")
        if corrected:
            spectrum = calibrate_intensity(raman(shared_data, f"{SETS}/{glass}"), "srm-2241").apply(spectrum)

        def height(at: float) -> float:
            near = np.abs(spectrum.axis - at) < 8
            around = np.abs(spectrum.axis - at) < 25
            return float(np.nanmax(spectrum.intensity[near]) - np.nanmin(spectrum.intensity[around]))

        return height(1602.3) / height(620.9)

    one = ("ICV_BW785/NISTSRM2241_BW785_100x_25sx5.txt", "ICV_BW785/PST02_iRPlus785_Z100_100_9000ms.txt")
    two = ("FMNT-M_Ho785/NIST785_Lens_80000x5_2.txt", "FMNT-M_Ho785/PST10_iR785_OP01_40000msx4.txt")
    apart = [
        abs(np.log(ratio(*one, corrected=corrected) / ratio(*two, corrected=corrected)))
        for corrected in (False, True)
    ]
    assert apart[1] < apart[0]
