"""From one spectrum and one library to a result: candidates ranked, then the joint fit that decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

from threadpoolctl import ThreadpoolController

import spectralid
from spectralid import _bundled
from spectralid.errors import InputError, InvalidSpectrumError, ParameterError, TechniqueError
from spectralid.identify._hits import Hit
from spectralid.identify._size import moderate
from spectralid.identify.analysis import Analyser, Analysis, calibrated_prior
from spectralid.identify.confidence import Confidence, ConfidenceRecord, apply, load_record
from spectralid.identify.families import family_of
from spectralid.identify.family_model import FamilyFinding, FamilyModel
from spectralid.identify.instrument_model import InstrumentModel, instrument_model_for
from spectralid.identify.large import reference_set
from spectralid.identify.leads import Lead, LeadIndex
from spectralid.identify.quality import signal_quality
from spectralid.identify.result import Candidate, Identification
from spectralid.identify.retrieval import RetrievalIndex, SearchResult
from spectralid.identify.selection import ShiftPrior
from spectralid.identify.similarity import DERIVATIVE_WIDTH
from spectralid.library import ReferenceLibrary, Tier
from spectralid.spectrum import IntensityUnit, Spectrum, Technique

if TYPE_CHECKING:
    from spectralid.identify.bench import Bench
    from spectralid.identify.estimation import MismatchEstimate

__all__ = ["METHOD", "Identifier", "analyse", "identify", "retrieve"]

METHOD: Final = f"derivative-cosine/1, window {DERIVATIVE_WIDTH:g} cm⁻¹, spectralid {spectralid.__version__}"

# A verdict weighs the best compound against the next one, so one alone is no basis for it.
_MINIMUM_TOP: Final = 2
# Candidates this close to the best belong to the answer, however few were asked for; wider than any margin
# a verdict asks for.
CLOSE: Final = 0.10

_RATIO: Final = frozenset(
    {IntensityUnit.TRANSMITTANCE, IntensityUnit.PERCENT_TRANSMITTANCE, IntensityUnit.REFLECTANCE}
)
_WORDS: Final = {
    Technique.RAMAN: "Raman",
    Technique.FTIR: "infrared",
    Technique.FTIR_ATR: "infrared",
    Technique.FTIR_TRANSMISSION: "infrared",
}


class Identifier:
    """Identifies spectra against one library, preparing the library's references once.

    Use it for more than one spectrum; `identify` is the same for a single one.

    Parameters
    ----------
    library : ReferenceLibrary
        The library.
    record : ConfidenceRecord, optional
        What calibrates its results; the one that comes with spectralid if not given.
    families : iterable of FamilyModel, optional
        What finds families whose member is in no library, at most one for Raman and one for infrared; those
        kept beside the library (`FamilyModel.of`, ``spectralid library families``) if not given.
    instruments : iterable of InstrumentModel, optional
        What is known of the instrument (`characterise`), at most one model for Raman and one for infrared;
        what holds of any instrument if not given.
    """

    def __init__(
        self,
        library: ReferenceLibrary,
        *,
        record: ConfidenceRecord | None = None,
        families: Iterable[FamilyModel] | None = None,
        instruments: Iterable[InstrumentModel] = (),
    ) -> None:
        self.library = library
        self.instruments = tuple(instruments)
        self._instruments = {model.infrared: model for model in self.instruments}
        self.record = record or bundled_record()
        self.families = kept_models(library) if families is None else tuple(families)
        self._family_models = {m.technique.is_infrared: (m, m.evidencer()) for m in self.families}
        self._indices: dict[bool, RetrievalIndex | None] = {}
        self._lead_indices: dict[bool, LeadIndex | None] = {}
        self._analysers: dict[bool, Analyser] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # What was prepared is prepared again where it arrives.
        return _made, (self.library, self.record, self.families, self.instruments)

    def identify(
        self,
        spectrum: Spectrum,
        *,
        context: Mapping[str, str] | None = None,
        top: int = 10,
        leads: bool = False,
        prior: ShiftPrior | None = None,
    ) -> Identification:
        """See `identify`."""
        ranked, query = self._ranked(spectrum, context or {}, top, leads=leads)
        if not ranked.candidates:
            return ranked
        analysis = self._joint_fit(query, spectrum, prior, ranked.assumptions)
        assumptions = ranked.assumptions
        confidence = self._confidence(analysis, query.technique, ranked.context)
        if confidence is None:
            assumptions += (
                "There is no calibration for this version of the joint fit; its probabilities are not "
                "calibrated.",
            )
        if query.technique is Technique.RAMAN:
            assumptions += (
                "The ranking took the Raman shift axis as the file or instrument gives it; the joint fit "
                f"allowed for an error of it and found {analysis.shift_cm1:+.1f} cm⁻¹.",
            )
        if self._is_without_its_families(query.technique):
            assumptions += (
                "What was learnt of families for this library is damaged, or of another library or version "
                "of spectralid; unknown members of families were not looked for. Learn it again.",
            )
        return replace(
            ranked,
            analysis=analysis,
            confidence=confidence,
            families=self._family_findings(query, analysis),
            assumptions=assumptions,
        )

    def _is_without_its_families(self, technique: Technique) -> bool:
        """Whether a family model lies beside the library that is of no use to it."""
        unused = technique.is_infrared not in self._family_models
        return unused and FamilyModel.place(self.library, technique).exists()

    def retrieve(
        self,
        spectrum: Spectrum,
        *,
        context: Mapping[str, str] | None = None,
        top: int = 10,
        leads: bool = False,
    ) -> Identification:
        """See `retrieve`."""
        return self._ranked(spectrum, context or {}, top, leads=leads)[0]

    def analyse(self, spectrum: Spectrum, *, prior: ShiftPrior | None = None) -> Analysis:
        """See `analyse`."""
        assumptions: list[str] = []
        query = self._comparable(spectrum, assumptions)
        if not self._index(query.technique):
            raise TechniqueError(
                f"The library {self.library.name!r} holds computed {_WORDS[query.technique]} references "
                "only; they give leads and explain nothing. Import measured ones."
            )
        return self._joint_fit(query, spectrum, prior, assumptions)

    def bench(
        self, spectrum: Spectrum, *, prior: ShiftPrior | None = None, analysis: Analysis | None = None
    ) -> Bench:
        """The spectrum on the bench, for fits by hand (`spectralid.identify.bench`).

        Parameters
        ----------
        spectrum, prior
            As for `analyse`.
        analysis : Analysis, optional
            What `analyse` or `identify` found with the same, if that was asked before.

        Raises
        ------
        TechniqueError, InvalidSpectrumError, InputError
            As `analyse`.
        """
        from spectralid.identify.bench import Bench

        analysis = analysis or self.analyse(spectrum, prior=prior)
        query = self._comparable(spectrum, [])
        analyser = self._analyser(query.technique)
        with self._threads.limit(limits=1, user_api="blas"):
            taken = prior or calibrated_prior(query) or analyser.instrument.prior
            return Bench(analyser, query, analysis, taken)

    def _ranked(
        self, spectrum: Spectrum, context: Mapping[str, str], top: int, *, leads: bool
    ) -> tuple[Identification, Spectrum]:
        """The result as far as ranking goes, and the spectrum as it was compared."""
        if top < _MINIMUM_TOP:
            raise ParameterError(
                "top", top, f"at least {_MINIMUM_TOP}, because the best is judged against the next"
            )
        assumptions: list[str] = []
        measured = self._of_a_kind(spectrum, assumptions)
        query = moderate(measured)[0]
        # However few were asked for: what is as close as this to the best may be the dangerous one.
        index = self._index(query.technique)
        if index:
            result = index.search_compounds(query, top, within=CLOSE)
        else:
            result = SearchResult(hits=(), not_comparable=(), n_references=0)
            assumptions.append(
                f"The library {self.library.name!r} holds computed {_WORDS[query.technique]} references "
                "only; they give leads and name nothing."
            )
        ranked = Identification(
            spectrum_sha256=spectrum.sha256,
            spectrum_name=spectrum.name,
            technique=query.technique,
            library_name=self.library.name,
            library_version=self.library.version,
            library_sha256=self.library.sha256,
            method=METHOD,
            candidates=tuple(self._candidate(i, hit) for i, hit in enumerate(result.hits, start=1)),
            not_comparable=result.not_comparable,
            n_references=result.n_references,
            quality=signal_quality(measured),
            analysis=None,
            assumptions=tuple(assumptions),
            context=context,
            leads=self._leads(query) if leads else (),
        )
        return ranked, query

    def _joint_fit(
        self, query: Spectrum, original: Spectrum, prior: ShiftPrior | None, assumptions: Sequence[str]
    ) -> Analysis:
        # One thread is faster for one spectrum, and the last bits do not depend on how many there are.
        with self._threads.limit(limits=1, user_api="blas"):
            return self._analyser(query.technique).analyse(
                query, prior=prior, original=original, assumptions=assumptions
            )

    def _analyser(self, technique: Technique) -> Analyser:
        key = technique.is_infrared
        if key not in self._analysers:
            references = reference_set(self.library, technique)
            self._analysers[key] = Analyser(self.library, references, self._instruments.get(key))
        return self._analysers[key]

    def rests_on(self, technique: Technique) -> dict[str, Any]:
        """What results rest on beside spectrum, library and methods, so that they can be repeated.

        Parameters
        ----------
        technique : Technique
            Raman, or any infrared one.

        Returns
        -------
        dict
            JSON-ready: ``instrument_model`` (name and SHA-256), ``family_model`` (SHA-256, or None without
            one), ``confidence_record`` (SHA-256, or None), ``numpy`` and ``scipy`` (versions).
        """
        import numpy
        import scipy

        model = self._instruments.get(technique.is_infrared) or instrument_model_for(technique)
        families = self._family_models.get(technique.is_infrared)
        return {
            "instrument_model": {"name": model.name, "sha256": model.sha256},
            "family_model": families[0].sha256 if families else None,
            "confidence_record": self.record.sha256 if self.record else None,
            "numpy": numpy.__version__,
            "scipy": scipy.__version__,
        }

    def characterise(
        self,
        known: Sequence[tuple[Spectrum, str]],
        name: str,
        *,
        progress: Callable[[int, float], None] | None = None,
    ) -> tuple[InstrumentModel, MismatchEstimate]:
        """Model of the instrument that spectra of known pure substances come from.

        Parameters
        ----------
        known : sequence of (Spectrum, str)
            Spectra of one technique and the slug of each one's compound, at least 8.
        name : str
            Name of the instrument or class of instruments.
        progress : callable, optional
            Called with the number of each step and what it gained, in nats per spectrum.

        Raises
        ------
        ParameterError
            If a compound has no reference of the technique, or there are too few spectra.
        """
        from spectralid.identify.estimation import characterise

        queries = [(self._comparable(spectrum, []), slug) for spectrum, slug in known]
        if len({query.technique.is_infrared for query, _ in queries}) > 1:
            raise ParameterError("known", "Raman and infrared", "spectra of one technique")
        technique = queries[0][0].technique if queries else Technique.RAMAN
        with self._threads.limit(limits=1, user_api="blas"):
            return characterise(self._analyser(technique), queries, name, progress=progress)

    def _confidence(
        self, analysis: Analysis, technique: Technique, context: Mapping[str, str]
    ) -> Confidence | None:
        if self.record is None or self.record.method != analysis.method:
            return None
        return apply(
            analysis,
            self.record,
            technique=technique,
            instrument=context.get("instrument_class", analysis.instrument),
            families=self._family_of,
        )

    def _family_findings(self, query: Spectrum, analysis: Analysis) -> tuple[FamilyFinding, ...]:
        key = query.technique.is_infrared
        if key not in self._family_models:
            return ()
        model, evidencer = self._family_models[key]
        scene = self._analysers[key].scene(query)
        position = {info.id: row for row, info in enumerate(scene.references.rows)}
        rows = [position[c.reference_id] for c in analysis.components]
        with self._threads.limit(limits=1, user_api="blas"):
            explanation = scene.explain(rows, analysis.shift_cm1) if rows else None
            return model.findings(scene, explanation, evidencer=evidencer)

    @cached_property
    def _threads(self) -> ThreadpoolController:
        import scipy.linalg  # noqa: F401 - what is not loaded yet would not be limited.

        return ThreadpoolController()

    @cached_property
    def _family_of(self) -> Mapping[str, str]:
        """Family of each compound that belongs to one."""
        return {c.slug: family for c in self.library.compounds if (family := family_of(c))}

    def _leads(self, query: Spectrum) -> tuple[Lead, ...]:
        key = query.technique.is_infrared
        if key not in self._lead_indices:
            held = self.library.holds(query.technique, Tier.COMPUTED)
            self._lead_indices[key] = LeadIndex.from_library(self.library, query.technique) if held else None
        index = self._lead_indices[key]
        return index.search(query) if index else ()

    def _index(self, technique: Technique) -> RetrievalIndex | None:
        # All infrared references share one grid and one index.
        key = technique.is_infrared
        if key not in self._indices:
            held = self.library.holds(technique)
            self._indices[key] = RetrievalIndex.from_library(self.library, technique) if held else None
        return self._indices[key]

    def _comparable(self, spectrum: Spectrum, assumptions: list[str]) -> Spectrum:
        """The spectrum as it is matched: of a kind with the references, and of a size to compute with."""
        return moderate(self._of_a_kind(spectrum, assumptions))[0]

    def _of_a_kind(self, spectrum: Spectrum, assumptions: list[str]) -> Spectrum:
        """The spectrum with its technique known and in the library, infrared as absorbance."""
        if "peak_table" in spectrum.acquisition.flags:
            raise InvalidSpectrumError(
                f"{_called(spectrum)} is a table of peaks, not a measured curve; it cannot be matched by "
                "shape. Use the full spectrum."
            )
        technique = spectrum.technique
        offered = self.library.techniques
        kinds = {t.is_infrared for t in offered}
        if technique is Technique.UNKNOWN:
            if len(kinds) != 1:
                raise TechniqueError(
                    f"{_called(spectrum)} does not say whether it is Raman or infrared and the library "
                    f"{self.library.name!r} holds both; state the technique."
                )
            technique = offered[0] if len(offered) == 1 else Technique.FTIR
            assumptions.append(
                f"The technique was not stated; it was taken as {_WORDS[technique]}, the only kind in the "
                "library."
            )
            spectrum = spectrum.replace(technique=technique)
        if not any(technique.is_comparable(t) for t in offered):
            raise TechniqueError(
                f"{_called(spectrum)} is {_WORDS[technique]}, but the library {self.library.name!r} holds "
                f"{' and '.join(sorted({_WORDS[t] for t in offered})) or 'nothing'} only; use a library of "
                "that technique."
            )
        return self._absorbance(spectrum, assumptions) if technique.is_infrared else spectrum

    def _absorbance(self, spectrum: Spectrum, assumptions: list[str]) -> Spectrum:
        if spectrum.unit is IntensityUnit.SINGLE_BEAM:
            raise InputError(
                f"{_called(spectrum)} is a single-beam spectrum; divide it by its background before matching."
            )
        if spectrum.technique is Technique.FTIR:
            assumptions.append(
                "How the infrared spectrum was sampled (ATR or transmission) was not stated; relative band "
                "heights may differ from the references'."
            )
        if spectrum.unit in _RATIO:
            from spectralid.preprocess.convert import to_absorbance

            assumptions.append(f"The {spectrum.unit.value.replace('_', ' ')} was converted to absorbance.")
            return to_absorbance(spectrum)
        if spectrum.unit is not IntensityUnit.ABSORBANCE:
            assumptions.append(f"The ordinate ({spectrum.unit.value}) was taken as absorbance.")
        return spectrum

    def _candidate(self, rank: int, hit: Hit) -> Candidate:
        info = hit.reference
        return Candidate(
            rank=rank,
            compound_slug=info.compound_slug,
            compound_name=self.library.compound(info.compound_slug).name,
            reference_id=info.id,
            form=info.form,
            tier=info.tier,
            score=hit.score,
            hqi=_known(hit.hqi),
            overlap_cm1=hit.overlap_cm1,
            reference_share=hit.reference_share,
            query_share=hit.query_share,
            corroboration=_known(hit.corroboration),
        )


def _made(
    library: ReferenceLibrary,
    record: ConfidenceRecord | None,
    families: tuple[FamilyModel, ...],
    instruments: tuple[InstrumentModel, ...],
) -> Identifier:
    return Identifier(library, record=record, families=families, instruments=instruments)


def kept_models(library: ReferenceLibrary) -> tuple[FamilyModel, ...]:
    """The family models kept beside a library."""
    kept = (FamilyModel.kept(library, kind) for kind in (Technique.RAMAN, Technique.FTIR))
    return tuple(model for model in kept if model)


@cache
def bundled_record() -> ConfidenceRecord | None:
    """The record that comes with spectralid; ``None`` where none was built."""
    return load_record() if _bundled.path("libraries", "confidence.json").exists() else None


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _called(spectrum: Spectrum) -> str:
    label = spectrum.name or spectrum.source
    return f"The spectrum {label!r}" if label else "The spectrum"


def identify(
    spectrum: Spectrum,
    library: ReferenceLibrary,
    *,
    context: Mapping[str, str] | None = None,
    top: int = 10,
    leads: bool = False,
    prior: ShiftPrior | None = None,
) -> Identification:
    """What a spectrum is, as far as a library can tell: the joint fit, and the ranking beside it.

    Parameters
    ----------
    spectrum : Spectrum
        As measured: raw Raman counts need no baseline correction; infrared transmittance is converted.
    library : ReferenceLibrary
        Its measured and literature references of the technique take part.
    context : mapping of str to str, optional
        Facts of the scene, like ``instrument_class``, ``declared`` and ``container``, recorded with the
        result.
    top : int
        Compounds to rank, at least 2.
    leads : bool
        Whether to search the computed references too; what is found there is listed apart, for a chemist.
    prior : ShiftPrior, optional
        What is known of the axis. If not given, what the calibration in the spectrum's history says; if there
        is none, what is to be expected of an instrument nobody calibrated.

    Returns
    -------
    Identification
        `spectralid.verdict.decide` says what may be concluded from it.

    Raises
    ------
    TechniqueError
        If the library has no reference of the technique, or the technique is not stated and the library holds
        both kinds.
    InvalidSpectrumError
        If the spectrum is a table of peaks.
    InputError
        If it is a single-beam spectrum.
    ParameterError
        If `top` is below 2.

    See Also
    --------
    identify_many : the same for many spectra, in parallel.
    retrieve : the ranking alone.

    Examples
    --------
    The library's own reference stands for a scan: this shows the use, not how well it works.

    >>> import spectralid
    >>> from spectralid.identify import identify
    >>> library = spectralid.open_library()
    >>> row = next(row for row in library.rows("raman") if row.compound_slug == "acetaminophen")
    >>> spectrum = library.reference(row.id).spectrum
    >>> identification = identify(spectrum, library)
    >>> identification.candidates[0].compound_name
    'Acetaminophen'
    >>> library.close()
    """
    return Identifier(library).identify(spectrum, context=context, top=top, leads=leads, prior=prior)


def retrieve(
    spectrum: Spectrum,
    library: ReferenceLibrary,
    *,
    context: Mapping[str, str] | None = None,
    top: int = 10,
    leads: bool = False,
) -> Identification:
    """Rank the compounds of a library by how like the spectrum they are; nothing is fitted.

    A search in a millisecond, for looking things up. No verdict can be given on it.

    Parameters
    ----------
    spectrum, library, context, top, leads
        As for `identify`.

    Returns
    -------
    Identification
        With candidates and without `analysis`. Scores are likeness, not probabilities.

    Raises
    ------
    TechniqueError, InvalidSpectrumError, InputError, ParameterError
        As `identify`.

    Notes
    -----
    The axis is taken as given and no shift is searched: a free shift per query names wrong substances
    confidently (simulated and seen on real files).

    Examples
    --------
    The library's own reference stands for a scan: this shows the use, not how well it works.

    >>> import spectralid
    >>> from spectralid.identify import retrieve
    >>> library = spectralid.open_library()
    >>> row = next(row for row in library.rows("raman") if row.compound_slug == "acetaminophen")
    >>> spectrum = library.reference(row.id).spectrum
    >>> best = retrieve(spectrum, library, top=3).candidates[0]
    >>> best.compound_slug, round(best.score, 3)
    ('acetaminophen', 1.0)
    >>> library.close()
    """
    return Identifier(library).retrieve(spectrum, context=context, top=top, leads=leads)


def analyse(spectrum: Spectrum, library: ReferenceLibrary, *, prior: ShiftPrior | None = None) -> Analysis:
    """Explain a spectrum by as few references of a library as it takes: the joint fit alone.

    Background, common shift, freedom of the references and amounts are fitted together; nothing is subtracted
    first.

    Parameters
    ----------
    spectrum : Spectrum
        As for `identify`.
    library : ReferenceLibrary
        Measured and literature references of the technique take part.
    prior : ShiftPrior, optional
        What is known of the axis. If not given, what the calibration in the spectrum's history says; if there
        is none, what is to be expected of an instrument nobody calibrated.

    Returns
    -------
    Analysis
        Components with shares and intervals, whether their bands bear them out, bands nothing accounts for,
        and the smallest detectable share of each family.

    Raises
    ------
    TechniqueError, InvalidSpectrumError, InputError
        As `identify`; also if the library holds computed references of the technique only.
    """
    return Identifier(library).analyse(spectrum, prior=prior)
