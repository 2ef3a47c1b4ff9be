"""The result of an identification as immutable values with a lossless JSON form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from spectralid.errors import InputError
from spectralid.identify.leads import Lead
from spectralid.identify.quality import SignalQuality
from spectralid.library import Tier
from spectralid.spectrum import Technique

__all__ = ["SCHEMA", "Candidate", "Identification"]

SCHEMA: Final = "spectralid.identification/1"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A compound the spectrum was compared with, by its best reference.

    Attributes
    ----------
    rank : int
        1 for the best.
    compound_slug, compound_name : str
        The compound.
    reference_id : str
        The reference compared.
    form : str
        Salt, hydrate or polymorph of that reference, empty where it is the compound as such.
    tier : Tier
        What the reference rests on. A computed one is a lead, never an identification.
    score : float
        Derivative-cosine, -1 … 1: likeness, not a probability.
    hqi : float or None
        Hit quality index (squared correlation, no baseline correction), 0 … 1.
    overlap_cm1 : tuple of float
        Range compared, in cm⁻¹.
    reference_share, query_share : float
        Share of the reference's and the query's bands in that range, 0 … 1.
    corroboration : float or None
        Derivative-cosine without the reference's strongest band; ``None`` where nothing else was compared.
    """

    rank: int
    compound_slug: str
    compound_name: str
    reference_id: str
    form: str
    tier: Tier
    score: float
    hqi: float | None
    overlap_cm1: tuple[float, float]
    reference_share: float
    query_share: float
    corroboration: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {
            "rank": self.rank,
            "compound_slug": self.compound_slug,
            "compound_name": self.compound_name,
            "reference_id": self.reference_id,
            "form": self.form,
            "tier": self.tier.value,
            "score": self.score,
            "hqi": self.hqi,
            "overlap_cm1": list(self.overlap_cm1),
            "reference_share": self.reference_share,
            "query_share": self.query_share,
            "corroboration": self.corroboration,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Candidate:
        """Inverse of `to_dict`."""
        known = {name: data[name] for name in cls.__dataclass_fields__}
        known["tier"] = Tier(known["tier"])
        known["overlap_cm1"] = tuple(known["overlap_cm1"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Identification:
    """What one spectrum was found to be like in one library.

    Attributes
    ----------
    spectrum_sha256, spectrum_name : str
        Identity and name of the spectrum.
    technique : Technique
        Technique it was compared as.
    library_name, library_version, library_sha256 : str
        The library.
    method : str
        How it was compared, with its version; the same method, spectrum and library give the same result.
    candidates : tuple of Candidate
        One per compound, best first. Scores are likeness; no probability is claimed.
    not_comparable : tuple of str
        Ids of references that share too little range with the spectrum to be compared.
    n_references : int
        Measured and literature references of the technique in the library, compared or not.
    quality : SignalQuality
        Quality of the spectrum.
    assumptions : tuple of str
        What had to be taken for granted, one sentence each.
    context : mapping of str to str
        Facts of the scene as given; this method records them and does not use them.
    leads : tuple of Lead
        Computed references like the spectrum, where they were asked for; for a chemist. They name nothing,
        and no verdict rests on them.
    """

    spectrum_sha256: str
    spectrum_name: str
    technique: Technique
    library_name: str
    library_version: str
    library_sha256: str
    method: str
    candidates: tuple[Candidate, ...]
    not_comparable: tuple[str, ...]
    n_references: int
    quality: SignalQuality
    assumptions: tuple[str, ...] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    leads: tuple[Lead, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "context", MappingProxyType(dict(self.context)))

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __reduce__(self) -> tuple[Any, ...]:
        # A mappingproxy does not pickle; results travel back from worker processes.
        return _rebuild, (self.to_dict(),)

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form, versioned by its ``schema``."""
        return {
            "schema": SCHEMA,
            "spectrum_sha256": self.spectrum_sha256,
            "spectrum_name": self.spectrum_name,
            "technique": self.technique.value,
            "library_name": self.library_name,
            "library_version": self.library_version,
            "library_sha256": self.library_sha256,
            "method": self.method,
            "candidates": [c.to_dict() for c in self.candidates],
            "not_comparable": list(self.not_comparable),
            "n_references": self.n_references,
            "quality": self.quality.to_dict(),
            "assumptions": list(self.assumptions),
            "context": dict(self.context),
            "leads": [lead.to_dict() for lead in self.leads],
        }

    def to_json(self) -> str:
        """One line of JSON with sorted keys: the same result gives the same text."""
        return json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Identification:
        """Inverse of `to_dict`.

        Raises
        ------
        InputError
            If `data` is not such a record or is of a version unknown here.
        """
        if data.get("schema") != SCHEMA:
            raise InputError(
                f"This is not an identification record of the form {SCHEMA!r} (its schema is "
                f"{data.get('schema')!r}); it may come from another version of spectralid."
            )
        try:
            # Records of earlier versions have no leads.
            known = {name: data[name] for name in cls.__dataclass_fields__ if name != "leads"}
            known["leads"] = tuple(Lead.from_dict(lead) for lead in data.get("leads", ()))
            known["technique"] = Technique(known["technique"])
            known["candidates"] = tuple(Candidate.from_dict(c) for c in known["candidates"])
            known["quality"] = SignalQuality.from_dict(known["quality"])
            known["not_comparable"] = tuple(known["not_comparable"])
            known["assumptions"] = tuple(known["assumptions"])
            return cls(**known)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"The identification record is damaged ({error}).") from error

    @classmethod
    def from_json(cls, text: str) -> Identification:
        """Inverse of `to_json`.

        Raises
        ------
        InputError
            If `text` is not such a record.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise InputError(f"The identification record is not JSON ({error}).") from error
        if not isinstance(data, dict):
            raise InputError("The identification record is not a JSON object.")
        return cls.from_dict(data)


def _rebuild(data: dict[str, Any]) -> Identification:
    return Identification.from_dict(data)
