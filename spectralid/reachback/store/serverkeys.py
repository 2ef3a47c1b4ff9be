"""The server's signing keys: files in its folder, readable by its owner only.

The newest signs; all of them are trusted when what the server signed earlier is verified. A key is on the
disk before anything is signed with it. Keys are not in the database: whoever can write there must not be able
to sign a history of his own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spectralid.casework.keys import PublicKey, SigningKey

if TYPE_CHECKING:
    import os

__all__ = ["ServerKeys"]

_FOLDER: Final = "keys"


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """Whom the server signs as.

    Attributes
    ----------
    signing : SigningKey
        The newest key.
    trusted : mapping of str to PublicKey
        Every key there ever was, by key id.
    """

    signing: SigningKey
    trusted: Mapping[str, PublicKey]

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> ServerKeys:
        """The keys in a server's folder; the first one is made if there is none.

        Raises
        ------
        KeyFileError
            If a key is damaged or can be read by others.
        """
        place = Path(folder) / _FOLDER
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        files = sorted(place.glob("*.key"))
        if not files:
            files = [_new(place, 1)]
        keys = [SigningKey.load(path) for path in files]
        return cls(keys[-1], {key.keyid: key.public for key in keys})

    @classmethod
    def rotate(cls, folder: str | os.PathLike[str]) -> ServerKeys:
        """Make another key, which signs from now on; devices have to be told by a new enrolment first."""
        before = cls.open(folder)
        _new(Path(folder) / _FOLDER, len(before.trusted) + 1)
        return cls.open(folder)


def _new(place: Path, number: int) -> Path:
    path = place / f"{number:04d}.key"
    SigningKey.generate().save(path)
    return path
