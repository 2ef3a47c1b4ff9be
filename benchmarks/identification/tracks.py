"""The simulated tracks: which scans are made, what every method says of them, and what that amounts to.

Substances are those of `generator.py`; every query is of test substances (`splits.py`), on a unit drawn anew.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import generator
import labelled
import numpy as np
import power
import splits
from baselines import Baselines, Said

from spectralid import LibraryBuilder, Spectrum, Technique, open_library
from spectralid.identify import Analysis, Identification, Identifier, InstrumentModel
from spectralid.identify.analysis import Analyser
from spectralid.identify.families import FAMILIES, family_of
from spectralid.identify.family_model import FamilyModel
from spectralid.identify.mismatch import Mismatch
from spectralid.identify.references import ReferenceSet
from spectralid.identify.selection import ShiftPrior
from spectralid.library import Compound, ReferenceLibrary, Tier
from spectralid.verdict import decide, default_policy
from spectralid.verdict.naming import findings, raised

LIBRARY_SHARE = 0.75
SEED = 20261122
OURS, EXPLAINED, DETECTED = "spectralid", "spectralid, explained", "spectralid, detected"
"""What the verdict names, what the joint fit holds where the library explains the whole spectrum, and what
it holds where there are odds for it."""
EACH = (OURS, EXPLAINED, DETECTED)
PHOTONS = "photons alone"
OTHER_MODELS = {
    PHOTONS: "spectralid, detected, told that photons alone differ",
    "real mismatch": "spectralid, detected, instrument not characterised",
}
"""Track E: the joint fit with another instrument model than that of the simulated units."""
# Photons alone: reference and scan are of one grain on one unit.
_ALIKE = Mismatch(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), ShiftPrior(sd_cm1=0.1, wide_cm1=1.0, share=0.01)
WATCHED = tuple(f for f in FAMILIES if f != "sugar or polyol")
FENTANYL = "fentanyl-related"
CUTTING = ("adulterant/", "cutting-agent/")
E_LEVELS = (0.0, 0.5, 0.71, 1.0, 1.41, 2.0, 2.83, 4.0, 5.7, 8.0, 11.3, 16.0)
E3_LEVELS = (0.02, 0.05, 0.07, 0.10, 0.20, 0.90)
_DIM = 5e4


@dataclass(frozen=True)
class Query:
    """One scan to be made and what is known of it.

    Attributes
    ----------
    track, group : str
        Where it is counted.
    scan : callable
        Makes it.
    library : str
        Library it is put to.
    true : mapping of str to float
        Substances of the library in it, with their shares.
    known : bool
        Whether nothing but these is in it.
    family : str
        Watched family in it, the library's members and others.
    target, pair, x, x_library, oracle
        Track E: what is looked for, which pair of substances, its share over the limits of the oracle and of
        the best linear use of the library, the oracle.
    reach : bool
        Whether to work out with which probability the oracles would detect the target (E3).
    compare : str
        Which baselines look at it too: ``"all"``, ``"mixtures"`` (those that unmix) or none.
    infrared : bool
        Whether it is infrared.
    """

    track: str
    group: str
    scan: Callable[[], Spectrum]
    library: str
    true: Mapping[str, float]
    known: bool = True
    family: str = ""
    target: str = ""
    pair: str = ""
    x: float = 0.0
    x_library: float = 0.0
    oracle: power.Oracle | None = None
    reach: bool = False
    compare: str = "all"
    infrared: bool = False


@dataclass
class Answer:
    """What was said of one query.

    Attributes
    ----------
    query : Query
        The query.
    said : mapping of str to Said
        What each method says.
    kind : str
        Kind of the verdict.
    alarms : set of str
        Watched families the verdict warns of.
    detected, by_model, stated : mapping of str to float
        Families in the joint fit with the standard deviations of their amount, those the family model speaks
        for with its log ratio, and the calibrated probability of each.
    """

    query: Query
    said: dict[str, Said] = field(default_factory=dict)
    kind: str = ""
    alarms: set[str] = field(default_factory=set)
    detected: dict[str, float] = field(default_factory=dict)
    by_model: dict[str, float] = field(default_factory=dict)
    stated: dict[str, float] = field(default_factory=dict)
    log_odds: float = -1e9
    nothing: float = 1.0
    explained: bool = False
    unexplained: tuple[float, ...] = ()
    components: tuple[tuple[str, float, float, float], ...] = ()
    limits: dict[str, float] = field(default_factory=dict)
    oracle_detects: bool = False
    power: float = 0.0
    power_library: float = 0.0
    seconds: float = 0.0
    sha256: str = ""


@dataclass(frozen=True)
class World:
    """Substances in the library and substances that are not; libraries' files."""

    inside: list[generator.Substance]
    outside: list[generator.Substance]
    path: Path
    exact: Path
    good: generator.Unit

    def test(self, *, inside: bool = True) -> list[generator.Substance]:
        """Test substances of either kind."""
        return [s for s in (self.inside if inside else self.outside) if splits.part(s.slug) == "test"]


def compound(substance: generator.Substance) -> Compound:
    """Compound of a simulated substance."""
    return Compound(
        substance.slug,
        substance.slug,
        category=substance.family,
        fentanyl_related="yes" if substance.fentanyl else "no",
    )


def family(substance: generator.Substance) -> str:
    """Family of a simulated substance."""
    return family_of(compound(substance))


def build(
    path: Path,
    inside: Sequence[generator.Substance],
    good: generator.Unit,
    rng: np.random.Generator,
    *,
    peak_counts: float = 2e5,
    spread: generator.Spread | None = None,
    scans: int = 1,
) -> Path:
    """Write a library of `scans` scans of each substance by one good unit."""
    builder = LibraryBuilder(path.stem, version="1", created="2026-11-22", recipe="benchmarks/identification")
    for lot in range(scans):
        for substance in inside:
            builder.add(
                generator.scan(
                    [(substance, 1.0)], good, rng, peak_counts=peak_counts, fluorescence=0.1, spread=spread
                ),
                compound(substance),
                tier=Tier.MEASURED,
                form=f"lot {lot + 1}" if scans > 1 else "",
                source="simulated",
                licence="none",
            )
    builder.write(path)
    return path


def world(folder: Path) -> World:
    """Scan three quarters of all substances with one good unit and build libraries of them.

    One holds a grain of each as that unit sees it; the other has neither grains nor noise to speak of.
    """
    everything = generator.substances()
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(everything))
    n = round(LIBRARY_SHARE * len(everything))
    inside = [everything[i] for i in order[:n]]
    good = generator.unit(rng, axis_sd=0.3, response_sd=0.05)
    path = build(folder / "simulated.h5", inside, good, rng)
    exact = build(folder / "exact.h5", inside, good, rng, peak_counts=2e6, spread=power.EXACT)
    return World(inside, [everything[i] for i in order[n:]], path, exact, good)


def shares(rng: np.random.Generator, n: int, least: float = 0.1) -> np.ndarray:
    """Shares of at least `least` that add up to 1, evenly over all such."""
    return least + (1 - n * least) * rng.dirichlet(np.ones(n))


class Maker:
    """Makes the queries of the simulated tracks, each from its own stream of chance."""

    def __init__(self, w: World, scale: float) -> None:
        self.w = w
        self.scale = scale
        self.held = {s.slug for s in w.inside}
        self.inside, self.outside = w.test(), w.test(inside=False)
        self.agents = [s for s in self.inside if s.family.startswith(CUTTING)]
        self.plain = [s for s in self.inside if family(s) not in WATCHED]

    def streams(self, track: str) -> Iterator[np.random.Generator]:
        """Streams of chance of one track: the same whatever else is run."""
        seed = np.random.SeedSequence([SEED, *track.encode()])
        while True:
            yield np.random.default_rng(seed.spawn(1)[0])

    def number(self, full: int) -> int:
        """How many at this scale."""
        return max(2, round(full * self.scale))

    def query(
        self,
        track: str,
        group: str,
        parts: Sequence[tuple[generator.Substance, float]],
        rng: np.random.Generator,
        *,
        peak_counts: float = 20_000.0,
        compare: str = "all",
    ) -> Query:
        """A scan of `parts` on a unit drawn anew."""
        slugs = {s.slug for s, _ in parts}
        watched = [family(s) for s, _ in parts if family(s) in WATCHED]
        return Query(
            track,
            group,
            partial(generator.scan, parts, generator.unit(rng), rng, peak_counts=peak_counts, name=track),
            str(self.w.path),
            {s.slug: float(c) for s, c in parts if s.slug in self.held},
            slugs <= self.held,
            watched[0] if watched else "",
            compare=compare,
        )

    def pure(self) -> Iterator[Query]:
        """A: pure substances, evenly over all test substances of the library."""
        streams = self.streams("A")
        order = np.random.default_rng(SEED).permutation(len(self.inside))
        for i in range(self.number(250)):
            yield self.query("A", "simulated", [(self.inside[order[i % order.size]], 1.0)], next(streams))

    def screening(self) -> Iterator[Query]:
        """B: watched families at a fifth and more of a mixture, and mixtures without any."""
        streams = self.streams("B")
        for name in WATCHED:
            members = [s for s in self.inside if family(s) == name]
            for i in range(self.number(25)) if members else ():
                rng = next(streams)
                main = members[i % len(members)]
                share, more = rng.uniform(0.2, 1.0), int(rng.integers(0, 3))
                parts = [(main, share if more else 1.0)]
                rest = (1 - share) * rng.dirichlet(np.ones(more)) if more else ()
                parts += list(zip(self.draw(rng, self.agents, more), rest, strict=True))
                yield self.query("B", "watched", parts, rng)
        for i in range(self.number(3000)):
            rng = next(streams)
            n = int(rng.integers(1, 4))
            parts = list(zip(self.draw(rng, self.plain, n), shares(rng, n), strict=True))
            yield self.query("B", "nothing watched", parts, rng, compare="" if i % 6 else "all")

    def mixtures(self) -> Iterator[Query]:
        """E2: two, three and four substances of a tenth or more."""
        streams = self.streams("E2")
        for n in (2, 3, 4):
            for _ in range(self.number(80)):
                rng = next(streams)
                parts = list(zip(self.draw(rng, self.inside, n), shares(rng, n), strict=True))
                yield self.query("E2", f"{n} substances", parts, rng)

    def open_set(self) -> Iterator[Query]:
        """F: substances no library holds, alone and beside one it holds."""
        streams = self.streams("F")
        for _ in range(self.number(80)):
            rng = next(streams)
            yield self.query("F", "in the library", [(self.draw(rng, self.inside, 1)[0], 1.0)], rng)
        order = np.random.default_rng(SEED).permutation(len(self.outside))
        for i in range(self.number(120)):
            unknown = self.outside[order[i % order.size]]
            yield self.query("F", "unknown alone", [(unknown, 1.0)], next(streams))
        for i in range(self.number(120)):
            rng = next(streams)
            a, b = shares(rng, 2)
            parts = [(self.draw(rng, self.inside, 1)[0], a), (self.outside[order[i % order.size]], b)]
            yield self.query("F", "unknown in a mixture", parts, rng)

    def limits(self) -> Iterator[Query]:
        """E: a target in a matrix around the oracle's limit, photons alone and with real mismatch."""
        for group, spread in zip(OTHER_MODELS, (power.EXACT, generator.Spread()), strict=True):
            streams = self.streams("E " + group)
            exact = spread == power.EXACT
            watched = [s for s in self.inside if family(s) in WATCHED]
            for i in range(self.number(24)):
                rng = next(streams)
                target = watched[i * 7 % len(watched)] if i % 2 else self.draw(rng, self.inside, 1)[0]
                matrix = self.draw(rng, [a for a in self.agents if a.slug != target.slug], 1)[0]
                unit = self.w.good if exact else generator.unit(rng)
                how = {"spread": spread, "peak_counts": 20_000.0, "fluorescence": 0.5}
                best = power.oracle(target, matrix, unit, **how)
                library = best if exact else power.oracle(target, matrix, unit, from_library=True, **how)
                for x in E_LEVELS:
                    share = x * best.lod90
                    if share > 0.8:
                        continue
                    parts = [(matrix, 1 - share), *([(target, share)] if x else [])]
                    chance = np.random.default_rng(rng.integers(2**63))
                    yield Query(
                        "E",
                        group,
                        partial(generator.scan, parts, unit, chance, spread=spread, name=f"E {group}"),
                        str(self.w.exact if exact else self.w.path),
                        {s.slug: float(c) for s, c in parts},
                        target=target.slug,
                        pair=f"{target.slug} in {matrix.slug}",
                        x=x,
                        x_library=share / library.lod90,
                        oracle=best,
                        compare="mixtures",
                    )

    def fentanyl(self) -> Iterator[Query]:
        """E3: one member of the fentanyl family in a cutting agent."""
        streams = self.streams("E3")
        members = [s for s in self.inside if s.fentanyl]
        for level in (0.0, *E3_LEVELS):
            for i in range(self.number(48)):
                rng = next(streams)
                matrix, drug = self.agents[i % len(self.agents)], members[i % len(members)]
                unit = generator.unit(rng)
                parts = [(matrix, 1 - level), *([(drug, level)] if level else [])]
                yield Query(
                    "E3",
                    f"{level:.0%}",
                    partial(generator.scan, parts, unit, rng, peak_counts=_DIM, name="E3"),
                    str(self.w.path),
                    {s.slug: float(c) for s, c in parts},
                    family=FENTANYL if level else "",
                    target=drug.slug,
                    pair=f"{drug.slug} in {matrix.slug}",
                    reach=level > 0,
                )

    def triage(self) -> Iterator[Query]:
        """H: street samples with a member of the fentanyl family at 3 to 90 %, one to three other things."""
        streams = self.streams("H")
        members = [s for s in self.inside if s.fentanyl]
        for i in range(self.number(90)):
            rng = next(streams)
            share = float(np.exp(rng.uniform(np.log(0.03), np.log(0.9))))
            n = int(rng.integers(1, 4))
            rest = (1 - share) * rng.dirichlet(np.ones(n))
            parts = [
                (members[i % len(members)], share),
                *zip(self.draw(rng, self.agents, n), rest, strict=True),
            ]
            yield self.query("H", "with fentanyl", parts, rng, compare="")
        for _ in range(self.number(140)):
            rng = next(streams)
            n = int(rng.integers(1, 4))
            parts = list(zip(self.draw(rng, self.inside, n), shares(rng, n, 0.05), strict=True))
            kind = "other watched" if any(family(s) in WATCHED for s, _ in parts) else "nothing watched"
            if not any(s.fentanyl for s, _ in parts):
                yield self.query("H", kind, parts, rng, compare="")

    @staticmethod
    def draw(
        rng: np.random.Generator, pool: Sequence[generator.Substance], n: int
    ) -> list[generator.Substance]:
        """Draw `n` different ones."""
        return [pool[i] for i in rng.choice(len(pool), n, replace=False)]


SIMULATED: Mapping[str, str] = {
    "A": "pure", "B": "screening", "E": "limits", "E2": "mixtures", "E3": "fentanyl", "F": "open_set",
    "H": "triage",
}  # fmt: skip

_ENGINES: dict[str, tuple[Identifier, dict[str, str]]] = {}
_BASELINES: dict[tuple[str, str, bool], Baselines] = {}


def train(path: str, technique: Technique = Technique.RAMAN) -> None:
    """Learn the families of a library and keep the model beside it, where the engine finds it."""
    with open_library(path) as library:
        FamilyModel.of(library, technique)


def instruments(library: ReferenceLibrary) -> tuple[InstrumentModel, ...]:
    """Models for scans put to a library.

    Simulated units have been characterised, as a user's are (`characterise.py`); nobody's others have.
    """
    return labelled.instruments() if library.name in ("simulated", "exact", "speed") else ()


def engine(path: str) -> tuple[Identifier, dict[str, str]]:
    """Engine of a library and the family of each of its compounds; kept by each process."""
    if path not in _ENGINES:
        library = open_library(path)
        identifier = Identifier(library, instruments=instruments(library))
        _ENGINES[path] = identifier, {c.slug: family_of(c) for c in library.compounds}
    return _ENGINES[path]


@cache
def other_model(path: str, exact: bool) -> Analyser:
    """The joint fit of an instrument that is known not to differ, or of any instrument."""
    library = open_library(path)
    any_one = Analyser(library, ReferenceSet.from_library(library, Technique.RAMAN))
    if not exact:
        return any_one
    model = replace(any_one.instrument, name="one unit and grain", mismatch=_ALIKE[0], prior=_ALIKE[1])
    return Analyser(library, any_one.references, model)


def baselines(path: str, technique: Technique, which: str) -> Baselines:
    """Baselines of a library, kept; prepared before processes are forked they are shared by all."""
    key = (path, which, technique.is_infrared)
    if key not in _BASELINES:
        _BASELINES[key] = Baselines(open_library(path), technique, unmixing_only=which == "mixtures")
    return _BASELINES[key]


def families_of(analysis: Analysis, of_slug: Mapping[str, str]) -> dict[str, float]:
    """Families in an explanation that has the odds for it, with standard deviations of their amount."""
    if (analysis.log_odds or 0.0) <= 0:
        return {}
    found: dict[str, float] = {}
    for c in analysis.components:
        name = of_slug.get(c.compound_slug, "")
        if name:
            sd = (c.share_high - c.share_low) / (2 * 1.96)
            found[name] = max(found.get(name, 0.0), c.share / max(sd, 1e-3))
    return found


def answer(query: Query) -> Answer:
    """Run the engine and the baselines on one query."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    spectrum = query.scan()
    identifier, of_slug = engine(query.library)
    started = time.process_time()
    found = identifier.identify(spectrum)
    out = Answer(query, seconds=time.process_time() - started, sha256=spectrum.sha256)
    fill(out, found, identifier.library, of_slug)
    if query.oracle is not None:
        out.oracle_detects = query.oracle.detects(spectrum.intensity)
        analysis = other_model(query.library, query.group == PHOTONS).analyse(spectrum)
        named = present(analysis, query.true) if (analysis.log_odds or 0.0) > 0 else frozenset()
        out.said[OTHER_MODELS[query.group]] = Said("", named, {})
    if query.reach:
        (matrix, _), (drug, share) = query.scan.args[0]  # type: ignore[attr-defined]
        unit, how = query.scan.args[1], {"spread": generator.Spread(), "fluorescence": 0.5}  # type: ignore[attr-defined]
        peak = query.scan.keywords["peak_counts"]  # type: ignore[attr-defined]
        best, usual = (
            power.oracle(drug, matrix, unit, peak_counts=peak, from_library=f, **how) for f in (False, True)
        )
        out.power, out.power_library = best.power(share), usual.power(share)
    if query.compare:
        out.said.update(baselines(query.library, spectrum.technique, query.compare).all(spectrum))
    return out


def present(analysis: Analysis, true: Collection[str]) -> frozenset[str]:
    """Components of an analysis; of several that cannot be told apart, the one that is there."""
    choices = [(c.compound_slug, *c.equivalent) for c in analysis.components]
    return frozenset(next((s for s in some if s in true), some[0]) for some in choices)


def fill(out: Answer, found: Identification, library: ReferenceLibrary, of_slug: Mapping[str, str]) -> None:
    """Put what an identification says into an answer."""
    verdict = decide(found, library)
    out.kind = verdict.kind.value
    out.by_model = {f.family: f.log_ratio for f in found.families}
    analysis = found.analysis
    if analysis is None or analysis.log_odds is None:
        out.said.update({m: Said("", frozenset(), {}) for m in EACH})
        return
    amounts = {c.compound_slug: c.share for c in analysis.components}
    best = next(iter(amounts), "")
    out.log_odds, out.nothing, out.explained = analysis.log_odds, analysis.nothing, analysis.explained
    out.unexplained = tuple(u.position_cm1 for u in analysis.unexplained)
    out.components = tuple((c.compound_slug, c.share, c.share_low, c.share_high) for c in analysis.components)
    out.limits = dict(analysis.smallest_shares)
    out.detected = families_of(analysis, of_slug)
    out.stated = dict(found.confidence.families) if found.confidence else {}
    named: set[str] = set()
    rules = findings(found, analysis, library, default_policy())
    carriers = () if rules.obstacles else tuple(f for f in rules.carriers if f.certain)
    for finding in (*rules.certain, *carriers):
        choices = [c.slug for c in finding.choices]
        # Several that cannot be told apart are named as such; that is right if one of them is there.
        named.add(next((s for s in choices if s in out.query.true), choices[0]))
    settled = set(verdict.named) if verdict.kind.value in ("identified", "mixture", "family") else set()
    families = {*raised(found, default_policy()), *(of_slug.get(s, "") for s in settled)}
    out.alarms = families & set(WATCHED)
    out.said[OURS] = Said(best, frozenset(named), amounts)
    fitted, nothing = present(analysis, out.query.true), frozenset[str]()
    out.said[EXPLAINED] = Said(best, fitted if analysis.explained else nothing, amounts)
    out.said[DETECTED] = Said(best, fitted if analysis.log_odds > 0 else nothing, amounts)
