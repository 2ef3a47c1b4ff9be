"""Files that are whole or not there, and the reserve made of them."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from spectralid.casework.ballast import Ballast
from spectralid.files import write_whole

write = os.write


@pytest.fixture
def calls(monkeypatch):
    """Which calls reached the system, in order."""
    made = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def call(*arguments, name=name, real=real):
            made.append(name)
            return real(*arguments)

        monkeypatch.setattr(os, name, call)
    return made


def test_a_file_has_its_name_when_it_is_on_the_disk(tmp_path, calls):
    write_whole(tmp_path / "a", [b"one ", b"", b"two"])
    assert (tmp_path / "a").read_bytes() == b"one two"
    assert calls == ["fsync", "replace", *(["fsync"] if os.name == "posix" else [])]
    assert os.listdir(tmp_path) == ["a"]
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_a_system_that_writes_in_small_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, bytes(data)[:3]))
    write_whole(tmp_path / "a", [b"longer than three"])
    assert (tmp_path / "a").read_bytes() == b"longer than three"


def failing(monkeypatch, after, number):
    left = [after]

    def fail(handle, data):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(number, os.strerror(number))
        return write(handle, data)

    monkeypatch.setattr(os, "write", fail)


def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"before")
    (tmp_path / "a.new").write_bytes(b"of an earlier attempt")
    failing(monkeypatch, 1, errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        write_whole(tmp_path / "a", [b"1", b"2"])
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"before"


def test_the_reserve_is_real_and_can_be_given_up(tmp_path):
    ballast = Ballast(tmp_path / "ballast", 3_000_000)
    assert not ballast.ready
    assert ballast.restore()
    data = (tmp_path / "ballast").read_bytes()
    assert len(data) == 3_000_000
    # Nothing a file system could compress or leave out.
    assert len(set(data[:4096])) > 200
    assert data[:4096] != data[4096:8192]
    assert ballast.ready
    assert ballast.restore()
    assert (tmp_path / "ballast").read_bytes() == data
    assert ballast.release()
    assert not ballast.ready
    assert not ballast.release()
    assert os.listdir(tmp_path) == []


def test_a_reserve_that_is_too_small_is_laid_down_anew(tmp_path):
    (tmp_path / "ballast").write_bytes(b"1" * 999)
    ballast = Ballast(tmp_path / "ballast", 1000)
    assert not ballast.ready
    assert ballast.restore()
    assert ballast.ready


@pytest.mark.parametrize(
    ("free", "spare", "laid"), [(1499, 0, False), (1500, 0, True), (2499, 1000, False), (2500, 1000, True)]
)
def test_no_reserve_is_laid_down_on_a_disk_nearly_full(tmp_path, monkeypatch, free, spare, laid):
    class Usage:
        pass

    Usage.free = free
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    ballast = Ballast(tmp_path / "ballast", 1000)
    assert ballast.restore(spare) is laid
    assert ballast.ready is laid


def test_a_disk_that_turns_out_full_has_no_reserve_and_loses_no_room(tmp_path, monkeypatch):
    failing(monkeypatch, 1, errno.ENOSPC)
    ballast = Ballast(tmp_path / "ballast", 3_000_000)
    assert not ballast.restore()
    assert os.listdir(tmp_path) == []
    failing(monkeypatch, 1, errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        ballast.restore()
