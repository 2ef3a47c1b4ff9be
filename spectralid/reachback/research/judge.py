"""The second pass: what the engine makes of one scan with the library as it was and as it is now.

Both answers come from the same engine and the same policy, so that nothing but the library can make a
difference. An answer has *changed* if the field would have been told something else that matters:

* what is deadly is named or raised where it was not: always;
* a substance is named that was not, or no longer named, and its probability has moved by `HYSTERESIS` or more
  (a substance at the edge of being named goes back and forth with each library, and would reopen its case
  each time);
* the alarm is another though the same substances are named.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from spectralid.errors import LibraryError, SpectralIDError

if TYPE_CHECKING:
    from spectralid.identify import Identification, Identifier
    from spectralid.library import ReferenceLibrary
    from spectralid.spectrum import Spectrum
    from spectralid.verdict import Verdict

__all__ = [
    "DEADLY",
    "HYSTERESIS",
    "Answer",
    "Difference",
    "Judged",
    "Libraries",
    "bound",
    "difference",
    "judge",
]

HYSTERESIS: Final = 0.10
"""By how much a probability has to move for a name gained or lost to count."""
DEADLY: Final = frozenset({"fentanyl-related", "nitazene"})
"""Families with members that kill in amounts too small to see."""

_NAMING: Final = ("identified", "mixture")
_CERTAIN: Final = (*_NAMING, "family")
_LIBRARIES_AT_ONCE: Final = 4

Outcome = Literal["same", "minor", "changed", "failed"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the field is told of a scan.

    Attributes
    ----------
    kind : str
        As `spectralid.verdict.VerdictKind`.
    alarm : str
        As `spectralid.verdict.Alarm`.
    named : tuple of str
        Slugs of the substances named, sorted; nothing where none is certain.
    families : tuple of str
        Families raised, sorted.
    chances : mapping of str to float
        Probability of each substance weighed, where it is calibrated.
    headline : str
        In words.
    precautions : tuple of str
        What to do.
    """

    kind: str
    alarm: str
    named: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    chances: Mapping[str, float] = field(default_factory=dict)
    headline: str = ""
    precautions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {
            "kind": self.kind,
            "alarm": self.alarm,
            "named": list(self.named),
            "families": list(self.families),
            "chances": {slug: round(chance, 6) for slug, chance in sorted(self.chances.items())},
            "headline": self.headline,
            "precautions": list(self.precautions),
        }

    @classmethod
    def of_record(cls, row: Mapping[str, Any]) -> Answer:
        """What the field was told, by the table ``scans``."""
        kind = "family" if row["decision"] == "class_only" else row["decision"]
        named = json.loads(row["substances"]) if kind in _NAMING else []
        return cls(kind, row["alarm"], tuple(sorted(set(named))), tuple(sorted(json.loads(row["families"]))))

    @classmethod
    def of_verdict(cls, identification: Identification, verdict: Verdict, raised: tuple[str, ...]) -> Answer:
        """What the engine says now."""
        sure = identification.confidence
        chances = {c.compound_slug: c.probability for c in sure.components} if sure else {}
        return cls(
            verdict.kind.value,
            verdict.alarm.value,
            tuple(sorted(set(verdict.named))) if verdict.kind.value in _NAMING else (),
            tuple(sorted(raised)),
            {slug: float(chance) for slug, chance in chances.items() if chance is not None},
            verdict.headline,
            verdict.precautions,
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """How two answers differ.

    Attributes
    ----------
    matters : bool
        Whether the field would have been told something else.
    deadly : bool
        Whether something deadly is new.
    why : tuple of str
        Each difference that matters, as ``deadly``, ``named:slug``, ``unnamed:slug``, ``alarm``.
    """

    matters: bool
    deadly: bool
    why: tuple[str, ...]


def difference(before: Answer, after: Answer) -> Difference:
    """Whether one answer differs from another in what matters."""
    families = (set(after.families) - set(before.families)) & DEADLY
    deadly = bool(families) or (after.alarm == "danger" and before.alarm != "danger")
    gained = [slug for slug in after.named if slug not in before.named and _moved(before, after, slug)]
    lost = [slug for slug in before.named if slug not in after.named and _moved(after, before, slug)]
    why = [f"named:{slug}" for slug in gained] + [f"unnamed:{slug}" for slug in lost]
    if before.alarm != after.alarm and before.named == after.named:
        why.append("alarm")
    if deadly:
        why.insert(0, "deadly")
    return Difference(bool(why), deadly, tuple(why))


def _moved(without: Answer, having: Answer, slug: str) -> bool:
    """Whether a substance is much likelier in one answer than in the other."""
    moved = having.chances.get(slug, 1.0) - without.chances.get(slug, 0.0)
    return moved > HYSTERESIS or math.isclose(moved, HYSTERESIS)


def _alike(one: Answer, other: Answer) -> bool:
    same_words = one.kind == other.kind or not {one.kind, other.kind} & set(_CERTAIN)
    return same_words and (one.alarm, one.named) == (other.alarm, other.named)


@dataclass(frozen=True, slots=True)
class Libraries:
    """The library before and after, by their files; several processes open them for themselves.

    Attributes
    ----------
    before : tuple of (str, str) or None
        Path and identity; ``None`` if there was none on record.
    after : tuple of (str, str)
        Path and identity.
    """

    before: tuple[str, str] | None
    after: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Judged:
    """What the second pass says of a scan.

    Attributes
    ----------
    outcome : {"same", "minor", "changed", "failed"}
        Whether the answer has changed; ``failed`` if the engine refuses the scan.
    deadly : bool
        Whether something deadly is new.
    why : tuple of str
        As `Difference.why`; the reason, if it failed.
    before, after : Answer or None
        What was compared.
    """

    outcome: Outcome
    deadly: bool
    why: tuple[str, ...]
    before: Answer | None
    after: Answer | None


def judge(spectrum: Spectrum, recorded: Answer, libraries: Libraries) -> Judged:
    """Whether the answer to a scan changes with the library.

    Parameters
    ----------
    spectrum : Spectrum
        As it was measured.
    recorded : Answer
        What the field was told.
    libraries : Libraries
        Before and after.

    Returns
    -------
    Judged
        ``minor`` where the answers differ and it does not matter, or where they differ from what is on record
        and not from each other: another engine or policy said that, not the library.

    Raises
    ------
    LibraryError
        If a library cannot be read or is not the one it should be.
    """
    try:
        after = _answer(spectrum, libraries.after)
        if _alike(recorded, after):
            return Judged("same", False, (), recorded, after)
        before = recorded if libraries.before is None else _answer(spectrum, libraries.before)
    except LibraryError:
        # Nothing is the matter with the scan: the run cannot go on.
        raise
    except SpectralIDError as error:
        return Judged("failed", False, (str(error)[:300],), recorded, None)
    found = difference(before, after)
    if found.matters:
        return Judged("changed", found.deadly, found.why, before, after)
    return Judged("minor", False, (), before, after)


def _answer(spectrum: Spectrum, library: tuple[str, str]) -> Answer:
    from spectralid.verdict import decide
    from spectralid.verdict.naming import raised
    from spectralid.verdict.policy import default_policy

    engine, policy = _engine(*library), default_policy()
    identification = engine.identify(spectrum)
    verdict = decide(identification, engine.library, policy=policy)
    return Answer.of_verdict(identification, verdict, tuple(raised(identification, policy)))


@lru_cache(maxsize=_LIBRARIES_AT_ONCE)
def _engine(path: str, sha256: str) -> Identifier:
    from spectralid.identify import Identifier

    return Identifier(bound(path, sha256))


def bound(path: str, sha256: str) -> ReferenceLibrary:
    """The library that a run is bound to.

    Raises
    ------
    LibraryError
        If it is another one by now, or cannot be read.
    """
    from spectralid.library import open_library

    library = open_library(Path(path))
    if library.sha256 != sha256:
        raise LibraryError(f"{path}: it is not the library that the run is bound to ({sha256[:12]}…).")
    return library
