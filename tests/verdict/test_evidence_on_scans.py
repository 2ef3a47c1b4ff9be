"""From measured references to an assessed item, with nothing put together by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from spectralid.identify import Identification, fuse, identify
from spectralid.library import ReferenceLibrary, open_library
from spectralid.spectrum import FloatArray, Spectrum, Technique
from spectralid.verdict import Declaration, StripTest, Verdict, VerdictKind, assess, decide
from spectralid.verdict.declared import check
from spectralid.verdict.strips import weigh
from tests.verdict.built import catalog


@pytest.fixture(scope="module")
def library() -> ReferenceLibrary:
    return open_library()


def shape(library: ReferenceLibrary, slug: str, technique: Technique) -> FloatArray:
    """A reference on the common grid, its strongest band 1."""
    row = next(n for n, r in enumerate(library.rows(technique)) if r.compound_slug == slug)
    values = np.nan_to_num(np.asarray(library.matrix(technique)[row], dtype=float))
    return np.asarray((values - values.min()) / np.ptp(values))


def scan(
    library: ReferenceLibrary, shares: dict[str, float], technique: Technique = Technique.RAMAN
) -> Spectrum:
    values = sum(share * shape(library, slug, technique) for slug, share in shares.items())
    noise = np.random.default_rng(7).normal(0.0, 0.003, library.grid(technique).size)
    return Spectrum(library.grid(technique), 1000 * (values + noise + 0.2), technique=technique)


def concluded(library: ReferenceLibrary, spectrum: Spectrum) -> tuple[Identification, Verdict]:
    identification = identify(spectrum, library)
    return identification, decide(identification, library)


def test_paracetamol_in_its_bag_declared_by_tariff_with_a_positive_strip(library: ReferenceLibrary) -> None:
    done = concluded(library, scan(library, {"acetaminophen": 1.0, "polypropylene": 0.2}))
    said = catalog()
    as_declared = check(Declaration(tariff="2924.29"), done[1], done[0], library, catalog=said)
    assert done[1].kind in (VerdictKind.IDENTIFIED, VerdictKind.MIXTURE)
    assert (as_declared.outcome, as_declared.codes[0]) == ("consistent", "one-of-a-kind")
    misdeclared = check(Declaration(text="powdered sugar"), done[1], done[0], library, catalog=said)
    assert (misdeclared.outcome, misdeclared.codes[0]) == ("inconsistent", "undeclared")
    strip = weigh(
        StripTest("fentanyl", "BTNX", "7", "2027-01-01", 200.0, 0.5, 240.0, "pos"),
        [done],
        library,
        on=date(2026, 11, 22),
        catalog=said,
    )
    assert strip.conflict
    item = assess([done], strips=[strip], declared=misdeclared, library=library, catalog=said)
    assert len(item.conflicts) == 2
    assert item.escalate
    assert item.alarm.value == "danger"


def test_raman_and_infrared_of_one_item(library: ReferenceLibrary) -> None:
    infrared = next(t for t in library.techniques if t.is_infrared)
    slug = "d-glucose"
    raman, ftir = (concluded(library, scan(library, {slug: 1.0}, t)) for t in (Technique.RAMAN, infrared))
    item = assess([raman, ftir], fusion=fuse(raman[0], ftir[0]), library=library, catalog=catalog())
    assert item.agreement is not None
    assert item.agreement.value in ("fused", "agree")
    assert item.conflicts == ()
    assert all("presumptive" in verdict.words for _, verdict in (raman, ftir))
    assert item.words.count("presumptive") == 1
