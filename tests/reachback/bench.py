"""For tests of the library loop: substances with spectra of their own, libraries of them, scans."""

from __future__ import annotations

import itertools

import numpy as np

from spectralid import LibraryBuilder, Spectrum
from spectralid.casework.compose import instrument_facts, spectrum_blobs, spectrum_entry
from spectralid.library import Compound, ReferenceLibrary, Tier
from spectralid.reachback.lab import laboratory
from spectralid.spectrum import Acquisition

AXIS = np.arange(180.0, 2600.0, 3.0)
SUBSTANCES = tuple(f"substance-{letter}" for letter in "abcdefgh")
PASSED = {"id": "P-1", "time": "2026-11-22T08:00:00Z", "passed": True, "limits_version": "1"}
_seeds = itertools.count(1000)


def bands_of(slug):
    """Positions, heights and widths that are the substance's own."""
    draw = np.random.default_rng(list(slug.encode()))
    count = 14
    return draw.uniform(250, 2000, count), draw.uniform(0.2, 1.0, count), draw.uniform(5, 9, count)


def spectrum(slug, *, noise=0.002, seed=None, technique="raman", low=180.0, **facts):
    """A measurement of a substance, with noise and a background of its own."""
    draw = np.random.default_rng(next(_seeds) if seed is None else seed)
    values = np.zeros_like(AXIS)
    for position, height, width in zip(*bands_of(slug), strict=True):
        values += height * np.exp(-0.5 * ((AXIS - position) / width) ** 2)
    background = draw.uniform(0.1, 0.6) * np.exp(-(((AXIS - draw.uniform(400, 1800)) / 1200) ** 2))
    kept = low <= AXIS
    counts = 1000 * (values + background + draw.normal(0, noise, AXIS.size))
    known = {"instrument": "Maker Handheld", "serial": "S-77", "operator": "Jane Doe", "laser_nm": 785.0}
    given = Acquisition(**{**known, "metadata": {"User": "Jane Doe"}, **facts})
    return Spectrum(AXIS[kept], counts[kept], technique=technique, unit="counts", acquisition=given)


def compound(slug, **facts):
    return Compound(slug, slug.replace("-", " ").title(), category="test/one", **facts)


def build(path, entries, *, name="agency", version="1"):
    """A library with a reference for each (slug, seed, or spectrum)."""
    builder = LibraryBuilder(name, version=version, created="2026-11-01")
    for slug, what in entries:
        given = what if isinstance(what, Spectrum) else spectrum(slug, seed=what)
        if slug not in builder._compounds:
            builder.add_compound(compound(slug))
        builder.add(given, slug, tier=Tier.MEASURED, source="agency", licence="agency use only")
    builder.write(path)
    return ReferenceLibrary(path)


def scan(desk, slug, *, seizure="S-1", item="I-1", measured=None, told=None, ipv=None, tablet=None):
    """A case with one more scan; ``told`` is what the field's own result names."""
    measured = measured or spectrum(slug)
    blobs = spectrum_blobs(measured)
    named = [slug] if told is None else list(told)
    result = {
        "decision": "identified" if named else "no_match",
        "engine": {"version": "0"},
        "library": {"name": "agency", "version": "1"},
        "components": [{"slug": one} for one in named],
        "families": [],
        "verdict": {"kind": "identified" if named else "no_match", "alarm": "notice"},
    }
    raw = (tablet or desk.tablet).make(
        "scan", seizure, item, blobs, instrument=instrument_facts(measured),
        spectra=[spectrum_entry(measured, blobs)], result=result,
        ipv=PASSED if ipv is None else ipv,
    )  # fmt: skip
    return desk.ingest(raw)


def confirm(desk, case_id, *slugs, result="confirmed", item="I-1", by="lena"):
    """A laboratory reports on an item of a case."""
    return laboratory.record(
        desk.db, desk.keys, case_id, result=result, substances=slugs, laboratory="Regional 1",
        stage="regional", sample_ref=f"L-{case_id}-{item}", by=by, now=desk.time, item_ref=item,
    )  # fmt: skip
