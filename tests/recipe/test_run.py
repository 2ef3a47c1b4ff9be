from __future__ import annotations

import csv
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rdkit", reason="rdkit is needed to build structures for the computed references")
pytest.importorskip("tblite", reason="tblite is needed to compute reference spectra")

import pack
import run
import vibrations

WATER = "XLYOFNOQVPJJNP-UHFFFAOYSA-N"
METHYLAMINE = "BAVYZALUXZFZLV-UHFFFAOYSA-N"
ROWS = [
    ("salt", "FAPWRFPIFSIZLT-UHFFFAOYSA-M", "[Cl-].[Na+]"),
    ("methylamine", METHYLAMINE, "CN"),
    ("water", WATER, "O"),
    ("water-again", WATER, "O"),
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "compounds.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "inchikey", "smiles", "tier"])
        writer.writerows([*row, "1"] for row in ROWS)
        writer.writerow(["other-tier", "VNWKTOKETHGBQD-UHFFFAOYSA-N", "C", "2"])
    return path


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["run.py", *map(str, words)])
    monkeypatch.setattr(os, "nice", lambda increment: increment)
    return run.main()


def test_the_plan_is_ordered_complete_and_free_of_repeats() -> None:
    tasks, skipped = run.plan(ROWS, ["neutral", "protonated"], "size")
    assert [(task.identifier, task.form) for task in tasks] == [
        ("water", "neutral"),
        ("methylamine", "neutral"),
        ("methylamine", "protonated"),
    ]
    reasons = {(entry.identifier, entry.form): entry.reason for entry in skipped}
    assert "ionic solid" in reasons["salt", "neutral"]
    assert reasons["water", "protonated"] == run.NO_SUCH_FORM


def test_large_molecules_come_last_in_any_order() -> None:
    rows = [("a-large", "A", "C" * 40), ("b-small", "B", "CC")]
    tasks, _ = run.plan(rows, ["neutral"], "id")
    assert [task.identifier for task in tasks] == ["b-small", "a-large"]


def test_shards_share_the_work_without_overlap(source: Path) -> None:
    tasks, _ = run.plan(run.read_source(source, "1"), ["neutral", "protonated"], "size")
    parts = [tasks[i::2] for i in range(2)]
    assert sorted(task.key for part in parts for task in part) == sorted(task.key for task in tasks)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b"])
def test_a_wrong_shard_is_refused(text: str) -> None:
    with pytest.raises(run.argparse.ArgumentTypeError, match="1 <= i <= n"):
        run._shard(text)


def test_a_run_computes_resumes_tells_and_packs(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    common = ("--source", source, "--work", work)
    assert command(monkeypatch, "run", *common, "--shard", "1/2") == 0
    assert command(monkeypatch, "run", *common, "--shard", "2/2") == 0
    files = sorted(path.relative_to(work / "results").as_posix() for path in work.rglob("*.npz"))
    assert files == [f"neutral/{METHYLAMINE}.npz", f"neutral/{WATER}.npz", f"protonated/{METHYLAMINE}.npz"]
    log = run.read_lines(work / "log.jsonl")
    assert len(log) == 3
    assert {record["solvent"] for record in log if record["charge"]} == {"ALPB nitromethane"}
    assert not list(work.rglob("*.tmp"))

    capsys.readouterr()
    assert command(monkeypatch, "run", *common) == 0
    assert capsys.readouterr().out == ""  # nothing is computed twice

    assert command(monkeypatch, "status", *common, "--reasons") == 0
    told = capsys.readouterr().out
    assert "neutral: 2 done, 0 failed, 0 remaining, 1 not computable" in told
    assert "ionic solid" in told

    monkeypatch.setattr("sys.argv", ["pack.py", *map(str, common), "--out", str(out)])
    assert pack.main() == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(before) == {
        "manifest.json",
        "entries.csv",
        "excluded.csv",
        "sticks-001.npz",
        "derivatives-001.npz",
    }
    assert pack.main() == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before

    entries = {entry.key: entry for entry in pack.read(out)}
    assert set(entries) == {record["key"] for record in log}
    for key, entry in entries.items():
        with np.load(work / "results" / f"{key}.npz", allow_pickle=False) as archive:
            original = {name: archive[name] for name in archive.files}
        np.testing.assert_array_equal(entry.numbers, original["numbers"])
        for found, name, limit in (
            (entry.hessian, "hessian", 5e-5),
            (entry.dipole, "dipole_derivatives", 1e-3),
            (entry.polarizability, "polarizability_derivatives", 1e-3),
        ):
            np.testing.assert_allclose(
                found, original[name], atol=limit * max(np.abs(original[name]).max(), 0.1)
            )
        again = vibrations.sticks(
            entry.positions, entry.masses, entry.hessian, entry.dipole, entry.polarizability
        )
        np.testing.assert_allclose(again.frequencies, original["frequencies_cm"], atol=1.0)
        np.testing.assert_allclose(
            again.raman, original["raman_a4_u"], atol=0.01 * original["raman_a4_u"].max()
        )

    (out / "derivatives-001.npz").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="SHA-256"):
        list(pack.read(out))


def test_a_later_result_goes_into_a_new_batch(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, out = run.Work(tmp_path / "work"), tmp_path / "out"
    common = ("--source", source, "--work", work.root)
    command(monkeypatch, "run", *common, "--forms", "neutral")
    assert pack.pack(work, out, [], wanted=()) == 0
    assert pack.pack(work, out, []) == 2
    first = (out / "derivatives-001.npz").read_bytes()
    command(monkeypatch, "run", *common)
    assert pack.pack(work, out, []) == 1
    assert (out / "derivatives-001.npz").read_bytes() == first
    assert len(list(pack.read(out))) == 3


def test_a_molecule_that_fell_apart_is_not_packed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = run.Work(tmp_path / "work")
    command(monkeypatch, "run", "--source", source, "--work", work.root, "--forms", "neutral")
    path = work.root / "results" / "neutral" / f"{WATER}.npz"
    with np.load(path, allow_pickle=False) as archive:
        result = {name: archive[name] for name in archive.files}
    result["positions_bohr"] = result["positions_bohr"] * 1.5
    run.write_npz(path, result)
    excluded: list[run.Skipped] = []
    assert pack.pack(work, tmp_path / "out", excluded) == 1
    assert [(entry.inchikey, entry.reason.split(":")[0]) for entry in excluded] == [(WATER, "rearranged")]


TASK = run.Task("water", WATER, "O", "neutral", 3)


def _sleep(task: run.Task) -> Any:
    time.sleep(60)


def _burn(task: run.Task) -> Any:
    while True:
        pass


def _die(task: run.Task) -> Any:
    os._exit(7)


def _fault(task: run.Task) -> Any:
    raise KeyError("odd")


def _refuse(task: run.Task) -> Any:
    raise vibrations.NotConvergedError("geometry: no")


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (_sleep, "timeout", "wall clock"),
        (_burn, "died", "CPU time"),
        (_die, "died", "code 7"),
        (_fault, "error", "odd"),
        (_refuse, "NotConvergedError", "geometry"),
    ],
)
def test_one_bad_molecule_is_listed_and_cannot_hang_the_run(
    body: Any, kind: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "compute", body)
    answer = run.attempt(TASK, tmp_path / "x.npz", cpu_limit=1, wall_limit=200 if body is _burn else 2)
    assert answer["kind"] == kind
    assert reason in answer["reason"]
    assert not list(tmp_path.iterdir())


def test_a_failure_is_kept_until_it_is_retried(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    common = ("--source", source, "--work", work, "--forms", "neutral")
    with monkeypatch.context() as patch:
        patch.setattr(run, "compute", _refuse)
        command(patch, "run", *common)
    assert len(run.read_lines(work / "failures.jsonl")) == 2
    capsys.readouterr()
    command(monkeypatch, "run", *common)
    assert capsys.readouterr().out == ""
    command(monkeypatch, "status", *common, "--reasons")
    assert "2 failed" in capsys.readouterr().out
    command(monkeypatch, "run", *common, "--retry-failed")
    command(monkeypatch, "status", *common)
    assert "2 done, 0 failed" in capsys.readouterr().out


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    run.append_line(path, {"key": "a"})
    with path.open("a") as stream:
        stream.write('{"key": "b", "ato')
    assert run.read_lines(path) == [{"key": "a"}]


@pytest.mark.parametrize("scale", [0.0, 1e-3, 0.9, 400.0])
def test_packing_keeps_small_values_finely(scale: float) -> None:
    values = scale * np.concatenate(
        [np.random.default_rng(0).uniform(-1, 1, 500), np.geomspace(1e-6, 1, 50), [0.0]]
    )
    codes, largest = pack.encode(values)
    back = pack.decode(codes, float(largest))
    assert codes.dtype == np.int16
    bound = 2 * np.sqrt(np.abs(values) * scale) / (2 * 32767) + scale * 1e-8
    assert (np.abs(back - values) <= 1.01 * bound + scale * 1e-7).all()
