"""What is wrong with a library: double, mislabelled, odd, confusable, uncovered, undocumented entries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from spectralid.errors import ParameterError
from spectralid.library import ReferenceInfo, ReferenceLibrary, Tier
from spectralid.library.compounds import CompoundIndex
from spectralid.qa.likeness import likeness, noise_match
from spectralid.spectrum import FloatArray, Technique

__all__ = ["Audit", "Confusable", "Coverage", "Finding", "audit_library"]

# Likeness from which two references are compared for being one scan.
_ALIKE: Final = 0.90
# Leave-one-out: more like another compound than like its own by this much, and like it at all.
_MARGIN: Final = 0.10
_LIKE: Final = 0.70
# Less like every other reference of its compound than this: another form, another technique, or a bad scan.
_ODD: Final = 0.50
CONFUSABLE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look at.

    Attributes
    ----------
    kind : str
        ``duplicate`` (the same values), ``same_scan`` (the same noise), ``mislabelled``, ``odd``,
        ``undocumented``.
    references : tuple of str
        Ids, the one in question first.
    words : str
        What was found, in a sentence.
    figure : float or None
        Likeness or correlation behind it.
    """

    kind: str
    references: tuple[str, ...]
    words: str
    figure: float | None = None


@dataclass(frozen=True, slots=True)
class Confusable:
    """Two compounds that their spectra hardly tell apart.

    Attributes
    ----------
    technique : str
        By which.
    first, second : str
        Slugs.
    likeness : float
        Of their most alike references.
    """

    technique: str
    first: str
    second: str
    likeness: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which references there are of a substance of a watch list.

    Attributes
    ----------
    wanted : str
        As the list writes it.
    slug : str
        The compound; empty if the library knows none.
    references : mapping of str to int
        Measured and literature references by technique.
    computed : int
        Computed ones, which name nothing.
    """

    wanted: str
    slug: str
    references: Mapping[str, int]
    computed: int


@dataclass(frozen=True, slots=True)
class Audit:
    """All of it.

    Attributes
    ----------
    library, version, sha256 : str
        What was looked at.
    references : int
        Measured and literature references in it.
    findings : tuple of Finding
        By kind.
    confusable : tuple of Confusable
        Most alike first.
    coverage : tuple of Coverage
        In the order of the watch list.
    """

    library: str
    version: str
    sha256: str
    references: int
    findings: tuple[Finding, ...]
    confusable: tuple[Confusable, ...]
    coverage: tuple[Coverage, ...]

    def __repr__(self) -> str:
        return (
            f"<Audit of {self.library!r} {self.version}, {self.references} references: {len(self.findings)} "
            f"findings, {len(self.confusable)} pairs hard to tell apart>"
        )


def audit_library(
    library: ReferenceLibrary,
    *,
    watch_list: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
) -> Audit:
    """Look through a library.

    Parameters
    ----------
    library : ReferenceLibrary
        The library.
    watch_list : sequence of str
        Substances that should be in it: names, CAS numbers, InChIKeys or slugs.
    progress : callable, optional
        Called with what is being looked at.

    Returns
    -------
    Audit
        Findings are leads for a person: none of them proves a mistake.

    Raises
    ------
    LibraryError
        If the library is damaged.
    """
    findings: list[Finding] = []
    confusable: list[Confusable] = []
    told = progress or (lambda _: None)
    for technique in _grids(library):
        told(f"{technique}: likeness of all pairs")
        rows = library.rows(technique)
        alike = _alike(library, technique)
        told(f"{technique}: scans that are there twice")
        findings += _doubles(library, rows, alike)
        findings += _labels(rows, alike)
        confusable += _confusable(str(technique), rows, alike)
    named = [info for info in library.references if info.tier is not Tier.COMPUTED]
    findings += _undocumented(named)
    order = ("duplicate", "same_scan", "mislabelled", "odd", "undocumented")
    return Audit(
        library.name,
        library.version,
        library.sha256,
        len(named),
        tuple(sorted(findings, key=lambda finding: (order.index(finding.kind), finding.references))),
        tuple(sorted(confusable, key=lambda pair: (-pair.likeness, pair.first, pair.second))),
        tuple(_coverage(library, watch_list)),
    )


def _grids(library: ReferenceLibrary) -> Iterator[Technique]:
    for technique in (Technique.RAMAN, Technique.FTIR_ATR):
        if library.holds(technique):
            yield technique


def _alike(library: ReferenceLibrary, technique: Technique) -> FloatArray:
    grid = library.grid(technique)
    matrix = np.asarray(library.matrix(technique), dtype=np.float64)
    alike = likeness(matrix, float(grid[1] - grid[0]))
    np.fill_diagonal(alike, np.nan)
    return alike


def _doubles(
    library: ReferenceLibrary, rows: Sequence[ReferenceInfo], alike: FloatArray
) -> Iterator[Finding]:
    for i, j in zip(*np.nonzero(np.triu(np.nan_to_num(alike, nan=-1.0) >= _ALIKE, 1)), strict=True):
        if Tier.LITERATURE in (rows[i].tier, rows[j].tier):
            continue  # Tables of bands have no noise.
        one, other = library.reference(rows[i].id).spectrum, library.reference(rows[j].id).spectrum
        ids = (rows[i].id, rows[j].id)
        if one.axis.shape == other.axis.shape and np.array_equal(one.intensity, other.intensity):
            yield Finding("duplicate", ids, f"{ids[0]} and {ids[1]} hold the same values.", 1.0)
            continue
        match = noise_match(one.axis, one.intensity, other.axis, other.intensity)
        if match and match.same:
            changed = ", smoothed, rounded or resampled in one of them" if match.smoothed else ""
            yield Finding(
                "same_scan",
                ids,
                f"{ids[0]} and {ids[1]} have the same noise (agreement {match.agreement:.2f} over "
                f"{match.stretches} stretches{changed}): one scan, saved twice.",
                match.agreement,
            )


def _labels(rows: Sequence[ReferenceInfo], alike: FloatArray) -> Iterator[Finding]:
    """Leave one out: is it more like another compound than like its own?"""
    slugs = np.array([info.compound_slug for info in rows])
    for i, info in enumerate(rows):
        own = np.where((slugs == info.compound_slug) & np.isfinite(alike[i]), alike[i], -np.inf)
        others = np.where((slugs != info.compound_slug) & np.isfinite(alike[i]), alike[i], -np.inf)
        if not np.isfinite(own).any():
            continue  # The only one of its compound: nothing to hold it against.
        nearest = int(np.argmax(others))
        if others[nearest] >= max(_LIKE, own.max() + _MARGIN):
            yield Finding(
                "mislabelled",
                (info.id, rows[nearest].id),
                f"{info.id} is more like {slugs[nearest]} ({others[nearest]:.2f}) than like the other "
                f"references of {info.compound_slug} ({own.max():.2f}): its label may be wrong.",
                float(others[nearest]),
            )
        elif own.max() < _ODD:
            yield Finding(
                "odd",
                (info.id,),
                f"{info.id} is like no other reference of {info.compound_slug} ({own.max():.2f} at most): "
                "another form, or a bad scan.",
                float(own.max()),
            )


def _confusable(technique: str, rows: Sequence[ReferenceInfo], alike: FloatArray) -> Iterator[Confusable]:
    highest: dict[tuple[str, str], float] = defaultdict(float)
    for i, j in zip(*np.nonzero(np.triu(np.nan_to_num(alike, nan=-1.0) >= CONFUSABLE, 1)), strict=True):
        first, second = sorted((rows[i].compound_slug, rows[j].compound_slug))
        if first != second:
            highest[first, second] = max(highest[first, second], float(alike[i, j]))
    for (first, second), value in highest.items():
        yield Confusable(technique, first, second, value)


def _undocumented(rows: Sequence[ReferenceInfo]) -> Iterator[Finding]:
    for info in rows:
        missing = [name for name in ("source", "licence") if not getattr(info, name).strip()]
        if not (info.url.strip() or info.citation.strip()) and info.tier is Tier.LITERATURE:
            missing.append("page or citation")
        if missing:
            words = f"{info.id} states no {' and no '.join(missing)}: nobody can say where it comes from."
            yield Finding("undocumented", (info.id,), words)


def _coverage(library: ReferenceLibrary, watch_list: Sequence[str]) -> Iterator[Coverage]:
    index = CompoundIndex(library.compounds)
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    computed: dict[str, int] = defaultdict(int)
    for info in library.references:
        if info.tier is Tier.COMPUTED:
            computed[info.compound_slug] += 1
        else:
            counts[info.compound_slug]["infrared" if info.technique.is_infrared else "raman"] += 1
    for wanted in watch_list:
        if not wanted.strip():
            raise ParameterError("watch_list", wanted, "names of substances")
        found = index.by_slug.get(wanted)
        if found is None:
            pair = index.find(name=wanted, cas=wanted, inchikey=wanted)
            found = pair[0] if pair else None
        slug = found.slug if found else ""
        yield Coverage(wanted, slug, dict(counts.get(slug, {})), computed.get(slug, 0))
