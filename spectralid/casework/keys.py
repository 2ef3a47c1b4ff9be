"""Keys that sign packets and messages, and the file of the device key.

Ed25519. A key id is the start of the SHA-256 of the public key (16 hexadecimal digits), as for signatures of
libraries; it is bound to its algorithm by the key it names.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from spectralid.casework.errors import KeyFileError, SignatureError
from spectralid.errors import ParameterError, UnreadableFileError
from spectralid.files import write_whole
from spectralid.keys import cryptography, key_id, private_pem, read_private_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["PublicKey", "SigningKey"]


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
        return key_id(self.raw)

    def verify(self, signature: bytes, signed: bytes) -> None:
        """See that `signature` is of this key over `signed`.

        Raises
        ------
        SignatureError
            If it is not.
        """
        _, ed25519 = cryptography("tablet")
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
        _, ed25519 = cryptography("tablet")
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
        try:
            cryptography("tablet")
            return cls(read_private_key(Path(path)))
        except (ParameterError, UnreadableFileError) as error:
            raise KeyFileError(str(error)) from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the key to a new file that only its owner can read: whole and on the disk, or not at all.

        Raises
        ------
        KeyFileError
            If the file exists or cannot be written.
        """
        path = Path(path)
        if path.exists():
            raise KeyFileError(f"{path}: there is a key already; it is never replaced.")
        try:
            write_whole(path, [private_pem(self._private)])
        except OSError as error:
            raise KeyFileError(f"{path}: the key cannot be written ({error.strerror}).") from None
