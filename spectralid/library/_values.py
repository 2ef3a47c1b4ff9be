"""What a library holds, as immutable values: compounds, references and where each reference comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from spectralid.errors import ParameterError
from spectralid.spectrum import Spectrum, Technique

__all__ = ["Compound", "Fitness", "Reference", "ReferenceInfo", "Tier"]


class Tier(StrEnum):
    """What a reference spectrum rests on; it travels with every result.

    A `COMPUTED` reference can support a family or a lead for a chemist; it never identifies on its own.
    """

    MEASURED = "measured"
    LITERATURE = "literature"
    COMPUTED = "computed"

    @classmethod
    def parse(cls, text: str) -> Tier:
        """Tier named by `text`.

        Raises
        ------
        ParameterError
            If `text` names none.
        """
        try:
            return cls(text)
        except ValueError:
            raise ParameterError("tier", text, "one of " + ", ".join(tier.value for tier in cls)) from None


@dataclass(frozen=True, slots=True)
class Compound:
    """A substance: what it is called, what it is, and what handling it asks for; empty where not known.

    Attributes
    ----------
    slug : str
        Stable identity within spectralid: lower-case letters, digits and hyphens.
    name : str
        Name for people.
    synonyms : tuple of str
        Other names.
    cas : str
        CAS registry number.
    inchikey : str
        Standard InChIKey.
    smiles : str
        Structure as SMILES, where its licence lets it be shipped.
    formula : str
        Molecular formula.
    category : str
        ``family/subfamily``: the first part for the officer, the second for the chemist.
    schedule : str
        Schedule of the US Controlled Substances Act, ``List I``, ``List II``, ``FRS`` or ``none``.
    hazards : tuple of str
        Handling hazards (``"ultra-potent-opioid"``, ``"oxidizer"`` …).
    salt_forms : tuple of str
        Commonly met salts.
    fentanyl_related : str
        ``"yes"``, ``"parent"``, ``"no"`` or empty.
    verification : str
        How well name and structure were checked: ``"verified"``, ``"single-source"``, ``"name only"`` …
    cas_status : str
        How well the CAS number was checked: ``"confirmed(3)"`` (by so many sources), ``"none"`` …
    schedule_note : str
        What the schedule leaves open: ``"proposed"``, ``"verify"`` …
    frs_modifications : str
        Sites of 21 CFR 1308.11(h)(30)(i) that differ from fentanyl: ``"D+E"``.
    repeat_unit : str
        Repeat unit of a polymer as SMILES with open ends.
    structure_origin : str
        Where the structure comes from.
    """

    slug: str
    name: str
    synonyms: tuple[str, ...] = ()
    cas: str = ""
    inchikey: str = ""
    smiles: str = ""
    formula: str = ""
    category: str = ""
    schedule: str = ""
    hazards: tuple[str, ...] = ()
    salt_forms: tuple[str, ...] = ()
    fentanyl_related: str = ""
    verification: str = ""
    cas_status: str = ""
    schedule_note: str = ""
    frs_modifications: str = ""
    repeat_unit: str = ""
    structure_origin: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form; what is not known is left out."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {k: list(v) if isinstance(v, tuple) else v for k, v in pairs if v}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Compound:
        """Inverse of `to_dict`; keys of a newer version are ignored."""
        known: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v
            for k, v in data.items()
            if k in cls.__dataclass_fields__
        }
        return cls(**known)


@dataclass(frozen=True, slots=True)
class ReferenceInfo:
    """All about one reference except its values.

    Attributes
    ----------
    id : str
        Stable identity: compound, form, technique and the start of the spectrum's SHA-256.
    compound_slug : str
        The compound it is a spectrum of.
    form : str
        Salt, hydrate or polymorph where it is not the compound as such (``"monohydrate"``), else empty.
    technique : Technique
        How it was measured (or for what technique it was computed).
    tier : Tier
        What it rests on.
    source : str
        Where it comes from.
    licence : str
        Terms under which it may be used.
    url, citation : str
        Where to look it up.
    range_cm1 : tuple of float
        Lowest and highest axis value of the native spectrum in cm⁻¹.
    n_points : int
        Points of the native spectrum.
    resolution_cm1 : float or None
        Spectral resolution in cm⁻¹.
    laser_nm : float or None
        Excitation wavelength in nm.
    quality : float or None
        For a reference that models a measurement (fitted bands): correlation of its derivative spectrum with
        the measurement's, -1 … 1. ``None`` where nothing of the kind applies.
    spectrum_sha256 : str
        Identity of the native spectrum.
    """

    id: str
    compound_slug: str
    form: str
    technique: Technique
    tier: Tier
    source: str
    licence: str
    url: str
    citation: str
    range_cm1: tuple[float, float]
    n_points: int
    resolution_cm1: float | None
    laser_nm: float | None
    quality: float | None
    spectrum_sha256: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference with its native spectrum.

    Attributes
    ----------
    info : ReferenceInfo
        What and whence.
    spectrum : Spectrum
        The spectrum as it was added, value for value.
    """

    info: ReferenceInfo
    spectrum: Spectrum


@dataclass(frozen=True, slots=True)
class Fitness:
    """How often a tier's references find the right substance, measured on real spectra of known substances.

    Attributes
    ----------
    tier : Tier
        Tier of the references searched.
    technique : str
        ``"raman"`` or ``"infrared"``.
    group : str
        Which queries: ``"all"``, or a part of them (``"drugs"``).
    queries, substances : int
        Spectra asked about, and the substances they are of.
    candidates : int
        Substances among which the right one was looked for.
    top1, top5, top10 : tuple of float
        Share of the queries whose substance was first, among the first five and among the first ten, 0 … 1:
        value, and lower and upper bound of its 95 % interval.
    median_rank : tuple of float
        Median rank of the right substance, with its 95 % interval.
    evaluated : str
        How it was kept from flattering itself: ``"cross-validated by compound"`` …
    source : str
        The command that gives these figures.
    """

    tier: Tier
    technique: str
    group: str
    queries: int
    substances: int
    candidates: int
    top1: tuple[float, float, float]
    top5: tuple[float, float, float]
    top10: tuple[float, float, float]
    median_rank: tuple[float, float, float]
    evaluated: str
    source: str

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {k: list(v) if isinstance(v, tuple) else v for k, v in pairs} | {"tier": self.tier.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Fitness:
        """Inverse of `to_dict`; keys of a newer version are ignored.

        Raises
        ------
        ParameterError
            If the tier is unknown, or a figure is missing or no three numbers.
        """
        try:
            known: dict[str, Any] = {name: data[name] for name in cls.__dataclass_fields__}
            for name in ("top1", "top5", "top10", "median_rank"):
                value, low, high = map(float, known[name])
                known[name] = (value, low, high)
        except (KeyError, TypeError, ValueError) as error:
            raise ParameterError("fitness", data, f"complete ({error})") from None
        return cls(**known | {"tier": Tier.parse(known["tier"])})
