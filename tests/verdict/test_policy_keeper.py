"""An installed policy is there whole, checked, and never none."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

import spectralid.verdict
from spectralid.errors import FileError
from spectralid.verdict import PolicyError, PolicyKeeper, default_policy

TEXT = (Path(spectralid.verdict.__file__).parent / "policy.toml").read_text(encoding="utf-8")


def policy_file(folder: Path, version: str) -> Path:
    path = folder / f"v{version}.toml"
    path.write_text(TEXT.replace('version = "1"', f'version = "{version}"'), encoding="utf-8")
    return path


def test_without_any_the_bundled_one_is_in_force(tmp_path: Path) -> None:
    keeper = PolicyKeeper(tmp_path / "none")
    assert keeper.current == default_policy()
    assert keeper.current.damaged == ""
    assert not (tmp_path / "none").exists()


def test_what_is_installed_is_in_force_now_and_after_a_restart(tmp_path: Path) -> None:
    store = tmp_path / "store"
    keeper = PolicyKeeper(store)
    assert keeper.install(policy_file(tmp_path, "2")).version == "2"
    assert keeper.current.version == "2"
    assert PolicyKeeper(store).current == keeper.current
    keeper.install(policy_file(tmp_path, "3"))
    assert PolicyKeeper(store).current.version == "3"
    # Only the one in force is kept, under the SHA-256 of its bytes.
    digest = hashlib.sha256((tmp_path / "v3.toml").read_bytes()).hexdigest()
    assert sorted(p.name for p in store.iterdir()) == ["current", f"policy-{digest}.toml"]


def test_a_policy_with_a_mistake_is_refused_and_the_previous_stays(tmp_path: Path) -> None:
    store = tmp_path / "store"
    keeper = PolicyKeeper(store)
    keeper.install(policy_file(tmp_path, "2"))
    before = {p.name: p.read_bytes() for p in store.iterdir()}
    wrong = policy_file(tmp_path, "3")
    text = wrong.read_text(encoding="utf-8")
    wrong.write_text(text.replace("margin = 0.05", "margin = 5"), encoding="utf-8")
    line = TEXT[: TEXT.index("margin = 0.05")].count("\n") + 1
    with pytest.raises(PolicyError, match=rf"v3\.toml, line {line}: thresholds\.margin must be"):
        keeper.install(wrong)
    with pytest.raises(FileError, match="cannot be read"):
        keeper.install(tmp_path / "absent.toml")
    assert keeper.current.version == PolicyKeeper(store).current.version == "2"
    assert {p.name: p.read_bytes() for p in store.iterdir()} == before


def damage_flip(store: Path) -> None:
    (kept,) = store.glob("policy-*.toml")
    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 1
    kept.write_bytes(data)


def damage_truncate(store: Path) -> None:
    (kept,) = store.glob("policy-*.toml")
    kept.write_bytes(kept.read_bytes()[:100])


def damage_remove(store: Path) -> None:
    (kept,) = store.glob("policy-*.toml")
    kept.unlink()


def damage_record(store: Path) -> None:
    (store / "current").write_bytes(b"\xff\xfe")


def damage_empty_record(store: Path) -> None:
    (store / "current").write_bytes(b"")


def damage_outside_path(store: Path) -> None:
    (store / "current").write_bytes(b"../../etc/passwd")


def damage_understood_by_another_version_only(store: Path) -> None:
    data = TEXT.replace("margin = 0.05", "margin = 5").encode()
    digest = hashlib.sha256(data).hexdigest()
    (store / f"policy-{digest}.toml").write_bytes(data)
    (store / "current").write_text(digest, encoding="ascii")


@pytest.mark.parametrize(
    "damage",
    [
        damage_flip, damage_truncate, damage_remove, damage_record, damage_empty_record, damage_outside_path,
        damage_understood_by_another_version_only,
    ],
)  # fmt: skip
def test_a_damaged_policy_is_replaced_by_the_bundled_one_and_says_so(tmp_path: Path, damage: Any) -> None:
    store = tmp_path / "store"
    PolicyKeeper(store).install(policy_file(tmp_path, "2"))
    damage(store)
    keeper = PolicyKeeper(store)
    assert keeper.current == default_policy()
    assert str(store) in keeper.current.damaged
    # Installing one again mends it.
    keeper.install(policy_file(tmp_path, "4"))
    assert keeper.current.version == PolicyKeeper(store).current.version == "4"
    assert keeper.current.damaged == ""


@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_failure_at_any_step_leaves_the_previous_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, nth: int
) -> None:
    """Two files are written, the policy and the record of which is in force; each step of each may fail."""
    store = tmp_path / "store"
    keeper = PolicyKeeper(store)
    keeper.install(policy_file(tmp_path, "2"))
    new = policy_file(tmp_path, "3")
    real, calls = getattr(os, step), 0

    def failing(*args: Any, **options: Any) -> Any:
        nonlocal calls
        # The folder is opened and synced, too; only what concerns the files is counted.
        calls += step in ("write", "replace") or (step == "open" and str(args[0]).endswith(".new"))
        calls += step == "fsync" and os.path.isfile(f"/proc/self/fd/{args[0]}")
        if calls == nth:
            raise OSError(28, "No space left on device")
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, step, failing)
        with pytest.raises(FileError, match="the one in force stays"):
            keeper.install(new)
    assert keeper.current.version == "2"
    assert PolicyKeeper(store).current.version == "2"
    assert PolicyKeeper(store).current.damaged == ""
    assert keeper.install(new).version == PolicyKeeper(store).current.version == "3"


def test_everything_is_on_the_disk_before_it_is_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    replace, fsync = os.replace, os.fsync

    def recorded_replace(source: Any, target: Any) -> None:
        done.append(f"replace {Path(target).name[:7]}")
        replace(source, target)

    def recorded_fsync(handle: int) -> None:
        done.append("fsync")
        fsync(handle)

    monkeypatch.setattr(os, "replace", recorded_replace)
    monkeypatch.setattr(os, "fsync", recorded_fsync)
    PolicyKeeper(tmp_path / "store").install(policy_file(tmp_path, "2"))
    assert done == ["fsync", "replace policy-", "fsync", "fsync", "replace current", "fsync"]


def test_another_process_installs_and_this_one_sees_it(tmp_path: Path) -> None:
    store = tmp_path / "store"
    tablet, command = PolicyKeeper(store), PolicyKeeper(store)
    assert tablet.current == default_policy()
    for version in ("2", "3", "2"):
        command.install(policy_file(tmp_path, version))
        assert tablet.current.version == version
    same = tablet.current
    assert tablet.current is same


def test_a_policy_replaced_while_it_is_read_is_not_taken_for_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    PolicyKeeper(store).install(policy_file(tmp_path, "2"))
    other, new = PolicyKeeper(store), policy_file(tmp_path, "3")
    read, pending = Path.read_bytes, [new]

    def interrupted(path: Path) -> bytes:
        # Between reading which policy is in force and reading it, another process installs one.
        if path.name.startswith("policy-") and pending:
            other.install(pending.pop())
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", interrupted)
    keeper = PolicyKeeper(store)
    assert keeper.current.damaged == ""
    assert keeper.current.version == "3"
