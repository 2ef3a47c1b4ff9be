"""Files read in a process of its own: what they cannot do to the process that asked."""

from __future__ import annotations

import json
import os
import struct
import threading

import numpy as np
import pytest

from spectralid import sandbox
from spectralid.sandbox import BrokenError, Limits
from spectralid.sandbox.answers import pack, unpack

pytestmark = pytest.mark.skipif(not sandbox.available(), reason="this system cannot fork")


def asked(name, data=b"abc", limits=None, **options):
    return sandbox.run(f"tests.hostile:{name}", data, options, limits)


def still_works():
    assert asked("good", times=3).said == {"times": 3}


def test_numbers_and_words_come_back(tmp_path):
    found = asked("good", times=2)
    assert found.said == {"times": 2}
    np.testing.assert_array_equal(found.arrays[0], [194.0, 196.0, 198.0])
    assert found.arrays[1].shape == (0, 3)
    assert (found.arrays[2].dtype, found.arrays[2].tolist()) == (np.dtype(bool), [[True], [False]])
    path = tmp_path / "file"
    path.write_bytes(b"\x01\x02")
    assert asked("good", path, times=1).arrays[0].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("how", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_what_kills_its_reader_costs_one_file(how):
    with pytest.raises(BrokenError, match="ended the process"):
        asked("dies", how=how)
    still_works()


@pytest.mark.parametrize("name", ["spins", "ignores_its_end"])
def test_processor_time_is_limited(name):
    with pytest.raises(BrokenError, match=r"processor time|ended the process"):
        asked(name, limits=Limits(cpu_s=1))
    still_works()


def test_time_by_the_clock_is_limited():
    with pytest.raises(BrokenError, match=r"more than 0\.2 s"):
        asked("waits", limits=Limits(wall_s=0.2))
    still_works()


def test_memory_is_limited():
    with pytest.raises(BrokenError, match="64 MB of memory"):
        asked("hoards", limits=Limits(memory_bytes=64 * 2**20))
    assert asked("hoards", limits=Limits(memory_bytes=4 * 2**30)).said == {"held": 200}


def test_nothing_is_written(tmp_path):
    path = tmp_path / "written"
    with pytest.raises(BrokenError):
        asked("writes", path=str(path))
    assert not path.exists() or path.read_bytes() == b""
    still_works()


def test_what_is_handed_back_is_limited():
    with pytest.raises(BrokenError, match="more than 1000000 bytes"):
        asked("talks_too_much", limits=Limits(result_bytes=1_000_000))
    still_works()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00" * 7,
        b"\xff" * 64,
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 4) + b"null",
        b"".join(pack({}, [np.ones(3)]))[:-1],
        b"".join(pack({}, [])) + b"more",
    ],
)
def test_what_is_no_answer_is_refused(raw):
    with pytest.raises(BrokenError):
        asked("says_something_else", raw=raw.hex())
    still_works()


@pytest.mark.parametrize(("name", "said"), [("raises", "status 70"), ("hands_over_an_object", "no answer")])
def test_errors_of_its_reader_end_with_it(name, said):
    with pytest.raises(BrokenError, match=said):
        asked(name)


def test_a_keeper_that_was_killed_is_replaced():
    with pytest.raises(BrokenError, match="begun"):
        asked("stops_its_keeper")
    still_works()


def test_threads_take_turns():
    found: list[float] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(asked("good", bytes([n]), times=1).arrays[0][0]))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_forked_process_has_a_line_of_its_own():
    still_works()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writing, json.dumps(asked("good", times=7).said).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with open(reading, "rb") as file:
        assert json.loads(file.read()) == {"times": 7}
    assert os.waitpid(child, 0)[1] == 0
    still_works()


@pytest.mark.parametrize(
    "head",
    [
        {"said": 1, "arrays": [["|O", [1]]]},
        {"said": 1, "arrays": [["<f8", [-1]]]},
        {"said": 1, "arrays": [["<f8", [2**62, 4]]]},
        {"said": 1, "arrays": [["<f8", [True]]]},
        {"said": 1, "arrays": [["nonsense", [1]]]},
        {"said": 1, "arrays": [[["<f8"], [1]]]},
        {"said": 1, "arrays": 3},
        {"arrays": []},
        [],
    ],
)
def test_forms_that_nobody_packs_are_refused(head):
    said = json.dumps(head).encode()
    with pytest.raises(ValueError):  # noqa: PT011
        unpack(struct.pack("<Q", len(said)) + said + b"\x00" * 8)
