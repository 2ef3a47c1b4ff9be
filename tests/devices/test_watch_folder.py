"""The watched folder: complete files, once each, across writers that stall and takers that crash."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid import Spectrum, read_all, write
from spectralid.devices import watch_folder as module
from spectralid.devices.watch_folder import LEDGER_NAME, NoticeKind, WatchFolder
from spectralid.errors import DeviceError, FileError, ParameterError, UnreadableFileError

AXIS = np.linspace(650.0, 4000.0, 400)


def content(tmp_path, seed=0, *, technique="ftir_atr"):
    """Bytes of a JCAMP-DX file; `seed` makes it another measurement."""
    y = np.exp(-0.5 * ((AXIS - 1700 - 10 * seed) / 12) ** 2)
    file = tmp_path / "made.jdx"
    write(Spectrum(AXIS, y, technique, "absorbance", name=f"sample {seed}"), file, overwrite=True)
    return file.read_bytes()


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "export"
    path.mkdir()
    return path


class Looking:
    """A watch whose polls are counted by the test, with what it was told."""

    def __init__(self, folder, read=read_all, **options):
        self.notices = []
        options.setdefault("ledger", folder.parent / "ledger.jsonl")
        self.watch = WatchFolder(folder, read, notify=self.notices.append, wait=self._never, **options)

    @staticmethod
    def _never(seconds):
        raise AssertionError("poll() waits for nothing")

    def polls(self, count):
        """Names taken and acknowledged in so many polls."""
        taken = []
        for _ in range(count):
            for file in self.watch.poll():
                self.watch.acknowledge(file)
                taken.append(file.name)
        return taken

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.watch.close()


def test_taken_when_two_polls_found_it_unchanged(folder, tmp_path):
    data = content(tmp_path)
    (folder / "a.jdx").write_bytes(data)
    with Looking(folder) as looking:
        assert list(looking.watch.poll()) == []
        (file,) = looking.watch.poll()
        assert list(looking.watch.poll()) == []
    (spectrum,) = file.spectra
    assert spectrum == read_all(folder / "a.jdx")[0]
    assert {"from_file", "ftir"} <= spectrum.acquisition.flags
    assert spectrum.acquisition.metadata["file_sha256"] == file.sha256
    assert spectrum.acquisition.metadata["file_name"] == "a.jdx"
    assert spectrum.source == str(folder / "a.jdx")
    assert (folder / "a.jdx").read_bytes() == data


def test_a_raman_file_is_not_called_ftir(folder, tmp_path):
    (folder / "a.jdx").write_bytes(content(tmp_path, technique="raman"))
    with Looking(folder) as looking:
        (file,) = [f for _ in range(2) for f in looking.watch.poll()]
    assert "ftir" not in file.spectra[0].acquisition.flags
    assert "from_file" in file.spectra[0].acquisition.flags


def test_a_growing_file_is_waited_for(folder, tmp_path):
    data = content(tmp_path)
    with Looking(folder) as looking:
        for end in range(0, len(data), 1 + len(data) // 20):
            (folder / "a.jdx").write_bytes(data[:end])
            assert looking.polls(1) == []
        assert looking.watch.unsettled == (folder / "a.jdx",)
        (folder / "a.jdx").write_bytes(data)
        assert looking.polls(2) == ["a.jdx"]
        assert looking.watch.unsettled == ()
    assert looking.notices == []


WRITER = """
import sys
data = open(sys.argv[1], "rb").read()
with open(sys.argv[2], "wb") as file:
    file.write(data[: len(data) // 2])
    file.flush()
    print("half", flush=True)
    sys.stdin.readline()
    file.write(data[len(data) // 2 :])
print("done", flush=True)
"""


def slow_writer(tmp_path, target):
    whole = tmp_path / "whole.jdx"
    whole.write_bytes(content(tmp_path))
    command = [sys.executable, "-c", WRITER, str(whole), str(target)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "half\n"
    return child


def test_a_writer_killed_in_the_middle_and_one_that_comes_to_its_end(folder, tmp_path):
    with Looking(folder) as looking, slow_writer(tmp_path, folder / "a.jdx") as child:
        assert looking.polls(3) == []
        assert looking.notices == []
        child.kill()
        child.wait()
        assert looking.polls(20) == []
        (notice,) = looking.notices
        assert notice.kind is NoticeKind.UNREADABLE
        with pytest.raises(UnreadableFileError) as refused:
            read_all(folder / "a.jdx")
        assert notice.message == str(refused.value)
        half = (folder / "a.jdx").read_bytes()
        assert 0 < len(half) < len(content(tmp_path))

        with slow_writer(tmp_path, folder / "a.jdx") as again:
            assert looking.polls(3) == []
            again.stdin.write("go on\n")
            again.stdin.flush()
            assert again.stdout.readline() == "done\n"
            assert looking.polls(2) == ["a.jdx"]
    assert len(looking.notices) == 1


def test_a_file_that_stays_unreadable_is_read_twice_however_long_it_lies(folder):
    reads = []

    def read(file, *, name):
        reads.append(name)
        raise UnreadableFileError("it is nothing.", file=name)

    (folder / "a.txt").write_bytes(b"nothing")
    with Looking(folder, read, report_after=4) as looking:
        looking.polls(4)
        assert looking.notices == []
        looking.polls(30)
        assert len(looking.notices) == 1
        assert len(reads) == 2
        (folder / "a.txt").write_bytes(b"nothing else")
        looking.polls(30)
    assert len(looking.notices) == 2


def test_renamed_into_place(folder, tmp_path):
    (folder / "a.jdx.tmp").write_bytes(content(tmp_path))
    (folder / "~$a.jdx").write_bytes(b"lock")
    (folder / ".hidden.jdx").write_bytes(content(tmp_path, 1))
    with Looking(folder) as looking:
        assert looking.polls(10) == []
        (folder / "a.jdx.tmp").rename(folder / "a.jdx")
        assert looking.polls(2) == ["a.jdx"]
    assert looking.notices == []


def test_replaced_by_a_rename(folder, tmp_path):
    (folder / "last.jdx").write_bytes(content(tmp_path, 0))
    with Looking(folder) as looking:
        assert looking.polls(2) == ["last.jdx"]
        other = folder / "new.tmp"
        other.write_bytes(content(tmp_path, 1))
        before = os.stat(folder / "last.jdx")
        # The same size and time: only the inode betrays it.
        os.truncate(other, before.st_size)
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.replace(folder / "last.jdx")
        (file,) = [f for _ in range(2) for f in looking.watch.poll()]
        assert "file_rewritten" in file.spectra[0].acquisition.flags


def test_deleted_before_it_was_read(folder, tmp_path):
    (folder / "a.jdx").write_bytes(content(tmp_path, 0))
    (folder / "b.jdx").write_bytes(content(tmp_path, 1))
    with Looking(folder) as looking:
        looking.polls(1)
        files = looking.watch.poll()
        first = next(files)
        other = {"a.jdx": "b.jdx", "b.jdx": "a.jdx"}[first.name]
        (folder / other).unlink()
        assert list(files) == []
        assert looking.watch.unsettled == ()
    assert looking.notices == []


def test_changed_while_it_was_read(folder, tmp_path, monkeypatch):
    data = content(tmp_path)
    (folder / "a.txt").write_bytes(data[:-40])
    seen = []

    def read(file, *, name):
        seen.append(file.read())
        file.seek(0)
        return read_all(file, name=name)

    original = module._content

    def growing(path, size):
        monkeypatch.setattr(module, "_content", original)
        got = original(path, size)
        (folder / "a.txt").write_bytes(data)
        return got

    monkeypatch.setattr(module, "_content", growing)
    with Looking(folder, read) as looking:
        assert looking.polls(2) == []
        assert looking.polls(2) == ["a.txt"]
    assert seen == [data]


def test_a_share_that_gives_less_than_it_lists(folder, monkeypatch):
    (folder / "a.csv").write_text("".join(f"{x},{x % 7}\n" for x in range(400, 500)))
    original = module._content
    with Looking(folder) as looking:
        with monkeypatch.context() as patched:
            patched.setattr(module, "_content", lambda path, size: original(path, size)[:-200])
            assert looking.polls(20) == []
        assert ["the size it is listed with" in n.message for n in looking.notices] == [True]
        assert looking.polls(1) == ["a.csv"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EBUSY, errno.EIO])
def test_locked_by_its_writer(folder, tmp_path, monkeypatch, number):
    """What a lock looks like on Windows: opening fails, and nothing of the file changes when it ends."""
    (folder / "a.jdx").write_bytes(content(tmp_path))
    locked = True
    original = os.open

    def guarded(path, flags, *rest):
        if locked and Path(path).name == "a.jdx":
            raise OSError(number, os.strerror(number), str(path))
        return original(path, flags, *rest)

    with Looking(folder) as looking:
        monkeypatch.setattr(os, "open", guarded)
        assert looking.polls(20) == []
        (notice,) = looking.notices
        assert os.strerror(number) in notice.message
        assert str(folder / "a.jdx") in notice.message
        locked = False
        assert looking.polls(1) == ["a.jdx"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_permission_denied_and_granted(folder, tmp_path):
    (folder / "a.jdx").write_bytes(content(tmp_path))
    (folder / "a.jdx").chmod(0)
    with Looking(folder) as looking:
        assert looking.polls(10) == []
        assert "Permission denied" in looking.notices[0].message
        (folder / "a.jdx").chmod(0o600)
        assert looking.polls(2) == ["a.jdx"]


def test_a_folder_whose_files_cannot_be_looked_at(folder, tmp_path, monkeypatch):
    (folder / "a.jdx").write_bytes(content(tmp_path))
    denied = True

    def refuse(call):
        def guarded(path, *rest, **named):
            if denied and str(path).endswith("a.jdx"):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return call(path, *rest, **named)

        return guarded

    with Looking(folder) as looking:
        monkeypatch.setattr(os, "stat", refuse(os.stat))
        monkeypatch.setattr(os, "open", refuse(os.open))
        assert looking.polls(10) == []
        assert [n.message for n in looking.notices] == [
            f"{folder / 'a.jdx'}: it cannot be opened (Permission denied)."
        ]
        denied = False
        assert looking.polls(2) == ["a.jdx"]


def test_the_folder_one_is_in(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    Path("a.jdx").write_bytes(content(tmp_path))
    with Looking(Path("."), ledger=LEDGER_NAME) as looking:
        assert looking.polls(3) == ["a.jdx"]
    assert looking.notices == []


def test_an_empty_file(folder, tmp_path):
    (folder / "a.jdx").touch()
    with Looking(folder) as looking:
        assert looking.polls(20) == []
        assert [n.message for n in looking.notices] == [f"{folder / 'a.jdx'}: it is empty."]
        (folder / "a.jdx").write_bytes(content(tmp_path))
        assert looking.polls(2) == ["a.jdx"]


def test_a_huge_file_is_not_even_opened(folder, monkeypatch):
    with (folder / "a.jdx").open("wb") as file:
        file.truncate(3 * 2**30)
    monkeypatch.setattr(module, "_content", lambda *_: pytest.fail("it was opened"))
    with Looking(folder) as looking:
        assert looking.polls(20) == []
    assert [n.message for n in looking.notices] == [
        f"{folder / 'a.jdx'}: it is 3072 MB, more than the 128 MB a spectrum file may have."
    ]


NAMES = ["Proben für Ümläute.jdx", "样品 7.jdx", "a\u0301.jdx", "🧪.jdx", "new\nline.jdx", "  spaces .jdx"]


def test_names_of_any_script_across_a_restart(folder, tmp_path):
    names = list(NAMES)
    if sys.platform == "linux":
        names.append(os.fsdecode(b"latin-\xe9.jdx"))
    for number, name in enumerate(names):
        (folder / name).write_bytes(content(tmp_path, number))
    with Looking(folder) as looking:
        assert set(looking.polls(2)) == set(names)
    with Looking(folder) as looking:
        assert looking.polls(10) == []
    assert looking.notices == []


@pytest.mark.skipif(os.name != "posix", reason="no pipes with a name there")
def test_what_is_no_file_is_left_alone(folder, tmp_path):
    os.mkfifo(folder / "pipe.jdx")
    (folder / "folder.jdx").mkdir()
    (folder / "nowhere.jdx").symlink_to(folder / "missing")
    (tmp_path / "far.jdx").write_bytes(content(tmp_path))
    (folder / "link.jdx").symlink_to(tmp_path / "far.jdx")
    with Looking(folder) as looking:
        assert looking.polls(10) == ["link.jdx"]
    assert looking.notices == []


def test_content_decides_what_is_new(folder, tmp_path):
    (folder / "a.jdx").write_bytes(content(tmp_path))
    with Looking(folder) as looking:
        assert looking.polls(2) == ["a.jdx"]
        (folder / "copy.jdx").write_bytes(content(tmp_path))
        assert looking.polls(10) == []
        (notice,) = looking.notices
        assert notice.kind is NoticeKind.DUPLICATE
        assert "copy.jdx" in notice.message
        assert "taken before as a.jdx" in notice.message
    with Looking(folder) as looking:
        assert looking.polls(10) == []
        (folder / "a.jdx").write_bytes(content(tmp_path, 1))
        (file,) = [f for _ in range(2) for f in looking.watch.poll()]
        assert file.name == "a.jdx"
        assert "file_rewritten" in file.spectra[0].acquisition.flags


def test_touching_a_file_does_not_make_it_new(folder, tmp_path):
    (folder / "a.jdx").write_bytes(content(tmp_path))
    with Looking(folder) as looking:
        assert looking.polls(2) == ["a.jdx"]
        os.utime(folder / "a.jdx", (1, 1))
        assert looking.polls(5) == []
    assert looking.notices == []


def test_two_copies_at_once_are_one(folder, tmp_path):
    for name in ("a.jdx", "b.jdx"):
        (folder / name).write_bytes(content(tmp_path))
    with Looking(folder) as looking:
        # Not acknowledged before the second is looked at.
        files = [f for _ in range(3) for f in looking.watch.poll()]
    assert len(files) == 1
    assert [n.kind for n in looking.notices] == [NoticeKind.DUPLICATE]


def test_not_acknowledged_is_given_again_after_a_restart(folder, tmp_path):
    (folder / "a.jdx").write_bytes(content(tmp_path))
    for _ in range(3):
        with Looking(folder) as looking:
            (file,) = [f for _ in range(5) for f in looking.watch.poll()]
            assert file.name == "a.jdx"
    with Looking(folder) as looking:
        assert looking.polls(5) == ["a.jdx"]
    with Looking(folder) as looking:
        assert looking.polls(5) == []


TAKER = """
import os, sys
from spectralid import read_all
from spectralid.devices.watch_folder import WatchFolder
folder, ledger, when = sys.argv[1:]
with WatchFolder(folder, read_all, ledger=ledger, poll_s=0.001) as watch:
    for path, spectrum in watch:
        print(path.name, flush=True)
        if when == "before":
            os.kill(os.getpid(), 9)
        watch.ack()
        if when == "after":
            os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(os.name != "posix", reason="a kill that cannot be caught")
def test_a_taker_killed_before_and_after_it_acknowledged(folder, tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    (folder / "a.jdx").write_bytes(content(tmp_path))

    def run(when):
        command = [sys.executable, "-c", TAKER, str(folder), str(ledger), when]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    for when in ("before", "before", "after"):
        done = run(when)
        assert (done.returncode, done.stdout) == (-9, "a.jdx\n"), done.stderr
    with Looking(folder) as looking:
        assert looking.polls(5) == []


def test_several_spectra_are_one_file(folder, tmp_path):
    spectra = [Spectrum(AXIS, np.sin(AXIS / (50 + n)) + 2, "ftir", name=str(n)) for n in range(3)]
    write(spectra, folder / "a.h5")
    turns = iter(range(100))

    def some(acknowledged):
        options = {"ledger": tmp_path / "l.jsonl", "wait": lambda _: next(turns)}
        with WatchFolder(folder, read_all, **options) as watch:
            given = []
            for _path, spectrum in watch.present():
                given.append(spectrum.name)
                if len(given) in acknowledged:
                    watch.ack()
            return given

    assert some({1, 3}) == ["0", "1", "2"]
    assert some({1, 2, 3}) == ["0", "1", "2"]
    assert some(set()) == []


def test_acknowledging_nothing(folder):
    with Looking(folder) as looking, pytest.raises(DeviceError, match="no spectrum to acknowledge"):
        looking.watch.ack()


def test_order_of_appearance_whatever_the_clock_says(folder, tmp_path):
    with Looking(folder) as looking:
        for number, name in enumerate(["z", "m", "a"]):
            (folder / f"{name}.jdx").write_bytes(content(tmp_path, number))
            # Each appears with an earlier time than the one before: somebody sets the clock back.
            os.utime(folder / f"{name}.jdx", (10**9 - number, 10**9 - number))
            looking.watch._look()
        assert looking.polls(1) == ["z.jdx", "m.jdx", "a.jdx"]


def test_a_growing_file_keeps_its_place_and_a_rewritten_one_goes_to_the_end(folder, tmp_path):
    def put(name, data, age):
        (folder / name).write_bytes(data)
        os.utime(folder / name, (10**9 - age, 10**9 - age))

    whole, other = content(tmp_path, 1), content(tmp_path, 2)
    with Looking(folder) as looking:
        put("a.jdx", whole[:300], 50)
        looking.polls(1)
        put("a.jdx", whole, 10)
        put("b.jdx", other, 20)
        assert looking.polls(2) == ["a.jdx", "b.jdx"]
        put("c.jdx", content(tmp_path, 3), 9)
        put("a.jdx", content(tmp_path, 4), 8)
        assert looking.polls(2) == ["c.jdx", "a.jdx"]


@pytest.mark.skipif(os.name != "posix", reason="no pipes with a name there")
def test_a_pipe_put_in_a_files_place_does_not_stop_everything(folder):
    os.mkfifo(folder / "a.jdx")
    got = []
    thread = threading.Thread(target=lambda: got.append(module._content(folder / "a.jdx", 10)), daemon=True)
    thread.start()
    thread.join(30)
    assert got == [b""]


def test_a_stuck_file_does_not_hold_up_the_others(folder, tmp_path):
    (folder / "a.jdx").write_bytes(content(tmp_path)[:200])
    with Looking(folder) as looking:
        looking.polls(1)
        (folder / "b.jdx").write_bytes(content(tmp_path, 1))
        assert looking.polls(2) == ["b.jdx"]


def test_subfolders(folder, tmp_path):
    (folder / "day 1" / "case").mkdir(parents=True)
    (folder / "day 1" / "case" / "a.jdx").write_bytes(content(tmp_path))
    if os.name == "posix":
        (folder / "day 1" / "loop").symlink_to(folder)
    with Looking(folder) as looking:
        assert looking.polls(5) == []
    with Looking(folder, subfolders=True) as looking:
        assert looking.polls(5) == ["day 1/case/a.jdx"]
    assert looking.notices == []


def test_a_folder_that_goes_and_comes_back(folder, tmp_path):
    (folder / "a.jdx").write_bytes(content(tmp_path))
    away = tmp_path / "away"
    with Looking(folder) as looking:
        assert looking.polls(2) == ["a.jdx"]
        folder.rename(away)
        assert looking.polls(10) == []
        assert [n.kind for n in looking.notices] == [NoticeKind.FOLDER_LOST]
        away.rename(folder)
        (folder / "b.jdx").write_bytes(content(tmp_path, 1))
        assert looking.polls(5) == ["b.jdx"]
    assert [n.kind for n in looking.notices] == [NoticeKind.FOLDER_LOST, NoticeKind.FOLDER_BACK]


def test_the_ledger_in_the_folder_is_no_spectrum(folder, tmp_path):
    (folder / "a.jdx").write_bytes(content(tmp_path))
    for name in (LEDGER_NAME, "taken.txt"):
        with Looking(folder, ledger=folder / name) as looking:
            assert looking.polls(10) == ["a.jdx"]
            assert looking.notices == []
        (folder / name).unlink()


def test_without_a_ledger_it_remembers_while_it_lives(folder, tmp_path):
    (folder / "a.jdx").write_bytes(content(tmp_path))
    with Looking(folder, ledger=None) as looking:
        assert looking.polls(5) == ["a.jdx"]
        (folder / "b.jdx").write_bytes(content(tmp_path))
        assert looking.polls(5) == []
    assert [path.name for path in folder.iterdir() if path.suffix != ".jdx"] == []


def test_pass_over_present(folder, tmp_path):
    (folder / "old.jdx").write_bytes(content(tmp_path))
    with Looking(folder) as looking:
        looking.watch.pass_over_present()
        (folder / "new.jdx").write_bytes(content(tmp_path, 1))
        assert looking.polls(3) == ["new.jdx"]
        (folder / "old.jdx").write_bytes(content(tmp_path, 2))
        assert looking.polls(3) == ["old.jdx"]


def test_stop_ends_before_the_next_spectrum(folder, tmp_path):
    for number in range(3):
        (folder / f"{number}.jdx").write_bytes(content(tmp_path, number))
    waits = []
    with WatchFolder(folder, read_all, ledger=tmp_path / "l", wait=waits.append) as watch:
        names = []
        for path, _ in watch:
            names.append(path.name)
            watch.stop()
        assert len(names) == 1
        assert waits == [1.0]


def test_a_long_wait_ends_soon_after_stop(folder, monkeypatch):
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        watch.stop()

    monkeypatch.setattr(module.time, "sleep", sleep)
    with WatchFolder(folder, read_all, poll_s=3600) as watch:
        assert list(watch) == []
    assert slept == [0.2]


def test_a_reader_with_a_defect_does_not_end_the_watch(folder, tmp_path):
    def read(file, *, name):
        if name.endswith("a.jdx"):
            raise ZeroDivisionError("division by zero")
        return read_all(file, name=name)

    (folder / "a.jdx").write_bytes(content(tmp_path, 0))
    (folder / "b.jdx").write_bytes(content(tmp_path, 1))
    with Looking(folder, read) as looking:
        assert looking.polls(10) == ["b.jdx"]
    (notice,) = looking.notices
    assert "ZeroDivisionError" in notice.message
    assert "a.jdx" in notice.message


def test_a_wrong_option_ends_it(folder, tmp_path):
    (folder / "a.jdx").write_bytes(content(tmp_path))
    looking = Looking(folder, lambda file, *, name: read_all(file, name=name, laser_nm=3.0))
    with looking, pytest.raises(ParameterError, match="laser_nm"):
        looking.polls(2)


@pytest.mark.parametrize("wrong", [{"poll_s": 0}, {"poll_s": float("nan")}, {"report_after": 0}])
def test_wrong_options(folder, wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        WatchFolder(folder, read_all, **wrong)


def test_no_such_folder(tmp_path):
    with pytest.raises(FileError, match="no such folder"):
        WatchFolder(tmp_path / "none", read_all)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "poll", "restart", "rewrite"]), st.integers(0, 2), st.integers(1, 4)
    ),
    max_size=40,
)


def _complete(file, *, name):
    """Reader of a format with an end mark: one to nine digits and a full stop."""
    data = file.read()
    if not (data.endswith(b".") and data[:-1].isdigit()):
        raise UnreadableFileError("it has no end.", file=name)
    return [Spectrum([1.0, 2.0], [1.0, float(data[:-1])])]


@given(STEPS)
def test_any_order_of_writing_polling_and_restarting(tmp_path_factory, steps):
    """Every complete content is given exactly once, nothing incomplete ever."""
    folder = tmp_path_factory.mktemp("any")
    ledger = tmp_path_factory.mktemp("ledger") / "l.jsonl"
    looking = Looking(folder, _complete, ledger=ledger)
    wanted, taken = [f"{n}00{n}7." for n in range(1, 4)], []

    def poll():
        for file in looking.watch.poll():
            taken.append(file.spectra[0].intensity[1])
            looking.watch.acknowledge(file)

    for action, which, amount in steps:
        path, text = folder / f"{which}.txt", wanted[which]
        if action == "append" and not (path.exists() and path.read_text() == text):
            present = path.read_text() if path.exists() else ""
            path.write_text(text[: len(present) + amount])
        elif action == "rewrite":
            path.write_text("")
        elif action == "poll":
            poll()
        elif action == "restart":
            looking.watch.close()
            looking = Looking(folder, _complete, ledger=ledger)
    for which, text in enumerate(wanted):
        (folder / f"{which}.txt").write_text(text)
    poll(), poll(), poll()
    looking.watch.close()
    assert sorted(taken) == [float(text[:-1]) for text in wanted]
