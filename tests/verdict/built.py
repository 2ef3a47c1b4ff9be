"""Identifications and verdicts put together by hand, so that a table of cases says exactly what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spectralid.identify import Analysis, Component, Identification
from spectralid.identify.checks import BandAgreement, UnexplainedBand
from spectralid.identify.confidence import ComponentConfidence, Confidence
from spectralid.identify.quality import SignalQuality
from spectralid.library import ReferenceLibrary, Tier
from spectralid.spectrum import Technique
from spectralid.verdict import Alarm, Verdict, VerdictKind, default_policy
from spectralid.verdict.alarm import worst
from spectralid.verdict.catalog import Catalog
from spectralid.verdict.hazards import alarm_of, cautions, said

QUALITY = SignalQuality(1.0, 100.0, 1000.0, 100.0, 0, (150.0, 3200.0), 0.0, (), ())
BANDS = BandAgreement((1000.0, 1200.0), (1.0, 1.0), (0.1, 0.1), (), 0.5, 10.0)
EVIDENCE = ("verdict", "evidence")


def catalog(language: str = "en") -> Catalog:
    return Catalog.load(language, topics=EVIDENCE)


def component(
    library: ReferenceLibrary, slug: str, share: float, *, form: str = "", equivalent: Sequence[str] = ()
) -> Component:
    return Component(
        reference_id=f"ref-{slug}",
        compound_slug=slug,
        compound_name=library.compound(slug).name,
        form=form,
        tier=Tier.MEASURED,
        share=share,
        share_low=share * 0.9,
        share_high=min(1.0, share * 1.1),
        probability=0.99,
        equivalent=tuple(equivalent),
        gain=100.0,
        rivals=(),
        bands=BANDS,
        holds=True,
    )


def scanned(
    library: ReferenceLibrary,
    kind: VerdictKind = VerdictKind.IDENTIFIED,
    named: Sequence[str] = (),
    beside: Sequence[str] = (),
    *,
    equivalent: Sequence[str] = (),
    families: Sequence[str] = (),
    unexplained: bool = False,
    form: str = "",
    shares: Mapping[str, float] | None = None,
    technique: Technique = Technique.RAMAN,
    language: str = "en",
) -> tuple[Identification, Verdict]:
    """One scan and its verdict.

    Parameters
    ----------
    library : ReferenceLibrary
        Whose compounds.
    kind : VerdictKind
        What was concluded.
    named : sequence of str
        Slugs the verdict names, or leaves to choose between.
    beside : sequence of str
        Slugs of components it does not name: container, or what is not certain.
    equivalent : sequence of str
        What the first one cannot be told from.
    families : sequence of str
        Families whose alarm was raised.
    unexplained : bool
        Whether a band is not accounted for.
    form : str
        Form of the references.
    shares : mapping of str to float
        Smallest detectable share of each family.
    """
    slugs = [*named, *beside]
    parts = tuple(
        component(library, s, 1 / len(slugs), form=form, equivalent=equivalent if n == 0 else ())
        for n, s in enumerate(slugs)
    )
    sure = tuple(
        ComponentConfidence(c.compound_slug, c.equivalent, 0.99, (c.compound_slug,), True, ()) for c in parts
    )
    analysis = Analysis(
        spectrum_sha256="a" * 64,
        library_sha256=library.sha256,
        method="test",
        instrument="test",
        components=parts,
        log_odds=100.0,
        nothing=0.0,
        shift_cm1=0.0,
        unexplained=(UnexplainedBand(777.0, 0.2, 9.0),) if unexplained else (),
        strongest_unexplained_z=9.0 if unexplained else 1.0,
        smallest_shares=shares or {},
    )
    identification = Identification(
        spectrum_sha256="a" * 64,
        spectrum_name="scan",
        technique=technique,
        library_name=library.name,
        library_version=library.version,
        library_sha256=library.sha256,
        method="test",
        candidates=(),
        not_comparable=(),
        n_references=10,
        quality=QUALITY,
        analysis=None if kind is VerdictKind.POOR_SIGNAL else analysis,
        confidence=Confidence(
            "b" * 64, "c" * 64, "1", "raman/*/*", sure, 0.9, 0.05, 0.05, 0.05, (), tuple(families), ()
        ),
    )
    compounds = [library.compound(s) for s in (*named, *equivalent)]
    unknown = kind in (
        VerdictKind.NO_MATCH,
        VerdictKind.INCONCLUSIVE,
        VerdictKind.POOR_SIGNAL,
        VerdictKind.FAMILY,
    )
    policy = default_policy()
    alarms = [alarm_of(c, policy) for c in compounds] + ([Alarm.UNKNOWN] if unknown else [])
    alarm = worst(alarms)
    keys = cautions(compounds, unknown=unknown, policy=policy)
    verdict = Verdict(
        kind=kind,
        alarm=alarm,
        headline=" + ".join(c.name for c in compounds) or kind.value,
        words=f"It is {kind.value}.",
        precautions=said(keys, catalog(language)),
        cautions=keys,
        not_excluded=(),
        evidence=(),
        escalate=alarm is not Alarm.NOTICE,
        reasons=(),
        named=(*named, *equivalent),
        language=language,
        escalation=("policy_high_hazard",) if alarm is not Alarm.NOTICE else (),
    )
    return identification, verdict
