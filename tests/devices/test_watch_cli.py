"""``spectralid watch``: each new file gets its verdict, once."""

import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from spectralid import LibraryBuilder, Spectrum, write
from spectralid.cli import main
from spectralid.cli._exit import Exit
from spectralid.devices.watch_folder import LEDGER_NAME
from spectralid.library import Compound, Tier

AXIS = np.linspace(650.0, 4000.0, 1600)
BANDS = {
    "alpha": ((720, 40, 0.6), (1010, 14, 1.0), (1640, 20, 0.8), (2930, 30, 0.5)),
    "beta": ((880, 18, 1.0), (1250, 25, 0.7), (1735, 16, 0.9), (3320, 90, 0.4)),
}


def infrared(name, seed=0, technique="ftir_atr"):
    y = sum(h * np.exp(-0.5 * ((AXIS - x) / w) ** 2) for x, w, h in BANDS[name])
    noise = np.random.default_rng(seed).normal(0, 0.002, AXIS.size)
    return Spectrum(AXIS, y + 0.05 + noise, technique, "absorbance", name=name)


def make_library(path, technique):
    builder = LibraryBuilder("test")
    for name in BANDS:
        compound = Compound(name, name.title())
        builder.add(infrared(name, 99, technique), compound, tier=Tier.MEASURED, licence="CC0-1.0")
    builder.write(path)
    return str(path)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return make_library(tmp_path_factory.mktemp("library") / "test.h5", "ftir_atr")


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "export"
    path.mkdir()
    return path


def once(folder, library, *options):
    return main(["watch", str(folder), "--once", "--poll-s", "0.001", "--library", library, *options])


def test_each_new_file_once(folder, library, capsys):
    write(infrared("alpha"), folder / "a.jdx")
    once(folder, library)
    assert "a.jdx: " in capsys.readouterr().out
    write(infrared("beta"), folder / "b.jdx")
    once(folder, library)
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{folder / 'b.jdx'}: ")
    assert "Beta" in printed.out
    assert "a.jdx" not in printed.out
    assert once(folder, library) == Exit.IDENTIFIED
    assert capsys.readouterr() == ("", "Ended: nothing new.\n")
    assert (folder / LEDGER_NAME).is_file()


def test_the_same_words_and_code_as_identify(folder, library, capsys):
    write(infrared("alpha"), folder / "a.jdx")
    file = str(folder / "a.jdx")
    code = main(["identify", file, "--json", "--library", library])
    (identified,) = json.loads(capsys.readouterr().out)["results"]
    assert once(folder, library, "--json") == code
    watched = json.loads(capsys.readouterr().out)
    assert watched["verdict"] == identified["verdict"]
    assert watched["identification"]["candidates"] == identified["identification"]["candidates"]
    assert watched["presumptive"] is True
    assert {"from_file", "ftir"} <= set(watched["instrument"]["flags"])


def test_json_lines_and_saved_results(folder, library, tmp_path, capsys):
    write([infrared("alpha", 1), infrared("beta", 2)], folder / "two.h5")
    (folder / "bad.jdx").write_text("##TITLE=nothing\n##JCAMP-DX=4.24\n")
    out = tmp_path / "results"
    assert once(folder, library, "--json", "--out", str(out)) == Exit.UNREADABLE
    printed = capsys.readouterr()
    lines = [json.loads(line) for line in printed.out.splitlines()]
    assert sorted("error" in line for line in lines) == [False, False, True]
    assert str(folder / "bad.jdx") in printed.err
    results = [line for line in lines if "error" not in line]
    saved = [json.loads(path.read_text()) for path in sorted(out.iterdir())]
    assert sorted(map(json.dumps, saved)) == sorted(map(json.dumps, results))
    assert {path.suffix for path in out.iterdir()} == {".json"}


def test_what_the_library_cannot_judge_is_tried_again_with_another(folder, library, tmp_path, capsys):
    write(infrared("alpha", technique="raman"), folder / "a.jdx")
    write(infrared("beta"), folder / "b.jdx")
    assert once(folder, library) == Exit.UNREADABLE
    printed = capsys.readouterr()
    assert "holds infrared" in printed.err
    assert "b.jdx: " in printed.out
    assert "1 could not be used" in printed.err
    other = make_library(tmp_path / "raman.h5", "raman")
    assert once(folder, other) != Exit.UNREADABLE
    printed = capsys.readouterr()
    assert "a.jdx: " in printed.out
    assert "b.jdx" not in printed.out


def test_what_could_not_be_saved_is_not_taken(folder, library, tmp_path, capsys, monkeypatch):
    write(infrared("alpha"), folder / "a.jdx")
    with monkeypatch.context() as patched:
        original = os.replace

        def full(source, target):
            if str(target).endswith(".json"):
                raise OSError(28, "No space left on device")
            original(source, target)

        patched.setattr(os, "replace", full)
        assert once(folder, library, "--out", str(tmp_path / "out")) == Exit.UNREADABLE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "No space left" in printed.err
    once(folder, library, "--out", str(tmp_path / "out"))
    assert "a.jdx: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["missing"], Exit.UNREADABLE, "no such folder"),
        (["export", "--out", "export"], Exit.USAGE, "--out"),
        (["export", "--subfolders", "--out", "export/sub"], Exit.USAGE, "--out"),
        (["export", "--out", "file"], Exit.USAGE, "--out"),
        (["export", "--poll-s", "0"], Exit.USAGE, "poll_s"),
        (["export", "--ledger", "file"], Exit.UNREADABLE, "not a ledger"),
        (["export", "--ledger", "none/ledger"], Exit.UNREADABLE, "cannot be opened"),
    ],
)
def test_refusals(folder, library, monkeypatch, capsys, arguments, code, said):
    monkeypatch.chdir(folder.parent)
    (folder.parent / "file").write_text("something of value")
    assert main(["watch", "--once", "--library", library, *arguments]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err.splitlines()[-1]
    assert (folder.parent / "file").read_text() == "something of value"


@pytest.mark.skipif(os.name != "posix", reason="signals of that kind")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_watching_until_it_is_told_to_end(folder, library, number):
    arguments = ["watch", str(folder), "--poll-s", "0.05", "--library", library]
    code = f"import sys; from spectralid.cli import main; sys.exit(main({arguments!r}))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        # Should it never say anything, reading from it would never end.
        killer = threading.Timer(120, child.kill)
        killer.start()
        try:
            assert child.stderr.readline().startswith("Watching")
            write(infrared("beta"), folder / "b.jdx")
            assert "b.jdx: " in child.stdout.readline()
            child.send_signal(number)
            assert child.wait(60) == 0
            assert child.stderr.read().startswith("Ended: 1 ")
        finally:
            killer.cancel()
            child.kill()
    assert "b.jdx" in (folder / LEDGER_NAME).read_text()
