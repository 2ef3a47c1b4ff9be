"""Who vouches for a library: Ed25519 signatures in a file of their own.

A signature file is a JSON object::

    {"format": "spectralid-library-signature", "version": 1, "algorithm": "ed25519",
     "key_id": "…", "library": {"name": "…", "version": "…", "sha256": "…"}, "signature": "…"}

``key_id`` is the start of the SHA-256 of the raw public key (16 hexadecimal digits), ``library.sha256`` the
identity of the library (`spectralid.library.schema`), ``signature`` base64. What is signed is, byte for byte,
``spectralid-library-signature-v1``, a zero byte, and the canonical JSON (sorted keys, no spaces, UTF-8) of
``{"algorithm": …, "key_id": …, "library": {…}}``. The text before the zero byte keeps the signature from
being good for anything else signed with the same key. As the identity covers the SHA-256 of every dataset,
the signature covers every value once all checksums have been seen to hold; `verify_signature` sees to that.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from spectralid.errors import LibraryError, UnreadableFileError
from spectralid.keys import generate_key, key_id, read_private_key, read_public_key, read_small
from spectralid.library.schema import canonical_json
from spectralid.library.store import ReferenceLibrary
from spectralid.library.verify import verify_library
from spectralid.vouching import TrustedKeys

__all__ = [
    "LibrarySignature",
    "SignatureError",
    "beside",
    "generate_key",
    "key_id",
    "read_private_key",
    "read_public_key",
    "sign_library",
    "signed_bytes",
    "verify_signature",
    "vouch_library",
]

FORMAT: Final = "spectralid-library-signature"
VERSION: Final = 1
ALGORITHM: Final = "ed25519"

_DOMAIN: Final = b"spectralid-library-signature-v1\x00"


class SignatureError(LibraryError):
    """A signature does not hold for the library and the key it is checked against."""


@dataclass(frozen=True, slots=True)
class LibrarySignature:
    """A signature over the identity of a library.

    Attributes
    ----------
    key_id : str
        Which key signed.
    name, version, sha256 : str
        The library: its name, version and identity.
    signature : bytes
        64 bytes.
    """

    key_id: str
    name: str
    version: str
    sha256: str
    signature: bytes

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form: what the signature file holds."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "algorithm": ALGORITHM,
            "key_id": self.key_id,
            "library": {"name": self.name, "version": self.version, "sha256": self.sha256},
            "signature": base64.b64encode(self.signature).decode("ascii"),
        }


def signed_bytes(key: str, name: str, version: str, sha256: str) -> bytes:
    """The bytes that are signed for a library; see the module.

    Parameters
    ----------
    key : str
        Id of the key.
    name, version, sha256 : str
        The library.
    """
    library = {"name": name, "version": version, "sha256": sha256}
    return _DOMAIN + canonical_json({"algorithm": ALGORITHM, "key_id": key, "library": library})


def sign_library(
    library: ReferenceLibrary, key: str | os.PathLike[str], output: str | os.PathLike[str]
) -> LibrarySignature:
    """Sign a library and write the signature file.

    Parameters
    ----------
    library : ReferenceLibrary
        The library; every checksum is looked at first.
    key : path
        The private key, as `generate_key` wrote it.
    output : path
        The signature file to write; one already there is replaced.

    Returns
    -------
    LibrarySignature

    Raises
    ------
    LibraryError
        If the library is damaged, or the signature cannot be written.
    UnreadableFileError
        If the key cannot be read or is no Ed25519 key.
    ParameterError
        If others than its owner can read the key.
    MissingDependencyError
        If the package ``cryptography`` is not installed.
    """
    private = read_private_key(Path(key))
    _refuse_damaged(library)
    id = key_id(private.public_key())
    facts = (library.name, library.version, library.sha256)
    signature = LibrarySignature(id, *facts, private.sign(signed_bytes(id, *facts)))
    text = json.dumps(signature.to_dict(), ensure_ascii=False, indent=2) + "\n"
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise LibraryError(f"{output}: the signature cannot be written ({error.strerror}).") from None
    return signature


def verify_signature(
    library: ReferenceLibrary, signature: str | os.PathLike[str], public_key: str | os.PathLike[str]
) -> LibrarySignature:
    """Check that a library is, value for value, the one that the owner of a key signed.

    Parameters
    ----------
    library : ReferenceLibrary
        The library; every checksum is looked at.
    signature : path
        The signature file.
    public_key : path
        The public key, from somebody trusted and not from where the library came from.

    Returns
    -------
    LibrarySignature

    Raises
    ------
    SignatureError
        If it was signed with another key or algorithm, the signature does not hold, or it is that of another
        library.
    LibraryError
        If the library is damaged.
    UnreadableFileError
        If signature or key cannot be read.
    MissingDependencyError
        If the package ``cryptography`` is not installed.
    """
    public = read_public_key(Path(public_key))
    stated = _read_signature(Path(signature))
    given = key_id(public)
    if stated.key_id != given:
        raise SignatureError(f"{signature}: it was signed with the key {stated.key_id}, not with {given}.")
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(
            stated.signature, signed_bytes(stated.key_id, stated.name, stated.version, stated.sha256)
        )
    except InvalidSignature:
        raise SignatureError(
            f"{signature}: the signature does not hold; the file was changed or is not of the key {given}."
        ) from None
    if (stated.name, stated.version, stated.sha256) != (library.name, library.version, library.sha256):
        raise SignatureError(
            f"{signature}: it is the signature of {stated.name} {stated.version} ({stated.sha256[:12]}…), "
            f"and {library.path} is {library.name} {library.version} ({library.sha256[:12]}…); "
            "do not use it."
        )
    _refuse_damaged(library)
    return stated


def beside(library: str | os.PathLike[str]) -> Path:
    """Where the signature of a library is looked for.

    Parameters
    ----------
    library : path
        The library file.

    Returns
    -------
    Path
        The file beside it.
    """
    return Path(f"{os.fspath(library)}.sig.json")


def vouch_library(library: ReferenceLibrary, trusted: TrustedKeys) -> ReferenceLibrary:
    """The library, if somebody trusted vouches for it, and with that noted in it.

    The signature is of the identity, which covers the checksum of every value; checksums are looked at when
    values are used, as always.

    Parameters
    ----------
    library : ReferenceLibrary
        The library, with a signature `beside` it perhaps.
    trusted : TrustedKeys
        Keys that count; where there are none, any library is taken.

    Returns
    -------
    ReferenceLibrary
        The same one.

    Raises
    ------
    SignatureError
        If keys are trusted, none of them has signed the library, and it did not come with spectralid or from
        a signed release.
    UnreadableFileError
        If there is a signature that cannot be read.
    """
    if library.vouched_by or not trusted:
        return library
    file = beside(library.path)
    why = "it is not signed"
    if file.exists():
        said = _read_signature(file)
        facts = (said.name, said.version, said.sha256)
        why = trusted.verify(said.key_id, said.signature, signed_bytes(said.key_id, *facts))
        if not why and facts != (library.name, library.version, library.sha256):
            why = "its signature is that of another library"
        if not why:
            library.vouched_by = f"key {said.key_id}"
            return library
    raise SignatureError(
        f"{library.path}: {why}, and keys are trusted here: a library has to be signed by one of them "
        "('spectralid trust list')."
    )


def _refuse_damaged(library: ReferenceLibrary) -> None:
    problems = verify_library(library.path)
    if problems:
        raise LibraryError(f"{library.path}: the library is damaged: {problems[0]}")


def _read_signature(path: Path) -> LibrarySignature:
    data = read_small(path)
    try:
        stated = json.loads(data)
        kind = stated["format"], stated["version"]
        algorithm = stated["algorithm"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UnreadableFileError("it is no signature of a library.", file=str(path)) from None
    if kind != (FORMAT, VERSION):
        raise UnreadableFileError(
            f"it is no signature of a library that this spectralid knows ({kind[0]!r}, version {kind[1]!r}).",
            file=str(path),
        )
    if algorithm != ALGORITHM:
        raise SignatureError(f"{path}: the algorithm {algorithm!r} is not accepted; only {ALGORITHM!r} is.")
    try:
        library = stated["library"]
        id, name, version, sha256 = stated["key_id"], library["name"], library["version"], library["sha256"]
        # Text that is no Unicode cannot have been signed.
        "".join((id, name, version, sha256)).encode()
        signature = base64.b64decode(stated["signature"], validate=True)
    except (KeyError, TypeError, ValueError):
        raise UnreadableFileError(
            "a field of the signature is missing or malformed.", file=str(path)
        ) from None
    return LibrarySignature(id, name, version, sha256, signature)
