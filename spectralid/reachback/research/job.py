"""What a worker does with a part of the archive: plain functions of what it is given, on any machine."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from threadpoolctl import threadpool_limits

from spectralid.reachback.research.archive import ScanRef, Shard, ShardFile
from spectralid.reachback.research.judge import Answer, Judged, Libraries, bound, judge
from spectralid.reachback.research.kernel import Entries, entries_of, search

if TYPE_CHECKING:
    from spectralid.spectrum import Spectrum

__all__ = ["Candidate", "Judge", "Target", "candidates", "candidates_of_file", "judge", "one_thread"]

Judge = Callable[["Spectrum", Answer, Libraries], Judged]
"""The second pass; tests bring their own."""

_TARGETS: Final = 4


@dataclass(frozen=True, slots=True)
class Target:
    """What a run searches for; small, and the same for all of its parts.

    Attributes
    ----------
    libraries : Libraries
        Before and after.
    changed : tuple of str
        References of the library after that are new or were corrected.
    removed : tuple of str
        References of the library before that are gone or were corrected.
    suspects : tuple of str
        Substances whose scans are looked at again whatever they are like: their references were removed or
        corrected, or what is said of them was.
    deadly : tuple of str
        Substances that kill in amounts too small to see.
    """

    libraries: Libraries
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    suspects: tuple[str, ...]
    deadly: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scan that goes to the second pass.

    Attributes
    ----------
    ref : ScanRef
        Which.
    entry : str or None
        The likest of what was searched for; ``None`` where it is looked at for what it was named.
    cosine, partial : float or None
        How like (`spectralid.reachback.research.kernel`).
    """

    ref: ScanRef
    entry: str | None = None
    cosine: float | None = None
    partial: float | None = None


def candidates(
    shard: Shard, target: Target, *, start: int, stop: int, also: Collection[ScanRef] = ()
) -> list[Candidate]:
    """The first pass over rows of a shard.

    Parameters
    ----------
    shard : Shard
        Where they are.
    target : Target
        What is searched for.
    start, stop : int
        Which rows.
    also : collection of ScanRef
        Scans that are looked at again in any case, if they are among these rows.

    Returns
    -------
    list of Candidate
        One for each scan, in the order of the rows.
    """
    found: dict[int, Candidate] = {}
    for entries in _entries(target, shard.kind):
        pairs = search(shard, entries, start=start, stop=stop)
        strength = np.maximum(pairs.cosine, pairs.partial)
        for i in np.lexsort((pairs.entry, -strength)).tolist():
            row = int(pairs.row[i])
            before = found.get(row)
            if before is None or float(strength[i]) > max(before.cosine or -1.0, before.partial or -1.0):
                found[row] = Candidate(
                    shard.ref(row),
                    entries.ids[pairs.entry[i]],
                    float(pairs.cosine[i]),
                    float(pairs.partial[i]),
                )
    suspected = [bool(set(named) & set(target.suspects)) for named in shard.named]
    wanted = set(also)
    for row in range(start, stop):
        if row not in found and (suspected[shard.named_of_row[row]] or (wanted and shard.ref(row) in wanted)):
            found[row] = Candidate(shard.ref(row))
    return [found[row] for row in sorted(found)]


def candidates_of_file(
    path: str, file: ShardFile, target: Target, start: int, stop: int, also: Collection[ScanRef]
) -> list[Candidate]:
    """As `candidates`, of a shard that is read from its file.

    Raises
    ------
    DamagedShardError
        If the file is not what was written.
    """
    with one_thread():
        return candidates(Shard.read(Path(path), file), target, start=start, stop=stop, also=also)


def one_thread() -> threadpool_limits:
    """While it is open, matrix products take one thread: there is a process for each processor."""
    return threadpool_limits(limits=1, user_api="blas")


@lru_cache(maxsize=_TARGETS)
def _entries(target: Target, kind: str) -> tuple[Entries, ...]:
    after = bound(*target.libraries.after)
    before = bound(*target.libraries.before) if target.libraries.before is not None else None
    # Scans were named by the library before; what replaced a reference is like it.
    found = [entries_of(after, kind, target.changed, base=before, deadly=target.deadly)]
    if before is not None:
        found.append(entries_of(before, kind, target.removed, base=before, deadly=target.deadly))
    return tuple(found)
