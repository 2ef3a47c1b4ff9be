"""The result of an identification as immutable values with a lossless JSON form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from spectralid.errors import InputError
from spectralid.identify._records import decoded
from spectralid.identify.analysis import Analysis
from spectralid.identify.confidence import Confidence
from spectralid.identify.family_model import FamilyFinding
from spectralid.identify.leads import Lead
from spectralid.identify.quality import SignalQuality
from spectralid.library import ReferenceLibrary, Tier
from spectralid.spectrum import Spectrum, Technique

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SCHEMA", "Candidate", "Identification"]

SCHEMA: Final = "spectralid.identification/2"


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
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return plain | {"tier": self.tier.value, "overlap_cm1": list(self.overlap_cm1)}


@dataclass(frozen=True, slots=True)
class Identification:
    """What one spectrum is, as far as one library can tell.

    Attributes
    ----------
    spectrum_sha256, spectrum_name : str
        Identity and name of the spectrum.
    technique : Technique
        Technique it was compared as.
    library_name, library_version, library_sha256 : str
        The library.
    method : str
        How the candidates were ranked, with its version; `analysis` states its own. The same methods,
        spectrum and library give the same result.
    candidates : tuple of Candidate
        One per compound, likest first. Scores are likeness; no probability is claimed.
    not_comparable : tuple of str
        Ids of references that share too little range with the spectrum to be compared.
    n_references : int
        Measured and literature references of the technique in the library, compared or not.
    quality : SignalQuality
        Quality of the spectrum.
    analysis : Analysis or None
        The joint fit, on which a verdict rests; ``None`` where the candidates were only ranked
        (`spectralid.identify.retrieve`), or there are none because nothing could be compared.
    confidence : Confidence or None
        What the joint fit is worth, by a record of analyses whose truth was known; ``None`` where there is no
        joint fit or no such record for its method.
    families : tuple of FamilyFinding
        How much the spectrum speaks for a member of each family, which need not be in the library; empty
        without a family model.
    assumptions : tuple of str
        What had to be taken for granted, one sentence each.
    context : mapping of str to str
        Facts of the scene as given, like ``instrument_class``, ``declared`` (what the goods are said to be)
        and ``container``. They are recorded; no number depends on them.
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
    analysis: Analysis | None
    confidence: Confidence | None = None
    families: tuple[FamilyFinding, ...] = ()
    assumptions: tuple[str, ...] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    leads: tuple[Lead, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "context", MappingProxyType(dict(self.context)))

    def __hash__(self) -> int:
        return hash((self.spectrum_sha256, self.library_sha256, self.method))

    def __repr__(self) -> str:
        label = f" of {self.spectrum_name!r}" if self.spectrum_name else ""
        return (
            f"<Identification{label} {self.technique.value}, library {self.library_name!r} "
            f"{self.library_version}: {self._found()}>"
        )

    def _found(self) -> str:
        """The components of the fit, else the likest candidates, in a few words."""
        if self.analysis:
            parts = ", ".join(f"{one.compound_name} {one.share:.0%}" for one in self.analysis.components)
            # Components of a fit are no answer: without this they would read like one.
            unknown = self.confidence.unknown if self.confidence else None
            beside = "" if unknown is None else f"; something the library lacks {unknown:.0%}"
            return f"fit of {parts or 'nothing of the library'}{beside}"
        likest = ", ".join(f"{one.compound_name} {one.score:.2f}" for one in self.candidates[:3])
        return f"likest {likest}" if likest else "nothing compared"

    def __reduce__(self) -> tuple[Any, ...]:
        # A mappingproxy does not pickle; results travel back from worker processes.
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Identification, tuple((values | {"context": dict(self.context)}).values())

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
            "analysis": self.analysis.to_dict() if self.analysis else None,
            "confidence": self.confidence.to_dict() if self.confidence else None,
            "families": [f.to_dict() for f in self.families],
            "assumptions": list(self.assumptions),
            "context": dict(self.context),
            "leads": [lead.to_dict() for lead in self.leads],
        }

    def to_json(self) -> str:
        """One line of JSON with sorted keys: the same result gives the same text."""
        return json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False, allow_nan=False)

    def explain(self) -> str:
        """The chemist's dossier: every number the decision rests on. Presumptive."""
        from spectralid.identify.dossier import dossier

        return dossier(self)

    def plot(self, spectrum: Spectrum, library: ReferenceLibrary) -> Figure:
        """Figure of the spectrum with what was found in it.

        Parameters
        ----------
        spectrum : Spectrum
            The spectrum as it was handed to `identify`; a result holds its identity only.
        library : ReferenceLibrary
            The library it was made with.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        InputError
            If it is another spectrum or another library.
        """
        if spectrum.sha256 != self.spectrum_sha256 or library.sha256 != self.library_sha256:
            raise InputError(
                f"This result is of the spectrum {self.spectrum_sha256[:12]}… and the library "
                f"{self.library_name!r} {self.library_version}; draw it with these."
            )
        # The one import upwards (.importlinter), so that a result can be looked at where it is made.
        from spectralid.plot import identification_figure

        return identification_figure(spectrum, self, library)

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
            return decoded(cls, data)
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
