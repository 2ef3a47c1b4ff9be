"""The ledger of a watched folder: what survives crashes, full disks and other people's files."""

import errno
import json
import os

import pytest

from spectralid.devices.watch_ledger import Ledger
from spectralid.errors import DeviceError, FileError

A, B = "a" * 64, "b" * 64


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.jsonl"


def entered(path):
    ledger = Ledger(path)
    try:
        return {sha: ledger.name(sha) for sha in (A, B) if sha in ledger}
    finally:
        ledger.close()


def test_what_is_added_is_on_the_disk_before_it_returns(path, monkeypatch):
    ledger = Ledger(path)
    synced = []
    original = os.fsync

    def fsync(handle):
        original(handle)
        synced.append(path.read_bytes())

    monkeypatch.setattr(os, "fsync", fsync)
    ledger.add(A, "dir/ä.spa", 12)
    assert json.loads(synced[-1].splitlines()[-1]) == {"sha256": A, "bytes": 12, "name": "dir/ä.spa"}
    ledger.close()
    assert entered(path) == {A: "dir/ä.spa"}


def test_the_first_name_stays(path):
    ledger = Ledger(path)
    ledger.add(A, "one", 1)
    ledger.add(A, "two", 1)
    assert ledger.name(A) == "one"
    assert ledger.has_name("two")
    ledger.close()
    assert entered(path) == {A: "one"}


def test_a_line_cut_off_at_any_byte_is_dropped_and_the_rest_goes_on(path):
    ledger = Ledger(path)
    ledger.add(A, "one", 1)
    whole = path.read_bytes()
    ledger.add(B, "two", 2)
    full = path.read_bytes()
    ledger.close()
    for end in range(len(whole), len(full)):
        path.write_bytes(full[:end])
        assert entered(path) == {A: "one"}
        assert path.read_bytes() == whole
    for end in range(whole.index(b"\n")):
        path.write_bytes(whole[:end])
        assert entered(path) == {}
        ledger = Ledger(path)
        ledger.add(B, "two", 2)
        ledger.close()
        assert entered(path) == {B: "two"}


@pytest.mark.parametrize("line", [b"{}", b"[1]", b"nothing", b'{"sha256": "12", "name": "a"}', b"\xff", b""])
def test_a_damaged_line_is_named(path, line):
    ledger = Ledger(path)
    ledger.add(A, "one", 1)
    ledger.close()
    header, entry = path.read_bytes().splitlines()
    before = b"\n".join([header, line, entry, b""])
    path.write_bytes(before)
    with pytest.raises(FileError, match="line 2") as caught:
        Ledger(path)
    assert "damaged" in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"##TITLE=ethanol\n##END=\n", b"\x00", b'{"ledger": "another"}\n', b"x"])
def test_another_file_is_refused_and_not_touched(path, content):
    path.write_bytes(content)
    with pytest.raises(FileError, match="not a ledger"):
        Ledger(path)
    assert path.read_bytes() == content


def test_one_program_at_a_time(path):
    first = Ledger(path)
    with pytest.raises(DeviceError, match="another program"):
        Ledger(path)
    first.close()
    Ledger(path).close()


def test_a_full_disk(path, monkeypatch):
    ledger = Ledger(path)
    ledger.add(A, "one", 1)
    before = path.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(FileError, match="No space left"):
            ledger.add(B, "two", 2)
    assert B not in ledger
    assert path.read_bytes() == before
    ledger.add(B, "two", 2)
    ledger.close()
    assert entered(path) == {A: "one", B: "two"}


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileError, match="cannot be opened"):
        Ledger(tmp_path / "none" / "ledger.jsonl")
