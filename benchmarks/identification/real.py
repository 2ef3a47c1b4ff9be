"""Real tracks: spectra that other people measured, of mixtures whose composition is known.

Every library here is made of single-substance spectra of the collection named; what is derived and not
measured, and where a query and its reference come from the same scan, is said in the group's name or note.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import tally as simulated
from _shared import shared_data
from _wasatch import wasatch_library
from cross_instrument import QUERIES
from measures import Measure, proportion, rate
from tracks import DETECTED, EXPLAINED, OURS, Answer, Query, train

from spectralid import IntensityUnit, LibraryBuilder, SpectralIDError, Spectrum, Technique, read_all
from spectralid.identify.families import family_of
from spectralid.library import Compound, Tier

_ATR = Technique.FTIR_ATR
Entry = tuple[Compound, Spectrum]


def library(folder: Path, name: str, entries: Iterable[Entry]) -> Path:
    """Write a library of measured spectra."""
    builder = LibraryBuilder(name, version="1", created="2026-11-22", recipe="benchmarks/identification")
    for compound, spectrum in entries:
        builder.add(spectrum, compound, tier=Tier.MEASURED, source=name, licence="tests and benchmarks only")
    path = folder / f"{name}.h5"
    builder.write(path)
    return path


def plain(slug: str) -> Compound:
    """A compound of which nothing but the name matters here."""
    return Compound(slug, slug)


def one(file: Path, technique: str, **kinds: Any) -> Spectrum:
    """First spectrum of a file."""
    spectrum = read_all(file, technique=technique)[0]
    return spectrum.replace(**kinds) if kinds else spectrum


def given(spectrum: Spectrum) -> Spectrum:
    """A spectrum that is at hand already."""
    return spectrum


def queries(folder: Path, *, families: bool = False) -> tuple[dict[str, str], list[Query]]:
    """Every real query; collections that are not there are left out with the reason.

    With `families` the engine gets a family model of the drugs' library.
    """
    try:
        data = shared_data()
    except SystemExit as reason:
        return {"real spectra": str(reason)}, []
    skipped, found = {}, []
    measured = wasatch_library(data, folder)
    held = {r.compound_slug for r in measured.references}
    parts: dict[str, Callable[[], Iterator[Query]]] = {
        "whenfung-raman": lambda: binaries(data, str(measured.path), held),
        "other instruments": lambda: cross_instrument(data, str(measured.path), held),
        "bss-plsr, Raman": lambda: salts(data, folder, infrared=False),
        "bss-plsr, infrared": lambda: salts(data, folder, infrared=True),
        "dyrby-raman-tablets": lambda: tablets(data, folder),
        "plotftir": lambda: biodiesel(data, folder),
        "textile-mir-blends": lambda: textiles(data, folder),
        "spa-fixtures": lambda: omnic_tablet(data, folder),
        "enfsi-ftir": lambda: drugs(data, folder, families=families),
    }
    for name, part in parts.items():
        try:
            found += list(part())
        except (SpectralIDError, OSError) as reason:
            skipped[name] = str(reason)
    return skipped, found


def thinned(found: Sequence[Query], scale: float) -> list[Query]:
    """A share of every group, evenly, at least two of each; all from a scale of 1 on."""
    groups: dict[str, list[Query]] = {}
    for query in found:
        groups.setdefault(query.group, []).append(query)
    kept = []
    for some in groups.values():
        n = min(len(some), max(2, round(scale * len(some))))
        kept += [some[i * len(some) // n] for i in range(n)]
    return kept


def binaries(data: Path, path: str, held: set[str]) -> Iterator[Query]:
    """Mixtures of two solvents by weight, on a unit whose axis is 5 to 7 cm⁻¹ off (whenfung)."""
    names = {
        "甲醇": "methanol", "乙醇": "ethanol", "正己烷": "hexane", "环己烷": "cyclohexane",
        "双氧水": "hydrogen-peroxide", "乙酸乙酯": "ethyl-acetate", "二氯甲烷": "dichloromethane",
        "甲酸": "formic-acid", "乙醚": "diethyl-ether",
    }  # fmt: skip
    for file in sorted((data / "whenfung-raman").rglob("*%+*.txt")):
        parts = {}
        for part in file.stem.split("+"):
            name, percent = re.match(r"(\D+)(\d+)%", part).groups()  # type: ignore[union-attr]
            parts[names[name]] = int(percent) / 100
        known = parts.keys() <= held
        group = "solvent binaries" + ("" if known else ", one of them in no library")
        true = {s: c for s, c in parts.items() if s in held}
        yield Query("real", group, partial(one, file, "raman"), path, true, known)


def cross_instrument(data: Path, path: str, held: set[str]) -> Iterator[Query]:
    """Pure substances and absent ones from other people's instruments, see `../cross_instrument.py`."""
    with QUERIES.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["role"] in ("pure", "absent")]
    for row in rows:
        source = data / row["collection"] / row["file"]
        try:
            read_all(source, technique="raman")
        except SpectralIDError:
            continue
        pure = row["role"] == "pure"
        group = "pure, other instruments" if pure else "in no library, other instruments"
        true = {row["substance"]: 1.0} if pure and row["substance"] in held else {}
        name = row["substance"] or row["note"]
        yield Query("real", group, partial(one, source, "raman"), path, true, pure, pair=name)


_SALTS = ("nitrate", "nitrite", "sulfate", "carbonate", "phosphate", "acetate", "oxalate")


def _sheet(file: Path) -> list[dict[str, float]]:
    """Numbers of the first sheet of a workbook, a row as a mapping from column letter."""
    with zipfile.ZipFile(file) as book:
        text = book.read("xl/worksheets/sheet1.xml").decode()
    rows = []
    for row in re.findall(r"<row [^>]*>(.*?)</row>", text, re.DOTALL):
        cells = {}
        for column, kind, body in re.findall(r'<c r="([A-Z]+)\d+"([^>]*?)(?:/>|>(.*?)</c>)', row, re.DOTALL):
            value = re.search(r"<v>(.*?)</v>", body or "")
            if value and 't="s"' not in kind:
                cells[column] = float(value[1])
        rows.append(cells)
    return rows


def salts(data: Path, folder: Path, *, infrared: bool) -> Iterator[Query]:
    """Salt solutions by weight; three salts of the test set were unknown to who calibrated on the rest."""
    place = data / "bss-plsr"
    kind, technique = ("IR", "ftir_atr") if infrared else ("Raman", "raman")
    how = (
        {"technique": _ATR, "unit": IntensityUnit.ABSORBANCE} if infrared else {"technique": Technique.RAMAN}
    )
    scans = {
        part: [s.replace(**how) for s in read_all(place / f"X{part} {kind}.csv", technique=technique)]
        for part in ("train", "test")
    }  # fmt: skip
    truths = {
        "train": [r for r in _sheet(place / "training_data.xlsx") if "C" in r and "F" in r],
        "test": [r for r in _sheet(place / "test_data.xlsx") if "C" in r and "F" in r],
    }

    def masses(row: Mapping[str, float]) -> dict[str, float]:
        # Molality columns of the training sheet begin at J.
        columns = zip(_SALTS, "FGHIJKL" if "M" in row and "R" in row else "FGHI", strict=False)
        return {s: row.get(c, 0.0) for s, c in columns if row.get(c, 0.0) > 0}

    water = scans["train"][0]
    if infrared:
        singles = {"water": water}
        for spectrum, row in zip(scans["train"], truths["train"], strict=False):
            only = masses(row)
            if len(only) == 1:
                singles.setdefault(next(iter(only)), spectrum)
    else:
        with np.load(place / "library.npz", allow_pickle=False) as known:
            axis = known["wavelength"]
            order = ("phosphate", "sulfate", "nitrite", "carbonate", "nitrate", "", "acetate", "oxalate")
            singles = {
                s: Spectrum(axis[::-1], x[::-1], **how)
                for s, x in zip(order, known["Xlibrary"], strict=True)
                if s
            }
            singles["water"] = water
    expected = {s: x for s, x in singles.items() if s in (*_SALTS[:4], "water")}
    paths = {
        "expected salts": library(folder, f"salts {kind} four", ((plain(s), x) for s, x in expected.items()))
    }
    if not infrared:
        entries = ((plain(s), x) for s, x in singles.items())
        paths["all salts"] = library(folder, f"salts {kind} seven", entries)
    for held, path in paths.items():
        inside = set(singles if held == "all salts" else expected)
        for part in ("train", "test"):
            for spectrum, row in zip(scans[part], truths[part], strict=False):
                there = masses(row)
                if len(there) < 2:
                    continue
                known = there.keys() <= inside
                state = "nothing unexpected" if known else "something unexpected"
                total = sum(there.values())
                true = {s: m / total for s, m in there.items() if s in inside}
                # Water is in all of them; to name it is neither right nor wrong.
                yield Query(
                    "real", f"salt solutions, {kind}, library of {held}, {state}", partial(given, spectrum),
                    str(path), true, known, target="water", infrared=infrared,
                )  # fmt: skip


def _least_squares(spectra: Sequence[Spectrum], shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spectra of a part and of the rest whose weighted sums come nearest to what was measured."""
    values = np.array([s.intensity for s in spectra])
    pure, *_ = np.linalg.lstsq(np.stack([shares, 1 - shares], axis=1), values, rcond=None)
    return pure[0], pure[1]


def tablets(data: Path, folder: Path) -> Iterator[Query]:
    """Tablets with 5 to 9 % of an active (Dyrby): odd ones make the two references, even ones are queries.

    The collection has no pure substance; the references are what least squares gets from half of the tablets.
    """
    from scipy.io import loadmat

    table = loadmat(data / "dyrby-raman-tablets/datasets/raman_tablets/data/Ramandata_tablets.mat")
    values, axis = table["Matrix"][:, 2:], np.array([float(v) for v in table["VarLabels"][2:]])
    percent = table["Matrix"][:, 0]
    order = np.argsort(axis)
    spectra = [Spectrum(axis[order], row[order], technique=Technique.RAMAN) for row in values]
    active, rest = _least_squares(spectra[1::2], percent[1::2] / 100)
    lift = min(active.min(), rest.min(), 0.0)
    made = {"active": active - lift, "excipients": rest - lift}
    entries = [(plain(s), Spectrum(axis[order], v, technique=Technique.RAMAN)) for s, v in made.items()]
    path = library(folder, "tablets", entries)
    for spectrum, share in zip(spectra[::2], percent[::2] / 100, strict=True):
        true = {"active": float(share), "excipients": float(1 - share)}
        yield Query(
            "real", "tablets with 5–9 % active", partial(given, spectrum), str(path), true, target="active"
        )


def _r_table(file: Path) -> dict[str, Spectrum]:
    """Absorbance spectra of an R data frame in long form."""
    from spectralid.library.rds import read_rds

    frame = read_rds(file).data[0]
    columns = dict(zip(frame.names, frame.data, strict=True))
    ids = np.array(columns["sample_id"].data)
    found = {}
    for name in dict.fromkeys(ids):
        mine = ids == name
        axis, values = columns["wavenumber"].data[mine], columns["absorbance"].data[mine]
        order = np.argsort(axis)
        found[str(name)] = Spectrum(axis[order], values[order], technique=_ATR, unit=IntensityUnit.ABSORBANCE)
    return found


def biodiesel(data: Path, folder: Path) -> Iterator[Query]:
    """Diesel with 0.25 to 7.5 % of FAME; its reference is the difference of the 10 % and 0 % samples."""
    spectra = _r_table(data / "plotftir" / "biodiesel.rda")
    diesel, ten = spectra["biodiesel_0"], spectra["biodiesel_10_0"]
    fame = ten.intensity + 9 * (ten.intensity - diesel.intensity)
    entries = [
        (plain("diesel"), diesel),
        (plain("fame"), diesel.replace(intensity=fame - min(fame.min(), 0))),
    ]
    path = library(folder, "biodiesel", entries)
    levels = {
        "biodiesel_0_25": 0.0025, "biodiesel_0_50": 0.005, "biodiesel_B0_5": 0.005, "biodiesel_1_0": 0.01,
        "biodiesel_2_5": 0.025, "biodiesel_5_0": 0.05, "biodiesel_B5": 0.05, "biodiesel_7_5": 0.075,
    }  # fmt: skip
    for name, level in levels.items():
        true = {"diesel": 1 - level, "fame": level}
        yield Query(
            "real",
            "FAME in diesel",
            partial(given, spectra[name]),
            str(path),
            true,
            target="fame",
            infrared=True,
        )


def textiles(data: Path, folder: Path) -> Iterator[Query]:
    """Blends of cotton and polyester; the references are fibres on another laboratory's spectrometer."""
    file = data / "oceanwise-primpke" / "primpke2018esm5.csv"
    fibres = [f.replace(unit=IntensityUnit.ABSORBANCE) for f in read_all(file, technique="ftir_atr")]
    entries = []
    for slug, name in (("cotton", "fibre_cotton"), ("polyester", "fibre_polyester")):
        entries += [(plain(slug), f) for f in fibres if f.name.startswith(name)]
    others = ("polyamide", "polypropylene", "polyethylene", "polystyrene", "fibre_wool", "fibre_silk")
    for name in others:
        entries += [(plain(name), f) for f in fibres if f.name == name][:1]
    path = library(folder, "fibres", entries)
    for file in sorted((data / "textile-mir-blends").glob("s_*.txt")):
        cotton = int(file.stem.split("_")[1]) / 100
        scan = partial(one, file, "ftir_atr", unit=IntensityUnit.ABSORBANCE)
        true = {"cotton": cotton, "polyester": 1 - cotton}
        yield Query(
            "real",
            "cotton and polyester, references from 1,250 cm⁻¹ up",
            scan,
            str(path),
            true,
            target="cotton",
            infrared=True,
        )


def omnic_tablet(data: Path, folder: Path) -> Iterator[Query]:
    """A tablet of acetaminophen, aspirin and caffeine among other people's references; none of aspirin."""
    held = {c.slug: (c, s) for c, s in _enfsi(data)}
    caffeine = one(data / "stackir-jcamp/sample-spectra/added/Caffeine_edited.jdx", "ftir_atr")
    path = library(folder, "analgesics", [*held.values(), (held["caffeine"][0], caffeine)])
    file = data / "spa-fixtures" / "Acetominophen Caffeine Acetylsalicylic acid.SPA"
    true = {"acetaminophen": 0.4, "caffeine": 0.1}
    yield Query(
        "real", "tablet of three, aspirin in no library", partial(one, file, "ftir_atr"), str(path), true,
        False,         infrared=True,
    )  # fmt: skip


def _enfsi(data: Path) -> list[Entry]:
    """Drugs and cutting agents as compounds with absorbance."""
    place = data / "enfsi-ftir"
    with (place / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    entries = []
    for row in rows:
        document = json.loads((place / row["file"]).read_text(encoding="utf-8"))["spectrum"]
        y = np.clip(np.array(document["y"], dtype=float), 0.5, None)
        axis = np.linspace(document["firstX"], document["lastX"], y.size)
        slug = row["compound_id"] or re.sub(r"[^a-z0-9]+", "-", row["name"].lower()).strip("-")
        compound = Compound(
            slug, row["name"], category=row["category"], fentanyl_related=row["is_fentanyl_related"] or "no"
        )
        entries.append(
            (compound, Spectrum(axis, -np.log10(y / 100), technique=_ATR, unit=IntensityUnit.ABSORBANCE))
        )
    return entries


LEVELS = (0.0, 0.02, 0.05, 0.07, 0.10, 0.20, 0.90)
_DRUGS = ("fentanyl-related", "nitazene")
_CUTTING = (
    "caffeine", "acetaminophen", "benzocaine", "lidocaine", "tetramisole", "xylazine", "diltiazem",
    "hydroxyzine", "ibuprofen", "prilocaine", "sodium-bicarbonate", "vivapur", "bupivacaine", "l-tryptophan",
)  # fmt: skip


def altered(spectrum: Spectrum, rng: np.random.Generator) -> Spectrum:
    """The same scan as another spectrometer might have given it: axis, slow gain, slope and noise."""
    axis, y = spectrum.axis, spectrum.intensity
    moved = np.interp(axis, axis + rng.normal(0, 0.8), y)
    place = (axis - axis[0]) / (axis[-1] - axis[0])
    gain = np.exp(rng.normal(0, 0.15) * (place - 0.5) + rng.normal(0, 0.08) * np.cos(2 * np.pi * place))
    return spectrum.replace(intensity=moved * gain)


def drugs(data: Path, folder: Path, *, families: bool) -> Iterator[Query]:
    """Fentanyls and nitazenes in cutting agents, sums of altered scans; and infrared negatives.

    The collection has one scan of each substance, so a query and its reference come from the same scan: an
    upper bound, not a field figure.
    """
    entries = _enfsi(data)
    path = str(library(folder, "enfsi", entries))
    if families:
        train(path, _ATR)
    by_slug = dict(zip((c.slug for c, _ in entries), entries, strict=True))
    agents = [s for s in _CUTTING if s in by_slug]
    rng = np.random.default_rng(4)
    watched = [c.slug for c, _ in entries if family_of(c) in _DRUGS]
    for level in LEVELS:
        for i, slug in enumerate(watched):
            agent = agents[(i * 5 + round(100 * level)) % len(agents)]
            family = family_of(by_slug[slug][0])
            true = {agent: 1 - level, **({slug: level} if level else {})}
            scan = partial(_blend, by_slug[agent][1], by_slug[slug][1], level, int(rng.integers(2**62)))
            group = (
                f"{family} at {level:.0%} in cutting agents, infrared"
                if level
                else "cutting agents, infrared"
            )
            yield Query(
                "real", group, scan, path, true, family=family if level else "", target=slug, infrared=True
            )
    for group, some in _negatives(data).items():
        for scan in some:
            yield Query("real", group, scan, path, {}, False, infrared=True)


def _blend(agent: Spectrum, drug: Spectrum, level: float, seed: int) -> Spectrum:
    rng = np.random.default_rng(seed)
    low, high = max(agent.axis[0], drug.axis[0]), min(agent.axis[-1], drug.axis[-1])
    axis = np.arange(low, high, 4.0)
    total = np.zeros(axis.size)
    for spectrum, share in ((agent, 1 - level), (drug, level)):
        seen = altered(spectrum, rng)
        y = np.interp(axis, seen.axis, seen.intensity)
        # Shares are of absorbance, so both are brought to one area.
        y -= y.min()
        total += share * y / y.mean()
    total *= 0.6 / total.max()
    slope = rng.normal(0, 0.02) * (axis - axis[0]) / (axis[-1] - axis[0])
    noise = rng.normal(0, 4e-4, axis.size) * 10 ** (2 * total) ** 0.5
    return Spectrum(axis, total + slope + noise, technique=_ATR, unit=IntensityUnit.ABSORBANCE)


def _negatives(data: Path) -> dict[str, list[Callable[[], Spectrum]]]:
    """Infrared spectra of what is no drug; a part of each collection, chosen by hash."""
    minerals: list[Callable[[], Spectrum]] = []
    files = sorted((data / "rruff-ir").glob("*.txt"), key=lambda f: hashlib.sha256(f.name.encode()).digest())
    for file in files:
        try:
            spectrum = one(file, "ftir_atr")
        except SpectralIDError:
            continue
        if spectrum.axis.min() < 600 and spectrum.axis.max() > 3500 and len(minerals) < 60:
            minerals.append(partial(one, file, "ftir_atr", unit=IntensityUnit.ABSORBANCE))
    plastics = read_all(data / "grimblewald-ftir-plastics" / "Primpke_sup4.csv", technique="ftir_atr")
    rng = np.random.default_rng(8)
    some = [plastics[i] for i in rng.choice(len(plastics), 40, replace=False)]
    return {
        "minerals, infrared, in no library": minerals,
        "plastics, infrared, in no library": [
            partial(given, s.replace(unit=IntensityUnit.ABSORBANCE)) for s in some
        ],
    }


def tally(answers: Sequence[Answer]) -> tuple[list[Measure], dict[str, list[dict[str, Any]]]]:
    """Figures of every group, and how shares that were found compare with those that were weighed."""
    out: list[Measure] = []
    substances = []
    for group in dict.fromkeys(a.query.group for a in answers):
        mine = [a for a in answers if a.query.group == group]
        ignored = {"water"} if "salt solutions" in group else set()
        for a in mine if ignored else ():
            a.said = {m: type(s)(s.best, frozenset(s.named - ignored), s.amounts) for m, s in a.said.items()}
        true = {s for a in mine for s in a.query.true}
        substances.append(
            {
                "scans of": group,
                "scans": len(mine),
                "substances": len(true) or len({a.query.pair or a.sha256 for a in mine}),
            }
        )
        if true:
            out += [m for m in simulated.names("real", group, mine) if m.n]
        for m in simulated.methods(mine):
            heard = simulated.heard(mine, m)
            if all(len(a.query.true) == 1 for a in mine):
                out.append(
                    proportion("real", group, m, "top-1", (a.said[m].best in a.query.true for a in heard))
                )
            if not any(a.query.known for a in mine):
                if m == EXPLAINED and true:
                    noticed = (not a.said[EXPLAINED].named for a in heard)
                    out.append(proportion("real", group, m, "unexpected noticed", noticed))
                name = "names only what is there" if true else "names nothing"
                quiet = (
                    not a.said[m].named if not true else a.said[m].named <= a.query.true.keys() for a in heard
                )
                out.append(proportion("real", group, m, name, quiet))
                false = (len(a.said[m].named - a.query.true.keys()) for a in heard)
                if not true:
                    out.append(rate("real", group, m, "false per scan", false))
        if any(a.query.infrared and (a.query.family or not a.query.true or "cutting" in group) for a in mine):
            family = next((a.query.family for a in mine if a.query.family), "")
            hits = (family in a.alarms if family else bool(a.alarms) for a in mine)
            out.append(proportion("real", group, OURS, "alarm", hits))
    return out, {
        "Real spectra: independent substances": substances,
        "Shares found against shares weighed": shares(answers),
    }


def shares(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Shares the engine states for the target of each group, against the truth."""
    rows = []
    for group in dict.fromkeys(
        a.query.group for a in answers if a.query.target and a.query.target != "water"
    ):
        mine = [a for a in answers if a.query.group == group and a.query.target in a.query.true]
        if "cutting agents" in group or len(mine) < 5:
            continue
        true = np.array([a.query.true[a.query.target] for a in mine])
        found = np.array([a.said[DETECTED].amounts.get(a.query.target, 0.0) for a in mine])
        covered = [
            low <= a.query.true[a.query.target] <= high
            for a in mine
            for slug, _, low, high in a.components
            if slug == a.query.target
        ]
        alike = (
            float(np.corrcoef(true, found)[0, 1]) if np.ptp(true) > 0 and np.ptp(found) > 0 else float("nan")
        )
        rows.append(
            {
                "scans of": group,
                "what": mine[0].query.target,
                "truth": f"{true.min():.1%} – {true.max():.1%}",
                "detected in": f"{int((found > 0).sum())}/{found.size}",
                "smallest truth that was detected": f"{true[found > 0].min():.2%}"
                if (found > 0).any()
                else "–",
                "mean difference": f"{100 * float(np.mean(found - true)):+.1f} points",
                "root mean square": f"{100 * float(np.sqrt(np.mean((found - true) ** 2))):.1f} points",
                "correlation": f"{alike:.3f}",
                "truth within the interval": f"{sum(covered)}/{len(covered)}",
            }
        )
    return rows
