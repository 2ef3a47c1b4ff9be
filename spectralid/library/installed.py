"""The library of a device: which one is in force, opened whole or not at all.

::

    FOLDER/
        installed.json     which library is in force, and which one was before: changes in one step
        files/             the libraries themselves, never changed once they have their name
        trust/root.json    whose releases are taken (`spectralid.library.update`)
        metadata/          what an update knows of the repository

A library that does not open any more is passed over for the one before. Nothing here asks how old a library
is before it is used: an old library identifies, and says its age.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.errors import LibraryError
from spectralid.files import write_whole

if TYPE_CHECKING:
    import os

    from spectralid.library.store import ReferenceLibrary

__all__ = ["Installed", "activate", "installed", "open_installed"]

POINTER: Final = "installed.json"
FILES: Final = "files"
_SCHEMA: Final = "spectralid.library-installed/1"
_LARGEST: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Installed:
    """A library that was installed from a release.

    Attributes
    ----------
    number : int
        Of the release; grows with each.
    name, version, sha256 : str
        Of the library (`ReferenceLibrary`).
    file : str
        Its name in the folder ``files``.
    file_sha256 : str
        Of the file, as the release states it.
    made_utc, installed_utc : str
        When the release was made, and when it came here.
    expires_utc : str
        Until when the repository had vouched for being up to date, when it was last asked.
    signers : tuple of str
        Keys that releases were signed with; a number counts on among releases of the same keys only.
    """

    number: int
    name: str
    version: str
    sha256: str
    file: str
    file_sha256: str
    made_utc: str
    installed_utc: str
    expires_utc: str
    signers: tuple[str, ...]

    def age_days(self, now: datetime) -> int:
        """Days since the release was made."""
        return max(0, (now - datetime.fromisoformat(self.made_utc)).days)

    def is_overdue(self, now: datetime) -> bool:
        """Whether nobody has vouched for it being the newest for longer than the agency allows."""
        return now >= datetime.fromisoformat(self.expires_utc)

    def words(self, now: datetime) -> str:
        """What a person is told of it."""
        said = f"Library {self.name} {self.version}, {self.age_days(now)} days old."
        if self.is_overdue(now):
            asked = self.expires_utc[:10]
            said += f" Nobody has confirmed since {asked} that there is no newer one; it goes on identifying."
        return said

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return asdict(self) | {"signers": list(self.signers)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Installed:
        """Inverse of `to_dict`.

        Raises
        ------
        ValueError
            If something of it is missing or of another type.
        """
        try:
            known: dict[str, Any] = {field.name: data[field.name] for field in fields(cls)}
            known["signers"] = tuple(known["signers"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"what is installed is not said in full ({error})") from None
        texts = (value for name, value in known.items() if name not in ("number", "signers"))
        if not isinstance(known["number"], int) or not all(isinstance(text, str) for text in texts):
            raise ValueError("what is installed is not said in the right form")
        if Path(known["file"]).name != known["file"] or not known["file"]:
            raise ValueError("the name of the file is none")
        return cls(**known)


def installed(folder: str | os.PathLike[str]) -> Installed | None:
    """What is in force in a folder; ``None`` if nothing was installed there yet."""
    listed = _listed(Path(folder))
    return listed[0] if listed else None


def open_installed(folder: str | os.PathLike[str]) -> ReferenceLibrary | None:
    """The library in force, every checksum looked at; the one before it if it does not open any more.

    Returns
    -------
    ReferenceLibrary or None
        ``None`` if none was installed, or none of them opens: then there is the bundled one.
    """
    from spectralid.library.store import ReferenceLibrary
    from spectralid.library.verify import verify_library

    for one in _listed(Path(folder)):
        path = Path(folder) / FILES / one.file
        # A damaged file is what the one before is kept for.
        with contextlib.suppress(LibraryError):
            library = ReferenceLibrary(path)
            if library.sha256 == one.sha256 and not verify_library(path):
                library.vouched_by = f"release {one.number}"
                return library
            library.close()
    return None


def activate(folder: Path, one: Installed) -> None:
    """Put a library in force whose file is whole and on the disk; the one in force becomes the one before.

    This is the one step of an installation: before it the old library is in force, after it the new one.

    Raises
    ------
    OSError
        If it cannot be written; then nothing has changed.
    """
    before = [known for known in _listed(folder) if known.file != one.file][:1]
    content = {"schema": _SCHEMA, "libraries": [known.to_dict() for known in (one, *before)]}
    write_whole(folder / POINTER, [json.dumps(content, indent=1).encode()])
    kept = {known.file for known in (one, *before)}
    for path in (folder / FILES).iterdir():
        # What was prepared from a library lies beside it and begins with its name.
        if not any(path.name.startswith(file) for file in kept):
            with contextlib.suppress(OSError):
                path.unlink()


def _listed(folder: Path) -> list[Installed]:
    """What the pointer names, the one in force first; nothing if there is none that can be read."""
    try:
        with (folder / POINTER).open("rb") as file:
            said = json.loads(file.read(_LARGEST))
        if said["schema"] != _SCHEMA:
            return []
        return [Installed.from_dict(one) for one in said["libraries"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
