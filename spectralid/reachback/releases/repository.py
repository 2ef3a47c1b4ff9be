"""The signed repository that devices take libraries from (The Update Framework): a folder of plain files.

::

    FOLDER/
        metadata/   N.root.json  N.targets.json  N.snapshot.json  timestamp.json
        targets/    <sha256>.<name>
        staged/     what waits for signatures of keys that are not on this machine

``metadata`` and ``targets`` are handed out as they are, by the server or copied onto a stick. Whoever changes
them changes nothing: devices believe signatures. What is published becomes visible with its last file, the
timestamp, which is written whole or not at all.

Four roles, each with keys of its own: *root* (three keys, two needed, kept offline, each by another person)
says which keys the others have; *targets* (offline) signs releases; *snapshot* and *timestamp* (on the
server) vouch for being the newest.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.errors import MissingDependencyError
from spectralid.files import sync_folder, write_whole
from spectralid.keys import read_small
from spectralid.reachback.errors import ConflictError, NotFoundError, ReachbackError

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner
    from tuf.api.metadata import Metadata, Root

__all__ = [
    "EXPIRY",
    "ROLES",
    "KeyRefusedError",
    "RoleState",
    "Target",
    "create",
    "keyids",
    "make_key",
    "publish",
    "read_key",
    "refresh",
    "served",
    "sign",
    "stage_root",
    "stage_targets",
    "state",
    "targets_of",
]

ROLES: Final = ("root", "targets", "snapshot", "timestamp")
EXPIRY: Final[Mapping[str, timedelta]] = {
    "root": timedelta(days=365),
    "targets": timedelta(days=180),
    "snapshot": timedelta(days=30),
    "timestamp": timedelta(days=7),
}
"""How long each role vouches. The timestamp's is how long a repository may be held back unnoticed."""

METADATA: Final = "metadata"
TARGETS: Final = "targets"
STAGED: Final = "staged"

_NAMES: Final = {
    METADATA: re.compile(r"(timestamp|[0-9]{1,9}\.(root|targets|snapshot))\.json"),
    TARGETS: re.compile(r"[0-9a-f]{64}\.[A-Za-z0-9][A-Za-z0-9._-]{0,150}"),
}
_CHUNK: Final = 2**20


class KeyRefusedError(ReachbackError):
    """A key that cannot be read, or that is none of those that count."""

    status = 422
    code = "key"


@dataclass(frozen=True, slots=True)
class RoleState:
    """How far a role vouches.

    Attributes
    ----------
    role : str
        Which.
    version : int
        Of its newest metadata.
    expires : datetime
        Until when they count.
    keys, threshold : int
        How many keys it has, and how many of them have to sign.
    """

    role: str
    version: int
    expires: datetime
    keys: int
    threshold: int

    def days_left(self, now: datetime) -> float:
        """Days until it expires; negative afterwards."""
        return (self.expires - now) / timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Target:
    """A file that is handed out.

    Attributes
    ----------
    path : str
        Its name in the repository.
    file : Path
        Where it is taken from.
    custom : mapping
        What is signed of it beside length and hash: plain data without fractions.
    """

    path: str
    file: Path
    custom: Mapping[str, Any]


# --- keys --------------------------------------------------------------------------------------------------


def make_key(path: str | os.PathLike[str], passphrase: str) -> str:
    """Write a new Ed25519 key to a file that is encrypted and its owner's only (PEM, PKCS #8).

    Parameters
    ----------
    path : path
        The file; must be new. The public key gets ``.pub`` appended.
    passphrase : str
        At least 12 characters.

    Returns
    -------
    str
        The id of the key.

    Raises
    ------
    KeyRefusedError
        If there is a file, the passphrase is too short, or it cannot be written.
    """
    place = Path(path)
    if place.exists():
        raise KeyRefusedError(f"{place}: there is a key already; it is never replaced.")
    if len(passphrase) < 12:
        raise KeyRefusedError("The passphrase of a key has at least 12 characters.")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    secret = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(place, [secret])
        write_whole(place.with_name(f"{place.name}.pub"), [public], mode=0o644)
    except OSError as error:
        raise KeyRefusedError(f"{place}: the key cannot be written ({error.strerror}).") from None
    return str(read_key(place, passphrase).public_key.keyid)


def read_key(path: str | os.PathLike[str], passphrase: str) -> CryptoSigner:
    """The key in a file that `make_key` wrote.

    Raises
    ------
    KeyRefusedError
        If it cannot be read, others than its owner can read it, or the passphrase is another.
    """
    _need_tuf()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    place = Path(path)
    if os.name == "posix" and place.is_file() and place.stat().st_mode & 0o077:
        raise KeyRefusedError(f"{place}: others than its owner can read it (chmod 600).")
    try:
        private = load_pem_private_key(_small(place), password=passphrase.encode())
    except (ValueError, TypeError):
        raise KeyRefusedError(f"{place}: it is no encrypted key, or the passphrase is another.") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyRefusedError(f"{place}: it is no Ed25519 key.")
    return CryptoSigner(private)


def _public(path: Path) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey

    try:
        return SSlibKey.from_crypto(load_pem_public_key(_small(path)))
    except ValueError:
        raise KeyRefusedError(f"{path}: it is no public key (PEM).") from None


def _small(path: Path) -> bytes:
    from spectralid.errors import UnreadableFileError

    try:
        return read_small(path)
    except UnreadableFileError as error:
        raise KeyRefusedError(str(error)) from None


# --- made, changed, published ------------------------------------------------------------------------------


def create(
    folder: str | os.PathLike[str],
    *,
    root: Sequence[CryptoSigner],
    targets: Sequence[CryptoSigner],
    snapshot: CryptoSigner,
    timestamp: CryptoSigner,
    now: datetime,
    root_threshold: int = 2,
    targets_threshold: int = 1,
) -> bytes:
    """Make a repository without releases.

    Parameters
    ----------
    folder : path
        Where; made if need be.
    root, targets, snapshot, timestamp
        The keys of the roles. All of them sign now, and root and targets keys go offline afterwards.
    now : datetime
        When.
    root_threshold, targets_threshold : int
        How many of the keys have to sign.

    Returns
    -------
    bytes
        The root: what devices are given, with its fingerprint by another way.

    Raises
    ------
    ConflictError
        If there is a repository.
    KeyRefusedError
        If one key serves two roles, or there are fewer than have to sign.
    """
    _need_tuf()
    from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

    place = Path(folder)
    if (place / METADATA / "1.root.json").exists():
        raise ConflictError(f"{place}: there is a repository already.")
    signers = {"root": root, "targets": targets, "snapshot": [snapshot], "timestamp": [timestamp]}
    used = [signer.public_key.keyid for group in signers.values() for signer in group]
    if len(set(used)) != len(used):
        raise KeyRefusedError("Each role needs keys of its own; one key was given twice.")
    thresholds = {"root": root_threshold, "targets": targets_threshold, "snapshot": 1, "timestamp": 1}
    first = Root(expires=_until("root", now), consistent_snapshot=True)
    for role, group in signers.items():
        if len(group) < thresholds[role]:
            raise KeyRefusedError(
                f"The role {role} needs {thresholds[role]} signatures and has {len(group)} keys."
            )
        for signer in group:
            first.add_key(signer.public_key, role)
        first.roles[role].threshold = thresholds[role]
    for name in (METADATA, TARGETS, STAGED):
        (place / name).mkdir(parents=True, exist_ok=True)
    roots: Metadata[Root] = Metadata(first)
    listing: Metadata[Targets] = Metadata(Targets(expires=_until("targets", now)))
    view: Metadata[Snapshot] = Metadata(
        Snapshot(expires=_until("snapshot", now), meta={"targets.json": MetaFile(1)})
    )
    for metadata, group in ((roots, root), (listing, targets), (view, [snapshot])):
        for signer in group:
            metadata.sign(signer, append=True)
    content = {"1.targets.json": listing.to_bytes(), "1.snapshot.json": view.to_bytes()}
    newest: Metadata[Timestamp] = Metadata(
        Timestamp(expires=_until("timestamp", now), snapshot_meta=_of(1, content["1.snapshot.json"]))
    )
    newest.sign(timestamp)
    whole = {**content, "1.root.json": roots.to_bytes(), "timestamp.json": newest.to_bytes()}
    for name, data in whole.items():
        write_whole(place / METADATA / name, [data], mode=0o644)
    return whole["1.root.json"]


def stage_targets(
    folder: str | os.PathLike[str],
    add: Iterable[Target] = (),
    *,
    remove: Iterable[str] = (),
    change: Mapping[str, Mapping[str, Any]] | None = None,
    now: datetime,
) -> Path:
    """Make the next list of what is handed out; it waits for signatures of the targets keys.

    Parameters
    ----------
    folder : path
        The repository.
    add : iterable of Target
        Files; they are copied into it now, and nobody asks for them before the list is published.
    remove : iterable of str
        Names that are not handed out any more. The files stay.
    change : mapping, optional
        By name: other facts for a file that is handed out (to hand it out to more devices).
    now : datetime
        When.

    Returns
    -------
    Path
        The file to be signed.

    Raises
    ------
    NotFoundError
        If a name to change is not handed out.
    """
    from tuf.api.metadata import TargetFile

    place = Path(folder)
    newest = _newest(place, "targets")
    listing = newest.signed
    for target in add:
        file = TargetFile.from_file(target.path, str(target.file), ["sha256"])
        file.unrecognized_fields["custom"] = dict(target.custom)
        _copy_in(target.file, place / TARGETS / f"{file.hashes['sha256']}.{target.path}")
        listing.targets[target.path] = file
    for path in remove:
        listing.targets.pop(path, None)
    for path, custom in (change or {}).items():
        if path not in listing.targets:
            raise NotFoundError(f"The repository does not hand out {path!r}.")
        listing.targets[path].unrecognized_fields["custom"] = dict(custom)
    listing.version += 1
    listing.expires = _until("targets", now)
    newest.signatures.clear()
    return _stage(place, f"{listing.version}.targets.json", newest)


def stage_root(
    folder: str | os.PathLike[str],
    *,
    now: datetime,
    add: Mapping[str, Sequence[Path]] | None = None,
    remove: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Make the next root; it waits for signatures of enough of the old and of the new root keys.

    Parameters
    ----------
    folder : path
        The repository.
    now : datetime
        When.
    add : mapping of str to sequence of Path
        By role: public keys (``.pub``) that count from now on.
    remove : mapping of str to sequence of str
        By role: ids of keys that do not count any more. After the theft of a snapshot or timestamp key, both
        have to be changed: devices then forget what the thief made them believe.
    """
    place = Path(folder)
    newest = _newest(place, "root")
    root = newest.signed
    for role, files in (add or {}).items():
        for file in files:
            root.add_key(_public(file), role)
    for role, ids in (remove or {}).items():
        for keyid in ids:
            try:
                root.revoke_key(keyid, role)
            except ValueError:
                raise NotFoundError(f"The role {role} has no key {keyid[:16]!r}.") from None
    for role in ROLES:
        held = root.roles[role]
        if len(held.keyids) < held.threshold:
            raise ConflictError(
                f"The role {role} needs {held.threshold} signatures and would have {len(held.keyids)} keys."
            )
    root.version += 1
    root.expires = _until("root", now)
    newest.signatures.clear()
    return _stage(place, f"{root.version}.root.json", newest)


def sign(staged: str | os.PathLike[str], signer: CryptoSigner) -> int:
    """Add a signature to what waits for it: offline, on any machine.

    Returns
    -------
    int
        How many signatures it has now.
    """
    _need_tuf()
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Metadata

    path = Path(staged)
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(_small_metadata(path))
    except RepositoryError:
        raise KeyRefusedError(f"{path}: it is nothing that can be signed here.") from None
    metadata.sign(signer, append=True)
    write_whole(path, [metadata.to_bytes()], mode=0o644)
    return len(metadata.signatures)


def publish(
    folder: str | os.PathLike[str],
    *,
    snapshot: CryptoSigner,
    timestamp: CryptoSigner,
    now: datetime,
) -> tuple[str, ...]:
    """Put in force what was signed offline.

    Parameters
    ----------
    folder : path
        The repository.
    snapshot, timestamp : CryptoSigner
        The keys of the server.
    now : datetime
        When.

    Returns
    -------
    tuple of str
        What came into force: ``root``, ``targets``.

    Raises
    ------
    KeyRefusedError
        If signatures are missing; what waits goes on waiting.
    NotFoundError
        If nothing waits.
    """
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Metadata

    place = Path(folder)
    root = _newest(place, "root").signed
    # The root first: it says who may sign the others.
    waiting = sorted((place / STAGED).glob("*.json"), key=lambda path: path.name.endswith("targets.json"))
    if not waiting:
        raise NotFoundError(f"{place}: nothing waits to be published.")
    done: list[tuple[str, Path, bytes]] = []
    for path in waiting:
        role = path.name.split(".")[1]
        data = _small_metadata(path)
        try:
            metadata: Metadata[Any] = Metadata.from_bytes(data)
            root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
            if role == "root":
                root = metadata.signed
                root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except RepositoryError as error:
            raise KeyRefusedError(f"{path}: it cannot be published yet: {error}.") from None
        expected = _newest(place, role).signed.version + 1
        if metadata.signed.version != expected:
            raise ConflictError(f"{path}: it is version {metadata.signed.version}, and {expected} is next.")
        done.append((role, path, data))
    _check_online(root, snapshot=snapshot, timestamp=timestamp)
    for _, path, data in done:
        write_whole(place / METADATA / path.name, [data], mode=0o644)
    refresh(place, snapshot=snapshot, timestamp=timestamp, now=now, everything=True)
    for _, path, _ in done:
        path.unlink()
    return tuple(role for role, *_ in done)


def refresh(
    folder: str | os.PathLike[str],
    *,
    snapshot: CryptoSigner,
    timestamp: CryptoSigner,
    now: datetime,
    everything: bool = False,
) -> tuple[str, ...]:
    """Vouch anew for being the newest, where that is due: to be done each day.

    Parameters
    ----------
    folder : path
        The repository.
    snapshot, timestamp : CryptoSigner
        The keys of the server.
    now : datetime
        When.
    everything : bool
        Also what is not due: after something was published, or keys were changed.

    Returns
    -------
    tuple of str
        What was signed anew.

    Raises
    ------
    KeyRefusedError
        If a key is not the one of its role.
    """
    place = Path(folder)
    root = _newest(place, "root").signed
    view, newest, listing = (_newest(place, role) for role in ("snapshot", "timestamp", "targets"))
    _check_online(root, snapshot=snapshot, timestamp=timestamp)
    done = []
    if everything or _is_due(view.signed.expires, "snapshot", now):
        view.signed.version += 1
        view.signed.expires = _until("snapshot", now)
        view.signed.meta["targets.json"].version = listing.signed.version
        view.sign(snapshot)
        data = view.to_bytes()
        # Nobody asks for it before the timestamp names it.
        write_whole(place / METADATA / f"{view.signed.version}.snapshot.json", [data], mode=0o644)
        newest.signed.snapshot_meta = _of(view.signed.version, data)
        done.append("snapshot")
    if done or _is_due(newest.signed.expires, "timestamp", now):
        newest.signed.version += 1
        newest.signed.expires = _until("timestamp", now)
        newest.sign(timestamp)
        write_whole(place / METADATA / "timestamp.json", [newest.to_bytes()], mode=0o644)
        done.append("timestamp")
    return tuple(done)


# --- looked at ---------------------------------------------------------------------------------------------


def state(folder: str | os.PathLike[str]) -> tuple[RoleState, ...]:
    """How far each role vouches.

    Raises
    ------
    NotFoundError
        If there is no repository.
    """
    place = Path(folder)
    root = _newest(place, "root").signed
    found = []
    for role in ROLES:
        signed = _newest(place, role).signed
        held = root.roles[role]
        found.append(RoleState(role, signed.version, signed.expires, len(held.keyids), held.threshold))
    return tuple(found)


def targets_of(folder: str | os.PathLike[str]) -> Mapping[str, Mapping[str, Any]]:
    """What is handed out: by name, what is signed of it."""
    listing = _newest(Path(folder), "targets").signed
    return {path: dict(file.custom or {}) for path, file in listing.targets.items()}


def keyids(folder: str | os.PathLike[str], role: str, *, staged: bool = False) -> frozenset[str]:
    """Ids of the keys of a role: those in force, or those that a root that waits is going to put in force."""
    place = Path(folder)
    newest = _newest(place, "root")
    waiting = place / STAGED / f"{newest.signed.version + 1}.root.json"
    if staged and waiting.is_file():
        from tuf.api.metadata import Metadata

        newest = Metadata.from_bytes(_small_metadata(waiting))
    return frozenset(newest.signed.roles[role].keyids)


def served(folder: str | os.PathLike[str], kind: str, name: str) -> Path:
    """The file to hand out under a name, which is one that a repository can have and no other.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    path = Path(folder) / kind / name
    if kind not in _NAMES or not _NAMES[kind].fullmatch(name) or not path.is_file():
        raise NotFoundError(f"The repository has no file {name[:100]!r}.")
    return path


# --- within ------------------------------------------------------------------------------------------------


def _check_online(root: Root, **signers: CryptoSigner) -> None:
    for role, signer in signers.items():
        if signer.public_key.keyid not in root.roles[role].keyids:
            raise KeyRefusedError(f"The key {signer.public_key.keyid[:16]} is none of the role {role}.")


def _until(role: str, now: datetime) -> datetime:
    return (now + EXPIRY[role]).astimezone(UTC).replace(microsecond=0)


def _is_due(expires: datetime, role: str, now: datetime) -> bool:
    # Half of the time is left for somebody to notice that the job does not run.
    return expires - now <= EXPIRY[role] / 2


def _of(version: int, data: bytes) -> Any:
    from tuf.api.metadata import MetaFile

    return MetaFile.from_data(version, data, ["sha256"])


def _newest(place: Path, role: str) -> Metadata[Any]:
    _need_tuf()
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Metadata

    folder = place / METADATA
    if role == "timestamp":
        path = folder / "timestamp.json"
    else:
        numbered = [int(one.name.split(".")[0]) for one in folder.glob(f"*.{role}.json")]
        path = folder / f"{max(numbered, default=0)}.{role}.json"
    if not path.is_file():
        raise NotFoundError(f"{place}: there is no repository of libraries; make one.")
    try:
        return Metadata.from_bytes(_small_metadata(path))
    except RepositoryError as error:
        raise ReachbackError(f"{path}: it is damaged ({error}); bring it back from a copy.") from None


def _small_metadata(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{path}: it cannot be read ({error.strerror}).") from None


def _stage(place: Path, name: str, metadata: Metadata[Any]) -> Path:
    path = place / STAGED / name
    path.parent.mkdir(exist_ok=True)
    write_whole(path, [metadata.to_bytes()], mode=0o644)
    return path


def _copy_in(source: Path, target: Path) -> None:
    if target.exists():
        return  # its name is its hash
    draft = target.with_name(f".{target.name}.new")
    try:
        shutil.copyfile(source, draft)
        handle = os.open(draft, os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(draft, target)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    sync_folder(target.parent)


def _need_tuf() -> None:
    try:
        import tuf.api.metadata  # noqa: F401
    except ImportError:
        raise MissingDependencyError(
            "tuf", extra="reachback", purpose="to make a repository of libraries"
        ) from None
