"""The check for known vulnerabilities: it never takes silence for an all-clear."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest


def record(
    id: str, name: str, *, ranges: list[dict] | None = None, versions: tuple[str, ...] = (), **more: str
) -> dict:
    affected = {"package": {"ecosystem": "PyPI", "name": name}, "versions": list(versions)}
    if ranges:
        affected["ranges"] = [{"type": "ECOSYSTEM", "events": ranges}]
    return {"id": id, "modified": "2026-01-01T00:00:00Z", "affected": [affected], **more}


CANARY = record("PYSEC-2018-28", "requests", ranges=[{"introduced": "0"}, {"fixed": "2.20.0"}])


def snapshot(folder: Path, *records: dict) -> Path:
    for each in records:
        (folder / f"{each['id']}.json").write_text(json.dumps(each), encoding="utf-8")
    return folder


def run(audit, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["audit", *arguments])
    return audit.main()


def test_a_snapshot_without_the_known_one_is_not_believed(audit, monkeypatch, tmp_path, capsys) -> None:
    folder = snapshot(tmp_path, record("PYSEC-1", "left-pad", versions=("1.0",)))
    assert run(audit, monkeypatch, "--advisories", str(folder)) == audit.NOT_CHECKED
    assert "NOT CHECKED: no advisory data here" in capsys.readouterr().out


def test_nothing_known(audit, monkeypatch, tmp_path, capsys) -> None:
    folder = snapshot(tmp_path, CANARY, record("PYSEC-2", "numpy", versions=("1.0",)))
    assert run(audit, monkeypatch, "--advisories", str(folder)) == audit.CHECKED
    assert "no known vulnerability" in capsys.readouterr().out


def test_a_known_one_is_found_in_a_zip(audit, monkeypatch, tmp_path, capsys) -> None:
    bad = record("PYSEC-3", "NumPy", ranges=[{"introduced": "1.0"}, {"last_affected": "99"}])
    withdrawn = record("PYSEC-4", "scipy", ranges=[{"introduced": "0"}], withdrawn="2026-01-02T00:00:00Z")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for each in (CANARY, bad, withdrawn):
            archive.writestr(f"{each['id']}.json", json.dumps(each))
    assert (
        run(audit, monkeypatch, "--advisories", str(tmp_path / "all.zip"), "--lock", "core.txt")
        == audit.FOUND
    )
    out = capsys.readouterr().out
    assert "PYSEC-3" in out
    assert "PYSEC-4" not in out


@pytest.mark.parametrize(
    ("version", "events", "hit"),
    [
        ("1.5", [{"introduced": "0"}, {"fixed": "2.0"}], True),
        ("2.0", [{"introduced": "0"}, {"fixed": "2.0"}], False),
        ("2.0", [{"introduced": "0"}, {"last_affected": "2.0"}], True),
        ("2.0.1", [{"introduced": "0"}, {"last_affected": "2.0"}], False),
        ("3.1", [{"introduced": "0"}, {"fixed": "2.0"}, {"introduced": "3.0"}, {"fixed": "3.2"}], True),
        ("2.5", [{"introduced": "3.0"}, {"fixed": "3.2"}, {"introduced": "0"}, {"fixed": "2.0"}], False),
        ("10.0", [{"introduced": "9.0"}], True),
        ("1.0", [{"introduced": "not a version"}], True),
    ],
)
def test_ranges(audit, version: str, events: list[dict], hit: bool) -> None:
    entry = record("PYSEC-5", "numpy", ranges=events)["affected"][0]
    assert audit.affects(entry, version) is hit


@pytest.mark.parametrize(
    "answer",
    [
        "ConnectionError: unreachable",
        [{"name": "requests", "skip_reason": "Dependency not found on PyPI and could not be audited"}],
        [{"name": "requests", "version": "2.19.0", "vulns": []}],
    ],
)
def test_a_source_that_misses_the_known_one_is_not_believed(audit, monkeypatch, capsys, answer) -> None:
    monkeypatch.setattr(audit, "pip_audit", lambda service, packages: answer)
    assert run(audit, monkeypatch) == audit.NOT_CHECKED
    assert "NOT CHECKED" in capsys.readouterr().out


def test_packages_the_source_does_not_know_are_named(audit, monkeypatch, capsys) -> None:
    def answer(service: str, packages: dict[str, str]) -> list[dict]:
        if "requests" in packages and len(packages) == 1:
            return [{"name": "requests", "version": "2.19.0", "vulns": [{"id": "PYSEC-2018-28"}]}]
        return [{"name": "tqdm", "skip_reason": "not found"}, {"name": "numpy", "version": "1", "vulns": []}]

    monkeypatch.setattr(audit, "pip_audit", answer)
    assert run(audit, monkeypatch) == audit.NOT_CHECKED
    assert "does not know tqdm" in capsys.readouterr().out
