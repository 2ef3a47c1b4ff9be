"""A device takes libraries from the signed repository: what it takes, and each attack with what stops it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from datetime import timedelta

import pytest

pytest.importorskip("tuf", reason="signed updates need the extra [tablet]")

from spectralid.library import update
from spectralid.library.installed import installed, open_installed
from spectralid.library.update import UpdateError, is_for
from spectralid.library.update_sources import FolderSource, HttpSource, SourceError
from spectralid.reachback.errors import ConflictError, NotFoundError
from spectralid.reachback.releases import repository
from spectralid.reachback.releases.repository import KeyRefusedError
from tests.reachback.agency import START, Agency, Device, Server, build, source_of


@pytest.fixture
def agency(tmp_path):
    return Agency(tmp_path / "repository")


@pytest.fixture(params=["http", "usb"])
def device(agency, tmp_path, request):
    """A device that asks the agency's folder, by line and from a stick in turn."""
    return Device(tmp_path / "device", agency, source_of(request.param, agency.folder, request))


@pytest.fixture
def usb(agency, tmp_path):
    return Device(tmp_path / "device", agency, FolderSource(agency.folder))


def refused(device, code, guard="", **options):
    """The update is refused so, and what was in force stays in force."""
    before = installed(device.folder)
    with pytest.raises(UpdateError) as caught:
        device.update(**options)
    assert (caught.value.code, caught.value.guard) == (code, guard), str(caught.value)
    assert installed(device.folder) == before
    if before is not None:
        assert open_installed(device.folder).sha256 == before.sha256
    return str(caught.value)


def in_force(device):
    library = open_installed(device.folder)
    return None if library is None else library.version


def resigned(path, key, **changed):
    """Metadata with other facts, signed with a key."""
    from tuf.api.metadata import Metadata

    metadata = Metadata.from_file(str(path))
    for name, value in changed.items():
        setattr(metadata.signed, name, value)
    metadata.sign(key)
    return metadata.to_bytes()


# --- what is taken -----------------------------------------------------------------------------------------


def test_the_newest_release_is_installed_and_the_one_before_kept(agency, device):
    assert device.update().outcome == "nothing"
    for number in (1, 2, 3):
        agency.release(number)
        done = device.update()
        assert (done.outcome, done.library.number, in_force(device)) == ("installed", number, str(number))
    assert device.update().outcome == "current"
    files = sorted(path.name[0] for path in (device.folder / "files").iterdir())
    assert files == ["2", "3"]


def test_a_damaged_library_is_passed_over_for_the_one_before_it(agency, usb):
    for number in (1, 2):
        agency.release(number)
        usb.update()
    path = usb.folder / "files" / installed(usb.folder).file
    data = bytearray(path.read_bytes())
    data[-2000] ^= 1
    path.write_bytes(data)
    assert in_force(usb) == "1"
    for path in (usb.folder / "files").iterdir():
        path.write_bytes(b"")
    assert open_installed(usb.folder) is None


def test_without_a_trusted_root_nothing_is_taken(agency, tmp_path):
    agency.release(1)
    with pytest.raises(UpdateError, match="--trust") as caught:
        update.update(tmp_path / "other", FolderSource(agency.folder))
    assert caught.value.code == "not-trusted"
    for root, confirmed in (
        (agency.root, "00" * 32),
        (agency.root, update.fingerprint(agency.root)[:20]),
        (b"{}", update.fingerprint(b"{}")),
    ):
        with pytest.raises(UpdateError) as caught:
            update.trust(tmp_path / "other", root, confirmed=confirmed)
        assert caught.value.code == "not-trusted"


def test_a_release_is_handed_out_by_and_by(agency, usb):
    agency.release(1)
    usb.update()
    agency.release(2, rollout={"sites": ["north"], "percent": 0})
    assert usb.update(site="south").outcome == "not-yet"
    assert usb.update(site="north").outcome == "installed"
    agency.release(3, rollout={"percent": 100})
    assert usb.update().library.number == 3


def test_the_share_of_devices_is_the_share_stated_and_drawn_anew_for_each_release():
    def having(number, percent):
        return {n for n in range(4000) if is_for({"percent": percent}, number, f"tablet-{n}", "")}

    assert abs(len(having(7, 10)) / 4000 - 0.10) < 0.02
    assert having(7, 10) < having(7, 50)  # who has it keeps it when the share grows
    assert len(having(7, 10) & having(8, 10)) < 100
    assert not having(7, 0)
    assert len(having(7, 100)) == 4000


def test_a_release_handed_out_to_more_devices_is_the_same_release(agency, usb):
    file = build(agency.folder.parent / "one.h5", 1)
    agency.release(1, file, rollout={"sites": ["north"]})
    assert usb.update().outcome == "not-yet"
    staged = repository.stage_targets(
        agency.folder, change={"library-1.h5": agency.custom(1, file)}, now=agency.time
    )
    repository.sign(staged, agency.targets_keys[0])
    agency.publish()
    assert usb.update().outcome == "installed"


def test_a_library_for_a_newer_engine_is_refused_before_it_is_fetched(agency, device):
    agency.release(1)
    device.update()
    agency.release(2, min_engine="99.0")
    assert "update the program" in refused(device, "newer-engine")
    assert not (device.folder / "incoming" / "library.h5").exists()
    # One in between that this engine can use is taken.
    agency.release(3)
    assert device.update().library.number == 3


def test_what_is_signed_and_is_no_library_is_refused(agency, usb, tmp_path):
    agency.release(1)
    usb.update()
    good = build(tmp_path / "good.h5", 2)
    bad = tmp_path / "bad.h5"
    data = bytearray(good.read_bytes())
    data[-2000] ^= 1
    bad.write_bytes(data)
    for file in (bad, build(tmp_path / "other.h5", 4)):
        said = agency.custom(2, good)
        target = repository.Target("library-2.h5", file, said)
        repository.sign(
            repository.stage_targets(agency.folder, [target], now=agency.time), agency.targets_keys[0]
        )
        agency.publish()
        refused(usb, "damaged")


def test_an_old_library_goes_on_identifying_and_says_its_age(agency, usb):
    agency.release(1)
    usb.update()
    agency.passes(days=40)
    refused(usb, "expired", "ExpiredMetadataError")
    known = installed(usb.folder)
    assert known.age_days(agency.time) == 40
    assert known.is_overdue(agency.time)
    assert not known.is_overdue(START)
    assert "40 days old" in known.words(agency.time)
    assert "goes on identifying" in known.words(agency.time)
    assert in_force(usb) == "1"


# --- attacks -----------------------------------------------------------------------------------------------


def test_rollback_to_an_older_repository(agency, device, tmp_path):
    agency.release(1)
    old = agency.copy(tmp_path / "old")
    agency.release(2)
    device.update()
    shutil.rmtree(agency.folder)
    shutil.copytree(old, agency.folder)
    refused(device, "rollback", "BadVersionNumberError")


def test_rollback_of_the_library_alone_by_who_has_the_online_keys(agency, device):
    """The list of releases with its old version, vouched for anew: the snapshot known here says better."""
    agency.release(1)
    agency.release(2)
    device.update()
    for name in ("3.targets.json",):
        agency.file(name).unlink()
    agency.refresh(everything=True)
    refused(device, "rollback", "BadVersionNumberError")


def test_freeze(agency, device):
    agency.release(1)
    device.update()
    agency.passes(days=8)
    refused(device, "expired", "ExpiredMetadataError")
    agency.refresh()
    assert device.update().outcome == "current"


@pytest.mark.parametrize("guard", ["both", "tuf alone", "own alone", "none"])
def test_freeze_with_the_clock_set_back(agency, device, monkeypatch, guard):
    """The latest trusted time counts; each of the two guards alone refuses, without both it gets through."""
    agency.release(1)
    device.update()
    agency.passes(days=8)
    device.ratchet, device.clock = agency.time, lambda: START
    if guard in ("own alone", "none"):
        monkeypatch.setattr(update, "set_reference_time", lambda updater, _: clocked(updater, START))
    if guard in ("tuf alone", "none"):
        monkeypatch.setattr(update, "refuse_expired", lambda signed, reference: None)
    if guard == "none":
        assert device.update().outcome == "current"
    else:
        refused(device, "expired", "ExpiredMetadataError")


def clocked(updater, moment):
    updater._trusted_set.reference_time = moment


def test_a_clock_ahead_refuses_and_harms_nothing(agency, usb):
    agency.release(1)
    usb.update()
    usb.clock = lambda: START + timedelta(days=400)
    refused(usb, "expired", "ExpiredMetadataError")
    usb.clock = lambda: START
    assert usb.update().outcome == "current"


def test_mix_and_match(agency, tmp_path, request):
    """The list of releases of one state under the snapshot of another."""
    agency.release(1)
    old = agency.file("2.targets.json").read_bytes()
    agency.release(2)
    agency.file("3.targets.json").write_bytes(old)
    for kind in ("http", "usb"):
        device = Device(tmp_path / kind, agency, source_of(kind, agency.folder, request))
        refused(device, "rollback", "BadVersionNumberError")


def test_mix_of_snapshots(agency, device):
    agency.release(1)
    old = agency.file("2.snapshot.json").read_bytes()
    agency.release(2)
    agency.file("3.snapshot.json").write_bytes(old)
    refused(device, "altered", "LengthOrHashMismatchError")


def test_a_library_with_a_byte_changed(agency, device):
    agency.release(1)
    device.update()
    agency.release(2)
    (file,) = (agency.folder / "targets").glob("*library-2.h5")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    refused(device, "altered", "LengthOrHashMismatchError")
    file.write_bytes(data[:-1])
    refused(device, "altered", "LengthOrHashMismatchError")


def test_a_snapshot_with_a_byte_more(agency, device):
    agency.release(1)
    with agency.file("2.snapshot.json").open("ab") as file:
        file.write(b" ")
    refused(device, "too-long", "DownloadLengthMismatchError")


def test_one_of_two_root_signatures(agency, device):
    agency.release(1)
    device.update()
    staged = repository.stage_root(agency.folder, now=agency.time)
    repository.sign(staged, agency.root_keys[0])
    with pytest.raises(KeyRefusedError, match="cannot be published yet"):
        agency.publish()
    shutil.copy(staged, agency.file("2.root.json"))
    refused(device, "unsigned", "UnsignedMetadataError")
    # The second one makes it hold.
    agency.file("2.root.json").unlink()
    repository.sign(staged, agency.root_keys[2])
    assert agency.publish() == ("root",)
    assert device.update().outcome == "current"


def test_one_of_two_targets_signatures(tmp_path):
    agency = Agency(tmp_path / "repository", targets=2)
    staged = agency.release(1, sign=False)
    repository.sign(staged, agency.targets_keys[0])
    with pytest.raises(KeyRefusedError, match="cannot be published yet"):
        agency.publish()
    repository.sign(staged, agency.targets_keys[1])
    agency.publish()
    assert Device(tmp_path / "device", agency, FolderSource(agency.folder)).update().outcome == "installed"


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_signed_with_another_key(agency, tmp_path, role):
    from securesystemslib.signer import CryptoSigner

    agency.release(1)
    name = "timestamp.json" if role == "timestamp" else f"2.{role}.json"
    stranger = CryptoSigner.generate_ed25519()
    agency.file(name).write_bytes(resigned(agency.file(name), stranger))
    if role == "snapshot":  # the timestamp has its hash; let it agree
        data = agency.file(name).read_bytes()
        newest = resigned(
            agency.file("timestamp.json"), agency.timestamp, snapshot_meta=repository._of(2, data)
        )
        agency.file("timestamp.json").write_bytes(newest)
    refused(
        Device(tmp_path / "device", agency, FolderSource(agency.folder)), "unsigned", "UnsignedMetadataError"
    )


def test_endless_data(agency, tmp_path):
    """Each file is read no further than it may be long, however long it goes on."""
    agency.release(1)
    server = Server(agency.folder)
    source = HttpSource(server.url)
    sent = []

    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            while len(sent) < 100_000:
                handler.wfile.write(b" " * 1024)
                sent.append(1)

    try:
        device = Device(tmp_path / "device", agency, source)
        (file,) = (agency.folder / "targets").iterdir()
        for path in ("/metadata/timestamp.json", f"/targets/{file.name}", "/metadata/2.root.json"):
            server.lies = {path: endless}
            sent.clear()
            refused(device, "too-long", "DownloadLengthMismatchError")
            assert len(sent) < 20_000
        server.lies = {}
        assert device.update().outcome == "installed"
    finally:
        source.close()
        server.close()


def test_endless_and_odd_files_on_a_stick(agency, usb):
    agency.release(1)
    newest = agency.file("timestamp.json")
    good = newest.read_bytes()
    with newest.open("r+b") as file:
        file.truncate(200_000_000)  # a hole: nothing on the disk, and long
    refused(usb, "too-long", "DownloadLengthMismatchError")
    newest.unlink()
    os.mkfifo(newest)  # nobody writes into it
    refused(usb, "unreachable", "DownloadError")
    newest.unlink()
    newest.symlink_to("/dev/zero")
    refused(usb, "unreachable", "DownloadError")
    newest.unlink()
    newest.mkdir()
    refused(usb, "unreachable", "DownloadError")
    newest.rmdir()
    newest.write_bytes(good)
    assert usb.update().outcome == "installed"


def test_a_line_that_yields_a_byte_now_and_then(agency, tmp_path):
    agency.release(1)
    server = Server(agency.folder)
    ticks = iter(range(0, 10**6, 2000))
    source = HttpSource(server.url, total_s=1000.0, monotonic=lambda: next(ticks))

    def trickle(handler):
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(1000):
                handler.wfile.write(b" ")
                handler.wfile.flush()

    server.lies = {"/metadata/timestamp.json": trickle}
    try:
        said = refused(Device(tmp_path / "device", agency, source), "unreachable", "DownloadError")
        assert "takes longer than 1000 s" in said
    finally:
        source.close()
        server.close()


def test_fast_forward_is_recovered_from_by_new_keys(agency, device):
    """Who stole the online keys uses up all version numbers; new keys make devices forget them."""
    agency.release(1)
    device.update()
    good = {name: agency.file(name).read_bytes() for name in ("2.snapshot.json", "timestamp.json")}
    far = resigned(agency.file("2.snapshot.json"), agency.snapshot, version=10**6)
    agency.file(f"{10**6}.snapshot.json").write_bytes(far)
    newest = resigned(
        agency.file("timestamp.json"), agency.timestamp, version=10**6,
        snapshot_meta=repository._of(10**6, far),
    )  # fmt: skip
    agency.file("timestamp.json").write_bytes(newest)
    assert device.update().outcome == "current"
    agency.file(f"{10**6}.snapshot.json").unlink()
    agency.file("timestamp.json").write_bytes(good["timestamp.json"])
    agency.release(2)
    refused(device, "rollback", "BadVersionNumberError")
    agency.rotate("snapshot", "timestamp")
    assert device.update().library.number == 2


def test_release_numbers_used_up_by_who_stole_the_key_of_releases(agency, device):
    agency.release(1)
    agency.release(10**6)
    assert device.update().library.number == 10**6
    agency.rotate("targets")
    agency.release(2)
    repository.stage_targets(agency.folder, remove=[f"library-{10**6}.h5"], now=agency.time)
    (staged,) = (agency.folder / "staged").iterdir()
    repository.sign(staged, agency.targets_keys[0])
    agency.publish()
    assert device.update().library.number == 2


def test_a_sign_in_page_in_place_of_the_server(agency, tmp_path):
    agency.release(1)
    server, other = Server(agency.folder), Server(agency.folder)
    source = HttpSource(server.url)

    def page(handler):
        body = b"<html>sign in</html>"
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def elsewhere(handler):
        handler.send_response(302)
        handler.send_header("Location", f"{other.url}/metadata/timestamp.json")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    try:
        device = Device(tmp_path / "device", agency, source)
        server.lies = {"/metadata/timestamp.json": page}
        refused(device, "malformed", "DeserializationError")
        server.lies = {"/metadata/timestamp.json": elsewhere}
        refused(device, "unreachable", "DownloadError")
        assert other.asked == []
    finally:
        source.close()
        server.close()
        other.close()


def test_plain_http_to_another_machine_is_refused():
    from spectralid.errors import ParameterError

    for url in ("http://192.0.2.1/v1/library", "ftp://127.0.0.1/", "file:///tmp"):
        with pytest.raises(ParameterError, match="https"):
            HttpSource(url)


def test_a_name_cannot_lead_out_of_the_folder(tmp_path):
    (tmp_path / "secret").write_text("s")
    (tmp_path / "stick").mkdir()
    for name in ("../secret", str(tmp_path / "secret"), "metadata/../../secret", ""):
        with pytest.raises(SourceError):
            b"".join(FolderSource(tmp_path / "stick").read(name))


def test_two_updates_at_a_time(agency, usb):
    agency.release(1)
    with update._locked(usb.folder):
        refused(usb, "busy")
    assert usb.update().outcome == "installed"


# --- power cuts --------------------------------------------------------------------------------------------


class PowerCut(BaseException):
    """The power goes."""


class Cutting:
    """Cuts the power at the n-th step on the disk; what was not synced by then is lost."""

    CALLS = ("replace", "fsync", "write", "unlink", "mkdir", "rmdir")

    def __init__(self, folder, at):
        self.folder, self.left = folder, at
        self.synced = set()
        self.known = {path.stat().st_ino for path in folder.rglob("*") if path.is_file()}

    def __enter__(self):
        self.real = {name: getattr(os, name) for name in self.CALLS}
        for name in self.CALLS:
            setattr(os, name, self.counted(name))
        return self

    def __exit__(self, *_):
        for name, real in self.real.items():
            setattr(os, name, real)

    def counted(self, name):
        real = self.real[name]

        def step(*arguments, **options):
            if self.left == 0:
                raise PowerCut
            self.left -= 1
            if name in ("replace", "unlink"):
                self.forget(arguments[-1], options.get("dir_fd"))
            done = real(*arguments, **options)
            if name == "fsync":
                self.synced.add(os.fstat(arguments[0]).st_ino)
            return done

        return step

    def forget(self, path, dir_fd):
        """A file goes; the next one that gets its number is another."""
        with contextlib.suppress(OSError):
            gone = os.stat(path, dir_fd=dir_fd, follow_symlinks=False).st_ino
            self.synced.discard(gone)
            self.known.discard(gone)

    def lose(self):
        """Of files written since the start and not synced, half is there."""
        for path in self.folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                facts = path.stat()
                if facts.st_ino not in self.known | self.synced:
                    os.truncate(path, facts.st_size // 2)


def test_power_cut_at_each_step_of_an_installation(agency, usb, tmp_path):
    """Old or new, never a mixture; and the next update makes it the new one."""
    agency.release(1)
    usb.update()
    agency.release(2)
    prepared = tmp_path / "prepared"
    shutil.copytree(usb.folder, prepared, symlinks=True)
    seen, at = set(), 0
    while True:
        shutil.rmtree(usb.folder)
        shutil.copytree(prepared, usb.folder, symlinks=True)
        with Cutting(usb.folder, at) as power:
            try:
                usb.update()
                over = True
            except PowerCut:
                over = False
        if over:
            break
        power.lose()
        version = in_force(usb)
        assert version in ("1", "2"), at
        assert installed(usb.folder).version == version, at  # the one in force is whole: no falling back
        seen.add(version)
        usb.update()
        assert in_force(usb) == "2", at
        at += 1
    assert seen == {"1", "2"}
    assert at > 20


def test_power_cut_at_each_step_of_publishing(agency, usb, tmp_path):
    """Devices see the old state or the new one, and doing it again ends well."""
    agency.release(1)
    usb.update()
    staged = agency.release(2, sign=False)
    repository.sign(staged, agency.targets_keys[0])
    prepared, device = agency.copy(tmp_path / "prepared"), tmp_path / "kept"
    shutil.copytree(usb.folder, device, symlinks=True)
    at, seen = 0, set()
    while True:
        for place, copy in ((agency.folder, prepared), (usb.folder, device)):
            shutil.rmtree(place)
            shutil.copytree(copy, place, symlinks=True)
        with Cutting(agency.folder, at) as power:
            try:
                agency.publish()
                over = True
            except PowerCut:
                over = False
        if over:
            break
        power.lose()
        seen.add(usb.update().library.number)
        with contextlib.suppress(NotFoundError, ConflictError):
            agency.publish()
        agency.refresh(everything=True)
        assert usb.update().library.number == 2, at
        at += 1
    assert seen == {1, 2}


# --- the repository ----------------------------------------------------------------------------------------


def test_times_of_the_roles_and_what_is_due(agency):
    left = {one.role: round(one.days_left(START)) for one in repository.state(agency.folder)}
    assert left == {"root": 365, "targets": 180, "snapshot": 30, "timestamp": 7}
    keys = {one.role: (one.keys, one.threshold) for one in repository.state(agency.folder)}
    assert keys == {"root": (3, 2), "targets": (1, 1), "snapshot": (1, 1), "timestamp": (1, 1)}
    assert agency.refresh() == ()
    agency.passes(days=4)
    assert agency.refresh() == ("timestamp",)
    agency.passes(days=12)
    assert agency.refresh() == ("snapshot", "timestamp")


def test_a_device_that_slept_through_several_roots(agency, usb):
    agency.release(1)
    usb.update()
    for _ in range(3):
        agency.rotate("timestamp", "snapshot")
    agency.release(2)
    assert usb.update().library.number == 2


def test_one_key_for_two_roles_is_refused(tmp_path):
    agency = Agency(tmp_path / "repository")
    with pytest.raises(KeyRefusedError, match="twice"):
        repository.create(
            tmp_path / "other", root=agency.root_keys, targets=agency.targets_keys,
            snapshot=agency.timestamp, timestamp=agency.timestamp, now=START,
        )  # fmt: skip
    with pytest.raises(ConflictError):
        repository.create(
            agency.folder, root=agency.root_keys, targets=agency.targets_keys,
            snapshot=agency.snapshot, timestamp=agency.timestamp, now=START,
        )  # fmt: skip


def test_nothing_is_published_that_is_not_next_or_without_the_servers_keys(agency, usb):
    agency.release(1)
    staged = agency.release(2, sign=False)
    repository.sign(staged, agency.targets_keys[0])
    before = {path.name: path.read_bytes() for path in (agency.folder / "metadata").iterdir()}
    with pytest.raises(KeyRefusedError, match="none of the role"):
        repository.publish(
            agency.folder, snapshot=agency.timestamp, timestamp=agency.snapshot, now=agency.time
        )
    for key in (agency.timestamp, agency.root_keys[0]):
        with pytest.raises(KeyRefusedError, match="none of the role"):
            repository.refresh(agency.folder, snapshot=key, timestamp=agency.timestamp, now=agency.time)
    staged.write_bytes(resigned(staged, agency.targets_keys[0], version=7))
    with pytest.raises(ConflictError, match="3 is next"):
        agency.publish()
    assert {path.name: path.read_bytes() for path in (agency.folder / "metadata").iterdir()} == before
    staged.write_bytes(b"{}")
    with pytest.raises(KeyRefusedError):
        agency.publish()
    with pytest.raises(KeyRefusedError):
        repository.sign(staged, agency.targets_keys[0])


def test_keys_are_encrypted_files(tmp_path):
    path = tmp_path / "keys" / "root-1.key"
    keyid = repository.make_key(path, "correct horse battery")
    assert b"ENCRYPTED" in path.read_bytes()
    assert repository.read_key(path, "correct horse battery").public_key.keyid == keyid
    for passphrase in ("wrong horse battery", ""):
        with pytest.raises(KeyRefusedError):
            repository.read_key(path, passphrase)
    with pytest.raises(KeyRefusedError, match="never replaced"):
        repository.make_key(path, "correct horse battery")
    with pytest.raises(KeyRefusedError, match="12 characters"):
        repository.make_key(tmp_path / "short.key", "short")
    path.chmod(0o644)
    with pytest.raises(KeyRefusedError, match="chmod"):
        repository.read_key(path, "correct horse battery")


def test_only_files_of_a_repository_are_handed_out(agency):
    agency.release(1)
    (file,) = (agency.folder / "targets").iterdir()
    assert repository.served(agency.folder, "targets", file.name) == file
    assert repository.served(agency.folder, "metadata", "timestamp.json").is_file()
    staged = agency.release(2, sign=False).name
    for kind, name in (
        ("staged", staged), ("metadata", f"../staged/{staged}"), ("metadata", "99.root.json"),
        ("targets", "library-1.h5"), ("targets", ".."), ("metadata", "timestamp.json\n"),
    ):  # fmt: skip
        with pytest.raises(NotFoundError):
            repository.served(agency.folder, kind, name)


def test_the_pointer_is_plain_and_bad_ones_count_as_none(agency, usb):
    agency.release(1)
    usb.update()
    path = usb.folder / "installed.json"
    good = json.loads(path.read_text())
    assert good["libraries"][0]["version"] == "1"
    for bad in (
        b"", b"{", b"[]", b"null", json.dumps(good | {"schema": "x"}).encode(),
        json.dumps(good | {"libraries": [{**good["libraries"][0], "file": "../../x"}]}).encode(),
    ):  # fmt: skip
        path.write_bytes(bad)
        assert installed(usb.folder) is None
        assert open_installed(usb.folder) is None
