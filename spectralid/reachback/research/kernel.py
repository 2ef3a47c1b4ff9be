"""The first pass: every row of a shard against the entries of a library that are new or were corrected.

It says which scans deserve the engine, no more. Two numbers decide, both of the likeness that
`spectralid.identify.similarity` measures, over the range that scan and entry have in common:

*cosine*
    of the scan and the entry. It passes a scan that is as like the new entry as it is like what it was named.
*partial*
    of what is left of both when the references of the substances that the field named are taken out. It
    passes a mixture of which a part was known, and is the cosine itself where nothing was named.

The sums over the grid are matrix products of blocks that fit the cache of a processor, in single precision,
and one thread each: several shards are searched at a time instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spectralid.identify.retrieval import MINIMUM_OVERLAP, MINIMUM_SHARE
from spectralid.library.schema import GRIDS
from spectralid.reachback.research.archive import Shard, derivatives
from spectralid.spectrum import Technique

if TYPE_CHECKING:
    from spectralid.library import ReferenceLibrary

__all__ = ["CLOSE", "LEAST", "LEAST_DEADLY", "Entries", "Pairs", "entries_of", "search"]

LEAST: Final = (0.35, 0.40)
"""From which on a pair goes to the engine: partial where something was named, cosine where nothing was."""
LEAST_DEADLY: Final = (0.25, 0.30)
"""The same for entries of families that kill in amounts too small to see."""
CLOSE: Final = 0.10
"""An entry no further than this below the best of what was named could take its place (as in the engine)."""

_POINTS: Final = 1024
_BLOCK_ROWS: Final = 1024
# References of one substance that are taken out of a scan; more of them are variations of the same.
_MOST_OF_ONE: Final = 8
# What is left of an entry, and of a scan, as a share of its energy, below which its direction is chance: a
# share of the signal is squared in the energy, so that 5 % of it are still seen.
_LEFT: Final = 0.02
_REST: Final = 0.003
# References of one substance are much alike: added to the energy of each, this keeps their share of a scan
# from being a difference of large numbers.
_RIDGE: Final = 1e-3

Float32Array = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Entries:
    """Entries of one kind to search for, and the references of what scans may have been named.

    Attributes
    ----------
    kind : str
        ``raman`` or ``infrared``.
    ids : tuple of str, length n
        Reference ids.
    vectors : ndarray of float32, shape (n, 1024)
        Their derivatives, of unit energy, zero where not known.
    known : ndarray of bool, shape (n, 1024)
        Where they are known.
    least : ndarray of float32, shape (2, n)
        From which partial, and from which cosine, on a pair passes (`LEAST`).
    base : mapping of str to ndarray of float32, shape (k, 1024)
        Derivatives of the references of each substance, by its slug.
    """

    kind: str
    ids: tuple[str, ...]
    vectors: Float32Array
    known: Bools
    least: Float32Array
    base: Mapping[str, Float32Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)


class Pairs(NamedTuple):
    """Pairs that pass, by row of the shard and then by entry.

    Attributes
    ----------
    row, entry : ndarray of int32, shape (n,)
        Which.
    cosine, partial : ndarray of float32, shape (n,)
        How like they are.
    """

    row: Ints
    entry: Ints
    cosine: Float32Array
    partial: Float32Array


def entries_of(
    library: ReferenceLibrary,
    kind: str,
    ids: Iterable[str],
    *,
    base: ReferenceLibrary | None = None,
    deadly: Iterable[str] = (),
) -> Entries:
    """Entries of a library, ready to be searched for.

    Parameters
    ----------
    library : ReferenceLibrary
        What holds them; computed references, and ids that it does not hold, are left out: they name nothing.
    kind : {"raman", "infrared"}
        Which of them.
    ids : iterable of str
        Reference ids.
    base : ReferenceLibrary, optional
        Whose references stand for what scans were named; `library` by default.
    deadly : iterable of str
        Slugs of substances that kill in amounts too small to see.
    """
    technique = Technique.RAMAN if kind == "raman" else Technique.FTIR
    wanted, deaths = set(ids), set(deadly)
    none = Entries(
        kind,
        (),
        np.empty((0, _POINTS), np.float32),
        np.empty((0, _POINTS), bool),
        np.empty((2, 0), np.float32),
    )
    if not library.holds(technique):
        return none
    rows = library.rows(technique)
    chosen = [i for i, info in enumerate(rows) if info.id in wanted]
    if not chosen:
        return none
    unit, known = derivatives(library.matrix(technique)[chosen], kind)
    least = [LEAST_DEADLY if rows[i].compound_slug in deaths else LEAST for i in chosen]
    return Entries(
        kind,
        tuple(rows[i].id for i in chosen),
        unit.astype(np.float32),
        known,
        np.array(least, np.float32).T,
        _base_of(base or library, technique, kind),
    )


def _base_of(library: ReferenceLibrary, technique: Technique, kind: str) -> dict[str, Float32Array]:
    if not library.holds(technique):
        return {}
    of_slug: dict[str, list[int]] = {}
    for i, info in enumerate(library.rows(technique)):
        members = of_slug.setdefault(info.compound_slug, [])
        if len(members) < _MOST_OF_ONE:
            members.append(i)
    matrix = library.matrix(technique)
    return {slug: derivatives(matrix[rows], kind)[0].astype(np.float32) for slug, rows in of_slug.items()}


def search(shard: Shard, entries: Entries, *, start: int = 0, stop: int | None = None) -> Pairs:
    """The pairs of a shard and some entries that deserve the engine.

    Parameters
    ----------
    shard : Shard
        Of the kind of the entries.
    entries : Entries
        What is searched for.
    start, stop : int, optional
        Rows of the shard; all by default.

    Returns
    -------
    Pairs
        The same, bit for bit, for the same rows in whichever process of a machine.

    Notes
    -----
    A pair is compared on the conditions of the retrieval stage (`MINIMUM_OVERLAP`, `MINIMUM_SHARE`). The
    cosine is off by less than 1e-4 from that of the spectra themselves, for what 16 bits leave out. The
    references of what was named count as zero where they are not known.
    """
    stop = len(shard) if stop is None else stop
    found: list[Pairs] = []
    if len(entries) and start < stop:
        searching = _Searching(shard, entries)
        # Rows of one range lie together, and among them those that were named the same.
        rows = np.arange(start, stop)
        rank = searching.rank[shard.named_of_row[rows]]
        order = rows[np.lexsort((rows, rank, shard.mask_of_row[rows]))]
        for first in range(0, len(order), _BLOCK_ROWS):
            searching.block(order[first : first + _BLOCK_ROWS], found)
    return _pairs(found)


def _pairs(found: Sequence[Pairs]) -> Pairs:
    if not found:
        none = np.empty(0, np.int32), np.empty(0, np.float32)
        return Pairs(none[0], none[0], none[1], none[1])
    row, entry = (np.concatenate([one[i] for one in found]).astype(np.int32) for i in (0, 1))
    cosine, partial = (np.concatenate([one[i] for one in found]).astype(np.float32) for i in (2, 3))
    order = np.lexsort((entry, row))
    return Pairs(row[order], entry[order], cosine[order], partial[order])


class _Domain(NamedTuple):
    """Entries that are known at the same points of a scan's range, and what follows from that range alone.

    Attributes
    ----------
    numbers : ndarray of int, shape (n,)
        Which, of those that can be compared.
    whole : bool
        Whether they are known wherever the scan is.
    mask : ndarray of float32, shape (1024,)
        Points that both have.
    columns : ndarray of float32, shape (1024, n)
        The entries there.
    energy : ndarray of float32, shape (n,)
        Of each entry there.
    least : ndarray of float32, shape (2, n)
        From where on it passes.
    """

    numbers: npt.NDArray[np.intp]
    whole: bool
    mask: Float32Array
    columns: Float32Array
    energy: Float32Array
    least: Float32Array


class _Named(NamedTuple):
    """References of what the scans of a block were named.

    Attributes
    ----------
    vectors : ndarray of float32, shape (r, 1024)
        All of them, once each, and a row of zeros.
    sets : ndarray of int, shape (n_sets, k)
        Which of them each answer means, filled up with the row of zeros.
    of_row : ndarray of int, shape (n_rows,)
        Answer of each scan.
    products : ndarray of float32, shape (n_rows, k)
        Of each scan with its own references.
    """

    vectors: Float32Array
    sets: npt.NDArray[np.intp]
    of_row: npt.NDArray[np.intp]
    products: Float32Array


class _Searching:
    """One shard and what is searched for in it."""

    def __init__(self, shard: Shard, entries: Entries) -> None:
        self.shard = shard
        self.entries = entries
        self.columns = np.ascontiguousarray(entries.vectors.T)
        self.distinct, self.of_entry = _distinct(entries.known)
        self.squares = np.square(entries.vectors)
        self.masks = np.unpackbits(shard.masks, axis=1, count=_POINTS).view(bool)
        self.domains = lru_cache(maxsize=64)(self._domains)
        slugs = sorted({slug for named in shard.named for slug in named} & set(entries.base))
        parts = [entries.base[slug] for slug in slugs]
        self.base = np.concatenate([*parts, np.zeros((1, _POINTS), np.float32)])
        ends = np.cumsum([len(part) for part in parts]).tolist()
        of_slug = {
            slug: range(end - len(part), end) for slug, part, end in zip(slugs, parts, ends, strict=True)
        }
        self.references = [[row for slug in named for row in of_slug.get(slug, ())] for named in shard.named]
        by_references = sorted(
            range(len(shard.named)), key=lambda i: (len(self.references[i]), self.references[i])
        )
        self.rank = np.empty(len(shard.named), np.intp)
        self.rank[by_references] = np.arange(len(shard.named))

    def block(self, rows: npt.NDArray[np.intp], found: list[Pairs]) -> None:
        """Add what passes of a few rows, which are sorted by range and by what was named."""
        shard = self.shard
        values = shard.vectors[rows].astype(np.float32)
        values *= shard.scale[rows, None]
        masks = shard.mask_of_row[rows]
        counts = np.array([len(self.references[i]) for i in shard.named_of_row[rows].tolist()])
        changes = (np.diff(masks) != 0) | (np.sign(np.diff(counts)) * (counts[1:] * counts[:-1] == 0) != 0)
        for first, last in pairwise([0, *(np.flatnonzero(changes) + 1).tolist(), len(rows)]):
            part = slice(first, last)
            named = self._named(rows[part], values[part]) if counts[first] else None
            domains = self.domains(int(masks[first]))
            found.extend(_compared(rows[part], values[part], domain, named) for domain in domains)

    def _domains(self, mask: int) -> tuple[_Domain, ...]:
        ours = self.masks[mask]
        step = GRIDS[self.entries.kind][1]
        # Entries that differ only where the scan is not known are compared at the same points.
        shared, which = _distinct(self.distinct & ours)
        which = which[self.of_entry]
        energy = np.asarray(self.squares @ ours.astype(np.float32))
        enough = (shared.sum(axis=1) * step >= MINIMUM_OVERLAP)[which] & (energy >= MINIMUM_SHARE)
        found = []
        for number, points in enumerate(shared):
            chosen = np.flatnonzero(enough & (which == number))
            if chosen.size:
                domain = _Domain(
                    chosen,
                    bool(np.array_equal(points, ours)),
                    points.astype(np.float32),
                    np.ascontiguousarray(self.columns[:, chosen]),
                    energy[chosen],
                    self.entries.least[:, chosen],
                )
                found.append(domain)
        return tuple(found)

    def _named(self, rows: npt.NDArray[np.intp], values: Float32Array) -> _Named:
        answers = self.shard.named_of_row[rows]
        starts = np.flatnonzero(np.diff(answers, prepend=-1))
        of_row = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(rows)))
        lists = [self.references[i] for i in answers[starts].tolist()]
        zeros = len(self.base) - 1
        filled = np.full((len(lists), max(map(len, lists))), zeros)
        for i, one in enumerate(lists):
            filled[i, : len(one)] = one
        used, sets = np.unique(filled, return_inverse=True)
        vectors, sets = self.base[used], sets.reshape(filled.shape)
        products = np.take_along_axis(np.asarray(values @ vectors.T), sets[of_row], axis=1)
        return _Named(vectors, sets, of_row, products)


def _distinct(masks: Bools) -> tuple[Bools, npt.NDArray[np.intp]]:
    """Masks that differ, in the order they are met, and which of them each is."""
    numbers: dict[bytes, int] = {}
    which = [numbers.setdefault(one.tobytes(), len(numbers)) for one in np.packbits(masks, axis=1)]
    first = [which.index(i) for i in range(len(numbers))]
    return masks[first], np.array(which, np.intp)


def _compared(
    rows: npt.NDArray[np.intp], values: Float32Array, domain: _Domain, named: _Named | None
) -> Pairs:
    """What passes of rows of one range and the entries of a domain."""
    # Entries are zero where they are not known, and scans are too: the product needs no masks.
    dot = values @ domain.columns
    ours = np.ones(len(rows), np.float32) if domain.whole else np.square(values) @ domain.mask
    cosine = _ratio(dot, ours[:, None], domain.energy)
    if named is None:
        partial = cosine
        passes = cosine >= domain.least[1]
    else:
        partial, best = _partial(values, dot, ours, domain, named)
        passes = cosine >= np.maximum(best[:, None] - CLOSE, domain.least[0])
        passes |= partial >= domain.least[0]
    row, entry = np.nonzero(passes)
    return Pairs(
        rows[row].astype(np.int32), domain.numbers[entry].astype(np.int32),
        cosine[row, entry], partial[row, entry],
    )  # fmt: skip


def _partial(
    values: Float32Array, dot: Float32Array, ours: Float32Array, domain: _Domain, named: _Named
) -> tuple[Float32Array, Float32Array]:
    """Likeness of what is left without the references named, and the best cosine with one of those."""
    sets, of_row = named.sets, named.of_row
    k = sets.shape[1]
    within = np.asarray(named.vectors * domain.mask)
    # Where a scan is not known it is zero, so over the whole of its range the products of the block hold.
    along = named.products
    if not domain.whole:
        along = np.take_along_axis(np.asarray(values @ within.T), sets[of_row], axis=1)
    gram = np.asarray(within @ within.T, np.float64)
    energy = np.diagonal(gram).astype(np.float32)[sets]
    best = _ratio(along, ours[:, None], energy[of_row]).max(axis=1)
    # What follows from the references alone is made once for each answer.
    own = gram[sets[:, :, None], sets[:, None, :]] + _RIDGE * np.eye(k)
    unmixed = np.linalg.inv(np.linalg.cholesky(own)).astype(np.float32)
    along = np.matmul(unmixed[of_row], along[:, :, None])[:, :, 0]
    shares = np.matmul(unmixed, (within @ domain.columns)[sets])
    left = domain.energy - np.einsum("skn,skn->sn", shares, shares)
    left[left < _LEFT * domain.energy] = 0
    rest = ours - np.einsum("rk,rk->r", along, along)
    rest[rest < _REST * ours] = 0
    for i in range(k):
        part = shares[of_row, i]
        part *= along[:, i, None]
        dot -= part
    return _ratio(dot, rest[:, None], left[of_row]), best


def _ratio(dot: Float32Array, one: Float32Array, other: Float32Array) -> Float32Array:
    """Cosine from a product and both energies; 0 where one has none."""
    with np.errstate(divide="ignore"):
        inverse = np.where(one > 0, 1 / np.sqrt(one), 0), np.where(other > 0, 1 / np.sqrt(other), 0)
    out = np.asarray(dot * inverse[0], np.float32)
    out *= inverse[1]
    return out
