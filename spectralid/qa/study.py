"""A validation study: every sample of a manifest through engine and verdict, as an officer would get it."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from spectralid import __version__
from spectralid.errors import ParameterError, SpectralIDError, UnreadableFileError
from spectralid.identify import Identification
from spectralid.identify.batch import identify_each
from spectralid.identify.engine import Identifier
from spectralid.library import Compound, ReferenceLibrary, Tier
from spectralid.library.compounds import CompoundIndex
from spectralid.qa.leaks import leak_of
from spectralid.qa.manifest import Manifest, Sample
from spectralid.spectrum import Spectrum
from spectralid.verdict import VerdictKind, decide, default_policy
from spectralid.verdict.hazards import Alarm, alarm_of
from spectralid.verdict.policy import Policy

__all__ = ["NOT_READ", "Outcome", "Study", "run_study"]

NOT_READ: Final = "not_read"
"""Kind of a sample whose file could not be read or compared."""
_NAMING: Final = (VerdictKind.IDENTIFIED, VerdictKind.MIXTURE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a sample.

    Attributes
    ----------
    sample : Sample
        The sample.
    held, not_held : tuple of str
        What it holds: slugs of compounds the library has references of, and what it has none of.
    kind : str
        Of the verdict; ``not_read`` where there is none.
    target : str
        Slug of the sample's target; empty if it has none.
    named : tuple of str
        Slugs that the verdict names.
    probabilities : tuple of (str, float)
        Calibrated probability of each component of the fit, named or not.
    shares : tuple of (str, float, float, float)
        Share of the signal of each component of the fit, named or not, with its interval; not by weight.
    unknown : float or None
        Probability that it holds something the library lacks.
    alarm : str
        How loudly the verdict warns; empty where there is none.
    dangerous : bool or None
        Whether the policy asks for the loudest alarm for what is in it; ``None`` where the library's table
        does not know what that is.
    escalate : bool
        Whether it would have gone to reachback.
    error : str
        Why there is no verdict.
    spectrum_sha256 : str
        What was judged.
    leak : str
        The reference of the library that is this very scan (`spectralid.qa.leaks`); empty if none is.
    """

    sample: Sample
    held: tuple[str, ...]
    not_held: tuple[str, ...]
    kind: str
    target: str = ""
    named: tuple[str, ...] = ()
    probabilities: tuple[tuple[str, float], ...] = ()
    shares: tuple[tuple[str, float, float, float], ...] = ()
    unknown: float | None = None
    alarm: str = ""
    dangerous: bool | None = None
    escalate: bool = True
    error: str = ""
    spectrum_sha256: str = ""
    leak: str = ""

    @property
    def names_something(self) -> bool:
        """Whether the verdict names substances."""
        return self.kind in _NAMING

    @property
    def answer(self) -> tuple[str, ...]:
        """What was said, for comparison with another: the names, or the kind where none was given."""
        return tuple(sorted(self.named)) if self.names_something else (self.kind,)

    @property
    def alarmed(self) -> bool:
        """Whether the verdict gives the loudest alarm."""
        return self.alarm == Alarm.DANGER

    @property
    def silent(self) -> bool:
        """Whether it asks for less care than for the unknown: of what is dangerous, the worst mistake."""
        return bool(self.alarm) and not Alarm(self.alarm).reaches(Alarm.UNKNOWN)

    @property
    def false(self) -> tuple[str, ...]:
        """What was named and is not there."""
        return tuple(slug for slug in self.named if slug not in self.held) if self.names_something else ()

    @property
    def found(self) -> tuple[str, ...]:
        """What was named and is there."""
        return tuple(slug for slug in self.named if slug in self.held) if self.names_something else ()

    @property
    def listed(self) -> bool:
        """Whether the fit holds all that the library has of it, named or not: leads for a chemist."""
        return bool(self.held) and set(self.held) <= {slug for slug, *_ in self.shares}

    @property
    def listed_false(self) -> bool:
        """Whether the fit holds something that is not there."""
        return any(slug not in self.held for slug, *_ in self.shares)

    @property
    def complete(self) -> bool:
        """Whether all that the library has of it was named, and nothing else."""
        return set(self.found) == set(self.held) and not self.false and bool(self.held)


@dataclass(frozen=True, slots=True)
class Study:
    """Outcomes of a study, with what they depend on.

    Attributes
    ----------
    outcomes : tuple of Outcome
        One per sample, in the order of the manifest.
    manifest : Manifest
        The samples.
    library, library_version, library_sha256, policy, software : str
        What judged them: with the same the same comes out.
    """

    outcomes: tuple[Outcome, ...]
    manifest: Manifest
    library: str
    library_version: str
    library_sha256: str
    policy: str
    software: str = f"spectralid {__version__}"

    def __repr__(self) -> str:
        unread = sum(one.kind == NOT_READ for one in self.outcomes)
        return (
            f"<Study {self.manifest.file!r}: {len(self.outcomes)} samples"
            f"{f' ({unread} not read)' if unread else ''}, library {self.library!r} {self.library_version}>"
        )


def run_study(
    manifest: Manifest,
    library: ReferenceLibrary | Identifier,
    *,
    processes: int | None = None,
    policy: Policy | None = None,
    disturbed: Callable[[Spectrum], Spectrum] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Study:
    """Judge every sample of a manifest.

    Parameters
    ----------
    manifest : Manifest
        The samples.
    library : ReferenceLibrary or Identifier
        What judges them.
    processes : int, optional
        How many work in parallel; by default as many as there are processors.
    policy : Policy, optional
        Thresholds and naming; the built-in one by default.
    disturbed : callable, optional
        Makes of each spectrum what is judged in its place (`spectralid.qa.robustness`).
    progress : callable, optional
        Called with the number of samples done.

    Returns
    -------
    Study
        A sample whose file cannot be read or compared is an outcome of its own, ``not_read``, with the
        reason: it is counted, never dropped.

    Raises
    ------
    ParameterError
        If a target of a sample is not in its truth, or is unknown to the library.
    LibraryError
        If the library is damaged.
    """
    identifier = library if isinstance(library, Identifier) else Identifier(library)
    held = identifier.library
    decided = policy or default_policy()
    index = CompoundIndex(held.compounds)
    truths = [_truth(sample, index, held, decided) for sample in manifest.samples]
    outcomes: dict[int, Outcome] = {}
    on_their_way: deque[tuple[int, Spectrum]] = deque()

    def keep(number: int, outcome: Outcome) -> None:
        outcomes[number] = outcome
        if progress:
            progress(len(outcomes))

    def spectra() -> Iterator[Spectrum]:
        for number, sample in enumerate(manifest.samples):
            try:
                spectrum = _load(sample)
                if disturbed:
                    spectrum = disturbed(spectrum)
            except ParameterError:
                raise  # A technique that does not exist, say: wrong in the manifest.
            except SpectralIDError as error:
                keep(number, _unread(sample, truths[number], error))
                continue
            on_their_way.append((number, spectrum))
            yield spectrum

    for result in identify_each(spectra(), identifier, processes=processes):
        number, spectrum = on_their_way.popleft()
        keep(number, _judged(manifest.samples[number], truths[number], spectrum, result, held, decided))
    return Study(
        tuple(outcomes[number] for number in range(len(manifest.samples))),
        manifest,
        held.name,
        held.version,
        held.sha256,
        f"{decided.name} {decided.version}",
    )


class _Truth(NamedTuple):
    """What a sample holds, as slugs where there is one."""

    held: tuple[str, ...]
    not_held: tuple[str, ...]
    target: str
    dangerous: bool | None


def _truth(sample: Sample, index: CompoundIndex, library: ReferenceLibrary, policy: Policy) -> _Truth:
    there, lacking = [], []
    alarms: list[Alarm | None] = []
    for name in sample.truth:
        found = index.by_slug.get(name) or _found(index, name)
        if found is not None and found.slug in _referenced(library):
            there.append(found.slug)
        else:
            lacking.append(found.slug if found else name)
        alarms.append(alarm_of(found, policy) if found else None)
    dangerous = True if Alarm.DANGER in alarms else None if None in alarms else False
    if not sample.target:
        return _Truth(tuple(there), tuple(lacking), "", dangerous)
    target = index.by_slug.get(sample.target) or _found(index, sample.target)
    if target is None:
        raise ParameterError(
            "target", sample.target, f"a compound of the library (manifest, line {sample.line})"
        )
    if sample.level and target.slug not in (*there, *lacking):
        raise ParameterError(
            "target", sample.target, f"one of its truth where its level is above 0 (line {sample.line})"
        )
    return _Truth(tuple(there), tuple(lacking), target.slug, dangerous)


def _found(index: CompoundIndex, name: str) -> Compound | None:
    found = index.find(name=name, inchikey=name, cas=name)
    return found[0] if found else None


@lru_cache(maxsize=4)
def _referenced(library: ReferenceLibrary) -> frozenset[str]:
    """Compounds a verdict may name: those with measured or literature references."""
    techniques = library.techniques
    return frozenset(
        row.compound_slug
        for technique in techniques
        for row in library.rows(technique)
        if row.tier is not Tier.COMPUTED
    )


def _load(sample: Sample) -> Spectrum:
    from spectralid.io import read_all

    try:
        raw = sample.file.read_bytes()
    except OSError as error:
        raise UnreadableFileError(
            f"it cannot be read ({error.strerror}).", file=sample.file.name, where=f"line {sample.line}"
        ) from None
    if sample.sha256 and hashlib.sha256(raw).hexdigest() != sample.sha256:
        raise UnreadableFileError(
            "it is not the file the manifest means (its SHA-256 differs).",
            file=sample.file.name,
            where=f"line {sample.line}",
        )
    spectra = read_all(
        sample.file, technique=sample.technique or None, laser_nm=sample.laser_nm, name=sample.file.name
    )
    if sample.record >= len(spectra):
        raise UnreadableFileError(
            f"it holds {len(spectra)} spectra, not one of number {sample.record}.",
            file=sample.file.name,
            where=f"line {sample.line}",
        )
    return spectra[sample.record]


def _judged(
    sample: Sample,
    truth: _Truth,
    spectrum: Spectrum,
    result: Identification | SpectralIDError,
    library: ReferenceLibrary,
    policy: Policy,
) -> Outcome:
    if isinstance(result, SpectralIDError):
        return _unread(sample, truth, result, spectrum.sha256)
    verdict = decide(result, library, policy=policy)
    components = result.confidence.components if result.confidence else ()
    return Outcome(
        sample,
        truth.held,
        truth.not_held,
        str(verdict.kind),
        truth.target,
        named=verdict.named,
        probabilities=tuple(
            (component.compound_slug, component.probability)
            for component in components
            if component.probability is not None
        ),
        shares=tuple(
            (one.compound_slug, one.share, one.share_low, one.share_high)
            for one in (result.analysis.components if result.analysis else ())
        ),
        unknown=result.confidence.unknown if result.confidence else None,
        alarm=str(verdict.alarm),
        dangerous=truth.dangerous,
        escalate=verdict.escalate,
        spectrum_sha256=spectrum.sha256,
        leak=leak_of(spectrum, result, library),
    )


def _unread(sample: Sample, truth: _Truth, error: SpectralIDError, sha256: str = "") -> Outcome:
    return Outcome(
        sample,
        truth.held,
        truth.not_held,
        NOT_READ,
        truth.target,
        dangerous=truth.dangerous,
        error=str(error),
        spectrum_sha256=sha256,
    )
