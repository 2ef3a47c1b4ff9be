"""Archives by people who mean well, and by people who do not."""

from __future__ import annotations

import contextlib
import io
import stat
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.errors import UnreadableFileError
from spectralid.library.unpack import UnpackLimits, split_rows, unpack


def zipped(path, *members, compression=zipfile.ZIP_DEFLATED):
    """A zip archive of (name or ZipInfo, bytes)."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data, compression)
    return path


def written(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_takes_what_is_asked_for_and_counts_the_rest(tmp_path):
    archive = zipped(
        tmp_path / "a.zip", ("one.TXT", b"1"), ("sub/two.txt", b"2"), ("sub/", b""), ("readme.pdf", b"3")
    )
    found = unpack(archive, tmp_path / "out", include=["*.txt"])
    assert (found.taken, found.left) == (2, 1)
    assert written(tmp_path / "out") == {"one.TXT": b"1", "sub/two.txt": b"2"}


def test_any_other_file_is_copied(tmp_path):
    (tmp_path / "table.csv").write_bytes(b"1,2\n")
    assert unpack(tmp_path / "table.csv", tmp_path / "out").taken == 1
    assert written(tmp_path / "out") == {"table.csv": b"1,2\n"}


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "a/../../evil.txt",
        "/evil.txt",
        "..\\evil.txt",
        "C:\\evil.txt",
        "a\nb.txt",
        "\\evil.txt",
    ],
)
def test_a_name_that_leads_elsewhere_refuses_the_whole_archive(tmp_path, name):
    archive = zipped(tmp_path / "a.zip", ("good.txt", b"1"), (name, b"2"))
    with pytest.raises(UnreadableFileError, match="the name leads out of the folder or is none"):
        unpack(archive, tmp_path / "deep" / "out")
    assert set(written(tmp_path)) == {"a.zip"}


@given(st.text(min_size=1, max_size=30))
def test_whatever_a_member_is_called_nothing_is_written_outside(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("zip")
    try:
        archive = zipped(folder / "a.zip", (name, b"x"))
    except (UnicodeEncodeError, IndexError):
        return
    with contextlib.suppress(UnreadableFileError):
        unpack(archive, folder / "deep" / "out")
    assert all(place.startswith(("a.zip", "deep/out/")) for place in written(folder))


def test_a_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(UnreadableFileError, match=r"link\.txt: the archive holds a link"):
        unpack(zipped(tmp_path / "a.zip", (link, b"/etc/passwd")), tmp_path / "out")


def test_two_files_of_one_name_are_refused_in_any_case(tmp_path):
    with pytest.raises(UnreadableFileError, match="two files of this name"):
        unpack(zipped(tmp_path / "a.zip", ("a.txt", b"1"), ("A.TXT", b"2")), tmp_path / "out")


def test_an_encrypted_member_is_refused(tmp_path):
    archive = zipped(tmp_path / "a.zip", ("a.txt", b"1"))
    data = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    archive.write_bytes(data)
    with pytest.raises(UnreadableFileError, match="it is encrypted"):
        unpack(archive, tmp_path / "out")


def test_limits(tmp_path):
    archive = zipped(tmp_path / "a.zip", *((f"{i}.txt", b"x" * 100) for i in range(5)))
    with pytest.raises(UnreadableFileError, match="5 files, more than the 4 allowed"):
        unpack(archive, tmp_path / "1", limits=UnpackLimits(files=4))
    with pytest.raises(UnreadableFileError, match="larger than is allowed"):
        unpack(archive, tmp_path / "2", limits=UnpackLimits(total_bytes=499))
    assert unpack(archive, tmp_path / "3", limits=UnpackLimits(files=5, total_bytes=500)).taken == 5


def test_a_bomb_is_stopped_by_what_comes_out_of_it(tmp_path):
    archive = zipped(tmp_path / "a.zip", ("bomb.txt", bytes(50_000_000)))
    assert archive.stat().st_size < 100_000
    with pytest.raises(UnreadableFileError, match=r"bomb\.txt: unpacked, it is larger than is allowed"):
        unpack(archive, tmp_path / "out")
    assert sum(map(len, written(tmp_path / "out").values())) < 12_000_000


def test_a_size_that_is_a_lie_is_noticed(tmp_path):
    archive = zipped(tmp_path / "a.zip", ("a.txt", bytes(3_000_000)))
    data = bytearray(archive.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 10)
    archive.write_bytes(data)
    with pytest.raises(UnreadableFileError):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.6, 0.95])
def test_truncated(tmp_path, keep):
    whole = zipped(tmp_path / "a.zip", ("a.txt", bytes(range(256)) * 50), ("b.txt", b"2" * 5000)).read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(UnreadableFileError, match="damaged or cut short"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_web_page_in_place_of_the_archive(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"<html>Please accept our terms</html>")
    with pytest.raises(UnreadableFileError, match="damaged or cut short"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_damaged_byte_gives_the_files_or_one_sentence(tmp_path_factory, position, change):
    folder = tmp_path_factory.mktemp("zip")
    buffer = io.BytesIO()
    zipped(buffer, ("a.txt", b"hello " * 20), ("b/c.txt", b"there"))
    data = bytearray(buffer.getvalue())
    data[position % len(data)] ^= change
    (folder / "a.zip").write_bytes(data)
    with contextlib.suppress(UnreadableFileError):
        unpack(folder / "a.zip", folder / "out")


def test_an_archive_that_is_not_there(tmp_path):
    with pytest.raises(UnreadableFileError, match="cannot be read or unpacked"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_split_rows(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{i},{i}\n" for i in range(5)), encoding="utf-8")
    assert split_rows(tmp_path / "t.csv", 2) == 3
    assert {k: v.decode() for k, v in written(tmp_path).items()} == {
        "t-0001.csv": "x,y\n0,0\n1,1\n",
        "t-0002.csv": "x,y\n2,2\n3,3\n",
        "t-0003.csv": "x,y\n4,4\n",
    }
    with pytest.raises(UnreadableFileError, match="cannot be divided"):
        split_rows(tmp_path / "t.csv", 2)


def test_a_file_without_a_name_is_refused(tmp_path):
    """As a damaged byte may make of any archive."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.csv", "1,2")
        archive.infolist()[0].filename = ""
    with pytest.raises(UnreadableFileError, match="without a name"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
