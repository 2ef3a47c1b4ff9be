"""Real files of FTIR benches, written into a watched folder in pieces by a program that stalls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spectralid import read_all
from spectralid.devices.watch_folder import WatchFolder

# One public collection for each format a bench writes.
KINDS = {
    "OPUS": ("opusreader2", "*.0"),
    "SPA": ("spa-fixtures", "*.SPA"),
    "SP": ("orange-spectroscopy", "*.sp"),
    "SPC": ("cheminfo-ir", "*.spc"),
    "JCAMP-DX": ("cheminfo-ir", "*.jdx"),
}


def files(shared_data: Path, kind: str) -> list[Path]:
    collection, pattern = KINDS[kind]
    found = sorted((shared_data / collection).rglob(pattern))
    if kind == "OPUS":
        pytest.importorskip("brukeropus")
    return [path for path in found if path.stat().st_size < 400_000][:4]


@pytest.mark.parametrize("kind", KINDS)
def test_a_bench_that_stalls_while_it_writes(shared_data: Path, tmp_path: Path, kind: str) -> None:
    """However long it stalls: every spectrum given has all points, and the last has all facts, too."""
    chosen = files(shared_data, kind)
    assert chosen
    for path in chosen:
        whole, data = read_all(path), path.read_bytes()
        folder = tmp_path / path.name
        folder.mkdir()
        given = []
        with WatchFolder(folder, read_all, ledger=tmp_path / f"{path.name}.jsonl") as watch:
            for percent in (20, 50, 80, 97, 100):
                (folder / path.name).write_bytes(data[: len(data) * percent // 100])
                for _ in range(4):
                    for file in watch.poll():
                        watch.acknowledge(file)
                        given.append(file.spectra)
        assert given
        for spectra in given:
            for spectrum, true in zip(spectra, whole, strict=True):
                np.testing.assert_array_equal(spectrum.axis, true.axis)
                np.testing.assert_array_equal(spectrum.intensity, true.intensity)
        assert [spectrum.sha256 for spectrum in given[-1]] == [spectrum.sha256 for spectrum in whole]
        # A content that came after an earlier one of the same name says so.
        for spectra in given[1:]:
            assert "file_rewritten" in spectra[0].acquisition.flags
        assert "from_file" in given[-1][0].acquisition.flags
