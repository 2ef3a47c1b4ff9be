"""What has changed between two libraries: compounds, references, their provenance and their values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spectralid.library._values import ReferenceInfo
from spectralid.library.builder import spectrum_facts
from spectralid.library.store import ReferenceLibrary
from spectralid.spectrum import Spectrum

__all__ = ["Change", "LibraryDifference", "ReferenceChange", "compare_libraries"]


@dataclass(frozen=True, slots=True)
class Change:
    """One fact that is not the same.

    Attributes
    ----------
    field : str
        Which; ``"spectrum.…"`` for what a reference's spectrum says of itself.
    before, after : object
        JSON-ready values in the first and in the second library; ``None`` where it says nothing.
    """

    field: str
    before: Any
    after: Any

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {"field": self.field, "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class ReferenceChange:
    """A reference that both libraries have, not the same in both.

    Attributes
    ----------
    before_id, after_id : str
        Its id in the first and in the second library; they differ where the values do.
    changes : tuple of Change
        What is not the same.
    largest_difference : float or None
        Largest difference of the values on the same axis, as a fraction of the largest value before;
        ``None`` where the values are the same or the axis or the unit is not.
    """

    before_id: str
    after_id: str
    changes: tuple[Change, ...]
    largest_difference: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {
            "before_id": self.before_id,
            "after_id": self.after_id,
            "changes": [change.to_dict() for change in self.changes],
            "largest_difference": self.largest_difference,
        }


@dataclass(frozen=True, slots=True)
class LibraryDifference:
    """Two libraries compared; everything in the order of slugs and ids, so that it is the same every time.

    Attributes
    ----------
    about : tuple of Change
        Name, version, date, recipe and generator. They do not make libraries differ in content.
    compounds_added, compounds_removed : tuple of str
        Slugs only the second, or only the first, library has.
    compounds_changed : mapping of str to tuple of Change
        Facts that changed, by slug.
    references_added, references_removed : tuple of str
        Ids only the second, or only the first, library has.
    references_changed : tuple of ReferenceChange
        References of both that are not the same.
    """

    about: tuple[Change, ...]
    compounds_added: tuple[str, ...]
    compounds_removed: tuple[str, ...]
    compounds_changed: Mapping[str, tuple[Change, ...]]
    references_added: tuple[str, ...]
    references_removed: tuple[str, ...]
    references_changed: tuple[ReferenceChange, ...]

    @property
    def same(self) -> bool:
        """Whether both hold the same compounds and references; order and `about` do not count."""
        return not (
            self.compounds_added
            or self.compounds_removed
            or self.compounds_changed
            or self.references_added
            or self.references_removed
            or self.references_changed
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {
            "same": self.same,
            "about": [change.to_dict() for change in self.about],
            "compounds": {
                "added": list(self.compounds_added),
                "removed": list(self.compounds_removed),
                "changed": {k: [c.to_dict() for c in v] for k, v in self.compounds_changed.items()},
            },
            "references": {
                "added": list(self.references_added),
                "removed": list(self.references_removed),
                "changed": [change.to_dict() for change in self.references_changed],
            },
        }


def compare_libraries(
    before: ReferenceLibrary,
    after: ReferenceLibrary,
    *,
    progress: Callable[[Sequence[tuple[str, str]]], Iterable[tuple[str, str]]] = lambda pairs: pairs,
) -> LibraryDifference:
    """Compare two libraries, value for value.

    Compounds are the same by their slug, references by their id. An id changes with the values, so a
    reference whose values changed is recognised by its compound, form, technique, tier and source, as long as
    each library has one such reference that the other has not; else it counts as removed and added.

    Parameters
    ----------
    before, after : ReferenceLibrary
        The libraries.
    progress : callable, optional
        Wraps the sequence of pairs of references to compare, to show how far it has come.

    Returns
    -------
    LibraryDifference

    Raises
    ------
    LibraryError
        If one of them is damaged.
    """
    compounds = [{c.slug: c.to_dict() for c in library.compounds} for library in (before, after)]
    infos = [{r.id: r for r in library.references} for library in (before, after)]
    changed = {slug: _changes(compounds[0][slug], compounds[1][slug]) for slug in _both(*compounds)}
    pairs = [(id, id) for id in _both(*infos)]
    removed, added = _only(infos[0], infos[1]), _only(infos[1], infos[0])
    revised = _revised([infos[0][id] for id in removed], [infos[1][id] for id in added])
    references = [
        change
        for change in (_compare(before, after, *pair) for pair in progress(pairs + revised))
        if change.changes
    ]
    return LibraryDifference(
        about=_changes(*({k: library.manifest.get(k) for k in _ABOUT} for library in (before, after))),
        compounds_added=_only(compounds[1], compounds[0]),
        compounds_removed=_only(compounds[0], compounds[1]),
        compounds_changed={slug: changes for slug, changes in changed.items() if changes},
        references_added=tuple(id for id in added if id not in {pair[1] for pair in revised}),
        references_removed=tuple(id for id in removed if id not in {pair[0] for pair in revised}),
        references_changed=tuple(sorted(references, key=lambda change: change.before_id)),
    )


_ABOUT = ("name", "version", "created", "recipe", "generator")


def _both(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    return sorted(first.keys() & second.keys())


def _only(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(first.keys() - second.keys()))


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    names = sorted(before.keys() | after.keys())
    return tuple(
        Change(name, before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    )


def _revised(removed: Sequence[ReferenceInfo], added: Sequence[ReferenceInfo]) -> list[tuple[str, str]]:
    groups: dict[tuple[str, ...], tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for side, infos in enumerate((removed, added)):
        for info in infos:
            key = (info.compound_slug, info.form, info.technique, info.tier, info.source)
            groups[key][side].append(info.id)
    return [(old[0], new[0]) for old, new in groups.values() if len(old) == len(new) == 1]


def _compare(
    before: ReferenceLibrary, after: ReferenceLibrary, before_id: str, after_id: str
) -> ReferenceChange:
    references = before.reference(before_id), after.reference(after_id)
    changes = _changes(*(_info(r.info) for r in references))
    changes += _changes(
        *({f"spectrum.{k}": v for k, v in spectrum_facts(r.spectrum).items()} for r in references)
    )
    difference = None if before_id == after_id else _largest_difference(*(r.spectrum for r in references))
    return ReferenceChange(before_id, after_id, changes, difference)


def _info(info: ReferenceInfo) -> dict[str, Any]:
    facts = {name: getattr(info, name) for name in info.__dataclass_fields__ if name != "id"}
    return facts | {"range_cm1": list(info.range_cm1)}


def _largest_difference(before: Spectrum, after: Spectrum) -> float | None:
    if before.unit is not after.unit or not np.array_equal(before.axis, after.axis):
        return None
    largest = float(np.nanmax(np.abs(before.intensity)))
    difference = np.abs(after.intensity - before.intensity)
    return float(np.nanmax(difference)) / largest if largest and np.isfinite(difference).any() else None
