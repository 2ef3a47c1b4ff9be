"""Fetching a public library that a user may download, but we may not ship: terms first, then one command."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from spectralid.errors import LibraryError, ParameterError
from spectralid.library.download import FetchError, download, file_sha256
from spectralid.library.importing import ImportReport, Reader, import_folder
from spectralid.library.openspecy import read_openspecy
from spectralid.library.recipes import Recipe, RecipeFile
from spectralid.library.unpack import split_rows, unpack

__all__ = ["FetchReport", "FetchedFile", "Trust", "default_folder", "fetch_library"]


class Trust(StrEnum):
    """What says that a fetched file is the right one.

    `RECIPE`: the checksum in the recipe. `EARLIER`: it is the same file as when it was first fetched to this
    folder. `FIRST_USE`: nothing; its checksum was recorded, and only later changes will be noticed.
    """

    RECIPE = "checksum in the recipe"
    EARLIER = "same as when first fetched"
    FIRST_USE = "first use"


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file of a recipe that is there.

    Attributes
    ----------
    name, url, sha256 : str
        What it is called, where the recipe says it comes from, and what it is.
    size : int
        Bytes.
    trust : Trust
        What says that it is the right one.
    downloaded : bool
        Whether it was downloaded now; else it was in the folder already.
    resumed_from : int
        Bytes that were there from an earlier try.
    """

    name: str
    url: str
    sha256: str
    size: int
    trust: Trust
    downloaded: bool
    resumed_from: int

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {**asdict(self), "trust": self.trust.value}


@dataclass(frozen=True, slots=True)
class FetchReport:
    """What became of a recipe.

    Attributes
    ----------
    recipe, licence, folder : str
        The recipe, the terms accepted, and where its files are kept.
    files : tuple of FetchedFile
        The files of the recipe.
    left_in_archives : int
        Files of the archives that the recipe does not ask for.
    imported : ImportReport
        What became of each file that it asks for.
    """

    recipe: str
    licence: str
    folder: str
    files: tuple[FetchedFile, ...]
    left_in_archives: int
    imported: ImportReport

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {
            "recipe": self.recipe,
            "licence": self.licence,
            "folder": self.folder,
            "files": [file.to_dict() for file in self.files],
            "left_in_archives": self.left_in_archives,
            "import": self.imported.to_dict(),
        }


def default_folder(recipe: Recipe) -> Path:
    """Where the files of a recipe are kept if nothing else is said: the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    return Path(base, "spectralid", "fetch", recipe.name)


def fetch_library(
    recipe: Recipe,
    output: str | os.PathLike[str],
    *,
    accept_licence: bool,
    folder: str | os.PathLike[str] | None = None,
    name: str = "",
    version: str = "1",
    created: str = "",
    wait: Callable[[float], None] = time.sleep,
    downloading: Callable[[str, int, int | None], None] | None = None,
    progress: Callable[[Sequence[Path]], Iterable[Path]] = lambda files: files,
) -> FetchReport:
    """Download the files of a recipe, check them, and make a library of them.

    A file that is already in `folder`, from an earlier fetch or put there by hand where there is no network,
    is not downloaded again. A file without a checksum in the recipe is trusted the first time; its checksum
    is recorded beside it, and a file that differs from the record is refused from then on.

    Parameters
    ----------
    recipe : Recipe
        What to fetch.
    output : path
        The library file to write.
    accept_licence : bool
        Whether whoever asks has read `Recipe.licence_text` and accepts it.
    folder : path, optional
        Where the files are kept; `default_folder` by default.
    name, version, created
        Of the library; the name is that of the recipe by default.
    wait, downloading
        See `download`; `downloading` is called with the name of the file first.
    progress : callable, optional
        Wraps the sequence of files to import, to show how far it has come.

    Returns
    -------
    FetchReport

    Raises
    ------
    ParameterError
        If the licence is not accepted.
    FetchError
        If a file cannot be had, or is not the one that is expected.
    UnreadableFileError
        If an archive is damaged or refused.
    LibraryError
        If nothing could be imported, or the library cannot be written.
    """
    if not accept_licence:
        raise ParameterError("accept_licence", accept_licence, f"given, to fetch {recipe.name} on its terms")
    root = default_folder(recipe) if folder is None else Path(folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FetchError(f"{root}: the folder cannot be made ({error.strerror}).") from None
    files = tuple(_obtain(file, root, created, wait, downloading) for file in recipe.files)
    reader: Reader | None = read_openspecy if recipe.reader == "openspecy" else None
    with tempfile.TemporaryDirectory(prefix="unpacked-", dir=root) as unpacked:
        left = 0
        for i, file in enumerate(recipe.files):
            # Each in a folder of its own: two archives may hold files of one name.
            place = Path(unpacked, str(i) if len(recipe.files) > 1 else "")
            left += unpack(root / file.name, place, include=recipe.include, limits=recipe.limits).left
        if recipe.split_rows:
            for path in [path for path in Path(unpacked).rglob("*") if path.is_file()]:
                split_rows(path, recipe.split_rows)
        if not any(path.is_file() for path in Path(unpacked).rglob("*")):
            raise FetchError(f"{recipe.name}: the archives hold no file that the recipe asks for.")
        imported = import_folder(
            unpacked,
            output,
            technique=recipe.technique,
            tier=recipe.tier,
            source=recipe.title,
            licence=recipe.licence,
            name=name or recipe.name,
            version=version,
            created=created,
            recipe=_described(recipe, files),
            naming=recipe.naming,
            reader=reader,
            url=recipe.home,
            citation=recipe.citation,
            progress=progress,
        )
    if not imported.library:
        first = imported.entries[0].message if imported.entries else "there is no file"
        raise LibraryError(f"{recipe.name}: nothing could be imported; {first}")
    return FetchReport(recipe.name, recipe.licence, str(root), files, left, imported)


def _described(recipe: Recipe, files: Sequence[FetchedFile]) -> str:
    parts = "; ".join(f"{file.url} (sha256 {file.sha256}, {file.trust.value})" for file in files)
    return f"fetched by the recipe {recipe.name} from {parts}"


def _obtain(
    file: RecipeFile,
    root: Path,
    created: str,
    wait: Callable[[float], None],
    downloading: Callable[[str, int, int | None], None] | None,
) -> FetchedFile:
    target, record = root / file.name, root / f"{file.name}.record.json"
    recorded = _recorded(record)
    expected = file.sha256 or recorded
    resumed, downloaded = 0, False
    if not target.is_file():
        found = download(
            file.url,
            target,
            maximum_bytes=file.maximum_bytes,
            wait=wait,
            progress=None if downloading is None else lambda done, total: downloading(file.name, done, total),
        )
        resumed, downloaded, sha256 = found.resumed_from, True, found.sha256
    else:
        sha256 = file_sha256(target)
    if expected and sha256 != expected:
        if downloaded:
            target.unlink()
        why = "as the recipe states" if file.sha256 else f"as {record} recorded when it was first fetched"
        then = (
            f"remove {target} to download it again"
            if not downloaded
            else "it was not kept"
            if file.sha256
            else "it was not kept; remove the record if a new release is expected"
        )
        raise FetchError(f"{file.url}: the SHA-256 of the file is {sha256}, not {expected} {why}; {then}.")
    if not recorded:
        content = {"url": file.url, "sha256": sha256, "size": target.stat().st_size, "fetched": created}
        with contextlib.suppress(OSError):
            record.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    trust = Trust.RECIPE if file.sha256 else Trust.EARLIER if recorded else Trust.FIRST_USE
    return FetchedFile(file.name, file.url, sha256, target.stat().st_size, trust, downloaded, resumed)


def _recorded(record: Path) -> str:
    try:
        return str(json.loads(record.read_text(encoding="utf-8"))["sha256"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError):
        raise FetchError(
            f"{record}: the record of the first fetch cannot be read; remove it to trust the file anew."
        ) from None
