"""Libraries from libraries: the union of several, and the part of one that somebody needs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spectralid.errors import LibraryError, ParameterError, UnreadableFileError
from spectralid.library._values import Compound, ReferenceInfo, Tier
from spectralid.library.builder import LibraryBuilder, spectrum_facts
from spectralid.library.compounds import CompoundIndex, read_rows
from spectralid.library.schema import grid_key
from spectralid.library.store import ReferenceLibrary
from spectralid.library.summary import describe
from spectralid.spectrum import Technique

__all__ = [
    "MergeReport",
    "SubsetReport",
    "WatchEntry",
    "merge_libraries",
    "read_watch_list",
    "subset_library",
]

# A sentence names this many contradictions; who has more needs another tool than a sentence.
_SHOWN = 20

Item = tuple[ReferenceLibrary, ReferenceInfo]
Progress = Callable[[Sequence[Item]], Iterable[Item]]


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What became of the libraries that were put together.

    Attributes
    ----------
    library : str
        The file written.
    sha256 : str
        Identity of its content.
    compounds, references : int
        How many it holds.
    duplicates : tuple of str
        Ids of references that more than one library had, the same in each; kept once.
    settled : tuple of str
        Contradictions settled by preference, a sentence each.
    licences : mapping of str to int
        References per licence.
    """

    library: str
    sha256: str
    compounds: int
    references: int
    duplicates: tuple[str, ...]
    settled: tuple[str, ...]
    licences: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {
            "library": self.library,
            "sha256": self.sha256,
            "compounds": self.compounds,
            "references": self.references,
            "duplicates": list(self.duplicates),
            "settled": list(self.settled),
            "licences": dict(self.licences),
        }


def merge_libraries(
    libraries: Sequence[ReferenceLibrary],
    output: str | os.PathLike[str],
    *,
    prefer: Literal["first", "last"] | None = None,
    name: str = "",
    version: str = "1",
    created: str = "",
    progress: Progress = lambda items: items,
) -> MergeReport:
    """Write the union of libraries; every reference keeps its provenance and its licence.

    Two libraries contradict each other where they give one compound slug different facts, or one reference
    different facts about it.

    Parameters
    ----------
    libraries : sequence of ReferenceLibrary
        At least two.
    output : path
        The library file to write.
    prefer : {"first", "last"}, optional
        Whose word counts in a contradiction: that of the library named first, or last. By default a
        contradiction is refused.
    name, version, created
        Of the library; the name is that of the output file by default.
    progress : callable, optional
        Wraps the sequence of references to copy, to show how far it has come.

    Returns
    -------
    MergeReport

    Raises
    ------
    LibraryError
        If they contradict each other and nothing is preferred; one is damaged; the output cannot be written.
    ParameterError
        If fewer than two libraries are given, or `prefer` is unknown.
    """
    if len(libraries) < 2:
        raise ParameterError("libraries", [library.name for library in libraries], "at least two")
    if prefer not in (None, "first", "last"):
        raise ParameterError("prefer", prefer, "'first' or 'last'")
    compounds: dict[str, tuple[ReferenceLibrary, Compound]] = {}
    references: dict[str, Item] = {}
    duplicates: list[str] = []
    contradictions: list[str] = []
    for library in libraries:
        for compound in library.compounds:
            known = compounds.setdefault(compound.slug, (library, compound))
            if known[1] != compound:
                fields = _differing(known[1].to_dict(), compound.to_dict())
                contradictions.append(f"compound {compound.slug} ({fields}: {_against(known[0], library)})")
                if prefer == "last":
                    compounds[compound.slug] = library, compound
        for info in library.references:
            first, known_info = references.setdefault(info.id, (library, info))
            if first is library and known_info is info:
                continue
            fields = _differing(_facts(first, known_info), _facts(library, info))
            if not fields:
                duplicates.append(info.id)
                continue
            contradictions.append(f"reference {info.id} ({fields}: {_against(first, library)})")
            if prefer == "last":
                references[info.id] = library, info
    if contradictions and prefer is None:
        more = len(contradictions) - _SHOWN
        raise LibraryError(
            f"The libraries contradict each other in {len(contradictions)} places; say whether the first or "
            f"the last is to be preferred: {'; '.join(contradictions[:_SHOWN])}"
            f"{f'; and {more} more' if more > 0 else ''}."
        )
    builder = LibraryBuilder(
        name or Path(output).stem,
        version=version,
        created=created,
        recipe="merged from " + "; ".join(_described(library) for library in libraries),
    )
    for _, compound in compounds.values():
        builder.add_compound(compound)
    _copy(builder, list(references.values()), progress)
    _carry_evidence(builder, libraries, [info for _, info in references.values()])
    sha256 = builder.write(output)
    return MergeReport(
        str(output),
        sha256,
        len(compounds),
        len(references),
        tuple(sorted(duplicates)),
        tuple(contradictions),
        describe(ReferenceLibrary(output))["licences"],
    )


@dataclass(frozen=True, slots=True)
class WatchEntry:
    """A line of a watch list.

    Attributes
    ----------
    text : str
        The line as written, the cells of a table joined by commas.
    slug, cas, inchikey, name : str
        What it names the substance by; at least one is filled.
    """

    text: str
    slug: str = ""
    cas: str = ""
    inchikey: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class SubsetReport:
    """What became of a selection.

    Attributes
    ----------
    library : str
        The file written.
    sha256 : str
        Identity of its content.
    compounds, references : int
        How many it holds.
    unmatched : tuple of str
        Entries of the watch list the library has no compound for.
    without_references : tuple of str
        Slugs of watched compounds that the library has, but no reference of them that fits the selection.
    """

    library: str
    sha256: str
    compounds: int
    references: int
    unmatched: tuple[str, ...]
    without_references: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {
            "library": self.library,
            "sha256": self.sha256,
            "compounds": self.compounds,
            "references": self.references,
            "unmatched": list(self.unmatched),
            "without_references": list(self.without_references),
        }


def read_watch_list(path: str | os.PathLike[str]) -> tuple[WatchEntry, ...]:
    """Watch list from a file.

    Either text with a name, CAS number, InChIKey or slug per line (empty lines and what follows ``#`` do not
    count), or CSV whose header line has any of the columns ``slug``, ``name``, ``cas`` and ``inchikey``.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    tuple of WatchEntry
        In the order of the file.

    Raises
    ------
    UnreadableFileError
        If it cannot be read or names nothing; with its line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UnreadableFileError(f"it cannot be opened ({error.strerror}).", file=str(path)) from None
    except UnicodeDecodeError as error:
        raise UnreadableFileError(
            "it is not UTF-8 text.", file=str(path), where=f"byte {error.start}"
        ) from None
    header = {cell.strip().strip('"') for cell in lines[0].split(",")} if lines else set()
    columns = {"slug", "name", "cas", "inchikey"}
    if header & columns:
        rows = read_rows(path, required=header & columns, optional=header)
        found = [
            WatchEntry(
                ", ".join(cell for cell in row.values() if cell),
                **{k: row[k] for k in sorted(columns & row.keys())},
            )
            for _, row in rows
        ]
        entries = [entry for entry in found if entry.slug or entry.name or entry.cas or entry.inchikey]
    else:
        stated = [re.sub(r"(^|\s)#.*", "", line).strip() for line in lines]
        entries = [WatchEntry(text, slug=text, cas=text, inchikey=text, name=text) for text in stated if text]
    if not entries:
        raise UnreadableFileError("it names no substance.", file=str(path))
    return tuple(entries)


def subset_library(
    library: ReferenceLibrary,
    output: str | os.PathLike[str],
    *,
    watch_list: Sequence[WatchEntry] | None = None,
    categories: Collection[str] = (),
    techniques: Collection[Technique | str] = (),
    tiers: Collection[Tier | str] = (),
    name: str = "",
    version: str = "",
    created: str = "",
    progress: Progress = lambda items: items,
) -> SubsetReport:
    """Write the part of a library that fits every criterion given.

    Parameters
    ----------
    library : ReferenceLibrary
        What to select from.
    output : path
        The library file to write. It holds the compounds of the references selected, and no others.
    watch_list : sequence of WatchEntry, optional
        Substances; all forms of a substance that is named by one of its salts are taken.
    categories : collection of str
        Categories, ``family`` or ``family/subfamily``.
    techniques : collection of Technique
        Techniques; ``"ftir"`` stands for every infrared one.
    tiers : collection of Tier
        Tiers.
    name, version, created
        Of the library written; name and version are those of `library` by default.
    progress : callable, optional
        Wraps the sequence of references to copy, to show how far it has come.

    Returns
    -------
    SubsetReport

    Raises
    ------
    LibraryError
        If nothing fits, the library is damaged, or the output cannot be written.
    ParameterError
        If no criterion is given, or one names no tier, technique or category of the library.
    """
    if watch_list is None and not (categories or techniques or tiers):
        raise ParameterError("selection", None, "a watch list, category, technique or tier")
    known = sorted({c.category for c in library.compounds if c.category})
    for category in categories:
        if not any(_is_of(known_one, category) for known_one in known):
            raise ParameterError("category", category, "one the library has: " + ", ".join(known))
    wanted = {Technique.parse(str(technique)) for technique in techniques}
    # "ftir" says that the technique is infrared, not which: it takes all of them.
    if Technique.FTIR in wanted:
        wanted |= {technique for technique in Technique if technique.is_infrared}
    kept_tiers = {Tier.parse(str(tier)) for tier in tiers}
    compounds = {c.slug: c for c in library.compounds if not categories or _in_any(c.category, categories)}
    watched, unmatched = _watched(library, watch_list)
    items = [
        (library, info)
        for info in library.references
        if info.compound_slug in compounds
        and (watch_list is None or info.compound_slug in watched)
        and (not wanted or info.technique in wanted)
        and (not kept_tiers or info.tier in kept_tiers)
    ]
    if not items:
        raise LibraryError(f"No reference of the library {library.name!r} fits the selection.")
    chosen = {info.compound_slug for _, info in items}
    builder = LibraryBuilder(
        name or library.name,
        version=version or library.version,
        created=created,
        recipe="selected from " + _described(library),
    )
    for compound in library.compounds:
        if compound.slug in chosen:
            builder.add_compound(compound)
    _copy(builder, items, progress)
    _carry_evidence(builder, [library], [info for _, info in items])
    sha256 = builder.write(output)
    without = tuple(sorted(watched - chosen))
    return SubsetReport(str(output), sha256, len(chosen), len(items), unmatched, without)


def _watched(
    library: ReferenceLibrary, watch_list: Sequence[WatchEntry] | None
) -> tuple[set[str], tuple[str, ...]]:
    index = CompoundIndex(library.compounds)
    slugs, unmatched = set(), []
    for entry in watch_list or ():
        known = index.by_slug.get(entry.slug)
        found = index.find(cas=entry.cas, inchikey=entry.inchikey, name=entry.name)
        compound = known or (found[0] if found else None)
        if compound is None:
            unmatched.append(entry.text)
        else:
            slugs.add(compound.slug)
    return slugs, tuple(unmatched)


def _is_of(category: str, wanted: str) -> bool:
    return category == wanted or category.startswith(wanted + "/")


def _in_any(category: str, wanted: Collection[str]) -> bool:
    return any(_is_of(category, one) for one in wanted)


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    return ", ".join(k for k in sorted(first.keys() | second.keys()) if first.get(k) != second.get(k))


def _facts(library: ReferenceLibrary, info: ReferenceInfo) -> dict[str, Any]:
    stated = {name: getattr(info, name) for name in info.__dataclass_fields__}
    return {
        **stated,
        **{f"spectrum.{k}": v for k, v in spectrum_facts(library.reference(info.id).spectrum).items()},
    }


def _copy(builder: LibraryBuilder, items: Sequence[Item], progress: Progress) -> None:
    for library, info in progress(items):
        builder.add(
            library.reference(info.id).spectrum,
            info.compound_slug,
            tier=info.tier,
            source=info.source,
            licence=info.licence,
            url=info.url,
            citation=info.citation,
            form=info.form,
            quality=info.quality,
        )


def _carry_evidence(
    builder: LibraryBuilder, libraries: Iterable[ReferenceLibrary], kept: Sequence[ReferenceInfo]
) -> None:
    """What was measured of a tier is still said of it, as long as there is anything of that tier."""
    present = {(info.tier, grid_key(info.technique)) for info in kept}
    for library in libraries:
        for fitness in library.fitness:
            if (fitness.tier, fitness.technique) in present:
                builder.add_fitness(fitness)
        if any(tier is Tier.COMPUTED for tier, _ in present):
            builder.add_training_substances(library.training_substances)


def _against(first: ReferenceLibrary, second: ReferenceLibrary) -> str:
    return f"{first.path.name} against {second.path.name}"


def _described(library: ReferenceLibrary) -> str:
    return f"{library.name} {library.version} ({library.sha256})"
