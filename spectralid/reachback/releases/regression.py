"""A new library must not be worse than the one in force: both are asked about spectra whose answer is known.

The agency keeps those spectra (measured by itself, of substances it is sure of) in a folder with a list,
``held-out.csv``: ``file``, ``answer`` (slugs joined by ``|``; empty: nothing in the library explains it, and
nothing is to be named), and if wanted ``category`` and ``sha256``. None of them ever becomes a reference.

Each spectrum goes through the engine and the verdict with either library. What is told counts as *right* if
exactly the substances of the answer are named, and as a *false name* if any other is. A new library is
refused if

1. fewer answers are right than before, or fewer are first in the ranking;
2. there are more false names than before;
3. an answer of the ultra-potent opioids raised the loudest alarm before, and does not now;
4. in one category more answers were lost than won, and that is no chance: the exact one-sided sign test over
   the answers that changed (McNemar's, exact) gives 5 % or less.

The first three hold for single spectra: a held-out set is too small to wait for significance, and whoever
loses an answer that was right has to look why. Spectra that are the same before and after say nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from spectralid.errors import FileError, ParameterError, SpectralIDError
from spectralid.library.compounds import make_slug, read_rows
from spectralid.reachback.classification import classify, is_dangerous
from spectralid.reachback.errors import ConflictError, ReachbackError
from spectralid.reachback.releases.candidate_spectrum import prepared

if TYPE_CHECKING:
    import os

    from spectralid.library import ReferenceLibrary
    from spectralid.spectrum import Spectrum

__all__ = [
    "HeldOut",
    "HeldOutError",
    "Line",
    "Question",
    "Regression",
    "WorseError",
    "compare",
    "read",
    "sign_test",
]

LIST: Final = "held-out.csv"
LEAST: Final = 10
"""Spectra that a held-out set has at least; it takes many more to notice small losses."""
LEVEL: Final = 0.05


class HeldOutError(ReachbackError):
    """A held-out set that cannot be used."""

    status: ClassVar[int] = 422
    code: ClassVar[str] = "held-out"


class WorseError(ConflictError):
    """A library that answers worse than the one in force.

    Attributes
    ----------
    regression : Regression
        In what.
    """

    code: ClassVar[str] = "worse"

    def __init__(self, message: str, regression: Regression) -> None:
        super().__init__(message)
        self.regression = regression


@dataclass(frozen=True, slots=True)
class Question:
    """A spectrum whose answer is known.

    Attributes
    ----------
    name : str
        The file.
    spectrum : Spectrum
        As measured.
    answer : frozenset of str
        Slugs of what is in it; empty if no library explains it.
    category : str
        Where it is counted.
    """

    name: str
    spectrum: Spectrum
    answer: frozenset[str]
    category: str


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Spectra whose answers are known."""

    questions: tuple[Question, ...]

    @property
    def identities(self) -> frozenset[str]:
        """Of all of them, as measured and as they would go into a library."""
        return frozenset(
            identity
            for one in self.questions
            for identity in (one.spectrum.sha256, prepared(one.spectrum).sha256)
        )


@dataclass(frozen=True, slots=True)
class Answered:
    """What one library says of a spectrum.

    Attributes
    ----------
    told : tuple of str
        What is named.
    first : str
        What the ranking has first.
    alarm : str
        How loudly is warned.
    """

    told: tuple[str, ...]
    first: str
    alarm: str


@dataclass(frozen=True, slots=True)
class Line:
    """A category, or all of them.

    Attributes
    ----------
    category : str
        Which; ``all`` for all.
    spectra : int
        How many.
    right_before, right_after, first_before, first_after, false_before, false_after : int
        Right answers, answers first in the ranking, and false names.
    lost, won : int
        Answers that were right and are not, and the other way round.
    p : float
        Of the exact one-sided sign test that more are lost than chance gives.
    """

    category: str
    spectra: int
    right_before: int
    right_after: int
    first_before: int
    first_after: int
    false_before: int
    false_after: int
    lost: int
    won: int
    p: float


@dataclass(frozen=True, slots=True)
class Regression:
    """Two libraries compared.

    Attributes
    ----------
    before, after : str
        Name, version and identity.
    lines : tuple of Line
        All spectra first, then each category.
    worse : tuple of str
        In what it is worse, a sentence each; empty if it may be released.
    changed : tuple of mapping
        Spectra whose answer changed: ``file``, ``answer``, ``before``, ``after``.
    """

    before: str
    after: str
    lines: tuple[Line, ...]
    worse: tuple[str, ...]
    changed: tuple[Mapping[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {
            "before": self.before,
            "after": self.after,
            "lines": [asdict(line) for line in self.lines],
            "worse": list(self.worse),
            "changed": [dict(one) for one in self.changed],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Regression:
        """Inverse of `to_dict`."""
        lines = tuple(Line(**line) for line in data["lines"])
        return cls(data["before"], data["after"], lines, tuple(data["worse"]), tuple(data["changed"]))

    def table(self) -> str:
        """For people."""
        head = (
            f"{'category':28} {'n':>4} {'right':>9} {'first':>9} {'false':>9} {'lost':>4} {'won':>4} {'p':>6}"
        )
        rows = [
            f"{line.category[:28]:28} {line.spectra:4d} {line.right_before:4d}→{line.right_after:<4d} "
            f"{line.first_before:4d}→{line.first_after:<4d} {line.false_before:4d}→{line.false_after:<4d} "
            f"{line.lost:4d} {line.won:4d} {line.p:6.3f}"
            for line in self.lines
        ]
        return "\n".join([head, *rows, *(f"worse: {sentence}" for sentence in self.worse)])


def read(folder: str | os.PathLike[str]) -> HeldOut:
    """The held-out set in a folder.

    Raises
    ------
    HeldOutError
        If the list or a spectrum cannot be read, a spectrum is not the one that the list names, or there are
        too few.
    """
    from spectralid.io import read as read_spectrum

    place = Path(folder)
    questions = []
    try:
        rows = list(
            read_rows(place / LIST, required=("file", "answer"), optional=("category", "sha256", "technique"))
        )
        for line, row in rows:
            path = place / row["file"]
            if not path.resolve().is_relative_to(place.resolve()):
                raise HeldOutError(f"{place / LIST}, line {line}: {row['file']!r} is not in the folder.")
            spectrum = read_spectrum(path, technique=row.get("technique") or None)
            if row.get("sha256") and row["sha256"] != spectrum.sha256:
                raise HeldOutError(f"{path}: it is not the spectrum that the list names; bring it back.")
            answer = frozenset(slug.strip() for slug in row["answer"].split("|") if slug.strip())
            if any(make_slug(slug) != slug for slug in answer):
                raise HeldOutError(f"{place / LIST}, line {line}: {row['answer']!r} are no slugs.")
            questions.append(Question(row["file"], spectrum, answer, row.get("category", "")))
    except (FileError, ParameterError) as error:
        raise HeldOutError(f"The held-out set cannot be used: {error}") from None
    if len(questions) < LEAST:
        raise HeldOutError(f"{place}: {len(questions)} spectra say too little; give at least {LEAST}.")
    return HeldOut(tuple(questions))


def sign_test(lost: int, won: int) -> float:
    """Probability that of so many changes at least so many are losses, if a loss is as likely as a gain."""
    changed = lost + won
    if not changed:
        return 1.0
    return math.fsum(math.comb(changed, k) for k in range(lost, changed + 1)) / 2.0**changed


def compare(
    before: ReferenceLibrary,
    after: ReferenceLibrary,
    held_out: HeldOut,
    *,
    progress: Callable[[Sequence[Question]], Iterable[Question]] = lambda questions: questions,
) -> Regression:
    """Ask both libraries about every spectrum.

    Parameters
    ----------
    before, after : ReferenceLibrary
        The library in force, and the one that is to be released.
    held_out : HeldOut
        The questions.
    progress : callable, optional
        Wraps the questions, to show how far it has come.
    """
    asked = tuple(_asker(library) for library in (before, after))
    pairs = [(one, asked[0](one.spectrum), asked[1](one.spectrum)) for one in progress(held_out.questions)]
    categories = defaultdict(list)
    for one, was, now in pairs:
        categories[one.category or _category(one, before, after)].append((one, was, now))
    lines = [_line("all", pairs), *(_line(name, categories[name]) for name in sorted(categories))]
    whole = lines[0]
    worse = []
    if whole.right_after < whole.right_before:
        worse.append(f"{whole.right_after} answers are right and {whole.right_before} were.")
    if whole.first_after < whole.first_before:
        worse.append(f"{whole.first_after} answers are first in the ranking and {whole.first_before} were.")
    if whole.false_after > whole.false_before:
        worse.append(f"{whole.false_after} spectra are given a false name and {whole.false_before} were.")
    worse += [
        f"{one.name}: it raised the alarm {was.alarm!r} and raises {now.alarm!r}."
        for one, was, now in pairs
        if was.alarm == "danger" != now.alarm and _is_deadly(one, before, after)
    ]
    worse += [
        f"In {line.category!r} {line.lost} answers were lost and {line.won} won (p = {line.p:.3f})."
        for line in lines[1:]
        if line.lost > line.won and line.p <= LEVEL
    ]
    changed = tuple(
        {
            "file": one.name,
            "answer": sorted(one.answer),
            "before": list(was.told),
            "after": list(now.told),
        }
        for one, was, now in pairs
        if was.told != now.told
    )
    return Regression(_named(before), _named(after), tuple(lines), tuple(worse), changed)


def _asker(library: ReferenceLibrary) -> Callable[[Spectrum], Answered]:
    from spectralid.identify import Identifier
    from spectralid.verdict import VerdictKind, decide

    engine = Identifier(library)

    def ask(spectrum: Spectrum) -> Answered:
        try:
            found = engine.identify(spectrum)
        except SpectralIDError:
            return Answered((), "", "unknown")  # a library without that technique names nothing
        verdict = decide(found, library)
        names = verdict.kind in (VerdictKind.IDENTIFIED, VerdictKind.MIXTURE)
        first = found.candidates[0].compound_slug if found.candidates else ""
        return Answered(tuple(sorted(verdict.named)) if names else (), first, verdict.alarm.value)

    return ask


def _line(category: str, pairs: Sequence[tuple[Question, Answered, Answered]]) -> Line:
    def right(one: Question, said: Answered) -> bool:
        return set(said.told) == one.answer

    lost = sum(right(one, was) and not right(one, now) for one, was, now in pairs)
    won = sum(right(one, now) and not right(one, was) for one, was, now in pairs)
    return Line(
        category,
        len(pairs),
        sum(right(one, was) for one, was, _ in pairs),
        sum(right(one, now) for one, _, now in pairs),
        sum(was.first in one.answer for one, was, _ in pairs),
        sum(now.first in one.answer for one, _, now in pairs),
        sum(bool(set(was.told) - one.answer) for one, was, _ in pairs),
        sum(bool(set(now.told) - one.answer) for one, _, now in pairs),
        lost,
        won,
        sign_test(lost, won),
    )


def _facts(slug: str, *libraries: ReferenceLibrary) -> Mapping[str, Any]:
    for library in libraries:
        for compound in library.compounds:
            if compound.slug == slug:
                return compound.to_dict()
    return {}


def _category(one: Question, *libraries: ReferenceLibrary) -> str:
    if not one.answer:
        return "not in the library"
    found = {str(_facts(slug, *libraries).get("category", "")) for slug in one.answer}
    return " + ".join(sorted(found - {""})) or "no category"


def _is_deadly(one: Question, *libraries: ReferenceLibrary) -> bool:
    return is_dangerous(classify(slug, component=_facts(slug, *libraries)) for slug in one.answer)


def _named(library: ReferenceLibrary) -> str:
    return f"{library.name} {library.version} ({library.sha256})"
