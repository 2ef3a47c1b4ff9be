"""``spectralid calibrate`` from files: records written, signed, checked; what is refused, with exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spectralid import Spectrum, write
from spectralid.calibration import load_calibration, load_intensity_correction
from spectralid.cli import main
from tests.calibration.simulated import POLYSTYRENE, spectrum
from tests.calibration.test_intensity_film import film, glass


@pytest.fixture(scope="module")
def standard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shown = spectrum(POLYSTYRENE, np.random.default_rng(1), shown=lambda x: x - 8.0)
    path = tmp_path_factory.mktemp("standard") / "polystyrene.jdx"
    write(shown, path)
    return path


def test_record_is_made_signed_and_checked(
    standard: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cryptography")
    key, record, picture = tmp_path / "key", tmp_path / "record.json", tmp_path / "picture.png"
    assert main(["library", "keygen", str(key)]) == 0
    make = [
        "calibrate",
        "x",
        str(standard),
        "--standard",
        "polystyrene",
        "--serial",
        "S-7",
        "--key",
        str(key),
    ]
    assert main([*make, "-o", str(record), "--plot", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "add +8.0" in out or "add +7.9" in out
    assert picture.stat().st_size > 10000
    calibration = load_calibration(record)
    assert calibration.serial == "S-7"
    assert calibration.shift_cm1 == pytest.approx(8.0, abs=0.3)
    check = ["calibrate", "x", "--check", str(record), "--public-key", f"{key}.pub"]
    assert main(check) == 0
    assert "signed with the key" in capsys.readouterr().out
    # Records are kept: no second one is written over the first.
    assert main([*make, "-o", str(record)]) == 2
    assert "--output" in capsys.readouterr().err

    other = tmp_path / "other"
    assert main(["library", "keygen", str(other)]) == 0
    assert main([*check[:-1], f"{other}.pub"]) == 4
    document = json.loads(record.read_text(encoding="utf-8"))
    value = document["signature"]["value"]
    document["signature"]["value"] = ("B" if value[0] == "A" else "A") + value[1:]
    forged = tmp_path / "forged.json"
    forged.write_text(json.dumps(document), encoding="utf-8")
    assert main(["calibrate", "x", "--check", str(forged), "--public-key", f"{key}.pub"]) == 4
    assert "does not hold" in capsys.readouterr().err
    document["calibration"]["serial"] = "S-8"
    forged.write_text(json.dumps(document), encoding="utf-8")
    assert main(["calibrate", "x", "--check", str(forged)]) == 3


def test_unsigned_record_does_not_pass_a_signature_check(standard: Path, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    key, record = tmp_path / "key", tmp_path / "record.json"
    assert main(["library", "keygen", str(key)]) == 0
    assert main(["calibrate", "x", str(standard), "--standard", "ps", "-o", str(record)]) == 0
    assert main(["calibrate", "x", "--check", str(record), "--public-key", f"{key}.pub"]) == 4
    assert main(["calibrate", "x", "--check", str(record)]) == 0


def test_json(standard: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "x", str(standard), "--standard", "polystyrene", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["standard"] == "polystyrene"
    assert printed["signed_by"] == ""


def test_intensity(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan, record = tmp_path / "glass.jdx", tmp_path / "y.json"
    write(glass(), scan)
    assert main(["calibrate", "y", str(scan), "--standard", "2241", "-o", str(record)]) == 0
    assert load_intensity_correction(record).standard == "srm-2241"
    assert main(["calibrate", "y", "--check", str(record)]) == 0
    assert main(["calibrate", "x", "--check", str(record)]) == 3  # it is no axis calibration
    assert "not the calibration of an axis" in capsys.readouterr().err


def test_film(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.jdx", tmp_path / "bad.jdx"
    write(film(width=3.0), good)
    write(film(width=3.0, offset=4.0), bad)
    given = ["--technique", "ftir_transmission"]
    assert main(["calibrate", "film", str(good), *given]) == 0
    assert main(["calibrate", "film", str(bad), *given, "--json"]) == 5
    out = capsys.readouterr().out
    assert json.loads(out[out.index("{") :])["passed"] is False


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (["x", "--standard", "polystyrene"], 2, "FILE"),
    (["x", "FILE"], 2, "--standard"),
    (["x", "FILE", "--standard", "salt"], 2, "polystyrene, acetaminophen"),
    (["x", "FILE", "--standard", "cyclohexane"], 3, "Check what was measured"),
    (["x", "absent.jdx", "--standard", "polystyrene"], 3, "absent.jdx"),
    (["x", "FILE", "--simulate", "--standard", "polystyrene"], 2, "FILE"),
    (["y", "FILE", "--standard", "2243"], 2, "srm-2241"),
])  # fmt: skip
def test_refusals(
    standard: Path, arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(standard) if a == "FILE" else a for a in arguments]
    assert main(["calibrate", *given]) == code
    assert words in capsys.readouterr().err


def test_several_spectra_in_a_file_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "two.csv"
    axis = np.arange(300.0, 400.0)
    lines = ["Raman shift / cm-1,a,b"] + [f"{x},{x % 7},{x % 5}" for x in axis]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert main(["calibrate", "x", str(file), "--technique", "raman", "--standard", "polystyrene"]) == 2
    assert "one spectrum" in capsys.readouterr().err


def test_axis_calibration_goes_before_intensity(standard: Path, tmp_path: Path) -> None:
    record, scan, made = tmp_path / "x.json", tmp_path / "glass.jdx", tmp_path / "y.json"
    assert main(["calibrate", "x", str(standard), "--standard", "polystyrene", "-o", str(record)]) == 0
    measured = glass()
    write(Spectrum(measured.axis, measured.intensity, technique="raman", unit="counts"), scan)
    both = ["calibrate", "y", str(scan), "--standard", "2241", "--calibration", str(record), "-o", str(made)]
    assert main(both) == 0
    assert load_intensity_correction(made).axis_cm1[-1] != measured.axis[-1]
