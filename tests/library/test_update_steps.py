"""A signed update, step by step: which release, what it says of itself, and what goes wrong."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

pytest.importorskip("tuf", reason="signed updates need the extra [tablet]")

from tuf.api import exceptions
from tuf.api.metadata import TargetFile

from spectralid.errors import MissingDependencyError
from spectralid.library import update
from spectralid.library.installed import FILES, Installed, activate, installed
from spectralid.library.update import UpdateError, is_for
from spectralid.library.update_sources import FolderSource, NotThereError, SourceError
from spectralid.tablet import libraries
from tests.casework.server_double import Authority
from tests.reachback.agency import START, Agency, Device, build

SAID = {
    "schema": update.RELEASE,
    "number": 7,
    "library": {"name": "agency", "version": "7", "sha256": "a" * 64},
    "min_engine": "0.1",
    "made_utc": "2026-11-22T12:00:00+00:00",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An agency with one release, made once."""
    agency = Agency(tmp_path_factory.mktemp("agency") / "repository")
    agency.release(1)
    return agency


@pytest.fixture
def device(made, tmp_path):
    return Device(tmp_path / "device", made, FolderSource(made.folder))


def release(number=7, sha256="b" * 64, length=10, **said):
    target = TargetFile.from_dict({"length": length, "hashes": {"sha256": sha256}}, f"library-{number}.h5")
    target.unrecognized_fields["custom"] = SAID | {"number": number} | said
    return update._Release.of(target.path, target)


def in_force(number, folder, signers=("k",)):
    (folder / FILES).mkdir(parents=True, exist_ok=True)
    stamp = "2026-11-22T12:00:00+00:00"
    activate(
        folder,
        Installed(
            number=number, name="agency", version=str(number), sha256="a" * 64, file=f"{number}.h5",
            file_sha256="", made_utc=stamp, installed_utc=stamp, expires_utc=stamp, signers=signers,
        ),
    )  # fmt: skip


# --- the root ----------------------------------------------------------------------------------------------


def test_a_fingerprint_is_read_in_groups_of_four():
    words = update.fingerprint(b"root").split(" ")
    assert len(words) == 16
    assert {len(word) for word in words} == {4}
    assert "".join(words) == "4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2"


@pytest.mark.parametrize(("digits", "taken"), [(31, False), (32, True), (63, True), (64, True)])
def test_how_much_of_the_fingerprint_has_to_be_confirmed(made, tmp_path, digits, taken):
    shown = update.fingerprint(made.root).replace(" ", "")[:digits].upper()
    place = tmp_path / "deep" / "library"
    if not taken:
        with pytest.raises(UpdateError, match=r"at least 32 digits") as caught:
            update.trust(place, made.root, confirmed=shown)
        assert caught.value.code == "not-trusted"
        assert not libraries.trusts_a_repository(tmp_path / "deep")
        return
    (place / "metadata").mkdir(parents=True)
    (place / "metadata" / "of-another-root.json").touch()
    update.trust(place, made.root, confirmed=f"{shown[:8]} {shown[8:]}")
    assert libraries.trusts_a_repository(tmp_path / "deep")
    assert (place / "trust" / "root.json").read_bytes() == made.root
    assert not (place / "metadata").exists()
    update.trust(place, made.root, confirmed=shown)  # once more is no harm


@pytest.mark.parametrize("root", [b"{}", b"not json", b'{"signed": 1, "signatures": []}'])
def test_what_is_no_root_is_not_trusted(tmp_path, root):
    with pytest.raises(UpdateError, match="no root of a repository") as caught:
        update.trust(tmp_path / "library", root, confirmed=update.fingerprint(root))
    assert caught.value.code == "not-trusted"
    assert caught.value.guard == ""


def test_a_list_of_releases_is_no_root(made, tmp_path):
    data = made.file("1.targets.json").read_bytes()
    with pytest.raises(UpdateError, match="no root"):
        update.trust(tmp_path / "library", data, confirmed=update.fingerprint(data))


# --- what a release says of itself -------------------------------------------------------------------------


def test_a_release_says_what_it_is():
    one = release(9, rollout={"percent": 5})
    assert (one.number, one.min_engine, one.made_utc) == (9, "0.1", "2026-11-22T12:00:00+00:00")
    assert (one.sha256, one.rollout) == ("b" * 64, {"percent": 5})
    assert one.library == {"name": "agency", "version": "7", "sha256": "a" * 64}
    assert release(rollout=None).rollout == {}
    with pytest.raises(AttributeError):
        one.number = 10


@pytest.mark.parametrize(
    "said",
    [
        {"schema": "spectralid.library-release/2"},
        {"number": "many"},
        {"library": {"name": "agency"}},
        {"library": None},
        {"made_utc": "yesterday"},
        {"rollout": 7},
    ],
)
def test_a_target_that_is_no_release_is_passed_over(said):
    assert release(**said) is None


def test_a_target_without_words_or_without_a_whole_hash_is_passed_over():
    bare = TargetFile.from_dict({"length": 1, "hashes": {"sha256": "b" * 64}}, "other.h5")
    assert update._Release.of("other.h5", bare) is None
    assert release(sha256="b" * 63) is None
    assert release(sha256="b" * 64) is not None


@pytest.mark.parametrize(
    ("rollout", "has_it"),
    [
        ({}, True),
        ({"sites": ["north"]}, True),
        ({"sites": ["south"]}, False),
        ({"percent": 100}, True),
        ({"percent": 0}, False),
        ({"percent": "100"}, False),
        ({"percent": 0, "sites": ["north"]}, True),
        ({"percent": 100, "sites": []}, True),
        ({"other": 1}, False),
    ],
)
def test_whom_a_release_is_for(rollout, has_it):
    assert is_for(rollout, 7, "tablet-1", "north") is has_it


def test_where_a_device_stands_in_the_draw():
    """SHA-256 of number, a zero byte and name; its first 32 bits as a share."""
    for name in (f"tablet-{n}" for n in range(300)):
        drawn = int.from_bytes(hashlib.sha256(f"7\0{name}".encode()).digest()[:4], "big") / 2**32
        among = [is_for({"percent": percent}, 7, name, "") for percent in range(101)]
        assert among.index(True) == int(100 * drawn) + 1
        assert all(among[among.index(True) :])


# --- which release -----------------------------------------------------------------------------------------


def newest(folder, *releases, signers=("k",), site="", engine="1.10"):
    return update._newest(releases, folder, signers, "tablet-1", site, engine)


def test_the_newest_that_fits_is_taken_whatever_the_order(tmp_path):
    one, two, three = release(1), release(2), release(3)
    assert newest(tmp_path, two, three, one) is three
    in_force(2, tmp_path)
    assert newest(tmp_path, two, three, one) is three
    in_force(3, tmp_path)
    assert newest(tmp_path, two, three, one) == "current"
    assert newest(tmp_path) == "current"


def test_a_newer_one_for_others_is_not_yet_for_this_device(tmp_path):
    others = release(4, rollout={"sites": ["south"]})
    assert newest(tmp_path, others) == "not-yet"
    assert newest(tmp_path, others, release(3)).number == 3
    in_force(3, tmp_path)
    assert newest(tmp_path, others, release(3)) == "not-yet"
    assert newest(tmp_path, others, site="south") is others


def test_numbers_of_other_signers_say_nothing(tmp_path):
    in_force(9, tmp_path, signers=("thief",))
    assert newest(tmp_path, release(2)).number == 2
    in_force(9, tmp_path)
    assert newest(tmp_path, release(2)) == "current"


def test_a_library_waits_for_its_engine(tmp_path):
    with pytest.raises(UpdateError, match=r"library 7 needs spectralid 1\.11, and this is 1\.10") as caught:
        newest(tmp_path, release(8, min_engine="1.11"))
    assert caught.value.code == "newer-engine"
    assert newest(tmp_path, release(8, min_engine="1.10")).number == 8
    assert newest(tmp_path, release(8, min_engine="1.9")).number == 8  # numbers, not letters
    assert newest(tmp_path, release(8, min_engine="2"), release(7)).number == 7


# --- an update ---------------------------------------------------------------------------------------------


def test_what_is_on_record_of_an_installation(made, device):
    with pytest.raises(UpdateError, match="--trust"):
        update.update(device.folder.parent / "other", FolderSource(made.folder))
    done = device.update()
    known = done.library
    assert (done.outcome, known.number, known.name, known.version) == ("installed", 1, "agency", "1")
    assert known.file == f"1-{known.file_sha256[:12]}.h5"
    file = device.folder / FILES / known.file
    assert file.read_bytes() == next(made.folder.glob("targets/*library-1.h5")).read_bytes()
    assert known.installed_utc == START.isoformat(timespec="seconds")
    # The timestamp is what expires first, after a week.
    assert known.expires_utc == (START + timedelta(days=7)).isoformat(timespec="seconds")
    assert known.signers == tuple(sorted(key.public_key.keyid for key in made.targets_keys))
    assert installed(device.folder) == known
    assert device.update() == update.Updated("current", known)
    assert list((device.folder / "incoming").iterdir()) == []


def test_what_an_attempt_left_behind_is_in_nobodys_way(device):
    left = device.folder / "incoming" / "library.h5"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    assert device.update().outcome == "installed"
    assert not left.exists()


@pytest.mark.parametrize(("ahead", "code"), [(-1, ""), (1, "expired")])
def test_the_later_of_clock_and_trusted_time_counts(made, device, ahead, code):
    ends = START + timedelta(days=7)
    device.clock = lambda: START
    device.ratchet = ends + timedelta(hours=ahead)
    if code:
        with pytest.raises(UpdateError) as caught:
            device.update()
        assert caught.value.code == code
        device.clock, device.ratchet = (lambda: ends + timedelta(hours=ahead)), START
        with pytest.raises(UpdateError):
            device.update()
    else:
        assert device.update().outcome == "installed"


def test_each_role_that_has_expired_is_refused_by_name():
    fine = SimpleNamespace(is_expired=lambda _: False)
    late = SimpleNamespace(is_expired=lambda at: at > START)
    update.refuse_expired({"root": fine, "targets": late}, START)
    with pytest.raises(exceptions.ExpiredMetadataError, match=r"targets\.json"):
        update.refuse_expired({"root": fine, "targets": late}, START + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("length", "free", "taken"),
    [
        (1000, 1000 + 64 * 2**20, True),
        (1000, 1000 + 64 * 2**20 - 1, False),
        (64 * 2**20, 127 * 2**20, False),
        (4 * 2**30, 2**40, True),
        (4 * 2**30 + 1, 2**40, False),
    ],
)
def test_room_is_asked_for_before_anything_is_fetched(tmp_path, monkeypatch, length, free, taken):
    monkeypatch.setattr(update.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    fetched = []
    client = SimpleNamespace(download=lambda one, path: fetched.append(path))
    if taken:
        path = update._fetched(client, tmp_path, release(length=length))
        assert fetched == [path] == [tmp_path / "incoming" / "library.h5"]
    else:
        with pytest.raises(UpdateError, match="make room") as caught:
            update._fetched(client, tmp_path, release(length=length))
        assert caught.value.code == "no-room"
        assert f"{length / 1e6:.0f} MB" in str(caught.value)
        assert f"{free / 1e6:.0f} MB are free" in str(caught.value)
        assert fetched == []


@pytest.mark.parametrize("fault", ["other", "broken", "none"])
def test_a_library_is_the_one_announced_or_is_thrown_away(tmp_path, fault):
    path = build(tmp_path / "library.h5", 7)
    from spectralid.library import open_library

    with open_library(path) as library:
        said = {"name": library.name, "version": library.version, "sha256": library.sha256}
    if fault == "other":
        said["version"] = "8"
    elif fault == "broken":
        path.write_bytes(b"no library")
    one = release(library=said)
    if fault == "none":
        update._check(path, one)
        assert path.exists()
        return
    with pytest.raises(UpdateError, match="received as signed and cannot be used") as caught:
        update._check(path, one)
    assert caught.value.code == "damaged"
    assert ("It is agency 7, and another one was announced." in str(caught.value)) is (fault == "other")
    assert not path.exists()


@pytest.mark.parametrize("gone", [False, True])
def test_a_library_that_does_not_open_is_refused_in_its_own_words(tmp_path, monkeypatch, gone):
    from spectralid.errors import LibraryError
    from spectralid.library import verify

    def verify_library(path):
        if gone:
            path.unlink()
        raise LibraryError("It is of a later kind.")

    monkeypatch.setattr(verify, "verify_library", verify_library)
    path = build(tmp_path / "library.h5", 7)
    with pytest.raises(UpdateError, match=r"cannot be used: It is of a later kind\. The library in force"):
        update._check(path, release())
    assert not path.exists()


# --- what may go wrong -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (exceptions.DownloadLengthMismatchError("x"), "too-long"),
        (exceptions.SlowRetrievalError("x"), "unreachable"),
        (exceptions.DownloadHTTPError("x", 404), "unreachable"),
        (exceptions.DownloadError("x"), "unreachable"),
        (exceptions.BadVersionNumberError("x"), "rollback"),
        (exceptions.ExpiredMetadataError("x"), "expired"),
        (exceptions.LengthOrHashMismatchError("x"), "altered"),
        (exceptions.UnsignedMetadataError("x"), "unsigned"),
        (exceptions.RepositoryError("x"), "malformed"),
    ],
)
def test_every_error_of_the_repository_has_a_code(error, code):
    with pytest.raises(
        UpdateError, match=r"stick: the update was refused, because .* \(x\)\. The library"
    ) as caught:
        raised_within(error)
    assert (caught.value.code, caught.value.guard) == (code, type(error).__name__)
    assert caught.value.__cause__ is error


def raised_within(error):
    with update._translated("stick"):
        raise error


def test_the_reason_of_the_source_is_said_where_there_is_one():
    error = exceptions.DownloadError("of tuf")
    error.__cause__ = SourceError("The line is dead.")
    with pytest.raises(UpdateError, match=r"\(The line is dead\.\)"):
        raised_within(error)
    error.__cause__ = ValueError("something inside")
    with pytest.raises(UpdateError, match=r"\(of tuf\)"):
        raised_within(error)


def test_a_source_that_breaks_off_and_a_full_disk_are_said():
    with pytest.raises(UpdateError, match=r"^It broke off\. The library in force stays\.$") as caught:
        raised_within(SourceError("It broke off."))
    assert caught.value.code == "unreachable"
    for error, words in ((OSError(28, "No space left on device"), "No space left"), (OSError("odd"), "odd")):
        with pytest.raises(UpdateError, match=words) as caught:
            raised_within(error)
        assert caught.value.code == "no-room"
    with pytest.raises(ZeroDivisionError):
        raised_within(ZeroDivisionError())


def test_a_source_that_breaks_off_in_the_middle_of_a_file(made, device):
    class Broken(FolderSource):
        def read(self, name):
            pieces = super().read(name)
            yield next(pieces)
            if name.startswith("targets"):
                raise SourceError("The stick was pulled out.")
            yield from pieces

    device.source = Broken(made.folder)
    with pytest.raises(UpdateError, match="pulled out") as caught:
        device.update()
    assert caught.value.code == "unreachable"
    assert installed(device.folder) is None
    device.source = FolderSource(made.folder)
    assert device.update().outcome == "installed"


def test_a_file_that_is_not_there_and_an_empty_one_are_told_apart():
    class Odd:
        def read(self, name):
            if name == "gone":
                raise NotThereError("gone: it is not there.")
            yield from ()

    fetcher = update._fetcher(Odd())
    assert list(fetcher._fetch("empty")) == [b""]

    class Gone:
        def read(self, name):
            raise NotThereError("gone: it is not there.")

    with pytest.raises(exceptions.DownloadHTTPError, match="it is not there") as caught:
        update._fetcher(Gone())._fetch("gone")
    assert caught.value.status_code == 404


def test_one_update_at_a_time(tmp_path):
    def both():
        with update._locked(tmp_path / "library"), update._locked(tmp_path / "library"):
            raise AssertionError

    with pytest.raises(UpdateError, match="under way") as caught:
        both()
    assert caught.value.code == "busy"
    with update._locked(tmp_path / "library"):  # given back, after a failure as well
        pass
    assert (tmp_path / "library" / ".update.lock").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are counted in /proc")
def test_no_file_stays_open(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        update._sync(tmp_path / "file")
        with update._locked(tmp_path):
            pass
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_where_locks_are_not_offered_the_update_is_made_all_the_same(tmp_path, monkeypatch):
    class Elsewhere:
        name = "nt"

        def __getattr__(self, name):
            return getattr(os, name)

    monkeypatch.setattr(update, "os", Elsewhere())
    with update._locked(tmp_path), update._locked(tmp_path):
        assert (tmp_path / ".update.lock").exists()


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path):
    (tmp_path / "library").write_bytes(b"a file")
    with pytest.raises(UpdateError, match="cannot be written to") as caught:
        raised_locked(tmp_path / "library")
    assert caught.value.code == "no-room"


def raised_locked(folder):
    with update._locked(folder):
        raise AssertionError


def test_without_the_package_tuf_it_is_said_what_is_needed(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name == "tuf" or name.startswith("tuf.")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=r"\[tablet\]"):
        update.update(tmp_path, FolderSource(tmp_path))


# --- the tablet's side -------------------------------------------------------------------------------------


def test_a_tablet_trusts_nobody_until_it_was_told(made, tmp_path):
    assert not libraries.trusts_a_repository(tmp_path)
    update.trust(tmp_path / "library", made.root, confirmed=update.fingerprint(made.root))
    assert libraries.trusts_a_repository(tmp_path)
    shutil.rmtree(tmp_path / "library")
    (tmp_path / "library" / "trust" / "root.json").mkdir(parents=True)  # a folder is no root
    assert not libraries.trusts_a_repository(tmp_path)


def test_the_line_is_that_of_the_server_one_is_enrolled_with(tmp_path, monkeypatch):
    from spectralid.casework import enrolment

    monkeypatch.setattr(enrolment, "enrolled", lambda store: None)
    assert libraries.line(SimpleNamespace()) is None
    authority = Authority()
    certificate, key = authority.issue("tablet-1")
    for name, data in (("c.pem", certificate), ("k.pem", key)):
        (tmp_path / name).write_bytes(data)
    asked = []
    found = SimpleNamespace(
        url="https://server.example", ca_pem=authority.pem.decode(), certificate=tmp_path / "c.pem",
        key=tmp_path / "k.pem",
    )  # fmt: skip
    monkeypatch.setattr(enrolment, "enrolled", lambda store: asked.append(store) or found)
    store = SimpleNamespace()
    source = libraries.line(store, read_s=3.0, monotonic=lambda: 7.0)
    assert asked == [store]
    assert (source.url, source.read_s, source.monotonic()) == ("https://server.example/v1/library", 3.0, 7.0)
    assert [dict(x[0] for x in ca["subject"]) for ca in source.tls.get_ca_certs()] == [
        {"commonName": "Test authority"}
    ]
    assert libraries.line(store).read_s == 20.0


def test_a_tablet_trusts_one_authority_alone_and_shows_its_certificate_if_it_can(tmp_path, monkeypatch):
    import ssl

    authority = Authority()
    certificate, key = authority.issue("tablet-1")
    (tmp_path / "c.pem").write_bytes(certificate)
    (tmp_path / "k.pem").write_bytes(key)
    shown = []
    load = ssl.SSLContext.load_cert_chain
    monkeypatch.setattr(
        ssl.SSLContext,
        "load_cert_chain",
        lambda self, *given, **more: (load(self, *given, **more), shown.append(given)),
    )
    for chain, count in (
        ((), 0),
        ((tmp_path / "none.pem", tmp_path / "k.pem"), 0),
        ((tmp_path / "c.pem", tmp_path / "k.pem"), 1),
    ):
        shown.clear()
        context = libraries.tls_context(authority.pem.decode(), *chain)
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname is True
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.cert_store_stats()["x509_ca"] == 1
        assert len(shown) == count


def test_a_tablet_asks_in_its_own_name_and_by_its_trusted_time(made, tmp_path, monkeypatch):
    given = {}

    def noted(folder, source, **options):
        given.update(folder=folder, source=source, **options)
        return "done"

    monkeypatch.setattr(update, "update", noted)
    latest = datetime(2026, 11, 22, tzinfo=UTC)
    clock = SimpleNamespace(wall_utc=lambda: latest)
    store = SimpleNamespace(device_id="tablet-1", time=SimpleNamespace(latest=latest, clock=clock))
    source = FolderSource(made.folder)
    assert libraries.ask(store, tmp_path, source, site="north") == "done"
    assert given == {
        "folder": tmp_path / "library", "source": source, "device_id": "tablet-1", "site": "north",
        "latest": latest, "clock": clock.wall_utc,
    }  # fmt: skip
