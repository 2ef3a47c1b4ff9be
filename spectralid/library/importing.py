"""Making a library from a folder of spectrum files; every file ends up in the report, one way or another."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

from spectralid import _bundled
from spectralid.errors import ParameterError, SpectralIDError, UnreadableFileError
from spectralid.io import read_all
from spectralid.library._values import Compound, Tier
from spectralid.library.builder import LibraryBuilder
from spectralid.library.compounds import (
    CompoundIndex,
    compound_from_row,
    make_slug,
    normalised,
    read_compounds,
    read_rows,
)
from spectralid.spectrum import Spectrum, Technique

__all__ = [
    "INDEX",
    "MAPPING_COLUMNS",
    "ImportEntry",
    "ImportReport",
    "Naming",
    "Outcome",
    "Reader",
    "import_folder",
]

# The mapping that `export` leaves beside its files, and that is used when no other is named.
INDEX: Final = "index.csv"

_REFERENCE_COLUMNS: Final = ("form", "technique", "tier", "source", "licence", "url", "citation", "quality")
MAPPING_COLUMNS: Final = ("file", *Compound.__dataclass_fields__, *_REFERENCE_COLUMNS, "spectrum_sha256")

# Header fields of the usual formats that say what the substance is, in normalised form.
_CAS_FIELDS: Final = frozenset({"casregistryno", "casnumber", "casno", "cas"})
_INCHIKEY_FIELDS: Final = frozenset({"inchikey"})
_NAME_FIELDS: Final = ("casname", "names", "compound", "substance", "samplename", "sample")
_LICENCE_FIELDS: Final = frozenset({"license", "licence"})


class Outcome(StrEnum):
    """What became of a spectrum or a file.

    `UNMATCHED` is in the library, under a compound made from its name because the table has none for it.
    `UNREADABLE` and `DUPLICATE` are not in the library.
    """

    IMPORTED = "imported"
    UNMATCHED = "unmatched"
    DUPLICATE = "duplicate"
    UNREADABLE = "unreadable"


class Reader(Protocol):
    """Reads every spectrum of a file, as `spectralid.io.read_all` does."""

    def __call__(self, path: Path, /, *, technique: Technique | str | None, name: str) -> list[Spectrum]:
        """Spectra of the file at `path`, which messages call `name`."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How the files of a collection say what the substance is.

    Attributes
    ----------
    fields : tuple of str
        Header fields that name it, in the order they count; ``"title"`` is the name of the spectrum,
        ``"file"`` the name of the file without its extension.
    pattern : str
        Regular expression whose group ``name`` is the substance within such a text; a text it is not found in
        is taken whole.
    """

    fields: tuple[str, ...] = ("file",)
    pattern: str = r"(?P<name>.*)"

    def name(self, spectrum: Spectrum, path: Path) -> str:
        """What the file calls the substance; empty if it does not say."""
        known = {normalised(key): value for key, value in spectrum.acquisition.metadata.items()}
        known |= {"title": spectrum.name, "file": path.stem}
        stated = next((known[key] for key in map(normalised, self.fields) if known.get(key)), "")
        found = re.search(self.pattern, stated)
        return (found["name"] if found else stated).strip()


@dataclass(frozen=True, slots=True)
class ImportEntry:
    """What became of one spectrum of a file, or of a file that could not be read.

    Attributes
    ----------
    file : str
        Path below the folder, with forward slashes.
    outcome : Outcome
        What became of it.
    message : str
        One sentence.
    compound_slug, reference_id : str
        What it became; empty if nothing.
    """

    file: str
    outcome: Outcome
    message: str
    compound_slug: str = ""
    reference_id: str = ""

    def to_dict(self) -> dict[str, str]:
        """Plain, JSON-ready form."""
        return {name: str(getattr(self, name)) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of every file of a folder.

    Attributes
    ----------
    entries : tuple of ImportEntry
        In the order of the files' names.
    library : str
        The file written; empty if nothing could be imported.
    sha256 : str
        Identity of its content.
    mapping : str
        The mapping used, if any.
    """

    entries: tuple[ImportEntry, ...]
    library: str
    sha256: str
    mapping: str

    def with_outcome(self, outcome: Outcome) -> tuple[ImportEntry, ...]:
        """The entries with that outcome."""
        return tuple(entry for entry in self.entries if entry.outcome is outcome)

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {
            "library": self.library,
            "sha256": self.sha256,
            "mapping": self.mapping,
            "counts": {outcome.value: len(self.with_outcome(outcome)) for outcome in Outcome},
            "entries": [entry.to_dict() for entry in self.entries],
        }


def import_folder(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    mapping: str | os.PathLike[str] | None = None,
    *,
    compounds: Sequence[Compound] | None = None,
    technique: Technique | str | None = None,
    tier: Tier | str = Tier.MEASURED,
    source: str = "",
    licence: str = "",
    name: str = "",
    version: str = "1",
    created: str = "",
    recipe: str = "imported files",
    url: str = "",
    citation: str = "",
    naming: Naming | None = None,
    reader: Reader | None = None,
    progress: Callable[[Sequence[Path]], Iterable[Path]] = lambda files: files,
) -> ImportReport:
    """Read every spectrum file below a folder and write them as a library.

    A file is matched to a compound by its row in the mapping, else by CAS number, InChIKey or name in its
    header, else by its file name; without a match a compound is made from its name. A file that cannot be
    read is reported and the rest goes on.

    Parameters
    ----------
    folder : path
        The folder; sub-folders are read too, files and folders whose name begins with a dot are not.
    output : path
        The library file to write.
    mapping : path, optional
        CSV file with a header line and any of the columns ``file`` (required; path below `folder`), ``slug``,
        ``name``, ``synonyms``, ``cas``, ``inchikey``, ``smiles``, ``formula``, ``category``, ``schedule``,
        ``hazards``, ``salt_forms``, ``fentanyl_related``, ``verification`` (the compound, see `Compound`;
        lists divided by ``|``), ``form``, ``technique``, ``tier``, ``source``, ``licence``, ``url``,
        ``citation``, ``quality`` (the reference, see `ReferenceInfo`) and ``spectrum_sha256`` (checked).
        The ``index.csv`` that `export_library` left in the folder is used if none is given.
    compounds : sequence of Compound, optional
        The table to match against; the bundled one by default.
    technique, tier, source, licence
        For what neither mapping nor file states.
    name, version, created, recipe
        Of the library; the name is that of the output file by default.
    url, citation
        Of the references, where neither mapping nor file states them.
    naming : Naming, optional
        Where the files say what the substance is; by default every usual place is looked at.
    reader : callable, optional
        Reads a file; `spectralid.io.read_all` by default.
    progress : callable, optional
        Wraps the sequence of files, to show how far it has come.

    Returns
    -------
    ImportReport

    Raises
    ------
    UnreadableFileError
        If the mapping is not usable; with its line.
    ParameterError
        If the folder is none or holds no file.
    LibraryError
        If the library cannot be written.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ParameterError("folder", str(folder), "a folder that exists")
    plan = _Plan.read(root, mapping)
    files = [path for path in _files_below(root) if path not in (plan.path, Path(output).resolve())]
    if not files and not plan.rows:
        raise ParameterError("folder", str(folder), "a folder with spectrum files in it")
    table = _bundled_compounds() if compounds is None else compounds
    importer = _Importer(
        plan,
        CompoundIndex(table),
        LibraryBuilder(name or Path(output).stem, version=version, created=created, recipe=recipe),
        technique,
        {
            "tier": Tier.parse(tier),
            "source": source,
            "licence": licence,
            "url": url,
            "citation": citation,
        },
        naming,
        reader or read_all,
    )
    entries: list[ImportEntry] = []
    for path in progress(files):
        entries += importer.take(path, path.relative_to(root.resolve()).as_posix())
    present = {entry.file for entry in entries}
    entries += [
        ImportEntry(file, Outcome.UNREADABLE, f"{file}: the mapping names it, but there is no such file.")
        for file in plan.rows
        if file not in present
    ]
    written = bool(len(importer.builder))
    sha256 = importer.builder.write(output) if written else ""
    return ImportReport(
        tuple(sorted(entries, key=lambda entry: entry.file)),
        str(output) if written else "",
        sha256,
        str(plan.path) if plan.path else "",
    )


def _files_below(root: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise ParameterError("folder", str(error.filename), f"readable with all below it ({error.strerror})")

    found = []
    for folder, subfolders, names in os.walk(root.resolve(), onerror=refuse):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _bundled_compounds() -> tuple[Compound, ...]:
    path = _bundled.path("libraries", "compounds.csv")
    return read_compounds(path) if path.is_file() else ()


@dataclass(frozen=True)
class _Plan:
    """The mapping: its rows by file, and the line of each."""

    path: Path | None
    rows: Mapping[str, Mapping[str, str]]
    lines: Mapping[str, int]

    @classmethod
    def read(cls, root: Path, mapping: str | os.PathLike[str] | None) -> _Plan:
        path = None if mapping is None else Path(mapping).resolve()
        if path is None:
            index = root.resolve() / INDEX
            if not _is_export_index(index):
                return cls(None, {}, {})
            path = index
        rows: dict[str, Mapping[str, str]] = {}
        lines: dict[str, int] = {}
        for line, row in read_rows(path, required=("file",), optional=MAPPING_COLUMNS):
            where = f"line {line}"
            file = row["file"].replace("\\", "/")
            if not file or file in rows:
                problem = f"the file {file!r} was there already." if file else "the file is not named."
                raise UnreadableFileError(problem, file=str(path), where=where)
            try:
                _check_row(row)
            except ParameterError as error:
                raise UnreadableFileError(str(error), file=str(path), where=where) from None
            rows[file], lines[file] = row, line
        return cls(path, rows, lines)


def _is_export_index(path: Path) -> bool:
    # Only what export wrote: a folder's own index.csv may mean anything.
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().strip() == ",".join(MAPPING_COLUMNS)


def _check_row(row: Mapping[str, str]) -> None:
    if row.get("slug") and make_slug(row["slug"]) != row["slug"]:
        raise ParameterError("slug", row["slug"], "lower-case letters and digits joined by single hyphens")
    if row.get("technique"):
        Technique.parse(row["technique"])
    if row.get("tier"):
        Tier.parse(row["tier"])
    if row.get("quality"):
        _quality(row["quality"])


def _quality(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not -1 <= value <= 1:
        raise ParameterError("quality", text, "a number from -1 to 1")
    return value


def _stated_licence(spectrum: Spectrum) -> str:
    fields = spectrum.acquisition.metadata.items()
    return next((value for key, value in fields if normalised(key) in _LICENCE_FIELDS), "")


class _Importer:
    """Takes one file after the other into a builder."""

    def __init__(
        self,
        plan: _Plan,
        index: CompoundIndex,
        builder: LibraryBuilder,
        technique: Technique | str | None,
        defaults: Mapping[str, str],
        naming: Naming | None,
        reader: Reader,
    ) -> None:
        self.builder = builder
        self._naming = naming
        self._reader = reader
        self._plan = plan
        self._index = index
        self._technique = technique
        self._defaults = defaults
        self._files: dict[tuple[str, str, str], str] = {}
        self._compounds: dict[str, Compound] = {}
        self._mapped: dict[str, tuple[str, str]] = {}
        for file, row in plan.rows.items():
            if any(row.get(key) for key in ("slug", "name", "cas", "inchikey")):
                compound, form = self._from_row(row)
                self._merge(compound, f"line {plan.lines[file]}")
                self._mapped[file] = compound.slug, row.get("form") or form
        for slug, compound in self._compounds.items():
            named = compound.name or compound.cas or compound.inchikey or slug
            self._compounds[slug] = replace(compound, name=named)

    def take(self, path: Path, shown: str) -> list[ImportEntry]:
        """Read one file and add what is in it; says what became of each of its spectra."""
        row = self._plan.rows.get(shown, {})
        try:
            spectra = self._reader(path, technique=row.get("technique") or self._technique, name=shown)
        except SpectralIDError as error:
            return [ImportEntry(shown, Outcome.UNREADABLE, str(error))]
        except Exception as error:
            # A fault of a reader must not cost the other files; it is reported like any bad file.
            fault = f"{shown}: reading it failed inside spectralid ({type(error).__name__}: {error})."
            return [ImportEntry(shown, Outcome.UNREADABLE, fault)]
        return [self._add(spectrum, path, shown, row, len(spectra) == 1) for spectrum in spectra]

    def _add(
        self, spectrum: Spectrum, path: Path, shown: str, row: Mapping[str, str], alone: bool
    ) -> ImportEntry:
        expected = row.get("spectrum_sha256", "")
        if alone and expected and expected != spectrum.sha256:
            return ImportEntry(
                shown, Outcome.UNREADABLE, f"{shown}: its spectrum is not the one the mapping names."
            )
        try:
            compound, form, how = self._compound(spectrum, path, shown, row, alone)
            key = (compound.slug, form, spectrum.sha256)
            known = self._files.get(key)
            if known:
                return ImportEntry(
                    shown,
                    Outcome.DUPLICATE,
                    f"{shown}: the same spectrum as {known}; kept once.",
                    compound.slug,
                )
            id = self.builder.add(
                spectrum,
                compound,
                form=form,
                tier=row.get("tier") or self._defaults["tier"],
                source=row.get("source") or self._defaults["source"] or shown,
                licence=row.get("licence") or _stated_licence(spectrum) or self._defaults["licence"],
                url=row.get("url") or self._defaults["url"],
                citation=row.get("citation") or self._defaults["citation"],
                quality=_quality(row["quality"]) if row.get("quality") else None,
            )
        except SpectralIDError as error:
            return ImportEntry(shown, Outcome.UNREADABLE, f"{shown}: {error}")
        self._files[key] = shown
        if how:
            return ImportEntry(shown, Outcome.IMPORTED, f"{compound.name}, by {how}.", compound.slug, id)
        return ImportEntry(
            shown,
            Outcome.UNMATCHED,
            f"{shown}: the table has no compound of that name; taken as {compound.name!r}.",
            compound.slug,
            id,
        )

    def _compound(
        self, spectrum: Spectrum, path: Path, shown: str, row: Mapping[str, str], alone: bool
    ) -> tuple[Compound, str, str]:
        """Compound, form, and how it was found (empty: made from its name)."""
        if shown in self._mapped:
            slug, form = self._mapped[shown]
            return self._compounds[slug], form, "the mapping"
        fields = {normalised(key): value for key, value in spectrum.acquisition.metadata.items()}
        cas = next((fields[key] for key in sorted(_CAS_FIELDS & fields.keys())), "")
        inchikey = next((fields[key] for key in sorted(_INCHIKEY_FIELDS & fields.keys())), "")
        if self._naming:
            otherwise = self._naming.name(spectrum, path) or path.stem
            names = [otherwise]
        else:
            # Where a file holds several spectra, its name is not that of a substance.
            otherwise = path.stem if alone else spectrum.name or path.stem
            names = [*(fields[key] for key in _NAME_FIELDS if fields.get(key)), spectrum.name, path.stem]
        for i, candidate in enumerate(names):
            found = self._index.find(cas=cas, inchikey=inchikey, name=candidate)
            if found:
                how = "its header" if self._naming or i < len(names) - 1 else "its file name"
                compound = self._compounds.setdefault(found[0].slug, found[0])
                return compound, row.get("form") or found[1], how
        return self._made_from_name(otherwise), row.get("form", ""), ""

    def _made_from_name(self, name: str) -> Compound:
        slug = make_slug(name)
        known = self._compounds.get(slug, self._index.by_slug.get(slug))
        if known and normalised(known.name) != normalised(name):
            # Names that differ only in what a slug cannot hold (another script) are not one substance.
            slug = f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        return self._compounds.setdefault(slug, Compound(slug, name, verification="name only"))

    def _from_row(self, row: Mapping[str, str]) -> tuple[Compound, str]:
        """The compound a mapping row names: that of the table, with what the row says beyond it."""
        stated = compound_from_row(row)
        found = (
            (self._index.by_slug[stated.slug], "")
            if stated.slug in self._index.by_slug
            else self._index.find(cas=stated.cas, inchikey=stated.inchikey, name=stated.name)
        )
        # A slug that the table does not know is the user's own compound, whatever its name resembles.
        if found is None or (stated.slug and found[0].slug != stated.slug):
            slug = stated.slug or make_slug(stated.name or stated.cas or stated.inchikey)
            return replace(stated, slug=slug), ""
        # Without a slug the row's name was what to look for; with one it is what to call the compound.
        said = {k: v for k, v in stated.to_dict().items() if k != "name" or stated.slug}
        return Compound.from_dict({**found[0].to_dict(), **said, "slug": found[0].slug}), found[1]

    def _merge(self, compound: Compound, where: str) -> None:
        """Put together what several rows say of one compound; they may not contradict each other."""
        known = {"name": "", **self._compounds.get(compound.slug, compound).to_dict()}
        for key, value in compound.to_dict().items():
            if (known.get(key) or value) != value:
                raise UnreadableFileError(
                    f"it says {key} {value!r} of {compound.slug}, an earlier row {known[key]!r}.",
                    file=str(self._plan.path),
                    where=where,
                )
            known[key] = value
        self._compounds[compound.slug] = Compound.from_dict(known)
