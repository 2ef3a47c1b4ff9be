"""What the answers of each simulated track amount to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import generator
import numpy as np
import power
import triage
from measures import Measure, macro, proportion, rate, roc, threshold_at
from tracks import DETECTED, EACH, EXPLAINED, OTHER_MODELS, OURS, WATCHED, Answer, Query

Found = tuple[list[Measure], dict[str, list[dict[str, Any]]], dict[str, Any]]
OWN = (*EACH, *OTHER_MODELS.values())
MODEL = "spectralid, family model alone"
ORACLE = "oracle, on the same scans"
# Baselines get a threshold at which so many scans without the target are false alarms: more lenient than the
# oracle's one in a thousand, which so few scans could not show.
_BASELINE_ALARMS = 0.05
_LEAST_PAIRS = 8


def methods(answers: Sequence[Answer]) -> list[str]:
    """Methods that looked at any of them."""
    return list(dict.fromkeys(m for a in answers for m in a.said))


def heard(answers: Sequence[Answer], method: str) -> list[Answer]:
    """Answers that hold what a method says."""
    return [a for a in answers if method in a.said]


def alarms(answer: Answer, method: str, of_slug: Mapping[str, str]) -> set[str]:
    """Watched families a method warns of."""
    if method == OURS:
        return answer.alarms
    if method in (EXPLAINED, DETECTED):
        return answer.detected.keys() & set(WATCHED)
    return {of_slug.get(s, "") for s in answer.said[method].named} & set(WATCHED)


def score(answer: Answer, method: str, of_slug: Mapping[str, str], family: str = "") -> float:
    """How strongly a method speaks for a family, or for any watched one."""
    found: Mapping[str, float]
    if method == OURS:
        found = answer.stated
    elif method == DETECTED:
        found = answer.detected
    elif method == MODEL:
        found = answer.by_model
    else:
        amounts: dict[str, float] = {}
        for slug, amount in answer.said[method].amounts.items():
            name = of_slug.get(slug, "")
            amounts[name] = max(amounts.get(name, 0.0), amount)
        found = amounts
    return max((v for f, v in found.items() if f in WATCHED and family in ("", f)), default=0.0)


def pure(answers: Sequence[Answer], of_slug: Mapping[str, str]) -> Found:
    """A."""
    out = []
    for group in dict.fromkeys(a.query.group for a in answers):
        for m in methods(answers):
            mine = heard([a for a in answers if a.query.group == group], m)
            out.append(proportion("A", group, m, "top-1", (a.said[m].best in a.query.true for a in mine)))
            out.append(
                proportion(
                    "A",
                    group,
                    m,
                    "named rightly",
                    (bool(a.said[m].named & a.query.true.keys()) for a in mine),
                )
            )
            out.append(
                proportion(
                    "A",
                    group,
                    m,
                    "named wrongly",
                    (bool(a.said[m].named - a.query.true.keys()) for a in mine),
                )
            )
            if m == EXPLAINED:
                continue
            watched = [a for a in mine if a.query.family]
            out.append(
                proportion(
                    "A", group, m, "alarm on a watched family",
                    (a.query.family in alarms(a, m, of_slug) for a in watched),
                )
            )  # fmt: skip
            rest = [a for a in mine if not a.query.family]
            out.append(proportion("A", group, m, "false alarms", (bool(alarms(a, m, of_slug)) for a in rest)))
    return out, {}, {}


def screening(answers: Sequence[Answer], of_slug: Mapping[str, str]) -> Found:
    """B."""
    out: list[Measure] = []
    curves: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    modelled = [MODEL] if any(a.by_model for a in answers) else []
    for m in [m for m in methods(answers) if m != EXPLAINED] + modelled:
        mine = answers if m == MODEL else heard(answers, m)
        there = [a for a in mine if a.query.family]
        without = [a for a in mine if not a.query.family]
        negatives = np.array([score(a, m, of_slug) for a in without])
        level = threshold_at(negatives, 0.001)
        at: dict[str, list[bool]] = {f: [] for f in WATCHED}
        own: dict[str, list[bool]] = {f: [] for f in WATCHED}
        for a in there:
            at[a.query.family].append(score(a, m, of_slug, a.query.family) >= level)
            if m != MODEL:
                own[a.query.family].append(a.query.family in alarms(a, m, of_slug))
        name = "macro true-positive rate"
        out.append(macro("B", "mixtures", m, f"{name} at ≤ 0.1 % false alarms", list(at.values())))
        if m != MODEL:
            out.append(macro("B", "mixtures", m, f"{name} as it alarms", list(own.values())))
            false_ones = (bool(alarms(a, m, of_slug)) for a in without)
            out.append(proportion("B", "mixtures", m, "false alarms as it alarms", false_ones))
        positives = np.array([score(a, m, of_slug, a.query.family) for a in there])
        false, true = roc(positives, negatives)
        curves[m] = {"false": false.tolist(), "true": true.tolist(), "negatives": len(without)}
        if m == OURS:
            for f in WATCHED:
                if at[f]:
                    members = {
                        s for a in there if a.query.family == f for s in a.query.true if of_slug[s] == f
                    }
                    rows.append(
                        {
                            "family": f,
                            "members": len(members),
                            "at ≤ 0.1 % false alarms": proportion("B", f, m, "", at[f]).text(),
                            "as it alarms": proportion("B", f, m, "", own[f]).text(),
                        }
                    )
    return out, {"B: by family, spectralid": rows}, {"roc": curves}


def limits(answers: Sequence[Answer], _: Mapping[str, str]) -> Found:
    """E."""
    out: list[Measure] = []
    curves: dict[str, Any] = {}
    for group in dict.fromkeys(a.query.group for a in answers):
        mine = [a for a in answers if a.query.group == group]
        null, there = [a for a in mine if not a.query.x], [a for a in mine if a.query.x]
        pairs = np.array([a.query.pair for a in there])
        x = np.array([a.query.x for a in there])
        x_library = np.array([a.query.x_library for a in there])
        for m in [
            DETECTED,
            OTHER_MODELS[group],
            EXPLAINED,
            OURS,
            *(m for m in methods(mine) if m not in OWN),
            ORACLE,
        ]:
            hit = _detects(m, null)
            hits = np.array([hit(a) for a in there])
            value, low, high = power.efficiency(x, hits, pairs)
            out.append(Measure("E", group, m, "η", value, low, high, len(there), "×"))
            if group != "photons alone":
                value, low, high = power.efficiency(x_library, hits, pairs)
                name = "η against the best linear use of the library"
                out.append(Measure("E", group, m, name, value, low, high, len(there), "×"))
            out.append(proportion("E", group, m, "found where none is", (hit(a) for a in null)))
            curves.setdefault(group, {})[m] = [
                {"x": float(v), "n": int((x == v).sum()), "hits": int(hits[x == v].sum())}
                for v in np.unique(x)
            ]
        lods = [a.query.oracle.lod90 for a in null if a.query.oracle is not None]
        low, middle, high = (float(q) for q in np.quantile(lods, [0.1, 0.5, 0.9]))
        name = "the oracle's limit: median share (a tenth below – a tenth above)"
        out.append(Measure("E", group, ORACLE, name, middle, low, high, len(lods), ""))
    return out, {}, {"power": curves}


def _detects(method: str, null: Sequence[Answer]) -> Callable[[Answer], bool]:
    """Whether a method reports the target of a scan."""
    if method == ORACLE:
        return lambda a: a.oracle_detects
    if method in OWN:
        return lambda a: a.query.target in a.said[method].named
    amounts = np.array([a.said[method].amounts.get(a.query.target, 0.0) for a in null])
    level = threshold_at(amounts, _BASELINE_ALARMS)
    return lambda a: a.said[method].amounts.get(a.query.target, 0.0) >= level


def mixtures(answers: Sequence[Answer], _: Mapping[str, str]) -> Found:
    """E2."""
    return [m for g in dict.fromkeys(a.query.group for a in answers) for m in names("E2", g, answers)], {}, {}


def names(track: str, group: str, answers: Sequence[Answer]) -> list[Measure]:
    """Components found, right and false, of one group."""
    out = []
    for m in methods(answers):
        mine = heard([a for a in answers if a.query.group == group], m)
        if not mine:
            continue
        found = [(s in a.said[m].named) for a in mine for s in a.query.true]
        said = [(s in a.query.true) for a in mine for s in a.said[m].named]
        out.append(proportion(track, group, m, "recall", found))
        out.append(proportion(track, group, m, "precision", said))
        false = (len(a.said[m].named - a.query.true.keys()) for a in mine)
        out.append(rate(track, group, m, "false per scan", false))
        whole = (a.said[m].named == a.query.true.keys() for a in mine if a.query.known)
        out.append(proportion(track, group, m, "all right, nothing else", whole))
    return out


def fentanyl(answers: Sequence[Answer], of_slug: Mapping[str, str]) -> Found:
    """E3."""
    out = []
    for group in dict.fromkeys(a.query.group for a in answers):
        mine = [a for a in answers if a.query.group == group]
        kinds = {group: mine}
        if any(a.query.family for a in mine):
            kinds[f"{group} where the oracle ≥ 99 %"] = [a for a in mine if a.power >= 0.99]
            kinds[f"{group} where the library allows ≥ 99 %"] = [a for a in mine if a.power_library >= 0.99]
        for kind, some in kinds.items():
            for m in methods(mine):
                if m != EXPLAINED:
                    hits = ("fentanyl-related" in alarms(a, m, of_slug) for a in heard(some, m))
                    out.append(proportion("E3", kind, m, "alarm", hits))
    pairs = {a.query.pair for a in answers if a.query.family}
    rows = [
        {
            "members of the family": len({p.split(" in ")[0] for p in pairs}),
            "cutting agents": len({p.split(" in ")[1] for p in pairs}),
            "pairs": len(pairs),
        }
    ]
    return out, {"E3: independent substances": rows}, {}


def open_set(answers: Sequence[Answer], _: Mapping[str, str]) -> Found:
    """F."""
    out = []
    for m in methods(answers):
        by: dict[str, list[Answer]] = {}
        for a in heard(answers, m):
            by.setdefault(a.query.group, []).append(a)
        kept = (a.said[m].named == a.query.true.keys() for a in by.get("in the library", ()))
        out.append(proportion("F", "in the library", m, "kept", kept))
        wrong = (bool(a.said[m].named) for a in by.get("unknown alone", ()))
        out.append(proportion("F", "unknown alone", m, "wrongly named", wrong))
        mixed = by.get("unknown in a mixture", [])
        out.append(
            proportion("F", "unknown in a mixture", m, "noticed", (not a.said[m].named for a in mixed))
        )
        false = (bool(a.said[m].named - a.query.true.keys()) for a in mixed)
        out.append(proportion("F", "unknown in a mixture", m, "wrongly named", false))
    return out, {}, {}


TRACKS: Mapping[str, Callable[[Sequence[Answer], Mapping[str, str]], Found]] = {
    "A": pure, "B": screening, "E": limits, "E2": mixtures, "E3": fentanyl, "F": open_set,
    "H": lambda answers, _: triage.escalation(answers),
}  # fmt: skip


def leaks(measures: Sequence[Measure], pairs: int) -> list[str]:
    """Limits below the oracle's beyond their interval; a handful of pairs has none to speak of."""
    if pairs < _LEAST_PAIRS:
        return []
    return [
        f"{m.group}, {m.method}: {m.text()}"
        for m in measures
        if m.name == "η" and m.method in (*OWN, ORACLE) and m.high < 1
    ]


def pieces(query: Query) -> dict[str, np.ndarray]:
    """Counts of every substance of a simulated scan, without grains and glow."""
    mixed, scanner = query.scan.args[:2]  # type: ignore[attr-defined]
    peak = query.scan.keywords.get("peak_counts", 20_000.0)  # type: ignore[attr-defined]
    rng = np.random.default_rng(0)
    found = {s.slug: c * generator.signal(s, scanner, rng, power.EXACT) for s, c in mixed}
    height = peak / np.max(sum(found.values()))
    return {slug: height * values for slug, values in found.items()}


def failures(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Three cases that went wrong, chosen by rule and not by taste."""

    def wrong(a: Answer) -> set[str]:
        return set(a.said[OURS].named) - a.query.true.keys()

    rules: list[tuple[str, list[Answer], Callable[[Answer], float]]] = [
        (
            "A wrong name: of all scans on which one was given, the one with the highest odds",
            [a for a in answers if wrong(a)],
            lambda a: a.log_odds,
        ),
        (
            "A watched family missed although the oracle finds it: the one with the largest share of it",
            [a for a in answers if a.query.track == "E3" and a.query.family and a.power >= 0.99
             and a.query.family not in a.alarms],
            lambda a: a.query.true[a.query.target],
        ),
        (
            "A pure substance of the library that was not named: the one with the highest odds",
            [a for a in answers if a.query.track in ("A", "F") and a.query.known and len(a.query.true) == 1
             and not a.said[OURS].named],
            lambda a: a.log_odds,
        ),
    ]  # fmt: skip
    found = []
    for rule, some, by in rules:
        if not some:
            found.append({"rule": rule, "cases": 0})
            continue
        worst = max(some, key=lambda a: (by(a), a.sha256))
        spectrum, parts = worst.query.scan(), pieces(worst.query)
        found.append(
            {
                "rule": rule,
                "cases": len(some),
                "of": len(answers),
                "track": worst.query.track,
                "scans of": worst.query.group,
                "true": dict(worst.query.true),
                "nothing else in it": worst.query.known,
                "components": [list(c) for c in worst.components],
                "verdict": worst.kind,
                "log_odds": worst.log_odds,
                "explained": worst.explained,
                "unexplained_cm1": list(worst.unexplained),
                "alarms": sorted(worst.alarms),
                "family": worst.query.family,
                "axis": np.round(spectrum.axis, 2).tolist(),
                "parts": {slug: np.round(values, 1).tolist() for slug, values in parts.items()},
                "intensity": np.round(spectrum.intensity, 1).tolist(),
            }
        )
    return found
