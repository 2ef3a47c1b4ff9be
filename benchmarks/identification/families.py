"""Track D: families of substances that are in no library, pure and in mixtures.

    python benchmarks/identification/families.py [--tracks drugs,mixtures,sites,computed,raman] [--out DIR]

Every query's substance is left out of the library, of the model and of everything the model's thresholds come
from, and so is every negative of it, in turn. Members are told by the structure rule stored with each
compound; precursors of fentanyl are negatives. Relatives of fentanyl outside the rule are neither.

*drugs*: one measured infrared spectrum of each of 68 drugs and cutting agents; minerals and plastics as
further negatives. *mixtures*: the same, as sums of altered scans with cutting agents whose own scan is in the
library (a bound, no field figure). *rough*: so too, every band of both changed by some 12 % first. *sites*:
all members modified at one site left out together. *computed*: models trained on the computed references of
the bundled library. *raman*: the simulated world of `generator.py`, whose substances are computed molecules.

Recall is stated at 1 % false alarms, the threshold being that of the development half of the negatives
(`splits.py`), the false alarms those of the test half; and at the model's own threshold. Intervals are
Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import generator
import numpy as np
import real
from _shared import shared_data
from cross_instrument import share
from splits import part
from tqdm import tqdm

from spectralid import LibraryBuilder, Spectrum, Technique, open_library, read_all
from spectralid.identify import Identifier
from spectralid.identify.analysis import Analyser
from spectralid.identify.families import family_of
from spectralid.identify.family_model import FamilyFinding, FamilyModel
from spectralid.identify.references import ReferenceSet
from spectralid.library import Compound, ReferenceLibrary, Tier

RATE = 0.01
FENTANYL = "fentanyl-related"
ATR = Technique.FTIR_ATR
LEVELS = (0.02, 0.05, 0.07, 0.10, 0.20, 0.90)
# Substances of the real set whose compound is not in the table, by the first block of their InChIKey.
CATEGORIES = {
    "GCHCRHBAGFHFMV": "precursor/fentanyl",
    "UBBYFFKICFYDHU": "precursor/fentanyl",
    "DSWKXTYRMTZUHK": "precursor/fentanyl",
    "OSFBKUBOZUWERW": "opioid/novel-synthetic",
    "OWQIUQKMMPDHQQ": "adulterant/active",
    "ZTGXAWYVTLUPDT": "cannabinoid/natural-semisynthetic",
    "PTHCMJGKKRQCBF": "cutting-agent/organic",
}
# What the 1 % of the design is asked of; others are reported.
WATCHED = (FENTANYL, "nitazene", "synthetic cathinone", "benzodiazepine", "amphetamine")
MATRICES = (
    "caffeine", "lactose", "mannitol", "acetaminophen", "glucose", "sorbitol", "diphenhydramine", "quinine",
    "procaine", "lidocaine", "benzocaine", "phenacetin", "sucrose", "inositol", "nicotinamide", "xylazine",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a model said of one spectrum about one family.

    Attributes
    ----------
    track, group : str
        Where it counts; the group says the share of the unknown.
    slug : str
        The substance that is in no library; of negatives without one, what is there.
    family : str
        The family asked about.
    truth : str
        Family of the substance, ``"?"`` where it counts as neither.
    ratio : float
        Log ratio; −99 where it looks like nothing known.
    alarm : bool
        Whether the model's own threshold at `RATE` is passed.
    hint, sites : str
        Sites hinted at, and true ones.
    """

    track: str
    group: str
    slug: str
    family: str
    truth: str
    ratio: float
    alarm: bool
    hint: str = ""
    sites: str = ""


def outcomes(
    track: str, group: str, compound: Compound, findings: Iterable[FamilyFinding]
) -> Iterator[Outcome]:
    """One for each family."""
    truth = family_of(compound)
    for f in findings:
        neither = f.family == FENTANYL and compound.category == "opioid/fentanyl-like-nonFRS"
        yield Outcome(
            track,
            group,
            compound.slug,
            f.family,
            "?" if neither else truth,
            f.log_ratio if f.typical else -99.0,
            f.alarm(RATE),
            f.site_hint if f.alarm(RATE) else "",
            compound.frs_modifications,
        )


def drugs(data: Path) -> list[tuple[Compound, Spectrum]]:
    """The real infrared set, every compound with its category and sites."""
    with open_library() as bundled:
        known = {c.inchikey.split("-")[0]: c for c in bundled.compounds if c.inchikey}
    keys = {}
    for line in (data / "enfsi-ftir" / "index.csv").read_text(encoding="utf-8").splitlines()[1:]:
        file = line.split(",")[0]
        keys[json.loads((data / "enfsi-ftir" / file).read_text(encoding="utf-8"))["name"]] = file
    entries = []
    for compound, spectrum in real._enfsi(data):
        document = json.loads((data / "enfsi-ftir" / keys[compound.name]).read_text(encoding="utf-8"))
        skeleton = document["inchikey"].split("-")[0]
        same = known.get(skeleton)
        entries.append(
            (
                replace(
                    compound,
                    inchikey=document["inchikey"],
                    category=compound.category or CATEGORIES.get(skeleton, ""),
                    frs_modifications=same.frs_modifications if same else "",
                ),
                spectrum,
            )
        )
    return entries


def others(data: Path) -> Iterator[tuple[str, str, Spectrum]]:
    """Further negatives: collection, name, spectrum."""
    for file in sorted((data / "rruff-ir").glob("*__*.txt")):
        spectrum = read_all(file, technique="ftir_atr")[0]
        if spectrum.axis.min() < 650 and spectrum.axis.max() > 2000:
            yield "mineral", file.name.split("__")[0].lower(), spectrum.replace(unit="absorbance")
    plastics = read_all(data / "grimblewald-ftir-plastics" / "Primpke_sup4.csv", technique="ftir_atr")
    for i, spectrum in enumerate(plastics):
        yield "plastic", f"{spectrum.name or 'plastic'}-{i}".lower(), spectrum.replace(unit="absorbance")


def turns(entries: Sequence[tuple[Compound, Spectrum]], groups: int) -> list[list[str]]:
    """Substances left out together: members of families one by one, the rest in groups."""
    single = [[c.slug] for c, _ in entries if family_of(c) in WATCHED]
    rest = sorted(
        (c.slug for c, _ in entries if family_of(c) not in WATCHED),
        key=lambda s: hashlib.sha256(s.encode()).hexdigest(),
    )
    return single + [rest[i::groups] for i in range(groups) if rest[i::groups]]


def varied(spectrum: Spectrum, rng: np.random.Generator, sd: float = 0.12) -> Spectrum:
    """The same substance as another grain and crystal might show it: bands higher or lower by `sd`."""
    axis = spectrum.axis[:, None]
    centres, widths = rng.uniform(500, 3700, 60), rng.uniform(8, 30, 60)
    change = np.exp(-0.5 * ((axis - centres) / widths) ** 2) @ rng.normal(0, sd, 60)
    tilt = rng.normal(0, sd) * np.log(spectrum.axis / 1200)
    return spectrum.replace(intensity=spectrum.intensity * np.exp(change + tilt))


class Bench:
    """A library without some substances, and the model of it."""

    def __init__(self, folder: Path, entries: Sequence[tuple[Compound, Spectrum]], without: Iterable[str]):
        gone = set(without)
        builder = LibraryBuilder("drugs", version="1", created="2026-11-22", recipe="benchmarks")
        for compound, spectrum in entries:
            if compound.slug not in gone:
                builder.add(spectrum, compound, tier=Tier.MEASURED, source="measured", licence="tests only")
        path = folder / f"without-{hashlib.sha256(repr(sorted(gone)).encode()).hexdigest()[:12]}.h5"
        builder.write(path)
        self.library: ReferenceLibrary = open_library(path)
        technique = entries[0][1].technique
        self.model = FamilyModel.train(self.library, technique)
        self.references = ReferenceSet.from_library(self.library, technique)
        self.analyser = Analyser(self.library, self.references)
        self.evidencer = self.model.evidencer()
        self.identifier = Identifier(self.library, families=[self.model])
        self._row = {r.compound_slug: i for i, r in enumerate(self.references.rows)}

    def alone(self, spectrum: Spectrum) -> tuple[FamilyFinding, ...]:
        """What the model finds where nothing is known of the spectrum."""
        return self.model.findings(self.analyser.scene(spectrum), evidencer=self.evidencer)

    def beside(self, spectrum: Spectrum, agent: str) -> tuple[FamilyFinding, ...]:
        """What it finds beside one known component, at the shift that suits that one best."""
        scene = self.analyser.scene(spectrum)
        tried = [scene.explain((self._row[agent],), float(s)) for s in (-4.0, -2.0, 0.0, 2.0, 4.0)]
        best = max(tried, key=lambda e: e.log_evidence)
        return self.model.findings(scene, best, evidencer=self.evidencer)

    def engine(self, spectrum: Spectrum) -> tuple[FamilyFinding, ...]:
        """What the whole engine says, given what its joint fit found."""
        return self.identifier.identify(spectrum).families


def measured(data: Path, folder: Path, tracks: set[str], groups: int) -> Iterator[Outcome]:
    """Tracks *drugs*, *mixtures* and *sites*."""
    entries = drugs(data)
    by_slug = {c.slug: (c, s) for c, s in entries}
    agents = [s for s in real._CUTTING if s in by_slug]
    for left in tqdm(turns(entries, groups), desc="left out", unit="model"):
        bench = Bench(folder, entries, left)
        for slug in left:
            compound, spectrum = by_slug[slug]
            if "drugs" in tracks:
                yield from outcomes("drugs", "pure, alone", compound, bench.alone(spectrum))
                yield from outcomes("drugs", "pure, whole engine", compound, bench.engine(spectrum))
            if not tracks & {"mixtures", "rough"}:
                continue
            seed = int.from_bytes(hashlib.sha256(slug.encode()).digest()[:4], "big")
            beside = [a for a in agents if a not in left]
            member = family_of(compound) in WATCHED[:2]
            for i, level in enumerate(LEVELS):
                # Members beside ten agents each, strangers beside two.
                for j in range(10 if member else 2):
                    agent = beside[(seed + j + 3 * i) % len(beside)]
                    number = seed + 100 * i + j
                    if "rough" in tracks:
                        stream = np.random.default_rng(number)
                        both = [varied(s, stream) for s in (by_slug[agent][1], spectrum)]
                        mixed = real._blend(*both, level, number)
                        yield from outcomes("rough", f"{level:.0%}", compound, bench.beside(mixed, agent))
                    if "mixtures" not in tracks:
                        continue
                    mixed = real._blend(by_slug[agent][1], spectrum, level, number)
                    yield from outcomes("mixtures", f"{level:.0%}", compound, bench.beside(mixed, agent))
                    if member and j < 2 and level in (0.10, 0.20):
                        group = f"{level:.0%}, whole engine"
                        yield from outcomes("mixtures", group, compound, bench.engine(mixed))
    whole = Bench(folder, entries, ())
    if "drugs" in tracks:
        for kind, name, spectrum in others(data):
            compound = Compound(f"{kind} {name}", name, category=kind)
            found = tuple(outcomes("drugs", "pure, alone", compound, whole.alone(spectrum)))
            yield from found
            # The joint fit takes a second each; without it nothing is known beside, as in most of these.
            yield from (replace(o, group="pure, whole engine") for o in found)
    for agent in agents:
        compound = Compound(f"{agent} only", agent, category="cutting-agent")
        for k in range(12):
            # An agent beside its own other scan: nothing in it is unknown.
            own = by_slug[agent][1]
            if "mixtures" in tracks:
                mixed = real._blend(own, own, 0.5, 7000 + k)
                yield from outcomes("mixtures", "0%", compound, whole.beside(mixed, agent))
            if "rough" in tracks:
                stream = np.random.default_rng(7000 + k)
                mixed = real._blend(varied(own, stream), varied(own, stream), 0.5, 7000 + k)
                yield from outcomes("rough", "0%", compound, whole.beside(mixed, agent))


def sites(data: Path, folder: Path) -> Iterator[Outcome]:
    """All members modified at a site left out together."""
    entries = drugs(data)
    members = [(c, s) for c, s in entries if family_of(c) == FENTANYL]
    for site in "ABCDE":
        left = [c.slug for c, _ in members if site in c.frs_modifications.split("+")]
        if not left or len(members) - len(left) < 3:
            continue
        bench = Bench(folder, entries, left)
        for compound, spectrum in members:
            if compound.slug in left:
                yield from outcomes("sites", f"all of site {site} left out", compound, bench.alone(spectrum))
    strangers = [c.slug for c, _ in entries if not family_of(c)]
    for start in range(0, len(strangers), 12):
        left = strangers[start : start + 12]
        bench = Bench(folder, entries, left)
        for compound, spectrum in entries:
            if compound.slug in left:
                yield from outcomes("sites", "negatives", compound, bench.alone(spectrum))


def computed(data: Path, groups: int) -> Iterator[Outcome]:
    """Models of computed references only, on real spectra whose own computed reference is left out."""
    entries = drugs(data)
    with open_library() as bundled:
        slug_of = {c.inchikey.split("-")[0]: c.slug for c in bundled.compounds if c.inchikey}
        order = sorted(
            entries, key=lambda e: (family_of(e[0]), hashlib.sha256(e[0].slug.encode()).hexdigest())
        )
        analyser = None
        for group in tqdm(range(groups), desc="computed", unit="model"):
            some = order[group::groups]
            left = {slug_of.get(c.inchikey.split("-")[0], "") for c, _ in some}
            model = FamilyModel.train(bundled, ATR, tier=Tier.COMPUTED, without=left)
            evidencer = model.evidencer()
            if analyser is None:
                analyser = Analyser(bundled, ReferenceSet.from_library(bundled, ATR))
            for compound, spectrum in some:
                found = model.findings(analyser.scene(spectrum), evidencer=evidencer)
                yield from outcomes("computed", "pure, alone", compound, found)


def raman(folder: Path, groups: int) -> Iterator[Outcome]:
    """Leave-out members of the simulated world, pure and beside matrices."""
    everything = generator.substances()
    rng = np.random.default_rng(11)
    good = generator.unit(rng, axis_sd=0.3, response_sd=0.05)
    entries = [
        (
            Compound(s.slug, s.slug, category=s.family, fentanyl_related="yes" if s.fentanyl else "no"),
            generator.scan([(s, 1.0)], good, rng, peak_counts=2e5, fluorescence=0.1),
        )
        for s in everything
    ]
    by_slug = {s.slug: s for s in everything}
    matrices = [m for m in MATRICES if m in by_slug]
    order = sorted(
        (c for c, _ in entries if c.slug not in matrices),
        key=lambda c: (family_of(c), hashlib.sha256(c.slug.encode()).hexdigest()),
    )
    for group in tqdm(range(groups), desc="raman", unit="model"):
        left = order[group::groups]
        bench = Bench(folder, entries, [c.slug for c in left])
        for number, compound in enumerate(left):
            # Every third stranger is enough to say what one in a hundred is.
            if family_of(compound) not in WATCHED and number % 3:
                continue
            stream = np.random.default_rng([12, *hashlib.sha256(compound.slug.encode()).digest()[:8]])
            member = family_of(compound) in (FENTANYL, "nitazene")
            for _ in range(4 if member else 1):
                scan = generator.scan([(by_slug[compound.slug], 1.0)], generator.unit(stream), stream)
                yield from outcomes("raman", "pure", compound, bench.alone(scan))
            for level in (0.07, 0.10, 0.20):
                for matrix in stream.choice(matrices, 8 if member else 1, replace=False):
                    scan = generator.scan(
                        [(by_slug[matrix], 1 - level), (by_slug[compound.slug], level)],
                        generator.unit(stream),
                        stream,
                        peak_counts=5e4,
                    )
                    yield from outcomes("raman", f"{level:.0%}", compound, bench.beside(scan, str(matrix)))


def earlier(files: Iterable[Path]) -> list[Outcome]:
    """Outcomes of runs that were kept."""
    return [Outcome(**one) for file in files for one in json.loads(file.read_text(encoding="utf-8"))]


def at_rate(ratios: np.ndarray, rate: float = RATE) -> float:
    """Threshold that a share of `rate` of the ratios exceeds."""
    return float(np.sort(ratios)[::-1][int(rate * ratios.size)]) if ratios.size else np.inf


def table(found: Sequence[Outcome]) -> list[dict[str, str]]:
    """Recall and false alarms of every track, group and family."""
    rows = []
    for track, group, family in dict.fromkeys((o.track, o.group, o.family) for o in found):
        mine = [o for o in found if (o.track, o.group, o.family) == (track, group, family)]
        members = [o for o in mine if o.truth == family]
        if not members or family not in WATCHED:
            continue
        null = [
            o
            for o in found
            if o.track == track
            and o.family == family
            and o.truth not in (family, "?")
            and (o.group == group or track == "sites" or (track in ("mixtures", "rough") and o.group == "0%"))
        ]
        if group.endswith("whole engine") and track == "mixtures":
            null = [
                o
                for o in found
                if o.track == track and o.family == family and o.group == group.split(",")[0]
                and o.truth not in (family, "?")
            ]  # fmt: skip
        ratio = np.array([o.ratio for o in members])
        learned = np.array([o.ratio for o in null if part(o.slug) == "development"])
        tested = np.array([o.ratio for o in null if part(o.slug) == "test"])
        bar = at_rate(learned)
        every = np.array([o.ratio for o in null])
        drugs_only = np.array([o.ratio for o in null if not o.slug.startswith(("mineral ", "plastic "))])
        wins = np.mean([(r > drugs_only).mean() + 0.5 * (r == drugs_only).mean() for r in ratio])
        hints = [o for o in members if o.hint]
        rows.append(
            {
                "track": track,
                "group": group,
                "family": family,
                "substances": str(len({o.slug for o in members})),
                "spectra": str(len(members)),
                "negatives (drugs)": f"{len({o.slug for o in null})} ({len(drugs_only)})",
                "recall at 1 %": share(int((ratio > bar).sum()), ratio.size),
                "false alarms there": share(int((tested > bar).sum()), tested.size),
                "recall, no stranger above": share(int((ratio > every.max()).sum()), ratio.size),
                "recall, own threshold": share(sum(o.alarm for o in members), len(members)),
                "false alarms, own": share(sum(o.alarm for o in null), len(null)),
                "AUC against drugs": f"{wins:.3f}",
                "site hints right": f"{sum(set(o.hint.split('+')) <= set(o.sites.split('+')) for o in hints)}"
                f" of {len(hints)}",
            }
        )
    return rows


def markdown(rows: Sequence[dict[str, str]]) -> str:
    """Rows as a table."""
    if not rows:
        return ""
    heads = list(rows[0])
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(r[h] for h in heads) + " |" for r in rows])


def figure(found: Sequence[Outcome], path: Path) -> None:
    """Recall over false alarms, one panel for each track and family, false alarms on a logarithmic axis."""
    from matplotlib.figure import Figure

    panels = [
        (track, family)
        for track in dict.fromkeys(o.track for o in found)
        for family in WATCHED[:4]
        if any(o.track == track and o.family == family and o.truth == family for o in found)
    ]
    fig = Figure(figsize=(4.2 * 4, 3.4 * -(-len(panels) // 4)), layout="constrained")
    axes = fig.subplots(-(-len(panels) // 4), 4, squeeze=False).ravel()
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    for ax, (track, family) in zip(axes, panels, strict=False):
        mine = [o for o in found if o.track == track and o.family == family]
        for group in dict.fromkeys(o.group for o in mine if o.truth == family):
            base = group.split(",")[0] if track == "mixtures" else group
            null = np.array(
                [o.ratio for o in mine if o.truth not in (family, "?") and o.group in (group, base)]
            )
            if not null.size:
                null = np.array([o.ratio for o in mine if o.truth not in (family, "?")])
            here = np.array([o.ratio for o in mine if o.group == group and o.truth == family])
            bars = np.sort(np.concatenate([null, here]))[::-1]
            false = np.array([(null >= b).mean() for b in bars])
            ax.step(
                np.maximum(false, 0.5 / null.size),
                [(here >= b).mean() for b in bars],
                where="post",
                label=group,
            )
        ax.set_xscale("log")
        ax.axvline(RATE, color="0.7", lw=0.8)
        ax.set(xlim=(5e-4, 1), ylim=(0, 1.02), xlabel="false alarms", ylabel="recall")
        ax.set_title(f"{track}: {family}", fontsize=9)
        ax.legend(fontsize=6, loc="lower right")
    fig.savefig(path, dpi=110)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", default="drugs,mixtures,rough,sites,computed,raman", help="which to run")
    parser.add_argument("--groups", type=int, default=12, help="models for the real set's negatives")
    parser.add_argument("--turns", type=int, default=7, help="models of the computed and the simulated world")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write families.json and families.png there")
    parser.add_argument("--join", type=Path, nargs="*", default=[], help="families.json of other runs")
    args = parser.parse_args()
    tracks = set(args.tracks.split(","))
    found = earlier(args.join)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if tracks & {"drugs", "mixtures", "rough"}:
            found += measured(shared_data(), folder, tracks, args.groups)
        if "sites" in tracks:
            found += sites(shared_data(), folder)
        if "computed" in tracks:
            found += computed(shared_data(), args.turns)
        if "raman" in tracks:
            found += raman(folder, args.turns)
    print(markdown(table(found)))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "families.json").write_text(json.dumps([asdict(o) for o in found]), encoding="utf-8")
        figure(found, args.out / "families.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
