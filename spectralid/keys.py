"""Ed25519 keys in files: made, named and read, for whoever signs something.

PEM files, as ``openssl`` and others know them. The private one is its owner's alone, and refused otherwise.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.errors import MissingDependencyError, ParameterError, UnreadableFileError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = [
    "cryptography",
    "generate_key",
    "key_id",
    "private_pem",
    "read_private_key",
    "read_public_key",
    "read_small",
]

_FILE_LIMIT: Final = 64 * 1024


def generate_key(path: str | os.PathLike[str]) -> str:
    """Make a key pair: the private key at `path`, readable by its owner only, and the public one beside it.

    Parameters
    ----------
    path : path
        File of the private key (PEM, PKCS #8, not encrypted); the public key (PEM) gets ``.pub`` appended.

    Returns
    -------
    str
        The id of the key.

    Raises
    ------
    ParameterError
        If either file exists already or cannot be written.
    MissingDependencyError
        If the package ``cryptography`` is not installed.
    """
    serialization, ed25519 = cryptography()
    private = ed25519.Ed25519PrivateKey.generate()
    secret = private_pem(private)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    public_path = Path(f"{os.fspath(path)}.pub")
    if public_path.exists():
        raise ParameterError("key", str(path), f"a new file; {public_path} is there already")
    _write_new(Path(path), secret, 0o600)
    _write_new(public_path, public, 0o644)
    return key_id(private.public_key())


def key_id(public: Ed25519PublicKey | bytes) -> str:
    """The id of a public key: the first 16 hexadecimal digits of the SHA-256 of its 32 bytes.

    Parameters
    ----------
    public : Ed25519PublicKey or bytes
        The key, or its 32 bytes.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    raw = public if isinstance(public, bytes) else public.public_bytes_raw()
    return hashlib.sha256(raw).hexdigest()[:16]


def private_pem(private: Ed25519PrivateKey) -> bytes:
    """A private key as a file holds it: PEM, PKCS #8, not encrypted.

    Parameters
    ----------
    private : Ed25519PrivateKey
        The key.

    Returns
    -------
    bytes
        What goes into the file.
    """
    serialization, _ = cryptography()
    pem: bytes = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a file (PEM, PKCS #8, not encrypted).

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Ed25519PrivateKey
        The key.

    Raises
    ------
    UnreadableFileError
        If it cannot be read or is no Ed25519 key.
    ParameterError
        If others than its owner can read it.
    MissingDependencyError
        If the package ``cryptography`` is not installed.
    """
    serialization, ed25519 = cryptography()
    data = read_small(path)
    key: Ed25519PrivateKey | None
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise ParameterError("key", str(path), "readable by its owner only (chmod 600)")
    key = _loaded(lambda: serialization.load_pem_private_key(data, password=None), ed25519.Ed25519PrivateKey)
    if key is None:
        raise UnreadableFileError("it is no Ed25519 private key (PEM, not encrypted).", file=str(path))
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The public key in a file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Ed25519PublicKey
        The key.

    Raises
    ------
    UnreadableFileError
        If it cannot be read or is no Ed25519 key.
    MissingDependencyError
        If the package ``cryptography`` is not installed.
    """
    serialization, ed25519 = cryptography()
    data = read_small(path)
    key: Ed25519PublicKey | None
    key = _loaded(lambda: serialization.load_pem_public_key(data), ed25519.Ed25519PublicKey)
    if key is None:
        raise UnreadableFileError("it is no Ed25519 public key (PEM).", file=str(path))
    return key


def cryptography(extra: str = "sign") -> tuple[Any, Any]:
    """The modules ``serialization`` and ``ed25519`` of the package ``cryptography``.

    Parameters
    ----------
    extra : str
        The extra of spectralid that an error tells to install.

    Returns
    -------
    tuple of module
        ``serialization`` and ``ed25519``.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise MissingDependencyError(
            "cryptography", extra=extra, purpose="to sign and to check signatures"
        ) from None
    return serialization, ed25519


def read_small(path: Path) -> bytes:
    """What a small file holds: a key, a signature.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    bytes
        All of it.

    Raises
    ------
    UnreadableFileError
        If it cannot be read or is larger than any key or signature.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_LIMIT + 1)
    except OSError as error:
        raise UnreadableFileError(f"it cannot be opened ({error.strerror}).", file=str(path)) from None
    if len(data) > _FILE_LIMIT:
        raise UnreadableFileError("it is too large for a key or a signature.", file=str(path))
    return data


def _loaded(load: Callable[[], Any], kind: type) -> Any:
    """The key that `load` gives; ``None`` where it is none, or none of that kind."""
    from cryptography.exceptions import UnsupportedAlgorithm

    # TypeError: the key is encrypted.
    with contextlib.suppress(ValueError, TypeError, UnsupportedAlgorithm):
        key = load()
        return key if isinstance(key, kind) else None
    return None


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        # Created with its mode and only if new: a secret is never readable by others, nor ever replaced.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise ParameterError("key", str(path), f"a file that can be made new ({error.strerror})") from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)
