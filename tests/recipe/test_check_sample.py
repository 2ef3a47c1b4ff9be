"""The check that recomputes a sample: what it chooses, and that it sees a value that was changed."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit", reason="rdkit is needed to build structures for the computed references")
pytest.importorskip("tblite", reason="tblite is needed to compute reference spectra")

import check_sample


def one_small_entry(folder: Path, **changed: object) -> Path:
    """A folder with a single committed entry, the smallest of the sample, with some values changed."""
    entry = min(
        check_sample.stored(check_sample.COMPUTED, check_sample.COMPOUNDS), key=lambda e: int(e.row["atoms"])
    )
    lines = {
        "key": np.array([entry.row["key"]]),
        "lines": np.array([len(entry.frequencies)]),
        "frequencies_cm": entry.frequencies.copy(),
        "raman_a4_u": entry.raman.copy(),
    }
    row = dict(entry.row)
    for name, change in changed.items():
        if name in lines:
            lines[name] = change(lines[name])  # type: ignore[operator]
        else:
            row[name] = str(change)
    folder.mkdir()
    np.savez(folder / f"sticks-{int(row['batch']):03d}.npz", **lines)
    with (folder / "entries.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(row))
        writer.writeheader()
        writer.writerow(row)
    return folder


def raised(index: int, by: float):
    def change(values: np.ndarray) -> np.ndarray:
        values[index] += by
        return values

    return change


def test_the_sample_is_five_molecules_of_all_classes() -> None:
    rows = check_sample.choose(check_sample._rows(check_sample.COMPUTED / "entries.csv"))
    assert len({row["key"] for row in rows}) == 5
    assert sum(row["charge"] != "0" for row in rows) == 2
    assert max(int(row["atoms"]) for row in rows) <= 20
    assert check_sample.choose(rows[::-1]) == rows  # whatever the order of the table


def test_an_entry_as_committed_agrees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_sample.check(one_small_entry(tmp_path / "same")) == 0
    told = capsys.readouterr()
    assert "agrees" in told.out
    assert not told.err


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"energy": -1.0}, "another conformer or another method"),
        ({"frequencies_cm": raised(-1, 20.0)}, "cm⁻¹ are allowed"),
        ({"raman_a4_u": raised(-1, 50.0)}, "Raman activity near"),
        (
            {"frequencies_cm": lambda v: v[1:], "raman_a4_u": lambda v: v[1:], "lines": lambda n: n - 1},
            "lines",
        ),
    ],
)
def test_a_changed_value_is_reported(
    changed: dict[str, object], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_sample.check(one_small_entry(tmp_path / "changed", **changed)) == 1
    assert sentence in capsys.readouterr().err


def test_lines_that_coincide_may_share_their_strength_differently() -> None:
    frequencies = np.array([500.0, 1000.0, 1002.0, 1500.0])
    row = {"id": "x", "form": "neutral", "charge": "0", "energy": "-1.0"}
    entry = check_sample.Stored(row, "", frequencies, np.array([5.0, 10.0, 0.0, 2.0]))
    same = np.array([5.0, 4.0, 6.0, 2.0])
    assert not list(check_sample.disagreements(entry, -1.0, frequencies, same))
    elsewhere = np.array([5.0, 4.0, 0.0, 8.0])
    assert len(list(check_sample.disagreements(entry, -1.0, frequencies, elsewhere))) == 1


def test_an_empty_folder_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "entries.csv").write_text("key,charge,atoms,conformers,imaginary,form\n", encoding="utf-8")
    assert check_sample.check(tmp_path) == 1
    assert "no entry fits" in capsys.readouterr().err
