"""Keys that sign packets and messages, and the file of the device key.

Ed25519. A key id is the start of the SHA-256 of the public key (16 hexadecimal digits), as for signatures of
libraries; it is bound to its algorithm by the key it names.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from spectralid.casework.errors import KeyFileError, SignatureError
from spectralid.casework.files import sync_folder, write_whole
from spectralid.errors import MissingDependencyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["PublicKey", "SigningKey", "sync_folder"]

_LARGEST: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are verified with.

    Parameters
    ----------
    raw : bytes
        The 32 bytes of an Ed25519 public key.
    """

    algorithm: ClassVar[str] = "ed25519"
    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise KeyFileError(f"An Ed25519 public key has 32 bytes, not {len(self.raw)}.")

    @property
    def keyid(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the key."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    def verify(self, signature: bytes, signed: bytes) -> None:
        """See that `signature` is of this key over `signed`.

        Raises
        ------
        SignatureError
            If it is not.
        """
        _, ed25519 = _cryptography()
        from cryptography.exceptions import InvalidSignature

        try:
            ed25519.Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, signed)
        except InvalidSignature:
            raise SignatureError(
                f"The signature of the key {self.keyid} does not hold: the bytes were changed, "
                "or somebody else signed."
            ) from None


class SigningKey:
    """A private key.

    Parameters
    ----------
    private : Ed25519PrivateKey
        Of the package ``cryptography``.
    """

    algorithm: ClassVar[str] = PublicKey.algorithm

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = PublicKey(private.public_key().public_bytes_raw())
        self.keyid = self.public.keyid

    def __repr__(self) -> str:
        return f"SigningKey({self.keyid})"

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key, from the randomness of the operating system."""
        _, ed25519 = _cryptography()
        return cls(ed25519.Ed25519PrivateKey.generate())

    def sign(self, data: bytes) -> bytes:
        """64 bytes of signature over `data`."""
        return self._private.sign(data)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SigningKey:
        """The key in a file (PEM, PKCS #8).

        Raises
        ------
        KeyFileError
            If it is missing, is no Ed25519 key, or can be read by others than its owner.
        """
        serialization, ed25519 = _cryptography()
        from cryptography.exceptions import UnsupportedAlgorithm

        try:
            with Path(path).open("rb") as file:
                shared = os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077
                data = file.read(_LARGEST)
        except OSError as error:
            raise KeyFileError(f"{path}: the key cannot be read ({error.strerror}).") from None
        if shared:
            raise KeyFileError(f"{path}: others can read the key; make it its owner's only (chmod 600).")
        key = None
        # TypeError: the key is encrypted.
        with contextlib.suppress(ValueError, TypeError, UnsupportedAlgorithm):
            key = serialization.load_pem_private_key(data, password=None)
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise KeyFileError(f"{path}: it is no Ed25519 private key (PEM, not encrypted).")
        return cls(key)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the key to a new file that only its owner can read: whole and on the disk, or not at all.

        Raises
        ------
        KeyFileError
            If the file exists or cannot be written.
        """
        serialization, _ = _cryptography()
        data = self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = Path(path)
        if path.exists():
            raise KeyFileError(f"{path}: there is a key already; it is never replaced.")
        try:
            write_whole(path, [data])
        except OSError as error:
            raise KeyFileError(f"{path}: the key cannot be written ({error.strerror}).") from None


def _cryptography() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise MissingDependencyError(
            "cryptography", extra="tablet", purpose="to sign packets and to check signatures"
        ) from None
    return serialization, ed25519
