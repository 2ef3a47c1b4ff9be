"""Faults planted on purpose: which are found, from which size on, by what; and how often a sound set is.

    python benchmarks/qa/planted_faults.py --write          # docs/qa-faults.md, half an hour on one core
    python benchmarks/qa/planted_faults.py --only charts    # one section, printed

Units are simulated by physics that shares nothing with the analysis (`tests/qa/ageing_units.py`), libraries
by the generator of `benchmarks/identification`; standards, salt solutions, tablets and the library of one
portable unit are real. Parts once made are kept in ``--parts`` and taken from there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "identification"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import generator
from _shared import shared_data
from _wasatch import wasatch_library
from axis_calibration import ALONE, INSTRUMENTS
from real import salts, tablets
from scipy.ndimage import gaussian_filter1d
from scipy.signal import savgol_filter

from spectralid import LibraryBuilder, SpectralIDError, Spectrum, open_library, read_all
from spectralid.calibration.peaks import Peak, find_peaks
from spectralid.identify import identify
from spectralid.identify.quality import signal_quality
from spectralid.library import Compound, Tier
from spectralid.proportion import clopper_pearson
from spectralid.qa import check as qa_check
from spectralid.qa import run_length
from spectralid.qa.charts import Baseline, chart
from spectralid.qa.check import check_performance
from spectralid.qa.leaks import leak_of
from spectralid.qa.library_audit import audit_library
from spectralid.qa.likeness import noise_match
from spectralid.qa.performance import PerformanceCheck
from tests.qa.ageing_units import SOUND, Day, Unit, standard

PAGE = Path(__file__).resolve().parents[2] / "docs" / "qa-faults.md"
# What each part promises; docs/quality-assurance.md states the same.
DAILY, PAIRS, LABELS, LEAKS = "1 %", "0.2 %", "1 %", "5 %"
YEAR_UNITS, YEAR_DAYS, BASELINE_DAYS = 5, 80, 20
CHARTED_DAYS, DRIFT_DAYS, DRAWS = 100, 56, 8


_peaks: dict[str, tuple[Peak, ...]] = {}


def found_once(spectrum: Spectrum) -> tuple[Peak, ...]:
    """Bands of a spectrum; those of the day of acceptance are asked for by every check here."""
    if spectrum.sha256 not in _peaks:
        _peaks[spectrum.sha256] = find_peaks(spectrum)
    return _peaks[spectrum.sha256]


qa_check.find_peaks = found_once  # type: ignore[attr-defined]


def counted(hits: int, of: int) -> str:
    """``k of n`` with its exact 95 % interval in per cent."""
    low, high = clopper_pearson(hits, of)
    return f"{hits} of {of} [{100 * low:.2g}, {100 * high:.3g} %]"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    cells = [list(header), ["---"] * len(header), *map(list, rows)]
    return [*("| " + " | ".join(row) + " |" for row in cells), ""]


# --- the daily check, simulated units ----------------------------------------------------------------------


def lot(spread: float) -> Callable[[int], Day]:
    """Another lot of the standard: each band as strong as chance has it."""

    def day(unit: int) -> Day:
        rng = np.random.default_rng([unit, 7])
        bands = standard("polystyrene")
        return Day(sample=tuple(
            replace(band, height=band.height * float(rng.lognormal(0, spread))) for band in bands
        ))  # fmt: skip

    return day


def plants() -> Iterator[tuple[str, list[tuple[str, Day | Callable[[int], Day]]]]]:
    """Fault, and a day of each size."""
    yield "axis shifted", [(f"{v:g} cm⁻¹", Day(shift_cm1=v)) for v in (1, 2, 3, 4)]
    yield "axis shifted down", [(f"{v:g} cm⁻¹", Day(shift_cm1=-v)) for v in (1, 2, 3, 4)]
    yield "axis stretched, at its ends", [(f"{v:g} cm⁻¹", Day(stretch_cm1=v)) for v in (2, 3, 4, 6)]
    yield "laser worn, light that is left", [(f"{v:.0%}", Day(light=v)) for v in (0.7, 0.55, 0.45, 0.3)]
    yield "resolution worse", [(f"× {v:g}", Day(width=v)) for v in (1.1, 1.2, 1.35, 1.5)]
    yield "red end of the detector lost", [(f"{v} nm", Day(red_edge_nm=v)) for v in (60, 90, 110, 130)]
    yield "hot pixels of 1,024", [(f"{v}", Day(hot=v)) for v in (2, 4, 6, 12)]
    yield "dead pixels of 1,024", [(f"{v}", Day(dead=v)) for v in (2, 4, 6, 12)]
    yield "dark raised, of 65,535", [(f"{v}", Day(offset=v)) for v in (2000, 5000, 7000, 12000)]
    yield "read noise", [(f"× {v:g}", Day(read_noise=v)) for v in (1.5, 2, 2.5, 4)]
    yield (
        "stray light, in strongest bands",
        [(f"{v:g}", Day(stray=v)) for v in (0.3, 0.6, 1.0, 1.5)],
    )
    yield "too much light (saturation)", [(f"× {v:g}", Day(light=v)) for v in (1.5, 2, 2.5, 4)]
    yield (
        "standard contaminated with acetaminophen",
        [(f"{v:.0%}", Day(contaminant=standard("acetaminophen"), share=v)) for v in (0.05, 0.1, 0.2, 0.4)],
    )
    yield "another lot, spread of its bands", [(f"{v:.0%}", lot(v)) for v in (0.05, 0.15, 0.3, 0.5)]
    wrong = ("acetaminophen", "cyclohexane", "toluene", "pet")
    yield "another substance", [(name, Day(sample=standard(name))) for name in wrong]


@cache
def checked(unit: int, day: int, wrong: Day) -> PerformanceCheck | None:
    """The check of a day against the day of acceptance; ``None`` where the scan itself was refused."""
    spectrum, dark = Unit(unit).measured(0)
    try:
        now, dark_now = Unit(unit).measured(day, wrong)
    except SpectralIDError:
        return None
    return check_performance(now, "polystyrene", accepted=spectrum, dark=dark_now, accepted_dark=dark)


def simulated(units: int) -> list[str]:
    """Every fault and size on simulated units."""
    rows = []
    for fault, sizes in plants():
        cells, by, smallest = [], Counter[str](), ""
        for size, wrong in sizes:
            found = 0
            for unit in range(units):
                check = checked(unit, 3, wrong(unit) if callable(wrong) else wrong)
                failed = ("the scan is refused",) if check is None else check.rules
                found += bool(failed)
                by.update(failed)
            cells.append(f"{size}: {found}")
            if found >= 0.9 * units:
                smallest = smallest or size
            elif smallest:
                smallest = ""
        told = ", ".join(name.replace("_", " ") for name, _ in by.most_common(3))
        least = "–" if fault == "another substance" else smallest or "none of these"
        rows.append([fault, "; ".join(cells), told or "–", least])
    exact = "; ".join(counted(k, units) for k in (0, units // 2, units))
    return [
        f"Polystyrene on {units} simulated units, one day each, against the day of acceptance with dark "
        f"frames. Found of {units} (intervals: {exact}).",
        "",
        *table(("fault", "size: found", "mostly by", "smallest size found in 90 % and more"), rows),
    ]


# --- the daily check, real standards -----------------------------------------------------------------------


@cache
def standards() -> tuple[tuple[str, str, Spectrum], ...]:
    """Instrument, standard and spectrum, of those whose own axis passes."""
    data, found = shared_data(), []
    files = [(file, name) for _, file, name, *_ in INSTRUMENTS] + list(ALONE)
    for file, name in files:
        try:
            spectrum = read_all(data / file, technique="raman")[0]
            check = check_performance(spectrum, name)
        except SpectralIDError:
            continue
        found.append((file, name, spectrum, check.rules))
    return tuple(found)


def on_real_standards(most: int) -> list[str]:
    """Faults planted on real spectra of standards."""
    every = standards()
    sound = [(file, name, spectrum) for file, name, spectrum, rules in every if not rules]
    planted = sound[:: max(1, len(sound) // most)][:most]
    own = Counter(rule for *_, rules in every for rule in rules)
    said = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in own.most_common())
    others = {name: spectrum for _, name, spectrum in sound}

    def moved(s: Spectrum, by: float) -> Spectrum:
        return s.replace(axis=s.axis + by)

    def stretched(s: Spectrum, by: float) -> Spectrum:
        middle, half = np.mean(s.range), np.ptp(s.range) / 2
        return s.replace(axis=s.axis + by * (s.axis - middle) / half)

    def widened(s: Spectrum, by: float) -> Spectrum:
        sd = by / 2.3548 / float(np.median(np.diff(s.axis)))
        return s.replace(intensity=gaussian_filter1d(s.intensity, sd))

    def lifted(s: Spectrum, by: float) -> Spectrum:
        at = (s.axis - s.range[0]) / np.ptp(s.range)
        return s.replace(
            intensity=s.intensity + by * signal_quality(s).signal * np.exp(-(((at - 0.4) / 0.6) ** 2))
        )

    def tilted(s: Spectrum, by: float) -> Spectrum:
        at = (s.axis - s.range[0]) / np.ptp(s.range)
        floor = float(np.min(s.intensity))
        return s.replace(intensity=floor + (s.intensity - floor) * np.exp(np.log(1 - by) * at))

    def clipped(s: Spectrum, by: float) -> Spectrum:
        low, high = float(np.min(s.intensity)), float(np.max(s.intensity))
        return s.replace(intensity=np.minimum(s.intensity, high - by * (high - low)))

    faults: list[tuple[str, str, Callable[[Spectrum, float], Spectrum], tuple[float, ...]]] = [
        ("none", "", lambda s, _: s, (0.0,)),
        ("axis shifted", "cm⁻¹", moved, (3, 5)),
        ("axis stretched, at its ends", "cm⁻¹", stretched, (4, 8)),
        ("bands blurred by", "cm⁻¹", widened, (6, 12)),
        ("background, in strongest bands", "", lifted, (0.4, 1.2)),
        ("response lost at the far end", "", tilted, (0.3, 0.6)),
        ("top cut off", "", clipped, (0.1, 0.3)),
    ]
    rows = []
    for fault, unit, plant, sizes in faults:
        cells, by, smallest = [], Counter[str](), ""
        for size in sizes:
            found = 0
            for number, (_, name, spectrum) in enumerate(planted):
                check = again(plant(noisy(spectrum, number), size), spectrum, name)
                found += bool(check)
                by.update(check)
            cells.append(f"{size:g} {unit}".strip() + f": {counted(found, len(planted))}")
            if found >= 0.9 * len(planted):
                smallest = smallest or f"{size:g} {unit}".strip()
            elif smallest:
                smallest = ""
        told = ", ".join(name.replace("_", " ") for name, _ in by.most_common(3))
        rows.append(
            [fault, "; ".join(cells), told or "–", "–" if fault == "none" else smallest or "none of these"]
        )
    found, of, by = 0, 0, Counter[str]()
    for number, (_, name, spectrum) in enumerate(planted):
        for other, wrong in others.items():
            if other != name:
                of += 1
                rules = again(noisy(wrong, number), spectrum, name)
                found += bool(rules)
                by.update(rules)
    told = ", ".join(name.replace("_", " ") for name, _ in by.most_common(3))
    rows.append(["another standard instead", counted(found, of), told, "–"])
    names = ", ".join(f"{name} {n}" for name, n in Counter(name for _, name, _ in planted).most_common())
    return [
        f"{len(every)} real spectra of standards on other people's instruments were read; {len(sound)} pass "
        f"as they are. What fails on the others: {said}; most of those axes were never calibrated.",
        "",
        f"Each fault is planted on {len(planted)} of those that pass ({names}), with new noise of its own "
        "size; the spectrum itself is the day of acceptance.",
        "",
        *table(("fault", "size: found", "mostly by", "smallest size found in 90 % and more"), rows),
    ]  # fmt: skip


def again(spectrum: Spectrum, accepted: Spectrum, name: str) -> tuple[str, ...]:
    """Rules that fire; a spectrum the check refuses counts as found."""
    try:
        return check_performance(spectrum, name, accepted=accepted).rules
    except SpectralIDError:
        return ("refused",)


def noisy(spectrum: Spectrum, seed: int) -> Spectrum:
    """The spectrum with as much noise again."""
    rng = np.random.default_rng(seed)
    noise = signal_quality(spectrum).noise_sd or 0.0
    return spectrum.replace(intensity=spectrum.intensity + rng.normal(0, noise, spectrum.axis.size))


# --- days without a fault, and drift -----------------------------------------------------------------------


@cache
def year() -> tuple[tuple[PerformanceCheck, ...], ...]:
    """Checks of sound units, day by day."""
    return tuple(
        tuple(check for day in range(1, YEAR_DAYS + 1) if (check := checked(unit, day, SOUND)) is not None)
        for unit in range(100, 100 + YEAR_UNITS)
    )


def clean_days() -> list[str]:
    """How often a sound unit fails."""
    days = [check for unit in year() for check in unit]
    failed = [check for check in days if not check.passed]
    by = Counter(rule for check in failed for rule in check.rules)
    return [
        f"Promised: a sound unit fails on at most {DAILY} of its days. {YEAR_UNITS} simulated units on "
        f"{YEAR_DAYS} days each: failed {counted(len(failed), len(days))}"
        + (f" (by {', '.join(by)})." if by else "."),
        "",
    ]


def charts(trials: int = 3000) -> list[str]:
    """False stops and drifts found."""
    rng = np.random.default_rng(4)
    promised = run_length.of_stop_rules()
    rows = []
    for n in (None, 10, 20, 60):
        first = np.array(
            [first_stop(rng.normal(size=100), rng.normal(size=n) if n else None) for _ in range(trials)]
        )
        cells = [counted(int((first <= days).sum()), trials) for days in (10, 30, 100)]
        rows.append(["known" if n is None else f"from {n} days", *cells])
    rows.insert(0, ["promised", *(f"{100 * promised.within(days):.1f} %" for days in (10, 30, 100))])
    lines = [
        "Promised: a figure of a sound unit is falsely stopped (1_3s or EWMA) no more often than with a "
        "known usual value, once in 237 days on average. One simulated figure, normal and independent from "
        "day to day:",
        "",
        *table(("usual value", "stopped within 10 days", "30 days", "100 days"), rows),
    ]  # fmt: skip
    runs = stopped = 0
    by: Counter[str] = Counter()
    for unit in year():
        for name in charted(unit):
            for values in drawn(unit, name, BASELINE_DAYS + CHARTED_DAYS):
                runs += 1
                if first_stop(values[BASELINE_DAYS:], values[:BASELINE_DAYS]) <= CHARTED_DAYS:
                    stopped += 1
                    by[name] += 1
    often = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in by.most_common())
    lines += [
        f"The figures of {YEAR_UNITS} simulated units as the check gives them, {YEAR_DAYS} days of each "
        f"drawn again and again ({runs} charts of {CHARTED_DAYS} days after {BASELINE_DAYS}, not "
        f"independent): stopped {counted(stopped, runs)}, promised "
        f"at most {100 * promised.within(CHARTED_DAYS):.0f} %. Of {YEAR_UNITS * DRAWS} each: {often}.",
        "",
    ]
    lines += [
        f"Drift that begins after {BASELINE_DAYS} days, added to the figures of the same units; found within "
        f"{DRIFT_DAYS} days, and the median day of it:",
        "",
    ]
    rows = []
    for name, unit, rates in (
        ("axis_shift", "cm⁻¹ a week", (0.03, 0.1, 0.3, 1.0)),
        ("strength", "of its light a week", (-0.005, -0.02, -0.05, -0.1)),
        ("resolution", "cm⁻¹ a week", (0.03, 0.1, 0.3, 1.0)),
    ):
        for rate in rates:
            by_chart, by_check = [], []
            for checks in year():
                figure = checks[0].figure(name)
                for values in drawn(checks, name, BASELINE_DAYS + DRIFT_DAYS):
                    weeks = np.maximum(np.arange(values.size) - BASELINE_DAYS + 1, 0) / 7
                    moved = values + weeks * rate
                    by_chart.append(first_stop(moved[BASELINE_DAYS:], moved[:BASELINE_DAYS]))
                    low = -np.inf if figure.low is None else figure.low
                    high = np.inf if figure.high is None else figure.high
                    late = np.flatnonzero((moved < low)[BASELINE_DAYS:] | (moved > high)[BASELINE_DAYS:])
                    by_check.append(int(late[0]) + 1 if late.size else 10**6)
            cells = []
            for days in (by_chart, by_check):
                hits = sum(day <= DRIFT_DAYS for day in days)
                cells.append(
                    counted(hits, len(days))
                    + (f", day {np.median(days):.0f}" if 2 * hits > len(days) else "")
                )
            rows.append([name.replace("_", " "), f"{rate:+g} {unit}", *cells])
    return [*lines, *table(("figure", "drift", "by the chart", "by the limit of the daily check"), rows)]


def drawn(checks: Sequence[PerformanceCheck], name: str, days: int) -> Iterator[np.ndarray]:
    """Series of a figure, its days drawn from those of a unit: they are independent of one another."""
    told = np.array([check.figure(name).value or 0.0 for check in checks])
    rng = np.random.default_rng(len(name))
    for _ in range(DRAWS):
        yield rng.choice(told, days)


def charted(checks: Sequence[PerformanceCheck]) -> Iterator[str]:
    """Figures that vary from day to day."""
    for figure in checks[0].figures:
        values = [check.figure(figure.name).value for check in checks]
        if None not in values and len(set(values[:BASELINE_DAYS])) > BASELINE_DAYS // 2:
            yield figure.name


def first_stop(values: np.ndarray, before: np.ndarray | None) -> int:
    """Day of the first signal that stops, from 1; very late if there is none."""
    baseline = Baseline(0.0, 1.0) if before is None else Baseline.estimated(before)
    signals = chart(values, baseline).signals
    return next((signal.index + 1 for signal in signals if signal.stops), 10**6)


# --- libraries ---------------------------------------------------------------------------------------------


def finer(s: Spectrum, factor: float) -> Spectrum:
    x = np.arange(s.axis[0], s.axis[-1], factor * float(np.median(np.diff(s.axis))))
    return Spectrum(x, np.interp(x, s.axis, s.intensity), technique="raman", unit=s.unit)


def smoothed(points: int, order: int) -> Callable[[Spectrum], Spectrum]:
    return lambda s: s.replace(intensity=savgol_filter(s.intensity, points, order))


COPIES: dict[str, Callable[[Spectrum], Spectrum]] = {
    "scaled, cut, rounded to 1 in 10,000": lambda s: Spectrum(
        s.axis[60:-60], np.round(1e4 * s.intensity[60:-60] / np.ptp(s.intensity)), technique="raman"
    ),
    "baseline taken off": lambda s: s.replace(
        intensity=s.intensity - np.polynomial.Polynomial.fit(s.axis, s.intensity, 5)(s.axis)
    ),
    "axis corrected by 3 cm⁻¹": lambda s: s.replace(axis=s.axis * 1.0005 + 3),
    "resampled, 1.5 × as coarse": lambda s: finer(s, 1.5),
    "resampled, 0.7 × as coarse": lambda s: finer(s, 0.7),
    "smoothed over 5 points (Savitzky-Golay 2)": lambda s: s.replace(
        intensity=savgol_filter(s.intensity, 5, 2)
    ),
    "smoothed over 9 points (Savitzky-Golay 3)": lambda s: s.replace(
        intensity=savgol_filter(s.intensity, 9, 3)
    ),
    "smoothed by a Gaussian of 1.5 points": lambda s: s.replace(
        intensity=gaussian_filter1d(s.intensity, 1.5)
    ),
    "smoothed over 15 points (Savitzky-Golay 2)": lambda s: s.replace(
        intensity=savgol_filter(s.intensity, 15, 2)
    ),
}


def same(one: Spectrum, other: Spectrum) -> bool:
    match = noise_match(one.axis, one.intensity, other.axis, other.intensity)
    return match is not None and match.same


def collections(folder: Path) -> Iterator[tuple[str, list[Spectrum]]]:
    """Independent scans, alike enough to be taken for one another."""
    data = shared_data()
    files = sorted((data / "wasatch-enlighten" / "default_matching_library").glob("*.csv"))
    whole = [read_all(file, technique="raman")[0] for file in files]
    yield "portable unit", whole
    for name, queries in (
        ("FT-Raman", tablets(data, folder)),
        ("salt solutions", salts(data, folder, infrared=False)),
    ):
        scans = {query.scan().sha256: query.scan() for query in queries}
        yield name, list(scans.values())
    rng = np.random.default_rng(3)
    some = generator.substances()[5]
    for counts in (3e3, 2e4, 1e6):
        unit = generator.unit(rng)
        spread = generator.Spread(0.02, 0.05, 0.02)
        scans = [
            generator.scan([(some, 1.0)], unit, rng, peak_counts=counts, spread=spread) for _ in range(40)
        ]
        yield f"simulated, {counts:,.0f}", scans


def halves(s: Spectrum) -> tuple[Spectrum, Spectrum]:
    """Two scans of one: every other pixel, whose noise is its own."""
    return tuple(Spectrum(s.axis[k::2], s.intensity[k::2], technique="raman", unit=s.unit) for k in (0, 1))  # type: ignore[return-value]


def duplicates(folder: Path) -> list[str]:
    """One scan saved twice, found by its noise; and two scans taken for one."""
    rng = np.random.default_rng(9)
    clean, found = [], []
    false = pairs_seen = 0
    for name, scans in collections(folder):
        if name.startswith("portable"):
            pairs = [halves(scan) for scan in scans]
        else:
            pairs = [tuple(scans[i] for i in rng.choice(len(scans), 2, replace=False)) for _ in range(600)]
        changes = [lambda s: s, *COPIES.values()]
        hits = sum(same(one, changes[k % len(changes)](other)) for k, (one, other) in enumerate(pairs))
        false, pairs_seen = false + hits, pairs_seen + len(pairs)
        clean.append([name, counted(hits, len(pairs))])
        some = scans[:: max(1, len(scans) // 20)][:20]
        found.append([name, *(f"{sum(same(scan, copy(scan)) for scan in some)}" for copy in COPIES.values())])
    rows = [[copy, *(row[k + 1] for row in found)] for k, copy in enumerate(COPIES)]
    return [
        f"Promised: at most {PAIRS} of the pairs of independent scans are taken for one scan. In all: "
        f"{counted(false, pairs_seen)}; in nine of ten pairs one of the two was also changed as below.",
        "",
        "Scans: of 80 substances on one portable 785 nm unit, as two halves (every other pixel); of tablets "
        "by FT-Raman; of salt solutions, smoothed by the maker of the instrument; of one substance on one "
        "simulated unit, with so many electrons in the strongest band.",
        "",
        *table(("independent scans", "taken for one scan"), clean),
        "One scan saved twice, found of 20:",
        "",
        *table(("what was done to the copy", *(row[0] for row in found)), rows),
    ]


def library_of(entries: Sequence[tuple[str, Spectrum]], path: Path) -> Path:
    builder = LibraryBuilder("planted", version="1", created="2026-11-01")
    for slug, spectrum in entries:
        compound = Compound(slug, slug.replace("-", " "), hazards=("none",), verification="name only")
        builder.add(spectrum, compound, tier=Tier.MEASURED, source="simulated", licence="none needed")
    builder.write(path)
    return path


def audited(entries: Sequence[tuple[str, Spectrum]], path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Kinds and references of the findings."""
    with open_library(library_of(entries, path)) as library:
        return [(finding.kind, finding.references) for finding in audit_library(library).findings]


def labels(folder: Path, libraries: int = 20) -> list[str]:
    """Mislabelled and odd entries in simulated libraries, and in the real one of two halves."""
    every = generator.substances()
    rows, references = [], 0
    raised: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for number in range(libraries):
        rng = np.random.default_rng([number, 5])
        chosen = [every[k] for k in rng.choice(len(every), 12, replace=False)]
        units = [generator.unit(rng, axis_sd=0.5) for _ in range(3)]
        entries = [(s.slug, generator.scan([(s, 1.0)], unit, rng)) for s in chosen for unit in units]
        references += len(entries)
        raised.update(kind for kind, _ in audited(entries, folder / f"clean-{number}.h5"))
        stranger = generator.scan([(chosen[1], 1.0)], units[0], rng)
        other = next(s for s in every if s not in chosen)
        odd = generator.scan([(other, 1.0)], units[0], rng)
        planted = [
            *entries,
            (chosen[0].slug, stranger),
            (chosen[2].slug, odd),
            (entries[9][0], COPIES["scaled, cut, rounded to 1 in 10,000"](entries[9][1])),
        ]
        found = audited(planted, folder / f"planted-{number}.h5")
        kinds = {kind: [refs for k, refs in found if k == kind] for kind, _ in found}
        hits["mislabelled"] += any(
            refs[0].startswith(chosen[0].slug) for refs in kinds.get("mislabelled", [])
        )
        strange = kinds.get("odd", []) + kinds.get("mislabelled", [])
        hits["odd"] += any(refs[0].startswith(chosen[2].slug) for refs in strange)
        hits["same_scan"] += any(refs[0].startswith(entries[9][0]) for refs in kinds.get("same_scan", []))
    for fault, key in (
        ("an entry under the name of another", "mislabelled"),
        ("an entry of a substance the library lacks", "odd"),
        ("an entry saved twice (scaled, cut, rounded)", "same_scan"),
    ):
        rows.append([f"simulated: {fault}", counted(hits[key], libraries), key.replace("_", " ")])
    data = shared_data()
    files = sorted((data / "wasatch-enlighten" / "default_matching_library").glob("*.csv"))
    real = []
    for file in files:
        slug = "".join(c if c.isalnum() else "-" for c in file.stem.lower()).strip("-")
        real += [(slug, half) for half in halves(read_all(file, technique="raman")[0])]
    clean = audited(real, folder / "real.h5")
    found = of = 0
    for k in range(0, len(real) // 2 - 1, 4):
        swapped = list(real)
        swapped[2 * k] = (real[2 * k + 2][0], real[2 * k][1])
        of += 1
        found += any(
            kind in ("mislabelled", "odd") and any(ref.startswith(swapped[2 * k][0]) for ref in refs)
            for kind, refs in audited(swapped, folder / "swapped.h5")
        )
    rows.append(["real: an entry under the name of another", counted(found, of), "mislabelled, odd"])
    said = ", ".join(f"{kind} {n}" for kind, n in raised.items()) or "none"
    whole = Counter(kind for kind, _ in clean)
    return [
        f"Promised: a sound entry is called mislabelled or odd in at most {LABELS} of cases. {libraries} "
        f"simulated libraries of 12 substances on three units, sound: "
        f"{counted(raised['mislabelled'] + raised['odd'], references)} entries; findings in all: {said}. "
        f"The library of the portable unit, each scan as two halves (every other pixel): "
        f"{counted(whole['mislabelled'] + whole['odd'], len(real))} entries; same scan {whole['same_scan']}.",
        "",
        *table(("planted", "found", "as"), rows),
    ]  # fmt: skip


def leaks(folder: Path) -> list[str]:
    """Samples of a study that are in its library."""
    data = shared_data()
    library = wasatch_library(
        data, folder, prepare=lambda s: s.replace(axis=s.axis[::2], intensity=s.intensity[::2])
    )
    files = sorted((data / "wasatch-enlighten" / "default_matching_library").glob("*.csv"))
    whole = [read_all(file, technique="raman")[0] for file in files]

    def leaked(spectrum: Spectrum) -> bool:
        return bool(leak_of(spectrum, identify(spectrum, library), library))

    false = sum(leaked(halves(scan)[1]) for scan in whole)
    rows = [
        [name, counted(sum(leaked(copy(halves(scan)[0])) for scan in whole[::4]), len(whole[::4]))]
        for name, copy in {"renamed only": lambda s: s, **COPIES}.items()
    ]
    return [
        f"Promised: at most {LEAKS} of samples that are not in the library are said to be. The library "
        "holds every other pixel of the scans of the portable unit. Of samples of the other pixels, not "
        f"in it, said to be: {counted(false, len(whole))}. Samples that are in it:",
        "",
        *table(("what was done to the sample", "found to be in the library"), rows),
    ]


SECTIONS: dict[str, tuple[str, Callable[[argparse.Namespace, Path], list[str]]]] = {
    "simulated": ("Daily check: faults of simulated units", lambda args, _: simulated(args.units)),
    "real": ("Daily check: faults planted on real standards", lambda args, _: on_real_standards(args.real)),
    "clean": ("Daily check: sound units", lambda *_: clean_days()),
    "charts": ("Control charts: sound units and drift", lambda *_: charts()),
    "duplicates": ("One scan saved twice", lambda _, folder: duplicates(folder)),
    "labels": ("Library audit: labels", lambda _, folder: labels(folder)),
    "leaks": ("Scans that are in library and study", lambda _, folder: leaks(folder)),
}

INTRODUCTION = """# Planted faults

Every kind of fault was planted on purpose, at several sizes; sound sets were judged as they are. Made by
`python benchmarks/qa/planted_faults.py --write`; nothing here was typed in. Intervals are exact (Clopper and
Pearson, 95 %). Simulated units and libraries come from code that shares nothing with the analysis; how much a
sound unit varies from day to day is our assumption (laser 0.1 cm⁻¹, light 5 %, room 2 °C, independent from
day to day), and real units may vary more: their own first weeks tell.
"""


def main() -> None:
    """Run all of it, or one section."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="write docs/qa-faults.md")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="these sections, printed")
    parser.add_argument("--units", type=int, default=10, help="simulated units for each fault and size")
    parser.add_argument("--real", type=int, default=10, help="real standards to plant faults on, at most")
    parser.add_argument("--parts", type=Path, help="folder where sections once made are kept")
    args = parser.parse_args()
    made = {}
    for name in args.only or SECTIONS:
        kept = args.parts / f"{name}.md" if args.parts else None
        if kept and kept.is_file() and not args.only:
            made[name] = kept.read_text(encoding="utf-8")
            continue
        with tempfile.TemporaryDirectory() as folder:
            title, section = SECTIONS[name]
            made[name] = "\n".join([f"## {title}", "", *section(args, Path(folder))])
        print(made[name], flush=True)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(made[name], encoding="utf-8")
    if args.write:
        PAGE.write_text("\n".join([INTRODUCTION, *made.values()]).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
