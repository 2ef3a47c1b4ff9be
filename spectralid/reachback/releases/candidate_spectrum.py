"""The spectrum of a candidate: as it goes into the library, whether it is good enough, what is like it."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from spectralid.casework.manifest import dumps
from spectralid.errors import InputError
from spectralid.library import ReferenceLibrary
from spectralid.reachback.errors import ReachbackError
from spectralid.spectrum import Acquisition, IntensityUnit, ProcessingStep, Spectrum, Technique

__all__ = [
    "CandidateError",
    "Check",
    "Standing",
    "checks_of",
    "packed",
    "prepared",
    "standing_of",
    "unpacked",
]

MINIMUM_SNR: Final = 30.0
"""Three times what a scan needs to be matched: the noise of a reference is met by every scan."""
COVERED: Final[Mapping[str, tuple[float, float]]] = {"raman": (400.0, 1800.0), "infrared": (700.0, 1800.0)}
"""What a reference covers at least, in cm⁻¹: the range with which substances are told apart."""
DUPLICATE: Final = 0.998
"""Derivative-cosine from which two spectra are one measured again."""
CONFLICT: Final = 0.97
"""Derivative-cosine from which another substance's entry is shown as one that looks the same."""
_CONTAINERS: Final = ("", "none")


class CandidateError(ReachbackError):
    """A spectrum that is not good enough for a reference, or whose substance is not known well enough."""

    status: ClassVar[int] = 422
    code: ClassVar[str] = "candidate"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
        Which, one word.
    good : bool
        Whether nothing speaks against it. What must be good was refused otherwise; the rest is for those who
        approve.
    words : str
        What was found.
    """

    name: str
    good: bool
    words: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A candidate beside what the library has.

    Attributes
    ----------
    library : str
        Name, version and identity.
    rank : int or None
        Of its own substance among the substances it is like, 1 the likest; ``None`` if the library has no
        entry of it that can be compared.
    nearest : tuple of mapping
        The likest entries: ``reference``, ``slug``, ``score``.
    duplicates : tuple of str
        Entries of its substance that are nearly the same.
    conflicts : tuple of str
        Entries of other substances that look the same.
    """

    library: str
    rank: int | None
    nearest: tuple[Mapping[str, Any], ...]
    duplicates: tuple[str, ...]
    conflicts: tuple[str, ...]


def prepared(spectrum: Spectrum) -> Spectrum:
    """A measured spectrum as it goes into the library.

    Infrared as absorbance, Raman without cosmic rays (marked missing), cut to the library's grid; neither
    smoothed nor corrected, because the engine prepares references itself and from what was measured. What may
    point to a person (operator, headers of files, serial number) is left behind.
    """
    from spectralid.library.schema import GRIDS, grid_key
    from spectralid.preprocess import Crop, Despike, to_absorbance

    first, step, points = GRIDS[grid_key(spectrum.technique)]
    spectrum = to_absorbance(spectrum) if spectrum.technique.is_infrared else Despike()(spectrum)
    spectrum = Crop(low_cm1=first, high_cm1=first + step * (points - 1))(spectrum)
    known = spectrum.acquisition
    kept = replace(known, serial="", operator="", time="", metadata={})
    return spectrum.replace(acquisition=kept, name="", source="")


def checks_of(
    spectrum: Spectrum, measured: Spectrum, scan: Mapping[Any, Any], container: str
) -> tuple[Check, ...]:
    """What was looked at of a spectrum, and what was found.

    Parameters
    ----------
    spectrum : Spectrum
        As `prepared`.
    measured : Spectrum
        As it was recorded.
    scan : mapping
        Its row in the table of scans.
    container : str
        What it was measured through, as far as it is stated.

    Raises
    ------
    CandidateError
        If it is not good enough for a reference.
    """
    from spectralid.identify.quality import signal_quality
    from spectralid.library.schema import grid_key

    try:
        quality = signal_quality(spectrum)
        low, high = COVERED[grid_key(spectrum.technique)]
    except InputError as error:
        raise CandidateError(str(error)) from None
    start, end = quality.range_cm1
    must = (
        Check("signal", not quality.problems, "; ".join(quality.advice) or "Nothing is wrong with it."),
        Check(
            "noise",
            quality.snr is not None and quality.snr >= MINIMUM_SNR,
            f"Signal to noise {quality.snr:.0f}; a reference needs {MINIMUM_SNR:.0f}."
            if quality.snr is not None
            else "Its noise cannot be told: it was smoothed, or has too few points.",
        ),
        Check(
            "range",
            start <= low and end >= high,
            f"{start:.0f} to {end:.0f} cm⁻¹; a reference covers {low:.0f} to {high:.0f}.",
        ),
        Check("instrument", scan["ipv"] != "failed", f"Performance check of the instrument: {scan['ipv']}."),
        Check(
            "measured",
            "simulated" not in measured.acquisition.flags,
            "A reference is measured, not simulated.",
        ),
    )
    for check in must:
        if not check.good:
            raise CandidateError(f"It is not good enough for a reference ({check.name}): {check.words}")
    lost = int(spectrum.missing.sum())
    shown = (
        Check("checked", scan["ipv"] == "passed", f"Performance check of the instrument: {scan['ipv']}."),
        Check("container", container in _CONTAINERS, f"Measured through: {container or 'not stated'}."),
        Check("spikes", lost == 0, f"{lost} points are missing, cosmic rays among them."),
        Check(
            "history", not measured.history, f"{len(measured.history)} steps were done to it on the device."
        ),
    )
    return (*must, *shown)


def standing_of(spectrum: Spectrum, slug: str, library: ReferenceLibrary) -> Standing:
    """What a library has that is like a spectrum.

    Parameters
    ----------
    spectrum : Spectrum
        As `prepared`.
    slug : str
        Its substance.
    library : ReferenceLibrary
        The library.
    """
    from spectralid.identify.retrieval import RetrievalIndex

    named = f"{library.name} {library.version} ({library.sha256})"
    if not library.holds(spectrum.technique):
        return Standing(named, None, (), (), ())
    index = RetrievalIndex.from_library(library, spectrum.technique)
    hits = index.search(spectrum, 20).hits
    order = [hit.reference.compound_slug for hit in index.search_compounds(spectrum, len(index)).hits]
    duplicates = [hit for hit in hits if hit.reference.compound_slug == slug and hit.score >= DUPLICATE]
    conflicts = [hit for hit in hits if hit.reference.compound_slug != slug and hit.score >= CONFLICT]
    nearest = tuple(
        {
            "reference": hit.reference.id,
            "slug": hit.reference.compound_slug,
            "score": round(hit.score, 4),
        }
        for hit in hits[:5]
    )
    return Standing(
        named,
        order.index(slug) + 1 if slug in order else None,
        nearest,
        tuple(hit.reference.id for hit in duplicates),
        tuple(hit.reference.id for hit in conflicts),
    )


def packed(spectrum: Spectrum) -> bytes:
    """A spectrum as bytes: arrays without pickles, facts as JSON."""
    import numpy as np

    from spectralid.library.builder import spectrum_facts

    facts = {**spectrum_facts(spectrum), "technique": spectrum.technique.value}
    arrays = {"axis": spectrum.axis, "intensity": spectrum.intensity}
    if spectrum.sd is not None:
        arrays["sd"] = spectrum.sd
    out = io.BytesIO()
    np.savez_compressed(out, facts=np.frombuffer(dumps(facts), dtype=np.uint8), **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def unpacked(data: bytes) -> Spectrum:
    """Inverse of `packed`."""
    import numpy as np

    with np.load(io.BytesIO(data), allow_pickle=False) as kept:
        facts = json.loads(kept["facts"].tobytes())
        return Spectrum(
            kept["axis"],
            kept["intensity"],
            sd=kept.get("sd"),
            technique=Technique(facts["technique"]),
            unit=IntensityUnit(facts["unit"]),
            acquisition=Acquisition.from_dict(facts.get("acquisition", {})),
            history=tuple(ProcessingStep.from_dict(step) for step in facts.get("history", ())),
        )
