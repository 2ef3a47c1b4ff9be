"""A newer library from the agency's signed repository (The Update Framework), by line or from a USB stick.

What is trusted is one file, the *root*, whose fingerprint a person compares once. From it follow the keys
that sign releases and those that vouch for their being the newest. An update that is not in order changes
nothing: the library in force stays in force, whatever its age.

The time against which signatures expire is the later of this machine's clock and the latest time known to be
past (`spectralid.casework.clock.TrustedTime.latest`, signed by a server): a clock that was set back does not
make a repository acceptable that somebody holds back.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Literal

import spectralid
from spectralid.errors import LibraryError, MissingDependencyError
from spectralid.files import sync_folder, write_whole
from spectralid.library.installed import FILES, Installed, activate, installed
from spectralid.library.update_sources import NotThereError, SourceError
from spectralid.vouching import version_numbers

if TYPE_CHECKING:
    from tuf.api.metadata import TargetFile, Targets
    from tuf.ngclient import FetcherInterface, Updater

    from spectralid.library.update_sources import Source

__all__ = ["RELEASE", "UpdateError", "Updated", "fingerprint", "is_for", "trust", "update"]

RELEASE: Final = "spectralid.library-release/1"
"""Schema of what a release says of itself (the field ``custom`` of its target)."""

_ROOT: Final = Path("trust", "root.json")
_METADATA: Final = "metadata"
_INCOMING: Final = "incoming"
_LOCK: Final = ".update.lock"
_SHORTEST_FINGERPRINT: Final = 32
_LARGEST: Final = 4 * 2**30
"""Bytes of a library file; of what the metadata may have, the configuration of `Updater` below."""
_ROOM: Final = 64 * 2**20
_ROLES: Final = ("root", "timestamp", "snapshot", "targets")


class UpdateError(LibraryError):
    """An update that was not taken; what is installed stays in force.

    Attributes
    ----------
    code : str
        Never changes: ``not-trusted``, ``rollback``, ``expired``, ``unsigned``, ``altered``, ``too-long``,
        ``unreachable``, ``malformed``, ``newer-engine``, ``no-room``, ``damaged``, ``busy``.
    guard : str
        The check that refused it: the name of the error of the package ``tuf``, where it was one.
    """

    def __init__(self, message: str, *, code: str, guard: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.guard = guard


@dataclass(frozen=True, slots=True)
class Updated:
    """What came of asking for a newer library.

    Attributes
    ----------
    outcome : {"installed", "current", "not-yet", "nothing"}
        A newer one is in force now; what is in force is the newest; a newer one is not yet for this device;
        the repository has no release.
    library : Installed or None
        What is in force.
    """

    outcome: Literal["installed", "current", "not-yet", "nothing"]
    library: Installed | None


def fingerprint(root: bytes) -> str:
    """What a person compares before a root is trusted: its SHA-256 in groups of four digits."""
    digits = hashlib.sha256(root).hexdigest()
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def trust(folder: str | os.PathLike[str], root: bytes, *, confirmed: str) -> None:
    """Take a root as that of the agency, from now on.

    Parameters
    ----------
    folder : path
        Of the installed libraries; made if need be.
    root : bytes
        The file ``1.root.json`` of the repository, or a later one.
    confirmed : str
        Its fingerprint, or at least the first 32 digits of it, as a person has it from the agency.

    Raises
    ------
    UpdateError
        If that is not its fingerprint, or it is no root that signs itself.
    """
    from_tuf = _tuf()
    digits = "".join(confirmed.split()).lower()
    if len(digits) < _SHORTEST_FINGERPRINT or not hashlib.sha256(root).hexdigest().startswith(digits):
        raise UpdateError(
            f"The fingerprint given is not that of this root, which is {fingerprint(root)}; do not use it "
            f"unless the agency confirms all of it (at least {_SHORTEST_FINGERPRINT} digits are needed).",
            code="not-trusted",
        )
    try:
        read = from_tuf.Metadata.from_bytes(root)
        read.signed.verify_delegate("root", read.signed_bytes, read.signatures)
    except (from_tuf.RepositoryError, AttributeError, ValueError) as error:
        raise UpdateError(f"It is no root of a repository ({error}).", code="not-trusted") from None
    place = Path(folder)
    with _locked(place):
        (place / _ROOT).parent.mkdir(parents=True, exist_ok=True)
        # What was known of the repository belongs to the former root.
        shutil.rmtree(place / _METADATA, ignore_errors=True)
        write_whole(place / _ROOT, [root])


def update(
    folder: str | os.PathLike[str],
    source: Source,
    *,
    device_id: str = "",
    site: str = "",
    latest: datetime | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    engine: str = spectralid.__version__,
) -> Updated:
    """Install the newest library that is for this device, if there is one.

    Parameters
    ----------
    folder : path
        Of the installed libraries; `trust` was given its root.
    source : Source
        The repository.
    device_id, site : str
        Of this device, for releases that are handed out by and by.
    latest : datetime, optional
        The latest time known to be past.
    clock : callable
        What the clock of this machine says.
    engine : str
        Version of spectralid that is to use it.

    Returns
    -------
    Updated

    Raises
    ------
    UpdateError
        If anything is not in order; nothing has changed then.
    """
    place = Path(folder)
    with _locked(place), _translated(str(source)):
        now = clock()
        client = _Client(place, source, max(now, latest) if latest else now)
        found = _newest(client.releases(), place, client.signers, device_id, site, engine)
        known = installed(place)
        if isinstance(found, str):
            return Updated("not-yet" if found == "not-yet" else "current" if known else "nothing", known)
        path = _fetched(client, place, found)
        _check(path, found)
        done = Installed(
            number=found.number,
            name=found.library["name"],
            version=found.library["version"],
            sha256=found.library["sha256"],
            file=f"{found.number}-{found.sha256[:12]}.h5",
            file_sha256=found.sha256,
            made_utc=found.made_utc,
            installed_utc=now.astimezone(UTC).isoformat(timespec="seconds"),
            expires_utc=client.expires.isoformat(timespec="seconds"),
            signers=client.signers,
        )
        _sync(path)
        client.sync()
        files = place / FILES
        files.mkdir(exist_ok=True)
        os.replace(path, files / done.file)
        sync_folder(files)
        activate(place, done)
        return Updated("installed", done)


# --- which release -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Release:
    """A release as the signed metadata describe it."""

    path: str
    target: TargetFile
    number: int
    library: Mapping[str, str]
    min_engine: str
    made_utc: str
    rollout: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        return str(self.target.hashes.get("sha256", ""))

    @classmethod
    def of(cls, path: str, target: TargetFile) -> _Release | None:
        """``None`` for a target that is no release of a library, or one of a later kind."""
        said = target.custom
        try:
            if said["schema"] != RELEASE:
                return None
            library = {name: str(said["library"][name]) for name in ("name", "version", "sha256")}
            release = cls(
                path,
                target,
                int(said["number"]),
                library,
                str(said["min_engine"]),
                datetime.fromisoformat(said["made_utc"]).isoformat(),
                dict(said.get("rollout") or {}),
            )
        except (KeyError, TypeError, ValueError):
            return None
        return release if len(release.sha256) == 64 else None


def is_for(rollout: Mapping[str, Any], number: int, device_id: str, site: str) -> bool:
    """Whether a release that is handed out by and by is for a device yet.

    Parameters
    ----------
    rollout : mapping
        ``{}`` for all; ``sites``: names of those that have it; ``percent``: of all devices, 0 … 100. Either
        is enough. Which devices are among the first is drawn anew for each release.
    number : int
        Of the release.
    device_id, site : str
        The device, and where it belongs.
    """
    if not rollout:
        return True
    drawn = int(hashlib.sha256(f"{number}\0{device_id}".encode()).hexdigest()[:8], 16) / 2**32
    percent = rollout.get("percent", 0)
    return site in rollout.get("sites", ()) or (isinstance(percent, int) and 100 * drawn < percent)


def _newest(
    releases: Sequence[_Release],
    folder: Path,
    signers: tuple[str, ...],
    device_id: str,
    site: str,
    engine: str,
) -> _Release | Literal["not-yet", "current"]:
    known = installed(folder)
    # Numbers of releases that other keys signed say nothing: whoever stole those may have used all up.
    last = known.number if known is not None and known.signers == signers else 0
    newer = sorted((one for one in releases if one.number > last), key=lambda one: -one.number)
    mine = [one for one in newer if is_for(one.rollout, one.number, device_id, site)]
    if not mine:
        return "not-yet" if newer else "current"
    usable = [one for one in mine if version_numbers(one.min_engine) <= version_numbers(engine)]
    if not usable:
        raise UpdateError(
            f"The library {mine[0].library['version']} needs spectralid {mine[0].min_engine}, and this is "
            f"{engine}; update the program first. The library in force stays.",
            code="newer-engine",
        )
    return usable[0]


# --- the repository ----------------------------------------------------------------------------------------


class _Client:
    """What the repository says, after everything has been verified.

    Two guards keep expired metadata out, because ``tuf`` asks the clock of the machine and offers no way to
    give it another time: its own check is made against the time given here, and after it the files that it
    took are looked at once more through its public interface.
    """

    def __init__(self, folder: Path, source: Source, reference: datetime) -> None:
        from_tuf = _tuf()
        root = folder / _ROOT
        if not root.is_file():
            raise UpdateError(
                "No agency's repository is trusted here yet; give its root and the fingerprint of it: "
                "spectralid library update --trust ROOT.json --fingerprint …",
                code="not-trusted",
            )
        self._metadata = folder / _METADATA
        self._metadata.mkdir(parents=True, exist_ok=True)
        self._updater: Updater = from_tuf.Updater(
            str(self._metadata),
            "metadata/",
            target_base_url="targets/",
            fetcher=_fetcher(source),
            config=from_tuf.UpdaterConfig(max_root_rotations=64, targets_max_length=1_000_000),
            bootstrap=root.read_bytes(),
        )
        set_reference_time(self._updater, reference)
        self._updater.refresh()
        signed = {role: from_tuf.Metadata.from_file(str(self._file(role))).signed for role in _ROLES}
        refuse_expired(signed, reference)
        self.expires: datetime = min(metadata.expires for metadata in signed.values())
        self.signers: tuple[str, ...] = tuple(sorted(signed["root"].roles["targets"].keyids))
        self._targets: Targets = signed["targets"]

    def releases(self) -> tuple[_Release, ...]:
        """Every release; each as the updater itself knows it, not as it lies on the disk."""
        named = (self._updater.get_targetinfo(path) for path in self._targets.targets)
        found = (_Release.of(target.path, target) for target in named if target is not None)
        return tuple(one for one in found if one is not None)

    def download(self, release: _Release, path: Path) -> None:
        """The file of a release, of the length and with the hash that were signed."""
        self._updater.download_target(release.target, str(path))

    def sync(self) -> None:
        """Bring what is known of the repository to the disk: it keeps an older one from being taken."""
        for role in _ROLES:
            _sync(self._file(role))
        sync_folder(self._metadata)

    def _file(self, role: str) -> Path:
        return self._metadata / f"{role}.json"


def set_reference_time(updater: Updater, reference: datetime) -> None:
    """Let ``tuf`` judge by this time what has expired."""
    updater._trusted_set.reference_time = reference


def refuse_expired(signed: Mapping[str, Any], reference: datetime) -> None:
    """See, whatever ``tuf`` did with that time, that nothing has expired by it."""
    for role, metadata in signed.items():
        if metadata.is_expired(reference):
            raise _tuf().ExpiredMetadataError(f"{role}.json is expired")


def _fetched(client: _Client, folder: Path, release: _Release) -> Path:
    size = release.target.length
    free = shutil.disk_usage(folder).free
    if size > _LARGEST or free < size + _ROOM:
        raise UpdateError(
            f"The library {release.library['version']} has {size / 1e6:.0f} MB, and {free / 1e6:.0f} MB are "
            "free; make room.",
            code="no-room",
        )
    incoming = folder / _INCOMING
    # Of an attempt that was broken off.
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir()
    path = incoming / "library.h5"
    client.download(release, path)
    return path


def _check(path: Path, release: _Release) -> None:
    """See that the file is a library, whole, and the one that the release names."""
    from spectralid.library.store import ReferenceLibrary
    from spectralid.library.verify import verify_library

    try:
        problems = verify_library(path)
        if not problems:
            with ReferenceLibrary(path) as library:
                stated = {"name": library.name, "version": library.version, "sha256": library.sha256}
            if stated != dict(release.library):
                problems = (f"It is {stated['name']} {stated['version']}, and another one was announced.",)
    except LibraryError as error:
        problems = (str(error),)
    if problems:
        path.unlink(missing_ok=True)
        raise UpdateError(
            f"The library {release.library['version']} was received as signed and cannot be used: "
            f"{problems[0]} The library in force stays.",
            code="damaged",
        )


# --- what may go wrong -------------------------------------------------------------------------------------

_CODES: Final = (
    ("DownloadLengthMismatchError", "too-long", "more bytes came than were signed"),
    ("SlowRetrievalError", "unreachable", "the bytes came too slowly"),
    ("DownloadError", "unreachable", "a file could not be read"),
    ("BadVersionNumberError", "rollback", "it is older than what is known, or put together from several"),
    (
        "ExpiredMetadataError",
        "expired",
        "nobody has vouched for it in time: somebody may be holding newer ones back",
    ),
    ("LengthOrHashMismatchError", "altered", "a file is not the one that was signed"),
    ("UnsignedMetadataError", "unsigned", "it is not signed by those who have to"),
    ("RepositoryError", "malformed", "it is not in order"),
)


@contextlib.contextmanager
def _translated(source: str) -> Iterator[None]:
    from_tuf = _tuf()
    try:
        yield
    except (from_tuf.RepositoryError, from_tuf.DownloadError) as error:
        # The last of the codes is that of the family: one always fits.
        fits = (row for row in _CODES if isinstance(error, getattr(from_tuf, row[0])))
        _, code, words = next(fits)
        why = error.__cause__ if isinstance(error.__cause__, SourceError) else error
        raise UpdateError(
            f"{source}: the update was refused, because {words} ({why}). The library in force stays.",
            code=code,
            guard=type(error).__name__,
        ) from error
    except SourceError as error:
        raise UpdateError(f"{error} The library in force stays.", code="unreachable") from None
    except OSError as error:
        raise UpdateError(
            f"The update cannot be written ({error.strerror or error}); make room, or let the folder be "
            "written to. The library in force stays.",
            code="no-room",
        ) from None


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One update at a time; where locks are not offered, whoever starts two has to see to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UpdateError(f"{folder}: it cannot be written to ({error.strerror}).", code="no-room") from None
    try:
        if os.name == "posix":
            import fcntl

            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UpdateError(f"{folder}: another update is under way.", code="busy") from None
        yield
    finally:
        os.close(handle)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fetcher(source: Source) -> FetcherInterface:
    """A fetcher of ``tuf`` that reads from a source; ``tuf`` bounds what is read."""
    from tuf.api.exceptions import DownloadHTTPError
    from tuf.ngclient import FetcherInterface

    class Fetcher(FetcherInterface):
        def _fetch(self, url: str) -> Iterator[bytes]:
            try:
                pieces = source.read(url)
                # The first piece now, so that a file that is not there is told from one that breaks off.
                first = next(pieces, b"")
            except NotThereError as error:
                raise DownloadHTTPError(str(error), 404) from error
            return itertools.chain((first,), pieces)

    return Fetcher()


def _tuf() -> Any:
    """What is needed of the package ``tuf``, loaded when first asked for."""
    try:
        from tuf.api import exceptions
        from tuf.api.metadata import Metadata
        from tuf.ngclient import Updater, UpdaterConfig
    except ImportError:
        raise MissingDependencyError("tuf", extra="tablet", purpose="to take in a signed library") from None
    errors = {name: getattr(exceptions, name) for name, *_ in _CODES}
    return SimpleNamespace(Metadata=Metadata, Updater=Updater, UpdaterConfig=UpdaterConfig, **errors)
