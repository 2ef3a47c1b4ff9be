"""The command line: what it prints, what it writes, and its exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from spectralid import LibraryBuilder, Spectrum, open_library, read, write
from spectralid.cli import main
from spectralid.cli._exit import Exit
from spectralid.identify import Identifier
from spectralid.library import Compound, Fitness, Tier
from spectralid.library.schema import common_grid

AXIS = np.arange(200.0, 2000.0, 2.0)
BANDS = {
    "aspirin": (320, 550, 750, 1045, 1190, 1606, 1750),
    "benzene": (606, 992, 1178, 1585),
    "ethanol": (434, 884, 1052, 1096, 1276, 1454),
    "quartz": (206, 265, 355, 464, 808, 1160),
}


def _bands(name: str, noise: float, seed: int = 1) -> Spectrum:
    """Gaussian bands on a sloping background, made without the package's own band shapes."""
    rng = np.random.default_rng(seed)
    heights = np.linspace(1.0, 0.4, len(BANDS[name]))
    y = sum(h * np.exp(-0.5 * ((AXIS - p) / 5) ** 2) for h, p in zip(heights, BANDS[name], strict=True))
    y = y + 0.3 + 2e-4 * AXIS + rng.normal(0, noise, AXIS.size)
    return Spectrum(AXIS, y, "raman", name=name)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    builder = LibraryBuilder("test")
    for name in BANDS:
        builder.add(_bands(name, 0.002), Compound(name, name.title()), tier=Tier.MEASURED, licence="CC0-1.0")
    path = tmp_path / "test.h5"
    builder.write(path)
    return path


@pytest.fixture
def benzene(tmp_path: Path) -> Path:
    path = tmp_path / "unknown.csv"
    write(_bands("benzene", 0.01, seed=2), path)
    return path


def test_identify_names_the_substance_as_an_officer_would_read_it(library, benzene, capsys) -> None:
    assert main(["identify", str(benzene), "--library", str(library)]) == Exit.IDENTIFIED
    out = capsys.readouterr().out
    assert "Benzene" in out
    assert "PRESUMPTIVE" in out.upper()
    assert max(map(len, out.splitlines())) <= 120


def test_identify_json_is_complete_and_strict(library, benzene, capsys) -> None:
    assert main(["identify", str(benzene), "--library", str(library), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (result,) = document["results"]
    assert document["presumptive"] is True
    assert document["unreadable"] == []
    assert result["file"] == str(benzene)
    assert result["verdict"]["kind"] == "identified"
    assert result["identification"]["candidates"][0]["compound_slug"] == "benzene"
    assert result["identification"]["spectrum_sha256"] == read(benzene).sha256


def test_a_bad_file_is_reported_and_the_batch_goes_on(library, benzene, tmp_path, capsys) -> None:
    empty, garbage = tmp_path / "empty.csv", tmp_path / "garbage.spc"
    empty.write_bytes(b"")
    garbage.write_bytes(bytes(range(256)) * 20)
    files = [str(empty), str(benzene), str(garbage), str(tmp_path / "absent.csv"), str(benzene)]
    assert main(["identify", *files, "--library", str(library)]) == Exit.UNREADABLE
    captured = capsys.readouterr()
    assert captured.out.count(": identified – Benzene (score 0.99") == 2
    complaints = captured.err.splitlines()
    assert len(complaints) == 3
    for complaint, name in zip(complaints, (empty, garbage, tmp_path / "absent.csv"), strict=True):
        assert complaint.startswith(f"spectralid: {name}")
    assert "Traceback" not in captured.err


def test_a_folder_in_processes_gives_what_one_process_gives(library, benzene, tmp_path, capsys) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for number, name in enumerate(("ethanol", "aspirin", "benzene", "quartz")):
        write(_bands(name, 0.01, seed=number), folder / f"{number}-{name}.csv")
    (folder / "1b-broken.csv").write_bytes(b"")
    (folder / ".hidden.csv").write_bytes(b"")
    arguments = ["identify", str(folder), str(benzene), "--library", str(library)]
    assert main(arguments) == Exit.UNREADABLE
    serial = capsys.readouterr()
    assert main([*arguments, "--jobs", "2"]) == Exit.UNREADABLE
    assert capsys.readouterr() == serial
    shown = [line.split(":")[0].rsplit("/", 1)[-1] for line in serial.out.splitlines()]
    assert shown == ["0-ethanol.csv", "1-aspirin.csv", "2-benzene.csv", "3-quartz.csv", "unknown.csv"]
    assert len(serial.err.splitlines()) == 1
    assert main([*arguments, "--jobs", "0"]) == Exit.USAGE
    capsys.readouterr()


def test_the_scene_is_recorded(library, benzene, capsys) -> None:
    facts = ["--context", "declared=flour", "--context", "instrument_class=bench"]
    assert main(["identify", str(benzene), "--library", str(library), "--json", *facts]) == 0
    (record,) = json.loads(capsys.readouterr().out)["results"]
    assert record["identification"]["context"] == {"declared": "flour", "instrument_class": "bench"}
    with pytest.raises(SystemExit) as stopped:
        main(["identify", str(benzene), "--context", "flour"])
    assert stopped.value.code == Exit.USAGE
    assert "NAME=VALUE" in capsys.readouterr().err


def test_the_chemist_sees_every_number(library, benzene, capsys) -> None:
    assert main(["identify", str(benzene), "--library", str(library), "--verbose"]) == 0
    out = capsys.readouterr().out
    assert "For a chemist, every number behind it:" in out
    assert "Log odds against nothing in the library" in out
    assert read(benzene).sha256 in out


def test_identify_saves_a_picture_per_spectrum(library, benzene, tmp_path, capsys) -> None:
    folder = tmp_path / "pictures"
    assert main(["identify", str(benzene), "-l", str(library), "--figures", str(folder)]) == 0
    (picture,) = folder.iterdir()
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stem.startswith("unknown-1-")


def test_identify_reads_standard_input(library, benzene, capsys, monkeypatch) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO(benzene.read_bytes()))
    monkeypatch.setattr("sys.stdin", stdin)
    assert main(["identify", "-", "--library", str(library)]) == 0
    assert "Benzene" in capsys.readouterr().out


def test_an_unknown_substance_is_not_named(library, tmp_path, capsys) -> None:
    rng = np.random.default_rng(3)
    y = sum(np.exp(-0.5 * ((AXIS - p) / 5) ** 2) for p in (250, 410, 690, 930, 1330, 1510, 1880))
    path = tmp_path / "unknown.csv"
    write(Spectrum(AXIS, y + rng.normal(0, 0.01, AXIS.size), "raman"), path)
    assert main(["identify", str(path), "--library", str(library), "--json"]) in (
        Exit.NO_MATCH,
        Exit.INCONCLUSIVE,
    )
    assert json.loads(capsys.readouterr().out)["results"][0]["verdict"]["escalate"] is True


def test_a_batch_ends_with_the_highest_verdict_code(library, benzene, tmp_path, capsys) -> None:
    noise = tmp_path / "noise.csv"
    write(Spectrum(AXIS, np.random.default_rng(4).normal(5, 1, AXIS.size), "raman"), noise)
    for files in ([benzene, noise], [noise, benzene]):
        arguments = ["identify", *map(str, files), "--library", str(library)]
        assert main(arguments) == Exit.POOR_SIGNAL
    capsys.readouterr()


def test_noise_is_poor_signal(library, tmp_path, capsys) -> None:
    path = tmp_path / "noise.csv"
    write(Spectrum(AXIS, np.random.default_rng(4).normal(5, 1, AXIS.size), "raman"), path)
    assert main(["identify", str(path), "--library", str(library)]) == Exit.POOR_SIGNAL
    capsys.readouterr()


def test_wrong_technique_is_one_sentence(library, tmp_path, capsys) -> None:
    path = tmp_path / "infrared.csv"
    write(_bands("benzene", 0.01).replace(technique="ftir_atr", unit="absorbance"), path)
    assert main(["identify", str(path), "--library", str(library)]) == Exit.UNREADABLE
    (complaint,) = capsys.readouterr().err.splitlines()
    assert "is infrared, but the library 'test' holds Raman only" in complaint


def test_a_damaged_library_has_its_own_exit_code(benzene, tmp_path, capsys) -> None:
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    assert main(["identify", str(benzene), "--library", str(broken)]) == Exit.LIBRARY
    (complaint,) = capsys.readouterr().err.splitlines()
    assert str(broken) in complaint


@pytest.mark.parametrize("target", ["jcamp-dx", "text", "hdf5"])
def test_convert_keeps_the_identity(benzene, tmp_path, target, capsys) -> None:
    output = tmp_path / "out" / "x.any"
    output.parent.mkdir()
    assert main(["convert", str(benzene), "--to", target, "-o", str(output)]) == 0
    assert read(output).sha256 == read(benzene).sha256


def test_convert_never_overwrites_unasked(benzene, tmp_path, capsys) -> None:
    folder = tmp_path / "out"
    arguments = ["convert", *[str(benzene)] * 3, "--to", "jcamp-dx", "-o", str(folder)]
    assert main(arguments) == 0
    assert len(list(folder.iterdir())) == 3  # inputs of one name do not overwrite each other
    before = {p: p.read_bytes() for p in folder.iterdir()}
    assert main(arguments) == Exit.USAGE
    assert {p: p.read_bytes() for p in folder.iterdir()} == before
    assert main([*arguments, "--force"]) == 0


def test_info_describes_without_judging(benzene, capsys) -> None:
    assert main(["info", str(benzene), "--json"]) == 0
    (about,) = json.loads(capsys.readouterr().out)["spectra"]
    assert about["technique"] == "raman"
    assert about["points"] == AXIS.size
    assert about["range_cm1"] == [200.0, 1998.0]
    assert main(["info", str(benzene)]) == 0
    assert about["sha256"] in capsys.readouterr().out


def test_plot_writes_a_picture(benzene, tmp_path) -> None:
    picture = tmp_path / "x.png"
    assert main(["plot", str(benzene), "--baseline", "-o", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["plot", str(benzene), "-o", str(tmp_path / "x.doc")]) == Exit.USAGE
    drawn = picture.read_bytes()
    assert main(["plot", str(benzene), "-o", str(picture)]) == Exit.USAGE
    assert picture.read_bytes() == drawn
    assert main(["plot", str(benzene), "-o", str(picture), "--force"]) == 0


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["identify"], ["convert", "x"], ["--nonsense"]])
def test_wrong_usage_exits_with_2(arguments, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == Exit.USAGE
    assert "usage: spectralid" in capsys.readouterr().err


def test_help_documents_every_exit_code(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for code in Exit:
        assert f" {code.value} {code.name.lower().split('_')[0]}" in shown


def test_a_defect_ends_in_a_sentence_and_not_in_a_traceback(benzene, capsys, monkeypatch) -> None:
    def defect(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("spectralid.io.read_all", defect)
    assert main(["info", str(benzene)]) == Exit.INTERNAL
    (complaint,) = capsys.readouterr().err.splitlines()
    assert "ZeroDivisionError" in complaint
    assert "SPECTRALID_DEBUG" in complaint
    monkeypatch.setenv("SPECTRALID_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["info", str(benzene)])


def test_a_library_with_a_damaged_matrix_names_nothing(library, benzene, capsys) -> None:
    with open_library(library) as intact:
        row = np.array(intact.matrix("raman")[1])
    data = library.read_bytes()
    at = data.index(row.tobytes())
    library.write_bytes(data[:at] + row[::-1].tobytes() + data[at + row.nbytes :])
    assert main(["identify", str(benzene), "--library", str(library)]) == Exit.LIBRARY
    assert "checksum" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_narrow_code_page_costs_no_result(library, benzene, encoding) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from spectralid.cli import main; sys.exit(main())",
            "identify",
            str(benzene),
            "--library",
            str(library),
        ],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert done.returncode == Exit.IDENTIFIED, done.stderr
    assert b"Benzene" in done.stdout


@pytest.mark.parametrize("wrong", [["--top", "1"], ["--laser-nm", "-5"], ["--format", "zzz"]])
def test_a_wrong_option_is_wrong_usage(library, benzene, wrong, capsys) -> None:
    assert main(["identify", str(benzene), "--library", str(library), *wrong]) == Exit.USAGE
    capsys.readouterr()


def test_a_scan_finds_bad_targets_before_it_measures(tmp_path, capsys) -> None:
    there = tmp_path / "measured.csv"
    there.write_text("keep me")
    for wrong in (["--save", "a.bmp"], ["--save", str(tmp_path / "no" / "a.png")], ["--out", str(there)]):
        assert main(["scan", "--simulate", *wrong]) == Exit.USAGE
    assert there.read_text() == "keep me"
    assert "Simulated" not in capsys.readouterr().err


@pytest.fixture
def tiered(tmp_path: Path) -> Path:
    """A library with a measured and computed references, and how well the computed ones do."""
    grid = common_grid("raman")
    builder = LibraryBuilder("tiered")
    for name in ("aspirin", "ethanol"):
        builder.add(_bands(name, 0.002), Compound(name, name.title()), tier=Tier.MEASURED)
    for name in BANDS:
        values = sum(np.exp(-0.5 * ((grid - p - 7) / 15) ** 2) for p in BANDS[name])
        values = (values / values.max()).astype(np.float16)
        spectrum = Spectrum(grid, values, "raman")
        builder.add(spectrum, Compound(name, name.title()), tier=Tier.COMPUTED, form="neutral molecule")
    builder.add_fitness(
        Fitness(
            Tier.COMPUTED, "raman", "all", 91, 66, 853, (0.41, 0.28, 0.53), (0.59, 0.47, 0.71),
            (0.68, 0.56, 0.78), (3.0, 1.0, 6.0), "cross-validated by compound", "a command",
        )
    )  # fmt: skip
    builder.add_training_substances(["UHOVQNZJYSORNB-UHFFFAOYSA-N"])
    path = tmp_path / "tiered.h5"
    builder.write(path)
    return path


def test_leads_are_for_the_chemist_and_introduced_as_such(tiered, benzene, capsys) -> None:
    arguments = ["identify", str(benzene), "--library", str(tiered)]
    code = main(arguments)
    officer = capsys.readouterr().out
    assert code in (Exit.NO_MATCH, Exit.INCONCLUSIVE)
    assert "Benzene" not in officer
    assert "omputed" not in officer
    assert main([*arguments, "--verbose"]) == code
    out = capsys.readouterr().out
    assert out.startswith(officer)
    chemist = out[len(officer) :]
    assert "computed references – leads, never an identification" in chemist
    assert "right substance first 41% (28% to 53%), among the first ten 68% (56% to 78%)" in chemist
    assert "1. Benzene (neutral molecule): likeness 0." in chemist
    assert main([*arguments, "--json"]) == code
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["leads"]["note"] == "computed references – leads, never an identification"
    assert result["leads"]["fitness"][0]["top10"] == [0.68, 0.56, 0.78]
    assert result["identification"]["leads"][0]["compound_slug"] == "benzene"
    assert {c["compound_slug"] for c in result["identification"]["candidates"]} == {"aspirin", "ethanol"}


def test_library_info_tells_the_tiers_apart(tiered, library, capsys) -> None:
    assert main(["library", "info", str(tiered)]) == 0
    out = capsys.readouterr().out
    assert "4  computed: 4 raman" in out
    assert "2  measured: 2 raman" in out
    assert "     2      4  not stated" in out
    assert "computed, raman, all: right substance first 41% (28% to 53%)" in out
    assert "1 substances taught the computed references" in out
    assert main(["library", "info", str(tiered), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["fitness"][0]["evaluated"] == "cross-validated by compound"
    assert facts["training_inchikeys"] == ["UHOVQNZJYSORNB-UHFFFAOYSA-N"]
    assert facts["tiers_by_technique"] == {"computed": {"raman": 4}, "measured": {"raman": 2}}
    assert main(["library", "info", str(library)]) == 0
    plain = capsys.readouterr().out
    assert "fitness" not in plain
    assert "taught" not in plain


@pytest.fixture
def two_techniques(tmp_path: Path) -> Path:
    """A library with Raman and infrared references of the same compounds."""
    builder = LibraryBuilder("both")
    for number, name in enumerate(BANDS):
        compound = Compound(name, name.title())
        builder.add(_bands(name, 0.002), compound, tier=Tier.MEASURED, licence="CC0-1.0")
        builder.add(_infrared(number, 0.0005), compound, tier=Tier.MEASURED, licence="CC0-1.0")
    path = tmp_path / "both.h5"
    builder.write(path)
    return path


def _infrared(number: int, noise: float) -> Spectrum:
    axis = np.arange(600.0, 3900.0, 4.0)
    rng = np.random.default_rng(100 + number)
    places = rng.uniform(700, 3600, 9)
    y = (rng.uniform(0.2, 1.0, 9) * np.exp(-0.5 * ((axis[:, None] - places) / 12) ** 2)).sum(axis=1)
    return Spectrum(axis, 0.5 * y + rng.normal(0, noise, axis.size), "ftir_atr", unit="absorbance")


def test_two_techniques_of_one_item(two_techniques, benzene, tmp_path, capsys) -> None:
    same, other = tmp_path / "same.jdx", tmp_path / "other.jdx"
    write(_infrared(1, 0.001), same)
    write(_infrared(2, 0.001), other)
    arguments = ["--library", str(two_techniques)]
    assert main(["fuse", str(benzene), str(same), *arguments]) == Exit.IDENTIFIED
    out = capsys.readouterr().out
    assert "Raman and infrared agree" in out
    assert out.count("Benzene") >= 3
    assert main(["fuse", str(benzene), str(other), *arguments, "--json"]) == Exit.INCONCLUSIVE
    document = json.loads(capsys.readouterr().out)
    assert document["fusion"]["outcome"] == "disagree"
    assert document["fusion"]["infrared_only"] == ["Ethanol"]
    assert main(["fuse", str(same), str(benzene), *arguments]) == Exit.UNREADABLE
    assert "it states the technique ftir_atr, but raman was asked for" in capsys.readouterr().err
    assert main(["fuse", str(benzene), str(tmp_path / "absent.jdx"), *arguments]) == Exit.UNREADABLE
    capsys.readouterr()


def test_a_defect_on_one_spectrum_has_its_own_exit_code(
    library, benzene, tmp_path, capsys, monkeypatch
) -> None:
    other = tmp_path / "ethanol.csv"
    write(_bands("ethanol", 0.01, seed=3), other)
    whole = Identifier.identify

    def defect(self: Identifier, spectrum: Spectrum, **options: object) -> object:
        if spectrum.sha256 == read(benzene).sha256:
            raise ZeroDivisionError("division by zero")
        return whole(self, spectrum, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Identifier, "identify", defect)
    arguments = ["identify", str(benzene), str(other), "--library", str(library)]
    assert main(arguments) == Exit.INTERNAL
    shown = capsys.readouterr()
    assert "Ethanol" in shown.out
    assert "ZeroDivisionError" in shown.err
    monkeypatch.setenv("SPECTRALID_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(arguments)
