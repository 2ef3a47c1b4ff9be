"""What steers a result and comes as a file: which program it needs, and who vouches for it.

Libraries, calibrations, profiles, policies and models of instruments are data. Each has a schema and may say
``needs_engine``: the oldest spectralid that understands all of it. Where keys are trusted, only what one of
them has signed is taken; where none is, anything that is whole is, under its SHA-256.

Keys that are trusted are public keys (PEM, ``*.pub``) in two folders: one of the machine, which its
administrator alone should be able to write to, and one of the person. A library and a calibration record
have signatures of their own kind; any other file has one beside it, ``FILE.sig.json``::

    {"format": "spectralid-signature", "version": 1, "algorithm": "ed25519", "key_id": "…",
     "kind": "policy", "sha256": "…", "signature": "…"}

What is signed is ``spectralid-signature-v1``, a zero byte, and the canonical JSON (sorted keys, no spaces) of
algorithm, key id, kind and SHA-256 of the file: a signed policy is never a signed profile.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from spectralid import __version__
from spectralid.errors import FileError, ParameterError, UnreadableFileError
from spectralid.files import write_whole
from spectralid.keys import key_id, read_private_key, read_public_key, read_small

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

__all__ = [
    "KINDS",
    "MACHINE",
    "PERSON",
    "NotVouchedError",
    "TrustedKeys",
    "engine_problem",
    "sign_file",
    "signature_of",
    "version_numbers",
]

KINDS: Final = ("policy", "profile", "instrument-model")
"""What a signature beside a file may be about."""

MACHINE: Final = (
    Path("/etc/spectralid/trusted-keys")
    if os.name == "posix"
    else Path(os.environ.get("PROGRAMDATA", "C:/ProgramData"), "spectralid", "trusted-keys")
)
"""Folder of keys that everybody on this machine trusts."""

# Unlike Path.home() it never fails, where nobody knows a home.
PERSON: Final = Path(os.path.expanduser("~"), ".spectralid", "trusted-keys")
"""Folder of keys that this person trusts."""

_FORMAT: Final = "spectralid-signature"
_VERSION: Final = 1
_ALGORITHM: Final = "ed25519"
_DOMAIN: Final = b"spectralid-signature-v1\x00"


class NotVouchedError(FileError):
    """A file that no trusted key has signed, where keys are trusted."""


def version_numbers(text: str) -> tuple[int, ...]:
    """A version as numbers, to compare; what is no number ends it, and zeros at the end say nothing.

    Parameters
    ----------
    text : str
        Like ``"1.2.dev3"``, which is 1.2 here.

    Returns
    -------
    tuple of int
        Empty where it does not begin with a number.
    """
    numbers: list[int] = []
    for part in text.split("."):
        if not (part.isascii() and part.isdigit()):
            break
        numbers.append(int(part))
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def engine_problem(needs: object, *, engine: str = __version__) -> str:
    """Why this program may not use what says that it needs another; empty if it may.

    Parameters
    ----------
    needs : object
        The oldest version that understands it, as it stands in the file; ``None`` if it says nothing.
    engine : str, optional
        Version of this program.

    Returns
    -------
    str
        The rest of a sentence that begins with the file's name.
    """
    if needs is None:
        return ""
    if not isinstance(needs, str) or needs[:1] not in tuple("0123456789"):
        return f"it says that it needs {needs!r}, which is no version of spectralid."
    if version_numbers(needs) > version_numbers(engine):
        return f"it needs spectralid {needs}, and this is {engine}; update the program first."
    return ""


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """The keys whose signatures count here; where there are none, files need no signature.

    Parameters
    ----------
    keys : mapping of str to Ed25519PublicKey
        By key id.
    """

    keys: Mapping[str, Ed25519PublicKey] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.keys)

    @classmethod
    def of(cls, *folders: Path) -> Self:
        """Every key in some folders; folders that are not there hold none.

        Parameters
        ----------
        *folders : Path
            Folders with ``*.pub`` files.

        Raises
        ------
        UnreadableFileError
            If one of the files is no key: a damaged key must not end the need for signatures.
        """
        public = (read_public_key(file) for folder in folders for file in sorted(folder.glob("*.pub")))
        return cls({key_id(key): key for key in public})

    @classmethod
    def here(cls) -> Self:
        """The keys that this machine and this person trust; raises as `of`."""
        return cls.of(MACHINE, PERSON)

    def verify(self, id: object, signature: bytes, signed: bytes) -> str:
        """The reason why a signature does not count; empty if it does.

        Parameters
        ----------
        id : object
            Id of the key, as it is stated.
        signature, signed : bytes
            The signature, and what it should be of.
        """
        from cryptography.exceptions import InvalidSignature

        key = self.keys.get(id) if isinstance(id, str) else None
        if key is None:
            return f"it is signed with the key {str(id)[:64]!r}, which is not trusted here"
        try:
            key.verify(signature, signed)
        except InvalidSignature:
            return "its signature does not hold"
        return ""

    def vouch(self, kind: str, data: bytes, signature: bytes | None, *, file: str) -> str:
        """Id of the trusted key that signed a file; empty where no key is trusted.

        Parameters
        ----------
        kind : str
            One of `KINDS`.
        data : bytes
            The file.
        signature : bytes or None
            What the file beside it holds (`signature_of`); ``None`` if there is none.
        file : str
            Its name, for the error.

        Raises
        ------
        NotVouchedError
            If keys are trusted and none of them has signed it as what it is.
        """
        if not self.keys:
            return ""
        if signature is None:
            raise _refused("it is not signed", kind, file)
        try:
            said = json.loads(signature)
            form = (said["format"], said["version"], said["algorithm"])
            about = {name: said[name] for name in ("algorithm", "key_id", "kind", "sha256")}
            value = base64.b64decode(said["signature"], validate=True)
            signed = _signed_bytes(about)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _refused("its signature cannot be read", kind, file) from None
        if form != (_FORMAT, _VERSION, _ALGORITHM):
            raise _refused("its signature is of a form that is not known here", kind, file)
        if why := self.verify(about["key_id"], value, signed):
            raise _refused(why, kind, file)
        if (about["kind"], about["sha256"]) != (kind, hashlib.sha256(data).hexdigest()):
            raise _refused("its signature is that of another file", kind, file)
        return str(about["key_id"])


def signature_of(path: Path) -> bytes | None:
    """What the file with the signature of a file holds; ``None`` if there is none.

    Parameters
    ----------
    path : Path
        The file that may be signed.

    Returns
    -------
    bytes or None

    Raises
    ------
    UnreadableFileError
        If it is there and cannot be read.
    """
    beside = _beside(path)
    return read_small(beside) if beside.exists() else None


def sign_file(kind: str, path: Path, key: Path) -> Path:
    """Sign a file; one that was signed before is signed anew.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    path : Path
        The file.
    key : Path
        The private key.

    Returns
    -------
    Path
        The file of the signature.

    Raises
    ------
    ParameterError
        If there is no such kind, or others than its owner can read the key.
    UnreadableFileError
        If file or key cannot be read.
    FileError
        If the signature cannot be written.
    """
    if kind not in KINDS:
        raise ParameterError("kind", kind, "one of " + ", ".join(KINDS))
    private = read_private_key(key)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFileError(f"it cannot be opened ({error.strerror}).", file=str(path)) from None
    about = {
        "algorithm": _ALGORITHM,
        "key_id": key_id(private.public_key()),
        "kind": kind,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    value = base64.b64encode(private.sign(_signed_bytes(about))).decode("ascii")
    document = {"format": _FORMAT, "version": _VERSION, **about, "signature": value}
    try:
        write_whole(_beside(path), [(json.dumps(document, indent=2) + "\n").encode()], mode=0o644)
    except OSError as error:
        raise FileError(f"the signature cannot be written ({error.strerror}).", file=str(path)) from None
    return _beside(path)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sig.json")


def _signed_bytes(about: Mapping[str, Any]) -> bytes:
    return _DOMAIN + json.dumps(about, sort_keys=True, separators=(",", ":")).encode("ascii")


def _refused(why: str, kind: str, file: str) -> NotVouchedError:
    return NotVouchedError(
        f"{why}, and keys are trusted here: a {kind} has to be signed by one of them "
        "('spectralid trust list').",
        file=file,
    )
