"""The locks: in step with what is asked for, by hash, and naming no index."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.supply.conftest import ROOT


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("setup.cfg", "pyproject.toml", "requirements"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    return tmp_path


def _change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def _faults(lock, root: Path) -> list[str]:
    return [fault for each in lock.LOCKS for fault in lock.faults(each, root)]


def test_the_committed_locks_are_in_step(lock) -> None:
    assert _faults(lock, ROOT) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("setup.cfg", "    tqdm>=4.66\n", "    tqdm>=4.67\n", "without tqdm>=4.67"),
        ("setup.cfg", "    tqdm>=4.66\n", "    tqdm>=4.66\n    left-pad>=1\n", "without left-pad>=1"),
        ("setup.cfg", "    tqdm>=4.66\n", "", "with tqdm>=4.66, which nothing asks for"),
        ("setup.cfg", "    pyotp>=2.9\n", "    pyotp>=2.10\n", "without pyotp>=2.10"),
        ("pyproject.toml", "setuptools>=77", "setuptools>=78", "without setuptools>=78"),
    ],
)
def test_a_changed_requirement_is_seen(lock, copy: Path, file: str, old: str, new: str, said: str) -> None:
    _change(copy / file, old, new)
    assert any(said in fault for fault in _faults(lock, copy)), _faults(lock, copy)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tqdm==", "--index-url https://packages.example/simple\ntqdm==", "names an index or an address"),
        ("tqdm==", "tqdm @ https://packages.example/tqdm.whl #==", "names an index or an address"),
        ("\nzipp==", "\nleft-pad==1.0\nzipp==", "'left-pad==1.0' is not a version with hashes"),
        (
            "\nzipp==",
            "\nleft-pad>=1.0 \\\n    --hash=sha256:" + 64 * "0" + "\nzipp==",
            "is not a version with hashes",
        ),
    ],
)
def test_what_is_not_pinned_is_seen(lock, copy: Path, old: str, new: str, said: str) -> None:
    _change(copy / "requirements" / "ci.txt", old, new)
    assert any(said in fault for fault in _faults(lock, copy))


def test_a_missing_lock_is_said(lock, copy: Path) -> None:
    (copy / "requirements" / "core.txt").unlink()
    assert _faults(lock, copy) == ["requirements/core.txt is missing."]


def test_lowest_and_newest_versions_satisfy_what_is_asked(lock, audit) -> None:
    requirements = pytest.importorskip("packaging.requirements")
    for each in lock.LOCKS:
        versions = audit.locked(each.path)
        for line in lock.requirements(ROOT, each.extras, build=each.build):
            requirement = requirements.Requirement(line)
            name = requirement.name.replace("_", "-").replace(".", "-")
            assert requirement.specifier.contains(versions[name], prereleases=True), (each.name, line)


def test_the_core_has_the_same_versions_as_ci(lock, audit) -> None:
    ci, core = (audit.locked(ROOT / "requirements" / name) for name in ("ci.txt", "core.txt"))
    assert core.items() <= ci.items()
